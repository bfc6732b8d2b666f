/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every order that keeps real time, tried one after the other: no memory of
 * what was tried, no pruning but legality.  Obviously right, and what the other
 * engines are compared with; n! in the number of concurrent calls.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/engines/engine.h"

#define BRUTE_MAX 12 /* 12! steps are seconds */

struct brute {
    const struct problem *p;
    struct budget *budget;
    uint32_t placed; /* a bit per member */
    uint32_t order[BRUTE_MAX], order_count;
    struct model_state states[BRUTE_MAX + 1]; /* after so many calls */
    uint64_t steps;
    bool expired;
};

/* Every definite call is placed: the open ones need not be. */
static bool
brute_done(const struct brute *b)
{
    for (uint32_t i = 0; i < b->p->count; i++) {
        uint32_t call = problem_call(b->p, i);
        if ((b->placed >> i & 1) == 0 &&
            b->p->calls->complete[call] != CALL_OPEN) {
            return false;
        }
    }
    return true;
}

/* Nothing that is not placed yet was answered before 'call' was invoked. */
static bool
brute_may_come(const struct brute *b, uint32_t call)
{
    const struct calls *c = b->p->calls;

    for (uint32_t i = 0; i < b->p->count; i++) {
        if ((b->placed >> i & 1) == 0 &&
            c->complete[problem_call(b->p, i)] < c->invoke[call]) {
            return false;
        }
    }
    return true;
}

static bool
brute_search(struct brute *b)
{
    const struct calls *c = b->p->calls;
    uint32_t depth = b->order_count;

    if (brute_done(b)) {
        return true;
    }
    for (uint32_t i = 0; i < b->p->count; i++) {
        uint32_t call = problem_call(b->p, i);
        if ((b->placed >> i & 1) != 0 || !brute_may_come(b, call)) {
            continue;
        }
        if (budget_expired(b->budget)) {
            b->expired = true;
            return false;
        }
        b->steps++;
        if (!c->model->step(c, call, &b->states[depth],
                            &b->states[depth + 1])) {
            continue;
        }
        b->placed |= UINT32_C(1) << i;
        b->order[b->order_count++] = call;
        if (brute_search(b)) {
            return true;
        }
        b->order_count--;
        b->placed &= ~(UINT32_C(1) << i);
        if (b->expired) {
            return false;
        }
    }
    return false;
}

static bool
brute_applies(const struct problem *p)
{
    return p->calls->model->step != NULL && p->count <= BRUTE_MAX;
}

static void
brute_decide(const struct problem *p, struct budget *budget,
             struct decision *ret)
{
    struct brute b = {.p = p, .budget = budget};

    p->calls->model->init(p->calls, p->key, &b.states[0]);
    if (brute_search(&b)) {
        ret->verdict = VERDICT_VALID;
        ret->order = xcalloc(BRUTE_MAX, sizeof(*ret->order));
        ret->order_count = b.order_count;
        memcpy(ret->order, b.order, sizeof(b.order));
    } else if (b.expired) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "the budget ended after %llu steps",
                 (unsigned long long)b.steps);
    } else {
        ret->verdict = VERDICT_INVALID;
        ret->core = xcalloc(p->count + 1, sizeof(*ret->core));
        ret->core_count = p->count;
        for (uint32_t i = 0; i < p->count; i++) {
            ret->core[i] = problem_call(p, i);
        }
    }
    ret->steps = b.steps;
    for (uint32_t i = 0; i <= BRUTE_MAX; i++) {
        model_state_release(&b.states[i]);
    }
}

const struct engine_ops engine_brute = {
    .name = "brute",
    .description = "every order of at most 12 calls",
    .applies = brute_applies,
    .decide = brute_decide,
};
