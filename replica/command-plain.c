/* SPDX-License-Identifier: Apache-2.0 */
/* Both directions walk the fields of the shape; both check the same bounds. */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "replica/bytes.h"
#include "replica/command-plain.h"
#include "replica/json.h"

static unsigned
field_count(const struct plain_shape *s)
{
    unsigned n = 0;

    while (n < PLAIN_FIELDS_MAX && s->fields[n].name != NULL)
        n++;
    return n;
}

static int
check_bounds(const struct plain_command *c, struct error *err)
{
    const struct plain_shape *s = c->shape;

    if (id128_is_zero(c->operation))
        return error_set(err, ERROR_CONFIG, "'operation' must not be zero");
    for (unsigned i = 0; i < field_count(s); i++) {
        const struct plain_field *f = &s->fields[i];
        uint64_t max = f->max == 0 ? INT64_MAX : f->max;

        if (!f->is_id &&
            (c->fields[i].number < f->min || c->fields[i].number > max))
            return error_set(err, ERROR_CONFIG,
                             "'%s' must be an integer from %" PRIu64
                             " to %" PRIu64,
                             f->name, f->min, max);
    }
    if (s->at_most_previous > 0 &&
        c->fields[s->at_most_previous].number >
            c->fields[s->at_most_previous - 1].number)
        return error_set(err, ERROR_CONFIG, "'%s' must not be above '%s'",
                         s->fields[s->at_most_previous].name,
                         s->fields[s->at_most_previous - 1].name);
    return 0;
}

static int
parse_fields(const json_t *request, struct plain_command *c, struct error *err)
{
    const char *known[PLAIN_FIELDS_MAX + 1] = {NULL};

    for (unsigned i = 0; i < field_count(c->shape); i++)
        known[i] = c->shape->fields[i].name;
    if (json_check_keys(request, c->shape->name, known, err) < 0 ||
        json_get_id(request, "operation", &c->operation, err) < 0 ||
        json_get_u64(request, "client", &c->client, err) < 0)
        return -1;
    for (unsigned i = 0; i < field_count(c->shape); i++) {
        const struct plain_field *f = &c->shape->fields[i];

        if ((f->is_id ? json_get_id(request, f->name, &c->fields[i].id, err)
                      : json_get_u64(request, f->name, &c->fields[i].number,
                                     err)) < 0)
            return -1;
    }
    return check_bounds(c, err);
}

int
plain_command_parse(const struct plain_shape *shapes, const json_t *request,
                    struct buf *out, struct error *err)
{
    const char *name = json_string_value(json_object_get(request, "command"));
    struct plain_command c = {0};

    if (name == NULL)
        return error_set(err, ERROR_CONFIG, "'command' must be a string");
    for (const struct plain_shape *s = shapes; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            c.shape = s;
    if (c.shape == NULL)
        return error_set(err, ERROR_CONFIG, "unknown command '%.64s'", name);
    if (parse_fields(request, &c, err) < 0)
        return -1;
    plain_command_encode(&c, out);
    return 0;
}

void
plain_command_encode(const struct plain_command *c, struct buf *out)
{
    write_u8(out, c->shape->tag);
    write_id(out, c->operation);
    write_u64(out, c->client);
    for (unsigned i = 0; i < field_count(c->shape); i++) {
        if (c->shape->fields[i].is_id)
            write_id(out, c->fields[i].id);
        else
            write_u64(out, c->fields[i].number);
    }
    assert(!out->truncated);
}

int
plain_command_decode(const struct plain_shape *shapes, const void *data,
                     size_t len, struct plain_command *ret, struct error *err)
{
    struct bytes_reader r = bytes_reader(data, len);
    struct plain_command c = {0};
    uint8_t tag = read_u8(&r);

    for (const struct plain_shape *s = shapes; s->name != NULL; s++)
        if (s->tag == tag)
            c.shape = s;
    if (c.shape == NULL)
        return error_set(err, ERROR_CONFIG, "unknown command tag %d", tag);
    c.operation = read_id(&r);
    c.client = read_u64(&r);
    for (unsigned i = 0; i < field_count(c.shape); i++) {
        if (c.shape->fields[i].is_id)
            c.fields[i].id = read_id(&r);
        else
            c.fields[i].number = read_u64(&r);
    }
    if (!bytes_done(&r))
        return error_set(err, ERROR_CONFIG, "%s: wrong length of %zu bytes",
                         c.shape->name, len);
    if (check_bounds(&c, err) < 0)
        return -1;
    *ret = c;
    return 0;
}
