/* SPDX-License-Identifier: Apache-2.0 */
/*
 * phantom_result: every lease and resource that an answer shows was made by an
 * operation that somebody had sent by then.
 */
#include "config.h"

#include "analyzer/checker.h"

static void
report(struct checker_run *run, uint32_t op, const char *what, uint32_t id)
{
    const struct table *t = run->table;
    struct text who = describe_operation(t, op), name = describe_id(t, id);

    if (checker_violation(run,
                          "%s shows %s %s, but no operation that can have "
                          "made it was sent by then",
                          who.s, what, name.s))
        witness_operation(run, op);
}

/* The operation's resources and these are the same, in order. */
static bool
same_resources(const struct table *t, uint32_t op, struct span shown)
{
    struct span asked = t->operations.resources[op];

    if (asked.count != shown.count)
        return false;
    for (uint32_t i = 0; i < shown.count; i++)
        if (t->lists[asked.first + i] != t->lists[shown.first + i])
            return false;
    return true;
}

/*
 * Some reserve without a known result may have made a lease on this resource
 * before 'event'.  shown.count 0: its other resources are not known.
 */
static bool
may_have_been_made(const struct facts *f, uint32_t resource_id, uint32_t holder,
                   struct span shown, uint32_t event)
{
    const struct operations *o = &f->table->operations;
    uint32_t resource = f->resource_of_id[resource_id];

    if (resource == TABLE_NONE)
        return false;
    for (uint32_t i = f->resources[resource].loose_first; i != TABLE_NONE;
         i = f->loose[i].next) {
        uint32_t op = f->loose[i].operation;

        if (o->invoke[op] < event &&
            (holder == TABLE_NONE || holder == o->holder[op]) &&
            (shown.count == 0 || same_resources(f->table, op, shown)))
            return true;
    }
    return false;
}

static bool
may_exist(const struct facts *f, uint32_t resource, uint32_t event)
{
    const struct operations *o = &f->table->operations;

    for (uint32_t op = f->resources[resource].create_first; op != TABLE_NONE;
         op = facts_create_next(f, op))
        if (o->outcome[op] != OUTCOME_FAIL && o->invoke[op] < event)
            return true;
    return false;
}

static void
check_read(struct checker_run *run, const struct answer *a)
{
    const struct facts *f = run->facts;
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    bool resource = o->function[a->operation] == FUNCTION_GET_RESOURCE;
    uint32_t id = resource ? t->lists[o->resources[a->operation].first]
                           : o->lease[a->operation];
    uint32_t lease = resource ? a->lease : id;
    bool may;

    if (!a->found)
        return;
    if (resource && f->creates &&
        !may_exist(f, f->resource_of_id[id], a->event)) {
        report(run, a->operation, "resource", id);
        return;
    }
    if (lease == TABLE_NONE ||
        f->leases[f->lease_of_id[lease]].creator != TABLE_NONE)
        return;
    if (resource)
        may = may_have_been_made(f, id, TABLE_NONE, (struct span){0}, a->event);
    else if (a->resources.count > 0)
        may = may_have_been_made(f, t->lists[a->resources.first], a->holder,
                                 a->resources, a->event);
    else
        may = f->loose_event < a->event;
    if (!may)
        report(run, a->operation, "lease", lease);
}

static void
check_command(struct checker_run *run, const struct answer *a)
{
    const struct facts *f = run->facts;
    uint32_t lease = run->table->operations.lease[a->operation];

    if (a->code != CODE_OK || lease == TABLE_NONE ||
        f->leases[f->lease_of_id[lease]].creator != TABLE_NONE)
        return;
    if (f->loose_event >= a->event)
        report(run, a->operation, "lease", lease);
}

static void
phantom_result_check(struct checker_run *run)
{
    const struct facts *f = run->facts;
    const struct table *t = run->table;

    for (uint32_t i = 0; i < t->answer_count && !checker_expired(run); i++) {
        const struct answer *a = &t->answers[i];
        enum function fn = (enum function)t->operations.function[a->operation];

        if (function_is_read(fn))
            check_read(run, a);
        else if (function_is_mutation(fn))
            check_command(run, a);
    }
    for (uint32_t i = 0; i < t->expired_count && !checker_expired(run); i++) {
        const struct expired *e = &t->expired[i];

        if (f->leases[f->lease_of_id[e->lease]].creator == TABLE_NONE &&
            e->resources.count > 0 &&
            !may_have_been_made(f, t->lists[e->resources.first], TABLE_NONE,
                                e->resources, t->operations.end[e->operation]))
            report(run, e->operation, "lease", e->lease);
    }
}

const struct checker_ops checker_phantom_result_ops = {
    .name = "phantom_result",
    .description = "everything an answer shows was made by some operation",
    .check = phantom_result_check,
};
