/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "artifacts/bundle.h"
#include "artifacts/status.h"
#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/process.h"
#include "harness/gate/lane.h"

#define LANE_OUTPUT_BYTES_MAX (1u << 20)
#define LANE_ERROR_TAIL_BYTES 200
#define LANE_ARGS_MAX 24

struct lane_words {
    const char *words[LANE_ARGS_MAX];
    size_t count;
};

static void
lane_add(struct lane_words *w, const char *option, const char *value)
{
    if (value == NULL)
        return;
    w->words[w->count++] = option;
    w->words[w->count++] = value;
}

static int
lane_spawn(struct lane *lane, const char *const argv[], struct error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_t actions;
    int result;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, lane->out_path, flags, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, lane->err_path, flags, 0644);
    result = process_launch(argv, NULL, &actions, &lane->pid);
    posix_spawn_file_actions_destroy(&actions);
    if (result != 0)
        return error_errno(err, ERROR_ENVIRONMENT, result, "%s", argv[0]);
    if (!process_start_ticks(lane->pid, &lane->start_ticks))
        lane->start_ticks = 0;
    return 0;
}

int
lane_start(struct lane *lane, json_t *row, const struct lane_command *c,
           struct error *err)
{
    size_t attempt = json_array_size(json_object_get(row, "attempts"));
    json_int_t window = json_integer_value(json_object_get(row, "window_ns"));
    json_int_t number = json_integer_value(json_object_get(row, "number"));
    struct lane_words w = {.words = {c->program, "run"}, .count = 2};
    struct arena a;
    int result;

    arena_init(&a);
    lane_add(&w, "--format", "json");
    lane_add(&w, "--seed", arena_printf(&a, "%" PRIu64, c->seed));
    lane_add(&w, "--window",
             arena_printf(&a, "%" PRId64 "ms", (int64_t)window / NS_PER_MS));
    lane_add(&w, "--output", c->output);
    lane_add(&w, "--uri", c->uri);
    lane_add(&w, "--system", c->system);
    lane_add(&w, "--bug", json_string_value(json_object_get(row, "bug")));
    w.words[w.count++] = "--quiet";
    lane_add(&w, "--", json_string_value(json_object_get(row, "scenario")));
    *lane = (struct lane){
        .row = row,
        .out_path = xasprintf("%s/row-%03" PRId64 "-%zu.out", c->dir,
                              (int64_t)number, attempt),
        .err_path = xasprintf("%s/row-%03" PRId64 "-%zu.log", c->dir,
                              (int64_t)number, attempt),
    };
    result = lane_spawn(lane, w.words, err);
    arena_release(&a);
    if (result < 0)
        lane_release(lane);
    return result;
}

/* The bundle that the run named in its first line. */
static char *
lane_read_bundle(const char *out_path)
{
    struct error ignored = {0};
    size_t len;
    CLEANUP_FREE char *text =
        file_read(out_path, LANE_OUTPUT_BYTES_MAX, &len, &ignored);
    char *end = text == NULL ? NULL : strchr(text, '\n');
    const char *bundle;
    char *found = NULL;
    json_t *line;

    if (end == NULL)
        return NULL; /* half a line is none */
    line = json_loadb(text, (size_t)(end - text), 0, NULL);
    bundle = json_string_value(json_object_get(line, "bundle"));
    if (bundle != NULL)
        found = xstrdup(bundle);
    json_decref(line);
    return found;
}

void
lane_look(struct lane *lane)
{
    CLEANUP_FREE char *path = NULL;
    const char *phase;
    json_t *status;

    if (lane->bundle == NULL)
        lane->bundle = lane_read_bundle(lane->out_path);
    if (lane->bundle == NULL)
        return;
    path = xasprintf("%s/" BUNDLE_STATUS, lane->bundle);
    status = json_load_file(path, 0, NULL);
    phase = json_string_value(json_object_get(status, "phase"));
    if (phase != NULL)
        snprintf(lane->phase, sizeof(lane->phase), "%s", phase);
    json_decref(status);
}

/* The last of what the run said on standard error. */
static char *
lane_last_words(const struct lane *lane)
{
    struct error ignored = {0};
    size_t len = 0;
    CLEANUP_FREE char *text =
        file_read(lane->err_path, LANE_OUTPUT_BYTES_MAX, &len, &ignored);
    size_t from;

    if (text == NULL || len == 0)
        return xstrdup("it said nothing");
    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    from = len > LANE_ERROR_TAIL_BYTES ? len - LANE_ERROR_TAIL_BYTES : 0;
    for (size_t i = len; i > from; i--)
        if (text[i - 1] == '\n')
            return xstrdup(text + i);
    return xstrdup(text + from);
}

/* Whether 'ordeal run' ends like this with a bundle and a status. */
static bool
lane_status_is_verdict(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) != EXIT_USAGE;
}

bool
lane_ended(struct lane *lane, char **ret_problem)
{
    CLEANUP_FREE char *words = NULL;
    int status = 0;
    pid_t pid;

    do {
        pid = waitpid(lane->pid, &status, WNOHANG);
    } while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return false;
    *ret_problem = NULL;
    lane_look(lane);
    words = lane_last_words(lane);
    if (pid < 0)
        *ret_problem =
            xasprintf("its process cannot be waited for: %s", strerror(errno));
    else if (WIFSIGNALED(status))
        *ret_problem = xasprintf("its driver was ended by signal %d: %s",
                                 WTERMSIG(status), words);
    else if (!lane_status_is_verdict(status) || lane->bundle == NULL)
        *ret_problem =
            xasprintf("exit status %d: %s", WEXITSTATUS(status), words);
    return true;
}

json_t *
lane_manifest(struct lane *lane)
{
    CLEANUP_FREE char *path = NULL;

    lane_look(lane);
    if (lane->bundle == NULL)
        return NULL;
    path = xasprintf("%s/" BUNDLE_MANIFEST, lane->bundle);
    return json_load_file(path, 0, NULL);
}

void
lane_signal(const struct lane *lane, int signo)
{
    if (lane->row != NULL && lane->pid > 0)
        kill(lane->pid, signo);
}

void
lane_release(struct lane *lane)
{
    free(lane->out_path);
    free(lane->err_path);
    free(lane->bundle);
    *lane = (struct lane){0};
}

struct lane_old {
    pid_t pid;
    uint64_t start_ticks;
};

static bool
lane_old_is_gone(void *ctx)
{
    const struct lane_old *old = ctx;
    uint64_t ticks;

    return !process_start_ticks(old->pid, &ticks) || ticks != old->start_ticks;
}

bool
lane_end_old(const json_t *attempt, int64_t deadline_ns)
{
    struct lane_old old = {
        .pid = (pid_t)json_integer_value(json_object_get(attempt, "pid")),
        .start_ticks = (uint64_t)json_integer_value(
            json_object_get(attempt, "start_ticks")),
    };

    if (old.pid <= 0 || lane_old_is_gone(&old))
        return true;
    kill(old.pid, SIGTERM);
    return clock_poll(clock_monotonic(), deadline_ns, 200 * NS_PER_MS,
                      lane_old_is_gone, &old);
}
