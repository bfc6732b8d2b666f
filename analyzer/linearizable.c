/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linearizable: replays the allocator model in the order of positions.  Success
 * is a proof: the order is a linearization.  Failure is only a hint, so it is
 * "unknown" with the place where the replay stuck; the other checkers say
 * whether it is a violation.
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

#include "analyzer/allocator.h"
#include "analyzer/checker.h"

/* A bundle may need one expiry per member, and a few steps around them. */
#define SEARCH_DEPTH_MAX 80
/* Per item; an item explained at all needs a handful. */
#define SEARCH_NODES_MAX 20000
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

struct replay {
    struct checker_run *run;
    const struct table *table;
    const struct facts *facts;
    struct allocator model;
    struct item *items;
    uint32_t *end_min; /* by item: the first answer from there on */
    size_t count;
    bool *used; /* open operations that were placed */
    struct lost_tick *ticks;
    uint32_t tick_count;
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
    qsort(r->items, r->count, sizeof(r->items[0]), item_compare);
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
    qsort(r->ticks, r->tick_count, sizeof(r->ticks[0]), tick_compare);
}

/* ---- placing what nobody saw ---- */

/* The latest event at which something placed before this item was sent. */
static uint32_t
sent_before(const struct replay *r, size_t at)
{
    uint32_t end = r->items[at].end;

    return end < r->end_min[at] ? end : r->end_min[at];
}

/* Some lost tick asked for exactly this slot early enough. */
static bool
lost_tick_to(const struct replay *r, int64_t slot, uint32_t before)
{
    uint32_t low = 0, high = r->tick_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (r->ticks[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->tick_count && r->ticks[low].slot == slot &&
           r->ticks[low].invoke < before;
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

static bool
may_place(const struct replay *r, uint32_t op, size_t at)
{
    const struct operations *o = &r->table->operations;

    return o->outcome[op] == OUTCOME_UNKNOWN && !r->used[op] &&
           o->invoke[op] < sent_before(r, at) &&
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

    allocator_do(&r->model, op, CODE_OK, lease, true);
    r->used[op] = true;
    if (goes_on(r, at, depth, mark))
        return true;
    r->used[op] = false;
    return false;
}

static bool
explain_lease(struct replay *r, size_t at, unsigned depth, uint32_t lease)
{
    const struct facts *f = r->facts;
    uint32_t mark = allocator_mark(&r->model);
    uint32_t known = lease < f->lease_count ? lease : r->model.id_of[lease];

    if (may_expire_unseen(r, lease, at)) {
        allocator_expire(&r->model, lease, true);
        if (goes_on(r, at, depth, mark))
            return true;
    }
    if (known == TABLE_NONE)
        return false;
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
             op != TABLE_NONE; op = f->create_next[op])
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

        if (!m->leases[hidden].exists || m->id_of[hidden] != TABLE_NONE)
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

static bool
row_fits(const struct replay *r, uint32_t row)
{
    const struct expired *e = &r->table->expired[row];
    const struct facts *f = r->facts;
    uint32_t lease = allocator_resolve(&r->model, f->lease_of_id[e->lease]);
    const struct model_lease *l = &r->model.leases[lease];

    if (!allocator_can_expire(&r->model, lease) ||
        e->deadline < l->deadline_low || e->deadline > l->deadline_high ||
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
        return allocator_shows(&r->model, a);
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
    allocator_do(&r->model, x->operation, (enum code)a->code, lease, false);
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
                     false);
    return true;
}

static bool
step_read(struct replay *r, size_t at)
{
    const struct answer *a = &r->table->answers[r->items[at].ref];

    if (!advance(r, at, 0, a->slot))
        return false;
    if (!explain(r, at, 0)) {
        snprintf(r->why, sizeof(r->why),
                 "the model has another state there than the read shows");
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

static void
replay_all(struct replay *r)
{
    for (size_t at = 0; at < r->count; at++) {
        const struct item *x = &r->items[at];
        struct text who;

        if (checker_expired(r->run))
            return;
        if (step(r, at)) {
            allocator_commit(&r->model);
            continue;
        }
        if (r->run->finding.verdict != VERDICT_VALID)
            return; /* out of time */
        who = describe_operation(r->table, x->operation);
        checker_unknown(r->run,
                        "the replay in position order stops at position %llu, "
                        "%s: %s%s",
                        (unsigned long long)x->index, who.s, r->why,
                        r->nodes > SEARCH_NODES_MAX ? " (search budget spent)"
                                                    : "");
        witness_operation(r->run, x->operation);
        return;
    }
}

static void
linearizable_check(struct checker_run *run)
{
    struct replay r = {.run = run, .table = run->table, .facts = run->facts};

    if (!run->table->positions_total) {
        checker_unknown(run, "the history has no total order of positions to "
                             "replay in");
        return;
    }
    if (!collect(&r) || !check_order(&r)) {
        checker_unknown(run, "no replay in position order: %s", r.why);
    } else {
        collect_lost_ticks(&r);
        r.used = xcalloc(r.table->operations.count + 1ul, sizeof(bool));
        allocator_init(&r.model, r.facts);
        replay_all(&r);
        allocator_release(&r.model);
    }
    free(r.items);
    free(r.end_min);
    free(r.used);
    free(r.ticks);
}

const struct checker_ops checker_linearizable_ops = {
    .name = "linearizable",
    .description = "the allocator model explains every answer, in order of "
                   "positions",
    .check = linearizable_check,
};
