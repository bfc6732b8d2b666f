/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator's sequential model on small random histories of a played
 * cluster (lost replies, retries, late requests, ticks that stop half way):
 * what is correct by construction must be valid; of those with one answer
 * changed (not every change makes them wrong) many must not.  What `ordeal
 * check` says is what brute force says, where that can be asked, and so say all
 * engines.
 *
 * Left out: histories in which time outruns the dedupe window, for the model
 * takes an operation id to be remembered for ever.
 */
#include "config.h"

#include "analyzer/check.h"
#include "analyzer/models/lease-kernel.h"
#include "analyzer/models/registry.h"
#include "tests/lib/engines-agree.h"
#include "tests/lib/random-trial.h"

#define TRIALS_DEFAULT 5000
/* Brute force takes twelve; of so many concurrent ones, too long. */
#define BRUTE_CALLS 9

/* ---- events as records ---- */

static struct tree
to_tree(struct arena *a, const struct value *v)
{
    struct tree t = {.kind = TREE_NIL};
    struct tree *items;

    switch (v->type) {
    case VALUE_INT:
        t.kind = TREE_INT;
        t.integer = v->integer;
        break;
    case VALUE_BOOL:
        t.kind = TREE_BOOL;
        t.truth = v->boolean;
        break;
    case VALUE_STRING:
        t.kind = TREE_STRING;
        t.text = v->string.text;
        t.count = (uint32_t)v->string.len;
        break;
    case VALUE_LIST:
        items = arena_alloc(a, (v->list.count + 1) * sizeof(*items));
        for (size_t i = 0; i < v->list.count; i++) {
            items[i] = to_tree(a, &v->list.items[i]);
        }
        t.kind = TREE_LIST;
        t.count = (uint32_t)v->list.count;
        t.items = items;
        break;
    default:
        break;
    }
    return t;
}

static struct tree
to_map(struct arena *a, const struct fields *f)
{
    struct tree *items = arena_alloc(a, (2 * f->count + 1) * sizeof(*items));

    for (size_t i = 0; i < f->count; i++) {
        items[2 * i] = (struct tree){.kind = TREE_STRING,
                                     .count = (uint32_t)strlen(f->items[i].key),
                                     .text = f->items[i].key};
        items[2 * i + 1] = to_tree(a, &f->items[i].value);
    }
    return (struct tree){
        .kind = TREE_MAP, .count = (uint32_t)f->count, .items = items};
}

static int
add_event(struct calls *c, struct arena *a, const struct event *e,
          struct error *err)
{
    struct tree value = to_map(a, &e->fields);
    char id[ID128_TEXT_SIZE];
    struct record r = {
        .type = e->kind == EVENT_INVOKE ? RECORD_INVOKE
                : e->kind == EVENT_OK   ? RECORD_OK
                : e->kind == EVENT_FAIL ? RECORD_FAIL
                                        : RECORD_INFO,
        .process = e->process,
        .function = e->function,
        .value = &value,
        .attempt = e->attempt,
        .attempt_only = e->kind == EVENT_FAIL,
        .position =
            e->position.known ? e->position.index : RECORD_POSITION_NONE,
        .time_ns = e->time_ns,
        .line = e->index + 1,
    };

    if (!id128_is_zero(e->operation)) {
        id128_format(e->operation, id);
        r.operation_id = id;
    }
    return calls_add(c, &r, err);
}

/* Of each part, then of all: a command on a lease that nobody was ever told of
 * makes everything possible, but not in parts that it cannot be about. */
static enum verdict
brute_verdict(const struct problem *p, const struct check_result *r)
{
    enum verdict worst = VERDICT_VALID;

    for (uint32_t i = 0; r->parts.problems != NULL && i < r->parts.count; i++) {
        worst = verdict_worst(worst, engines_agree(&r->parts.problems[i]));
    }
    return verdict_worst(worst, engines_agree(p));
}

static enum verdict
trial_verdict(const struct trial *t, uint64_t *ret_brute)
{
    struct calls_options options = {.model = &model_allocator};
    struct check_options check = {.jobs = 1, .no_shrink = true};
    struct check_result result = {0};
    struct error err = {0};
    struct calls *c = calls_new(&options, &err);
    enum verdict verdict = VERDICT_UNKNOWN;
    struct arena a;
    int status = 0;

    arena_init(&a);
    for (int i = 0; i < t->event_count && status == 0; i++) {
        struct event e;
        if (t->events[i].attempt >= 0) {
            trial_event(t, i, &a, &e);
            status = add_event(c, &a, &e, &err);
        }
    }
    if (status < 0 || calls_finish(c, &err) < 0) {
        printf("# %s\n", err.text);
    } else {
        check_calls(c, &check, &result);
        verdict = result.verdict;
        if (c->contradiction == NULL && c->count <= BRUTE_CALLS) {
            struct problem p = {c, NULL, c->count, VALUE_ABSENT};
            enum verdict truth = brute_verdict(&p, &result);
            if (verdict != truth) {
                printf("# %s by %s: %s%s\n", verdict_name(verdict),
                       result.decision.engine, result.decision.headline,
                       result.decision.reason);
                agree_print(&p);
            }
            CHECK_STR(verdict_name(verdict), verdict_name(truth));
            ++*ret_brute;
        }
        check_result_release(&result);
    }
    arena_release(&a);
    calls_free(c);
    return verdict;
}

/* No record of an operation is dropped before the end. */
static bool
within_window(const struct trial *t)
{
    for (int i = 0; i < t->operation_count; i++) {
        const struct tiny_command *c = &t->operations[i].command;
        if (c->function == FUNCTION_TICK && c->amount > TINY_WINDOW) {
            return false;
        }
    }
    return true;
}

static void
test_played_histories_are_valid(void)
{
    uint64_t count = agree_trials(TRIALS_DEFAULT), judged = 0, brute = 0;

    for (uint64_t seed = 0; seed < count; seed++) {
        struct trial t;
        struct rng rng;

        rng_init(&rng, seed);
        trial_generate(&t, &rng, 3 + (int)(seed % 7));
        if (!within_window(&t)) {
            continue;
        }
        enum verdict v = trial_verdict(&t, &brute);
        if (v != VERDICT_VALID) {
            printf("# seed %" PRIu64 ", %s\n", seed, verdict_name(v));
        }
        CHECK_STR(verdict_name(v), "valid");
        judged++;
    }
    agree_report("allocator", judged, 0);
    printf("# %" PRIu64 " of them judged by brute force, too\n", brute);
    CHECK(judged > count / 2);
}

static void
test_changed_histories_are_mostly_not(void)
{
    uint64_t count = agree_trials(TRIALS_DEFAULT);
    uint64_t judged = 0, invalid = 0, brute = 0;

    for (uint64_t seed = 0; seed < count; seed++) {
        struct trial t;
        struct rng rng;

        rng_init(&rng, seed);
        trial_generate(&t, &rng, 1 + (int)(seed % 5));
        trial_corrupt(&t, &rng);
        if (within_window(&t)) {
            judged++;
            invalid += trial_verdict(&t, &brute) == VERDICT_INVALID;
        }
    }
    agree_report("allocator", judged - invalid, invalid);
    printf("# %" PRIu64 " of them judged by brute force, too\n", brute);
    CHECK(invalid > judged / 10);
    CHECK(brute > judged / 2);
}

int
main(void)
{
    RUN(test_played_histories_are_valid);
    RUN(test_changed_histories_are_mostly_not);
    return tap_done();
}
