/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rule may want to know of an Ethernet frame: whether it is ARP, which
 * TCP or UDP ports it names, where its payload lies.  Frames come from guests
 * and are data: any bytes of any length are read safely, and what cannot be
 * made sense of has no ports and no payload of a transport.
 *
 * Understood: one 802.1Q tag, IPv4 with options, IPv6 with up to
 * FRAME_EXTENSION_COUNT_MAX extension headers.  A fragment that is not the
 * first has no transport header, hence no ports.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_FRAME_H
#define ORDEAL_NEMESIS_FABRIC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 14
#define FRAME_MAC_BYTES 6
#define FRAME_BYTES_MAX 65536 /* the largest datagram, rounded up */
/* Nobody sends more; a longer chain is only a way to spend our time. */
#define FRAME_EXTENSION_COUNT_MAX 8

enum frame_transport { FRAME_OTHER, FRAME_TCP, FRAME_UDP };

struct frame_info {
    bool arp;
    enum frame_transport transport; /* TCP, UDP: its whole header is there */
    uint16_t source_port, destination_port;
    size_t network_at;    /* behind the Ethernet header and its tag */
    size_t network_bytes; /* from there, without Ethernet's padding */
    size_t payload_at;    /* of TCP or UDP; only when transport says so */
    size_t payload_bytes;
    size_t checksum_at; /* of TCP or UDP, 2 bytes */
};

/* 'frame' has 'len' bytes of any content. */
void frame_parse(const uint8_t *frame, size_t len, struct frame_info *ret);

/*
 * Flips bit 'bit' (0 to 7) of byte 'at'.  With 'fix_checksum', 'at' lies in
 * the payload and the transport's checksum is made to fit by RFC 1624,
 * equation 3, so that nobody below the application can notice.
 */
void frame_flip(uint8_t *frame, const struct frame_info *info, size_t at,
                unsigned bit, bool fix_checksum);

#endif
