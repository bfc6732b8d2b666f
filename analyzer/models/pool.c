/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of capacity in which quantities are held until a deadline, in slots of
 * a logical clock, and then confirmed (consumed for good) or released.  A hold
 * whose deadline is below the slot of any later command has expired; a confirm
 * in the slot of the deadline or later expires it, too.
 *
 * Each answer tells its slot; slots never fall along the order.  Where nobody
 * told a slot, a hold may have expired or not, and both are accepted.
 *
 * A state is the last slot told, then records, rising by kind and name:
 *
 *   pool   POOL_RECORD, name, total, consumed (two words each)
 *   hold   HOLD_RECORD, name, pool, hold state, quantity, deadline
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

enum pool_function {
    POOL_CREATE,
    POOL_PLACE,
    POOL_CONFIRM,
    POOL_RELEASE,
    POOL_EXPIRE,
    POOL_GET,
    HOLD_GET
};

enum pool_code {
    POOL_OK,
    POOL_EXISTS,
    POOL_NOT_FOUND,
    HOLD_NOT_FOUND,
    POOL_INVALID,
    POOL_SHORT,
    HOLD_EXPIRED_CODE,
    POOL_CODES
};

static const char *const pool_codes[] = {
    [POOL_OK] = "ok",
    [POOL_EXISTS] = "already_exists",
    [POOL_NOT_FOUND] = "pool_not_found",
    [HOLD_NOT_FOUND] = "hold_not_found",
    [POOL_INVALID] = "invalid_state",
    [POOL_SHORT] = "insufficient_capacity",
    [HOLD_EXPIRED_CODE] = "hold_expired",
    NULL,
};

/* Of a call's list: the slot told, or -1; the total or the quantity; the
 * deadline.  a: the pool, b: the hold.  A read of a pool: total, held,
 * consumed; of a hold: quantity, deadline, its state and the pool's name. */
enum {
    CALL_SLOT = 0,
    CALL_QUANTITY = 2,
    CALL_DEADLINE = 4,
    CALL_HELD = 4,
    CALL_CONSUMED = 6,
    CALL_STATE = 6,
    CALL_POOL = 7
};

enum { POOL_RECORD, HOLD_RECORD };
enum { STATE_RECORDS = 2, RECORD_NAME = 1, RECORD_WORDS = 8 };
enum { POOL_TOTAL = 2, POOL_CONSUMED = 4 };
enum { HOLD_POOL = 2, HOLD_STATE = 3, HOLD_QUANTITY = 4, HOLD_DEADLINE = 6 };
enum hold_state { HOLD_HELD, HOLD_CONFIRMED, HOLD_RELEASED, HOLD_EXPIRED };

static const char *const hold_states[] = {
    [HOLD_HELD] = "held",
    [HOLD_CONFIRMED] = "confirmed",
    [HOLD_RELEASED] = "released",
    [HOLD_EXPIRED] = "expired",
};

static uint32_t
pool_hold_state(const struct tree *answer)
{
    const struct tree *state = tree_get(answer, "state");
    uint32_t i = 0;

    while (i <= HOLD_EXPIRED && !tree_is_word(state, hold_states[i])) {
        i++;
    }
    return i;
}

static int64_t
pool_field(const struct tree *map, const char *name)
{
    int64_t n;

    return model_field_natural(map, name, &n) ? n : -1;
}

/* A read: 'result' is whether it found what it asked for. */
static enum decoded
pool_decode_get(struct calls *c, const struct record *invoke,
                const struct record *end, struct call *ret, struct error *err)
{
    bool hold = ret->function == HOLD_GET;
    struct model_words w = {0};

    ret->a = hold ? VALUE_ABSENT : model_field(c, invoke->value, "pool");
    ret->b = hold ? model_field(c, invoke->value, "hold") : VALUE_ABSENT;
    if (ret->a == VALUE_ABSENT && ret->b == VALUE_ABSENT) {
        return model_bad_value(c, invoke, "its value is no {pool} or {hold}",
                               err);
    }
    if (model_ended(end) != ENDED_OK || !model_claims_linearizable(invoke)) {
        return DECODED_DROP;
    }
    const struct tree *found = tree_get(end->value, "found");
    ret->result = found != NULL && found->kind == TREE_BOOL && found->truth;
    model_words_add64(&w, pool_field(end->value, "slot"));
    model_words_add64(&w, pool_field(end->value, hold ? "quantity" : "total"));
    model_words_add64(&w, pool_field(end->value, hold ? "deadline" : "held"));
    if (hold) {
        model_words_add(&w, pool_hold_state(end->value));
        model_words_add(&w, model_field(c, end->value, "pool"));
    } else {
        model_words_add64(&w, pool_field(end->value, "consumed"));
    }
    ret->list = model_words_list(c, &w);
    return DECODED_CALL;
}

static enum decoded
pool_decode(struct calls *c, const struct record *invoke,
            const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"create-pool", POOL_CREATE},   {"place-hold", POOL_PLACE},
        {"confirm-hold", POOL_CONFIRM}, {"release-hold", POOL_RELEASE},
        {"expire-hold", POOL_EXPIRE},   {NULL, 0},
    };
    const struct tree *value = invoke->value;
    int64_t slot = -1, quantity = 0, deadline = 0;
    struct model_words w = {0};

    if (strcmp(invoke->function, "tick") == 0) {
        return DECODED_DROP;
    }
    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    uint8_t f = ret->function;
    if (f >= POOL_GET) {
        return pool_decode_get(c, invoke, end, ret, err);
    }
    ret->a = model_field(c, value, "pool");
    ret->b = model_field(c, value, "hold");
    if ((ret->a == VALUE_ABSENT && f <= POOL_PLACE) ||
        (ret->b == VALUE_ABSENT && f != POOL_CREATE) ||
        (f == POOL_CREATE && !model_field_natural(value, "total", &quantity)) ||
        (f == POOL_PLACE &&
         (!model_field_natural(value, "quantity", &quantity) ||
          !model_field_natural(value, "deadline", &deadline)))) {
        return model_bad_value(
            c, invoke,
            "its value is no {pool, total}, {pool, hold, quantity, "
            "deadline} or {hold}",
            err);
    }
    if (f > POOL_PLACE) {
        ret->a = VALUE_ABSENT;
    } else if (f == POOL_CREATE) {
        ret->b = VALUE_ABSENT;
    }
    if (model_ended(end) == ENDED_OK) {
        ret->result = model_code(end->value, pool_codes);
        model_field_natural(end->value, "slot", &slot);
    }
    model_words_add64(&w, slot);
    model_words_add64(&w, quantity);
    model_words_add64(&w, deadline);
    ret->list = model_words_list(c, &w);
    return model_plain_end(end);
}

static void
pool_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, STATE_RECORDS);
    model_put64(out->words, 0);
}

static int64_t
pool_number(const struct calls *c, uint32_t call, uint32_t at)
{
    return model_get64(call_list(c, call) + at);
}

/* Where the record is, or belongs. */
static uint32_t
pool_find(const struct model_state *s, uint32_t kind, uint32_t name,
          bool *ret_there)
{
    uint32_t at = STATE_RECORDS;

    while (at < s->count &&
           (s->words[at] < kind ||
            (s->words[at] == kind && s->words[at + RECORD_NAME] < name))) {
        at += RECORD_WORDS;
    }
    *ret_there = at < s->count && s->words[at] == kind &&
                 s->words[at + RECORD_NAME] == name;
    return at;
}

static uint32_t *
pool_insert(struct model_state *s, uint32_t at, uint32_t kind, uint32_t name)
{
    uint32_t count = s->count;

    model_state_resize(s, count + RECORD_WORDS);
    uint32_t *record = s->words + at;
    memmove(record + RECORD_WORDS, record, (count - at) * sizeof(*record));
    memset(record, 0, RECORD_WORDS * sizeof(*record));
    record[0] = kind;
    record[RECORD_NAME] = name;
    return record;
}

/* Time comes to a slot that was told: what certainly expires does. */
static bool
pool_advance(struct model_state *s, int64_t slot)
{
    if (slot < model_get64(s->words)) {
        return false;
    }
    model_put64(s->words, slot);
    for (uint32_t at = STATE_RECORDS; at < s->count; at += RECORD_WORDS) {
        uint32_t *record = s->words + at;
        if (record[0] == HOLD_RECORD && record[HOLD_STATE] == HOLD_HELD &&
            model_get64(record + HOLD_DEADLINE) < slot) {
            record[HOLD_STATE] = HOLD_EXPIRED;
        }
    }
    return true;
}

/* Quantities are anybody's: sums stop at the greatest number. */
static int64_t
pool_sum(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* The least and the most of the pool that is taken; 'slot' -1: not known. */
static void
pool_taken(const struct model_state *s, uint32_t pool, int64_t slot,
           int64_t *ret_least, int64_t *ret_most)
{
    *ret_least = *ret_most = model_get64(s->words + pool + POOL_CONSUMED);
    for (uint32_t at = STATE_RECORDS; at < s->count; at += RECORD_WORDS) {
        const uint32_t *record = s->words + at;
        int64_t quantity = model_get64(record + HOLD_QUANTITY);

        if (record[0] != HOLD_RECORD || record[HOLD_STATE] != HOLD_HELD ||
            record[HOLD_POOL] != s->words[pool + RECORD_NAME]) {
            continue;
        }
        *ret_most = pool_sum(*ret_most, quantity);
        if (slot >= 0 && model_get64(record + HOLD_DEADLINE) > slot) {
            *ret_least = pool_sum(*ret_least, quantity);
        }
    }
}

static bool
pool_create(const struct calls *c, uint32_t call, struct model_state *out)
{
    bool there, open = c->complete[call] == CALL_OPEN;
    uint32_t at = pool_find(out, POOL_RECORD, c->a[call], &there);

    if (there) {
        return open || c->result[call] == POOL_EXISTS;
    }
    if (!open && c->result[call] != POOL_OK) {
        return false;
    }
    uint32_t *record = pool_insert(out, at, POOL_RECORD, c->a[call]);
    model_put64(record + POOL_TOTAL, pool_number(c, call, CALL_QUANTITY));
    return true;
}

/* What placing a hold is answered when it is not a matter of capacity. */
static bool
pool_place_refused(const struct calls *c, uint32_t call, bool pool, bool hold,
                   enum pool_code *ret)
{
    int64_t slot = pool_number(c, call, CALL_SLOT);

    *ret = POOL_OK;
    if (pool_number(c, call, CALL_QUANTITY) == 0 ||
        (slot >= 0 && pool_number(c, call, CALL_DEADLINE) <= slot)) {
        *ret = POOL_INVALID;
    } else if (slot < 0 && c->result[call] == POOL_INVALID) {
        *ret = POOL_INVALID; /* perhaps the slot was that of the deadline */
    } else if (!pool) {
        *ret = POOL_NOT_FOUND;
    } else if (hold) {
        *ret = POOL_EXISTS;
    }
    return *ret != POOL_OK;
}

static bool
pool_place(const struct calls *c, uint32_t call, struct model_state *out)
{
    bool pool_there, hold_there, open = c->complete[call] == CALL_OPEN;
    uint32_t pool = pool_find(out, POOL_RECORD, c->a[call], &pool_there);
    uint32_t at = pool_find(out, HOLD_RECORD, c->b[call], &hold_there);
    int64_t quantity = pool_number(c, call, CALL_QUANTITY), least, most, left;
    enum pool_code code;

    if (pool_place_refused(c, call, pool_there, hold_there, &code)) {
        return open || c->result[call] == code;
    }
    pool_taken(out, pool, pool_number(c, call, CALL_SLOT), &least, &most);
    left = model_get64(out->words + pool + POOL_TOTAL) - quantity;
    if (!open && c->result[call] == POOL_SHORT) {
        return most > left;
    }
    if (least > left || (!open && c->result[call] != POOL_OK)) {
        return open;
    }
    uint32_t *record = pool_insert(out, at, HOLD_RECORD, c->b[call]);
    record[HOLD_POOL] = c->a[call];
    model_put64(record + HOLD_QUANTITY, quantity);
    model_put64(record + HOLD_DEADLINE, pool_number(c, call, CALL_DEADLINE));
    return true;
}

static void
pool_end_hold(struct model_state *out, uint32_t hold, enum hold_state state)
{
    uint32_t *record = out->words + hold;
    bool there;

    record[HOLD_STATE] = state;
    if (state == HOLD_CONFIRMED) {
        uint32_t pool = pool_find(out, POOL_RECORD, record[HOLD_POOL], &there);
        uint32_t *consumed = out->words + pool + POOL_CONSUMED;
        model_put64(consumed, pool_sum(model_get64(consumed),
                                       model_get64(record + HOLD_QUANTITY)));
    }
}

/* A hold that is held, as far as is known: 'early', 'late' than its deadline,
 * both true when the slot was not told. */
static bool
pool_command_held(const struct calls *c, uint32_t call, uint32_t at,
                  struct model_state *out)
{
    int64_t slot = pool_number(c, call, CALL_SLOT);
    int64_t deadline = model_get64(out->words + at + HOLD_DEADLINE);
    bool early =
        slot < 0 ? deadline > model_get64(out->words) : slot < deadline;
    bool late = slot < 0 || slot >= deadline;
    bool open = c->complete[call] == CALL_OPEN;
    uint32_t code = c->result[call];

    switch (c->function[call]) {
    case POOL_CONFIRM:
        if (open ? early : code == POOL_OK) {
            pool_end_hold(out, at, HOLD_CONFIRMED);
            return early;
        }
        if (!open) {
            pool_end_hold(out, at, HOLD_EXPIRED);
        }
        return open || (code == HOLD_EXPIRED_CODE && late);
    case POOL_RELEASE:
        if (open || code == POOL_OK) {
            pool_end_hold(out, at, HOLD_RELEASED);
            return true;
        }
        break;
    default:
        if (code == POOL_OK) {
            pool_end_hold(out, at, HOLD_EXPIRED);
            return late;
        }
        if (code == POOL_INVALID && early) {
            return true;
        }
    }
    /* It had expired before, by a command that nobody was answered. */
    pool_end_hold(out, at, HOLD_EXPIRED);
    return code == POOL_INVALID && late;
}

static bool
pool_command(const struct calls *c, uint32_t call, struct model_state *out)
{
    bool there, open = c->complete[call] == CALL_OPEN;
    uint32_t at = pool_find(out, HOLD_RECORD, c->b[call], &there);
    uint32_t code = c->result[call];

    if (!there) {
        return open || code == HOLD_NOT_FOUND;
    }
    uint32_t state = out->words[at + HOLD_STATE];
    if (state == HOLD_HELD) {
        return pool_command_held(c, call, at, out);
    }
    if (open) {
        return true;
    }
    return code == (c->function[call] == POOL_CONFIRM && state == HOLD_EXPIRED
                        ? HOLD_EXPIRED_CODE
                        : POOL_INVALID);
}

/* Of a state in a slot not after that of the read. */
static bool
pool_get(const struct calls *c, uint32_t call, const struct model_state *in)
{
    int64_t slot = pool_number(c, call, CALL_SLOT), consumed, held = 0;
    int64_t silent = 0; /* of the held: those that may have expired in this
                           slot, by a confirm that nobody was answered */
    bool there;
    uint32_t at = pool_find(in, POOL_RECORD, c->a[call], &there);

    if (!there || c->result[call] == 0) {
        return !there && c->result[call] == 0;
    }
    consumed = model_get64(in->words + at + POOL_CONSUMED);
    if (pool_number(c, call, CALL_CONSUMED) != consumed ||
        pool_number(c, call, CALL_QUANTITY) !=
            model_get64(in->words + at + POOL_TOTAL)) {
        return false;
    }
    for (uint32_t i = STATE_RECORDS; i < in->count; i += RECORD_WORDS) {
        const uint32_t *record = in->words + i;
        int64_t deadline = model_get64(record + HOLD_DEADLINE);

        if (record[0] != HOLD_RECORD || record[HOLD_STATE] != HOLD_HELD ||
            record[HOLD_POOL] != c->a[call] || deadline < slot) {
            continue;
        }
        held = pool_sum(held, model_get64(record + HOLD_QUANTITY));
        if (deadline == slot) {
            silent = pool_sum(silent, model_get64(record + HOLD_QUANTITY));
        }
    }
    return pool_number(c, call, CALL_HELD) <= held &&
           pool_number(c, call, CALL_HELD) >= held - silent;
}

static bool
pool_get_hold(const struct calls *c, uint32_t call,
              const struct model_state *in)
{
    const uint32_t *list = call_list(c, call), *record;
    int64_t slot = pool_number(c, call, CALL_SLOT), deadline;
    bool there;
    uint32_t at = pool_find(in, HOLD_RECORD, c->b[call], &there);

    if (!there || c->result[call] == 0) {
        return !there && c->result[call] == 0;
    }
    record = in->words + at;
    deadline = model_get64(record + HOLD_DEADLINE);
    if (record[HOLD_POOL] != list[CALL_POOL] ||
        deadline != pool_number(c, call, CALL_DEADLINE) ||
        model_get64(record + HOLD_QUANTITY) !=
            pool_number(c, call, CALL_QUANTITY)) {
        return false;
    }
    if (record[HOLD_STATE] != HOLD_HELD) {
        return list[CALL_STATE] == record[HOLD_STATE];
    }
    return (list[CALL_STATE] == HOLD_HELD && deadline >= slot) ||
           (list[CALL_STATE] == HOLD_EXPIRED && deadline <= slot);
}

/* A read whose answer tells its slot changes nothing. */
static bool
pool_step_get(const struct calls *c, uint32_t call,
              const struct model_state *in)
{
    int64_t slot = pool_number(c, call, CALL_SLOT);

    if (slot < 0) {
        return true;
    }
    return slot >= model_get64(in->words) &&
           (c->function[call] == POOL_GET ? pool_get(c, call, in)
                                          : pool_get_hold(c, call, in));
}

static bool
pool_step(const struct calls *c, uint32_t call, const struct model_state *in,
          struct model_state *out)
{
    int64_t slot = pool_number(c, call, CALL_SLOT);
    bool open = c->complete[call] == CALL_OPEN;

    model_state_copy(out, in);
    if (c->function[call] >= POOL_GET) {
        return pool_step_get(c, call, in);
    }
    if (open && c->function[call] == POOL_EXPIRE) {
        return true; /* any hold may have expired in silence */
    }
    if (slot >= 0 && !pool_advance(out, slot)) {
        return false;
    }
    if (!open && c->result[call] >= POOL_CODES) {
        return true; /* a full table, and the like */
    }
    switch (c->function[call]) {
    case POOL_CREATE:
        return pool_create(c, call, out);
    case POOL_PLACE:
        return pool_place(c, call, out);
    default:
        return pool_command(c, call, out);
    }
}

static bool
pool_pure(const struct calls *c, uint32_t call)
{
    return c->function[call] >= POOL_GET ||
           (c->function[call] == POOL_EXPIRE && c->complete[call] == CALL_OPEN);
}

static uint32_t
pool_touches(const struct calls *c, uint32_t call, uint32_t *ret, uint32_t cap)
{
    uint32_t count = 0;
    const uint32_t names[] = {c->a[call], c->b[call]};

    for (uint32_t i = 0; i < 2; i++) {
        if (names[i] != VALUE_ABSENT) {
            if (count < cap) {
                ret[count] = names[i];
            }
            count++;
        }
    }
    return count;
}

/* A hold that was not placed leaves more for the others; it matters to who was
 * refused for want of capacity, or saw the sums. */
static void
pool_stake(const struct calls *c, uint32_t call, struct model_stake *ret)
{
    bool definite = c->complete[call] != CALL_OPEN;
    uint8_t f = c->function[call];

    ret->subject = c->b[call];
    ret->founds = f == POOL_CREATE;
    ret->idle = f >= POOL_GET || (f == POOL_EXPIRE && !definite) ||
                (definite && c->result[call] != POOL_OK &&
                 c->result[call] != HOLD_EXPIRED_CODE);
    ret->needs_places = f == POOL_GET || (f == POOL_PLACE && definite &&
                                          c->result[call] == POOL_SHORT);
}

static void
pool_describe_get(const struct calls *c, uint32_t call, struct buf *out)
{
    bool hold = c->function[call] == HOLD_GET;

    buf_puts(out, hold ? "get hold " : "get pool ");
    model_words_value(c, hold ? c->b[call] : c->a[call], out);
    if (c->result[call] == 0) {
        buf_puts(out, ": not there");
    } else if (hold) {
        uint32_t state = call_list(c, call)[CALL_STATE];

        buf_printf(out, ": %" PRId64 " %s until %" PRId64,
                   pool_number(c, call, CALL_QUANTITY),
                   state <= HOLD_EXPIRED ? hold_states[state] : "(other)",
                   pool_number(c, call, CALL_DEADLINE));
    } else {
        buf_printf(out, ": %" PRId64 " held, %" PRId64 " consumed",
                   pool_number(c, call, CALL_HELD),
                   pool_number(c, call, CALL_CONSUMED));
    }
    buf_printf(out, " in slot %" PRId64, pool_number(c, call, CALL_SLOT));
}

static void
pool_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    if (c->function[call] >= POOL_GET) {
        pool_describe_get(c, call, out);
        return;
    }
    static const char *const words[] = {"create pool", "place hold",
                                        "confirm hold", "release hold",
                                        "expire hold"};
    uint8_t function = c->function[call];
    int64_t slot = pool_number(c, call, CALL_SLOT);
    uint32_t code = c->result[call];

    buf_printf(out, "%s ", words[function]);
    model_words_value(c, function == POOL_CREATE ? c->a[call] : c->b[call],
                      out);
    if (function == POOL_CREATE) {
        buf_printf(out, " of %" PRId64, pool_number(c, call, CALL_QUANTITY));
    } else if (function == POOL_PLACE) {
        buf_printf(out, " of %" PRId64 " in ",
                   pool_number(c, call, CALL_QUANTITY));
        model_words_value(c, c->a[call], out);
        buf_printf(out, " until slot %" PRId64,
                   pool_number(c, call, CALL_DEADLINE));
    }
    if (c->complete[call] == CALL_OPEN) {
        buf_puts(out, " (unknown)");
        return;
    }
    buf_printf(out, ": %s", code < POOL_CODES ? pool_codes[code] : "refused");
    if (slot >= 0) {
        buf_printf(out, " in slot %" PRId64, slot);
    }
}

static void
pool_describe_state(const struct calls *c, const struct model_state *s,
                    struct buf *out)
{
    buf_printf(out, "slot %" PRId64, model_get64(s->words));
    for (uint32_t at = STATE_RECORDS; at < s->count; at += RECORD_WORDS) {
        const uint32_t *record = s->words + at;

        buf_puts(out, record[0] == POOL_RECORD ? "; pool " : "; hold ");
        model_words_value(c, record[RECORD_NAME], out);
        if (record[0] == POOL_RECORD) {
            buf_printf(out, ": %" PRId64 " of %" PRId64 " consumed",
                       model_get64(record + POOL_CONSUMED),
                       model_get64(record + POOL_TOTAL));
        } else {
            buf_printf(out, ": %" PRId64 " %s until %" PRId64,
                       model_get64(record + HOLD_QUANTITY),
                       hold_states[record[HOLD_STATE]],
                       model_get64(record + HOLD_DEADLINE));
        }
    }
}

static const char *const pool_functions[] = {
    [POOL_CREATE] = "create_pool",   [POOL_PLACE] = "place_hold",
    [POOL_CONFIRM] = "confirm_hold", [POOL_RELEASE] = "release_hold",
    [POOL_EXPIRE] = "expire_hold",   [POOL_GET] = "get_pool",
    [HOLD_GET] = "get_hold",         NULL};

const struct model_ops model_pool = {
    .name = "pool",
    .description = "capacity that is held until a deadline, then confirmed",
    .functions = pool_functions,
    .forgets = true,
    .decode = pool_decode,
    .init = pool_init,
    .step = pool_step,
    .pure = pool_pure,
    .touches = pool_touches,
    .stake = pool_stake,
    .describe = pool_describe,
    .describe_state = pool_describe_state,
};
