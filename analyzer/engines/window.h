/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A problem as the general engines walk through it: its events in the order of
 * rank, and for each call the bit it owns while it is live.  Bits are reused as
 * soon as a call is answered, so sets of live calls are as wide as the most
 * calls that ever live together, whatever the length of the history.
 *
 *   WINDOW_EFFECT  definite, may change the state; bit: it is linearized
 *   WINDOW_PURE    definite, changes nothing; bit: it is still pending
 *   WINDOW_OPEN    outcome unknown; bit: it was used.  Never reused.
 *   WINDOW_NOTHING open and pure: says nothing at all
 *
 * A set is 'words' words: first those of effects, then pure ones, then open
 * ones.  With these meanings fewer bits in the last two parts are never worse:
 * see configurations.c, dominance.
 *
 * Threads: immutable once made.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_WINDOW_H
#define ORDEAL_ANALYZER_ENGINES_WINDOW_H

#include "analyzer/engines/engine.h"

enum window_kind {
    WINDOW_EFFECT,
    WINDOW_PURE,
    WINDOW_OPEN,
    WINDOW_NOTHING,
};

#define WINDOW_KIND_SHIFT 30
#define WINDOW_SLOT_MASK ((1u << WINDOW_KIND_SHIFT) - 1)

struct window {
    const struct problem *p;
    uint32_t *events; /* member << 1 | it is the completion */
    uint32_t event_count;
    uint32_t *slots; /* per member: kind and bit */
    uint32_t effect_words, pure_words, open_words, words;
    uint32_t open_count;
};

/* False: the budget does not allow it, in memory or time (nothing is kept). */
bool window_make(struct window *w, const struct problem *p, struct budget *b);
void window_release(struct window *w, struct budget *b);

static inline enum window_kind
window_kind(const struct window *w, uint32_t member)
{
    return (enum window_kind)(w->slots[member] >> WINDOW_KIND_SHIFT);
}

/* Which bit of the whole set. */
static inline uint32_t
window_bit(const struct window *w, uint32_t member)
{
    return w->slots[member] & WINDOW_SLOT_MASK;
}

static inline bool
bit_get(const uint64_t *set, uint32_t bit)
{
    return (set[bit / 64] >> (bit % 64) & 1) != 0;
}

static inline void
bit_set(uint64_t *set, uint32_t bit)
{
    set[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void
bit_clear(uint64_t *set, uint32_t bit)
{
    set[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

#endif
