/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sentences of all models share: the calls that contradict, and how
 * values and clients are named.
 *
 * Threads: one story, one thread.
 */
#ifndef ORDEAL_ANALYZER_EXPLAIN_STORY_H
#define ORDEAL_ANALYZER_EXPLAIN_STORY_H

#include "analyzer/explain/words.h"

#define STORY_NONE UINT32_MAX
/* Beyond that a core is a heap of calls, and is told in general. */
#define STORY_MAX 16u

struct story {
    const struct problem *p;
    const struct calls *c;
    const struct decision *d;
    uint32_t firm[STORY_MAX]; /* calls that contradict */
    uint32_t firm_count;
    uint32_t last;  /* of them, the one answered last */
    uint32_t other; /* of two, the other; STORY_NONE: there are not two */
    char text[4][96];
    unsigned text_next;
    struct buf out;
};

/* A value in words, good for the next three calls. */
const char *story_value(struct story *s, uint32_t value);
unsigned story_client(const struct story *s, uint32_t call);
/* Whether it was answered before the last call was invoked. */
bool story_before(const struct story *s, uint32_t call);
/* ", which no order of it and the 3 other calls below allows". */
void story_unordered(struct story *s);

/* Appends the headline; false: it has none for this. */
bool story_kernel(struct story *s);

#endif
