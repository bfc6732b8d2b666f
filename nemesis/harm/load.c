/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pressure on processor and memory, by children that die with their holder, and
 * what can be seen of it.
 *
 * cpu: ARG so many processes that never sleep.  memory: ARG how much shall be
 * left, in KiB: one process takes what the kernel says is available, page by
 * page, until so much is left, and again whenever more is.
 *
 * Failure modes: out of memory the kernel ends the allocator first; the proof
 * then sees that nothing is taken.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "harness/base/file.h"
#include "nemesis/harm/harm.h"

#define NS_PER_MS INT64_C(1000000)
#define LOAD_BURNERS_MAX 64
#define LOAD_NAME "ordeal-burner"
#define LOAD_CHUNK_KIB 1024
/* How often the allocator looks again: memory is freed as well as taken. */
#define LOAD_AGAIN_NS (100 * NS_PER_MS)
#define LOAD_TEXT_MAX 16384

struct load {
    unsigned count;
};

static int
load_prepare(struct harm *h, struct error *err)
{
    (void)h;
    (void)err;
    return 0;
}

static int64_t
load_meminfo_kib(const char *key)
{
    struct error ignored = {0};
    CLEANUP_FREE char *text =
        file_read("/proc/meminfo", LOAD_TEXT_MAX, NULL, &ignored);
    const char *line = text == NULL ? NULL : strstr(text, key);

    return line == NULL ? -1 : strtoll(line + strlen(key), NULL, 10);
}

static void
load_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    file_write_all(fd, text, strlen(text));
    close(fd);
}

/* A child that dies with its holder; the kernel's first choice to end. */
static int
load_fork(void (*body)(int64_t arg), int64_t arg, struct error *err)
{
    pid_t holder = getpid(), pid = fork();
    sigset_t none;

    if (pid < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "fork");
    if (pid > 0)
        return 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != holder)
        _exit(0);
    prctl(PR_SET_NAME, LOAD_NAME);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    load_write("/proc/self/oom_score_adj", "1000");
    body(arg);
    _exit(0);
}

/* The children have our lifetime: undoing is our end, or that of each. */
static int
load_undo(const struct harm_note *note, struct error *err)
{
    (void)note;
    (void)err;
    signal(SIGTERM, SIG_IGN);
    if (note->pid == getpid()) {
        kill(0, SIGTERM);
        while (wait(NULL) > 0 || errno == EINTR)
            ;
    }
    return 0;
}

/* ---- cpu ---- */

static void
load_burn(int64_t unused)
{
    (void)unused;
    for (volatile uint64_t n = 0;; n++)
        ;
}

static int
load_cpu_act(struct harm *h, struct error *err)
{
    if (h->args[0] < 1 || h->args[0] > LOAD_BURNERS_MAX)
        return error_set(err, ERROR_CONFIG, "1 to %d burners",
                         LOAD_BURNERS_MAX);
    for (int64_t i = 0; i < h->args[0]; i++)
        if (load_fork(load_burn, 0, err) < 0)
            return -1;
    return 0;
}

const struct harm_kind harm_cpu = {
    .name = "cpu",
    .arg_count = 1,
    .prepare = load_prepare,
    .act = load_cpu_act,
    .undo = load_undo,
};

/* ---- memory ---- */

static void
load_take(int64_t leave_kib)
{
    const struct timespec again = {.tv_nsec = LOAD_AGAIN_NS};

    for (;;) {
        while (load_meminfo_kib("MemAvailable:") > leave_kib + LOAD_CHUNK_KIB)
            if (mmap(NULL, LOAD_CHUNK_KIB * 1024, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
                     0) == MAP_FAILED)
                break;
        nanosleep(&again, NULL);
    }
}

static int
load_memory_act(struct harm *h, struct error *err)
{
    if (h->args[0] < 1)
        return error_set(err, ERROR_CONFIG, "at least 1 KiB must be left");
    return load_fork(load_take, h->args[0], err);
}

const struct harm_kind harm_memory = {
    .name = "memory",
    .arg_count = 1,
    .prepare = load_prepare,
    .act = load_memory_act,
    .undo = load_undo,
};

/* ---- looking ---- */

struct load_sum {
    unsigned count;
    int64_t ticks, rss_pages;
};

/* Adds the process if it is a burner: user and system time, resident pages. */
static void
load_add(const char *pid, struct load_sum *sum)
{
    struct error ignored = {0};
    CLEANUP_FREE char *text = NULL;
    char path[300], state;
    int64_t user, system, rss;
    char *p;

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    text = file_read(path, LOAD_TEXT_MAX, NULL, &ignored);
    if (text == NULL || strstr(text, "(" LOAD_NAME ")") == NULL)
        return;
    p = strrchr(text, ')');
    if (sscanf(p,
               ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNd64
               " %" SCNd64 " %*d %*d %*d %*d %*d %*d %*u %*u %" SCNd64,
               &state, &user, &system, &rss) != 4 ||
        state == 'Z')
        return;
    sum->count++;
    sum->ticks += user + system;
    sum->rss_pages += rss;
}

int
harm_load_look(struct error *err)
{
    struct load_sum sum = {0};
    DIR *dir = opendir("/proc");
    struct dirent *e;

    if (dir == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "/proc");
    while ((e = readdir(dir)) != NULL)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
            load_add(e->d_name, &sum);
    closedir(dir);
    printf("{\"burners\":%u,\"cpu_ms\":%" PRId64 ",\"rss_kib\":%" PRId64
           ",\"available_kib\":%" PRId64 ",\"total_kib\":%" PRId64
           ",\"uptime_ms\":%" PRId64 ",\"cpus\":%ld}\n",
           sum.count, sum.ticks * 1000 / sysconf(_SC_CLK_TCK),
           sum.rss_pages * (sysconf(_SC_PAGESIZE) / 1024),
           load_meminfo_kib("MemAvailable:"), load_meminfo_kib("MemTotal:"),
           harm_clock_ns(CLOCK_MONOTONIC_RAW) / NS_PER_MS,
           sysconf(_SC_NPROCESSORS_ONLN));
    return 0;
}

/* How long so much processor time takes: without others, itself. */
int
harm_spin(int64_t ms, struct error *err)
{
    int64_t begin_ns = harm_clock_ns(CLOCK_MONOTONIC_RAW);
    /* Starting a program takes some already. */
    int64_t cpu_begin_ns = harm_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    int64_t cpu_ns = 0;

    if (ms < 1 || ms > 1000)
        return error_set(err, ERROR_CONFIG, "1 to 1000 ms");
    while (cpu_ns < ms * NS_PER_MS)
        cpu_ns = harm_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin_ns;
    printf("{\"cpu_us\":%" PRId64 ",\"wall_us\":%" PRId64 "}\n", cpu_ns / 1000,
           (harm_clock_ns(CLOCK_MONOTONIC_RAW) - begin_ns) / 1000);
    return 0;
}
