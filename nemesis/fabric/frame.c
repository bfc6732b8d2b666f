/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "nemesis/fabric/frame.h"

enum {
    ETHER_IPV4 = 0x0800,
    ETHER_ARP = 0x0806,
    ETHER_VLAN = 0x8100,
    ETHER_IPV6 = 0x86dd,
};

enum {
    IP_HOP_BY_HOP = 0,
    IP_TCP = 6,
    IP_UDP = 17,
    IP_ROUTING = 43,
    IP_FRAGMENT = 44,
    IP_DESTINATION = 60,
};

static unsigned
frame_u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* The transport's header begins at 'at' and the packet ends at 'end'. */
static void
frame_parse_transport(const uint8_t *frame, size_t at, size_t end,
                      unsigned protocol, struct frame_info *ret)
{
    size_t header;

    if (protocol == IP_TCP) {
        if (at > end || end - at < 20)
            return;
        header = (size_t)(frame[at + 12] >> 4) * 4;
        if (header < 20 || header > end - at)
            return;
        ret->transport = FRAME_TCP;
        ret->checksum_at = at + 16;
    } else if (protocol == IP_UDP) {
        if (at > end || end - at < 8)
            return;
        header = 8;
        ret->transport = FRAME_UDP;
        ret->checksum_at = at + 6;
    } else {
        return;
    }
    ret->source_port = (uint16_t)frame_u16(frame + at);
    ret->destination_port = (uint16_t)frame_u16(frame + at + 2);
    ret->payload_at = at + header;
    ret->payload_bytes = end - at - header;
}

static void
frame_parse_ipv4(const uint8_t *frame, size_t at, size_t len,
                 struct frame_info *ret)
{
    size_t header, total;

    if (len - at < 20 || frame[at] >> 4 != 4)
        return;
    header = (size_t)(frame[at] & 15) * 4;
    total = frame_u16(frame + at + 2);
    if (header < 20 || total < header || total > len - at)
        return;
    ret->network_bytes = total;
    if ((frame_u16(frame + at + 6) & 0x1fff) != 0)
        return; /* not the first fragment */
    frame_parse_transport(frame, at + header, at + total, frame[at + 9], ret);
}

static void
frame_parse_ipv6(const uint8_t *frame, size_t at, size_t len,
                 struct frame_info *ret)
{
    size_t end;
    unsigned next;

    if (len - at < 40 || frame[at] >> 4 != 6)
        return;
    end = at + 40 + frame_u16(frame + at + 4);
    if (end > len)
        return;
    ret->network_bytes = end - at;
    next = frame[at + 6];
    at += 40;
    for (int i = 0; i < FRAME_EXTENSION_COUNT_MAX; i++) {
        size_t bytes = 8;

        if (next != IP_HOP_BY_HOP && next != IP_ROUTING &&
            next != IP_DESTINATION && next != IP_FRAGMENT) {
            frame_parse_transport(frame, at, end, next, ret);
            return;
        }
        if (end - at < 8)
            return;
        if (next != IP_FRAGMENT)
            bytes = 8 + (size_t)frame[at + 1] * 8;
        else if ((frame_u16(frame + at + 2) & 0xfff8) != 0)
            return; /* not the first fragment */
        if (bytes > end - at)
            return;
        next = frame[at];
        at += bytes;
    }
}

void
frame_parse(const uint8_t *frame, size_t len, struct frame_info *ret)
{
    size_t at = FRAME_HEADER_BYTES;
    unsigned type;

    memset(ret, 0, sizeof(*ret));
    if (len < FRAME_HEADER_BYTES)
        return;
    type = frame_u16(frame + 12);
    if (type == ETHER_VLAN && len >= FRAME_HEADER_BYTES + 4) {
        type = frame_u16(frame + 16);
        at += 4;
    }
    ret->network_at = at;
    ret->network_bytes = len - at;
    ret->arp = type == ETHER_ARP;
    if (type == ETHER_IPV4)
        frame_parse_ipv4(frame, at, len, ret);
    else if (type == ETHER_IPV6)
        frame_parse_ipv6(frame, at, len, ret);
}

void
frame_flip(uint8_t *frame, const struct frame_info *info, size_t at,
           unsigned bit, bool fix_checksum)
{
    uint8_t *check = frame + info->checksum_at;
    unsigned before, after, sum, shift;

    assert(bit < 8);
    if (!fix_checksum) {
        frame[at] ^= (uint8_t)(1u << bit);
        return;
    }
    assert(info->transport != FRAME_OTHER && at >= info->payload_at &&
           at - info->payload_at < info->payload_bytes);
    /* The sum is over 16-bit words; headers have an even length. */
    shift = (at - info->payload_at) % 2 == 0 ? 8 : 0;
    before = (unsigned)frame[at] << shift;
    frame[at] ^= (uint8_t)(1u << bit);
    after = (unsigned)frame[at] << shift;
    if (info->transport == FRAME_UDP && frame_u16(check) == 0)
        return; /* the sender uses none */
    sum = (~frame_u16(check) & 0xffff) + (~before & 0xffff) + after;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    if (info->transport == FRAME_UDP && sum == 0)
        sum = 0xffff; /* zero would mean: none */
    check[0] = (uint8_t)(sum >> 8);
    check[1] = (uint8_t)sum;
}
