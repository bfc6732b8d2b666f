/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for an order.  It places what is ready, the earliest first, and is
 * stuck when every transaction that is ready would replace a version that
 * others still read.  If one of these readers must come behind such a
 * transaction T, then T must come before the writer of that version: this
 * dependency is kept, and what was placed since that writer is taken back.  If
 * none must, one of these dependencies is guessed; when that leads to a
 * contradiction, the opposite holds: T comes behind the writer and all readers
 * of its version.  A contradiction without a guess is a proof.
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
    uint32_t *trail, trail_count; /* nodes in the order of placing */
    uint32_t *order, placed, wanted;
    uint64_t steps;
    uint32_t *learnt; /* per node: a list through 'arcs', or TXN_NONE */
    struct serial_arc {
        uint32_t from, to, next;
    } * arcs;
    uint32_t arc_count, arc_cap;
    struct serial_guess {
        uint32_t arc; /* its dependency; those behind it rest on it */
        uint32_t write;
    } * guesses;
    uint32_t guess_count, guess_cap;
    uint32_t *placed_at;       /* per transaction: its place in the trail */
    uint32_t *reached, *queue; /* per node, of one breadth first search */
    uint32_t *wants, round;    /* per key: it is one of those looked for */
};

/* Nodes looked at for one conflict: first a few for each, then more. */
#define SERIAL_NEAR 256
#define SERIAL_FAR 8192

struct serial_walk {
    uint32_t cursor, arc;
    bool behind; /* the known ones: now those learnt */
};

/* The next node that comes behind 'node'. */
static bool
serial_follow(const struct serial *s, uint32_t node, struct serial_walk *w,
              uint32_t *ret)
{
    if (!w->behind && txn_next_state(&s->search, node, &w->cursor, ret)) {
        return true;
    }
    w->arc = w->behind ? s->arcs[w->arc].next : s->learnt[node];
    w->behind = true;
    if (w->arc == TXN_NONE) {
        return false;
    }
    *ret = s->arcs[w->arc].to;
    return true;
}

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
        struct serial_walk walk = {0};
        uint32_t next;

        while (serial_follow(s, s->trail[at], &walk, &next)) {
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
    s->placed_at[txn] = s->trail_count;
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
        uint32_t node = s->trail[--s->trail_count], next;
        struct serial_walk walk = {0};

        while (serial_follow(s, node, &walk, &next)) {
            if (s->waiting[next]++ == 0 && serial_counts(s, next)) {
                serial_unlink(s, next);
            }
        }
        if (serial_counts(s, node)) {
            s->placed--;
            serial_effects_undo(s, node);
            serial_append(s, node);
        }
    }
}

/* ---- choosing ---- */

static bool
serial_writes(const struct serial *s, uint32_t txn)
{
    return s->t->first_write[txn] != s->t->first_write[txn + 1];
}

/* Whether others still read what this write would replace. */
static bool
serial_blocked(const struct serial *s, uint32_t write)
{
    const struct txn_case *t = s->t;
    uint32_t txn = t->writes[write].txn, own = 0;
    uint32_t version = s->current[t->writes[write].key];

    if (!t->writes[write].final || s->readers[version] == 0) {
        return false;
    }
    for (uint32_t i = t->first_op[txn]; i < t->first_op[txn + 1]; i++) {
        own += s->versions[i] == version;
    }
    return own != s->readers[version];
}

static bool
serial_fits(const struct serial *s, uint32_t txn)
{
    const struct txn_case *t = s->t;

    for (uint32_t w = t->first_write[txn]; w < t->first_write[txn + 1]; w++) {
        if (serial_blocked(s, w)) {
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

/* ---- learning ---- */

static bool
serial_is_placed(const struct serial *s, uint32_t txn)
{
    uint32_t at = s->placed_at[txn];

    return at < s->trail_count && s->trail[at] == txn;
}

/* 'from' comes before 'to', which is not placed.  False: no memory. */
static bool
serial_learn(struct serial *s, uint32_t from, uint32_t to)
{
    if (s->arc_count == s->arc_cap) {
        uint32_t cap = s->arc_cap == 0 ? 1024 : s->arc_cap * 2;
        struct serial_arc *arcs =
            txn_pool_grow(&s->t->pool, s->arcs, (size_t)cap * sizeof(*arcs));

        if (arcs == NULL) {
            return false;
        }
        s->arcs = arcs;
        s->arc_cap = cap;
    }
    s->arcs[s->arc_count] = (struct serial_arc){from, to, s->learnt[from]};
    s->learnt[from] = s->arc_count++;
    if (!serial_is_placed(s, from) && s->waiting[to]++ == 0) {
        serial_unlink(s, to);
    }
    return true;
}

/* The dependency learnt last is none. */
static void
serial_forget(struct serial *s)
{
    const struct serial_arc *arc = &s->arcs[--s->arc_count];

    assert(s->learnt[arc->from] == s->arc_count);
    s->learnt[arc->from] = arc->next;
    if (!serial_is_placed(s, arc->from) && --s->waiting[arc->to] == 0) {
        serial_append(s, arc->to);
    }
}

/* ---- guessing ---- */

static bool
serial_note_guess(struct serial *s, uint32_t write)
{
    if (s->guess_count == s->guess_cap) {
        uint32_t cap = s->guess_cap == 0 ? 256 : s->guess_cap * 2;
        struct serial_guess *guesses = txn_pool_grow(
            &s->t->pool, s->guesses, (size_t)cap * sizeof(*guesses));

        if (guesses == NULL) {
            return false;
        }
        s->guesses = guesses;
        s->guess_cap = cap;
    }
    s->guesses[s->guess_count++] = (struct serial_guess){s->arc_count, write};
    return true;
}

static bool
serial_reads(const struct serial *s, uint32_t txn, uint32_t version)
{
    for (uint32_t i = s->t->first_op[txn]; i < s->t->first_op[txn + 1]; i++) {
        if (s->versions[i] == version) {
            return true;
        }
    }
    return false;
}

/* 'txn' comes behind the writer of the version and all who read it. */
static bool
serial_learn_behind(struct serial *s, uint32_t txn, uint32_t write)
{
    struct txn_search readers = {
        .graph = &s->t->graph, .kinds = TXN_BIT(TXN_WR), .walk = WALK_ANY};
    uint32_t writer = s->t->writes[write].txn, cursor = 0, next;

    if (!serial_learn(s, writer, txn)) {
        return false;
    }
    while (txn_next_state(&readers, writer, &cursor, &next)) {
        if (next != txn && serial_reads(s, next, write) &&
            !serial_learn(s, next, txn)) {
            return false;
        }
    }
    return true;
}

/* The last guess was wrong: its opposite.  FOUND means go on. */
static enum txn_serial_result
serial_contradiction(struct serial *s)
{
    if (s->guess_count == 0) {
        return SERIAL_NONE;
    }
    const struct serial_guess *g = &s->guesses[--s->guess_count];
    uint32_t txn = s->arcs[g->arc].from, write = g->write;

    while (s->arc_count > g->arc) {
        serial_forget(s);
    }
    if (serial_is_placed(s, txn)) {
        serial_undo(s, s->placed_at[txn]);
    }
    return serial_learn_behind(s, txn, write) ? SERIAL_FOUND : SERIAL_GAVE_UP;
}

/* ---- being stuck ---- */

/* The latest answer among those who read this version and are not placed. */
static uint32_t
serial_last_answer(const struct serial *s, uint32_t write)
{
    struct txn_search readers = {
        .graph = &s->t->graph, .kinds = TXN_BIT(TXN_WR), .walk = WALK_ANY};
    uint32_t cursor = 0, next, latest = 0;

    while (txn_next_state(&readers, s->t->writes[write].txn, &cursor, &next)) {
        uint32_t rank = s->t->calls->complete[txn_case_call(s->t, next)];

        if (rank > latest && !serial_is_placed(s, next) &&
            serial_reads(s, next, write)) {
            latest = rank;
        }
    }
    return latest;
}

/*
 * Marks the keys that it cannot write yet, since others read what is there.
 * Returns when the last of these is answered: where real time counts, none of
 * them comes behind what is invoked later.
 */
static uint32_t
serial_want(struct serial *s, uint32_t txn)
{
    const struct txn_case *t = s->t;
    uint32_t latest = 0;

    s->round++;
    for (uint32_t w = t->first_write[txn]; w < t->first_write[txn + 1]; w++) {
        uint32_t key = t->writes[w].key;

        if (s->current[key] < t->write_count && serial_blocked(s, w)) {
            uint32_t rank = serial_last_answer(s, s->current[key]);

            s->wants[key] = s->round;
            latest = rank > latest ? rank : latest;
        }
    }
    return latest;
}

/* Whether a node stands for something invoked by then. */
static bool
serial_by(const struct serial *s, uint32_t node, uint32_t rank)
{
    const struct txn_graph *g = &s->t->graph;
    uint32_t stored = g->txn_count + g->virtual_count;

    if ((s->search.kinds & TXN_BIT(TXN_REAL_TIME)) == 0) {
        return true;
    }
    if (node >= stored) {
        node = g->released[node - stored];
        return node < g->txn_count &&
               s->t->calls->invoke[txn_case_call(s->t, node)] <= rank;
    }
    return node >= g->txn_count ||
           s->t->calls->invoke[txn_case_call(s->t, node)] <= rank;
}

/* Of the marked keys one whose version this transaction reads; TXN_NONE. */
static uint32_t
serial_wanted_by(const struct serial *s, uint32_t txn)
{
    const struct txn_case *t = s->t;

    for (uint32_t i = t->first_op[txn]; i < t->first_op[txn + 1]; i++) {
        uint32_t key = t->op_keys[i];

        if (s->wants[key] == s->round && s->versions[i] == s->current[key]) {
            return key;
        }
    }
    return TXN_NONE;
}

/*
 * Looks behind 'from' for 'goal', or, if that is TXN_NONE, for a reader of a
 * marked key.  Returns the goal, or the key; TXN_NONE: not among the nearest
 * 'most' nodes, nor among those invoked by 'rank'.
 */
static uint32_t
serial_behind(struct serial *s, uint32_t from, uint32_t goal, uint32_t most,
              uint32_t rank)
{
    uint32_t count = 1;

    s->queue[0] = from;
    s->reached[from] = s->round;
    for (uint32_t i = 0; i < count && count < most; i++) {
        struct serial_walk walk = {0};
        uint32_t next;

        while (count < most && serial_follow(s, s->queue[i], &walk, &next)) {
            s->steps++;
            if (s->reached[next] == s->round || !serial_by(s, next, rank)) {
                continue;
            }
            if (next == goal) {
                return goal;
            }
            s->reached[next] = s->round;
            s->queue[count++] = next;
            if (goal == TXN_NONE && serial_counts(s, next)) {
                uint32_t key = serial_wanted_by(s, next);

                if (key != TXN_NONE) {
                    return key;
                }
            }
        }
    }
    return TXN_NONE;
}

/* A transaction that is stuck, and the version whose writer it must come
 * before. */
static bool
serial_conflict(struct serial *s, uint32_t most, uint32_t *ret_from,
                uint32_t *ret_write)
{
    for (uint32_t node = s->right[s->head]; node != s->head;
         node = s->right[node]) {
        uint32_t rank = serial_want(s, node);
        uint32_t key = serial_behind(s, node, TXN_NONE, most, rank);

        if (key != TXN_NONE) {
            *ret_from = node;
            *ret_write = s->current[key];
            return true;
        }
    }
    return false;
}

/* Where no dependency follows: the version that was placed last. */
static bool
serial_guess(struct serial *s, uint32_t *ret_from, uint32_t *ret_write)
{
    const struct txn_case *t = s->t;
    uint32_t latest = 0;
    bool found = false;

    for (uint32_t node = s->right[s->head]; node != s->head;
         node = s->right[node]) {
        serial_want(s, node);
        for (uint32_t w = t->first_write[node]; w < t->first_write[node + 1];
             w++) {
            uint32_t write = s->current[t->writes[w].key];

            if (s->wants[t->writes[w].key] != s->round) {
                continue;
            }
            uint32_t at = s->placed_at[t->writes[write].txn];
            if (!found || at > latest) {
                *ret_from = node;
                *ret_write = write;
                latest = at;
                found = true;
            }
        }
    }
    return found;
}

/* Nothing can be placed: one dependency more.  FOUND means go on. */
static enum txn_serial_result
serial_unstick(struct serial *s)
{
    uint32_t from = TXN_NONE, write = TXN_NONE, writer;

    if (!serial_conflict(s, SERIAL_NEAR, &from, &write) &&
        !serial_conflict(s, SERIAL_FAR, &from, &write)) {
        if (!serial_guess(s, &from, &write)) {
            return serial_contradiction(s);
        }
        if (!serial_note_guess(s, write)) {
            return SERIAL_GAVE_UP;
        }
    }
    writer = s->t->writes[write].txn;
    serial_undo(s, s->placed_at[writer]);
    if (!serial_learn(s, from, writer)) {
        return SERIAL_GAVE_UP;
    }
    s->round++;
    if (serial_behind(s, writer, from, SERIAL_FAR,
                      s->t->calls->complete[txn_case_call(s->t, from)]) ==
        from) {
        /* Each would come before the other. */
        return serial_contradiction(s);
    }
    return SERIAL_FOUND;
}

static enum txn_serial_result
serial_run(struct serial *s)
{
    uint64_t limit =
        TXN_SERIAL_STEPS_PER_TXN * (uint64_t)s->wanted + TXN_SERIAL_STEPS_MAX;
    enum txn_serial_result result = SERIAL_FOUND;

    while (result == SERIAL_FOUND && s->placed < s->wanted) {
        if (budget_expired(s->t->budget)) {
            return SERIAL_GAVE_UP;
        }
        if (s->steps++ > limit) {
            return SERIAL_STOPPED;
        }
        serial_place_readers(s);
        uint32_t candidate = serial_next(s, s->right[s->head]);
        if (candidate != s->head) {
            serial_place(s, candidate);
        } else if (s->placed < s->wanted) {
            result = serial_unstick(s);
        }
    }
    return result;
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
    s->learnt = txn_pool_alloc(pool, nodes, sizeof(*s->learnt));
    s->placed_at = txn_pool_alloc(pool, t->txn_count, sizeof(uint32_t));
    s->reached = txn_pool_alloc(pool, nodes, sizeof(*s->reached));
    s->queue = txn_pool_alloc(pool, SERIAL_FAR, sizeof(*s->queue));
    s->wants = txn_pool_alloc(pool, t->key_count, sizeof(*s->wants));
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
    txn_pool_free(pool, s->readers);
    txn_pool_free(pool, s->current);
    txn_pool_free(pool, s->replaced);
    txn_pool_free(pool, s->learnt);
    txn_pool_free(pool, s->arcs);
    txn_pool_free(pool, s->guesses);
    txn_pool_free(pool, s->placed_at);
    txn_pool_free(pool, s->reached);
    txn_pool_free(pool, s->queue);
    txn_pool_free(pool, s->wants);
}

static bool
serial_begin(struct serial *s)
{
    struct txn_case *t = s->t;
    uint32_t nodes = s->head;

    s->left[s->head] = s->right[s->head] = s->head;
    memset(s->learnt, 0xff, (size_t)nodes * sizeof(*s->learnt));
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
