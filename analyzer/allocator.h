/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator as a model: what the system must answer and do, by the engine's
 * rules (docs/CHECKERS.md, "The allocator model").  The questions
 * (allocator_accepts, allocator_shows) are pure; the changes are journalled, so
 * that a search can take them back.
 *
 *   mark = allocator_mark -> allocator_do... -> allocator_rollback(mark)
 *                                            or allocator_commit
 *
 * Where the history leaves open when something happened, the model keeps bounds
 * (when an unseen end leads to retirement; the deadline of a lease whose grant
 * nobody saw) and accepts what some choice within them explains.
 *
 * Leases and resources are numbers in struct facts; leases whose id nobody has
 * seen yet ("hidden") have numbers from facts->lease_count on, one per reserve
 * that may have made one, and are bound to an id when one shows up.
 *
 * Threads: one.
 */
#ifndef ORDEAL_ANALYZER_ALLOCATOR_H
#define ORDEAL_ANALYZER_ALLOCATOR_H

#include "analyzer/facts.h"

struct model_resource {
    bool exists;
    enum state state;
    uint32_t lease; /* or NONE */
    int64_t version;
};

struct model_lease {
    bool exists; /* was made; it may be retired by now */
    enum state state;
    uint32_t holder;
    struct span resources; /* ids, in table->lists */
    int64_t epoch, created_slot, ttl;
    int64_t deadline_low, deadline_high;
    int64_t retire_low, retire_high; /* of an ended one */
};

struct undo;

struct allocator {
    const struct facts *facts;
    int64_t slot;
    struct model_resource *resources;
    struct model_lease *leases;
    uint32_t lease_total; /* known and hidden */
    uint32_t *bound;      /* hidden number of a known lease, or NONE */
    uint32_t *id_of;      /* known lease of a hidden number, or NONE */
    uint32_t resource_count;
    /* Ended leases in order; those before 'sure' are retired for certain, those
     * before 'maybe' perhaps. */
    uint32_t *ended;
    uint32_t ended_count, sure, maybe;
    int64_t live, members; /* all ever made minus none */
    int64_t sure_members, maybe_members;
    uint64_t sure_watermark, maybe_watermark;
    int32_t *buckets; /* scheduled leases by deadline; NULL: too many */
    struct undo *undo;
    uint32_t undo_count, undo_cap;
};

void allocator_init(struct allocator *m, const struct facts *f);
void allocator_release(struct allocator *m);

/* Time passes; 'slot' is not below the current one. */
void allocator_advance(struct allocator *m, int64_t slot);

/* Whether the model may answer this to the operation now. */
bool allocator_accepts(const struct allocator *m, uint32_t op, enum code code);

/* What it would answer, for people to read. */
enum code allocator_expects(const struct allocator *m, uint32_t op);

/* The bounds of the slot in which something happened; equal when it is known.
 */
struct slots {
    int64_t low, high;
};

/*
 * The operation happens and is answered 'code', which the model accepts.
 * 'lease': the number of the lease that an ok reserve makes.
 */
void allocator_do(struct allocator *m, uint32_t op, enum code code,
                  uint32_t lease, struct slots when);

/* The lease expires: whether it can, and that it does. */
bool allocator_can_expire(const struct allocator *m, uint32_t lease);
void allocator_expire(struct allocator *m, uint32_t lease, struct slots when);

/* Whether a read may show this now; and what it teaches. */
bool allocator_shows(const struct allocator *m, const struct answer *a);
void allocator_shown(struct allocator *m, const struct answer *a);

/* Whether the hidden lease may turn out to be this one, by what reads tell. */
bool allocator_may_be(const struct allocator *m, uint32_t hidden,
                      uint32_t lease);

/* The number under which the model keeps a lease. */
uint32_t allocator_resolve(const struct allocator *m, uint32_t lease);
void allocator_bind(struct allocator *m, uint32_t lease, uint32_t hidden);

uint32_t allocator_mark(const struct allocator *m);
void allocator_rollback(struct allocator *m, uint32_t mark);
void allocator_commit(struct allocator *m);

#endif
