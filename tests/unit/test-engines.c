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
#include <string.h>

#include "analyzer/check.h"
#include "tests/lib/engines-agree.h"
#include "tests/lib/random-models.h"

#define TRIALS_DEFAULT 1500
#define SEED_DEFAULT 20260101

static uint64_t
number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
trials(const struct random_model *model, uint64_t seed)
{
    uint64_t count = agree_trials(TRIALS_DEFAULT);
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
            random_calls_corrupt(model, c, &rng);
        }
        struct problem p = {c, NULL, c->count, VALUE_ABSENT};
        counts[engines_agree(&p)]++;
        calls_free(c);
    }
    agree_report(model->ops->name, counts[VERDICT_VALID],
                 counts[VERDICT_INVALID]);
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

/* ---- one planted fault ---- */

/* All that `ordeal check` asks of the calls, exact engines first. */
static enum verdict
planted_verdict(const struct calls *c, enum verdict truth)
{
    struct check_options options = {.jobs = 1};
    struct check_result r;

    check_calls(c, &options, &r);
    enum verdict verdict = r.verdict;
    if (verdict != truth) {
        struct problem p = {c, NULL, c->count, VALUE_ABSENT};
        printf("# %s: %s, in truth %s: %s\n", c->model->name,
               verdict_name(verdict), verdict_name(truth), r.decision.reason);
        agree_print(&p);
    }
    CHECK_INT(verdict, truth);
    CHECK(verdict != VERDICT_INVALID || r.confirmed);
    check_result_release(&r);
    return verdict;
}

/* Values are unique half of the time, so that exact engines decide. */
static void
planted_trials(const struct random_model *model, uint64_t seed, uint64_t count)
{
    uint64_t planted = 0, invalid = 0;

    for (uint64_t i = 0; i < count; i++) {
        struct rng rng;
        rng_init(&rng, ~(seed + i));
        struct random_options options = {
            .seed = rng_u64(&rng),
            .calls = 3 + (uint32_t)rng_below(&rng, 6),
            .clients = 1 + (uint32_t)rng_below(&rng, 3),
            .values = (uint32_t)rng_below(&rng, 2) * 3,
            .crashes = (uint32_t)rng_below(&rng, 2),
        };
        struct calls *c = random_calls(model, &options);
        struct problem p = {c, NULL, c->count, VALUE_ABSENT};
        planted_verdict(c, VERDICT_VALID);
        if (random_calls_corrupt(model, c, &rng) != VALUE_ABSENT) {
            planted++;
            invalid += planted_verdict(c, engines_agree(&p)) == VERDICT_INVALID;
        }
        calls_free(c);
    }
    printf("# %s: %" PRIu64 " answers changed, %" PRIu64 " of them to wrong "
           "ones\n",
           model->ops->name, planted, invalid);
    CHECK(count < 100 || (invalid > planted / 5 && planted > count / 2));
}

static void
test_planted_faults(void)
{
    uint64_t seed = number_from_environment("ORDEAL_TEST_SEED", SEED_DEFAULT);

    for (uint32_t i = 0; i < RANDOM_MODEL_COUNT; i++) {
        planted_trials(&random_models[i], seed,
                       agree_trials(TRIALS_DEFAULT) / 5 + 1);
    }
}

/* ---- every model ---- */

/* Models whose histories other programs make. */
static const char *const elsewhere[][2] = {
    {"lease-kernel", "test-model-lease-kernel"},
    {"allocator", "test-model-allocator"},
    {"quota", "test-model-quota-pool"},
    {"pool", "test-model-quota-pool"},
    {"bank", "test-exact-screens"},
    {"unique-ids", "test-exact-screens"},
    {"total-queue", "test-exact-screens"},
    {"set-full", "test-exact-screens"},
    {"long-fork", "test-exact-screens"},
    {"list-append", "test-txn"},
    {"rw-register", "test-txn"},
};

static const char *
program_of(const char *model)
{
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        if (strcmp(elsewhere[i][0], model) == 0) {
            return elsewhere[i][1];
        }
    }
    return random_model_find(model) != NULL ? "test-engines" : NULL;
}

/* Whether the make variable has the word. */
static bool
nightly_runs(const char *makefile, const char *program)
{
    const char *at = strstr(makefile, "\nNIGHTLY_TESTS =");
    size_t len = strlen(program);

    while (at != NULL && (at = strpbrk(at + 1, " \t\n")) != NULL) {
        if (*at == '\n' && at[-1] != '\\') {
            return false;
        }
        if (strncmp(at + 1, program, len) == 0 &&
            strchr(" \t\n", at[1 + len]) != NULL) {
            return true;
        }
    }
    return false;
}

static void
test_every_model_is_tried(void)
{
    const char *top = getenv("ORDEAL_SRCDIR");
    char path[512], text[16384];

    snprintf(path, sizeof(path), "%s/tests/local.mk", top == NULL ? "." : top);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    CHECK(!nightly_runs(text, "test-nothing"));
    for (size_t i = 0; model_registry[i] != NULL; i++) {
        const char *program = program_of(model_registry[i]->name);
        bool tried = program != NULL && nightly_runs(text, program);
        if (!tried) {
            printf("# nobody tries %s at night\n", model_registry[i]->name);
        }
        CHECK(tried);
    }
}

/* ---- many open calls ---- */

static enum verdict
open_decide(const struct engine_ops *e, const struct problem *p,
            struct decision *ret)
{
    struct budget b = agree_budget();

    b.memory_bytes = (size_t)16 << 20; /* a few are too hard for either */
    engine_decide(e, p, &b, ret);
    return ret->verdict;
}

/* Where brute force cannot be asked, one search is asked about the other. */
static void
open_trial(const struct calls *c, uint64_t counts[3])
{
    struct problem p = {c, NULL, c->count, VALUE_ABSENT};
    char reason[REASON_TEXT_MAX];
    struct decision x, y;
    enum verdict breadth = open_decide(&engine_configurations, &p, &x);
    enum verdict depth = open_decide(&engine_depth, &p, &y);

    counts[breadth]++;
    if (breadth != VERDICT_UNKNOWN && depth != VERDICT_UNKNOWN) {
        if (breadth != depth) {
            printf("# %s: %s and %s\n", c->model->name, verdict_name(breadth),
                   verdict_name(depth));
            agree_print(&p);
        }
        CHECK_INT(breadth, depth);
    }
    if (breadth == VERDICT_VALID) {
        CHECK(problem_replay(&p, x.order, x.order_count, reason));
    } else if (breadth == VERDICT_INVALID) {
        struct problem core = {c, x.core, x.core_count, VALUE_ABSENT};
        struct decision again;
        CHECK(open_decide(&engine_depth, &core, &again) != VERDICT_VALID);
        decision_release(&again);
    }
    decision_release(&x);
    decision_release(&y);
}

/* What is joined must never be told from what is true. */
static void
test_agree_on_open_calls(void)
{
    uint64_t seed = number_from_environment("ORDEAL_TEST_SEED", SEED_DEFAULT);
    uint64_t count = agree_trials(TRIALS_DEFAULT) / 5 + 1;

    for (uint32_t m = 0; m < RANDOM_MODEL_COUNT; m++) {
        uint64_t counts[3] = {0};
        for (uint64_t i = 0; i < count; i++) {
            struct rng rng;
            rng_init(&rng, seed + i);
            struct random_options options = {
                .seed = rng_u64(&rng),
                .calls = 12 + (uint32_t)rng_below(&rng, 18),
                .clients = 2 + (uint32_t)rng_below(&rng, 3),
                .values = 2 + (uint32_t)rng_below(&rng, 3),
                .crashes = 6 + (uint32_t)rng_below(&rng, 12),
            };
            struct calls *c = random_calls(&random_models[m], &options);
            for (uint64_t n = rng_below(&rng, 4); n > 0; n--) {
                random_calls_corrupt(&random_models[m], c, &rng);
            }
            open_trial(c, counts);
            calls_free(c);
        }
        printf("# %s: %" PRIu64 " valid, %" PRIu64 " invalid, %" PRIu64
               " undecided\n",
               random_models[m].ops->name, counts[VERDICT_VALID],
               counts[VERDICT_INVALID], counts[VERDICT_UNKNOWN]);
        CHECK(counts[VERDICT_VALID] > 0 && counts[VERDICT_INVALID] > 0);
        CHECK(counts[VERDICT_UNKNOWN] <= count / 8);
    }
}

/* ---- check_calls ---- */

static const struct random_options keyed = {
    .seed = 7, .calls = 4000, .clients = 6, .keys = 9, .values = 5};

/* The order of all parts keeps real time, and each part's share replays. */
static void
check_order(const struct calls *c, const struct check_result *r)
{
    uint32_t latest = 0, total = 0;
    char reason[REASON_TEXT_MAX];

    for (uint32_t i = 0; i < r->order_count; i++) {
        uint32_t call = r->order[i];
        CHECK(c->complete[call] >= latest);
        latest = c->invoke[call] > latest ? c->invoke[call] : latest;
    }
    uint32_t *share = xcalloc(r->order_count + 1, sizeof(*share));
    for (uint32_t p = 0; p < r->parts.count; p++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < r->order_count; i++) {
            if (c->key[r->order[i]] == r->parts.problems[p].key) {
                share[count++] = r->order[i];
            }
        }
        CHECK(problem_replay(&r->parts.problems[p], share, count, reason));
        total += count;
    }
    CHECK_INT(total, r->order_count);
    free(share);
}

static void
test_check_many_keys(void)
{
    struct check_options options = {.jobs = 3};
    struct check_result r;
    struct calls *c = random_calls(random_model_find("cas-register"), &keyed);

    check_calls(c, &options, &r);
    CHECK_INT(r.verdict, VERDICT_VALID);
    CHECK_INT(r.parts.count, 9);
    check_order(c, &r);
    check_result_release(&r);
    calls_free(c);
}

static bool
liar_applies(const struct problem *p)
{
    return problem_call(p, 0) == 0;
}

/* Says of two calls of the first part that nothing explains them. */
static void
liar_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    (void)b;
    ret->verdict = VERDICT_INVALID;
    ret->core = xcalloc(2, sizeof(*ret->core));
    ret->core[0] = problem_call(p, 0);
    ret->core[1] = problem_call(p, 1);
    ret->core_count = 2;
}

static const struct engine_ops engine_liar = {
    .name = "liar",
    .description = "is wrong",
    .applies = liar_applies,
    .decide = liar_decide,
};

/* A part that turns out a bug of ours does not hide one that is invalid. */
static void
test_check_bug_beside_invalid(void)
{
    static const struct engine_ops *const exact[] = {&engine_liar, NULL};
    struct check_options options = {.jobs = 1, .no_shrink = true};
    struct model_ops model = *random_model_find("register")->ops;
    struct check_result r;

    model.exact = exact;
    for (int invalid = 0; invalid < 2; invalid++) {
        struct calls *c = calls_new_raw(&model);
        for (uint32_t i = 0; i < 4; i++) {
            calls_append(c, i % 2 == 0 ? REGISTER_WRITE : REGISTER_READ, i,
                         2 * i, 2 * i + 1);
            c->key[i] = i / 2;
        }
        c->a[0] = c->result[1] = 5;
        c->a[2] = 5;
        c->result[3] = invalid ? 6 : 5;
        check_calls(c, &options, &r);
        CHECK_INT(r.parts.count, 2);
        CHECK_INT(r.verdict, invalid ? VERDICT_INVALID : VERDICT_UNKNOWN);
        CHECK_INT(r.invalid_parts, invalid);
        CHECK_INT(r.unknown_parts, 1);
        if (invalid) {
            CHECK(r.confirmed);
            CHECK_INT(r.problem.key, 1);
        } else {
            CHECK(strstr(r.decision.reason, "please report") != NULL);
        }
        check_result_release(&r);
        calls_free(c);
    }
}

/* One planted fault: INVALID, in the part of the fault, confirmed. */
static void
test_check_planted(void)
{
    struct check_options options = {.jobs = 2};
    struct check_result r;
    struct calls *c = random_calls(random_model_find("cas-register"), &keyed);
    uint32_t i = c->count / 2;

    while (c->function[i] != REGISTER_READ || c->complete[i] == CALL_OPEN) {
        i++;
    }
    c->result[i] = value_of_int(c, 99); /* nobody wrote it */
    check_calls(c, &options, &r);
    CHECK_INT(r.verdict, VERDICT_INVALID);
    CHECK_INT(r.invalid_parts, 1);
    CHECK_INT(r.unknown_parts, 0);
    CHECK_INT(r.problem.key, c->key[i]);
    CHECK(r.confirmed);
    CHECK(r.decision.core_count > 0 && r.decision.core_count <= 3);
    CHECK(r.decision.headline[0] != '\0');
    check_result_release(&r);
    calls_free(c);
}

/* Unique values: all keys in one pass, with an order that replays by key; and a
 * planted fault is shown in the part where it is. */
static void
test_check_keys_at_once(void)
{
    static const struct random_options unique = {
        .seed = 11, .calls = 4000, .clients = 6, .keys = 9, .crashes = 20};
    struct check_options options = {.jobs = 2};
    struct check_result r;
    char reason[REASON_TEXT_MAX];
    struct calls *c = random_calls(random_model_find("register"), &unique);
    uint32_t last = c->count - 1, read = 0;

    check_calls(c, &options, &r);
    CHECK_INT(r.verdict, VERDICT_VALID);
    CHECK_INT(r.parts.count, 9);
    CHECK(r.parts.problems == NULL && r.order_count > 3000);
    CHECK(
        problem_replay_keyed(&r.problem, r.order, r.order_count, NULL, reason));
    /* One state for all keys does not do. */
    CHECK(!problem_replay(&r.problem, r.order, r.order_count, reason));
    CHECK(!problem_replay_keyed(&r.problem, r.order, r.order_count - 1, NULL,
                                reason));
    while (c->function[r.order[read]] != REGISTER_READ ||
           c->result[r.order[read]] == VALUE_NIL) {
        read++;
    }
    /* The first read of a value that was written moves to the beginning. */
    uint32_t call = r.order[read];
    memmove(r.order + 1, r.order, read * sizeof(*r.order));
    r.order[0] = call;
    CHECK(!problem_replay_keyed(&r.problem, r.order, r.order_count, NULL,
                                reason));
    check_result_release(&r);
    while (c->function[last] != REGISTER_READ ||
           c->complete[last] == CALL_OPEN) {
        last--;
    }
    c->result[last] = value_of_int(c, 1000000);
    check_calls(c, &options, &r);
    CHECK_INT(r.verdict, VERDICT_INVALID);
    CHECK_INT(r.invalid_parts, 1);
    CHECK_INT(r.parts.count, 9);
    CHECK_INT(r.problem.key, c->key[last]);
    CHECK(r.decision.core_count == 1 && r.decision.core[0] == last);
    check_result_release(&r);
    calls_free(c);
}

/* ---- positions ---- */

static void
test_witness(void)
{
    struct random_options options = {.seed = 3,
                                     .calls = 3000,
                                     .clients = 8,
                                     .values = 3,
                                     .crashes = 60,
                                     .positions = true};
    struct calls *c = random_calls(random_model_find("cas-register"), &options);
    struct problem p = {c, NULL, c->count, VALUE_ABSENT};
    struct decision d;
    struct budget b = agree_budget();

    engine_decide(&engine_witness, &p, &b, &d);
    printf("# %s\n", d.reason);
    CHECK_INT(d.verdict, VERDICT_VALID);
    decision_release(&d);
    /* Positions that lie prove nothing. */
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->position[i] != RECORD_POSITION_NONE) {
            c->position[i] = 1000000 - c->position[i];
        }
    }
    engine_decide(&engine_witness, &p, &b, &d);
    CHECK_INT(d.verdict, VERDICT_UNKNOWN);
    decision_release(&d);
    calls_free(c);
}

/* ---- budgets ---- */

static struct calls *
hard_calls(void)
{
    struct random_options options = {
        .seed = 5, .calls = 1500, .clients = 40, .values = 3, .crashes = 300};
    struct calls *c = random_calls(random_model_find("cas-register"), &options);
    uint32_t last = c->count;

    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == REGISTER_READ) {
            last = i;
        }
    }
    CHECK(last < c->count);
    c->result[last] = value_of_int(c, 77);
    return c;
}

/* Any cap: the verdict is right or UNKNOWN, and the cap is kept. */
static void
test_memory_cap(void)
{
    struct calls *c = hard_calls();
    struct problem p = {c, NULL, c->count, VALUE_ABSENT};
    uint32_t unknown = 0;

    for (size_t cap = 1; cap < (size_t)3 << 20; cap = cap * 5 / 4 + 1) {
        for (uint32_t i = 0; i < ARRAY_LEN(agree_engines); i++) {
            struct budget b = agree_budget();
            struct decision d;
            b.memory_bytes = cap;
            b.deadline_ns = clock_now_ns(b.clock) + 5 * NS_PER_MS;
            engine_decide(agree_engines[i], &p, &b, &d);
            if (d.verdict == VERDICT_VALID) {
                printf("# %s within %zu bytes\n", agree_engines[i]->name, cap);
            }
            CHECK(d.verdict != VERDICT_VALID);
            CHECK(b.peak_bytes <= cap);
            CHECK_INT(b.used_bytes, 0);
            unknown += d.verdict == VERDICT_UNKNOWN;
            decision_release(&d);
        }
    }
    CHECK(unknown > 0);
    calls_free(c);
}

static void
test_deadline(void)
{
    struct calls *c = hard_calls();
    struct problem p = {c, NULL, c->count, VALUE_ABSENT};

    for (uint32_t i = 0; i < ARRAY_LEN(agree_engines); i++) {
        struct budget b = agree_budget();
        struct decision d;
        b.deadline_ns = clock_now_ns(b.clock) + 50 * NS_PER_MS;
        engine_decide(agree_engines[i], &p, &b, &d);
        int64_t over = clock_now_ns(b.clock) - b.deadline_ns;
        printf("# %s: %s, %" PRId64 " us after the deadline\n",
               agree_engines[i]->name, verdict_name(d.verdict),
               over / NS_PER_US);
        CHECK(d.verdict != VERDICT_VALID);
        /* The promise is 100 ms; a loaded machine may take the processor away
         * for as long again. */
        CHECK(over < 500 * NS_PER_MS);
        if (d.verdict == VERDICT_UNKNOWN) {
            CHECK(d.decided_prefix > 0 && d.reason[0] != '\0');
        }
        decision_release(&d);
    }
    calls_free(c);
}

static void
test_cancel(void)
{
    struct calls *c = hard_calls();
    atomic_bool stop = true;
    struct check_options options = {.stop = &stop};
    struct check_result r;

    check_calls(c, &options, &r);
    CHECK_INT(r.verdict, VERDICT_UNKNOWN);
    check_result_release(&r);
    calls_free(c);
}

/* ---- replay ---- */

static void
test_replay_refuses(void)
{
    struct calls *c = calls_new_raw(&model_register);
    char reason[REASON_TEXT_MAX];

    calls_append(c, REGISTER_WRITE, 0, 0, 1);
    calls_append(c, REGISTER_READ, 1, 2, 3);
    calls_append(c, REGISTER_WRITE, 2, 4, CALL_OPEN);
    c->a[0] = 1;
    c->result[1] = 1;
    c->a[2] = 2;
    struct problem p = {c, NULL, 3, VALUE_ABSENT};
    CHECK(problem_replay(&p, (uint32_t[]){0, 1}, 2, reason));
    CHECK(problem_replay(&p, (uint32_t[]){0, 1, 2}, 3, reason));
    CHECK(!problem_replay(&p, (uint32_t[]){0}, 1, reason));
    CHECK(!problem_replay(&p, (uint32_t[]){1, 0}, 2, reason));
    CHECK(!problem_replay(&p, (uint32_t[]){0, 2, 1}, 3, reason));
    CHECK(!problem_replay(&p, (uint32_t[]){0, 0, 1}, 3, reason));
    CHECK(!problem_replay(&p, (uint32_t[]){0, 1, 7}, 3, reason));
    calls_free(c);
}

int
main(void)
{
    RUN(test_agree_with_brute_force);
    RUN(test_planted_faults);
    RUN(test_every_model_is_tried);
    RUN(test_agree_on_open_calls);
    RUN(test_check_many_keys);
    RUN(test_check_planted);
    RUN(test_check_bug_beside_invalid);
    RUN(test_check_keys_at_once);
    RUN(test_witness);
    RUN(test_memory_cap);
    RUN(test_deadline);
    RUN(test_cancel);
    RUN(test_replay_refuses);
    return tap_done();
}
