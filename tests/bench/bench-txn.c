/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast transactions are judged: histories as Elle's generator makes them
 * (one to four micro-operations, half of them reads, ten keys at a time, each
 * for 32 writes), run one after the other by twenty clients, strict
 * serializable; the same with one stale read; and registers.  CPU time of the
 * engine alone, and its memory beside that of the history.
 *
 *   txn-bench [TRANSACTIONS]            default: 100000
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/txn.h"
#include "harness/base/rng.h"

#define CLIENTS 20
#define KEYS 10
#define WRITES_PER_KEY 32
#define MEMORY ((size_t)1 << 30)

struct bench_key {
    uint32_t number, count, values[WRITES_PER_KEY];
};

struct bench {
    struct calls *calls;
    struct rng rng;
    bool lists;
    struct bench_key keys[KEYS];
    uint32_t next_key;
    uint32_t running[CLIENTS]; /* call, plus one */
    uint32_t spoil; /* from this call on, one reads something stale */
};

static uint32_t
bench_read(struct bench *b, const struct bench_key *k, uint32_t call,
           uint32_t *words)
{
    uint32_t count = k->count;

    /* Long gone: twenty clients write this key twice or thrice at a time. */
    if (call >= b->spoil && count > 24) {
        count = 4;
        b->spoil = UINT32_MAX;
    }
    words[0] = count == 0 ? VALUE_NIL : b->lists ? count : 1;
    if (count == 0)
        return 1;
    if (!b->lists) {
        words[1] = k->values[count - 1];
        return 2;
    }
    memcpy(words + 1, k->values, count * sizeof(*words));
    return 1 + count;
}

/* Runs a transaction, whole. */
static void
bench_run(struct bench *b, uint32_t call)
{
    uint32_t words[4 * (WRITES_PER_KEY + 3)], count = 0;
    uint32_t ops = 1 + (uint32_t)rng_below(&b->rng, 4);

    for (uint32_t i = 0; i < ops; i++) {
        struct bench_key *k = &b->keys[rng_below(&b->rng, KEYS)];
        bool read = rng_chance(&b->rng, 0.5) || call >= b->spoil;

        words[count++] = read ? TXN_READ : b->lists ? TXN_APPEND : TXN_WRITE;
        words[count++] = k->number;
        if (read) {
            count += bench_read(b, k, call, words + count);
            continue;
        }
        words[count++] = k->count + 1;
        k->values[k->count] = k->count + 1;
        if (++k->count == WRITES_PER_KEY) {
            k->number = b->next_key++;
            k->count = 0;
        }
    }
    b->calls->list[call] = calls_list(b->calls, words, count);
}

static void
bench_make(struct bench *b, const char *model, uint32_t count, bool spoiled)
{
    uint32_t rank = 0, open = 0;

    memset(b, 0, sizeof(*b));
    rng_init(&b->rng, 1);
    b->lists = model[0] == 'l';
    b->calls = calls_new_raw(model_find(model));
    b->spoil = spoiled ? count / 10 * 9 : UINT32_MAX;
    for (uint32_t i = 0; i < KEYS; i++)
        b->keys[i].number = b->next_key++;
    while (b->calls->count < count || open > 0) {
        uint32_t *slot = &b->running[rng_below(&b->rng, CLIENTS)];

        if (*slot != 0) {
            bench_run(b, *slot - 1);
            b->calls->complete[*slot - 1] = rank++;
            *slot = 0;
            open--;
        } else if (b->calls->count < count) {
            *slot = 1 + calls_append(b->calls, TXN_DONE,
                                     (uint32_t)(slot - b->running), rank,
                                     CALL_OPEN);
            rank++;
            open++;
        }
    }
    b->calls->rank_count = rank;
}

static double
bench_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
bench_row(const char *model, uint32_t count, bool spoiled,
          enum verdict expected)
{
    struct bench b;
    struct decision d;
    struct budget budget = {.clock = clock_monotonic(),
                            .deadline_ns = INT64_MAX,
                            .memory_bytes = MEMORY};
    double target = 10.0 * count / 1e6, seconds;

    bench_make(&b, model, count, spoiled);
    struct problem p = {
        .calls = b.calls, .count = b.calls->count, .key = VALUE_ABSENT};
    seconds = bench_seconds();
    engine_decide(b.calls->model->exact[0], &p, &budget, &d);
    seconds = bench_seconds() - seconds;
    if (d.verdict != expected)
        printf("# wrong: %s %s%s\n", verdict_name(d.verdict), d.headline,
               d.reason);
    printf("12 | %s, %u transactions, %s | %.2f s, %zu MB beside %zu MB of "
           "history | %.1f s, 1 GB | Elle: minutes on a JVM | %.2f of target\n",
           model, count, verdict_name(d.verdict), seconds, d.peak_bytes >> 20,
           ((size_t)b.calls->list_count * 4 + (size_t)b.calls->cap * 41) >> 20,
           target, seconds / target);
    if (d.verdict == VERDICT_INVALID)
        printf("# %s (%u calls)\n", d.headline, d.core_count);
    fflush(stdout);
    decision_release(&d);
    calls_free(b.calls);
}

int
main(int argc, char **argv)
{
    uint32_t count =
        argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : UINT32_C(100000);

    printf("row | work | measured | target | peer | ratio\n");
    bench_row("list-append", count, false, VERDICT_VALID);
    bench_row("list-append", count, true, VERDICT_INVALID);
    bench_row("list-append:serializable", count, false, VERDICT_VALID);
    bench_row("list-append:snapshot-isolation", count, false, VERDICT_VALID);
    bench_row("rw-register", count, false, VERDICT_VALID);
    bench_row("rw-register", count, true, VERDICT_INVALID);
    bench_row("rw-register:serializable", count, false, VERDICT_VALID);
    return 0;
}
