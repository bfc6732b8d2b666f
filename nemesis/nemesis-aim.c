/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which fault is next, and on which nodes.
 *
 * Happy path: a fault's moment comes, or an event sets it off; it is pending
 * until its targets can be had, and then begins.
 *
 * Failure modes: what cannot begin in time is skipped with the reason; events
 * beyond what may be pending at once are counted and set off nothing.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/log.h"
#include "nemesis/nemesis-internal.h"

/* ---- triggers ---- */

void
nemesis_aim_init(struct nemesis *n)
{
    const struct plan *plan = n->options.plan;

    n->trigger_count = plan->trigger_count;
    if (n->trigger_count == 0)
        return;
    n->triggers = xcalloc(n->trigger_count, sizeof(*n->triggers));
    for (size_t i = 0; i < plan->entry_count; i++) {
        const struct plan_entry *e = &plan->entries[i];
        struct nemesis_trigger *t;

        if (e->on.kind == TRIGGER_NONE)
            continue;
        t = &n->triggers[e->trigger - 1];
        t->on = &e->on;
        t->from_ns = e->at_ns;
        t->until_ns = e->until_ns;
        t->entries =
            xrealloc(t->entries, (t->entry_count + 1) * sizeof(*t->entries));
        t->entries[t->entry_count++] = i;
    }
}

void
nemesis_aim_release(struct nemesis *n)
{
    for (unsigned i = 0; i < n->trigger_count; i++)
        free(n->triggers[i].entries);
    free(n->triggers);
}

static node_set
aim_node(const struct nemesis *n, const char *name)
{
    const struct cluster *c = n->options.world->cluster;

    for (unsigned i = 0; name != NULL && i < c->node_count; i++)
        if (strcmp(c->nodes[i].name, name) == 0)
            return UINT32_C(1) << i;
    return 0;
}

/* The next entry of the trigger is due.  With the lock held. */
static void
aim_fire(struct nemesis *n, struct nemesis_trigger *t, int64_t now_ns,
         const struct nemesis_event *e)
{
    struct nemesis_shot *shot = &n->shots[n->shot_count];

    if (n->shot_count == NEMESIS_PENDING_MAX) {
        n->shots_lost++;
        return;
    }
    n->shot_count++;
    *shot = (struct nemesis_shot){
        .entry = &n->options.plan->entries[t->entries[t->fired++]],
        .due_ns = now_ns + t->on->after_ns,
        .event_node = aim_node(n, e->node),
    };
    nemesis_event_describe(e, shot->cause, sizeof(shot->cause));
    atomic_store(&n->shot_new, true);
}

void
nemesis_note_event(struct nemesis *n, const struct nemesis_event *e)
{
    int64_t now_ns, at_ns;

    if (n->trigger_count == 0 || !atomic_load(&n->armed))
        return;
    now_ns = nemesis_now_ns(n);
    at_ns = now_ns - n->start_ns;
    pthread_mutex_lock(&n->lock);
    for (unsigned i = 0; i < n->trigger_count; i++) {
        struct nemesis_trigger *t = &n->triggers[i];

        if (t->entry_count == 0 || at_ns < t->from_ns || at_ns >= t->until_ns ||
            !trigger_matches(t->on, e))
            continue;
        if (++t->seen % t->on->every == 0 && t->fired < t->entry_count)
            aim_fire(n, t, now_ns, e);
    }
    pthread_mutex_unlock(&n->lock);
}

void
nemesis_note_history(struct nemesis *n, const struct event *event)
{
    const struct nemesis_event e = {.kind = TRIGGER_EVENT,
                                    .outcome = event->kind,
                                    .name = event->function,
                                    .node = event->node,
                                    .process = event->process};

    if (event->kind <= EVENT_UNKNOWN)
        nemesis_note_event(n, &e);
}

bool
nemesis_aim_waits(struct nemesis *n)
{
    int64_t at_ns = nemesis_now_ns(n) - n->start_ns;
    bool waits = false;

    pthread_mutex_lock(&n->lock);
    for (unsigned i = 0; i < n->trigger_count; i++) {
        const struct nemesis_trigger *t = &n->triggers[i];

        waits |= t->fired < t->entry_count && at_ns < t->until_ns;
    }
    waits |= n->shot_count > 0;
    pthread_mutex_unlock(&n->lock);
    return waits;
}

/* ---- what is due ---- */

/* The next entry with a moment of its own. */
static const struct plan_entry *
aim_next_timed(struct nemesis *n)
{
    const struct plan *plan = n->options.plan;

    while (n->next < plan->entry_count &&
           plan->entries[n->next].on.kind != TRIGGER_NONE)
        n->next++;
    return n->next < plan->entry_count ? &plan->entries[n->next] : NULL;
}

static void
aim_add(struct nemesis *n, const struct plan_entry *e, int64_t due_ns,
        node_set event_node)
{
    assert(n->pending_count < NEMESIS_PENDING_MAX);
    n->pending[n->pending_count++] =
        (struct nemesis_pending){.entry = e,
                                 .due_ns = due_ns,
                                 .try_ns = due_ns,
                                 .event_node = event_node};
}

/* Takes one shot whose time has come; false: there is none. */
static bool
aim_take_shot(struct nemesis *n, struct nemesis_shot *ret)
{
    int64_t now_ns = nemesis_now_ns(n);
    bool found = false;

    pthread_mutex_lock(&n->lock);
    atomic_store(&n->shot_new, false);
    for (unsigned i = 0; i < n->shot_count && !found; i++) {
        if (n->shots[i].due_ns > now_ns)
            continue;
        found = true;
        *ret = n->shots[i];
        memmove(&n->shots[i], &n->shots[i + 1],
                (--n->shot_count - i) * sizeof(*n->shots));
    }
    pthread_mutex_unlock(&n->lock);
    return found;
}

void
nemesis_aim_collect(struct nemesis *n)
{
    const struct plan_entry *e;
    struct nemesis_shot shot;

    while (n->pending_count < NEMESIS_PENDING_MAX && aim_take_shot(n, &shot)) {
        nemesis_record(n, &(struct nemesis_step){.entry = shot.entry,
                                                 .stage = "triggered",
                                                 .cause = shot.cause});
        aim_add(n, shot.entry, shot.due_ns, shot.event_node);
    }
    while (n->pending_count < NEMESIS_PENDING_MAX &&
           (e = aim_next_timed(n)) != NULL &&
           n->start_ns + e->at_ns <= nemesis_now_ns(n)) {
        aim_add(n, e, n->start_ns + e->at_ns, 0);
        n->next++;
    }
}

int64_t
nemesis_aim_next_ns(struct nemesis *n)
{
    const struct plan_entry *e = aim_next_timed(n);
    int64_t next_ns = e == NULL ? INT64_MAX : n->start_ns + e->at_ns;

    pthread_mutex_lock(&n->lock);
    for (unsigned i = 0; i < n->shot_count; i++)
        if (n->shots[i].due_ns < next_ns)
            next_ns = n->shots[i].due_ns;
    pthread_mutex_unlock(&n->lock);
    return next_ns;
}

struct nemesis_pending *
nemesis_aim_first(struct nemesis *n)
{
    struct nemesis_pending *first = NULL;

    for (unsigned i = 0; i < n->pending_count; i++)
        if (first == NULL || n->pending[i].try_ns < first->try_ns)
            first = &n->pending[i];
    return first;
}

void
nemesis_aim_remove(struct nemesis *n, struct nemesis_pending *p)
{
    size_t after = (size_t)(n->pending + n->pending_count - p) - 1;

    memmove(p, p + 1, after * sizeof(*p));
    n->pending_count--;
}

void
nemesis_aim_skip_rest(struct nemesis *n)
{
    const char *over = nemesis_stop_asked(n) ? "stopped" : "the window is over";
    const struct plan_entry *e;

    atomic_store(&n->armed, false);
    while (n->pending_count > 0) {
        nemesis_skip(n, n->pending[0].entry, over);
        nemesis_aim_remove(n, n->pending);
    }
    for (unsigned i = 0; i < n->shot_count; i++)
        nemesis_skip(n, n->shots[i].entry, over);
    n->shot_count = 0;
    for (; (e = aim_next_timed(n)) != NULL; n->next++)
        nemesis_skip(n, e, over);
    for (unsigned i = 0; i < n->trigger_count; i++) {
        struct nemesis_trigger *t = &n->triggers[i];

        for (; t->fired < t->entry_count; t->fired++)
            nemesis_skip(n, &n->options.plan->entries[t->entries[t->fired]],
                         "its event did not come");
    }
    if (n->shots_lost > 0)
        log_warning("nemesis",
                    "%" PRIu64 " events came faster than faults can begin "
                    "and set off none, continuing",
                    n->shots_lost);
}

/* ---- durability ---- */

void
nemesis_aim_broken(struct nemesis *n, const struct nemesis_active *a)
{
    if (!a->entry->ops->breaks_durability)
        return;
    n->suspect |= a->fault.targets;
    n->healed &= ~a->fault.targets;
}

/* What is committed now must be there again before they count as whole. */
void
nemesis_aim_mended(struct nemesis *n, const struct nemesis_active *a)
{
    struct target_view view;
    uint64_t commit = 0;

    if (!a->entry->ops->breaks_durability)
        return;
    target_look(n->options.world, &view);
    for (unsigned i = 0; i < n->options.plan->node_count; i++)
        if (view.commit[i] > commit)
            commit = view.commit[i];
    for (unsigned i = 0; i < n->options.plan->node_count; i++)
        if (a->fault.targets >> i & 1)
            n->floor[i] = commit;
    n->healed |= a->fault.targets;
}

/* Suspects that show all that was committed when they were healed. */
static void
aim_trust(struct nemesis *n, const struct target_view *view)
{
    for (unsigned i = 0; i < n->options.plan->node_count; i++) {
        node_set node = UINT32_C(1) << i;
        bool serves = (view->backups & node) || view->primary == (int)i;

        if (!(n->suspect & n->healed & node) || !serves || n->floor[i] == 0 ||
            view->commit[i] < n->floor[i])
            continue;
        n->suspect &= ~node;
        n->healed &= ~node;
        log_debug("nemesis", "n%u has caught up to %" PRIu64, i + 1,
                  n->floor[i]);
    }
}

/* ---- targets ---- */

struct aim_room {
    node_set busy;                  /* no target of this fault */
    node_set down;                  /* count as down */
    unsigned down_left, whole_left; /* what each budget leaves */
};

static unsigned
aim_left(unsigned max, node_set used)
{
    return node_set_count(used) < max ? max - node_set_count(used) : 0;
}

static void
aim_budgets(struct nemesis *n, const struct fault_ops *ops,
            const struct target_view *view, struct aim_room *room)
{
    const struct plan *plan = n->options.plan;

    room->down_left = room->whole_left = plan->node_count;
    if (ops->takes_nodes_down) {
        room->down |= view->silent;
        room->busy |= view->silent;
        room->down_left = aim_left(plan->nodes_down_max, room->down);
    }
    if (ops->breaks_durability)
        room->whole_left = aim_left(plan->durability_max, n->suspect);
}

/* Why these targets cannot be had; NULL: they can. */
static const char *
aim_over_budget(const struct nemesis *n, const struct aim_room *room,
                node_set targets)
{
    if (node_set_count(targets) > room->down_left)
        return "the budget of nodes down is used up";
    /* What is broken already does not break once more. */
    if (node_set_count(targets & ~n->suspect) > room->whole_left)
        return "the budget of nodes whose durable state is broken, and not "
               "proven whole again, is used up";
    return NULL;
}

const char *
nemesis_aim(struct nemesis *n, const struct nemesis_pending *p, node_set *ret,
            bool *ret_primary)
{
    const struct plan *plan = n->options.plan;
    const struct plan_entry *e = p->entry;
    struct rng rng = rng_fork(&n->rng, "target", e->id);
    struct target_spec spec = e->spec;
    struct aim_room room = {0};
    struct target_view view;

    if (spec.kind == TARGET_EVENT)
        spec.nodes = p->event_node;
    for (unsigned i = 0; i < n->active_count; i++) {
        const struct nemesis_active *a = &n->active[i];

        if (a->entry->ops == e->ops)
            return "another fault of its kind is not healed yet";
        if (!plan_may_share(plan, a->entry->ops, e->ops))
            room.busy |= a->fault.targets;
        if (a->entry->ops->takes_nodes_down)
            room.down |= a->fault.targets;
    }
    target_look(n->options.world, &view);
    aim_trust(n, &view);
    aim_budgets(n, e->ops, &view, &room);
    if (!target_resolve(&spec, plan->node_count, &view, room.busy,
                        room.down_left < room.whole_left ? room.down_left
                                                         : room.whole_left,
                        &rng, ret))
        return spec.kind == TARGET_PRIMARY && view.primary < 0
                   ? "no node says that it is primary"
                   : "the nodes it needs are under a fault or do not answer";
    *ret_primary = view.primary >= 0 && (*ret >> view.primary & 1);
    return aim_over_budget(n, &room, *ret);
}
