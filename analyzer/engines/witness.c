/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where answers carry a position, the system itself says in which order calls
 * took effect.  It is not believed, it is tried: if that order replays, it is a
 * proof whoever suggested it; if it does not, nothing is known.
 *
 * Calls without a position are fitted in: one that changes nothing goes to the
 * first place where it is legal; another one goes as late as its answer
 * allows.  If that fails, the positions of calls that change nothing are
 * forgotten, and it is tried again.  An open call is used when a call with a
 * position is not legal without it: the one that was invoked last, of those
 * that help.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/engines/search.h"
#include "analyzer/engines/space.h"

#define NONE UINT32_MAX
/* Open calls tried for one that is not legal; more make it no proof but a
 * search, which is the business of others. */
#define OPEN_TRIES_MAX 4096

struct item {
    uint64_t position;
    uint32_t call;
    bool pure; /* saw that position: comes after what made it */
};

struct witness {
    const struct problem *p;
    struct window w;
    struct budget *b;
    struct item *items; /* calls with a position, in that order */
    uint32_t item_count;
    uint64_t *placed;   /* per member: it changes nothing and is an item */
    uint32_t *unplaced; /* definite, with effect, without a position; by answer
                         */
    uint32_t unplaced_count;
    uint32_t *open; /* open calls, by invocation */
    uint32_t open_count;
    uint64_t *used; /* per place in open */
    uint32_t *order, order_count;
    uint32_t latest; /* invocation in the order */
    struct model_state state, next;
};

static bool
witness_applies(const struct problem *p)
{
    return p->calls->position != NULL && p->calls->model->step != NULL;
}

static int
item_compare(const void *x, const void *y)
{
    const struct item *a = x, *b = y;

    if (a->position != b->position) {
        return a->position < b->position ? -1 : 1;
    }
    if (a->pure != b->pure) {
        return a->pure ? 1 : -1;
    }
    return a->call < b->call ? -1 : a->call > b->call;
}

/* Calls without a position are few; they are put in order of their answers. */
static void
unplaced_add(struct witness *t, uint32_t call)
{
    const uint32_t *complete = t->p->calls->complete;
    uint32_t i = t->unplaced_count++;

    for (; i > 0 && complete[t->unplaced[i - 1]] > complete[call]; i--) {
        t->unplaced[i] = t->unplaced[i - 1];
    }
    t->unplaced[i] = call;
}

static void
witness_sort(struct witness *t, bool pures)
{
    const struct calls *c = t->p->calls;
    bool sorted = true;

    for (uint32_t i = 0; i < t->p->count; i++) {
        enum window_kind kind = window_kind(&t->w, i);
        uint32_t call = problem_call(t->p, i);
        bool known = c->position[call] != RECORD_POSITION_NONE;
        if (kind == WINDOW_NOTHING ||
            (kind == WINDOW_PURE && (!pures || !known))) {
            continue;
        }
        if (known) {
            struct item *at = &t->items[t->item_count++];
            *at = (struct item){c->position[call], call, kind == WINDOW_PURE};
            if (kind == WINDOW_PURE) {
                bit_set(t->placed, i);
            }
            sorted = sorted && (at == t->items || item_compare(at - 1, at) < 0);
        } else if (kind == WINDOW_OPEN) {
            t->open[t->open_count++] = call;
        } else {
            unplaced_add(t, call);
        }
    }
    if (!sorted) {
        qsort(t->items, t->item_count, sizeof(*t->items), item_compare);
    }
}

/* Appends the call if it is legal. */
static bool
witness_take(struct witness *t, uint32_t call)
{
    const struct calls *c = t->p->calls;

    if (c->complete[call] < t->latest ||
        !c->model->step(c, call, &t->state, &t->next)) {
        return false;
    }
    struct model_state swap = t->state;
    t->state = t->next;
    t->next = swap;
    t->order[t->order_count++] = call;
    if (c->invoke[call] > t->latest) {
        t->latest = c->invoke[call];
    }
    return true;
}

/* How many open calls were invoked before the answer of 'call'. */
static uint32_t
witness_before(const struct witness *t, uint32_t call)
{
    const struct calls *c = t->p->calls;
    uint32_t low = 0, high = t->open_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->invoke[t->open[middle]] < c->complete[call]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Uses the latest open call after which 'call' is legal. */
static bool
witness_help(struct witness *t, uint32_t call)
{
    const struct calls *c = t->p->calls;
    struct model_state after = {0};
    bool found = false;
    uint32_t tries = 0;

    for (uint32_t i = witness_before(t, call);
         !found && i-- > 0 && tries < OPEN_TRIES_MAX;) {
        if (budget_expired(t->b)) {
            break;
        }
        if (bit_get(t->used, i)) {
            continue;
        }
        tries++;
        if (c->model->step(c, t->open[i], &t->state, &t->next) &&
            c->model->step(c, call, &t->next, &after)) {
            found = witness_take(t, t->open[i]);
            bit_set(t->used, i);
        }
    }
    model_state_release(&after);
    return found && witness_take(t, call);
}

/* Unplaced calls that must come before something invoked at 'invoke'. */
static bool
witness_due(struct witness *t, uint32_t *done, uint32_t invoke)
{
    const struct calls *c = t->p->calls;

    for (;
         *done < t->unplaced_count && c->complete[t->unplaced[*done]] < invoke;
         (*done)++) {
        uint32_t call = t->unplaced[*done];
        if (!witness_take(t, call) && !witness_help(t, call)) {
            return false;
        }
    }
    return true;
}

static bool
witness_walk(struct witness *t)
{
    uint32_t done = 0;

    t->p->calls->model->init(t->p->calls, t->p->key, &t->state);
    for (uint32_t i = 0; i < t->item_count; i++) {
        uint32_t call = t->items[i].call;
        if (budget_expired(t->b) ||
            !witness_due(t, &done, t->p->calls->invoke[call]) ||
            (!witness_take(t, call) && !witness_help(t, call))) {
            return false;
        }
    }
    return witness_due(t, &done, CALL_OPEN);
}

/* Whether an order is found; what stopped it in *ret otherwise. */
static bool
witness_try(struct witness *t, bool pures, struct decision *ret)
{
    uint32_t count = t->p->count;

    t->item_count = 0;
    t->unplaced_count = 0;
    t->open_count = 0;
    t->order_count = 0;
    t->latest = 0;
    memset(t->placed, 0, (count / 64 + 1) * sizeof(*t->placed));
    memset(t->used, 0, (count / 64 + 1) * sizeof(*t->used));
    model_state_resize(&t->state, 0);
    witness_sort(t, pures);
    if (!witness_walk(t)) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "the order of positions does not replay beyond %u of %u calls",
                 t->order_count, count);
        return false;
    }
    ret->order = search_place_pure(&t->w, t->b, t->order, t->order_count,
                                   t->placed, &ret->order_count);
    if (ret->order != NULL &&
        problem_replay(t->p, ret->order, ret->order_count, ret->reason)) {
        ret->verdict = VERDICT_VALID;
        return true;
    }
    snprintf(ret->reason, sizeof(ret->reason),
             "the order of positions does not explain what was read");
    free(ret->order);
    ret->order = NULL;
    ret->order_count = 0;
    return false;
}

static void
witness_both(struct witness *t, struct decision *ret)
{
    size_t count = (size_t)t->p->count + 1;

    t->items = xcalloc(count, sizeof(*t->items));
    t->unplaced = xcalloc(count, sizeof(uint32_t));
    t->open = xcalloc(count, sizeof(uint32_t));
    t->order = xcalloc(count, sizeof(uint32_t));
    t->placed = xcalloc(count / 64 + 1, sizeof(uint64_t));
    t->used = xcalloc(count / 64 + 1, sizeof(uint64_t));
    if (!witness_try(t, true, ret)) {
        (void)witness_try(t, false, ret);
    }
    free(t->items);
    free(t->unplaced);
    free(t->open);
    free(t->order);
    free(t->placed);
    free(t->used);
}

static void
witness_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct witness t = {.p = p, .b = b};
    size_t bytes = ((size_t)p->count + 1) *
                       (sizeof(struct item) + 3 * sizeof(uint32_t) + 1) +
                   64;

    if (!budget_take(b, bytes)) {
        search_no_room(p, b, ret);
        return;
    }
    if (window_make(&t.w, p, b)) {
        witness_both(&t, ret);
    } else {
        search_no_room(p, b, ret);
    }
    model_state_release(&t.state);
    model_state_release(&t.next);
    window_release(&t.w, b);
    budget_give(b, bytes);
}

const struct engine_ops engine_witness = {
    .name = "witness",
    .description = "the order that positions suggest, replayed",
    .applies = witness_applies,
    .decide = witness_decide,
};
