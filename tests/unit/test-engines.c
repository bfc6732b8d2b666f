/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The general engines against brute force: random small histories of every
 * sequential model, valid ones and corrupted ones.  Verdicts must agree, orders
 * replay, cores be invalid.
 *
 * ORDEAL_TRIALS histories a model (1,000,000 at night), ORDEAL_TEST_SEED.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyzer/engines/engine.h"
#include "harness/base/buf.h"
#include "tests/lib/random-models.h"
#include "tests/lib/tap.h"

#define TRIALS_DEFAULT 1500
#define SEED_DEFAULT 20260101

static const struct engine_ops *const engines[] = {
    &engine_configurations, &engine_depth, &engine_portfolio};

static uint64_t
number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static struct budget
big_budget(void)
{
    struct clock *clock = clock_monotonic();

    return (struct budget){.clock = clock,
                           .deadline_ns = clock_now_ns(clock) + 60 * NS_PER_S,
                           .memory_bytes = (size_t)1 << 30};
}

static void
print_calls(const struct calls *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct buf text;
        buf_init(&text, 256);
        model_describe(c, i, &text);
        printf("# call %u [%u, %d] %s\n", i, c->invoke[i], (int)c->complete[i],
               buf_text(&text));
        buf_release(&text);
    }
}

/* What is wrong with a decision, or NULL. */
static const char *
decision_fault(const struct problem *p, const struct decision *d,
               enum verdict expected)
{
    static char reason[REASON_TEXT_MAX];

    if (d->verdict != expected) {
        return "the verdict differs from brute force";
    }
    if (d->verdict == VERDICT_VALID) {
        return problem_replay(p, d->order, d->order_count, reason) ? NULL
                                                                   : reason;
    }
    struct problem core = {p->calls, d->core, d->core_count, p->key};
    struct decision again;
    struct budget b = big_budget();
    engine_decide(&engine_brute, &core, &b, &again);
    bool invalid = again.verdict == VERDICT_INVALID;
    decision_release(&again);
    return invalid ? NULL : "the core is not invalid";
}

static void
trial(const struct calls *c, uint64_t counts[3])
{
    struct problem p = {c, NULL, c->count, VALUE_ABSENT};
    struct decision truth;
    struct budget b = big_budget();

    engine_decide(&engine_brute, &p, &b, &truth);
    CHECK(truth.verdict != VERDICT_UNKNOWN);
    counts[truth.verdict]++;
    for (uint32_t i = 0; i < ARRAY_LEN(engines); i++) {
        struct decision d;
        b = big_budget();
        engine_decide(engines[i], &p, &b, &d);
        const char *fault = decision_fault(&p, &d, truth.verdict);
        if (fault != NULL) {
            printf("# %s: %s: %s (%s)\n", c->model->name, engines[i]->name,
                   fault, d.reason);
            print_calls(c);
        }
        CHECK(fault == NULL);
        decision_release(&d);
    }
    decision_release(&truth);
}

static void
trials(const struct random_model *model, uint64_t seed)
{
    uint64_t count = number_from_environment("ORDEAL_TRIALS", TRIALS_DEFAULT);
    uint64_t counts[3] = {0};

    for (uint64_t i = 0; i < count; i++) {
        struct rng rng;
        rng_init(&rng, seed + i);
        struct random_options options = {
            .seed = rng_u64(&rng),
            .calls = 1 + (uint32_t)rng_below(&rng, 8),
            .clients = 1 + (uint32_t)rng_below(&rng, 4),
            .values = 1 + (uint32_t)rng_below(&rng, 3),
            .crashes = (uint32_t)rng_below(&rng, 2) * 3,
        };
        struct calls *c = random_calls(model, &options);
        if (rng_below(&rng, 3) != 0) {
            random_calls_corrupt(c, &rng);
        }
        trial(c, counts);
        calls_free(c);
    }
    printf("# %s: %" PRIu64 " valid, %" PRIu64 " invalid\n", model->ops->name,
           counts[VERDICT_VALID], counts[VERDICT_INVALID]);
    CHECK(counts[VERDICT_VALID] > 0 || count == 0);
    CHECK(counts[VERDICT_INVALID] > 0 || count == 0);
}

static void
test_agree_with_brute_force(void)
{
    uint64_t seed = number_from_environment("ORDEAL_TEST_SEED", SEED_DEFAULT);

    printf("# seed %" PRIu64 "\n", seed);
    for (uint32_t i = 0; i < RANDOM_MODEL_COUNT; i++) {
        trials(&random_models[i], seed);
    }
}

int
main(void)
{
    RUN(test_agree_with_brute_force);
    return tap_done();
}
