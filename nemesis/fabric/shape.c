/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes are put into an order drawn from the seed; each shape cuts by places
 * in that order.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/cleanup.h"
#include "harness/base/rng.h"
#include "nemesis/fabric/shape.h"

static const char *const shape_names[SHAPE_COUNT] = {
    [SHAPE_HALVES] = "halves",
    [SHAPE_ONE] = "one",
    [SHAPE_MINORITY] = "minority",
    [SHAPE_MAJORITY] = "majority",
    [SHAPE_MAJORITIES_RING] = "majorities-ring",
    [SHAPE_BRIDGE] = "bridge",
    [SHAPE_ISOLATE_PRIMARY] = "isolate-primary",
    [SHAPE_ONE_WAY] = "one-way",
    [SHAPE_RANDOM] = "random",
};

static const unsigned shape_node_count_min[SHAPE_COUNT] = {
    [SHAPE_HALVES] = 2,
    [SHAPE_ONE] = 2,
    [SHAPE_MINORITY] = 3, /* of 2 nodes none may be missing */
    [SHAPE_MAJORITY] = 2,
    [SHAPE_MAJORITIES_RING] = 4, /* of 3, neighbours are everybody */
    [SHAPE_BRIDGE] = 3,
    [SHAPE_ISOLATE_PRIMARY] = 2,
    [SHAPE_ONE_WAY] = 2,
    [SHAPE_RANDOM] = 2,
};

/* A node's group in a shape that has groups; BOTH belongs to each. */
enum shape_group { GROUP_A, GROUP_B, GROUP_BOTH };

struct shape_draft {
    const struct shape_input *in;
    struct rng rng;
    unsigned order[SWITCH_PORT_COUNT_MAX]; /* of nodes, shuffled */
    enum shape_group groups[SWITCH_PORT_COUNT_MAX];
    struct link_set links;
};

const char *
shape_name(enum shape shape)
{
    assert(shape < SHAPE_COUNT);
    return shape_names[shape];
}

bool
shape_find(const char *name, enum shape *ret)
{
    for (unsigned i = 0; i < SHAPE_COUNT; i++)
        if (strcmp(shape_names[i], name) == 0) {
            *ret = (enum shape)i;
            return true;
        }
    return false;
}

static void
shape_shuffle(struct shape_draft *d)
{
    unsigned count = d->in->node_count;

    for (unsigned i = 0; i < count; i++)
        d->order[i] = i;
    for (unsigned i = count - 1; i > 0; i--) {
        unsigned j = (unsigned)rng_below(&d->rng, i + 1);
        unsigned swap = d->order[i];

        d->order[i] = d->order[j];
        d->order[j] = swap;
    }
}

/* Cuts every link between the groups; clients join one as drawn. */
static void
shape_cut_groups(struct shape_draft *d, bool clients_are_rest)
{
    const struct shape_input *in = d->in;
    unsigned ports = in->node_count + (in->with_clients ? in->client_count : 0);

    for (unsigned i = in->node_count; i < ports; i++)
        d->groups[i] =
            clients_are_rest || rng_chance(&d->rng, 0.5) ? GROUP_B : GROUP_A;
    for (unsigned a = 0; a < ports; a++)
        for (unsigned b = 0; b < ports; b++) {
            bool clients = a >= in->node_count && b >= in->node_count;

            if (d->groups[a] == GROUP_A && d->groups[b] == GROUP_B && !clients)
                link_set_add_both(&d->links, a, b);
        }
}

/* The first 'count' nodes in the order are group A, the rest is B. */
static void
shape_split(struct shape_draft *d, unsigned count)
{
    for (unsigned i = 0; i < d->in->node_count; i++)
        d->groups[d->order[i]] = i < count ? GROUP_A : GROUP_B;
}

/* Every link to or from each of the first n/2+1 nodes. */
static void
shape_cut_majority(struct shape_draft *d)
{
    unsigned count = d->in->node_count;

    for (unsigned i = 0; i < count / 2 + 1; i++)
        for (unsigned j = 0; j < count; j++)
            link_set_add_both(&d->links, d->order[i], d->order[j]);
}

/*
 * Neighbours up to a distance at which each node sees at least a majority:
 * itself and 'reach' on either side.
 */
static void
shape_cut_ring(struct shape_draft *d)
{
    unsigned count = d->in->node_count;
    unsigned reach = (count / 2 + 1) / 2; /* ceil((majority - 1) / 2) */

    for (unsigned i = 0; i < count; i++)
        for (unsigned j = i + 1; j < count; j++) {
            unsigned apart = j - i < count - (j - i) ? j - i : count - (j - i);

            if (apart > reach)
                link_set_add_both(&d->links, d->order[i], d->order[j]);
        }
}

static void
shape_cut_one_way(struct shape_draft *d)
{
    const struct shape_input *in = d->in;
    unsigned ports = in->node_count + (in->with_clients ? in->client_count : 0);
    unsigned node =
        in->primary == SHAPE_NO_PRIMARY ? d->order[0] : (unsigned)in->primary;
    enum shape_direction direction = in->direction;

    if (direction == SHAPE_FROM_SEED)
        direction = rng_chance(&d->rng, 0.5) ? SHAPE_IN : SHAPE_OUT;
    for (unsigned peer = 0; peer < ports; peer++) {
        if (direction == SHAPE_IN)
            link_set_add(&d->links, peer, node);
        else
            link_set_add(&d->links, node, peer);
    }
}

/* A share drawn once, so that few links and many are as likely. */
static void
shape_cut_random(struct shape_draft *d)
{
    const struct shape_input *in = d->in;
    unsigned ports = in->node_count + (in->with_clients ? in->client_count : 0);
    double share = 0.1 + 0.8 * rng_unit(&d->rng);

    for (unsigned from = 0; from < ports; from++)
        for (unsigned to = 0; to < ports; to++) {
            bool cut = rng_chance(&d->rng, share);

            if (cut && (from < in->node_count || to < in->node_count))
                link_set_add(&d->links, from, to);
        }
    /* One link that is cut, and one that is not: its way back. */
    link_set_add(&d->links, d->order[0], d->order[1]);
    d->links.to[d->order[1]] &= ~(UINT32_C(1) << d->order[0]);
}

static void
shape_cut(enum shape shape, struct shape_draft *d)
{
    unsigned count = d->in->node_count;

    switch (shape) {
    case SHAPE_HALVES:
        shape_split(d, count / 2);
        shape_cut_groups(d, false);
        break;
    case SHAPE_ONE:
        shape_split(d, 1);
        shape_cut_groups(d, true);
        break;
    case SHAPE_MINORITY:
        shape_split(d, (count - 1) / 2);
        shape_cut_groups(d, true);
        break;
    case SHAPE_BRIDGE:
        shape_split(d, count / 2);
        d->groups[d->order[count - 1]] = GROUP_BOTH;
        shape_cut_groups(d, false);
        break;
    case SHAPE_ISOLATE_PRIMARY:
        for (unsigned i = 0; i < count; i++)
            d->groups[i] = (int)i == d->in->primary ? GROUP_A : GROUP_B;
        shape_cut_groups(d, true);
        break;
    case SHAPE_MAJORITY:
        shape_cut_majority(d);
        break;
    case SHAPE_MAJORITIES_RING:
        shape_cut_ring(d);
        break;
    case SHAPE_ONE_WAY:
        shape_cut_one_way(d);
        break;
    case SHAPE_RANDOM:
        shape_cut_random(d);
        break;
    case SHAPE_COUNT:
        assert(!"no shape");
    }
}

int
shape_links(enum shape shape, const struct shape_input *in,
            struct link_set *ret, struct error *err)
{
    struct shape_draft d = {.in = in};
    struct rng root;

    assert(shape < SHAPE_COUNT && in->node_count > 0 &&
           in->node_count + in->client_count <= SWITCH_PORT_COUNT_MAX);
    assert(in->primary == SHAPE_NO_PRIMARY ||
           (in->primary >= 0 && (unsigned)in->primary < in->node_count));
    if (in->node_count < shape_node_count_min[shape])
        return error_set(err, ERROR_CONFIG,
                         "shape %s needs %u nodes at least, and there are %u",
                         shape_names[shape], shape_node_count_min[shape],
                         in->node_count);
    if (shape == SHAPE_ISOLATE_PRIMARY && in->primary == SHAPE_NO_PRIMARY)
        return error_set(err, ERROR_TRANSIENT, "shape %s: there is no primary",
                         shape_names[shape]);
    rng_init(&root, in->seed);
    d.rng = rng_fork(&root, "fabric-shape", (uint64_t)shape);
    shape_shuffle(&d);
    shape_cut(shape, &d);
    assert(link_set_count(&d.links) > 0);
    *ret = d.links;
    return 0;
}
