/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duplicate_execution: all recorded answers of one operation must be the answer
 * of one execution: the same position, the same result; and of two operations
 * with one id (other contents) only one is executed.  Only when so much logical
 * time lies between two answers that the dedupe record may have been dropped is
 * a second execution allowed.
 */
#include "config.h"

#include "analyzer/checker.h"

static bool
same_result(const struct answer *a, const struct answer *b)
{
    return a->code == b->code && a->lease == b->lease && a->epoch == b->epoch &&
           a->deadline == b->deadline && a->slot == b->slot;
}

/* The later execution came after the record of the earlier was dropped. */
static bool
outside_window(const struct table *t, const struct answer *a,
               const struct answer *b)
{
    int64_t window = t->limits.ttl_slots + t->limits.retry_slots;
    int64_t low = a->slot < b->slot ? a->slot : b->slot;
    int64_t high = a->slot < b->slot ? b->slot : a->slot;

    return high - window > low;
}

static void
report(struct checker_run *run, uint32_t first, uint32_t second)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[first], *b = &t->answers[second];
    struct text who = describe_operation(t, a->operation);
    struct text at_a = describe_position(t, a->index);
    struct text at_b = describe_position(t, b->index);

    if (!checker_violation(
            run,
            "%s was executed twice: one attempt was answered '%s'%s (event "
            "%u), another '%s'%s (event %u); one id with one content has one "
            "execution and one answer within %lld slots",
            who.s, code_name(a->code), at_a.s, a->event, code_name(b->code),
            at_b.s, b->event,
            (long long)(t->limits.ttl_slots + t->limits.retry_slots)))
        return;
    witness_event(run, t->attempts.invoke[a->attempt]);
    witness_event(run, a->event);
    witness_event(run, t->attempts.invoke[b->attempt]);
    witness_event(run, b->event);
}

static void
compare(struct checker_run *run, uint32_t first, uint32_t second)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[first], *b = &t->answers[second];
    bool positions = a->index != INDEX_NONE && b->index != INDEX_NONE;

    if ((!positions || a->index == b->index) && same_result(a, b))
        return;
    if (a->slot == SLOT_NONE || b->slot == SLOT_NONE) {
        struct text who = describe_operation(t, a->operation);

        checker_unknown(run,
                        "%s was answered in two ways, but without slots the "
                        "dedupe window cannot be judged",
                        who.s);
        return;
    }
    if (!outside_window(t, a, b))
        report(run, first, second);
}

uint32_t
answered_with_other_contents(const struct table *t, uint32_t op)
{
    const struct operations *o = &t->operations;
    const struct answer *a;

    /* First what of most operations is the end of it. */
    if (o->same_id_next[op] == TABLE_NONE || o->answer[op] == TABLE_NONE)
        return TABLE_NONE;
    a = &t->answers[o->answer[op]];
    for (uint32_t other = o->same_id_next[op]; other != TABLE_NONE;
         other = o->same_id_next[other]) {
        const struct answer *b;

        if (o->answer[other] == TABLE_NONE)
            continue;
        b = &t->answers[o->answer[other]];
        if (a->slot != SLOT_NONE && b->slot != SLOT_NONE &&
            !outside_window(t, a, b))
            return other;
    }
    return TABLE_NONE;
}

static void
check_reuse(struct checker_run *run, uint32_t op)
{
    const struct table *t = run->table;
    uint32_t other = answered_with_other_contents(t, op);
    struct text first, second;

    if (other == TABLE_NONE)
        return;
    first = describe_operation(t, other);
    second = describe_operation(t, op);
    if (!checker_violation(
            run,
            "%s and %s have one id and other contents, and both "
            "were executed: the later is due 'operation_conflict'",
            first.s, second.s))
        return;
    witness_operation(run, other);
    witness_operation(run, op);
}

static void
duplicate_execution_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    const struct attempts *at = &t->attempts;

    for (uint32_t op = 0; op < o->count && !checker_expired(run); op++) {
        check_reuse(run, op);
        if (o->attempt_count[op] < 2 || o->answer[op] == TABLE_NONE)
            continue;
        for (uint32_t i = o->attempt_first[op]; i != TABLE_NONE;
             i = at->next[i]) {
            if (at->answer[i] == TABLE_NONE)
                continue;
            for (uint32_t j = at->next[i];
                 j != TABLE_NONE && !checker_expired(run); j = at->next[j])
                if (at->answer[j] != TABLE_NONE)
                    compare(run, at->answer[i], at->answer[j]);
        }
    }
}

const struct checker_ops checker_duplicate_execution_ops = {
    .name = "duplicate_execution",
    .description = "one operation id with one content has one execution",
    .model = CHECKER_EVERY_MODEL,
    .check = duplicate_execution_check,
};
