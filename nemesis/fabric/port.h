/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One port of the switch: a socket, the frames that are about to leave through
 * it, and its counters.  Part of the switch; only its thread uses it.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_PORT_H
#define ORDEAL_NEMESIS_FABRIC_PORT_H

#include <sys/socket.h>

#include "nemesis/fabric/drops.h"
#include "nemesis/fabric/switch.h"

/* Frames per system call: beyond 64 nothing is gained. */
#define PORT_BATCH 64
#define PORT_OUT_MAX (4 * PORT_BATCH)

struct port {
    uint8_t mac[SWITCH_MAC_BYTES];
    enum switch_port_kind kind;
    int fd; /* -1: none */
    uint16_t local_port, peer_port;
    struct switch_port_stats stats;
    struct drops switch_drops, station_drops;
    struct pcap *capture; /* NULL: none */
    unsigned out_count;
    struct mmsghdr out[PORT_OUT_MAX];
    struct iovec out_vectors[PORT_OUT_MAX];
    struct switch_link_stats *out_links[PORT_OUT_MAX];
};

/* Fills what a received batch needs; shared by all ports. */
struct port_batch {
    struct mmsghdr messages[PORT_BATCH];
    struct iovec vectors[PORT_BATCH];
    uint8_t frames[PORT_BATCH][FRAME_BYTES_MAX];
};
void port_batch_init(struct port_batch *b);

int port_open(struct port *p, const struct switch_port_config *config,
              struct error *err);
void port_close(struct port *p);

/* How many frames were read without waiting. */
unsigned port_receive(struct port *p, struct port_batch *b);

/* 'frame' stays as it is until the next port_flush(), which may be now. */
void port_send(struct port *p, struct switch_link_stats *link,
               const uint8_t *frame, size_t len);
void port_flush(struct port *p);

/* Reads what the kernel dropped; 'proc_net_udp' is the text of that file. */
void port_read_drops(struct port *p, const char *proc_net_udp);

#endif
