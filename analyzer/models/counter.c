/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A counter.  A state is its number, as two words.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static enum decoded
counter_decode_add(struct calls *c, const struct record *invoke,
                   const struct record *end, struct call *ret,
                   struct error *err)
{
    bool down = strcmp(invoke->function, "decrement") == 0 ||
                strcmp(invoke->function, "dec") == 0;
    int64_t amount = 1;

    if (!tree_is_nil(invoke->value)) {
        if (invoke->value->kind != TREE_INT) {
            return model_bad_value(c, invoke, "the amount is no integer", err);
        }
        amount = invoke->value->integer;
    }
    if (down && amount == INT64_MIN) {
        return model_bad_value(c, invoke, "the amount is too large", err);
    }
    ret->a = value_of_int(c, down ? -amount : amount);
    return model_plain_end(end);
}

static enum decoded
counter_decode(struct calls *c, const struct record *invoke,
               const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"increment", COUNTER_ADD}, {"inc", COUNTER_ADD},
        {"decrement", COUNTER_ADD}, {"dec", COUNTER_ADD},
        {"get", COUNTER_READ},      {NULL, 0},
    };

    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    if (invoke->key != NULL) {
        ret->key = value_number(c, invoke->key);
    }
    if (ret->function == COUNTER_ADD) {
        return counter_decode_add(c, invoke, end, ret, err);
    }
    if (model_ended(end) != ENDED_OK || tree_is_nil(end->value)) {
        return DECODED_DROP;
    }
    if (end->value->kind != TREE_INT) {
        return model_bad_value(c, end, "a read answers no integer", err);
    }
    ret->result = value_number(c, end->value);
    return DECODED_CALL;
}

static void
counter_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    int64_t n = 0;

    (void)key;
    if (c->initial != VALUE_ABSENT) {
        value_to_int(c, c->initial, &n);
    }
    model_state_resize(out, 2);
    model_put64(out->words, n);
}

static bool
counter_step(const struct calls *c, uint32_t call, const struct model_state *in,
             struct model_state *out)
{
    int64_t now = model_get64(in->words), n = 0;

    model_state_copy(out, in);
    if (c->function[call] == COUNTER_READ) {
        return c->complete[call] == CALL_OPEN ||
               (value_to_int(c, c->result[call], &n) && n == now);
    }
    value_to_int(c, c->a[call], &n);
    /* Wraps around, as counters of 64 bits do. */
    model_put64(out->words, (int64_t)((uint64_t)now + (uint64_t)n));
    return true;
}

static bool
counter_pure(const struct calls *c, uint32_t call)
{
    return c->function[call] == COUNTER_READ || c->a[call] == 0;
}

static void
counter_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    buf_puts(out, c->model->functions[c->function[call]]);
    model_words_key(c, call, out);
    if (c->function[call] == COUNTER_ADD) {
        buf_puts(out, " ");
        model_words_value(c, c->a[call], out);
    }
    model_words_result(c, call, out);
}

static void
counter_describe_state(const struct calls *c, const struct model_state *s,
                       struct buf *out)
{
    (void)c;
    buf_printf(out, "the counter is %" PRId64, model_get64(s->words));
}

static const char *const counter_functions[] = {
    [COUNTER_ADD] = "add", [COUNTER_READ] = "read", NULL};

static const struct engine_ops *const counter_exact[] = {&engine_counter, NULL};

const struct model_ops model_counter = {
    .name = "counter",
    .description = "a number that is added to and read",
    .functions = counter_functions,
    .decode = counter_decode,
    .initial = model_initial_int,
    .init = counter_init,
    .step = counter_step,
    .pure = counter_pure,
    .describe = counter_describe,
    .describe_state = counter_describe_state,
    .exact = counter_exact,
};
