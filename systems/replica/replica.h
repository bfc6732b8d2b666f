/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference replica as a system under test: shared by its operations
 * (replica.c) and its client (client.c).  docs/REPLICA-API.md is what both
 * speak.
 */
#ifndef ORDEAL_SYSTEMS_REPLICA_REPLICA_H
#define ORDEAL_SYSTEMS_REPLICA_REPLICA_H

#include "systems/system.h"

#define REPLICA_CLIENT_PORT 7100
#define REPLICA_PEER_PORT 7101

/* The daemon's --engine for a capability; NULL: the default one. */
const char *replica_engine(const char *capability);

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
