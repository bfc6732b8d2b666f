/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet frames with TCP or UDP over IPv4, made and checked by hand. */
#ifndef ORDEAL_TESTS_FRAMES_H
#define ORDEAL_TESTS_FRAMES_H

#include <stdint.h>
#include <string.h>

#include "harness/base/cleanup.h"
#include "nemesis/fabric/frame.h"

/* RFC 1071 over 'len' bytes, on top of 'sum'. */
static inline uint32_t
frame_sum(uint32_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* The sum of the transport's header, payload and pseudo header. */
static inline uint32_t
frame_transport_sum(const uint8_t *frame, size_t at, size_t len)
{
    uint8_t pseudo[4] = {0, frame[23], (uint8_t)(len >> 8), (uint8_t)len};

    return frame_sum(
        frame_sum(frame_sum(0, frame + 26, 8), pseudo, sizeof(pseudo)),
        frame + at, len);
}

static inline bool
frame_checksum_fits(const uint8_t *frame, const struct frame_info *info)
{
    size_t at = info->network_at + 20;

    return frame_transport_sum(frame, at,
                               info->payload_at + info->payload_bytes - at) ==
           0xffff;
}

/* Without MAC addresses.  Returns the length; 'size' up to 200. */
static inline size_t
frame_make(uint8_t frame[static 256], enum frame_transport transport,
           uint16_t source, uint16_t destination, const void *payload,
           size_t size)
{
    size_t header = transport == FRAME_TCP ? 20 : 8, bytes = header + size;
    uint8_t *ip = frame + 14, *t = ip + 20;
    uint32_t sum;

    memset(frame, 0, 256);
    frame[12] = 8;
    ip[0] = 0x45;
    ip[3] = (uint8_t)(20 + bytes);
    ip[8] = 64;
    ip[9] = transport == FRAME_TCP ? 6 : 17;
    memcpy(ip + 12, (uint8_t[]){10, 77, 0, 11, 10, 77, 0, 12}, 8);
    sum = 0xffff - frame_sum(0, ip, 20);
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
    t[0] = (uint8_t)(source >> 8);
    t[1] = (uint8_t)source;
    t[2] = (uint8_t)(destination >> 8);
    t[3] = (uint8_t)destination;
    if (transport == FRAME_TCP)
        t[12] = 0x50;
    else
        t[5] = (uint8_t)bytes;
    memcpy(t + header, payload, size);
    sum = 0xffff - frame_transport_sum(frame, 34, bytes);
    t[transport == FRAME_TCP ? 16 : 6] = (uint8_t)(sum >> 8);
    t[transport == FRAME_TCP ? 17 : 7] = (uint8_t)sum;
    return 34 + bytes < 60 ? 60 : 34 + bytes;
}

#endif
