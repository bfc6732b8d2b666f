/* SPDX-License-Identifier: Apache-2.0 */
/* Most of a snapshot is this table: a record is appended in one piece. */
#include "config.h"

#include <assert.h>

#include "harness/base/arena.h"
#include "replica/engine-state.h"
#include "replica/operations.h"

void
operations_init(struct operation_table *t, uint32_t max)
{
    t->records = xcalloc(max, sizeof(t->records[0]));
    t->head = 0;
    t->max = max;
    t->digest = 0;
    id_map_init(&t->map, max);
}

void
operations_release(struct operation_table *t)
{
    free(t->records);
    t->records = NULL;
    id_map_release(&t->map);
}

uint32_t
operations_count(const struct operation_table *t)
{
    return t->map.count;
}

static struct operation_record *
operations_at(const struct operation_table *t, uint32_t nth)
{
    return &t->records[(t->head + nth) % t->max];
}

static uint64_t
operations_hash(const struct operation_record *o)
{
    const struct outcome *r = &o->outcome;
    uint64_t h = digest_mix_id(digest_mix(3, o->scope), o->id);

    h = digest_mix_id(h, o->fingerprint);
    h = digest_mix(h, o->retire_slot);
    h = digest_mix(h, (uint64_t)r->code);
    h = digest_mix(h, r->has);
    h = digest_mix(h, r->view);
    h = digest_mix(h, r->index);
    h = digest_mix(h, r->slot);
    h = digest_mix_id(h, r->lease);
    h = digest_mix_id(h, r->hold);
    h = digest_mix(h, r->epoch);
    return digest_mix(h, r->deadline);
}

static void
operations_drop(struct operation_table *t)
{
    struct operation_record *o = operations_at(t, 0);

    t->digest -= operations_hash(o);
    id_map_remove_in(&t->map, o->scope, o->id);
    t->head = (t->head + 1) % t->max;
}

void
operations_clear(struct operation_table *t)
{
    while (t->map.count > 0)
        operations_drop(t);
}

void
operations_retire(struct operation_table *t, uint64_t slot)
{
    while (t->map.count > 0 && operations_at(t, 0)->retire_slot < slot)
        operations_drop(t);
}

bool
operations_admit(const struct operation_table *t,
                 const struct operation_record *wanted, struct outcome *ret)
{
    uint32_t at = id_map_get_in(&t->map, wanted->scope, wanted->id);
    const struct operation_record *o;

    if (at == ID_MAP_NONE) {
        if (t->map.count < t->max)
            return true;
        ret->code = RESULT_OPERATION_TABLE_FULL;
        return false;
    }
    o = &t->records[at];
    if (!id128_equal(o->fingerprint, wanted->fingerprint)) {
        ret->code = RESULT_OPERATION_CONFLICT;
        return false;
    }
    *ret = o->outcome;
    ret->cached = true;
    return false;
}

void
operations_append(struct operation_table *t, const struct operation_record *o)
{
    struct operation_record *to = operations_at(t, t->map.count);

    *to = *o;
    t->digest += operations_hash(to);
    id_map_put_in(&t->map, o->scope, o->id, (uint32_t)(to - t->records));
}

static void
operations_save_one(const struct operation_record *o, struct buf *out)
{
    const struct outcome *r = &o->outcome;
    const uint64_t words[] = {
        o->scope,          o->id.lo,       o->id.hi,    o->fingerprint.lo,
        o->fingerprint.hi, o->retire_slot, r->view,     r->index,
        r->slot,           r->lease.lo,    r->lease.hi, r->hold.lo,
        r->hold.hi,        r->epoch,       r->deadline};
    uint8_t bytes[2 + sizeof(words)];

    bytes[0] = (uint8_t)r->code;
    bytes[1] = r->has;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        put_u64(bytes + 2 + 8 * i, words[i]);
    buf_append(out, bytes, sizeof(bytes));
}

void
operations_save(const struct operation_table *t, struct buf *out)
{
    write_u32(out, t->map.count);
    for (uint32_t i = 0; i < t->map.count; i++)
        operations_save_one(operations_at(t, i), out);
}

static bool
operations_load_one(struct operation_table *t, struct bytes_reader *r)
{
    struct operation_record o = {0};

    o.outcome.code = (enum result_code)read_u8(r);
    o.outcome.has = read_u8(r);
    o.scope = read_u64(r);
    o.id = read_id(r);
    o.fingerprint = read_id(r);
    o.retire_slot = read_u64(r);
    o.outcome.view = read_u64(r);
    o.outcome.index = read_u64(r);
    o.outcome.slot = read_u64(r);
    o.outcome.lease = read_id(r);
    o.outcome.hold = read_id(r);
    o.outcome.epoch = read_u64(r);
    o.outcome.deadline = read_u64(r);
    o.outcome.recorded = true;
    if (r->failed || o.outcome.code >= RESULT_CODE_COUNT ||
        id_map_get_in(&t->map, o.scope, o.id) != ID_MAP_NONE)
        return false;
    operations_append(t, &o);
    return true;
}

bool
operations_load(struct operation_table *t, struct bytes_reader *r)
{
    uint32_t count = read_u32(r);

    assert(t->map.count == 0);
    if (count > t->max)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!operations_load_one(t, r))
            return false;
    return true;
}
