/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/expectation.h"
#include "harness/gate/matrix.h"
#include "harness/readiness.h"
#include "harness/scenario.h"
#include "nemesis/schedule.h"
#include "workloads/workload.h"

static const char *const matrix_row_keys[] = {"scenario", "window", "bug",
                                              "blocking"};

/* Why the scenario cannot run here; NULL when it can. */
static char *
matrix_blocked(const struct scenario *s, const char *bug)
{
    struct error err = {0};

    if (provider_find(s->provider) == NULL)
        return xasprintf("no provider '%s'", s->provider);
    if (system_find(s->system) == NULL)
        return xasprintf("no system '%s'", s->system);
    if (workload_find(s->workload) == NULL)
        return xasprintf("no workload '%s'", s->workload);
    if (!system_serves(system_find(s->system), s->system_params,
                       workload_find(s->workload)->capability))
        return xasprintf("system '%s' has no capability '%s'", s->system,
                         workload_find(s->workload)->capability);
    if (bug != NULL && system_find(s->system) != &system_replica_ops)
        return xstrdup("planted bugs are those of the reference replica");
    if (readiness_quick(&err) < 0)
        return xstrdup(err.text);
    return NULL;
}

bool
matrix_row_shortened(const struct matrix_row *row)
{
    return row->window_ns < row->full_window_ns;
}

/* The same of its faults: one that this program does not know, for example. */
static char *
matrix_blocked_plan(const struct scenario *s, int64_t window_ns)
{
    struct error err = {0};
    struct plan plan = {0};

    if (plan_build(s->schedule, 0, window_ns, (unsigned)s->node_count, &plan,
                   &err) < 0)
        return xstrdup(err.text);
    plan_release(&plan);
    return NULL;
}

/* What the row is expected to find: of a planted bug, or of a canary. */
static int
matrix_expect(struct matrix_row *row, const struct scenario *s,
              struct error *err)
{
    const struct workload_ops *workload = workload_find(s->workload);
    json_t *expectation;
    int result = 0;

    if (row->bug == NULL) {
        if (s->expect != NULL)
            row->must = json_pack("[s]", s->expect);
        return 0;
    }
    expectation = expectation_of_bug(row->bug, err);
    if (expectation == NULL)
        return -1;
    /* On another system the row is blocked, and the suite still good. */
    if (system_find(s->system) == &system_replica_ops)
        result = expectation_check(
            expectation, row->bug, s->system,
            workload == NULL ? NULL : workload->capability, err);
    row->must = json_incref(json_object_get(expectation, "must"));
    row->may = json_incref(json_object_get(expectation, "may"));
    json_decref(expectation);
    return result;
}

static int
matrix_row_check_keys(const json_t *run, size_t number, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)run, key, value) {
        bool known = false;

        for (size_t i = 0; i < ARRAY_LEN(matrix_row_keys); i++)
            known = known || strcmp(key, matrix_row_keys[i]) == 0;
        if (!known)
            return error_set(err, ERROR_CONFIG,
                             "run %zu of the suite: '%s' means nothing here",
                             number, key);
    }
    return 0;
}

/* "60s", or a whole number of seconds as YAML reads it. */
static int
matrix_window(const json_t *value, int64_t *ret, struct error *err)
{
    const char *text = json_string_value(value);

    if (value == NULL)
        return 0;
    if (json_is_integer(value) && json_integer_value(value) > 0 &&
        json_integer_value(value) <= INT64_MAX / NS_PER_S) {
        *ret = json_integer_value(value) * NS_PER_S;
        return 0;
    }
    if (text == NULL || !duration_parse(text, ret) || *ret <= 0)
        return error_set(err, ERROR_CONFIG, "'window' must be a duration");
    return 0;
}

static int
matrix_row_load(const json_t *run, size_t number,
                const struct matrix_options *o, struct matrix_row *ret,
                struct error *err)
{
    const char *id = json_string_value(json_object_get(run, "scenario"));
    const char *bug = json_string_value(json_object_get(run, "bug"));
    const json_t *blocking = json_object_get(run, "blocking");
    struct scenario *s;
    int result;

    if (id == NULL)
        return error_set(err, ERROR_CONFIG,
                         "run %zu of the suite names no scenario", number);
    if (matrix_row_check_keys(run, number, err) < 0)
        return -1;
    s = scenario_load(id, err);
    if (s == NULL)
        return -1;
    if (o->system != NULL && scenario_use_system(s, o->system, err) < 0) {
        scenario_free(s);
        return -1;
    }
    *ret = (struct matrix_row){
        .scenario = xstrdup(id),
        .system = xstrdup(s->system),
        .workload = xstrdup(s->workload),
        .provider = xstrdup(s->provider),
        .bug = bug == NULL ? NULL : xstrdup(bug),
        .window_ns = s->window_ns,
        .full_window_ns = s->window_ns,
        .faults = s->schedule != NULL,
        .blocking = blocking == NULL || json_is_true(blocking),
        .blocked = matrix_blocked(s, bug),
    };
    result = matrix_expect(ret, s, err);
    if (result == 0)
        result =
            matrix_window(json_object_get(run, "window"), &ret->window_ns, err);
    if (o->window_ns > 0)
        ret->window_ns = o->window_ns;
    if (result == 0 && ret->blocked == NULL)
        ret->blocked = matrix_blocked_plan(s, ret->window_ns);
    scenario_free(s);
    return result == 0
               ? 0
               : error_wrap(err, "run %zu of the suite (%s)", number, id);
}

/* The suite's own object, or one made of all scenarios.  New reference. */
static json_t *
matrix_suite(const char *name, struct error *err)
{
    json_t *ids, *id, *runs;
    size_t i;

    if (name != NULL)
        return suite_load(name, err);
    ids = scenario_ids(err);
    if (ids == NULL)
        return NULL;
    runs = json_array();
    json_array_foreach (ids, i, id) {
        json_array_append_new(runs, json_pack("{s:O}", "scenario", id));
    }
    json_decref(ids);
    return json_pack("{s:s, s:s, s:o}", "id", "all", "description",
                     "every scenario that ships", "runs", runs);
}

static char *
matrix_text(const json_t *suite, const char *key)
{
    const char *text = json_string_value(json_object_get(suite, key));

    return xstrdup(text == NULL ? "" : text);
}

/* A whole number, from 0; without it every gate has a fresh one. */
static int
matrix_seed(const json_t *suite, struct matrix *m, struct error *err)
{
    const json_t *seed = json_object_get(suite, "seed");

    if (seed == NULL)
        return 0;
    if (!json_is_integer(seed) || json_integer_value(seed) < 0)
        return error_set(err, ERROR_CONFIG,
                         "'seed' of the suite must be a whole number");
    m->seeded = true;
    m->seed = (uint64_t)json_integer_value(seed);
    return 0;
}

int
matrix_load(const struct matrix_options *o, struct matrix *ret,
            struct error *err)
{
    json_t *object = matrix_suite(o->suite, err), *run;
    json_t *runs = json_object_get(object, "runs");
    struct matrix m = {0};
    int result;
    size_t i;

    if (object == NULL)
        return -1;
    m.suite = matrix_text(object, "id");
    m.description = matrix_text(object, "description");
    m.release = json_is_true(json_object_get(object, "release"));
    result = matrix_seed(object, &m, err);
    if (result == 0 && json_array_size(runs) > MATRIX_ROWS_MAX)
        result = error_set(err, ERROR_CONFIG, "a suite has at most %d runs",
                           MATRIX_ROWS_MAX);
    else
        m.rows = xcalloc(json_array_size(runs) + 1, sizeof(*m.rows));
    json_array_foreach (runs, i, run) {
        if (result == 0) {
            result = matrix_row_load(run, i + 1, o, &m.rows[i], err);
            m.row_count++;
        }
    }
    json_decref(object);
    if (result < 0)
        matrix_release(&m);
    else
        *ret = m;
    return result;
}

void
matrix_release(struct matrix *m)
{
    for (size_t i = 0; i < m->row_count; i++) {
        struct matrix_row *row = &m->rows[i];

        free(row->scenario);
        free(row->system);
        free(row->workload);
        free(row->provider);
        free(row->bug);
        free(row->blocked);
        json_decref(row->must);
        json_decref(row->may);
    }
    free(m->rows);
    free(m->suite);
    free(m->description);
    *m = (struct matrix){0};
}
