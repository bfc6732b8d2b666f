/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease engine: resources that are reserved, alone or in bundles, by
 * holders for a number of slots, with a fencing epoch on each lease.
 *
 *   available --reserve--> reserved --confirm--> active --revoke--> revoking
 *       ^                    |    |                |                    |
 *       +------- release ----+    +-- expire       +-- release          |
 *       +--------------------------------------------------- reclaim ---+
 *
 * A lease that ended (released, expired, revoked) stays readable for
 * history_slots, then it is retired: deleted, its id at or below the watermark.
 * Answers are kept per operation id for ttl_slots + retry_slots.
 *
 * This header is the typed inside of engine_lease_ops, for its JSON half and
 * for tests.
 */
#ifndef ORDEAL_REPLICA_ENGINE_LEASE_H
#define ORDEAL_REPLICA_ENGINE_LEASE_H

#include "replica/command.h"
#include "replica/engine.h"

enum resource_state {
    RESOURCE_AVAILABLE = 0,
    RESOURCE_RESERVED,
    RESOURCE_ACTIVE,
    RESOURCE_REVOKING,
};
#define RESOURCE_STATE_COUNT 4

enum lease_state {
    LEASE_RESERVED = 0,
    LEASE_ACTIVE,
    LEASE_REVOKING,
    LEASE_RELEASED,
    LEASE_EXPIRED,
    LEASE_REVOKED,
};
#define LEASE_STATE_COUNT 6

struct resource_view {
    enum resource_state state;
    uint64_t version;
    struct id128 lease; /* zero: none */
};

struct lease_view {
    enum lease_state state;
    struct id128 holder;
    uint64_t epoch, deadline, created;
    uint64_t released; /* 0: not released */
    bool ended;        /* retire_after is meaningful */
    uint64_t retire_after;
    uint32_t resource_count;
    struct id128 resources[COMMAND_RESOURCES_MAX];
};

const char *resource_state_name(enum resource_state state);
const char *lease_state_name(enum lease_state state);

/* False: no such resource. */
bool engine_lease_get_resource(const struct engine *e, struct id128 id,
                               struct resource_view *ret);

/* False: not there; then *ret_retired tells whether it is retired. */
bool engine_lease_get_lease(const struct engine *e, struct id128 id,
                            struct lease_view *ret, bool *ret_retired);

struct engine_lease_counts {
    uint32_t resources, leases, members, operations, scheduled;
    uint64_t retired_watermark, refusals;
};
void engine_lease_count(const struct engine *e,
                        struct engine_lease_counts *ret);

/* The JSON half (engine-lease-json.c). */
int lease_json_parse(const json_t *request, struct buf *out, struct error *err);
bool lease_json_query(const struct engine *e, const char *kind, struct id128 id,
                      json_t *ret);
json_t *lease_json_expired(const struct engine *e, const void *payload,
                           size_t len, const struct outcome *outcome);

#endif
