/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks.
 *
 * Without owners a lock is a thing that is held or not (toggle.h).
 *
 * With owners each holds it from an acquisition to its next release, at least
 * from the answer of the one to the invocation of the other, if that is later.
 * These stretches must not overlap; a hold without one (the release was
 * invoked before the acquisition was answered) needs a moment outside of them.
 * These are the zones of a register (Gibbons and Korach 1997).  With tokens the
 * holds' order is that of their tokens, and is tried.
 *
 * An open acquisition is the last call of its owner and is left out; an open
 * release is taken to have happened at once.  Left undecided: owners who call
 * in another pattern; tokens that are missing or that a release names
 * differently.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/toggle.h"
#include "analyzer/models/functions.h"

struct lock_hold {
    uint32_t acquire, release; /* release: EXACT_NONE: never */
    uint32_t begin, end;       /* certainly held between, if begin < end */
};

struct lock {
    const struct problem *p;
    const struct calls *c;
    struct budget *b;
    struct decision *d;
    struct exact_index by_owner; /* to the owner's last hold */
    struct lock_hold *holds;
    uint64_t *line;
    uint32_t count;
    size_t bytes;
};

static bool
lock_same(const void *arg, uint32_t hold, uint64_t number)
{
    const struct lock *l = arg;

    return l->c->a[l->holds[hold].acquire] == (uint32_t)number;
}

static void
lock_decide_unowned(struct lock *l)
{
    struct toggle t = {.p = l->p, .b = l->b, .d = l->d, .thing_count = 1};
    struct exact_list core = {0};

    t.kinds = xrealloc(NULL, (size_t)l->p->count + 1);
    t.things = xcalloc((size_t)l->p->count + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < l->p->count; i++) {
        t.kinds[i] = l->c->function[problem_call(l->p, i)] == LOCK_ACQUIRE
                         ? TOGGLE_ON
                         : TOGGLE_OFF;
    }
    if (!toggle_decide(&t)) {
        uint32_t call = problem_call(l->p, t.failed);
        toggle_core(&t, t.failed, &core);
        exact_invalid(l->d, core.items, core.count, "'%s': the lock was %s",
                      exact_call(l->c, call).text,
                      l->c->function[call] == LOCK_ACQUIRE ? "held" : "free");
        exact_list_release(&core);
    }
    free(t.kinds);
    free(t.things);
}

/* ---- holds ---- */

static bool
lock_pattern(struct lock *l, uint32_t call)
{
    exact_unknown(l->d, "'%s' is out of its owner's turn",
                  exact_call(l->c, call).text);
    return false;
}

static bool
lock_call(struct lock *l, uint32_t call)
{
    const struct calls *c = l->c;
    bool open = c->complete[call] == CALL_OPEN;
    uint32_t *slot = exact_index_slot(&l->by_owner, c->a[call], lock_same, l);
    struct lock_hold *last = *slot == EXACT_NONE ? NULL : &l->holds[*slot];

    if (c->function[call] == LOCK_RELEASE) {
        if (last == NULL || last->release != EXACT_NONE ||
            c->complete[last->acquire] >= c->invoke[call]) {
            return lock_pattern(l, call);
        }
        last->release = call;
        last->end = c->invoke[call];
        return true;
    }
    if (last != NULL && (last->release == EXACT_NONE ||
                         c->complete[last->release] >= c->invoke[call])) {
        return lock_pattern(l, call);
    }
    *slot = l->count;
    l->holds[l->count++] = (struct lock_hold){.acquire = call,
                                              .release = EXACT_NONE,
                                              .begin = c->complete[call],
                                              .end = UINT32_MAX};
    (void)open;
    return true;
}

/* Two holds that nothing keeps apart. */
static void
lock_conflict(struct lock *l, uint32_t a, uint32_t b, const char *what)
{
    const struct calls *c = l->c;
    const struct lock_hold *x = &l->holds[a], *y = &l->holds[b];
    const uint32_t core[] = {x->acquire, x->release, y->acquire, y->release};

    exact_invalid(l->d, core, 4, "%s: '%s' and '%s'", what,
                  exact_call(c, x->acquire).text,
                  exact_call(c, y->acquire).text);
    if (y->release != EXACT_NONE) {
        exact_edge(l->d, x->acquire, y->release, EDGE_REAL_TIME);
    }
    if (x->release != EXACT_NONE) {
        exact_edge(l->d, y->acquire, x->release, EDGE_REAL_TIME);
    }
}

static uint32_t *
lock_order(const struct lock *l, uint32_t *ret_count)
{
    uint32_t *order =
        xrealloc(NULL, (2 * (size_t)l->count + 1) * sizeof(*order));
    uint32_t count = 0;

    for (uint32_t i = 0; i < l->count; i++) {
        const struct lock_hold *h = &l->holds[(uint32_t)l->line[i]];
        order[count++] = h->acquire;
        if (h->release != EXACT_NONE) {
            order[count++] = h->release;
        }
    }
    *ret_count = count;
    return order;
}

static void
lock_decide_zones(struct lock *l)
{
    uint32_t last = EXACT_NONE, count;

    for (uint32_t i = 0; i < l->count; i++) {
        const struct lock_hold *h = &l->holds[i];
        uint32_t at = h->begin < h->end ? h->begin : h->end;
        l->line[i] = (uint64_t)at << 32 | i;
    }
    if (!exact_sort(l->line, l->count, l->b, l->d)) {
        return;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t hold = (uint32_t)l->line[i];
        const struct lock_hold *h = &l->holds[hold];
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(l->b, l->d)) {
            return;
        }
        if (last != EXACT_NONE && h->begin < l->holds[last].end) {
            lock_conflict(l, last, hold, "two owners held the lock at once");
            return;
        }
        last = h->begin < h->end ? hold : last;
    }
    uint32_t *order = lock_order(l, &count);
    exact_valid(l->d, order, count);
}

/* ---- tokens ---- */

static int
lock_compare(const void *a, const void *b, void *arg)
{
    const struct lock *l = arg;
    uint64_t x, y;
    int64_t tx = 0, ty = 0;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    (void)value_to_int(l->c, l->c->result[l->holds[x].acquire], &tx);
    (void)value_to_int(l->c, l->c->result[l->holds[y].acquire], &ty);
    return tx != ty ? (tx < ty ? -1 : 1) : (x > y) - (x < y);
}

static bool
lock_tokens(struct lock *l)
{
    const struct calls *c = l->c;
    int64_t token;

    for (uint32_t i = 0; i < l->count; i++) {
        const struct lock_hold *h = &l->holds[i];
        uint32_t told = c->result[h->acquire];
        if (!value_to_int(c, told, &token)) {
            exact_unknown(l->d, "'%s' told no token",
                          exact_call(c, h->acquire).text);
            return false;
        }
        if (h->release != EXACT_NONE && c->b[h->release] != VALUE_ABSENT &&
            c->b[h->release] != told) {
            exact_unknown(l->d, "'%s' names another token",
                          exact_call(c, h->release).text);
            return false;
        }
        l->line[i] = i;
    }
    qsort_r(l->line, l->count, sizeof(*l->line), lock_compare, l);
    return true;
}

static void
lock_decide_tokens(struct lock *l)
{
    const struct calls *c = l->c;
    uint32_t last = EXACT_NONE, last_at = 0, count;

    if (!lock_tokens(l)) {
        return;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t hold = (uint32_t)l->line[i];
        const struct lock_hold *h = &l->holds[hold];
        if (i > 0) {
            uint32_t before = (uint32_t)l->line[i - 1];
            if (c->result[h->acquire] == c->result[l->holds[before].acquire]) {
                lock_conflict(l, before, hold, "one token was given out twice");
                return;
            }
            if (l->holds[before].release == EXACT_NONE) {
                lock_conflict(l, before, hold,
                              "the lock was taken without having been given "
                              "back");
                return;
            }
        }
        bool late =
            last != EXACT_NONE &&
            (c->complete[h->acquire] < last_at ||
             (h->release != EXACT_NONE && c->complete[h->release] < last_at));
        if (late) {
            lock_conflict(l, last, hold,
                          "the order of tokens is not the order of time");
            return;
        }
        uint32_t at = h->release == EXACT_NONE ? c->invoke[h->acquire]
                                               : c->invoke[h->release];
        if (last == EXACT_NONE || at > last_at) {
            last = hold;
            last_at = at;
        }
    }
    uint32_t *order = lock_order(l, &count);
    exact_valid(l->d, order, count);
}

/* ---- both ---- */

/* Reads the calls; *ret_owned: all name an owner, or none does. */
static bool
lock_scan(struct lock *l, bool *ret_owned, bool *ret_tokens)
{
    const struct calls *c = l->c;
    uint32_t owned = 0, low = UINT32_MAX, high = 0;

    *ret_tokens = c->model->functions[0] != NULL &&
                  strcmp(c->model->name, "fenced-lock") == 0;
    for (uint32_t i = 0; i < l->p->count; i++) {
        uint32_t call = problem_call(l->p, i);
        if (c->key[call] != c->key[problem_call(l->p, 0)]) {
            exact_unknown(l->d, "the calls are about several locks");
            return false;
        }
        low = c->a[call] < low ? c->a[call] : low;
        high = c->a[call] > high ? c->a[call] : high;
        owned += c->a[call] != VALUE_ABSENT;
    }
    *ret_owned = owned > 0;
    if ((owned > 0 && owned < l->p->count) || (owned == 0 && *ret_tokens)) {
        exact_unknown(l->d, "some calls name no owner");
        return false;
    }
    return exact_index_init(&l->by_owner, low, high, l->p->count, l->b, l->d);
}

static void
lock_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct lock l = {.p = p, .c = p->calls, .b = b, .d = ret};
    size_t count = (size_t)p->count + 1;
    bool owned, tokens, good = true;

    l.bytes = count * (sizeof(*l.holds) + sizeof(*l.line));
    if (!exact_take(b, l.bytes, ret)) {
        return;
    }
    l.holds = xrealloc(NULL, count * sizeof(*l.holds));
    l.line = xrealloc(NULL, count * sizeof(*l.line));
    if (lock_scan(&l, &owned, &tokens)) {
        for (uint32_t i = 0; owned && good && i < p->count; i++) {
            good = lock_call(&l, problem_call(p, i));
        }
        if (!owned) {
            lock_decide_unowned(&l);
        } else if (good) {
            uint32_t kept = 0; /* without open acquisitions */
            for (uint32_t i = 0; i < l.count; i++) {
                if (l.holds[i].begin != CALL_OPEN) {
                    l.holds[kept++] = l.holds[i];
                }
            }
            l.count = kept;
            if (tokens) {
                lock_decide_tokens(&l);
            } else {
                lock_decide_zones(&l);
            }
        }
    }
    exact_index_release(&l.by_owner, b);
    free(l.holds);
    free(l.line);
    budget_give(b, l.bytes);
}

const struct engine_ops engine_lock = {
    .name = "lock",
    .description = "locks: holds that must not overlap, tokens that rise",
    .decide = lock_decide,
};
