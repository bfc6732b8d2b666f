/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of which reads may lag, but which loses nothing: what was once there
 * stays.  A guarantee over the whole history, so exact engines only.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static enum decoded
set_full_decode(struct calls *c, const struct record *invoke,
                const struct record *end, struct call *ret, struct error *err)
{
    struct model_words w = {0};

    if (!model_named_function(c, invoke, NULL, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    if (ret->function == SET_FULL_ADD) {
        if (tree_is_nil(invoke->value)) {
            return model_bad_value(c, invoke, "no element is named", err);
        }
        ret->a = value_number(c, invoke->value);
        return model_plain_end(end);
    }
    if (model_ended(end) != ENDED_OK || tree_is_nil(end->value)) {
        return DECODED_DROP;
    }
    if (end->value->kind != TREE_LIST) {
        return model_bad_value(c, end, "a read answers no list", err);
    }
    for (uint32_t i = 0; i < end->value->count; i++) {
        model_words_add(&w, value_number(c, &end->value->items[i]));
    }
    ret->list = model_words_list(c, &w);
    return DECODED_CALL;
}

static void
set_full_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    buf_puts(out, c->model->functions[c->function[call]]);
    if (c->function[call] == SET_FULL_READ) {
        buf_puts(out, ": the set");
        model_words_contents(c, call_list(c, call), call_list_count(c, call),
                             out);
        return;
    }
    buf_puts(out, " ");
    model_words_value(c, c->a[call], out);
    model_words_result(c, call, out);
}

static const char *const set_full_functions[] = {
    [SET_FULL_ADD] = "add", [SET_FULL_READ] = "read", NULL};

static const struct engine_ops *const set_full_exact[] = {&engine_set_full,
                                                          NULL};

const struct model_ops model_set_full = {
    .name = "set-full",
    .description = "a set that loses no element once it was seen",
    .functions = set_full_functions,
    .decode = set_full_decode,
    .describe = set_full_describe,
    .exact = set_full_exact,
};
