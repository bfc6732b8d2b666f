/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of the fabric's faults (docs/FAULTS.md), and what they say of
 * the rule.  Bounds are those within which the proofs can tell the effect from
 * the noise of emulated guests.
 */
#include "config.h"

#include <string.h>

#include "harness/base/cleanup.h"
#include "nemesis/fabric/net-fault.h"
#include "nemesis/params.h"

/* Below, pings of emulated guests are no proof; above, TCP gives up. */
#define NET_DELAY_NS_MIN (50 * NS_PER_MS)
#define NET_DELAY_NS_MAX (2 * NS_PER_S)
/* Twice the interval of pings, so that one held is overtaken; and short enough
 * for a round of pings. */
#define NET_HOLD_NS_MIN (100 * NS_PER_MS)
#define NET_HOLD_NS_MAX NS_PER_S
/* Faster, the pings that show it would be too many for a socket of QEMU. */
#define NET_RATE_BITS_MIN 64e3
#define NET_RATE_BITS_MAX 1e6
#define NET_QUEUE_NS_MIN (10 * NS_PER_MS)
#define NET_QUEUE_NS_MAX (2 * NS_PER_S)
/* Rarer than that, a look of a few seconds would often see none. */
#define NET_SHARE_MIN 0.05
#define NET_SHARE_MAX 0.9
#define NET_KEYS_MAX 12

static const char *const net_links_names[] = {"nodes", "clients", "all", NULL};
static const char *const net_directions[] = {"both", "in", "out", NULL};
static const char *const net_distributions[] = {"constant", "uniform", "normal",
                                                "pareto", NULL};
static const char *const net_traffic[] = {"all", "peer-port", "client-port",
                                          NULL};
static const char *const net_waiting[] = {"deliver", "drop", NULL};

static int
net_share(const struct fault *f, const char *key, double *ret,
          struct error *err)
{
    if (json_object_get(f->params, key) == NULL)
        return error_set(err, ERROR_CONFIG, "%s: a share is needed", key);
    return params_number(f->params, key, NET_SHARE_MIN, NET_SHARE_MAX, ret,
                         err);
}

/* A duration within bounds; 'fallback_ns' when absent, 0: it is needed. */
static int
net_duration(const struct fault *f, const char *key, int64_t fallback_ns,
             int64_t min_ns, int64_t max_ns, int64_t *ret, struct error *err)
{
    *ret = fallback_ns;
    if (params_duration(f->params, key, ret, err) < 0)
        return -1;
    if (*ret >= min_ns && *ret <= max_ns)
        return 0;
    return error_set(err, ERROR_CONFIG, "%s: from %lld ms to %lld ms", key,
                     (long long)(min_ns / NS_PER_MS),
                     (long long)(max_ns / NS_PER_MS));
}

/* "isolate", "group", or the name of an enum shape. */
static int
net_read_shape(const struct fault *f, struct net_fault *n, struct error *err)
{
    const char *names[NET_SHAPES + SHAPE_COUNT + 1] = {"isolate", "group"};

    for (unsigned i = 0; i < SHAPE_COUNT; i++)
        names[NET_SHAPES + i] = shape_name((enum shape)i);
    names[NET_SHAPES + SHAPE_COUNT] = NULL;
    if (params_choice(f->params, "shape", names, &n->shape, err) < 0)
        return -1;
    if (n->shape >= NET_SHAPES && n->shape != NET_SHAPES + SHAPE_ONE_WAY &&
        json_object_get(f->params, "direction") != NULL)
        return error_set(err, ERROR_CONFIG, "direction: shape %s has its own",
                         names[n->shape]);
    return 0;
}

static int
net_read_drop(const struct fault *f, struct net_fault *n, struct error *err)
{
    static const unsigned links[] = {[NET_PEER_PORT] = NET_LINKS_NODES,
                                     [NET_CLIENT_PORT] = NET_LINKS_CLIENTS};

    if (net_read_shape(f, n, err) < 0 ||
        params_choice(f->params, "traffic", net_traffic, &n->traffic, err) < 0)
        return -1;
    if (n->traffic != NET_ALL && n->links_of != links[n->traffic])
        return error_set(
            err, ERROR_CONFIG, "traffic: %s goes over links of %s only",
            net_traffic[n->traffic], net_links_names[links[n->traffic]]);
    n->rule.drop = true;
    n->waiting = 1;
    return 0;
}

static int
net_read_delay(const struct fault *f, struct net_fault *n, struct error *err)
{
    unsigned distribution = LINK_CONSTANT;

    if (net_duration(f, "delay", 0, NET_DELAY_NS_MIN, NET_DELAY_NS_MAX,
                     &n->rule.delay_ns, err) < 0 ||
        net_duration(f, "jitter", 0, 0, n->rule.delay_ns, &n->rule.jitter_ns,
                     err) < 0 ||
        params_choice(f->params, "waiting", net_waiting, &n->waiting, err) < 0)
        return -1;
    if (n->rule.jitter_ns > 0)
        distribution = LINK_UNIFORM;
    if (params_choice(f->params, "distribution", net_distributions,
                      &distribution, err) < 0)
        return -1;
    n->rule.distribution = (enum link_distribution)distribution;
    return 0;
}

static int
net_read_corrupt(const struct fault *f, struct net_fault *n, struct error *err)
{
    const json_t *fix = json_object_get(f->params, "fix_checksums");

    if (net_share(f, "corrupt", &n->rule.corrupt, err) < 0)
        return -1;
    if (fix != NULL && !json_is_boolean(fix))
        return error_set(err, ERROR_CONFIG, "fix_checksums: not true or false");
    n->rule.fix_checksums = json_is_true(fix);
    if (n->rule.fix_checksums && n->links_of != NET_LINKS_NODES)
        return error_set(err, ERROR_CONFIG,
                         "fix_checksums: on links between nodes only, where "
                         "it can be proven");
    return 0;
}

static int
net_read_rate(const struct fault *f, struct net_fault *n, struct error *err)
{
    double bits = 0;

    if (json_object_get(f->params, "rate") == NULL)
        return error_set(err, ERROR_CONFIG, "rate: bits per second are needed");
    if (params_number(f->params, "rate", NET_RATE_BITS_MIN, NET_RATE_BITS_MAX,
                      &bits, err) < 0)
        return -1;
    n->rule.rate_bits = (uint64_t)bits;
    return net_duration(f, "queue", NS_PER_S, NET_QUEUE_NS_MIN,
                        NET_QUEUE_NS_MAX, &n->rule.queue_ns, err);
}

static int
net_read_kind(const struct fault *f, struct net_fault *n, struct error *err)
{
    switch (n->kind) {
    case NET_DROP:
        return net_read_drop(f, n, err);
    case NET_DELAY:
        return net_read_delay(f, n, err);
    case NET_LOSS:
        if (params_number(f->params, "burst", 1, 100, &n->rule.loss_burst,
                          err) < 0)
            return -1;
        return net_share(f, "loss", &n->rule.loss, err);
    case NET_DUPLICATE:
        return net_share(f, "duplicate", &n->rule.duplicate, err);
    case NET_CORRUPT:
        return net_read_corrupt(f, n, err);
    case NET_REORDER:
        if (net_duration(f, "hold", 2 * NET_HOLD_NS_MIN, NET_HOLD_NS_MIN,
                         NET_HOLD_NS_MAX, &n->rule.hold_ns, err) < 0)
            return -1;
        return net_share(f, "reorder", &n->rule.reorder, err);
    case NET_RATE:
        return net_read_rate(f, n, err);
    }
    return error_set(err, ERROR_BUG, "no such fault");
}

static int
net_check_keys(const struct fault *f, const struct net_fault *n,
               struct error *err)
{
    static const char *const own[][5] = {
        [NET_DROP] = {"shape", "traffic", NULL},
        [NET_DELAY] = {"delay", "jitter", "distribution", "waiting", NULL},
        [NET_LOSS] = {"loss", "burst", NULL},
        [NET_DUPLICATE] = {"duplicate", NULL},
        [NET_CORRUPT] = {"corrupt", "fix_checksums", NULL},
        [NET_REORDER] = {"reorder", "hold", NULL},
        [NET_RATE] = {"rate", "queue", NULL},
    };
    const char *keys[NET_KEYS_MAX] = {"links", "direction"};
    size_t count = 2;

    for (const char *const *key = own[n->kind]; *key != NULL; key++)
        keys[count++] = *key;
    keys[count] = NULL;
    return params_check_keys(f->params, keys, err);
}

int
net_read(const struct fault *f, struct net_fault *n, struct error *err)
{
    if (net_check_keys(f, n, err) < 0 ||
        params_choice(f->params, "links", net_links_names, &n->links_of, err) <
            0 ||
        params_choice(f->params, "direction", net_directions, &n->direction,
                      err) < 0 ||
        net_read_kind(f, n, err) < 0)
        return -1;
    return link_rule_check(&n->rule, err);
}
