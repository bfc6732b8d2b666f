/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bugs planted on purpose, so that every checker has something real to catch.
 * Off by default; one at a time, the same on all replicas.
 */
#ifndef ORDEAL_REPLICA_BUGS_H
#define ORDEAL_REPLICA_BUGS_H

#include <stdbool.h>
#include <stdio.h>

enum bug {
    BUG_NONE = 0,
    BUG_STALE_READ,
    BUG_DOUBLE_ALLOCATION,
    BUG_FORGET_OPERATIONS,
    BUG_EARLY_EXPIRY,
    BUG_ACK_BEFORE_COMMIT,
    BUG_IGNORE_EPOCH,
    BUG_NO_FSYNC,
    BUG_LOST_WRITE_ON_FAILOVER,
    BUG_TICK_ON_BACKUP,
    BUG_PARTIAL_BUNDLE,
    BUG_REUSE_BEFORE_RECLAIM,
    BUG_SNAPSHOT_DROPS_OPERATIONS,
    BUG_DIVERGENT_APPLY,
    BUG_OVERSPEND,
    BUG_OVERCOMMIT,
    BUG_STALE_CAS,
    BUG_WALL_CLOCK_EXPIRY,
};

/*
 * double-allocation, overspend, overcommit, stale-cas: of the refusals every
 * so many is granted.
 */
#define BUG_BUSY_GRANT_EVERY 5u

/* divergent-apply: a backup skips every entry whose index it divides. */
#define BUG_DIVERGENT_EVERY 50u

/* early-expiry: so many slots before the deadline a lease counts as due. */
#define BUG_EARLY_SLOTS 3u

/*
 * wall-clock-expiry: what the primary takes a slot to last on its wall clock,
 * and how many slots it may be ahead of the ticks before it believes it: slow
 * ticks alone shall not show the bug.
 */
#define BUG_WALL_SLOT_MS 250
#define BUG_WALL_SLACK_SLOTS 16

const char *bug_name(enum bug bug); /* NULL for BUG_NONE */
bool bug_parse(const char *name, enum bug *ret);

/* The only engine on which it does anything; NULL: on all of them. */
const char *bug_engine(enum bug bug);

/* One line each: name, tab, what it does, and on which engine alone. */
void bug_list(FILE *out);

#endif
