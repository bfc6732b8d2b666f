/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/op-map.h"
#include "analyzer/formats/print.h"
#include "analyzer/formats/typed.h"

/* Room for the fields that stand for something else. */
#define TYPED_FIELDS_MAX (FIELDS_MAX - 8)

const char *
typed_model(const char *name)
{
    static const char *const names[] = {
        "register",    "cas-register", "multi-register", "kv",
        "mutex",       "fenced-lock",  "lease",          "fifo-queue",
        "stack",       "set",          "set-full",       "total-queue",
        "counter",     "bank",         "unique-ids",     "long-fork",
        "rw-register", "list-append",  "allocator",      "lease-kernel",
        "quota",       "pool",         "block",
    };

    for (unsigned i = 0; name != NULL && i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return names[i];
    return NULL;
}

struct tree
typed_id(struct parse *ps, struct id128 id)
{
    struct tree t = {.kind = TREE_INT};
    char *text;

    if (id.hi == 0 && id.lo <= INT64_MAX) {
        t.integer = (int64_t)id.lo;
        return t;
    }
    text = parse_alloc(ps, 1 + ID128_TEXT_SIZE);
    text[0] = '#';
    id128_format(id, text + 1);
    t.kind = TREE_KEYWORD;
    t.count = ID128_TEXT_SIZE;
    t.text = text;
    return t;
}

/* ---- fields to a record ---- */

enum typed_name {
    NAME_OTHER,
    NAME_VALUE,
    NAME_EDN,
    NAME_KEY,
    NAME_EDN_KEY,
    NAME_EDN_ERROR,
    NAME_OPERATION_ID,
    NAME_REFUSED,
};

static inline bool
typed_is(const struct tree *key, const char *name)
{
    return memcmp(key->text, name, key->count) == 0;
}

/* By length first: every field of every event is asked for. */
static enum typed_name
typed_name(const struct tree *key)
{
    if (key->kind != TREE_STRING)
        return NAME_OTHER;
    switch (key->count) {
    case 3:
        return typed_is(key, "key")   ? NAME_KEY
               : typed_is(key, "edn") ? NAME_EDN
                                      : NAME_OTHER;
    case 5:
        return typed_is(key, "value") ? NAME_VALUE : NAME_OTHER;
    case 7:
        return typed_is(key, "edn-key")   ? NAME_EDN_KEY
               : typed_is(key, "refused") ? NAME_REFUSED
                                          : NAME_OTHER;
    case 9:
        return typed_is(key, "edn-error") ? NAME_EDN_ERROR : NAME_OTHER;
    case 12:
        return typed_is(key, "operation-id") ? NAME_OPERATION_ID : NAME_OTHER;
    default:
        return NAME_OTHER;
    }
}

/* EDN inside a field.  Its trees join the record's. */
static bool
typed_edn(struct parse *ps, const struct tree *text, struct tree *ret)
{
    const char *p = ps->p, *end = ps->end;
    bool complete = ps->complete, good;

    if (text->kind != TREE_STRING)
        return false;
    ps->p = text->text;
    ps->end = text->text + text->count;
    ps->complete = true;
    good = edn_value(ps, ret) == PARSED;
    if (good)
        edn_space(ps);
    good = good && ps->p == ps->end;
    ps->p = p;
    ps->end = end;
    ps->complete = complete;
    return good;
}

static enum typed_status
typed_wrong(struct parse *ps, const char *what)
{
    parse_fail(ps, what);
    return TYPED_ERROR;
}

/* A field that stands for something else than a part of the value. */
static enum typed_status
typed_special(struct parse *ps, enum typed_name name, const struct tree *value,
              struct typed *t, struct record *r)
{
    switch (name) {
    case NAME_KEY:
        t->key = *value;
        r->key = &t->key;
        return TYPED_RECORD;
    case NAME_EDN_KEY:
        r->key = &t->key;
        return typed_edn(ps, value, &t->key)
                   ? TYPED_RECORD
                   : typed_wrong(ps, "'edn-key' is not one EDN value");
    case NAME_EDN_ERROR:
        r->error = &t->error;
        return typed_edn(ps, value, &t->error)
                   ? TYPED_RECORD
                   : typed_wrong(ps, "'edn-error' is not one EDN value");
    case NAME_OPERATION_ID:
        if (value->kind != TREE_STRING)
            return typed_wrong(ps, "'operation-id' must be a string");
        r->operation_id = value->text;
        return TYPED_RECORD;
    default: /* refused */
        if (value->kind != TREE_BOOL)
            return typed_wrong(ps, "'refused' must be true or false");
        if (value->truth)
            r->attempt_only = false;
        return TYPED_RECORD;
    }
}

enum typed_status
typed_fields(struct parse *ps, const struct tree *fields, struct typed *t,
             struct record *r)
{
    const struct tree *only = NULL;
    enum typed_name only_name = NAME_OTHER;
    struct tree *kept;
    uint32_t count = 0;

    r->value = &t->value;
    t->value = (struct tree){0};
    kept = parse_alloc(ps, (2 * (size_t)fields->count + 1) * sizeof(*kept));
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct tree *key = &fields->items[2 * i];
        enum typed_name name = typed_name(key);

        if (name > NAME_EDN || name == NAME_KEY) {
            enum typed_status status = typed_special(ps, name, key + 1, t, r);

            if (status != TYPED_RECORD)
                return status;
            continue;
        }
        only = key + 1;
        only_name = name;
        kept[2 * count] = key[0];
        kept[2 * count++ + 1] = key[1];
    }
    if (count == 0)
        return TYPED_RECORD;
    if (count == 1 && only_name == NAME_VALUE) {
        t->value = *only;
        return TYPED_RECORD;
    }
    if (count == 1 && only_name == NAME_EDN)
        return typed_edn(ps, only, &t->value)
                   ? TYPED_RECORD
                   : typed_wrong(ps, "'edn' is not one EDN value");
    t->value = (struct tree){.kind = TREE_MAP, .count = count};
    t->value.items = kept;
    return TYPED_RECORD;
}

/* ---- a record to an event ---- */

/* False: our typed values do not hold it. */
static bool
typed_value(struct arena *a, const struct tree *t, int depth, struct value *ret)
{
    struct value *items;

    *ret = (struct value){.type = VALUE_NULL};
    switch (t->kind) {
    case TREE_NIL:
        return true;
    case TREE_BOOL:
        ret->type = VALUE_BOOL;
        ret->boolean = t->truth;
        return true;
    case TREE_INT:
        ret->type = VALUE_INT;
        ret->integer = t->integer;
        return true;
    case TREE_STRING:
        ret->type = VALUE_STRING;
        ret->string.text = t->text;
        ret->string.len = t->count;
        return t->count <= VALUE_STRING_MAX && strlen(t->text) == t->count;
    case TREE_KEYWORD: /* a large id */
        ret->type = VALUE_ID;
        return t->count == ID128_TEXT_SIZE && t->text[0] == '#' &&
               strspn(t->text + 1, "0123456789abcdef") == t->count - 1 &&
               id128_parse(t->text + 1, &ret->id) &&
               (ret->id.hi != 0 || ret->id.lo > INT64_MAX);
    case TREE_LIST:
        if (depth >= VALUE_DEPTH_MAX || t->count > VALUE_LIST_MAX)
            return false;
        items = arena_alloc(a, t->count * sizeof(*items) + 1);
        for (uint32_t i = 0; i < t->count; i++)
            if (!typed_value(a, &t->items[i], depth + 1, &items[i]))
                return false;
        ret->type = VALUE_LIST;
        ret->list.items = items;
        ret->list.count = t->count;
        return true;
    default:
        return false;
    }
}

static int
typed_put_edn(struct arena *a, struct fields *f, const char *name,
              const struct tree *t, struct error *err)
{
    struct buf b;
    int status = 0;

    buf_init(&b, VALUE_STRING_MAX);
    edn_print(&b, t);
    if (b.truncated)
        status = error_set(err, ERROR_CONFIG,
                           "a value of more than %d bytes does not fit into "
                           "our history; edn and json have room for it",
                           VALUE_STRING_MAX);
    else
        fields_set_string(a, f, name, buf_text(&b));
    buf_release(&b);
    return status;
}

static int
typed_put(struct arena *a, struct fields *f, const char *name,
          const char *edn_name, const struct tree *t, struct error *err)
{
    struct value v;

    if (!typed_value(a, t, 0, &v))
        return typed_put_edn(a, f, edn_name, t, err);
    fields_set(a, f, name, v);
    return 0;
}

/* A map of plain names is a record's value as it is. */
static bool
typed_put_map(struct arena *a, struct fields *f, const struct tree *t)
{
    struct value values[TYPED_FIELDS_MAX];

    if (t->kind != TREE_MAP || t->count == 0 || t->count > TYPED_FIELDS_MAX)
        return false;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct tree *key = &t->items[2 * i];

        if (key->kind != TREE_STRING || strlen(key->text) != key->count ||
            key->count > VALUE_STRING_MAX || typed_name(key) != NAME_OTHER ||
            !typed_value(a, key + 1, 0, &values[i]))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(t->items[2 * j].text, key->text) == 0)
                return false;
    }
    for (uint32_t i = 0; i < t->count; i++)
        fields_set(a, f, t->items[2 * i].text, values[i]);
    return true;
}

static int
typed_identity(struct arena *a, const struct record *r, struct event *e)
{
    char text[ID128_TEXT_SIZE];

    e->attempt = r->attempt;
    e->position.known = r->position != RECORD_POSITION_NONE;
    if (e->position.known) {
        e->position.term = r->term;
        e->position.index = r->position;
    }
    if (r->operation_id == NULL)
        return 0;
    if (id128_parse(r->operation_id, &e->operation) &&
        !id128_is_zero(e->operation)) {
        id128_format(e->operation, text);
        if (strcmp(text, r->operation_id) == 0)
            return 0;
    }
    e->operation = (struct id128){0};
    fields_set_string(a, &e->fields, "operation-id", r->operation_id);
    return 0;
}

int
typed_event(struct arena *a, const struct record *r, struct event *ret,
            struct error *err)
{
    static const enum event_kind kinds[] = {EVENT_INVOKE, EVENT_OK, EVENT_FAIL,
                                            EVENT_UNKNOWN};
    struct event e = {.kind = kinds[r->type],
                      .time_ns = r->time_ns,
                      .process = (uint32_t)r->process,
                      .function = r->function};

    if (r->process < 0 || r->process >= HISTORY_PROCESS_NONE)
        return error_set(err, ERROR_CONFIG,
                         "process %lld does not fit into our history",
                         (long long)r->process);
    typed_identity(a, r, &e);
    if (r->type == RECORD_FAIL && !r->attempt_only)
        fields_set_bool(a, &e.fields, "refused", true);
    if (r->error != NULL && r->error->kind == TREE_STRING &&
        strlen(r->error->text) == r->error->count &&
        r->error->count <= VALUE_STRING_MAX)
        e.error = r->error->text;
    else if (r->error != NULL &&
             typed_put_edn(a, &e.fields, "edn-error", r->error, err) < 0)
        return -1;
    if (r->key != NULL &&
        typed_put(a, &e.fields, "key", "edn-key", r->key, err) < 0)
        return -1;
    if (r->value->kind != TREE_NIL && !typed_put_map(a, &e.fields, r->value) &&
        typed_put(a, &e.fields, "value", "edn", r->value, err) < 0)
        return -1;
    *ret = e;
    return 0;
}
