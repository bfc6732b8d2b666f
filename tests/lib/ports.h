/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports for daemons that tests start: below the ephemeral range, in a block of
 * the process's own, so that tests that run beside each other do not race for
 * the same numbers.
 */
#ifndef ORDEAL_TESTS_PORTS_H
#define ORDEAL_TESTS_PORTS_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_FIRST 10000u
#define PORTS_BLOCK 32u
#define PORTS_BLOCKS 600u /* up to 29200 */

/* A socket that has the port, so that nobody else can; -1: somebody has. */
static inline int
ports_take(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static inline bool
ports_is_free(unsigned port)
{
    int fd = ports_take(port);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/*
 * The first of 'count' (less than PORTS_BLOCK) neighbours that are free; 0:
 * none.  *ret_claim has the block's last port until the caller closes it: a
 * daemon that is killed leaves its port free for a while, and process numbers
 * come again.
 */
static inline unsigned
ports_block(unsigned count, int *ret_claim)
{
    for (unsigned i = 0; i < PORTS_BLOCKS; i++) {
        unsigned block = ((unsigned)getpid() + i) % PORTS_BLOCKS;
        unsigned base = PORTS_FIRST + block * PORTS_BLOCK, used = 0;
        int claim = ports_take(base + PORTS_BLOCK - 1);

        while (claim >= 0 && used < count && ports_is_free(base + used))
            used++;
        if (claim >= 0 && used == count) {
            *ret_claim = claim;
            return base;
        }
        if (claim >= 0)
            close(claim);
    }
    return 0;
}

#endif
