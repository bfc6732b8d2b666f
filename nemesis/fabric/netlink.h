/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little of rtnetlink that a namespace port needs, in the network namespace
 * of the caller.  Each function returns 0, or the errno of the kernel's answer.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_NETLINK_H
#define ORDEAL_NEMESIS_FABRIC_NETLINK_H

#include <netinet/in.h>
#include <stdbool.h>

#include "nemesis/fabric/frame.h"

/* A cable with two ends, both down. */
int netlink_veth(const char *name, const uint8_t mac[FRAME_MAC_BYTES],
                 const char *peer, unsigned mtu);

/* 'flags' of IFF_*: those to set; others stay. */
int netlink_set_flags(unsigned index, unsigned flags);

/* Whether the kernel has noticed that the cable carries, and sends. */
int netlink_is_up(unsigned index, bool *ret);
int netlink_address(unsigned index, struct in_addr address,
                    unsigned prefix_bits);
int netlink_neighbour(unsigned index, struct in_addr address,
                      const uint8_t mac[FRAME_MAC_BYTES]);

#endif
