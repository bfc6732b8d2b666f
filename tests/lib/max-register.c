/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A register that keeps the greatest number ever written to it.  A state is
 * that number, as a value number.  The example of docs/MODELS.md.
 */
#include "config.h"

#include "analyzer/models/decode.h"

enum { MAX_REGISTER_READ, MAX_REGISTER_WRITE };

static enum decoded
max_register_decode(struct calls *c, const struct record *invoke,
                    const struct record *end, struct call *ret,
                    struct error *err)
{
    if (!model_named_function(c, invoke, NULL, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    if (ret->function == MAX_REGISTER_READ) {
        /* A read without an answer tells nothing. */
        if (model_ended(end) != ENDED_OK) {
            return DECODED_DROP;
        }
        ret->result = value_number(c, end->value);
        return DECODED_CALL;
    }
    if (invoke->value->kind != TREE_INT || invoke->value->integer < 0) {
        return model_bad_value(c, invoke, "no natural number", err);
    }
    ret->a = value_number(c, invoke->value);
    return model_plain_end(end);
}

static void
max_register_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, 1); /* new words are zero */
}

static bool
max_register_step(const struct calls *c, uint32_t call,
                  const struct model_state *in, struct model_state *out)
{
    int64_t now = 0, written = 0;

    model_state_copy(out, in);
    if (c->function[call] == MAX_REGISTER_READ) {
        return c->result[call] == in->words[0];
    }
    if (value_to_int(c, in->words[0], &now) &&
        value_to_int(c, c->a[call], &written) && written > now) {
        out->words[0] = c->a[call];
    }
    return true;
}

static const char *const max_register_functions[] = {
    [MAX_REGISTER_READ] = "read", [MAX_REGISTER_WRITE] = "write", NULL};

const struct model_ops model_max_register = {
    .name = "max-register",
    .description = "a register that keeps the greatest number",
    .functions = max_register_functions,
    .decode = max_register_decode,
    .init = max_register_init,
    .step = max_register_step,
};
