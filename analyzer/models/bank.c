/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts between which money is moved and which are read all at once: no
 * read may see money appear or vanish.  Reads need not be the latest, so there
 * is no sequential model: exact engines only.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static enum decoded
bank_decode_transfer(struct calls *c, const struct record *invoke,
                     const struct record *end, struct call *ret,
                     struct error *err)
{
    const struct tree *from = tree_get(invoke->value, "from");
    const struct tree *to = tree_get(invoke->value, "to");
    const struct tree *amount = tree_get(invoke->value, "amount");
    struct model_words w = {0};

    if (from == NULL || to == NULL || amount == NULL ||
        amount->kind != TREE_INT) {
        return model_bad_value(c, invoke, "its value is no {from, to, amount}",
                               err);
    }
    model_words_add(&w, value_number(c, from));
    model_words_add(&w, value_number(c, to));
    model_words_add(&w, value_number(c, amount));
    ret->list = model_words_list(c, &w);
    return model_plain_end(end);
}

static enum decoded
bank_decode_read(struct calls *c, const struct record *end, struct call *ret,
                 struct error *err)
{
    struct model_words w = {0};

    if (model_ended(end) != ENDED_OK || tree_is_nil(end->value)) {
        return DECODED_DROP;
    }
    if (end->value->kind != TREE_MAP) {
        return model_bad_value(c, end, "a read answers no map of balances",
                               err);
    }
    for (uint32_t i = 0; i < 2 * end->value->count; i++) {
        model_words_add(&w, model_value_or_nil(c, &end->value->items[i]));
    }
    ret->list = model_words_list(c, &w);
    return DECODED_CALL;
}

static enum decoded
bank_decode(struct calls *c, const struct record *invoke,
            const struct record *end, struct call *ret, struct error *err)
{
    if (!model_named_function(c, invoke, NULL, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    return ret->function == BANK_TRANSFER
               ? bank_decode_transfer(c, invoke, end, ret, err)
               : bank_decode_read(c, end, ret, err);
}

static void
bank_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    static const char *const words[] = {"transfer from ", " to ", ": "};
    const uint32_t *list = call_list(c, call);

    if (c->function[call] == BANK_TRANSFER) {
        for (uint32_t i = 0; i < call_list_count(c, call) && i < 3; i++) {
            buf_puts(out, words[i]);
            model_words_value(c, list[i], out);
        }
        buf_puts(out, c->complete[call] == CALL_OPEN ? " (unknown)" : ", ok");
        return;
    }
    buf_puts(out, "read:");
    for (uint32_t i = 0; i + 1 < call_list_count(c, call); i += 2) {
        buf_puts(out, i == 0 ? " " : ", ");
        model_words_value(c, list[i], out);
        buf_puts(out, " has ");
        model_words_value(c, list[i + 1], out);
    }
}

static const char *const bank_functions[] = {
    [BANK_TRANSFER] = "transfer", [BANK_READ] = "read", NULL};

static const struct engine_ops *const bank_exact[] = {&engine_bank, NULL};

const struct model_ops model_bank = {
    .name = "bank",
    .description = "transfers between accounts; the total never changes",
    .functions = bank_functions,
    .decode = bank_decode,
    .initial = model_initial_int,
    .describe = bank_describe,
    .exact = bank_exact,
};
