/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replicated array of registers with versions: each begins with 0 in version
 * 0, and each write and each compare-and-set that holds raises the version by
 * one.  A state is value and version, so that a write that nobody overwrote and
 * nobody sees any more is missed by its number, too.
 *
 * A call's 'a' is what is written or expected, 'b' what a compare-and-set puts
 * in its place; its list is the version, then of a read the value.  'result' is
 * 0 when a compare-and-set was refused; then the list has the value seen alone.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

enum block_function { BLOCK_READ, BLOCK_WRITE, BLOCK_CAS };
enum block_code { BLOCK_OK, BLOCK_MISMATCH, BLOCK_NOT_FOUND };

static const char *const block_codes[] = {
    [BLOCK_OK] = "ok",
    [BLOCK_MISMATCH] = "value_mismatch",
    [BLOCK_NOT_FOUND] = "block_not_found",
    NULL,
};

enum { STATE_VALUE, STATE_VERSION };

static enum decoded
block_decode_read(struct calls *c, const struct record *invoke,
                  const struct record *end, struct call *ret)
{
    uint32_t words[2];

    if (model_ended(end) != ENDED_OK || !model_claims_linearizable(invoke)) {
        return DECODED_DROP;
    }
    words[0] = model_field(c, end->value, "version");
    words[1] = model_field(c, end->value, "value");
    if (words[0] == VALUE_ABSENT || words[1] == VALUE_ABSENT) {
        return DECODED_DROP; /* beyond the array */
    }
    ret->list = calls_list(c, words, 2);
    return DECODED_CALL;
}

/* What an answer tells of the state. */
static enum decoded
block_decode_answer(struct calls *c, const struct record *end, struct call *ret)
{
    uint32_t code = model_code(end->value, block_codes), word;

    if (code > BLOCK_MISMATCH) {
        return DECODED_DROP; /* nothing there to change */
    }
    ret->result = code == BLOCK_OK;
    word = model_field(c, end->value, code == BLOCK_OK ? "version" : "value");
    ret->list = calls_list(c, &word, 1);
    return DECODED_CALL;
}

static enum decoded
block_decode(struct calls *c, const struct record *invoke,
             const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {{"get_block", BLOCK_READ},
                                                    {NULL, 0}};
    const struct tree *value = invoke->value;

    if (strcmp(invoke->function, "tick") == 0) {
        return DECODED_DROP;
    }
    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    ret->key = model_field(c, value, "block");
    ret->a = model_field(c, value,
                         ret->function == BLOCK_CAS ? "expected" : "value");
    if (ret->function == BLOCK_CAS) {
        ret->b = model_field(c, value, "value");
    }
    if (ret->key == VALUE_ABSENT ||
        (ret->function != BLOCK_READ && ret->a == VALUE_ABSENT) ||
        (ret->function == BLOCK_CAS && ret->b == VALUE_ABSENT)) {
        return model_bad_value(c, invoke,
                               "its value is no {block}, {block, value} or "
                               "{block, expected, value}",
                               err);
    }
    if (ret->function == BLOCK_READ) {
        ret->a = VALUE_ABSENT;
        return block_decode_read(c, invoke, end, ret);
    }
    if (model_ended(end) == ENDED_OK) {
        return block_decode_answer(c, end, ret);
    }
    return model_plain_end(end);
}

static void
block_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, 2);
    out->words[STATE_VALUE] = out->words[STATE_VERSION] = 0;
}

static bool
block_step(const struct calls *c, uint32_t call, const struct model_state *in,
           struct model_state *out)
{
    const uint32_t *list = call_list(c, call);
    uint32_t now = in->words[STATE_VALUE], version = in->words[STATE_VERSION];
    bool open = c->complete[call] == CALL_OPEN;
    bool cas = c->function[call] == BLOCK_CAS;

    model_state_copy(out, in);
    if (c->function[call] == BLOCK_READ) {
        return list[0] == version && list[1] == now;
    }
    if (!open && c->result[call] == 0) {
        return cas && c->a[call] != now &&
               (list[0] == VALUE_ABSENT || list[0] == now);
    }
    if (cas && c->a[call] != now) {
        return false; /* an open one that was refused is none */
    }
    out->words[STATE_VALUE] = cas ? c->b[call] : c->a[call];
    out->words[STATE_VERSION] = version + 1;
    return open || list[0] == VALUE_ABSENT || list[0] == version + 1;
}

static bool
block_pure(const struct calls *c, uint32_t call)
{
    return c->function[call] == BLOCK_READ ||
           (c->complete[call] != CALL_OPEN && c->result[call] == 0);
}

/* A write does what a compare-and-set to the same value does. */
static bool
block_covers(const struct calls *c, uint32_t x, uint32_t y)
{
    return c->function[x] == BLOCK_WRITE && c->function[y] == BLOCK_CAS &&
           c->a[x] == c->b[y];
}

static void
block_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    static const char *const words[] = {"read block", "write block",
                                        "cas block"};
    const uint32_t *list = call_list(c, call);

    buf_puts(out, words[c->function[call]]);
    model_words_key(c, call, out);
    if (c->function[call] != BLOCK_READ) {
        buf_puts(out, " ");
        model_words_value(c, c->a[call], out);
    }
    if (c->function[call] == BLOCK_CAS) {
        buf_puts(out, " -> ");
        model_words_value(c, c->b[call], out);
    }
    if (c->complete[call] == CALL_OPEN) {
        buf_puts(out, " (unknown)");
    } else if (c->function[call] == BLOCK_READ) {
        buf_puts(out, ": ");
        model_words_value(c, list[1], out);
        buf_printf(out, " in version %" PRIu32, list[0]);
    } else if (c->result[call] == 0) {
        buf_puts(out, ": refused");
    } else {
        buf_printf(out, ": version %" PRIu32, list[0]);
    }
}

static void
block_describe_state(const struct calls *c, const struct model_state *s,
                     struct buf *out)
{
    buf_puts(out, "the block holds ");
    model_words_value(c, s->words[STATE_VALUE], out);
    buf_printf(out, " in version %" PRIu32, s->words[STATE_VERSION]);
}

static const char *const block_functions[] = {
    [BLOCK_READ] = "read", [BLOCK_WRITE] = "write", [BLOCK_CAS] = "cas", NULL};

const struct model_ops model_block = {
    .name = "block",
    .description = "an array of registers with versions",
    .functions = block_functions,
    .decode = block_decode,
    .init = block_init,
    .step = block_step,
    .pure = block_pure,
    .covers = block_covers,
    .describe = block_describe,
    .describe_state = block_describe_state,
    .forgets = true,
};
