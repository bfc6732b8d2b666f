/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop: the daemon is asked to end (SIGTERM), ends in time, and stays down
 * until the heal starts it again.
 *
 * Failure modes: a daemon that does not end within "timeout" fails the inject:
 * whether that is the system's fault is for the run to judge, not for us.
 */
#include "config.h"

#include <stddef.h>

#include "nemesis/daemon.h"
#include "nemesis/fanout.h"
#include "nemesis/params.h"
#include "nemesis/registry.h"

#define STOP_TIMEOUT_NS (10 * NS_PER_S)

static int
stop_timeout(const struct fault *f, int64_t *ret_ns, struct error *err)
{
    *ret_ns = STOP_TIMEOUT_NS;
    if (params_duration(f->params, "timeout", ret_ns, err) < 0)
        return -1;
    if (*ret_ns < NS_PER_S || *ret_ns > 120 * NS_PER_S)
        return error_set(err, ERROR_CONFIG, "timeout: not from 1s to 120s");
    return 0;
}

static int
stop_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"timeout", NULL};
    int64_t timeout_ns;

    if (stop_timeout(f, &timeout_ns, err) < 0)
        return -1;
    return daemon_setup(f, keys, err);
}

struct stop_act {
    struct fault *fault;
    int64_t timeout_ns;
};

static int
stop_node(void *ctx, unsigned i, struct error *err)
{
    const struct stop_act *act = ctx;
    const struct fault_world *w = act->fault->world;
    struct system_node n = world_node(w, i);

    if (w->system->stop(&n, act->timeout_ns, err) < 0)
        return -1;
    ((struct daemon_fault *)act->fault->state)->acted[i] = true;
    return 0;
}

static int
stop_inject(struct fault *f, struct error *err)
{
    struct stop_act act = {.fault = f};

    if (stop_timeout(f, &act.timeout_ns, err) < 0 ||
        daemon_remember(f, err) < 0)
        return -1;
    return fanout(f->targets, stop_node, &act, err);
}

static int
stop_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
           struct error *err)
{
    return phase == FAULT_EFFECT ? daemon_prove_down(f, ret, err)
                                 : daemon_prove_up(f, ret, err);
}

static int
stop_heal(struct fault *f, struct error *err)
{
    return daemon_restart(f->world, f->targets, err);
}

const struct fault_ops fault_stop_ops = {
    .name = "stop",
    .description = "graceful stop of the daemon, restarted when healed",
    .takes_nodes_down = true,
    .setup = stop_setup,
    .available = daemon_available,
    .undo_record = daemon_undo_record,
    .inject = stop_inject,
    .prove = stop_prove,
    .heal = stop_heal,
    .undo = daemon_undo_restart,
    .teardown = daemon_teardown,
};
