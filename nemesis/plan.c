/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.json: the numbered faults of a run, written before it and given back to
 * replay it.  Times are whole milliseconds.
 *
 * Failure modes: a plan that people edited is checked like a schedule: order,
 * overlap and budget must hold, or the error names the fault's number.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/params.h"
#include "nemesis/schedule.h"

static json_t *
plan_entry_to_json(const struct plan_entry *e)
{
    return json_pack("{s:I, s:I, s:I, s:s, s:s, s:O}", "id", (json_int_t)e->id,
                     "at_ms", (json_int_t)(e->at_ns / NS_PER_MS), "duration_ms",
                     (json_int_t)(e->duration_ns / NS_PER_MS), "fault",
                     e->ops->name, "target", e->target, "params", e->params);
}

json_t *
plan_to_json(const struct plan *p)
{
    json_t *faults = json_array();
    json_t *plan;

    for (size_t i = 0; i < p->entry_count; i++)
        json_array_append_new(faults, plan_entry_to_json(&p->entries[i]));
    plan =
        json_pack("{s:i, s:I, s:I, s:i, s:i, s:i, s:o}", "ordeal-plan", 1,
                  "seed", (json_int_t)p->seed, "window_ms",
                  (json_int_t)(p->window_ns / NS_PER_MS), "nodes",
                  (int)p->node_count, "max_concurrent", (int)p->concurrent_max,
                  "nodes_down_max", (int)p->nodes_down_max, "faults", faults);
    assert(plan != NULL);
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

static int
plan_entry_from_json(const json_t *json, unsigned node_count,
                     struct plan_entry *ret, struct error *err)
{
    static const char *const keys[] = {
        "id", "at_ms", "duration_ms", "fault", "target", "params", NULL};
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
        target_parse(target, node_count, &e.spec, err) < 0)
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

/* What holds of every plan, between this fault and those before it. */
static int
plan_check_entry(const struct plan *p, size_t index, struct error *err)
{
    const struct plan_entry *e = &p->entries[index];
    unsigned active = 1, limit = p->nodes_down_max, down = 0;

    if (e->id != index + 1)
        return error_set(err, ERROR_CONFIG, "faults are numbered 1, 2, ...");
    if (index > 0 && e->at_ns < e[-1].at_ns)
        return error_set(err, ERROR_CONFIG, "begins before the one before it");
    if (e->at_ns + e->duration_ns > p->window_ns)
        return error_set(err, ERROR_CONFIG, "ends after the window");
    if (e->ops->takes_nodes_down)
        down = target_count_max(&e->spec, p->node_count, limit);
    for (size_t i = 0; i < index; i++) {
        const struct plan_entry *other = &p->entries[i];

        if (other->at_ns + other->duration_ns <= e->at_ns)
            continue;
        active++;
        if (other->ops == e->ops)
            return error_set(err, ERROR_CONFIG,
                             "overlaps another fault of its kind");
        if (other->ops->takes_nodes_down)
            down += target_count_max(&other->spec, p->node_count, limit);
    }
    if (active > p->concurrent_max)
        return error_set(err, ERROR_CONFIG, "more than max_concurrent at once");
    if (down > limit)
        return error_set(err, ERROR_CONFIG,
                         "takes %u nodes down at once, the budget is %u", down,
                         limit);
    return 0;
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
        if (fault_check_params(e->ops, e->params, err) < 0 ||
            plan_check_entry(p, index, err) < 0)
            return error_wrap(err, "fault %zu", index + 1);
    }
    return 0;
}

int
plan_from_json(const json_t *json, struct plan *ret, struct error *err)
{
    static const char *const keys[] = {
        "ordeal-plan",    "seed",           "window_ms", "nodes",
        "max_concurrent", "nodes_down_max", "faults",    NULL};
    CLEANUP(plan_release) struct plan p = {0};
    json_int_t version, seed, window, nodes, concurrent, down;

    if (params_check_keys(json, keys, err) < 0 ||
        plan_int(json, "ordeal-plan", 1, 1, &version, err) < 0 ||
        plan_int(json, "seed", INT64_MIN, INT64_MAX, &seed, err) < 0 ||
        plan_int(json, "window_ms", 0, INT64_MAX / NS_PER_MS, &window, err) <
            0 ||
        plan_int(json, "nodes", 1, NODE_COUNT_MAX, &nodes, err) < 0 ||
        plan_int(json, "max_concurrent", 1, PLAN_CONCURRENT_MAX, &concurrent,
                 err) < 0 ||
        plan_int(json, "nodes_down_max", 0, NODE_COUNT_MAX, &down, err) < 0)
        return error_wrap(err, "plan");
    p.seed = (uint64_t)seed;
    p.window_ns = window * NS_PER_MS;
    p.node_count = (unsigned)nodes;
    p.concurrent_max = (unsigned)concurrent;
    p.nodes_down_max = (unsigned)down;
    if (plan_read_faults(&p, json_object_get(json, "faults"), err) < 0)
        return error_wrap(err, "plan");
    *ret = p;
    p = (struct plan){0};
    return 0;
}

void
plan_describe(const struct plan_entry *e, char *buf, size_t size)
{
    snprintf(buf, size, "%4llu  at %.1f s  %s %s for %.1f s",
             (unsigned long long)e->id, (double)e->at_ns / (double)NS_PER_S,
             e->ops->name, e->target,
             (double)e->duration_ns / (double)NS_PER_S);
}
