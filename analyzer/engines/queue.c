/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First in, first out, with values that are put in once each.
 *
 * An order exists if and only if no value is taken that was not there, no two
 * values came one way and went the other way, and no empty removal lies where
 * something was inside all the time (Henzinger, Sezgin and Vafeiadis, CONCUR
 * 2013; Abdulla et al., "Efficient linearizability monitoring", PLDI 2025,
 * arXiv 2509.17795).  The proof here is the construction of an order:
 *
 *   values    x stands before y when x had come before y began to come, or had
 *             gone before y began to go.  Of those left let x be the one that
 *             had come first and y the one that had gone first.  If nothing
 *             stands before x, or nothing before y, it is next.  Otherwise y
 *             went before x, and x came before y: a contradiction.
 *   empties   stand at a rank where nothing is certainly inside, as a value
 *             that comes and goes there.
 *   open      removals may have taken any value that nobody else took.  A value
 *             must be gone by some rank, which is the later the later it came,
 *             so the first open removal serves the first value, and so on.
 *             What need not be gone may be.
 *
 * All ranks are almost sorted, so all of it is linear.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/engines/container.h"

struct queue {
    struct container k;
    uint64_t *by_come, *by_go;
    uint32_t *unclaimed; /* elements nobody is known to have taken, by come */
    uint32_t unclaimed_count;
    uint32_t *gaps;
    uint32_t *line; /* elements in the order of the queue */
};

/* The first open removal gets the first value that nobody took. */
static bool
queue_match(struct queue *q)
{
    struct container *k = &q->k;
    uint32_t matched = 0;

    if (!container_sort(k, CONTAINER_COME_END, q->by_come)) {
        return false;
    }
    for (uint32_t i = 0; i < k->count; i++) {
        uint32_t element = (uint32_t)q->by_come[i];
        struct container_element *e = &k->elements[element];
        if (e->go != EXACT_NONE) {
            continue;
        }
        q->unclaimed[q->unclaimed_count++] = element;
        if (matched < k->open.count) {
            uint32_t call = k->open.items[matched++];
            e->go = call;
            e->go_begin = k->c->invoke[call] > e->come_begin
                              ? k->c->invoke[call]
                              : e->come_begin;
        }
    }
    return true;
}

/* Adds to the core: the open removals invoked up to 'rank', and the values that
 * they could have taken, up to unclaimed number 'last'. */
static void
queue_core_open(const struct queue *q, uint32_t last, uint32_t rank, bool all,
                struct exact_list *core)
{
    const struct container *k = &q->k;
    uint32_t open = 0;

    while (open < k->open.count && k->c->invoke[k->open.items[open]] <= rank) {
        exact_list_add(core, k->open.items[open++]);
    }
    uint32_t first = all || open > last ? 0 : last - open;
    for (uint32_t i = first; i <= last; i++) {
        exact_list_add(core, k->elements[q->unclaimed[i]].come);
    }
}

static uint32_t
queue_unclaimed(const struct queue *q, uint32_t element)
{
    for (uint32_t i = 0; i < q->unclaimed_count; i++) {
        if (q->unclaimed[i] == element) {
            return i;
        }
    }
    return EXACT_NONE;
}

static bool
queue_empties(struct queue *q)
{
    struct container *k = &q->k;
    struct exact_list chain = {0}, more = {0};
    uint32_t failed, last = EXACT_NONE;

    if (container_gaps(k, q->by_come, q->gaps, &failed)) {
        return true;
    }
    uint32_t empty = k->empties.items[failed];
    container_cover(k, q->by_come, k->c->invoke[empty], k->c->complete[empty],
                    &chain);
    for (uint32_t i = 0; i < chain.count; i++) {
        uint32_t at = queue_unclaimed(q, chain.items[i]);
        last =
            at != EXACT_NONE && (last == EXACT_NONE || at > last) ? at : last;
    }
    if (last != EXACT_NONE) {
        queue_core_open(q, last, k->c->complete[empty], true, &more);
        /* Who took these is not known: the pairs are ours. */
        for (uint32_t i = 0; i <= last; i++) {
            k->elements[q->unclaimed[i]].go = EXACT_NONE;
        }
    }
    container_invalid_empty(k, empty, &chain, &more);
    exact_list_release(&chain);
    exact_list_release(&more);
    return false;
}

static void
queue_conflict(struct queue *q, uint32_t first, uint32_t second)
{
    struct container *k = &q->k;
    const struct container_element *x = &k->elements[first];
    const struct container_element *y = &k->elements[second];
    uint32_t at = queue_unclaimed(q, first);
    struct exact_list core = {0};

    exact_list_add(&core, x->come);
    exact_list_add(&core, y->come);
    exact_list_add(&core, y->go);
    if (at == EXACT_NONE) {
        exact_list_add(&core, x->go);
    } else {
        queue_core_open(q, at, y->go_end, false, &core);
    }
    struct exact_text come = exact_call(k->c, x->come);
    struct exact_text later = exact_call(k->c, y->come);
    struct exact_text go = exact_call(k->c, y->go);
    if (at == EXACT_NONE) {
        exact_invalid(k->d, core.items, core.count,
                      "out of order: '%s' came before '%s', but '%s' was "
                      "answered before '%s' was invoked",
                      come.text, later.text, go.text,
                      exact_call(k->c, x->go).text);
        exact_edge(k->d, x->come, x->go, EDGE_OBSERVED);
        exact_edge(k->d, y->go, container_go_begin_call(k, first),
                   EDGE_REAL_TIME);
    } else {
        exact_invalid(k->d, core.items, core.count,
                      "out of order: '%s' came before '%s', but '%s' was "
                      "answered while %s was still in front of it",
                      come.text, later.text, go.text,
                      exact_value(k->c, x->value).text);
    }
    exact_edge(k->d,
               at == EXACT_NONE ? container_come_end_call(k, first) : x->come,
               y->come, EDGE_REAL_TIME);
    exact_edge(k->d, y->come, y->go, EDGE_OBSERVED);
    exact_list_release(&core);
}

/* Empty removals become elements that come and go at one rank. */
static bool
queue_add_empties(struct queue *q)
{
    struct container *k = &q->k;

    for (uint32_t i = 0; i < k->empties.count; i++) {
        uint32_t call = k->empties.items[i], at = q->gaps[i];
        k->elements[k->count++] = (struct container_element){.come = call,
                                                             .go = call,
                                                             .come_begin = at,
                                                             .come_end = at,
                                                             .go_begin = at,
                                                             .go_end = at};
    }
    return (k->empties.count == 0 ||
            container_sort(k, CONTAINER_COME_END, q->by_come)) &&
           container_sort(k, CONTAINER_GO_END, q->by_go);
}

static bool
queue_line(struct queue *q)
{
    struct container *k = &q->k;
    CLEANUP_FREE uint8_t *placed = xcalloc(k->count + 1, 1);
    uint32_t come = 0, go = 0;

    for (uint32_t i = 0; i < k->count; i++) {
        while (placed[(uint32_t)q->by_come[come]]) {
            come++;
        }
        while (placed[(uint32_t)q->by_go[go]]) {
            go++;
        }
        uint32_t x = (uint32_t)q->by_come[come], y = (uint32_t)q->by_go[go];
        uint32_t next = x;
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(k->b, k->d)) {
            return false;
        }
        if (k->elements[x].go_begin > k->elements[y].go_end) {
            if (k->elements[y].come_begin > k->elements[x].come_end) {
                queue_conflict(q, x, y);
                return false;
            }
            next = y;
        }
        placed[next] = 1;
        q->line[i] = next;
    }
    return true;
}

/* Puts and removals merged by the earliest rank that each can have. */
static void
queue_order(struct queue *q)
{
    const struct container *k = &q->k;
    uint32_t *order =
        xrealloc(NULL, (2 * (size_t)k->count + 1) * sizeof(*order));
    uint32_t come = 0, go = 0, count = 0, come_at = 0, go_at = 0;

    while (go < k->count) {
        const struct container_element *g = &k->elements[q->line[go]];
        const struct container_element *n =
            come < k->count ? &k->elements[q->line[come]] : NULL;
        uint32_t next_come = n == NULL ? CONTAINER_NEVER : n->come_begin;
        next_come = next_come > come_at ? next_come : come_at;
        uint32_t next_go = g->go_begin > go_at ? g->go_begin : go_at;
        if (n != NULL && n->come == n->go && come == go) {
            order[count++] = n->come; /* empty */
            come_at = go_at = next_come;
            come++;
            go++;
        } else if (go < come &&
                   (next_go <= next_come || n == NULL || n->come == n->go)) {
            if (g->go != EXACT_NONE) {
                order[count++] = g->go;
            }
            go_at = next_go;
            go++;
        } else {
            order[count++] = n->come;
            come_at = next_come;
            /* A removal cannot be before what it takes. */
            go_at = go == come && go_at < come_at ? come_at : go_at;
            come++;
        }
    }
    exact_valid(k->d, order, count);
}

static void
queue_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct queue q = {0};
    struct container *k = &q.k;

    if (container_init(k, p, b, ret)) {
        size_t most = (size_t)k->count + k->empties.count + 1;
        size_t each = 2 * sizeof(uint64_t) + 3 * sizeof(uint32_t) + 1;
        if (container_take(k, most * each)) {
            q.by_come = xrealloc(NULL, most * sizeof(*q.by_come));
            q.by_go = xrealloc(NULL, most * sizeof(*q.by_go));
            q.unclaimed = xrealloc(NULL, most * sizeof(*q.unclaimed));
            q.gaps = xrealloc(NULL, most * sizeof(*q.gaps));
            q.line = xrealloc(NULL, most * sizeof(*q.line));
            if (queue_match(&q) &&
                container_sort(k, CONTAINER_COME_END, q.by_come) &&
                queue_empties(&q) && queue_add_empties(&q) && queue_line(&q)) {
                queue_order(&q);
            }
        }
    }
    free(q.by_come);
    free(q.by_go);
    free(q.unclaimed);
    free(q.gaps);
    free(q.line);
    container_release(k);
}

const struct engine_ops engine_queue = {
    .name = "queue",
    .description = "first in first out, each value put in once",
    .applies = container_applies,
    .decide = queue_decide,
};
