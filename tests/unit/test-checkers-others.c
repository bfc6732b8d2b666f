/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkers of quotas, pools and blocks: for each a history it must catch,
 * and the nearest correct ones.
 */
#include "config.h"

#include "tests/lib/table-builder.h"
#include "tests/lib/tap.h"

#define META(model)                                                            \
    "{'positions':'total','scenario':'x','model':'" model                      \
    "','limits':{'ttl_slots':0}}"

/* A mutation of process 1, answered at once. */
static void
did(struct builder *b, uint64_t operation, uint64_t index, const char *function,
    const char *args, const char *answer)
{
    invoke(b, 1, operation, function, args);
    ok(b, 1, AT(1, index), "n1", answer);
}

static void
saw(struct builder *b, const char *function, const char *args,
    const char *answer)
{
    invoke(b, 2, 0, function, args);
    ok(b, 2, NOWHERE, "n2", answer);
}

/* ---- quota ---- */

static void
quota_begin(struct builder *b)
{
    builder_init(b, META("quota"));
    did(b, 1, 1, "create_bucket",
        "{'bucket':7,'limit':10,'initial':4,'refill':2,'client':1}",
        "{'code':'ok','cached':false,'slot':0}");
}

static void
debit(struct builder *b, uint64_t number, const char *amount, const char *slot)
{
    CLEANUP_FREE char *args =
        xasprintf("{'bucket':7,'amount':%s,'client':1}", amount);
    CLEANUP_FREE char *answer =
        xasprintf("{'code':'ok','cached':false,'slot':%s}", slot);

    did(b, number, number, "debit", args, answer);
}

static void
test_overspend(void)
{
    static const struct {
        const char *debits[4][2];
        const char *verdict;
    } cases[] = {
        {{{"4", "0"}}, "valid"},
        {{{"5", "0"}}, "invalid"},
        {{{"4", "0"}, {"2", "1"}, {"4", "3"}}, "valid"},
        {{{"4", "0"}, {"3", "1"}}, "invalid"},
        /* Full, and no fuller. */
        {{{"10", "9"}, {"2", "10"}}, "valid"},
        {{{"10", "9"}, {"3", "10"}}, "invalid"},
        {{{"4", "100"}, {"6", "100"}, {"1", "100"}}, "invalid"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct builder b;

        quota_begin(&b);
        for (unsigned d = 0; d < 4 && cases[i].debits[d][0] != NULL; d++)
            debit(&b, d + 2, cases[i].debits[d][0], cases[i].debits[d][1]);
        CHECK(judge(&b, NULL) != NULL);
        CHECK_STR(verdict_of(&b, "quota_overspend"), cases[i].verdict);
        CHECK_STR(verdict_of(&b, "double_allocation"), "absent");
        CHECK_STR(verdict_of(&b, "pool_overcommit"), "absent");
        builder_release(&b);
    }
}

/* One execution is one debit, however often it is answered. */
static void
test_a_repetition_spends_nothing(void)
{
    static const char args[] = "{'bucket':7,'amount':4,'client':1}";
    struct builder b;

    quota_begin(&b);
    did(&b, 2, 2, "debit", args, "{'code':'ok','cached':false,'slot':0}");
    did(&b, 2, 2, "debit", args, "{'code':'ok','cached':true,'slot':0}");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "quota_overspend"), "valid");
    CHECK_STR(verdict_of(&b, "duplicate_execution"), "valid");
    builder_release(&b);
    quota_begin(&b);
    did(&b, 2, 2, "debit", args, "{'code':'ok','cached':false,'slot':0}");
    did(&b, 2, 9, "debit", args, "{'code':'ok','cached':false,'slot':9}");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "duplicate_execution"), "invalid");
    builder_release(&b);
}

/* ---- pool ---- */

static void
pool_begin(struct builder *b)
{
    builder_init(b, META("pool"));
    did(b, 1, 1, "create_pool", "{'pool':1,'total':10,'client':1}",
        "{'code':'ok','cached':false,'slot':0}");
}

static void
place(struct builder *b, uint64_t number, int hold, int quantity, int slot)
{
    CLEANUP_FREE char *args =
        xasprintf("{'pool':1,'hold':%d,'quantity':%d,'deadline':5,'client':1}",
                  hold, quantity);
    CLEANUP_FREE char *answer =
        xasprintf("{'code':'ok','cached':false,'slot':%d}", slot);

    did(b, number, number, "place_hold", args, answer);
}

static void
end_hold(struct builder *b, uint64_t number, const char *function, int hold,
         const char *code, int slot)
{
    CLEANUP_FREE char *args = xasprintf("{'hold':%d,'client':1}", hold);
    CLEANUP_FREE char *answer =
        xasprintf("{'code':'%s','cached':false,'slot':%d}", code, slot);

    did(b, number, number, function, args, answer);
}

static void
check_overcommit(struct builder *b, const char *verdict)
{
    judge(b, NULL);
    CHECK_STR(verdict_of(b, "pool_overcommit"), verdict);
    if (strcmp(verdict, "invalid") == 0)
        printf("# %s\n", witness_of(b, "pool_overcommit"));
    builder_release(b);
}

static void
test_overcommit(void)
{
    struct builder b;

    pool_begin(&b);
    place(&b, 2, 1, 6, 1);
    place(&b, 3, 2, 5, 1);
    check_overcommit(&b, "invalid");
    /* Released, expired by time, expired by a confirm. */
    pool_begin(&b);
    place(&b, 2, 1, 6, 1);
    end_hold(&b, 3, "release_hold", 1, "ok", 1);
    place(&b, 4, 2, 5, 1);
    check_overcommit(&b, "valid");
    pool_begin(&b);
    place(&b, 2, 1, 6, 1);
    place(&b, 3, 2, 5, 6);
    check_overcommit(&b, "valid");
    pool_begin(&b);
    place(&b, 2, 1, 6, 1);
    end_hold(&b, 3, "confirm_hold", 1, "hold_expired", 5);
    place(&b, 4, 2, 5, 5);
    check_overcommit(&b, "valid");
    /* At the deadline it is still there. */
    pool_begin(&b);
    place(&b, 2, 1, 6, 1);
    place(&b, 3, 2, 5, 5);
    check_overcommit(&b, "invalid");
    /* What is consumed stays so. */
    pool_begin(&b);
    place(&b, 2, 1, 6, 1);
    end_hold(&b, 3, "confirm_hold", 1, "ok", 2);
    place(&b, 4, 2, 5, 90);
    check_overcommit(&b, "invalid");
}

/* A release that nobody was answered may have made room. */
static void
test_overcommit_is_in_doubt(void)
{
    struct builder b;

    pool_begin(&b);
    place(&b, 2, 1, 6, 1);
    invoke(&b, 3, 3, "release_hold", "{'hold':1,'client':3}");
    unknown(&b, 3);
    place(&b, 4, 2, 5, 1);
    check_overcommit(&b, "valid");
    pool_begin(&b);
    saw(&b, "get_pool", "{'pool':1,'claim':'any'}",
        "{'found':true,'applied':4,'slot':1,'total':10,'held':7,"
        "'consumed':4}");
    check_overcommit(&b, "invalid");
}

static void
check_misuse(struct builder *b, const char *verdict)
{
    judge(b, NULL);
    CHECK_STR(verdict_of(b, "hold_misuse"), verdict);
    builder_release(b);
}

static void
test_misuse(void)
{
    static const struct {
        const char *first, *second;
        int slots[2];
        const char *code, *verdict;
    } cases[] = {
        {"confirm_hold", "confirm_hold", {2, 3}, "invalid_state", "valid"},
        {"confirm_hold", "confirm_hold", {2, 3}, "ok", "invalid"},
        {"confirm_hold", "release_hold", {2, 3}, "ok", "invalid"},
        {"release_hold", "confirm_hold", {2, 3}, "ok", "invalid"},
        {"confirm_hold", "confirm_hold", {4, 4}, "invalid_state", "valid"},
        {"confirm_hold", "confirm_hold", {5, 5}, "invalid_state", "invalid"},
        {"release_hold", "release_hold", {5, 5}, "invalid_state", "valid"},
        {"release_hold", "release_hold", {6, 6}, "invalid_state", "invalid"},
        {"expire_hold", "expire_hold", {5, 5}, "invalid_state", "valid"},
        {"expire_hold", "expire_hold", {4, 5}, "invalid_state", "invalid"},
    };
    struct builder b;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pool_begin(&b);
        place(&b, 2, 1, 6, 1);
        end_hold(&b, 3, cases[i].first, 1, "ok", cases[i].slots[0]);
        end_hold(&b, 4, cases[i].second, 1, cases[i].code, cases[i].slots[1]);
        printf("# %s, %s\n", cases[i].first, cases[i].second);
        check_misuse(&b, cases[i].verdict);
    }
    pool_begin(&b);
    place(&b, 2, 1, 1, 1);
    place(&b, 3, 1, 2, 1);
    check_misuse(&b, "invalid");
}

/* ---- block ---- */

static void
write_block(struct builder *b, uint64_t number, int value, int version)
{
    CLEANUP_FREE char *args =
        xasprintf("{'block':3,'value':%d,'client':1}", value);
    CLEANUP_FREE char *answer = xasprintf(
        "{'code':'ok','cached':false,'slot':0,'version':%d}", version);

    did(b, number, number, "write", args, answer);
}

static void
read_block(struct builder *b, int value, int version)
{
    CLEANUP_FREE char *answer =
        xasprintf("{'found':true,'applied':9,'slot':0,'value':%d,"
                  "'version':%d}",
                  value, version);

    saw(b, "get_block", "{'block':3,'claim':'linearizable'}", answer);
}

static void
phase(struct builder *b, const char *name)
{
    struct event e = {.process = HISTORY_PROCESS_NONE,
                      .kind = EVENT_NOTE,
                      .function = "phase"};
    CLEANUP_FREE char *fields = xasprintf("{'name':'%s'}", name);

    builder_add(b, &e, fields);
}

static void
check_blocks(struct builder *b, const char *stale, const char *lost)
{
    judge(b, NULL);
    CHECK_STR(verdict_of(b, "stale_read"), stale);
    CHECK_STR(verdict_of(b, "lost_write"), lost);
    builder_release(b);
}

static void
test_blocks(void)
{
    struct builder b;

    builder_init(&b, META("block"));
    write_block(&b, 1, 11, 1);
    write_block(&b, 2, 12, 2);
    read_block(&b, 12, 2);
    read_block(&b, 13, 3); /* somebody else's */
    check_blocks(&b, "valid", "valid");
    builder_init(&b, META("block"));
    write_block(&b, 1, 11, 1);
    write_block(&b, 2, 12, 2);
    read_block(&b, 11, 1);
    check_blocks(&b, "invalid", "valid");
    builder_init(&b, META("block"));
    write_block(&b, 1, 11, 1);
    read_block(&b, 12, 1);
    check_blocks(&b, "invalid", "valid");
    /* In a sweep it is a loss. */
    builder_init(&b, META("block"));
    write_block(&b, 1, 11, 1);
    write_block(&b, 2, 12, 2);
    phase(&b, "sweep");
    read_block(&b, 11, 1);
    phase(&b, "resolve");
    check_blocks(&b, "valid", "invalid");
    builder_init(&b, META("block"));
    write_block(&b, 1, 11, 1);
    write_block(&b, 2, 12, 1);
    check_blocks(&b, "valid", "invalid");
}

/* A read that overlaps the write may come before it. */
static void
test_blocks_overlap(void)
{
    struct builder b;

    builder_init(&b, META("block"));
    write_block(&b, 1, 11, 1);
    invoke(&b, 2, 0, "get_block", "{'block':3,'claim':'linearizable'}");
    write_block(&b, 2, 12, 2);
    ok(&b, 2, NOWHERE, "n2",
       "{'found':true,'applied':1,'slot':0,'value':11,'version':1}");
    check_blocks(&b, "valid", "valid");
    /* No claim, no promise. */
    builder_init(&b, META("block"));
    write_block(&b, 1, 11, 1);
    write_block(&b, 2, 12, 2);
    saw(&b, "get_block", "{'block':3,'claim':'any'}",
        "{'found':true,'applied':1,'slot':0,'value':11,'version':1}");
    check_blocks(&b, "valid", "valid");
}

/* ---- of every model ---- */

static void
test_every_model_has_the_common_ones(void)
{
    static const char *const common[] = {
        "duplicate_execution", "stale_read",         "position_conflict",
        "dual_primary",        "replica_divergence", "unresolved_ambiguity",
        "missing_operation_id"};
    struct builder b;

    pool_begin(&b);
    invoke(&b, 3, 7, "confirm_hold", "{'hold':1,'client':3}");
    unknown(&b, 3);
    place(&b, 1000, 2, 1, 1);
    judge(&b, NULL);
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        CHECK(judged(&b, common[i]) != NULL);
    CHECK_STR(verdict_of(&b, "unresolved_ambiguity"), "unknown");
    builder_release(&b);
    /* A field that is missing cuts the history. */
    builder_init(&b, META("quota"));
    invoke(&b, 1, 1, "debit", "{'bucket':7,'client':1}");
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "quota_overspend"), "unknown");
    builder_release(&b);
}

int
main(void)
{
    RUN(test_overspend);
    RUN(test_a_repetition_spends_nothing);
    RUN(test_overcommit);
    RUN(test_overcommit_is_in_doubt);
    RUN(test_misuse);
    RUN(test_blocks);
    RUN(test_blocks_overlap);
    RUN(test_every_model_has_the_common_ones);
    return tap_done();
}
