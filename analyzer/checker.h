/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checker judges one property of a table and says VALID, INVALID with a
 * witness, or UNKNOWN with a reason.  One checker is one file that exports one
 * const struct checker_ops; registry.c lists them.
 *
 * The rule above all others: INVALID only when no correct execution explains
 * the history.  What cannot be decided is UNKNOWN.  docs/CHECKERS.md states
 * for each exactly what it decides, why that is sound, and what it cannot see.
 *
 * Threads: several checkers run at once over the same table and facts; each has
 * its own struct checker_run.
 */
#ifndef ORDEAL_ANALYZER_CHECKER_H
#define ORDEAL_ANALYZER_CHECKER_H

#include <stdatomic.h>

#include "analyzer/facts.h"
#include "analyzer/verdict.h"
#include "harness/base/buf.h"

#define WITNESS_EVENTS_MAX 16
#define WITNESS_TEXT_MAX 4096

/* What a checker came to. */
struct finding {
    enum verdict verdict;
    char reason[REASON_TEXT_MAX]; /* of UNKNOWN */
    char text[WITNESS_TEXT_MAX];  /* the first witness of INVALID */
    uint32_t events[WITNESS_EVENTS_MAX];
    uint32_t event_count;
    uint64_t count; /* how many violations, or undecided things */
};

/* One execution of a checker. */
struct checker_run {
    const struct table *table;
    const struct facts *facts;
    struct clock *clock;
    int64_t deadline_ns;     /* absolute */
    size_t memory_bytes;     /* cap of a search; 0: its own */
    const atomic_bool *stop; /* ends a search, or NULL */
    bool is_run;             /* the history is a run of ours, not foreign */
    uint32_t polls;
    struct finding finding; /* begins as VALID */
};

struct checker_ops {
    const char *name, *description; /* one line */
    bool runs_only; /* judges how a run was driven, not the system */
    /* Of which histories, by the model of their meta: NULL: the allocator's;
     * CHECKER_EVERY_MODEL: all. */
    const char *model;
    void (*check)(struct checker_run *run);
};

#define CHECKER_EVERY_MODEL "*"
bool checker_judges(const struct checker_ops *ops, const char *model);

/* NULL-terminated. */
extern const struct checker_ops *const checker_registry[];
const struct checker_ops *checker_find(const char *name); /* NULL: none */

/*
 * To be asked in every loop: true when the deadline has passed; the finding is
 * then UNKNOWN with that reason, unless it is INVALID already.
 */
bool checker_expired_now(struct checker_run *run);

/* Reading the clock costs more than a step of most loops; the longest step
 * walks all commands on one lease. */
#define CHECKER_POLLS_PER_CLOCK 64u

static inline bool
checker_expired(struct checker_run *run)
{
    return ++run->polls % CHECKER_POLLS_PER_CLOCK == 0 &&
           checker_expired_now(run);
}

/*
 * Records a violation.  The first one keeps its text; true when it is the
 * first, so that the caller adds the events.
 */
bool checker_violation(struct checker_run *run, const char *fmt, ...)
    PRINTF_LIKE(2, 3);

/* Records that something is undecided; the first reason stays. */
void checker_unknown(struct checker_run *run, const char *fmt, ...)
    PRINTF_LIKE(2, 3);

/* Adds an event, or all events of an operation, to the first witness. */
void witness_event(struct checker_run *run, uint32_t event);
void witness_operation(struct checker_run *run, uint32_t op);

/* Of blocks (block-values.c): versions and values that linearizable reads show,
 * those of the sweeps or the others; and, with the sweeps, versions that were
 * acknowledged twice. */
void block_values_check(struct checker_run *run, bool sweeps);

/*
 * Another operation with the same id and other contents that the system
 * answered while the record of one of the two must have been there; NONE.
 */
uint32_t answered_with_other_contents(const struct table *t, uint32_t op);

/* ---- words for witnesses (describe.c) ---- */

#define DESCRIBE_SIZE 192
struct text {
    char s[DESCRIBE_SIZE];
};

/* "7", or 32 hex digits. */
struct text describe_id(const struct table *t, uint32_t id);

/* "reserve 1f (client 3, n2, position 41, events 12-15)" */
struct text describe_operation(const struct table *t, uint32_t op);
struct text describe_answer(const struct table *t, uint32_t answer);

/* " at position 41", or "" without one. */
struct text describe_position(const struct table *t, uint64_t index);

#endif
