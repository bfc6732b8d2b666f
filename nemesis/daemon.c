/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: remember (pid, start ticks, boot id), let the fault act, look in
 * /proc for that very process, start the daemon, wait until another process
 * runs and the system answers.
 *
 * Failure modes: a node that cannot be looked at makes the proof inconclusive
 * (the error says which); a node that looks other than it should, a mismatch.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/daemon.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/params.h"

#define DAEMON_POLL_NS (100 * NS_PER_MS)
/* A killed process is gone when its memory is: a moment, not a second. */
#define DAEMON_END_TIMEOUT_NS (2 * NS_PER_S)

int
daemon_setup(struct fault *f, const char *const keys[], struct error *err)
{
    if (params_check_keys(f->params, keys, err) < 0)
        return -1;
    f->state = xcalloc(1, sizeof(struct daemon_fault));
    return 0;
}

void
daemon_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

bool
daemon_available(const struct fault_world *w)
{
    return w->system->process != NULL && w->system->signal != NULL &&
           w->system->start != NULL && w->system->stop != NULL;
}

json_t *
daemon_undo_record(const struct fault *f)
{
    return json_pack("{s:s, s:o}", "fault", f->ops->name, "nodes",
                     node_set_to_json(f->world->cluster, f->targets));
}

struct system_node
world_node(const struct fault_world *w, unsigned index)
{
    assert(index < w->cluster->node_count);
    return (struct system_node){
        .cluster = w->cluster, .index = index, .remote = &w->remotes[index]};
}

static bool
process_same(const struct process_id *a, const struct process_id *b)
{
    return a->pid == b->pid && a->start_ticks == b->start_ticks &&
           strcmp(a->boot_id, b->boot_id) == 0;
}

int
daemon_remember(struct fault *f, struct error *err)
{
    struct daemon_fault *d = f->state;

    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        struct system_node n = world_node(f->world, i);
        struct process_id id = {0};

        if (!(f->targets >> i & 1))
            continue;
        if (f->world->system->process(&n, &id, err) < 0)
            return -1;
        d->before[i].starts = id.starts;
        if (id.pid == 0 || id.stopped)
            return error_set(err, ERROR_ENVIRONMENT, "node '%s': the daemon %s",
                             f->world->cluster->nodes[i].name,
                             id.pid == 0 ? "does not run" : "is stopped");
        d->before[i] = id;
    }
    return 0;
}

struct daemon_act {
    struct fault *fault;
    int signo;
};

static int
daemon_signal_node(void *ctx, unsigned i, struct error *err)
{
    const struct daemon_act *act = ctx;
    const struct fault_world *w = act->fault->world;
    struct system_node n = world_node(w, i);

    if (w->system->signal(&n, act->signo, err) < 0)
        return -1;
    ((struct daemon_fault *)act->fault->state)->acted[i] = true;
    return 0;
}

int
daemon_signal(struct fault *f, int signo, struct error *err)
{
    struct daemon_act act = {.fault = f, .signo = signo};

    return fanout(f->targets, daemon_signal_node, &act, err);
}

/* ---- proofs ---- */

static int
daemon_prove_node_down(struct fault *f, unsigned i, enum proof *ret,
                       struct error *err)
{
    const struct process_id *before =
        &((struct daemon_fault *)f->state)->before[i];
    struct system_node n = world_node(f->world, i);
    struct guest_process look = {0};
    struct process_id now = {0};
    bool alive, rebooted;

    if (before->pid == 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': what ran before is not known",
                         f->world->cluster->nodes[i].name);
    if (guest_process_look(n.remote, before->pid, &look, err) < 0 ||
        f->world->system->process(&n, &now, err) < 0)
        return -1;
    alive = guest_process_is(&look, before);
    rebooted = strcmp(look.boot_id, before->boot_id) != 0;
    json_object_set_new(f->evidence, f->world->cluster->nodes[i].name,
                        json_pack("{s:i, s:I, s:b, s:b, s:i}", "pid_before",
                                  (int)before->pid, "start_ticks_before",
                                  (json_int_t)before->start_ticks, "alive",
                                  alive, "rebooted", rebooted, "pid_now",
                                  (int)now.pid));
    *ret = alive || now.pid != 0 ? PROOF_MISMATCH : PROOF_CONFIRMED;
    return 0;
}

static int
daemon_look_down(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, daemon_prove_node_down, ret, err);
}

int
daemon_prove_down(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_prove_until(f, FAULT_EFFECT, DAEMON_END_TIMEOUT_NS,
                             DAEMON_POLL_NS, daemon_look_down, ret, err);
}

static const char *
role_name(enum node_role role)
{
    switch (role) {
    case ROLE_UNKNOWN:
        return "unknown";
    case ROLE_PRIMARY:
        return "primary";
    case ROLE_BACKUP:
        return "backup";
    case ROLE_OTHER:
        return "other";
    }
    return "?";
}

static int
daemon_prove_node_up(struct fault *f, unsigned i, enum proof *ret,
                     struct error *err)
{
    const struct daemon_fault *d = f->state;
    struct system_node n = world_node(f->world, i);
    struct system_status status = {.role = ROLE_UNKNOWN};
    struct process_id now = {0};
    struct error ignored = {0};
    bool other;

    if (f->world->system->process(&n, &now, err) < 0)
        return -1;
    if (f->world->system->status(f->world->cluster, i, TARGET_STATUS_TIMEOUT_NS,
                                 &status, &ignored) < 0)
        status.role = ROLE_UNKNOWN;
    other = !d->acted[i] || !process_same(&now, &d->before[i]);
    json_object_set_new(
        f->evidence, f->world->cluster->nodes[i].name,
        json_pack("{s:i, s:I, s:b, s:b, s:s}", "pid", (int)now.pid,
                  "start_ticks", (json_int_t)now.start_ticks, "another", other,
                  "stopped", now.stopped, "role", role_name(status.role)));
    *ret = now.pid != 0 && !now.stopped && other && status.role != ROLE_UNKNOWN
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    return 0;
}

static int
daemon_look_up(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, daemon_prove_node_up, ret, err);
}

/*
 * The heal did its part: the daemon was started again.  Whether it then serves,
 * hangs or ends is the system's doing, and judged as such.
 */
static int
daemon_look_restored(struct fault *f, enum proof *ret, struct error *err)
{
    const struct daemon_fault *d = f->state;
    enum proof proof = PROOF_CONFIRMED;

    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        struct system_node n = world_node(f->world, i);
        struct process_id now = {0};
        bool runs, again;

        if (!(f->targets >> i & 1))
            continue;
        if (f->world->system->process(&n, &now, err) < 0)
            return -1;
        again = now.starts > d->before[i].starts;
        runs = now.pid != 0 && !now.stopped &&
               (!d->acted[i] || !process_same(&now, &d->before[i]));
        json_object_set_new(
            json_object_get(f->evidence, f->world->cluster->nodes[i].name),
            "restored",
            json_string(runs    ? "runs, does not answer"
                        : again ? "was started, ended by itself"
                                : "no"));
        proof = proof_merge(proof,
                            runs || again ? PROOF_CONFIRMED : PROOF_MISMATCH);
    }
    *ret = proof;
    return 0;
}

int
daemon_prove_up(struct fault *f, enum proof *ret, struct error *err)
{
    enum proof proof = PROOF_INCONCLUSIVE;

    if (fault_prove_until(f, FAULT_HEALED, FAULT_HEAL_TIMEOUT_NS,
                          DAEMON_POLL_NS, daemon_look_up, &proof, err) < 0)
        return -1;
    if (proof == PROOF_MISMATCH && daemon_look_restored(f, &proof, err) < 0)
        return -1;
    *ret = proof;
    return 0;
}

/* ---- healing ---- */

static int
daemon_restart_node(void *ctx, unsigned i, struct error *err)
{
    const struct fault_world *w = ctx;
    struct system_node n = world_node(w, i);
    struct process_id now = {0};

    if (w->system->process(&n, &now, err) < 0)
        return -1;
    if (now.pid != 0)
        return 0;
    return w->system->start(&n, err);
}

int
daemon_restart(const struct fault_world *w, node_set nodes, struct error *err)
{
    return fanout(nodes, daemon_restart_node, (void *)w, err);
}

int
daemon_undo_restart(const struct fault_world *w, const json_t *record,
                    struct error *err)
{
    node_set nodes;

    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    return daemon_restart(w, nodes, err);
}
