/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence of families and nemeses is per minute, for neither knows the other's
 * window; here it becomes that of the window.
 */
#include "config.h"

#include <dirent.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/paths.h"
#include "harness/scenario-compose.h"
#include "harness/yaml.h"

#define COMPOSE_WINDOW_DEFAULT_NS (60 * NS_PER_S)

/* Keys of a nemesis file that are not the schedule's. */
static const char *const nemesis_keys[] = {"description", "window", "evidence",
                                           "failure"};

/* "scenarios/DIR/NAME.yaml" as an object.  NULL without an error: no file. */
static json_t *
compose_load(const char *dir, const char *name, struct error *err)
{
    CLEANUP_FREE char *relative = xasprintf("scenarios/%s/%s.yaml", dir, name);
    CLEANUP_FREE char *path = paths_data(relative);
    json_t *root;

    if (strchr(name, '/') != NULL || !path_exists(path))
        return NULL;
    root = yaml_load_file(path, err);
    if (root != NULL && !json_is_object(root)) {
        error_set(err, ERROR_CONFIG, "%s: not a map", path);
        json_decref(root);
        return NULL;
    }
    return root;
}

static json_t *
compose_schedule(const json_t *nemesis)
{
    json_t *schedule = json_deep_copy(nemesis);

    for (size_t i = 0; i < ARRAY_LEN(nemesis_keys); i++)
        json_object_del(schedule, nemesis_keys[i]);
    return schedule;
}

json_t *
scenario_nemesis(const char *name, struct error *err)
{
    json_t *nemesis = compose_load("nemesis", name, err), *schedule;

    if (nemesis == NULL) {
        if (err->kind == ERROR_NONE)
            error_set(err, ERROR_CONFIG,
                      "there is no nemesis '%s' in scenarios/nemesis", name);
        return NULL;
    }
    schedule = compose_schedule(nemesis);
    json_decref(nemesis);
    return schedule;
}

static bool
compose_goes_with(const json_t *family, const char *nemesis)
{
    const json_t *list = json_object_get(family, "nemeses"), *item;
    size_t i;

    json_array_foreach ((json_t *)list, i, item) {
        if (json_is_string(item) &&
            strcmp(json_string_value(item), nemesis) == 0)
            return true;
    }
    return false;
}

static void
compose_evidence(json_t *into, const json_t *per_minute, double minutes)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *)per_minute, key, v) {
        if (json_is_integer(v))
            json_object_set_new(
                into, key,
                json_integer(
                    (json_int_t)((double)json_integer_value(v) * minutes)));
        else
            json_object_set(into, key, v); /* to be refused by name */
    }
}

static double
compose_minutes(const json_t *window)
{
    int64_t ns = COMPOSE_WINDOW_DEFAULT_NS;

    if (json_is_string(window))
        duration_parse(json_string_value(window), &ns);
    else if (json_is_integer(window))
        ns = json_integer_value(window) * NS_PER_S;
    return (double)ns / (60.0 * (double)NS_PER_S);
}

/* Both of them in one; takes 'family'. */
static json_t *
compose_join(const char *id, json_t *family, const json_t *nemesis)
{
    json_t *schedule = compose_schedule(nemesis), *evidence = json_object();
    const char *first =
        json_string_value(json_object_get(family, "description"));
    const char *then =
        json_string_value(json_object_get(nemesis, "description"));
    json_t *window = json_object_get(nemesis, "window");

    if (window == NULL)
        window = json_object_get(family, "window");
    compose_evidence(evidence, json_object_get(family, "evidence"),
                     compose_minutes(window));
    compose_evidence(evidence, json_object_get(nemesis, "evidence"),
                     compose_minutes(window));
    json_object_set_new(family, "id", json_string(id));
    json_object_set_new(family, "description",
                        json_sprintf("%s %s", first == NULL ? "" : first,
                                     then == NULL ? "" : then));
    if (window != NULL)
        json_object_set(family, "window", window);
    if (json_object_get(nemesis, "failure") != NULL)
        json_object_set(family, "failure", json_object_get(nemesis, "failure"));
    if (json_object_size(schedule) > 0)
        json_object_set(family, "nemesis", schedule);
    json_object_set_new(family, "evidence", evidence);
    json_object_del(family, "nemeses");
    json_decref(schedule);
    return family;
}

json_t *
scenario_compose(const char *id, struct error *err)
{
    const char *dash = strchr(id, '-');
    CLEANUP_FREE char *name =
        dash == NULL ? NULL : xasprintf("%.*s", (int)(dash - id), id);
    json_t *family = dash == NULL ? NULL : compose_load("families", name, err);
    json_t *nemesis, *joined = NULL;

    if (family == NULL)
        return NULL;
    nemesis = compose_goes_with(family, dash + 1)
                  ? compose_load("nemesis", dash + 1, err)
                  : NULL;
    if (nemesis != NULL)
        joined = compose_join(id, json_incref(family), nemesis);
    json_decref(nemesis);
    json_decref(family);
    return joined;
}

static int
compose_is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot != NULL && strcmp(dot, ".yaml") == 0;
}

static void
compose_family_ids(json_t *ids, const char *name, const json_t *family)
{
    const json_t *item;
    size_t i;

    json_array_foreach (json_object_get(family, "nemeses"), i, item) {
        json_array_append_new(
            ids, json_sprintf("%s-%s", name, json_string_value(item)));
    }
}

int
scenario_compose_ids(json_t *ids, struct error *err)
{
    CLEANUP_FREE char *dir = paths_data("scenarios/families");
    struct dirent **entries;
    int count = scandir(dir, &entries, compose_is_yaml, alphasort), result = 0;

    if (count < 0)
        return error_set(err, ERROR_ENVIRONMENT, "%s: no families there", dir);
    for (int i = 0; i < count; i++) {
        size_t len = strlen(entries[i]->d_name) - strlen(".yaml");
        CLEANUP_FREE char *name =
            xasprintf("%.*s", (int)len, entries[i]->d_name);
        json_t *family =
            result < 0 ? NULL : compose_load("families", name, err);

        if (family == NULL)
            result = -1;
        else
            compose_family_ids(ids, name, family);
        json_decref(family);
        free(entries[i]);
    }
    free(entries);
    return result;
}
