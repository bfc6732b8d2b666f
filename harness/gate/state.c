/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/rng.h"
#include "harness/expectation.h"
#include "harness/failure.h"
#include "harness/gate/state.h"

static json_t *
gate_row_new(const struct matrix_row *row, size_t number)
{
    json_t *must = row->must == NULL ? json_null() : json_incref(row->must);
    json_t *may = row->may == NULL ? json_array() : json_incref(row->may);

    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s?, s:o, s:o, s:I, s:b, s:b, "
                     "s:b, s:s?, s:s, s:[]}",
                     "number", (json_int_t)number, "scenario", row->scenario,
                     "system", row->system, "workload", row->workload,
                     "provider", row->provider, "bug", row->bug, "must", must,
                     "may", may, "window_ns", (json_int_t)row->window_ns,
                     "shortened", matrix_row_shortened(row), "faults",
                     row->faults, "blocking", row->blocking, "blocked",
                     row->blocked, "state",
                     row->blocked == NULL ? "waiting" : "blocked", "attempts");
}

json_t *
gate_state_new(const struct matrix *m, uint64_t seed, int64_t started_wall_ns)
{
    json_t *rows = json_array();
    char text[24], started[21];

    for (size_t i = 0; i < m->row_count; i++)
        json_array_append_new(rows, gate_row_new(&m->rows[i], i + 1));
    snprintf(text, sizeof(text), "%" PRIu64, seed);
    clock_format_utc(started_wall_ns, started);
    return json_pack("{s:i, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:o}", "schema",
                     GATE_SCHEMA_VERSION, "ordeal", PACKAGE_VERSION, "suite",
                     m->suite, "description", m->description, "release",
                     m->release, "seed", text, "started_at", started, "state",
                     "running", "rows", rows);
}

json_t *
gate_state_load(const char *dir, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/" GATE_FILE, dir);
    json_error_t problem;
    json_t *state = json_load_file(path, 0, &problem);

    if (state == NULL)
        error_set(err, ERROR_CONFIG, "%s: %s", path, problem.text);
    else if (json_integer_value(json_object_get(state, "schema")) !=
                 GATE_SCHEMA_VERSION ||
             !json_is_array(gate_state_rows(state)))
        error_set(err, ERROR_CONFIG, "%s: not a gate that this version knows",
                  path);
    else
        return state;
    json_decref(state);
    return NULL;
}

int
gate_state_save(const char *dir, const json_t *state, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/" GATE_FILE, dir);
    CLEANUP_FREE char *text = json_dumps(state, JSON_INDENT(2));

    if (text == NULL)
        return error_set(err, ERROR_BUG, "%s cannot be written as JSON", path);
    return file_write_atomic(path, text, strlen(text), 0644, err);
}

json_t *
gate_state_rows(const json_t *state)
{
    return json_object_get(state, "rows");
}

bool
gate_row_is(const json_t *row, const char *state)
{
    const char *now = json_string_value(json_object_get(row, "state"));

    return now != NULL && strcmp(now, state) == 0;
}

json_t *
gate_row_attempt(const json_t *row)
{
    const json_t *attempts = json_object_get(row, "attempts");
    size_t count = json_array_size(attempts);

    return count == 0 ? NULL : json_array_get(attempts, count - 1);
}

json_t *
gate_state_next(const json_t *state)
{
    size_t i;
    json_t *row;

    json_array_foreach (gate_state_rows(state), i, row) {
        if (gate_row_is(row, "waiting"))
            return row;
    }
    return NULL;
}

uint64_t
gate_row_seed(const json_t *state, const json_t *row)
{
    const char *text = json_string_value(json_object_get(state, "seed"));
    uint64_t number =
        (uint64_t)json_integer_value(json_object_get(row, "number"));
    size_t attempt = json_array_size(json_object_get(row, "attempts"));
    struct rng root, stream;

    rng_init(&root, text == NULL ? 0 : strtoull(text, NULL, 10));
    stream = rng_fork(&root, "row", number);
    stream = rng_fork(&stream, "attempt", attempt);
    return rng_u64(&stream) >> 1; /* JSON's integers are signed */
}

json_t *
gate_attempt_begin(json_t *row, uint64_t seed, int64_t wall_ns)
{
    json_t *attempt;
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, seed);
    attempt = json_pack("{s:s, s:I}", "seed", text, "started_ns",
                        (json_int_t)wall_ns);
    json_array_append_new(json_object_get(row, "attempts"), attempt);
    json_object_set_new(row, "state", json_string("running"));
    return attempt;
}

/* ---- what a run came to ---- */

static enum run_status
gate_manifest_status(const json_t *manifest)
{
    const char *name = json_string_value(json_object_get(manifest, "status"));
    enum run_status status = STATUS_INTERNAL;

    if (name != NULL)
        run_status_parse(name, &status);
    return status;
}

enum run_status
gate_outcome(const json_t *row, const json_t *manifest, struct arena *a,
             const char **ret_text)
{
    enum run_status status = gate_manifest_status(manifest);
    const json_t *checkers = json_object_get(manifest, "checkers");
    const char *name;

    *ret_text = NULL;
    if (!json_is_array(json_object_get(row, "must")))
        return status;
    if (status == STATUS_INFRA || status == STATUS_DIRTY ||
        status == STATUS_INTERNAL)
        return status;
    name = expectation_missed(row, checkers);
    if (name != NULL) {
        *ret_text =
            arena_printf(a, "%s had to find a violation and did not", name);
        return STATUS_INTERNAL;
    }
    name = expectation_false_alarm(row, checkers);
    if (name != NULL) {
        *ret_text =
            arena_printf(a, "%s found a violation that nothing explains", name);
        return STATUS_INTERNAL;
    }
    *ret_text = "the violation that had to be found was found";
    return STATUS_PASSED;
}

/* ---- the end of an attempt ---- */

/* What later tables need of a manifest, so that no bundle is read again. */
static void
gate_attempt_keep(json_t *attempt, const json_t *manifest)
{
    static const char *const keys[] = {"evidence", "reasons", "ambiguous",
                                       "resolved"};
    json_t *checkers = json_object(), *checker, *faults, *fault;
    json_int_t confirmed = 0;
    size_t i;

    for (size_t k = 0; k < ARRAY_LEN(keys); k++)
        if (json_object_get(manifest, keys[k]) != NULL)
            json_object_set(attempt, keys[k],
                            json_object_get(manifest, keys[k]));
    json_array_foreach (json_object_get(manifest, "checkers"), i, checker) {
        const char *name =
            json_string_value(json_object_get(checker, "checker"));

        if (name != NULL)
            json_object_set(checkers, name,
                            json_object_get(checker, "verdict"));
        if (name != NULL && strcmp(name, FAILURE_CHECKER) == 0)
            json_object_set(attempt, "failure", checker);
    }
    json_object_set_new(attempt, "checkers", checkers);
    faults = json_object_get(manifest, "faults");
    json_array_foreach (faults, i, fault) {
        const char *effect =
            json_string_value(json_object_get(fault, "effect"));

        confirmed += effect != NULL && strcmp(effect, "confirmed") == 0;
    }
    json_object_set_new(attempt, "faults_confirmed", json_integer(confirmed));
}

static void
gate_attempt_close(json_t *row, json_t *attempt, enum run_status status,
                   const char *text, int64_t wall_ns)
{
    json_int_t started =
        json_integer_value(json_object_get(attempt, "started_ns"));

    json_object_set_new(attempt, "status",
                        json_string(run_status_name(status)));
    if (text != NULL)
        json_object_set_new(attempt, "text", json_string(text));
    json_object_set_new(attempt, "seconds",
                        json_integer((wall_ns - started) / NS_PER_S));
    json_object_set_new(row, "state", json_string("done"));
    json_object_set_new(row, "status", json_string(run_status_name(status)));
}

static size_t
gate_row_count(const json_t *row, const char *status)
{
    size_t i, count = 0;
    json_t *attempt;

    json_array_foreach (json_object_get(row, "attempts"), i, attempt) {
        const char *was = json_string_value(json_object_get(attempt, "status"));

        count += was != NULL && strcmp(was, status) == 0;
    }
    return count;
}

void
gate_attempt_end(json_t *row, const json_t *manifest, const char *problem,
                 int64_t wall_ns)
{
    json_t *attempt = gate_row_attempt(row);
    enum run_status status = STATUS_INTERNAL;
    const char *text = problem == NULL ? "it left no manifest" : problem;
    struct arena arena;

    arena_init(&arena);
    if (manifest != NULL) {
        status = gate_outcome(row, manifest, &arena, &text);
        gate_attempt_keep(attempt, manifest);
    }
    gate_attempt_close(row, attempt, status, text, wall_ns);
    if (status == STATUS_INFRA &&
        gate_row_count(row, run_status_name(STATUS_INFRA)) <= GATE_RETRIES)
        json_object_set_new(row, "state", json_string("waiting"));
    arena_release(&arena);
}

void
gate_attempt_interrupt(json_t *row, const char *why)
{
    json_t *attempt = gate_row_attempt(row);

    json_object_set_new(attempt, "status", json_string("interrupted"));
    json_object_set_new(attempt, "text", json_string(why));
    json_object_set_new(row, "state", json_string("waiting"));
    if (json_array_size(json_object_get(row, "attempts")) >= GATE_ATTEMPTS_MAX)
        gate_attempt_close(
            row, attempt, STATUS_INFRA, "interrupted too often, given up",
            json_integer_value(json_object_get(attempt, "started_ns")));
}

/* ---- the whole ---- */

static enum run_status
gate_row_status(const json_t *row, bool release)
{
    const char *name = json_string_value(json_object_get(row, "status"));
    enum run_status status = STATUS_INSUFFICIENT; /* it has not run */

    if (gate_row_is(row, "done") && name != NULL)
        run_status_parse(name, &status);
    if (!json_is_true(json_object_get(row, "blocking")))
        return status >= STATUS_INTERNAL ? status : STATUS_PASSED;
    if (release && json_is_true(json_object_get(row, "shortened")))
        status = run_status_worst(status, STATUS_INSUFFICIENT);
    return status;
}

enum run_status
gate_state_status(const json_t *state)
{
    bool release = json_is_true(json_object_get(state, "release"));
    enum run_status worst = STATUS_PASSED;
    size_t i;
    json_t *row;

    if (json_array_size(gate_state_rows(state)) == 0)
        return STATUS_INSUFFICIENT;
    json_array_foreach (gate_state_rows(state), i, row) {
        worst = run_status_worst(worst, gate_row_status(row, release));
    }
    return worst;
}
