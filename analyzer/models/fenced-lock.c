/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock whose every acquisition gets a token that is greater than all before
 * (M. Kleppmann, "How to do distributed locking", 2016).  A state is
 *
 *   holder        nothing, an owner, or somebody unnamed
 *   exact         1: the last token is known, 0: it is at least ...
 *   token         ... this; two words
 *
 * Tokens are integers: each acquisition whose token nobody told raises the
 * least that the last one can be by one.
 */
#include "config.h"

#include <inttypes.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

enum { FENCED_HOLDER, FENCED_EXACT, FENCED_TOKEN, FENCED_WORDS = 4 };

static enum decoded
fenced_lock_decode(struct calls *c, const struct record *invoke,
                   const struct record *end, struct call *ret,
                   struct error *err)
{
    enum decoded decoded = lock_decode(c, invoke, end, ret, err);
    int64_t n;

    if (decoded == DECODED_CALL &&
        ((ret->result != VALUE_ABSENT && !value_to_int(c, ret->result, &n)) ||
         (ret->b != VALUE_ABSENT && !value_to_int(c, ret->b, &n)))) {
        return model_bad_value(c, invoke, "a token is no integer", err);
    }
    return decoded;
}

static void
fenced_lock_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, FENCED_WORDS);
    out->words[FENCED_HOLDER] = VALUE_NIL;
    out->words[FENCED_EXACT] = 0;
    model_put64(out->words + FENCED_TOKEN, INT64_MIN);
}

static bool
fenced_lock_acquire(const struct calls *c, uint32_t call,
                    const struct model_state *in, struct model_state *out)
{
    int64_t last = model_get64(in->words + FENCED_TOKEN), token;

    out->words[FENCED_HOLDER] = c->a[call];
    if (in->words[FENCED_HOLDER] != VALUE_NIL || last == INT64_MAX) {
        return false;
    }
    if (c->result[call] == VALUE_ABSENT) {
        out->words[FENCED_EXACT] = 0;
        model_put64(out->words + FENCED_TOKEN, last + 1);
        return true;
    }
    if (!value_to_int(c, c->result[call], &token)) {
        return false;
    }
    out->words[FENCED_EXACT] = 1;
    model_put64(out->words + FENCED_TOKEN, token);
    return token > last;
}

static bool
fenced_lock_step(const struct calls *c, uint32_t call,
                 const struct model_state *in, struct model_state *out)
{
    uint32_t holder = in->words[FENCED_HOLDER], owner = c->a[call];
    int64_t last = model_get64(in->words + FENCED_TOKEN), token;

    model_state_copy(out, in);
    if (c->function[call] == LOCK_ACQUIRE) {
        return fenced_lock_acquire(c, call, in, out);
    }
    out->words[FENCED_HOLDER] = VALUE_NIL;
    if (holder == VALUE_NIL ||
        (holder != owner && holder != VALUE_ABSENT && owner != VALUE_ABSENT)) {
        return false;
    }
    if (c->b[call] == VALUE_ABSENT) {
        return true;
    }
    if (!value_to_int(c, c->b[call], &token)) {
        return false;
    }
    /* A token that was not told shows itself. */
    out->words[FENCED_EXACT] = 1;
    model_put64(out->words + FENCED_TOKEN, token);
    return in->words[FENCED_EXACT] == 1 ? token == last : token >= last;
}

static void
fenced_lock_describe_state(const struct calls *c, const struct model_state *s,
                           struct buf *out)
{
    uint32_t holder = s->words[FENCED_HOLDER];
    int64_t token = model_get64(s->words + FENCED_TOKEN);

    buf_puts(out,
             holder == VALUE_NIL ? "the lock is free" : "the lock is held");
    if (holder != VALUE_NIL && holder != VALUE_ABSENT) {
        buf_puts(out, " by ");
        model_words_value(c, holder, out);
    }
    if (s->words[FENCED_EXACT] == 1) {
        buf_printf(out, ", the last token is %" PRId64, token);
    }
}

static const char *const fenced_lock_functions[] = {
    [LOCK_ACQUIRE] = "acquire", [LOCK_RELEASE] = "release", NULL};
static const char *const fenced_lock_aliases[] = {"fenced-mutex", NULL};

static const struct engine_ops *const fenced_lock_exact[] = {&engine_lock,
                                                             NULL};

const struct model_ops model_fenced_lock = {
    .name = "fenced-lock",
    .description = "a lock whose tokens grow with every acquisition",
    .aliases = fenced_lock_aliases,
    .functions = fenced_lock_functions,
    .decode = fenced_lock_decode,
    .init = fenced_lock_init,
    .step = fenced_lock_step,
    .describe = lock_describe,
    .describe_state = fenced_lock_describe_state,
    .exact = fenced_lock_exact,
};
