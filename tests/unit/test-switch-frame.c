/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "nemesis/fabric/frame.h"
#include "tests/lib/frames.h"
#include "tests/lib/tap.h"

static void
test_tcp_and_udp_are_found(void)
{
    uint8_t frame[256];
    struct frame_info info;
    size_t len = frame_make(frame, FRAME_TCP, 1234, 7000, "hello", 5);

    frame_parse(frame, len, &info);
    CHECK_INT(info.transport, FRAME_TCP);
    CHECK_INT(info.source_port, 1234);
    CHECK_INT(info.destination_port, 7000);
    CHECK_INT(info.payload_at, 14 + 20 + 20);
    CHECK_INT(info.payload_bytes, 5); /* without the padding to 60 bytes */
    CHECK(!info.arp);
    len = frame_make(frame, FRAME_UDP, 53, 4321, "x", 1);
    frame_parse(frame, len, &info);
    CHECK_INT(info.transport, FRAME_UDP);
    CHECK_INT(info.source_port, 53);
    CHECK_INT(info.payload_at, 14 + 20 + 8);
    CHECK_INT(info.payload_bytes, 1);
}

static void
test_tagged_and_ipv6_frames_are_found(void)
{
    uint8_t plain[256], frame[300] = {0};
    struct frame_info info;
    size_t len = frame_make(plain, FRAME_TCP, 1, 2, "abc", 3);

    memcpy(frame, plain, 12);
    memcpy(frame + 12, (uint8_t[]){0x81, 0, 0, 5}, 4);
    memcpy(frame + 16, plain + 12, len - 12);
    frame_parse(frame, len + 4, &info);
    CHECK_INT(info.transport, FRAME_TCP);
    CHECK_INT(info.network_at, 18);
    CHECK_INT(info.payload_bytes, 3);

    /* IPv6, an empty hop-by-hop header, UDP with 2 bytes */
    memset(frame, 0, sizeof(frame));
    memcpy(frame + 12, (uint8_t[]){0x86, 0xdd, 0x60}, 3);
    frame[14 + 5] = 8 + 8 + 2;
    frame[14 + 6] = 0;
    frame[54] = 17;
    memcpy(frame + 62, (uint8_t[]){0, 9, 0, 10, 0, 10}, 6);
    frame_parse(frame, 72, &info);
    CHECK_INT(info.transport, FRAME_UDP);
    CHECK_INT(info.source_port, 9);
    CHECK_INT(info.destination_port, 10);
    CHECK_INT(info.payload_bytes, 2);
}

static void
test_what_has_no_transport_has_no_ports(void)
{
    uint8_t frame[256];
    struct frame_info info;
    size_t len = frame_make(frame, FRAME_TCP, 1, 2, "abc", 3);

    frame_parse(frame, 53, &info); /* cut within the TCP header */
    CHECK_INT(info.transport, FRAME_OTHER);
    frame[14 + 7] = 10; /* a later fragment */
    frame_parse(frame, len, &info);
    CHECK_INT(info.transport, FRAME_OTHER);
    CHECK_INT(info.network_bytes, 43);
    frame_parse(frame, 13, &info);
    CHECK_INT(info.network_bytes, 0);
    memset(frame, 0, sizeof(frame));
    memcpy(frame + 12, (uint8_t[]){8, 6}, 2);
    frame_parse(frame, 60, &info);
    CHECK(info.arp);
}

static void
test_a_flip_is_seen_by_the_checksum_unless_fixed(void)
{
    static const enum frame_transport kinds[] = {FRAME_TCP, FRAME_UDP};
    unsigned caught = 0;

    for (unsigned k = 0; k < 2; k++)
        for (size_t size = 1; size < 40; size++)
            for (size_t at = 0; at < size; at++)
                for (unsigned bit = 0; bit < 8; bit++) {
                    char text[40];
                    uint8_t frame[256];
                    struct frame_info info;
                    size_t len;

                    memset(text, (int)(size * 37 + at), sizeof(text));
                    len = frame_make(frame, kinds[k], 5, 6, text, size);
                    frame_parse(frame, len, &info);
                    CHECK(frame_checksum_fits(frame, &info));
                    frame_flip(frame, &info, info.payload_at + at, bit, true);
                    CHECK(frame_checksum_fits(frame, &info));
                    CHECK(memcmp(frame + info.payload_at, text, size) != 0);
                    frame_flip(frame, &info, info.payload_at + at, bit, false);
                    CHECK(memcmp(frame + info.payload_at, text, size) == 0);
                    caught += !frame_checksum_fits(frame, &info);
                }
    CHECK_INT(caught, 2 * 8 * 39 * 40 / 2);
}

static void
test_udp_without_a_checksum_stays_without(void)
{
    uint8_t frame[256];
    struct frame_info info;
    size_t len = frame_make(frame, FRAME_UDP, 5, 6, "abcd", 4);

    frame[40] = frame[41] = 0;
    frame_parse(frame, len, &info);
    frame_flip(frame, &info, info.payload_at, 0, true);
    CHECK_INT(frame[40] | frame[41], 0);
    CHECK_INT(frame[info.payload_at], 'a' ^ 1);
}

int
main(void)
{
    RUN(test_tcp_and_udp_are_found);
    RUN(test_tagged_and_ipv6_frames_are_found);
    RUN(test_what_has_no_transport_has_no_ports);
    RUN(test_a_flip_is_seen_by_the_checksum_unless_fixed);
    RUN(test_udp_without_a_checksum_stays_without);
    return tap_done();
}
