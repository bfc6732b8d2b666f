/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines beside lease on three real replicas: what clients send and get,
 * the same state after a restart from the log, from a snapshot and after the
 * installation of a peer's; an engine that is not the cluster's is refused; and
 * the planted bugs that take replicas to show.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/base/file.h"
#include "tests/lib/replica-cluster.h"
#include "tests/lib/tap.h"

static struct replica_cluster cluster;

/* Sends the command and compares the answer: its code, and fields in the form
 * "name=number ..." that it must carry. */
static bool
answers(uint64_t operation, const char *fields, const char *code,
        const char *carried)
{
    json_t *answer;
    char line[200], *save = NULL;
    bool same =
        strcmp(cluster_code(&cluster, operation, fields, &answer), code) == 0;

    snprintf(line, sizeof(line), "%s", carried);
    for (char *word = strtok_r(line, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');

        *equals = '\0';
        same &= json_is_integer(json_object_get(answer, word)) &&
                cluster_integer(answer, word) == strtoll(equals + 1, NULL, 10);
    }
    if (!same) {
        char *text = json_dumps(answer, JSON_COMPACT);
        printf("# %s: %s\n", fields, text);
        free(text);
    }
    json_decref(answer);
    return same;
}

static int64_t
read_field(unsigned node, const char *path, const char *field)
{
    int status;
    json_t *json = cluster_call(&cluster, node, "GET", path, "", &status);
    int64_t v = status == 200 ? cluster_integer(json, field) : -status;

    json_decref(json);
    return v;
}

static const char *
refusal(unsigned node, const char *path)
{
    static char text[40];
    int status;
    json_t *json = cluster_call(&cluster, node, "GET", path, "", &status);

    snprintf(text, sizeof(text), "%s", cluster_text(json, "error"));
    json_decref(json);
    return text;
}

/* ---- the engines ---- */

static void
quota_commands(unsigned primary)
{
    CHECK(answers(1,
                  "\"command\":\"create_bucket\",\"bucket\":5,\"limit\":10,"
                  "\"initial\":4,\"refill\":2",
                  "ok", "bucket=5 slot=0"));
    CHECK(answers(2, "\"command\":\"debit\",\"bucket\":5,\"amount\":3", "ok",
                  "bucket=5 balance=1"));
    json_decref(cluster_tick(&cluster, 2));
    CHECK(answers(3, "\"command\":\"debit\",\"bucket\":5,\"amount\":6",
                  "insufficient_funds", "balance=5 slot=2"));
    CHECK(answers(3, "\"command\":\"debit\",\"bucket\":5,\"amount\":6",
                  "insufficient_funds", "balance=5"));
    CHECK(answers(3, "\"command\":\"debit\",\"bucket\":5,\"amount\":1",
                  "operation_conflict", ""));
    CHECK_INT(read_field(primary, "/v1/bucket/5", "balance"), 5);
    CHECK_INT(read_field(primary, "/v1/bucket/5", "since"), 2);
    CHECK_STR(refusal(primary, "/v1/lease/5"), "no_such_route");
}

static void
quota_after(unsigned node)
{
    CHECK_INT(read_field(node, "/v1/bucket/5?claim=any", "balance"), 5);
    CHECK(answers(2, "\"command\":\"debit\",\"bucket\":5,\"amount\":3", "ok",
                  "bucket=5 balance=1"));
}

static void
pool_commands(unsigned primary)
{
    CHECK(answers(1, "\"command\":\"create_pool\",\"pool\":1,\"total\":5", "ok",
                  "pool=1"));
    CHECK(answers(2,
                  "\"command\":\"place_hold\",\"pool\":1,\"hold\":7,"
                  "\"quantity\":2,\"deadline\":9",
                  "ok", "pool=1 hold=7"));
    CHECK(answers(3,
                  "\"command\":\"place_hold\",\"pool\":1,\"hold\":8,"
                  "\"quantity\":3,\"deadline\":4",
                  "ok", "pool=1 hold=8"));
    CHECK(answers(4,
                  "\"command\":\"place_hold\",\"pool\":1,\"hold\":9,"
                  "\"quantity\":1,\"deadline\":4",
                  "insufficient_capacity", "pool=1"));
    CHECK(answers(5, "\"command\":\"confirm_hold\",\"hold\":7", "ok",
                  "pool=1 hold=7"));
    json_decref(cluster_tick(&cluster, 5));
    CHECK_INT(read_field(primary, "/v1/pool/1", "consumed"), 2);
    CHECK_INT(read_field(primary, "/v1/pool/1", "held"), 0);
    CHECK(answers(6, "\"command\":\"confirm_hold\",\"hold\":8", "hold_expired",
                  ""));
}

static void
pool_after(unsigned node)
{
    CHECK_INT(read_field(node, "/v1/pool/1?claim=any", "consumed"), 2);
    CHECK_INT(read_field(node, "/v1/hold/8?claim=any", "deadline"), 4);
    CHECK(answers(5, "\"command\":\"confirm_hold\",\"hold\":7", "ok",
                  "pool=1 hold=7"));
}

static void
block_commands(unsigned primary)
{
    CHECK(answers(1, "\"command\":\"write\",\"block\":3,\"value\":7", "ok",
                  "version=1"));
    CHECK(answers(2,
                  "\"command\":\"cas\",\"block\":3,\"expected\":6,\"value\":8",
                  "value_mismatch", "value=7"));
    CHECK(answers(3,
                  "\"command\":\"cas\",\"block\":3,\"expected\":7,\"value\":8",
                  "ok", "version=2"));
    CHECK(answers(4, "\"command\":\"write\",\"block\":1024,\"value\":7",
                  "block_not_found", ""));
    CHECK_INT(read_field(primary, "/v1/block/3", "value"), 8);
}

static void
block_after(unsigned node)
{
    CHECK_INT(read_field(node, "/v1/block/3?claim=any", "version"), 2);
    CHECK(answers(3,
                  "\"command\":\"cas\",\"block\":3,\"expected\":7,\"value\":8",
                  "ok", "version=2"));
}

/* More entries than a snapshot's interval, that change nothing. */
static void
fill(unsigned count, uint64_t operation)
{
    for (unsigned i = 0; i < count; i++)
        json_decref(cluster_tick(&cluster, operation));
}

static void
engine_life(const char *name, void (*commands)(unsigned primary),
            void (*after)(unsigned node))
{
    const char *arguments[] = {
        "--engine", name, "--snapshot-interval", "64", "--retain-entries",
        "0",        NULL};
    unsigned primary, late;

    cluster_init(&cluster, arguments);
    primary = CLUSTER_UP(&cluster);
    CHECK_STR(cluster_status_field(&cluster, primary, "engine"), name);
    commands(primary);
    CHECK(cluster_digests_agree(&cluster, primary));
    /* From the log. */
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        cluster_kill(&cluster, i);
    primary = CLUSTER_UP(&cluster);
    CHECK_STR(cluster_status_field(&cluster, primary, "recovery_start"), "log");
    after(primary);
    /* By the installation of a peer's snapshot. */
    late = (primary + 1) % CLUSTER_NODES;
    cluster_kill(&cluster, late);
    fill(150, 1);
    cluster_start(&cluster, late);
    CHECK(cluster_wait_status(&cluster, late, "recovery", "snapshot_install",
                              10000));
    CHECK(cluster_digests_agree(&cluster, primary));
    after(late);
    /* From a snapshot. */
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        cluster_kill(&cluster, i);
    primary = CLUSTER_UP(&cluster);
    CHECK(strncmp(cluster_status_field(&cluster, primary, "recovery_start"),
                  "snapshot", 8) == 0);
    after(primary);
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

static void
test_quota(void)
{
    engine_life("quota", quota_commands, quota_after);
}

static void
test_pool(void)
{
    engine_life("pool", pool_commands, pool_after);
}

static void
test_block(void)
{
    engine_life("block", block_commands, block_after);
}

static void
test_another_engine_is_refused(void)
{
    static const char *const quota[] = {"--engine", "quota", NULL};
    static const char *const pool[] = {"--engine", "pool", NULL};
    unsigned primary, other;

    cluster_init(&cluster, quota);
    primary = CLUSTER_UP(&cluster);
    other = (primary + 1) % CLUSTER_NODES;
    fill(5, 1);
    CHECK(cluster_digests_agree(&cluster, primary));
    cluster_kill(&cluster, other);
    for (unsigned i = 0; pool[i] != NULL; i++)
        cluster.arguments[i] = pool[i];
    cluster_start(&cluster, other);
    CHECK_INT(cluster_wait(&cluster, other), 77);
    CHECK(cluster_log_has(&cluster, other, "belongs to engine 'quota'"));
    /* With an empty directory nobody lets it in. */
    {
        struct error err;
        char path[128];

        snprintf(path, sizeof(path), "%s/n%u", cluster.dir, other + 1);
        CHECK_OK(dir_remove(path, &err), &err);
    }
    cluster_start_as(&cluster, other, false);
    cluster_sleep_ms(700);
    CHECK_STR(cluster_status_field(&cluster, other, "role"), "recovering");
    CHECK(cluster_log_has(&cluster, primary, "another engine"));
    fill(5, 2);
    cluster_release(&cluster);
}

/* ---- planted bugs ---- */

static int64_t
reserve(uint64_t operation, unsigned resource)
{
    char fields[120];
    json_t *answer;
    int64_t index;

    snprintf(fields, sizeof(fields),
             "\"command\":\"reserve\",\"resource\":%u,\"holder\":3,\"ttl\":5",
             resource);
    CHECK_STR(cluster_code(&cluster, operation, fields, &answer), "ok");
    index = cluster_integer(answer, "index");
    json_decref(answer);
    return index;
}

static void
create(uint64_t operation, unsigned resource)
{
    char fields[80];

    snprintf(fields, sizeof(fields),
             "\"command\":\"create_resource\",\"resource\":%u", resource);
    CHECK_STR(cluster_code(&cluster, operation, fields, NULL), "ok");
}

static void
test_bug_tick_on_backup(void)
{
    static const char *const arguments[] = {"--bug", "tick-on-backup", NULL};
    unsigned primary, backup;
    json_t *json;
    int status;

    cluster_init(&cluster, arguments);
    primary = CLUSTER_UP(&cluster);
    backup = (primary + 1) % CLUSTER_NODES;
    create(1, 7);
    reserve(2, 7);
    CHECK(cluster_digests_agree(&cluster, primary));
    json = cluster_call(&cluster, backup, "POST", "/v1/tick",
                        "{\"client\":1,\"slot\":9}", &status);
    CHECK_INT(status, 200);
    CHECK_INT(json_array_size(json_object_get(json, "expired")), 1);
    json_decref(json);
    CHECK_INT(read_field(backup, "/v1/resource/7?claim=any", "version"), 2);
    CHECK_INT(read_field(primary, "/v1/resource/7", "version"), 1);
    create(3, 8);
    CHECK(!cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

static void
test_bug_divergent_apply(void)
{
    static const char *const arguments[] = {"--bug", "divergent-apply", NULL};
    unsigned primary;

    cluster_init(&cluster, arguments);
    primary = CLUSTER_UP(&cluster);
    create(1, 1);
    CHECK(cluster_digests_agree(&cluster, primary));
    for (unsigned i = 0; i < 60; i++)
        create(100 + i, 100 + i);
    CHECK(!cluster_digests_agree(&cluster, primary));
    cluster_release(&cluster);
}

/* What the old primary alone knew to be committed is lost with it. */
static void
test_bug_lost_write_on_failover(void)
{
    static const char *const arguments[] = {
        "--bug", "lost-write-on-failover", "--heartbeat-ms",
        "1000",  "--election-timeout-ms",  "2000",
        NULL};
    unsigned old;
    int primary;

    cluster_init(&cluster, arguments);
    old = CLUSTER_UP(&cluster);
    create(1, 7);
    create(2, 8);
    cluster_kill(&cluster, old);
    primary = cluster_primary(&cluster, 20000);
    CHECK(primary >= 0);
    CHECK_INT(read_field((unsigned)primary, "/v1/resource/7", "version"), 0);
    {
        int status;
        json_t *json = cluster_call(&cluster, (unsigned)primary, "GET",
                                    "/v1/resource/8", "", &status);

        CHECK(json_is_false(json_object_get(json, "found")));
        json_decref(json);
    }
    cluster_release(&cluster);
}

static void
test_bug_snapshot_drops_operations(void)
{
    static const char *const arguments[] = {"--bug",
                                            "snapshot-drops-operations",
                                            "--snapshot-interval", "64", NULL};
    int64_t first, again;

    cluster_init(&cluster, arguments);
    CLUSTER_UP(&cluster);
    create(1, 7);
    first = reserve(2, 7);
    json_decref(cluster_tick(&cluster, 5));
    fill(150, 5);
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        cluster_kill(&cluster, i);
    CLUSTER_UP(&cluster);
    again = reserve(2, 7);
    CHECK(again > first);
    cluster_release(&cluster);
}

int
main(void)
{
    RUN_CLUSTER(&cluster, test_quota);
    RUN_CLUSTER(&cluster, test_pool);
    RUN_CLUSTER(&cluster, test_block);
    RUN_CLUSTER(&cluster, test_another_engine_is_refused);
    RUN_CLUSTER(&cluster, test_bug_tick_on_backup);
    RUN_CLUSTER(&cluster, test_bug_divergent_apply);
    RUN_CLUSTER(&cluster, test_bug_lost_write_on_failover);
    RUN_CLUSTER(&cluster, test_bug_snapshot_drops_operations);
    return tap_done();
}
