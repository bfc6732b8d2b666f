/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lease history as the driver records it (docs/ARCHITECTURE.md), each
 * operation in one attempt by a process of its own, judged by all checkers.
 */
#include "config.h"

#include <stdio.h>

#include "harness/base/arena.h"
#include "tests/lib/table-builder.h"
#include "tests/simulation/history.h"

/* The limits of machine.c. */
#define META                                                                   \
    "{'positions':'total','scenario':'simulation','limits':{'resources':5,"    \
    "'reservations':12,'bundle':3,'members':20,'bucket':4,'ttl_slots':8,"      \
    "'retry_slots':2000,'history_slots':4}}"

static struct value
list_value(struct arena *a, const uint64_t *ids, unsigned count)
{
    struct value *items = arena_alloc(a, (count + 1) * sizeof(*items));
    struct value list = {.type = VALUE_LIST};

    for (unsigned i = 0; i < count; i++)
        items[i] = (struct value){.type = VALUE_ID, .id = {0, ids[i]}};
    list.list.items = items;
    list.list.count = count;
    return list;
}

static void
set_id(struct arena *a, struct fields *f, const char *name, uint64_t id)
{
    fields_set_id(a, f, name, (struct id128){0, id});
}

static void
set_int(struct arena *a, struct fields *f, const char *name, uint64_t v)
{
    fields_set_int(a, f, name, (int64_t)v);
}

static bool
is(const struct machine_op *op, const char *function)
{
    return strcmp(op->function, function) == 0;
}

static const char *
function_of(const struct machine_op *op)
{
    if (!is(op, "read"))
        return op->function;
    return strcmp(op->what, "lease") == 0 ? "get_lease" : "get_resource";
}

static void
set_arguments(struct arena *a, const struct machine_op *op, struct fields *f)
{
    set_int(a, f, "client", op->client);
    if (is(op, "read")) {
        set_id(a, f, op->what, op->a);
        fields_set_string(a, f, "claim", "linearizable");
    } else if (is(op, "tick")) {
        set_int(a, f, "slot", op->n);
    } else if (is(op, "reserve_bundle")) {
        fields_set(a, f, "resources", list_value(a, op->list, op->list_count));
    } else if (is(op, "reserve") || is(op, "create_resource")) {
        set_id(a, f, "resource", op->list[0]);
    } else {
        set_id(a, f, "lease", op->a);
        set_int(a, f, "epoch", op->n);
    }
    if (!is(op, "read") && !is(op, "tick")) {
        set_id(a, f, "holder", op->b);
        set_int(a, f, "ttl", op->m);
    }
}

static void
set_read(struct arena *a, const struct history_op *o, struct fields *f)
{
    const struct machine_answer *r = &o->answer;

    fields_set_bool(a, f, "found", r->found);
    fields_set_bool(a, f, "retired", r->retired);
    set_int(a, f, "applied", r->index);
    if (!r->found)
        return;
    fields_set_string(a, f, "state", r->state);
    if (strcmp(o->op.what, "resource") == 0) {
        set_int(a, f, "version", r->version);
        if (r->lease != 0)
            set_id(a, f, "lease", r->lease);
        return;
    }
    set_id(a, f, "holder", r->holder);
    set_int(a, f, "epoch", r->epoch);
    set_int(a, f, "deadline", r->deadline);
    set_int(a, f, "created", r->created);
    fields_set(a, f, "resources", list_value(a, r->list, r->list_count));
}

static void
set_expired(struct arena *a, const struct machine_answer *r, struct fields *f)
{
    struct value *rows = arena_alloc(a, MACHINE_DUE_MAX * sizeof(*rows));

    for (unsigned i = 0; i < r->expired_count; i++) {
        const struct machine_expired *x = &r->expired[i];
        struct value *items = arena_alloc(a, 4 * sizeof(*items));

        items[0] = (struct value){.type = VALUE_ID, .id = {0, x->lease}};
        items[1].type = items[2].type = VALUE_INT;
        items[1].integer = (int64_t)x->deadline;
        items[2].integer = (int64_t)x->index;
        items[3] = list_value(a, x->list, x->list_count);
        rows[i].type = VALUE_LIST;
        rows[i].list.items = items;
        rows[i].list.count = 4;
    }
    fields_set_list(a, f, "expired", rows, r->expired_count);
}

static void
set_results(struct arena *a, const struct history_op *o, struct fields *f)
{
    const struct machine_answer *r = &o->answer;

    set_int(a, f, "slot", r->slot);
    if (is(&o->op, "read")) {
        set_read(a, o, f);
        return;
    }
    fields_set_string(a, f, "code", r->code);
    if (is(&o->op, "tick")) {
        set_expired(a, r, f);
        return;
    }
    fields_set_bool(a, f, "cached", r->cached);
    if (r->has_lease) {
        set_id(a, f, "lease", r->lease);
        set_int(a, f, "epoch", r->epoch);
    }
    if (r->has_deadline)
        set_int(a, f, "deadline", r->deadline);
}

static void
add_event(struct builder *b, const struct history_op *o, uint32_t process,
          bool ends)
{
    const struct machine_answer *r = &o->answer;
    struct event e = {.process = process,
                      .attempt = 1,
                      .function = function_of(&o->op),
                      .node = "n1"};

    if (!is(&o->op, "read") && !is(&o->op, "tick"))
        e.operation = (struct id128){0, o->op.operation};
    e.index = b->next++;
    e.time_ns = (int64_t)e.index * 1000;
    e.kind = !ends ? EVENT_INVOKE : r->recorded ? EVENT_OK : EVENT_FAIL;
    if (!ends)
        set_arguments(&b->arena, &o->op, &e.fields);
    else if (r->recorded)
        set_results(&b->arena, o, &e.fields);
    if (ends && r->recorded && !is(&o->op, "read"))
        e.position = AT(r->view, r->index);
    table_add(b->table, &e);
}

static void
add_all(struct builder *b, const struct sim_history *h)
{
    CLEANUP_FREE uint32_t *at = xcalloc(h->ranks, sizeof(*at));

    for (uint32_t i = 0; i < h->count; i++) {
        at[h->ops[i].invoke] = 2 * i;
        if (h->ops[i].complete != HISTORY_OPEN)
            at[h->ops[i].complete] = 2 * i + 1;
    }
    for (uint32_t k = 0; k < h->ranks; k++)
        add_event(b, &h->ops[at[k] / 2], at[k] / 2, at[k] % 2 == 1);
}

bool
history_judge_lease(const struct sim_history *h, char *ret, size_t size)
{
    struct builder b;
    const json_t *entry;
    size_t i;
    bool good = true;

    builder_init(&b, META);
    add_all(&b, h);
    if (judge(&b, NULL) == NULL)
        abort();
    json_array_foreach (json_object_get(b.result, "checkers"), i, entry) {
        const char *checker =
            json_string_value(json_object_get(entry, "checker"));
        const char *verdict = verdict_of(&b, checker);

        /* A client's last operation may be open: nobody resolves it here. */
        if (strcmp(verdict, "valid") == 0 ||
            (strcmp(checker, "unresolved_ambiguity") == 0 &&
             strcmp(verdict, "unknown") == 0))
            continue;
        good = false;
        snprintf(ret, size, "%s: %s: %.180s", checker, verdict,
                 witness_of(&b, checker) == NULL ? ""
                                                 : witness_of(&b, checker));
        if (strcmp(verdict, "invalid") == 0)
            break;
    }
    builder_release(&b);
    return good;
}
