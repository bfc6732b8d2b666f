/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: note boot id and daemon, let the fault act, ask again until the
 * guest answers with another boot id.
 *
 * Failure modes: a guest that does not come back within BOOT_TIMEOUT_NS is an
 * error of the heal, which is tried again.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/boot.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/params.h"

#define BOOT_POLL_NS (200 * NS_PER_MS)

int
boot_setup(struct fault *f, size_t size, const char *const keys[],
           struct error *err)
{
    if (params_check_keys(f->params, keys, err) < 0)
        return -1;
    f->state = xcalloc(1, size);
    return 0;
}

int
boot_id(const struct fault_world *w, unsigned node,
        char ret[static BOOT_ID_SIZE], struct error *err)
{
    struct guest_process init = {0};

    if (guest_process_look(&w->remotes[node], 1, &init, err) < 0)
        return -1;
    snprintf(ret, BOOT_ID_SIZE, "%s", init.boot_id);
    return 0;
}

static int
boot_remember_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct boot_fault *b = f->state;
    struct system_node n = world_node(f->world, node);
    struct process_id id = {0};

    if (f->world->system->process(&n, &id, err) < 0 ||
        boot_id(f->world, node, b->before[node], err) < 0)
        return -1;
    id.starts = 0; /* the next boot counts anew */
    b->daemon.before[node] = id;
    b->daemon.acted[node] = id.pid != 0;
    return 0;
}

int
boot_remember(struct fault *f, struct error *err)
{
    return fanout(f->targets, boot_remember_node, f, err);
}

struct boot_look {
    const struct fault_world *world;
    unsigned node;
    const char *before;
    struct error err;
};

static bool
boot_is_another(void *ctx)
{
    struct boot_look *l = ctx;
    char now[BOOT_ID_SIZE];

    if (boot_id(l->world, l->node, now, &l->err) < 0)
        return false;
    error_set(&l->err, ERROR_TRANSIENT, "still in the same boot");
    return strcmp(now, l->before) != 0;
}

int
boot_wait(const struct fault_world *w, unsigned node, const char *before,
          struct error *err)
{
    struct boot_look look = {.world = w, .node = node, .before = before};

    if (clock_poll(w->clock, clock_now_ns(w->clock) + BOOT_TIMEOUT_NS,
                   BOOT_POLL_NS, boot_is_another, &look))
        return 0;
    return error_set(err, ERROR_ENVIRONMENT,
                     "node '%s': does not come back: %.200s",
                     w->cluster->nodes[node].name, look.err.text);
}

/* ---- proofs ---- */

/* Adds the boot ids to what is known of each target. */
static int
boot_compare(struct fault *f, bool *ret_all_new, struct error *err)
{
    const struct boot_fault *b = f->state;

    *ret_all_new = true;
    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        const char *name = f->world->cluster->nodes[i].name;
        char now[BOOT_ID_SIZE];
        json_t *of;

        if (!(f->targets >> i & 1))
            continue;
        if (boot_id(f->world, i, now, err) < 0)
            return -1;
        of = json_object_get(f->evidence, name);
        if (of == NULL) {
            of = json_object();
            json_object_set_new(f->evidence, name, of);
        }
        json_object_set_new(of, "boot_before", json_string(b->before[i]));
        json_object_set_new(of, "boot_now", json_string(now));
        if (strcmp(now, b->before[i]) == 0)
            *ret_all_new = false;
    }
    return 0;
}

int
boot_prove_restarted(struct fault *f, enum proof *ret, struct error *err)
{
    enum proof proof = PROOF_CONFIRMED;
    bool all_new;

    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        struct system_node n = world_node(f->world, i);
        struct process_id now = {0};

        if (!(f->targets >> i & 1))
            continue;
        if (f->world->system->process(&n, &now, err) < 0)
            return -1;
        json_object_set_new(f->evidence, f->world->cluster->nodes[i].name,
                            json_pack("{s:i}", "pid_now", (int)now.pid));
        if (now.pid != 0)
            proof = PROOF_MISMATCH;
    }
    if (boot_compare(f, &all_new, err) < 0)
        return -1;
    *ret = all_new ? proof : PROOF_MISMATCH;
    return 0;
}

int
boot_prove_up(struct fault *f, enum proof *ret, struct error *err)
{
    enum proof proof = PROOF_INCONCLUSIVE;
    bool all_new;

    if (daemon_prove_up(f, &proof, err) < 0 ||
        boot_compare(f, &all_new, err) < 0)
        return -1;
    *ret = all_new ? proof : PROOF_MISMATCH;
    return 0;
}

int
boot_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    node_set nodes;

    return node_set_from_json(w->cluster, json_object_get(record, "nodes"),
                              &nodes, err);
}
