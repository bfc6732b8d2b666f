/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue in any order that loses nothing and makes nothing up: what goes in
 * comes out.  A guarantee over the whole history, so exact engines only.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static enum decoded
total_queue_decode_drain(struct calls *c, const struct record *end,
                         struct call *ret, struct error *err)
{
    struct model_words w = {0};

    /* What a drain without an answer took is not known. */
    if (model_ended(end) != ENDED_OK) {
        return model_plain_end(end);
    }
    if (!tree_is_nil(end->value) && end->value->kind != TREE_LIST) {
        return model_bad_value(c, end, "a drain answers no list", err);
    }
    for (uint32_t i = 0; !tree_is_nil(end->value) && i < end->value->count;
         i++) {
        model_words_add(&w, value_number(c, &end->value->items[i]));
    }
    ret->list = model_words_list(c, &w);
    return DECODED_CALL;
}

static enum decoded
total_queue_decode(struct calls *c, const struct record *invoke,
                   const struct record *end, struct call *ret,
                   struct error *err)
{
    static const struct function_alias aliases[] = {
        {"enq", TOTAL_QUEUE_ENQUEUE},
        {"add", TOTAL_QUEUE_ENQUEUE},
        {"deq", TOTAL_QUEUE_DEQUEUE},
        {"remove", TOTAL_QUEUE_DEQUEUE},
        {NULL, 0},
    };
    uint8_t function;

    if (model_named_function(c, invoke, aliases, &function) &&
        function == TOTAL_QUEUE_DRAIN) {
        ret->function = function;
        return total_queue_decode_drain(c, end, ret, err);
    }
    return queue_decode(c, invoke, end, aliases, ret, err);
}

static void
total_queue_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    if (c->function[call] != TOTAL_QUEUE_DRAIN ||
        c->complete[call] == CALL_OPEN) {
        queue_describe(c, call, out);
        return;
    }
    buf_puts(out, "drain: what came out");
    model_words_contents(c, call_list(c, call), call_list_count(c, call), out);
}

static const char *const total_queue_functions[] = {
    [TOTAL_QUEUE_ENQUEUE] = "enqueue",
    [TOTAL_QUEUE_DEQUEUE] = "dequeue",
    [TOTAL_QUEUE_DRAIN] = "drain",
    NULL};

static const struct engine_ops *const total_queue_exact[] = {
    &engine_total_queue, NULL};

const struct model_ops model_total_queue = {
    .name = "total-queue",
    .description = "what is put in comes out once, in any order",
    .functions = total_queue_functions,
    .decode = total_queue_decode,
    .describe = total_queue_describe,
    .exact = total_queue_exact,
};
