/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A generator of ids, none of which is given out twice.  It has no order to
 * find, so it has an exact engine only.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static enum decoded
unique_ids_decode(struct calls *c, const struct record *invoke,
                  const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"generate-id", UNIQUE_IDS_GENERATE},
        {"next", UNIQUE_IDS_GENERATE},
        {"id", UNIQUE_IDS_GENERATE},
        {NULL, 0},
    };

    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    /* An id that nobody was told is nobody's. */
    if (model_ended(end) != ENDED_OK || tree_is_nil(end->value)) {
        return DECODED_DROP;
    }
    ret->result = value_number(c, end->value);
    return DECODED_CALL;
}

static const char *const unique_ids_functions[] = {
    [UNIQUE_IDS_GENERATE] = "generate", NULL};

static const struct engine_ops *const unique_ids_exact[] = {&engine_unique_ids,
                                                            NULL};

const struct model_ops model_unique_ids = {
    .name = "unique-ids",
    .description = "ids that are never given out twice",
    .functions = unique_ids_functions,
    .decode = unique_ids_decode,
    .exact = unique_ids_exact,
};
