/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults of the fabric through their whole contract, on three nodes that
 * are namespace ports of a switch: real kernels, real connects and pings.
 */
#include "config.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "harness/base/arena.h"
#include "harness/base/process.h"
#include "harness/provider/client-hosts.h"
#include "harness/provider/guest-files.h"
#include "nemesis/fabric/namespace-port.h"
#include "nemesis/fabric/switch.h"
#include "nemesis/fault.h"
#include "nemesis/target.h"
#include "tests/lib/fault-fixture.h"

#define NODES 3
#define CLIENTS 2
#define STATIONS (NODES + CLIENTS)
#define ARGV_MAX 48

struct nodes {
    struct cluster cluster;
    struct remote remotes[NODES];
    struct namespace_port *ports[NODES];
    struct client_hosts *clients;
    struct fabric_switch *sw;
    struct fault_world world;
    bool unreachable; /* remotes fail */
};

static struct nodes nodes;

/* ---- nodes ---- */

static int
node_exec(struct remote *r, const char *const argv[],
          const struct exec_options *options, struct exec_result *ret,
          struct error *err)
{
    struct process_options o = {
        .input = options->input,
        .input_len = options->input == NULL ? 0 : strlen(options->input),
        .output_max = 65536};
    const char *all[ARGV_MAX];
    struct process_result result;
    char pid[16];
    size_t count = 0;

    if (nodes.unreachable)
        return error_set(err, ERROR_TRANSIENT, "unreachable");
    snprintf(pid, sizeof(pid), "%d",
             (int)namespace_port_pid(*(struct namespace_port **)r->state));
    for (const char *const *a =
             (const char *const[]){"nsenter", "--target", pid, "--user",
                                   "--net", "--preserve-credentials", "--",
                                   NULL};
         *a != NULL; a++)
        all[count++] = *a;
    for (size_t i = 0; argv[i] != NULL && count + 1 < ARGV_MAX; i++)
        all[count++] = argv[i];
    all[count] = NULL;
    process_result_init(&result);
    if (process_run(all, &o, clock_now_ns(r->clock) + 30 * NS_PER_S, &result,
                    err) < 0) {
        process_result_release(&result);
        return -1;
    }
    buf_append(&ret->out, result.out.data, result.out.len);
    buf_append(&ret->err, result.err.data, result.err.len);
    ret->status = result.status;
    process_result_release(&result);
    return 0;
}

static void
node_close(struct remote *r)
{
    r->state = NULL;
}

static const struct remote_ops node_remote_ops = {
    .name = "namespace-port", .exec = node_exec, .close = node_close};

/* Nodes, and behind them hosts of clients, have the addresses of guests. */
static void
station_address(unsigned i, struct in_addr *ret_address, uint8_t ret_mac[6])
{
    char text[GUEST_ADDRESS_SIZE];

    if (i < NODES) {
        guest_address(i, text);
        guest_mac(true, i, ret_mac);
    } else {
        guest_client_address(i - NODES, text);
        guest_client_mac(i - NODES, ret_mac);
    }
    inet_pton(AF_INET, text, ret_address);
}

/* n1 says that it is primary. */
static int
node_status(const struct cluster *c, unsigned node, int64_t timeout_ns,
            struct system_status *ret, struct error *err)
{
    *ret =
        (struct system_status){.role = node == 0 ? ROLE_PRIMARY : ROLE_BACKUP};
    return 0;
}

static const uint16_t node_client_ports[] = {7100};

/* Nothing listens there: a refusal shows that packets pass. */
static const struct system_ops node_system = {.name = "none",
                                              .door_ports = node_client_ports,
                                              .door_count = 1,
                                              .status = node_status,
                                              .peer_port = 7101};

static int
nodes_make_port(unsigned i, const char *program, struct switch_port_config *ret,
                struct error *err)
{
    struct namespace_port_config c = {
        .program = program, .prefix_bits = 24, .mtu = 1500, .address_count = 1};
    struct node *n = &nodes.cluster.nodes[i];

    station_address(i, &c.addresses[0], c.mac);
    for (unsigned k = 0; k < STATIONS; k++)
        if (k != i) {
            struct namespace_neighbour *to = &c.neighbours[c.neighbour_count++];

            station_address(k, &to->address, to->mac);
        }
    nodes.ports[i] = namespace_port_new(&c, err);
    if (nodes.ports[i] == NULL)
        return -1;
    ret->kind = SWITCH_PORT_PACKET;
    ret->fd = namespace_port_fd(nodes.ports[i]);
    memcpy(ret->mac, c.mac, sizeof(ret->mac));
    snprintf(n->name, sizeof(n->name), "n%u", i + 1);
    inet_ntop(AF_INET, &c.addresses[0], n->cluster_address,
              sizeof(n->cluster_address));
    n->ssh.node = n->name;
    remote_init(&nodes.remotes[i], &node_remote_ops, &n->ssh,
                clock_monotonic());
    nodes.remotes[i].state = &nodes.ports[i];
    return 0;
}

static int
nodes_make(const char *program, struct error *err)
{
    struct switch_port_config config[STATIONS] = {0};
    static const char *const works[] = {"/bin/busybox", "true", NULL};
    struct exec_result result;

    nodes.cluster.node_count = NODES;
    for (unsigned i = 0; i < NODES; i++)
        if (nodes_make_port(i, program, &config[i], err) < 0)
            return -1;
    nodes.clients = client_hosts_new(program, CLIENTS, NODES, err);
    if (nodes.clients == NULL)
        return -1;
    client_hosts_ports(nodes.clients, config + NODES);
    nodes.cluster.clients = nodes.clients;
    nodes.sw = switch_new(config, STATIONS, err);
    if (nodes.sw == NULL || switch_start(nodes.sw, err) < 0)
        return -1;
    nodes.world = (struct fault_world){.cluster = &nodes.cluster,
                                       .system = &node_system,
                                       .remotes = nodes.remotes,
                                       .clock = clock_monotonic(),
                                       .fabric = nodes.sw};
    exec_result_init(&result);
    if (node_exec(&nodes.remotes[0], works, &(struct exec_options){0}, &result,
                  err) < 0)
        return -1;
    if (result.status != 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "nsenter or busybox does not work: %.200s",
                         buf_text(&result.err));
    exec_result_release(&result);
    return 0;
}

static void
nodes_end(void)
{
    switch_free(nodes.sw);
    for (unsigned i = 0; i < NODES; i++)
        namespace_port_free(nodes.ports[i]);
    client_hosts_free(nodes.clients);
}

/* ---- faults ---- */

static void
setup(struct fixture *f, const char *name, const char *params, node_set targets)
{
    *f = (struct fixture){.fake = NULL};
    fixture_ready(f, &nodes.world, name, params, targets);
    f->fault.seed = 5;
    fixture_journal(f);
}

static void
teardown(struct fixture *f)
{
    fixture_end(f);
}

static const struct {
    const char *fault, *params;
    node_set targets;
} matrix[] = {
    {"net-drop", "{}", 1},
    {"net-drop", "{\"direction\": \"in\"}", 2},
    {"net-drop", "{\"shape\": \"group\"}", 6},
    {"net-drop", "{\"shape\": \"halves\"}", 7},
    {"net-drop", "{\"shape\": \"one\", \"links\": \"all\"}", 7},
    {"net-drop", "{\"shape\": \"minority\"}", 7},
    {"net-drop", "{\"shape\": \"majority\"}", 7},
    {"net-drop", "{\"shape\": \"bridge\"}", 7},
    {"net-drop", "{\"shape\": \"isolate-primary\"}", 7},
    {"net-drop", "{\"shape\": \"isolate-primary\", \"links\": \"all\"}", 7},
    {"net-drop", "{\"shape\": \"one-way\", \"direction\": \"out\"}", 7},
    {"net-drop", "{\"shape\": \"random\", \"links\": \"all\"}", 7},
    {"net-drop", "{\"links\": \"clients\"}", 1},
    {"net-drop", "{\"links\": \"clients\", \"direction\": \"in\"}", 4},
    {"net-drop", "{\"traffic\": \"peer-port\"}", 1},
    {"net-drop", "{\"traffic\": \"client-port\", \"links\": \"clients\"}", 1},
    {"net-delay", "{\"delay\": \"100ms\"}", 1},
    {"net-delay",
     "{\"delay\": \"60ms\", \"jitter\": \"30ms\", \"distribution\": "
     "\"normal\", \"direction\": \"out\", \"waiting\": \"drop\", "
     "\"links\": \"all\"}",
     2},
    {"net-loss", "{\"loss\": 0.3, \"burst\": 2}", 1},
    {"net-duplicate", "{\"duplicate\": 0.3, \"direction\": \"in\"}", 1},
    {"net-corrupt", "{\"corrupt\": 0.3, \"links\": \"clients\"}", 2},
    {"net-corrupt", "{\"corrupt\": 0.3, \"fix_checksums\": true}", 2},
    {"net-reorder", "{\"reorder\": 0.2}", 1},
    {"net-rate", "{\"rate\": 500000}", 1},
};

/* The first frame arrives: a port is ready when it was made. */
static void
test_the_first_ping_is_answered(void)
{
    static const char *const ping[] = {"/bin/busybox", "ping", "-c", "1",
                                       "10.77.0.12",   NULL};
    struct exec_result result;
    struct error err;

    exec_result_init(&result);
    CHECK_OK(node_exec(&nodes.remotes[0], ping, &(struct exec_options){0},
                       &result, &err),
             &err);
    CHECK_INT(result.status, 0);
    exec_result_release(&result);
}

static void
matrix_row(size_t i)
{
    struct fixture f;

    setup(&f, matrix[i].fault, matrix[i].params, matrix[i].targets);
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED); /* just before the heal */
    for (int again = 0; again < 2; again++) {
        CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
        check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    }
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

static void
test_matrix_of_the_fabrics_faults(void)
{
    const struct fault_ops *const *all = fault_all();

    for (size_t i = 0; i < ARRAY_LEN(matrix); i++)
        matrix_row(i);
    for (size_t i = 0; all[i] != NULL; i++) {
        size_t row = 0;

        if (strncmp(all[i]->name, "net-", 4) != 0)
            continue;
        CHECK(fault_available(all[i], &nodes.world));
        while (row < ARRAY_LEN(matrix) &&
               strcmp(matrix[row].fault, all[i]->name) != 0)
            row++;
        CHECK(row < ARRAY_LEN(matrix));
    }
}

/* A rule that is gone behind the fault's back is seen. */
static void
test_a_rule_that_vanished_is_a_mismatch(void)
{
    struct fixture f;

    setup(&f, "net-delay", "{\"delay\": \"100ms\"}", 1);
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    for (unsigned id = 1; id < 1000; id++)
        switch_rule_remove(nodes.sw, id, SWITCH_PURGE);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    teardown(&f);
}

/* Another's rule that cuts more than was asked for is seen as well. */
static void
test_a_cut_that_nobody_ordered_is_a_mismatch(void)
{
    struct link_set other = {{0}};
    struct link_rule drop = {.drop = true};
    struct fixture f;
    unsigned id;

    setup(&f, "net-drop", "{}", 1);
    link_set_add(&other, 1, 2);
    CHECK_OK(switch_rule_add(nodes.sw, &other, &drop, &id, &f.err), &f.err);
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    CHECK(switch_rule_remove(nodes.sw, id, SWITCH_PURGE));
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

static void
test_nodes_that_cannot_be_asked_are_inconclusive(void)
{
    static const char *const faults[][2] = {
        {"net-drop", "{}"}, {"net-delay", "{\"delay\": \"50ms\"}"}};

    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct fixture f;

        setup(&f, faults[i][0], faults[i][1], 1);
        CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
        nodes.unreachable = true;
        check_proof(&f, FAULT_EFFECT, PROOF_INCONCLUSIVE);
        nodes.unreachable = false;
        CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
        check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
        teardown(&f);
    }
}

static void
test_after_the_drivers_death_nothing_is_left_to_undo(void)
{
    struct fault_world dead = nodes.world;
    struct fixture f = {.params = json_object()};
    json_t *record;

    dead.fabric = NULL; /* 'recover' has none */
    fault_init(&f.fault, fault_find("net-drop"), &nodes.world, f.params);
    f.fault.targets = 3;
    CHECK_OK(fault_setup(&f.fault, &f.err), &f.err);
    record = fault_undo_record(&f.fault);
    CHECK_OK(fault_undo(&dead, record, &f.err), &f.err);
    json_object_set_new(record, "nodes", json_pack("[s]", "n99"));
    CHECK(fault_undo(&dead, record, &f.err) < 0);
    CHECK(!fault_available(fault_find("net-drop"), &dead));
    json_decref(record);
    teardown(&f);
}

static void
test_bad_params_are_refused(void)
{
    static const char *const bad[][2] = {
        {"net-drop", "{\"shape\": \"triangle\"}"},
        {"net-drop", "{\"shape\": \"random\", \"direction\": \"in\"}"},
        {"net-drop", "{\"loss\": 0.5}"},
        {"net-drop", "{\"seed\": 5}"},
        {"net-drop", "{\"links\": \"some\"}"},
        {"net-drop", "{\"traffic\": \"client-port\"}"},
        {"net-drop", "{\"traffic\": \"peer-port\", \"links\": \"all\"}"},
        {"net-loss", "{\"loss\": 0.5, \"shape\": \"one\"}"},
        {"net-delay", "{}"},
        {"net-delay", "{\"delay\": \"1ms\"}"},
        {"net-delay", "{\"delay\": \"50ms\", \"jitter\": \"60ms\"}"},
        {"net-delay", "{\"delay\": \"50ms\", \"distribution\": \"odd\"}"},
        {"net-delay",
         "{\"delay\": \"50ms\", \"jitter\": \"5ms\", \"distribution\": "
         "\"constant\"}"},
        {"net-loss", "{}"},
        {"net-loss", "{\"loss\": 0.01}"},
        {"net-loss", "{\"loss\": 0.5, \"burst\": 0}"},
        {"net-duplicate", "{\"duplicate\": 2}"},
        {"net-corrupt", "{\"corrupt\": \"much\"}"},
        {"net-corrupt", "{\"corrupt\": 0.5, \"fix_checksums\": 1}"},
        {"net-corrupt",
         "{\"corrupt\": 0.5, \"fix_checksums\": true, \"links\": \"all\"}"},
        {"net-reorder", "{\"hold\": \"200ms\"}"},
        {"net-reorder", "{\"reorder\": 0.5, \"hold\": \"10ms\"}"},
        {"net-rate", "{}"},
        {"net-rate", "{\"rate\": 1000}"},
        {"net-rate", "{\"rate\": 100000, \"queue\": \"1m\"}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *params = json_loads(bad[i][1], 0, NULL);
        struct error err = {0};

        CHECK(fault_check_params(fault_find(bad[i][0]), params, &err) < 0);
        CHECK_INT(err.kind, ERROR_CONFIG);
        json_decref(params);
    }
}

/* Where clients have no links of their own it is not set up at all. */
static void
test_links_of_clients_need_hosts(void)
{
    struct cluster without = nodes.cluster;
    struct fault_world world = nodes.world;
    struct fixture f = {.params = json_pack("{s:s}", "links", "clients")};

    without.clients = NULL;
    world.cluster = &without;
    fault_init(&f.fault, fault_find("net-drop"), &world, f.params);
    f.fault.targets = 1;
    CHECK(fault_setup(&f.fault, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_ENVIRONMENT);
    teardown(&f);
}

/* The links of the shape that 'seed' draws. */
static json_t *
drawn_probes(uint64_t seed)
{
    struct fixture f;
    json_t *probes;

    setup(&f, "net-drop", "{\"shape\": \"random\", \"links\": \"all\"}", 7);
    f.fault.seed = seed;
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    probes = json_incref(json_object_get(f.fault.evidence, "probes"));
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    teardown(&f);
    return probes;
}

static void
test_the_faults_seed_draws_the_shape(void)
{
    json_t *one = drawn_probes(7), *again = drawn_probes(7);
    json_t *other = drawn_probes(8);

    CHECK(json_equal(one, again));
    CHECK(!json_equal(one, other));
    json_decref(one);
    json_decref(again);
    json_decref(other);
}

static void
test_what_has_no_link_fails(void)
{
    static const struct {
        const char *params;
        node_set targets;
    } bad[] = {{"{\"shape\": \"group\"}", 7},
               {"{\"shape\": \"bridge\"}", 3},
               {"{\"shape\": \"majority\", \"links\": \"clients\"}", 7},
               {"{\"shape\": \"majorities-ring\"}", 7}}; /* 4 nodes */

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct fixture f;

        setup(&f, "net-drop", bad[i].params, bad[i].targets);
        CHECK(fault_inject(&f.fault, &f.err) < 0);
        CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
        teardown(&f);
    }
}

int
main(void)
{
    const char *dir = getenv("ORDEAL_BUILDDIR");
    char program[4096];
    struct error err = {0};

    RUN(test_bad_params_are_refused);
    snprintf(program, sizeof(program), "%s/" NAMESPACE_PROGRAM,
             dir == NULL ? "." : dir);
    if (nodes_make(program, &err) < 0) {
        SKIP(test_matrix_of_the_fabrics_faults, err.text);
        nodes_end();
        return tap_done();
    }
    RUN(test_the_first_ping_is_answered);
    RUN(test_matrix_of_the_fabrics_faults);
    RUN(test_a_rule_that_vanished_is_a_mismatch);
    RUN(test_a_cut_that_nobody_ordered_is_a_mismatch);
    RUN(test_nodes_that_cannot_be_asked_are_inconclusive);
    RUN(test_after_the_drivers_death_nothing_is_left_to_undo);
    RUN(test_what_has_no_link_fails);
    RUN(test_links_of_clients_need_hosts);
    RUN(test_the_faults_seed_draws_the_shape);
    nodes_end();
    return tap_done();
}
