/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets are specs; which nodes they mean is decided when the fault is due,
 * from the seed and from what the system says then.
 *
 *   one            a node                 nK, [n1,n3]    exactly these
 *   minority       (n-1)/2 nodes          random-subset  1 to as many as the
 *   majority       n/2+1 nodes                           budget has left
 *   all            every node
 *   primary        who says so, in the highest term
 *   one-backup, backups                   nodes that say they are backups
 *   event          the node of the event that set the fault off
 *
 * Threads: target_look() asks the nodes one after the other; the rest is pure.
 */
#ifndef ORDEAL_NEMESIS_TARGET_H
#define ORDEAL_NEMESIS_TARGET_H

#include "nemesis/fault.h"

#define TARGET_SPEC_MAX 128
/* One node's status: a live one answers in milliseconds, a stopped one never.
 */
#define TARGET_STATUS_TIMEOUT_NS (500 * NS_PER_MS)

enum target_kind {
    TARGET_ONE,
    TARGET_MINORITY,
    TARGET_MAJORITY,
    TARGET_ALL,
    TARGET_PRIMARY,
    TARGET_ONE_BACKUP,
    TARGET_BACKUPS,
    TARGET_RANDOM_SUBSET,
    TARGET_NODES,
    TARGET_EVENT, /* resolved by who knows the event */
};

struct target_spec {
    enum target_kind kind;
    node_set nodes; /* TARGET_NODES only */
};

/* What the system says of itself right now. */
struct target_view {
    int primary; /* -1: nobody says so */
    uint64_t term;
    node_set backups;
    node_set silent;                 /* do not answer */
    uint64_t commit[NODE_COUNT_MAX]; /* of those that answer */
};

unsigned node_set_count(node_set s);
node_set node_set_all(unsigned node_count);

/* Names of the nodes, a new array. */
json_t *node_set_to_json(const struct cluster *c, node_set s);
int node_set_from_json(const struct cluster *c, const json_t *names,
                       node_set *ret, struct error *err);

/* Nodes are n1..nN.  ERROR_CONFIG says which word is not understood. */
int target_parse(const char *spec, unsigned node_count, struct target_spec *ret,
                 struct error *err);

/* The most nodes it can mean; 'limit' is the budget (random-subset). */
unsigned target_count_max(const struct target_spec *spec, unsigned node_count,
                          unsigned limit);

void target_look(const struct fault_world *w, struct target_view *ret);

/*
 * False when the spec means no nodes now: no primary, or a node it needs is in
 * 'exclude'.  'limit' bounds random-subset.  Draws from 'rng' only what the
 * spec needs.
 */
bool target_resolve(const struct target_spec *spec, unsigned node_count,
                    const struct target_view *view, node_set exclude,
                    unsigned limit, struct rng *rng, node_set *ret);

#endif
