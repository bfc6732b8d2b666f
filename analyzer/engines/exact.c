/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact engines' tools.
 */
#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/exact.h"
#include "harness/base/buf.h"

/* ---- verdicts ---- */

void
exact_valid(struct decision *d, uint32_t *order, uint32_t count)
{
    d->verdict = VERDICT_VALID;
    d->order = order;
    d->order_count = count;
}

void
exact_unknown(struct decision *d, const char *fmt, ...)
{
    va_list args;

    d->verdict = VERDICT_UNKNOWN;
    va_start(args, fmt);
    (void)vsnprintf(d->reason, sizeof(d->reason), fmt, args);
    va_end(args);
}

bool
exact_expired(struct budget *b, struct decision *d)
{
    if (!budget_expired(b)) {
        return false;
    }
    exact_unknown(d, "time ran out, or another engine was faster");
    return true;
}

bool
exact_take(struct budget *b, size_t bytes, struct decision *d)
{
    if (budget_take(b, bytes)) {
        return true;
    }
    exact_unknown(d, "it would take %zu bytes more than it may", bytes);
    return false;
}

static int
exact_compare_u32(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

void
exact_invalid(struct decision *d, const uint32_t *core, uint32_t count,
              const char *fmt, ...)
{
    va_list args;
    uint32_t kept = 0;

    d->verdict = VERDICT_INVALID;
    d->core = xcalloc(count == 0 ? 1 : count, sizeof(*d->core));
    for (uint32_t i = 0; i < count; i++) {
        d->core[i] = core[i];
    }
    qsort(d->core, count, sizeof(*core), exact_compare_u32);
    for (uint32_t i = 0; i < count; i++) {
        if (d->core[i] != EXACT_NONE &&
            (kept == 0 || d->core[kept - 1] != d->core[i])) {
            d->core[kept++] = d->core[i];
        }
    }
    d->core_count = kept;
    va_start(args, fmt);
    (void)vsnprintf(d->headline, sizeof(d->headline), fmt, args);
    va_end(args);
}

void
exact_invalid_all(struct decision *d, const struct problem *p,
                  const char *headline)
{
    CLEANUP_FREE uint32_t *core =
        xrealloc(NULL, ((size_t)p->count + 1) * sizeof(*core));

    for (uint32_t i = 0; i < p->count; i++) {
        core[i] = problem_call(p, i);
    }
    exact_invalid(d, core, p->count, "%s", headline);
}

void
exact_edge(struct decision *d, uint32_t from, uint32_t to, enum edge_kind kind)
{
    if (from == EXACT_NONE || to == EXACT_NONE || from == to ||
        d->edge_count == DECISION_EDGES_MAX) {
        return;
    }
    for (uint32_t i = 0; i < d->edge_count; i++) {
        if (d->edges[i].from == from && d->edges[i].to == to) {
            return;
        }
    }
    d->edges = xrealloc(d->edges, (d->edge_count + 1) * sizeof(*d->edges));
    d->edges[d->edge_count++] =
        (struct edge){.from = from, .to = to, .kind = kind};
}

struct exact_text
exact_call(const struct calls *c, uint32_t call)
{
    struct exact_text ret;
    struct buf b;

    buf_init(&b, sizeof(ret.text) - 1);
    model_describe(c, call, &b);
    (void)snprintf(ret.text, sizeof(ret.text), "%s", buf_text(&b));
    buf_release(&b);
    return ret;
}

struct exact_text
exact_value(const struct calls *c, uint32_t value)
{
    struct exact_text ret;
    char text[EXACT_TEXT_MAX];

    (void)snprintf(ret.text, sizeof(ret.text), "%s",
                   value_print(c, value, text, sizeof(text)));
    return ret;
}

/* ---- a growing list ---- */

void
exact_list_add(struct exact_list *l, uint32_t item)
{
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 16 : l->cap * 2;
        l->items = xrealloc(l->items, (size_t)l->cap * sizeof(*l->items));
    }
    l->items[l->count++] = item;
}

void
exact_list_release(struct exact_list *l)
{
    free(l->items);
    *l = (struct exact_list){0};
}

/* ---- sorting ---- */

#define EXACT_DIGIT_BITS 11
#define EXACT_DIGITS (1u << EXACT_DIGIT_BITS)

static void
exact_sort_digits(uint64_t *keys, uint64_t *other, size_t count)
{
    uint64_t all = 0;

    for (size_t i = 0; i < count; i++) {
        all |= keys[i];
    }
    for (unsigned shift = 0; shift < 64 && all >> shift != 0;
         shift += EXACT_DIGIT_BITS) {
        size_t at[EXACT_DIGITS] = {0}, sum = 0;
        if ((all >> shift & (EXACT_DIGITS - 1)) == 0) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            at[keys[i] >> shift & (EXACT_DIGITS - 1)]++;
        }
        for (unsigned k = 0; k < EXACT_DIGITS; k++) {
            size_t here = at[k];
            at[k] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++) {
            other[at[keys[i] >> shift & (EXACT_DIGITS - 1)]++] = keys[i];
        }
        memcpy(keys, other, count * sizeof(*keys));
    }
}

bool
exact_sort(uint64_t *keys, size_t count, struct budget *b, struct decision *d)
{
    /* Ranks are out of place by about the number of clients; what is further
     * from its place than this on average is sorted by digits. */
    size_t moves = count * 16 + 64;

    for (size_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        size_t k = i;
        while (k > 0 && keys[k - 1] > key && moves > 0) {
            keys[k] = keys[k - 1];
            k--;
            moves--;
        }
        keys[k] = key;
        if (moves == 0) {
            break;
        }
    }
    if (moves > 0) {
        return true;
    }
    if (!exact_take(b, count * sizeof(*keys), d)) {
        return false;
    }
    uint64_t *other = xcalloc(count, sizeof(*other));
    exact_sort_digits(keys, other, count);
    free(other);
    budget_give(b, count * sizeof(*keys));
    return true;
}

/* ---- a calendar ---- */

void
calendar_init(struct calendar *k)
{
    memset(k, 0, sizeof(*k));
    memset(k->ring, 0xff, sizeof(k->ring));
    k->free = EXACT_NONE;
}

void
calendar_release(struct calendar *k)
{
    free(k->nodes);
    free(k->heap);
    k->nodes = NULL;
    k->heap = NULL;
}

void
calendar_grow(struct calendar *k)
{
    uint32_t old = k->node_cap;

    k->node_cap = old == 0 ? 64 : old * 2;
    k->nodes = xrealloc(k->nodes, (size_t)k->node_cap * sizeof(*k->nodes));
    for (uint32_t i = k->node_cap; i > old; i--) {
        k->nodes[i - 1].next = k->free;
        k->free = i - 1;
    }
}

void
calendar_add_far(struct calendar *k, uint32_t rank, uint32_t item)
{
    uint64_t number = (uint64_t)rank << 32 | item;
    uint32_t at = k->heap_count++;

    if (at == k->heap_cap) {
        k->heap_cap = k->heap_cap == 0 ? 64 : k->heap_cap * 2;
        k->heap = xrealloc(k->heap, (size_t)k->heap_cap * sizeof(*k->heap));
    }
    while (at > 0 && k->heap[(at - 1) / 2] > number) {
        k->heap[at] = k->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    k->heap[at] = number;
}

void
calendar_come_near(struct calendar *k)
{
    while (k->heap_count > 0 &&
           (uint32_t)(k->heap[0] >> 32) - k->at < CALENDAR_RING) {
        uint64_t first = k->heap[0], last = k->heap[--k->heap_count];
        uint32_t at = 0, child;
        while ((child = 2 * at + 1) < k->heap_count) {
            child += child + 1 < k->heap_count &&
                     k->heap[child + 1] < k->heap[child];
            if (k->heap[child] >= last) {
                break;
            }
            k->heap[at] = k->heap[child];
            at = child;
        }
        k->heap[at] = last;
        calendar_add_near(k, (uint32_t)(first >> 32), (uint32_t)first);
    }
}

/* ---- finding items by value ---- */

bool
exact_index_init(struct exact_index *x, uint64_t low, uint64_t high,
                 uint64_t count, struct budget *b, struct decision *d)
{
    *x = (struct exact_index){.base = low};
    if (count == 0 || high < low) {
        low = high = x->base = 0;
    }
    if (high - low < 4 * count + 1024) {
        x->direct = true;
        x->size = high - low + 1;
    } else {
        x->size = 16;
        while (x->size < 2 * count) {
            x->size *= 2;
        }
    }
    if (!exact_take(b, x->size * sizeof(*x->slots), d)) {
        *x = (struct exact_index){0};
        return false;
    }
    x->bytes = x->size * sizeof(*x->slots);
    x->slots = xrealloc(NULL, x->bytes);
    memset(x->slots, 0xff, x->bytes);
    return true;
}

void
exact_index_release(struct exact_index *x, struct budget *b)
{
    budget_give(b, x->bytes);
    free(x->slots);
    *x = (struct exact_index){0};
}
