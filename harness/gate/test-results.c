/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/crc32c.h"
#include "harness/base/file.h"
#include "harness/gate/test-results.h"
#include "harness/paths.h"

#define TEST_RESULTS_SCHEMA 1
#define TEST_RESULTS_TRS_BYTES_MAX (1u << 20)
#define TEST_RESULTS_PROGRAM_BYTES_MAX (256u << 20)

/* ---- a build tree ---- */

static bool
test_results_newer(const struct stat *result, const char *program)
{
    struct stat st;

    return stat(program, &st) < 0 ||
           result->st_mtim.tv_sec >= st.st_mtim.tv_sec;
}

/* The result that automake's test driver writes. */
static char *
test_results_trs(const char *dir, const char *name)
{
    size_t len = strlen(name);
    char *path = xasprintf("%s/%s.trs", dir, name);

    if (path_exists(path) || len < 3 || strcmp(name + len - 3, ".sh") != 0)
        return path;
    free(path);
    return xasprintf("%s/%.*s.trs", dir, (int)(len - 3), name);
}

static char *
test_results_look(const char *dir, const char *name)
{
    CLEANUP_FREE char *path = test_results_trs(dir, name), *text = NULL;
    CLEANUP_FREE char *program = xasprintf("%s/%s", dir, name);
    CLEANUP_FREE char *replica = xasprintf("%s/ordeal-replica", dir);
    struct error ignored = {0};
    struct stat st;
    size_t len;

    text = file_read(path, TEST_RESULTS_TRS_BYTES_MAX, &len, &ignored);
    if (text == NULL || stat(path, &st) < 0)
        return xasprintf("%s was not run", name);
    if (strstr(text, ":global-test-result: PASS") == NULL)
        return xasprintf("%s did not pass", name);
    if (!test_results_newer(&st, program) || !test_results_newer(&st, replica))
        return xasprintf("%s was run before the last build", name);
    return NULL;
}

/* Tests are the lists among a claim's levels. */
static void
test_results_collect(json_t *tests, const char *dir, const json_t *claim)
{
    const char *level;
    json_t *list, *name;
    size_t i;

    json_object_foreach (json_object_get(claim, "levels"), level, list) {
        json_array_foreach (list, i, name) {
            const char *test = json_string_value(name);
            CLEANUP_FREE char *problem =
                test == NULL ? NULL : test_results_look(dir, test);

            if (test != NULL)
                json_object_set_new(tests, test,
                                    problem == NULL ? json_null()
                                                    : json_string(problem));
        }
    }
}

/* ---- which build ---- */

static char *
test_results_program(const char *path, struct error *err)
{
    size_t len = 0;
    CLEANUP_FREE char *bytes =
        file_read(path, TEST_RESULTS_PROGRAM_BYTES_MAX, &len, err);

    return bytes == NULL ? NULL
                         : xasprintf("%zu-%08x", len, crc32c(0, bytes, len));
}

static char *
test_results_build(struct error *err)
{
    CLEANUP_FREE char *self = paths_self();
    CLEANUP_FREE char *replica = paths_program("ordeal-replica");
    CLEANUP_FREE char *a = test_results_program(self, err);
    CLEANUP_FREE char *b =
        a == NULL ? NULL : test_results_program(replica, err);

    return b == NULL ? NULL : xasprintf("%s/%s", a, b);
}

/* ---- results ---- */

json_t *
test_results_of_tree(const char *dir, const json_t *claims, const char *commit,
                     struct error *err)
{
    CLEANUP_FREE char *build = test_results_build(err);
    json_t *tests, *claim;
    size_t i;

    if (build == NULL)
        return NULL;
    tests = json_object();
    json_array_foreach ((json_t *)claims, i, claim) {
        test_results_collect(tests, dir, claim);
    }
    return json_pack("{s:i, s:s?, s:s, s:o}", "schema", TEST_RESULTS_SCHEMA,
                     "commit", commit, "build", build, "tests", tests);
}

json_t *
test_results_load(const char *path, struct error *err)
{
    CLEANUP_FREE char *build = test_results_build(err);
    json_error_t problem;
    json_t *results;
    const char *of, *commit;

    if (build == NULL)
        return NULL;
    results = json_load_file(path, 0, &problem);
    of = json_string_value(json_object_get(results, "build"));
    commit = json_string_value(json_object_get(results, "commit"));
    if (results == NULL)
        error_set(err, ERROR_CONFIG, "--tests: %s: %s", path, problem.text);
    else if (json_integer_value(json_object_get(results, "schema")) !=
                 TEST_RESULTS_SCHEMA ||
             of == NULL || !json_is_object(json_object_get(results, "tests")))
        error_set(err, ERROR_CONFIG,
                  "--tests: %s: no results of tests that this version knows",
                  path);
    else if (strcmp(of, build) != 0)
        error_set(err, ERROR_CONFIG,
                  "--tests: %s is of another build (commit %s): its tests say "
                  "nothing about these programs",
                  path, commit == NULL ? "unknown" : commit);
    else
        return results;
    json_decref(results);
    return NULL;
}

char *
test_results_problem(const json_t *results, const char *name)
{
    const json_t *one =
        json_object_get(json_object_get(results, "tests"), name);

    if (results == NULL)
        return xstrdup("no results of tests were handed over (--tests; 'make "
                       "check' leaves " TEST_RESULTS_FILE ")");
    if (one == NULL)
        return xasprintf("%s is not among the results", name);
    return json_is_string(one) ? xstrdup(json_string_value(one)) : NULL;
}
