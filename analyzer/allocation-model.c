/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator's rules as a sequential model over the calls that
 * allocation-calls.c makes.  A state is
 *
 *   slot, watermark (the highest retired lease and one), flags, counts
 *   resources     number, lease or none, version; rising
 *   marks         open executions that happened, of those with alternatives,
 *                 and the leases that such alternatives made; rising
 *   records       of operation ids that may be executed twice
 *   leases        until they retire, rising
 *
 * A lease that retired needs no record: its id is at or below the watermark.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "analyzer/allocation.h"
#include "analyzer/models/decode.h"

enum {
    STATE_SLOT,
    STATE_WATERMARK = 2,
    STATE_FLAGS,
    STATE_RESOURCES,
    STATE_MARKS,
    STATE_RECORDS,
    STATE_WORDS,
};
#define STATE_NAMELESS 1u /* a lease without an id has retired */

enum { RESOURCE_NUMBER, RESOURCE_LEASE, RESOURCE_VERSION, RESOURCE_WORDS = 4 };

enum {
    RECORD_GROUP,
    RECORD_CONTENTS,
    RECORD_CODE,
    RECORD_LEASE,
    RECORD_SLOT,
    RECORD_RETIRE = 6,
    RECORD_EPOCH = 8,
    RECORD_DEADLINE = 10,
    RECORD_WORDS = 12,
};

enum {
    LEASE_NUMBER,
    LEASE_CALL, /* list of the reserve that made it */
    LEASE_STATE,
    LEASE_EPOCH,
    LEASE_DEADLINE = 5,
    LEASE_RETIRE = 7,
    LEASE_WORDS = 9,
};

static const uint32_t *
allocation_params(const struct calls *c)
{
    return &c->lists[c->initial + 1];
}

static bool
allocation_flag(const struct calls *c, uint32_t flag)
{
    return (allocation_params(c)[PARAM_FLAGS] & flag) != 0;
}

static int64_t
allocation_limit(const struct calls *c, uint32_t at)
{
    return model_get64(allocation_params(c) + at);
}

static uint32_t
allocation_word(const struct calls *c, uint32_t call, uint32_t at)
{
    return call_list(c, call)[at];
}

static int64_t
allocation_number(const struct calls *c, uint32_t call, uint32_t at)
{
    return model_get64(call_list(c, call) + at);
}

/* ---- the tables of a state ---- */

static uint32_t
state_marks(const struct model_state *s)
{
    return STATE_WORDS + s->words[STATE_RESOURCES] * RESOURCE_WORDS;
}

static uint32_t
state_records(const struct model_state *s)
{
    return state_marks(s) + s->words[STATE_MARKS];
}

static uint32_t
state_leases(const struct model_state *s)
{
    return state_records(s) + s->words[STATE_RECORDS] * RECORD_WORDS;
}

/* Where 'key' is among rows of 'size' words, rising by the first; else where
 * it belongs. */
static bool
state_find(const struct model_state *s, uint32_t from, uint32_t end,
           uint32_t size, uint32_t key, uint32_t *ret)
{
    uint32_t low = 0, high = (end - from) / size;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->words[from + middle * size] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret = from + low * size;
    return *ret < end && s->words[*ret] == key;
}

static uint32_t *
state_insert(struct model_state *s, uint32_t at, uint32_t size)
{
    uint32_t count = s->count;

    model_state_resize(s, count + size);
    memmove(s->words + at + size, s->words + at,
            (count - at) * sizeof(*s->words));
    memset(s->words + at, 0, size * sizeof(*s->words));
    return s->words + at;
}

static void
state_remove(struct model_state *s, uint32_t at, uint32_t size)
{
    memmove(s->words + at, s->words + at + size,
            (s->count - at - size) * sizeof(*s->words));
    model_state_resize(s, s->count - size);
}

static bool
state_resource(const struct model_state *s, uint32_t number, uint32_t *ret)
{
    return state_find(s, STATE_WORDS, state_marks(s), RESOURCE_WORDS, number,
                      ret);
}

static bool
state_lease(const struct model_state *s, uint32_t number, uint32_t *ret)
{
    return state_find(s, state_leases(s), s->count, LEASE_WORDS, number, ret);
}

static bool
state_marked(const struct model_state *s, uint32_t mark, uint32_t *ret)
{
    return state_find(s, state_marks(s), state_records(s), 1, mark, ret);
}

/* ---- leases ---- */

static bool
lease_ended(const uint32_t *lease)
{
    return (STATE_BIT(lease[LEASE_STATE]) & STATES_ENDED) != 0;
}

static const uint32_t *
lease_members(const struct calls *c, const uint32_t *lease, uint32_t *ret_count)
{
    const uint32_t *list = &c->lists[lease[LEASE_CALL]];

    *ret_count = list[0] - WORD_MEMBERS;
    return list + 1 + WORD_MEMBERS;
}

static void
lease_set_members(const struct calls *c, struct model_state *s,
                  const uint32_t *lease, uint32_t holds)
{
    uint32_t count, at;
    const uint32_t *members = lease_members(c, lease, &count);

    for (uint32_t i = 0; i < count; i++) {
        bool there = state_resource(s, members[i], &at);
        assert(there);
        uint32_t *version = s->words + at + RESOURCE_VERSION;
        s->words[at + RESOURCE_LEASE] = holds;
        model_put64(version, model_get64(version) + 1);
    }
}

static void
lease_end(const struct calls *c, struct model_state *s, uint32_t at,
          enum state state)
{
    uint32_t *lease = s->words + at;

    lease[LEASE_STATE] = state;
    model_put64(lease + LEASE_RETIRE, model_get64(s->words + STATE_SLOT) +
                                          allocation_limit(c, PARAM_HISTORY));
    lease_set_members(c, s, lease, ALLOCATION_NONE);
}

static void
lease_raise_epoch(uint32_t *lease)
{
    model_put64(lease + LEASE_EPOCH, model_get64(lease + LEASE_EPOCH) + 1);
}

/* Records that are over and leases that retire with the slot go. */
static void
state_advance(const struct calls *c, struct model_state *s, int64_t slot)
{
    model_put64(s->words + STATE_SLOT, slot);
    for (uint32_t at = state_records(s); at < state_leases(s);) {
        if (model_get64(s->words + at + RECORD_RETIRE) < slot) {
            s->words[STATE_RECORDS]--;
            state_remove(s, at, RECORD_WORDS);
        } else {
            at += RECORD_WORDS;
        }
    }
    for (uint32_t at = state_leases(s); at < s->count;) {
        const uint32_t *lease = s->words + at;
        if (!lease_ended(lease) || model_get64(lease + LEASE_RETIRE) >= slot) {
            at += LEASE_WORDS;
            continue;
        }
        uint32_t number = lease[LEASE_NUMBER];
        if (number >= allocation_params(c)[PARAM_LEASES]) {
            s->words[STATE_FLAGS] |= STATE_NAMELESS;
        } else if (number >= s->words[STATE_WATERMARK]) {
            s->words[STATE_WATERMARK] = number + 1;
        }
        state_remove(s, at, LEASE_WORDS);
    }
}

/* ---- what is answered ---- */

static enum code
code_of_create(const struct calls *c, uint32_t call,
               const struct model_state *s)
{
    uint32_t at;

    if (state_resource(s, allocation_word(c, call, WORD_MEMBERS), &at)) {
        return CODE_ALREADY_EXISTS;
    }
    return allocation_flag(c, ALLOCATION_WHOLE) &&
                   s->words[STATE_RESOURCES] >=
                       allocation_limit(c, PARAM_RESOURCES)
               ? CODE_RESOURCE_TABLE_FULL
               : CODE_OK;
}

/* Of a reserve that finds its resources free. */
static enum code
code_of_room(const struct calls *c, uint32_t call, const struct model_state *s)
{
    int64_t live = 0, members = 0, bucket = 0;
    int64_t round = allocation_limit(c, PARAM_TTL) + 1;
    int64_t deadline = model_get64(s->words + STATE_SLOT) +
                       allocation_number(c, call, WORD_AMOUNT);

    if (!allocation_flag(c, ALLOCATION_WHOLE)) {
        return CODE_OK;
    }
    for (uint32_t at = state_leases(s); at < s->count; at += LEASE_WORDS) {
        uint32_t count;
        lease_members(c, s->words + at, &count);
        live++;
        members += count;
        bucket += s->words[at + LEASE_STATE] == STATE_RESERVED &&
                  model_get64(s->words + at + LEASE_DEADLINE) % round ==
                      deadline % round;
    }
    members += call_list_count(c, call) - WORD_MEMBERS;
    if (live >= allocation_limit(c, PARAM_RESERVATIONS)) {
        return CODE_RESERVATION_TABLE_FULL;
    }
    if (members > allocation_limit(c, PARAM_MEMBERS)) {
        return CODE_RESERVATION_MEMBER_TABLE_FULL;
    }
    return bucket >= allocation_limit(c, PARAM_BUCKET)
               ? CODE_EXPIRATION_INDEX_FULL
               : CODE_OK;
}

static enum code
code_of_reserve(const struct calls *c, uint32_t call,
                const struct model_state *s)
{
    const uint32_t *list = call_list(c, call);
    uint32_t count = call_list_count(c, call), at;
    int64_t ttl = model_get64(list + WORD_AMOUNT);

    if (count == WORD_MEMBERS ||
        count - WORD_MEMBERS > allocation_limit(c, PARAM_BUNDLE)) {
        return CODE_BUNDLE_TOO_LARGE;
    }
    if (ttl == 0 || ttl > allocation_limit(c, PARAM_TTL)) {
        return CODE_TTL_OUT_OF_RANGE;
    }
    for (uint32_t i = WORD_MEMBERS; i < count; i++) {
        for (uint32_t j = WORD_MEMBERS; j < i; j++) {
            if (list[j] == list[i]) {
                return CODE_RESOURCE_BUSY;
            }
        }
        if (!state_resource(s, list[i], &at)) {
            return CODE_RESOURCE_NOT_FOUND;
        }
        if (s->words[at + RESOURCE_LEASE] != ALLOCATION_NONE) {
            return CODE_RESOURCE_BUSY;
        }
    }
    return code_of_room(c, call, s);
}

static enum code
code_of_command(const struct calls *c, uint32_t call,
                const struct model_state *s)
{
    uint8_t function = c->function[call];
    const uint32_t *lease;
    uint32_t at, state;

    if (!state_lease(s, allocation_word(c, call, WORD_LEASE), &at)) {
        return CODE_RESERVATION_NOT_FOUND;
    }
    lease = s->words + at;
    state = lease[LEASE_STATE];
    if (function == FUNCTION_CONFIRM || function == FUNCTION_RELEASE) {
        uint32_t holder = c->lists[lease[LEASE_CALL] + 1 + WORD_HOLDER];
        if (holder != allocation_word(c, call, WORD_HOLDER)) {
            return CODE_HOLDER_MISMATCH;
        }
        if (model_get64(lease + LEASE_EPOCH) !=
            allocation_number(c, call, WORD_AMOUNT)) {
            return CODE_STALE_EPOCH;
        }
    }
    if (lease_ended(lease)) {
        return CODE_RESERVATION_RETIRED;
    }
    bool right = function == FUNCTION_CONFIRM   ? state == STATE_RESERVED
                 : function == FUNCTION_RELEASE ? state != STATE_REVOKING
                 : function == FUNCTION_REVOKE  ? state == STATE_ACTIVE
                                                : state == STATE_REVOKING;
    return right ? CODE_OK : CODE_INVALID_STATE;
}

/* Of a part nobody knows how full the tables are. */
static bool
code_is_full(const struct calls *c, uint32_t call, enum code code)
{
    if (allocation_flag(c, ALLOCATION_WHOLE)) {
        return false;
    }
    return c->function[call] == FUNCTION_CREATE_RESOURCE
               ? code == CODE_RESOURCE_TABLE_FULL
               : code == CODE_RESERVATION_TABLE_FULL ||
                     code == CODE_RESERVATION_MEMBER_TABLE_FULL ||
                     code == CODE_EXPIRATION_INDEX_FULL;
}

/* ---- what is done ---- */

/* False: the lease that it is said to make cannot be made. */
static bool
do_reserve(const struct calls *c, uint32_t call, struct model_state *s,
           int64_t *ret_deadline)
{
    uint32_t number = allocation_word(c, call, WORD_MAKES), at;
    int64_t deadline = model_get64(s->words + STATE_SLOT) +
                       allocation_number(c, call, WORD_AMOUNT);
    uint32_t lease[LEASE_WORDS] = {number, c->list[call], STATE_RESERVED};

    if (number == ALLOCATION_NONE || state_lease(s, number, &at)) {
        return false;
    }
    model_put64(lease + LEASE_EPOCH, 1);
    model_put64(lease + LEASE_DEADLINE, deadline);
    memcpy(state_insert(s, at, LEASE_WORDS), lease, sizeof(lease));
    lease_set_members(c, s, lease, number);
    *ret_deadline = deadline;
    return true;
}

static int64_t
do_command(const struct calls *c, uint32_t call, struct model_state *s)
{
    uint32_t at;
    bool there = state_lease(s, allocation_word(c, call, WORD_LEASE), &at);

    assert(there);
    switch (c->function[call]) {
    case FUNCTION_CONFIRM:
        s->words[at + LEASE_STATE] = STATE_ACTIVE;
        lease_set_members(c, s, s->words + at, s->words[at]);
        break;
    case FUNCTION_REVOKE:
        s->words[at + LEASE_STATE] = STATE_REVOKING;
        lease_raise_epoch(s->words + at);
        lease_set_members(c, s, s->words + at, s->words[at]);
        break;
    case FUNCTION_RELEASE:
        lease_raise_epoch(s->words + at);
        lease_end(c, s, at, STATE_RELEASED);
        break;
    default:
        lease_end(c, s, at, STATE_REVOKED);
    }
    return model_get64(s->words + at + LEASE_EPOCH);
}

static void
do_create(const struct calls *c, uint32_t call, struct model_state *s)
{
    uint32_t number = allocation_word(c, call, WORD_MEMBERS), at;
    bool there = state_resource(s, number, &at);

    assert(!there);
    uint32_t *resource = state_insert(s, at, RESOURCE_WORDS);
    resource[RESOURCE_NUMBER] = number;
    resource[RESOURCE_LEASE] = ALLOCATION_NONE;
    s->words[STATE_RESOURCES]++;
}

/* ---- mutations ---- */

/* What an execution came to, as its answers tell it. */
struct result {
    enum code code;
    uint32_t lease;
    int64_t slot, epoch, deadline;
};

static bool
told_number(int64_t told, int64_t is)
{
    return told == SLOT_NONE || told == is;
}

static bool
result_is_told(const struct calls *c, uint32_t call, const struct result *r)
{
    uint8_t function = c->function[call];
    uint32_t lease = allocation_word(c, call, WORD_TOLD);

    if (c->result[call] != r->code ||
        !told_number(allocation_number(c, call, WORD_SLOT), r->slot)) {
        return false;
    }
    if (r->code != CODE_OK || function == FUNCTION_CREATE_RESOURCE) {
        return true;
    }
    return (lease == ALLOCATION_NONE || lease == r->lease) &&
           told_number(allocation_number(c, call, WORD_EPOCH), r->epoch) &&
           (function > FUNCTION_RESERVE_BUNDLE ||
            told_number(allocation_number(c, call, WORD_DEADLINE),
                        r->deadline));
}

static void
record_keep(const struct calls *c, uint32_t call, struct model_state *s,
            const struct result *r)
{
    uint32_t group = allocation_word(c, call, WORD_GROUP), at;
    bool there = state_find(s, state_records(s), state_leases(s), RECORD_WORDS,
                            group, &at);
    uint32_t *record =
        there ? s->words + at : state_insert(s, at, RECORD_WORDS);

    s->words[STATE_RECORDS] += !there;
    record[RECORD_GROUP] = group;
    record[RECORD_CONTENTS] = allocation_word(c, call, WORD_CONTENTS);
    record[RECORD_CODE] = r->code;
    record[RECORD_LEASE] = r->lease;
    model_put64(record + RECORD_SLOT, r->slot);
    model_put64(record + RECORD_RETIRE, model_get64(s->words + STATE_SLOT) +
                                            allocation_limit(c, PARAM_WINDOW));
    model_put64(record + RECORD_EPOCH, r->epoch);
    model_put64(record + RECORD_DEADLINE, r->deadline);
}

/* Answered from the record: true in *ret_live while there is one. */
static bool
record_answers(const struct calls *c, uint32_t call,
               const struct model_state *s, bool *ret_live)
{
    uint32_t group = allocation_word(c, call, WORD_GROUP), at;

    *ret_live = group != ALLOCATION_NONE &&
                state_find(s, state_records(s), state_leases(s), RECORD_WORDS,
                           group, &at);
    if (!*ret_live || c->complete[call] == CALL_OPEN ||
        allocation_flag(c, ALLOCATION_POSITIONS)) {
        return false;
    }
    const uint32_t *record = s->words + at;
    const struct result r = {
        .code = (enum code)record[RECORD_CODE],
        .lease = record[RECORD_LEASE],
        .slot = model_get64(record + RECORD_SLOT),
        .epoch = model_get64(record + RECORD_EPOCH),
        .deadline = model_get64(record + RECORD_DEADLINE),
    };
    return record[RECORD_CONTENTS] == allocation_word(c, call, WORD_CONTENTS) &&
           result_is_told(c, call, &r);
}

/* False: its lease cannot be made. */
static bool
execute(const struct calls *c, uint32_t call, struct model_state *s,
        struct result *r)
{
    uint8_t function = c->function[call];

    if (r->code != CODE_OK) {
        return true;
    }
    if (function == FUNCTION_CREATE_RESOURCE) {
        do_create(c, call, s);
        return true;
    }
    if (function <= FUNCTION_RESERVE_BUNDLE) {
        r->lease = allocation_word(c, call, WORD_MAKES);
        r->epoch = 1;
        return do_reserve(c, call, s, &r->deadline);
    }
    r->lease = allocation_word(c, call, WORD_LEASE);
    r->epoch = do_command(c, call, s);
    return true;
}

/* False: it is marked already. */
static bool
take_mark(struct model_state *s, uint32_t mark)
{
    uint32_t at;

    if (mark == ALLOCATION_NONE) {
        return true;
    }
    if (state_marked(s, mark, &at)) {
        return false;
    }
    *state_insert(s, at, 1) = mark;
    s->words[STATE_MARKS]++;
    return true;
}

/* Of executions with alternatives one happens, and a lease is made once. */
static bool
take_marks(const struct calls *c, uint32_t call, struct model_state *s,
           enum code code)
{
    return take_mark(s, allocation_word(c, call, WORD_MARK)) &&
           (code != CODE_OK ||
            take_mark(s, allocation_word(c, call, WORD_ONCE)));
}

static bool
step_mutation(const struct calls *c, uint32_t call, struct model_state *s)
{
    bool open = c->complete[call] == CALL_OPEN, live;
    uint8_t function = c->function[call];
    struct result r = {
        .lease = ALLOCATION_NONE,
        .slot = model_get64(s->words + STATE_SLOT),
        .epoch = SLOT_NONE,
        .deadline = SLOT_NONE,
    };

    if (record_answers(c, call, s, &live)) {
        return true;
    }
    if (live) {
        return false;
    }
    r.code = function == FUNCTION_CREATE_RESOURCE ? code_of_create(c, call, s)
             : function <= FUNCTION_RESERVE_BUNDLE
                 ? code_of_reserve(c, call, s)
                 : code_of_command(c, call, s);
    if (!open && r.code == CODE_OK &&
        code_is_full(c, call, (enum code)c->result[call])) {
        r.code = (enum code)c->result[call];
    }
    bool remembered = allocation_word(c, call, WORD_GROUP) != ALLOCATION_NONE;
    if (open && r.code != CODE_OK && !remembered) {
        return false; /* changes nothing: it may as well not happen */
    }
    if (!take_marks(c, call, s, r.code) || !execute(c, call, s, &r) ||
        (!open && !result_is_told(c, call, &r))) {
        return false;
    }
    if (remembered) {
        record_keep(c, call, s, &r);
    }
    return true;
}

/* ---- ticks ---- */

static bool
step_tick(const struct calls *c, uint32_t call, struct model_state *s)
{
    int64_t now = model_get64(s->words + STATE_SLOT);
    int64_t to = allocation_number(c, call, WORD_AMOUNT);
    int64_t told = allocation_number(c, call, WORD_SLOT);

    if (c->complete[call] == CALL_OPEN && to <= now) {
        return false;
    }
    to = to > now ? to : now;
    if (!told_number(told, to)) {
        return false;
    }
    if (to > now) {
        state_advance(c, s, to);
    }
    return true;
}

static bool
same_members(const struct calls *c, uint32_t call, uint32_t from,
             const uint32_t *lease)
{
    uint32_t count;
    const uint32_t *members = lease_members(c, lease, &count);

    return call_list_count(c, call) - from == count &&
           (count == 0 || memcmp(call_list(c, call) + from, members,
                                 count * sizeof(*members)) == 0);
}

static bool
step_expiry(const struct calls *c, uint32_t call, struct model_state *s)
{
    uint32_t at;

    if (!state_lease(s, allocation_word(c, call, WORD_ROW_LEASE), &at)) {
        return false;
    }
    uint32_t *lease = s->words + at;
    int64_t deadline = model_get64(lease + LEASE_DEADLINE);
    if (lease[LEASE_STATE] != STATE_RESERVED ||
        deadline > model_get64(s->words + STATE_SLOT)) {
        return false;
    }
    if (c->function[call] == ALLOCATION_ROW &&
        (allocation_number(c, call, WORD_ROW_DEADLINE) != deadline ||
         !same_members(c, call, WORD_ROW_MEMBERS, lease))) {
        return false;
    }
    lease_raise_epoch(lease);
    lease_end(c, s, at, STATE_EXPIRED);
    return true;
}

/* ---- reads ---- */

static bool
step_get_resource(const struct calls *c, uint32_t call,
                  const struct model_state *s)
{
    const uint32_t *list = call_list(c, call);
    bool found = (list[WORD_READ_FLAGS] & READ_FOUND) != 0;
    uint32_t at, at_lease, state = STATE_AVAILABLE;

    if (!state_resource(s, list[WORD_READ_OBJECT], &at)) {
        return !found;
    }
    if (!found) {
        return false;
    }
    if (s->words[at + RESOURCE_LEASE] != ALLOCATION_NONE) {
        bool there = state_lease(s, s->words[at + RESOURCE_LEASE], &at_lease);
        assert(there);
        state = s->words[at_lease + LEASE_STATE];
    }
    return list[WORD_READ_STATE] == state &&
           list[WORD_READ_LEASE] == s->words[at + RESOURCE_LEASE] &&
           told_number(model_get64(list + WORD_READ_VERSION),
                       model_get64(s->words + at + RESOURCE_VERSION));
}

/* A lease that is not there: whether it is said to be retired. */
static bool
shows_absent(const struct calls *c, uint32_t call, const struct model_state *s)
{
    uint32_t number = allocation_word(c, call, WORD_READ_OBJECT);
    bool retired =
        (allocation_word(c, call, WORD_READ_FLAGS) & READ_RETIRED) != 0;
    bool below = number < s->words[STATE_WATERMARK];

    if ((s->words[STATE_FLAGS] & STATE_NAMELESS) != 0 ||
        !allocation_flag(c, ALLOCATION_ONE_SHARD)) {
        return true;
    }
    return retired == below ||
           (retired && !allocation_flag(c, ALLOCATION_WHOLE));
}

static bool
step_get_lease(const struct calls *c, uint32_t call,
               const struct model_state *s)
{
    const uint32_t *list = call_list(c, call);
    bool found = (list[WORD_READ_FLAGS] & READ_FOUND) != 0;
    uint32_t at;

    if (!state_lease(s, list[WORD_READ_OBJECT], &at)) {
        return !found && shows_absent(c, call, s);
    }
    const uint32_t *lease = s->words + at;
    uint32_t holder = c->lists[lease[LEASE_CALL] + 1 + WORD_HOLDER];
    return found && list[WORD_READ_STATE] == lease[LEASE_STATE] &&
           (list[WORD_READ_HOLDER] == ALLOCATION_NONE ||
            list[WORD_READ_HOLDER] == holder) &&
           told_number(model_get64(list + WORD_READ_EPOCH),
                       model_get64(lease + LEASE_EPOCH)) &&
           told_number(model_get64(list + WORD_READ_DEADLINE),
                       model_get64(lease + LEASE_DEADLINE)) &&
           (call_list_count(c, call) == WORD_READ_MEMBERS ||
            same_members(c, call, WORD_READ_MEMBERS, lease));
}

/* ---- the model ---- */

static void
allocation_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, STATE_WORDS);
}

static bool
allocation_apply(const struct calls *c, uint32_t call, struct model_state *s)
{
    switch (c->function[call]) {
    case FUNCTION_TICK:
        return step_tick(c, call, s);
    case ALLOCATION_ROW:
    case ALLOCATION_EXPIRE:
        return step_expiry(c, call, s);
    case FUNCTION_GET_RESOURCE:
    case FUNCTION_GET_LEASE:
        return told_number(allocation_number(c, call, WORD_SLOT),
                           model_get64(s->words + STATE_SLOT)) &&
               (c->function[call] == FUNCTION_GET_LEASE
                    ? step_get_lease(c, call, s)
                    : step_get_resource(c, call, s));
    default:
        return step_mutation(c, call, s);
    }
}

static bool
allocation_step(const struct calls *c, uint32_t call,
                const struct model_state *in, struct model_state *out)
{
    model_state_copy(out, in);
    return allocation_apply(c, call, out);
}

static bool
allocation_pure(const struct calls *c, uint32_t call)
{
    uint8_t function = c->function[call];

    if (function == FUNCTION_GET_RESOURCE || function == FUNCTION_GET_LEASE) {
        return true;
    }
    return function < FUNCTION_TICK && c->complete[call] != CALL_OPEN &&
           c->result[call] != CODE_OK &&
           allocation_word(c, call, WORD_GROUP) == ALLOCATION_NONE;
}

static void
allocation_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    buf_puts(out, c->model->functions[c->function[call]]);
    if (c->function[call] < FUNCTION_TICK && c->complete[call] != CALL_OPEN) {
        buf_printf(out, ": %s", code_name((enum code)c->result[call]));
    } else if (c->complete[call] == CALL_OPEN) {
        buf_puts(out, " (unknown)");
    }
}

static void
allocation_describe_state(const struct calls *c, const struct model_state *s,
                          struct buf *out)
{
    (void)c;
    buf_printf(out, "slot %" PRId64 ", %u resources, %u leases",
               model_get64(s->words + STATE_SLOT), s->words[STATE_RESOURCES],
               (s->count - state_leases(s)) / LEASE_WORDS);
}

static const char *const allocation_functions[] = {
    [FUNCTION_CREATE_RESOURCE] = "create_resource",
    [FUNCTION_RESERVE] = "reserve",
    [FUNCTION_RESERVE_BUNDLE] = "reserve_bundle",
    [FUNCTION_CONFIRM] = "confirm",
    [FUNCTION_RELEASE] = "release",
    [FUNCTION_REVOKE] = "revoke",
    [FUNCTION_RECLAIM] = "reclaim",
    [FUNCTION_TICK] = "tick",
    [FUNCTION_GET_RESOURCE] = "get_resource",
    [FUNCTION_GET_LEASE] = "get_lease",
    [ALLOCATION_ROW] = "expired",
    [ALLOCATION_EXPIRE] = "expires unseen",
    NULL,
};

const struct model_ops model_allocation = {
    .name = "allocator-table",
    .description = "the allocator of a table, with all its limits",
    .functions = allocation_functions,
    .init = allocation_init,
    .step = allocation_step,
    .apply = allocation_apply,
    .pure = allocation_pure,
    .describe = allocation_describe,
    .describe_state = allocation_describe_state,
};
