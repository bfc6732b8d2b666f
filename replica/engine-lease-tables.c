/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables are arrays of fixed size with id maps beside them: resources are
 * never removed; leases live in slots with a free list; ended leases form a
 * FIFO, which is in order of retire_after because slots never go back;
 * operations live in a ring for the same reason.  Scheduled leases form a
 * binary heap by (deadline, lease).
 *
 * The digest is a sum of one hash per record, so that a change costs the
 * records it touches.  Planted bugs let the tables contradict each other, so
 * no assertion here relates a lease to the state of its resources.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "replica/engine-lease-internal.h"

/* ---- digest ---- */

static uint64_t
mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9fb21c651e98df25);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 29;
}

static uint64_t
mix_id(uint64_t h, struct id128 id)
{
    return mix(mix(h, id.lo), id.hi);
}

static uint64_t
resource_hash(const struct resource *r)
{
    uint64_t h = mix_id(1, r->id);

    h = mix_id(h, r->lease);
    h = mix(h, r->version);
    return mix(h, (uint64_t)r->state);
}

static uint64_t
lease_hash(const struct engine_lease *e, const struct lease *l)
{
    uint64_t h = mix_id(2, l->id);

    h = mix_id(h, l->holder);
    h = mix(h, l->epoch);
    h = mix(h, l->deadline);
    h = mix(h, l->created);
    h = mix(h, l->released);
    h = mix(h, l->retire_after);
    h = mix(h, (uint64_t)l->state);
    for (uint32_t m = l->first_member; m != NONE; m = e->members[m].next)
        h = mix_id(h, e->resources[e->members[m].resource].id);
    return h;
}

uint8_t
lease_outcome_flags(const struct outcome *o)
{
    return (uint8_t)(o->has_lease | o->has_deadline << 1);
}

static uint64_t
operation_hash(const struct operation_record *o)
{
    uint64_t h = mix_id(3, o->id);

    h = mix_id(h, o->fingerprint);
    h = mix(h, o->retire_slot);
    h = mix(h, (uint64_t)o->outcome.code);
    h = mix(h, lease_outcome_flags(&o->outcome));
    h = mix(h, o->outcome.view);
    h = mix(h, o->outcome.index);
    h = mix(h, o->outcome.slot);
    h = mix_id(h, o->outcome.lease);
    h = mix(h, o->outcome.epoch);
    return mix(h, o->outcome.deadline);
}

void
lease_resource_out(struct engine_lease *e, const struct resource *r)
{
    e->digest -= resource_hash(r);
}

void
lease_resource_in(struct engine_lease *e, const struct resource *r)
{
    e->digest += resource_hash(r);
}

void
lease_out(struct engine_lease *e, const struct lease *l)
{
    e->digest -= lease_hash(e, l);
}

void
lease_in(struct engine_lease *e, const struct lease *l)
{
    e->digest += lease_hash(e, l);
}

uint64_t
lease_engine_digest(const struct engine *engine)
{
    const struct engine_lease *e = (const struct engine_lease *)engine;
    uint64_t h = mix(4, e->digest);

    h = mix(h, e->slot);
    h = mix(h, e->retired_watermark);
    return mix(h, e->busy_count);
}

/* ---- the expiry heap ---- */

bool
lease_due_before(const struct engine_lease *e, uint32_t a, uint32_t b)
{
    const struct lease *x = &e->leases[a], *y = &e->leases[b];

    if (x->deadline != y->deadline)
        return x->deadline < y->deadline;
    return id128_compare(x->id, y->id) < 0;
}

static void
heap_set(struct engine_lease *e, uint32_t at, uint32_t lease)
{
    e->heap[at] = lease;
    e->leases[lease].heap_at = at;
}

static void
heap_up(struct engine_lease *e, uint32_t at)
{
    uint32_t lease = e->heap[at];

    while (at > 0 && lease_due_before(e, lease, e->heap[(at - 1) / 2])) {
        heap_set(e, at, e->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(e, at, lease);
}

static void
heap_down(struct engine_lease *e, uint32_t at)
{
    uint32_t lease = e->heap[at];

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= e->heap_count)
            break;
        if (child + 1 < e->heap_count &&
            lease_due_before(e, e->heap[child + 1], e->heap[child]))
            child++;
        if (!lease_due_before(e, e->heap[child], lease))
            break;
        heap_set(e, at, e->heap[child]);
        at = child;
    }
    heap_set(e, at, lease);
}

static uint32_t *
bucket_of(struct engine_lease *e, const struct lease *l)
{
    return &e->bucket_counts[l->deadline % e->bucket_total];
}

void
lease_schedule(struct engine_lease *e, uint32_t lease)
{
    ++*bucket_of(e, &e->leases[lease]);
    heap_set(e, e->heap_count++, lease);
    heap_up(e, e->heap_count - 1);
}

void
lease_unschedule(struct engine_lease *e, struct lease *l)
{
    uint32_t at = l->heap_at, last;

    if (at == NONE)
        return;
    --*bucket_of(e, l);
    l->heap_at = NONE;
    last = e->heap[--e->heap_count];
    if (at == e->heap_count)
        return;
    heap_set(e, at, last);
    heap_up(e, at);
    heap_down(e, e->leases[last].heap_at);
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

    assert(count <= e->limits.members - e->member_count);
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
    e->leases[at].heap_at = NONE;
    e->leases[at].next = NONE;
    e->leases[at].first_member = NONE;
    return at;
}

void
lease_members_set(struct engine_lease *e, const struct lease *l,
                  enum resource_state state)
{
    for (uint32_t m = l->first_member; m != NONE; m = e->members[m].next) {
        struct resource *r = &e->resources[e->members[m].resource];

        lease_resource_out(e, r);
        r->state = state;
        r->lease = state == RESOURCE_AVAILABLE ? (struct id128){0, 0} : l->id;
        r->version++;
        lease_resource_in(e, r);
    }
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
    l->retire_after = e->slot + e->limits.history_slots;
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

/* ---- the dedupe table ---- */

struct operation_record *
lease_operation_at(struct engine_lease *e, uint32_t nth)
{
    return &e->operations[(e->operation_head + nth) % e->limits.operations];
}

static void
lease_operation_drop(struct engine_lease *e)
{
    struct operation_record *o = lease_operation_at(e, 0);

    e->digest -= operation_hash(o);
    id_map_remove(&e->operation_map, o->id);
    e->operation_head = (e->operation_head + 1) % e->limits.operations;
}

void
lease_operation_append(struct engine_lease *e, const struct operation_record *o)
{
    struct operation_record *to = lease_operation_at(e, e->operation_map.count);

    *to = *o;
    e->digest += operation_hash(to);
    id_map_put(&e->operation_map, o->id, (uint32_t)(to - e->operations));
}

void
lease_engine_forget_operations(struct engine *engine)
{
    struct engine_lease *e = (struct engine_lease *)engine;

    while (e->operation_map.count > 0)
        lease_operation_drop(e);
}

/* Everything whose time is over at the current slot; amortised O(1). */
void
lease_retire_due(struct engine_lease *e)
{
    while (e->ended_head != NONE &&
           e->leases[e->ended_head].retire_after < e->slot)
        lease_retire_oldest(e);
    while (e->operation_map.count > 0 &&
           lease_operation_at(e, 0)->retire_slot < e->slot)
        lease_operation_drop(e);
}
