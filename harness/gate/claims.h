/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evidence matrix: what the project claims, which proof there is for each
 * claim at each level, and what is not proven (scenarios/claims.yaml,
 * docs/GATE.md).
 *
 *   L0 unit tests, L1 simulation, L2 processes on one host, L3 a cluster
 *
 * L0 to L2 are results of tests (NAME.trs of the build tree), if they are newer
 * than the programs they tested.  L3 are rows of the gate.  Nothing is PROVEN
 * by being written down.
 *
 * Threads: one.
 */
#ifndef ORDEAL_HARNESS_GATE_CLAIMS_H
#define ORDEAL_HARNESS_GATE_CLAIMS_H

#include <jansson.h>

#include "harness/base/error.h"

/* The claims of scenarios/claims.yaml.  New reference; CONFIG: it is wrong. */
json_t *claims_load(struct error *err);

/*
 * Results of the tests that the claims name (harness/gate/test-results.h): of a
 * build tree, or of a file that one left.  New reference.
 */
json_t *claims_tests(const char *path, const char *commit, struct error *err);

/*
 * One object for each claim: {"id", "claim", "state": "PROVEN|PARTIAL|NOT
 * PROVEN|BLOCKED", "levels": [{"level", "proven", "text"}], "missing",
 * "residual", "owner", "closes"}.  'tests' NULL: no results of tests are here.
 * New reference; CONFIG: claims.yaml is wrong.
 */
json_t *claims_weigh(const json_t *gate_state, const json_t *tests,
                     struct error *err);

/* The same with claims given (tests). */
json_t *claims_weigh_list(const json_t *claims, const json_t *gate_state,
                          const json_t *tests, struct error *err);

#endif
