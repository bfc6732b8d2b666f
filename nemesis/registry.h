/* SPDX-License-Identifier: Apache-2.0 */
/* The faults there are; one line each, in the order of docs/FAULTS.md. */
#ifndef ORDEAL_NEMESIS_REGISTRY_H
#define ORDEAL_NEMESIS_REGISTRY_H

#include "nemesis/fault.h"

extern const struct fault_ops fault_null_ops;
extern const struct fault_ops fault_kill_ops;
extern const struct fault_ops fault_stop_ops;
extern const struct fault_ops fault_pause_ops;
extern const struct fault_ops fault_crash_point_ops;
extern const struct fault_ops fault_partition_ops;
extern const struct fault_ops fault_clock_bump_ops;
extern const struct fault_ops fault_clock_strobe_ops;
extern const struct fault_ops fault_clock_drift_ops;
extern const struct fault_ops fault_clock_freeze_ops;
extern const struct fault_ops fault_disk_fill_ops;
extern const struct fault_ops fault_file_truncate_ops;
extern const struct fault_ops fault_file_flip_ops;
extern const struct fault_ops fault_file_rollback_ops;
extern const struct fault_ops fault_cpu_pressure_ops;
extern const struct fault_ops fault_memory_pressure_ops;
extern const struct fault_ops fault_netem_ops;
extern const struct fault_ops fault_net_drop_ops;
extern const struct fault_ops fault_net_delay_ops;
extern const struct fault_ops fault_net_loss_ops;
extern const struct fault_ops fault_net_duplicate_ops;
extern const struct fault_ops fault_net_corrupt_ops;
extern const struct fault_ops fault_power_cut_ops;
extern const struct fault_ops fault_vm_reset_ops;
extern const struct fault_ops fault_vm_pause_ops;
extern const struct fault_ops fault_vm_throttle_ops;
extern const struct fault_ops fault_vm_balloon_ops;
extern const struct fault_ops fault_vm_nmi_ops;
extern const struct fault_ops fault_vm_link_down_ops;
extern const struct fault_ops fault_net_reorder_ops;
extern const struct fault_ops fault_net_rate_ops;
extern const struct fault_ops fault_vm_rollback_ops;
extern const struct fault_ops fault_disk_error_ops;
extern const struct fault_ops fault_disk_full_ops;
extern const struct fault_ops fault_disk_slow_ops;
extern const struct fault_ops fault_disk_stall_ops;
extern const struct fault_ops fault_disk_lying_flush_ops;
extern const struct fault_ops fault_disk_corrupt_ops;
extern const struct fault_ops fault_disk_stale_ops;

#endif
