/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Isolation levels, and the anomalies that each excludes.  A level is part of
 * the name of a model of transactions, behind a colon:
 *
 *   list-append                     strict-serializable
 *   list-append:snapshot-isolation  and so on, with the short names below
 *
 * Adya, Liskov and O'Neil 2000 (the anomalies and levels PL-1, PL-2, PL-2.99,
 * PL-SI, PL-3); Cerone and Gotsman, PODC 2016 (snapshot isolation by cycles);
 * Daudjee and Salem, ICDE 2004 and VLDB 2006 (strong session levels).  What is
 * excluded where, and why: docs/TRANSACTIONS.md.
 *
 * Threads: constants.
 */
#ifndef ORDEAL_ANALYZER_MODELS_TXN_LEVEL_H
#define ORDEAL_ANALYZER_MODELS_TXN_LEVEL_H

#include <stdbool.h>

struct model_ops;

enum txn_level {
    LEVEL_READ_UNCOMMITTED,
    LEVEL_READ_COMMITTED,
    LEVEL_SNAPSHOT_ISOLATION,
    LEVEL_REPEATABLE_READ,
    LEVEL_SERIALIZABLE,
    LEVEL_STRONG_SESSION_SNAPSHOT_ISOLATION,
    LEVEL_STRONG_SESSION_SERIALIZABLE,
    LEVEL_STRONG_SNAPSHOT_ISOLATION,
    LEVEL_STRICT_SERIALIZABLE,
    LEVEL_COUNT,
};

/* Which order between transactions a level honours beside the dependencies. */
enum txn_order { ORDER_NONE, ORDER_SESSION, ORDER_REAL_TIME };

struct txn_level_info {
    const char *name, *alias; /* "snapshot-isolation", "si" */
    bool committed;           /* excludes G1: aborted, intermediate, circular */
    bool atomic; /* excludes what no snapshot shows: G-single, lost updates */
    bool serial; /* excludes every cycle */
    enum txn_order order;
};

const struct txn_level_info *txn_level_info(enum txn_level level);

/* By name or alias; false: there is none. */
bool txn_level_parse(const char *name, enum txn_level *ret);

/* What the model's name says behind its colon; without: strict-serializable. */
enum txn_level txn_level_of(const struct model_ops *model);

/* The anomalies, the worst first: a level that excludes one excludes all kinds
 * before it that it can tell. */
enum txn_anomaly {
    ANOMALY_DUPLICATE_ELEMENTS,
    ANOMALY_G0,
    ANOMALY_DIRTY_UPDATE,
    ANOMALY_G1A,
    ANOMALY_INCOMPATIBLE_ORDER,
    ANOMALY_FUTURE_READ,
    ANOMALY_G1B,
    ANOMALY_G1C,
    ANOMALY_INTERNAL,
    ANOMALY_LOST_UPDATE,
    ANOMALY_G_SINGLE,
    ANOMALY_G_NONADJACENT,
    ANOMALY_G2_ITEM,
    ANOMALY_COUNT,
    ANOMALY_NONE = ANOMALY_COUNT,
};

const char *txn_anomaly_name(enum txn_anomaly a);

/* Whether the level excludes the anomaly (of data alone, without orders). */
bool txn_level_excludes(enum txn_level level, enum txn_anomaly a);

/*
 * The strongest levels that may still hold of a history whose worst anomaly is
 * this one, on a cycle with edges of 'order' if it is one, when 'level' was
 * asked for (what that does not exclude was not looked for).
 */
const char *txn_level_left(enum txn_level level, enum txn_anomaly a,
                           enum txn_order order);

#endif
