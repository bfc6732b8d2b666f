/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from keys to values that can be put, appended to, and read.  A state
 * is the pieces that were put and appended, in order; what a get answers is
 * compared with their concatenation, as text or as a list of elements.
 *
 * Of a get or put whose value is a list, the call's list is a zero followed by
 * the elements.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

static uint32_t
kv_elements(struct calls *c, const struct tree *value)
{
    struct model_words w = {0};

    if (value == NULL || value->kind != TREE_LIST) {
        return 0;
    }
    model_words_add(&w, 0);
    for (uint32_t i = 0; i < value->count; i++) {
        model_words_add(&w, value_number(c, &value->items[i]));
    }
    return model_words_list(c, &w);
}

static enum decoded
kv_decode(struct calls *c, const struct record *invoke,
          const struct record *end, struct call *ret, struct error *err)
{
    enum decoded decoded = register_decode(c, invoke, end, ret, err);
    struct call bare = {0};
    const struct record *r = ret->function == REGISTER_READ ? end : invoke;

    if (decoded == DECODED_ERROR || decoded == DECODED_DROP ||
        ret->function == REGISTER_CAS) {
        return decoded;
    }
    bool pair = ret->key != VALUE_ABSENT && invoke->key == NULL;
    ret->list = kv_elements(c, model_bare_value(c, r, pair, &bare));
    return decoded;
}

static void
kv_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)key;
    if (c->initial != VALUE_ABSENT && c->initial != VALUE_NIL) {
        model_state_resize(out, 1);
        out->words[0] = c->initial;
    }
}

/* The text of a piece; numbers as they are written. */
static const char *
kv_text(const struct calls *c, uint32_t piece, char buf[32], size_t *len)
{
    const char *text = value_to_text(c, piece, len);
    int64_t n;

    if (text != NULL) {
        return text;
    }
    if (!value_to_int(c, piece, &n)) {
        return NULL;
    }
    *len = (size_t)snprintf(buf, 32, "%lld", (long long)n);
    return buf;
}

static bool
kv_is_text(const struct calls *c, const struct model_state *s, uint32_t value)
{
    char value_buf[32], piece_buf[32];
    size_t len, piece_len, at = 0;

    if (s->count == 1 && s->words[0] == value) {
        return true;
    }
    if (value == VALUE_NIL) {
        return s->count == 0;
    }
    const char *text = kv_text(c, value, value_buf, &len);
    if (text == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        const char *piece = kv_text(c, s->words[i], piece_buf, &piece_len);
        if (piece == NULL || piece_len > len - at ||
            memcmp(piece, text + at, piece_len) != 0) {
            return false;
        }
        at += piece_len;
    }
    return at == len;
}

static bool
kv_is_list(const struct calls *c, const struct model_state *s, uint32_t call)
{
    uint32_t count = call_list_count(c, call) - 1;

    return count == s->count &&
           (count == 0 || memcmp(call_list(c, call) + 1, s->words,
                                 count * sizeof(*s->words)) == 0);
}

/* Puts a value behind the pieces; an empty one is none. */
static void
kv_add(const struct calls *c, uint32_t call, uint32_t value,
       struct model_state *s)
{
    uint32_t old = s->count, count = call_list_count(c, call);
    size_t len;

    if (count > 0 && c->function[call] == REGISTER_WRITE) {
        model_state_resize(s, old + count - 1);
        for (uint32_t i = 1; i < count; i++) {
            s->words[old + i - 1] = call_list(c, call)[i];
        }
        return;
    }
    if (value == VALUE_NIL ||
        (value_to_text(c, value, &len) != NULL && len == 0)) {
        return;
    }
    model_state_resize(s, old + 1);
    s->words[old] = value;
}

static bool
kv_step(const struct calls *c, uint32_t call, const struct model_state *in,
        struct model_state *out)
{
    uint8_t function = c->function[call];
    bool refused = function == REGISTER_CAS && c->result[call] == 0;

    if (function == REGISTER_READ || function == REGISTER_APPEND || refused) {
        model_state_copy(out, in);
    } else {
        model_state_resize(out, 0);
    }
    switch (function) {
    case REGISTER_READ:
        return c->complete[call] == CALL_OPEN ||
               (call_list_count(c, call) > 0
                    ? kv_is_list(c, in, call)
                    : kv_is_text(c, in, c->result[call]));
    case REGISTER_CAS:
        if (refused) {
            return !kv_is_text(c, in, c->a[call]);
        }
        kv_add(c, call, c->b[call], out);
        return kv_is_text(c, in, c->a[call]);
    default:
        kv_add(c, call, c->a[call], out);
        return true;
    }
}

static void
kv_describe_state(const struct calls *c, const struct model_state *s,
                  struct buf *out)
{
    buf_puts(out, "the key");
    model_words_contents(c, s->words, s->count, out);
}

static const char *const kv_functions[] = {
    [REGISTER_READ] = "get",
    [REGISTER_WRITE] = "put",
    [REGISTER_CAS] = "cas",
    [REGISTER_APPEND] = "append",
    NULL,
};

static const char *const kv_aliases[] = {"key-value", NULL};

static const struct engine_ops *const kv_exact[] = {&engine_register, NULL};

const struct model_ops model_kv = {
    .name = "kv",
    .description = "values by key: get, put, append, compare and set",
    .aliases = kv_aliases,
    .functions = kv_functions,
    .decode = kv_decode,
    .initial = model_initial_value,
    .init = kv_init,
    .step = kv_step,
    .pure = register_pure,
    .describe = register_describe,
    .describe_state = kv_describe_state,
    .exact = kv_exact,
};
