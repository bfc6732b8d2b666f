/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wrappers around struct machine_ops: they know what was asked for, name
 * the node in errors, and nothing else.
 */
#include "config.h"

#include <assert.h>

#include "harness/provider/machine.h"

const char *
machine_state_name(enum machine_state state)
{
    switch (state) {
    case MACHINE_OFF:
        return "off";
    case MACHINE_RUNNING:
        return "running";
    case MACHINE_PAUSED:
        return "paused";
    }
    return "?";
}

bool
machine_can(struct provider *p, enum machine_act act)
{
    const struct machine_ops *ops = p == NULL ? NULL : p->ops->machine;

    if (ops == NULL)
        return false;
    switch (act) {
    case MACHINE_LOOK:
        return ops->look != NULL;
    case MACHINE_KILL:
        return ops->kill != NULL;
    case MACHINE_RESET:
        return ops->reset != NULL;
    case MACHINE_PAUSE:
        return ops->pause != NULL && ops->resume != NULL;
    case MACHINE_THROTTLE:
        return ops->throttle != NULL;
    case MACHINE_BALLOON:
        return ops->balloon != NULL;
    case MACHINE_NMI:
        return ops->nmi != NULL;
    case MACHINE_LINK:
        return ops->link != NULL;
    case MACHINE_PLATTER:
        return ops->platter != NULL && ops->platter(p, 0) != NULL;
    }
    return false;
}

/* Wraps the error of one operation on one node. */
static int
machine_result(int rc, unsigned node, const char *what, struct error *err)
{
    return rc == 0 ? 0 : error_wrap(err, "node n%u: %s", node + 1, what);
}

int
machine_look(struct provider *p, unsigned node, struct machine_view *ret,
             struct error *err)
{
    assert(machine_can(p, MACHINE_LOOK) && node < NODE_COUNT_MAX);
    return machine_result(p->ops->machine->look(p, node, ret, err), node,
                          "look", err);
}

int
machine_kill(struct provider *p, unsigned node, struct error *err)
{
    assert(machine_can(p, MACHINE_KILL) && node < NODE_COUNT_MAX);
    return machine_result(p->ops->machine->kill(p, node, err), node, "kill",
                          err);
}

int
machine_reset(struct provider *p, unsigned node, struct error *err)
{
    assert(machine_can(p, MACHINE_RESET) && node < NODE_COUNT_MAX);
    return machine_result(p->ops->machine->reset(p, node, err), node, "reset",
                          err);
}

int
machine_pause(struct provider *p, unsigned node, struct error *err)
{
    assert(machine_can(p, MACHINE_PAUSE) && node < NODE_COUNT_MAX);
    return machine_result(p->ops->machine->pause(p, node, err), node, "pause",
                          err);
}

int
machine_resume(struct provider *p, unsigned node, struct error *err)
{
    assert(machine_can(p, MACHINE_PAUSE) && node < NODE_COUNT_MAX);
    return machine_result(p->ops->machine->resume(p, node, err), node, "resume",
                          err);
}

int
machine_throttle(struct provider *p, unsigned node, unsigned percent,
                 struct error *err)
{
    assert(machine_can(p, MACHINE_THROTTLE) && node < NODE_COUNT_MAX);
    assert(percent >= 1 && percent <= 100);
    return machine_result(p->ops->machine->throttle(p, node, percent, err),
                          node, "throttle", err);
}

int
machine_balloon(struct provider *p, unsigned node, unsigned mib,
                struct error *err)
{
    assert(machine_can(p, MACHINE_BALLOON) && node < NODE_COUNT_MAX);
    return machine_result(p->ops->machine->balloon(p, node, mib, err), node,
                          "balloon", err);
}

int
machine_nmi(struct provider *p, unsigned node, struct error *err)
{
    assert(machine_can(p, MACHINE_NMI) && node < NODE_COUNT_MAX);
    return machine_result(p->ops->machine->nmi(p, node, err), node, "NMI", err);
}

int
machine_link(struct provider *p, unsigned node, bool up, struct error *err)
{
    assert(machine_can(p, MACHINE_LINK) && node < NODE_COUNT_MAX);
    return machine_result(p->ops->machine->link(p, node, up, err), node, "link",
                          err);
}

const struct platter *
machine_platter(struct provider *p, unsigned node)
{
    assert(machine_can(p, MACHINE_PLATTER) && node < NODE_COUNT_MAX);
    return p->ops->machine->platter(p, node);
}

const char *
machine_disk(struct provider *p, unsigned node)
{
    assert(machine_can(p, MACHINE_PLATTER) && node < NODE_COUNT_MAX);
    return p->ops->machine->disk(p, node);
}
