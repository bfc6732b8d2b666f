/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One execution of one scenario, from plan to bundle.
 *
 * Threads: one run per process at a time (libvirt's event loop and the
 * signals belong to it).
 */
#ifndef ORDEAL_HARNESS_RUN_H
#define ORDEAL_HARNESS_RUN_H

#include "artifacts/status.h"
#include "harness/scenario.h"

/* What the command line says; 0 and NULL mean the scenario's own. */
struct run_options {
    const char *scenario; /* id or path */
    int64_t window_ns;
    bool seed_given;
    uint64_t seed;
    uint64_t node_count, client_count;
    double rate; /* negative: the scenario's */
    const char *bug;
    const char *system; /* instead of the scenario's: a name, or a file */
    const char *plan;   /* a plan.json to replay, NULL: planned from the seed */
    const char *output; /* directory of bundles */
    const char *uri;    /* libvirt */
    bool keep;          /* leave the cluster up */
    bool quiet;         /* no progress */
    bool as_json;       /* tell begin and end as lines of JSON */
};

struct run_result {
    enum run_status status;
    char bundle[4096]; /* "" when none was made */
    bool interrupted;  /* by a signal: start no further run */
};

/*
 * Runs the scenario.  A run that could not even be planned (bad scenario, no
 * such bug) fails with ERROR_CONFIG and leaves nothing; everything later ends
 * in a bundle and a status, and returns 0.
 */
int run_scenario(const struct run_options *options, struct run_result *ret,
                 struct error *err);

/*
 * Finishes what a dead driver left: heals by the undo journals, collects what
 * the nodes still have, ends virtual machines.  Looks at the bundles below
 * 'output' and at the private runtime directories of this user.  *ret_count
 * is how many runs there were to finish.
 */
int run_recover(const char *output, unsigned *ret_count, struct error *err);

#endif
