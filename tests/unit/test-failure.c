/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was observed of a failure is one class or none, whatever was expected;
 * and each scenario of the suite shows a failure that has a row.
 */
#include "config.h"

#include <string.h>

#include "harness/failure.h"
#include "harness/gate/matrix.h"
#include "harness/scenario.h"
#include "tests/lib/tap.h"

static const struct failure_node nodes[] = {
    {"n1", "log", false},
    {"n2", "suffix", false},
    {"n3", "snapshot_install", true},
    {"n4", "snapshot_install", false},
    {"n5", "view_change", false},
};

/* Faults as the analyzer's evidence has them, with ' for ". */
static const char *
observe(const char *about, const char *faults, bool serves, char why[256])
{
    json_t *row = json_pack("{s:s, s:s}", "about", about, "fault", "kill");
    char text[1024];
    json_t *list;
    struct failure_seen seen = {
        .serves = serves, .nodes = nodes, .node_count = ARRAY_LEN(nodes)};
    const char *observed;

    snprintf(text, sizeof(text), "%s", faults);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    list = json_loads(text, 0, NULL);
    CHECK(list != NULL);
    seen.faults = list;
    observed = failure_observe(row, &seen, why, 256);
    json_decref(list);
    json_decref(row);
    return observed == NULL ? "none" : observed;
}

static void
check_service(const char *faults, bool serves, const char *expected)
{
    char why[256];

    CHECK_STR(observe("service", faults, serves, why), expected);
    CHECK(why[0] != '\0');
}

static void
test_service(void)
{
    check_service("[]", true, "none");
    check_service("[{'fault':'pause','confirmed':true,'healed':true}]", true,
                  "none");
    check_service("[{'fault':'kill','confirmed':false,'healed':true,"
                  "'acknowledged':3}]",
                  true, "none");
    check_service("[{'fault':'kill','confirmed':true,'healed':false,"
                  "'acknowledged':3}]",
                  true, "none");
    check_service("[{'fault':'kill','confirmed':true,'healed':true,"
                  "'acknowledged':3}]",
                  true, "continues");
    check_service("[{'fault':'kill','confirmed':true,'healed':true,"
                  "'acknowledged':0}]",
                  true, "fails_closed");
    check_service("[{'fault':'kill','confirmed':true,'healed':true,"
                  "'acknowledged':0}]",
                  false, "none");
    check_service("[{'fault':'kill','confirmed':true,'healed':true,"
                  "'acknowledged':9},"
                  "{'fault':'kill','confirmed':true,'healed':true,"
                  "'acknowledged':0},"
                  "{'fault':'pause','confirmed':true,'healed':true,"
                  "'acknowledged':5}]",
                  true, "fails_closed"); /* the last of its kind */
}

static void
check_nodes(const char *hit, const char *expected)
{
    char faults[512], why[256];

    snprintf(faults, sizeof(faults),
             "[{'fault':'kill','confirmed':true,'healed':true,'nodes':%s}]",
             hit);
    CHECK_STR(observe("node", faults, true, why), expected);
}

static void
test_nodes(void)
{
    check_nodes("[]", "none");
    check_nodes("['n1']", "recovers_by_log");
    check_nodes("['n2']", "recovers_by_suffix");
    check_nodes("['n3']", "refuses_to_start");
    check_nodes("['n4']", "recovers_by_snapshot");
    check_nodes("['n5']", "none");
    check_nodes("['n9']", "none");
    check_nodes("['n1','n2']", "none"); /* not the same */
    check_nodes("['n2','n2']", "recovers_by_suffix");
}

static void
test_verdict(void)
{
    static const char *const expected[] = {"continues", "fails_closed"};
    static const char *const verdicts[] = {"valid", "invalid"};
    json_t *faults = json_pack("[{s:s, s:b, s:b, s:i}]", "fault", "kill",
                               "confirmed", 1, "healed", 1, "acknowledged", 4);
    struct failure_seen seen = {.faults = faults, .serves = true};
    json_t *row, *result;

    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        row = json_pack("{s:s, s:s, s:s}", "about", "service", "fault", "kill",
                        "expected", expected[i]);
        result = failure_judge("x", row, &seen);
        CHECK_STR(json_string_value(json_object_get(result, "verdict")),
                  verdicts[i]);
        CHECK_STR(json_string_value(json_object_get(result, "observed")),
                  "continues");
        json_decref(result);
        json_decref(row);
    }
    row = json_pack("{s:s, s:s, s:s}", "about", "service", "fault", "stop",
                    "expected", "continues");
    result = failure_judge("x", row, &seen);
    CHECK_STR(json_string_value(json_object_get(result, "verdict")), "unknown");
    CHECK(json_is_null(json_object_get(result, "observed")));
    json_decref(result);
    json_decref(row);
    json_decref(faults);
}

/* Every row has a scenario in the suite, and every scenario a row. */
static void
test_matrix_is_whole(void)
{
    struct matrix_options o = {.suite = "failure-matrix"};
    struct error err = {0};
    json_t *rows = failure_matrix(&err);
    struct matrix m;

    if (rows == NULL)
        printf("# %s\n", err.text);
    CHECK(rows != NULL);
    CHECK_OK(matrix_load(&o, &m, &err), &err);
    CHECK_INT(m.row_count, json_object_size(rows));
    for (size_t i = 0; i < m.row_count; i++) {
        struct scenario *s = scenario_load(m.rows[i].scenario, &err);

        CHECK(s != NULL && s->failure != NULL);
        CHECK(json_object_get(rows, s->failure) != NULL);
        CHECK(s->schedule != NULL);
        scenario_free(s);
    }
    CHECK(failure_find("no_such_failure", &err) == NULL);
    CHECK_INT(err.kind, ERROR_CONFIG);
    matrix_release(&m);
    json_decref(rows);
}

int
main(void)
{
    RUN(test_service);
    RUN(test_nodes);
    RUN(test_verdict);
    RUN(test_matrix_is_whole);
    return tap_done();
}
