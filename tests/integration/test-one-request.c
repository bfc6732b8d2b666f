/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One recorded attempt is one request on the wire: the whole path, from the
 * workload through load and libcurl to a server that counts what it reads,
 * against the history that is left behind.
 */
#include "config.h"

#include "harness/load.h"
#include "systems/replica/replica.h"
#include "tests/lib/tap.h"
#include "tests/lib/toy-server.h"

#define CLIENTS 4
#define WINDOW_NS (400 * NS_PER_MS)

struct counts {
    uint64_t invokes, by_kind[EVENT_KIND_COUNT];
};

static void
count_history(const char *path, struct counts *ret)
{
    struct error err = {0};
    struct history_reader *r = history_reader_open(path, &err);
    struct event e;
    int more;

    memset(ret, 0, sizeof(*ret));
    CHECK(r != NULL);
    while ((more = history_next(r, &e, &err)) == 1) {
        ret->invokes += e.kind == EVENT_INVOKE;
        ret->by_kind[e.kind]++;
    }
    CHECK_INT(more, 0);
    history_reader_free(r);
}

/* Runs a short load at the server and counts both sides. */
static void
run_against(enum toy_behaviour behaviour, int status, const char *answer,
            struct counts *ret_recorded, uint64_t *ret_served)
{
    char dir[] = "test-one-request-XXXXXX";
    CLEANUP_FREE char *path = NULL;
    struct cluster cluster = {.node_count = 3};
    json_t *empty = json_object();
    struct error err = {0};
    struct load_options o = {.system = &system_replica_ops,
                             .cluster = &cluster,
                             .clock = clock_monotonic(),
                             .seed = 3,
                             .client_count = CLIENTS,
                             .attempt_timeout_ns = 300 * NS_PER_MS};
    struct load *load;
    struct toy toy;

    toy_start(&toy);
    toy_set(&toy, behaviour, status, answer);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(cluster.nodes[i].name, NODE_NAME_MAX, "n%u", i + 1);
        cluster.nodes[i].door_count = 1;
        cluster.nodes[i].doors[0] =
            (struct door){REPLICA_CLIENT_PORT, toy.port};
    }
    CHECK(mkdtemp(dir) != NULL);
    path = xasprintf("%s/history.ordeal", dir);
    o.history = history_writer_open(path, empty, o.clock, &err);
    CHECK(o.history != NULL);
    o.workload =
        workload_reservation_contention_ops.new_(empty, 3, CLIENTS, &err);
    json_decref(empty);
    load = load_new(&o, &err);
    CHECK(load != NULL);
    CHECK_OK(load_start(load, clock_now_ns(o.clock) + WINDOW_NS, &err), &err);
    CHECK_OK(load_join(load, &err), &err);
    load_free(load);
    o.workload->ops->free(o.workload);
    CHECK_OK(history_seal(o.history, &err), &err);
    CHECK(toy_idle(&toy));
    *ret_served = atomic_load(&toy.requests);
    toy_stop(&toy);
    count_history(path, ret_recorded);
    unlink(path);
    rmdir(dir);
}

static void
test_a_server_that_reads_and_resets(void)
{
    struct counts recorded;
    uint64_t served;

    run_against(TOY_RESET, 200, "", &recorded, &served);
    printf("# %llu attempts recorded, %llu requests read\n",
           (unsigned long long)recorded.invokes, (unsigned long long)served);
    CHECK(served >= 2 * CLIENTS);
    CHECK_INT(recorded.invokes, served);
    CHECK_INT(recorded.by_kind[EVENT_UNKNOWN], served);
}

static void
test_a_server_that_reads_and_closes(void)
{
    struct counts recorded;
    uint64_t served;

    run_against(TOY_CLOSE, 200, "", &recorded, &served);
    CHECK(served >= 2 * CLIENTS);
    CHECK_INT(recorded.invokes, served);
    CHECK_INT(recorded.by_kind[EVENT_UNKNOWN], served);
}

static void
test_a_server_that_refuses(void)
{
    struct counts recorded;
    uint64_t served;

    run_against(TOY_ANSWER, 503,
                "{\"error\":\"not_ready\",\"certainty\":\"fail\"}", &recorded,
                &served);
    CHECK(served >= 2 * CLIENTS);
    CHECK_INT(recorded.invokes, served);
    /* On a busy machine some may time out first. */
    CHECK(recorded.by_kind[EVENT_FAIL] >= CLIENTS);
    CHECK_INT(recorded.by_kind[EVENT_FAIL] + recorded.by_kind[EVENT_UNKNOWN],
              served);
}

static void
test_a_server_that_never_answers(void)
{
    struct counts recorded;
    uint64_t served;

    /* It serves one connection at a time; the rest time out unread. */
    run_against(TOY_SILENT, 200, "", &recorded, &served);
    CHECK(served >= 1);
    CHECK(served <= recorded.invokes);
    CHECK_INT(recorded.by_kind[EVENT_UNKNOWN], recorded.invokes);
}

int
main(void)
{
    RUN(test_a_server_that_reads_and_resets);
    RUN(test_a_server_that_reads_and_closes);
    RUN(test_a_server_that_refuses);
    RUN(test_a_server_that_never_answers);
    return tap_done();
}
