/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repro.sh: the same scenario, seed and options once more.  A scenario that
 * does not ship is taken from the bundle itself, so the script works from
 * wherever the bundle was moved to.
 */
#include "config.h"

#include <inttypes.h>

#include "artifacts/report.h"
#include "artifacts/text.h"

void
repro_render(const struct run_report *r, struct buf *out)
{
    buf_puts(out,
             "#!/bin/sh\n"
             "# SPDX-License-Identifier: Apache-2.0\n"
             "# Runs this scenario again with the same seed and options.  The "
             "seed fixes the\n"
             "# fault plan and what clients ask; timing is the machine's, so "
             "a rare failure may\n"
             "# take several runs.  ORDEAL names another program than the one "
             "on PATH; further\n"
             "# options given to this script are passed on.\n"
             "set -eu\n");
    if (r->scenario_is_file)
        buf_puts(out, "here=$(cd \"$(dirname \"$0\")\" && pwd)\n");
    buf_puts(out, "exec \"${ORDEAL:-ordeal}\" run ");
    if (r->scenario_is_file)
        buf_puts(out, "\"$here/scenario.yaml\"");
    else
        text_shell(out, r->scenario);
    buf_printf(out, " --seed %" PRIu64, r->seed);
    for (size_t i = 0; i < r->option_count; i++) {
        buf_puts(out, " \\\n    ");
        text_shell(out, r->options[i]);
    }
    buf_puts(out, " \"$@\"\n");
}
