/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models of quota and pool against the engines' rules, executed in every
 * order and, where nobody told the slot, in every slot.  The models keep bounds
 * in place of slots: they may be weaker, but must accept all that the rules
 * explain; where every slot is told and nothing is open they must agree.  And
 * the general engines find what brute force finds.
 */
#include "config.h"

#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"
#include "harness/base/rng.h"
#include "tests/lib/engines-agree.h"

#define TRIALS_DEFAULT 4000
#define OPS_MAX 6
#define SLOT_MAX 5
#define NAMES 3

/* ---- the rules ---- */

struct op {
    int function;
    int pool, hold; /* pool: the bucket of a quota */
    int quantity, deadline;
    int limit, refill;
    bool open;
    int invoke, complete;
    int code, slot; /* slot -1: not told */
};

struct hold {
    bool there;
    int pool, quantity, deadline, state;
};

struct world {
    int slot;
    struct {
        bool there;
        int total, consumed;            /* pool */
        int limit, balance, refill, at; /* bucket */
    } pools[NAMES];
    struct hold holds[NAMES];
};

enum { F_CREATE, F_PLACE, F_CONFIRM, F_RELEASE, F_EXPIRE };
enum { P_OK, P_EXISTS, P_NO_POOL, P_NO_HOLD, P_INVALID, P_SHORT, P_EXPIRED };
enum { Q_OK, Q_EXISTS, Q_NO_BUCKET, Q_SHORT };
enum { H_HELD, H_CONFIRMED, H_RELEASED, H_EXPIRED };

static int
quota_apply(struct world *w, const struct op *o)
{
    if (o->function == F_CREATE) {
        if (w->pools[o->pool].there) {
            return Q_EXISTS;
        }
        w->pools[o->pool].there = true;
        w->pools[o->pool].limit = o->limit;
        w->pools[o->pool].balance = o->quantity;
        w->pools[o->pool].refill = o->refill;
        w->pools[o->pool].at = w->slot;
        return Q_OK;
    }
    if (!w->pools[o->pool].there) {
        return Q_NO_BUCKET;
    }
    int balance = w->pools[o->pool].balance +
                  (w->slot - w->pools[o->pool].at) * w->pools[o->pool].refill;
    w->pools[o->pool].balance =
        balance < w->pools[o->pool].limit ? balance : w->pools[o->pool].limit;
    w->pools[o->pool].at = w->slot;
    if (w->pools[o->pool].balance < o->quantity) {
        return Q_SHORT;
    }
    w->pools[o->pool].balance -= o->quantity;
    return Q_OK;
}

static int
pool_place(struct world *w, const struct op *o)
{
    int taken = 0;

    if (o->quantity == 0 || o->deadline <= w->slot) {
        return P_INVALID;
    }
    if (!w->pools[o->pool].there) {
        return P_NO_POOL;
    }
    if (w->holds[o->hold].there) {
        return P_EXISTS;
    }
    taken = w->pools[o->pool].consumed;
    for (int i = 0; i < NAMES; i++) {
        if (w->holds[i].there && w->holds[i].pool == o->pool &&
            w->holds[i].state == H_HELD) {
            taken += w->holds[i].quantity;
        }
    }
    if (taken + o->quantity > w->pools[o->pool].total) {
        return P_SHORT;
    }
    w->holds[o->hold] =
        (struct hold){true, o->pool, o->quantity, o->deadline, H_HELD};
    return P_OK;
}

static int
pool_apply(struct world *w, const struct op *o)
{
    for (int i = 0; i < NAMES; i++) {
        if (w->holds[i].there && w->holds[i].state == H_HELD &&
            w->holds[i].deadline < w->slot) {
            w->holds[i].state = H_EXPIRED;
        }
    }
    if (o->function == F_CREATE) {
        if (w->pools[o->pool].there) {
            return P_EXISTS;
        }
        w->pools[o->pool].there = true;
        w->pools[o->pool].total = o->quantity;
        return P_OK;
    }
    if (o->function == F_PLACE) {
        return pool_place(w, o);
    }
    struct hold *h = &w->holds[o->hold];
    if (!h->there) {
        return P_NO_HOLD;
    }
    if (h->state != H_HELD) {
        return o->function == F_CONFIRM && h->state == H_EXPIRED ? P_EXPIRED
                                                                 : P_INVALID;
    }
    if (o->function == F_RELEASE) {
        h->state = H_RELEASED;
        return P_OK;
    }
    bool late = w->slot >= h->deadline;
    if (o->function == F_EXPIRE) {
        h->state = late ? H_EXPIRED : H_HELD;
        return late ? P_OK : P_INVALID;
    }
    h->state = late ? H_EXPIRED : H_CONFIRMED;
    if (!late) {
        w->pools[h->pool].consumed += h->quantity;
    }
    return late ? P_EXPIRED : P_OK;
}

/* ---- every order, every slot ---- */

struct trial {
    bool quota;
    struct op ops[OPS_MAX];
    int count, ranks;
};

static int
apply(const struct trial *t, struct world *w, const struct op *o)
{
    return t->quota ? quota_apply(w, o) : pool_apply(w, o);
}

static bool
explained(const struct trial *t, unsigned placed, const struct world *w)
{
    int deadline = INT32_MAX;

    for (int i = 0; i < t->count; i++) {
        if ((placed >> i & 1) == 0 && !t->ops[i].open &&
            t->ops[i].complete < deadline) {
            deadline = t->ops[i].complete;
        }
    }
    if (deadline == INT32_MAX) {
        return true;
    }
    for (int i = 0; i < t->count; i++) {
        const struct op *o = &t->ops[i];

        if ((placed >> i & 1) != 0 || o->invoke > deadline) {
            continue;
        }
        bool told = !o->open && o->slot >= 0;
        for (int slot = told ? o->slot : w->slot;
             slot <= (told ? o->slot : SLOT_MAX) && slot >= w->slot; slot++) {
            struct world next = *w;
            next.slot = slot;
            int code = apply(t, &next, o);
            if ((o->open || code == o->code) &&
                explained(t, placed | 1u << i, &next)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- random trials ---- */

static int
below(struct rng *r, int bound)
{
    return (int)rng_below(r, (uint64_t)bound);
}

static struct op
draw(const struct trial *t, struct rng *r)
{
    struct op o = {.pool = below(r, 8) == 0,
                   .hold = below(r, NAMES),
                   .open = true,
                   .slot = -1};

    if (t->quota) {
        o.function = below(r, 3) == 0 ? F_CREATE : F_PLACE;
        o.limit = 1 + below(r, 5);
        o.refill = below(r, 3);
        o.quantity =
            o.function == F_CREATE ? below(r, o.limit + 1) : 1 + below(r, 4);
        return o;
    }
    o.function = below(r, 2) == 0 ? F_PLACE : below(r, F_EXPIRE + 1);
    o.quantity = below(r, 4);
    o.deadline = 1 + below(r, SLOT_MAX);
    return o;
}

struct client {
    int op; /* -1: idle */
    bool effective;
};

/* 'told': every slot is told, and nothing stays open. */
static void
play(struct trial *t, struct rng *r, bool told)
{
    struct world w = {0};
    struct client clients[3] = {{-1, false}, {-1, false}, {-1, false}};
    int count = 2 + below(r, OPS_MAX - 1);

    for (int turns = 0; turns < 120; turns++) {
        struct client *c = &clients[below(r, 3)];
        struct op *o = c->op < 0 ? NULL : &t->ops[c->op];

        if (o == NULL) {
            if (t->count < count) {
                c->op = t->count;
                t->ops[t->count] = draw(t, r);
                if (t->count == 0) {
                    t->ops[0].function = F_CREATE;
                }
                if (t->quota && told) {
                    /* Buckets are judged apart, and so are their slots. */
                    t->ops[t->count].pool = 0;
                }
                t->ops[t->count++].invoke = t->ranks++;
                c->effective = false;
            }
        } else if (!told && below(r, 12) == 0) {
            c->op = -1;
        } else if (!c->effective) {
            w.slot += below(r, 3) == 0 && w.slot < SLOT_MAX;
            o->slot = w.slot;
            o->code = apply(t, &w, o);
            c->effective = true;
        } else {
            o->open = false;
            o->complete = t->ranks++;
            if (!told && below(r, 3) == 0) {
                o->slot = -1;
            }
            c->op = -1;
        }
    }
    for (int i = 0; i < t->count; i++) {
        if (t->ops[i].open) {
            t->ops[i].slot = -1;
        }
    }
}

static void
corrupt(struct trial *t, struct rng *r)
{
    struct op *o = &t->ops[below(r, t->count)];

    if (!o->open && below(r, 2) == 0) {
        o->code = below(r, t->quota ? Q_SHORT + 1 : P_EXPIRED + 1);
    } else if (!o->open && o->slot >= 0) {
        o->slot = below(r, SLOT_MAX + 1);
    } else {
        o->quantity = 1 + below(r, 4);
    }
}

/* ---- as calls ---- */

static void
trial_call(struct calls *c, const struct trial *t, const struct op *o)
{
    struct model_words w = {0};
    uint32_t i = calls_append(c, (uint8_t)o->function, 0, (uint32_t)o->invoke,
                              o->open ? CALL_OPEN : (uint32_t)o->complete);
    model_words_add64(&w, o->slot);
    if (t->quota) {
        c->key[i] = (uint32_t)o->pool;
        model_words_add64(&w, o->function == F_CREATE ? o->limit : o->quantity);
        model_words_add64(&w, o->function == F_CREATE ? o->quantity : -1);
        model_words_add64(&w, o->refill);
    } else {
        c->a[i] =
            o->function <= F_PLACE ? 10 + (uint32_t)o->pool : VALUE_ABSENT;
        c->b[i] = o->function != F_CREATE ? (uint32_t)o->hold : VALUE_ABSENT;
        model_words_add64(&w, o->quantity);
        model_words_add64(&w, o->deadline);
    }
    c->list[i] = model_words_list(c, &w);
    c->result[i] = o->open ? VALUE_ABSENT : (uint32_t)o->code;
}

static enum verdict
judge_part(const struct calls *c, const uint32_t *members, uint32_t count,
           uint32_t key)
{
    struct problem p = {c, members, count, key};

    return engines_agree(&p);
}

static enum verdict
judge(const struct trial *t)
{
    struct calls *c = calls_new_raw(t->quota ? &model_quota : &model_pool);
    enum verdict worst = VERDICT_VALID;

    for (int i = 0; i < t->count; i++) {
        trial_call(c, t, &t->ops[i]);
    }
    if (!t->quota) {
        worst = judge_part(c, NULL, c->count, VALUE_ABSENT);
    }
    for (uint32_t key = 0; t->quota && key < 2; key++) {
        uint32_t members[OPS_MAX], count = 0;
        for (uint32_t i = 0; i < c->count; i++) {
            if (c->key[i] == key) {
                members[count++] = i;
            }
        }
        worst = verdict_worst(worst, judge_part(c, members, count, key));
    }
    calls_free(c);
    return worst;
}

static void
print(const struct trial *t)
{
    for (int i = 0; i < t->count; i++) {
        const struct op *o = &t->ops[i];
        printf("# %d..%d%s f%d pool %d hold %d n %d deadline %d limit %d "
               "refill %d: code %d slot %d\n",
               o->invoke, o->complete, o->open ? " open" : "", o->function,
               o->pool, o->hold, o->quantity, o->deadline, o->limit, o->refill,
               o->code, o->slot);
    }
}

static void
compare(bool quota, bool told, bool change)
{
    uint64_t count = agree_trials(TRIALS_DEFAULT), seed = 0;
    uint64_t invalid = 0, weaker = 0, wrong = 0;

    for (; seed < count && wrong == 0; seed++) {
        struct trial t = {.quota = quota};
        struct rng r;

        rng_init(&r, seed);
        play(&t, &r, told);
        if (change) {
            corrupt(&t, &r);
        }
        bool good = explained(&t, 0, &(struct world){0});
        enum verdict v = judge(&t);
        invalid += v == VERDICT_INVALID;
        weaker += v == VERDICT_VALID && !good;
        wrong += (v != VERDICT_VALID && good) || (!change && !good);
        if (wrong > 0) {
            printf("# seed %" PRIu64 ": model %s\n", seed, verdict_name(v));
            print(&t);
        }
    }
    agree_report(quota ? "quota" : "pool", seed - invalid, invalid);
    printf("# of the valid ones the rules forbid %" PRIu64 "\n", weaker);
    CHECK(wrong == 0);
    CHECK(change ? invalid >= count / 20 && weaker <= invalid / (told ? 10 : 2)
                 : invalid == 0);
}

static void
test_quota_played(void)
{
    compare(true, false, false);
    compare(true, true, false);
}

static void
test_quota_changed(void)
{
    compare(true, false, true);
    compare(true, true, true);
}

static void
test_pool_played(void)
{
    compare(false, false, false);
    compare(false, true, false);
}

static void
test_pool_changed(void)
{
    compare(false, false, true);
    compare(false, true, true);
}

int
main(void)
{
    RUN(test_quota_played);
    RUN(test_quota_changed);
    RUN(test_pool_played);
    RUN(test_pool_changed);
    return tap_done();
}
