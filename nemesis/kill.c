/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill: the daemon dies at once (SIGKILL) and stays down until the heal starts
 * it again.
 *
 * Happy path: remember the process, SIGKILL exactly it, find it gone from
 * /proc; heal by starting the daemon; another process runs and answers.
 *
 * Failure modes: a daemon that does not run cannot be killed (inject fails,
 * nothing is claimed).  Nothing in the guest brings it back by itself: init
 * never restarts a daemon unasked, so no timer is armed.
 */
#include "config.h"

#include <signal.h>
#include <stddef.h>

#include "nemesis/daemon.h"
#include "nemesis/registry.h"

static int
kill_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {NULL};

    return daemon_setup(f, keys, err);
}

static int
kill_inject(struct fault *f, struct error *err)
{
    if (daemon_remember(f, err) < 0)
        return -1;
    return daemon_signal(f, SIGKILL, err);
}

static int
kill_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
           struct error *err)
{
    return phase == FAULT_EFFECT ? daemon_prove_down(f, ret, err)
                                 : daemon_prove_up(f, ret, err);
}

static int
kill_heal(struct fault *f, struct error *err)
{
    return daemon_restart(f->world, f->targets, err);
}

const struct fault_ops fault_kill_ops = {
    .name = "kill",
    .description = "SIGKILL of the daemon, restarted when healed",
    .takes_nodes_down = true,
    .setup = kill_setup,
    .available = daemon_available,
    .undo_record = daemon_undo_record,
    .inject = kill_inject,
    .prove = kill_prove,
    .heal = kill_heal,
    .undo = daemon_undo_restart,
    .teardown = daemon_teardown,
};
