/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs and unpacks the two fixed headers of a history file.
 *
 * A header that does not check is reported, never repaired: whether that is a
 * torn tail or damage is for the reader to say, who sees what follows.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/crc32c.h"
#include "harness/base/history-format.h"

static const char *const event_kind_names[EVENT_KIND_COUNT] = {
    [EVENT_INVOKE] = "invoke",   [EVENT_OK] = "ok",       [EVENT_FAIL] = "fail",
    [EVENT_UNKNOWN] = "unknown", [EVENT_FAULT] = "fault", [EVENT_NOTE] = "note",
};

const char *
event_kind_name(enum event_kind kind)
{
    assert((unsigned)kind < EVENT_KIND_COUNT);
    return event_kind_names[kind];
}

bool
event_kind_parse(const char *name, enum event_kind *ret)
{
    for (int i = 0; i < EVENT_KIND_COUNT; i++) {
        if (strcmp(name, event_kind_names[i]) == 0) {
            *ret = (enum event_kind)i;
            return true;
        }
    }
    return false;
}

void
history_block_pack(struct history_block *b, unsigned char *ret)
{
    memset(ret, 0, HISTORY_BLOCK_HEADER_BYTES);
    history_put_u32(ret, HISTORY_BLOCK_MAGIC);
    ret[4] = b->kind;
    ret[5] = b->flags;
    history_put_u32(ret + 8, b->stored_bytes);
    history_put_u32(ret + 12, b->raw_bytes);
    history_put_u64(ret + 16, b->first_event);
    history_put_u32(ret + 24, b->event_count);
    history_put_u32(ret + 28, b->chain);
    history_put_u32(ret + 32, b->payload_crc);
    b->header_crc = crc32c(0, ret, 36);
    history_put_u32(ret + 36, b->header_crc);
}

bool
history_block_unpack(const unsigned char *bytes, struct history_block *ret)
{
    if (history_get_u32(bytes) != HISTORY_BLOCK_MAGIC ||
        history_get_u32(bytes + 36) != crc32c(0, bytes, 36))
        return false;
    ret->kind = bytes[4];
    ret->flags = bytes[5];
    ret->stored_bytes = history_get_u32(bytes + 8);
    ret->raw_bytes = history_get_u32(bytes + 12);
    ret->first_event = history_get_u64(bytes + 16);
    ret->event_count = history_get_u32(bytes + 24);
    ret->chain = history_get_u32(bytes + 28);
    ret->payload_crc = history_get_u32(bytes + 32);
    ret->header_crc = history_get_u32(bytes + 36);
    return true;
}

uint32_t
history_file_header_pack(unsigned char *ret)
{
    uint32_t crc;

    memcpy(ret, HISTORY_MAGIC, HISTORY_MAGIC_BYTES);
    history_put_u32(ret + 8, HISTORY_VERSION);
    crc = crc32c(0, ret, 12);
    history_put_u32(ret + 12, crc);
    return crc;
}

const char *
history_file_header_check(const unsigned char *bytes, uint32_t *ret_crc)
{
    uint32_t crc = crc32c(0, bytes, 12);

    if (memcmp(bytes, HISTORY_MAGIC, HISTORY_MAGIC_BYTES) != 0)
        return "not a history (neither our binary form nor JSONL)";
    if (history_get_u32(bytes + 12) != crc)
        return "damaged file header: take another copy of the file";
    if (history_get_u32(bytes + 8) != HISTORY_VERSION)
        return "made by another version of the format: read it with the "
               "release that wrote it and export JSONL";
    *ret_crc = crc;
    return NULL;
}

/* Length of the sequence that 'lead' begins, 0 when it begins none. */
static size_t
text_sequence_bytes(unsigned char lead)
{
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    if (lead >= 0xf0 && lead <= 0xf4)
        return 4;
    return 0;
}

bool
history_text_valid(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *end = p + len;

    while (p < end) {
        size_t n;

        if (*p != 0 && *p < 0x80) {
            p++;
            continue;
        }
        n = text_sequence_bytes(*p);
        if (n == 0 || (size_t)(end - p) < n)
            return false;
        for (size_t i = 1; i < n; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        /* Overlong forms, surrogates and what lies above U+10FFFF. */
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
            (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
            return false;
        p += n;
    }
    return true;
}
