/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: one namespace port per host, whose neighbours are all nodes.
 *
 * Failure modes: a port that cannot be made ends all of them.  One whose helper
 * is gone later makes every socket fail; the first such error is kept for
 * check(), since the caller can only say that it had no connection.
 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/provider/client-hosts.h"
#include "harness/provider/guest-files.h"
#include "nemesis/fabric/namespace-port.h"

#define CLIENT_HOSTS_PREFIX_BITS 24
#define CLIENT_HOSTS_MTU 1500

struct client_hosts_made {
    struct client_hosts hosts;
    struct namespace_port *ports[CLIENT_HOST_COUNT_MAX];
    pthread_mutex_t lock; /* guards: */
    struct error problem; /* the first */
};

static int
client_hosts_socket(struct client_hosts *h, unsigned host, int type,
                    struct error *err)
{
    struct client_hosts_made *m = (struct client_hosts_made *)h;
    int fd;

    assert(host < h->count);
    fd = namespace_port_socket(m->ports[host], type, err);
    if (fd >= 0)
        return fd;
    error_wrap(err, "host c%u of clients", host + 1);
    pthread_mutex_lock(&m->lock);
    if (m->problem.kind == ERROR_NONE)
        m->problem = *err;
    pthread_mutex_unlock(&m->lock);
    return -1;
}

static int
client_hosts_check(struct client_hosts *h, struct error *err)
{
    struct client_hosts_made *m = (struct client_hosts_made *)h;
    struct error problem;

    pthread_mutex_lock(&m->lock);
    problem = m->problem;
    pthread_mutex_unlock(&m->lock);
    if (problem.kind == ERROR_NONE)
        return 0;
    *err = problem;
    return -1;
}

static int
client_hosts_make(struct client_hosts_made *m, const char *program,
                  unsigned host, unsigned node_count, struct error *err)
{
    struct namespace_port_config c = {.program = program,
                                      .prefix_bits = CLIENT_HOSTS_PREFIX_BITS,
                                      .mtu = CLIENT_HOSTS_MTU,
                                      .address_count = 1,
                                      .neighbour_count = node_count};
    char address[GUEST_ADDRESS_SIZE];

    guest_client_mac(host, c.mac);
    guest_client_address(host, address);
    inet_pton(AF_INET, address, &c.addresses[0]);
    snprintf(m->hosts.addresses[host], sizeof(m->hosts.addresses[host]), "%s",
             address);
    for (unsigned i = 0; i < node_count; i++) {
        guest_address(i, address);
        inet_pton(AF_INET, address, &c.neighbours[i].address);
        guest_mac(true, i, c.neighbours[i].mac);
    }
    m->ports[host] = namespace_port_new(&c, err);
    return m->ports[host] == NULL ? -1 : 0;
}

struct client_hosts *
client_hosts_new(const char *program, unsigned count, unsigned node_count,
                 struct error *err)
{
    struct client_hosts_made *m = xcalloc(1, sizeof(*m));

    static_assert(NODE_COUNT_MAX + CLIENT_HOST_COUNT_MAX <=
                      SWITCH_PORT_COUNT_MAX,
                  "nodes and hosts of clients are ports of one switch");
    assert(count > 0 && count <= CLIENT_HOST_COUNT_MAX);
    m->hosts.count = count;
    m->hosts.socket = client_hosts_socket;
    m->hosts.check = client_hosts_check;
    pthread_mutex_init(&m->lock, NULL);
    for (unsigned i = 0; i < count; i++)
        if (client_hosts_make(m, program, i, node_count, err) < 0) {
            client_hosts_free(&m->hosts);
            return NULL;
        }
    return &m->hosts;
}

void
client_hosts_ports(const struct client_hosts *h, struct switch_port_config *ret)
{
    const struct client_hosts_made *m = (const struct client_hosts_made *)h;

    for (unsigned i = 0; i < h->count; i++) {
        ret[i] = (struct switch_port_config){
            .kind = SWITCH_PORT_PACKET, .fd = namespace_port_fd(m->ports[i])};
        guest_client_mac(i, ret[i].mac);
    }
}

pid_t
client_hosts_pid(const struct client_hosts *h, unsigned host)
{
    assert(host < h->count);
    return namespace_port_pid(
        ((const struct client_hosts_made *)h)->ports[host]);
}

void
client_hosts_free(struct client_hosts *h)
{
    struct client_hosts_made *m = (struct client_hosts_made *)h;

    if (h == NULL)
        return;
    for (unsigned i = 0; i < h->count; i++)
        namespace_port_free(m->ports[i]);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
