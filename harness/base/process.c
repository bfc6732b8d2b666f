/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posix_spawn with three pipes; poll moves bytes until both outputs are at
 * their end, then the program is waited for through a pidfd.
 *
 * Failure modes: a program that closes its outputs and lives on, or that never
 * closes them, is killed with its group at the deadline and reaped.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/process.h"

extern char **environ;

/* A child and our ends of its pipes; -1 when closed. */
struct process {
    pid_t pid;
    int in, out, err, pidfd;
    const char *input;
    size_t input_left;
};

void
process_result_init(struct process_result *r)
{
    memset(r, 0, sizeof(*r));
    r->status = -1;
}

void
process_result_release(struct process_result *r)
{
    buf_release(&r->out);
    buf_release(&r->err);
}

static void
process_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void
process_release(struct process *p)
{
    process_close(&p->in);
    process_close(&p->out);
    process_close(&p->err);
    process_close(&p->pidfd);
}

int
process_launch(const char *const argv[], const char *const *environment,
               const posix_spawn_file_actions_t *actions, pid_t *ret)
{
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char *const *env =
        environment != NULL ? (char *const *)environment : environ;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP |
                                              POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    rc = posix_spawnp(ret, argv[0], actions, &attributes, (char *const *)argv,
                      env);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

static int
process_spawn(struct process *p, const char *const argv[],
              const struct process_options *o, int theirs[3])
{
    posix_spawn_file_actions_t actions;
    int rc;

    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
    if (o->directory != NULL)
        posix_spawn_file_actions_addchdir_np(&actions, o->directory);
    rc = process_launch(argv, o->environment, &actions, &p->pid);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/*
 * Pipes are made above descriptor 2: dup2 onto itself would leave the
 * close-on-exec flag set.
 */
static int
process_pipe(int ret[2])
{
    int low[2];

    if (pipe2(low, O_CLOEXEC) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        ret[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 3);
        close(low[i]);
    }
    return ret[0] < 0 || ret[1] < 0 ? -1 : 0;
}

static int
process_start(struct process *p, const char *const argv[],
              const struct process_options *o, struct error *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, error[2] = {-1, -1};
    int rc = 0;

    *p = (struct process){.in = -1, .out = -1, .err = -1, .pidfd = -1};
    p->input = o->input;
    p->input_left = o->input_len;
    if (process_pipe(in) < 0 || process_pipe(out) < 0 ||
        process_pipe(error) < 0)
        rc = errno;
    if (rc == 0)
        rc = process_spawn(p, argv, o, (int[3]){in[0], out[1], error[1]});
    process_close(&in[0]);
    process_close(&out[1]);
    process_close(&error[1]);
    p->in = in[1];
    p->out = out[0];
    p->err = error[0];
    if (rc != 0) {
        process_release(p);
        return error_errno(err, ERROR_ENVIRONMENT, rc, "'%s'", argv[0]);
    }
    fcntl(p->in, F_SETFL, O_NONBLOCK);
    fcntl(p->out, F_SETFL, O_NONBLOCK);
    fcntl(p->err, F_SETFL, O_NONBLOCK);
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    return 0;
}

static void
process_feed(struct process *p)
{
    while (p->input_left > 0) {
        ssize_t n = write(p->in, p->input, p->input_left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break; /* EPIPE: it ended without reading */
        p->input += n;
        p->input_left -= (size_t)n;
    }
    process_close(&p->in);
}

static void
process_drain(int *fd, struct buf *out)
{
    char chunk[16384];
    ssize_t n = read(*fd, chunk, sizeof(chunk));

    if (n > 0)
        buf_append(out, chunk, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        process_close(fd);
}

/* Until all pipes are closed and the process has ended; -1 at the deadline. */
static int
process_pump(struct process *p, struct process_result *ret, int64_t deadline_ns)
{
    for (;;) {
        struct pollfd fds[4] = {{.fd = p->in, .events = POLLOUT},
                                {.fd = p->out, .events = POLLIN},
                                {.fd = p->err, .events = POLLIN},
                                {.fd = -1, .events = POLLIN}};
        int64_t left = deadline_ns - clock_now_ns(clock_monotonic());
        struct timespec ts = {.tv_sec = left / NS_PER_S,
                              .tv_nsec = left % NS_PER_S};

        if (left <= 0)
            return -1;
        if (p->out < 0 && p->err < 0)
            fds[3].fd = p->pidfd;
        if (ppoll(fds, 4, &ts, NULL) <= 0)
            continue;
        if (fds[0].revents != 0)
            process_feed(p);
        if (fds[1].revents != 0)
            process_drain(&p->out, &ret->out);
        if (fds[2].revents != 0)
            process_drain(&p->err, &ret->err);
        if (fds[3].revents != 0)
            return 0;
    }
}

static void
process_reap(struct process *p, struct process_result *ret)
{
    int status = 0;

    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status)) {
        ret->status = -1;
        ret->signo = WTERMSIG(status);
    } else {
        ret->status = WEXITSTATUS(status);
        ret->signo = 0;
    }
}

int
process_run(const char *const argv[], const struct process_options *o,
            int64_t deadline_ns, struct process_result *ret, struct error *err)
{
    struct process p;
    int rc;

    assert(o->input != NULL || o->input_len == 0);
    ret->out.max = ret->err.max = o->output_max;
    if (process_start(&p, argv, o, err) < 0)
        return -1;
    if (p.pidfd < 0)
        rc = error_errno(err, ERROR_ENVIRONMENT, errno, "pidfd_open");
    else if (process_pump(&p, ret, deadline_ns) < 0)
        rc = error_set(err, ERROR_TRANSIENT, "'%s': timed out", argv[0]);
    else
        rc = 0;
    if (rc < 0)
        kill(-p.pid, SIGKILL);
    process_reap(&p, ret);
    process_release(&p);
    return rc;
}

bool
process_start_ticks(int pid, uint64_t *ret)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", pid);
    struct error err = {0};
    CLEANUP_FREE char *text = file_read(path, 8192, NULL, &err);
    char *p = text == NULL ? NULL : strrchr(text, ')');

    /* after the name: field 3 is the state, field 22 the start time */
    for (int field = 3; p != NULL && field <= 22; field++)
        p = strchr(p + 1, ' ');
    if (p == NULL)
        return false;
    *ret = strtoull(p + 1, NULL, 10);
    return true;
}
