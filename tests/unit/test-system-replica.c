/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the replica's operations say to a node, over a remote that keeps the
 * node's files in memory and answers for svc.
 */
#include "config.h"

#include <limits.h>
#include <stdlib.h>

#include "tests/lib/scripted-node.h"
#include "tests/lib/toy-server.h"

static void
install(struct fixture *f, const char *bug, const char *params)
{
    CLEANUP_FREE char *binary = xasprintf("%s/daemon", f->dir);
    json_t *json = json_loads(params, 0, NULL);
    struct system_options o = {.bug = bug, .binary = binary, .params = json};
    struct error err = {0};

    CHECK_OK(file_write_atomic(binary, "ELF", 3, 0755, &err), &err);
    CHECK_OK(system_replica_ops.install(&f->node, &o, &err), &err);
    json_decref(json);
}

static void
test_only_the_first_start_founds_the_cluster(void)
{
    static const char words[] =
        "svc start replica --log /data/log/replica.log -- "
        "/data/opt/ordeal-replica --node n2 --cluster r-1 --data /data/replica "
        "--listen 0.0.0.0:7100 --peer n1=10.77.0.11:7101 "
        "--peer n2=10.77.0.12:7101 --peer n3=10.77.0.13:7101 "
        "--bug early-expiry --log-level debug";
    CLEANUP_FREE char *first = xasprintf("%s --new-cluster", words);
    struct error err = {0};
    struct fixture f;

    setup(&f);
    install(&f, "early-expiry", "{\"arguments\":[\"--log-level\",\"debug\"]}");
    CHECK_STR(file_at(&f, "/data/opt/ordeal-replica"), "ELF");
    CHECK_OK(system_replica_ops.start(&f.node, &err), &err);
    CHECK_STR(f.commands[f.command_count - 1], first);
    CHECK_OK(system_replica_ops.start(&f.node, &err), &err);
    CHECK_STR(f.commands[f.command_count - 1], words);
    /* Also when the first did not succeed: it may have begun. */
    install(&f, "early-expiry", "{\"arguments\":[\"--log-level\",\"debug\"]}");
    f.svc_exit = 1;
    f.svc_says = "svc: no such file\n";
    CHECK_INT(system_replica_ops.start(&f.node, &err), -1);
    CHECK(strstr(err.text, "no such file") != NULL);
    f.svc_exit = 0;
    CHECK_OK(system_replica_ops.start(&f.node, &err), &err);
    CHECK_STR(f.commands[f.command_count - 1], words);
    teardown(&f);
}

/* The library is put beside the daemon, which becomes what env starts. */
static void
test_a_preloaded_library_is_put_and_named(void)
{
    static const char words[] =
        "svc start replica --log /data/log/replica.log -- /bin/busybox env "
        "LD_PRELOAD=/data/opt/preload.so /data/opt/ordeal-replica --node n2 ";
    CLEANUP_FREE char *library = NULL, *params = NULL;
    struct error err = {0};
    char here[PATH_MAX];
    struct fixture f;

    setup(&f);
    CHECK(realpath(f.dir, here) != NULL);
    library = xasprintf("%s/lib.so", here);
    params = xasprintf("{\"preload\":\"%s\"}", library);
    CHECK_OK(file_write_atomic(library, "SO", 2, 0644, &err), &err);
    install(&f, NULL, params);
    CHECK_STR(file_at(&f, "/data/opt/preload.so"), "SO");
    CHECK_OK(system_replica_ops.start(&f.node, &err), &err);
    CHECK(strncmp(f.commands[f.command_count - 1], words, strlen(words)) == 0);
    teardown(&f);
}

static void
test_unknown_parameters_are_refused(void)
{
    static const char *const bad[] = {
        "{\"argument\":[]}",   "{\"arguments\":\"--bug\"}",
        "{\"arguments\":[7]}", "{\"preload\":\"lib.so\"}",
        "{\"preload\":1}",     "{\"arguments\":[\"a\\nb\"]}"};
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *json = json_loads(bad[i], 0, NULL);
        struct system_options o = {.binary = "none", .params = json};
        struct error err = {0};

        CHECK_INT(system_replica_ops.install(&f.node, &o, &err), -1);
        CHECK_INT(err.kind, ERROR_CONFIG);
        json_decref(json);
    }
    CHECK_INT(f.command_count, 0);
    teardown(&f);
}

/* The engine is that of the capability; the window, too. */
static void
test_the_capability_decides(void)
{
    json_t *params =
        json_loads("{\"arguments\": [\"--retry-window\", \"40\"]}", 0, NULL);
    CLEANUP_FREE char *text = NULL;
    struct fixture f;
    json_t *got;
    struct system_options o = {
        .binary = "none", .params = params, .capability = "pool"};
    struct error err = {0};

    CHECK_STR(replica_engine(NULL), "lease");
    CHECK_STR(replica_engine("allocator"), "lease");
    CHECK_STR(replica_engine("block"), "block");
    CHECK(system_offers(&system_replica_ops, "quota"));
    CHECK(!system_offers(&system_replica_ops, "kv"));
    got = system_replica_ops.limits(params, "quota");
    CHECK_INT(json_integer_value(json_object_get(got, "ttl_slots")), 0);
    CHECK_INT(json_integer_value(json_object_get(got, "retry_slots")), 40);
    json_decref(got);
    got = system_replica_ops.limits(params, "pool");
    CHECK_INT(json_integer_value(json_object_get(got, "retry_slots")), 39);
    json_decref(got);
    setup(&f);
    text = xasprintf("%s/daemon", f.dir);
    o.binary = text;
    CHECK_OK(file_write_atomic(text, "ELF", 3, 0755, &err), &err);
    CHECK_OK(system_replica_ops.install(&f.node, &o, &err), &err);
    CHECK(strstr(file_at(&f, "/data/opt/ordeal-replica.arguments"),
                 "--engine\npool\n") != NULL);
    json_decref(params);
    teardown(&f);
}

static void
test_limits_follow_the_arguments(void)
{
    json_t *params = json_loads("{\"arguments\": [\"--max-ttl\", \"9\", "
                                "\"--max-resources=7\", \"--pipeline\", \"3\", "
                                "\"--retry-window\", \"few\"]}",
                                0, NULL);
    json_t *want = json_pack("{s:i, s:i}", "ttl_slots", 9, "resources", 7);
    json_t *got = system_replica_ops.limits(params, "allocator");

    CHECK(json_equal(got, want));
    json_decref(got);
    got = system_replica_ops.limits(NULL, NULL);
    CHECK_INT(json_object_size(got), 0);
    json_decref(got);
    json_decref(want);
    json_decref(params);
}

static void
test_process_is_what_svc_says(void)
{
    struct process_id id;
    struct error err = {0};
    struct fixture f;

    setup(&f);
    f.svc_says = "{\"name\":\"replica\",\"state\":\"stopped\",\"pid\":212,"
                 "\"start_ticks\":3456,\"boot_id\":\"b-1\","
                 "\"exit_status\":null,\"exit_signal\":null,\"starts\":2}\n";
    CHECK_OK(system_replica_ops.process(&f.node, &id, &err), &err);
    CHECK_INT(id.pid, 212);
    CHECK_INT(id.start_ticks, 3456);
    CHECK_STR(id.boot_id, "b-1");
    CHECK(id.stopped);
    f.svc_says = "{\"name\":\"replica\",\"state\":\"exited\",\"pid\":212,"
                 "\"start_ticks\":3456,\"boot_id\":\"b-1\","
                 "\"exit_status\":74,\"exit_signal\":null,\"starts\":2}\n";
    CHECK_OK(system_replica_ops.process(&f.node, &id, &err), &err);
    CHECK_INT(id.pid, 0);
    f.svc_says = "no such thing";
    CHECK_INT(system_replica_ops.process(&f.node, &id, &err), -1);
    f.svc_says = "{\"state\":\"running\",\"pid\":-1,\"start_ticks\":1,"
                 "\"boot_id\":\"b\"}";
    CHECK_INT(system_replica_ops.process(&f.node, &id, &err), -1);
    teardown(&f);
}

static void
test_stop_and_signal(void)
{
    struct error err = {0};
    struct fixture f;

    setup(&f);
    CHECK_OK(system_replica_ops.signal(&f.node, 9, &err), &err);
    CHECK_STR(f.commands[0], "svc signal replica 9");
    CHECK_OK(system_replica_ops.stop(&f.node, 2500 * NS_PER_MS, &err), &err);
    CHECK_STR(f.commands[1], "svc stop replica --timeout 3");
    f.svc_exit = 1;
    f.svc_says = "still running\n";
    CHECK_INT(system_replica_ops.stop(&f.node, NS_PER_S, &err), -1);
    CHECK(strstr(err.text, "still running") != NULL);
    teardown(&f);
}

static void
test_status_and_collect_through_the_door(void)
{
    CLEANUP_FREE char *metrics = NULL;
    struct system_status status;
    struct error err = {0};
    struct fixture f;
    struct toy toy;
    char path[128];

    setup(&f);
    toy_start(&toy);
    f.cluster.nodes[1].doors[0].host_port = toy.port;
    toy_set(&toy, TOY_ANSWER, 200,
            "{\"node\":\"n2\",\"role\":\"primary\",\"view\":4,\"commit\":58,"
            "\"recovery\":\"log\"}");
    CHECK_OK(system_replica_ops.status(&f.cluster, 1, NS_PER_S, &status, &err),
             &err);
    CHECK_INT(status.role, ROLE_PRIMARY);
    CHECK_INT(status.term, 4);
    CHECK_INT(status.commit_index, 58);
    CHECK_STR(status.recovery, "log");
    CHECK_OK(system_replica_ops.collect(&f.node, f.dir, &err), &err);
    snprintf(path, sizeof(path), "%s/metrics.txt", f.dir);
    metrics = file_read(path, 65536, NULL, &err);
    CHECK(metrics != NULL && strstr(metrics, "primary") != NULL);
    snprintf(path, sizeof(path), "%s/replica.log", f.dir);
    CHECK(path_exists(path));
    toy_set(&toy, TOY_RESET, 200, "");
    CHECK_OK(system_replica_ops.status(&f.cluster, 1, NS_PER_S, &status, &err),
             &err);
    CHECK_INT(status.role, ROLE_UNKNOWN);
    toy_stop(&toy);
    teardown(&f);
}

/* What one look reports, after the node said this. */
static void
check_watch(struct fixture *f, struct toy *toy, struct system_watch *state,
            const char *answer, const char *expected)
{
    const char *const *events = system_replica_ops.events;
    struct error err = {0};
    char text[256] = "";
    uint32_t seen = 0;

    toy_set(toy, TOY_ANSWER, 200, answer);
    CHECK_OK(
        system_replica_ops.watch(&f->cluster, 1, NS_PER_S, state, &seen, &err),
        &err);
    for (unsigned i = 0; events[i] != NULL; i++) {
        if (!(seen >> i & 1))
            continue;
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
                 events[i]);
    }
    CHECK_STR(text, expected);
}

#define WATCHED(role, view, transfer, installed, pid)                          \
    "{\"role\":\"" role "\",\"view\":" view ",\"snapshot_transfer\":" transfer \
    ",\"snapshots_installed\":" installed ",\"pid\":" pid "}"

static void
test_watch_tells_what_changed(void)
{
    struct system_watch state = {0};
    struct fixture f;
    struct toy toy;

    setup(&f);
    toy_start(&toy);
    f.cluster.nodes[1].doors[0].host_port = toy.port;
    check_watch(&f, &toy, &state, WATCHED("primary", "4", "true", "2", "7"),
                "");
    check_watch(&f, &toy, &state, WATCHED("primary", "4", "true", "2", "7"),
                "");
    check_watch(&f, &toy, &state, WATCHED("backup", "4", "false", "3", "7"),
                ""); /* the transfer seen before ended */
    check_watch(&f, &toy, &state,
                WATCHED("view_change", "4", "false", "3", "7"), "view-change ");
    check_watch(&f, &toy, &state, WATCHED("primary", "5", "false", "3", "7"),
                "view-change new-primary ");
    check_watch(&f, &toy, &state, "nonsense", "");
    check_watch(&f, &toy, &state, WATCHED("primary", "5", "false", "4", "7"),
                "snapshot-transfer "); /* too quick to be seen */
    check_watch(&f, &toy, &state, WATCHED("recovering", "5", "false", "0", "8"),
                "recovery restart ");
    check_watch(&f, &toy, &state, WATCHED("recovering", "5", "true", "0", "8"),
                "snapshot-transfer ");
    toy_stop(&toy);
    teardown(&f);
}

int
main(void)
{
    RUN(test_only_the_first_start_founds_the_cluster);
    RUN(test_a_preloaded_library_is_put_and_named);
    RUN(test_unknown_parameters_are_refused);
    RUN(test_limits_follow_the_arguments);
    RUN(test_the_capability_decides);
    RUN(test_process_is_what_svc_says);
    RUN(test_stop_and_signal);
    RUN(test_status_and_collect_through_the_door);
    RUN(test_watch_tells_what_changed);
    return tap_done();
}
