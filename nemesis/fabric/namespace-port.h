/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way in for clients on this host: a kernel TCP/IP stack in a user and
 * network namespace of its own, one end of whose cable is a port of the switch.
 * Sockets made in it belong to this process like any other, but what they send
 * is frames of the fabric: a connect says the truth about the network between
 * client and node, and the links of a client are links like those of nodes.
 *
 *   helper process, in the namespace                      this process
 *   kernel stack -- cl0 ==veth== sw0 -- packet socket --> switch port
 *        |                                (passed over)
 *        '-- sockets, made on request, passed over -----> clients
 *
 * No privilege is needed where users may make namespaces; where they may not,
 * namespace_port_new() says at which step it ended.  It asks nobody whether it
 * would work: it tries.
 *
 * The helper is a program of its own, started anew (this process has threads,
 * and a namespace of users can be made by one thread only).  It ends when its
 * control socket closes, however this process ended; the namespace, its
 * interfaces and the sockets' connections go with the last of its descriptors.
 *
 * All stations that the kernel will talk to are given as permanent neighbours:
 * else a silent partition turns into ARP requests, and errors into
 * EHOSTUNREACH.
 *
 * Threads: socket and neighbour may be called from any, the rest from one.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_NAMESPACE_PORT_H
#define ORDEAL_NEMESIS_FABRIC_NAMESPACE_PORT_H

#include <netinet/in.h>
#include <sys/types.h>

#include "harness/base/error.h"
#include "nemesis/fabric/frame.h"

/* One per client: CLIENT_COUNT_MAX would be a message of its own. */
#define NAMESPACE_ADDRESS_COUNT_MAX 32
/* The other ports of a switch, with room for stations of many addresses. */
#define NAMESPACE_NEIGHBOUR_COUNT_MAX 64
#define NAMESPACE_PROGRAM "ordeal-ns-port"

struct namespace_neighbour {
    struct in_addr address;
    uint8_t mac[FRAME_MAC_BYTES];
};

struct namespace_port_config {
    const char *program; /* path of NAMESPACE_PROGRAM */
    uint8_t mac[FRAME_MAC_BYTES];
    unsigned prefix_bits, mtu;
    unsigned address_count; /* the first is used where a socket is not bound */
    struct in_addr addresses[NAMESPACE_ADDRESS_COUNT_MAX];
    unsigned neighbour_count;
    struct namespace_neighbour neighbours[NAMESPACE_NEIGHBOUR_COUNT_MAX];
};

struct namespace_port;

/* ERROR_ENVIRONMENT names the step that this machine does not allow. */
struct namespace_port *
namespace_port_new(const struct namespace_port_config *config,
                   struct error *err);

/* Ends and reaps the helper.  Sockets made live on until they are closed, with
 * nobody at the other end.  After the switch that has the port.  NULL is fine.
 */
void namespace_port_free(struct namespace_port *p);

/* For switch_port_config.fd (SWITCH_PORT_PACKET); belongs to 'p'. */
int namespace_port_fd(const struct namespace_port *p);
pid_t namespace_port_pid(const struct namespace_port *p);

/*
 * A new socket in the namespace, close-on-exec: type SOCK_STREAM or SOCK_DGRAM,
 * also with SOCK_NONBLOCK.  The caller owns it, may bind it to one of the
 * addresses, and connects it like any other.
 */
int namespace_port_socket(struct namespace_port *p, int type,
                          struct error *err);

#endif
