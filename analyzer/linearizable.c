/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linearizable: replays the allocator model in the order of positions.  Success
 * is a proof: the order is a linearization.  Failure is only a hint: the
 * history is then given to the general search (allocation.h), as is one without
 * total positions.
 *
 * The sequence: every recorded mutation, tick and listed expiry at its index,
 * every read after the entries up to the index it was served from.  What is not
 * in it (open mutations, what ticks without an answer expired or moved) is
 * placed as late as possible: only when the next item of the sequence cannot be
 * explained otherwise, by a search over what touches the item, bounded in depth
 * and nodes.  Such a placement keeps real time: it must have been sent before
 * everything from there on was answered.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/allocation.h"
#include "analyzer/allocator.h"
#include "analyzer/checker.h"
#include "analyzer/order.h"

/* A bundle may need one expiry per member, and a few steps around them. */
#define SEARCH_DEPTH_MAX 80
/* Per item; an item explained at all needs a handful. */
#define SEARCH_NODES_MAX 20000
/* How many of the placements that led to a failure are tried without. */
#define RETRIES_MAX 32
/* Slots are summed with limits; beyond this they are nonsense. */
#define SLOT_MAX (INT64_MAX / 4)

enum item_kind { ITEM_ENTRY, ITEM_EXPIRED, ITEM_READ };

struct item {
    uint64_t index;
    enum item_kind kind;
    bool timed;   /* real time binds it: not reads that may be stale */
    uint32_t ref; /* answer, or row */
    uint32_t operation, invoke, end;
};

/* A tick without an answer. */
struct lost_tick {
    int64_t slot;
    uint32_t invoke;
};

/* An open operation was placed just before this item. */
struct placement {
    size_t item;
    uint32_t operation;
};

struct replay {
    struct checker_run *run;
    const struct table *table;
    const struct facts *facts;
    struct allocator model;
    struct item *items;
    uint32_t *end_min; /* by item: the first answer from there on */
    size_t count;
    bool *used;        /* open operations that were placed */
    bool *shared;      /* operations whose id others have, too */
    uint32_t *orphans; /* leases that no answer granted */
    uint32_t orphan_count;
    struct placement *placed, banned;
    size_t placed_count;
    struct lost_tick *ticks;
    uint32_t tick_count;
    int64_t *slots; /* at which time stood so far, rising */
    uint32_t slot_count;
    uint32_t nodes;
    char why[REASON_TEXT_MAX];
};

/* ---- the sequence ---- */

static int
item_compare(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    bool read_a = a->kind == ITEM_READ, read_b = b->kind == ITEM_READ;

    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    if (read_a != read_b)
        return read_a ? 1 : -1;
    if (a->invoke != b->invoke)
        return a->invoke < b->invoke ? -1 : 1;
    return 0;
}

static void
add_item(struct replay *r, uint64_t index, enum item_kind kind, uint32_t ref,
         uint32_t op)
{
    const struct operations *o = &r->table->operations;

    r->items[r->count++] = (struct item){
        .index = index,
        .kind = kind,
        .timed = kind != ITEM_READ || o->claim[op] == CLAIM_LINEARIZABLE,
        .ref = ref,
        .operation = op,
        .invoke = o->invoke[op],
        .end = o->end[op],
    };
}

/* An answer that is not its operation's first must be the same one again. */
static bool
is_repetition(const struct table *t, const struct answer *a)
{
    const struct answer *first =
        &t->answers[t->operations.answer[a->operation]];

    return a->index == first->index && a->code == first->code &&
           a->lease == first->lease && a->epoch == first->epoch &&
           a->deadline == first->deadline && a->slot == first->slot;
}

static bool
collect_answer(struct replay *r, uint32_t answer)
{
    const struct table *t = r->table;
    const struct answer *a = &t->answers[answer];
    enum function fn = (enum function)t->operations.function[a->operation];
    struct text who;

    if (a->slot > SLOT_MAX) {
        snprintf(r->why, sizeof(r->why), "event %u: the slot is absurd",
                 a->event);
        return false;
    }
    if (function_is_read(fn)) {
        if (a->applied == INDEX_NONE) {
            snprintf(r->why, sizeof(r->why),
                     "event %u: the read does not say which state it shows",
                     a->event);
            return false;
        }
        add_item(r, a->applied, ITEM_READ, answer, a->operation);
        return true;
    }
    if (t->operations.answer[a->operation] != answer) {
        if (is_repetition(t, a))
            return true;
        who = describe_operation(t, a->operation);
        snprintf(r->why, sizeof(r->why), "%s was answered in two ways", who.s);
        return false;
    }
    if (a->index == INDEX_NONE) {
        snprintf(r->why, sizeof(r->why), "event %u: the answer has no position",
                 a->event);
        return false;
    }
    add_item(r, a->index, ITEM_ENTRY, answer, a->operation);
    return true;
}

static bool
collect(struct replay *r)
{
    const struct table *t = r->table;

    r->items = xcalloc((size_t)t->answer_count + t->expired_count + 1,
                       sizeof(r->items[0]));
    for (uint32_t i = 0; i < t->answer_count; i++)
        if (!collect_answer(r, i))
            return false;
    for (uint32_t i = 0; i < t->expired_count; i++)
        add_item(r, t->expired[i].index, ITEM_EXPIRED, i,
                 t->expired[i].operation);
    order_nearly(r->items, r->count, sizeof(r->items[0]), item_compare);
    return true;
}

/* One entry per index, and the order agrees with real time. */
static bool
check_order(struct replay *r)
{
    uint32_t invoke_max = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct item *x = &r->items[i];
        struct text who = {""};

        if (i > 0 && x->kind != ITEM_READ &&
            r->items[i - 1].index == x->index &&
            r->items[i - 1].kind != ITEM_READ) {
            snprintf(r->why, sizeof(r->why), "two entries at position %llu",
                     (unsigned long long)x->index);
            return false;
        }
        if (!x->timed)
            continue;
        if (x->end < invoke_max) {
            who = describe_operation(r->table, x->operation);
            snprintf(r->why, sizeof(r->why),
                     "%s at position %llu was answered before something at a "
                     "lower position was invoked",
                     who.s, (unsigned long long)x->index);
            return false;
        }
        if (x->invoke > invoke_max)
            invoke_max = x->invoke;
    }
    r->end_min = xcalloc(r->count + 1, sizeof(r->end_min[0]));
    r->end_min[r->count] = TABLE_NONE;
    for (size_t i = r->count; i-- > 0;) {
        const struct item *x = &r->items[i];

        r->end_min[i] = r->end_min[i + 1];
        if (x->timed && x->end < r->end_min[i])
            r->end_min[i] = x->end;
    }
    return true;
}

static int
tick_compare(const void *x, const void *y)
{
    const struct lost_tick *a = x, *b = y;

    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return a->invoke < b->invoke ? -1 : a->invoke > b->invoke;
}

static void
collect_lost_ticks(struct replay *r)
{
    const struct operations *o = &r->table->operations;

    r->ticks = xcalloc(r->facts->tick_count + 1ul, sizeof(r->ticks[0]));
    for (uint32_t op = 0; op < o->count; op++)
        if (o->function[op] == FUNCTION_TICK &&
            o->outcome[op] == OUTCOME_UNKNOWN)
            r->ticks[r->tick_count++] =
                (struct lost_tick){o->amount[op], o->invoke[op]};
    order_nearly(r->ticks, r->tick_count, sizeof(r->ticks[0]), tick_compare);
}

static void
collect_orphans(struct replay *r)
{
    const struct facts *f = r->facts;

    r->orphans = xcalloc(f->lease_count + 1ul, sizeof(r->orphans[0]));
    for (uint32_t i = 0; i < f->lease_count; i++)
        if (f->leases[i].creator == TABLE_NONE)
            r->orphans[r->orphan_count++] = i;
}

static void
collect_shared(struct replay *r)
{
    const struct operations *o = &r->table->operations;

    r->shared = xcalloc(o->count + 1ul, sizeof(r->shared[0]));
    for (uint32_t op = 0; op < o->count; op++)
        if (o->same_id_next[op] != TABLE_NONE)
            r->shared[op] = r->shared[o->same_id_next[op]] = true;
}

/* ---- placing what nobody saw ---- */

/* The latest event at which something placed before this item was sent. */
static uint32_t
sent_before(const struct replay *r, size_t at)
{
    uint32_t end = r->items[at].end;

    return end < r->end_min[at] ? end : r->end_min[at];
}

/* The first lost tick that asked for this slot or a higher one. */
static uint32_t
lost_tick_from(const struct replay *r, int64_t slot)
{
    uint32_t low = 0, high = r->tick_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (r->ticks[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Some lost tick asked for exactly this slot early enough. */
static bool
lost_tick_to(const struct replay *r, int64_t slot, uint32_t before)
{
    uint32_t at = lost_tick_from(r, slot);

    return at < r->tick_count && r->ticks[at].slot == slot &&
           r->ticks[at].invoke < before;
}

/* The first slot from 'slot' on that the replayed time ever stood at. */
static int64_t
slot_existing(const struct replay *r, int64_t slot)
{
    int64_t found = r->model.slot;
    uint32_t low = 0, high = r->slot_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (r->slots[middle] < slot)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < r->slot_count)
        found = r->slots[low];
    low = lost_tick_from(r, slot);
    if (low < r->tick_count && r->ticks[low].slot < found)
        found = r->ticks[low].slot;
    return found;
}

/* When something sent at 'event' and never heard of can have happened. */
static struct slots
slots_unseen(const struct replay *r, uint32_t event)
{
    return (struct slots){facts_slot_reached(r->facts, event), r->model.slot};
}

static struct slots
slots_of_expiry(const struct replay *r, uint32_t lease)
{
    struct slots when = slots_unseen(r, r->facts->unknown_tick);
    int64_t deadline = r->model.leases[lease].deadline_low;

    when.low = slot_existing(r, when.low > deadline ? when.low : deadline);
    return when;
}

/*
 * A listed expiry does not say its slot: a lost tick may have moved it since
 * the last item, up to where the next one finds it.
 */
static struct slots
slots_of_row(const struct replay *r, size_t at)
{
    struct slots when = {r->model.slot, r->model.slot};
    int64_t next = SLOT_MAX;
    uint32_t tick;

    for (size_t i = at + 1; i < r->count && next == SLOT_MAX; i++)
        if (r->items[i].kind != ITEM_EXPIRED &&
            r->table->answers[r->items[i].ref].slot != SLOT_NONE)
            next = r->table->answers[r->items[i].ref].slot;
    tick = lost_tick_from(r, next + 1);
    while (tick-- > 0 && r->ticks[tick].slot > when.low) {
        if (r->ticks[tick].invoke >= sent_before(r, at))
            continue;
        when.high = r->ticks[tick].slot;
        break;
    }
    return when;
}

static bool
may_expire_unseen(const struct replay *r, uint32_t lease, size_t at)
{
    const struct facts *f = r->facts;
    uint32_t known = lease < f->lease_count ? lease : r->model.id_of[lease];

    return allocator_can_expire(&r->model, lease) &&
           f->unknown_tick < sent_before(r, at) &&
           (known == TABLE_NONE ||
            f->leases[known].expired_first == TABLE_NONE);
}

/* When the first attempt whose fate nobody knows was sent; NONE: no such. */
static uint32_t
unknown_attempt(const struct table *t, uint32_t op)
{
    const struct attempts *a = &t->attempts;

    for (uint32_t at = t->operations.attempt_first[op]; at != TABLE_NONE;
         at = a->next[at])
        if (a->outcome[at] == OUTCOME_UNKNOWN)
            return a->invoke[at];
    return TABLE_NONE;
}

/* It may still execute: it has no answer, or its record is gone. */
static bool
may_execute(const struct replay *r, uint32_t op)
{
    const struct table *t = r->table;
    const struct limits *n = &t->limits;
    uint32_t answer = t->operations.answer[op];

    if (t->operations.outcome[op] == OUTCOME_UNKNOWN)
        return true;
    return facts_may_repeat(r->facts, op) &&
           t->answers[answer].slot != SLOT_NONE &&
           llabs(r->model.slot - t->answers[answer].slot) >
               n->ttl_slots + n->retry_slots;
}

static bool
may_place(const struct replay *r, uint32_t op, size_t at)
{
    /* The record of another with its id may forbid it: the search knows. */
    return may_execute(r, op) && !r->used[op] && !r->shared[op] &&
           (at != r->banned.item || op != r->banned.operation) &&
           unknown_attempt(r->table, op) < sent_before(r, at) &&
           allocator_accepts(&r->model, op, CODE_OK);
}

static bool explain(struct replay *r, size_t at, unsigned depth);

/* Tries what the last step changed; takes it back if that does not help. */
static bool
goes_on(struct replay *r, size_t at, unsigned depth, uint32_t mark)
{
    if (explain(r, at, depth + 1))
        return true;
    allocator_rollback(&r->model, mark);
    return false;
}

static bool
place(struct replay *r, size_t at, unsigned depth, uint32_t op, uint32_t lease)
{
    uint32_t mark = allocator_mark(&r->model);

    allocator_do(&r->model, op, CODE_OK, lease,
                 slots_unseen(r, unknown_attempt(r->table, op)));
    r->used[op] = true;
    r->placed[r->placed_count++] = (struct placement){at, op};
    if (goes_on(r, at, depth, mark))
        return true;
    r->used[op] = false;
    r->placed_count--;
    return false;
}

/* The hidden lease may be one that is named somewhere; then its commands may
 * help. */
static bool
explain_hidden(struct replay *r, size_t at, unsigned depth, uint32_t hidden)
{
    uint32_t mark = allocator_mark(&r->model);

    for (uint32_t i = 0; i < r->orphan_count; i++) {
        if (!allocator_may_be(&r->model, hidden, r->orphans[i]))
            continue;
        allocator_bind(&r->model, r->orphans[i], hidden);
        if (goes_on(r, at, depth, mark))
            return true;
    }
    return false;
}

static bool
explain_lease(struct replay *r, size_t at, unsigned depth, uint32_t lease)
{
    const struct facts *f = r->facts;
    uint32_t mark = allocator_mark(&r->model);
    uint32_t known = lease < f->lease_count ? lease : r->model.id_of[lease];

    if (may_expire_unseen(r, lease, at)) {
        allocator_expire(&r->model, lease, slots_of_expiry(r, lease));
        if (goes_on(r, at, depth, mark))
            return true;
    }
    if (known == TABLE_NONE)
        return explain_hidden(r, at, depth, lease);
    for (uint32_t op = f->leases[known].command_first; op != TABLE_NONE;
         op = f->command_next[op])
        if (may_place(r, op, at) && place(r, at, depth, op, TABLE_NONE))
            return true;
    return false;
}

static bool
explain_resource(struct replay *r, size_t at, unsigned depth, uint32_t resource)
{
    const struct facts *f = r->facts;
    const struct model_resource *m = &r->model.resources[resource];

    if (!m->exists) {
        for (uint32_t op = f->resources[resource].create_first;
             op != TABLE_NONE; op = facts_create_next(f, op))
            if (may_place(r, op, at) && place(r, at, depth, op, TABLE_NONE))
                return true;
        return false;
    }
    if (m->lease != TABLE_NONE)
        return explain_lease(r, at, depth, m->lease);
    for (uint32_t i = f->resources[resource].loose_first; i != TABLE_NONE;
         i = f->loose[i].next)
        if (may_place(r, f->loose[i].operation, at) &&
            place(r, at, depth, f->loose[i].operation, f->lease_count + i))
            return true;
    return false;
}

/* A lease that the model does not know: some open reserve made it. */
static bool
explain_unknown_lease(struct replay *r, size_t at, unsigned depth,
                      uint32_t lease)
{
    const struct facts *f = r->facts;
    struct allocator *m = &r->model;
    uint32_t mark = allocator_mark(m);

    if (f->leases[lease].creator != TABLE_NONE)
        return false;
    for (uint32_t i = 0; i < f->loose_count; i++) {
        uint32_t hidden = f->lease_count + i;

        if (!m->leases[hidden].exists || !allocator_may_be(m, hidden, lease))
            continue;
        allocator_bind(m, lease, hidden);
        if (goes_on(r, at, depth, mark))
            return true;
    }
    for (uint32_t i = 0; i < f->loose_count; i++)
        if (may_place(r, f->loose[i].operation, at) &&
            place(r, at, depth, f->loose[i].operation, f->lease_count + i))
            return true;
    return false;
}

/* ---- one item ---- */

/* Time stood at the slot in which a grant with this deadline was made. */
static bool
deadline_exists(const struct replay *r, uint32_t lease, int64_t deadline)
{
    const struct model_lease *l = &r->model.leases[lease];

    return l->deadline_low == l->deadline_high ||
           slot_existing(r, deadline - l->ttl) == deadline - l->ttl;
}

static bool
read_fits(const struct replay *r, const struct answer *a)
{
    uint32_t id = r->table->operations.lease[a->operation];

    return allocator_shows(&r->model, a) &&
           (id == TABLE_NONE || !a->found || a->deadline == SLOT_NONE ||
            deadline_exists(
                r, allocator_resolve(&r->model, r->facts->lease_of_id[id]),
                a->deadline));
}

static bool
row_fits(const struct replay *r, uint32_t row)
{
    const struct expired *e = &r->table->expired[row];
    const struct facts *f = r->facts;
    uint32_t lease = allocator_resolve(&r->model, f->lease_of_id[e->lease]);
    const struct model_lease *l = &r->model.leases[lease];

    if (!allocator_can_expire(&r->model, lease) ||
        e->deadline < l->deadline_low || e->deadline > l->deadline_high ||
        !deadline_exists(r, lease, e->deadline) ||
        e->deadline > r->model.slot || e->resources.count != l->resources.count)
        return false;
    for (uint32_t i = 0; i < e->resources.count; i++)
        if (r->table->lists[e->resources.first + i] !=
            r->table->lists[l->resources.first + i])
            return false;
    return true;
}

static bool
fits(const struct replay *r, const struct item *x)
{
    const struct answer *a;

    if (x->kind == ITEM_EXPIRED)
        return row_fits(r, x->ref);
    a = &r->table->answers[x->ref];
    if (x->kind == ITEM_READ)
        return read_fits(r, a);
    return r->table->operations.function[x->operation] == FUNCTION_TICK ||
           allocator_accepts(&r->model, x->operation, (enum code)a->code);
}

/* A grant is not explained by anything that takes a free resource away. */
static bool
helps(const struct replay *r, const struct item *x, uint32_t resource)
{
    const struct model_resource *m = &r->model.resources[resource];

    return x->kind != ITEM_ENTRY || r->table->answers[x->ref].code != CODE_OK ||
           !m->exists || m->state != STATE_AVAILABLE;
}

static bool
explain_item_lease(struct replay *r, size_t at, unsigned depth, uint32_t id)
{
    uint32_t lease = r->facts->lease_of_id[id];
    uint32_t number = allocator_resolve(&r->model, lease);

    return r->model.leases[number].exists
               ? explain_lease(r, at, depth, number)
               : explain_unknown_lease(r, at, depth, lease);
}

static bool
explain(struct replay *r, size_t at, unsigned depth)
{
    const struct item *x = &r->items[at];
    const struct operations *o = &r->table->operations;
    struct span span = o->resources[x->operation];

    if (fits(r, x))
        return true;
    if (depth == SEARCH_DEPTH_MAX || ++r->nodes > SEARCH_NODES_MAX ||
        checker_expired(r->run))
        return false;
    if (x->kind == ITEM_EXPIRED)
        return explain_item_lease(r, at, depth,
                                  r->table->expired[x->ref].lease);
    if (o->lease[x->operation] != TABLE_NONE)
        return explain_item_lease(r, at, depth, o->lease[x->operation]);
    for (uint32_t i = 0; i < span.count; i++) {
        uint32_t resource =
            r->facts->resource_of_id[r->table->lists[span.first + i]];

        if (helps(r, x, resource) && explain_resource(r, at, depth, resource))
            return true;
    }
    return false;
}

/* The slot of the state at this item, with the ticks nobody saw. */
static bool
advance(struct replay *r, size_t at, int64_t asked, int64_t slot)
{
    struct allocator *m = &r->model;
    int64_t expected = asked > m->slot ? asked : m->slot;

    if (slot == SLOT_NONE)
        slot = expected;
    if (slot < expected ||
        (slot > expected && !lost_tick_to(r, slot, sent_before(r, at)))) {
        snprintf(r->why, sizeof(r->why), "the slot is %lld where %lld is due",
                 (long long)slot, (long long)expected);
        return false;
    }
    if (slot > m->slot)
        r->slots[r->slot_count++] = slot;
    allocator_advance(m, slot);
    return true;
}

/* What an ok answer says besides ok. */
static bool
grant_fits(const struct replay *r, const struct answer *a, uint32_t answer)
{
    const struct operations *o = &r->table->operations;
    const struct facts *f = r->facts;

    return f->leases[f->lease_of_id[a->lease]].creator == answer &&
           (a->epoch == SLOT_NONE || a->epoch == 1) &&
           (a->deadline == SLOT_NONE ||
            a->deadline == r->model.slot + o->amount[a->operation]);
}

/* Another operation with the same id has its answer within the window. */
static bool
reuses_id(const struct replay *r, uint32_t op)
{
    return answered_with_other_contents(r->table, op) != TABLE_NONE;
}

static bool
step_entry(struct replay *r, size_t at)
{
    const struct item *x = &r->items[at];
    const struct operations *o = &r->table->operations;
    const struct facts *f = r->facts;
    const struct answer *a = &r->table->answers[x->ref];
    enum function fn = (enum function)o->function[x->operation];
    uint32_t lease = a->lease == TABLE_NONE ? 0 : f->lease_of_id[a->lease];

    if (!advance(r, at, fn == FUNCTION_TICK ? o->amount[x->operation] : 0,
                 a->slot))
        return false;
    if (fn == FUNCTION_TICK)
        return true;
    if (reuses_id(r, x->operation)) {
        snprintf(r->why, sizeof(r->why),
                 "the operation's id was executed with other contents");
        return false;
    }
    if (!explain(r, at, 0)) {
        snprintf(r->why, sizeof(r->why), "answered '%s' where '%s' is due",
                 code_name((enum code)a->code),
                 code_name(allocator_expects(&r->model, x->operation)));
        return false;
    }
    snprintf(r->why, sizeof(r->why),
             "the lease, epoch or deadline of the answer is not the model's");
    if (a->code == CODE_OK && function_is_reserve(fn) &&
        !grant_fits(r, a, x->ref))
        return false;
    allocator_do(&r->model, x->operation, (enum code)a->code, lease,
                 (struct slots){r->model.slot, r->model.slot});
    if (a->code != CODE_OK || o->lease[x->operation] == TABLE_NONE)
        return true;
    lease =
        allocator_resolve(&r->model, f->lease_of_id[o->lease[x->operation]]);
    return (a->lease == TABLE_NONE || a->lease == o->lease[x->operation]) &&
           (a->epoch == SLOT_NONE || a->epoch == r->model.leases[lease].epoch);
}

static bool
step_expired(struct replay *r, size_t at)
{
    uint32_t id = r->table->expired[r->items[at].ref].lease;

    if (!explain(r, at, 0)) {
        snprintf(r->why, sizeof(r->why), "a lease expires that cannot");
        return false;
    }
    allocator_expire(&r->model,
                     allocator_resolve(&r->model, r->facts->lease_of_id[id]),
                     slots_of_row(r, at));
    return true;
}

/* What the model has where a read shows something else. */
static void
describe_state(struct replay *r, const struct answer *a)
{
    const struct operations *o = &r->table->operations;
    const struct facts *f = r->facts;

    if (o->function[a->operation] == FUNCTION_GET_RESOURCE) {
        uint32_t id = r->table->lists[o->resources[a->operation].first];
        const struct model_resource *m =
            &r->model.resources[f->resource_of_id[id]];

        snprintf(r->why, sizeof(r->why),
                 "the model has it %s, version %lld, the read shows %s, "
                 "version %lld",
                 m->exists ? state_name(m->state) : "nowhere",
                 (long long)m->version,
                 a->found ? state_name((enum state)a->state) : "nothing",
                 (long long)(a->version == SLOT_NONE ? 0 : a->version));
    } else {
        uint32_t id = o->lease[a->operation];
        const struct model_lease *l =
            &r->model.leases[allocator_resolve(&r->model, f->lease_of_id[id])];

        snprintf(r->why, sizeof(r->why),
                 "the model has it %s, epoch %lld, the read shows %s",
                 l->exists ? state_name(l->state) : "nowhere",
                 (long long)l->epoch,
                 a->found ? state_name((enum state)a->state)
                          : (a->retired ? "it retired" : "nothing"));
    }
}

static bool
step_read(struct replay *r, size_t at)
{
    const struct answer *a = &r->table->answers[r->items[at].ref];

    if (!advance(r, at, 0, a->slot))
        return false;
    if (!explain(r, at, 0)) {
        describe_state(r, a);
        return false;
    }
    allocator_shown(&r->model, a);
    return true;
}

static bool
step(struct replay *r, size_t at)
{
    r->nodes = 0;
    switch (r->items[at].kind) {
    case ITEM_ENTRY:
        return step_entry(r, at);
    case ITEM_EXPIRED:
        return step_expired(r, at);
    case ITEM_READ:
        return step_read(r, at);
    }
    return false;
}

/* How far it comes: r->count is success. */
static size_t
replay_once(struct replay *r)
{
    size_t at = 0;

    allocator_init(&r->model, r->facts);
    memset(r->used, 0, r->table->operations.count * sizeof(bool));
    r->placed_count = 0;
    r->slots[0] = 0;
    r->slot_count = 1;
    while (at < r->count && !checker_expired(r->run) && step(r, at)) {
        allocator_commit(&r->model);
        at++;
    }
    allocator_release(&r->model);
    return at;
}

/*
 * A placement may have been one of several that explained its item, and the
 * wrong one: each of the latest is tried without.
 */
static bool
replay_without(struct replay *r)
{
    size_t first =
        r->placed_count > RETRIES_MAX ? r->placed_count - RETRIES_MAX : 0;
    size_t count = r->placed_count - first;
    struct placement tried[RETRIES_MAX];

    if (count > 0)
        memcpy(tried, r->placed + first, count * sizeof(tried[0]));
    while (count > 0 && r->run->finding.verdict == VERDICT_VALID) {
        r->banned = tried[--count];
        if (replay_once(r) == r->count)
            return true;
    }
    return false;
}

static void
replay_all(struct replay *r)
{
    size_t at = replay_once(r);
    bool spent = r->nodes > SEARCH_NODES_MAX;
    char why[REASON_TEXT_MAX], hint[REASON_TEXT_MAX];
    struct text who;

    if (at == r->count)
        return;
    memcpy(why, r->why, sizeof(why));
    if (r->run->finding.verdict != VERDICT_VALID || replay_without(r) ||
        r->run->finding.verdict != VERDICT_VALID)
        return;
    who = describe_operation(r->table, r->items[at].operation);
    snprintf(hint, sizeof(hint),
             "the replay in position order stops at position %llu, %.150s: "
             "%.200s%s",
             (unsigned long long)r->items[at].index, who.s, why,
             spent ? " (search budget spent)" : "");
    allocation_search(r->run, hint);
    if (r->run->finding.verdict == VERDICT_UNKNOWN)
        witness_operation(r->run, r->items[at].operation);
}

static void
linearizable_check(struct checker_run *run)
{
    const struct operations *o = &run->table->operations;
    struct replay r = {.run = run,
                       .table = run->table,
                       .facts = run->facts,
                       .banned = {.operation = TABLE_NONE}};
    char hint[REASON_TEXT_MAX];

    if (!run->table->positions_total) {
        allocation_search(run, "");
        return;
    }
    if (!collect(&r) || !check_order(&r)) {
        snprintf(hint, sizeof(hint), "no replay in position order: %.400s",
                 r.why);
        allocation_search(run, hint);
    } else {
        collect_lost_ticks(&r);
        collect_orphans(&r);
        collect_shared(&r);
        r.used = xcalloc(o->count + 1ul, sizeof(r.used[0]));
        r.placed = xcalloc(o->count + 1ul, sizeof(r.placed[0]));
        r.slots = xcalloc(r.count + 1, sizeof(r.slots[0]));
        replay_all(&r);
    }
    free(r.items);
    free(r.end_min);
    free(r.used);
    free(r.shared);
    free(r.placed);
    free(r.orphans);
    free(r.slots);
    free(r.ticks);
}

const struct checker_ops checker_linearizable_ops = {
    .name = "linearizable",
    .description = "the allocator model explains every answer, in some order "
                   "of executions",
    .check = linearizable_check,
};
