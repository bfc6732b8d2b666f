/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases in which clients are at work: the load beside the nemesis, then
 * heal with proof, then the sweeps around the resolver.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/base/log.h"
#include "harness/deploy.h"
#include "harness/run-internal.h"

#define RUN_SETUP_TIMEOUT_NS (30 * NS_PER_S)
#define RUN_POLL_NS (100 * NS_PER_MS)
/* How long after proven heals the system may take to serve again. */
#define RUN_AVAILABLE_TIMEOUT_NS (45 * NS_PER_S)
#define RUN_HEAL_TIMEOUT_NS (60 * NS_PER_S)
#define RUN_SWEEP_TIMEOUT_NS (60 * NS_PER_S)
#define RUN_RESOLVE_TIMEOUT_NS (60 * NS_PER_S)

static int
run_make_load(struct run *r, struct error *err)
{
    json_t *limits = r->system->limits == NULL
                         ? NULL
                         : r->system->limits(r->scenario->system_params,
                                             r->workload_ops->capability);
    struct load_options options = {
        .system = r->system,
        .cluster = &r->site.cluster,
        .workload = r->workload,
        .history = r->history,
        .clock = r->clock,
        .seed = r->seed,
        .client_count = (unsigned)r->scenario->client_count,
        .rate = r->scenario->rate,
        .dedupe_window_slots = load_dedupe_window_slots(limits),
    };
    struct load *load = load_new(&options, err);

    json_decref(limits);
    if (load == NULL)
        return -1;
    pthread_mutex_lock(&r->lock);
    r->load = load;
    pthread_mutex_unlock(&r->lock);
    return 0;
}

/* Each node answers (deploy saw to that); one real write and fenced read. */
int
run_phase_verify(struct run *r, struct error *err)
{
    struct load_sweep_result sweep = {0};
    int64_t deadline = clock_now_ns(r->clock) + RUN_SETUP_TIMEOUT_NS;

    if (run_make_load(r, err) < 0 || load_setup(r->load, deadline, err) < 0 ||
        load_sweep(r->load, deadline, &sweep, err) < 0)
        return -1;
    if (sweep.read == 0 || sweep.missed > 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "%" PRIu64 " of the objects just made do not answer "
                         "a read through the primary",
                         sweep.missed);
    return 0;
}

/* Events of the history may set off faults. */
static void
run_tap(void *ctx, const struct event *event)
{
    nemesis_note_history(ctx, event);
}

/* The plan, marked as it happens. */
static void
run_marked(void *ctx, const char *text)
{
    (void)ctx;
    log_info("fault", "%s", text);
}

static int
run_start_nemesis(struct run *r, struct error *err)
{
    struct nemesis_options options = {.world = &r->world,
                                      .plan = &r->plan,
                                      .journal = r->journal,
                                      .history = r->history,
                                      .marked = run_marked};
    struct nemesis *nemesis;
    CLEANUP_FREE char *path = bundle_path(r->bundle, BUNDLE_FAULTS, err);

    r->world =
        (struct fault_world){.cluster = &r->site.cluster,
                             .system = r->system,
                             .remotes = r->nemesis_remotes,
                             .clock = r->clock,
                             .harm_program = r->harm_path,
                             .provider = &r->site.provider,
                             .fabric = provider_fabric(&r->site.provider)};
    if (path == NULL || nemesis_check(&r->world, &r->plan, err) < 0)
        return -1;
    r->faults_file = fopen(path, "ae");
    if (r->faults_file == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    options.faults = r->faults_file;
    nemesis = nemesis_new(&options);
    pthread_mutex_lock(&r->lock);
    r->nemesis = nemesis;
    pthread_mutex_unlock(&r->lock);
    if (r->plan.trigger_count > 0)
        history_writer_tap(r->history, run_tap, nemesis);
    return nemesis_start(nemesis, err);
}

/* status.json follows the plan. */
static void
run_show_fault(struct run *r, char shown[static NEMESIS_CURRENT_MAX])
{
    char current[NEMESIS_CURRENT_MAX];

    if (r->nemesis == NULL)
        return;
    nemesis_current(r->nemesis, current);
    if (strcmp(current, shown) == 0)
        return;
    memcpy(shown, current, sizeof(current));
    run_write_status(r, "running");
}

int
run_phase_load(struct run *r, struct error *err)
{
    char shown[NEMESIS_CURRENT_MAX] = "";
    int64_t deadline = clock_now_ns(r->clock) + r->window_ns;

    pthread_mutex_lock(&r->lock);
    r->phase_deadline_ns = deadline;
    pthread_mutex_unlock(&r->lock);
    run_network_look(r);
    if (r->plan.entry_count > 0 && run_start_nemesis(r, err) < 0)
        return -1;
    if (load_start(r->load, deadline, err) < 0)
        return -1;
    while (clock_now_ns(r->clock) < deadline && run_signals() == 0 &&
           !load_failed(r->load)) {
        run_show_fault(r, shown);
        clock_sleep_ns(r->clock, RUN_POLL_NS);
        run_network_look(r);
    }
    if (run_signals() > 0) {
        run_mark(r, STATUS_INSUFFICIENT,
                 "interrupted by a signal: the window was cut short");
        load_cancel(r->load);
    }
    return load_join(r->load, err);
}

/*
 * Does it serve again?  Asked only after proven heals, so a "no" is the
 * system's own: a violation, in the shape of a checker's result.
 */
static void
run_judge_availability(struct run *r)
{
    struct error err = {0};
    unsigned primary = 0;
    int64_t started = clock_now_ns(r->clock);
    double seconds;
    json_t *result;
    bool whole =
        deploy_wait_ready(&r->site.cluster, r->system, r->clock,
                          RUN_AVAILABLE_TIMEOUT_NS, NULL, &primary, &err) == 0;

    /* A cluster that lacks a node still answers the sweeps. */
    r->serves = whole || deploy_primary(&r->site.cluster, r->system,
                                        RUN_ASK_TIMEOUT_NS, NULL) >= 0;
    seconds = (double)(clock_now_ns(r->clock) - started) / (double)NS_PER_S;
    if (whole)
        log_info("run", "healed; %s is primary after %.1f s",
                 r->site.cluster.nodes[primary].name, seconds);
    result =
        json_pack("{s:s, s:s, s:s, s:i, s:f}", "checker", "availability",
                  "verdict", whole ? "valid" : "invalid", "reason", err.text,
                  "count", whole ? 0 : 1, "recovery_seconds", seconds);
    if (!whole)
        json_object_set_new(
            result, "witness",
            json_pack("{s:o, s:[]}", "text",
                      json_sprintf("every fault was healed, with proof, and "
                                   "yet: %s",
                                   err.text),
                      "events"));
    json_array_append_new(r->own_checkers, result);
}

int
run_phase_heal(struct run *r, struct error *err)
{
    int64_t deadline = clock_now_ns(r->clock) + RUN_HEAL_TIMEOUT_NS;
    struct error heal_err = {0};

    if (!r->site.cluster_made || r->load == NULL)
        return 0;
    if (r->nemesis != NULL) {
        int healed;

        nemesis_stop(r->nemesis);
        healed = nemesis_heal_all(r->nemesis, deadline, &heal_err);
        nemesis_summary(r->nemesis, &r->faults);
        if (r->faults.record_failed || r->faults.journal_failed)
            run_mark(r, STATUS_INFRA, "faults could not be recorded");
        if (healed < 0) {
            run_mark(r, STATUS_DIRTY, "%s", heal_err.text);
            return 0;
        }
    }
    run_judge_availability(r);
    return 0;
}

/* Clients can ask only when the system serves. */
static bool
run_serves(const struct run *r)
{
    return r->load != NULL && r->serves;
}

static int
run_sweep(struct run *r, struct load_sweep_result *ret, struct error *err)
{
    if (!run_serves(r))
        return 0;
    return load_sweep(r->load, clock_now_ns(r->clock) + RUN_SWEEP_TIMEOUT_NS,
                      ret, err);
}

int
run_phase_sweep(struct run *r, struct error *err)
{
    return run_sweep(r, &r->sweeps[0], err);
}

int
run_phase_resolve(struct run *r, struct error *err)
{
    if (!run_serves(r))
        return 0;
    return load_resolve(r->load,
                        clock_now_ns(r->clock) + RUN_RESOLVE_TIMEOUT_NS,
                        &r->resolved, err);
}

int
run_phase_sweep_again(struct run *r, struct error *err)
{
    if (run_sweep(r, &r->sweeps[1], err) < 0)
        return -1;
    r->swept = run_serves(r) && r->sweeps[0].read > 0 &&
               r->sweeps[0].missed + r->sweeps[1].missed == 0;
    return 0;
}
