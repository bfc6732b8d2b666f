/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of which reads may lag, as Jepsen's set-full.  An element is known from
 * the answer of its add, or of the first read that shows it, whichever is
 * earlier.
 *
 *   lost      the last read invoked after it was known that does not show it is
 *             later than the last one that does
 *   stable    the last read that shows it is later than any that does not
 *   otherwise nobody looked
 *
 * Lost elements, elements that a read shows twice and elements that nobody
 * added are INVALID.  Stale reads are not: sets that must be up to date are the
 * model 'set'.  Without any stable element nothing is known.
 *
 * Absence is found from the last read backwards: elements that no read so far
 * lacked are carried along, so that it costs what the reads show.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/functions.h"

struct set_full_element {
    uint32_t add;
    uint32_t known, known_call; /* rank; the call, or EXACT_NONE */
    uint32_t present, absent;   /* the last reads, by invocation */
    uint32_t mark;              /* the last read that was looked at */
};

struct set_full {
    const struct problem *p;
    const struct calls *c;
    struct budget *b;
    struct decision *d;
    struct exact_index by_value;
    struct set_full_element *elements;
    uint32_t count;
    struct exact_list reads; /* by invocation */
    uint32_t *until;         /* by read: the last answer of it and all before */
    uint32_t *open;          /* elements that no read lacked yet */
    uint32_t open_count;
    uint32_t low, high;
    size_t bytes;
};

static bool
set_full_same(const void *arg, uint32_t item, uint64_t number)
{
    const struct set_full *s = arg;

    return s->c->a[s->elements[item].add] == (uint32_t)number;
}

static struct set_full_element *
set_full_find(const struct set_full *s, uint32_t value)
{
    const uint32_t *slot =
        exact_index_slot(&s->by_value, value, set_full_same, s);

    return slot == NULL || *slot == EXACT_NONE ? NULL : &s->elements[*slot];
}

/* The first add of an element counts, and the earliest answer. */
static void
set_full_add(struct set_full *s, uint32_t call)
{
    const struct calls *c = s->c;
    uint32_t *slot =
        exact_index_slot(&s->by_value, c->a[call], set_full_same, s);

    if (*slot == EXACT_NONE) {
        *slot = s->count;
        s->elements[s->count++] =
            (struct set_full_element){.add = call,
                                      .known = CALL_OPEN,
                                      .known_call = EXACT_NONE,
                                      .present = EXACT_NONE,
                                      .absent = EXACT_NONE,
                                      .mark = EXACT_NONE};
    }
    struct set_full_element *e = &s->elements[*slot];
    if (c->complete[call] < e->known) {
        e->known = c->complete[call];
        e->known_call = call;
    }
}

static bool
set_full_read(struct set_full *s, uint32_t read)
{
    const struct calls *c = s->c;

    for (uint32_t i = 0; i < call_list_count(c, read); i++) {
        uint32_t value = call_list(c, read)[i];
        struct set_full_element *e = set_full_find(s, value);
        if (e == NULL || c->complete[read] < c->invoke[e->add]) {
            exact_invalid(s->d, &read, 1,
                          "a read showed %s, which nobody had added",
                          exact_value(c, value).text);
            return false;
        }
        if (e->mark == read) {
            const uint32_t core[] = {e->add, read};
            exact_invalid(s->d, core, 2, "a read showed %s twice",
                          exact_value(c, value).text);
            exact_edge(s->d, e->add, read, EDGE_OBSERVED);
            return false;
        }
        e->mark = read;
        e->present = read; /* the last one invoked comes last */
        if (c->complete[read] < e->known) {
            e->known = c->complete[read];
            e->known_call = read;
        }
    }
    return true;
}

/* From the last read to the first: what does it lack? */
static bool
set_full_absences(struct set_full *s)
{
    const struct calls *c = s->c;

    for (uint32_t i = s->reads.count; i > 0; i--) {
        uint32_t read = s->reads.items[i - 1], kept = 0;
        if (exact_expired(s->b, s->d)) {
            return false;
        }
        for (uint32_t k = 0; k < call_list_count(c, read); k++) {
            set_full_find(s, call_list(c, read)[k])->mark = i;
        }
        for (uint32_t k = 0; k < s->open_count; k++) {
            struct set_full_element *e = &s->elements[s->open[k]];
            uint32_t added = c->invoke[e->add];
            if (e->mark != i && added <= c->complete[read]) {
                e->absent = read;
            } else if (added <= s->until[i - 1]) {
                s->open[kept++] = s->open[k];
            }
        }
        s->open_count = kept;
    }
    return true;
}

static void
set_full_judge(struct set_full *s)
{
    const struct calls *c = s->c;
    uint32_t stable = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        const struct set_full_element *e = &s->elements[i];
        bool newer = e->absent != EXACT_NONE &&
                     (e->present == EXACT_NONE ||
                      c->invoke[e->present] < c->invoke[e->absent]);
        stable += e->present != EXACT_NONE && !newer;
        if (newer && e->known < c->invoke[e->absent]) {
            const uint32_t core[] = {e->add, e->known_call, e->absent,
                                     e->present};
            exact_invalid(
                s->d, core, 4, "lost: element %s %s and then was gone",
                exact_value(c, c->a[e->add]).text,
                e->present == EXACT_NONE ? "was added" : "had been read");
            exact_edge(s->d, e->known_call, e->absent, EDGE_REAL_TIME);
            exact_edge(s->d, e->add, e->present, EDGE_OBSERVED);
            return;
        }
    }
    if (stable == 0) {
        exact_unknown(s->d, "no read shows any element that was added");
    } else {
        exact_valid(s->d, NULL, 0);
    }
}

static bool
set_full_read_calls(struct set_full *s)
{
    const struct calls *c = s->c;

    for (uint32_t i = 0; i < s->p->count; i++) {
        uint32_t call = problem_call(s->p, i);
        if (c->function[call] == SET_FULL_ADD) {
            set_full_add(s, call);
        } else if (c->complete[call] != CALL_OPEN) {
            uint32_t last =
                s->reads.count == 0 ? 0 : s->until[s->reads.count - 1];
            last = c->complete[call] > last ? c->complete[call] : last;
            s->until[s->reads.count] = last;
            exact_list_add(&s->reads, call);
        }
    }
    for (uint32_t i = 0; i < s->reads.count; i++) {
        if (exact_expired(s->b, s->d) || !set_full_read(s, s->reads.items[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < s->count; i++) {
        s->elements[i].mark = EXACT_NONE;
        s->open[s->open_count++] = i;
    }
    return true;
}

static void
set_full_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct set_full s = {
        .p = p, .c = p->calls, .b = b, .d = ret, .low = UINT32_MAX};
    uint32_t adds = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i), value = s.c->a[call];
        if (s.c->function[call] == SET_FULL_ADD) {
            s.low = value < s.low ? value : s.low;
            s.high = value > s.high ? value : s.high;
            adds++;
        }
    }
    s.bytes = (adds + 1) * (sizeof(*s.elements) + sizeof(*s.open)) +
              ((size_t)p->count - adds + 1) * 3 * sizeof(uint32_t);
    if (!exact_take(b, s.bytes, ret)) {
        return;
    }
    s.elements = xrealloc(NULL, (adds + 1) * sizeof(*s.elements));
    s.open = xrealloc(NULL, (adds + 1) * sizeof(*s.open));
    s.until = xrealloc(NULL, ((size_t)p->count - adds + 1) * sizeof(uint32_t));
    if (exact_index_init(&s.by_value, s.low, s.high, adds, b, ret) &&
        set_full_read_calls(&s) && set_full_absences(&s)) {
        set_full_judge(&s);
    }
    exact_index_release(&s.by_value, b);
    exact_list_release(&s.reads);
    free(s.elements);
    free(s.open);
    free(s.until);
    budget_give(b, s.bytes);
}

const struct engine_ops engine_set_full = {
    .name = "set-full",
    .description = "no element lost, as far as reads tell",
    .decide = set_full_decide,
};
