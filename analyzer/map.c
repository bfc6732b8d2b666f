/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing over a power of two.  The keys come from a history, which is
 * data of strangers: the worst a hostile one can do is to make a check slow,
 * and checks have a deadline.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>

#include "analyzer/map.h"
#include "harness/base/arena.h"

#define MAP_CAP_MIN 64

/*
 * So many numbers in a row have their cells in a row: operations, leases and
 * positions are counted up, and what was looked up last is in the cache.  When
 * all numbers are multiples of it, a cell that is looked for stands a few cells
 * further, for the table is never more than half full.
 */
#define MAP_RUN 16

/* A run whose cells are taken goes on in the cells of the next one, where each
 * number has its own again, this often; then cell by cell, which finds a free
 * one whatever the numbers are. */
#define MAP_RUNS_TRIED 4

/* The cell of a key: its own, or the free one where it belongs. */
static inline uint32_t *
map_cell(const struct map *m, struct id128 key)
{
    uint64_t h =
        (key.hi ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    size_t at;

    h = (h ^ h >> 29 ^ key.lo / MAP_RUN) * UINT64_C(0x94d049bb133111eb);
    at = ((size_t)(h ^ h >> 32) * MAP_RUN + key.lo % MAP_RUN) & (m->cap - 1);
    for (unsigned tried = 0;
         m->cells[at] != 0 && !id128_equal(m->keys[m->cells[at] - 1], key);
         tried++)
        at = (at + (tried < MAP_RUNS_TRIED ? MAP_RUN : 1)) & (m->cap - 1);
    return &m->cells[at];
}

static void
map_grow(struct map *m)
{
    m->cap = m->cap == 0 ? MAP_CAP_MIN : m->cap * 2;
    free(m->cells);
    m->cells = xcalloc(m->cap, sizeof(m->cells[0]));
    for (uint32_t i = 0; i < m->count; i++)
        *map_cell(m, m->keys[i]) = i + 1;
}

static uint32_t
map_add(struct map *m, struct id128 key)
{
    assert(m->count < UINT32_MAX);
    if (m->count == m->entry_cap) {
        m->entry_cap = m->entry_cap == 0               ? MAP_CAP_MIN / 2
                       : m->entry_cap > UINT32_MAX / 2 ? UINT32_MAX
                                                       : m->entry_cap * 2;
        m->keys = xrealloc(m->keys, m->entry_cap * sizeof(m->keys[0]));
        m->values = xrealloc(m->values, m->entry_cap * sizeof(m->values[0]));
    }
    m->keys[m->count] = key;
    m->values[m->count] = MAP_NONE;
    return ++m->count;
}

void
map_release(struct map *m)
{
    free(m->cells);
    free(m->keys);
    free(m->values);
    *m = (struct map){0};
}

uint32_t
map_get(const struct map *m, struct id128 key)
{
    uint32_t entry = m->cap == 0 ? 0 : *map_cell(m, key);

    return entry == 0 ? MAP_NONE : m->values[entry - 1];
}

uint32_t *
map_put(struct map *m, struct id128 key)
{
    uint32_t *cell;

    if ((size_t)m->count * 2 >= m->cap)
        map_grow(m);
    cell = map_cell(m, key);
    if (*cell == 0)
        *cell = map_add(m, key);
    return &m->values[*cell - 1];
}
