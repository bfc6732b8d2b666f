/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value that is read and written.  A call's 'a' is what is written (or
 * expected), 'b' what a compare-and-set puts in its place; its result is 0 when
 * it was refused.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static enum decoded
register_decode_read(struct calls *c, const struct record *invoke,
                     const struct record *end, struct call *ret,
                     struct error *err)
{
    model_bare_value(c, invoke, true, ret);
    if (model_keying(c, invoke, ret, err) == DECODED_ERROR) {
        return DECODED_ERROR;
    }
    if (model_ended(end) != ENDED_OK) {
        return DECODED_DROP;
    }
    const struct tree *value = end->value;
    if (ret->key != VALUE_ABSENT && invoke->key == NULL) {
        value = tree_item(end->value, 1);
        if (value == NULL) {
            return model_bad_value(c, end, "a read of a key answers no pair",
                                   err);
        }
    }
    if (tree_is_nil(value) && !c->strict) {
        return DECODED_DROP;
    }
    ret->result = model_value_or_nil(c, value);
    return DECODED_CALL;
}

static enum decoded
register_decode_write(struct calls *c, const struct record *invoke,
                      const struct record *end, struct call *ret,
                      struct error *err)
{
    const struct tree *value = model_bare_value(c, invoke, true, ret);

    if (model_keying(c, invoke, ret, err) == DECODED_ERROR) {
        return DECODED_ERROR;
    }
    ret->a = model_value_or_nil(c, value);
    return model_plain_end(end);
}

/* A failure that names another cause than the comparison saw nothing. */
static bool
register_refused(const struct record *end)
{
    static const char *const words[] = {
        "mismatch",        "not-equal",    "cas-failed",
        "did-not-succeed", "precondition", "precondition-failed",
    };

    if (tree_is_nil(end->error)) {
        /* "timed-out" in place of the two values. */
        return tree_is_pair(end->value) || tree_is_nil(end->value);
    }
    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (tree_is(end->error, words[i])) {
            return true;
        }
    }
    return false;
}

static enum decoded
register_decode_cas(struct calls *c, const struct record *invoke,
                    const struct record *end, struct call *ret,
                    struct error *err)
{
    /* A bare one is a pair itself: only a pair of two levels has a key. */
    const struct tree *value = model_bare_value(
        c, invoke, tree_is_pair(tree_item(invoke->value, 1)), ret);

    if (!tree_is_pair(value)) {
        return model_bad_value(c, invoke, "its value is no pair [from to]",
                               err);
    }
    if (model_keying(c, invoke, ret, err) == DECODED_ERROR) {
        return DECODED_ERROR;
    }
    ret->a = value_number(c, tree_item(value, 0));
    ret->b = value_number(c, tree_item(value, 1));
    switch (model_ended(end)) {
    case ENDED_OPEN:
        return DECODED_OPEN;
    case ENDED_OK:
        ret->result = 1;
        return DECODED_CALL;
    default:
        ret->result = 0;
        return c->strict && register_refused(end) ? DECODED_CALL : DECODED_DROP;
    }
}

enum decoded
register_decode(struct calls *c, const struct record *invoke,
                const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"read", REGISTER_READ},
        {"get", REGISTER_READ},
        {"write", REGISTER_WRITE},
        {"put", REGISTER_WRITE},
        {"set", REGISTER_WRITE},
        {"compare-and-set", REGISTER_CAS},
        {"compare-and-swap", REGISTER_CAS},
        {NULL, 0},
    };

    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    switch (ret->function) {
    case REGISTER_READ:
        return register_decode_read(c, invoke, end, ret, err);
    case REGISTER_CAS:
        return register_decode_cas(c, invoke, end, ret, err);
    default:
        return register_decode_write(c, invoke, end, ret, err);
    }
}

void
register_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)key;
    model_state_resize(out, 1);
    out->words[0] = c->initial == VALUE_ABSENT ? VALUE_NIL : c->initial;
}

bool
register_step(const struct calls *c, uint32_t call,
              const struct model_state *in, struct model_state *out)
{
    uint32_t now = in->words[0];

    model_state_resize(out, 1);
    out->words[0] = now;
    switch (c->function[call]) {
    case REGISTER_READ:
        return c->complete[call] == CALL_OPEN || c->result[call] == now;
    case REGISTER_WRITE:
        out->words[0] = c->a[call];
        return true;
    default:
        if (c->result[call] == 0) {
            return c->a[call] != now;
        }
        out->words[0] = c->b[call];
        return c->a[call] == now;
    }
}

static bool
register_apply(const struct calls *c, uint32_t call, struct model_state *state)
{
    if (c->function[call] == REGISTER_WRITE) {
        state->words[0] = c->a[call];
        return true;
    }
    return c->complete[call] == CALL_OPEN || c->result[call] == state->words[0];
}

bool
register_pure(const struct calls *c, uint32_t call)
{
    switch (c->function[call]) {
    case REGISTER_READ:
        return true;
    case REGISTER_CAS:
        return c->result[call] == 0 || c->a[call] == c->b[call];
    default:
        return false;
    }
}

/* A write does what a compare-and-set to the same value does. */
bool
register_covers(const struct calls *c, uint32_t x, uint32_t y)
{
    return c->function[x] == REGISTER_WRITE && c->function[y] == REGISTER_CAS &&
           c->result[y] != 0 && c->a[x] == c->b[y];
}

void
register_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    uint8_t function = c->function[call];

    buf_puts(out, c->model->functions[function]);
    model_words_key(c, call, out);
    if (function != REGISTER_READ) {
        buf_puts(out, " ");
        model_words_value(c, c->a[call], out);
    }
    if (function != REGISTER_CAS) {
        model_words_result(c, call, out);
        return;
    }
    buf_puts(out, " -> ");
    model_words_value(c, c->b[call], out);
    buf_puts(out, c->complete[call] == CALL_OPEN ? " (unknown)"
                  : c->result[call] == 0         ? ": refused"
                                                 : ": ok");
}

void
register_describe_state(const struct calls *c, const struct model_state *s,
                        struct buf *out)
{
    buf_puts(out, "the register holds ");
    model_words_value(c, s->words[0], out);
}

static const char *const register_functions[] = {
    [REGISTER_READ] = "read", [REGISTER_WRITE] = "write", NULL};

static const struct engine_ops *const register_exact[] = {&engine_register,
                                                          NULL};

const struct model_ops model_register = {
    .name = "register",
    .description = "one value, read and written",
    .functions = register_functions,
    .decode = register_decode,
    .initial = model_initial_value,
    .init = register_init,
    .step = register_step,
    .apply = register_apply,
    .pure = register_pure,
    .describe = register_describe,
    .describe_state = register_describe_state,
    .exact = register_exact,
};
