/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the faults of data disks share: orders to the platters, probes from
 * inside the guests, and the heal, which is the same for all.
 *
 *   heal of a node: clear the platter -> does the file system take a write?
 *     -> if not: end the daemon, check and mount anew (or reset the machine)
 *     -> start the daemon, which may have ended itself at an error
 *
 * The undo needs no provider: the control sockets are in the runtime directory
 * of the dead driver.
 *
 * f->state begins with a struct disk_fault.  Threads: the nemesis thread; one
 * per node inside.
 */
#ifndef ORDEAL_NEMESIS_PLATTER_DISK_H
#define ORDEAL_NEMESIS_PLATTER_DISK_H

#include "nemesis/daemon.h"

#define DISK_BLOCK_BYTES 4096u

struct disk_fault {
    struct daemon_fault daemon; /* first: daemon.h looks here */
};

bool disk_available(const struct fault_world *w);

/* Notes which daemons run, for the proof of the heal. */
int disk_remember(struct fault *f, struct error *err);

/* One order to a node's platter: its answer, which the caller decrefs. */
json_t *disk_order(const struct fault_world *w, unsigned node,
                   struct error *err, const char *order);
/* The same for every target; answers are dropped. */
int disk_order_all(struct fault *f, const char *order, struct error *err);

/* ---- probes from inside ---- */

enum disk_probe_kind {
    DISK_PROBE_WRITE, /* 4 KiB to a file of ours on /data, and fsync */
    DISK_PROBE_READ,  /* 4 KiB of the device, past the page cache */
};

struct disk_probe {
    bool finished; /* else it still waited when the time was over */
    int status;    /* of dd: 0 is success */
    int64_t took_ns;
    char message[120]; /* what dd said */
};

/* 'offset': of DISK_PROBE_READ.  'limit_ns': how long to wait, at most 8 s. */
int disk_probe(const struct fault_world *w, unsigned node,
               enum disk_probe_kind kind, uint64_t offset, int64_t limit_ns,
               struct disk_probe *ret, struct error *err);
json_t *disk_probe_to_json(const struct disk_probe *p);

/* ---- heal, proof, undo: the same for all ---- */

int disk_heal(struct fault *f, struct error *err);

/*
 * The platter does nothing any more, a write with fsync works, and the daemon
 * serves.
 */
int disk_prove_healed(struct fault *f, enum proof *ret, struct error *err);

int disk_undo(const struct fault_world *w, const json_t *record,
              struct error *err);

#endif
