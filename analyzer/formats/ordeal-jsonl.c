/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our history as JSONL (docs/HISTORY-FORMAT.md), as strict as
 * harness/base/history-json.c, but streamed from any input and without a tree
 * of jansson's per line.
 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/formats.h"
#include "analyzer/formats/typed.h"

#define JSONL_KEY "ordeal-history"
#define JSONL_SEAL_KEY "ordeal-history-seal"

struct jsonl {
    struct parse_stream stream;
    struct tree line; /* the current one */
    struct typed typed;
    uint64_t events;
    bool sealed;
};

static unsigned
ordeal_jsonl_sniff(const char *bytes, size_t len, const char *path)
{
    const char *first;
    size_t n;

    return op_map_begins(bytes, len, false, &first, &n) &&
                   bytes_contain(first, n, "\"" JSONL_KEY "\"")
               ? 100
               : 0;
}

/* Strings stand for ids, too; 'value' is in our own memory. */
static const char *
jsonl_value(struct parse *ps, struct tree *value, int depth)
{
    struct tree *items;
    struct id128 id;

    switch (value->kind) {
    case TREE_STRING:
        if (value->count > VALUE_STRING_MAX + 1 ||
            strlen(value->text) != value->count)
            return "a string that is too long or has a NUL inside";
        if (value->text[0] == '#') {
            if (!id128_parse(value->text + 1, &id))
                return "a value that begins with '#' is not 32 hex digits";
            *value = typed_id(ps, id);
        } else if (value->text[0] == '\\') {
            value->text++;
            value->count--;
        }
        return NULL;
    case TREE_LIST:
        if (depth >= VALUE_DEPTH_MAX || value->count > VALUE_LIST_MAX)
            return "a list that is too long or too deep";
        items = (struct tree *)value->items;
        for (uint32_t i = 0; i < value->count; i++) {
            const char *what = jsonl_value(ps, &items[i], depth + 1);

            if (what != NULL)
                return what;
        }
        return NULL;
    case TREE_NIL:
    case TREE_BOOL:
    case TREE_INT:
        return NULL;
    default:
        return "values are null, true, false, integers, strings or lists";
    }
}

static const char *
jsonl_fields(struct jsonl *j, const struct tree *fields, struct record *r)
{
    static const struct tree none = {.kind = TREE_MAP};
    struct parse *ps = &j->stream.parse;
    struct tree *items;

    if (fields == NULL || fields->kind == TREE_NIL)
        fields = &none;
    if (fields->kind != TREE_MAP || fields->count > FIELDS_MAX)
        return "'fields' must be an object of at most 32 values";
    items = (struct tree *)fields->items;
    for (uint32_t i = 0; i < fields->count; i++) {
        const char *what = jsonl_value(ps, &items[2 * i + 1], 0);

        if (what != NULL)
            return what;
    }
    return typed_fields(ps, fields, &j->typed, r) == TYPED_ERROR ? ps->what
                                                                 : NULL;
}

/* NULL when it is absent or null. */
static const struct tree *
jsonl_get(const struct jsonl *j, const char *key)
{
    const struct tree *t = tree_get(&j->line, key);

    return t == NULL || t->kind == TREE_NIL ? NULL : t;
}

static bool
jsonl_is_text(const struct tree *t)
{
    return t == NULL ||
           (t->kind == TREE_STRING && t->count <= VALUE_STRING_MAX &&
            strlen(t->text) == t->count);
}

static const char *
jsonl_identity(struct jsonl *j, struct record *r)
{
    const struct tree *op = jsonl_get(j, "op"), *at = jsonl_get(j, "pos");
    const struct tree *attempt = jsonl_get(j, "attempt");
    struct id128 id;

    if (op != NULL) {
        if (!jsonl_is_text(op) || !id128_parse(op->text, &id))
            return "'op' must be 32 hex digits";
        id128_format(id, j->typed.id);
        if (!id128_is_zero(id))
            r->operation_id = j->typed.id;
    }
    if (attempt != NULL) {
        if (attempt->kind != TREE_INT || attempt->integer < 0 ||
            attempt->integer > UINT32_MAX)
            return "'attempt' must be an integer from 0 to 4294967295";
        r->attempt = (uint32_t)attempt->integer;
    }
    if (at != NULL && (at->kind != TREE_LIST || at->count != 2 ||
                       !op_map_u64(&at->items[0], &r->term) ||
                       !op_map_u64(&at->items[1], &r->position)))
        return "'pos' must be [term, index], both from 0 to 2^64-1";
    return NULL;
}

/* NULL and a record, whose type is only good when *ret_client. */
static const char *
jsonl_event(struct jsonl *j, struct record *r, bool *ret_client)
{
    static const char *const types[] = {"invoke",  "ok",    "fail",
                                        "unknown", "fault", "note"};
    const struct tree *time = jsonl_get(j, "time"), *f = jsonl_get(j, "f");
    const struct tree *type = jsonl_get(j, "type");
    const struct tree *process = jsonl_get(j, "process");
    const struct tree *error = jsonl_get(j, "error");
    unsigned k = 0;

    if (time == NULL || time->kind != TREE_INT)
        return "'time' must be an integer (nanoseconds)";
    while (k < ARRAY_LEN(types) && (type == NULL || !tree_is(type, types[k])))
        k++;
    if (k == ARRAY_LEN(types))
        return "'type' must be one of invoke, ok, fail, unknown, fault, note";
    if (f == NULL || !jsonl_is_text(f))
        return "'f' (the function) must be a string";
    if (process != NULL && (process->kind != TREE_INT || process->integer < 0 ||
                            process->integer > UINT32_MAX))
        return "'process' must be an integer from 0 to 4294967295";
    if (!jsonl_is_text(error) || !jsonl_is_text(jsonl_get(j, "node")))
        return "'error' and 'node' must be strings";
    *r = (struct record){
        .type = (enum record_type)(k < 4 ? k : 0),
        .process = process == NULL ? UINT32_MAX : process->integer,
        .function = f->text,
        .error = error,
        .attempt_only = k == RECORD_FAIL,
        .position = RECORD_POSITION_NONE,
        .time_ns = time->integer,
        .line = j->stream.line,
    };
    *ret_client = k < 4 && r->process != UINT32_MAX;
    return jsonl_identity(j, r);
}

static const char *
jsonl_first(struct jsonl *j, struct record_file *ret)
{
    const struct tree *version = tree_get(&j->line, JSONL_KEY), *model;
    const struct tree *meta = tree_get(&j->line, "meta");

    if (version == NULL)
        return "the first line must be {\"" JSONL_KEY "\":1,\"meta\":{...}}";
    if (version->kind != TREE_INT || version->integer != 1)
        return "only version 1 is understood";
    if (meta == NULL || meta->kind != TREE_MAP)
        return "'meta' must be an object";
    model = tree_get(meta, "model");
    if (model != NULL && model->kind == TREE_STRING)
        ret->model = typed_model(model->text);
    return NULL;
}

/* One line behind the first; *ret_client when *r is to be delivered. */
static const char *
jsonl_line(struct jsonl *j, struct record *r, bool *ret_client)
{
    const struct tree *seal = tree_get(&j->line, JSONL_SEAL_KEY);
    const struct tree *fields = tree_get(&j->line, "fields");
    const char *what;
    uint64_t n;

    *ret_client = false;
    if (j->line.kind != TREE_MAP)
        return "an event is a JSON object";
    if (j->sealed)
        return "something follows the seal";
    if (seal != NULL) {
        j->sealed = true;
        seal = tree_get(seal, "events");
        return seal == NULL || !op_map_u64(seal, &n) || n != j->events
                   ? "the seal does not match the events before it"
                   : NULL;
    }
    j->events++;
    what = jsonl_event(j, r, ret_client);
    return what != NULL ? what : jsonl_fields(j, fields, r);
}

static int
ordeal_jsonl_read(struct input *in, struct record_file *ret, record_sink *sink,
                  void *arg, struct error *err)
{
    struct jsonl j = {0};
    struct record r;
    bool first = true, client;
    int status;

    parse_stream_init(&j.stream, in, false);
    j.stream.parse.text_keys = true;
    while ((status = parse_stream_next(&j.stream, &j.line, err)) > 0) {
        const char *what =
            first ? jsonl_first(&j, ret) : jsonl_line(&j, &r, &client);

        if (what != NULL)
            status = input_error(in, j.stream.line, err, "%s", what);
        else if (!first && client)
            status = sink(arg, &r, err);
        if (status < 0)
            break;
        first = false;
    }
    if (status == 0 && first)
        status = input_error(in, 1, err, "%s", jsonl_first(&j, ret));
    parse_stream_release(&j.stream);
    return status;
}

const struct format_ops format_ordeal_jsonl = {
    .name = "ordeal-jsonl",
    .description = "Ordeal's history as JSONL",
    .sniff = ordeal_jsonl_sniff,
    .read = ordeal_jsonl_read,
};
