/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock.  A state is its holder: nothing, an owner, or somebody unnamed.  Who
 * the owner is: what the value names, else, in the strict meaning, the process;
 * Knossos' mutex has no owner, and so has ours in its meaning.
 */
#include "config.h"

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

#define MUTEX_SOMEBODY VALUE_ABSENT

/* The first of these names that the map has. */
static const struct tree *
lock_field(const struct tree *map, const char *const *names)
{
    for (uint32_t i = 0; map != NULL && names[i] != NULL; i++) {
        const struct tree *t = tree_get(map, names[i]);
        if (!tree_is_nil(t)) {
            return t;
        }
    }
    return NULL;
}

void
lock_decode_words(struct calls *c, const struct record *invoke,
                  const struct record *end, bool acquires, struct call *ret)
{
    static const char *const locks[] = {"lock", "name", "key", "resource",
                                        NULL};
    static const char *const owners[] = {"owner", "holder", "client", NULL};
    static const char *const tokens[] = {"token", "fence", "epoch", NULL};
    const struct tree *value = model_bare_value(c, invoke, false, ret);
    const struct tree *lock = lock_field(value, locks);
    const struct tree *owner = lock_field(value, owners);
    const struct tree *token = lock_field(value, tokens);

    if (lock != NULL) {
        ret->key = value_number(c, lock);
    }
    if (owner != NULL) {
        ret->a = value_number(c, owner);
    } else if (c->strict) {
        ret->a = value_of_int(c, invoke->process);
    }
    if (acquires && model_ended(end) == ENDED_OK) {
        token = end->value->kind == TREE_INT ? end->value
                                             : lock_field(end->value, tokens);
        if (token != NULL) {
            ret->result = value_number(c, token);
        }
    } else if (!acquires && value->kind == TREE_INT) {
        ret->b = value_number(c, value);
    } else if (!acquires && token != NULL) {
        ret->b = value_number(c, token);
    }
}

enum decoded
lock_decode(struct calls *c, const struct record *invoke,
            const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"lock", LOCK_ACQUIRE},
        {"unlock", LOCK_RELEASE},
        {NULL, 0},
    };

    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    lock_decode_words(c, invoke, end, ret->function == LOCK_ACQUIRE, ret);
    return model_plain_end(end);
}

static enum decoded
mutex_decode(struct calls *c, const struct record *invoke,
             const struct record *end, struct call *ret, struct error *err)
{
    enum decoded decoded = lock_decode(c, invoke, end, ret, err);

    ret->b = VALUE_ABSENT;
    ret->result = VALUE_ABSENT;
    return decoded;
}

static void
mutex_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, 1);
    out->words[0] = VALUE_NIL;
}

static bool
mutex_step(const struct calls *c, uint32_t call, const struct model_state *in,
           struct model_state *out)
{
    uint32_t holder = in->words[0], owner = c->a[call];

    model_state_resize(out, 1);
    if (c->function[call] == LOCK_ACQUIRE) {
        out->words[0] = owner;
        return holder == VALUE_NIL;
    }
    out->words[0] = VALUE_NIL;
    return holder != VALUE_NIL &&
           (holder == owner || holder == MUTEX_SOMEBODY ||
            owner == VALUE_ABSENT);
}

void
lock_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    buf_puts(out, c->model->functions[c->function[call]]);
    model_words_key(c, call, out);
    if (c->a[call] != VALUE_ABSENT) {
        buf_puts(out, " by ");
        model_words_value(c, c->a[call], out);
    }
    if (c->b[call] != VALUE_ABSENT) {
        buf_puts(out, " with token ");
        model_words_value(c, c->b[call], out);
    }
    if (c->complete[call] != CALL_OPEN && c->result[call] != VALUE_ABSENT) {
        buf_puts(out, ": token ");
        model_words_value(c, c->result[call], out);
    } else {
        model_words_result(c, call, out);
    }
}

static void
mutex_describe_state(const struct calls *c, const struct model_state *s,
                     struct buf *out)
{
    if (s->words[0] == VALUE_NIL) {
        buf_puts(out, "the lock is free");
    } else if (s->words[0] == MUTEX_SOMEBODY) {
        buf_puts(out, "the lock is held");
    } else {
        buf_puts(out, "the lock is held by ");
        model_words_value(c, s->words[0], out);
    }
}

static const char *const mutex_functions[] = {
    [LOCK_ACQUIRE] = "acquire", [LOCK_RELEASE] = "release", NULL};
static const char *const mutex_aliases[] = {"lock", NULL};

static const struct engine_ops *const mutex_exact[] = {&engine_lock, NULL};

const struct model_ops model_mutex = {
    .name = "mutex",
    .description = "a lock that one owner holds at a time",
    .aliases = mutex_aliases,
    .functions = mutex_functions,
    .decode = mutex_decode,
    .init = mutex_init,
    .step = mutex_step,
    .describe = lock_describe,
    .describe_state = mutex_describe_state,
    .exact = mutex_exact,
};
