/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases, as a sweep over holds (models/lease.c has the promise).
 *
 * A hold is an acquisition, the renewals of its owner after it, and perhaps its
 * release.  A renewal or a release is right only while the owner still has the
 * lease, and only the owner's acquisition gives it back; so the calls of a hold
 * stand together, whatever expired, and from the answer of the first to the
 * invocation of the last nobody else has the lease: zones as of a lock.  These
 * must not overlap.  Hold y may follow hold x at once when x was released, when
 * both have one owner, or when y's acquisition was answered no earlier than x's
 * last loan can have ended.
 *
 * INVALID is said of two holds whose zones do not fit, and of two of which one
 * certainly follows the other at once, every third one being before or behind
 * both, and may not.  VALID is said of an order of the holds that fits: of
 * those that may be next in real time the one that was answered first, unless
 * it would keep the next such one out.  Otherwise another engine decides.
 *
 * Open calls: an acquisition is left out of an order, but may have taken over
 * anything, so nobody's following is blamed once one is under way.  A release
 * happens when it helps.  A renewal is left out when it could only prolong.
 * Left undecided: reads, expiries, calls without owner, owners who call in
 * another pattern.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/decode.h"

struct lease_hold {
    uint32_t acquire, last;     /* the first and the last answered call */
    uint32_t lent;              /* the call that lent it last */
    uint32_t begun, done;       /* earliest answer, latest invocation */
    uint32_t busy;              /* the owner's last call lives until */
    uint32_t open_release;      /* or EXACT_NONE */
    bool released, use_release; /* use_release: the open one */
    int64_t until;
};

struct lease {
    const struct problem *p;
    const struct calls *c;
    struct budget *b;
    struct decision *d;
    struct exact_index by_owner; /* to the owner's last hold */
    struct lease_hold *holds;
    uint64_t *line;   /* rank and hold, rising */
    uint32_t *behind; /* by place in line: least 'done' from there on; then the
                         order */
    uint32_t *owners; /* by member: its hold, or EXACT_NONE */
    uint32_t count;
    uint32_t open_acquire; /* the first invocation of one */
    size_t bytes;
};

static int64_t
lease_word(const struct lease *l, uint32_t call, uint32_t at)
{
    return model_get64(call_list(l->c, call) + at);
}

static bool
lease_same_owner(const void *arg, uint32_t hold, uint64_t number)
{
    const struct lease *l = arg;

    return l->c->a[l->holds[hold].acquire] == (uint32_t)number;
}

static bool
lease_pattern(struct lease *l, uint32_t call)
{
    exact_unknown(l->d, "'%s' is out of its owner's turn",
                  exact_call(l->c, call).text);
    return false;
}

/* ---- holds ---- */

static void
lease_begin(struct lease *l, uint32_t call, uint32_t *slot)
{
    uint32_t complete = l->c->complete[call], invoke = l->c->invoke[call];

    *slot = l->count;
    l->holds[l->count++] = (struct lease_hold){
        .acquire = call,
        .last = call,
        .lent = call,
        .begun = complete,
        .done = invoke,
        .busy = complete,
        .open_release = EXACT_NONE,
        .until = lease_word(l, call, LEASE_CALL_UNTIL),
    };
    if (complete == CALL_OPEN && invoke < l->open_acquire) {
        l->open_acquire = invoke;
    }
}

/* An open renewal or release; false: it may shorten the loan. */
static bool
lease_open(struct lease *l, uint32_t call, struct lease_hold *hold)
{
    int64_t until = lease_word(l, call, LEASE_CALL_UNTIL);

    hold->busy = CALL_OPEN;
    if (l->c->function[call] == LEASE_RELEASE) {
        hold->open_release = call;
        return true;
    }
    return until == LEASE_UNTIL_SAME || until >= hold->until;
}

static bool
lease_call(struct lease *l, uint32_t member)
{
    const struct calls *c = l->c;
    uint32_t call = problem_call(l->p, member);
    uint32_t *slot =
        exact_index_slot(&l->by_owner, c->a[call], lease_same_owner, l);
    struct lease_hold *hold = *slot == EXACT_NONE ? NULL : &l->holds[*slot];

    if (hold != NULL && hold->busy >= c->invoke[call]) {
        return lease_pattern(l, call);
    }
    if (c->function[call] == LEASE_ACQUIRE) {
        lease_begin(l, call, slot);
        l->owners[member] = *slot;
        return true;
    }
    if (hold == NULL || hold->released) {
        return lease_pattern(l, call);
    }
    if (c->complete[call] == CALL_OPEN) {
        return lease_open(l, call, hold) || lease_pattern(l, call);
    }
    l->owners[member] = *slot;
    hold->last = call;
    hold->done = c->invoke[call];
    hold->busy = c->complete[call];
    hold->released = c->function[call] == LEASE_RELEASE;
    if (!hold->released &&
        lease_word(l, call, LEASE_CALL_UNTIL) != LEASE_UNTIL_SAME) {
        hold->until = lease_word(l, call, LEASE_CALL_UNTIL);
        hold->lent = call;
    }
    return true;
}

static bool
lease_scan(struct lease *l)
{
    const struct calls *c = l->c;
    uint32_t low = UINT32_MAX, high = 0;

    for (uint32_t i = 0; i < l->p->count; i++) {
        uint32_t call = problem_call(l->p, i);
        if (c->key[call] != c->key[problem_call(l->p, 0)] ||
            c->a[call] == VALUE_ABSENT || c->function[call] > LEASE_RENEW) {
            exact_unknown(l->d,
                          "'%s' is no acquisition, renewal or release "
                          "of one lease by an owner",
                          exact_call(c, call).text);
            return false;
        }
        low = c->a[call] < low ? c->a[call] : low;
        high = c->a[call] > high ? c->a[call] : high;
        l->owners[i] = EXACT_NONE;
    }
    if (!exact_index_init(&l->by_owner, low, high, l->p->count, l->b, l->d)) {
        return false;
    }
    for (uint32_t i = 0; i < l->p->count; i++) {
        if ((i % EXACT_POLL_CALLS == 0 && exact_expired(l->b, l->d)) ||
            !lease_call(l, i)) {
            return false;
        }
    }
    return true;
}

/* The holds that certainly were, by their earliest moment; how many. */
static uint32_t
lease_line(struct lease *l)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < l->count; i++) {
        const struct lease_hold *h = &l->holds[i];
        uint32_t at = h->begun < h->done ? h->begun : h->done;
        if (h->begun != CALL_OPEN) {
            l->line[count++] = (uint64_t)at << 32 | i;
        }
    }
    return count;
}

/* ---- what contradicts ---- */

static void
lease_conflict(struct lease *l, const struct lease_hold *x,
               const struct lease_hold *y)
{
    const uint32_t core[] = {x->acquire, x->last, y->acquire, y->last};

    exact_invalid(
        l->d, core, 4, "two owners had the lease at once: '%s' and '%s'",
        exact_call(l->c, x->acquire).text, exact_call(l->c, y->acquire).text);
    exact_edge(l->d, x->acquire, y->last, EDGE_REAL_TIME);
    exact_edge(l->d, y->acquire, x->last, EDGE_REAL_TIME);
}

/* Whether y may come at once after x.  *ret_open: if x's open release does. */
static bool
lease_may_follow(const struct lease *l, const struct lease_hold *x,
                 const struct lease_hold *y, bool *ret_open)
{
    *ret_open = false;
    if (x->released || l->c->a[x->acquire] == l->c->a[y->acquire] ||
        (x->until != LEASE_UNTIL_NEVER &&
         lease_word(l, y->acquire, LEASE_CALL_END) >= x->until)) {
        return true;
    }
    *ret_open = x->open_release != EXACT_NONE &&
                l->c->invoke[x->open_release] < y->begun;
    return *ret_open;
}

static void
lease_too_early(struct lease *l, const struct lease_hold *x,
                const struct lease_hold *y)
{
    const uint32_t core[] = {x->acquire, x->lent, y->acquire, y->last};

    exact_invalid(
        l->d, core, 4, "'%s' took the lease before that of '%s' was over",
        exact_call(l->c, y->acquire).text, exact_call(l->c, x->lent).text);
    exact_edge(l->d, x->acquire, y->last, EDGE_REAL_TIME);
}

/* False, with INVALID, when two holds contradict each other. */
static bool
lease_sweep(struct lease *l, uint32_t count)
{
    const struct lease_hold *zone = NULL; /* the last that certainly lasted */
    uint32_t before = 0;                  /* latest 'begun' of all before x */
    bool open;

    l->behind[count] = UINT32_MAX;
    for (uint32_t i = count; i-- > 0;) {
        uint32_t done = l->holds[(uint32_t)l->line[i]].done;
        l->behind[i] = done < l->behind[i + 1] ? done : l->behind[i + 1];
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct lease_hold *x = &l->holds[(uint32_t)l->line[i]];
        if (zone != NULL && x->begun < zone->done) {
            lease_conflict(l, zone, x);
            return false;
        }
        zone = x->begun < x->done ? x : zone;
        if (i + 1 == count) {
            break;
        }
        const struct lease_hold *y = &l->holds[(uint32_t)l->line[i + 1]];
        bool alone = (i == 0 || before < x->done) && x->begun < y->done &&
                     l->behind[i + 2 < count ? i + 2 : count] > y->begun;
        if (alone && l->open_acquire > y->begun &&
            !lease_may_follow(l, x, y, &open)) {
            lease_too_early(l, x, y);
            return false;
        }
        before = x->begun > before ? x->begun : before;
    }
    return true;
}

/* ---- an order ---- */

/* Each hold is compared with so many at most; more were never under way at once
 * in a history that anybody waits for. */
#define LEASE_POOL_MAX 1024

/* Holds of which each may be the next as far as real time goes, or nearly. */
struct lease_pool {
    uint32_t items[LEASE_POOL_MAX], count;
    uint32_t first;          /* the place of the one answered first */
    uint32_t answer, second; /* 'begun' of that one, and the next such */
    int64_t end, end_second; /* of acquisitions: the least END, and the next */
};

static int64_t
lease_end(const struct lease *l, uint32_t hold)
{
    return lease_word(l, l->holds[hold].acquire, LEASE_CALL_END);
}

static void
lease_pool_measure(const struct lease *l, struct lease_pool *pool)
{
    pool->first = 0;
    pool->answer = pool->second = UINT32_MAX;
    pool->end = pool->end_second = INT64_MAX;
    for (uint32_t i = 0; i < pool->count; i++) {
        uint32_t begun = l->holds[pool->items[i]].begun;
        int64_t end = lease_end(l, pool->items[i]);
        if (begun < pool->answer) {
            pool->second = pool->answer;
            pool->answer = begun;
            pool->first = i;
        } else if (begun < pool->second) {
            pool->second = begun;
        }
        if (end < pool->end) {
            pool->end_second = pool->end;
            pool->end = end;
        } else if (end < pool->end_second) {
            pool->end_second = end;
        }
    }
}

/* From the line, all that could come before the one that is answered first.
 * Returns the place of the next; EXACT_NONE: there are too many. */
static uint32_t
lease_pool_fill(const struct lease *l, struct lease_pool *pool, uint32_t at,
                uint32_t count)
{
    for (;;) {
        uint32_t until = 0;
        lease_pool_measure(l, pool);
        if (pool->count > 0) {
            const struct lease_hold *h = &l->holds[pool->items[pool->first]];
            until = h->done > h->begun ? h->done : h->begun;
        }
        if (at == count ||
            (pool->count > 0 && (uint32_t)(l->line[at] >> 32) > until)) {
            return at;
        }
        if (pool->count == LEASE_POOL_MAX) {
            return EXACT_NONE;
        }
        pool->items[pool->count++] = (uint32_t)l->line[at++];
    }
}

/* Whether the pool's item may come after x in real time and by the lease. */
static bool
lease_pool_may(const struct lease *l, const struct lease_pool *pool, uint32_t i,
               const struct lease_hold *x, bool *ret_open)
{
    const struct lease_hold *y = &l->holds[pool->items[i]];

    *ret_open = false;
    if (y->done > (i == pool->first ? pool->second : pool->answer)) {
        return false;
    }
    return x == NULL ||
           (lease_may_follow(l, x, y, ret_open) &&
            (!*ret_open || l->c->invoke[x->open_release] < pool->answer));
}

/* The next one: that whose acquisition had to come first, unless its loan keeps
 * the most urgent of the others from coming right behind it.  EXACT_NONE: none
 * may. */
static uint32_t
lease_pool_choose(const struct lease *l, const struct lease_pool *pool,
                  const struct lease_hold *x)
{
    uint32_t best = EXACT_NONE;
    int64_t best_end = 0;
    bool best_good = false, open;

    for (uint32_t i = 0; i < pool->count; i++) {
        const struct lease_hold *y = &l->holds[pool->items[i]];
        int64_t end = lease_end(l, pool->items[i]);
        int64_t other = end == pool->end ? pool->end_second : pool->end;
        bool good = y->released || y->until <= other;
        if (lease_pool_may(l, pool, i, x, &open) &&
            (best == EXACT_NONE || good > best_good ||
             (good == best_good && end < best_end))) {
            best = i;
            best_end = end;
            best_good = good;
        }
    }
    return best;
}

/* Puts the holds into 'behind' in an order that fits; false: none was found. */
static bool
lease_arrange(struct lease *l, uint32_t count)
{
    struct lease_pool pool;
    struct lease_hold *x = NULL;
    uint32_t at = 0;

    pool.count = 0;
    for (uint32_t placed = 0; placed < count; placed++) {
        if (placed % EXACT_POLL_CALLS == 0 && exact_expired(l->b, l->d)) {
            return false;
        }
        at = lease_pool_fill(l, &pool, at, count);
        uint32_t i = at == EXACT_NONE ? at : lease_pool_choose(l, &pool, x);
        if (i == EXACT_NONE) {
            exact_unknown(l->d, "several holds may have come one before the "
                                "other or the other way round");
            return false;
        }
        if (x != NULL) {
            lease_pool_may(l, &pool, i, x, &x->use_release);
        }
        l->behind[placed] = pool.items[i];
        x = &l->holds[pool.items[i]];
        pool.items[i] = pool.items[--pool.count];
    }
    return true;
}

/* The calls, each hold's together. */
static void
lease_order(struct lease *l, uint32_t count)
{
    size_t room = (size_t)l->p->count + 1;
    uint32_t *order = xrealloc(NULL, room * sizeof(*order)), used = 0;
    uint64_t *next = l->line; /* by hold; the line has served */

    memset(next, 0, l->count * sizeof(*next));
    for (uint32_t i = 0; i < l->p->count; i++) {
        if (l->owners[i] != EXACT_NONE) {
            next[l->owners[i]]++;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t hold = l->behind[i], calls = (uint32_t)next[hold];
        next[hold] = used;
        used += calls;
        if (l->holds[hold].use_release) {
            order[used++] = l->holds[hold].open_release;
        }
    }
    for (uint32_t i = 0; i < l->p->count; i++) {
        uint32_t hold = l->owners[i];
        if (hold != EXACT_NONE && l->holds[hold].begun != CALL_OPEN) {
            order[next[hold]++] = problem_call(l->p, i);
        }
    }
    exact_valid(l->d, order, used);
}

static void
lease_decide_holds(struct lease *l)
{
    uint32_t count = lease_line(l);

    if (exact_sort(l->line, count, l->b, l->d) && lease_sweep(l, count) &&
        lease_arrange(l, count)) {
        lease_order(l, count);
    }
}

static void
lease_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct lease l = {
        .p = p, .c = p->calls, .b = b, .d = ret, .open_acquire = UINT32_MAX};
    size_t count = (size_t)p->count + 1;

    l.bytes = count * (sizeof(*l.holds) + sizeof(*l.line) + sizeof(*l.behind) +
                       2 * sizeof(*l.owners));
    if (!exact_take(b, l.bytes, ret)) {
        return;
    }
    l.holds = xrealloc(NULL, count * sizeof(*l.holds));
    l.line = xrealloc(NULL, count * sizeof(*l.line));
    l.behind = xrealloc(NULL, count * sizeof(*l.behind));
    l.owners = xrealloc(NULL, count * sizeof(*l.owners));
    if (lease_scan(&l)) {
        lease_decide_holds(&l);
    }
    exact_index_release(&l.by_owner, b);
    free(l.holds);
    free(l.line);
    free(l.behind);
    free(l.owners);
    budget_give(b, l.bytes);
}

const struct engine_ops engine_lease = {
    .name = "lease",
    .description = "leases: holds that must not overlap, nor follow too early",
    .decide = lease_decide,
};
