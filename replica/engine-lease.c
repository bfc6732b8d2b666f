/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What commands do.  apply decodes the entry, retires what is over, asks the
 * dedupe table, executes and records; the do_ functions are the commands, each
 * with its checks in the order in which they decide the answer.
 *
 * Failure modes: a command that cannot be carried out changes nothing but the
 * dedupe table; bytes in the log that are no command change nothing at all.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "replica/engine-lease-internal.h"

static const struct engine_lease *
lease_engine(const struct engine *e)
{
    assert(e->ops == &engine_lease_ops);
    return (const struct engine_lease *)e;
}

/* ---- life ---- */

static void
lease_engine_reset(struct engine_lease *e)
{
    const struct engine_limits *n = &e->s.limits;

    e->lease_free = e->ended_head = e->ended_tail = e->member_free = NONE;
    for (uint32_t i = n->reservations; i-- > 0;) {
        e->leases[i].next = e->lease_free;
        e->lease_free = i;
    }
    for (uint32_t i = n->members; i-- > 0;) {
        e->members[i].next = e->member_free;
        e->member_free = i;
    }
}

static struct engine *
lease_engine_new(const struct engine_limits *limits, enum bug bug)
{
    struct engine_lease *e = xcalloc(1, sizeof(*e));

    assert(limits->bundle <= COMMAND_RESOURCES_MAX);
    engine_state_init(&e->s, limits, bug);
    e->s.window_slots = limits->ttl_slots + limits->retry_slots;
    e->s.horizon_slots = e->s.window_slots + limits->history_slots;
    e->resources = xcalloc(limits->resources, sizeof(e->resources[0]));
    e->leases = xcalloc(limits->reservations, sizeof(e->leases[0]));
    e->members = xcalloc(limits->members, sizeof(e->members[0]));
    due_heap_init(&e->due, limits->reservations);
    e->bucket_total = limits->ttl_slots + 1;
    e->bucket_counts = xcalloc(e->bucket_total, sizeof(e->bucket_counts[0]));
    id_map_init(&e->resource_map, limits->resources);
    id_map_init(&e->lease_map, limits->reservations);
    lease_engine_reset(e);
    return &e->s.base;
}

static void
lease_engine_free(struct engine *engine)
{
    struct engine_lease *e = (struct engine_lease *)engine;

    free(e->resources);
    free(e->leases);
    free(e->members);
    due_heap_release(&e->due);
    free(e->bucket_counts);
    id_map_release(&e->resource_map);
    id_map_release(&e->lease_map);
    engine_state_release(&e->s);
    free(e);
}

/* ---- commands ---- */

static enum result_code
do_create_resource(struct engine_lease *e, const struct command *c)
{
    uint32_t at = e->resource_map.count;
    struct resource *r = &e->resources[at];

    if (id_map_get(&e->resource_map, c->resources[0]) != ID_MAP_NONE)
        return RESULT_ALREADY_EXISTS;
    if (at == e->s.limits.resources)
        return RESULT_RESOURCE_TABLE_FULL;
    memset(r, 0, sizeof(*r));
    r->id = c->resources[0];
    id_map_put(&e->resource_map, r->id, at);
    lease_resource_in(e, r);
    return RESULT_OK;
}

/* Resolves the members in order; the first that fails decides. */
static enum result_code
check_members(struct engine_lease *e, const struct command *c,
              uint32_t ret_members[static COMMAND_RESOURCES_MAX])
{
    for (uint32_t i = 0; i < c->resource_count; i++) {
        uint32_t at = id_map_get(&e->resource_map, c->resources[i]);

        for (uint32_t j = 0; j < i; j++) {
            if (id128_equal(c->resources[i], c->resources[j])) {
                e->s.refusals++;
                return RESULT_RESOURCE_BUSY;
            }
        }
        if (at == ID_MAP_NONE)
            return RESULT_RESOURCE_NOT_FOUND;
        if (e->resources[at].state != RESOURCE_AVAILABLE &&
            !engine_grants_refusal(&e->s, BUG_DOUBLE_ALLOCATION))
            return RESULT_RESOURCE_BUSY;
        ret_members[i] = at;
    }
    return RESULT_OK;
}

static enum result_code
check_room(const struct engine_lease *e, const struct command *c)
{
    uint64_t deadline = e->s.slot + c->ttl;

    if (e->lease_free == NONE)
        return RESULT_RESERVATION_TABLE_FULL;
    if (c->resource_count > e->s.limits.members - e->member_count)
        return RESULT_RESERVATION_MEMBER_TABLE_FULL;
    if (deadline > ENGINE_SLOT_MAX)
        return RESULT_SLOT_OVERFLOW;
    if (e->bucket_counts[deadline % e->bucket_total] >= e->s.limits.bucket)
        return RESULT_EXPIRATION_INDEX_FULL;
    return RESULT_OK;
}

static enum result_code
do_reserve(struct engine_lease *e, const struct command *c, uint64_t index,
           struct outcome *ret)
{
    uint32_t members[COMMAND_RESOURCES_MAX], at;
    enum result_code code;
    struct lease *l;

    if (c->resource_count == 0 || c->resource_count > e->s.limits.bundle)
        return RESULT_BUNDLE_TOO_LARGE;
    if (c->ttl == 0 || c->ttl > e->s.limits.ttl_slots)
        return RESULT_TTL_OUT_OF_RANGE;
    code = check_members(e, c, members);
    if (code == RESULT_OK)
        code = check_room(e, c);
    if (code != RESULT_OK)
        return code;
    at = lease_take(e);
    l = &e->leases[at];
    l->id = (struct id128){0, index};
    l->holder = c->holder;
    l->epoch = 1;
    l->deadline = e->s.slot + c->ttl;
    l->created = index;
    l->state = LEASE_RESERVED;
    lease_members_link(e, l, members, c->resource_count);
    id_map_put(&e->lease_map, l->id, at);
    lease_schedule(e, at);
    lease_members_set(e, l, RESOURCE_RESERVED);
    if (e->s.bug == BUG_PARTIAL_BUNDLE && c->resource_count > 1)
        lease_resource_set(e, members[c->resource_count - 1], l,
                           RESOURCE_AVAILABLE);
    lease_in(e, l);
    ret->has = OUTCOME_LEASE | OUTCOME_DEADLINE;
    ret->lease = l->id;
    ret->epoch = l->epoch;
    ret->deadline = l->deadline;
    return RESULT_OK;
}

/* The checks that confirm and release share. */
static enum result_code
check_holder(const struct engine_lease *e, const struct command *c,
             const struct lease *l, bool *ret_stale)
{
    *ret_stale = false;
    if (l == NULL)
        return RESULT_RESERVATION_NOT_FOUND;
    if (!id128_equal(l->holder, c->holder))
        return RESULT_HOLDER_MISMATCH;
    if (c->epoch != l->epoch) {
        *ret_stale = e->s.bug == BUG_IGNORE_EPOCH && c->epoch < l->epoch;
        if (!*ret_stale)
            return RESULT_STALE_EPOCH;
    }
    /* Bug ignore-epoch: a lease that ended answers ok and stays as it is. */
    return lease_ended(l) && !*ret_stale ? RESULT_RESERVATION_RETIRED
                                         : RESULT_OK;
}

static enum result_code
do_confirm(struct engine_lease *e, const struct command *c, struct lease *l)
{
    bool stale;
    enum result_code code = check_holder(e, c, l, &stale);

    if (code != RESULT_OK || (stale && lease_ended(l)))
        return code;
    if (l->state != LEASE_RESERVED && !stale)
        return RESULT_INVALID_STATE;
    lease_out(e, l);
    lease_unschedule(e, l);
    l->state = LEASE_ACTIVE;
    lease_members_set(e, l, RESOURCE_ACTIVE);
    lease_in(e, l);
    return RESULT_OK;
}

static enum result_code
do_release(struct engine_lease *e, const struct command *c, struct lease *l,
           uint64_t index)
{
    bool stale;
    enum result_code code = check_holder(e, c, l, &stale);

    if (code != RESULT_OK || (stale && lease_ended(l)))
        return code;
    if (l->state == LEASE_REVOKING && !stale)
        return RESULT_INVALID_STATE;
    lease_out(e, l);
    l->epoch++;
    l->released = index;
    lease_end(e, l, LEASE_RELEASED);
    lease_in(e, l);
    return RESULT_OK;
}

static enum result_code
do_revoke(struct engine_lease *e, struct lease *l)
{
    if (l == NULL)
        return RESULT_RESERVATION_NOT_FOUND;
    if (lease_ended(l))
        return RESULT_RESERVATION_RETIRED;
    if (l->state != LEASE_ACTIVE)
        return RESULT_INVALID_STATE;
    lease_out(e, l);
    l->epoch++;
    l->state = LEASE_REVOKING;
    lease_members_set(e, l,
                      e->s.bug == BUG_REUSE_BEFORE_RECLAIM ? RESOURCE_AVAILABLE
                                                           : RESOURCE_REVOKING);
    lease_in(e, l);
    return RESULT_OK;
}

static enum result_code
do_reclaim(struct engine_lease *e, struct lease *l)
{
    if (l == NULL)
        return RESULT_RESERVATION_NOT_FOUND;
    if (lease_ended(l))
        return RESULT_RESERVATION_RETIRED;
    if (l->state != LEASE_REVOKING)
        return RESULT_INVALID_STATE;
    lease_out(e, l);
    lease_end(e, l, LEASE_REVOKED);
    lease_in(e, l);
    return RESULT_OK;
}

/* Does not look at the slot: the primary decided that it is due. */
static enum result_code
do_expire(struct engine_lease *e, const struct command *c, struct lease *l)
{
    if (l == NULL)
        return RESULT_RESERVATION_NOT_FOUND;
    if (l->deadline != c->deadline || l->state != LEASE_RESERVED)
        return RESULT_NOOP;
    lease_out(e, l);
    l->epoch++;
    lease_end(e, l, LEASE_EXPIRED);
    lease_in(e, l);
    return RESULT_OK;
}

/* Commands on a lease: an ok answer carries it and its epoch after. */
static void
apply_to_lease(struct engine_lease *e, const struct command *c, uint64_t index,
               struct outcome *ret)
{
    struct lease *l = lease_find(e, c->lease);

    switch (c->tag) {
    case COMMAND_CONFIRM:
        ret->code = do_confirm(e, c, l);
        break;
    case COMMAND_RELEASE:
        ret->code = do_release(e, c, l, index);
        break;
    case COMMAND_REVOKE:
        ret->code = do_revoke(e, l);
        break;
    case COMMAND_RECLAIM:
        ret->code = do_reclaim(e, l);
        break;
    default:
        assert(c->tag == COMMAND_EXPIRE);
        ret->code = do_expire(e, c, l);
    }
    if (ret->code == RESULT_OK) {
        ret->has = OUTCOME_LEASE;
        ret->lease = l->id;
        ret->epoch = l->epoch;
    }
}

static void
apply_command(struct engine_lease *e, const struct command *c, uint64_t index,
              struct outcome *ret)
{
    switch (c->tag) {
    case COMMAND_CREATE_RESOURCE:
        ret->code = do_create_resource(e, c);
        break;
    case COMMAND_RESERVE:
    case COMMAND_RESERVE_BUNDLE:
        ret->code = do_reserve(e, c, index, ret);
        break;
    default:
        apply_to_lease(e, c, index, ret);
    }
}

/* Overflow, retirement, dedupe, room, execution, record: in this order. */
static void
apply_client(struct engine_lease *e, const struct command *c,
             const struct engine_entry *entry, struct outcome *ret)
{
    struct operation_record record = {.id = c->operation};

    if (engine_overflows(&e->s, ret))
        return;
    lease_retire_due(e);
    record.fingerprint = command_fingerprint(entry->payload, entry->len);
    if (!engine_admit(&e->s, &record, ret))
        return;
    apply_command(e, c, entry->index, ret);
    engine_record(&e->s, &record, ret);
}

static void
lease_engine_apply(struct engine *engine, const struct engine_entry *entry,
                   struct outcome *ret)
{
    struct engine_lease *e = (struct engine_lease *)engine;
    struct error ignored;
    struct command c;

    engine_begin(&e->s, entry, ret);
    if (command_decode(entry->payload, entry->len, &c, &ignored) < 0) {
        ret->code = RESULT_INVALID_REQUEST;
    } else if (c.tag == COMMAND_TICK) {
        if (engine_tick(&e->s, c.slot, ret))
            lease_retire_due(e);
    } else if (c.tag == COMMAND_EXPIRE) {
        apply_command(e, &c, entry->index, ret);
        ret->recorded = true;
    } else {
        apply_client(e, &c, entry, ret);
    }
}

/* ---- planning ---- */

static void
lease_engine_plan(const struct engine *engine, uint64_t slot,
                  void (*emit)(void *ctx, const void *payload, size_t len),
                  void *ctx)
{
    const struct engine_lease *e = lease_engine(engine);
    CLEANUP_FREE struct due *due = xcalloc(e->due.count, sizeof(due[0]));
    uint64_t early = e->s.bug == BUG_EARLY_EXPIRY ? BUG_EARLY_SLOTS : 0;
    uint32_t count = due_heap_collect(&e->due, slot + early, due);

    if (count > e->s.limits.expirations_per_tick)
        count = e->s.limits.expirations_per_tick;
    for (uint32_t i = 0; i < count; i++) {
        struct command c = {.tag = COMMAND_EXPIRE,
                            .lease = due[i].id,
                            .deadline = due[i].deadline};
        struct buf payload;

        buf_init(&payload, COMMAND_BYTES_MAX);
        command_encode(&c, &payload);
        emit(ctx, payload.data, payload.len);
        buf_release(&payload);
    }
}

/* ---- looking in ---- */

bool
engine_lease_get_resource(const struct engine *engine, struct id128 id,
                          struct resource_view *ret)
{
    const struct engine_lease *e = lease_engine(engine);
    uint32_t at = id_map_get(&e->resource_map, id);

    if (at == ID_MAP_NONE)
        return false;
    ret->state = e->resources[at].state;
    ret->version = e->resources[at].version;
    ret->lease = e->resources[at].lease;
    return true;
}

bool
engine_lease_get_lease(const struct engine *engine, struct id128 id,
                       struct lease_view *ret, bool *ret_retired)
{
    const struct engine_lease *e = lease_engine(engine);
    const struct lease *l = lease_find(e, id);
    uint32_t count = 0;

    *ret_retired = l == NULL ? id.hi == 0 && e->retired_watermark > 0 &&
                                   id.lo <= e->retired_watermark
                             : lease_ended(l) && e->s.slot > l->retire_after;
    if (l == NULL || *ret_retired)
        return false;
    ret->state = l->state;
    ret->holder = l->holder;
    ret->epoch = l->epoch;
    ret->deadline = l->deadline;
    ret->created = l->created;
    ret->released = l->released;
    ret->ended = lease_ended(l);
    ret->retire_after = l->retire_after;
    for (uint32_t m = l->first_member; m != NONE; m = e->members[m].next)
        ret->resources[count++] = e->resources[e->members[m].resource].id;
    ret->resource_count = count;
    return true;
}

void
engine_lease_count(const struct engine *engine, struct engine_lease_counts *ret)
{
    const struct engine_lease *e = lease_engine(engine);

    *ret = (struct engine_lease_counts){
        .resources = e->resource_map.count,
        .leases = e->lease_map.count,
        .members = e->member_count,
        .operations = operations_count(&e->s.operations),
        .scheduled = e->due.count,
        .retired_watermark = e->retired_watermark,
        .refusals = e->s.refusals,
    };
}

static void
lease_engine_metrics(const struct engine *engine, struct buf *out)
{
    const struct engine_lease *e = lease_engine(engine);
    const struct engine_table tables[] = {
        {"resources", e->resource_map.count, e->s.limits.resources},
        {"leases", e->lease_map.count, e->s.limits.reservations},
        {"members", e->member_count, e->s.limits.members},
        {"scheduled", e->due.count, e->s.limits.reservations},
    };

    engine_state_metrics(&e->s, tables, ARRAY_LEN(tables), out);
}

const struct engine_ops engine_lease_ops = {
    .name = "lease",
    .new_ = lease_engine_new,
    .free = lease_engine_free,
    .apply = lease_engine_apply,
    .slot = engine_state_slot,
    .plan = lease_engine_plan,
    .digest = lease_engine_digest,
    .save = lease_engine_save,
    .load = lease_engine_load,
    .forget_operations = engine_state_forget,
    .parse = lease_json_parse,
    .tick = engine_state_tick,
    .query = lease_json_query,
    .expired = lease_json_expired,
    .metrics = lease_engine_metrics,
};
