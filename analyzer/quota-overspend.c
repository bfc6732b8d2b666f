/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_overspend: no bucket gives more than it was filled with.  From its
 * creation on the most it can hold is known in every slot, for a debit that
 * nobody reported only leaves less: min(limit, rest + slots * refill).  The
 * debits that were answered ok, each in the slot it was answered with, must fit
 * under that.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/checker.h"

struct debit {
    uint32_t bucket; /* in ids */
    int64_t slot;
    uint32_t operation;
};

static int
debit_compare(const void *x, const void *y)
{
    const struct debit *a = x, *b = y;

    if (a->bucket != b->bucket)
        return a->bucket < b->bucket ? -1 : 1;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return a->operation < b->operation ? -1 : a->operation > b->operation;
}

static uint32_t
quota_bucket(const struct table *t, uint32_t op)
{
    return t->lists[t->operations.resources[op].first + BUCKET_ID];
}

/* An operation that was answered ok in a slot it tells. */
static bool
quota_done(const struct table *t, uint32_t op, int64_t *ret_slot)
{
    uint32_t answer = t->operations.answer[op];

    if (answer == TABLE_NONE || t->answers[answer].code != CODE_OK ||
        t->answers[answer].slot == SLOT_NONE)
        return false;
    *ret_slot = t->answers[answer].slot;
    return true;
}

/* By bucket (in ids): the operation that made it, or NONE. */
static uint32_t *
quota_creations(const struct table *t)
{
    uint32_t *made = xcalloc(t->id_count + 1ul, sizeof(*made));
    int64_t slot;

    for (uint32_t i = 0; i < t->id_count; i++)
        made[i] = TABLE_NONE;
    for (uint32_t op = 0; op < t->operations.count; op++)
        if (t->operations.function[op] == FUNCTION_CREATE_BUCKET &&
            quota_done(t, op, &slot))
            made[quota_bucket(t, op)] = op;
    return made;
}

static int64_t
quota_refill(int64_t rest, int64_t slots, int64_t refill, int64_t limit)
{
    int64_t more, sum;

    if (__builtin_mul_overflow(slots, refill, &more) ||
        __builtin_add_overflow(rest, more, &sum) || sum > limit)
        return limit;
    return sum;
}

/* 'full' is the first debit since the bucket may have been full. */
static void
quota_report(struct checker_run *run, const struct debit *debits, size_t full,
             size_t last, uint32_t made)
{
    const struct table *t = run->table;
    struct span span = t->operations.resources[made];
    struct text bucket = describe_id(t, debits[last].bucket);
    struct text who = describe_operation(t, debits[last].operation);
    int64_t sum = 0;

    for (size_t i = full; i <= last; i++)
        sum += t->operations.amount[debits[i].operation];
    if (!checker_violation(
            run,
            "bucket %s (limit %lld, refill %lld a slot, created with %lld) "
            "gave "
            "%lld in %zu debits from slot %lld to slot %lld, which is more "
            "than "
            "it can have held and been refilled with; the last is %s",
            bucket.s, (long long)table_number(t, span, BUCKET_LIMIT),
            (long long)table_number(t, span, BUCKET_REFILL),
            (long long)table_number(t, span, BUCKET_INITIAL), (long long)sum,
            last - full + 1, (long long)debits[full].slot,
            (long long)debits[last].slot, who.s))
        return;
    witness_operation(run, made);
    for (size_t i = last + 1; i-- > full;)
        witness_event(run, t->operations.end[debits[i].operation]);
}

/* The debits of one bucket, in order of their slots. */
static void
quota_check_bucket(struct checker_run *run, const struct debit *debits,
                   size_t begin, size_t end, uint32_t made)
{
    const struct table *t = run->table;
    struct span span = t->operations.resources[made];
    int64_t limit = table_number(t, span, BUCKET_LIMIT);
    int64_t refill = table_number(t, span, BUCKET_REFILL);
    int64_t rest = table_number(t, span, BUCKET_INITIAL), slot = 0;
    size_t full = begin;

    quota_done(t, made, &slot);
    for (size_t i = begin; i < end && !checker_expired(run); i++) {
        if (debits[i].slot < slot)
            return; /* before its creation: position_conflict's business */
        if (debits[i].slot > slot) {
            rest = quota_refill(rest, debits[i].slot - slot, refill, limit);
            if (rest == limit)
                full = i;
            slot = debits[i].slot;
        }
        rest -= t->operations.amount[debits[i].operation];
        if (rest >= 0)
            continue;
        quota_report(run, debits, full, i, made);
        rest = 0;
        full = i + 1;
    }
}

static void
quota_overspend_check(struct checker_run *run)
{
    const struct table *t = run->table;
    CLEANUP_FREE uint32_t *made = quota_creations(t);
    CLEANUP_FREE struct debit *debits =
        xcalloc(t->operations.count + 1ul, sizeof(*debits));
    size_t count = 0, begin = 0;
    int64_t slot;

    for (uint32_t op = 0; op < t->operations.count; op++)
        if (t->operations.function[op] == FUNCTION_DEBIT &&
            quota_done(t, op, &slot))
            debits[count++] = (struct debit){quota_bucket(t, op), slot, op};
    qsort(debits, count, sizeof(*debits), debit_compare);
    for (size_t i = 1; i <= count; i++) {
        if (i < count && debits[i].bucket == debits[begin].bucket)
            continue;
        if (made[debits[begin].bucket] != TABLE_NONE)
            quota_check_bucket(run, debits, begin, i,
                               made[debits[begin].bucket]);
        begin = i;
    }
}

const struct checker_ops checker_quota_overspend_ops = {
    .name = "quota_overspend",
    .description = "no bucket gives more than it was filled with",
    .model = "quota",
    .check = quota_overspend_check,
};
