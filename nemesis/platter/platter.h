/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of a platter: one nbdkit that serves one image over a unix
 * socket, and its control socket.
 *
 *   platter_start -> (platter_command)* -> platter_stop
 *
 * A power cut of a guest, in this order, since QEMU flushes when it is asked
 * to end:
 *
 *   platter_cut          the disk freezes and chooses what survives
 *   SIGKILL of QEMU      and whatever cleans up after it
 *   platter_power_on     waits until no old connection is open
 *   start QEMU
 *
 * While a platter is stalled or frozen no call into libvirt may be made that
 * makes QEMU wait for its disks.
 *
 * Threads: safe from any, each call has its own connection.  But nbdkit gets
 * SIGTERM when the *thread* that started it ends, not only the process.
 */
#ifndef ORDEAL_NEMESIS_PLATTER_PLATTER_H
#define ORDEAL_NEMESIS_PLATTER_PLATTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nemesis/platter/cut.h"

/* QEMU has 16 requests in flight a disk; twice that, for a second client. */
#define PLATTER_THREADS "32"

struct platter_config {
    const char *name;  /* of its files in 'dir': NAME.sock, NAME.ctl, NAME.log,
                          NAME-cuts/ */
    const char *dir;   /* absolute and short: socket paths end at 108 bytes */
    const char *image; /* absolute; a raw disk */
    uint64_t bound_bytes; /* 0: the default */
    uint64_t seed;        /* of rules by rate */
    bool sync;            /* fdatasync on each flush: the host may die too */
};

/* Zeroed is stopped. */
struct platter {
    pid_t pid; /* 0: none */
    char *socket_path, *control_path, *log_path, *record_dir;
};

/* Ready to serve when it returns.  The error has what nbdkit said. */
int platter_start(struct platter *ret, const struct platter_config *c,
                  int64_t deadline_ns, struct error *err);

/*
 * One command (docs/PLATTER.md).  The reply, which the caller decrefs; NULL
 * when it did not come (ERROR_TRANSIENT) or says no (ERROR_CONFIG, with its
 * words).
 */
json_t *platter_command(const struct platter *p, int64_t deadline_ns,
                        struct error *err, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* The seed of the n-th cut of a node: cuts of neighbours do not collide. */
uint64_t platter_cut_seed(uint64_t run_seed, const char *node, uint64_t number);

/* spec->replay is not used: name the file in a command of your own. */
int platter_cut(const struct platter *p, const struct cut_spec *spec,
                int64_t deadline_ns, struct cut_result *ret, struct error *err);

/* Waits until the connections of before the cut are gone. */
int platter_power_on(const struct platter *p, int64_t deadline_ns,
                     struct error *err);

/*
 * Ends nbdkit: by SIGTERM, which lets it apply its log but waits for clients,
 * then by SIGKILL.  End QEMU first.  Removes the sockets.  Stopped is fine.
 */
int platter_stop(struct platter *p, struct error *err);

/* Ends what a dead driver left in 'dir'.  How many, or -1. */
int platter_recover(const char *dir, int64_t deadline_ns, struct error *err);

/* The plugin: beside this program (the build tree), else installed. */
char *platter_plugin_path(struct error *err);

#endif
