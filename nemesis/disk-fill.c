/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk-fill: one file takes all room of the data file system, held in the guest
 * by ordeal-harm.
 *
 * Happy path: begin, write a probe file that does not fit; heal by removing the
 * file and starting the daemon if it ended, as one may that cannot write; write
 * the probe.
 *
 * Failure modes: a file system that gives room back meanwhile is filled again;
 * what is then still written is a mismatch.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/daemon.h"
#include "nemesis/fanout.h"
#include "nemesis/held.h"
#include "nemesis/params.h"
#include "nemesis/registry.h"

#define FILL_PATH_MAX 256
#define FILL_POLL_NS (200 * NS_PER_MS)
#define FILL_EFFECT_TIMEOUT_NS (10 * NS_PER_S)
/* What does not fit: more than a file system's rounding leaves. */
#define FILL_PROBE_KIB 256

struct fill {
    double reserve_kib;
};

static int
fill_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"reserve", NULL};
    struct fill s = {.reserve_kib = 0.0};

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_number(f->params, "reserve", 0.0, 1048576.0, &s.reserve_kib,
                      err) < 0)
        return -1;
    f->state = xcalloc(1, sizeof(s));
    memcpy(f->state, &s, sizeof(s));
    return 0;
}

static void
fill_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

static bool
fill_available(const struct fault_world *w)
{
    return held_available(w) && w->system->data_dir != NULL &&
           daemon_available(w);
}

/* The directory above the system's own: the same file system. */
static void
fill_dir(const struct fault_world *w, char ret[static FILL_PATH_MAX])
{
    const char *dir = w->system->data_dir, *slash = strrchr(dir, '/');

    snprintf(ret, FILL_PATH_MAX, "%.*s", (int)(slash - dir), dir);
}

static int
fill_inject_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    char dir[FILL_PATH_MAX], path[FILL_PATH_MAX + 16], reserve[24];
    const char *const args[] = {path, reserve, NULL};

    fill_dir(f->world, dir);
    snprintf(path, sizeof(path), "%s/.ordeal-fill", dir);
    snprintf(reserve, sizeof(reserve), "%.0f",
             ((struct fill *)f->state)->reserve_kib);
    return held_start(f, node, "fill", args, err);
}

static int
fill_inject(struct fault *f, struct error *err)
{
    return fanout(f->targets, fill_inject_node, f, err);
}

static int
fill_heal(struct fault *f, struct error *err)
{
    if (held_stop(f, f->targets, err) < 0)
        return -1;
    return daemon_restart(f->world, f->targets, err);
}

static int
fill_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    if (held_undo(w, record, err) < 0)
        return -1;
    return daemon_undo_restart(w, record, err);
}

/* ---- proofs ---- */

/* Whether a file above the reserve can be written; its answer is evidence. */
static int
fill_probe(struct fault *f, unsigned node, bool *ret, struct error *err)
{
    char dir[FILL_PATH_MAX], bytes[24];
    const char *const words[] = {"probe-space", dir, bytes, NULL};
    json_t *answer;

    fill_dir(f->world, dir);
    snprintf(bytes, sizeof(bytes), "%.0f",
             (((struct fill *)f->state)->reserve_kib + FILL_PROBE_KIB) * 1024);
    answer = held_call(f->world, node, words, err);
    if (answer == NULL)
        return -1;
    *ret = json_is_true(json_object_get(answer, "written"));
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        answer);
    return 0;
}

static int
fill_look_full_node(struct fault *f, unsigned node, enum proof *ret,
                    struct error *err)
{
    bool written = true, acts = false;
    const char *error;

    if (held_acts(f, node, &acts, err) < 0 ||
        fill_probe(f, node, &written, err) < 0)
        return -1;
    error = json_string_value(json_object_get(
        json_object_get(f->evidence, f->world->cluster->nodes[node].name),
        "error"));
    *ret = acts && !written && error != NULL && strcmp(error, "ENOSPC") == 0
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    return 0;
}

static int
fill_look_free_node(struct fault *f, unsigned node, enum proof *ret,
                    struct error *err)
{
    struct system_node n = world_node(f->world, node);
    struct system_status status = {.role = ROLE_UNKNOWN};
    struct process_id process = {0};
    struct error ignored = {0};
    bool written = false, acts = true;

    if (held_acts(f, node, &acts, err) < 0 ||
        fill_probe(f, node, &written, err) < 0 ||
        f->world->system->process(&n, &process, err) < 0)
        return -1;
    if (f->world->system->status(f->world->cluster, node,
                                 TARGET_STATUS_TIMEOUT_NS, &status,
                                 &ignored) < 0)
        status.role = ROLE_UNKNOWN;
    json_object_set_new(
        json_object_get(f->evidence, f->world->cluster->nodes[node].name),
        "answers", json_boolean(status.role != ROLE_UNKNOWN));
    *ret = !acts && written && process.pid != 0 && status.role != ROLE_UNKNOWN
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    return 0;
}

static int
fill_look_full(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, fill_look_full_node, ret, err);
}

static int
fill_look_free(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, fill_look_free_node, ret, err);
}

static int
fill_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
           struct error *err)
{
    if (phase == FAULT_EFFECT)
        return fault_prove_until(f, phase, FILL_EFFECT_TIMEOUT_NS, FILL_POLL_NS,
                                 fill_look_full, ret, err);
    return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, FILL_POLL_NS,
                             fill_look_free, ret, err);
}

/* EX_IOERR is what a write that failed ends with (docs/SYSTEMS.md). */
static const int fill_may_exit[] = {74, 0};

const struct fault_ops fault_disk_fill_ops = {
    .name = "disk-fill",
    .description = "no room on the data file system",
    .takes_nodes_down = true,
    .on_data_disk = true,
    .may_exit = fill_may_exit,
    .setup = fill_setup,
    .available = fill_available,
    .undo_record = held_undo_record,
    .inject = fill_inject,
    .renew = held_renew,
    .prove = fill_prove,
    .heal = fill_heal,
    .undo = fill_undo,
    .teardown = fill_teardown,
};
