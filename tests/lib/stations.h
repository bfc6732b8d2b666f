/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A switch with stations on it that stand in for QEMU: each binds a reserved
 * UDP port as QEMU does, but the last, which is one end of a socket pair, as a
 * namespace port is.  Frames carry a number and the time at which they left.
 */
#ifndef ORDEAL_TESTS_STATIONS_H
#define ORDEAL_TESTS_STATIONS_H

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/base/clock.h"
#include "nemesis/fabric/switch.h"
#include "tests/lib/frames.h"
#include "tests/lib/tap.h"

#define STATIONS 4
#define STATION_NONE 99
#define STATION_ALL 255

struct stations {
    struct fabric_switch *sw;
    int reserve[STATIONS], fd[STATIONS], pair;
    uint16_t port[STATIONS];
    uint32_t number; /* of the last frame sent */
    struct error err;
};

/* What a station got. */
struct station_frame {
    int from; /* -1: nothing came; -2: not one of ours, or damaged */
    uint32_t number;
    int64_t took_ns;
    uint16_t port;
};

static inline void
station_mac(unsigned station, uint8_t ret[static 6])
{
    memcpy(ret, (uint8_t[]){0x52, 0x54, 0, 0x63, 0x6c, (uint8_t)station}, 6);
    if (station == STATION_ALL)
        memset(ret, 255, 6);
}

static inline void
station_open(struct stations *s, unsigned i)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(s->port[i]),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, size = 4 << 20;

    s->fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(s->fd[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(s->fd[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    CHECK(bind(s->fd[i], (struct sockaddr *)&a, sizeof(a)) == 0);
}

static inline void
stations_make(struct stations *s, uint64_t seed)
{
    struct switch_port_config config[STATIONS] = {0};
    int pair[2];

    memset(s, 0, sizeof(*s));
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
    for (unsigned i = 0; i < STATIONS; i++) {
        station_mac(i, config[i].mac);
        if (i == STATIONS - 1) {
            config[i].kind = SWITCH_PORT_PACKET;
            config[i].fd = s->pair = pair[0];
            s->fd[i] = pair[1];
            break;
        }
        s->reserve[i] = port_reserve(SOCK_DGRAM, &s->port[i], &s->err);
        CHECK(s->reserve[i] >= 0);
        config[i].peer_port = s->port[i];
        station_open(s, i);
    }
    s->sw = switch_new(config, STATIONS, &s->err);
    CHECK(s->sw != NULL);
    CHECK_OK(switch_start(s->sw, &s->err), &s->err);
    switch_set_seed(s->sw, seed);
}

static inline void
stations_end(struct stations *s)
{
    switch_free(s->sw);
    for (unsigned i = 0; i < STATIONS; i++) {
        if (i < STATIONS - 1)
            close(s->reserve[i]);
        if (s->fd[i] >= 0)
            close(s->fd[i]);
    }
    close(s->pair);
}

/* TCP frames from 'from' to TCP port 'port' of 'to'. */
static inline void
station_send(struct stations *s, unsigned from, unsigned to, uint16_t port)
{
    struct {
        uint32_t number, pad;
        int64_t sent_ns;
    } payload = {.number = ++s->number};
    uint8_t frame[256];
    size_t len;
    ssize_t n;

    payload.sent_ns = clock_now_ns(clock_monotonic());
    len = frame_make(frame, FRAME_TCP, 1000, port, &payload, sizeof(payload));
    station_mac(to, frame);
    station_mac(from, frame + 6);
    if (from == STATIONS - 1) {
        n = send(s->fd[from], frame, len, 0);
    } else {
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_port =
                                    htons(switch_local_port(s->sw, from)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

        n = sendto(s->fd[from], frame, len, 0, (struct sockaddr *)&a,
                   sizeof(a));
    }
    CHECK(n == (ssize_t)len);
}

static inline struct station_frame
station_receive(struct stations *s, unsigned at, int wait_ms)
{
    struct pollfd pfd = {.fd = s->fd[at], .events = POLLIN};
    struct station_frame ret = {.from = -1};
    struct frame_info info;
    uint8_t frame[256];
    int64_t sent_ns;
    ssize_t n;

    if (poll(&pfd, 1, wait_ms) <= 0)
        return ret;
    n = recv(s->fd[at], frame, sizeof(frame), 0);
    ret.from = -2;
    if (n < 60)
        return ret;
    frame_parse(frame, (size_t)n, &info);
    if (info.transport != FRAME_TCP || info.payload_bytes != 16)
        return ret;
    memcpy(&ret.number, frame + info.payload_at, 4);
    memcpy(&sent_ns, frame + info.payload_at + 8, 8);
    ret.took_ns = clock_now_ns(clock_monotonic()) - sent_ns;
    ret.port = info.destination_port;
    if (frame_checksum_fits(frame, &info))
        ret.from = frame[11];
    return ret;
}

static inline struct switch_link_stats
station_link(struct stations *s, unsigned from, unsigned to)
{
    struct switch_link_stats l;

    switch_link_stats(s->sw, from, to, &l);
    CHECK_INT(l.seen + l.duplicated, l.passed + l.taken + l.purged +
                                         l.queue_full + l.unsent + l.waiting);
    return l;
}

#endif
