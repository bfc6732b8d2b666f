/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of leases that are taken away: bundles on few resources, revoked and
 * reclaimed while their holders go on, with epochs that were good a moment ago.
 * Several clients share a holder, so that one ends what another believes to
 * hold.  Long leases: most end by command, not by time.
 */
#include "config.h"

#include "workloads/allocator.h"

static const struct allocator_phase safety_phases[] = {{
    .tick_spacing_ms = 250,
    .weights = {[ALLOCATOR_RESERVE] = 8,
                [ALLOCATOR_BUNDLE] = 20,
                [ALLOCATOR_CONFIRM] = 20,
                [ALLOCATOR_RELEASE] = 10,
                [ALLOCATOR_REVOKE] = 16,
                [ALLOCATOR_RECLAIM] = 16,
                [ALLOCATOR_STALE] = 20,
                [ALLOCATOR_READ_LEASE] = 8,
                [ALLOCATOR_READ_RESOURCE] = 6,
                [ALLOCATOR_READ_ELSEWHERE] = 4,
                [ALLOCATOR_REPEAT] = 8,
                [ALLOCATOR_REUSE] = 2},
}};

static const struct allocator_family safety_family = {
    .ops = &workload_lease_safety_ops,
    .phases = safety_phases,
    .phase_count = ARRAY_LEN(safety_phases),
    .resources = 9,
    .holders = 3,
    .ttl_min = 20,
    .ttl_max = 80,
    .tick_every = 3,
    .duplicate_percent = 5,
    .window_slots = 384,
};

static struct workload *
safety_new(const json_t *params, uint64_t seed, unsigned client_count,
           struct error *err)
{
    return allocator_new(&safety_family, params, seed, client_count, err);
}

const struct workload_ops workload_lease_safety_ops = {
    .name = "lease_safety",
    .description = "bundles are revoked and reclaimed under holders that go "
                   "on with stale epochs",
    .new_ = safety_new,
    ALLOCATOR_WORKLOAD_OPS,
};
