/* SPDX-License-Identifier: Apache-2.0 */
/* Names and defaults common to all engines. */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "replica/engine.h"

/*
 * The tables of the original engine, except operations: with time moved only
 * by ticks, a fast cluster runs many operations within one dedupe window, and
 * holds, which are never removed.
 */
const struct engine_limits engine_limits_default = {
    .resources = 1024,
    .reservations = 1024,
    .bundle = 64,
    .members = 4096,
    .operations = 65536,
    .bucket = 1024,
    .expirations_per_tick = 64,
    .buckets = 1024,
    .pools = 1024,
    .holds = 65536,
    .blocks = 1024,
    .ttl_slots = 256,
    .retry_slots = 128,
    .history_slots = 64,
};

const char *
result_code_name(enum result_code code)
{
    static const char *const names[RESULT_CODE_COUNT] = {
        [RESULT_OK] = "ok",
        [RESULT_NOOP] = "noop",
        [RESULT_ALREADY_EXISTS] = "already_exists",
        [RESULT_RESOURCE_TABLE_FULL] = "resource_table_full",
        [RESULT_RESOURCE_NOT_FOUND] = "resource_not_found",
        [RESULT_RESOURCE_BUSY] = "resource_busy",
        [RESULT_BUNDLE_TOO_LARGE] = "bundle_too_large",
        [RESULT_TTL_OUT_OF_RANGE] = "ttl_out_of_range",
        [RESULT_RESERVATION_TABLE_FULL] = "reservation_table_full",
        [RESULT_RESERVATION_MEMBER_TABLE_FULL] =
            "reservation_member_table_full",
        [RESULT_RESERVATION_NOT_FOUND] = "reservation_not_found",
        [RESULT_RESERVATION_RETIRED] = "reservation_retired",
        [RESULT_EXPIRATION_INDEX_FULL] = "expiration_index_full",
        [RESULT_OPERATION_TABLE_FULL] = "operation_table_full",
        [RESULT_OPERATION_CONFLICT] = "operation_conflict",
        [RESULT_INVALID_STATE] = "invalid_state",
        [RESULT_HOLDER_MISMATCH] = "holder_mismatch",
        [RESULT_STALE_EPOCH] = "stale_epoch",
        [RESULT_SLOT_OVERFLOW] = "slot_overflow",
        [RESULT_INVALID_REQUEST] = "invalid_request",
        [RESULT_BUCKET_TABLE_FULL] = "bucket_table_full",
        [RESULT_BUCKET_NOT_FOUND] = "bucket_not_found",
        [RESULT_INSUFFICIENT_FUNDS] = "insufficient_funds",
        [RESULT_POOL_TABLE_FULL] = "pool_table_full",
        [RESULT_POOL_NOT_FOUND] = "pool_not_found",
        [RESULT_HOLD_TABLE_FULL] = "hold_table_full",
        [RESULT_HOLD_NOT_FOUND] = "hold_not_found",
        [RESULT_INSUFFICIENT_CAPACITY] = "insufficient_capacity",
        [RESULT_HOLD_EXPIRED] = "hold_expired",
        [RESULT_BLOCK_NOT_FOUND] = "block_not_found",
        [RESULT_VALUE_MISMATCH] = "value_mismatch",
    };

    assert((unsigned)code < RESULT_CODE_COUNT);
    return names[code];
}

const struct engine_ops *
engine_named(const char *name)
{
    static const struct engine_ops *const engines[] = {
        &engine_lease_ops, &engine_quota_ops, &engine_pool_ops,
        &engine_block_ops};

    for (size_t i = 0; i < ARRAY_LEN(engines); i++)
        if (strcmp(engines[i]->name, name) == 0)
            return engines[i];
    return NULL;
}

struct engine *
engine_new(const struct engine_ops *ops, const struct engine_limits *limits,
           enum bug bug)
{
    struct engine *e = ops->new_(limits, bug);

    e->ops = ops;
    return e;
}

void
engine_free(struct engine *e)
{
    if (e != NULL)
        e->ops->free(e);
}
