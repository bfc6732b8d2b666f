/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's own records as bytes: resources, then leases (those that did not
 * end, then the others in the order in which they will be retired).
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "replica/bytes.h"
#include "replica/engine-lease-internal.h"

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

    engine_save_begin(&e->s, out);
    write_u64(out, e->retired_watermark);
    write_u32(out, e->resource_map.count);
    for (uint32_t i = 0; i < e->resource_map.count; i++) {
        const struct resource *r = &e->resources[i];

        write_id(out, r->id);
        write_id(out, r->lease);
        write_u64(out, r->version);
        write_u8(out, (uint8_t)r->state);
    }
    save_leases(e, out);
    engine_save_end(&e->s, out);
}

static bool
load_resources(struct engine_lease *e, struct bytes_reader *r)
{
    uint32_t count = read_u32(r);

    if (count > e->s.limits.resources)
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

    if (count > e->s.limits.bundle ||
        count > e->s.limits.members - e->member_count)
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

    if (count > e->s.limits.reservations)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!load_lease(e, r))
            return false;
    return true;
}

int
lease_engine_load(struct engine *engine, const void *data, size_t len,
                  struct error *err)
{
    struct engine_lease *e = (struct engine_lease *)engine;
    struct bytes_reader r = bytes_reader(data, len);

    assert(e->resource_map.count == 0);
    if (engine_load_begin(&e->s, &r, err) < 0)
        return -1;
    e->retired_watermark = read_u64(&r);
    return engine_load_end(&e->s, &r,
                           load_resources(e, &r) && load_leases(e, &r), err);
}
