/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to a TCP port of a node.
 *
 *   by a door     from this machine, past the cluster network and all that
 *                 faults do to it: how the harness asks nodes.  The door
 *                 accepts before the node does, so that a connect says nothing
 *   of a client   from that client's host in the cluster network; by the door
 *                 where clients have no hosts
 *
 * Threads: pure but for way_socket(), which any thread may call.
 */
#ifndef ORDEAL_SYSTEMS_WAY_H
#define ORDEAL_SYSTEMS_WAY_H

#include "harness/provider/provider.h"

struct way {
    char address[64];
    uint16_t port;              /* 0: there is no way */
    struct client_hosts *hosts; /* whose sockets to use; NULL: this machine's */
    unsigned host;
};

/* Port 0: the node has no door to 'guest_port'. */
struct way way_by_door(const struct cluster *c, unsigned node,
                       uint16_t guest_port);

/* Clients are dealt out to the hosts in turn. */
struct way way_of_client(const struct cluster *c, unsigned node,
                         uint16_t guest_port, uint64_t client);

/* A socket from which to connect to the way's address.  The caller owns it. */
int way_socket(const struct way *w, int type, struct error *err);

#endif
