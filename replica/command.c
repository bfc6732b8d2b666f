/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A switch over the tag on either side.  The decoder reads fields until the
 * reader fails, then checks once; counts are checked before they are used, and
 * left-over bytes are an error, so that no two payloads mean one command.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "replica/bytes.h"
#include "replica/command.h"

#define CLIENT_HEADER_BYTES (1u + 16u + 8u)

static const struct {
    enum command_tag tag;
    const char *name;
} command_names[] = {
    {COMMAND_CREATE_RESOURCE, "create_resource"},
    {COMMAND_RESERVE, "reserve"},
    {COMMAND_RESERVE_BUNDLE, "reserve_bundle"},
    {COMMAND_CONFIRM, "confirm"},
    {COMMAND_RELEASE, "release"},
    {COMMAND_REVOKE, "revoke"},
    {COMMAND_RECLAIM, "reclaim"},
    {COMMAND_TICK, "tick"},
    {COMMAND_EXPIRE, "expire"},
};

bool
command_is_client(enum command_tag tag)
{
    return tag >= COMMAND_CREATE_RESOURCE && tag <= COMMAND_RECLAIM;
}

const char *
command_name(enum command_tag tag)
{
    for (size_t i = 0; i < ARRAY_LEN(command_names); i++)
        if (command_names[i].tag == tag)
            return command_names[i].name;
    return "?";
}

bool
command_parse_name(const char *name, enum command_tag *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(command_names); i++) {
        if (strcmp(command_names[i].name, name) == 0) {
            *ret = command_names[i].tag;
            return true;
        }
    }
    return false;
}

static void
encode_fields(const struct command *c, struct buf *out)
{
    switch (c->tag) {
    case COMMAND_CREATE_RESOURCE:
        write_id(out, c->resources[0]);
        break;
    case COMMAND_RESERVE:
        write_id(out, c->resources[0]);
        write_id(out, c->holder);
        write_u64(out, c->ttl);
        break;
    case COMMAND_RESERVE_BUNDLE:
        assert(c->resource_count <= COMMAND_RESOURCES_MAX);
        write_u32(out, c->resource_count);
        for (uint32_t i = 0; i < c->resource_count; i++)
            write_id(out, c->resources[i]);
        write_id(out, c->holder);
        write_u64(out, c->ttl);
        break;
    case COMMAND_CONFIRM:
    case COMMAND_RELEASE:
        write_id(out, c->lease);
        write_id(out, c->holder);
        write_u64(out, c->epoch);
        break;
    case COMMAND_REVOKE:
    case COMMAND_RECLAIM:
        write_id(out, c->lease);
        break;
    case COMMAND_TICK:
        write_u64(out, c->client);
        write_u64(out, c->slot);
        break;
    case COMMAND_EXPIRE:
        write_id(out, c->lease);
        write_u64(out, c->deadline);
        break;
    }
}

void
command_encode(const struct command *c, struct buf *out)
{
    write_u8(out, (uint8_t)c->tag);
    if (command_is_client(c->tag)) {
        assert(!id128_is_zero(c->operation));
        write_id(out, c->operation);
        write_u64(out, c->client);
    }
    encode_fields(c, out);
    assert(!out->truncated);
}

static void
decode_bundle(struct bytes_reader *r, struct command *c)
{
    c->resource_count = read_u32(r);
    if (c->resource_count > COMMAND_RESOURCES_MAX) {
        r->failed = true;
        return;
    }
    for (uint32_t i = 0; i < c->resource_count; i++)
        c->resources[i] = read_id(r);
    c->holder = read_id(r);
    c->ttl = read_u64(r);
}

static bool
decode_fields(struct bytes_reader *r, struct command *c)
{
    switch (c->tag) {
    case COMMAND_CREATE_RESOURCE:
    case COMMAND_RESERVE:
        c->resource_count = 1;
        c->resources[0] = read_id(r);
        if (c->tag == COMMAND_CREATE_RESOURCE)
            return true;
        c->holder = read_id(r);
        c->ttl = read_u64(r);
        return true;
    case COMMAND_RESERVE_BUNDLE:
        decode_bundle(r, c);
        return true;
    case COMMAND_CONFIRM:
    case COMMAND_RELEASE:
        c->lease = read_id(r);
        c->holder = read_id(r);
        c->epoch = read_u64(r);
        return true;
    case COMMAND_REVOKE:
    case COMMAND_RECLAIM:
        c->lease = read_id(r);
        return true;
    case COMMAND_TICK:
        c->client = read_u64(r);
        c->slot = read_u64(r);
        return true;
    case COMMAND_EXPIRE:
        c->lease = read_id(r);
        c->deadline = read_u64(r);
        return true;
    }
    return false;
}

int
command_decode(const void *data, size_t len, struct command *ret,
               struct error *err)
{
    struct bytes_reader r = bytes_reader(data, len);
    struct command c;

    /* The array of resources is large: only what is used is written. */
    memset(&c, 0, offsetof(struct command, resources));
    c.tag = (enum command_tag)read_u8(&r);
    if (command_is_client(c.tag)) {
        c.operation = read_id(&r);
        c.client = read_u64(&r);
    }
    if (!decode_fields(&r, &c))
        return error_set(err, ERROR_CONFIG, "unknown command tag %d",
                         (int)c.tag);
    if (!bytes_done(&r))
        return error_set(err, ERROR_CONFIG, "%s: wrong length of %zu bytes",
                         command_name(c.tag), len);
    if (command_is_client(c.tag) && id128_is_zero(c.operation))
        return error_set(err, ERROR_CONFIG, "%s: operation id is zero",
                         command_name(c.tag));
    memcpy(ret, &c, offsetof(struct command, resources));
    memcpy(ret->resources, c.resources,
           c.resource_count * sizeof(c.resources[0]));
    return 0;
}

static uint64_t
mix(uint64_t h)
{
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

struct id128
command_fingerprint(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t a = UINT64_C(0x9e3779b97f4a7c15) + len, b = ~a;

    assert(len >= CLIENT_HEADER_BYTES);
    a = mix(a ^ p[0]);
    b = mix(b + p[0]);
    p += CLIENT_HEADER_BYTES;
    len -= CLIENT_HEADER_BYTES;
    while (len > 0) {
        uint8_t word[8] = {0};
        size_t n = len < 8 ? len : 8;

        memcpy(word, p, n);
        a = mix(a ^ get_u64(word));
        b = mix(b * 31 + get_u64(word));
        p += n;
        len -= n;
    }
    return (struct id128){a, b};
}
