/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retired_vs_not_found: a lease that was there is never "not found" for a read
 * once it is gone, but retired; nothing is retired that cannot have ended; and
 * no command is told that a lease retired which cannot have ended.  Whether a
 * lease is gone at all is for stale_read and lost_write to judge.
 */
#include "config.h"

#include "analyzer/checker.h"

static void
retired_report(struct checker_run *run, uint32_t answer, uint32_t lease,
               const char *what)
{
    const struct table *t = run->table;
    const struct facts *f = run->facts;
    const struct answer *a = &t->answers[answer];
    uint32_t creator = f->leases[lease].creator;
    struct text who = describe_operation(t, a->operation);
    struct text id = describe_id(t, f->leases[lease].id);
    struct text at =
        describe_position(t, a->index == INDEX_NONE ? a->applied : a->index);

    if (!checker_violation(run, "%s of lease %s%s %s", who.s, id.s, at.s, what))
        return;
    if (creator != TABLE_NONE)
        witness_operation(run, t->answers[creator].operation);
    witness_operation(run, a->operation);
}

/* Some lease with this id or a higher one can have retired by then: its own, or
 * one of which nobody was told. */
static bool
retired_possible(struct checker_run *run, uint32_t lease,
                 const struct viewpoint *vp)
{
    const struct facts *f = run->facts;
    struct id128 id = f->table->ids[f->leases[lease].id];

    if (f->loose_event < vp->end || id.hi != 0)
        return true;
    for (uint32_t i = 0; i < f->lease_count && !checker_expired(run); i++) {
        struct id128 other = f->table->ids[f->leases[i].id];
        struct lease_outlook view;

        if (other.hi == 0 && other.lo < id.lo)
            continue;
        if (f->leases[i].creator == TABLE_NONE && i != lease)
            return true;
        lease_outlook(f, i, vp, &view);
        if (view.created != WHEN_AFTER && view.may_be_gone)
            return true;
    }
    return false;
}

static void
retired_read(struct checker_run *run, uint32_t answer)
{
    const struct facts *f = run->facts;
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    uint32_t lease = f->lease_of_id[t->operations.lease[a->operation]];
    struct viewpoint vp = viewpoint_of_read(f, answer);
    struct lease_outlook view;

    /* Without a place only a read that must be current can be judged. */
    if (a->found || (vp.index == INDEX_NONE &&
                     t->operations.claim[a->operation] != CLAIM_LINEARIZABLE))
        return;
    lease_outlook(f, lease, &vp, &view);
    if (!a->retired) {
        if (f->leases[lease].creator != TABLE_NONE &&
            view.created == WHEN_BEFORE && view.may_be_gone)
            retired_report(run, answer, lease,
                           "finds nothing, not even that it retired, though "
                           "it had been granted");
        return;
    }
    if (!view.may_be_gone && !retired_possible(run, lease, &vp))
        retired_report(run, answer, lease,
                       "says that it retired, but neither it nor any lease "
                       "with a higher id can have by then");
}

static void
retired_command(struct checker_run *run, uint32_t op)
{
    const struct facts *f = run->facts;
    const struct operations *o = &run->table->operations;
    uint32_t lease = f->lease_of_id[o->lease[op]];
    struct viewpoint vp = viewpoint_before(f, o->answer[op]);
    struct lease_outlook view;

    if (f->leases[lease].creator == TABLE_NONE)
        return;
    lease_outlook(f, lease, &vp, &view);
    if ((view.states & STATES_ENDED) == 0)
        retired_report(run, o->answer[op], lease,
                       "was answered 'reservation_retired', but no release, "
                       "expiry or reclaim of it can have happened by then");
}

static void
retired_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;

    for (uint32_t op = 0; op < o->count && !checker_expired(run); op++) {
        if (o->answer[op] == TABLE_NONE || o->lease[op] == TABLE_NONE)
            continue;
        if (o->function[op] == FUNCTION_GET_LEASE)
            retired_read(run, o->answer[op]);
        else if (t->answers[o->answer[op]].code == CODE_RESERVATION_RETIRED)
            retired_command(run, op);
    }
}

const struct checker_ops checker_retired_vs_not_found_ops = {
    .name = "retired_vs_not_found",
    .description = "what is gone is retired, and nothing else is",
    .check = retired_check,
};
