/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small random histories of the allocator, made by playing a cluster: clients
 * with lost replies and retries, requests that arrive late or twice, ticks
 * whose expirations stop half way, reads from old states, leader changes. Every
 * history is correct by construction; trial_corrupt() changes one thing, which
 * may or may not make it incorrect.
 */
#ifndef ORDEAL_TESTS_RANDOM_TRIAL_H
#define ORDEAL_TESTS_RANDOM_TRIAL_H

#include <assert.h>
#include <string.h>

#include "harness/base/rng.h"
#include "tests/lib/table-builder.h"
#include "tests/lib/tiny-allocator.h"

#define TRIAL_CLIENTS 3
#define TRIAL_OPERATIONS 16
#define TRIAL_ATTEMPTS 40
#define TRIAL_EVENTS (2 * TRIAL_ATTEMPTS + 2)
#define TRIAL_STATES 96

struct trial_operation {
    struct tiny_command command;
    int id, client;
};

struct trial_attempt {
    int operation, number, node;
    int invoke, end; /* events; end -1: none */
    enum event_kind kind;
    struct tiny_result result;
};

struct trial {
    bool positions;
    struct trial_operation operations[TRIAL_OPERATIONS];
    int operation_count;
    struct trial_attempt attempts[TRIAL_ATTEMPTS];
    int attempt_count;
    struct {
        int attempt; /* -1: the note that the sweep begins */
        bool completes;
    } events[TRIAL_EVENTS];
    int event_count;
};

/* ---- playing a cluster ---- */

enum flight { FLIGHT_WAITS, FLIGHT_EXPIRES, FLIGHT_DONE, FLIGHT_OVER };

struct play {
    struct trial *trial;
    struct rng *rng;
    struct tiny state, past[TRIAL_STATES];
    int index, term, next_id, operations_max;
    enum flight flights[TRIAL_ATTEMPTS];
    bool conflict[TRIAL_ATTEMPTS];
    struct {
        int operation, retire;
        struct tiny_result result;
    } records[TRIAL_OPERATIONS + 1]; /* by id */
    struct {
        int tick, lease, deadline;
    } due[TINY_LEASES];
    int due_count;
    struct {
        int operation, attempt; /* -1: none */
        bool settled;
    } clients[TRIAL_CLIENTS];
};

static inline int
pick(struct play *p, int bound)
{
    return (int)rng_below(p->rng, (uint64_t)bound);
}

static inline void
play_entry(struct play *p)
{
    assert(p->index + 1 < TRIAL_STATES);
    p->past[++p->index] = p->state;
}

/* Some lease that may exist, or one that does not. */
static inline int
play_lease(struct play *p)
{
    if (p->state.lease_count == 0 || pick(p, 12) == 0)
        return 60 + pick(p, 2);
    return p->state.leases[pick(p, p->state.lease_count)].id;
}

static inline struct tiny_command
play_command(struct play *p)
{
    static const enum function mix[] = {
        FUNCTION_CREATE_RESOURCE,
        FUNCTION_RESERVE,
        FUNCTION_RESERVE,
        FUNCTION_RESERVE,
        FUNCTION_RESERVE_BUNDLE,
        FUNCTION_CONFIRM,
        FUNCTION_CONFIRM,
        FUNCTION_RELEASE,
        FUNCTION_RELEASE,
        FUNCTION_REVOKE,
        FUNCTION_RECLAIM,
        FUNCTION_TICK,
        FUNCTION_TICK,
        FUNCTION_TICK,
        FUNCTION_GET_RESOURCE,
        FUNCTION_GET_RESOURCE,
        FUNCTION_GET_LEASE,
    };
    struct tiny_command c = {.function = mix[pick(p, (int)ARRAY_LEN(mix))]};
    const struct tiny_lease *l;

    c.holder = 1 + pick(p, 2);
    c.resource_count = 1;
    c.resources[0] = pick(p, 8) == 0 ? 3 : 1 + pick(p, 2);
    c.lease = play_lease(p);
    l = tiny_find(&p->state, c.lease);
    c.claim = (enum claim)pick(p, 3);
    c.required = p->index == 0 ? 0 : pick(p, p->index + 1);
    if (function_is_reserve(c.function))
        c.amount = pick(p, 16) == 0 ? 0 : 1 + pick(p, TINY_TTL);
    else if (c.function == FUNCTION_TICK)
        c.amount = p->state.slot + pick(p, 4);
    else
        c.amount = l != NULL && pick(p, 4) > 0 ? l->epoch : pick(p, 3);
    if (l != NULL && pick(p, 6) > 0 && !function_is_reserve(c.function))
        c.holder = l->holder;
    if (c.function == FUNCTION_RESERVE_BUNDLE) {
        c.resource_count = pick(p, TINY_BUNDLE + 2);
        for (int i = 0; i < c.resource_count; i++)
            c.resources[i] = 1 + (i + pick(p, 5) / 4) % 2;
    }
    return c;
}

static inline void
play_event(struct play *p, int attempt, bool completes)
{
    struct trial *t = p->trial;

    assert(t->event_count < TRIAL_EVENTS);
    t->events[t->event_count].attempt = attempt;
    t->events[t->event_count++].completes = completes;
}

static inline int
play_send(struct play *p, int operation)
{
    struct trial *t = p->trial;
    int at = t->attempt_count++, number = 1;

    for (int i = 0; i < at; i++)
        number += t->attempts[i].operation == operation;
    t->attempts[at] = (struct trial_attempt){.operation = operation,
                                             .number = number,
                                             .invoke = t->event_count,
                                             .end = -1,
                                             .kind = EVENT_INVOKE};
    p->flights[at] = FLIGHT_WAITS;
    play_event(p, at, false);
    return at;
}

static inline void
play_complete(struct play *p, int at, enum event_kind kind)
{
    struct trial *t = p->trial;
    struct trial_attempt *a = &t->attempts[at];
    int client = t->operations[a->operation].client;

    a->kind = kind;
    a->end = t->event_count;
    play_event(p, at, true);
    p->clients[client].attempt = -1;
    p->clients[client].settled = kind == EVENT_OK;
    if (kind == EVENT_OK || kind == EVENT_FAIL)
        p->flights[at] = FLIGHT_OVER;
}

static inline int
play_new_operation(struct play *p, int client)
{
    struct trial *t = p->trial;
    int op = t->operation_count++, other = pick(p, op + 1);
    struct trial_operation *o = &t->operations[op];

    o->command = play_command(p);
    o->client = client;
    o->id = function_is_mutation(o->command.function) ? ++p->next_id : 0;
    /* Sometimes the id of another operation, which is a conflict. */
    if (o->id != 0 && other < op && t->operations[other].id != 0 &&
        pick(p, 12) == 0)
        o->id = t->operations[other].id;
    return op;
}

static inline void
play_client(struct play *p)
{
    struct trial *t = p->trial;
    int client = pick(p, TRIAL_CLIENTS);
    int op = p->clients[client].operation;
    bool again = op >= 0 && t->operations[op].id != 0 &&
                 pick(p, p->clients[client].settled ? 6 : 4) > 0 &&
                 !(p->clients[client].settled && pick(p, 4) > 0);

    if (p->clients[client].attempt >= 0 ||
        t->attempt_count + 4 >= TRIAL_ATTEMPTS)
        return;
    if (!again) {
        if (t->operation_count >= p->operations_max)
            return;
        op = play_new_operation(p, client);
    }
    p->clients[client].operation = op;
    p->clients[client].settled = false;
    p->clients[client].attempt = play_send(p, op);
}

static inline void
play_tick(struct play *p, int at, const struct tiny_command *c)
{
    struct trial_attempt *a = &p->trial->attempts[at];

    tiny_advance(&p->state, c->amount);
    play_entry(p);
    a->result.slot = p->state.slot;
    a->result.index = p->index;
    a->result.term = p->term;
    p->flights[at] = FLIGHT_DONE;
    for (int i = 0; i < p->state.lease_count; i++) {
        const struct tiny_lease *l = &p->state.leases[i];

        if (l->state != STATE_RESERVED || l->deadline > p->state.slot)
            continue;
        p->due[p->due_count].tick = at;
        p->due[p->due_count].lease = l->id;
        p->due[p->due_count++].deadline = l->deadline;
        p->flights[at] = FLIGHT_EXPIRES;
        if (p->due_count == TINY_LEASES)
            break;
    }
}

static inline void
play_read(struct play *p, int at, const struct tiny_command *c)
{
    struct trial_attempt *a = &p->trial->attempts[at];
    int applied = p->index;

    if (c->claim == CLAIM_FENCED && p->index > c->required)
        applied = c->required + pick(p, p->index - c->required + 1);
    if (c->claim == CLAIM_ANY)
        applied = pick(p, p->index + 1);
    p->past[p->index] = p->state;
    a->result = tiny_read(&p->past[applied], c);
    a->result.applied = applied;
    p->flights[at] = FLIGHT_DONE;
}

static inline void
play_mutation(struct play *p, int at, const struct tiny_command *c)
{
    struct trial_attempt *a = &p->trial->attempts[at];
    int id = p->trial->operations[a->operation].id;

    p->flights[at] = FLIGHT_DONE;
    if (p->records[id].operation >= 0 &&
        p->state.slot <= p->records[id].retire) {
        p->conflict[at] = p->records[id].operation != a->operation;
        a->result = p->records[id].result;
        a->result.cached = true;
        play_entry(p);
        return;
    }
    a->result = tiny_apply(&p->state, c, p->index + 1);
    play_entry(p);
    a->result.index = p->index;
    a->result.term = p->term;
    p->records[id].operation = a->operation;
    p->records[id].retire = p->state.slot + TINY_WINDOW;
    p->records[id].result = a->result;
}

static inline void
play_execute(struct play *p)
{
    struct trial *t = p->trial;
    int at = t->attempt_count == 0 ? 0 : pick(p, t->attempt_count);
    const struct tiny_command *c;

    if (t->attempt_count == 0 || p->flights[at] != FLIGHT_WAITS ||
        p->index + 4 >= TRIAL_STATES || p->due_count + 8 >= TINY_LEASES ||
        p->state.lease_count + 2 >= TINY_LEASES)
        return;
    c = &t->operations[t->attempts[at].operation].command;
    t->attempts[at].node = p->term % 3;
    if (c->function == FUNCTION_TICK)
        play_tick(p, at, c);
    else if (function_is_read(c->function))
        play_read(p, at, c);
    else
        play_mutation(p, at, c);
}

/* The oldest due expiry enters the log, if the lease is still reserved. */
static inline void
play_expire(struct play *p)
{
    struct tiny_result *r = &p->trial->attempts[p->due[0].tick].result;
    struct tiny_lease *l = tiny_find(&p->state, p->due[0].lease);
    int tick = p->due[0].tick;
    bool more = false;

    if (p->index + 4 >= TRIAL_STATES)
        return;
    if (tiny_expire(&p->state, l->id)) {
        struct tiny_row *row = &r->rows[r->row_count++];

        *row = (struct tiny_row){.lease = l->id,
                                 .deadline = l->deadline,
                                 .index = p->index + 1,
                                 .resource_count = l->member_count};
        for (int i = 0; i < l->member_count; i++)
            row->resources[i] = l->members[i];
    }
    play_entry(p);
    for (int i = 1; i < p->due_count; i++) {
        p->due[i - 1] = p->due[i];
        more |= p->due[i].tick == tick;
    }
    p->due_count--;
    if (!more && p->flights[tick] == FLIGHT_EXPIRES)
        p->flights[tick] = FLIGHT_DONE;
}

/* The leader changes: what it had not appended yet never comes. */
static inline void
play_crash(struct play *p)
{
    for (int i = 0; i < p->due_count; i++)
        if (p->flights[p->due[i].tick] == FLIGHT_EXPIRES)
            p->flights[p->due[i].tick] = FLIGHT_OVER;
    p->due_count = 0;
    p->term++;
    play_entry(p);
}

static inline void
play_reply(struct play *p, bool lose)
{
    struct trial *t = p->trial;
    int client = pick(p, TRIAL_CLIENTS), at = p->clients[client].attempt;

    if (at < 0)
        return;
    if (lose) {
        enum flight f = p->flights[at];

        if (f == FLIGHT_WAITS && pick(p, 2) == 0) {
            play_complete(p, at, EVENT_FAIL);
            return;
        }
        play_complete(p, at, EVENT_UNKNOWN);
        if (f == FLIGHT_WAITS && pick(p, 3) == 0)
            p->flights[at] = FLIGHT_OVER;
        return;
    }
    if (p->flights[at] == FLIGHT_DONE) {
        if (t->attempts[at].result.cached)
            t->attempts[at].node = p->term % 3;
        play_complete(p, at, p->conflict[at] ? EVENT_FAIL : EVENT_OK);
    }
}

static inline void
play_step(struct play *p)
{
    switch (pick(p, 12)) {
    case 0:
    case 1:
    case 2:
        play_client(p);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        play_execute(p);
        break;
    case 7:
    case 8:
        play_reply(p, false);
        break;
    case 9:
        if (pick(p, 3) == 0)
            play_reply(p, true);
        break;
    case 10:
        if (p->due_count > 0)
            play_expire(p);
        break;
    default:
        if (pick(p, 12) == 0 && p->index + 4 < TRIAL_STATES)
            play_crash(p);
    }
}

/* Linearizable reads of everything, after a note that the sweep begins. */
static inline void
play_sweep(struct play *p)
{
    struct trial *t = p->trial;
    int reads = 2 + (p->state.lease_count > 0);

    play_event(p, -1, false);
    for (int i = 0; i < reads && t->operation_count < TRIAL_OPERATIONS; i++) {
        struct tiny_command c = {.function = i < 2 ? FUNCTION_GET_RESOURCE
                                                   : FUNCTION_GET_LEASE,
                                 .resource_count = 1,
                                 .resources = {i + 1},
                                 .claim = CLAIM_LINEARIZABLE};
        int op = t->operation_count++, at;

        if (i == 2)
            c.lease = p->state.leases[0].id;
        t->operations[op] = (struct trial_operation){c, 0, 0};
        at = play_send(p, op);
        play_read(p, at, &c);
        play_complete(p, at, EVENT_OK);
    }
}

static inline void
trial_generate(struct trial *t, struct rng *rng, int operations_max)
{
    struct play p = {
        .trial = t, .rng = rng, .term = 1, .operations_max = operations_max};

    memset(t, 0, sizeof(*t));
    for (int i = 0; i <= TRIAL_OPERATIONS; i++)
        p.records[i].operation = -1;
    for (int i = 0; i < TRIAL_CLIENTS; i++)
        p.clients[i].operation = p.clients[i].attempt = -1;
    t->positions = rng_chance(rng, 0.7);
    /* Most histories begin with resources. */
    for (int i = 1; i <= 2; i++) {
        struct tiny_command c = {.function = FUNCTION_CREATE_RESOURCE,
                                 .resource_count = 1,
                                 .resources = {i}};
        int op = t->operation_count++, at;

        t->operations[op] = (struct trial_operation){c, ++p.next_id, 0};
        at = play_send(&p, op);
        t->attempts[at].node = p.term % 3;
        play_mutation(&p, at, &c);
        play_complete(&p, at, EVENT_OK);
    }
    p.clients[0].operation = -1;
    for (int i = 0; i < 14 * operations_max + 30; i++)
        play_step(&p);
    if (pick(&p, 2) == 0)
        play_sweep(&p);
    /* The last replies are lost; of some the driver does not even know. */
    for (int i = 0; i < TRIAL_CLIENTS; i++)
        if (p.clients[i].attempt >= 0 && pick(&p, 2) == 0)
            play_complete(&p, p.clients[i].attempt, EVENT_UNKNOWN);
}

/* ---- corruption ---- */

static inline void
corrupt_read(struct tiny_result *r, struct rng *rng)
{
    switch (rng_below(rng, 7)) {
    case 0:
        r->applied += (int)rng_below(rng, 5) - 2;
        if (r->applied < 0)
            r->applied = 0;
        break;
    case 1:
        r->state = (enum state)rng_below(rng, STATE_OTHER);
        break;
    case 2:
        r->version++;
        break;
    case 3:
        r->version -= r->version > 0;
        break;
    case 4:
        r->found = !r->found;
        r->state = STATE_RESERVED;
        break;
    case 5:
        r->lease = 1 + (int)rng_below(rng, 8);
        break;
    default:
        r->retired = !r->retired;
        r->epoch++;
    }
}

static inline void
corrupt_answer(struct tiny_result *r, struct rng *rng)
{
    switch (rng_below(rng, 8)) {
    case 0:
    case 1:
        r->code = rng_chance(rng, 0.5) ? CODE_OK
                                       : (enum code)rng_below(rng, CODE_OTHER);
        if (r->code == CODE_OK && r->lease == 0)
            r->lease = 30 + (int)rng_below(rng, 3);
        break;
    case 2:
        r->slot += 1 - 2 * (int)(r->slot > 0 && rng_chance(rng, 0.5));
        break;
    case 3:
        r->epoch += 1;
        break;
    case 4:
        r->deadline += 1;
        break;
    case 5:
        r->index += (int)rng_below(rng, 5) - 2;
        if (r->index < 1)
            r->index = 1;
        break;
    case 6:
        r->lease = 1 + (int)rng_below(rng, 8);
        break;
    default:
        if (r->row_count > 0)
            r->rows[0].deadline += 2;
        else
            r->index += 1;
    }
}

/* Changes one answer. */
static inline void
trial_corrupt(struct trial *t, struct rng *rng)
{
    for (int i = 0; i < 50; i++) {
        struct trial_attempt *a =
            &t->attempts[rng_below(rng, (uint64_t)t->attempt_count)];

        if (a->kind != EVENT_OK)
            continue;
        if (function_is_read(t->operations[a->operation].command.function))
            corrupt_read(&a->result, rng);
        else
            corrupt_answer(&a->result, rng);
        return;
    }
}

/* ---- into a table ---- */

static inline struct value
trial_id(int id)
{
    return (struct value){.type = VALUE_INT, .integer = id};
}

static inline void
trial_list(struct arena *a, struct fields *f, const char *key,
           const int *numbers, int count)
{
    struct value items[TINY_BUNDLE + 2];

    for (int i = 0; i < count; i++)
        items[i] = trial_id(numbers[i]);
    fields_set_list(a, f, key, items, (size_t)count);
}

static inline void
trial_arguments(const struct trial_operation *o, struct arena *a,
                struct fields *f)
{
    static const char *const claims[] = {"linearizable", "fenced", "any"};
    const struct tiny_command *c = &o->command;

    fields_set_int(a, f, "client", o->client);
    if (c->function == FUNCTION_RESERVE_BUNDLE)
        trial_list(a, f, "resources", c->resources, c->resource_count);
    else if (c->function == FUNCTION_TICK)
        fields_set_int(a, f, "slot", c->amount);
    else if (c->function <= FUNCTION_RESERVE ||
             c->function == FUNCTION_GET_RESOURCE)
        fields_set_int(a, f, "resource", c->resources[0]);
    else
        fields_set_int(a, f, "lease", c->lease);
    if (function_is_reserve(c->function))
        fields_set_int(a, f, "ttl", c->amount);
    if (c->function == FUNCTION_CONFIRM || c->function == FUNCTION_RELEASE)
        fields_set_int(a, f, "epoch", c->amount);
    if (c->function >= FUNCTION_RESERVE && c->function <= FUNCTION_RELEASE)
        fields_set_int(a, f, "holder", c->holder);
    if (!function_is_read(c->function))
        return;
    fields_set_string(a, f, "claim", claims[c->claim]);
    if (c->claim == CLAIM_FENCED)
        fields_set_int(a, f, "required", c->required);
}

static inline void
trial_rows(struct arena *a, struct fields *f, const struct tiny_result *r)
{
    struct value items[TINY_RESERVATIONS];

    for (int i = 0; i < r->row_count; i++) {
        const struct tiny_row *row = &r->rows[i];
        struct value *v = arena_alloc(a, 4 * sizeof(*v));
        struct value *members = arena_alloc(a, 4 * sizeof(*members));

        for (int j = 0; j < row->resource_count; j++)
            members[j] = trial_id(row->resources[j]);
        v[0] = trial_id(row->lease);
        v[1] = trial_id(row->deadline);
        v[2] = trial_id(row->index);
        v[3] = (struct value){.type = VALUE_LIST};
        v[3].list.items = members;
        v[3].list.count = (size_t)row->resource_count;
        items[i] = (struct value){.type = VALUE_LIST};
        items[i].list.items = v;
        items[i].list.count = 4;
    }
    fields_set_list(a, f, "expired", items, (size_t)r->row_count);
}

static inline void
trial_result(const struct trial *t, const struct tiny_command *c,
             const struct tiny_result *r, struct arena *a, struct fields *f)
{
    fields_set_int(a, f, "slot", r->slot);
    if (!function_is_read(c->function)) {
        fields_set_string(a, f, "code", code_name(r->code));
        fields_set_bool(a, f, "cached", r->cached);
        if (c->function == FUNCTION_TICK)
            trial_rows(a, f, r);
        if (r->code != CODE_OK || r->lease == 0)
            return;
        fields_set_int(a, f, "lease", r->lease);
        fields_set_int(a, f, "epoch", r->epoch);
        if (function_is_reserve(c->function))
            fields_set_int(a, f, "deadline", r->deadline);
        return;
    }
    if (t->positions)
        fields_set_int(a, f, "applied", r->applied);
    fields_set_bool(a, f, "found", r->found);
    fields_set_bool(a, f, "retired", r->retired);
    if (!r->found)
        return;
    fields_set_string(a, f, "state", state_name(r->state));
    if (c->function == FUNCTION_GET_RESOURCE) {
        fields_set_int(a, f, "version", r->version);
        if (r->state != STATE_AVAILABLE)
            fields_set_int(a, f, "lease", r->lease);
        return;
    }
    fields_set_int(a, f, "holder", r->holder);
    fields_set_int(a, f, "epoch", r->epoch);
    fields_set_int(a, f, "deadline", r->deadline);
    trial_list(a, f, "resources", r->resources, r->resource_count);
}

static inline void
trial_event(const struct trial *t, int number, struct arena *a,
            struct event *ret)
{
    static const char *const nodes[] = {"n1", "n2", "n3"};
    const struct trial_attempt *at = &t->attempts[t->events[number].attempt];
    const struct trial_operation *o = &t->operations[at->operation];

    *ret = (struct event){
        .index = (uint64_t)number,
        .time_ns = number * 1000,
        .process = (uint32_t)t->events[number].attempt,
        .kind = EVENT_INVOKE,
        .operation = {0, (uint64_t)o->id},
        .attempt = (uint32_t)at->number,
        .function = function_name(o->command.function),
        .node = nodes[at->node],
    };
    if (!t->events[number].completes) {
        trial_arguments(o, a, &ret->fields);
        return;
    }
    ret->kind = at->kind;
    if (at->kind != EVENT_OK)
        return;
    trial_result(t, &o->command, &at->result, a, &ret->fields);
    if (t->positions && !function_is_read(o->command.function))
        ret->position = (struct position){true, (uint64_t)at->result.term,
                                          (uint64_t)at->result.index};
}

static inline void
trial_build(const struct trial *t, struct builder *b)
{
    char meta[256];

    snprintf(meta, sizeof(meta), TINY_META, t->positions ? "total" : "none");
    builder_init(b, meta);
    for (int i = 0; i < t->event_count; i++) {
        struct event e;

        if (t->events[i].attempt < 0) {
            b->next = (uint64_t)i;
            remark(b, EVENT_NOTE, "phase", NULL, "{'name':'sweep'}");
            continue;
        }
        trial_event(t, i, &b->arena, &e);
        table_add(b->table, &e);
    }
}

#endif
