/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service manager inside init: it starts daemons when asked, remembers how
 * each ended, and never starts one by itself.
 *
 *   none -- start --> running <-- SIGSTOP/SIGCONT --> stopped
 *                        |                              |
 *                        +---------- the reaper --------+--> exited
 *                        ^                                     |
 *                        +--------------- start ---------------+
 *
 * The owner runs the loop: poll on what supervisor_poll_fill() names, until
 * supervisor_deadline_ns(), then supervisor_work().  It is also the only
 * reaper, and hands each end to supervisor_ended(); a pid that was not handed
 * over yet is still ours, so a signal can never hit a stranger.
 *
 * Threads: none.  No call blocks.  Waits (a stop, an exec) belong to a client
 * and have its deadline.
 */
#ifndef ORDEAL_VM_IMAGES_SUPERVISOR_H
#define ORDEAL_VM_IMAGES_SUPERVISOR_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "harness/base/error.h"

/* A node runs a daemon or two, and a person may add some. */
#define SERVICE_COUNT_MAX 32
#define SERVICE_NAME_MAX 32

/* Each is one svc command under way. */
#define SUPERVISOR_CLIENTS_MAX 16
#define SUPERVISOR_POLL_MAX (1 + 2 * SUPERVISOR_CLIENTS_MAX)

struct service {
    char name[SERVICE_NAME_MAX + 1];
    bool running; /* pid is not reaped yet */
    pid_t pid;    /* the last one */
    uint64_t start_ticks;
    int wait_status; /* of the last end, when !running */
    unsigned starts;
};

enum client_phase {
    CLIENT_FREE,
    CLIENT_READING,
    CLIENT_STARTING, /* the exec is under way */
    CLIENT_FAILING,  /* it failed; the child is about to be reaped */
    CLIENT_STOPPING
};

/* What the child writes into the pipe when it cannot become the daemon. */
struct start_failure {
    int code;
    char step[16];
};

struct client {
    enum client_phase phase;
    int fd, exec_fd; /* exec_fd: closed by a successful exec, or an errno */
    struct service *service;
    unsigned start_number; /* which of its starts this client means */
    struct start_failure failure;
    int64_t deadline_ns;
};

struct supervisor {
    int listen_fd;
    const char *log_dir; /* borrowed; logs go to DIR/NAME.log */
    char boot_id[40];
    void (*say)(const char *fmt, ...) PRINTF_LIKE(1, 2);
    struct service services[SERVICE_COUNT_MAX];
    unsigned service_count;
    struct client clients[SUPERVISOR_CLIENTS_MAX];
};

int supervisor_open(struct supervisor *s, const char *socket_path,
                    const char *log_dir,
                    void (*say)(const char *fmt, ...) PRINTF_LIKE(1, 2),
                    struct error *err);
void supervisor_close(struct supervisor *s);

unsigned supervisor_poll_fill(const struct supervisor *s,
                              struct pollfd ret[static SUPERVISOR_POLL_MAX]);
int64_t supervisor_deadline_ns(const struct supervisor *s); /* or INT64_MAX */
void supervisor_work(struct supervisor *s, int64_t now_ns);

/* Returns whether the pid was a service's. */
bool supervisor_ended(struct supervisor *s, pid_t pid, int wait_status);

#endif
