/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's wire: an Ethernet switch in this process.  Each port is one
 * UDP socket on loopback, connected to the port on which a QEMU listens
 * (libvirt <interface type='udp'>), or any descriptor that carries one frame
 * per message (the packet socket of a namespace port).
 *
 *   reserve ports -> switch_new -> switch_start -> ... -> switch_free
 *                       switch_rule_add .. switch_rule_remove,  at any time
 *
 * The table of MAC addresses is given, never learned: no flood of unknown
 * unicast, no poisoning, and a forged source is seen.  Only group addresses
 * are flooded, and each link decides for itself about its copy.
 *
 * Rules (nemesis/fabric/link.h) lie on sets of directed links; one is put on,
 * or taken off, all its links between two batches of frames, so that no frame
 * sees half of it.  Counters per port, per link and per rule on a link say what
 * came, what left, what a rule took, and what was lost without an order: that
 * is evidence against the machine.
 *
 * Of each link: seen + duplicated = passed + taken + purged + queue_full +
 * unsent + waiting, in every reading.
 *
 * Threads: the switch runs in one of its own.  new, start and free belong to
 * one thread; everything else may be called from any between new and free, and
 * returns when the switch's thread has done it.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_SWITCH_H
#define ORDEAL_NEMESIS_FABRIC_SWITCH_H

#include <stdint.h>

#include "nemesis/fabric/link-set.h"
#include "nemesis/fabric/link.h"
#include "nemesis/fabric/pcap.h"

#define SWITCH_MAC_BYTES FRAME_MAC_BYTES

enum switch_port_kind {
    SWITCH_PORT_UDP,
    SWITCH_PORT_PACKET, /* 'fd' keeps message boundaries */
};

/* Unused members are zero. */
struct switch_port_config {
    uint8_t mac[SWITCH_MAC_BYTES]; /* of the only station on this port */
    uint16_t peer_port;            /* UDP: on 127.0.0.1, where QEMU listens */
    enum switch_port_kind kind;
    int fd; /* PACKET: borrowed, made non-blocking */
};

struct switch_port_stats {
    uint64_t frames_in, bytes_in, frames_out, bytes_out;
    uint64_t refused;   /* out: answers "nobody listens", the VM is off */
    uint64_t overflow;  /* out: no room in the socket */
    uint64_t failed;    /* out or in: any other error of the socket */
    uint64_t malformed; /* in: shorter than an Ethernet header */
    uint64_t foreign;   /* in: the source is not this port's station */
    uint64_t unknown;   /* in: no port has the destination */
    /* From the kernel, as of the last switch_read_drops(): */
    uint64_t switch_drops;  /* in: our own socket was full */
    uint64_t station_drops; /* out: QEMU's socket was full */
};

struct switch_link_stats {
    uint64_t seen, seen_bytes;     /* came for this link */
    uint64_t passed, passed_bytes; /* handed to the station's socket */
    uint64_t taken;                /* by a rule, which says why */
    uint64_t duplicated;           /* copies made */
    uint64_t corrupted;
    uint64_t delayed;    /* went through the queue */
    uint64_t purged;     /* dropped from the queue by an order */
    uint64_t queue_full; /* without an order: no room to wait */
    uint64_t unsent;     /* without an order: the socket did not take it */
    uint64_t waiting;    /* now */
};

/* What the removal of a rule does to the frames that wait on its links. */
enum switch_heal {
    SWITCH_CLEAR, /* they arrive when they are due: a slow wire recovers */
    SWITCH_PURGE, /* they are dropped: after a cut, or a killed VM */
};

struct fabric_switch;

/* Makes the sockets; frames queue in them until switch_start(). */
struct fabric_switch *switch_new(const struct switch_port_config *ports,
                                 unsigned port_count, struct error *err);

/* Of all chance on the links.  Before the first rule; default 0. */
void switch_set_seed(struct fabric_switch *sw, uint64_t seed);
int switch_start(struct fabric_switch *sw, struct error *err);

/* Stops the thread, closes everything.  NULL is fine. */
void switch_free(struct fabric_switch *sw);

unsigned switch_port_count(const struct fabric_switch *sw);

/* The switch's own UDP port behind port 'port': QEMU's destination. */
uint16_t switch_local_port(const struct fabric_switch *sw, unsigned port);

void switch_stats(struct fabric_switch *sw, unsigned port,
                  struct switch_port_stats *ret);
void switch_link_stats(struct fabric_switch *sw, unsigned from, unsigned to,
                       struct switch_link_stats *ret);

/*
 * Puts a rule on every link of the set, behind the rules already there.
 * ERROR_CONFIG: the rule makes no sense, or a link has no room for it; then it
 * lies on none.  *ret_id names it until it is removed; ids count from 1.
 */
int switch_rule_add(struct fabric_switch *sw, const struct link_set *links,
                    const struct link_rule *rule, unsigned *ret_id,
                    struct error *err);

/* False: there is no such rule (any more), and nothing was done. */
bool switch_rule_remove(struct fabric_switch *sw, unsigned id,
                        enum switch_heal heal);

/* Of the rule on one link.  False: it does not lie there. */
bool switch_rule_stats(struct fabric_switch *sw, unsigned id, unsigned from,
                       unsigned to, struct link_rule_stats *ret);

/* Drops what waits on the links: a killed VM must not meet its past. */
void switch_purge(struct fabric_switch *sw, const struct link_set *links);

/*
 * Reads what the kernel dropped because a socket was full into the ports'
 * stats.  QEMU's own socket is among them: frames that we handed over and that
 * the guest never saw.
 */
int switch_read_drops(struct fabric_switch *sw, struct error *err);

/*
 * Records what comes from a station before any rule saw it, and what goes to
 * it when it leaves: what is in the capture of the sender alone was lost
 * between.  One capture per port at a time (ERROR_CONFIG); switch_free() ends
 * it.  Writing to the file is the switch's time: for a look, not for a load.
 */
int switch_capture_start(struct fabric_switch *sw, unsigned port,
                         const struct pcap_options *o, struct error *err);

/* Without a capture nothing is done.  'ret' may be NULL. */
int switch_capture_stop(struct fabric_switch *sw, unsigned port,
                        struct pcap_stats *ret, struct error *err);

/*
 * Keeps a free port of 127.0.0.1 (type SOCK_DGRAM or SOCK_STREAM) for a QEMU
 * that will bind it, again and again: the descriptor returned holds the number
 * against others and takes nothing itself.  -1 and err on failure.
 */
int port_reserve(int type, uint16_t *ret_port, struct error *err);

#endif
