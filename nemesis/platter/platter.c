/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbdkit runs in the foreground as our child, in a process group of its own,
 * so that what a terminal sends to us does not end the disk before the guest.
 * It is ready when its control socket answers, which it does only after it
 * listens for clients.
 *
 * Failure modes: nbdkit ends at once (no plugin, an image in use): its last
 * words are in the error.  The driver dies: --exit-with-parent ends nbdkit as
 * soon as its clients are gone; platter_recover() ends it with them.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/process.h"
#include "harness/provider/orphans.h"
#include "nemesis/platter/platter.h"
#include "nemesis/platter/server.h"

#define PLATTER_LOOK_AGAIN_NS (5 * NS_PER_MS)
#define PLATTER_TERM_NS (2 * NS_PER_S) /* to apply a log of 64 MiB */
#define PLATTER_LOG_BYTES_MAX (1u << 20)
#define PLATTER_LOG_TAIL 200

extern char **environ;

/* ---- starting ---- */

char *
platter_plugin_path(struct error *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash, *path;

    self[n < 0 ? 0 : n] = '\0';
    slash = strrchr(self, '/');
    if (slash != NULL) {
        *slash = '\0';
        path = xasprintf("%s/ordeal-platter.so", self);
        if (access(path, R_OK) == 0)
            return path;
        free(path);
    }
    path = xstrdup(ORDEAL_PKGLIBDIR "/ordeal-platter.so");
    if (access(path, R_OK) == 0)
        return path;
    error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    free(path);
    return NULL;
}

static void
platter_release(struct platter *p)
{
    free(p->socket_path);
    free(p->control_path);
    free(p->log_path);
    free(p->record_dir);
    memset(p, 0, sizeof(*p));
}

static int
platter_spawn(struct platter *p, const char *const argv[], struct error *err)
{
    posix_spawn_file_actions_t actions;
    int rc;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, p->log_path,
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    rc = process_launch(argv, NULL, &actions, &p->pid);
    posix_spawn_file_actions_destroy(&actions);
    if (rc == 0)
        return 0;
    p->pid = 0;
    return error_errno(err, ERROR_ENVIRONMENT, rc,
                       "'%s' (Debian package nbdkit)", argv[0]);
}

static int
platter_spawn_nbdkit(struct platter *p, const struct platter_config *c,
                     struct error *err)
{
    CLEANUP_FREE char *plugin = platter_plugin_path(err);
    CLEANUP_FREE char *file = xasprintf("file=%s", c->image);
    CLEANUP_FREE char *control = xasprintf("control=%s", p->control_path);
    CLEANUP_FREE char *record = xasprintf("record=%s", p->record_dir);
    CLEANUP_FREE char *seed = xasprintf("seed=%" PRIu64, c->seed);
    CLEANUP_FREE char *bound = xasprintf(
        "bound=%" PRIu64,
        c->bound_bytes > 0 ? c->bound_bytes : (uint64_t)STORE_BOUND_BYTES);
    const char *argv[] = {"nbdkit",
                          "-f",
                          "--exit-with-parent",
                          "-t",
                          PLATTER_THREADS,
                          "-U",
                          p->socket_path,
                          plugin,
                          file,
                          control,
                          record,
                          seed,
                          bound,
                          c->sync ? "sync=true" : "sync=false",
                          NULL};

    return plugin == NULL ? -1 : platter_spawn(p, argv, err);
}

/* The end of what nbdkit said, on one line. */
static void
platter_last_words(const struct platter *p, char ret[PLATTER_LOG_TAIL])
{
    struct error ignored;
    size_t len = 0, skip, out = 0;
    CLEANUP_FREE char *text =
        file_read(p->log_path, PLATTER_LOG_BYTES_MAX, &len, &ignored);

    while (text != NULL && len > 0 && text[len - 1] == '\n')
        len--;
    skip = len >= PLATTER_LOG_TAIL ? len - PLATTER_LOG_TAIL + 1 : 0;
    for (size_t i = skip; text != NULL && i < len; i++)
        ret[out++] = text[i] >= ' ' && text[i] < 127 ? text[i] : ' ';
    ret[out] = '\0';
}

static int
platter_wait_ready(struct platter *p, int64_t deadline_ns, struct error *err)
{
    struct clock *clock = clock_monotonic();
    char words[PLATTER_LOG_TAIL];
    struct error last = {0};

    for (;;) {
        json_t *reply = platter_command(p, deadline_ns, &last, "stats");
        int status;

        if (reply != NULL) {
            json_decref(reply);
            return 0;
        }
        if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
            p->pid = 0;
            platter_last_words(p, words);
            return error_set(err, ERROR_ENVIRONMENT, "nbdkit ended: %s", words);
        }
        if (clock_now_ns(clock) >= deadline_ns)
            return error_set(err, ERROR_ENVIRONMENT,
                             "nbdkit is not ready in time: %.300s", last.text);
        clock_sleep_ns(clock, PLATTER_LOOK_AGAIN_NS);
    }
}

int
platter_start(struct platter *ret, const struct platter_config *c,
              int64_t deadline_ns, struct error *err)
{
    struct platter p = {0};
    struct error ignored;

    assert(c->dir[0] == '/' && c->image[0] == '/');
    p.socket_path = xasprintf("%s/%s.sock", c->dir, c->name);
    p.control_path = xasprintf("%s/%s.ctl", c->dir, c->name);
    p.log_path = xasprintf("%s/%s.log", c->dir, c->name);
    p.record_dir = xasprintf("%s/%s-cuts", c->dir, c->name);
    if (strlen(p.socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        error_set(err, ERROR_CONFIG, "the socket path '%s' is too long",
                  p.socket_path);
        platter_release(&p);
        return -1;
    }
    unlink(p.socket_path); /* nbdkit does not, and fails on an old one */
    unlink(p.control_path);
    if (dir_make(p.record_dir, 0700, err) < 0 ||
        platter_spawn_nbdkit(&p, c, err) < 0 ||
        platter_wait_ready(&p, deadline_ns, err) < 0) {
        error_wrap(err, "platter %s", c->name);
        platter_stop(&p, &ignored);
        return -1;
    }
    *ret = p;
    return 0;
}

/* ---- commands ---- */

static int
platter_connect(const char *path, struct error *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert(strlen(path) < sizeof(a.sun_path));
    memcpy(a.sun_path, path, strlen(path) + 1);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    error_errno(err, ERROR_TRANSIENT, errno, "%s", path);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int
platter_receive(int fd, struct buf *reply, int64_t deadline_ns,
                struct error *err)
{
    while (strchr(buf_text(reply), '\n') == NULL) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_ns - clock_now_ns(clock_monotonic());
        char chunk[4096];
        ssize_t n;

        if (left <= 0)
            return error_set(err, ERROR_TRANSIENT, "no answer in time");
        if (poll(&pfd, 1, (int)(left / NS_PER_MS % INT_MAX) + 1) <= 0)
            continue;
        n = recv(fd, chunk, sizeof(chunk), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0 || reply->truncated)
            return error_set(err, ERROR_TRANSIENT, "the answer breaks off");
        buf_append(reply, chunk, (size_t)n);
    }
    return 0;
}

static json_t *
platter_parse(const char *text, struct error *err)
{
    json_error_t ignored;
    json_t *reply = json_loads(text, JSON_REJECT_DUPLICATES, &ignored);

    if (!json_is_object(reply))
        error_set(err, ERROR_BUG, "an answer that is none: %.100s", text);
    else if (json_is_true(json_object_get(reply, "ok")))
        return reply;
    else
        error_set(err, ERROR_CONFIG, "%s",
                  json_string_value(json_object_get(reply, "error")));
    json_decref(reply);
    return NULL;
}

json_t *
platter_command(const struct platter *p, int64_t deadline_ns, struct error *err,
                const char *fmt, ...)
{
    char line[SERVER_LINE_BYTES_MAX];
    CLEANUP_CLOSE int fd = -1;
    CLEANUP(buf_release) struct buf reply;
    json_t *parsed = NULL;
    va_list args;
    int len;

    buf_init(&reply, SERVER_REPLY_BYTES_MAX);
    va_start(args, fmt);
    len = vsnprintf(line, sizeof(line) - 1, fmt, args);
    va_end(args);
    assert(len > 0 && (size_t)len < sizeof(line) - 1);
    line[len++] = '\n';
    fd = platter_connect(p->control_path, err);
    if (fd < 0)
        return NULL;
    if (send(fd, line, (size_t)len, MSG_NOSIGNAL) != len)
        error_errno(err, ERROR_TRANSIENT, errno, "send");
    else if (platter_receive(fd, &reply, deadline_ns, err) == 0)
        parsed = platter_parse(reply.data, err);
    if (parsed == NULL) {
        line[len - 1] = '\0';
        error_wrap(err, "platter '%s'", line);
    }
    return parsed;
}

uint64_t
platter_cut_seed(uint64_t run_seed, const char *node, uint64_t number)
{
    struct rng run, cut;

    rng_init(&run, run_seed);
    cut = rng_fork(&run, node, number);
    return rng_u64(&cut) >> 1; /* fits a JSON integer */
}

static uint64_t
platter_field(const json_t *reply, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(reply, key));
}

int
platter_cut(const struct platter *p, const struct cut_spec *spec,
            int64_t deadline_ns, struct cut_result *ret, struct error *err)
{
    json_t *r =
        platter_command(p, deadline_ns, err,
                        "cut policy=%s seed=%" PRIu64 " percent=%u unit=%u",
                        cut_policy_name(spec->policy), spec->seed,
                        spec->percent, spec->unit_bytes);

    if (r == NULL)
        return -1;
    *ret = (struct cut_result){
        .generation = platter_field(r, "generation"),
        .records = platter_field(r, "records"),
        .bytes = platter_field(r, "bytes"),
        .kept = platter_field(r, "kept"),
        .torn = platter_field(r, "torn"),
        .lost = platter_field(r, "lost"),
        .unflushed_sectors = platter_field(r, "unflushed_sectors"),
        .lost_sectors = platter_field(r, "lost_sectors"),
    };
    json_decref(r);
    return 0;
}

int
platter_power_on(const struct platter *p, int64_t deadline_ns,
                 struct error *err)
{
    struct clock *clock = clock_monotonic();
    struct error last;

    for (;;) {
        json_t *r = platter_command(p, deadline_ns, &last, "on");

        if (r != NULL) {
            json_decref(r);
            return 0;
        }
        /* It says no while old connections are open: ask again. */
        if (clock_now_ns(clock) >= deadline_ns) {
            *err = last;
            return -1;
        }
        clock_sleep_ns(clock, PLATTER_LOOK_AGAIN_NS);
    }
}

/* ---- ending ---- */

static bool
platter_has_ended(void *ctx)
{
    struct platter *p = ctx;
    int status;

    return waitpid(p->pid, &status, WNOHANG) != 0;
}

int
platter_stop(struct platter *p, struct error *err)
{
    struct clock *clock = clock_monotonic();
    bool ended = p->pid == 0;

    if (!ended) {
        kill(p->pid, SIGTERM);
        ended = clock_poll(clock, clock_now_ns(clock) + PLATTER_TERM_NS,
                           PLATTER_LOOK_AGAIN_NS, platter_has_ended, p);
    }
    if (!ended) {
        kill(p->pid, SIGKILL);
        ended = clock_poll(clock, clock_now_ns(clock) + PLATTER_TERM_NS,
                           PLATTER_LOOK_AGAIN_NS, platter_has_ended, p);
    }
    if (!ended)
        return error_set(err, ERROR_ENVIRONMENT, "nbdkit %d does not end",
                         (int)p->pid);
    if (p->socket_path != NULL) {
        unlink(p->socket_path);
        unlink(p->control_path);
    }
    platter_release(p);
    return 0;
}

int
platter_recover(const char *dir, int64_t deadline_ns, struct error *err)
{
    return orphans_end(ORPHANS_NBDKIT, dir, deadline_ns, err);
}
