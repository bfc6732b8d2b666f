/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference replica as a system under test: shared by its operations
 * (replica.c) and its client (client.c).  docs/REPLICA-API.md is what both
 * speak.
 */
#ifndef ORDEAL_SYSTEMS_REPLICA_REPLICA_H
#define ORDEAL_SYSTEMS_REPLICA_REPLICA_H

#include "systems/service.h"
#include "systems/system.h"

#define REPLICA_CLIENT_PORT 7100
#define REPLICA_PEER_PORT 7101

/* The daemon's --engine for a capability; NULL: the default one. */
const char *replica_engine(const char *capability);

/*
 * What a daemon that speaks the API says of itself, through its door
 * (systems/system.h has the contracts).
 */
extern const char *const replica_events[]; /* of watch() */
int replica_status(const struct cluster *c, unsigned node, int64_t timeout_ns,
                   struct system_status *ret, struct error *err);
int replica_watch(const struct cluster *c, unsigned node, int64_t timeout_ns,
                  struct system_watch *state, uint32_t *ret, struct error *err);
int replica_digest(const struct cluster *c, unsigned node, uint64_t index,
                   int64_t timeout_ns, char ret[static SYSTEM_DIGEST_SIZE],
                   struct error *err);

extern const int replica_refusal_exits[];
#define REPLICA_CRASH_EXIT 86
extern const char *const replica_crash_points[];
int replica_crash_at(const struct cluster *c, unsigned node, const char *point,
                     unsigned nth, int64_t timeout_ns, struct error *err);

/* What a daemon answers (status, digest, metrics; none when it is down) and
 * what its service left (systems/service.h), as files in 'dir'. */
int replica_collect_daemon(const struct system_node *n, const struct service *s,
                           const char *dir, struct error *err);

/*
 * A client of every capability: which one it is the daemon's engine decides
 * (functions, arguments and results in docs/ARCHITECTURE.md).  Error classes
 * of attempts, beside the replica's own codes: "refused" (fail: no connection,
 * nothing left), "timeout", "reset" and "malformed_reply" (unknown).  Borrows
 * the cluster.
 */
struct client *replica_client_new(const struct cluster *c, uint64_t client_id,
                                  struct error *err);

#endif
