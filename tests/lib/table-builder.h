/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histories written by hand, for tests of the analyzer.  Fields are JSON with
 * ' for ":
 *
 *   builder_init(&b, "{'positions':'total'}");
 *   invoke(&b, 1, 10, "reserve", "{'resource':7,'holder':3,'ttl':5}");
 *   ok(&b, 1, AT(1, 41), "n2", "{'code':'ok','slot':0,'lease':41,...}");
 *
 * Process 1 has one attempt at a time; its attempts of one operation count up
 * by themselves.  Time is the event's number in microseconds.
 */
#ifndef ORDEAL_TESTS_TABLE_BUILDER_H
#define ORDEAL_TESTS_TABLE_BUILDER_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/analyzer.h"
#include "analyzer/checker.h"

#define BUILDER_PROCESSES 64
#define AT(view, at) ((struct position){true, (view), (at)})
#define NOWHERE ((struct position){false, 0, 0})

struct builder {
    struct table *table;
    struct arena arena;
    uint64_t next;
    struct event open[BUILDER_PROCESSES]; /* the last invocation */
    json_t *result;                       /* of the last judge() */
};

static inline json_t *
builder_json(const char *text)
{
    char *copy = xstrdup(text);
    json_t *json;

    for (char *c = copy; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    json = json_loads(copy, 0, NULL);
    assert(json != NULL);
    free(copy);
    return json;
}

static inline void
builder_init(struct builder *b, const char *meta)
{
    json_t *json = builder_json(meta);

    memset(b, 0, sizeof(*b));
    arena_init(&b->arena);
    b->table = table_new(json);
    json_decref(json);
}

static inline void
builder_release(struct builder *b)
{
    json_decref(b->result);
    table_free(b->table);
    arena_release(&b->arena);
}

static inline void
builder_add(struct builder *b, struct event *e, const char *fields)
{
    json_t *json = builder_json(fields);
    struct error err;

    e->index = b->next++;
    e->time_ns = (int64_t)e->index * 1000;
    if (fields_from_json(&b->arena, json, &e->fields, &err) < 0)
        abort();
    json_decref(json);
    table_add(b->table, e);
}

/* operation 0: none. */
static inline void
invoke(struct builder *b, uint32_t process, uint64_t operation,
       const char *function, const char *fields)
{
    struct event *last = &b->open[process];
    bool again = operation != 0 && last->operation.lo == operation;
    struct event e = {.process = process,
                      .kind = EVENT_INVOKE,
                      .operation = {0, operation},
                      .attempt = again ? last->attempt + 1 : 1,
                      .function = function};

    builder_add(b, &e, fields);
    *last = e;
}

static inline void
complete(struct builder *b, uint32_t process, enum event_kind kind,
         struct position position, const char *node, const char *fields)
{
    struct event e = b->open[process];

    e.kind = kind;
    e.position = position;
    e.node = node;
    builder_add(b, &e, fields);
}

static inline void
ok(struct builder *b, uint32_t process, struct position position,
   const char *node, const char *fields)
{
    complete(b, process, EVENT_OK, position, node, fields);
}

static inline void
unknown(struct builder *b, uint32_t process)
{
    complete(b, process, EVENT_UNKNOWN, NOWHERE, NULL, "{}");
}

static inline void
fail(struct builder *b, uint32_t process)
{
    complete(b, process, EVENT_FAIL, NOWHERE, NULL, "{}");
}

/* An operation of one attempt. */
static inline void
done(struct builder *b, uint32_t process, uint64_t operation,
     const char *function, const char *arguments, struct position position,
     const char *result)
{
    invoke(b, process, operation, function, arguments);
    ok(b, process, position, "n1", result);
}

static inline void
remark(struct builder *b, enum event_kind kind, const char *function,
       const char *node, const char *fields)
{
    struct event e = {.process = HISTORY_PROCESS_NONE,
                      .kind = kind,
                      .function = function,
                      .node = node};

    builder_add(b, &e, fields);
}

/* Judges what was built; the result stays in b->result. */
static inline const json_t *
judge(struct builder *b, const struct analyzer_options *options)
{
    static const struct analyzer_options all;
    struct error err;

    table_finish(b->table, true, 0, NULL);
    if (analyzer_judge(b->table, options == NULL ? &all : options, &b->result,
                       &err) < 0)
        return NULL;
    return b->result;
}

static inline const json_t *
judged(const struct builder *b, const char *checker)
{
    const json_t *entry;
    size_t i;

    json_array_foreach (json_object_get(b->result, "checkers"), i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "checker")),
                   checker) == 0)
            return entry;
    }
    return NULL;
}

/* "valid", "invalid", "unknown"; "absent" when it did not run. */
static inline const char *
verdict_of(const struct builder *b, const char *checker)
{
    const json_t *entry = judged(b, checker);

    return entry == NULL ? "absent"
                         : json_string_value(json_object_get(entry, "verdict"));
}

static inline const char *
witness_of(const struct builder *b, const char *checker)
{
    return json_string_value(json_object_get(
        json_object_get(judged(b, checker), "witness"), "text"));
}

#endif
