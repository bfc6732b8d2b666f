/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap with the position of each row beside it. */
#include "config.h"

#include <assert.h>
#include <stdlib.h>

#include "harness/base/arena.h"
#include "replica/due-heap.h"

void
due_heap_init(struct due_heap *h, uint32_t max)
{
    h->items = xcalloc(max, sizeof(h->items[0]));
    h->at = xcalloc(max, sizeof(h->at[0]));
    h->count = 0;
    h->max = max;
}

void
due_heap_release(struct due_heap *h)
{
    free(h->items);
    free(h->at);
    h->items = NULL;
    h->at = NULL;
}

static int
due_compare(const void *a, const void *b)
{
    const struct due *x = a, *y = b;

    if (x->deadline != y->deadline)
        return x->deadline < y->deadline ? -1 : 1;
    return id128_compare(x->id, y->id);
}

static bool
due_before(const struct due *x, const struct due *y)
{
    return due_compare(x, y) < 0;
}

static void
heap_set(struct due_heap *h, uint32_t at, struct due d)
{
    h->items[at] = d;
    h->at[d.row] = at + 1;
}

static void
heap_up(struct due_heap *h, uint32_t at)
{
    struct due d = h->items[at];

    while (at > 0 && due_before(&d, &h->items[(at - 1) / 2])) {
        heap_set(h, at, h->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(h, at, d);
}

static void
heap_down(struct due_heap *h, uint32_t at)
{
    struct due d = h->items[at];

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= h->count)
            break;
        if (child + 1 < h->count &&
            due_before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!due_before(&h->items[child], &d))
            break;
        heap_set(h, at, h->items[child]);
        at = child;
    }
    heap_set(h, at, d);
}

void
due_heap_add(struct due_heap *h, const struct due *d)
{
    assert(d->row < h->max && h->at[d->row] == 0 && h->count < h->max);
    heap_set(h, h->count++, *d);
    heap_up(h, h->count - 1);
}

bool
due_heap_remove(struct due_heap *h, uint32_t row)
{
    uint32_t at = h->at[row];
    struct due last;

    if (at-- == 0)
        return false;
    h->at[row] = 0;
    last = h->items[--h->count];
    if (at == h->count)
        return true;
    heap_set(h, at, last);
    heap_up(h, at);
    heap_down(h, h->at[last.row] - 1);
    return true;
}

const struct due *
due_heap_first(const struct due_heap *h)
{
    return h->count == 0 ? NULL : &h->items[0];
}

/* Visits the due part from the top, children only of what is due. */
uint32_t
due_heap_collect(const struct due_heap *h, uint64_t slot, struct due *ret)
{
    CLEANUP_FREE uint32_t *visited = xcalloc(h->count, sizeof(visited[0]));
    uint32_t count = 0;

    if (h->count > 0 && h->items[0].deadline <= slot)
        visited[count++] = 0;
    for (uint32_t next = 0; next < count; next++) {
        uint32_t child = 2 * visited[next] + 1;

        for (uint32_t i = child; i < child + 2 && i < h->count; i++)
            if (h->items[i].deadline <= slot)
                visited[count++] = i;
        ret[next] = h->items[visited[next]];
    }
    qsort(ret, count, sizeof(ret[0]), due_compare);
    return count;
}
