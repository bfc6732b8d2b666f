/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal plan': the run matrix of a suite, and whether it can run here. */
#include "config.h"

#include <jansson.h>
#include <stdio.h>

#include "harness/base/clock.h"
#include "harness/commands.h"
#include "harness/gate/matrix.h"

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
plan_print(const struct matrix *m)
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

static int
plan_main(const struct command *self, int argc, char **argv)
{
    bool as_json = false;
    const struct option_spec specs[] = {
        {"format", 0, OPTION_FORMAT, &as_json, "text|json", "how to print"},
    };
    struct error err = {0};
    struct matrix matrix;
    json_t *rows;
    int count, exit_status;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv, &count,
                      &exit_status) != OPTIONS_OK)
        return exit_status;
    if (count > 1)
        return usage_error(self, "one suite at a time");
    if (matrix_load(count == 1 ? argv[0] : NULL, 0, &matrix, &err) < 0)
        return command_failed(self, &err);
    rows = plan_rows(&matrix);
    if (as_json) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        plan_print(&matrix);
    }
    json_decref(rows);
    matrix_release(&matrix);
    return 0;
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
