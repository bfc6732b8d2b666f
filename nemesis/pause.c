/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause: the daemon is stopped in its tracks (SIGSTOP) and goes on where it
 * was (SIGCONT): a long garbage collection, a stalled hypervisor.
 *
 * Happy path: remember the process, arm the guest's timer, SIGSTOP exactly it,
 * read state T from /proc; heal by SIGCONT; the same process is not in T.
 *
 * Failure modes: a process that ended meanwhile can neither be proven paused
 * nor healed: a mismatch, which the run reports.
 */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "nemesis/daemon.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/registry.h"

#define PAUSE_TIMER "pause"
#define PAUSE_POLL_NS (100 * NS_PER_MS)

/* $2 the pid, $3 its start ticks: field 22, the 20th after the name. */
static const char pause_timer[] =
    GUEST_TIMER_WAIT "p=$2; want=$3\n"
                     "s=$(" GUEST_BUSYBOX " cat \"/proc/$p/stat\") || exit 0\n"
                     "set -- ${s##*) }\n"
                     "[ \"${20}\" = \"$want\" ] || exit 0\n"
                     "kill -CONT \"$p\" && exit 3\n"
                     "exit 1\n";

static int
pause_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {NULL};

    return daemon_setup(f, keys, err);
}

static int
pause_arm(void *ctx, unsigned i, struct error *err)
{
    struct fault *f = ctx;
    const struct process_id *before =
        &((struct daemon_fault *)f->state)->before[i];
    char pid[16], ticks[24];
    const char *const args[] = {pid, ticks, NULL};
    bool armed;

    snprintf(pid, sizeof(pid), "%" PRId32, before->pid);
    snprintf(ticks, sizeof(ticks), "%" PRIu64, before->start_ticks);
    return guest_timer_arm(&f->world->remotes[i], PAUSE_TIMER, pause_timer,
                           args, f->lease_ns, &armed, err);
}

static int
pause_inject(struct fault *f, struct error *err)
{
    if (daemon_remember(f, err) < 0 ||
        fanout(f->targets, pause_arm, f, err) < 0)
        return -1;
    return daemon_signal(f, SIGSTOP, err);
}

/* ---- proofs ---- */

/* Whether the process remembered is there, and stopped or not as asked. */
static int
pause_look(struct fault *f, unsigned i, bool want_stopped, enum proof *ret,
           struct error *err)
{
    const struct process_id *before =
        &((struct daemon_fault *)f->state)->before[i];
    struct guest_process look = {0};
    char state[2] = "";
    bool same;

    if (guest_process_look(&f->world->remotes[i], before->pid, &look, err) < 0)
        return -1;
    same = guest_process_is(&look, before);
    state[0] = look.exists ? look.state : '-';
    json_object_set_new(f->evidence, f->world->cluster->nodes[i].name,
                        json_pack("{s:i, s:b, s:s}", "pid", (int)before->pid,
                                  "same", same, "state", state));
    *ret = same && (look.state == 'T') == want_stopped ? PROOF_CONFIRMED
                                                       : PROOF_MISMATCH;
    return 0;
}

/* Nothing is known of before: only that no stopped daemon is there. */
static int
pause_look_unknown(struct fault *f, unsigned i, enum proof *ret,
                   struct error *err)
{
    struct system_node n = world_node(f->world, i);
    struct process_id now = {0};

    if (f->world->system->process(&n, &now, err) < 0)
        return -1;
    json_object_set_new(
        f->evidence, f->world->cluster->nodes[i].name,
        json_pack("{s:i, s:b}", "pid", (int)now.pid, "stopped", now.stopped));
    *ret = now.pid != 0 && now.stopped ? PROOF_MISMATCH : PROOF_CONFIRMED;
    return 0;
}

static int
pause_prove_once(struct fault *f, enum fault_phase phase, enum proof *ret,
                 struct error *err)
{
    const struct daemon_fault *d = f->state;
    enum proof proof = PROOF_CONFIRMED;

    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        enum proof node = PROOF_INCONCLUSIVE;
        int result;

        if (!(f->targets >> i & 1))
            continue;
        result = d->before[i].pid == 0 && phase == FAULT_HEALED
                     ? pause_look_unknown(f, i, &node, err)
                     : pause_look(f, i, phase == FAULT_EFFECT, &node, err);
        if (result < 0)
            return -1;
        proof = proof_merge(proof, node);
    }
    *ret = proof;
    return 0;
}

static int
pause_look_stopped(struct fault *f, enum proof *ret, struct error *err)
{
    return pause_prove_once(f, FAULT_EFFECT, ret, err);
}

static int
pause_look_going(struct fault *f, enum proof *ret, struct error *err)
{
    return pause_prove_once(f, FAULT_HEALED, ret, err);
}

/* Signals act within a moment: what is not so after a second is a mismatch. */
static int
pause_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
            struct error *err)
{
    return fault_prove_until(f, phase, NS_PER_S, PAUSE_POLL_NS,
                             phase == FAULT_EFFECT ? pause_look_stopped
                                                   : pause_look_going,
                             ret, err);
}

/* ---- healing ---- */

struct pause_heal {
    const struct fault_world *world;
    bool *self_healed; /* by node; NULL: nobody asks */
};

static int
pause_heal_node(void *ctx, unsigned i, struct error *err)
{
    const struct pause_heal *heal = ctx;
    const struct fault_world *w = heal->world;
    struct system_node n = world_node(w, i);
    struct process_id now = {0};
    bool fired;

    if (w->system->process(&n, &now, err) < 0)
        return -1;
    if (now.pid != 0 && now.stopped && w->system->signal(&n, SIGCONT, err) < 0)
        return -1;
    if (guest_timer_disarm(n.remote, PAUSE_TIMER, &fired, err) < 0)
        return -1;
    if (heal->self_healed != NULL)
        heal->self_healed[i] |= fired;
    return 0;
}

static int
pause_renew(struct fault *f, struct error *err)
{
    return guest_timers_renew(f, f->targets, PAUSE_TIMER, err);
}

static int
pause_heal(struct fault *f, struct error *err)
{
    struct pause_heal heal = {.world = f->world, .self_healed = f->self_healed};

    return fanout(f->targets, pause_heal_node, &heal, err);
}

static int
pause_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    struct pause_heal heal = {.world = w};
    node_set nodes;

    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    return fanout(nodes, pause_heal_node, &heal, err);
}

const struct fault_ops fault_pause_ops = {
    .name = "pause",
    .description = "SIGSTOP of the daemon, SIGCONT when healed",
    .takes_nodes_down = true,
    .setup = pause_setup,
    .available = daemon_available,
    .undo_record = daemon_undo_record,
    .inject = pause_inject,
    .renew = pause_renew,
    .prove = pause_prove,
    .heal = pause_heal,
    .undo = pause_undo,
    .teardown = daemon_teardown,
};
