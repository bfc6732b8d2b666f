/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set.  A state is its elements, rising.  add and remove may say whether they
 * changed anything (true or false); an answer of another kind says nothing.
 */
#include "config.h"

#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static enum decoded
set_decode_read(struct calls *c, const struct record *end, struct call *ret,
                struct error *err)
{
    struct model_words w = {0};

    if (model_ended(end) != ENDED_OK ||
        (tree_is_nil(end->value) && !c->strict)) {
        return DECODED_DROP;
    }
    if (!tree_is_nil(end->value) && end->value->kind != TREE_LIST) {
        return model_bad_value(c, end, "a read answers no list", err);
    }
    for (uint32_t i = 0; i < end->value->count; i++) {
        model_words_add(&w, value_number(c, &end->value->items[i]));
    }
    model_words_unique(&w);
    ret->list = model_words_list(c, &w);
    return DECODED_CALL;
}

static enum decoded
set_decode(struct calls *c, const struct record *invoke,
           const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"insert", SET_ADD},         {"put", SET_ADD},
        {"delete", SET_REMOVE},      {"rem", SET_REMOVE},
        {"contains?", SET_CONTAINS}, {"member", SET_CONTAINS},
        {"get", SET_READ},           {NULL, 0},
    };

    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    const struct tree *element = model_bare_value(c, invoke, false, ret);
    if (ret->function == SET_READ) {
        return set_decode_read(c, end, ret, err);
    }
    if (tree_is_nil(element)) {
        return model_bad_value(c, invoke, "no element is named", err);
    }
    ret->a = value_number(c, element);
    bool told = model_ended(end) == ENDED_OK && end->value->kind == TREE_BOOL &&
                element->kind != TREE_BOOL;
    if (told) {
        ret->result = end->value->truth;
    }
    if (ret->function == SET_CONTAINS && !told) {
        return DECODED_DROP;
    }
    return model_plain_end(end);
}

static void
set_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, 0);
}

static bool
set_step_one(const struct calls *c, uint32_t call, const struct model_state *in,
             struct model_state *out)
{
    uint32_t element = c->a[call];
    uint32_t at = model_search(in->words, in->count, element);
    bool there = at < in->count && in->words[at] == element;
    uint8_t function = c->function[call];

    model_state_copy(out, in);
    if (function == SET_CONTAINS) {
        return c->complete[call] == CALL_OPEN || c->result[call] == there;
    }
    bool changes = there == (function == SET_REMOVE);
    if (changes && function == SET_ADD) {
        model_state_resize(out, in->count + 1);
        memmove(out->words + at + 1, out->words + at,
                (in->count - at) * sizeof(*out->words));
        out->words[at] = element;
    } else if (changes) {
        memmove(out->words + at, out->words + at + 1,
                (in->count - at - 1) * sizeof(*out->words));
        model_state_resize(out, in->count - 1);
    }
    return c->complete[call] == CALL_OPEN || c->result[call] == VALUE_ABSENT ||
           c->result[call] == changes;
}

static bool
set_step(const struct calls *c, uint32_t call, const struct model_state *in,
         struct model_state *out)
{
    if (c->function[call] != SET_READ) {
        return set_step_one(c, call, in, out);
    }
    uint32_t count = call_list_count(c, call);
    model_state_copy(out, in);
    return c->complete[call] == CALL_OPEN ||
           (count == in->count &&
            (count == 0 || memcmp(in->words, call_list(c, call),
                                  count * sizeof(*in->words)) == 0));
}

/*
 * For replays: word 0 counts the elements, word 1 the cells in use, the rest is
 * an open-addressed table of a power of two, at most half full.  Numbers of
 * values stop short of UINT32_MAX - 1 (VALUE_ABSENT), which marks what is free.
 */
#define SET_HEADER 2u
#define SET_CELLS_MIN 64u
#define SET_FREE VALUE_ABSENT
#define SET_GONE                                                               \
    (VALUE_ABSENT - 1) /* no value: calls.c keeps it for itself                \
                        */

/* The cell of an element, or a free one. */
static uint32_t *
set_cell(struct model_state *s, uint32_t element)
{
    uint32_t mask = s->count - SET_HEADER - 1;
    uint32_t at = element * UINT32_C(0x9e3779b1) >> 7 & mask;

    while (s->words[SET_HEADER + at] != element &&
           s->words[SET_HEADER + at] != SET_FREE) {
        at = (at + 1) & mask;
    }
    return &s->words[SET_HEADER + at];
}

static void
set_grow(struct model_state *s)
{
    struct model_state old = *s;
    uint32_t cells = SET_CELLS_MIN;

    while (old.count > 0 && cells < old.words[0] * 4) {
        cells *= 2;
    }
    *s = (struct model_state){0};
    model_state_resize(s, SET_HEADER + cells);
    for (uint32_t i = 0; i < cells; i++) {
        s->words[SET_HEADER + i] = SET_FREE;
    }
    for (uint32_t i = SET_HEADER; i < old.count; i++) {
        if (old.words[i] != SET_FREE && old.words[i] != SET_GONE) {
            *set_cell(s, old.words[i]) = old.words[i];
            s->words[0]++;
            s->words[1]++;
        }
    }
    model_state_release(&old);
}

static bool
set_holds(struct model_state *s, const uint32_t *elements, uint32_t count)
{
    if (count != s->words[0]) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (*set_cell(s, elements[i]) != elements[i]) {
            return false;
        }
    }
    return true;
}

static bool
set_apply(const struct calls *c, uint32_t call, struct model_state *state)
{
    uint32_t element = c->a[call];
    uint8_t function = c->function[call];
    bool open = c->complete[call] == CALL_OPEN;

    if (state->count == 0 ||
        state->words[1] >= (state->count - SET_HEADER) / 2) {
        set_grow(state);
    }
    if (function == SET_READ) {
        return open ||
               set_holds(state, call_list(c, call), call_list_count(c, call));
    }
    uint32_t *cell = set_cell(state, element);
    bool there = *cell == element;
    if (function == SET_CONTAINS) {
        return open || c->result[call] == there;
    }
    bool changes = there == (function == SET_REMOVE);
    if (changes && there) {
        *cell = SET_GONE;
        state->words[0]--;
    } else if (changes) {
        *cell = element;
        state->words[0]++;
        state->words[1]++;
    }
    return open || c->result[call] == VALUE_ABSENT ||
           c->result[call] == changes;
}

static bool
set_pure(const struct calls *c, uint32_t call)
{
    return c->function[call] == SET_CONTAINS || c->function[call] == SET_READ ||
           c->result[call] == 0;
}

static void
set_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    uint8_t function = c->function[call];
    bool open = c->complete[call] == CALL_OPEN;

    buf_puts(out, c->model->functions[function]);
    model_words_key(c, call, out);
    if (function == SET_READ) {
        if (!open) {
            buf_puts(out, ": the set");
            model_words_contents(c, call_list(c, call),
                                 call_list_count(c, call), out);
            return;
        }
    } else {
        buf_puts(out, " ");
        model_words_value(c, c->a[call], out);
    }
    bool told = c->result[call] != VALUE_ABSENT;
    if (open) {
        buf_puts(out, " (unknown)");
    } else if (function == SET_CONTAINS) {
        buf_puts(out, c->result[call] == 1 ? ": yes" : ": no");
    } else {
        buf_puts(out,
                 told && c->result[call] == 0 ? ": changed nothing" : ": ok");
    }
}

static void
set_describe_state(const struct calls *c, const struct model_state *s,
                   struct buf *out)
{
    buf_puts(out, "the set");
    model_words_contents(c, s->words, s->count, out);
}

static const char *const set_functions[] = {[SET_ADD] = "add",
                                            [SET_REMOVE] = "remove",
                                            [SET_CONTAINS] = "contains",
                                            [SET_READ] = "read",
                                            NULL};

static const struct engine_ops *const set_exact[] = {&engine_set, NULL};

const struct model_ops model_set = {
    .name = "set",
    .description = "a set: add, remove, contains, read of all",
    .functions = set_functions,
    .decode = set_decode,
    .init = set_init,
    .step = set_step,
    .apply = set_apply,
    .pure = set_pure,
    .describe = set_describe,
    .describe_state = set_describe_state,
    .exact = set_exact,
};
