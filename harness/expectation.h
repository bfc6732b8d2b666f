/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a planted bug, or a canary, is expected to set off: {"must": [checkers],
 * "may": [checkers]}, an array that is absent or null being empty.  Those that
 * must have to find a violation; what finds one and is in neither list is a
 * false alarm.  A row of a gate is such an object, too.
 *
 * Of planted bugs scenarios/bugs.yaml has one each, with the "scenario" that
 * brings the bug to light and the "engine" of the reference replica whose code
 * it is in (absent: it is in the code of all).
 *
 * Checkers are the array of a run: [{"checker": NAME, "verdict": V}].
 */
#ifndef ORDEAL_HARNESS_EXPECTATION_H
#define ORDEAL_HARNESS_EXPECTATION_H

#include <jansson.h>
#include <stdbool.h>

#include "harness/base/error.h"

/* That of a bug.  New reference; NULL: bugs.yaml does not list it. */
json_t *expectation_of_bug(const char *bug, struct error *err);

/*
 * Whether the bug does anything on the engine that serves the capability (NULL:
 * the default engine): one that does not would be taken for one that nobody
 * finds.  CONFIG errors name its engine and the scenario that shows it.
 */
int expectation_check(const json_t *expectation, const char *bug,
                      const char *system, const char *capability,
                      struct error *err);

/* Whether the list ("must" or "may") names the checker. */
bool expectation_names(const json_t *expectation, const char *list,
                       const char *checker);

bool expectation_fired(const json_t *checkers, const char *checker);

/* The first that had to fire and did not; NULL: none. */
const char *expectation_missed(const json_t *expectation,
                               const json_t *checkers);

/* The first that fired and is in neither list; NULL: none. */
const char *expectation_false_alarm(const json_t *expectation,
                                    const json_t *checkers);

#endif
