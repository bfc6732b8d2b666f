/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload is what clients do.  'next' is pure: what it returns depends on
 * its own state and the random stream it is given, never on time or threads.
 * Results come back through 'done', in the order the runner saw them.
 *
 *   new -> next / done ... -> sweep ... -> free
 *
 * Threads: the runner calls all functions under one lock.
 */
#ifndef ORDEAL_WORKLOADS_WORKLOAD_H
#define ORDEAL_WORKLOADS_WORKLOAD_H

#include "harness/base/rng.h"
#include "systems/system.h"

/* How the runner routes an operation's first attempt. */
enum route {
    ROUTE_PRIMARY, /* the believed primary; follow redirects */
    ROUTE_ANY,     /* a node from the random stream (stale on purpose) */
};

struct workload_step {
    struct operation op;
    enum route route;
    /*
     * After the first recorded answer send the same operation again this many
     * times on purpose: the duplicates must get the recorded answer.
     */
    unsigned duplicates;
    /*
     * Not sooner than this after the client's previous step that had a
     * spacing.  'next' knows no time; this is how a workload bounds the pace
     * of logical time.  0: at once.
     */
    int64_t spacing_ns;
};

struct workload;

struct workload_ops {
    const char *name, *description;
    const char *capability;
    const char *model;           /* of the analyzer: "allocator", "quota" */
    const char *const *checkers; /* that judge it, NULL-terminated */
    struct workload *(*new_)(const json_t *params, uint64_t seed,
                             unsigned client_count, struct error *err);
    /* Operations that must be recorded before clients start; false: done. */
    bool (*setup)(struct workload *w, struct arena *a,
                  struct workload_step *ret);
    /* Always yields a step for this client (0..client_count-1). */
    void (*next)(struct workload *w, unsigned client, struct arena *a,
                 struct workload_step *ret);
    /*
     * The ending of an operation, EVENT_UNKNOWN when given up.  Called again
     * when a later retry of a given up operation gets its answer.
     */
    void (*done)(struct workload *w, unsigned client,
                 const struct operation *op, const struct attempt_result *r);
    /* Reads of all objects; restarts at cursor 0; false: done. */
    bool (*sweep)(struct workload *w, unsigned *cursor, struct arena *a,
                  struct workload_step *ret);
    void (*free)(struct workload *w);
};

struct workload {
    const struct workload_ops *ops;
    /* How patient its clients are; 0: as the runner's default. */
    int64_t attempt_timeout_ns, give_up_ns;
};

const struct workload_ops *workload_find(const char *name); /* NULL: none */
/* All, NULL-terminated. */
extern const struct workload_ops *const workload_registry[];

extern const struct workload_ops workload_reservation_contention_ops;
extern const struct workload_ops workload_ambiguous_write_retry_ops;
extern const struct workload_ops workload_failover_read_fences_ops;
extern const struct workload_ops workload_expiration_and_recovery_ops;
extern const struct workload_ops workload_lease_safety_ops;
extern const struct workload_ops workload_retry_pressure_ops;
extern const struct workload_ops workload_quota_ops;
extern const struct workload_ops workload_pool_holds_ops;
extern const struct workload_ops workload_block_register_ops;

#endif
