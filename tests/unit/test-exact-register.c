/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zones of unique-value registers: against brute force, and planted faults
 * in long histories of one key and of many.
 */
#include "config.h"

#include "analyzer/models/functions.h"
#include "tests/lib/exact-trial.h"

/* Values 1, 2, ... are written once each; reads see one of them or the initial
 * nil, mostly. */
static void
register_fill(struct calls *c, struct rng *rng)
{
    uint32_t written = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        if (rng_below(rng, 5) < 2) {
            c->function[i] = REGISTER_WRITE;
            c->a[i] = ++written;
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == REGISTER_WRITE) {
            continue;
        }
        c->function[i] = REGISTER_READ;
        if (c->complete[i] == CALL_OPEN) {
            continue;
        }
        uint64_t drawn = rng_below(rng, written + 1);
        c->result[i] = drawn == 0 ? VALUE_NIL : (uint32_t)drawn;
        if (rng_below(rng, 60) == 0) {
            c->result[i] = 77;
        }
    }
}

static void
test_agrees_with_brute_force(void)
{
    struct trial t = {.model = model_find("register"),
                      .engine = &engine_register,
                      .fill = register_fill};

    CHECK(trial_run(&t, 60000));
}

/* Compare-and-sets that change nothing, or might. */
static void
cas_fill(struct calls *c, struct rng *rng)
{
    register_fill(c, rng);
    for (uint32_t i = 0; i < c->count; i++) {
        if (rng_below(rng, 8) == 0) {
            c->function[i] = REGISTER_CAS;
            c->a[i] = (uint32_t)rng_below(rng, 2) * 50 + 1;
            c->b[i] = 60 + i;
            c->result[i] = c->complete[i] == CALL_OPEN
                               ? VALUE_ABSENT
                               : (uint32_t)(rng_below(rng, 8) == 0);
        }
    }
}

static void
test_agrees_with_idle_cas(void)
{
    struct trial t = {.model = model_find("cas-register"),
                      .engine = &engine_register,
                      .fill = cas_fill,
                      .unknown_max_percent = 50};

    CHECK(trial_run(&t, 30000));
}

/* The same in texts, where nothing, nil and the empty text are one. */
static void
kv_fill(struct calls *c, struct rng *rng)
{
    register_fill(c, rng);
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t *value =
            c->function[i] == REGISTER_WRITE ? &c->a[i] : &c->result[i];
        char text[16];
        if (*value == VALUE_NIL && rng_below(rng, 2) == 0) {
            *value = value_of_text(c, "", 0);
        } else if (*value < 100 && rng_below(rng, 50) > 0) {
            int len = snprintf(text, sizeof(text), "v%u", *value);
            *value = value_of_text(c, text, (size_t)len);
        }
    }
}

static void
test_agrees_on_texts(void)
{
    struct trial t = {.model = model_find("kv"),
                      .engine = &engine_register,
                      .fill = kv_fill,
                      .unknown_max_percent = 20};

    CHECK(trial_run(&t, 30000));
}

/* ---- long histories ---- */

#define LONG_CALLS 20000
#define LONG_CLIENTS 16

struct history {
    struct calls *c;
    uint32_t keys;
};

/* Simulated: each call takes effect at once at its invocation or its answer. */
static struct calls *
history_new(uint32_t keys, uint32_t open_percent, bool shared_values,
            uint64_t seed)
{
    struct calls *c = calls_new_raw(model_find("register"));
    struct rng rng;
    uint32_t live[LONG_CLIENTS], live_count = 0, rank = 0;
    uint32_t *now = calloc(keys, sizeof(*now));
    uint32_t *next = calloc(keys, sizeof(*next)), global = 0;
    bool early[LONG_CLIENTS];

    rng_init(&rng, seed);
    for (uint32_t k = 0; k < keys; k++) {
        now[k] = VALUE_NIL;
    }
    while (c->count < LONG_CALLS || live_count > 0) {
        uint32_t at = live_count;
        bool effect = false, answer = false;
        if (c->count < LONG_CALLS && live_count < LONG_CLIENTS &&
            (live_count == 0 || rng_below(&rng, 2) == 0)) {
            uint32_t i = calls_append(c, (uint8_t)rng_below(&rng, 2), 0, rank++,
                                      CALL_OPEN);
            c->key[i] = (uint32_t)rng_below(&rng, keys);
            if (c->function[i] == REGISTER_WRITE) {
                c->a[i] = shared_values ? ++next[c->key[i]] : ++global;
            }
            effect = early[at] = rng_below(&rng, 2) == 0;
            live[live_count++] = i;
        } else {
            at = (uint32_t)rng_below(&rng, live_count);
            effect = !early[at];
            answer = true;
        }
        uint32_t i = live[at], k = c->key[i];
        if (effect && c->function[i] == REGISTER_WRITE) {
            now[k] = c->a[i];
        } else if (effect) {
            c->result[i] = now[k];
        }
        if (answer) {
            if (c->function[i] != REGISTER_WRITE ||
                rng_below(&rng, 100) >= open_percent) {
                c->complete[i] = rank++;
            }
            live[at] = live[--live_count];
            early[at] = early[live_count];
        }
    }
    c->rank_count = rank;
    free(now);
    free(next);
    return c;
}

/* Each key's part of an order over all keys must replay. */
static bool
history_replays(const struct calls *c, const struct decision *d, uint32_t keys)
{
    uint32_t *members = calloc(c->count, sizeof(*members));
    uint32_t *order = calloc(c->count, sizeof(*order)), last = 0;
    bool good = true;

    for (uint32_t i = 0; i < d->order_count; i++) {
        good = good && c->complete[d->order[i]] >= last;
        last = c->invoke[d->order[i]] > last ? c->invoke[d->order[i]] : last;
    }
    for (uint32_t k = 0; k < keys && good; k++) {
        uint32_t count = 0, order_count = 0;
        char reason[REASON_TEXT_MAX];
        for (uint32_t i = 0; i < c->count; i++) {
            if (c->key[i] == k) {
                members[count++] = i;
            }
        }
        for (uint32_t i = 0; i < d->order_count; i++) {
            if (c->key[d->order[i]] == k) {
                order[order_count++] = d->order[i];
            }
        }
        struct problem p = {
            .calls = c, .members = members, .count = count, .key = k};
        good = problem_replay(&p, order, order_count, reason);
        if (!good) {
            printf("# key %u: %s\n", k, reason);
        }
    }
    free(members);
    free(order);
    return good;
}

static void
check_long(uint32_t keys, uint32_t open_percent, bool shared_values)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct calls *c = history_new(keys, open_percent, shared_values, seed);
        struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
        struct budget b = agree_budget();
        struct decision d;

        engine_decide(&engine_register, &p, &b, &d);
        CHECK_INT(d.verdict, VERDICT_VALID);
        CHECK(history_replays(c, &d, keys));
        decision_release(&d);

        /* The last read of a key sees what its first write wrote. */
        uint32_t first = UINT32_MAX, read = UINT32_MAX;
        for (uint32_t i = 0; i < c->count; i++) {
            if (c->key[i] == 0 && c->function[i] == REGISTER_WRITE &&
                first == UINT32_MAX) {
                first = i;
            } else if (c->key[i] == 0 && c->function[i] == REGISTER_READ) {
                read = i;
            }
        }
        c->result[read] = c->a[first];
        engine_decide(&engine_register, &p, &b, &d);
        CHECK_INT(d.verdict, VERDICT_INVALID);
        CHECK(d.core_count >= 2 && d.core_count <= 6);
        CHECK(trial_core_holds(&p, &d));
        CHECK(d.edge_count > 0 && d.headline[0] != '\0');
        decision_release(&d);
        calls_free(c);
    }
}

static void
test_long_one_key(void)
{
    check_long(1, 0, false);
    check_long(1, 2, false);
}

static void
test_long_many_keys(void)
{
    check_long(50, 2, false);
    check_long(50, 2, true);
    check_long(1000, 1, true);
}

/* Hundreds of reads, all under way when what they saw is written: their zone
 * begins where the write does, and so they stand at one rank. */
static void
test_many_at_one_rank(void)
{
    enum { READS = 300 };
    struct calls *c = calls_new_raw(model_find("register"));
    struct budget b = agree_budget();
    struct decision d;

    for (uint32_t i = 0; i < READS; i++) {
        uint32_t r = calls_append(c, REGISTER_READ, i, i, 2 * READS + i);
        c->key[r] = 0;
        c->result[r] = 1;
    }
    uint32_t w = calls_append(c, REGISTER_WRITE, READS, READS, CALL_OPEN);
    c->key[w] = 0;
    c->a[w] = 1;
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    engine_decide(&engine_register, &p, &b, &d);
    CHECK_INT(d.verdict, VERDICT_VALID);
    CHECK_INT(d.order_count, READS + 1);
    CHECK(history_replays(c, &d, 1));
    decision_release(&d);
    calls_free(c);
}

static void
test_values_written_twice_are_left(void)
{
    struct calls *c = calls_new_raw(model_find("register"));

    for (uint32_t i = 0; i < 2; i++) {
        uint32_t w = calls_append(c, REGISTER_WRITE, 0, 2 * i, 2 * i + 1);
        c->a[w] = 5;
    }
    struct problem p = {.calls = c, .count = 2, .key = VALUE_ABSENT};
    struct budget b = agree_budget();
    struct decision d;
    engine_decide(&engine_register, &p, &b, &d);
    CHECK_INT(d.verdict, VERDICT_UNKNOWN);
    CHECK(strstr(d.reason, "twice") != NULL);
    decision_release(&d);
    calls_free(c);
}

static void
test_budget(void)
{
    struct calls *c = history_new(1, 0, false, 1);
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct budget b = agree_budget();
    struct decision d;

    b.memory_bytes = 1000;
    engine_decide(&engine_register, &p, &b, &d);
    CHECK_INT(d.verdict, VERDICT_UNKNOWN);
    decision_release(&d);
    b = agree_budget();
    b.deadline_ns = clock_now_ns(b.clock);
    engine_decide(&engine_register, &p, &b, &d);
    CHECK_INT(d.verdict, VERDICT_UNKNOWN);
    decision_release(&d);
    calls_free(c);
}

int
main(void)
{
    RUN(test_agrees_with_brute_force);
    RUN(test_agrees_with_idle_cas);
    RUN(test_agrees_on_texts);
    RUN(test_long_one_key);
    RUN(test_long_many_keys);
    RUN(test_many_at_one_rank);
    RUN(test_values_written_twice_are_left);
    RUN(test_budget);
    return tap_done();
}
