/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel dropped because a UDP socket was full, from /proc/net/udp,
 * which shows the sockets of all processes: the only way to see that QEMU was
 * too slow for its frames.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_DROPS_H
#define ORDEAL_NEMESIS_FABRIC_DROPS_H

#include <stdint.h>

/* One UDP port has the socket that reserves it and that of one QEMU; a few
 * that are about to go. */
#define DROPS_SOCKET_COUNT_MAX 8

/* All zero is a port of which nothing was read yet. */
struct drops {
    uint64_t total;
    struct {
        uint64_t inode, drops; /* inode 0: free */
    } sockets[DROPS_SOCKET_COUNT_MAX];
};

/*
 * Adds what is new in 'proc_net_udp' of the sockets bound to 'port', also of
 * those that took the port over from one that is gone.  Lines that do not
 * look as they should are skipped.
 */
void drops_update(struct drops *d, const char *proc_net_udp, uint16_t port);

#endif
