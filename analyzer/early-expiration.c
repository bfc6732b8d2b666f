/* SPDX-License-Identifier: Apache-2.0 */
/*
 * early_expiration: a lease expires only when the slot has reached its
 * deadline, and never once it was confirmed.
 */
#include "config.h"

#include "analyzer/checker.h"

static void
report(struct checker_run *run, uint32_t op, uint32_t lease, int64_t slot,
       int64_t deadline)
{
    const struct table *t = run->table;
    const struct facts *f = run->facts;
    uint32_t creator = f->leases[lease].creator;
    struct text id = describe_id(t, f->leases[lease].id);
    struct text who = describe_operation(t, op);

    if (!checker_violation(run,
                           "lease %s had expired in slot %lld, as %s shows, "
                           "but its deadline is slot %lld",
                           id.s, (long long)slot, who.s, (long long)deadline))
        return;
    witness_operation(run, op);
    if (creator != TABLE_NONE)
        witness_operation(run, t->answers[creator].operation);
}

/* The later of what the grant said and what is said now. */
static int64_t
deadline_of(const struct facts *f, uint32_t lease, int64_t said)
{
    uint32_t creator = f->leases[lease].creator;
    int64_t granted =
        creator == TABLE_NONE ? SLOT_NONE : f->table->answers[creator].deadline;

    return granted > said ? granted : said;
}

static void
check_confirmed(struct checker_run *run, uint32_t row)
{
    const struct table *t = run->table;
    const struct facts *f = run->facts;
    const struct expired *e = &t->expired[row];
    struct viewpoint vp = {
        .self = TABLE_NONE,
        .invoke = t->operations.invoke[e->operation],
        .end = t->operations.end[e->operation],
        .index = t->positions_total && e->index > 0 ? e->index - 1 : INDEX_NONE,
        .slot = SLOT_NONE,
    };
    struct lease_outlook view;
    struct text id, tick, confirm;

    lease_outlook(f, f->lease_of_id[e->lease], &vp, &view);
    if (view.confirmed != WHEN_BEFORE)
        return;
    id = describe_id(t, e->lease);
    tick = describe_operation(t, e->operation);
    confirm = describe_operation(t, view.confirmed_by);
    if (!checker_violation(run,
                           "%s expired lease %s, which %s had confirmed: a "
                           "confirmed lease never expires",
                           tick.s, id.s, confirm.s))
        return;
    witness_operation(run, view.confirmed_by);
    witness_operation(run, e->operation);
}

static void
early_expiration_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct facts *f = run->facts;

    for (uint32_t i = 0; i < t->expired_count && !checker_expired(run); i++) {
        const struct expired *e = &t->expired[i];
        uint32_t lease = f->lease_of_id[e->lease];
        int64_t slot = t->answers[t->operations.answer[e->operation]].slot;
        int64_t deadline = deadline_of(f, lease, e->deadline);

        if (deadline > slot)
            report(run, e->operation, lease, slot, deadline);
        else
            check_confirmed(run, i);
    }
    for (uint32_t i = 0; i < t->answer_count && !checker_expired(run); i++) {
        const struct answer *a = &t->answers[i];
        uint32_t lease;
        int64_t deadline;

        if (t->operations.function[a->operation] != FUNCTION_GET_LEASE ||
            !a->found || a->state != STATE_EXPIRED || a->slot == SLOT_NONE)
            continue;
        lease = f->lease_of_id[t->operations.lease[a->operation]];
        deadline = deadline_of(f, lease, a->deadline);
        if (deadline > a->slot)
            report(run, a->operation, lease, a->slot, deadline);
    }
}

const struct checker_ops checker_early_expiration_ops = {
    .name = "early_expiration",
    .description = "no lease expires before its deadline or once confirmed",
    .check = early_expiration_check,
};
