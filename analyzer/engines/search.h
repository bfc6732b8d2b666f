/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A general search that can be interrupted: what the portfolio runs in turns.
 *
 *   make -> run ... run -> finish -> release
 *
 * Threads: one.  All memory is counted in the budget.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_SEARCH_H
#define ORDEAL_ANALYZER_ENGINES_SEARCH_H

#include "analyzer/engines/window.h"

enum search_status {
    SEARCH_RUNNING,
    SEARCH_VALID,
    SEARCH_INVALID,
    SEARCH_MEMORY,  /* the budget's bytes are used up */
    SEARCH_EXPIRED, /* its time is, or it was cancelled */
};

struct search_ops {
    const char *name;
    /* NULL: the budget does not even allow to begin. */
    void *(*make)(const struct window *w, struct budget *b);
    /* Goes on for about so many steps of the model (UINT64_MAX: to the end). */
    enum search_status (*run)(void *search, uint64_t steps);
    /* How far into the events it came; never falls. */
    uint32_t (*progress)(const void *search);
    /* Fills in all but the verdict's reason and the peak.  For VALID it may
     * fail for want of memory: false. */
    bool (*finish)(void *search, enum search_status status,
                   struct decision *ret);
    void (*release)(void *search);
};

extern const struct search_ops search_configurations, search_depth;

/* One search to its end: what engine_configurations and engine_depth do. */
void search_decide(const struct search_ops *ops, const struct problem *p,
                   struct budget *b, struct decision *ret);

/* Verdict, order or core, and reason of a search that ended with 'status'. */
void search_finish(const struct search_ops *ops, void *search,
                   enum search_status status, struct budget *b,
                   struct decision *ret);

/*
 * From an order of the calls with effect (calls, not members) to one of all: a
 * call that changes nothing goes to the first place where it is legal and real
 * time allows it.  Those whose bit is set in 'placed' (per member; NULL: none)
 * are among the effects already.  NULL: memory, or there is no place.
 */
uint32_t *search_place_pure(const struct window *w, struct budget *b,
                            const uint32_t *effects, uint32_t effect_count,
                            const uint64_t *placed, uint32_t *ret_count);

/* UNKNOWN: nothing could be begun, for want of memory or time. */
void search_no_room(const struct problem *p, const struct budget *b,
                    struct decision *ret);

/* INVALID: every call invoked up to 'event' suffices. */
void search_core(const struct window *w, uint32_t event, struct decision *ret);

/* UNKNOWN at 'event': what is decided so far. */
void search_prefix(const struct window *w, uint32_t event,
                   struct decision *ret);

#endif
