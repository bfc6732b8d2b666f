/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exact engine against brute force: random small histories, right and wrong
 * ones, whose calls overlap in every way.  VALID must replay, INVALID's core
 * must be invalid by brute force, and the verdicts must be the same.
 *
 *   ORDEAL_TRIALS=1000000 build/tests/unit/test-exact-register
 */
#ifndef ORDEAL_TESTS_EXACT_TRIAL_H
#define ORDEAL_TESTS_EXACT_TRIAL_H

#include "harness/base/rng.h"
#include "tests/lib/engines-agree.h"

#define TRIAL_CALLS_MAX 9

struct trial {
    const struct model_ops *model;
    const struct engine_ops *engine;
    /* Fills function, arguments and result of the calls, whose intervals are
     * there already. */
    void (*fill)(struct calls *c, struct rng *rng);
    uint32_t seen[3]; /* by verdict */
    uint32_t unknown_max_percent;
};

/* Calls with intervals: at most 'width' at once, some stay open. */
static inline struct calls *
trial_intervals(const struct model_ops *model, struct rng *rng)
{
    struct calls *c = calls_new_raw(model);
    uint32_t count = 1 + (uint32_t)rng_below(rng, TRIAL_CALLS_MAX);
    uint32_t width = 1 + (uint32_t)rng_below(rng, 4), rank = 0;
    uint32_t live[TRIAL_CALLS_MAX], live_count = 0;
    unsigned open_percent = (unsigned)rng_below(rng, 2) * 20;

    while (c->count < count || live_count > 0) {
        bool may_invoke = c->count < count && live_count < width;
        if (may_invoke && (live_count == 0 || rng_below(rng, 2) == 0)) {
            live[live_count++] =
                calls_append(c, 0, c->count, rank++, CALL_OPEN);
            continue;
        }
        uint32_t at = (uint32_t)rng_below(rng, live_count);
        if (rng_below(rng, 100) >= open_percent) {
            c->complete[live[at]] = rank++;
        }
        live[at] = live[--live_count];
    }
    c->rank_count = rank;
    return c;
}

static inline void
trial_print(const struct calls *c, const struct decision *d)
{
    printf("# %s: %s%s\n", verdict_name(d->verdict), d->headline, d->reason);
    agree_print(&(struct problem){.calls = c, .count = c->count});
    for (uint32_t i = 0; i < d->core_count; i++) {
        printf("#   core: %u\n", d->core[i]);
    }
    for (uint32_t i = 0; i < d->order_count; i++) {
        printf("#   order: %u\n", d->order[i]);
    }
}

static inline bool
trial_core_holds(const struct problem *p, const struct decision *d)
{
    if (d->core == NULL) {
        return true; /* not known */
    }
    struct problem core = *p;
    struct budget b = agree_budget();
    struct decision brute;

    core.members = d->core;
    core.count = d->core_count;
    engine_decide(&engine_brute, &core, &b, &brute);
    bool holds = brute.verdict == VERDICT_INVALID;
    decision_release(&brute);
    return holds;
}

static inline bool
trial_agrees(struct trial *t, const struct problem *p, struct decision *d)
{
    struct budget b = agree_budget();
    struct decision brute;
    char reason[REASON_TEXT_MAX];

    engine_decide(t->engine, p, &b, d);
    t->seen[d->verdict]++;
    if (d->verdict == VERDICT_UNKNOWN) {
        return true;
    }
    engine_decide(&engine_brute, p, &b, &brute);
    bool same = brute.verdict == d->verdict;
    decision_release(&brute);
    if (!same) {
        printf("# brute force says the opposite\n");
        return false;
    }
    if (d->verdict == VERDICT_VALID) {
        if (!problem_replay(p, d->order, d->order_count, reason)) {
            printf("# the order does not replay: %s\n", reason);
            return false;
        }
        return true;
    }
    if (!trial_core_holds(p, d)) {
        printf("# the core is not invalid\n");
        return false;
    }
    return true;
}

/* False, with what was found printed, at the first disagreement. */
static inline bool
trial_run(struct trial *t, uint64_t usual)
{
    uint64_t count = agree_trials(usual);

    for (uint64_t seed = 0; seed < count; seed++) {
        struct rng rng;
        struct decision d;
        rng_init(&rng, seed);
        struct calls *c = trial_intervals(t->model, &rng);
        t->fill(c, &rng);
        struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
        bool good = trial_agrees(t, &p, &d);
        if (!good) {
            printf("# seed %llu\n", (unsigned long long)seed);
            trial_print(c, &d);
        }
        decision_release(&d);
        calls_free(c);
        if (!good) {
            return false;
        }
    }
    printf("# %s: %u valid, %u unknown, %u invalid\n", t->engine->name,
           t->seen[VERDICT_VALID], t->seen[VERDICT_UNKNOWN],
           t->seen[VERDICT_INVALID]);
    uint64_t least = count / 20;
    return t->seen[VERDICT_VALID] > least && t->seen[VERDICT_INVALID] > least &&
           t->seen[VERDICT_UNKNOWN] * UINT64_C(100) <=
               count * t->unknown_max_percent;
}

#endif
