/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's state as bytes: the limits, the counters, resources, leases
 * (those that did not end, then the others in the order in which they will be
 * retired), operations oldest first, and a digest of it all.
 *
 * Failure modes: bytes of another version or of tables of other sizes are
 * refused by name; everything else that is not what save wrote fails a bound
 * check here or the digest at the end.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "replica/bytes.h"
#include "replica/engine-lease-internal.h"

#define SNAPSHOT_VERSION 1u

/* The digest does not tell the last index. */
static uint64_t
state_digest(const struct engine_lease *e)
{
    return lease_engine_digest(&e->base) ^
           e->applied * UINT64_C(0x9e3779b97f4a7c15);
}

static void
save_limits(const struct engine_limits *n, struct buf *out)
{
    write_u32(out, n->resources);
    write_u32(out, n->reservations);
    write_u32(out, n->bundle);
    write_u32(out, n->members);
    write_u32(out, n->operations);
    write_u32(out, n->bucket);
    write_u32(out, n->expirations_per_tick);
    write_u64(out, n->ttl_slots);
    write_u64(out, n->retry_slots);
    write_u64(out, n->history_slots);
}

static void
save_lease(const struct engine_lease *e, const struct lease *l, struct buf *out)
{
    write_id(out, l->id);
    write_id(out, l->holder);
    write_u64(out, l->epoch);
    write_u64(out, l->deadline);
    write_u64(out, l->created);
    write_u64(out, l->released);
    write_u64(out, l->retire_after);
    write_u8(out, (uint8_t)l->state);
    write_u32(out, l->member_count);
    for (uint32_t m = l->first_member; m != NONE; m = e->members[m].next)
        write_u32(out, e->members[m].resource);
}

/* Most of a snapshot: one append per record, not one per field. */
static void
save_operation(const struct operation_record *o, struct buf *out)
{
    const struct outcome *r = &o->outcome;
    const uint64_t words[] = {
        o->id.lo,       o->id.hi,    o->fingerprint.lo, o->fingerprint.hi,
        o->retire_slot, r->view,     r->index,          r->slot,
        r->lease.lo,    r->lease.hi, r->epoch,          r->deadline};
    uint8_t bytes[2 + sizeof(words)];

    bytes[0] = (uint8_t)r->code;
    bytes[1] = lease_outcome_flags(r);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        put_u64(bytes + 2 + 8 * i, words[i]);
    buf_append(out, bytes, sizeof(bytes));
}

/* Leases that did not end, in any order; then those that did, oldest first. */
static void
save_leases(const struct engine_lease *e, struct buf *out)
{
    write_u32(out, e->lease_map.count);
    for (size_t i = 0; i <= e->lease_map.mask; i++) {
        uint32_t at = e->lease_map.cells[i].value;

        if (at != ID_MAP_NONE && !lease_ended(&e->leases[at]))
            save_lease(e, &e->leases[at], out);
    }
    for (uint32_t at = e->ended_head; at != NONE; at = e->leases[at].next)
        save_lease(e, &e->leases[at], out);
}

void
lease_engine_save(const struct engine *engine, struct buf *out)
{
    struct engine_lease *e = (struct engine_lease *)engine;

    write_u32(out, SNAPSHOT_VERSION);
    save_limits(&e->limits, out);
    write_u64(out, e->applied);
    write_u64(out, e->slot);
    write_u64(out, e->retired_watermark);
    write_u64(out, e->busy_count);
    write_u32(out, e->resource_map.count);
    for (uint32_t i = 0; i < e->resource_map.count; i++) {
        const struct resource *r = &e->resources[i];

        write_id(out, r->id);
        write_id(out, r->lease);
        write_u64(out, r->version);
        write_u8(out, (uint8_t)r->state);
    }
    save_leases(e, out);
    write_u32(out, e->operation_map.count);
    for (uint32_t i = 0; i < e->operation_map.count; i++)
        save_operation(lease_operation_at(e, i), out);
    write_u64(out, state_digest(e));
}

static bool
load_limits(struct engine_lease *e, struct bytes_reader *r)
{
    struct buf ours;
    const uint8_t *theirs;
    bool equal;

    buf_init(&ours, 256);
    save_limits(&e->limits, &ours);
    theirs = read_bytes(r, ours.len);
    equal = theirs != NULL && memcmp(theirs, ours.data, ours.len) == 0;
    buf_release(&ours);
    return equal;
}

static bool
load_resources(struct engine_lease *e, struct bytes_reader *r)
{
    uint32_t count = read_u32(r);

    if (count > e->limits.resources)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct resource *to = &e->resources[i];

        to->id = read_id(r);
        to->lease = read_id(r);
        to->version = read_u64(r);
        to->state = (enum resource_state)read_u8(r);
        if (r->failed || to->state >= RESOURCE_STATE_COUNT ||
            id_map_get(&e->resource_map, to->id) != ID_MAP_NONE)
            return false;
        id_map_put(&e->resource_map, to->id, i);
        lease_resource_in(e, to);
    }
    return true;
}

static bool
load_members(struct engine_lease *e, struct lease *l, struct bytes_reader *r)
{
    uint32_t members[COMMAND_RESOURCES_MAX], count = read_u32(r);

    if (count > e->limits.bundle || count > e->limits.members - e->member_count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        members[i] = read_u32(r);
        if (members[i] >= e->resource_map.count)
            return false;
    }
    lease_members_link(e, l, members, count);
    return !r->failed;
}

static bool
load_lease(struct engine_lease *e, struct bytes_reader *r)
{
    uint32_t at = lease_take(e);
    struct lease *l = &e->leases[at];

    l->id = read_id(r);
    l->holder = read_id(r);
    l->epoch = read_u64(r);
    l->deadline = read_u64(r);
    l->created = read_u64(r);
    l->released = read_u64(r);
    l->retire_after = read_u64(r);
    l->state = (enum lease_state)read_u8(r);
    if (r->failed || l->state >= LEASE_STATE_COUNT ||
        id_map_get(&e->lease_map, l->id) != ID_MAP_NONE ||
        !load_members(e, l, r))
        return false;
    id_map_put(&e->lease_map, l->id, at);
    if (l->state == LEASE_RESERVED)
        lease_schedule(e, at);
    if (lease_ended(l))
        lease_ended_append(e, at);
    lease_in(e, l);
    return true;
}

static bool
load_leases(struct engine_lease *e, struct bytes_reader *r)
{
    uint32_t count = read_u32(r);

    if (count > e->limits.reservations)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!load_lease(e, r))
            return false;
    return true;
}

static bool
load_operations(struct engine_lease *e, struct bytes_reader *r)
{
    uint32_t count = read_u32(r);

    if (count > e->limits.operations)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct operation_record o = {0};
        uint8_t has;

        o.outcome.code = (enum result_code)read_u8(r);
        has = read_u8(r);
        o.outcome.has_lease = has & 1;
        o.outcome.has_deadline = has & 2;
        o.id = read_id(r);
        o.fingerprint = read_id(r);
        o.retire_slot = read_u64(r);
        o.outcome.view = read_u64(r);
        o.outcome.index = read_u64(r);
        o.outcome.slot = read_u64(r);
        o.outcome.lease = read_id(r);
        o.outcome.epoch = read_u64(r);
        o.outcome.deadline = read_u64(r);
        o.outcome.recorded = true;
        if (r->failed || has > 3 || o.outcome.code >= RESULT_CODE_COUNT ||
            id_map_get(&e->operation_map, o.id) != ID_MAP_NONE)
            return false;
        lease_operation_append(e, &o);
    }
    return true;
}

int
lease_engine_load(struct engine *engine, const void *data, size_t len,
                  struct error *err)
{
    struct engine_lease *e = (struct engine_lease *)engine;
    struct bytes_reader r = bytes_reader(data, len);
    uint32_t version = read_u32(&r);
    uint64_t digest;

    assert(e->applied == 0 && e->resource_map.count == 0);
    if (version != SNAPSHOT_VERSION)
        return error_set(err, ERROR_CONFIG,
                         "state has version %u, this program reads %u", version,
                         SNAPSHOT_VERSION);
    if (!load_limits(e, &r))
        return error_set(err, ERROR_CONFIG, "state was made with other limits");
    e->applied = read_u64(&r);
    e->slot = read_u64(&r);
    e->retired_watermark = read_u64(&r);
    e->busy_count = read_u64(&r);
    if (!load_resources(e, &r) || !load_leases(e, &r) ||
        !load_operations(e, &r))
        return error_set(err, ERROR_CONFIG, "state is malformed at byte %zu",
                         len - r.left);
    digest = read_u64(&r);
    if (!bytes_done(&r) || digest != state_digest(e))
        return error_set(err, ERROR_CONFIG,
                         "state does not match its own digest");
    if (e->bug == BUG_FORGET_OPERATIONS)
        lease_engine_forget_operations(engine);
    return 0;
}
