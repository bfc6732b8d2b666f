/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links between processes on loopback that can be cut: for each ordered pair of
 * nodes one port that forwards to the other's real one.
 *
 *   node i --- port(i, j) === proxy === real port of j
 *
 * A cut link is a black hole, as behind a packet filter: nothing is read from
 * its connections any more, new ones are not accepted, nothing is closed.
 * Healed, everything that waited goes on.  A link may also damage what it
 * carries, a bit at a time, as a network does whose checksums show nothing.
 *
 * Threads: one thread moves the bytes; the rest from one other.
 */
#ifndef ORDEAL_TESTS_LINK_PROXY_H
#define ORDEAL_TESTS_LINK_PROXY_H

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINK_NODES_MAX 5
#define LINK_FLOWS_MAX 128
#define LINK_BYTES 65536
#define LINK_TICK_MS 20

/* One direction of a connection: what was read and not yet written. */
struct link_pipe {
    int from, to;
    size_t len;
    bool ended;
    char bytes[LINK_BYTES];
};

struct link_flow {
    bool used;
    unsigned a, b; /* a connected to b */
    struct link_pipe out, back;
};

struct link_proxy {
    unsigned node_count;
    uint16_t real[LINK_NODES_MAX];
    int listeners[LINK_NODES_MAX][LINK_NODES_MAX];
    uint16_t ports[LINK_NODES_MAX][LINK_NODES_MAX];
    _Atomic bool cut[LINK_NODES_MAX][LINK_NODES_MAX]; /* from, to */
    /* One bit of each so many-th piece that passes is wrong; 0: of none. */
    _Atomic unsigned corrupt_every;
    _Atomic uint64_t corrupted;
    uint64_t pieces; /* the thread's own */
    _Atomic bool stopping;
    pthread_t thread;
    struct link_flow flows[LINK_FLOWS_MAX];
};

static int
link_socket(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        assert(!"no port on loopback");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void
link_flow_end(struct link_flow *f)
{
    close(f->out.from);
    close(f->out.to);
    f->used = false;
}

static void
link_accept(struct link_proxy *p, unsigned a, unsigned b)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(p->real[b])};
    int fd =
        accept4(p->listeners[a][b], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 &&
        connect(to, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        fcntl(to, F_SETFL, O_NONBLOCK) == 0) {
        /* What is passed on is not held back for an acknowledgement. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        for (unsigned i = 0; i < LINK_FLOWS_MAX; i++) {
            struct link_flow *f = &p->flows[i];

            if (f->used)
                continue;
            f->used = true;
            f->a = a;
            f->b = b;
            f->out.from = f->back.to = fd;
            f->out.to = f->back.from = to;
            f->out.len = f->back.len = 0;
            f->out.ended = f->back.ended = false;
            return;
        }
    }
    if (fd >= 0)
        close(fd);
    close(to);
}

/* Perhaps turns a bit of what has just come in; which one moves on. */
static void
link_corrupt(struct link_proxy *proxy, char *bytes, size_t len)
{
    unsigned every = atomic_load(&proxy->corrupt_every);

    if (every == 0 || ++proxy->pieces % every != 0)
        return;
    bytes[proxy->pieces * 7 % len] ^= (char)(1 << proxy->pieces % 8);
    atomic_fetch_add(&proxy->corrupted, 1);
}

/* Moves what can be moved; false when the flow is over. */
static bool
link_move(struct link_proxy *proxy, struct link_pipe *p)
{
    ssize_t n;

    if (!p->ended && p->len < LINK_BYTES) {
        n = recv(p->from, p->bytes + p->len, LINK_BYTES - p->len, 0);
        if (n > 0) {
            link_corrupt(proxy, p->bytes + p->len, (size_t)n);
            p->len += (size_t)n;
        } else if (n == 0 || errno != EAGAIN) {
            p->ended = true;
        }
    }
    if (p->len > 0) {
        n = send(p->to, p->bytes, p->len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n > 0) {
            p->len -= (size_t)n;
            memmove(p->bytes, p->bytes + n, p->len);
        }
    }
    return !p->ended || p->len > 0;
}

/* Waits for news of any link that is not cut. */
static void
link_poll(struct link_proxy *p)
{
    struct pollfd fds[LINK_NODES_MAX * LINK_NODES_MAX + 2 * LINK_FLOWS_MAX];
    nfds_t count = 0;

    for (unsigned a = 0; a < p->node_count; a++)
        for (unsigned b = 0; b < p->node_count; b++)
            if (a != b && !atomic_load(&p->cut[a][b]))
                fds[count++] = (struct pollfd){p->listeners[a][b], POLLIN, 0};
    for (unsigned i = 0; i < LINK_FLOWS_MAX; i++) {
        struct link_flow *f = &p->flows[i];

        if (!f->used)
            continue;
        if (!atomic_load(&p->cut[f->a][f->b]) && f->out.len < LINK_BYTES)
            fds[count++] = (struct pollfd){f->out.from, POLLIN, 0};
        if (!atomic_load(&p->cut[f->b][f->a]) && f->back.len < LINK_BYTES)
            fds[count++] = (struct pollfd){f->back.from, POLLIN, 0};
    }
    poll(fds, count, LINK_TICK_MS);
}

static void *
link_main(void *ctx)
{
    struct link_proxy *p = ctx;

    while (!atomic_load(&p->stopping)) {
        link_poll(p);
        for (unsigned a = 0; a < p->node_count; a++)
            for (unsigned b = 0; b < p->node_count; b++)
                if (a != b && !atomic_load(&p->cut[a][b]))
                    link_accept(p, a, b);
        for (unsigned i = 0; i < LINK_FLOWS_MAX; i++) {
            struct link_flow *f = &p->flows[i];
            bool going = true;

            if (!f->used)
                continue;
            if (!atomic_load(&p->cut[f->a][f->b]))
                going = link_move(p, &f->out);
            if (going && !atomic_load(&p->cut[f->b][f->a]))
                going = link_move(p, &f->back);
            if (!going)
                link_flow_end(f);
        }
    }
    return NULL;
}

/* real[i]: the port node i listens on. */
static void
link_proxy_start(struct link_proxy *p, unsigned node_count,
                 const uint16_t *real)
{
    assert(node_count <= LINK_NODES_MAX);
    memset(p, 0, sizeof(*p));
    p->node_count = node_count;
    memcpy(p->real, real, node_count * sizeof(*real));
    for (unsigned a = 0; a < node_count; a++)
        for (unsigned b = 0; b < node_count; b++)
            if (a != b)
                p->listeners[a][b] = link_socket(&p->ports[a][b]);
    if (pthread_create(&p->thread, NULL, link_main, p) != 0)
        assert(!"cannot start a thread");
}

static void
link_proxy_stop(struct link_proxy *p)
{
    atomic_store(&p->stopping, true);
    pthread_join(p->thread, NULL);
    for (unsigned i = 0; i < LINK_FLOWS_MAX; i++)
        if (p->flows[i].used)
            link_flow_end(&p->flows[i]);
    for (unsigned a = 0; a < p->node_count; a++)
        for (unsigned b = 0; b < p->node_count; b++)
            if (a != b)
                close(p->listeners[a][b]);
}

#endif
