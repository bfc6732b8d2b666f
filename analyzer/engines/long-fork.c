/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of the same keys, each of which is written once, agree on the order of
 * the writes: of two reads one has seen all that the other has.  So the reads
 * of a group of keys, sorted by how much they saw, are a chain, and neighbours
 * are all that need be compared (Jepsen's long fork; Sovran et al.,
 * "Transactional storage for geo-replicated systems", SOSP 2011).
 *
 * Left undecided: keys written more than once; very many reads of groups that
 * overlap, of which each must be compared with each.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/functions.h"

struct long_fork {
    const struct problem *p;
    const struct calls *c;
    struct budget *b;
    struct decision *d;
    struct exact_index by_key; /* to the write */
    uint32_t *reads;
    uint32_t *groups; /* by write: the first read of the key's group */
    uint32_t read_count;
    size_t bytes;
};

static bool
long_fork_same(const void *arg, uint32_t call, uint64_t number)
{
    const struct calls *c = arg;

    return c->a[call] == (uint32_t)number;
}

static uint32_t
long_fork_width(const struct calls *c, uint32_t read)
{
    return call_list_count(c, read) / 2;
}

/* How much a read saw. */
static uint32_t
long_fork_seen(const struct calls *c, uint32_t read)
{
    uint32_t seen = 0;

    for (uint32_t i = 0; i < long_fork_width(c, read); i++) {
        seen += call_list(c, read)[2 * i + 1] != VALUE_NIL;
    }
    return seen;
}

/* What 'read' saw of 'key': a value, or VALUE_ABSENT: it did not look. */
static uint32_t
long_fork_value(const struct calls *c, uint32_t read, uint32_t key)
{
    for (uint32_t i = 0; i < long_fork_width(c, read); i++) {
        if (call_list(c, read)[2 * i] == key) {
            return call_list(c, read)[2 * i + 1];
        }
    }
    return VALUE_ABSENT;
}

/* So many reads are compared each with each. */
#define LONG_FORK_PAIRS_MAX 4096

/* By the keys (their number, then the keys themselves), then what was seen. */
static int
long_fork_compare(const void *a, const void *b, void *arg)
{
    const struct calls *c = arg;
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    uint32_t nx = long_fork_width(c, x), ny = long_fork_width(c, y);
    if (nx != ny) {
        return nx < ny ? -1 : 1;
    }
    /* Keys stand in any order: the sorted ones are compared, by rank. */
    uint32_t below = 0;
    for (uint32_t i = 0; i < nx; i++) {
        uint32_t kx = UINT32_MAX, ky = UINT32_MAX;
        for (uint32_t j = 0; j < nx; j++) {
            uint32_t key = call_list(c, x)[2 * j];
            kx = (i == 0 || key > below) && key < kx ? key : kx;
            key = call_list(c, y)[2 * j];
            ky = (i == 0 || key > below) && key < ky ? key : ky;
        }
        if (kx != ky) {
            return kx < ky ? -1 : 1;
        }
        below = kx;
    }
    uint32_t sx = long_fork_seen(c, x), sy = long_fork_seen(c, y);
    return sx != sy ? (sx < sy ? -1 : 1) : (x > y) - (x < y);
}

static bool
long_fork_same_keys(const struct calls *c, uint32_t a, uint32_t b)
{
    if (long_fork_width(c, a) != long_fork_width(c, b)) {
        return false;
    }
    for (uint32_t i = 0; i < long_fork_width(c, a); i++) {
        if (long_fork_value(c, b, call_list(c, a)[2 * i]) == VALUE_ABSENT) {
            return false;
        }
    }
    return true;
}

static uint32_t
long_fork_writer(const struct long_fork *f, uint32_t key)
{
    const uint32_t *slot =
        exact_index_slot(&f->by_key, key, long_fork_same, f->c);

    return slot == NULL ? EXACT_NONE : *slot;
}

/* Each value that was read was written.  False: decided. */
static bool
long_fork_observed(struct long_fork *f, uint32_t read)
{
    const struct calls *c = f->c;

    for (uint32_t i = 0; i < long_fork_width(c, read); i++) {
        uint32_t key = call_list(c, read)[2 * i];
        uint32_t value = call_list(c, read)[2 * i + 1];
        uint32_t write = long_fork_writer(f, key);
        if (value == VALUE_NIL) {
            continue;
        }
        if (write == EXACT_NONE || c->b[write] != value) {
            exact_invalid(f->d, &read, 1, "'%s' saw a value nobody wrote",
                          exact_call(c, read).text);
            return false;
        }
        if (c->complete[read] < c->invoke[write]) {
            const uint32_t core[] = {read, write};
            exact_invalid(f->d, core, 2,
                          "'%s' saw a value from the future: '%s' was invoked "
                          "only after it was answered",
                          exact_call(c, read).text, exact_call(c, write).text);
            exact_edge(f->d, write, read, EDGE_OBSERVED);
            exact_edge(f->d, read, write, EDGE_REAL_TIME);
            return false;
        }
    }
    return true;
}

/* A key that 'a' saw written and 'b' did not, or EXACT_NONE. */
static uint32_t
long_fork_ahead(const struct calls *c, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < long_fork_width(c, a); i++) {
        uint32_t key = call_list(c, a)[2 * i];
        if (call_list(c, a)[2 * i + 1] != VALUE_NIL &&
            long_fork_value(c, b, key) == VALUE_NIL) {
            return key;
        }
    }
    return EXACT_NONE;
}

static bool
long_fork_neighbours(struct long_fork *f, uint32_t less, uint32_t more)
{
    const struct calls *c = f->c;
    uint32_t x = long_fork_ahead(c, less, more);
    uint32_t y = long_fork_ahead(c, more, less);

    if (x == EXACT_NONE || y == EXACT_NONE) {
        return true;
    }
    uint32_t wx = long_fork_writer(f, x), wy = long_fork_writer(f, y);
    const uint32_t core[] = {less, more, wx, wy};
    exact_invalid(f->d, core, 4,
                  "long fork: one read saw the write of %s but not that of %s, "
                  "another that of %s but not that of %s",
                  exact_value(c, x).text, exact_value(c, y).text,
                  exact_value(c, y).text, exact_value(c, x).text);
    exact_edge(f->d, wx, less, EDGE_OBSERVED);
    exact_edge(f->d, wy, more, EDGE_OBSERVED);
    exact_edge(f->d, less, wy, EDGE_ANTI);
    exact_edge(f->d, more, wx, EDGE_ANTI);
    return false;
}

/* Every read with every other: for groups of keys that overlap. */
static bool
long_fork_pairs(struct long_fork *f)
{
    if (f->read_count > LONG_FORK_PAIRS_MAX) {
        exact_unknown(f->d, "groups of keys overlap, and there are %u reads",
                      f->read_count);
        return false;
    }
    for (uint32_t i = 0; i < f->read_count; i++) {
        for (uint32_t k = i + 1; k < f->read_count; k++) {
            if (exact_expired(f->b, f->d) ||
                !long_fork_neighbours(f, f->reads[i], f->reads[k])) {
                return false;
            }
        }
    }
    return true;
}

static bool
long_fork_groups(struct long_fork *f)
{
    const struct calls *c = f->c;
    uint32_t group = 0;
    bool overlap = false;

    for (uint32_t i = 0; i < f->read_count; i++) {
        uint32_t read = f->reads[i];
        if (i % EXACT_POLL_CALLS == 0 && exact_expired(f->b, f->d)) {
            return false;
        }
        if (i > 0 && long_fork_same_keys(c, f->reads[i - 1], read)) {
            if (!long_fork_neighbours(f, f->reads[i - 1], read)) {
                return false;
            }
        } else {
            group = i;
        }
        for (uint32_t k = 0; k < long_fork_width(c, read); k++) {
            uint32_t write = long_fork_writer(f, call_list(c, read)[2 * k]);
            if (write != EXACT_NONE) { /* else nobody saw anything of it */
                overlap = overlap || (f->groups[write] != EXACT_NONE &&
                                      f->groups[write] != group);
                f->groups[write] = group;
            }
        }
    }
    return !overlap || long_fork_pairs(f);
}

static bool
long_fork_read_calls(struct long_fork *f)
{
    const struct calls *c = f->c;
    uint32_t low = UINT32_MAX, high = 0, writes = 0;

    for (uint32_t i = 0; i < f->p->count; i++) {
        uint32_t call = problem_call(f->p, i);
        if (c->function[call] == LONG_FORK_WRITE) {
            low = c->a[call] < low ? c->a[call] : low;
            high = c->a[call] > high ? c->a[call] : high;
            writes++;
        }
    }
    if (!exact_index_init(&f->by_key, low, high, writes, f->b, f->d)) {
        return false;
    }
    for (uint32_t i = 0; i < f->p->count; i++) {
        uint32_t call = problem_call(f->p, i);
        if (c->function[call] == LONG_FORK_READ) {
            if (c->complete[call] != CALL_OPEN) {
                f->reads[f->read_count++] = call;
            }
            continue;
        }
        uint32_t *slot =
            exact_index_slot(&f->by_key, c->a[call], long_fork_same, c);
        if (*slot != EXACT_NONE) {
            exact_unknown(f->d, "key %s is written twice",
                          exact_value(c, c->a[call]).text);
            return false;
        }
        *slot = call;
    }
    return true;
}

static void
long_fork_decide(const struct problem *p, struct budget *b,
                 struct decision *ret)
{
    struct long_fork f = {.p = p, .c = p->calls, .b = b, .d = ret};
    bool good = true;

    f.bytes = ((size_t)p->count + p->calls->count + 2) * sizeof(*f.reads);
    if (!exact_take(b, f.bytes, ret)) {
        return;
    }
    f.reads = xrealloc(NULL, ((size_t)p->count + 1) * sizeof(*f.reads));
    f.groups =
        xrealloc(NULL, ((size_t)p->calls->count + 1) * sizeof(*f.groups));
    memset(f.groups, 0xff, ((size_t)p->calls->count + 1) * sizeof(*f.groups));
    if (long_fork_read_calls(&f)) {
        for (uint32_t i = 0; i < f.read_count && good; i++) {
            good = long_fork_observed(&f, f.reads[i]);
        }
        if (good) {
            qsort_r(f.reads, f.read_count, sizeof(*f.reads), long_fork_compare,
                    (void *)f.c);
            if (long_fork_groups(&f)) {
                exact_valid(ret, NULL, 0);
            }
        }
    }
    exact_index_release(&f.by_key, b);
    free(f.reads);
    free(f.groups);
    budget_give(b, f.bytes);
}

const struct engine_ops engine_long_fork = {
    .name = "long-fork",
    .description = "all reads agree on the order of writes",
    .decide = long_fork_decide,
};
