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

static uint64_t
window_slots(const struct engine_lease *e)
{
    return e->limits.ttl_slots + e->limits.retry_slots;
}

/* ---- life ---- */

static void
lease_engine_reset(struct engine_lease *e)
{
    const struct engine_limits *n = &e->limits;

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
    e->limits = *limits;
    e->bug = bug;
    e->resources = xcalloc(limits->resources, sizeof(e->resources[0]));
    e->leases = xcalloc(limits->reservations, sizeof(e->leases[0]));
    e->members = xcalloc(limits->members, sizeof(e->members[0]));
    e->heap = xcalloc(limits->reservations, sizeof(e->heap[0]));
    e->operations = xcalloc(limits->operations, sizeof(e->operations[0]));
    e->bucket_total = limits->ttl_slots + 1;
    e->bucket_counts = xcalloc(e->bucket_total, sizeof(e->bucket_counts[0]));
    id_map_init(&e->resource_map, limits->resources);
    id_map_init(&e->lease_map, limits->reservations);
    id_map_init(&e->operation_map, limits->operations);
    lease_engine_reset(e);
    return &e->base;
}

static void
lease_engine_free(struct engine *engine)
{
    struct engine_lease *e = (struct engine_lease *)engine;

    free(e->resources);
    free(e->leases);
    free(e->members);
    free(e->heap);
    free(e->operations);
    free(e->bucket_counts);
    id_map_release(&e->resource_map);
    id_map_release(&e->lease_map);
    id_map_release(&e->operation_map);
    free(e);
}

static uint64_t
lease_engine_slot(const struct engine *engine)
{
    return lease_engine(engine)->slot;
}

/* ---- commands ---- */

static enum result_code
do_create_resource(struct engine_lease *e, const struct command *c)
{
    uint32_t at = e->resource_map.count;
    struct resource *r = &e->resources[at];

    if (id_map_get(&e->resource_map, c->resources[0]) != ID_MAP_NONE)
        return RESULT_ALREADY_EXISTS;
    if (at == e->limits.resources)
        return RESULT_RESOURCE_TABLE_FULL;
    memset(r, 0, sizeof(*r));
    r->id = c->resources[0];
    id_map_put(&e->resource_map, r->id, at);
    lease_resource_in(e, r);
    return RESULT_OK;
}

/* Bug double-allocation: every so many busy answers become grants. */
static bool
busy_is_granted(struct engine_lease *e)
{
    return e->bug == BUG_DOUBLE_ALLOCATION &&
           e->busy_count % BUG_BUSY_GRANT_EVERY == 0;
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
                e->busy_count++;
                return RESULT_RESOURCE_BUSY;
            }
        }
        if (at == ID_MAP_NONE)
            return RESULT_RESOURCE_NOT_FOUND;
        if (e->resources[at].state != RESOURCE_AVAILABLE) {
            e->busy_count++;
            if (!busy_is_granted(e))
                return RESULT_RESOURCE_BUSY;
        }
        ret_members[i] = at;
    }
    return RESULT_OK;
}

static enum result_code
check_room(const struct engine_lease *e, const struct command *c)
{
    uint64_t deadline = e->slot + c->ttl;

    if (e->lease_free == NONE)
        return RESULT_RESERVATION_TABLE_FULL;
    if (c->resource_count > e->limits.members - e->member_count)
        return RESULT_RESERVATION_MEMBER_TABLE_FULL;
    if (deadline > ENGINE_SLOT_MAX)
        return RESULT_SLOT_OVERFLOW;
    if (e->bucket_counts[deadline % e->bucket_total] >= e->limits.bucket)
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

    if (c->resource_count == 0 || c->resource_count > e->limits.bundle)
        return RESULT_BUNDLE_TOO_LARGE;
    if (c->ttl == 0 || c->ttl > e->limits.ttl_slots)
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
    l->deadline = e->slot + c->ttl;
    l->created = index;
    l->state = LEASE_RESERVED;
    lease_members_link(e, l, members, c->resource_count);
    id_map_put(&e->lease_map, l->id, at);
    lease_schedule(e, at);
    lease_members_set(e, l, RESOURCE_RESERVED);
    lease_in(e, l);
    ret->has_lease = ret->has_deadline = true;
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
        *ret_stale = e->bug == BUG_IGNORE_EPOCH && c->epoch < l->epoch;
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
    lease_members_set(e, l, RESOURCE_REVOKING);
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
        ret->has_lease = true;
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
    uint32_t at;

    if (e->slot > ENGINE_SLOT_MAX - window_slots(e)) {
        ret->code = RESULT_SLOT_OVERFLOW;
        return;
    }
    lease_retire_due(e);
    record.fingerprint = command_fingerprint(entry->payload, entry->len);
    at = id_map_get(&e->operation_map, c->operation);
    if (at != ID_MAP_NONE) {
        const struct operation_record *o = &e->operations[at];

        if (!id128_equal(o->fingerprint, record.fingerprint)) {
            ret->code = RESULT_OPERATION_CONFLICT;
            return;
        }
        *ret = o->outcome;
        ret->cached = true;
        return;
    }
    if (e->operation_map.count == e->limits.operations) {
        ret->code = RESULT_OPERATION_TABLE_FULL;
        return;
    }
    apply_command(e, c, entry->index, ret);
    ret->recorded = true;
    record.retire_slot = e->slot + window_slots(e);
    record.outcome = *ret;
    lease_operation_append(e, &record);
}

static void
apply_tick(struct engine_lease *e, const struct command *c, struct outcome *ret)
{
    /* Leaves room for the arithmetic of every later command. */
    uint64_t horizon = window_slots(e) + e->limits.history_slots;

    if (c->slot > ENGINE_SLOT_MAX - horizon) {
        ret->code = RESULT_SLOT_OVERFLOW;
        return;
    }
    if (c->slot > e->slot)
        e->slot = c->slot;
    ret->slot = e->slot;
    ret->recorded = true;
    lease_retire_due(e);
}

static void
lease_engine_apply(struct engine *engine, const struct engine_entry *entry,
                   struct outcome *ret)
{
    struct engine_lease *e = (struct engine_lease *)engine;
    struct error ignored;
    struct command c;

    assert(entry->index > e->applied);
    e->applied = entry->index;
    memset(ret, 0, sizeof(*ret));
    ret->view = entry->view;
    ret->index = entry->index;
    ret->slot = e->slot;
    if (command_decode(entry->payload, entry->len, &c, &ignored) < 0) {
        ret->code = RESULT_INVALID_REQUEST;
    } else if (c.tag == COMMAND_TICK) {
        apply_tick(e, &c, ret);
    } else if (c.tag == COMMAND_EXPIRE) {
        apply_command(e, &c, entry->index, ret);
        ret->recorded = true;
    } else {
        apply_client(e, &c, entry, ret);
    }
}

/* ---- ticks and planning ---- */

static void
lease_engine_tick(uint64_t client, uint64_t slot, struct buf *out)
{
    struct command c;

    memset(&c, 0, offsetof(struct command, resources));
    c.tag = COMMAND_TICK;
    c.client = client;
    c.slot = slot;
    command_encode(&c, out);
}

/* Visits the heap's due part, children only of what is due. */
static uint32_t
collect_due(const struct engine_lease *e, uint64_t slot, uint32_t *ret)
{
    uint32_t count = 0, next = 0;

    if (e->heap_count > 0 && e->leases[e->heap[0]].deadline <= slot)
        ret[count++] = 0;
    while (next < count) {
        uint32_t child = 2 * ret[next] + 1;

        for (uint32_t i = child; i < child + 2 && i < e->heap_count; i++)
            if (e->leases[e->heap[i]].deadline <= slot)
                ret[count++] = i;
        ret[next] = e->heap[ret[next]];
        next++;
    }
    return count;
}

static int
due_compare(const void *a, const void *b, void *ctx)
{
    const struct engine_lease *e = ctx;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return lease_due_before(e, x, y) ? -1 : lease_due_before(e, y, x);
}

static void
lease_engine_plan(const struct engine *engine, uint64_t slot,
                  void (*emit)(void *ctx, const void *payload, size_t len),
                  void *ctx)
{
    const struct engine_lease *e = lease_engine(engine);
    CLEANUP_FREE uint32_t *due =
        xcalloc(e->limits.reservations, sizeof(due[0]));
    uint64_t early = e->bug == BUG_EARLY_EXPIRY ? BUG_EARLY_SLOTS : 0;
    uint32_t count = collect_due(e, slot + early, due);

    qsort_r(due, count, sizeof(due[0]), due_compare, (void *)e);
    if (count > e->limits.expirations_per_tick)
        count = e->limits.expirations_per_tick;
    for (uint32_t i = 0; i < count; i++) {
        const struct lease *l = &e->leases[due[i]];
        struct command c = {
            .tag = COMMAND_EXPIRE, .lease = l->id, .deadline = l->deadline};
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
                             : lease_ended(l) && e->slot > l->retire_after;
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
        .operations = e->operation_map.count,
        .scheduled = e->heap_count,
        .retired_watermark = e->retired_watermark,
        .busy_count = e->busy_count,
    };
}

static void
lease_engine_metrics(const struct engine *engine, struct buf *out)
{
    const struct engine_lease *e = lease_engine(engine);
    const struct {
        const char *name;
        uint32_t used, max;
    } tables[] = {
        {"resources", e->resource_map.count, e->limits.resources},
        {"leases", e->lease_map.count, e->limits.reservations},
        {"members", e->member_count, e->limits.members},
        {"operations", e->operation_map.count, e->limits.operations},
        {"scheduled", e->heap_count, e->limits.reservations},
    };

    buf_puts(out, "# TYPE ordeal_replica_table_used gauge\n");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        buf_printf(out, "ordeal_replica_table_used{table=\"%s\"} %u\n",
                   tables[i].name, tables[i].used);
    buf_puts(out, "# TYPE ordeal_replica_table_max gauge\n");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        buf_printf(out, "ordeal_replica_table_max{table=\"%s\"} %u\n",
                   tables[i].name, tables[i].max);
}

const struct engine_ops engine_lease_ops = {
    .name = "lease",
    .new_ = lease_engine_new,
    .free = lease_engine_free,
    .apply = lease_engine_apply,
    .slot = lease_engine_slot,
    .plan = lease_engine_plan,
    .digest = lease_engine_digest,
    .save = lease_engine_save,
    .load = lease_engine_load,
    .forget_operations = lease_engine_forget_operations,
    .parse = lease_json_parse,
    .tick = lease_engine_tick,
    .query = lease_json_query,
    .expired = lease_json_expired,
    .metrics = lease_engine_metrics,
};
