/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML files of people (scenarios, suites) as JSON values.  Plain scalars
 * become null, true/false, integers or reals by the YAML core schema; quoted
 * ones stay strings.  No anchors, aliases, tags or second documents: a scenario
 * is data that a reader sees in full.  Duplicate keys are errors.
 */
#ifndef ORDEAL_HARNESS_YAML_H
#define ORDEAL_HARNESS_YAML_H

#include <jansson.h>

#include "harness/base/error.h"

#define YAML_DEPTH_MAX 16
#define YAML_NODES_MAX 20000

/* New reference, or NULL with err "FILE:LINE: what is wrong". */
json_t *yaml_load_file(const char *path, struct error *err);
json_t *yaml_load_text(const char *name, const char *text, size_t len,
                       struct error *err);

#endif
