/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider makes nodes: virtual machines with an SSH server, a management
 * network that no fault touches, a cluster network that faults cut, and one
 * data disk each.
 *
 *   provider_open -> create -> (start / power_off)* -> destroy -> close
 *
 * Everything outside this process (QEMU, files, namespaces) is reachable from
 * cluster->runtime_dir alone, so that provider_recover() can end it after the
 * driver was killed.
 *
 * The strings in a cluster's endpoints live until provider_close().  destroy
 * removes runtime_dir itself: collect consoles before.
 *
 * Threads: one thread for create/destroy; power operations on different nodes
 * may run in parallel.
 */
#ifndef ORDEAL_PROVIDER_PROVIDER_H
#define ORDEAL_PROVIDER_PROVIDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/base/clock.h"
#include "harness/base/error.h"
#include "harness/base/limits.h"
#include "harness/remote/remote.h"

/* A host-side TCP door to a port of a node. */
struct door {
    uint16_t guest_port;
    uint16_t host_port; /* on 127.0.0.1 */
};
#define NODE_DOORS_MAX 4

struct node {
    char name[NODE_NAME_MAX];   /* "n1".. */
    unsigned index;             /* 0.. */
    struct endpoint ssh;        /* strings owned by the cluster */
    char cluster_address[64];   /* "10.77.0.11" */
    char cluster_interface[16]; /* "cluster" inside the guest */
    struct door doors[NODE_DOORS_MAX];
    unsigned door_count;
    char console_path[4096]; /* serial console log on the host */
};

/* Each a port of the switch and a process of ours: enough to tell the clients
 * on either side of a partition apart. */
#define CLIENT_HOST_COUNT_MAX 4

/*
 * The machines on which clients run: each has an address and links of its own
 * in the cluster network.  A connection made from there says the truth about
 * the network between: it is refused when nobody listens, and silent when the
 * way is cut.
 */
struct client_hosts {
    unsigned count;
    char addresses[CLIENT_HOST_COUNT_MAX][64]; /* "10.77.0.101" */
    /* A new socket (socket(2)'s type) of that machine, in this process.  Any
     * thread.  The caller owns it. */
    int (*socket)(struct client_hosts *h, unsigned host, int type,
                  struct error *err);
    /* -1 when a socket could not be had at any time since: then attempts
     * failed for a reason of ours.  Any thread. */
    int (*check)(struct client_hosts *h, struct error *err);
};

struct cluster {
    struct node nodes[NODE_COUNT_MAX];
    unsigned node_count;
    char runtime_dir[64]; /* short: unix socket paths end at 108 bytes */
    char run_id[64];      /* [a-z0-9-], names everything we make */
    uint64_t key_serial;  /* unused by readers; see provider docs */
    /* Until destroy.  NULL: clients go through the nodes' doors, where a
     * connect that succeeds says nothing; 'no_clients' says why. */
    struct client_hosts *clients;
    char no_clients[256];
};

/* Stations of the cluster network: the nodes, and behind them the hosts of
 * clients, as "n1" and "c1". */
#define STATION_COUNT_MAX (NODE_COUNT_MAX + CLIENT_HOST_COUNT_MAX)
#define STATION_NAME_MAX 16

static inline void
station_name(unsigned station, unsigned node_count,
             char ret[static STATION_NAME_MAX])
{
    bool node = station < node_count;

    snprintf(ret, STATION_NAME_MAX, "%c%u", node ? 'n' : 'c',
             (node ? station : station - node_count) + 1);
}

struct cluster_spec {
    unsigned node_count;
    const char *run_id;
    const char *runtime_dir; /* exists, mode 0700, owned by us */
    const char *image_dir;   /* as 'ordeal image path' prints it */
    unsigned memory_mib, vcpus;
    unsigned data_disk_mib;
    const uint16_t *door_ports; /* guest ports that clients need */
    unsigned door_count;
    /* Machines for clients, where this host allows them; 0: none.  The program
     * is that of nemesis/fabric/namespace-port.h. */
    unsigned client_host_count;
    const char *client_program;
    /* Asked every few seconds while machines boot: true ends create with an
     * error.  Any thread.  NULL: it waits to the end. */
    bool (*given_up)(void);
};

struct fabric_switch; /* nemesis/fabric/switch.h */
struct machine_ops;   /* harness/provider/machine.h */

enum accelerator { ACCELERATOR_TCG, ACCELERATOR_KVM };

struct provider;

struct provider_ops {
    const char *name, *description;
    const struct remote_ops *remote; /* how its nodes are reached */
    /* 'uri' NULL: the default. */
    int (*open)(struct provider *p, const char *uri, struct error *err);
    int (*create)(struct provider *p, const struct cluster_spec *spec,
                  struct cluster *ret, struct error *err);
    /* Hard power off, and power on again with disk and keys as they were. */
    int (*power_off)(struct provider *p, unsigned node, struct error *err);
    int (*power_on)(struct provider *p, unsigned node, struct error *err);
    /* Ends and removes everything; idempotent; also after half a create. */
    int (*destroy)(struct provider *p, struct error *err);
    void (*close)(struct provider *p);
    /* NULL: its cluster network is no switch of ours. */
    struct fabric_switch *(*fabric)(struct provider *p);
    /* NULL: its nodes are no machines of ours (machine.h). */
    const struct machine_ops *machine;
    /* Ends what a dead driver left below runtime_dir.  Needs no open. */
    int (*recover)(const char *runtime_dir, struct error *err);
};

struct provider {
    const struct provider_ops *ops;
    struct clock *clock;
    void *state;
};

extern const struct provider_ops provider_libvirt_ops;
extern const struct provider_ops provider_local_ops; /* processes, for tests */

int provider_open(struct provider *p, const struct provider_ops *ops,
                  struct clock *clock, const char *uri, struct error *err);
int provider_create(struct provider *p, const struct cluster_spec *spec,
                    struct cluster *ret, struct error *err);
int provider_power_off(struct provider *p, unsigned node, struct error *err);
int provider_power_on(struct provider *p, unsigned node, struct error *err);
/* Of a cluster that was created, until destroy: port i is node i, and the hosts
 * of clients follow.  May be NULL. */
struct fabric_switch *provider_fabric(struct provider *p);
int provider_destroy(struct provider *p, struct error *err);
void provider_close(struct provider *p);

/*
 * By the provider that RUNTIME_DIR/cluster.json names.  Refuses while the
 * driver that made it lives.  Removes the directory; absent is success.
 */
int provider_recover(const char *runtime_dir, struct error *err);

const struct provider_ops *provider_find(const char *name); /* NULL: none */

#endif
