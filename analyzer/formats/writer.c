/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as text: our JSONL by way of an event, Jepsen's op maps directly, one
 * a line.  What an op map has no key for goes under "ordeal/..." keys, which
 * other readers pass over.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/formats/formats.h"
#include "analyzer/formats/print.h"
#include "analyzer/formats/typed.h"

enum writing { WRITING_JSONL, WRITING_EDN, WRITING_JSON };

struct record_writer {
    FILE *out;
    enum writing writing;
    uint64_t count;
    struct buf line;
    struct arena arena;
};

static const char *const type_names[] = {"invoke", "ok", "fail", "info"};

static int
writer_flush_line(struct record_writer *w, struct error *err)
{
    if (w->line.truncated)
        return error_set(err, ERROR_CONFIG,
                         "record %llu is longer than %zu bytes as text",
                         (unsigned long long)w->count, w->line.max);
    if (w->line.len > 0 &&
        fwrite(w->line.data, 1, w->line.len, w->out) != w->line.len)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    buf_reset(&w->line);
    return 0;
}

struct record_writer *
record_writer_new(FILE *out, const char *format, struct error *err)
{
    static const char *const names[] = {"jsonl", "edn", "json"};
    struct record_writer *w;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], format) != 0)
            continue;
        w = xcalloc(1, sizeof(*w));
        w->out = out;
        w->writing = (enum writing)i;
        buf_init(&w->line, INPUT_WINDOW_MAX);
        arena_init(&w->arena);
        if (i == WRITING_JSONL)
            buf_puts(&w->line, "{\"ordeal-history\":1,\"meta\":{}}\n");
        return w;
    }
    error_set(err, ERROR_CONFIG,
              "there is no format '%s' to write: jsonl, edn or json", format);
    return NULL;
}

static int
write_jsonl(struct record_writer *w, const struct record *r, struct error *err)
{
    struct event e = {0};
    json_t *json;
    char *text;

    arena_reset(&w->arena);
    if (typed_event(&w->arena, r, &e, err) < 0)
        return -1;
    e.index = w->count;
    json = event_to_json(&e);
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        return error_set(err, ERROR_CONFIG,
                         "record %llu holds text that JSON does not take",
                         (unsigned long long)w->count);
    buf_puts(&w->line, text);
    buf_puts(&w->line, "\n");
    free(text);
    return 0;
}

static void
edn_pair(struct buf *b, const char *key, const struct tree *t)
{
    buf_printf(b, ", :%s ", key);
    edn_print(b, t);
}

static void
write_edn(struct record_writer *w, const struct record *r)
{
    struct tree f = {.kind = TREE_KEYWORD,
                     .count = (uint32_t)strlen(r->function)};
    struct buf *b = &w->line;

    f.text = r->function;
    buf_printf(b, "{:index %llu", (unsigned long long)w->count);
    if (r->time_ns >= 0)
        buf_printf(b, ", :time %lld", (long long)r->time_ns);
    buf_printf(b, ", :type :%s, :process %lld", type_names[r->type],
               (long long)r->process);
    edn_pair(b, "f", &f);
    if (r->key != NULL)
        edn_pair(b, "key", r->key);
    edn_pair(b, "value", r->value);
    if (r->error != NULL)
        edn_pair(b, "error", r->error);
    if (r->operation_id != NULL) {
        buf_puts(b, ", :" OP_MAP_ID " ");
        json_print_text(b, r->operation_id, strlen(r->operation_id));
    }
    if (r->attempt != 0)
        buf_printf(b, ", :" OP_MAP_ATTEMPT " %u", r->attempt);
    if (r->attempt_only)
        buf_puts(b, ", :" OP_MAP_ATTEMPT_ONLY " true");
    if (r->position != RECORD_POSITION_NONE)
        buf_printf(b, ", :" OP_MAP_POSITION " [%llu %llu]",
                   (unsigned long long)r->term,
                   (unsigned long long)r->position);
    buf_puts(b, "}\n");
}

static bool
json_pair(struct buf *b, const char *key, const struct tree *t)
{
    buf_printf(b, ",\"%s\":", key);
    return json_print(b, t);
}

static int
write_json(struct record_writer *w, const struct record *r, struct error *err)
{
    struct buf *b = &w->line;

    buf_printf(b, "%s{\"index\":%llu", w->count == 0 ? "[" : ",\n",
               (unsigned long long)w->count);
    if (r->time_ns >= 0)
        buf_printf(b, ",\"time\":%lld", (long long)r->time_ns);
    buf_printf(b,
               ",\"type\":\"%s\",\"process\":%lld,\"f\":", type_names[r->type],
               (long long)r->process);
    json_print_text(b, r->function, strlen(r->function));
    if ((r->key != NULL && !json_pair(b, "key", r->key)) ||
        !json_pair(b, "value", r->value) ||
        (r->error != NULL && !json_pair(b, "error", r->error)))
        return error_set(err, ERROR_CONFIG,
                         "record %llu holds what JSON cannot say (a map with "
                         "keys that are no text, NaN); edn can",
                         (unsigned long long)w->count);
    if (r->operation_id != NULL) {
        buf_puts(b, ",\"" OP_MAP_ID "\":");
        json_print_text(b, r->operation_id, strlen(r->operation_id));
    }
    if (r->attempt != 0)
        buf_printf(b, ",\"" OP_MAP_ATTEMPT "\":%u", r->attempt);
    if (r->attempt_only)
        buf_puts(b, ",\"" OP_MAP_ATTEMPT_ONLY "\":true");
    if (r->position != RECORD_POSITION_NONE)
        buf_printf(b, ",\"" OP_MAP_POSITION "\":[%llu,%llu]",
                   (unsigned long long)r->term,
                   (unsigned long long)r->position);
    buf_puts(b, "}");
    return 0;
}

int
record_writer_add(struct record_writer *w, const struct record *r,
                  struct error *err)
{
    int status = 0;

    switch (w->writing) {
    case WRITING_JSONL:
        status = write_jsonl(w, r, err);
        break;
    case WRITING_EDN:
        write_edn(w, r);
        break;
    case WRITING_JSON:
        status = write_json(w, r, err);
        break;
    }
    if (status < 0 || writer_flush_line(w, err) < 0)
        return -1;
    w->count++;
    return 0;
}

int
record_writer_close(struct record_writer *w, struct error *err)
{
    int status;

    if (w->writing == WRITING_JSONL)
        buf_printf(&w->line, "{\"ordeal-history-seal\":{\"events\":%llu}}\n",
                   (unsigned long long)w->count);
    else if (w->writing == WRITING_JSON)
        buf_puts(&w->line, w->count == 0 ? "[]\n" : "]\n");
    status = writer_flush_line(w, err);
    if (status == 0 && fflush(w->out) != 0)
        status = error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    buf_release(&w->line);
    arena_release(&w->arena);
    free(w);
    return status;
}
