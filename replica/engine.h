/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine is a deterministic, bounded state machine behind the log.  Every
 * replica applies the same entries in the same order and must come to the same
 * state and the same answers; the digest shows whether it did.
 *
 *   new -> (load)? -> apply ... (save | query | plan | digest) ... -> free
 *
 * Logical time: the engine's slot is the highest slot of a tick applied so
 * far; every other entry happens in that slot.  Engines read no clock and draw
 * no random numbers.
 *
 * Threads: one (the loop's).  No function blocks or does I/O.
 */
#ifndef ORDEAL_REPLICA_ENGINE_H
#define ORDEAL_REPLICA_ENGINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/buf.h"
#include "harness/base/error.h"
#include "harness/base/id128.h"
#include "replica/bugs.h"

/* Answers of engines; the order is part of the snapshot format. */
enum result_code {
    RESULT_OK = 0,
    RESULT_NOOP,
    RESULT_ALREADY_EXISTS,
    RESULT_RESOURCE_TABLE_FULL,
    RESULT_RESOURCE_NOT_FOUND,
    RESULT_RESOURCE_BUSY,
    RESULT_BUNDLE_TOO_LARGE,
    RESULT_TTL_OUT_OF_RANGE,
    RESULT_RESERVATION_TABLE_FULL,
    RESULT_RESERVATION_MEMBER_TABLE_FULL,
    RESULT_RESERVATION_NOT_FOUND,
    RESULT_RESERVATION_RETIRED,
    RESULT_EXPIRATION_INDEX_FULL,
    RESULT_OPERATION_TABLE_FULL,
    RESULT_OPERATION_CONFLICT,
    RESULT_INVALID_STATE,
    RESULT_HOLDER_MISMATCH,
    RESULT_STALE_EPOCH,
    RESULT_SLOT_OVERFLOW,
    RESULT_INVALID_REQUEST, /* bytes in the log that are no command */
    RESULT_BUCKET_TABLE_FULL,
    RESULT_BUCKET_NOT_FOUND,
    RESULT_INSUFFICIENT_FUNDS,
    RESULT_POOL_TABLE_FULL,
    RESULT_POOL_NOT_FOUND,
    RESULT_HOLD_TABLE_FULL,
    RESULT_HOLD_NOT_FOUND,
    RESULT_INSUFFICIENT_CAPACITY,
    RESULT_HOLD_EXPIRED,
    RESULT_BLOCK_NOT_FOUND,
    RESULT_VALUE_MISMATCH,
};
#define RESULT_CODE_COUNT 31

const char *result_code_name(enum result_code code); /* "resource_busy" */

/* Sizes of the tables, the same on all replicas; part of the snapshot. */
struct engine_limits {
    uint32_t resources, reservations, bundle, members, operations;
    uint32_t bucket;               /* scheduled leases per expiry bucket */
    uint32_t expirations_per_tick; /* expire entries one tick may cause */
    uint32_t buckets;              /* of quota */
    uint32_t pools, holds;         /* of pool */
    uint32_t blocks;               /* of block: they all exist */
    uint64_t ttl_slots, retry_slots, history_slots;
};
extern const struct engine_limits engine_limits_default;

/* Highest slot: JSON integers end at 2^63-1. */
#define ENGINE_SLOT_MAX ((uint64_t)INT64_MAX)

struct engine_entry {
    uint64_t view, index; /* index grows from entry to entry */
    const void *payload;
    size_t len;
};

/* What an answer carries beside its code. */
enum outcome_field {
    OUTCOME_LEASE = 1 << 0, /* and epoch */
    OUTCOME_DEADLINE = 1 << 1,
    OUTCOME_BUCKET = 1 << 2,
    OUTCOME_BALANCE = 1 << 3,
    OUTCOME_POOL = 1 << 4,
    OUTCOME_HOLD = 1 << 5,
    OUTCOME_VERSION = 1 << 6,
    OUTCOME_VALUE = 1 << 7,
};

/* What an entry came to.  For a cached answer: what the first one came to. */
struct outcome {
    enum result_code code;
    bool recorded, cached;
    uint8_t has; /* OUTCOME_ bits */
    uint64_t view, index, slot;
    union {
        struct id128 lease, bucket, pool;
    };
    struct id128 hold;
    union {
        uint64_t epoch, balance, version, value;
    };
    uint64_t deadline;
};

struct engine;

struct engine_ops {
    const char *name;
    struct engine *(*new_)(const struct engine_limits *limits, enum bug bug);
    void (*free)(struct engine *e);

    void (*apply)(struct engine *e, const struct engine_entry *entry,
                  struct outcome *ret);
    uint64_t (*slot)(const struct engine *e);

    /*
     * What the primary must append after a tick to 'slot': emit is called for
     * each payload, in the order in which they have to enter the log.
     */
    void (*plan)(const struct engine *e, uint64_t slot,
                 void (*emit)(void *ctx, const void *payload, size_t len),
                 void *ctx);

    /* State after the last entry; O(1).  Equal states, equal digests. */
    uint64_t (*digest)(const struct engine *e);

    void (*save)(const struct engine *e, struct buf *out);
    /* Into a fresh engine.  On error the engine may only be freed. */
    int (*load)(struct engine *e, const void *data, size_t len,
                struct error *err);
    void (*forget_operations)(struct engine *e); /* for the planted bug */

    /* A request's JSON to a payload; CONFIG error: invalid_request. */
    int (*parse)(const json_t *request, struct buf *out, struct error *err);

    /* The payload of a tick. */
    void (*tick)(uint64_t client, uint64_t slot, struct buf *out);

    /* Sets the fields of a GET /v1/KIND/ID answer; false: no such kind. */
    bool (*query)(const struct engine *e, const char *kind, struct id128 id,
                  json_t *ret);

    /* One item of a tick's "expired" list; NULL: nothing expired. */
    json_t *(*expired)(const struct engine *e, const void *payload, size_t len,
                       const struct outcome *outcome);
    void (*metrics)(const struct engine *e, struct buf *out);
};

/* State behind the ops; implementations embed it first. */
struct engine {
    const struct engine_ops *ops;
};

extern const struct engine_ops engine_lease_ops, engine_quota_ops,
    engine_pool_ops, engine_block_ops;

/* NULL: no engine has this name. */
const struct engine_ops *engine_named(const char *name);

struct engine *engine_new(const struct engine_ops *ops,
                          const struct engine_limits *limits, enum bug bug);
void engine_free(struct engine *e);

#endif
