/* SPDX-License-Identifier: Apache-2.0 */
/* The operation table: how attempts become operations, what cuts a history. */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/order.h"
#include "harness/base/rng.h"
#include "tests/lib/table-builder.h"
#include "tests/lib/tap.h"

#define RESERVE_7 "{'resource':7,'holder':3,'ttl':5,'client':9}"
#define BUSY "{'code':'resource_busy','cached':false,'slot':0}"

static void
test_retries_fold(void)
{
    struct builder b;
    const struct operations *o;

    builder_init(&b, "{'positions':'total'}");
    invoke(&b, 1, 10, "reserve", RESERVE_7);
    unknown(&b, 1);
    invoke(&b, 1, 10, "reserve", RESERVE_7);
    fail(&b, 1);
    invoke(&b, 1, 10, "reserve", RESERVE_7);
    ok(&b, 1, AT(2, 41), "n2", BUSY);
    invoke(&b, 1, 10, "reserve", RESERVE_7);
    ok(&b, 1, AT(2, 41), "n2", BUSY);
    table_finish(b.table, true, 0, NULL);
    o = &b.table->operations;
    CHECK(b.table->cut == NULL);
    CHECK_INT(o->count, 1);
    CHECK_INT(o->attempt_count[0], 4);
    CHECK_INT(o->outcome[0], OUTCOME_OK);
    CHECK_INT(o->invoke[0], 0);
    CHECK_INT(o->end[0], 5); /* the first recorded answer, not the last */
    CHECK_INT(b.table->answers[o->answer[0]].index, 41);
    CHECK_INT(o->client[0], 9);
    builder_release(&b);
}

static void
test_other_contents_are_another_operation(void)
{
    struct builder b;

    builder_init(&b, "{}");
    done(&b, 1, 10, "reserve", RESERVE_7, AT(1, 1), BUSY);
    invoke(&b, 1, 10, "reserve", "{'resource':8,'holder':3,'ttl':5}");
    fail(&b, 1);
    invoke(&b, 2, 10, "reserve_bundle", "{'resources':[7],'holder':3,'ttl':5}");
    fail(&b, 2);
    table_finish(b.table, true, 0, NULL);
    CHECK_INT(b.table->operations.count, 3);
    CHECK_INT(b.table->operations.outcome[0], OUTCOME_OK);
    CHECK_INT(b.table->operations.outcome[1], OUTCOME_FAIL);
    builder_release(&b);
}

static void
test_reads_and_ticks_never_fold(void)
{
    struct builder b;

    builder_init(&b, "{}");
    for (int i = 0; i < 2; i++) {
        invoke(&b, 1, 0, "get_resource", "{'resource':7,'claim':'any'}");
        unknown(&b, 1);
        invoke(&b, 1, 0, "tick", "{'slot':4}");
        unknown(&b, 1);
        invoke(&b, 1, 0, "reserve", RESERVE_7);
        unknown(&b, 1);
    }
    table_finish(b.table, true, 0, NULL);
    CHECK_INT(b.table->operations.count, 6);
    builder_release(&b);
}

static void
test_fail_only_if_all_attempts_fail(void)
{
    struct builder b;

    builder_init(&b, "{}");
    invoke(&b, 1, 10, "reserve", RESERVE_7);
    fail(&b, 1);
    invoke(&b, 1, 10, "reserve", RESERVE_7);
    fail(&b, 1);
    invoke(&b, 2, 11, "reserve", RESERVE_7);
    unknown(&b, 2);
    invoke(&b, 2, 11, "reserve", RESERVE_7);
    fail(&b, 2);
    invoke(&b, 3, 12, "reserve", RESERVE_7); /* the driver died here */
    table_finish(b.table, false, 17, NULL);
    CHECK(b.table->cut == NULL);
    CHECK_INT(b.table->operations.outcome[0], OUTCOME_FAIL);
    CHECK_INT(b.table->operations.outcome[1], OUTCOME_UNKNOWN);
    CHECK_INT(b.table->operations.outcome[2], OUTCOME_UNKNOWN);
    CHECK_INT(b.table->operations.end[2], TABLE_NONE);
    CHECK_INT(b.table->dropped_bytes, 17);
    builder_release(&b);
}

/* Builds with 'bad' and wants the table cut for 'reason', and no verdict
 * valid. */
static bool
is_cut(void (*bad)(struct builder *), const char *reason)
{
    struct builder b;
    bool cut;

    builder_init(&b, "{'positions':'total','scenario':'x'}");
    done(&b, 1, 1, "create_resource", "{'resource':7}", AT(1, 1),
         "{'code':'ok','slot':0}");
    bad(&b);
    judge(&b, NULL);
    cut = b.table->cut != NULL && strstr(b.table->cut, reason) != NULL;
    if (!cut)
        printf("# cut: %s\n", b.table->cut == NULL ? "none" : b.table->cut);
    cut = cut && analyzer_exit_status(b.result) == 2 &&
          strcmp(verdict_of(&b, "stale_read"), "unknown") == 0;
    builder_release(&b);
    return cut;
}

static void
bad_completion(struct builder *b)
{
    b->open[2].function = "reserve";
    b->open[2].process = 2;
    unknown(b, 2);
}

static void
bad_twice(struct builder *b)
{
    unknown(b, 1);
}

static void
bad_overlap(struct builder *b)
{
    invoke(b, 1, 2, "reserve", RESERVE_7);
    invoke(b, 1, 3, "reserve", RESERVE_7);
}

static void
bad_function(struct builder *b)
{
    invoke(b, 1, 2, "frobnicate", "{}");
}

static void
bad_argument(struct builder *b)
{
    invoke(b, 1, 2, "reserve", "{'resource':7,'holder':3}");
}

static void
bad_result(struct builder *b)
{
    invoke(b, 1, 2, "reserve", RESERVE_7);
    ok(b, 1, AT(1, 2), "n1", "{'slot':0}");
}

static void
bad_expired(struct builder *b)
{
    invoke(b, 1, 0, "tick", "{'slot':5}");
    ok(b, 1, AT(1, 2), "n1", "{'code':'ok','slot':5,'expired':[[1,2]]}");
}

static void
bad_other_operation(struct builder *b)
{
    invoke(b, 1, 2, "reserve", RESERVE_7);
    b->open[1].operation.lo = 3;
    unknown(b, 1);
}

static void
bad_order(struct builder *b)
{
    b->next += 3;
    invoke(b, 1, 2, "reserve", RESERVE_7);
}

static void
bad_process(struct builder *b)
{
    struct event e = {.process = HISTORY_PROCESS_NONE,
                      .kind = EVENT_INVOKE,
                      .function = "reserve"};

    builder_add(b, &e, RESERVE_7);
}

static void
test_malformed_histories_are_cut(void)
{
    CHECK(is_cut(bad_completion, "none open"));
    CHECK(is_cut(bad_twice, "none open"));
    CHECK(is_cut(bad_overlap, "is not complete"));
    CHECK(is_cut(bad_function, "unknown function 'frobnicate'"));
    CHECK(is_cut(bad_argument, "'ttl'"));
    CHECK(is_cut(bad_result, "'code'"));
    CHECK(is_cut(bad_expired, "'expired'"));
    CHECK(is_cut(bad_other_operation, "another attempt"));
    CHECK(is_cut(bad_order, "is due"));
    CHECK(is_cut(bad_process, "without a process"));
}

static void
test_violation_before_the_cut_stands(void)
{
    struct builder b;

    builder_init(&b, "{'positions':'total'}");
    done(&b, 1, 1, "create_resource", "{'resource':7}", AT(1, 1),
         "{'code':'ok','slot':0}");
    done(&b, 1, 2, "create_resource", "{'resource':8}", AT(1, 1),
         "{'code':'ok','slot':0}");
    bad_twice(&b);
    judge(&b, NULL);
    CHECK_STR(verdict_of(&b, "position_conflict"), "invalid");
    CHECK_INT(analyzer_exit_status(b.result), 1);
    builder_release(&b);
}

static void
test_deadline_is_unknown(void)
{
    const struct analyzer_options options = {.deadline_ns = 1};
    struct builder b;

    builder_init(&b, "{'positions':'total'}");
    for (uint64_t i = 0; i < 5000; i++) {
        invoke(&b, 1, i + 1, "create_resource", "{'resource':7}");
        unknown(&b, 1);
    }
    judge(&b, &options);
    CHECK_STR(verdict_of(&b, "duplicate_execution"), "unknown");
    builder_release(&b);
}

static void
test_chosen_checkers_only(void)
{
    const char *names[] = {"stale_read", "stale_read", NULL};
    const char *wrong[] = {"no_such_checker", NULL};
    struct analyzer_options options = {.checkers = names};
    struct builder b;
    struct error err;
    json_t *result;

    builder_init(&b, "{'positions':'total'}");
    judge(&b, &options);
    CHECK_INT(json_array_size(json_object_get(b.result, "checkers")), 1);
    options.checkers = wrong;
    CHECK(analyzer_judge(b.table, &options, &result, &err) < 0);
    CHECK(strstr(err.text, "no_such_checker") != NULL);
    builder_release(&b);
}

static void
test_evidence(void)
{
    const json_t *evidence, *fault;
    struct builder b;

    builder_init(&b, "{'positions':'total','scenario':'x'}");
    done(&b, 1, 1, "create_resource", "{'resource':7}", AT(1, 1),
         "{'code':'ok','slot':0}");
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'planned'}"); /* of whom is not known yet */
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'injected','nodes':['n1'],'primary':true}");
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'proved','nodes':['n1'],'result':'confirmed'}");
    invoke(&b, 2, 2, "create_resource", "{'resource':8}");
    unknown(&b, 2);
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'proved_before_reboot','result':'confirmed'}");
    done(&b, 1, 3, "create_resource", "{'resource':9}", AT(1, 7),
         "{'code':'ok','slot':0}"); /* not in force, for all we know */
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'proved_after_reboot','result':'mismatch'}");
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'proved','result':'confirmed'}");
    done(&b, 1, 4, "create_resource", "{'resource':10}", AT(1, 8),
         "{'code':'ok','slot':0}");
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'proved_before_heal','result':'confirmed'}");
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'healed','nodes':['n1']}");
    remark(&b, EVENT_FAULT, "kill", NULL,
           "{'id':1,'stage':'proved_healed','result':'confirmed'}");
    remark(&b, EVENT_NOTE, "view", NULL, "{'term':4,'primary':'n2'}");
    invoke(&b, 2, 2, "create_resource", "{'resource':8}");
    ok(&b, 2, AT(4, 9), "n2", "{'code':'ok','slot':0}");
    judge(&b, NULL);
    evidence = json_object_get(b.result, "evidence");
    fault = json_array_get(json_object_get(evidence, "faults"), 0);
    CHECK(json_is_true(json_object_get(fault, "confirmed")));
    CHECK(json_is_true(json_object_get(fault, "healed")));
    CHECK(json_is_true(json_object_get(fault, "primary")));
    CHECK_STR(
        json_string_value(json_array_get(json_object_get(fault, "nodes"), 0)),
        "n1");
    CHECK_INT(json_integer_value(json_object_get(
                  json_object_get(fault, "attempts"), "unknown")),
              1);
    CHECK_INT(json_integer_value(
                  json_object_get(json_object_get(fault, "attempts"), "total")),
              2);
    CHECK_INT(json_integer_value(json_object_get(fault, "acknowledged")), 1);
    CHECK_INT(json_integer_value(json_object_get(evidence, "leader_changes")),
              1);
    CHECK_INT(json_integer_value(json_object_get(
                  json_object_get(evidence, "ambiguities"), "resolved")),
              1);
    CHECK(json_is_true(json_object_get(evidence, "complete")));
    builder_release(&b);
}

/* Nearly in order, in no order, with equal elements: as qsort, and stable. */
static int
pair_compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return x[0] < y[0] ? -1 : x[0] > y[0];
}

static void
test_order_nearly(void)
{
    enum { COUNT = 2000 };
    static uint32_t pairs[COUNT][2];
    struct rng rng;

    rng_init(&rng, 7);
    for (unsigned spread = 1; spread < 100000; spread *= 10) {
        for (uint32_t i = 0; i < COUNT; i++) {
            pairs[i][0] = i / 2 + (uint32_t)rng_below(&rng, spread);
            pairs[i][1] = i;
        }
        order_nearly(pairs, COUNT, sizeof(pairs[0]), pair_compare);
        for (uint32_t i = 1; i < COUNT; i++) {
            CHECK(pairs[i - 1][0] <= pairs[i][0]);
            if (pairs[i - 1][0] == pairs[i][0])
                CHECK(pairs[i - 1][1] < pairs[i][1]);
        }
    }
}

static bool
is_below(const void *arg, uint32_t i)
{
    const uint32_t *bounds = arg; /* how many there are, and are below */

    CHECK(i < bounds[0]);
    return i < bounds[1];
}

/* Wherever it begins. */
static void
test_order_search(void)
{
    for (uint32_t count = 0; count < 40; count++)
        for (uint32_t below = 0; below <= count; below++)
            for (uint32_t hint = 0; hint < count + 3; hint++)
                CHECK_INT(order_search(count, hint, is_below,
                                       (uint32_t[]){count, below}),
                          below);
    CHECK_INT(order_search(1u << 20, 3, is_below,
                           (uint32_t[]){1u << 20, (1u << 20) - 1}),
              (1u << 20) - 1);
}

/* Numbers in a row, all multiples of one, and in no order. */
static void
test_map_finds_all(void)
{
    const uint64_t factors[] = {1, 16, 256, UINT64_C(0x9e3779b97f4a7c15)};
    struct map m = {0};
    uint32_t count = 0;

    for (unsigned f = 0; f < ARRAY_LEN(factors); f++)
        for (uint64_t i = 0; i < 3000; i++) {
            struct id128 id = {f, i * factors[f]};

            CHECK_INT(map_get(&m, id), MAP_NONE);
            *map_put(&m, id) = count++;
        }
    CHECK_INT(m.count, count);
    for (unsigned f = 0; f < ARRAY_LEN(factors); f++)
        for (uint64_t i = 0; i < 3000; i++)
            CHECK_INT(map_get(&m, (struct id128){f, i * factors[f]}),
                      f * 3000 + i);
    map_release(&m);
}

int
main(void)
{
    RUN(test_order_nearly);
    RUN(test_order_search);
    RUN(test_map_finds_all);
    RUN(test_retries_fold);
    RUN(test_other_contents_are_another_operation);
    RUN(test_reads_and_ticks_never_fold);
    RUN(test_fail_only_if_all_attempts_fail);
    RUN(test_malformed_histories_are_cut);
    RUN(test_violation_before_the_cut_stands);
    RUN(test_deadline_is_unknown);
    RUN(test_chosen_checkers_only);
    RUN(test_evidence);
    return tap_done();
}
