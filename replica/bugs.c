/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of planted bugs.  Each takes effect where its constant is named in
 * the replica's sources, and nowhere else.
 */
#include "config.h"

#include <string.h>

#include "harness/base/cleanup.h"
#include "replica/bugs.h"

static const struct {
    enum bug bug;
    const char *name, *effect;
} bugs[] = {
    {BUG_STALE_READ, "stale-read",
     "linearizable reads are served without confirming leadership"},
    {BUG_DOUBLE_ALLOCATION, "double-allocation",
     "every 5th reserve of a resource that is not available is granted"},
    {BUG_FORGET_OPERATIONS, "forget-operations",
     "the dedupe table is lost when a replica starts again"},
    {BUG_EARLY_EXPIRY, "early-expiry",
     "a tick expires leases up to 3 slots before their deadline"},
    {BUG_ACK_BEFORE_COMMIT, "ack-before-commit",
     "the primary answers before a majority holds the entry"},
    {BUG_IGNORE_EPOCH, "ignore-epoch",
     "confirm and release by the right holder pass with a stale epoch"},
    {BUG_NO_FSYNC, "no-fsync",
     "entries are acknowledged before the log is flushed to the disk"},
    {BUG_LOST_WRITE_ON_FAILOVER, "lost-write-on-failover",
     "a replica skips what it learns to be committed only in a later view"},
    {BUG_TICK_ON_BACKUP, "tick-on-backup",
     "a backup serves ticks by itself: its state alone moves on"},
    {BUG_PARTIAL_BUNDLE, "partial-bundle",
     "the last resource of a bundle is not reserved with the others"},
    {BUG_REUSE_BEFORE_RECLAIM, "reuse-before-reclaim",
     "revoke frees the resources at once, before their holder gave them back"},
    {BUG_SNAPSHOT_DROPS_OPERATIONS, "snapshot-drops-operations",
     "the dedupe table is lost when a snapshot is loaded"},
    {BUG_DIVERGENT_APPLY, "divergent-apply", "a backup skips every 50th entry"},
    {BUG_OVERSPEND, "overspend",
     "every 5th debit of more than there is is granted (engine quota)"},
    {BUG_OVERCOMMIT, "overcommit",
     "every 5th hold beyond the capacity is placed (engine pool)"},
    {BUG_STALE_CAS, "stale-cas",
     "every 5th cas that expects another value is executed (engine block)"},
    {BUG_WALL_CLOCK_EXPIRY, "wall-clock-expiry",
     "the primary counts the slots since its last tick by its wall clock"},
};

const char *
bug_name(enum bug bug)
{
    for (size_t i = 0; i < ARRAY_LEN(bugs); i++)
        if (bugs[i].bug == bug)
            return bugs[i].name;
    return NULL;
}

bool
bug_parse(const char *name, enum bug *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(bugs); i++) {
        if (strcmp(bugs[i].name, name) == 0) {
            *ret = bugs[i].bug;
            return true;
        }
    }
    return false;
}

void
bug_list(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(bugs); i++)
        fprintf(out, "%s\t%s\n", bugs[i].name, bugs[i].effect);
}
