/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults aimed at events, the budget of durable state, nodes that faults
 * share, and faults in force on nodes that another fault reboots: on a fake
 * cluster, with faults made for the test put into the plan.
 */
#include "config.h"

#include <string.h>

#include "tests/lib/nemesis-fixture.h"

#define WINDOW_NS (40 * NS_PER_S)

static struct nemesis_summary
summary(struct nemesis_fixture *f)
{
    struct nemesis_summary s;

    nemesis_summary(f->nemesis, &s);
    return s;
}

/* What faults.jsonl says of a fault: its stages, with results, one line. */
static void
life(struct nemesis_fixture *f, int id, char *ret, size_t size)
{
    FILE *in = fopen(f->faults_path, "re");
    char line[8192];
    size_t used = 0;

    CHECK(in != NULL);
    ret[0] = '\0';
    while (fgets(line, sizeof(line), in) != NULL) {
        json_t *json = json_loads(line, 0, NULL);
        const char *result = json_string_value(json_object_get(json, "result"));

        CHECK(json != NULL);
        if (json_integer_value(json_object_get(json, "id")) == id)
            used += (size_t)snprintf(
                ret + used, size - used, "%s%s%s%s", used == 0 ? "" : " ",
                json_string_value(json_object_get(json, "stage")),
                result == NULL ? "" : "=", result == NULL ? "" : result);
        CHECK(used < size);
        json_decref(json);
    }
    fclose(in);
}

/* One value of the line of a fault's stage; new reference, may be NULL. */
static json_t *
line_value(struct nemesis_fixture *f, int id, const char *stage,
           const char *key)
{
    FILE *in = fopen(f->faults_path, "re");
    char line[8192];
    json_t *found = NULL;

    CHECK(in != NULL);
    while (fgets(line, sizeof(line), in) != NULL) {
        json_t *json = json_loads(line, 0, NULL);

        if (json_integer_value(json_object_get(json, "id")) == id &&
            strcmp(json_string_value(json_object_get(json, "stage")), stage) ==
                0) {
            json_decref(found);
            found = json_incref(json_object_get(json, key));
        }
        json_decref(json);
    }
    fclose(in);
    return found;
}

static void
check_line(struct nemesis_fixture *f, int id, const char *stage,
           const char *key, const char *expected)
{
    json_t *value = line_value(f, id, stage, key);

    CHECK_STR(json_string_value(value), expected);
    json_decref(value);
}

/* ---- faults made for the test ---- */

static int
made_setup(struct fault *f, struct error *err)
{
    return 0;
}

static json_t *
made_undo_record(const struct fault *f)
{
    return json_pack("{s:s, s:[]}", "fault", f->ops->name, "nodes");
}

static struct fake *
made_fake(const struct fault *f)
{
    return (struct fake *)f->world->cluster;
}

/* Everything in the guests is gone, and their daemons are others. */
static int
reset_inject(struct fault *f, struct error *err)
{
    struct fake *fake = made_fake(f);

    for (unsigned i = 0; i < fake->cluster.node_count; i++) {
        struct fake_node *n = &fake->nodes[i];

        if (!(f->targets >> i & 1))
            continue;
        n->table[0] = '\0';
        n->rule_count = 0;
        n->stopped = false;
        n->pid = ++fake->last_pid;
        n->hidden = fake->hides_after_reset;
        memset(n->timers, 0, sizeof(n->timers));
    }
    return 0;
}

static int
made_inject(struct fault *f, struct error *err)
{
    return 0;
}

static int
made_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
           struct error *err)
{
    *ret = PROOF_CONFIRMED;
    return 0;
}

static int
made_heal(struct fault *f, struct error *err)
{
    return 0;
}

static const struct fault_ops reset_ops = {.name = "reset",
                                           .reboots = true,
                                           .setup = made_setup,
                                           .undo_record = made_undo_record,
                                           .inject = reset_inject,
                                           .prove = made_prove,
                                           .heal = made_heal};
static const struct fault_ops rot_ops = {.name = "rot",
                                         .breaks_durability = true,
                                         .setup = made_setup,
                                         .undo_record = made_undo_record,
                                         .inject = made_inject,
                                         .prove = made_prove,
                                         .heal = made_heal};

/* The plan's null faults become faults of this kind. */
static void
replace_null(struct nemesis_fixture *f, const struct fault_ops *ops)
{
    for (size_t i = 0; i < f->plan.entry_count; i++)
        if (strcmp(f->plan.entries[i].ops->name, "null") == 0)
            f->plan.entries[i].ops = ops;
}

/* ---- triggers ---- */

static void
note(struct nemesis_fixture *f, enum event_kind kind, const char *function,
     const char *node)
{
    const struct event e = {
        .kind = kind, .function = function, .node = node, .process = 7};

    nemesis_note_history(f->nemesis, &e);
}

/* Called before a guest is harmed by fault 1: clients are at work meanwhile. */
static void
attempts_meanwhile(void *ctx)
{
    struct nemesis_fixture *f = ctx;

    fixture_before_harm(f);
    if (f->harm_count > 1)
        return;
    for (int i = 0; i < 5; i++) {
        note(f, EVENT_INVOKE, "reserve", "n2");
        note(f, EVENT_OK, "confirm", "n2");
    }
    note(f, EVENT_NOTE, "confirm", "n2");
}

static void
test_each_counted_event_sets_off_the_next(void)
{
    struct nemesis_fixture f;
    char text[512];

    fixture_setup(&f,
                  "{\"max_concurrent\":4,\"budget\":{\"nodes_down\":2},"
                  "\"faults\":[{\"fault\":\"kill\",\"target\":\"n1\","
                  "\"at\":\"5s\"},{\"fault\":\"pause\",\"target\":\"event\","
                  "\"duration\":\"1s\",\"on\":{\"event\":\"invoke\","
                  "\"function\":\"reserve\",\"after\":\"5ms\",\"every\":2,"
                  "\"limit\":4}}]}",
                  5, WINDOW_NS);
    f.fake->before_harm = attempts_meanwhile;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).planned, 5);
    CHECK_INT(summary(&f).confirmed, 3); /* 2nd and 4th of five invokes */
    CHECK_INT(summary(&f).skipped, 2);
    CHECK(fake_is_clean(f.fake));
    fixture_close(&f);
    life(&f, 1, text, sizeof(text));
    CHECK_STR(text, "planned triggered journalled injected proved=confirmed "
                    "proved_before_heal=confirmed healed "
                    "proved_healed=confirmed");
    check_line(&f, 1, "triggered", "cause",
               "invoke reserve at n2 by process 7");
    check_line(&f, 3, "skipped", "error", "its event did not come");
    check_line(&f, 4, "skipped", "error", "its event did not come");
    fixture_teardown(&f);
}

/* The record of one fault sets off another: no history is needed. */
static void
test_a_step_of_a_fault_sets_off_another(void)
{
    struct nemesis_fixture f;
    json_t *healed, *triggered;

    fixture_setup(&f,
                  "{\"faults\":[{\"fault\":\"kill\",\"target\":\"n1\","
                  "\"at\":\"5s\"},{\"fault\":\"partition\","
                  "\"target\":\"event\",\"on\":{\"fault\":\"kill\","
                  "\"step\":\"proved_healed\"}}]}",
                  3, WINDOW_NS);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).confirmed, 2);
    fixture_close(&f);
    check_line(&f, 1, "triggered", "cause", "kill proved_healed at n1");
    healed = line_value(&f, 2, "proved_healed", "time_ns");
    triggered = line_value(&f, 1, "triggered", "time_ns");
    CHECK(json_integer_value(triggered) >= json_integer_value(healed));
    CHECK(json_integer_value(triggered) <=
          json_integer_value(healed) + 100 * NS_PER_MS);
    json_decref(healed);
    json_decref(triggered);
    fixture_teardown(&f);
}

static void
test_an_event_outside_its_phase_sets_off_nothing(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f,
                  "{\"phases\":[{\"length\":\"4s\",\"faults\":[{\"fault\":"
                  "\"pause\",\"on\":{\"event\":\"invoke\"}}]},"
                  "{\"faults\":[{\"fault\":\"kill\",\"target\":\"n1\","
                  "\"at\":\"2s\"}]}]}",
                  5, WINDOW_NS);
    f.fake->before_harm = attempts_meanwhile; /* at 6 s */
    fixture_open(&f);
    note(&f, EVENT_INVOKE, "reserve", "n1"); /* before the window */
    nemesis_run(f.nemesis);
    note(&f, EVENT_INVOKE, "reserve", "n1"); /* after it */
    CHECK_INT(summary(&f).confirmed, 1);
    CHECK_INT(summary(&f).skipped, 1);
    fixture_close(&f);
    check_line(&f, 1, "skipped", "error", "its event did not come");
    fixture_teardown(&f);
}

/* More at once than may be under way: what waits too long is skipped. */
static void
test_a_storm_of_events_is_bounded(void)
{
    struct nemesis_fixture f;

    fixture_setup(&f,
                  "{\"start_after\":\"0s\",\"faults\":[{\"fault\":\"kill\","
                  "\"target\":\"n1\","
                  "\"at\":\"2s\"},{\"fault\":\"pause\",\"duration\":\"3s\","
                  "\"on\":{\"event\":\"invoke\",\"limit\":200}}]}",
                  5, WINDOW_NS);
    f.fake->before_harm = attempts_meanwhile;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).planned, 201);
    printf("# %u confirmed, %u skipped\n", summary(&f).confirmed,
           summary(&f).skipped);
    CHECK(summary(&f).confirmed >= 2);
    CHECK_INT(summary(&f).confirmed + summary(&f).skipped, 201);
    CHECK_INT(f.down_max, 1);
    CHECK(fake_is_clean(f.fake));
    fixture_teardown(&f);
}

/* ---- a plan given back ---- */

static const char *const replayed =
    "{\"max_concurrent\":2,\"budget\":{\"nodes_down\":2},"
    "\"interval\":\"4s\",\"faults\":["
    "{\"fault\":\"kill\",\"target\":\"one\"},"
    "{\"fault\":\"partition\",\"shape\":\"one_way\"},"
    "{\"fault\":\"stop\",\"at\":\"9s\",\"timeout\":\"5s\"},"
    "{\"fault\":\"pause\",\"target\":\"primary\",\"on\":{\"fault\":"
    "\"stop\",\"step\":\"healed\",\"after\":\"10ms\"}}]}";

/* On a fake everything follows from the plan, to the last line. */
static void
test_a_plan_given_back_is_the_same_run(void)
{
    CLEANUP_FREE char *texts[2] = {NULL, NULL};

    for (int i = 0; i < 2; i++) {
        struct nemesis_fixture f;
        struct plan again;
        json_t *json;

        fixture_setup(&f, replayed, 5, WINDOW_NS);
        json = plan_to_json(&f.plan);
        CHECK_OK(plan_from_json(json, &again, &f.err), &f.err);
        json_decref(json);
        if (i == 1) {
            plan_release(&f.plan);
            f.plan = again;
        } else {
            plan_release(&again);
        }
        fixture_open(&f);
        nemesis_run(f.nemesis);
        CHECK(summary(&f).confirmed > 5);
        fixture_close(&f);
        texts[i] = file_read(f.faults_path, 1 << 22, NULL, &f.err);
        CHECK(texts[i] != NULL);
        fixture_teardown(&f);
    }
    CHECK(strcmp(texts[0], texts[1]) == 0);
    free(texts[1]);
}

/* ---- what the system reports ---- */

static const char *const watched_events[] = {"wobble", "view-change", NULL};

/* Node n3 reports its second event at each third look. */
static int
watched_watch(const struct cluster *c, unsigned node, int64_t timeout_ns,
              struct system_watch *state, uint32_t *ret, struct error *err)
{
    *ret = node == 2 && ++state->seen[0] % 3 == 0 ? 2 : 0;
    return 0;
}

static bool
all_done(void *ctx)
{
    struct nemesis_summary s;

    nemesis_summary(ctx, &s);
    return s.confirmed + s.skipped == s.planned;
}

static void
test_the_system_sets_off_faults(void)
{
    struct nemesis_fixture f;
    struct clock *clock = clock_monotonic();
    struct system_ops system;

    fixture_setup(&f,
                  "{\"start_after\":\"0s\",\"faults\":[{\"fault\":\"null\","
                  "\"duration\":\"10ms\",\"on\":{\"system\":\"view-change\","
                  "\"limit\":2}}]}",
                  3, WINDOW_NS);
    CHECK_INT(nemesis_check(&f.fake->world, &f.plan, &f.err), -1);
    CHECK_STR(f.err.text, "system 'fake' does not report 'view-change'");
    system = *f.fake->world.system;
    system.events = watched_events;
    system.watch = watched_watch;
    f.fake->world.system = &system;
    f.fake->world.clock = clock;
    CHECK_OK(nemesis_check(&f.fake->world, &f.plan, &f.err), &f.err);
    fixture_open(&f);
    CHECK_OK(nemesis_start(f.nemesis, &f.err), &f.err);
    CHECK(clock_poll(clock, clock_now_ns(clock) + 20 * NS_PER_S, NS_PER_MS,
                     all_done, f.nemesis));
    nemesis_stop(f.nemesis);
    CHECK_INT(summary(&f).confirmed, 2);
    fixture_close(&f);
    check_line(&f, 1, "triggered", "cause", "view-change at n3");
    fixture_teardown(&f);
}

/* ---- the budget of durable state ---- */

/* Node n1 heals at 7 s; it has caught up at 'caught_up_s'. */
static void
run_rot(struct nemesis_fixture *f, int64_t caught_up_s)
{
    fixture_setup(f,
                  "{\"faults\":[{\"fault\":\"null\",\"target\":\"n1\","
                  "\"at\":\"5s\"},{\"fault\":\"null\",\"target\":\"n1\","
                  "\"at\":\"9s\"},{\"fault\":\"null\",\"target\":\"n2\","
                  "\"at\":\"15s\"}]}",
                  3, WINDOW_NS);
    replace_null(f, &rot_ops);
    f->fake->nodes[0].lag = 50;
    f->fake->catch_up_ns = f->fake->clock.now_ns + caught_up_s * NS_PER_S;
    fixture_open(f);
    nemesis_run(f->nemesis);
}

static void
test_broken_state_counts_until_it_is_proven_whole(void)
{
    struct nemesis_fixture f;

    run_rot(&f, 12);
    CHECK_INT(summary(&f).confirmed, 3);
    fixture_teardown(&f);
    /* The same node may be hit again; another may not. */
    run_rot(&f, 30);
    CHECK_INT(summary(&f).confirmed, 2);
    CHECK_INT(summary(&f).skipped, 1);
    fixture_close(&f);
    check_line(&f, 3, "skipped", "error",
               "the budget of nodes whose durable state is broken, and not "
               "proven whole again, is used up");
    fixture_teardown(&f);
}

/* ---- nodes that faults share ---- */

static void
run_shared(struct nemesis_fixture *f, const char *share,
           const struct fault_ops *ops)
{
    char schedule[512];

    snprintf(schedule, sizeof(schedule),
             "{\"max_concurrent\":2,\"share_nodes\":%s,\"faults\":["
             "{\"fault\":\"partition\",\"target\":\"n1\",\"at\":\"2s\","
             "\"duration\":\"20s\"},{\"fault\":\"null\",\"target\":\"n1\","
             "\"at\":\"5s\",\"duration\":\"4s\"}]}",
             share);
    fixture_setup(f, schedule, 3, WINDOW_NS);
    if (ops != NULL)
        replace_null(f, ops);
    fixture_open(f);
    nemesis_run(f->nemesis);
    CHECK(fake_is_clean(f->fake));
}

static void
test_faults_share_a_node_only_where_the_plan_says_so(void)
{
    struct nemesis_fixture f;

    run_shared(&f, "[]", NULL);
    CHECK_INT(summary(&f).confirmed, 1);
    CHECK_INT(summary(&f).skipped, 1);
    fixture_teardown(&f);
    run_shared(&f, "[[\"null\",\"partition\"]]", NULL);
    CHECK_INT(summary(&f).confirmed, 2);
    fixture_teardown(&f);
}

/* ---- reboots ---- */

static void
test_a_reboot_has_the_others_proven_and_injected_anew(void)
{
    struct nemesis_fixture f;
    json_t *proven;
    char text[512];

    fixture_setup(&f,
                  "{\"max_concurrent\":2,\"faults\":[{\"fault\":\"partition\","
                  "\"target\":\"n1\",\"at\":\"2s\",\"duration\":\"20s\"},"
                  "{\"fault\":\"null\",\"target\":\"n1\",\"at\":\"5s\","
                  "\"duration\":\"4s\"}],\"share_nodes\":"
                  "[[\"null\",\"partition\"]]}",
                  3, WINDOW_NS);
    CHECK(json_array_append_new(json_array_get(f.plan.share_nodes, 0),
                                json_string("reset")) == 0);
    replace_null(&f, &reset_ops);
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).confirmed, 2);
    CHECK_INT(summary(&f).mismatch + summary(&f).inconclusive, 0);
    CHECK(fake_is_clean(f.fake));
    CHECK_INT(fixture_pending(&f), 0);
    fixture_close(&f);
    life(&f, 1, text, sizeof(text));
    CHECK_STR(text,
              "planned journalled injected proved=confirmed "
              "proved_before_reboot=confirmed proved_after_reboot=mismatch "
              "reinjected proved=confirmed proved_before_heal=confirmed "
              "healed proved_healed=confirmed");
    /* 20 s in force, about 4 of them not proven. */
    proven = line_value(&f, 1, "proved_before_heal", "proven_ms");
    printf("# proven for %lld ms\n", (long long)json_integer_value(proven));
    CHECK(json_integer_value(proven) > 10000 &&
          json_integer_value(proven) < 17000);
    json_decref(proven);
    fixture_teardown(&f);
}

/* What cannot be injected anew is a mismatch, and no coverage. */
static void
test_what_a_reboot_ends_is_a_mismatch(void)
{
    struct nemesis_fixture f;
    char text[512];

    fixture_setup(&f,
                  "{\"max_concurrent\":2,\"budget\":{\"nodes_down\":2},"
                  "\"faults\":[{\"fault\":\"pause\","
                  "\"target\":\"n1\",\"at\":\"2s\",\"duration\":\"20s\"},"
                  "{\"fault\":\"null\",\"target\":\"n1\",\"at\":\"5s\","
                  "\"duration\":\"4s\"}],\"share_nodes\":"
                  "[[\"null\",\"pause\"]]}",
                  3, WINDOW_NS);
    CHECK(json_array_append_new(json_array_get(f.plan.share_nodes, 0),
                                json_string("reset")) == 0);
    replace_null(&f, &reset_ops);
    f.fake->hides_after_reset = true;
    fixture_open(&f);
    nemesis_run(f.nemesis);
    CHECK_INT(summary(&f).confirmed, 1);
    CHECK_INT(summary(&f).mismatch, 1);
    CHECK_INT(summary(&f).under_way, 0);
    fixture_close(&f);
    life(&f, 1, text, sizeof(text));
    CHECK(strstr(text, "proved_after_reboot=mismatch reinjected healed "
                       "proved_healed=confirmed") != NULL);
    fixture_teardown(&f);
}

int
main(void)
{
    RUN(test_each_counted_event_sets_off_the_next);
    RUN(test_a_step_of_a_fault_sets_off_another);
    RUN(test_an_event_outside_its_phase_sets_off_nothing);
    RUN(test_a_storm_of_events_is_bounded);
    RUN(test_a_plan_given_back_is_the_same_run);
    RUN(test_the_system_sets_off_faults);
    RUN(test_broken_state_counts_until_it_is_proven_whole);
    RUN(test_faults_share_a_node_only_where_the_plan_says_so);
    RUN(test_a_reboot_has_the_others_proven_and_injected_anew);
    RUN(test_what_a_reboot_ends_is_a_mismatch);
    return tap_done();
}
