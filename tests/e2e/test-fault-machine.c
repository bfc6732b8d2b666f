/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every fault of machines and data disks through its whole contract, on one
 * cluster of three guests under the reference replica: inject, proof, proof
 * again, heal, proof, heal, proof.  One row a fault, with the proof.
 *
 *   test-fault-machine [FAULT...]     only these
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/deploy.h"
#include "harness/paths.h"
#include "harness/provider/orphans.h"
#include "harness/provider/runtime-dir.h"
#include "harness/provider/supervise.h"
#include "harness/site.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"
#include "tests/lib/tap.h"
#include "vm-images/image.h"

#define NODES 3
#define READY_NS (90 * NS_PER_S)

static struct {
    struct site site;
    struct fault_world world;
    char *image_dir, *replica;
    const char *const *only;
    struct error err;
} f;

/* ---- the cluster ---- */

static int
cluster_make(void)
{
    struct site_options o = {.provider = &provider_libvirt_ops,
                             .system = &system_replica_ops,
                             .run_id = "e2e-fault",
                             .image_dir = f.image_dir,
                             .node_count = NODES,
                             .memory_mib = 256,
                             .vcpus = 1,
                             .data_disk_mib = 256};
    struct system_options system = {.binary = f.replica, .seed = 1};
    unsigned primary;

    if (site_open(&f.site, &o, clock_monotonic(), &f.err) < 0 ||
        deploy_start(&f.site.cluster, o.system, &system, f.site.remotes,
                     &f.err) < 0 ||
        deploy_wait_ready(&f.site.cluster, o.system, f.site.clock, READY_NS,
                          NULL, &primary, &f.err) < 0)
        return -1;
    f.world = (struct fault_world){.cluster = &f.site.cluster,
                                   .system = o.system,
                                   .remotes = f.site.remotes,
                                   .clock = f.site.clock,
                                   .provider = &f.site.provider,
                                   .fabric = provider_fabric(&f.site.provider)};
    return 0;
}

/* Until the system is whole again: the next row needs its daemons. */
static void
cluster_wait(void)
{
    unsigned primary;

    CHECK_OK(deploy_wait_ready(&f.site.cluster, f.world.system, f.site.clock,
                               READY_NS, NULL, &primary, &f.err),
             &f.err);
}

/* ---- the matrix ---- */

static const struct {
    const char *fault, *params;
    node_set targets;
} matrix[] = {
    {"vm-pause", "{}", 1},
    {"vm-throttle", "{\"percent\":20}", 2},
    {"vm-balloon", "{\"memory\":128}", 4},
    {"vm-link-down", "{}", 1},
    {"vm-reset", "{}", 2},
    {"vm-nmi", "{}", 4},
    {"vm-rollback", "{\"age\":\"1s\"}", 2},
    {"disk-slow", "{\"delay\":\"100ms\"}", 1},
    {"disk-stall", "{}", 2},
    {"disk-stall", "{\"kind\":\"read\"}", 2},
    {"disk-lying-flush", "{}", 4},
    {"disk-corrupt", "{}", 1},
    {"disk-stale", "{}", 2},
    {"disk-corrupt",
     "{\"path\":\"/data/replica/log/*.log\","
     "\"block\":\"first\"}",
     4},
    {"disk-error", "{\"kind\":\"read\"}", 1},
    {"disk-error", "{\"kind\":\"write\",\"count\":1}", 2},
    {"disk-error", "{\"kind\":\"flush\"}", 4},
    {"disk-full", "{}", 1},
    {"power-cut", "{\"flush_latency\":\"20ms\"}", 1},
    {"power-cut", "{\"policy\":\"tear\"}", 6},
};

static void
row_prove(struct fault *fault, enum fault_phase phase, const char *what)
{
    int64_t start = clock_now_ns(f.site.clock);
    enum proof proof = fault_prove(fault, phase);
    char *evidence = json_dumps(fault->evidence, JSON_COMPACT);

    printf("# %-16s %-14s %-9s %4.1f s %.1000s\n", fault->ops->name, what,
           proof_name(proof),
           (double)(clock_now_ns(f.site.clock) - start) / NS_PER_S, evidence);
    fflush(stdout);
    free(evidence);
    CHECK_STR(proof_name(proof), "confirmed");
}

/* 400 KiB past the page cache, and no flush: something to lose, unless the
 * file system's own commit, every 5 s, comes before the cut. */
static void
row_write(node_set targets)
{
    const char *argv[] = {"sh", "-c",
                          "dd if=/dev/zero of=/data/lost bs=4096 count=100\n"
                          "sync\n"
                          "tr '\\0' x </dev/zero | dd iflag=fullblock bs=4096 "
                          "count=100 of=/data/lost conv=notrunc oflag=direct",
                          NULL};

    for (unsigned i = 0; i < NODES; i++)
        if (targets >> i & 1)
            CHECK_OK(remote_run(&f.site.remotes[i], argv, &f.err), &f.err);
}

static void
row_run(size_t i)
{
    json_t *params = json_loads(matrix[i].params, 0, NULL);
    struct fault fault;
    json_t *undo;

    CHECK(params != NULL);
    CHECK(fault_available(fault_find(matrix[i].fault), &f.world));
    fault_init(&fault, fault_find(matrix[i].fault), &f.world, params);
    fault.targets = matrix[i].targets;
    fault.seed = i + 1;
    CHECK_OK(fault_setup(&fault, &f.err), &f.err);
    undo = fault_undo_record(&fault);
    fault_journalled(&fault);
    if (strcmp(matrix[i].fault, "power-cut") == 0)
        row_write(matrix[i].targets);
    CHECK_OK(fault_inject(&fault, &f.err), &f.err);
    row_prove(&fault, FAULT_EFFECT, "effect");
    row_prove(&fault, FAULT_EFFECT, "before heal");
    CHECK_OK(fault_heal(&fault, &f.err), &f.err);
    row_prove(&fault, FAULT_HEALED, "healed");
    CHECK_OK(fault_heal(&fault, &f.err), &f.err);
    row_prove(&fault, FAULT_HEALED, "healed twice");
    json_decref(undo);
    fault_release(&fault);
    json_decref(params);
    cluster_wait();
}

static bool
row_wanted(const char *fault)
{
    for (const char *const *only = f.only; *only != NULL; only++)
        if (strcmp(*only, fault) == 0)
            return true;
    return f.only[0] == NULL;
}

static void
test_matrix_of_machines_and_disks(void)
{
    CHECK_OK(cluster_make(), &f.err);
    for (size_t i = 0; f.err.kind == ERROR_NONE && i < ARRAY_LEN(matrix); i++)
        if (row_wanted(matrix[i].fault))
            row_run(i);
}

static void
test_every_fault_has_a_row(void)
{
    const struct fault_ops *const *all = fault_all();

    for (size_t i = 0; all[i] != NULL; i++) {
        const char *name = all[i]->name;
        size_t row = 0;

        /* disk-fill fills the file system from inside. */
        if ((strncmp(name, "vm-", 3) != 0 && strncmp(name, "disk-", 5) != 0 &&
             strcmp(name, "power-cut") != 0) ||
            strcmp(name, "disk-fill") == 0)
            continue;
        while (row < ARRAY_LEN(matrix) && strcmp(matrix[row].fault, name) != 0)
            row++;
        if (row == ARRAY_LEN(matrix))
            printf("# no row: %s\n", name);
        CHECK(row < ARRAY_LEN(matrix));
    }
}

static int
tests_main(void *arg)
{
    (void)arg;
    RUN(test_every_fault_has_a_row);
    RUN(test_matrix_of_machines_and_disks);
    site_close(&f.site); /* also when a row has failed */
    return tap_done();
}

int
main(int argc, char **argv)
{
    const char *given = getenv("ORDEAL_TEST_IMAGE");
    struct error err = {0};

    (void)argc;
    signal(SIGPIPE, SIG_IGN);
    f.only = (const char *const *)argv + 1;
    f.replica = paths_program("ordeal-replica");
    if (given != NULL) {
        f.image_dir = xstrdup(given);
    } else if (image_path(&f.image_dir, &err) < 0) {
        printf("1..0 # SKIP no guest image: %s\n", err.text);
        return 0;
    }
    return supervise_main(tests_main, NULL);
}
