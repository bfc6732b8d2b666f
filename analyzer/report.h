/* SPDX-License-Identifier: Apache-2.0 */
/* Findings and evidence as JSON, and JSON as text for people. */
#ifndef ORDEAL_ANALYZER_REPORT_H
#define ORDEAL_ANALYZER_REPORT_H

#include <stdio.h>

#include "analyzer/checker.h"

/* A result without findings: verdict valid, operations and evidence. */
json_t *report_new(const struct table *t);
void report_add(json_t *result, const struct checker_ops *ops,
                const struct finding *finding);

/* A checker that is not in the registry: undecided, for this reason. */
void report_add_unknown(json_t *result, const char *name, const char *reason);

/* A checker's entry of judge_model()'s result 'judged' (borrowed). */
void report_add_judged(json_t *result, const json_t *checker,
                       const json_t *judged);

/* For a terminal; the first line is the verdict. */
void report_print(const json_t *result, const char *path, FILE *out);

/* What the history shows besides verdicts (evidence.c). */
json_t *evidence_new(const struct table *t);

#endif
