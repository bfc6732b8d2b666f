/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables are arrays of fixed size with id maps beside them: resources are
 * never removed; leases live in slots with a free list; ended leases form a
 * FIFO, which is in order of retire_after because slots never go back;
 * operations live in a ring for the same reason.  Scheduled leases form a
 * binary heap by (deadline, lease).
 *
 * The digest is a sum of one hash per record, so that a change costs the
 * records it touches: a record's hash is taken out before it changes and put
 * back after (resource_out/in, lease_out/in).
 *
 * Failure modes: a command that cannot be carried out changes nothing but the
 * dedupe table; bytes in the log that are no command change nothing at all.
 * Planted bugs let the tables contradict each other, so no assertion here
 * relates a lease to the state of its resources.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "replica/bytes.h"
#include "replica/engine-lease.h"
#include "replica/id-map.h"

#define NONE UINT32_MAX
#define SNAPSHOT_VERSION 1u

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

static uint8_t
outcome_flags(const struct outcome *o)
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
    h = mix(h, outcome_flags(&o->outcome));
    h = mix(h, o->outcome.view);
    h = mix(h, o->outcome.index);
    h = mix(h, o->outcome.slot);
    h = mix_id(h, o->outcome.lease);
    h = mix(h, o->outcome.epoch);
    return mix(h, o->outcome.deadline);
}

static void
resource_out(struct engine_lease *e, const struct resource *r)
{
    e->digest -= resource_hash(r);
}

static void
resource_in(struct engine_lease *e, const struct resource *r)
{
    e->digest += resource_hash(r);
}

static void
lease_out(struct engine_lease *e, const struct lease *l)
{
    e->digest -= lease_hash(e, l);
}

static void
lease_in(struct engine_lease *e, const struct lease *l)
{
    e->digest += lease_hash(e, l);
}

static uint64_t
lease_engine_digest(const struct engine *engine)
{
    const struct engine_lease *e = lease_engine(engine);
    uint64_t h = mix(4, e->digest);

    h = mix(h, e->slot);
    h = mix(h, e->retired_watermark);
    return mix(h, e->busy_count);
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

/* ---- the expiry heap ---- */

static bool
heap_before(const struct engine_lease *e, uint32_t a, uint32_t b)
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

    while (at > 0 && heap_before(e, lease, e->heap[(at - 1) / 2])) {
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
            heap_before(e, e->heap[child + 1], e->heap[child]))
            child++;
        if (!heap_before(e, e->heap[child], lease))
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

static void
schedule(struct engine_lease *e, uint32_t lease)
{
    ++*bucket_of(e, &e->leases[lease]);
    heap_set(e, e->heap_count++, lease);
    heap_up(e, e->heap_count - 1);
}

static void
unschedule(struct engine_lease *e, struct lease *l)
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

static struct lease *
lease_find(const struct engine_lease *e, struct id128 id)
{
    uint32_t at = id_map_get(&e->lease_map, id);

    return at == ID_MAP_NONE ? NULL : &e->leases[at];
}

static bool
lease_ended(const struct lease *l)
{
    return l->state >= LEASE_RELEASED;
}

/* Members keep the order in which the command named them. */
static void
members_link(struct engine_lease *e, struct lease *l, const uint32_t *resources,
             uint32_t count)
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

static uint32_t
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

static void
members_set(struct engine_lease *e, const struct lease *l,
            enum resource_state state)
{
    for (uint32_t m = l->first_member; m != NONE; m = e->members[m].next) {
        struct resource *r = &e->resources[e->members[m].resource];

        resource_out(e, r);
        r->state = state;
        r->lease = state == RESOURCE_AVAILABLE ? (struct id128){0, 0} : l->id;
        r->version++;
        resource_in(e, r);
    }
}

/* Appends to the FIFO that retirement consumes. */
static void
ended_append(struct engine_lease *e, uint32_t at)
{
    e->leases[at].next = NONE;
    if (e->ended_tail == NONE)
        e->ended_head = at;
    else
        e->leases[e->ended_tail].next = at;
    e->ended_tail = at;
}

/* The lease goes into an end state; its resources are available again. */
static void
lease_end(struct engine_lease *e, struct lease *l, enum lease_state state)
{
    unschedule(e, l);
    members_set(e, l, RESOURCE_AVAILABLE);
    l->state = state;
    l->retire_after = e->slot + e->limits.history_slots;
    ended_append(e, (uint32_t)(l - e->leases));
}

static void
lease_retire(struct engine_lease *e)
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

static struct operation_record *
operation_at(struct engine_lease *e, uint32_t nth)
{
    return &e->operations[(e->operation_head + nth) % e->limits.operations];
}

static void
operation_drop_oldest(struct engine_lease *e)
{
    struct operation_record *o = operation_at(e, 0);

    e->digest -= operation_hash(o);
    id_map_remove(&e->operation_map, o->id);
    e->operation_head = (e->operation_head + 1) % e->limits.operations;
}

static void
operation_append(struct engine_lease *e, const struct operation_record *o)
{
    struct operation_record *to = operation_at(e, e->operation_map.count);

    *to = *o;
    e->digest += operation_hash(to);
    id_map_put(&e->operation_map, o->id, (uint32_t)(to - e->operations));
}

static void
lease_engine_forget_operations(struct engine *engine)
{
    struct engine_lease *e = (struct engine_lease *)engine;

    while (e->operation_map.count > 0)
        operation_drop_oldest(e);
}

/* Everything whose time is over at the current slot; amortised O(1). */
static void
retire(struct engine_lease *e)
{
    while (e->ended_head != NONE &&
           e->leases[e->ended_head].retire_after < e->slot)
        lease_retire(e);
    while (e->operation_map.count > 0 &&
           operation_at(e, 0)->retire_slot < e->slot)
        operation_drop_oldest(e);
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
    resource_in(e, r);
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
    members_link(e, l, members, c->resource_count);
    id_map_put(&e->lease_map, l->id, at);
    schedule(e, at);
    members_set(e, l, RESOURCE_RESERVED);
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
    unschedule(e, l);
    l->state = LEASE_ACTIVE;
    members_set(e, l, RESOURCE_ACTIVE);
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
    members_set(e, l, RESOURCE_REVOKING);
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

/* Facts of engines.md 5: overflow, retirement, dedupe, room, execute, record.
 */
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
    retire(e);
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
    operation_append(e, &record);
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
    retire(e);
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

    return heap_before(e, x, y) ? -1 : heap_before(e, y, x);
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

/* ---- snapshot ---- */

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

static void
save_operation(const struct operation_record *o, struct buf *out)
{
    const struct outcome *r = &o->outcome;

    write_id(out, o->id);
    write_id(out, o->fingerprint);
    write_u64(out, o->retire_slot);
    write_u8(out, (uint8_t)r->code);
    write_u8(out, outcome_flags(r));
    write_u64(out, r->view);
    write_u64(out, r->index);
    write_u64(out, r->slot);
    write_id(out, r->lease);
    write_u64(out, r->epoch);
    write_u64(out, r->deadline);
}

/* Leases that did not end by age, then those that did in FIFO order. */
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

static void
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
        save_operation(operation_at(e, i), out);
    write_u64(out, mix(lease_engine_digest(engine), e->applied));
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
        resource_in(e, to);
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
    members_link(e, l, members, count);
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
        schedule(e, at);
    if (lease_ended(l))
        ended_append(e, at);
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
        struct operation_record o = {.id = read_id(r)};
        uint8_t has;

        o.fingerprint = read_id(r);
        o.retire_slot = read_u64(r);
        o.outcome.code = (enum result_code)read_u8(r);
        has = read_u8(r);
        o.outcome.has_lease = has & 1;
        o.outcome.has_deadline = has & 2;
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
        operation_append(e, &o);
    }
    return true;
}

static int
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
    if (!bytes_done(&r) ||
        digest != mix(lease_engine_digest(engine), e->applied))
        return error_set(err, ERROR_CONFIG,
                         "state does not match its own digest");
    if (e->bug == BUG_FORGET_OPERATIONS)
        lease_engine_forget_operations(engine);
    return 0;
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
