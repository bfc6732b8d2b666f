/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engines of transactions share: a problem read into tables, what was
 * found in it, and the way from dependencies to a decision.
 *
 *   txn_case_init -> (the engine: txn_case_found, edges into t->graph)
 *                 -> txn_case_cycles -> txn_case_decide -> txn_case_release
 *
 * Transactions are the members of the problem by their place; keys, writes and
 * micro-operations are numbered as they come.
 *
 * Threads: one.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_TXN_CASE_H
#define ORDEAL_ANALYZER_ENGINES_TXN_CASE_H

#include "analyzer/engines/txn-graph.h"
#include "analyzer/models/txn.h"
#include "harness/base/buf.h"

enum txn_status {
    STATUS_COMMITTED,
    STATUS_OPEN, /* and nobody saw its writes: may never have happened */
    STATUS_SEEN, /* open, but a committed transaction saw a write of it */
    STATUS_FAILED,
};

struct txn_write {
    uint32_t key; /* by its number here */
    uint32_t value, txn;
    uint32_t before; /* the write of this transaction to this key before it */
    bool final;      /* its transaction's last to this key */
    bool ambiguous;  /* others that may have committed wrote the same */
};

struct txn_key {
    uint32_t number;     /* value number */
    uint32_t last_write; /* so far; TXN_NONE */
};

/* What was found: the worst so far. */
struct txn_witness {
    enum txn_anomaly anomaly; /* ANOMALY_NONE: nothing */
    enum txn_order order;
    struct buf text;    /* "T1 (line 3) < T2 (line 4) because ..." */
    uint32_t *txns;     /* T1, T2, ..., then those that only give evidence */
    uint32_t txn_count; /* malloc'd */
    struct edge *edges; /* malloc'd, of calls */
    uint32_t edge_count;
};

struct txn_case {
    const struct problem *problem;
    const struct calls *calls;
    struct budget *budget;
    enum txn_level level;
    struct txn_pool pool;
    uint32_t txn_count;
    uint8_t *status;    /* enum txn_status */
    uint32_t *first_op; /* per transaction, and one more */
    uint32_t *first_write;
    uint32_t *op_keys; /* per micro-operation */
    uint32_t op_count;
    struct txn_key *keys;
    uint32_t key_count, key_cap;
    uint32_t *key_slots, key_slot_count;
    struct txn_write *writes;
    uint32_t write_count;
    uint32_t *write_slots, write_slot_count;
    uint32_t ambiguous; /* a write whose value is not unique, or TXN_NONE */
    struct txn_graph graph;
    uint32_t *named; /* per transaction: its number in the witness, plus one */
    bool barriers;   /* make the graph with real time, whatever the level */
    struct txn_witness witness;
    /* Why a hop is there: appends a clause, and names the transactions that it
     * needs for evidence (txn_case_name). */
    void (*because)(struct txn_case *t, void *engine, const struct txn_hop *hop,
                    struct buf *out);
    /* Names a transaction that saw a write of the open one. */
    void (*seen_by)(struct txn_case *t, void *engine, uint32_t txn);
    void *engine;
};

/* False: no memory or time, txn_case_give_up says so. */
bool txn_case_init(struct txn_case *t, const struct problem *p,
                   struct budget *b);
void txn_case_release(struct txn_case *t);
void txn_case_give_up(const struct txn_case *t, struct decision *ret);

/* ---- looking at it ---- */

struct txn_cursor {
    uint32_t txn, at;
    uint32_t op_index, write_index; /* of 'op'; the latter if it writes */
    uint32_t next_op, next_write;
    uint32_t key; /* of 'op' */
    struct txn_op op;
};

static inline uint32_t
txn_case_call(const struct txn_case *t, uint32_t txn)
{
    return problem_call(t->problem, txn);
}

static inline struct txn_cursor
txn_case_ops(const struct txn_case *t, uint32_t txn)
{
    return (struct txn_cursor){.txn = txn,
                               .next_op = t->first_op[txn],
                               .next_write = t->first_write[txn]};
}

/*
 * The next micro-operation.
 *
 *   for (struct txn_cursor o = txn_case_ops(t, i); txn_case_next(t, &o);) ...
 */
static inline bool
txn_case_next(const struct txn_case *t, struct txn_cursor *o)
{
    if (!txn_next(t->calls, txn_case_call(t, o->txn), &o->at, &o->op)) {
        return false;
    }
    o->op_index = o->next_op++;
    o->key = t->op_keys[o->op_index];
    o->write_index = TXN_NONE;
    if (o->op.kind != TXN_READ) {
        o->write_index = o->next_write++;
    }
    return true;
}

/* Whether it writes to the key before micro-operation 'op_index'. */
bool txn_case_wrote(const struct txn_case *t, uint32_t txn, uint32_t key,
                    uint32_t op_index);

/* The write of a value to a key (of several the one that counts: one that may
 * have committed); TXN_NONE: nobody's. */
uint32_t txn_case_writer(const struct txn_case *t, uint32_t key,
                         uint32_t value);

/* Whether it counts as having happened at this level. */
static inline bool
txn_case_counts(const struct txn_case *t, uint32_t txn)
{
    return t->status[txn] == STATUS_COMMITTED ||
           (t->status[txn] == STATUS_SEEN &&
            txn_level_info(t->level)->committed);
}

/* ---- what was found ---- */

/*
 * Whether this is to be described: the level excludes it and nothing as bad is
 * known.  Then the witness is empty, of this anomaly.
 */
bool txn_case_found(struct txn_case *t, enum txn_anomaly a);

/* "T3"; takes the transaction into the core.  'ret' has NAME_MAX bytes. */
#define TXN_NAME_MAX 48
const char *txn_case_name(struct txn_case *t, uint32_t txn,
                          char ret[TXN_NAME_MAX]);
/* "T3 (line 17)". */
const char *txn_case_long_name(struct txn_case *t, uint32_t txn,
                               char ret[TXN_NAME_MAX]);
/* "5 to key 3". */
void txn_case_words(const struct txn_case *t, uint32_t write, struct buf *out);
/* "key 3". */
void txn_case_key_words(const struct txn_case *t, uint32_t key,
                        struct buf *out);
void txn_case_edge(struct txn_case *t, uint32_t from, uint32_t to,
                   enum edge_kind kind, const char *text);

/* Finishes the graph and looks for the worst cycle that the level excludes.
 * 'order', if not NULL: filled topologically when there is none at all (level
 * serializable or above), else its first is TXN_NONE.  False: give up. */
bool txn_case_cycles(struct txn_case *t, uint32_t *order);

/* INVALID from the witness, if there is one. */
bool txn_case_decide(struct txn_case *t, struct decision *ret);

/*
 * One run of an engine over a case of its own: 'judge' decides, or returns
 * false when memory or time is out.
 */
void txn_case_run(const struct problem *p, struct budget *b,
                  bool (*judge)(struct txn_case *t, struct decision *ret),
                  struct decision *ret);

/* One run of an engine; *ret comes zeroed. */
typedef void txn_decide(const struct problem *p, struct budget *b,
                        struct decision *ret);

/* txn-shrink.c: makes the core of an INVALID as small as it gets, by running
 * the engine on parts of it; the words are those of the smallest. */
void txn_shrink(txn_decide *decide, const struct problem *p, struct budget *b,
                struct decision *d);

/* Runs the engine, and makes the core small if it is INVALID. */
void txn_shrunk(txn_decide *decide, const struct problem *p, struct budget *b,
                struct decision *ret);

/* VALID with an order of transactions: those that count (committed, or seen by
 * one that is), as calls. */
void txn_case_valid(const struct txn_case *t, const uint32_t *order,
                    uint32_t count, struct decision *ret);

#endif
