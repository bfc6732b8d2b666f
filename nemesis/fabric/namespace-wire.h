/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passes between a namespace port and its helper over their socket
 * (SOCK_SEQPACKET), in the byte order and layout of this build: both are made
 * together, and the version says whether they were.
 *
 *   -> setup            <- reply with the packet socket
 *   -> socket request   <- reply with that socket     (again and again)
 */
#ifndef ORDEAL_NEMESIS_FABRIC_NAMESPACE_WIRE_H
#define ORDEAL_NEMESIS_FABRIC_NAMESPACE_WIRE_H

#include "nemesis/fabric/namespace-port.h"

#define NAMESPACE_WIRE_VERSION UINT32_C(0x4f4e5031) /* ONP1 */
#define NAMESPACE_WIRE_FD 3 /* of the helper: its end of the socket */
#define NAMESPACE_WIRE_STEP_MAX 100

struct namespace_wire_setup {
    uint32_t version;
    uint32_t prefix_bits, mtu, address_count, neighbour_count;
    uint8_t mac[FRAME_MAC_BYTES];
    struct in_addr addresses[NAMESPACE_ADDRESS_COUNT_MAX];
    struct namespace_neighbour neighbours[NAMESPACE_NEIGHBOUR_COUNT_MAX];
};

struct namespace_wire_request {
    int32_t type; /* of socket(2) */
};

/* With a descriptor when code is 0. */
struct namespace_wire_reply {
    int32_t code; /* errno, or 0 */
    char step[NAMESPACE_WIRE_STEP_MAX];
};

#endif
