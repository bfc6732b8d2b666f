/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts: what checkers and engines say of a history.
 */
#ifndef ORDEAL_ANALYZER_VERDICT_H
#define ORDEAL_ANALYZER_VERDICT_H

enum verdict { VERDICT_VALID, VERDICT_UNKNOWN, VERDICT_INVALID };

const char *verdict_name(enum verdict v); /* "valid", "unknown", "invalid" */
enum verdict verdict_worst(enum verdict a, enum verdict b);

#define REASON_TEXT_MAX 512

#endif
