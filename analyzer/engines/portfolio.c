/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both general searches under one budget, in turns on one thread: whichever
 * answers first has answered.  Depth first is lucky on valid histories, breadth
 * first is thorough on invalid ones, and nobody knows beforehand which it is.
 *
 * Depth goes first, for a moment, because most histories are easy.  Afterwards
 * that search runs which had less time so far, in slices that grow: the answer
 * comes after about twice the time of the better one.  A turn in which a search
 * came no further into the history counts four times: it is likely to be lost.
 * A search that runs out of memory gives its memory back, and the other one
 * goes on.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/engines/search.h"

#define FIRST_STEPS 1024         /* well below a millisecond */
#define SLICE_NS (4 * NS_PER_MS) /* long enough that turns cost nothing */
#define SLICE_STEPS_MAX (1u << 20)
#define STUCK_PRICE 4 /* who came no further in a turn waits so much longer */

struct runner {
    const struct search_ops *ops;
    void *search;
    enum search_status status;
    uint64_t slice; /* steps of the next turn */
    int64_t used_ns;
};

struct portfolio {
    struct window w;
    struct budget *b;
    struct runner runners[2];
};

static void
runner_start(struct portfolio *p, struct runner *r)
{
    r->search = r->ops->make(&p->w, p->b);
    r->status = r->search == NULL ? SEARCH_MEMORY : SEARCH_RUNNING;
    r->slice = FIRST_STEPS;
}

static void
runner_turn(struct portfolio *p, struct runner *r)
{
    int64_t begin = clock_now_ns(p->b->clock);
    uint32_t progress = r->ops->progress(r->search);

    r->status = r->ops->run(r->search, r->slice);
    int64_t used = clock_now_ns(p->b->clock) - begin;
    bool stuck = progress == r->ops->progress(r->search);
    /* At least something, so that turns change under a clock that stands. */
    r->used_ns += (used > 0 ? used : 1) * (stuck ? STUCK_PRICE : 1);
    if (used < SLICE_NS / 2 && r->slice < SLICE_STEPS_MAX) {
        r->slice *= 2;
    } else if (used > SLICE_NS * 2 && r->slice > 64) {
        r->slice /= 2;
    }
}

static void
runner_release(struct runner *r)
{
    if (r->search != NULL) {
        r->ops->release(r->search);
        r->search = NULL;
    }
}

/* Who has the next turn; NULL: nobody can go on. */
static struct runner *
portfolio_next(struct portfolio *p)
{
    struct runner *x = &p->runners[0], *y = &p->runners[1];

    if (x->status != SEARCH_RUNNING || x->search == NULL) {
        x = NULL;
    }
    if (y->status != SEARCH_RUNNING || y->search == NULL) {
        return x;
    }
    return x != NULL && x->used_ns <= y->used_ns ? x : y;
}

/* What is known when nobody answered: of the search that came further. */
static void
portfolio_unknown(struct portfolio *p, struct decision *ret)
{
    struct decision best = {.verdict = VERDICT_UNKNOWN};

    for (uint32_t i = 0; i < ARRAY_LEN(p->runners); i++) {
        struct runner *r = &p->runners[i];
        struct decision d = {.verdict = VERDICT_UNKNOWN};
        if (r->search == NULL) {
            continue;
        }
        search_finish(r->ops, r->search, r->status, p->b, &d);
        if (best.reason[0] == '\0' || d.decided_prefix > best.decided_prefix) {
            best = d;
        }
    }
    *ret = best;
    if (ret->reason[0] == '\0') {
        search_no_room(p->w.p, p->b, ret);
    }
}

static void
portfolio_run(struct portfolio *p, struct decision *ret)
{
    struct runner *r = &p->runners[0];
    uint64_t steps = 0, configurations = 0;

    runner_start(p, r);
    if (r->search != NULL) {
        runner_turn(p, r);
    }
    if (r->status == SEARCH_RUNNING || r->status == SEARCH_MEMORY) {
        runner_start(p, &p->runners[1]);
        r = portfolio_next(p);
    }
    while (r != NULL && r->status == SEARCH_RUNNING) {
        runner_turn(p, r);
        if (r->status == SEARCH_MEMORY) {
            struct runner *other = &p->runners[r == &p->runners[0]];
            if (other->search != NULL && other->status == SEARCH_RUNNING) {
                struct decision lost = {.verdict = VERDICT_UNKNOWN};
                r->ops->finish(r->search, SEARCH_MEMORY, &lost);
                steps += lost.steps;
                configurations += lost.configurations;
                runner_release(r);
            }
        } else if (r->status != SEARCH_RUNNING) {
            break;
        }
        r = portfolio_next(p);
    }
    if (r != NULL &&
        (r->status == SEARCH_VALID || r->status == SEARCH_INVALID)) {
        /* Room for the order. */
        runner_release(&p->runners[r == &p->runners[0]]);
        search_finish(r->ops, r->search, r->status, p->b, ret);
        ret->engine = r->ops->name;
    } else {
        portfolio_unknown(p, ret);
    }
    ret->steps += steps;
    ret->configurations += configurations;
}

static bool
portfolio_applies(const struct problem *p)
{
    return p->calls->model->step != NULL;
}

static void
portfolio_decide(const struct problem *problem, struct budget *b,
                 struct decision *ret)
{
    struct portfolio p = {
        .b = b,
        .runners = {{.ops = &search_depth, .status = SEARCH_MEMORY},
                    {.ops = &search_configurations, .status = SEARCH_MEMORY}}};

    if (!window_make(&p.w, problem, b)) {
        search_no_room(problem, b, ret);
        return;
    }
    portfolio_run(&p, ret);
    runner_release(&p.runners[0]);
    runner_release(&p.runners[1]);
    window_release(&p.w, b);
}

const struct engine_ops engine_portfolio = {
    .name = "portfolio",
    .description = "depth and breadth in turns, the first answer counts",
    .applies = portfolio_applies,
    .decide = portfolio_decide,
};
