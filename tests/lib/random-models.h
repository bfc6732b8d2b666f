/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How random-calls.h calls each sequential model.
 */
#ifndef ORDEAL_TESTS_RANDOM_MODELS_H
#define ORDEAL_TESTS_RANDOM_MODELS_H

#include "analyzer/models/decode.h"
#include "analyzer/models/functions.h"
#include "analyzer/models/registry.h"
#include "analyzer/models/txn.h"
#include "tests/lib/random-calls.h"

/* ---- registers ---- */

static inline void
random_register_draw(struct random_calls *g, struct random_client *client,
                     struct call *ret)
{
    (void)client;
    if (random_below(g, 2) == 0) {
        ret->function = REGISTER_READ;
    } else {
        ret->function = REGISTER_WRITE;
        ret->a = random_value(g);
    }
}

static inline void
random_cas_register_draw(struct random_calls *g, struct random_client *client,
                         struct call *ret)
{
    if (random_below(g, 3) > 0) {
        random_register_draw(g, client, ret);
        return;
    }
    ret->function = REGISTER_CAS;
    /* New values alone would never be expected by anybody. */
    ret->a = g->options->values == 0 && g->next_value > 0
                 ? 1 + random_below(g, g->next_value)
                 : random_value(g);
    ret->b = random_value(g);
}

static inline bool
random_register_answer(struct random_calls *g, struct random_client *client,
                       const struct model_state *s, uint32_t call)
{
    struct calls *c = g->c;

    (void)client;
    if (c->function[call] == REGISTER_READ) {
        c->result[call] = s->words[0];
    } else if (c->function[call] == REGISTER_CAS) {
        c->result[call] = c->a[call] == s->words[0];
    }
    return true;
}

/* ---- kv: numbers are put, appended and read as lists of digits ---- */

static inline void
random_kv_draw(struct random_calls *g, struct random_client *client,
               struct call *ret)
{
    char text[16];

    random_register_draw(g, client, ret);
    if (ret->function == REGISTER_WRITE) {
        int len = snprintf(text, sizeof(text), "<%u>", ret->a);
        ret->a = value_of_text(g->c, text, (size_t)len);
        if (random_below(g, 3) > 0) {
            ret->function = REGISTER_APPEND;
        }
    }
}

static inline bool
random_kv_answer(struct random_calls *g, struct random_client *client,
                 const struct model_state *s, uint32_t call)
{
    char text[4096];
    size_t at = 0, len;

    (void)client;
    if (g->c->function[call] != REGISTER_READ) {
        return true;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        const char *piece = value_to_text(g->c, s->words[i], &len);
        if (at + len > sizeof(text)) {
            return false;
        }
        memcpy(text + at, piece, len);
        at += len;
    }
    g->c->result[call] = value_of_text(g->c, text, at);
    return true;
}

/* ---- queue and stack ---- */

static inline void
random_queue_draw(struct random_calls *g, struct random_client *client,
                  struct call *ret)
{
    (void)client;
    ret->function = (uint8_t)random_below(g, 2);
    if (ret->function == QUEUE_ENQUEUE) {
        ret->a = random_value(g);
    }
}

static inline bool
random_queue_answer(struct random_calls *g, struct random_client *client,
                    const struct model_state *s, uint32_t call)
{
    (void)client;
    if (g->c->function[call] == QUEUE_DEQUEUE) {
        g->c->result[call] = s->count == 0 ? VALUE_NIL : s->words[0];
    }
    return true;
}

static inline bool
random_stack_answer(struct random_calls *g, struct random_client *client,
                    const struct model_state *s, uint32_t call)
{
    (void)client;
    if (g->c->function[call] == STACK_POP) {
        g->c->result[call] = s->count == 0 ? VALUE_NIL : s->words[s->count - 1];
    }
    return true;
}

/* ---- set ---- */

static inline void
random_set_draw(struct random_calls *g, struct random_client *client,
                struct call *ret)
{
    (void)client;
    ret->function = (uint8_t)random_below(g, 4);
    if (ret->function == SET_ADD) {
        ret->a = random_value(g);
    } else if (ret->function != SET_READ) {
        ret->a = g->options->values == 0 ? random_below(g, g->next_value + 1)
                                         : random_value(g);
    }
}

static inline bool
random_set_answer(struct random_calls *g, struct random_client *client,
                  const struct model_state *s, uint32_t call)
{
    struct calls *c = g->c;
    bool there = false;

    (void)client;
    for (uint32_t i = 0; i < s->count; i++) {
        there = there || s->words[i] == c->a[call];
    }
    switch (c->function[call]) {
    case SET_CONTAINS:
        c->result[call] = there;
        break;
    case SET_READ:
        c->list[call] = calls_list(c, s->words, s->count);
        break;
    default:
        if (random_below(g, 3) > 0) {
            c->result[call] = there == (c->function[call] == SET_REMOVE);
        }
    }
    return true;
}

/* ---- locks ---- */

/* memory: 1 + the token this client holds; 1: it holds one without token. */
static inline void
random_lock_draw(struct random_calls *g, struct random_client *client,
                 struct call *ret)
{
    ret->a = client->process;
    ret->function = client->memory > 0 ? LOCK_RELEASE : LOCK_ACQUIRE;
    if (client->memory > 1 && random_below(g, 2) == 0) {
        ret->b = (uint32_t)client->memory - 1;
    }
}

static inline bool
random_mutex_answer(struct random_calls *g, struct random_client *client,
                    const struct model_state *s, uint32_t call)
{
    if (g->c->function[call] == LOCK_ACQUIRE) {
        client->memory = 1;
        return s->words[0] == VALUE_NIL;
    }
    client->memory = 0;
    return s->words[0] == g->c->a[call];
}

static inline bool
random_fenced_lock_answer(struct random_calls *g, struct random_client *client,
                          const struct model_state *s, uint32_t call)
{
    if (!random_mutex_answer(g, client, s, call)) {
        return false;
    }
    if (g->c->function[call] == LOCK_ACQUIRE) {
        g->next_value += 1 + random_below(g, 3);
        g->c->result[call] = g->next_value;
        client->memory = 1 + (uint64_t)g->next_value;
    }
    return true;
}

/* ---- counter ---- */

static inline void
random_counter_draw(struct random_calls *g, struct random_client *client,
                    struct call *ret)
{
    (void)client;
    ret->function = (uint8_t)random_below(g, 2);
    if (ret->function == COUNTER_ADD) {
        ret->a = value_of_int(g->c, (int64_t)random_below(g, 4) -
                                        (g->options->values == 0 ? 0 : 1));
    }
}

static inline bool
random_counter_answer(struct random_calls *g, struct random_client *client,
                      const struct model_state *s, uint32_t call)
{
    (void)client;
    if (g->c->function[call] == COUNTER_READ) {
        uint64_t n = s->words[0] | (uint64_t)s->words[1] << 32;
        g->c->result[call] = value_of_int(g->c, (int64_t)n);
    }
    return true;
}

/* ---- multi-register: three registers ---- */

static inline void
random_multi_register_draw(struct random_calls *g, struct random_client *client,
                           struct call *ret)
{
    uint32_t words[8], count = 0;

    (void)client;
    for (uint32_t ops = 1 + random_below(g, 2); ops > 0; ops--) {
        bool write = random_below(g, 2) == 0;
        words[count++] = write ? TXN_WRITE : TXN_READ;
        words[count++] = 1000 + random_below(g, 3);
        words[count++] = write ? random_value(g) : VALUE_ABSENT;
    }
    ret->function = TXN_DONE;
    ret->list = calls_list(g->c, words, count);
}

static inline bool
random_multi_register_answer(struct random_calls *g,
                             struct random_client *client,
                             const struct model_state *s, uint32_t call)
{
    uint32_t words[16], count = 0, now[3] = {VALUE_NIL, VALUE_NIL, VALUE_NIL};
    struct txn_op op;

    (void)client;
    for (uint32_t i = 0; i + 1 < s->count; i += 2) {
        now[s->words[i] - 1000] = s->words[i + 1];
    }
    for (uint32_t at = 0; txn_next(g->c, call, &at, &op);) {
        words[count++] = op.kind;
        words[count++] = op.key;
        if (op.kind == TXN_WRITE) {
            now[op.key - 1000] = op.value;
            words[count++] = op.value;
        } else if (now[op.key - 1000] == VALUE_NIL) {
            words[count++] = VALUE_NIL;
        } else {
            words[count++] = 1;
            words[count++] = now[op.key - 1000];
        }
    }
    g->c->list[call] = calls_list(g->c, words, count);
    return true;
}

/* ---- lease: the clock is the rank, so many nanoseconds ---- */

static inline void
random_lease_draw(struct random_calls *g, struct random_client *client,
                  struct call *ret)
{
    static const uint8_t holds[] = {LEASE_RELEASE, LEASE_RENEW, LEASE_RENEW,
                                    LEASE_READ};
    static const uint8_t wants[] = {LEASE_ACQUIRE, LEASE_ACQUIRE, LEASE_READ,
                                    LEASE_EXPIRE};
    uint32_t words[LEASE_CALL_WORDS], draw = random_below(g, 4);
    int64_t until = LEASE_UNTIL_NEVER;

    ret->function = client->memory > 0 ? holds[draw] : wants[draw];
    if (ret->function != LEASE_READ && random_below(g, 8) > 0) {
        ret->a = client->process;
    }
    if (ret->function == LEASE_RENEW && random_below(g, 2) == 0) {
        until = LEASE_UNTIL_SAME;
    } else if (ret->function <= LEASE_RENEW && random_below(g, 4) > 0) {
        until = g->rank + random_below(g, 8);
    }
    model_put64(words + LEASE_CALL_END, INT64_MAX);
    model_put64(words + LEASE_CALL_UNTIL, until);
    ret->list = calls_list(g->c, words, LEASE_CALL_WORDS);
}

static inline void
random_lease_read(struct random_calls *g, const struct model_state *s,
                  uint32_t call)
{
    struct calls *c = g->c;

    c->function[call] = LEASE_READ;
    c->a[call] = VALUE_ABSENT;
    c->result[call] = s->words[0];
    if (s->words[0] == VALUE_ABSENT) {
        c->result[call] = random_below(g, 3); /* whoever it was */
    }
}

/* What finds that the lease is not there any more becomes a read, for what is
 * refused is left out of histories. */
static inline bool
random_lease_answer(struct random_calls *g, struct random_client *client,
                    const struct model_state *s, uint32_t call)
{
    struct calls *c = g->c;
    bool read = c->function[call] == LEASE_READ;

    model_put64(&c->lists[c->list[call] + 1 + LEASE_CALL_END],
                (int64_t)g->rank + random_below(g, 3));
    if (!read && g->model->ops->step(c, call, s, &g->scratch)) {
        client->memory = c->function[call] == LEASE_ACQUIRE ||
                         c->function[call] == LEASE_RENEW;
        return true;
    }
    if (c->function[call] == LEASE_ACQUIRE) {
        return false;
    }
    client->memory = read ? client->memory : 0;
    random_lease_read(g, s, call);
    return true;
}

/* Another owner, an earlier moment, or a longer loan. */
static inline bool
random_lease_corrupt(struct calls *c, uint32_t call, struct rng *rng)
{
    uint32_t *words = &c->lists[c->list[call] + 1];

    if (c->function[call] == LEASE_READ) {
        c->result[call] =
            rng_below(rng, 3) == 0 ? VALUE_NIL : (uint32_t)rng_below(rng, 4);
    } else if (c->function[call] == LEASE_ACQUIRE && rng_below(rng, 2) == 0) {
        model_put64(words + LEASE_CALL_UNTIL, LEASE_UNTIL_NEVER);
    } else {
        c->a[call] = (uint32_t)rng_below(rng, 4);
        model_put64(words + LEASE_CALL_END, 0);
    }
    return true;
}

/* ---- block: a register with versions ---- */

enum { RANDOM_BLOCK_READ, RANDOM_BLOCK_WRITE, RANDOM_BLOCK_CAS };

static inline void
random_block_draw(struct random_calls *g, struct random_client *client,
                  struct call *ret)
{
    random_cas_register_draw(g, client, ret);
    ret->function = ret->function == REGISTER_READ    ? RANDOM_BLOCK_READ
                    : ret->function == REGISTER_WRITE ? RANDOM_BLOCK_WRITE
                                                      : RANDOM_BLOCK_CAS;
}

static inline bool
random_block_answer(struct random_calls *g, struct random_client *client,
                    const struct model_state *s, uint32_t call)
{
    struct calls *c = g->c;
    uint32_t words[2] = {s->words[1], s->words[0]}, count = 1;

    (void)client;
    if (c->function[call] == RANDOM_BLOCK_READ) {
        count = 2;
    } else if (c->function[call] == RANDOM_BLOCK_CAS &&
               c->a[call] != s->words[0]) {
        c->result[call] = 0;
        words[0] = s->words[0];
    } else {
        c->result[call] = 1;
        words[0]++;
    }
    c->list[call] = calls_list(c, words, count);
    return true;
}

static const struct random_model random_models[] = {
    {&model_register, random_register_draw, random_register_answer, NULL},
    {&model_cas_register, random_cas_register_draw, random_register_answer,
     NULL},
    {&model_kv, random_kv_draw, random_kv_answer, NULL},
    {&model_fifo_queue, random_queue_draw, random_queue_answer, NULL},
    {&model_stack, random_queue_draw, random_stack_answer, NULL},
    {&model_set, random_set_draw, random_set_answer, NULL},
    {&model_mutex, random_lock_draw, random_mutex_answer, NULL},
    {&model_fenced_lock, random_lock_draw, random_fenced_lock_answer, NULL},
    {&model_counter, random_counter_draw, random_counter_answer, NULL},
    {&model_multi_register, random_multi_register_draw,
     random_multi_register_answer, NULL},
    {&model_lease, random_lease_draw, random_lease_answer,
     random_lease_corrupt},
    {&model_block, random_block_draw, random_block_answer, NULL},
};

#define RANDOM_MODEL_COUNT (sizeof(random_models) / sizeof(random_models[0]))

/* NULL: this model is not called at random. */
static inline const struct random_model *
random_model_find(const char *name)
{
    for (size_t i = 0; i < RANDOM_MODEL_COUNT; i++) {
        if (strcmp(random_models[i].ops->name, name) == 0) {
            return &random_models[i];
        }
    }
    return NULL;
}

#endif
