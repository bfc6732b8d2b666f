/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linear engines: counters against brute force; sets, banks, ids, queues
 * that lose nothing and long forks against their definitions; and a history for
 * each fault with the nearest correct one.
 */
#include "config.h"

#include "analyzer/models/functions.h"
#include "harness/base/arena.h"
#include "tests/lib/exact-trial.h"

/* ---- counter ---- */

static void
counter_fill(struct calls *c, struct rng *rng)
{
    int64_t amount = rng_below(rng, 3) == 0 ? -2 : 1;
    bool equal = rng_below(rng, 8) > 0;
    uint32_t adds = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        if (rng_below(rng, 2) == 0) {
            c->function[i] = COUNTER_ADD;
            int64_t by = equal ? amount : (int64_t)rng_below(rng, 5) - 2;
            c->a[i] = value_of_int(c, by);
            adds++;
        } else {
            c->function[i] = COUNTER_READ;
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == COUNTER_READ && c->complete[i] != CALL_OPEN) {
            int64_t level = (int64_t)rng_below(rng, adds + 1);
            c->result[i] = value_of_int(c, level * amount);
        }
    }
}

static void
test_counter_agrees_with_brute_force(void)
{
    struct trial t = {.model = model_find("counter"),
                      .engine = &engine_counter,
                      .fill = counter_fill,
                      .unknown_max_percent = 20};

    CHECK(trial_run(&t, 60000));
}

/* ---- what is said of a few calls ---- */

static struct calls *screen;
static uint32_t screen_rank;

static void
screen_new(const char *model)
{
    screen = calls_new_raw(model_find(model));
    screen_rank = 0;
}

/* A call that is over before the next one begins; 'open': it never is. */
static uint32_t
screen_call(uint8_t function, bool open)
{
    uint32_t i = calls_append(screen, function, 0, screen_rank,
                              open ? CALL_OPEN : screen_rank + 1);
    screen_rank += 2;
    return i;
}

static uint32_t
screen_put(uint8_t function, uint32_t a, bool open)
{
    uint32_t i = screen_call(function, open);
    screen->a[i] = a;
    return i;
}

static uint32_t
screen_take(uint8_t function, uint32_t result)
{
    uint32_t i = screen_call(function, false);
    screen->result[i] = result;
    return i;
}

static uint32_t
screen_list(uint8_t function, const uint32_t *words, uint32_t count)
{
    uint32_t i = screen_call(function, false);
    screen->list[i] = calls_list(screen, words, count);
    return i;
}

/* Judges and frees the calls; the core's size, or minus the verdict. */
static int
screen_judge(const struct engine_ops *engine, const char *headline)
{
    struct problem p = {
        .calls = screen, .count = screen->count, .key = VALUE_ABSENT};
    struct budget b = agree_budget();
    struct decision d;

    engine_decide(engine, &p, &b, &d);
    int ret =
        d.verdict == VERDICT_INVALID ? (int)d.core_count : -(int)d.verdict;
    if (d.verdict == VERDICT_INVALID &&
        (headline == NULL || strstr(d.headline, headline) == NULL)) {
        printf("# headline: %s\n", d.headline);
        ret = -100;
    }
    decision_release(&d);
    calls_free(screen);
    return ret;
}

#define JUDGED_VALID (-(int)VERDICT_VALID)
#define JUDGED_UNKNOWN (-(int)VERDICT_UNKNOWN)
#define WORDS(...)                                                             \
    (const uint32_t[]){__VA_ARGS__},                                           \
        sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

static void
test_counter_bounds(void)
{
    screen_new("counter");
    screen_put(COUNTER_ADD, 1, false);
    screen_put(COUNTER_ADD, 5, true);
    screen_take(COUNTER_READ, 7);
    CHECK_INT(screen_judge(&engine_counter, "cannot be above 6"), 3);

    screen_new("counter");
    screen_put(COUNTER_ADD, 3, false);
    screen_put(COUNTER_ADD, value_of_int(screen, -1), true);
    screen_put(COUNTER_ADD, 9, true);
    screen_take(COUNTER_READ, 1);
    CHECK_INT(screen_judge(&engine_counter, "cannot be below 2"), 3);
}

static void
test_bank(void)
{
    screen_new("bank");
    screen_list(BANK_READ, WORDS(0, 10, 1, 20));
    screen_list(BANK_TRANSFER, WORDS(0, 1, 5));
    screen_list(BANK_READ, WORDS(0, 5, 1, 25));
    CHECK_INT(screen_judge(&engine_bank, NULL), JUDGED_VALID);

    screen_new("bank");
    screen_list(BANK_READ, WORDS(0, 10, 1, 20));
    screen_list(BANK_READ, WORDS(0, 5, 1, 20));
    CHECK_INT(screen_judge(&engine_bank, "reads saw 30 and 25"), 2);

    screen_new("bank");
    screen->initial = 31;
    screen_list(BANK_READ, WORDS(0, 10, 1, 20));
    CHECK_INT(screen_judge(&engine_bank, "31 and 30"), 1);

    screen_new("bank");
    uint32_t minus = value_of_int(screen, -1);
    screen_list(BANK_READ, WORDS(0, 31, 1, minus));
    CHECK_INT(screen_judge(&engine_bank, "overdrawn"), 1);

    screen_new("bank");
    screen_list(BANK_READ, WORDS(0, 31, 1, VALUE_NIL));
    CHECK_INT(screen_judge(&engine_bank, "no balance"), 1);
}

static void
test_unique_ids(void)
{
    screen_new("unique-ids");
    for (uint32_t i = 0; i < 1000; i++) {
        screen_take(UNIQUE_IDS_GENERATE, i * 7919 % 100003);
    }
    CHECK_INT(screen_judge(&engine_unique_ids, NULL), JUDGED_VALID);

    screen_new("unique-ids");
    for (uint32_t i = 0; i < 1000; i++) {
        screen_take(UNIQUE_IDS_GENERATE, i == 900 ? 3 * 1000000 : i * 1000000);
    }
    CHECK_INT(screen_judge(&engine_unique_ids, "id 3000000 was given out"), 2);
}

static void
test_total_queue(void)
{
    screen_new("total-queue");
    screen_put(TOTAL_QUEUE_ENQUEUE, 1, false);
    screen_put(TOTAL_QUEUE_ENQUEUE, 1, false);
    screen_put(TOTAL_QUEUE_ENQUEUE, 2, true);
    screen_take(TOTAL_QUEUE_DEQUEUE, 2);
    screen_take(TOTAL_QUEUE_DEQUEUE, 1);
    screen_list(TOTAL_QUEUE_DRAIN, WORDS(1));
    screen_take(TOTAL_QUEUE_DEQUEUE, VALUE_NIL);
    CHECK_INT(screen_judge(&engine_total_queue, NULL), JUDGED_VALID);

    screen_new("total-queue");
    screen_put(TOTAL_QUEUE_ENQUEUE, 1, false);
    screen_put(TOTAL_QUEUE_ENQUEUE, 2, false);
    screen_take(TOTAL_QUEUE_DEQUEUE, 2);
    CHECK_INT(screen_judge(&engine_total_queue, "lost: 1"), 1);

    screen_new("total-queue");
    screen_put(TOTAL_QUEUE_ENQUEUE, 1, false);
    screen_call(TOTAL_QUEUE_DEQUEUE, true);
    CHECK_INT(screen_judge(&engine_total_queue, NULL), JUDGED_VALID);

    screen_new("total-queue");
    screen_put(TOTAL_QUEUE_ENQUEUE, 1, false);
    screen_put(TOTAL_QUEUE_ENQUEUE, 2, false);
    screen_call(TOTAL_QUEUE_DEQUEUE, true);
    CHECK_INT(screen_judge(&engine_total_queue, "lost: 1"), 3);

    screen_new("total-queue");
    screen_put(TOTAL_QUEUE_ENQUEUE, 1, false);
    screen_take(TOTAL_QUEUE_DEQUEUE, 1);
    screen_take(TOTAL_QUEUE_DEQUEUE, 1);
    CHECK_INT(screen_judge(&engine_total_queue, "duplicated: 1"), 3);

    screen_new("total-queue");
    screen_take(TOTAL_QUEUE_DEQUEUE, 4);
    CHECK_INT(screen_judge(&engine_total_queue, "unexpected: 4"), 1);
}

static void
test_set_full(void)
{
    screen_new("set-full");
    screen_put(SET_FULL_ADD, 1, false);
    screen_list(SET_FULL_READ, WORDS(1));
    screen_put(SET_FULL_ADD, 2, false);
    CHECK_INT(screen_judge(&engine_set_full, NULL), JUDGED_VALID);

    screen_new("set-full");
    screen_put(SET_FULL_ADD, 1, false);
    screen_put(SET_FULL_ADD, 2, false);
    screen_list(SET_FULL_READ, WORDS(1));
    CHECK_INT(screen_judge(&engine_set_full, "lost: element 2 was added"), 2);

    screen_new("set-full");
    screen_put(SET_FULL_ADD, 1, false);
    screen_put(SET_FULL_ADD, 2, true);
    screen_list(SET_FULL_READ, WORDS(1, 2));
    screen_list(SET_FULL_READ, WORDS(1));
    CHECK_INT(screen_judge(&engine_set_full, "lost: element 2 had been"), 3);

    /* Late, but not lost. */
    screen_new("set-full");
    screen_put(SET_FULL_ADD, 1, false);
    screen_call(SET_FULL_READ, false);
    screen_list(SET_FULL_READ, WORDS(1));
    CHECK_INT(screen_judge(&engine_set_full, NULL), JUDGED_VALID);

    screen_new("set-full");
    screen_put(SET_FULL_ADD, 1, false);
    CHECK_INT(screen_judge(&engine_set_full, NULL), JUDGED_UNKNOWN);

    screen_new("set-full");
    screen_put(SET_FULL_ADD, 1, false);
    screen_list(SET_FULL_READ, WORDS(1, 1));
    CHECK_INT(screen_judge(&engine_set_full, "showed 1 twice"), 2);

    screen_new("set-full");
    screen_put(SET_FULL_ADD, 1, false);
    screen_list(SET_FULL_READ, WORDS(1, 9));
    CHECK_INT(screen_judge(&engine_set_full, "nobody had added"), 1);
}

static void
test_long_fork(void)
{
    for (uint32_t fork = 0; fork < 2; fork++) {
        screen_new("long-fork");
        screen_put(LONG_FORK_WRITE, 1, false);
        screen_put(LONG_FORK_WRITE, 2, true);
        screen->b[0] = screen->b[1] = 1;
        screen_list(LONG_FORK_READ, WORDS(1, VALUE_NIL, 2, VALUE_NIL));
        screen_list(LONG_FORK_READ, WORDS(1, 1, 2, VALUE_NIL));
        screen_list(LONG_FORK_READ, WORDS(2, 1, 1, fork ? VALUE_NIL : 1));
        CHECK_INT(screen_judge(&engine_long_fork, "long fork"),
                  fork ? 4 : JUDGED_VALID);
    }
    screen_new("long-fork");
    screen_put(LONG_FORK_WRITE, 1, false);
    screen->b[0] = 1;
    screen_list(LONG_FORK_READ, WORDS(1, 2));
    CHECK_INT(screen_judge(&engine_long_fork, "nobody wrote"), 1);
}

/* ---- against definitions ---- */

/* Jepsen's words, each element with each read. */
static enum verdict
set_full_by_definition(const struct calls *c, uint32_t element)
{
    uint32_t known = CALL_OPEN, add = UINT32_MAX;
    int64_t present = -1, absent = -1;

    for (uint32_t i = 0; i < c->count; i++) {
        bool shows = false;
        for (uint32_t k = 0; k < call_list_count(c, i); k++) {
            shows = shows || call_list(c, i)[k] == element;
        }
        if (c->function[i] == SET_FULL_ADD && c->a[i] == element) {
            add = i;
            known = c->complete[i] < known ? c->complete[i] : known;
        } else if (c->function[i] == SET_FULL_READ && shows) {
            known = c->complete[i] < known ? c->complete[i] : known;
            present = c->invoke[i];
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        bool shows = false;
        for (uint32_t k = 0; k < call_list_count(c, i); k++) {
            shows = shows || call_list(c, i)[k] == element;
        }
        if (c->function[i] == SET_FULL_READ && !shows &&
            c->complete[i] != CALL_OPEN && c->complete[i] > c->invoke[add]) {
            absent = c->invoke[i];
        }
    }
    if (present > absent) {
        return VERDICT_VALID;
    }
    return known != CALL_OPEN && absent > present && (int64_t)known < absent
               ? VERDICT_INVALID
               : VERDICT_UNKNOWN;
}

static void
set_full_fill(struct calls *c, struct rng *rng)
{
    uint32_t added = 0, list[TRIAL_CALLS_MAX];

    for (uint32_t i = 0; i < c->count; i++) {
        if (rng_below(rng, 2) == 0) {
            c->function[i] = SET_FULL_ADD;
            c->a[i] = ++added;
            continue;
        }
        c->function[i] = SET_FULL_READ;
        uint32_t count = 0;
        for (uint32_t k = 1; k <= added && c->complete[i] != CALL_OPEN; k++) {
            if (rng_below(rng, 6) > 0) {
                list[count++] = k;
            }
        }
        c->list[i] = calls_list(c, list, count);
    }
}

static enum verdict
set_full_truth(const struct calls *c)
{
    enum verdict expected = VERDICT_UNKNOWN;

    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] == SET_FULL_ADD) {
            enum verdict v = set_full_by_definition(c, c->a[i]);
            expected = v == VERDICT_INVALID || (v == VERDICT_VALID &&
                                                expected != VERDICT_INVALID)
                           ? v
                           : expected;
        }
    }
    return expected;
}

/* What is promised of a few calls, word for word. */
struct definition {
    const char *model;
    const struct engine_ops *engine;
    /* Right histories, but for one answer that is changed in half of them; the
     * truth says whether to a wrong one. */
    void (*fill)(struct calls *c, struct rng *rng);
    enum verdict (*truth)(const struct calls *c);
};

static void
definition_run(const struct definition *definition, uint64_t usual)
{
    const struct model_ops *model = model_find(definition->model);
    uint64_t seen[3] = {0}, count = agree_trials(usual);

    for (uint64_t seed = 0; seed < count; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        struct calls *c = trial_intervals(model, &rng);
        definition->fill(c, &rng);
        enum verdict expected = definition->truth(c);
        struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
        struct budget b = agree_budget();
        struct decision d;
        engine_decide(definition->engine, &p, &b, &d);
        seen[d.verdict]++;
        if (d.verdict != expected) {
            printf("# seed %" PRIu64 ", in truth %s\n", seed,
                   verdict_name(expected));
            trial_print(c, &d);
        }
        CHECK_INT(d.verdict, expected);
        decision_release(&d);
        calls_free(c);
    }
    agree_report(definition->model, count - seen[VERDICT_INVALID],
                 seen[VERDICT_INVALID]);
    printf("# %" PRIu64 " unknown\n", seen[VERDICT_UNKNOWN]);
    CHECK(seen[VERDICT_VALID] > count / 20);
    CHECK(seen[VERDICT_INVALID] > count / 20);
}

static void
test_set_full_by_definition(void)
{
    static const struct definition d = {"set-full", &engine_set_full,
                                        set_full_fill, set_full_truth};

    definition_run(&d, 30000);
}

/* ---- bank: reads see one total, which may have been told ---- */

#define BANK_ACCOUNTS 3
#define BANK_TOTAL 10

static void
bank_fill(struct calls *c, struct rng *rng)
{
    uint32_t changed = (uint32_t)rng_below(rng, 2 * c->count);

    if (rng_below(rng, 2) == 0) {
        c->initial = BANK_TOTAL;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t words[2 * BANK_ACCOUNTS], left = BANK_TOTAL;
        uint32_t *last = &words[2 * BANK_ACCOUNTS - 1];
        c->function[i] = rng_below(rng, 3) == 0 ? BANK_TRANSFER : BANK_READ;
        if (c->function[i] == BANK_TRANSFER) {
            words[0] = 0;
            words[1] = words[2] = 1;
            c->list[i] = calls_list(c, words, 3);
            continue;
        }
        for (uint32_t k = 0; k < BANK_ACCOUNTS; k++) {
            words[2 * k] = k;
            words[2 * k + 1] = (uint32_t)rng_below(rng, left + 1);
            left -= words[2 * k + 1];
        }
        *last += left;
        if (i == changed && rng_below(rng, 3) == 0) {
            words[1] = VALUE_NIL;
        } else if (i == changed && rng_below(rng, 2) == 0) {
            words[1] = value_of_int(c, -1);
            *last = BANK_TOTAL + 1 - words[3];
        } else if (i == changed) {
            ++*last;
        }
        c->list[i] = calls_list(c, words, 2 * BANK_ACCOUNTS);
    }
}

static enum verdict
bank_truth(const struct calls *c)
{
    bool bad = false;
    int64_t totals[TRIAL_CALLS_MAX + 1];
    uint32_t count = 0;

    if (c->initial != VALUE_ABSENT) {
        CHECK(value_to_int(c, c->initial, &totals[count++]));
    }
    for (uint32_t i = 0; i < c->count; i++) {
        int64_t balance, total = 0;
        if (c->function[i] != BANK_READ || c->complete[i] == CALL_OPEN) {
            continue;
        }
        for (uint32_t k = 1; k < call_list_count(c, i); k += 2) {
            bool there = value_to_int(c, call_list(c, i)[k], &balance);
            bad = bad || !there || balance < 0;
            total += there ? balance : 0;
        }
        totals[count++] = total;
    }
    for (uint32_t i = 1; i < count; i++) {
        bad = bad || totals[i] != totals[0];
    }
    return bad ? VERDICT_INVALID : VERDICT_VALID;
}

static void
test_bank_by_definition(void)
{
    static const struct definition d = {"bank", &engine_bank, bank_fill,
                                        bank_truth};

    definition_run(&d, 20000);
}

/* ---- unique-ids: no two are equal ---- */

static void
unique_ids_fill(struct calls *c, struct rng *rng)
{
    uint32_t changed = (uint32_t)rng_below(rng, 2 * c->count);
    uint32_t stride = rng_below(rng, 2) == 0 ? 1 : 1000003;

    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t id = i == changed ? (uint32_t)rng_below(rng, c->count) : i;
        c->complete[i] =
            c->complete[i] == CALL_OPEN ? c->rank_count++ : c->complete[i];
        c->result[i] = 7 + stride * id;
    }
}

static enum verdict
unique_ids_truth(const struct calls *c)
{
    bool twice = false;

    for (uint32_t i = 0; i < c->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            twice = twice || c->result[i] == c->result[k];
        }
    }
    return twice ? VERDICT_INVALID : VERDICT_VALID;
}

static void
test_unique_ids_by_definition(void)
{
    static const struct definition d = {"unique-ids", &engine_unique_ids,
                                        unique_ids_fill, unique_ids_truth};

    definition_run(&d, 20000);
}

/* ---- total-queue: each thing that came out was one that had been put in ----
 */

static void
total_queue_fill(struct calls *c, struct rng *rng)
{
    uint32_t inside[TRIAL_CALLS_MAX], count = 0;
    uint32_t changed = (uint32_t)rng_below(rng, 2 * c->count);

    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t words[TRIAL_CALLS_MAX], taken = 0;
        bool open = c->complete[i] == CALL_OPEN, last = i + 1 == c->count;
        if (!last && rng_below(rng, 2) == 0) {
            c->function[i] = TOTAL_QUEUE_ENQUEUE;
            inside[count++] = c->a[i] = 1 + (uint32_t)rng_below(rng, 4);
            continue;
        }
        c->function[i] = last || rng_below(rng, 8) == 0 ? TOTAL_QUEUE_DRAIN
                                                        : TOTAL_QUEUE_DEQUEUE;
        uint32_t most = c->function[i] == TOTAL_QUEUE_DRAIN ? count : 1;
        while (taken < most && count > 0) {
            uint32_t at = (uint32_t)rng_below(rng, count);
            words[taken++] = inside[at];
            inside[at] = inside[--count];
        }
        if (i == changed && taken > 0) {
            words[0] = 1 + (uint32_t)rng_below(rng, 5);
        } else if (i == changed) {
            words[taken++] = 1 + (uint32_t)rng_below(rng, 5);
        }
        if (open) {
            continue;
        }
        if (c->function[i] == TOTAL_QUEUE_DRAIN) {
            c->list[i] = calls_list(c, words, taken);
        } else {
            c->result[i] = taken > 0 ? words[0] : VALUE_NIL;
        }
    }
}

struct total_match {
    const struct calls *c;
    uint32_t out[2 * TRIAL_CALLS_MAX], count; /* ABSENT: an open dequeue's */
    uint32_t used;                            /* a bit per call that put */
    bool drained;
};

/* Whether the rest of what came out can be told from whom it came, and nothing
 * that was surely put in is left: all ways are tried. */
static bool
total_matches(struct total_match *m, uint32_t at)
{
    const struct calls *c = m->c;
    bool left = false;

    for (uint32_t i = 0; i < c->count; i++) {
        bool put =
            c->function[i] == TOTAL_QUEUE_ENQUEUE && (m->used >> i & 1) == 0;
        left = left || (put && c->complete[i] != CALL_OPEN);
        if (!put || at == m->count ||
            (m->out[at] != VALUE_ABSENT && m->out[at] != c->a[i])) {
            continue;
        }
        m->used ^= UINT32_C(1) << i;
        bool good = total_matches(m, at + 1);
        m->used ^= UINT32_C(1) << i;
        if (good) {
            return true;
        }
    }
    if (at == m->count) {
        return m->drained || !left;
    }
    return m->out[at] == VALUE_ABSENT && total_matches(m, at + 1);
}

static enum verdict
total_queue_truth(const struct calls *c)
{
    struct total_match m = {.c = c};

    for (uint32_t i = 0; i < c->count; i++) {
        bool open = c->complete[i] == CALL_OPEN;
        if (c->function[i] == TOTAL_QUEUE_DRAIN) {
            m.drained = m.drained || open;
            for (uint32_t k = 0; k < call_list_count(c, i); k++) {
                m.out[m.count++] = call_list(c, i)[k];
            }
        } else if (c->function[i] == TOTAL_QUEUE_DEQUEUE &&
                   c->result[i] != VALUE_NIL) {
            m.out[m.count++] = open ? VALUE_ABSENT : c->result[i];
        }
    }
    return total_matches(&m, 0) ? VERDICT_VALID : VERDICT_INVALID;
}

static void
test_total_queue_by_definition(void)
{
    static const struct definition d = {"total-queue", &engine_total_queue,
                                        total_queue_fill, total_queue_truth};

    definition_run(&d, 20000);
}

/* ---- long-fork ---- */

static bool
fork_by_definition(const struct calls *c, uint32_t a, uint32_t b)
{
    bool ahead[2] = {false, false};

    for (uint32_t i = 0; i < call_list_count(c, a); i += 2) {
        for (uint32_t k = 0; k < call_list_count(c, b); k += 2) {
            const uint32_t *x = call_list(c, a) + i, *y = call_list(c, b) + k;
            if (x[0] == y[0]) {
                ahead[0] = ahead[0] || (x[1] != VALUE_NIL && y[1] == VALUE_NIL);
                ahead[1] = ahead[1] || (x[1] == VALUE_NIL && y[1] != VALUE_NIL);
            }
        }
    }
    return ahead[0] && ahead[1];
}

static void
test_long_fork_by_definition(void)
{
    uint64_t seen[3] = {0}, count = agree_trials(20000);

    for (uint64_t seed = 0; seed < count; seed++) {
        struct rng rng;
        struct budget b = agree_budget();
        struct decision d;
        bool fork = false;

        rng_init(&rng, seed);
        screen_new("long-fork");
        for (uint32_t k = 0; k < 6; k++) {
            uint32_t write = screen_put(LONG_FORK_WRITE, k, false);
            screen->b[write] = 1;
        }
        uint32_t reads = 2 + (uint32_t)rng_below(&rng, 5);
        bool overlap = rng_below(&rng, 2) == 0;
        for (uint32_t i = 0; i < reads; i++) {
            uint32_t words[6], first = (uint32_t)rng_below(&rng, 2) * 3;
            first = overlap ? (uint32_t)rng_below(&rng, 4) : first;
            uint32_t turn = (uint32_t)rng_below(&rng, 3);
            for (uint32_t k = 0; k < 3; k++) {
                words[2 * k] = first + (k + turn) % 3;
                words[2 * k + 1] = rng_below(&rng, reads) < i ? 1 : VALUE_NIL;
            }
            screen_list(LONG_FORK_READ, words, 6);
        }
        for (uint32_t i = 6; i < screen->count; i++) {
            for (uint32_t k = i + 1; k < screen->count; k++) {
                fork = fork || fork_by_definition(screen, i, k);
            }
        }
        struct problem p = {
            .calls = screen, .count = screen->count, .key = VALUE_ABSENT};
        engine_decide(&engine_long_fork, &p, &b, &d);
        seen[d.verdict]++;
        CHECK_INT(d.verdict, fork ? VERDICT_INVALID : VERDICT_VALID);
        decision_release(&d);
        calls_free(screen);
    }
    agree_report("long-fork", seen[VERDICT_VALID], seen[VERDICT_INVALID]);
}

int
main(void)
{
    RUN(test_counter_agrees_with_brute_force);
    RUN(test_counter_bounds);
    RUN(test_bank);
    RUN(test_unique_ids);
    RUN(test_total_queue);
    RUN(test_set_full);
    RUN(test_long_fork);
    RUN(test_set_full_by_definition);
    RUN(test_bank_by_definition);
    RUN(test_unique_ids_by_definition);
    RUN(test_total_queue_by_definition);
    RUN(test_long_fork_by_definition);
    return tap_done();
}
