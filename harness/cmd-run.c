/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal run': one or more scenarios, one after the other. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "harness/base/log.h"
#include "harness/base/rng.h"
#include "harness/commands.h"
#include "harness/output.h"
#include "harness/provider/supervise.h"
#include "harness/run.h"

struct run_command {
    const struct command *self;
    struct run_options options;
    char **scenarios;
    int scenario_count;
};

/* The child of the reaping parent: all runs, the worst status wins. */
static int
run_command_child(void *arg)
{
    struct run_command *c = arg;
    enum run_status worst = STATUS_PASSED;

    for (int i = 0; i < c->scenario_count; i++) {
        struct run_result result = {0};
        struct error err = {0};

        c->options.scenario = c->scenarios[i];
        if (run_scenario(&c->options, &result, &err) < 0)
            return command_failed(c->self, &err);
        worst = run_status_worst(worst, result.status);
        if (result.interrupted)
            break;
    }
    return run_status_exit(worst);
}

static int
run_main(const struct command *self, int argc, char **argv)
{
    struct run_command c = {.self = self};
    struct run_options *o = &c.options;
    const char *rate = NULL;
    uint64_t seed = UINT64_MAX;
    const struct option_spec specs[] = {
        {"window", 'w', OPTION_DURATION, &o->window_ns, "DURATION",
         "how long clients and faults run (60s, 15m, 2h)"},
        {"seed", 's', OPTION_UINT, &seed, "NUMBER",
         "fixes the fault plan and what clients ask (default: fresh)"},
        {"plan", 'p', OPTION_STRING, &o->plan, "FILE",
         "replay the faults of this plan.json at their offsets"},
        {"nodes", 'n', OPTION_UINT, &o->node_count, "NUMBER",
         "virtual machines"},
        {"clients", 'c', OPTION_UINT, &o->client_count, "NUMBER",
         "concurrent clients"},
        {"rate", 'r', OPTION_STRING, &rate, "NUMBER",
         "operations per second over all clients, 0: no limit"},
        {"bug", 'b', OPTION_STRING, &o->bug, "NAME",
         "plant a bug in the replicas (ordeal-replica --list-bugs)"},
        {"system", 0, OPTION_STRING, &o->system, "NAME|FILE",
         "instead of the scenario's; FILE is a daemon of yours "
         "(docs/SYSTEMS.md)"},
        {"output", 'o', OPTION_STRING, &o->output, "DIR",
         "where bundles go (default: runs, or $ORDEAL_OUTPUT)"},
        {"uri", 0, OPTION_STRING, &o->uri, "URI",
         "libvirt connection (default: its QEMU driver in this process)"},
        {"quiet", 'q', OPTION_FLAG, &o->quiet, NULL, "no progress"},
        {"format", 0, OPTION_FORMAT, &o->as_json, "text|json",
         "how to tell the verdict; json: a line at the begin, one at the end"},
        {"keep", 'k', OPTION_FLAG, &o->keep, NULL,
         "after the verdict keep the cluster up until Ctrl-C"},
    };
    char *end = NULL;
    int exit_status;

    if (options_parse(self, specs, ARRAY_LEN(specs), false, argc, argv,
                      &c.scenario_count, &exit_status) != OPTIONS_OK)
        return exit_status;
    if (c.scenario_count == 0)
        return usage_error(self, "which scenario? 'ordeal plan' lists them");
    o->rate = rate == NULL ? -1 : strtod(rate, &end);
    if (rate != NULL && (*end != '\0' || o->rate < 0 || end == rate))
        return usage_error(self, "--rate: '%s' is no number", rate);
    o->seed_given = seed != UINT64_MAX;
    o->seed = seed;
    o->output = output_directory(o->output);
    c.scenarios = argv;
    return supervise_main(run_command_child, &c);
}

const struct command command_run = {
    .name = "run",
    .synopsis = "SCENARIO... [options]",
    .summary = "run scenarios: machines, load, faults, verdict, bundle",
    .details =
        "A SCENARIO is the id of one that ships ('ordeal plan' lists them) or "
        "a YAML file.\nProgress goes to standard error; the last lines on "
        "standard output are the\nverdict and the bundle. Ctrl-C ends the load "
        "early and still judges what there is\n(status 'insufficient'); a "
        "second one goes straight to the end.",
    .run = run_main,
};
