/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-reset, vm-nmi: the guest's life ends, its disk keeps its power, so that
 * what was written and not flushed stays: the crash of an operating system.
 *
 * Happy path: vm-reset presses the button, and the guest comes up again by
 * itself, without its daemon, which the heal starts.  vm-nmi lets the guest's
 * kernel panic and stay so, which its console says; the heal ends the machine,
 * starts it anew, and then the daemon.
 *
 * Failure modes: a guest that does not come up again after a reset fails the
 * inject; the heal then powers it off and on.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/file.h"
#include "harness/provider/machine.h"
#include "nemesis/boot.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/registry.h"

#define RESTART_PANIC_NS (5 * NS_PER_S)
#define RESTART_POLL_NS (100 * NS_PER_MS)
#define RESTART_CONSOLE_BYTES_MAX (16 << 20)

struct restart {
    struct boot_fault boot;
    bool hangs[NODE_COUNT_MAX]; /* until the machine is started anew */
    size_t console_len[NODE_COUNT_MAX];
};

static int
restart_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {NULL};

    return boot_setup(f, sizeof(struct restart), keys, err);
}

/* ---- heal, of both ---- */

static int
restart_heal_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct restart *r = f->state;
    const struct fault_world *w = f->world;

    if (r->hangs[node] && (machine_kill(w->provider, node, err) < 0 ||
                           provider_power_off(w->provider, node, err) < 0))
        return -1;
    r->hangs[node] = false;
    if (provider_power_on(w->provider, node, err) < 0 ||
        boot_wait(w, node, "", err) < 0)
        return -1;
    return daemon_restart(w, 1u << node, err);
}

static int
restart_heal(struct fault *f, struct error *err)
{
    return fanout(f->targets, restart_heal_node, f, err);
}

/* ---- vm-reset ---- */

static bool
reset_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_RESET) &&
           machine_can(w->provider, MACHINE_KILL) && daemon_available(w);
}

static int
reset_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct restart *r = f->state;

    r->hangs[node] = true; /* until it is seen to be up */
    if (machine_reset(f->world->provider, node, err) < 0 ||
        boot_wait(f->world, node, r->boot.before[node], err) < 0)
        return -1;
    r->hangs[node] = false;
    return 0;
}

static int
reset_inject(struct fault *f, struct error *err)
{
    if (boot_remember(f, err) < 0)
        return -1;
    return fanout(f->targets, reset_node, f, err);
}

static int
reset_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
            struct error *err)
{
    return phase == FAULT_EFFECT ? boot_prove_restarted(f, ret, err)
                                 : boot_prove_up(f, ret, err);
}

const struct fault_ops fault_vm_reset_ops = {
    .name = "vm-reset",
    .description = "the reset button of a machine; the daemon stays down",
    .takes_nodes_down = true,
    .reboots = true,
    .setup = restart_setup,
    .available = reset_available,
    .undo_record = daemon_undo_record,
    .inject = reset_inject,
    .prove = reset_prove,
    .heal = restart_heal,
    .undo = boot_undo,
    .teardown = daemon_teardown,
};

/* ---- vm-nmi ---- */

/* No reboot after the panic: the guest is dead until somebody comes. */
static const struct guest_script nmi_script = {
    .name = "ordeal-nmi",
    .text = "echo 0 > /proc/sys/kernel/panic &&\n"
            "echo 1 > /proc/sys/kernel/unknown_nmi_panic &&\n"
            "echo 1 > /proc/sys/kernel/panic_on_unrecovered_nmi\n",
};

static bool
nmi_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_NMI) &&
           machine_can(w->provider, MACHINE_KILL) &&
           machine_can(w->provider, MACHINE_LOOK) && daemon_available(w);
}

static int
nmi_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct restart *r = f->state;
    static const char *const none[] = {NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    struct stat st;

    exec_result_init(&result);
    if (guest_script(&f->world->remotes[node], &nmi_script, none, &result,
                     err) < 0)
        return -1;
    if (result.status != 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': its kernel does not panic at an NMI: "
                         "%.200s",
                         f->world->cluster->nodes[node].name,
                         buf_text(&result.err));
    if (stat(f->world->cluster->nodes[node].console_path, &st) == 0)
        r->console_len[node] = (size_t)st.st_size;
    r->hangs[node] = true;
    return machine_nmi(f->world->provider, node, err);
}

static int
nmi_inject(struct fault *f, struct error *err)
{
    if (boot_remember(f, err) < 0)
        return -1;
    return fanout(f->targets, nmi_node, f, err);
}

/* The machine runs, and the last words of its guest are those of a panic. */
static int
nmi_look_at(struct fault *f, unsigned node, enum proof *ret, struct error *err)
{
    const struct restart *r = f->state;
    const struct node *n = &f->world->cluster->nodes[node];
    struct machine_view view = {.state = MACHINE_OFF};
    size_t len = 0;
    CLEANUP_FREE char *console = NULL;
    const char *panic = NULL;

    if (machine_look(f->world->provider, node, &view, err) < 0)
        return -1;
    console = file_read(n->console_path, RESTART_CONSOLE_BYTES_MAX, &len, err);
    if (console == NULL)
        return -1;
    if (len > r->console_len[node])
        panic = strstr(console + r->console_len[node], "Kernel panic");
    json_object_set_new(
        f->evidence, n->name,
        json_pack("{s:s, s:o}", "machine", view.status, "console",
                  panic == NULL ? json_null()
                                : json_stringn(panic, strcspn(panic, "\r\n"))));
    *ret = panic != NULL && r->hangs[node] && view.state != MACHINE_OFF
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    return 0;
}

static int
nmi_look(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, nmi_look_at, ret, err);
}

static int
nmi_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
          struct error *err)
{
    if (phase == FAULT_HEALED)
        return boot_prove_up(f, ret, err);
    return fault_prove_until(f, phase, RESTART_PANIC_NS, RESTART_POLL_NS,
                             nmi_look, ret, err);
}

const struct fault_ops fault_vm_nmi_ops = {
    .name = "vm-nmi",
    .description = "an NMI at which the guest's kernel panics and stays so",
    .takes_nodes_down = true,
    .reboots = true,
    .setup = restart_setup,
    .available = nmi_available,
    .undo_record = daemon_undo_record,
    .inject = nmi_inject,
    .prove = nmi_prove,
    .heal = restart_heal,
    .undo = boot_undo,
    .teardown = daemon_teardown,
};
