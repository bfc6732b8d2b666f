/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a history file, shared by writer, reader and their tests.
 * docs/HISTORY-FORMAT.md is the reference; this header only names its numbers.
 * Not for use outside harness/base/history-*.c and tests.
 *
 *   file header | META | EVENTS ... EVENTS | SEAL
 *
 * All integers are little-endian.  A varint is LEB128 of at most ten bytes; a
 * signed one is zigzag-coded first.
 */
#ifndef ORDEAL_BASE_HISTORY_FORMAT_H
#define ORDEAL_BASE_HISTORY_FORMAT_H

#include "harness/base/history.h"

#define HISTORY_MAGIC "\x89ORDEAL\n"
#define HISTORY_MAGIC_BYTES 8
#define HISTORY_VERSION 1
#define HISTORY_FILE_HEADER_BYTES 16
#define HISTORY_BLOCK_HEADER_BYTES 40
#define HISTORY_BLOCK_MAGIC UINT32_C(0x4b4c424f) /* "OBLK" */
#define HISTORY_SEAL_BYTES 24

enum history_block_kind {
    HISTORY_BLOCK_META = 1,
    HISTORY_BLOCK_EVENTS = 2,
    HISTORY_BLOCK_SEAL = 3,
};
#define HISTORY_BLOCK_SKIPPABLE 0x80 /* kinds that old readers pass over */
#define HISTORY_FLAG_ZSTD 0x01

/* First byte of an event: the kind in bits 0 to 2, and what is present. */
#define HISTORY_EVENT_KIND_MASK 0x07
#define HISTORY_EVENT_OPERATION 0x08
#define HISTORY_EVENT_POSITION 0x10
#define HISTORY_EVENT_NODE 0x20
#define HISTORY_EVENT_ERROR 0x40
#define HISTORY_EVENT_PROCESS 0x80

/* Strings: a literal, a definition, or the number of a defined one + BASE. */
#define HISTORY_STRING_LITERAL 0
#define HISTORY_STRING_DEFINE 1
#define HISTORY_STRING_BASE 2

enum history_value_tag {
    HISTORY_VALUE_NIL = 0,
    HISTORY_VALUE_FALSE = 1,
    HISTORY_VALUE_TRUE = 2,
    HISTORY_VALUE_INT = 3,
    HISTORY_VALUE_ID = 4,
    HISTORY_VALUE_SMALL_ID = 5, /* the high half is zero */
    HISTORY_VALUE_STRING = 6,
    HISTORY_VALUE_LIST = 7,
};

/* Names are few; the bound keeps a reader's memory small on any input. */
#define HISTORY_DICTIONARY_MAX 4096
#define HISTORY_DICTIONARY_STRING_MAX 128
/* Values stop being defined here, so that names always find room. */
#define HISTORY_DICTIONARY_VALUES_MAX 1024

/* One event: half a block, so that one always fits behind a full buffer. */
#define HISTORY_EVENT_BYTES_MAX (HISTORY_BLOCK_BYTES_MAX / 2)

/* One line of JSONL: the largest event, every byte escaped as \u00XX. */
#define HISTORY_LINE_BYTES_MAX (8 * HISTORY_BLOCK_BYTES_MAX)

struct history_block {
    uint8_t kind, flags;
    uint32_t stored_bytes, raw_bytes; /* of the payload, in file and unpacked */
    uint64_t first_event;
    uint32_t event_count;
    uint32_t chain; /* header checksum of the block before; first: of file */
    uint32_t payload_crc;
    uint32_t header_crc; /* of the bytes before it */
};

/* Fills in header_crc and writes the 40 bytes. */
void history_block_pack(struct history_block *b, unsigned char *ret);

/* False when magic or header checksum do not match. */
bool history_block_unpack(const unsigned char *bytes,
                          struct history_block *ret);

/* The 16 bytes at the start of a file; returns their checksum. */
uint32_t history_file_header_pack(unsigned char *ret);

/* NULL, or what is wrong with the header of a file. */
const char *history_file_header_check(const unsigned char *bytes,
                                      uint32_t *ret_crc);

/* Well-formed UTF-8 (RFC 3629) without NUL. */
bool history_text_valid(const char *text, size_t len);

/* history_append without stamping: imports keep their times, 0 included. */
int history_append_as_is(struct history_writer *w, struct event *event,
                         struct error *err);

/* ---- JSONL, in history-json.c, behind history_reader_open ---- */

struct history_text;

/* Takes 'file'.  Reads the first line; *ret_meta is borrowed. */
struct history_text *history_text_new(const char *path, FILE *file,
                                      const json_t **ret_meta,
                                      struct error *err);
void history_text_free(struct history_text *t);
int history_text_next(struct history_text *t, struct event *ret,
                      struct error *err);
bool history_text_sealed(const struct history_text *t);

static inline void
history_put_u32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

static inline void
history_put_u64(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

static inline uint32_t
history_get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static inline uint64_t
history_get_u64(const unsigned char *p)
{
    return (uint64_t)history_get_u32(p) | (uint64_t)history_get_u32(p + 4)
                                              << 32;
}

static inline uint64_t
history_zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t
history_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

#endif
