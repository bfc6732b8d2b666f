/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases that live for a second or two, on resources that others wait for: most
 * expire, many of them while there is no primary, so that the first tick of the
 * next one finds a crowd that is due.  Late expiry is legal, early is not.
 *
 * Three phases: leases are taken, time runs and they are read, holders come too
 * late and confirm what may be gone.
 */
#include "config.h"

#include "workloads/allocator.h"

static const struct allocator_phase expiration_phases[] = {
    {
        .ticks = 12,
        .tick_spacing_ms = 250,
        .weights = {[ALLOCATOR_RESERVE] = 50,
                    [ALLOCATOR_BUNDLE] = 12,
                    [ALLOCATOR_CONFIRM] = 4,
                    [ALLOCATOR_READ_LEASE] = 12,
                    [ALLOCATOR_READ_ELSEWHERE] = 6,
                    [ALLOCATOR_REPEAT] = 8,
                    [ALLOCATOR_TICK] = 4},
    },
    {
        .ticks = 16,
        .tick_spacing_ms = 200,
        .weights = {[ALLOCATOR_RESERVE] = 16,
                    [ALLOCATOR_READ_LEASE] = 30,
                    [ALLOCATOR_READ_RESOURCE] = 16,
                    [ALLOCATOR_READ_OWN] = 10,
                    [ALLOCATOR_READ_FENCED] = 6,
                    [ALLOCATOR_TICK] = 12},
    },
    {
        .ticks = 12,
        .tick_spacing_ms = 250,
        .weights = {[ALLOCATOR_RESERVE] = 20,
                    [ALLOCATOR_CONFIRM] = 24,
                    [ALLOCATOR_RELEASE] = 20,
                    [ALLOCATOR_REVOKE] = 6,
                    [ALLOCATOR_RECLAIM] = 10,
                    [ALLOCATOR_STALE] = 10,
                    [ALLOCATOR_READ_LEASE] = 10,
                    [ALLOCATOR_TICK] = 6},
    },
};

static const struct allocator_family expiration_family = {
    .ops = &workload_expiration_and_recovery_ops,
    .phases = expiration_phases,
    .phase_count = ARRAY_LEN(expiration_phases),
    .resources = 16,
    .ttl_min = 1,
    .ttl_max = 8,
    .tick_every = 2,
    .duplicate_percent = 5,
    .stray_percent = 12,
    .window_slots = 384,
};

static struct workload *
expiration_new(const json_t *params, uint64_t seed, unsigned client_count,
               struct error *err)
{
    return allocator_new(&expiration_family, params, seed, client_count, err);
}

const struct workload_ops workload_expiration_and_recovery_ops = {
    .name = "expiration_and_recovery",
    .description = "short leases that come due while primaries come and go",
    .new_ = expiration_new,
    ALLOCATOR_WORKLOAD_OPS,
};
