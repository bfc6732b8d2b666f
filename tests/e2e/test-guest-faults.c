/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults that act inside a guest, on real guests with the replica: each
 * through inject, proof, heal, proof, and heal and proof again; one row each
 * with what its proofs saw.  And what the guests do when nobody renews a lease.
 *
 * Arguments: names of faults, to try these alone.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/provider/cluster.h"
#include "harness/provider/runtime-dir.h"
#include "harness/provider/supervise.h"
#include "nemesis/fault.h"
#include "systems/system.h"
#include "tests/lib/tap.h"
#include "vm-images/image.h"

#define NODES 3
#define READY_TIMEOUT_NS (60 * NS_PER_S)

static char *image_dir;

struct fixture {
    struct provider provider;
    struct cluster cluster;
    struct remote remotes[NODE_COUNT_MAX];
    struct fault_world world;
    char dir[RUNTIME_DIR_SIZE];
    struct error err;
};

static struct fixture f;
static char *const *wanted; /* NULL: all */

static const struct row {
    const char *fault, *params;
    node_set targets;
} rows[] = {
    {"clock-bump", "{\"step\":60000}", 1},
    {"clock-bump", "{\"step\":-3600000}", 2},
    {"clock-strobe", "{\"step\":5000,\"half_period\":\"300ms\"}", 1},
    {"clock-drift", "{\"ppm\":80000}", 1},
    {"clock-drift", "{\"ppm\":-50000}", 4},
    {"clock-freeze", "{}", 1},
    {"cpu-pressure", "{}", 1},
    {"memory-pressure", "{\"leave\":24}", 1},
    {"partition", "{\"shape\":\"majority\"}", 7},
    {"partition", "{\"shape\":\"random\"}", 7},
    {"partition", "{\"shape\":\"isolate-primary\"}", 7},
    {"netem", "{\"delay\":\"200ms\"}", 1},
    {"netem", "{\"loss\":0.4}", 2},
    {"disk-fill", "{}", 1},
    {"file-truncate", "{\"file\":\"log/mark\"}", 2},
    {"file-flip", "{\"file\":\"meta\",\"bits\":3}", 4},
    {"file-flip", "{\"file\":\"log/*.log\",\"heal\":\"restore\"}", 2},
    {"file-rollback", "{\"file\":\"log/mark\"}", 1},
};

/* ---- the cluster ---- */

static int
create(struct error *err)
{
    const struct system_ops *system = &system_replica_ops;
    struct cluster_spec spec = {.node_count = NODES,
                                .run_id = "e2e-guest",
                                .runtime_dir = f.dir,
                                .image_dir = image_dir,
                                .memory_mib = 192,
                                .vcpus = 1,
                                .data_disk_mib = 64,
                                .door_ports = system->door_ports,
                                .door_count = system->door_count};

    if (runtime_dir_create("e2e-guest", f.dir, err) < 0 ||
        provider_open(&f.provider, &provider_libvirt_ops, clock_monotonic(),
                      NULL, err) < 0)
        return -1;
    spec.runtime_dir = f.dir;
    if (provider_create(&f.provider, &spec, &f.cluster, err) < 0)
        return -1;
    for (unsigned i = 0; i < NODES; i++)
        remote_init(&f.remotes[i], f.provider.ops->remote,
                    &f.cluster.nodes[i].ssh, clock_monotonic());
    return 0;
}

static int
deploy(struct error *err)
{
    CLEANUP_FREE char *binary =
        xasprintf("%s/ordeal-replica", getenv("ORDEAL_BUILDDIR"));
    struct system_options options = {.binary = binary, .seed = 1};

    for (unsigned i = 0; i < NODES; i++) {
        struct system_node n = {
            .cluster = &f.cluster, .index = i, .remote = &f.remotes[i]};

        if (system_replica_ops.install(&n, &options, err) < 0 ||
            system_replica_ops.start(&n, err) < 0)
            return -1;
    }
    return 0;
}

/* Every node answers, and one of them is primary. */
static bool
ready(void *ctx)
{
    unsigned primaries = 0, answers = 0;

    for (unsigned i = 0; i < NODES; i++) {
        struct system_status status = {.role = ROLE_UNKNOWN};
        struct error err = {0};

        if (system_replica_ops.status(&f.cluster, i, NS_PER_S, &status, &err) <
            0)
            continue;
        primaries += status.role == ROLE_PRIMARY;
        answers += status.role == ROLE_PRIMARY || status.role == ROLE_BACKUP;
    }
    return primaries == 1 && answers == NODES;
}

static bool
await_ready(void)
{
    struct clock *clock = clock_monotonic();

    return clock_poll(clock, clock_now_ns(clock) + READY_TIMEOUT_NS,
                      200 * NS_PER_MS, ready, NULL);
}

static void
setup(void)
{
    static char *harm;

    harm = xasprintf("%s/ordeal-harm", getenv("ORDEAL_BUILDDIR"));
    CHECK_OK(create(&f.err), &f.err);
    CHECK_OK(deploy(&f.err), &f.err);
    f.world = (struct fault_world){.cluster = &f.cluster,
                                   .system = &system_replica_ops,
                                   .remotes = f.remotes,
                                   .clock = clock_monotonic(),
                                   .provider = &f.provider,
                                   .harm_program = harm};
    CHECK(await_ready());
}

static void
teardown(void)
{
    for (unsigned i = 0; i < NODES; i++)
        remote_close(&f.remotes[i]);
    CHECK_OK(provider_destroy(&f.provider, &f.err), &f.err);
    provider_close(&f.provider);
}

/* ---- something to write: an idle system's files do not change ---- */

static struct {
    pthread_t thread;
    atomic_bool stopping;
} ticking;

static void *
tick_thread(void *unused)
{
    struct error err = {0};
    struct client *client =
        system_replica_ops.client_new(&f.cluster, "allocator", 1, &err);

    (void)unused;
    for (int64_t slot = 1; client != NULL && !atomic_load(&ticking.stopping);
         slot++) {
        struct operation op = {.function = "tick"};
        struct attempt_result result;
        struct arena a;

        arena_init(&a);
        fields_set_int(&a, &op.args, "slot", slot);
        /* Whoever is not primary refuses. */
        for (unsigned node = 0; node < NODES; node++)
            client->ops->invoke(client, &op, node, NS_PER_S, &a, &result);
        arena_release(&a);
        clock_sleep_ns(clock_monotonic(), 200 * NS_PER_MS);
    }
    if (client != NULL)
        client->ops->free(client);
    return NULL;
}

static void
start_ticking(void)
{
    atomic_init(&ticking.stopping, false);
    CHECK(pthread_create(&ticking.thread, NULL, tick_thread, NULL) == 0);
}

static void
stop_ticking(void)
{
    atomic_store(&ticking.stopping, true);
    pthread_join(ticking.thread, NULL);
}

/* ---- a row ---- */

static void
show(const struct row *row, const char *what, const struct fault *fault,
     enum proof proof)
{
    char *evidence = json_dumps(fault->evidence, JSON_COMPACT);

    printf("# %-15s %-38s %-7s %-12s %.900s\n", row->fault, row->params, what,
           proof_name(proof), evidence);
    fflush(stdout);
    free(evidence);
}

static void
prove(const struct row *row, struct fault *fault, enum fault_phase phase,
      bool print)
{
    enum proof proof = fault_prove(fault, phase);

    if (print || proof != PROOF_CONFIRMED)
        show(row, phase == FAULT_EFFECT ? "effect" : "healed", fault, proof);
    CHECK_STR(proof_name(proof), proof_name(PROOF_CONFIRMED));
}

static void
begin(const struct row *row, struct fault *fault, int64_t lease_ns)
{
    json_t *params = json_loads(row->params, 0, NULL);

    CHECK(params != NULL && fault_find(row->fault) != NULL);
    CHECK(fault_available(fault_find(row->fault), &f.world));
    fault_init(fault, fault_find(row->fault), &f.world, params);
    json_decref(params);
    fault->targets = row->targets;
    fault->seed = 7;
    fault->lease_ns = lease_ns;
    CHECK_OK(fault_setup(fault, &f.err), &f.err);
    json_decref(fault_undo_record(fault));
    fault_journalled(fault);
    /* A failure is healed, so that it is the only one. */
    if (fault_inject(fault, &f.err) < 0) {
        struct error ignored = {0};

        fault_heal(fault, &ignored);
        CHECK_OK(-1, &f.err);
    }
}

static void
run_row(const struct row *row)
{
    int64_t start_ns = clock_now_ns(clock_monotonic());
    struct fault fault;

    begin(row, &fault, 120 * NS_PER_S);
    prove(row, &fault, FAULT_EFFECT, true);
    prove(row, &fault, FAULT_EFFECT, false);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(fault_heal(&fault, &f.err), &f.err);
        prove(row, &fault, FAULT_HEALED, i == 0);
    }
    fault_release(&fault);
    CHECK(await_ready());
    printf("# %-15s took %.1f s\n", row->fault,
           (double)(clock_now_ns(clock_monotonic()) - start_ns) / NS_PER_S);
}

static bool
is_wanted(const char *fault)
{
    for (size_t i = 0; wanted != NULL && wanted[i] != NULL; i++)
        if (strcmp(wanted[i], fault) == 0)
            return true;
    return wanted == NULL;
}

static void
test_every_row(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_wanted(rows[i].fault))
            run_row(&rows[i]);
}

/* ---- a driver that died ---- */

static const struct row abandoned[] = {
    {"pause", "{}", 1},
    {"partition", "{}", 2},
    {"clock-bump", "{\"step\":7200000}", 4},
};

/*
 * Nobody renews: a few seconds later the guests have healed, and say that it
 * was they.
 */
static void
test_guests_heal_themselves(void)
{
    struct fault faults[ARRAY_LEN(abandoned)];

    if (!is_wanted("self-heal"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(abandoned); i++)
        begin(&abandoned[i], &faults[i], 8 * NS_PER_S);
    for (unsigned i = 0; i < NODES; i++)
        remote_close(&f.remotes[i]);
    clock_sleep_ns(clock_monotonic(), 10 * NS_PER_S);
    for (unsigned i = 0; i < NODES; i++)
        remote_init(&f.remotes[i], f.provider.ops->remote,
                    &f.cluster.nodes[i].ssh, clock_monotonic());
    for (size_t i = 0; i < ARRAY_LEN(abandoned); i++) {
        unsigned node = abandoned[i].targets >> 1;

        prove(&abandoned[i], &faults[i], FAULT_HEALED, true);
        CHECK_OK(fault_renew(&faults[i], &f.err), &f.err);
        CHECK(faults[i].self_healed[node]);
        CHECK_OK(fault_heal(&faults[i], &f.err), &f.err);
        fault_release(&faults[i]);
    }
    CHECK(await_ready());
}

/* With a lease as short, but renewed, it stays. */
static void
test_renewal_keeps_it_going(void)
{
    struct fault faults[ARRAY_LEN(abandoned)];

    if (!is_wanted("self-heal"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(abandoned); i++)
        begin(&abandoned[i], &faults[i], 8 * NS_PER_S);
    for (int look = 0; look < 4; look++) {
        clock_sleep_ns(clock_monotonic(), 3 * NS_PER_S);
        for (size_t i = 0; i < ARRAY_LEN(abandoned); i++)
            CHECK_OK(fault_renew(&faults[i], &f.err), &f.err);
    }
    for (size_t i = 0; i < ARRAY_LEN(abandoned); i++) {
        unsigned node = abandoned[i].targets >> 1;

        CHECK(!faults[i].self_healed[node]);
        CHECK_OK(fault_heal(&faults[i], &f.err), &f.err);
        CHECK(!faults[i].self_healed[node]);
        fault_release(&faults[i]);
    }
    CHECK(await_ready());
}

static int
tests_main(void *arg)
{
    RUN(setup);
    RUN(start_ticking);
    RUN(test_every_row);
    RUN(test_guests_heal_themselves);
    RUN(test_renewal_keeps_it_going);
    RUN(stop_ticking);
    RUN(teardown);
    return tap_done();
}

int
main(int argc, char **argv)
{
    const char *given = getenv("ORDEAL_TEST_IMAGE");
    struct error err = {0};

    signal(SIGPIPE, SIG_IGN);
    if (given != NULL) {
        image_dir = xstrdup(given);
    } else if (image_path(&image_dir, &err) < 0) {
        printf("1..0 # SKIP no guest image: %s\n", err.text);
        return 0;
    }
    if (argc > 1)
        wanted = argv + 1;
    return supervise_main(tests_main, NULL);
}
