/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster of real replica daemons as processes on loopback, with links
 * between them that can be cut.  No root, no virtual machine.
 *
 *   local_cluster_start -> (kill, start, pause, isolate ...) -> _stop
 *
 * The daemons die with the thread that started them, however it ends.
 */
#ifndef ORDEAL_TESTS_LOCAL_CLUSTER_H
#define ORDEAL_TESTS_LOCAL_CLUSTER_H

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "harness/base/file.h"
#include "systems/replica/replica.h"
#include "tests/lib/link-proxy.h"
#include "tests/lib/ports.h"

#define LOCAL_READY_NS (30 * NS_PER_S)
#define LOCAL_ARGUMENTS_MAX 32

struct local_cluster {
    char dir[128];
    const char *binary, *bug;
    int port_claim; /* tests/lib/ports.h */
    /* Further arguments of each daemon, NULL-terminated; NULL: none. */
    const char *const *arguments;
    struct cluster cluster;
    uint16_t peer_ports[LINK_NODES_MAX];
    struct link_proxy links;
    pid_t pids[LINK_NODES_MAX];
    bool started_once[LINK_NODES_MAX];
};

/* In the child: only calls that are safe after a fork of many threads. */
static void
local_exec(struct local_cluster *l, unsigned node, const char *const argv[],
           const char *log)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(fd, 1);
    dup2(fd, 2);
    execv(l->binary, (char *const *)argv);
    _exit(127);
}

static int
local_start_node(struct local_cluster *l, unsigned node, struct error *err)
{
    const struct node *n = &l->cluster.nodes[node];
    CLEANUP_FREE char *data = xasprintf("%s/%s", l->dir, n->name);
    CLEANUP_FREE char *log = xasprintf("%s/%s.log", l->dir, n->name);
    CLEANUP_FREE char *listener =
        xasprintf("127.0.0.1:%u", n->doors[0].host_port);
    const char *argv[32 + LOCAL_ARGUMENTS_MAX];
    char *peers[LINK_NODES_MAX] = {NULL};
    unsigned c = 0;

    for (unsigned i = 0; i < l->cluster.node_count; i++)
        peers[i] =
            xasprintf("%s=127.0.0.1:%u", l->cluster.nodes[i].name,
                      i == node ? l->peer_ports[i] : l->links.ports[node][i]);
    argv[c++] = l->binary;
    argv[c++] = "--node";
    argv[c++] = n->name;
    argv[c++] = "--data";
    argv[c++] = data;
    argv[c++] = "--listen";
    argv[c++] = listener;
    for (unsigned i = 0; i < l->cluster.node_count; i++) {
        argv[c++] = "--peer";
        argv[c++] = peers[i];
    }
    if (l->bug != NULL) {
        argv[c++] = "--bug";
        argv[c++] = l->bug;
    }
    for (unsigned i = 0; l->arguments != NULL && l->arguments[i] != NULL; i++)
        argv[c++] = l->arguments[i];
    if (!l->started_once[node])
        argv[c++] = "--new-cluster";
    argv[c] = NULL;
    l->started_once[node] = true;
    l->pids[node] = fork();
    if (l->pids[node] == 0)
        local_exec(l, node, argv, log);
    for (unsigned i = 0; i < l->cluster.node_count; i++)
        free(peers[i]);
    if (l->pids[node] < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "fork");
    return 0;
}

static void
local_kill_node(struct local_cluster *l, unsigned node)
{
    if (l->pids[node] <= 0)
        return;
    kill(l->pids[node], SIGKILL);
    waitpid(l->pids[node], NULL, 0);
    l->pids[node] = 0;
}

/* True, with its status, when a daemon ended by itself. */
static bool
local_ended(struct local_cluster *l, unsigned node, int *ret_status)
{
    if (l->pids[node] <= 0 ||
        waitpid(l->pids[node], ret_status, WNOHANG) != l->pids[node])
        return false;
    l->pids[node] = 0;
    return true;
}

/* The node that says it is primary in the highest term, -1: none. */
static int
local_primary(struct local_cluster *l)
{
    uint64_t term = 0;
    int primary = -1;

    for (unsigned i = 0; i < l->cluster.node_count; i++) {
        struct system_status s;
        struct error err = {0};

        if (system_replica_ops.status(&l->cluster, i, 500 * NS_PER_MS, &s,
                                      &err) == 0 &&
            s.role == ROLE_PRIMARY && s.term >= term) {
            primary = (int)i;
            term = s.term;
        }
    }
    return primary;
}

/* A primary, and all others its backups. */
static bool
local_ready(void *ctx)
{
    struct local_cluster *l = ctx;
    unsigned primaries = 0, backups = 0;

    for (unsigned i = 0; i < l->cluster.node_count; i++) {
        struct system_status s;
        struct error err = {0};

        if (system_replica_ops.status(&l->cluster, i, 500 * NS_PER_MS, &s,
                                      &err) < 0)
            return false;
        primaries += s.role == ROLE_PRIMARY;
        backups += s.role == ROLE_BACKUP;
    }
    return primaries == 1 && primaries + backups == l->cluster.node_count;
}

static int
local_wait_ready(struct local_cluster *l, struct error *err)
{
    struct clock *clock = clock_monotonic();
    int64_t deadline = clock_now_ns(clock) + LOCAL_READY_NS;

    if (clock_poll(clock, deadline, 50 * NS_PER_MS, local_ready, l))
        return 0;
    return error_set(err, ERROR_ENVIRONMENT,
                     "the replicas do not serve within %d s (see %s)",
                     (int)(LOCAL_READY_NS / NS_PER_S), l->dir);
}

/*
 * 'dir' exists and holds data and logs; the strings are borrowed, and so are
 * 'arguments' (at most LOCAL_ARGUMENTS_MAX, or NULL).
 */
static int
local_cluster_start(struct local_cluster *l, const char *binary,
                    const char *bug, const char *const *arguments,
                    const char *dir, unsigned node_count, struct error *err)
{
    unsigned port;

    memset(l, 0, sizeof(*l));
    l->arguments = arguments;
    if (access(binary, X_OK) < 0)
        return error_errno(err, ERROR_CONFIG, errno,
                           "'%s' (built by make; ORDEAL_BUILDDIR says where)",
                           binary);
    l->binary = binary;
    l->bug = bug;
    snprintf(l->dir, sizeof(l->dir), "%s", dir);
    port = ports_block(2 * node_count, &l->port_claim);
    if (port == 0)
        return error_set(err, ERROR_ENVIRONMENT, "no free ports");
    l->cluster.node_count = node_count;
    for (unsigned i = 0; i < node_count; i++) {
        struct node *n = &l->cluster.nodes[i];

        snprintf(n->name, NODE_NAME_MAX, "n%u", i + 1);
        n->index = i;
        n->door_count = 1;
        n->doors[0] = (struct door){REPLICA_CLIENT_PORT, (uint16_t)port++};
        l->peer_ports[i] = (uint16_t)port++;
    }
    link_proxy_start(&l->links, node_count, l->peer_ports);
    for (unsigned i = 0; i < node_count; i++)
        if (local_start_node(l, i, err) < 0)
            return -1;
    return local_wait_ready(l, err);
}

static void
local_cluster_stop(struct local_cluster *l)
{
    if (l->cluster.node_count == 0)
        return; /* never started */
    for (unsigned i = 0; i < l->cluster.node_count; i++)
        local_kill_node(l, i);
    link_proxy_stop(&l->links);
    close(l->port_claim);
}

#endif
