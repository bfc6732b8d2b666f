/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads of the capability "allocator".  They differ in how often they do
 * what, and in nothing else: a family is a table (struct allocator_family), and
 * its file is the table.
 *
 * Each client has its own stream and remembers its own commands; what is
 * believed about leases is common.  It is a guess that steers the mix: no
 * verdict rests on it, and wrong guesses only make other answers.
 *
 * Logical time: client 0 ticks, one slot beyond the highest it knows, never
 * more often than the spacing, so that the dedupe window outlasts any planned
 * outage together with the retries after it.
 */
#ifndef ORDEAL_WORKLOADS_ALLOCATOR_H
#define ORDEAL_WORKLOADS_ALLOCATOR_H

#include "workloads/workload.h"

/* What a client may do next.  The names are those of 'weights'. */
#define ALLOCATOR_ACTIONS(X)                                                   \
    X(RESERVE, reserve)                                                        \
    X(BUNDLE, reserve_bundle)                                                  \
    X(CONFIRM, confirm)                                                        \
    X(RELEASE, release)                                                        \
    X(REVOKE, revoke)                                                          \
    X(RECLAIM, reclaim)                                                        \
    X(READ_RESOURCE, read_resource)   /* linearizable, at the primary */       \
    X(READ_LEASE, read_lease)         /* the same */                           \
    X(READ_ELSEWHERE, read_elsewhere) /* linearizable, at any node */          \
    X(READ_ANY, read_any)             /* no claim, at any node */              \
    X(READ_FENCED, read_fenced)       /* behind the own last write */          \
    X(READ_OWN, read_own)       /* what the client wrote last, at any node */  \
    X(READ_HANDED, read_handed) /* behind the last write of anybody */         \
    X(REPEAT, repeat)           /* an answered command, again */               \
    X(REUSE, reuse)             /* its id with other contents */               \
    X(REUSE_LATE, reuse_late)   /* the same, past the dedupe window */         \
    X(STALE, stale) /* an epoch or holder that is not the lease's */           \
    X(TICK, tick)   /* that does not advance */

#define ALLOCATOR_ACTION_ENUM(name, word) ALLOCATOR_##name,
enum allocator_action {
    ALLOCATOR_ACTIONS(ALLOCATOR_ACTION_ENUM) ALLOCATOR_ACTION_COUNT
};

/* Phases follow one another, and then begin anew; one alone lasts for ever. */
#define ALLOCATOR_PHASES_MAX 4
struct allocator_phase {
    unsigned ticks; /* that advance time; then comes the next phase */
    int weights[ALLOCATOR_ACTION_COUNT];
    int tick_spacing_ms;
};

struct allocator_family {
    const struct workload_ops *ops;
    const struct allocator_phase *phases;
    unsigned phase_count;
    /* Defaults of the parameters (docs/WORKLOADS.md). */
    int resources;
    int holders; /* 0: as many as clients */
    int ttl_min, ttl_max;
    int tick_every; /* steps of client 0 */
    int duplicate_percent;
    int reader_percent; /* clients that only read; never client 0 */
    int stray_percent;  /* of the ticks that advance: sent to any node */
    int window_slots;   /* of the system's dedupe table */
    int attempt_timeout_ms, give_up_ms; /* 0: the runner's */
    /* Client 0 does nothing but tick and read: it is never held up by a
     * command that the system does not take. */
    bool timekeeper;
};

struct workload *allocator_new(const struct allocator_family *family,
                               const json_t *params, uint64_t seed,
                               unsigned client_count, struct error *err);

/* The callbacks of all families. */
bool allocator_setup(struct workload *w, struct arena *a,
                     struct workload_step *ret);
void allocator_next(struct workload *w, unsigned client, struct arena *a,
                    struct workload_step *ret);
void allocator_done(struct workload *w, unsigned client,
                    const struct operation *op, const struct attempt_result *r);
bool allocator_sweep(struct workload *w, unsigned *cursor, struct arena *a,
                     struct workload_step *ret);
void allocator_free(struct workload *w);

/* Every checker of an allocator's history. */
extern const char *const allocator_checkers[];

/* What all families have in common. */
#define ALLOCATOR_WORKLOAD_OPS                                                 \
    .capability = "allocator", .model = "allocator",                           \
    .checkers = allocator_checkers, .setup = allocator_setup,                  \
    .next = allocator_next, .done = allocator_done, .sweep = allocator_sweep,  \
    .free = allocator_free

#endif
