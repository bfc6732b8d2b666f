/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What faults need of a guest over its remote: a look at a process that does
 * not ask the system under test, and the self-heal timer.
 *
 * A self-heal timer is a lease: a process in the guest that heals when it runs
 * out, armed before the act and disarmed after the heal, so that a dead driver
 * leaves nothing behind.  There is at most one per node and kind of fault; its
 * name for svc is "ordeal-heal-KIND".  The program is a constant script whose
 * data are positional arguments.
 *
 * Threads: as the remote.
 */
#ifndef ORDEAL_NEMESIS_GUEST_H
#define ORDEAL_NEMESIS_GUEST_H

#include "nemesis/fault.h"

#define GUEST_ARGS_MAX 24
#define GUEST_BUSYBOX "/bin/busybox"

/* What the remote's shell and exec answer when a program is not there. */
#define GUEST_NO_PROGRAM 127

/* remote_exec with FAULT_EXEC_TIMEOUT_NS; 'input' NULL: none. */
int guest_exec(struct remote *r, const char *const argv[], const char *input,
               struct exec_result *ret, struct error *err);

/* "/bin/busybox sh -c TEXT NAME ARG...": NAME is what ps shows. */
struct guest_script {
    const char *name, *text;
};
int guest_script(struct remote *r, const struct guest_script *script,
                 const char *const args[], struct exec_result *ret,
                 struct error *err);

/* The same with a deadline of its own: for what copies files. */
int guest_script_for(struct remote *r, const struct guest_script *script,
                     const char *const args[], int64_t timeout_ns,
                     struct exec_result *ret, struct error *err);

/* What /proc says of a process. */
struct guest_process {
    bool exists;
    char state; /* 'R', 'S', 'T' stopped, 'Z' ended, ... */
    uint64_t start_ticks;
    char boot_id[40];
};
int guest_process_look(struct remote *r, int32_t pid, struct guest_process *ret,
                       struct error *err);

/* Whether 'look' shows the very process 'id', alive. */
bool guest_process_is(const struct guest_process *look,
                      const struct process_id *id);

/* The timer's script ends with this after it has healed. */
#define GUEST_TIMER_EXIT_FIRED 3

/*
 * How each timer's script begins: waits until the uptime that stands in its
 * lease file, which is renewed by writing a later one; at first $1 seconds from
 * now.  The file is replaced whole: half a number would be an early end.
 * Uptime goes on evenly whatever becomes of the guest's wall clock.
 * SIGTERM disarms it at once and leaves no sleeper behind.
 */
#define GUEST_TIMER_WAIT                                                       \
    "t=; trap '[ -z \"$t\" ] || kill \"$t\"; exit 0' TERM\n"                   \
    "f=/run/$0.lease; read -r up _ </proc/uptime\n"                            \
    "echo $((${up%.*} + $1)) >\"$f.$$\" && " GUEST_BUSYBOX                     \
    " mv \"$f.$$\" \"$f\"\n"                                                   \
    "while read -r end <\"$f\"; read -r up _ </proc/uptime\n"                  \
    "left=$((end - ${up%.*})); [ \"$left\" -gt 0 ]; do\n" GUEST_BUSYBOX        \
    " sleep \"$left\" & t=$!; wait \"$t\"\ndone\n"

/*
 * Arms (anew) the timer 'kind'.  The script gets its name as $0, the seconds as
 * $1 and 'args' after them.  *ret false: this node has no svc, so it is no
 * guest of ours and nothing could be armed.
 */
int guest_timer_arm(struct remote *r, const char *kind, const char *script,
                    const char *const args[], int64_t lease_ns, bool *ret,
                    struct error *err);

/*
 * The whole lease again from now.  *ret_fired: too late, it had run out and
 * healed.  Nothing is done where no timer could be armed.
 */
int guest_timer_renew(struct remote *r, const char *kind, int64_t lease_ns,
                      bool *ret_fired, struct error *err);

/* Ends it, if it runs.  *ret_fired: it had run out, and healed. */
int guest_timer_disarm(struct remote *r, const char *kind, bool *ret_fired,
                       struct error *err);

/* guest_timer_renew on every node of 'nodes'; marks f->self_healed. */
int guest_timers_renew(struct fault *f, node_set nodes, const char *kind,
                       struct error *err);

#endif
