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

static inline bool
ports_is_free(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

    close(fd);
    return is_free;
}

/* The first of 'count' (at most PORTS_BLOCK) neighbours that are free; 0:
 * none. */
static inline unsigned
ports_block(unsigned count)
{
    for (unsigned i = 0; i < PORTS_BLOCKS; i++) {
        unsigned block = ((unsigned)getpid() + i) % PORTS_BLOCKS;
        unsigned base = PORTS_FIRST + block * PORTS_BLOCK, used = 0;

        while (used < count && ports_is_free(base + used))
            used++;
        if (used == count)
            return base;
    }
    return 0;
}

#endif
