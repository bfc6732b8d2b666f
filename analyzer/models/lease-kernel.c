/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel of a lease allocator: resources are reserved in bundles, all or
 * none; the lease is activated, released by its holder with the epoch in force,
 * revoked and reclaimed over the holder's head, or expires while only reserved.
 * No clock: an expiry is an operation.  An operation id is remembered for ever.
 *
 * A state is
 *
 *   any           1: nothing is known any more, everything goes
 *   floor         the greatest lease known to have been granted; two words
 *   told          the highest slot that an answer told; two words
 *   created       how many, and the resources, rising (allocator)
 *   records       of the leases that hold something, rising by first resource
 *
 * Ended leases need no record: a lease that holds nothing but is not above the
 * floor has ended, and its epoch is 2 however it ended (release and expiry
 * raise it from 1; a lease is reclaimed only after it was revoked).
 *
 * A grant without answer makes a record without a name.  It gets the name that
 * a get of one of its resources shows, which must be above every lease granted
 * before and below every one granted after; only records that a get may name
 * keep these bounds, so that states that differ in nothing else are equal.
 *
 * The allocator's leases have deadlines in slots of a clock that only ticks
 * move, and expire unseen: one entry of a tick each, at any time after its
 * deadline's slot was asked for.  So a reserved lease past its deadline may be
 * there or not, until an answer that only one of both explains.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/lease-kernel.h"
#include "analyzer/models/registry.h"

enum { STATE_ANY, STATE_FLOOR, STATE_TOLD = 3, STATE_CREATED = 5, STATE_WORDS };

enum {
    RECORD_SIZE,
    RECORD_LEASE, /* or NIL: not known */
    RECORD_HOLDER,
    RECORD_EPOCH,
    RECORD_STATE,
    RECORD_ABOVE,        /* two words; of records that wait for a name */
    RECORD_BELOW = 7,    /* two words */
    RECORD_DEADLINE = 9, /* two words; the earliest that it can be */
    RECORD_RESOURCES = 11,
};

#define ENDED_EPOCH 2

void
kernel_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    model_state_resize(out, STATE_WORDS);
    model_put64(out->words + STATE_FLOOR, INT64_MIN);
}

/* Where the records begin. */
static uint32_t
kernel_first(const struct model_state *s)
{
    return STATE_WORDS + s->words[STATE_CREATED];
}

/* Whether resources exist only when they were created: only if the history
 * creates any.  The model takes no initial value, so this stands there. */
static bool
kernel_creates(const struct calls *c)
{
    return c->initial == 1;
}

static bool
kernel_created(const struct model_state *s, uint32_t resource, uint32_t *ret_at)
{
    uint32_t count = s->words[STATE_CREATED];
    uint32_t at = model_search(s->words + STATE_WORDS, count, resource);

    *ret_at = STATE_WORDS + at;
    return at < count && s->words[STATE_WORDS + at] == resource;
}

/* A lease that is only reserved, and whose time had come by then. */
static bool
kernel_expirable(const struct calls *c, uint32_t call, const uint32_t *record)
{
    return record[RECORD_STATE] == KERNEL_RESERVED &&
           model_get64(record + RECORD_DEADLINE) <=
               kernel_number(c, call, KERNEL_UPPER);
}

/* What an unnamed record that nobody watches is bounded by. */
static bool
kernel_waits(const uint32_t *record)
{
    return record[RECORD_LEASE] == VALUE_NIL &&
           model_get64(record + RECORD_BELOW) != 0;
}

static bool
kernel_has(const uint32_t *record, uint32_t resource)
{
    for (uint32_t i = RECORD_RESOURCES; i < record[RECORD_SIZE]; i++) {
        if (record[i] == resource) {
            return true;
        }
    }
    return false;
}

/* 0: nobody holds it. */
static uint32_t
kernel_holding(const struct model_state *s, uint32_t resource)
{
    for (uint32_t at = kernel_first(s); at < s->count;
         at += s->words[at + RECORD_SIZE]) {
        if (kernel_has(s->words + at, resource)) {
            return at;
        }
    }
    return 0;
}

static uint32_t
kernel_named(const struct model_state *s, uint32_t lease)
{
    for (uint32_t at = kernel_first(s); at < s->count;
         at += s->words[at + RECORD_SIZE]) {
        if (s->words[at + RECORD_LEASE] == lease) {
            return at;
        }
    }
    return 0;
}

static void
kernel_remove(struct model_state *s, uint32_t at)
{
    uint32_t size = s->words[at + RECORD_SIZE];

    memmove(s->words + at, s->words + at + size,
            (s->count - at - size) * sizeof(*s->words));
    model_state_resize(s, s->count - size);
}

/* Room for a record of 'size' where its first resource belongs. */
static uint32_t *
kernel_insert(struct model_state *s, uint32_t first, uint32_t size)
{
    uint32_t at = kernel_first(s), count = s->count;

    while (at < count && s->words[at + RECORD_RESOURCES] < first) {
        at += s->words[at + RECORD_SIZE];
    }
    model_state_resize(s, count + size);
    memmove(s->words + at + size, s->words + at,
            (count - at) * sizeof(*s->words));
    memset(s->words + at, 0, size * sizeof(*s->words));
    s->words[at + RECORD_SIZE] = size;
    return s->words + at;
}

/* Whether it can be granted, when all that may have expired had. */
static bool
kernel_free(const struct calls *c, uint32_t call, const struct model_state *s)
{
    const uint32_t *list = call_list(c, call);
    uint32_t at, place;

    if ((list[KERNEL_RESERVE_FLAGS] & KERNEL_TWICE) != 0 ||
        call_list_count(c, call) == KERNEL_RESERVE_RESOURCES) {
        return false;
    }
    for (uint32_t i = KERNEL_RESERVE_RESOURCES; i < call_list_count(c, call);
         i++) {
        at = kernel_holding(s, list[i]);
        if ((at != 0 && !kernel_expirable(c, call, s->words + at)) ||
            (kernel_creates(c) && !kernel_created(s, list[i], &place))) {
            return false;
        }
    }
    return true;
}

/* Whether it can be refused, when all that may have expired had not. */
static bool
kernel_refusable(const struct calls *c, uint32_t call,
                 const struct model_state *s)
{
    const uint32_t *list = call_list(c, call);
    bool held = (list[KERNEL_RESERVE_FLAGS] & KERNEL_TWICE) != 0;
    bool missing = !kernel_creates(c);
    uint32_t place;

    for (uint32_t i = KERNEL_RESERVE_RESOURCES; i < call_list_count(c, call);
         i++) {
        held = held || kernel_holding(s, list[i]) != 0;
        missing = missing || !kernel_created(s, list[i], &place);
    }
    return c->result[call] == KERNEL_BUSY ? held : missing;
}

/* Those in the way have expired. */
static void
kernel_clear(const struct calls *c, uint32_t call, struct model_state *out)
{
    uint32_t at;

    for (uint32_t i = KERNEL_RESERVE_RESOURCES; i < call_list_count(c, call);
         i++) {
        at = kernel_holding(out, kernel_word(c, call, i));
        if (at != 0) {
            kernel_remove(out, at);
        }
    }
}

/* A known lease is granted: above all before, and the unnamed are below. */
static bool
kernel_raise(const struct calls *c, uint32_t lease, struct model_state *s)
{
    int64_t floor = model_get64(s->words + STATE_FLOOR), id;

    if (!value_to_int(c, lease, &id)) {
        return kernel_named(s, lease) == 0; /* no order to keep */
    }
    if (id <= floor) {
        return false;
    }
    model_put64(s->words + STATE_FLOOR, id);
    for (uint32_t at = kernel_first(s); at < s->count;
         at += s->words[at + RECORD_SIZE]) {
        uint32_t *record = s->words + at;
        if (kernel_waits(record) &&
            model_get64(record + RECORD_BELOW) == INT64_MAX) {
            model_put64(record + RECORD_BELOW, id);
        }
    }
    return true;
}

/* The earliest that the deadline can be. */
static int64_t
kernel_deadline(const struct calls *c, uint32_t call,
                const struct model_state *s)
{
    int64_t told = kernel_number(c, call, KERNEL_RESERVE_DEADLINE);
    int64_t ttl = kernel_number(c, call, KERNEL_RESERVE_TTL);
    int64_t now = model_get64(s->words + STATE_TOLD), sum;

    if (told >= 0) {
        return told;
    }
    return ttl < 0 || __builtin_add_overflow(now, ttl, &sum) ? INT64_MAX : sum;
}

static bool
kernel_grant(const struct calls *c, uint32_t call, struct model_state *out)
{
    const uint32_t *list = call_list(c, call);
    uint32_t lease = c->b[call];
    uint32_t count = call_list_count(c, call) - KERNEL_RESERVE_RESOURCES;
    bool named = c->complete[call] != CALL_OPEN && lease != VALUE_ABSENT;

    kernel_clear(c, call, out);
    if (named && !kernel_raise(c, lease, out)) {
        return false;
    }
    uint32_t *record = kernel_insert(out, list[KERNEL_RESERVE_RESOURCES],
                                     RECORD_RESOURCES + count);
    record[RECORD_LEASE] = named ? lease : VALUE_NIL;
    record[RECORD_HOLDER] = c->a[call];
    record[RECORD_EPOCH] = 1;
    record[RECORD_STATE] = KERNEL_RESERVED;
    model_put64(record + RECORD_DEADLINE, kernel_deadline(c, call, out));
    if (!named && (list[KERNEL_RESERVE_FLAGS] & KERNEL_WATCH) != 0) {
        model_put64(record + RECORD_ABOVE,
                    model_get64(out->words + STATE_FLOOR));
        model_put64(record + RECORD_BELOW, INT64_MAX);
    }
    memcpy(record + RECORD_RESOURCES, list + KERNEL_RESERVE_RESOURCES,
           count * sizeof(*record));
    return true;
}

static bool
kernel_reserve(const struct calls *c, uint32_t call,
               const struct model_state *in, struct model_state *out)
{
    bool is_free = kernel_free(c, call, in);

    if (c->complete[call] == CALL_OPEN) {
        return !is_free || kernel_grant(c, call, out);
    }
    switch (c->result[call]) {
    case KERNEL_OK: {
        uint32_t epoch = kernel_word(c, call, KERNEL_RESERVE_EPOCH);
        return is_free && (epoch == VALUE_ABSENT || epoch == 1) &&
               kernel_grant(c, call, out);
    }
    case KERNEL_BUSY:
    case KERNEL_NO_RESOURCE:
        return kernel_refusable(c, call, in);
    default:
        /* Limits of tables are not known here. */
        return c->result[call] == KERNEL_OTHER;
    }
}

/* Gives the unnamed record its name; false: it cannot have this one. */
static bool
kernel_name(const struct calls *c, uint32_t lease, struct model_state *s,
            uint32_t at)
{
    uint32_t *record = s->words + at;
    int64_t id;

    bool ordered = value_to_int(c, lease, &id);

    if (!kernel_waits(record) ||
        (ordered && (id <= model_get64(record + RECORD_ABOVE) ||
                     id >= model_get64(record + RECORD_BELOW)))) {
        return false;
    }
    record[RECORD_LEASE] = lease;
    memset(record + RECORD_ABOVE, 0, 4 * sizeof(*record));
    if (ordered && id > model_get64(s->words + STATE_FLOOR)) {
        return kernel_raise(c, lease, s);
    }
    return true;
}

static bool
kernel_get(const struct calls *c, uint32_t call, const struct model_state *in,
           struct model_state *out)
{
    uint32_t at = kernel_holding(in, c->a[call]), lease = c->b[call];

    if (c->complete[call] == CALL_OPEN) {
        return true;
    }
    if (c->result[call] == KERNEL_MISSING) {
        uint32_t place;
        return !kernel_creates(c) || !kernel_created(in, c->a[call], &place);
    }
    if (at == 0) {
        return c->result[call] == KERNEL_AVAILABLE;
    }
    if (c->result[call] == KERNEL_AVAILABLE &&
        kernel_expirable(c, call, in->words + at)) {
        kernel_remove(out, at);
        return true;
    }
    if (c->result[call] != in->words[at + RECORD_STATE]) {
        return false;
    }
    if (lease == VALUE_ABSENT || lease == in->words[at + RECORD_LEASE]) {
        return true;
    }
    return kernel_word(c, call, KERNEL_GET_KNOWN) == KERNEL_SHOWN &&
           kernel_name(c, lease, out, at);
}

/* What a command on a lease that holds something is answered. */
static enum kernel_code
kernel_code_live(const struct calls *c, uint32_t call, const uint32_t *record)
{
    uint8_t function = c->function[call];
    uint32_t state = record[RECORD_STATE];

    if (function == KERNEL_ACTIVATE || function == KERNEL_RELEASE) {
        if (record[RECORD_HOLDER] != c->a[call]) {
            return KERNEL_HOLDER_MISMATCH;
        }
        if (record[RECORD_EPOCH] !=
            kernel_word(c, call, KERNEL_COMMAND_EPOCH)) {
            return KERNEL_STALE_EPOCH;
        }
    }
    switch (function) {
    case KERNEL_ACTIVATE:
        return state == KERNEL_RESERVED ? KERNEL_OK : KERNEL_INVALID_STATE;
    case KERNEL_RELEASE:
        return state != KERNEL_REVOKING ? KERNEL_OK : KERNEL_INVALID_STATE;
    case KERNEL_REVOKE:
        return state == KERNEL_ACTIVE ? KERNEL_OK : KERNEL_INVALID_STATE;
    case KERNEL_RECLAIM:
        return state == KERNEL_REVOKING ? KERNEL_OK : KERNEL_INVALID_STATE;
    default:
        return state == KERNEL_RESERVED ? KERNEL_OK : KERNEL_NOOP;
    }
}

/* Does it; returns the epoch that is told. */
static uint32_t
kernel_apply(uint8_t function, struct model_state *out, uint32_t at)
{
    uint32_t *record = out->words + at;
    uint32_t epoch = record[RECORD_EPOCH];

    switch (function) {
    case KERNEL_ACTIVATE:
        record[RECORD_STATE] = KERNEL_ACTIVE;
        return epoch;
    case KERNEL_REVOKE:
        record[RECORD_STATE] = KERNEL_REVOKING;
        record[RECORD_EPOCH] = epoch + 1;
        return epoch + 1;
    case KERNEL_RECLAIM:
        kernel_remove(out, at);
        return epoch;
    default:
        kernel_remove(out, at);
        return epoch + 1;
    }
}

static bool
kernel_command_live(const struct calls *c, uint32_t call, uint32_t at,
                    struct model_state *out)
{
    enum kernel_code code = kernel_code_live(c, call, out->words + at);
    bool open = c->complete[call] == CALL_OPEN;

    if (code == KERNEL_OK && (open || c->result[call] == KERNEL_OK)) {
        uint32_t told = kernel_word(c, call, KERNEL_COMMAND_TOLD);
        uint32_t epoch = kernel_apply(c->function[call], out, at);
        return open || told == VALUE_ABSENT || told == epoch;
    }
    if (open || c->result[call] == KERNEL_OTHER) {
        return true;
    }
    /* Some write an expiry that comes too late as a failed command. */
    return c->result[call] == code ||
           (code == KERNEL_NOOP && c->result[call] == KERNEL_INVALID_STATE);
}

/* What a command on a granted lease that holds nothing may be answered. */
static bool
kernel_command_dead(const struct calls *c, uint32_t call,
                    const struct model_state *in)
{
    uint32_t code = c->result[call];
    int64_t id, floor = model_get64(in->words + STATE_FLOOR);
    uint8_t function = c->function[call];

    if (c->complete[call] == CALL_OPEN || code == KERNEL_OTHER) {
        return true;
    }
    if (code == KERNEL_OK || code == KERNEL_BUSY) {
        return false;
    }
    if (code == KERNEL_NOT_FOUND) {
        return true; /* ended leases may be forgotten */
    }
    if (value_to_int(c, c->b[call], &id) && id > floor) {
        return false;
    }
    if (function != KERNEL_ACTIVATE && function != KERNEL_RELEASE) {
        return code == KERNEL_RETIRED || code == KERNEL_INVALID_STATE ||
               (function == KERNEL_EXPIRE && code == KERNEL_NOOP);
    }
    if (kernel_word(c, call, KERNEL_COMMAND_OWNER) != c->a[call]) {
        return code == KERNEL_HOLDER_MISMATCH;
    }
    if (kernel_word(c, call, KERNEL_COMMAND_EPOCH) != ENDED_EPOCH) {
        return code == KERNEL_STALE_EPOCH;
    }
    return code == KERNEL_RETIRED || code == KERNEL_INVALID_STATE;
}

/* A lease that only gets have shown: which unnamed one it is shows in its
 * effect.  A refusal may have come before it was granted, or after its end. */
static bool
kernel_command_shown(const struct calls *c, uint32_t call,
                     struct model_state *out)
{
    bool open = c->complete[call] == CALL_OPEN;

    if (!open && c->result[call] != KERNEL_OK) {
        return c->result[call] != KERNEL_BUSY;
    }
    for (uint32_t i = KERNEL_COMMAND_RESOURCES; i < call_list_count(c, call);
         i++) {
        uint32_t at = kernel_holding(out, kernel_word(c, call, i));
        if (at != 0 &&
            kernel_code_live(c, call, out->words + at) == KERNEL_OK &&
            kernel_name(c, c->b[call], out, at)) {
            return kernel_command_live(c, call, at, out);
        }
    }
    return open;
}

static bool
kernel_command(const struct calls *c, uint32_t call,
               const struct model_state *in, struct model_state *out)
{
    uint32_t known = kernel_word(c, call, KERNEL_COMMAND_KNOWN);
    uint32_t at = kernel_named(in, c->b[call]);

    if (known == KERNEL_NEVER_SEEN) {
        /* Whoever made it up: a refusal is no surprise; what an effect did,
         * nobody can say. */
        if (c->complete[call] == CALL_OPEN || c->result[call] == KERNEL_OK) {
            model_state_resize(out, 1);
            out->words[STATE_ANY] = 1;
        }
        return true;
    }
    if (at != 0) {
        bool expirable = kernel_expirable(c, call, out->words + at);
        if (kernel_command_live(c, call, at, out)) {
            return true;
        }
        if (!expirable || c->result[call] == KERNEL_OK) {
            return false;
        }
        kernel_remove(out, at);
    }
    return known == KERNEL_SHOWN ? kernel_command_shown(c, call, out)
                                 : kernel_command_dead(c, call, in);
}

static bool
kernel_create(const struct calls *c, uint32_t call, struct model_state *out)
{
    bool open = c->complete[call] == CALL_OPEN;
    uint32_t at, code = c->result[call], count = out->count;

    if (kernel_created(out, c->a[call], &at)) {
        return open || code == KERNEL_EXISTS || code == KERNEL_OTHER;
    }
    if (open || code == KERNEL_OK) {
        model_state_resize(out, count + 1);
        memmove(out->words + at + 1, out->words + at,
                (count - at) * sizeof(*out->words));
        out->words[at] = c->a[call];
        out->words[STATE_CREATED]++;
        return true;
    }
    return code == KERNEL_OTHER;
}

static bool
kernel_get_lease(const struct calls *c, uint32_t call,
                 const struct model_state *in, struct model_state *out)
{
    uint32_t at = kernel_named(in, c->b[call]), shown = c->result[call];
    uint32_t epoch = kernel_word(c, call, KERNEL_COMMAND_TOLD);
    int64_t id;

    if (c->complete[call] == CALL_OPEN ||
        kernel_word(c, call, KERNEL_COMMAND_KNOWN) != KERNEL_GRANTED) {
        return true;
    }
    if (at != 0) {
        const uint32_t *record = in->words + at;
        if (shown == KERNEL_ENDED && kernel_expirable(c, call, record)) {
            kernel_remove(out, at);
            return true;
        }
        return shown == record[RECORD_STATE] &&
               (epoch == VALUE_ABSENT || epoch == record[RECORD_EPOCH]);
    }
    if (!value_to_int(c, c->b[call], &id)) {
        /* Ended, or not granted yet: without an order nobody can say. */
        return shown == KERNEL_ENDED || shown == KERNEL_MISSING;
    }
    bool granted = id <= model_get64(in->words + STATE_FLOOR);
    return shown == (granted ? KERNEL_ENDED : KERNEL_MISSING);
}

/* Slots never fall from one command to the next. */
static bool
kernel_told(const struct calls *c, uint32_t call, struct model_state *out)
{
    int64_t slot = kernel_number(c, call, KERNEL_SLOT);

    if (slot < 0) {
        return true;
    }
    if (slot < model_get64(out->words + STATE_TOLD)) {
        return false;
    }
    if (c->result[call] == KERNEL_OK) {
        model_put64(out->words + STATE_TOLD, slot);
    }
    return true;
}

bool
kernel_step(const struct calls *c, uint32_t call, const struct model_state *in,
            struct model_state *out)
{
    uint8_t function = c->function[call];

    model_state_copy(out, in);
    if (in->words[STATE_ANY] == 1 || function == KERNEL_TICK) {
        return true;
    }
    if (function != KERNEL_GET && function != KERNEL_GET_LEASE &&
        !kernel_told(c, call, out)) {
        return false;
    }
    switch (function) {
    case KERNEL_RESERVE:
        return kernel_reserve(c, call, in, out);
    case KERNEL_GET:
        return kernel_get(c, call, in, out);
    case KERNEL_CREATE:
        return kernel_create(c, call, out);
    case KERNEL_GET_LEASE:
        return kernel_get_lease(c, call, in, out);
    default:
        return kernel_command(c, call, in, out);
    }
}

bool
kernel_pure(const struct calls *c, uint32_t call)
{
    if (c->function[call] == KERNEL_RESERVE) {
        return c->complete[call] != CALL_OPEN && c->result[call] != KERNEL_OK;
    }
    /* An answer may show that a lease has expired. */
    if (kernel_number(c, call, KERNEL_UPPER) >= 0) {
        return c->function[call] == KERNEL_TICK;
    }
    if (c->function[call] == KERNEL_GET) {
        return c->b[call] == VALUE_ABSENT ||
               kernel_word(c, call, KERNEL_GET_KNOWN) != KERNEL_SHOWN;
    }
    if (c->function[call] == KERNEL_TICK ||
        c->function[call] == KERNEL_GET_LEASE) {
        return true;
    }
    return c->complete[call] != CALL_OPEN && c->result[call] != KERNEL_OK;
}

static bool
kernel_refused(const struct calls *c, uint32_t call)
{
    return c->complete[call] != CALL_OPEN && c->result[call] != KERNEL_OK;
}

/* What a refusal or a read shows to have expired, expired all the same. */
void
kernel_stake(const struct calls *c, uint32_t call, struct model_stake *ret)
{
    bool granted;

    ret->subject = c->b[call];
    switch (c->function[call]) {
    case KERNEL_CREATE:
        ret->subject = VALUE_ABSENT;
        ret->founds = true;
        return;
    case KERNEL_TICK:
        ret->subject = VALUE_ABSENT;
        ret->idle = true;
        return;
    case KERNEL_RESERVE:
        ret->needs_places = ret->idle = kernel_refused(c, call);
        return;
    case KERNEL_GET:
        granted = kernel_word(c, call, KERNEL_GET_KNOWN) == KERNEL_GRANTED;
        ret->needs_places = c->result[call] != KERNEL_AVAILABLE &&
                            c->result[call] != KERNEL_MISSING && !granted;
        ret->idle = ret->subject == VALUE_ABSENT || granted;
        return;
    case KERNEL_GET_LEASE:
        ret->idle = true;
        return;
    default:
        ret->idle = kernel_refused(c, call);
        ret->needs_places =
            kernel_word(c, call, KERNEL_COMMAND_KNOWN) == KERNEL_SHOWN;
        ret->shakes_all =
            !ret->idle &&
            kernel_word(c, call, KERNEL_COMMAND_KNOWN) == KERNEL_NEVER_SEEN;
    }
}

void
kernel_describe_state(const struct calls *c, const struct model_state *s,
                      struct buf *out)
{
    if (s->words[STATE_ANY] == 1) {
        buf_puts(out, "nothing is known");
        return;
    }
    buf_puts(out, s->count == kernel_first(s) ? "all is available" : "");
    for (uint32_t at = kernel_first(s); at < s->count;
         at += s->words[at + RECORD_SIZE]) {
        const uint32_t *record = s->words + at;

        buf_puts(out, at == kernel_first(s) ? "" : "; ");
        for (uint32_t i = RECORD_RESOURCES; i < record[RECORD_SIZE]; i++) {
            buf_puts(out, i == RECORD_RESOURCES ? "" : "+");
            model_words_value(c, record[i], out);
        }
        buf_printf(out, " %s by ", kernel_state_name(record[RECORD_STATE]));
        model_words_value(c, record[RECORD_HOLDER], out);
        if (record[RECORD_LEASE] != VALUE_NIL) {
            buf_puts(out, ", lease ");
            model_words_value(c, record[RECORD_LEASE], out);
        }
        buf_printf(out, ", epoch %" PRIu32, record[RECORD_EPOCH]);
    }
}

static const char *const kernel_functions[] = {
    [KERNEL_RESERVE] = "reserve", [KERNEL_ACTIVATE] = "activate",
    [KERNEL_RELEASE] = "release", [KERNEL_REVOKE] = "revoke",
    [KERNEL_RECLAIM] = "reclaim", [KERNEL_EXPIRE] = "expire",
    [KERNEL_GET] = "get",         NULL,
};

static const struct engine_ops *const kernel_engines[] = {&engine_lease_kernel,
                                                          NULL};

const struct model_ops model_lease_kernel = {
    .name = "lease-kernel",
    .description = "leases on bundles of resources, with epochs, no clock",
    .functions = kernel_functions,
    .decode = kernel_decode,
    .prepare = kernel_prepare,
    .init = kernel_init,
    .step = kernel_step,
    .pure = kernel_pure,
    .touches = kernel_touches,
    .stake = kernel_stake,
    .describe = kernel_describe,
    .describe_state = kernel_describe_state,
    .exact = kernel_engines,
};
