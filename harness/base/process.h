/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program on this host: argv as it is, no shell, outputs captured, a
 * deadline.  The program gets its own process group; when time is up the group
 * is killed.
 *
 * Threads: safe from any.
 */
#ifndef ORDEAL_BASE_PROCESS_H
#define ORDEAL_BASE_PROCESS_H

#include <spawn.h>
#include <stdbool.h>

#include "harness/base/buf.h"
#include "harness/base/clock.h"
#include "harness/base/error.h"

struct process_options {
    const char *input; /* standard input; NULL: none */
    size_t input_len;
    const char *directory;          /* NULL: ours */
    const char *const *environment; /* NULL: ours; else the whole of it */
    size_t output_max;              /* per stream; more is cut */
};

struct process_result {
    int status; /* exit status, -1 when a signal ended it */
    int signo;  /* 0 when it exited */
    struct buf out, err;
};

void process_result_init(struct process_result *r);
void process_result_release(struct process_result *r);

/*
 * 0 when the program ran to its end, however it ended.  ERROR_ENVIRONMENT when
 * it cannot be started, ERROR_TRANSIENT when the absolute deadline has passed.
 * argv[0] is looked up in PATH.  'ret' is initialised; outputs are appended.
 */
int process_run(const char *const argv[], const struct process_options *o,
                int64_t deadline_ns, struct process_result *ret,
                struct error *err);

/*
 * Starts a program and does not wait: in a process group of its own (a signal
 * from the terminal is for us to handle), with no signal blocked or ignored,
 * after these file actions.  argv[0] is looked up in PATH; 'environment' NULL:
 * ours.  0 and the pid, or an errno.
 */
int process_launch(const char *const argv[], const char *const *environment,
                   const posix_spawn_file_actions_t *actions, pid_t *ret);

/* Field 22 of /proc/PID/stat, which tells a process from its successor. */
bool process_start_ticks(int pid, uint64_t *ret);

#endif
