/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: read the schedule into a planner, then place fault after fault:
 * draw an entry by weight and its duration, find the first moment at or after
 * the wanted one at which overlap and budget allow it, step on by the interval.
 * Fault i draws from its own fork of the seed, so that a longer window only
 * adds faults at the end.
 *
 * Failure modes: whatever a person may write wrongly is ERROR_CONFIG with the
 * key; a fault that could never fit the budget is found before planning.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/params.h"
#include "nemesis/schedule.h"

struct schedule_entry {
    const struct fault_ops *ops;
    const char *target; /* borrowed from the schedule */
    struct target_spec spec;
    json_t *params; /* owned */
    double weight;
    int64_t duration_min_ns, duration_max_ns;
};

struct planner {
    struct plan plan;
    int64_t start_after_ns, interval_ns;
    double jitter, weight_sum;
    struct schedule_entry entries[SCHEDULE_ENTRIES_MAX];
    size_t entry_count;
};

/* ---- reading the schedule ---- */

static int
budget_parse(const json_t *value, unsigned node_count, unsigned *ret,
             struct error *err)
{
    const struct {
        const char *word;
        unsigned count;
    } words[] = {{"none", 0},
                 {"one", 1},
                 {"minority", (node_count - 1) / 2},
                 {"majority", node_count / 2 + 1},
                 {"all", node_count}};

    if (json_is_integer(value) && json_integer_value(value) >= 0 &&
        json_integer_value(value) <= NODE_COUNT_MAX) {
        *ret = (unsigned)json_integer_value(value);
        return 0;
    }
    for (size_t i = 0; json_is_string(value) && i < ARRAY_LEN(words); i++) {
        if (strcmp(json_string_value(value), words[i].word) == 0) {
            *ret = words[i].count;
            return 0;
        }
    }
    return error_set(err, ERROR_CONFIG,
                     "nodes_down: not one of none, one, minority, majority, "
                     "all or a number up to %d",
                     NODE_COUNT_MAX);
}

static int
schedule_read_budget(struct planner *p, const json_t *schedule,
                     struct error *err)
{
    static const char *const keys[] = {"nodes_down", NULL};
    const json_t *budget = json_object_get(schedule, "budget");
    const json_t *down = json_object_get(budget, "nodes_down");

    p->plan.nodes_down_max = (p->plan.node_count - 1) / 2;
    if (budget != NULL && params_check_keys(budget, keys, err) < 0)
        return error_wrap(err, "budget");
    if (down == NULL)
        return 0;
    return budget_parse(down, p->plan.node_count, &p->plan.nodes_down_max, err);
}

/* "2s" or ["1s","3s"]. */
static int
schedule_read_duration(struct schedule_entry *e, const json_t *entry,
                       struct error *err)
{
    const json_t *value = json_object_get(entry, "duration");
    int64_t *bounds[] = {&e->duration_min_ns, &e->duration_max_ns};

    e->duration_min_ns = e->duration_max_ns = 2 * NS_PER_S;
    if (value == NULL)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        const json_t *text =
            json_is_array(value) ? json_array_get(value, i) : value;

        if (!json_is_string(text) ||
            !duration_parse(json_string_value(text), bounds[i]))
            return error_set(err, ERROR_CONFIG,
                             "duration: not like \"2s\" or [\"1s\",\"3s\"]");
    }
    if (json_is_array(value) && json_array_size(value) != 2)
        return error_set(err, ERROR_CONFIG, "duration: not two durations");
    if (e->duration_min_ns < NS_PER_MS ||
        e->duration_max_ns < e->duration_min_ns)
        return error_set(err, ERROR_CONFIG,
                         "duration: shorter than 1 ms, or the second is "
                         "shorter than the first");
    return 0;
}

/* Budget and target of one fault. */
static int
fault_check_fit(const struct plan *plan, const struct fault_ops *ops,
                const char *target, const struct target_spec *spec,
                struct error *err)
{
    unsigned count =
        target_count_max(spec, plan->node_count, plan->nodes_down_max);

    if (count == 0)
        return error_set(err, ERROR_CONFIG, "target '%s' means no node of %u%s",
                         target, plan->node_count,
                         plan->nodes_down_max == 0 ? " in this budget" : "");
    if (ops->takes_nodes_down && count > plan->nodes_down_max)
        return error_set(err, ERROR_CONFIG,
                         "%s of '%s' takes %u of %u nodes down, the budget "
                         "nodes_down is %u",
                         ops->name, target, count, plan->node_count,
                         plan->nodes_down_max);
    return 0;
}

/* The entry without the keys of the schedule. */
static json_t *
schedule_read_params(const json_t *entry)
{
    static const char *const keys[] = {"fault", "target", "weight", "duration"};
    json_t *params = json_deep_copy(entry);

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        json_object_del(params, keys[i]);
    return params;
}

/* Fills *e, which owns params also on failure. */
static int
schedule_read_entry(const struct plan *plan, const json_t *entry,
                    struct schedule_entry *e, struct error *err)
{
    const char *name = "";

    *e = (struct schedule_entry){.target = "one", .weight = 1};
    if (!json_is_object(entry))
        return error_set(err, ERROR_CONFIG, "not an object");
    if (params_string(entry, "fault", &name, err) < 0 ||
        params_string(entry, "target", &e->target, err) < 0 ||
        params_number(entry, "weight", 0.001, 1e6, &e->weight, err) < 0 ||
        schedule_read_duration(e, entry, err) < 0)
        return -1;
    e->ops = fault_find(name);
    if (e->ops == NULL)
        return error_set(err, ERROR_CONFIG, "fault: there is no fault '%.64s'",
                         name);
    e->params = schedule_read_params(entry);
    if (target_parse(e->target, plan->node_count, &e->spec, err) < 0 ||
        fault_check_params(e->ops, e->params, err) < 0)
        return -1;
    return fault_check_fit(plan, e->ops, e->target, &e->spec, err);
}

static int
schedule_read_faults(struct planner *p, const json_t *schedule,
                     struct error *err)
{
    const json_t *faults = json_object_get(schedule, "faults");
    size_t index;
    json_t *entry;

    if (faults == NULL)
        return 0;
    if (!json_is_array(faults) ||
        json_array_size(faults) > SCHEDULE_ENTRIES_MAX)
        return error_set(err, ERROR_CONFIG,
                         "faults: not a list of at most %d entries",
                         SCHEDULE_ENTRIES_MAX);
    json_array_foreach (faults, index, entry) {
        struct schedule_entry *e = &p->entries[p->entry_count++];

        if (schedule_read_entry(&p->plan, entry, e, err) < 0)
            return error_wrap(err, "faults[%zu]", index);
        p->weight_sum += e->weight;
    }
    return 0;
}

static int
schedule_read(struct planner *p, const json_t *schedule, struct error *err)
{
    static const char *const keys[] = {
        "start_after",    "interval", "jitter", "faults",
        "max_concurrent", "budget",   NULL};
    double concurrent_max = 1;

    p->start_after_ns = 3 * NS_PER_S;
    p->interval_ns = 6 * NS_PER_S;
    p->jitter = 0.3;
    if (params_check_keys(schedule, keys, err) < 0 ||
        params_duration(schedule, "start_after", &p->start_after_ns, err) < 0 ||
        params_duration(schedule, "interval", &p->interval_ns, err) < 0 ||
        params_number(schedule, "jitter", 0, 1, &p->jitter, err) < 0 ||
        params_number(schedule, "max_concurrent", 1, PLAN_CONCURRENT_MAX,
                      &concurrent_max, err) < 0)
        return -1;
    if (p->interval_ns < 100 * NS_PER_MS)
        return error_set(err, ERROR_CONFIG, "interval: shorter than 100 ms");
    p->plan.concurrent_max = (unsigned)concurrent_max;
    if (schedule_read_budget(p, schedule, err) < 0)
        return -1;
    return schedule_read_faults(p, schedule, err);
}

/* ---- planning ---- */

static const struct schedule_entry *
planner_pick(const struct planner *p, struct rng *rng)
{
    double point = rng_unit(rng) * p->weight_sum;

    for (size_t i = 0; i + 1 < p->entry_count; i++) {
        point -= p->entries[i].weight;
        if (point < 0)
            return &p->entries[i];
    }
    return &p->entries[p->entry_count - 1];
}

/*
 * Whether a fault may begin at 'at'.  If not, *ret_next is the first later
 * moment at which something changes.
 */
static bool
planner_fits(const struct planner *p, const struct schedule_entry *e,
             int64_t at_ns, int64_t *ret_next)
{
    const struct plan *plan = &p->plan;
    unsigned active = 0, down = 0, limit = plan->nodes_down_max;
    int64_t next = INT64_MAX;
    bool same = false;

    for (size_t i = 0; i < plan->entry_count; i++) {
        const struct plan_entry *other = &plan->entries[i];
        int64_t end = other->at_ns + other->duration_ns;

        if (end <= at_ns)
            continue;
        active++;
        same |= other->ops == e->ops;
        if (other->ops->takes_nodes_down)
            down += target_count_max(&other->spec, plan->node_count, limit);
        if (end < next)
            next = end;
    }
    *ret_next = next;
    if (e->ops->takes_nodes_down)
        down += target_count_max(&e->spec, plan->node_count, limit);
    return active < plan->concurrent_max && !same && down <= limit;
}

static int64_t
round_ms(double ns)
{
    return (int64_t)(ns / (double)NS_PER_MS) * NS_PER_MS;
}

/* Appends the next fault at or after *at_ns; false: the window is full. */
static bool
planner_place(struct planner *p, struct rng *rng, int64_t *at_ns)
{
    const struct schedule_entry *e = planner_pick(p, rng);
    double range = (double)(e->duration_max_ns - e->duration_min_ns);
    int64_t duration =
        round_ms((double)e->duration_min_ns + range * rng_unit(rng));
    struct plan *plan = &p->plan;
    struct plan_entry *slot;
    int64_t next;

    while (!planner_fits(p, e, *at_ns, &next)) {
        assert(next > *at_ns && next < INT64_MAX);
        *at_ns = next;
    }
    if (*at_ns + duration > plan->window_ns - PLAN_HEAL_RESERVE_NS)
        return false;
    plan->entries =
        xrealloc(plan->entries, (plan->entry_count + 1) * sizeof(*slot));
    slot = &plan->entries[plan->entry_count++];
    *slot = (struct plan_entry){
        .id = plan->entry_count,
        .at_ns = *at_ns,
        .duration_ns = duration,
        .ops = e->ops,
        .spec = e->spec,
        .params = json_deep_copy(e->params),
    };
    snprintf(slot->target, sizeof(slot->target), "%s", e->target);
    *at_ns += round_ms((double)p->interval_ns *
                       (1 + p->jitter * (2 * rng_unit(rng) - 1)));
    return true;
}

static void
planner_release(struct planner *p)
{
    for (size_t i = 0; i < p->entry_count; i++)
        json_decref(p->entries[i].params);
    plan_release(&p->plan);
}

int
plan_build(const json_t *schedule, uint64_t seed, int64_t window_ns,
           unsigned node_count, struct plan *ret, struct error *err)
{
    CLEANUP(planner_release) struct planner p = {0};
    struct rng root;
    int64_t at_ns;

    assert(node_count >= 1 && node_count <= NODE_COUNT_MAX);
    p.plan.seed = seed;
    p.plan.window_ns = window_ns;
    p.plan.node_count = node_count;
    p.plan.concurrent_max = 1;
    if (schedule != NULL && schedule_read(&p, schedule, err) < 0)
        return error_wrap(err, "schedule");
    rng_init(&root, seed);
    at_ns = round_ms((double)p.start_after_ns);
    while (p.entry_count > 0 && p.plan.entry_count < FAULT_PLAN_MAX) {
        struct rng rng = rng_fork(&root, "plan", p.plan.entry_count);

        if (!planner_place(&p, &rng, &at_ns))
            break;
    }
    *ret = p.plan;
    p.plan = (struct plan){0};
    return 0;
}

void
plan_release(struct plan *p)
{
    for (size_t i = 0; i < p->entry_count; i++)
        json_decref(p->entries[i].params);
    free(p->entries);
    *p = (struct plan){0};
}
