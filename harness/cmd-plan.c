/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal plan': the run matrix of a suite, and whether it can run here. */
#include "config.h"

#include <jansson.h>
#include <stdio.h>

#include "artifacts/status.h"
#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/commands.h"
#include "harness/paths.h"
#include "harness/readiness.h"
#include "harness/scenario.h"
#include "workloads/workload.h"

/* Why the scenario cannot run here, into 'reason'; "" when it can. */
static void
plan_blocked(const struct scenario *s, char *reason, size_t size)
{
    struct error err = {0};

    reason[0] = '\0';
    if (provider_find(s->provider) == NULL)
        snprintf(reason, size, "no provider '%s'", s->provider);
    else if (system_find(s->system) == NULL)
        snprintf(reason, size, "no system '%s'", s->system);
    else if (workload_find(s->workload) == NULL)
        snprintf(reason, size, "no workload '%s'", s->workload);
    else if (readiness_quick(&err) < 0)
        snprintf(reason, size, "%s", err.text);
}

static json_t *
plan_row(const struct scenario *s, int64_t window_ns)
{
    char reason[ERROR_TEXT_MAX];

    plan_blocked(s, reason, sizeof(reason));
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:b, s:s, s:s}", "scenario", s->id, "system",
        s->system, "workload", s->workload, "provider", s->provider,
        "window_ns", (json_int_t)window_ns, "faults", s->schedule != NULL,
        "state", reason[0] == '\0' ? "RUNNABLE" : "BLOCKED", "reason", reason);
}

/* The runs of a suite, or each scenario that ships. */
static json_t *
plan_runs(const char *suite_name, struct error *err)
{
    json_t *suite, *ids, *id, *runs;
    size_t i;

    if (suite_name != NULL) {
        suite = suite_load(suite_name, err);
        runs = json_incref(json_object_get(suite, "runs"));
        json_decref(suite);
        return runs;
    }
    ids = scenario_ids(err);
    if (ids == NULL)
        return NULL;
    runs = json_array();
    json_array_foreach (ids, i, id) {
        json_array_append_new(runs, json_pack("{s:O}", "scenario", id));
    }
    json_decref(ids);
    return runs;
}

static int
plan_rows(const json_t *runs, json_t *rows, struct error *err)
{
    size_t i;
    json_t *run;

    json_array_foreach ((json_t *)runs, i, run) {
        const char *id = json_string_value(json_object_get(run, "scenario"));
        const char *window = json_string_value(json_object_get(run, "window"));
        struct scenario *s;
        int64_t window_ns;

        if (id == NULL)
            return error_set(err, ERROR_CONFIG,
                             "run %zu of the suite names no scenario", i + 1);
        s = scenario_load(id, err);
        if (s == NULL)
            return -1;
        window_ns = s->window_ns;
        if (window != NULL && !duration_parse(window, &window_ns)) {
            scenario_free(s);
            return error_set(err, ERROR_CONFIG, "'%s' is no duration", window);
        }
        json_array_append_new(rows, plan_row(s, window_ns));
        scenario_free(s);
    }
    return 0;
}

static void
plan_print(const json_t *rows)
{
    size_t i;
    json_t *row;

    printf("%-40s %-8s %-9s %7s  %s\n", "SCENARIO", "SYSTEM", "PROVIDER",
           "WINDOW", "STATE");
    json_array_foreach ((json_t *)rows, i, row) {
        const char *reason = json_string_value(json_object_get(row, "reason"));

        printf(
            "%-40s %-8s %-9s %6llds  %s%s%s%s\n",
            json_string_value(json_object_get(row, "scenario")),
            json_string_value(json_object_get(row, "system")),
            json_string_value(json_object_get(row, "provider")),
            (long long)(json_integer_value(json_object_get(row, "window_ns")) /
                        NS_PER_S),
            json_string_value(json_object_get(row, "state")),
            reason[0] == '\0' ? "" : "(", reason, reason[0] == '\0' ? "" : ")");
    }
}

static int
plan_main(const struct command *self, int argc, char **argv)
{
    bool as_json = false;
    const struct option_spec specs[] = {
        {"format", 0, OPTION_FORMAT, &as_json, "text|json", "how to print"},
    };
    struct error err = {0};
    json_t *runs, *rows;
    int count, exit_status, status = 0;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv, &count,
                      &exit_status) != OPTIONS_OK)
        return exit_status;
    if (count > 1)
        return usage_error(self, "one suite at a time");
    runs = plan_runs(count == 1 ? argv[0] : NULL, &err);
    if (runs == NULL)
        return command_failed(self, &err);
    rows = json_array();
    if (plan_rows(runs, rows, &err) < 0) {
        status = command_failed(self, &err);
    } else if (as_json) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        plan_print(rows);
    }
    json_decref(rows);
    json_decref(runs);
    return status;
}

const struct command command_plan = {
    .name = "plan",
    .synopsis = "[SUITE] [--format text|json]",
    .summary = "print a suite's runs and whether each can run on this machine",
    .details = "Without SUITE: every scenario that ships.  A row is RUNNABLE, "
               "or BLOCKED with\nthe reason; 'ordeal doctor' prints how to "
               "mend it.",
    .run = plan_main,
};
