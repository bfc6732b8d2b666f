/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: each change raises the version of its block by one, and is answered
 * with it.  So a read that begins after a change was acknowledged shows that
 * version or a later one; a version is one change, and shows its value.  That
 * is stale_read, and lost_write for the reads of the sweeps.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/checker.h"

/* A change that was answered ok, by the answer. */
struct change {
    uint32_t block; /* in ids */
    int64_t version;
    uint32_t event, answer;
};

/* Those of one block, and the highest version up to each event. */
struct changes {
    struct change *by_event, *by_version; /* within their block */
    size_t count;
};

static int
change_compare_event(const void *x, const void *y)
{
    const struct change *a = x, *b = y;

    if (a->block != b->block)
        return a->block < b->block ? -1 : 1;
    return a->event < b->event ? -1 : a->event > b->event;
}

static int
change_compare_version(const void *x, const void *y)
{
    const struct change *a = x, *b = y;

    if (a->block != b->block)
        return a->block < b->block ? -1 : 1;
    if (a->version != b->version)
        return a->version < b->version ? -1 : 1;
    return a->event < b->event ? -1 : a->event > b->event;
}

static uint32_t
change_block(const struct table *t, uint32_t op)
{
    return t->lists[t->operations.resources[op].first + BLOCK_ID];
}

/* Every answer of a change; cached ones repeat what is known. */
static void
changes_collect(const struct table *t, struct changes *ret)
{
    const struct operations *o = &t->operations;
    size_t count = 0;

    ret->by_event = xcalloc(t->answer_count + 1ul, sizeof(struct change));
    ret->by_version = xcalloc(t->answer_count + 1ul, sizeof(struct change));
    for (uint32_t i = 0; i < t->answer_count; i++) {
        const struct answer *a = &t->answers[i];
        enum function f = (enum function)o->function[a->operation];

        if ((f != FUNCTION_WRITE && f != FUNCTION_CAS) || a->code != CODE_OK ||
            a->version == SLOT_NONE)
            continue;
        ret->by_event[count++] = (struct change){change_block(t, a->operation),
                                                 a->version, a->event, i};
    }
    ret->count = count;
    for (size_t i = 0; i < count; i++)
        ret->by_version[i] = ret->by_event[i];
    qsort(ret->by_event, count, sizeof(struct change), change_compare_event);
    qsort(ret->by_version, count, sizeof(struct change),
          change_compare_version);
    /* From here on the highest version so far, and whose it is. */
    for (size_t i = 1; i < count; i++) {
        struct change *before = &ret->by_event[i - 1], *c = &ret->by_event[i];

        if (before->block == c->block && before->version >= c->version) {
            c->version = before->version;
            c->answer = before->answer;
        }
    }
}

static void
changes_release(struct changes *c)
{
    free(c->by_event);
    free(c->by_version);
}

/* The first of the sorted that is not below the key. */
static size_t
changes_search(const struct change *list, size_t count,
               const struct change *key,
               int (*compare)(const void *, const void *))
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&list[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
block_report(struct checker_run *run, uint32_t read, uint32_t change,
             const char *what)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[read], *c = &t->answers[change];
    struct text who = describe_answer(t, read);
    struct text by = describe_answer(t, change);
    struct text block = describe_id(t, change_block(t, a->operation));

    if (!checker_violation(
            run,
            "%s of block %s shows value %lld in version %lld, but %s was "
            "answered with version %lld %s",
            who.s, block.s,
            (long long)table_number(t, a->resources, READ_BLOCK_VALUE),
            (long long)a->version, by.s, (long long)c->version, what))
        return;
    witness_event(run, t->attempts.invoke[c->attempt]);
    witness_event(run, c->event);
    witness_operation(run, a->operation);
}

static void
block_check_read(struct checker_run *run, const struct changes *changes,
                 uint32_t read)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    const struct answer *a = &t->answers[read];
    struct change key = {change_block(t, a->operation), a->version,
                         o->invoke[a->operation], 0};
    size_t at = changes_search(changes->by_event, changes->count, &key,
                               change_compare_event);
    const struct change *c;

    if (at > 0) {
        c = &changes->by_event[at - 1];
        if (c->block == key.block && c->version > a->version) {
            block_report(run, read, c->answer, "before the read began");
            return;
        }
    }
    key.event = 0;
    at = changes_search(changes->by_version, changes->count, &key,
                        change_compare_version);
    if (at == changes->count)
        return;
    c = &changes->by_version[at];
    if (c->block == key.block && c->version == a->version &&
        o->amount[t->answers[c->answer].operation] !=
            table_number(t, a->resources, READ_BLOCK_VALUE))
        block_report(run, read, c->answer, "and has another value");
}

/* Two changes cannot have made one version: one of them is gone. */
static void
block_check_versions(struct checker_run *run, const struct changes *changes)
{
    const struct table *t = run->table;

    for (size_t i = 1; i < changes->count && !checker_expired(run); i++) {
        const struct change *a = &changes->by_version[i - 1];
        const struct change *b = &changes->by_version[i];
        uint32_t first = t->answers[a->answer].operation;
        uint32_t second = t->answers[b->answer].operation;
        struct text one, other, block;

        if (a->block != b->block || a->version != b->version || first == second)
            continue;
        one = describe_answer(t, a->answer);
        other = describe_answer(t, b->answer);
        block = describe_id(t, a->block);
        if (checker_violation(run,
                              "%s and %s were both answered with version %lld "
                              "of block %s: one of them is lost",
                              one.s, other.s, (long long)a->version, block.s)) {
            witness_operation(run, first);
            witness_operation(run, second);
        }
    }
}

void
block_values_check(struct checker_run *run, bool sweeps)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    CLEANUP(changes_release) struct changes changes;

    changes_collect(t, &changes);
    for (uint32_t i = 0; i < t->answer_count && !checker_expired(run); i++) {
        const struct answer *a = &t->answers[i];
        uint32_t op = a->operation;

        if (o->function[op] == FUNCTION_GET_BLOCK && a->found &&
            a->version != SLOT_NONE && o->claim[op] == CLAIM_LINEARIZABLE &&
            facts_in_sweep(run->facts, o->invoke[op]) == sweeps)
            block_check_read(run, &changes, i);
    }
    if (sweeps)
        block_check_versions(run, &changes);
}

static void
block_lost_write_check(struct checker_run *run)
{
    block_values_check(run, true);
}

const struct checker_ops checker_block_lost_write_ops = {
    .name = "lost_write",
    .description = "what was acknowledged is there after the heal (blocks)",
    .model = "block",
    .check = block_lost_write_check,
};
