/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One platter inside its nbdkit: the store, the rules and the locks around
 * them, shared by nbdkit's threads (plugin.c) and the control socket's
 * (control.c, socket.c).
 *
 * Locks, taken in this order: 'store_lock' (reads of the store share it,
 * everything else is alone), then 'gate_lock' (rules and the counters below).
 * A control command holds both, so 'generation' may be read under either.
 */
#ifndef ORDEAL_NEMESIS_PLATTER_SERVER_H
#define ORDEAL_NEMESIS_PLATTER_SERVER_H

#include <pthread.h>

#include "harness/base/buf.h"
#include "nemesis/platter/cut.h"
#include "nemesis/platter/rules.h"

#define SERVER_LINE_BYTES_MAX 1024   /* the longest command is under 200 */
#define SERVER_REPLY_BYTES_MAX 16384 /* stats with all rules is under 6000 */

struct server {
    pthread_rwlock_t store_lock;
    struct store store;
    pthread_mutex_t gate_lock;
    struct rules rules;
    uint64_t connections; /* open now */
    uint64_t waiting;     /* requests that hang: stalled, or of a dead one */
    uint64_t refused;     /* connections while the power was off */
    bool release;         /* old connections get errors, not silence */
    char *record_dir;     /* where decisions of cuts go; NULL: nowhere */
};

/*
 * Runs one command: "verb key=value ...".  Appends one JSON line, without its
 * newline.  'line' is changed.
 */
void control_run(struct server *s, char *line, struct buf *reply);

/* The control socket and its thread. */
struct control_socket {
    struct server *server;
    int listen_fd, stop_fd; /* -1: none */
    char *path;
    pthread_t thread;
    bool running;
};

/* Binds 'path', which is unlinked first; mode 0600.  errno on -1. */
int control_bind(struct control_socket *c, struct server *s, const char *path);
int control_start(struct control_socket *c);

/* Ends the thread, removes the socket.  Twice is harmless. */
void control_stop(struct control_socket *c);

#endif
