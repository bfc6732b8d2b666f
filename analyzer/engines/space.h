/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the general engines know of a model: its states as small numbers
 * (hash-consed), calls as classes of equal contents, and steps remembered by
 * (state, class).  Two calls of one class are indistinguishable to the model.
 *
 * Numbers of states hold until space_sweep frees those that nobody marked;
 * numbers of classes hold until space_crowded says so and space_forget_classes
 * is called.
 *
 * Threads: one.  All memory is counted in the budget.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_SPACE_H
#define ORDEAL_ANALYZER_ENGINES_SPACE_H

#include "analyzer/engines/engine.h"

#define SPACE_ILLEGAL UINT32_MAX
#define SPACE_FULL (UINT32_MAX - 1) /* the budget forbids another state */

struct space_state {
    uint32_t offset, count; /* in words; count SPACE_ILLEGAL: free */
    uint32_t hash;          /* or the next free one */
};

struct space_step {
    uint32_t state, class, next;
};

struct space {
    const struct problem *p;
    struct budget *budget;
    uint32_t *words;
    uint32_t word_count, word_cap;
    struct space_state *states;
    uint32_t state_count, state_cap, state_live, state_free;
    uint32_t *state_table, state_mask;
    uint32_t *representatives, class_count, class_cap; /* a call each */
    uint32_t *class_table, class_mask;
    struct space_step *steps;
    uint32_t step_mask, step_misses;
    uint32_t sweep_states, sweep_words; /* when the next sweep pays */
    struct model_state next;
    uint64_t step_count;
};

/* False: the budget does not even allow to begin. */
bool space_init(struct space *s, const struct problem *p,
                struct budget *budget);
void space_release(struct space *s);

/* The first state; SPACE_FULL. */
uint32_t space_first(struct space *s);

/* The class of a call; SPACE_FULL. */
uint32_t space_class(struct space *s, uint32_t call);

/* The state after 'call' (of 'class'), SPACE_ILLEGAL or SPACE_FULL. */
uint32_t space_step(struct space *s, uint32_t state, uint32_t call,
                    uint32_t class);

/* So many states that a sweep pays. */
bool space_wants_sweep(const struct space *s);
/* Frees every state whose bit is not set; marks has state_count bits. */
void space_sweep(struct space *s, const uint64_t *marks);

/* More classes than 'live' calls can need: forgetting pays. */
bool space_crowded(const struct space *s, uint32_t live);
void space_forget_classes(struct space *s);

/* ---- memory under a budget ---- */

/* Makes room for 'need' items (at least doubling); false: it is not allowed,
 * nothing is changed. */
bool budget_grow(struct budget *b, void **items, uint32_t *cap, uint32_t need,
                 size_t item_size);
void budget_free(struct budget *b, void *items, uint32_t cap, size_t item_size);

static inline uint64_t
space_mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

#endif
