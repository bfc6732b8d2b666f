/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian fields of everything the replica stores or sends: a writer
 * into a growing buffer and a reader that never passes the end.  A reader that
 * met the end stays failed and yields zeros, so a decoder checks once.
 */
#ifndef ORDEAL_REPLICA_BYTES_H
#define ORDEAL_REPLICA_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "harness/base/buf.h"
#include "harness/base/id128.h"

static inline void
put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline void
put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint32_t
get_u32(const uint8_t *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

static inline uint64_t
get_u64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline void
write_u8(struct buf *b, uint8_t v)
{
    buf_append(b, &v, 1);
}

static inline void
write_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];

    put_u32(bytes, v);
    buf_append(b, bytes, sizeof(bytes));
}

static inline void
write_u64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];

    put_u64(bytes, v);
    buf_append(b, bytes, sizeof(bytes));
}

static inline void
write_id(struct buf *b, struct id128 id)
{
    write_u64(b, id.lo);
    write_u64(b, id.hi);
}

struct bytes_reader {
    const uint8_t *p;
    size_t left;
    bool failed;
};

static inline struct bytes_reader
bytes_reader(const void *data, size_t len)
{
    return (struct bytes_reader){data, len, false};
}

static inline const uint8_t *
read_bytes(struct bytes_reader *r, size_t len)
{
    const uint8_t *p = r->p;

    if (r->failed || len > r->left) {
        r->failed = true;
        return NULL;
    }
    r->p += len;
    r->left -= len;
    return p;
}

static inline uint8_t
read_u8(struct bytes_reader *r)
{
    const uint8_t *p = read_bytes(r, 1);

    return p == NULL ? 0 : *p;
}

static inline uint32_t
read_u32(struct bytes_reader *r)
{
    const uint8_t *p = read_bytes(r, 4);

    return p == NULL ? 0 : get_u32(p);
}

static inline uint64_t
read_u64(struct bytes_reader *r)
{
    const uint8_t *p = read_bytes(r, 8);

    return p == NULL ? 0 : get_u64(p);
}

static inline struct id128
read_id(struct bytes_reader *r)
{
    uint64_t lo = read_u64(r);

    return (struct id128){read_u64(r), lo};
}

/* Everything was there and nothing is left over. */
static inline bool
bytes_done(const struct bytes_reader *r)
{
    return !r->failed && r->left == 0;
}

#endif
