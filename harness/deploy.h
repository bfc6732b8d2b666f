/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gets the system onto the nodes and waits until it serves.
 *
 * Threads: each function uses one thread per node inside and returns when all
 * have ended.  remotes[i] is the caller's way to node i.
 */
#ifndef ORDEAL_HARNESS_DEPLOY_H
#define ORDEAL_HARNESS_DEPLOY_H

#include "systems/system.h"

/* Installs and starts the system on every node. */
int deploy_start(const struct cluster *cluster, const struct system_ops *system,
                 const struct system_options *options, struct remote *remotes,
                 struct error *err);

/*
 * Waits until one node is primary and all others are its backups in the same
 * term.  *ret_primary is the node's index.  'given_up' (NULL: never) is asked
 * between looks: true ends the wait with an error.
 */
int deploy_wait_ready(const struct cluster *cluster,
                      const struct system_ops *system, struct clock *clock,
                      int64_t timeout_ns, bool (*given_up)(void),
                      unsigned *ret_primary, struct error *err);

/* system->collect on every node into DIR/NODE/; failures become notes. */
void deploy_collect(const struct cluster *cluster,
                    const struct system_ops *system, struct remote *remotes,
                    const char *dir);

/* The node that says it is primary with the highest term, or -1. */
int deploy_primary(const struct cluster *cluster,
                   const struct system_ops *system, int64_t timeout_ns,
                   uint64_t *ret_term);

#endif
