/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the faults of the daemon's process (kill, stop, pause) share: which
 * process it was before, looks at it, and bringing it back.
 *
 * f->state is a struct daemon_fault.  Threads: the nemesis thread.
 */
#ifndef ORDEAL_NEMESIS_DAEMON_H
#define ORDEAL_NEMESIS_DAEMON_H

#include "nemesis/fault.h"
#include "nemesis/target.h"

struct daemon_fault {
    struct process_id before[NODE_COUNT_MAX]; /* pid 0: not looked up */
    bool acted[NODE_COUNT_MAX];               /* the act was reported done */
};

/* Allocates f->state; the fault takes no parameters but 'keys'. */
int daemon_setup(struct fault *f, const char *const keys[], struct error *err);
void daemon_teardown(struct fault *f);
/* Every node's system can be asked for its process. */
bool daemon_available(const struct fault_world *w);
json_t *daemon_undo_record(const struct fault *f);

struct system_node world_node(const struct fault_world *w, unsigned index);

/* Fills 'before' of each target.  Fails where no daemon runs, or a stopped one.
 */
int daemon_remember(struct fault *f, struct error *err);

/* Signals each target's daemon, all at once, and marks 'acted'. */
int daemon_signal(struct fault *f, int signo, struct error *err);

/* Confirmed: the process remembered is gone from /proc and none runs. */
int daemon_prove_down(struct fault *f, enum proof *ret, struct error *err);

/*
 * Waits until each target runs a process (another one, where the act was
 * done) that is not stopped, and the system there answers.  One that was
 * started again and then hangs or ends is restored too: that is no dirt of
 * ours but what the system does, and the evidence says so.
 */
int daemon_prove_up(struct fault *f, enum proof *ret, struct error *err);

/* Starts the daemon where none runs, on all nodes at once. */
int daemon_restart(const struct fault_world *w, node_set nodes,
                   struct error *err);
/* The same from an undo record. */
int daemon_undo_restart(const struct fault_world *w, const json_t *record,
                        struct error *err);

#endif
