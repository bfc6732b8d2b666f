/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All signals of interest are blocked and taken one by one with sigwaitinfo:
 * SIGCHLD means reap, the others are for the driver.
 *
 * Failure modes: without PR_SET_CHILD_SUBREAPER (no such kernel is supported)
 * or fork the message says so and nothing has been started.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/log.h"
#include "harness/provider/supervise.h"

#define SUPERVISE_EXIT_INTERNAL 70

static void
supervise_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

/* Reaps all that is dead.  True when the driver was among it. */
static bool
supervise_reap(pid_t driver, int *status)
{
    bool ended = false;

    for (;;) {
        int s;
        pid_t pid = waitpid(-1, &s, WNOHANG);

        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return ended;
        if (pid == driver) {
            *status = s;
            ended = true;
        }
    }
}

static int
supervise_loop(pid_t driver, const sigset_t *set)
{
    int status = 0;

    for (;;) {
        siginfo_t info;
        int signo = sigwaitinfo(set, &info);

        if (signo < 0)
            continue;
        if (signo == SIGCHLD) {
            if (supervise_reap(driver, &status))
                break;
        } else if (info.si_code != SI_KERNEL) {
            kill(driver, signo);
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int
supervise_child(pid_t parent, const sigset_t *mask, int (*child)(void *),
                void *arg)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (getppid() != parent)
        return 128 + SIGTERM;
    return child(arg);
}

int
supervise_main(int (*child)(void *), void *arg)
{
    sigset_t set, old;
    pid_t parent = getpid(), driver;
    int status;

    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        log_error("supervise", "cannot become a subreaper: %s",
                  strerror(errno));
        return SUPERVISE_EXIT_INTERNAL;
    }
    supervise_signals(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    driver = fork();
    if (driver < 0) {
        log_error("supervise", "cannot fork: %s", strerror(errno));
        sigprocmask(SIG_SETMASK, &old, NULL);
        return SUPERVISE_EXIT_INTERNAL;
    }
    if (driver == 0)
        return supervise_child(parent, &old, child, arg);
    status = supervise_loop(driver, &set);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return status;
}
