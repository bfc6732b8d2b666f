/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds and ends processes of ours that belong to a directory of ours, whoever
 * their parent is now.
 */
#ifndef ORDEAL_PROVIDER_ORPHANS_H
#define ORDEAL_PROVIDER_ORPHANS_H

#include "harness/base/clock.h"
#include "harness/base/error.h"

/* How a process shows that it belongs to DIR. */
enum orphans_by {
    ORPHANS_QEMU,           /* a QEMU with DIR/... in an argument */
    ORPHANS_NBDKIT,         /* an nbdkit, likewise */
    ORPHANS_BY_ENVIRONMENT, /* ORDEAL_NODE_DIR is DIR or below it */
};

/*
 * SIGKILLs every such process of this user but ourselves, and returns when all
 * have ended (a zombie has: nothing of it runs, and reaping is its parent's).
 * Returns how many there were, -1 when some live at the deadline.
 */
int orphans_end(enum orphans_by by, const char *dir, int64_t deadline_ns,
                struct error *err);

/* How many there are. */
int orphans_count(enum orphans_by by, const char *dir);

/*
 * The QEMU of ours that runs the guest 'name': a pidfd, which the caller
 * closes, and its pid; -1: none runs.
 */
int orphans_open_machine(const char *name, int *ret_pid);

#endif
