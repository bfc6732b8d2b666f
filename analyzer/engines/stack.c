/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Last in, first out, with values that are put in once each.  The stays of the
 * elements must be nested or apart.  After Abdulla et al., "Efficient
 * linearizability monitoring", PLDI 2025 (arXiv 2509.17795), but with an index
 * that makes it O(n log n):
 *
 *   An element that need not be inside at any rank comes and goes at one, where
 *   it disturbs nobody.  The others cover stretches of ranks in which the stack
 *   is never empty.  Outside of them it may be taken to be empty, so stretches
 *   are judged apart, and empty removals must find such a rank.
 *   In a stretch some element lies at the bottom all the time: it can have come
 *   before any other had come, and can go after all others began to.  Any that
 *   can will do, for it can be drawn out below the rest.  It is taken away, and
 *   what remains falls into smaller stretches.  If none can, there is no order.
 *
 * Stretches are intervals of the elements by come_end.  As they shrink, the
 * bounds only get easier, so each element becomes able to come first once, and
 * able to go last once; a tree over the elements finds those that newly do, and
 * the places where a stretch breaks.
 *
 * Open removals may have taken any element that nobody else took.  Which took
 * which is guessed in a few ways, and all ways are tried when they are few.
 * Nothing certain is said otherwise, but: what is contradictory even if each
 * such element had an open removal of its own, as early as the first, is
 * INVALID.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/container.h"

#define STACK_FAR (1 << 29) /* no cover count falls from it to zero */
/* Ways to match open removals that are tried, times the elements. */
#define STACK_WAYS_MAX 5040u
#define STACK_WORK_MAX 2000000u

struct stack_node {
    uint32_t come_begin; /* least of those that cannot come first yet */
    uint32_t go_end;     /* greatest of those that cannot go last yet, or 0 */
    uint32_t go_begin;   /* greatest, or 0 */
    int32_t cover;       /* least number of elements over one's come_end */
    int32_t add;         /* for all below */
};

/* A stretch to be judged, or, if 'low' is EXACT_NONE, an element to go. */
struct stack_work {
    uint32_t low, high;
};

struct stack {
    struct container k;
    uint64_t *by_come;
    uint32_t *firm; /* elements certainly inside somewhere, by come_end */
    uint32_t *end;  /* by place in 'firm': the first one not covered by it */
    uint8_t *able;  /* bit 0: to come first, bit 1: to go last; bit 2: out */
    uint32_t firm_count, leaves;
    struct stack_node *nodes;
    uint64_t *loose; /* elements that come and go at one rank, by it */
    uint32_t loose_count;
    uint32_t *gaps; /* of the empty removals */
    struct exact_list unclaimed;
    struct stack_work *work;
    uint32_t work_count, work_cap;
    struct exact_list found; /* places that may be at the bottom */
    struct exact_list starts;
    /* the order so far */
    uint32_t *order;
    uint32_t order_count, at, next_loose, next_empty;
};

static inline struct container_element *
stack_element(const struct stack *s, uint32_t place)
{
    return &s->k.elements[s->firm[place]];
}

/* ---- the tree ---- */

static void
stack_pull(struct stack *s, uint32_t node)
{
    struct stack_node *n = &s->nodes[node];
    const struct stack_node *a = &s->nodes[2 * node], *b = a + 1;

    n->come_begin =
        a->come_begin < b->come_begin ? a->come_begin : b->come_begin;
    n->go_end = a->go_end > b->go_end ? a->go_end : b->go_end;
    n->go_begin = a->go_begin > b->go_begin ? a->go_begin : b->go_begin;
    n->cover = (a->cover < b->cover ? a->cover : b->cover) + n->add;
}

static void
stack_update(struct stack *s, uint32_t place)
{
    for (uint32_t node = (s->leaves + place) / 2; node > 0; node /= 2) {
        stack_pull(s, node);
    }
}

static void
stack_add_cover(struct stack *s, uint32_t node, uint32_t low, uint32_t high,
                uint32_t from, uint32_t to, int32_t by)
{
    if (to <= low || high <= from) {
        return;
    }
    if (from <= low && high <= to) {
        s->nodes[node].cover += by;
        s->nodes[node].add += by;
        return;
    }
    uint32_t middle = (low + high) / 2;
    stack_add_cover(s, 2 * node, low, middle, from, to, by);
    stack_add_cover(s, 2 * node + 1, middle, high, from, to, by);
    stack_pull(s, node);
}

enum stack_seek { STACK_COME, STACK_GO, STACK_ZERO, STACK_ALIVE };

/* The first place in [from, to) whose value passes the bound, or EXACT_NONE. */
static uint32_t
stack_seek(const struct stack *s, uint32_t node, uint32_t low, uint32_t high,
           uint32_t from, uint32_t to, enum stack_seek what, int64_t bound)
{
    const struct stack_node *n = &s->nodes[node];

    if (to <= low || high <= from) {
        return EXACT_NONE;
    }
    if ((what == STACK_COME && n->come_begin > bound) ||
        (what == STACK_GO && n->go_end < bound) ||
        (what == STACK_ZERO && n->cover > bound) ||
        (what == STACK_ALIVE && n->go_begin < bound)) {
        return EXACT_NONE;
    }
    if (high - low == 1) {
        return low;
    }
    uint32_t middle = (low + high) / 2;
    if (what == STACK_ZERO) {
        bound -= n->add;
    }
    uint32_t place =
        stack_seek(s, 2 * node, low, middle, from, to, what, bound);
    return place != EXACT_NONE ? place
                               : stack_seek(s, 2 * node + 1, middle, high, from,
                                            to, what, bound);
}

/* The greatest go_begin in [from, to). */
static uint32_t
stack_last_go(const struct stack *s, uint32_t from, uint32_t to)
{
    uint32_t ret = 0;

    for (uint32_t a = from + s->leaves, b = to + s->leaves; a < b;
         a /= 2, b /= 2) {
        if (a % 2 == 1) {
            ret = s->nodes[a].go_begin > ret ? s->nodes[a].go_begin : ret;
            a++;
        }
        if (b % 2 == 1) {
            b--;
            ret = s->nodes[b].go_begin > ret ? s->nodes[b].go_begin : ret;
        }
    }
    return ret;
}

static void
stack_build(struct stack *s)
{
    int32_t cover = 0;
    int32_t *ends = (int32_t *)s->starts.items; /* scratch of the same size */

    memset(ends, 0, (s->firm_count + 1) * sizeof(*ends));
    for (uint32_t i = 0; i < s->leaves; i++) {
        struct stack_node *n = &s->nodes[s->leaves + i];
        *n = (struct stack_node){.come_begin = UINT32_MAX, .cover = STACK_FAR};
        if (i >= s->firm_count) {
            continue;
        }
        const struct container_element *e = stack_element(s, i);
        cover += ends[i];
        n->come_begin = e->come_begin;
        n->go_end = e->go_end;
        n->go_begin = e->go_begin;
        n->cover = cover;
        cover++;
        ends[s->end[i]]--;
    }
    for (uint32_t node = s->leaves - 1; node > 0; node--) {
        s->nodes[node].add = 0;
        stack_pull(s, node);
    }
}

/* ---- stretches ---- */

/* Splits the elements; for each firm one, up to where it covers others. */
static void
stack_split(struct stack *s)
{
    struct container *k = &s->k;

    s->firm_count = 0;
    s->loose_count = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        uint32_t element = (uint32_t)s->by_come[i];
        const struct container_element *e = &k->elements[element];
        if (e->come_end < e->go_begin) {
            s->firm[s->firm_count++] = element;
        } else {
            s->loose[s->loose_count++] = (uint64_t)e->go_begin << 32 | element;
        }
    }
    for (uint32_t i = 0; i < s->firm_count; i++) {
        uint32_t low = i + 1, high = s->firm_count;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (stack_element(s, middle)->come_end <
                stack_element(s, i)->go_begin) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        s->end[i] = low;
    }
    s->leaves = 1;
    while (s->leaves < s->firm_count) {
        s->leaves *= 2;
    }
    memset(s->able, 0, s->firm_count);
}

static void
stack_push_work(struct stack *s, uint32_t low, uint32_t high)
{
    if (s->work_count == s->work_cap) {
        s->work_cap = s->work_cap == 0 ? 64 : s->work_cap * 2;
        s->work = xrealloc(s->work, s->work_cap * sizeof(*s->work));
    }
    s->work[s->work_count++] = (struct stack_work){low, high};
}

/* Breaks what is left of [low, high) into stretches, the first on top. */
static void
stack_break(struct stack *s, uint32_t low, uint32_t high)
{
    uint32_t first = stack_seek(s, 1, 0, s->leaves, low, high, STACK_ALIVE, 1);
    uint32_t place;

    s->starts.count = 0;
    if (first == EXACT_NONE) {
        return;
    }
    exact_list_add(&s->starts, first);
    while ((place = stack_seek(s, 1, 0, s->leaves, low, high, STACK_ZERO, 0)) !=
           EXACT_NONE) {
        stack_add_cover(s, 1, 0, s->leaves, place, place + 1, STACK_FAR);
        if (place != first) {
            exact_list_add(&s->starts, place);
        }
    }
    uint32_t end = high;
    for (uint32_t i = s->starts.count; i > 0; i--) {
        stack_push_work(s, s->starts.items[i - 1], end);
        end = s->starts.items[i - 1];
    }
}

static void
stack_make_able(struct stack *s, uint32_t place, uint8_t bit)
{
    struct stack_node *leaf = &s->nodes[s->leaves + place];

    if (bit == 1) {
        leaf->come_begin = UINT32_MAX;
    } else {
        leaf->go_end = 0;
    }
    stack_update(s, place);
    s->able[place] |= bit;
    if ((s->able[place] & 3) == 3) {
        exact_list_add(&s->found, place);
    }
}

/* Finds all elements of the stretch that can lie at its bottom. */
static void
stack_find_bottom(struct stack *s, uint32_t low, uint32_t high)
{
    uint32_t first = stack_seek(s, 1, 0, s->leaves, low, high, STACK_ALIVE, 1);
    int64_t come_end = stack_element(s, first)->come_end;
    int64_t go_begin = stack_last_go(s, low, high);
    uint32_t place;

    s->found.count = 0;
    while ((place = stack_seek(s, 1, 0, s->leaves, low, high, STACK_COME,
                               come_end)) != EXACT_NONE) {
        stack_make_able(s, place, 1);
    }
    while ((place = stack_seek(s, 1, 0, s->leaves, low, high, STACK_GO,
                               go_begin)) != EXACT_NONE) {
        stack_make_able(s, place, 2);
    }
}

static void
stack_remove(struct stack *s, uint32_t place)
{
    s->able[place] |= 4;
    s->nodes[s->leaves + place].go_begin = 0;
    stack_update(s, place);
    stack_add_cover(s, 1, 0, s->leaves, place, place + 1, STACK_FAR);
    stack_add_cover(s, 1, 0, s->leaves, place + 1, s->end[place], -1);
}

/* ---- the order ---- */

static void
stack_emit(struct stack *s, uint32_t call, uint32_t rank)
{
    const struct container *k = &s->k;

    s->at = rank > s->at ? rank : s->at;
    while (s->next_loose < s->loose_count &&
           s->loose[s->next_loose] >> 32 <= s->at) {
        const struct container_element *e =
            &k->elements[(uint32_t)s->loose[s->next_loose++]];
        s->order[s->order_count++] = e->come;
        s->order[s->order_count++] = e->go;
    }
    if (call != EXACT_NONE) {
        s->order[s->order_count++] = call;
    }
}

/* Empty removals whose rank is no later than 'rank'; the stack is empty. */
static void
stack_emit_empties(struct stack *s, uint32_t rank)
{
    const struct container *k = &s->k;

    while (s->next_empty < k->empties.count && s->gaps[s->next_empty] <= rank) {
        stack_emit(s, k->empties.items[s->next_empty], s->gaps[s->next_empty]);
        s->next_empty++;
    }
}

/* ---- what is wrong ---- */

static void
stack_conflict_words(struct stack *s, const struct exact_list *chain,
                     const struct exact_list *core)
{
    struct container *k = &s->k;
    uint32_t first = chain->items[0], last = chain->items[chain->count - 1];
    const struct container_element *f = &k->elements[first];
    const struct container_element *g = &k->elements[last];

    if (chain->count == 2) {
        exact_invalid(
            k->d, core->items, core->count,
            "out of order: '%s' came before '%s', but '%s' was "
            "answered while %s still lay on top of it",
            exact_call(k->c, f->come).text, exact_call(k->c, g->come).text,
            exact_call(k->c, f->go).text, exact_value(k->c, g->value).text);
    } else {
        exact_invalid(k->d, core->items, core->count,
                      "out of order: from '%s' on there was always something "
                      "in the stack, but none of %u elements can have come "
                      "first and gone last",
                      exact_call(k->c, f->come).text, chain->count);
    }
    exact_edge(k->d, container_come_end_call(k, first), g->come,
               EDGE_REAL_TIME);
    exact_edge(k->d, f->go, container_go_begin_call(k, last), EDGE_REAL_TIME);
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct container_element *e = &k->elements[chain->items[i]];
        exact_edge(k->d, e->come, e->go, EDGE_OBSERVED);
        if (i > 0) {
            exact_edge(k->d, container_come_end_call(k, chain->items[i]),
                       container_go_begin_call(k, chain->items[i - 1]),
                       EDGE_REAL_TIME);
        }
    }
}

/* None of [low, high) can lie at the bottom.  Neither can one of the fewest
 * that cover the stretch: its bounds are those of the first and the last. */
static void
stack_conflict(struct stack *s, uint32_t low, uint32_t high)
{
    struct container *k = &s->k;
    struct exact_list chain = {0}, core = {0};
    uint32_t end = stack_last_go(s, low, high), place = low;
    uint32_t first = stack_seek(s, 1, 0, s->leaves, low, high, STACK_ALIVE, 1);
    uint32_t at = stack_element(s, first)->come_end + 1, best = first;

    while (at < end) {
        for (; place < high && stack_element(s, place)->come_end < at;
             place++) {
            if ((s->able[place] & 4) == 0 &&
                stack_element(s, place)->go_begin >
                    stack_element(s, best)->go_begin) {
                best = place;
            }
        }
        assert(stack_element(s, best)->go_begin > at - 1);
        exact_list_add(&chain, s->firm[best]);
        at = stack_element(s, best)->go_begin;
    }
    for (uint32_t i = 0; i < chain.count; i++) {
        struct container_element *e = &k->elements[chain.items[i]];
        if (e->go != EXACT_NONE && k->c->complete[e->go] == CALL_OPEN) {
            e->go = EXACT_NONE; /* who took it is not known */
        }
        exact_list_add(&core, e->come);
        exact_list_add(&core, e->go);
    }
    for (uint32_t i = 0; i < k->open.count; i++) {
        exact_list_add(&core, k->open.items[i]);
    }
    stack_conflict_words(s, &chain, &core);
    exact_list_release(&chain);
    exact_list_release(&core);
}

static bool
stack_empties(struct stack *s)
{
    struct container *k = &s->k;
    struct exact_list chain = {0};
    uint32_t failed;

    if (container_gaps(k, s->by_come, s->gaps, &failed)) {
        return true;
    }
    uint32_t empty = k->empties.items[failed];
    container_cover(k, s->by_come, k->c->invoke[empty], k->c->complete[empty],
                    &chain);
    for (uint32_t i = 0; i < chain.count; i++) {
        struct container_element *e = &k->elements[chain.items[i]];
        if (e->go != EXACT_NONE && k->c->complete[e->go] == CALL_OPEN) {
            e->go = EXACT_NONE;
        }
    }
    container_invalid_empty(k, empty, &chain, &k->open);
    exact_list_release(&chain);
    return false;
}

/* ---- deciding ---- */

/* Judges the elements as they are now.  INVALID is about them. */
static bool
stack_try(struct stack *s)
{
    struct container *k = &s->k;

    stack_split(s);
    s->order_count = s->at = s->next_loose = s->next_empty = 0;
    s->work_count = 0;
    if (!exact_sort(s->loose, s->loose_count, k->b, k->d) ||
        !stack_empties(s)) {
        return false;
    }
    stack_build(s);
    stack_break(s, 0, s->firm_count);
    while (s->work_count > 0) {
        struct stack_work w = s->work[--s->work_count];
        if (exact_expired(k->b, k->d)) {
            return false;
        }
        if (w.low == EXACT_NONE) {
            const struct container_element *e = stack_element(s, w.high);
            if (e->go != EXACT_NONE) {
                stack_emit(s, e->go, e->go_begin);
            }
            continue;
        }
        /* The first one's come_end is the earliest of the stretch; inside of
         * others no empty removal is left that is so early. */
        stack_emit_empties(s, stack_element(s, w.low)->come_end);
        stack_find_bottom(s, w.low, w.high);
        if (s->found.count == 0) {
            stack_conflict(s, w.low, w.high);
            return false;
        }
        for (uint32_t i = 0; i < s->found.count; i++) {
            const struct container_element *e =
                stack_element(s, s->found.items[i]);
            stack_emit(s, e->come, e->come_begin);
            stack_remove(s, s->found.items[i]);
            stack_push_work(s, EXACT_NONE, s->found.items[i]);
        }
        stack_break(s, w.low, w.high);
    }
    stack_emit_empties(s, CONTAINER_NEVER);
    stack_emit(s, EXACT_NONE, CONTAINER_NEVER);
    return true;
}

/* Lets an open removal take an element; EXACT_NONE: nobody did. */
static void
stack_match(struct stack *s, uint32_t element, uint32_t call)
{
    struct container_element *e = &s->k.elements[element];

    e->go = call;
    e->go_begin = e->go_end = CONTAINER_NEVER;
    if (call != EXACT_NONE) {
        uint32_t invoke = s->k.c->invoke[call];
        e->go_begin = invoke > e->come_begin ? invoke : e->come_begin;
    }
}

static bool
stack_valid(struct stack *s)
{
    exact_valid(s->k.d, s->order, s->order_count);
    s->order = NULL;
    return true;
}

/* Tries again; true: it is decided (VALID, or time is up). */
static bool
stack_try_again(struct stack *s)
{
    struct decision *d = s->k.d;

    decision_release(d);
    d->verdict = VERDICT_UNKNOWN;
    if (stack_try(s)) {
        return stack_valid(s);
    }
    return d->verdict != VERDICT_INVALID;
}

/* What probably happened: each open removal, soon after its invocation, took
 * what was put in last.  'by_age': it took what was put in first. */
static void
stack_match_likely(struct stack *s, bool by_age)
{
    const struct container *k = &s->k;

    for (uint32_t i = 0; i < s->unclaimed.count; i++) {
        stack_match(s, s->unclaimed.items[i], EXACT_NONE);
    }
    for (uint32_t q = 0; q < k->open.count; q++) {
        uint32_t call = k->open.items[q], best = EXACT_NONE;
        for (uint32_t i = 0; i < s->unclaimed.count; i++) {
            uint32_t element = s->unclaimed.items[i];
            const struct container_element *e = &k->elements[element];
            if (e->go != EXACT_NONE) {
                continue;
            }
            if (by_age && best != EXACT_NONE) {
                break;
            }
            if (best == EXACT_NONE || e->come_end < k->c->invoke[call]) {
                best = element;
            }
        }
        if (best != EXACT_NONE) {
            stack_match(s, best, call);
        }
    }
}

/* All ways in which the open removals from 'q' on can take what is left. */
static bool
stack_try_all(struct stack *s, uint32_t q)
{
    const struct container *k = &s->k;

    if (q == k->open.count || q == s->unclaimed.count) {
        return stack_try_again(s);
    }
    for (uint32_t i = 0; i < s->unclaimed.count; i++) {
        uint32_t element = s->unclaimed.items[i];
        if (k->elements[element].go != EXACT_NONE) {
            continue;
        }
        stack_match(s, element, k->open.items[q]);
        if (stack_try_all(s, q + 1)) {
            return true;
        }
        stack_match(s, element, EXACT_NONE);
    }
    return false;
}

static bool
stack_few_ways(const struct stack *s)
{
    uint64_t ways = 1, taken = 0;

    while (taken < s->k.open.count && taken < s->unclaimed.count) {
        ways *= s->unclaimed.count - taken++;
        if (ways > STACK_WAYS_MAX ||
            ways * (s->k.count + 16) > STACK_WORK_MAX) {
            return false;
        }
    }
    return true;
}

static void
stack_decide_open(struct stack *s)
{
    struct container *k = &s->k;

    /* Each has its own removal, as early as can be: it cannot get easier. */
    for (uint32_t i = 0; i < s->unclaimed.count; i++) {
        stack_match(s, s->unclaimed.items[i], k->open.items[0]);
    }
    if (!stack_try(s)) {
        return;
    }
    stack_match_likely(s, false);
    if (stack_try_again(s)) {
        return;
    }
    stack_match_likely(s, true);
    if (stack_try_again(s)) {
        return;
    }
    bool all = stack_few_ways(s);
    for (uint32_t i = 0; i < s->unclaimed.count; i++) {
        stack_match(s, s->unclaimed.items[i], EXACT_NONE);
    }
    if (all && stack_try_all(s, 0)) {
        return;
    }
    decision_release(k->d);
    if (!all) {
        exact_unknown(k->d, "%u open removals may have taken %u elements",
                      k->open.count, s->unclaimed.count);
        return;
    }
    exact_invalid_all(k->d, k->p,
                      "out of order, whichever elements the open removals "
                      "took");
}

static bool
stack_prepare(struct stack *s)
{
    struct container *k = &s->k;
    size_t most = (size_t)k->count + 2, leaves = 1;

    while (leaves < most) {
        leaves *= 2;
    }
    size_t bytes = most * (2 * sizeof(uint64_t) + 3 * sizeof(uint32_t) + 1 +
                           sizeof(struct stack_work)) +
                   2 * leaves * sizeof(*s->nodes) +
                   (2 * most + k->empties.count) * sizeof(*s->order);
    if (!container_take(k, bytes)) {
        return false;
    }
    s->by_come = xrealloc(NULL, most * sizeof(*s->by_come));
    s->loose = xrealloc(NULL, most * sizeof(*s->loose));
    s->firm = xrealloc(NULL, most * sizeof(*s->firm));
    s->end = xrealloc(NULL, most * sizeof(*s->end));
    s->able = xcalloc(most, 1);
    s->nodes = xcalloc(2 * leaves, sizeof(*s->nodes));
    s->gaps = xrealloc(NULL, (k->empties.count + 1) * sizeof(*s->gaps));
    s->starts.items = xrealloc(NULL, most * sizeof(uint32_t));
    s->starts.cap = (uint32_t)most;
    /* Twice the elements: a removal may stand for several, see
     * stack_decide_open. */
    s->order =
        xrealloc(NULL, (2 * most + k->empties.count) * sizeof(*s->order));
    return container_sort(k, CONTAINER_COME_END, s->by_come);
}

static void
stack_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct stack s = {0};
    struct container *k = &s.k;

    if (container_init(k, p, b, ret) && stack_prepare(&s)) {
        for (uint32_t i = 0; i < k->count; i++) {
            uint32_t element = (uint32_t)s.by_come[i];
            if (k->elements[element].go == EXACT_NONE) {
                exact_list_add(&s.unclaimed, element);
            }
        }
        if (k->open.count > 0 && s.unclaimed.count > 0) {
            stack_decide_open(&s);
        } else if (stack_try(&s)) {
            (void)stack_valid(&s);
        }
    }
    free(s.by_come);
    free(s.loose);
    free(s.firm);
    free(s.end);
    free(s.able);
    free(s.nodes);
    free(s.gaps);
    free(s.work);
    free(s.order);
    exact_list_release(&s.unclaimed);
    exact_list_release(&s.found);
    exact_list_release(&s.starts);
    container_release(k);
}

const struct engine_ops engine_stack = {
    .name = "stack",
    .description = "last in first out, each value put in once",
    .applies = container_applies,
    .decide = stack_decide,
};
