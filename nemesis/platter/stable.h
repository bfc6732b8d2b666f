/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stable file: what survives.  Positioned, whole reads and writes; 0 or a
 * negative errno.  Threads: safe from any.
 */
#ifndef ORDEAL_NEMESIS_PLATTER_STABLE_H
#define ORDEAL_NEMESIS_PLATTER_STABLE_H

#include "nemesis/platter/store.h"

int stable_read(int fd, void *buf, uint64_t length, uint64_t offset);
int stable_write(int fd, const void *buf, uint64_t length, uint64_t offset);

/* Bytes [from, from + length) of the record; zeros become a hole. */
int stable_apply(int fd, const struct store_record *r, uint64_t from,
                 uint64_t length);

/*
 * How many sectors of [start, end), which all belong to 'r', differ from it.
 * -1 with errno on failure.
 */
int64_t stable_differs(int fd, const struct store_record *r, uint64_t start,
                       uint64_t end);

#endif
