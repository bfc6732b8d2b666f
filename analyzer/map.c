/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear probing over a power of two.  The keys come from a history, which is
 * data of strangers: the worst a hostile one can do is to make a check slow,
 * and checks have a deadline.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

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

static size_t
map_slot(const struct map *m, struct id128 key)
{
    uint64_t h =
        (key.hi ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    size_t at;

    h = (h ^ h >> 29 ^ key.lo / MAP_RUN) * UINT64_C(0x94d049bb133111eb);
    at = ((size_t)(h ^ h >> 32) * MAP_RUN + key.lo % MAP_RUN) & (m->cap - 1);
    while (m->cells[at].value != MAP_NONE &&
           !id128_equal(m->cells[at].key, key))
        at = (at + 1) & (m->cap - 1);
    return at;
}

static void
map_grow(struct map *m)
{
    struct map old = *m;

    m->cap = old.cap == 0 ? MAP_CAP_MIN : old.cap * 2;
    m->cells = xrealloc(NULL, m->cap * sizeof(m->cells[0]));
    memset(m->cells, 0xff, m->cap * sizeof(m->cells[0])); /* MAP_NONE */
    for (size_t i = 0; i < old.cap; i++)
        if (old.cells[i].value != MAP_NONE)
            m->cells[map_slot(m, old.cells[i].key)] = old.cells[i];
    free(old.cells);
}

void
map_release(struct map *m)
{
    free(m->cells);
    *m = (struct map){0};
}

uint32_t
map_get(const struct map *m, struct id128 key)
{
    return m->cap == 0 ? MAP_NONE : m->cells[map_slot(m, key)].value;
}

uint32_t *
map_put(struct map *m, struct id128 key)
{
    struct map_cell *cell;

    if (m->count * 2 >= m->cap)
        map_grow(m);
    cell = &m->cells[map_slot(m, key)];
    if (cell->value == MAP_NONE) {
        cell->key = key;
        m->count++;
    }
    return &cell->value;
}
