/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run does about the wire of its cluster: says how clients get in, and
 * whether their hosts held.
 */
#include "config.h"

#include "harness/run-internal.h"

void
run_network_ready(struct run *r)
{
    const struct cluster *c = &r->site.cluster;

    r->client_hosts = c->clients == NULL ? 0 : c->clients->count;
    if (c->no_clients[0] != '\0')
        run_remark(r,
                   "clients used the nodes' doors, which accept before a node "
                   "does: a connect proved nothing (%s)",
                   c->no_clients);
}

void
run_network_collect(struct run *r)
{
    struct client_hosts *clients = r->site.cluster.clients;
    struct error err;

    if (clients != NULL && clients->check(clients, &err) < 0)
        run_mark(r, STATUS_INFRA, "attempts failed on our side: %s", err.text);
}
