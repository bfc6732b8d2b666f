/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unresolved_ambiguity: after the resolve phase of a run no mutation is left
 * whose outcome nobody knows.  Never a violation of the system.
 */
#include "config.h"

#include "analyzer/checker.h"

static void
unresolved_ambiguity_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;

    for (uint32_t op = 0; op < o->count && !checker_expired(run); op++) {
        struct text who;

        if (!function_is_mutation((enum function)o->function[op]) ||
            o->outcome[op] != OUTCOME_UNKNOWN || operation_id_was_taken(t, op))
            continue;
        who = describe_operation(t, op);
        checker_unknown(run, "the outcome of %s was never resolved", who.s);
        witness_event(run, o->invoke[op]);
    }
}

const struct checker_ops checker_unresolved_ambiguity_ops = {
    .name = "unresolved_ambiguity",
    .description = "every mutation of a run ends with a recorded answer",
    .runs_only = true,
    .model = CHECKER_EVERY_MODEL,
    .check = unresolved_ambiguity_check,
};
