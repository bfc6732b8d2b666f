/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a file to a verdict: a binary history of N operations (default two
 * million) on registers of unique values, a thousand keys and ten clients, is
 * written, and judged as 'ordeal check' judges it, in one thread.
 *
 *   check-bench [OPERATIONS]
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/judge-model.h"
#include "harness/base/history.h"
#include "harness/base/rng.h"

#define CLIENTS 10
#define KEYS 1000
#define TARGET 5e6
#define PEER                                                                   \
    0.17e6 /* LiMo on queues, text to verdict: the nearest measured            \
            */

struct bench {
    struct history_writer *writer;
    struct arena arena;
    struct rng rng;
    int64_t values[KEYS];
    int64_t next_value;
    struct {
        bool open, write;
        unsigned key;
        int64_t value;
    } clients[CLIENTS];
};

static bool
bench_append(struct bench *b, unsigned client, enum event_kind kind,
             struct error *err)
{
    struct event e = {.kind = kind,
                      .process = client,
                      .attempt = 1,
                      .function = b->clients[client].write ? "write" : "read"};
    bool ok;

    fields_set_int(&b->arena, &e.fields, "key", b->clients[client].key);
    if (b->clients[client].write || kind == EVENT_OK)
        fields_set_int(&b->arena, &e.fields, "value", b->clients[client].value);
    ok = history_append(b->writer, &e, HISTORY_BUFFERED, err) == 0;
    arena_reset(&b->arena);
    return ok;
}

/* Each call takes effect when it is answered. */
static bool
bench_step(struct bench *b, unsigned client, struct error *err)
{
    if (!b->clients[client].open) {
        b->clients[client].write = rng_below(&b->rng, 2) == 0;
        b->clients[client].key = (unsigned)rng_below(&b->rng, KEYS);
        if (b->clients[client].write)
            b->clients[client].value = ++b->next_value;
        b->clients[client].open = true;
        return bench_append(b, client, EVENT_INVOKE, err);
    }
    b->clients[client].open = false;
    if (b->clients[client].write)
        b->values[b->clients[client].key] = b->clients[client].value;
    else
        b->clients[client].value = b->values[b->clients[client].key];
    return bench_append(b, client, EVENT_OK, err);
}

static bool
bench_write(const char *path, uint64_t count, struct error *err)
{
    struct bench *b = xcalloc(1, sizeof(*b));
    json_t *meta = json_pack("{s:s}", "model", "register");
    bool ok;

    arena_init(&b->arena);
    rng_init(&b->rng, 1);
    b->writer = history_writer_open(path, meta, clock_monotonic(), err);
    json_decref(meta);
    ok = b->writer != NULL;
    for (uint64_t i = 0; ok && i < 2 * count; i++)
        ok = bench_step(b, (unsigned)rng_below(&b->rng, CLIENTS), err);
    ok = ok && history_seal(b->writer, err) == 0;
    arena_release(&b->arena);
    free(b);
    return ok;
}

static double
cpu_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000000;
    struct analyzer_options options = {.jobs = 1, .initial = "0"};
    char path[] = "/tmp/ordeal-bench-XXXXXX";
    struct error err = {0};
    json_t *result = NULL;
    struct rusage usage;
    double seconds, rate;
    int fd = mkstemp(path), status = 70;

    if (fd < 0)
        return 70;
    close(fd);
    unlink(path); /* the writer makes it */
    if (bench_write(path, count, &err)) {
        seconds = cpu_seconds();
        if (judge_model(path, &options, &result, &err) == 0) {
            seconds = cpu_seconds() - seconds;
            rate = (double)count / seconds;
            status = analyzer_exit_status(result);
            getrusage(RUSAGE_SELF, &usage);
            printf("8 | binary history to verdict, %" PRIu64
                   " operations, %s | %.2f M operations/s/core, %.0f bytes an "
                   "operation | %.0f M | LiMo %.2f M | %.1f times the peer\n",
                   count, json_string_value(json_object_get(result, "verdict")),
                   rate / 1e6, (double)usage.ru_maxrss * 1024 / (double)count,
                   TARGET / 1e6, PEER / 1e6, rate / PEER);
        }
    }
    if (status != 0)
        fprintf(stderr, "bench-check: %s\n",
                err.text[0] != '\0' ? err.text : "not valid");
    json_decref(result);
    unlink(path);
    return status;
}
