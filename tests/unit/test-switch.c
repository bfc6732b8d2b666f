/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "nemesis/fabric/drops.h"
#include "tests/lib/stations.h"

static struct stations s;

static struct switch_port_stats
stats(unsigned port)
{
    struct switch_port_stats ret;

    switch_stats(s.sw, port, &ret);
    return ret;
}

/* Sends a frame as if it came from another station. */
static void
send_as(unsigned from, unsigned as, unsigned to)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(switch_local_port(s.sw, from)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint8_t frame[60] = {0};

    station_mac(to, frame);
    station_mac(as, frame + 6);
    CHECK(sendto(s.fd[from], frame, sizeof(frame), 0, (struct sockaddr *)&a,
                 sizeof(a)) == sizeof(frame));
}

static void
test_unicast_goes_to_one_group_to_all(void)
{
    stations_make(&s, 1);
    station_send(&s, 0, 1, 7);
    CHECK_INT(station_receive(&s, 1, 2000).from, 0);
    CHECK_INT(station_receive(&s, 2, 20).from, -1);
    station_send(&s, 2, STATION_ALL, 7);
    CHECK_INT(station_receive(&s, 0, 2000).from, 2);
    CHECK_INT(station_receive(&s, 1, 2000).from, 2);
    CHECK_INT(station_receive(&s, 3, 2000).from, 2);
    CHECK_INT(station_receive(&s, 2, 20).from, -1);
    CHECK_INT(stats(0).frames_in, 1);
    CHECK_INT(stats(1).frames_out, 2);
    CHECK_INT(stats(2).bytes_in, 70);
    CHECK_INT(station_link(&s, 2, 3).passed, 1);
    CHECK_INT(station_link(&s, 0, 1).passed_bytes, 70);
    CHECK_INT(station_link(&s, 1, 0).seen, 0);
    stations_end(&s);
}

static void
test_a_packet_port_is_a_port_like_any_other(void)
{
    stations_make(&s, 1);
    station_send(&s, 3, 0, 7);
    CHECK_INT(station_receive(&s, 0, 2000).from, 3);
    station_send(&s, 0, 3, 7);
    CHECK_INT(station_receive(&s, 3, 2000).from, 0);
    CHECK_INT(stats(3).failed, 0);
    stations_end(&s);
}

static void
test_forged_and_stray_frames_are_counted(void)
{
    stations_make(&s, 1);
    send_as(0, 2, 1);
    send_as(0, 0, STATION_NONE);
    send_as(0, 0, 0); /* to itself: goes nowhere */
    CHECK_INT(send(s.fd[3], "short", 5, 0), 5);
    station_send(&s, 0, 1, 7);
    CHECK_INT(station_receive(&s, 1, 2000).from, 0);
    CHECK_INT(station_receive(&s, 1, 20).from, -1);
    CHECK_INT(stats(0).foreign, 1);
    CHECK_INT(stats(0).unknown, 1);
    CHECK_INT(stats(0).frames_in, 4);
    CHECK_INT(stats(3).malformed, 1);
    stations_end(&s);
}

static void
test_a_station_that_is_off_refuses_and_comes_back(void)
{
    stations_make(&s, 1);
    close(s.fd[1]);
    for (int i = 0; i < 5; i++) {
        station_send(&s, 0, 1, 7);
        station_send(&s, 0, 2, 7);
        /* the frame before it is out */
        CHECK_INT(station_receive(&s, 2, 2000).from, 0);
    }
    CHECK(stats(1).refused > 0);
    station_open(&s, 1);
    station_send(&s, 0, 1, 7);
    CHECK_INT(station_receive(&s, 1, 2000).from, 0);
    CHECK_INT(stats(1).failed, 0);
    CHECK_INT(station_link(&s, 0, 1).unsent, 0);
    stations_end(&s);
}

/* A station that is too slow loses frames that we handed over: only the kernel
 * knows. */
static void
test_frames_lost_in_a_full_station_are_found(void)
{
    struct switch_port_stats port;
    uint64_t arrived = 0, sent = 3000;
    int small = 4096;

    stations_make(&s, 1);
    setsockopt(s.fd[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (uint64_t i = 0; i < sent; i++) {
        station_send(&s, 0, 1, 7);
        if (i % 50 == 49) { /* not faster than our own socket holds */
            station_send(&s, 0, 2, 7);
            CHECK_INT(station_receive(&s, 2, 2000).from, 0);
        }
    }
    CHECK_OK(switch_read_drops(s.sw, &s.err), &s.err);
    while (station_receive(&s, 1, 20).from == 0)
        arrived++;
    port = stats(1);
    CHECK_INT(port.frames_out, sent);
    CHECK(arrived < sent);
    CHECK_INT(port.station_drops, sent - arrived);
    CHECK_INT(stats(0).switch_drops, 0);
    CHECK_INT(stats(2).station_drops, 0);
    /* The next reading adds nothing, another socket on that port its own. */
    CHECK_OK(switch_read_drops(s.sw, &s.err), &s.err);
    CHECK_INT(stats(1).station_drops, sent - arrived);
    stations_end(&s);
}

static const char proc_udp[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
    "retrnsmt   uid  timeout inode ref pointer drops             \n"
    " 1012: 0100007F:5208 0100007F:5209 01 00000000:00000000 00:00000000 "
    "00000000  1000        0 %u 2 0000000000000000 %u        \n"
    "  980: 0100007F:5208 00000000:0000 07 00000000:00000000 00:00000000 "
    "00000000     0        0 %u 2 0000000000000000 %u        \n"
    "  981: 0100007F:5209 00000000:0000 07 00000000:00000000 00:00000000 "
    "00000000     0        0 77 2 0000000000000000 1000      \n"
    "nonsense 5208\n  5: 5208";

static void
see_drops(struct drops *d, unsigned inode_a, unsigned drops_a, unsigned inode_b,
          unsigned drops_b)
{
    char text[1024];

    snprintf(text, sizeof(text), proc_udp, inode_a, drops_a, inode_b, drops_b);
    drops_update(d, text, 0x5208);
}

static void
test_drops_follow_the_sockets_of_a_port(void)
{
    struct drops d = {0};

    see_drops(&d, 11, 5, 12, 1);
    CHECK_INT(d.total, 6);
    see_drops(&d, 11, 5, 12, 4);
    CHECK_INT(d.total, 9);
    see_drops(&d, 11, 5, 13, 2); /* a new QEMU */
    CHECK_INT(d.total, 11);
    for (unsigned i = 0; i < 100; i++) { /* and many more */
        see_drops(&d, 11, 5, 100 + i, 1);
    }
    CHECK_INT(d.total, 111);
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
    RUN(test_a_packet_port_is_a_port_like_any_other);
    RUN(test_forged_and_stray_frames_are_counted);
    RUN(test_a_station_that_is_off_refuses_and_comes_back);
    RUN(test_frames_lost_in_a_full_station_are_found);
    RUN(test_drops_follow_the_sockets_of_a_port);
    RUN(test_a_reserved_port_is_held_for_qemu);
    return tap_done();
}
