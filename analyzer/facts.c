/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over the table: leases and resources get dense numbers, answers and
 * commands are chained to them, grants are sorted per resource.  O(n log n).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/facts.h"
#include "analyzer/order.h"

static uint32_t *
numbers(size_t count)
{
    uint32_t *a = xcalloc(count + 1, sizeof(*a));

    memset(a, 0xff, (count + 1) * sizeof(*a));
    return a;
}

static uint32_t
lease_of(struct facts *f, uint32_t id)
{
    if (f->lease_of_id[id] == TABLE_NONE) {
        f->lease_of_id[id] = f->lease_count;
        f->leases[f->lease_count++] = (struct lease_fact){
            .id = id,
            .creator = TABLE_NONE,
            .shown = TABLE_NONE,
            .command_first = TABLE_NONE,
            .expired_first = TABLE_NONE,
        };
    }
    return f->lease_of_id[id];
}

static uint32_t
resource_of(struct facts *f, uint32_t id)
{
    if (f->resource_of_id[id] == TABLE_NONE) {
        f->resource_of_id[id] = f->resource_count;
        f->resources[f->resource_count++] = (struct resource_fact){
            .id = id,
            .create_first = TABLE_NONE,
            .loose_first = TABLE_NONE,
        };
    }
    return f->resource_of_id[id];
}

/* ---- leases ---- */

/* Answers, by their numbers. */
struct answer_list {
    uint32_t *items;
    uint32_t count, cap;
};

static void
answer_list_add(struct answer_list *l, uint32_t answer)
{
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 64 : l->cap * 2;
        l->items = xrealloc(l->items, (size_t)l->cap * sizeof(*l->items));
    }
    l->items[l->count++] = answer;
}

/* The answers, which are large, are walked over once: those that made leases,
 * and the reads that found one, are noted for later. */
struct answers_noted {
    struct answer_list grants, shown;
};

/* What reads tell of leases whose grant nobody saw. */
static void
collect_shown(struct facts *f, const struct answer_list *shown)
{
    const struct table *t = f->table;

    for (uint32_t i = 0; i < shown->count; i++) {
        uint32_t op = t->answers[shown->items[i]].operation;
        struct lease_fact *l = &f->leases[lease_of(f, t->operations.lease[op])];

        if (l->shown == TABLE_NONE)
            l->shown = shown->items[i];
    }
}

static void
add_rise(struct facts *f, uint32_t *cap, int64_t slot, uint32_t event)
{
    if (f->rise_count == *cap) {
        *cap = *cap == 0 ? 64 : *cap * 2;
        f->rises = xrealloc(f->rises, (size_t)*cap * sizeof(*f->rises));
    }
    f->rises[f->rise_count++] = (struct slot_rise){slot, event};
}

static void
collect_answers(struct facts *f, struct answers_noted *noted)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;
    int64_t highest = 0;
    uint32_t rise_cap = 0;

    for (uint32_t i = 0; i < t->answer_count; i++) {
        const struct answer *a = &t->answers[i];
        enum function fn = (enum function)o->function[a->operation];
        struct lease_fact *l;

        if (a->slot > highest) {
            highest = a->slot;
            add_rise(f, &rise_cap, highest, a->event);
        }
        if (fn == FUNCTION_GET_LEASE && a->found)
            answer_list_add(&noted->shown, i);
        if (a->lease == TABLE_NONE)
            continue;
        l = &f->leases[lease_of(f, a->lease)];
        if (!function_is_reserve(fn) || a->code != CODE_OK ||
            l->creator != TABLE_NONE)
            continue;
        l->creator = i;
        answer_list_add(&noted->grants, i);
    }
    if (highest > f->slot_max)
        f->slot_max = highest;
}

static void
collect_leases(struct facts *f)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;

    /* Backwards, so that each chain runs forwards. */
    for (uint32_t op = o->count; op-- > 0;) {
        struct lease_fact *l;

        if (o->lease[op] == TABLE_NONE)
            continue;
        l = &f->leases[lease_of(f, o->lease[op])];
        if (!function_is_mutation((enum function)o->function[op]))
            continue;
        f->command_next[op] = l->command_first;
        l->command_first = op;
        if (o->answer[op] != TABLE_NONE &&
            t->answers[o->answer[op]].code == CODE_OK)
            l->answered_ok = true;
    }
    for (uint32_t row = t->expired_count; row-- > 0;) {
        struct lease_fact *l = &f->leases[lease_of(f, t->expired[row].lease)];

        f->expired_next[row] = l->expired_first;
        l->expired_first = row;
    }
}

/* ---- resources ---- */

static int
grant_compare(const void *x, const void *y)
{
    const struct grant *a = x, *b = y;

    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return 0;
}

/* One grant per lease: repeated answers of one execution are one. */
static void
add_grants(struct facts *f, uint32_t answer)
{
    const struct table *t = f->table;
    const struct answer *a = &t->answers[answer];
    struct span span = t->operations.resources[a->operation];
    uint32_t lease = f->lease_of_id[a->lease];

    for (uint32_t i = 0; i < span.count; i++) {
        f->grants[f->grant_count++] = (struct grant){
            .resource = resource_of(f, t->lists[span.first + i]),
            .lease = lease,
            .answer = answer,
            .operation = a->operation,
            .invoke = t->operations.invoke[a->operation],
            .end = a->event,
            .index = t->positions_total ? a->index : INDEX_NONE,
        };
    }
}

/* By resource, and for each in the order of positions, or of time. */
static void
sort_grants(struct facts *f)
{
    struct grant *sorted = xcalloc(f->grant_count + 1ul, sizeof(*sorted));
    uint32_t first = 0;

    for (uint32_t i = 0; i < f->grant_count; i++)
        f->resources[f->grants[i].resource].grant_count++;
    for (uint32_t r = 0; r < f->resource_count; r++) {
        f->resources[r].grant_first = first;
        first += f->resources[r].grant_count;
        f->resources[r].grant_count = 0;
    }
    for (uint32_t i = 0; i < f->grant_count; i++) {
        struct resource_fact *r = &f->resources[f->grants[i].resource];

        sorted[r->grant_first + r->grant_count++] = f->grants[i];
    }
    for (uint32_t r = 0; r < f->resource_count; r++)
        order_nearly(sorted + f->resources[r].grant_first,
                     f->resources[r].grant_count, sizeof(*sorted),
                     grant_compare);
    free(f->grants);
    f->grants = sorted;
}

/* Of the answers that made leases. */
static void
collect_grants(struct facts *f, const struct answer_list *grants)
{
    const struct table *t = f->table;
    size_t count = 0;

    for (uint32_t i = 0; i < grants->count; i++) {
        uint32_t op = t->answers[grants->items[i]].operation;

        count += t->operations.resources[op].count;
    }
    f->grants = xcalloc(count + 1, sizeof(f->grants[0]));
    for (uint32_t i = 0; i < grants->count; i++)
        add_grants(f, grants->items[i]);
    sort_grants(f);
}

/* Creations, and reserves that may have made leases unseen. */
static void
collect_resource_operations(struct facts *f)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;
    size_t count = 0;

    for (uint32_t op = 0; op < o->count; op++)
        count += o->resources[op].count;
    f->loose_event = TABLE_NONE;
    f->loose = xcalloc(count + 1, sizeof(f->loose[0]));
    for (uint32_t op = o->count; op-- > 0;) {
        enum function fn = (enum function)o->function[op];
        struct span span = o->resources[op];
        bool loose =
            function_is_reserve(fn) &&
            (o->outcome[op] == OUTCOME_UNKNOWN || facts_may_repeat(f, op));

        for (uint32_t i = 0; i < span.count; i++) {
            struct resource_fact *r =
                &f->resources[resource_of(f, t->lists[span.first + i])];

            if (fn == FUNCTION_CREATE_RESOURCE) {
                f->create_after[op] = r->create_first + 1u;
                r->create_first = op;
                f->creates = true;
            }
            if (loose) {
                if (o->invoke[op] < f->loose_event)
                    f->loose_event = o->invoke[op];
                f->loose[f->loose_count] = (struct loose){op, r->loose_first};
                r->loose_first = f->loose_count++;
            }
        }
    }
}

/* ---- time ---- */

/* Answers stand in order of time. */
int64_t
facts_slot_reached(const struct facts *f, uint32_t event)
{
    uint32_t low = 0, high = f->rise_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (f->rises[middle].event < event)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : f->rises[low - 1].slot;
}

static void
collect_ticks(struct facts *f)
{
    const struct operations *o = &f->table->operations;

    f->unknown_tick = TABLE_NONE;
    f->slot_max = SLOT_NONE;
    f->tick_invokes = xcalloc(o->count + 1, sizeof(f->tick_invokes[0]));
    f->tick_slots = xcalloc(o->count + 1, sizeof(f->tick_slots[0]));
    for (uint32_t op = 0; op < o->count; op++) {
        if (o->function[op] != FUNCTION_TICK)
            continue;
        if (o->amount[op] > f->slot_max)
            f->slot_max = o->amount[op];
        if (o->outcome[op] == OUTCOME_UNKNOWN && f->unknown_tick == TABLE_NONE)
            f->unknown_tick = o->invoke[op];
        f->tick_invokes[f->tick_count] = o->invoke[op];
        f->tick_slots[f->tick_count++] = f->slot_max;
    }
}

int64_t
facts_slot_before(const struct facts *f, uint32_t event)
{
    uint32_t low = 0, high = f->tick_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (f->tick_invokes[middle] < event)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? SLOT_NONE : f->tick_slots[low - 1];
}

bool
facts_may_repeat(const struct facts *f, uint32_t op)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;
    const struct limits *n = &t->limits;
    uint32_t answer = o->answer[op];
    int64_t window, slot;
    bool others = false;

    if (answer == TABLE_NONE)
        return false;
    for (uint32_t at = o->attempt_first[op]; at != TABLE_NONE;
         at = t->attempts.next[at])
        others |= t->attempts.answer[at] != answer &&
                  t->attempts.outcome[at] != OUTCOME_FAIL;
    if (!others)
        return false;
    window = n->ttl_slots + n->retry_slots;
    slot = t->answers[answer].slot;
    return slot == SLOT_NONE || f->slot_max - window > slot ||
           slot - window > facts_slot_reached(f, o->invoke[op]);
}

static void
collect_sweeps(struct facts *f)
{
    const struct table *t = f->table;
    bool sweeping = false;

    f->sweep_events = xcalloc(2 * (t->remark_count + 1ul), sizeof(uint32_t));
    for (uint32_t i = 0; i < t->remark_count; i++) {
        const struct remark *r = &t->remarks[i];
        const char *name;
        bool sweep;

        if (r->fault || strcmp(r->function, "phase") != 0 ||
            !fields_string(&r->fields, "name", &name))
            continue;
        sweep = strcmp(name, "sweep") == 0 || strcmp(name, "sweep2") == 0;
        if (sweeping)
            f->sweep_events[2 * f->sweep_count++ + 1] = r->event;
        if (sweep)
            f->sweep_events[2 * f->sweep_count] = r->event;
        sweeping = sweep;
    }
    if (sweeping)
        f->sweep_events[2 * f->sweep_count++ + 1] = TABLE_NONE;
}

bool
facts_in_sweep(const struct facts *f, uint32_t event)
{
    for (uint32_t i = 0; i < f->sweep_count; i++)
        if (event > f->sweep_events[2 * i] &&
            event < f->sweep_events[2 * i + 1])
            return true;
    return false;
}

void
facts_init(struct facts *f, const struct table *t)
{
    struct answers_noted noted = {0};

    *f = (struct facts){.table = t};
    f->lease_of_id = numbers(t->id_count);
    f->resource_of_id = numbers(t->id_count);
    f->leases = xcalloc(t->id_count + 1ul, sizeof(f->leases[0]));
    f->resources = xcalloc(t->id_count + 1ul, sizeof(f->resources[0]));
    f->command_next = numbers(t->operations.count);
    f->create_after =
        xcalloc(t->operations.count + 1ul, sizeof(f->create_after[0]));
    f->expired_next = numbers(t->expired_count);
    collect_ticks(f);
    collect_answers(f, &noted);
    collect_leases(f);
    collect_shown(f, &noted.shown);
    collect_resource_operations(f);
    collect_grants(f, &noted.grants);
    collect_sweeps(f);
    free(noted.grants.items);
    free(noted.shown.items);
}

void
facts_release(struct facts *f)
{
    free(f->lease_of_id);
    free(f->resource_of_id);
    free(f->leases);
    free(f->resources);
    free(f->grants);
    free(f->loose);
    free(f->command_next);
    free(f->create_after);
    free(f->expired_next);
    free(f->rises);
    free(f->tick_invokes);
    free(f->tick_slots);
    free(f->sweep_events);
    *f = (struct facts){0};
}
