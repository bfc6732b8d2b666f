/* SPDX-License-Identifier: Apache-2.0 */
/* The nemesis on a fake cluster: order, record, budget, stopping, healing. */
#include "config.h"

#include <string.h>

#include "tests/lib/nemesis-fixture.h"

#define WINDOW_NS (60 * NS_PER_S)

static const char *const kills =
    "{\"faults\":[{\"fault\":\"kill\",\"target\":\"primary\","
    "\"duration\":\"1.5s\"}]}";

static const char *const mixed =
    "{\"max_concurrent\":3,\"interval\":\"2s\",\"budget\":{\"nodes_down\":2},"
    "\"faults\":["
    "{\"fault\":\"kill\",\"target\":\"one\",\"duration\":\"3s\"},"
    "{\"fault\":\"stop\",\"target\":\"one\",\"duration\":\"3s\"},"
    "{\"fault\":\"pause\",\"target\":\"primary\",\"duration\":\"4s\"},"
    "{\"fault\":\"partition\",\"target\":\"one\",\"duration\":\"5s\"}]}";

static struct nemesis_summary
summary(struct nemesis_fixture *f)
{
    struct nemesis_summary s;

    nemesis_summary(f->nemesis, &s);
    return s;
}

/* The stages of fault 1 in the history, joined by spaces. */
static void
stages(struct nemesis_fixture *f, char *ret, size_t size)
{
    struct history_reader *r = history_reader_open(f->history_path, &f->err);
    size_t used = 0;
    struct event e;

    CHECK(r != NULL);
    ret[0] = '\0';
    while (history_next(r, &e, &f->err) == 1) {
        const char *stage = "?";
        int64_t id = 0;

        CHECK_INT(e.kind, EVENT_FAULT);
        CHECK_STR(e.function, "kill");
        CHECK(fields_int(&e.fields, "id", &id));
        CHECK(fields_string(&e.fields, "stage", &stage));
        if (id != 1)
            continue;
        used += (size_t)snprintf(ret + used, size - used, "%s%s",
                                 used == 0 ? "" : " ", stage);
        CHECK(used < size);
    }
    history_reader_free(r);
}

static void
test_stages_in_order(void)
{
    struct nemesis_fixture f;
    struct nemesis_summary s;
    char text[512];

    fixture_setup(&f, kills, 3, WINDOW_NS);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    s = summary(&f);
    CHECK(s.planned >= 7);
    CHECK_INT(s.injected, s.planned);
    CHECK_INT(s.confirmed, s.planned);
    CHECK_INT(s.primary_hits, s.planned);
    CHECK_INT(s.under_way + s.skipped + s.mismatch + s.inconclusive, 0);
    CHECK_INT(f.harm_count, s.planned);
    CHECK_INT(fixture_pending(&f), 0);
    CHECK(fake_is_clean(f.fake));
    CHECK(f.fake->clock.now_ns <= WINDOW_NS + NS_PER_S);
    fixture_close(&f);
    stages(&f, text, sizeof(text));
    CHECK_STR(text, "planned journalled injected proved proved_before_heal "
                    "healed proved_healed");
    fixture_teardown(&f);
}

static json_t *
line_of(struct nemesis_fixture *f, const char *stage)
{
    FILE *in = fopen(f->faults_path, "re");
    char line[8192];
    json_t *found = NULL;

    CHECK(in != NULL);
    while (found == NULL && fgets(line, sizeof(line), in) != NULL) {
        json_t *json = json_loads(line, 0, NULL);

        CHECK(json != NULL);
        if (strcmp(json_string_value(json_object_get(json, "stage")), stage) ==
            0)
            found = json_incref(json);
        json_decref(json);
    }
    fclose(in);
    return found;
}

static void
test_faults_jsonl_has_the_evidence(void)
{
    struct nemesis_fixture f;
    json_t *line;

    fixture_setup(&f, kills, 3, WINDOW_NS);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    fixture_close(&f);
    line = line_of(&f, "planned");
    CHECK_STR(json_string_value(json_object_get(line, "target")), "primary");
    json_decref(line);
    line = line_of(&f, "proved");
    CHECK_STR(json_string_value(json_object_get(line, "result")), "confirmed");
    CHECK(json_is_true(json_object_get(line, "primary")));
    CHECK_INT(json_array_size(json_object_get(line, "nodes")), 1);
    CHECK_INT(json_integer_value(json_object_get(
                  json_object_get(json_object_get(line, "evidence"), "n1"),
                  "pid_before")),
              201);
    json_decref(line);
    fixture_teardown(&f);
}

static void
test_same_seed_same_run(void)
{
    CLEANUP_FREE char *texts[2] = {NULL, NULL};

    for (int i = 0; i < 2; i++) {
        struct nemesis_fixture f;

        fixture_setup(&f, mixed, 5, WINDOW_NS);
        fixture_open(&f);
        nemesis_run(f.nemesis);
        fixture_close(&f);
        texts[i] = file_read(f.faults_path, 1 << 22, NULL, &f.err);
        CHECK(texts[i] != NULL);
        fixture_teardown(&f);
    }
    CHECK(strcmp(texts[0], texts[1]) == 0);
    free(texts[1]);
}

/* Overlapping faults: never more nodes down than the budget says. */
static void
test_budget_holds_when_faults_overlap(void)
{
    struct nemesis_fixture f;
    struct nemesis_summary s;

    fixture_setup(&f, mixed, 5, 10 * WINDOW_NS);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    s = summary(&f);
    CHECK(s.planned > 150);
    CHECK(s.confirmed > s.planned * 9 / 10);
    CHECK_INT(s.mismatch + s.inconclusive, 0);
    CHECK_INT(s.confirmed + s.skipped, s.planned);
    CHECK_INT(f.down_max, 2);
    CHECK(fake_is_clean(f.fake));
    fixture_teardown(&f);
}

static node_set
line_nodes(struct nemesis_fixture *f, const json_t *line)
{
    node_set nodes = 0;

    CHECK_OK(node_set_from_json(&f->fake->cluster,
                                json_object_get(line, "nodes"), &nodes,
                                &f->err),
             &f->err);
    return nodes;
}

/* Whatever overlaps: no node is under two faults. */
static void
test_no_node_is_under_two_faults(void)
{
    struct nemesis_fixture f;
    node_set busy = 0;
    unsigned overlaps = 0;
    char line[8192];
    FILE *in;

    fixture_setup(&f, mixed, 5, 10 * WINDOW_NS);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    fixture_close(&f);
    in = fopen(f.faults_path, "re");
    CHECK(in != NULL);
    while (fgets(line, sizeof(line), in) != NULL) {
        json_t *json = json_loads(line, 0, NULL);
        const char *stage = json_string_value(json_object_get(json, "stage"));

        CHECK(stage != NULL);
        if (strcmp(stage, "journalled") == 0) {
            overlaps += busy != 0;
            CHECK_INT(busy & line_nodes(&f, json), 0);
            busy |= line_nodes(&f, json);
        } else if (strcmp(stage, "proved_healed") == 0) {
            busy &= ~line_nodes(&f, json);
        }
        json_decref(json);
    }
    fclose(in);
    CHECK(overlaps > 20);
    fixture_teardown(&f);
}

/* ---- waiting and skipping ---- */

static void
test_no_primary_skips_after_a_wait(void)
{
    struct nemesis_fixture f;
    json_t *line;

    fixture_setup(&f, kills, 3, 12 * NS_PER_S);
    for (int i = 0; i < 3; i++)
        f.fake->nodes[i].mute = true;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).skipped, summary(&f).planned);
    CHECK_INT(f.harm_count, 0);
    fixture_close(&f);
    line = line_of(&f, "skipped");
    CHECK_STR(json_string_value(json_object_get(line, "error")),
              "no node says that it is primary");
    json_decref(line);
    fixture_teardown(&f);
}

/* A node that is down without our doing uses up the budget. */
static void
test_silent_node_uses_up_the_budget(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, kills, 3, 12 * NS_PER_S);
    f.fake->nodes[2].mute = true;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK(summary(&f).planned > 0);
    CHECK_INT(summary(&f).skipped, summary(&f).planned);
    CHECK_INT(f.harm_count, 0);
    fixture_teardown(&f);
}

static void
test_fault_waits_for_its_target(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, kills, 3, 12 * NS_PER_S);
    f.fake->trip = FAKE_FAIL_BEFORE; /* three rounds of statuses */
    f.fake->trip_first = 1;
    f.fake->trip_last = 9;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK(summary(&f).planned > 0);
    CHECK_INT(summary(&f).confirmed, summary(&f).planned);
    fixture_teardown(&f);
}

/* ---- failures ---- */

static void
test_inject_that_fails_is_healed_and_not_claimed(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, kills, 3, 8 * NS_PER_S);
    CHECK_INT(f.plan.entry_count, 1);
    f.fake->trip = FAKE_FAIL_AFTER;
    f.fake->trip_first = f.fake->trip_last = 5; /* status x3, process, KILL */
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(f.harm_count, 1);
    CHECK_INT(summary(&f).injected, 0);
    CHECK_INT(summary(&f).confirmed, 0);
    CHECK_INT(summary(&f).inconclusive, 1);
    CHECK_INT(summary(&f).under_way, 0);
    CHECK(fake_is_clean(f.fake));
    fixture_teardown(&f);
}

static void
test_lost_proof_is_inconclusive_and_no_coverage(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, kills, 3, 8 * NS_PER_S);
    f.fake->trip = FAKE_FAIL_BEFORE;
    f.fake->trip_first = f.fake->trip_last = 6; /* the look after the kill */
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).injected, 1);
    CHECK_INT(summary(&f).confirmed, 0);
    CHECK_INT(summary(&f).primary_hits, 0);
    CHECK_INT(summary(&f).inconclusive, 1);
    CHECK(fake_is_clean(f.fake));
    fixture_teardown(&f);
}

/* Confirmed at its beginning, gone before its end: not covered. */
static void
test_effect_that_ends_early_is_a_mismatch(void)
{
    struct nemesis_fixture f;
    json_t *line;

    fixture_setup(&f,
                  "{\"faults\":[{\"fault\":\"pause\",\"target\":\"primary\","
                  "\"duration\":\"2s\"}]}",
                  3, 8 * NS_PER_S);
    CHECK_INT(f.plan.entry_count, 1);
    f.fake->timers_fire_ns = f.fake->clock.now_ns + 4 * NS_PER_S;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).injected, 1);
    CHECK_INT(summary(&f).mismatch, 1);
    CHECK_INT(summary(&f).confirmed + summary(&f).primary_hits, 0);
    CHECK_INT(summary(&f).under_way, 0);
    fixture_close(&f);
    line = line_of(&f, "proved");
    CHECK_STR(json_string_value(json_object_get(line, "result")), "confirmed");
    json_decref(line);
    line = line_of(&f, "proved_before_heal");
    CHECK_STR(json_string_value(json_object_get(line, "result")), "mismatch");
    json_decref(line);
    fixture_teardown(&f);
}

/* What a fault gives leave for counts on the nodes it hit, and there alone. */
static void
test_exits_that_a_fault_gives_leave_for(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f,
                  "{\"faults\":[{\"fault\":\"file-flip\",\"target\":\"n2\","
                  "\"duration\":\"2s\"}]}",
                  3, 10 * NS_PER_S);
    fixture_open(&f);
    CHECK(!nemesis_may_exit(f.nemesis, 1, 76));
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).confirmed, 1);
    CHECK(nemesis_may_exit(f.nemesis, 1, 76));
    CHECK(!nemesis_may_exit(f.nemesis, 0, 76));
    CHECK(!nemesis_may_exit(f.nemesis, 1, 74));
    CHECK(!nemesis_may_exit(f.nemesis, 1, 1000));
    CHECK(fake_is_clean(f.fake));
    fixture_teardown(&f);
}

/* At a crash point a daemon ends with the status that the system names. */
static void
test_the_exit_at_a_crash_point(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f,
                  "{\"faults\":[{\"fault\":\"crash-point\",\"target\":\"n2\","
                  "\"point\":\"soon\",\"duration\":\"2s\"}]}",
                  3, 10 * NS_PER_S);
    fixture_open(&f);
    CHECK(!nemesis_may_exit(f.nemesis, 1, 86));
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).confirmed, 1);
    CHECK(nemesis_may_exit(f.nemesis, 1, 86));
    CHECK(!nemesis_may_exit(f.nemesis, 0, 86));
    CHECK(!nemesis_may_exit(f.nemesis, 1, 76));
    fixture_teardown(&f);
}

static const char *const long_pause =
    "{\"faults\":[{\"fault\":\"pause\",\"target\":\"n2\","
    "\"duration\":\"5m\"}]}";

/* Five times the lease: a driver that lives keeps it from running out. */
static void
test_leases_are_renewed(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, long_pause, 3, 320 * NS_PER_S);
    CHECK_INT(f.plan.entry_count, 1);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).confirmed, 1);
    CHECK_INT(summary(&f).self_healed, 0);
    CHECK(f.fake->renewal_count >= 300 / 20 - 1);
    CHECK(f.fake->renewal_count <= 300 / 20 + 1);
    CHECK(fake_is_clean(f.fake));
    fixture_teardown(&f);
}

/* Renewals that do not get through for longer than the lease. */
static void
test_a_lease_that_ran_out_is_recorded(void)
{
    struct nemesis_fixture f;
    json_t *line;

    fixture_setup(&f, long_pause, 3, 320 * NS_PER_S);
    f.fake->timers_fire_ns = f.fake->clock.now_ns + 30 * NS_PER_S;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).self_healed, 1);
    CHECK_INT(summary(&f).mismatch, 1);
    CHECK_INT(summary(&f).confirmed, 0);
    fixture_close(&f);
    line = line_of(&f, "self_healed");
    CHECK(line != NULL);
    CHECK_STR(
        json_string_value(json_array_get(json_object_get(line, "nodes"), 0)),
        "n2");
    json_decref(line);
    fixture_teardown(&f);
}

/* A lost answer is no reason to let the lease run out. */
static void
test_a_renewal_that_fails_is_tried_again(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, long_pause, 3, 320 * NS_PER_S);
    fixture_open(&f);
    f.fake->trip = FAKE_FAIL_BEFORE;
    /* status x3, process, arm, STOP, look; the first two renewals */
    f.fake->trip_first = 8;
    f.fake->trip_last = 9;
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).self_healed, 0);
    CHECK_INT(summary(&f).confirmed, 1);
    CHECK(f.fake->renewal_count >= 2);
    fixture_teardown(&f);
}

/* The daemon was started again, but the system does not answer. */
static void
test_heal_that_does_not_hold_is_dirty(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, kills, 3, WINDOW_NS);
    f.fake->idle_starts = true;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(f.harm_count, 1);
    CHECK_INT(summary(&f).confirmed, 1);
    CHECK_INT(summary(&f).under_way, 1);
    CHECK_INT(summary(&f).skipped, summary(&f).planned - 1);
    CHECK_INT(fixture_pending(&f), 1);
    CHECK_INT(f.fake->nodes[0].starts, 0);
    CHECK_INT(nemesis_heal_all(f.nemesis, 0, &f.err), -1);
    f.fake->idle_starts = false;
    CHECK_OK(nemesis_heal_all(f.nemesis, 0, &f.err), &f.err);
    fixture_teardown(&f);
}

/* A heal that cannot be proven: no further fault, dirty, then healed. */
static void
test_unproven_heal_is_dirty_until_it_is_proven(void)
{
    struct nemesis_fixture f;
    int64_t deadline;

    fixture_setup(&f, kills, 3, WINDOW_NS);
    f.fake->trip = FAKE_FAIL_BEFORE;
    f.fake->trip_first = 6;
    f.fake->trip_last = UINT32_MAX;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(f.harm_count, 1);
    CHECK_INT(fixture_pending(&f), 1);
    deadline = f.fake->clock.now_ns + 10 * NS_PER_S;
    CHECK_INT(nemesis_heal_all(f.nemesis, deadline, &f.err), -1);
    CHECK_STR(f.err.text, "fault 1 (kill): its heal is not proven");
    CHECK(f.fake->clock.now_ns >= deadline - 2 * NS_PER_S);
    CHECK_INT(summary(&f).under_way, 1);
    f.fake->trip = FAKE_NO_TRIP;
    CHECK_OK(nemesis_heal_all(f.nemesis, deadline, &f.err), &f.err);
    CHECK_INT(summary(&f).under_way, 0);
    CHECK_INT(fixture_pending(&f), 0);
    CHECK(fake_is_clean(f.fake));
    fixture_teardown(&f);
}

static void
test_without_a_journal_nothing_is_harmed(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, kills, 3, WINDOW_NS);
    f.journal = journal_open("/dev/full", &f.err);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(f.harm_count, 0);
    CHECK(summary(&f).journal_failed);
    CHECK_INT(summary(&f).injected, 0);
    CHECK_INT(summary(&f).skipped, summary(&f).planned);
    CHECK_INT(nemesis_heal_all(f.nemesis, 0, &f.err), 0);
    fixture_teardown(&f);
}

static void
test_without_a_record_nothing_is_harmed(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, kills, 3, WINDOW_NS);
    f.faults = fopen("/dev/full", "we");
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(f.harm_count, 0);
    CHECK(summary(&f).record_failed);
    fixture_teardown(&f);
}

/* ---- the thread ---- */

static bool
fault_under_way(void *ctx)
{
    char text[NEMESIS_CURRENT_MAX];

    nemesis_current(ctx, text);
    return strcmp(text, "1 kill n1 (primary)") == 0;
}

static void
test_stop_heals_at_once(void)
{
    struct nemesis_fixture f;
    struct clock *clock = clock_monotonic();
    char text[NEMESIS_CURRENT_MAX];
    int64_t before;

    fixture_setup(&f,
                  "{\"start_after\":\"10ms\",\"faults\":[{\"fault\":\"kill\","
                  "\"target\":\"primary\",\"duration\":\"50s\"}]}",
                  3, WINDOW_NS);
    CHECK_INT(f.plan.entry_count, 1);
    f.fake->world.clock = clock;
    fixture_open(&f);
    CHECK_OK(nemesis_start(f.nemesis, &f.err), &f.err);
    before = clock_now_ns(clock);
    CHECK(clock_poll(clock, before + 10 * NS_PER_S, NS_PER_MS, fault_under_way,
                     f.nemesis));
    nemesis_stop(f.nemesis);
    CHECK(clock_now_ns(clock) - before < 20 * NS_PER_S);
    nemesis_current(f.nemesis, text);
    CHECK_STR(text, "");
    CHECK(fake_is_clean(f.fake));
    CHECK_INT(fixture_pending(&f), 0);
    CHECK_INT(summary(&f).confirmed, 1);
    nemesis_stop(f.nemesis);
    fixture_teardown(&f);
}

static void
test_check_says_what_does_not_work(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, mixed, 5, WINDOW_NS);
    CHECK_OK(nemesis_check(&f.fake->world, &f.plan, &f.err), &f.err);
    f.fake->trip = FAKE_FAIL_BEFORE;
    f.fake->trip_last = UINT32_MAX;
    CHECK_INT(nemesis_check(&f.fake->world, &f.plan, &f.err), -1);
    CHECK_STR(f.err.text, "fault 'partition' does not work on these nodes");
    CHECK_INT(f.err.kind, ERROR_ENVIRONMENT);
    fixture_teardown(&f);
}

static void
test_empty_plan_ends_at_once(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f, "{}", 3, WINDOW_NS);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(f.fake->call_count, 0);
    CHECK_INT(nemesis_heal_all(f.nemesis, 0, &f.err), 0);
    fixture_teardown(&f);
}

int
main(void)
{
    RUN(test_stages_in_order);
    RUN(test_faults_jsonl_has_the_evidence);
    RUN(test_same_seed_same_run);
    RUN(test_budget_holds_when_faults_overlap);
    RUN(test_no_node_is_under_two_faults);
    RUN(test_no_primary_skips_after_a_wait);
    RUN(test_silent_node_uses_up_the_budget);
    RUN(test_fault_waits_for_its_target);
    RUN(test_inject_that_fails_is_healed_and_not_claimed);
    RUN(test_lost_proof_is_inconclusive_and_no_coverage);
    RUN(test_effect_that_ends_early_is_a_mismatch);
    RUN(test_exits_that_a_fault_gives_leave_for);
    RUN(test_the_exit_at_a_crash_point);
    RUN(test_leases_are_renewed);
    RUN(test_a_lease_that_ran_out_is_recorded);
    RUN(test_a_renewal_that_fails_is_tried_again);
    RUN(test_heal_that_does_not_hold_is_dirty);
    RUN(test_unproven_heal_is_dirty_until_it_is_proven);
    RUN(test_without_a_journal_nothing_is_harmed);
    RUN(test_without_a_record_nothing_is_harmed);
    RUN(test_stop_heals_at_once);
    RUN(test_check_says_what_does_not_work);
    RUN(test_empty_plan_ends_at_once);
    return tap_done();
}
