/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-drop, net-delay, net-loss, net-duplicate, net-corrupt: one rule on links
 * of the switch through which the cluster network goes.  Nothing is done in a
 * guest, so that nothing can be left there, and a node that reboots finds its
 * links as they were.
 *
 * Happy path: put the rule on the links; see the counters of each link rise
 * while the nodes themselves see the effect: pairs that do not connect
 * (net-drop), or pings that take longer, are missing or come twice.  Heal by
 * taking the rule off; see it gone, and the nodes see none of it any more.
 *
 * Failure modes: no traffic on a link of the rule is a mismatch, for then
 * nothing was harmed.  A node that cannot be asked makes the proof
 * inconclusive.  The rule is in the driver's memory: it ends with the driver,
 * as does the switch, so that there is nothing to undo after its death.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fabric/shape.h"
#include "nemesis/fabric/switch.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/params.h"
#include "nemesis/probe.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"

#define NET_POLL_NS (500 * NS_PER_MS)
#define NET_PROBES_MAX 3
/* Below, pings of emulated guests are no proof; above, TCP gives up. */
#define NET_DELAY_NS_MIN (50 * NS_PER_MS)
#define NET_DELAY_NS_MAX (2 * NS_PER_S)
/* Rarer than that, a look of a few seconds would often see none. */
#define NET_SHARE_MIN 0.05
#define NET_SHARE_MAX 0.9
#define NET_PINGS_FEW "5"
#define NET_PINGS_MANY                                                         \
    "60" /* 0.95^60 = 5 % on one link, and there are more                      \
          */

enum net_kind { NET_DROP, NET_DELAY, NET_LOSS, NET_DUPLICATE, NET_CORRUPT };

enum net_shape {
    NET_ISOLATE, /* each target from every other node */
    NET_GROUP,   /* the targets from the rest */
    NET_RING,    /* the rest are shapes of all nodes, from a seed */
    NET_BRIDGE,
    NET_RANDOM,
};

enum net_direction { NET_BOTH, NET_IN, NET_OUT };

static const char *const net_shapes[] = {"isolate", "group",  "majorities-ring",
                                         "bridge",  "random", NULL};
static const char *const net_directions[] = {"both", "in", "out", NULL};
static const char *const net_distributions[] = {"constant", "uniform", "normal",
                                                "pareto", NULL};
static const char *const net_traffic[] = {"all", "peer-port", NULL};
static const char *const net_waiting[] = {"deliver", "drop", NULL};

/* What a node saw of another in one round of pings. */
struct net_ping {
    bool answered; /* by the node that pings: the rest is set */
    unsigned sent, received, duplicates;
    double min_ms, average_ms;
};

struct net_fault {
    enum net_kind kind;
    unsigned shape, direction, waiting;
    unsigned traffic; /* 1: only the system's own port */
    uint64_t seed;
    struct link_rule rule;
    struct link_set links; /* once injected */
    unsigned id;           /* 0: not injected */
    struct link_rule_stats before[NODE_COUNT_MAX][NODE_COUNT_MAX];
    struct net_ping pings[NODE_COUNT_MAX][NODE_COUNT_MAX];
    /* Of a delay: the fastest ping before.  Busy guests take tens of ms. */
    double usual_ms[NODE_COUNT_MAX][NODE_COUNT_MAX];
};

/* ---- parameters ---- */

static int
net_share(const struct fault *f, const char *key, double *ret,
          struct error *err)
{
    if (json_object_get(f->params, key) == NULL)
        return error_set(err, ERROR_CONFIG, "%s: a share is needed", key);
    return params_number(f->params, key, NET_SHARE_MIN, NET_SHARE_MAX, ret,
                         err);
}

static int
net_read_drop(const struct fault *f, struct net_fault *n, struct error *err)
{
    static const char *const keys[] = {"shape", "direction", "traffic", "seed",
                                       NULL};
    double seed = 0;

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_choice(f->params, "shape", net_shapes, &n->shape, err) < 0 ||
        params_choice(f->params, "traffic", net_traffic, &n->traffic, err) <
            0 ||
        params_number(f->params, "seed", 0, 1e15, &seed, err) < 0)
        return -1;
    if (n->shape >= NET_RING && json_object_get(f->params, "direction") != NULL)
        return error_set(err, ERROR_CONFIG, "direction: shape %s has its own",
                         net_shapes[n->shape]);
    n->rule.drop = true;
    n->seed = (uint64_t)seed;
    n->waiting = 1;
    return 0;
}

static int
net_read_delay(const struct fault *f, struct net_fault *n, struct error *err)
{
    static const char *const keys[] = {"delay",   "jitter",    "distribution",
                                       "waiting", "direction", NULL};
    unsigned distribution = LINK_CONSTANT;

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_duration(f->params, "delay", &n->rule.delay_ns, err) < 0 ||
        params_duration(f->params, "jitter", &n->rule.jitter_ns, err) < 0 ||
        params_choice(f->params, "waiting", net_waiting, &n->waiting, err) < 0)
        return -1;
    if (n->rule.jitter_ns > 0)
        distribution = LINK_UNIFORM;
    if (params_choice(f->params, "distribution", net_distributions,
                      &distribution, err) < 0)
        return -1;
    n->rule.distribution = (enum link_distribution)distribution;
    if (n->rule.delay_ns < NET_DELAY_NS_MIN ||
        n->rule.delay_ns > NET_DELAY_NS_MAX ||
        n->rule.jitter_ns > n->rule.delay_ns)
        return error_set(err, ERROR_CONFIG,
                         "delay: 50ms to 2s, and jitter no more than that");
    return 0;
}

static int
net_read(const struct fault *f, struct net_fault *n, struct error *err)
{
    static const char *const loss[] = {"loss", "burst", "direction", NULL};
    static const char *const duplicate[] = {"duplicate", "direction", NULL};
    static const char *const corrupt[] = {"corrupt", "direction", NULL};

    switch (n->kind) {
    case NET_DROP:
        return net_read_drop(f, n, err);
    case NET_DELAY:
        return net_read_delay(f, n, err);
    case NET_LOSS:
        if (params_check_keys(f->params, loss, err) < 0 ||
            params_number(f->params, "burst", 1, 100, &n->rule.loss_burst,
                          err) < 0)
            return -1;
        return net_share(f, "loss", &n->rule.loss, err);
    case NET_DUPLICATE:
        if (params_check_keys(f->params, duplicate, err) < 0)
            return -1;
        return net_share(f, "duplicate", &n->rule.duplicate, err);
    case NET_CORRUPT:
        if (params_check_keys(f->params, corrupt, err) < 0)
            return -1;
        return net_share(f, "corrupt", &n->rule.corrupt, err);
    }
    return error_set(err, ERROR_BUG, "no such fault");
}

static int
net_setup(struct fault *f, enum net_kind kind, struct error *err)
{
    struct net_fault *n = xcalloc(1, sizeof(*n));

    n->kind = kind;
    if (net_read(f, n, err) < 0 ||
        params_choice(f->params, "direction", net_directions, &n->direction,
                      err) < 0 ||
        link_rule_check(&n->rule, err) < 0) {
        free(n);
        return -1;
    }
    f->state = n;
    return 0;
}

static int
net_setup_drop(struct fault *f, struct error *err)
{
    return net_setup(f, NET_DROP, err);
}

static int
net_setup_delay(struct fault *f, struct error *err)
{
    return net_setup(f, NET_DELAY, err);
}

static int
net_setup_loss(struct fault *f, struct error *err)
{
    return net_setup(f, NET_LOSS, err);
}

static int
net_setup_duplicate(struct fault *f, struct error *err)
{
    return net_setup(f, NET_DUPLICATE, err);
}

static int
net_setup_corrupt(struct fault *f, struct error *err)
{
    return net_setup(f, NET_CORRUPT, err);
}

static void
net_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

/* Port i of the switch is node i. */
static bool
net_available(const struct fault_world *w)
{
    return w->fabric != NULL &&
           switch_port_count(w->fabric) >= w->cluster->node_count &&
           w->system->peer_port != 0;
}

static json_t *
net_undo_record(const struct fault *f)
{
    return json_pack("{s:s, s:o}", "fault", f->ops->name, "nodes",
                     node_set_to_json(f->world->cluster, f->targets));
}

/* ---- the links, and taking the rule off them ---- */

static void
net_add_targets(const struct fault *f, struct net_fault *n)
{
    unsigned count = f->world->cluster->node_count;

    for (unsigned target = 0; target < count; target++)
        for (unsigned peer = 0; peer < count; peer++) {
            if (!(f->targets >> target & 1) ||
                (n->shape == NET_GROUP && f->targets >> peer & 1))
                continue;
            if (n->direction != NET_OUT)
                link_set_add(&n->links, peer, target);
            if (n->direction != NET_IN)
                link_set_add(&n->links, target, peer);
        }
}

static int
net_choose_links(const struct fault *f, struct net_fault *n, struct error *err)
{
    static const enum shape shapes[] = {[NET_RING] = SHAPE_MAJORITIES_RING,
                                        [NET_BRIDGE] = SHAPE_BRIDGE,
                                        [NET_RANDOM] = SHAPE_RANDOM};
    struct shape_input in = {.seed = n->seed,
                             .node_count = f->world->cluster->node_count,
                             .primary = SHAPE_NO_PRIMARY};

    memset(&n->links, 0, sizeof(n->links));
    if (n->shape < NET_RING) {
        net_add_targets(f, n);
    } else {
        if (f->targets != node_set_all(in.node_count))
            return error_set(err, ERROR_CONFIG, "shape %s is one of all nodes",
                             net_shapes[n->shape]);
        if (shape_links(shapes[n->shape], &in, &n->links, err) < 0)
            return -1;
    }
    if (link_set_count(&n->links) == 0)
        return error_set(err, ERROR_CONFIG, "shape %s of all nodes has no link",
                         net_shapes[n->shape]);
    return 0;
}

static int
net_heal(struct fault *f, struct error *err)
{
    const struct net_fault *n = f->state;

    if (n->id != 0)
        switch_rule_remove(f->world->fabric, n->id,
                           n->waiting == 1 ? SWITCH_PURGE : SWITCH_CLEAR);
    return 0;
}

/* The switch was in the driver that died: the record is only checked. */
static int
net_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    node_set nodes;

    return node_set_from_json(w->cluster, json_object_get(record, "nodes"),
                              &nodes, err);
}

/* ---- counters ---- */

/* What the rule is for. */
static uint64_t
net_hits(const struct net_fault *n, const struct link_rule_stats *s)
{
    switch (n->kind) {
    case NET_DROP:
        return s->dropped;
    case NET_DELAY:
        return s->delayed;
    case NET_LOSS:
        return s->lost;
    case NET_DUPLICATE:
        return s->duplicated;
    case NET_CORRUPT:
        return s->corrupted;
    }
    return 0;
}

static void
net_count_before(const struct fault *f, struct net_fault *n)
{
    unsigned count = f->world->cluster->node_count;

    memset(n->before, 0, sizeof(n->before));
    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++)
            if (link_set_has(&n->links, from, to))
                switch_rule_stats(f->world->fabric, n->id, from, to,
                                  &n->before[from][to]);
}

/*
 * Each link of the rule has matched frames since, and some were hit: every link
 * of a rule that hits each frame, and any of one that hits by chance.
 */
static enum proof
net_judge_counters(struct fault *f, struct net_fault *n)
{
    unsigned count = f->world->cluster->node_count;
    bool each = n->kind == NET_DROP || n->kind == NET_DELAY;
    enum proof proof = PROOF_CONFIRMED;
    json_t *links = json_object();
    uint64_t hits = 0;

    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++) {
            const struct link_rule_stats *old = &n->before[from][to];
            struct link_rule_stats now = {0};
            uint64_t matched, hit;
            char name[32];

            if (!link_set_has(&n->links, from, to))
                continue;
            if (!switch_rule_stats(f->world->fabric, n->id, from, to, &now))
                proof = PROOF_MISMATCH; /* healed behind our back */
            matched = now.matched - old->matched;
            hit = net_hits(n, &now) - net_hits(n, old);
            hits += hit;
            if (now.matched <= old->matched || (each && hit == 0))
                proof = PROOF_MISMATCH;
            snprintf(name, sizeof(name), "n%u>n%u", from + 1, to + 1);
            json_object_set_new(
                links, name,
                json_pack("[I, I]", (json_int_t)matched, (json_int_t)hit));
        }
    json_object_set_new(f->evidence, "frames_matched_hit", links);
    return hits == 0 ? PROOF_MISMATCH : proof;
}

static bool
net_rule_present(const struct fault *f, const struct net_fault *n)
{
    unsigned count = f->world->cluster->node_count;
    struct link_rule_stats ignored;
    bool present = false;

    for (unsigned from = 0; n->id != 0 && from < count; from++)
        for (unsigned to = 0; to < count; to++)
            present |=
                switch_rule_stats(f->world->fabric, n->id, from, to, &ignored);
    return present;
}

/* ---- connects, for net-drop ---- */

static bool
net_is_cut(const struct net_fault *n, unsigned a, unsigned b)
{
    return link_set_has(&n->links, a, b) || link_set_has(&n->links, b, a);
}

static enum proof
net_judge_probes(struct fault *f, const struct net_fault *n,
                 const struct probe_matrix *m, bool healed)
{
    unsigned count = f->world->cluster->node_count;
    enum proof proof = PROOF_CONFIRMED;
    json_t *probes = json_object();

    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++) {
            enum probe_result r = m->result[from][to];
            bool cut = !healed && net_is_cut(n, from, to);
            char pair[32];

            if (from == to)
                continue;
            snprintf(pair, sizeof(pair), "n%u>n%u", from + 1, to + 1);
            json_object_set_new(probes, pair, json_string(probe_name(r)));
            if (r == PROBE_UNKNOWN)
                proof = proof_merge(proof, PROOF_INCONCLUSIVE);
            else if ((r == PROBE_CUT) != cut)
                proof = proof_merge(proof, PROOF_MISMATCH);
        }
    json_object_set_new(f->evidence, "probes", probes);
    return proof;
}

/* A connect may be late where guests share few cores; an answer stays. */
static int
net_probe_cut(struct fault *f, enum proof *ret, struct error *err)
{
    struct net_fault *n = f->state;
    struct probe_matrix matrix = {0}, again;

    for (int try = 0; try < NET_PROBES_MAX; try++) {
        if (probe_pairs(f->world, &again, err) < 0)
            return -1;
        for (unsigned from = 0; from < NODE_COUNT_MAX; from++)
            for (unsigned to = 0; to < NODE_COUNT_MAX; to++)
                if (matrix.result[from][to] != PROBE_OPEN)
                    matrix.result[from][to] = again.result[from][to];
        *ret = net_judge_probes(f, n, &matrix, false);
        if (*ret == PROOF_CONFIRMED)
            break;
    }
    return 0;
}

/* ---- pings, for all others ---- */

/*
 * $1 how many, $2 seconds to wait for the last, then addresses: one line for
 * each, of ping's last two.  The limit is for answers with a flipped time of
 * departure, for which busybox would wait twice as long as they seem to take.
 */
static const struct guest_script net_ping_script = {
    .name = "ordeal-net-ping",
    .text =
        "count=$1; wait=$2; shift 2\n"
        "for a; do {\n"
        "    m=$(" GUEST_BUSYBOX " timeout -s INT 8 " GUEST_BUSYBOX
        " ping -q -c \"$count\" -i 0.05 -W \"$wait\" \"$a\" | " GUEST_BUSYBOX
        " tail -n 2 | " GUEST_BUSYBOX " tr '\\n' ' ')\n"
        "    echo \"$a $m\"\n"
        "} & done\n"
        "wait\n",
};

/*
 * "10.77.0.12 5 packets transmitted, 5 packets received, 1 duplicates, 0%
 * packet loss round-trip min/avg/max = 0.054/0.063/0.078 ms"
 */
static bool
net_parse_ping(const char *text, struct net_ping *ret)
{
    const char *times = strstr(text, " = ");

    if (sscanf(text, "%u packets transmitted, %u packets received,", &ret->sent,
               &ret->received) != 2)
        return false;
    ret->duplicates = 0;
    if (strstr(text, " duplicates,") != NULL &&
        sscanf(text, "%*u packets transmitted, %*u packets received, %u",
               &ret->duplicates) != 1)
        return false;
    if (ret->received == 0)
        return true;
    return times != NULL &&
           sscanf(times, " = %lf/%lf/", &ret->min_ms, &ret->average_ms) == 2;
}

struct net_round {
    const struct fault_world *world;
    struct net_fault *fault;
    bool many;
};

static int
net_ping_from(void *ctx, unsigned from, struct error *err)
{
    struct net_round *r = ctx;
    const struct cluster *c = r->world->cluster;
    CLEANUP(exec_result_release) struct exec_result result;
    /* All of it within FAULT_EXEC_TIMEOUT_NS; a delay is 4 s both ways. */
    const char *args[NODE_COUNT_MAX + 2] = {
        r->many ? NET_PINGS_MANY : NET_PINGS_FEW, r->many ? "2" : "5"};
    char *save = NULL;
    size_t count = 2;

    for (unsigned to = 0; to < c->node_count; to++)
        if (to != from)
            args[count++] = c->nodes[to].cluster_address;
    args[count] = NULL;
    exec_result_init(&result);
    if (guest_script(&r->world->remotes[from], &net_ping_script, args, &result,
                     err) < 0)
        return -1;
    if (result.out.len == 0)
        return 0;
    for (char *line = strtok_r(result.out.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        for (unsigned to = 0; to < c->node_count; to++) {
            const char *address = c->nodes[to].cluster_address;
            size_t len = strlen(address);
            struct net_ping *p = &r->fault->pings[from][to];

            if (strncmp(line, address, len) == 0 && line[len] == ' ')
                p->answered = net_parse_ping(line + len + 1, p);
        }
    return 0;
}

static int
net_ping_all(struct fault *f, bool many, struct error *err)
{
    struct net_fault *n = f->state;
    struct net_round round = {.world = f->world, .fault = n, .many = many};

    memset(n->pings, 0, sizeof(n->pings));
    return fanout(node_set_all(f->world->cluster->node_count), net_ping_from,
                  &round, err);
}

/* Whether one pair shows the fault, as 'links' (0 to 2) of its way have it. */
static bool
net_ping_shows(const struct net_fault *n, const struct net_ping *p,
               double usual_ms, unsigned links)
{
    double delay_ms = (double)n->rule.delay_ns / NS_PER_MS;

    switch (n->kind) {
    case NET_DELAY:
        /* Half of it: a jitter may be as large as the delay. */
        return links > 0 ? p->average_ms - usual_ms >= delay_ms * links / 2
                         : p->min_ms - usual_ms >= delay_ms / 2;
    case NET_DUPLICATE:
        return p->duplicates > 0;
    case NET_LOSS:
    case NET_CORRUPT:
        return p->received < p->sent;
    case NET_DROP:
        break;
    }
    return false;
}

/*
 * A delay is seen by every pair of the rule; what falls by chance, by any.
 * Pairs of which no link has the rule see nothing of it.
 */
static enum proof
net_judge_pings(struct fault *f, const struct net_fault *n, bool healed)
{
    unsigned count = f->world->cluster->node_count, shown = 0;
    enum proof proof = PROOF_CONFIRMED;
    json_t *pings = json_object();

    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++) {
            const struct net_ping *p = &n->pings[from][to];
            unsigned links = healed ? 0
                                    : link_set_has(&n->links, from, to) +
                                          link_set_has(&n->links, to, from);
            bool shows = net_ping_shows(n, p, n->usual_ms[from][to], links);
            char pair[32];

            if (from == to)
                continue;
            snprintf(pair, sizeof(pair), "n%u>n%u", from + 1, to + 1);
            json_object_set_new(pings, pair,
                                json_pack("[i, i, i, f]", (int)p->sent,
                                          (int)p->received, (int)p->duplicates,
                                          p->average_ms));
            shown += links > 0 && shows;
            if (!p->answered || (p->received == 0 && n->kind != NET_LOSS &&
                                 n->kind != NET_CORRUPT))
                proof = proof_merge(proof, PROOF_INCONCLUSIVE);
            else if (links == 0 && shows)
                proof = PROOF_MISMATCH;
            else if (links > 0 && n->kind == NET_DELAY && !shows)
                proof = PROOF_MISMATCH;
        }
    json_object_set_new(f->evidence, "pings_sent_received_twice_ms", pings);
    return !healed && shown == 0 ? PROOF_MISMATCH : proof;
}

/* ---- inject: the rule is put on ---- */

static int
net_measure_usual(struct fault *f, struct net_fault *n, struct error *err)
{
    unsigned count = f->world->cluster->node_count;

    if (net_ping_all(f, false, err) < 0)
        return -1;
    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++)
            n->usual_ms[from][to] = n->pings[from][to].min_ms;
    return 0;
}

static int
net_inject(struct fault *f, struct error *err)
{
    struct net_fault *n = f->state;

    assert(n->id == 0);
    if (net_choose_links(f, n, err) < 0)
        return -1;
    if (n->traffic == 1) {
        n->rule.match = LINK_MATCH_TCP;
        n->rule.port = f->world->system->peer_port;
    }
    if (n->kind == NET_DELAY && net_measure_usual(f, n, err) < 0)
        return -1;
    return switch_rule_add(f->world->fabric, &n->links, &n->rule, &n->id, err);
}

/* ---- proofs ---- */

/* What is not the system's own passes between all nodes. */
static enum proof
net_judge_rest(struct fault *f, const struct net_fault *n)
{
    unsigned count = f->world->cluster->node_count;
    enum proof proof = PROOF_CONFIRMED;

    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++) {
            const struct net_ping *p = &n->pings[from][to];

            if (from == to)
                continue;
            if (!p->answered)
                proof = proof_merge(proof, PROOF_INCONCLUSIVE);
            else if (p->received == 0)
                proof = PROOF_MISMATCH;
        }
    json_object_set_new(f->evidence, "pings_pass",
                        json_boolean(proof == PROOF_CONFIRMED));
    return proof;
}

static int
net_prove_effect(struct fault *f, enum proof *ret, struct error *err)
{
    struct net_fault *n = f->state;
    enum proof seen = PROOF_INCONCLUSIVE;

    net_count_before(f, n);
    if (n->kind == NET_DROP && net_probe_cut(f, &seen, err) < 0)
        return -1;
    if ((n->kind != NET_DROP || n->traffic == 1) &&
        net_ping_all(f, n->kind != NET_DROP && n->kind != NET_DELAY, err) < 0)
        return -1;
    if (n->kind != NET_DROP)
        seen = net_judge_pings(f, n, false);
    else if (n->traffic == 1)
        seen = proof_merge(seen, net_judge_rest(f, n));
    *ret = proof_merge(seen, net_judge_counters(f, n));
    return 0;
}

static int
net_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    struct net_fault *n = f->state;
    bool present = net_rule_present(f, n);
    struct probe_matrix matrix;

    json_object_set_new(f->evidence, "rule_present", json_boolean(present));
    if (n->kind == NET_DROP) {
        if (probe_pairs(f->world, &matrix, err) < 0)
            return -1;
        *ret = net_judge_probes(f, n, &matrix, true);
    } else {
        if (net_ping_all(f, false, err) < 0)
            return -1;
        *ret = net_judge_pings(f, n, true);
    }
    if (present)
        *ret = PROOF_MISMATCH;
    return 0;
}

static int
net_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
          struct error *err)
{
    if (phase == FAULT_EFFECT)
        return net_prove_effect(f, ret, err);
    return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, NET_POLL_NS,
                             net_look_healed, ret, err);
}

#define NET_OPS                                                                \
    .available = net_available, .undo_record = net_undo_record,                \
    .inject = net_inject, .prove = net_prove, .heal = net_heal,                \
    .undo = net_undo, .teardown = net_teardown

const struct fault_ops fault_net_drop_ops = {
    .name = "net-drop",
    .description = "the switch drops what goes between nodes, or one TCP port "
                   "of it",
    .takes_nodes_down = true,
    .setup = net_setup_drop,
    NET_OPS,
};

const struct fault_ops fault_net_delay_ops = {
    .name = "net-delay",
    .description = "the switch delays what goes between nodes",
    .setup = net_setup_delay,
    NET_OPS,
};

const struct fault_ops fault_net_loss_ops = {
    .name = "net-loss",
    .description = "the switch loses a share of what goes between nodes",
    .setup = net_setup_loss,
    NET_OPS,
};

const struct fault_ops fault_net_duplicate_ops = {
    .name = "net-duplicate",
    .description = "the switch sends a share of frames between nodes twice",
    .setup = net_setup_duplicate,
    NET_OPS,
};

const struct fault_ops fault_net_corrupt_ops = {
    .name = "net-corrupt",
    .description = "the switch flips a bit in a share of frames between nodes",
    .setup = net_setup_corrupt,
    NET_OPS,
};
