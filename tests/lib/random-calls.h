/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of any sequential model, as calls.  Clients call one after
 * the other; each call takes effect at one random moment between its invocation
 * and its answer, so the history is linearizable by construction.  Some clients
 * crash: their call stays open, with its effect, without, or with it much
 * later.  random_calls_corrupt() changes one answer, which usually, not always,
 * makes the history wrong.
 *
 *   struct calls *c = random_calls(random_model_find("register"), &options);
 */
#ifndef ORDEAL_TESTS_RANDOM_CALLS_H
#define ORDEAL_TESTS_RANDOM_CALLS_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/models/model.h"
#include "harness/base/rng.h"

struct random_options {
    uint64_t seed;
    uint32_t calls;   /* to invoke */
    uint32_t clients; /* at once */
    uint32_t keys;    /* 0: none, all calls share one */
    uint32_t values;  /* to choose from; 0: every value is new */
    uint32_t crashes; /* about so many calls stay open */
    bool positions;   /* calls get their place in the order as position */
};

enum random_stage { RANDOM_IDLE, RANDOM_WAITS, RANDOM_DONE };

struct random_client {
    enum random_stage stage;
    uint32_t process, call;
    uint64_t memory; /* of the model: what this client holds */
};

struct random_calls {
    struct calls *c;
    struct rng rng;
    const struct random_options *options;
    const struct random_model *model;
    uint32_t next_value, next_process, rank, effects;
    struct random_client *clients;
    uint32_t *late; /* open calls that may still take effect */
    uint32_t late_count;
    struct model_state *states; /* by key */
    struct model_state scratch;
    uint64_t *position; /* by call */
    bool *dropped;      /* by call: open, and told nothing */
};

/* How to call a model; tests/lib/random-models.h has one for each. */
struct random_model {
    const struct model_ops *ops;
    /* Chooses function and arguments. */
    void (*draw)(struct random_calls *g, struct random_client *client,
                 struct call *ret);
    /* Fills in the result of g->c's 'call' in this state.  False: it cannot
     * take effect now (a lock is held).  NULL: calls have no results. */
    bool (*answer)(struct random_calls *g, struct random_client *client,
                   const struct model_state *s, uint32_t call);
    /* Changes what an answered call tells; false: it tells nothing.  NULL: one
     * gets the answer of another. */
    bool (*corrupt)(struct calls *c, uint32_t call, struct rng *rng);
};

static inline uint32_t
random_below(struct random_calls *g, uint32_t bound)
{
    return (uint32_t)rng_below(&g->rng, bound);
}

static inline uint32_t
random_value(struct random_calls *g)
{
    return g->options->values == 0 ? ++g->next_value
                                   : 1 + random_below(g, g->options->values);
}

static inline struct model_state *
random_state(struct random_calls *g, uint32_t call)
{
    uint32_t key = g->c->key[call];
    return &g->states[key == VALUE_ABSENT ? 0 : key];
}

static inline void
random_invoke(struct random_calls *g, struct random_client *client)
{
    struct calls *c = g->c;
    struct call drawn = {.key = VALUE_ABSENT,
                         .a = VALUE_ABSENT,
                         .b = VALUE_ABSENT,
                         .result = VALUE_ABSENT};

    if (g->options->keys > 0) {
        drawn.key = random_below(g, g->options->keys);
    }
    g->model->draw(g, client, &drawn);
    /* The answer's rank is not known yet, but it is not open so far. */
    uint32_t i =
        calls_append(c, drawn.function, client->process, g->rank, g->rank);
    g->rank++;
    c->key[i] = drawn.key;
    c->a[i] = drawn.a;
    c->b[i] = drawn.b;
    c->result[i] = drawn.result;
    c->list[i] = drawn.list;
    client->call = i;
    client->stage = RANDOM_WAITS;
}

/* False: not now. */
static inline bool
random_effect(struct random_calls *g, struct random_client *client,
              uint32_t call)
{
    struct model_state *s = random_state(g, call);

    if (g->model->answer != NULL && !g->model->answer(g, client, s, call)) {
        return false;
    }
    bool legal = g->model->ops->step(g->c, call, s, &g->scratch);
    assert(legal);
    (void)legal;
    struct model_state old = *s;
    *s = g->scratch;
    g->scratch = old;
    g->position[call] = ++g->effects;
    return true;
}

static inline void
random_crash(struct random_calls *g, struct random_client *client)
{
    struct calls *c = g->c;
    uint32_t i = client->call;

    c->complete[i] = CALL_OPEN;
    if (client->stage == RANDOM_DONE) {
        c->result[i] = VALUE_ABSENT;
    } else if (random_below(g, 2) == 0) {
        g->late[g->late_count++] = i;
    }
    g->dropped[i] = g->model->ops->pure != NULL && g->model->ops->pure(c, i);
    *client = (struct random_client){.process = g->next_process++};
}

static inline void
random_late(struct random_calls *g)
{
    uint32_t at = random_below(g, g->late_count), i = g->late[at];
    struct random_client nobody = {.process = g->c->process[i]};

    g->c->complete[i] = g->c->invoke[i];
    if (random_effect(g, &nobody, i)) {
        g->late[at] = g->late[--g->late_count];
    }
    g->c->complete[i] = CALL_OPEN;
    g->c->result[i] = VALUE_ABSENT;
}

static inline void
random_turn(struct random_calls *g, struct random_client *client)
{
    const struct random_options *o = g->options;

    if (client->stage == RANDOM_IDLE) {
        if (g->c->count < o->calls) {
            random_invoke(g, client);
        }
        return;
    }
    /* Two chances to crash, before the effect and after. */
    if (o->crashes > 0 && random_below(g, 2 * o->calls) < o->crashes) {
        random_crash(g, client);
        return;
    }
    if (client->stage == RANDOM_DONE) {
        g->c->complete[client->call] = g->rank++;
        client->stage = RANDOM_IDLE;
    } else if (random_effect(g, client, client->call)) {
        client->stage = RANDOM_DONE;
    }
}

/* Calls that told nothing leave the columns. */
static inline void
random_compact(struct random_calls *g)
{
    struct calls *c = g->c;
    uint32_t to = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        if (g->dropped[i]) {
            continue;
        }
#define RANDOM_MOVE(type, name) c->name[to] = c->name[i];
        CALL_COLUMNS(RANDOM_MOVE)
#undef RANDOM_MOVE
        g->position[to] = g->position[i];
        if (c->complete[i] == CALL_OPEN || g->position[to] == 0) {
            g->position[to] = RECORD_POSITION_NONE;
        }
        to++;
    }
    c->count = to;
    c->rank_count = g->rank;
    if (g->options->positions) {
        c->position = g->position;
        g->position = NULL;
    }
}

static inline void
random_play(struct random_calls *g)
{
    const struct random_options *o = g->options;
    /* Blocked clients (all locks are held) must not spin forever. */
    uint64_t turns = (uint64_t)o->calls * 64 + 256;

    while (turns-- > 0) {
        if (g->late_count > 0 && random_below(g, 16) == 0) {
            random_late(g);
        }
        random_turn(g, &g->clients[random_below(g, o->clients)]);
        if (g->c->count == o->calls && random_below(g, 4 * o->clients) == 0) {
            break;
        }
    }
    for (uint32_t i = 0; i < o->clients; i++) {
        if (g->clients[i].stage == RANDOM_DONE) {
            g->c->complete[g->clients[i].call] = g->rank++;
        } else if (g->clients[i].stage == RANDOM_WAITS) {
            if (random_effect(g, &g->clients[i], g->clients[i].call)) {
                g->c->complete[g->clients[i].call] = g->rank++;
            } else {
                random_crash(g, &g->clients[i]);
            }
        }
    }
}

static inline struct calls *
random_calls(const struct random_model *model, const struct random_options *o)
{
    struct random_calls g = {.options = o, .model = model};
    uint32_t keys = o->keys == 0 ? 1 : o->keys;

    assert(model != NULL && o->clients > 0);
    g.c = calls_new_raw(model->ops);
    rng_init(&g.rng, o->seed);
    g.clients = xcalloc(o->clients, sizeof(*g.clients));
    g.late = xcalloc(o->calls + 1, sizeof(*g.late));
    g.position = xcalloc(o->calls + 1, sizeof(*g.position));
    g.dropped = xcalloc(o->calls + 1, sizeof(*g.dropped));
    g.states = xcalloc(keys, sizeof(*g.states));
    for (uint32_t i = 0; i < o->clients; i++) {
        g.clients[i].process = g.next_process++;
    }
    for (uint32_t k = 0; k < keys; k++) {
        model->ops->init(g.c, o->keys == 0 ? VALUE_ABSENT : k, &g.states[k]);
    }
    random_play(&g);
    random_compact(&g);
    for (uint32_t k = 0; k < keys; k++) {
        model_state_release(&g.states[k]);
    }
    model_state_release(&g.scratch);
    free(g.clients);
    free(g.late);
    free(g.position);
    free(g.dropped);
    free(g.states);
    return g.c;
}

/* Whether two answers of one function differ. */
static inline bool
random_differ(const struct calls *c, uint32_t i, uint32_t k)
{
    return c->function[i] == c->function[k] && c->complete[i] != CALL_OPEN &&
           c->complete[k] != CALL_OPEN &&
           (c->result[i] != c->result[k] || c->list[i] != c->list[k]);
}

/* Gives one call the answer of another one, or, where answers say nothing, the
 * arguments.  Returns the call, or VALUE_ABSENT: it found nothing to change. */
static inline uint32_t
random_calls_corrupt(const struct random_model *model, struct calls *c,
                     struct rng *rng)
{
    for (uint32_t tries = 0; c->count > 1 && tries < 200; tries++) {
        uint32_t i = (uint32_t)rng_below(rng, c->count);
        uint32_t k = (uint32_t)rng_below(rng, c->count);

        if (model->corrupt != NULL) {
            if (c->complete[i] != CALL_OPEN && model->corrupt(c, i, rng)) {
                return i;
            }
            continue;
        }
        if (random_differ(c, i, k)) {
            c->result[i] = c->result[k];
            c->list[i] = c->list[k];
            return i;
        }
        if (tries > 100 && c->function[i] == c->function[k] &&
            c->complete[i] != CALL_OPEN &&
            (c->a[i] != c->a[k] || c->b[i] != c->b[k])) {
            c->a[i] = c->a[k];
            c->b[i] = c->b[k];
            return i;
        }
    }
    return VALUE_ABSENT;
}

#endif
