/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An append takes the lock, stamps the event and encodes it behind the others
 * in the open buffer.  Who needs it written becomes the leader: swaps the open
 * buffer for the empty one, lets the lock go, packs the block and writes it in
 * one write(2); everybody who came meanwhile shares the next block (group
 * commit).  A thread of the writer's own makes sure that nothing waits in the
 * buffer, or between write(2) and the disk, for longer than
 * HISTORY_FSYNC_INTERVAL_NS.
 *
 * An event that cannot be encoded (too large, not UTF-8) is refused and leaves
 * no trace.  A failed write is cut off again with ftruncate, so that the file
 * ends with a whole block, and fails the writer for good: the dictionary in
 * the lost block is gone with it, and a history with a hole must not be
 * extended.  The same holds for a failed fdatasync: the kernel may have
 * dropped what it could not write and says so only once.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "harness/base/arena.h"
#include "harness/base/crc32c.h"
#include "harness/base/file.h"
#include "harness/base/history-format.h"

/* A buffered append writes when this much waits: large enough to compress. */
#define WRITER_FLUSH_BYTES (128u << 10)
/* Below this, compression saves less than the block's header costs. */
#define WRITER_COMPRESS_BYTES_MIN 4096
/* An append waits for the writing of others no longer than this. */
#define WRITER_STALL_NS (60 * NS_PER_S)
/* Twice the entries, so that probes stay short. */
#define WRITER_HASH_SLOTS (2 * HISTORY_DICTIONARY_MAX)

/* Room for the block's header in front, so that one write takes both. */
struct writer_buffer {
    unsigned char *bytes;
    size_t len; /* of the payload */
    uint32_t event_count;
};

struct writer_dictionary {
    struct arena arena;
    const char *texts[HISTORY_DICTIONARY_MAX];
    uint8_t lens[HISTORY_DICTIONARY_MAX];
    uint32_t hashes[HISTORY_DICTIONARY_MAX];
    uint16_t slots[WRITER_HASH_SLOTS]; /* number + 1; 0: free */
    unsigned count;
};

struct history_writer {
    pthread_mutex_t lock;
    pthread_cond_t written;  /* a write ended */
    pthread_cond_t stopping; /* wakes the sync thread */
    struct clock *clock;
    char *path;
    int fd;
    pthread_t sync_thread;
    bool stop, writing;
    bool failed;
    struct error failure;
    struct writer_buffer buffers[2];
    int open; /* the buffer that takes appends */
    struct writer_dictionary dictionary;
    int64_t last_ns;
    uint64_t appended, written_events, synced_events;
    void (*tap)(void *ctx, const struct event *event);
    void *tap_ctx;
    struct history_stat shown; /* what the leader found, under the lock */
    /* Of the leader alone, while 'writing'. */
    uint64_t block_count, byte_count;
    uint32_t chain;
    ZSTD_CCtx *zstd;
    unsigned char *packed;
};

/* ---- encoding ---- */

struct encoder {
    unsigned char *p, *end;
    struct writer_dictionary *dictionary;
    const char *problem; /* the first; nothing is written after it */
};

static bool
encoder_room(struct encoder *e, size_t len)
{
    if ((size_t)(e->end - e->p) >= len)
        return true;
    if (e->problem == NULL)
        e->problem = "larger than the format allows";
    e->end = e->p;
    return false;
}

static void
put_varint(struct encoder *e, uint64_t v)
{
    if (!encoder_room(e, 10))
        return;
    while (v >= 0x80) {
        *e->p++ = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    *e->p++ = (unsigned char)v;
}

static void
put_byte(struct encoder *e, unsigned char byte)
{
    if (encoder_room(e, 1))
        *e->p++ = byte;
}

static void
put_id(struct encoder *e, struct id128 id)
{
    if (!encoder_room(e, 16))
        return;
    history_put_u64(e->p, id.lo);
    history_put_u64(e->p + 8, id.hi);
    e->p += 16;
}

static uint32_t
text_hash(const char *text, size_t len)
{
    uint32_t h = UINT32_C(2166136261); /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * UINT32_C(16777619);
    return h;
}

/* The slot of the text, or the free one where it would go. */
static unsigned
dictionary_slot(const struct writer_dictionary *d, const char *text, size_t len,
                uint32_t hash)
{
    unsigned slot = hash % WRITER_HASH_SLOTS;

    while (d->slots[slot] != 0) {
        unsigned n = d->slots[slot] - 1u;

        if (d->hashes[n] == hash && d->lens[n] == len &&
            memcmp(d->texts[n], text, len) == 0)
            break;
        slot = (slot + 1) % WRITER_HASH_SLOTS;
    }
    return slot;
}

/* Forgets the newest definitions: those of an event that was refused. */
static void
dictionary_rewind(struct writer_dictionary *d, unsigned count)
{
    d->count = count;
    memset(d->slots, 0, sizeof(d->slots));
    for (unsigned n = 0; n < count; n++) {
        unsigned slot =
            dictionary_slot(d, d->texts[n], d->lens[n], d->hashes[n]);

        d->slots[slot] = (uint16_t)(n + 1);
    }
}

static void
put_text(struct encoder *e, const char *text, size_t len, unsigned define_max)
{
    struct writer_dictionary *d = e->dictionary;
    bool define = false;

    if (len <= HISTORY_DICTIONARY_STRING_MAX) {
        uint32_t hash = text_hash(text, len);
        unsigned slot = dictionary_slot(d, text, len, hash);

        if (d->slots[slot] != 0) {
            put_varint(e, d->slots[slot] - 1u + HISTORY_STRING_BASE);
            return;
        }
        define = d->count < define_max && history_text_valid(text, len);
        if (define) {
            d->texts[d->count] = arena_strndup(&d->arena, text, len);
            d->lens[d->count] = (uint8_t)len;
            d->hashes[d->count] = hash;
            d->slots[slot] = (uint16_t)++d->count;
        }
    }
    if (!define && !history_text_valid(text, len) && e->problem == NULL)
        e->problem = "a string is not UTF-8 without NUL";
    put_varint(e, define ? HISTORY_STRING_DEFINE : HISTORY_STRING_LITERAL);
    put_varint(e, len);
    if (encoder_room(e, len) && len > 0) {
        memcpy(e->p, text, len);
        e->p += len;
    }
}

static void
put_name(struct encoder *e, const char *name)
{
    put_text(e, name, strlen(name), HISTORY_DICTIONARY_MAX);
}

static void
put_value(struct encoder *e, const struct value *v, int depth)
{
    switch (v->type) {
    case VALUE_NULL:
        put_byte(e, HISTORY_VALUE_NIL);
        return;
    case VALUE_BOOL:
        put_byte(e, v->boolean ? HISTORY_VALUE_TRUE : HISTORY_VALUE_FALSE);
        return;
    case VALUE_INT:
        put_byte(e, HISTORY_VALUE_INT);
        put_varint(e, history_zigzag(v->integer));
        return;
    case VALUE_ID:
        put_byte(e, v->id.hi == 0 ? HISTORY_VALUE_SMALL_ID : HISTORY_VALUE_ID);
        if (v->id.hi == 0)
            put_varint(e, v->id.lo);
        else
            put_id(e, v->id);
        return;
    case VALUE_STRING:
        put_byte(e, HISTORY_VALUE_STRING);
        if (v->string.len > VALUE_STRING_MAX && e->problem == NULL)
            e->problem = "a string is too long";
        put_text(e, v->string.text, v->string.len,
                 HISTORY_DICTIONARY_VALUES_MAX);
        return;
    case VALUE_LIST:
        if ((depth >= VALUE_DEPTH_MAX || v->list.count > VALUE_LIST_MAX) &&
            e->problem == NULL)
            e->problem = "a list is too long or too deep";
        if (e->problem != NULL)
            return;
        put_byte(e, HISTORY_VALUE_LIST);
        put_varint(e, v->list.count);
        for (size_t i = 0; i < v->list.count && e->problem == NULL; i++)
            put_value(e, &v->list.items[i], depth + 1);
        return;
    }
    assert(!"value of an unknown type");
}

/* A reader refuses what would lose a field on the way to JSON. */
static void
check_keys(struct encoder *e, const struct fields *f)
{
    for (size_t i = 1; i < f->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(f->items[i].key, f->items[k].key) == 0)
                e->problem = "two fields have one name";
}

static void
put_event(struct encoder *e, const struct event *event, int64_t since_ns)
{
    unsigned tag = event->kind;

    if (!id128_is_zero(event->operation))
        tag |= HISTORY_EVENT_OPERATION;
    if (event->position.known)
        tag |= HISTORY_EVENT_POSITION;
    if (event->node != NULL)
        tag |= HISTORY_EVENT_NODE;
    if (event->error != NULL)
        tag |= HISTORY_EVENT_ERROR;
    if (event->process != HISTORY_PROCESS_NONE)
        tag |= HISTORY_EVENT_PROCESS;
    put_byte(e, (unsigned char)tag);
    put_varint(e, history_zigzag((int64_t)((uint64_t)event->time_ns -
                                           (uint64_t)since_ns)));
    put_name(e, event->function);
    put_varint(e, event->attempt);
    if (tag & HISTORY_EVENT_PROCESS)
        put_varint(e, event->process);
    if (tag & HISTORY_EVENT_OPERATION)
        put_id(e, event->operation);
    if (tag & HISTORY_EVENT_NODE)
        put_name(e, event->node);
    if (tag & HISTORY_EVENT_ERROR)
        put_name(e, event->error);
    if (tag & HISTORY_EVENT_POSITION) {
        put_varint(e, event->position.term);
        put_varint(e, event->position.index);
    }
    check_keys(e, &event->fields);
    put_varint(e, event->fields.count);
    for (size_t i = 0; i < event->fields.count; i++) {
        put_name(e, event->fields.items[i].key);
        put_value(e, &event->fields.items[i].value, 0);
    }
}

/* ---- blocks ---- */

/* Remembers the first failure; what the file has is all it will ever have. */
static void
writer_fail(struct history_writer *w, const struct error *failure)
{
    if (!w->failed)
        w->failure = *failure;
    w->failed = true;
    pthread_cond_broadcast(&w->written);
}

/* Writes 'len' bytes at the end, or leaves the file as it was. */
static int
writer_put(struct history_writer *w, const void *bytes, size_t len,
           struct error *err)
{
    int saved;

    if (file_write_all(w->fd, bytes, len) == 0) {
        w->byte_count += len;
        return 0;
    }
    saved = errno;
    if (ftruncate(w->fd, (off_t)w->byte_count) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, saved,
                           "%s: write failed at byte %llu, and cutting off "
                           "the partial block failed too (%s)",
                           w->path, (unsigned long long)w->byte_count,
                           strerror(errno));
    return error_errno(err, ERROR_ENVIRONMENT, saved,
                       "%s: write failed at byte %llu, history ends there",
                       w->path, (unsigned long long)w->byte_count);
}

/* 'payload' has HISTORY_BLOCK_HEADER_BYTES of room in front. */
static int
writer_put_block(struct history_writer *w, struct history_block *b,
                 unsigned char *bytes, struct error *err)
{
    unsigned char *payload = bytes + HISTORY_BLOCK_HEADER_BYTES;
    size_t packed;

    b->stored_bytes = b->raw_bytes;
    if (b->raw_bytes >= WRITER_COMPRESS_BYTES_MIN) {
        packed =
            ZSTD_compressCCtx(w->zstd, w->packed + HISTORY_BLOCK_HEADER_BYTES,
                              b->raw_bytes - 1, payload, b->raw_bytes, 1);
        if (!ZSTD_isError(packed)) {
            b->flags |= HISTORY_FLAG_ZSTD;
            b->stored_bytes = (uint32_t)packed;
            bytes = w->packed;
            payload = bytes + HISTORY_BLOCK_HEADER_BYTES;
        }
    }
    b->chain = w->chain;
    b->payload_crc = crc32c(0, payload, b->stored_bytes);
    history_block_pack(b, bytes);
    if (writer_put(w, bytes, HISTORY_BLOCK_HEADER_BYTES + b->stored_bytes,
                   err) < 0)
        return -1;
    w->chain = b->header_crc;
    w->block_count++;
    return 0;
}

static void
writer_show(struct history_writer *w)
{
    w->shown.block_count = w->block_count;
    w->shown.byte_count = w->byte_count;
}

/*
 * The leader's turn: takes the open buffer, leaves the other one to appends,
 * and writes without the lock.  The lock is held on entry and on return.
 */
static void
writer_lead(struct history_writer *w)
{
    struct writer_buffer *full = &w->buffers[w->open];
    struct history_block b = {
        .kind = HISTORY_BLOCK_EVENTS,
        .raw_bytes = (uint32_t)full->len,
        .first_event = w->written_events,
        .event_count = full->event_count,
    };
    struct error err;
    int status;

    assert(!w->writing && full->event_count > 0);
    w->writing = true;
    w->open = !w->open;
    pthread_mutex_unlock(&w->lock);
    status = writer_put_block(w, &b, full->bytes, &err);
    pthread_mutex_lock(&w->lock);
    w->writing = false;
    full->len = 0;
    full->event_count = 0;
    writer_show(w);
    if (status == 0) {
        w->written_events += b.event_count;
        pthread_cond_broadcast(&w->written);
    } else {
        writer_fail(w, &err);
    }
}

static void
deadline_after(int64_t ns, struct timespec *ret)
{
    clock_gettime(CLOCK_MONOTONIC, ret);
    ns += ret->tv_nsec;
    ret->tv_sec += ns / NS_PER_S;
    ret->tv_nsec = ns % NS_PER_S;
}

/* Waits for the leader; a disk that stalls beyond all patience is a failure. */
static void
writer_wait(struct history_writer *w, const struct timespec *deadline)
{
    struct error err;

    if (pthread_cond_timedwait(&w->written, &w->lock, deadline) != ETIMEDOUT)
        return;
    error_set(&err, ERROR_ENVIRONMENT,
              "%s: a write has not returned for %d s: the disk stalls", w->path,
              (int)(WRITER_STALL_NS / NS_PER_S));
    writer_fail(w, &err);
}

/* Returns when the first 'count' events are written, or the writer failed. */
static void
writer_flush(struct history_writer *w, uint64_t count)
{
    struct timespec deadline;
    bool waited = false;

    while (w->written_events < count && !w->failed) {
        if (!w->writing) {
            writer_lead(w);
            continue;
        }
        if (!waited)
            deadline_after(WRITER_STALL_NS, &deadline);
        waited = true;
        writer_wait(w, &deadline);
    }
}

static int
writer_status(const struct history_writer *w, struct error *err)
{
    if (!w->failed)
        return 0;
    *err = w->failure;
    return -1;
}

/* ---- appending ---- */

static int
writer_encode(struct history_writer *w, struct event *event, struct error *err)
{
    struct writer_buffer *b = &w->buffers[w->open];
    unsigned char *start = b->bytes + HISTORY_BLOCK_HEADER_BYTES + b->len;
    unsigned defined = w->dictionary.count;
    struct encoder e = {.p = start,
                        .end = start + HISTORY_EVENT_BYTES_MAX,
                        .dictionary = &w->dictionary};

    put_event(&e, event, w->last_ns);
    if (e.problem != NULL) {
        if (w->dictionary.count != defined)
            dictionary_rewind(&w->dictionary, defined);
        return error_set(err, ERROR_BUG, "%s: event '%.40s' is refused: %s",
                         w->path, event->function, e.problem);
    }
    b->len += (size_t)(e.p - start);
    b->event_count++;
    w->last_ns = event->time_ns;
    event->index = w->appended++;
    return 0;
}

static int
writer_append(struct history_writer *w, struct event *event,
              enum history_append_mode mode, bool stamp, struct error *err)
{
    int status;

    assert(event->function != NULL);
    assert((unsigned)event->kind < EVENT_KIND_COUNT);
    assert(event->fields.count <= FIELDS_MAX);
    pthread_mutex_lock(&w->lock);
    /* A full buffer behind a slow write: its writers wait, memory does not. */
    while (!w->failed && w->buffers[w->open].len >=
                             HISTORY_BLOCK_BYTES_MAX - HISTORY_EVENT_BYTES_MAX)
        writer_flush(w, w->appended);
    status = writer_status(w, err);
    if (status == 0) {
        if (stamp && event->time_ns == 0)
            event->time_ns = clock_now_ns(w->clock);
        status = writer_encode(w, event, err);
    }
    if (status == 0) {
        if (mode == HISTORY_BEFORE_SEND)
            writer_flush(w, w->appended);
        else if (w->buffers[w->open].len >= WRITER_FLUSH_BYTES && !w->writing)
            writer_lead(w);
        status = writer_status(w, err);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

int
history_append(struct history_writer *w, struct event *event,
               enum history_append_mode mode, struct error *err)
{
    void (*tap)(void *ctx, const struct event *event);
    void *ctx;

    if (writer_append(w, event, mode, true, err) < 0)
        return -1;
    pthread_mutex_lock(&w->lock);
    tap = w->tap;
    ctx = w->tap_ctx;
    pthread_mutex_unlock(&w->lock);
    if (tap != NULL)
        tap(ctx, event);
    return 0;
}

void
history_writer_tap(struct history_writer *w,
                   void (*tap)(void *ctx, const struct event *event), void *ctx)
{
    pthread_mutex_lock(&w->lock);
    w->tap = tap;
    w->tap_ctx = ctx;
    pthread_mutex_unlock(&w->lock);
}

int
history_append_as_is(struct history_writer *w, struct event *event,
                     struct error *err)
{
    return writer_append(w, event, HISTORY_BUFFERED, false, err);
}

void
history_writer_stat(struct history_writer *w, struct history_stat *ret)
{
    pthread_mutex_lock(&w->lock);
    *ret = w->shown;
    ret->event_count = w->appended;
    pthread_mutex_unlock(&w->lock);
}

/* ---- sync ---- */

/* The lock is held on entry and on return, not while the disk works. */
static void
writer_sync(struct history_writer *w)
{
    struct error err;
    uint64_t upto;
    int status;

    writer_flush(w, w->appended);
    upto = w->written_events;
    if (w->failed || w->synced_events == upto)
        return;
    pthread_mutex_unlock(&w->lock);
    status = fdatasync(w->fd);
    if (status < 0)
        error_errno(&err, ERROR_ENVIRONMENT, errno, "%s: fdatasync", w->path);
    pthread_mutex_lock(&w->lock);
    if (status < 0)
        writer_fail(w, &err);
    else if (w->synced_events < upto)
        w->synced_events = upto;
}

static void *
writer_sync_main(void *arg)
{
    struct history_writer *w = arg;
    struct timespec deadline;

    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        deadline_after(HISTORY_FSYNC_INTERVAL_NS, &deadline);
        while (!w->stop && pthread_cond_timedwait(&w->stopping, &w->lock,
                                                  &deadline) != ETIMEDOUT)
            ;
        if (!w->stop)
            writer_sync(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int
history_sync(struct history_writer *w, struct error *err)
{
    int status;

    pthread_mutex_lock(&w->lock);
    writer_sync(w);
    status = writer_status(w, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

/* ---- life ---- */

static void
writer_free(struct history_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    for (int i = 0; i < 2; i++)
        free(w->buffers[i].bytes);
    free(w->packed);
    ZSTD_freeCCtx(w->zstd);
    arena_release(&w->dictionary.arena);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->written);
    pthread_cond_destroy(&w->stopping);
    free(w->path);
    free(w);
}

static struct history_writer *
writer_new(const char *path, struct clock *clock)
{
    struct history_writer *w = xcalloc(1, sizeof(*w));
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->written, &monotonic);
    pthread_cond_init(&w->stopping, &monotonic);
    pthread_condattr_destroy(&monotonic);
    arena_init(&w->dictionary.arena);
    w->path = xstrdup(path);
    w->clock = clock;
    w->fd = -1;
    for (int i = 0; i < 2; i++)
        w->buffers[i].bytes =
            xcalloc(1, HISTORY_BLOCK_HEADER_BYTES + HISTORY_BLOCK_BYTES_MAX);
    w->packed =
        xcalloc(1, HISTORY_BLOCK_HEADER_BYTES + HISTORY_BLOCK_BYTES_MAX);
    w->zstd = ZSTD_createCCtx();
    assert(w->zstd != NULL);
    return w;
}

/* The header and the META block, on disk before the first event. */
static int
writer_put_meta(struct history_writer *w, const json_t *meta, struct error *err)
{
    unsigned char header[HISTORY_FILE_HEADER_BYTES];
    CLEANUP_FREE char *text = json_dumps(meta, JSON_COMPACT);
    CLEANUP_FREE char *copy = xstrdup(w->path);
    struct history_block b = {.kind = HISTORY_BLOCK_META};

    if (text == NULL || strlen(text) > HISTORY_BLOCK_BYTES_MAX)
        return error_set(err, ERROR_BUG,
                         "%s: meta is no JSON, or larger than %u bytes",
                         w->path, HISTORY_BLOCK_BYTES_MAX);
    w->chain = history_file_header_pack(header);
    if (writer_put(w, header, sizeof(header), err) < 0)
        return -1;
    b.raw_bytes = (uint32_t)strlen(text);
    memcpy(w->buffers[0].bytes + HISTORY_BLOCK_HEADER_BYTES, text, b.raw_bytes);
    if (writer_put_block(w, &b, w->buffers[0].bytes, err) < 0)
        return -1;
    if (fdatasync(w->fd) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: fdatasync",
                           w->path);
    return dir_sync(dirname(copy), err);
}

struct history_writer *
history_writer_open(const char *path, json_t *meta, struct clock *clock,
                    struct error *err)
{
    struct history_writer *w = writer_new(path, clock);
    int status;

    assert(json_is_object(meta));
    w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (w->fd < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
        writer_free(w);
        return NULL;
    }
    if (writer_put_meta(w, meta, err) < 0) {
        unlink(path);
        writer_free(w);
        return NULL;
    }
    writer_show(w);
    status = pthread_create(&w->sync_thread, NULL, writer_sync_main, w);
    if (status != 0) {
        error_errno(err, ERROR_ENVIRONMENT, status, "%s: thread", path);
        unlink(path);
        writer_free(w);
        return NULL;
    }
    return w;
}

/* Stops the sync thread and writes what waits. */
static int
writer_stop(struct history_writer *w, struct error *err)
{
    int status;

    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->stopping);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->sync_thread, NULL);
    pthread_mutex_lock(&w->lock);
    writer_flush(w, w->appended);
    status = writer_status(w, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

static int
writer_put_seal(struct history_writer *w, struct error *err)
{
    unsigned char bytes[HISTORY_BLOCK_HEADER_BYTES + HISTORY_SEAL_BYTES];
    unsigned char *payload = bytes + HISTORY_BLOCK_HEADER_BYTES;
    struct history_block b = {
        .kind = HISTORY_BLOCK_SEAL,
        .raw_bytes = HISTORY_SEAL_BYTES,
        .first_event = w->appended,
    };

    history_put_u64(payload, w->appended);
    history_put_u64(payload + 8, w->block_count);
    history_put_u64(payload + 16, w->byte_count);
    if (writer_put_block(w, &b, bytes, err) < 0)
        return -1;
    if (fdatasync(w->fd) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: fdatasync",
                           w->path);
    return 0;
}

int
history_seal(struct history_writer *w, struct error *err)
{
    int status = writer_stop(w, err);

    if (status == 0)
        status = writer_put_seal(w, err);
    writer_free(w);
    return status;
}

void
history_writer_abandon(struct history_writer *w)
{
    struct error ignored;

    if (w == NULL)
        return;
    writer_stop(w,
                &ignored); /* best effort: the caller knows or has given up */
    writer_free(w);
}
