/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML object is taken apart key by key; every key is consumed from a
 * working copy, and what is left at the end is an unknown key and an error.
 */
#include "config.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/limits.h"
#include "harness/paths.h"
#include "harness/scenario-compose.h"
#include "harness/scenario.h"
#include "harness/yaml.h"

#define SCENARIO_RATE_BITS_MIN 1e6
#define SCENARIO_RATE_BITS_MAX 10e9
#define SCENARIO_QUEUE_NS (100 * NS_PER_MS) /* what switches have, or less */
#define SCENARIO_LINK_NS_MAX NS_PER_S

struct scenario_reader {
    const char *where; /* "FILE" or "FILE: workload" */
    json_t *object;    /* working copy */
    struct error *err; /* first failure sticks */
};

static void
scenario_reader_fail(struct scenario_reader *r, const char *key,
                     const char *expected)
{
    if (r->err->kind == ERROR_NONE)
        error_set(r->err, ERROR_CONFIG, "%s: '%s' must be %s", r->where, key,
                  expected);
}

/* The value of key, taken out of the object; NULL when absent. */
static json_t *
scenario_take(struct scenario_reader *r, const char *key)
{
    json_t *value = json_object_get(r->object, key);

    json_incref(value);
    json_object_del(r->object, key);
    return value;
}

static char *
scenario_take_string(struct scenario_reader *r, const char *key,
                     const char *fallback)
{
    json_t *value = scenario_take(r, key);
    char *text = NULL;

    if (value == NULL)
        return fallback == NULL ? NULL : xstrdup(fallback);
    if (json_is_string(value))
        text = xstrdup(json_string_value(value));
    else
        scenario_reader_fail(r, key, "a string");
    json_decref(value);
    return text;
}

static uint64_t
scenario_take_uint(struct scenario_reader *r, const char *key,
                   uint64_t fallback, uint64_t min, uint64_t max)
{
    json_t *value = scenario_take(r, key);
    json_int_t n = json_integer_value(value);
    char expected[80];

    if (value == NULL)
        return fallback;
    if (!json_is_integer(value) || n < 0 || (uint64_t)n < min ||
        (uint64_t)n > max) {
        snprintf(expected, sizeof(expected),
                 "a whole number from %" PRIu64 " to %" PRIu64, min, max);
        scenario_reader_fail(r, key, expected);
    }
    json_decref(value);
    return (uint64_t)n;
}

static int64_t
scenario_take_duration(struct scenario_reader *r, const char *key,
                       int64_t fallback_ns)
{
    json_t *value = scenario_take(r, key);
    int64_t ns = fallback_ns;

    if (value == NULL)
        return fallback_ns;
    if (json_is_integer(value) && json_integer_value(value) > 0 &&
        json_integer_value(value) < 1000000)
        ns = json_integer_value(value) * NS_PER_S;
    else if (!json_is_string(value) ||
             !duration_parse(json_string_value(value), &ns) || ns <= 0)
        scenario_reader_fail(r, key, "a duration like 60s, 15m or 2h");
    json_decref(value);
    return ns;
}

static double
scenario_take_rate(struct scenario_reader *r, const char *key, double fallback)
{
    json_t *value = scenario_take(r, key);
    double rate = json_number_value(value);

    if (value == NULL)
        return fallback;
    if (!json_is_number(value) || rate < 0 || rate > 1e6)
        scenario_reader_fail(r, key, "a number of operations per second");
    json_decref(value);
    return rate;
}

/* What is left is unknown. */
static void
scenario_reader_end(struct scenario_reader *r)
{
    const char *key = json_object_iter_key(json_object_iter(r->object));

    if (key != NULL && r->err->kind == ERROR_NONE)
        error_set(r->err, ERROR_CONFIG,
                  "%s: unknown key '%s' (docs/SCENARIOS.md lists the keys)",
                  r->where, key);
}

/*
 * 'system: NAME' or 'system: {name: NAME, ...}': returns the name and leaves
 * the rest as parameters.
 */
static char *
scenario_take_named(struct scenario_reader *r, const char *key,
                    const char *fallback, json_t **ret_params)
{
    json_t *value = scenario_take(r, key);
    char *name = NULL;

    *ret_params = json_object();
    if (value == NULL) {
        if (fallback == NULL)
            scenario_reader_fail(r, key, "given");
        return fallback == NULL ? NULL : xstrdup(fallback);
    }
    if (json_is_string(value)) {
        name = xstrdup(json_string_value(value));
    } else if (json_is_object(value) &&
               json_is_string(json_object_get(value, "name"))) {
        name = xstrdup(json_string_value(json_object_get(value, "name")));
        json_object_update(*ret_params, value);
        json_object_del(*ret_params, "name");
    } else {
        scenario_reader_fail(r, key, "a name, or a map with a 'name'");
    }
    json_decref(value);
    return name;
}

/* The schedule itself, or the name of one. */
static json_t *
scenario_take_schedule(struct scenario_reader *r)
{
    json_t *value = scenario_take(r, "nemesis"), *named;
    struct error err = {0};

    if (!json_is_string(value))
        return value;
    named = scenario_nemesis(json_string_value(value), &err);
    json_decref(value);
    if (named == NULL && r->err->kind == ERROR_NONE)
        error_set(r->err, ERROR_CONFIG, "%s: %s", r->where, err.text);
    return named;
}

static void
scenario_read_evidence(struct scenario *s, json_t *object, struct error *err)
{
    struct scenario_reader r = {s->path, object, err};
    struct scenario_evidence *e = &s->evidence;

    if (object == NULL)
        return;
    if (!json_is_object(object)) {
        scenario_reader_fail(&r, "evidence", "a map");
        return;
    }
    e->operations = scenario_take_uint(&r, "operations", 0, 0, UINT32_MAX);
    e->faults = scenario_take_uint(&r, "faults", 0, 0, FAULT_PLAN_MAX);
    e->primary_hits =
        scenario_take_uint(&r, "primary_hits", 0, 0, FAULT_PLAN_MAX);
    e->unknown_attempts =
        scenario_take_uint(&r, "unknown_attempts", 0, 0, UINT32_MAX);
    e->leader_changes =
        scenario_take_uint(&r, "leader_changes", 0, 0, FAULT_PLAN_MAX);
    scenario_reader_end(&r);
}

/* "capture: true" is that of nodes. */
static enum scenario_capture
scenario_take_capture(struct scenario_reader *r)
{
    json_t *value = scenario_take(r, "capture");
    const char *word = json_string_value(value);
    enum scenario_capture capture = CAPTURE_NONE;

    if (json_is_true(value) || (word != NULL && strcmp(word, "nodes") == 0))
        capture = CAPTURE_NODES;
    else if (word != NULL && strcmp(word, "all") == 0)
        capture = CAPTURE_ALL;
    else if (value != NULL && !json_is_false(value))
        scenario_reader_fail(r, "capture", "true, false, nodes or all");
    json_decref(value);
    return capture;
}

/* Bits per second: a number, or "200mbit". */
static uint64_t
scenario_take_bits(struct scenario_reader *r, const char *key)
{
    static const struct {
        const char *unit;
        double bits;
    } units[] = {{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}};
    json_t *value = scenario_take(r, key);
    const char *text = json_string_value(value);
    double bits = json_number_value(value);
    char *end = NULL;

    if (value == NULL)
        return 0;
    if (text != NULL) {
        double number = strtod(text, &end);

        for (size_t i = 0; i < ARRAY_LEN(units); i++)
            if (end != text && strcmp(end, units[i].unit) == 0)
                bits = number * units[i].bits;
    }
    if (!(bits >= SCENARIO_RATE_BITS_MIN && bits <= SCENARIO_RATE_BITS_MAX)) {
        scenario_reader_fail(r, key, "a rate from 1mbit to 10gbit");
        bits = 0;
    }
    json_decref(value);
    return (uint64_t)bits;
}

/* Longer would be a fault, and is one (net-delay). */
static int64_t
scenario_take_short(struct scenario_reader *r, const char *key,
                    int64_t fallback_ns)
{
    int64_t ns = scenario_take_duration(r, key, fallback_ns);

    if (ns > SCENARIO_LINK_NS_MAX)
        scenario_reader_fail(r, key, "at most 1s");
    return ns;
}

static void
scenario_read_links(struct scenario *s, json_t *object, struct error *err)
{
    struct scenario_reader r = {s->path, object, err};
    struct scenario_links *l = &s->links;

    if (object == NULL)
        return;
    if (!json_is_object(object)) {
        scenario_reader_fail(&r, "links", "a map");
        return;
    }
    l->rate_bits = scenario_take_bits(&r, "rate");
    l->queue_ns = scenario_take_short(&r, "queue",
                                      SCENARIO_QUEUE_NS * (l->rate_bits > 0));
    l->delay_ns = scenario_take_short(&r, "delay", 0);
    l->jitter_ns = scenario_take_short(&r, "jitter", 0);
    if (l->jitter_ns > l->delay_ns)
        scenario_reader_fail(&r, "jitter", "at most the delay");
    if (l->rate_bits == 0 && l->queue_ns > 0)
        scenario_reader_fail(&r, "queue", "that of a rate");
    scenario_reader_end(&r);
}

static void
scenario_read_load(struct scenario *s, struct error *err)
{
    struct scenario_reader r = {s->path, s->workload_params, err};

    s->client_count = scenario_take_uint(&r, "clients", 8, 1, CLIENT_COUNT_MAX);
    s->rate = scenario_take_rate(&r, "rate", 0);
}

static bool
scenario_is_file(const char *name)
{
    size_t len = strlen(name);

    return strchr(name, '/') != NULL ||
           (len > 5 && strcmp(name + len - 5, ".yaml") == 0);
}

int
scenario_use_system(struct scenario *s, const char *name, struct error *err)
{
    const char *own;
    json_t *params;

    if (!scenario_is_file(name)) {
        params = json_object();
        own = name;
    } else {
        params = yaml_load_file(name, err);
        if (params == NULL)
            return -1;
        own = json_string_value(json_object_get(params, "name"));
        if (!json_is_object(params)) {
            json_decref(params);
            return error_set(err, ERROR_CONFIG, "%s: a system is a map", name);
        }
    }
    free(s->system);
    s->system = xstrdup(own == NULL ? "custom" : own);
    json_object_del(params, "name");
    json_decref(s->system_params);
    s->system_params = params;
    return 0;
}

/* "system: ./mine.yaml" in the scenario's own file. */
static void
scenario_read_system(struct scenario *s, struct error *err)
{
    if (scenario_is_file(s->system)) {
        CLEANUP_FREE char *file = xstrdup(s->system);

        scenario_use_system(s, file, err);
    }
}

static void
scenario_read(struct scenario *s, json_t *root, struct error *err)
{
    struct scenario_reader r = {s->path, root, err};
    json_t *evidence, *links;

    s->id = scenario_take_string(&r, "id", NULL);
    if (s->id == NULL || s->id[0] == '\0' ||
        strspn(s->id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789_-") != strlen(s->id))
        scenario_reader_fail(&r, "id", "given, of letters, digits, _ and -");
    s->description = scenario_take_string(&r, "description", "");
    s->provider = scenario_take_string(&r, "provider", "libvirt");
    s->system = scenario_take_named(&r, "system", "replica", &s->system_params);
    if (s->system != NULL && err->kind == ERROR_NONE)
        scenario_read_system(s, err);
    s->workload =
        scenario_take_named(&r, "workload", NULL, &s->workload_params);
    s->schedule = scenario_take_schedule(&r);
    s->node_count = scenario_take_uint(&r, "nodes", 3, 1, NODE_COUNT_MAX);
    s->window_ns = scenario_take_duration(&r, "window", 60 * NS_PER_S);
    s->memory_mib = scenario_take_uint(&r, "memory_mib", 192, 64, 65536);
    s->vcpus = scenario_take_uint(&r, "vcpus", 1, 1, 64);
    s->data_disk_mib = scenario_take_uint(&r, "data_disk_mib", 256, 16, 65536);
    s->expect = scenario_take_string(&r, "expect", NULL);
    s->failure = scenario_take_string(&r, "failure", NULL);
    s->capture = scenario_take_capture(&r);
    links = scenario_take(&r, "links");
    evidence = scenario_take(&r, "evidence");
    scenario_reader_end(&r);
    scenario_read_links(s, links, err);
    json_decref(links);
    scenario_read_evidence(s, evidence, err);
    json_decref(evidence);
    scenario_read_load(s, err);
}

static char *
scenario_file(const char *dir, const char *name)
{
    if (scenario_is_file(name))
        return xstrdup(name);
    CLEANUP_FREE char *relative = xasprintf("%s/%s.yaml", dir, name);
    return paths_data(relative);
}

/* Reads the file at s->path into s->text. */
static json_t *
scenario_load_file(struct scenario *s, struct error *err)
{
    size_t len;

    s->text = file_read(s->path, SCENARIO_BYTES_MAX, &len, err);
    return s->text == NULL ? NULL : yaml_load_text(s->path, s->text, len, err);
}

/* Of a family and a nemesis; the text is what a file would say (JSON is YAML).
 */
static json_t *
scenario_load_composed(struct scenario *s, const char *name, struct error *err)
{
    json_t *root = scenario_compose(name, err);
    CLEANUP_FREE char *json = NULL;

    if (root == NULL)
        return NULL;
    json = json_dumps(root, JSON_INDENT(2));
    s->text = xasprintf("# SPDX-License-Identifier: Apache-2.0\n"
                        "# Composed of a family and a nemesis.\n%s\n",
                        json);
    return root;
}

struct scenario *
scenario_load(const char *name, struct error *err)
{
    struct scenario *s = xcalloc(1, sizeof(*s));
    struct error inner = {0};
    json_t *root = NULL;

    s->path = scenario_file("scenarios", name);
    root = path_exists(s->path) ? scenario_load_file(s, &inner)
                                : scenario_load_composed(s, name, &inner);
    if (root == NULL && inner.kind == ERROR_NONE)
        error_set(&inner, ERROR_CONFIG,
                  "no scenario '%s' (no file %s); 'ordeal plan' lists those "
                  "that ship",
                  name, s->path);
    else if (root != NULL && !json_is_object(root))
        error_set(&inner, ERROR_CONFIG, "%s: a scenario is a map", s->path);
    else if (root != NULL)
        scenario_read(s, root, &inner);
    json_decref(root);
    if (inner.kind == ERROR_NONE)
        return s;
    *err = inner;
    scenario_free(s);
    return NULL;
}

void
scenario_free(struct scenario *s)
{
    if (s == NULL)
        return;
    free(s->path);
    free(s->text);
    free(s->id);
    free(s->description);
    free(s->system);
    free(s->provider);
    free(s->workload);
    free(s->expect);
    free(s->failure);
    json_decref(s->system_params);
    json_decref(s->workload_params);
    json_decref(s->schedule);
    free(s);
}

/* Not every YAML file there is a scenario. */
static int
scenario_is_yaml(const struct dirent *entry)
{
    static const char *const others[] = {"bugs.yaml", "claims.yaml",
                                         "failure-matrix.yaml"};
    const char *dot = strrchr(entry->d_name, '.');

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strcmp(entry->d_name, others[i]) == 0)
            return 0;
    return dot != NULL && strcmp(dot, ".yaml") == 0;
}

json_t *
scenario_ids(struct error *err)
{
    CLEANUP_FREE char *dir = paths_data("scenarios");
    struct dirent **entries;
    json_t *ids;
    int count = scandir(dir, &entries, scenario_is_yaml, alphasort);

    if (count < 0) {
        error_set(err, ERROR_ENVIRONMENT, "%s: no scenarios there", dir);
        return NULL;
    }
    ids = json_array();
    for (int i = 0; i < count; i++) {
        size_t len = strlen(entries[i]->d_name) - strlen(".yaml");

        json_array_append_new(ids, json_stringn(entries[i]->d_name, len));
        free(entries[i]);
    }
    free(entries);
    if (scenario_compose_ids(ids, err) < 0) {
        json_decref(ids);
        return NULL;
    }
    return ids;
}

static uint64_t
scenario_scale(uint64_t minimum, double factor)
{
    return (uint64_t)((double)minimum * factor);
}

/* Less one that the end of a short window cuts off. */
static uint64_t
scenario_scale_faults(uint64_t minimum, double factor)
{
    uint64_t scaled = scenario_scale(minimum, factor);

    return factor < 1 && scaled > 1 ? scaled - 1 : scaled;
}

static uint64_t
scenario_one_at_least(uint64_t minimum, uint64_t scaled)
{
    return minimum > 0 && scaled == 0 ? 1 : scaled;
}

struct scenario_evidence
scenario_evidence_for(const struct scenario *s, int64_t window_ns)
{
    double factor = (double)window_ns / (double)s->window_ns;
    struct scenario_evidence e = s->evidence;

    if (factor >= 1)
        factor = 1; /* more time is no excuse, and no extra demand */
    e.operations = scenario_one_at_least(e.operations,
                                         scenario_scale(e.operations, factor));
    e.faults = scenario_one_at_least(e.faults,
                                     scenario_scale_faults(e.faults, factor));
    /* What faults lead to is a matter of chance where there is room for one
     * or two: none need be among them. */
    e.primary_hits = scenario_scale_faults(e.primary_hits, factor);
    e.leader_changes = scenario_scale_faults(e.leader_changes, factor);
    e.unknown_attempts = scenario_scale(e.unknown_attempts, factor);
    e.unknown_attempts -= factor < 1 && e.unknown_attempts > 0;
    return e;
}

json_t *
suite_load(const char *name, struct error *err)
{
    CLEANUP_FREE char *path = scenario_file("scenarios/suites", name);
    json_t *suite;

    if (!path_exists(path)) {
        error_set(err, ERROR_CONFIG, "no suite '%s' (no file %s)", name, path);
        return NULL;
    }
    suite = yaml_load_file(path, err);
    if (suite == NULL)
        return NULL;
    if (!json_is_array(json_object_get(suite, "runs"))) {
        error_set(err, ERROR_CONFIG, "%s: 'runs' must be a list", path);
        json_decref(suite);
        return NULL;
    }
    return suite;
}
