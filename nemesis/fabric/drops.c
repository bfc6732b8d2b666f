/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/cleanup.h"
#include "nemesis/fabric/drops.h"

#define DROPS_LINE_MAX 256 /* the kernel writes 128 */

struct drops_row {
    unsigned port;
    uint64_t inode, drops;
};

/* sl local remote st tx:rx tr:when retransmit uid timeout inode ref ptr drops
 */
static bool
drops_parse_row(const char *text, struct drops_row *ret)
{
    char line[DROPS_LINE_MAX];

    snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
    return sscanf(line,
                  " %*u: %*8x:%4x %*8x:%*4x %*2x %*8x:%*8x %*2x:%*8x %*8x "
                  "%*u %*u %" SCNu64 " %*u %*16s %" SCNu64,
                  &ret->port, &ret->inode, &ret->drops) == 3;
}

/* The slot of a socket, new or known; NULL: too many sockets share a port. */
static unsigned
drops_slot(const struct drops *d, uint64_t inode,
           const bool present[DROPS_SOCKET_COUNT_MAX])
{
    unsigned slot = DROPS_SOCKET_COUNT_MAX;

    for (unsigned i = 0; i < DROPS_SOCKET_COUNT_MAX; i++) {
        if (d->sockets[i].inode == inode)
            return i;
        if (!present[i])
            slot = i;
    }
    return slot;
}

void
drops_update(struct drops *d, const char *proc_net_udp, uint16_t port)
{
    bool present[DROPS_SOCKET_COUNT_MAX] = {false};

    /* Two passes: a new socket takes the slot of one that is gone. */
    for (int pass = 0; pass < 2; pass++) {
        for (const char *line = proc_net_udp; line != NULL;
             line = strchr(line, '\n')) {
            struct drops_row row;
            unsigned i;

            line += *line == '\n';
            if (!drops_parse_row(line, &row) || row.port != port ||
                row.inode == 0)
                continue;
            i = drops_slot(d, row.inode, present);
            if (i == DROPS_SOCKET_COUNT_MAX)
                continue;
            if (d->sockets[i].inode != row.inode) {
                if (pass == 0)
                    continue;
                d->sockets[i].inode = row.inode;
                d->sockets[i].drops = 0;
            }
            present[i] = true;
            if (row.drops > d->sockets[i].drops)
                d->total += row.drops - d->sockets[i].drops;
            d->sockets[i].drops = row.drops;
        }
    }
}
