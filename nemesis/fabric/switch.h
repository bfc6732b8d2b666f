/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's wire: an Ethernet switch in this process.  Each port is one
 * UDP socket on loopback, connected to the port on which a QEMU listens
 * (libvirt <interface type='udp'>); one datagram is one frame.
 *
 *   reserve ports -> switch_new -> switch_start -> (switch_stats)* -> free
 *
 * The table of MAC addresses is given, never learned: no flood of unknown
 * unicast, no poisoning, and a forged source is seen.  Only group addresses
 * are flooded.  Counters per port say what came, what left and what was lost
 * where; a lost frame that nobody ordered is evidence against the machine.
 *
 * Threads: the switch runs in one of its own.  new, start and free belong to
 * one thread; stats may be read from any.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_SWITCH_H
#define ORDEAL_NEMESIS_FABRIC_SWITCH_H

#include <stdint.h>

#include "harness/base/error.h"

#define SWITCH_PORT_COUNT_MAX 16 /* NODE_COUNT_MAX and room for clients */
#define SWITCH_MAC_BYTES 6

struct switch_port_config {
    uint8_t mac[SWITCH_MAC_BYTES]; /* of the only station on this port */
    uint16_t peer_port;            /* on 127.0.0.1, where QEMU listens */
};

struct switch_port_stats {
    uint64_t frames_in, bytes_in, frames_out, bytes_out;
    uint64_t refused;   /* out: answers "nobody listens", the VM is off */
    uint64_t overflow;  /* out: no room in the socket */
    uint64_t failed;    /* out or in: any other error of the socket */
    uint64_t malformed; /* in: shorter than an Ethernet header */
    uint64_t foreign;   /* in: the source is not this port's station */
    uint64_t unknown;   /* in: no port has the destination */
};

struct fabric_switch;

/* Makes the sockets; frames queue in them until switch_start(). */
struct fabric_switch *switch_new(const struct switch_port_config *ports,
                                 unsigned port_count, struct error *err);
int switch_start(struct fabric_switch *sw, struct error *err);

/* Stops the thread, closes everything.  NULL is fine. */
void switch_free(struct fabric_switch *sw);

/* The switch's own UDP port behind port 'port': QEMU's destination. */
uint16_t switch_local_port(const struct fabric_switch *sw, unsigned port);

void switch_stats(const struct fabric_switch *sw, unsigned port,
                  struct switch_port_stats *ret);

/*
 * Keeps a free port of 127.0.0.1 (type SOCK_DGRAM or SOCK_STREAM) for a QEMU
 * that will bind it, again and again: the descriptor returned holds the number
 * against others and takes nothing itself.  -1 and err on failure.
 */
int port_reserve(int type, uint16_t *ret_port, struct error *err);

#endif
