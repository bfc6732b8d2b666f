/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history as text: one JSON object per line (docs/HISTORY-FORMAT.md,
 * "JSONL").  The first line carries the meta, every other line an event, and
 * the last line of a sealed history says so.  Export and import are inverse:
 * meta, events in order with times and fields, and the seal survive both ways.
 *
 * A line that cannot be understood is an error with file and line number; keys
 * nobody knows are passed over.  Numbers above 2^63 - 1, which JSON readers
 * spoil, are written as strings.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/history-format.h"

#define TEXT_KEY "ordeal-history"
#define TEXT_SEAL_KEY "ordeal-history-seal"
#define TEXT_VERSION 1

struct history_text {
    char *path;
    FILE *file;
    char *line;
    size_t cap;
    uint64_t line_number, event_count;
    struct arena arena;
    json_t *first, *current;
    bool ended, sealed;
    struct error failure;
};

/* ---- one event ---- */

static json_t *
json_u64(uint64_t v)
{
    char text[24];

    if (v <= INT64_MAX)
        return json_integer((json_int_t)v);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
    return json_string(text);
}

static bool
json_u64_parse(const json_t *json, uint64_t *ret)
{
    const char *text = json_string_value(json);
    char *end;

    if (json_is_integer(json)) {
        *ret = (uint64_t)json_integer_value(json);
        return json_integer_value(json) >= 0;
    }
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

json_t *
event_to_json(const struct event *e)
{
    json_t *o = json_object();
    char id[ID128_TEXT_SIZE];

    json_object_set_new(o, "index", json_u64(e->index));
    json_object_set_new(o, "time", json_integer(e->time_ns));
    json_object_set_new(o, "process",
                        e->process == HISTORY_PROCESS_NONE
                            ? json_null()
                            : json_integer(e->process));
    json_object_set_new(o, "type", json_string(event_kind_name(e->kind)));
    json_object_set_new(o, "f", json_string(e->function));
    if (!id128_is_zero(e->operation)) {
        id128_format(e->operation, id);
        json_object_set_new(o, "op", json_string(id));
    }
    if (e->attempt != 0)
        json_object_set_new(o, "attempt", json_integer(e->attempt));
    if (e->node != NULL)
        json_object_set_new(o, "node", json_string(e->node));
    if (e->error != NULL)
        json_object_set_new(o, "error", json_string(e->error));
    if (e->position.known)
        json_object_set_new(o, "pos",
                            json_pack("[o, o]", json_u64(e->position.term),
                                      json_u64(e->position.index)));
    if (e->fields.count > 0)
        json_object_set_new(o, "fields", fields_to_json(&e->fields));
    return o;
}

/* Absent and null leave *ret alone. */
static int
event_u32(const json_t *json, const char *key, uint32_t *ret, struct error *err)
{
    const json_t *v = json_object_get(json, key);

    if (v == NULL || json_is_null(v))
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        json_integer_value(v) > UINT32_MAX)
        return error_set(err, ERROR_CONFIG,
                         "'%s' must be an integer from 0 to 4294967295", key);
    *ret = (uint32_t)json_integer_value(v);
    return 0;
}

static int
event_text(struct arena *a, const json_t *json, const char *key,
           const char **ret, struct error *err)
{
    const json_t *v = json_object_get(json, key);

    if (v == NULL || json_is_null(v))
        return 0;
    if (!json_is_string(v) || json_string_length(v) > VALUE_STRING_MAX)
        return error_set(err, ERROR_CONFIG, "'%s' must be a string", key);
    *ret = arena_strndup(a, json_string_value(v), json_string_length(v));
    return 0;
}

static int
event_position(const json_t *json, struct position *ret, struct error *err)
{
    const json_t *v = json_object_get(json, "pos");

    if (v == NULL || json_is_null(v))
        return 0;
    if (json_array_size(v) != 2 ||
        !json_u64_parse(json_array_get(v, 0), &ret->term) ||
        !json_u64_parse(json_array_get(v, 1), &ret->index))
        return error_set(err, ERROR_CONFIG,
                         "'pos' must be [term, index], both from 0 to 2^64-1");
    ret->known = true;
    return 0;
}

static int
event_required(struct arena *a, const json_t *json, struct event *ret,
               struct error *err)
{
    const json_t *time = json_object_get(json, "time");
    const char *type = NULL;

    if (!json_is_object(json))
        return error_set(err, ERROR_CONFIG, "an event is a JSON object");
    if (!json_is_integer(time))
        return error_set(err, ERROR_CONFIG,
                         "'time' must be an integer (nanoseconds)");
    ret->time_ns = json_integer_value(time);
    if (event_text(a, json, "type", &type, err) < 0 ||
        event_text(a, json, "f", &ret->function, err) < 0)
        return -1;
    if (type == NULL || !event_kind_parse(type, &ret->kind))
        return error_set(err, ERROR_CONFIG,
                         "'type' must be one of invoke, ok, fail, unknown, "
                         "fault, note");
    if (ret->function == NULL)
        return error_set(err, ERROR_CONFIG, "'f' (the function) is missing");
    return 0;
}

int
event_from_json(struct arena *a, const json_t *json, struct event *ret,
                struct error *err)
{
    struct event e = {.process = HISTORY_PROCESS_NONE};
    const json_t *fields = json_object_get(json, "fields");
    const json_t *index = json_object_get(json, "index");
    const char *id = NULL;

    if (event_required(a, json, &e, err) < 0 ||
        event_u32(json, "process", &e.process, err) < 0 ||
        event_u32(json, "attempt", &e.attempt, err) < 0 ||
        event_text(a, json, "op", &id, err) < 0 ||
        event_text(a, json, "node", &e.node, err) < 0 ||
        event_text(a, json, "error", &e.error, err) < 0 ||
        event_position(json, &e.position, err) < 0)
        return -1;
    if (id != NULL && !id128_parse(id, &e.operation))
        return error_set(err, ERROR_CONFIG, "'op' must be 32 hex digits");
    if (index != NULL && !json_u64_parse(index, &e.index))
        return error_set(err, ERROR_CONFIG, "'index' must be an integer");
    if (fields != NULL && !json_is_null(fields) &&
        fields_from_json(a, fields, &e.fields, err) < 0)
        return -1;
    *ret = e;
    return 0;
}

/* ---- reading lines ---- */

/* Puts file and line in front of the error. */
static int
text_wrap(struct history_text *t, struct error *err)
{
    error_wrap(err, "%s:%llu", t->path, (unsigned long long)t->line_number);
    t->failure = *err;
    return -1;
}

/* 1: t->line holds the next line that is not blank, *ret_len long; 0: end. */
static int
text_line(struct history_text *t, size_t *ret_len, struct error *err)
{
    for (;;) {
        size_t len = 0;
        int c;

        t->line_number++;
        while ((c = getc_unlocked(t->file)) != EOF && c != '\n') {
            if (len == HISTORY_LINE_BYTES_MAX) {
                error_set(err, ERROR_CONFIG, "line longer than %u bytes",
                          HISTORY_LINE_BYTES_MAX);
                return text_wrap(t, err);
            }
            if (len + 1 >= t->cap) {
                t->cap = t->cap == 0 ? 4096 : t->cap * 2;
                t->line = xrealloc(t->line, t->cap);
            }
            t->line[len++] = (char)c;
        }
        if (c == EOF && ferror(t->file)) {
            error_errno(err, ERROR_ENVIRONMENT, errno, "read");
            return text_wrap(t, err);
        }
        while (len > 0 && strchr(" \t\r", t->line[len - 1]) != NULL)
            len--;
        *ret_len = len;
        if (len > 0)
            return 1;
        if (c == EOF)
            return 0;
    }
}

/* 1 and t->current, 0 at the end. */
static int
text_object(struct history_text *t, struct error *err)
{
    json_error_t why;
    size_t len;
    int status = text_line(t, &len, err);

    if (status <= 0)
        return status;
    json_decref(t->current);
    t->current = json_loadb(t->line, len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(t->current)) {
        error_set(err, ERROR_CONFIG, "column %d: %s",
                  t->current == NULL ? why.column : 1,
                  t->current == NULL ? why.text : "not a JSON object");
        return text_wrap(t, err);
    }
    return 1;
}

static int
text_first(struct history_text *t, struct error *err)
{
    int status = text_object(t, err);
    const json_t *version;

    if (status < 0)
        return -1;
    version = status == 0 ? NULL : json_object_get(t->current, TEXT_KEY);
    if (version == NULL) {
        error_set(err, ERROR_CONFIG,
                  "the first line must be {\"" TEXT_KEY "\":1,\"meta\":{...}}");
        return text_wrap(t, err);
    }
    if (!json_is_integer(version) ||
        json_integer_value(version) != TEXT_VERSION) {
        error_set(err, ERROR_CONFIG, "only version %d is understood",
                  TEXT_VERSION);
        return text_wrap(t, err);
    }
    t->first = TAKE(t->current);
    if (!json_is_object(json_object_get(t->first, "meta"))) {
        error_set(err, ERROR_CONFIG, "'meta' must be an object");
        return text_wrap(t, err);
    }
    return 0;
}

struct history_text *
history_text_new(const char *path, FILE *file, const json_t **ret_meta,
                 struct error *err)
{
    struct history_text *t = xcalloc(1, sizeof(*t));

    t->path = xstrdup(path);
    t->file = file;
    arena_init(&t->arena);
    if (text_first(t, err) < 0) {
        history_text_free(t);
        return NULL;
    }
    *ret_meta = json_object_get(t->first, "meta");
    return t;
}

void
history_text_free(struct history_text *t)
{
    if (t == NULL)
        return;
    fclose(t->file);
    json_decref(t->first);
    json_decref(t->current);
    arena_release(&t->arena);
    free(t->line);
    free(t->path);
    free(t);
}

static int
text_take_seal(struct history_text *t, const json_t *seal, struct error *err)
{
    uint64_t count;
    size_t len;
    int status;

    if (!json_u64_parse(json_object_get(seal, "events"), &count) ||
        count != t->event_count) {
        error_set(err, ERROR_CONFIG,
                  "the seal does not match the %llu events before it",
                  (unsigned long long)t->event_count);
        return text_wrap(t, err);
    }
    status = text_line(t, &len, err);
    if (status > 0) {
        error_set(err, ERROR_CONFIG, "something follows the seal");
        return text_wrap(t, err);
    }
    t->ended = t->sealed = status == 0;
    return status;
}

int
history_text_next(struct history_text *t, struct event *ret, struct error *err)
{
    const json_t *seal;
    int status;

    if (t->failure.kind != ERROR_NONE) {
        *err = t->failure;
        return -1;
    }
    status = t->ended ? 0 : text_object(t, err);
    if (status <= 0) {
        t->ended = true;
        return status;
    }
    seal = json_object_get(t->current, TEXT_SEAL_KEY);
    if (seal != NULL)
        return text_take_seal(t, seal, err);
    arena_reset(&t->arena);
    if (event_from_json(&t->arena, t->current, ret, err) < 0)
        return text_wrap(t, err);
    ret->index = t->event_count++;
    return 1;
}

bool
history_text_sealed(const struct history_text *t)
{
    return t->sealed;
}

/* ---- export and import ---- */

static int
text_put(FILE *out, json_t *takes, struct error *err)
{
    int status = json_dumpf(takes, out, JSON_COMPACT);

    json_decref(takes);
    if (status < 0 || putc('\n', out) == EOF)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    return 0;
}

static int
text_put_events(struct history_reader *r, FILE *out, struct error *err)
{
    struct event e;
    uint64_t count = 0;
    int status;

    while ((status = history_next(r, &e, err)) > 0) {
        count++;
        if (text_put(out, event_to_json(&e), err) < 0)
            return -1;
    }
    if (status == 0 && history_reader_sealed(r))
        status = text_put(
            out,
            json_pack("{s:{s:o}}", TEXT_SEAL_KEY, "events", json_u64(count)),
            err);
    return status;
}

int
history_export_jsonl(const char *path, FILE *out, struct error *err)
{
    struct history_reader *r = history_reader_open(path, err);
    int status;

    if (r == NULL)
        return -1;
    status = text_put(out,
                      json_pack("{s:i,s:O}", TEXT_KEY, TEXT_VERSION, "meta",
                                history_reader_meta(r)),
                      err);
    if (status == 0)
        status = text_put_events(r, out, err);
    history_reader_free(r);
    if (status == 0 && fflush(out) != 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    return status;
}

static int
text_import_events(struct history_reader *r, struct history_writer *w,
                   struct error *err)
{
    struct event e;
    int status;

    while ((status = history_next(r, &e, err)) > 0)
        if (history_append_as_is(w, &e, err) < 0)
            return -1;
    return status;
}

int
history_import_jsonl(const char *jsonl_path, const char *path,
                     struct error *err)
{
    struct history_reader *r = history_reader_open(jsonl_path, err);
    struct history_writer *w;
    json_t *meta;
    int status;

    if (r == NULL)
        return -1;
    meta = json_deep_copy(history_reader_meta(r));
    w = history_writer_open(path, meta, clock_monotonic(), err);
    json_decref(meta);
    if (w == NULL) {
        history_reader_free(r);
        return -1;
    }
    status = text_import_events(r, w, err);
    if (status == 0)
        status = history_sync(w, err);
    if (status == 0 && history_reader_sealed(r))
        status = history_seal(w, err);
    else
        history_writer_abandon(w);
    if (status < 0)
        unlink(path);
    history_reader_free(r);
    return status;
}
