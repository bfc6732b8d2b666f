/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairwise probes of the network between nodes: each node opens a new TCP
 * connection to every other, on the system's own peer port over the cluster
 * network.  An answer of any kind, also a refusal, shows that packets pass in
 * both directions; silence shows that they do not in at least one.
 *
 * Threads: one thread per node inside; each uses that node's remote only.
 */
#ifndef ORDEAL_NEMESIS_PROBE_H
#define ORDEAL_NEMESIS_PROBE_H

#include "nemesis/fault.h"

enum probe_result {
    PROBE_UNKNOWN, /* no such route, no answer we understand */
    PROBE_OPEN,
    PROBE_CUT, /* no answer for a second */
};
const char *probe_name(enum probe_result result);

struct probe_matrix {
    enum probe_result result[NODE_COUNT_MAX][NODE_COUNT_MAX]; /* [from][to] */
};

/* -1 when a node could not be asked. */
int probe_pairs(const struct fault_world *w, struct probe_matrix *ret,
                struct error *err);

#endif
