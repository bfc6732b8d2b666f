/* SPDX-License-Identifier: Apache-2.0 */
/*
 * early_reuse: a resource whose lease was revoked is granted again only after
 * the reclaim.  Of two grants one after the other it looks at those whose first
 * lease was certainly revoked by the second; double_allocation has the rest.
 */
#include "config.h"

#include "analyzer/checker.h"

static void
early_reuse_report(struct checker_run *run, const struct grant *a,
                   const struct grant *b, uint32_t revoke)
{
    const struct table *t = run->table;
    const struct facts *f = run->facts;
    struct text resource = describe_id(t, f->resources[a->resource].id);
    struct text lease = describe_id(t, f->leases[a->lease].id);
    struct text revoked = describe_operation(t, revoke);
    struct text again = describe_answer(t, b->answer);
    struct text at = describe_position(t, b->index);

    if (!checker_violation(
            run,
            "resource %s was reserved again by %s%s; its lease %s had been "
            "revoked by %s, and no reclaim of it lies between",
            resource.s, again.s, at.s, lease.s, revoked.s))
        return;
    witness_event(run, a->end);
    witness_operation(run, revoke);
    witness_event(run, b->invoke);
    witness_event(run, b->end);
}

static void
early_reuse_check(struct checker_run *run)
{
    const struct facts *f = run->facts;

    for (uint32_t i = 1; i < f->grant_count && !checker_expired(run); i++) {
        const struct grant *a = &f->grants[i - 1], *b = &f->grants[i];
        struct lease_outlook view;

        if (!grant_precedes(a, b) || !grant_still_held(f, a, b, &view) ||
            view.revoked != WHEN_BEFORE)
            continue;
        early_reuse_report(run, a, b, view.revoked_by);
    }
}

const struct checker_ops checker_early_reuse_ops = {
    .name = "early_reuse",
    .description = "what was revoked is granted again only when reclaimed",
    .check = early_reuse_check,
};
