/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost_write: what was acknowledged is still there.  Seen by the sweeps after
 * the heal (a value that contradicts an acknowledged operation; a version that
 * counts fewer changes than were acknowledged), and by recorded answers that
 * say "not found" of what cannot be gone.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/judge-read.h"
#include "analyzer/order.h"

/* ---- sweeps ---- */

/* An acknowledged change of a resource: each one raises its version by one. */
struct change {
    uint32_t resource, operation;
    uint64_t index;
};

struct changes {
    struct change *items;
    size_t count, cap;
};

static int
change_compare(const void *x, const void *y)
{
    const struct change *a = x, *b = y;

    if (a->resource != b->resource)
        return a->resource < b->resource ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void
add_change(struct changes *c, uint32_t resource, uint32_t op, uint64_t index)
{
    if (c->count == c->cap) {
        c->cap = c->cap == 0 ? 64 : c->cap * 2;
        c->items = xrealloc(c->items, c->cap * sizeof(c->items[0]));
    }
    c->items[c->count++] = (struct change){resource, op, index};
}

/* Of the commands and expirations of the lease of one grant. */
static void
add_lease_changes(const struct facts *f, const struct grant *g,
                  struct changes *c)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;
    const struct lease_fact *l = &f->leases[g->lease];

    for (uint32_t op = l->command_first; op != TABLE_NONE;
         op = f->command_next[op]) {
        const struct answer *a;

        if (o->answer[op] == TABLE_NONE)
            continue;
        a = &t->answers[o->answer[op]];
        if (a->code == CODE_OK && a->index != INDEX_NONE)
            add_change(c, g->resource, op, a->index);
    }
    for (uint32_t row = l->expired_first; row != TABLE_NONE;
         row = f->expired_next[row])
        add_change(c, g->resource, t->expired[row].operation,
                   t->expired[row].index);
}

static struct changes
collect_changes(struct checker_run *run)
{
    const struct facts *f = run->facts;
    struct changes c = {0};

    for (uint32_t i = 0; i < f->grant_count && !checker_expired(run); i++) {
        const struct grant *g = &f->grants[i];

        if (g->index == INDEX_NONE)
            continue;
        add_change(&c, g->resource, g->operation, g->index);
        add_lease_changes(f, g, &c);
    }
    if (c.count > 0)
        order_nearly(c.items, c.count, sizeof(c.items[0]), change_compare);
    return c;
}

/* First item of the resource with an index above 'index'. */
static size_t
changes_after(const struct changes *c, uint32_t resource, uint64_t index)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct change *m = &c->items[middle];

        if (m->resource < resource ||
            (m->resource == resource && m->index <= index))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
check_version(struct checker_run *run, const struct changes *c, uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    uint32_t id, resource;
    size_t first, end;
    struct text what, read, last;

    if (t->operations.function[a->operation] != FUNCTION_GET_RESOURCE ||
        !a->found || a->version == SLOT_NONE || a->applied == INDEX_NONE)
        return;
    id = t->lists[t->operations.resources[a->operation].first];
    resource = run->facts->resource_of_id[id];
    end = changes_after(c, resource, a->applied);
    first = resource == 0 ? 0 : changes_after(c, resource - 1, UINT64_MAX);
    if (end - first <= (uint64_t)a->version)
        return;
    what = describe_id(t, id);
    read = describe_answer(t, answer);
    last = describe_operation(t, c->items[end - 1].operation);
    if (!checker_violation(
            run,
            "resource %s has changed %lld times at position %llu, as %s "
            "shows, but %zu acknowledged operations changed it by then (the "
            "last is %s): at least one was lost",
            what.s, (long long)a->version, (unsigned long long)a->applied,
            read.s, end - first, last.s))
        return;
    witness_operation(run, a->operation);
    for (size_t i = end; i > first && i + 4 > end; i--)
        witness_operation(run, c->items[i - 1].operation);
}

static void
check_sweep(struct checker_run *run, const struct changes *c, uint32_t answer)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[answer];
    bool resource =
        t->operations.function[a->operation] == FUNCTION_GET_RESOURCE;
    struct contradiction why;
    struct text read, at, id;

    if (!read_contradicts(run->facts, answer, &why)) {
        check_version(run, c, answer);
        return;
    }
    read = describe_answer(t, answer);
    at = describe_position(t, a->applied);
    id = describe_id(
        t, resource ? t->lists[t->operations.resources[a->operation].first]
                    : t->operations.lease[a->operation]);
    if (checker_violation(run, "after the heal %s of %s %s%s %s", read.s,
                          resource ? "resource" : "lease", id.s, at.s,
                          why.text)) {
        witness_operation(run, why.by);
        witness_operation(run, a->operation);
    }
}

/* ---- answers ---- */

static void
report_gone(struct checker_run *run, uint32_t op, uint32_t made,
            const char *what, uint32_t id)
{
    const struct table *t = run->table;
    const struct answer *a = &t->answers[t->operations.answer[op]];
    struct text who = describe_operation(t, op);
    struct text maker = describe_operation(t, made);
    struct text at = describe_position(t, a->index);
    struct text name = describe_id(t, id);

    if (!checker_violation(run,
                           "%s was answered '%s'%s, but %s had made %s %s, "
                           "and by then it cannot have been retired",
                           who.s, code_name(a->code), at.s, maker.s, what,
                           name.s))
        return;
    witness_operation(run, made);
    witness_operation(run, op);
}

static void
check_lease_not_found(struct checker_run *run, uint32_t op,
                      const struct viewpoint *vp)
{
    const struct facts *f = run->facts;
    uint32_t lease, creator;
    struct lease_outlook view;

    if (f->table->operations.lease[op] == TABLE_NONE)
        return;
    lease = f->lease_of_id[f->table->operations.lease[op]];
    creator = f->leases[lease].creator;
    if (creator == TABLE_NONE)
        return;
    lease_outlook(f, lease, vp, &view);
    if (view.created == WHEN_BEFORE && !view.may_be_gone)
        report_gone(run, op, f->table->answers[creator].operation, "lease",
                    f->leases[lease].id);
}

/* The certain creation of a resource; TABLE_NONE: none. */
static uint32_t
created_by(const struct facts *f, uint32_t resource, const struct viewpoint *vp)
{
    for (uint32_t op = f->resources[resource].create_first; op != TABLE_NONE;
         op = facts_create_next(f, op))
        if (when_operation(f, op, vp) == WHEN_BEFORE)
            return op;
    return TABLE_NONE;
}

/* "Not found", or created anew, though it was created before. */
static void
check_resource(struct checker_run *run, uint32_t op, const struct viewpoint *vp)
{
    const struct facts *f = run->facts;
    const struct table *t = f->table;
    struct span span = t->operations.resources[op];
    uint32_t made = TABLE_NONE;

    for (uint32_t i = 0; i < span.count; i++) {
        uint32_t id = t->lists[span.first + i];

        made = created_by(f, f->resource_of_id[id], vp);
        if (made == TABLE_NONE)
            return;
    }
    if (made != TABLE_NONE)
        report_gone(run, op, made, "resource",
                    t->lists[span.first + span.count - 1]);
}

static void
check_answer(struct checker_run *run, uint32_t op)
{
    const struct table *t = run->table;
    enum function fn = (enum function)t->operations.function[op];
    struct viewpoint vp =
        viewpoint_before(run->facts, t->operations.answer[op]);
    enum code code = (enum code)t->answers[t->operations.answer[op]].code;

    if (code == CODE_RESERVATION_NOT_FOUND)
        check_lease_not_found(run, op, &vp);
    else if (code == CODE_RESOURCE_NOT_FOUND ||
             (code == CODE_OK && fn == FUNCTION_CREATE_RESOURCE))
        check_resource(run, op, &vp);
}

static void
lost_write_check(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct operations *o = &t->operations;
    struct changes changes = {0};

    if (t->positions_total && run->facts->sweep_count > 0)
        changes = collect_changes(run);
    for (uint32_t op = 0; op < o->count && !checker_expired(run); op++) {
        enum function fn = (enum function)o->function[op];

        if (o->answer[op] == TABLE_NONE)
            continue;
        if (function_is_mutation(fn))
            check_answer(run, op);
        else if (function_is_read(fn) && o->claim[op] == CLAIM_LINEARIZABLE &&
                 facts_in_sweep(run->facts, o->invoke[op]))
            check_sweep(run, &changes, o->answer[op]);
    }
    free(changes.items);
}

const struct checker_ops checker_lost_write_ops = {
    .name = "lost_write",
    .description = "what was acknowledged is there after the heal",
    .check = lost_write_check,
};
