/* SPDX-License-Identifier: Apache-2.0 */
/* A suite becomes rows; what means nothing in it is refused by name. */
#include "config.h"

#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/gate/matrix.h"
#include "tests/lib/tap.h"

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

int
main(void)
{
    RUN(test_rows);
    RUN(test_refusals);
    RUN(test_bugs_of_another_system);
    RUN(test_all_scenarios);
    return tap_done();
}
