/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All models, in the order in which they are listed.
 */
#include "config.h"

#include "analyzer/models/registry.h"

const struct model_ops *const model_registry[] = {
    &model_register,     &model_cas_register, &model_multi_register,
    &model_kv,           &model_mutex,        &model_fenced_lock,
    &model_lease,        &model_fifo_queue,   &model_stack,
    &model_set,          &model_set_full,     &model_total_queue,
    &model_counter,      &model_bank,         &model_unique_ids,
    &model_long_fork,    &model_list_append,  &model_rw_register,
    &model_lease_kernel, &model_allocator,    &model_quota,
    &model_pool,         &model_block,        NULL,
};
