/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the history is, with events as a run makes them, next to the floor:
 * memcpy and CRC-32C over as many bytes.  'make bench-history' runs it.
 *
 *   bench-history [EVENTS] [FILE]      defaults: 2000000, bench.ordeal
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "harness/base/clock.h"
#include "harness/base/crc32c.h"
#include "harness/base/file.h"
#include "harness/base/history.h"
#include "harness/base/rng.h"

/* Attempts as they stand in a run: invoke and ok in turn, five fields. */
static void
bench_event(struct arena *a, struct rng *r, uint64_t i, struct event *ret)
{
    static const char *const nodes[] = {"n1", "n2", "n3"};

    arena_reset(a);
    memset(ret, 0, sizeof(*ret));
    ret->time_ns = (int64_t)(1000000 + i * 700);
    ret->process = (uint32_t)(i / 2 % 8);
    ret->operation = (struct id128){rng_u64(r), i / 2};
    ret->attempt = 1;
    ret->function = "reserve";
    ret->node = nodes[i / 2 % 3];
    if (i % 2 == 0) {
        fields_set_int(a, &ret->fields, "resource", (int64_t)rng_below(r, 64));
        fields_set_int(a, &ret->fields, "holder", (int64_t)rng_below(r, 1000));
        fields_set_int(a, &ret->fields, "ttl", 20);
        fields_set_int(a, &ret->fields, "client", (int64_t)(i / 2 % 8));
    } else {
        ret->kind = EVENT_OK;
        ret->position = (struct position){true, 3, i};
        fields_set_string(a, &ret->fields, "code", "ok");
        fields_set_bool(a, &ret->fields, "cached", false);
        fields_set_int(a, &ret->fields, "slot", (int64_t)(i / 100));
        fields_set_id(a, &ret->fields, "lease", (struct id128){0, i});
        fields_set_int(a, &ret->fields, "epoch", 1);
    }
}

static double
cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
report(const char *what, double events, double seconds)
{
    printf("%-28s %8.2f M events/s  %7.1f ns each\n", what,
           events / seconds / 1e6, seconds / events * 1e9);
}

/* Returns the seconds that making the events alone takes. */
static double
bench_making(uint64_t count)
{
    struct arena a;
    struct event e;
    struct rng r;
    double start = cpu_seconds();

    arena_init(&a);
    rng_init(&r, 1);
    for (uint64_t i = 0; i < count; i++)
        bench_event(&a, &r, i, &e);
    arena_release(&a);
    return cpu_seconds() - start;
}

static int
bench_write(const char *path, uint64_t count, struct error *err)
{
    json_t *meta = json_pack("{s:s}", "system", "bench");
    struct history_writer *w =
        history_writer_open(path, meta, clock_monotonic(), err);
    double making = bench_making(count), start = cpu_seconds();
    int status = 0;
    struct arena a;
    struct event e;
    struct rng r;

    json_decref(meta);
    if (w == NULL)
        return -1;
    arena_init(&a);
    rng_init(&r, 1);
    for (uint64_t i = 0; i < count && status == 0; i++) {
        bench_event(&a, &r, i, &e);
        status = history_append(w, &e, HISTORY_BUFFERED, err);
    }
    arena_release(&a);
    if (status < 0) {
        history_writer_abandon(w);
        return -1;
    }
    status = history_seal(w, err);
    report("write, buffered (one core)", (double)count,
           cpu_seconds() - start - making);
    return status;
}

static int
bench_read(const char *path, uint64_t count, double *ret_s, struct error *err)
{
    struct history_reader *r = history_reader_open(path, err);
    double start = cpu_seconds();
    uint64_t n = 0, sum = 0;
    struct event e;
    int status;

    if (r == NULL)
        return -1;
    while ((status = history_next(r, &e, err)) > 0) {
        n++;
        sum += e.fields.count;
    }
    *ret_s = cpu_seconds() - start;
    report("read (one core)", (double)n, *ret_s);
    if (status == 0 && (n != count || sum == 0 || !history_reader_sealed(r)))
        status = error_set(err, ERROR_BUG, "read %llu of %llu events",
                           (unsigned long long)n, (unsigned long long)count);
    history_reader_free(r);
    return status;
}

/* memcpy and checksum of the file's bytes: nothing can be faster. */
static int
bench_floor(const char *path, uint64_t count, double read_s, struct error *err)
{
    size_t len, block = 1u << 17;
    CLEANUP_FREE char *bytes = file_read(path, (size_t)4 << 30, &len, err);
    CLEANUP_FREE char *copy = xcalloc(1, block);
    double start = cpu_seconds(), floor_s;
    uint32_t crc = 0;

    if (bytes == NULL)
        return -1;
    for (size_t at = 0; at < len; at += block) {
        size_t n = len - at < block ? len - at : block;

        memcpy(copy, bytes + at, n);
        crc = crc32c(crc, copy, n);
    }
    floor_s = cpu_seconds() - start;
    report("memcpy + CRC of its bytes", (double)count, floor_s);
    printf("file: %zu bytes, %.1f per event; checksum %08x\n", len,
           (double)len / (double)count, crc);
    printf("reading takes %.1f times the floor\n", read_s / floor_s);
    return 0;
}

/* Each append waits for its write(2), as invocations do. */
static int
bench_live(const char *path, uint64_t count, struct error *err)
{
    json_t *meta = json_pack("{s:s}", "system", "bench");
    struct history_writer *w =
        history_writer_open(path, meta, clock_monotonic(), err);
    int64_t start = clock_now_ns(clock_monotonic());
    int status = 0;
    struct arena a;
    struct event e;
    struct rng r;

    json_decref(meta);
    if (w == NULL)
        return -1;
    arena_init(&a);
    rng_init(&r, 1);
    for (uint64_t i = 0; i < count && status == 0; i++) {
        bench_event(&a, &r, i, &e);
        status = history_append(w, &e, HISTORY_BEFORE_SEND, err);
    }
    arena_release(&a);
    report("append before send", (double)count,
           (double)(clock_now_ns(clock_monotonic()) - start) / 1e9);
    history_writer_abandon(w);
    return status;
}

int
main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
    const char *path = argc > 2 ? argv[2] : "bench.ordeal";
    CLEANUP_FREE char *live = xasprintf("%s.live", path);
    struct error err = {0};
    double read_s = 0;
    int status;

    unlink(path);
    unlink(live);
    status = count == 0 ? error_set(&err, ERROR_CONFIG, "EVENTS is 0")
                        : bench_write(path, count, &err);
    if (status == 0)
        status = bench_read(path, count, &read_s, &err);
    if (status == 0)
        status = bench_floor(path, count, read_s, &err);
    if (status == 0)
        status = bench_live(live, 100000, &err);
    if (status < 0)
        fprintf(stderr, "bench-history: %s\n", err.text);
    unlink(path);
    unlink(live);
    return status < 0;
}
