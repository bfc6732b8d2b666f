/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From [[:append x 1] [:r y [1 2]]] to words.  The completion's value is taken
 * when there is one, for it has the reads' results; of what failed or is open
 * only the writes of the invocation count.
 */
#include "config.h"

#include "analyzer/models/decode.h"
#include "analyzer/models/txn.h"

static bool
txn_kind_of(const struct tree *t, bool lists, enum txn_kind *ret)
{
    if (t == NULL) {
        return false;
    }
    if (tree_is(t, "r") || tree_is(t, "read")) {
        *ret = TXN_READ;
        return true;
    }
    if (lists && tree_is(t, "append")) {
        *ret = TXN_APPEND;
        return true;
    }
    if (!lists && (tree_is(t, "w") || tree_is(t, "write"))) {
        *ret = TXN_WRITE;
        return true;
    }
    return false;
}

/* What a read of a list or of a register says. */
static bool
txn_read_words(struct calls *c, const struct tree *value, bool lists,
               struct model_words *w)
{
    if (tree_is_nil(value)) {
        model_words_add(w, VALUE_NIL);
        return true;
    }
    if (!lists) {
        model_words_add(w, 1);
        model_words_add(w, value_number(c, value));
        return true;
    }
    if (value->kind != TREE_LIST) {
        return false;
    }
    model_words_add(w, value->count);
    for (uint32_t i = 0; i < value->count; i++) {
        model_words_add(w, value_number(c, &value->items[i]));
    }
    return true;
}

/* NULL, or what is wrong. */
static const char *
txn_words_of(struct calls *c, const struct tree *ops, bool lists, bool reads,
             struct model_words *w)
{
    if (tree_is_nil(ops)) {
        return NULL;
    }
    if (ops->kind != TREE_LIST) {
        return "a transaction is a list of micro-operations";
    }
    for (uint32_t i = 0; i < ops->count; i++) {
        const struct tree *op = &ops->items[i];
        const struct tree *key = tree_item(op, 1), *value = tree_item(op, 2);
        enum txn_kind kind;

        if (key == NULL || !txn_kind_of(tree_item(op, 0), lists, &kind)) {
            return lists ? "a micro-operation is [append key value] or "
                           "[r key list]"
                         : "a micro-operation is [w key value] or "
                           "[r key value]";
        }
        model_words_add(w, kind);
        model_words_add(w, value_number(c, key));
        if (kind != TXN_READ) {
            if (value == NULL) {
                return "a write has no value";
            }
            model_words_add(w, value_number(c, value));
        } else if (!reads) {
            model_words_add(w, VALUE_ABSENT);
        } else if (!txn_read_words(c, value, lists, w)) {
            return "a read of a list answers no list";
        }
    }
    return NULL;
}

enum decoded
txn_decode(struct calls *c, const struct record *invoke,
           const struct record *end, bool lists, struct call *ret,
           struct error *err)
{
    struct model_words w = {0};
    enum ended ended = model_ended(end);
    bool done = ended == ENDED_OK && !tree_is_nil(end->value);
    const struct record *r = done ? end : invoke;

    /* Elle's own histories often leave the function out. */
    if (invoke->function[0] != '\0' &&
        model_function(c->model, invoke->function) != TXN_DONE) {
        return model_unknown_function(c, invoke, err);
    }
    const char *wrong = txn_words_of(c, r->value, lists, done, &w);
    ret->list = model_words_list(c, &w);
    if (wrong != NULL) {
        return model_bad_value(c, r, wrong, err);
    }
    ret->function = ended == ENDED_FAIL ? TXN_FAILED : TXN_DONE;
    return ended == ENDED_OPEN ? DECODED_OPEN : DECODED_CALL;
}

static void
txn_describe_op(const struct calls *c, const struct txn_op *op, struct buf *out)
{
    static const char *const names[] = {"append ", "read ", "write "};

    buf_puts(out, names[op->kind]);
    model_words_value(c, op->key, out);
    if (op->kind != TXN_READ) {
        buf_puts(out, " ");
        model_words_value(c, op->value, out);
        return;
    }
    if (!op->known) {
        return;
    }
    buf_puts(out, " -> ");
    if (op->count == 0) {
        buf_puts(out, "nil");
        return;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        buf_puts(out, i == 0 ? "" : " ");
        model_words_value(c, op->elements[i], out);
    }
}

void
txn_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    struct txn_op op;
    const char *separator = "";

    for (uint32_t at = 0; txn_next(c, call, &at, &op);) {
        buf_puts(out, separator);
        txn_describe_op(c, &op, out);
        separator = ", ";
    }
    if (c->complete[call] == CALL_OPEN) {
        buf_puts(out, " (unknown)");
    } else if (c->function[call] == TXN_FAILED) {
        buf_puts(out, ": failed");
    } else {
        buf_puts(out, ": ok");
    }
}
