/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links of a rule: around the targets, or a shape of all nodes that is
 * drawn from the fault's seed.
 */
#include "config.h"

#include <string.h>

#include "nemesis/fabric/net-fault.h"
#include "nemesis/target.h"

/* Whether a link is one of those that were asked for. */
static bool
net_is_link(const struct fault *f, const struct net_fault *n, unsigned from,
            unsigned to)
{
    unsigned nodes = f->world->cluster->node_count;
    bool client = from >= nodes || to >= nodes;

    return probe_is_pair(f->world->cluster, from, to) &&
           (n->links_of == NET_LINKS_ALL ||
            client == (n->links_of == NET_LINKS_CLIENTS));
}

static void
net_add_targets(const struct fault *f, struct net_fault *n)
{
    unsigned nodes = f->world->cluster->node_count;
    unsigned count = probe_station_count(f->world->cluster);

    for (unsigned target = 0; target < nodes; target++)
        for (unsigned peer = 0; peer < count; peer++) {
            bool other = peer < nodes && f->targets >> peer & 1;

            if (!(f->targets >> target & 1) || (n->shape == NET_GROUP && other))
                continue;
            if (n->direction != NET_OUT && net_is_link(f, n, peer, target))
                link_set_add(&n->links, peer, target);
            if (n->direction != NET_IN && net_is_link(f, n, target, peer))
                link_set_add(&n->links, target, peer);
        }
}

/* Who is primary is asked when the shape wants to know. */
static int
net_add_shape(const struct fault *f, struct net_fault *n, struct error *err)
{
    enum shape shape = (enum shape)(n->shape - NET_SHAPES);
    const struct cluster *c = f->world->cluster;
    struct shape_input in = {
        .seed = f->seed,
        .node_count = c->node_count,
        .client_count = probe_station_count(c) - c->node_count,
        .primary = SHAPE_NO_PRIMARY,
        .with_clients = n->links_of != NET_LINKS_NODES,
        .direction = n->direction == NET_IN    ? SHAPE_IN
                     : n->direction == NET_OUT ? SHAPE_OUT
                                               : SHAPE_FROM_SEED};
    struct link_set all;

    if (f->targets != node_set_all(c->node_count))
        return error_set(err, ERROR_CONFIG, "shape %s is one of all nodes",
                         shape_name(shape));
    if (shape == SHAPE_ISOLATE_PRIMARY) {
        struct target_view view;

        target_look(f->world, &view);
        in.primary = view.primary < 0 ? SHAPE_NO_PRIMARY : view.primary;
    }
    if (shape_links(shape, &in, &all, err) < 0)
        return -1;
    for (unsigned from = 0; from < probe_station_count(c); from++)
        for (unsigned to = 0; to < probe_station_count(c); to++)
            if (link_set_has(&all, from, to) && net_is_link(f, n, from, to))
                link_set_add(&n->links, from, to);
    return 0;
}

int
net_choose_links(const struct fault *f, struct net_fault *n, struct error *err)
{
    memset(&n->links, 0, sizeof(n->links));
    if (n->shape < NET_SHAPES)
        net_add_targets(f, n);
    else if (net_add_shape(f, n, err) < 0)
        return -1;
    if (link_set_count(&n->links) > 0)
        return 0;
    return error_set(err, ERROR_CONFIG, "%s: the shape has no such link",
                     n->shape < NET_SHAPES
                         ? "targets"
                         : shape_name((enum shape)(n->shape - NET_SHAPES)));
}
