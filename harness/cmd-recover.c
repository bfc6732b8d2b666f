/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal recover': finish what a dead driver left. */
#include "config.h"

#include <stdio.h>

#include "harness/base/cleanup.h"
#include "harness/commands.h"
#include "harness/output.h"
#include "harness/run.h"

static int
recover_main(const struct command *self, int argc, char **argv)
{
    const char *output = NULL;
    const struct option_spec specs[] = {
        {"output", 'o', OPTION_STRING, &output, "DIR",
         "where bundles are (default: runs, or $ORDEAL_OUTPUT)"},
    };
    struct error err = {0};
    unsigned recovered = 0;
    int count, exit_status, result;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv, &count,
                      &exit_status) != OPTIONS_OK)
        return exit_status;
    if (count > 1)
        return usage_error(self, "one directory of bundles at a time");
    if (count == 1)
        output = argv[0];
    result = run_recover(output_directory(output), &recovered, &err);
    if (recovered == 0)
        printf("nothing was left behind\n");
    else
        printf("%u left behind, %s\n", recovered,
               result == 0 ? "all ended" : "NOT ALL ENDED");
    return result == 0 ? 0 : command_failed(self, &err);
}

const struct command command_recover = {
    .name = "recover",
    .synopsis = "[DIR] [options]",
    .summary = "finish what a killed driver left: heal, collect, tear down",
    .details =
        "Looks at the bundles in DIR and at this user's private runtime "
        "directories.\nWhat a living driver owns is left alone. Harmless when "
        "there is nothing to do.",
    .run = recover_main,
};
