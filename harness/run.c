/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run is the list of phases below, read from top to bottom.  A phase that
 * fails is marked and skips those after it that need what it made; collect,
 * seal, analyse, report and teardown always run on what exists.
 */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/log.h"
#include "harness/run-internal.h"

struct run_phase {
    const char *name;
    int (*run)(struct run *r, struct error *err);
    int64_t limit_ns; /* for the display; each wait inside has a deadline */
    bool always;      /* also after a failure or a second signal */
    enum run_status on_failure;
};

static const struct run_phase run_phases[] = {
    {"provision", run_phase_provision, 180 * NS_PER_S, false, STATUS_INFRA},
    {"deploy", run_phase_deploy, 120 * NS_PER_S, false, STATUS_INFRA},
    {"verify", run_phase_verify, 60 * NS_PER_S, false, STATUS_INFRA},
    {"load", run_phase_load, 0, false, STATUS_INFRA},
    {"heal", run_phase_heal, 120 * NS_PER_S, true, STATUS_INFRA},
    {"sweep", run_phase_sweep, 60 * NS_PER_S, false, STATUS_INFRA},
    {"resolve", run_phase_resolve, 60 * NS_PER_S, false, STATUS_INFRA},
    {"sweep2", run_phase_sweep_again, 60 * NS_PER_S, false, STATUS_INFRA},
    {"collect", run_phase_collect, 120 * NS_PER_S, true, STATUS_INFRA},
    {"seal", run_phase_seal, 10 * NS_PER_S, true, STATUS_INFRA},
    {"analyse", run_phase_analyse, 300 * NS_PER_S, true, STATUS_INTERNAL},
    {"report", run_phase_report, 60 * NS_PER_S, true, STATUS_INTERNAL},
    {"teardown", run_phase_teardown, 60 * NS_PER_S, true, STATUS_PASSED},
};

static volatile sig_atomic_t run_signal_count;

static void
run_signal(int signo)
{
    (void)signo;
    run_signal_count++;
}

int
run_signals(void)
{
    return run_signal_count;
}

static void
run_catch_signals(void)
{
    struct sigaction action = {.sa_handler = run_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

void
run_mark(struct run *r, enum run_status status, const char *fmt, ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = xstrdup(fmt);
    va_end(ap);
    r->statuses[status] = true;
    json_array_append_new(r->notes,
                          json_pack("{s:s, s:s}", "status",
                                    run_status_name(status), "text", text));
    log_message(status == STATUS_PASSED ? LOG_WARNING : LOG_ERROR, "run", "%s",
                text);
}

void
run_remark(struct run *r, const char *fmt, ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = xstrdup(fmt);
    va_end(ap);
    json_array_append_new(r->remarks, json_string(text));
    log_info("run", "%s", text);
}

/* Names the phase in display, history and status.json. */
static void
run_enter(struct run *r, const struct run_phase *phase)
{
    struct event note = {.kind = EVENT_NOTE,
                         .process = HISTORY_PROCESS_NONE,
                         .function = "phase"};
    struct error err = {0};
    struct arena arena;

    pthread_mutex_lock(&r->lock);
    snprintf(r->phase, sizeof(r->phase), "%s", phase->name);
    r->phase_deadline_ns = clock_now_ns(r->clock) + phase->limit_ns;
    pthread_mutex_unlock(&r->lock);
    if (r->history != NULL) {
        arena_init(&arena);
        fields_set_string(&arena, &note.fields, "name", phase->name);
        if (history_append(r->history, &note, HISTORY_BUFFERED, &err) < 0)
            log_warning("run", "%s, continuing", err.text);
        arena_release(&arena);
    }
    if (!r->finished)
        run_write_status(r, "running");
    log_debug("run", "phase %s", phase->name);
}

/* One phase; false when the run cannot go on to those that need it. */
static bool
run_one_phase(struct run *r, const struct run_phase *phase)
{
    int64_t started = clock_now_ns(r->clock);
    struct error err = {0};
    bool ok;

    run_enter(r, phase);
    ok = phase->run(r, &err) == 0;
    json_array_append_new(
        r->phases,
        json_pack("{s:s, s:I, s:I, s:b}", "name", phase->name, "started_ns",
                  (json_int_t)(started - r->started_ns), "duration_ns",
                  (json_int_t)(clock_now_ns(r->clock) - started), "ok", ok));
    if (!ok && run_signals() > 0 && r->load == NULL && err.kind != ERROR_BUG)
        run_mark(r, STATUS_INSUFFICIENT, "interrupted by a signal: %s: %s",
                 phase->name, err.text);
    else if (!ok)
        run_mark(r, err.kind == ERROR_BUG ? STATUS_INTERNAL : phase->on_failure,
                 "%s: %s", phase->name, err.text);
    return ok;
}

static void
run_all_phases(struct run *r)
{
    bool failed = false;

    for (size_t i = 0; i < ARRAY_LEN(run_phases); i++) {
        const struct run_phase *phase = &run_phases[i];

        if ((failed || run_signals() > 1) && !phase->always)
            continue;
        if (run_signals() > 0 && r->load == NULL && !phase->always) {
            run_mark(r, STATUS_INSUFFICIENT,
                     "interrupted by a signal before the load began");
            failed = true;
            continue;
        }
        if (!run_one_phase(r, phase))
            failed = true;
    }
}

static void
run_look(void *ctx, struct progress_view *ret)
{
    struct run *r = ctx;
    struct load_stats stats = {.primary = -1};
    int64_t left;

    pthread_mutex_lock(&r->lock);
    memcpy(ret->phase, r->phase, sizeof(ret->phase));
    left = r->phase_deadline_ns - clock_now_ns(r->clock);
    if (r->load != NULL)
        load_stats(r->load, &stats);
    if (r->nemesis != NULL)
        nemesis_current(r->nemesis, ret->fault);
    pthread_mutex_unlock(&r->lock);
    if (strcmp(ret->phase, "load") == 0)
        ret->left_ns = left > 0 ? left : 0;
    ret->ok = stats.attempts[EVENT_OK];
    ret->fail = stats.attempts[EVENT_FAIL];
    ret->unknown = stats.attempts[EVENT_UNKNOWN];
    if (stats.primary >= 0)
        snprintf(ret->primary, sizeof(ret->primary), "%s",
                 r->site.cluster.nodes[stats.primary].name);
}

static void
run_release(struct run *r)
{
    load_free(r->load);
    if (r->history != NULL)
        history_writer_tap(r->history, NULL, NULL);
    nemesis_free(r->nemesis);
    journal_close(r->journal);
    if (r->faults_file != NULL)
        fclose(r->faults_file);
    if (r->workload != NULL)
        r->workload->ops->free(r->workload);
    history_writer_abandon(r->history);
    plan_release(&r->plan);
    bundle_free(r->bundle);
    scenario_free(r->scenario);
    loss_free(r->loss);
    json_decref(r->notes);
    json_decref(r->remarks);
    json_decref(r->phases);
    json_decref(r->analysis);
    json_decref(r->own_checkers);
    json_decref(r->expectation);
    json_decref(r->failure);
    free(r->replica_path);
    free(r->harm_path);
    free(r->image_dir);
    pthread_mutex_destroy(&r->lock);
}

int
run_scenario(const struct run_options *options, struct run_result *ret,
             struct error *err)
{
    struct run *r = xcalloc(1, sizeof(*r));
    struct progress *progress;
    int result;

    r->options = options;
    r->result = ret;
    r->clock = clock_monotonic();
    r->notes = json_array();
    r->remarks = json_array();
    r->phases = json_array();
    r->own_checkers = json_array();
    r->started_ns = clock_now_ns(r->clock);
    r->started_wall_ns = clock_wall_ns();
    pthread_mutex_init(&r->lock, NULL);
    run_catch_signals();
    result = run_phase_plan(r, err);
    if (result == 0) {
        progress =
            options->quiet ? NULL : progress_start(r->clock, run_look, r);
        run_all_phases(r);
        progress_stop(progress);
        ret->interrupted = run_signals() > 0;
    }
    run_release(r);
    free(r);
    return result;
}
