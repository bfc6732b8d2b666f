/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edges are collected as pairs and sorted by their source when the graph is
 * finished.  Cycles are looked for by breadth, level by level, where virtual
 * nodes and barriers cost nothing: what is shortest counts transactions.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/txn-graph.h"
#include "harness/base/arena.h"

#define ARC_SHIFT 28
#define ARC_NODE (TXN_NODES_MAX - 1)

/* ---- memory ---- */

void
txn_pool_init(struct txn_pool *pool, struct budget *b)
{
    memset(pool, 0, sizeof(*pool));
    pool->budget = b;
}

void
txn_pool_release(struct txn_pool *pool)
{
    for (unsigned i = 0; i < TXN_BLOCKS_MAX; i++) {
        if (pool->blocks[i].p != NULL) {
            txn_pool_free(pool, pool->blocks[i].p);
        }
    }
}

static struct txn_block *
txn_pool_block(struct txn_pool *pool, const void *p)
{
    for (unsigned i = 0; i < TXN_BLOCKS_MAX; i++) {
        if (pool->blocks[i].p == p) {
            return &pool->blocks[i];
        }
    }
    return NULL;
}

void *
txn_pool_alloc(struct txn_pool *pool, size_t count, size_t size)
{
    struct txn_block *block = txn_pool_block(pool, NULL);
    size_t bytes = count * size + 1; /* never of size 0 */

    assert(block != NULL);
    assert(size > 0 && count <= SIZE_MAX / 2 / size);
    if (!budget_take(pool->budget, bytes)) {
        pool->failed = true;
        return NULL;
    }
    block->p = xcalloc(1, bytes);
    block->bytes = bytes;
    return block->p;
}

void *
txn_pool_grow(struct txn_pool *pool, void *p, size_t bytes)
{
    if (p == NULL) {
        return txn_pool_alloc(pool, bytes, 1);
    }
    struct txn_block *block = txn_pool_block(pool, p);

    assert(block != NULL);
    if (bytes <= block->bytes) {
        return p;
    }
    if (!budget_take(pool->budget, bytes - block->bytes)) {
        pool->failed = true;
        return NULL;
    }
    block->p = xrealloc(p, bytes);
    block->bytes = bytes;
    return block->p;
}

void
txn_pool_free(struct txn_pool *pool, void *p)
{
    if (p == NULL) {
        return;
    }
    struct txn_block *block = txn_pool_block(pool, p);

    assert(block != NULL);
    budget_give(pool->budget, block->bytes);
    free(p);
    block->p = NULL;
    block->bytes = 0;
}

/* ---- building ---- */

void
txn_graph_init(struct txn_graph *g, const struct problem *p,
               struct txn_pool *pool)
{
    memset(g, 0, sizeof(*g));
    g->problem = p;
    g->pool = pool;
    g->txn_count = p->count;
}

uint32_t
txn_graph_virtual(struct txn_graph *g)
{
    return g->txn_count + g->virtual_count++;
}

bool
txn_graph_add(struct txn_graph *g, uint32_t from, uint32_t to,
              enum txn_edge kind)
{
    if (from == to) {
        return true;
    }
    if (g->arc_count == g->arc_cap) {
        uint32_t cap = g->arc_cap == 0 ? 1024 : g->arc_cap + g->arc_cap / 2;
        struct txn_arc *arcs =
            g->arc_cap > UINT32_MAX / 2
                ? NULL
                : txn_pool_grow(g->pool, g->arcs, (size_t)cap * sizeof(*arcs));

        if (arcs == NULL) {
            g->pool->failed = true;
            return false;
        }
        g->arcs = arcs;
        g->arc_cap = cap;
    }
    g->arcs[g->arc_count++] =
        (struct txn_arc){from, to | (uint32_t)kind << ARC_SHIFT};
    return true;
}

static int
txn_compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * Those that take part by their answers: upper half the rank.  Ranks are all
 * different, so that many of them sort themselves.
 */
static uint64_t *
txn_graph_answers(struct txn_graph *g, const bool *takes_part,
                  uint32_t *ret_count)
{
    const struct calls *c = g->problem->calls;
    bool dense = c->rank_count / 8 < g->txn_count;
    size_t room = dense ? c->rank_count : g->txn_count;
    uint64_t *answers = txn_pool_alloc(g->pool, room, sizeof(*answers));
    uint32_t count = 0;

    if (answers == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < g->txn_count; i++) {
        uint32_t rank = c->complete[problem_call(g->problem, i)];

        if (takes_part[i] && rank != CALL_OPEN) {
            /* Never 0: an answer has an invocation before it. */
            answers[dense ? rank : count++] = (uint64_t)rank << 32 | i;
        }
    }
    if (!dense) {
        qsort(answers, count, sizeof(*answers), txn_compare_u64);
    }
    for (uint32_t i = 0; dense && i < c->rank_count; i++) {
        if (answers[i] != 0) {
            answers[count++] = answers[i];
        }
    }
    *ret_count = count;
    return answers;
}

/*
 * A barrier stands behind answers that no invocation parts.  Transactions are
 * in the order of their invocations, so what a barrier releases first is a
 * range.
 */
static bool
txn_graph_barriers(struct txn_graph *g, const bool *takes_part)
{
    const struct calls *c = g->problem->calls;
    uint32_t count = 0, at = 0;
    uint64_t *answers = txn_graph_answers(g, takes_part, &count);

    g->behind = txn_pool_alloc(g->pool, g->txn_count, sizeof(*g->behind));
    g->released =
        txn_pool_alloc(g->pool, (size_t)count + 2, sizeof(*g->released));
    if (g->pool->failed) {
        return false;
    }
    memset(g->behind, 0xff, (size_t)g->txn_count * sizeof(*g->behind));
    for (uint32_t i = 0; i <= g->txn_count; i++) {
        uint64_t until = i == g->txn_count
                             ? UINT64_MAX
                             : (uint64_t)c->invoke[problem_call(g->problem, i)]
                                   << 32;
        bool fresh = at < count && answers[at] < until;

        for (; at < count && answers[at] < until; at++) {
            g->behind[(uint32_t)answers[at]] = g->barrier_count;
        }
        if (fresh) {
            g->released[g->barrier_count++] = i;
        }
    }
    g->released[g->barrier_count] = g->txn_count;
    txn_pool_free(g->pool, answers);
    return true;
}

/* Along each process: from what was answered to what it ran next. */
static bool
txn_graph_sessions(struct txn_graph *g, const bool *takes_part)
{
    const struct calls *c = g->problem->calls;
    uint32_t cap = 64;

    while (cap < 2 * (uint64_t)g->txn_count && cap < 1u << 30) {
        cap *= 2;
    }
    uint32_t *last = txn_pool_alloc(g->pool, cap, sizeof(*last));
    if (last == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < g->txn_count; i++) {
        uint32_t call = problem_call(g->problem, i);
        uint32_t at = (c->process[call] * 2654435761u) & (cap - 1);

        while (last[at] != 0 &&
               c->process[problem_call(g->problem, last[at] - 1)] !=
                   c->process[call]) {
            at = (at + 1) & (cap - 1);
        }
        if (last[at] != 0 &&
            c->complete[problem_call(g->problem, last[at] - 1)] <
                c->invoke[call] &&
            !txn_graph_add(g, last[at] - 1, i, TXN_SESSION)) {
            return false;
        }
        if (takes_part[i] && c->complete[call] != CALL_OPEN) {
            last[at] = i + 1;
        }
    }
    txn_pool_free(g->pool, last);
    return true;
}

static bool
txn_graph_sort(struct txn_graph *g)
{
    uint32_t nodes = g->txn_count + g->virtual_count;

    g->first = txn_pool_alloc(g->pool, (size_t)nodes + 2, sizeof(*g->first));
    g->out = txn_pool_alloc(g->pool, g->arc_count, sizeof(*g->out));
    if (g->pool->failed) {
        return false;
    }
    for (uint32_t i = 0; i < g->arc_count; i++) {
        g->first[g->arcs[i].from + 2]++;
    }
    for (uint32_t i = 2; i < nodes + 2; i++) {
        g->first[i] += g->first[i - 1];
    }
    for (uint32_t i = 0; i < g->arc_count; i++) {
        g->out[g->first[g->arcs[i].from + 1]++] = g->arcs[i].to;
    }
    txn_pool_free(g->pool, g->arcs);
    g->arcs = NULL;
    return true;
}

bool
txn_graph_finish(struct txn_graph *g, const bool *takes_part,
                 enum txn_order order)
{
    if ((uint64_t)g->txn_count * 2 + g->virtual_count + 2 > TXN_NODES_MAX) {
        g->pool->failed = true;
        return false;
    }
    if (order != ORDER_NONE && !txn_graph_sessions(g, takes_part)) {
        return false;
    }
    if (order == ORDER_REAL_TIME && !txn_graph_barriers(g, takes_part)) {
        return false;
    }
    return txn_graph_sort(g);
}

/* ---- walking ---- */

static uint32_t
txn_search_nodes(const struct txn_search *s)
{
    const struct txn_graph *g = s->graph;

    return g->txn_count + g->virtual_count + g->barrier_count;
}

uint32_t
txn_search_states(const struct txn_search *s)
{
    return txn_search_nodes(s) * (s->walk == WALK_ANY ? 1 : 2);
}

static inline uint32_t
txn_node_of(const struct txn_search *s, uint32_t state)
{
    return s->walk == WALK_ANY ? state : state >> 1;
}

/* The state behind an edge of this kind; TXN_NONE: the walk does not allow it.
 */
static inline uint32_t
txn_step(const struct txn_search *s, uint32_t state, uint32_t node,
         enum txn_edge kind)
{
    if (s->walk == WALK_ANY) {
        return node;
    }
    uint32_t bit = state & 1;
    if (kind == TXN_RW || kind == TXN_LATER) {
        return bit != 0 ? TXN_NONE : node << 1 | 1;
    }
    if (kind == TXN_VIA || s->walk == WALK_SINGLE) {
        return node << 1 | bit;
    }
    return node << 1;
}

/* The next edge of a barrier. */
static bool
txn_next_released(const struct txn_search *s, uint32_t state, uint32_t node,
                  uint32_t *cursor, uint32_t *ret)
{
    const struct txn_graph *g = s->graph;
    uint32_t base = g->txn_count + g->virtual_count, barrier = node - base;

    if (*cursor == 0) {
        (*cursor)++;
        if (barrier + 1 < g->barrier_count) {
            *ret = txn_step(s, state, node + 1, TXN_VIA);
            return true;
        }
    }
    uint32_t txn = g->released[barrier] + *cursor - 1;
    if (txn >= g->released[barrier + 1]) {
        return false;
    }
    (*cursor)++;
    *ret = txn_step(s, state, txn, TXN_VIA);
    return true;
}

static inline bool
txn_stays(const struct txn_search *s, uint32_t from, uint32_t to)
{
    return s->within == NULL || s->within[from] == s->within[to];
}

bool
txn_next_state(const struct txn_search *s, uint32_t state, uint32_t *cursor,
               uint32_t *ret)
{
    const struct txn_graph *g = s->graph;
    uint32_t node = txn_node_of(s, state), stored = g->txn_count;

    stored += g->virtual_count;
    if (node >= stored) {
        while (txn_next_released(s, state, node, cursor, ret)) {
            if (txn_stays(s, node, txn_node_of(s, *ret))) {
                return true;
            }
        }
        return false;
    }
    uint32_t degree = g->first[node + 1] - g->first[node];
    while (*cursor < degree) {
        uint32_t arc = g->out[g->first[node] + (*cursor)++];
        enum txn_edge kind = (enum txn_edge)(arc >> ARC_SHIFT);

        if ((s->kinds & TXN_BIT(kind)) == 0 && kind != TXN_VIA) {
            continue;
        }
        *ret = txn_step(s, state, arc & ARC_NODE, kind);
        if (*ret != TXN_NONE && txn_stays(s, node, arc & ARC_NODE)) {
            return true;
        }
    }
    if (*cursor > degree || node >= g->txn_count ||
        (s->kinds & TXN_BIT(TXN_REAL_TIME)) == 0 ||
        g->behind[node] == TXN_NONE) {
        return false;
    }
    (*cursor)++;
    *ret = txn_step(s, state, stored + g->behind[node], TXN_REAL_TIME);
    return txn_stays(s, node, stored + g->behind[node]);
}

/* ---- components ---- */

struct tarjan {
    const struct txn_search *search;
    uint32_t *number, *low; /* number 0: not seen */
    uint32_t *stack, stack_count;
    struct tarjan_frame {
        uint32_t state, cursor;
    } * frames;
    uint32_t depth, seen;
    struct txn_components *components;
    uint32_t *order, order_at;
};

static void
tarjan_enter(struct tarjan *t, uint32_t state)
{
    t->number[state] = t->low[state] = ++t->seen;
    t->stack[t->stack_count++] = state;
    t->frames[t->depth++] = (struct tarjan_frame){state, 0};
}

/* All that was reached from 'state' and cannot leave is one component. */
static void
tarjan_leave(struct tarjan *t, uint32_t state)
{
    struct txn_components *ret = t->components;
    bool cyclic = t->stack[t->stack_count - 1] != state;
    uint32_t member;

    do {
        member = t->stack[--t->stack_count];
        t->low[member] = UINT32_MAX; /* done: never the lowest */
        ret->of[member] = cyclic ? ret->count : TXN_NONE;
        if (t->order != NULL &&
            txn_node_of(t->search, member) < t->search->graph->txn_count) {
            t->order[--t->order_at] = member;
        }
    } while (member != state);
    ret->count += cyclic;
}

static bool
tarjan_from(struct tarjan *t, uint32_t root, struct budget *b)
{
    tarjan_enter(t, root);
    while (t->depth > 0) {
        struct tarjan_frame *f = &t->frames[t->depth - 1];
        uint32_t state = f->state, next;

        if (budget_expired(b)) {
            return false;
        }
        if (txn_next_state(t->search, state, &f->cursor, &next)) {
            if (t->number[next] == 0) {
                tarjan_enter(t, next);
            } else if (t->low[next] != UINT32_MAX &&
                       t->number[next] < t->low[state]) {
                t->low[state] = t->number[next];
            }
            continue;
        }
        t->depth--;
        uint32_t low = t->low[state];
        if (low == t->number[state]) {
            tarjan_leave(t, state);
        } else {
            uint32_t parent = t->frames[t->depth - 1].state;

            if (low < t->low[parent]) {
                t->low[parent] = low;
            }
        }
    }
    return true;
}

bool
txn_graph_scc(const struct txn_search *s, struct txn_components *ret,
              uint32_t *order)
{
    struct txn_pool *pool = s->graph->pool;
    uint32_t states = txn_search_states(s);
    struct tarjan t = {.search = s, .components = ret, .order = order};
    bool whole = true;

    ret->count = 0;
    ret->of = txn_pool_alloc(pool, states, sizeof(*ret->of));
    t.number = txn_pool_alloc(pool, states, sizeof(*t.number));
    t.low = txn_pool_alloc(pool, states, sizeof(*t.low));
    t.stack = txn_pool_alloc(pool, states, sizeof(*t.stack));
    t.frames = txn_pool_alloc(pool, states, sizeof(*t.frames));
    t.order_at = s->graph->txn_count;
    if (pool->failed) {
        return false;
    }
    for (uint32_t i = 0; whole && i < states; i++) {
        if (s->within != NULL && s->within[txn_node_of(s, i)] == TXN_NONE) {
            ret->of[i] = TXN_NONE;
        } else if (t.number[i] == 0) {
            whole = tarjan_from(&t, i, pool->budget);
        }
    }
    txn_pool_free(pool, t.number);
    txn_pool_free(pool, t.low);
    txn_pool_free(pool, t.stack);
    txn_pool_free(pool, t.frames);
    return whole;
}

/* ---- shortest cycles ---- */

struct breadth {
    const struct txn_search *search;
    const struct txn_components *components;
    uint32_t *mark; /* per state: the last round that reached it */
    uint32_t *parent;
    uint32_t *now, *next; /* states of this level and of the one behind */
    uint32_t now_count, next_count, round;
    uint64_t steps;
    uint32_t best_goal, best_length; /* of the best round */
    uint32_t *best;                  /* its states, goal first; malloc'd */
    uint32_t best_count;
};

/* The states from the goal back to where the round began. */
static void
breadth_keep(struct breadth *b, uint32_t start, uint32_t last, uint32_t goal,
             uint32_t length)
{
    uint32_t cap = 16;

    free(b->best);
    b->best = xcalloc(cap, sizeof(*b->best));
    b->best_count = 0;
    b->best_length = length;
    b->best[b->best_count++] = goal;
    for (uint32_t at = last;; at = b->parent[at]) {
        if (b->best_count == cap) {
            cap *= 2;
            b->best = xrealloc(b->best, (size_t)cap * sizeof(*b->best));
        }
        b->best[b->best_count++] = at;
        if (at == start) {
            break;
        }
    }
}

/* One level: true when the goal was reached in it. */
static bool
breadth_level(struct breadth *b, uint32_t start, uint32_t goal, uint32_t length)
{
    const struct txn_search *s = b->search;
    uint32_t component = b->components->of[start];

    for (uint32_t i = 0; i < b->now_count; i++) {
        uint32_t cursor = 0, to;

        while (txn_next_state(s, b->now[i], &cursor, &to)) {
            b->steps++;
            if (to == goal) {
                breadth_keep(b, start, b->now[i], goal, length);
                return true;
            }
            if (b->mark[to] == b->round ||
                (s->walk != WALK_SINGLE &&
                 b->components->of[to] != component)) {
                continue;
            }
            b->mark[to] = b->round;
            b->parent[to] = b->now[i];
            if (txn_node_of(s, to) >= s->graph->txn_count) {
                b->now[b->now_count++] = to;
            } else {
                b->next[b->next_count++] = to;
            }
        }
    }
    return false;
}

/* The shortest cycle through 'start', if shorter than the best. */
static bool
breadth_round(struct breadth *b, uint32_t start, uint32_t goal)
{
    struct budget *budget = b->search->graph->pool->budget;

    b->round++;
    b->mark[start] = b->round;
    b->now[0] = start;
    b->now_count = 1;
    b->next_count = 0;
    for (uint32_t length = 1; b->now_count > 0 && length < b->best_length;
         length++) {
        if (breadth_level(b, start, goal, length)) {
            return true;
        }
        uint32_t *level = b->now;

        b->now = b->next;
        b->now_count = b->next_count;
        b->next = level;
        b->next_count = 0;
        if (budget_expired(budget) || b->steps > TXN_CYCLE_STEPS_MAX) {
            return !budget_expired(budget);
        }
    }
    return true;
}

/* The kind of the edge that leads from one state to the next; the first that
 * fits. */
static enum txn_edge
txn_kind_between(const struct txn_search *s, uint32_t state, uint32_t next)
{
    const struct txn_graph *g = s->graph;
    uint32_t node = txn_node_of(s, state);

    for (uint32_t i = g->first[node]; i < g->first[node + 1]; i++) {
        enum txn_edge kind = (enum txn_edge)(g->out[i] >> ARC_SHIFT);

        if ((s->kinds & TXN_BIT(kind)) != 0 &&
            (g->out[i] & ARC_NODE) == txn_node_of(s, next) &&
            txn_step(s, state, g->out[i] & ARC_NODE, kind) == next) {
            return kind;
        }
    }
    return TXN_REAL_TIME;
}

/* From states, goal first, to hops between transactions. */
static void
breadth_hops(const struct breadth *b, struct txn_cycle *ret)
{
    const struct txn_search *s = b->search;
    uint32_t from = TXN_NONE;
    struct txn_hop hop = {0};

    ret->hops = xcalloc(b->best_count, sizeof(*ret->hops));
    for (uint32_t i = b->best_count; i-- > 0;) {
        uint32_t node = txn_node_of(s, b->best[i]);

        if (node >= s->graph->txn_count) {
            if (node < s->graph->txn_count + s->graph->virtual_count) {
                hop.via = node;
            }
            continue;
        }
        if (from != TXN_NONE) {
            hop.to = node;
            ret->hops[ret->count++] = hop;
        }
        from = node;
        if (i > 0) {
            hop.from = node;
            hop.via = TXN_NONE;
            hop.kind = txn_kind_between(s, b->best[i], b->best[i - 1]);
        }
    }
}

static bool
breadth_rounds(struct breadth *b)
{
    const struct txn_search *s = b->search;
    uint32_t width = s->walk == WALK_ANY ? 1 : 2;

    for (uint32_t i = 0; i < s->graph->txn_count; i++) {
        uint32_t start = i * width;
        uint32_t goal = s->walk == WALK_SINGLE ? start + 1 : start;

        if (b->components->of[start] == TXN_NONE) {
            continue;
        }
        if (!breadth_round(b, start, goal)) {
            return false;
        }
        if (b->best_length <= 2 || b->steps > TXN_CYCLE_STEPS_MAX) {
            break;
        }
    }
    return true;
}

bool
txn_graph_cycle(const struct txn_search *s,
                const struct txn_components *components, struct txn_cycle *ret)
{
    struct txn_pool *pool = s->graph->pool;
    uint32_t states = txn_search_states(s);
    struct breadth b = {
        .search = s, .components = components, .best_length = UINT32_MAX};
    bool whole = false;

    ret->hops = NULL;
    ret->count = 0;
    b.mark = txn_pool_alloc(pool, states, sizeof(*b.mark));
    b.parent = txn_pool_alloc(pool, states, sizeof(*b.parent));
    b.now = txn_pool_alloc(pool, states, sizeof(*b.now));
    b.next = txn_pool_alloc(pool, states, sizeof(*b.next));
    if (!pool->failed) {
        whole = breadth_rounds(&b);
    }
    if (b.best_count > 0) {
        breadth_hops(&b, ret);
    }
    free(b.best);
    txn_pool_free(pool, b.mark);
    txn_pool_free(pool, b.parent);
    txn_pool_free(pool, b.now);
    txn_pool_free(pool, b.next);
    return whole;
}
