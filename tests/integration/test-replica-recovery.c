/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a replica came back is told by /v1/status ("recovery_start" and
 * "recovery"), or by its log when it refused: each way is brought about on
 * three real replicas and looked for.  A replica whose address changed is
 * survived, too.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/lib/replica-cluster.h"
#include "tests/lib/tap.h"

static struct replica_cluster cluster;
static uint64_t next_operation;

static void
setup(const char *const *arguments)
{
    cluster_init(&cluster, arguments);
    next_operation = 1;
}

static void
kill_all(void)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        cluster_kill(&cluster, i);
}

/* Writes to the blocks in turn. */
static void
write_blocks(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t operation = next_operation++;
        char fields[80];

        snprintf(fields, sizeof(fields),
                 "\"command\":\"write\",\"block\":%u,\"value\":%" PRIu64,
                 (unsigned)(operation % 8), operation);
        CHECK_STR(cluster_code(&cluster, operation, fields, NULL), "ok");
    }
}

/* A new primary may have had to fetch something since. */
static bool
started(unsigned node, const char *start)
{
    return cluster_wait_status(&cluster, node, "recovery_start", start, 10000);
}

static bool
came_back(unsigned node, const char *start, const char *since)
{
    return started(node, start) &&
           cluster_wait_status(&cluster, node, "recovery", since, 10000);
}

/* ---- each way ------------------------------------------------------------ */

static const char *const plain[] = {"--engine", "block", NULL};
static const char *const snapshots[] = {
    "--engine", "block", "--snapshot-interval", "64", "--retain-entries",
    "0",        NULL};

static void
test_fresh_and_log(void)
{
    unsigned primary;

    setup(plain);
    primary = CLUSTER_UP(&cluster);
    CHECK(came_back(primary, "fresh", "fresh"));
    write_blocks(10);
    kill_all();
    primary = CLUSTER_UP(&cluster);
    CHECK(started(primary, "log"));
    write_blocks(10);
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

static void
test_snapshot_and_log(void)
{
    unsigned primary;

    setup(snapshots);
    CLUSTER_UP(&cluster);
    write_blocks(150);
    kill_all();
    primary = CLUSTER_UP(&cluster);
    CHECK(started(primary, "snapshot_and_log"));
    write_blocks(10);
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

/* It ends as soon as a peer's snapshot is installed: nothing else is there. */
static void
test_snapshot_alone(void)
{
    unsigned primary, late;

    setup(snapshots);
    primary = CLUSTER_UP(&cluster);
    late = (primary + 1) % CLUSTER_NODES;
    write_blocks(5);
    cluster_kill(&cluster, late);
    write_blocks(200);
    cluster.crash_at[late] = "install-end";
    cluster_start(&cluster, late);
    CHECK_INT(cluster_wait(&cluster, late), 86);
    cluster.crash_at[late] = NULL;
    cluster_start(&cluster, late);
    CHECK(cluster_wait_status(&cluster, late, "recovery_start", "snapshot",
                              10000));
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

/* The old log is still there when a snapshot was written over it. */
static void
test_interrupted_installation(void)
{
    unsigned primary, late;

    setup(snapshots);
    primary = CLUSTER_UP(&cluster);
    late = (primary + 1) % CLUSTER_NODES;
    write_blocks(5);
    cluster_kill(&cluster, late);
    write_blocks(200);
    cluster.crash_at[late] = "install";
    cluster_start(&cluster, late);
    CHECK_INT(cluster_wait(&cluster, late), 86);
    cluster.crash_at[late] = NULL;
    cluster_start(&cluster, late);
    CHECK(cluster_wait_status(&cluster, late, "recovery_start", "snapshot",
                              10000));
    CHECK(cluster_log_has(&cluster, late, "interrupted installation"));
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

static void
test_suffix(void)
{
    unsigned primary, late;

    setup(plain);
    primary = CLUSTER_UP(&cluster);
    late = (primary + 1) % CLUSTER_NODES;
    write_blocks(5);
    cluster_kill(&cluster, late);
    write_blocks(50);
    cluster_start(&cluster, late);
    CHECK(came_back(late, "log", "suffix"));
    CHECK(cluster_digests_agree(&cluster, primary));
    CHECK_INT(cluster_metric(&cluster, primary, "catch_up_breaches_total"), 0);
    cluster_release(&cluster);
}

/* All entries are still there, but more than the budget of a catch-up. */
static void
test_budget_of_a_catch_up(void)
{
    static const char *const small_budget[] = {"--engine",
                                               "block",
                                               "--snapshot-interval",
                                               "64",
                                               "--retain-entries",
                                               "8192",
                                               "--catch-up-entries",
                                               "100",
                                               NULL};
    unsigned primary, late;

    setup(small_budget);
    primary = CLUSTER_UP(&cluster);
    late = (primary + 1) % CLUSTER_NODES;
    write_blocks(5);
    CHECK(cluster_digests_agree(&cluster, primary));
    /* Within the budget: entries. */
    cluster_kill(&cluster, late);
    write_blocks(60);
    cluster_start(&cluster, late);
    CHECK(came_back(late, "log", "suffix"));
    CHECK_INT(cluster_metric(&cluster, primary, "catch_up_breaches_total"), 0);
    CHECK(cluster_digests_agree(&cluster, primary));
    /* Beyond it: the snapshot. */
    cluster_kill(&cluster, late);
    write_blocks(300);
    cluster_start(&cluster, late);
    CHECK(cluster_wait_status(&cluster, late, "recovery", "snapshot_install",
                              10000));
    CHECK(cluster_metric(&cluster, primary, "catch_up_breaches_total") > 0);
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

/* What an isolated primary wrote alone is discarded when it comes back. */
static void
test_divergent_suffix_discarded(void)
{
    static const char *const impatient[] = {
        "--engine", "block", "--request-timeout-ms", "300", NULL};
    int64_t deadline_ms;
    unsigned old;
    json_t *json;
    int status, primary;

    setup(impatient);
    old = CLUSTER_UP(&cluster);
    write_blocks(5);
    cluster_isolate(&cluster, old);
    json = cluster_call(&cluster, old, "POST", "/v1/command",
                        "{\"operation\":99999,\"client\":1,\"command\":"
                        "\"write\",\"block\":1,\"value\":77}",
                        &status);
    CHECK_INT(status, 504);
    json_decref(json);
    deadline_ms = cluster_now_ms() + 10000;
    do {
        primary = cluster_primary(&cluster, 1000);
    } while ((primary < 0 || (unsigned)primary == old) &&
             cluster_now_ms() < deadline_ms);
    write_blocks(5);
    cluster_heal(&cluster);
    CHECK(came_back(old, "fresh", "divergent_suffix_discarded"));
    primary = cluster_primary(&cluster, 5000);
    CHECK(primary >= 0);
    CHECK(cluster_digests_agree(&cluster, (unsigned)primary));
    cluster_release(&cluster);
}

/* Started by hand with a state that it must refuse. */
static void
check_refused(const char *file, int64_t at, bool cut, int code,
              const char *words)
{
    unsigned primary, node;

    setup(snapshots);
    primary = CLUSTER_UP(&cluster);
    node = (primary + 1) % CLUSTER_NODES;
    write_blocks(100);
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_kill(&cluster, node);
    CHECK(cluster_damage(cluster_path(&cluster, node, file), at, cut));
    cluster_start(&cluster, node);
    CHECK_INT(cluster_wait(&cluster, node), code);
    CHECK(cluster_log_has(&cluster, node, words));
    write_blocks(5);
    cluster_release(&cluster);
}

static void
test_refused(void)
{
    check_refused("snapshot", 200, false, 76, "recovery: refused_corrupt");
    check_refused("snapshot", -9, true, 76, "recovery: refused_corrupt");
    check_refused("meta", 20, false, 76, "recovery: refused_corrupt");
    check_refused("meta", -9, true, 76, "recovery: refused_corrupt");
    check_refused("log/mark", 3, true, 76, "recovery: refused_corrupt");
}

/* ---- a changed address --------------------------------------------------- */

/* The node comes back elsewhere; the others learn it one after the other. */
static void
move(unsigned node)
{
    cluster_kill(&cluster, node);
    cluster.moved[node] = true;
    write_blocks(20);
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        cluster_kill(&cluster, i);
        cluster_start(&cluster, i);
        CHECK(cluster_primary(&cluster, 10000) >= 0);
        write_blocks(20);
    }
}

static void
test_changed_address(void)
{
    unsigned primary;

    setup(plain);
    cluster.direct = true;
    primary = CLUSTER_UP(&cluster);
    write_blocks(20);
    move((primary + 1) % CLUSTER_NODES);
    primary = (unsigned)cluster_primary(&cluster, 10000);
    CHECK(cluster_digests_agree(&cluster, primary));
    move(primary);
    primary = (unsigned)cluster_primary(&cluster, 10000);
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

int
main(void)
{
    RUN_CLUSTER(&cluster, test_fresh_and_log);
    RUN_CLUSTER(&cluster, test_snapshot_and_log);
    RUN_CLUSTER(&cluster, test_snapshot_alone);
    RUN_CLUSTER(&cluster, test_interrupted_installation);
    RUN_CLUSTER(&cluster, test_suffix);
    RUN_CLUSTER(&cluster, test_budget_of_a_catch_up);
    RUN_CLUSTER(&cluster, test_divergent_suffix_discarded);
    RUN_CLUSTER(&cluster, test_refused);
    RUN_CLUSTER(&cluster, test_changed_address);
    return tap_done();
}
