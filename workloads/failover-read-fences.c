/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of every claim at every node while primaries come and go.  Half of the
 * clients only read; they are handed the fences of those who write, as a reader
 * is who was told "it is done".  Writers read their own writes, mostly at nodes
 * that did not take them.
 */
#include "config.h"

#include "workloads/allocator.h"

static const struct allocator_phase fences_phases[] = {{
    .tick_spacing_ms = 250,
    .weights = {[ALLOCATOR_RESERVE] = 16,
                [ALLOCATOR_BUNDLE] = 2,
                [ALLOCATOR_CONFIRM] = 8,
                [ALLOCATOR_RELEASE] = 12,
                [ALLOCATOR_REVOKE] = 2,
                [ALLOCATOR_RECLAIM] = 3,
                [ALLOCATOR_READ_RESOURCE] = 6,
                [ALLOCATOR_READ_LEASE] = 6,
                [ALLOCATOR_READ_ELSEWHERE] = 16,
                [ALLOCATOR_READ_ANY] = 6,
                [ALLOCATOR_READ_FENCED] = 8,
                [ALLOCATOR_READ_OWN] = 20,
                [ALLOCATOR_READ_HANDED] = 16,
                [ALLOCATOR_REPEAT] = 4},
}};

static const struct allocator_family fences_family = {
    .ops = &workload_failover_read_fences_ops,
    .phases = fences_phases,
    .phase_count = ARRAY_LEN(fences_phases),
    .resources = 12,
    .ttl_min = 4,
    .ttl_max = 40,
    .tick_every = 3,
    .duplicate_percent = 4,
    .reader_percent = 50,
    .stray_percent = 12,
    .window_slots = 384,
};

static struct workload *
fences_new(const json_t *params, uint64_t seed, unsigned client_count,
           struct error *err)
{
    return allocator_new(&fences_family, params, seed, client_count, err);
}

const struct workload_ops workload_failover_read_fences_ops = {
    .name = "failover_read_fences",
    .description = "reads of every claim at every node, behind fences and "
                   "after own writes",
    .new_ = fences_new,
    ALLOCATOR_WORKLOAD_OPS,
};
