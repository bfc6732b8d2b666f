/* SPDX-License-Identifier: Apache-2.0 */
/* A suite becomes rows; what means nothing in it is refused by name. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/gate/matrix.h"
#include "harness/gate/state.h"
#include "harness/scenario.h"
#include "nemesis/schedule.h"
#include "tests/lib/tap.h"
#include "workloads/workload.h"

static char *
suite_file(const char *text)
{
    struct error err = {0};
    char dir[] = "/tmp/ordeal-matrix-XXXXXX";
    char *path;

    CHECK(mkdtemp(dir) != NULL);
    path = xasprintf("%s/suite.yaml", dir);
    CHECK_OK(file_write_atomic(path, text, strlen(text), 0600, &err), &err);
    return path;
}

static void
suite_remove(char *path)
{
    struct error err = {0};

    *strrchr(path, '/') = '\0';
    CHECK_OK(dir_remove(path, &err), &err);
    free(path);
}

static void
test_rows(void)
{
    char *path = suite_file("id: mine\n"
                            "description: two rows\n"
                            "release: true\n"
                            "runs:\n"
                            "  - scenario: reservation_contention-control\n"
                            "  - scenario: reservation_contention-control\n"
                            "    window: 20s\n"
                            "    bug: double-allocation\n"
                            "    blocking: false\n");
    struct error err = {0};
    struct matrix m;

    CHECK_OK(
        matrix_load(&(struct matrix_options){.suite = path, .window_ns = 0}, &m,
                    &err),
        &err);
    CHECK_STR(m.suite, "mine");
    CHECK(m.release);
    CHECK_INT(m.row_count, 2);
    CHECK(!matrix_row_shortened(&m.rows[0]));
    CHECK(m.rows[0].blocking && m.rows[0].must == NULL);
    CHECK(matrix_row_shortened(&m.rows[1]));
    CHECK_INT(m.rows[1].window_ns, 20 * NS_PER_S);
    CHECK_INT(json_array_size(m.rows[1].must), 1);
    CHECK(!m.rows[1].blocking);
    matrix_release(&m);
    CHECK_OK(matrix_load(&(struct matrix_options){.suite = path,
                                                  .window_ns = 5 * NS_PER_S},
                         &m, &err),
             &err);
    CHECK(matrix_row_shortened(&m.rows[0]));
    matrix_release(&m);
    suite_remove(path);
}

static void
check_refused(const char *text, const char *expected)
{
    char *path = suite_file(text);
    struct error err = {0};
    struct matrix m;

    CHECK_INT(
        matrix_load(&(struct matrix_options){.suite = path, .window_ns = 0}, &m,
                    &err),
        -1);
    CHECK_INT(err.kind, ERROR_CONFIG);
    CHECK(strstr(err.text, expected) != NULL);
    suite_remove(path);
}

static void
test_refusals(void)
{
    struct error err = {0};
    struct matrix m;

    check_refused("runs:\n  - window: 20s\n", "names no scenario");
    check_refused("runs:\n  - scenario: no_such\n", "no_such");
    check_refused("runs:\n  - scenario: reservation_contention-control\n"
                  "    windows: 20s\n",
                  "'windows'");
    check_refused("runs:\n  - scenario: reservation_contention-control\n"
                  "    window: soon\n",
                  "'window'");
    check_refused("runs:\n  - scenario: reservation_contention-control\n"
                  "    bug: no-such\n",
                  "no-such");
    check_refused("runs:\n  - scenario: reservation_contention-control\n"
                  "    bug: overspend\n",
                  "run 1 of the suite (reservation_contention-control): bug "
                  "'overspend' is one of engine quota and does nothing on "
                  "engine lease: quota-control shows it");
    CHECK_INT(matrix_load(&(struct matrix_options){.suite = "no-such-suite",
                                                   .window_ns = 0},
                          &m, &err),
              -1);
}

/* Nobody's own system has the reference replica's bugs: no mistake. */
static void
test_bugs_of_another_system(void)
{
    char *path = suite_file("id: mine\nruns:\n"
                            "  - scenario: reservation_contention-control\n"
                            "    bug: double-allocation\n");
    char *mine = xasprintf("%s.mine.yaml", path);
    struct error err = {0};
    struct matrix m;

    CHECK_OK(file_write_atomic(mine, "binary: /bin/true\n", 18, 0600, &err),
             &err);
    CHECK_OK(
        matrix_load(&(struct matrix_options){.suite = path, .system = mine}, &m,
                    &err),
        &err);
    CHECK(m.rows[0].blocked != NULL);
    matrix_release(&m);
    free(mine);
    suite_remove(path);
}

static void
test_all_scenarios(void)
{
    struct error err = {0};
    struct matrix m;

    CHECK_OK(
        matrix_load(&(struct matrix_options){.suite = NULL, .window_ns = 0}, &m,
                    &err),
        &err);
    CHECK(m.row_count >= 3);
    CHECK(!m.release);
    matrix_release(&m);
}

/* ---- the suite of continuous integration ---- */

/* Faults of the plan that certainly hit, and those that aim at the primary. */
static void
count_faults(const struct plan *p, uint64_t *ret_all, uint64_t *ret_primary)
{
    *ret_all = *ret_primary = 0;
    for (size_t i = 0; i < p->entry_count; i++) {
        const struct plan_entry *e = &p->entries[i];

        if (e->on.kind != TRIGGER_NONE)
            continue;
        *ret_all += 1;
        *ret_primary += strcmp(e->target, "primary") == 0;
    }
}

/* A short run that is honest can pass, and one of which nothing came cannot. */
static void
check_short_row(const struct matrix_row *row, const json_t *state, size_t i)
{
    struct error err = {0};
    struct scenario *s = scenario_load(row->scenario, &err);
    struct scenario_evidence least = scenario_evidence_for(s, row->window_ns);
    uint64_t seed =
        gate_row_seed(state, json_array_get(gate_state_rows(state), i));
    uint64_t faults, primary;
    struct plan plan = {0};

    CHECK_INT(row->window_ns, 20 * NS_PER_S);
    CHECK_OK(plan_build(s->schedule, seed, row->window_ns,
                        (unsigned)s->node_count, &plan, &err),
             &err);
    count_faults(&plan, &faults, &primary);
    printf("# %s: operations %" PRIu64 ", faults %" PRIu64 " of %" PRIu64
           ", primary %" PRIu64 " of %" PRIu64 "\n",
           row->scenario, least.operations, least.faults, faults,
           least.primary_hits, primary);
    CHECK(least.operations >= 60); /* silence is no run */
    CHECK(least.operations <= (uint64_t)(s->rate * 20 / 4));
    CHECK((least.faults > 0) == row->faults);
    CHECK(faults >= least.faults);
    CHECK(primary >= least.primary_hits);
    plan_release(&plan);
    scenario_free(s);
}

static void
note_once(json_t *seen, const char *what)
{
    json_object_set_new(seen, what, json_true());
}

/* Each part of a scenario's name, and the engine. */
static void
note_row(json_t *seen, const struct matrix_row *row)
{
    note_once(seen, row->workload);
    note_once(seen, strchr(row->scenario, '-') + 1);
    note_once(seen, workload_find(row->workload)->capability);
}

static void
test_the_suite_of_ci(void)
{
    struct error err = {0};
    struct matrix m, all;
    json_t *state, *here = json_object(), *there = json_object();

    CHECK_OK(matrix_load(&(struct matrix_options){.suite = "ci"}, &m, &err),
             &err);
    CHECK_OK(
        matrix_load(&(struct matrix_options){.suite = "nightly"}, &all, &err),
        &err);
    CHECK(!m.release && m.seeded);
    CHECK(m.row_count <= 14);
    state = gate_state_new(&m, m.seed, 0);
    for (size_t i = 0; i < m.row_count; i++) {
        note_row(here, &m.rows[i]);
        check_short_row(&m.rows[i], state, i);
    }
    for (size_t i = 0; i < all.row_count; i++)
        note_row(there, &all.rows[i]);
    json_object_update(there, here);
    CHECK_INT(json_object_size(there), json_object_size(here));
    json_decref(here);
    json_decref(there);
    json_decref(state);
    matrix_release(&m);
    matrix_release(&all);
}

int
main(void)
{
    RUN(test_rows);
    RUN(test_refusals);
    RUN(test_bugs_of_another_system);
    RUN(test_all_scenarios);
    RUN(test_the_suite_of_ci);
    return tap_done();
}
