/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: fork, exec, wait on a pidfd with a deadline.
 *
 * Failure modes: a program that does not exist exits with 127; one that does
 * not end in time is killed, and if even that does not end it (a disk that
 * hangs) it is left to the reaper of the main loop.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "harness/base/clock.h"
#include "vm-images/init.h"

/* SIGKILL works at once or waits for a device: then nobody waits with it. */
#define KILL_WAIT_MS 1000

void
process_child_prepare(void)
{
    sigset_t none;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
child_exec(const char *const argv[], const char *log)
{
    int in = open("/dev/null", O_RDONLY);
    int out = log == NULL
                  ? -1
                  : open(log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);

    process_child_prepare();
    if (in > 0)
        dup2(in, STDIN_FILENO);
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
    }
    if (in > STDERR_FILENO)
        close(in);
    if (out > STDERR_FILENO)
        close(out);
    execv(argv[0], (char *const *)argv); /* it does not write there */
    _exit(127);
}

pid_t
process_spawn(const char *const argv[], const char *log, struct error *err)
{
    pid_t pid = fork();

    if (pid == 0)
        child_exec(argv, log);
    if (pid < 0)
        error_errno(err, ERROR_ENVIRONMENT, errno, "fork");
    return pid;
}

static bool
pidfd_ended(int pidfd, int timeout_ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

int
process_run(const char *const argv[], int64_t timeout_ns, struct error *err)
{
    CLEANUP_CLOSE int pidfd = -1;
    pid_t pid = process_spawn(argv, NULL, err);
    int status = 0;

    if (pid < 0)
        return -1;
    pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "pidfd_open");
    if (!pidfd_ended(pidfd, (int)(timeout_ns / NS_PER_MS))) {
        kill(pid, SIGKILL);
        if (pidfd_ended(pidfd, KILL_WAIT_MS))
            waitpid(pid, &status, 0);
        return error_set(err, ERROR_TRANSIENT, "'%s': timed out", argv[0]);
    }
    if (waitpid(pid, &status, 0) != pid)
        return error_errno(err, ERROR_BUG, errno, "waitpid '%s'", argv[0]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(err, ERROR_ENVIRONMENT, "'%s': %s %d", argv[0],
                         WIFEXITED(status) ? "exit status" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status)
                                           : WTERMSIG(status));
    return 0;
}
