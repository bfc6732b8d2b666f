/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of quotas, pools and blocks (docs/ARCHITECTURE.md, "History
 * conventions").  Everything but ids of operations is a natural number, and
 * becomes an entry of a span: contents are compared by it, and a rule reads the
 * numbers back with table_number().
 *
 * Failure modes: as decode.c.
 */
#include "config.h"

#include <assert.h>

#include "analyzer/table.h"

#define ENGINE_FIELDS_MAX 4

/* The fields in the order of the enums in table.h; 'amount' apart. */
static const struct engine_function {
    enum function function;
    const char *amount; /* or NULL */
    const char *fields[ENGINE_FIELDS_MAX + 1];
} engine_functions[] = {
    {FUNCTION_CREATE_BUCKET,
     NULL,
     {"bucket", "limit", "initial", "refill", NULL}},
    {FUNCTION_DEBIT, "amount", {"bucket", NULL}},
    {FUNCTION_CREATE_POOL, "total", {"pool", NULL}},
    {FUNCTION_PLACE_HOLD, "quantity", {"pool", "hold", "deadline", NULL}},
    {FUNCTION_CONFIRM_HOLD, NULL, {"hold", NULL}},
    {FUNCTION_RELEASE_HOLD, NULL, {"hold", NULL}},
    {FUNCTION_EXPIRE_HOLD, NULL, {"hold", NULL}},
    {FUNCTION_WRITE, "value", {"block", NULL}},
    {FUNCTION_CAS, "value", {"block", "expected", NULL}},
    {FUNCTION_GET_BUCKET, NULL, {"bucket", NULL}},
    {FUNCTION_GET_POOL, NULL, {"pool", NULL}},
    {FUNCTION_GET_HOLD, NULL, {"hold", NULL}},
    {FUNCTION_GET_BLOCK, NULL, {"block", NULL}},
};

/* What a read that found its object shows. */
static const struct engine_function engine_reads[] = {
    {FUNCTION_GET_BUCKET, NULL, {"limit", "balance", NULL}},
    {FUNCTION_GET_POOL, NULL, {"total", "held", "consumed", NULL}},
    {FUNCTION_GET_HOLD, NULL, {"quantity", "deadline", NULL}},
    {FUNCTION_GET_BLOCK, NULL, {"value", NULL}},
};

static int
engine_lacks(struct table *t, const struct event *e, const char *key)
{
    table_cut(t, "event %u (%.40s): field '%s' is missing or not valid",
              (uint32_t)e->index, e->function, key);
    return -1;
}

static int
engine_numbers(struct table *t, const struct event *e,
               const char *const *fields, struct span *ret)
{
    struct span span = {t->list_count, 0};

    for (; fields[span.count] != NULL; span.count++) {
        struct id128 id;

        if (!fields_id(&e->fields, fields[span.count], &id))
            return engine_lacks(t, e, fields[span.count]);
        table_list_push(t, table_intern(t, id));
    }
    *ret = span;
    return 0;
}

int
decode_engine_invocation(struct table *t, const struct event *e,
                         struct invocation *ret)
{
    const struct engine_function *f = engine_functions;

    while (f->function != ret->function)
        f++;
    assert(f < engine_functions + ARRAY_LEN(engine_functions));
    if (engine_numbers(t, e, f->fields, &ret->resources) < 0)
        return -1;
    if (f->amount != NULL &&
        (!fields_int(&e->fields, f->amount, &ret->amount) || ret->amount < 0))
        return engine_lacks(t, e, f->amount);
    return 0;
}

int
decode_engine_read(struct table *t, const struct event *e, enum function f,
                   struct answer *ret)
{
    const struct engine_function *read = engine_reads;

    while (read->function != f)
        read++;
    assert(read < engine_reads + ARRAY_LEN(engine_reads));
    return engine_numbers(t, e, read->fields, &ret->resources);
}

int64_t
table_number(const struct table *t, struct span span, unsigned i)
{
    struct id128 id;

    if (i >= span.count)
        return -1;
    id = t->ids[t->lists[span.first + i]];
    return id.hi == 0 && id.lo <= INT64_MAX ? (int64_t)id.lo : -1;
}
