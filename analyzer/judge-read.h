/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a read shows against what was acknowledged: the part that stale_read and
 * lost_write share.
 */
#ifndef ORDEAL_ANALYZER_JUDGE_READ_H
#define ORDEAL_ANALYZER_JUDGE_READ_H

#include "analyzer/checker.h"

#define CONTRADICTION_TEXT_MAX 1024
struct contradiction {
    char text[CONTRADICTION_TEXT_MAX]; /* "shows ..., but ..." */
    uint32_t by; /* the operation that contradicts, or TABLE_NONE */
};

/*
 * True when no correct execution with every acknowledged operation shows this
 * value at the read's place.  'answer' is one of a read.
 */
bool read_contradicts(const struct facts *f, uint32_t answer,
                      struct contradiction *ret);

#endif
