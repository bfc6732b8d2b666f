/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single writes and reads of many keys: no two reads may disagree on the order
 * of two writes.  A read may lag, so there is no sequential model.
 */
#include "config.h"

#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

/* The only micro-operation, or NULL. */
static const struct tree *
long_fork_write(const struct tree *ops)
{
    const struct tree *op = tree_item(ops, 0), *f = tree_item(op, 0);

    if (f == NULL || ops->count != 1 || op->count != 3 ||
        !(tree_is(f, "w") || tree_is(f, "write"))) {
        return NULL;
    }
    return op;
}

static bool
long_fork_reads(struct calls *c, const struct tree *ops, struct model_words *w)
{
    for (uint32_t i = 0; i < ops->count; i++) {
        const struct tree *op = tree_item(ops, i), *f = tree_item(op, 0);

        if (f == NULL || op->count != 3 ||
            !(tree_is(f, "r") || tree_is(f, "read"))) {
            return false;
        }
        model_words_add(w, value_number(c, tree_item(op, 1)));
        model_words_add(w, model_value_or_nil(c, tree_item(op, 2)));
    }
    return true;
}

static enum decoded
long_fork_decode(struct calls *c, const struct record *invoke,
                 const struct record *end, struct call *ret, struct error *err)
{
    const struct tree *write = long_fork_write(invoke->value);
    struct model_words w = {0};
    uint8_t named;

    if (invoke->function[0] != '\0' && strcmp(invoke->function, "txn") != 0 &&
        !model_named_function(c, invoke, NULL, &named)) {
        return model_unknown_function(c, invoke, err);
    }
    if (write != NULL) {
        ret->function = LONG_FORK_WRITE;
        ret->a = value_number(c, tree_item(write, 1));
        ret->b = model_value_or_nil(c, tree_item(write, 2));
        return model_plain_end(end);
    }
    ret->function = LONG_FORK_READ;
    if (invoke->value->kind != TREE_LIST) {
        return model_bad_value(c, invoke, "its value is no transaction", err);
    }
    if (model_ended(end) != ENDED_OK || end->value->kind != TREE_LIST) {
        return DECODED_DROP;
    }
    bool good = long_fork_reads(c, end->value, &w);
    ret->list = model_words_list(c, &w);
    if (!good) {
        return model_bad_value(c, end,
                               "a transaction is one write or only reads", err);
    }
    return DECODED_CALL;
}

static void
long_fork_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    if (c->function[call] == LONG_FORK_WRITE) {
        buf_puts(out, "write ");
        model_words_value(c, c->a[call], out);
        buf_puts(out, " ");
        model_words_value(c, c->b[call], out);
        model_words_result(c, call, out);
        return;
    }
    buf_puts(out, "read:");
    for (uint32_t i = 0; i + 1 < call_list_count(c, call); i += 2) {
        buf_puts(out, i == 0 ? " " : ", ");
        model_words_value(c, call_list(c, call)[i], out);
        buf_puts(out, " is ");
        model_words_value(c, call_list(c, call)[i + 1], out);
    }
}

static const char *const long_fork_functions[] = {
    [LONG_FORK_WRITE] = "write", [LONG_FORK_READ] = "read", NULL};

static const struct engine_ops *const long_fork_exact[] = {&engine_long_fork,
                                                           NULL};

const struct model_ops model_long_fork = {
    .name = "long-fork",
    .description = "all reads agree on the order of writes to several keys",
    .functions = long_fork_functions,
    .decode = long_fork_decode,
    .describe = long_fork_describe,
    .exact = long_fork_exact,
};
