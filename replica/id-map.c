/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probing ends at an empty cell, which exists because the table is at most
 * half full.  Nothing here can fail.
 */
#include "config.h"

#include <assert.h>

#include "harness/base/arena.h"
#include "replica/id-map.h"

void
id_map_init(struct id_map *m, uint32_t count_max)
{
    size_t size = 16;

    assert(count_max < UINT32_MAX / 4);
    while (size < 2 * (size_t)count_max)
        size *= 2;
    m->cells = xcalloc(size, sizeof(m->cells[0]));
    m->mask = size - 1;
    m->count_max = count_max;
    id_map_clear(m);
}

void
id_map_release(struct id_map *m)
{
    free(m->cells);
    m->cells = NULL;
}

void
id_map_clear(struct id_map *m)
{
    for (size_t i = 0; i <= m->mask; i++)
        m->cells[i].value = ID_MAP_NONE;
    m->count = 0;
}

static size_t
id_map_home(const struct id_map *m, uint64_t scope, struct id128 id)
{
    uint64_t h = id.lo ^ (id.hi * UINT64_C(0x9e3779b97f4a7c15)) ^
                 (scope * UINT64_C(0xc2b2ae3d27d4eb4f));

    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    return (size_t)h & m->mask;
}

/* The cell that holds the key, or the empty one where it would go. */
static size_t
id_map_probe(const struct id_map *m, uint64_t scope, struct id128 id)
{
    size_t i = id_map_home(m, scope, id);

    while (m->cells[i].value != ID_MAP_NONE &&
           (m->cells[i].scope != scope || !id128_equal(m->cells[i].id, id)))
        i = (i + 1) & m->mask;
    return i;
}

uint32_t
id_map_get_in(const struct id_map *m, uint64_t scope, struct id128 id)
{
    return m->cells[id_map_probe(m, scope, id)].value;
}

void
id_map_put_in(struct id_map *m, uint64_t scope, struct id128 id, uint32_t value)
{
    size_t i = id_map_probe(m, scope, id);

    assert(value != ID_MAP_NONE);
    assert(m->cells[i].value == ID_MAP_NONE);
    assert(m->count < m->count_max);
    m->cells[i] = (struct id_map_cell){id, scope, value};
    m->count++;
}

void
id_map_remove_in(struct id_map *m, uint64_t scope, struct id128 id)
{
    size_t hole = id_map_probe(m, scope, id);

    assert(m->cells[hole].value != ID_MAP_NONE);
    m->count--;
    for (size_t i = (hole + 1) & m->mask; m->cells[i].value != ID_MAP_NONE;
         i = (i + 1) & m->mask) {
        size_t home = id_map_home(m, m->cells[i].scope, m->cells[i].id);

        /* A cell may move back to the hole unless its home lies between. */
        if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
            m->cells[hole] = m->cells[i];
            hole = i;
        }
    }
    m->cells[hole].value = ID_MAP_NONE;
}

uint32_t
id_map_get(const struct id_map *m, struct id128 id)
{
    return id_map_get_in(m, 0, id);
}

void
id_map_put(struct id_map *m, struct id128 id, uint32_t value)
{
    id_map_put_in(m, 0, id, value);
}

void
id_map_remove(struct id_map *m, struct id128 id)
{
    id_map_remove_in(m, 0, id);
}
