/* SPDX-License-Identifier: Apache-2.0 */
/* The state of an allocator workload, shared by its three files. */
#ifndef ORDEAL_WORKLOADS_ALLOCATOR_INTERNAL_H
#define ORDEAL_WORKLOADS_ALLOCATOR_INTERNAL_H

#include "workloads/allocator.h"
#include "workloads/generator.h"

/* Leases remembered; the sweep reads them all. */
#define ALLOCATOR_LEASES_MAX 512

/* Answered commands of a client to repeat: two a slot for 128 slots. */
#define ALLOCATOR_RECENT_MAX 256
#define ALLOCATOR_RECENT_PER_SLOT 2

#define ALLOCATOR_RESOURCES_MAX 4096
#define ALLOCATOR_BUNDLE_MAX 3

enum allocator_command_kind {
    COMMAND_CREATE,
    COMMAND_RESERVE,
    COMMAND_BUNDLE,
    COMMAND_CONFIRM,
    COMMAND_RELEASE,
    COMMAND_REVOKE,
    COMMAND_RECLAIM,
};

/* One command's contents; those its kind does not have are zero. */
struct allocator_command {
    enum allocator_command_kind kind;
    struct id128 id, lease;
    int64_t resources[ALLOCATOR_BUNDLE_MAX];
    unsigned resource_count;
    int64_t holder, ttl, epoch;
    int64_t slot; /* when it was answered */
};

enum allocator_guess {
    LEASE_RESERVED = 1,
    LEASE_ACTIVE = 2,
    LEASE_REVOKING = 4,
    LEASE_ENDED = 8,
};
#define LEASE_ANY 15u

struct allocator_lease {
    struct id128 id; /* zero: free */
    unsigned owner;
    int64_t holder; /* 0: seen in a read only */
    int64_t epoch;
    enum allocator_guess guess;
};

struct allocator_client {
    struct rng rng;
    bool reader;
    uint64_t step_count;
    int64_t fence;       /* position of the last own write, 0: none */
    int64_t resource;    /* that it wrote last, 0: none */
    struct id128 leased; /* the lease it touched last, zero: none */
    struct allocator_command recent[ALLOCATOR_RECENT_MAX];
    unsigned recent_count, recent_next;
    int64_t recent_slot;
    unsigned recent_in_slot;
};

struct allocator {
    struct workload base;
    const struct allocator_family *family;
    unsigned client_count, setup_count;
    int64_t resources, holders, ttl_min, ttl_max;
    int64_t tick_every, tick_spacing_ms, duplicate_percent;
    int64_t reader_percent, stray_percent, window_slots, attempt_timeout_ms,
        give_up_ms;
    struct generator_mix mixes[ALLOCATOR_PHASES_MAX];
    unsigned phase, phase_ticks;
    int64_t slot;  /* highest seen in an answer */
    int64_t fence; /* highest position seen in an answer */
    struct rng setup_rng;
    struct allocator_lease leases[ALLOCATOR_LEASES_MAX];
    unsigned lease_next;
    struct allocator_client clients[];
};

/* ---- allocator-command.c ---- */

void allocator_command_step(const struct allocator_command *c, struct arena *a,
                            struct workload_step *ret);

/* The inverse; false for reads and ticks. */
bool allocator_command_from(const struct operation *op,
                            struct allocator_command *ret);

void allocator_read_lease(struct id128 lease, const char *claim,
                          enum route route, struct arena *a,
                          struct workload_step *ret);

/* ---- allocator-book.c ---- */

/* A lease guessed in one of 'guesses' (of 'owner', if not negative); NULL. */
const struct allocator_lease *allocator_pick(struct allocator *w,
                                             struct rng *rng, unsigned guesses,
                                             int owner);

/* Takes in the ending of an operation that was answered. */
void allocator_learn(struct allocator *w, unsigned client,
                     const struct operation *op,
                     const struct attempt_result *r);

#endif
