/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/value.h"

void
fields_set(struct arena *a, struct fields *f, const char *key,
           struct value value)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->items[i].key, key) == 0) {
            f->items[i].value = value;
            return;
        }
    }
    assert(f->count < FIELDS_MAX);
    if (f->count == f->cap) {
        size_t cap = f->cap == 0 ? 8 : f->cap * 2;
        struct field *items = arena_alloc(a, cap * sizeof(*items));

        if (f->count > 0)
            memcpy(items, f->items, f->count * sizeof(*items));
        f->items = items;
        f->cap = cap;
    }
    f->items[f->count++] = (struct field){.key = key, .value = value};
}

void
fields_set_int(struct arena *a, struct fields *f, const char *key,
               int64_t integer)
{
    fields_set(a, f, key,
               (struct value){.type = VALUE_INT, .integer = integer});
}

void
fields_set_bool(struct arena *a, struct fields *f, const char *key,
                bool boolean)
{
    fields_set(a, f, key,
               (struct value){.type = VALUE_BOOL, .boolean = boolean});
}

void
fields_set_id(struct arena *a, struct fields *f, const char *key,
              struct id128 id)
{
    fields_set(a, f, key, (struct value){.type = VALUE_ID, .id = id});
}

void
fields_set_string(struct arena *a, struct fields *f, const char *key,
                  const char *text)
{
    struct value v = {.type = VALUE_STRING};

    v.string.len = strlen(text);
    v.string.text = arena_strndup(a, text, v.string.len);
    fields_set(a, f, key, v);
}

void
fields_set_list(struct arena *a, struct fields *f, const char *key,
                const struct value *items, size_t count)
{
    struct value v = {.type = VALUE_LIST};
    struct value *copy = arena_alloc(a, count * sizeof(*copy) + 1);

    assert(count <= VALUE_LIST_MAX);
    if (count > 0)
        memcpy(copy, items, count * sizeof(*copy));
    v.list.items = copy;
    v.list.count = count;
    fields_set(a, f, key, v);
}

const struct value *
fields_get(const struct fields *f, const char *key)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->items[i].key[0] == key[0] && strcmp(f->items[i].key, key) == 0)
            return &f->items[i].value;
    return NULL;
}

bool
fields_int(const struct fields *f, const char *key, int64_t *ret)
{
    const struct value *v = fields_get(f, key);

    if (v == NULL || v->type != VALUE_INT)
        return false;
    *ret = v->integer;
    return true;
}

bool
fields_bool(const struct fields *f, const char *key, bool *ret)
{
    const struct value *v = fields_get(f, key);

    if (v == NULL || v->type != VALUE_BOOL)
        return false;
    *ret = v->boolean;
    return true;
}

bool
fields_string(const struct fields *f, const char *key, const char **ret)
{
    const struct value *v = fields_get(f, key);

    if (v == NULL || v->type != VALUE_STRING)
        return false;
    *ret = v->string.text;
    return true;
}

bool
value_id(const struct value *v, struct id128 *ret)
{
    if (v->type == VALUE_ID) {
        *ret = v->id;
        return true;
    }
    if (v->type == VALUE_INT && v->integer >= 0) {
        *ret = (struct id128){0, (uint64_t)v->integer};
        return true;
    }
    return false;
}

bool
fields_id(const struct fields *f, const char *key, struct id128 *ret)
{
    const struct value *v = fields_get(f, key);

    return v != NULL && value_id(v, ret);
}

bool
value_equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT:
        return a->integer == b->integer;
    case VALUE_ID:
        return id128_equal(a->id, b->id);
    case VALUE_STRING:
        return a->string.len == b->string.len &&
               memcmp(a->string.text, b->string.text, a->string.len) == 0;
    case VALUE_LIST:
        if (a->list.count != b->list.count)
            return false;
        for (size_t i = 0; i < a->list.count; i++)
            if (!value_equal(&a->list.items[i], &b->list.items[i]))
                return false;
        return true;
    }
    return false;
}

bool
fields_equal(const struct fields *a, const struct fields *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct value *other = fields_get(b, a->items[i].key);

        if (other == NULL || !value_equal(&a->items[i].value, other))
            return false;
    }
    return true;
}

static struct value
value_copy(struct arena *a, const struct value *v)
{
    struct value copy = *v;

    if (v->type == VALUE_STRING) {
        copy.string.text = arena_strndup(a, v->string.text, v->string.len);
    } else if (v->type == VALUE_LIST) {
        struct value *items =
            arena_alloc(a, v->list.count * sizeof(*items) + 1);

        for (size_t i = 0; i < v->list.count; i++)
            items[i] = value_copy(a, &v->list.items[i]);
        copy.list.items = items;
    }
    return copy;
}

struct fields
fields_copy(struct arena *a, const struct fields *f)
{
    struct fields copy = {.count = f->count, .cap = f->count};

    copy.items = arena_alloc(a, f->count * sizeof(*copy.items) + 1);
    for (size_t i = 0; i < f->count; i++) {
        copy.items[i].key = arena_strdup(a, f->items[i].key);
        copy.items[i].value = value_copy(a, &f->items[i].value);
    }
    return copy;
}

json_t *
value_to_json(const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        return json_null();
    case VALUE_BOOL:
        return json_boolean(v->boolean);
    case VALUE_INT:
        return json_integer(v->integer);
    case VALUE_ID: {
        char text[ID128_TEXT_SIZE];

        id128_format(v->id, text);
        return json_sprintf("#%s", text);
    }
    case VALUE_STRING:
        if (v->string.text[0] == '#' || v->string.text[0] == '\\')
            return json_sprintf("\\%s", v->string.text);
        return json_stringn(v->string.text, v->string.len);
    case VALUE_LIST: {
        json_t *array = json_array();

        for (size_t i = 0; i < v->list.count; i++)
            json_array_append_new(array, value_to_json(&v->list.items[i]));
        return array;
    }
    }
    return NULL;
}

json_t *
fields_to_json(const struct fields *f)
{
    json_t *object = json_object();

    for (size_t i = 0; i < f->count; i++)
        json_object_set_new(object, f->items[i].key,
                            value_to_json(&f->items[i].value));
    return object;
}

static int
value_string_from_json(struct arena *a, const json_t *json, struct value *ret,
                       struct error *err)
{
    const char *text = json_string_value(json);
    size_t len = json_string_length(json);

    if (len > VALUE_STRING_MAX || strlen(text) != len)
        return error_set(err, ERROR_CONFIG,
                         "string is too long or has a NUL inside");
    if (text[0] == '#') {
        ret->type = VALUE_ID;
        if (!id128_parse(text + 1, &ret->id))
            return error_set(err, ERROR_CONFIG,
                             "'%.40s' is not '#' and 32 hex digits", text);
        return 0;
    }
    if (text[0] == '\\') {
        text++;
        len--;
    }
    ret->type = VALUE_STRING;
    ret->string.text = arena_strndup(a, text, len);
    ret->string.len = len;
    return 0;
}

static int
value_from_json_at(struct arena *a, const json_t *json, struct value *ret,
                   int depth, struct error *err)
{
    memset(ret, 0, sizeof(*ret));
    switch (json_typeof(json)) {
    case JSON_NULL:
        ret->type = VALUE_NULL;
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        ret->type = VALUE_BOOL;
        ret->boolean = json_is_true(json);
        return 0;
    case JSON_INTEGER:
        ret->type = VALUE_INT;
        ret->integer = json_integer_value(json);
        return 0;
    case JSON_STRING:
        return value_string_from_json(a, json, ret, err);
    case JSON_ARRAY: {
        size_t count = json_array_size(json);
        struct value *items;

        if (depth >= VALUE_DEPTH_MAX || count > VALUE_LIST_MAX)
            return error_set(err, ERROR_CONFIG,
                             "list is too long (%zu) or too deep", count);
        items = arena_alloc(a, count * sizeof(*items) + 1);
        for (size_t i = 0; i < count; i++)
            if (value_from_json_at(a, json_array_get(json, i), &items[i],
                                   depth + 1, err) < 0)
                return -1;
        ret->type = VALUE_LIST;
        ret->list.items = items;
        ret->list.count = count;
        return 0;
    }
    default:
        return error_set(err, ERROR_CONFIG,
                         "values are null, true, false, integers, strings "
                         "or lists");
    }
}

int
value_from_json(struct arena *a, const json_t *json, struct value *ret,
                struct error *err)
{
    return value_from_json_at(a, json, ret, 0, err);
}

int
fields_from_json(struct arena *a, const json_t *object, struct fields *ret,
                 struct error *err)
{
    const char *key;
    json_t *json;

    memset(ret, 0, sizeof(*ret));
    if (!json_is_object(object))
        return error_set(err, ERROR_CONFIG, "fields must be a JSON object");
    if (json_object_size(object) > FIELDS_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d fields", FIELDS_MAX);
    json_object_foreach ((json_t *)object, key, json) {
        struct value v;

        if (value_from_json(a, json, &v, err) < 0)
            return error_wrap(err, "field '%.40s'", key);
        fields_set(a, ret, arena_strdup(a, key), v);
    }
    return 0;
}
