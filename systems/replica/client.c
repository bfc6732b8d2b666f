/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attempt becomes one request; its reply becomes fields:
 *
 *   200 recorded       EVENT_OK, position of the first execution
 *   200 not recorded   EVENT_FAIL, error = the code
 *   refusal            by the table below; the replica's own word for it
 *                      ("certainty") must agree
 *   no connection      EVENT_FAIL "refused"
 *   anything else      EVENT_UNKNOWN
 *
 * Failure modes: a reply that is not exactly what docs/REPLICA-API.md says is
 * EVENT_UNKNOWN "malformed_reply": it may stand for an executed command.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "systems/http.h"
#include "systems/replica/replica.h"

struct replica_client {
    struct client base;
    const struct cluster *cluster;
    uint64_t client_id;
    struct http *http;
};

static const struct replica_refusal {
    const char *error;
    long status;
    enum event_kind kind;
} replica_refusals[] = {
    {"invalid_request", 400, EVENT_FAIL},
    {"no_such_route", 404, EVENT_FAIL},
    {"fence_not_applied", 409, EVENT_FAIL},
    {"too_large", 413, EVENT_FAIL},
    {"not_primary", 421, EVENT_FAIL},
    {"overloaded", 429, EVENT_FAIL},
    {"not_ready", 503, EVENT_FAIL},
    {"positions_exhausted", 507, EVENT_FAIL},
    {"leadership_lost", 504, EVENT_UNKNOWN},
    {"deadline", 504, EVENT_UNKNOWN},
};

/* Whether the code is one that the dedupe table keeps. */
static const struct replica_code {
    const char *code;
    bool recorded, unrecorded;
} replica_codes[] = {
    {"ok", true, false},
    {"noop", true, false},
    {"already_exists", true, false},
    {"resource_table_full", true, false},
    {"resource_not_found", true, false},
    {"resource_busy", true, false},
    {"bundle_too_large", true, false},
    {"ttl_out_of_range", true, false},
    {"reservation_table_full", true, false},
    {"reservation_member_table_full", true, false},
    {"reservation_not_found", true, false},
    {"reservation_retired", true, false},
    {"expiration_index_full", true, false},
    {"invalid_state", true, false},
    {"holder_mismatch", true, false},
    {"stale_epoch", true, false},
    {"bucket_table_full", true, false},
    {"bucket_not_found", true, false},
    {"insufficient_funds", true, false},
    {"pool_table_full", true, false},
    {"pool_not_found", true, false},
    {"hold_table_full", true, false},
    {"hold_not_found", true, false},
    {"hold_expired", true, false},
    {"insufficient_capacity", true, false},
    {"block_not_found", true, false},
    {"value_mismatch", true, false},
    /* Before execution it is not recorded, a deadline's overflow is. */
    {"slot_overflow", true, true},
    {"operation_table_full", false, true},
    {"operation_conflict", false, true},
};

/* Integers that an answer with this code must carry, beside the common. */
static const struct replica_extra {
    const char *function, *code, *field;
} replica_extras[] = {
    {"debit", "ok", "balance"},
    {"debit", "insufficient_funds", "balance"},
    {"write", "ok", "version"},
    {"cas", "ok", "version"},
    {"cas", "value_mismatch", "value"},
};

/* Integers that a read that found its object must carry. */
#define REPLICA_READ_INTS_MAX 4
static const struct replica_read {
    const char *function, *ints[REPLICA_READ_INTS_MAX + 1];
} replica_reads[] = {
    {"get_bucket", {"limit", "refill", "balance", "since", NULL}},
    {"get_pool", {"total", "held", "consumed", NULL}},
    {"get_hold", {"quantity", "deadline", NULL}},
    {"get_block", {"value", "version", NULL}},
};

static const char *const replica_hold_states[] = {"held", "confirmed",
                                                  "released", "expired", NULL};
static const char *const replica_resource_states[] = {
    "available", "reserved", "active", "revoking", NULL};
static const char *const replica_lease_states[] = {
    "reserved", "active", "released", "expired", "revoking", "revoked", NULL};

/* ---- requests ---- */

static json_t *
replica_value_json(const struct value *v)
{
    char text[ID128_TEXT_SIZE];
    json_t *list;

    switch (v->type) {
    case VALUE_INT:
        return json_integer(v->integer);
    case VALUE_ID:
        id128_format(v->id, text);
        return json_string(text);
    case VALUE_LIST:
        list = json_array();
        for (size_t i = 0; i < v->list.count; i++)
            json_array_append_new(list, replica_value_json(&v->list.items[i]));
        return list;
    default:
        assert(!"arguments are integers, ids or lists of them");
    }
    return NULL;
}

static char *
replica_body(struct arena *a, const struct operation *op, uint64_t client_id)
{
    json_t *json = json_pack("{s:I}", "client", (json_int_t)client_id);
    char id[ID128_TEXT_SIZE], *text, *body;

    if (strcmp(op->function, "tick") != 0) {
        id128_format(op->id, id);
        json_object_set_new(json, "operation", json_string(id));
        json_object_set_new(json, "command", json_string(op->function));
    }
    for (size_t i = 0; i < op->args.count; i++)
        json_object_set_new(json, op->args.items[i].key,
                            replica_value_json(&op->args.items[i].value));
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    assert(text != NULL);
    body = arena_strdup(a, text);
    free(text);
    return body;
}

static const char *
replica_read_path(struct arena *a, const struct operation *op)
{
    const char *kind = op->function + strlen("get_"), *claim = "linearizable";
    const struct value *v = fields_get(&op->args, kind);
    char id[ID128_TEXT_SIZE];
    int64_t required;
    char *path;

    assert(v != NULL && (v->type == VALUE_INT || v->type == VALUE_ID));
    if (v->type == VALUE_ID)
        id128_format(v->id, id);
    else
        snprintf(id, sizeof(id), "%" PRId64, v->integer);
    fields_string(&op->args, "claim", &claim);
    /* A fence is a bound on what may be read, from any replica. */
    path = arena_printf(a, "/v1/%s/%s?claim=%s", kind, id,
                        strcmp(claim, "linearizable") == 0 ? "linearizable"
                                                           : "any");
    if (fields_int(&op->args, "required", &required))
        path = arena_printf(a, "%s&required=%" PRId64, path, required);
    return path;
}

static bool
replica_is_read(const struct operation *op)
{
    return strncmp(op->function, "get_", strlen("get_")) == 0;
}

/* ---- replies ---- */

static void
replica_unknown(struct attempt_result *ret, const char *error)
{
    memset(ret, 0, sizeof(*ret));
    ret->kind = EVENT_UNKNOWN;
    ret->error = error;
    ret->redirect = -1;
}

/* A non-negative integer. */
static bool
replica_get_int(const json_t *json, const char *key, int64_t *ret)
{
    const json_t *v = json_object_get(json, key);

    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *ret = json_integer_value(v);
    return true;
}

static bool
replica_get_bool(const json_t *json, const char *key, bool *ret)
{
    const json_t *v = json_object_get(json, key);

    if (!json_is_boolean(v))
        return false;
    *ret = json_is_true(v);
    return true;
}

/* A lease id is always hex; a resource or holder may be an integer. */
static bool
replica_get_id(const json_t *v, bool integer, struct value *ret)
{
    if (integer && json_is_integer(v) && json_integer_value(v) >= 0) {
        ret->type = VALUE_INT;
        ret->integer = json_integer_value(v);
        return true;
    }
    ret->type = VALUE_ID;
    return json_is_string(v) && id128_parse(json_string_value(v), &ret->id);
}

static bool
replica_copy_int(struct arena *a, const json_t *json, const char *key,
                 struct fields *f)
{
    int64_t v;

    if (!replica_get_int(json, key, &v))
        return false;
    fields_set_int(a, f, key, v);
    return true;
}

static bool
replica_copy_id(struct arena *a, const json_t *json, const char *key,
                bool integer, struct fields *f)
{
    struct value v = {0};

    if (!replica_get_id(json_object_get(json, key), integer, &v))
        return false;
    fields_set(a, f, key, v);
    return true;
}

static bool
replica_get_resources(struct arena *a, const json_t *json, struct value *ret)
{
    size_t count = json_array_size(json);
    struct value *items;

    if (!json_is_array(json) || count == 0 || count > VALUE_LIST_MAX)
        return false;
    items = arena_alloc(a, count * sizeof(*items));
    for (size_t i = 0; i < count; i++)
        if (!replica_get_id(json_array_get(json, i), true, &items[i]))
            return false;
    ret->type = VALUE_LIST;
    ret->list.items = items;
    ret->list.count = count;
    return true;
}

static bool
replica_get_position(const json_t *json, struct position *ret)
{
    int64_t view, index;

    if (!replica_get_int(json, "view", &view) ||
        !replica_get_int(json, "index", &index))
        return false;
    *ret = (struct position){
        .known = true, .term = (uint64_t)view, .index = (uint64_t)index};
    return true;
}

static const struct replica_code *
replica_code_find(const char *code)
{
    for (size_t i = 0; code != NULL && i < ARRAY_LEN(replica_codes); i++)
        if (strcmp(replica_codes[i].code, code) == 0)
            return &replica_codes[i];
    return NULL;
}

static bool
replica_parse_extras(struct arena *a, const char *function, const char *code,
                     const json_t *json, struct fields *f)
{
    for (size_t i = 0; i < ARRAY_LEN(replica_extras); i++) {
        const struct replica_extra *e = &replica_extras[i];

        if (strcmp(e->function, function) == 0 && strcmp(e->code, code) == 0 &&
            !replica_copy_int(a, json, e->field, f))
            return false;
    }
    return true;
}

static bool
replica_is_on_lease(const char *function)
{
    static const char *const functions[] = {
        "reserve", "reserve_bundle", "confirm", "release", "revoke", "reclaim"};

    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (strcmp(functions[i], function) == 0)
            return true;
    return false;
}

/* What an ok of a command on a lease carries. */
static bool
replica_parse_lease_fields(struct arena *a, const char *function,
                           const json_t *json, struct fields *f)
{
    if (!replica_is_on_lease(function))
        return true;
    if (!replica_copy_id(a, json, "lease", false, f) ||
        !replica_copy_int(a, json, "epoch", f))
        return false;
    if (strncmp(function, "reserve", strlen("reserve")) == 0)
        return replica_copy_int(a, json, "deadline", f);
    return true;
}

static bool
replica_parse_command(struct arena *a, const struct operation *op,
                      const json_t *json, struct attempt_result *ret)
{
    const struct replica_code *code =
        replica_code_find(json_string_value(json_object_get(json, "code")));
    bool recorded, cached;

    if (code == NULL || !replica_get_bool(json, "recorded", &recorded) ||
        !replica_get_bool(json, "cached", &cached) ||
        (recorded ? !code->recorded : !code->unrecorded))
        return false;
    fields_set_string(a, &ret->fields, "code", code->code);
    if (!recorded) {
        ret->kind = EVENT_FAIL;
        ret->error = code->code;
        return true;
    }
    ret->kind = EVENT_OK;
    fields_set_bool(a, &ret->fields, "cached", cached);
    if (!replica_copy_int(a, json, "slot", &ret->fields) ||
        !replica_get_position(json, &ret->position))
        return false;
    return replica_parse_extras(a, op->function, code->code, json,
                                &ret->fields) &&
           (strcmp(code->code, "ok") != 0 ||
            replica_parse_lease_fields(a, op->function, json, &ret->fields));
}

/* [lease, deadline, index, [resources]] */
static bool
replica_parse_expired(struct arena *a, const json_t *json, struct value *ret)
{
    struct value *items = arena_alloc(a, 4 * sizeof(*items));
    int64_t deadline, index;

    if (!json_is_object(json) ||
        !replica_get_id(json_object_get(json, "lease"), false, &items[0]) ||
        !replica_get_int(json, "deadline", &deadline) ||
        !replica_get_int(json, "index", &index) ||
        !replica_get_resources(a, json_object_get(json, "resources"),
                               &items[3]))
        return false;
    items[1] = (struct value){.type = VALUE_INT, .integer = deadline};
    items[2] = (struct value){.type = VALUE_INT, .integer = index};
    ret->type = VALUE_LIST;
    ret->list.items = items;
    ret->list.count = 4;
    return true;
}

static bool
replica_parse_tick(struct arena *a, const json_t *json,
                   struct attempt_result *ret)
{
    const char *code = json_string_value(json_object_get(json, "code"));
    const json_t *list = json_object_get(json, "expired");
    size_t count = json_array_size(list);
    struct value *items;

    if (code == NULL || strcmp(code, "ok") != 0 || !json_is_array(list) ||
        count > VALUE_LIST_MAX)
        return false;
    ret->kind = EVENT_OK;
    fields_set_string(a, &ret->fields, "code", code);
    if (!replica_copy_int(a, json, "slot", &ret->fields) ||
        !replica_get_position(json, &ret->position))
        return false;
    items = arena_alloc(a, (count + 1) * sizeof(*items));
    for (size_t i = 0; i < count; i++)
        if (!replica_parse_expired(a, json_array_get(list, i), &items[i]))
            return false;
    fields_set_list(a, &ret->fields, "expired", items, count);
    return true;
}

static bool
replica_copy_state(struct arena *a, const json_t *json,
                   const char *const *states, struct fields *f)
{
    const char *state = json_string_value(json_object_get(json, "state"));

    for (; state != NULL && *states != NULL; states++) {
        if (strcmp(*states, state) == 0) {
            fields_set_string(a, f, "state", state);
            return true;
        }
    }
    return false;
}

static bool
replica_parse_resource(struct arena *a, const json_t *json, struct fields *f)
{
    const json_t *lease = json_object_get(json, "lease");

    if (!replica_copy_state(a, json, replica_resource_states, f) ||
        !replica_copy_int(a, json, "version", f))
        return false;
    if (lease == NULL || json_is_null(lease))
        return true;
    return replica_copy_id(a, json, "lease", false, f);
}

static bool
replica_parse_lease(struct arena *a, const json_t *json, struct fields *f)
{
    struct value resources;

    if (!replica_copy_state(a, json, replica_lease_states, f) ||
        !replica_copy_id(a, json, "holder", true, f) ||
        !replica_copy_int(a, json, "epoch", f) ||
        !replica_copy_int(a, json, "deadline", f) ||
        !replica_copy_int(a, json, "created", f) ||
        !replica_get_resources(a, json_object_get(json, "resources"),
                               &resources))
        return false;
    fields_set(a, f, "resources", resources);
    return true;
}

/* A bucket, pool, hold or block. */
static bool
replica_parse_object(struct arena *a, const char *function, const json_t *json,
                     struct fields *f)
{
    const struct replica_read *read = NULL;

    for (size_t i = 0; i < ARRAY_LEN(replica_reads); i++)
        if (strcmp(replica_reads[i].function, function) == 0)
            read = &replica_reads[i];
    assert(read != NULL);
    for (unsigned i = 0; read->ints[i] != NULL; i++)
        if (!replica_copy_int(a, json, read->ints[i], f))
            return false;
    return strcmp(function, "get_hold") != 0 ||
           (replica_copy_id(a, json, "pool", true, f) &&
            replica_copy_state(a, json, replica_hold_states, f));
}

static bool
replica_parse_read(struct arena *a, const struct operation *op,
                   const json_t *json, struct attempt_result *ret)
{
    bool is_lease = strcmp(op->function, "get_lease") == 0;
    bool found, retired = false;
    struct fields *f = &ret->fields;

    if (!replica_get_bool(json, "found", &found))
        return false;
    if (!found && !replica_get_bool(json, "retired", &retired))
        return false;
    ret->kind = EVENT_OK;
    fields_set_bool(a, f, "found", found);
    if (is_lease)
        fields_set_bool(a, f, "retired", retired);
    if (!replica_copy_int(a, json, "applied", f) ||
        !replica_copy_int(a, json, "slot", f))
        return false;
    if (!found)
        return true;
    if (is_lease)
        return replica_parse_lease(a, json, f);
    return strcmp(op->function, "get_resource") == 0
               ? replica_parse_resource(a, json, f)
               : replica_parse_object(a, op->function, json, f);
}

static bool
replica_parse_refusal(const struct cluster *c, const json_t *json, long status,
                      struct attempt_result *ret)
{
    const char *error = json_string_value(json_object_get(json, "error"));
    const char *word = json_string_value(json_object_get(json, "certainty"));
    const char *primary = json_string_value(json_object_get(json, "primary"));

    if (error == NULL || word == NULL)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(replica_refusals); i++) {
        const struct replica_refusal *r = &replica_refusals[i];

        if (strcmp(r->error, error) != 0)
            continue;
        if (r->status != status ||
            strcmp(word, r->kind == EVENT_FAIL ? "fail" : "unknown") != 0)
            return false;
        ret->kind = r->kind;
        ret->error = r->error;
        for (unsigned n = 0; primary != NULL && n < c->node_count; n++)
            if (strcmp(c->nodes[n].name, primary) == 0)
                ret->redirect = (int)n;
        return true;
    }
    return false;
}

static void
replica_parse(struct replica_client *rc, struct arena *a,
              const struct operation *op, const struct http_reply *reply,
              struct attempt_result *ret)
{
    json_t *json =
        json_loadb(reply->body, reply->body_len, JSON_REJECT_DUPLICATES, NULL);
    bool good;

    if (!json_is_object(json))
        good = false;
    else if (reply->status != 200)
        good = replica_parse_refusal(rc->cluster, json, reply->status, ret);
    else if (replica_is_read(op))
        good = replica_parse_read(a, op, json, ret);
    else if (strcmp(op->function, "tick") == 0)
        good = replica_parse_tick(a, json, ret);
    else
        good = replica_parse_command(a, op, json, ret);
    json_decref(json);
    if (!good)
        replica_unknown(ret, http_outcome_name(HTTP_MALFORMED));
}

static void
replica_client_invoke(struct client *c, const struct operation *op,
                      unsigned node, int64_t timeout_ns, struct arena *a,
                      struct attempt_result *ret)
{
    struct replica_client *rc = (struct replica_client *)c;
    struct http_request request = {.way = way_of_client(rc->cluster, node,
                                                        REPLICA_CLIENT_PORT,
                                                        rc->client_id),
                                   .timeout_ns = timeout_ns};
    struct http_reply reply;

    if (replica_is_read(op)) {
        request.path = replica_read_path(a, op);
    } else {
        bool tick = strcmp(op->function, "tick") == 0;

        request.path = tick ? "/v1/tick" : "/v1/command";
        request.body = replica_body(a, op, rc->client_id);
    }
    http_call(rc->http, &request, &reply);
    replica_unknown(ret, http_outcome_name(reply.outcome));
    if (reply.outcome == HTTP_REFUSED)
        ret->kind = EVENT_FAIL;
    if (reply.outcome != HTTP_ANSWERED)
        return;
    ret->error = NULL;
    replica_parse(rc, a, op, &reply, ret);
}

static void
replica_client_free(struct client *c)
{
    struct replica_client *rc = (struct replica_client *)c;

    http_free(rc->http);
    free(rc);
}

static const struct client_ops replica_client_ops = {
    .invoke = replica_client_invoke,
    .free = replica_client_free,
};

struct client *
replica_client_new(const struct cluster *c, uint64_t client_id,
                   struct error *err)
{
    struct replica_client *rc;

    for (unsigned i = 0; i < c->node_count; i++) {
        if (way_of_client(c, i, REPLICA_CLIENT_PORT, client_id).port == 0) {
            error_set(err, ERROR_CONFIG, "node %s has no door to port %d",
                      c->nodes[i].name, REPLICA_CLIENT_PORT);
            return NULL;
        }
    }
    rc = xcalloc(1, sizeof(*rc));
    rc->base.ops = &replica_client_ops;
    rc->cluster = c;
    rc->client_id = client_id;
    rc->http = http_new(err);
    if (rc->http == NULL) {
        free(rc);
        return NULL;
    }
    return &rc->base;
}
