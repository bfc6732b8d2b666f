/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for an order.  What is ready stands in a linked list; placing and
 * taking back are exact opposites, the last first, so that links mend
 * themselves (Knuth's dancing links).
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/engines/txn-serial.h"

struct serial {
    struct txn_case *t;
    struct txn_search search;
    const uint32_t *versions;
    uint32_t *waiting;      /* per node: how many must come before it still */
    uint32_t *readers;      /* per version: reads not placed yet */
    uint32_t *current;      /* per key: its version */
    uint32_t *replaced;     /* per write: the version that it replaced */
    uint32_t *left, *right; /* of what is ready; the last node is the head */
    uint32_t head;
    uint32_t *trail, trail_count;    /* nodes in the order of placing */
    uint32_t *choices, choice_count; /* places in the trail */
    uint32_t *order, placed, wanted;
    uint64_t steps;
};

static bool
serial_counts(const struct serial *s, uint32_t node)
{
    return node < s->t->txn_count && txn_case_counts(s->t, node);
}

static void
serial_unlink(struct serial *s, uint32_t node)
{
    s->right[s->left[node]] = s->right[node];
    s->left[s->right[node]] = s->left[node];
}

static void
serial_append(struct serial *s, uint32_t node)
{
    s->left[node] = s->left[s->head];
    s->right[node] = s->head;
    s->right[s->left[node]] = node;
    s->left[s->head] = node;
}

/* ---- placing ---- */

static void
serial_effects(struct serial *s, uint32_t txn)
{
    struct txn_case *t = s->t;

    for (struct txn_cursor o = txn_case_ops(t, txn); txn_case_next(t, &o);) {
        if (o.op.kind != TXN_READ) {
            if (t->writes[o.write_index].final) {
                s->replaced[o.write_index] = s->current[o.key];
                s->current[o.key] = o.write_index;
            }
        } else if (s->versions[o.op_index] != TXN_NONE) {
            assert(s->readers[s->versions[o.op_index]] > 0);
            s->readers[s->versions[o.op_index]]--;
        }
    }
}

static void
serial_effects_undo(struct serial *s, uint32_t txn)
{
    struct txn_case *t = s->t;

    for (struct txn_cursor o = txn_case_ops(t, txn); txn_case_next(t, &o);) {
        if (o.op.kind != TXN_READ) {
            if (t->writes[o.write_index].final) {
                s->current[o.key] = s->replaced[o.write_index];
            }
        } else if (s->versions[o.op_index] != TXN_NONE) {
            s->readers[s->versions[o.op_index]]++;
        }
    }
}

/* What has been placed from this place in the trail on makes others ready;
 * nodes that stand for no transaction are placed at once. */
static void
serial_cascade(struct serial *s, uint32_t at)
{
    for (; at < s->trail_count; at++) {
        uint32_t cursor = 0, next;

        while (txn_next_state(&s->search, s->trail[at], &cursor, &next)) {
            if (--s->waiting[next] > 0) {
                continue;
            }
            if (serial_counts(s, next)) {
                serial_append(s, next);
            } else {
                s->trail[s->trail_count++] = next;
            }
        }
    }
}

static void
serial_place(struct serial *s, uint32_t txn)
{
    s->trail[s->trail_count++] = txn;
    serial_unlink(s, txn);
    serial_effects(s, txn);
    s->order[s->placed++] = txn;
    serial_cascade(s, s->trail_count - 1);
}

/* Takes back what was placed behind this place in the trail. */
static void
serial_undo(struct serial *s, uint32_t count)
{
    while (s->trail_count > count) {
        uint32_t node = s->trail[--s->trail_count], cursor = 0, next;

        while (txn_next_state(&s->search, node, &cursor, &next)) {
            if (s->waiting[next]++ == 0 && serial_counts(s, next)) {
                serial_unlink(s, next);
            }
        }
        if (serial_counts(s, node)) {
            s->placed--;
            serial_effects_undo(s, node);
            s->right[s->left[node]] = node;
            s->left[s->right[node]] = node;
        }
    }
}

/* ---- choosing ---- */

static bool
serial_writes(const struct serial *s, uint32_t txn)
{
    return s->t->first_write[txn] != s->t->first_write[txn + 1];
}

/* Nobody else still needs what it would replace. */
static bool
serial_fits(const struct serial *s, uint32_t txn)
{
    const struct txn_case *t = s->t;

    for (uint32_t w = t->first_write[txn]; w < t->first_write[txn + 1]; w++) {
        uint32_t version = s->current[t->writes[w].key], own = 0;

        if (!t->writes[w].final || s->readers[version] == 0) {
            continue;
        }
        for (uint32_t i = t->first_op[txn]; i < t->first_op[txn + 1]; i++) {
            own += s->versions[i] == version;
        }
        if (own != s->readers[version]) {
            return false;
        }
    }
    return true;
}

/* The next that may be placed from 'node' on; the head: none. */
static uint32_t
serial_next(struct serial *s, uint32_t node)
{
    while (node != s->head && !serial_fits(s, node)) {
        node = s->right[node];
        s->steps++;
    }
    return node;
}

/* What writes nothing never stands in anybody's way. */
static void
serial_place_readers(struct serial *s)
{
    uint32_t node = s->right[s->head];

    while (node != s->head) {
        uint32_t next = s->right[node];

        if (!serial_writes(s, node)) {
            serial_place(s, node);
            /* It may have made others ready, at the end of the list. */
            next = next == s->head ? s->right[s->left[node]] : next;
        }
        node = next;
    }
}

static enum txn_serial_result
serial_run(struct serial *s)
{
    uint32_t candidate;
    uint64_t limit = 64 * (uint64_t)s->wanted + TXN_SERIAL_STEPS_MAX;

    serial_place_readers(s);
    candidate = s->right[s->head];
    while (s->placed < s->wanted) {
        if (budget_expired(s->t->budget)) {
            return SERIAL_GAVE_UP;
        }
        if (s->steps++ > limit) {
            return SERIAL_STOPPED;
        }
        candidate = serial_next(s, candidate);
        if (candidate != s->head) {
            s->choices[s->choice_count++] = s->trail_count;
            serial_place(s, candidate);
            serial_place_readers(s);
            candidate = s->right[s->head];
            continue;
        }
        if (s->choice_count == 0) {
            return SERIAL_NONE;
        }
        uint32_t back = s->choices[--s->choice_count];

        candidate = s->trail[back];
        serial_undo(s, back);
        candidate = s->right[candidate];
    }
    return SERIAL_FOUND;
}

/* ---- around it ---- */

static bool
serial_alloc(struct serial *s)
{
    struct txn_case *t = s->t;
    struct txn_pool *pool = &t->pool;
    uint32_t nodes = txn_search_states(&s->search);
    size_t versions = (size_t)t->write_count + t->key_count;

    s->head = nodes;
    s->waiting = txn_pool_alloc(pool, nodes, sizeof(*s->waiting));
    s->left = txn_pool_alloc(pool, (size_t)nodes + 1, sizeof(*s->left));
    s->right = txn_pool_alloc(pool, (size_t)nodes + 1, sizeof(*s->right));
    s->trail = txn_pool_alloc(pool, nodes, sizeof(*s->trail));
    s->choices = txn_pool_alloc(pool, nodes, sizeof(*s->choices));
    s->readers = txn_pool_alloc(pool, versions, sizeof(*s->readers));
    s->current = txn_pool_alloc(pool, t->key_count, sizeof(*s->current));
    s->replaced = txn_pool_alloc(pool, t->write_count, sizeof(*s->replaced));
    return !pool->failed;
}

static void
serial_free(struct serial *s)
{
    struct txn_pool *pool = &s->t->pool;

    txn_pool_free(pool, s->waiting);
    txn_pool_free(pool, s->left);
    txn_pool_free(pool, s->right);
    txn_pool_free(pool, s->trail);
    txn_pool_free(pool, s->choices);
    txn_pool_free(pool, s->readers);
    txn_pool_free(pool, s->current);
    txn_pool_free(pool, s->replaced);
}

static bool
serial_begin(struct serial *s)
{
    struct txn_case *t = s->t;
    uint32_t nodes = s->head;

    s->left[s->head] = s->right[s->head] = s->head;
    for (uint32_t i = 0; i < t->key_count; i++) {
        s->current[i] = t->write_count + i;
    }
    for (uint32_t i = 0; i < nodes; i++) {
        uint32_t cursor = 0, next;

        while (txn_next_state(&s->search, i, &cursor, &next)) {
            s->waiting[next]++;
        }
        if (budget_expired(t->budget)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < t->txn_count; i++) {
        if (!txn_case_counts(t, i)) {
            continue;
        }
        s->wanted++;
        for (uint32_t o = t->first_op[i]; o < t->first_op[i + 1]; o++) {
            if (s->versions[o] != TXN_NONE) {
                s->readers[s->versions[o]]++;
            }
        }
    }
    for (uint32_t i = 0; i < nodes; i++) {
        if (s->waiting[i] == 0) {
            if (serial_counts(s, i)) {
                serial_append(s, i);
            } else {
                s->trail[s->trail_count++] = i;
            }
        }
    }
    serial_cascade(s, 0);
    return true;
}

enum txn_serial_result
txn_serial_search(struct txn_case *t, const uint32_t *versions, unsigned kinds,
                  uint32_t *order, uint32_t *ret_count)
{
    struct serial s = {
        .t = t,
        .versions = versions,
        .order = order,
        .search = {.graph = &t->graph, .kinds = kinds, .walk = WALK_ANY}};
    enum txn_serial_result result = SERIAL_GAVE_UP;

    if (serial_alloc(&s) && serial_begin(&s)) {
        result = serial_run(&s);
    }
    *ret_count = s.placed;
    serial_free(&s);
    return result;
}
