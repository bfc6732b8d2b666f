/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon on a node with svc (docs/GUEST.md), for systems that are one.
 *
 * install puts its command line (one word a line) below /data/opt, on the data
 * disk, where it survives a reboot; start reads it back, so that any thread, or
 * another run of the driver, can start the daemon again the same way.  A marker
 * file says that it has never been started, and holds the words that only the
 * first start adds: that start takes the marker away before it begins, or a
 * daemon that lost its disk would come back as if nothing had happened.
 *
 * Failure modes: what svc refuses comes back as its first line of standard
 * error.  A first start that fails after the marker is gone leaves a daemon
 * that refuses to start: better than one that invents a history.
 *
 * Threads: any; nothing is kept here.
 */
#ifndef ORDEAL_SYSTEMS_SERVICE_H
#define ORDEAL_SYSTEMS_SERVICE_H

#include "harness/base/buf.h"
#include "systems/system.h"

/* Program, its words, and those around them. */
#define SERVICE_WORDS_MAX 128
#define SERVICE_WORDS_BYTES_MAX 16384

struct service {
    const char *name;     /* for svc */
    const char *words;    /* files on the node: its command line, ... */
    const char *new_file; /* ... the marker, ... */
    const char *log;      /* ... and what it prints */
};

const struct node *service_node(const struct system_node *n);

/*
 * A word of the command line.  CONFIG when it cannot be one; 'where' is what
 * gave it.
 */
int service_add_word(struct buf *out, const char *word, const char *where,
                     struct error *err);

/* Directories on the node, and the host's file 'from' as 'to'. */
int service_make_dirs(const struct system_node *n, const char *const dirs[],
                      struct error *err);

/* The command line (from service_add_word), and the first start's words. */
int service_install(const struct system_node *n, const struct service *s,
                    const struct buf *words, const struct buf *first,
                    struct error *err);

int service_start(const struct system_node *n, const struct service *s,
                  struct error *err);
int service_stop(const struct system_node *n, const struct service *s,
                 int64_t timeout_ns, struct error *err);
int service_signal(const struct system_node *n, const struct service *s,
                   int signo, struct error *err);
int service_process(const struct system_node *n, const struct service *s,
                    struct process_id *ret, struct error *err);

/* svc-status.json and the log, as NAME.log, into 'dir'. */
int service_collect(const struct system_node *n, const struct service *s,
                    const char *dir, struct error *err);

#endif
