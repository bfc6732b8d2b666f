/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines decide whether calls can be explained by a model: linearizability
 * (Herlihy and Wing 1990), or for the exact engines of a model whatever that
 * model promises (serializability, no lost element).
 *
 *   problem + budget --engine_decide--> decision
 *
 * VALID comes with an order that replays (problem_replay proves it), INVALID
 * with calls that suffice for the contradiction, UNKNOWN with the reason.
 * Nobody trusts an engine: check.c replays every order and has every core
 * re-checked by a second engine.
 *
 * Limits: the deadline is looked at often enough to be overshot by less than
 * 100 ms; memory beyond the cap is not taken (UNKNOWN).
 *
 * Threads: engines keep no state outside the call; several run at once over the
 * same calls, each with its own budget, and give up when 'cancel' is set.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_ENGINE_H
#define ORDEAL_ANALYZER_ENGINES_ENGINE_H

#include <stdatomic.h>

#include "analyzer/models/model.h"
#include "analyzer/verdict.h"
#include "harness/base/clock.h"

/* Some of the calls, rising (so in the order of invoke); NULL: all. */
struct problem {
    const struct calls *calls;
    const uint32_t *members;
    uint32_t count;
    uint32_t key; /* they have in common, or VALUE_ABSENT */
};

static inline uint32_t
problem_call(const struct problem *p, uint32_t i)
{
    return p->members == NULL ? i : p->members[i];
}

struct budget {
    struct clock *clock;
    int64_t deadline_ns; /* absolute */
    size_t memory_bytes; /* cap */
    atomic_bool *cancel; /* or NULL */
    /* kept by budget_take and budget_expired */
    size_t used_bytes, peak_bytes;
    uint32_t polls;
};

/* To be asked in every loop; cheap: looks at the clock now and then. */
bool budget_expired(struct budget *b);
/* Counts memory; false: it would be beyond the cap (nothing is counted). */
bool budget_take(struct budget *b, size_t bytes);
void budget_give(struct budget *b, size_t bytes);

#define DECISION_HEADLINE_MAX 512
#define DECISION_EDGES_MAX 256

/* Why one call of a core comes before another. */
enum edge_kind {
    EDGE_REAL_TIME, /* it was answered before the other was invoked */
    EDGE_OBSERVED,  /* the other saw what it did */
    EDGE_REFUSED,   /* the other was refused because of it */
    EDGE_DEDUPE,    /* the same operation again */
    EDGE_EPOCH,     /* a fencing token or epoch tells */
    EDGE_POSITION,  /* positions tell */
    EDGE_OVERWRITE, /* it was overwritten by the other (ww) */
    EDGE_ANTI,      /* it did not see the other yet (rw) */
};
const char *edge_kind_name(enum edge_kind k); /* "real time" */

struct edge {
    uint32_t from, to; /* calls */
    enum edge_kind kind;
    char *text; /* a sentence, malloc'd, or NULL */
};

struct decision {
    enum verdict verdict;
    const char *engine;
    char headline[DECISION_HEADLINE_MAX]; /* INVALID: the broken guarantee */
    char reason[REASON_TEXT_MAX];         /* UNKNOWN: why */
    uint32_t *order; /* VALID: the calls that took effect, in that order */
    uint32_t order_count;
    uint32_t *core; /* INVALID: calls that suffice, rising; NULL: not known */
    uint32_t core_count;
    /* By explain_shrink, per call of the core: whether it is one of those that
     * contradict each other; the rest are there because without them it would
     * seem that nobody did what was observed.  NULL: all contradict. */
    bool *core_firm;
    struct edge *edges; /* INVALID: what the engine knows of the core */
    uint32_t edge_count;
    /* UNKNOWN: the calls invoked before this one are explained. */
    uint32_t decided_prefix;
    uint32_t open_count; /* open calls left undecided there */
    uint64_t steps, configurations;
    size_t peak_bytes;
};

void decision_release(struct decision *d);

struct engine_ops {
    const char *name, *description; /* one line */
    /* It also decides calls of many keys in one problem (without a key of its
     * own), each key apart from the others. */
    bool keyed;
    /* Whether it can decide this problem exactly; NULL: always. */
    bool (*applies)(const struct problem *p);
    /* *ret comes zeroed; the engine sets all but 'engine' (an engine that asks
     * others says who answered). */
    void (*decide)(const struct problem *p, struct budget *b,
                   struct decision *ret);
};

/* Runs one engine with the contract checked. */
void engine_decide(const struct engine_ops *e, const struct problem *p,
                   struct budget *b, struct decision *ret);

/* engines/replay.c: whether 'order' linearizes the problem: every definite
 * call once, open ones at most once, in real time, each step legal.  False
 * with the reason. */
bool problem_replay(const struct problem *p, const uint32_t *order,
                    uint32_t order_count, char reason[REASON_TEXT_MAX]);
/* The same; false also when the budget ends first.  NULL: it does not end. */
bool problem_replay_within(const struct problem *p, const uint32_t *order,
                           uint32_t order_count, struct budget *b,
                           char reason[REASON_TEXT_MAX]);

/* The same where each key has a state of its own, in one walk. */
bool problem_replay_keyed(const struct problem *p, const uint32_t *order,
                          uint32_t order_count, struct budget *b,
                          char reason[REASON_TEXT_MAX]);

/* The general ones, for any model with step. */
extern const struct engine_ops engine_configurations; /* breadth: JIT sets */
extern const struct engine_ops engine_depth;          /* depth-first */
extern const struct engine_ops engine_witness;        /* replay by position */
extern const struct engine_ops engine_brute; /* obviously right, tiny: <= 12 */

/* Both general ones side by side under one budget; first definite answer. */
extern const struct engine_ops engine_portfolio;

/* Exact ones. */
extern const struct engine_ops engine_register; /* zones: unique values */
extern const struct engine_ops engine_queue, engine_stack, engine_set;
extern const struct engine_ops engine_lock, engine_lease;
extern const struct engine_ops engine_lease_kernel; /* INVALID or UNKNOWN */
extern const struct engine_ops engine_counter, engine_bank, engine_unique_ids;
extern const struct engine_ops engine_set_full, engine_total_queue;
extern const struct engine_ops engine_long_fork;
extern const struct engine_ops engine_list_append, engine_rw_register;
/* Second opinion of the last two, tiny: <= 8. */
extern const struct engine_ops engine_txn_orders;

/*
 * engines/parts.c: cuts the calls into problems that can be judged apart, by
 * key or by connected component in time; the result's members live in 'arena'.
 */
struct parts {
    struct problem *problems;
    uint32_t count;
};
void parts_make(const struct calls *c, struct arena *arena, struct parts *ret);

/* How many keys there are, when each call has exactly one; else 0. */
uint32_t parts_keys(const struct calls *c);

#endif
