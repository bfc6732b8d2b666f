/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placing the faults of a schedule, track by track in order of time.
 *
 * Happy path: what has a moment of its own is placed first; then the track
 * that wants to go first draws its next fault (an entry and its duration) and
 * places it at the first moment at or after the wanted one at which overlap
 * and budgets allow it, and steps on by its interval.  Fault i of a track draws
 * from its own fork of the seed, so that a longer window only adds faults at
 * the end.  Faults that wait for an event have no moment; they are numbered
 * with those that begin when their waiting begins.
 *
 * Failure modes: faults with moments of their own that do not go together are
 * ERROR_CONFIG.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/params.h"
#include "nemesis/schedule-internal.h"

static int64_t
round_ms(double ns)
{
    return (int64_t)(ns / (double)NS_PER_MS) * NS_PER_MS;
}

/* ---- what holds of every fault ---- */

unsigned
plan_limit(const struct plan *p, const struct fault_ops *ops)
{
    unsigned limit = p->node_count;

    if (ops->takes_nodes_down && p->nodes_down_max < limit)
        limit = p->nodes_down_max;
    if (ops->breaks_durability && p->durability_max < limit)
        limit = p->durability_max;
    return limit;
}

static unsigned
entry_count_max(const struct plan *p, const struct plan_entry *e)
{
    return target_count_max(&e->spec, p->node_count, plan_limit(p, e->ops));
}

int
plan_check_fit(const struct plan *p, const struct plan_entry *e,
               struct error *err)
{
    unsigned count = entry_count_max(p, e), limit = plan_limit(p, e->ops);

    if (e->spec.kind == TARGET_EVENT && (e->on.kind == TRIGGER_NONE))
        return error_set(err, ERROR_CONFIG,
                         "target 'event' is for faults with 'on' only");
    if (count == 0)
        return error_set(err, ERROR_CONFIG, "target '%s' means no node of %u%s",
                         e->target, p->node_count,
                         limit == 0 ? " in this budget" : "");
    if (e->ops->takes_nodes_down && count > p->nodes_down_max)
        return error_set(err, ERROR_CONFIG,
                         "%s of '%s' takes %u of %u nodes down, the budget "
                         "nodes_down is %u",
                         e->ops->name, e->target, count, p->node_count,
                         p->nodes_down_max);
    if (e->ops->breaks_durability && count > p->durability_max)
        return error_set(err, ERROR_CONFIG,
                         "%s of '%s' breaks the durable state of %u of %u "
                         "nodes, the budget durability is %u",
                         e->ops->name, e->target, count, p->node_count,
                         p->durability_max);
    return 0;
}

int
plan_check_share(const json_t *share_nodes, struct error *err)
{
    size_t i, j;
    json_t *group, *name;

    if (!json_is_array(share_nodes))
        return error_set(err, ERROR_CONFIG,
                         "share_nodes: not a list of lists of faults");
    json_array_foreach ((json_t *)share_nodes, i, group) {
        if (!json_is_array(group) || json_array_size(group) < 2)
            return error_set(err, ERROR_CONFIG,
                             "share_nodes[%zu]: not a list of faults", i);
        json_array_foreach (group, j, name) {
            const char *text = json_string_value(name);

            if (text == NULL || fault_find(text) == NULL)
                return error_set(err, ERROR_CONFIG,
                                 "share_nodes[%zu]: there is no fault '%.64s'",
                                 i, text == NULL ? "" : text);
        }
    }
    return 0;
}

static bool
list_has(const json_t *list, const char *word)
{
    size_t i;
    json_t *item;

    json_array_foreach ((json_t *)list, i, item) {
        if (strcmp(json_string_value(item), word) == 0)
            return true;
    }
    return false;
}

bool
plan_may_share(const struct plan *p, const struct fault_ops *a,
               const struct fault_ops *b)
{
    size_t i;
    json_t *group;

    if (a == b || p->share_nodes == NULL)
        return false;
    json_array_foreach (p->share_nodes, i, group) {
        if (list_has(group, a->name) && list_has(group, b->name))
            return true;
    }
    return false;
}

/*
 * Whether 'e' goes with the faults of the plan that overlap it; all of them
 * together, as if all were in force at one time.  If not, *ret_next is the
 * first later moment at which one of them ends.
 */
static bool
planner_fits(const struct plan *plan, const struct plan_entry *e,
             int64_t *ret_next)
{
    unsigned active = 1, down = 0, broken = 0, count = entry_count_max(plan, e);
    int64_t next = INT64_MAX;
    bool same = false;

    if (e->ops->takes_nodes_down)
        down = count;
    if (e->ops->breaks_durability)
        broken = count;
    for (size_t i = 0; i < plan->entry_count; i++) {
        const struct plan_entry *o = &plan->entries[i];
        int64_t end = o->at_ns + o->duration_ns;

        if (end <= e->at_ns || o->at_ns >= e->at_ns + e->duration_ns)
            continue;
        active++;
        same |= o->ops == e->ops;
        if (o->ops->takes_nodes_down)
            down += entry_count_max(plan, o);
        if (o->ops->breaks_durability)
            broken += entry_count_max(plan, o);
        if (end < next)
            next = end;
    }
    *ret_next = next;
    return active <= plan->concurrent_max && !same &&
           down <= plan->nodes_down_max && broken <= plan->durability_max;
}

static struct plan_entry *
planner_append(struct planner *p, const struct schedule_entry *e)
{
    struct plan *plan = &p->plan;
    struct plan_entry *slot;

    plan->entries =
        xrealloc(plan->entries, (plan->entry_count + 1) * sizeof(*slot));
    slot = &plan->entries[plan->entry_count++];
    *slot = (struct plan_entry){.ops = e->ops,
                                .spec = e->spec,
                                .params = json_deep_copy(e->params),
                                .on = e->on};
    memcpy(slot->target, e->target, sizeof(slot->target));
    return slot;
}

static int64_t
entry_draw_duration(const struct schedule_entry *e, struct rng *rng)
{
    double range = (double)(e->duration_max_ns - e->duration_min_ns);

    return round_ms((double)e->duration_min_ns + range * rng_unit(rng));
}

/* ---- faults with moments of their own ---- */

static int
planner_place_at(struct planner *p, const struct schedule_entry *e,
                 struct rng *rng, int64_t until_ns, struct error *err)
{
    struct plan_entry want = {.at_ns = round_ms((double)e->at_ns),
                              .duration_ns = entry_draw_duration(e, rng),
                              .ops = e->ops,
                              .spec = e->spec};
    struct plan_entry *slot;
    int64_t next;

    if (want.at_ns + want.duration_ns > until_ns)
        return 0; /* a shorter window, or phase, ends before it */
    if (!planner_fits(&p->plan, &want, &next))
        return error_set(err, ERROR_CONFIG,
                         "%s at %g s: it overlaps another fault that comes at "
                         "a given time; max_concurrent, a budget, or their "
                         "being of one kind forbids that",
                         e->ops->name, (double)e->at_ns / (double)NS_PER_S);
    slot = planner_append(p, e);
    slot->at_ns = want.at_ns;
    slot->duration_ns = want.duration_ns;
    return 0;
}

static int
planner_place_all_at(struct planner *p, struct error *err)
{
    for (size_t i = 0; i < p->track_count; i++) {
        const struct track *t = &p->tracks[i];

        for (size_t k = 0; t->kind == TRACK_AT && k < t->count; k++) {
            struct rng rng = rng_fork(&p->root, "plan-at", t->first + k);

            if (planner_place_at(p, &p->entries[t->first + k], &rng,
                                 t->until_ns, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- faults that wait for an event ---- */

static void
planner_add_triggers(struct planner *p)
{
    for (size_t i = 0; i < p->track_count; i++) {
        const struct track *t = &p->tracks[i];

        for (size_t k = 0; t->kind == TRACK_ON && k < t->count; k++) {
            const struct schedule_entry *e = &p->entries[t->first + k];
            struct rng rng = rng_fork(&p->root, "plan-on", t->first + k);

            if (t->from_ns >= t->until_ns)
                continue;
            p->plan.trigger_count++;
            for (uint32_t shot = 0;
                 shot < e->on.limit && p->plan.entry_count < FAULT_PLAN_MAX;
                 shot++) {
                struct plan_entry *slot = planner_append(p, e);

                slot->at_ns = t->from_ns;
                slot->until_ns = t->until_ns;
                slot->duration_ns = entry_draw_duration(e, &rng);
                slot->trigger = p->plan.trigger_count;
            }
        }
    }
}

/* ---- tracks ---- */

static double
track_owed(const struct track *t)
{
    double sum = 0;

    for (size_t i = 0; i < t->count; i++)
        sum += t->owed[i] > 0 ? t->owed[i] : 0;
    return sum;
}

/*
 * Draws as cards are dealt: each entry is owed its weight (the least one's
 * being 1), who is owed more comes with better odds, and when all have had
 * theirs the next round begins.  So a short window meets what a long one
 * meets, where independent draws may leave the heaviest entry out.
 */
static const struct schedule_entry *
track_pick(const struct planner *p, struct track *t, struct rng *rng)
{
    const struct schedule_entry *entries = &p->entries[t->first];
    double least = entries[0].weight, point;
    size_t picked = 0;

    for (size_t i = 1; i < t->count; i++)
        least = entries[i].weight < least ? entries[i].weight : least;
    if (track_owed(t) < 0.5) {
        for (size_t i = 0; i < t->count; i++)
            t->owed[i] += entries[i].weight / least;
    }
    point = rng_unit(rng) * track_owed(t);
    for (size_t i = 0; i < t->count && point >= 0; i++) {
        if (t->owed[i] <= 0)
            continue;
        point -= t->owed[i];
        picked = i;
    }
    t->owed[picked] -= 1;
    return &entries[picked];
}

/* A new round: who comes when (Fisher and Yates). */
static void
track_shuffle(struct track *t, struct rng *rng)
{
    for (size_t i = 0; i < t->count; i++)
        t->order[i] = (unsigned)i;
    for (size_t i = t->count; t->drawn_order && i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i);
        unsigned swap = t->order[i - 1];

        t->order[i - 1] = t->order[j];
        t->order[j] = swap;
    }
}

/* The fault that the track wants to place next. */
static void
track_draw(struct planner *p, struct track *t)
{
    size_t place = t->taken % t->count;
    char label[32] = "plan";

    if (t != p->tracks)
        snprintf(label, sizeof(label), "plan-track-%zu",
                 (size_t)(t - p->tracks));
    t->rng = rng_fork(&p->root, label, t->taken);
    t->entry = &p->entries[t->first + place];
    if (t->kind == TRACK_MIX)
        t->entry = track_pick(p, t, &t->rng);
    if (t->kind == TRACK_ROUND) {
        if (place == 0)
            track_shuffle(t, &t->rng);
        t->entry = &p->entries[t->first + t->order[place]];
    }
    t->duration_ns = entry_draw_duration(t->entry, &t->rng);
}

/* When the next one wants to begin, now that one began at 'at'. */
static void
track_step(struct track *t, int64_t at_ns)
{
    int64_t interval = round_ms((double)t->interval_ns *
                                (1 + t->jitter * (2 * rng_unit(&t->rng) - 1)));

    if (t->kind == TRACK_ROUND && t->taken % t->count == 0)
        t->round_ns = at_ns;
    t->taken++;
    t->entry = NULL;
    t->next_ns = at_ns + interval;
    if (t->kind == TRACK_ROUND && t->taken % t->count != 0)
        t->next_ns = at_ns + t->step_ns;
    else if (t->kind == TRACK_ROUND && t->round_ns + interval > at_ns)
        t->next_ns = t->round_ns + interval;
}

/* Places the track's next fault, or learns when to try again. */
static void
track_place(struct planner *p, struct track *t)
{
    struct plan_entry want = {.at_ns = t->next_ns};
    struct plan_entry *slot;
    int64_t next;

    if (t->entry == NULL)
        track_draw(p, t);
    want.duration_ns = t->duration_ns;
    want.ops = t->entry->ops;
    want.spec = t->entry->spec;
    if (want.at_ns + want.duration_ns > t->until_ns) {
        t->next_ns = INT64_MAX;
        return;
    }
    if (!planner_fits(&p->plan, &want, &next)) {
        assert(next > t->next_ns && next < INT64_MAX);
        t->next_ns = next;
        return;
    }
    slot = planner_append(p, t->entry);
    slot->at_ns = want.at_ns;
    slot->duration_ns = want.duration_ns;
    track_step(t, want.at_ns);
}

/* The track that wants to go first; NULL: all are through. */
static struct track *
planner_first(struct planner *p)
{
    struct track *first = NULL;

    for (size_t i = 0; i < p->track_count; i++) {
        struct track *t = &p->tracks[i];

        if (t->kind != TRACK_AT && t->kind != TRACK_ON && t->count > 0 &&
            t->next_ns < INT64_MAX &&
            (first == NULL || t->next_ns < first->next_ns))
            first = t;
    }
    return first;
}

static int
plan_entry_compare(const void *a, const void *b)
{
    const struct plan_entry *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return x->id < y->id ? -1 : 1; /* as they were appended */
}

static void
planner_number(struct plan *plan)
{
    for (size_t i = 0; i < plan->entry_count; i++)
        plan->entries[i].id = i + 1;
    if (plan->entry_count > 0)
        qsort(plan->entries, plan->entry_count, sizeof(*plan->entries),
              plan_entry_compare);
    for (size_t i = 0; i < plan->entry_count; i++)
        plan->entries[i].id = i + 1;
}

static void
planner_release(struct planner *p)
{
    for (size_t i = 0; i < p->entry_count; i++)
        json_decref(p->entries[i].params);
    free(p->entries);
    free(p->tracks);
    plan_release(&p->plan);
}

int
plan_build(const json_t *schedule, uint64_t seed, int64_t window_ns,
           unsigned node_count, struct plan *ret, struct error *err)
{
    CLEANUP(planner_release) struct planner p = {0};
    struct track *t;

    assert(node_count >= 1 && node_count <= NODE_COUNT_MAX);
    p.plan.seed = seed;
    p.plan.window_ns = window_ns;
    p.plan.node_count = node_count;
    p.plan.concurrent_max = 1;
    if (schedule != NULL && schedule_read(&p, schedule, err) < 0)
        return error_wrap(err, "schedule");
    rng_init(&p.root, seed);
    if (planner_place_all_at(&p, err) < 0)
        return error_wrap(err, "schedule");
    while (p.plan.entry_count < FAULT_PLAN_MAX &&
           (t = planner_first(&p)) != NULL)
        track_place(&p, t);
    planner_add_triggers(&p);
    planner_number(&p.plan);
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
    json_decref(p->share_nodes);
    *p = (struct plan){0};
}
