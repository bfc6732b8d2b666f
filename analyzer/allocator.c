/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules in the order in which the engine applies them.  Every change of a
 * resource, a lease or a binding first writes the old value to the journal.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/allocator.h"

/* One counter per possible deadline; strangers' limits may be absurd. */
#define BUCKETS_MAX (INT64_C(1) << 20)

enum undo_kind { UNDO_RESOURCE, UNDO_LEASE, UNDO_BINDING, UNDO_COUNTS };

struct undo {
    enum undo_kind kind;
    uint32_t at;
    union {
        struct model_resource resource;
        struct model_lease lease;
        uint32_t hidden;
        struct {
            uint32_t resources, ended;
            int64_t live, members;
        } counts;
    } old;
};

void
allocator_init(struct allocator *m, const struct facts *f)
{
    size_t total = (size_t)f->lease_count + f->loose_count + 1;
    int64_t buckets = f->table->limits.ttl_slots + 1;

    *m = (struct allocator){.facts = f, .lease_total = (uint32_t)total};
    m->resources = xcalloc(f->resource_count + 1ul, sizeof(m->resources[0]));
    m->leases = xcalloc(total, sizeof(m->leases[0]));
    m->bound = xcalloc(total, sizeof(m->bound[0]));
    m->id_of = xcalloc(total, sizeof(m->id_of[0]));
    m->ended = xcalloc(total, sizeof(m->ended[0]));
    memset(m->bound, 0xff, total * sizeof(m->bound[0]));
    memset(m->id_of, 0xff, total * sizeof(m->id_of[0]));
    if (buckets <= BUCKETS_MAX)
        m->buckets = xcalloc((size_t)buckets, sizeof(m->buckets[0]));
}

void
allocator_release(struct allocator *m)
{
    free(m->resources);
    free(m->leases);
    free(m->bound);
    free(m->id_of);
    free(m->ended);
    free(m->buckets);
    free(m->undo);
    *m = (struct allocator){0};
}

/* ---- journal ---- */

static struct undo *
undo_push(struct allocator *m, enum undo_kind kind, uint32_t at)
{
    if (m->undo_count == m->undo_cap) {
        m->undo_cap = m->undo_cap == 0 ? 64 : m->undo_cap * 2;
        m->undo = xrealloc(m->undo, m->undo_cap * sizeof(m->undo[0]));
    }
    m->undo[m->undo_count] = (struct undo){.kind = kind, .at = at};
    return &m->undo[m->undo_count++];
}

static struct model_resource *
change_resource(struct allocator *m, uint32_t resource)
{
    undo_push(m, UNDO_RESOURCE, resource)->old.resource =
        m->resources[resource];
    return &m->resources[resource];
}

static struct model_lease *
change_lease(struct allocator *m, uint32_t lease)
{
    undo_push(m, UNDO_LEASE, lease)->old.lease = m->leases[lease];
    return &m->leases[lease];
}

static void
change_counts(struct allocator *m)
{
    struct undo *u = undo_push(m, UNDO_COUNTS, 0);

    u->old.counts.resources = m->resource_count;
    u->old.counts.ended = m->ended_count;
    u->old.counts.live = m->live;
    u->old.counts.members = m->members;
}

static void
bucket_add(struct allocator *m, const struct model_lease *l, int by)
{
    if (m->buckets != NULL && l->exists && l->state == STATE_RESERVED)
        m->buckets[l->deadline_high %
                   (m->facts->table->limits.ttl_slots + 1)] += by;
}

uint32_t
allocator_mark(const struct allocator *m)
{
    return m->undo_count;
}

static void
undo_one(struct allocator *m, const struct undo *u)
{
    switch (u->kind) {
    case UNDO_RESOURCE:
        m->resources[u->at] = u->old.resource;
        break;
    case UNDO_LEASE:
        bucket_add(m, &m->leases[u->at], -1);
        m->leases[u->at] = u->old.lease;
        bucket_add(m, &m->leases[u->at], 1);
        break;
    case UNDO_BINDING:
        m->id_of[u->old.hidden] = TABLE_NONE;
        m->bound[u->at] = TABLE_NONE;
        break;
    case UNDO_COUNTS:
        m->resource_count = u->old.counts.resources;
        m->ended_count = u->old.counts.ended;
        m->live = u->old.counts.live;
        m->members = u->old.counts.members;
        break;
    }
}

void
allocator_rollback(struct allocator *m, uint32_t mark)
{
    while (m->undo_count > mark)
        undo_one(m, &m->undo[--m->undo_count]);
}

void
allocator_commit(struct allocator *m)
{
    m->undo_count = 0;
}

/* ---- names ---- */

uint32_t
allocator_resolve(const struct allocator *m, uint32_t lease)
{
    return m->bound[lease] != TABLE_NONE ? m->bound[lease] : lease;
}

void
allocator_bind(struct allocator *m, uint32_t lease, uint32_t hidden)
{
    assert(lease < m->facts->lease_count && hidden >= m->facts->lease_count);
    undo_push(m, UNDO_BINDING, lease)->old.hidden = hidden;
    m->bound[lease] = hidden;
    m->id_of[hidden] = lease;
}

static uint32_t
member(const struct allocator *m, struct span span, uint32_t i)
{
    const struct facts *f = m->facts;

    return f->resource_of_id[f->table->lists[span.first + i]];
}

bool
allocator_may_be(const struct allocator *m, uint32_t hidden, uint32_t lease)
{
    const struct lease_fact *fact = &m->facts->leases[lease];
    const struct model_lease *l = &m->leases[hidden];
    const struct answer *a;

    if (fact->creator != TABLE_NONE || m->bound[lease] != TABLE_NONE ||
        m->id_of[hidden] != TABLE_NONE)
        return false;
    if (fact->shown == TABLE_NONE)
        return true;
    a = &m->facts->table->answers[fact->shown];
    return (a->holder == TABLE_NONE || a->holder == l->holder) &&
           (a->deadline == SLOT_NONE || (a->deadline >= l->deadline_low &&
                                         a->deadline <= l->deadline_high)) &&
           (a->resources.count == 0 ||
            a->resources.count == l->resources.count);
}

/* ---- time ---- */

static uint64_t
lease_number(const struct allocator *m, uint32_t lease)
{
    uint32_t known = lease < m->facts->lease_count ? lease : m->id_of[lease];

    return known == TABLE_NONE
               ? 0
               : m->facts->table->ids[m->facts->leases[known].id].lo;
}

static void
raise(uint64_t *watermark, uint64_t to)
{
    if (to > *watermark)
        *watermark = to;
}

void
allocator_advance(struct allocator *m, int64_t slot)
{
    assert(slot >= m->slot && m->undo_count == 0);
    m->slot = slot;
    for (; m->sure < m->ended_count; m->sure++) {
        const struct model_lease *l = &m->leases[m->ended[m->sure]];

        if (l->retire_high >= slot)
            break;
        m->sure_members += l->resources.count;
        raise(&m->sure_watermark, lease_number(m, m->ended[m->sure]));
    }
    for (; m->maybe < m->ended_count; m->maybe++) {
        const struct model_lease *l = &m->leases[m->ended[m->maybe]];

        if (l->retire_low >= slot)
            break;
        m->maybe_members += l->resources.count;
        raise(&m->maybe_watermark, lease_number(m, m->ended[m->maybe]));
    }
}

/* ---- what it answers ---- */

enum presence { ABSENT, PERHAPS, PRESENT };

static enum presence
presence(const struct allocator *m, const struct model_lease *l)
{
    if (!l->exists)
        return ABSENT;
    if ((STATE_BIT(l->state) & STATES_ENDED) == 0 || l->retire_low >= m->slot)
        return PRESENT;
    return l->retire_high < m->slot ? ABSENT : PERHAPS;
}

static enum code
create_code(const struct allocator *m, uint32_t op)
{
    const struct table *t = m->facts->table;

    if (m->resources[member(m, t->operations.resources[op], 0)].exists)
        return CODE_ALREADY_EXISTS;
    return m->resource_count >= t->limits.resources ? CODE_RESOURCE_TABLE_FULL
                                                    : CODE_OK;
}

/* Up to the members; what follows depends on how full the tables are. */
static enum code
members_code(const struct allocator *m, uint32_t op)
{
    const struct operations *o = &m->facts->table->operations;
    const struct limits *n = &m->facts->table->limits;
    struct span span = o->resources[op];

    if (span.count == 0 || span.count > n->bundle)
        return CODE_BUNDLE_TOO_LARGE;
    if (o->amount[op] == 0 || o->amount[op] > n->ttl_slots)
        return CODE_TTL_OUT_OF_RANGE;
    for (uint32_t i = 0; i < span.count; i++) {
        uint32_t resource = member(m, span, i);

        for (uint32_t j = 0; j < i; j++)
            if (member(m, span, j) == resource)
                return CODE_RESOURCE_BUSY;
        if (!m->resources[resource].exists)
            return CODE_RESOURCE_NOT_FOUND;
        if (m->resources[resource].state != STATE_AVAILABLE)
            return CODE_RESOURCE_BUSY;
    }
    return CODE_OK;
}

static bool
accepts_reserve(const struct allocator *m, uint32_t op, enum code code)
{
    const struct table *t = m->facts->table;
    const struct limits *n = &t->limits;
    int64_t count = t->operations.resources[op].count;
    enum code first = members_code(m, op);
    bool bucket_full;

    if (first != CODE_OK)
        return code == first;
    bucket_full =
        m->buckets != NULL &&
        m->buckets[(m->slot + t->operations.amount[op]) % (n->ttl_slots + 1)] >=
            n->bucket;
    switch (code) {
    case CODE_OK:
        return m->live - m->maybe < n->reservations &&
               m->members - m->maybe_members + count <= n->members &&
               !bucket_full;
    case CODE_RESERVATION_TABLE_FULL:
        return m->live - m->sure >= n->reservations;
    case CODE_RESERVATION_MEMBER_TABLE_FULL:
        return m->live - m->maybe < n->reservations &&
               m->members - m->sure_members + count > n->members;
    case CODE_EXPIRATION_INDEX_FULL:
        return bucket_full;
    default:
        return false;
    }
}

/* Of a command on a lease that is there. */
static enum code
command_code(const struct allocator *m, uint32_t op,
             const struct model_lease *l)
{
    const struct operations *o = &m->facts->table->operations;
    enum function fn = (enum function)o->function[op];
    bool ended = (STATE_BIT(l->state) & STATES_ENDED) != 0, right;

    if (fn == FUNCTION_CONFIRM || fn == FUNCTION_RELEASE) {
        if (l->holder != o->holder[op])
            return CODE_HOLDER_MISMATCH;
        if (l->epoch != o->amount[op])
            return CODE_STALE_EPOCH;
    }
    if (ended)
        return CODE_RESERVATION_RETIRED;
    if (fn == FUNCTION_CONFIRM)
        right = l->state == STATE_RESERVED;
    else if (fn == FUNCTION_RELEASE)
        right = l->state != STATE_REVOKING;
    else if (fn == FUNCTION_REVOKE)
        right = l->state == STATE_ACTIVE;
    else
        right = l->state == STATE_REVOKING;
    return right ? CODE_OK : CODE_INVALID_STATE;
}

static const struct model_lease *
lease_of_operation(const struct allocator *m, uint32_t op)
{
    const struct facts *f = m->facts;
    uint32_t id = f->table->operations.lease[op];

    return &m->leases[allocator_resolve(m, f->lease_of_id[id])];
}

bool
allocator_accepts(const struct allocator *m, uint32_t op, enum code code)
{
    enum function fn = (enum function)m->facts->table->operations.function[op];
    const struct model_lease *l;
    enum presence there;

    if (fn == FUNCTION_CREATE_RESOURCE)
        return code == create_code(m, op);
    if (function_is_reserve(fn))
        return accepts_reserve(m, op, code);
    l = lease_of_operation(m, op);
    there = presence(m, l);
    return (there != PRESENT && code == CODE_RESERVATION_NOT_FOUND) ||
           (there != ABSENT && code == command_code(m, op, l));
}

enum code
allocator_expects(const struct allocator *m, uint32_t op)
{
    for (int code = CODE_OK; code < CODE_OTHER; code++)
        if (allocator_accepts(m, op, (enum code)code))
            return (enum code)code;
    return CODE_OTHER;
}

/* ---- what it does ---- */

static void
set_members(struct allocator *m, uint32_t lease, enum state state)
{
    struct span span = m->leases[lease].resources;

    for (uint32_t i = 0; i < span.count; i++) {
        struct model_resource *r = change_resource(m, member(m, span, i));

        r->state = state;
        r->lease = state == STATE_AVAILABLE ? TABLE_NONE : lease;
        r->version++;
    }
}

static void
end_lease(struct allocator *m, uint32_t lease, enum state state,
          struct slots when)
{
    int64_t history = m->facts->table->limits.history_slots;
    struct model_lease *l;

    change_counts(m);
    l = change_lease(m, lease);
    bucket_add(m, l, -1);
    l->state = state;
    l->retire_low =
        (when.low > l->created_slot ? when.low : l->created_slot) + history;
    l->retire_high = when.high + history;
    m->ended[m->ended_count++] = lease;
    set_members(m, lease, STATE_AVAILABLE);
}

static void
make_lease(struct allocator *m, uint32_t op, uint32_t lease, struct slots when)
{
    const struct operations *o = &m->facts->table->operations;
    struct model_lease *l;

    change_counts(m);
    m->live++;
    m->members += o->resources[op].count;
    l = change_lease(m, lease);
    *l = (struct model_lease){
        .exists = true,
        .state = STATE_RESERVED,
        .holder = o->holder[op],
        .resources = o->resources[op],
        .epoch = 1,
        .created_slot = when.low,
        .ttl = o->amount[op],
        .deadline_low = when.low + o->amount[op],
        .deadline_high = when.high + o->amount[op],
    };
    bucket_add(m, l, 1);
    set_members(m, lease, STATE_RESERVED);
}

static void
confirm_lease(struct allocator *m, uint32_t lease)
{
    struct model_lease *l = change_lease(m, lease);

    bucket_add(m, l, -1);
    l->state = STATE_ACTIVE;
    set_members(m, lease, STATE_ACTIVE);
}

static void
revoke_lease(struct allocator *m, uint32_t lease)
{
    struct model_lease *l = change_lease(m, lease);

    l->state = STATE_REVOKING;
    l->epoch++;
    set_members(m, lease, STATE_REVOKING);
}

/* Whether the lease was there tells how long ago it ended. */
static void
learn_presence(struct allocator *m, uint32_t lease, bool there)
{
    if (presence(m, &m->leases[lease]) != PERHAPS)
        return;
    if (there)
        change_lease(m, lease)->retire_low = m->slot;
    else
        change_lease(m, lease)->retire_high = m->slot - 1;
}

static void
do_command(struct allocator *m, uint32_t op, uint32_t lease, struct slots when)
{
    switch ((enum function)m->facts->table->operations.function[op]) {
    case FUNCTION_CONFIRM:
        confirm_lease(m, lease);
        break;
    case FUNCTION_RELEASE:
        change_lease(m, lease)->epoch++;
        end_lease(m, lease, STATE_RELEASED, when);
        break;
    case FUNCTION_REVOKE:
        revoke_lease(m, lease);
        break;
    default:
        end_lease(m, lease, STATE_REVOKED, when);
    }
}

void
allocator_do(struct allocator *m, uint32_t op, enum code code, uint32_t lease,
             struct slots when)
{
    const struct facts *f = m->facts;
    const struct operations *o = &f->table->operations;
    enum function fn = (enum function)o->function[op];
    struct model_resource *r;

    if (!function_is_reserve(fn) && fn != FUNCTION_CREATE_RESOURCE) {
        lease = allocator_resolve(m, f->lease_of_id[o->lease[op]]);
        learn_presence(m, lease, code != CODE_RESERVATION_NOT_FOUND);
        if (code == CODE_OK)
            do_command(m, op, lease, when);
    } else if (code == CODE_OK && fn == FUNCTION_CREATE_RESOURCE) {
        change_counts(m);
        m->resource_count++;
        r = change_resource(m, member(m, o->resources[op], 0));
        *r = (struct model_resource){true, STATE_AVAILABLE, TABLE_NONE, 0};
    } else if (code == CODE_OK) {
        make_lease(m, op, lease, when);
    }
}

bool
allocator_can_expire(const struct allocator *m, uint32_t lease)
{
    const struct model_lease *l = &m->leases[lease];

    return l->exists && l->state == STATE_RESERVED &&
           l->deadline_low <= m->slot;
}

void
allocator_expire(struct allocator *m, uint32_t lease, struct slots when)
{
    change_lease(m, lease)->epoch++;
    end_lease(m, lease, STATE_EXPIRED, when);
}

/* ---- what it shows ---- */

/* The lease that the model has is the one that is shown, or may become it. */
static bool
same_lease(const struct allocator *m, uint32_t have, uint32_t shown_id)
{
    uint32_t shown;

    if (have == TABLE_NONE || shown_id == TABLE_NONE)
        return have == shown_id;
    shown = m->facts->lease_of_id[shown_id];
    if (allocator_resolve(m, shown) == have)
        return true;
    return have >= m->facts->lease_count && allocator_may_be(m, have, shown);
}

static bool
shows_resource(const struct allocator *m, const struct answer *a)
{
    const struct operations *o = &m->facts->table->operations;
    const struct model_resource *r =
        &m->resources[member(m, o->resources[a->operation], 0)];

    if (!a->found || !r->exists)
        return a->found == r->exists;
    return a->state == r->state && same_lease(m, r->lease, a->lease) &&
           (a->version == SLOT_NONE || a->version == r->version);
}

static bool
shows_details(const struct allocator *m, const struct answer *a,
              const struct model_lease *l)
{
    const struct facts *f = m->facts;
    const struct lease_fact *fact =
        &f->leases[f->lease_of_id[f->table->operations.lease[a->operation]]];
    uint64_t created = fact->creator == TABLE_NONE
                           ? INDEX_NONE
                           : f->table->answers[fact->creator].index;

    if (a->state != l->state ||
        (a->holder != TABLE_NONE && a->holder != l->holder) ||
        (a->epoch != SLOT_NONE && a->epoch != l->epoch) ||
        (a->deadline != SLOT_NONE &&
         (a->deadline < l->deadline_low || a->deadline > l->deadline_high)) ||
        (a->created != SLOT_NONE && created != INDEX_NONE &&
         (uint64_t)a->created != created))
        return false;
    if (a->resources.count == 0)
        return true;
    if (a->resources.count != l->resources.count)
        return false;
    for (uint32_t i = 0; i < a->resources.count; i++)
        if (member(m, a->resources, i) != member(m, l->resources, i))
            return false;
    return true;
}

static bool
shows_lease(const struct allocator *m, const struct answer *a)
{
    const struct facts *f = m->facts;
    uint32_t id = f->table->operations.lease[a->operation];
    const struct model_lease *l =
        &m->leases[allocator_resolve(m, f->lease_of_id[id])];
    enum presence there = presence(m, l);

    if (a->found)
        return there != ABSENT && shows_details(m, a, l);
    if (l->exists)
        return a->retired && there != PRESENT;
    if (a->retired)
        return f->table->ids[id].hi == 0 &&
               f->table->ids[id].lo <= m->maybe_watermark;
    return f->table->ids[id].hi != 0 ||
           f->table->ids[id].lo > m->sure_watermark;
}

bool
allocator_shows(const struct allocator *m, const struct answer *a)
{
    return m->facts->table->operations.function[a->operation] ==
                   FUNCTION_GET_RESOURCE
               ? shows_resource(m, a)
               : shows_lease(m, a);
}

void
allocator_shown(struct allocator *m, const struct answer *a)
{
    const struct facts *f = m->facts;
    const struct operations *o = &f->table->operations;
    uint32_t lease, have;
    struct model_lease *l;

    if (o->function[a->operation] == FUNCTION_GET_RESOURCE) {
        have = m->resources[member(m, o->resources[a->operation], 0)].lease;
        if (!a->found || have == TABLE_NONE)
            return;
        lease = f->lease_of_id[a->lease];
        if (allocator_resolve(m, lease) != have)
            allocator_bind(m, lease, have);
        return;
    }
    lease = allocator_resolve(m, f->lease_of_id[o->lease[a->operation]]);
    learn_presence(m, lease, a->found);
    if (!a->found || a->deadline == SLOT_NONE)
        return;
    l = change_lease(m, lease);
    bucket_add(m, l, -1);
    l->deadline_low = l->deadline_high = a->deadline;
    bucket_add(m, l, 1);
}
