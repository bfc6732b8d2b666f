/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dedupe table at its limits.  It is for a system whose table and window
 * are small (the scenario gives it --max-operations and --retry-window, and
 * 'window_slots' says what they come to):
 *
 *   fill     commands come faster than records retire: operation_table_full
 *   conflict ids that are remembered come again, and with other contents
 *   drain    time runs faster, records retire, commands are taken again, and
 *            ids that are forgotten for certain name new operations
 *
 * Client 0 keeps the time and nothing else: a full table refuses no tick.
 *
 * The table should take half a window to fill: what was in doubt when it became
 * full is taken again before its own window is over.
 */
#include "config.h"

#include "workloads/allocator.h"

static const struct allocator_phase pressure_phases[] = {
    {
        .ticks = 16,
        .tick_spacing_ms = 250,
        .weights = {[ALLOCATOR_RESERVE] = 40,
                    [ALLOCATOR_BUNDLE] = 6,
                    [ALLOCATOR_CONFIRM] = 14,
                    [ALLOCATOR_RELEASE] = 24,
                    [ALLOCATOR_READ_LEASE] = 4,
                    [ALLOCATOR_REPEAT] = 12},
    },
    {
        .ticks = 16,
        .tick_spacing_ms = 250,
        .weights = {[ALLOCATOR_RESERVE] = 20,
                    [ALLOCATOR_RELEASE] = 10,
                    [ALLOCATOR_REPEAT] = 36,
                    [ALLOCATOR_REUSE] = 30,
                    [ALLOCATOR_STALE] = 4,
                    [ALLOCATOR_READ_RESOURCE] = 6},
    },
    {
        .ticks = 64,
        .tick_spacing_ms = 100,
        .weights = {[ALLOCATOR_RESERVE] = 20,
                    [ALLOCATOR_CONFIRM] = 8,
                    [ALLOCATOR_RELEASE] = 16,
                    [ALLOCATOR_REVOKE] = 3,
                    [ALLOCATOR_RECLAIM] = 5,
                    [ALLOCATOR_REUSE_LATE] = 24,
                    [ALLOCATOR_READ_LEASE] = 8},
    },
};

static const struct allocator_family pressure_family = {
    .ops = &workload_retry_pressure_ops,
    .phases = pressure_phases,
    .phase_count = ARRAY_LEN(pressure_phases),
    .resources = 12,
    .ttl_min = 2,
    .ttl_max = 24,
    .tick_every = 2,
    .duplicate_percent = 10,
    .window_slots = 64,
    .give_up_ms = 8000,
    .timekeeper = true,
};

static struct workload *
pressure_new(const json_t *params, uint64_t seed, unsigned client_count,
             struct error *err)
{
    return allocator_new(&pressure_family, params, seed, client_count, err);
}

const struct workload_ops workload_retry_pressure_ops = {
    .name = "retry_pressure",
    .description = "a small dedupe table is filled, asked for what it "
                   "remembers, and outlived",
    .new_ = pressure_new,
    ALLOCATOR_WORKLOAD_OPS,
};
