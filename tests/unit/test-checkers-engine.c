/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The analyzer against the replica's own lease engine: long histories of one
 * engine behind a network that loses replies, with every kind of answer.  The
 * clean engine is never accused and every replay succeeds; each bug planted in
 * the engine is caught by the checker that is for it.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/report.h"
#include "harness/base/rng.h"
#include "replica/engine-lease.h"
#include "tests/lib/table-builder.h"
#include "tests/lib/tap.h"

#define RESOURCES 6
#define RECENT 32
#define OPERATIONS 4000
#define META                                                                   \
    "{'positions':'total','scenario':'engine','limits':{'resources':5,"        \
    "'reservations':12,'bundle':3,'members':20,'bucket':4,'ttl_slots':8,"      \
    "'retry_slots':200,'history_slots':4}}"

struct world {
    struct engine *engine;
    struct builder b;
    struct rng rng;
    uint64_t index, operation;
    struct command recent[RECENT]; /* to send again */
    uint64_t recent_count;
    struct id128 leases[RECENT];
    uint64_t lease_count;
    int64_t slot;
    uint32_t process; /* that asks next */
};

static const struct engine_limits limits = {
    .resources = 5,
    .reservations = 12,
    .bundle = 3,
    .members = 20,
    .operations = 65536,
    .bucket = 4,
    .expirations_per_tick = 3,
    .ttl_slots = 8,
    .retry_slots = 200,
    .history_slots = 4,
};

static uint64_t
below(struct world *w, uint64_t bound)
{
    return rng_below(&w->rng, bound);
}

static void
apply(struct world *w, const struct command *c, struct outcome *ret)
{
    struct buf payload;
    struct engine_entry entry = {.view = 1, .index = ++w->index};

    buf_init(&payload, COMMAND_BYTES_MAX);
    command_encode(c, &payload);
    entry.payload = payload.data;
    entry.len = payload.len;
    w->engine->ops->apply(w->engine, &entry, ret);
    buf_release(&payload);
}

/* ---- events ---- */

static void
append(struct world *w, struct event *e)
{
    e->index = w->b.next++;
    e->time_ns = (int64_t)e->index;
    table_add(w->b.table, e);
}

static struct value
resource_list(struct world *w, const struct id128 *ids, uint32_t count)
{
    struct value *items =
        arena_alloc(&w->b.arena, (count + 1) * sizeof(*items));
    struct value list = {.type = VALUE_LIST};

    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct value){.type = VALUE_ID, .id = ids[i]};
    list.list.items = items;
    list.list.count = count;
    return list;
}

static struct event
invocation(struct world *w, const struct command *c, uint32_t attempt)
{
    struct arena *a = &w->b.arena;
    struct event e = {.process = w->process,
                      .kind = EVENT_INVOKE,
                      .operation = c->operation,
                      .attempt = attempt,
                      .function = command_name(c->tag),
                      .node = "n1"};

    fields_set_int(a, &e.fields, "client", (int64_t)c->client);
    if (c->tag == COMMAND_TICK) {
        fields_set_int(a, &e.fields, "slot", (int64_t)c->slot);
    } else if (c->tag == COMMAND_RESERVE_BUNDLE) {
        fields_set(a, &e.fields, "resources",
                   resource_list(w, c->resources, c->resource_count));
    } else if (c->tag <= COMMAND_RESERVE) {
        fields_set_id(a, &e.fields, "resource", c->resources[0]);
    } else {
        fields_set_id(a, &e.fields, "lease", c->lease);
        fields_set_int(a, &e.fields, "epoch", (int64_t)c->epoch);
    }
    fields_set_id(a, &e.fields, "holder", c->holder);
    fields_set_int(a, &e.fields, "ttl", (int64_t)c->ttl);
    return e;
}

static void
answered(struct world *w, struct event e, const struct outcome *o)
{
    struct arena *a = &w->b.arena;

    e.kind = o->recorded ? EVENT_OK : EVENT_FAIL;
    e.fields = (struct fields){0};
    if (o->recorded) {
        e.position = AT(o->view, o->index);
        fields_set_string(a, &e.fields, "code", result_code_name(o->code));
        fields_set_bool(a, &e.fields, "cached", o->cached);
        fields_set_int(a, &e.fields, "slot", (int64_t)o->slot);
    }
    if ((o->has & OUTCOME_LEASE) != 0) {
        fields_set_id(a, &e.fields, "lease", o->lease);
        fields_set_int(a, &e.fields, "epoch", (int64_t)o->epoch);
    }
    if ((o->has & OUTCOME_DEADLINE) != 0)
        fields_set_int(a, &e.fields, "deadline", (int64_t)o->deadline);
    append(w, &e);
}

static void
lost(struct world *w, struct event e)
{
    e.kind = EVENT_UNKNOWN;
    e.fields = (struct fields){0};
    append(w, &e);
}

/* ---- what clients do ---- */

static struct command
next_command(struct world *w)
{
    static const enum command_tag mix[] = {
        COMMAND_CREATE_RESOURCE, COMMAND_RESERVE, COMMAND_RESERVE,
        COMMAND_RESERVE,         COMMAND_RESERVE, COMMAND_RESERVE_BUNDLE,
        COMMAND_CONFIRM,         COMMAND_CONFIRM, COMMAND_CONFIRM,
        COMMAND_RELEASE,         COMMAND_RELEASE, COMMAND_RELEASE,
        COMMAND_REVOKE,          COMMAND_RECLAIM};
    struct command c = {.tag = mix[below(w, ARRAY_LEN(mix))],
                        .operation = {1, ++w->operation},
                        .client = below(w, 4),
                        .resource_count = 1,
                        .ttl = below(w, 10)};
    struct lease_view view;
    bool retired;

    if (c.tag == COMMAND_RESERVE_BUNDLE)
        c.resource_count = (uint32_t)below(w, 5);
    for (uint32_t i = 0; i < c.resource_count; i++)
        c.resources[i].lo = 1 + below(w, RESOURCES);
    c.holder.lo = 1 + below(w, 3);
    if (w->lease_count > 0)
        c.lease = w->leases[below(w, w->lease_count < RECENT ? w->lease_count
                                                             : RECENT)];
    c.epoch = 1 + below(w, 2);
    if (below(w, 4) > 0 &&
        engine_lease_get_lease(w->engine, c.lease, &view, &retired)) {
        c.holder = view.holder;
        if (below(w, 3) > 0)
            c.epoch = view.epoch;
    }
    return c;
}

static void
send_command(struct world *w, const struct command *c)
{
    struct outcome o;
    uint32_t attempt = 0;
    struct event e;

    do {
        e = invocation(w, c, ++attempt);
        append(w, &e);
        if (below(w, 3) > 0 || attempt == 6)
            apply(w, c, &o);
        else
            o = (struct outcome){0};
        if (!o.recorded && o.code == RESULT_OK) {
            lost(w, e); /* it never arrived */
            continue;
        }
        if (attempt < 6 && below(w, 8) == 0) {
            lost(w, e); /* the reply was lost */
            o = (struct outcome){0};
            continue;
        }
        answered(w, e, &o);
        break;
    } while (true);
    if (o.recorded && (o.has & OUTCOME_DEADLINE) != 0)
        w->leases[w->lease_count++ % RECENT] = o.lease;
    w->recent[w->recent_count++ % RECENT] = *c;
}

struct planned {
    struct world *world;
    struct value rows[16];
    unsigned count, stop;
};

static void
expire(void *ctx, const void *payload, size_t len)
{
    struct planned *p = ctx;
    struct world *w = p->world;
    struct engine_entry entry = {.view = 1, .payload = payload, .len = len};
    struct command c;
    struct lease_view view;
    struct error err;
    struct outcome o;
    struct value *items;
    bool retired;

    if (p->stop-- == 0 || command_decode(payload, len, &c, &err) < 0)
        return;
    if (!engine_lease_get_lease(w->engine, c.lease, &view, &retired))
        return;
    entry.index = ++w->index;
    w->engine->ops->apply(w->engine, &entry, &o);
    if (o.code != RESULT_OK)
        return;
    items = arena_alloc(&w->b.arena, 4 * sizeof(*items));
    items[0] = (struct value){.type = VALUE_ID, .id = c.lease};
    items[1].type = items[2].type = VALUE_INT;
    items[1].integer = (int64_t)view.deadline;
    items[2].integer = (int64_t)entry.index;
    items[3] = resource_list(w, view.resources, view.resource_count);
    p->rows[p->count].type = VALUE_LIST;
    p->rows[p->count].list.items = items;
    p->rows[p->count++].list.count = 4;
}

static void
send_tick(struct world *w)
{
    struct command c = {.tag = COMMAND_TICK};
    struct planned p = {.world = w, .stop = below(w, 4) == 0 ? 1 : 16};
    struct outcome o = {0};
    struct event e;

    w->slot += (int64_t)below(w, 3);
    c.slot = (uint64_t)w->slot;
    e = invocation(w, &c, 1);
    append(w, &e);
    if (p.stop == 1 && below(w, 3) == 0) {
        lost(w, e); /* it never arrived */
        return;
    }
    apply(w, &c, &o);
    w->engine->ops->plan(w->engine, o.slot, expire, &p);
    if (p.stop <= 1) {
        lost(w, e); /* the primary went away in the middle */
        return;
    }
    e.kind = EVENT_OK;
    e.position = AT(o.view, o.index);
    e.fields = (struct fields){0};
    fields_set_string(&w->b.arena, &e.fields, "code", "ok");
    fields_set_int(&w->b.arena, &e.fields, "slot", (int64_t)o.slot);
    fields_set_list(&w->b.arena, &e.fields, "expired", p.rows, p.count);
    append(w, &e);
}

static void
show_lease(struct world *w, struct id128 id, struct fields *f)
{
    struct arena *a = &w->b.arena;
    struct lease_view view;
    bool retired;
    bool found = engine_lease_get_lease(w->engine, id, &view, &retired);

    fields_set_bool(a, f, "found", found);
    fields_set_bool(a, f, "retired", retired);
    if (!found)
        return;
    fields_set_string(a, f, "state", lease_state_name(view.state));
    fields_set_id(a, f, "holder", view.holder);
    fields_set_int(a, f, "epoch", (int64_t)view.epoch);
    fields_set_int(a, f, "deadline", (int64_t)view.deadline);
    fields_set_int(a, f, "created", (int64_t)view.created);
    fields_set(a, f, "resources",
               resource_list(w, view.resources, view.resource_count));
}

static void
send_read(struct world *w)
{
    struct arena *a = &w->b.arena;
    struct event e = {.process = w->process,
                      .kind = EVENT_INVOKE,
                      .attempt = 1,
                      .function = "get_lease"};
    struct id128 id = {0, 1 + below(w, RESOURCES)};
    struct resource_view view;
    bool found;

    if (w->lease_count > 0 && below(w, 2) == 0) {
        id = w->leases[below(w, w->lease_count < RECENT ? w->lease_count
                                                        : RECENT)];
        fields_set_id(a, &e.fields, "lease", id);
    } else {
        e.function = "get_resource";
        fields_set_id(a, &e.fields, "resource", id);
    }
    fields_set_string(a, &e.fields, "claim", "linearizable");
    append(w, &e);
    e.kind = EVENT_OK;
    e.fields = (struct fields){0};
    fields_set_int(a, &e.fields, "applied", (int64_t)w->index);
    fields_set_int(a, &e.fields, "slot",
                   (int64_t)w->engine->ops->slot(w->engine));
    if (strcmp(e.function, "get_lease") == 0) {
        show_lease(w, id, &e.fields);
        append(w, &e);
        return;
    }
    found = engine_lease_get_resource(w->engine, id, &view);
    fields_set_bool(a, &e.fields, "found", found);
    if (found) {
        fields_set_string(a, &e.fields, "state",
                          resource_state_name(view.state));
        fields_set_int(a, &e.fields, "version", (int64_t)view.version);
        if (!id128_is_zero(view.lease))
            fields_set_id(a, &e.fields, "lease", view.lease);
    }
    append(w, &e);
}

/* Plays 'count' operations and judges. */
static void
play(struct world *w, enum bug bug, uint64_t seed, unsigned count)
{
    memset(w, 0, sizeof(*w));
    rng_init(&w->rng, seed);
    w->engine = engine_new(&engine_lease_ops, &limits, bug);
    builder_init(&w->b, META);
    for (unsigned i = 0; i < count; i++) {
        struct command c;

        w->process = i;
        switch (below(w, 12)) {
        case 0:
            send_tick(w);
            break;
        case 1:
        case 2:
        case 3:
            send_read(w);
            break;
        case 4:
            if (w->recent_count > 0) {
                c = w->recent[below(
                    w, w->recent_count < RECENT ? w->recent_count : RECENT)];
                send_command(w, &c);
            }
            break;
        default:
            c = next_command(w);
            send_command(w, &c);
        }
        if (bug == BUG_FORGET_OPERATIONS && below(w, 200) == 0)
            w->engine->ops->forget_operations(w->engine);
    }
    judge(&w->b, NULL);
}

static void
world_release(struct world *w)
{
    engine_free(w->engine);
    builder_release(&w->b);
}

static void
test_clean_engine(void)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct world w;

        play(&w, BUG_NONE, seed, OPERATIONS);
        if (analyzer_exit_status(w.b.result) != 0) {
            printf("# seed %llu\n", (unsigned long long)seed);
            report_print(w.b.result, "clean", stdout);
        }
        CHECK(w.b.table->cut == NULL);
        CHECK_STR(verdict_of(&w.b, "linearizable"), "valid");
        CHECK_INT(analyzer_exit_status(w.b.result), 0);
        world_release(&w);
    }
}

/* The bug is caught by its checker, and the witness is not empty. */
static bool
caught(enum bug bug, const char *checker)
{
    unsigned count = 0;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world w;

        play(&w, bug, seed, OPERATIONS);
        if (strcmp(verdict_of(&w.b, checker), "invalid") == 0 &&
            strlen(witness_of(&w.b, checker)) > 40)
            count++;
        if (seed == 1)
            printf("# %s: %s\n", checker, witness_of(&w.b, checker));
        world_release(&w);
    }
    return count == 10;
}

static void
test_planted_bugs(void)
{
    CHECK(caught(BUG_DOUBLE_ALLOCATION, "double_allocation"));
    CHECK(caught(BUG_EARLY_EXPIRY, "early_expiration"));
    CHECK(caught(BUG_IGNORE_EPOCH, "stale_holder"));
    CHECK(caught(BUG_FORGET_OPERATIONS, "duplicate_execution"));
}

int
main(void)
{
    RUN(test_clean_engine);
    RUN(test_planted_bugs);
    return tap_done();
}
