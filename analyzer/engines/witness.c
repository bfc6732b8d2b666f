/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where answers carry a position, the system itself says in which order calls
 * took effect.  It is not believed, it is tried: if that order replays, it is a
 * proof whoever suggested it; if it does not, nothing is known.
 *
 * Calls without a position are fitted in: one that changes nothing goes to the
 * first place where it is legal; another one goes as late as its answer
 * allows.  An open call is used when a call with a position is not legal
 * without it: the one that was invoked last, of those that help.
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
};

struct witness {
    const struct problem *p;
    struct window w;
    struct budget *b;
    struct item *items; /* calls with effect and a position, in that order */
    uint32_t item_count;
    uint32_t *unplaced; /* definite, with effect, without a position; by answer
                         */
    uint32_t unplaced_count;
    uint32_t *open; /* unused open calls, by invocation */
    uint32_t open_count;
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
witness_sort(struct witness *t)
{
    const struct calls *c = t->p->calls;
    bool sorted = true;

    for (uint32_t i = 0; i < t->p->count; i++) {
        enum window_kind kind = window_kind(&t->w, i);
        uint32_t call = problem_call(t->p, i);
        if (kind == WINDOW_PURE || kind == WINDOW_NOTHING) {
            continue;
        }
        if (c->position[call] != RECORD_POSITION_NONE) {
            struct item *at = &t->items[t->item_count++];
            *at = (struct item){c->position[call], call};
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

/* Uses the latest open call after which 'call' is legal. */
static bool
witness_help(struct witness *t, uint32_t call)
{
    const struct calls *c = t->p->calls;
    struct model_state after = {0};
    bool found = false;
    uint32_t tries = 0;

    for (uint32_t i = t->open_count; i-- > 0 && tries < OPEN_TRIES_MAX;) {
        uint32_t open = t->open[i];
        if (c->invoke[open] > c->complete[call]) {
            continue;
        }
        tries++;
        found = c->model->step(c, open, &t->state, &t->next) &&
                c->model->step(c, call, &t->next, &after);
        if (found) {
            found = witness_take(t, open);
            memmove(&t->open[i], &t->open[i + 1],
                    (t->open_count - i - 1) * sizeof(*t->open));
            t->open_count--;
            break;
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

static void
witness_try(struct witness *t, struct decision *ret)
{
    uint32_t count = t->p->count;

    t->items = xcalloc((size_t)count + 1, sizeof(*t->items));
    t->unplaced = xcalloc((size_t)count + 1, sizeof(uint32_t));
    t->open = xcalloc((size_t)count + 1, sizeof(uint32_t));
    t->order = xcalloc((size_t)count + 1, sizeof(uint32_t));
    witness_sort(t);
    if (!witness_walk(t)) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "the order of positions does not replay beyond %u of %u calls",
                 t->order_count, count);
        return;
    }
    ret->order = search_place_pure(&t->w, t->b, t->order, t->order_count,
                                   &ret->order_count);
    if (ret->order == NULL ||
        !problem_replay(t->p, ret->order, ret->order_count, ret->reason)) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "the order of positions does not explain what was read");
        free(ret->order);
        ret->order = NULL;
        ret->order_count = 0;
        return;
    }
    ret->verdict = VERDICT_VALID;
}

static void
witness_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct witness t = {.p = p, .b = b};
    size_t bytes =
        ((size_t)p->count + 1) * (sizeof(struct item) + 3 * sizeof(uint32_t));

    if (!budget_take(b, bytes)) {
        snprintf(ret->reason, sizeof(ret->reason),
                 "%u calls do not fit the memory cap of %zu bytes", p->count,
                 b->memory_bytes);
        return;
    }
    if (window_make(&t.w, p, b)) {
        witness_try(&t, ret);
    } else {
        snprintf(ret->reason, sizeof(ret->reason),
                 "%u calls do not fit the memory cap of %zu bytes", p->count,
                 b->memory_bytes);
    }
    free(t.items);
    free(t.unplaced);
    free(t.open);
    free(t.order);
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
