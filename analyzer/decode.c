/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator's vocabulary: arguments and results of its functions, as fields
 * of events (docs/ARCHITECTURE.md, "History conventions"), become columns.
 *
 * Failure modes: a field that is needed and not there, or of another type, cuts
 * the table.  Fields nobody knows are ignored; a code or state nobody knows
 * becomes CODE_OTHER or STATE_OTHER, which no rule explains and no rule
 * accuses.
 */
#include "config.h"

#include <string.h>

#include "analyzer/table.h"

static const char *const code_names[CODE_COUNT] = {
    [CODE_OK] = "ok",
    [CODE_NOOP] = "noop",
    [CODE_ALREADY_EXISTS] = "already_exists",
    [CODE_RESOURCE_TABLE_FULL] = "resource_table_full",
    [CODE_RESOURCE_NOT_FOUND] = "resource_not_found",
    [CODE_RESOURCE_BUSY] = "resource_busy",
    [CODE_BUNDLE_TOO_LARGE] = "bundle_too_large",
    [CODE_TTL_OUT_OF_RANGE] = "ttl_out_of_range",
    [CODE_RESERVATION_TABLE_FULL] = "reservation_table_full",
    [CODE_RESERVATION_MEMBER_TABLE_FULL] = "reservation_member_table_full",
    [CODE_RESERVATION_NOT_FOUND] = "reservation_not_found",
    [CODE_RESERVATION_RETIRED] = "reservation_retired",
    [CODE_EXPIRATION_INDEX_FULL] = "expiration_index_full",
    [CODE_INVALID_STATE] = "invalid_state",
    [CODE_HOLDER_MISMATCH] = "holder_mismatch",
    [CODE_STALE_EPOCH] = "stale_epoch",
    [CODE_BUCKET_TABLE_FULL] = "bucket_table_full",
    [CODE_BUCKET_NOT_FOUND] = "bucket_not_found",
    [CODE_INSUFFICIENT_FUNDS] = "insufficient_funds",
    [CODE_POOL_TABLE_FULL] = "pool_table_full",
    [CODE_POOL_NOT_FOUND] = "pool_not_found",
    [CODE_HOLD_TABLE_FULL] = "hold_table_full",
    [CODE_HOLD_NOT_FOUND] = "hold_not_found",
    [CODE_HOLD_EXPIRED] = "hold_expired",
    [CODE_INSUFFICIENT_CAPACITY] = "insufficient_capacity",
    [CODE_BLOCK_NOT_FOUND] = "block_not_found",
    [CODE_VALUE_MISMATCH] = "value_mismatch",
    [CODE_OTHER] = "(other)",
};

static const char *const state_names[STATE_COUNT] = {
    [STATE_RESERVED] = "reserved",   [STATE_ACTIVE] = "active",
    [STATE_REVOKING] = "revoking",   [STATE_RELEASED] = "released",
    [STATE_EXPIRED] = "expired",     [STATE_REVOKED] = "revoked",
    [STATE_AVAILABLE] = "available", [STATE_OTHER] = "(other)",
};

const char *
code_name(enum code code)
{
    return code_names[code];
}

const char *
state_name(enum state state)
{
    return state_names[state];
}

static int
lacks(struct table *t, const struct event *e, const char *key)
{
    table_cut(t, "event %u (%.40s): field '%s' is missing or not valid",
              (uint32_t)e->index, e->function, key);
    return -1;
}

static int
need_id(struct table *t, const struct event *e, const char *key, uint32_t *ret)
{
    struct id128 id;

    if (!fields_id(&e->fields, key, &id))
        return lacks(t, e, key);
    *ret = table_intern(t, id);
    return 0;
}

static int
need_int(struct table *t, const struct event *e, const char *key, int64_t *ret)
{
    return fields_int(&e->fields, key, ret) && *ret >= 0 ? 0 : lacks(t, e, key);
}

void
table_list_push(struct table *t, uint32_t id)
{
    if (t->list_count == t->list_cap) {
        t->list_cap = t->list_cap == 0 ? 64 : t->list_cap * 2;
        t->lists =
            xrealloc(t->lists, (size_t)t->list_cap * sizeof(t->lists[0]));
    }
    t->lists[t->list_count++] = id;
}

static bool
list_of_ids(struct table *t, const struct value *v, struct span *ret)
{
    ret->first = t->list_count;
    ret->count = 0;
    if (v == NULL || v->type != VALUE_LIST)
        return false;
    for (size_t i = 0; i < v->list.count; i++) {
        struct id128 id;

        if (!value_id(&v->list.items[i], &id))
            return false;
        table_list_push(t, table_intern(t, id));
        ret->count++;
    }
    return true;
}

/* ---- arguments ---- */

static int
decode_claim(struct table *t, const struct event *e, struct invocation *ret)
{
    static const char *const names[] = {[CLAIM_LINEARIZABLE] = "linearizable",
                                        [CLAIM_FENCED] = "fenced",
                                        [CLAIM_ANY] = "any"};
    const char *text;
    int64_t required;

    ret->required = INDEX_NONE;
    if (fields_int(&e->fields, "required", &required)) {
        if (required < 0)
            return lacks(t, e, "required");
        ret->required = (uint64_t)required;
    }
    if (!fields_string(&e->fields, "claim", &text))
        return lacks(t, e, "claim");
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            ret->claim = (enum claim)i;
            return ret->claim == CLAIM_FENCED && ret->required == INDEX_NONE
                       ? lacks(t, e, "required")
                       : 0;
        }
    }
    return lacks(t, e, "claim");
}

static int
decode_one_resource(struct table *t, const struct event *e,
                    struct invocation *ret)
{
    uint32_t id;

    if (need_id(t, e, "resource", &id) < 0)
        return -1;
    ret->resources = (struct span){t->list_count, 1};
    table_list_push(t, id);
    return 0;
}

static int
decode_reserve(struct table *t, const struct event *e, struct invocation *ret)
{
    if (ret->function == FUNCTION_RESERVE) {
        if (decode_one_resource(t, e, ret) < 0)
            return -1;
    } else if (!list_of_ids(t, fields_get(&e->fields, "resources"),
                            &ret->resources)) {
        return lacks(t, e, "resources");
    }
    if (need_id(t, e, "holder", &ret->holder) < 0)
        return -1;
    return need_int(t, e, "ttl", &ret->amount);
}

static int
decode_holder_command(struct table *t, const struct event *e,
                      struct invocation *ret)
{
    if (need_id(t, e, "lease", &ret->lease) < 0 ||
        need_id(t, e, "holder", &ret->holder) < 0)
        return -1;
    return need_int(t, e, "epoch", &ret->amount);
}

static bool
find_function(const char *name, enum function *ret)
{
    for (unsigned f = 0; f < FUNCTION_COUNT; f++) {
        const char *known = function_name((enum function)f);

        if (known[0] == name[0] && strcmp(known, name) == 0) {
            *ret = (enum function)f;
            return true;
        }
    }
    return false;
}

int
decode_invocation(struct table *t, const struct event *e,
                  struct invocation *ret)
{
    *ret = (struct invocation){.client = -1,
                               .holder = TABLE_NONE,
                               .lease = TABLE_NONE,
                               .required = INDEX_NONE};
    if (!find_function(e->function, &ret->function)) {
        table_cut(t, "event %u: unknown function '%.40s'", (uint32_t)e->index,
                  e->function);
        return -1;
    }
    fields_int(&e->fields, "client", &ret->client);
    switch (ret->function) {
    case FUNCTION_CREATE_RESOURCE:
        return decode_one_resource(t, e, ret);
    case FUNCTION_RESERVE:
    case FUNCTION_RESERVE_BUNDLE:
        return decode_reserve(t, e, ret);
    case FUNCTION_CONFIRM:
    case FUNCTION_RELEASE:
        return decode_holder_command(t, e, ret);
    case FUNCTION_REVOKE:
    case FUNCTION_RECLAIM:
        return need_id(t, e, "lease", &ret->lease);
    case FUNCTION_TICK:
        return need_int(t, e, "slot", &ret->amount);
    case FUNCTION_GET_RESOURCE:
        if (decode_claim(t, e, ret) < 0)
            return -1;
        return decode_one_resource(t, e, ret);
    case FUNCTION_GET_LEASE:
        if (decode_claim(t, e, ret) < 0)
            return -1;
        return need_id(t, e, "lease", &ret->lease);
    default:
        if (function_is_read(ret->function) && decode_claim(t, e, ret) < 0)
            return -1;
        return decode_engine_invocation(t, e, ret);
    }
}

/* ---- results ---- */

static unsigned
word(const char *text, const char *const *names, unsigned count)
{
    unsigned i = 0;

    while (i < count - 1 &&
           (text[0] != names[i][0] || strcmp(text, names[i]) != 0))
        i++;
    return i;
}

/* A field that may be absent; present and negative or no int is an error. */
static int
may_int(struct table *t, const struct event *e, const char *key, int64_t *ret)
{
    return fields_get(&e->fields, key) == NULL ? 0 : need_int(t, e, key, ret);
}

static int
may_id(struct table *t, const struct event *e, const char *key, uint32_t *ret)
{
    const struct value *v = fields_get(&e->fields, key);

    if (v == NULL || v->type == VALUE_NULL)
        return 0;
    return need_id(t, e, key, ret);
}

/* One item: [lease, deadline, index, [resources]]. */
static bool
decode_expired_item(struct table *t, const struct value *v, struct expired *ret)
{
    struct id128 lease;
    const struct value *items = v->list.items;

    if (v->type != VALUE_LIST || v->list.count != 4 ||
        !value_id(&items[0], &lease) || items[1].type != VALUE_INT ||
        items[2].type != VALUE_INT || items[2].integer < 0 ||
        !list_of_ids(t, &items[3], &ret->resources))
        return false;
    ret->lease = table_intern(t, lease);
    ret->deadline = items[1].integer;
    ret->index = (uint64_t)items[2].integer;
    return true;
}

static int
decode_tick(struct table *t, const struct event *e, struct answer *ret)
{
    const struct value *v = fields_get(&e->fields, "expired");

    ret->expired_first = t->expired_count;
    if (ret->slot == SLOT_NONE)
        return lacks(t, e, "slot");
    if (v == NULL || v->type != VALUE_LIST)
        return lacks(t, e, "expired");
    for (size_t i = 0; i < v->list.count; i++) {
        struct expired row = {.operation = ret->operation};

        if (!decode_expired_item(t, &v->list.items[i], &row))
            return lacks(t, e, "expired");
        if (t->expired_count == t->expired_cap) {
            t->expired_cap = t->expired_cap == 0 ? 64 : t->expired_cap * 2;
            t->expired = xrealloc(t->expired, (size_t)t->expired_cap *
                                                  sizeof(t->expired[0]));
        }
        t->expired[t->expired_count++] = row;
        ret->expired_count++;
    }
    return 0;
}

static int
decode_read(struct table *t, const struct event *e, enum function f,
            struct answer *ret)
{
    int64_t applied = -1;
    const char *state;

    if (!fields_bool(&e->fields, "found", &ret->found))
        return lacks(t, e, "found");
    fields_bool(&e->fields, "retired", &ret->retired);
    if (may_int(t, e, "applied", &applied) < 0)
        return -1;
    if (applied >= 0)
        ret->applied = (uint64_t)applied;
    if (!ret->found)
        return 0;
    if (f > FUNCTION_GET_LEASE)
        return decode_engine_read(t, e, f, ret);
    if (!fields_string(&e->fields, "state", &state))
        return lacks(t, e, "state");
    ret->state = (uint8_t)word(state, state_names, STATE_COUNT);
    if (f == FUNCTION_GET_RESOURCE) {
        if (ret->state == STATE_AVAILABLE)
            ret->lease = TABLE_NONE;
        return 0;
    }
    if (may_id(t, e, "holder", &ret->holder) < 0 ||
        may_int(t, e, "created", &ret->created) < 0)
        return -1;
    if (fields_get(&e->fields, "resources") != NULL &&
        !list_of_ids(t, fields_get(&e->fields, "resources"), &ret->resources))
        return lacks(t, e, "resources");
    return 0;
}

static int
decode_recorded(struct table *t, const struct event *e, enum function f,
                struct answer *ret)
{
    const char *code;

    if (!fields_string(&e->fields, "code", &code))
        return lacks(t, e, "code");
    ret->code = (uint8_t)word(code, code_names, CODE_COUNT);
    fields_bool(&e->fields, "cached", &ret->cached);
    if (f == FUNCTION_TICK)
        return decode_tick(t, e, ret);
    if (ret->code == CODE_OK && function_is_reserve(f) &&
        ret->lease == TABLE_NONE)
        return lacks(t, e, "lease");
    return 0;
}

int
decode_answer(struct table *t, const struct event *e, enum function f,
              struct answer *ret)
{
    ret->lease = ret->holder = TABLE_NONE;
    ret->slot = ret->epoch = ret->deadline = ret->version = ret->created =
        SLOT_NONE;
    ret->applied = ret->index = INDEX_NONE;
    ret->state = STATE_OTHER;
    if (e->position.known) {
        ret->term = e->position.term;
        ret->index = e->position.index;
    }
    if (may_int(t, e, "slot", &ret->slot) < 0 ||
        may_int(t, e, "version", &ret->version) < 0 ||
        may_int(t, e, "epoch", &ret->epoch) < 0 ||
        may_int(t, e, "deadline", &ret->deadline) < 0 ||
        may_id(t, e, "lease", &ret->lease) < 0)
        return -1;
    return function_is_read(f) ? decode_read(t, e, f, ret)
                               : decode_recorded(t, e, f, ret);
}
