/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of an explanation share: the core's calls by number, in words,
 * and the choices that were refuted.
 *
 * Calls of a core are numbered from 1 in the order of their invocation; "#3" in
 * a sentence, a timeline and a table is the same call.
 *
 * Threads: pure.
 */
#ifndef ORDEAL_ANALYZER_EXPLAIN_WORDS_H
#define ORDEAL_ANALYZER_EXPLAIN_WORDS_H

#include "analyzer/engines/engine.h"
#include "harness/base/buf.h"

/* The call's number in the core; 0: it is not there. */
uint32_t words_number(const struct decision *d, uint32_t call);

/* Whether the core's i-th call is one of those that contradict. */
static inline bool
words_firm(const struct decision *d, uint32_t i)
{
    return d->core_firm == NULL || d->core_firm[i];
}

/* "2 calls contradict each other, 1 more is shown as context; ..." */
void words_size(const struct problem *p, const struct decision *d,
                struct buf *out);

/* Fills in edges between calls of the core: explain/edges.c. */
void words_edges(const struct problem *p, struct decision *d);

/* An open call that might have mattered, and what came of supposing that it
 * took effect, and that it did not. */
struct choice {
    uint32_t call;
    enum verdict with, without;
};
#define CHOICES_MAX 8u

/* Those of the core first, then others that were under way: at most
 * CHOICES_MAX; *ret_total is how many open calls there are that the core was
 * refuted with and without.  0 when the model has no steps. */
uint32_t words_choices(const struct problem *p, const struct decision *d,
                       struct choice ret[CHOICES_MAX], uint32_t *ret_total);

#endif
