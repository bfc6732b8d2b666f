/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "tests/lib/ns-guest.h"

#define BUSYBOX "/bin/busybox"

/* ---- programs ---- */

/* In a child: becomes argv in the namespace; 127 when there is none such. */
_Noreturn static void
ns_become(int ns_fd, const char *const argv[], const int stdio[3])
{
    if (setns(ns_fd, CLONE_NEWNET) < 0)
        _exit(126);
    for (int i = 0; i < 3; i++)
        if (dup2(stdio[i], i) < 0)
            _exit(126);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

/* Starts argv; standard output and error are /dev/null. */
static pid_t
ns_spawn(int ns_fd, const char *const argv[], int in_fd)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t child = fork();

    assert(null_fd >= 0 && child >= 0);
    if (child == 0)
        ns_become(ns_fd, argv,
                  (int[]){in_fd < 0 ? null_fd : in_fd, null_fd, null_fd});
    close(null_fd);
    return child;
}

/* Reads both pipes to their ends. */
static void
ns_drain(int out_fd, int err_fd, struct exec_result *ret)
{
    struct pollfd fds[] = {{.fd = out_fd, .events = POLLIN},
                           {.fd = err_fd, .events = POLLIN}};

    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int ready = poll(fds, 2, 20000);

        assert(ready > 0);
        for (int i = 0; i < 2; i++) {
            char bytes[4096];
            ssize_t n;

            if (fds[i].fd < 0 || fds[i].revents == 0)
                continue;
            n = read(fds[i].fd, bytes, sizeof(bytes));
            if (n <= 0)
                fds[i].fd = -1;
            else
                buf_append(i == 0 ? &ret->out : &ret->err, bytes, (size_t)n);
        }
    }
}

static void
ns_run(int ns_fd, const char *const argv[], const char *input,
       struct exec_result *ret)
{
    int in[2], out[2], err[2], status;
    pid_t child;

    assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
           pipe2(err, O_CLOEXEC) == 0);
    child = fork();
    assert(child >= 0);
    if (child == 0)
        ns_become(ns_fd, argv, (int[]){in[0], out[1], err[1]});
    close(in[0]);
    close(out[1]);
    close(err[1]);
    if (input != NULL)
        (void)!write(in[1], input, strlen(input)); /* fits the pipe */
    close(in[1]);
    ns_drain(out[0], err[0], ret);
    close(out[0]);
    close(err[0]);
    assert(waitpid(child, &status, 0) == child);
    ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* For setting up: 'ip' and its like; true when it worked. */
static bool
ns_works(int ns_fd, const char *const argv[])
{
    struct exec_result result;
    bool works;

    exec_result_init(&result);
    ns_run(ns_fd, argv, NULL, &result);
    works = result.status == 0;
    if (!works)
        printf("# %s: %s\n", argv[0], buf_text(&result.err));
    exec_result_release(&result);
    return works;
}

/* ---- svc ---- */

static void
ns_svc_reap(struct ns_guest *g, int flags)
{
    int status;

    if (g->timer <= 0 || waitpid(g->timer, &status, flags) != g->timer)
        return;
    g->timer = -1;
    g->timer_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
ns_svc(struct ns_guest *g, const char *const argv[], struct exec_result *ret)
{
    size_t i = 0;

    if (strcmp(argv[1], "start") == 0) {
        while (strcmp(argv[i++], "--") != 0)
            ;
        g->timer = ns_spawn(g->ns_fd, &argv[i], -1);
    } else if (strcmp(argv[1], "stop") == 0) {
        ns_svc_reap(g, WNOHANG);
        if (g->timer > 0) {
            kill(g->timer, SIGTERM);
            ns_svc_reap(g, 0);
        }
    }
    buf_printf(&ret->out, "{\"state\":\"%s\",\"exit_status\":%d}\n",
               g->timer == 0  ? "none"
               : g->timer < 0 ? "exited"
                              : "running",
               g->timer_status);
    ret->status = 0;
}

static int
ns_exec(struct remote *r, const char *const argv[],
        const struct exec_options *options, struct exec_result *ret,
        struct error *err)
{
    struct ns_guest *g = r->state;

    if (strcmp(argv[0], "svc") == 0)
        ns_svc(g, argv, ret);
    else
        ns_run(g->ns_fd, argv, options->input, ret);
    return 0;
}

static void
ns_close(struct remote *r)
{
    r->state = NULL;
}

static const struct remote_ops ns_remote_ops = {
    .name = "namespace", .exec = ns_exec, .close = ns_close};

/* ---- the system: a daemon that waits ---- */

static int
ns_start(const struct system_node *n, struct error *err)
{
    static const char *const argv[] = {BUSYBOX, "cat", NULL};
    struct ns_guest *g = n->remote->state;
    const struct ns_cluster *c = (const struct ns_cluster *)n->cluster;

    g->daemon = ns_spawn(g->ns_fd, argv, c->lifeline[0]);
    return 0;
}

static void
ns_reap(struct ns_guest *g, int flags)
{
    if (g->daemon > 0 && waitpid(g->daemon, NULL, flags) == g->daemon)
        g->daemon = 0;
}

static int
ns_signal(const struct system_node *n, int signo, struct error *err)
{
    struct ns_guest *g = n->remote->state;

    if (g->daemon <= 0 || kill(g->daemon, signo) < 0)
        return error_set(err, ERROR_ENVIRONMENT, "no daemon");
    if (signo == SIGKILL)
        ns_reap(g, 0);
    return 0;
}

static int
ns_stop(const struct system_node *n, int64_t timeout_ns, struct error *err)
{
    if (ns_signal(n, SIGTERM, err) < 0)
        return -1;
    ns_reap(n->remote->state, 0);
    return 0;
}

static int
ns_process(const struct system_node *n, struct process_id *ret,
           struct error *err)
{
    struct ns_guest *g = n->remote->state;
    CLEANUP_FREE char *stat = NULL;
    CLEANUP_FREE char *boot = NULL;
    char path[32], state;

    ns_reap(g, WNOHANG);
    *ret = (struct process_id){.pid = g->daemon};
    if (g->daemon == 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)g->daemon);
    stat = file_read(path, 4096, NULL, err);
    boot = file_read("/proc/sys/kernel/random/boot_id", 64, NULL, err);
    assert(stat != NULL && boot != NULL);
    snprintf(ret->boot_id, sizeof(ret->boot_id), "%.36s", boot);
    assert(sscanf(strrchr(stat, ')'),
                  ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                  "%*s %*s %*s %*s %*s %" SCNu64,
                  &state, &ret->start_ticks) == 2);
    ret->stopped = state == 'T';
    return 0;
}

static int
ns_status(const struct cluster *c, unsigned node, int64_t timeout_ns,
          struct system_status *ret, struct error *err)
{
    struct ns_cluster *nc = (struct ns_cluster *)c;
    struct system_node n = {.remote = &nc->remotes[node]};
    struct process_id id;

    if (ns_process(&n, &id, err) < 0)
        return -1;
    *ret = (struct system_status){.role = ROLE_UNKNOWN};
    if (id.pid != 0 && !id.stopped)
        ret->role = node == 0 ? ROLE_PRIMARY : ROLE_BACKUP;
    return 0;
}

static const struct system_ops ns_system_ops = {
    .name = "waiter",
    .peer_port = 7101,
    .start = ns_start,
    .stop = ns_stop,
    .signal = ns_signal,
    .process = ns_process,
    .status = ns_status,
};

/* ---- making and ending ---- */

static bool
ns_write_file(const char *path, const char *text)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Our own network namespace, in our own user namespace when not root. */
static const char *
ns_enter(void)
{
    char map[64];

    if (geteuid() == 0)
        return unshare(CLONE_NEWNET) == 0 ? NULL : "no network namespaces";
    snprintf(map, sizeof(map), "0 %u 1\n", (unsigned)geteuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ||
        !ns_write_file("/proc/self/setgroups", "deny") ||
        !ns_write_file("/proc/self/uid_map", map))
        return "neither root nor user namespaces";
    return NULL;
}

static pid_t
ns_hold(int *ret_fd)
{
    int ready[2];
    char path[32], byte;
    pid_t child;

    assert(pipe2(ready, O_CLOEXEC) == 0);
    child = fork();
    assert(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) == 0)
            (void)!write(ready[1], "", 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)child);
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    assert(*ret_fd >= 0);
    return child;
}

static bool
ns_plug(struct ns_cluster *c, unsigned i)
{
    struct ns_guest *g = &c->guests[i];
    char port[16], pid[16], address[80];
    const char *const add[] = {"ip",      "link",  "add",  port,
                               "type",    "veth",  "peer", "name",
                               "cluster", "netns", pid,    NULL};
    const char *const join[] = {"ip",     "link", "set", port,
                                "master", "hub0", "up",  NULL};
    const char *const give[] = {"ip",  "address", "add", address,
                                "dev", "cluster", NULL};
    const char *const up[] = {"ip", "link", "set", "cluster", "up", NULL};

    snprintf(port, sizeof(port), "port%u", i);
    snprintf(pid, sizeof(pid), "%d", (int)g->holder);
    snprintf(address, sizeof(address), "%s/24",
             c->cluster.nodes[i].cluster_address);
    return ns_works(c->home_fd, add) && ns_works(c->home_fd, join) &&
           ns_works(g->ns_fd, give) && ns_works(g->ns_fd, up);
}

static bool
ns_node(struct ns_cluster *c, unsigned i)
{
    struct node *n = &c->cluster.nodes[i];
    struct system_node sn = {.cluster = &c->cluster, .remote = &c->remotes[i]};
    struct error err;

    snprintf(n->name, sizeof(n->name), "n%u", i + 1);
    snprintf(n->cluster_address, sizeof(n->cluster_address), "10.77.0.%u",
             11 + i);
    snprintf(n->cluster_interface, sizeof(n->cluster_interface), "cluster");
    n->ssh.node = n->name;
    c->guests[i].holder = ns_hold(&c->guests[i].ns_fd);
    remote_init(&c->remotes[i], &ns_remote_ops, &n->ssh, clock_monotonic());
    c->remotes[i].state = &c->guests[i];
    return ns_start(&sn, &err) == 0 && ns_plug(c, i);
}

static bool
ns_tool_missing(const char *const argv[], int fd)
{
    struct exec_result result;
    bool missing;

    exec_result_init(&result);
    ns_run(fd, argv, NULL, &result);
    missing = result.status == 127 || result.status == 126;
    exec_result_release(&result);
    return missing;
}

const char *
ns_cluster_make(struct ns_cluster *c)
{
    static const char *const bridge[] = {"ip",   "link", "add",    "name",
                                         "hub0", "type", "bridge", NULL};
    static const char *const up[] = {"ip", "link", "set", "hub0", "up", NULL};
    static const char *const nft[] = {"nft", "--version", NULL};
    static const char *const busybox[] = {BUSYBOX, "true", NULL};
    static const char *const ip[] = {"ip", "-V", NULL};
    const char *reason = ns_enter();

    *c = (struct ns_cluster){.cluster.node_count = NS_NODES};
    if (reason != NULL)
        return reason;
    c->home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert(c->home_fd >= 0);
    assert(pipe2(c->lifeline, O_CLOEXEC) == 0);
    if (ns_tool_missing(nft, c->home_fd))
        return "no nft (nftables)";
    if (ns_tool_missing(busybox, c->home_fd))
        return "no " BUSYBOX " (busybox)";
    if (ns_tool_missing(ip, c->home_fd))
        return "no ip (iproute2)";
    if (!ns_works(c->home_fd, bridge) || !ns_works(c->home_fd, up))
        return "no bridge can be made";
    snprintf(c->cluster.run_id, sizeof(c->cluster.run_id), "ns-test");
    for (unsigned i = 0; i < NS_NODES; i++)
        if (!ns_node(c, i))
            return "a node could not be plugged into the bridge";
    c->world = (struct fault_world){.cluster = &c->cluster,
                                    .system = &ns_system_ops,
                                    .remotes = c->remotes,
                                    .clock = clock_monotonic()};
    return NULL;
}

static void
ns_end_process(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void
ns_cluster_end(struct ns_cluster *c)
{
    for (unsigned i = 0; i < NS_NODES; i++) {
        ns_end_process(c->guests[i].daemon);
        ns_end_process(c->guests[i].timer);
        ns_end_process(c->guests[i].holder);
        close(c->guests[i].ns_fd);
    }
    close(c->home_fd);
    close(c->lifeline[0]);
    close(c->lifeline[1]);
}

/* ---- packets ---- */

int
ns_socket(struct ns_cluster *c, unsigned node, int type)
{
    int fd;

    assert(setns(c->guests[node].ns_fd, CLONE_NEWNET) == 0);
    fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert(setns(c->home_fd, CLONE_NEWNET) == 0);
    assert(fd >= 0);
    return fd;
}

bool
ns_datagram_passes(struct ns_cluster *c, unsigned from, unsigned to)
{
    CLEANUP_CLOSE int sender = ns_socket(c, from, SOCK_DGRAM);
    CLEANUP_CLOSE int receiver = ns_socket(c, to, SOCK_DGRAM);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(9999)};
    struct pollfd fd = {.fd = receiver, .events = POLLIN};

    assert(inet_pton(AF_INET, c->cluster.nodes[to].cluster_address,
                     &address.sin_addr) == 1);
    assert(bind(receiver, (struct sockaddr *)&address, sizeof(address)) == 0);
    if (sendto(sender, "x", 1, 0, (struct sockaddr *)&address,
               sizeof(address)) != 1)
        return false; /* dropped on its way out */
    return poll(&fd, 1, 50) == 1;
}
