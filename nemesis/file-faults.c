/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file-truncate, file-flip, file-rollback: one of the system's own durable
 * files is not what it wrote.
 *
 * Happy path: choose a file by the seed, mark the node (a directory beside the
 * data, with what the heal needs in it), stop the daemon, harm the file, start
 * the daemon: an honest one finds out and refuses to start, or recovers.  Heal:
 * stop it, empty its data directory (it then comes back as one that lost its
 * disk) or put all of it back as it was, start it, take the mark away.
 *
 * Failure modes: harm that changes nothing fails the inject; a node without the
 * mark has nothing to heal, so a second heal is harmless; the mark is on the
 * disk and outlives reboots and drivers.
 */
#include "config.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/daemon.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/held.h"
#include "nemesis/params.h"
#include "nemesis/registry.h"

#define FILE_NAME_MAX 128
#define FILE_PATH_MAX 256
#define FILE_SHA_SIZE 65
#define FILE_LIST_MAX 64
#define FILE_POLL_NS (200 * NS_PER_MS)
/* An orderly end, with all its syncs, on a slow guest. */
#define FILE_STOP_TIMEOUT_NS (15 * NS_PER_S)
/* Copying a whole data directory there and back. */
#define FILE_COPY_TIMEOUT_NS (60 * NS_PER_S)

enum file_kind { FILE_TRUNCATE, FILE_FLIP, FILE_ROLLBACK };
enum file_heal { FILE_WIPE, FILE_RESTORE };

static const char *const file_heals[] = {"wipe", "restore", NULL};
static const char *const file_daemons[] = {"down", "running", NULL};

struct file_node {
    char file[FILE_NAME_MAX]; /* in the data directory */
    char before[FILE_SHA_SIZE], harmed[FILE_SHA_SIZE], restored[FILE_SHA_SIZE];
};

struct file_fault {
    enum file_kind kind;
    unsigned heal, daemon;
    const char *pattern; /* NULL: any; borrowed from the params */
    double amount;       /* bytes or bits; 0: drawn */
    int64_t age_ns;
    struct file_node nodes[NODE_COUNT_MAX];
};

/* ---- parameters ---- */

static const char *
file_amount_key(enum file_kind kind)
{
    return kind == FILE_FLIP ? "bits" : "bytes";
}

static int
file_setup_kind(struct fault *f, enum file_kind kind, struct error *err)
{
    const char *const keys[] = {"file",
                                "heal",
                                "daemon",
                                file_amount_key(kind),
                                kind == FILE_ROLLBACK ? "age" : NULL,
                                NULL};
    struct file_fault s = {.kind = kind, .age_ns = 2 * NS_PER_S};
    double max = kind == FILE_FLIP ? 4096.0 : 16777216.0;

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_string(f->params, "file", &s.pattern, err) < 0 ||
        params_choice(f->params, "heal", file_heals, &s.heal, err) < 0 ||
        params_choice(f->params, "daemon", file_daemons, &s.daemon, err) < 0 ||
        params_number(f->params, file_amount_key(kind), 1.0, max, &s.amount,
                      err) < 0 ||
        params_duration(f->params, "age", &s.age_ns, err) < 0)
        return -1;
    if (s.daemon == 1 && s.heal == FILE_RESTORE)
        return error_set(err, ERROR_CONFIG,
                         "heal: what a running daemon has cannot be restored");
    if (s.pattern != NULL &&
        (strlen(s.pattern) >= FILE_NAME_MAX ||
         strstr(s.pattern, "..") != NULL || s.pattern[0] == '/'))
        return error_set(err, ERROR_CONFIG, "file: no path below the data");
    if (s.age_ns < 0 || s.age_ns > 30 * NS_PER_S)
        return error_set(err, ERROR_CONFIG, "age: not 0s to 30s");
    f->state = xcalloc(1, sizeof(s));
    memcpy(f->state, &s, sizeof(s));
    return 0;
}

static int
file_truncate_setup(struct fault *f, struct error *err)
{
    return file_setup_kind(f, FILE_TRUNCATE, err);
}

static int
file_flip_setup(struct fault *f, struct error *err)
{
    return file_setup_kind(f, FILE_FLIP, err);
}

static int
file_rollback_setup(struct fault *f, struct error *err)
{
    return file_setup_kind(f, FILE_ROLLBACK, err);
}

static void
file_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

static bool
file_available(const struct fault_world *w)
{
    return w->harm_program != NULL && w->system->data_dir != NULL &&
           w->system->data_files != NULL && daemon_available(w);
}

/* ---- on the node ---- */

/* Beside the data directory, on the same disk. */
static void
file_mark(const struct fault_world *w, const char *fault,
          char ret[static FILE_PATH_MAX])
{
    const char *dir = w->system->data_dir, *slash = strrchr(dir, '/');

    assert(slash != NULL && slash != dir);
    snprintf(ret, FILE_PATH_MAX, "%.*s/.ordeal-%s", (int)(slash - dir), dir,
             fault);
}

/* The data directory as it was some time ago. */
static void
file_old(const struct fault_world *w, const char *fault,
         char ret[static FILE_PATH_MAX])
{
    size_t len;

    file_mark(w, fault, ret);
    len = strlen(ret);
    snprintf(ret + len, FILE_PATH_MAX - len, "/old");
}

static void
file_path(const struct fault *f, const struct file_node *n,
          char ret[static FILE_PATH_MAX])
{
    snprintf(ret, FILE_PATH_MAX, "%s/%s", f->world->system->data_dir, n->file);
}

static int
file_script(struct remote *r, const struct guest_script *script,
            const char *const args[], struct exec_result *ret,
            struct error *err)
{
    if (guest_script_for(r, script, args, FILE_COPY_TIMEOUT_NS, ret, err) < 0)
        return -1;
    if (ret->status != 0)
        return error_set(err, ERROR_ENVIRONMENT, "node '%s': exit %d: %.200s",
                         r->endpoint.node, ret->status, buf_text(&ret->err));
    return 0;
}

static int
file_run(struct remote *r, const struct guest_script *script,
         const char *const args[], struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    return file_script(r, script, args, &result, err);
}

/* $1 the data directory, then patterns: files that are not empty. */
static const struct guest_script file_list_script = {
    "ordeal-file-list",
    "cd \"$1\" || exit 1\nshift\n"
    "for p; do for f in $p; do [ ! -s \"$f\" ] || echo \"$f\"; done; done\n"
    "exit 0\n"};

/* $1 the data directory, $2 an older copy of it, then patterns: what changed.
 */
static const struct guest_script file_changed_script = {
    "ordeal-file-changed",
    "cd \"$1\" || exit 1\nold=$2\nshift 2\n"
    "for p; do for f in $p; do\n"
    "[ ! -s \"$f\" ] || [ ! -s \"$old/$f\" ] || cmp -s \"$f\" \"$old/$f\" ||\n"
    "echo \"$f\"\ndone; done\nexit 0\n"};

/* One of those that the patterns name, by the seed. */
static int
file_choose(struct fault *f, unsigned node, struct rng *rng, struct error *err)
{
    struct file_fault *s = f->state;
    bool changed = s->kind == FILE_ROLLBACK;
    char old[FILE_PATH_MAX];
    const char *args[FILE_LIST_MAX] = {f->world->system->data_dir};
    size_t at = 1;
    char *lines[FILE_LIST_MAX], *save = NULL;
    CLEANUP(exec_result_release) struct exec_result result;
    unsigned count = 0;

    file_old(f->world, f->ops->name, old);
    if (changed)
        args[at++] = old;
    if (s->pattern != NULL)
        args[at++] = s->pattern;
    for (size_t i = 0;
         s->pattern == NULL && f->world->system->data_files[i] != NULL; i++) {
        assert(at + 1 < FILE_LIST_MAX);
        args[at++] = f->world->system->data_files[i];
    }
    exec_result_init(&result);
    if (file_script(&f->world->remotes[node],
                    changed ? &file_changed_script : &file_list_script, args,
                    &result, err) < 0)
        return -1;
    for (char *line = result.out.data == NULL
                          ? NULL
                          : strtok_r(result.out.data, "\n", &save);
         line != NULL && count < FILE_LIST_MAX;
         line = strtok_r(NULL, "\n", &save))
        if (strlen(line) < FILE_NAME_MAX)
            lines[count++] = line;
    if (count == 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': no durable file to harm%s",
                         f->world->cluster->nodes[node].name,
                         changed ? ": none has changed" : "");
    snprintf(s->nodes[node].file, FILE_NAME_MAX, "%s",
             lines[rng_below(rng, count)]);
    return 0;
}

/* *ret "" when there is no such file. */
static int
file_sha(struct fault *f, unsigned node, char ret[static FILE_SHA_SIZE],
         struct error *err)
{
    struct file_fault *s = f->state;
    char path[FILE_PATH_MAX];
    const char *const argv[] = {"sha256sum", path, NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    size_t len = 0;

    file_path(f, &s->nodes[node], path);
    exec_result_init(&result);
    if (guest_exec(&f->world->remotes[node], argv, NULL, &result, err) < 0)
        return -1;
    while (result.status == 0 && len < FILE_SHA_SIZE - 1 &&
           isxdigit((unsigned char)buf_text(&result.out)[len]))
        len++;
    if (result.status == 0 && len != FILE_SHA_SIZE - 1)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': sha256sum is not understood",
                         f->world->cluster->nodes[node].name);
    snprintf(ret, FILE_SHA_SIZE, "%.*s", (int)len, buf_text(&result.out));
    return 0;
}

/* ---- inject ---- */

/* $1 the mark, $2 the data, $3 what to heal by, $4 "old": keep a copy. */
static const struct guest_script file_mark_script = {
    "ordeal-file-mark",
    "rm -rf \"$1\" && mkdir \"$1\" || exit 1\n"
    "[ \"$4\" != old ] || cp -a \"$2\" \"$1/old\" || exit 1\n"
    "sync\n"};
static const struct guest_script file_save_script = {
    "ordeal-file-save", "rm -rf \"$1/data\" && { [ \"$3\" != restore ] ||\n"
                        "cp -a \"$2\" \"$1/data\"; } || exit 1\n"
                        "sync\n"};

static int
file_harm(struct fault *f, unsigned node, struct rng *rng, struct error *err)
{
    struct file_fault *s = f->state;
    char path[FILE_PATH_MAX], dir[FILE_PATH_MAX];
    char old[FILE_PATH_MAX + FILE_NAME_MAX + 1];
    char amount[24], seed[24];
    const char *const flip[] = {"flip", path, amount, seed, NULL};
    const char *const cut[] = {"cut", path, amount, NULL};
    const char *const roll[] = {"roll", path, old, amount, seed, NULL};
    const uint64_t drawn_max[] = {4096, 8, 65536};
    uint64_t drawn = 1 + rng_below(rng, drawn_max[s->kind]);
    json_t *answer;

    file_path(f, &s->nodes[node], path);
    file_old(f->world, f->ops->name, dir);
    snprintf(old, sizeof(old), "%s/%s", dir, s->nodes[node].file);
    snprintf(amount, sizeof(amount), "%" PRIu64,
             s->amount > 0 ? (uint64_t)s->amount : drawn);
    snprintf(seed, sizeof(seed), "%" PRIu64, rng_u64(rng) >> 1);
    answer = held_call(f->world, node,
                       s->kind == FILE_FLIP       ? flip
                       : s->kind == FILE_TRUNCATE ? cut
                                                  : roll,
                       err);
    if (answer == NULL)
        return -1;
    json_decref(answer);
    return 0;
}

static int
file_stop(const struct fault_world *w, unsigned node, struct error *err)
{
    struct system_node n = world_node(w, node);
    struct process_id now = {0};

    if (w->system->process(&n, &now, err) < 0)
        return -1;
    return now.pid == 0 ? 0 : w->system->stop(&n, FILE_STOP_TIMEOUT_NS, err);
}

static int
file_inject_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct file_fault *s = f->state;
    struct file_node *n = &s->nodes[node];
    struct system_node sn = world_node(f->world, node);
    char mark[FILE_PATH_MAX];
    const char *const args[] = {mark, f->world->system->data_dir,
                                file_heals[s->heal],
                                s->kind == FILE_ROLLBACK ? "old" : "", NULL};
    struct rng all, rng;

    rng_init(&all, f->seed);
    rng = rng_fork(&all, "file", node);
    file_mark(f->world, f->ops->name, mark);
    if (file_run(sn.remote, &file_mark_script, args, err) < 0)
        return -1;
    if (s->kind == FILE_ROLLBACK)
        clock_sleep_ns(f->world->clock, s->age_ns);
    if (s->daemon == 0 &&
        (file_stop(f->world, node, err) < 0 ||
         file_run(sn.remote, &file_save_script, args, err) < 0))
        return -1;
    if (file_choose(f, node, &rng, err) < 0 ||
        file_sha(f, node, n->before, err) < 0 ||
        file_harm(f, node, &rng, err) < 0 ||
        file_sha(f, node, n->harmed, err) < 0)
        return -1;
    /* What becomes of it is the system's answer, not ours to demand. */
    return s->daemon == 0 ? f->world->system->start(&sn, err) : 0;
}

static int
file_inject(struct fault *f, struct error *err)
{
    return fanout(f->targets, file_inject_node, f, err);
}

/* ---- heal ---- */

/* $1 the mark, $2 the data. */
static const struct guest_script file_heal_script = {
    "ordeal-file-heal",
    "[ -d \"$1\" ] || exit 1\n"
    "rm -rf \"$2\"/* || exit 1\n"
    "[ ! -d \"$1/data\" ] || cp -a \"$1/data/.\" \"$2/\" || exit 1\n"
    "sync\n"};

struct file_healing {
    const struct fault_world *world;
    const char *fault;
    struct fault *live; /* NULL: from the record */
};

static int
file_is_marked(const struct fault_world *w, unsigned node, const char *fault,
               bool *ret, struct error *err)
{
    char mark[FILE_PATH_MAX];
    const char *const argv[] = {"test", "-d", mark, NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    file_mark(w, fault, mark);
    exec_result_init(&result);
    if (guest_exec(&w->remotes[node], argv, NULL, &result, err) < 0)
        return -1;
    *ret = result.status == 0;
    return 0;
}

static int
file_heal_node(void *ctx, unsigned node, struct error *err)
{
    const struct file_healing *h = ctx;
    const struct fault_world *w = h->world;
    char mark[FILE_PATH_MAX];
    const char *const args[] = {mark, w->system->data_dir, NULL};
    const char *const unmark[] = {"rm", "-rf", mark, NULL};
    struct file_fault *s = h->live == NULL ? NULL : h->live->state;
    bool marked = false;

    file_mark(w, h->fault, mark);
    if (file_is_marked(w, node, h->fault, &marked, err) < 0)
        return -1;
    if (marked &&
        (file_stop(w, node, err) < 0 ||
         file_run(&w->remotes[node], &file_heal_script, args, err) < 0))
        return -1;
    if (marked && s != NULL && s->heal == FILE_RESTORE &&
        s->nodes[node].file[0] != '\0' &&
        file_sha(h->live, node, s->nodes[node].restored, err) < 0)
        return -1;
    if (daemon_restart(w, UINT32_C(1) << node, err) < 0)
        return -1;
    return marked ? remote_run(&w->remotes[node], unmark, err) : 0;
}

static int
file_heal(struct fault *f, struct error *err)
{
    struct file_healing h = {
        .world = f->world, .fault = f->ops->name, .live = f};

    return fanout(f->targets, file_heal_node, &h, err);
}

static int
file_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    const char *name = json_string_value(json_object_get(record, "fault"));
    struct file_healing h = {.world = w, .fault = name};
    node_set nodes;

    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    return fanout(nodes, file_heal_node, &h, err);
}

/* ---- proofs ---- */

static json_t *
file_evidence(struct fault *f, unsigned node, bool runs)
{
    const struct file_node *n = &((struct file_fault *)f->state)->nodes[node];

    return json_pack("{s:s, s:s%, s:s%, s:s}", "file", n->file, "before",
                     n->before, strlen(n->before) < 12 ? 0 : 12, "harmed",
                     n->harmed, strlen(n->harmed) < 12 ? 0 : 12, "daemon",
                     runs ? "runs" : "down");
}

/* The file was read back other than before, and is not as before now. */
static int
file_look_effect_node(struct fault *f, unsigned node, enum proof *ret,
                      struct error *err)
{
    const struct file_node *n = &((struct file_fault *)f->state)->nodes[node];
    struct system_node sn = world_node(f->world, node);
    struct process_id process = {0};
    char now[FILE_SHA_SIZE] = "";
    bool differs, marked = false;
    json_t *evidence;

    if (n->before[0] == '\0' || n->harmed[0] == '\0')
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': what the file was before is not known",
                         f->world->cluster->nodes[node].name);
    if (file_sha(f, node, now, err) < 0 ||
        file_is_marked(f->world, node, f->ops->name, &marked, err) < 0 ||
        f->world->system->process(&sn, &process, err) < 0)
        return -1;
    differs = strcmp(n->before, n->harmed) != 0 && strcmp(n->before, now) != 0;
    evidence = file_evidence(f, node, process.pid != 0);
    json_object_set_new(evidence, "now",
                        json_stringn(now, strlen(now) < 12 ? 0 : 12));
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        evidence);
    *ret = differs && marked ? PROOF_CONFIRMED : PROOF_MISMATCH;
    return 0;
}

/* Nothing is left to heal, and the daemon serves: it has its state again. */
static int
file_look_healed_node(struct fault *f, unsigned node, enum proof *ret,
                      struct error *err)
{
    const struct file_fault *s = f->state;
    const struct file_node *n = &s->nodes[node];
    struct system_node sn = world_node(f->world, node);
    struct system_status status = {.role = ROLE_UNKNOWN};
    struct process_id process = {0};
    struct error ignored = {0};
    bool marked = false, serves, restored = true;
    json_t *evidence;

    if (file_is_marked(f->world, node, f->ops->name, &marked, err) < 0 ||
        f->world->system->process(&sn, &process, err) < 0)
        return -1;
    if (f->world->system->status(f->world->cluster, node,
                                 TARGET_STATUS_TIMEOUT_NS, &status,
                                 &ignored) < 0)
        status.role = ROLE_UNKNOWN;
    serves = status.role == ROLE_PRIMARY || status.role == ROLE_BACKUP ||
             (f->world->network_gone && status.role != ROLE_UNKNOWN);
    if (n->restored[0] != '\0')
        restored = strcmp(n->restored, n->before) == 0;
    evidence = file_evidence(f, node, process.pid != 0);
    json_object_set_new(evidence, "serves", json_boolean(serves));
    json_object_set_new(evidence, "recovery", json_string(status.recovery));
    json_object_set_new(evidence, "restored", json_boolean(restored));
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        evidence);
    *ret = !marked && process.pid != 0 && serves && restored ? PROOF_CONFIRMED
                                                             : PROOF_MISMATCH;
    return 0;
}

static int
file_look_effect(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, file_look_effect_node, ret, err);
}

static int
file_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, file_look_healed_node, ret, err);
}

static int
file_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
           struct error *err)
{
    if (phase == FAULT_EFFECT)
        return file_look_effect(f, ret, err);
    return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, FILE_POLL_NS,
                             file_look_healed, ret, err);
}

/* EX_PROTOCOL is what a refusal of damaged state ends with (docs/SYSTEMS.md).
 */
static const int file_may_exit[] = {76, 0};

#define FILE_OPS                                                               \
    .takes_nodes_down = true, .breaks_durability = true, .on_data_disk = true, \
    .may_exit = file_may_exit, .available = file_available,                    \
    .undo_record = held_undo_record, .inject = file_inject,                    \
    .prove = file_prove, .heal = file_heal, .undo = file_undo,                 \
    .teardown = file_teardown

const struct fault_ops fault_file_truncate_ops = {
    .name = "file-truncate",
    .description = "the end of a durable file is cut off",
    .setup = file_truncate_setup,
    FILE_OPS,
};

const struct fault_ops fault_file_flip_ops = {
    .name = "file-flip",
    .description = "bits of a durable file are flipped",
    .setup = file_flip_setup,
    FILE_OPS,
};

const struct fault_ops fault_file_rollback_ops = {
    .name = "file-rollback",
    .description = "a chunk of a durable file is as it was some time ago",
    .setup = file_rollback_setup,
    FILE_OPS,
};
