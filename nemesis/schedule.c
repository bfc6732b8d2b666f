/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a schedule: the tree of blocks becomes a list of tracks.
 *
 * Happy path: budgets first, then block by block; a block's part of the window
 * and its timing go down to the blocks in it.
 *
 * Failure modes: whatever a person may write wrongly is ERROR_CONFIG with the
 * key; a fault that could never fit the budgets is found before planning.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/params.h"
#include "nemesis/schedule-internal.h"

/* What a block hands down. */
struct block {
    int64_t begin_ns, until_ns; /* its part of the window */
    int64_t interval_ns;
    double jitter;
    unsigned depth;
};

/* ---- budgets ---- */

static int
budget_parse(const json_t *budget, const char *key, unsigned node_count,
             unsigned *ret, struct error *err)
{
    const struct {
        const char *word;
        unsigned count;
    } words[] = {{"none", 0},
                 {"one", 1},
                 {"minority", (node_count - 1) / 2},
                 {"majority", node_count / 2 + 1},
                 {"all", node_count}};
    const json_t *value = json_object_get(budget, key);

    if (value == NULL)
        return 0;
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
                     "budget: %s: not one of none, one, minority, majority, "
                     "all or a number up to %d",
                     key, NODE_COUNT_MAX);
}

static int
schedule_read_budget(struct plan *plan, const json_t *schedule,
                     struct error *err)
{
    static const char *const keys[] = {"nodes_down", "durability", NULL};
    const json_t *budget = json_object_get(schedule, "budget");
    const json_t *beyond = json_object_get(schedule, "beyond_budget");
    unsigned f = (plan->node_count - 1) / 2;

    if (beyond != NULL && !json_is_boolean(beyond))
        return error_set(err, ERROR_CONFIG, "beyond_budget: not true or false");
    plan->beyond_budget = json_is_true(beyond);
    plan->nodes_down_max = f;
    plan->durability_max = plan->beyond_budget ? plan->node_count : f;
    if (budget != NULL && params_check_keys(budget, keys, err) < 0)
        return error_wrap(err, "budget");
    if (budget_parse(budget, "nodes_down", plan->node_count,
                     &plan->nodes_down_max, err) < 0 ||
        budget_parse(budget, "durability", plan->node_count,
                     &plan->durability_max, err) < 0)
        return -1;
    if (plan->durability_max > f && !plan->beyond_budget)
        return error_set(err, ERROR_CONFIG,
                         "budget: durability: %u of %u nodes is more than the "
                         "system promises to survive (%u); 'beyond_budget: "
                         "true' says that this is meant",
                         plan->durability_max, plan->node_count, f);
    return 0;
}

/* ---- one fault ---- */

/* "2s" or ["1s","3s"]. */
static int
schedule_read_duration(struct schedule_entry *e, const json_t *entry,
                       struct error *err)
{
    const json_t *value = json_object_get(entry, "duration");
    int64_t *bounds[] = {&e->duration_min_ns, &e->duration_max_ns};

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

/* The entry without the keys of the schedule. */
static json_t *
schedule_read_params(const json_t *entry)
{
    static const char *const keys[] = {"fault",    "target", "weight",
                                       "duration", "at",     "on"};
    json_t *params = json_deep_copy(entry);

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        json_object_del(params, keys[i]);
    return params;
}

/* Fills *e, which owns params also on failure; durations are the default. */
static int
schedule_read_entry(const struct plan *plan, const json_t *entry,
                    struct schedule_entry *e, struct error *err)
{
    const char *name = "", *target = "one";
    struct plan_entry fit = {0};

    e->weight = 1;
    if (!json_is_object(entry))
        return error_set(err, ERROR_CONFIG, "not an object");
    if (params_string(entry, "fault", &name, err) < 0 ||
        params_string(entry, "target", &target, err) < 0 ||
        params_number(entry, "weight", 0.001, 1e6, &e->weight, err) < 0 ||
        schedule_read_duration(e, entry, err) < 0)
        return -1;
    e->ops = fault_find(name);
    if (e->ops == NULL)
        return error_set(err, ERROR_CONFIG, "fault: there is no fault '%.64s'",
                         name);
    snprintf(e->target, sizeof(e->target), "%s", target);
    e->params = schedule_read_params(entry);
    if (target_parse(target, plan->node_count, &e->spec, err) < 0 ||
        fault_check_params(e->ops, e->params, err) < 0)
        return -1;
    fit.ops = e->ops;
    fit.spec = e->spec;
    fit.on = e->on;
    snprintf(fit.target, sizeof(fit.target), "%s", target);
    return plan_check_fit(plan, &fit, err);
}

/* A new entry behind the others; NULL: there are too many. */
static struct schedule_entry *
schedule_add_entry(struct planner *p, int64_t duration_ns, struct error *err)
{
    struct schedule_entry *e;

    if (p->entry_count == SCHEDULE_ENTRIES_MAX) {
        error_set(err, ERROR_CONFIG, "more than %d faults",
                  SCHEDULE_ENTRIES_MAX);
        return NULL;
    }
    if (p->entries == NULL)
        p->entries = xcalloc(SCHEDULE_ENTRIES_MAX, sizeof(*p->entries));
    e = &p->entries[p->entry_count++];
    e->duration_min_ns = e->duration_max_ns = duration_ns;
    return e;
}

/* ---- tracks ---- */

static struct track *
schedule_add_track(struct planner *p, const struct block *b, int64_t from_ns,
                   enum track_kind kind, struct error *err)
{
    struct track *t;

    if (p->track_count == SCHEDULE_TRACKS_MAX) {
        error_set(err, ERROR_CONFIG, "more than %d tracks",
                  SCHEDULE_TRACKS_MAX);
        return NULL;
    }
    if (p->tracks == NULL)
        p->tracks = xcalloc(SCHEDULE_TRACKS_MAX, sizeof(*p->tracks));
    t = &p->tracks[p->track_count++];
    *t = (struct track){.kind = kind,
                        .from_ns = from_ns,
                        .until_ns = b->until_ns,
                        .interval_ns = b->interval_ns,
                        .jitter = b->jitter,
                        .first = p->entry_count,
                        .next_ns = from_ns};
    return t;
}

static enum track_kind
entry_kind(const json_t *entry)
{
    if (json_object_get(entry, "at") != NULL)
        return TRACK_AT;
    return json_object_get(entry, "on") != NULL ? TRACK_ON : TRACK_MIX;
}

/* "at": "12s" or a list of such; one entry for each. */
static int
schedule_read_at(struct planner *p, const struct block *b, const json_t *entry,
                 struct error *err)
{
    const json_t *at = json_object_get(entry, "at");
    size_t count = json_is_array(at) ? json_array_size(at) : 1;

    if (json_object_get(entry, "on") != NULL ||
        json_object_get(entry, "weight") != NULL)
        return error_set(err, ERROR_CONFIG,
                         "at: comes with neither 'on' nor 'weight'");
    if (count > SCHEDULE_LIST_MAX)
        return error_set(err, ERROR_CONFIG, "at: more than %d times",
                         SCHEDULE_LIST_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(at) ? json_array_get(at, i) : at;
        struct schedule_entry *e = schedule_add_entry(p, 2 * NS_PER_S, err);

        if (e == NULL || schedule_read_entry(&p->plan, entry, e, err) < 0)
            return -1;
        if (!json_is_string(one) ||
            !duration_parse(json_string_value(one), &e->at_ns))
            return error_set(err, ERROR_CONFIG,
                             "at: not a duration like \"12s\", or a list");
        e->at_ns += b->begin_ns;
    }
    return 0;
}

/* The entries of 'faults' of one kind, on a track of their own. */
static int
schedule_read_list(struct planner *p, const struct block *b,
                   const json_t *faults, enum track_kind kind, int64_t from_ns,
                   int64_t duration_ns, struct error *err)
{
    struct track *t = schedule_add_track(p, b, from_ns, kind, err);
    size_t index;
    json_t *entry;

    if (t == NULL)
        return -1;
    json_array_foreach ((json_t *)faults, index, entry) {
        struct schedule_entry *e;
        int result;

        if (entry_kind(entry) != kind && kind != TRACK_IN_TURN)
            continue;
        if (kind == TRACK_AT) {
            result = schedule_read_at(p, b, entry, err);
        } else {
            e = schedule_add_entry(p, duration_ns, err);
            result = e == NULL ? -1 : 0;
            if (result == 0 && kind == TRACK_ON)
                result = trigger_parse(json_object_get(entry, "on"),
                                       p->plan.node_count, &e->on, err);
            if (result == 0)
                result = schedule_read_entry(&p->plan, entry, e, err);
        }
        if (result < 0)
            return error_wrap(err, "faults[%zu]", index);
    }
    t->count = p->entry_count - t->first;
    if (t->count == 0)
        p->track_count--;
    return 0;
}

static int
schedule_check_list(const json_t *list, const char *key, struct error *err)
{
    if (json_is_array(list) && json_array_size(list) <= SCHEDULE_LIST_MAX)
        return 0;
    return error_set(err, ERROR_CONFIG, "%s: not a list of at most %d entries",
                     key, SCHEDULE_LIST_MAX);
}

static int
schedule_read_faults(struct planner *p, const struct block *b, int64_t from_ns,
                     const json_t *block, struct error *err)
{
    const json_t *faults = json_object_get(block, "faults");

    if (faults == NULL)
        return 0;
    if (schedule_check_list(faults, "faults", err) < 0 ||
        schedule_read_list(p, b, faults, TRACK_MIX, from_ns, 2 * NS_PER_S,
                           err) < 0 ||
        schedule_read_list(p, b, faults, TRACK_AT, from_ns, 2 * NS_PER_S, err) <
            0)
        return -1;
    return schedule_read_list(p, b, faults, TRACK_ON, from_ns, 2 * NS_PER_S,
                              err);
}

/* A, B, A, B ..., each for a period; one alone for half of each. */
static int
schedule_read_flip_flop(struct planner *p, const struct block *b,
                        int64_t from_ns, const json_t *block, struct error *err)
{
    static const char *const keys[] = {"period", "faults", NULL};
    const json_t *flip = json_object_get(block, "flip_flop");
    const json_t *faults = json_object_get(flip, "faults");
    struct block inner = *b;
    int64_t duration_ns;
    size_t index;
    json_t *entry;

    if (flip == NULL)
        return 0;
    inner.interval_ns = 10 * NS_PER_S;
    inner.jitter = 0;
    if (params_check_keys(flip, keys, err) < 0 ||
        params_duration(flip, "period", &inner.interval_ns, err) < 0 ||
        schedule_check_list(faults, "faults", err) < 0)
        return error_wrap(err, "flip_flop");
    if (inner.interval_ns < 100 * NS_PER_MS)
        return error_set(err, ERROR_CONFIG,
                         "flip_flop: period: shorter than 100 ms");
    json_array_foreach ((json_t *)faults, index, entry) {
        if (entry_kind(entry) != TRACK_MIX ||
            json_object_get(entry, "weight") != NULL)
            return error_set(err, ERROR_CONFIG,
                             "flip_flop: faults[%zu]: takes no 'at', 'on' or "
                             "'weight'",
                             index);
    }
    duration_ns = json_array_size(faults) == 1 ? inner.interval_ns / 2
                                               : inner.interval_ns;
    if (schedule_read_list(p, &inner, faults, TRACK_IN_TURN, from_ns,
                           duration_ns, err) < 0)
        return error_wrap(err, "flip_flop");
    return 0;
}

/* The same fault on one node after the other. */
static int
schedule_read_stagger(struct planner *p, const struct block *b, int64_t from_ns,
                      const json_t *block, struct error *err)
{
    static const char *const orders[] = {"drawn", "given", NULL};
    const json_t *stagger = json_object_get(block, "stagger");
    const char *target = "all";
    struct target_spec spec;
    unsigned order = 0;
    struct track *t;

    if (stagger == NULL)
        return 0;
    t = schedule_add_track(p, b, from_ns, TRACK_ROUND, err);
    if (t == NULL)
        return -1;
    t->step_ns = 3 * NS_PER_S;
    if (params_duration(stagger, "step", &t->step_ns, err) < 0 ||
        params_choice(stagger, "order", orders, &order, err) < 0 ||
        params_string(stagger, "target", &target, err) < 0 ||
        target_parse(target, p->plan.node_count, &spec, err) < 0)
        return error_wrap(err, "stagger");
    if (spec.kind == TARGET_ALL)
        spec.nodes = node_set_all(p->plan.node_count);
    else if (spec.kind != TARGET_NODES)
        return error_set(err, ERROR_CONFIG,
                         "stagger: target: '%s' is neither all nor a list of "
                         "nodes",
                         target);
    if (t->step_ns < 100 * NS_PER_MS || entry_kind(stagger) != TRACK_MIX ||
        json_object_get(stagger, "weight") != NULL)
        return error_set(err, ERROR_CONFIG,
                         "stagger: its step is 100 ms or longer, and it takes "
                         "no 'at', 'on' or 'weight'");
    t->drawn_order = order == 0;
    for (unsigned i = 0; i < p->plan.node_count; i++) {
        struct schedule_entry *e;
        json_t *copy;
        int result;

        if (!(spec.nodes >> i & 1))
            continue;
        copy = json_copy((json_t *)stagger);
        json_object_set_new(copy, "target", json_sprintf("n%u", i + 1));
        json_object_del(copy, "step");
        json_object_del(copy, "order");
        e = schedule_add_entry(p, 2 * NS_PER_S, err);
        result = e == NULL ? -1 : schedule_read_entry(&p->plan, copy, e, err);
        json_decref(copy);
        if (result < 0)
            return error_wrap(err, "stagger");
    }
    t->count = p->entry_count - t->first;
    return 0;
}

/* ---- blocks ---- */

static int schedule_read_block(struct planner *p, const struct block *outer,
                               const json_t *block, struct error *err);

static int
schedule_read_tracks(struct planner *p, const struct block *b,
                     const json_t *block, struct error *err)
{
    const json_t *tracks = json_object_get(block, "tracks");
    size_t index;
    json_t *track;

    if (tracks == NULL)
        return 0;
    if (schedule_check_list(tracks, "tracks", err) < 0)
        return -1;
    json_array_foreach ((json_t *)tracks, index, track) {
        if (json_object_get(track, "length") != NULL)
            return error_set(err, ERROR_CONFIG,
                             "tracks[%zu]: length: only phases have one",
                             index);
        if (schedule_read_block(p, b, track, err) < 0)
            return error_wrap(err, "tracks[%zu]", index);
    }
    return 0;
}

static int
schedule_read_phases(struct planner *p, const struct block *b,
                     const json_t *block, struct error *err)
{
    const json_t *phases = json_object_get(block, "phases");
    struct block phase = *b;
    size_t index;
    json_t *object;

    if (phases == NULL)
        return 0;
    if (schedule_check_list(phases, "phases", err) < 0)
        return -1;
    json_array_foreach ((json_t *)phases, index, object) {
        int64_t length_ns = 0;

        if (params_duration(object, "length", &length_ns, err) < 0)
            return error_wrap(err, "phases[%zu]", index);
        if (length_ns <= 0 && index + 1 < json_array_size(phases))
            return error_set(err, ERROR_CONFIG,
                             "phases[%zu]: length: only the last phase may go "
                             "without",
                             index);
        phase.until_ns =
            length_ns <= 0 ? b->until_ns : phase.begin_ns + length_ns;
        if (phase.until_ns > b->until_ns)
            phase.until_ns = b->until_ns; /* a shorter window ends it */
        if (schedule_read_block(p, &phase, object, err) < 0)
            return error_wrap(err, "phases[%zu]", index);
        phase.begin_ns += length_ns;
    }
    return 0;
}

/* "interval", or "rate" as faults per minute. */
static int
schedule_read_interval(struct block *b, const json_t *block, struct error *err)
{
    double rate = 0;

    if (params_duration(block, "interval", &b->interval_ns, err) < 0 ||
        params_number(block, "rate", 0.01, 600, &rate, err) < 0 ||
        params_number(block, "jitter", 0, 1, &b->jitter, err) < 0)
        return -1;
    if (rate > 0 && json_object_get(block, "interval") != NULL)
        return error_set(err, ERROR_CONFIG,
                         "rate: not beside 'interval', it is the same");
    if (rate > 0)
        b->interval_ns = (int64_t)(60 * (double)NS_PER_S / rate);
    if (b->interval_ns < 100 * NS_PER_MS)
        return error_set(err, ERROR_CONFIG, "interval: shorter than 100 ms");
    return 0;
}

static int
schedule_read_block(struct planner *p, const struct block *outer,
                    const json_t *block, struct error *err)
{
    static const char *const keys[] = {
        "name", "length", "start_after", "interval", "rate", "jitter", "faults",
        "tracks", "phases", "stagger", "flip_flop",
        /* of the whole schedule */
        "max_concurrent", "budget", "beyond_budget", "share_nodes", NULL};
    static const char *const inner_keys[] = {
        "name",   "length", "start_after", "interval", "rate",      "jitter",
        "faults", "tracks", "phases",      "stagger",  "flip_flop", NULL};
    bool top = outer->depth == 0;
    struct block b = *outer;
    int64_t start_after_ns = top ? 3 * NS_PER_S : 0;
    const char *name;

    if (++b.depth > SCHEDULE_DEPTH_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d blocks in blocks",
                         SCHEDULE_DEPTH_MAX);
    if (params_check_keys(block, top ? keys : inner_keys, err) < 0 ||
        params_string(block, "name", &name, err) < 0 ||
        params_duration(block, "start_after", &start_after_ns, err) < 0 ||
        schedule_read_interval(&b, block, err) < 0)
        return -1;
    if (top && json_object_get(block, "length") != NULL)
        return error_set(err, ERROR_CONFIG, "length: only phases have one");
    start_after_ns -= start_after_ns % NS_PER_MS;
    if (schedule_read_faults(p, &b, b.begin_ns + start_after_ns, block, err) <
            0 ||
        schedule_read_flip_flop(p, &b, b.begin_ns + start_after_ns, block,
                                err) < 0 ||
        schedule_read_stagger(p, &b, b.begin_ns + start_after_ns, block, err) <
            0)
        return -1;
    b.begin_ns +=
        json_object_get(block, "start_after") == NULL ? 0 : start_after_ns;
    if (schedule_read_tracks(p, &b, block, err) < 0)
        return -1;
    return schedule_read_phases(p, &b, block, err);
}

int
schedule_read(struct planner *p, const json_t *schedule, struct error *err)
{
    const struct block whole = {.until_ns =
                                    p->plan.window_ns - PLAN_HEAL_RESERVE_NS,
                                .interval_ns = 6 * NS_PER_S,
                                .jitter = 0.3};
    const json_t *share = json_object_get(schedule, "share_nodes");
    double concurrent_max = 1;

    if (!json_is_object(schedule))
        return error_set(err, ERROR_CONFIG, "not an object");
    if (params_number(schedule, "max_concurrent", 1, PLAN_CONCURRENT_MAX,
                      &concurrent_max, err) < 0 ||
        schedule_read_budget(&p->plan, schedule, err) < 0 ||
        (share != NULL && plan_check_share(share, err) < 0))
        return -1;
    p->plan.concurrent_max = (unsigned)concurrent_max;
    p->plan.share_nodes = share == NULL ? NULL : json_deep_copy(share);
    return schedule_read_block(p, &whole, schedule, err);
}
