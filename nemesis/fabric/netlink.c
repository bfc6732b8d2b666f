/* SPDX-License-Identifier: Apache-2.0 */
/* One request, one acknowledgement, on a socket of its own each time. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nemesis/fabric/netlink.h"

#define NETLINK_REQUEST_MAX 512 /* a veth pair takes 140 */

struct netlink_request {
    union {
        struct nlmsghdr header;
        char bytes[NETLINK_REQUEST_MAX];
    };
};

/* Adds 'len' bytes; returns where they are. */
static void *
netlink_add(struct netlink_request *r, const void *data, size_t len)
{
    char *at = r->bytes + NLMSG_ALIGN(r->header.nlmsg_len);

    assert(NLMSG_ALIGN(r->header.nlmsg_len) + len <= NETLINK_REQUEST_MAX);
    memcpy(at, data, len);
    r->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->header.nlmsg_len) + len);
    return at;
}

static void
netlink_init(struct netlink_request *r, uint16_t type, uint16_t flags,
             const void *body, size_t len)
{
    memset(r, 0, sizeof(*r));
    r->header.nlmsg_len = NLMSG_HDRLEN;
    r->header.nlmsg_type = type;
    r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    netlink_add(r, body, len);
}

static void
netlink_attribute(struct netlink_request *r, uint16_t type, const void *data,
                  size_t len)
{
    struct rtattr a = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};

    netlink_add(r, &a, sizeof(a));
    netlink_add(r, data, len);
}

/* An attribute of attributes: those added until netlink_end(). */
static struct rtattr *
netlink_begin(struct netlink_request *r, uint16_t type)
{
    struct rtattr a = {.rta_len = RTA_LENGTH(0), .rta_type = type};

    return netlink_add(r, &a, sizeof(a));
}

static void
netlink_end(struct netlink_request *r, struct rtattr *a)
{
    a->rta_len = (uint16_t)(r->bytes + r->header.nlmsg_len - (char *)a);
}

static int
netlink_exchange(int fd, const struct netlink_request *r)
{
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } reply;
    const struct nlmsgerr *e = NLMSG_DATA(&reply.header);
    ssize_t n;

    if (send(fd, r, r->header.nlmsg_len, 0) < 0)
        return errno;
    n = recv(fd, &reply, sizeof(reply), 0);
    if (n < 0)
        return errno;
    if ((size_t)n < NLMSG_LENGTH(sizeof(*e)) ||
        reply.header.nlmsg_type != NLMSG_ERROR)
        return EPROTO;
    return -e->error;
}

/* The state in the answer to RTM_GETLINK; EPROTO: it is not in there. */
static int
netlink_parse_state(const struct nlmsghdr *h, size_t len, uint8_t *ret)
{
    size_t left;

    if (len < sizeof(*h) || h->nlmsg_len > len)
        return EPROTO;
    if (h->nlmsg_type == NLMSG_ERROR &&
        h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        return -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
    if (h->nlmsg_type != RTM_NEWLINK ||
        h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        return EPROTO;
    left = h->nlmsg_len - NLMSG_LENGTH(sizeof(struct ifinfomsg));
    for (const struct rtattr *a =
             IFLA_RTA((const struct ifinfomsg *)NLMSG_DATA(h));
         RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == IFLA_OPERSTATE && RTA_PAYLOAD(a) == 1) {
            *ret = *(const uint8_t *)RTA_DATA(a);
            return 0;
        }
    return EPROTO;
}

static int
netlink_do(const struct netlink_request *r)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), code;

    if (fd < 0)
        return errno;
    code = netlink_exchange(fd, r);
    close(fd);
    return code;
}

int
netlink_veth(const char *name, const uint8_t mac[FRAME_MAC_BYTES],
             const char *peer, unsigned mtu)
{
    struct ifinfomsg info = {0};
    struct netlink_request r;
    struct rtattr *link, *data, *other;
    uint32_t bytes = mtu;

    netlink_init(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info,
                 sizeof(info));
    netlink_attribute(&r, IFLA_IFNAME, name, strlen(name) + 1);
    netlink_attribute(&r, IFLA_ADDRESS, mac, FRAME_MAC_BYTES);
    netlink_attribute(&r, IFLA_MTU, &bytes, sizeof(bytes));
    link = netlink_begin(&r, IFLA_LINKINFO);
    netlink_attribute(&r, IFLA_INFO_KIND, "veth", 5);
    data = netlink_begin(&r, IFLA_INFO_DATA);
    other = netlink_begin(&r, VETH_INFO_PEER);
    netlink_add(&r, &info, sizeof(info));
    netlink_attribute(&r, IFLA_IFNAME, peer, strlen(peer) + 1);
    netlink_attribute(&r, IFLA_MTU, &bytes, sizeof(bytes));
    netlink_end(&r, other);
    netlink_end(&r, data);
    netlink_end(&r, link);
    return netlink_do(&r);
}

int
netlink_set_flags(unsigned index, unsigned flags)
{
    struct ifinfomsg info = {
        .ifi_index = (int)index, .ifi_flags = flags, .ifi_change = flags};
    struct netlink_request r;

    netlink_init(&r, RTM_NEWLINK, 0, &info, sizeof(info));
    return netlink_do(&r);
}

/* IFF_RUNNING would not do: it is also set while the state is unknown. */
int
netlink_is_up(unsigned index, bool *ret)
{
    struct ifinfomsg info = {.ifi_index = (int)index};
    struct netlink_request r;
    union {
        struct nlmsghdr header;
        char bytes[8192];
    } reply;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    uint8_t state = 0;
    int code = 0;
    ssize_t n;

    if (fd < 0)
        return errno;
    netlink_init(&r, RTM_GETLINK, 0, &info, sizeof(info));
    r.header.nlmsg_flags = NLM_F_REQUEST;
    n = send(fd, &r, r.header.nlmsg_len, 0);
    n = n < 0 ? n : recv(fd, &reply, sizeof(reply), 0);
    code =
        n < 0 ? errno : netlink_parse_state(&reply.header, (size_t)n, &state);
    close(fd);
    if (code == 0)
        *ret = state == IF_OPER_UP;
    return code;
}

int
netlink_address(unsigned index, struct in_addr address, unsigned prefix_bits)
{
    struct ifaddrmsg info = {.ifa_family = AF_INET,
                             .ifa_prefixlen = (uint8_t)prefix_bits,
                             .ifa_index = index};
    struct netlink_request r;

    netlink_init(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info,
                 sizeof(info));
    netlink_attribute(&r, IFA_LOCAL, &address, sizeof(address));
    netlink_attribute(&r, IFA_ADDRESS, &address, sizeof(address));
    return netlink_do(&r);
}

int
netlink_neighbour(unsigned index, struct in_addr address,
                  const uint8_t mac[FRAME_MAC_BYTES])
{
    struct ndmsg info = {.ndm_family = AF_INET,
                         .ndm_ifindex = (int)index,
                         .ndm_state = NUD_PERMANENT};
    struct netlink_request r;

    netlink_init(&r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &info,
                 sizeof(info));
    netlink_attribute(&r, NDA_DST, &address, sizeof(address));
    netlink_attribute(&r, NDA_LLADDR, mac, FRAME_MAC_BYTES);
    return netlink_do(&r);
}
