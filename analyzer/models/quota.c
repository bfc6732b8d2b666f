/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buckets of tokens that refill with the slots of a logical clock:
 *
 *   balance in slot s = min(limit, balance + (s - since) * refill)
 *
 * Each answer tells its slot; slots never fall along the order.  A debit whose
 * slot nobody told took place in some slot since the last one told, so a state
 * keeps bounds of the balance: the upper one as if it was debited at once, the
 * lower one as if the bucket had been full first and lost the refill.  An
 * answer is accepted when some balance within the bounds explains it; one that
 * tells the balance leaves only that.  A read shows a stored balance, of some
 * slot: it is judged by what that comes to in the slot of the read.
 *
 * State: flags; limit, refill, since, low, high, debt; two words each.
 *
 * flags QUOTA_THERE: the bucket was created; QUOTA_LATE: in an unknown slot, so
 * the lower bound did not refill; debt: what the lower bound loses at the next
 * slot told.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"

enum quota_function { QUOTA_CREATE, QUOTA_DEBIT, QUOTA_GET };
enum quota_code { QUOTA_OK, QUOTA_EXISTS, QUOTA_NO_BUCKET, QUOTA_SHORT };

static const char *const quota_codes[] = {
    [QUOTA_OK] = "ok",
    [QUOTA_EXISTS] = "already_exists",
    [QUOTA_NO_BUCKET] = "bucket_not_found",
    [QUOTA_SHORT] = "insufficient_funds",
    NULL,
};

/* Of a call's list: the slot told, or -1; then of a creation limit, initial
 * balance and refill, of a debit the amount and the balance told, or -1, of a
 * read limit, stored balance, refill and the slot it was stored in. */
enum {
    QUOTA_SLOT,
    QUOTA_AMOUNT = 2,
    QUOTA_INITIAL = 4,
    QUOTA_REFILL = 6,
    QUOTA_SINCE = 8
};
#define QUOTA_LIMIT QUOTA_AMOUNT
#define QUOTA_BALANCE QUOTA_INITIAL

#define QUOTA_LATE 1u
#define QUOTA_THERE 2u
enum { STATE_WORDS = 13 };

struct quota {
    uint32_t flags;
    int64_t limit, refill, since, low, high, debt;
};

static struct quota
quota_read(const struct model_state *s)
{
    const uint32_t *w = s->words;

    return (struct quota){
        w[0],
        model_get64(w + 1),
        model_get64(w + 3),
        model_get64(w + 5),
        model_get64(w + 7),
        model_get64(w + 9),
        model_get64(w + 11),
    };
}

static void
quota_write(struct model_state *s, const struct quota *q)
{
    const int64_t numbers[] = {q->limit, q->refill, q->since,
                               q->low,   q->high,   q->debt};

    model_state_resize(s, STATE_WORDS);
    s->words[0] = q->flags;
    for (uint32_t i = 0; i < 6; i++) {
        model_put64(s->words + 1 + 2 * i, numbers[i]);
    }
}

static int64_t
quota_field(const struct tree *map, const char *name, int64_t fallback)
{
    int64_t n;

    return model_field_natural(map, name, &n) ? n : fallback;
}

/* A read that found its bucket carries all of it. */
static enum decoded
quota_decode_get(struct calls *c, const struct record *invoke,
                 const struct record *end, struct call *ret, struct error *err)
{
    static const char *const names[] = {"slot", "limit", "balance", "refill",
                                        "since"};
    struct model_words w = {0};

    ret->key = model_field(c, invoke->value, "bucket");
    if (ret->key == VALUE_ABSENT) {
        return model_bad_value(c, invoke, "its value is no {bucket}", err);
    }
    if (model_ended(end) != ENDED_OK || !model_claims_linearizable(invoke)) {
        return DECODED_DROP;
    }
    const struct tree *found = tree_get(end->value, "found");
    ret->result = found != NULL && found->kind == TREE_BOOL && found->truth;
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        model_words_add64(&w, quota_field(end->value, names[i], -1));
    }
    ret->list = model_words_list(c, &w);
    return DECODED_CALL;
}

static enum decoded
quota_decode(struct calls *c, const struct record *invoke,
             const struct record *end, struct call *ret, struct error *err)
{
    static const struct function_alias aliases[] = {
        {"create-bucket", QUOTA_CREATE}, {"create", QUOTA_CREATE}, {NULL, 0}};
    struct model_words w = {0};
    int64_t slot = -1, told = -1;

    if (strcmp(invoke->function, "tick") == 0) {
        return DECODED_DROP;
    }
    if (!model_named_function(c, invoke, aliases, &ret->function)) {
        return model_unknown_function(c, invoke, err);
    }
    if (ret->function == QUOTA_GET) {
        return quota_decode_get(c, invoke, end, ret, err);
    }
    bool create = ret->function == QUOTA_CREATE;
    ret->key = model_field(c, invoke->value, "bucket");
    int64_t amount =
        quota_field(invoke->value, create ? "limit" : "amount", -1);
    int64_t initial = quota_field(invoke->value, "initial", -1);
    if (ret->key == VALUE_ABSENT || amount < 0 || (create && initial < 0)) {
        return model_bad_value(
            c, invoke,
            "its value is no {bucket, amount} or {bucket, limit, "
            "initial, refill_per_slot}",
            err);
    }
    if (model_ended(end) == ENDED_OK) {
        ret->result = model_code(end->value, quota_codes);
        slot = quota_field(end->value, "slot", -1);
        told = quota_field(end->value, "balance", -1);
    }
    model_words_add64(&w, slot);
    model_words_add64(&w, amount);
    model_words_add64(&w, create ? initial : told);
    if (create) {
        model_words_add64(&w,
                          quota_field(invoke->value, "refill_per_slot",
                                      quota_field(invoke->value, "refill", 0)));
    }
    ret->list = model_words_list(c, &w);
    return model_plain_end(end);
}

static void
quota_init(const struct calls *c, uint32_t key, struct model_state *out)
{
    (void)c;
    (void)key;
    quota_write(out, &(struct quota){0});
}

static int64_t
quota_number(const struct calls *c, uint32_t call, uint32_t at)
{
    return model_get64(call_list(c, call) + at);
}

static int64_t
quota_refilled(const struct quota *q, int64_t from, int64_t slots)
{
    int64_t more, sum;

    if (__builtin_mul_overflow(slots, q->refill, &more) ||
        __builtin_add_overflow(from, more, &sum) || sum > q->limit) {
        return q->limit;
    }
    return sum;
}

/* Brings the bounds to a slot that was told; false: it cannot be. */
static bool
quota_advance(struct quota *q, int64_t slot)
{
    if (slot < q->since) {
        return false;
    }
    int64_t slots = slot - q->since;
    int64_t low =
        quota_refilled(q, q->low, (q->flags & QUOTA_LATE) != 0 ? 0 : slots);
    q->low = low > q->debt ? low - q->debt : 0;
    q->high = quota_refilled(q, q->high, slots);
    q->debt = 0;
    q->since = slot;
    q->flags &= ~QUOTA_LATE;
    return q->high >= 0;
}

static bool
quota_create(const struct calls *c, uint32_t call, struct quota *q)
{
    bool open = c->complete[call] == CALL_OPEN;
    bool late = open || quota_number(c, call, QUOTA_SLOT) < 0;
    int64_t initial = quota_number(c, call, QUOTA_INITIAL);

    if ((q->flags & QUOTA_THERE) != 0) {
        return open || c->result[call] == QUOTA_EXISTS;
    }
    *q = (struct quota){
        .flags = QUOTA_THERE | (late ? QUOTA_LATE : 0),
        .limit = quota_number(c, call, QUOTA_LIMIT),
        .refill = quota_number(c, call, QUOTA_REFILL),
        .since = q->since,
        .low = initial,
        .high = initial,
    };
    return open || c->result[call] == QUOTA_OK;
}

/* In an unknown slot: taken from the upper bound now, from the lower later. */
static bool
quota_debit_some_time(struct quota *q, int64_t amount, bool refused)
{
    if (refused) {
        int64_t low = q->low < q->limit ? q->low : q->limit;
        return low - q->debt < amount;
    }
    if (amount > q->limit || q->debt > INT64_MAX - amount ||
        q->high < INT64_MIN + amount) {
        return false;
    }
    q->high -= amount;
    q->debt += amount;
    return true;
}

/* The balance after the debit, or the one that was not enough; false: nobody
 * told. */
static bool
quota_told(const struct calls *c, uint32_t call, int64_t *ret)
{
    *ret = call_list_count(c, call) > QUOTA_BALANCE
               ? quota_number(c, call, QUOTA_BALANCE)
               : -1;
    return *ret >= 0;
}

/* In a known slot; 'balance' is told. */
static bool
quota_debit_told(struct quota *q, int64_t amount, int64_t balance, bool refused)
{
    int64_t before = refused ? balance : balance + amount;

    if (balance > INT64_MAX - amount || before < q->low || before > q->high ||
        (refused && balance >= amount)) {
        return false;
    }
    q->low = q->high = balance;
    return true;
}

static bool
quota_debit(const struct calls *c, uint32_t call, struct quota *q)
{
    bool open = c->complete[call] == CALL_OPEN;
    int64_t amount = quota_number(c, call, QUOTA_AMOUNT);
    uint32_t code = c->result[call];
    bool refused = !open && code == QUOTA_SHORT;

    if ((q->flags & QUOTA_THERE) == 0) {
        return open || code == QUOTA_NO_BUCKET;
    }
    if (!open && code != QUOTA_OK && !refused) {
        return false;
    }
    if (quota_number(c, call, QUOTA_SLOT) < 0) {
        return quota_debit_some_time(q, amount, refused) || open;
    }
    int64_t told;
    if (quota_told(c, call, &told)) {
        return quota_debit_told(q, amount, told, refused);
    }
    if (refused) {
        q->high = q->high < amount - 1 ? q->high : amount - 1;
        return q->low < amount;
    }
    q->low = q->low > amount ? q->low - amount : 0;
    q->high -= amount;
    return q->high >= 0;
}

/* Changes nothing: what a read tells is not kept. */
static bool
quota_get(const struct calls *c, uint32_t call, struct quota q)
{
    int64_t slot = quota_number(c, call, QUOTA_SLOT);
    int64_t since = quota_number(c, call, QUOTA_SINCE);
    struct quota shown = {.limit = quota_number(c, call, QUOTA_LIMIT),
                          .refill = quota_number(c, call, QUOTA_REFILL)};

    if (c->result[call] == 0 || (q.flags & QUOTA_THERE) == 0) {
        return c->result[call] == 0 && (q.flags & QUOTA_THERE) == 0;
    }
    if (slot < 0 || since < 0 || since > slot || shown.limit != q.limit ||
        shown.refill != q.refill) {
        return slot < 0;
    }
    int64_t balance = quota_refilled(
        &shown, quota_number(c, call, QUOTA_BALANCE), slot - since);
    return quota_advance(&q, slot) && balance >= q.low && balance <= q.high;
}

static bool
quota_step(const struct calls *c, uint32_t call, const struct model_state *in,
           struct model_state *out)
{
    struct quota q = quota_read(in);
    int64_t slot = quota_number(c, call, QUOTA_SLOT);
    bool legal = true;

    if (c->function[call] == QUOTA_GET) {
        quota_write(out, &q);
        return quota_get(c, call, q);
    }

    if (slot >= 0 && !quota_advance(&q, slot)) {
        return false;
    }
    /* Other codes (a full table) change nothing and tell nothing. */
    if (c->complete[call] == CALL_OPEN || c->result[call] <= QUOTA_SHORT) {
        legal = c->function[call] == QUOTA_CREATE ? quota_create(c, call, &q)
                                                  : quota_debit(c, call, &q);
    }
    quota_write(out, &q);
    return legal;
}

static bool
quota_pure(const struct calls *c, uint32_t call)
{
    return c->function[call] == QUOTA_GET;
}

/* A debit that was not made leaves more for the others; it matters to who was
 * refused, or saw a balance. */
static void
quota_stake(const struct calls *c, uint32_t call, struct model_stake *ret)
{
    bool definite = c->complete[call] != CALL_OPEN;
    int64_t told;

    ret->founds = c->function[call] == QUOTA_CREATE;
    ret->idle = c->function[call] == QUOTA_GET ||
                (definite && c->result[call] != QUOTA_OK);
    ret->needs_all = c->function[call] == QUOTA_GET ||
                     (c->function[call] == QUOTA_DEBIT &&
                      ((definite && c->result[call] == QUOTA_SHORT) ||
                       quota_told(c, call, &told)));
}

static void
quota_describe_get(const struct calls *c, uint32_t call, struct buf *out)
{
    buf_puts(out, "get bucket");
    model_words_key(c, call, out);
    if (c->result[call] == 0) {
        buf_puts(out, ": not there");
        return;
    }
    buf_printf(
        out, ": %" PRId64 " stored in slot %" PRId64 ", in slot %" PRId64,
        quota_number(c, call, QUOTA_BALANCE),
        quota_number(c, call, QUOTA_SINCE), quota_number(c, call, QUOTA_SLOT));
}

static void
quota_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    if (c->function[call] == QUOTA_GET) {
        quota_describe_get(c, call, out);
        return;
    }
    bool create = c->function[call] == QUOTA_CREATE;
    int64_t slot = quota_number(c, call, QUOTA_SLOT);
    uint32_t code = c->result[call];

    if (create) {
        buf_puts(out, "create bucket");
        model_words_key(c, call, out);
        buf_printf(out, " with %" PRId64 " of %" PRId64 ", %" PRId64 " a slot",
                   quota_number(c, call, QUOTA_INITIAL),
                   quota_number(c, call, QUOTA_LIMIT),
                   quota_number(c, call, QUOTA_REFILL));
    } else {
        buf_printf(out, "debit %" PRId64 " from",
                   quota_number(c, call, QUOTA_AMOUNT));
        model_words_key(c, call, out);
    }
    if (c->complete[call] == CALL_OPEN) {
        buf_puts(out, " (unknown)");
        return;
    }
    buf_printf(out, ": %s",
               code <= QUOTA_SHORT ? quota_codes[code] : "refused");
    if (slot >= 0) {
        buf_printf(out, " in slot %" PRId64, slot);
    }
}

static void
quota_describe_state(const struct calls *c, const struct model_state *s,
                     struct buf *out)
{
    struct quota q = quota_read(s);

    (void)c;
    if ((q.flags & QUOTA_THERE) == 0) {
        buf_puts(out, "there is no such bucket");
        return;
    }
    buf_printf(out, "the bucket holds %" PRId64, q.high);
    if (q.low - q.debt < q.high) {
        buf_puts(out, " at most");
    }
    buf_printf(out, " in slot %" PRId64, q.since);
}

static const char *const quota_functions[] = {[QUOTA_CREATE] = "create_bucket",
                                              [QUOTA_DEBIT] = "debit",
                                              [QUOTA_GET] = "get_bucket",
                                              NULL};

const struct model_ops model_quota = {
    .name = "quota",
    .description = "buckets that refill with a logical clock and are debited",
    .functions = quota_functions,
    .forgets = true,
    .decode = quota_decode,
    .init = quota_init,
    .step = quota_step,
    .pure = quota_pure,
    .stake = quota_stake,
    .describe = quota_describe,
    .describe_state = quota_describe_state,
};
