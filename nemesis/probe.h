/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairwise probes of the cluster network.  Stations are the nodes and, behind
 * them, the hosts of clients, numbered as the ports of the switch.  Each opens
 * a new TCP connection to each other (clients to no other client): nodes to
 * nodes on the system's own peer port, all others on its clients' port.  An
 * answer of any kind, also a refusal, shows that packets pass in both
 * directions; silence shows that they do not in at least one.
 *
 * Threads: one thread per node inside; each uses that node's remote only.
 */
#ifndef ORDEAL_NEMESIS_PROBE_H
#define ORDEAL_NEMESIS_PROBE_H

#include "nemesis/fault.h"
#include "nemesis/guest.h"

enum probe_result {
    PROBE_UNKNOWN, /* no such route, no answer we understand */
    PROBE_OPEN,
    PROBE_CUT, /* no answer for a second */
};
const char *probe_name(enum probe_result result);

#define PROBE_PAIR_NAME_MAX (2 * STATION_NAME_MAX)

struct probe_matrix {
    /* [from][to]; of two hosts of clients always unknown. */
    enum probe_result result[STATION_COUNT_MAX][STATION_COUNT_MAX];
};

unsigned probe_station_count(const struct cluster *c);
/* Whether there is anything to ask: not from a station to itself, not between
 * hosts of clients. */
bool probe_is_pair(const struct cluster *c, unsigned from, unsigned to);
/* "n1>c2" */
void probe_pair_name(const struct cluster *c, unsigned from, unsigned to,
                     char ret[static PROBE_PAIR_NAME_MAX]);
/* In the cluster network. */
const char *probe_address(const struct cluster *c, unsigned station);

/* What the script found out about the way from node 'from' to a station. */
typedef void (*probe_take)(void *ctx, unsigned from, unsigned to,
                           const char *text);

/*
 * Runs the script on a node, and hands on each line of its output that is
 * "ADDRESS TEXT" with the address of a station.
 */
int probe_ask(const struct fault_world *w, unsigned from,
              const struct guest_script *script, const char *const args[],
              int64_t timeout_ns, probe_take take, void *ctx,
              struct error *err);

/* The TCP port on which nodes answer clients. */
uint16_t probe_client_port(const struct fault_world *w);

/* -1 when a node could not be asked. */
int probe_pairs(const struct fault_world *w, struct probe_matrix *ret,
                struct error *err);

/* Whether what goes from a to b is taken by the fault. */
typedef bool (*probe_drops)(const struct fault *f, unsigned from, unsigned to);

/*
 * Compares with what was ordered and writes "probes" into the evidence: a pair
 * is cut if either direction is, and no other is.  'drops' NULL: none is.
 */
enum proof probe_judge(struct fault *f, const struct probe_matrix *m,
                       probe_drops drops);

/*
 * Probes until the matrix is as ordered, a few times at most: a connect on an
 * open path may be late where guests share few cores.  An answer, once seen,
 * stays: a cut that leaks is never tried away.
 */
int probe_prove_cut(struct fault *f, probe_drops drops, enum proof *ret,
                    struct error *err);

#endif
