/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold_misuse: a hold is placed once and ends once.  It is confirmed before its
 * deadline, released not after it, expired not before.  An id of a hold is
 * never free again, so that all of this holds wherever in the history the
 * answers stand.
 */
#include "config.h"

#include "analyzer/checker.h"
#include "analyzer/holds.h"

static void
hold_report(struct checker_run *run, uint32_t hold, uint32_t first,
            uint32_t second, const char *rule)
{
    const struct table *t = run->table;
    struct text id = describe_id(t, hold);
    struct text one = describe_operation(t, first);
    struct text other = describe_operation(t, second);

    if (!checker_violation(run, "hold %s: %s and %s were both answered ok: %s",
                           id.s, one.s, other.s, rule))
        return;
    witness_operation(run, first);
    witness_operation(run, second);
}

static int64_t
hold_slot(const struct table *t, uint32_t op)
{
    return t->answers[t->operations.answer[op]].slot;
}

/* Whether the slot of its end is one in which it can end that way. */
static void
hold_check_time(struct checker_run *run, const struct hold_fact *h)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    int64_t deadline = table_number(t, o->resources[h->placed], PLACE_DEADLINE);
    int64_t slot = hold_slot(t, h->ended);
    const char *what = NULL;
    struct text id, who;

    if (slot == SLOT_NONE || deadline < 0)
        return;
    if (o->function[h->ended] == FUNCTION_CONFIRM_HOLD && slot >= deadline)
        what = "confirmed when it had expired";
    else if (o->function[h->ended] == FUNCTION_RELEASE_HOLD && slot > deadline)
        what = "released when it had expired";
    else if (o->function[h->ended] == FUNCTION_EXPIRE_HOLD && slot < deadline)
        what = "expired before its deadline";
    if (what == NULL)
        return;
    id = describe_id(t, h->id);
    who = describe_operation(t, h->ended);
    if (checker_violation(run,
                          "hold %s was held until slot %lld and %s, in slot "
                          "%lld, by %s",
                          id.s, (long long)deadline, what, (long long)slot,
                          who.s)) {
        witness_operation(run, h->placed);
        witness_operation(run, h->ended);
    }
}

static void
hold_misuse_check(struct checker_run *run)
{
    CLEANUP(hold_facts_release) struct hold_facts holds;

    hold_facts_init(&holds, run->facts);
    for (uint32_t i = 0; i < holds.count && !checker_expired(run); i++) {
        const struct hold_fact *h = &holds.items[i];

        if (h->placed_again != TABLE_NONE)
            hold_report(run, h->id, h->placed, h->placed_again,
                        "a hold is placed once");
        if (h->ended_again != TABLE_NONE)
            hold_report(run, h->id, h->ended, h->ended_again,
                        "a hold ends once");
        if (h->placed != TABLE_NONE && h->ended != TABLE_NONE)
            hold_check_time(run, h);
    }
}

const struct checker_ops checker_hold_misuse_ops = {
    .name = "hold_misuse",
    .description = "a hold is placed once and ends once, at a time that allows "
                   "it",
    .model = "pool",
    .check = hold_misuse_check,
};
