/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets.
 *
 * Without reads of the whole set each element is a thing that is in it or not
 * (toggle.h); calls about different elements do not touch each other.
 *
 * With such reads, and elements that are added once each and never removed: the
 * reads, by size, must each show all that the one before showed; the elements
 * that a read shows first were added between it and the one before.  That
 * fixes the order but for what does not matter, so it is tried.
 *
 * Left undecided: additions and removals that did not say whether they changed
 * anything, of elements that are both added and removed; reads of sets from
 * which something is removed.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/toggle.h"
#include "analyzer/models/functions.h"

enum { SET_HAS_ADD = 1, SET_HAS_REMOVE = 2, SET_HAS_BLIND = 4 };

struct set {
    struct toggle t;
    const struct calls *c;
    struct exact_index by_value;
    uint32_t *values; /* by thing */
    uint8_t *has;     /* by thing */
    struct exact_list reads;
    uint32_t *add;   /* by thing: the call */
    uint32_t *first; /* by thing: the first read that shows it, from 0 */
    uint64_t *line;  /* calls by place, to be sorted */
    uint32_t low, high, named;
    size_t bytes;
};

static bool
set_same(const void *arg, uint32_t item, uint64_t number)
{
    const struct set *s = arg;

    return s->values[item] == (uint32_t)number;
}

static uint32_t
set_thing(struct set *s, uint32_t value)
{
    uint32_t *slot = exact_index_slot(&s->by_value, value, set_same, s);

    if (*slot == EXACT_NONE) {
        *slot = s->t.thing_count;
        s->values[*slot] = value;
        s->has[*slot] = 0;
        s->t.thing_count++;
    }
    return *slot;
}

static uint8_t
set_kind(const struct set *s, uint32_t call)
{
    const struct calls *c = s->c;
    bool open = c->complete[call] == CALL_OPEN;
    uint32_t result = open ? 1 : c->result[call];

    switch (c->function[call]) {
    case SET_ADD:
        return result == 1   ? TOGGLE_ON
               : result == 0 ? TOGGLE_IS_ON
                             : TOGGLE_MAKE_ON;
    case SET_REMOVE:
        /* Who does not say has found nothing where nothing ever is. */
        return result == 1 ? TOGGLE_OFF : TOGGLE_IS_OFF;
    case SET_CONTAINS:
        return open          ? TOGGLE_NOTHING
               : result == 1 ? TOGGLE_IS_ON
                             : TOGGLE_IS_OFF;
    default:
        return TOGGLE_NOTHING;
    }
}

static bool
set_read_calls(struct set *s)
{
    const struct calls *c = s->c;
    const struct problem *p = s->t.p;

    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);
        bool open = c->complete[call] == CALL_OPEN;
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(s->t.b, s->t.d)) {
            return false;
        }
        if (c->key[call] != c->key[problem_call(p, 0)]) {
            exact_unknown(s->t.d, "the calls have several keys");
            return false;
        }
        s->t.kinds[i] = set_kind(s, call);
        s->t.things[i] = 0;
        if (c->function[call] == SET_READ) {
            if (!open) {
                exact_list_add(&s->reads, call);
            }
            continue;
        }
        uint32_t thing = set_thing(s, c->a[call]);
        s->t.things[i] = thing;
        if (c->function[call] != SET_CONTAINS) {
            bool blind = !open && c->result[call] == VALUE_ABSENT;
            s->has[thing] |=
                (c->function[call] == SET_ADD ? SET_HAS_ADD : SET_HAS_REMOVE) |
                (blind ? SET_HAS_BLIND : 0);
        }
    }
    for (uint32_t i = 0; i < s->t.thing_count; i++) {
        if (s->has[i] == (SET_HAS_ADD | SET_HAS_REMOVE | SET_HAS_BLIND)) {
            exact_unknown(s->t.d,
                          "what is done to %s does not say what it changed",
                          exact_value(c, s->values[i]).text);
            return false;
        }
    }
    return true;
}

static void
set_decide_elements(struct set *s)
{
    struct exact_list core = {0};

    if (toggle_decide(&s->t)) {
        return;
    }
    uint32_t call = problem_call(s->t.p, s->t.failed);
    toggle_core(&s->t, s->t.failed, &core);
    exact_invalid(s->t.d, core.items, core.count,
                  "'%s' fits no order of the calls about %s",
                  exact_call(s->c, call).text,
                  exact_value(s->c, s->c->a[call]).text);
    exact_list_release(&core);
}

/* ---- reads of everything ---- */

static bool
set_only_grows(struct set *s)
{
    const struct calls *c = s->c;
    const struct problem *p = s->t.p;

    for (uint32_t i = 0; i < s->t.thing_count; i++) {
        s->add[i] = EXACT_NONE;
        s->first[i] = EXACT_NONE;
    }
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);
        if (c->function[call] == SET_READ) {
            continue;
        }
        uint32_t *add = &s->add[s->t.things[i]];
        if (c->function[call] != SET_ADD || *add != EXACT_NONE ||
            (c->complete[call] != CALL_OPEN && c->result[call] == 0)) {
            exact_unknown(s->t.d,
                          "'%s' is no first addition, and the whole "
                          "set is read",
                          exact_call(c, call).text);
            return false;
        }
        *add = call;
    }
    return true;
}

static int
set_compare_reads(const void *a, const void *b, void *arg)
{
    const struct calls *c = arg;
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    uint32_t nx = call_list_count(c, x), ny = call_list_count(c, y);
    return nx != ny ? (nx < ny ? -1 : 1) : (x > y) - (x < y);
}

/* An element that 'more' shows and 'less' does not; EXACT_NONE: none. */
static uint32_t
set_difference(struct set *s, uint32_t more, uint32_t less)
{
    const uint32_t *a = call_list(s->c, more), *b = call_list(s->c, less);
    uint32_t na = call_list_count(s->c, more), nb = call_list_count(s->c, less);

    for (uint32_t i = 0, k = 0; i < na; i++) {
        while (k < nb && b[k] < a[i]) {
            k++;
        }
        if (k == nb || b[k] != a[i]) {
            const uint32_t *slot =
                exact_index_slot(&s->by_value, a[i], set_same, s);
            return slot == NULL ? EXACT_NONE : *slot;
        }
    }
    return EXACT_NONE;
}

/* Each read shows all that the one before did. */
static bool
set_chain(struct set *s)
{
    const struct calls *c = s->c;

    for (uint32_t i = 0; i < s->reads.count; i++) {
        uint32_t read = s->reads.items[i], fresh = 0;
        uint32_t count = call_list_count(c, read);
        for (uint32_t k = 0; k < count; k++) {
            uint32_t value = call_list(c, read)[k];
            const uint32_t *slot =
                exact_index_slot(&s->by_value, value, set_same, s);
            if (slot == NULL || *slot == EXACT_NONE) {
                exact_invalid(s->t.d, &read, 1,
                              "a read showed %s, which nobody had added",
                              exact_value(c, value).text);
                return false;
            }
            fresh += s->first[*slot] == EXACT_NONE;
            s->first[*slot] = s->first[*slot] < i ? s->first[*slot] : i;
        }
        uint32_t before =
            i == 0 ? 0 : call_list_count(c, s->reads.items[i - 1]);
        if (before + fresh != count) {
            uint32_t other = s->reads.items[i - 1];
            uint32_t x = set_difference(s, other, read);
            uint32_t y = set_difference(s, read, other);
            const uint32_t core[] = {other, read, s->add[x],
                                     y == EXACT_NONE ? y : s->add[y]};
            exact_invalid(s->t.d, core, 4,
                          "one read showed %s but not %s, another %s but not "
                          "%s, and nothing was removed",
                          exact_value(c, s->values[x]).text,
                          exact_value(c, s->values[y]).text,
                          exact_value(c, s->values[y]).text,
                          exact_value(c, s->values[x]).text);
            return false;
        }
        if (exact_expired(s->t.b, s->t.d)) {
            return false;
        }
    }
    return true;
}

/* 'late' must stand after 'early' but was answered before it was invoked. */
static void
set_conflict(struct set *s, uint32_t early, uint32_t late)
{
    const struct calls *c = s->c;
    uint32_t core[4] = {early, late, EXACT_NONE, EXACT_NONE};

    if (c->function[early] == SET_ADD && c->function[late] == SET_ADD) {
        const uint32_t *slot =
            exact_index_slot(&s->by_value, c->a[early], set_same, s);
        core[2] = s->reads.items[s->first[*slot]];
    } else if (c->function[early] == SET_READ &&
               c->function[late] == SET_READ) {
        uint32_t x = set_difference(s, late, early);
        core[2] = x == EXACT_NONE ? x : s->add[x];
    }
    exact_invalid(s->t.d, core, 4,
                  "'%s' was answered before '%s' was invoked, but what the "
                  "reads showed puts it after",
                  exact_call(c, late).text, exact_call(c, early).text);
    exact_edge(s->t.d, late, early, EDGE_REAL_TIME);
}

static void
set_decide_reads(struct set *s)
{
    const struct calls *c = s->c;
    const struct problem *p = s->t.p;
    uint32_t count = 0, last = EXACT_NONE;

    if (!set_only_grows(s)) {
        return;
    }
    qsort_r(s->reads.items, s->reads.count, sizeof(uint32_t), set_compare_reads,
            (void *)c);
    if (!set_chain(s)) {
        return;
    }
    /* Additions stand at twice the number of the read that shows them first,
     * reads one after that. */
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);
        if (c->function[call] == SET_ADD) {
            uint32_t first = s->first[s->t.things[i]];
            if (first != EXACT_NONE || c->complete[call] != CALL_OPEN) {
                uint64_t place = first == EXACT_NONE ? UINT32_MAX : 2 * first;
                s->line[count++] = place << 32 | call;
            }
        }
    }
    for (uint32_t i = 0; i < s->reads.count; i++) {
        s->line[count++] = (2 * (uint64_t)i + 1) << 32 | s->reads.items[i];
    }
    if (!exact_sort(s->line, count, s->t.b, s->t.d)) {
        return;
    }
    CLEANUP_FREE uint32_t *order =
        xrealloc(NULL, ((size_t)count + 1) * sizeof(*order));
    for (uint32_t i = 0; i < count; i++) {
        order[i] = (uint32_t)s->line[i];
        if (last != EXACT_NONE && c->complete[order[i]] < c->invoke[last]) {
            set_conflict(s, last, order[i]);
            return;
        }
        last = last == EXACT_NONE || c->invoke[order[i]] > c->invoke[last]
                   ? order[i]
                   : last;
    }
    exact_valid(s->t.d, TAKE(order), count);
}

/* ---- both ---- */

static bool
set_prepare(struct set *s)
{
    const struct calls *c = s->c;
    const struct problem *p = s->t.p;
    size_t count = (size_t)p->count + 1;

    s->low = UINT32_MAX;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);
        if (c->function[call] != SET_READ) {
            s->low = c->a[call] < s->low ? c->a[call] : s->low;
            s->high = c->a[call] > s->high ? c->a[call] : s->high;
            s->named++;
        }
    }
    s->bytes = count * (sizeof(uint64_t) + 5 * sizeof(uint32_t) + 2);
    if (!exact_take(s->t.b, s->bytes, s->t.d)) {
        s->bytes = 0;
        return false;
    }
    s->t.kinds = xrealloc(NULL, count);
    s->t.things = xrealloc(NULL, count * sizeof(uint32_t));
    s->values = xrealloc(NULL, count * sizeof(uint32_t));
    s->has = xrealloc(NULL, count);
    s->add = xrealloc(NULL, count * sizeof(uint32_t));
    s->first = xrealloc(NULL, count * sizeof(uint32_t));
    s->line = xrealloc(NULL, count * sizeof(uint64_t));
    return exact_index_init(&s->by_value, s->low, s->high, s->named, s->t.b,
                            s->t.d);
}

static void
set_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct set s = {.t = {.p = p, .b = b, .d = ret}, .c = p->calls};

    if (set_prepare(&s) && set_read_calls(&s)) {
        if (s.reads.count == 0) {
            set_decide_elements(&s);
        } else {
            set_decide_reads(&s);
        }
    }
    exact_index_release(&s.by_value, b);
    exact_list_release(&s.reads);
    free(s.t.kinds);
    free(s.t.things);
    free(s.values);
    free(s.has);
    free(s.add);
    free(s.first);
    free(s.line);
    budget_give(b, s.bytes);
}

const struct engine_ops engine_set = {
    .name = "set",
    .description = "sets, element by element, or that only grow",
    .decide = set_decide,
};
