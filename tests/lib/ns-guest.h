/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that are network namespaces on this machine, joined by a bridge: real
 * nft, real packets, real processes and signals, no virtual machine and, where
 * user namespaces are allowed, no root.
 *
 *   n1 --cluster--+        each node: address 10.77.0.1x on "cluster", one
 *   n2 --cluster--+ bridge daemon that only waits, svc played by the fixture
 *   n3 --cluster--+
 *
 * Threads: exec from any; the rest from one.
 */
#ifndef ORDEAL_TESTS_NS_GUEST_H
#define ORDEAL_TESTS_NS_GUEST_H

#include "nemesis/fault.h"

#define NS_NODES 3

struct ns_guest {
    pid_t holder, daemon, timer; /* 0: none */
    int ns_fd, timer_status;
};

struct ns_cluster {
    struct cluster cluster; /* first */
    struct ns_guest guests[NS_NODES];
    struct remote remotes[NS_NODES];
    struct fault_world world;
    int home_fd;     /* our own network namespace */
    int lifeline[2]; /* daemons read it, and end when we do */
};

/* NULL: made.  Else why it cannot be on this machine. */
const char *ns_cluster_make(struct ns_cluster *c);
void ns_cluster_end(struct ns_cluster *c);

/* A socket in the namespace of a node; -1 never (aborts). */
int ns_socket(struct ns_cluster *c, unsigned node, int type);

/* Whether a datagram sent by one node arrives at the other. */
bool ns_datagram_passes(struct ns_cluster *c, unsigned from, unsigned to);

#endif
