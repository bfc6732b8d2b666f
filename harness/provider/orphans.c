/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks /proc.  A pidfd is opened before the process is looked at, so that the
 * signal can reach only the process that was looked at, never a successor with
 * its number.
 *
 * Failure modes: a process of another user is left alone; one that does not
 * end (uninterruptible I/O) is an error with its pid.
 */
#include "config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/provider/orphans.h"

#define ORPHANS_LOOK_AGAIN_NS (10 * NS_PER_MS)
#define ORPHAN_WORDS_BYTES_MAX (256 << 10)
#define ORPHAN_COUNT_MAX 64

struct orphan {
    int pid, pidfd;
};

/* The NUL-separated words of /proc/PID/FILE; NULL for a process gone. */
static char *
orphan_words(int pid, const char *file, size_t *ret_len)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/%s", pid, file);
    struct error err = {0};

    return file_read(path, ORPHAN_WORDS_BYTES_MAX, ret_len, &err);
}

/* argv[0] starts with 'program', a word of argv names something below 'dir'. */
static bool
orphan_is_program(int pid, const char *program, const char *dir)
{
    CLEANUP_FREE char *below = xasprintf("%s/", dir);
    size_t len = 0;
    CLEANUP_FREE char *text = orphan_words(pid, "cmdline", &len);
    const char *base;

    if (text == NULL || len == 0)
        return false; /* gone, or a zombie, which has no command line */
    base = strrchr(text, '/');
    base = base == NULL ? text : base + 1;
    if (strncmp(base, program, strlen(program)) != 0)
        return false;
    for (const char *word = text; word < text + len; word += strlen(word) + 1)
        if (strstr(word, below) != NULL)
            return true;
    return false;
}

static bool
orphan_has_environment(int pid, const char *dir)
{
    CLEANUP_FREE char *wanted = xasprintf("ORDEAL_NODE_DIR=%s", dir);
    size_t len = 0, wanted_len = strlen(wanted);
    CLEANUP_FREE char *text = orphan_words(pid, "environ", &len);

    if (text == NULL)
        return false;
    for (const char *word = text; word < text + len; word += strlen(word) + 1)
        if (strncmp(word, wanted, wanted_len) == 0 &&
            (word[wanted_len] == '\0' || word[wanted_len] == '/'))
            return true;
    return false;
}

static bool
orphan_matches(enum orphans_by by, int pid, const char *dir)
{
    switch (by) {
    case ORPHANS_QEMU:
        return orphan_is_program(pid, "qemu-", dir);
    case ORPHANS_NBDKIT:
        return orphan_is_program(pid, "nbdkit", dir);
    case ORPHANS_BY_ENVIRONMENT:
        return orphan_has_environment(pid, dir);
    }
    return false;
}

static bool
orphan_is_ours(int pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d", pid);
    struct stat st;

    return stat(path, &st) == 0 && st.st_uid == geteuid();
}

static int
orphans_find(enum orphans_by by, const char *dir,
             struct orphan ret[static ORPHAN_COUNT_MAX])
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    while (proc != NULL && count < ORPHAN_COUNT_MAX &&
           (entry = readdir(proc)) != NULL) {
        int pid = (int)strtol(entry->d_name, NULL, 10), fd;

        if (pid <= 1 || pid == getpid() || !orphan_is_ours(pid))
            continue;
        fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
            continue;
        if (orphan_matches(by, pid, dir))
            ret[count++] = (struct orphan){.pid = pid, .pidfd = fd};
        else
            close(fd);
    }
    if (proc != NULL)
        closedir(proc);
    return count;
}

/* A pidfd is readable once its process has ended, reaped or not. */
static bool
orphan_wait(const struct orphan *o, int64_t deadline_ns)
{
    struct pollfd pfd = {.fd = o->pidfd, .events = POLLIN};

    for (;;) {
        int64_t left = deadline_ns - clock_now_ns(clock_monotonic());

        if (left < 0)
            left = 0;
        if (poll(&pfd, 1, (int)(left / NS_PER_MS)) > 0)
            return true;
        if (left == 0)
            return false;
    }
}

/* Kills and waits for those found now; their number, or -1 and *ret_stuck. */
static int
orphans_end_found(enum orphans_by by, const char *dir, int64_t deadline_ns,
                  int *ret_stuck)
{
    struct orphan orphans[ORPHAN_COUNT_MAX];
    int count = orphans_find(by, dir, orphans), stuck = 0;

    for (int i = 0; i < count; i++)
        syscall(SYS_pidfd_send_signal, orphans[i].pidfd, SIGKILL, NULL, 0);
    for (int i = 0; i < count; i++) {
        if (!orphan_wait(&orphans[i], deadline_ns))
            stuck = orphans[i].pid;
        close(orphans[i].pidfd);
    }
    if (stuck == 0)
        return count;
    *ret_stuck = stuck;
    return -1;
}

/*
 * A process may fork between the look and the kill, and one in the middle of
 * an exec shows no environment: it is over when two looks find nothing.
 */
int
orphans_end(enum orphans_by by, const char *dir, int64_t deadline_ns,
            struct error *err)
{
    struct clock *clock = clock_monotonic();
    int total = 0, quiet_looks = 0, stuck = 0;

    assert(dir[0] == '/' && strlen(dir) > 1);
    while (quiet_looks < 2) {
        int count = orphans_end_found(by, dir, deadline_ns, &stuck);

        if (count < 0)
            return error_set(err, ERROR_ENVIRONMENT, "process %d does not end",
                             stuck);
        if (count > 0 && clock_now_ns(clock) >= deadline_ns)
            return error_set(err, ERROR_ENVIRONMENT,
                             "processes of '%s' go on making others", dir);
        quiet_looks = count == 0 ? quiet_looks + 1 : 0;
        total += count;
        clock_sleep_ns(clock, ORPHANS_LOOK_AGAIN_NS);
    }
    return total;
}

int
orphans_count(enum orphans_by by, const char *dir)
{
    struct orphan orphans[ORPHAN_COUNT_MAX];
    int count = orphans_find(by, dir, orphans);

    for (int i = 0; i < count; i++)
        close(orphans[i].pidfd);
    return count;
}

/* "-name" "guest=NAME,..." on its command line. */
static bool
orphan_is_machine(int pid, const char *name)
{
    CLEANUP_FREE char *wanted = xasprintf("guest=%s,", name);
    size_t len = 0;
    CLEANUP_FREE char *text = orphan_words(pid, "cmdline", &len);

    if (text == NULL || len == 0 || strstr(text, "qemu-") == NULL)
        return false;
    for (const char *word = text; word < text + len; word += strlen(word) + 1)
        if (strncmp(word, wanted, strlen(wanted)) == 0)
            return true;
    return false;
}

int
orphans_open_machine(const char *name, int *ret_pid)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int found = -1;

    while (proc != NULL && found < 0 && (entry = readdir(proc)) != NULL) {
        int pid = (int)strtol(entry->d_name, NULL, 10), fd;

        if (pid <= 1 || pid == getpid() || !orphan_is_ours(pid))
            continue;
        fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
            continue;
        if (orphan_is_machine(pid, name)) {
            found = fd;
            *ret_pid = pid;
        } else {
            close(fd);
        }
    }
    if (proc != NULL)
        closedir(proc);
    return found;
}
