/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All models, in the order in which they are listed.
 */
#include "config.h"

#include "analyzer/models/registry.h"

const struct model_ops *const model_registry[] = {
    &model_register,
    &model_cas_register,
    &model_list_append,
    &model_rw_register,
    NULL,
};
