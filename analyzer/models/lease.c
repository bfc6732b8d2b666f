/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock that is lent for a time (C. Gray and D. Cheriton, "Leases", 1989). The
 * promise that is judged: nobody else gets it before the owner released it, or
 * before the time has passed for which it was lent.
 *
 * The history's clock is not the system's, and nobody saw when a call took
 * effect.  So all is bounded in the accused's favour: a lease runs from the
 * invocation of what lent it, for its ttl less the skew (--initial, in
 * milliseconds; else a tenth of the ttl), and who takes it over does so as late
 * as when it was answered.  Without times a lease with a ttl may expire at any
 * moment; one without a ttl ends by release or an expire in the history.
 *
 * State: the owner, or NIL; the earliest time of expiry, two words.
 */
#include "config.h"

#include <inttypes.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

enum { STATE_OWNER, STATE_UNTIL, STATE_WORDS = 3 };

/* Longer ones never expire within a history; products do not overflow. */
#define TTL_MAX_MS (INT64_C(1) << 40)

static int64_t
lease_until(const struct calls *c, const struct record *invoke)
{
    int64_t ttl, seconds, skew;

    if (model_field_natural(invoke->value, "ttl_s", &seconds)) {
        ttl = seconds > TTL_MAX_MS / 1000 ? TTL_MAX_MS : seconds * 1000;
    } else if (!model_field_natural(invoke->value, "ttl_ms", &ttl) &&
               !model_field_natural(invoke->value, "ttl", &ttl)) {
        return LEASE_UNTIL_NEVER;
    }
    if (invoke->time_ns < 0) {
        return INT64_MIN;
    }
    ttl = ttl > TTL_MAX_MS ? TTL_MAX_MS : ttl;
    if (c->initial == VALUE_ABSENT || !value_to_int(c, c->initial, &skew)) {
        skew = ttl / 10 + 1;
    }
    skew = skew < 0 ? 0 : skew;
    return skew > ttl ? INT64_MIN : invoke->time_ns + (ttl - skew) * NS_PER_MS;
}

static enum decoded
lease_decode(struct calls *c, const struct record *invoke,
             const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"lock", LEASE_ACQUIRE},    {"grant", LEASE_ACQUIRE},
        {"unlock", LEASE_RELEASE},  {"revoke", LEASE_RELEASE},
        {"keepalive", LEASE_RENEW}, {"keep-alive", LEASE_RENEW},
        {"get", LEASE_READ},        {NULL, 0},
    };
    bool ok = model_ended(end) == ENDED_OK;
    uint32_t words[LEASE_CALL_WORDS];

    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    uint8_t f = ret->function;
    lock_decode_words(c, invoke, end, f == LEASE_ACQUIRE, ret);
    ret->b = ret->result = VALUE_ABSENT;
    if (f == LEASE_EXPIRE && tree_get(invoke->value, "owner") == NULL) {
        ret->a = VALUE_ABSENT; /* nobody's process: the system's */
    }
    if (f == LEASE_READ) {
        ret->a = VALUE_ABSENT;
        if (!ok || (tree_is_nil(end->value) && !c->strict)) {
            return DECODED_DROP;
        }
        const struct tree *owner = end->value->kind == TREE_MAP
                                       ? tree_get(end->value, "owner")
                                       : end->value;
        ret->result = model_value_or_nil(c, owner);
    }
    model_put64(words + LEASE_CALL_END,
                ok && end->time_ns >= 0 ? end->time_ns : INT64_MAX);
    int64_t until =
        f == LEASE_ACQUIRE || f == LEASE_RENEW ? lease_until(c, invoke) : 0;
    model_put64(words + LEASE_CALL_UNTIL,
                f == LEASE_RENEW && until == LEASE_UNTIL_NEVER
                    ? LEASE_UNTIL_SAME
                    : until);
    ret->list = calls_list(c, words, LEASE_CALL_WORDS);
    return model_plain_end(end);
}

static void
lease_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, STATE_WORDS);
    out->words[STATE_OWNER] = VALUE_NIL;
}

static bool
lease_same(uint32_t a, uint32_t b)
{
    return a == b || a == VALUE_ABSENT || b == VALUE_ABSENT;
}

/* Whether the clock allows that the lease had expired when the call took
 * effect. */
static bool
lease_over(const struct calls *c, uint32_t call, const struct model_state *s)
{
    int64_t until = model_get64(s->words + STATE_UNTIL);

    return until != LEASE_UNTIL_NEVER &&
           (c->complete[call] == CALL_OPEN ||
            model_get64(call_list(c, call) + LEASE_CALL_END) >= until);
}

static bool
lease_step(const struct calls *c, uint32_t call, const struct model_state *in,
           struct model_state *out)
{
    uint32_t owner = in->words[STATE_OWNER], mine = c->a[call];
    int64_t until = model_get64(call_list(c, call) + LEASE_CALL_UNTIL);
    bool free = owner == VALUE_NIL, legal;

    model_state_copy(out, in);
    switch (c->function[call]) {
    case LEASE_ACQUIRE:
        legal = free || lease_over(c, call, in) ||
                (owner == mine && mine != VALUE_ABSENT);
        break;
    case LEASE_EXPIRE:
        legal = !free && lease_same(owner, mine) &&
                (lease_over(c, call, in) ||
                 model_get64(in->words + STATE_UNTIL) == LEASE_UNTIL_NEVER);
        break;
    case LEASE_READ:
        return c->complete[call] == CALL_OPEN || c->result[call] == owner ||
               (owner == VALUE_ABSENT && c->result[call] != VALUE_NIL) ||
               (c->result[call] == VALUE_NIL && lease_over(c, call, in));
    default:
        legal = !free && lease_same(owner, mine);
    }
    if (!legal) {
        return c->complete[call] == CALL_OPEN; /* refused */
    }
    if (c->function[call] == LEASE_ACQUIRE) {
        out->words[STATE_OWNER] = mine;
    }
    if (c->function[call] == LEASE_ACQUIRE ||
        c->function[call] == LEASE_RENEW) {
        if (until != LEASE_UNTIL_SAME) {
            model_put64(out->words + STATE_UNTIL, until);
        }
    } else {
        out->words[STATE_OWNER] = VALUE_NIL;
        model_put64(out->words + STATE_UNTIL, 0);
    }
    return true;
}

static bool
lease_pure(const struct calls *c, uint32_t call)
{
    return c->function[call] == LEASE_READ;
}

/* Whose it is may have changed since, and it may be over at any time: of one
 * owner that is the state that allows most, also what a free one does. */
static bool
lease_anything(const struct calls *c, uint32_t call, struct model_state *out)
{
    if (c->function[call] != LEASE_ACQUIRE) {
        return false;
    }
    model_state_resize(out, STATE_WORDS);
    out->words[STATE_OWNER] = c->a[call];
    model_put64(out->words + STATE_UNTIL, INT64_MIN);
    return true;
}

static void
lease_describe_state(const struct calls *c, const struct model_state *s,
                     struct buf *out)
{
    int64_t until = model_get64(s->words + STATE_UNTIL);

    if (s->words[STATE_OWNER] == VALUE_NIL) {
        buf_puts(out, "the lease is free");
        return;
    }
    buf_puts(out, "the lease is held");
    if (s->words[STATE_OWNER] != VALUE_ABSENT) {
        buf_puts(out, " by ");
        model_words_value(c, s->words[STATE_OWNER], out);
    }
    if (until != LEASE_UNTIL_NEVER && until != INT64_MIN) {
        buf_printf(out, " until %" PRId64 " ms at least", until / NS_PER_MS);
    }
}

static const char *const lease_functions[] = {
    [LEASE_ACQUIRE] = "acquire", [LEASE_RELEASE] = "release",
    [LEASE_RENEW] = "renew",     [LEASE_EXPIRE] = "expire",
    [LEASE_READ] = "read",       NULL};

static const struct engine_ops *const lease_engines[] = {&engine_lease, NULL};

const struct model_ops model_lease = {
    .name = "lease",
    .description = "a lock that is lent for a time, renewed, or expires",
    .functions = lease_functions,
    .decode = lease_decode,
    .initial = model_initial_int,
    .init = lease_init,
    .step = lease_step,
    .pure = lease_pure,
    .anything = lease_anything,
    .describe = lock_describe,
    .describe_state = lease_describe_state,
    .exact = lease_engines,
};
