/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gate's rows: what a run came to against what was expected, what is tried
 * again, what is missing, what is claimed; and lanes with real processes.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/gate/claims.h"
#include "harness/gate/lane.h"
#include "harness/gate/state.h"
#include "harness/gate/test-results.h"
#include "tests/lib/tap.h"

static void
row_init(struct matrix_row *row, const char *scenario)
{
    *row = (struct matrix_row){.scenario = xstrdup(scenario),
                               .system = xstrdup("replica"),
                               .workload = xstrdup("w"),
                               .provider = xstrdup("libvirt"),
                               .window_ns = 60 * NS_PER_S,
                               .full_window_ns = 60 * NS_PER_S,
                               .blocking = true};
}

/* A plain row, and one with a planted bug that may be blocked. */
static json_t *
two_rows(bool release, const char *blocked)
{
    struct matrix m = {.suite = xstrdup("two"),
                       .description = xstrdup(""),
                       .release = release,
                       .rows = xcalloc(2, sizeof(*m.rows)),
                       .row_count = 2};
    json_t *state;

    row_init(&m.rows[0], "plain");
    row_init(&m.rows[1], "canary");
    m.rows[1].bug = xstrdup("stale-read");
    m.rows[1].must = json_pack("[s]", "stale_read");
    m.rows[1].may = json_pack("[s]", "lost_write");
    m.rows[1].blocked = blocked == NULL ? NULL : xstrdup(blocked);
    state = gate_state_new(&m, 7, 0);
    matrix_release(&m);
    CHECK(state != NULL);
    return state;
}

static json_t *
manifest_of(const char *status, const char *fired)
{
    json_t *m = json_pack("{s:s, s:[{s:s, s:s}]}", "status", status, "checkers",
                          "checker", "double_allocation", "verdict", "valid");

    if (fired != NULL)
        json_array_append_new(
            json_object_get(m, "checkers"),
            json_pack("{s:s, s:s}", "checker", fired, "verdict", "invalid"));
    return m;
}

static void
end_row(json_t *row, const char *status, const char *fired)
{
    json_t *manifest = manifest_of(status, fired);

    gate_attempt_end(row, manifest, NULL, 5 * NS_PER_S);
    json_decref(manifest);
}

static void
check_row(const json_t *row, const char *state, const char *status)
{
    CHECK(gate_row_is(row, state));
    CHECK_STR(json_string_value(json_object_get(row, "status")), status);
}

static void
test_passes_in_order(void)
{
    json_t *state = two_rows(true, NULL), *row = gate_state_next(state);
    uint64_t seed = gate_row_seed(state, row);

    CHECK_INT(gate_state_status(state), STATUS_INSUFFICIENT);
    gate_attempt_begin(row, seed, 0);
    CHECK(gate_row_is(row, "running"));
    CHECK(gate_row_seed(state, row) != seed);
    end_row(row, "passed", NULL);
    check_row(row, "done", "passed");
    CHECK_INT(gate_state_status(state), STATUS_INSUFFICIENT);
    row = gate_state_next(state);
    gate_attempt_begin(row, 1, 0);
    end_row(row, "violation", "stale_read");
    check_row(row, "done", "passed");
    CHECK(gate_state_next(state) == NULL);
    CHECK_INT(gate_state_status(state), STATUS_PASSED);
    json_decref(state);
}

/* What the row with the planted bug comes to. */
static void
check_canary(const char *status, const char *fired, enum run_status expected)
{
    json_t *state = two_rows(false, NULL);
    json_t *row = json_array_get(gate_state_rows(state), 1);
    json_t *manifest = manifest_of(status, fired);
    struct arena arena;
    const char *text;

    arena_init(&arena);
    CHECK_STR(run_status_name(gate_outcome(row, manifest, &arena, &text)),
              run_status_name(expected));
    arena_release(&arena);
    json_decref(manifest);
    json_decref(state);
}

static void
test_canary_that_is_not_caught_is_ours(void)
{
    check_canary("violation", "stale_read", STATUS_PASSED);
    check_canary("passed", NULL, STATUS_INTERNAL);
    check_canary("insufficient", NULL, STATUS_INTERNAL);
    check_canary("violation", "early_expiration", STATUS_INTERNAL);
    check_canary("violation", "lost_write", STATUS_INTERNAL);
    check_canary("infra", NULL, STATUS_INFRA);
    check_canary("nonsense", NULL, STATUS_INTERNAL);
}

static void
test_violation_is_never_masked(void)
{
    json_t *state = two_rows(true, "no QEMU"), *row = gate_state_next(state);

    gate_attempt_begin(row, 1, 0);
    end_row(row, "violation", "lost_write");
    check_row(row, "done", "violation");
    CHECK_INT(gate_state_status(state), STATUS_VIOLATION);
    json_decref(state);
}

static void
test_infra_is_tried_once_more(void)
{
    json_t *state = two_rows(true, NULL), *row = gate_state_next(state);

    gate_attempt_begin(row, 1, 0);
    end_row(row, "infra", NULL);
    CHECK(gate_row_is(row, "waiting"));
    CHECK(gate_state_next(state) == row);
    gate_attempt_begin(row, 2, 0);
    end_row(row, "infra", NULL);
    check_row(row, "done", "infra");
    CHECK_INT(json_array_size(json_object_get(row, "attempts")), 2);
    json_decref(state);
}

static void
test_interrupted_rows_wait_again(void)
{
    json_t *state = two_rows(true, NULL), *row = gate_state_next(state);

    for (int i = 0; i < GATE_ATTEMPTS_MAX - 1; i++) {
        gate_attempt_begin(row, 1, 0);
        gate_attempt_interrupt(row, "a signal");
        CHECK(gate_row_is(row, "waiting"));
    }
    gate_attempt_begin(row, 1, 0);
    gate_attempt_interrupt(row, "a signal");
    check_row(row, "done", "infra");
    json_decref(state);
}

static void
test_no_manifest_is_internal(void)
{
    json_t *state = two_rows(true, NULL), *row = gate_state_next(state);

    gate_attempt_begin(row, 1, 0);
    gate_attempt_end(row, NULL, "signal 11", 0);
    check_row(row, "done", "internal");
    CHECK_STR(json_string_value(json_object_get(gate_row_attempt(row), "text")),
              "signal 11");
    json_decref(state);
}

static void
test_blocked_and_shortened_rows_are_missing(void)
{
    json_t *state = two_rows(true, "no QEMU"), *row = gate_state_next(state);

    gate_attempt_begin(row, 1, 0);
    end_row(row, "passed", NULL);
    CHECK(gate_state_next(state) == NULL);
    CHECK_INT(gate_state_status(state), STATUS_INSUFFICIENT);
    json_decref(state);

    state = two_rows(true, NULL);
    for (int i = 0; i < 2; i++) {
        row = gate_state_next(state);
        gate_attempt_begin(row, 1, 0);
        end_row(row, i == 0 ? "passed" : "violation",
                i == 0 ? NULL : "stale_read");
    }
    CHECK_INT(gate_state_status(state), STATUS_PASSED);
    json_object_set_new(row, "shortened", json_true());
    CHECK_INT(gate_state_status(state), STATUS_INSUFFICIENT);
    json_object_set_new(state, "release", json_false());
    CHECK_INT(gate_state_status(state), STATUS_PASSED);
    json_decref(state);
}

static void
test_a_row_that_does_not_block(void)
{
    json_t *state = two_rows(true, NULL);
    json_t *row = json_array_get(gate_state_rows(state), 0);
    json_t *canary = json_array_get(gate_state_rows(state), 1);

    gate_attempt_begin(canary, 1, 0);
    end_row(canary, "violation", "stale_read");
    json_object_set_new(row, "blocking", json_false());
    CHECK_INT(gate_state_status(state), STATUS_PASSED);
    gate_attempt_begin(row, 1, 0);
    end_row(row, "unknown", NULL);
    CHECK_INT(gate_state_status(state), STATUS_PASSED);
    end_row(row, "violation", "lost_write");
    CHECK_INT(gate_state_status(state), STATUS_VIOLATION);
    json_decref(state);
}

static void
test_state_survives_its_file(void)
{
    char dir[] = "/tmp/ordeal-gate-XXXXXX";
    json_t *state = two_rows(true, NULL), *again;
    struct error err = {0};

    CHECK(mkdtemp(dir) != NULL);
    gate_attempt_begin(gate_state_next(state), 3, 0);
    CHECK_OK(gate_state_save(dir, state, &err), &err);
    again = gate_state_load(dir, &err);
    CHECK(again != NULL && json_equal(again, state));
    json_decref(again);
    json_object_set_new(state, "schema", json_integer(99));
    CHECK_OK(gate_state_save(dir, state, &err), &err);
    CHECK(gate_state_load(dir, &err) == NULL);
    CHECK_INT(err.kind, ERROR_CONFIG);
    json_decref(state);
    CHECK_OK(dir_remove(dir, &err), &err);
}

/* ---- claims ---- */

static const char claims_text[] =
    "[{\"id\":\"c\", \"claim\":\"C\", \"owner\":\"o\", \"residual\":\"r\","
    "  \"closes\":\"x\", \"levels\":{\"L0\":[\"test-a\"],"
    "  \"L3\":{\"checkers\":[\"double_allocation\"],"
    "          \"scenarios\":[\"pl*\"]}}}]";

static void
check_claim(const json_t *state, const char *tests, const char *expected,
            const char *missing)
{
    json_t *claims = json_loads(claims_text, 0, NULL), *result, *claim;
    json_t *results;
    struct error err = {0};

    results =
        tests == NULL ? NULL : test_results_of_tree(tests, claims, "abc", &err);
    CHECK((results == NULL) == (tests == NULL));
    result = claims_weigh_list(claims, state, results, &err);
    json_decref(results);
    CHECK(result != NULL);
    claim = json_array_get(result, 0);
    CHECK_STR(json_string_value(json_object_get(claim, "state")), expected);
    CHECK(strstr(json_string_value(json_object_get(claim, "missing")),
                 missing) != NULL);
    json_decref(result);
    json_decref(claims);
}

static void
write_file(const char *dir, const char *name, const char *text, long age_s)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
    struct error err = {0};
    struct timespec times[2] = {{.tv_sec = 100000 - age_s},
                                {.tv_sec = 100000 - age_s}};

    CHECK_OK(file_write_atomic(path, text, strlen(text), 0755, &err), &err);
    CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
test_claims_follow_from_runs(void)
{
    char dir[] = "/tmp/ordeal-gate-XXXXXX";
    json_t *state = two_rows(true, NULL);
    json_t *row = json_array_get(gate_state_rows(state), 0);
    struct error err = {0};

    CHECK(mkdtemp(dir) != NULL);
    check_claim(state, NULL, "NOT PROVEN", "plain did not run");
    gate_attempt_begin(row, 1, 0);
    end_row(row, "passed", NULL);
    check_claim(state, NULL, "PARTIAL", "no results of tests were handed over");
    check_claim(state, dir, "PARTIAL", "test-a was not run");
    write_file(dir, "test-a.trs", ":global-test-result: FAIL\n", 0);
    check_claim(state, dir, "PARTIAL", "test-a did not pass");
    write_file(dir, "test-a.trs", ":global-test-result: PASS\n", 0);
    check_claim(state, dir, "PROVEN", "");
    write_file(dir, "test-a", "", -10);
    check_claim(state, dir, "PARTIAL", "before the last build");
    write_file(dir, "test-a", "", 10);
    json_object_set_new(row, "shortened", json_true());
    check_claim(state, dir, "PARTIAL", "shortened");
    end_row(row, "violation", "double_allocation");
    check_claim(state, dir, "NOT PROVEN", "double_allocation is invalid");
    json_object_set_new(row, "state", json_string("blocked"));
    check_claim(state, dir, "BLOCKED", "plain is blocked");
    json_decref(state);
    CHECK_OK(dir_remove(dir, &err), &err);
}

/* A file of results is of these programs, or it is refused. */
static void
test_results_are_handed_over(void)
{
    char dir[] = "/tmp/ordeal-gate-XXXXXX";
    CLEANUP_FREE char *path = NULL, *problem = NULL;
    json_t *claims = json_loads(claims_text, 0, NULL), *results, *again;
    struct error err = {0};

    CHECK(mkdtemp(dir) != NULL);
    path = xasprintf("%s/r.json", dir);
    write_file(dir, "test-a.trs", ":global-test-result: PASS\n", 0);
    results = test_results_of_tree(dir, claims, "abc", &err);
    CHECK(results != NULL);
    CHECK_INT(json_dump_file(results, path, 0), 0);
    again = claims_tests(path, NULL, &err);
    CHECK(json_equal(again, results));
    CHECK(test_results_problem(again, "test-a") == NULL);
    problem = test_results_problem(again, "test-b");
    CHECK_STR(problem, "test-b is not among the results");
    json_decref(again);
    json_object_set_new(results, "build", json_string("1-2/3-4"));
    CHECK_INT(json_dump_file(results, path, 0), 0);
    CHECK(claims_tests(path, NULL, &err) == NULL);
    CHECK_INT(err.kind, ERROR_CONFIG);
    CHECK(strstr(err.text, "another build (commit abc)") != NULL);
    write_file(dir, "r.json", "[]", 0);
    CHECK(claims_tests(path, NULL, &err) == NULL);
    CHECK(strstr(err.text, "no results of tests") != NULL);
    json_decref(results);
    json_decref(claims);
    CHECK_OK(dir_remove(dir, &err), &err);
}

static void
test_shipped_claims_are_whole(void)
{
    json_t *state = two_rows(true, NULL), *claims;
    struct error err = {0};

    claims = claims_weigh(state, NULL, &err);
    if (claims == NULL)
        printf("# %s\n", err.text);
    CHECK(json_array_size(claims) >= 7);
    json_decref(claims);
    json_decref(state);
}

/* ---- lanes ---- */

#define SCRIPT_HEAD                                                            \
    "#!/bin/sh\n"                                                              \
    "while [ \"$1\" != --output ]; do shift; done\n"                           \
    "b=$2/bundle; mkdir -p \"$b\"\n"

static void
lane_fixture(const char *script, struct lane *lane, json_t *row, char *dir)
{
    CLEANUP_FREE char *program = NULL;
    struct lane_command c = {.output = dir, .dir = dir, .seed = 3};
    struct error err = {0};

    CHECK(mkdtemp(dir) != NULL);
    write_file(dir, "ordeal", script, 0);
    program = xasprintf("%s/ordeal", dir);
    c.program = program;
    gate_attempt_begin(row, 3, 0);
    CHECK_OK(lane_start(lane, row, &c, &err), &err);
}

static char *
lane_wait(struct lane *lane)
{
    char *problem = NULL;

    for (int i = 0; i < 1000; i++) {
        if (lane_ended(lane, &problem))
            return problem;
        clock_sleep_ns(clock_monotonic(), 10 * NS_PER_MS);
    }
    CHECK(!"the process does not end");
    return NULL;
}

static void
lane_clean(struct lane *lane, json_t *state, const char *dir)
{
    struct error err = {0};

    lane_release(lane);
    json_decref(state);
    CHECK_OK(dir_remove(dir, &err), &err);
}

static void
test_lane_finds_the_bundle(void)
{
    char dir[] = "/tmp/ordeal-gate-XXXXXX";
    json_t *state = two_rows(false, NULL), *manifest;
    struct lane lane;
    char *problem;

    lane_fixture(SCRIPT_HEAD
                 "echo '{\"event\":\"started\",\"bundle\":\"'\"$b\"'\"}'\n"
                 "echo '{\"phase\":\"load\"}' >\"$b/status.json\"\n"
                 "echo '{\"status\":\"passed\"}' >\"$b/manifest.json\"\n"
                 "exit 4\n",
                 &lane, gate_state_next(state), dir);
    problem = lane_wait(&lane);
    CHECK(problem == NULL);
    CHECK_STR(lane.phase, "load");
    manifest = lane_manifest(&lane);
    CHECK_STR(json_string_value(json_object_get(manifest, "status")), "passed");
    json_decref(manifest);
    lane_clean(&lane, state, dir);
}

static void
test_lane_tells_what_went_wrong(void)
{
    char dir[] = "/tmp/ordeal-gate-XXXXXX", dir2[] = "/tmp/ordeal-gate-XXXXXX";
    json_t *state = two_rows(false, NULL);
    struct lane lane;
    char *problem;

    lane_fixture("#!/bin/sh\necho 'no such thing' >&2\nexit 64\n", &lane,
                 gate_state_next(state), dir);
    problem = lane_wait(&lane);
    CHECK_STR(problem, "exit status 64: no such thing");
    free(problem);
    CHECK(lane_manifest(&lane) == NULL);
    lane_clean(&lane, state, dir);

    state = two_rows(false, NULL);
    lane_fixture("#!/bin/sh\nkill -9 $$\n", &lane, gate_state_next(state),
                 dir2);
    problem = lane_wait(&lane);
    CHECK_STR(problem, "its driver was ended by signal 9: it said nothing");
    free(problem);
    lane_clean(&lane, state, dir2);
}

static void
test_old_run_is_ended(void)
{
    char dir[] = "/tmp/ordeal-gate-XXXXXX";
    json_t *state = two_rows(false, NULL), *attempt;
    struct lane lane;

    lane_fixture("#!/bin/sh\nexec sleep 600\n", &lane, gate_state_next(state),
                 dir);
    attempt = json_pack("{s:i, s:I}", "pid", (int)lane.pid, "start_ticks",
                        (json_int_t)lane.start_ticks + 1);
    CHECK(lane_end_old(attempt, 0)); /* another process has its number now */
    json_object_set_new(attempt, "start_ticks",
                        json_integer((json_int_t)lane.start_ticks));
    CHECK(!lane_end_old(attempt, 0)); /* it is a zombie until we wait */
    json_decref(attempt);
    free(lane_wait(&lane));
    lane_clean(&lane, state, dir);
}

int
main(void)
{
    RUN(test_passes_in_order);
    RUN(test_canary_that_is_not_caught_is_ours);
    RUN(test_violation_is_never_masked);
    RUN(test_infra_is_tried_once_more);
    RUN(test_interrupted_rows_wait_again);
    RUN(test_no_manifest_is_internal);
    RUN(test_blocked_and_shortened_rows_are_missing);
    RUN(test_a_row_that_does_not_block);
    RUN(test_state_survives_its_file);
    RUN(test_claims_follow_from_runs);
    RUN(test_results_are_handed_over);
    RUN(test_shipped_claims_are_whole);
    RUN(test_lane_finds_the_bundle);
    RUN(test_lane_tells_what_went_wrong);
    RUN(test_old_run_is_ended);
    return tap_done();
}
