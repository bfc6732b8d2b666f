/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two states, switched as late as can be, over all events by rank.  What is
 * alive of a thing stands in lists, one for each kind; they are as long as
 * calls about it overlap.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/engines/toggle.h"

struct toggle_thing {
    bool on;
    uint32_t alive[TOGGLE_NOTHING]; /* members by kind, answered ones */
    uint32_t open[2];               /* open ones: TOGGLE_OFF, TOGGLE_ON */
};

struct toggle_run {
    struct toggle *t;
    const struct calls *c;
    struct toggle_thing *things;
    uint32_t *next; /* by member: in a list */
    uint8_t *done;
    uint32_t *order, order_count;
};

static void
toggle_emit(struct toggle_run *r, uint32_t member)
{
    r->done[member] = 1;
    r->order[r->order_count++] = problem_call(r->t->p, member);
}

/* All that wait for the state that there is now. */
static void
toggle_look(struct toggle_run *r, struct toggle_thing *thing)
{
    static const enum toggle_kind waiting[2][2] = {
        {TOGGLE_IS_OFF, TOGGLE_IS_OFF}, {TOGGLE_IS_ON, TOGGLE_MAKE_ON}};

    for (uint32_t i = 0; i < 2; i++) {
        uint32_t *list = &thing->alive[waiting[thing->on][i]];
        for (; *list != EXACT_NONE; *list = r->next[*list]) {
            if (!r->done[*list]) {
                toggle_emit(r, *list);
            }
        }
    }
}

/* Takes the one that is answered first out of a list; EXACT_NONE: empty. */
static uint32_t
toggle_first(struct toggle_run *r, uint32_t *list)
{
    uint32_t best = EXACT_NONE, *best_link = NULL, *link = list;

    while (*link != EXACT_NONE) {
        if (r->done[*link]) {
            *link = r->next[*link];
            continue;
        }
        if (best == EXACT_NONE ||
            r->c->complete[problem_call(r->t->p, *link)] <
                r->c->complete[problem_call(r->t->p, best)]) {
            best = *link;
            best_link = link;
        }
        link = &r->next[*link];
    }
    if (best != EXACT_NONE) {
        *best_link = r->next[best];
    }
    return best;
}

static bool
toggle_switch(struct toggle_run *r, struct toggle_thing *thing)
{
    enum toggle_kind kind = thing->on ? TOGGLE_OFF : TOGGLE_ON;
    uint32_t member = toggle_first(r, &thing->alive[kind]);

    if (member == EXACT_NONE && kind == TOGGLE_ON) {
        member = toggle_first(r, &thing->alive[TOGGLE_MAKE_ON]);
    }
    if (member == EXACT_NONE) {
        member = toggle_first(r, &thing->open[kind]);
    }
    if (member == EXACT_NONE) {
        return false;
    }
    toggle_emit(r, member);
    thing->on = !thing->on;
    toggle_look(r, thing);
    return true;
}

static void
toggle_begin(struct toggle_run *r, uint32_t member)
{
    struct toggle_thing *thing = &r->things[r->t->things[member]];
    enum toggle_kind kind = r->t->kinds[member];
    bool open = r->c->complete[problem_call(r->t->p, member)] == CALL_OPEN;
    bool looks =
        kind == TOGGLE_IS_OFF || kind == TOGGLE_IS_ON || kind == TOGGLE_MAKE_ON;

    if (kind == TOGGLE_NOTHING || (open && looks)) {
        r->done[member] = 1;
        return;
    }
    if (looks && thing->on == (kind != TOGGLE_IS_OFF)) {
        toggle_emit(r, member);
        return;
    }
    uint32_t *list = open ? &thing->open[kind] : &thing->alive[kind];
    r->next[member] = *list;
    *list = member;
}

/* It is answered, and must have happened. */
static bool
toggle_end(struct toggle_run *r, uint32_t member)
{
    struct toggle_thing *thing = &r->things[r->t->things[member]];
    enum toggle_kind kind = r->t->kinds[member];
    bool before = kind == TOGGLE_OFF || kind == TOGGLE_IS_ON;

    if (r->done[member]) {
        return true;
    }
    if (thing->on != before && kind != TOGGLE_MAKE_ON &&
        !toggle_switch(r, thing)) {
        return false;
    }
    /* Of those that switch the one that is answered first is this one. */
    return r->done[member] || toggle_switch(r, thing);
}

static bool
toggle_events(struct toggle_run *r, const uint64_t *ends, uint32_t end_count)
{
    const struct problem *p = r->t->p;
    uint32_t end = 0;

    for (uint32_t i = 0; i <= p->count; i++) {
        uint32_t until =
            i < p->count ? r->c->invoke[problem_call(p, i)] : UINT32_MAX;
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(r->t->b, r->t->d)) {
            return true;
        }
        for (; end < end_count && ends[end] >> 32 < until; end++) {
            if (!toggle_end(r, (uint32_t)ends[end])) {
                r->t->failed = (uint32_t)ends[end];
                return false;
            }
        }
        if (i < p->count) {
            toggle_begin(r, i);
        }
    }
    exact_valid(r->t->d, r->order, r->order_count);
    r->order = NULL;
    return true;
}

bool
toggle_decide(struct toggle *t)
{
    const struct problem *p = t->p;
    struct toggle_run r = {.t = t, .c = p->calls};
    size_t count = (size_t)p->count + 1, end_count = 0;
    size_t bytes = count * (sizeof(uint64_t) + 2 * sizeof(uint32_t) + 1) +
                   t->thing_count * sizeof(*r.things);
    bool ret = true;

    if (!exact_take(t->b, bytes, t->d)) {
        return true;
    }
    r.things = xrealloc(NULL, (t->thing_count + 1) * sizeof(*r.things));
    for (uint32_t i = 0; i < t->thing_count; i++) {
        r.things[i].on = false;
        for (uint32_t k = 0; k < TOGGLE_NOTHING; k++) {
            r.things[i].alive[k] = EXACT_NONE;
        }
        r.things[i].open[0] = r.things[i].open[1] = EXACT_NONE;
    }
    r.next = xrealloc(NULL, count * sizeof(*r.next));
    r.done = xcalloc(count, 1);
    r.order = xrealloc(NULL, count * sizeof(*r.order));
    uint64_t *ends = xrealloc(NULL, count * sizeof(*ends));
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t complete = r.c->complete[problem_call(p, i)];
        if (complete != CALL_OPEN) {
            ends[end_count++] = (uint64_t)complete << 32 | i;
        }
    }
    if (exact_sort(ends, end_count, t->b, t->d)) {
        ret = toggle_events(&r, ends, (uint32_t)end_count);
    }
    free(ends);
    free(r.things);
    free(r.next);
    free(r.done);
    free(r.order);
    budget_give(t->b, bytes);
    return ret;
}

void
toggle_core(const struct toggle *t, uint32_t member, struct exact_list *core)
{
    const struct calls *c = t->p->calls;
    uint32_t until = c->complete[problem_call(t->p, member)];

    for (uint32_t i = 0; i < t->p->count; i++) {
        uint32_t call = problem_call(t->p, i);
        if (t->things[i] == t->things[member] && c->invoke[call] <= until &&
            t->kinds[i] != TOGGLE_NOTHING) {
            exact_list_add(core, call);
        }
    }
}
