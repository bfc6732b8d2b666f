/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every change is made of split (by start) and merge.  A range that straddles
 * the place of a change is cut in two first.  Recursion is as deep as the
 * tree, about 50 for the 140,000 nodes that a full log can have.
 */
#include "config.h"

#include <assert.h>

#include "harness/base/arena.h"
#include "nemesis/platter/extents.h"

/* splitmix64 of a counter: priorities need spread, not secrecy. */
static uint64_t
extents_priority(struct extent_map *m)
{
    uint64_t z = ++m->draws * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Those that start below 'at', and the others. */
static void
extents_split(struct extent *t, uint64_t at, struct extent **ret_low,
              struct extent **ret_high)
{
    if (t == NULL) {
        *ret_low = *ret_high = NULL;
    } else if (t->start < at) {
        extents_split(t->right, at, &t->right, ret_high);
        *ret_low = t;
    } else {
        extents_split(t->left, at, ret_low, &t->left);
        *ret_high = t;
    }
}

/* All of 'low' start below all of 'high'. */
static struct extent *
extents_merge(struct extent *low, struct extent *high)
{
    if (low == NULL)
        return high;
    if (high == NULL)
        return low;
    if (low->priority > high->priority) {
        low->right = extents_merge(low->right, high);
        return low;
    }
    high->left = extents_merge(low, high->left);
    return high;
}

static void
extents_insert(struct extent_map *m, uint64_t start, uint64_t end,
               struct store_record *record)
{
    struct extent *low, *high, *e = xcalloc(1, sizeof(*e));

    assert(start < end);
    *e = (struct extent){.start = start,
                         .end = end,
                         .record = record,
                         .priority = extents_priority(m)};
    extents_split(m->root, start, &low, &high);
    m->root = extents_merge(extents_merge(low, e), high);
    m->count++;
}

/* After this no extent has bytes on both sides of 'at'. */
static void
extents_cut(struct extent_map *m, uint64_t at)
{
    struct extent *found = NULL;
    uint64_t end;

    for (struct extent *e = m->root; e != NULL;) {
        if (e->start < at) {
            found = e;
            e = e->right;
        } else {
            e = e->left;
        }
    }
    if (found == NULL || found->end <= at)
        return;
    end = found->end;
    found->end = at;
    extents_insert(m, at, end, found->record);
}

static void
extents_free(struct extent_map *m, struct extent *t)
{
    if (t == NULL)
        return;
    extents_free(m, t->left);
    extents_free(m, t->right);
    free(t);
    m->count--;
}

void
extents_assign(struct extent_map *m, uint64_t start, uint64_t end,
               struct store_record *record)
{
    struct extent *low, *middle, *high;

    extents_cut(m, start);
    extents_cut(m, end);
    extents_split(m->root, start, &low, &middle);
    extents_split(middle, end, &middle, &high);
    extents_free(m, middle);
    m->root = extents_merge(low, high);
    extents_insert(m, start, end, record);
}

static struct extent *
extents_prune(struct extent_map *m, struct extent *t,
              const struct store_record *record)
{
    struct extent *rest;

    if (t == NULL)
        return NULL;
    t->left = extents_prune(m, t->left, record);
    t->right = extents_prune(m, t->right, record);
    if (t->record != record)
        return t;
    rest = extents_merge(t->left, t->right);
    free(t);
    m->count--;
    return rest;
}

void
extents_forget(struct extent_map *m, uint64_t start, uint64_t end,
               const struct store_record *record)
{
    struct extent *low, *middle, *high;

    extents_split(m->root, start, &low, &middle);
    extents_split(middle, end, &middle, &high);
    middle = extents_prune(m, middle, record);
    m->root = extents_merge(extents_merge(low, middle), high);
}

const struct extent *
extents_first(const struct extent_map *m, uint64_t start, uint64_t end)
{
    const struct extent *found = NULL;

    /* They do not overlap, so their ends are in the order of their starts. */
    for (const struct extent *e = m->root; e != NULL;) {
        if (e->end > start) {
            found = e;
            e = e->left;
        } else {
            e = e->right;
        }
    }
    return found != NULL && start < end && found->start < end ? found : NULL;
}

void
extents_clear(struct extent_map *m)
{
    extents_free(m, m->root);
    m->root = NULL;
    assert(m->count == 0);
}
