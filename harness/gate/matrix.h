/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run matrix of a suite: which scenario runs in which row, for how long,
 * with which planted bug, and whether it can run on this machine at all.
 *
 * A suite is scenarios/suites/ID.yaml (docs/SCENARIOS.md, "Suites").
 */
#ifndef ORDEAL_HARNESS_GATE_MATRIX_H
#define ORDEAL_HARNESS_GATE_MATRIX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/error.h"

/* A night of one-minute runs in four lanes. */
#define MATRIX_ROWS_MAX 2048

struct matrix_row {
    char *scenario; /* id or path, as 'ordeal run' takes it */
    char *system, *workload, *provider;
    char *bug;    /* planted, or NULL */
    json_t *must; /* checkers that must find a violation: array, or NULL */
    json_t *may;  /* that may find one, too: array, or NULL */
    int64_t window_ns, full_window_ns; /* of this row; the scenario's own */
    bool faults;                       /* it has a schedule */
    bool blocking; /* anything but 'passed' keeps a release back */
    char *blocked; /* why it cannot run here, or NULL */
};

struct matrix {
    char *suite, *description;
    bool release; /* its runs are evidence for a release */
    bool seeded;  /* the seed is the suite's own */
    uint64_t seed;
    struct matrix_row *rows;
    size_t row_count;
};

struct matrix_options {
    const char *suite;  /* NULL: each scenario that ships, in order */
    const char *system; /* of every row (scenario_use_system); NULL: its own */
    int64_t window_ns;  /* of every row; 0: its own */
};

/* CONFIG: no such suite, no such scenario, a key that means nothing. */
int matrix_load(const struct matrix_options *o, struct matrix *ret,
                struct error *err);
void matrix_release(struct matrix *m);

/* Shorter than the scenario's own window: no evidence for a release. */
bool matrix_row_shortened(const struct matrix_row *row);

#endif
