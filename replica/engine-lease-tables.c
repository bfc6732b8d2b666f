/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables are arrays of fixed size with id maps beside them: resources are
 * never removed; leases live in slots with a free list; ended leases form a
 * FIFO, which is in order of retire_after because slots never go back.
 *
 * Planted bugs let the tables contradict each other, so no assertion here
 * relates a lease to the state of its resources.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "replica/engine-lease-internal.h"

/* ---- digest ---- */

static uint64_t
resource_hash(const struct resource *r)
{
    uint64_t h = digest_mix_id(1, r->id);

    h = digest_mix_id(h, r->lease);
    h = digest_mix(h, r->version);
    return digest_mix(h, (uint64_t)r->state);
}

static uint64_t
lease_hash(const struct engine_lease *e, const struct lease *l)
{
    uint64_t h = digest_mix_id(2, l->id);

    h = digest_mix_id(h, l->holder);
    h = digest_mix(h, l->epoch);
    h = digest_mix(h, l->deadline);
    h = digest_mix(h, l->created);
    h = digest_mix(h, l->released);
    h = digest_mix(h, l->retire_after);
    h = digest_mix(h, (uint64_t)l->state);
    for (uint32_t m = l->first_member; m != NONE; m = e->members[m].next)
        h = digest_mix_id(h, e->resources[e->members[m].resource].id);
    return h;
}

void
lease_resource_out(struct engine_lease *e, const struct resource *r)
{
    e->s.digest -= resource_hash(r);
}

void
lease_resource_in(struct engine_lease *e, const struct resource *r)
{
    e->s.digest += resource_hash(r);
}

void
lease_out(struct engine_lease *e, const struct lease *l)
{
    e->s.digest -= lease_hash(e, l);
}

void
lease_in(struct engine_lease *e, const struct lease *l)
{
    e->s.digest += lease_hash(e, l);
}

uint64_t
lease_engine_digest(const struct engine *engine)
{
    const struct engine_lease *e = (const struct engine_lease *)engine;

    return digest_mix(engine_state_digest(&e->s), e->retired_watermark);
}

/* ---- expiry ---- */

static uint32_t *
bucket_of(struct engine_lease *e, const struct lease *l)
{
    return &e->bucket_counts[l->deadline % e->bucket_total];
}

void
lease_schedule(struct engine_lease *e, uint32_t lease)
{
    const struct lease *l = &e->leases[lease];

    ++*bucket_of(e, l);
    due_heap_add(&e->due, &(struct due){l->deadline, l->id, lease});
}

void
lease_unschedule(struct engine_lease *e, struct lease *l)
{
    if (due_heap_remove(&e->due, (uint32_t)(l - e->leases)))
        --*bucket_of(e, l);
}

/* ---- leases and their members ---- */

struct lease *
lease_find(const struct engine_lease *e, struct id128 id)
{
    uint32_t at = id_map_get(&e->lease_map, id);

    return at == ID_MAP_NONE ? NULL : &e->leases[at];
}

bool
lease_ended(const struct lease *l)
{
    return l->state >= LEASE_RELEASED;
}

/* Members keep the order in which the command named them. */
void
lease_members_link(struct engine_lease *e, struct lease *l,
                   const uint32_t *resources, uint32_t count)
{
    uint32_t *link = &l->first_member;

    assert(count <= e->s.limits.members - e->member_count);
    l->member_count = count;
    e->member_count += count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t m = e->member_free;

        e->member_free = e->members[m].next;
        e->members[m].resource = resources[i];
        *link = m;
        link = &e->members[m].next;
    }
    *link = NONE;
}

uint32_t
lease_take(struct engine_lease *e)
{
    uint32_t at = e->lease_free;

    assert(at != NONE);
    e->lease_free = e->leases[at].next;
    memset(&e->leases[at], 0, sizeof(e->leases[at]));
    e->leases[at].next = NONE;
    e->leases[at].first_member = NONE;
    return at;
}

void
lease_resource_set(struct engine_lease *e, uint32_t resource,
                   const struct lease *l, enum resource_state state)
{
    struct resource *r = &e->resources[resource];

    lease_resource_out(e, r);
    r->state = state;
    r->lease = state == RESOURCE_AVAILABLE ? (struct id128){0, 0} : l->id;
    r->version++;
    lease_resource_in(e, r);
}

void
lease_members_set(struct engine_lease *e, const struct lease *l,
                  enum resource_state state)
{
    for (uint32_t m = l->first_member; m != NONE; m = e->members[m].next)
        lease_resource_set(e, e->members[m].resource, l, state);
}

/* Appends to the FIFO that retirement consumes. */
void
lease_ended_append(struct engine_lease *e, uint32_t at)
{
    e->leases[at].next = NONE;
    if (e->ended_tail == NONE)
        e->ended_head = at;
    else
        e->leases[e->ended_tail].next = at;
    e->ended_tail = at;
}

/* The lease goes into an end state; its resources are available again. */
void
lease_end(struct engine_lease *e, struct lease *l, enum lease_state state)
{
    lease_unschedule(e, l);
    lease_members_set(e, l, RESOURCE_AVAILABLE);
    l->state = state;
    l->retire_after = e->s.slot + e->s.limits.history_slots;
    lease_ended_append(e, (uint32_t)(l - e->leases));
}

static void
lease_retire_oldest(struct engine_lease *e)
{
    uint32_t at = e->ended_head, m, next;
    struct lease *l = &e->leases[at];

    lease_out(e, l);
    e->ended_head = l->next;
    if (e->ended_head == NONE)
        e->ended_tail = NONE;
    for (m = l->first_member; m != NONE; m = next) {
        next = e->members[m].next;
        e->members[m].next = e->member_free;
        e->member_free = m;
    }
    e->member_count -= l->member_count;
    id_map_remove(&e->lease_map, l->id);
    if (l->id.lo > e->retired_watermark)
        e->retired_watermark = l->id.lo;
    l->next = e->lease_free;
    e->lease_free = at;
}

/* Everything whose time is over at the current slot; amortised O(1). */
void
lease_retire_due(struct engine_lease *e)
{
    while (e->ended_head != NONE &&
           e->leases[e->ended_head].retire_after < e->s.slot)
        lease_retire_oldest(e);
    engine_retire_operations(&e->s);
}
