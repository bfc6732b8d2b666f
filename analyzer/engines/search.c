/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both general searches do at their end.
 *
 * Neither remembers where calls without effect were linearized: that would
 * double the memory of histories that mostly read.  Given the order of the
 * others, the first possible place is the best one: the state at a place does
 * not depend on them, and an earlier place never forbids a later call one.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/engines/search.h"
#include "analyzer/engines/space.h"

struct placing {
    const struct window *w;
    const struct calls *c;
    const uint32_t *effects;
    uint32_t effect_count;
    const uint64_t *placed;
    uint32_t *answered; /* per effect: earliest answer from here on */
    uint32_t *waiting;  /* calls that could come as far as time goes */
    uint32_t waiting_count, waiting_cap;
    uint32_t member; /* the next to look at */
    uint32_t *order, order_count;
    struct model_state state, next;
};

/* Calls without effect that may come before effect 'i' (if there is one). */
static bool
placing_gather(struct placing *p, uint32_t i, struct budget *b)
{
    uint64_t until = i < p->effect_count ? p->answered[i] : UINT64_MAX;

    for (; p->member < p->w->p->count; p->member++) {
        uint32_t call = problem_call(p->w->p, p->member);
        if (p->c->invoke[call] >= until) {
            break;
        }
        if (window_kind(p->w, p->member) != WINDOW_PURE ||
            (p->placed != NULL && bit_get(p->placed, p->member))) {
            continue;
        }
        if (!budget_grow(b, (void **)&p->waiting, &p->waiting_cap,
                         p->waiting_count + 1, sizeof(*p->waiting))) {
            return false;
        }
        p->waiting[p->waiting_count++] = call;
    }
    return true;
}

static void
placing_swap(struct placing *p)
{
    struct model_state swap = p->state;

    p->state = p->next;
    p->next = swap;
}

/* Of those that wait, in the order of invocation, what is legal now and not
 * preceded in time by one that still waits. */
static void
placing_flush(struct placing *p)
{
    uint32_t kept = 0, answered = CALL_OPEN;

    for (uint32_t i = 0; i < p->waiting_count; i++) {
        uint32_t call = p->waiting[i];
        if (p->c->invoke[call] <= answered &&
            p->c->model->step(p->c, call, &p->state, &p->next)) {
            placing_swap(p);
            p->order[p->order_count++] = call;
            continue;
        }
        if (p->c->complete[call] < answered) {
            answered = p->c->complete[call];
        }
        p->waiting[kept++] = call;
    }
    p->waiting_count = kept;
}

static bool
placing_walk(struct placing *p, struct budget *b)
{
    const struct calls *c = p->c;
    uint32_t earliest = CALL_OPEN;

    for (uint32_t i = p->effect_count; i-- > 0;) {
        if (c->complete[p->effects[i]] < earliest) {
            earliest = c->complete[p->effects[i]];
        }
        p->answered[i] = earliest;
    }
    c->model->init(c, p->w->p->key, &p->state);
    for (uint32_t i = 0; i <= p->effect_count; i++) {
        if (budget_expired(b) || !placing_gather(p, i, b)) {
            return false;
        }
        placing_flush(p);
        if (i == p->effect_count) {
            break;
        }
        if (!c->model->step(c, p->effects[i], &p->state, &p->next)) {
            return false;
        }
        placing_swap(p);
        p->order[p->order_count++] = p->effects[i];
    }
    return p->waiting_count == 0;
}

uint32_t *
search_place_pure(const struct window *w, struct budget *b,
                  const uint32_t *effects, uint32_t effect_count,
                  const uint64_t *placed, uint32_t *ret_count)
{
    struct placing p = {.w = w,
                        .c = w->p->calls,
                        .effects = effects,
                        .placed = placed,
                        .effect_count = effect_count};
    size_t answered = ((size_t)effect_count + 1) * sizeof(*p.answered);
    size_t order = ((size_t)w->p->count + 1) * sizeof(*p.order);

    if (!budget_take(b, answered + order)) {
        return NULL;
    }
    p.answered = xrealloc(NULL, answered);
    p.order = xrealloc(NULL, order);
    bool ok = placing_walk(&p, b);
    free(p.answered);
    budget_free(b, p.waiting, p.waiting_cap, sizeof(*p.waiting));
    model_state_release(&p.state);
    model_state_release(&p.next);
    budget_give(b, answered + order);
    *ret_count = p.order_count;
    if (!ok) {
        free(p.order);
        return NULL;
    }
    return p.order;
}

static bool
search_stopped(const struct budget *b)
{
    return b->cancel != NULL && atomic_load(b->cancel);
}

void
search_no_room(const struct problem *p, const struct budget *b,
               struct decision *ret)
{
    if (search_stopped(b)) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "it was stopped before the %u calls were looked at", p->count);
    } else if (clock_now_ns(b->clock) >= b->deadline_ns) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "the time is over before the %u calls were looked at",
                 p->count);
    } else {
        snprintf(ret->reason, sizeof(ret->reason),
                 "%u calls do not fit the memory cap of %zu bytes", p->count,
                 b->memory_bytes);
    }
}

void
search_core(const struct window *w, uint32_t event, struct decision *ret)
{
    uint32_t last = event < w->event_count ? w->events[event] >> 1 : 0;

    /* Members come in the order of invocation, so those before the event are
     * the first ones; the latest of them is to be found. */
    for (uint32_t i = 0; i <= event && i < w->event_count; i++) {
        if (w->events[i] >> 1 > last) {
            last = w->events[i] >> 1;
        }
    }
    ret->core = xcalloc((size_t)last + 1, sizeof(*ret->core));
    for (uint32_t i = 0; i <= last; i++) {
        if (window_kind(w, i) != WINDOW_NOTHING) {
            ret->core[ret->core_count++] = problem_call(w->p, i);
        }
    }
}

void
search_prefix(const struct window *w, uint32_t event, struct decision *ret)
{
    uint32_t i = event;

    while (i < w->event_count && (w->events[i] & 1) != 0) {
        i++;
    }
    uint32_t member = i < w->event_count ? w->events[i] >> 1 : w->p->count;
    ret->decided_prefix =
        member < w->p->count ? problem_call(w->p, member) : w->p->calls->count;
    for (uint32_t j = 0; j < member; j++) {
        if (window_kind(w, j) == WINDOW_OPEN) {
            ret->open_count++;
        }
    }
}

void
search_finish(const struct search_ops *ops, void *search,
              enum search_status status, struct budget *b, struct decision *ret)
{
    bool ok = ops->finish(search, status, ret);

    switch (status) {
    case SEARCH_VALID:
        if (ok) {
            ret->verdict = VERDICT_VALID;
        } else {
            snprintf(ret->reason, sizeof(ret->reason),
                     "an order exists, but there is no time or memory to write "
                     "it down within %zu bytes",
                     b->memory_bytes);
        }
        break;
    case SEARCH_INVALID:
        ret->verdict = VERDICT_INVALID;
        break;
    case SEARCH_MEMORY:
        snprintf(ret->reason, sizeof(ret->reason),
                 "%s: the memory cap of %zu bytes is reached; %u calls of "
                 "unknown outcome are undecided",
                 ops->name, b->memory_bytes, ret->open_count);
        break;
    default:
        snprintf(ret->reason, sizeof(ret->reason),
                 "%s: %s after %" PRIu64
                 " steps; %u calls of unknown outcome are undecided",
                 ops->name,
                 search_stopped(b) ? "it was stopped" : "the time is over",
                 ret->steps, ret->open_count);
        break;
    }
}

void
search_decide(const struct search_ops *ops, const struct problem *p,
              struct budget *b, struct decision *ret)
{
    struct window w;
    void *search = NULL;

    if (window_make(&w, p, b)) {
        search = ops->make(&w, b);
    }
    if (search == NULL) {
        search_no_room(p, b, ret);
    } else {
        search_finish(ops, search, ops->run(search, UINT64_MAX), b, ret);
        ops->release(search);
    }
    window_release(&w, b);
}
