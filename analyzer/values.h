/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value numbers: every value of a history is one 32-bit number, equal values
 * have equal numbers (hash consing, as for terms in E. Goto, 1974).  Small
 * naturals stand for themselves and cost nothing; everything else is kept once.
 *
 *   VALUE_NIL, VALUE_ABSENT             at the top
 *   VALUE_SMALL_MAX + 1 ...             number of an entry
 *   0 .. VALUE_SMALL_MAX                the integer itself
 *
 * What is equal: a keyword and a string of the same text (EDN writes one,
 * JSON the other); a real without fraction and the integer; maps whatever the
 * order of their pairs.  Lists are equal item by item.
 *
 * Only for analyzer/calls.c: others use the functions of calls.h.
 *
 * Threads: one writer, or any number of readers.
 */
#ifndef ORDEAL_ANALYZER_VALUES_H
#define ORDEAL_ANALYZER_VALUES_H

#include "analyzer/formats/tree.h"
#include "harness/base/arena.h"

/* More values than this do not get numbers; the top ones have a meaning. */
#define VALUES_MAX 0x7ffffff0u

struct values;

struct values *values_new(void);
void values_free(struct values *v);

uint32_t values_number(struct values *v, const struct tree *t);
uint32_t values_int(struct values *v, int64_t n);
uint32_t values_text(struct values *v, const char *text, size_t len);

bool values_to_int(const struct values *v, uint32_t number, int64_t *ret);
const char *values_to_text(const struct values *v, uint32_t number,
                           size_t *ret_len);
const char *values_print(const struct values *v, uint32_t number, char *buf,
                         size_t size);

/* A hash of a tree by which equal values are equal; good in all 64 bits. */
uint64_t tree_hash(const struct tree *t, uint64_t seed);
uint64_t bytes_hash(const void *bytes, size_t len, uint64_t seed);

#endif
