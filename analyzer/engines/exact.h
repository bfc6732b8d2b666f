/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the exact engines share: a verdict's words, calls by value, sorting by
 * rank, and what is certainly inside a queue, a stack or a lock.
 *
 * Threads: no state of its own.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_EXACT_H
#define ORDEAL_ANALYZER_ENGINES_EXACT_H

#include "analyzer/engines/engine.h"
#include "harness/base/cleanup.h"

#define EXACT_NONE UINT32_MAX

/* How many calls, at some 100 ns, pass between two questions to the budget,
 * which looks at the clock every 64th time. */
#define EXACT_POLL_CALLS 1024u

/* ---- verdicts ---- */

/* Takes 'order'; NULL: the model has none. */
void exact_valid(struct decision *d, uint32_t *order, uint32_t count);
void exact_unknown(struct decision *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Whether it went on: false, with UNKNOWN, when time or memory is up. */
bool exact_expired(struct budget *b, struct decision *d);
bool exact_take(struct budget *b, size_t bytes, struct decision *d);

/* Copies the calls, sorts them, drops doubles and EXACT_NONE. */
void exact_invalid(struct decision *d, const uint32_t *core, uint32_t count,
                   const char *fmt, ...) PRINTF_LIKE(4, 5);
/* INVALID, and which of the calls are to blame is not known: all. */
void exact_invalid_all(struct decision *d, const struct problem *p,
                       const char *headline);
/* After exact_invalid; nothing when an end is EXACT_NONE or both are one. */
void exact_edge(struct decision *d, uint32_t from, uint32_t to,
                enum edge_kind kind);

#define EXACT_TEXT_MAX 80
struct exact_text {
    char text[EXACT_TEXT_MAX];
};
/* A call in the model's words, and a value. */
struct exact_text exact_call(const struct calls *c, uint32_t call);
struct exact_text exact_value(const struct calls *c, uint32_t value);

/* ---- a growing list ---- */

struct exact_list {
    uint32_t *items;
    uint32_t count, cap;
};
void exact_list_add(struct exact_list *l, uint32_t item);
void exact_list_release(struct exact_list *l);

/* ---- sorting ---- */

/*
 * Rising.  Made for keys that are nearly in place, as ranks are: linear then,
 * and linear (by digits, with a second array) otherwise.
 */
bool exact_sort(uint64_t *keys, size_t count, struct budget *b,
                struct decision *d);

/* ---- a calendar ---- */

/*
 * Items come in with a rank, never below what was taken out already, and go
 * out by rank: a ring of the next ranks, and a heap of what is further away.
 * Linear, for a call's place is seldom far from its invocation.
 */
#define CALENDAR_RING 1024u

struct calendar_node {
    uint32_t item, next;
};

struct calendar {
    uint32_t ring[CALENDAR_RING];       /* nodes, or EXACT_NONE */
    uint64_t taken[CALENDAR_RING / 64]; /* a bit where there is one */
    struct calendar_node *nodes;
    uint32_t node_count, node_cap, free; /* 'free': a list of nodes */
    uint32_t at;                         /* ranks below are over */
    uint32_t ring_count;
    uint64_t *heap; /* rank and item */
    uint32_t heap_count, heap_cap;
};

void calendar_init(struct calendar *k);
void calendar_release(struct calendar *k);
void calendar_grow(struct calendar *k);
void calendar_add_far(struct calendar *k, uint32_t rank, uint32_t item);
void calendar_come_near(struct calendar *k);

static inline void
calendar_add_near(struct calendar *k, uint32_t rank, uint32_t item)
{
    if (k->free == EXACT_NONE) {
        calendar_grow(k);
    }
    uint32_t node = k->free, *head = &k->ring[rank % CALENDAR_RING];
    k->free = k->nodes[node].next;
    k->nodes[node] = (struct calendar_node){item, *head};
    *head = node;
    k->taken[rank % CALENDAR_RING / 64] |= UINT64_C(1) << rank % 64;
    k->ring_count++;
}

static inline void
calendar_add(struct calendar *k, uint32_t rank, uint32_t item)
{
    if (rank - k->at < CALENDAR_RING) {
        calendar_add_near(k, rank, item);
    } else {
        calendar_add_far(k, rank, item);
    }
}

/*
 * Where the ranks begin that are worth taking out together with this one: to
 * ask calendar_take for each rank, or for each one in which something comes in,
 * costs as many wrong guesses of the processor as there are items.
 */
static inline uint32_t
calendar_page(uint32_t rank)
{
    return rank & ~UINT32_C(63);
}

/* The first of the items with the least rank below 'until' (a node; the others
 * follow), or EXACT_NONE: there is none.  Give all of them back one by one. */
static inline uint32_t
calendar_take(struct calendar *k, uint32_t until)
{
    while (k->at < until) {
        if (k->heap_count > 0) {
            calendar_come_near(k);
        }
        if (k->ring_count == 0) {
            uint32_t far =
                k->heap_count > 0 ? (uint32_t)(k->heap[0] >> 32) : UINT32_MAX;
            k->at = far < until ? far : until;
            continue;
        }
        uint64_t *taken = &k->taken[k->at % CALENDAR_RING / 64];
        uint64_t ahead = *taken >> k->at % 64;
        k->at = ahead == 0 ? (k->at | 63) + 1
                           : k->at + (uint32_t)__builtin_ctzll(ahead);
        if (ahead != 0 && k->at < until) {
            uint32_t *head = &k->ring[k->at % CALENDAR_RING], node = *head;
            *taken &= ~(UINT64_C(1) << k->at % 64);
            *head = EXACT_NONE;
            k->at++;
            return node;
        }
        k->at = k->at < until ? k->at : until;
    }
    return EXACT_NONE;
}

/* Frees a node; returns the next one with the same rank. */
static inline uint32_t
calendar_give(struct calendar *k, uint32_t node)
{
    uint32_t next = k->nodes[node].next;

    k->nodes[node].next = k->free;
    k->free = node;
    k->ring_count--;
    return next;
}

/* ---- finding items by value ---- */

/*
 * Items by a number.  'direct' is an array from 'base' on; otherwise a hash
 * table that keeps neighbours together, because histories hand out values in
 * order.  Items are compared by the caller.
 */
struct exact_index {
    uint32_t *slots; /* of items, or EXACT_NONE */
    uint64_t base, size;
    bool direct;
    size_t bytes;
};

/* For up to 'count' items with numbers from 'low' to 'high'. */
bool exact_index_init(struct exact_index *x, uint64_t low, uint64_t high,
                      uint64_t count, struct budget *b, struct decision *d);
void exact_index_release(struct exact_index *x, struct budget *b);

typedef bool exact_same(const void *arg, uint32_t item, uint64_t number);

static inline uint64_t
exact_hash(uint64_t number)
{
    uint64_t h = (number >> 3) * UINT64_C(0x9e3779b97f4a7c15);
    return (h ^ (h >> 29)) << 3 | (number & 7);
}

/* The slot of the item with this number, or a free one (EXACT_NONE); NULL: a
 * direct table has no room for it, so no item has it. */
static inline uint32_t *
exact_index_slot(const struct exact_index *x, uint64_t number, exact_same *same,
                 const void *arg)
{
    if (x->direct) {
        uint64_t at = number - x->base;
        return at < x->size ? &x->slots[at] : NULL;
    }
    uint64_t at = exact_hash(number) & (x->size - 1);
    while (x->slots[at] != EXACT_NONE && !same(arg, x->slots[at], number)) {
        at = (at + 1) & (x->size - 1);
    }
    return &x->slots[at];
}

#endif
