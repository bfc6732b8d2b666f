/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members come in the order of invocation; a heap of those that live gives the
 * completions in order.  The lowest free bit is taken, so that sets stay
 * narrow.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/engines/space.h"
#include "analyzer/engines/window.h"

/* Completion and event must fit one word with a bit to spare. */
#define WINDOW_MEMBERS_MAX (1u << 31)

/* Which bits of one kind are taken. */
struct slots {
    uint64_t *taken;
    uint32_t cap;  /* in words */
    uint32_t high; /* bits that were ever taken */
};

struct maker {
    struct window *w;
    struct budget *b;
    uint32_t *heap; /* live definite members, earliest completion first */
    uint32_t heap_count, heap_cap;
    struct slots effect, pure;
};

static uint32_t
maker_complete(const struct maker *m, uint32_t member)
{
    return m->w->p->calls->complete[problem_call(m->w->p, member)];
}

static bool
heap_push(struct maker *m, uint32_t member)
{
    uint32_t i = m->heap_count, complete = maker_complete(m, member);

    if (!budget_grow(m->b, (void **)&m->heap, &m->heap_cap, i + 1,
                     sizeof(*m->heap))) {
        return false;
    }
    m->heap_count++;
    while (i > 0 && maker_complete(m, m->heap[(i - 1) / 2]) > complete) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = member;
    return true;
}

static uint32_t
heap_pop(struct maker *m)
{
    uint32_t top = m->heap[0], last = m->heap[--m->heap_count], i = 0;
    uint32_t complete = maker_complete(m, last);

    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= m->heap_count) {
            break;
        }
        if (child + 1 < m->heap_count &&
            maker_complete(m, m->heap[child + 1]) <
                maker_complete(m, m->heap[child])) {
            child++;
        }
        if (maker_complete(m, m->heap[child]) >= complete) {
            break;
        }
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = last;
    return top;
}

/* The lowest free bit; UINT32_MAX: no memory. */
static uint32_t
slots_take(struct slots *s, struct budget *b)
{
    uint32_t word = 0, old = s->cap;

    while (word < s->cap && s->taken[word] == UINT64_MAX) {
        word++;
    }
    if (!budget_grow(b, (void **)&s->taken, &s->cap, word + 1,
                     sizeof(*s->taken))) {
        return UINT32_MAX;
    }
    if (s->cap > old) {
        memset(s->taken + old, 0, (s->cap - old) * sizeof(*s->taken));
    }
    uint32_t bit = word * 64 + (uint32_t)__builtin_ctzll(~s->taken[word]);
    bit_set(s->taken, bit);
    if (bit >= s->high) {
        s->high = bit + 1;
    }
    return bit;
}

static enum window_kind
maker_kind(const struct calls *c, uint32_t call)
{
    bool open = c->complete[call] == CALL_OPEN;

    if (c->model->pure != NULL && c->model->pure(c, call)) {
        return open ? WINDOW_NOTHING : WINDOW_PURE;
    }
    return open ? WINDOW_OPEN : WINDOW_EFFECT;
}

static bool
maker_invoke(struct maker *m, uint32_t member)
{
    struct window *w = m->w;
    enum window_kind kind = maker_kind(w->p->calls, problem_call(w->p, member));
    uint32_t bit = 0;

    if (kind == WINDOW_OPEN) {
        bit = w->open_count++;
    } else if (kind != WINDOW_NOTHING) {
        bit = slots_take(kind == WINDOW_PURE ? &m->pure : &m->effect, m->b);
        if (bit == UINT32_MAX || !heap_push(m, member)) {
            return false;
        }
    }
    w->slots[member] = (uint32_t)kind << WINDOW_KIND_SHIFT | bit;
    if (kind != WINDOW_NOTHING) {
        w->events[w->event_count++] = member << 1;
    }
    return true;
}

static void
maker_complete_before(struct maker *m, uint64_t rank)
{
    while (m->heap_count > 0 && maker_complete(m, m->heap[0]) < rank) {
        uint32_t member = heap_pop(m);
        bit_clear(window_kind(m->w, member) == WINDOW_PURE ? m->pure.taken
                                                           : m->effect.taken,
                  window_bit(m->w, member));
        m->w->events[m->w->event_count++] = member << 1 | 1;
    }
}

/* Bits so far count within their kind; afterwards, within the whole set. */
static void
maker_place(struct maker *m)
{
    struct window *w = m->w;

    w->effect_words = (m->effect.high + 63) / 64;
    w->pure_words = (m->pure.high + 63) / 64;
    w->open_words = (w->open_count + 63) / 64;
    w->words = w->effect_words + w->pure_words + w->open_words;
    for (uint32_t i = 0; i < w->p->count; i++) {
        enum window_kind kind = window_kind(w, i);
        w->slots[i] += kind == WINDOW_PURE ? w->effect_words * 64
                       : kind == WINDOW_OPEN
                           ? (w->effect_words + w->pure_words) * 64
                           : 0;
    }
}

bool
window_make(struct window *w, const struct problem *p, struct budget *b)
{
    struct maker m = {.w = w, .b = b};
    size_t bytes = (size_t)p->count * 3 * sizeof(uint32_t);
    bool ok = p->count < WINDOW_MEMBERS_MAX && budget_take(b, bytes);

    memset(w, 0, sizeof(*w));
    if (!ok) {
        return false;
    }
    w->p = p;
    w->events = xrealloc(NULL, (size_t)p->count * 2 * sizeof(uint32_t) + 1);
    w->slots = xrealloc(NULL, (size_t)p->count * sizeof(uint32_t) + 1);
    for (uint32_t i = 0; ok && i < p->count; i++) {
        maker_complete_before(&m, p->calls->invoke[problem_call(p, i)]);
        ok = maker_invoke(&m, i) && !budget_expired(b);
    }
    if (ok) {
        maker_complete_before(&m, UINT64_MAX);
        maker_place(&m);
    }
    budget_free(b, m.heap, m.heap_cap, sizeof(*m.heap));
    budget_free(b, m.effect.taken, m.effect.cap, sizeof(uint64_t));
    budget_free(b, m.pure.taken, m.pure.cap, sizeof(uint64_t));
    if (!ok) {
        window_release(w, b);
    }
    return ok;
}

void
window_release(struct window *w, struct budget *b)
{
    if (w->p != NULL) {
        free(w->events);
        free(w->slots);
        budget_give(b, (size_t)w->p->count * 3 * sizeof(uint32_t));
    }
    memset(w, 0, sizeof(*w));
}
