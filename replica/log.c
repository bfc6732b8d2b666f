/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append writes to the last segment; sync makes it and then the mark durable.
 * A full segment is synced before the next is created (complete, by rename),
 * so only the last segment can have a torn tail.  Truncation lowers the mark,
 * removes whole segments from the end, then shortens the one that remains:
 * after a crash anywhere in between the log is a valid longer one.
 *
 * The mark file has two slots that are written in turn, so a torn write of one
 * leaves the other.
 *
 * Failure modes: each one that the bytes show is named with file and offset;
 * system calls that fail name the file.
 */
#include "config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/crc32c.h"
#include "harness/base/file.h"
#include "replica/bytes.h"
#include "replica/log.h"

#define SEGMENT_MAGIC UINT64_C(0x0001474f4c44524f) /* "ORDLOG\1\0" */
#define SEGMENT_VERSION 1u
#define SEGMENT_HEADER_BYTES 32u
#define FRAME_HEADER_BYTES 28u
#define MARK_MAGIC UINT64_C(0x00014b524d44524f) /* "ORDMRK\1\0" */
#define MARK_BYTES 40u
#define MARK_SLOT_BYTES 512u
#define SEGMENT_READ_MAX (LOG_SEGMENT_BYTES + (128u << 20))

struct mark {
    uint64_t sequence, generation, index;
};

struct segment {
    uint64_t first_index;
    uint64_t bytes;
};

struct durable_log {
    char *dir;
    uint64_t generation;
    uint64_t last_index; /* of what was appended */
    int fd;              /* the last segment */
    int mark_fd;
    struct mark mark;
    struct segment segments[LOG_SEGMENTS_MAX];
    unsigned segment_count;
};

static char *
segment_path(const struct durable_log *log, uint64_t first_index)
{
    return xasprintf("%s/%020" PRIu64 ".log", log->dir, first_index);
}

static struct segment *
last_segment(struct durable_log *log)
{
    assert(log->segment_count > 0);
    return &log->segments[log->segment_count - 1];
}

/* ---- the mark ---- */

static void
mark_encode(const struct mark *m, uint8_t ret[static MARK_BYTES])
{
    memset(ret, 0, MARK_BYTES);
    put_u64(ret, MARK_MAGIC);
    put_u64(ret + 8, m->sequence);
    put_u64(ret + 16, m->generation);
    put_u64(ret + 24, m->index);
    put_u32(ret + 32, crc32c(0, ret, 32));
}

static bool
mark_decode(const uint8_t *p, struct mark *ret)
{
    if (get_u64(p) != MARK_MAGIC || get_u32(p + 32) != crc32c(0, p, 32))
        return false;
    ret->sequence = get_u64(p + 8);
    ret->generation = get_u64(p + 16);
    ret->index = get_u64(p + 24);
    return true;
}

static int
mark_write(struct durable_log *log, uint64_t index, struct error *err)
{
    uint8_t bytes[MARK_BYTES];
    off_t at;

    log->mark.sequence++;
    log->mark.generation = log->generation;
    log->mark.index = index;
    mark_encode(&log->mark, bytes);
    at = (off_t)(log->mark.sequence % 2 * MARK_SLOT_BYTES);
    if (pwrite(log->mark_fd, bytes, sizeof(bytes), at) != sizeof(bytes) ||
        fdatasync(log->mark_fd) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s/mark: write",
                           log->dir);
    return 0;
}

/* Both slots damaged is corruption: they are never written together. */
static int
mark_read(struct durable_log *log, struct error *err)
{
    uint8_t bytes[2 * MARK_SLOT_BYTES] = {0};
    struct mark a = {0}, b = {0};
    bool a_ok, b_ok;

    if (pread(log->mark_fd, bytes, sizeof(bytes), 0) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s/mark: read",
                           log->dir);
    a_ok = mark_decode(bytes, &a);
    b_ok = mark_decode(bytes + MARK_SLOT_BYTES, &b);
    if (!a_ok && !b_ok)
        return error_set(err, ERROR_CONFIG, "%s/mark: bad checksum at byte 0",
                         log->dir);
    log->mark = a_ok && (!b_ok || a.sequence > b.sequence) ? a : b;
    return 0;
}

/* The first mark comes whole or not at all: temporary file and rename. */
static int
mark_open(struct durable_log *log, bool fresh, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/mark", log->dir);
    uint8_t bytes[2 * MARK_SLOT_BYTES] = {0};

    if (fresh) {
        log->mark = (struct mark){.generation = log->generation};
        mark_encode(&log->mark, bytes);
        if (file_write_atomic(path, bytes, sizeof(bytes), 0600, err) < 0)
            return -1;
    }
    log->mark_fd = open(path, O_RDWR | O_CLOEXEC);
    if (log->mark_fd < 0 && errno == ENOENT)
        return error_set(err, ERROR_CONFIG,
                         "%s: is missing, but there are log segments", path);
    if (log->mark_fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    return mark_read(log, err);
}

/* ---- segments ---- */

static int
segment_create(struct durable_log *log, uint64_t first_index, struct error *err)
{
    CLEANUP_FREE char *path = segment_path(log, first_index);
    uint8_t header[SEGMENT_HEADER_BYTES] = {0};
    int fd;

    if (log->segment_count == LOG_SEGMENTS_MAX)
        return error_set(err, ERROR_ENVIRONMENT, "%s: more than %u segments",
                         log->dir, LOG_SEGMENTS_MAX);
    put_u64(header, SEGMENT_MAGIC);
    put_u32(header + 8, SEGMENT_VERSION);
    put_u64(header + 12, log->generation);
    put_u64(header + 20, first_index);
    put_u32(header + 28, crc32c(0, header, 28));
    if (file_write_atomic(path, header, sizeof(header), 0600, err) < 0)
        return -1;
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->segments[log->segment_count++] =
        (struct segment){first_index, SEGMENT_HEADER_BYTES};
    return 0;
}

static int
segment_remove(const struct durable_log *log, uint64_t first_index,
               struct error *err)
{
    CLEANUP_FREE char *path = segment_path(log, first_index);

    if (unlink(path) < 0 && errno != ENOENT)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: unlink", path);
    return 0;
}

static int
segment_check_header(const struct durable_log *log, const char *path,
                     const uint8_t *p, size_t len, uint64_t first_index,
                     uint64_t *ret_generation, struct error *err)
{
    if (len < SEGMENT_HEADER_BYTES)
        return error_set(err, ERROR_CONFIG, "%s: header is cut at byte %zu",
                         path, len);
    if (get_u64(p) != SEGMENT_MAGIC || get_u32(p + 28) != crc32c(0, p, 28))
        return error_set(err, ERROR_CONFIG, "%s: bad header at byte 0", path);
    if (get_u32(p + 8) != SEGMENT_VERSION)
        return error_set(err, ERROR_CONFIG,
                         "%s: has version %u, this program reads %u", path,
                         get_u32(p + 8), SEGMENT_VERSION);
    if (get_u64(p + 20) != first_index)
        return error_set(err, ERROR_CONFIG,
                         "%s: header names first index %" PRIu64, path,
                         get_u64(p + 20));
    *ret_generation = get_u64(p + 12);
    if (*ret_generation > log->generation)
        return error_set(err, ERROR_CONFIG,
                         "%s: belongs to a newer snapshot than the one found",
                         path);
    return 0;
}

void
durable_log_frame(const struct vsr_entry *e, struct buf *out)
{
    uint8_t header[FRAME_HEADER_BYTES] = {0};
    uint32_t crc;

    put_u32(header + 4, e->length);
    put_u64(header + 8, e->view);
    put_u64(header + 16, e->index);
    header[24] = e->kind;
    crc = crc32c(0, header + 4, sizeof(header) - 4);
    put_u32(header, crc32c(crc, e->payload, e->length));
    buf_append(out, header, sizeof(header));
    buf_append(out, e->payload, e->length);
    assert(!out->truncated);
}

/* Why the bytes at p are no frame of 'index'; NULL when they are. */
static const char *
frame_parse(const uint8_t *p, size_t len, uint64_t index, struct vsr_entry *ret)
{
    uint32_t crc;

    if (len < FRAME_HEADER_BYTES)
        return "frame header is cut";
    ret->length = get_u32(p + 4);
    ret->view = get_u64(p + 8);
    ret->index = get_u64(p + 16);
    ret->kind = p[24];
    ret->payload = p + FRAME_HEADER_BYTES;
    if (ret->length > VSR_PAYLOAD_BYTES_MAX)
        return "frame length out of range";
    if (ret->length > len - FRAME_HEADER_BYTES)
        return "frame is cut";
    crc = crc32c(0, p + 4, FRAME_HEADER_BYTES - 4);
    if (get_u32(p) != crc32c(crc, ret->payload, ret->length))
        return "bad checksum";
    if (ret->index != index)
        return "frame of another index";
    return NULL;
}

/* ---- opening ---- */

struct opening {
    struct durable_log *log;
    int (*entry)(void *ctx, const struct vsr_entry *e, struct error *err);
    void *ctx;
    struct durable_log_report *report;
};

static int
segment_list(const struct durable_log *log, uint64_t *ret, unsigned *ret_count,
             struct error *err)
{
    DIR *dir = opendir(log->dir);
    struct dirent *d;
    int rc = 0;

    *ret_count = 0;
    if (dir == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", log->dir);
    while (rc == 0 && (d = readdir(dir)) != NULL) {
        size_t len = strlen(d->d_name);

        if (len != 24 || strcmp(d->d_name + 20, ".log") != 0 ||
            strspn(d->d_name, "0123456789") != 20)
            continue;
        if (*ret_count == LOG_SEGMENTS_MAX)
            rc = error_set(err, ERROR_CONFIG, "%s: more than %u segments",
                           log->dir, LOG_SEGMENTS_MAX);
        else
            ret[(*ret_count)++] = strtoull(d->d_name, NULL, 10);
    }
    closedir(dir);
    return rc;
}

static int
compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Entries of one segment; a torn tail of the last one is cut. */
static int
segment_read_frames(struct opening *o, const char *path, const uint8_t *data,
                    size_t len, bool is_last, struct error *err)
{
    struct durable_log *log = o->log;
    size_t at = SEGMENT_HEADER_BYTES;

    while (at < len) {
        struct vsr_entry e;
        const char *why =
            frame_parse(data + at, len - at, log->last_index + 1, &e);

        if (why != NULL && (!is_last || log->last_index < log->mark.index))
            return error_set(err, ERROR_CONFIG,
                             "%s: %s at byte %zu (index %" PRIu64 ")", path,
                             why, at, log->last_index + 1);
        if (why != NULL) {
            if (truncate(path, (off_t)at) < 0)
                return error_errno(err, ERROR_ENVIRONMENT, errno,
                                   "%s: truncate", path);
            o->report->torn_bytes = len - at;
            break;
        }
        if (o->entry(o->ctx, &e, err) < 0)
            return error_wrap(err, "%s: at byte %zu", path, at);
        log->last_index = e.index;
        o->report->entry_count++;
        at += FRAME_HEADER_BYTES + e.length;
    }
    last_segment(log)->bytes = at;
    return 0;
}

static int
segment_read(struct opening *o, uint64_t first_index, bool is_last,
             struct error *err)
{
    struct durable_log *log = o->log;
    CLEANUP_FREE char *path = segment_path(log, first_index);
    CLEANUP_FREE char *data = NULL;
    uint64_t generation = 0;
    size_t len;

    data = file_read(path, SEGMENT_READ_MAX, &len, err);
    if (data == NULL)
        return -1;
    if (segment_check_header(log, path, (const uint8_t *)data, len, first_index,
                             &generation, err) < 0)
        return -1;
    if (generation < log->generation) {
        o->report->stale_segments++;
        return segment_remove(log, first_index, err);
    }
    if (log->segment_count == 0) {
        o->report->first_index = first_index;
        log->last_index = first_index - 1;
    } else if (first_index != log->last_index + 1) {
        return error_set(err, ERROR_CONFIG,
                         "%s: a segment is missing before it: it begins at "
                         "index %" PRIu64 ", the one before ends at %" PRIu64,
                         path, first_index, log->last_index);
    }
    log->segments[log->segment_count++] = (struct segment){first_index, 0};
    return segment_read_frames(o, path, (const uint8_t *)data, len, is_last,
                               err);
}

/* Goes on in the last segment found, or in a new one where none is left. */
static int
open_tail(struct durable_log *log, uint64_t next_index, struct error *err)
{
    CLEANUP_FREE char *path = NULL;

    if (log->segment_count == 0) {
        if (log->mark.generation == log->generation && log->mark.index > 0)
            return error_set(err, ERROR_CONFIG,
                             "%s: all segments are missing; entries up to "
                             "index %" PRIu64 " were acknowledged",
                             log->dir, log->mark.index);
        log->last_index = next_index - 1;
        if (segment_create(log, next_index, err) < 0)
            return -1;
        return mark_write(log, log->last_index, err);
    }
    if (log->mark.generation == log->generation &&
        log->last_index < log->mark.index)
        return error_set(
            err, ERROR_CONFIG,
            "%s/%020" PRIu64 ".log: ends at index %" PRIu64 " (byte %" PRIu64
            "), entries up to index %" PRIu64 " were acknowledged",
            log->dir, last_segment(log)->first_index, log->last_index,
            last_segment(log)->bytes, log->mark.index);
    path = segment_path(log, last_segment(log)->first_index);
    log->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (log->fd < 0 || fsync(log->fd) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    return 0;
}

static int
open_segments(struct opening *o, uint64_t next_index, struct error *err)
{
    CLEANUP_FREE uint64_t *found = xcalloc(LOG_SEGMENTS_MAX, sizeof(*found));
    struct durable_log *log = o->log;
    unsigned count;

    if (segment_list(log, found, &count, err) < 0)
        return -1;
    qsort(found, count, sizeof(found[0]), compare_u64);
    {
        CLEANUP_FREE char *path = xasprintf("%s/mark", log->dir);

        if (mark_open(log, count == 0 && !path_exists(path), err) < 0)
            return -1;
    }
    if (log->mark.generation > log->generation)
        return error_set(err, ERROR_CONFIG,
                         "%s/mark: belongs to a newer snapshot than the one "
                         "found",
                         log->dir);
    if (log->mark.generation < log->generation)
        log->mark.index = 0;
    for (unsigned i = 0; i < count; i++)
        if (segment_read(o, found[i], i + 1 == count, err) < 0)
            return -1;
    return open_tail(log, next_index, err);
}

int
durable_log_open(const char *dir, uint64_t generation, uint64_t next_index,
                 int (*entry)(void *ctx, const struct vsr_entry *e,
                              struct error *err),
                 void *ctx, struct durable_log **ret,
                 struct durable_log_report *ret_report, struct error *err)
{
    struct durable_log *log = xcalloc(1, sizeof(*log));
    struct opening o = {log, entry, ctx, ret_report};

    assert(next_index > 0);
    log->dir = xstrdup(dir);
    log->generation = generation;
    log->fd = log->mark_fd = -1;
    memset(ret_report, 0, sizeof(*ret_report));
    ret_report->first_index = next_index;
    if (dir_make(dir, 0700, err) < 0 ||
        open_segments(&o, next_index, err) < 0 || dir_sync(dir, err) < 0) {
        durable_log_free(log);
        return -1;
    }
    ret_report->last_index = log->last_index;
    *ret = log;
    return 0;
}

void
durable_log_free(struct durable_log *log)
{
    if (log == NULL)
        return;
    if (log->fd >= 0)
        close(log->fd);
    if (log->mark_fd >= 0)
        close(log->mark_fd);
    free(log->dir);
    free(log);
}

/* ---- writing ---- */

static int
sync_segment(struct durable_log *log, struct error *err)
{
    if (fdatasync(log->fd) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno,
                           "%s/%020" PRIu64 ".log: sync", log->dir,
                           last_segment(log)->first_index);
    return 0;
}

int
durable_log_append(struct durable_log *log, const void *frames, size_t len,
                   uint64_t last_index, struct error *err)
{
    assert(last_index > log->last_index);
    if (last_segment(log)->bytes >= LOG_SEGMENT_BYTES) {
        if (sync_segment(log, err) < 0 ||
            segment_create(log, log->last_index + 1, err) < 0)
            return -1;
    }
    if (file_write_all(log->fd, frames, len) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno,
                           "%s/%020" PRIu64 ".log: write", log->dir,
                           last_segment(log)->first_index);
    last_segment(log)->bytes += len;
    log->last_index = last_index;
    return 0;
}

int
durable_log_sync(struct durable_log *log, struct error *err)
{
    if (log->mark.index == log->last_index)
        return 0;
    if (sync_segment(log, err) < 0)
        return -1;
    return mark_write(log, log->last_index, err);
}

/* The byte where the frame of 'index' begins in the last segment. */
static int
frame_offset(struct durable_log *log, uint64_t index, size_t *ret,
             struct error *err)
{
    const struct segment *s = last_segment(log);
    CLEANUP_FREE char *path = segment_path(log, s->first_index);
    CLEANUP_FREE char *data = NULL;
    size_t at = SEGMENT_HEADER_BYTES, len;

    data = file_read(path, SEGMENT_READ_MAX, &len, err);
    if (data == NULL)
        return -1;
    for (uint64_t i = s->first_index; i < index; i++) {
        struct vsr_entry e;
        const char *why =
            frame_parse((const uint8_t *)data + at, len - at, i, &e);

        if (why != NULL)
            return error_set(err, ERROR_CONFIG, "%s: %s at byte %zu", path, why,
                             at);
        at += FRAME_HEADER_BYTES + e.length;
    }
    *ret = at;
    return 0;
}

int
durable_log_truncate(struct durable_log *log, uint64_t index, struct error *err)
{
    size_t at = 0;

    assert(index > 0 && index >= log->segments[0].first_index);
    if (index > log->last_index)
        return 0;
    if (log->mark.index >= index && mark_write(log, index - 1, err) < 0)
        return -1;
    while (log->segment_count > 1 && last_segment(log)->first_index > index) {
        if (segment_remove(log, last_segment(log)->first_index, err) < 0)
            return -1;
        log->segment_count--;
    }
    if (frame_offset(log, index, &at, err) < 0)
        return -1;
    {
        CLEANUP_FREE char *path =
            segment_path(log, last_segment(log)->first_index);

        close(log->fd);
        log->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (log->fd < 0 || ftruncate(log->fd, (off_t)at) < 0 ||
            fsync(log->fd) < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: truncate",
                               path);
    }
    last_segment(log)->bytes = at;
    log->last_index = index - 1;
    return dir_sync(log->dir, err);
}

int
durable_log_release(struct durable_log *log, uint64_t index, struct error *err)
{
    unsigned drop = 0;

    while (drop + 1 < log->segment_count &&
           log->segments[drop + 1].first_index <= index + 1) {
        if (segment_remove(log, log->segments[drop].first_index, err) < 0)
            return -1;
        drop++;
    }
    log->segment_count -= drop;
    memmove(log->segments, log->segments + drop,
            log->segment_count * sizeof(log->segments[0]));
    return drop == 0 ? 0 : dir_sync(log->dir, err);
}

int
durable_log_restart(struct durable_log *log, uint64_t generation,
                    uint64_t next_index, struct error *err)
{
    assert(generation > log->generation);
    while (log->segment_count > 0) {
        if (segment_remove(log, last_segment(log)->first_index, err) < 0)
            return -1;
        log->segment_count--;
    }
    log->generation = generation;
    log->last_index = next_index - 1;
    if (segment_create(log, next_index, err) < 0)
        return -1;
    return mark_write(log, log->last_index, err);
}

uint64_t
durable_log_bytes(const struct durable_log *log)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < log->segment_count; i++)
        sum += log->segments[i].bytes;
    return sum;
}
