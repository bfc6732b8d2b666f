/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator once more, as small and as plain as can be, for tests: fixed
 * arrays, copied by assignment.  Written from the engine's rules and not from
 * the analyzer's model, so that the two can disagree.
 */
#ifndef ORDEAL_TESTS_TINY_ALLOCATOR_H
#define ORDEAL_TESTS_TINY_ALLOCATOR_H

#include "analyzer/table.h"

/* Small enough that tables fill up, records are dropped and leases retire. */
#define TINY_RESOURCES 2
#define TINY_RESERVATIONS 3
#define TINY_BUNDLE 2
#define TINY_MEMBERS 4
#define TINY_BUCKET 2
#define TINY_TTL 3
#define TINY_WINDOW 5 /* ttl 3, retry 2 */
#define TINY_HISTORY 1
#define TINY_LEASES 24 /* ever made in one history */
#define TINY_NAMES 3   /* resources that commands name: 1, 2, 3 */
#define TINY_META                                                              \
    "{'positions':'%s','limits':{'resources':2,'reservations':3,'bundle':2,"   \
    "'members':4,'bucket':2,'ttl_slots':3,'retry_slots':2,"                    \
    "'history_slots':1}}"

struct tiny_command {
    enum function function;
    int resources[TINY_BUNDLE + 1], resource_count;
    int holder, amount; /* ttl, epoch, slot */
    int lease;
    enum claim claim;
    int required;
};

struct tiny_row {
    int lease, deadline, index, resources[TINY_BUNDLE], resource_count;
};

struct tiny_result {
    enum code code;
    bool cached;
    int term, index, slot, lease, epoch, deadline; /* lease 0: none */
    bool found, retired;
    int applied, version, holder, resources[TINY_BUNDLE], resource_count;
    enum state state;
    struct tiny_row rows[TINY_RESERVATIONS];
    int row_count;
};

struct tiny_lease {
    int id, holder, epoch, deadline, retire_after, members[TINY_BUNDLE];
    int member_count;
    enum state state;
    bool gone;
};

struct tiny {
    int slot, watermark, lease_count;
    struct {
        bool exists;
        enum state state;
        int lease, version;
    } resources[TINY_NAMES + 1];
    struct tiny_lease leases[TINY_LEASES];
};

static inline bool
tiny_ended(const struct tiny_lease *l)
{
    return l->state == STATE_RELEASED || l->state == STATE_EXPIRED ||
           l->state == STATE_REVOKED;
}

static inline struct tiny_lease *
tiny_find(struct tiny *t, int id)
{
    for (int i = 0; i < t->lease_count; i++)
        if (t->leases[i].id == id)
            return &t->leases[i];
    return NULL;
}

static inline void
tiny_advance(struct tiny *t, int slot)
{
    if (slot > t->slot)
        t->slot = slot;
    for (int i = 0; i < t->lease_count; i++) {
        struct tiny_lease *l = &t->leases[i];

        if (!tiny_ended(l) || t->slot <= l->retire_after)
            continue;
        l->gone = true;
        if (l->id > t->watermark)
            t->watermark = l->id;
    }
}

static inline void
tiny_members(struct tiny *t, const struct tiny_lease *l, enum state state)
{
    for (int i = 0; i < l->member_count; i++) {
        t->resources[l->members[i]].state = state;
        t->resources[l->members[i]].lease =
            state == STATE_AVAILABLE ? 0 : l->id;
        t->resources[l->members[i]].version++;
    }
}

static inline void
tiny_end(struct tiny *t, struct tiny_lease *l, enum state state)
{
    l->state = state;
    l->retire_after = t->slot + TINY_HISTORY;
    tiny_members(t, l, STATE_AVAILABLE);
}

static inline bool
tiny_expire(struct tiny *t, int lease)
{
    struct tiny_lease *l = tiny_find(t, lease);

    if (l == NULL || l->gone || l->state != STATE_RESERVED)
        return false;
    l->epoch++;
    tiny_end(t, l, STATE_EXPIRED);
    return true;
}

static inline enum code
tiny_create(struct tiny *t, int resource)
{
    int count = 0;

    for (int i = 1; i <= TINY_NAMES; i++)
        count += t->resources[i].exists;
    if (t->resources[resource].exists)
        return CODE_ALREADY_EXISTS;
    if (count == TINY_RESOURCES)
        return CODE_RESOURCE_TABLE_FULL;
    t->resources[resource].exists = true;
    t->resources[resource].state = STATE_AVAILABLE;
    return CODE_OK;
}

static inline enum code
tiny_room(const struct tiny *t, const struct tiny_command *c)
{
    int live = 0, members = 0, bucket = 0;

    for (int i = 0; i < t->lease_count; i++) {
        const struct tiny_lease *l = &t->leases[i];

        if (l->gone)
            continue;
        live++;
        members += l->member_count;
        bucket += l->state == STATE_RESERVED &&
                  l->deadline % (TINY_TTL + 1) ==
                      (t->slot + c->amount) % (TINY_TTL + 1);
    }
    if (live == TINY_RESERVATIONS)
        return CODE_RESERVATION_TABLE_FULL;
    if (members + c->resource_count > TINY_MEMBERS)
        return CODE_RESERVATION_MEMBER_TABLE_FULL;
    return bucket == TINY_BUCKET ? CODE_EXPIRATION_INDEX_FULL : CODE_OK;
}

static inline enum code
tiny_reserve(struct tiny *t, const struct tiny_command *c, int id,
             struct tiny_result *ret)
{
    struct tiny_lease *l;
    enum code code;

    if (c->resource_count == 0 || c->resource_count > TINY_BUNDLE)
        return CODE_BUNDLE_TOO_LARGE;
    if (c->amount == 0 || c->amount > TINY_TTL)
        return CODE_TTL_OUT_OF_RANGE;
    for (int i = 0; i < c->resource_count; i++) {
        for (int j = 0; j < i; j++)
            if (c->resources[j] == c->resources[i])
                return CODE_RESOURCE_BUSY;
        if (!t->resources[c->resources[i]].exists)
            return CODE_RESOURCE_NOT_FOUND;
        if (t->resources[c->resources[i]].state != STATE_AVAILABLE)
            return CODE_RESOURCE_BUSY;
    }
    code = tiny_room(t, c);
    if (code != CODE_OK)
        return code;
    assert(t->lease_count < TINY_LEASES);
    l = &t->leases[t->lease_count++];
    *l = (struct tiny_lease){.id = id,
                             .holder = c->holder,
                             .epoch = 1,
                             .deadline = t->slot + c->amount,
                             .state = STATE_RESERVED,
                             .member_count = c->resource_count};
    for (int i = 0; i < c->resource_count; i++)
        l->members[i] = c->resources[i];
    tiny_members(t, l, STATE_RESERVED);
    ret->lease = id;
    ret->epoch = 1;
    ret->deadline = l->deadline;
    return CODE_OK;
}

static inline enum code
tiny_on_lease(struct tiny *t, const struct tiny_command *c,
              struct tiny_result *ret)
{
    struct tiny_lease *l = tiny_find(t, c->lease);
    bool holder_command =
        c->function == FUNCTION_CONFIRM || c->function == FUNCTION_RELEASE;

    if (l == NULL || l->gone)
        return CODE_RESERVATION_NOT_FOUND;
    if (holder_command && l->holder != c->holder)
        return CODE_HOLDER_MISMATCH;
    if (holder_command && l->epoch != c->amount)
        return CODE_STALE_EPOCH;
    if (tiny_ended(l))
        return CODE_RESERVATION_RETIRED;
    switch (c->function) {
    case FUNCTION_CONFIRM:
        if (l->state != STATE_RESERVED)
            return CODE_INVALID_STATE;
        l->state = STATE_ACTIVE;
        tiny_members(t, l, STATE_ACTIVE);
        break;
    case FUNCTION_RELEASE:
        if (l->state == STATE_REVOKING)
            return CODE_INVALID_STATE;
        l->epoch++;
        tiny_end(t, l, STATE_RELEASED);
        break;
    case FUNCTION_REVOKE:
        if (l->state != STATE_ACTIVE)
            return CODE_INVALID_STATE;
        l->epoch++;
        l->state = STATE_REVOKING;
        tiny_members(t, l, STATE_REVOKING);
        break;
    default:
        if (l->state != STATE_REVOKING)
            return CODE_INVALID_STATE;
        tiny_end(t, l, STATE_REVOKED);
    }
    ret->lease = l->id;
    ret->epoch = l->epoch;
    return CODE_OK;
}

/* A mutation; 'id' is that of the lease a reserve makes. */
static inline struct tiny_result
tiny_apply(struct tiny *t, const struct tiny_command *c, int id)
{
    struct tiny_result ret = {.slot = t->slot};

    if (c->function == FUNCTION_CREATE_RESOURCE)
        ret.code = tiny_create(t, c->resources[0]);
    else if (function_is_reserve(c->function))
        ret.code = tiny_reserve(t, c, id, &ret);
    else
        ret.code = tiny_on_lease(t, c, &ret);
    return ret;
}

static inline struct tiny_result
tiny_read(struct tiny *t, const struct tiny_command *c)
{
    struct tiny_result ret = {.slot = t->slot};
    const struct tiny_lease *l;

    if (c->function == FUNCTION_GET_RESOURCE) {
        ret.found = t->resources[c->resources[0]].exists;
        if (!ret.found)
            return ret;
        ret.state = t->resources[c->resources[0]].state;
        ret.lease = t->resources[c->resources[0]].lease;
        ret.version = t->resources[c->resources[0]].version;
        return ret;
    }
    l = tiny_find(t, c->lease);
    ret.found = l != NULL && !l->gone;
    ret.retired = !ret.found && (l != NULL || c->lease <= t->watermark);
    if (!ret.found)
        return ret;
    ret.state = l->state;
    ret.holder = l->holder;
    ret.epoch = l->epoch;
    ret.deadline = l->deadline;
    ret.resource_count = l->member_count;
    for (int i = 0; i < l->member_count; i++)
        ret.resources[i] = l->members[i];
    return ret;
}

#endif
