/* SPDX-License-Identifier: Apache-2.0 */
/*
 * missing_operation_id: a mutation without an operation id cannot be told from
 * its retries, so what became of it cannot be judged.  Never a violation.
 */
#include "config.h"

#include "analyzer/checker.h"

static void
missing_operation_id_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;

    for (uint32_t op = 0; op < o->count && !checker_expired(run); op++) {
        struct text who;

        if (!function_is_mutation((enum function)o->function[op]) ||
            !id128_is_zero(o->id[op]))
            continue;
        who = describe_operation(t, op);
        checker_unknown(run, "%s has no operation id", who.s);
        witness_event(run, o->invoke[op]);
    }
}

const struct checker_ops checker_missing_operation_id_ops = {
    .name = "missing_operation_id",
    .description = "every mutation carries an operation id",
    .model = CHECKER_EVERY_MODEL,
    .check = missing_operation_id_check,
};
