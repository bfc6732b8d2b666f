/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane runs one row at a time, each as a process of its own
 * ('ordeal run --format json'): what goes wrong in one run, up to the end of
 * its driver, reaches no other.  Machines are made anew for every run.
 *
 *   lane_start -> lane_look ... -> lane_ended -> lane_manifest -> lane_release
 *
 * What the process prints goes to files in the gate's directory, not to pipes:
 * a run outlives a gate that was killed, and can be found again.
 *
 * Threads: one.
 */
#ifndef ORDEAL_HARNESS_GATE_LANE_H
#define ORDEAL_HARNESS_GATE_LANE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "harness/base/error.h"

struct lane {
    json_t *row; /* borrowed; NULL: idle */
    pid_t pid;
    uint64_t start_ticks;
    char *out_path, *err_path; /* owned */
    char *bundle;              /* owned; NULL: not known yet */
    char phase[32];            /* of the run, "" at first */
    int64_t started_ns;        /* monotonic, the caller's */
};

struct lane_command {
    const char *program; /* 'ordeal' */
    const char *output;  /* directory of bundles */
    const char *uri;     /* or NULL */
    const char *system;  /* or NULL */
    const char *dir;     /* the gate's */
    uint64_t seed;
};

/* Starts the row's run; err says why not. */
int lane_start(struct lane *lane, json_t *row, const struct lane_command *c,
               struct error *err);

/* Reads what the run tells of itself: bundle and phase. */
void lane_look(struct lane *lane);

/*
 * Whether the run has ended; *ret_problem (owned by the caller, or NULL) says
 * what was wrong with its end, if it did not end with a status.
 */
bool lane_ended(struct lane *lane, char **ret_problem);

/* The manifest of the bundle that the run left; NULL: none.  New reference. */
json_t *lane_manifest(struct lane *lane);

void lane_signal(const struct lane *lane, int signo);
void lane_release(struct lane *lane);

/*
 * A run that an earlier gate started and did not see end: asked to end, and
 * waited for until the absolute deadline.  False: it still runs.
 */
bool lane_end_old(const json_t *attempt, int64_t deadline_ns);

#endif
