/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/failure.h"
#include "harness/paths.h"
#include "harness/yaml.h"

#define FAILURE_WHY_MAX 256

static const struct {
    const char *about, *name;
} failure_classes[] = {
    {"service", "continues"},         {"service", "fails_closed"},
    {"node", "recovers_by_log"},      {"node", "recovers_by_suffix"},
    {"node", "recovers_by_snapshot"}, {"node", "refuses_to_start"},
};

static const struct {
    const char *recovery, *class_name;
} failure_recoveries[] = {
    {"log", "recovers_by_log"},
    {"snapshot", "recovers_by_log"},
    {"snapshot_and_log", "recovers_by_log"},
    {"suffix", "recovers_by_suffix"},
    {"divergent_suffix_discarded", "recovers_by_suffix"},
    {"snapshot_install", "recovers_by_snapshot"},
};

static const char *
failure_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

/* ---- the matrix ---- */

static int
failure_check_row(const char *id, const json_t *row, struct error *err)
{
    static const char *const texts[] = {"failure", "about", "fault",
                                        "expected"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (failure_text(row, texts[i])[0] == '\0')
            return error_set(err, ERROR_CONFIG, "failure '%s' has no '%s'", id,
                             texts[i]);
    for (size_t i = 0; i < ARRAY_LEN(failure_classes); i++)
        if (strcmp(failure_classes[i].about, failure_text(row, "about")) == 0 &&
            strcmp(failure_classes[i].name, failure_text(row, "expected")) == 0)
            return 0;
    return error_set(err, ERROR_CONFIG,
                     "failure '%s': '%s' is no outcome of '%s'", id,
                     failure_text(row, "expected"), failure_text(row, "about"));
}

json_t *
failure_matrix(struct error *err)
{
    CLEANUP_FREE char *path = paths_data("scenarios/failure-matrix.yaml");
    json_t *file = yaml_load_file(path, err), *rows, *row;
    const char *id;

    if (file == NULL)
        return NULL;
    rows = json_incref(json_object_get(file, "failures"));
    json_decref(file);
    json_object_foreach (rows, id, row) {
        if (failure_check_row(id, row, err) < 0) {
            error_wrap(err, "%s", path);
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

json_t *
failure_find(const char *id, struct error *err)
{
    json_t *rows = failure_matrix(err), *row;

    if (rows == NULL)
        return NULL;
    row = json_incref(json_object_get(rows, id));
    json_decref(rows);
    if (row == NULL)
        error_set(err, ERROR_CONFIG,
                  "no failure '%s' in scenarios/failure-matrix.yaml", id);
    return row;
}

/* ---- what was seen ---- */

/* The last fault of the row's kind that was in force and is over. */
static const json_t *
failure_fault(const json_t *row, const struct failure_seen *seen)
{
    const json_t *last = NULL;
    size_t i;
    json_t *fault;

    json_array_foreach ((json_t *)seen->faults, i, fault) {
        if (strcmp(failure_text(fault, "fault"), failure_text(row, "fault")) ==
                0 &&
            json_is_true(json_object_get(fault, "confirmed")) &&
            json_is_true(json_object_get(fault, "healed")))
            last = fault;
    }
    return last;
}

static const char *
failure_service(const json_t *fault, const struct failure_seen *seen, char *why,
                size_t size)
{
    json_int_t acknowledged =
        json_integer_value(json_object_get(fault, "acknowledged"));

    snprintf(why, size,
             "%" PRId64 " mutations acknowledged while it was in force; %s",
             (int64_t)acknowledged,
             seen->serves ? "it served after the heal"
                          : "it did not serve after the heal in time");
    if (!seen->serves)
        return NULL;
    return acknowledged > 0 ? "continues" : "fails_closed";
}

static const struct failure_node *
failure_node(const struct failure_seen *seen, const char *name)
{
    for (unsigned i = 0; name != NULL && i < seen->node_count; i++)
        if (strcmp(seen->nodes[i].name, name) == 0)
            return &seen->nodes[i];
    return NULL;
}

static const char *
failure_node_class(const struct failure_node *node)
{
    if (node->refused)
        return "refuses_to_start";
    for (size_t i = 0; i < ARRAY_LEN(failure_recoveries); i++)
        if (strcmp(failure_recoveries[i].recovery, node->recovery) == 0)
            return failure_recoveries[i].class_name;
    return NULL;
}

/* All nodes that were hit must have done the same. */
static const char *
failure_nodes(const json_t *fault, const struct failure_seen *seen, char *why,
              size_t size)
{
    const char *all = NULL;
    size_t i;
    json_t *name;

    snprintf(why, size, "no node was hit");
    json_array_foreach (json_object_get(fault, "nodes"), i, name) {
        const struct failure_node *node =
            failure_node(seen, json_string_value(name));
        const char *one = node == NULL ? NULL : failure_node_class(node);

        snprintf(why, size, "%s came back as '%s'%s", json_string_value(name),
                 node == NULL ? "" : node->recovery,
                 node != NULL && node->refused ? ", after it had refused to"
                                               : "");
        if (one == NULL || (all != NULL && strcmp(all, one) != 0))
            return NULL;
        all = one;
    }
    return all;
}

const char *
failure_observe(const json_t *row, const struct failure_seen *seen, char *why,
                size_t size)
{
    const json_t *fault = failure_fault(row, seen);

    if (fault == NULL) {
        snprintf(why, size, "no %s was in force and healed, by its proofs",
                 failure_text(row, "fault"));
        return NULL;
    }
    if (strcmp(failure_text(row, "about"), "service") == 0)
        return failure_service(fault, seen, why, size);
    return failure_nodes(fault, seen, why, size);
}

json_t *
failure_judge(const char *id, const json_t *row,
              const struct failure_seen *seen)
{
    char why[FAILURE_WHY_MAX] = "";
    const char *observed = failure_observe(row, seen, why, sizeof(why));
    const char *expected = failure_text(row, "expected");
    const char *verdict = observed == NULL                  ? "unknown"
                          : strcmp(observed, expected) == 0 ? "valid"
                                                            : "invalid";
    json_t *result = json_pack(
        "{s:s, s:s, s:s, s:s, s:s?, s:s, s:i}", "checker", FAILURE_CHECKER,
        "verdict", verdict, "failure", id, "expected", expected, "observed",
        observed, "reason", why, "count", strcmp(verdict, "valid") != 0);

    if (strcmp(verdict, "invalid") == 0)
        json_object_set_new(result, "witness",
                            json_pack("{s:s, s:[]}", "text", why, "events"));
    return result;
}
