/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack: last in, first out.  A state is its contents, the top last.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static enum decoded
stack_decode(struct calls *c, const struct record *invoke,
             const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"add", STACK_PUSH}, {"put", STACK_PUSH}, {"remove", STACK_POP},
        {"take", STACK_POP}, {NULL, 0},
    };
    return queue_decode(c, invoke, end, aliases, ret, err);
}

static bool
stack_step(const struct calls *c, uint32_t call, const struct model_state *in,
           struct model_state *out)
{
    bool open = c->complete[call] == CALL_OPEN;

    model_state_copy(out, in);
    if (c->function[call] == STACK_PUSH) {
        model_state_resize(out, in->count + 1);
        out->words[in->count] = c->a[call];
        return true;
    }
    if (in->count == 0) {
        return open || c->result[call] == VALUE_NIL;
    }
    model_state_resize(out, in->count - 1);
    return open || c->result[call] == in->words[in->count - 1];
}

static bool
stack_apply(const struct calls *c, uint32_t call, struct model_state *state)
{
    bool open = c->complete[call] == CALL_OPEN;

    if (c->function[call] == STACK_PUSH) {
        model_state_resize(state, state->count + 1);
        state->words[state->count - 1] = c->a[call];
        return true;
    }
    if (state->count == 0) {
        return open || c->result[call] == VALUE_NIL;
    }
    uint32_t top = state->words[state->count - 1];
    model_state_resize(state, state->count - 1);
    return open || c->result[call] == top;
}

static bool
stack_pure(const struct calls *c, uint32_t call)
{
    return c->complete[call] != CALL_OPEN && c->function[call] == STACK_POP &&
           c->result[call] == VALUE_NIL;
}

static void
stack_describe_state(const struct calls *c, const struct model_state *s,
                     struct buf *out)
{
    buf_puts(out, "the stack (top last)");
    model_words_contents(c, s->words, s->count, out);
}

static const char *const stack_functions[] = {
    [STACK_PUSH] = "push", [STACK_POP] = "pop", NULL};
static const char *const stack_aliases[] = {"lifo-stack", "atomic-stack",
                                            "lifo", NULL};

static const struct engine_ops *const stack_exact[] = {&engine_stack, NULL};

const struct model_ops model_stack = {
    .name = "stack",
    .description = "a stack: last in, first out",
    .aliases = stack_aliases,
    .functions = stack_functions,
    .decode = stack_decode,
    .init = model_init_empty,
    .step = stack_step,
    .apply = stack_apply,
    .pure = stack_pure,
    .describe = queue_describe,
    .describe_state = stack_describe_state,
    .exact = stack_exact,
};
