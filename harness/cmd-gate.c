/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal gate': a whole suite over lanes. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/rng.h"
#include "harness/commands.h"
#include "harness/gate/claims.h"
#include "harness/gate/gate.h"
#include "harness/gate/test-results.h"
#include "harness/output.h"
#include "harness/paths.h"

#define GATE_SUITE "release-gate"

/* The build tree that this program runs from, with the results of its tests. */
static char *
gate_tests_dir(void)
{
    CLEANUP_FREE char *self = paths_self();
    CLEANUP_FREE char *status = NULL;
    char *slash = self == NULL ? NULL : strrchr(self, '/');

    if (slash == NULL)
        return NULL;
    *slash = '\0';
    status = xasprintf("%s/config.status", self);
    return path_exists(status) ? xstrdup(self) : NULL;
}

/* For where these programs are installed and no tree is. */
static int
gate_write_tests(const char *path, const json_t *results, struct error *err)
{
    CLEANUP_FREE char *text =
        results == NULL ? NULL : json_dumps(results, JSON_INDENT(2));

    if (text == NULL)
        return error_set(err, ERROR_CONFIG,
                         "--write-tests: of which tree? (--tests)");
    return file_write_atomic(path, text, strlen(text), 0644, err);
}

static int
gate_main(const struct command *self, int argc, char **argv)
{
    CLEANUP_FREE char *tree = gate_tests_dir();
    const char *tests = tree, *write_tests = NULL;
    struct gate_options o = {.lanes = 1, .seed = GATE_SEED_ANY};
    const struct option_spec specs[] = {
        {"lanes", 'l', OPTION_UINT, &o.lanes, "NUMBER",
         "clusters at the same time (default: 1)"},
        {"window", 'w', OPTION_DURATION, &o.window_ns, "DURATION",
         "of every run; shortened windows are no evidence for a release"},
        {"seed", 's', OPTION_UINT, &o.seed, "NUMBER",
         "fixes the seeds of all runs (default: the suite's, or fresh)"},
        {"resume", 0, OPTION_STRING, &o.resume, "DIR|last",
         "go on with a gate that was interrupted"},
        {"tests", 0, OPTION_STRING, &tests, "DIR|FILE",
         "results of tests, for the claims: a build tree, or "
         "the " TEST_RESULTS_FILE " of one (default: this program's tree)"},
        {"write-tests", 0, OPTION_STRING, &write_tests, "FILE",
         "only write the results of --tests to a file"},
        {"system", 0, OPTION_STRING, &o.system, "NAME|FILE",
         "of every run; FILE is a daemon of yours (docs/SYSTEMS.md)"},
        {"output", 'o', OPTION_STRING, &o.output, "DIR",
         "where bundles go (default: runs, or $ORDEAL_OUTPUT)"},
        {"uri", 0, OPTION_STRING, &o.uri, "URI", "libvirt connection"},
        {"quiet", 'q', OPTION_FLAG, &o.quiet, NULL, "no progress"},
        {"format", 0, OPTION_FORMAT, &o.as_json, "text|json",
         "how to print the result"},
    };
    enum run_status status = STATUS_INTERNAL;
    const char *commit = getenv("ORDEAL_COMMIT"); /* the build knows it */
    struct error err = {0};
    json_t *results;
    int count, exit_status, result;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv, &count,
                      &exit_status) != OPTIONS_OK)
        return exit_status;
    if (count > 1 || (count == 1 && o.resume != NULL))
        return usage_error(self, "one suite, or one gate to resume");
    if (o.lanes < 1 || o.lanes > GATE_LANES_MAX)
        return usage_error(self, "--lanes: from 1 to %d", GATE_LANES_MAX);
    o.suite = count == 1 ? argv[0] : GATE_SUITE;
    o.output = output_directory(o.output);
    results = tests == NULL ? NULL : claims_tests(tests, commit, &err);
    o.tests = results;
    if (tests != NULL && results == NULL)
        result = -1;
    else if (write_tests != NULL)
        result = gate_write_tests(write_tests, results, &err);
    else
        result = gate_run(&o, &status, &err);
    json_decref(results);
    if (result < 0)
        return command_failed(self, &err);
    return write_tests != NULL ? 0 : run_status_exit(status);
}

const struct command command_gate = {
    .name = "gate",
    .synopsis = "[SUITE] [--lanes N] [options]",
    .summary = "run a whole suite over lanes: table, claims, one exit status",
    .details =
        "Without SUITE: " GATE_SUITE
        ", the runs that a release needs ('ordeal plan SUITE' prints them).\n"
        "Each run has machines and a process of its own; one that came to "
        "'infra' is tried once\nmore. Ctrl-C ends the runs under way; "
        "--resume last goes on with those that are missing.\nThe exit status "
        "is that of the worst row; a missing, blocked or shortened row makes "
        "a\nrelease at best 'insufficient'.",
    .run = gate_main,
};
