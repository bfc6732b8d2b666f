/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease kernel's model against a specification of its own: every lease,
 * ended ones too, with its true id, executed in every order, an id whose answer
 * was lost being tried with every value that the history names.  And the
 * general engines find what brute force finds.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/models/lease-kernel.h"
#include "analyzer/models/registry.h"
#include "harness/base/rng.h"
#include "tests/lib/engines-agree.h"

#define TRIALS_DEFAULT 8000
#define OPS_MAX 8
#define LEASES_MAX 10

/* ---- the specification ---- */

enum spec_state { SPEC_RESERVED, SPEC_ACTIVE, SPEC_REVOKING, SPEC_ENDED };

struct spec_lease {
    int id; /* times ten: there is room between two */
    int holder, epoch;
    enum spec_state state;
    unsigned resources;
};

struct spec {
    struct spec_lease leases[LEASES_MAX];
    int count, max;
};

struct op {
    enum kernel_function function;
    unsigned resources; /* reserve; of a get one bit */
    int holder, lease, epoch;
    bool open;
    int invoke, complete;
    /* the answer */
    enum kernel_code code;
    enum kernel_state state;
    int told_lease, told_epoch; /* 0: none */
};

static struct spec_lease *
spec_holding(struct spec *s, unsigned resources)
{
    for (int i = 0; i < s->count; i++) {
        if (s->leases[i].state != SPEC_ENDED &&
            (s->leases[i].resources & resources) != 0) {
            return &s->leases[i];
        }
    }
    return NULL;
}

static struct spec_lease *
spec_lease(struct spec *s, int id)
{
    for (int i = 0; i < s->count; i++) {
        if (s->leases[i].id == id) {
            return &s->leases[i];
        }
    }
    return NULL;
}

static enum kernel_code
spec_code(const struct spec_lease *l, const struct op *o)
{
    bool owned =
        o->function == KERNEL_ACTIVATE || o->function == KERNEL_RELEASE;

    if (l == NULL) {
        return KERNEL_NOT_FOUND;
    }
    if (owned && l->holder != o->holder) {
        return KERNEL_HOLDER_MISMATCH;
    }
    if (owned && l->epoch != o->epoch) {
        return KERNEL_STALE_EPOCH;
    }
    if (o->function == KERNEL_EXPIRE) {
        return l->state == SPEC_RESERVED ? KERNEL_OK : KERNEL_NOOP;
    }
    if (l->state == SPEC_ENDED) {
        return KERNEL_RETIRED;
    }
    bool good = o->function == KERNEL_ACTIVATE  ? l->state == SPEC_RESERVED
                : o->function == KERNEL_RELEASE ? l->state != SPEC_REVOKING
                : o->function == KERNEL_REVOKE  ? l->state == SPEC_ACTIVE
                                                : l->state == SPEC_REVOKING;
    return good ? KERNEL_OK : KERNEL_INVALID_STATE;
}

/* Executes; a grant gets 'id'. */
static void
spec_apply(struct spec *s, struct op *o, int id)
{
    struct spec_lease *l;

    o->told_lease = o->told_epoch = 0;
    if (o->function == KERNEL_RESERVE) {
        o->code =
            spec_holding(s, o->resources) != NULL ? KERNEL_BUSY : KERNEL_OK;
        if (o->code == KERNEL_OK) {
            s->leases[s->count++] = (struct spec_lease){
                id, o->holder, 1, SPEC_RESERVED, o->resources};
            s->max = id;
            o->told_lease = id;
            o->told_epoch = 1;
        }
        return;
    }
    if (o->function == KERNEL_GET) {
        l = spec_holding(s, o->resources);
        o->state = l == NULL ? KERNEL_AVAILABLE
                             : (enum kernel_state)(KERNEL_RESERVED + l->state);
        o->told_lease = l == NULL ? 0 : l->id;
        return;
    }
    l = spec_lease(s, o->lease);
    o->code = spec_code(l, o);
    if (o->code != KERNEL_OK) {
        return;
    }
    l->epoch += o->function == KERNEL_REVOKE || o->function == KERNEL_RELEASE ||
                o->function == KERNEL_EXPIRE;
    l->state = o->function == KERNEL_ACTIVATE ? SPEC_ACTIVE
               : o->function == KERNEL_REVOKE ? SPEC_REVOKING
                                              : SPEC_ENDED;
    o->told_epoch = l->epoch;
}

/* ---- every order ---- */

struct trial {
    struct op ops[OPS_MAX];
    int count, ranks;
    int shown[OPS_MAX], shown_count; /* leases that only gets name */
    /* An effect on a lease that nothing names, or a refusal of one that only
     * gets name: the model lets it be. */
    bool weak;
};

static bool
trial_shown(const struct trial *t, int lease)
{
    for (int i = 0; i < t->shown_count; i++) {
        if (t->shown[i] == lease) {
            return true;
        }
    }
    return false;
}

static bool
trial_granted(const struct trial *t, int lease)
{
    for (int i = 0; i < t->count; i++) {
        if (t->ops[i].function == KERNEL_RESERVE && !t->ops[i].open &&
            t->ops[i].told_lease == lease && lease != 0) {
            return true;
        }
    }
    return false;
}

static void
trial_prepare(struct trial *t)
{
    t->shown_count = 0;
    t->weak = false;
    for (int i = 0; i < t->count; i++) {
        const struct op *o = &t->ops[i];
        if (o->function == KERNEL_GET && o->told_lease != 0 &&
            !trial_granted(t, o->told_lease)) {
            t->shown[t->shown_count++] = o->told_lease;
        }
    }
    for (int i = 0; i < t->count; i++) {
        const struct op *o = &t->ops[i];
        bool effect = o->open || o->code == KERNEL_OK;
        t->weak |= o->function != KERNEL_RESERVE && o->function != KERNEL_GET &&
                   !trial_granted(t, o->lease) &&
                   effect != trial_shown(t, o->lease);
    }
}

/* Whether 'was', which is what happened in this order, may be told as 'o'. */
static bool
trial_agrees(const struct trial *t, const struct spec *before,
             const struct op *o, const struct op *was)
{
    if (o->open) {
        return true;
    }
    if (o->function == KERNEL_GET) {
        return o->state == was->state &&
               (o->told_lease == 0 || o->told_lease == was->told_lease);
    }
    if (o->function == KERNEL_RESERVE) {
        return o->code == was->code;
    }
    struct spec copy = *before;
    const struct spec_lease *l = spec_lease(&copy, o->lease);
    bool live = l != NULL && l->state != SPEC_ENDED;
    if (o->code != KERNEL_OK && was->code != KERNEL_OK) {
        /* What the model leaves open on purpose. */
        if (!live &&
            (o->code == KERNEL_NOT_FOUND || !trial_granted(t, o->lease))) {
            return true;
        }
        if (!live &&
            (was->code == KERNEL_RETIRED || was->code == KERNEL_NOOP)) {
            return o->code == KERNEL_RETIRED ||
                   o->code == KERNEL_INVALID_STATE ||
                   (o->code == KERNEL_NOOP && o->function == KERNEL_EXPIRE);
        }
        if (was->code == KERNEL_NOOP && o->code == KERNEL_INVALID_STATE) {
            return true;
        }
    }
    return o->code == was->code &&
           (o->code != KERNEL_OK || o->told_epoch == 0 ||
            o->told_epoch == was->told_epoch);
}

static bool trial_explained(const struct trial *t, unsigned placed,
                            const struct spec *s);

static bool
trial_try(const struct trial *t, unsigned placed, const struct spec *s, int i,
          int id)
{
    struct spec next = *s;
    struct op was = t->ops[i];

    spec_apply(&next, &was, id);
    return trial_agrees(t, s, &t->ops[i], &was) &&
           trial_explained(t, placed | 1u << i, &next);
}

static bool
trial_explained(const struct trial *t, unsigned placed, const struct spec *s)
{
    bool done = true;
    int deadline = INT32_MAX;

    for (int i = 0; i < t->count; i++) {
        if ((placed >> i & 1) == 0 && !t->ops[i].open) {
            done = false;
            deadline =
                t->ops[i].complete < deadline ? t->ops[i].complete : deadline;
        }
    }
    if (done) {
        return true;
    }
    for (int i = 0; i < t->count; i++) {
        const struct op *o = &t->ops[i];

        if ((placed >> i & 1) != 0 || o->invoke > deadline) {
            continue;
        }
        if (o->function == KERNEL_RESERVE && !o->open && o->told_lease != 0) {
            if (o->told_lease > s->max &&
                trial_try(t, placed, s, i, o->told_lease)) {
                return true;
            }
            continue;
        }
        if (trial_try(t, placed, s, i, s->max + 1)) {
            return true;
        }
        for (int k = 0; o->function == KERNEL_RESERVE && k < t->shown_count;
             k++) {
            if (t->shown[k] > s->max &&
                trial_try(t, placed, s, i, t->shown[k])) {
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
trial_draw(struct rng *r, const int *known, int known_count)
{
    struct op o = {.holder = 1 + below(r, 2), .epoch = 1 + below(r, 2)};

    o.function = (enum kernel_function)below(r, KERNEL_GET + 1);
    if (known_count == 0 || below(r, 3) == 0) {
        o.function = below(r, 3) == 0 ? KERNEL_GET : KERNEL_RESERVE;
    }
    if (o.function == KERNEL_RESERVE) {
        o.resources = 1 + (unsigned)below(r, 7);
    } else if (o.function == KERNEL_GET) {
        o.resources = 1u << below(r, 3);
    } else {
        o.lease = known[below(r, known_count)];
    }
    return o;
}

struct trial_client {
    int op; /* -1: idle */
    bool effective;
};

/* Clients play the specification; what they hear becomes known. */
static void
trial_play(struct trial *t, struct rng *r)
{
    struct spec s = {0};
    struct trial_client clients[3] = {{-1, false}, {-1, false}, {-1, false}};
    int known[OPS_MAX * 2], known_count = 0, count = 3 + below(r, OPS_MAX - 3);

    *t = (struct trial){0};
    for (int turns = 0; turns < 200; turns++) {
        struct trial_client *c = &clients[below(r, 3)];
        struct op *o = c->op < 0 ? NULL : &t->ops[c->op];

        if (o == NULL) {
            if (t->count < count) {
                c->op = t->count;
                t->ops[t->count] = trial_draw(r, known, known_count);
                t->ops[t->count].open = true;
                t->ops[t->count++].invoke = t->ranks++;
                c->effective = false;
            }
        } else if (below(r, 12) == 0) {
            c->op = -1; /* crashes */
        } else if (!c->effective) {
            spec_apply(&s, o, s.max + 10 * (1 + below(r, 2)));
            c->effective = true;
        } else {
            o->open = false;
            o->complete = t->ranks++;
            if (o->told_lease != 0) {
                known[known_count++] = o->told_lease;
            }
            c->op = -1;
        }
    }
    for (int i = 0; i < t->count; i++) {
        if (t->ops[i].open) {
            t->ops[i].told_lease = t->ops[i].told_epoch = 0;
        }
    }
}

static void
trial_corrupt(struct trial *t, struct rng *r)
{
    struct op *o = &t->ops[below(r, t->count)];
    const struct op *other = &t->ops[below(r, t->count)];

    if (o->open) {
        return;
    }
    switch (below(r, 4)) {
    case 0:
        o->told_lease = other->open ? 0 : other->told_lease;
        break;
    case 1:
        o->code = (enum kernel_code)below(r, KERNEL_NOOP + 1);
        break;
    case 2:
        o->state = (enum kernel_state)below(r, KERNEL_REVOKING + 1);
        break;
    default:
        o->told_epoch = 1 + below(r, 3);
    }
    if (o->function == KERNEL_RESERVE && o->code != KERNEL_OK) {
        o->code = KERNEL_BUSY;
    }
    if (o->function != KERNEL_RESERVE && o->code == KERNEL_BUSY) {
        o->code = KERNEL_NOOP;
    }
    if (o->function == KERNEL_GET && o->state == KERNEL_AVAILABLE) {
        o->told_lease = 0;
    }
    if (o->function == KERNEL_RESERVE) {
        o->told_epoch = o->code == KERNEL_OK;
        if (o->code != KERNEL_OK) {
            o->told_lease = 0;
        }
    }
}

/* ---- as calls ---- */

static uint32_t
number(int n)
{
    return n == 0 ? VALUE_ABSENT : (uint32_t)n;
}

static void
trial_call(struct calls *c, const struct op *o)
{
    uint32_t words[20], count = KERNEL_COMMON_WORDS;
    uint32_t i = calls_append(c, (uint8_t)o->function, 0, (uint32_t)o->invoke,
                              o->open ? CALL_OPEN : (uint32_t)o->complete);

    model_put64(words + KERNEL_SLOT, -1);
    model_put64(words + KERNEL_UPPER, -1);
    if (o->function == KERNEL_GET) {
        words[count++] = KERNEL_NEVER_SEEN;
        c->list[i] = calls_list(c, words, count);
        c->a[i] = o->resources;
        c->b[i] = number(o->told_lease);
        c->result[i] = o->state;
        return;
    }
    c->a[i] = (uint32_t)o->holder;
    c->result[i] = o->open ? VALUE_ABSENT : o->code;
    if (o->function == KERNEL_RESERVE) {
        c->b[i] = number(o->told_lease);
        words[count++] = number(o->told_epoch);
        words[count++] = 0;
        model_put64(words + KERNEL_RESERVE_DEADLINE, -1);
        model_put64(words + KERNEL_RESERVE_TTL, -1);
        count = KERNEL_RESERVE_RESOURCES;
        for (uint32_t bit = 1; bit < 8; bit *= 2) {
            if ((o->resources & bit) != 0) {
                words[count++] = bit;
            }
        }
    } else {
        c->b[i] = number(o->lease);
        words[count++] = (uint32_t)o->epoch;
        words[count++] = number(o->code == KERNEL_OK ? o->told_epoch : 0);
        words[count++] = KERNEL_NEVER_SEEN;
        words[count++] = VALUE_ABSENT;
    }
    c->list[i] = calls_list(c, words, count);
}

static enum verdict
decide(const struct engine_ops *e, const struct calls *c)
{
    struct problem p = {c, NULL, c->count, VALUE_ABSENT};
    struct budget budget = {.clock = clock_monotonic(),
                            .deadline_ns = INT64_MAX,
                            .memory_bytes = SIZE_MAX};
    struct decision d;

    engine_decide(e, &p, &budget, &d);
    enum verdict verdict = d.verdict;
    decision_release(&d);
    return verdict;
}

/* By the model, and by the look at the order of leases alone. */
static enum verdict
trial_model(const struct trial *t, enum verdict *ret_order)
{
    struct calls *c = calls_new_raw(&model_lease_kernel);

    for (int i = 0; i < t->count; i++) {
        /* A get without an answer is left out. */
        if (t->ops[i].function != KERNEL_GET || !t->ops[i].open) {
            trial_call(c, &t->ops[i]);
        }
    }
    c->model->prepare(c);
    struct problem p = {c, NULL, c->count, VALUE_ABSENT};
    enum verdict verdict = engines_agree(&p);
    *ret_order = decide(&engine_lease_kernel, c);
    calls_free(c);
    return verdict;
}

static void
trial_print(const struct trial *t)
{
    static const char *const names[] = {
        "reserve", "activate", "release", "revoke", "reclaim", "expire", "get"};
    for (int i = 0; i < t->count; i++) {
        const struct op *o = &t->ops[i];
        printf("# %d..%d%s %s res %x holder %d lease %d epoch %d: code %d "
               "state %d lease %d epoch %d\n",
               o->invoke, o->complete, o->open ? " open" : "",
               names[o->function], o->resources, o->holder, o->lease, o->epoch,
               (int)o->code, (int)o->state, o->told_lease, o->told_epoch);
    }
}

static void
compare(uint64_t seed_from, bool corrupt)
{
    uint64_t count = agree_trials(TRIALS_DEFAULT);
    uint64_t invalid = 0, weak = 0, orders = 0;

    for (uint64_t seed = seed_from; seed < seed_from + count; seed++) {
        struct trial t;
        struct rng r;

        rng_init(&r, seed);
        trial_play(&t, &r);
        if (corrupt) {
            trial_corrupt(&t, &r);
        }
        trial_prepare(&t);
        bool explained = trial_explained(&t, 0, &(struct spec){0});
        enum verdict order, v = trial_model(&t, &order);
        bool same = v == (explained ? VERDICT_VALID : VERDICT_INVALID);
        if (t.weak && !same) {
            /* Weaker, never wrong. */
            same = v == VERDICT_VALID;
            weak++;
        }
        invalid += v == VERDICT_INVALID;
        if (!same || (!corrupt && !explained)) {
            printf("# seed %" PRIu64 ": model %s, specification %s\n", seed,
                   verdict_name(v), explained ? "valid" : "invalid");
            trial_print(&t);
        }
        CHECK(same && (corrupt || explained));
        CHECK(order != VERDICT_VALID);
        CHECK(order != VERDICT_INVALID || !explained);
        orders += order == VERDICT_INVALID;
    }
    agree_report("lease-kernel", count - invalid, invalid);
    printf("# %" PRIu64 " invalid by their leases, %" PRIu64 " weaker\n",
           orders, weak);
    CHECK(!corrupt || orders >= count / 200);
    CHECK(!corrupt || invalid >= count / 20);
}

static void
test_played_histories_are_valid(void)
{
    compare(0, false);
}

static void
test_corrupted_histories_are_judged_alike(void)
{
    compare(UINT64_C(1) << 32, true);
}

int
main(void)
{
    RUN(test_played_histories_are_valid);
    RUN(test_corrupted_histories_are_judged_alike);
    return tap_done();
}
