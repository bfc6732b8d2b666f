/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "systems/way.h"

struct way
way_by_door(const struct cluster *c, unsigned node, uint16_t guest_port)
{
    struct way w = {.address = "127.0.0.1"};
    const struct node *n = &c->nodes[node];

    assert(node < c->node_count);
    for (unsigned i = 0; i < n->door_count; i++)
        if (n->doors[i].guest_port == guest_port)
            w.port = n->doors[i].host_port;
    return w;
}

struct way
way_of_client(const struct cluster *c, unsigned node, uint16_t guest_port,
              uint64_t client)
{
    struct way w = {.port = guest_port, .hosts = c->clients};

    assert(node < c->node_count);
    if (c->clients == NULL)
        return way_by_door(c, node, guest_port);
    w.host = (unsigned)(client % c->clients->count);
    snprintf(w.address, sizeof(w.address), "%s",
             c->nodes[node].cluster_address);
    return w;
}

int
way_socket(const struct way *w, int type, struct error *err)
{
    int fd;

    if (w->hosts != NULL)
        return w->hosts->socket(w->hosts, w->host, type, err);
    fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    return fd >= 0 ? fd : error_errno(err, ERROR_ENVIRONMENT, errno, "socket");
}
