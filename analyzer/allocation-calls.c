/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operation table as calls of the model: first the executions and what else
 * may have happened, each with the events between which it did; then, for the
 * whole or for a part, the columns that engines read.
 *
 * Parts: resources and leases that an operation names belong together
 * (union-find); ticks are in every part.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/allocation.h"
#include "analyzer/models/decode.h"

/* Slots are summed with limits; beyond this they are nonsense. */
#define SLOT_MAX (INT64_MAX / 4)
/* What a search can take in; beyond it only a replay judges. */
#define CALLS_SEARCHED_MAX (1u << 18)
/* An unanswered reserve with more possible leases is a riddle. */
#define ALTERNATIVES_MAX (1u << 12)

/* Something that happened, or may have ('end' is TABLE_NONE). */
struct entry {
    uint8_t function;
    bool linearizable; /* a read: real time binds its beginning */
    uint32_t operation, answer, row;
    uint32_t lease; /* number that it makes, or that expires */
    uint32_t mark, once, group;
    uint32_t invoke, end; /* events */
    uint64_t index;       /* of an answered one; INDEX_NONE */
    uint32_t node;        /* of the union-find; NONE: in every part */
};

struct allocation_source {
    const struct facts *facts;
    struct entry *entries;
    uint32_t count, cap;
    uint32_t *number;   /* of a lease of facts, by id */
    uint32_t *lease_at; /* the lease of facts with a number */
    uint32_t *makers;   /* by lease: executions that may make it, at most 2 */
    uint32_t *shown;    /* by lease: a resource it was shown with, or NONE */
    uint32_t *group;    /* by operation, or NONE */
    uint32_t nameless;  /* executions that may make a lease without an id */
    uint32_t alternatives;
    uint32_t *parent;  /* resources, leases, nothing */
    uint32_t *part_of; /* by node */
    uint32_t parts;
    bool one_shard;
};

/* ---- who belongs together ---- */

static uint32_t
node_root(const struct allocation_source *s, uint32_t node)
{
    while (s->parent[node] != node) {
        s->parent[node] = s->parent[s->parent[node]];
        node = s->parent[node];
    }
    return node;
}

static void
node_join(const struct allocation_source *s, uint32_t a, uint32_t b)
{
    s->parent[node_root(s, a)] = node_root(s, b);
}

static uint32_t
node_of_lease(const struct allocation_source *s, uint32_t id)
{
    return s->facts->resource_count + s->facts->lease_of_id[id];
}

/* The node of what an operation names; all of it is joined. */
static uint32_t
node_of_operation(const struct allocation_source *s, uint32_t op)
{
    const struct facts *f = s->facts;
    const struct operations *o = &f->table->operations;
    struct span span = o->resources[op];
    uint32_t node = f->resource_count + f->lease_count; /* nothing */

    if (o->lease[op] != TABLE_NONE) {
        return node_of_lease(s, o->lease[op]);
    }
    for (uint32_t i = 0; i < span.count; i++) {
        uint32_t other = f->resource_of_id[f->table->lists[span.first + i]];
        if (i > 0) {
            node_join(s, node, other);
        }
        node = other;
    }
    return node;
}

/* ---- entries ---- */

static struct entry *
entry_add(struct allocation_source *s, uint8_t function, uint32_t op)
{
    if (s->count == s->cap) {
        s->cap = s->cap == 0 ? 64 : s->cap * 2;
        s->entries = xrealloc(s->entries, s->cap * sizeof(*s->entries));
    }
    s->entries[s->count] = (struct entry){
        .function = function,
        .operation = op,
        .answer = TABLE_NONE,
        .row = TABLE_NONE,
        .lease = ALLOCATION_NONE,
        .mark = ALLOCATION_NONE,
        .once = ALLOCATION_NONE,
        .group = s->group[op],
        .end = TABLE_NONE,
        .index = INDEX_NONE,
        .node =
            function == FUNCTION_TICK ? TABLE_NONE : node_of_operation(s, op),
    };
    return &s->entries[s->count++];
}

static uint32_t
nameless_new(struct allocation_source *s)
{
    return s->facts->lease_count + s->nameless++;
}

static void
maker_add(struct allocation_source *s, uint32_t lease)
{
    s->makers[lease] += s->makers[lease] < 2;
}

static void
add_answered(struct allocation_source *s, uint32_t answer, uint32_t invoke)
{
    const struct table *t = s->facts->table;
    const struct answer *a = &t->answers[answer];
    uint8_t function = t->operations.function[a->operation];
    struct entry *e = entry_add(s, function, a->operation);

    e->answer = answer;
    e->invoke = invoke;
    e->end = a->event;
    e->index = a->index;
    if (a->lease != TABLE_NONE && e->node != TABLE_NONE) {
        node_join(s, e->node, node_of_lease(s, a->lease));
    }
    if (function_is_reserve((enum function)function) && a->code == CODE_OK) {
        e->lease = a->lease == TABLE_NONE
                       ? nameless_new(s)
                       : s->number[s->facts->lease_of_id[a->lease]];
        if (a->lease != TABLE_NONE) {
            maker_add(s, s->facts->lease_of_id[a->lease]);
        }
    }
}

/* What is known of a lease without a known maker lets this reserve have made
 * it; so may it have what a later attempt of its own was answered. */
static bool
may_make(const struct allocation_source *s, uint32_t op, uint32_t lease)
{
    const struct facts *f = s->facts;
    const struct operations *o = &f->table->operations;
    const struct lease_fact *l = &f->leases[lease];
    struct span span = o->resources[op];
    bool member = s->shown[lease] == TABLE_NONE;

    if (l->creator != TABLE_NONE) {
        return s->group[op] != ALLOCATION_NONE &&
               f->table->answers[l->creator].operation == op;
    }
    for (uint32_t i = 0; i < span.count; i++) {
        member |= f->resource_of_id[f->table->lists[span.first + i]] ==
                  s->shown[lease];
    }
    if (!member || l->shown == TABLE_NONE) {
        return member;
    }
    const struct answer *a = &f->table->answers[l->shown];
    return (a->holder == TABLE_NONE || a->holder == o->holder[op]) &&
           (a->resources.count == 0 || a->resources.count == span.count);
}

/* An execution that nobody was told of. */
static void
add_open(struct allocation_source *s, uint32_t op, uint32_t invoke)
{
    uint8_t function = s->facts->table->operations.function[op];
    uint32_t at = s->count, mark;

    entry_add(s, function, op)->invoke = invoke;
    if (!function_is_reserve((enum function)function)) {
        return;
    }
    mark = nameless_new(s);
    s->entries[at].lease = mark;
    for (uint32_t i = 0;
         i < s->facts->lease_count && s->alternatives <= ALTERNATIVES_MAX;
         i++) {
        struct entry *e;
        if (!may_make(s, op, i)) {
            continue;
        }
        e = entry_add(s, function, op);
        e->invoke = invoke;
        e->lease = s->number[i];
        e->mark = s->entries[at].mark = mark;
        node_join(s, e->node, s->facts->resource_count + i);
        maker_add(s, i);
        s->alternatives++;
    }
}

/* ---- operations ---- */

static bool
same_answer(const struct answer *a, const struct answer *b)
{
    return a->index == b->index && a->code == b->code && a->lease == b->lease &&
           a->epoch == b->epoch && a->deadline == b->deadline &&
           a->slot == b->slot;
}

/* Whether its attempts must be told apart: the record of the first may have
 * been dropped before another came, or they were answered differently. */
static bool
attempts_differ(const struct facts *f, uint32_t op)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;
    int64_t window = t->limits.ttl_slots + t->limits.retry_slots;
    uint32_t count = 0;

    for (uint32_t at = o->attempt_first[op]; at != TABLE_NONE;
         at = t->attempts.next[at]) {
        count += t->attempts.outcome[at] != OUTCOME_FAIL;
        if (t->attempts.answer[at] != TABLE_NONE &&
            !same_answer(&t->answers[t->attempts.answer[at]],
                         &t->answers[o->answer[op]])) {
            return true;
        }
    }
    if (count < 2) {
        return false;
    }
    return o->answer[op] != TABLE_NONE
               ? facts_may_repeat(f, op)
               : f->slot_max - window > facts_slot_reached(f, o->invoke[op]);
}

struct keyed {
    struct id128 id;
    uint32_t at;
};

static int
keyed_compare(const void *x, const void *y)
{
    const struct keyed *a = x, *b = y;

    if (a->id.hi != b->id.hi) {
        return a->id.hi < b->id.hi ? -1 : 1;
    }
    if (a->id.lo != b->id.lo) {
        return a->id.lo < b->id.lo ? -1 : 1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

static bool
keyed_equal(const struct keyed *a, const struct keyed *b)
{
    return a->id.hi == b->id.hi && a->id.lo == b->id.lo;
}

/* Operations whose records are part of the state: a group for each id. */
static void
collect_groups(struct allocation_source *s)
{
    const struct operations *o = &s->facts->table->operations;
    CLEANUP_FREE struct keyed *ids = xcalloc(o->count + 1ul, sizeof(*ids));
    uint32_t count = 0;

    for (uint32_t op = 0; op < o->count; op++) {
        s->group[op] = ALLOCATION_NONE;
        if (function_is_mutation((enum function)o->function[op]) &&
            o->outcome[op] != OUTCOME_FAIL && !id128_is_zero(o->id[op])) {
            ids[count++] = (struct keyed){o->id[op], op};
        }
    }
    qsort(ids, count, sizeof(*ids), keyed_compare);
    for (uint32_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && keyed_equal(&ids[i], &ids[next]);) {
            next++;
        }
        bool apart = next - i > 1 || attempts_differ(s->facts, ids[i].at);
        for (uint32_t k = i; k < next && apart; k++) {
            s->group[ids[k].at] = i;
        }
    }
}

static void
add_attempts(struct allocation_source *s, uint32_t op)
{
    const struct attempts *a = &s->facts->table->attempts;

    for (uint32_t at = s->facts->table->operations.attempt_first[op];
         at != TABLE_NONE; at = a->next[at]) {
        if (a->outcome[at] == OUTCOME_UNKNOWN) {
            add_open(s, op, a->invoke[at]);
        } else if (a->answer[at] != TABLE_NONE) {
            add_answered(s, a->answer[at], a->invoke[at]);
        }
    }
}

/* The first attempt that may have done something. */
static uint32_t
first_invoke(const struct facts *f, uint32_t op)
{
    const struct attempts *a = &f->table->attempts;
    uint32_t at = f->table->operations.attempt_first[op];

    while (a->outcome[at] == OUTCOME_FAIL) {
        at = a->next[at];
    }
    return a->invoke[at];
}

static void
add_read(struct allocation_source *s, uint32_t answer)
{
    const struct table *t = s->facts->table;
    const struct answer *a = &t->answers[answer];
    const struct operations *o = &t->operations;
    struct entry *e = entry_add(s, o->function[a->operation], a->operation);

    e->answer = answer;
    e->linearizable = o->claim[a->operation] == CLAIM_LINEARIZABLE;
    e->invoke = o->invoke[a->operation];
    e->end = a->event;
    e->index = a->applied;
    if (a->lease != TABLE_NONE) {
        node_join(s, e->node, node_of_lease(s, a->lease));
    }
}

static void
add_rows(struct allocation_source *s, const struct answer *a)
{
    const struct table *t = s->facts->table;

    for (uint32_t i = 0; i < a->expired_count; i++) {
        const struct expired *x = &t->expired[a->expired_first + i];
        struct entry *e = entry_add(s, ALLOCATION_ROW, a->operation);
        e->row = a->expired_first + i;
        e->lease = s->number[s->facts->lease_of_id[x->lease]];
        e->invoke = t->operations.invoke[a->operation];
        e->end = a->event;
        e->index = x->index;
        e->node = node_of_lease(s, x->lease);
        for (uint32_t k = 0; k < x->resources.count; k++) {
            node_join(
                s, e->node,
                s->facts->resource_of_id[t->lists[x->resources.first + k]]);
        }
    }
}

static void
add_operation(struct allocation_source *s, uint32_t op)
{
    const struct table *t = s->facts->table;
    const struct operations *o = &t->operations;
    enum function fn = (enum function)o->function[op];
    uint32_t answer = o->answer[op];

    if (o->outcome[op] == OUTCOME_FAIL) {
        return;
    }
    if (function_is_read(fn)) {
        if (answer != TABLE_NONE) {
            add_read(s, answer);
        }
    } else if (fn != FUNCTION_TICK && s->group[op] != ALLOCATION_NONE) {
        add_attempts(s, op);
    } else if (answer == TABLE_NONE) {
        add_open(s, op, first_invoke(s->facts, op));
    } else {
        add_answered(s, answer, first_invoke(s->facts, op));
        add_rows(s, &t->answers[answer]);
    }
}

/* Ticks without an answer leave expirations that nobody is told of. */
static void
add_unseen(struct allocation_source *s)
{
    const struct facts *f = s->facts;
    uint32_t count = s->count;

    for (uint32_t i = 0; i < count && f->unknown_tick != TABLE_NONE; i++) {
        struct entry x = s->entries[i], *e;
        uint32_t lease;
        if (x.function > FUNCTION_RESERVE_BUNDLE ||
            x.lease == ALLOCATION_NONE) {
            continue;
        }
        if (x.lease < f->lease_count) {
            lease = s->lease_at[x.lease];
            if (f->leases[lease].answered_ok || s->makers[lease] == 0 ||
                f->leases[lease].expired_first != TABLE_NONE) {
                continue;
            }
        }
        e = entry_add(s, ALLOCATION_EXPIRE, x.operation);
        e->lease = x.lease;
        e->invoke = f->unknown_tick;
        e->group = ALLOCATION_NONE;
        e->node = x.node;
    }
}

/* ---- the source ---- */

static void
number_leases(struct allocation_source *s)
{
    const struct facts *f = s->facts;
    CLEANUP_FREE struct keyed *ids =
        xcalloc(f->lease_count + 1ul, sizeof(*ids));

    for (uint32_t i = 0; i < f->lease_count; i++) {
        ids[i] = (struct keyed){f->table->ids[f->leases[i].id], i};
    }
    qsort(ids, f->lease_count, sizeof(*ids), keyed_compare);
    s->one_shard =
        f->lease_count == 0 || ids[0].id.hi == ids[f->lease_count - 1].id.hi;
    for (uint32_t i = 0; i < f->lease_count; i++) {
        s->number[ids[i].at] = i;
        s->lease_at[i] = ids[i].at;
        s->shown[i] = TABLE_NONE;
    }
}

/* A resource that each lease was shown with. */
static void
collect_shown(struct allocation_source *s)
{
    const struct table *t = s->facts->table;

    for (uint32_t i = 0; i < t->answer_count; i++) {
        const struct answer *a = &t->answers[i];
        const struct operations *o = &t->operations;
        if (o->function[a->operation] == FUNCTION_GET_RESOURCE &&
            a->lease != TABLE_NONE) {
            uint32_t id = t->lists[o->resources[a->operation].first];
            s->shown[s->facts->lease_of_id[a->lease]] =
                s->facts->resource_of_id[id];
        }
    }
    for (uint32_t i = 0; i < t->expired_count; i++) {
        const struct expired *x = &t->expired[i];
        if (x->resources.count > 0) {
            s->shown[s->facts->lease_of_id[x->lease]] =
                s->facts->resource_of_id[t->lists[x->resources.first]];
        }
    }
}

static bool
absurd(int64_t slot)
{
    return slot != SLOT_NONE && (slot > SLOT_MAX || slot < -SLOT_MAX);
}

/* Why it cannot be searched; NULL: it can. */
static const char *
source_refuses(const struct facts *f)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;
    const struct limits *n = &t->limits;

    if (!f->creates && f->resource_count > 0) {
        return "the history does not create its resources";
    }
    if (o->count > CALLS_SEARCHED_MAX) {
        return "there are too many operations to search through";
    }
    if (absurd(n->ttl_slots) || absurd(n->retry_slots) ||
        absurd(n->history_slots) || n->ttl_slots < 0) {
        return "the limits are absurd";
    }
    for (uint32_t op = 0; op < o->count; op++) {
        if ((o->function[op] == FUNCTION_TICK ||
             function_is_reserve((enum function)o->function[op])) &&
            (absurd(o->amount[op]) || o->amount[op] < 0)) {
            return "a slot is absurd";
        }
    }
    for (uint32_t i = 0; i < t->answer_count; i++) {
        const struct answer *a = &t->answers[i];
        bool read = function_is_read((enum function)o->function[a->operation]);
        if (absurd(a->slot)) {
            return "a slot is absurd";
        }
        if (read ? a->found && a->state == STATE_OTHER
                 : a->code == CODE_OTHER) {
            return "an answer has a word that nobody knows";
        }
    }
    return NULL;
}

static void
number_parts(struct allocation_source *s)
{
    const struct facts *f = s->facts;
    uint32_t nodes = f->resource_count + f->lease_count + 1;

    for (uint32_t i = 0; i < nodes; i++) {
        s->part_of[i] = ALLOCATION_NONE;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        struct entry *e = &s->entries[i];
        if (e->node == TABLE_NONE) {
            continue;
        }
        uint32_t *part = &s->part_of[node_root(s, e->node)];
        if (*part == ALLOCATION_NONE) {
            *part = s->parts++;
        }
        e->node = *part;
    }
}

struct allocation_source *
allocation_source_new(const struct facts *f, char reason[REASON_TEXT_MAX])
{
    const char *refused = source_refuses(f);
    uint32_t operations = f->table->operations.count;
    uint32_t nodes = f->resource_count + f->lease_count + 1;
    CLEANUP(allocation_source_free_p) struct allocation_source *s = NULL;

    if (refused != NULL) {
        snprintf(reason, REASON_TEXT_MAX, "%s", refused);
        return NULL;
    }
    s = xcalloc(1, sizeof(*s));
    s->facts = f;
    s->number = xcalloc(f->lease_count + 1ul, sizeof(*s->number));
    s->lease_at = xcalloc(f->lease_count + 1ul, sizeof(*s->lease_at));
    s->makers = xcalloc(f->lease_count + 1ul, sizeof(*s->makers));
    s->shown = xcalloc(f->lease_count + 1ul, sizeof(*s->shown));
    s->group = xcalloc(operations + 1ul, sizeof(*s->group));
    s->parent = xcalloc(nodes, sizeof(*s->parent));
    s->part_of = xcalloc(nodes, sizeof(*s->part_of));
    for (uint32_t i = 0; i < nodes; i++) {
        s->parent[i] = i;
    }
    number_leases(s);
    collect_shown(s);
    collect_groups(s);
    for (uint32_t op = 0; op < operations; op++) {
        add_operation(s, op);
    }
    add_unseen(s);
    if (s->alternatives > ALTERNATIVES_MAX) {
        snprintf(reason, REASON_TEXT_MAX,
                 "too many unanswered reserves may have made too many leases");
        return NULL;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        struct entry *e = &s->entries[i];
        if (e->function <= FUNCTION_RESERVE_BUNDLE &&
            e->lease < f->lease_count && s->makers[s->lease_at[e->lease]] > 1) {
            e->once = e->lease;
        }
    }
    number_parts(s);
    return TAKE(s);
}

void
allocation_source_free(struct allocation_source *s)
{
    if (s == NULL) {
        return;
    }
    free(s->entries);
    free(s->number);
    free(s->lease_at);
    free(s->makers);
    free(s->shown);
    free(s->group);
    free(s->parent);
    free(s->part_of);
    free(s);
}

void
allocation_source_free_p(struct allocation_source **s)
{
    allocation_source_free(*s);
}

uint32_t
allocation_parts(const struct allocation_source *s)
{
    return s->parts;
}

/* ---- when ---- */

/* An entry with the ranks between which it happens; keys order them. */
struct timed {
    const struct entry *entry;
    uint64_t invoke, end; /* UINT64_MAX: open */
};

struct moment {
    uint64_t key;
    uint32_t at; /* in the timed */
    bool ends;
};

static int
moment_compare(const void *x, const void *y)
{
    const struct moment *a = x, *b = y;

    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    if (a->ends != b->ends) {
        return a->ends ? 1 : -1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

static bool
entry_is_read(const struct entry *e)
{
    return e->function == FUNCTION_GET_RESOURCE ||
           e->function == FUNCTION_GET_LEASE;
}

static int
timed_compare(const void *x, const void *y)
{
    const struct entry *a = ((const struct timed *)x)->entry;
    const struct entry *b = ((const struct timed *)y)->entry;
    bool open_a = a->end == TABLE_NONE, open_b = b->end == TABLE_NONE;

    if (open_a != open_b) {
        return open_a ? 1 : -1;
    }
    if (a->index != b->index) {
        return a->index < b->index ? -1 : 1;
    }
    if (entry_is_read(a) != entry_is_read(b)) {
        return entry_is_read(a) ? 1 : -1;
    }
    return a->invoke < b->invoke ? -1 : a->invoke > b->invoke;
}

/* Answers from one execution become one, that ended with the first; false:
 * they differ, or two executions have one position. */
static bool
positions_fold(const struct facts *f, struct timed *x, uint32_t *count,
               struct entry *first, char reason[REASON_TEXT_MAX])
{
    const struct table *t = f->table;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < *count; i++) {
        const struct entry *e = x[i].entry;
        const struct entry *last = kept > 0 ? x[kept - 1].entry : NULL;
        if (e->end == TABLE_NONE || entry_is_read(e) || last == NULL ||
            entry_is_read(last) || last->index != e->index) {
            first[kept] = *e;
            if (e->end != TABLE_NONE && !entry_is_read(e)) {
                first[kept].invoke = t->operations.invoke[e->operation];
            }
            x[kept].entry = &first[kept];
            kept++;
            continue;
        }
        if (e->operation != last->operation || e->row != last->row ||
            e->row != TABLE_NONE ||
            !same_answer(&t->answers[e->answer], &t->answers[last->answer])) {
            snprintf(reason, REASON_TEXT_MAX, "two entries at position %llu",
                     (unsigned long long)e->index);
            return false;
        }
        if (e->end < last->end) {
            first[kept - 1].end = e->end;
        }
    }
    *count = kept;
    return true;
}

/* Whether the order agrees with real time. */
static bool
positions_agree(const struct timed *x, uint32_t fixed,
                char reason[REASON_TEXT_MAX])
{
    uint32_t sent = 0, entered = 0;

    for (uint32_t i = 0; i < fixed; i++) {
        const struct entry *e = x[i].entry;
        bool stale = entry_is_read(e) && !e->linearizable;
        if (e->index == INDEX_NONE) {
            snprintf(reason, REASON_TEXT_MAX, "an answer has no position");
            return false;
        }
        if (e->end < (stale ? entered : sent)) {
            snprintf(reason, REASON_TEXT_MAX,
                     "positions do not agree with real time");
            return false;
        }
        if (!stale && e->invoke > sent) {
            sent = e->invoke;
        }
        if (!entry_is_read(e) && e->invoke > entered) {
            entered = e->invoke;
        }
    }
    return true;
}

/* One after the other; what has no position may stand before an entry if that
 * one and all behind it were answered after it was sent. */
static bool
positions_time(const struct facts *f, struct timed *x, uint32_t *count,
               struct entry *first, char reason[REASON_TEXT_MAX])
{
    uint32_t fixed = 0;

    qsort(x, *count, sizeof(*x), timed_compare);
    if (!positions_fold(f, x, count, first, reason)) {
        return false;
    }
    while (fixed < *count && x[fixed].entry->end != TABLE_NONE) {
        fixed++;
    }
    if (!positions_agree(x, fixed, reason)) {
        return false;
    }
    CLEANUP_FREE uint32_t *ends = xcalloc(fixed + 1ul, sizeof(*ends));
    ends[fixed] = TABLE_NONE;
    for (uint32_t i = fixed; i-- > 0;) {
        uint32_t end = x[i].entry->end;
        ends[i] = end < ends[i + 1] ? end : ends[i + 1];
        x[i].invoke = 3ul * i;
        x[i].end = 3ul * i + 2;
    }
    for (uint32_t i = fixed; i < *count; i++) {
        uint32_t low = 0, high = fixed;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (ends[middle] < x[i].entry->invoke) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        x[i].invoke = 3ul * low + 1;
        x[i].end = UINT64_MAX;
    }
    return true;
}

static void
real_time(struct timed *x, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct entry *e = x[i].entry;
        bool stale = entry_is_read(e) && !e->linearizable;
        x[i].invoke = stale ? 0 : e->invoke + 1ul;
        x[i].end = e->end == TABLE_NONE ? UINT64_MAX : e->end + 1ul;
    }
}

/* ---- columns ---- */

static uint32_t
lease_number(const struct allocation_source *s, uint32_t id)
{
    return id == TABLE_NONE ? ALLOCATION_NONE
                            : s->number[s->facts->lease_of_id[id]];
}

static void
words_members(const struct allocation_source *s, struct span span,
              struct model_words *w)
{
    for (uint32_t i = 0; i < span.count; i++) {
        uint32_t id = s->facts->table->lists[span.first + i];
        model_words_add(w, s->facts->resource_of_id[id]);
    }
}

static void
words_mutation(const struct allocation_source *s, const struct entry *e,
               struct model_words *w)
{
    const struct table *t = s->facts->table;
    const struct operations *o = &t->operations;
    const struct answer *a =
        e->answer == TABLE_NONE ? NULL : &t->answers[e->answer];

    model_words_add64(w, o->amount[e->operation]);
    if (e->function == FUNCTION_TICK) {
        return;
    }
    model_words_add(w, o->holder[e->operation]);
    model_words_add(w, lease_number(s, o->lease[e->operation]));
    model_words_add(w, a == NULL ? ALLOCATION_NONE : lease_number(s, a->lease));
    model_words_add64(w, a == NULL ? SLOT_NONE : a->epoch);
    model_words_add64(w, a == NULL ? SLOT_NONE : a->deadline);
    model_words_add(w, e->lease);
    model_words_add(w, e->mark);
    model_words_add(w, e->once);
    model_words_add(w, e->group);
    model_words_add(w, e->group == ALLOCATION_NONE ? 0 : e->operation);
    words_members(s, o->resources[e->operation], w);
}

static void
words_read(const struct allocation_source *s, const struct entry *e,
           struct model_words *w)
{
    const struct table *t = s->facts->table;
    const struct operations *o = &t->operations;
    const struct answer *a = &t->answers[e->answer];

    if (e->function == FUNCTION_GET_LEASE) {
        model_words_add(w, lease_number(s, o->lease[e->operation]));
    } else {
        uint32_t id = t->lists[o->resources[e->operation].first];
        model_words_add(w, s->facts->resource_of_id[id]);
    }
    model_words_add(w, (a->found ? READ_FOUND : 0) |
                           (a->retired ? READ_RETIRED : 0));
    model_words_add(w, a->state);
    model_words_add(w, lease_number(s, a->lease));
    model_words_add(w, a->holder);
    model_words_add64(w, a->epoch);
    model_words_add64(w, a->deadline);
    model_words_add64(w, a->version);
    words_members(s, a->resources, w);
}

static void
words_expiry(const struct allocation_source *s, const struct entry *e,
             struct model_words *w)
{
    model_words_add(w, e->lease);
    if (e->function == ALLOCATION_ROW) {
        const struct expired *x = &s->facts->table->expired[e->row];
        model_words_add64(w, x->deadline);
        words_members(s, x->resources, w);
    }
}

static void
call_fill(const struct allocation_source *s, const struct entry *e,
          struct allocation *a, uint32_t call)
{
    const struct table *t = s->facts->table;
    struct model_words w = {0};
    struct calls *c = a->calls;

    model_words_add64(&w, e->answer == TABLE_NONE ? SLOT_NONE
                                                  : t->answers[e->answer].slot);
    if (e->function >= FUNCTION_COUNT) {
        words_expiry(s, e, &w);
    } else if (entry_is_read(e)) {
        words_read(s, e, &w);
    } else {
        words_mutation(s, e, &w);
    }
    c->list[call] = model_words_list(c, &w);
    if (e->answer != TABLE_NONE) {
        c->result[call] = t->answers[e->answer].code;
        c->end_line[call] = t->answers[e->answer].event;
    }
    c->line[call] = e->invoke;
    a->operation[call] = e->operation;
}

static uint32_t
params_list(const struct allocation_source *s, bool whole, bool positions,
            struct calls *c)
{
    const struct limits *n = &s->facts->table->limits;
    struct model_words w = {0};

    model_words_add(&w, (whole ? ALLOCATION_WHOLE : 0) |
                            (positions ? ALLOCATION_POSITIONS : 0) |
                            (s->one_shard ? ALLOCATION_ONE_SHARD : 0));
    model_words_add(&w, s->facts->lease_count);
    model_words_add64(&w, n->resources);
    model_words_add64(&w, n->reservations);
    model_words_add64(&w, n->bundle);
    model_words_add64(&w, n->members);
    model_words_add64(&w, n->bucket);
    model_words_add64(&w, n->ttl_slots);
    model_words_add64(&w, n->ttl_slots + n->retry_slots);
    model_words_add64(&w, n->history_slots);
    assert(w.count == PARAM_WORDS);
    return model_words_list(c, &w);
}

/* Ranks from the order of the keys; calls in the order of their beginnings. */
static void
fill_columns(const struct allocation_source *s, const struct timed *x,
             uint32_t count, struct allocation *a)
{
    CLEANUP_FREE struct moment *moments =
        xcalloc(2ul * count + 1, sizeof(*moments));
    CLEANUP_FREE uint32_t *call = xcalloc(count + 1ul, sizeof(*call));
    uint32_t total = 0;

    for (uint32_t i = 0; i < count; i++) {
        moments[total++] = (struct moment){x[i].invoke, i, false};
        if (x[i].end != UINT64_MAX) {
            moments[total++] = (struct moment){x[i].end, i, true};
        }
    }
    qsort(moments, total, sizeof(*moments), moment_compare);
    for (uint32_t rank = 0; rank < total; rank++) {
        uint32_t at = moments[rank].at;
        const struct entry *e = x[at].entry;
        if (moments[rank].ends) {
            a->calls->complete[call[at]] = rank;
            continue;
        }
        call[at] =
            calls_append(a->calls, e->function, e->operation, rank, CALL_OPEN);
        call_fill(s, e, a, call[at]);
    }
    a->calls->rank_count = total;
}

bool
allocation_make(const struct allocation_source *s, uint32_t part,
                bool positions, struct allocation *ret,
                char reason[REASON_TEXT_MAX])
{
    CLEANUP_FREE struct timed *x = xcalloc(s->count + 1ul, sizeof(*x));
    CLEANUP_FREE struct entry *first = NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        const struct entry *e = &s->entries[i];
        if (part == ALLOCATION_NONE || e->node == TABLE_NONE ||
            e->node == part) {
            x[count++].entry = e;
        }
    }
    if (positions) {
        first = xcalloc(count + 1ul, sizeof(*first));
        if (!positions_time(s->facts, x, &count, first, reason)) {
            return false;
        }
    } else {
        real_time(x, count);
    }
    *ret = (struct allocation){
        .calls = calls_new_raw(&model_allocation),
        .operation = xcalloc(count + 1ul, sizeof(*ret->operation)),
    };
    ret->calls->initial =
        params_list(s, part == ALLOCATION_NONE, positions, ret->calls);
    fill_columns(s, x, count, ret);
    return true;
}

void
allocation_release(struct allocation *a)
{
    calls_free(a->calls);
    free(a->operation);
    *a = (struct allocation){0};
}
