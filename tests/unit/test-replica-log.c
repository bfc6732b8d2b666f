/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable log, snapshot and metadata files: what was synced comes back,
 * a torn tail is cut, and everything else is refused by file and offset.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "replica/log.h"
#include "replica/meta.h"
#include "replica/snapshot.h"
#include "tests/lib/tap.h"

struct fixture {
    char dir[64];
    struct durable_log *log;
    struct durable_log_report report;
    uint64_t seen, first_seen, sum;
    struct error err;
};

static void
setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "replica-log.XXXXXX");
    CHECK(mkdtemp(f->dir) != NULL);
}

static void
teardown(struct fixture *f)
{
    durable_log_free(f->log);
    CHECK_OK(dir_remove(f->dir, &f->err), &f->err);
}

static int
count_entry(void *ctx, const struct vsr_entry *e, struct error *err)
{
    struct fixture *f = ctx;

    (void)err;
    if (f->seen++ == 0)
        f->first_seen = e->index;
    f->sum += e->length + e->view;
    return 0;
}

static int
open_at(struct fixture *f, uint64_t generation, uint64_t next_index)
{
    durable_log_free(f->log);
    f->log = NULL;
    f->seen = f->first_seen = f->sum = 0;
    return durable_log_open(f->dir, generation, next_index, count_entry, f,
                            &f->log, &f->report, &f->err);
}

static int
reopen(struct fixture *f)
{
    return open_at(f, 1, 1);
}

/* Entries first..last, 'size' bytes each, in one append. */
static void
append(struct fixture *f, uint64_t first, uint64_t last, uint32_t size)
{
    CLEANUP_FREE char *payload = xcalloc(1, size + 1);
    struct buf frames;

    memset(payload, 'x', size);
    buf_init(&frames, 64u << 20);
    for (uint64_t i = first; i <= last; i++)
        durable_log_frame(&(struct vsr_entry){.view = 2,
                                              .index = i,
                                              .kind = 1,
                                              .length = size,
                                              .payload = payload},
                          &frames);
    CHECK_OK(durable_log_append(f->log, frames.data, frames.len, last, &f->err),
             &f->err);
    buf_release(&frames);
}

static void
append_synced(struct fixture *f, uint64_t first, uint64_t last, uint32_t size)
{
    append(f, first, last, size);
    CHECK_OK(durable_log_sync(f->log, &f->err), &f->err);
}

static void
segment_name(const struct fixture *f, uint64_t first, char *ret, size_t size)
{
    snprintf(ret, size, "%s/%020" PRIu64 ".log", f->dir, first);
}

static off_t
file_size(const char *path)
{
    struct stat st;

    CHECK(stat(path, &st) == 0);
    return st.st_size;
}

static void
flip(const char *path, off_t at)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 0x10;
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

static void
test_append_and_reopen(void)
{
    struct fixture f;

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    append_synced(&f, 1, 10, 100);
    append_synced(&f, 11, 11, 0);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.seen, 11);
    CHECK_INT(f.sum, 10 * 100 + 11 * 2);
    CHECK_INT(f.report.last_index, 11);
    append_synced(&f, 12, 12, 5);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.report.last_index, 12);
    teardown(&f);
}

static void
test_segments_and_release(void)
{
    struct fixture f;

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    for (uint64_t i = 1; i <= 50; i++)
        append_synced(&f, 100 * i - 99, 100 * i, 1000);
    CHECK(durable_log_bytes(f.log) > 4 * (uint64_t)LOG_SEGMENT_BYTES);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.seen, 5000);
    CHECK_OK(durable_log_release(f.log, 2500, &f.err), &f.err);
    CHECK_OK(open_at(&f, 1, 2501), &f.err);
    CHECK(f.first_seen > 1 && f.first_seen <= 2501);
    CHECK_INT(f.report.last_index, 5000);
    CHECK_OK(durable_log_release(f.log, 5000, &f.err), &f.err);
    append_synced(&f, 5001, 5001, 10);
    CHECK_OK(open_at(&f, 1, 5001), &f.err);
    CHECK_INT(f.report.last_index, 5001);
    teardown(&f);
}

static void
test_truncate(void)
{
    struct fixture f;

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    for (uint64_t i = 1; i <= 30; i++)
        append_synced(&f, 100 * i - 99, 100 * i, 1000);
    CHECK_OK(durable_log_truncate(f.log, 2950, &f.err), &f.err);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.report.last_index, 2949);
    CHECK_OK(durable_log_truncate(f.log, 500, &f.err), &f.err);
    append_synced(&f, 500, 501, 7);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.report.last_index, 501);
    CHECK_OK(durable_log_truncate(f.log, 1, &f.err), &f.err);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.seen, 0);
    append_synced(&f, 1, 1, 7);
    CHECK_OK(durable_log_truncate(f.log, 9, &f.err), &f.err);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.seen, 1);
    teardown(&f);
}

/* Entries above the mark, cut at every byte: only whole ones come back. */
static void
test_torn_tail_is_cut(void)
{
    struct fixture f;
    char path[128];
    off_t synced, full;

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    append_synced(&f, 1, 3, 20);
    segment_name(&f, 1, path, sizeof(path));
    synced = file_size(path);
    append(&f, 4, 6, 20);
    full = file_size(path);
    for (off_t at = full; at >= synced; at--) {
        uint64_t whole = 3 + (uint64_t)(at - synced) / 48;

        CHECK(truncate(path, at) == 0);
        CHECK_OK(reopen(&f), &f.err);
        CHECK_INT(f.report.last_index, whole);
        CHECK_INT(f.report.torn_bytes, (at - synced) % 48);
        CHECK_INT(file_size(path), synced + (off_t)(whole - 3) * 48);
    }
    append_synced(&f, 4, 4, 20);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.report.last_index, 4);
    teardown(&f);
}

/* A hole in what was never synced is a torn tail too. */
static void
test_damage_above_the_mark_is_cut(void)
{
    struct fixture f;
    char path[128];
    off_t synced;

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    append_synced(&f, 1, 3, 20);
    segment_name(&f, 1, path, sizeof(path));
    synced = file_size(path);
    append(&f, 4, 6, 20);
    flip(path, synced + 60);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.report.last_index, 4);
    CHECK(f.report.torn_bytes == 96);
    teardown(&f);
}

/* Every byte of what was acknowledged: flipped or cut off, it is refused. */
static void
test_damage_below_the_mark_is_refused(void)
{
    struct fixture f;
    char path[128], expected[192];
    off_t full;

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    append_synced(&f, 1, 4, 20);
    segment_name(&f, 1, path, sizeof(path));
    full = file_size(path);
    for (off_t at = 0; at < full; at++) {
        flip(path, at);
        f.err.kind = ERROR_NONE;
        CHECK(reopen(&f) < 0);
        CHECK_INT(f.err.kind, ERROR_CONFIG);
        CHECK(strstr(f.err.text, path) != NULL);
        CHECK(strstr(f.err.text, "byte") != NULL ||
              strstr(f.err.text, "version") != NULL);
        flip(path, at);
    }
    flip(path, 32 + 48 + 30);
    CHECK(reopen(&f) < 0);
    snprintf(expected, sizeof(expected),
             "%s: bad checksum at byte 80 (index 2)", path);
    CHECK_STR(f.err.text, expected);
    flip(path, 32 + 48 + 30);
    for (off_t at = full - 1; at >= 0; at--) {
        CHECK(truncate(path, at) == 0);
        CHECK(reopen(&f) < 0);
        CHECK_INT(f.err.kind, ERROR_CONFIG);
        CHECK_INT(file_size(path), at);
    }
    teardown(&f);
}

static void
test_missing_segments_are_refused(void)
{
    struct fixture f;
    char path[128];
    uint64_t middle = 0;

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    for (uint64_t i = 1; i <= 40; i++)
        append_synced(&f, 100 * i - 99, 100 * i, 1000);
    for (uint64_t i = 2; i < 4000 && middle == 0; i++) {
        segment_name(&f, i, path, sizeof(path));
        if (path_exists(path))
            middle = i;
    }
    CHECK(middle > 0);
    CHECK(unlink(path) == 0);
    CHECK(reopen(&f) < 0);
    CHECK(strstr(f.err.text, "a segment is missing before it") != NULL);
    teardown(&f);

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    append_synced(&f, 1, 4, 20);
    segment_name(&f, 1, path, sizeof(path));
    CHECK(unlink(path) == 0);
    CHECK(reopen(&f) < 0);
    CHECK(strstr(f.err.text, "all segments are missing") != NULL);
    teardown(&f);
}

static void
test_mark_damage(void)
{
    struct fixture f;
    char path[128];

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    append_synced(&f, 1, 4, 20);
    append_synced(&f, 5, 5, 20);
    snprintf(path, sizeof(path), "%s/mark", f.dir);
    /* One slot torn: the other still tells the truth of before. */
    flip(path, 8);
    CHECK_OK(reopen(&f), &f.err);
    CHECK_INT(f.report.last_index, 5);
    flip(path, 512 + 8);
    CHECK(reopen(&f) < 0);
    CHECK(strstr(f.err.text, "mark: bad checksum") != NULL);
    CHECK(unlink(path) == 0);
    CHECK(reopen(&f) < 0);
    CHECK(strstr(f.err.text, "is missing") != NULL);
    teardown(&f);
}

/* A snapshot of a higher generation voids what was there. */
static void
test_generations(void)
{
    struct fixture f;

    setup(&f);
    CHECK_OK(reopen(&f), &f.err);
    append_synced(&f, 1, 9, 20);
    CHECK_OK(open_at(&f, 2, 101), &f.err);
    CHECK_INT(f.seen, 0);
    CHECK_INT(f.report.stale_segments, 1);
    append_synced(&f, 101, 103, 20);
    CHECK_OK(open_at(&f, 2, 101), &f.err);
    CHECK_INT(f.seen, 3);
    CHECK(open_at(&f, 1, 1) < 0);
    CHECK_INT(f.err.kind, ERROR_CONFIG);
    CHECK_OK(open_at(&f, 2, 101), &f.err);
    CHECK_OK(durable_log_restart(f.log, 3, 501, &f.err), &f.err);
    append_synced(&f, 501, 501, 20);
    CHECK_OK(open_at(&f, 3, 501), &f.err);
    CHECK_INT(f.first_seen, 501);
    teardown(&f);
}

static void
test_meta(void)
{
    struct fixture f;
    struct meta m = {.cluster = "c", .node = "n1"}, back;
    char path[128];

    setup(&f);
    CHECK_INT(meta_read(f.dir, &back, &f.err), 0);
    m.vsr.replica = 1;
    m.vsr.replica_count = 3;
    m.vsr.view = 7;
    m.vsr.acked = 99;
    m.vsr.incarnation[6] = 5;
    CHECK_OK(meta_store(f.dir, &m, &f.err), &f.err);
    CHECK_INT(meta_read(f.dir, &back, &f.err), 1);
    CHECK(memcmp(&m, &back, sizeof(m)) == 0);
    snprintf(path, sizeof(path), "%s/meta", f.dir);
    for (off_t at = file_size(path) - 1; at >= 0; at--) {
        flip(path, at);
        CHECK(meta_read(f.dir, &back, &f.err) < 0);
        CHECK_INT(f.err.kind, ERROR_CONFIG);
        flip(path, at);
    }
    for (off_t at = file_size(path) - 1; at >= 0; at--) {
        CHECK(truncate(path, at) == 0);
        CHECK(meta_read(f.dir, &back, &f.err) < 0);
    }
    teardown(&f);
}

static void
test_snapshot_file(void)
{
    struct fixture f;
    struct snapshot_info info = {.position = {3, 77},
                                 .chain = 5,
                                 .cluster = "c",
                                 .engine = "lease",
                                 .state = "abc",
                                 .state_length = 3},
                         back;
    CLEANUP_FREE char *image = NULL;
    uint64_t generation;
    struct buf out;
    char path[128];
    size_t len;

    setup(&f);
    CHECK_INT(snapshot_read(f.dir, &generation, &image, &len, &f.err), 0);
    buf_init(&out, 4096);
    snapshot_image_build(&info, &out);
    CHECK_OK(snapshot_store(f.dir, 4, out.data, out.len, &f.err), &f.err);
    CHECK_INT(snapshot_read(f.dir, &generation, &image, &len, &f.err), 1);
    CHECK_INT(generation, 4);
    CHECK(len == out.len && memcmp(image, out.data, len) == 0);
    CHECK_OK(snapshot_image_parse(image, len, &back, &f.err), &f.err);
    CHECK_INT(back.position.index, 77);
    CHECK_STR(back.engine, "lease");
    CHECK(back.state_length == 3 && memcmp(back.state, "abc", 3) == 0);
    for (size_t at = 0; at < len; at++) {
        image[at] ^= 1;
        CHECK(snapshot_image_parse(image, len, &back, &f.err) < 0);
        image[at] ^= 1;
        CHECK(snapshot_image_parse(image, at, &back, &f.err) < 0);
    }
    snprintf(path, sizeof(path), "%s/snapshot", f.dir);
    for (off_t at = file_size(path) - 1; at >= 0; at--) {
        char *unused = NULL;

        flip(path, at);
        CHECK(snapshot_read(f.dir, &generation, &unused, &len, &f.err) < 0);
        CHECK_INT(f.err.kind, ERROR_CONFIG);
        flip(path, at);
    }
    buf_release(&out);
    teardown(&f);
}

int
main(void)
{
    RUN(test_append_and_reopen);
    RUN(test_segments_and_release);
    RUN(test_truncate);
    RUN(test_torn_tail_is_cut);
    RUN(test_damage_above_the_mark_is_cut);
    RUN(test_damage_below_the_mark_is_refused);
    RUN(test_missing_segments_are_refused);
    RUN(test_mark_damage);
    RUN(test_generations);
    RUN(test_meta);
    RUN(test_snapshot_file);
    return tap_done();
}
