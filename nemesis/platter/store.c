/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write copies its data into a record at the end of the log and points the
 * map at it.  Records leave at the front only, oldest first, so that every
 * sector of the stable file sees its writes in their order.
 *
 * Above the bound the oldest records are written back, as any disk may at any
 * time; a guest that never flushes therefore costs bounded memory, and at
 * most the newest 'bound' bytes are at risk.
 *
 * Failure modes: the host's disk refuses (full, or failing): the record stays
 * at the front of the log and the caller sees the error; nothing is skipped.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "nemesis/platter/stable.h"
#include "nemesis/platter/store.h"

void
store_init(struct store *s, int fd, uint64_t size, uint64_t bound_bytes)
{
    assert(size % STORE_SECTOR_BYTES == 0);
    memset(s, 0, sizeof(*s));
    s->fd = fd;
    s->size = size;
    s->bound_bytes = bound_bytes;
    s->tail = &s->head;
    s->generation = 1;
    s->powered = true;
}

void
store_release(struct store *s)
{
    store_lose(s);
    free(s->stale);
    free(s->flips);
    memset(s, 0, sizeof(*s));
}

static uint64_t
store_cost(const struct store_record *r)
{
    return sizeof(*r) + sizeof(struct extent) +
           (r->kind == STORE_WRITE ? r->length : 0);
}

/* ---- the front of the log ---- */

static void
store_drop_head(struct store *s)
{
    struct store_record *r = s->head;

    s->head = r->next;
    if (s->head == NULL)
        s->tail = &s->head;
    s->stats.records--;
    s->stats.bytes -= store_cost(r);
    free(r);
}

static int
store_apply_head(struct store *s)
{
    struct store_record *r = s->head;
    int rc = stable_apply(s->fd, r, 0, r->length);

    if (rc < 0)
        return rc;
    extents_forget(&s->map, r->offset, r->offset + r->length, r);
    store_drop_head(s);
    return 0;
}

/* Applies the oldest records up to and with 'sequence'. */
static int
store_write_back(struct store *s, uint64_t sequence)
{
    int rc = 0;

    while (rc == 0 && s->head != NULL && s->head->sequence <= sequence)
        rc = store_apply_head(s);
    return rc;
}

void
store_lose(struct store *s)
{
    extents_clear(&s->map);
    while (s->head != NULL)
        store_drop_head(s);
}

/* ---- reading ---- */

static void
store_overlay(const struct store *s, unsigned char *buf, uint64_t start,
              uint64_t end)
{
    const struct extent *e;

    for (uint64_t at = start; (e = extents_first(&s->map, at, end)) != NULL;) {
        uint64_t from = e->start > start ? e->start : start;
        uint64_t to = e->end < end ? e->end : end;

        if (e->record->kind == STORE_WRITE)
            memcpy(buf + (from - start),
                   e->record->data + (from - e->record->offset), to - from);
        else
            memset(buf + (from - start), 0, to - from);
        at = to;
    }
}

static void
store_read_stale(struct store *s, unsigned char *buf, uint64_t start,
                 uint64_t end)
{
    uint64_t stale_end = s->stale_offset + s->stale_length;
    uint64_t from = start > s->stale_offset ? start : s->stale_offset;
    uint64_t to = end < stale_end ? end : stale_end;
    const unsigned char *old;

    if (s->stale == NULL || from >= to)
        return;
    old = s->stale + (from - s->stale_offset);
    __atomic_add_fetch(&s->stats.stale_seen, 1, __ATOMIC_RELAXED);
    if (memcmp(buf + (from - start), old, to - from) == 0)
        return;
    __atomic_add_fetch(&s->stats.stale_hit, 1, __ATOMIC_RELAXED);
    memcpy(buf + (from - start), old, to - from);
}

int
store_read(struct store *s, void *buf, uint64_t length, uint64_t offset)
{
    int rc;

    assert(offset <= s->size && length <= s->size - offset);
    rc = stable_read(s->fd, buf, length, offset);
    if (rc < 0)
        return rc;
    store_overlay(s, buf, offset, offset + length);
    store_read_stale(s, buf, offset, offset + length);
    return 0;
}

/* ---- writing ---- */

static struct store_record *
store_record_new(enum store_kind kind, const void *data, uint64_t length,
                 uint64_t offset)
{
    size_t bytes = kind == STORE_WRITE ? length : 0;
    struct store_record *r = malloc(sizeof(*r) + bytes);

    if (r == NULL)
        return NULL; /* the one large allocation: a full host is an error */
    *r =
        (struct store_record){.offset = offset, .length = length, .kind = kind};
    if (bytes > 0)
        memcpy(r->data, data, bytes);
    return r;
}

/* The newest record that has a byte of the range; 0 if none. */
static uint64_t
store_newest_in(const struct store *s, uint64_t start, uint64_t end)
{
    const struct extent *e;
    uint64_t newest = 0;

    for (; (e = extents_first(&s->map, start, end)) != NULL; start = e->end)
        if (e->record->sequence > newest)
            newest = e->record->sequence;
    return newest;
}

/*
 * Stable at once.  An older record that overlaps must never be applied after
 * it, so the log is written back up to the last such.
 */
static int
store_write_through(struct store *s, const struct store_record *r)
{
    uint64_t end = r->offset + r->length;
    int rc = store_write_back(s, store_newest_in(s, r->offset, end));

    return rc < 0 ? rc : stable_apply(s->fd, r, 0, r->length);
}

static int
store_append(struct store *s, struct store_record *r)
{
    uint64_t cost = store_cost(r);

    /* Before it is in the log: a refused write was not written at all. */
    while (s->head != NULL && s->stats.bytes + cost > s->bound_bytes) {
        int rc = store_apply_head(s);

        if (rc < 0)
            return rc;
        s->stats.written_back++;
    }
    r->sequence = ++s->sequence;
    *s->tail = r;
    s->tail = &r->next;
    s->stats.records++;
    s->stats.bytes += cost;
    if (s->stats.bytes > s->stats.bytes_peak)
        s->stats.bytes_peak = s->stats.bytes;
    extents_assign(&s->map, r->offset, r->offset + r->length, r);
    return 0;
}

int
store_write(struct store *s, enum store_kind kind, const void *data,
            uint64_t length, uint64_t offset, bool fua)
{
    struct store_record *r;
    int rc;

    assert((kind == STORE_WRITE) == (data != NULL));
    assert(length % STORE_SECTOR_BYTES == 0);
    assert(offset % STORE_SECTOR_BYTES == 0);
    assert(offset <= s->size && length <= s->size - offset);
    if (length == 0)
        return 0;
    r = store_record_new(kind, data, length, offset);
    if (r == NULL)
        return -ENOMEM;
    if (fua)
        s->stats.fua++;
    if (fua && !s->lying) {
        rc = store_write_through(s, r);
        free(r);
        return rc;
    }
    rc = store_append(s, r);
    if (rc < 0)
        free(r);
    else if (fua)
        s->stats.lied++;
    return rc;
}

int
store_sync(struct store *s)
{
    int rc = 0;

    while (rc == 0 && s->head != NULL) {
        rc = store_apply_head(s);
        s->stats.flushed += rc == 0;
    }
    return rc;
}

int
store_flush(struct store *s)
{
    if (s->lying) {
        s->stats.lied++;
        return 0;
    }
    s->stats.flushes++;
    return store_sync(s);
}

/* ---- corruption ---- */

static int
store_settle(struct store *s, uint64_t start, uint64_t end)
{
    return store_write_back(s, store_newest_in(s, start, end));
}

int
store_flip(struct store *s, uint64_t offset, unsigned bit)
{
    uint64_t sector = offset - offset % STORE_SECTOR_BYTES;
    struct store_flip *f;
    int rc;

    assert(offset < s->size && bit < 8);
    if (s->flip_count == STORE_FLIP_COUNT_MAX)
        return -ENOSPC;
    rc = store_settle(s, sector, sector + STORE_SECTOR_BYTES);
    if (rc < 0)
        return rc;
    if (s->flips == NULL)
        s->flips = xcalloc(STORE_FLIP_COUNT_MAX, sizeof(*s->flips));
    f = &s->flips[s->flip_count];
    f->offset = sector;
    rc = stable_read(s->fd, f->before, sizeof(f->before), sector);
    if (rc < 0)
        return rc;
    memcpy(f->after, f->before, sizeof(f->after));
    f->after[offset - sector] ^= (unsigned char)(1u << bit);
    rc = stable_write(s->fd, f->after, sizeof(f->after), sector);
    if (rc < 0)
        return rc;
    s->flip_count++;
    s->stats.flipped++;
    return 0;
}

/* Newest first: a sector flipped twice goes back step by step. */
int
store_unflip(struct store *s)
{
    int count = 0;

    for (; s->flip_count > 0; s->flip_count--) {
        const struct store_flip *f = &s->flips[s->flip_count - 1];
        unsigned char now[STORE_SECTOR_BYTES];
        int rc = store_settle(s, f->offset, f->offset + STORE_SECTOR_BYTES);

        if (rc == 0)
            rc = stable_read(s->fd, now, sizeof(now), f->offset);
        if (rc == 0 && memcmp(now, f->after, sizeof(now)) == 0) {
            rc = stable_write(s->fd, f->before, sizeof(now), f->offset);
            count += rc == 0;
        }
        if (rc < 0)
            return rc;
    }
    s->stats.unflipped += (uint64_t)count;
    return count;
}

int
store_stale(struct store *s, uint64_t offset, uint64_t length)
{
    unsigned char *old = NULL;
    int rc = 0;

    assert(offset <= s->size && length <= s->size - offset);
    if (length > STORE_STALE_BYTES_MAX)
        return -E2BIG;
    if (length > 0) {
        old = xcalloc(1, length);
        rc = store_read(s, old, length, offset);
    }
    if (rc < 0) {
        free(old);
        return rc;
    }
    free(s->stale);
    s->stale = old;
    s->stale_offset = offset;
    s->stale_length = length;
    return 0;
}
