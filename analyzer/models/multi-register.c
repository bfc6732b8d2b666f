/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several registers that are read and written together, at one moment.  The
 * layout of a call's list is that of txn.h.  A state is the registers that do
 * not hold the initial value, rising, each with what it holds.
 */
#include "config.h"

#include <string.h>

#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"
#include "analyzer/models/txn.h"

static enum decoded
multi_register_decode(struct calls *c, const struct record *invoke,
                      const struct record *end, struct call *ret,
                      struct error *err)
{
    struct txn_op op;
    bool tells = false;
    enum decoded decoded = txn_decode(c, invoke, end, false, ret, err);

    if (decoded == DECODED_ERROR) {
        return decoded;
    }
    if (ret->function == TXN_FAILED) {
        return DECODED_DROP;
    }
    /* An invocation with reads alone, or none that is known, tells nothing. */
    for (uint32_t at = 0; txn_next_of(c, ret->list, &at, &op);) {
        bool unknown =
            op.kind == TXN_READ && (!op.known || (op.count == 0 && !c->strict));
        if (unknown) {
            c->lists[ret->list + at] = VALUE_ABSENT;
        }
        tells = tells || !unknown;
    }
    return tells ? decoded : DECODED_DROP;
}

static uint32_t
multi_register_initial(const struct calls *c)
{
    return c->initial == VALUE_ABSENT ? VALUE_NIL : c->initial;
}

static void
multi_register_init(const struct calls *c, uint32_t key,
                    struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, 0);
}

/* Where the pair of 'key' is, or belongs. */
static uint32_t
multi_register_at(const struct model_state *s, uint32_t key, bool *ret_there)
{
    uint32_t low = 0, high = s->count / 2;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->words[2 * middle] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_there = low < s->count / 2 && s->words[2 * low] == key;
    return 2 * low;
}

static void
multi_register_write(const struct calls *c, struct model_state *s, uint32_t key,
                     uint32_t value)
{
    bool there, initial = value == multi_register_initial(c);
    uint32_t at = multi_register_at(s, key, &there), count = s->count;

    if (there && initial) {
        memmove(s->words + at, s->words + at + 2,
                (count - at - 2) * sizeof(*s->words));
        model_state_resize(s, count - 2);
        return;
    }
    if (!there && !initial) {
        model_state_resize(s, count + 2);
        memmove(s->words + at + 2, s->words + at,
                (count - at) * sizeof(*s->words));
        s->words[at] = key;
    }
    if (!initial) {
        s->words[at + 1] = value;
    }
}

static bool
multi_register_step(const struct calls *c, uint32_t call,
                    const struct model_state *in, struct model_state *out)
{
    struct txn_op op;

    model_state_copy(out, in);
    for (uint32_t at = 0; txn_next(c, call, &at, &op);) {
        if (op.kind != TXN_READ) {
            multi_register_write(c, out, op.key, op.value);
            continue;
        }
        bool there;
        uint32_t found = multi_register_at(out, op.key, &there);
        uint32_t now =
            there ? out->words[found + 1] : multi_register_initial(c);
        uint32_t seen = op.count == 0 ? VALUE_NIL : op.elements[0];
        if (op.known && seen != now) {
            return false;
        }
    }
    return true;
}

static bool
multi_register_pure(const struct calls *c, uint32_t call)
{
    struct txn_op op;

    for (uint32_t at = 0; txn_next(c, call, &at, &op);) {
        if (op.kind != TXN_READ) {
            return false;
        }
    }
    return true;
}

static uint32_t
multi_register_touches(const struct calls *c, uint32_t call, uint32_t *ret,
                       uint32_t cap)
{
    uint32_t count = 0;
    struct txn_op op;

    for (uint32_t at = 0; txn_next(c, call, &at, &op); count++) {
        if (count < cap) {
            ret[count] = op.key;
        }
    }
    return count;
}

static void
multi_register_describe_state(const struct calls *c,
                              const struct model_state *s, struct buf *out)
{
    buf_puts(out, s->count == 0 ? "all registers are as they were" : "");
    for (uint32_t i = 0; i + 1 < s->count; i += 2) {
        buf_puts(out, i == 0 ? "" : ", ");
        model_words_value(c, s->words[i], out);
        buf_puts(out, " is ");
        model_words_value(c, s->words[i + 1], out);
    }
}

static const char *const multi_register_functions[] = {
    [TXN_DONE] = "txn", [TXN_FAILED] = "txn-failed", NULL};

const struct model_ops model_multi_register = {
    .name = "multi-register",
    .description = "registers read and written together, at one moment",
    .functions = multi_register_functions,
    .decode = multi_register_decode,
    .initial = model_initial_value,
    .init = multi_register_init,
    .step = multi_register_step,
    .pure = multi_register_pure,
    .touches = multi_register_touches,
    .describe = txn_describe,
    .describe_state = multi_register_describe_state,
};
