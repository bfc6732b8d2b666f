/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.json: the numbered faults of a run, written before it and given back to
 * replay it.  Times are whole milliseconds.
 *
 * Failure modes: a plan that people edited is checked like a schedule: order,
 * overlap and budgets must hold, or the error names the fault's number.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/params.h"
#include "nemesis/schedule.h"

/* Names, times and a trigger; longer targets are cut. */
#define WHAT_BYTES_MAX 512

static json_t *
plan_entry_to_json(const struct plan_entry *e)
{
    json_t *entry =
        json_pack("{s:I, s:I, s:I, s:s, s:s, s:O}", "id", (json_int_t)e->id,
                  "at_ms", (json_int_t)(e->at_ns / NS_PER_MS), "duration_ms",
                  (json_int_t)(e->duration_ns / NS_PER_MS), "fault",
                  e->ops->name, "target", e->target, "params", e->params);

    if (e->on.kind != TRIGGER_NONE) {
        json_object_set_new(entry, "until_ms",
                            json_integer(e->until_ns / NS_PER_MS));
        json_object_set_new(entry, "trigger", json_integer(e->trigger));
        json_object_set_new(entry, "on", trigger_to_json(&e->on));
    }
    return entry;
}

json_t *
plan_to_json(const struct plan *p)
{
    json_t *faults = json_array();
    json_t *plan;

    for (size_t i = 0; i < p->entry_count; i++)
        json_array_append_new(faults, plan_entry_to_json(&p->entries[i]));
    plan = json_pack(
        "{s:i, s:I, s:I, s:i, s:i, s:i, s:i, s:b, s:o}", "ordeal-plan", 1,
        "seed", (json_int_t)p->seed, "window_ms",
        (json_int_t)(p->window_ns / NS_PER_MS), "nodes", (int)p->node_count,
        "max_concurrent", (int)p->concurrent_max, "nodes_down_max",
        (int)p->nodes_down_max, "durability_max", (int)p->durability_max,
        "beyond_budget", (int)p->beyond_budget, "faults", faults);
    assert(plan != NULL);
    if (p->share_nodes != NULL)
        json_object_set(plan, "share_nodes", p->share_nodes);
    return plan;
}

/* A whole number of at most 'max'; it must be there. */
static int
plan_int(const json_t *object, const char *key, json_int_t min, json_int_t max,
         json_int_t *ret, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max)
        return error_set(err, ERROR_CONFIG,
                         "%s: not a whole number from %" JSON_INTEGER_FORMAT
                         " to %" JSON_INTEGER_FORMAT,
                         key, min, max);
    *ret = json_integer_value(value);
    return 0;
}

/* What an entry says that waits for an event. */
static int
plan_entry_read_trigger(const json_t *json, unsigned node_count,
                        struct plan_entry *e, struct error *err)
{
    const json_int_t max_ms = INT64_MAX / NS_PER_MS;
    const json_t *on = json_object_get(json, "on");
    json_int_t until, trigger;

    if (on == NULL)
        return 0;
    if (trigger_parse(on, node_count, &e->on, err) < 0 ||
        plan_int(json, "until_ms", 0, max_ms / 4, &until, err) < 0 ||
        plan_int(json, "trigger", 1, FAULT_PLAN_MAX, &trigger, err) < 0)
        return -1;
    e->until_ns = until * NS_PER_MS;
    e->trigger = (unsigned)trigger;
    return 0;
}

static int
plan_entry_from_json(const json_t *json, unsigned node_count,
                     struct plan_entry *ret, struct error *err)
{
    static const char *const keys[] = {
        "id",     "at_ms",    "duration_ms", "fault", "target",
        "params", "until_ms", "trigger",     "on",    NULL};
    const json_int_t max_ms = INT64_MAX / NS_PER_MS;
    const char *name = "", *target = "one";
    struct plan_entry e = {0};
    json_int_t id, at, duration;
    json_t *params = json_object_get(json, "params");

    if (params_check_keys(json, keys, err) < 0 ||
        plan_int(json, "id", 1, FAULT_PLAN_MAX, &id, err) < 0 ||
        plan_int(json, "at_ms", 0, max_ms / 4, &at, err) < 0 ||
        plan_int(json, "duration_ms", 1, max_ms / 4, &duration, err) < 0 ||
        params_string(json, "fault", &name, err) < 0 ||
        params_string(json, "target", &target, err) < 0 ||
        target_parse(target, node_count, &e.spec, err) < 0 ||
        plan_entry_read_trigger(json, node_count, &e, err) < 0)
        return -1;
    e.ops = fault_find(name);
    if (e.ops == NULL)
        return error_set(err, ERROR_CONFIG, "fault: there is no fault '%.64s'",
                         name);
    e.id = (uint64_t)id;
    e.at_ns = at * NS_PER_MS;
    e.duration_ns = duration * NS_PER_MS;
    snprintf(e.target, sizeof(e.target), "%s", target);
    e.params = params == NULL ? json_object() : json_deep_copy(params);
    *ret = e;
    return 0;
}

/* The entries of one trigger are of one kind and count the same events. */
static int
plan_check_trigger(const struct plan *p, size_t index, struct error *err)
{
    const struct plan_entry *e = &p->entries[index];

    if (e->until_ns > p->window_ns || e->until_ns < e->at_ns)
        return error_set(err, ERROR_CONFIG,
                         "until_ms: before at_ms, or after the window");
    for (size_t i = 0; i < index; i++) {
        const struct plan_entry *o = &p->entries[i];
        json_auto_t *a = trigger_to_json(&o->on);
        json_auto_t *b = trigger_to_json(&e->on);

        if (o->trigger != e->trigger)
            continue;
        if (!json_equal(a, b) || o->at_ns != e->at_ns)
            return error_set(err, ERROR_CONFIG,
                             "trigger: %u waits for other events in fault "
                             "%" PRIu64,
                             e->trigger, o->id);
        break;
    }
    return 0;
}

/* What holds of every plan, between this fault and those before it. */
static int
plan_check_overlap(const struct plan *p, size_t index, struct error *err)
{
    const struct plan_entry *e = &p->entries[index];
    unsigned active = 0, down = 0, broken = 0;

    for (size_t i = 0; i <= index; i++) {
        const struct plan_entry *o = &p->entries[i];
        unsigned count =
            target_count_max(&o->spec, p->node_count, plan_limit(p, o->ops));

        if (o->on.kind != TRIGGER_NONE || o->at_ns + o->duration_ns <= e->at_ns)
            continue;
        active++;
        if (i != index && o->ops == e->ops)
            return error_set(err, ERROR_CONFIG,
                             "overlaps another fault of its kind");
        if (o->ops->takes_nodes_down)
            down += count;
        if (o->ops->breaks_durability)
            broken += count;
    }
    if (active > p->concurrent_max)
        return error_set(err, ERROR_CONFIG, "more than max_concurrent at once");
    if (down > p->nodes_down_max)
        return error_set(err, ERROR_CONFIG,
                         "takes %u nodes down at once, the budget is %u", down,
                         p->nodes_down_max);
    if (broken > p->durability_max)
        return error_set(err, ERROR_CONFIG,
                         "breaks the durable state of %u nodes at once, the "
                         "budget is %u",
                         broken, p->durability_max);
    return 0;
}

static int
plan_check_entry(const struct plan *p, size_t index, struct error *err)
{
    const struct plan_entry *e = &p->entries[index];

    if (e->id != index + 1)
        return error_set(err, ERROR_CONFIG, "faults are numbered 1, 2, ...");
    if (index > 0 && e->at_ns < e[-1].at_ns)
        return error_set(err, ERROR_CONFIG, "begins before the one before it");
    if (plan_check_fit(p, e, err) < 0)
        return -1;
    if (e->on.kind != TRIGGER_NONE)
        return plan_check_trigger(p, index, err);
    if (e->at_ns + e->duration_ns > p->window_ns)
        return error_set(err, ERROR_CONFIG, "ends after the window");
    return plan_check_overlap(p, index, err);
}

static int
plan_read_faults(struct plan *p, const json_t *faults, struct error *err)
{
    size_t index;
    json_t *entry;

    if (!json_is_array(faults) || json_array_size(faults) > FAULT_PLAN_MAX)
        return error_set(err, ERROR_CONFIG,
                         "faults: not a list of at most %d faults",
                         FAULT_PLAN_MAX);
    p->entries = xcalloc(json_array_size(faults) + 1, sizeof(*p->entries));
    json_array_foreach (faults, index, entry) {
        struct plan_entry *e = &p->entries[index];

        if (plan_entry_from_json(entry, p->node_count, e, err) < 0)
            return error_wrap(err, "fault %zu", index + 1);
        p->entry_count++;
        if (e->trigger > p->trigger_count)
            p->trigger_count = e->trigger;
        if (fault_check_params(e->ops, e->params, err) < 0 ||
            plan_check_entry(p, index, err) < 0)
            return error_wrap(err, "fault %zu", index + 1);
    }
    return 0;
}

/* Keys that older plans do not have keep their defaults. */
static int
plan_read_budgets(struct plan *p, const json_t *json, struct error *err)
{
    const json_t *share = json_object_get(json, "share_nodes");
    const json_t *beyond = json_object_get(json, "beyond_budget");
    unsigned f = (p->node_count - 1) / 2;
    json_int_t down, durability = f;

    if (plan_int(json, "nodes_down_max", 0, NODE_COUNT_MAX, &down, err) < 0 ||
        (json_object_get(json, "durability_max") != NULL &&
         plan_int(json, "durability_max", 0, NODE_COUNT_MAX, &durability, err) <
             0) ||
        (share != NULL && plan_check_share(share, err) < 0))
        return -1;
    if (beyond != NULL && !json_is_boolean(beyond))
        return error_set(err, ERROR_CONFIG, "beyond_budget: not true or false");
    p->nodes_down_max = (unsigned)down;
    p->durability_max = (unsigned)durability;
    p->beyond_budget = json_is_true(beyond);
    p->share_nodes = share == NULL ? NULL : json_deep_copy(share);
    if (p->durability_max > f && !p->beyond_budget)
        return error_set(err, ERROR_CONFIG,
                         "durability_max: more than %u of %u nodes, without "
                         "beyond_budget",
                         f, p->node_count);
    return 0;
}

int
plan_from_json(const json_t *json, struct plan *ret, struct error *err)
{
    static const char *const keys[] = {"ordeal-plan",
                                       "seed",
                                       "window_ms",
                                       "nodes",
                                       "max_concurrent",
                                       "nodes_down_max",
                                       "durability_max",
                                       "beyond_budget",
                                       "share_nodes",
                                       "faults",
                                       NULL};
    CLEANUP(plan_release) struct plan p = {0};
    json_int_t version, seed, window, nodes, concurrent;

    if (params_check_keys(json, keys, err) < 0 ||
        plan_int(json, "ordeal-plan", 1, 1, &version, err) < 0 ||
        plan_int(json, "seed", INT64_MIN, INT64_MAX, &seed, err) < 0 ||
        plan_int(json, "window_ms", 0, INT64_MAX / NS_PER_MS, &window, err) <
            0 ||
        plan_int(json, "nodes", 1, NODE_COUNT_MAX, &nodes, err) < 0 ||
        plan_int(json, "max_concurrent", 1, PLAN_CONCURRENT_MAX, &concurrent,
                 err) < 0)
        return error_wrap(err, "plan");
    p.seed = (uint64_t)seed;
    p.window_ns = window * NS_PER_MS;
    p.node_count = (unsigned)nodes;
    p.concurrent_max = (unsigned)concurrent;
    if (plan_read_budgets(&p, json, err) < 0 ||
        plan_read_faults(&p, json_object_get(json, "faults"), err) < 0)
        return error_wrap(err, "plan");
    *ret = p;
    p = (struct plan){0};
    return 0;
}

/* " shape=one_way" for each parameter; what has no room is left out. */
static void
plan_describe_params(const struct plan_entry *e, char *buf, size_t size)
{
    const char *key;
    json_t *value;

    buf[0] = '\0';
    json_object_foreach (e->params, key, value) {
        CLEANUP_FREE char *text =
            json_is_string(value)
                ? xstrdup(json_string_value(value))
                : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        size_t length = strlen(buf), more = strlen(key) + strlen(text) + 2;

        if (length + more < size)
            snprintf(buf + length, size - length, " %s=%s", key, text);
    }
}

/* One fault, as people read it. */
static void
plan_describe(const struct plan_entry *e, char *buf, size_t size)
{
    double at = (double)e->at_ns / (double)NS_PER_S;
    double duration = (double)e->duration_ns / (double)NS_PER_S;
    char params[160], on[256];

    plan_describe_params(e, params, sizeof(params));
    if (e->on.kind == TRIGGER_NONE) {
        snprintf(buf, size, "at %.1f s  %s %s%s for %.1f s", at, e->ops->name,
                 e->target, params, duration);
        return;
    }
    trigger_describe(&e->on, on, sizeof(on));
    snprintf(buf, size, "from %.1f s  %s %s%s for %.1f s, %s", at, e->ops->name,
             e->target, params, duration, on);
}

void
plan_print(const struct plan *p, FILE *file)
{
    char what[WHAT_BYTES_MAX], next[WHAT_BYTES_MAX];

    for (size_t i = 0, end; i < p->entry_count; i = end) {
        plan_describe(&p->entries[i], what, sizeof(what));
        for (end = i + 1; end < p->entry_count; end++) {
            plan_describe(&p->entries[end], next, sizeof(next));
            if (strcmp(what, next) != 0)
                break;
        }
        if (end == i + 1)
            fprintf(file, "%4" PRIu64 "  %s\n", p->entries[i].id, what);
        else
            fprintf(file, "%4" PRIu64 " to %" PRIu64 "  %s\n", p->entries[i].id,
                    p->entries[end - 1].id, what);
    }
}
