/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: one call into libvirt, or one line to QEMU's monitor through it.
 *
 * Throttle: a thread stops and continues the whole QEMU in slices.  What was
 * tried instead: libvirt's schedinfo and vCPU quotas need cgroups, which the
 * embedded driver of an ordinary user has not; QEMU throttles its CPUs only
 * while it migrates; a single thread cannot be stopped by a signal, and to
 * trace it is forbidden where Yama guards processes.  The guest's clock goes
 * on meanwhile, as on a host that is too busy.
 *
 * Failure modes: a monitor that answers what we do not understand is an error,
 * never a guess.  A machine that ended by itself is off.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "harness/base/process.h"
#include "harness/provider/libvirt-connection.h"
#include "harness/provider/libvirt-machine.h"
#include "harness/provider/orphans.h"

#define LIBVIRT_KILL_TIMEOUT_MS 10000
/* Long enough that a slice is many scheduling quanta of the host, short enough
 * that a heartbeat falls into several. */
#define LIBVIRT_THROTTLE_PERIOD_NS (100 * NS_PER_MS)
#define LIBVIRT_CLUSTER_NIC "ua-cluster"

/* ---- the monitor ---- */

static bool
libvirt_machine_active(const struct libvirt_machine *m)
{
    return m->domain != NULL && virDomainIsActive(m->domain) == 1;
}

/* The "return" of one command: a new reference, or NULL. */
static json_t *
libvirt_monitor(struct libvirt_machine *m, const char *command,
                struct error *err)
{
    char *text = NULL;
    json_t *reply, *result;

    if (!libvirt_machine_active(m)) {
        error_set(err, ERROR_ENVIRONMENT, "the machine is off");
        return NULL;
    }
    if (virDomainQemuMonitorCommand(m->domain, command, &text, 0) < 0) {
        libvirt_fail(err, "monitor");
        return NULL;
    }
    reply = json_loads(text == NULL ? "" : text, 0, NULL);
    result = json_incref(json_object_get(reply, "return"));
    if (result == NULL)
        error_set(err, ERROR_ENVIRONMENT, "monitor: '%s' is answered '%.200s'",
                  command, text == NULL ? "" : text);
    json_decref(reply);
    free(text);
    return result;
}

static int
libvirt_machine_look(struct provider *p, unsigned node,
                     struct machine_view *ret, struct error *err)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);
    struct machine_view view = {.state = MACHINE_OFF};
    const char *status;
    json_t *reply;
    int fd, pid = 0;

    fd = orphans_open_machine(m->name, &pid);
    if (fd < 0 || !libvirt_machine_active(m)) {
        if (fd >= 0)
            close(fd);
        *ret = view;
        return 0;
    }
    close(fd);
    view.pid = pid;
    process_start_ticks(pid, &view.start_ticks);
    reply = libvirt_monitor(m, "{\"execute\":\"query-status\"}", err);
    if (reply == NULL)
        return -1;
    status = json_string_value(json_object_get(reply, "status"));
    snprintf(view.status, sizeof(view.status), "%s",
             status == NULL ? "" : status);
    view.state = json_is_true(json_object_get(reply, "running"))
                     ? MACHINE_RUNNING
                     : MACHINE_PAUSED;
    json_decref(reply);
    reply = libvirt_monitor(m, "{\"execute\":\"query-balloon\"}", err);
    if (reply == NULL)
        return -1;
    view.memory_bytes =
        (uint64_t)json_integer_value(json_object_get(reply, "actual"));
    json_decref(reply);
    *ret = view;
    return 0;
}

/* ---- power ---- */

static int
libvirt_machine_kill(struct provider *p, unsigned node, struct error *err)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);
    int pid = 0, fd = orphans_open_machine(m->name, &pid);
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    bool ended;

    if (fd < 0)
        return 0;
    syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    ended = poll(&pfd, 1, LIBVIRT_KILL_TIMEOUT_MS) > 0;
    close(fd);
    if (ended)
        return 0;
    return error_set(err, ERROR_ENVIRONMENT, "process %d does not end", pid);
}

static int
libvirt_machine_reset(struct provider *p, unsigned node, struct error *err)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);

    if (m->domain == NULL)
        return error_set(err, ERROR_ENVIRONMENT, "the machine is off");
    return virDomainReset(m->domain, 0) < 0 ? libvirt_fail(err, "reset") : 0;
}

static int
libvirt_machine_state(struct libvirt_machine *m, int *ret, struct error *err)
{
    int reason;

    if (m->domain == NULL)
        return error_set(err, ERROR_ENVIRONMENT, "the machine is off");
    return virDomainGetState(m->domain, ret, &reason, 0) < 0
               ? libvirt_fail(err, "state")
               : 0;
}

static int
libvirt_machine_pause(struct provider *p, unsigned node, struct error *err)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);
    int state;

    if (libvirt_machine_state(m, &state, err) < 0)
        return -1;
    if (state == VIR_DOMAIN_PAUSED)
        return 0;
    return virDomainSuspend(m->domain) < 0 ? libvirt_fail(err, "suspend") : 0;
}

static int
libvirt_machine_resume(struct provider *p, unsigned node, struct error *err)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);
    int state;

    if (libvirt_machine_state(m, &state, err) < 0)
        return -1;
    if (state == VIR_DOMAIN_RUNNING)
        return 0;
    return virDomainResume(m->domain) < 0 ? libvirt_fail(err, "resume") : 0;
}

static int
libvirt_machine_nmi(struct provider *p, unsigned node, struct error *err)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);

    if (m->domain == NULL)
        return error_set(err, ERROR_ENVIRONMENT, "the machine is off");
    return virDomainInjectNMI(m->domain, 0) < 0 ? libvirt_fail(err, "NMI") : 0;
}

/* ---- less of it ---- */

static void
libvirt_throttle_signal(const struct libvirt_throttle *t, int signo)
{
    syscall(SYS_pidfd_send_signal, t->pidfd, signo, NULL, 0);
}

static void *
libvirt_throttle_main(void *arg)
{
    struct libvirt_throttle *t = arg;
    struct clock *clock = clock_monotonic();
    int64_t on_ns = LIBVIRT_THROTTLE_PERIOD_NS * t->percent / 100;

    prctl(PR_SET_NAME, "ordeal-throttle");
    while (!atomic_load(&t->stop)) {
        libvirt_throttle_signal(t, SIGSTOP);
        clock_sleep_ns(clock, LIBVIRT_THROTTLE_PERIOD_NS - on_ns);
        libvirt_throttle_signal(t, SIGCONT);
        clock_sleep_ns(clock, on_ns);
    }
    return NULL;
}

void
libvirt_machine_unthrottle(struct libvirt_machine *m)
{
    struct libvirt_throttle *t = &m->throttle;

    if (!t->running)
        return;
    atomic_store(&t->stop, true);
    pthread_join(t->thread, NULL);
    libvirt_throttle_signal(t, SIGCONT);
    close(t->pidfd);
    t->running = false;
}

static int
libvirt_machine_throttle(struct provider *p, unsigned node, unsigned percent,
                         struct error *err)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);
    struct libvirt_throttle *t = &m->throttle;
    int pid, code;

    libvirt_machine_unthrottle(m);
    if (percent == 100)
        return 0;
    t->pidfd = orphans_open_machine(m->name, &pid);
    if (t->pidfd < 0)
        return error_set(err, ERROR_ENVIRONMENT, "the machine is off");
    t->percent = percent;
    atomic_store(&t->stop, false);
    code = pthread_create(&t->thread, NULL, libvirt_throttle_main, t);
    if (code != 0) {
        close(t->pidfd);
        return error_errno(err, ERROR_ENVIRONMENT, code, "throttle thread");
    }
    t->running = true;
    return 0;
}

static int
libvirt_machine_balloon(struct provider *p, unsigned node, unsigned mib,
                        struct error *err)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);
    unsigned long kib = (unsigned long)(mib == 0 ? m->memory_mib : mib) * 1024;

    if (m->domain == NULL)
        return error_set(err, ERROR_ENVIRONMENT, "the machine is off");
    return virDomainSetMemoryFlags(m->domain, kib, VIR_DOMAIN_AFFECT_LIVE) < 0
               ? libvirt_fail(err, "balloon")
               : 0;
}

static int
libvirt_machine_link(struct provider *p, unsigned node, bool up,
                     struct error *err)
{
    json_t *reply = libvirt_monitor(
        libvirt_machine_of(p, node),
        up ? "{\"execute\":\"set_link\",\"arguments\":{\"name\":"
             "\"" LIBVIRT_CLUSTER_NIC "\",\"up\":true}}"
           : "{\"execute\":\"set_link\",\"arguments\":{\"name\":"
             "\"" LIBVIRT_CLUSTER_NIC "\",\"up\":false}}",
        err);

    if (reply == NULL)
        return -1;
    json_decref(reply);
    return 0;
}

/* ---- the data disk ---- */

static const struct platter *
libvirt_machine_platter(struct provider *p, unsigned node)
{
    struct libvirt_machine *m = libvirt_machine_of(p, node);

    return m->platter.pid == 0 ? NULL : &m->platter;
}

static const char *
libvirt_machine_disk(struct provider *p, unsigned node)
{
    return libvirt_machine_of(p, node)->disk;
}

const struct machine_ops libvirt_machine_ops = {
    .look = libvirt_machine_look,
    .kill = libvirt_machine_kill,
    .reset = libvirt_machine_reset,
    .pause = libvirt_machine_pause,
    .resume = libvirt_machine_resume,
    .throttle = libvirt_machine_throttle,
    .balloon = libvirt_machine_balloon,
    .nmi = libvirt_machine_nmi,
    .link = libvirt_machine_link,
    .platter = libvirt_machine_platter,
    .disk = libvirt_machine_disk,
};
