/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition: packets between nodes are dropped by nftables in the guests, in
 * one table of the run's own ("inet ordeal_RUN"), on the cluster interface.
 *
 *   shape     cut
 *   isolate   each target from every other node, both directions
 *   halves    the targets from the rest, both directions
 *   one_way   the rest from the targets (direction "in": what goes to the
 *             targets is dropped; "out": what comes from them)
 *   one, minority, majority, majorities-ring, bridge, isolate-primary, one-way,
 *   random    of all nodes, drawn from the seed (nemesis/fabric/shape.h)
 *
 * A pair that is cut in both directions has one owner, which drops what it
 * sends and what it receives; the owners are the smaller side, so that one
 * isolated node is cut by one atomic nft transaction.  Each rule counts what it
 * drops.  one_way also counts, without dropping, what arrives in the open
 * direction.
 *
 * Happy path: arm the guests' timers, load the rules, see every pair that is
 * cut fail and every other pair connect, see every counter rise meanwhile; heal
 * by deleting the table, see it absent and every pair connect.
 *
 * Failure modes: a target set that cuts nothing fails the inject; a node that
 * was rebooted has lost its rules: a mismatch in the proof before the heal.
 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fabric/shape.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/params.h"
#include "nemesis/probe.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"

#define PARTITION_TABLE_MAX 80
#define PARTITION_RULES_MAX (2 * NODE_COUNT_MAX * NODE_COUNT_MAX)
#define PARTITION_POLL_NS (200 * NS_PER_MS)
#define PARTITION_TIMER "partition"

/* $2 the table.  Adding it first makes the deletion succeed always. */
static const char partition_timer[] = GUEST_TIMER_WAIT
    "nft add table inet \"$2\" && nft delete table inet \"$2\" && exit 3\n"
    "exit 1\n";

/* Those after the first three are shape.h's, which says what they cut. */
enum partition_shape {
    PARTITION_ISOLATE,
    PARTITION_HALVES,
    PARTITION_ONE_WAY,
    PARTITION_DRAWN,
};
enum partition_direction { DIRECTION_IN, DIRECTION_OUT };

static const char *const partition_shapes[] = {
    "isolate",         "halves",   "one_way",         "one",
    "minority",        "majority", "majorities-ring", "bridge",
    "isolate-primary", "one-way",  "random",          NULL};
static const char *const partition_directions[] = {"in", "out", NULL};

/* Counts, and mostly drops, what goes between 'node' and 'peer'. */
struct partition_rule {
    unsigned node, peer;
    bool input; /* from the peer; else to the peer */
    bool drop;
    int64_t packets_before, packets_after; /* -1: no such rule */
};

struct partition {
    unsigned shape, direction;
    enum shape_direction drawn_direction;
    struct link_set links; /* of a drawn shape, once it is drawn */
    char table[PARTITION_TABLE_MAX];
    struct partition_rule rules[PARTITION_RULES_MAX];
    unsigned rule_count;
};

/* ---- what to cut ---- */

static int
partition_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"shape", "direction", NULL};
    struct partition p = {.shape = PARTITION_ISOLATE,
                          .direction = DIRECTION_IN};

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_choice(f->params, "shape", partition_shapes, &p.shape, err) <
            0 ||
        params_choice(f->params, "direction", partition_directions,
                      &p.direction, err) < 0)
        return -1;
    if (json_object_get(f->params, "direction") == NULL)
        p.drawn_direction = SHAPE_FROM_SEED;
    else
        p.drawn_direction = p.direction == DIRECTION_IN ? SHAPE_IN : SHAPE_OUT;
    if (p.shape != PARTITION_ONE_WAY &&
        strcmp(partition_shapes[p.shape], "one-way") != 0 &&
        json_object_get(f->params, "direction") != NULL)
        return error_set(err, ERROR_CONFIG,
                         "direction: only shapes one_way and one-way have "
                         "one");
    f->state = xcalloc(1, sizeof(p));
    memcpy(f->state, &p, sizeof(p));
    return 0;
}

static void
partition_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

/* Run ids are [a-z0-9-]; whatever else there is becomes '_' as well. */
static void
partition_table(const struct cluster *c, char ret[static PARTITION_TABLE_MAX])
{
    snprintf(ret, PARTITION_TABLE_MAX, "ordeal_%s", c->run_id);
    for (char *p = ret; *p != '\0'; p++)
        if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p))
            *p = '_';
}

static void
partition_add(struct partition *p, unsigned node, unsigned peer, bool input,
              bool drop)
{
    assert(p->rule_count < PARTITION_RULES_MAX);
    p->rules[p->rule_count++] = (struct partition_rule){
        .node = node, .peer = peer, .input = input, .drop = drop};
}

/* Which of a pair drops: a target, or the other side when that is smaller. */
static unsigned
partition_owner(const struct fault *f, unsigned a, unsigned b)
{
    node_set owners = f->targets;

    if (node_set_count(owners) * 2 > f->world->cluster->node_count &&
        (owners >> a & 1) != (owners >> b & 1))
        owners = ~owners;
    return owners >> a & 1 ? a : b;
}

static void
partition_plan_pair(const struct fault *f, struct partition *p, unsigned a,
                    unsigned b)
{
    bool target_a = f->targets >> a & 1, target_b = f->targets >> b & 1;
    unsigned target = target_a ? a : b, peer = target_a ? b : a, owner;

    if (!target_a && !target_b)
        return;
    if (p->shape != PARTITION_ISOLATE && target_a && target_b)
        return;
    if (p->shape != PARTITION_ONE_WAY) {
        owner = partition_owner(f, a, b);
        peer = owner == a ? b : a;
        partition_add(p, owner, peer, true, true);
        partition_add(p, owner, peer, false, true);
        return;
    }
    if (p->direction == DIRECTION_IN) {
        partition_add(p, target, peer, true, true);
        partition_add(p, peer, target, true, false);
    } else {
        partition_add(p, target, peer, false, true);
        partition_add(p, target, peer, true, false);
    }
}

/* A pair of a drawn shape: cut in both directions, in one, or not at all. */
static void
partition_plan_links(struct partition *p, unsigned a, unsigned b)
{
    bool ab = link_set_has(&p->links, a, b), ba = link_set_has(&p->links, b, a);
    unsigned to = ab ? b : a, from = ab ? a : b;
    /* The one that is cut off from more: few nodes get rules. */
    bool a_owns = __builtin_popcount(p->links.to[a]) >=
                  __builtin_popcount(p->links.to[b]);
    unsigned owner = a_owns ? a : b, peer = a_owns ? b : a;

    if (ab && ba) {
        partition_add(p, owner, peer, true, true);
        partition_add(p, owner, peer, false, true);
    } else if (ab || ba) {
        partition_add(p, to, from, true, true);
        partition_add(p, from, to, true, false);
    }
}

/* The links of a drawn shape; nothing to do for the others. */
static int
partition_draw(struct fault *f, struct error *err)
{
    struct partition *p = f->state;
    struct shape_input in = {.seed = f->seed,
                             .node_count = f->world->cluster->node_count,
                             .direction = p->drawn_direction};
    struct target_view view;
    enum shape shape;

    if (p->shape < PARTITION_DRAWN)
        return 0;
    if (f->targets != node_set_all(in.node_count))
        return error_set(err, ERROR_CONFIG,
                         "shape %s is of all nodes: 'target: all'",
                         partition_shapes[p->shape]);
    if (!shape_find(partition_shapes[p->shape], &shape))
        return error_set(err, ERROR_BUG, "shape %s is not known",
                         partition_shapes[p->shape]);
    target_look(f->world, &view);
    in.primary = shape == SHAPE_ISOLATE_PRIMARY && view.primary >= 0
                     ? view.primary
                     : SHAPE_NO_PRIMARY;
    return shape_links(shape, &in, &p->links, err);
}

/* Pure: the rules follow from targets, parameters and what was drawn. */
static void
partition_plan(const struct fault *f)
{
    struct partition *p = f->state;
    unsigned count = f->world->cluster->node_count;

    p->rule_count = 0;
    partition_table(f->world->cluster, p->table);
    for (unsigned a = 0; a < count; a++)
        for (unsigned b = a + 1; b < count; b++)
            if (p->shape >= PARTITION_DRAWN)
                partition_plan_links(p, a, b);
            else
                partition_plan_pair(f, p, a, b);
}

/* The nodes that get rules. */
static node_set
partition_nodes(const struct partition *p, bool drops_only)
{
    node_set s = 0;

    for (unsigned i = 0; i < p->rule_count; i++)
        if (p->rules[i].drop || !drops_only)
            s |= UINT32_C(1) << p->rules[i].node;
    return s;
}

/* Where the table may be: who heals need not know what was drawn. */
static node_set
partition_undo_nodes(const struct fault *f)
{
    const struct partition *p = f->state;

    return p->shape >= PARTITION_DRAWN
               ? node_set_all(f->world->cluster->node_count)
               : partition_nodes(p, false);
}

/* Whether packets from 'from' to 'to' are dropped. */
static bool
partition_drops(const struct fault *f, unsigned from, unsigned to)
{
    const struct partition *p = f->state;

    for (unsigned i = 0; i < p->rule_count; i++) {
        const struct partition_rule *r = &p->rules[i];

        if (r->drop && (r->input ? r->peer == from && r->node == to
                                 : r->node == from && r->peer == to))
            return true;
    }
    return false;
}

static json_t *
partition_undo_record(const struct fault *f)
{
    struct partition *p = f->state;

    partition_plan(f);
    return json_pack(
        "{s:s, s:o, s:s}", "fault", "partition", "nodes",
        node_set_to_json(f->world->cluster, partition_undo_nodes(f)), "table",
        p->table);
}

static bool
partition_available(const struct fault_world *w)
{
    static const char *const argv[] = {"nft", "list", "tables", NULL};

    for (unsigned i = 0; i < w->cluster->node_count; i++) {
        struct error err = {0};

        if (remote_run(&w->remotes[i], argv, &err) < 0)
            return false;
    }
    return w->system->peer_port != 0;
}

/* ---- loading and deleting the table ---- */

/* How a rule is called in the table and in the evidence. */
static void
partition_rule_name(const struct partition_rule *r, char *ret, size_t size)
{
    snprintf(ret, size, "%s %s n%u", r->drop ? "drop" : "count",
             r->input ? "from" : "to", r->peer + 1);
}

/* Everything in the text is checked here: nothing is quoted by nft. */
static int
partition_rule_text(const struct fault *f, const struct partition_rule *r,
                    struct buf *text, struct error *err)
{
    const struct partition *p = f->state;
    const struct node *node = &f->world->cluster->nodes[r->node];
    const char *address = f->world->cluster->nodes[r->peer].cluster_address;
    const char *interface = node->cluster_interface, *family = NULL;
    unsigned char binary[sizeof(struct in6_addr)];
    char name[32];

    if (inet_pton(AF_INET, address, binary) == 1)
        family = "ip";
    else if (inet_pton(AF_INET6, address, binary) == 1)
        family = "ip6";
    if (family == NULL || interface[0] == '\0' ||
        interface[strspn(interface, "abcdefghijklmnopqrstuvwxyz0123456789")] !=
            '\0')
        return error_set(err, ERROR_BUG, "'%s' on '%s' is no peer", address,
                         interface);
    partition_rule_name(r, name, sizeof(name));
    buf_printf(text,
               "add rule inet %s %s %s \"%s\" %s %s %s counter%s "
               "comment \"%s\"\n",
               p->table, r->input ? "input" : "output",
               r->input ? "iifname" : "oifname", interface, family,
               r->input ? "saddr" : "daddr", address, r->drop ? " drop" : "",
               name);
    return 0;
}

/* Runs 'nft -f -' with the text: one transaction, all or nothing. */
static int
partition_nft(struct remote *r, const char *text, struct error *err)
{
    static const char *const argv[] = {"nft", "-f", "-", NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (guest_exec(r, argv, text, &result, err) < 0)
        return -1;
    if (result.status != 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': nft: exit %d: %.160s", r->endpoint.node,
                         result.status, buf_text(&result.err));
    return 0;
}

static int
partition_load(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    const struct partition *p = f->state;
    CLEANUP(buf_release) struct buf text = {.max = 65536};

    /* Adding makes deleting succeed: whatever was there is replaced. */
    buf_printf(&text,
               "add table inet %s\ndelete table inet %s\nadd table inet %s\n"
               "add chain inet %s input { type filter hook input priority "
               "-300 ; policy accept ; }\n"
               "add chain inet %s output { type filter hook output priority "
               "-300 ; policy accept ; }\n",
               p->table, p->table, p->table, p->table, p->table);
    for (unsigned i = 0; i < p->rule_count; i++)
        if (p->rules[i].node == node &&
            partition_rule_text(f, &p->rules[i], &text, err) < 0)
            return -1;
    return partition_nft(&f->world->remotes[node], buf_text(&text), err);
}

static int
partition_arm(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    const struct partition *p = f->state;
    const char *const args[] = {p->table, NULL};
    bool armed;

    return guest_timer_arm(&f->world->remotes[node], PARTITION_TIMER,
                           partition_timer, args, f->lease_ns, &armed, err);
}

/* What to delete, and where to look for the nodes. */
struct partition_undo {
    const struct fault_world *world;
    const char *table;
    bool *self_healed; /* by node; NULL: nobody asks */
};

static int
partition_unload_node(void *ctx, unsigned node, struct error *err)
{
    const struct partition_undo *u = ctx;
    struct remote *r = &u->world->remotes[node];
    char text[2 * PARTITION_TABLE_MAX + 64];
    bool fired;

    snprintf(text, sizeof(text), "add table inet %s\ndelete table inet %s\n",
             u->table, u->table);
    if (partition_nft(r, text, err) < 0)
        return -1;
    if (guest_timer_disarm(r, PARTITION_TIMER, &fired, err) < 0)
        return -1;
    if (u->self_healed != NULL)
        u->self_healed[node] |= fired;
    return 0;
}

static int
partition_renew(struct fault *f, struct error *err)
{
    return guest_timers_renew(f, partition_nodes(f->state, false),
                              PARTITION_TIMER, err);
}

static int
partition_inject(struct fault *f, struct error *err)
{
    struct partition *p = f->state;
    node_set all, drops;

    if (partition_draw(f, err) < 0)
        return -1;
    partition_plan(f);
    all = partition_nodes(p, false);
    drops = partition_nodes(p, true);
    if (drops == 0)
        return error_set(err, ERROR_CONFIG,
                         "shape %s of all nodes cuts nothing",
                         partition_shapes[p->shape]);
    /* Those that only count come first: they are to see the cut begin. */
    if (fanout(all, partition_arm, f, err) < 0 ||
        fanout(all & ~drops, partition_load, f, err) < 0)
        return -1;
    return fanout(drops, partition_load, f, err);
}

static int
partition_heal(struct fault *f, struct error *err)
{
    struct partition *p = f->state;
    struct partition_undo undo = {
        .world = f->world, .table = p->table, .self_healed = f->self_healed};

    partition_plan(f);
    return fanout(partition_undo_nodes(f), partition_unload_node, &undo, err);
}

static int
partition_undo(const struct fault_world *w, const json_t *record,
               struct error *err)
{
    const char *table = json_string_value(json_object_get(record, "table"));
    struct partition_undo undo = {.world = w, .table = table};
    node_set nodes;

    if (table == NULL || strncmp(table, "ordeal_", 7) != 0 ||
        strlen(table) >= PARTITION_TABLE_MAX ||
        table[strspn(table, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
        return error_set(err, ERROR_ENVIRONMENT,
                         "undo record without a table of ours");
    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    return fanout(nodes, partition_unload_node, &undo, err);
}

/* ---- proofs ---- */

static json_t *
partition_nft_json(struct remote *r, const char *const argv[],
                   struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;
    json_t *json;

    exec_result_init(&result);
    if (guest_exec(r, argv, NULL, &result, err) < 0)
        return NULL;
    if (result.status == 1 &&
        strstr(buf_text(&result.err), "No such file") != NULL)
        return json_object(); /* no such table */
    json = json_loads(buf_text(&result.out), 0, NULL);
    if (result.status != 0 ||
        !json_is_array(json_object_get(json, "nftables"))) {
        json_decref(json);
        error_set(err, ERROR_ENVIRONMENT,
                  "node '%s': nft -j: exit %d, not understood",
                  r->endpoint.node, result.status);
        return NULL;
    }
    return json;
}

/* Packets of the rule named so; -1: there is no such rule. */
static int64_t
partition_packets(const json_t *listing, const char *name)
{
    json_t *item, *expression;
    size_t i, j;

    json_array_foreach (json_object_get(listing, "nftables"), i, item) {
        const json_t *rule = json_object_get(item, "rule");
        const char *comment =
            json_string_value(json_object_get(rule, "comment"));

        if (comment == NULL || strcmp(comment, name) != 0)
            continue;
        json_array_foreach (json_object_get(rule, "expr"), j, expression) {
            const json_t *counter = json_object_get(expression, "counter");

            if (counter != NULL)
                return json_integer_value(json_object_get(counter, "packets"));
        }
    }
    return -1;
}

/* Reads the counters of a node's rules; -1 packets: the rule is not there. */
static int
partition_count_node(struct fault *f, unsigned node, bool after,
                     struct error *err)
{
    struct partition *p = f->state;
    const char *const argv[] = {"nft",  "-j",     "list", "table",
                                "inet", p->table, NULL};
    json_t *listing;

    listing = partition_nft_json(&f->world->remotes[node], argv, err);
    if (listing == NULL)
        return -1;
    for (unsigned i = 0; i < p->rule_count; i++) {
        struct partition_rule *r = &p->rules[i];
        char name[32];

        if (r->node != node)
            continue;
        partition_rule_name(r, name, sizeof(name));
        *(after ? &r->packets_after : &r->packets_before) =
            partition_packets(listing, name);
    }
    json_decref(listing);
    return 0;
}

static int
partition_count_before(void *ctx, unsigned node, struct error *err)
{
    return partition_count_node(ctx, node, false, err);
}

static int
partition_count_after(void *ctx, unsigned node, struct error *err)
{
    return partition_count_node(ctx, node, true, err);
}

/* Each rule must have seen packets between the two readings. */
static enum proof
partition_judge_counters(struct fault *f)
{
    const struct partition *p = f->state;
    enum proof proof = PROOF_CONFIRMED;
    json_t *counters = json_object();

    for (unsigned i = 0; i < p->rule_count; i++) {
        const struct partition_rule *r = &p->rules[i];
        char rule[32], name[48];

        partition_rule_name(r, rule, sizeof(rule));
        snprintf(name, sizeof(name), "n%u %s", r->node + 1, rule);
        json_object_set_new(counters, name,
                            json_pack("[I, I]", (json_int_t)r->packets_before,
                                      (json_int_t)r->packets_after));
        if (r->packets_before < 0 || r->packets_after <= r->packets_before)
            proof = PROOF_MISMATCH;
    }
    json_object_set_new(f->evidence, "packets", counters);
    return proof;
}

static int
partition_prove_effect(struct fault *f, enum proof *ret, struct error *err)
{
    node_set nodes = partition_nodes(f->state, false);
    enum proof probes = PROOF_INCONCLUSIVE;

    if (fanout(nodes, partition_count_before, f, err) < 0 ||
        probe_prove_cut(f, partition_drops, &probes, err) < 0 ||
        fanout(nodes, partition_count_after, f, err) < 0)
        return -1;
    *ret = proof_merge(probes, partition_judge_counters(f));
    return 0;
}

struct partition_search {
    const struct fault *fault;
    bool present[NODE_COUNT_MAX];
};

/* Whether the node has the table. */
static int
partition_search_node(void *ctx, unsigned node, struct error *err)
{
    static const char *const argv[] = {"nft", "-j", "list", "tables", NULL};
    struct partition_search *search = ctx;
    const struct partition *p = search->fault->state;
    json_t *listing, *item;
    size_t i;

    listing =
        partition_nft_json(&search->fault->world->remotes[node], argv, err);
    if (listing == NULL)
        return -1;
    json_array_foreach (json_object_get(listing, "nftables"), i, item) {
        const char *name = json_string_value(
            json_object_get(json_object_get(item, "table"), "name"));

        search->present[node] |= name != NULL && strcmp(name, p->table) == 0;
    }
    json_decref(listing);
    return 0;
}

static int
partition_table_present(struct fault *f, bool *ret, struct error *err)
{
    struct partition_search search = {.fault = f};
    node_set all = node_set_all(f->world->cluster->node_count);

    if (fanout(all, partition_search_node, &search, err) < 0)
        return -1;
    *ret = false;
    for (unsigned node = 0; node < NODE_COUNT_MAX; node++)
        *ret |= search.present[node];
    return 0;
}

static int
partition_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    struct probe_matrix matrix;
    bool present;

    if (partition_table_present(f, &present, err) < 0)
        return -1;
    json_object_set_new(f->evidence, "rules_present", json_boolean(present));
    json_object_set_new(f->evidence, "network_gone",
                        json_boolean(f->world->network_gone));
    if (f->world->network_gone) {
        *ret = present ? PROOF_MISMATCH : PROOF_CONFIRMED;
        return 0;
    }
    if (probe_pairs(f->world, &matrix, err) < 0)
        return -1;
    *ret = probe_judge(f, &matrix, NULL);
    if (present)
        *ret = PROOF_MISMATCH;
    return 0;
}

static int
partition_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
                struct error *err)
{
    if (phase == FAULT_EFFECT)
        return partition_prove_effect(f, ret, err);
    return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, PARTITION_POLL_NS,
                             partition_look_healed, ret, err);
}

const struct fault_ops fault_partition_ops = {
    .name = "partition",
    .description = "nftables drop packets between nodes, by shape",
    .takes_nodes_down = true,
    .setup = partition_setup,
    .available = partition_available,
    .undo_record = partition_undo_record,
    .inject = partition_inject,
    .renew = partition_renew,
    .prove = partition_prove,
    .heal = partition_heal,
    .undo = partition_undo,
    .teardown = partition_teardown,
};
