/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "workloads/workload.h"

const struct workload_ops *const workload_registry[] = {
    &workload_reservation_contention_ops,
    &workload_ambiguous_write_retry_ops,
    &workload_failover_read_fences_ops,
    &workload_expiration_and_recovery_ops,
    &workload_lease_safety_ops,
    &workload_retry_pressure_ops,
    &workload_quota_ops,
    &workload_pool_holds_ops,
    &workload_block_register_ops,
    NULL,
};

const struct workload_ops *
workload_find(const char *name)
{
    for (size_t i = 0; workload_registry[i] != NULL; i++)
        if (strcmp(workload_registry[i]->name, name) == 0)
            return workload_registry[i];
    return NULL;
}
