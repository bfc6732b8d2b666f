/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver died (SIGKILL, out of memory): its machines run on, its faults are
 * still in force, its bundle has no manifest.  Two lists are worked off: the
 * bundles whose status says 'running' while their process is gone (heal by the
 * undo journal, collect), then the runtime directories whose owner is gone
 * (end the machines, remove).  What fails is said and does not stop the rest.
 */
#include "config.h"

#include <dirent.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/analyzer.h"
#include "artifacts/bundle.h"
#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/base/process.h"
#include "harness/deploy.h"
#include "harness/hand.h"
#include "harness/paths.h"
#include "harness/provider/cluster.h"
#include "harness/provider/machine.h"
#include "harness/provider/runtime-dir.h"
#include "harness/run.h"
#include "nemesis/nemesis.h"

#define RECOVER_OPEN_TIMEOUT_NS (5 * NS_PER_S)
#define RECOVER_REASONS_MAX 32

struct recover_run {
    char *dir; /* bundle */
    json_t *status;
    struct cluster_file file;
    struct remote remotes[NODE_COUNT_MAX];
};

/* The status of a bundle whose driver died, or NULL.  New reference. */
static json_t *
recover_dead_status(const char *path)
{
    json_t *status = json_load_file(path, 0, NULL);
    const char *state = json_string_value(json_object_get(status, "state"));
    int pid = (int)json_integer_value(json_object_get(status, "pid"));
    uint64_t then =
        (uint64_t)json_integer_value(json_object_get(status, "start_ticks"));
    uint64_t now = 0;
    bool alive = pid > 0 && process_start_ticks(pid, &now) && now == then;

    if (state != NULL && strcmp(state, "running") == 0 && !alive)
        return status;
    json_decref(status);
    return NULL;
}

static const char *
recover_word(const json_t *fault)
{
    const char *result = json_string_value(json_object_get(fault, "result"));

    if (json_object_get(fault, "ended") != NULL)
        return "not needed: it ended with its disk, which the driver served";
    return result == NULL ? "cannot be looked at any more" : result;
}

/* Says, and adds to faults.jsonl, what became of each fault. */
static void
recover_tell(const struct recover_run *run, const struct nemesis_recovery *r)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", run->dir, BUNDLE_FAULTS);
    FILE *out = fopen(path, "ae");
    size_t i;
    json_t *fault;

    json_array_foreach (r->faults, i, fault) {
        json_t *evidence = json_object_get(fault, "evidence");
        CLEANUP_FREE char *seen =
            evidence == NULL ? NULL : json_dumps(evidence, JSON_COMPACT);
        CLEANUP_FREE char *line = NULL;

        log_info("recover", "fault %lld %s: %s, heal %s%s%.400s",
                 (long long)json_integer_value(json_object_get(fault, "id")),
                 json_string_value(json_object_get(fault, "fault")),
                 json_is_true(json_object_get(fault, "undone")) ? "undone"
                                                                : "NOT undone",
                 recover_word(fault), seen == NULL ? "" : ": ",
                 seen == NULL ? "" : seen);
        json_object_set_new(fault, "stage", json_string("recovered"));
        line = json_dumps(fault, JSON_COMPACT);
        if (out == NULL || line == NULL || fprintf(out, "%s\n", line) < 0)
            log_warning("recover", "%s: not written, continuing", path);
    }
    if (out != NULL)
        fclose(out);
}

/* Heals by the journal over the nodes that still answer. */
static int
recover_faults(struct recover_run *run, const struct system_ops *system,
               const char *journal, struct error *err)
{
    struct cluster *cluster = &run->file.cluster;
    const struct provider_ops *provider = provider_find(run->file.provider);
    const struct machine_ops *machine =
        provider == NULL ? NULL : provider->machine;
    CLEANUP_FREE char *harm = paths_program("ordeal-harm");
    struct fault_world world = {
        .harm_program = harm,
        .cluster = cluster,
        .system = system,
        .remotes = run->remotes,
        .clock = clock_monotonic(),
        /* Both were served by the driver. */
        .network_gone = provider != NULL && provider->fabric != NULL,
        .disks_gone = machine != NULL && machine->platter != NULL};
    CLEANUP(nemesis_recovery_release) struct nemesis_recovery recovery = {0};
    int result;

    for (unsigned i = 0; i < cluster->node_count; i++) {
        struct error one = {0};

        remote_init(&run->remotes[i], &remote_ssh_ops, &cluster->nodes[i].ssh,
                    world.clock);
        if (remote_open(&run->remotes[i],
                        clock_now_ns(world.clock) + RECOVER_OPEN_TIMEOUT_NS,
                        &one) < 0)
            log_warning("recover", "%s, continuing", one.text);
    }
    result = nemesis_recover(journal, &world, &recovery, err);
    if (result < 0)
        log_warning("recover", "%s, continuing", err->text);
    log_info("recover", "%u faults undone, %u heals proven", recovery.undone,
             recovery.proven);
    recover_tell(run, &recovery);
    return result;
}

static void
recover_close(struct recover_run *run)
{
    for (unsigned i = 0; i < run->file.cluster.node_count; i++)
        remote_close(&run->remotes[i]);
}

/* Heals and collects. */
static void
recover_nodes(struct recover_run *run)
{
    const char *name =
        json_string_value(json_object_get(run->status, "system"));
    const struct system_ops *system = name == NULL ? NULL : system_find(name);
    CLEANUP_FREE char *journal = xasprintf("%s/undo.journal", run->dir);
    CLEANUP_FREE char *nodes = xasprintf("%s/nodes", run->dir);
    struct error err = {0};

    if (system == NULL)
        return;
    recover_faults(run, system, journal, &err);
    if (dir_make(nodes, 0755, &err) == 0)
        deploy_collect(&run->file.cluster, system, run->remotes, nodes);
    recover_close(run);
}

/* A cluster by hand whose holder died. */
static void
recover_hand(const char *runtime)
{
    struct recover_run run = {.dir = xstrdup(runtime)};
    CLEANUP_FREE char *journal = xasprintf("%s/" HAND_JOURNAL, runtime);
    struct error err = {0};

    if (path_exists(journal)) {
        if (cluster_load(runtime, &run.file, &err) < 0) {
            log_warning("recover", "%s, continuing", err.text);
        } else {
            recover_faults(&run, system_find("replica"), journal, &err);
            recover_close(&run);
        }
        cluster_release(&run.file.cluster);
    }
    free(run.dir);
}

/* What the dead driver could not: the verdict on what it recorded. */
static json_t *
recover_analyse(struct bundle *bundle)
{
    struct analyzer_options options = {.origin = ORIGIN_RUN};
    struct error err = {0};
    json_t *analysis = NULL;

    if (analyzer_run(bundle_dir(bundle), &options, &analysis, &err) < 0 ||
        bundle_add_json(bundle, "analysis.json", analysis, &err) < 0)
        log_warning("recover", "%s, continuing", err.text);
    return analysis;
}

static int
recover_finish(struct recover_run *run, struct bundle *bundle,
               struct error *err)
{
    const json_t *status = run->status;
    CLEANUP_FREE char *died =
        xasprintf("the driver died in phase '%s'",
                  json_string_value(json_object_get(status, "phase")));
    json_t *analysis = recover_analyse(bundle);
    struct report_reason reasons[RECOVER_REASONS_MAX] = {{STATUS_INFRA, died}};
    struct run_report report = {
        .run_id = bundle_id(bundle),
        .scenario = json_string_value(json_object_get(status, "scenario")),
        .system = json_string_value(json_object_get(status, "system")),
        .seed = (uint64_t)json_integer_value(json_object_get(status, "seed")),
        .ended_wall_ns = clock_wall_ns(),
        .reasons = reasons,
        .reason_count = 1,
        .checkers = json_object_get(analysis, "checkers"),
    };
    struct arena arena;
    int result;

    arena_init(&arena);
    report.reason_count +=
        report_judge(&report, &arena, reasons + 1, RECOVER_REASONS_MAX - 1);
    json_object_set_new(run->status, "state", json_string("recovered"));
    result = bundle_set_status(bundle, run->status, err);
    if (result == 0)
        result = bundle_finish(bundle, &report, err);
    arena_release(&arena);
    json_decref(analysis);
    return result;
}

static void
recover_mark(struct recover_run *run)
{
    struct error err = {0};
    struct bundle *bundle = bundle_open(run->dir, &err);

    if (bundle == NULL || recover_finish(run, bundle, &err) < 0)
        log_warning("recover", "%s, continuing", err.text);
    bundle_free(bundle);
}

static void
recover_bundle(const char *status_path, json_t *status)
{
    struct recover_run run = {.status = status};
    const char *runtime =
        json_string_value(json_object_get(status, "runtime_dir"));
    struct error err = {0};

    run.dir = xstrdup(status_path);
    *strrchr(run.dir, '/') = '\0';
    log_info("recover", "%s: its driver died in phase '%s'", run.dir,
             json_string_value(json_object_get(status, "phase")));
    if (runtime != NULL && runtime[0] != '\0' && path_exists(runtime)) {
        if (cluster_load(runtime, &run.file, &err) < 0)
            log_warning("recover", "%s, continuing", err.text);
        else
            recover_nodes(&run);
        cluster_release(&run.file.cluster);
    }
    recover_mark(&run);
    free(run.dir);
}

static unsigned
recover_bundles(const char *output)
{
    CLEANUP_FREE char *pattern = xasprintf("%s/*/*/status.json", output);
    unsigned count = 0;
    glob_t found;

    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        json_t *status = recover_dead_status(found.gl_pathv[i]);

        if (status == NULL)
            continue;
        recover_bundle(found.gl_pathv[i], status);
        json_decref(status);
        count++;
    }
    globfree(&found);
    return count;
}

/* All of them before any machine is ended: one directory's machines may be
 * those of another's journal. */
static void
recover_hands(char (*dirs)[RUNTIME_DIR_SIZE], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int pid;

        if (!runtime_dir_owner(dirs[i], &pid))
            recover_hand(dirs[i]);
    }
}

int
run_recover(const char *output, unsigned *ret_count, struct error *err)
{
    char(*dirs)[RUNTIME_DIR_SIZE] =
        xcalloc(RUNTIME_DIR_COUNT_MAX, RUNTIME_DIR_SIZE);
    size_t dir_count;
    int result = 0;

    *ret_count = recover_bundles(output);
    dir_count = runtime_dir_list(dirs, RUNTIME_DIR_COUNT_MAX);
    recover_hands(dirs, dir_count);
    for (size_t i = 0; i < dir_count; i++) {
        struct error one = {0};
        int pid;

        if (runtime_dir_owner(dirs[i], &pid))
            continue;
        log_info("recover", "%s: ending what is left", dirs[i]);
        if (provider_recover(dirs[i], &one) < 0) {
            log_error("recover", "%s", one.text);
            *err = one;
            result = -1;
        }
        ++*ret_count;
    }
    free(dirs);
    return result;
}
