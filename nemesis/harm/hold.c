/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The holder of a harm.
 *
 * Happy path: 'start' notes what undoing needs, writes the lease and forks the
 * holder, which acts, says so through a pipe and steps until it is asked to end
 * (SIGTERM) or its lease is over; then it undoes.  'stop' asks it, waits, and
 * undoes itself what a killed holder has left.
 *
 * Failure modes: a holder that cannot act undoes what it half did and 'start'
 * fails; a new 'start' of the same name ends the old one first.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "harness/base/file.h"
#include "nemesis/harm/harm.h"

#define NS_PER_S INT64_C(1000000000)
#define HOLD_POLL_NS (10 * INT64_C(1000000))
/* From the request until the holder has undone its harm. */
#define HOLD_STOP_NS (8 * NS_PER_S)

static int64_t
hold_boot_s(void)
{
    return harm_clock_ns(CLOCK_BOOTTIME) / NS_PER_S;
}

static void
hold_pause(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};

    nanosleep(&t, NULL);
}

static void
hold_print(const char *name, const struct harm_note *note)
{
    printf(
        "{\"name\":\"%s\",\"state\":\"%s\",\"kind\":\"%s\",\"pid\":%" PRId32
        ",\"running\":%s,\"steps\":%" PRId64 ",\"lease_left_s\":%" PRId64 "}\n",
        name, harm_state_name(note->state), note->kind, note->pid,
        note->pid != 0 && harm_start_ticks(note->pid) == note->start_ticks
            ? "true"
            : "false",
        note->steps,
        note->state == HARM_ACTING ? harm_lease_read(name) - hold_boot_s() : 0);
}

/* One 'start' or 'stop' of a name at a time; held until the process ends. */
static int
hold_lock(const char *name, struct error *err)
{
    char path[HARM_PATH_MAX];
    int fd;

    mkdir(HARM_DIR, 0700);
    snprintf(path, sizeof(path), HARM_DIR "/%s.lock", name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0) {
        if (fd >= 0)
            close(fd);
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
    }
    return fd;
}

/* ---- the holder ---- */

/* True when asked to end. */
static bool
hold_wait(const sigset_t *term, int64_t ns)
{
    struct timespec t;

    if (ns > HARM_LOOK_NS)
        ns = HARM_LOOK_NS;
    t = (struct timespec){.tv_nsec = ns};
    return sigtimedwait(term, NULL, &t) == SIGTERM;
}

/* Steps until the end; returns what it ended by. */
static enum harm_state
hold_loop(const char *name, const struct harm_kind *kind, struct harm *h,
          const sigset_t *term)
{
    int64_t end_s = harm_lease_read(name);

    for (;;) {
        int64_t wait_ns = kind->step == NULL ? HARM_LOOK_NS : kind->step(h);

        if (hold_wait(term, wait_ns))
            return HARM_HEALED;
        if (hold_boot_s() < end_s)
            continue;
        end_s = harm_lease_read(name);
        if (hold_boot_s() >= end_s)
            return HARM_FIRED;
    }
}

/* Out of memory ends others first: what is held must be undone. */
static void
hold_protect(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    file_write_all(fd, "-1000", 5);
    close(fd);
}

static void
hold_detach(void)
{
    int fd = open("/dev/null", O_RDWR);

    setsid();
    if (chdir("/") < 0 || fd < 0)
        _exit(1);
    for (int i = 0; i <= 2; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
}

static _Noreturn void
hold_run(const char *name, const struct harm_kind *kind, struct harm *h,
         int ready_fd)
{
    struct harm_note *note = &h->note;
    struct error err = {0};
    enum harm_state end;
    sigset_t term;
    bool acted;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    hold_detach();
    hold_protect();
    note->pid = getpid();
    note->start_ticks = harm_start_ticks(note->pid);
    acted = harm_note_write(name, note, &err) == 0 && kind->act(h, &err) == 0;
    if (acted) {
        note->state = HARM_ACTING;
        acted = harm_note_write(name, note, &err) == 0;
    }
    file_write_all(ready_fd, acted ? "+" : err.text,
                   acted ? 1 : strlen(err.text));
    close(ready_fd);
    end = acted ? hold_loop(name, kind, h, &term) : HARM_HEALED;
    /* What cannot be undone here stays noted, for 'stop' to try again. */
    if (kind->undo(note, &err) == 0)
        note->state = end;
    harm_note_write(name, note, &err);
    _exit(end == HARM_FIRED ? 3 : 0);
}

/* ---- stop ---- */

static bool
hold_lives(const struct harm_note *note)
{
    return note->pid != 0 && note->start_ticks != 0 &&
           harm_start_ticks(note->pid) == note->start_ticks;
}

static void
hold_await_end(const struct harm_note *note, int64_t timeout_ns)
{
    int64_t deadline_ns = harm_clock_ns(CLOCK_MONOTONIC) + timeout_ns;

    while (hold_lives(note) && harm_clock_ns(CLOCK_MONOTONIC) < deadline_ns)
        hold_pause(HOLD_POLL_NS);
}

static int
hold_end(const char *name, const struct harm_kind *const kinds[],
         struct harm_note *ret, struct error *err)
{
    struct harm_note note;

    if (harm_note_read(name, &note, err) < 0)
        return -1;
    if (hold_lives(&note)) {
        kill(note.pid, SIGTERM);
        hold_await_end(&note, HOLD_STOP_NS);
        if (hold_lives(&note))
            kill(note.pid, SIGKILL);
        hold_await_end(&note, HOLD_STOP_NS);
        if (harm_note_read(name, &note, err) < 0)
            return -1;
    }
    if (note.state == HARM_ARMED || note.state == HARM_ACTING) {
        size_t i = 0;

        while (kinds[i] != NULL && strcmp(kinds[i]->name, note.kind) != 0)
            i++;
        if (kinds[i] == NULL)
            return error_set(err, ERROR_ENVIRONMENT, "unknown kind '%s'",
                             note.kind);
        if (kinds[i]->undo(&note, err) < 0)
            return -1;
        note.state = HARM_HEALED;
        if (harm_note_write(name, &note, err) < 0)
            return -1;
    }
    *ret = note;
    return 0;
}

int
harm_stop(const char *name, const struct harm_kind *const kinds[],
          struct error *err)
{
    CLEANUP_CLOSE int lock = hold_lock(name, err);
    struct harm_note note;

    if (lock < 0 || hold_end(name, kinds, &note, err) < 0)
        return -1;
    hold_print(name, &note);
    return 0;
}

/* ---- start, renew, status ---- */

static int
hold_fork(const char *name, const struct harm_kind *kind, struct harm *h,
          int lock, struct error *err)
{
    char answer[ERROR_TEXT_MAX] = "";
    int ready[2];
    ssize_t len;
    pid_t pid;
    sigset_t term;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    if (pipe2(ready, O_CLOEXEC) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "pipe");
    pid = fork();
    if (pid == 0) {
        close(ready[0]);
        close(lock); /* else nobody could ask the holder to end */
        hold_run(name, kind, h, ready[1]);
    }
    close(ready[1]);
    len = pid < 0 ? -1 : read(ready[0], answer, sizeof(answer) - 1);
    close(ready[0]);
    if (len == 1 && answer[0] == '+')
        return 0;
    return error_set(err, ERROR_ENVIRONMENT, "%s: %s", kind->name,
                     len > 0 ? answer : "the holder did not begin");
}

int
harm_start(const char *name, int64_t lease_s, const struct harm_kind *kind,
           struct harm *h, struct error *err)
{
    const struct harm_kind *const kinds[] = {kind, NULL};
    CLEANUP_CLOSE int lock = hold_lock(name, err);
    struct harm_note old;

    if (lock < 0 || hold_end(name, kinds, &old, err) < 0)
        return -1;
    snprintf(h->note.kind, sizeof(h->note.kind), "%s", kind->name);
    h->note.state = HARM_ARMED;
    if (kind->prepare(h, err) < 0 || harm_note_write(name, &h->note, err) < 0 ||
        harm_lease_write(name, hold_boot_s() + lease_s, err) < 0 ||
        hold_fork(name, kind, h, lock, err) < 0)
        return -1;
    return harm_status(name, err);
}

int
harm_renew(const char *name, int64_t lease_s, struct error *err)
{
    if (harm_lease_write(name, hold_boot_s() + lease_s, err) < 0)
        return -1;
    return harm_status(name, err);
}

int
harm_status(const char *name, struct error *err)
{
    struct harm_note note;

    if (harm_note_read(name, &note, err) < 0)
        return -1;
    hold_print(name, &note);
    return 0;
}
