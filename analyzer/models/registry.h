/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models by name, for registry.c and for tests of one of them.
 */
#ifndef ORDEAL_ANALYZER_MODELS_REGISTRY_H
#define ORDEAL_ANALYZER_MODELS_REGISTRY_H

#include "analyzer/models/model.h"
#include "analyzer/models/txn-level.h"

extern const struct model_ops model_register;
extern const struct model_ops model_cas_register;
extern const struct model_ops model_multi_register;
extern const struct model_ops model_kv;
extern const struct model_ops model_mutex;
extern const struct model_ops model_fenced_lock;
extern const struct model_ops model_lease;
extern const struct model_ops model_fifo_queue;
extern const struct model_ops model_stack;
extern const struct model_ops model_set;
extern const struct model_ops model_set_full;
extern const struct model_ops model_total_queue;
extern const struct model_ops model_counter;
extern const struct model_ops model_bank;
extern const struct model_ops model_unique_ids;
extern const struct model_ops model_long_fork;
extern const struct model_ops model_list_append;
extern const struct model_ops model_rw_register;
/* The same at each isolation level; not listed, found by name ("NAME:LEVEL").
 */
extern const struct model_ops model_list_append_levels[LEVEL_COUNT];
extern const struct model_ops model_rw_register_levels[LEVEL_COUNT];
extern const struct model_ops model_allocator;
extern const struct model_ops model_lease_kernel;
extern const struct model_ops model_quota;
extern const struct model_ops model_pool;
extern const struct model_ops model_block;

#endif
