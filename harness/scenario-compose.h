/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios that are no file of their own: a family (what clients do, on which
 * system) under a nemesis (what is done to the system).  The id is both names:
 *
 *   lease_safety-crash-restart = scenarios/families/lease_safety.yaml
 *                              + scenarios/nemesis/crash-restart.yaml
 *
 * A family lists the nemeses that it goes with; there are no others.
 * docs/SCENARIOS.md describes both kinds of file.
 */
#ifndef ORDEAL_HARNESS_SCENARIO_COMPOSE_H
#define ORDEAL_HARNESS_SCENARIO_COMPOSE_H

#include <jansson.h>
#include <stdbool.h>

#include "harness/base/error.h"

/*
 * The scenario with this id as one object, as a file of its own would have it:
 * new reference.  NULL: no family and nemesis have that id ('err' untouched),
 * or one of the two is not as it should be (CONFIG).
 */
json_t *scenario_compose(const char *id, struct error *err);

/* The schedule of a nemesis by its name: new reference; NULL and CONFIG. */
json_t *scenario_nemesis(const char *name, struct error *err);

/* Appends the ids of all compositions.  0 or -1. */
int scenario_compose_ids(json_t *ids, struct error *err);

#endif
