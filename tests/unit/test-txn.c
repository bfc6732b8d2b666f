/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines of transactions: each anomaly by hand and the nearest histories
 * that lack it, random small histories against brute force, and other people's
 * histories with known verdicts.  Every core must be invalid by itself.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/engines/engine.h"
#include "harness/base/arena.h"
#include "harness/base/buf.h"
#include "harness/base/rng.h"
#include "tests/lib/tap.h"
#include "tests/lib/txn-builder.h"

#define MEMORY ((size_t)1 << 30)

static struct decision last;
static struct calls *history;

static void
judge(const struct calls *c, struct decision *ret)
{
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct budget b = {.clock = clock_monotonic(),
                       .deadline_ns = INT64_MAX,
                       .memory_bytes = MEMORY};

    engine_decide(c->model->exact[0], &p, &b, ret);
}

/* The core alone is invalid as well, and its edges join its calls. */
static bool
core_stands(const struct calls *c, const struct decision *d)
{
    struct problem p = {.calls = c,
                        .members = d->core,
                        .count = d->core_count,
                        .key = VALUE_ABSENT};
    struct budget b = {.clock = clock_monotonic(),
                       .deadline_ns = INT64_MAX,
                       .memory_bytes = MEMORY};
    struct decision again;
    bool invalid;

    engine_decide(c->model->exact[0], &p, &b, &again);
    invalid = again.verdict == VERDICT_INVALID;
    decision_release(&again);
    for (uint32_t i = 1; i < d->core_count; i++)
        invalid = invalid && d->core[i - 1] < d->core[i];
    for (uint32_t i = 0; i < d->edge_count; i++) {
        unsigned ends = 0;

        for (uint32_t j = 0; j < d->core_count; j++)
            ends += (d->core[j] == d->edges[i].from) +
                    (d->core[j] == d->edges[i].to);
        invalid = invalid && ends == 2 && d->edges[i].text != NULL;
    }
    return invalid;
}

/* Whatever is left out, what is left is not invalid. */
static bool
core_minimal(const struct calls *c, const struct decision *d)
{
    uint32_t *members = xcalloc(d->core_count, sizeof(*members));
    bool minimal = true;

    for (uint32_t i = 0; i < d->core_count && minimal; i++) {
        struct problem p = {.calls = c,
                            .members = members,
                            .count = d->core_count - 1,
                            .key = VALUE_ABSENT};
        struct budget b = {.clock = clock_monotonic(),
                           .deadline_ns = INT64_MAX,
                           .memory_bytes = MEMORY};
        struct decision again;

        memcpy(members, d->core, i * sizeof(*members));
        memcpy(members + i, d->core + i + 1,
               (d->core_count - i - 1) * sizeof(*members));
        engine_decide(c->model->exact[0], &p, &b, &again);
        minimal = again.verdict != VERDICT_INVALID;
        decision_release(&again);
    }
    free(members);
    return minimal;
}

static void
forget(void)
{
    decision_release(&last);
    calls_free(history);
    history = NULL;
}

/* NULL: valid; else the anomaly's name, which the headline begins with. */
static bool
is(const char *model, const char *anomaly, const char *const *texts,
   size_t count)
{
    bool right;

    forget();
    history = txn_text_calls(model, texts, count);
    judge(history, &last);
    if (anomaly == NULL)
        right = last.verdict == VERDICT_VALID;
    else
        right = last.verdict == VERDICT_INVALID &&
                strncmp(last.headline, anomaly, strlen(anomaly)) == 0 &&
                last.headline[strlen(anomaly)] == ',' &&
                core_stands(history, &last) && core_minimal(history, &last);
    if (!right)
        printf("# %s: %s: %s%s\n", model, verdict_name(last.verdict),
               last.headline, last.reason);
    return right;
}

#define IS(model, anomaly, ...)                                                \
    do {                                                                       \
        static const char *const texts_[] = {__VA_ARGS__};                     \
        CHECK(is(model, anomaly, texts_, ARRAY_LEN(texts_)));                  \
    } while (0)

static void
test_empty(void)
{
    forget();
    history = txn_text_calls("list-append", NULL, 0);
    judge(history, &last);
    CHECK_INT(last.verdict, VERDICT_VALID);
    IS("list-append", NULL, "0 0-1");
    IS("list-append", NULL, "0 0-1 ax1", "1 2-3 rx[1]");
}

static void
test_levels(void)
{
    CHECK_STR(model_find("list-append:si")->name,
              "list-append:snapshot-isolation");
    CHECK_STR(model_find("list-append:read-committed")->name,
              "list-append:read-committed");
    CHECK(model_find("list-append:none") == NULL);
    CHECK(model_find("register:si") == NULL);
    CHECK(model_find(":si") == NULL);
    CHECK_INT(txn_level_of(model_find("list-append")),
              LEVEL_STRICT_SERIALIZABLE);
    for (unsigned i = 0; i < LEVEL_COUNT; i++) {
        enum txn_level level;
        const struct txn_level_info *info = txn_level_info((enum txn_level)i);

        CHECK(txn_level_parse(info->name, &level) && level == i);
        CHECK(txn_level_parse(info->alias, &level) && level == i);
    }
}

static void
test_duplicate_elements(void)
{
    IS("list-append:ru", "duplicate-elements", "0 0-1 ax1", "1 2-3 rx[1,1]");
    IS("list-append:ru", NULL, "0 0-1 ax1 ax2", "1 2-3 rx[1,2]");
}

static void
test_g0(void)
{
    /* x: T1 before T2; y: T2 before T1. */
    IS("list-append:ru", "G0", "0 0-3 ax1 ay1", "1 1-4 ax2 ay2",
       "2 5-6 rx[1,2] ry[2,1]");
    IS("list-append", "G0", "0 0-3 ax1 ay1", "1 1-4 ax2 ay2", "2 5-6 rx[1,2]",
       "2 7-8 ry[2,1]");
    IS("list-append", NULL, "0 0-3 ax1 ay1", "1 1-4 ax2 ay2",
       "2 5-6 rx[1,2] ry[1,2]");
    /* The one that is open may never have been, at the lowest level. */
    IS("list-append:ru", NULL, "0 0-3 ax1 ay1", "1 1-? ax2 ay2",
       "2 5-6 rx[1,2] ry[2,1]");
    IS("list-append:rc", "G0", "0 0-3 ax1 ay1", "1 1-? ax2 ay2",
       "2 5-6 rx[1,2] ry[2,1]");
}

static void
test_aborted(void)
{
    IS("list-append:rc", "G1a", "0 0-1! ax1", "1 2-3 rx[1]");
    IS("list-append:ru", NULL, "0 0-1! ax1", "1 2-3 rx[1]");
    IS("list-append", NULL, "0 0-1! ax1", "1 2-3 rx[]");
    IS("list-append", NULL, "0 0-? ax1", "1 2-3 rx[1]");
    IS("list-append:rc", "dirty-update", "0 0-1! ax1", "1 2-3 ax2",
       "1 4-5 rx[1,2]");
    /* A value that was given again is the one that did not fail. */
    IS("list-append", NULL, "0 0-1! ax1", "0 2-3 ax1", "1 4-5 rx[1]");
}

static void
test_incompatible_order(void)
{
    IS("list-append:rc", "incompatible-order", "0 0-5 ax1", "1 1-6 ax2",
       "2 2-3 rx[1]", "3 4-7 rx[2]");
    IS("list-append:ru", NULL, "0 0-5 ax1", "1 1-6 ax2", "2 2-3 rx[1]",
       "3 4-7 rx[2]");
    IS("list-append", NULL, "0 0-5 ax1", "1 1-6 ax2", "2 2-3 rx[1]",
       "3 4-7 rx[1,2]");
    IS("list-append:rc", "G1a", "0 0-5! ax1", "1 1-6 ax2", "2 2-3 rx[1]",
       "3 4-7 rx[2]");
}

static void
test_intermediate(void)
{
    IS("list-append:rc", "G1b", "0 0-3 ax1 ax2", "1 1-2 rx[1]");
    IS("list-append:ru", NULL, "0 0-3 ax1 ax2", "1 1-2 rx[1]");
    IS("list-append", NULL, "0 0-3 ax1 rx[1] ax2", "1 1-2 rx[1,2]");
    IS("list-append", NULL, "0 0-3 ax1 ax2", "1 1-2 rx[]");
}

static void
test_g1c(void)
{
    IS("list-append:rc", "G1c", "0 0-3 ax1 ry[1]", "1 1-2 ay1 rx[1]");
    IS("list-append:ru", NULL, "0 0-3 ax1 ry[1]", "1 1-2 ay1 rx[1]");
    IS("list-append", NULL, "0 0-3 ax1 ry[1]", "1 1-2 ay1 rx[]");
    /* By an overwrite and a read. */
    IS("list-append:rc", "G1c", "0 0-3 ax1 ry[1]", "1 1-2 ax2 ay1",
       "2 4-5 rx[1,2]");
}

static void
test_internal(void)
{
    IS("list-append:si", "internal", "0 0-1 ax1 rx[]");
    IS("list-append:rc", NULL, "0 0-1 ax1 rx[]");
    IS("list-append", "internal", "0 0-1 ax1", "1 2-3 rx[1] ax2 rx[1]");
    IS("list-append", "internal", "0 0-1 ax1", "1 0-3 rx[1] rx[]");
    IS("list-append", NULL, "0 0-1 ax1", "1 2-3 rx[1] ax2 rx[1,2] rx[1,2]");
    IS("list-append:rc", "future-read", "0 0-1 rx[1] ax1");
}

static void
test_lost_update(void)
{
    IS("list-append:si", "lost-update", "0 0-2 rx[] ax1", "1 1-3 rx[] ax2");
    IS("list-append:rr", "lost-update", "0 0-2 rx[] ax1", "1 1-3 rx[] ax2",
       "2 4-5 rx[2,1]");
    IS("list-append:rc", NULL, "0 0-2 rx[] ax1", "1 1-3 rx[] ax2");
    IS("list-append", NULL, "0 0-2 rx[] ax1", "1 1-3 rx[1] ax2");
    IS("list-append", NULL, "0 0-2 rx[]", "1 1-3 rx[] ax2");
    IS("list-append", NULL, "0 0-2 rx[] ax1", "1 1-3! rx[] ax2");
}

static void
test_g_single(void)
{
    /* Read skew: T2 sees T1's y but not its x. */
    IS("list-append:si", "G-single", "0 0-3 ax1 ay1", "1 1-2 rx[] ry[1]");
    IS("list-append:rr", "G-single", "0 0-3 ax1 ay1", "1 1-2 rx[] ry[1]");
    IS("list-append:rc", NULL, "0 0-3 ax1 ay1", "1 1-2 rx[] ry[1]");
    IS("list-append", NULL, "0 0-3 ax1 ay1", "1 1-2 rx[] ry[]");
    IS("list-append", NULL, "0 0-3 ax1 ay1", "1 1-2 rx[1] ry[1]");
}

/* An append that nobody read cannot stand between an update's read and its own.
 */
static void
test_update(void)
{
    IS("list-append:si", "G-single", "0 0-2 ax1 ry[]", "1 1-3 rx[] ax2 ay3");
    IS("list-append:rc", NULL, "0 0-2 ax1 ry[]", "1 1-3 rx[] ax2 ay3");
    IS("list-append:si", NULL, "0 0-2 ax1 ry[3]", "1 1-3 rx[] ax2 ay3");
}

static void
test_g_nonadjacent(void)
{
    /* Long fork: two readers see two writers in different orders. */
    IS("list-append:si", "G-nonadjacent", "0 0-4 ax1", "1 1-5 ay1",
       "2 2-6 rx[1] ry[]", "3 3-7 rx[] ry[1]");
    IS("list-append:rc", NULL, "0 0-4 ax1", "1 1-5 ay1", "2 2-6 rx[1] ry[]",
       "3 3-7 rx[] ry[1]");
    IS("list-append", NULL, "0 0-4 ax1", "1 1-5 ay1", "2 2-6 rx[1] ry[]",
       "3 3-7 rx[1] ry[1]");
}

static void
test_g2_item(void)
{
    /* Write skew: a snapshot allows it, an order does not. */
    IS("list-append:ser", "G2-item", "0 0-2 rx[] ay1", "1 1-3 ry[] ax1");
    IS("list-append:rr", "G2-item", "0 0-2 rx[] ay1", "1 1-3 ry[] ax1");
    IS("list-append:si", NULL, "0 0-2 rx[] ay1", "1 1-3 ry[] ax1");
    IS("list-append", NULL, "0 0-2 rx[] ay1", "1 1-3 ry[1] ax1");
    CHECK(last.core == NULL);
}

static void
test_orders(void)
{
    /* A stale read, by the same process and by another one. */
    IS("list-append", "G-single-process", "0 0-1 ax1", "0 2-3 rx[]");
    IS("list-append:session-ser", "G-single-process", "0 0-1 ax1",
       "0 2-3 rx[]");
    IS("list-append:session-si", "G-single-process", "0 0-1 ax1", "0 2-3 rx[]");
    IS("list-append:ser", NULL, "0 0-1 ax1", "0 2-3 rx[]");
    IS("list-append", "G-single-realtime", "0 0-1 ax1", "1 2-3 rx[]");
    IS("list-append:strong-si", "G-single-realtime", "0 0-1 ax1", "1 2-3 rx[]");
    IS("list-append:session-ser", NULL, "0 0-1 ax1", "1 2-3 rx[]");
    IS("list-append", NULL, "0 0-2 ax1", "1 1-3 rx[]");
    IS("list-append", NULL, "0 0-? ax1", "1 2-3 rx[]");
    IS("list-append", "G0-realtime", "0 0-1 ax1", "1 2-3 ax2", "2 4-5 rx[2,1]");
    IS("list-append", "G0-process", "0 0-1 ax1", "0 2-3 ax2", "2 4-5 rx[2,1]");
    IS("list-append", "G1c-realtime", "0 0-1 rx[1]", "1 2-3 ax1");
    IS("list-append", "G2-item-realtime", "0 0-5 rx[] ay1", "1 1-2 ax1",
       "2 3-4 ry[]", "3 6-7 rx[1] ry[1]");
    IS("list-append", NULL, "0 0-5 rx[] ay1", "1 1-3 ax1", "2 2-4 ry[]",
       "3 6-7 rx[1] ry[1]");
}

/* An open transaction that somebody saw did happen, all of it. */
static void
test_open_seen(void)
{
    IS("list-append:rc", "G1c", "0 0-? ax1 ay2", "1 1-2 ay1 rx[1]",
       "2 3-4 ry[2,1]", "2 5-6 rx[1]", "3 7-8 ry[2,1] rx[1]",
       "4 9-10 az1 rx[1]", "5 11-14 ax2 rw[1]", "6 12-13 aw1 rx[1,2]");
    IS("list-append:ser", "G-single", "0 0-? ax1 ay1", "1 2-3 rx[1] ry[]");
    IS("list-append", NULL, "0 0-? ax1 ay1", "1 2-3 rx[1] ry[1]");
    IS("list-append", NULL, "0 0-? ax1 ay1", "1 2-3 rx[] ry[]");
}

/* What nobody read comes behind what was read. */
static void
test_unread(void)
{
    IS("list-append:ser", "G2-item", "0 0-1 ax2 ay5", "1 0-3 ru[] rv[] ax0",
       "2 0-4 av1 au4 rx[]", "3 5-6 au8", "4 7-8 av7 ax10");
    IS("list-append", NULL, "0 0-1 ax1", "0 2-3 rx[1] ax2");
    IS("list-append", NULL, "0 0-1 ax1", "0 2-3 rx[1] ax2", "0 4-5 ax3");
    IS("list-append", "G-single-process", "0 0-1 ax1", "0 2-3 ax2",
       "0 4-5 rx[1]");
    IS("list-append", NULL, "0 0-1 ax1", "1 2-3 ax2", "2 4-5 ax3");
}

/* Elements that nobody in the history made: others were there. */
static void
test_strangers(void)
{
    IS("list-append", NULL, "0 0-1 rx[9]", "0 2-3 ax1", "0 4-5 rx[9,1]");
    IS("list-append", "G-single-process", "0 0-1 ax1", "0 2-3 rx[1,9]",
       "0 4-5 ax2", "0 6-7 rx[1,9]");
}

static void
test_ambiguous(void)
{
    static const char *const texts[] = {"0 0-1 ax1", "1 2-3 ax1",
                                        "2 4-5 rx[1]"};

    forget();
    history = txn_text_calls("list-append", texts, ARRAY_LEN(texts));
    judge(history, &last);
    CHECK_INT(last.verdict, VERDICT_UNKNOWN);
    CHECK(strstr(last.reason, "twice") != NULL);
}

static void
test_words(void)
{
    IS("list-append", "G-single", "0 0-3 ax5 ay1", "1 1-2 rx[] ry[1]");
    CHECK(strstr(last.headline, "what may still hold: read-committed)"));
    CHECK(strstr(last.headline, "T1 (line 1) < T2 (line 2) because T2 observed "
                                "T1's append of 1 to key \"y\""));
    CHECK(strstr(last.headline, "T2 (line 2) < T1 (line 1) because T2 did not "
                                "observe T1's append of 5 to key \"x\""));
    CHECK_INT(last.core_count, 2);
    CHECK_INT(last.edge_count, 2);
    CHECK_INT(last.edges[0].kind, EDGE_OBSERVED);
    CHECK_INT(last.edges[1].kind, EDGE_ANTI);
}

/* Of many cycles the shortest. */
static void
test_shortest(void)
{
    IS("list-append:ser", "G0", "0 0-1 aa1 ac2", "0 2-3 aa2 ab1",
       "0 4-5 ab2 ac1", "0 6-7 ad1 ae2", "0 8-9 ad2 ae1 aa3",
       "0 10-11 ra[1,2,3] rb[1,2] rc[1,2] rd[1,2] re[1,2]");
    CHECK_INT(last.edge_count, 2);
}

/* A circle of many: each observes the next one's append. */
static void
test_long_cycle(void)
{
    enum { COUNT = 3000 };

    forget();
    history = calls_new_raw(model_find("list-append"));
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t words[] = {TXN_APPEND, i, 1, TXN_READ, (i + 1) % COUNT, 1, 1};
        uint32_t call = calls_append(history, TXN_DONE, i, i, COUNT + i);

        history->list[call] = calls_list(history, words, ARRAY_LEN(words));
    }
    judge(history, &last);
    CHECK_INT(last.verdict, VERDICT_INVALID);
    CHECK(strncmp(last.headline, "G1c,", 4) == 0);
    CHECK(strstr(last.headline, "...") != NULL);
    CHECK_INT(last.core_count, COUNT);
    CHECK_INT(last.edge_count, DECISION_EDGES_MAX);
}

/* Whatever the cap, it is kept, and says unknown or what is true. */
static void
limited(const char *model, const char *const *texts, size_t count,
        enum verdict verdict)
{
    size_t unknown = 0, decided = 0;

    forget();
    history = txn_text_calls(model, texts, count);
    for (size_t cap = 0; cap < 80000; cap += 127) {
        struct problem p = {
            .calls = history, .count = history->count, .key = VALUE_ABSENT};
        struct budget b = {.clock = clock_monotonic(),
                           .deadline_ns = INT64_MAX,
                           .memory_bytes = cap};

        decision_release(&last);
        engine_decide(history->model->exact[0], &p, &b, &last);
        CHECK(b.peak_bytes <= cap);
        if (last.verdict == VERDICT_UNKNOWN) {
            CHECK(strstr(last.reason, "memory") != NULL);
            unknown++;
            continue;
        }
        CHECK_INT(last.verdict, verdict);
        decided++;
    }
    CHECK(unknown > 0 && decided > 0);
}

static void
test_limits(void)
{
    static const char *const lists[] = {"0 0-3 ax1 ay1", "1 1-2 rx[] ry[1]",
                                        "1 4-5 ax2"};
    static const char *const valid[] = {"0 0-3 ax1 ay1", "1 1-2 rx[] ry[]"};
    static const char *const registers[] = {"0 0-3 wx1 wy1", "1 1-2 rx_ ry1"};
    static const char *const orders[] = {"0 0-3 wx1 wy1", "1 1-2 rx_ ry_"};
    struct problem p;
    struct budget b = {.clock = clock_monotonic(),
                       .deadline_ns = INT64_MIN,
                       .memory_bytes = MEMORY};

    limited("list-append", lists, ARRAY_LEN(lists), VERDICT_INVALID);
    limited("list-append", valid, ARRAY_LEN(valid), VERDICT_VALID);
    limited("rw-register", registers, ARRAY_LEN(registers), VERDICT_INVALID);
    limited("rw-register", orders, ARRAY_LEN(orders), VERDICT_VALID);
    p = (struct problem){
        .calls = history, .count = history->count, .key = VALUE_ABSENT};
    decision_release(&last);
    engine_decide(history->model->exact[0], &p, &b, &last);
    CHECK_INT(last.verdict, VERDICT_UNKNOWN);
    CHECK(strstr(last.reason, "time") != NULL);
}

/* ---- registers ---- */

static void
test_register_reads(void)
{
    IS("rw-register", NULL, "0 0-1 wx1", "1 2-3 rx1");
    IS("rw-register", NULL, "0 0-1 wx2", "0 2-3 rx3", "0 4-5 rx2");
    IS("rw-register:rc", "G1a", "0 0-1! wx1", "1 2-3 rx1");
    IS("rw-register:ru", NULL, "0 0-1! wx1", "1 2-3 rx1");
    IS("rw-register", NULL, "0 0-? wx1", "1 2-3 rx1");
    IS("rw-register", NULL, "0 0-? wx1", "1 2-3 rx_");
    IS("rw-register:rc", "G1b", "0 0-3 wx1 wx2", "1 1-2 rx1");
    IS("rw-register", NULL, "0 0-3 wx1 wx2", "1 1-2 rx2");
    IS("rw-register:rc", "future-read", "0 0-1 rx1 wx1");
    IS("rw-register:si", "internal", "0 0-1 wx1 rx_");
    IS("rw-register:rc", NULL, "0 0-1 wx1 rx_");
    IS("rw-register", "internal", "0 0-1 wx1", "1 0-3 rx1 rx_");
    IS("rw-register", NULL, "0 0-1 wx1", "1 0-3 rx1 wx2 rx2");
}

static void
test_register_cycles(void)
{
    IS("rw-register:rc", "G1c", "0 0-3 wx1 ry1", "1 1-2 wy1 rx1");
    IS("rw-register:ru", NULL, "0 0-3 wx1 ry1", "1 1-2 wy1 rx1");
    IS("rw-register:si", "lost-update", "0 0-2 rx_ wx1", "1 1-3 rx_ wx2");
    IS("rw-register:rr", "lost-update", "2 0-1 wx9", "0 2-4 rx9 wx1",
       "1 3-5 rx9 wx2");
    IS("rw-register:rc", NULL, "0 0-2 rx_ wx1", "1 1-3 rx_ wx2");
    IS("rw-register", NULL, "0 0-2 rx_ wx1", "1 1-3 rx1 wx2");
    IS("rw-register:si", "G-single", "0 0-3 wx1 wy1", "1 1-2 rx_ ry1");
    IS("rw-register:si", "G-single", "2 0-1 wx9", "0 2-5 rx9 wx1 wy1",
       "1 3-4 rx9 ry1");
    IS("rw-register:rc", NULL, "0 0-3 wx1 wy1", "1 1-2 rx_ ry1");
    IS("rw-register", NULL, "0 0-3 wx1 wy1", "1 1-2 rx1 ry1");
    IS("rw-register:si", "G-nonadjacent", "0 0-4 wx1", "1 1-5 wy1",
       "2 2-6 rx1 ry_", "3 3-7 rx_ ry1");
    IS("rw-register:ser", "G2-item", "0 0-2 rx_ wy1", "1 1-3 ry_ wx1");
    IS("rw-register:si", NULL, "0 0-2 rx_ wy1", "1 1-3 ry_ wx1");
    IS("rw-register:ser", "G-single", "0 0-? wx1 wy1", "1 2-3 rx1 ry_");
}

static void
test_register_orders(void)
{
    IS("rw-register", "G-single-process", "0 0-1 wx1", "0 2-3 rx_");
    IS("rw-register", "G-single-realtime", "0 0-1 wx1", "1 2-3 rx_");
    IS("rw-register:session-ser", NULL, "0 0-1 wx1", "1 2-3 rx_");
    IS("rw-register", "G1c-realtime", "0 0-1 rx1", "1 2-3 wx1");
    IS("rw-register", NULL, "0 0-2 wx1", "1 1-3 rx_");
    IS("rw-register:si", "G-single", "0 0-2 wx1 ry_", "1 1-3 rx_ wx2 wy3");
}

/* No cycle follows, but no order explains it. */
static void
test_register_no_order(void)
{
    static const char *const texts[] = {"0 0-1 wx1", "0 2-3 wx2", "0 4-5 rx1"};

    IS("rw-register", "G-single-realtime", "0 0-1 wx1", "0 2-3 wx2",
       "0 4-5 rx1");
    IS("rw-register:strong-si", "G-single-realtime", "0 0-1 wx1", "0 2-3 wx2",
       "0 4-5 rx1");
    forget();
    history =
        txn_text_calls("rw-register:session-ser", texts, ARRAY_LEN(texts));
    judge(history, &last);
    CHECK_INT(last.verdict, VERDICT_INVALID);
    CHECK(strncmp(last.headline, "no order of the 3 transactions", 30) == 0);
    CHECK(core_stands(history, &last));
    IS("rw-register:ser", NULL, "0 0-1 wx1", "0 2-3 wx2", "0 4-5 rx1");
    IS("rw-register", NULL, "0 0-1 wx1", "0 2-3 wx2", "0 4-5 rx2");
}

static void
test_register_ambiguous(void)
{
    static const char *const twice[] = {"0 0-1 wx1", "1 2-3 wx1", "2 4-5 rx1"};
    static const char *const nil[] = {"0 0-1 wx1", "1 2-3 wx_", "2 4-5 rx_"};

    forget();
    history = txn_text_calls("rw-register", twice, ARRAY_LEN(twice));
    judge(history, &last);
    CHECK_INT(last.verdict, VERDICT_UNKNOWN);
    forget();
    history = txn_text_calls("rw-register", nil, ARRAY_LEN(nil));
    judge(history, &last);
    CHECK_INT(last.verdict, VERDICT_UNKNOWN);
}

/* ---- random histories ---- */

#define RANDOM_TXNS 6
#define RANDOM_WORDS 64

struct random_txn {
    uint32_t words[RANDOM_WORDS], count, process, invoke, complete;
    bool failed, open, ran;
};

struct random_history {
    struct rng rng;
    bool lists;
    struct truth_state now, old;
    struct random_txn txns[RANDOM_TXNS];
    uint32_t count, keys, next_value;
};

static void
random_op(struct random_history *h, struct random_txn *t,
          struct truth_state *view)
{
    uint32_t key = (uint32_t)rng_below(&h->rng, h->keys);
    uint32_t *w = &t->words[t->count], n;

    w[1] = key;
    if (rng_chance(&h->rng, 0.5)) {
        w[0] = h->lists ? TXN_APPEND : TXN_WRITE;
        w[2] = ++h->next_value;
        t->count += 3;
        n = h->lists ? view->keys[key].count : 0;
        view->keys[key].values[n] = w[2];
        view->keys[key].count = n + 1;
        n = h->lists ? h->now.keys[key].count : 0;
        if (t->failed && !rng_chance(&h->rng, 0.05))
            return;
        h->now.keys[key].values[n] = w[2];
        h->now.keys[key].count = n + 1;
        return;
    }
    w[0] = TXN_READ;
    n = view->keys[key].count;
    if (t->failed || t->open) {
        w[2] = VALUE_ABSENT;
        t->count += 3;
        return;
    }
    if (n > 0 && h->lists && rng_chance(&h->rng, 0.05))
        n--;
    w[2] = n == 0 ? VALUE_NIL : n;
    memcpy(&w[3], view->keys[key].values, n * sizeof(*w));
    t->count += 3 + n;
}

/* Runs against what is there, or against something older. */
static void
random_run(struct random_history *h, struct random_txn *t)
{
    uint32_t ops = 1 + (uint32_t)rng_below(&h->rng, 3);
    struct truth_state view = rng_chance(&h->rng, 0.2) ? h->old : h->now;

    if (rng_chance(&h->rng, 0.3))
        h->old = h->now;
    t->ran = true;
    for (uint32_t i = 0; i < ops; i++) {
        if (rng_chance(&h->rng, 0.05))
            view = h->now;
        random_op(h, t, &view);
    }
}

static struct calls *
random_calls(struct random_history *h, const char *model)
{
    uint32_t running[3] = {0}, rank = 0, done = 0;
    uint32_t total = 2 + (uint32_t)rng_below(&h->rng, RANDOM_TXNS - 1);
    struct calls *c = calls_new_raw(model_find(model));

    h->keys = 1 + (uint32_t)rng_below(&h->rng, 3);
    while (done < total) {
        uint32_t p = (uint32_t)rng_below(&h->rng, 3);
        struct random_txn *t;

        if (running[p] == 0) {
            if (h->count == total)
                continue;
            t = &h->txns[h->count++];
            running[p] = h->count;
            t->process = p;
            t->invoke = rank++;
            t->failed = rng_chance(&h->rng, 0.08);
            t->open = !t->failed && rng_chance(&h->rng, 0.1);
            if (rng_chance(&h->rng, 0.5))
                random_run(h, t);
            continue;
        }
        t = &h->txns[running[p] - 1];
        if (!t->ran)
            random_run(h, t);
        t->complete = t->open ? CALL_OPEN : rank++;
        running[p] = 0;
        done++;
    }
    for (uint32_t i = 0; i < total; i++) {
        struct random_txn *t = &h->txns[i];
        uint32_t call = calls_append(c, t->failed ? TXN_FAILED : TXN_DONE,
                                     t->process, t->invoke, t->complete);

        c->list[call] = calls_list(c, t->words, t->count);
        c->line[call] = i + 1;
    }
    return c;
}

static void
random_print(const struct calls *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct buf b;

        buf_init(&b, 4096);
        model_describe(c, i, &b);
        printf("# T%u p%u %u-%d %s\n", i + 1, c->process[i], c->invoke[i],
               (int)c->complete[i], buf_text(&b));
        buf_release(&b);
    }
    printf("# %s: %s %s\n", c->model->name, last.headline, last.reason);
}

/* The engine that tries all orders says the same as the truth, and confirms
 * every core unless strangers are in it. */
static bool
orders_agree(const struct calls *c, const struct decision *d, bool allowed)
{
    struct problem p = {.calls = c, .count = c->count, .key = VALUE_ABSENT};
    struct problem core = {.calls = c,
                           .members = d->core,
                           .count = d->core_count,
                           .key = VALUE_ABSENT};
    struct budget b = {.clock = clock_monotonic(),
                       .deadline_ns = INT64_MAX,
                       .memory_bytes = MEMORY};
    struct decision all, again = {.verdict = VERDICT_INVALID};

    engine_decide(&engine_txn_orders, &p, &b, &all);
    if (d->verdict == VERDICT_INVALID)
        engine_decide(&engine_txn_orders, &core, &b, &again);
    bool right = all.verdict == (allowed ? VERDICT_VALID : VERDICT_INVALID) &&
                 again.verdict != VERDICT_VALID;
    decision_release(&all);
    decision_release(&again);
    return right;
}

/*
 * 'complete': what is not invalid must be explained by some order.  Without:
 * only that no alarm is false.
 */
static bool
random_agrees(uint64_t seed, const char *model, bool complete,
              unsigned verdicts[3])
{
    struct random_history h = {.lists = model[0] == 'l'};
    bool allowed, right;

    rng_init(&h.rng, seed);
    forget();
    history = random_calls(&h, model);
    judge(history, &last);
    verdicts[last.verdict]++;
    allowed = truth_allows(history, txn_level_of(history->model));
    right = last.verdict == VERDICT_INVALID
                ? !allowed && core_stands(history, &last) &&
                      core_minimal(history, &last)
                : allowed || !complete;
    right = right && orders_agree(history, &last, allowed);
    if (!right) {
        printf("# seed %llu: truth: %s\n", (unsigned long long)seed,
               allowed ? "allowed" : "not allowed");
        random_print(history);
    }
    return right;
}

static unsigned
random_count(void)
{
    const char *text = getenv("ORDEAL_TXN_TRIALS");

    return text == NULL ? 20000 : (unsigned)strtoul(text, NULL, 10);
}

static void
random_level(const char *model, bool complete)
{
    unsigned verdicts[3] = {0}, count = random_count();

    for (uint64_t seed = 1; seed <= count; seed++)
        CHECK(random_agrees(seed, model, complete, verdicts));
    printf("# %s: %u valid, %u unknown, %u invalid of %u\n", model,
           verdicts[VERDICT_VALID], verdicts[VERDICT_UNKNOWN],
           verdicts[VERDICT_INVALID], count);
    /* Both happen often enough to mean something. */
    if (count < 10000)
        return;
    CHECK(verdicts[VERDICT_VALID] > count / 4);
    CHECK(verdicts[VERDICT_INVALID] > count / 100);
}

static void
test_random_lists(void)
{
    random_level("list-append", true);
    random_level("list-append:serializable", true);
    random_level("list-append:strong-session-serializable", true);
}

static void
test_random_lists_snapshot(void)
{
    random_level("list-append:snapshot-isolation", false);
    random_level("list-append:strong-session-snapshot-isolation", false);
    random_level("list-append:strong-snapshot-isolation", false);
}

static void
test_random_registers(void)
{
    random_level("rw-register", true);
    random_level("rw-register:serializable", true);
    random_level("rw-register:strong-session-serializable", true);
}

static void
test_random_registers_snapshot(void)
{
    random_level("rw-register:snapshot-isolation", false);
    random_level("rw-register:strong-session-snapshot-isolation", false);
    random_level("rw-register:strong-snapshot-isolation", false);
}

/* ---- correct histories of some length ---- */

#define STORE_TXNS 60
#define STORE_CLIENTS 8
#define STORE_KEYS 3
#define STORE_VALUES (STORE_TXNS * 3)

struct store_state {
    uint32_t count[STORE_KEYS], values[STORE_KEYS][STORE_VALUES];
};

/* A database: snapshots, first committer wins; or, if 'serial', whole
 * transactions at one moment. */
struct store {
    struct rng rng;
    bool lists, serial;
    struct store_state now;
    uint32_t commits, written[STORE_KEYS], next_value;
    struct store_client {
        uint32_t call; /* plus one; 0: idle */
        bool begun, ended, failed;
        uint32_t begin;
        struct store_state view;
        bool wrote[STORE_KEYS];
    } clients[STORE_CLIENTS];
    struct calls *calls;
    uint32_t rank;
};

static void
store_begin(struct store *s, struct store_client *c)
{
    uint32_t words[3 * (STORE_VALUES + 3)], count = 0;
    uint32_t ops = 1 + (uint32_t)rng_below(&s->rng, 3);

    c->begun = true;
    c->begin = s->commits;
    c->view = s->now;
    memset(c->wrote, 0, sizeof(c->wrote));
    for (uint32_t i = 0; i < ops; i++) {
        uint32_t key = (uint32_t)rng_below(&s->rng, STORE_KEYS);
        uint32_t *n = &c->view.count[key], *values = c->view.values[key];

        words[count + 1] = key;
        if (rng_chance(&s->rng, 0.5)) {
            words[count] = s->lists ? TXN_APPEND : TXN_WRITE;
            words[count + 2] = ++s->next_value;
            values[s->lists ? *n : 0] = s->next_value;
            *n = s->lists ? *n + 1 : 1;
            c->wrote[key] = true;
            count += 3;
            continue;
        }
        words[count] = TXN_READ;
        words[count + 2] = *n == 0 ? VALUE_NIL : *n;
        memcpy(words + count + 3, values, *n * sizeof(*words));
        count += 3 + *n;
    }
    s->calls->list[c->call - 1] = calls_list(s->calls, words, count);
}

static void
store_commit(struct store *s, struct store_client *c)
{
    c->ended = true;
    for (uint32_t k = 0; k < STORE_KEYS; k++)
        c->failed = c->failed || (c->wrote[k] && s->written[k] > c->begin);
    if (c->failed)
        return;
    s->commits++;
    for (uint32_t k = 0; k < STORE_KEYS; k++) {
        if (!c->wrote[k])
            continue;
        s->written[k] = s->commits;
        s->now.count[k] = c->view.count[k];
        memcpy(s->now.values[k], c->view.values[k], sizeof(s->now.values[k]));
    }
}

/* What is open does not tell what it read. */
static void
store_open(struct store *s, uint32_t call)
{
    uint32_t words[16], count = 0;
    struct txn_op op;

    for (uint32_t at = 0; txn_next(s->calls, call, &at, &op);) {
        words[count++] = op.kind;
        words[count++] = op.key;
        words[count++] = op.kind == TXN_READ ? VALUE_ABSENT : op.value;
    }
    s->calls->list[call] = calls_list(s->calls, words, count);
}

static void
store_answer(struct store *s, struct store_client *c)
{
    uint32_t call = c->call - 1;

    if (rng_chance(&s->rng, 0.1)) {
        store_open(s, call);
    } else {
        s->calls->complete[call] = s->rank++;
        if (c->failed) {
            store_open(s, call);
            s->calls->function[call] = TXN_FAILED;
        }
    }
    c->call = 0;
}

static void
store_step(struct store *s)
{
    uint32_t process = (uint32_t)rng_below(&s->rng, STORE_CLIENTS);
    struct store_client *c = &s->clients[process];

    if (c->call == 0) {
        if (s->calls->count == STORE_TXNS)
            return;
        c->call =
            1 + calls_append(s->calls, TXN_DONE, process, s->rank++, CALL_OPEN);
        s->calls->line[c->call - 1] = c->call;
        c->begun = c->ended = false;
        c->failed = rng_chance(&s->rng, 0.05);
    } else if (!c->begun) {
        store_begin(s, c);
        if (s->serial)
            store_commit(s, c);
    } else if (!c->ended) {
        store_commit(s, c);
    } else {
        store_answer(s, c);
    }
}

static struct calls *
store_calls(uint64_t seed, const char *model)
{
    struct store *s = xcalloc(1, sizeof(*s));
    struct calls *c = calls_new_raw(model_find(model));
    enum txn_level level = txn_level_of(c->model);

    rng_init(&s->rng, seed);
    s->lists = model[0] == 'l';
    s->serial = txn_level_info(level)->serial;
    s->calls = c;
    for (uint32_t i = 0; i < 8 * STORE_TXNS; i++)
        store_step(s);
    c->rank_count = s->rank;
    free(s);
    return c;
}

static void
test_random_correct(void)
{
    static const char *const models[] = {"list-append",
                                         "list-append:serializable",
                                         "list-append:strong-si",
                                         "list-append:si",
                                         "list-append:rc",
                                         "rw-register",
                                         "rw-register:serializable",
                                         "rw-register:session-ser",
                                         "rw-register:strong-si",
                                         "rw-register:si",
                                         "rw-register:rc"};
    unsigned count = random_count() / 40;

    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        for (uint64_t seed = 1; seed <= count; seed++) {
            forget();
            history = store_calls(seed, models[i]);
            judge(history, &last);
            if (last.verdict != VERDICT_VALID) {
                printf("# seed %llu\n", (unsigned long long)seed);
                random_print(history);
            }
            CHECK_INT(last.verdict, VERDICT_VALID);
        }
    }
}

/* ---- other people's histories ---- */

/* Elle's own, and what its authors say of them. */
static const struct corpus_file {
    const char *path, *model;
    enum verdict verdict;
    const char *anomaly;
} corpus_files[] = {
    {"elle-cli/elle/list-append-gh-30.edn", "list-append", VERDICT_INVALID,
     "G2-item"},
    {"elle-cli/elle/list-append-gh-30.edn", "list-append:serializable",
     VERDICT_INVALID, "G2-item"},
    {"elle-cli/elle/paper-example.edn", "list-append:strict-serializable",
     VERDICT_INVALID, "G-single"},
    {"elle/si-without-g-single.edn", "list-append", VERDICT_INVALID, "G2-item"},
    {"elle/si-without-g-single.edn", "list-append:snapshot-isolation",
     VERDICT_VALID, NULL},
    {"elle/si-without-g-single.edn", "list-append:repeatable-read",
     VERDICT_INVALID, "G2-item"},
    {"elle-cli/elle/rw-register.edn", "rw-register", VERDICT_VALID, NULL},
    {"elle-cli/elle/rw-register.json", "rw-register", VERDICT_VALID, NULL},
};

/* The folder of the corpora; NULL: there is none. */
static const char *
corpus_root(char path[1024])
{
    const char *shared = getenv("ORDEAL_SHARED");
    const char *source = getenv("ORDEAL_SRCDIR");

    if (shared != NULL)
        snprintf(path, 1024, "%s/corpora", shared);
    else
        snprintf(path, 1024, "%s/../shared/corpora",
                 source == NULL ? "." : source);
    return access(path, R_OK) == 0 ? path : NULL;
}

static bool
corpus_read(const char *path, const char *model, struct error *err)
{
    struct calls_options options = {.model = model_find(model)};
    const struct format_ops *format;
    struct record_file file = {0};

    forget();
    history = calls_new(&options, err);
    return history != NULL &&
           format_read(path, NULL, &format, &file, calls_add, history, err) ==
               0 &&
           calls_finish(history, err) == 0;
}

static void
test_corpora(void)
{
    char root[1024], path[2048];
    struct error err;

    CHECK(corpus_root(root) != NULL);
    for (size_t i = 0; i < ARRAY_LEN(corpus_files); i++) {
        const struct corpus_file *f = &corpus_files[i];

        snprintf(path, sizeof(path), "%s/%s", root, f->path);
        CHECK(corpus_read(path, f->model, &err));
        judge(history, &last);
        CHECK_INT(last.verdict, f->verdict);
        if (f->anomaly == NULL)
            continue;
        CHECK(strncmp(last.headline, f->anomaly, strlen(f->anomaly)) == 0);
        CHECK(core_stands(history, &last));
    }
}

int
main(void)
{
    RUN(test_empty);
    RUN(test_levels);
    RUN(test_duplicate_elements);
    RUN(test_g0);
    RUN(test_aborted);
    RUN(test_incompatible_order);
    RUN(test_intermediate);
    RUN(test_g1c);
    RUN(test_internal);
    RUN(test_lost_update);
    RUN(test_g_single);
    RUN(test_update);
    RUN(test_g_nonadjacent);
    RUN(test_g2_item);
    RUN(test_orders);
    RUN(test_open_seen);
    RUN(test_unread);
    RUN(test_strangers);
    RUN(test_ambiguous);
    RUN(test_words);
    RUN(test_shortest);
    RUN(test_long_cycle);
    RUN(test_limits);
    RUN(test_register_reads);
    RUN(test_register_cycles);
    RUN(test_register_orders);
    RUN(test_register_no_order);
    RUN(test_register_ambiguous);
    RUN(test_random_lists);
    RUN(test_random_lists_snapshot);
    RUN(test_random_registers);
    RUN(test_random_registers_snapshot);
    RUN(test_random_correct);
    char root[1024];
    if (corpus_root(root) != NULL)
        RUN(test_corpora);
    else
        SKIP(test_corpora, "no corpora beside the tree");
    forget();
    return tap_done();
}
