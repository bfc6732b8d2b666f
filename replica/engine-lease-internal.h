/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the lease engine, for engine-lease*.c only: the tables and what may be
 * done with them (engine-lease-tables.c).  They know nothing of commands.
 *
 * Every change of a record happens between its _out() and its _in(), which
 * take its hash out of the digest and put the new one back.
 */
#ifndef ORDEAL_REPLICA_ENGINE_LEASE_INTERNAL_H
#define ORDEAL_REPLICA_ENGINE_LEASE_INTERNAL_H

#include "replica/due-heap.h"
#include "replica/engine-lease.h"
#include "replica/engine-state.h"

#define NONE UINT32_MAX

struct resource {
    struct id128 id, lease;
    uint64_t version;
    enum resource_state state;
};

struct lease {
    struct id128 id, holder;
    uint64_t epoch, deadline, created, released, retire_after;
    enum lease_state state;
    uint32_t member_count, first_member;
    uint32_t next; /* in the free list, or the FIFO of ended leases */
};

struct member {
    uint32_t resource, next;
};

struct engine_lease {
    struct engine_state s;
    uint64_t retired_watermark;

    struct resource *resources;
    struct id_map resource_map;

    struct lease *leases;
    struct id_map lease_map;
    uint32_t lease_free, ended_head, ended_tail;

    struct member *members;
    uint32_t member_free, member_count;

    struct due_heap due;     /* the leases that can expire */
    uint32_t *bucket_counts; /* scheduled leases by deadline % bucket_total */
    uint64_t bucket_total;
};

/* ---- digest ---- */
void lease_resource_out(struct engine_lease *e, const struct resource *r);
void lease_resource_in(struct engine_lease *e, const struct resource *r);
void lease_out(struct engine_lease *e, const struct lease *l);
void lease_in(struct engine_lease *e, const struct lease *l);
uint64_t lease_engine_digest(const struct engine *engine);

/* ---- expiry ---- */
void lease_schedule(struct engine_lease *e, uint32_t lease);
/* Fine when it is not scheduled. */
void lease_unschedule(struct engine_lease *e, struct lease *l);

/* ---- leases ---- */
/* NULL: no such lease. */
struct lease *lease_find(const struct engine_lease *e, struct id128 id);
bool lease_ended(const struct lease *l);
/* A zeroed slot of the table, which must not be full. */
uint32_t lease_take(struct engine_lease *e);
void lease_members_link(struct engine_lease *e, struct lease *l,
                        const uint32_t *resources, uint32_t count);
/* A resource (by its place) into a state, version + 1. */
void lease_resource_set(struct engine_lease *e, uint32_t resource,
                        const struct lease *l, enum resource_state state);
/* The same of all members. */
void lease_members_set(struct engine_lease *e, const struct lease *l,
                       enum resource_state state);
/* Into an end state: resources free, retirement decided. */
void lease_end(struct engine_lease *e, struct lease *l, enum lease_state state);
/* Only to rebuild the FIFO of ended leases, in its order. */
void lease_ended_append(struct engine_lease *e, uint32_t at);

/* Drops all whose time is over at the current slot; amortised O(1). */
void lease_retire_due(struct engine_lease *e);

/* ---- snapshot (engine-lease-snapshot.c) ---- */
void lease_engine_save(const struct engine *engine, struct buf *out);
int lease_engine_load(struct engine *engine, const void *data, size_t len,
                      struct error *err);

#endif
