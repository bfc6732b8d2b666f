/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for an order of transactions on registers that explains every read,
 * within the dependencies that are known.  Written values are unique.
 *
 * A transaction is ready when all that must come before it has been placed;
 * then what it reads is there, because a write waits until the version that it
 * replaces has no reader left.  So a transaction that writes nothing is placed
 * as soon as it is ready, and only writes are choices.  Choices that turn out
 * wrong become dependencies that were not known before.
 *
 * Threads: one.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_TXN_SERIAL_H
#define ORDEAL_ANALYZER_ENGINES_TXN_SERIAL_H

#include "analyzer/engines/txn-case.h"

/* Nodes looked at, for all transactions together and for each; some ten a
 * transaction are usual.  At most some seconds for a million. */
#define TXN_SERIAL_STEPS_MAX 200000
#define TXN_SERIAL_STEPS_PER_TXN 1024

enum txn_serial_result {
    SERIAL_FOUND,
    SERIAL_NONE,    /* there is no such order */
    SERIAL_STOPPED, /* after too many steps */
    SERIAL_GAVE_UP, /* no memory or time */
};

/*
 * 'versions', per micro-operation: the version that a read of another's write
 * needs: a write, or write_count + key for what was there first; TXN_NONE: it
 * needs none.  'kinds': the edges that count (TXN_BIT).  Those that count
 * (txn_case_counts) are put into 'order', their number in *ret_count.
 */
enum txn_serial_result txn_serial_search(struct txn_case *t,
                                         const uint32_t *versions,
                                         unsigned kinds, uint32_t *order,
                                         uint32_t *ret_count);

#endif
