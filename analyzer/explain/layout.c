/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/explain/layout.h"
#include "analyzer/explain/words.h"

static int
rank_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint32_t
column_of(const struct layout *l, uint32_t rank)
{
    uint32_t low = 0, high = l->column_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (l->column_rank[middle] < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
layout_columns(const struct calls *c, struct layout *l)
{
    uint32_t n = 0, kept = 0;

    for (uint32_t i = 0; i < l->bar_count; i++) {
        uint32_t call = l->bars[i].call;

        l->column_rank[n++] = c->invoke[call];
        if (!l->bars[i].open)
            l->column_rank[n++] = c->complete[call];
    }
    qsort(l->column_rank, n, sizeof(*l->column_rank), rank_compare);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || l->column_rank[kept - 1] != l->column_rank[i])
            l->column_rank[kept++] = l->column_rank[i];
    l->column_count = kept;
    for (uint32_t i = 0; i < l->bar_count; i++) {
        struct bar *b = &l->bars[i];

        b->from = column_of(l, c->invoke[b->call]);
        b->to = b->open ? l->column_count : column_of(l, c->complete[b->call]);
    }
}

/* The first lane of the process that is free, else a new one. */
static uint32_t
lane_for(struct layout *l, const struct calls *c, uint32_t i, uint32_t *busy)
{
    uint32_t process = c->process[l->bars[i].call];

    for (uint32_t lane = 0; lane < l->lane_count; lane++)
        if (l->lane_process[lane] == process && busy[lane] <= l->bars[i].from)
            return lane;
    l->lane_process[l->lane_count] = process;
    return l->lane_count++;
}

/* Lanes by process, those of one process in the order they were made. */
static void
lanes_sort(struct layout *l, struct arena *arena)
{
    uint32_t *place = arena_alloc(arena, (l->lane_count + 1) * sizeof(*place));
    uint32_t *sorted =
        arena_alloc(arena, (l->lane_count + 1) * sizeof(*sorted));

    for (uint32_t i = 0; i < l->lane_count; i++)
        for (uint32_t k = 0; k < l->lane_count; k++) {
            uint32_t mine = l->lane_process[i], other = l->lane_process[k];

            place[i] += other < mine || (other == mine && k < i);
        }
    for (uint32_t i = 0; i < l->lane_count; i++)
        sorted[place[i]] = l->lane_process[i];
    for (uint32_t i = 0; i < l->bar_count; i++)
        l->bars[i].lane = place[l->bars[i].lane];
    l->lane_process = sorted;
}

void
layout_make(const struct calls *c, const struct decision *d, uint32_t max,
            struct arena *arena, struct layout *ret)
{
    uint32_t n = d->core_count < max ? d->core_count : max;
    uint32_t *busy = arena_alloc(arena, (n + 1) * sizeof(*busy));

    *ret = (struct layout){.bar_count = n};
    ret->bars = arena_alloc(arena, (n + 1) * sizeof(*ret->bars));
    ret->column_rank =
        arena_alloc(arena, (2 * (size_t)n + 1) * sizeof(*ret->column_rank));
    ret->lane_process =
        arena_alloc(arena, (n + 1) * sizeof(*ret->lane_process));
    for (uint32_t i = 0; i < n; i++) {
        ret->bars[i].call = d->core[i];
        ret->bars[i].open = c->complete[d->core[i]] == CALL_OPEN;
        ret->bars[i].firm = words_firm(d, i);
    }
    layout_columns(c, ret);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t lane = lane_for(ret, c, i, busy);

        ret->bars[i].lane = lane;
        busy[lane] = ret->bars[i].to + 1;
    }
    lanes_sort(ret, arena);
}
