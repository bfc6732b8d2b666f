/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proof of VALID: an order is walked once, with one state and two bits a
 * call.  It shares nothing with the engines that find orders, and is short
 * enough to be believed.
 *
 * Real time: a call may not stand after one that was invoked when it had been
 * answered already.  It suffices to compare with the latest invocation so far.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/engines/engine.h"
#include "harness/base/buf.h"

/* The state of each key, at its place in an open-addressed table. */
struct replay_keys {
    uint32_t *places; /* of states, from 1; 0: free */
    uint32_t mask;
    uint32_t *key; /* per state */
    struct model_state *states;
    uint32_t count;
};

struct replay {
    const struct problem *p;
    struct replay_keys *keys; /* NULL: one state */
    struct budget *budget;    /* or NULL */
    uint64_t *done;           /* a bit per member */
    uint32_t last_invoke;
    struct model_state state, next;
    char *reason;
};

/* Index among the members, or p->count. */
static uint32_t
replay_member(const struct problem *p, uint32_t call)
{
    uint32_t low = 0, high = p->count;

    if (p->members == NULL) {
        return call < p->count ? call : p->count;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->members[middle] < call) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < p->count && p->members[low] == call ? low : p->count;
}

static bool
replay_fail(struct replay *r, uint32_t call, const char *what)
{
    struct buf text;

    buf_init(&text, 256);
    model_describe(r->p->calls, call, &text);
    snprintf(r->reason, REASON_TEXT_MAX, "call %u (%.200s) %s", call,
             buf_text(&text), what);
    buf_release(&text);
    return false;
}

static uint32_t *
replay_key_place(const struct replay_keys *k, uint32_t key)
{
    uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(h >> 32) & k->mask;

    while (k->places[at] != 0 && k->key[k->places[at] - 1] != key) {
        at = (at + 1) & k->mask;
    }
    return &k->places[at];
}

/* Twice as many places, and states for half of them. */
static void
replay_keys_grow(struct replay_keys *k)
{
    uint32_t places = (k->mask + 1) * 2;

    free(k->places);
    k->places = xcalloc(places, sizeof(*k->places));
    k->mask = places - 1;
    k->key = xrealloc(k->key, places / 2 * sizeof(*k->key));
    k->states = xrealloc(k->states, places / 2 * sizeof(*k->states));
    for (uint32_t i = 0; i < k->count; i++) {
        *replay_key_place(k, k->key[i]) = i + 1;
    }
}

static void
replay_keys_release(struct replay_keys *k)
{
    for (uint32_t i = 0; i < k->count; i++) {
        model_state_release(&k->states[i]);
    }
    free(k->places);
    free(k->key);
    free(k->states);
}

/* The state that the call meets. */
static struct model_state *
replay_state(struct replay *r, uint32_t call)
{
    const struct calls *c = r->p->calls;
    struct replay_keys *k = r->keys;

    if (k == NULL) {
        return &r->state;
    }
    uint32_t *place = replay_key_place(k, c->key[call]);
    if (*place == 0) {
        if (k->count >= (k->mask + 1) / 2) {
            replay_keys_grow(k);
            place = replay_key_place(k, c->key[call]);
        }
        k->key[k->count] = c->key[call];
        k->states[k->count] = (struct model_state){0};
        c->model->init(c, c->key[call], &k->states[k->count]);
        *place = ++k->count;
    }
    return &k->states[*place - 1];
}

static bool
replay_place(struct replay *r, uint32_t call)
{
    const struct calls *c = r->p->calls;
    uint32_t i = replay_member(r->p, call);

    if (i == r->p->count) {
        snprintf(r->reason, REASON_TEXT_MAX, "call %u is none of the problem",
                 call);
        return false;
    }
    if ((r->done[i / 64] >> (i % 64) & 1) != 0) {
        return replay_fail(r, call, "stands twice in the order");
    }
    r->done[i / 64] |= UINT64_C(1) << (i % 64);
    if (c->complete[call] < r->last_invoke) {
        return replay_fail(r, call, "was answered before one that precedes it");
    }
    if (c->invoke[call] > r->last_invoke) {
        r->last_invoke = c->invoke[call];
    }
    struct model_state *state = replay_state(r, call);
    if (c->model->apply != NULL) {
        return c->model->apply(c, call, state) ||
               replay_fail(r, call, "is not legal where it stands");
    }
    if (!c->model->step(c, call, state, &r->next)) {
        return replay_fail(r, call, "is not legal where it stands");
    }
    struct model_state swap = *state;
    *state = r->next;
    r->next = swap;
    return true;
}

static bool
replay_walk(struct replay *r, const uint32_t *order, uint32_t order_count)
{
    const struct problem *p = r->p;

    p->calls->model->init(p->calls, p->key, &r->state);
    for (uint32_t i = 0; i < order_count; i++) {
        if (r->budget != NULL && budget_expired(r->budget)) {
            snprintf(r->reason, REASON_TEXT_MAX, "there was no time to replay");
            return false;
        }
        if (!replay_place(r, order[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);
        if (p->calls->complete[call] != CALL_OPEN &&
            (r->done[i / 64] >> (i % 64) & 1) == 0) {
            return replay_fail(r, call, "is missing in the order");
        }
    }
    return true;
}

static bool
replay_order(const struct problem *p, struct replay_keys *keys,
             const uint32_t *order, uint32_t order_count, struct budget *b,
             char reason[REASON_TEXT_MAX])
{
    struct replay r = {.p = p, .keys = keys, .budget = b, .reason = reason};

    reason[0] = '\0';
    if (p->calls->model->step == NULL) {
        snprintf(reason, REASON_TEXT_MAX, "model '%s' has no steps",
                 p->calls->model->name);
        return false;
    }
    r.done = xcalloc(p->count / 64 + 1, sizeof(*r.done));
    bool ok = replay_walk(&r, order, order_count);
    free(r.done);
    model_state_release(&r.state);
    model_state_release(&r.next);
    return ok;
}

bool
problem_replay(const struct problem *p, const uint32_t *order,
               uint32_t order_count, char reason[REASON_TEXT_MAX])
{
    return problem_replay_within(p, order, order_count, NULL, reason);
}

bool
problem_replay_within(const struct problem *p, const uint32_t *order,
                      uint32_t order_count, struct budget *b,
                      char reason[REASON_TEXT_MAX])
{
    return replay_order(p, NULL, order, order_count, b, reason);
}

bool
problem_replay_keyed(const struct problem *p, const uint32_t *order,
                     uint32_t order_count, struct budget *b,
                     char reason[REASON_TEXT_MAX])
{
    struct replay_keys keys = {.mask = 7};

    replay_keys_grow(&keys);
    bool ok = replay_order(p, &keys, order, order_count, b, reason);
    replay_keys_release(&keys);
    return ok;
}
