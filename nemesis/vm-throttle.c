/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-throttle: the machine goes on, but with a share of its time.
 *
 * Happy path: measure a piece of work in the guest, order the throttle; see it
 * from both sides: the host's process table shows the machine stopped in the
 * share of looks that was ordered, and the same work takes longer by the host's
 * clock, longer than on a node that is not throttled (throttle-work.h).
 * Healed: no look shows it stopped, and the work is not so slow any more.
 *
 * Failure modes: a machine that ended meanwhile is a mismatch.  A guest that
 * is too slow to answer makes the proof inconclusive.  After the driver's death
 * the machine may be left standing still by the last slice; the undo lets it
 * go on.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/provider/machine.h"
#include "harness/provider/orphans.h"
#include "nemesis/daemon.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/params.h"
#include "nemesis/registry.h"
#include "nemesis/throttle-work.h"

#define THROTTLE_PERCENT_MAX 60
/* Looks at the process, 10 ms apart. */
#define THROTTLE_LOOKS 100
#define THROTTLE_LOOK_NS (10 * NS_PER_MS)
/* The work of an emulated guest takes about as many ms as there are rounds for
 * each percent of its time, so that it is as long under any throttle. */
#define THROTTLE_ROUNDS_PER_PERCENT 500
#define THROTTLE_WORK_TRIES 3
/* A busy moment of the host passes. */
#define THROTTLE_EFFECT_NS (15 * NS_PER_S)
#define THROTTLE_POLL_NS (500 * NS_PER_MS)
#define THROTTLE_STAT_BYTES_MAX 65536

struct throttle_state {
    unsigned percent;
    struct throttle_work before[NODE_COUNT_MAX];
};

static int
throttle_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"percent", NULL};
    double percent = 20;
    struct throttle_state *s;

    if (params_number(f->params, "percent", 1, THROTTLE_PERCENT_MAX, &percent,
                      err) < 0 ||
        params_check_keys(f->params, keys, err) < 0)
        return -1;
    s = xcalloc(1, sizeof(*s));
    s->percent = (unsigned)percent;
    f->state = s;
    return 0;
}

static bool
throttle_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_THROTTLE) &&
           machine_can(w->provider, MACHINE_LOOK);
}

/* ---- the guest's side ---- */

static const struct guest_script throttle_work_script = {
    .name = "ordeal-work",
    .text = "i=0; while [ $i -lt \"$1\" ]; do i=$((i + 1)); done\n",
};

/* 0 where the host does not say: then it counts as busy.  Machines have the
 * priority of the driver that started them. */
static double
throttle_host_free_s(void)
{
    struct error ignored;
    CLEANUP_FREE char *text =
        file_read("/proc/stat", THROTTLE_STAT_BYTES_MAX, NULL, &ignored);
    double ticks = 0;

    if (text == NULL ||
        !throttle_free_ticks(text, getpriority(PRIO_PROCESS, 0) > 0, &ticks))
        return 0;
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

static int
throttle_work_once(const struct fault_world *w, unsigned node,
                   const char *rounds, double *ret_ms, struct error *err)
{
    const char *const args[] = {rounds, NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    int64_t begin_ns = clock_now_ns(w->clock);

    exec_result_init(&result);
    if (guest_script(&w->remotes[node], &throttle_work_script, args, &result,
                     err) < 0)
        return -1;
    if (result.status != 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': the piece of work failed: %.100s",
                         w->cluster->nodes[node].name, buf_text(&result.err));
    *ret_ms = (double)(clock_now_ns(w->clock) - begin_ns) / (double)NS_PER_MS;
    return 0;
}

/* A node that is no target; -1: there is none. */
static int
throttle_control_node(const struct fault *f)
{
    for (unsigned i = 0; i < f->world->cluster->node_count; i++)
        if (!(f->targets >> i & 1))
            return (int)i;
    return -1;
}

/* The same on the control, which may not answer: then there is none. */
static double
throttle_control_once(const struct fault *f, const char *rounds)
{
    int node = throttle_control_node(f);
    struct error ignored = {0};
    double ms = 0;

    if (node >= 0)
        throttle_work_once(f->world, (unsigned)node, rounds, &ms, &ignored);
    return ms;
}

/*
 * The fastest of a few, here and there: other work in a guest or on the host
 * only adds.
 */
static int
throttle_measure(const struct fault *f, unsigned node,
                 struct throttle_work *ret, struct error *err)
{
    const struct throttle_state *s = f->state;
    struct throttle_work best = {0};
    char rounds[16];

    snprintf(rounds, sizeof(rounds), "%u",
             s->percent * THROTTLE_ROUNDS_PER_PERCENT);
    for (int i = 0; i < THROTTLE_WORK_TRIES; i++) {
        double free_s = throttle_host_free_s(), ms = 0, control_ms;

        if (throttle_work_once(f->world, node, rounds, &ms, err) < 0)
            return -1;
        if (best.ms <= 0 || ms < best.ms) {
            best.ms = ms;
            best.free_cpus = (throttle_host_free_s() - free_s) / (ms / 1000);
        }
        control_ms = throttle_control_once(f, rounds);
        if (best.control_ms <= 0 ||
            (control_ms > 0 && control_ms < best.control_ms))
            best.control_ms = control_ms;
    }
    *ret = best;
    return 0;
}

/* ---- on and off ---- */

static int
throttle_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    const struct throttle_state *s = f->state;

    return machine_throttle(f->world->provider, node, s->percent, err);
}

/* Node by node: they share the control. */
static int
throttle_inject(struct fault *f, struct error *err)
{
    struct throttle_state *s = f->state;

    for (unsigned i = 0; i < f->world->cluster->node_count; i++)
        if ((f->targets >> i & 1) &&
            throttle_measure(f, i, &s->before[i], err) < 0)
            return -1;
    return fanout(f->targets, throttle_node, f, err);
}

static int
throttle_heal_node(void *ctx, unsigned node, struct error *err)
{
    return machine_throttle(((struct fault *)ctx)->world->provider, node, 100,
                            err);
}

static int
throttle_heal(struct fault *f, struct error *err)
{
    return fanout(f->targets, throttle_heal_node, f, err);
}

/* ---- proofs ---- */

static bool
throttle_is_stopped(pid_t pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
    struct error ignored;
    CLEANUP_FREE char *text = file_read(path, 4096, NULL, &ignored);
    const char *name_end = text == NULL ? NULL : strrchr(text, ')');

    return name_end != NULL && name_end[1] == ' ' && name_end[2] == 'T';
}

/* In how many of a hundred looks the host's process table has it stopped. */
static unsigned
throttle_count_stopped(struct clock *clock, pid_t pid)
{
    unsigned count = 0;

    for (int i = 0; i < THROTTLE_LOOKS; i++) {
        count += throttle_is_stopped(pid);
        clock_sleep_ns(clock, THROTTLE_LOOK_NS);
    }
    return count * 100 / THROTTLE_LOOKS;
}

/* Both looks at one node.  *ret_runs: there is a machine. */
static int
throttle_look(struct fault *f, unsigned node, bool *ret_runs,
              unsigned *ret_stopped, struct throttle_work *ret,
              struct error *err)
{
    const struct throttle_state *s = f->state;
    const struct throttle_work *before = &s->before[node];
    struct machine_view view = {.state = MACHINE_OFF};

    if (machine_look(f->world->provider, node, &view, err) < 0)
        return -1;
    *ret_runs = view.pid != 0;
    *ret_stopped =
        view.pid == 0 ? 0 : throttle_count_stopped(f->world->clock, view.pid);
    if (throttle_measure(f, node, ret, err) < 0)
        return -1;
    json_object_set_new(
        f->evidence, f->world->cluster->nodes[node].name,
        json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "stopped_percent",
                  (int)*ret_stopped, "work_ms_before", before->ms, "work_ms",
                  ret->ms, "control_ms_before", before->control_ms,
                  "control_ms", ret->control_ms, "host_cpus_free_before",
                  before->free_cpus, "host_cpus_free", ret->free_cpus));
    return 0;
}

static int
throttle_look_effect(struct fault *f, unsigned node, enum proof *ret,
                     struct error *err)
{
    const struct throttle_state *s = f->state;
    struct throttle_work work = {0};
    unsigned stopped = 0;
    enum proof table;
    bool runs = false;

    if (throttle_look(f, node, &runs, &stopped, &work, err) < 0)
        return -1;
    /* Half of what was ordered is more than any noise leaves of it. */
    table = runs && stopped >= (100 - s->percent) / 2 ? PROOF_CONFIRMED
                                                      : PROOF_MISMATCH;
    *ret = proof_merge(
        table, throttle_judge_effect(&s->before[node], &work, s->percent));
    return 0;
}

static int
throttle_look_healed(struct fault *f, unsigned node, enum proof *ret,
                     struct error *err)
{
    const struct throttle_state *s = f->state;
    struct throttle_work work = {0};
    unsigned stopped = 0;
    bool runs = false;

    if (throttle_look(f, node, &runs, &stopped, &work, err) < 0)
        return -1;
    *ret = runs && stopped == 0 &&
                   !throttle_still_slow(&s->before[node], &work, s->percent)
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    return 0;
}

static int
throttle_all_effect(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, throttle_look_effect, ret, err);
}

static int
throttle_all_healed(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, throttle_look_healed, ret, err);
}

static int
throttle_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
               struct error *err)
{
    if (phase == FAULT_EFFECT)
        return fault_prove_until(f, phase, THROTTLE_EFFECT_NS, THROTTLE_POLL_NS,
                                 throttle_all_effect, ret, err);
    return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, THROTTLE_POLL_NS,
                             throttle_all_healed, ret, err);
}

/* The last slice of a driver that died may have been one of standing still. */
static int
throttle_undo(const struct fault_world *w, const json_t *record,
              struct error *err)
{
    node_set nodes;

    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    for (unsigned i = 0; i < w->cluster->node_count; i++) {
        CLEANUP_FREE char *name =
            xasprintf("ordeal-%s-n%u", w->cluster->run_id, i + 1);
        int pid, fd = nodes >> i & 1 ? orphans_open_machine(name, &pid) : -1;

        if (fd < 0)
            continue;
        syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0);
        close(fd);
    }
    return 0;
}

const struct fault_ops fault_vm_throttle_ops = {
    .name = "vm-throttle",
    .description = "a machine gets a share of its time, in slices",
    .setup = throttle_setup,
    .available = throttle_available,
    .undo_record = daemon_undo_record,
    .inject = throttle_inject,
    .prove = throttle_prove,
    .heal = throttle_heal,
    .undo = throttle_undo,
    .teardown = daemon_teardown,
};
