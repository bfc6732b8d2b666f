/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease engine in JSON (docs/REPLICA-API.md).  A request names its command
 * and gives exactly the fields of that command; the first thing that is wrong
 * is the error's text, which the client gets as "message".
 */
#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replica/engine-lease.h"
#include "replica/json.h"

const char *
resource_state_name(enum resource_state state)
{
    static const char *const names[RESOURCE_STATE_COUNT] = {
        "available", "reserved", "active", "revoking"};

    assert((unsigned)state < RESOURCE_STATE_COUNT);
    return names[state];
}

const char *
lease_state_name(enum lease_state state)
{
    static const char *const names[LEASE_STATE_COUNT] = {
        "reserved", "active", "revoking", "released", "expired", "revoked"};

    assert((unsigned)state < LEASE_STATE_COUNT);
    return names[state];
}

/* The fields of each command, beside command, operation and client. */
static const char *const *
fields_of(enum command_tag tag)
{
    static const char *const create[] = {"resource", NULL};
    static const char *const reserve[] = {"resource", "holder", "ttl", NULL};
    static const char *const bundle[] = {"resources", "holder", "ttl", NULL};
    static const char *const holder[] = {"lease", "holder", "epoch", NULL};
    static const char *const lease[] = {"lease", NULL};

    switch (tag) {
    case COMMAND_CREATE_RESOURCE:
        return create;
    case COMMAND_RESERVE:
        return reserve;
    case COMMAND_RESERVE_BUNDLE:
        return bundle;
    case COMMAND_CONFIRM:
    case COMMAND_RELEASE:
        return holder;
    default:
        return lease;
    }
}

static int
parse_resources(const json_t *request, struct command *c, struct error *err)
{
    const json_t *list = json_object_get(request, "resources");
    json_t *item;
    size_t i;

    if (!json_is_array(list))
        return error_set(err, ERROR_CONFIG, "'resources' must be a list");
    if (json_array_size(list) > COMMAND_RESOURCES_MAX)
        return error_set(err, ERROR_CONFIG,
                         "'resources' has more than %u items",
                         COMMAND_RESOURCES_MAX);
    json_array_foreach ((json_t *)list, i, item) {
        if (!json_to_id(item, &c->resources[i]))
            return error_set(err, ERROR_CONFIG, "'resources' item %zu: %s", i,
                             JSON_ID_EXPECTED);
    }
    c->resource_count = (uint32_t)json_array_size(list);
    return 0;
}

static int
parse_fields(const json_t *request, struct command *c, struct error *err)
{
    switch (c->tag) {
    case COMMAND_CREATE_RESOURCE:
    case COMMAND_RESERVE:
        c->resource_count = 1;
        if (json_get_id(request, "resource", &c->resources[0], err) < 0)
            return -1;
        break;
    case COMMAND_RESERVE_BUNDLE:
        if (parse_resources(request, c, err) < 0)
            return -1;
        break;
    default:
        if (json_get_id(request, "lease", &c->lease, err) < 0)
            return -1;
    }
    if (c->tag == COMMAND_CREATE_RESOURCE || c->tag == COMMAND_REVOKE ||
        c->tag == COMMAND_RECLAIM)
        return 0;
    if (json_get_id(request, "holder", &c->holder, err) < 0)
        return -1;
    if (c->tag == COMMAND_CONFIRM || c->tag == COMMAND_RELEASE)
        return json_get_u64(request, "epoch", &c->epoch, err);
    return json_get_u64(request, "ttl", &c->ttl, err);
}

int
lease_json_parse(const json_t *request, struct buf *out, struct error *err)
{
    const char *name = json_string_value(json_object_get(request, "command"));
    struct command c;

    memset(&c, 0, offsetof(struct command, resources));
    if (name == NULL)
        return error_set(err, ERROR_CONFIG, "'command' must be a string");
    if (!command_parse_name(name, &c.tag) || !command_is_client(c.tag))
        return error_set(err, ERROR_CONFIG, "unknown command '%.64s'", name);
    if (json_check_keys(request, command_name(c.tag), fields_of(c.tag), err) <
            0 ||
        json_get_id(request, "operation", &c.operation, err) < 0 ||
        json_get_u64(request, "client", &c.client, err) < 0 ||
        parse_fields(request, &c, err) < 0)
        return -1;
    if (id128_is_zero(c.operation))
        return error_set(err, ERROR_CONFIG, "'operation' must not be zero");
    command_encode(&c, out);
    return 0;
}

static json_t *
resources_json(const struct lease_view *l)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < l->resource_count; i++)
        json_array_append_new(list, json_from_id(l->resources[i]));
    return list;
}

static void
query_lease(const struct engine *e, struct id128 id, json_t *ret)
{
    struct lease_view l;
    bool retired;

    if (!engine_lease_get_lease(e, id, &l, &retired)) {
        json_object_set_new(ret, "found", json_false());
        json_object_set_new(ret, "retired", json_boolean(retired));
        return;
    }
    json_object_set_new(ret, "found", json_true());
    json_object_set_new(ret, "state", json_string(lease_state_name(l.state)));
    json_object_set_new(ret, "holder", json_from_id(l.holder));
    json_object_set_new(ret, "epoch", json_from_u64(l.epoch));
    json_object_set_new(ret, "deadline", json_from_u64(l.deadline));
    json_object_set_new(ret, "created", json_from_u64(l.created));
    json_object_set_new(ret, "released",
                        l.released == 0 ? json_null()
                                        : json_from_u64(l.released));
    json_object_set_new(ret, "retire_after",
                        l.ended ? json_from_u64(l.retire_after) : json_null());
    json_object_set_new(ret, "resources", resources_json(&l));
}

static void
query_resource(const struct engine *e, struct id128 id, json_t *ret)
{
    struct resource_view r;

    if (!engine_lease_get_resource(e, id, &r)) {
        json_object_set_new(ret, "found", json_false());
        json_object_set_new(ret, "retired", json_false());
        return;
    }
    json_object_set_new(ret, "found", json_true());
    json_object_set_new(ret, "state",
                        json_string(resource_state_name(r.state)));
    json_object_set_new(ret, "version", json_from_u64(r.version));
    json_object_set_new(ret, "lease",
                        id128_is_zero(r.lease) ? json_null()
                                               : json_from_lease(r.lease));
}

bool
lease_json_query(const struct engine *e, const char *kind, struct id128 id,
                 json_t *ret)
{
    if (strcmp(kind, "lease") == 0)
        query_lease(e, id, ret);
    else if (strcmp(kind, "resource") == 0)
        query_resource(e, id, ret);
    else
        return false;
    return true;
}

json_t *
lease_json_expired(const struct engine *e, const void *payload, size_t len,
                   const struct outcome *outcome)
{
    struct lease_view l;
    struct command c;
    struct error ignored;
    json_t *item;
    bool retired;

    if (command_decode(payload, len, &c, &ignored) < 0 ||
        c.tag != COMMAND_EXPIRE || outcome->code != RESULT_OK ||
        !engine_lease_get_lease(e, c.lease, &l, &retired))
        return NULL;
    item = json_object();
    json_object_set_new(item, "lease", json_from_lease(c.lease));
    json_object_set_new(item, "resources", resources_json(&l));
    json_object_set_new(item, "deadline", json_from_u64(l.deadline));
    json_object_set_new(item, "index", json_from_u64(outcome->index));
    return item;
}
