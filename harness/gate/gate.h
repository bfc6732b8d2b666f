/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gate runs a whole suite over lanes and says what it came to.
 *
 *   OUTPUT/gates/SUITE-20260131T235959Z-5f0c/
 *       gate.json      all that is known, from the first moment (gate/state.h)
 *       row-NNN-K.out, .log   what each run printed
 *       summary.md, junit.xml at the end
 *
 * Bundles of its runs are where those of 'ordeal run' are.  A gate that was
 * interrupted, by Ctrl-C, kill -9 or a reboot, is continued with 'resume'.
 *
 * Threads: one gate per process, on the main thread (signals belong to it).
 */
#ifndef ORDEAL_HARNESS_GATE_GATE_H
#define ORDEAL_HARNESS_GATE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "artifacts/status.h"
#include "harness/base/error.h"

/* Three machines each: a large host. */
#define GATE_LANES_MAX 64

#define GATE_SEED_ANY UINT64_MAX

struct gate_options {
    const char *suite;
    const char *resume;  /* a gate's directory, "last", or NULL: a new gate */
    const char *output;  /* directory of bundles */
    const char *uri;     /* libvirt's, or NULL */
    const char *system;  /* of every row, or NULL: its own */
    const json_t *tests; /* results of tests (claims_tests), or NULL */
    int64_t window_ns;   /* of every row; 0: the suite's own */
    uint64_t lanes;
    uint64_t seed; /* GATE_SEED_ANY: the suite's own, else a fresh one */
    bool quiet;    /* no progress */
    bool as_json;
};

/*
 * Returns 0 and the status when the gate could begin; it is 'insufficient' at
 * best when rows are missing.  -1: it could not (no such suite, no such gate).
 */
int gate_run(const struct gate_options *options, enum run_status *ret,
             struct error *err);

#endif
