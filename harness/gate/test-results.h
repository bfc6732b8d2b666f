/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of the tests that claims name, as an object that can be handed from
 * the build tree to wherever its programs are installed:
 *
 *   {"schema": 1, "commit": TEXT or null, "build": TEXT,
 *    "tests": {NAME: null (passed after the last build), or what is missing}}
 *
 * "build" tells the programs 'ordeal' and 'ordeal-replica' by their contents:
 * results of other programs prove nothing about these.
 */
#ifndef ORDEAL_HARNESS_GATE_TEST_RESULTS_H
#define ORDEAL_HARNESS_GATE_TEST_RESULTS_H

#include <jansson.h>

#include "harness/base/error.h"

#define TEST_RESULTS_FILE "tests-results.json"

/*
 * What automake's test driver left in a build tree of all tests that the claims
 * name.  'commit' may be NULL.  New reference.
 */
json_t *test_results_of_tree(const char *dir, const json_t *claims,
                             const char *commit, struct error *err);

/* A file of such results.  CONFIG: it is none, or is of another build. */
json_t *test_results_load(const char *path, struct error *err);

/* NULL when the test passed, else what is missing; the caller frees.
 * 'results' NULL: none are here. */
char *test_results_problem(const json_t *results, const char *name);

#endif
