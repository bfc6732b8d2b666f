/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop: idle lanes take the next row that waits, ended runs are judged
 * against what their row expects, and after each change gate.json is written.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/base/process.h"
#include "harness/base/rng.h"
#include "harness/gate/claims.h"
#include "harness/gate/gate.h"
#include "harness/gate/lane.h"
#include "harness/gate/state.h"
#include "harness/gate/table.h"
#include "harness/paths.h"
#include "harness/run.h"

#define GATE_POLL_NS (250 * NS_PER_MS)
/* A run that was asked to end still heals, sweeps, collects and judges. */
#define GATE_OLD_RUN_TIMEOUT_NS (600 * NS_PER_S)

struct gate {
    const struct gate_options *options;
    char *dir, *program;
    int lock_fd;
    json_t *state;
    struct lane *lanes;
    unsigned lane_count;
    struct clock *clock;
    struct gate_live live;
    int signals_passed_on;
};

static volatile sig_atomic_t gate_signal_count;

static void
gate_signal(int signo)
{
    (void)signo;
    gate_signal_count++;
}

static void
gate_catch_signals(void)
{
    struct sigaction action = {.sa_handler = gate_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* ---- the directory ---- */

/* One process at a time: a second would start the same rows. */
static int
gate_lock(struct gate *g, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/lock", g->dir);

    g->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (g->lock_fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    if (flock(g->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return error_set(err, ERROR_CONFIG,
                         "%s: another process is at work on this gate", g->dir);
    return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: lock", path);
}

static char *
gate_new_dir(const char *output, const char *suite, int64_t wall_ns)
{
    char utc[21], compact[17];
    size_t k = 0;

    clock_format_utc(wall_ns, utc);
    for (size_t i = 0; utc[i] != '\0'; i++)
        if (utc[i] != '-' && utc[i] != ':')
            compact[k++] = utc[i];
    compact[k] = '\0';
    return xasprintf("%s/gates/%s-%s-%04x", output, suite, compact,
                     (unsigned)(rng_fresh_seed() & 0xffff));
}

/* The newest gate below 'output' that is not finished; NULL: none. */
static char *
gate_last_dir(const char *output)
{
    CLEANUP_FREE char *pattern = xasprintf("%s/gates/*/" GATE_FILE, output);
    char *best = NULL, best_time[21] = "";
    glob_t found;

    if (glob(pattern, 0, NULL, &found) != 0)
        return NULL;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        json_t *state = json_load_file(found.gl_pathv[i], 0, NULL);
        const char *now = json_string_value(json_object_get(state, "state"));
        const char *started =
            json_string_value(json_object_get(state, "started_at"));

        if (now != NULL && strcmp(now, "finished") != 0 && started != NULL &&
            strcmp(started, best_time) >= 0) {
            snprintf(best_time, sizeof(best_time), "%s", started);
            free(best);
            best = xstrdup(found.gl_pathv[i]);
            *strrchr(best, '/') = '\0';
        }
        json_decref(state);
    }
    globfree(&found);
    return best;
}

static uint64_t
gate_seed(const struct gate_options *o, const struct matrix *m)
{
    if (o->seed != GATE_SEED_ANY)
        return o->seed;
    return m->seeded ? m->seed : rng_fresh_seed();
}

static int
gate_open_new(struct gate *g, struct error *err)
{
    const struct gate_options *o = g->options;
    int64_t wall_ns = clock_wall_ns();
    const struct matrix_options m = {
        .suite = o->suite, .system = o->system, .window_ns = o->window_ns};
    struct matrix matrix;

    if (matrix_load(&m, &matrix, err) < 0)
        return -1;
    g->dir = gate_new_dir(o->output, matrix.suite, wall_ns);
    g->state = gate_state_new(&matrix, gate_seed(o, &matrix), wall_ns);
    if (o->system != NULL)
        json_object_set_new(g->state, "system", json_string(o->system));
    matrix_release(&matrix);
    if (dir_make(g->dir, 0755, err) < 0 || gate_lock(g, err) < 0)
        return -1;
    return gate_state_save(g->dir, g->state, err);
}

/* Runs that the dead gate did not see end are ended and start again. */
static int
gate_settle_old(struct gate *g, struct error *err)
{
    int64_t deadline_ns = clock_now_ns(g->clock) + GATE_OLD_RUN_TIMEOUT_NS;
    unsigned recovered = 0;
    size_t i;
    json_t *row;

    json_array_foreach (gate_state_rows(g->state), i, row) {
        if (!gate_row_is(row, "running"))
            continue;
        if (!lane_end_old(gate_row_attempt(row), deadline_ns))
            return error_set(
                err, ERROR_ENVIRONMENT,
                "row %" PRId64 ": its run does not end (process %" PRId64 ")",
                (int64_t)json_integer_value(json_object_get(row, "number")),
                (int64_t)json_integer_value(
                    json_object_get(gate_row_attempt(row), "pid")));
        gate_attempt_interrupt(row, "the gate was interrupted");
    }
    return run_recover(g->options->output, &recovered, err);
}

static int
gate_open_old(struct gate *g, struct error *err)
{
    const struct gate_options *o = g->options;

    g->dir = strcmp(o->resume, "last") == 0 ? gate_last_dir(o->output)
                                            : xstrdup(o->resume);
    if (g->dir == NULL)
        return error_set(err, ERROR_CONFIG,
                         "no unfinished gate below '%s/gates'", o->output);
    g->state = gate_state_load(g->dir, err);
    if (g->state == NULL || gate_lock(g, err) < 0 ||
        gate_settle_old(g, err) < 0)
        return -1;
    json_object_set_new(g->state, "state", json_string("running"));
    return gate_state_save(g->dir, g->state, err);
}

/* ---- the loop ---- */

static void
gate_save(struct gate *g)
{
    struct error err = {0};

    if (gate_state_save(g->dir, g->state, &err) < 0)
        log_warning("gate", "%s, continuing", err.text);
}

static void
gate_start_lane(struct gate *g, struct lane *lane, json_t *row)
{
    struct lane_command command = {
        .program = g->program,
        .output = g->options->output,
        .uri = g->options->uri,
        .system = json_string_value(json_object_get(g->state, "system")),
        .dir = g->dir,
        .seed = gate_row_seed(g->state, row),
    };
    json_t *attempt = gate_attempt_begin(row, command.seed, clock_wall_ns());
    struct error err = {0};

    if (lane_start(lane, row, &command, &err) < 0) {
        gate_attempt_end(row, NULL, err.text, clock_wall_ns());
        return;
    }
    lane->started_ns = clock_now_ns(g->clock);
    json_object_set_new(attempt, "pid", json_integer(lane->pid));
    json_object_set_new(attempt, "start_ticks",
                        json_integer((json_int_t)lane->start_ticks));
    json_object_set_new(attempt, "log", json_string(lane->err_path));
    gate_save(g);
    gate_tell_begin(&g->live, row, (unsigned)(lane - g->lanes) + 1);
}

/* Of a driver that died the machines are still there, and its history. */
static json_t *
gate_recover_lane(struct gate *g, struct lane *lane)
{
    unsigned count = 0;
    struct error err = {0};

    if (lane->bundle == NULL)
        return NULL;
    if (run_recover(g->options->output, &count, &err) < 0)
        log_warning("gate", "%s, continuing", err.text);
    return lane_manifest(lane);
}

/* A run that was told to end early says nothing about its row. */
static void
gate_end_lane(struct gate *g, struct lane *lane, const char *problem)
{
    json_t *manifest = lane_manifest(lane);
    json_t *row = lane->row;

    if (manifest == NULL)
        manifest = gate_recover_lane(g, lane);

    if (lane->bundle != NULL)
        json_object_set_new(gate_row_attempt(row), "bundle",
                            json_string(lane->bundle));
    if (g->signals_passed_on > 0)
        gate_attempt_interrupt(row, "interrupted by a signal");
    else
        gate_attempt_end(row, manifest, problem, clock_wall_ns());
    json_decref(manifest);
    lane_release(lane);
    gate_save(g);
    gate_tell_end(&g->live, row);
}

static void
gate_pass_on_signals(struct gate *g)
{
    int count = gate_signal_count;

    if (count <= g->signals_passed_on)
        return;
    g->signals_passed_on = count;
    log_info("gate", "interrupted: ending the runs that are under way; "
                     "continue with --resume");
    for (unsigned i = 0; i < g->lane_count; i++)
        lane_signal(&g->lanes[i], SIGTERM);
}

/* Each lane once; whether any is still at work. */
static bool
gate_step(struct gate *g)
{
    bool busy = false;

    gate_pass_on_signals(g);
    for (unsigned i = 0; i < g->lane_count; i++) {
        struct lane *lane = &g->lanes[i];
        CLEANUP_FREE char *problem = NULL;
        json_t *row;

        if (lane->row != NULL && lane_ended(lane, &problem))
            gate_end_lane(g, lane, problem);
        else if (lane->row != NULL)
            lane_look(lane);
        row = g->signals_passed_on > 0 ? NULL : gate_state_next(g->state);
        if (lane->row == NULL && row != NULL)
            gate_start_lane(g, lane, row);
        busy = busy || lane->row != NULL;
    }
    return busy || (g->signals_passed_on == 0 && gate_state_next(g->state));
}

static void
gate_loop(struct gate *g)
{
    gate_live_begin(&g->live, g->options->quiet);
    while (gate_step(g)) {
        gate_live_draw(&g->live, g->state, g->lanes, g->lane_count,
                       clock_now_ns(g->clock));
        clock_sleep_ns(g->clock, GATE_POLL_NS);
    }
    gate_live_end(&g->live);
}

/* Everything that is worked out from the rows, and the reports. */
static int
gate_finish(struct gate *g, enum run_status *ret, struct error *err)
{
    json_t *claims;
    char ended[21];

    *ret = gate_state_status(g->state);
    clock_format_utc(clock_wall_ns(), ended);
    json_object_set_new(g->state, "state",
                        json_string(gate_state_next(g->state) == NULL
                                        ? "finished"
                                        : "interrupted"));
    json_object_set_new(g->state, "status", json_string(run_status_name(*ret)));
    json_object_set_new(g->state, "ended_at", json_string(ended));
    claims = claims_weigh(g->state, g->options->tests, err);
    if (claims == NULL)
        return -1;
    json_object_set_new(g->state, "claims", claims);
    if (gate_state_save(g->dir, g->state, err) < 0 ||
        gate_write_reports(g->dir, g->state, err) < 0)
        return -1;
    if (g->options->as_json)
        gate_print_json(g->state);
    else
        gate_print(g->state, g->dir);
    return 0;
}

int
gate_run(const struct gate_options *options, enum run_status *ret,
         struct error *err)
{
    struct gate g = {.options = options,
                     .lock_fd = -1,
                     .program = paths_self(),
                     .lane_count = (unsigned)options->lanes,
                     .clock = clock_monotonic()};
    int result;

    gate_catch_signals();
    g.lanes = xcalloc(g.lane_count, sizeof(*g.lanes));
    result = options->resume == NULL ? gate_open_new(&g, err)
                                     : gate_open_old(&g, err);
    if (result == 0) {
        gate_loop(&g);
        result = gate_finish(&g, ret, err);
    }
    json_decref(g.state);
    if (g.lock_fd >= 0)
        close(g.lock_fd);
    free(g.lanes);
    free(g.dir);
    free(g.program);
    return result;
}
