/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients compete for a few resources: they reserve one or several, confirm,
 * release, revoke, reclaim, read, and let leases expire.  On purpose they also
 *
 *  - send an operation again, at once and many seconds later: the answer must
 *    be the recorded one, also from a primary that has restarted since;
 *  - use an operation's id for other contents: operation_conflict;
 *  - confirm and release with an epoch that is not the lease's, older or newer,
 *    or as another holder: stale_epoch, holder_mismatch;
 *  - read with claim "linearizable" wherever, so that a deposed primary is
 *    asked too; only a primary may answer that;
 *  - read behind a fence: with the position of their own last write.
 *
 * At the default 250 ms a tick the replica's dedupe window of 384 slots lasts
 * at least 96 s, longer than any planned outage together with the retries after
 * it.
 */
#include "config.h"

#include "workloads/allocator.h"

static const struct allocator_phase contention_phases[] = {{
    .tick_spacing_ms = 250,
    .weights = {[ALLOCATOR_RESERVE] = 24,
                [ALLOCATOR_BUNDLE] = 5,
                [ALLOCATOR_CONFIRM] = 14,
                [ALLOCATOR_RELEASE] = 14,
                [ALLOCATOR_REVOKE] = 4,
                [ALLOCATOR_RECLAIM] = 6,
                [ALLOCATOR_READ_RESOURCE] = 9,
                [ALLOCATOR_READ_LEASE] = 8,
                [ALLOCATOR_READ_ELSEWHERE] = 9,
                [ALLOCATOR_READ_ANY] = 4,
                [ALLOCATOR_READ_FENCED] = 5,
                [ALLOCATOR_REPEAT] = 10,
                [ALLOCATOR_REUSE] = 2,
                [ALLOCATOR_STALE] = 5,
                [ALLOCATOR_TICK] = 1},
}};

static const struct allocator_family contention_family = {
    .ops = &workload_reservation_contention_ops,
    .phases = contention_phases,
    .phase_count = ARRAY_LEN(contention_phases),
    .resources = 8,
    .ttl_min = 4,
    .ttl_max = 40,
    .tick_every = 3,
    .duplicate_percent = 6,
    .window_slots = 384,
};

static struct workload *
contention_new(const json_t *params, uint64_t seed, unsigned client_count,
               struct error *err)
{
    return allocator_new(&contention_family, params, seed, client_count, err);
}

const struct workload_ops workload_reservation_contention_ops = {
    .name = "reservation_contention",
    .description = "clients compete for a few leased resources, retry, repeat "
                   "and use stale epochs on purpose",
    .new_ = contention_new,
    ALLOCATOR_WORKLOAD_OPS,
};
