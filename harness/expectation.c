/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "harness/base/arena.h"
#include "harness/expectation.h"
#include "harness/paths.h"
#include "harness/yaml.h"
#include "systems/replica/replica.h"

json_t *
expectation_of_bug(const char *bug, struct error *err)
{
    CLEANUP_FREE char *path = paths_data("scenarios/bugs.yaml");
    json_t *bugs = yaml_load_file(path, err);
    json_t *one = json_object_get(bugs, bug);

    if (bugs != NULL && one == NULL)
        error_set(err, ERROR_CONFIG, "no bug '%s' in %s", bug, path);
    json_incref(one);
    json_decref(bugs);
    return one;
}

int
expectation_check(const json_t *expectation, const char *bug,
                  const char *system, const char *capability, struct error *err)
{
    const char *engine =
        json_string_value(json_object_get(expectation, "engine"));
    const char *here = replica_engine(capability);

    if (strcmp(system, system_replica_ops.name) != 0)
        return error_set(err, ERROR_CONFIG,
                         "bug '%s' is one of the reference replica, and system "
                         "'%s' has none",
                         bug, system);
    if (engine == NULL || strcmp(engine, here) == 0)
        return 0;
    return error_set(
        err, ERROR_CONFIG,
        "bug '%s' is one of engine %s and does nothing on engine %s: %s "
        "shows it",
        bug, engine, here,
        json_string_value(json_object_get(expectation, "scenario")));
}

static bool
expectation_list_has(const json_t *list, const char *checker)
{
    size_t i;
    json_t *item;

    json_array_foreach ((json_t *)list, i, item) {
        if (json_is_string(item) &&
            strcmp(json_string_value(item), checker) == 0)
            return true;
    }
    return false;
}

bool
expectation_names(const json_t *expectation, const char *list,
                  const char *checker)
{
    return expectation_list_has(json_object_get(expectation, list), checker);
}

static bool
expectation_is_invalid(const json_t *checker)
{
    const char *verdict =
        json_string_value(json_object_get(checker, "verdict"));

    return verdict != NULL && strcmp(verdict, "invalid") == 0;
}

bool
expectation_fired(const json_t *checkers, const char *checker)
{
    size_t i;
    json_t *one;

    json_array_foreach ((json_t *)checkers, i, one) {
        const char *name = json_string_value(json_object_get(one, "checker"));

        if (name != NULL && strcmp(name, checker) == 0 &&
            expectation_is_invalid(one))
            return true;
    }
    return false;
}

const char *
expectation_missed(const json_t *expectation, const json_t *checkers)
{
    size_t i;
    json_t *name;

    json_array_foreach (json_object_get(expectation, "must"), i, name) {
        if (json_is_string(name) &&
            !expectation_fired(checkers, json_string_value(name)))
            return json_string_value(name);
    }
    return NULL;
}

const char *
expectation_false_alarm(const json_t *expectation, const json_t *checkers)
{
    size_t i;
    json_t *checker;

    json_array_foreach ((json_t *)checkers, i, checker) {
        const char *name =
            json_string_value(json_object_get(checker, "checker"));

        if (name != NULL && expectation_is_invalid(checker) &&
            !expectation_names(expectation, "must", name) &&
            !expectation_names(expectation, "may", name))
            return name;
    }
    return NULL;
}
