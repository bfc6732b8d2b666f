/* SPDX-License-Identifier: Apache-2.0 */
/* Names and defaults common to all engines. */
#include "config.h"

#include <assert.h>

#include "replica/engine.h"

/*
 * The tables of the original engine, except operations: with time moved only
 * by ticks, a fast cluster runs many operations within one dedupe window.
 */
const struct engine_limits engine_limits_default = {
    .resources = 1024,
    .reservations = 1024,
    .bundle = 64,
    .members = 4096,
    .operations = 65536,
    .bucket = 1024,
    .expirations_per_tick = 64,
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
    };

    assert((unsigned)code < RESULT_CODE_COUNT);
    return names[code];
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
