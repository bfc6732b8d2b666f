/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all faults, and finding one by name. */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "nemesis/registry.h"

/* One line each, so that additions do not collide. */
/* clang-format off */
static const struct fault_ops *const registry_faults[] = {
    &fault_null_ops,
    &fault_kill_ops,
    &fault_stop_ops,
    &fault_pause_ops,
    &fault_crash_point_ops,
    &fault_partition_ops,
    &fault_clock_bump_ops,
    &fault_clock_strobe_ops,
    &fault_clock_drift_ops,
    &fault_clock_freeze_ops,
    &fault_disk_fill_ops,
    &fault_file_truncate_ops,
    &fault_file_flip_ops,
    &fault_file_rollback_ops,
    &fault_cpu_pressure_ops,
    &fault_memory_pressure_ops,
    &fault_netem_ops,
    &fault_net_drop_ops,
    &fault_net_delay_ops,
    &fault_net_loss_ops,
    &fault_net_duplicate_ops,
    &fault_net_corrupt_ops,
    &fault_power_cut_ops,
    &fault_vm_reset_ops,
    &fault_vm_pause_ops,
    &fault_vm_throttle_ops,
    &fault_vm_balloon_ops,
    &fault_vm_nmi_ops,
    &fault_vm_link_down_ops,
    &fault_net_reorder_ops,
    &fault_net_rate_ops,
    &fault_vm_rollback_ops,
    &fault_disk_error_ops,
    &fault_disk_full_ops,
    &fault_disk_slow_ops,
    &fault_disk_stall_ops,
    &fault_disk_lying_flush_ops,
    &fault_disk_corrupt_ops,
    &fault_disk_stale_ops,
    NULL,
};
/* clang-format on */

const struct fault_ops *
fault_find(const char *name)
{
    for (size_t i = 0; registry_faults[i] != NULL; i++)
        if (strcmp(registry_faults[i]->name, name) == 0)
            return registry_faults[i];
    return NULL;
}

const struct fault_ops *const *
fault_all(void)
{
    return registry_faults;
}
