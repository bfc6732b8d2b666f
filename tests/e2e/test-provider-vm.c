/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libvirt provider with real guests: 1 and 3 nodes, the wire between them,
 * power, and that nothing is left, even after the driver was killed.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/provider/cluster.h"
#include "harness/provider/orphans.h"
#include "harness/provider/runtime-dir.h"
#include "harness/provider/supervise.h"
#include "nemesis/fabric/namespace-port.h"
#include "nemesis/fabric/switch.h"
#include "nemesis/platter/platter.h"
#include "tests/lib/tap.h"
#include "vm-images/image.h"

#define DOOR_PORT 7100

extern char **environ;

static char *image_dir, *client_program;
static const char *program;

struct fixture {
    struct provider provider;
    struct cluster cluster;
    struct remote remotes[NODE_COUNT_MAX];
    char dir[RUNTIME_DIR_SIZE];
    struct error err;
};

static struct fixture f;

static struct cluster_spec
spec(unsigned node_count)
{
    static const uint16_t doors[] = {DOOR_PORT};

    return (struct cluster_spec){.node_count = node_count,
                                 .run_id = "e2e-provider",
                                 .runtime_dir = f.dir,
                                 .image_dir = image_dir,
                                 .memory_mib = 256,
                                 .vcpus = 1,
                                 .data_disk_mib = 128,
                                 .door_ports = doors,
                                 .door_count = 1,
                                 .client_host_count = 2,
                                 .client_program = client_program};
}

static int
create(unsigned node_count)
{
    struct cluster_spec s = spec(node_count);

    memset(&f, 0, sizeof(f));
    if (runtime_dir_create("e2e-provider", f.dir, &f.err) < 0 ||
        provider_open(&f.provider, &provider_libvirt_ops, clock_monotonic(),
                      NULL, &f.err) < 0)
        return -1;
    s.runtime_dir = f.dir;
    if (provider_create(&f.provider, &s, &f.cluster, &f.err) < 0)
        return -1;
    for (unsigned i = 0; i < node_count; i++)
        remote_init(&f.remotes[i], f.provider.ops->remote,
                    &f.cluster.nodes[i].ssh, clock_monotonic());
    return 0;
}

static void
setup(unsigned node_count)
{
    int64_t start = clock_now_ns(clock_monotonic());

    CHECK_OK(create(node_count), &f.err);
    printf("# %u node(s): SSH on all after %.1f s\n", node_count,
           (double)(clock_now_ns(clock_monotonic()) - start) / NS_PER_S);
}

static void
teardown(void)
{
    for (unsigned i = 0; i < f.cluster.node_count; i++)
        remote_close(&f.remotes[i]);
    CHECK_OK(provider_destroy(&f.provider, &f.err), &f.err);
    CHECK_OK(provider_destroy(&f.provider, &f.err), &f.err); /* idempotent */
    CHECK(!path_exists(f.dir));
    CHECK_INT(orphans_count(ORPHANS_QEMU, f.dir), 0);
    CHECK_INT(orphans_count(ORPHANS_NBDKIT, f.dir), 0);
    provider_close(&f.provider);
}

/* The standard output of a shell script on a node; "" unless it exits 0. */
static const char *
shell(unsigned node, const char *script)
{
    static char text[4096];
    const char *argv[] = {"sh", "-c", script, NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    text[0] = '\0';
    if (remote_exec(&f.remotes[node], argv, NULL, &result, &f.err) < 0)
        printf("# %s\n", f.err.text);
    else if (result.status != 0)
        printf("# '%s' exited with %d: %s\n", script, result.status,
               buf_text(&result.err));
    else
        snprintf(text, sizeof(text), "%s", buf_text(&result.out));
    return text;
}

static void
test_one_node(void)
{
    setup(1);
    CHECK_STR(shell(0, "hostname"), "n1\n");
    CHECK(strstr(shell(0, "cat /proc/mounts"), " /data ext4 ") != NULL);
    CHECK(path_exists(f.cluster.nodes[0].console_path));
    teardown();
}

/* Talks to a door of a node as a client does: connect, read to the end. */
static bool
door_says(unsigned node, const char *expected)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port =
                                htons(f.cluster.nodes[node].doors[0].host_port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 5};
    char text[64] = "";
    size_t len = 0;
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        while (len < sizeof(text) - 1 &&
               (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
            len += (size_t)n;
    close(fd);
    return strcmp(text, expected) == 0;
}

static void
check_wire(void)
{
    CHECK(strstr(shell(0, "ping -c 3 -w 10 10.77.0.12"), " 0% packet loss") !=
          NULL);
    CHECK(strstr(shell(2, "ping -c 3 -w 10 10.77.0.12"), " 0% packet loss") !=
          NULL);
    CHECK(strstr(shell(1, "ip neigh show dev cluster"), "PERMANENT") != NULL);
}

static void
check_door(void)
{
    const char *serve = "echo hello | nc -l -p 7100 >/dev/null 2>&1 &";

    CHECK(shell(1, serve) != NULL);
    CHECK(shell(1, "sleep 1; echo ready")[0] == 'r');
    CHECK(door_says(1, "hello\n"));
}

/* A connect from a host of clients: 0, or errno; -1 for silence. */
static int
client_connects(unsigned host, unsigned node)
{
    struct client_hosts *clients = f.cluster.clients;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(DOOR_PORT)};
    int fd =
        clients->socket(clients, host, SOCK_STREAM | SOCK_NONBLOCK, &f.err);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int code = -1;
    socklen_t len = sizeof(code);

    CHECK_OK(fd, &f.err);
    inet_pton(AF_INET, f.cluster.nodes[node].cluster_address, &to.sin_addr);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        code = 0;
    else if (errno != EINPROGRESS)
        code = errno;
    else if (poll(&wait, 1, 3000) == 1)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len);
    close(fd);
    return code;
}

/* Truthful: refused, silent, accepted; a door would accept each time. */
static void
check_clients(void)
{
    const char *serve = "nc -l -p 7100 >/dev/null 2>&1 </dev/null &";
    struct link_rule drop = {.drop = true};
    struct link_set links = {{0}};
    unsigned rule;

    if (f.cluster.clients == NULL) {
        printf("# no hosts of clients: %s\n", f.cluster.no_clients);
        return;
    }
    CHECK_INT(f.cluster.clients->count, 2);
    CHECK_INT(client_connects(0, 2), ECONNREFUSED);
    CHECK(shell(2, serve) != NULL);
    CHECK(shell(2, "sleep 1; echo ready")[0] == 'r');
    link_set_add(&links, 2, f.cluster.node_count + 1);
    CHECK_OK(switch_rule_add(provider_fabric(&f.provider), &links, &drop, &rule,
                             &f.err),
             &f.err);
    CHECK_INT(client_connects(1, 2), -1);
    CHECK_INT(client_connects(0, 2), 0);
    CHECK(switch_rule_remove(provider_fabric(&f.provider), rule, SWITCH_PURGE));
    CHECK(strstr(shell(2, "ip neigh show dev cluster 10.77.0.102"),
                 "PERMANENT") != NULL);
}

static void
check_power(void)
{
    int64_t start, deadline;

    CHECK_STR(shell(1, "echo kept > /data/kept; sync; echo ok"), "ok\n");
    CHECK_OK(provider_power_off(&f.provider, 1, &f.err), &f.err);
    CHECK_OK(provider_power_off(&f.provider, 1, &f.err), &f.err);
    CHECK(remote_open(&f.remotes[1], clock_now_ns(clock_monotonic()) + NS_PER_S,
                      &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_TRANSIENT);
    start = clock_now_ns(clock_monotonic());
    deadline = start + 60 * NS_PER_S;
    CHECK_OK(provider_power_on(&f.provider, 1, &f.err), &f.err);
    CHECK_OK(remote_open(&f.remotes[1], deadline, &f.err), &f.err);
    printf("# power on to SSH: %.1f s\n",
           (double)(clock_now_ns(clock_monotonic()) - start) / NS_PER_S);
    CHECK_STR(shell(1, "cat /data/kept"), "kept\n");
}

/*
 * The guest is reset under a kept session, which QEMU's user network does not
 * notice: the next call must find out, and get through.
 */
static void
check_reset(void)
{
    const char *reset[] = {"sh", "-c", "echo b > /proc/sysrq-trigger", NULL};
    const char *boot_id[] = {"cat", "/proc/sys/kernel/random/boot_id", NULL};
    struct exec_options short_time = {.timeout_ns = 2 * NS_PER_S};
    struct exec_options long_time = {.timeout_ns = 60 * NS_PER_S};
    CLEANUP(exec_result_release) struct exec_result before, after;
    int64_t start;

    exec_result_init(&before);
    exec_result_init(&after);
    CHECK_OK(remote_exec(&f.remotes[0], boot_id, NULL, &before, &f.err),
             &f.err);
    CHECK(remote_exec(&f.remotes[0], reset, &short_time, &after, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_TRANSIENT);
    start = clock_now_ns(clock_monotonic());
    CHECK_OK(remote_exec(&f.remotes[0], boot_id, &long_time, &after, &f.err),
             &f.err);
    printf("# reset to the next answer: %.1f s\n",
           (double)(clock_now_ns(clock_monotonic()) - start) / NS_PER_S);
    CHECK(strcmp(buf_text(&before.out), buf_text(&after.out)) != 0);
}

static void
test_three_nodes(void)
{
    setup(3);
    CHECK_STR(shell(0, "hostname"), "n1\n");
    CHECK_STR(shell(1, "hostname"), "n2\n");
    CHECK_STR(shell(2, "hostname"), "n3\n");
    check_wire();
    check_door();
    check_clients();
    check_power();
    check_reset();
    check_wire();
    teardown();
}

/* 400 KiB past the page cache, over zeros that are stable: all of it is lost.
 */
static void
write_and_do_not_flush(void)
{
    CHECK_STR(shell(0, "echo kept > /data/kept\n"
                       "dd if=/dev/zero of=/data/lost bs=4096 count=100\n"
                       "sync\n"
                       "tr '\\0' x < /dev/zero | dd iflag=fullblock bs=4096 "
                       "count=100 of=/data/lost conv=notrunc oflag=direct\n"
                       "tr -d '\\0' < /data/lost | wc -c"),
              "409600\n");
}

/*
 * The order that docs/PLATTER.md gives: the disk first, then QEMU, and nothing
 * that was flushed is missing.
 */
static void
test_power_cut(void)
{
    struct platter disk = {0};
    struct cut_spec how = {.policy = CUT_DROP, .unit_bytes = 512};
    struct cut_result cut;
    int64_t deadline = clock_now_ns(clock_monotonic()) + 240 * NS_PER_S;

    setup(1);
    disk.control_path = xasprintf("%s/n1-data.ctl", f.dir);
    write_and_do_not_flush();
    CHECK_OK(platter_cut(&disk, &how, deadline, &cut, &f.err), &f.err);
    printf("# the cut lost %d of %d sectors at risk\n", (int)cut.lost_sectors,
           (int)cut.unflushed_sectors);
    CHECK(cut.lost_sectors >= 800);
    CHECK_INT(orphans_end(ORPHANS_QEMU, f.dir, deadline, &f.err), 1);
    CHECK_OK(provider_power_off(&f.provider, 0, &f.err), &f.err);
    CHECK_OK(platter_power_on(&disk, deadline, &f.err), &f.err);
    CHECK_OK(provider_power_on(&f.provider, 0, &f.err), &f.err);
    CHECK_OK(remote_open(&f.remotes[0], deadline, &f.err), &f.err);
    CHECK_STR(shell(0, "cat /data/kept"), "kept\n");
    CHECK_STR(shell(0, "tr -d '\\0' < /data/lost | wc -c"), "0\n");
    free(disk.control_path);
    teardown();
}

static void
test_a_missing_image_leaves_nothing(void)
{
    struct cluster_spec s;

    memset(&f, 0, sizeof(f));
    CHECK_OK(runtime_dir_create("e2e-provider", f.dir, &f.err), &f.err);
    CHECK_OK(provider_open(&f.provider, &provider_libvirt_ops,
                           clock_monotonic(), NULL, &f.err),
             &f.err);
    s = spec(1);
    s.image_dir = "/nonexistent";
    CHECK(provider_create(&f.provider, &s, &f.cluster, &f.err) < 0);
    CHECK_INT(f.err.kind, ERROR_CONFIG);
    CHECK_OK(dir_remove(f.dir, &f.err), &f.err);
    provider_close(&f.provider);
}

/* An initrd that is none: the guest never answers, the error shows why. */
static void
test_a_guest_that_dies_is_reported(void)
{
    CLEANUP_FREE char *dir = xasprintf("/tmp/ordeal-e2e-%d", (int)getpid());
    CLEANUP_FREE char *initrd = xasprintf("%s/initrd", dir);
    CLEANUP_FREE char *kernel = xasprintf("%s/vmlinuz", dir);
    CLEANUP_FREE char *root = xasprintf("%s/root.img", dir);
    char zeros[4096] = {0};
    struct cluster_spec s;

    memset(&f, 0, sizeof(f));
    CHECK_OK(dir_make(dir, 0700, &f.err), &f.err);
    CHECK_OK(file_write_atomic(initrd, zeros, 4096, 0600, &f.err), &f.err);
    CHECK_OK(file_write_atomic(kernel, zeros, 4096, 0600, &f.err), &f.err);
    CHECK_OK(file_write_atomic(root, zeros, 4096, 0600, &f.err), &f.err);
    CHECK_OK(runtime_dir_create("e2e-provider", f.dir, &f.err), &f.err);
    CHECK_OK(provider_open(&f.provider, &provider_libvirt_ops,
                           clock_monotonic(), NULL, &f.err),
             &f.err);
    s = spec(2);
    s.image_dir = dir;
    CHECK(provider_create(&f.provider, &s, &f.cluster, &f.err) < 0);
    printf("# %s\n", f.err.text);
    CHECK_INT(f.err.kind, ERROR_ENVIRONMENT);
    CHECK(!path_exists(f.dir));
    CHECK_INT(orphans_count(ORPHANS_QEMU, f.dir), 0);
    CHECK_INT(orphans_count(ORPHANS_NBDKIT, f.dir), 0);
    provider_close(&f.provider);
    CHECK_OK(dir_remove(dir, &f.err), &f.err);
}

/* Another process makes a cluster, says where, and is killed. */
static pid_t
start_driver(char dir[static RUNTIME_DIR_SIZE])
{
    char *argv[] = {(char *)program, (char *)"--hold", NULL};
    posix_spawn_file_actions_t actions;
    int fds[2];
    pid_t pid;
    FILE *out;

    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    CHECK(posix_spawn(&pid, program, &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    out = fdopen(fds[0], "r");
    if (fgets(dir, RUNTIME_DIR_SIZE, out) == NULL)
        dir[0] = '\0';
    dir[strcspn(dir, "\n")] = '\0';
    fclose(out);
    return pid;
}

static void
test_recover_after_sigkill(void)
{
    char dir[RUNTIME_DIR_SIZE];
    pid_t pid = start_driver(dir);
    struct cluster_file file = {0};
    struct error err = {0};

    CHECK(dir[0] == '/');
    CHECK_OK(cluster_load(dir, &file, &err), &err);
    CHECK_INT(file.cluster.node_count, 2);
    CHECK_INT(orphans_count(ORPHANS_QEMU, dir), 2);
    CHECK(provider_recover(dir, &err) < 0); /* its driver lives */
    CHECK_INT(err.kind, ERROR_CONFIG);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    CHECK_INT(orphans_count(ORPHANS_QEMU, dir), 2);
    CHECK_OK(provider_recover(dir, &err), &err);
    CHECK_INT(orphans_count(ORPHANS_QEMU, dir), 0);
    CHECK_INT(orphans_count(ORPHANS_NBDKIT, dir), 0);
    CHECK(!path_exists(dir));
    CHECK(!path_exists(file.root));
    CHECK_OK(provider_recover(dir, &err), &err); /* nothing there */
    CHECK_OK(provider_recover(file.root, &err), &err);
    cluster_release(&file.cluster);
}

/* What recover_all() has removed. */
static struct {
    char dirs[RUNTIME_DIR_COUNT_MAX][RUNTIME_DIR_SIZE];
    size_t count;
} recovered;

/* What 'ordeal recover' does: every directory whose owner is dead. */
static size_t
recover_all(void)
{
    char dirs[RUNTIME_DIR_COUNT_MAX][RUNTIME_DIR_SIZE];
    size_t count = runtime_dir_list(dirs, RUNTIME_DIR_COUNT_MAX), done = 0;
    struct error err = {0};
    int pid;

    for (size_t i = 0; i < count; i++) {
        if (runtime_dir_owner(dirs[i], &pid))
            continue;
        CHECK_OK(provider_recover(dirs[i], &err), &err);
        CHECK_INT(orphans_count(ORPHANS_QEMU, dirs[i]), 0);
        CHECK_INT(orphans_count(ORPHANS_NBDKIT, dirs[i]), 0);
        CHECK(!path_exists(dirs[i]));
        if (recovered.count < RUNTIME_DIR_COUNT_MAX)
            memcpy(recovered.dirs[recovered.count++], dirs[i], sizeof(dirs[i]));
        done++;
    }
    return done;
}

static void
test_killed_at_any_moment(void)
{
    static const int delays_ms[] = {60, 200, 350, 500, 700, 1000, 1500, 2500};
    struct clock *clock = clock_monotonic();

    recover_all();
    for (size_t i = 0; i < ARRAY_LEN(delays_ms); i++) {
        char *argv[] = {(char *)program, (char *)"--hold", NULL};
        pid_t pid;

        CHECK(posix_spawn(&pid, program, NULL, NULL, argv, environ) == 0);
        clock_sleep_ns(clock, delays_ms[i] * NS_PER_MS);
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, NULL, 0) == pid);
        printf("# killed after %d ms: %zu directories\n", delays_ms[i],
               recover_all());
        CHECK_INT(recover_all(), 0);
    }
    clock_sleep_ns(clock, NS_PER_S); /* a late QEMU would show now */
    CHECK(recovered.count > 0);
    for (size_t i = 0; i < recovered.count; i++) {
        CHECK_INT(orphans_count(ORPHANS_QEMU, recovered.dirs[i]), 0);
        CHECK_INT(orphans_count(ORPHANS_NBDKIT, recovered.dirs[i]), 0);
        CHECK(!path_exists(recovered.dirs[i]));
    }
}

static int
hold_main(void)
{
    if (create(2) < 0) {
        fprintf(stderr, "# %s\n", f.err.text);
        return 1;
    }
    printf("%s\n", f.dir);
    fflush(stdout);
    for (;;)
        pause();
}

static void
test_nothing_is_left(void)
{
    char dirs[RUNTIME_DIR_COUNT_MAX][RUNTIME_DIR_SIZE];
    size_t count = runtime_dir_list(dirs, RUNTIME_DIR_COUNT_MAX);
    int pid, ours = 0;

    for (size_t i = 0; i < count; i++)
        ours += !runtime_dir_owner(dirs[i], &pid) || pid == getpid();
    CHECK_INT(ours, 0);
}

static int
tests_main(void *arg)
{
    RUN(test_a_missing_image_leaves_nothing);
    RUN(test_a_guest_that_dies_is_reported);
    RUN(test_one_node);
    RUN(test_power_cut);
    RUN(test_three_nodes);
    RUN(test_recover_after_sigkill);
    RUN(test_killed_at_any_moment);
    RUN(test_nothing_is_left);
    return tap_done();
}

int
main(int argc, char **argv)
{
    const char *given = getenv("ORDEAL_TEST_IMAGE");
    const char *build = getenv("ORDEAL_BUILDDIR");
    struct error err = {0};

    signal(SIGPIPE, SIG_IGN);
    program = "/proc/self/exe";
    client_program =
        xasprintf("%s/" NAMESPACE_PROGRAM, build == NULL ? "." : build);
    if (given != NULL) {
        image_dir = xstrdup(given);
    } else if (image_path(&image_dir, &err) < 0) {
        printf("1..0 # SKIP no guest image: %s\n", err.text);
        return 0;
    }
    if (argc > 1)
        return hold_main();
    return supervise_main(tests_main, NULL);
}
