/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The general engines against brute force on one small problem: verdicts must
 * agree, orders replay, cores be invalid.
 *
 *   ORDEAL_TRIALS=1000000 build/test-engines
 *
 * Failures are TAP's; nothing is kept between calls.
 */
#ifndef ORDEAL_TESTS_ENGINES_AGREE_H
#define ORDEAL_TESTS_ENGINES_AGREE_H

#include <inttypes.h>
#include <stdlib.h>

#include "analyzer/engines/engine.h"
#include "harness/base/buf.h"
#include "tests/lib/tap.h"

static const struct engine_ops *const agree_engines[] = {
    &engine_configurations, &engine_depth, &engine_portfolio};

/* How many random histories: ORDEAL_TRIALS (1,000,000 at night), or these. */
static inline uint64_t
agree_trials(uint64_t usual)
{
    const char *text = getenv("ORDEAL_TRIALS");

    return text == NULL ? usual : strtoull(text, NULL, 10);
}

/* Brute force is factorial in the calls: what is asked is never near this. */
static inline struct budget
agree_budget(void)
{
    struct clock *clock = clock_monotonic();

    return (struct budget){.clock = clock,
                           .deadline_ns = clock_now_ns(clock) + 60 * NS_PER_S,
                           .memory_bytes = (size_t)1 << 30};
}

static inline void
agree_print(const struct problem *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);
        struct buf text;
        buf_init(&text, 256);
        model_describe(p->calls, call, &text);
        printf("# call %u [%u, %d] %s\n", call, p->calls->invoke[call],
               (int)p->calls->complete[call], buf_text(&text));
        buf_release(&text);
    }
}

/* What is wrong with a decision, or NULL. */
static inline const char *
agree_fault(const struct problem *p, const struct decision *d,
            enum verdict expected, char reason[REASON_TEXT_MAX])
{
    if (d->verdict != expected) {
        return "the verdict differs from brute force";
    }
    if (d->verdict == VERDICT_VALID) {
        return problem_replay(p, d->order, d->order_count, reason) ? NULL
                                                                   : reason;
    }
    struct problem core = {p->calls, d->core, d->core_count, p->key};
    struct decision again;
    struct budget b = agree_budget();
    engine_decide(&engine_brute, &core, &b, &again);
    bool invalid = again.verdict == VERDICT_INVALID;
    decision_release(&again);
    return invalid ? NULL : "the core is not invalid";
}

/* The truth, by brute force (at most 12 calls), after a CHECK that every
 * general engine says the same and can show it. */
static inline enum verdict
engines_agree(const struct problem *p)
{
    char reason[REASON_TEXT_MAX];
    struct decision truth;
    struct budget b = agree_budget();

    engine_decide(&engine_brute, p, &b, &truth);
    enum verdict verdict = truth.verdict;
    decision_release(&truth);
    CHECK(verdict != VERDICT_UNKNOWN);
    for (uint32_t i = 0; i < ARRAY_LEN(agree_engines); i++) {
        struct decision d;
        b = agree_budget();
        engine_decide(agree_engines[i], p, &b, &d);
        const char *fault = agree_fault(p, &d, verdict, reason);
        if (fault != NULL) {
            printf("# %s: %s: %s (%s)\n", p->calls->model->name,
                   agree_engines[i]->name, fault, d.reason);
            agree_print(p);
        }
        CHECK(fault == NULL);
        decision_release(&d);
    }
    return verdict;
}

/* The line by which a night's log says what was tried. */
static inline void
agree_report(const char *model, uint64_t valid, uint64_t invalid)
{
    printf("# %s: %" PRIu64 " random histories, %" PRIu64 " valid, %" PRIu64
           " invalid\n",
           model, valid + invalid, valid, invalid);
}

#endif
