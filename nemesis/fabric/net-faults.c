/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-drop, net-delay, net-loss, net-duplicate, net-corrupt, net-reorder,
 * net-rate: one rule on links of the switch through which the cluster network
 * goes, between nodes and to the hosts of clients.  Nothing is done in a guest,
 * so that nothing can be left there, and a node that reboots finds its links
 * as they were.
 *
 * Happy path: put the rule on the links; see the counters of each link rise
 * while the stations themselves see the effect: pairs that do not connect
 * (net-drop), bytes that come back changed (net-corrupt with good checksums),
 * or pings that take longer, are missing, come twice or are overtaken.  Heal by
 * taking the rule off; see it gone, and the stations see none of it any more.
 *
 * Failure modes: no traffic on a link of the rule is a mismatch, for then
 * nothing was harmed.  A node that cannot be asked makes the proof
 * inconclusive.  Links of clients where clients have none: the fault is
 * skipped.  The rule is in the driver's memory: it ends with the driver, as
 * does the switch, so that there is nothing to undo after its death.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fabric/net-fault.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"

#define NET_POLL_NS (500 * NS_PER_MS)

static int
net_setup(struct fault *f, enum net_kind kind, struct error *err)
{
    struct net_fault *n = xcalloc(1, sizeof(*n));
    int rc;

    n->kind = kind;
    rc = net_read(f, n, err);
    if (rc == 0 && n->links_of != NET_LINKS_NODES && f->world != NULL &&
        f->world->cluster->clients == NULL)
        rc = error_set(err, ERROR_ENVIRONMENT,
                       "links of clients: they have none here");
    if (rc < 0)
        free(n);
    else
        f->state = n;
    return rc;
}

static void
net_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

/* Port i of the switch is station i. */
static bool
net_available(const struct fault_world *w)
{
    return w->fabric != NULL &&
           switch_port_count(w->fabric) >= probe_station_count(w->cluster) &&
           w->system->peer_port != 0;
}

static json_t *
net_undo_record(const struct fault *f)
{
    return json_pack("{s:s, s:o}", "fault", f->ops->name, "nodes",
                     node_set_to_json(f->world->cluster, f->targets));
}

/* ---- the rule is put on, and taken off ---- */

/* Those whose proof is a comparison. */
static bool
net_is_slower(const struct net_fault *n)
{
    return n->kind == NET_DELAY || n->kind == NET_RATE;
}

static int
net_inject(struct fault *f, struct error *err)
{
    struct net_fault *n = f->state;
    const struct system_ops *system = f->world->system;

    assert(n->id == 0);
    if (net_choose_links(f, n, err) < 0)
        return -1;
    if (n->traffic != NET_ALL) {
        n->rule.match = LINK_MATCH_TCP;
        n->rule.port = n->traffic == NET_PEER_PORT
                           ? system->peer_port
                           : probe_client_port(f->world);
    }
    n->rule.seed = f->seed;
    if (net_is_slower(n) && net_measure_usual(f, err) < 0)
        return -1;
    return switch_rule_add(f->world->fabric, &n->links, &n->rule, &n->id, err);
}

static int
net_heal(struct fault *f, struct error *err)
{
    const struct net_fault *n = f->state;

    (void)err;
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
    case NET_REORDER:
        return s->held;
    case NET_RATE:
        return s->delayed + s->queue_full;
    }
    return 0;
}

static void
net_count_before(const struct fault *f, struct net_fault *n)
{
    unsigned count = probe_station_count(f->world->cluster);

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
    unsigned count = probe_station_count(f->world->cluster);
    bool each = n->kind == NET_DROP || net_is_slower(n);
    enum proof proof = PROOF_CONFIRMED;
    json_t *links = json_object();
    uint64_t hits = 0;

    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++) {
            const struct link_rule_stats *old = &n->before[from][to];
            struct link_rule_stats now = {0};
            char name[PROBE_PAIR_NAME_MAX];
            uint64_t matched, hit;

            if (!link_set_has(&n->links, from, to))
                continue;
            if (!switch_rule_stats(f->world->fabric, n->id, from, to, &now))
                proof = PROOF_MISMATCH; /* healed behind our back */
            matched = now.matched - old->matched;
            hit = net_hits(n, &now) - net_hits(n, old);
            hits += hit;
            if (now.matched <= old->matched || (each && hit == 0))
                proof = PROOF_MISMATCH;
            probe_pair_name(f->world->cluster, from, to, name);
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
    unsigned count = probe_station_count(f->world->cluster);
    struct link_rule_stats ignored;
    bool present = false;

    for (unsigned from = 0; n->id != 0 && from < count; from++)
        for (unsigned to = 0; to < count; to++)
            present |=
                switch_rule_stats(f->world->fabric, n->id, from, to, &ignored);
    return present;
}

/* ---- proofs ---- */

static bool
net_drops(const struct fault *f, unsigned from, unsigned to)
{
    return link_set_has(&((const struct net_fault *)f->state)->links, from, to);
}

/* What the stations see: by echoes, by connects, else by pings. */
static int
net_look(struct fault *f, enum proof *ret, struct error *err)
{
    struct net_fault *n = f->state;

    if (n->rule.fix_checksums) {
        if (net_echo_all(f, err) < 0)
            return -1;
        *ret = net_judge_echoes(f, false);
        return 0;
    }
    if (n->kind == NET_DROP && probe_prove_cut(f, net_drops, ret, err) < 0)
        return -1;
    if (n->kind == NET_DROP && n->traffic == NET_ALL)
        return 0;
    if (net_ping_all(f, false, err) < 0)
        return -1;
    *ret = n->kind == NET_DROP ? proof_merge(*ret, net_judge_rest(f))
                               : net_judge_pings(f, false);
    return 0;
}

static int
net_prove_effect(struct fault *f, enum proof *ret, struct error *err)
{
    struct net_fault *n = f->state;
    enum proof seen = PROOF_INCONCLUSIVE;

    net_count_before(f, n);
    if (net_look(f, &seen, err) < 0)
        return -1;
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
        *ret = probe_judge(f, &matrix, NULL);
    } else if (n->rule.fix_checksums) {
        if (net_echo_all(f, err) < 0)
            return -1;
        *ret = net_judge_echoes(f, true);
    } else {
        if (net_ping_all(f, true, err) < 0)
            return -1;
        *ret = net_judge_pings(f, true);
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

/* ---- the faults ---- */

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

static int
net_setup_reorder(struct fault *f, struct error *err)
{
    return net_setup(f, NET_REORDER, err);
}

static int
net_setup_rate(struct fault *f, struct error *err)
{
    return net_setup(f, NET_RATE, err);
}

#define NET_OPS                                                                \
    .available = net_available, .undo_record = net_undo_record,                \
    .inject = net_inject, .prove = net_prove, .heal = net_heal,                \
    .undo = net_undo, .teardown = net_teardown

const struct fault_ops fault_net_drop_ops = {
    .name = "net-drop",
    .description = "the switch drops what goes between nodes or to clients, or "
                   "one TCP port of it",
    .takes_nodes_down = true,
    .setup = net_setup_drop,
    NET_OPS,
};

const struct fault_ops fault_net_delay_ops = {
    .name = "net-delay",
    .description = "the switch delays what goes between nodes or to clients",

    .setup = net_setup_delay,
    NET_OPS,
};

const struct fault_ops fault_net_loss_ops = {
    .name = "net-loss",
    .description =
        "the switch loses a share of what goes between nodes or to clients",

    .setup = net_setup_loss,
    NET_OPS,
};

const struct fault_ops fault_net_duplicate_ops = {
    .name = "net-duplicate",
    .description = "the switch sends a share of frames twice",

    .setup = net_setup_duplicate,
    NET_OPS,
};

const struct fault_ops fault_net_corrupt_ops = {
    .name = "net-corrupt",
    .description = "the switch flips a bit in a share of frames",

    .setup = net_setup_corrupt,
    NET_OPS,
};

const struct fault_ops fault_net_reorder_ops = {
    .name = "net-reorder",
    .description = "the switch holds a share of frames while others pass",

    .setup = net_setup_reorder,
    NET_OPS,
};

const struct fault_ops fault_net_rate_ops = {
    .name = "net-rate",
    .description = "the switch lets frames pass at a bounded rate",

    .setup = net_setup_rate,
    NET_OPS,
};
