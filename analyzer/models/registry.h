/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models by name, for registry.c and for tests of one of them.
 */
#ifndef ORDEAL_ANALYZER_MODELS_REGISTRY_H
#define ORDEAL_ANALYZER_MODELS_REGISTRY_H

#include "analyzer/models/model.h"

extern const struct model_ops model_register, model_cas_register;
extern const struct model_ops model_list_append, model_rw_register;

#endif
