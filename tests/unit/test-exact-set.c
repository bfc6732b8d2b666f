/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact sets, locks and leases against brute force.
 */
#include "config.h"

#include "analyzer/models/decode.h"
#include "analyzer/models/functions.h"
#include "harness/base/arena.h"
#include "tests/lib/exact-trial.h"

/* Elements 1 and 2; every call says what it changed. */
static void
set_fill(struct calls *c, struct rng *rng)
{
    uint32_t elements = 1 + (uint32_t)rng_below(rng, 2);

    for (uint32_t i = 0; i < c->count; i++) {
        c->function[i] = (uint8_t)rng_below(rng, 3);
        c->a[i] = 1 + (uint32_t)rng_below(rng, elements);
        if (c->complete[i] != CALL_OPEN) {
            c->result[i] =
                c->function[i] == SET_CONTAINS || rng_below(rng, 4) == 0
                    ? (uint32_t)rng_below(rng, 2)
                    : 1;
        }
    }
}

static void
test_set_agrees_with_brute_force(void)
{
    struct trial t = {
        .model = model_find("set"), .engine = &engine_set, .fill = set_fill};

    CHECK(trial_run(&t, 60000));
}

/* Some say nothing; some elements are only added or only removed. */
static void
set_fill_blind(struct calls *c, struct rng *rng)
{
    uint32_t only = (uint32_t)rng_below(rng, 3);

    set_fill(c, rng);
    for (uint32_t i = 0; i < c->count; i++) {
        if (only < 2 && c->function[i] != SET_CONTAINS) {
            c->function[i] = (uint8_t)only;
        }
        if (c->function[i] != SET_CONTAINS && rng_below(rng, 3) > 0) {
            c->result[i] = VALUE_ABSENT;
        }
    }
}

static void
test_set_agrees_on_blind_calls(void)
{
    struct trial t = {.model = model_find("set"),
                      .engine = &engine_set,
                      .fill = set_fill_blind,
                      .unknown_max_percent = 40};

    CHECK(trial_run(&t, 60000));
}

/* Adds and reads of everything. */
static void
set_fill_reads(struct calls *c, struct rng *rng)
{
    uint32_t added = 0, list[TRIAL_CALLS_MAX];

    for (uint32_t i = 0; i < c->count; i++) {
        c->function[i] = rng_below(rng, 5) < 3 ? SET_ADD : SET_READ;
        if (c->function[i] == SET_ADD) {
            c->a[i] = ++added;
            c->result[i] = VALUE_ABSENT;
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == SET_READ) {
            uint32_t count = 0;
            uint32_t most = (uint32_t)rng_below(rng, added + 1);
            for (uint32_t k = 1; k <= most; k++) {
                if (rng_below(rng, 8) > 0) {
                    list[count++] = k;
                }
            }
            c->list[i] = calls_list(c, list, count);
        }
    }
}

static void
test_set_agrees_on_reads(void)
{
    struct trial t = {.model = model_find("set"),
                      .engine = &engine_set,
                      .fill = set_fill_reads};

    CHECK(trial_run(&t, 60000));
}

static void
mutex_fill(struct calls *c, struct rng *rng)
{
    for (uint32_t i = 0; i < c->count; i++) {
        c->function[i] = (uint8_t)rng_below(rng, 2);
    }
}

static void
test_mutex_agrees_without_owners(void)
{
    struct trial t = {.model = model_find("mutex"),
                      .engine = &engine_lock,
                      .fill = mutex_fill};

    CHECK(trial_run(&t, 60000));
}

/* Owners take turns of acquiring and releasing, one call after the other. */
static void
owner_fill(struct calls *c, struct rng *rng)
{
    uint32_t owners[TRIAL_CALLS_MAX] = {0}, last[TRIAL_CALLS_MAX], count = 0;
    uint32_t token = 5;

    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t o = 0;
        while (o < count && (c->complete[last[o]] >= c->invoke[i] ||
                             rng_below(rng, 3) == 0)) {
            o++;
        }
        count = o == count ? count + 1 : count;
        c->a[i] = 100 + o;
        c->function[i] = owners[o]++ % 2 == 0 ? LOCK_ACQUIRE : LOCK_RELEASE;
        last[o] = i;
        if (c->function[i] == LOCK_ACQUIRE && c->complete[i] != CALL_OPEN) {
            c->result[i] = rng_below(rng, 4) == 0 ? token - 1 : ++token;
            token += (uint32_t)rng_below(rng, 2);
        }
    }
}

static void
test_mutex_agrees_with_owners(void)
{
    struct trial t = {.model = model_find("mutex"),
                      .engine = &engine_lock,
                      .fill = owner_fill};

    CHECK(trial_run(&t, 60000));
}

static void
test_fenced_lock_agrees(void)
{
    struct trial t = {.model = model_find("fenced-lock"),
                      .engine = &engine_lock,
                      .fill = owner_fill};

    CHECK(trial_run(&t, 60000));
}

/* Owners acquire, renew, release and acquire again, one call after the other;
 * loans of all lengths, and clocks that tell nothing of the order. */
static void
lease_fill(struct calls *c, struct rng *rng)
{
    uint32_t last[TRIAL_CALLS_MAX], count = 0;
    bool holds[TRIAL_CALLS_MAX] = {false};
    bool clock = rng_below(rng, 2) == 0, ttl = rng_below(rng, 3) > 0;

    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t o = 0, words[LEASE_CALL_WORDS];
        while (o < count && (c->complete[last[o]] >= c->invoke[i] ||
                             rng_below(rng, 3) == 0)) {
            o++;
        }
        count = o == count ? count + 1 : count;
        last[o] = i;
        c->a[i] = 100 + o;
        c->function[i] = !holds[o] || rng_below(rng, 8) == 0
                             ? LEASE_ACQUIRE
                             : (uint8_t)(LEASE_RELEASE + rng_below(rng, 2));
        holds[o] = c->function[i] != LEASE_RELEASE;
        uint32_t end =
            clock ? c->complete[i] : (uint32_t)rng_below(rng, c->rank_count);
        int64_t until = (int64_t)c->invoke[i] + (int64_t)rng_below(rng, 10) - 2;
        if (!ttl || rng_below(rng, 5) == 0) {
            until = c->function[i] == LEASE_RENEW ? LEASE_UNTIL_SAME
                                                  : LEASE_UNTIL_NEVER;
        }
        model_put64(words + LEASE_CALL_END,
                    c->complete[i] == CALL_OPEN ? INT64_MAX : end);
        model_put64(words + LEASE_CALL_UNTIL,
                    c->function[i] == LEASE_RELEASE ? 0 : until);
        c->list[i] = calls_list(c, words, LEASE_CALL_WORDS);
    }
}

static void
test_lease_agrees(void)
{
    struct trial t = {.model = model_find("lease"),
                      .engine = &engine_lease,
                      .fill = lease_fill,
                      .unknown_max_percent = 40};

    CHECK(trial_run(&t, 60000));
}

/* So many at once are left to other engines, not compared pair by pair. */
static void
test_lease_crowd(void)
{
    struct calls *c = calls_new_raw(model_find("lease"));
    uint32_t words[LEASE_CALL_WORDS] = {0}, count = 3000;
    struct budget b = agree_budget();
    struct decision d;

    model_put64(words + LEASE_CALL_UNTIL, LEASE_UNTIL_NEVER);
    for (uint32_t i = 0; i < count; i++) {
        calls_append(c, LEASE_ACQUIRE, i, i, 2 * count - i);
        c->a[i] = i;
        c->list[i] = calls_list(c, words, LEASE_CALL_WORDS);
    }
    struct problem p = {.calls = c, .count = count, .key = VALUE_ABSENT};
    engine_decide(&engine_lease, &p, &b, &d);
    CHECK_INT(d.verdict, VERDICT_UNKNOWN);
    CHECK_INT(b.used_bytes, 0);
    decision_release(&d);
    calls_free(c);
}

int
main(void)
{
    RUN(test_set_agrees_with_brute_force);
    RUN(test_set_agrees_on_blind_calls);
    RUN(test_set_agrees_on_reads);
    RUN(test_mutex_agrees_without_owners);
    RUN(test_mutex_agrees_with_owners);
    RUN(test_fenced_lock_agrees);
    RUN(test_lease_agrees);
    RUN(test_lease_crowd);
    return tap_done();
}
