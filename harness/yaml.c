/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's event stream is folded by recursion, one function per kind of
 * node.  Every failure carries the line on which it was found.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "harness/base/file.h"
#include "harness/base/limits.h"
#include "harness/yaml.h"

struct yaml_source {
    const char *name;
    yaml_parser_t parser;
    unsigned depth, node_count;
    struct error *err;
};

static json_t *yaml_node(struct yaml_source *s, yaml_event_t *first);

static json_t *
yaml_fail(struct yaml_source *s, const yaml_mark_t *mark, const char *what)
{
    if (s->err->kind == ERROR_NONE)
        error_set(s->err, ERROR_CONFIG, "%s:%zu: %s", s->name, mark->line + 1,
                  what);
    return NULL;
}

static bool
yaml_event_next(struct yaml_source *s, yaml_event_t *ret)
{
    if (yaml_parser_parse(&s->parser, ret))
        return true;
    error_set(s->err, ERROR_CONFIG, "%s:%zu: %s", s->name,
              s->parser.problem_mark.line + 1,
              s->parser.problem == NULL ? "not YAML" : s->parser.problem);
    return false;
}

static json_t *
yaml_plain_scalar(const char *text)
{
    char *end;
    long long integer;
    double real;

    if (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
        return json_null();
    if (strcmp(text, "true") == 0)
        return json_true();
    if (strcmp(text, "false") == 0)
        return json_false();
    if (strspn(text, "+-.0123456789eE") == strlen(text)) {
        errno = 0;
        integer = strtoll(text, &end, 10);
        if (*end == '\0' && errno == 0)
            return json_integer(integer);
        real = strtod(text, &end);
        if (*end == '\0')
            return json_real(real);
    }
    return json_string(text);
}

static json_t *
yaml_scalar(struct yaml_source *s, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    json_t *json;

    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
        return yaml_fail(s, &event->start_mark,
                         "anchors and tags are not supported");
    if (strlen(text) != len)
        return yaml_fail(s, &event->start_mark, "NUL inside a scalar");
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        json = yaml_plain_scalar(text);
    else
        json = json_stringn(text, len);
    return json != NULL ? json
                        : yaml_fail(s, &event->start_mark, "not UTF-8 text");
}

static json_t *
yaml_sequence(struct yaml_source *s)
{
    json_t *array = json_array();

    for (;;) {
        yaml_event_t event;
        json_t *item;

        if (!yaml_event_next(s, &event))
            break;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return array;
        }
        item = yaml_node(s, &event);
        yaml_event_delete(&event);
        if (item == NULL)
            break;
        json_array_append_new(array, item);
    }
    json_decref(array);
    return NULL;
}

/* One 'key: value' whose key event was read; false on failure. */
static bool
yaml_pair(struct yaml_source *s, const yaml_event_t *key_event, json_t *object)
{
    const char *key = (const char *)key_event->data.scalar.value;
    char message[160];
    yaml_event_t event;
    json_t *value;

    if (key_event->type != YAML_SCALAR_EVENT) {
        yaml_fail(s, &key_event->start_mark, "keys are plain words");
        return false;
    }
    if (json_object_get(object, key) != NULL) {
        snprintf(message, sizeof(message), "key '%.80s' stands twice", key);
        yaml_fail(s, &key_event->start_mark, message);
        return false;
    }
    if (!yaml_event_next(s, &event))
        return false;
    value = yaml_node(s, &event);
    yaml_event_delete(&event);
    return value != NULL && json_object_set_new(object, key, value) == 0;
}

static json_t *
yaml_mapping(struct yaml_source *s)
{
    json_t *object = json_object();

    for (;;) {
        yaml_event_t event;
        bool ok;

        if (!yaml_event_next(s, &event))
            break;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return object;
        }
        ok = yaml_pair(s, &event, object);
        yaml_event_delete(&event);
        if (!ok)
            break;
    }
    json_decref(object);
    return NULL;
}

static json_t *
yaml_node(struct yaml_source *s, yaml_event_t *first)
{
    json_t *json;

    if (++s->node_count > YAML_NODES_MAX || s->depth >= YAML_DEPTH_MAX)
        return yaml_fail(s, &first->start_mark, "too large or too deep");
    s->depth++;
    switch (first->type) {
    case YAML_SCALAR_EVENT:
        json = yaml_scalar(s, first);
        break;
    case YAML_SEQUENCE_START_EVENT:
        json = yaml_sequence(s);
        break;
    case YAML_MAPPING_START_EVENT:
        json = yaml_mapping(s);
        break;
    default:
        json = yaml_fail(s, &first->start_mark,
                         "expected a value (aliases are not supported)");
        break;
    }
    s->depth--;
    return json;
}

static json_t *
yaml_document(struct yaml_source *s)
{
    json_t *root = NULL;

    for (;;) {
        yaml_event_t event;
        yaml_event_type_t type;

        if (!yaml_event_next(s, &event))
            break;
        type = event.type;
        if (type == YAML_STREAM_END_EVENT && root == NULL)
            yaml_fail(s, &event.start_mark, "the file is empty");
        if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
            type != YAML_DOCUMENT_START_EVENT &&
            type != YAML_DOCUMENT_END_EVENT)
            root = yaml_node(s, &event);
        else if (type == YAML_DOCUMENT_START_EVENT && root != NULL)
            yaml_fail(s, &event.start_mark, "only one document a file");
        yaml_event_delete(&event);
        if (s->err->kind != ERROR_NONE || type == YAML_STREAM_END_EVENT)
            break;
    }
    if (s->err->kind == ERROR_NONE)
        return root;
    json_decref(root);
    return NULL;
}

json_t *
yaml_load_text(const char *name, const char *text, size_t len,
               struct error *err)
{
    struct error inner = {0};
    struct yaml_source s = {.name = name, .err = &inner};
    json_t *root;

    if (!yaml_parser_initialize(&s.parser)) {
        error_set(err, ERROR_BUG, "%s: cannot make a YAML parser", name);
        return NULL;
    }
    yaml_parser_set_input_string(&s.parser, (const unsigned char *)text, len);
    root = yaml_document(&s);
    yaml_parser_delete(&s.parser);
    if (root == NULL)
        *err = inner;
    return root;
}

json_t *
yaml_load_file(const char *path, struct error *err)
{
    size_t len;
    CLEANUP_FREE char *text = file_read(path, SCENARIO_BYTES_MAX, &len, err);

    return text == NULL ? NULL : yaml_load_text(path, text, len, err);
}
