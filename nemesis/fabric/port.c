/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: recvmmsg and sendmmsg, a batch each.
 *
 * Failure modes: a VM that is off refuses: the kernel says so on a later call,
 * whose own frame has then not been tried, so it is tried once more (counted).
 * A socket that is full loses the frame, as a wire would (counted).
 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <string.h>

#include "nemesis/fabric/port.h"

#define PORT_SOCKET_BYTES (4 << 20) /* asked for; the kernel may cap it */

void
port_batch_init(struct port_batch *b)
{
    for (unsigned i = 0; i < PORT_BATCH; i++) {
        b->vectors[i] = (struct iovec){.iov_base = b->frames[i],
                                       .iov_len = FRAME_BYTES_MAX};
        b->messages[i] = (struct mmsghdr){
            .msg_hdr = {.msg_iov = &b->vectors[i], .msg_iovlen = 1}};
    }
}

/* ---- sockets ---- */

static struct sockaddr_in
port_loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A socket bound to a free loopback port. */
static int
port_socket(int type, uint16_t *ret_port, struct error *err)
{
    struct sockaddr_in a = port_loopback(0);
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
port_connect(int fd, uint16_t peer_port, struct error *err)
{
    struct sockaddr_in a = port_loopback(peer_port);

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
    int one = 1, fd = port_socket(type, &port, err);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "SO_REUSEADDR");
    } else if (type != SOCK_DGRAM || port_connect(fd, 1, err) == 0) {
        *ret_port = port;
        return fd;
    }
    close(fd);
    return -1;
}

int
port_open(struct port *p, const struct switch_port_config *config,
          struct error *err)
{
    int size = PORT_SOCKET_BYTES, flags;

    memcpy(p->mac, config->mac, sizeof(p->mac));
    p->kind = config->kind;
    p->peer_port = config->peer_port;
    if (p->kind == SWITCH_PORT_UDP) {
        assert(config->peer_port != 0);
        p->fd = port_socket(SOCK_DGRAM, &p->local_port, err);
        if (p->fd < 0 || port_connect(p->fd, config->peer_port, err) < 0)
            return -1;
    } else {
        flags = fcntl(config->fd, F_GETFL);
        if (flags < 0 || fcntl(config->fd, F_SETFL, flags | O_NONBLOCK) < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "descriptor %d",
                               config->fd);
        p->fd = config->fd;
    }
    setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return 0;
}

void
port_close(struct port *p)
{
    if (p->fd >= 0 && p->kind == SWITCH_PORT_UDP)
        close(p->fd);
    p->fd = -1;
}

/* ---- frames ---- */

unsigned
port_receive(struct port *p, struct port_batch *b)
{
    int n = recvmmsg(p->fd, b->messages, PORT_BATCH, MSG_DONTWAIT, NULL);

    if (n >= 0)
        return (unsigned)n;
    if (errno == ECONNREFUSED)
        p->stats.refused++;
    else if (errno != EAGAIN && errno != EINTR)
        p->stats.failed++;
    return 0;
}

/* The frame in front cannot be sent. */
static void
port_lose(struct port *p, unsigned i)
{
    if (errno == EAGAIN || errno == ENOBUFS)
        p->stats.overflow++;
    else
        p->stats.failed++;
    p->out_links[i]->unsent++;
}

static void
port_sent(struct port *p, unsigned i)
{
    size_t len = p->out_vectors[i].iov_len;

    p->stats.frames_out++;
    p->stats.bytes_out += len;
    p->out_links[i]->passed++;
    p->out_links[i]->passed_bytes += len;
}

void
port_flush(struct port *p)
{
    unsigned i = 0;
    bool refused = false; /* for the frame in front, already */

    while (i < p->out_count) {
        int n = sendmmsg(p->fd, p->out + i, p->out_count - i,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0) {
            for (unsigned end = i + (unsigned)n; i < end; i++)
                port_sent(p, i);
            refused = false;
        } else if (errno == ECONNREFUSED && !refused) {
            /* the answer to an earlier frame; this one is not tried yet */
            p->stats.refused++;
            refused = true;
        } else if (errno != EINTR) {
            port_lose(p, i++);
            refused = false;
        }
    }
    p->out_count = 0;
}

void
port_send(struct port *p, struct switch_link_stats *link, const uint8_t *frame,
          size_t len)
{
    unsigned i = p->out_count++;

    p->out_vectors[i] =
        (struct iovec){.iov_base = (void *)frame, .iov_len = len};
    p->out[i] = (struct mmsghdr){
        .msg_hdr = {.msg_iov = &p->out_vectors[i], .msg_iovlen = 1}};
    p->out_links[i] = link;
    if (p->out_count == PORT_OUT_MAX)
        port_flush(p);
}

void
port_read_drops(struct port *p, const char *proc_net_udp)
{
    struct tpacket_stats packet = {0};
    socklen_t len = sizeof(packet);

    if (p->kind == SWITCH_PORT_UDP) {
        drops_update(&p->switch_drops, proc_net_udp, p->local_port);
        drops_update(&p->station_drops, proc_net_udp, p->peer_port);
    } else if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &packet,
                          &len) == 0) {
        p->switch_drops.total += packet.tp_drops; /* since the last reading */
    }
    p->stats.switch_drops = p->switch_drops.total;
    p->stats.station_drops = p->station_drops.total;
}
