/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal check': the analyzer's own command line, under our name. */
#include "config.h"

#include "analyzer/analyzer.h"
#include "harness/commands.h"

static int
check_main(const struct command *self, int argc, char **argv)
{
    (void)self;
    return analyzer_cli(argc, argv);
}

const struct command command_check = {
    .name = "check",
    .synopsis = "HISTORY|BUNDLE... [options]",
    .summary = "judge a history or a bundle offline",
    .run = check_main,
};
