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
