/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider on libvirt.  create() makes keys, config archives, disks and
 * ports, writes cluster.json, starts the switch, and starts all guests in
 * parallel, each in a thread that waits until its SSH server has let us in.
 *
 *   host --127.0.0.1:PORT--> QEMU user network --> mgmt NIC     (SSH, doors)
 *   host: switch thread <--UDP frames--> QEMU  --> cluster NIC
 *                      '-- packet sockets -- hosts of clients (client-hosts.h)
 *   host: nbdkit with the platter <--unix socket-- QEMU <-- data disk
 *
 * Guests are transient domains: power off destroys one, power on creates it
 * again from the same description, disks and ports.
 *
 * Failure modes: whatever fails in create() tears down all of it, and the
 * error carries the end of the failing guest's console.  destroy() goes on
 * past errors and finally ends, by their command lines, QEMUs that libvirt
 * lost.  Calls into libvirt have its own time limits (30 s), not ours.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/provider/accelerator.h"
#include "harness/provider/client-hosts.h"
#include "harness/provider/cluster.h"
#include "harness/provider/domain-xml.h"
#include "harness/provider/guest-files.h"
#include "harness/provider/libvirt-connection.h"
#include "harness/provider/libvirt-machine.h"
#include "harness/provider/orphans.h"
#include "harness/provider/runtime-dir.h"
#include "harness/remote/keys.h"
#include "nemesis/fabric/switch.h"
#include "nemesis/platter/platter.h"

#define LIBVIRT_BOOT_TIMEOUT_NS (120 * NS_PER_S)
#define LIBVIRT_BOOT_SLICE_NS (2 * NS_PER_S)
#define LIBVIRT_END_TIMEOUT_NS (15 * NS_PER_S)
#define LIBVIRT_PLATTER_TIMEOUT_NS (15 * NS_PER_S)
#define LIBVIRT_CONSOLE_TAIL 160
#define LIBVIRT_CONSOLE_BYTES_MAX (16 << 20)
#define LIBVIRT_USER_NAME "root"
#define SSH_PORT 22

struct libvirt_node {
    char *xml, *domain_name;
    struct ssh_key host_key;
    int qemu_fd; /* holds the cluster NIC's UDP port */
    uint16_t qemu_port;
    int forward_fds[NODE_DOORS_MAX + 1]; /* hold the forwards' TCP ports */
    struct door forwards[NODE_DOORS_MAX + 1];
    unsigned forward_count;
    char *config_path, *data_path;
    struct libvirt_machine machine; /* no platter with a foreign libvirt */
};

struct libvirt {
    struct libvirt_connection connection;
    struct cluster cluster;
    bool created; /* runtime_dir is ours to remove */
    struct ssh_key key;
    char *key_path;
    struct libvirt_node nodes[NODE_COUNT_MAX];
    struct fabric_switch *fabric;
    struct client_hosts *clients;
};

/* ---- open ---- */

static int
libvirt_open(struct provider *p, const char *uri, struct error *err)
{
    struct libvirt *l = xcalloc(1, sizeof(*l));

    if (libvirt_connection_open(&l->connection, uri, err) < 0) {
        free(l);
        return -1;
    }
    p->state = l;
    return 0;
}

/* ---- what a cluster is made of ---- */

static int
libvirt_check_spec(const struct cluster_spec *spec, struct error *err)
{
    static const char *const files[] = {"vmlinuz", "initrd", "root.img"};

    if (spec->image_dir == NULL || spec->image_dir[0] != '/')
        return error_set(err, ERROR_CONFIG,
                         "the image directory '%s' is not an absolute path",
                         spec->image_dir == NULL ? "" : spec->image_dir);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", spec->image_dir, files[i]);

        if (access(path, R_OK) < 0)
            return error_errno(err, ERROR_CONFIG, errno,
                               "guest image: '%s' (run 'ordeal image build')",
                               path);
    }
    if (spec->memory_mib < 64 || spec->vcpus < 1 || spec->data_disk_mib < 16)
        return error_set(err, ERROR_CONFIG,
                         "a guest needs 64 MiB of memory, 1 CPU and 16 MiB of "
                         "data disk at least; asked for %u MiB, %u and %u MiB",
                         spec->memory_mib, spec->vcpus, spec->data_disk_mib);
    return runtime_dir_check(spec->runtime_dir, err);
}

static int
libvirt_reserve_ports(struct libvirt_node *n, const struct cluster_spec *spec,
                      struct error *err)
{
    n->qemu_fd = port_reserve(SOCK_DGRAM, &n->qemu_port, err);
    if (n->qemu_fd < 0)
        return -1;
    for (unsigned i = 0; i <= spec->door_count; i++) {
        struct door *d = &n->forwards[i];
        int fd = port_reserve(SOCK_STREAM, &d->host_port, err);

        if (fd < 0)
            return -1;
        d->guest_port = i == 0 ? SSH_PORT : spec->door_ports[i - 1];
        n->forward_fds[n->forward_count++] = fd;
    }
    return 0;
}

/* The part of a node that its users see. */
static void
libvirt_fill_node(struct libvirt *l, unsigned index)
{
    const struct libvirt_node *n = &l->nodes[index];
    struct node *node = &l->cluster.nodes[index];

    node->index = index;
    snprintf(node->name, sizeof(node->name), "n%u", index + 1);
    guest_address(index, node->cluster_address);
    snprintf(node->cluster_interface, sizeof(node->cluster_interface),
             "cluster");
    snprintf(node->console_path, sizeof(node->console_path),
             "%s/%s-console.log", l->cluster.runtime_dir, node->name);
    node->door_count = n->forward_count - 1;
    memcpy(node->doors, n->forwards + 1,
           node->door_count * sizeof(node->doors[0]));
    node->ssh = (struct endpoint){.node = xstrdup(node->name),
                                  .host = xstrdup("127.0.0.1"),
                                  .port = n->forwards[0].host_port,
                                  .user = xstrdup(LIBVIRT_USER_NAME),
                                  .private_key_path = xstrdup(l->key_path),
                                  .host_key = xstrdup(n->host_key.public_line)};
}

/*
 * Another user's QEMU (qemu:///system) could not open our socket, and one on
 * another host could not reach it: those have the file itself.
 */
static int
libvirt_start_platter(struct libvirt *l, unsigned index, struct error *err)
{
    struct libvirt_node *n = &l->nodes[index];
    char name[32];
    struct platter_config c = {.name = name,
                               .dir = l->cluster.runtime_dir,
                               .image = n->data_path,
                               .seed = index + 1};

    if (l->connection.root[0] == '\0')
        return 0;
    snprintf(name, sizeof(name), "n%u-data", index + 1);
    return platter_start(
        &n->machine.platter, &c,
        clock_now_ns(clock_monotonic()) + LIBVIRT_PLATTER_TIMEOUT_NS, err);
}

static int
libvirt_prepare_node(struct libvirt *l, const struct cluster_spec *spec,
                     unsigned index, struct error *err)
{
    struct libvirt_node *n = &l->nodes[index];
    const char *dir = l->cluster.runtime_dir;

    n->qemu_fd = -1;
    n->domain_name = xasprintf("ordeal-%s-n%u", l->cluster.run_id, index + 1);
    n->config_path = xasprintf("%s/n%u-config.tar", dir, index + 1);
    n->data_path = xasprintf("%s/n%u-data.img", dir, index + 1);
    n->machine.name = n->domain_name;
    n->machine.disk = n->data_path;
    n->machine.memory_mib = spec->memory_mib;
    if (ssh_key_generate(&n->host_key, n->domain_name, err) < 0 ||
        libvirt_reserve_ports(n, spec, err) < 0 ||
        guest_make_disk(n->data_path, spec->data_disk_mib, err) < 0 ||
        libvirt_start_platter(l, index, err) < 0)
        return -1;
    libvirt_fill_node(l, index);
    l->cluster.node_count = index + 1;
    return guest_write_config(n->config_path, index, spec->node_count,
                              l->clients == NULL ? 0 : l->clients->count,
                              n->host_key.private_text, l->key.public_line,
                              err);
}

/* Where they are not allowed, clients use the doors: that is no failure. */
static void
libvirt_make_clients(struct libvirt *l, const struct cluster_spec *spec)
{
    struct error err;

    if (spec->client_host_count == 0)
        return;
    l->clients = client_hosts_new(spec->client_program, spec->client_host_count,
                                  spec->node_count, &err);
    l->cluster.clients = l->clients;
    if (l->clients != NULL)
        return;
    snprintf(l->cluster.no_clients, sizeof(l->cluster.no_clients), "%.250s",
             err.text);
    log_info("provider", "clients use the doors: %s", err.text);
}

static int
libvirt_start_fabric(struct libvirt *l, struct error *err)
{
    struct switch_port_config ports[SWITCH_PORT_COUNT_MAX] = {0};
    unsigned count = l->cluster.node_count;

    for (unsigned i = 0; i < l->cluster.node_count; i++) {
        guest_mac(true, i, ports[i].mac);
        ports[i].peer_port = l->nodes[i].qemu_port;
    }
    if (l->clients != NULL) {
        client_hosts_ports(l->clients, ports + count);
        count += l->clients->count;
    }
    l->fabric = switch_new(ports, count, err);
    if (l->fabric == NULL)
        return -1;
    return switch_start(l->fabric, err);
}

static void
libvirt_describe_node(struct libvirt *l, const struct cluster_spec *spec,
                      enum accelerator accelerator, unsigned index)
{
    struct libvirt_node *n = &l->nodes[index];
    const struct node *node = &l->cluster.nodes[index];
    struct domain_spec d = {
        .name = n->domain_name,
        .node = node->name,
        .index = index,
        .accelerator = accelerator,
        .memory_mib = spec->memory_mib,
        .vcpus = spec->vcpus,
        .image_dir = spec->image_dir,
        .config_path = n->config_path,
        .data_path = n->data_path,
        .data_socket = n->machine.platter.socket_path,
        .console_path = node->console_path,
        .switch_port = switch_local_port(l->fabric, index),
        .qemu_port = n->qemu_port,
        .forwards = n->forwards,
        .forward_count = n->forward_count,
    };

    n->xml = domain_xml(&d);
}

static int
libvirt_prepare(struct libvirt *l, const struct cluster_spec *spec,
                struct error *err)
{
    char reason[256];
    enum accelerator accelerator =
        accelerator_choose(spec->image_dir, reason, sizeof(reason));

    log_info("provider", "accelerator: %s", reason);
    l->key_path = xasprintf("%s/key", l->cluster.runtime_dir);
    if (ssh_key_generate(&l->key, l->cluster.run_id, err) < 0 ||
        file_write_atomic(l->key_path, l->key.private_text,
                          strlen(l->key.private_text), 0600, err) < 0)
        return -1;
    libvirt_make_clients(l, spec);
    for (unsigned i = 0; i < spec->node_count; i++)
        if (libvirt_prepare_node(l, spec, i, err) < 0)
            return -1;
    if (libvirt_start_fabric(l, err) < 0)
        return -1;
    for (unsigned i = 0; i < spec->node_count; i++)
        libvirt_describe_node(l, spec, accelerator, i);
    return cluster_save(&l->cluster, "libvirt", l->connection.root, err);
}

/* ---- starting guests ---- */

static int
libvirt_start_domain(struct libvirt *l, unsigned index, struct error *err)
{
    struct libvirt_node *n = &l->nodes[index];

    n->machine.domain = virDomainCreateXML(l->connection.conn, n->xml, 0);
    if (n->machine.domain == NULL)
        return libvirt_fail(err, "starting the virtual machine");
    return 0;
}

/* The end of what the guest said, for an error message. */
static void
libvirt_console_tail(const struct node *node, char *ret, size_t size)
{
    struct error ignored;
    size_t len = 0;
    CLEANUP_FREE char *text = file_read(
        node->console_path, LIBVIRT_CONSOLE_BYTES_MAX, &len, &ignored);
    size_t skip = len > size - 1 ? len - (size - 1) : 0, out = 0;

    for (size_t i = skip; text != NULL && i < len; i++)
        ret[out++] = text[i] >= ' ' && text[i] < 127 ? text[i] : ' ';
    ret[out] = '\0';
}

static int
libvirt_wait_ssh(struct libvirt *l, unsigned index, struct clock *clock,
                 bool (*given_up)(void), int64_t deadline_ns, struct error *err)
{
    const struct node *node = &l->cluster.nodes[index];
    char tail[LIBVIRT_CONSOLE_TAIL];
    struct remote remote;
    struct error last = {0};
    int rc;

    remote_init(&remote, &remote_ssh_ops, &node->ssh, clock);
    for (;;) {
        int64_t slice = clock_now_ns(clock) + LIBVIRT_BOOT_SLICE_NS;

        rc = remote_open(&remote, slice < deadline_ns ? slice : deadline_ns,
                         &last);
        if (rc == 0 || last.kind != ERROR_TRANSIENT ||
            clock_now_ns(clock) >= deadline_ns)
            break;
        if (given_up != NULL && given_up()) {
            error_set(&last, ERROR_ENVIRONMENT, "given up");
            break;
        }
        if (virDomainIsActive(l->nodes[index].machine.domain) != 1) {
            error_set(&last, ERROR_ENVIRONMENT, "the virtual machine ended");
            break;
        }
    }
    remote_close(&remote);
    if (rc == 0)
        return 0;
    libvirt_console_tail(node, tail, sizeof(tail));
    return error_set(err, ERROR_ENVIRONMENT,
                     "does not answer over SSH: %.200s; console ends: %s",
                     last.text, tail[0] == '\0' ? "(empty)" : tail);
}

/*
 * The guest has made and mounted its file system by now.  If its flushes do
 * not arrive, or every write is FUA, a power cut would prove nothing.
 */
static int
libvirt_check_platter(struct libvirt *l, unsigned index, struct error *err)
{
    const struct platter *p = &l->nodes[index].machine.platter;
    json_t *stats;
    json_int_t flushes = 0, fua = 0;
    int rc;

    if (p->pid == 0)
        return 0;
    stats = platter_command(
        p, clock_now_ns(clock_monotonic()) + LIBVIRT_PLATTER_TIMEOUT_NS, err,
        "stats");
    if (stats == NULL)
        return -1;
    rc = json_unpack(stats, "{s:I, s:I}", "flushes", &flushes, "fua", &fua);
    json_decref(stats);
    if (rc == 0 && flushes > 0 && fua == 0)
        return 0;
    return error_set(err, ERROR_ENVIRONMENT,
                     "the data disk saw %lld flushes and %lld FUA writes: its "
                     "cache is not written back as a disk's",
                     (long long)flushes, (long long)fua);
}

struct libvirt_boot {
    struct libvirt *l;
    struct clock *clock;
    bool (*given_up)(void);
    unsigned index;
    pthread_t thread;
    int rc;
    struct error err;
};

static void *
libvirt_boot_main(void *arg)
{
    struct libvirt_boot *b = arg;
    const char *name = b->l->cluster.nodes[b->index].name;
    int64_t start = clock_now_ns(b->clock), running, ready;

    b->rc = libvirt_start_domain(b->l, b->index, &b->err);
    running = clock_now_ns(b->clock);
    if (b->rc == 0)
        b->rc = libvirt_wait_ssh(b->l, b->index, b->clock, b->given_up,
                                 start + LIBVIRT_BOOT_TIMEOUT_NS, &b->err);
    if (b->rc == 0)
        b->rc = libvirt_check_platter(b->l, b->index, &b->err);
    ready = clock_now_ns(b->clock);
    if (b->rc == 0)
        log_info("provider",
                 "%s: SSH answers after %.1f s (%.1f s to start QEMU)", name,
                 (double)(ready - start) / NS_PER_S,
                 (double)(running - start) / NS_PER_S);
    else
        error_wrap(&b->err, "node %s", name);
    return NULL;
}

static int
libvirt_boot_all(struct libvirt *l, struct clock *clock, bool (*given_up)(void),
                 struct error *err)
{
    struct libvirt_boot boots[NODE_COUNT_MAX] = {0};
    unsigned count = l->cluster.node_count, started = 0;
    int rc = 0;

    for (; started < count; started++) {
        struct libvirt_boot *b = &boots[started];
        int code;

        *b = (struct libvirt_boot){
            .l = l, .clock = clock, .given_up = given_up, .index = started};
        code = pthread_create(&b->thread, NULL, libvirt_boot_main, b);
        if (code != 0) {
            rc = error_errno(err, ERROR_ENVIRONMENT, code, "thread");
            break;
        }
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(boots[i].thread, NULL);
        if (boots[i].rc < 0 && rc == 0) {
            *err = boots[i].err;
            rc = -1;
        }
    }
    return rc;
}

/* ---- ending ---- */

static void
libvirt_release_node(struct libvirt_node *n)
{
    for (unsigned i = 0; i < n->forward_count; i++)
        close(n->forward_fds[i]);
    if (n->domain_name != NULL && n->qemu_fd >= 0)
        close(n->qemu_fd);
    free(n->xml);
    free(n->domain_name);
    free(n->config_path);
    free(n->data_path);
    ssh_key_release(&n->host_key);
    memset(n, 0, sizeof(*n));
}

/* Already off is success: the guest may have ended by itself. */
static int
libvirt_stop_domain(struct libvirt_node *n, struct error *err)
{
    int rc = 0;

    libvirt_machine_unthrottle(&n->machine);
    if (n->machine.domain == NULL)
        return 0;
    if (virDomainDestroy(n->machine.domain) < 0 &&
        virDomainIsActive(n->machine.domain) == 1)
        rc = libvirt_fail(err, "stopping the virtual machine");
    virDomainFree(n->machine.domain);
    n->machine.domain = NULL;
    return rc;
}

/* Frames lost on this host, which nobody ordered, are worth a line. */
static void
libvirt_stop_fabric(struct libvirt *l)
{
    for (unsigned i = 0; l->fabric != NULL && i < l->cluster.node_count; i++) {
        const char *name = l->cluster.nodes[i].name;
        struct switch_port_stats s;

        switch_stats(l->fabric, i, &s);
        log_debug("provider",
                  "%s: %" PRIu64 " frames in, %" PRIu64 " out, %" PRIu64
                  " lost in the guest's full socket",
                  name, s.frames_in, s.frames_out, s.station_drops);
        if (s.overflow + s.failed + s.malformed + s.foreign > 0)
            log_warning("provider",
                        "%s: cluster network: %" PRIu64 " frames lost in the "
                        "switch, %" PRIu64 " errors, %" PRIu64 " malformed, "
                        "%" PRIu64 " with another's address, continuing",
                        name, s.overflow, s.failed, s.malformed, s.foreign);
    }
    switch_free(TAKE(l->fabric));
}

static int
libvirt_destroy(struct provider *p, struct error *err)
{
    struct libvirt *l = p->state;
    struct error first = {0}, next;
    int rc = 0;

    if (!l->created)
        return 0;
    /* While QEMU's sockets are there; for the log only. */
    if (l->fabric != NULL && switch_read_drops(l->fabric, &next) < 0)
        log_debug("provider", "%s, continuing", next.text);
    for (unsigned i = 0; i < NODE_COUNT_MAX; i++)
        if (libvirt_stop_domain(&l->nodes[i], rc == 0 ? &first : &next) < 0)
            rc = -1;
    if (orphans_end(ORPHANS_QEMU, l->cluster.runtime_dir,
                    clock_now_ns(p->clock) + LIBVIRT_END_TIMEOUT_NS,
                    rc == 0 ? &first : &next) < 0)
        rc = -1;
    /* After QEMU, which flushes when it ends and is waited for by nbdkit. */
    for (unsigned i = 0; i < NODE_COUNT_MAX; i++)
        if (platter_stop(&l->nodes[i].machine.platter,
                         rc == 0 ? &first : &next) < 0)
            rc = -1;
    if (platter_recover(l->cluster.runtime_dir,
                        clock_now_ns(p->clock) + LIBVIRT_END_TIMEOUT_NS,
                        rc == 0 ? &first : &next) < 0)
        rc = -1;
    libvirt_stop_fabric(l);
    client_hosts_free(TAKE(l->clients));
    l->cluster.clients = NULL;
    for (unsigned i = 0; i < NODE_COUNT_MAX; i++)
        libvirt_release_node(&l->nodes[i]);
    if (runtime_dir_remove(l->cluster.runtime_dir, rc == 0 ? &first : &next) <
        0)
        rc = -1;
    ssh_key_release(&l->key);
    free(TAKE(l->key_path));
    l->created = false;
    if (rc < 0)
        *err = first;
    return rc;
}

static int
libvirt_create(struct provider *p, const struct cluster_spec *spec,
               struct cluster *ret, struct error *err)
{
    struct libvirt *l = p->state;
    struct error ignored;

    assert(!l->created);
    if (libvirt_check_spec(spec, err) < 0)
        return -1;
    cluster_release(&l->cluster);
    memset(&l->cluster, 0, sizeof(l->cluster));
    snprintf(l->cluster.runtime_dir, sizeof(l->cluster.runtime_dir), "%s",
             spec->runtime_dir);
    snprintf(l->cluster.run_id, sizeof(l->cluster.run_id), "%s", spec->run_id);
    l->created = true;
    if (libvirt_prepare(l, spec, err) < 0 ||
        libvirt_boot_all(l, p->clock, spec->given_up, err) < 0) {
        if (libvirt_destroy(p, &ignored) < 0)
            log_warning("provider", "%s, continuing", ignored.text);
        return -1;
    }
    *ret = l->cluster;
    return 0;
}

static int
libvirt_power_off(struct provider *p, unsigned node, struct error *err)
{
    struct libvirt *l = p->state;
    struct link_set links = {{0}};

    assert(l->created && node < l->cluster.node_count);
    if (libvirt_stop_domain(&l->nodes[node], err) < 0)
        return -1;
    /* What still waits for the dead machine is not for its successor. */
    for (unsigned peer = 0; peer < switch_port_count(l->fabric); peer++)
        link_set_add_both(&links, node, peer);
    switch_purge(l->fabric, &links);
    return 0;
}

static int
libvirt_power_on(struct provider *p, unsigned node, struct error *err)
{
    struct libvirt *l = p->state;

    assert(l->created && node < l->cluster.node_count);
    if (l->nodes[node].machine.domain != NULL &&
        virDomainIsActive(l->nodes[node].machine.domain) == 1)
        return 0;
    if (libvirt_stop_domain(&l->nodes[node], err) < 0)
        return -1;
    return libvirt_start_domain(l, node, err);
}

static void
libvirt_close(struct provider *p)
{
    struct libvirt *l = p->state;
    struct error err = {0};

    if (libvirt_destroy(p, &err) < 0)
        log_warning("provider", "%s, continuing", err.text);
    cluster_release(&l->cluster);
    libvirt_connection_close(&l->connection);
    free(l);
}

/* ---- recover ---- */

static int
libvirt_recover_dir(const char *dir, struct error *err)
{
    int64_t deadline_ns =
        clock_now_ns(clock_monotonic()) + LIBVIRT_END_TIMEOUT_NS;
    int pid, count;

    if (!path_exists(dir))
        return 0;
    if (runtime_dir_check(dir, err) < 0)
        return -1;
    if (runtime_dir_owner(dir, &pid) && pid != getpid())
        return error_set(err, ERROR_CONFIG,
                         "'%s' is in use by process %d: end that first", dir,
                         pid);
    count = orphans_end(ORPHANS_QEMU, dir, deadline_ns, err);
    if (count < 0)
        return -1;
    if (count > 0)
        log_info("provider", "ended %d virtual machines of '%s'", count, dir);
    if (platter_recover(dir, deadline_ns, err) < 0)
        return -1;
    return runtime_dir_remove(dir, err);
}

/*
 * The embedded root of the dead driver goes too; another run of that driver
 * cannot need it, since all its runs died with it.
 */
static int
libvirt_recover(const char *runtime_dir, struct error *err)
{
    struct cluster_file file = {0};
    struct error ignored;

    if (cluster_load(runtime_dir, &file, &ignored) == 0)
        cluster_release(&file.cluster);
    if (libvirt_recover_dir(runtime_dir, err) < 0)
        return -1;
    return file.root[0] == '\0' ? 0 : libvirt_recover_dir(file.root, err);
}

static struct fabric_switch *
libvirt_fabric(struct provider *p)
{
    return ((struct libvirt *)p->state)->fabric;
}

struct libvirt_machine *
libvirt_machine_of(struct provider *p, unsigned node)
{
    struct libvirt *l = p->state;

    assert(l->created && node < l->cluster.node_count);
    return &l->nodes[node].machine;
}

const struct provider_ops provider_libvirt_ops = {
    .name = "libvirt",
    .description = "virtual machines by QEMU through libvirt on this host",
    .remote = &remote_ssh_ops,
    .open = libvirt_open,
    .create = libvirt_create,
    .power_off = libvirt_power_off,
    .power_on = libvirt_power_on,
    .destroy = libvirt_destroy,
    .close = libvirt_close,
    .fabric = libvirt_fabric,
    .machine = &libvirt_machine_ops,
    .recover = libvirt_recover,
};
