/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nemesis/fabric/switch.h"
#include "tests/lib/tap.h"

#define STATIONS 3

/* Stations stand in for QEMU: they bind the reserved port as QEMU does. */
struct fixture {
    struct fabric_switch *sw;
    int reserve[STATIONS], station[STATIONS];
    uint16_t port[STATIONS];
    struct error err;
};

static struct fixture f;

static void
station_open(int i)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(f.port[i]),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;

    f.station[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(f.station[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    CHECK(bind(f.station[i], (struct sockaddr *)&a, sizeof(a)) == 0);
}

static void
setup(void)
{
    struct switch_port_config config[STATIONS];

    memset(&f, 0, sizeof(f));
    for (int i = 0; i < STATIONS; i++) {
        f.reserve[i] = port_reserve(SOCK_DGRAM, &f.port[i], &f.err);
        CHECK(f.reserve[i] >= 0);
        config[i] = (struct switch_port_config){
            .mac = {0x52, 0x54, 0, 0x63, 0x6c, (uint8_t)(i + 1)},
            .peer_port = f.port[i]};
        station_open(i);
    }
    f.sw = switch_new(config, STATIONS, &f.err);
    CHECK(f.sw != NULL);
    CHECK_OK(switch_start(f.sw, &f.err), &f.err);
}

static void
teardown(void)
{
    switch_free(f.sw);
    for (int i = 0; i < STATIONS; i++) {
        close(f.reserve[i]);
        if (f.station[i] >= 0)
            close(f.station[i]);
    }
}

/* to: a station, or -1 for broadcast, or 99 for a station nobody has. */
static void
station_send(int from, int to, int as)
{
    uint8_t frame[60] = {0x52, 0x54, 0, 0x63, 0x6c, (uint8_t)(to + 1),
                         0x52, 0x54, 0, 0x63, 0x6c, (uint8_t)(as + 1)};
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port =
                                htons(switch_local_port(f.sw, (unsigned)from)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (to < 0)
        memset(frame, 0xff, 6);
    CHECK(sendto(f.station[from], frame, sizeof(frame), 0,
                 (struct sockaddr *)&a, sizeof(a)) == sizeof(frame));
}

/* The station that sent what arrives here, -1 for nothing. */
static int
station_receive(int at, int wait_ms)
{
    struct pollfd pfd = {.fd = f.station[at], .events = POLLIN};
    uint8_t frame[2000];

    if (poll(&pfd, 1, wait_ms) == 0)
        return -1;
    if (recv(f.station[at], frame, sizeof(frame), 0) != 60)
        return -2;
    return frame[11] - 1;
}

static struct switch_port_stats
stats(int port)
{
    struct switch_port_stats s;

    switch_stats(f.sw, (unsigned)port, &s);
    return s;
}

static void
test_unicast_goes_to_one_group_to_all(void)
{
    setup();
    station_send(0, 1, 0);
    CHECK_INT(station_receive(1, 2000), 0);
    CHECK_INT(station_receive(2, 20), -1);
    station_send(2, -1, 2);
    CHECK_INT(station_receive(0, 2000), 2);
    CHECK_INT(station_receive(1, 2000), 2);
    CHECK_INT(station_receive(2, 20), -1);
    CHECK_INT(stats(0).frames_in, 1);
    CHECK_INT(stats(1).frames_out, 2);
    CHECK_INT(stats(2).bytes_in, 60);
    teardown();
}

static void
test_forged_and_stray_frames_are_counted(void)
{
    setup();
    station_send(0, 1, 2); /* as if it were another station */
    station_send(0, 99, 0);
    station_send(0, 0, 0); /* to itself: goes nowhere */
    station_send(0, 1, 0);
    CHECK_INT(station_receive(1, 2000), 0);
    CHECK_INT(station_receive(1, 20), -1);
    CHECK_INT(stats(0).foreign, 1);
    CHECK_INT(stats(0).unknown, 1);
    CHECK_INT(stats(0).frames_in, 4);
    teardown();
}

static void
test_a_station_that_is_off_refuses_and_comes_back(void)
{
    setup();
    close(f.station[1]);
    for (int i = 0; i < 5; i++) {
        station_send(0, 1, 0);
        station_send(0, 2, 0);
        CHECK_INT(station_receive(2, 2000), 0); /* the frame before it is out */
    }
    CHECK(stats(1).refused > 0);
    station_open(1);
    station_send(0, 1, 0);
    CHECK_INT(station_receive(1, 2000), 0);
    CHECK_INT(stats(1).failed, 0);
    teardown();
}

/* QEMU asks for SO_REUSEADDR, other programs that pick a port do not. */
static int
bind_port(int type, uint16_t port, int reuse)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
        (type == SOCK_DGRAM || listen(fd, 1) == 0))
        return fd;
    close(fd);
    return -1;
}

static void
test_a_reserved_port_is_held_for_qemu(void)
{
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    struct error err = {0};

    for (int i = 0; i < 2; i++) {
        uint16_t port;
        int fd = port_reserve(types[i], &port, &err), qemu;

        CHECK(fd >= 0);
        CHECK(bind_port(types[i], port, 0) < 0);
        for (int boot = 0; boot < 2; boot++) {
            qemu = bind_port(types[i], port, 1);
            CHECK(qemu >= 0);
            close(qemu);
        }
        close(fd);
    }
}

int
main(void)
{
    RUN(test_unicast_goes_to_one_group_to_all);
    RUN(test_forged_and_stray_frames_are_counted);
    RUN(test_a_station_that_is_off_refuses_and_comes_back);
    RUN(test_a_reserved_port_is_held_for_qemu);
    return tap_done();
}
