/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool engine: capacity that is held until a deadline, then confirmed
 * (consumed for good) or given back.
 *
 *   held --confirm--> confirmed
 *        --release--> released
 *        --expire, deadline < slot, or a confirm that is too late--> expired
 *
 * Before every entry the holds whose deadline is below the slot expire, in
 * order of (deadline, hold).  Pools and holds are never removed.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "replica/due-heap.h"
#include "replica/engine-plain.h"
#include "replica/json.h"

struct pool {
    struct id128 id;
    uint64_t total, held, consumed;
};

enum hold_state { HOLD_HELD, HOLD_CONFIRMED, HOLD_RELEASED, HOLD_EXPIRED };
#define HOLD_STATE_COUNT 4

struct hold {
    struct id128 id;
    uint32_t pool;
    enum hold_state state;
    uint64_t quantity, deadline;
};

struct pool_engine {
    struct plain_engine plain;
    struct pool *pools;
    struct id_map pool_map;
    struct hold *holds;
    struct id_map hold_map;
    struct due_heap due; /* the holds that are held */
};

enum {
    POOL_CREATE = 40,
    POOL_PLACE_HOLD = 41,
    POOL_CONFIRM_HOLD = 42,
    POOL_RELEASE_HOLD = 43,
    POOL_EXPIRE_HOLD = 44,
};

const struct plain_shape pool_shapes[] = {
    {.tag = POOL_CREATE,
     .name = "create_pool",
     .fields = {PLAIN_ID("pool"), PLAIN_NUMBER("total")}},
    {.tag = POOL_PLACE_HOLD,
     .name = "place_hold",
     .fields = {PLAIN_ID("pool"), PLAIN_ID("hold"), PLAIN_NUMBER("quantity"),
                PLAIN_NUMBER("deadline")}},
    {.tag = POOL_CONFIRM_HOLD,
     .name = "confirm_hold",
     .fields = {PLAIN_ID("hold")}},
    {.tag = POOL_RELEASE_HOLD,
     .name = "release_hold",
     .fields = {PLAIN_ID("hold")}},
    {.tag = POOL_EXPIRE_HOLD,
     .name = "expire_hold",
     .fields = {PLAIN_ID("hold")}},
    {0}};

static uint64_t
pool_hash(const struct pool *p)
{
    uint64_t h = digest_mix_id(5, p->id);

    h = digest_mix(h, p->total);
    h = digest_mix(h, p->held);
    return digest_mix(h, p->consumed);
}

static uint64_t
hold_hash(const struct pool_engine *e, const struct hold *h)
{
    uint64_t hash = digest_mix_id(6, h->id);

    hash = digest_mix_id(hash, e->pools[h->pool].id);
    hash = digest_mix(hash, (uint64_t)h->state);
    hash = digest_mix(hash, h->quantity);
    return digest_mix(hash, h->deadline);
}

/* The next place of the table, which has room. */
static void
pool_add(struct pool_engine *e, const struct pool *p)
{
    e->pools[e->pool_map.count] = *p;
    id_map_put(&e->pool_map, p->id, e->pool_map.count);
    e->plain.s.digest += pool_hash(p);
}

static void
hold_add(struct pool_engine *e, const struct hold *h)
{
    uint32_t at = e->hold_map.count;

    e->holds[at] = *h;
    id_map_put(&e->hold_map, h->id, at);
    e->plain.s.digest += hold_hash(e, h);
    if (h->state == HOLD_HELD)
        due_heap_add(&e->due, &(struct due){h->deadline, h->id, at});
}

static void
carry_pool(struct outcome *ret, struct id128 pool)
{
    ret->has |= OUTCOME_POOL;
    ret->pool = pool;
}

static void
carry_hold(struct outcome *ret, struct id128 hold)
{
    ret->has |= OUTCOME_HOLD;
    ret->hold = hold;
}

/* Out of the state 'held'; the capacity goes to the consumed or back. */
static void
hold_end(struct pool_engine *e, struct hold *h, enum hold_state state)
{
    struct pool *p = &e->pools[h->pool];

    assert(h->state == HOLD_HELD && p->held >= h->quantity);
    e->plain.s.digest -= hold_hash(e, h) + pool_hash(p);
    due_heap_remove(&e->due, (uint32_t)(h - e->holds));
    h->state = state;
    p->held -= h->quantity;
    if (state == HOLD_CONFIRMED)
        p->consumed += h->quantity;
    e->plain.s.digest += hold_hash(e, h) + pool_hash(p);
}

static void
pool_advance(struct plain_engine *plain)
{
    struct pool_engine *e = (struct pool_engine *)plain;
    const struct due *d;

    while ((d = due_heap_first(&e->due)) != NULL && d->deadline < plain->s.slot)
        hold_end(e, &e->holds[d->row], HOLD_EXPIRED);
}

static void
pool_create(struct pool_engine *e, const struct plain_command *c,
            struct outcome *ret)
{
    struct pool p = {.id = c->fields[0].id, .total = c->fields[1].number};

    if (id_map_get(&e->pool_map, p.id) != ID_MAP_NONE) {
        ret->code = RESULT_ALREADY_EXISTS;
        carry_pool(ret, p.id);
    } else if (e->pool_map.count == e->plain.s.limits.pools) {
        ret->code = RESULT_POOL_TABLE_FULL;
    } else {
        pool_add(e, &p);
        carry_pool(ret, p.id);
    }
}

/* Without a sum that could overflow; a planted bug may have gone beyond. */
static bool
pool_fits(const struct pool *p, uint64_t quantity)
{
    return p->held <= p->total && p->consumed <= p->total - p->held &&
           quantity <= p->total - p->held - p->consumed;
}

/* Bug overcommit: a hold too many is placed. */
static bool
pool_grants(struct pool_engine *e, const struct pool *p, uint64_t quantity)
{
    uint64_t sum;

    return engine_grants_refusal(&e->plain.s, BUG_OVERCOMMIT) &&
           !__builtin_add_overflow(p->held, quantity, &sum) &&
           !__builtin_add_overflow(p->consumed, sum, &sum);
}

static void
pool_place(struct pool_engine *e, const struct plain_command *c,
           struct outcome *ret)
{
    struct id128 pool = c->fields[0].id;
    struct hold h = {.id = c->fields[1].id,
                     .quantity = c->fields[2].number,
                     .deadline = c->fields[3].number};
    struct pool *p;

    h.pool = id_map_get(&e->pool_map, pool);
    if (h.quantity == 0 || h.deadline <= e->plain.s.slot) {
        ret->code = RESULT_INVALID_STATE;
        carry_pool(ret, pool);
        carry_hold(ret, h.id);
        return;
    }
    if (h.pool == ID_MAP_NONE) {
        ret->code = RESULT_POOL_NOT_FOUND;
        carry_pool(ret, pool);
        return;
    }
    if (id_map_get(&e->hold_map, h.id) != ID_MAP_NONE) {
        ret->code = RESULT_ALREADY_EXISTS;
        carry_hold(ret, h.id);
        return;
    }
    if (e->hold_map.count == e->plain.s.limits.holds) {
        ret->code = RESULT_HOLD_TABLE_FULL;
        return;
    }
    carry_pool(ret, pool);
    p = &e->pools[h.pool];
    if (!pool_fits(p, h.quantity) && !pool_grants(e, p, h.quantity)) {
        ret->code = RESULT_INSUFFICIENT_CAPACITY;
        return;
    }
    carry_hold(ret, h.id);
    e->plain.s.digest -= pool_hash(p);
    p->held += h.quantity;
    e->plain.s.digest += pool_hash(p);
    hold_add(e, &h);
}

/* 'end' is the state the command leads to. */
static void
pool_end(struct pool_engine *e, struct hold *h, enum hold_state end,
         struct outcome *ret)
{
    bool late = e->plain.s.slot >= h->deadline;

    if (end == HOLD_CONFIRMED && h->state == HOLD_EXPIRED) {
        ret->code = RESULT_HOLD_EXPIRED;
        return;
    }
    if (h->state != HOLD_HELD || (end == HOLD_EXPIRED && !late)) {
        ret->code = RESULT_INVALID_STATE;
        return;
    }
    carry_pool(ret, e->pools[h->pool].id);
    carry_hold(ret, h->id);
    if (end == HOLD_CONFIRMED && late) {
        ret->code = RESULT_HOLD_EXPIRED;
        end = HOLD_EXPIRED;
    }
    hold_end(e, h, end);
}

static void
pool_execute(struct plain_engine *plain, const struct plain_command *c,
             struct outcome *ret)
{
    static const enum hold_state ends[] = {
        [POOL_CONFIRM_HOLD - POOL_CONFIRM_HOLD] = HOLD_CONFIRMED,
        [POOL_RELEASE_HOLD - POOL_CONFIRM_HOLD] = HOLD_RELEASED,
        [POOL_EXPIRE_HOLD - POOL_CONFIRM_HOLD] = HOLD_EXPIRED,
    };
    struct pool_engine *e = (struct pool_engine *)plain;
    uint32_t at;

    if (c->shape->tag == POOL_CREATE) {
        pool_create(e, c, ret);
    } else if (c->shape->tag == POOL_PLACE_HOLD) {
        pool_place(e, c, ret);
    } else if ((at = id_map_get(&e->hold_map, c->fields[0].id)) ==
               ID_MAP_NONE) {
        ret->code = RESULT_HOLD_NOT_FOUND;
    } else {
        pool_end(e, &e->holds[at], ends[c->shape->tag - POOL_CONFIRM_HOLD],
                 ret);
    }
}

/* ---- snapshot ---- */

static void
pool_save(const struct plain_engine *plain, struct buf *out)
{
    const struct pool_engine *e = (const struct pool_engine *)plain;

    write_u32(out, e->pool_map.count);
    for (uint32_t i = 0; i < e->pool_map.count; i++) {
        write_id(out, e->pools[i].id);
        write_u64(out, e->pools[i].total);
        write_u64(out, e->pools[i].held);
        write_u64(out, e->pools[i].consumed);
    }
    write_u32(out, e->hold_map.count);
    for (uint32_t i = 0; i < e->hold_map.count; i++) {
        write_id(out, e->holds[i].id);
        write_u32(out, e->holds[i].pool);
        write_u8(out, (uint8_t)e->holds[i].state);
        write_u64(out, e->holds[i].quantity);
        write_u64(out, e->holds[i].deadline);
    }
}

static bool
pool_load_pools(struct pool_engine *e, struct bytes_reader *r)
{
    uint32_t count = read_u32(r);

    if (count > e->plain.s.limits.pools)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct pool p = {.id = read_id(r)};

        p.total = read_u64(r);
        p.held = read_u64(r);
        p.consumed = read_u64(r);
        if (r->failed || id_map_get(&e->pool_map, p.id) != ID_MAP_NONE)
            return false;
        pool_add(e, &p);
    }
    return true;
}

/* What the pools say is held is exactly what their holds hold. */
static bool
pool_sums_agree(const struct pool_engine *e)
{
    CLEANUP_FREE uint64_t *held =
        xcalloc(e->plain.s.limits.pools, sizeof(held[0]));

    for (uint32_t i = 0; i < e->due.count; i++) {
        const struct hold *h = &e->holds[e->due.items[i].row];

        if (__builtin_add_overflow(held[h->pool], h->quantity, &held[h->pool]))
            return false;
    }
    for (uint32_t i = 0; i < e->pool_map.count; i++)
        if (held[i] != e->pools[i].held)
            return false;
    return true;
}

static bool
pool_load(struct plain_engine *plain, struct bytes_reader *r)
{
    struct pool_engine *e = (struct pool_engine *)plain;
    uint32_t count;

    if (!pool_load_pools(e, r))
        return false;
    count = read_u32(r);
    if (count > plain->s.limits.holds)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct hold h = {.id = read_id(r)};

        h.pool = read_u32(r);
        h.state = (enum hold_state)read_u8(r);
        h.quantity = read_u64(r);
        h.deadline = read_u64(r);
        if (r->failed || h.pool >= e->pool_map.count ||
            h.state >= HOLD_STATE_COUNT ||
            id_map_get(&e->hold_map, h.id) != ID_MAP_NONE)
            return false;
        hold_add(e, &h);
    }
    return pool_sums_agree(e);
}

/* ---- looking in ---- */

static void
query_pool(const struct pool_engine *e, struct id128 id, json_t *ret)
{
    uint32_t at = id_map_get(&e->pool_map, id);

    plain_json_found(ret, at != ID_MAP_NONE);
    if (at == ID_MAP_NONE)
        return;
    json_object_set_new(ret, "total", json_from_u64(e->pools[at].total));
    json_object_set_new(ret, "held", json_from_u64(e->pools[at].held));
    json_object_set_new(ret, "consumed", json_from_u64(e->pools[at].consumed));
}

static void
query_hold(const struct pool_engine *e, struct id128 id, json_t *ret)
{
    static const char *const states[HOLD_STATE_COUNT] = {"held", "confirmed",
                                                         "released", "expired"};
    uint32_t at = id_map_get(&e->hold_map, id);
    const struct hold *h;

    plain_json_found(ret, at != ID_MAP_NONE);
    if (at == ID_MAP_NONE)
        return;
    h = &e->holds[at];
    json_object_set_new(ret, "pool", json_from_id(e->pools[h->pool].id));
    json_object_set_new(ret, "quantity", json_from_u64(h->quantity));
    json_object_set_new(ret, "deadline", json_from_u64(h->deadline));
    json_object_set_new(ret, "state", json_string(states[h->state]));
}

static bool
pool_query(const struct engine *engine, const char *kind, struct id128 id,
           json_t *ret)
{
    const struct pool_engine *e = (const struct pool_engine *)engine;

    if (strcmp(kind, "pool") == 0)
        query_pool(e, id, ret);
    else if (strcmp(kind, "hold") == 0)
        query_hold(e, id, ret);
    else
        return false;
    return true;
}

static void
pool_metrics(const struct engine *engine, struct buf *out)
{
    const struct pool_engine *e = (const struct pool_engine *)engine;
    const struct engine_table tables[] = {
        {"pools", e->pool_map.count, e->plain.s.limits.pools},
        {"holds", e->hold_map.count, e->plain.s.limits.holds},
        {"scheduled", e->due.count, e->plain.s.limits.holds},
    };

    engine_state_metrics(&e->plain.s, tables, ARRAY_LEN(tables), out);
}

static int
pool_parse(const json_t *request, struct buf *out, struct error *err)
{
    return plain_command_parse(pool_shapes, request, out, err);
}

/* ---- life ---- */

static struct engine *
pool_new(const struct engine_limits *limits, enum bug bug)
{
    static const struct plain_ops plain = {.shapes = pool_shapes,
                                           .scoped = true,
                                           .advance = pool_advance,
                                           .execute = pool_execute,
                                           .save = pool_save,
                                           .load = pool_load};
    struct pool_engine *e = xcalloc(1, sizeof(*e));

    plain_engine_init(&e->plain, &plain, limits, bug);
    e->pools = xcalloc(limits->pools, sizeof(e->pools[0]));
    e->holds = xcalloc(limits->holds, sizeof(e->holds[0]));
    id_map_init(&e->pool_map, limits->pools);
    id_map_init(&e->hold_map, limits->holds);
    due_heap_init(&e->due, limits->holds);
    return &e->plain.s.base;
}

static void
pool_free(struct engine *engine)
{
    struct pool_engine *e = (struct pool_engine *)engine;

    engine_state_release(&e->plain.s);
    id_map_release(&e->pool_map);
    id_map_release(&e->hold_map);
    due_heap_release(&e->due);
    free(e->pools);
    free(e->holds);
    free(e);
}

const struct engine_ops engine_pool_ops = {
    PLAIN_ENGINE_METHODS,    .name = "pool",      .new_ = pool_new,
    .free = pool_free,       .parse = pool_parse, .query = pool_query,
    .metrics = pool_metrics,
};
