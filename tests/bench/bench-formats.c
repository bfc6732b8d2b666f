/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast histories become calls: our binary one, with and without operation
 * ids, and the same as text.  CPU time of one core; bytes are what a call takes
 * once all are read.
 */
#include "config.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "analyzer/formats/formats.h"
#include "analyzer/models/model.h"
#include "harness/base/history.h"
#include "harness/base/rng.h"

#define BENCH_PROCESSES 10

static int64_t
cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static long
resident_kib(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static void
die(const struct error *err)
{
    fprintf(stderr, "%s\n", err->text);
    abort();
}

/* Reads and writes of one register by ten processes, overlapping. */
static void
bench_write(const char *path, uint64_t operations, bool ids)
{
    json_t *meta = json_pack("{s:s}", "model", "cas-register");
    int64_t open[BENCH_PROCESSES];
    uint64_t next = 0, done = 0;
    struct history_writer *w;
    struct error err;
    struct arena a;
    struct rng r;

    unlink(path);
    rng_init(&r, 1);
    arena_init(&a);
    memset(open, -1, sizeof(open));
    w = history_writer_open(path, meta, clock_monotonic(), &err);
    if (w == NULL)
        die(&err);
    while (done < operations) {
        uint64_t p = rng_below(&r, BENCH_PROCESSES);
        struct event e = {.process = (uint32_t)p, .attempt = 1};
        bool invoke = open[p] < 0, read;

        if (invoke && next == operations)
            continue;
        if (invoke)
            open[p] = (int64_t)next++;
        read = open[p] % 2 == 1;
        arena_reset(&a);
        e.time_ns = (int64_t)(1000 + done);
        e.kind = invoke ? EVENT_INVOKE : EVENT_OK;
        e.function = read ? "read" : "write";
        if (ids)
            e.operation = (struct id128){0xaa00, (uint64_t)open[p] + 1};
        if (read != invoke)
            fields_set_int(&a, &e.fields, "value", open[p]);
        if (!invoke) {
            open[p] = -1;
            done++;
        }
        if (history_append(w, &e, HISTORY_BUFFERED, &err) < 0)
            die(&err);
    }
    if (history_seal(w, &err) < 0)
        die(&err);
    json_decref(meta);
    arena_release(&a);
}

static int
bench_record(void *arg, const struct record *r, struct error *err)
{
    return record_writer_add(arg, r, err);
}

static void
bench_convert(const char *path, const char *kind, const char *to)
{
    const struct format_ops *format;
    struct record_file file;
    struct error err = {0};
    FILE *out = fopen(to, "w");
    struct record_writer *w = record_writer_new(out, kind, &err);

    if (w == NULL ||
        format_read(path, NULL, &format, &file, bench_record, w, &err) < 0)
        die(&err);
    if (record_writer_close(w, &err) < 0)
        die(&err);
    fclose(out);
}

static void
bench_read(const char *path, const char *what)
{
    struct calls_options options = {.model = model_find("cas-register")};
    const struct format_ops *format;
    struct record_file file;
    struct error err = {0};
    struct calls *c = calls_new(&options, &err);
    long before = resident_kib();
    int64_t begin = cpu_ns(), ns;
    struct stat st;

    if (c == NULL ||
        format_read(path, NULL, &format, &file, calls_add, c, &err) < 0 ||
        calls_finish(c, &err) < 0 || stat(path, &st) < 0)
        die(&err);
    ns = cpu_ns() - begin;
    printf("%-28s %6.2f M operations/s %6.2f M events/s %6.0f MB/s %5.0f more "
           "bytes/operation\n",
           what, (double)c->count * 1e3 / (double)ns,
           (double)file.event_count * 1e3 / (double)ns,
           (double)st.st_size * 1e3 / (double)ns,
           (double)(resident_kib() - before) * 1024 / c->count);
    calls_free(c);
}

int
main(int argc, char **argv)
{
    uint64_t operations = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const char *path = "bench-formats.tmp", *text = "bench-formats.text.tmp";
    static const char *const kinds[] = {"jsonl", "edn", "json"};

    bench_write(path, operations, false);
    bench_read(path, "binary");
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        bench_convert(path, kinds[i], text);
        bench_read(text, kinds[i]);
    }
    bench_write(path, operations, true);
    bench_read(path, "binary, operation ids");
    unlink(path);
    unlink(text);
    return 0;
}
