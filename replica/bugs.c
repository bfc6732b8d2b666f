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
    const char *engine; /* the only one whose code it is in; NULL: all */
} bugs[] = {
    {BUG_STALE_READ, "stale-read",
     "linearizable reads are served without confirming leadership", NULL},
    {BUG_DOUBLE_ALLOCATION, "double-allocation",
     "every 5th reserve of a resource that is not available is granted",
     "lease"},
    {BUG_FORGET_OPERATIONS, "forget-operations",
     "the dedupe table is lost when a replica starts again", NULL},
    {BUG_EARLY_EXPIRY, "early-expiry",
     "a tick expires leases up to 3 slots before their deadline", "lease"},
    {BUG_ACK_BEFORE_COMMIT, "ack-before-commit",
     "the primary answers before a majority holds the entry", NULL},
    {BUG_IGNORE_EPOCH, "ignore-epoch",
     "confirm and release by the right holder pass with a stale epoch",
     "lease"},
    {BUG_NO_FSYNC, "no-fsync",
     "entries are acknowledged before the log is flushed to the disk", NULL},
    {BUG_LOST_WRITE_ON_FAILOVER, "lost-write-on-failover",
     "a replica skips what it learns to be committed only in a later view",
     NULL},
    {BUG_TICK_ON_BACKUP, "tick-on-backup",
     "a backup serves ticks by itself: its state alone moves on", NULL},
    {BUG_PARTIAL_BUNDLE, "partial-bundle",
     "the last resource of a bundle is not reserved with the others", "lease"},
    {BUG_REUSE_BEFORE_RECLAIM, "reuse-before-reclaim",
     "revoke frees the resources at once, before their holder gave them back",
     "lease"},
    {BUG_SNAPSHOT_DROPS_OPERATIONS, "snapshot-drops-operations",
     "the dedupe table is lost when a snapshot is loaded", NULL},
    {BUG_DIVERGENT_APPLY, "divergent-apply", "a backup skips every 50th entry",
     NULL},
    {BUG_OVERSPEND, "overspend",
     "every 5th debit of more than there is is granted", "quota"},
    {BUG_OVERCOMMIT, "overcommit",
     "every 5th hold beyond the capacity is placed", "pool"},
    {BUG_STALE_CAS, "stale-cas",
     "every 5th cas that expects another value is executed", "block"},
    {BUG_WALL_CLOCK_EXPIRY, "wall-clock-expiry",
     "the primary counts the slots since its last tick by its wall clock",
     "lease"},
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

const char *
bug_engine(enum bug bug)
{
    for (size_t i = 0; i < ARRAY_LEN(bugs); i++)
        if (bugs[i].bug == bug)
            return bugs[i].engine;
    return NULL;
}

void
bug_list(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(bugs); i++) {
        const char *engine = bugs[i].engine;

        fprintf(out, "%s\t%s%s%s%s\n", bugs[i].name, bugs[i].effect,
                engine == NULL ? "" : " (engine ", engine == NULL ? "" : engine,
                engine == NULL ? "" : ")");
    }
}
