/* SPDX-License-Identifier: Apache-2.0 */
/*
 * double_allocation: between two grants of one resource to two leases the first
 * lease must be able to have ended.  Where it was certainly revoked by then,
 * only a reclaim is missing: that is early_reuse.
 */
#include "config.h"

#include "analyzer/checker.h"

static void
report(struct checker_run *run, const struct grant *a, const struct grant *b)
{
    const struct table *t = run->table;
    const struct facts *f = run->facts;
    struct text resource = describe_id(t, f->resources[a->resource].id);
    struct text lease = describe_id(t, f->leases[a->lease].id);
    struct text first = describe_answer(t, a->answer);
    struct text second = describe_answer(t, b->answer);
    struct text at_a = describe_position(t, a->index);
    struct text at_b = describe_position(t, b->index);

    if (!checker_violation(
            run,
            "resource %s was reserved by %s%s and again by %s%s; no release, "
            "expiry or reclaim of lease %s lies between",
            resource.s, first.s, at_a.s, second.s, at_b.s, lease.s))
        return;
    witness_event(run, a->invoke);
    witness_event(run, a->end);
    witness_event(run, b->invoke);
    witness_event(run, b->end);
}

static void
double_allocation_check(struct checker_run *run)
{
    const struct facts *f = run->facts;

    for (uint32_t i = 1; i < f->grant_count && !checker_expired(run); i++) {
        const struct grant *a = &f->grants[i - 1], *b = &f->grants[i];
        struct lease_outlook view;

        if (grant_precedes(a, b) && grant_still_held(f, a, b, &view) &&
            view.revoked != WHEN_BEFORE)
            report(run, a, b);
    }
}

const struct checker_ops checker_double_allocation_ops = {
    .name = "double_allocation",
    .description = "a resource has one lease at a time",
    .check = double_allocation_check,
};
