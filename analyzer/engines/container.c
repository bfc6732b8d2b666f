/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements that come and go, from the calls of a queue or a stack.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/container.h"

enum { CONTAINER_COME, CONTAINER_GO };

bool
container_applies(const struct problem *p)
{
    const struct model_ops *m = p->calls->model;

    return m->step != NULL && m->touches == NULL && m->functions[0] != NULL &&
           m->functions[1] != NULL && m->functions[2] == NULL;
}

bool
container_take(struct container *k, size_t bytes)
{
    if (!exact_take(k->b, bytes, k->d)) {
        return false;
    }
    k->bytes += bytes;
    return true;
}

void
container_release(struct container *k)
{
    exact_index_release(&k->by_value, k->b);
    exact_list_release(&k->empties);
    exact_list_release(&k->open);
    free(k->elements);
    budget_give(k->b, k->bytes);
}

static bool
container_same(const void *arg, uint32_t item, uint64_t number)
{
    const struct container *k = arg;

    return k->elements[item].value == (uint32_t)number;
}

/* Counts what is put in, and the range of the values. */
static bool
container_scan(struct container *k)
{
    const struct calls *c = k->c;
    uint32_t low = UINT32_MAX, high = 0, comes = 0;

    for (uint32_t i = 0; i < k->p->count; i++) {
        uint32_t call = problem_call(k->p, i);
        if (c->key[call] != c->key[problem_call(k->p, 0)]) {
            exact_unknown(k->d, "the calls have several keys");
            return false;
        }
        if (c->function[call] == CONTAINER_COME) {
            uint32_t value = c->a[call];
            if (value == VALUE_NIL) {
                exact_unknown(k->d, "nil is put in like a value");
                return false;
            }
            low = value < low ? value : low;
            high = value > high ? value : high;
            comes++;
        }
    }
    /* As many again for the empty removals of a queue, see queue.c. */
    if (!container_take(k, ((size_t)k->p->count + 1) * sizeof(*k->elements)) ||
        !exact_index_init(&k->by_value, low, high, comes, k->b, k->d)) {
        return false;
    }
    k->elements =
        xrealloc(NULL, ((size_t)k->p->count + 1) * sizeof(*k->elements));
    return true;
}

static bool
container_come(struct container *k, uint32_t call)
{
    const struct calls *c = k->c;
    uint32_t *slot =
        exact_index_slot(&k->by_value, c->a[call], container_same, k);

    if (*slot != EXACT_NONE) {
        exact_unknown(k->d, "value %s is put in twice",
                      exact_value(c, c->a[call]).text);
        return false;
    }
    *slot = k->count;
    k->elements[k->count++] =
        (struct container_element){.value = c->a[call],
                                   .come = call,
                                   .go = EXACT_NONE,
                                   .come_begin = c->invoke[call],
                                   .come_end = c->complete[call],
                                   .go_begin = CONTAINER_NEVER,
                                   .go_end = CONTAINER_NEVER};
    return true;
}

static bool
container_go(struct container *k, uint32_t call)
{
    const struct calls *c = k->c;
    uint32_t value = c->result[call];
    const uint32_t *slot =
        exact_index_slot(&k->by_value, value, container_same, k);

    if (slot == NULL || *slot == EXACT_NONE) {
        exact_invalid(k->d, &call, 1, "'%s' took what nobody put in",
                      exact_call(c, call).text);
        return false;
    }
    struct container_element *e = &k->elements[*slot];
    if (e->go != EXACT_NONE) {
        const uint32_t core[] = {e->come, e->go, call};
        exact_invalid(k->d, core, 3, "%s was taken twice: '%s' and '%s'",
                      exact_value(c, value).text, exact_call(c, e->go).text,
                      exact_call(c, call).text);
        exact_edge(k->d, e->come, e->go, EDGE_OBSERVED);
        exact_edge(k->d, e->come, call, EDGE_OBSERVED);
        return false;
    }
    if (c->complete[call] < e->come_begin) {
        const uint32_t core[] = {e->come, call};
        exact_invalid(k->d, core, 2,
                      "'%s' took what was put in later: it was answered before "
                      "'%s' was invoked",
                      exact_call(c, call).text, exact_call(c, e->come).text);
        exact_edge(k->d, e->come, call, EDGE_OBSERVED);
        exact_edge(k->d, call, e->come, EDGE_REAL_TIME);
        return false;
    }
    e->go = call;
    e->go_begin =
        c->invoke[call] > e->come_begin ? c->invoke[call] : e->come_begin;
    e->go_end = c->complete[call];
    e->come_end = e->come_end < e->go_end ? e->come_end : e->go_end;
    return true;
}

/* Open puts that nobody saw. */
static void
container_drop(struct container *k)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < k->count; i++) {
        if (k->elements[i].come_end != CONTAINER_NEVER) {
            k->elements[kept++] = k->elements[i];
        }
    }
    k->count = kept;
}

bool
container_init(struct container *k, const struct problem *p, struct budget *b,
               struct decision *ret)
{
    const struct calls *c = p->calls;
    struct model_state s = {0};

    *k = (struct container){.p = p, .c = c, .b = b, .d = ret};
    c->model->init(c, p->key, &s);
    uint32_t words = s.count;
    model_state_release(&s);
    if (words != 0) {
        exact_unknown(ret, "it is not empty at first");
        return false;
    }
    if (!container_scan(k)) {
        return false;
    }
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < p->count; i++) {
            uint32_t call = problem_call(p, i);
            if (i % EXACT_POLL_CALLS == 0 && exact_expired(b, ret)) {
                return false;
            }
            if (c->function[call] != pass) {
                continue;
            }
            if (pass == CONTAINER_COME) {
                if (!container_come(k, call)) {
                    return false;
                }
            } else if (c->complete[call] == CALL_OPEN) {
                exact_list_add(&k->open, call);
            } else if (c->result[call] == VALUE_NIL) {
                exact_list_add(&k->empties, call);
            } else if (!container_go(k, call)) {
                return false;
            }
        }
    }
    container_drop(k);
    return container_take(k, (k->empties.cap + k->open.cap) * sizeof(uint32_t));
}

bool
container_sort(struct container *k, enum container_rank by, uint64_t *numbers)
{
    for (uint32_t i = 0; i < k->count; i++) {
        const struct container_element *e = &k->elements[i];
        uint64_t rank = by == CONTAINER_COME_END ? e->come_end : e->go_end;
        numbers[i] = rank << 32 | i;
    }
    return exact_sort(numbers, k->count, k->b, k->d);
}

bool
container_gaps(const struct container *k, const uint64_t *by_end,
               uint32_t *ranks, uint32_t *ret_failed)
{
    /* (low, high) is the stretch in which something is certainly inside that
     * ends last so far. */
    uint32_t low = 0, high = 0, next = 0;

    for (uint32_t i = 0; i < k->empties.count; i++) {
        uint32_t call = k->empties.items[i], at = k->c->invoke[call];
        while (next < k->count) {
            const struct container_element *e =
                &k->elements[(uint32_t)by_end[next]];
            /* Neither this stretch ends before 'at' nor does the next one
             * prolong it. */
            if (e->come_end >= high && (at < high || e->come_end >= at)) {
                break;
            }
            if (e->come_end >= high) {
                low = e->come_end;
                high = low;
            }
            high = e->go_begin > high ? e->go_begin : high;
            next++;
        }
        at = low < at && at < high ? high : at;
        if (at > k->c->complete[call]) {
            *ret_failed = i;
            return false;
        }
        ranks[i] = at;
    }
    return true;
}

void
container_cover(const struct container *k, const uint64_t *by_end,
                uint32_t from, uint32_t to, struct exact_list *chain)
{
    uint32_t at = from, i = 0, best = EXACT_NONE;

    while (at <= to) {
        for (; i < k->count && by_end[i] >> 32 < at; i++) {
            uint32_t e = (uint32_t)by_end[i];
            if (best == EXACT_NONE ||
                k->elements[e].go_begin > k->elements[best].go_begin) {
                best = e;
            }
        }
        if (best == EXACT_NONE || k->elements[best].go_begin <= at) {
            return;
        }
        exact_list_add(chain, best);
        at = k->elements[best].go_begin;
    }
}

uint32_t
container_come_end_call(const struct container *k, uint32_t element)
{
    const struct container_element *e = &k->elements[element];

    return k->c->complete[e->come] == e->come_end ? e->come : e->go;
}

uint32_t
container_go_begin_call(const struct container *k, uint32_t element)
{
    const struct container_element *e = &k->elements[element];

    return e->go != EXACT_NONE && k->c->invoke[e->go] == e->go_begin ? e->go
                                                                     : e->come;
}

void
container_invalid_empty(struct container *k, uint32_t empty,
                        const struct exact_list *chain,
                        const struct exact_list *more)
{
    struct exact_list core = {0};
    const struct container_element *first = &k->elements[chain->items[0]];

    exact_list_add(&core, empty);
    for (uint32_t i = 0; i < more->count; i++) {
        exact_list_add(&core, more->items[i]);
    }
    for (uint32_t i = 0; i < chain->count; i++) {
        exact_list_add(&core, k->elements[chain->items[i]].come);
        exact_list_add(&core, k->elements[chain->items[i]].go);
    }
    if (chain->count == 1) {
        exact_invalid(k->d, core.items, core.count,
                      "'%s' found nothing although %s was inside all the time",
                      exact_call(k->c, empty).text,
                      exact_value(k->c, first->value).text);
    } else {
        exact_invalid(k->d, core.items, core.count,
                      "'%s' found nothing although there was always something "
                      "inside: %u elements, the first of them %s",
                      exact_call(k->c, empty).text, chain->count,
                      exact_value(k->c, first->value).text);
    }
    exact_edge(k->d, container_come_end_call(k, chain->items[0]), empty,
               EDGE_REAL_TIME);
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct container_element *e = &k->elements[chain->items[i]];
        exact_edge(k->d, e->come, e->go, EDGE_OBSERVED);
        if (i > 0) {
            exact_edge(k->d, container_come_end_call(k, chain->items[i]),
                       container_go_begin_call(k, chain->items[i - 1]),
                       EDGE_REAL_TIME);
        }
    }
    uint32_t last = chain->items[chain->count - 1];
    if (k->elements[last].go != EXACT_NONE) {
        exact_edge(k->d, empty, container_go_begin_call(k, last),
                   EDGE_REAL_TIME);
    }
    exact_list_release(&core);
}
