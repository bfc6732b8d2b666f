/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two namespace ports on a switch: kernel TCP on both ends, every fault in
 * between, seen by the sockets and by the counters of the links.
 */
#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "nemesis/fabric/namespace-port.h"
#include "nemesis/fabric/switch.h"
#include "tests/lib/tap.h"

#define NODE 0u
#define CLIENT 1u
#define PORTS 2u
#define LISTEN_PORT 7000
#define CLOSED_PORT 7001
#define OTHER_PORT 7002
#define BULK_BYTES (8u << 20)

struct fixture {
    struct namespace_port *ns[PORTS];
    struct fabric_switch *sw;
    int listener, other_listener;
    struct error err;
};

static struct fixture f;
static char program[4096];

static struct in_addr
address(unsigned last)
{
    return (struct in_addr){.s_addr = htonl(0x0a4d0000u + last)};
}

/* 10.77.0.11 is the node, .101 and .102 the client. */
static struct namespace_port_config
ns_config(unsigned port)
{
    struct namespace_port_config c = {
        .program = program,
        .mac = {0x52, 0x54, 0, 0x77, 0, (uint8_t)(port + 1)},
        .prefix_bits = 24,
        .mtu = 1500};

    if (port == NODE) {
        c.addresses[c.address_count++] = address(11);
    } else {
        c.addresses[c.address_count++] = address(101);
        c.addresses[c.address_count++] = address(102);
    }
    for (unsigned i = 0; i < 3; i++) {
        static const unsigned last[] = {11, 101, 102};
        struct namespace_neighbour n = {
            .address = address(last[i]),
            .mac = {0x52, 0x54, 0, 0x77, 0, i == 0 ? 1 : 2}};

        if ((i == 0) != (port == NODE))
            c.neighbours[c.neighbour_count++] = n;
    }
    return c;
}

static int
ns_socket(unsigned port, int type, unsigned last, uint16_t number)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(number),
                            .sin_addr = address(last)};
    int fd = namespace_port_socket(f.ns[port], type, &f.err), one = 1;

    CHECK_OK(fd, &f.err);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    return fd;
}

static void
setup(void)
{
    struct switch_port_config config[PORTS] = {0};

    memset(&f, 0, sizeof(f));
    for (unsigned i = 0; i < PORTS; i++) {
        struct namespace_port_config ns = ns_config(i);

        f.ns[i] = namespace_port_new(&ns, &f.err);
        if (f.ns[i] == NULL)
            printf("# %s\n", f.err.text);
        CHECK(f.ns[i] != NULL);
        memcpy(config[i].mac, ns.mac, sizeof(ns.mac));
        config[i].kind = SWITCH_PORT_PACKET;
        config[i].fd = namespace_port_fd(f.ns[i]);
    }
    f.sw = switch_new(config, PORTS, &f.err);
    CHECK(f.sw != NULL);
    CHECK_OK(switch_start(f.sw, &f.err), &f.err);
    f.listener = ns_socket(NODE, SOCK_STREAM, 11, LISTEN_PORT);
    f.other_listener = ns_socket(NODE, SOCK_STREAM, 11, OTHER_PORT);
    CHECK(listen(f.listener, 16) == 0 && listen(f.other_listener, 16) == 0);
}

static void
teardown(void)
{
    close(f.listener);
    close(f.other_listener);
    switch_free(f.sw);
    for (unsigned i = 0; i < PORTS; i++)
        namespace_port_free(f.ns[i]);
}

/* 0, ETIMEDOUT after wait_ms, or the connection's errno; *ret_fd to close. */
static int
dial(uint16_t number, int wait_ms, int *ret_fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(number),
                            .sin_addr = address(11)};
    struct pollfd pfd = {.events = POLLOUT};
    int code = 0;
    socklen_t len = sizeof(code);

    pfd.fd = *ret_fd = namespace_port_socket(
        f.ns[CLIENT], SOCK_STREAM | SOCK_NONBLOCK, &f.err);
    CHECK_OK(*ret_fd, &f.err);
    if (connect(*ret_fd, (struct sockaddr *)&a, sizeof(a)) < 0 &&
        errno != EINPROGRESS)
        return errno;
    if (poll(&pfd, 1, wait_ms) == 0)
        return ETIMEDOUT;
    getsockopt(*ret_fd, SOL_SOCKET, SO_ERROR, &code, &len);
    return code;
}

/* A new connection carries a byte there and back. */
static void
check_open(uint16_t number)
{
    int fd, peer;
    char byte = 'x';

    CHECK_INT(dial(number, 5000, &fd), 0);
    fcntl(fd, F_SETFL, 0);
    peer = accept(number == LISTEN_PORT ? f.listener : f.other_listener, NULL,
                  NULL);
    CHECK(peer >= 0);
    CHECK(send(fd, &byte, 1, 0) == 1 && recv(peer, &byte, 1, 0) == 1);
    CHECK(send(peer, &byte, 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1);
    close(fd);
    close(peer);
}

static unsigned
put(unsigned from, unsigned to, struct link_rule rule)
{
    struct link_set links = {{0}};
    unsigned id = 0;

    link_set_add(&links, from, to);
    CHECK_OK(switch_rule_add(f.sw, &links, &rule, &id, &f.err), &f.err);
    return id;
}

static struct link_rule_stats
rule_stats(unsigned id, unsigned from, unsigned to)
{
    struct link_rule_stats r = {0};

    CHECK(switch_rule_stats(f.sw, id, from, to, &r));
    return r;
}

static void
test_connects_say_the_truth(void)
{
    int fd;

    setup();
    check_open(LISTEN_PORT);
    CHECK_INT(dial(CLOSED_PORT, 5000, &fd), ECONNREFUSED);
    close(fd);
    teardown();
}

static void
test_each_client_address_is_its_own(void)
{
    static const unsigned last[] = {101, 102};

    setup();
    for (unsigned i = 0; i < 2; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons(LISTEN_PORT),
                                 .sin_addr = address(11)};
        struct sockaddr_in seen = {0};
        socklen_t len = sizeof(seen);
        int fd = ns_socket(CLIENT, SOCK_STREAM, last[i], 0), peer;

        CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
        peer = accept(f.listener, (struct sockaddr *)&seen, &len);
        CHECK_INT(ntohl(seen.sin_addr.s_addr) & 255, last[i]);
        close(fd);
        close(peer);
    }
    teardown();
}

static void *
write_bulk(void *arg)
{
    int fd = *(int *)arg;
    CLEANUP_FREE uint8_t *bytes = xcalloc(1, BULK_BYTES);

    for (unsigned i = 0; i < BULK_BYTES; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t at = 0; at < BULK_BYTES;) {
        ssize_t n = send(fd, bytes + at, BULK_BYTES - at, MSG_NOSIGNAL);

        if (n <= 0)
            break;
        at += (size_t)n;
    }
    shutdown(fd, SHUT_WR);
    return NULL;
}

/* Whole frames with whole checksums: nothing larger, nothing resent. */
static void
test_bulk_arrives_as_it_was(void)
{
    struct switch_link_stats l;
    uint8_t bytes[65536];
    unsigned at = 0;
    pthread_t thread;
    int fd, peer;
    ssize_t n;

    setup();
    CHECK_INT(dial(LISTEN_PORT, 5000, &fd), 0);
    fcntl(fd, F_SETFL, 0);
    peer = accept(f.listener, NULL, NULL);
    CHECK(pthread_create(&thread, NULL, write_bulk, &fd) == 0);
    while ((n = recv(peer, bytes, sizeof(bytes), 0)) > 0)
        for (ssize_t i = 0; i < n; i++, at++)
            CHECK_INT(bytes[i], (uint8_t)(at * 2654435761u >> 24));
    pthread_join(thread, NULL);
    CHECK_INT(at, BULK_BYTES);
    switch_link_stats(f.sw, CLIENT, NODE, &l);
    CHECK(l.seen_bytes / l.seen <= 1514);
    CHECK_INT(l.unsent, 0);
    close(fd);
    close(peer);
    teardown();
}

static void
test_a_partition_times_out_and_fresh_traffic_heals(void)
{
    struct link_set both = {{0}};
    struct link_rule rule = {.drop = true};
    unsigned id = 0;
    int fd;

    setup();
    check_open(LISTEN_PORT);
    link_set_add_both(&both, NODE, CLIENT);
    CHECK_OK(switch_rule_add(f.sw, &both, &rule, &id, &f.err), &f.err);
    CHECK_INT(dial(LISTEN_PORT, 400, &fd), ETIMEDOUT);
    close(fd);
    CHECK_INT(dial(CLOSED_PORT, 400, &fd), ETIMEDOUT); /* nobody can say */
    close(fd);
    CHECK(rule_stats(id, CLIENT, NODE).dropped >= 2);
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    check_open(LISTEN_PORT);
    teardown();
}

/* An abandoned connect never happened: nothing of it arrives after the heal. */
static void
test_what_was_given_up_does_not_arrive(void)
{
    struct pollfd pfd;
    unsigned id;
    int fd;

    setup();
    id = put(CLIENT, NODE, (struct link_rule){.drop = true});
    CHECK_INT(dial(LISTEN_PORT, 200, &fd), ETIMEDOUT);
    close(fd);
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    pfd = (struct pollfd){.fd = f.listener, .events = POLLIN};
    CHECK_INT(poll(&pfd, 1, 1500), 0); /* SYNs are repeated after 1 s */
    check_open(LISTEN_PORT);
    teardown();
}

static bool
datagram_passes(int from, int to, unsigned to_last, uint16_t to_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(to_port),
                            .sin_addr = address(to_last)};
    struct pollfd pfd = {.fd = to, .events = POLLIN};
    char text[8];

    CHECK(sendto(from, "payload", 7, 0, (struct sockaddr *)&a, sizeof(a)) == 7);
    if (poll(&pfd, 1, 200) == 0)
        return false;
    CHECK(recv(to, text, sizeof(text), 0) == 7);
    return memcmp(text, "payload", 7) == 0;
}

static void
test_one_way_is_one_way(void)
{
    int node, client;
    unsigned id;

    setup();
    node = ns_socket(NODE, SOCK_DGRAM, 11, 5000);
    client = ns_socket(CLIENT, SOCK_DGRAM, 102, 5001);
    id = put(NODE, CLIENT, (struct link_rule){.drop = true});
    CHECK(datagram_passes(client, node, 11, 5000));
    CHECK(!datagram_passes(node, client, 102, 5001));
    CHECK_INT(rule_stats(id, NODE, CLIENT).dropped, 1);
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    CHECK(datagram_passes(client, node, 11, 5000));
    CHECK(datagram_passes(node, client, 102, 5001));
    close(node);
    close(client);
    teardown();
}

static void
test_one_tcp_port_is_cut(void)
{
    unsigned id;
    int fd;

    setup();
    id = put(NODE, CLIENT,
             (struct link_rule){
                 .match = LINK_MATCH_TCP, .port = LISTEN_PORT, .drop = true});
    CHECK_INT(dial(LISTEN_PORT, 400, &fd), ETIMEDOUT);
    close(fd);
    check_open(OTHER_PORT);
    CHECK(rule_stats(id, NODE, CLIENT).dropped > 0);
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    check_open(LISTEN_PORT);
    teardown();
}

static void
test_delay_is_felt_by_a_connect(void)
{
    struct clock *clock = clock_monotonic();
    int64_t start, took;
    unsigned id;
    int fd;

    setup();
    id = put(CLIENT, NODE, (struct link_rule){.delay_ns = 60 * NS_PER_MS});
    start = clock_now_ns(clock);
    CHECK_INT(dial(LISTEN_PORT, 5000, &fd), 0);
    took = clock_now_ns(clock) - start;
    close(fd);
    CHECK(took >= 60 * NS_PER_MS);
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    close(accept(f.listener, NULL, NULL));
    check_open(LISTEN_PORT);
    teardown();
}

/* The kernel drops what its checksum shows; what it cannot see arrives. */
static void
test_corruption_is_loss_or_reaches_the_application(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(5000),
                            .sin_addr = address(11)};
    struct pollfd pfd = {.events = POLLIN};
    char text[8] = "";
    int node, client;
    unsigned id;

    setup();
    pfd.fd = node = ns_socket(NODE, SOCK_DGRAM, 11, 5000);
    client = ns_socket(CLIENT, SOCK_DGRAM, 101, 5001);
    id = put(CLIENT, NODE, (struct link_rule){.corrupt = 1});
    CHECK(!datagram_passes(client, node, 11, 5000));
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    id = put(CLIENT, NODE,
             (struct link_rule){.corrupt = 1, .fix_checksums = true});
    CHECK(sendto(client, "payload", 7, 0, (struct sockaddr *)&a, sizeof(a)) ==
          7);
    CHECK_INT(poll(&pfd, 1, 5000), 1);
    CHECK(recv(node, text, sizeof(text), 0) == 7);
    CHECK(memcmp(text, "payload", 7) != 0);
    CHECK_INT(rule_stats(id, CLIENT, NODE).corrupted, 1);
    CHECK(switch_rule_remove(f.sw, id, SWITCH_PURGE));
    CHECK(datagram_passes(client, node, 11, 5000));
    close(node);
    close(client);
    teardown();
}

/* ---- the helper's end ---- */

/* Whether any process is in that network namespace. */
static bool
namespace_in_use(ino_t inode)
{
    DIR *dir = opendir("/proc");
    struct dirent *e;
    bool found = false;

    CHECK(dir != NULL);
    while ((e = readdir(dir)) != NULL) {
        char path[300];
        struct stat st;

        snprintf(path, sizeof(path), "/proc/%s/ns/net", e->d_name);
        found |= stat(path, &st) == 0 && st.st_ino == inode;
    }
    closedir(dir);
    return found;
}

static ino_t
namespace_of(pid_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void
test_free_leaves_no_process(void)
{
    struct namespace_port_config config = ns_config(NODE);
    struct namespace_port *p = namespace_port_new(&config, &f.err);
    ino_t ns;
    pid_t pid;

    CHECK(p != NULL);
    pid = namespace_port_pid(p);
    ns = namespace_of(pid);
    CHECK(ns != 0 && ns != namespace_of(getpid()));
    namespace_port_free(p);
    CHECK(kill(pid, 0) < 0 && errno == ESRCH);
    CHECK(!namespace_in_use(ns));
}

struct owner_report {
    pid_t pid;
    ino_t ns;
};

/* In a child: makes ports and waits to be killed. */
_Noreturn static void
own_ports(int report_fd)
{
    for (unsigned i = 0; i < PORTS; i++) {
        struct namespace_port_config config = ns_config(i);
        struct error err;
        struct namespace_port *p = namespace_port_new(&config, &err);
        struct owner_report r = {0};

        if (p == NULL || namespace_port_socket(p, SOCK_STREAM, &err) < 0)
            _exit(1);
        r.pid = namespace_port_pid(p);
        r.ns = namespace_of(r.pid);
        if (write(report_fd, &r, sizeof(r)) != sizeof(r))
            _exit(1);
    }
    for (;;)
        pause();
}

static void
test_a_killed_owner_leaves_nothing(void)
{
    struct owner_report r[PORTS];
    int fds[2];
    pid_t owner;

    /* Where nobody reaps, helpers would stay as zombies: we do. */
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    owner = fork();
    CHECK(owner >= 0);
    if (owner == 0)
        own_ports(fds[1]);
    for (unsigned i = 0; i < PORTS; i++) {
        CHECK(read(fds[0], &r[i], sizeof(r[i])) == sizeof(r[i]));
        CHECK(namespace_in_use(r[i].ns));
    }
    CHECK(kill(owner, SIGKILL) == 0);
    CHECK(waitpid(owner, NULL, 0) == owner);
    for (unsigned i = 0; i < PORTS; i++) {
        CHECK(waitpid(r[i].pid, NULL, 0) == r[i].pid);
        CHECK(!namespace_in_use(r[i].ns));
    }
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
    close(fds[0]);
    close(fds[1]);
}

static void
test_a_dead_helper_is_reported(void)
{
    struct namespace_port_config config = ns_config(NODE);
    struct namespace_port *p = namespace_port_new(&config, &f.err);

    CHECK(p != NULL);
    CHECK(kill(namespace_port_pid(p), SIGKILL) == 0);
    for (int i = 0; i < 2; i++) {
        struct error err = {0};

        CHECK(namespace_port_socket(p, SOCK_STREAM, &err) < 0);
        CHECK_INT(err.kind, ERROR_ENVIRONMENT);
    }
    namespace_port_free(p);
}

/* In a child: unshare fails as it does where namespaces are forbidden. */
static int
forbid_unshare(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0
               ? -1
               : 0;
}

static void
test_where_namespaces_are_forbidden_it_says_so(void)
{
    struct namespace_port_config config = ns_config(NODE);
    struct error err = {0};
    int status, fds[2];
    pid_t child;

    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (forbid_unshare() < 0)
            _exit(2);
        if (namespace_port_new(&config, &err) != NULL)
            _exit(3);
        _exit(write(fds[1], &err, sizeof(err)) != sizeof(err));
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
    CHECK(read(fds[0], &err, sizeof(err)) == sizeof(err));
    printf("# %s\n", err.text);
    CHECK_INT(err.kind, ERROR_ENVIRONMENT);
    CHECK_INT(err.code, EPERM);
    CHECK(strstr(err.text, "unshare") != NULL);
    config.program = "/nonexistent/program";
    CHECK(namespace_port_new(&config, &err) == NULL);
    CHECK(strstr(err.text, "/nonexistent/program") != NULL);
    close(fds[0]);
    close(fds[1]);
}

int
main(void)
{
    const char *dir = getenv("ORDEAL_BUILDDIR");
    struct namespace_port_config config = ns_config(NODE);
    struct namespace_port *p;
    struct error err;

    snprintf(program, sizeof(program), "%s/" NAMESPACE_PROGRAM,
             dir == NULL ? "." : dir);
    RUN(test_where_namespaces_are_forbidden_it_says_so);
    p = namespace_port_new(&config, &err);
    if (p == NULL) {
        SKIP(test_fabric, err.text);
        return tap_done();
    }
    namespace_port_free(p);
    RUN(test_connects_say_the_truth);
    RUN(test_each_client_address_is_its_own);
    RUN(test_bulk_arrives_as_it_was);
    RUN(test_a_partition_times_out_and_fresh_traffic_heals);
    RUN(test_what_was_given_up_does_not_arrive);
    RUN(test_one_way_is_one_way);
    RUN(test_one_tcp_port_is_cut);
    RUN(test_delay_is_felt_by_a_connect);
    RUN(test_corruption_is_loss_or_reaches_the_application);
    RUN(test_free_leaves_no_process);
    RUN(test_a_killed_owner_leaves_nothing);
    RUN(test_a_dead_helper_is_reported);
    return tap_done();
}
