/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which record of the log a read must take a byte from: a map from ranges of
 * the disk, which never overlap, to records.  Assigning a range replaces what
 * lay there before, so the newest record wins.
 *
 * A range costs one node whatever its length: a TRIM of gigabytes is as cheap
 * as a sector, and a disk of any size costs what is in its log.
 *
 * The map is a treap (Seidel and Aragon, "Randomized search trees", 1996):
 * ordered by start, a heap by random priorities, so that its depth is
 * logarithmic whatever the order of writes.
 *
 * Threads: none of its own; looking is safe beside looking.
 */
#ifndef ORDEAL_NEMESIS_PLATTER_EXTENTS_H
#define ORDEAL_NEMESIS_PLATTER_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

struct store_record;

struct extent {
    uint64_t start, end; /* bytes, [start, end), not empty */
    struct store_record *record;
    /* the treap's own */
    struct extent *left, *right;
    uint64_t priority;
};

/* Zeroed is empty. */
struct extent_map {
    struct extent *root;
    size_t count;
    uint64_t draws; /* of priorities */
};

void extents_assign(struct extent_map *m, uint64_t start, uint64_t end,
                    struct store_record *record);

/* Removes what still belongs to 'record', which covers [start, end). */
void extents_forget(struct extent_map *m, uint64_t start, uint64_t end,
                    const struct store_record *record);

/* The lowest one that has a byte of [start, end); NULL if none. */
const struct extent *extents_first(const struct extent_map *m, uint64_t start,
                                   uint64_t end);

void extents_clear(struct extent_map *m);

#endif
