/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal plan': the run matrix of a suite, and whether it can run here. */
#include "config.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/rng.h"
#include "harness/commands.h"
#include "harness/gate/matrix.h"
#include "harness/paths.h"
#include "harness/scenario.h"
#include "nemesis/schedule.h"

static json_t *
plan_rows(const struct matrix *m)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < m->row_count; i++) {
        const struct matrix_row *row = &m->rows[i];

        json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:s, s:s, s:s?, s:I, s:b, s:b, s:b, s:s, "
                      "s:s}",
                      "scenario", row->scenario, "system", row->system,
                      "workload", row->workload, "provider", row->provider,
                      "bug", row->bug, "window_ns", (json_int_t)row->window_ns,
                      "shortened", matrix_row_shortened(row), "blocking",
                      row->blocking, "faults", row->faults, "state",
                      row->blocked == NULL ? "RUNNABLE" : "BLOCKED", "reason",
                      row->blocked == NULL ? "" : row->blocked));
    }
    return rows;
}

static void
plan_print_rows(const struct matrix *m)
{
    printf("%-40s %-8s %-9s %7s  %s\n", "SCENARIO", "SYSTEM", "PROVIDER",
           "WINDOW", "STATE");
    for (size_t i = 0; i < m->row_count; i++) {
        const struct matrix_row *row = &m->rows[i];
        bool blocked = row->blocked != NULL;

        printf("%-40s %-8s %-9s %6llds  %s%s%s%s%s%s%s\n", row->scenario,
               row->system, row->provider,
               (long long)(row->window_ns / NS_PER_S),
               blocked ? "BLOCKED(" : "RUNNABLE", blocked ? row->blocked : "",
               blocked ? ")" : "", row->bug == NULL ? "" : "  bug ",
               row->bug == NULL ? "" : row->bug,
               row->blocking ? "" : "  not blocking",
               matrix_row_shortened(row) ? "  short window" : "");
    }
    if (!m->release)
        printf("\nSuite '%s' counts for no release.\n", m->suite);
}

/* ---- the fault plan of one scenario ---- */

struct plan_options {
    const char *system; /* of every row; NULL: its own */
    bool as_json;
    uint64_t seed, node_count;
    int64_t window_ns;
};

static void
plan_print_faults(const struct scenario *s, const struct plan *p)
{
    printf("%s: %u nodes, %lld s, seed %" PRIu64 ", %zu faults\n", s->id,
           p->node_count, (long long)(p->window_ns / NS_PER_S), p->seed,
           p->entry_count);
    plan_print(p, stdout);
    if (p->beyond_budget)
        printf("beyond budget: it may break the durable state of %u of %u "
               "nodes at once\n",
               p->durability_max, p->node_count);
}

static int
plan_scenario(const char *name, const struct plan_options *o, struct error *err)
{
    struct scenario *s = scenario_load(name, err);
    struct plan plan = {0};
    json_t *json;
    int result;

    if (s == NULL)
        return -1;
    result = plan_build(
        s->schedule, o->seed == UINT64_MAX ? rng_fresh_seed() : o->seed,
        o->window_ns != 0 ? o->window_ns : s->window_ns,
        (unsigned)(o->node_count != 0 ? o->node_count : s->node_count), &plan,
        err);
    if (result < 0) {
        error_wrap(err, "%s: nemesis", s->path);
    } else if (o->as_json) {
        json = plan_to_json(&plan);
        json_dumpf(json, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(json);
    } else {
        plan_print_faults(s, &plan);
    }
    plan_release(&plan);
    scenario_free(s);
    return result;
}

/* A suite wins over a scenario of that name; a path is what it holds. */
static bool
plan_is_scenario(const char *name, const struct plan_options *o)
{
    CLEANUP_FREE char *relative = NULL;
    CLEANUP_FREE char *path = NULL;
    struct error err = {0};
    struct scenario *s;

    if (name == NULL)
        return false;
    if (o->seed != UINT64_MAX || o->window_ns != 0 || o->node_count != 0)
        return true;
    relative = xasprintf("scenarios/suites/%s.yaml", name);
    path = paths_data(relative);
    if (strchr(name, '/') == NULL && path_exists(path))
        return false;
    s = scenario_load(name, &err);
    scenario_free(s);
    return s != NULL;
}

static int
plan_main(const struct command *self, int argc, char **argv)
{
    struct plan_options o = {.seed = UINT64_MAX};
    const struct option_spec specs[] = {
        {"format", 0, OPTION_FORMAT, &o.as_json, "text|json", "how to print"},
        {"seed", 's', OPTION_UINT, &o.seed, "NUMBER",
         "of a scenario's faults (default: fresh)"},
        {"window", 'w', OPTION_DURATION, &o.window_ns, "DURATION",
         "of a scenario (default: its own)"},
        {"system", 0, OPTION_STRING, &o.system, "NAME|FILE",
         "of a suite's runs (default: their own)"},
        {"nodes", 'n', OPTION_UINT, &o.node_count, "NUMBER",
         "of a scenario (default: its own)"},
    };
    struct error err = {0};
    struct matrix matrix;
    json_t *rows;
    int count, exit_status;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv, &count,
                      &exit_status) != OPTIONS_OK)
        return exit_status;
    if (count > 1)
        return usage_error(self, "one suite or scenario at a time");
    if (o.node_count > NODE_COUNT_MAX)
        return usage_error(self, "--nodes: 1 to %d", NODE_COUNT_MAX);
    if (plan_is_scenario(count == 1 ? argv[0] : NULL, &o))
        return plan_scenario(argv[0], &o, &err) < 0 ? command_failed(self, &err)
                                                    : 0;
    if (matrix_load(
            &(struct matrix_options){.suite = count == 1 ? argv[0] : NULL,
                                     .system = o.system,
                                     .window_ns = o.window_ns},
            &matrix, &err) < 0)
        return command_failed(self, &err);
    rows = plan_rows(&matrix);
    if (o.as_json) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        plan_print_rows(&matrix);
    }
    json_decref(rows);
    matrix_release(&matrix);
    return 0;
}

const struct command command_plan = {
    .name = "plan",
    .synopsis = "[SUITE | SCENARIO [--seed N]] [options]",
    .summary = "print a suite's runs, or the numbered faults of a scenario",
    .details = "Without SUITE: every scenario that ships.  A row is RUNNABLE, "
               "or BLOCKED with\nthe reason; 'ordeal doctor' prints how to "
               "mend it.\nWith SCENARIO: the faults that a seed plans; as JSON "
               "the plan.json that\n'ordeal run --plan' replays.",
    .run = plan_main,
};
