/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon of the user's: what becomes of its YAML file on a node, and which
 * files are refused.
 */
#include "config.h"

#include "harness/scenario.h"
#include "tests/lib/scripted-node.h"

/* A scenario that ships, with that system under it. */
static struct scenario *
load(struct fixture *f)
{
    CLEANUP_FREE char *path = xasprintf("%s/system.yaml", f->dir);
    CLEANUP_FREE char *text = xasprintf(
        "binary: %s/daemon\n"
        "files: {/data/opt/daemon.conf: %s/conf}\n"
        "arguments: [--id, \"{node}\", --listen, \"0.0.0.0:{client_port}\",\n"
        "            {each: [--peer, \"{node}={address}:{peer_port}\"]},\n"
        "            --brace, \"{{x\", --engine, \"{capability}\"]\n"
        "first_start: [--bootstrap, \"{cluster}\"]\n"
        "capabilities: [allocator, quota]\n"
        "limits: {ttl_slots: 9}\n",
        f->dir, f->dir);
    struct error err = {0};
    struct scenario *s = scenario_load("reservation_contention-control", &err);

    CHECK(s != NULL);
    CHECK_OK(file_write_atomic(path, text, strlen(text), 0644, &err), &err);
    CHECK_OK(scenario_use_system(s, path, &err), &err);
    CHECK_STR(s->system, "custom");
    return s;
}

static void
write_host_file(struct fixture *f, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", f->dir, name);
    struct error err = {0};

    CHECK_OK(file_write_atomic(path, name, strlen(name), 0755, &err), &err);
}

static void
test_words_are_filled_in(void)
{
    static const char words[] =
        "svc start custom --log /data/log/custom.log -- /data/opt/custom "
        "--id n2 --listen 0.0.0.0:7100 --peer n1=10.77.0.11:7101 "
        "--peer n2=10.77.0.12:7101 --peer n3=10.77.0.13:7101 --brace {x "
        "--engine allocator";
    CLEANUP_FREE char *first = xasprintf("%s --bootstrap r-1", words);
    struct system_options o = {.capability = "allocator"};
    struct error err = {0};
    struct scenario *s;
    struct fixture f;

    setup(&f);
    s = load(&f);
    write_host_file(&f, "daemon");
    write_host_file(&f, "conf");
    o.params = s->system_params;
    CHECK_OK(system_custom_ops.check_params(o.params, &err), &err);
    CHECK_OK(system_custom_ops.install(&f.node, &o, &err), &err);
    CHECK_STR(file_at(&f, "/data/opt/custom"), "daemon");
    CHECK_STR(file_at(&f, "/data/opt/daemon.conf"), "conf");
    CHECK_OK(system_custom_ops.start(&f.node, &err), &err);
    CHECK_STR(f.commands[f.command_count - 1], first);
    CHECK_OK(system_custom_ops.start(&f.node, &err), &err);
    CHECK_STR(f.commands[f.command_count - 1], words);
    scenario_free(s);
    teardown(&f);
}

static void
test_serves_what_it_says(void)
{
    struct scenario *s;
    struct fixture f;
    json_t *limits;

    setup(&f);
    s = load(&f);
    CHECK(system_serves(&system_custom_ops, s->system_params, "quota"));
    CHECK(!system_serves(&system_custom_ops, s->system_params, "pool"));
    CHECK(!system_serves(&system_custom_ops, s->system_params, "nonsense"));
    CHECK(system_serves(&system_custom_ops, NULL, "pool"));
    limits = system_custom_ops.limits(s->system_params, "allocator");
    CHECK_INT(json_integer_value(json_object_get(limits, "ttl_slots")), 9);
    json_decref(limits);
    scenario_free(s);
    teardown(&f);
}

static void
check_refused(const char *json, const char *expected)
{
    json_t *params = json_loads(json, 0, NULL);
    struct error err = {0};

    CHECK(params != NULL);
    CHECK_INT(system_custom_ops.check_params(params, &err), -1);
    CHECK_INT(err.kind, ERROR_CONFIG);
    if (strstr(err.text, expected) == NULL)
        printf("# %s\n", err.text);
    CHECK(strstr(err.text, expected) != NULL);
    json_decref(params);
}

static void
test_bad_files_are_refused(void)
{
    struct system_options o = {.bug = "stale-read"};
    struct error err = {0};
    struct scenario *s;
    struct fixture f;

    check_refused("{}", "'binary'");
    check_refused("{\"binary\":\"b\",\"binaries\":1}", "'binaries'");
    check_refused("{\"binary\":\"b\",\"arguments\":\"x\"}", "'arguments'");
    check_refused("{\"binary\":\"b\",\"arguments\":[7]}", "one line");
    check_refused("{\"binary\":\"b\",\"arguments\":[\"{nod}\"]}", "'{nod}'");
    check_refused("{\"binary\":\"b\",\"arguments\":[\"{node\"]}", "'{node'");
    check_refused("{\"binary\":\"b\",\"arguments\":[\"a\\nb\"]}", "one line");
    check_refused("{\"binary\":\"b\",\"first_start\":[\"{x}\"]}",
                  "'first_start'");
    check_refused("{\"binary\":\"b\",\"files\":[]}", "'files'");
    check_refused("{\"binary\":\"b\",\"files\":{\"etc/x\":\"y\"}}", "'etc/x'");
    check_refused("{\"binary\":\"b\",\"files\":{\"/a/../x\":\"y\"}}",
                  "'files'");
    setup(&f);
    s = load(&f);
    o.params = s->system_params;
    CHECK_INT(system_custom_ops.install(&f.node, &o, &err), -1);
    CHECK(strstr(err.text, "no planted bugs") != NULL);
    CHECK_INT(scenario_use_system(s, "./no-such.yaml", &err), -1);
    CHECK_STR(s->system, "custom");
    scenario_free(s);
    teardown(&f);
}

int
main(void)
{
    RUN(test_words_are_filled_in);
    RUN(test_serves_what_it_says);
    RUN(test_bad_files_are_refused);
    return tap_done();
}
