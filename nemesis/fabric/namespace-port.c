/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: start the helper with one end of a socket pair, tell it what to
 * make, get the packet socket; later one message out and one in per socket.
 *
 * Failure modes: the helper cannot do a step: its answer says which.  It ends
 * or does not answer in time: the port is broken for good, every later call
 * says so.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/process.h"
#include "nemesis/fabric/namespace-wire.h"

/* Making all of it takes 20 ms; a busy machine takes longer. */
#define NAMESPACE_REPLY_TIMEOUT_S 10
#define NAMESPACE_END_TIMEOUT_NS (2 * NS_PER_S)
#define NAMESPACE_END_INTERVAL_NS (2 * NS_PER_MS)
/* Above standard descriptors and NAMESPACE_WIRE_FD: dup2 must not be a no-op
 * that leaves close-on-exec set. */
#define NAMESPACE_FD_MIN 10

extern char **environ;

struct namespace_port {
    pid_t pid; /* 0: not started, or reaped */
    int control, packet;
    pthread_mutex_t lock; /* one request at a time; protects 'broken' */
    bool broken;
};

/* ---- messages ---- */

/* A reply, and its descriptor or -1; false with errno on failure. */
static bool
namespace_receive(int control, struct namespace_wire_reply *reply, int *ret_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control_data = {.bytes = {0}};
    struct iovec iov = {.iov_base = reply, .iov_len = sizeof(*reply)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control_data,
                       .msg_controllen = sizeof(control_data)};
    struct cmsghdr *c;
    ssize_t n;

    *ret_fd = -1;
    do
        n = recvmsg(control, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return false;
    c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    if (n == (ssize_t)sizeof(*reply))
        return true;
    errno = n == 0 ? ECONNRESET : EPROTO;
    return false;
}

/* Sends and waits for the descriptor that answers. */
static int
namespace_ask(struct namespace_port *p, const void *message, size_t len,
              struct error *err)
{
    struct namespace_wire_reply reply;
    int fd = -1;

    if (p->broken)
        return error_set(err, ERROR_ENVIRONMENT,
                         "the helper of the namespace port is gone");
    if (send(p->control, message, len, MSG_NOSIGNAL) != (ssize_t)len ||
        !namespace_receive(p->control, &reply, &fd)) {
        p->broken = true;
        return error_errno(err, ERROR_ENVIRONMENT, errno,
                           "the helper of the namespace port does not answer");
    }
    reply.step[sizeof(reply.step) - 1] = '\0';
    if (reply.code != 0)
        return error_errno(err, ERROR_ENVIRONMENT, reply.code, "%s",
                           reply.step);
    if (fd < 0)
        return error_set(err, ERROR_BUG, "namespace port: no descriptor came");
    return fd;
}

/* ---- life ---- */

static int
namespace_spawn(struct namespace_port *p, const char *program, int theirs)
{
    const char *const argv[] = {program, NULL};
    posix_spawn_file_actions_t actions;
    int rc;

    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, theirs, NAMESPACE_WIRE_FD);
    rc = process_launch(argv, NULL, &actions, &p->pid);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        p->pid = 0;
    return rc;
}

static int
namespace_start(struct namespace_port *p, const char *program,
                struct error *err)
{
    struct timeval timeout = {.tv_sec = NAMESPACE_REPLY_TIMEOUT_S};
    int pair[2], theirs, rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "socketpair");
    p->control = pair[0];
    setsockopt(p->control, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, NAMESPACE_FD_MIN);
    close(pair[1]);
    if (theirs < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "descriptor");
    rc = namespace_spawn(p, program, theirs);
    close(theirs);
    if (rc != 0)
        return error_errno(err, ERROR_ENVIRONMENT, rc, "'%s'", program);
    return 0;
}

static void
namespace_fill(struct namespace_wire_setup *s,
               const struct namespace_port_config *config)
{
    assert(config->address_count > 0 &&
           config->address_count <= NAMESPACE_ADDRESS_COUNT_MAX);
    assert(config->neighbour_count <= NAMESPACE_NEIGHBOUR_COUNT_MAX);
    memset(s, 0, sizeof(*s));
    s->version = NAMESPACE_WIRE_VERSION;
    s->prefix_bits = config->prefix_bits;
    s->mtu = config->mtu;
    s->address_count = config->address_count;
    s->neighbour_count = config->neighbour_count;
    memcpy(s->mac, config->mac, sizeof(s->mac));
    memcpy(s->addresses, config->addresses, sizeof(s->addresses));
    memcpy(s->neighbours, config->neighbours, sizeof(s->neighbours));
}

struct namespace_port *
namespace_port_new(const struct namespace_port_config *config,
                   struct error *err)
{
    struct namespace_port *p = xcalloc(1, sizeof(*p));
    struct namespace_wire_setup setup;

    p->control = p->packet = -1;
    pthread_mutex_init(&p->lock, NULL);
    namespace_fill(&setup, config);
    if (namespace_start(p, config->program, err) == 0)
        p->packet = namespace_ask(p, &setup, sizeof(setup), err);
    if (p->packet < 0) {
        error_wrap(err, "namespace port");
        namespace_port_free(p);
        return NULL;
    }
    return p;
}

static bool
namespace_reaped(void *ctx)
{
    pid_t *pid = ctx;
    pid_t got = waitpid(*pid, NULL, WNOHANG);

    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    *pid = 0; /* or another has reaped it */
    return true;
}

/* Its socket is closed, so that it ends; else it is ended. */
static void
namespace_end(pid_t pid)
{
    struct clock *clock = clock_monotonic();

    if (pid == 0 ||
        clock_poll(clock, clock_now_ns(clock) + NAMESPACE_END_TIMEOUT_NS,
                   NAMESPACE_END_INTERVAL_NS, namespace_reaped, &pid))
        return;
    kill(pid, SIGKILL);
    clock_poll(clock, clock_now_ns(clock) + NAMESPACE_END_TIMEOUT_NS,
               NAMESPACE_END_INTERVAL_NS, namespace_reaped, &pid);
}

void
namespace_port_free(struct namespace_port *p)
{
    if (p == NULL)
        return;
    if (p->packet >= 0)
        close(p->packet);
    if (p->control >= 0)
        close(p->control);
    namespace_end(p->pid);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int
namespace_port_fd(const struct namespace_port *p)
{
    return p->packet;
}

pid_t
namespace_port_pid(const struct namespace_port *p)
{
    return p->pid;
}

int
namespace_port_socket(struct namespace_port *p, int type, struct error *err)
{
    struct namespace_wire_request request = {.type = type};
    int fd;

    pthread_mutex_lock(&p->lock);
    fd = namespace_ask(p, &request, sizeof(request), err);
    pthread_mutex_unlock(&p->lock);
    return fd;
}
