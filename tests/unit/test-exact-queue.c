/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact queue and stack: against brute force, and planted faults in long
 * histories.
 */
#include "config.h"

#include "analyzer/models/functions.h"
#include "harness/base/arena.h"
#include "tests/lib/exact-trial.h"

/* Values 1, 2, ... are put in; they are taken once each, mostly. */
static void
container_fill(struct calls *c, struct rng *rng)
{
    uint32_t put = 0, taken = 0;
    unsigned empty_percent = (unsigned)rng_below(rng, 2) * 30;
    uint32_t next[TRIAL_CALLS_MAX];

    for (uint32_t i = 0; i < c->count; i++) {
        if (rng_below(rng, 2) == 0) {
            c->function[i] = QUEUE_ENQUEUE;
            c->a[i] = ++put;
        } else {
            c->function[i] = QUEUE_DEQUEUE;
        }
    }
    for (uint32_t k = 0; k < put; k++) {
        uint32_t at = (uint32_t)rng_below(rng, k + 1);
        next[k] = next[at];
        next[at] = k + 1;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == QUEUE_ENQUEUE || c->complete[i] == CALL_OPEN) {
            continue;
        }
        if (taken == put || rng_below(rng, 100) < empty_percent) {
            c->result[i] = VALUE_NIL;
        } else {
            c->result[i] = next[taken++];
        }
        if (rng_below(rng, 100) == 0) {
            c->result[i] = 1;
        }
    }
}

static void
test_queue_agrees_with_brute_force(void)
{
    struct trial t = {.model = model_find("fifo-queue"),
                      .engine = &engine_queue,
                      .fill = container_fill};

    CHECK(trial_run(&t, 60000));
}

/* ---- long histories ---- */

#define LONG_CALLS 20000
#define LONG_CLIENTS 12

struct play {
    struct calls *c;
    struct rng rng;
    uint32_t *inside, first, last; /* a queue is cut in front, a stack behind */
    bool stack;
};

static void
play_effect(struct play *p, uint32_t i, uint32_t *value)
{
    struct calls *c = p->c;

    if (c->function[i] == QUEUE_ENQUEUE) {
        p->inside[p->last++] = c->a[i];
    } else if (p->first == p->last) {
        *value = VALUE_NIL;
    } else {
        *value = p->stack ? p->inside[--p->last] : p->inside[p->first++];
    }
}

static struct calls *
play(bool stack, uint32_t put_percent, uint32_t open_percent, uint64_t seed)
{
    struct play p = {.stack = stack};
    uint32_t live[LONG_CLIENTS], value[LONG_CLIENTS], live_count = 0, rank = 0;
    uint32_t puts = 0;
    bool early[LONG_CLIENTS];

    p.c = calls_new_raw(model_find(stack ? "stack" : "fifo-queue"));
    p.inside = xcalloc(LONG_CALLS, sizeof(*p.inside));
    rng_init(&p.rng, seed);
    while (p.c->count < LONG_CALLS || live_count > 0) {
        if (p.c->count < LONG_CALLS && live_count < LONG_CLIENTS &&
            (live_count == 0 || rng_below(&p.rng, 2) == 0)) {
            bool put = rng_below(&p.rng, 100) < put_percent;
            uint32_t at = live_count++;
            live[at] = calls_append(p.c, put ? QUEUE_ENQUEUE : QUEUE_DEQUEUE, 0,
                                    rank++, CALL_OPEN);
            p.c->a[live[at]] = put ? ++puts : VALUE_ABSENT;
            early[at] = rng_below(&p.rng, 2) == 0;
            if (early[at]) {
                play_effect(&p, live[at], &value[at]);
            }
            continue;
        }
        uint32_t at = (uint32_t)rng_below(&p.rng, live_count), i = live[at];
        if (!early[at]) {
            play_effect(&p, i, &value[at]);
        }
        if (rng_below(&p.rng, 100) >= open_percent) {
            p.c->complete[i] = rank++;
            if (p.c->function[i] == QUEUE_DEQUEUE) {
                p.c->result[i] = value[at];
            }
        }
        live[at] = live[--live_count];
        value[at] = value[live_count];
        early[at] = early[live_count];
    }
    p.c->rank_count = rank;
    free(p.inside);
    return p.c;
}

static bool
took(const struct calls *c, uint32_t i)
{
    return c->function[i] == QUEUE_DEQUEUE && c->complete[i] != CALL_OPEN &&
           c->result[i] != VALUE_NIL;
}

static uint32_t
put_of(const struct calls *c, uint32_t value)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == QUEUE_ENQUEUE && c->a[i] == value) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* Two removals, one well after the other, swap what they took, and what they
 * took was inside at the first: put in one after the other. */
static void
plant_swap(struct calls *c)
{
    for (uint32_t i = LONG_CALLS / 2; i < c->count; i++) {
        uint32_t put_i = took(c, i) ? put_of(c, c->result[i]) : UINT32_MAX;
        for (uint32_t k = i + 1; put_i != UINT32_MAX && k < c->count; k++) {
            if (!took(c, k) || c->invoke[k] <= c->complete[i]) {
                continue;
            }
            uint32_t put_k = put_of(c, c->result[k]);
            if (c->complete[put_k] < c->invoke[i] &&
                (c->complete[put_k] < c->invoke[put_i] ||
                 c->complete[put_i] < c->invoke[put_k])) {
                uint32_t value = c->result[i];
                c->result[i] = c->result[k];
                c->result[k] = value;
                return;
            }
        }
    }
}

/* A late removal finds nothing although much is inside. */
static void
plant_empty(struct calls *c)
{
    for (uint32_t i = c->count - 1; i > 0; i--) {
        if (c->function[i] == QUEUE_DEQUEUE && c->complete[i] != CALL_OPEN &&
            c->result[i] != VALUE_NIL) {
            c->result[i] = VALUE_NIL;
            return;
        }
    }
}

/* A fault in a stack can be made good by what overlaps it: 'perhaps'. */
static void
check_invalid(const struct engine_ops *engine, struct calls *c, bool perhaps)
{
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct budget b = agree_budget();
    struct decision d;

    engine_decide(engine, &p, &b, &d);
    if (perhaps && d.verdict == VERDICT_VALID) {
        char reason[REASON_TEXT_MAX];
        CHECK(problem_replay(&p, d.order, d.order_count, reason));
        decision_release(&d);
        calls_free(c);
        return;
    }
    CHECK_INT(d.verdict, VERDICT_INVALID);
    printf("# %u calls: %s\n", d.core_count, d.headline);
    CHECK(d.core_count > 0 && d.headline[0] != '\0');
    if (d.core_count <= 12) {
        CHECK(trial_core_holds(&p, &d));
    }
    decision_release(&d);
    calls_free(c);
}

static void
check_valid(const struct engine_ops *engine, struct calls *c)
{
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct budget b = agree_budget();
    struct decision d;
    char reason[REASON_TEXT_MAX];

    engine_decide(engine, &p, &b, &d);
    CHECK_STR(d.headline, "");
    CHECK_STR(d.reason, "");
    CHECK_INT(d.verdict, VERDICT_VALID);
    bool replays = problem_replay(&p, d.order, d.order_count, reason);
    if (!replays) {
        printf("# %s\n", reason);
    }
    CHECK(replays);
    decision_release(&d);
    calls_free(c);
}

static void
test_queue_long(void)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        check_valid(&engine_queue, play(false, 50, 0, seed));
        check_valid(&engine_queue, play(false, 45, 1, seed));
        check_valid(&engine_queue, play(false, 60, 1, seed));
        struct calls *c = play(false, 50, 0, seed);
        plant_swap(c);
        check_invalid(&engine_queue, c, false);
        c = play(false, 70, 1, seed);
        plant_swap(c);
        check_invalid(&engine_queue, c, false);
        c = play(false, 70, 0, seed);
        plant_empty(c);
        check_invalid(&engine_queue, c, false);
    }
}

static void
test_stack_agrees_with_brute_force(void)
{
    struct trial t = {.model = model_find("stack"),
                      .engine = &engine_stack,
                      .fill = container_fill};

    CHECK(trial_run(&t, 60000));
}

static void
test_stack_long(void)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        check_valid(&engine_stack, play(true, 50, 0, seed));
        check_valid(&engine_stack, play(true, 45, 0, seed));
        check_valid(&engine_stack, play(true, 60, 0, seed));
        struct calls *c = play(true, 50, 0, seed);
        plant_swap(c);
        check_invalid(&engine_stack, c, true);
        c = play(true, 70, 0, seed);
        plant_swap(c);
        check_invalid(&engine_stack, c, true);
        c = play(true, 70, 0, seed);
        plant_empty(c);
        check_invalid(&engine_stack, c, false);
    }
}

int
main(void)
{
    RUN(test_queue_agrees_with_brute_force);
    RUN(test_queue_long);
    RUN(test_stack_agrees_with_brute_force);
    RUN(test_stack_long);
    return tap_done();
}
