/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that share no key cannot contradict each other (Herlihy and Wing 1990:
 * linearizability is local), so they are judged apart.
 *
 * With a model that touches several keys, the keys of one call belong together
 * and so does all that is connected through them (union-find).  Nothing is cut
 * in time: what holds at a quiescent moment is known only when everything
 * before it is decided, and the searches keep no more than that anyway.
 *
 * A call without a key among calls with keys may concern all of them: nothing
 * is cut then.  A call that touches nothing concerns nobody.
 *
 * A model that touches several keys may have rules between all of them (leases
 * are granted in the order of their numbers).  Then each part is necessary for
 * the whole, but all of them do not suffice: check.c replays them together.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/engines/space.h"

#define TOUCHES_MAX 1024 /* more than that: everything is one part */
#define NONE UINT32_MAX

/* Keys as small numbers, and which belong together. */
struct keys {
    uint32_t *table, mask; /* of indices */
    uint32_t *key, *parent, count, cap;
};

static uint32_t
keys_root(struct keys *k, uint32_t i)
{
    while (k->parent[i] != i) {
        k->parent[i] = k->parent[k->parent[i]];
        i = k->parent[i];
    }
    return i;
}

static void
keys_put(struct keys *k, uint32_t i)
{
    uint64_t h = space_mix(0, k->key[i]);
    uint32_t at = (uint32_t)(h ^ (h >> 32)) & k->mask;

    while (k->table[at] != NONE) {
        at = (at + 1) & k->mask;
    }
    k->table[at] = i;
}

static void
keys_rehash(struct keys *k)
{
    size_t places = ((size_t)k->mask + 1) * 2;

    k->mask = (uint32_t)(places - 1);
    k->table = xrealloc(k->table, places * sizeof(*k->table));
    memset(k->table, 0xff, places * sizeof(*k->table));
    for (uint32_t i = 0; i < k->count; i++) {
        keys_put(k, i);
    }
}

static uint32_t
keys_index(struct keys *k, uint32_t key)
{
    uint64_t h = space_mix(0, key);

    for (uint32_t at = (uint32_t)(h ^ (h >> 32)) & k->mask;
         k->table[at] != NONE; at = (at + 1) & k->mask) {
        if (k->key[k->table[at]] == key) {
            return k->table[at];
        }
    }
    if (k->count == k->cap) {
        k->cap = k->cap == 0 ? 16 : k->cap * 2;
        k->key = xrealloc(k->key, k->cap * sizeof(*k->key));
        k->parent = xrealloc(k->parent, k->cap * sizeof(*k->parent));
    }
    uint32_t i = k->count++;
    k->key[i] = key;
    k->parent[i] = i;
    if (k->count > k->mask / 2) {
        keys_rehash(k);
    } else {
        keys_put(k, i);
    }
    return i;
}

/* The index of a key of the call, after joining all it touches; NONE: it
 * touches what cannot be told apart. */
static uint32_t
keys_join(struct keys *k, const struct calls *c, uint32_t call)
{
    uint32_t touched[TOUCHES_MAX], count = 1;

    touched[0] = c->key[call];
    if (c->model->touches != NULL) {
        count = c->model->touches(c, call, touched, TOUCHES_MAX);
    }
    if (count == 0) {
        return keys_index(k, VALUE_ABSENT); /* a part for all of these */
    }
    if (count > TOUCHES_MAX) {
        return NONE;
    }
    uint32_t first = keys_index(k, touched[0]);
    for (uint32_t i = 0; i < count; i++) {
        if (touched[i] == VALUE_ABSENT) {
            return NONE;
        }
        uint32_t root = keys_root(k, keys_index(k, touched[i]));
        k->parent[root] = keys_root(k, first);
    }
    return first;
}

static void
parts_whole(const struct calls *c, struct arena *arena, struct parts *ret)
{
    ret->problems = arena_alloc(arena, sizeof(*ret->problems));
    ret->problems[0] = (struct problem){
        .calls = c, .members = NULL, .count = c->count, .key = VALUE_ABSENT};
    ret->count = 1;
}

/* Distributes the calls over the roots; first[i] is a key of call i. */
static void
parts_fill(const struct calls *c, struct keys *k, const uint32_t *first,
           struct arena *arena, struct parts *ret)
{
    CLEANUP_FREE uint32_t *part = xcalloc(k->count + 1, sizeof(*part));
    uint32_t count = 0;

    for (uint32_t i = 0; i < k->count; i++) {
        part[i] = keys_root(k, i) == i ? count++ : NONE;
    }
    ret->problems = arena_alloc(arena, count * sizeof(*ret->problems) + 1);
    ret->count = count;
    for (uint32_t i = 0; i < k->count; i++) {
        if (part[i] != NONE) {
            ret->problems[part[i]] = (struct problem){
                .calls = c,
                .key = c->model->touches == NULL ? k->key[i] : VALUE_ABSENT};
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        ret->problems[part[keys_root(k, first[i])]].count++;
    }
    uint32_t *members =
        arena_alloc(arena, (size_t)c->count * sizeof(*members) + 1);
    uint32_t **ends = xcalloc(count + 1, sizeof(*ends));
    for (uint32_t i = 0; i < count; i++) {
        ends[i] = members;
        ret->problems[i].members = members;
        members += ret->problems[i].count;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        *ends[part[keys_root(k, first[i])]]++ = i;
    }
    free(ends);
}

static void
keys_release(struct keys *k)
{
    free(k->table);
    free(k->key);
    free(k->parent);
}

uint32_t
parts_keys(const struct calls *c)
{
    struct keys k = {.mask = 7};
    uint32_t i = 0;

    if (c->model->touches != NULL) {
        return 0;
    }
    keys_rehash(&k);
    for (; i < c->count && c->key[i] != VALUE_ABSENT; i++) {
        keys_index(&k, c->key[i]);
    }
    keys_release(&k);
    return i == c->count ? k.count : 0;
}

void
parts_make(const struct calls *c, struct arena *arena, struct parts *ret)
{
    struct keys k = {.mask = 7};
    CLEANUP_FREE uint32_t *first = NULL;
    bool whole = c->count == 0;

    keys_rehash(&k);
    for (uint32_t i = 0; i < c->count && !whole; i++) {
        if (first == NULL && c->model->touches == NULL &&
            c->key[i] == VALUE_ABSENT) {
            whole = true; /* before anything is allocated */
            break;
        }
        if (first == NULL) {
            first = xcalloc(c->count, sizeof(*first));
        }
        first[i] = keys_join(&k, c, i);
        whole = first[i] == NONE;
    }
    uint32_t roots = 0;
    for (uint32_t i = 0; i < k.count && !whole; i++) {
        roots += keys_root(&k, i) == i;
    }
    if (whole || (roots == 1 && c->model->touches != NULL)) {
        parts_whole(c, arena, ret);
    } else if (roots == 1) {
        parts_whole(c, arena, ret);
        ret->problems[0].key = k.key[0];
    } else {
        parts_fill(c, &k, first, arena, ret);
    }
    keys_release(&k);
}
