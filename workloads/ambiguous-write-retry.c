/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutations whose outcome clients often do not learn: they wait for an answer
 * only briefly, so that each fault, and each slow moment, leaves attempts in
 * doubt, and they retry until they know.  A third of what was answered is sent
 * again at once, much more of it later, and some of it with other contents.
 *
 * Faults belong around the moment of commit: the shorter and the more frequent
 * the better.
 */
#include "config.h"

#include "workloads/allocator.h"

static const struct allocator_phase ambiguous_phases[] = {{
    .tick_spacing_ms = 250,
    .weights = {[ALLOCATOR_RESERVE] = 26,
                [ALLOCATOR_BUNDLE] = 8,
                [ALLOCATOR_CONFIRM] = 14,
                [ALLOCATOR_RELEASE] = 16,
                [ALLOCATOR_REVOKE] = 5,
                [ALLOCATOR_RECLAIM] = 7,
                [ALLOCATOR_READ_OWN] = 6,
                [ALLOCATOR_READ_RESOURCE] = 4,
                [ALLOCATOR_REPEAT] = 26,
                [ALLOCATOR_REUSE] = 6,
                [ALLOCATOR_STALE] = 2},
}};

static const struct allocator_family ambiguous_family = {
    .ops = &workload_ambiguous_write_retry_ops,
    .phases = ambiguous_phases,
    .phase_count = ARRAY_LEN(ambiguous_phases),
    .resources = 16,
    .ttl_min = 8,
    .ttl_max = 60,
    .tick_every = 3,
    .duplicate_percent = 33,
    .window_slots = 384,
    .attempt_timeout_ms = 400,
};

static struct workload *
ambiguous_new(const json_t *params, uint64_t seed, unsigned client_count,
              struct error *err)
{
    return allocator_new(&ambiguous_family, params, seed, client_count, err);
}

const struct workload_ops workload_ambiguous_write_retry_ops = {
    .name = "ambiguous_write_retry",
    .description = "impatient clients retry mutations whose outcome they do "
                   "not know, and repeat those they do",
    .new_ = ambiguous_new,
    ALLOCATOR_WORKLOAD_OPS,
};
