/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quota engine: buckets of tokens that refill with the slots.
 *
 *   balance in slot s = min(limit, balance + (s - since) * refill)
 *
 * The refill is worked out by the next debit, also by one that is refused.
 * Buckets are never removed.
 */
#include "config.h"

#include <string.h>

#include "harness/base/arena.h"
#include "replica/engine-plain.h"
#include "replica/json.h"

struct bucket {
    struct id128 id;
    uint64_t limit, refill, balance, since;
};

struct quota_engine {
    struct plain_engine plain;
    struct bucket *buckets;
    struct id_map map;
};

enum { QUOTA_CREATE_BUCKET = 32, QUOTA_DEBIT = 33 };

const struct plain_shape quota_shapes[] = {
    {.tag = QUOTA_CREATE_BUCKET,
     .name = "create_bucket",
     .fields = {PLAIN_ID("bucket"), PLAIN_NUMBER("limit"),
                PLAIN_NUMBER("initial"), PLAIN_NUMBER("refill")},
     .at_most_previous = 2},
    {.tag = QUOTA_DEBIT,
     .name = "debit",
     .fields = {PLAIN_ID("bucket"), PLAIN_BOUNDED("amount", 1, 0)}},
    {0}};

static uint64_t
bucket_hash(const struct bucket *b)
{
    uint64_t h = digest_mix_id(5, b->id);

    h = digest_mix(h, b->limit);
    h = digest_mix(h, b->refill);
    h = digest_mix(h, b->balance);
    return digest_mix(h, b->since);
}

/* The bucket's place is the next one: there must be room. */
static void
bucket_add(struct quota_engine *q, const struct bucket *b)
{
    q->buckets[q->map.count] = *b;
    id_map_put(&q->map, b->id, q->map.count);
    q->plain.s.digest += bucket_hash(b);
}

static void
quota_create(struct quota_engine *q, const struct plain_command *c,
             struct outcome *ret)
{
    struct bucket b = {.id = c->fields[0].id,
                       .limit = c->fields[1].number,
                       .balance = c->fields[2].number,
                       .refill = c->fields[3].number,
                       .since = q->plain.s.slot};

    if (id_map_get(&q->map, b.id) != ID_MAP_NONE) {
        ret->code = RESULT_ALREADY_EXISTS;
    } else if (q->map.count == q->plain.s.limits.buckets) {
        ret->code = RESULT_BUCKET_TABLE_FULL;
    } else {
        bucket_add(q, &b);
        ret->has = OUTCOME_BUCKET;
        ret->bucket = b.id;
    }
}

static void
bucket_refill(struct bucket *b, uint64_t slot)
{
    uint64_t more, sum;

    if (__builtin_mul_overflow(slot - b->since, b->refill, &more) ||
        __builtin_add_overflow(b->balance, more, &sum) || sum > b->limit)
        sum = b->limit;
    b->balance = sum;
    b->since = slot;
}

static void
bucket_take(struct quota_engine *q, struct bucket *b, uint64_t amount,
            struct outcome *ret)
{
    bool enough = b->balance >= amount;

    ret->has = OUTCOME_BALANCE;
    /* Bug overspend: what there is is taken, and the rest forgiven. */
    if (enough || engine_grants_refusal(&q->plain.s, BUG_OVERSPEND)) {
        b->balance -= enough ? amount : b->balance;
        ret->has |= OUTCOME_BUCKET;
        ret->bucket = b->id;
    } else {
        ret->code = RESULT_INSUFFICIENT_FUNDS;
    }
    ret->balance = b->balance;
}

static void
quota_debit(struct quota_engine *q, const struct plain_command *c,
            struct outcome *ret)
{
    uint32_t at = id_map_get(&q->map, c->fields[0].id);
    struct bucket *b;

    if (at == ID_MAP_NONE) {
        ret->code = RESULT_BUCKET_NOT_FOUND;
        return;
    }
    b = &q->buckets[at];
    q->plain.s.digest -= bucket_hash(b);
    bucket_refill(b, q->plain.s.slot);
    bucket_take(q, b, c->fields[1].number, ret);
    q->plain.s.digest += bucket_hash(b);
}

static void
quota_execute(struct plain_engine *e, const struct plain_command *c,
              struct outcome *ret)
{
    struct quota_engine *q = (struct quota_engine *)e;

    if (c->shape->tag == QUOTA_CREATE_BUCKET)
        quota_create(q, c, ret);
    else
        quota_debit(q, c, ret);
}

static void
quota_save(const struct plain_engine *e, struct buf *out)
{
    const struct quota_engine *q = (const struct quota_engine *)e;

    write_u32(out, q->map.count);
    for (uint32_t i = 0; i < q->map.count; i++) {
        write_id(out, q->buckets[i].id);
        write_u64(out, q->buckets[i].limit);
        write_u64(out, q->buckets[i].refill);
        write_u64(out, q->buckets[i].balance);
        write_u64(out, q->buckets[i].since);
    }
}

static bool
quota_load(struct plain_engine *e, struct bytes_reader *r)
{
    struct quota_engine *q = (struct quota_engine *)e;
    uint32_t count = read_u32(r);

    if (count > e->s.limits.buckets)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct bucket b = {.id = read_id(r)};

        b.limit = read_u64(r);
        b.refill = read_u64(r);
        b.balance = read_u64(r);
        b.since = read_u64(r);
        if (r->failed || b.balance > b.limit || b.since > e->s.slot ||
            id_map_get(&q->map, b.id) != ID_MAP_NONE)
            return false;
        bucket_add(q, &b);
    }
    return true;
}

static bool
quota_query(const struct engine *engine, const char *kind, struct id128 id,
            json_t *ret)
{
    const struct quota_engine *q = (const struct quota_engine *)engine;
    uint32_t at = id_map_get(&q->map, id);
    const struct bucket *b;

    if (strcmp(kind, "bucket") != 0)
        return false;
    plain_json_found(ret, at != ID_MAP_NONE);
    if (at == ID_MAP_NONE)
        return true;
    b = &q->buckets[at];
    json_object_set_new(ret, "limit", json_from_u64(b->limit));
    json_object_set_new(ret, "refill", json_from_u64(b->refill));
    json_object_set_new(ret, "balance", json_from_u64(b->balance));
    json_object_set_new(ret, "since", json_from_u64(b->since));
    return true;
}

static void
quota_metrics(const struct engine *engine, struct buf *out)
{
    const struct quota_engine *q = (const struct quota_engine *)engine;
    const struct engine_table tables[] = {
        {"buckets", q->map.count, q->plain.s.limits.buckets}};

    engine_state_metrics(&q->plain.s, tables, ARRAY_LEN(tables), out);
}

static int
quota_parse(const json_t *request, struct buf *out, struct error *err)
{
    return plain_command_parse(quota_shapes, request, out, err);
}

static struct engine *
quota_new(const struct engine_limits *limits, enum bug bug)
{
    static const struct plain_ops plain = {.shapes = quota_shapes,
                                           .execute = quota_execute,
                                           .save = quota_save,
                                           .load = quota_load};
    struct quota_engine *q = xcalloc(1, sizeof(*q));

    plain_engine_init(&q->plain, &plain, limits, bug);
    q->buckets = xcalloc(limits->buckets, sizeof(q->buckets[0]));
    id_map_init(&q->map, limits->buckets);
    return &q->plain.s.base;
}

static void
quota_free(struct engine *engine)
{
    struct quota_engine *q = (struct quota_engine *)engine;

    engine_state_release(&q->plain.s);
    id_map_release(&q->map);
    free(q->buckets);
    free(q);
}

const struct engine_ops engine_quota_ops = {
    PLAIN_ENGINE_METHODS,     .name = "quota",      .new_ = quota_new,
    .free = quota_free,       .parse = quota_parse, .query = quota_query,
    .metrics = quota_metrics,
};
