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

/* ---- fields ---- */

/* The names that are known here, by the alphabet: those of one initial stand
 * together. */
enum key {
    KEY_APPLIED,
    KEY_CACHED,
    KEY_CLAIM,
    KEY_CLIENT,
    KEY_CODE,
    KEY_CREATED,
    KEY_DEADLINE,
    KEY_EPOCH,
    KEY_EXPIRED,
    KEY_FOUND,
    KEY_HOLDER,
    KEY_LEASE,
    KEY_REQUIRED,
    KEY_RESOURCE,
    KEY_RESOURCES,
    KEY_RETIRED,
    KEY_SLOT,
    KEY_STATE,
    KEY_TTL,
    KEY_VERSION,
};
#define KEY_COUNT 20

static const char *const key_names[KEY_COUNT] = {
    "applied",   "cached",  "claim", "client", "code",  "created",  "deadline",
    "epoch",     "expired", "found", "holder", "lease", "required", "resource",
    "resources", "retired", "slot",  "state",  "ttl",   "version",
};

/* An event with its fields by name, looked up once: NULL: not there. */
struct reading {
    struct table *t;
    const struct event *e;
    const struct value *values[KEY_COUNT];
};

/* The first name with that initial; KEY_COUNT: none. */
static inline unsigned
key_begin(char initial)
{
    switch (initial) {
    case 'a':
        return KEY_APPLIED;
    case 'c':
        return KEY_CACHED;
    case 'd':
        return KEY_DEADLINE;
    case 'e':
        return KEY_EPOCH;
    case 'f':
        return KEY_FOUND;
    case 'h':
        return KEY_HOLDER;
    case 'l':
        return KEY_LEASE;
    case 'r':
        return KEY_REQUIRED;
    case 's':
        return KEY_SLOT;
    case 't':
        return KEY_TTL;
    case 'v':
        return KEY_VERSION;
    default:
        return KEY_COUNT;
    }
}

/* KEY_COUNT: not known here. */
static unsigned
key_find(const char *name)
{
    for (unsigned key = key_begin(name[0]);
         key < KEY_COUNT && key_names[key][0] == name[0]; key++)
        if (table_same_word(key_names[key], name))
            return key;
    return KEY_COUNT;
}

static void
reading_init(struct reading *x, struct table *t, const struct event *e)
{
    *x = (struct reading){.t = t, .e = e};
    for (size_t i = 0; i < e->fields.count; i++) {
        unsigned key = key_find(e->fields.items[i].key);

        if (key < KEY_COUNT && x->values[key] == NULL)
            x->values[key] = &e->fields.items[i].value;
    }
}

static int
lacks(const struct reading *x, enum key key)
{
    table_cut(x->t, "event %u (%.40s): field '%s' is missing or not valid",
              (uint32_t)x->e->index, x->e->function, key_names[key]);
    return -1;
}

static int
need_id(const struct reading *x, enum key key, uint32_t *ret)
{
    struct id128 id;

    if (x->values[key] == NULL || !value_id(x->values[key], &id))
        return lacks(x, key);
    *ret = table_intern(x->t, id);
    return 0;
}

static bool
is_int(const struct reading *x, enum key key)
{
    return x->values[key] != NULL && x->values[key]->type == VALUE_INT;
}

static int
need_int(const struct reading *x, enum key key, int64_t *ret)
{
    if (!is_int(x, key))
        return lacks(x, key);
    *ret = x->values[key]->integer;
    return *ret >= 0 ? 0 : lacks(x, key);
}

/* False, and *ret as it was: not there, or of another type. */
static bool
get_bool(const struct reading *x, enum key key, bool *ret)
{
    if (x->values[key] == NULL || x->values[key]->type != VALUE_BOOL)
        return false;
    *ret = x->values[key]->boolean;
    return true;
}

static const char *
get_string(const struct reading *x, enum key key)
{
    return x->values[key] != NULL && x->values[key]->type == VALUE_STRING
               ? x->values[key]->string.text
               : NULL;
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
decode_claim(const struct reading *x, struct invocation *ret)
{
    static const char *const names[] = {[CLAIM_LINEARIZABLE] = "linearizable",
                                        [CLAIM_FENCED] = "fenced",
                                        [CLAIM_ANY] = "any"};
    const char *text = get_string(x, KEY_CLAIM);
    int64_t required;

    ret->required = INDEX_NONE;
    if (is_int(x, KEY_REQUIRED)) {
        if (need_int(x, KEY_REQUIRED, &required) < 0)
            return -1;
        ret->required = (uint64_t)required;
    }
    if (text == NULL)
        return lacks(x, KEY_CLAIM);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (table_same_word(text, names[i])) {
            ret->claim = (enum claim)i;
            return ret->claim == CLAIM_FENCED && ret->required == INDEX_NONE
                       ? lacks(x, KEY_REQUIRED)
                       : 0;
        }
    }
    return lacks(x, KEY_CLAIM);
}

static int
decode_one_resource(const struct reading *x, struct invocation *ret)
{
    uint32_t id;

    if (need_id(x, KEY_RESOURCE, &id) < 0)
        return -1;
    ret->resources = (struct span){x->t->list_count, 1};
    table_list_push(x->t, id);
    return 0;
}

static int
decode_reserve(const struct reading *x, struct invocation *ret)
{
    if (ret->function == FUNCTION_RESERVE) {
        if (decode_one_resource(x, ret) < 0)
            return -1;
    } else if (!list_of_ids(x->t, x->values[KEY_RESOURCES], &ret->resources)) {
        return lacks(x, KEY_RESOURCES);
    }
    if (need_id(x, KEY_HOLDER, &ret->holder) < 0)
        return -1;
    return need_int(x, KEY_TTL, &ret->amount);
}

static int
decode_holder_command(const struct reading *x, struct invocation *ret)
{
    if (need_id(x, KEY_LEASE, &ret->lease) < 0 ||
        need_id(x, KEY_HOLDER, &ret->holder) < 0)
        return -1;
    return need_int(x, KEY_EPOCH, &ret->amount);
}

int
decode_invocation(struct table *t, const struct event *e,
                  struct invocation *ret)
{
    struct reading reading, *x = &reading;

    *ret = (struct invocation){.client = -1,
                               .holder = TABLE_NONE,
                               .lease = TABLE_NONE,
                               .required = INDEX_NONE};
    if (!function_find(e->function, &ret->function)) {
        table_cut(t, "event %u: unknown function '%.40s'", (uint32_t)e->index,
                  e->function);
        return -1;
    }
    reading_init(x, t, e);
    if (is_int(x, KEY_CLIENT))
        ret->client = x->values[KEY_CLIENT]->integer;
    switch (ret->function) {
    case FUNCTION_CREATE_RESOURCE:
        return decode_one_resource(x, ret);
    case FUNCTION_RESERVE:
    case FUNCTION_RESERVE_BUNDLE:
        return decode_reserve(x, ret);
    case FUNCTION_CONFIRM:
    case FUNCTION_RELEASE:
        return decode_holder_command(x, ret);
    case FUNCTION_REVOKE:
    case FUNCTION_RECLAIM:
        return need_id(x, KEY_LEASE, &ret->lease);
    case FUNCTION_TICK:
        return need_int(x, KEY_SLOT, &ret->amount);
    case FUNCTION_GET_RESOURCE:
        if (decode_claim(x, ret) < 0)
            return -1;
        return decode_one_resource(x, ret);
    case FUNCTION_GET_LEASE:
        if (decode_claim(x, ret) < 0)
            return -1;
        return need_id(x, KEY_LEASE, &ret->lease);
    default:
        if (function_is_read(ret->function) && decode_claim(x, ret) < 0)
            return -1;
        return decode_engine_invocation(t, e, ret);
    }
}

/* ---- results ---- */

static unsigned
word(const char *text, const char *const *names, unsigned count)
{
    unsigned i = 0;

    while (i < count - 1 && !table_same_word(text, names[i]))
        i++;
    return i;
}

/* A field that may be absent; present and negative or no int is an error. */
static int
may_int(const struct reading *x, enum key key, int64_t *ret)
{
    return x->values[key] == NULL ? 0 : need_int(x, key, ret);
}

static int
may_id(const struct reading *x, enum key key, uint32_t *ret)
{
    if (x->values[key] == NULL || x->values[key]->type == VALUE_NULL)
        return 0;
    return need_id(x, key, ret);
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
decode_tick(const struct reading *x, struct answer *ret)
{
    struct table *t = x->t;
    const struct value *v = x->values[KEY_EXPIRED];

    ret->expired_first = t->expired_count;
    if (ret->slot == SLOT_NONE)
        return lacks(x, KEY_SLOT);
    if (v == NULL || v->type != VALUE_LIST)
        return lacks(x, KEY_EXPIRED);
    for (size_t i = 0; i < v->list.count; i++) {
        struct expired row = {.operation = ret->operation};

        if (!decode_expired_item(t, &v->list.items[i], &row))
            return lacks(x, KEY_EXPIRED);
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
decode_read(const struct reading *x, enum function f, struct answer *ret)
{
    int64_t applied = -1;
    const char *state = get_string(x, KEY_STATE);

    if (!get_bool(x, KEY_FOUND, &ret->found))
        return lacks(x, KEY_FOUND);
    get_bool(x, KEY_RETIRED, &ret->retired);
    if (may_int(x, KEY_APPLIED, &applied) < 0)
        return -1;
    if (applied >= 0)
        ret->applied = (uint64_t)applied;
    if (!ret->found)
        return 0;
    if (f > FUNCTION_GET_LEASE)
        return decode_engine_read(x->t, x->e, f, ret);
    if (state == NULL)
        return lacks(x, KEY_STATE);
    ret->state = (uint8_t)word(state, state_names, STATE_COUNT);
    if (f == FUNCTION_GET_RESOURCE) {
        if (ret->state == STATE_AVAILABLE)
            ret->lease = TABLE_NONE;
        return 0;
    }
    if (may_id(x, KEY_HOLDER, &ret->holder) < 0 ||
        may_int(x, KEY_CREATED, &ret->created) < 0)
        return -1;
    if (x->values[KEY_RESOURCES] != NULL &&
        !list_of_ids(x->t, x->values[KEY_RESOURCES], &ret->resources))
        return lacks(x, KEY_RESOURCES);
    return 0;
}

static int
decode_recorded(const struct reading *x, enum function f, struct answer *ret)
{
    const char *code = get_string(x, KEY_CODE);

    if (code == NULL)
        return lacks(x, KEY_CODE);
    ret->code = (uint8_t)word(code, code_names, CODE_COUNT);
    get_bool(x, KEY_CACHED, &ret->cached);
    if (f == FUNCTION_TICK)
        return decode_tick(x, ret);
    if (ret->code == CODE_OK && function_is_reserve(f) &&
        ret->lease == TABLE_NONE)
        return lacks(x, KEY_LEASE);
    return 0;
}

int
decode_answer(struct table *t, const struct event *e, enum function f,
              struct answer *ret)
{
    struct reading reading, *x = &reading;

    reading_init(x, t, e);
    ret->lease = ret->holder = TABLE_NONE;
    ret->slot = ret->epoch = ret->deadline = ret->version = ret->created =
        SLOT_NONE;
    ret->applied = ret->index = INDEX_NONE;
    ret->state = STATE_OTHER;
    if (e->position.known) {
        ret->term = e->position.term;
        ret->index = e->position.index;
    }
    if (may_int(x, KEY_SLOT, &ret->slot) < 0 ||
        may_int(x, KEY_VERSION, &ret->version) < 0 ||
        may_int(x, KEY_EPOCH, &ret->epoch) < 0 ||
        may_int(x, KEY_DEADLINE, &ret->deadline) < 0 ||
        may_id(x, KEY_LEASE, &ret->lease) < 0)
        return -1;
    return function_is_read(f) ? decode_read(x, f, ret)
                               : decode_recorded(x, f, ret);
}
