/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads block by block through a window over the file: checks a block's header
 * and the checksum of its payload, unpacks it, and hands its events out one by
 * one.  Memory is one window, one unpacked block and the dictionary, whatever
 * the size of the file.  A file that grows meanwhile is read to the length it
 * had when it was opened.
 *
 * The writer may have died at any byte.  What does not check at the end of the
 * file, with no whole block behind it, is a torn tail: the end, and its bytes
 * are counted as dropped.  What does not check with a whole block behind it is
 * damage, and so is a block that checks but contradicts the one before it:
 * an error that names block and byte.  No length in the file is believed
 * before it is compared with what is there.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "harness/base/arena.h"
#include "harness/base/crc32c.h"
#include "harness/base/history-format.h"

/* Holds any block whole; many small ones for one read(2). */
#define READER_WINDOW_BYTES                                                    \
    (HISTORY_BLOCK_HEADER_BYTES + HISTORY_BLOCK_BYTES_MAX)

struct reader_window {
    unsigned char *bytes;
    uint64_t offset; /* in the file */
    size_t len;
};

struct history_reader {
    char *path;
    int fd;
    uint64_t size;
    struct reader_window window;
    uint64_t block_offset; /* of the block that is read or comes next */
    uint64_t block_number, next_event;
    uint32_t chain;
    unsigned char *raw;
    ZSTD_DCtx *zstd;
    /* The block that is read, and what is left of it. */
    struct history_block block;
    const unsigned char *p, *end;
    uint32_t events_left;
    /* Of the whole file so far. */
    struct arena names;
    const char *texts[HISTORY_DICTIONARY_MAX];
    uint32_t lens[HISTORY_DICTIONARY_MAX];
    unsigned text_count;
    int64_t last_ns;
    /* Of the event handed out. */
    struct arena scratch;
    struct field fields[FIELDS_MAX];
    const json_t *meta;
    json_t *meta_owned;
    struct history_text *text; /* JSONL: everything is there */
    bool ended, sealed;
    struct error failure; /* kind NONE: none */
    uint64_t dropped_bytes;
};

/* ---- bytes ---- */

/* 'len' bytes at 'offset', which lie inside the file; NULL: err. */
static const unsigned char *
reader_bytes(struct history_reader *r, uint64_t offset, size_t len,
             struct error *err)
{
    struct reader_window *w = &r->window;

    assert(len <= READER_WINDOW_BYTES && offset + len <= r->size);
    if (offset >= w->offset && offset + len <= w->offset + w->len)
        return w->bytes + (offset - w->offset);
    w->offset = offset;
    w->len = 0;
    while (w->len < len) {
        ssize_t n =
            pread(r->fd, w->bytes + w->len, READER_WINDOW_BYTES - w->len,
                  (off_t)(offset + w->len));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            error_errno(err, ERROR_ENVIRONMENT, n < 0 ? errno : ESTALE,
                        "%s: read at byte %llu", r->path,
                        (unsigned long long)(offset + w->len));
            return NULL;
        }
        w->len += (size_t)n;
    }
    return w->bytes;
}

static int
reader_damage(struct history_reader *r, struct error *err, const char *what)
{
    return error_set(
        err, ERROR_CONFIG,
        "%s: block %llu at byte %llu: %s; the %llu events before it are whole: "
        "take another copy of the file, or judge them alone after "
        "'truncate -s %llu' on a copy",
        r->path, (unsigned long long)r->block_number,
        (unsigned long long)r->block_offset, what,
        (unsigned long long)r->next_event - r->events_left,
        (unsigned long long)r->block_offset);
}

/* ---- decoding: false means that the block is malformed ---- */

/*
 * What is left of a block.  The common things are taken from a local cursor
 * that stays in registers; what is rare (new texts, lists) is a call with a
 * copy of it.
 */
struct cursor {
    const unsigned char *p, *end;
};

static inline bool
get_byte(struct cursor *c, unsigned char *ret)
{
    if (c->p == c->end)
        return false;
    *ret = *c->p++;
    return true;
}

static inline bool
get_varint(struct cursor *c, uint64_t *ret)
{
    uint64_t v = 0;

    if (c->p < c->end && *c->p < 0x80) {
        *ret = *c->p++;
        return true;
    }
    for (int shift = 0; shift < 70; shift += 7) {
        unsigned char byte;

        if (!get_byte(c, &byte) || (shift == 63 && byte > 1))
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static inline bool
get_u32(struct cursor *c, uint32_t *ret)
{
    uint64_t v;

    if (!get_varint(c, &v) || v > UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

static inline bool
get_id(struct cursor *c, struct id128 *ret)
{
    if (c->end - c->p < 16)
        return false;
    ret->lo = history_get_u64(c->p);
    ret->hi = history_get_u64(c->p + 8);
    c->p += 16;
    return true;
}

/* Defined strings differ, so that those of one event compare by address. */
static bool
text_is_defined(const struct history_reader *r, const char *text, size_t len)
{
    for (unsigned i = 0; i < r->text_count; i++)
        if (r->lens[i] == len && memcmp(r->texts[i], text, len) == 0)
            return true;
    return false;
}

static bool
get_new_text(struct history_reader *r, struct cursor *c, bool define,
             const char **ret, uint32_t *ret_len)
{
    uint64_t len;
    const char *text;

    if (!get_varint(c, &len) || len > (uint64_t)(c->end - c->p) ||
        len > VALUE_STRING_MAX ||
        !history_text_valid((const char *)c->p, (size_t)len))
        return false;
    if (define && (r->text_count == HISTORY_DICTIONARY_MAX ||
                   len > HISTORY_DICTIONARY_STRING_MAX ||
                   text_is_defined(r, (const char *)c->p, (size_t)len)))
        return false;
    text = arena_strndup(define ? &r->names : &r->scratch, (const char *)c->p,
                         (size_t)len);
    c->p += len;
    if (define) {
        r->texts[r->text_count] = text;
        r->lens[r->text_count++] = (uint32_t)len;
    }
    *ret = text;
    *ret_len = (uint32_t)len;
    return true;
}

static inline bool
get_text(struct history_reader *r, struct cursor *c, const char **ret,
         uint32_t *ret_len)
{
    uint64_t code;

    if (!get_varint(c, &code))
        return false;
    if (code < HISTORY_STRING_BASE) {
        struct cursor copy = *c;
        bool good =
            get_new_text(r, &copy, code == HISTORY_STRING_DEFINE, ret, ret_len);

        *c = copy;
        return good;
    }
    code -= HISTORY_STRING_BASE;
    if (code >= r->text_count)
        return false;
    *ret = r->texts[code];
    *ret_len = r->lens[code];
    return true;
}

static inline bool
get_name(struct history_reader *r, struct cursor *c, const char **ret)
{
    uint32_t len;

    return get_text(r, c, ret, &len);
}

static bool get_list(struct history_reader *r, struct cursor *c,
                     struct value *ret, int depth);

__attribute__((always_inline)) static inline bool
get_value(struct history_reader *r, struct cursor *c, struct value *ret,
          int depth)
{
    struct cursor copy;
    unsigned char tag;
    uint32_t len;
    uint64_t v;
    bool good;

    if (!get_byte(c, &tag))
        return false;
    switch ((enum history_value_tag)tag) {
    case HISTORY_VALUE_NIL:
        ret->type = VALUE_NULL;
        return true;
    case HISTORY_VALUE_FALSE:
    case HISTORY_VALUE_TRUE:
        ret->type = VALUE_BOOL;
        ret->boolean = tag == HISTORY_VALUE_TRUE;
        return true;
    case HISTORY_VALUE_INT:
        ret->type = VALUE_INT;
        if (!get_varint(c, &v))
            return false;
        ret->integer = history_unzigzag(v);
        return true;
    case HISTORY_VALUE_ID:
        ret->type = VALUE_ID;
        return get_id(c, &ret->id);
    case HISTORY_VALUE_SMALL_ID:
        ret->type = VALUE_ID;
        ret->id.hi = 0;
        return get_varint(c, &ret->id.lo);
    case HISTORY_VALUE_STRING:
        ret->type = VALUE_STRING;
        if (!get_text(r, c, &ret->string.text, &len))
            return false;
        ret->string.len = len;
        return true;
    case HISTORY_VALUE_LIST:
        copy = *c;
        good = get_list(r, &copy, ret, depth);
        *c = copy;
        return good;
    }
    return false;
}

static bool
get_list(struct history_reader *r, struct cursor *c, struct value *ret,
         int depth)
{
    struct value *items;
    uint64_t count;

    /* Every item takes a byte at least: no memory for what is not there. */
    if (depth >= VALUE_DEPTH_MAX || !get_varint(c, &count) ||
        count > VALUE_LIST_MAX || count > (uint64_t)(c->end - c->p))
        return false;
    items = arena_alloc(&r->scratch, count * sizeof(*items) + 1);
    ret->type = VALUE_LIST;
    ret->list.items = items;
    ret->list.count = (size_t)count;
    for (uint64_t i = 0; i < count; i++)
        if (!get_value(r, c, &items[i], depth + 1))
            return false;
    return true;
}

static inline bool
get_fields(struct history_reader *r, struct cursor *c, struct fields *ret)
{
    bool literal = false;
    uint64_t count;

    if (!get_varint(c, &count) || count > FIELDS_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct field *f = &r->fields[i];

        literal |= c->p < c->end && *c->p == HISTORY_STRING_LITERAL;
        if (!get_name(r, c, &f->key) || !get_value(r, c, &f->value, 0))
            return false;
        for (uint64_t j = 0; j < i; j++)
            if (r->fields[j].key == f->key ||
                (literal && strcmp(r->fields[j].key, f->key) == 0))
                return false;
    }
    ret->items = r->fields;
    ret->count = (size_t)count;
    ret->cap = FIELDS_MAX;
    return true;
}

static bool
get_event(struct history_reader *r, struct event *ret)
{
    struct cursor c = {r->p, r->end};
    unsigned char tag;
    uint64_t since;

    memset(ret, 0, sizeof(*ret));
    if (!get_byte(&c, &tag) ||
        (tag & HISTORY_EVENT_KIND_MASK) >= EVENT_KIND_COUNT ||
        !get_varint(&c, &since) || !get_name(r, &c, &ret->function) ||
        !get_u32(&c, &ret->attempt))
        return false;
    ret->kind = (enum event_kind)(tag & HISTORY_EVENT_KIND_MASK);
    ret->time_ns =
        (int64_t)((uint64_t)r->last_ns + (uint64_t)history_unzigzag(since));
    ret->process = HISTORY_PROCESS_NONE;
    if ((tag & HISTORY_EVENT_PROCESS && !get_u32(&c, &ret->process)) ||
        (tag & HISTORY_EVENT_OPERATION && !get_id(&c, &ret->operation)) ||
        (tag & HISTORY_EVENT_NODE && !get_name(r, &c, &ret->node)) ||
        (tag & HISTORY_EVENT_ERROR && !get_name(r, &c, &ret->error)))
        return false;
    if (tag & HISTORY_EVENT_POSITION) {
        ret->position.known = true;
        if (!get_varint(&c, &ret->position.term) ||
            !get_varint(&c, &ret->position.index))
            return false;
    }
    if (!get_fields(r, &c, &ret->fields))
        return false;
    r->p = c.p;
    r->last_ns = ret->time_ns;
    return true;
}

/* ---- blocks ---- */

/* Whether a whole block header stands anywhere behind the bad one. */
static int
reader_block_follows(struct history_reader *r, bool *ret, struct error *err)
{
    uint64_t at = r->block_offset + 1;
    struct history_block b;

    *ret = false;
    while (at + HISTORY_BLOCK_HEADER_BYTES <= r->size) {
        uint64_t rest = r->size - at;
        size_t len =
            rest < READER_WINDOW_BYTES ? (size_t)rest : READER_WINDOW_BYTES;
        const unsigned char *p = reader_bytes(r, at, len, err);

        if (p == NULL)
            return -1;
        for (size_t i = 0; i + HISTORY_BLOCK_HEADER_BYTES <= len; i++) {
            if (p[i] == (HISTORY_BLOCK_MAGIC & 0xff) &&
                history_block_unpack(p + i, &b)) {
                *ret = true;
                return 0;
            }
        }
        at += len - HISTORY_BLOCK_HEADER_BYTES + 1;
    }
    return 0;
}

/* The bytes from here on are no whole block: torn, or damaged? */
static int
reader_bad_block(struct history_reader *r, const char *what, struct error *err)
{
    bool follows;

    if (reader_block_follows(r, &follows, err) < 0)
        return -1;
    if (follows)
        return reader_damage(r, err, what);
    r->dropped_bytes = r->size - r->block_offset;
    r->ended = true;
    return 0;
}

static int
reader_unpack(struct history_reader *r, const struct history_block *b,
              const unsigned char *payload, struct error *err)
{
    size_t n;

    if (!(b->flags & HISTORY_FLAG_ZSTD)) {
        if (b->stored_bytes != b->raw_bytes)
            return reader_damage(r, err, "contradicts its own length");
        r->p = payload;
        r->end = payload + b->stored_bytes;
        return 0;
    }
    if (r->raw == NULL)
        r->raw = xcalloc(1, HISTORY_BLOCK_BYTES_MAX);
    n = ZSTD_decompressDCtx(r->zstd, r->raw, b->raw_bytes, payload,
                            b->stored_bytes);
    if (ZSTD_isError(n) || n != b->raw_bytes)
        return reader_damage(r, err, "does not unpack");
    r->p = r->raw;
    r->end = r->raw + b->raw_bytes;
    return 0;
}

/*
 * Header and payload of the block at block_offset, checked.  1; 0: the end
 * (torn or not); -1.
 */
static int
reader_load(struct history_reader *r, struct error *err)
{
    struct history_block *b = &r->block;
    uint64_t rest = r->size - r->block_offset;
    const unsigned char *bytes;

    if (rest == 0) {
        r->ended = true;
        return 0;
    }
    if (rest < HISTORY_BLOCK_HEADER_BYTES)
        return reader_bad_block(r, "cut short", err);
    bytes = reader_bytes(r, r->block_offset, HISTORY_BLOCK_HEADER_BYTES, err);
    if (bytes == NULL)
        return -1;
    if (!history_block_unpack(bytes, b))
        return reader_bad_block(r, "bad checksum of its header", err);
    if (b->stored_bytes > HISTORY_BLOCK_BYTES_MAX ||
        b->raw_bytes > HISTORY_BLOCK_BYTES_MAX)
        return reader_damage(r, err, "larger than the format allows");
    if (b->stored_bytes > rest - HISTORY_BLOCK_HEADER_BYTES)
        return reader_bad_block(r, "cut short", err);
    bytes = reader_bytes(r, r->block_offset,
                         HISTORY_BLOCK_HEADER_BYTES + b->stored_bytes, err);
    if (bytes == NULL)
        return -1;
    bytes += HISTORY_BLOCK_HEADER_BYTES;
    if (crc32c(0, bytes, b->stored_bytes) != b->payload_crc)
        return reader_bad_block(r, "bad checksum of its contents", err);
    if (b->chain != r->chain)
        return reader_damage(r, err, "does not continue the block before it");
    if (b->first_event != r->next_event)
        return reader_damage(r, err, "has the wrong event number");
    return reader_unpack(r, b, bytes, err) < 0 ? -1 : 1;
}

static void
reader_advance(struct history_reader *r)
{
    r->block_offset += HISTORY_BLOCK_HEADER_BYTES + r->block.stored_bytes;
    r->block_number++;
    r->chain = r->block.header_crc;
}

static int
reader_take_seal(struct history_reader *r, struct error *err)
{
    uint64_t end =
        r->block_offset + HISTORY_BLOCK_HEADER_BYTES + r->block.stored_bytes;

    if (r->end - r->p != HISTORY_SEAL_BYTES || r->block.event_count != 0)
        return reader_damage(r, err, "is a malformed seal");
    if (history_get_u64(r->p) != r->next_event ||
        history_get_u64(r->p + 8) != r->block_number ||
        history_get_u64(r->p + 16) != r->block_offset)
        return reader_damage(r, err, "seals another history than this");
    if (end != r->size)
        return reader_damage(r, err, "is a seal, but bytes follow it");
    r->sealed = true;
    r->ended = true;
    return 0;
}

/* The next block with events: 1; 0: the end; -1. */
static int
reader_next_block(struct history_reader *r, struct error *err)
{
    for (;;) {
        int status = reader_load(r, err);

        if (status <= 0)
            return status;
        if (r->block.kind == HISTORY_BLOCK_SEAL)
            return reader_take_seal(r, err);
        if (r->block.kind == HISTORY_BLOCK_EVENTS) {
            if (r->block.event_count == 0)
                return reader_damage(r, err, "has no events");
            r->events_left = r->block.event_count;
            r->next_event += r->block.event_count;
            return 1;
        }
        if (!(r->block.kind & HISTORY_BLOCK_SKIPPABLE) ||
            r->block.event_count != 0)
            return reader_damage(r, err, "is of a kind unknown here");
        reader_advance(r);
    }
}

static int
reader_next(struct history_reader *r, struct event *ret, struct error *err)
{
    if (r->events_left == 0) {
        int status = r->ended ? 0 : reader_next_block(r, err);

        if (status <= 0)
            return status;
    }
    if (r->scratch.used_bytes > 0)
        arena_reset(&r->scratch);
    if (!get_event(r, ret))
        return reader_damage(r, err, "holds a malformed event");
    ret->index = r->next_event - r->events_left;
    if (--r->events_left == 0) {
        if (r->p != r->end)
            return reader_damage(r, err, "has bytes left over");
        /* The event may point into the block: nothing is loaded yet. */
        reader_advance(r);
    }
    return 1;
}

int
history_next(struct history_reader *r, struct event *ret, struct error *err)
{
    int status;

    if (r->text != NULL)
        return history_text_next(r->text, ret, err);
    if (r->failure.kind != ERROR_NONE) {
        *err = r->failure;
        return -1;
    }
    status = reader_next(r, ret, err);
    if (status < 0)
        r->failure = *err;
    return status;
}

/* ---- life ---- */

static int
reader_load_meta(struct history_reader *r, struct error *err)
{
    json_error_t why;
    int status = reader_load(r, err);

    if (status < 0)
        return -1;
    if (status == 0)
        return error_set(err, ERROR_CONFIG,
                         "%s: ends before its meta block does: the run died "
                         "before it recorded anything",
                         r->path);
    if (r->block.kind != HISTORY_BLOCK_META || r->block.event_count != 0)
        return reader_damage(r, err, "is not the meta block");
    r->meta_owned = json_loadb((const char *)r->p, (size_t)(r->end - r->p),
                               JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(r->meta_owned))
        return reader_damage(r, err, "has a meta that is no JSON object");
    r->meta = r->meta_owned;
    reader_advance(r);
    return 0;
}

static int
reader_open_binary(struct history_reader *r, struct error *err)
{
    const unsigned char *bytes;
    const char *problem;

    r->window.bytes = xcalloc(1, READER_WINDOW_BYTES);
    r->zstd = ZSTD_createDCtx();
    assert(r->zstd != NULL);
    if (r->size < HISTORY_FILE_HEADER_BYTES)
        return error_set(err, ERROR_CONFIG,
                         "%s: only %llu bytes: no history, or one whose run "
                         "died at once",
                         r->path, (unsigned long long)r->size);
    bytes = reader_bytes(r, 0, HISTORY_FILE_HEADER_BYTES, err);
    if (bytes == NULL)
        return -1;
    problem = history_file_header_check(bytes, &r->chain);
    if (problem != NULL)
        return error_set(err, ERROR_CONFIG, "%s: %s", r->path, problem);
    r->block_offset = HISTORY_FILE_HEADER_BYTES;
    return reader_load_meta(r, err);
}

/* A bundle stands for its history. */
static void
reader_enter_bundle(struct history_reader *r)
{
    struct stat st;
    char *inner;

    if (stat(r->path, &st) < 0 || !S_ISDIR(st.st_mode))
        return;
    inner = xasprintf("%s/" HISTORY_FILE_NAME, r->path);
    free(r->path);
    r->path = inner;
}

/* Our JSONL begins with '{'; the binary form with a byte that is no text. */
static int
reader_open_file(struct history_reader *r, struct error *err)
{
    struct stat st;
    char first = '\0';

    reader_enter_bundle(r);
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &st) < 0)
        return error_errno(err, ERROR_CONFIG, errno, "%s", r->path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_CONFIG, "%s: not a regular file", r->path);
    r->size = (uint64_t)st.st_size;
    if (pread(r->fd, &first, 1, 0) == 1 && first == '{') {
        FILE *file = fdopen(r->fd, "r");

        if (file == NULL)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", r->path);
        r->fd = -1;
        r->text = history_text_new(r->path, file, &r->meta, err);
        return r->text == NULL ? -1 : 0;
    }
    return reader_open_binary(r, err);
}

struct history_reader *
history_reader_open(const char *path, struct error *err)
{
    struct history_reader *r = xcalloc(1, sizeof(*r));

    r->fd = -1;
    r->path = xstrdup(path);
    arena_init(&r->names);
    arena_init(&r->scratch);
    if (reader_open_file(r, err) < 0) {
        history_reader_free(r);
        return NULL;
    }
    return r;
}

void
history_reader_free(struct history_reader *r)
{
    if (r == NULL)
        return;
    history_text_free(r->text);
    if (r->fd >= 0)
        close(r->fd);
    json_decref(r->meta_owned);
    ZSTD_freeDCtx(r->zstd);
    arena_release(&r->names);
    arena_release(&r->scratch);
    free(r->window.bytes);
    free(r->raw);
    free(r->path);
    free(r);
}

const json_t *
history_reader_meta(const struct history_reader *r)
{
    return r->meta;
}

bool
history_reader_sealed(const struct history_reader *r)
{
    return r->text != NULL ? history_text_sealed(r->text) : r->sealed;
}

uint64_t
history_reader_dropped_bytes(const struct history_reader *r)
{
    return r->dropped_bytes;
}
