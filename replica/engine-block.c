/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block engine: a fixed array of registers.  All blocks exist from the
 * start, with value 0 and version 0; every ok raises the block's version by
 * one.
 */
#include "config.h"

#include <string.h>

#include "harness/base/arena.h"
#include "replica/engine-plain.h"
#include "replica/json.h"

/* What every JSON reader keeps exactly. */
#define BLOCK_VALUE_MAX (UINT64_C(1) << 53)

struct block {
    uint64_t value, version;
};

struct block_engine {
    struct plain_engine plain;
    struct block *blocks;
};

enum { BLOCK_WRITE = 48, BLOCK_CAS = 49 };

const struct plain_shape block_shapes[] = {
    {.tag = BLOCK_WRITE,
     .name = "write",
     .fields = {PLAIN_NUMBER("block"),
                PLAIN_BOUNDED("value", 0, BLOCK_VALUE_MAX)}},
    {.tag = BLOCK_CAS,
     .name = "cas",
     .fields = {PLAIN_NUMBER("block"),
                PLAIN_BOUNDED("expected", 0, BLOCK_VALUE_MAX),
                PLAIN_BOUNDED("value", 0, BLOCK_VALUE_MAX)}},
    {0}};

/* Of block 'k'; an untouched block adds nothing. */
static uint64_t
block_hash(uint64_t k, const struct block *b)
{
    if (b->version == 0)
        return 0;
    return digest_mix(digest_mix(digest_mix(7, k), b->value), b->version);
}

static void
block_execute(struct plain_engine *e, const struct plain_command *c,
              struct outcome *ret)
{
    struct block_engine *a = (struct block_engine *)e;
    bool cas = c->shape->tag == BLOCK_CAS;
    uint64_t k = c->fields[0].number;
    struct block *b;

    if (k >= e->s.limits.blocks) {
        ret->code = RESULT_BLOCK_NOT_FOUND;
        return;
    }
    b = &a->blocks[k];
    if (cas && b->value != c->fields[1].number &&
        !engine_grants_refusal(&e->s, BUG_STALE_CAS)) {
        ret->code = RESULT_VALUE_MISMATCH;
        ret->has = OUTCOME_VALUE;
        ret->value = b->value;
        return;
    }
    e->s.digest -= block_hash(k, b);
    b->value = c->fields[cas ? 2 : 1].number;
    b->version++;
    e->s.digest += block_hash(k, b);
    ret->has = OUTCOME_VERSION;
    ret->version = b->version;
}

static void
block_save(const struct plain_engine *e, struct buf *out)
{
    const struct block_engine *a = (const struct block_engine *)e;

    for (uint32_t k = 0; k < e->s.limits.blocks; k++) {
        write_u64(out, a->blocks[k].value);
        write_u64(out, a->blocks[k].version);
    }
}

static bool
block_load(struct plain_engine *e, struct bytes_reader *r)
{
    struct block_engine *a = (struct block_engine *)e;

    for (uint32_t k = 0; k < e->s.limits.blocks; k++) {
        struct block *b = &a->blocks[k];

        b->value = read_u64(r);
        b->version = read_u64(r);
        if (r->failed || b->value > BLOCK_VALUE_MAX ||
            (b->version == 0 && b->value != 0))
            return false;
        e->s.digest += block_hash(k, b);
    }
    return true;
}

static bool
block_query(const struct engine *engine, const char *kind, struct id128 id,
            json_t *ret)
{
    const struct block_engine *a = (const struct block_engine *)engine;
    bool found = id.hi == 0 && id.lo < a->plain.s.limits.blocks;

    if (strcmp(kind, "block") != 0)
        return false;
    plain_json_found(ret, found);
    if (!found)
        return true;
    json_object_set_new(ret, "value", json_from_u64(a->blocks[id.lo].value));
    json_object_set_new(ret, "version",
                        json_from_u64(a->blocks[id.lo].version));
    return true;
}

static void
block_metrics(const struct engine *engine, struct buf *out)
{
    const struct block_engine *a = (const struct block_engine *)engine;
    const struct engine_table tables[] = {
        {"blocks", a->plain.s.limits.blocks, a->plain.s.limits.blocks}};

    engine_state_metrics(&a->plain.s, tables, ARRAY_LEN(tables), out);
}

static int
block_parse(const json_t *request, struct buf *out, struct error *err)
{
    return plain_command_parse(block_shapes, request, out, err);
}

static struct engine *
block_new(const struct engine_limits *limits, enum bug bug)
{
    static const struct plain_ops plain = {.shapes = block_shapes,
                                           .execute = block_execute,
                                           .save = block_save,
                                           .load = block_load};
    struct block_engine *a = xcalloc(1, sizeof(*a));

    plain_engine_init(&a->plain, &plain, limits, bug);
    a->blocks = xcalloc(limits->blocks, sizeof(a->blocks[0]));
    return &a->plain.s.base;
}

static void
block_free(struct engine *engine)
{
    struct block_engine *a = (struct block_engine *)engine;

    engine_state_release(&a->plain.s);
    free(a->blocks);
    free(a);
}

const struct engine_ops engine_block_ops = {
    PLAIN_ENGINE_METHODS,     .name = "block",      .new_ = block_new,
    .free = block_free,       .parse = block_parse, .query = block_query,
    .metrics = block_metrics,
};
