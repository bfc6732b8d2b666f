/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An invocation opens an attempt of its process and finds or makes its
 * operation; a completion closes the attempt and, if it is the first recorded
 * answer, ends the operation.  Outcomes of operations are settled at the end.
 *
 * Failure modes: events that cannot be are never guessed at; the first one cuts
 * the table (table_cut) and everything after it is ignored.
 */
#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/table.h"

/* Node names and error classes: a handful; strangers' files may have more. */
#define NAMES_MAX 4096u
#define NAME_OTHER "(other)"

/* Limits are added to slots: this keeps every sum far from overflow. */
#define LIMIT_MAX (INT64_C(1) << 40)

#define GROW(array, count, cap)                                                \
    do {                                                                       \
        if ((count) == (cap)) {                                                \
            (cap) = (cap) == 0 ? 64 : (cap)*2;                                 \
            (array) = xrealloc((array), (size_t)(cap) * sizeof((array)[0]));   \
        }                                                                      \
    } while (0)

static const char *const function_names[FUNCTION_COUNT] = {
    [FUNCTION_CREATE_RESOURCE] = "create_resource",
    [FUNCTION_RESERVE] = "reserve",
    [FUNCTION_RESERVE_BUNDLE] = "reserve_bundle",
    [FUNCTION_CONFIRM] = "confirm",
    [FUNCTION_RELEASE] = "release",
    [FUNCTION_REVOKE] = "revoke",
    [FUNCTION_RECLAIM] = "reclaim",
    [FUNCTION_CREATE_BUCKET] = "create_bucket",
    [FUNCTION_DEBIT] = "debit",
    [FUNCTION_CREATE_POOL] = "create_pool",
    [FUNCTION_PLACE_HOLD] = "place_hold",
    [FUNCTION_CONFIRM_HOLD] = "confirm_hold",
    [FUNCTION_RELEASE_HOLD] = "release_hold",
    [FUNCTION_EXPIRE_HOLD] = "expire_hold",
    [FUNCTION_WRITE] = "write",
    [FUNCTION_CAS] = "cas",
    [FUNCTION_TICK] = "tick",
    [FUNCTION_GET_RESOURCE] = "get_resource",
    [FUNCTION_GET_LEASE] = "get_lease",
    [FUNCTION_GET_BUCKET] = "get_bucket",
    [FUNCTION_GET_POOL] = "get_pool",
    [FUNCTION_GET_HOLD] = "get_hold",
    [FUNCTION_GET_BLOCK] = "get_block",
};

const char *
function_name(enum function f)
{
    assert((unsigned)f < FUNCTION_COUNT);
    return function_names[f];
}

bool
function_find(const char *name, enum function *ret)
{
    for (unsigned f = 0; f < FUNCTION_COUNT; f++) {
        if (table_same_word(function_names[f], name)) {
            *ret = (enum function)f;
            return true;
        }
    }
    return false;
}

bool
operation_id_was_taken(const struct table *t, uint32_t op)
{
    const struct attempts *a = &t->attempts;

    for (uint32_t at = t->operations.attempt_first[op]; at != TABLE_NONE;
         at = a->next[at])
        if (a->error[at] != 0 &&
            strcmp(t->names[a->error[at]], "operation_conflict") == 0)
            return true;
    return false;
}

/* ---- life ---- */

static int64_t
limit(const json_t *limits, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(limits, key);

    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return fallback;
    return json_integer_value(v) < LIMIT_MAX ? json_integer_value(v)
                                             : LIMIT_MAX;
}

static void
read_limits(const json_t *json, struct limits *ret)
{
    ret->resources = limit(json, "resources", 1024);
    ret->reservations = limit(json, "reservations", 1024);
    ret->bundle = limit(json, "bundle", 64);
    ret->members = limit(json, "members", 4096);
    ret->bucket = limit(json, "bucket", 1024);
    ret->ttl_slots = limit(json, "ttl_slots", 256);
    ret->retry_slots = limit(json, "retry_slots", 128);
    ret->history_slots = limit(json, "history_slots", 64);
}

struct table *
table_new(const json_t *meta)
{
    struct table *t = xcalloc(1, sizeof(*t));
    const char *positions;

    arena_init(&t->arena);
    for (unsigned i = 0; i < TABLE_RECENT_IDS; i++)
        t->recent[i].number = TABLE_NONE;
    t->meta = json_is_object(meta) ? json_deep_copy(meta) : json_object();
    positions = json_string_value(json_object_get(t->meta, "positions"));
    t->positions_total = positions != NULL && strcmp(positions, "total") == 0;
    t->is_run = json_is_string(json_object_get(t->meta, "scenario"));
    t->model = json_string_value(json_object_get(t->meta, "model"));
    if (t->model == NULL)
        t->model = "allocator";
    read_limits(json_object_get(t->meta, "limits"), &t->limits);
    table_name(t, "");
    return t;
}

static void
table_free_maps(struct table *t)
{
    map_release(&t->id_map);
    map_release(&t->operation_map);
    map_release(&t->process_map);
    free(t->process_attempts);
    t->process_attempts = NULL;
    t->process_cap = 0;
}

void
table_free(struct table *t)
{
    if (t == NULL)
        return;
#define X(type, name) free(t->operations.name);
    OPERATION_COLUMNS(X)
#undef X
#define X(type, name) free(t->attempts.name);
    ATTEMPT_COLUMNS(X)
#undef X
    free(t->answers);
    free(t->expired);
    free(t->lists);
    free(t->ids);
    free(t->names);
    free(t->remarks);
    table_free_maps(t);
    json_decref(t->meta);
    arena_release(&t->arena);
    free(t);
}

void
table_free_p(struct table **p)
{
    table_free(*p);
}

void
table_cut(struct table *t, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;

    if (t->cut != NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    t->cut = arena_strdup(&t->arena, text);
}

uint32_t
table_intern(struct table *t, struct id128 id)
{
    struct recent_id *recent = &t->recent[id.lo % TABLE_RECENT_IDS];
    uint32_t *at;

    if (recent->number != TABLE_NONE && id128_equal(recent->id, id))
        return recent->number;
    at = map_put(&t->id_map, id);
    if (*at == MAP_NONE) {
        GROW(t->ids, t->id_count, t->id_cap);
        *at = t->id_count;
        t->ids[t->id_count++] = id;
    }
    *recent = (struct recent_id){id, *at};
    return *at;
}

uint16_t
table_name(struct table *t, const char *name)
{
    if (name == NULL)
        return 0;
    for (uint32_t i = 0; i < t->name_count; i++)
        if (table_same_word(t->names[i], name))
            return (uint16_t)i;
    if (t->name_count == NAMES_MAX)
        return table_name(t, NAME_OTHER);
    GROW(t->names, t->name_count, t->name_cap);
    t->names[t->name_count] = arena_strdup(&t->arena, name);
    return (uint16_t)t->name_count++;
}

/* ---- invocations ---- */

static uint32_t
operations_add(struct operations *o)
{
    if (o->count == o->cap) {
        o->cap = o->cap == 0 ? 64 : o->cap * 2;
#define X(type, name) o->name = xrealloc(o->name, o->cap * sizeof(type));
        OPERATION_COLUMNS(X)
#undef X
    }
    return o->count++;
}

static uint32_t
attempts_add(struct attempts *a)
{
    if (a->count == a->cap) {
        a->cap = a->cap == 0 ? 64 : a->cap * 2;
#define X(type, name) a->name = xrealloc(a->name, a->cap * sizeof(type));
        ATTEMPT_COLUMNS(X)
#undef X
    }
    return a->count++;
}

static bool
span_equal(const struct table *t, struct span a, struct span b)
{
    return a.count == b.count &&
           (a.count == 0 || memcmp(t->lists + a.first, t->lists + b.first,
                                   a.count * sizeof(t->lists[0])) == 0);
}

/* The fingerprint is the contents themselves: no collision can merge two. */
static bool
same_contents(const struct table *t, uint32_t op, const struct invocation *in)
{
    const struct operations *o = &t->operations;

    return o->function[op] == in->function && o->holder[op] == in->holder &&
           o->lease[op] == in->lease && o->amount[op] == in->amount &&
           span_equal(t, o->resources[op], in->resources);
}

static uint32_t
operation_make(struct table *t, const struct event *e,
               const struct invocation *in)
{
    struct operations *o = &t->operations;
    uint32_t op = operations_add(o);

    o->function[op] = (uint8_t)in->function;
    o->outcome[op] = OUTCOME_UNKNOWN;
    o->claim[op] = (uint8_t)in->claim;
    o->id[op] = e->operation;
    o->client[op] = in->client;
    o->holder[op] = in->holder;
    o->lease[op] = in->lease;
    o->resources[op] = in->resources;
    o->amount[op] = in->amount;
    o->required[op] = in->required;
    o->invoke[op] = (uint32_t)e->index;
    o->end[op] = TABLE_NONE;
    o->answer[op] = TABLE_NONE;
    o->attempt_first[op] = TABLE_NONE;
    o->attempt_last[op] = TABLE_NONE;
    o->attempt_count[op] = 0;
    o->same_id_next[op] = TABLE_NONE;
    return op;
}

/* The operation this invocation belongs to; a new one if there is none. */
static uint32_t
operation_of(struct table *t, const struct event *e,
             const struct invocation *in)
{
    struct operations *o = &t->operations;
    uint32_t *head, op;

    if (!function_is_mutation(in->function) || id128_is_zero(e->operation))
        return operation_make(t, e, in);
    head = map_put(&t->operation_map, e->operation);
    for (op = *head; op != MAP_NONE; op = o->same_id_next[op])
        if (same_contents(t, op, in))
            return op;
    op = operation_make(t, e, in);
    o->same_id_next[op] = *head;
    *head = op;
    return op;
}

/* Where the last attempt of a process is noted, or MAP_NONE. */
static uint32_t *
process_attempt(struct table *t, uint32_t process)
{
    uint32_t cap = t->process_cap;

    if (process >= TABLE_PROCESSES_DIRECT)
        return map_put(&t->process_map, (struct id128){0, process});
    if (process >= cap) {
        while (process >= cap)
            cap = cap == 0 ? 64 : cap * 2;
        t->process_attempts =
            xrealloc(t->process_attempts, cap * sizeof(uint32_t));
        for (uint32_t i = t->process_cap; i < cap; i++)
            t->process_attempts[i] = MAP_NONE;
        t->process_cap = cap;
    }
    return &t->process_attempts[process];
}

static void
add_invoke(struct table *t, const struct event *e)
{
    struct operations *o = &t->operations;
    struct attempts *a = &t->attempts;
    struct invocation in;
    uint32_t op, at, *open;

    if (e->process == HISTORY_PROCESS_NONE) {
        table_cut(t, "event %u invokes without a process", (uint32_t)e->index);
        return;
    }
    if (decode_invocation(t, e, &in) < 0)
        return;
    open = process_attempt(t, e->process);
    if (*open != MAP_NONE && a->complete[*open] == TABLE_NONE) {
        table_cut(t,
                  "event %u: process %u invokes while its attempt of event %u "
                  "is not complete",
                  (uint32_t)e->index, e->process, a->invoke[*open]);
        return;
    }
    op = operation_of(t, e, &in);
    at = attempts_add(a);
    a->operation[at] = op;
    a->process[at] = e->process;
    a->number[at] = e->attempt;
    a->invoke[at] = (uint32_t)e->index;
    a->complete[at] = TABLE_NONE;
    a->invoke_ns[at] = e->time_ns;
    a->complete_ns[at] = INT64_MAX;
    a->outcome[at] = OUTCOME_UNKNOWN;
    a->answer[at] = TABLE_NONE;
    a->node[at] = table_name(t, e->node);
    a->error[at] = 0;
    a->next[at] = TABLE_NONE;
    if (o->attempt_count[op]++ == 0)
        o->attempt_first[op] = at;
    else
        a->next[o->attempt_last[op]] = at;
    o->attempt_last[op] = at;
    *open = at;
}

/* ---- completions ---- */

static void
add_answer(struct table *t, const struct event *e, uint32_t at)
{
    struct operations *o = &t->operations;
    struct attempts *a = &t->attempts;
    uint32_t op = a->operation[at];
    struct answer answer = {.operation = op,
                            .attempt = at,
                            .event = (uint32_t)e->index,
                            .node = a->node[at]};

    if (e->node != NULL)
        answer.node = table_name(t, e->node);
    if (decode_answer(t, e, (enum function)o->function[op], &answer) < 0)
        return;
    GROW(t->answers, t->answer_count, t->answer_cap);
    t->answers[t->answer_count] = answer;
    a->answer[at] = t->answer_count;
    a->outcome[at] = OUTCOME_OK;
    a->complete[at] = answer.event;
    a->complete_ns[at] = e->time_ns;
    if (o->end[op] == TABLE_NONE) {
        o->end[op] = answer.event;
        o->answer[op] = t->answer_count;
    }
    t->answer_count++;
}

static void
add_completion(struct table *t, const struct event *e)
{
    struct attempts *a = &t->attempts;
    uint32_t at = *process_attempt(t, e->process);

    if (at == MAP_NONE || a->complete[at] != TABLE_NONE) {
        table_cut(t,
                  "event %u completes an attempt of process %u that has none "
                  "open",
                  (uint32_t)e->index, e->process);
        return;
    }
    if (!id128_equal(t->operations.id[a->operation[at]], e->operation) ||
        a->number[at] != e->attempt) {
        table_cut(t,
                  "event %u completes another attempt than the one process %u "
                  "began at event %u",
                  (uint32_t)e->index, e->process, a->invoke[at]);
        return;
    }
    if (e->kind == EVENT_OK) {
        add_answer(t, e, at);
        return;
    }
    a->complete[at] = (uint32_t)e->index;
    a->complete_ns[at] = e->time_ns;
    a->outcome[at] = e->kind == EVENT_FAIL ? OUTCOME_FAIL : OUTCOME_UNKNOWN;
    a->error[at] = table_name(t, e->error);
    if (e->node != NULL)
        a->node[at] = table_name(t, e->node);
}

static void
add_remark(struct table *t, const struct event *e)
{
    struct remark *r;

    GROW(t->remarks, t->remark_count, t->remark_cap);
    r = &t->remarks[t->remark_count++];
    r->event = (uint32_t)e->index;
    r->time_ns = e->time_ns;
    r->fault = e->kind == EVENT_FAULT;
    r->node = table_name(t, e->node);
    r->function = arena_strdup(&t->arena, e->function);
    r->fields = fields_copy(&t->arena, &e->fields);
}

void
table_add(struct table *t, const struct event *e)
{
    if (t->cut != NULL)
        return;
    if (e->index != t->event_count || e->index >= TABLE_EVENTS_MAX) {
        table_cut(t, "event %llu stands where %u is due",
                  (unsigned long long)e->index, t->event_count);
        return;
    }
    switch (e->kind) {
    case EVENT_INVOKE:
        add_invoke(t, e);
        break;
    case EVENT_OK:
    case EVENT_FAIL:
    case EVENT_UNKNOWN:
        add_completion(t, e);
        break;
    case EVENT_FAULT:
    case EVENT_NOTE:
        add_remark(t, e);
        break;
    default:
        table_cut(t, "event %u has an unknown kind", t->event_count);
    }
    if (t->cut != NULL)
        return;
    if (t->event_count == 0)
        t->first_ns = e->time_ns;
    t->last_ns = e->time_ns;
    t->event_count++;
}

/* ---- the end ---- */

static enum attempt_outcome
settle(const struct table *t, uint32_t op)
{
    const struct attempts *a = &t->attempts;

    if (t->operations.answer[op] != TABLE_NONE)
        return OUTCOME_OK;
    for (uint32_t at = t->operations.attempt_first[op]; at != TABLE_NONE;
         at = a->next[at])
        if (a->outcome[at] != OUTCOME_FAIL)
            return OUTCOME_UNKNOWN;
    return OUTCOME_FAIL;
}

void
table_finish(struct table *t, bool sealed, uint64_t dropped_bytes,
             const char *damage)
{
    for (uint32_t op = 0; op < t->operations.count; op++)
        t->operations.outcome[op] = (uint8_t)settle(t, op);
    t->sealed = sealed;
    t->dropped_bytes = dropped_bytes;
    if (t->cut != NULL)
        t->cut = arena_printf(&t->arena, "malformed history: %s", t->cut);
    else if (damage != NULL)
        t->cut = arena_printf(&t->arena, "damaged history: %s", damage);
    table_free_maps(t);
}
