/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider for tests without virtual machines: node n1 is the directory
 * RUNTIME_DIR/n1 with data/, run/ and bin/, reached by remote_local_ops.  All
 * nodes share 127.0.0.1; the ports of each node's doors are free ports of this
 * host, and a daemon listens on its door's host_port itself.
 *
 * Processes that a node started are found by ORDEAL_NODE_DIR in their
 * environment; power off and destroy kill them.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/provider/cluster.h"
#include "harness/provider/orphans.h"
#include "harness/provider/runtime-dir.h"
#include "nemesis/fabric/switch.h"

#define LOCAL_END_TIMEOUT_NS (10 * NS_PER_S)

struct local {
    struct cluster cluster;
    bool created;
    int door_fds[NODE_COUNT_MAX * NODE_DOORS_MAX]; /* hold the ports */
    unsigned door_fd_count;
};

static int
local_open(struct provider *p, const char *uri, struct error *err)
{
    if (uri != NULL)
        return error_set(err, ERROR_CONFIG, "takes no URI, got '%s'", uri);
    p->state = xcalloc(1, sizeof(struct local));
    return 0;
}

static int
local_make_node(struct local *l, const struct cluster_spec *spec,
                unsigned index, struct error *err)
{
    static const char *const parts[] = {"data", "data/log", "data/opt", "run",
                                        "bin"};
    struct node *n = &l->cluster.nodes[index];
    CLEANUP_FREE char *dir =
        xasprintf("%s/n%u", l->cluster.runtime_dir, index + 1);

    n->index = index;
    snprintf(n->name, sizeof(n->name), "n%u", index + 1);
    snprintf(n->cluster_address, sizeof(n->cluster_address), "127.0.0.1");
    snprintf(n->cluster_interface, sizeof(n->cluster_interface), "lo");
    snprintf(n->console_path, sizeof(n->console_path), "%s/console.log", dir);
    n->ssh = (struct endpoint){.node = xstrdup(n->name),
                               .host = xstrdup(dir),
                               .user = xstrdup(""),
                               .private_key_path = xstrdup(""),
                               .host_key = xstrdup("")};
    l->cluster.node_count = index + 1;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, parts[i]);

        if (dir_make(path, 0700, err) < 0)
            return -1;
    }
    for (unsigned i = 0; i < spec->door_count; i++) {
        struct door *d = &n->doors[i];
        int fd = port_reserve(SOCK_STREAM, &d->host_port, err);

        if (fd < 0)
            return -1;
        l->door_fds[l->door_fd_count++] = fd;
        d->guest_port = spec->door_ports[i];
        n->door_count++;
    }
    return file_write_atomic(n->console_path, "", 0, 0600, err);
}

static int
local_destroy(struct provider *p, struct error *err)
{
    struct local *l = p->state;
    int64_t deadline_ns = clock_now_ns(p->clock) + LOCAL_END_TIMEOUT_NS;

    if (!l->created)
        return 0;
    for (unsigned i = 0; i < l->door_fd_count; i++)
        close(l->door_fds[i]);
    l->door_fd_count = 0;
    l->created = false;
    if (orphans_end(ORPHANS_BY_ENVIRONMENT, l->cluster.runtime_dir, deadline_ns,
                    err) < 0)
        return -1;
    return runtime_dir_remove(l->cluster.runtime_dir, err);
}

static int
local_create(struct provider *p, const struct cluster_spec *spec,
             struct cluster *ret, struct error *err)
{
    struct local *l = p->state;
    struct error ignored;
    int rc;

    assert(!l->created);
    rc = runtime_dir_check(spec->runtime_dir, err);
    if (rc < 0)
        return rc;
    cluster_release(&l->cluster);
    memset(&l->cluster, 0, sizeof(l->cluster));
    snprintf(l->cluster.runtime_dir, sizeof(l->cluster.runtime_dir), "%s",
             spec->runtime_dir);
    snprintf(l->cluster.run_id, sizeof(l->cluster.run_id), "%s", spec->run_id);
    l->created = true;
    for (unsigned i = 0; rc == 0 && i < spec->node_count; i++)
        rc = local_make_node(l, spec, i, err);
    if (rc == 0)
        rc = cluster_save(&l->cluster, "local", "", err);
    if (rc < 0)
        local_destroy(p, &ignored);
    else
        *ret = l->cluster;
    return rc;
}

static int
local_power_off(struct provider *p, unsigned node, struct error *err)
{
    struct local *l = p->state;
    int64_t deadline_ns = clock_now_ns(p->clock) + LOCAL_END_TIMEOUT_NS;

    assert(l->created && node < l->cluster.node_count);
    return orphans_end(ORPHANS_BY_ENVIRONMENT, l->cluster.nodes[node].ssh.host,
                       deadline_ns, err) < 0
               ? -1
               : 0;
}

/* A directory is always on. */
static int
local_power_on(struct provider *p, unsigned node, struct error *err)
{
    return 0;
}

static void
local_close(struct provider *p)
{
    struct local *l = p->state;
    struct error ignored;

    local_destroy(p, &ignored);
    cluster_release(&l->cluster);
    free(l);
}

static int
local_recover(const char *runtime_dir, struct error *err)
{
    int64_t deadline_ns =
        clock_now_ns(clock_monotonic()) + LOCAL_END_TIMEOUT_NS;
    int pid;

    if (!path_exists(runtime_dir))
        return 0;
    if (runtime_dir_check(runtime_dir, err) < 0)
        return -1;
    if (runtime_dir_owner(runtime_dir, &pid) && pid != getpid())
        return error_set(err, ERROR_CONFIG,
                         "'%s' is in use by process %d: end that first",
                         runtime_dir, pid);
    if (orphans_end(ORPHANS_BY_ENVIRONMENT, runtime_dir, deadline_ns, err) < 0)
        return -1;
    return runtime_dir_remove(runtime_dir, err);
}

const struct provider_ops provider_local_ops = {
    .name = "local",
    .description = "directories and processes of this host, for tests",
    .remote = &remote_local_ops,
    .open = local_open,
    .create = local_create,
    .power_off = local_power_off,
    .power_on = local_power_on,
    .destroy = local_destroy,
    .close = local_close,
    .recover = local_recover,
};
