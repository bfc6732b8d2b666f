/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the faults share that end a guest's life: which boot it was, waiting
 * for the next one, bringing machine and daemon back, and proof of that.
 *
 * f->state begins with a struct boot_fault.  The undo record names fault and
 * nodes only: the machines of a driver that died are ended by 'recover', so
 * there is nothing to bring back.
 *
 * Threads: the nemesis thread; one per node inside.
 */
#ifndef ORDEAL_NEMESIS_BOOT_H
#define ORDEAL_NEMESIS_BOOT_H

#include "nemesis/daemon.h"

/* An emulated guest takes 3 to 10 s, several on few cores three times that;
 * less than NEMESIS_LEASE_NS, for the leases of other faults. */
#define BOOT_TIMEOUT_NS (40 * NS_PER_S)
#define BOOT_ID_SIZE 40

struct boot_fault {
    struct daemon_fault daemon;                /* first: daemon.h looks here */
    char before[NODE_COUNT_MAX][BOOT_ID_SIZE]; /* boot ids; "": not known */
};

/* Allocates f->state of 'size' bytes; the fault takes the parameters 'keys'. */
int boot_setup(struct fault *f, size_t size, const char *const keys[],
               struct error *err);

/* Notes boot and daemon of each target; a daemon need not run. */
int boot_remember(struct fault *f, struct error *err);

/* Of the guest that runs now. */
int boot_id(const struct fault_world *w, unsigned node,
            char ret[static BOOT_ID_SIZE], struct error *err);

/* Waits until the node answers in another boot than 'before' ("": any). */
int boot_wait(const struct fault_world *w, unsigned node, const char *before,
              struct error *err);

/*
 * Another boot and no daemon: what is left to be healed.  For faults after
 * which a guest starts anew by itself.
 */
int boot_prove_restarted(struct fault *f, enum proof *ret, struct error *err);

/*
 * Waits until each target answers in another boot (where one was noted) and its
 * daemon runs and answers, as daemon_prove_up() has it.
 */
int boot_prove_up(struct fault *f, enum proof *ret, struct error *err);

/* Checks the record only. */
int boot_undo(const struct fault_world *w, const json_t *record,
              struct error *err);

#endif
