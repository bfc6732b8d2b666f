/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resource read is judged by the last certain grant (while that lease cannot
 * have ended, it is the one to be shown) and by the life of the lease it shows;
 * a lease read by the life of that lease.
 */
#include "config.h"

#include <stdio.h>

#include "analyzer/judge-read.h"

static struct text
at_answer(const struct table *t, uint32_t op)
{
    uint32_t answer = t->operations.answer[op];

    return describe_position(
        t, answer == TABLE_NONE ? INDEX_NONE : t->answers[answer].index);
}

/* Names the certain operation that excludes what is shown. */
static void
blame(const struct facts *f, const struct lease_outlook *v, uint32_t lease,
      const char *shown, struct contradiction *ret)
{
    const struct table *t = f->table;
    const char *verb = NULL;
    struct text id = describe_id(t, f->leases[lease].id), who, at;

    ret->by = TABLE_NONE;
    if (v->released == WHEN_BEFORE) {
        verb = "released";
        ret->by = v->released_by;
    } else if (v->reclaimed == WHEN_BEFORE) {
        verb = "reclaimed";
        ret->by = v->reclaimed_by;
    } else if (v->expired == WHEN_BEFORE) {
        verb = "expired";
        ret->by = t->expired[v->expired_row].operation;
    } else if (v->revoked == WHEN_BEFORE) {
        verb = "revoked";
        ret->by = v->revoked_by;
    } else if (v->confirmed == WHEN_BEFORE) {
        verb = "confirmed";
        ret->by = v->confirmed_by;
    }
    if (verb == NULL) {
        ret->by = t->answers[f->leases[lease].creator].operation;
        who = describe_operation(t, ret->by);
        at = at_answer(t, ret->by);
        snprintf(ret->text, sizeof(ret->text),
                 "shows %s, but lease %s was granted by %s%s and nothing that "
                 "can have happened since makes that state",
                 shown, id.s, who.s, at.s);
        return;
    }
    who = describe_operation(t, ret->by);
    at = at_answer(t, ret->by);
    snprintf(ret->text, sizeof(ret->text),
             "shows %s, but lease %s was %s by %s%s", shown, id.s, verb, who.s,
             at.s);
}

/* The shown lease was made after the place of the read. */
static void
from_later(const struct facts *f, uint32_t lease, struct contradiction *ret)
{
    const struct table *t = f->table;
    struct text id = describe_id(t, f->leases[lease].id), who, at;

    ret->by = t->answers[f->leases[lease].creator].operation;
    who = describe_operation(t, ret->by);
    at = at_answer(t, ret->by);
    snprintf(ret->text, sizeof(ret->text),
             "shows lease %s, which %s%s made only later", id.s, who.s, at.s);
}

static bool
missing_resource(const struct facts *f, uint32_t resource,
                 const struct viewpoint *vp, struct contradiction *ret)
{
    const struct table *t = f->table;

    for (uint32_t op = f->resources[resource].create_first; op != TABLE_NONE;
         op = facts_create_next(f, op)) {
        struct text who;

        if (when_operation(f, op, vp) != WHEN_BEFORE)
            continue;
        ret->by = op;
        who = describe_operation(t, op);
        snprintf(ret->text, sizeof(ret->text),
                 "finds no such resource, but %s created it", who.s);
        return true;
    }
    return false;
}

static bool
wrong_lease(const struct facts *f, const struct answer *a, uint32_t resource,
            const struct viewpoint *vp, struct contradiction *ret)
{
    const struct table *t = f->table;
    const struct grant *g = last_grant(f, resource, vp);
    struct lease_outlook view;
    struct text held, who, at, shown;

    if (g == NULL ||
        (a->state != STATE_AVAILABLE &&
         (a->lease == TABLE_NONE || f->lease_of_id[a->lease] == g->lease)))
        return false;
    lease_outlook(f, g->lease, vp, &view);
    if ((view.states & STATES_ENDED) != 0)
        return false;
    held = describe_id(t, f->leases[g->lease].id);
    who = describe_answer(t, g->answer);
    at = describe_position(t, g->index);
    shown = describe_id(t, a->lease);
    ret->by = g->operation;
    snprintf(ret->text, sizeof(ret->text),
             "shows it %s%s%s, but %s%s reserved it under lease %s, and no "
             "release, expiry or reclaim of that lease can have happened by "
             "then",
             state_name((enum state)a->state),
             a->lease == TABLE_NONE ? "" : " by lease ",
             a->lease == TABLE_NONE ? "" : shown.s, who.s, at.s, held.s);
    return true;
}

/* The life of the lease that is shown. */
static bool
wrong_state(const struct facts *f, const struct answer *a, uint32_t lease,
            const struct viewpoint *vp, struct contradiction *ret)
{
    struct lease_outlook view;

    if (f->leases[lease].creator == TABLE_NONE || a->state >= STATE_AVAILABLE)
        return false;
    lease_outlook(f, lease, vp, &view);
    if (view.created == WHEN_AFTER) {
        from_later(f, lease, ret);
        return true;
    }
    if ((view.states & STATE_BIT(a->state)) != 0)
        return false;
    blame(f, &view, lease, state_name((enum state)a->state), ret);
    return true;
}

static bool
resource_contradicts(const struct facts *f, const struct answer *a,
                     const struct viewpoint *vp, struct contradiction *ret)
{
    const struct table *t = f->table;
    uint32_t id = t->lists[t->operations.resources[a->operation].first];
    uint32_t resource = f->resource_of_id[id];

    if (!a->found)
        return missing_resource(f, resource, vp, ret);
    if (a->state == STATE_OTHER)
        return false;
    if (wrong_lease(f, a, resource, vp, ret))
        return true;
    return a->lease != TABLE_NONE &&
           wrong_state(f, a, f->lease_of_id[a->lease], vp, ret);
}

static bool
lease_absent(const struct facts *f, const struct answer *a, uint32_t lease,
             const struct viewpoint *vp, struct contradiction *ret)
{
    struct lease_outlook view;

    lease_outlook(f, lease, vp, &view);
    if (view.created != WHEN_BEFORE || (a->retired && view.may_be_gone))
        return false;
    if (a->retired)
        blame(f, &view, lease, "it retired", ret);
    else
        blame(f, &view, lease, "that it was never there", ret);
    return true;
}

/* What a grant fixes for ever. */
static bool
wrong_grant(const struct facts *f, const struct answer *a, uint32_t lease,
            struct contradiction *ret)
{
    const struct table *t = f->table;
    const struct answer *made = &t->answers[f->leases[lease].creator];
    bool holder = a->holder != TABLE_NONE &&
                  a->holder != t->operations.holder[made->operation];
    bool deadline = a->deadline != SLOT_NONE && made->deadline != SLOT_NONE &&
                    a->deadline != made->deadline;
    struct text who;

    if (!holder && !deadline)
        return false;
    ret->by = made->operation;
    who = describe_operation(t, ret->by);
    snprintf(ret->text, sizeof(ret->text),
             "shows another %s than %s was granted",
             holder ? "holder" : "deadline", who.s);
    return true;
}

bool
read_contradicts(const struct facts *f, uint32_t answer,
                 struct contradiction *ret)
{
    const struct table *t = f->table;
    const struct answer *a = &t->answers[answer];
    struct viewpoint vp = viewpoint_of_read(f, answer);
    uint32_t lease;

    if (t->operations.function[a->operation] == FUNCTION_GET_RESOURCE)
        return resource_contradicts(f, a, &vp, ret);
    lease = f->lease_of_id[t->operations.lease[a->operation]];
    if (f->leases[lease].creator == TABLE_NONE)
        return false;
    if (!a->found)
        return lease_absent(f, a, lease, &vp, ret);
    return wrong_state(f, a, lease, &vp, ret) || wrong_grant(f, a, lease, ret);
}
