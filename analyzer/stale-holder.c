/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stale_holder: a confirm or release passes only with the lease's holder and
 * the epoch in force, and never on a lease that ended or was revoked.
 */
#include "config.h"

#include "analyzer/checker.h"

static void
report(struct checker_run *run, uint32_t op, uint32_t other, const char *why)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[t->operations.answer[op]];
    struct text who = describe_operation(t, op);
    struct text lease = describe_id(t, t->operations.lease[op]);
    struct text at = describe_position(t, a->index), by = {""}, by_at = {""};

    if (other != TABLE_NONE) {
        by = describe_operation(t, other);
        by_at =
            describe_position(t, t->answers[t->operations.answer[other]].index);
    }
    if (!checker_violation(
            run, "%s of lease %s with epoch %lld was answered '%s'%s, %s%s%s%s",
            who.s, lease.s, (long long)t->operations.amount[op],
            code_name(a->code), at.s, why, other == TABLE_NONE ? "" : " by ",
            by.s, by_at.s))
        return;
    witness_operation(run, op);
    witness_operation(run, other);
}

/* How the lease had ended or been revoked, if that is certain. */
static const char *
ended_by(const struct facts *f, const struct lease_outlook *v, uint32_t *ret_by)
{
    if (v->released == WHEN_BEFORE) {
        *ret_by = v->released_by;
        return "after it had been released";
    }
    if (v->reclaimed == WHEN_BEFORE) {
        *ret_by = v->reclaimed_by;
        return "after it had been reclaimed";
    }
    if (v->expired == WHEN_BEFORE) {
        *ret_by = f->table->expired[v->expired_row].operation;
        return "after it had been expired";
    }
    if (v->revoked == WHEN_BEFORE) {
        *ret_by = v->revoked_by;
        return "after it had been revoked";
    }
    return NULL;
}

static void
check_accepted(struct checker_run *run, uint32_t op,
               const struct lease_outlook *view)
{
    const struct table *t = run->table;
    const struct facts *f = run->facts;
    const struct operations *o = &t->operations;
    const struct answer *a = &t->answers[o->answer[op]];
    uint32_t creator = f->leases[f->lease_of_id[o->lease[op]]].creator;
    bool release = o->function[op] == FUNCTION_RELEASE;
    uint32_t by = TABLE_NONE;
    const char *why = ended_by(f, view, &by);

    if (why != NULL) {
        report(run, op, by, why);
    } else if (a->epoch != SLOT_NONE &&
               a->epoch - (release ? 1 : 0) != o->amount[op]) {
        report(run, op, TABLE_NONE,
               "though the epoch in force was another, as the epoch in the "
               "answer shows");
    } else if (creator != TABLE_NONE &&
               o->holder[t->answers[creator].operation] != o->holder[op]) {
        report(run, op, t->answers[creator].operation,
               "though another holder had been granted it");
    }
}

/*
 * The state of a lease is looked at only after its epoch: an answer about the
 * state means that the epoch passed.
 */
static void
check_refused(struct checker_run *run, uint32_t op,
              const struct lease_outlook *view)
{
    int64_t epoch = 1;
    uint32_t by = TABLE_NONE;
    const char *why = ended_by(run->facts, view, &by);

    epoch += view->revoked == WHEN_BEFORE;
    epoch += view->released == WHEN_BEFORE || view->expired == WHEN_BEFORE;
    if (why != NULL && run->table->operations.amount[op] < epoch)
        report(run, op, by, why);
}

static void
stale_holder_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct facts *f = run->facts;
    const struct operations *o = &t->operations;

    for (uint32_t op = 0; op < o->count && !checker_expired(run); op++) {
        struct viewpoint vp;
        struct lease_outlook view;
        enum code code;

        if ((o->function[op] != FUNCTION_CONFIRM &&
             o->function[op] != FUNCTION_RELEASE) ||
            o->answer[op] == TABLE_NONE)
            continue;
        vp = viewpoint_before(f, o->answer[op]);
        lease_outlook(f, f->lease_of_id[o->lease[op]], &vp, &view);
        code = (enum code)t->answers[o->answer[op]].code;
        if (code == CODE_OK)
            check_accepted(run, op, &view);
        else if (code == CODE_RESERVATION_RETIRED || code == CODE_INVALID_STATE)
            check_refused(run, op, &view);
    }
}

const struct checker_ops checker_stale_holder_ops = {
    .name = "stale_holder",
    .description = "an old epoch, a wrong holder or an ended lease is refused",
    .check = stale_holder_check,
};
