/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fcntl.h>

#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/scenario.h"
#include "harness/yaml.h"
#include "tests/lib/tap.h"

/* Loads 'text' as a scenario file. */
static struct scenario *
load_text(const char *text, struct error *err)
{
    char path[] = "test-scenario.tmp.yaml";
    struct scenario *s;

    CHECK_OK(file_write_atomic(path, text, strlen(text), 0644, err), err);
    s = scenario_load("./test-scenario.tmp.yaml", err);
    unlink(path);
    return s;
}

static void
test_shipped_scenarios_load(void)
{
    struct error err = {0};
    json_t *ids = scenario_ids(&err), *id;
    size_t i;

    CHECK(ids != NULL);
    CHECK(json_array_size(ids) >= 3);
    json_array_foreach (ids, i, id) {
        struct scenario *s = scenario_load(json_string_value(id), &err);

        if (s == NULL)
            printf("# %s\n", err.text);
        CHECK(s != NULL);
        CHECK_STR(s->id, json_string_value(id));
        CHECK(s->window_ns > 0);
        scenario_free(s);
    }
    json_decref(ids);
}

static void
test_the_network_is_read(void)
{
    struct error err = {0};
    struct scenario *s = load_text("id: x\nworkload: w\ncapture: all\n"
                                   "links: {rate: 200mbit, delay: 5ms,"
                                   " jitter: 1ms}\n",
                                   &err);

    CHECK(s != NULL);
    CHECK_INT(s->capture, CAPTURE_ALL);
    CHECK_INT(s->links.rate_bits, 200000000);
    CHECK_INT(s->links.queue_ns, 100 * NS_PER_MS);
    CHECK_INT(s->links.delay_ns, 5 * NS_PER_MS);
    CHECK_INT(s->links.jitter_ns, NS_PER_MS);
    scenario_free(s);
    s = load_text("id: x\nworkload: w\ncapture: true\n"
                  "links: {rate: 2000000, queue: 10ms}\n",
                  &err);
    CHECK(s != NULL);
    CHECK_INT(s->capture, CAPTURE_NODES);
    CHECK_INT(s->links.rate_bits, 2000000);
    CHECK_INT(s->links.queue_ns, 10 * NS_PER_MS);
    scenario_free(s);
    s = load_text("id: x\nworkload: w\n", &err);
    CHECK(s != NULL);
    CHECK_INT(s->capture, CAPTURE_NONE);
    CHECK_INT(s->links.rate_bits + (uint64_t)s->links.queue_ns, 0);
    scenario_free(s);
}

static void
test_a_wrong_network_is_refused(void)
{
    static const char *const wrong[] = {
        "capture: some",
        "capture: 3",
        "links: fast",
        "links: {rate: 5}",
        "links: {rate: 5parsec}",
        "links: {rate: mbit}",
        "links: {delay: 2s}",
        "links: {jitter: 5ms}",
        "links: {queue: 5ms}",
        "links: {loss: 0.1}",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char text[128];
        struct error err = {0};

        snprintf(text, sizeof(text), "id: x\nworkload: w\n%s\n", wrong[i]);
        if (load_text(text, &err) != NULL)
            printf("# accepted: %s\n", wrong[i]);
        CHECK_INT(err.kind, ERROR_CONFIG);
    }
}

static void
test_every_key_is_read(void)
{
    struct error err = {0};
    struct scenario *s = load_text("id: x\n"
                                   "workload: {name: w, clients: 3, rate: 2.5,"
                                   " resources: 4}\n"
                                   "system: {name: replica, snapshot: 9}\n"
                                   "nodes: 5\nwindow: 2m\n"
                                   "evidence: {operations: 100, faults: 3}\n",
                                   &err);

    CHECK(s != NULL);
    CHECK_INT(s->node_count, 5);
    CHECK_INT(s->client_count, 3);
    CHECK(s->rate == 2.5);
    CHECK_INT(s->window_ns, 120 * NS_PER_S);
    CHECK_INT(
        json_integer_value(json_object_get(s->workload_params, "resources")),
        4);
    CHECK(json_object_get(s->workload_params, "clients") == NULL);
    CHECK_INT(json_integer_value(json_object_get(s->system_params, "snapshot")),
              9);
    CHECK_INT(scenario_evidence_for(s, 12 * NS_PER_S).operations, 10);
    CHECK_INT(scenario_evidence_for(s, 12 * NS_PER_S).faults, 1);
    CHECK_INT(scenario_evidence_for(s, 600 * NS_PER_S).operations, 100);
    scenario_free(s);
}

/* A family under a nemesis; evidence is per minute of the window. */
static void
test_families_meet_nemeses(void)
{
    struct error err = {0};
    struct scenario *s = scenario_load("lease_safety-crash-restart", &err);
    struct scenario *again;

    CHECK(s != NULL);
    CHECK_STR(s->workload, "lease_safety");
    CHECK_INT(s->window_ns, 1800 * NS_PER_S);
    CHECK_INT(s->evidence.operations, 30 * 600);
    CHECK_INT(s->evidence.faults, 30 * 6);
    CHECK_INT(scenario_evidence_for(s, 60 * NS_PER_S).faults, 5);
    CHECK_INT(scenario_evidence_for(s, 10 * NS_PER_S).faults, 1);
    CHECK_INT(scenario_evidence_for(s, NS_PER_S).operations, 10);
    CHECK_INT(scenario_evidence_for(s, NS_PER_S).leader_changes, 0);
    CHECK_INT(scenario_evidence_for(s, 20 * NS_PER_S).primary_hits, 1);
    CHECK_INT(scenario_evidence_for(s, 3600 * NS_PER_S).faults, 30 * 6);
    CHECK(json_array_size(json_object_get(s->schedule, "faults")) == 2);
    CHECK(json_object_get(s->schedule, "window") == NULL);
    /* The bundle's copy says the same without them. */
    again = load_text(s->text, &err);
    CHECK(again != NULL);
    CHECK_STR(again->id, s->id);
    CHECK_INT(again->window_ns, s->window_ns);
    CHECK_INT(again->evidence.faults, s->evidence.faults);
    CHECK(json_equal(again->schedule, s->schedule));
    scenario_free(again);
    scenario_free(s);
    s = scenario_load("retry_pressure-control", &err);
    CHECK(s != NULL && s->schedule == NULL);
    CHECK_INT(s->window_ns, 60 * NS_PER_S);
    CHECK_INT(json_array_size(json_object_get(s->system_params, "arguments")),
              10);
    scenario_free(s);
    /* Only what the family says it goes with. */
    CHECK(scenario_load("lease_safety-mixed-failover", &err) == NULL);
    CHECK(strstr(err.text, "no scenario 'lease_safety-mixed-failover'") !=
          NULL);
}

static void
test_a_nemesis_has_a_name(void)
{
    struct error err = {0};
    struct scenario *s =
        load_text("id: x\nworkload: w\nnemesis: crash-restart\n", &err);

    CHECK(s != NULL);
    CHECK_INT(s->window_ns, 60 * NS_PER_S);
    CHECK(json_array_size(json_object_get(s->schedule, "faults")) == 2);
    scenario_free(s);
}

static void
check_refused(const char *text, const char *part)
{
    struct error err = {0};
    struct scenario *s = load_text(text, &err);

    CHECK(s == NULL);
    CHECK_INT(err.kind, ERROR_CONFIG);
    if (strstr(err.text, part) == NULL)
        printf("# '%s' does not say '%s'\n", err.text, part);
    CHECK(strstr(err.text, part) != NULL);
}

static void
test_bad_scenarios_are_refused(void)
{
    check_refused("id: x\nworkload: w\nwindwo: 3s\n", "'windwo'");
    check_refused("workload: w\n", "'id'");
    check_refused("id: x\n", "'workload'");
    check_refused("id: x\nworkload: w\nnodes: 99\n", "from 1 to 9");
    check_refused("id: x\nworkload: w\nwindow: soon\n", "duration");
    check_refused("id: x\nid: y\nworkload: w\n", "yaml:2: key 'id'");
    check_refused("id: x\nworkload: [\n", "yaml:");
    check_refused("id: ../x\nworkload: w\n", "letters");
    check_refused("id: x\nworkload: w\nevidence: {fautls: 1}\n", "'fautls'");
    check_refused("id: x\nworkload: w\nnemesis: rain\n", "nemesis 'rain'");
    check_refused("", "empty");
    check_refused("id: &a x\nworkload: w\n", "anchors");
}

static void
test_unknown_scenario_is_named(void)
{
    struct error err = {0};

    CHECK(scenario_load("no-such-thing", &err) == NULL);
    CHECK_INT(err.kind, ERROR_CONFIG);
    CHECK(strstr(err.text, "no scenario 'no-such-thing'") != NULL);
}

int
main(void)
{
    RUN(test_shipped_scenarios_load);
    RUN(test_every_key_is_read);
    RUN(test_the_network_is_read);
    RUN(test_a_wrong_network_is_refused);
    RUN(test_families_meet_nemeses);
    RUN(test_a_nemesis_has_a_name);
    RUN(test_bad_scenarios_are_refused);
    RUN(test_unknown_scenario_is_named);
    return tap_done();
}
