/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own binary history (docs/HISTORY-FORMAT.md), or the bundle it is in.  It
 * is read by harness/base/history.h, which needs a file: what is compressed, or
 * comes through a pipe, goes to a temporary file first.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/formats/formats.h"
#include "analyzer/formats/typed.h"
#include "harness/base/history-format.h"

static unsigned
ordeal_sniff(const char *bytes, size_t len, const char *path)
{
    struct stat st;

    if (len >= HISTORY_MAGIC_BYTES &&
        memcmp(bytes, HISTORY_MAGIC, HISTORY_MAGIC_BYTES) == 0)
        return 100;
    return len == 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 100 : 0;
}

static struct tree
ordeal_text(const char *text, size_t len)
{
    return (struct tree){
        .kind = TREE_STRING, .count = (uint32_t)len, .text = text};
}

static struct tree
ordeal_value(struct parse *ps, const struct value *v)
{
    struct tree t = {0}, *items;

    switch (v->type) {
    case VALUE_NULL:
        return t;
    case VALUE_BOOL:
        t.kind = TREE_BOOL;
        t.truth = v->boolean;
        return t;
    case VALUE_INT:
        t.kind = TREE_INT;
        t.integer = v->integer;
        return t;
    case VALUE_ID:
        return typed_id(ps, v->id);
    case VALUE_STRING:
        return ordeal_text(v->string.text, v->string.len);
    case VALUE_LIST:
        items = parse_alloc(ps, (v->list.count + 1) * sizeof(*items));
        for (size_t i = 0; i < v->list.count; i++)
            items[i] = ordeal_value(ps, &v->list.items[i]);
        t.kind = TREE_LIST;
        t.count = (uint32_t)v->list.count;
        t.items = items;
        return t;
    }
    return t;
}

/*
 * Most events have a key, a value, or both, and nothing else: what typed_fields
 * would make of them, without the map.  False: there is more.
 */
static bool
ordeal_plain(struct parse *ps, const struct event *e, struct typed *t,
             struct record *r)
{
    const struct value *key = NULL, *value = NULL;

    for (size_t i = 0; i < e->fields.count; i++) {
        const struct field *f = &e->fields.items[i];

        if (f->key[0] == 'k' && strcmp(f->key, "key") == 0)
            key = &f->value;
        else if (f->key[0] == 'v' && strcmp(f->key, "value") == 0)
            value = &f->value;
        else
            return false;
    }
    t->value = (struct tree){0};
    if (value != NULL)
        t->value = ordeal_value(ps, value);
    r->value = &t->value;
    if (key != NULL) {
        t->key = ordeal_value(ps, key);
        r->key = &t->key;
    }
    return true;
}

static enum typed_status
ordeal_fields(struct parse *ps, const struct event *e, struct typed *t,
              struct record *r)
{
    struct tree fields = {.kind = TREE_MAP, .count = (uint32_t)e->fields.count};
    struct tree *items =
        parse_alloc(ps, (2 * e->fields.count + 1) * sizeof(*items));

    for (size_t i = 0; i < e->fields.count; i++) {
        const struct field *f = &e->fields.items[i];

        items[2 * i] = ordeal_text(f->key, strlen(f->key));
        items[2 * i + 1] = ordeal_value(ps, &f->value);
    }
    fields.items = items;
    return typed_fields(ps, &fields, t, r);
}

static enum typed_status
ordeal_record(struct parse *ps, const struct event *e, struct typed *t,
              struct record *r)
{
    static const enum record_type types[] = {
        [EVENT_INVOKE] = RECORD_INVOKE,
        [EVENT_OK] = RECORD_OK,
        [EVENT_FAIL] = RECORD_FAIL,
        [EVENT_UNKNOWN] = RECORD_INFO,
    };

    if (e->kind > EVENT_UNKNOWN || e->process == HISTORY_PROCESS_NONE)
        return TYPED_SKIP;
    parse_begin(ps, "", 0, true);
    *r = (struct record){
        .type = types[e->kind],
        .process = e->process,
        .function = e->function,
        .attempt = e->attempt,
        .attempt_only = e->kind == EVENT_FAIL,
        .term = e->position.term,
        .position =
            e->position.known ? e->position.index : RECORD_POSITION_NONE,
        .time_ns = e->time_ns,
        .line = e->index,
    };
    if (!id128_is_zero(e->operation)) {
        id128_format(e->operation, t->id);
        r->operation_id = t->id;
    }
    if (e->error != NULL) {
        t->error = ordeal_text(e->error, strlen(e->error));
        r->error = &t->error;
    }
    return ordeal_plain(ps, e, t, r) ? TYPED_RECORD
                                     : ordeal_fields(ps, e, t, r);
}

static int
ordeal_events(struct history_reader *h, struct input *in, record_sink *sink,
              void *arg, struct error *err)
{
    struct parse ps;
    struct typed t;
    struct event e;
    struct record r;
    int status;

    parse_init(&ps);
    while ((status = history_next(h, &e, err)) > 0) {
        enum typed_status is = ordeal_record(&ps, &e, &t, &r);

        if (is == TYPED_SKIP)
            continue;
        status = is == TYPED_ERROR
                     ? input_error(in, e.index, err, "%s", ps.what)
                     : sink(arg, &r, err);
        if (status < 0)
            break;
    }
    parse_release(&ps);
    return status;
}

static struct history_reader *
ordeal_open(struct input *in, FILE *spool, struct error *err)
{
    struct history_reader *h;
    char path[64];

    if (input_is_plain_file(in) || input_is_directory(in))
        return history_reader_open(input_path(in), err);
    if (spool == NULL) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "%s: a temporary file",
                    input_path(in));
        return NULL;
    }
    if (input_copy(in, fileno(spool), err) < 0)
        return NULL;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(spool));
    h = history_reader_open(path, err);
    if (h == NULL)
        error_wrap(err, "%s (unpacked)", input_path(in));
    return h;
}

static int
ordeal_read(struct input *in, struct record_file *ret, record_sink *sink,
            void *arg, struct error *err)
{
    bool spooled = !input_is_plain_file(in) && !input_is_directory(in);
    FILE *spool = spooled ? tmpfile() : NULL;
    struct history_reader *h = ordeal_open(in, spool, err);
    int status = -1;

    if (h != NULL) {
        ret->model = typed_model(json_string_value(
            json_object_get(history_reader_meta(h), "model")));
        status = ordeal_events(h, in, sink, arg, err);
        history_reader_free(h);
    }
    if (spool != NULL)
        fclose(spool);
    return status;
}

const struct format_ops format_ordeal = {
    .name = "ordeal",
    .description = "Ordeal's binary history, or a bundle",
    .sniff = ordeal_sniff,
    .read = ordeal_read,
};
