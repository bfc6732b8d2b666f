/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue: first in, first out.  A state is its contents, the oldest first.
 * An open removal takes what is first, or finds nothing.
 */
#include "config.h"

#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

/* Values taken from the front are forgotten when there are so many. */
#define QUEUE_GONE_MIN 64u

static bool
queue_says_empty(const struct tree *t)
{
    return tree_is(t, "empty") || tree_is(t, "exhausted") ||
           tree_is(t, "queue-empty");
}

static enum decoded
queue_decode_take(struct calls *c, const struct record *end, struct call *ret)
{
    switch (model_ended(end)) {
    case ENDED_OPEN:
        return DECODED_OPEN;
    case ENDED_OK:
        ret->result =
            end->value->kind == TREE_KEYWORD && queue_says_empty(end->value)
                ? VALUE_NIL
                : model_value_or_nil(c, end->value);
        return DECODED_CALL;
    default:
        /* Nothing was taken.  Only who says so has seen that it was empty. */
        if (!c->strict || end->error == NULL || !queue_says_empty(end->error)) {
            return DECODED_DROP;
        }
        ret->result = VALUE_NIL;
        return DECODED_CALL;
    }
}

enum decoded
queue_decode(struct calls *c, const struct record *invoke,
             const struct record *end, const struct function_alias *aliases,
             struct call *ret, struct error *err)
{
    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    const struct tree *value = model_bare_value(c, invoke, false, ret);
    if (ret->function != QUEUE_ENQUEUE) {
        return queue_decode_take(c, end, ret);
    }
    if (tree_is_nil(value)) {
        return model_bad_value(c, invoke, "nil cannot be put in", err);
    }
    ret->a = value_number(c, value);
    return model_plain_end(end);
}

static enum decoded
fifo_queue_decode(struct calls *c, const struct record *invoke,
                  const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"enq", QUEUE_ENQUEUE},
        {"add", QUEUE_ENQUEUE},
        {"put", QUEUE_ENQUEUE},
        {"offer", QUEUE_ENQUEUE},
        {"send", QUEUE_ENQUEUE},
        {"push", QUEUE_ENQUEUE},
        {"deq", QUEUE_DEQUEUE},
        {"remove", QUEUE_DEQUEUE},
        {"take", QUEUE_DEQUEUE},
        {"poll", QUEUE_DEQUEUE},
        {"recv", QUEUE_DEQUEUE},
        {"pop", QUEUE_DEQUEUE},
        {NULL, 0},
    };
    return queue_decode(c, invoke, end, aliases, ret, err);
}

void
model_init_empty(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, 0);
}

static bool
fifo_queue_step(const struct calls *c, uint32_t call,
                const struct model_state *in, struct model_state *out)
{
    if (c->function[call] == QUEUE_ENQUEUE) {
        model_state_copy(out, in);
        model_state_resize(out, in->count + 1);
        out->words[in->count] = c->a[call];
        return true;
    }
    if (in->count == 0) {
        model_state_resize(out, 0);
        return c->complete[call] == CALL_OPEN || c->result[call] == VALUE_NIL;
    }
    model_state_resize(out, in->count - 1);
    if (in->count > 1) {
        memcpy(out->words, in->words + 1,
               (in->count - 1) * sizeof(*out->words));
    }
    return c->complete[call] == CALL_OPEN || c->result[call] == in->words[0];
}

/* word 0: where the first value is; nothing at all: nothing was ever added. */
static bool
fifo_queue_apply(const struct calls *c, uint32_t call,
                 struct model_state *state)
{
    if (state->count == 0) {
        model_state_resize(state, 1);
        state->words[0] = 1;
    }
    if (c->function[call] == QUEUE_ENQUEUE) {
        model_state_resize(state, state->count + 1);
        state->words[state->count - 1] = c->a[call];
        return true;
    }
    uint32_t first = state->words[0];
    if (first == state->count) {
        return c->complete[call] == CALL_OPEN || c->result[call] == VALUE_NIL;
    }
    bool legal = c->complete[call] == CALL_OPEN ||
                 c->result[call] == state->words[first];
    first++;
    if (first > QUEUE_GONE_MIN && first > state->count / 2) {
        memmove(state->words + 1, state->words + first,
                (state->count - first) * sizeof(*state->words));
        model_state_resize(state, state->count - first + 1);
        first = 1;
    }
    state->words[0] = first;
    return legal;
}

static bool
queue_pure(const struct calls *c, uint32_t call)
{
    return c->complete[call] != CALL_OPEN &&
           c->function[call] == QUEUE_DEQUEUE && c->result[call] == VALUE_NIL;
}

void
queue_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    buf_puts(out, c->model->functions[c->function[call]]);
    model_words_key(c, call, out);
    if (c->function[call] == QUEUE_ENQUEUE) {
        buf_puts(out, " ");
        model_words_value(c, c->a[call], out);
    } else if (c->result[call] == VALUE_NIL) {
        buf_puts(out, ": empty");
        return;
    }
    model_words_result(c, call, out);
}

static void
fifo_queue_describe_state(const struct calls *c, const struct model_state *s,
                          struct buf *out)
{
    buf_puts(out, "the queue");
    model_words_contents(c, s->words, s->count, out);
}

static const char *const fifo_queue_functions[] = {
    [QUEUE_ENQUEUE] = "enqueue", [QUEUE_DEQUEUE] = "dequeue", NULL};
static const char *const fifo_queue_aliases[] = {"queue", "atomic-queue", NULL};

static const struct engine_ops *const fifo_queue_exact[] = {&engine_queue,
                                                            NULL};

const struct model_ops model_fifo_queue = {
    .name = "fifo-queue",
    .description = "a queue: first in, first out",
    .aliases = fifo_queue_aliases,
    .functions = fifo_queue_functions,
    .decode = fifo_queue_decode,
    .init = model_init_empty,
    .step = fifo_queue_step,
    .apply = fifo_queue_apply,
    .pure = queue_pure,
    .describe = queue_describe,
    .describe_state = fifo_queue_describe_state,
    .exact = fifo_queue_exact,
};
