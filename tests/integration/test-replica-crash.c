/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every point of --crash-at on three real replicas under load: it is reached,
 * and the cluster survives it.  All replicas have the same plan, each ends at
 * its own N-th time and is started again without it.  A node is killed and
 * comes back so late that it needs a snapshot, then the primary is killed, so
 * that every point has its occasion.
 *
 * Each client writes to a block of its own, one operation at a time, repeated
 * until it is answered: its n-th operation must raise the block to version n.
 * An acknowledged write that is lost, or one that is executed twice, shows at
 * once.
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "replica/crash-point.h"
#include "replica/options.h"
#include "tests/lib/replica-cluster.h"
#include "tests/lib/tap.h"

#define CLIENTS 3
#define STEP_MS_MAX 20000

static struct replica_cluster cluster;
static enum crash_point point;

struct client {
    pthread_t thread;
    unsigned block;
    _Atomic bool stop;
    _Atomic uint64_t answered;
    _Atomic int64_t wrong; /* the version that was answered in its place */
};

static struct client clients[CLIENTS];

static void *
client_run(void *arg)
{
    struct client *c = arg;

    while (!c->stop && c->wrong == 0) {
        uint64_t next = c->answered + 1;
        char fields[80];
        json_t *answer;
        int64_t version;

        snprintf(fields, sizeof(fields),
                 "\"command\":\"write\",\"block\":%u,\"value\":%" PRIu64,
                 c->block, next);
        answer = cluster_command(&cluster,
                                 (uint64_t)(c->block + 1) << 32 | next, fields);
        if (answer == NULL)
            continue;
        version = cluster_integer(answer, "version");
        json_decref(answer);
        if (version == (int64_t)next)
            c->answered = next;
        else
            c->wrong = version == 0 ? -1 : version;
    }
    return NULL;
}

static uint64_t
answered(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < CLIENTS; i++)
        sum += clients[i].answered;
    return sum;
}

/* ---- the cluster --------------------------------------------------------- */

static unsigned hits;

/* One that never wrote anything never was: still its first start. */
static void
start_again(unsigned node)
{
    cluster_start_as(&cluster, node,
                     !path_exists(cluster_path(&cluster, node, "meta")));
}

/* Starts again what ended at the point; nothing else may end. */
static bool
attend(void)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        int code = cluster_ended(&cluster, i);

        if (code < 0)
            continue;
        if (code != REPLICA_EXIT_CRASH_POINT || cluster.crash_at[i] == NULL) {
            printf("# n%u ended with %d\n", i + 1, code);
            return false;
        }
        hits++;
        cluster.crash_at[i] = NULL;
        start_again(i);
    }
    return true;
}

/* Attends until so many more operations were answered. */
static bool
work(uint64_t more)
{
    uint64_t until = answered() + more;
    int64_t deadline_ms = cluster_now_ms() + STEP_MS_MAX;

    while (answered() < until) {
        if (!attend())
            return false;
        if (cluster_now_ms() > deadline_ms) {
            printf("# %" PRIu64 " operations are missing\n",
                   until - answered());
            return false;
        }
        cluster_sleep_ms(5);
    }
    return true;
}

static void
kill_node(unsigned node)
{
    CHECK(attend());
    cluster_kill(&cluster, node);
}

static void
setup(const char *plan)
{
    static const char *const arguments[] = {"--engine",
                                            "block",
                                            "--snapshot-interval",
                                            "64",
                                            "--retain-entries",
                                            "0",
                                            "--election-timeout-ms",
                                            "200",
                                            "--heartbeat-ms",
                                            "40",
                                            NULL};

    hits = 0;
    cluster_init(&cluster, arguments);
    cluster.direct = true;
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        cluster.crash_at[i] = plan;
    cluster_start_all(&cluster);
    memset(clients, 0, sizeof(clients));
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].block = i;
        pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
    }
}

static void
clients_end(void)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (clients[i].thread == 0)
            continue;
        clients[i].stop = true;
        pthread_join(clients[i].thread, NULL);
        clients[i].thread = 0;
    }
}

/* Also after a test that failed. */
static void
teardown(void)
{
    clients_end();
    cluster_release(&cluster);
}

/* One node falls behind a snapshot, then the primary is lost. */
static void
provoke(void)
{
    int primary = -1;
    unsigned late;

    CHECK(work(60));
    while (primary < 0) {
        CHECK(attend());
        primary = cluster_primary(&cluster, 200);
    }
    late = ((unsigned)primary + 1) % CLUSTER_NODES;
    kill_node(late);
    CHECK(work(200));
    start_again(late);
    CHECK(work(200));
    primary = cluster_primary(&cluster, 5000);
    CHECK(primary >= 0);
    kill_node((unsigned)primary);
    CHECK(work(60));
    start_again((unsigned)primary);
    CHECK(work(60));
}

/* The rest is started without the plan, one after the other. */
static void
settle(void)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        if (cluster.crash_at[i] != NULL) {
            kill_node(i);
            cluster.crash_at[i] = NULL;
            start_again(i);
        }
        CHECK(work(20));
    }
    clients_end();
}

static void
test_point(void)
{
    bool rare = point == CRASH_RECOVERY || point >= CRASH_CHECKPOINT_BEGIN;
    char plan[64];
    int primary;

    snprintf(plan, sizeof(plan), "%s:%d", crash_point_name(point),
             rare ? 1 : 20);
    setup(plan);
    provoke();
    settle();
    primary = cluster_primary(&cluster, 10000);
    CHECK(primary >= 0);
    CHECK(cluster_digests_agree(&cluster, (unsigned)primary));
    for (unsigned i = 0; i < CLIENTS; i++) {
        CHECK_INT(clients[i].wrong, 0);
        CHECK(clients[i].answered > 0);
    }
    printf("# %s: reached %u times, %" PRIu64 " operations\n", plan, hits,
           answered());
    CHECK(hits > 0);
}

static void
test_plans(void)
{
    struct crash_plan plan = {0};
    struct crash_place place;
    struct error err;

    CHECK(crash_place_parse("append:3", &place, &err) == 0);
    CHECK(place.at == CRASH_APPEND && place.nth == 3);
    crash_plan_arm(&plan, &place);
    CHECK(!crash_point_hit(&plan, CRASH_BEFORE_SYNC));
    CHECK(!crash_point_hit(&plan, CRASH_APPEND));
    CHECK(!crash_point_hit(&plan, CRASH_APPEND));
    CHECK(crash_point_hit(&plan, CRASH_APPEND));
    CHECK(!crash_point_hit(&plan, CRASH_APPEND));
    CHECK(crash_place_parse("install", &place, &err) == 0 && place.nth == 1);
    CHECK(crash_place_parse("append:0", &place, &err) < 0);
    CHECK(crash_place_parse("append:x", &place, &err) < 0);
    CHECK(crash_place_parse("app", &place, &err) < 0);
    CHECK(crash_place_parse("", &place, &err) < 0);
}

static int
order(unsigned node, const char *body)
{
    int status = 0;

    json_decref(
        cluster_call(&cluster, node, "POST", "/v1/crash-at", body, &status));
    return status;
}

/* A running primary is told to end at its next answers, and not before. */
static void
test_order_at_run_time(void)
{
    static const char *const arguments[] = {"--engine", "block",
                                            "--crash-points", NULL};
    int primary;

    cluster_init(&cluster, arguments);
    cluster.direct = true;
    cluster_start_all(&cluster);
    primary = cluster_primary(&cluster, 10000);
    CHECK(primary >= 0);
    CHECK_INT(order((unsigned)primary, "{\"at\":\"nowhere\"}"), 400);
    CHECK_INT(order((unsigned)primary, "{}"), 400);
    CHECK_INT(order((unsigned)primary, "{\"at\":\"before-reply:1\"}"), 200);
    CHECK_INT(order((unsigned)primary, "{\"at\":null}"), 200);
    json_decref(cluster_command(&cluster, 1,
                                "\"command\":\"write\",\"block\":1,"
                                "\"value\":1"));
    CHECK_INT(cluster_ended(&cluster, (unsigned)primary), -1);
    CHECK_INT(order((unsigned)primary, "{\"at\":\"before-reply:1\"}"), 200);
    json_decref(cluster_command(&cluster, 2,
                                "\"command\":\"write\",\"block\":1,"
                                "\"value\":2"));
    CHECK_INT(cluster_wait(&cluster, (unsigned)primary),
              REPLICA_EXIT_CRASH_POINT);
    teardown();
    cluster_init(&cluster, arguments + 3);
    cluster.direct = true;
    cluster_start_all(&cluster);
    CHECK(cluster_primary(&cluster, 10000) >= 0);
    CHECK_INT(order(0, "{\"at\":\"before-reply:1\"}"), 404);
    teardown();
}

int
main(void)
{
    RUN(test_plans);
    RUN(test_order_at_run_time);
    teardown();
    for (point = CRASH_NOWHERE + 1; point < CRASH_POINT_COUNT; point++) {
        printf("# %s\n", crash_point_name(point));
        RUN(test_point);
        teardown();
    }
    return tap_done();
}
