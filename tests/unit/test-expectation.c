/* SPDX-License-Identifier: Apache-2.0 */
/* What is expected of planted bugs, and what a run made of it. */
#include "config.h"

#include <string.h>

#include "harness/expectation.h"
#include "harness/scenario.h"
#include "replica/bugs.h"
#include "systems/system.h"
#include "tests/lib/tap.h"
#include "workloads/workload.h"

/* What bugs.yaml says of it, and that its scenario is one that shows it. */
static void
check_bug(enum bug bug)
{
    const char *name = bug_name(bug), *engine = bug_engine(bug);
    struct error err = {0};
    json_t *e = expectation_of_bug(name, &err);
    const char *said = json_string_value(json_object_get(e, "engine"));
    struct scenario *s =
        scenario_load(json_string_value(json_object_get(e, "scenario")), &err);

    CHECK(e != NULL && s != NULL);
    CHECK(json_array_size(json_object_get(e, "must")) > 0);
    CHECK((said == NULL) == (engine == NULL));
    if (engine != NULL)
        CHECK_STR(said, engine);
    CHECK_OK(expectation_check(e, name, s->system,
                               workload_find(s->workload)->capability, &err),
             &err);
    scenario_free(s);
    json_decref(e);
}

static void
test_every_bug_is_listed_as_it_is(void)
{
    struct error err = {0};
    int count = 0;

    for (int bug = BUG_NONE + 1; bug_name((enum bug)bug) != NULL; bug++) {
        check_bug((enum bug)bug);
        count++;
    }
    CHECK_INT(count, BUG_WALL_CLOCK_EXPIRY);
    CHECK(expectation_of_bug("no-such-bug", &err) == NULL);
}

static void
test_a_bug_has_its_place(void)
{
    struct error err = {0};
    json_t *e = expectation_of_bug("overcommit", &err);

    CHECK_OK(expectation_check(e, "overcommit", "replica", "pool", &err), &err);
    CHECK_INT(expectation_check(e, "overcommit", "replica", NULL, &err), -1);
    CHECK_INT(err.kind, ERROR_CONFIG);
    CHECK_STR(err.text,
              "bug 'overcommit' is one of engine pool and does nothing on "
              "engine lease: pool_holds-control shows it");
    CHECK_INT(expectation_check(e, "overcommit", "custom", "pool", &err), -1);
    CHECK(strstr(err.text, "reference replica") != NULL);
    json_decref(e);
}

static void
test_what_a_run_made_of_it(void)
{
    json_t *e = json_pack("{s:[s,s], s:[s]}", "must", "a", "b", "may", "c");
    json_t *none = json_pack("{s:n}", "must");
    json_t *run = json_pack("[{s:s,s:s}, {s:s,s:s}, {s:s,s:s}]", "checker", "a",
                            "verdict", "invalid", "checker", "b", "verdict",
                            "unknown", "checker", "c", "verdict", "invalid");

    CHECK(expectation_fired(run, "a"));
    CHECK(!expectation_fired(run, "b"));
    CHECK(!expectation_fired(run, "d"));
    CHECK_STR(expectation_missed(e, run), "b");
    CHECK(expectation_false_alarm(e, run) == NULL);
    CHECK(expectation_missed(none, run) == NULL);
    CHECK_STR(expectation_false_alarm(none, run), "a");
    CHECK(expectation_names(e, "may", "c"));
    CHECK(!expectation_names(e, "must", "c"));
    json_object_del(e, "may");
    CHECK_STR(expectation_false_alarm(e, run), "c");
    CHECK(expectation_missed(e, NULL) != NULL);
    json_decref(e);
    json_decref(none);
    json_decref(run);
}

int
main(void)
{
    RUN(test_every_bug_is_listed_as_it_is);
    RUN(test_a_bug_has_its_place);
    RUN(test_what_a_run_made_of_it);
    return tap_done();
}
