/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The direct serialization graph of transactions (Adya, Liskov and O'Neil
 * 2000): nodes are transactions, edges say that one must come before another,
 * and a cycle is an anomaly whose kind the edges tell.
 *
 *   txn_graph_init -> txn_graph_add... -> txn_graph_finish -> txn_graph_scc
 *                                                          -> txn_graph_cycle
 *
 * Nodes are the members of the problem by their place, then virtual nodes,
 * which stand for "the readers before, the writers behind" where there would be
 * an edge for each pair; then barriers, which do the same for real time: all
 * that was answered before an invocation comes before all that was invoked
 * later.  Barriers and their edges are not stored; the graph is linear in the
 * history.
 *
 * Searches walk states: a node and one bit of the path (enum txn_walk).
 * Strongly connected components by Tarjan 1972, without recursion.
 *
 * Threads: one.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_TXN_GRAPH_H
#define ORDEAL_ANALYZER_ENGINES_TXN_GRAPH_H

#include "analyzer/engines/engine.h"
#include "analyzer/models/txn-level.h"

#define TXN_NONE UINT32_MAX

/* ---- memory under the budget ---- */

#define TXN_BLOCKS_MAX 64 /* arrays that live at one time; some thirty do */

struct txn_pool {
    struct budget *budget;
    struct txn_block {
        void *p;
        size_t bytes;
    } blocks[TXN_BLOCKS_MAX];
    bool failed; /* the cap was reached: what was asked for is NULL */
};

void txn_pool_init(struct txn_pool *pool, struct budget *b);
void txn_pool_release(struct txn_pool *pool);
/* Zeroed; NULL beyond the cap. */
void *txn_pool_alloc(struct txn_pool *pool, size_t count, size_t size);
/* Keeps the contents ('bytes' may be more than before); NULL beyond the cap,
 * 'p' stays. */
void *txn_pool_grow(struct txn_pool *pool, void *p, size_t bytes);
void txn_pool_free(struct txn_pool *pool, void *p); /* NULL is fine */

/* ---- the graph ---- */

enum txn_edge {
    TXN_WW,     /* the other overwrote it, or put its own behind */
    TXN_WR,     /* the other read what it wrote */
    TXN_RW,     /* the other overwrote what it read */
    TXN_UPDATE, /* the other wrote to the version that it had read and replaced:
                   behind it, or an update is lost */
    TXN_LATER,  /* the other overwrote what it read, by real time: its write
                   began when what was read had been answered */
    TXN_EARLIER, /* the other overwrote it, by real time: the other was read
                    by something invoked when this had been answered */
    TXN_SESSION, /* one process ran them in this order */
    TXN_VIA,     /* out of a virtual node */
    TXN_REAL_TIME,
};

#define TXN_BIT(kind) (1u << (kind))
#define TXN_DATA (TXN_BIT(TXN_WW) | TXN_BIT(TXN_WR) | TXN_BIT(TXN_RW))

struct txn_arc {
    uint32_t from, to; /* 'to' carries the kind in its upper bits */
};

struct txn_graph {
    const struct problem *problem;
    struct txn_pool *pool;
    uint32_t txn_count, virtual_count, barrier_count;
    struct txn_arc *arcs; /* until finished */
    uint32_t arc_count, arc_cap;
    uint32_t *first, *out; /* after */
    uint32_t *behind;      /* per transaction: its barrier, or TXN_NONE */
    uint32_t *released;    /* per barrier: the first transaction behind it */
};

/* Nodes beyond this do not fit beside the kind of an edge. */
#define TXN_NODES_MAX (1u << 28)

void txn_graph_init(struct txn_graph *g, const struct problem *p,
                    struct txn_pool *pool);
/* A new virtual node: edges into it say what a path through it is; edges out
 * of it are TXN_VIA.  Never both from and to one transaction. */
uint32_t txn_graph_virtual(struct txn_graph *g);
/* False: no memory.  An edge from a node to itself is left out. */
bool txn_graph_add(struct txn_graph *g, uint32_t from, uint32_t to,
                   enum txn_edge kind);
/*
 * 'takes_part' (per transaction): whether what comes after its answer comes
 * after it.  'order': ORDER_SESSION adds edges along each process,
 * ORDER_REAL_TIME barriers too.  False: no memory or time.
 */
bool txn_graph_finish(struct txn_graph *g, const bool *takes_part,
                      enum txn_order order);

/* ---- searches ---- */

enum txn_walk {
    WALK_ANY,    /* any edges */
    WALK_APART,  /* no anti-dependency (TXN_RW, TXN_LATER) directly after
                    another, round the cycle */
    WALK_SINGLE, /* one anti-dependency at most */
};

struct txn_search {
    const struct txn_graph *graph;
    unsigned kinds; /* TXN_BIT of the edges that count; TXN_VIA always does */
    enum txn_walk walk;
    const uint32_t *within; /* a component per node (WALK_ANY): stay in one;
                               or NULL */
};

/* The next state behind 'state'; *cursor starts at 0.  False: no more. */
bool txn_next_state(const struct txn_search *s, uint32_t state,
                    uint32_t *cursor, uint32_t *ret);

struct txn_components {
    uint32_t *of; /* per state: its component, TXN_NONE: on no cycle */
    uint32_t count;
};

uint32_t txn_search_states(const struct txn_search *s);

/*
 * *ret: the components that have cycles; its array is the pool's.  'order', if
 * not NULL: room for the transactions, which is filled topologically (of
 * WALK_ANY, without cycles).  False: no memory or time.
 */
bool txn_graph_scc(const struct txn_search *s, struct txn_components *ret,
                   uint32_t *order);

struct txn_hop {
    uint32_t from, to; /* transactions */
    enum txn_edge kind;
    uint32_t via; /* virtual node, or TXN_NONE */
};

struct txn_cycle {
    struct txn_hop *hops; /* malloc'd */
    uint32_t count;       /* 0: none was found */
};

/*
 * The shortest cycle of the walk, over the transactions that are in components;
 * not the shortest of all only when these are many (TXN_CYCLE_STEPS_MAX).
 * False: no memory or time.
 */
#define TXN_CYCLE_STEPS_MAX (1u << 26) /* edges looked at: about a second */
bool txn_graph_cycle(const struct txn_search *s,
                     const struct txn_components *components,
                     struct txn_cycle *ret);

#endif
