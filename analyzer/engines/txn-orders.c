/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second opinion of a few transactions: all orders of them are tried, and
 * for snapshot isolation all orders of their beginnings and ends, with what
 * they read looked up in a store.  It shares nothing with the engines that
 * reason about dependencies but the words of the calls.
 *
 * What nobody here wrote may be somebody else's, written at any time: it is
 * passed over.  An order that rests on this is no proof (UNKNOWN); that there
 * is none still is.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/txn-level.h"
#include "analyzer/models/txn.h"
#include "harness/base/arena.h"

/* Eight transactions begin and end in at most 16! / 2^8 ways, far fewer with
 * what they read; the cores of cycles have two to four. */
#define ORDERS_TXNS_MAX 8
#define ORDERS_KEYS_MAX 16
#define ORDERS_WRITES_MAX 32

struct orders_state {
    uint32_t count[ORDERS_KEYS_MAX];
    uint32_t values[ORDERS_KEYS_MAX][ORDERS_WRITES_MAX];
};

struct orders {
    const struct problem *problem;
    const struct calls *calls;
    struct budget *budget;
    bool lists, stopped;
    bool strangers; /* the order that was found passes over something */
    enum txn_order order;
    uint32_t keys[ORDERS_KEYS_MAX], key_count;
    struct orders_write {
        uint32_t key, value;
        bool happened; /* or may have */
    } writes[ORDERS_WRITES_MAX];
    uint32_t write_count;
    struct orders_txn {
        bool failed, open, begun, done;
        uint32_t begin; /* commits before */
        uint32_t wrote; /* bits of keys */
        struct orders_state view;
    } txns[ORDERS_TXNS_MAX];
    uint32_t commits, written[ORDERS_KEYS_MAX];
    uint64_t steps;
};

/* ---- reading the problem ---- */

static uint32_t
orders_key(const struct orders *s, uint32_t number)
{
    uint32_t i = 0;

    while (i < s->key_count && s->keys[i] != number) {
        i++;
    }
    return i;
}

static bool
orders_note(struct orders *s, const struct txn_op *op, bool failed)
{
    uint32_t key = orders_key(s, op->key);

    if (key == ORDERS_KEYS_MAX) {
        return false;
    }
    if (key == s->key_count) {
        s->keys[s->key_count++] = op->key;
    }
    if (op->kind == TXN_READ) {
        return true;
    }
    if (s->write_count == ORDERS_WRITES_MAX) {
        return false;
    }
    s->writes[s->write_count++] =
        (struct orders_write){key, op->value, !failed};
    return true;
}

/* False: more than it can hold. */
static bool
orders_read(struct orders *s, const struct problem *p)
{
    const struct calls *c = p->calls;
    struct txn_op op;

    memset(s, 0, sizeof(*s));
    s->problem = p;
    s->calls = c;
    s->lists = strncmp(c->model->name, "list-append", 11) == 0;
    s->order = txn_level_info(txn_level_of(c->model))->order;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);

        s->txns[i].failed = c->function[call] == TXN_FAILED;
        s->txns[i].open = c->complete[call] == CALL_OPEN;
        for (uint32_t at = 0; txn_next(c, call, &at, &op);) {
            if (!orders_note(s, &op, s->txns[i].failed)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- running ---- */

enum orders_seen { SEEN_STRANGER, SEEN_FAILED, SEEN_KNOWN };

static enum orders_seen
orders_seen(const struct orders *s, uint32_t key, uint32_t value)
{
    enum orders_seen seen = SEEN_STRANGER;

    for (uint32_t i = 0; i < s->write_count; i++) {
        if (s->writes[i].key == key && s->writes[i].value == value) {
            if (s->writes[i].happened) {
                return SEEN_KNOWN;
            }
            seen = SEEN_FAILED;
        }
    }
    return seen;
}

/* Whether a read fits what the store holds. */
static bool
orders_fits(struct orders *s, const struct orders_state *state, uint32_t key,
            const struct txn_op *op)
{
    uint32_t at = 0, count = state->count[key];
    const uint32_t *values = state->values[key];

    if (!s->lists && op->count == 0) {
        return count == 0 || values[0] == VALUE_NIL;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        enum orders_seen seen = orders_seen(s, key, op->elements[i]);

        if (seen == SEEN_STRANGER) {
            s->strangers = true;
            if (!s->lists) {
                return true;
            }
            continue;
        }
        if (seen == SEEN_FAILED || at == count ||
            values[at++] != op->elements[i]) {
            return false;
        }
    }
    return at == count;
}

static bool
orders_run(struct orders *s, uint32_t txn, struct orders_state *state,
           uint32_t *ret_wrote)
{
    struct txn_op op;

    s->steps++;
    s->stopped = s->stopped || budget_expired(s->budget);
    for (uint32_t at = 0;
         txn_next(s->calls, problem_call(s->problem, txn), &at, &op);) {
        uint32_t key = orders_key(s, op.key);

        if (op.kind == TXN_READ) {
            if (op.known && !orders_fits(s, state, key, &op)) {
                return false;
            }
            continue;
        }
        uint32_t place = s->lists ? state->count[key] : 0;
        state->values[key][place] = op.value;
        state->count[key] = place + 1;
        *ret_wrote |= 1u << key;
    }
    return true;
}

/* All that must come before it is done. */
static bool
orders_ready(const struct orders *s, uint32_t txn)
{
    const struct calls *c = s->calls;
    uint32_t call = problem_call(s->problem, txn);

    for (uint32_t i = 0; i < s->problem->count; i++) {
        uint32_t other = problem_call(s->problem, i);

        if (s->order != ORDER_NONE && !s->txns[i].done && !s->txns[i].failed &&
            c->complete[other] < c->invoke[call] &&
            (s->order == ORDER_REAL_TIME ||
             c->process[other] == c->process[call])) {
            return false;
        }
    }
    return true;
}

static bool
orders_finished(const struct orders *s)
{
    for (uint32_t i = 0; i < s->problem->count; i++) {
        if (!s->txns[i].done && !s->txns[i].failed && !s->txns[i].open) {
            return false;
        }
    }
    return true;
}

static bool
orders_serial(struct orders *s, const struct orders_state *state)
{
    if (orders_finished(s)) {
        return true;
    }
    for (uint32_t i = 0; i < s->problem->count && !s->stopped; i++) {
        struct orders_state next = *state;
        uint32_t wrote = 0;

        if (s->txns[i].done || s->txns[i].failed || !orders_ready(s, i) ||
            !orders_run(s, i, &next, &wrote)) {
            continue;
        }
        s->txns[i].done = true;
        if (orders_serial(s, &next)) {
            return true;
        }
        s->txns[i].done = false;
    }
    return false;
}

static bool orders_snapshot(struct orders *s, const struct orders_state *state);

/* The first committer of two that write the same wins. */
static bool
orders_commit(struct orders *s, const struct orders_state *state, uint32_t txn)
{
    struct orders_txn *t = &s->txns[txn];
    struct orders_state next = *state;
    uint32_t written[ORDERS_KEYS_MAX];
    bool found;

    memcpy(written, s->written, sizeof(written));
    for (uint32_t k = 0; k < s->key_count; k++) {
        if ((t->wrote >> k & 1) == 0) {
            continue;
        }
        if (written[k] > t->begin) {
            memcpy(s->written, written, sizeof(written));
            return false;
        }
        s->written[k] = s->commits + 1;
        next.count[k] = t->view.count[k];
        memcpy(next.values[k], t->view.values[k], sizeof(next.values[k]));
    }
    s->commits++;
    t->done = true;
    found = orders_snapshot(s, &next);
    t->done = false;
    s->commits--;
    memcpy(s->written, written, sizeof(written));
    return found;
}

static bool
orders_snapshot(struct orders *s, const struct orders_state *state)
{
    if (orders_finished(s)) {
        return true;
    }
    for (uint32_t i = 0; i < s->problem->count && !s->stopped; i++) {
        struct orders_txn *t = &s->txns[i];

        if (t->done || t->failed) {
            continue;
        }
        if (t->begun) {
            if (orders_commit(s, state, i)) {
                return true;
            }
            continue;
        }
        t->view = *state;
        t->wrote = 0;
        if (!orders_ready(s, i) || !orders_run(s, i, &t->view, &t->wrote)) {
            continue;
        }
        t->begun = true;
        t->begin = s->commits;
        if (orders_snapshot(s, state)) {
            return true;
        }
        t->begun = false;
    }
    return false;
}

/* ---- the engine ---- */

static bool
txn_orders_applies(const struct problem *p)
{
    const char *name = p->calls->model->name;

    return p->count <= ORDERS_TXNS_MAX &&
           (strncmp(name, "list-append", 11) == 0 ||
            strncmp(name, "rw-register", 11) == 0) &&
           txn_level_info(txn_level_of(p->calls->model))->atomic;
}

static void
txn_orders_words(const struct orders *s, bool found, struct decision *ret)
{
    const struct problem *p = s->problem;

    if (s->stopped || (found && s->strangers)) {
        ret->verdict = VERDICT_UNKNOWN;
        snprintf(ret->reason, sizeof(ret->reason), "%s",
                 s->stopped ? "the time was over before all orders were tried"
                            : "something was read that nobody here wrote");
        return;
    }
    if (found) {
        ret->verdict = VERDICT_VALID;
        return;
    }
    ret->verdict = VERDICT_INVALID;
    snprintf(ret->headline, sizeof(ret->headline),
             "no order of the %u transactions explains all that they read",
             p->count);
    ret->core = xcalloc((size_t)p->count + 1, sizeof(*ret->core));
    ret->core_count = p->count;
    for (uint32_t i = 0; i < p->count; i++) {
        ret->core[i] = problem_call(p, i);
    }
}

static void
txn_orders_decide(const struct problem *p, struct budget *b,
                  struct decision *ret)
{
    enum txn_level level = txn_level_of(p->calls->model);
    struct orders *s = xcalloc(1, sizeof(*s));
    struct orders_state empty = {0};

    if (!budget_take(b, sizeof(*s))) {
        ret->verdict = VERDICT_UNKNOWN;
        snprintf(ret->reason, sizeof(ret->reason), "no memory is left");
        free(s);
        return;
    }
    if (orders_read(s, p)) {
        s->budget = b;
        bool found = txn_level_info(level)->serial ? orders_serial(s, &empty)
                                                   : orders_snapshot(s, &empty);
        txn_orders_words(s, found, ret);
    } else {
        ret->verdict = VERDICT_UNKNOWN;
        snprintf(ret->reason, sizeof(ret->reason),
                 "more than %d keys or %d writes", ORDERS_KEYS_MAX,
                 ORDERS_WRITES_MAX);
    }
    ret->steps = s->steps;
    budget_give(b, sizeof(*s));
    free(s);
}

const struct engine_ops engine_txn_orders = {
    .name = "txn-orders",
    .description = "all orders of a few transactions",
    .applies = txn_orders_applies,
    .decide = txn_orders_decide,
};
