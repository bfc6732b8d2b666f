/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions as calls: the micro-operations of a call are the words of its
 * list, one after the other:
 *
 *   word 0   kind: TXN_APPEND, TXN_READ, TXN_WRITE
 *   word 1   key (value number)
 *   word 2   append, write: the value number
 *            read: VALUE_ABSENT   it is not known what was read
 *                  VALUE_NIL      nothing was there
 *                  n              n value numbers follow: the elements of a
 *                                 list, oldest first; of a register n is 1
 *
 * A transaction that failed is a call too (TXN_FAILED): who saw its writes read
 * what never was (G1a).  Its reads are not known.  One that is open may have
 * happened.  a, b, key and result of such calls are VALUE_ABSENT.
 *
 * Adya, Liskov and O'Neil 2000 (the anomalies); Kingsbury and Alvaro, VLDB 2020
 * (their inference from lists).
 */
#ifndef ORDEAL_ANALYZER_MODELS_TXN_H
#define ORDEAL_ANALYZER_MODELS_TXN_H

#include "analyzer/models/model.h"

enum txn_function { TXN_DONE, TXN_FAILED };
enum txn_kind { TXN_APPEND, TXN_READ, TXN_WRITE };

struct txn_op {
    enum txn_kind kind;
    uint32_t key;
    uint32_t value; /* append and write; else VALUE_ABSENT */
    /* read */
    bool known;               /* false: what it read is not known */
    uint32_t count;           /* 0: nothing was there */
    const uint32_t *elements; /* count of them */
};

/*
 * The next micro-operation of a call; *at starts at 0.  False: no more.
 *
 *   for (uint32_t at = 0; txn_next(c, call, &at, &op);) ...
 */
static inline bool
txn_next_of(const struct calls *c, uint32_t list, uint32_t *at,
            struct txn_op *ret)
{
    if (list == 0 || *at >= c->lists[list]) {
        return false;
    }
    const uint32_t *words = &c->lists[list + 1 + *at];
    *at += 3;
    ret->kind = (enum txn_kind)words[0];
    ret->key = words[1];
    ret->value = VALUE_ABSENT;
    ret->known = true;
    ret->count = 0;
    ret->elements = words + 3;
    if (ret->kind != TXN_READ) {
        ret->value = words[2];
    } else if (words[2] == VALUE_ABSENT) {
        ret->known = false;
    } else if (words[2] != VALUE_NIL) {
        ret->count = words[2];
        *at += words[2];
    }
    return true;
}

static inline bool
txn_next(const struct calls *c, uint32_t call, uint32_t *at, struct txn_op *ret)
{
    return txn_next_of(c, c->list[call], at, ret);
}

/*
 * Decodes lists of [f key value] where f is append, r or read, w or write.
 * 'lists': what is read is a list of elements, else one value.
 */
enum decoded txn_decode(struct calls *c, const struct record *invoke,
                        const struct record *end, bool lists, struct call *ret,
                        struct error *err);
/* "append x 1, read y: [1 2]: ok". */
void txn_describe(const struct calls *c, uint32_t call, struct buf *out);

#endif
