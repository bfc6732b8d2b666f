/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers whose written values are all different: zones (Gibbons and Korach,
 * "Testing shared memories", SIAM J. Comput. 26(4), 1997).
 *
 * A value's write and reads must stand together in any order that explains
 * them.  f is the first answer among them, s the last invocation.
 *
 *   forward, f < s:   the value is in the register from f to s at least
 *   backward, s <= f: all of them overlap; one moment in [s, f] will do
 *
 * The calls can be explained if and only if no read is answered before its
 * write begins, no two forward zones of a key overlap, and none contains a
 * backward one.  An open write that somebody read has happened by that read's
 * answer, so it adds no answer of its own; one that nobody read is left out.
 * The initial value is a write before all, whose zone is always forward.
 *
 * All keys are judged in one pass over the zones by rank, so that many keys
 * cost what one costs.  Ranks are almost sorted already, hence linear.
 *
 * A refused compare-and-set is no obstacle when the value that it expected was
 * never there; an open one neither, when nobody saw what it would have put.
 * Anything else (values written twice, a successful compare-and-set) is left to
 * the general engines.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/functions.h"
#include "analyzer/models/registry.h"

struct register_zone {
    uint32_t first; /* f; after the sweep where its calls begin to stand */
    uint32_t last;  /* s; after the sweep its place among the zones, from 1 */
    uint32_t write; /* the call */
    uint32_t key;   /* the call's, here so that it need not be looked at */
};

/* Of a member that no order needs.  No zone has the number: there is one less
 * than the calls that there can be. */
#define REGISTER_LEFT_OUT (EXACT_NONE - 1)

struct register_key {
    uint32_t key;
    uint32_t end;  /* of the last forward zone; at first of the initial value */
    uint32_t zone; /* that zone; EXACT_NONE: the initial value's */
};

struct register_work {
    const struct problem *p;
    const struct calls *c;
    struct budget *b;
    struct decision *d;
    struct register_zone *zones;
    struct register_key *keys;
    struct calendar calendar;
    /* Per member its zone, until the order takes the place: it never holds more
     * calls than members were looked at. */
    uint32_t *order;
    uint32_t zone_count, zone_cap, key_count;
    uint32_t initial;
    bool one_key;
    bool textual;       /* values are compared as text: kv */
    uint64_t low, high; /* values written */
    uint32_t key_low, key_high;
    struct exact_index by_value, by_key;
    struct exact_list later; /* members: reads of what was not written yet */
    uint64_t *ties;          /* calls that stand at one rank, by their place */
    uint32_t tie_cap;
    size_t bytes;
};

static bool
register_applies(const struct problem *p)
{
    const struct model_ops *m = p->calls->model;

    return p->count > 0 && m->step != NULL && m->touches == NULL;
}

static bool
register_take(struct register_work *w, size_t bytes)
{
    if (!exact_take(w->b, bytes, w->d)) {
        return false;
    }
    w->bytes += bytes;
    return true;
}

static void
register_release(struct register_work *w)
{
    exact_index_release(&w->by_value, w->b);
    exact_index_release(&w->by_key, w->b);
    exact_list_release(&w->later);
    free(w->ties);
    free(w->zones);
    free(w->keys);
    free(w->order);
    calendar_release(&w->calendar);
    budget_give(w->b, w->bytes);
}

/* ---- tables ---- */

static bool
register_same_value(const void *arg, uint32_t zone, uint64_t number)
{
    const struct register_work *w = arg;
    const struct register_zone *z = &w->zones[zone];

    return w->c->a[z->write] == (uint32_t)number &&
           z->key == (uint32_t)(number >> 32);
}

static bool
register_same_key(const void *arg, uint32_t item, uint64_t number)
{
    const struct register_work *w = arg;

    return w->keys[item].key == (uint32_t)number;
}

/* The zone of a value, or EXACT_NONE. */
static inline uint32_t
register_find(const struct register_work *w, uint32_t key, uint32_t value)
{
    uint64_t number = w->by_value.direct ? value : (uint64_t)key << 32 | value;
    const uint32_t *slot =
        exact_index_slot(&w->by_value, number, register_same_value, w);

    if (slot == NULL || *slot == EXACT_NONE || w->zones[*slot].key != key) {
        return EXACT_NONE;
    }
    return *slot;
}

static inline struct register_key *
register_key(struct register_work *w, uint32_t key)
{
    if (w->one_key) {
        return &w->keys[0];
    }
    uint32_t *slot = exact_index_slot(&w->by_key, key, register_same_key, w);
    if (*slot == EXACT_NONE) {
        *slot = w->key_count;
        w->keys[w->key_count++] =
            (struct register_key){.key = key, .zone = EXACT_NONE};
    }
    return &w->keys[*slot];
}

/* ---- reading the calls ---- */

static void
register_scan(struct register_work *w)
{
    const struct calls *c = w->c;
    uint32_t low = UINT32_MAX, high = 0, key_low = UINT32_MAX, key_high = 0;
    uint32_t writes = 0;

    for (uint32_t i = 0; i < w->p->count; i++) {
        uint32_t call = problem_call(w->p, i), key = c->key[call];
        /* Without a branch, for who writes is anybody's guess. */
        uint32_t write = c->function[call] == REGISTER_WRITE;
        uint32_t least = c->a[call] | (write - 1), most = c->a[call] & -write;
        key_low = key < key_low ? key : key_low;
        key_high = key > key_high ? key : key_high;
        low = least < low ? least : low;
        high = most > high ? most : high;
        writes += write;
    }
    w->zone_cap = writes;
    w->low = low;
    w->high = high;
    w->key_low = key_low;
    w->key_high = key_high;
    w->one_key = key_low >= key_high;
}

static bool
register_prepare(struct register_work *w)
{
    struct model_state s = {0};

    register_scan(w);
    w->c->model->init(w->c, w->c->key[problem_call(w->p, 0)], &s);
    w->initial = s.count == 0 ? VALUE_NIL : s.words[0];
    w->textual = w->c->model == &model_kv;
    uint32_t words = s.count;
    model_state_release(&s);
    if (words > 1 || (w->textual && words > 0)) {
        exact_unknown(w->d, "the first state is not one plain value");
        return false;
    }
    uint64_t keys = (uint64_t)w->key_high - w->key_low + 1;
    keys = keys < w->p->count ? keys : w->p->count;
    if (!register_take(w, keys * sizeof(*w->keys))) {
        return false;
    }
    w->keys = xrealloc(NULL, keys * sizeof(*w->keys));
    w->keys[0] = (struct register_key){.key = w->key_low, .zone = EXACT_NONE};
    if (!w->one_key && !exact_index_init(&w->by_key, w->key_low, w->key_high,
                                         keys, w->b, w->d)) {
        return false;
    }
    if (!register_take(w, w->zone_cap * sizeof(*w->zones)) ||
        !exact_index_init(&w->by_value, w->low, w->high, w->zone_cap, w->b,
                          w->d)) {
        return false;
    }
    w->zones = xrealloc(NULL, (w->zone_cap + 1) * sizeof(*w->zones));
    size_t order = ((size_t)w->p->count + 1) * sizeof(*w->order);
    if (!register_take(w, order)) {
        return false;
    }
    w->order = xrealloc(NULL, order);
    return true;
}

/* From an array by value to a hash table by key and value: two keys share a
 * value. */
static bool
register_rehash(struct register_work *w)
{
    exact_index_release(&w->by_value, w->b);
    if (!exact_index_init(&w->by_value, 0, UINT64_MAX, w->zone_cap, w->b,
                          w->d)) {
        return false;
    }
    for (uint32_t z = 0; z < w->zone_count; z++) {
        uint64_t number =
            (uint64_t)w->zones[z].key << 32 | w->c->a[w->zones[z].write];
        *exact_index_slot(&w->by_value, number, register_same_value, w) = z;
    }
    return true;
}

/*
 * Of texts: whether the value is one and not empty; then equal values have
 * equal numbers, and only what was never put reads as nil or empty.
 */
static bool
register_is_text(struct register_work *w, uint32_t call, uint32_t value)
{
    size_t len = 0;

    if (w->c->list[call] == 0 && value_to_text(w->c, value, &len) != NULL &&
        len > 0) {
        return true;
    }
    exact_unknown(w->d, "'%s' is about no plain text",
                  exact_call(w->c, call).text);
    return false;
}

/* What a call wrote or saw; an empty text is nil. */
static inline uint32_t
register_value(const struct register_work *w, uint32_t call)
{
    uint32_t value = w->c->function[call] == REGISTER_WRITE
                         ? w->c->a[call]
                         : w->c->result[call];
    size_t len;

    if (w->textual && w->c->list[call] == 0 &&
        value_to_text(w->c, value, &len) != NULL && len == 0) {
        return VALUE_NIL;
    }
    return value;
}

static bool
register_write(struct register_work *w, uint32_t call)
{
    const struct calls *c = w->c;
    uint32_t value = register_value(w, call), key = c->key[call];

    if (w->textual && !register_is_text(w, call, value)) {
        return false;
    }
    if (value == w->initial) {
        exact_unknown(w->d, "the initial value is written again");
        return false;
    }
    uint64_t number = w->by_value.direct ? value : (uint64_t)key << 32 | value;
    uint32_t *slot =
        exact_index_slot(&w->by_value, number, register_same_value, w);
    if (*slot != EXACT_NONE && w->zones[*slot].key != key) {
        if (!register_rehash(w)) {
            return false;
        }
        slot = exact_index_slot(&w->by_value, (uint64_t)key << 32 | value,
                                register_same_value, w);
    }
    if (*slot != EXACT_NONE) {
        exact_unknown(w->d, "value %s is written twice",
                      exact_value(c, value).text);
        return false;
    }
    *slot = w->zone_count;
    w->zones[w->zone_count++] =
        (struct register_zone){.first = c->complete[call],
                               .last = c->invoke[call],
                               .write = call,
                               .key = key};
    return true;
}

/* A read of what was written before it in the file. */
static inline void
register_read(struct register_work *w, uint32_t call, uint32_t zone)
{
    struct register_zone *z = &w->zones[zone];
    uint32_t answered = w->c->complete[call];

    z->first = answered < z->first ? answered : z->first;
    z->last = w->c->invoke[call]; /* calls come in the order of invoke */
}

static bool
register_read_again(struct register_work *w, uint32_t member)
{
    const struct exact_list *l = &w->later;

    if (l->count == l->cap &&
        !register_take(w, (l->cap + 16) * sizeof(*l->items))) {
        return false;
    }
    exact_list_add(&w->later, member);
    return true;
}

static bool
register_read_early(struct register_work *w, uint32_t call, uint32_t zone)
{
    const struct calls *c = w->c;
    struct register_zone *z = &w->zones[zone];
    uint32_t answered = c->complete[call];

    if (answered < c->invoke[z->write]) {
        const uint32_t core[] = {call, z->write};
        exact_invalid(w->d, core, 2,
                      "'%s' saw a value from the future: '%s' was invoked only "
                      "after it was answered",
                      exact_call(c, call).text, exact_call(c, z->write).text);
        exact_edge(w->d, z->write, call, EDGE_OBSERVED);
        exact_edge(w->d, call, z->write, EDGE_REAL_TIME);
        return false;
    }
    z->first = answered < z->first ? answered : z->first;
    return true;
}

/* Reads of values that are written later in the file, or never. */
static bool
register_read_later(struct register_work *w)
{
    const struct calls *c = w->c;

    for (uint32_t i = 0; i < w->later.count; i++) {
        uint32_t member = w->later.items[i];
        uint32_t call = problem_call(w->p, member);
        uint32_t zone = register_find(w, c->key[call], c->result[call]);
        if (zone == EXACT_NONE) {
            exact_invalid(w->d, &call, 1, "'%s' saw a value that nobody wrote",
                          exact_call(c, call).text);
            return false;
        }
        w->order[member] = zone;
        if (!register_read_early(w, call, zone)) {
            return false;
        }
    }
    return true;
}

/* Whether a compare-and-set can be left out; all writes are known. */
static bool
register_cas_idle(struct register_work *w, uint32_t call)
{
    const struct calls *c = w->c;

    return c->complete[call] != CALL_OPEN && c->result[call] == 0 &&
           c->a[call] != w->initial &&
           register_find(w, c->key[call], c->a[call]) == EXACT_NONE;
}

static bool
register_read_calls(struct register_work *w)
{
    const struct calls *c = w->c;
    uint32_t cas_count = 0;

    for (uint32_t i = 0; i < w->p->count; i++) {
        uint32_t call = problem_call(w->p, i), value = register_value(w, call);
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(w->b, w->d)) {
            return false;
        }
        if (c->function[call] == REGISTER_WRITE) {
            w->order[i] = w->zone_count;
            if (!register_write(w, call)) {
                return false;
            }
        } else if (c->function[call] != REGISTER_READ) {
            cas_count++;
            w->order[i] =
                c->complete[call] == CALL_OPEN ? REGISTER_LEFT_OUT : EXACT_NONE;
        } else if (c->complete[call] == CALL_OPEN) {
            w->order[i] = REGISTER_LEFT_OUT;
        } else if (value == w->initial) {
            struct register_key *k = register_key(w, c->key[call]);
            k->end = c->invoke[call];
            w->order[i] = EXACT_NONE;
        } else if (w->textual && !register_is_text(w, call, value)) {
            return false;
        } else {
            uint32_t zone = register_find(w, c->key[call], value);
            w->order[i] = zone;
            if (zone == EXACT_NONE) {
                if (!register_read_again(w, i)) {
                    return false;
                }
            } else {
                register_read(w, call, zone);
            }
        }
    }
    for (uint32_t i = 0; cas_count > 0 && i < w->p->count; i++) {
        uint32_t call = problem_call(w->p, i);
        if (c->function[call] > REGISTER_WRITE && !register_cas_idle(w, call)) {
            exact_unknown(w->d, "'%s' is more than reading and writing",
                          exact_call(c, call).text);
            return false;
        }
    }
    return register_read_later(w);
}

/* ---- judging the zones ---- */

/* The calls of a value: its write, the first answered and the last invoked. */
struct register_ends {
    uint32_t write, first, last;
};

static struct register_ends
register_ends(const struct register_work *w, uint32_t key, uint32_t value)
{
    const struct calls *c = w->c;
    struct register_ends ret = {EXACT_NONE, EXACT_NONE, EXACT_NONE};

    for (uint32_t i = 0; i < w->p->count; i++) {
        uint32_t call = problem_call(w->p, i);
        bool write = c->function[call] == REGISTER_WRITE;
        if (c->key[call] != key || c->function[call] > REGISTER_WRITE ||
            register_value(w, call) != value ||
            (!write && c->complete[call] == CALL_OPEN)) {
            continue;
        }
        if (write) {
            ret.write = call;
        }
        if (ret.first == EXACT_NONE ||
            c->complete[call] < c->complete[ret.first]) {
            ret.first = call;
        }
        if (ret.last == EXACT_NONE || c->invoke[call] > c->invoke[ret.last]) {
            ret.last = call;
        }
    }
    return ret;
}

/* Value 'a' lies around value 'b', or the other way round: each has a call that
 * was answered before a call of the other was invoked. */
static void
register_conflict(struct register_work *w, uint32_t key, uint32_t value_a,
                  uint32_t value_b)
{
    const struct calls *c = w->c;
    struct register_ends a = register_ends(w, key, value_a);
    struct register_ends b = register_ends(w, key, value_b);
    bool initial = a.write == EXACT_NONE;
    const uint32_t core[] = {a.write, initial ? EXACT_NONE : a.first,
                             a.last,  b.write,
                             b.first, initial ? EXACT_NONE : b.last};

    if (initial) {
        exact_invalid(w->d, core, ARRAY_LEN(core),
                      "stale value: '%s' still saw the initial value, but '%s' "
                      "was answered before",
                      exact_call(c, a.last).text, exact_call(c, b.first).text);
    } else {
        exact_invalid(
            w->d, core, ARRAY_LEN(core),
            "stale value: '%s' was answered before '%s' was invoked, and '%s' "
            "before '%s', so %s would be both older and newer than %s",
            exact_call(c, a.first).text, exact_call(c, b.last).text,
            exact_call(c, b.first).text, exact_call(c, a.last).text,
            exact_value(c, value_a).text, exact_value(c, value_b).text);
        exact_edge(w->d, a.first, b.last, EDGE_REAL_TIME);
        exact_edge(w->d, a.write, a.first, EDGE_OBSERVED);
        exact_edge(w->d, b.write, b.last, EDGE_OBSERVED);
    }
    exact_edge(w->d, b.first, a.last, EDGE_REAL_TIME);
    exact_edge(w->d, a.write, a.last, EDGE_OBSERVED);
    exact_edge(w->d, b.write, b.first, EDGE_OBSERVED);
}

/* One zone, in the order of where they begin. */
static bool
register_sweep_zone(struct register_work *w, uint32_t zone, uint32_t place)
{
    struct register_zone *z = &w->zones[zone];
    struct register_key *k = register_key(w, z->key);
    bool forward = z->first < z->last;

    if (z->first < k->end && (forward || k->zone == EXACT_NONE ||
                              w->zones[k->zone].first < z->last)) {
        register_conflict(w, k->key,
                          k->zone == EXACT_NONE
                              ? w->initial
                              : w->c->a[w->zones[k->zone].write],
                          w->c->a[z->write]);
        return false;
    }
    if (forward) {
        k->end = z->last;
        k->zone = zone;
    } else {
        z->first = z->last > k->end ? z->last : k->end;
    }
    z->last = place;
    return true;
}

static bool
register_sweep(struct register_work *w)
{
    struct calendar *k = &w->calendar;
    uint32_t place = 0, node;

    calendar_init(k);
    for (uint32_t i = 0; i <= w->zone_count; i++) {
        const struct register_zone *z = &w->zones[i];
        bool end = i == w->zone_count;
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(w->b, w->d)) {
            return false;
        }
        /* No zone begins before its write does. */
        uint32_t until =
            end ? UINT32_MAX : calendar_page(w->c->invoke[z->write]);
        while ((node = calendar_take(k, until)) != EXACT_NONE) {
            for (; node != EXACT_NONE; node = calendar_give(k, node)) {
                if (!register_sweep_zone(w, k->nodes[node].item, ++place)) {
                    return false;
                }
            }
        }
        if (!end && z->first != CALL_OPEN) { /* else it is open and unread */
            calendar_add(k, z->first < z->last ? z->first : z->last, i);
        }
    }
    calendar_release(k);
    return true;
}

/* ---- the order ---- */

static int
register_compare(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* Few of them, as a rule: as many as there were calls at a time. */
static void
register_sort(uint64_t *ties, uint32_t count)
{
    if (count > 32) {
        qsort(ties, count, sizeof(*ties), register_compare);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        uint64_t tie = ties[i];
        uint32_t at = i;
        for (; at > 0 && ties[at - 1] > tie; at--) {
            ties[at] = ties[at - 1];
        }
        ties[at] = tie;
    }
}

/* Where a call stands among those of its rank: by the place of its zone, the
 * initial value's being 0, and first in it if it is the write. */
static uint64_t
register_tie(const struct register_work *w, uint32_t call)
{
    uint32_t zone = register_find(w, w->c->key[call], register_value(w, call));
    uint32_t place = zone == EXACT_NONE ? 0 : w->zones[zone].last;
    bool read = w->c->function[call] != REGISTER_WRITE;

    return (uint64_t)place << 33 | (uint64_t)read << 32 | call;
}

/* The calls at a node, which are of one key, are counted already. */
static bool
register_emit_ties(struct register_work *w, uint32_t *order, uint32_t count)
{
    if (count > w->tie_cap) {
        if (!register_take(w, (count - w->tie_cap) * sizeof(*w->ties))) {
            return false;
        }
        w->ties = xrealloc(w->ties, count * sizeof(*w->ties));
        w->tie_cap = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        w->ties[i] = register_tie(w, order[i]);
    }
    register_sort(w->ties, count);
    for (uint32_t i = 0; i < count; i++) {
        order[i] = (uint32_t)w->ties[i];
    }
    return true;
}

/* Calls of ranks below 'until', in the order in which they stand. */
static inline bool
register_emit(struct register_work *w, uint32_t until, uint32_t *count)
{
    struct calendar *k = &w->calendar;
    uint32_t node;

    while ((node = calendar_take(k, until)) != EXACT_NONE) {
        uint32_t first = *count;
        for (; node != EXACT_NONE; node = calendar_give(k, node)) {
            w->order[(*count)++] = k->nodes[node].item;
        }
        if (*count - first > 1 &&
            !register_emit_ties(w, w->order + first, *count - first)) {
            return false;
        }
    }
    return true;
}

static bool
register_order(struct register_work *w)
{
    struct calendar *k = &w->calendar;
    uint32_t count = 0;

    calendar_init(k);
    for (uint32_t i = 0; i < w->p->count; i++) {
        uint32_t call = problem_call(w->p, i), zone = w->order[i];
        uint32_t at = w->c->invoke[call];
        if ((i % EXACT_POLL_CALLS == 0 && exact_expired(w->b, w->d)) ||
            !register_emit(w, calendar_page(at), &count)) {
            return false;
        }
        if (zone < REGISTER_LEFT_OUT) {
            uint32_t first = w->zones[zone].first;
            if (first == CALL_OPEN) {
                continue; /* open, and nobody read it */
            }
            at = first > at ? first : at; /* not before its zone */
        }
        if (zone != REGISTER_LEFT_OUT) {
            calendar_add(k, at, call);
        }
    }
    if (!register_emit(w, UINT32_MAX, &count)) {
        return false;
    }
    exact_valid(w->d, w->order, count);
    w->order = NULL;
    return true;
}

static void
register_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    struct register_work w = {.p = p, .c = p->calls, .b = b, .d = ret};

    if (register_prepare(&w) && register_read_calls(&w) && register_sweep(&w)) {
        (void)register_order(&w);
    }
    register_release(&w);
}

const struct engine_ops engine_register = {
    .name = "register-zones",
    .description = "registers whose written values all differ, any keys",
    .keyed = true,
    .applies = register_applies,
    .decide = register_decide,
};
