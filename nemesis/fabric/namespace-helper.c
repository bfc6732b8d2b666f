/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordeal-ns-port: the helper of a namespace port (namespace-port.h).  Started
 * by the driver only, with a socket as descriptor NAMESPACE_WIRE_FD.
 *
 * Happy path: take the setup, make the namespaces, the cable, the addresses and
 * the neighbours; hand over the packet socket; then make a socket for each
 * request until the other end is closed, and end.  The kernel removes the
 * namespace with what is in it.
 *
 * Failure modes: a step that fails is named in the reply, and the helper ends.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nemesis/fabric/namespace-wire.h"
#include "nemesis/fabric/netlink.h"

#define HELPER_CLIENT "cl0" /* the kernel's end of the cable */
#define HELPER_SWITCH "sw0" /* the switch's end */
#define HELPER_SOCKET_BYTES (4 << 20)
#define HELPER_CARRIER_WAIT_MS 5000 /* less than the driver waits for us */

static void
helper_reply(int code, const char *step, int fd)
{
    struct namespace_wire_reply reply = {.code = code};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = &reply, .iov_len = sizeof(reply)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    snprintf(reply.step, sizeof(reply.step), "%s", step);
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    /* When nobody is there any more, the next recv says so. */
    (void)!sendmsg(NAMESPACE_WIRE_FD, &m, MSG_NOSIGNAL);
}

_Noreturn static void
helper_fail(int code, const char *step)
{
    helper_reply(code, step, -1);
    _exit(1);
}

static void
helper_need(int code, const char *step)
{
    if (code != 0)
        helper_fail(code, step);
}

static int
helper_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), code = 0;

    if (fd < 0)
        return errno;
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        code = errno;
    close(fd);
    return code;
}

/* Root may do without a namespace of users, where those are forbidden. */
static void
helper_make_namespace(void)
{
    char map[64];
    unsigned uid = getuid(), gid = getgid();

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        int code = errno;

        if (unshare(CLONE_NEWNET) < 0)
            helper_fail(code, "a user and network namespace (unshare)");
        return;
    }
    helper_need(helper_write("/proc/self/setgroups", "deny"),
                "the namespace's groups (setgroups)");
    snprintf(map, sizeof(map), "0 %u 1", uid);
    helper_need(helper_write("/proc/self/uid_map", map),
                "the namespace's user (uid_map)");
    snprintf(map, sizeof(map), "0 %u 1", gid);
    helper_need(helper_write("/proc/self/gid_map", map),
                "the namespace's group (gid_map)");
}

/*
 * A cable within one kernel does without checksums and cuts large segments
 * late; ours leaves the kernel, so that each frame must be whole.
 */
static void
helper_no_offloads(const char *name)
{
    static const uint32_t commands[] = {
        ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        helper_fail(errno, "a socket");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct ethtool_value v = {.cmd = commands[i], .data = 0};
        struct ifreq r = {.ifr_data = (void *)&v};

        snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
        if (ioctl(fd, SIOCETHTOOL, &r) < 0)
            helper_fail(errno, "switching offloads off (SIOCETHTOOL)");
    }
    close(fd);
}

/*
 * The kernel notices a carrier by and by, and until then drops what is sent
 * without a word: the first frame of a client would be lost.
 */
static void
helper_wait_up(unsigned index)
{
    for (int i = 0; i < HELPER_CARRIER_WAIT_MS; i++) {
        bool up = false;

        helper_need(netlink_is_up(index, &up), "the cable's state");
        if (up)
            return;
        poll(NULL, 0, 1);
    }
    helper_fail(ETIMEDOUT, "the cable's carrier");
}

static void
helper_make_cable(const struct namespace_wire_setup *s)
{
    unsigned client, other;

    /* Less noise on the wire; where there is no IPv6, there is none. */
    helper_write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    helper_write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    helper_need(netlink_veth(HELPER_CLIENT, s->mac, HELPER_SWITCH, s->mtu),
                "a veth pair");
    helper_no_offloads(HELPER_CLIENT);
    helper_no_offloads(HELPER_SWITCH);
    client = if_nametoindex(HELPER_CLIENT);
    other = if_nametoindex(HELPER_SWITCH);
    helper_need(netlink_set_flags(if_nametoindex("lo"), IFF_UP), "lo up");
    /* Without ARP there the kernel does not answer for itself. */
    helper_need(netlink_set_flags(other, IFF_UP | IFF_NOARP), "sw0 up");
    helper_need(netlink_set_flags(client, IFF_UP), "cl0 up");
    helper_wait_up(client);
    helper_wait_up(other);
    for (unsigned i = 0; i < s->address_count; i++)
        helper_need(netlink_address(client, s->addresses[i], s->prefix_bits),
                    "an address");
    for (unsigned i = 0; i < s->neighbour_count; i++)
        helper_need(netlink_neighbour(client, s->neighbours[i].address,
                                      s->neighbours[i].mac),
                    "a permanent neighbour");
}

static int
helper_packet_socket(void)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET,
                            .sll_protocol = htons(ETH_P_ALL),
                            .sll_ifindex = (int)if_nametoindex(HELPER_SWITCH)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1, size = HELPER_SOCKET_BYTES;

    if (fd < 0)
        helper_fail(errno, "a packet socket");
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) <
        0)
        helper_fail(errno, "PACKET_IGNORE_OUTGOING");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        helper_fail(errno, "binding the packet socket");
    return fd;
}

static void
helper_serve(void)
{
    for (;;) {
        struct namespace_wire_request r;
        ssize_t n = recv(NAMESPACE_WIRE_FD, &r, sizeof(r), 0);
        int fd;

        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof(r))
            return; /* the driver is gone */
        fd = socket(AF_INET, r.type | SOCK_CLOEXEC, 0);
        helper_reply(fd < 0 ? errno : 0, "a socket in the namespace", fd);
        if (fd >= 0)
            close(fd);
    }
}

int
main(void)
{
    struct namespace_wire_setup s;
    int packet;

    /* What the driver's libraries left open would live as long as we do. */
    close_range(NAMESPACE_WIRE_FD + 1, ~0U, 0);
    if (recv(NAMESPACE_WIRE_FD, &s, sizeof(s), 0) != (ssize_t)sizeof(s))
        return 2; /* not started by the driver */
    if (s.version != NAMESPACE_WIRE_VERSION ||
        s.address_count > NAMESPACE_ADDRESS_COUNT_MAX ||
        s.neighbour_count > NAMESPACE_NEIGHBOUR_COUNT_MAX)
        helper_fail(EPROTO, "the helper is of another build");
    helper_make_namespace();
    helper_make_cable(&s);
    packet = helper_packet_socket();
    helper_reply(0, "", packet);
    close(packet);
    helper_serve();
    return 0;
}
