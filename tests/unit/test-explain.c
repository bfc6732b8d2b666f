/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explanations: cores that are small and honest, their words, and what is
 * written of them.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/explain/explain.h"
#include "analyzer/explain/suppose.h"
#include "analyzer/models/functions.h"
#include "harness/base/rng.h"
#include "tests/lib/tap.h"

static uint32_t
put(struct calls *c, uint8_t f, uint32_t process, uint32_t invoke,
    uint32_t complete, uint32_t a)
{
    uint32_t i = calls_append(c, f, process, invoke, complete);

    if (f == REGISTER_READ)
        c->result[i] = a;
    else
        c->a[i] = a;
    c->line[i] = invoke + 1;
    c->end_line[i] = complete == CALL_OPEN ? 0 : complete + 1;
    return i;
}

static struct budget
seconds(int64_t s)
{
    return (struct budget){
        .clock = clock_monotonic(),
        .deadline_ns = clock_now_ns(clock_monotonic()) + s * NS_PER_S,
        .memory_bytes = (size_t)64 << 20,
    };
}

/* Shrinks with nothing known of the core. */
static bool
shrink(const struct calls *c, struct decision *d)
{
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct budget b = seconds(10);

    *d = (struct decision){.verdict = VERDICT_INVALID};
    return explain_shrink(&p, d, &b);
}

/* A read of what was overwritten: the core is the overwriting write and the
 * read; the first write is context, though it is what erasing calls would
 * have taken away first. */
static void
test_stale_read(void)
{
    struct calls *c = calls_new_raw(model_find("register"));
    struct decision d;

    put(c, REGISTER_WRITE, 0, 0, 1, 1);
    put(c, REGISTER_READ, 1, 2, 3, 1);
    put(c, REGISTER_WRITE, 0, 4, 5, 2);
    put(c, REGISTER_READ, 1, 6, 7, 2);
    put(c, REGISTER_READ, 2, 8, 9, 1);
    put(c, REGISTER_READ, 1, 10, 11, 2);
    CHECK(shrink(c, &d));
    CHECK_INT(d.core_count, 3);
    CHECK_INT(d.core[0], 0);
    CHECK_INT(d.core[1], 2);
    CHECK_INT(d.core[2], 4);
    CHECK(!d.core_firm[0] && d.core_firm[1] && d.core_firm[2]);
    decision_release(&d);
    calls_free(c);
}

/* ---- random histories against every part of them ---- */

#define SMALL_MAX 8u

/* What a call of this function says; values from 1 to 2. */
static void
random_words(struct calls *c, uint32_t i, struct rng *r)
{
    bool open = c->complete[i] == CALL_OPEN;
    const char *name = c->model->functions[c->function[i]];
    uint32_t value = 1 + (uint32_t)rng_below(r, 2);

    if (strcmp(name, "read") == 0 || strcmp(name, "dequeue") == 0 ||
        strcmp(name, "pop") == 0) {
        c->result[i] = open ? VALUE_ABSENT : value;
        if (!open && rng_chance(r, 0.15))
            c->result[i] = VALUE_NIL;
        return;
    }
    c->a[i] = value;
    if (strcmp(name, "cas") == 0) {
        c->b[i] = 1 + (uint32_t)rng_below(r, 2);
        c->result[i] = open ? VALUE_ABSENT : (uint32_t)rng_below(r, 2);
    }
}

static struct calls *
random_calls(const struct model_ops *m, struct rng *r)
{
    struct calls *c = calls_new_raw(m);
    uint32_t n = 3 + (uint32_t)rng_below(r, SMALL_MAX - 2), functions = 0;
    uint32_t slot[SMALL_MAX * 2], from[SMALL_MAX], to[SMALL_MAX], at = 0;

    while (m->functions[functions] != NULL)
        functions++;
    /* Each number twice, shuffled: where it begins and where it ends. */
    for (uint32_t i = 0; i < 2 * n; i++)
        slot[i] = i / 2;
    for (uint32_t i = 0; i < 2 * n; i++) {
        uint32_t k = i + (uint32_t)rng_below(r, rng_chance(r, 0.5) ? 2 * n - i
                                                : 2 * n - i < 3    ? 2 * n - i
                                                                   : 3);
        uint32_t swap = slot[i];

        slot[i] = slot[k];
        slot[k] = swap;
    }
    memset(from, 0xff, sizeof(from));
    for (uint32_t i = 0; i < 2 * n; i++)
        *(from[slot[i]] == UINT32_MAX ? &from[slot[i]] : &to[slot[i]]) = i;
    for (; at < 2 * n; at++)
        for (uint32_t i = 0; i < n; i++)
            if (from[i] == at) {
                uint32_t call =
                    calls_append(c, (uint8_t)rng_below(r, functions), i, at,
                                 rng_chance(r, 0.2) ? CALL_OPEN : to[i]);

                random_words(c, call, r);
            }
    c->rank_count = 2 * n;
    return c;
}

static enum verdict
brute(const struct calls *c, uint32_t part)
{
    uint32_t members[SMALL_MAX];
    struct problem p = {.calls = c, .members = members, .key = VALUE_ABSENT};
    struct budget b = seconds(10);
    struct decision d;

    for (uint32_t i = 0; i < c->count; i++)
        if (part >> i & 1)
            members[p.count++] = i;
    engine_decide(&engine_brute, &p, &b, &d);
    enum verdict v = d.verdict;
    decision_release(&d);
    return v;
}

/* Whether some part of the history that has all of 'firm' has an order. */
static bool
explainable(const struct calls *c, uint32_t firm)
{
    for (uint32_t part = 0; part < 1u << c->count; part++)
        if ((part & firm) == firm && brute(c, part) == VERDICT_VALID)
            return true;
    return false;
}

static void
check_core(const struct calls *c, const struct decision *d)
{
    uint32_t firm = 0, all = 0;

    CHECK(d->core_count > 0 && d->core_firm != NULL);
    for (uint32_t i = 0; i < d->core_count; i++) {
        all |= 1u << d->core[i];
        if (d->core_firm[i])
            firm |= 1u << d->core[i];
    }
    CHECK(!explainable(c, firm));
    CHECK_INT(brute(c, all), VERDICT_INVALID);
    for (uint32_t i = 0; i < d->core_count; i++) {
        uint32_t rest = firm & ~(1u << d->core[i]), part = rest;
        bool shown = !d->core_firm[i];

        CHECK(!d->core_firm[i] || explainable(c, rest));
        /* The context suffices to show it. */
        for (uint32_t more = all & ~firm;; more = (more - 1) & all & ~firm) {
            shown |= brute(c, part | more) == VERDICT_VALID;
            if (more == 0)
                break;
        }
        CHECK(shown);
    }
}

static void
check_random(const char *model, int count)
{
    const struct model_ops *m = model_find(model);
    struct rng root;
    int invalid = 0;

    CHECK(m != NULL);
    rng_init(&root, 31);
    for (int i = 0; i < count; i++) {
        struct rng r = rng_fork(&root, model, (uint64_t)i);
        struct calls *c = random_calls(m, &r);
        struct decision d;

        if (brute(c, (1u << c->count) - 1) == VERDICT_INVALID) {
            invalid++;
            CHECK(shrink(c, &d));
            check_core(c, &d);
            decision_release(&d);
        }
        calls_free(c);
    }
    printf("# %s: %d of %d invalid\n", model, invalid, count);
    CHECK(invalid > count / 10);
}

static void
test_random_register(void)
{
    check_random("register", 2000);
}

static void
test_random_cas_register(void)
{
    check_random("cas-register", 2000);
}

int
main(void)
{
    RUN(test_random_register);
    RUN(test_random_cas_register);
    RUN(test_stale_read);
    return tap_done();
}
