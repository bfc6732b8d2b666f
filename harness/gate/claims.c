/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/gate/claims.h"
#include "harness/gate/state.h"
#include "harness/gate/test-results.h"
#include "harness/paths.h"
#include "harness/yaml.h"

/* What there is for one claim at one level. */
struct claim_level {
    bool named; /* the claim names proofs at this level */
    bool proven;
    bool blocked; /* what would prove it cannot run here */
    bool refuted; /* a run violated it */
    char *text;   /* what proves it, or the first thing that is missing */
};

struct claims {
    const json_t *gate;
    const json_t *tests; /* results of tests, or NULL */
};

static const char *const claim_levels[] = {"L0", "L1", "L2", "L3"};

/* ---- results of tests ---- */

static void
claims_weigh_tests(const struct claims *c, const json_t *tests,
                   struct claim_level *ret)
{
    size_t i;
    json_t *name;

    ret->proven = true;
    json_array_foreach ((json_t *)tests, i, name) {
        char *problem = test_results_problem(c->tests, json_string_value(name));

        if (problem == NULL)
            continue;
        ret->proven = false;
        ret->text = problem;
        return;
    }
    ret->text = xasprintf("%zu tests", json_array_size(tests));
}

/* ---- rows of the gate ---- */

struct claim_rows {
    size_t matched, passed, blocked, refuted;
    int64_t faults;
    char *problem; /* the first, or NULL */
};

static bool
claims_row_has(const json_t *row, const char *pattern)
{
    const char *id = json_string_value(json_object_get(row, "scenario"));

    return id != NULL && fnmatch(pattern, id, 0) == 0 &&
           !json_is_array(json_object_get(row, "must"));
}

/*
 * The first checker of the claim that the row's run does not call valid, and
 * what it said, NULL: nothing.
 */
static const char *
claims_checker_missing(const json_t *checkers, const json_t *attempt,
                       const char **ret_verdict)
{
    size_t i;
    json_t *name;

    json_array_foreach ((json_t *)checkers, i, name) {
        const char *verdict = json_string_value(json_object_get(
            json_object_get(attempt, "checkers"), json_string_value(name)));

        *ret_verdict = verdict;
        if (verdict == NULL || strcmp(verdict, "valid") != 0)
            return json_string_value(name);
    }
    return NULL;
}

static void
claims_rows_problem(struct claim_rows *rows, char *problem)
{
    if (rows->problem == NULL)
        rows->problem = problem;
    else
        free(problem);
}

static void
claims_weigh_row(const json_t *row, const json_t *checkers,
                 struct claim_rows *ret)
{
    const json_t *attempt = gate_row_attempt(row);
    const char *id = json_string_value(json_object_get(row, "scenario"));
    const char *status = json_string_value(json_object_get(row, "status"));
    const char *verdict = NULL;
    const char *missing = claims_checker_missing(checkers, attempt, &verdict);

    ret->matched++;
    if (gate_row_is(row, "blocked")) {
        ret->blocked++;
        claims_rows_problem(ret, xasprintf("%s is blocked", id));
    } else if (!gate_row_is(row, "done") || status == NULL) {
        claims_rows_problem(ret, xasprintf("%s did not run", id));
    } else if (missing != NULL) {
        ret->refuted += verdict != NULL && strcmp(verdict, "invalid") == 0;
        claims_rows_problem(ret,
                            xasprintf("%s: %s is %s", id, missing,
                                      verdict == NULL ? "missing" : verdict));
    } else if (strcmp(status, "passed") != 0) {
        claims_rows_problem(ret, xasprintf("%s came to %s", id, status));
    } else if (json_is_true(json_object_get(row, "shortened"))) {
        claims_rows_problem(ret,
                            xasprintf("%s ran with a shortened window", id));
    } else {
        ret->passed++;
        ret->faults +=
            json_integer_value(json_object_get(attempt, "faults_confirmed"));
    }
}

/* Each pattern must have rows, and each of those must prove the claim. */
static void
claims_weigh_rows(const struct claims *c, const json_t *level,
                  struct claim_level *ret)
{
    const json_t *checkers = json_object_get(level, "checkers");
    const json_t *patterns = json_object_get(level, "scenarios");
    struct claim_rows rows = {0};
    size_t i, k;
    json_t *pattern, *row;

    json_array_foreach ((json_t *)patterns, i, pattern) {
        size_t before = rows.matched;

        json_array_foreach (gate_state_rows(c->gate), k, row) {
            if (claims_row_has(row, json_string_value(pattern)))
                claims_weigh_row(row, checkers, &rows);
        }
        if (rows.matched == before)
            claims_rows_problem(&rows, xasprintf("no row of this suite is %s",
                                                 json_string_value(pattern)));
    }
    ret->proven = rows.problem == NULL;
    ret->blocked = rows.blocked > 0 && rows.passed == 0;
    ret->refuted = rows.refuted > 0;
    ret->text = ret->proven
                    ? xasprintf("%zu runs, %" PRId64 " confirmed faults",
                                rows.passed, rows.faults)
                    : rows.problem;
}

/* ---- a claim ---- */

static const char *
claims_state(const struct claim_level *levels)
{
    size_t named = 0, proven = 0, blocked = 0, refuted = 0;

    for (size_t i = 0; i < ARRAY_LEN(claim_levels); i++) {
        named += levels[i].named;
        proven += levels[i].proven;
        blocked += levels[i].blocked;
        refuted += levels[i].refuted;
    }
    if (refuted > 0)
        return "NOT PROVEN";
    if (named > 0 && proven == named)
        return "PROVEN";
    if (blocked > 0)
        return "BLOCKED";
    return proven > 0 ? "PARTIAL" : "NOT PROVEN";
}

static json_t *
claims_levels_json(const struct claim_level *levels, char **ret_missing)
{
    json_t *list = json_array();
    char *missing = xstrdup("");

    for (size_t i = 0; i < ARRAY_LEN(claim_levels); i++) {
        char *longer;

        if (!levels[i].named)
            continue;
        json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "level",
                                              claim_levels[i], "proven",
                                              levels[i].proven, "text",
                                              levels[i].text));
        if (levels[i].proven)
            continue;
        longer =
            xasprintf("%s%s%s: %s", missing, missing[0] == '\0' ? "" : "; ",
                      claim_levels[i], levels[i].text);
        free(missing);
        missing = longer;
    }
    *ret_missing = missing;
    return list;
}

static bool
claims_all_strings(const json_t *list)
{
    size_t i;
    json_t *item;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return false;
    json_array_foreach ((json_t *)list, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return true;
}

static int
claims_check(const json_t *claim, size_t number, struct error *err)
{
    static const char *const texts[] = {"id", "claim", "owner", "residual",
                                        "closes"};
    const json_t *levels = json_object_get(claim, "levels");
    const json_t *cluster = json_object_get(levels, "L3");

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!json_is_string(json_object_get(claim, texts[i])))
            return error_set(err, ERROR_CONFIG, "claim %zu has no '%s'", number,
                             texts[i]);
    if (json_object_size(levels) == 0)
        return error_set(err, ERROR_CONFIG,
                         "claim %zu: 'levels' must name proofs", number);
    for (size_t i = 0; i + 1 < ARRAY_LEN(claim_levels); i++) {
        const json_t *tests = json_object_get(levels, claim_levels[i]);

        if (tests != NULL && !claims_all_strings(tests))
            return error_set(err, ERROR_CONFIG,
                             "claim %zu: '%s' must be a list of tests", number,
                             claim_levels[i]);
    }
    if (cluster != NULL &&
        (!claims_all_strings(json_object_get(cluster, "checkers")) ||
         !claims_all_strings(json_object_get(cluster, "scenarios"))))
        return error_set(err, ERROR_CONFIG,
                         "claim %zu: 'L3' must have 'checkers' and 'scenarios'",
                         number);
    return 0;
}

static json_t *
claims_weigh_one(const struct claims *c, const json_t *claim)
{
    struct claim_level levels[ARRAY_LEN(claim_levels)] = {0};
    CLEANUP_FREE char *missing = NULL;
    json_t *result, *list;

    for (size_t i = 0; i < ARRAY_LEN(claim_levels); i++) {
        const json_t *level =
            json_object_get(json_object_get(claim, "levels"), claim_levels[i]);

        levels[i].named = level != NULL;
        if (json_is_array(level))
            claims_weigh_tests(c, level, &levels[i]);
        else if (level != NULL)
            claims_weigh_rows(c, level, &levels[i]);
    }
    list = claims_levels_json(levels, &missing);
    result = json_pack("{s:O, s:O, s:s, s:o, s:s, s:O, s:O, s:O}", "id",
                       json_object_get(claim, "id"), "claim",
                       json_object_get(claim, "claim"), "state",
                       claims_state(levels), "levels", list, "missing", missing,
                       "residual", json_object_get(claim, "residual"), "owner",
                       json_object_get(claim, "owner"), "closes",
                       json_object_get(claim, "closes"));
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        free(levels[i].text);
    return result;
}

json_t *
claims_weigh_list(const json_t *claims, const json_t *gate_state,
                  const json_t *tests, struct error *err)
{
    struct claims c = {.gate = gate_state, .tests = tests};
    json_t *result = json_array(), *claim;
    size_t i;

    json_array_foreach ((json_t *)claims, i, claim) {
        if (claims_check(claim, i + 1, err) < 0) {
            json_decref(result);
            return NULL;
        }
        json_array_append_new(result, claims_weigh_one(&c, claim));
    }
    return result;
}

json_t *
claims_load(struct error *err)
{
    CLEANUP_FREE char *path = paths_data("scenarios/claims.yaml");
    json_t *file = yaml_load_file(path, err);
    json_t *claims = json_incref(json_object_get(file, "claims"));

    json_decref(file);
    if (file != NULL && claims == NULL)
        error_set(err, ERROR_CONFIG, "%s: it has no 'claims'", path);
    return claims;
}

json_t *
claims_tests(const char *path, const char *commit, struct error *err)
{
    json_t *claims = claims_load(err), *results = NULL;
    struct stat st;

    if (claims != NULL)
        results = stat(path, &st) == 0 && S_ISDIR(st.st_mode)
                      ? test_results_of_tree(path, claims, commit, err)
                      : test_results_load(path, err);
    json_decref(claims);
    return results;
}

json_t *
claims_weigh(const json_t *gate_state, const json_t *tests, struct error *err)
{
    json_t *claims = claims_load(err), *result;

    if (claims == NULL)
        return NULL;
    result = claims_weigh_list(claims, gate_state, tests, err);
    json_decref(claims);
    if (result == NULL)
        error_wrap(err, "scenarios/claims.yaml");
    return result;
}
