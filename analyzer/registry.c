/* SPDX-License-Identifier: Apache-2.0 */
/* The checkers, in the order in which they are reported. */
#include "config.h"

#include "analyzer/checker.h"

extern const struct checker_ops checker_duplicate_execution_ops;
extern const struct checker_ops checker_double_allocation_ops;
extern const struct checker_ops checker_early_reuse_ops;
extern const struct checker_ops checker_bundle_atomicity_ops;
extern const struct checker_ops checker_retired_vs_not_found_ops;
extern const struct checker_ops checker_stale_read_ops;
extern const struct checker_ops checker_early_expiration_ops;
extern const struct checker_ops checker_stale_holder_ops;
extern const struct checker_ops checker_lost_write_ops;
extern const struct checker_ops checker_phantom_result_ops;
extern const struct checker_ops checker_position_conflict_ops;
extern const struct checker_ops checker_dual_primary_ops;
extern const struct checker_ops checker_replica_divergence_ops;
extern const struct checker_ops checker_linearizable_ops;
extern const struct checker_ops checker_quota_overspend_ops;
extern const struct checker_ops checker_pool_overcommit_ops;
extern const struct checker_ops checker_hold_misuse_ops;
extern const struct checker_ops checker_block_lost_write_ops;
extern const struct checker_ops checker_unresolved_ambiguity_ops;
extern const struct checker_ops checker_missing_operation_id_ops;

const struct checker_ops *const checker_registry[] = {
    &checker_duplicate_execution_ops,
    &checker_double_allocation_ops,
    &checker_early_reuse_ops,
    &checker_bundle_atomicity_ops,
    &checker_retired_vs_not_found_ops,
    &checker_stale_read_ops,
    &checker_early_expiration_ops,
    &checker_stale_holder_ops,
    &checker_lost_write_ops,
    &checker_phantom_result_ops,
    &checker_position_conflict_ops,
    &checker_dual_primary_ops,
    &checker_replica_divergence_ops,
    &checker_quota_overspend_ops,
    &checker_pool_overcommit_ops,
    &checker_hold_misuse_ops,
    &checker_block_lost_write_ops,
    &checker_linearizable_ops,
    &checker_unresolved_ambiguity_ops,
    &checker_missing_operation_id_ops,
    NULL,
};
