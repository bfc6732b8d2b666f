/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes of partitions: pure functions from (seed, nodes, primary) to the set
 * of directed links that are cut.  Ports 0 to node_count-1 are the nodes;
 * client_count ports follow, which are clients.
 *
 *   halves            two groups, as equal as can be
 *   one               one node from all others
 *   minority          a group of (n-1)/2 nodes from the rest: the rest goes on
 *   majority          n/2+1 nodes, each from every other: nobody has a quorum
 *   majorities-ring   every node sees a majority, no two the same one (Jepsen's
 *                     name); at least 4 nodes
 *   bridge            halves, but one node sees both; at least 3 nodes
 *   isolate-primary   the primary from all others
 *   one-way           links into, or out of, one node
 *   random            each directed link by chance, and never all or none
 *
 * All but the last two cut both directions.  'with_clients' cuts clients as
 * well: each belongs to one of the groups, drawn from the seed (with 'one',
 * 'minority', 'isolate-primary' and 'one-way' to the rest, which is cut from
 * the chosen nodes; with 'majority' and 'majorities-ring' clients keep all
 * their links, for there are no groups).  Without it every client sees every
 * node, so that a primary without its backups can still be asked: the way to
 * find stale reads.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_SHAPE_H
#define ORDEAL_NEMESIS_FABRIC_SHAPE_H

#include "harness/base/error.h"
#include "nemesis/fabric/link-set.h"

enum shape {
    SHAPE_HALVES,
    SHAPE_ONE,
    SHAPE_MINORITY,
    SHAPE_MAJORITY,
    SHAPE_MAJORITIES_RING,
    SHAPE_BRIDGE,
    SHAPE_ISOLATE_PRIMARY,
    SHAPE_ONE_WAY,
    SHAPE_RANDOM,
    SHAPE_COUNT,
};

enum shape_direction { SHAPE_FROM_SEED, SHAPE_IN, SHAPE_OUT };

#define SHAPE_NO_PRIMARY (-1)

struct shape_input {
    uint64_t seed;
    unsigned node_count, client_count;
    int primary; /* a node, or SHAPE_NO_PRIMARY */
    bool with_clients;
    enum shape_direction direction; /* of one-way */
};

const char *shape_name(enum shape shape);
bool shape_find(const char *name, enum shape *ret);

/*
 * ERROR_CONFIG: too few nodes for the shape.  ERROR_TRANSIENT: it needs a
 * primary and there is none now.  one-way takes the primary when there is one,
 * else a node from the seed.  What is returned is never empty.
 */
int shape_links(enum shape shape, const struct shape_input *in,
                struct link_set *ret, struct error *err);

#endif
