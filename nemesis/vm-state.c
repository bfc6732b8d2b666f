/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-pause, vm-balloon, vm-link-down: the machine goes on, but with less: no
 * time, little memory, no network.
 *
 * Happy path: order it, see it from the other side: the monitor's own word
 * (pause), the monitor's count and the guest's /proc/meminfo (balloon), the
 * guest's carrier and connects between nodes (link).  Healed: the same looks
 * show what they showed before.
 *
 * Failure modes: a machine that ended meanwhile is a mismatch.  After the
 * driver's death they end with the machine, which 'recover' ends.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/provider/machine.h"
#include "nemesis/daemon.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/params.h"
#include "nemesis/probe.h"
#include "nemesis/registry.h"

#define VM_POLL_NS (200 * NS_PER_MS)
#define VM_STATE_NS (5 * NS_PER_S)
/* A guest under load gives its memory back slowly. */
#define VM_BALLOON_NS (15 * NS_PER_S)
#define VM_BALLOON_MIB_MIN 64
#define VM_MEMINFO_BYTES_MAX 4096

struct vm_state {
    unsigned mib;
    uint64_t memory_bytes[NODE_COUNT_MAX]; /* by the monitor, before */
    uint64_t total_kib[NODE_COUNT_MAX];    /* by the guest, before */
};

/* What the proofs of all three are made of: one look at one node. */
typedef int vm_look_fn(struct fault *f, unsigned node, bool healed,
                       enum proof *ret, struct error *err);

static int
vm_look_all(struct fault *f, vm_look_fn *look, bool healed, enum proof *ret,
            struct error *err)
{
    enum proof proof = PROOF_CONFIRMED;

    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        enum proof node = PROOF_INCONCLUSIVE;

        if (!(f->targets >> i & 1))
            continue;
        if (look(f, i, healed, &node, err) < 0)
            return -1;
        proof = proof_merge(proof, node);
    }
    *ret = proof;
    return 0;
}

static int
vm_setup(struct fault *f, const char *const keys[], struct error *err)
{
    if (params_check_keys(f->params, keys, err) < 0)
        return -1;
    f->state = xcalloc(1, sizeof(struct vm_state));
    return 0;
}

/* The guest's own machines are gone with the driver: 'recover' ends them. */
static int
vm_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    node_set nodes;

    return node_set_from_json(w->cluster, json_object_get(record, "nodes"),
                              &nodes, err);
}

#define VM_OPS .undo_record = daemon_undo_record, .teardown = daemon_teardown

/* ---- vm-pause ---- */

static int
vm_pause_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {NULL};

    return vm_setup(f, keys, err);
}

static bool
vm_pause_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_PAUSE) &&
           machine_can(w->provider, MACHINE_LOOK);
}

static int
vm_pause_node(void *ctx, unsigned node, struct error *err)
{
    return machine_pause(((struct fault *)ctx)->world->provider, node, err);
}

static int
vm_pause_inject(struct fault *f, struct error *err)
{
    return fanout(f->targets, vm_pause_node, f, err);
}

static int
vm_pause_heal_node(void *ctx, unsigned node, struct error *err)
{
    return machine_resume(((struct fault *)ctx)->world->provider, node, err);
}

static int
vm_pause_heal(struct fault *f, struct error *err)
{
    return fanout(f->targets, vm_pause_heal_node, f, err);
}

/* Healed also means that the guest answers. */
static int
vm_pause_look(struct fault *f, unsigned node, bool healed, enum proof *ret,
              struct error *err)
{
    struct machine_view view = {.state = MACHINE_OFF};
    struct guest_process init = {0};

    if (machine_look(f->world->provider, node, &view, err) < 0)
        return -1;
    json_object_set_new(
        f->evidence, f->world->cluster->nodes[node].name,
        json_pack("{s:s, s:i}", "status", view.status, "pid", (int)view.pid));
    *ret = view.state == (healed ? MACHINE_RUNNING : MACHINE_PAUSED)
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    if (!healed || *ret != PROOF_CONFIRMED)
        return 0;
    return guest_process_look(&f->world->remotes[node], 1, &init, err);
}

static int
vm_pause_look_effect(struct fault *f, enum proof *ret, struct error *err)
{
    return vm_look_all(f, vm_pause_look, false, ret, err);
}

static int
vm_pause_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    return vm_look_all(f, vm_pause_look, true, ret, err);
}

static int
vm_pause_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
               struct error *err)
{
    if (phase == FAULT_EFFECT)
        return vm_pause_look_effect(f, ret, err);
    return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, VM_POLL_NS,
                             vm_pause_look_healed, ret, err);
}

const struct fault_ops fault_vm_pause_ops = {
    .name = "vm-pause",
    .description = "all CPUs of a machine stand still",
    .takes_nodes_down = true,
    .setup = vm_pause_setup,
    .available = vm_pause_available,
    .inject = vm_pause_inject,
    .prove = vm_pause_prove,
    .heal = vm_pause_heal,
    .undo = vm_undo,
    VM_OPS,
};

/* ---- vm-balloon ---- */

static int
balloon_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"memory", NULL};
    double mib = 128;

    if (params_number(f->params, "memory", VM_BALLOON_MIB_MIN, 1 << 20, &mib,
                      err) < 0 ||
        vm_setup(f, keys, err) < 0)
        return -1;
    ((struct vm_state *)f->state)->mib = (unsigned)mib;
    return 0;
}

static bool
balloon_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_BALLOON) &&
           machine_can(w->provider, MACHINE_LOOK);
}

/* What the guest's kernel has to give away. */
static int
balloon_total(const struct fault_world *w, unsigned node, uint64_t *ret_kib,
              struct error *err)
{
    static const char *const argv[] = {GUEST_BUSYBOX, "cat", "/proc/meminfo",
                                       NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (guest_exec(&w->remotes[node], argv, NULL, &result, err) < 0)
        return -1;
    if (sscanf(buf_text(&result.out), "MemTotal: %" SCNu64, ret_kib) == 1)
        return 0;
    return error_set(err, ERROR_ENVIRONMENT,
                     "node '%s': its /proc/meminfo is not understood",
                     w->cluster->nodes[node].name);
}

static int
balloon_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct vm_state *s = f->state;
    struct machine_view view = {.state = MACHINE_OFF};

    if (machine_look(f->world->provider, node, &view, err) < 0 ||
        balloon_total(f->world, node, &s->total_kib[node], err) < 0)
        return -1;
    if (view.memory_bytes >> 20 <= s->mib)
        return error_set(err, ERROR_CONFIG,
                         "node '%s' has %" PRIu64 " MiB, and is to be left %u",
                         f->world->cluster->nodes[node].name,
                         view.memory_bytes >> 20, s->mib);
    s->memory_bytes[node] = view.memory_bytes;
    return machine_balloon(f->world->provider, node, s->mib, err);
}

static int
balloon_inject(struct fault *f, struct error *err)
{
    return fanout(f->targets, balloon_node, f, err);
}

static int
balloon_heal_node(void *ctx, unsigned node, struct error *err)
{
    return machine_balloon(((struct fault *)ctx)->world->provider, node, 0,
                           err);
}

static int
balloon_heal(struct fault *f, struct error *err)
{
    return fanout(f->targets, balloon_heal_node, f, err);
}

/* Half of what was ordered is gone, by both counts; or all is back. */
static int
balloon_look(struct fault *f, unsigned node, bool healed, enum proof *ret,
             struct error *err)
{
    const struct vm_state *s = f->state;
    uint64_t before = s->memory_bytes[node], kib = 0, wanted;
    struct machine_view view = {.state = MACHINE_OFF};
    bool good;

    if (machine_look(f->world->provider, node, &view, err) < 0 ||
        balloon_total(f->world, node, &kib, err) < 0)
        return -1;
    wanted = before - (before - ((uint64_t)s->mib << 20)) / 2;
    good = healed ? before == 0 || (view.memory_bytes == before &&
                                    kib + 1024 >= s->total_kib[node])
                  : view.memory_bytes <= wanted &&
                        kib <= s->total_kib[node] - (before - wanted) / 1024;
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        json_pack("{s:I, s:I, s:I, s:I}", "machine_mib_before",
                                  (json_int_t)(before >> 20), "machine_mib",
                                  (json_int_t)(view.memory_bytes >> 20),
                                  "guest_kib_before",
                                  (json_int_t)s->total_kib[node], "guest_kib",
                                  (json_int_t)kib));
    *ret = good ? PROOF_CONFIRMED : PROOF_MISMATCH;
    return 0;
}

static int
balloon_look_effect(struct fault *f, enum proof *ret, struct error *err)
{
    return vm_look_all(f, balloon_look, false, ret, err);
}

static int
balloon_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    return vm_look_all(f, balloon_look, true, ret, err);
}

static int
balloon_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
              struct error *err)
{
    return fault_prove_until(f, phase, VM_BALLOON_NS, VM_POLL_NS,
                             phase == FAULT_EFFECT ? balloon_look_effect
                                                   : balloon_look_healed,
                             ret, err);
}

const struct fault_ops fault_vm_balloon_ops = {
    .name = "vm-balloon",
    .description = "a balloon takes memory from a guest",
    .setup = balloon_setup,
    .available = balloon_available,
    .inject = balloon_inject,
    .prove = balloon_prove,
    .heal = balloon_heal,
    .undo = vm_undo,
    VM_OPS,
};

/* ---- vm-link-down ---- */

static bool
link_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_LINK) &&
           w->system->peer_port != 0 && w->cluster->node_count > 1;
}

static int
link_down_node(void *ctx, unsigned node, struct error *err)
{
    return machine_link(((struct fault *)ctx)->world->provider, node, false,
                        err);
}

static int
link_inject(struct fault *f, struct error *err)
{
    return fanout(f->targets, link_down_node, f, err);
}

static int
link_up_node(void *ctx, unsigned node, struct error *err)
{
    return machine_link(((struct fault *)ctx)->world->provider, node, true,
                        err);
}

static int
link_heal(struct fault *f, struct error *err)
{
    return fanout(f->targets, link_up_node, f, err);
}

static int
link_carrier(struct fault *f, unsigned node, bool healed, enum proof *ret,
             struct error *err)
{
    const struct node *n = &f->world->cluster->nodes[node];
    CLEANUP_FREE char *path =
        xasprintf("/sys/class/net/%s/carrier", n->cluster_interface);
    const char *const argv[] = {GUEST_BUSYBOX, "cat", path, NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    int carrier;

    exec_result_init(&result);
    if (guest_exec(&f->world->remotes[node], argv, NULL, &result, err) < 0)
        return -1;
    if (result.status != 0 || sscanf(buf_text(&result.out), "%d", &carrier) < 1)
        return error_set(err, ERROR_ENVIRONMENT, "node '%s': '%s': %.100s",
                         n->name, path, buf_text(&result.err));
    json_object_set_new(f->evidence, n->name,
                        json_pack("{s:i}", "carrier", carrier));
    *ret = (carrier == 1) == healed ? PROOF_CONFIRMED : PROOF_MISMATCH;
    return 0;
}

static int
link_look(struct fault *f, bool healed, enum proof *ret, struct error *err)
{
    unsigned count = f->world->cluster->node_count;
    struct probe_matrix matrix;
    enum proof proof = PROOF_INCONCLUSIVE;

    if (vm_look_all(f, link_carrier, healed, &proof, err) < 0 ||
        probe_pairs(f->world, &matrix, err) < 0)
        return -1;
    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++) {
            bool cut =
                !healed && (f->targets >> from & 1 || f->targets >> to & 1);
            enum probe_result r = matrix.result[from][to];
            char pair[32];

            if (from == to)
                continue;
            snprintf(pair, sizeof(pair), "n%u>n%u", from + 1, to + 1);
            json_object_set_new(f->evidence, pair, json_string(probe_name(r)));
            if (r == PROBE_UNKNOWN && !cut)
                proof = proof_merge(proof, PROOF_INCONCLUSIVE);
            else if ((r == PROBE_OPEN) == cut)
                proof = PROOF_MISMATCH;
        }
    *ret = proof;
    return 0;
}

static int
link_look_effect(struct fault *f, enum proof *ret, struct error *err)
{
    return link_look(f, false, ret, err);
}

static int
link_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    return link_look(f, true, ret, err);
}

static int
link_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
           struct error *err)
{
    return fault_prove_until(
        f, phase, phase == FAULT_EFFECT ? VM_STATE_NS : FAULT_HEAL_TIMEOUT_NS,
        VM_POLL_NS, phase == FAULT_EFFECT ? link_look_effect : link_look_healed,
        ret, err);
}

const struct fault_ops fault_vm_link_down_ops = {
    .name = "vm-link-down",
    .description = "the cable of a machine's cluster NIC is pulled",
    .takes_nodes_down = true,
    .setup = vm_pause_setup,
    .available = link_available,
    .inject = link_inject,
    .prove = link_prove,
    .heal = link_heal,
    .undo = vm_undo,
    VM_OPS,
};
