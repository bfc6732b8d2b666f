/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unresolved_ambiguity: after the resolve phase of a run no mutation is left
 * whose outcome nobody knows.  Never a violation of the system.
 */
#include "config.h"

#include <string.h>

#include "analyzer/checker.h"

/*
 * The dedupe table was found to hold other contents for this id: had an
 * earlier attempt executed, it would hold these.
 */
static bool
was_refused_for_its_id(const struct table *t, uint32_t op)
{
    const struct attempts *a = &t->attempts;

    for (uint32_t at = t->operations.attempt_first[op]; at != TABLE_NONE;
         at = a->next[at])
        if (strcmp(t->names[a->error[at]], "operation_conflict") == 0)
            return true;
    return false;
}

static void
unresolved_ambiguity_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;

    for (uint32_t op = 0; op < o->count && !checker_expired(run); op++) {
        struct text who;

        if (!function_is_mutation((enum function)o->function[op]) ||
            o->outcome[op] != OUTCOME_UNKNOWN || was_refused_for_its_id(t, op))
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
    .check = unresolved_ambiguity_check,
};
