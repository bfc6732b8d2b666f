/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the exact engines are: registers of unique values (row 7 of the
 * goals) and FIFO queues (row 9), and stacks.  The calls are made in memory as
 * twelve clients would leave them; time is the CPU time of this process in the
 * engine, bytes are those of the columns that the engine reads and what it took
 * at most.
 *
 *   exact-bench [CALLS]        of registers; default ten million
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/functions.h"
#include "harness/base/arena.h"
#include "harness/base/rng.h"

#define CLIENTS 12

/* The columns that engines of registers and queues read: function, invoke,
 * complete, key, a, result. */
#define COLUMN_BYTES (1 + 5 * 4)

struct bench {
    struct calls *c;
    struct rng rng;
    uint32_t keys, open_per_mille, put_percent;
    enum { BENCH_REGISTER, BENCH_QUEUE, BENCH_STACK } kind;
    uint32_t *state; /* per key; or what is inside */
    uint32_t first, last, next_value, rank;
    uint32_t live[CLIENTS], live_count;
};

static int64_t
cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* The call takes effect. */
static void
bench_effect(struct bench *b, uint32_t i)
{
    struct calls *c = b->c;

    if (b->kind == BENCH_REGISTER) {
        uint32_t *now = &b->state[c->key[i]];
        if (c->function[i] == REGISTER_WRITE) {
            *now = c->a[i];
        } else {
            c->result[i] = *now;
        }
    } else if (c->function[i] == QUEUE_ENQUEUE) {
        b->state[b->last++] = c->a[i];
    } else if (b->first == b->last) {
        c->result[i] = VALUE_NIL;
    } else {
        c->result[i] =
            b->kind == BENCH_STACK ? b->state[--b->last] : b->state[b->first++];
    }
}

static void
bench_invoke(struct bench *b)
{
    uint64_t drawn = rng_u64(&b->rng);
    bool put = drawn % 100 < b->put_percent;
    uint8_t function = b->kind == BENCH_REGISTER ? put : !put;
    uint32_t i = calls_append(b->c, function, 0, b->rank++, CALL_OPEN);

    if (b->kind == BENCH_REGISTER) {
        b->c->key[i] = (uint32_t)(drawn >> 32) % b->keys;
    }
    if (put) {
        b->c->a[i] = ++b->next_value;
    }
    b->live[b->live_count++] = i;
}

static void
bench_answer(struct bench *b)
{
    uint64_t drawn = rng_u64(&b->rng);
    uint32_t at = (uint32_t)(drawn >> 32) % b->live_count, i = b->live[at];
    bool read = b->kind == BENCH_REGISTER && b->c->function[i] == REGISTER_READ;

    bench_effect(b, i);
    if (read || drawn % 1000 >= b->open_per_mille) {
        b->c->complete[i] = b->rank++;
    } else {
        b->c->result[i] = VALUE_ABSENT;
    }
    b->live[at] = b->live[--b->live_count];
}

static struct calls *
bench_calls(struct bench *b, const char *model, uint32_t count)
{
    b->c = calls_new_raw(model_find(model));
    rng_init(&b->rng, 1);
    b->state =
        xcalloc(b->kind == BENCH_REGISTER ? b->keys : count, sizeof(*b->state));
    for (uint32_t k = 0; b->kind == BENCH_REGISTER && k < b->keys; k++) {
        b->state[k] = VALUE_NIL;
    }
    while (b->c->count < count || b->live_count > 0) {
        if (b->c->count < count && b->live_count < CLIENTS &&
            (b->live_count == 0 || rng_u64(&b->rng) % 2 == 0)) {
            bench_invoke(b);
        } else {
            bench_answer(b);
        }
    }
    b->c->rank_count = b->rank;
    free(b->state);
    return b->c;
}

struct bench_row {
    const char *row, *work, *target, *peer;
    double peer_seconds; /* 0: none */
};

static void
bench_run(struct bench *b, const char *model, const struct engine_ops *engine,
          uint32_t count, const struct bench_row *row)
{
    struct calls *c = bench_calls(b, model, count);
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct clock *clock = clock_monotonic();
    struct budget budget = {.clock = clock,
                            .deadline_ns = clock_now_ns(clock) + 600 * NS_PER_S,
                            .memory_bytes = SIZE_MAX / 2};
    struct decision d;

    int64_t begin_ns = cpu_ns();
    engine_decide(engine, &p, &budget, &d);
    double seconds = (double)(cpu_ns() - begin_ns) / (double)NS_PER_S;
    double bytes = COLUMN_BYTES + (double)d.peak_bytes / count;
    printf("%s | %s | %s, %.3f s, %.1f M calls/s, %.1f bytes a call, %.0f MB | "
           "%s | %s | ",
           row->row, row->work, verdict_name(d.verdict), seconds,
           count / seconds / 1e6, bytes, bytes * count / 1e6, row->target,
           row->peer);
    if (row->peer_seconds > 0) {
        printf("%.1f\n", row->peer_seconds / seconds);
    } else {
        printf("-\n");
    }
    fflush(stdout);
    decision_release(&d);
    calls_free(c);
}

int
main(int argc, char **argv)
{
    unsigned long long asked = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint32_t count =
        asked > 0 && asked < CALLS_MAX / 2 ? (uint32_t)asked : 10000000;
    double peer = count / 0.64e6; /* Porcupine: operations a CPU second */

    printf("row | work | measured | target | peer | ratio\n");
    struct bench one = {.keys = 1, .open_per_mille = 1, .put_percent = 50};
    bench_run(&one, "register", &engine_register, count,
              &(struct bench_row){
                  "7", "unique-value register, 1 key, 0.1 % open",
                  "20 M/s, 48 bytes", "Porcupine: out of memory at 100 k", 0});
    struct bench many = {
        .keys = 10000, .open_per_mille = 10, .put_percent = 50};
    bench_run(
        &many, "register", &engine_register, count,
        &(struct bench_row){"7", "unique-value registers, 10 k keys, 1 % open",
                            "20 M/s, 48 bytes",
                            "Porcupine 0.64 M/s, 374 bytes (1 k keys)", peer});
    struct bench queue = {
        .kind = BENCH_QUEUE, .open_per_mille = 10, .put_percent = 50};
    bench_run(
        &queue, "fifo-queue", &engine_queue, 1000000,
        &(struct bench_row){"9", "FIFO queue, 1 M, empty dequeues, 1 % pending",
                            "0.5 s, 100 MB", "LiMo 5.9 s, 715 MB", 5.9});
    struct bench stack = {.kind = BENCH_STACK, .put_percent = 50};
    bench_run(&stack, "stack", &engine_stack, 1000000,
              &(struct bench_row){"-", "stack, 1 M, empty pops", "-", "-", 0});
    struct bench deep = {.kind = BENCH_STACK, .put_percent = 70};
    bench_run(&deep, "stack", &engine_stack, 1000000,
              &(struct bench_row){"-", "deep stack, 1 M", "-", "-", 0});
    return 0;
}
