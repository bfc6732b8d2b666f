/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From any history, ours or somebody else's, to a verdict by a model:
 *
 *   file --format--> records --model--> calls --check_calls--> JSON, evidence
 *
 * Threads: calls are independent of each other.
 */
#ifndef ORDEAL_ANALYZER_JUDGE_MODEL_H
#define ORDEAL_ANALYZER_JUDGE_MODEL_H

#include "analyzer/analyzer.h"
#include "analyzer/check.h"

/*
 * The model that fits the functions of a history whose format does not tell.
 * NULL and CONFIG: none does, or several do (a queue that must be first in
 * first out, or one that must only lose nothing): the user has to say.
 */
const struct model_ops *model_guess(const char *path, const char *from,
                                    struct error *err);

/*
 * Judges the history at 'path'.  The result (docs/CHECKERS.md, "Judging by a
 * model") has the shape of analyzer_run's.  -1: there is no history to judge,
 * or evidence that was asked for could not be written.
 */
int judge_model(const char *path, const struct analyzer_options *options,
                json_t **ret, struct error *err);

/* The result for a terminal. */
void judge_model_print(const json_t *result, const char *path, FILE *out);

#endif
