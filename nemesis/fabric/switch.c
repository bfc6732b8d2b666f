/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread waits for any port to have frames, takes a batch, and hands each
 * frame to the port of its destination, or to all others for a group address.
 *
 * Failure modes: a VM that is off refuses (counted; the kernel reports it on a
 * later call, so a send is tried twice); a full socket loses the frame,
 * as a wire would (counted).  Nothing here blocks but the wait itself.
 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "harness/base/arena.h"
#include "nemesis/fabric/switch.h"

#define SWITCH_BATCH 32
#define SWITCH_FRAME_BYTES_MAX 65536 /* the largest datagram */
#define SWITCH_HEADER_BYTES 14
#define SWITCH_SOCKET_BYTES (4 << 20) /* asked for; the kernel may cap it */

/* One writer, any reader: relaxed atomics, in the order of the public one. */
struct switch_counters {
    atomic_uint_fast64_t frames_in, bytes_in, frames_out, bytes_out;
    atomic_uint_fast64_t refused, overflow, failed;
    atomic_uint_fast64_t malformed, foreign, unknown;
};

struct switch_port {
    uint8_t mac[SWITCH_MAC_BYTES];
    int fd;
    uint16_t local_port;
    struct switch_counters counters;
};

struct fabric_switch {
    struct switch_port ports[SWITCH_PORT_COUNT_MAX];
    unsigned port_count;
    int stop_fd; /* eventfd: readable means stop */
    bool running;
    pthread_t thread;
    struct mmsghdr messages[SWITCH_BATCH];
    struct iovec vectors[SWITCH_BATCH];
    uint8_t frames[SWITCH_BATCH][SWITCH_FRAME_BYTES_MAX];
};

static void
switch_count(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void
switch_send(struct switch_port *p, const uint8_t *frame, size_t len)
{
    for (int try = 0; try < 2; try++) {
        if (send(p->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            switch_count(&p->counters.frames_out, 1);
            switch_count(&p->counters.bytes_out, len);
            return;
        }
        if (errno != ECONNREFUSED)
            break;
        /* the answer to an earlier frame; this one has not been tried */
        switch_count(&p->counters.refused, 1);
    }
    if (errno == EAGAIN || errno == ENOBUFS)
        switch_count(&p->counters.overflow, 1);
    else if (errno != ECONNREFUSED)
        switch_count(&p->counters.failed, 1);
}

static void
switch_forward(struct fabric_switch *sw, unsigned from, const uint8_t *frame,
               size_t len)
{
    struct switch_port *source = &sw->ports[from];
    bool group;

    switch_count(&source->counters.frames_in, 1);
    switch_count(&source->counters.bytes_in, len);
    if (len < SWITCH_HEADER_BYTES) {
        switch_count(&source->counters.malformed, 1);
        return;
    }
    if (memcmp(frame + SWITCH_MAC_BYTES, source->mac, SWITCH_MAC_BYTES) != 0) {
        switch_count(&source->counters.foreign, 1);
        return;
    }
    group = (frame[0] & 1) != 0;
    for (unsigned i = 0; i < sw->port_count; i++) {
        bool match = memcmp(frame, sw->ports[i].mac, SWITCH_MAC_BYTES) == 0;

        if (i != from && (group || match))
            switch_send(&sw->ports[i], frame, len);
        if (match)
            return;
    }
    if (!group)
        switch_count(&source->counters.unknown, 1);
}

static void
switch_receive(struct fabric_switch *sw, unsigned port)
{
    struct switch_port *p = &sw->ports[port];
    int n = recvmmsg(p->fd, sw->messages, SWITCH_BATCH, MSG_DONTWAIT, NULL);

    if (n < 0) {
        if (errno == ECONNREFUSED)
            switch_count(&p->counters.refused, 1);
        else if (errno != EAGAIN && errno != EINTR)
            switch_count(&p->counters.failed, 1);
        return;
    }
    for (int i = 0; i < n; i++)
        switch_forward(sw, port, sw->frames[i], sw->messages[i].msg_len);
}

static void *
switch_main(void *arg)
{
    struct fabric_switch *sw = arg;
    struct pollfd fds[SWITCH_PORT_COUNT_MAX + 1];
    unsigned count = sw->port_count;

    prctl(PR_SET_NAME, "ordeal-switch");
    for (unsigned i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = sw->ports[i].fd, .events = POLLIN};
    fds[count] = (struct pollfd){.fd = sw->stop_fd, .events = POLLIN};
    for (;;) {
        if (poll(fds, count + 1, -1) < 0)
            continue; /* EINTR; nothing else is possible here */
        if (fds[count].revents != 0)
            return NULL;
        for (unsigned i = 0; i < count; i++)
            if (fds[i].revents != 0)
                switch_receive(sw, i);
    }
}

/* ---- sockets ---- */

static struct sockaddr_in
switch_loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A socket bound to a free loopback port. */
static int
switch_socket(int type, uint16_t *ret_port, struct error *err)
{
    struct sockaddr_in a = switch_loopback(0);
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "socket");
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "a port on 127.0.0.1");
        close(fd);
        return -1;
    }
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static int
switch_connect(int fd, uint16_t peer_port, struct error *err)
{
    struct sockaddr_in a = switch_loopback(peer_port);

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno,
                           "UDP port %u on 127.0.0.1", peer_port);
    return 0;
}

/*
 * Bound without SO_REUSEADDR, so that the number was free; the option is set
 * afterwards, because QEMU asks for it too and may then share the number.  The
 * UDP one is connected to a port that sends nothing and the TCP one does not
 * listen: frames and connections go to QEMU alone.
 */
int
port_reserve(int type, uint16_t *ret_port, struct error *err)
{
    uint16_t port;
    int one = 1, fd = switch_socket(type, &port, err);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "SO_REUSEADDR");
    } else if (type != SOCK_DGRAM || switch_connect(fd, 1, err) == 0) {
        *ret_port = port;
        return fd;
    }
    close(fd);
    return -1;
}

static int
switch_port_open(struct switch_port *p, const struct switch_port_config *config,
                 struct error *err)
{
    int size = SWITCH_SOCKET_BYTES;

    assert(config->peer_port != 0);
    memcpy(p->mac, config->mac, sizeof(p->mac));
    p->fd = switch_socket(SOCK_DGRAM, &p->local_port, err);
    if (p->fd < 0 || switch_connect(p->fd, config->peer_port, err) < 0)
        return -1;
    setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return 0;
}

/* ---- life ---- */

struct fabric_switch *
switch_new(const struct switch_port_config *ports, unsigned port_count,
           struct error *err)
{
    struct fabric_switch *sw = xcalloc(1, sizeof(*sw));

    assert(port_count > 0 && port_count <= SWITCH_PORT_COUNT_MAX);
    sw->port_count = port_count;
    sw->stop_fd = -1;
    for (unsigned i = 0; i < port_count; i++)
        sw->ports[i].fd = -1;
    for (unsigned i = 0; i < SWITCH_BATCH; i++) {
        sw->vectors[i] = (struct iovec){.iov_base = sw->frames[i],
                                        .iov_len = SWITCH_FRAME_BYTES_MAX};
        sw->messages[i].msg_hdr.msg_iov = &sw->vectors[i];
        sw->messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (unsigned i = 0; i < port_count; i++)
        if (switch_port_open(&sw->ports[i], &ports[i], err) < 0) {
            error_wrap(err, "switch port %u", i);
            switch_free(sw);
            return NULL;
        }
    return sw;
}

int
switch_start(struct fabric_switch *sw, struct error *err)
{
    sigset_t all, old;
    int rc;

    assert(!sw->running);
    sw->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sw->stop_fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "eventfd");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&sw->thread, NULL, switch_main, sw);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return error_errno(err, ERROR_ENVIRONMENT, rc, "switch thread");
    sw->running = true;
    return 0;
}

void
switch_free(struct fabric_switch *sw)
{
    uint64_t one = 1;

    if (sw == NULL)
        return;
    if (sw->running) {
        ssize_t n = write(sw->stop_fd, &one, sizeof(one));

        assert(n == sizeof(one));
        pthread_join(sw->thread, NULL);
    }
    if (sw->stop_fd >= 0)
        close(sw->stop_fd);
    for (unsigned i = 0; i < sw->port_count; i++)
        if (sw->ports[i].fd >= 0)
            close(sw->ports[i].fd);
    free(sw);
}

uint16_t
switch_local_port(const struct fabric_switch *sw, unsigned port)
{
    assert(port < sw->port_count);
    return sw->ports[port].local_port;
}

void
switch_stats(const struct fabric_switch *sw, unsigned port,
             struct switch_port_stats *ret)
{
    const struct switch_counters *c = &sw->ports[port].counters;

    assert(port < sw->port_count);
    *ret = (struct switch_port_stats){
        .frames_in = c->frames_in,
        .bytes_in = c->bytes_in,
        .frames_out = c->frames_out,
        .bytes_out = c->bytes_out,
        .refused = c->refused,
        .overflow = c->overflow,
        .failed = c->failed,
        .malformed = c->malformed,
        .foreign = c->foreign,
        .unknown = c->unknown,
    };
}
