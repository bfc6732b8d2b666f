/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-rollback: the targets' data disks are set back to what they were a moment
 * ago, as an operator does who restores a snapshot: what was acknowledged
 * since then is lost, although the machine did all it must.
 *
 *   inject: mark "before" -> pause (flushes) -> copy the image -> resume
 *           -> age -> mark "after" -> power cut -> copy back -> power on
 *   heal:   the daemon is started
 *
 * Happy path: the guest runs in another boot and finds the mark of before.
 *
 * Failure modes: a disk that does not flush when its machine is paused is not
 * copied.  Whatever fails half way: the heal powers the machine on with the
 * disk it has.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/provider/machine.h"
#include "nemesis/boot.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/params.h"
#include "nemesis/platter/platter.h"
#include "nemesis/registry.h"

#define ROLLBACK_TIMEOUT_NS (10 * NS_PER_S)
#define ROLLBACK_AGE_NS_MAX (20 * NS_PER_S)
#define ROLLBACK_COPY_BYTES (1u << 20)
#define ROLLBACK_MARK "/data/.ordeal-rollback"

struct rollback {
    struct boot_fault boot;
    int64_t age_ns;
    bool off[NODE_COUNT_MAX]; /* its power was taken, and not yet given back */
};

static int
rollback_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"age", NULL};
    struct rollback *r;

    if (boot_setup(f, sizeof(*r), keys, err) < 0)
        return -1;
    r = f->state;
    r->age_ns = 2 * NS_PER_S;
    if (params_duration(f->params, "age", &r->age_ns, err) == 0 &&
        (r->age_ns <= ROLLBACK_AGE_NS_MAX ||
         error_set(err, ERROR_CONFIG, "age: at most 20s") == 0))
        return 0;
    daemon_teardown(f);
    return -1;
}

static bool
rollback_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_PLATTER) &&
           machine_can(w->provider, MACHINE_PAUSE) &&
           machine_can(w->provider, MACHINE_KILL) && daemon_available(w);
}

/* ---- the image ---- */

/* Copies what 'from' holds into 'to', whose other bytes become holes. */
static int
rollback_copy_open(int from, int to, const char *what, struct error *err)
{
    CLEANUP_FREE char *chunk = xcalloc(1, ROLLBACK_COPY_BYTES);
    struct stat st;
    off_t at = 0;

    if (fstat(from, &st) < 0 || ftruncate(to, 0) < 0 ||
        ftruncate(to, st.st_size) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", what);
    while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
        off_t end = lseek(from, at, SEEK_HOLE);

        while (at < end) {
            size_t wanted = (size_t)(end - at) < ROLLBACK_COPY_BYTES
                                ? (size_t)(end - at)
                                : ROLLBACK_COPY_BYTES;
            ssize_t n = pread(from, chunk, wanted, at);

            if (n <= 0 || pwrite(to, chunk, (size_t)n, at) != n)
                return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", what);
            at += n;
        }
    }
    return errno == ENXIO
               ? 0
               : error_errno(err, ERROR_ENVIRONMENT, errno, "%s", what);
}

/* The target keeps its inode: the platter has it open. */
static int
rollback_copy(const char *from_path, const char *to_path, struct error *err)
{
    CLEANUP_CLOSE int from = open(from_path, O_RDONLY | O_CLOEXEC);
    CLEANUP_CLOSE int to = open(to_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (from < 0 || to < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s",
                           from < 0 ? from_path : to_path);
    return rollback_copy_open(from, to, to_path, err);
}

static char *
rollback_snapshot_path(const struct fault_world *w, unsigned node)
{
    return xasprintf("%s/n%u-snapshot.img", w->cluster->runtime_dir, node + 1);
}

/* ---- inject ---- */

static int64_t
rollback_deadline(const struct fault_world *w)
{
    return clock_now_ns(w->clock) + ROLLBACK_TIMEOUT_NS;
}

static int
rollback_mark(const struct fault_world *w, unsigned node, const char *text,
              struct error *err)
{
    static const struct guest_script script = {
        .name = "ordeal-mark",
        .text = "echo \"$1\" >" ROLLBACK_MARK " && " GUEST_BUSYBOX " sync\n",
    };
    const char *const args[] = {text, NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (guest_script(&w->remotes[node], &script, args, &result, err) < 0)
        return -1;
    if (result.status == 0)
        return 0;
    return error_set(err, ERROR_ENVIRONMENT, "node '%s': mark: %.200s",
                     w->cluster->nodes[node].name, buf_text(&result.err));
}

/* The machine is paused: nothing of its disk is under way. */
static int
rollback_save_paused(const struct fault_world *w, unsigned node,
                     struct error *err)
{
    CLEANUP_FREE char *path = rollback_snapshot_path(w, node);
    json_t *stats = platter_command(machine_platter(w->provider, node),
                                    rollback_deadline(w), err, "stats");
    json_int_t records =
        json_integer_value(json_object_get(stats, "log_records"));

    json_decref(stats);
    if (stats == NULL)
        return -1;
    if (records > 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': %lld writes of a paused machine are not "
                         "flushed",
                         w->cluster->nodes[node].name, (long long)records);
    return rollback_copy(machine_disk(w->provider, node), path, err);
}

static int
rollback_save(void *ctx, unsigned node, struct error *err)
{
    const struct fault_world *w = ((struct fault *)ctx)->world;
    struct error ignored;
    int rc;

    if (rollback_mark(w, node, "before", err) < 0 ||
        machine_pause(w->provider, node, err) < 0)
        return -1;
    rc = rollback_save_paused(w, node, err);
    if (machine_resume(w->provider, node, rc == 0 ? err : &ignored) < 0)
        return -1;
    return rc;
}

static int
rollback_restore(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct rollback *r = f->state;
    const struct fault_world *w = f->world;
    const struct platter *p = machine_platter(w->provider, node);
    const struct cut_spec drop = {.policy = CUT_DROP, .unit_bytes = 512};
    CLEANUP_FREE char *path = rollback_snapshot_path(w, node);
    struct cut_result cut;

    if (rollback_mark(w, node, "after", err) < 0)
        return -1;
    r->off[node] = true;
    if (platter_cut(p, &drop, rollback_deadline(w), &cut, err) < 0 ||
        machine_kill(w->provider, node, err) < 0 ||
        provider_power_off(w->provider, node, err) < 0 ||
        rollback_copy(path, machine_disk(w->provider, node), err) < 0 ||
        platter_power_on(p, rollback_deadline(w), err) < 0 ||
        provider_power_on(w->provider, node, err) < 0 ||
        boot_wait(w, node, r->boot.before[node], err) < 0)
        return -1;
    r->off[node] = false;
    unlink(path);
    return 0;
}

static int
rollback_inject(struct fault *f, struct error *err)
{
    const struct rollback *r = f->state;

    if (boot_remember(f, err) < 0 ||
        fanout(f->targets, rollback_save, f, err) < 0)
        return -1;
    clock_sleep_ns(f->world->clock, r->age_ns);
    return fanout(f->targets, rollback_restore, f, err);
}

/* ---- proofs ---- */

static int
rollback_prove_effect(struct fault *f, enum proof *ret, struct error *err)
{
    static const char *const argv[] = {GUEST_BUSYBOX, "cat", ROLLBACK_MARK,
                                       NULL};
    enum proof proof = PROOF_INCONCLUSIVE;

    if (boot_prove_restarted(f, &proof, err) < 0)
        return -1;
    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        CLEANUP(exec_result_release) struct exec_result result;
        const char *name = f->world->cluster->nodes[i].name;

        exec_result_init(&result);
        if (!(f->targets >> i & 1))
            continue;
        if (guest_exec(&f->world->remotes[i], argv, NULL, &result, err) < 0)
            return -1;
        json_object_set_new(json_object_get(f->evidence, name), "mark",
                            json_stringn(buf_text(&result.out),
                                         strcspn(buf_text(&result.out), "\n")));
        if (strcmp(buf_text(&result.out), "before\n") != 0)
            proof = PROOF_MISMATCH;
    }
    *ret = proof;
    return 0;
}

static int
rollback_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
               struct error *err)
{
    return phase == FAULT_EFFECT ? rollback_prove_effect(f, ret, err)
                                 : boot_prove_up(f, ret, err);
}

/* ---- heal ---- */

static int
rollback_heal_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct rollback *r = f->state;
    const struct fault_world *w = f->world;
    CLEANUP_FREE char *path = rollback_snapshot_path(w, node);

    if (r->off[node] && (machine_kill(w->provider, node, err) < 0 ||
                         provider_power_off(w->provider, node, err) < 0 ||
                         platter_power_on(machine_platter(w->provider, node),
                                          rollback_deadline(w), err) < 0 ||
                         provider_power_on(w->provider, node, err) < 0))
        return -1;
    r->off[node] = false;
    unlink(path);
    if (machine_resume(w->provider, node, err) < 0 ||
        boot_wait(w, node, "", err) < 0)
        return -1;
    return daemon_restart(w, 1u << node, err);
}

static int
rollback_heal(struct fault *f, struct error *err)
{
    return fanout(f->targets, rollback_heal_node, f, err);
}

/* What a daemon finds may not be what its peers know of it. */
static const int rollback_may_exit[] = {76, 0};

const struct fault_ops fault_vm_rollback_ops = {
    .name = "vm-rollback",
    .description = "the data disk of a machine is set back to a snapshot",
    .takes_nodes_down = true,
    .breaks_durability = true,
    .may_exit = rollback_may_exit,
    .reboots = true,
    .setup = rollback_setup,
    .available = rollback_available,
    .undo_record = daemon_undo_record,
    .inject = rollback_inject,
    .prove = rollback_prove,
    .heal = rollback_heal,
    .undo = boot_undo,
    .teardown = daemon_teardown,
};
