/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal doctor': tests every hop a run needs, by doing it. */
#include "config.h"

#include <jansson.h>
#include <stdio.h>

#include "artifacts/status.h"
#include "harness/base/cleanup.h"
#include "harness/commands.h"
#include "harness/provider/supervise.h"
#include "harness/readiness.h"

struct doctor_options {
    bool quick, json;
};

static int
doctor_child(void *arg)
{
    const struct doctor_options *o = arg;
    json_t *rows = json_array();
    bool ok = true;

    for (const struct readiness_check *c = readiness_checks; c->name != NULL;
         c++) {
        struct readiness_result result = {0};

        if (o->quick && !c->quick)
            continue;
        c->check(&result);
        ok = ok && result.ok;
        json_array_append_new(rows, json_pack("{s:s, s:b, s:s, s:s}", "check",
                                              c->name, "ok", result.ok, "found",
                                              result.found, "fix", result.fix));
        if (o->json)
            continue;
        printf("%-4s %-12s %s\n", result.ok ? "ok" : "FAIL", c->name,
               result.found);
        if (!result.ok)
            printf("     %-12s fix: %s\n", "", result.fix);
        fflush(stdout);
    }
    if (o->json) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        printf("\n");
    } else if (ok) {
        printf("everything a run needs is here\n");
    }
    json_decref(rows);
    return ok ? 0 : EXIT_INFRA;
}

static int
doctor_main(const struct command *self, int argc, char **argv)
{
    struct doctor_options o = {0};
    const struct option_spec specs[] = {
        {"quick", 'q', OPTION_FLAG, &o.quick, NULL, "start no machine"},
        {"format", 0, OPTION_FORMAT, &o.json, "text|json", "how to print"},
    };
    int count, exit_status;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv, &count,
                      &exit_status) != OPTIONS_OK)
        return exit_status;
    if (count != 0)
        return usage_error(self, "'%s': it takes no operand", argv[0]);
    return supervise_main(doctor_child, &o);
}

const struct command command_doctor = {
    .name = "doctor",
    .synopsis = "[options]",
    .summary = "test every hop that this machine needs, with the fix for each",
    .details = "Boots one machine and asks it over SSH. Exit status 0 when all "
               "is well, 3 when\nsomething is missing.",
    .run = doctor_main,
};
