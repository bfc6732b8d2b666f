/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A register with compare-and-set.  A refused one is a call of its own: it
 * looked, and the value was another.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static const char *const cas_register_functions[] = {
    [REGISTER_READ] = "read",
    [REGISTER_WRITE] = "write",
    [REGISTER_CAS] = "cas",
    NULL,
};
static const char *const cas_register_aliases[] = {"cas", NULL};

static const struct engine_ops *const cas_register_exact[] = {&engine_register,
                                                              NULL};

const struct model_ops model_cas_register = {
    .name = "cas-register",
    .description = "one value, read, written, compared and set",
    .aliases = cas_register_aliases,
    .functions = cas_register_functions,
    .decode = register_decode,
    .initial = model_initial_value,
    .init = register_init,
    .step = register_step,
    .pure = register_pure,
    .covers = register_covers,
    .describe = register_describe,
    .describe_state = register_describe_state,
    .exact = cas_register_exact,
};
