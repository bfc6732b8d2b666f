/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on real kernels' doings: nft rules between network namespaces, signals
 * to real processes, the timers' scripts in a real shell.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "nemesis/nemesis.h"
#include "tests/lib/fault-fixture.h"
#include "tests/lib/ns-guest.h"

static struct ns_cluster cluster;

static void
setup(struct fixture *f, const char *name, const char *params, node_set targets)
{
    *f = (struct fixture){.fake = NULL};
    fixture_ready(f, &cluster.world, name, params, targets);
    fixture_journal(f);
}

static void
teardown(struct fixture *f)
{
    fixture_end(f);
}

static void
inject(struct fixture *f)
{
    CHECK_OK(fault_inject(&f->fault, &f->err), &f->err);
    check_proof(f, FAULT_EFFECT, PROOF_CONFIRMED);
}

static void
check_all_open(void)
{
    for (unsigned a = 0; a < NS_NODES; a++)
        for (unsigned b = 0; b < NS_NODES; b++)
            CHECK(a == b || ns_datagram_passes(&cluster, a, b));
}

/* n1 is the target; 'in' and 'out' say what passes to and from it. */
static void
shape(const char *params, bool in, bool out)
{
    struct fixture f;

    check_all_open();
    setup(&f, "partition", params, 1);
    inject(&f);
    for (unsigned peer = 1; peer < NS_NODES; peer++) {
        CHECK(ns_datagram_passes(&cluster, peer, 0) == in);
        CHECK(ns_datagram_passes(&cluster, 0, peer) == out);
    }
    CHECK(ns_datagram_passes(&cluster, 1, 2));
    CHECK(ns_datagram_passes(&cluster, 2, 1));
    heal_twice(&f);
    check_all_open();
    teardown(&f);
}

static void
test_partition_is_available(void)
{
    CHECK(fault_available(fault_find("partition"), &cluster.world));
}

static void
test_isolate(void)
{
    shape("{}", false, false);
}

static void
test_one_way_in(void)
{
    shape("{\"shape\":\"one_way\",\"direction\":\"in\"}", false, true);
}

static void
test_one_way_out(void)
{
    shape("{\"shape\":\"one_way\",\"direction\":\"out\"}", true, false);
}

/* Half of the cluster or more on the target's side: rules go to the others. */
static void
test_halves_of_a_majority(void)
{
    struct fixture f;

    setup(&f, "partition", "{\"shape\":\"halves\"}", 6);
    inject(&f);
    CHECK(!ns_datagram_passes(&cluster, 0, 1));
    CHECK(!ns_datagram_passes(&cluster, 2, 0));
    CHECK(ns_datagram_passes(&cluster, 1, 2));
    heal_twice(&f);
    teardown(&f);
}

static void
test_isolate_two_of_three(void)
{
    struct fixture f;

    setup(&f, "partition", "{}", 6);
    inject(&f);
    for (unsigned a = 0; a < NS_NODES; a++)
        for (unsigned b = 0; b < NS_NODES; b++)
            CHECK(a == b || !ns_datagram_passes(&cluster, a, b));
    heal_twice(&f);
    check_all_open();
    teardown(&f);
}

/* ---- established flows ---- */

static bool
stream_passes(int from, int to)
{
    struct pollfd fd = {.fd = to, .events = POLLIN};
    char byte;

    CHECK_INT(send(from, "x", 1, MSG_NOSIGNAL), 1);
    return poll(&fd, 1, 500) == 1 && read(to, &byte, 1) == 1;
}

static void
test_established_flow_is_cut_and_goes_on(void)
{
    int listener = ns_socket(&cluster, 0, SOCK_STREAM);
    int client = ns_socket(&cluster, 1, SOCK_STREAM), server, on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(7101)};
    struct pollfd fd;
    struct fixture f;

    inet_pton(AF_INET, cluster.cluster.nodes[0].cluster_address,
              &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(listener, 8) == 0);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
    server = accept(listener, NULL, NULL);
    CHECK(server >= 0 && stream_passes(client, server));

    setup(&f, "partition", "{}", 1);
    inject(&f);
    CHECK(!stream_passes(client, server));
    heal_twice(&f);
    /* TCP sends again by itself: what was held back arrives. */
    fd = (struct pollfd){.fd = server, .events = POLLIN};
    CHECK_INT(poll(&fd, 1, 10000), 1);
    teardown(&f);
    close(server);
    close(client);
    close(listener);
}

/* ---- what happens behind our back ---- */

static int
run_on(unsigned node, const char *const argv[], struct error *err)
{
    return remote_run(&cluster.remotes[node], argv, err);
}

static void
test_vanished_rules_are_a_mismatch(void)
{
    static const char *const flush[] = {"nft", "flush", "ruleset", NULL};
    struct fixture f;

    setup(&f, "partition", "{}", 1);
    inject(&f);
    CHECK_OK(run_on(0, flush, &f.err), &f.err);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    heal_twice(&f);
    teardown(&f);
}

static void
test_other_tables_stay(void)
{
    static const char *const add[] = {"nft",  "add",    "table",
                                      "inet", "theirs", NULL};
    static const char *const list[] = {"nft",  "list",   "table",
                                       "inet", "theirs", NULL};
    static const char *const delete[] = {"nft",  "delete", "table",
                                         "inet", "theirs", NULL};
    struct fixture f;

    setup(&f, "partition", "{}", 1);
    CHECK_OK(run_on(0, add, &f.err), &f.err);
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    CHECK_OK(run_on(0, list, &f.err), &f.err);
    CHECK_OK(run_on(0, delete, &f.err), &f.err);
    teardown(&f);
}

/* ---- a dead driver ---- */

static void
test_undo_from_the_record(void)
{
    struct fixture f;
    json_t *undo;

    *(&f) = (struct fixture){.params = json_object()};
    fault_init(&f.fault, fault_find("partition"), &cluster.world, f.params);
    f.fault.targets = 1;
    CHECK_OK(fault_setup(&f.fault, &f.err), &f.err);
    undo = fault_undo_record(&f.fault);
    fault_journalled(&f.fault);
    inject(&f);
    for (int i = 0; i < 2; i++)
        CHECK_OK(fault_undo(&cluster.world, undo, &f.err), &f.err);
    check_all_open();
    json_decref(undo);
    teardown(&f);
}

static bool
passes_to_n1(void *ctx)
{
    return ns_datagram_passes(&cluster, 1, 0);
}

static void
test_partition_heals_itself(void)
{
    struct clock *clock = clock_monotonic();
    struct fixture f;

    setup(&f, "partition", "{}", 1);
    f.fault.lease_ns = 3 * NS_PER_S;
    inject(&f);
    CHECK(clock_poll(clock, clock_now_ns(clock) + 10 * NS_PER_S,
                     200 * NS_PER_MS, passes_to_n1, NULL));
    check_all_open();
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    heal_twice(&f);
    CHECK_INT(cluster.guests[0].timer_status, 3);
    teardown(&f);
}

static void
test_disarmed_timer_ends_at_once(void)
{
    struct clock *clock = clock_monotonic();
    struct fixture f;
    int64_t before;

    setup(&f, "partition", "{}", 1);
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    before = clock_now_ns(clock);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    CHECK(clock_now_ns(clock) - before < 5 * NS_PER_S);
    CHECK_INT(cluster.guests[0].timer, -1);
    CHECK_INT(cluster.guests[0].timer_status, 0);
    teardown(&f);
}

/* ---- processes ---- */

static void
test_kill(void)
{
    struct fixture f;
    pid_t before = cluster.guests[1].daemon;

    setup(&f, "kill", "{}", 2);
    inject(&f);
    CHECK_INT(cluster.guests[1].daemon, 0);
    heal_twice(&f);
    CHECK(cluster.guests[1].daemon > 0 && cluster.guests[1].daemon != before);
    teardown(&f);
}

static void
test_stop(void)
{
    struct fixture f;

    setup(&f, "stop", "{}", 7);
    inject(&f);
    heal_twice(&f);
    teardown(&f);
}

static void
test_pause(void)
{
    struct fixture f;
    pid_t before = cluster.guests[2].daemon;

    setup(&f, "pause", "{}", 4);
    inject(&f);
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    heal_twice(&f);
    CHECK_INT(cluster.guests[2].daemon, before);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

static bool
daemon_goes_on(void *ctx)
{
    struct system_status status = {.role = ROLE_UNKNOWN};
    struct error err;

    return cluster.world.system->status(&cluster.cluster, 2, NS_PER_S, &status,
                                        &err) == 0 &&
           status.role != ROLE_UNKNOWN;
}

static void
test_pause_heals_itself(void)
{
    struct clock *clock = clock_monotonic();
    struct fixture f;

    setup(&f, "pause", "{}", 4);
    f.fault.lease_ns = 2 * NS_PER_S;
    inject(&f);
    CHECK(clock_poll(clock, clock_now_ns(clock) + 10 * NS_PER_S,
                     100 * NS_PER_MS, daemon_goes_on, NULL));
    heal_twice(&f);
    CHECK_INT(cluster.guests[2].timer_status, 3);
    teardown(&f);
}

/* ---- all of it, in real time ---- */

static void
test_a_plan(void)
{
    static const char *const text =
        "{\"start_after\":\"0s\",\"interval\":\"1s\",\"faults\":["
        "{\"fault\":\"kill\",\"target\":\"primary\",\"duration\":\"200ms\"},"
        "{\"fault\":\"pause\",\"target\":\"one\",\"duration\":\"200ms\"},"
        "{\"fault\":\"partition\",\"duration\":\"1s\"}]}";
    char path[] = "/tmp/ordeal-net-XXXXXX";
    json_t *schedule = json_loads(text, 0, NULL);
    struct nemesis_options options = {.world = &cluster.world};
    struct nemesis_summary s;
    struct error err = {0};
    struct nemesis *nemesis;
    struct plan plan;
    int fd = mkstemp(path);

    CHECK(schedule != NULL && fd >= 0);
    close(fd);
    CHECK_OK(plan_build(schedule, 3, 8 * NS_PER_S, NS_NODES, &plan, &err),
             &err);
    json_decref(schedule);
    CHECK(plan.entry_count >= 4);
    CHECK_OK(nemesis_check(&cluster.world, &plan, &err), &err);
    options.plan = &plan;
    options.journal = journal_open(path, &err);
    CHECK(options.journal != NULL);
    nemesis = nemesis_new(&options);
    nemesis_run(nemesis);
    nemesis_summary(nemesis, &s);
    printf("# %u planned, %u confirmed, %u skipped\n", s.planned, s.confirmed,
           s.skipped);
    CHECK(s.confirmed >= 3);
    CHECK_INT(s.mismatch + s.inconclusive + s.under_way, 0);
    CHECK_INT(s.confirmed + s.skipped, s.planned);
    check_all_open();
    nemesis_free(nemesis);
    journal_close(options.journal);
    plan_release(&plan);
    unlink(path);
}

int
main(void)
{
    const char *reason = ns_cluster_make(&cluster);

    if (reason != NULL) {
        printf("1..0 # SKIP %s\n", reason);
        return 0;
    }
    RUN(test_partition_is_available);
    RUN(test_isolate);
    RUN(test_one_way_in);
    RUN(test_one_way_out);
    RUN(test_halves_of_a_majority);
    RUN(test_isolate_two_of_three);
    RUN(test_established_flow_is_cut_and_goes_on);
    RUN(test_vanished_rules_are_a_mismatch);
    RUN(test_other_tables_stay);
    RUN(test_undo_from_the_record);
    RUN(test_partition_heals_itself);
    RUN(test_disarmed_timer_ends_at_once);
    RUN(test_kill);
    RUN(test_stop);
    RUN(test_pause);
    RUN(test_pause_heals_itself);
    RUN(test_a_plan);
    ns_cluster_end(&cluster);
    return tap_done();
}
