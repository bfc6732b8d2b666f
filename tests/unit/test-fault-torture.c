/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever call fails, and whenever the driver dies: no harm is done without
 * an undo on disk, nothing is claimed that was not proven, and healing or
 * recovery leaves the guests as they were.
 */
#include "config.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/lib/nemesis-fixture.h"

#define WINDOW_NS (60 * NS_PER_S)
#define CALLS_MAX 2000 /* far above what the plan needs */

/* Each kind of fault comes, and some overlap. */
static const char *const of_processes =
    "{\"interval\":\"5s\",\"max_concurrent\":2,"
    "\"budget\":{\"nodes_down\":2},\"faults\":["
    "{\"fault\":\"kill\",\"target\":\"primary\",\"duration\":\"2s\"},"
    "{\"fault\":\"stop\",\"target\":\"one\",\"duration\":\"6s\"},"
    "{\"fault\":\"pause\",\"target\":\"one\",\"duration\":\"6s\"},"
    "{\"fault\":\"partition\",\"target\":\"one-backup\","
    "\"shape\":\"one_way\",\"duration\":\"3s\"}]}";

/* What a process in the guest holds, and what a mark on its disk says. */
static const char *const held =
    "{\"interval\":\"6s\",\"max_concurrent\":2,"
    "\"budget\":{\"nodes_down\":2,\"durability\":1},\"faults\":["
    "{\"fault\":\"clock-bump\",\"target\":\"primary\",\"duration\":\"2s\"},"
    "{\"fault\":\"cpu-pressure\",\"target\":\"one\",\"duration\":\"3s\"},"
    "{\"fault\":\"disk-fill\",\"target\":\"one\",\"duration\":\"3s\"},"
    "{\"fault\":\"file-flip\",\"target\":\"one\",\"duration\":\"2s\"}]}";

static void
trip(struct nemesis_fixture *f, enum fake_trip how, unsigned first,
     unsigned last)
{
    f->fake->trip = how;
    f->fake->trip_first = first;
    f->fake->trip_last = last;
}

/* Runs the plan with the trip set, repairs the network, heals. */
static void
run_and_heal(struct nemesis_fixture *f)
{
    struct nemesis_summary s;

    fixture_open(f);
    nemesis_run(f->nemesis);
    nemesis_stop(f->nemesis);
    f->fake->trip = FAKE_NO_TRIP;
    CHECK_OK(nemesis_heal_all(f->nemesis, f->fake->clock.now_ns + WINDOW_NS,
                              &f->err),
             &f->err);
    CHECK_INT(fixture_pending(f), 0);
    CHECK(fake_is_clean(f->fake));
    nemesis_summary(f->nemesis, &s);
    CHECK_INT(s.under_way, 0);
    CHECK(s.confirmed + s.mismatch <= s.injected);
    CHECK_INT(s.confirmed + s.mismatch + s.inconclusive + s.skipped, s.planned);
}

/* Calls a run without trips makes; also shows that the plan is what it says. */
static unsigned
calls_of_a_clean_run(const char *schedule)
{
    struct nemesis_fixture f;
    bool seen[64] = {false};
    unsigned kinds = 0;
    unsigned calls;

    fixture_setup(&f, schedule, 3, WINDOW_NS);
    for (size_t i = 0; i < f.plan.entry_count; i++)
        for (unsigned k = 0; fault_all()[k] != NULL; k++)
            if (fault_all()[k] == f.plan.entries[i].ops && !seen[k]) {
                seen[k] = true;
                kinds++;
            }
    CHECK_INT(kinds, 4);
    run_and_heal(&f);
    calls = f.fake->call_count;
    fixture_teardown(&f);
    CHECK(calls > 100 && calls < CALLS_MAX);
    return calls;
}

static void
fail_each_call(const char *schedule, enum fake_trip how, unsigned in_a_row,
               unsigned step)
{
    unsigned calls = calls_of_a_clean_run(schedule);

    for (unsigned n = 1; n <= calls; n += step) {
        struct nemesis_fixture f;

        fixture_setup(&f, schedule, 3, WINDOW_NS);
        trip(&f, how, n, n + in_a_row - 1);
        run_and_heal(&f);
        fixture_teardown(&f);
    }
    printf("# %u runs\n", (calls + step - 1) / step);
}

static void
test_each_call_fails_before_its_work(void)
{
    fail_each_call(of_processes, FAKE_FAIL_BEFORE, 1, 1);
    fail_each_call(held, FAKE_FAIL_BEFORE, 1, 1);
}

static void
test_each_call_loses_its_answer(void)
{
    fail_each_call(of_processes, FAKE_FAIL_AFTER, 1, 1);
    fail_each_call(held, FAKE_FAIL_AFTER, 1, 1);
}

static void
test_outages_of_many_calls(void)
{
    fail_each_call(of_processes, FAKE_FAIL_BEFORE, 40, 3);
    fail_each_call(of_processes, FAKE_FAIL_AFTER, 40, 3);
    fail_each_call(held, FAKE_FAIL_AFTER, 40, 5);
}

/* ---- a driver that dies ---- */

/* True when the child lived to its end. */
static bool
run_in_a_child(struct nemesis_fixture *f)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        if (setjmp(tap_jump) != 0)
            _exit(2);
        fixture_open(f);
        nemesis_run(f->nemesis);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return !WIFSIGNALED(status);
}

/* Every harm that is left has its undo pending; recover undoes it. */
static void
recover(struct nemesis_fixture *f)
{
    size_t pending = fixture_pending(f);
    struct nemesis_recovery r;

    f->fake->trip = FAKE_NO_TRIP;
    CHECK(fake_is_clean(f->fake) || pending > 0);
    CHECK_OK(nemesis_recover(f->journal_path, &f->fake->world, &r, &f->err),
             &f->err);
    CHECK_INT(r.pending, pending);
    CHECK_INT(r.undone, pending);
    CHECK_INT(r.proven, pending);
    CHECK_INT(json_array_size(r.faults), pending);
    nemesis_recovery_release(&r);
    CHECK(fake_is_clean(f->fake));
    CHECK_INT(fixture_pending(f), 0);
    CHECK_OK(nemesis_recover(f->journal_path, &f->fake->world, &r, &f->err),
             &f->err);
    CHECK_INT(r.pending, 0);
    nemesis_recovery_release(&r);
}

static void
die_at_each_call(const char *schedule, enum fake_trip how)
{
    unsigned n, harmed = 0;

    for (n = 1; n < CALLS_MAX; n++) {
        struct nemesis_fixture f;
        bool lived;

        fixture_setup(&f, schedule, 3, WINDOW_NS);
        trip(&f, how, n, n);
        lived = run_in_a_child(&f);
        harmed += !fake_is_clean(f.fake);
        recover(&f);
        fixture_teardown(&f);
        if (lived)
            break;
    }
    printf("# died at %u calls, %u times with harm left\n", n - 1, harmed);
    CHECK(n > 100 && n < CALLS_MAX);
    CHECK(harmed > n / 4);
}

static void
test_killed_before_each_call(void)
{
    die_at_each_call(of_processes, FAKE_KILL_BEFORE);
    die_at_each_call(held, FAKE_KILL_BEFORE);
}

static void
test_killed_after_each_call(void)
{
    die_at_each_call(of_processes, FAKE_KILL_AFTER);
    die_at_each_call(held, FAKE_KILL_AFTER);
}

/* Recovery itself may fail or die: it is done again. */
static void
test_recovery_that_fails_is_done_again(void)
{
    unsigned failed = 0;

    for (unsigned n = 1; n < 40; n++) {
        struct nemesis_fixture f;
        struct nemesis_recovery r;
        unsigned calls;

        fixture_setup(&f, of_processes, 3, WINDOW_NS);
        trip(&f, FAKE_KILL_AFTER, 60 + n, 60 + n);
        run_in_a_child(&f);
        calls = f.fake->call_count;
        trip(&f, FAKE_FAIL_AFTER, calls + n % 6 + 1, calls + n % 6 + 1);
        if (nemesis_recover(f.journal_path, &f.fake->world, &r, &f.err) < 0)
            failed++;
        nemesis_recovery_release(&r);
        recover(&f);
        fixture_teardown(&f);
    }
    CHECK(failed > 5);
}

/* The driver served the disks, too: nothing on them can be reached. */
static void
test_what_lay_on_a_lost_disk_ended_with_it(void)
{
    unsigned seen = 0;

    for (unsigned n = 1; n < 120; n++) {
        struct nemesis_fixture f;
        struct nemesis_recovery r;

        fixture_setup(&f,
                      "{\"faults\":[{\"fault\":\"disk-fill\","
                      "\"duration\":\"2s\"}]}",
                      3, WINDOW_NS);
        trip(&f, FAKE_KILL_AFTER, n, n);
        run_in_a_child(&f);
        if (fixture_pending(&f) == 1) {
            seen++;
            trip(&f, FAKE_FAIL_BEFORE, f.fake->call_count + 1, UINT_MAX);
            CHECK(nemesis_recover(f.journal_path, &f.fake->world, &r, &f.err) <
                  0);
            CHECK_INT(r.undone, 0);
            nemesis_recovery_release(&r);
            CHECK_INT(fixture_pending(&f), 1);
            f.fake->world.disks_gone = true;
            CHECK_OK(
                nemesis_recover(f.journal_path, &f.fake->world, &r, &f.err),
                &f.err);
            CHECK_INT(r.undone, 1);
            CHECK_INT(r.proven, 0);
            CHECK_INT(r.unprovable, 1);
            nemesis_recovery_release(&r);
            CHECK_INT(fixture_pending(&f), 0);
        }
        fixture_teardown(&f);
    }
    CHECK(seen > 3);
}

/* The driver is gone and nobody recovers: the guests' own timers. */
static void
test_timers_undo_what_they_can(void)
{
    for (unsigned n = 20; n < 200; n += 3) {
        struct nemesis_fixture f;

        fixture_setup(&f, of_processes, 3, WINDOW_NS);
        trip(&f, FAKE_KILL_AFTER, n, n);
        run_in_a_child(&f);
        fake_fire_timers(f.fake);
        for (int i = 0; i < 3; i++) {
            CHECK(!f.fake->nodes[i].stopped);
            CHECK_STR(f.fake->nodes[i].table, "");
        }
        recover(&f);
        fixture_teardown(&f);
    }
}

static void
test_recover_without_a_journal_is_nothing_to_do(void)
{
    struct nemesis_fixture f;
    struct nemesis_recovery r;

    fixture_setup(&f, of_processes, 3, WINDOW_NS);
    CHECK_OK(nemesis_recover(f.journal_path, &f.fake->world, &r, &f.err),
             &f.err);
    CHECK_INT(r.pending, 0);
    nemesis_recovery_release(&r);
    CHECK(!path_exists(f.journal_path));
    fixture_teardown(&f);
}

/* ---- each fault of the registry, alone ---- */

/*
 * What a switch or a machine does is not in the guests, and not on fakes: it
 * ends with the driver.  A fault of any other name that the fakes cannot play
 * fails this test.
 */
static const char *const not_in_guests[] = {"net-", "vm-", "power-cut",
                                            "disk-"};

static bool
is_in_guests(const char *name)
{
    if (strcmp(name, "disk-fill") == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(not_in_guests); i++)
        if (strncmp(name, not_in_guests[i], strlen(not_in_guests[i])) == 0)
            return false;
    return true;
}

static void
setup_alone(struct nemesis_fixture *f, const struct fault_ops *ops)
{
    const char *params = fixture_params_of(ops->name);
    size_t len = strlen(params);
    char text[256];

    /* Its parameters stand beside the other keys. */
    snprintf(text, sizeof(text),
             "{\"budget\":{\"nodes_down\":2},\"faults\":[%.*s%s"
             "\"fault\":\"%s\","
             "\"target\":\"n2\",\"at\":\"2s\",\"duration\":\"2s\"}]}",
             (int)len - 1, params, len > 2 ? "," : "", ops->name);
    fixture_setup(f, text, 3, 10 * NS_PER_S);
}

/* Calls that killed the driver, of one fault's whole life. */
static unsigned
die_alone(const struct fault_ops *ops, enum fake_trip how)
{
    unsigned n;

    for (n = 1; n < CALLS_MAX; n++) {
        struct nemesis_fixture f;
        bool lived;

        setup_alone(&f, ops);
        trip(&f, how, n, n);
        lived = run_in_a_child(&f);
        recover(&f);
        fixture_teardown(&f);
        if (lived)
            break;
    }
    return n - 1;
}

static void
test_each_fault_alone_is_recovered_from_each_step(void)
{
    const struct fault_ops *const *all = fault_all();

    for (size_t i = 0; all[i] != NULL; i++) {
        struct fake *fake = fake_new(3);
        bool available = fault_available(all[i], &fake->world);
        unsigned before, after;

        fake_free(fake);
        if (!is_in_guests(all[i]->name)) {
            CHECK(!available);
            continue;
        }
        if (!available)
            printf("# %s has no part in the fakes\n", all[i]->name);
        CHECK(available);
        before = die_alone(all[i], FAKE_KILL_BEFORE);
        after = die_alone(all[i], FAKE_KILL_AFTER);
        printf("# %-14s killed before each of %u calls, after each of %u\n",
               all[i]->name, before, after);
        CHECK(before >= 3 && after >= 3 && before < CALLS_MAX - 1);
    }
}

int
main(void)
{
    RUN(test_each_call_fails_before_its_work);
    RUN(test_each_call_loses_its_answer);
    RUN(test_outages_of_many_calls);
    RUN(test_killed_before_each_call);
    RUN(test_killed_after_each_call);
    RUN(test_recovery_that_fails_is_done_again);
    RUN(test_what_lay_on_a_lost_disk_ended_with_it);
    RUN(test_timers_undo_what_they_can);
    RUN(test_each_fault_alone_is_recovered_from_each_step);
    RUN(test_recover_without_a_journal_is_nothing_to_do);
    return tap_done();
}
