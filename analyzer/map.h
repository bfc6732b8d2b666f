/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map from 128-bit ids to 32-bit numbers: open addressing, never more
 * than half full, entries are never removed.
 *
 * Threads: readers may share a map that nobody changes.
 */
#ifndef ORDEAL_ANALYZER_MAP_H
#define ORDEAL_ANALYZER_MAP_H

#include <stddef.h>

#include "harness/base/id128.h"

#define MAP_NONE UINT32_MAX /* absent; no value may be this */

struct map {
    uint32_t *cells; /* number of an entry + 1; 0: free */
    size_t cap;      /* of the cells: 0 or a power of two */
    /* Entries in the order in which they came: what is large stands dense, and
     * the cells, half of them free, are small. */
    struct id128 *keys;
    uint32_t *values;
    uint32_t count, entry_cap;
};

void map_release(struct map *m);
uint32_t map_get(const struct map *m, struct id128 key);

/* Where the value of 'key' is; a new one holds MAP_NONE.  Valid until the next
 * call. */
uint32_t *map_put(struct map *m, struct id128 key);

#endif
