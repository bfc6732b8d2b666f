/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seen from a viewpoint, an effect lies before when its position is at or below
 * the viewpoint's, or, where positions say nothing, when it was answered before
 * the observer began.  It may lie before when nobody knows where it went: the
 * operation is open, or may repeat, or only overlaps.
 *
 * A lease that no tick listed may still have expired: a tick without an answer
 * leaves expirations behind that nobody reports, at any later time, once the
 * slot has reached the deadline.  It cannot have if any command on the lease
 * was ever answered ok: a confirmed lease never expires, and every other ok
 * command finds or leaves the lease in a state that excludes it.
 */
#include "config.h"

#include "analyzer/facts.h"
#include "analyzer/order.h"

struct viewpoint
viewpoint_before(const struct facts *f, uint32_t answer)
{
    const struct table *t = f->table;
    const struct answer *a = &t->answers[answer];
    struct viewpoint vp = {
        .self = a->operation,
        .invoke = t->operations.invoke[a->operation],
        .end = a->event,
        .index = INDEX_NONE,
        .slot = a->slot,
    };

    if (t->positions_total && a->index != INDEX_NONE && a->index > 0)
        vp.index = a->index - 1;
    return vp;
}

struct viewpoint
viewpoint_of_read(const struct facts *f, uint32_t answer)
{
    const struct table *t = f->table;
    const struct answer *a = &t->answers[answer];
    struct viewpoint vp = {
        .self = a->operation,
        .invoke = t->operations.invoke[a->operation],
        .end = a->event,
        .index = t->positions_total ? a->applied : INDEX_NONE,
        .slot = a->slot,
    };

    return vp;
}

static enum when
when_interval(uint32_t invoke, uint32_t end, uint64_t index,
              const struct viewpoint *vp)
{
    if (vp->index != INDEX_NONE && index != INDEX_NONE)
        return index <= vp->index ? WHEN_BEFORE : WHEN_AFTER;
    if (end < vp->invoke)
        return WHEN_BEFORE;
    return invoke > vp->end ? WHEN_AFTER : WHEN_MAYBE;
}

enum when
when_answer(const struct facts *f, uint32_t answer, const struct viewpoint *vp)
{
    const struct answer *a = &f->table->answers[answer];

    return when_interval(f->table->operations.invoke[a->operation], a->event,
                         a->index, vp);
}

enum when
when_operation(const struct facts *f, uint32_t op, const struct viewpoint *vp)
{
    const struct operations *o = &f->table->operations;
    const struct answer *a;

    if (op == vp->self || o->outcome[op] == OUTCOME_FAIL)
        return WHEN_NEVER;
    if (o->outcome[op] == OUTCOME_UNKNOWN)
        return o->invoke[op] < vp->end ? WHEN_MAYBE : WHEN_AFTER;
    a = &f->table->answers[o->answer[op]];
    if (a->code == CODE_OK)
        return when_answer(f, o->answer[op], vp);
    if (a->code != CODE_OTHER && !facts_may_repeat(f, op))
        return WHEN_NEVER;
    return o->invoke[op] < vp->end ? WHEN_MAYBE : WHEN_AFTER;
}

enum when
when_expired(const struct facts *f, uint32_t row, const struct viewpoint *vp)
{
    const struct expired *e = &f->table->expired[row];
    const struct operations *o = &f->table->operations;

    return when_interval(o->invoke[e->operation], o->end[e->operation],
                         e->index, vp);
}

/* ---- leases ---- */

static void
note(enum when w, uint32_t by, enum when *ret, uint32_t *ret_by)
{
    if (w > *ret) {
        *ret = w;
        *ret_by = by;
    }
}

static void
view_commands(const struct facts *f, uint32_t lease, const struct viewpoint *vp,
              struct lease_outlook *v)
{
    const struct operations *o = &f->table->operations;

    for (uint32_t op = f->leases[lease].command_first; op != TABLE_NONE;
         op = f->command_next[op]) {
        enum when w = when_operation(f, op, vp);

        switch ((enum function)o->function[op]) {
        case FUNCTION_CONFIRM:
            note(w, op, &v->confirmed, &v->confirmed_by);
            break;
        case FUNCTION_REVOKE:
            note(w, op, &v->revoked, &v->revoked_by);
            break;
        case FUNCTION_RELEASE:
            note(w, op, &v->released, &v->released_by);
            break;
        case FUNCTION_RECLAIM:
            note(w, op, &v->reclaimed, &v->reclaimed_by);
            break;
        default:
            break;
        }
    }
}

/* The deadline as the grant said; INT64_MIN when nobody knows. */
static int64_t
lease_deadline(const struct facts *f, uint32_t lease)
{
    uint32_t creator = f->leases[lease].creator;

    return creator == TABLE_NONE ? SLOT_NONE
                                 : f->table->answers[creator].deadline;
}

static void
view_expiry(const struct facts *f, uint32_t lease, const struct viewpoint *vp,
            struct lease_outlook *v)
{
    const struct lease_fact *l = &f->leases[lease];
    int64_t slot =
        vp->slot != SLOT_NONE ? vp->slot : facts_slot_before(f, vp->end);

    for (uint32_t row = l->expired_first; row != TABLE_NONE;
         row = f->expired_next[row])
        note(when_expired(f, row, vp), row, &v->expired, &v->expired_row);
    if (l->expired_first == TABLE_NONE && !l->answered_ok &&
        f->unknown_tick < vp->end && lease_deadline(f, lease) <= slot)
        v->expired = WHEN_MAYBE;
}

static int64_t
slot_of(const struct facts *f, uint32_t answer)
{
    return answer == TABLE_NONE ? SLOT_NONE : f->table->answers[answer].slot;
}

/* The lowest slot in which the lease can have ended. */
static int64_t
earliest_end(const struct facts *f, uint32_t lease,
             const struct lease_outlook *v)
{
    const struct operations *o = &f->table->operations;
    int64_t created = slot_of(f, f->leases[lease].creator);
    int64_t deadline = lease_deadline(f, lease);

    if (v->released == WHEN_BEFORE)
        return slot_of(f, o->answer[v->released_by]);
    if (v->reclaimed == WHEN_BEFORE)
        return slot_of(f, o->answer[v->reclaimed_by]);
    if (v->released == WHEN_MAYBE || v->reclaimed == WHEN_MAYBE)
        return created;
    return deadline > created ? deadline : created;
}

static void
view_states(const struct facts *f, uint32_t lease, const struct viewpoint *vp,
            struct lease_outlook *v)
{
    bool ended = v->released == WHEN_BEFORE || v->reclaimed == WHEN_BEFORE ||
                 v->expired == WHEN_BEFORE;
    int64_t end;

    if (!ended && v->confirmed != WHEN_BEFORE && v->revoked != WHEN_BEFORE)
        v->states |= STATE_BIT(STATE_RESERVED);
    if (!ended && v->confirmed >= WHEN_MAYBE && v->revoked != WHEN_BEFORE)
        v->states |= STATE_BIT(STATE_ACTIVE);
    if (!ended && v->revoked >= WHEN_MAYBE)
        v->states |= STATE_BIT(STATE_REVOKING);
    if (v->released >= WHEN_MAYBE)
        v->states |= STATE_BIT(STATE_RELEASED);
    if (v->expired >= WHEN_MAYBE)
        v->states |= STATE_BIT(STATE_EXPIRED);
    if (v->reclaimed >= WHEN_MAYBE)
        v->states |= STATE_BIT(STATE_REVOKED);
    end = earliest_end(f, lease, v);
    v->may_be_gone = (v->states & STATES_ENDED) != 0 &&
                     (vp->slot == SLOT_NONE || end == SLOT_NONE ||
                      vp->slot - f->table->limits.history_slots > end);
}

void
lease_outlook(const struct facts *f, uint32_t lease, const struct viewpoint *vp,
              struct lease_outlook *ret)
{
    uint32_t creator = f->leases[lease].creator;

    *ret = (struct lease_outlook){
        .created =
            creator == TABLE_NONE ? WHEN_MAYBE : when_answer(f, creator, vp),
        .confirmed_by = TABLE_NONE,
        .revoked_by = TABLE_NONE,
        .released_by = TABLE_NONE,
        .reclaimed_by = TABLE_NONE,
        .expired_row = TABLE_NONE,
    };
    view_commands(f, lease, vp, ret);
    view_expiry(f, lease, vp, ret);
    view_states(f, lease, vp, ret);
}

struct grants_seen {
    const struct grant *grants;
    const struct viewpoint *from;
};

/* Sorted by index where it is used, by end where none has one. */
static bool
grant_is_before(const void *arg, uint32_t i)
{
    const struct grants_seen *s = arg;
    const struct grant *g = &s->grants[i];

    return g->index != INDEX_NONE && s->from->index != INDEX_NONE
               ? g->index <= s->from->index
               : g->end < s->from->invoke;
}

const struct grant *
last_grant(const struct facts *f, uint32_t resource, const struct viewpoint *vp)
{
    const struct resource_fact *r = &f->resources[resource];
    struct grants_seen s = {f->grants + r->grant_first, vp};
    uint32_t hint, count;

    /* If grants are spread evenly over the history: */
    hint = (uint32_t)((uint64_t)r->grant_count * vp->invoke /
                      (f->table->event_count + 1ul));
    count = order_search(r->grant_count, hint, grant_is_before, &s);
    return count == 0 ? NULL : &s.grants[count - 1];
}

bool
grant_precedes(const struct grant *a, const struct grant *b)
{
    if (a->resource != b->resource)
        return false;
    if (a->index != INDEX_NONE && b->index != INDEX_NONE)
        return a->index < b->index;
    return a->end < b->invoke;
}

bool
grant_still_held(const struct facts *f, const struct grant *a,
                 const struct grant *b, struct lease_outlook *ret)
{
    struct viewpoint vp = viewpoint_before(f, b->answer);

    lease_outlook(f, a->lease, &vp, ret);
    return (ret->states & STATES_ENDED) == 0;
}
