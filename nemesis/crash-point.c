/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash-point: the daemon is told to end at one of its own points (before it
 * knows of a majority, between commit and answer, ...) and stays down until the
 * heal starts it again.  It is a kill whose moment the system chooses.
 *
 * Happy path: remember the process, tell it where, wait until it is gone; heal
 * by starting the daemon, which knows nothing of the point.
 *
 * Failure modes: a point that is not reached in time fails the inject, and the
 * heal takes the order back.  A driver that dies in between leaves a daemon
 * that may still end: 'recover' takes the order back, or starts it again.
 */
#include "config.h"

#include <string.h>

#include "nemesis/daemon.h"
#include "nemesis/params.h"
#include "nemesis/registry.h"

#define CRASH_TIMEOUT_NS (2 * NS_PER_S)
#define CRASH_WITHIN_NS (10 * NS_PER_S)
#define CRASH_WITHIN_MAX_NS (120 * NS_PER_S)
#define CRASH_POLL_NS (50 * NS_PER_MS)
#define CRASH_NTH_MAX 1000000

struct crash {
    const char *point;
    double nth;
    int64_t within_ns;
};

static int
crash_params(const struct fault *f, struct crash *ret, struct error *err)
{
    *ret = (struct crash){.nth = 1, .within_ns = CRASH_WITHIN_NS};
    if (params_string(f->params, "point", &ret->point, err) < 0 ||
        params_number(f->params, "nth", 1, CRASH_NTH_MAX, &ret->nth, err) < 0 ||
        params_duration(f->params, "within", &ret->within_ns, err) < 0)
        return -1;
    if (ret->point == NULL)
        return error_set(err, ERROR_CONFIG,
                         "point: which one? The system lists them");
    if (ret->within_ns < 0 || ret->within_ns > CRASH_WITHIN_MAX_NS)
        return error_set(err, ERROR_CONFIG, "within: at most 120s");
    return 0;
}

static bool
crash_point_is_known(const struct system_ops *system, const char *point)
{
    for (const char *const *p = system->crash_points; p != NULL && *p != NULL;
         p++)
        if (strcmp(*p, point) == 0)
            return true;
    return false;
}

static int
crash_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"point", "nth", "within", NULL};
    struct crash c;

    if (crash_params(f, &c, err) < 0)
        return -1;
    if (f->world != NULL && !crash_point_is_known(f->world->system, c.point))
        return error_set(err, ERROR_CONFIG,
                         "point: system '%s' has no crash point '%s'",
                         f->world->system->name, c.point);
    return daemon_setup(f, keys, err);
}

static bool
crash_available(const struct fault_world *w)
{
    return daemon_available(w) && w->system->crash_at != NULL;
}

struct crash_wait {
    struct fault *fault;
    struct error *err;
    bool failed;
};

/* Each target's process is another, or none. */
static bool
crash_happened(void *ctx)
{
    struct crash_wait *w = ctx;
    const struct fault_world *world = w->fault->world;
    struct daemon_fault *d = w->fault->state;

    for (unsigned i = 0; i < world->cluster->node_count; i++) {
        struct system_node n = world_node(world, i);
        struct process_id now = {0};

        if (!(w->fault->targets >> i & 1) || d->acted[i])
            continue;
        if (world->system->process(&n, &now, w->err) < 0) {
            w->failed = true;
            return true;
        }
        if (now.pid == d->before[i].pid &&
            now.start_ticks == d->before[i].start_ticks)
            return false;
        d->acted[i] = true;
    }
    return true;
}

static int
crash_inject(struct fault *f, struct error *err)
{
    const struct fault_world *w = f->world;
    struct crash_wait wait = {.fault = f, .err = err};
    struct crash c;

    if (crash_params(f, &c, err) < 0 || daemon_remember(f, err) < 0)
        return -1;
    for (unsigned i = 0; i < w->cluster->node_count; i++)
        if ((f->targets >> i & 1) != 0 &&
            w->system->crash_at(w->cluster, i, c.point, (unsigned)c.nth,
                                CRASH_TIMEOUT_NS, err) < 0)
            return -1;
    if (c.within_ns == 0)
        return 0; /* what comes of it, the look before the heal says */
    if (!clock_poll(w->clock, clock_now_ns(w->clock) + c.within_ns,
                    CRASH_POLL_NS, crash_happened, &wait))
        return error_set(err, ERROR_ENVIRONMENT,
                         "point '%s' was not reached %u times in %lld s",
                         c.point, (unsigned)c.nth,
                         (long long)(c.within_ns / NS_PER_S));
    return wait.failed ? -1 : 0;
}

static int
crash_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
            struct error *err)
{
    return phase == FAULT_EFFECT ? daemon_prove_down(f, ret, err)
                                 : daemon_prove_up(f, ret, err);
}

/* A daemon that still runs is told that it need not end any more. */
static void
crash_take_back(const struct fault_world *w, node_set nodes)
{
    for (unsigned i = 0; i < w->cluster->node_count; i++) {
        struct error ignored = {0};

        if ((nodes >> i & 1) != 0 && w->system->crash_at != NULL)
            w->system->crash_at(w->cluster, i, NULL, 0, CRASH_TIMEOUT_NS,
                                &ignored);
    }
}

static int
crash_heal(struct fault *f, struct error *err)
{
    crash_take_back(f->world, f->targets);
    return daemon_restart(f->world, f->targets, err);
}

static int
crash_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    node_set nodes;

    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    crash_take_back(w, nodes);
    return daemon_undo_restart(w, record, err);
}

const struct fault_ops fault_crash_point_ops = {
    .name = "crash-point",
    .description = "the daemon ends at a point of its own, restarted when "
                   "healed",
    .takes_nodes_down = true,
    .ends_at_point = true,
    .setup = crash_setup,
    .available = crash_available,
    .undo_record = daemon_undo_record,
    .inject = crash_inject,
    .prove = crash_prove,
    .heal = crash_heal,
    .undo = crash_undo,
    .teardown = daemon_teardown,
};
