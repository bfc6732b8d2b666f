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

#include "replica/engine-lease.h"
#include "replica/id-map.h"

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
    uint32_t heap_at; /* NONE: not scheduled */
    uint32_t next;    /* in the free list, or the FIFO of ended leases */
};

struct member {
    uint32_t resource, next;
};

struct operation_record {
    struct id128 id, fingerprint;
    uint64_t retire_slot;
    struct outcome outcome;
};

struct engine_lease {
    struct engine base;
    struct engine_limits limits;
    enum bug bug;
    uint64_t applied, slot, retired_watermark, busy_count, digest;

    struct resource *resources;
    struct id_map resource_map;

    struct lease *leases;
    struct id_map lease_map;
    uint32_t lease_free, ended_head, ended_tail;

    struct member *members;
    uint32_t member_free, member_count;

    uint32_t *heap;
    uint32_t heap_count;
    uint32_t *bucket_counts; /* scheduled leases by deadline % bucket_total */
    uint64_t bucket_total;

    struct operation_record *operations; /* ring */
    uint32_t operation_head;
    struct id_map operation_map;
};

/* ---- digest ---- */
void lease_resource_out(struct engine_lease *e, const struct resource *r);
void lease_resource_in(struct engine_lease *e, const struct resource *r);
void lease_out(struct engine_lease *e, const struct lease *l);
void lease_in(struct engine_lease *e, const struct lease *l);
uint64_t lease_engine_digest(const struct engine *engine);

/* ---- expiry ---- */
/* In order of (deadline, lease); slots of the lease table. */
bool lease_due_before(const struct engine_lease *e, uint32_t a, uint32_t b);
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
/* All members into a state, version + 1. */
void lease_members_set(struct engine_lease *e, const struct lease *l,
                       enum resource_state state);
/* Into an end state: resources free, retirement decided. */
void lease_end(struct engine_lease *e, struct lease *l, enum lease_state state);
/* Only to rebuild the FIFO of ended leases, in its order. */
void lease_ended_append(struct engine_lease *e, uint32_t at);

/* ---- the dedupe table, oldest first ---- */
struct operation_record *lease_operation_at(struct engine_lease *e,
                                            uint32_t nth);
void lease_operation_append(struct engine_lease *e,
                            const struct operation_record *o);
uint8_t lease_outcome_flags(const struct outcome *o);
void lease_engine_forget_operations(struct engine *engine);

/* Drops all whose time is over at the current slot; amortised O(1). */
void lease_retire_due(struct engine_lease *e);

/* ---- snapshot (engine-lease-snapshot.c) ---- */
void lease_engine_save(const struct engine *engine, struct buf *out);
int lease_engine_load(struct engine *engine, const void *data, size_t len,
                      struct error *err);

#endif
