/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from ids to small numbers with a fixed capacity: open addressing,
 * linear probing, deletion by shifting back (Knuth, TAOCP 3, 6.4, algorithm
 * R), never more than half full.  Iteration order is of no meaning.
 *
 * The same id in two scopes is two keys; without a scope it is scope 0.
 */
#ifndef ORDEAL_REPLICA_ID_MAP_H
#define ORDEAL_REPLICA_ID_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/id128.h"

#define ID_MAP_NONE UINT32_MAX

struct id_map_cell {
    struct id128 id;
    uint64_t scope;
    uint32_t value; /* ID_MAP_NONE: empty */
};

struct id_map {
    struct id_map_cell *cells;
    size_t mask;
    uint32_t count, count_max;
};

void id_map_init(struct id_map *m, uint32_t count_max);
void id_map_release(struct id_map *m);
void id_map_clear(struct id_map *m);

/* ID_MAP_NONE when absent. */
uint32_t id_map_get(const struct id_map *m, struct id128 id);

/* 'id' must be absent, and the map not full (asserted). */
void id_map_put(struct id_map *m, struct id128 id, uint32_t value);

/* 'id' must be present (asserted). */
void id_map_remove(struct id_map *m, struct id128 id);

/* The same in a scope. */
uint32_t id_map_get_in(const struct id_map *m, uint64_t scope, struct id128 id);
void id_map_put_in(struct id_map *m, uint64_t scope, struct id128 id,
                   uint32_t value);
void id_map_remove_in(struct id_map *m, uint64_t scope, struct id128 id);

#endif
