/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the general engines decide what makes other checkers give up:
 *
 *   row | work | measured | target | peer | ratio
 *
 *   make bench-engines [BENCH_ROWS="3 5"] [BENCH_LIMIT=SECONDS a case]
 *
 * Histories are generated from a seed (tests/lib/random-calls.h); those of rows
 * 1 and 2 are read from ORDEAL_SHARED and left out when it is not there.  Time
 * is that of the processor, for one thread; memory is what the engine counted
 * and, where the whole is to be judged, that of the calls.
 *
 * Peers: what Porcupine needed on the same kind of work (docs/ENGINES.md).
 */
#include "config.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/check.h"
#include "tests/lib/random-models.h"

#define LIMIT_S_DEFAULT 10

struct bench {
    int64_t limit_ns;
    const char *rows; /* NULL: all */
    const char *shared;
};

struct target {
    const char *row, *work;
    double seconds; /* 0: none */
    double bytes;   /* 0: none */
    const char *peer;
    double peer_seconds; /* 0: it gave up */
};

static double
cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
print_row(const struct target *t, const char *verdict, double seconds,
          double bytes)
{
    char peer[32] = "it gave up", target[64] = "";

    if (t->peer_seconds > 0) {
        snprintf(peer, sizeof(peer), "%.1fx", t->peer_seconds / seconds);
    }
    if (t->seconds > 0) {
        snprintf(target, sizeof(target), "%.3g ms, %.3g MB: %s",
                 t->seconds * 1e3, t->bytes / 1e6,
                 seconds <= t->seconds && bytes <= t->bytes &&
                         strcmp(verdict, "unknown") != 0
                     ? "reached"
                     : "missed");
    }
    printf("%s | %s | %s %.3f ms, %.2f MB | %s | %s | %s\n", t->row, t->work,
           verdict, seconds * 1e3, bytes / 1e6, target, t->peer, peer);
    fflush(stdout);
}

static bool
row_wanted(const struct bench *b, const char *row)
{
    return b->rows == NULL || strstr(b->rows, row) != NULL;
}

/* ---- generated histories ---- */

static size_t
calls_bytes(const struct calls *c)
{
    size_t width = 0;

#define WIDTH(type, name) width += sizeof(type);
    CALL_COLUMNS(WIDTH)
#undef WIDTH
    return c->count * width;
}

/* One of the last reads answers what nobody wrote: the whole history before it
 * must be explored, with all uses of all open calls, to say that. */
static void
corrupt_late(struct calls *c, struct rng *rng)
{
    uint32_t from = c->count - c->count / 20, i;

    do {
        i = from + (uint32_t)rng_below(rng, c->count - from);
    } while (c->function[i] != REGISTER_READ);
    c->result[i] = value_of_int(c, 99);
}

static enum verdict
decide(const struct bench *b, const struct calls *c, double *ret_s,
       size_t *ret_bytes)
{
    struct clock *clock = clock_monotonic();
    struct budget budget = {.clock = clock,
                            .deadline_ns = clock_now_ns(clock) + b->limit_ns,
                            .memory_bytes = CHECK_MEMORY_DEFAULT};
    struct problem p = {c, NULL, c->count, VALUE_ABSENT};
    struct decision d;
    double begin = cpu_s();

    engine_decide(&engine_portfolio, &p, &budget, &d);
    *ret_s = cpu_s() - begin;
    *ret_bytes = d.peak_bytes;
    enum verdict v = d.verdict;
    decision_release(&d);
    return v;
}

/* A hot compare-and-set register with five values. */
static void
bench_register(const struct bench *b, const struct target *t, uint32_t count,
               uint32_t clients, uint32_t crashes, bool invalid)
{
    double seconds = 0;
    size_t bytes = 0;

    if (!row_wanted(b, t->row)) {
        return;
    }
    struct random_options o = {.seed = 1,
                               .calls = count,
                               .clients = clients,
                               .values = 5,
                               .crashes = crashes};
    struct calls *c = random_calls(random_model_find("cas-register"), &o);
    if (invalid) {
        struct rng rng;
        rng_init(&rng, 1);
        corrupt_late(c, &rng);
    }
    enum verdict v = decide(b, c, &seconds, &bytes);
    bytes += count >= 1000000 ? calls_bytes(c) : 0;
    calls_free(c);
    print_row(t, verdict_name(v), seconds, (double)bytes);
}

/* ---- the files of others ---- */

static struct calls *
read_calls(const char *path, const char *model)
{
    struct error err = {0};
    struct calls_options o = {.model = model_find(model)};
    const struct format_ops *format;
    struct record_file file = {0};
    struct calls *c = calls_new(&o, &err);

    if (c == NULL ||
        format_read(path, NULL, &format, &file, calls_add, c, &err) < 0 ||
        calls_finish(c, &err) < 0) {
        fprintf(stderr, "%s: %s\n", path, err.text);
        calls_free(c);
        return NULL;
    }
    return c;
}

static double
check_file(const char *path, const char *model, size_t *peak, unsigned *unknown)
{
    struct check_options options = {.jobs = 1, .no_shrink = true};
    struct calls *c = read_calls(path, model);
    double best = 1e9;

    for (unsigned i = 0; c != NULL && i < 3; i++) {
        struct check_result r;
        double begin = cpu_s();
        check_calls(c, &options, &r);
        double took = cpu_s() - begin;
        best = took < best ? took : best;
        *peak = r.peak_bytes > *peak ? r.peak_bytes : *peak;
        *unknown += r.verdict == VERDICT_UNKNOWN;
        check_result_release(&r);
    }
    calls_free(c);
    return best;
}

static void
bench_etcd(const struct bench *b)
{
    static const struct target mean = {
        "1", "etcd logs, mean of a file", 50e-6, 8e6, "3.8 ms", 3.8e-3};
    static const struct target most = {
        "1", "etcd logs, longest of a file", 1e-3, 8e6, "172 ms", 172e-3};
    char path[4096];
    double sum = 0, max = 0;
    unsigned count = 0, unknown = 0;
    size_t peak = 0;

    snprintf(path, sizeof(path), "%s/corpora/porcupine-etcd-jepsen", b->shared);
    DIR *dir = row_wanted(b, "1") ? opendir(path) : NULL;
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 4, ".log") != 0) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/corpora/porcupine-etcd-jepsen/%s",
                 b->shared, e->d_name);
        double took = check_file(path, "cas-register", &peak, &unknown);
        sum += took;
        max = took > max ? took : max;
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (count == 0) {
        printf("# row 1 is left out: no etcd logs in ORDEAL_SHARED\n");
        return;
    }
    const char *verdict = unknown > 0 ? "unknown" : "decided";
    print_row(&mean, verdict, sum / count, (double)peak);
    print_row(&most, verdict, max, (double)peak);
}

static void
bench_kv(const struct bench *b)
{
    static const struct target t = {
        "2", "kv c10-ok, no hint", 5e-3, 8e6, "2.5 s", 2.5};
    char path[4096];
    size_t peak = 0;
    unsigned unknown = 0;

    snprintf(path, sizeof(path), "%s/corpora/porcupine-kv/c10-ok.txt",
             b->shared);
    if (!row_wanted(b, "2") || access(path, R_OK) != 0) {
        printf("# row 2 is left out: no %s\n", path);
        return;
    }
    double took = check_file(path, "kv", &peak, &unknown);
    print_row(&t, unknown > 0 ? "unknown" : "valid", took, (double)peak);
}

static void
bench_generated(const struct bench *b)
{
    static const struct {
        struct target target;
        uint32_t count, clients, crashes;
        bool invalid;
    } cases[] = {
        {{"3", "10 clients, 100 k", 0.3, 32e6, "gives up", 0},
         100000,
         10,
         0,
         0},
        {{"3", "10 clients, 1 M", 3, 96e6, "gives up", 0}, 1000000, 10, 0, 0},
        {{"4", "20 clients, 10 k", 1, 32e6, "gives up", 0}, 10000, 20, 0, 0},
        {{"4", "50 clients, 10 k", 0, 0, "gives up", 0}, 10000, 50, 0, 0},
        {{"5", "invalid, 10 crashed", 0.02, 16e6, "gives up", 0},
         2000,
         10,
         10,
         1},
        {{"5", "invalid, 20 crashed", 0.06, 16e6, "gives up", 0},
         2000,
         10,
         20,
         1},
        {{"5", "invalid, 40 crashed", 0.2, 16e6, "gives up", 0},
         2000,
         10,
         40,
         1},
        {{"5", "invalid, 100 crashed", 10, 4e9, "gives up", 0},
         2000,
         10,
         100,
         1},
        {{"6", "valid, 40 crashed", 0.05, 16e6, "29 ms", 0.029},
         2000,
         10,
         40,
         0},
        {{"6", "valid, 60 crashed", 0.5, 16e6, "366 ms", 0.366},
         2000,
         10,
         60,
         0},
        {{"6", "valid, 100 crashed", 10, 4e9, "gives up", 0}, 2000, 10, 100, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bench_register(b, &cases[i].target, cases[i].count, cases[i].clients,
                       cases[i].crashes, cases[i].invalid);
    }
}

int
main(int argc, char **argv)
{
    const char *shared = getenv("ORDEAL_SHARED");
    struct bench b = {.shared = shared == NULL ? "../shared" : shared};

    b.rows = argc > 1 && argv[1][0] != '\0' ? argv[1] : NULL;
    b.limit_ns =
        (argc > 2 ? strtol(argv[2], NULL, 10) : LIMIT_S_DEFAULT) * NS_PER_S;
    printf("row | work | measured | target | peer | ratio\n");
    bench_etcd(&b);
    bench_kv(&b);
    bench_generated(&b);
    return 0;
}
