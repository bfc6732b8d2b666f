/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of clients through the fabric: two hosts of clients and a node that
 * is a namespace port with a server that counts.  What a request came to is
 * what really happened, and each is on the wire once at most.
 */
#include "config.h"

#include <signal.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/provider/client-hosts.h"
#include "harness/provider/guest-files.h"
#include "nemesis/fabric/namespace-port.h"
#include "systems/http.h"
#include "tests/lib/tap.h"
#include "tests/lib/toy-server.h"

#define NODE 0u
#define HOSTS 2u
#define SHORT_NS (700 * NS_PER_MS)

struct fixture {
    struct client_hosts *hosts;
    struct namespace_port *node;
    struct fabric_switch *sw;
    struct cluster cluster;
    struct toy toy;
    struct http *http;
    struct error err;
};

static struct fixture f;
static char program[4096];

static int
make_node(struct switch_port_config *ret)
{
    struct namespace_port_config c = {.program = program,
                                      .prefix_bits = 24,
                                      .mtu = 1500,
                                      .address_count = 1,
                                      .neighbour_count = HOSTS};
    char text[GUEST_ADDRESS_SIZE];

    guest_mac(true, NODE, c.mac);
    guest_address(NODE, text);
    inet_pton(AF_INET, text, &c.addresses[0]);
    snprintf(f.cluster.nodes[NODE].cluster_address, 64, "%s", text);
    for (unsigned i = 0; i < HOSTS; i++) {
        guest_client_address(i, text);
        inet_pton(AF_INET, text, &c.neighbours[i].address);
        guest_client_mac(i, c.neighbours[i].mac);
    }
    f.node = namespace_port_new(&c, &f.err);
    if (f.node == NULL)
        return -1;
    *ret = (struct switch_port_config){.kind = SWITCH_PORT_PACKET,
                                       .fd = namespace_port_fd(f.node)};
    memcpy(ret->mac, c.mac, sizeof(ret->mac));
    return 0;
}

static int
setup(void)
{
    struct switch_port_config ports[1 + HOSTS];
    struct in_addr address;
    int fd;

    memset(&f, 0, sizeof(f));
    f.hosts = client_hosts_new(program, HOSTS, 1, &f.err);
    if (f.hosts == NULL || make_node(&ports[NODE]) < 0)
        return -1;
    client_hosts_ports(f.hosts, ports + 1);
    f.cluster.node_count = 1;
    f.cluster.clients = f.hosts;
    f.sw = switch_new(ports, 1 + HOSTS, &f.err);
    if (f.sw == NULL || switch_start(f.sw, &f.err) < 0)
        return -1;
    fd = namespace_port_socket(f.node, SOCK_STREAM, &f.err);
    inet_pton(AF_INET, f.cluster.nodes[NODE].cluster_address, &address);
    toy_start_on(&f.toy, fd, address);
    toy_set(&f.toy, TOY_ANSWER, 200, "{}");
    f.http = http_new(&f.err);
    return f.http == NULL ? -1 : 0;
}

static void
teardown(void)
{
    http_free(f.http);
    if (f.toy.port != 0)
        toy_stop(&f.toy);
    switch_free(f.sw);
    namespace_port_free(f.node);
    client_hosts_free(f.hosts);
}

static enum http_outcome
ask(uint16_t port, uint64_t client)
{
    struct http_request request = {
        .way = way_of_client(&f.cluster, NODE, port, client),
        .path = "/v1/command",
        .body = "{}",
        .timeout_ns = SHORT_NS};
    struct http_reply reply;

    http_call(f.http, &request, &reply);
    return reply.outcome;
}

/* Client i goes through host i mod HOSTS, and no other link. */
static void
test_clients_have_links_of_their_own(void)
{
    CHECK_INT(setup(), 0);
    for (uint64_t client = 0; client < 5; client++)
        CHECK_INT(ask(f.toy.port, client), HTTP_ANSWERED);
    CHECK_INT(atomic_load(&f.toy.requests), 5);
    for (unsigned host = 0; host < HOSTS; host++) {
        struct switch_link_stats there, back;

        switch_link_stats(f.sw, 1 + host, NODE, &there);
        switch_link_stats(f.sw, NODE, 1 + host, &back);
        CHECK(there.passed > 0 && back.passed > 0);
    }
    CHECK_OK(f.hosts->check(f.hosts, &f.err), &f.err);
    teardown();
}

/* A door would have accepted. */
static void
test_a_closed_port_refuses(void)
{
    CHECK_INT(setup(), 0);
    CHECK_INT(ask(1, 0), HTTP_REFUSED);
    CHECK_INT(atomic_load(&f.toy.requests), 0);
    teardown();
}

/* After the heal nothing arrives of what was given up: no connection was. */
static void
test_a_cut_way_is_silent_and_delivers_nothing_later(void)
{
    struct link_rule drop = {.drop = true};
    struct link_set links = {{0}};
    unsigned id;

    CHECK_INT(setup(), 0);
    link_set_add_both(&links, NODE, 1);
    CHECK_OK(switch_rule_add(f.sw, &links, &drop, &id, &f.err), &f.err);
    CHECK_INT(ask(f.toy.port, 0), HTTP_TIMEOUT);
    CHECK_INT(ask(f.toy.port, 1), HTTP_ANSWERED); /* the other host */
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    CHECK_INT(ask(f.toy.port, 0), HTTP_ANSWERED);
    CHECK(toy_idle(&f.toy));
    CHECK_INT(atomic_load(&f.toy.requests), 2);
    teardown();
}

/* No answer, or no way back for it: both are silence. */
static void
test_silence_is_in_doubt(void)
{
    struct link_rule drop = {.drop = true};
    struct link_set links = {{0}};
    unsigned id;

    CHECK_INT(setup(), 0);
    toy_set(&f.toy, TOY_SILENT, 200, "");
    CHECK_INT(ask(f.toy.port, 0), HTTP_TIMEOUT);
    link_set_add(&links, NODE, 1);
    CHECK_OK(switch_rule_add(f.sw, &links, &drop, &id, &f.err), &f.err);
    CHECK_INT(ask(f.toy.port, 0), HTTP_TIMEOUT);
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    CHECK_INT(atomic_load(&f.toy.requests), 1);
    teardown();
}

static void
test_a_reset_is_in_doubt(void)
{
    CHECK_INT(setup(), 0);
    toy_set(&f.toy, TOY_RESET, 200, "");
    for (uint64_t client = 0; client < 6; client++)
        CHECK_INT(ask(f.toy.port, client), HTTP_RESET);
    CHECK(toy_idle(&f.toy));
    CHECK_INT(atomic_load(&f.toy.requests), 6);
    CHECK_INT(atomic_load(&f.toy.connections), 6);
    teardown();
}

static bool
process_ends(pid_t pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/cmdline", (int)pid);

    for (int i = 0; i < 200; i++) {
        char byte;
        FILE *in = fopen(path, "re");
        bool alive = in != NULL && fread(&byte, 1, 1, in) == 1;

        if (in != NULL)
            fclose(in);
        if (!alive)
            return true; /* gone, or a zombie */
        poll(NULL, 0, 20);
    }
    return false;
}

/* Attempts fail for a reason of ours, and that is known. */
static void
test_a_host_whose_helper_died_is_our_fault(void)
{
    CHECK_INT(setup(), 0);
    kill(client_hosts_pid(f.hosts, 1), SIGKILL);
    CHECK(process_ends(client_hosts_pid(f.hosts, 1)));
    CHECK_INT(ask(f.toy.port, 0), HTTP_ANSWERED);
    CHECK_OK(f.hosts->check(f.hosts, &f.err), &f.err);
    CHECK_INT(ask(f.toy.port, 1), HTTP_REFUSED);
    CHECK(f.hosts->check(f.hosts, &f.err) < 0);
    printf("# %s\n", f.err.text);
    teardown();
}

/* No program stands for a machine that forbids namespaces. */
static void
test_where_it_is_not_possible_the_step_is_named(void)
{
    struct error err = {0};

    CHECK(client_hosts_new("/nonexistent", 1, 3, &err) == NULL);
    CHECK_INT(err.kind, ERROR_ENVIRONMENT);
    CHECK(strstr(err.text, "nonexistent") != NULL);
}

static void
test_without_hosts_clients_use_the_doors(void)
{
    struct cluster c = {.node_count = 1,
                        .nodes = {{.cluster_address = "10.77.0.11",
                                   .door_count = 1,
                                   .doors = {{7100, 17100}}}}};
    struct way w = way_of_client(&c, 0, 7100, 3);

    CHECK_STR(w.address, "127.0.0.1");
    CHECK_INT(w.port, 17100);
    CHECK(w.hosts == NULL);
    CHECK_INT(way_by_door(&c, 0, 7101).port, 0);
}

int
main(void)
{
    const char *dir = getenv("ORDEAL_BUILDDIR");

    signal(SIGPIPE, SIG_IGN);
    RUN(test_where_it_is_not_possible_the_step_is_named);
    RUN(test_without_hosts_clients_use_the_doors);
    snprintf(program, sizeof(program), "%s/" NAMESPACE_PROGRAM,
             dir == NULL ? "." : dir);
    if (setup() < 0) {
        SKIP(test_clients_have_links_of_their_own, f.err.text);
        teardown();
        return tap_done();
    }
    teardown();
    RUN(test_clients_have_links_of_their_own);
    RUN(test_a_closed_port_refuses);
    RUN(test_a_cut_way_is_silent_and_delivers_nothing_later);
    RUN(test_silence_is_in_doubt);
    RUN(test_a_reset_is_in_doubt);
    RUN(test_a_host_whose_helper_died_is_our_fault);
    return tap_done();
}
