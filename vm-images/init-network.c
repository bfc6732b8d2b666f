/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: each Ethernet device is told by the third to fifth byte of its
 * MAC ("mg", "cl"), renamed while down, given its address, brought up; the
 * neighbours of the cluster become permanent entries, so that no partition or
 * delay is ever blurred by ARP.  Plain ioctls: no program is started.
 *
 * Failure modes: a device that is configured but not there, or a refused
 * ioctl, is an error that names device and step; what was done stays.
 */
#include "config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "harness/base/file.h"
#include "vm-images/init.h"

static void
request_init(struct ifreq *r, const char *name)
{
    assert(strlen(name) < IFNAMSIZ);
    memset(r, 0, sizeof(*r));
    memcpy(r->ifr_name, name, strlen(name) + 1);
}

static void
address_set(struct sockaddr *ret, struct in_addr address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};

    memcpy(ret, &in, sizeof(in));
}

static int
device_up(int fd, const char *name, struct error *err)
{
    struct ifreq r;

    request_init(&r, name);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: up", name);
    return 0;
}

static bool
device_has_prefix(int fd, const char *name, const uint8_t prefix[static 5])
{
    struct ifreq r;

    request_init(&r, name);
    return ioctl(fd, SIOCGIFHWADDR, &r) == 0 &&
           r.ifr_hwaddr.sa_family == ARPHRD_ETHER &&
           memcmp(r.ifr_hwaddr.sa_data, prefix, 5) == 0;
}

static int
device_rename(int fd, const uint8_t prefix[static 5], const char *name,
              struct error *err)
{
    struct if_nameindex *list = if_nameindex();
    struct ifreq r;
    int result = -1;

    if (list == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "list of devices");
    for (const struct if_nameindex *i = list; i->if_index != 0; i++) {
        if (!device_has_prefix(fd, i->if_name, prefix))
            continue;
        request_init(&r, i->if_name);
        memcpy(r.ifr_newname, name, strlen(name) + 1);
        result = strcmp(i->if_name, name) == 0 ? 0 : ioctl(fd, SIOCSIFNAME, &r);
        if (result < 0)
            error_errno(err, ERROR_ENVIRONMENT, errno, "%s: rename", name);
        if_freenameindex(list);
        return result;
    }
    if_freenameindex(list);
    return error_set(err, ERROR_ENVIRONMENT,
                     "%s: no device with the MAC prefix "
                     "%02x:%02x:%02x:%02x:%02x",
                     name, prefix[0], prefix[1], prefix[2], prefix[3],
                     prefix[4]);
}

static int
address_apply(int fd, const char *name, const struct guest_address *a,
              struct error *err)
{
    struct ifreq r;

    request_init(&r, name);
    address_set(&r.ifr_addr, a->address);
    if (ioctl(fd, SIOCSIFADDR, &r) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: address", name);
    address_set(&r.ifr_netmask, a->netmask);
    if (ioctl(fd, SIOCSIFNETMASK, &r) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: netmask", name);
    return device_up(fd, name, err);
}

static int
gateway_apply(int fd, const char *name, struct in_addr gateway,
              struct error *err)
{
    char device[IFNAMSIZ];
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = device};

    snprintf(device, sizeof(device), "%s", name);
    address_set(&route.rt_dst, (struct in_addr){.s_addr = 0});
    address_set(&route.rt_genmask, (struct in_addr){.s_addr = 0});
    address_set(&route.rt_gateway, gateway);
    if (ioctl(fd, SIOCADDRT, &route) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: gateway", name);
    return 0;
}

static int
neighbours_apply(int fd, const struct guest_config *config, struct error *err)
{
    for (unsigned i = 0; i < config->neighbour_count; i++) {
        const struct guest_neighbour *n = &config->neighbours[i];
        struct arpreq r = {.arp_flags = ATF_COM | ATF_PERM,
                           .arp_ha.sa_family = ARPHRD_ETHER,
                           .arp_dev = "cluster"};

        /* The list may be the same for all nodes: it names ourselves too. */
        if (n->address.s_addr == config->cluster.address.s_addr)
            continue;
        address_set(&r.arp_pa, n->address);
        memcpy(r.arp_ha.sa_data, n->mac, sizeof(n->mac));
        if (ioctl(fd, SIOCSARP, &r) < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno,
                               "cluster: neighbour %s", inet_ntoa(n->address));
    }
    return 0;
}

/* Absent where the kernel was booted with ipv6.disable=1. */
static void
ipv6_disable(void)
{
    static const char *const names[] = {"all", "default"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6",
                 names[i]);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (file_write_all(fd, "1", 1) < 0)
            init_say("'%s' is not writable, continuing", path);
        close(fd);
    }
}

int
network_apply_mgmt(const struct guest_config *config, struct error *err)
{
    static const uint8_t mgmt[5] = {0x52, 0x54, 0x00, 0x6d, 0x67};
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "socket");
    ipv6_disable();
    if (device_up(fd, "lo", err) < 0 ||
        device_rename(fd, mgmt, "mgmt", err) < 0 ||
        address_apply(fd, "mgmt", &config->mgmt, err) < 0)
        return -1;
    if (config->mgmt.gateway.s_addr == 0)
        return 0;
    return gateway_apply(fd, "mgmt", config->mgmt.gateway, err);
}

int
network_apply_cluster(const struct guest_config *config, struct error *err)
{
    static const uint8_t cluster[5] = {0x52, 0x54, 0x00, 0x63, 0x6c};
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "socket");
    if (!config->cluster.present)
        return 0;
    if (device_rename(fd, cluster, "cluster", err) < 0 ||
        address_apply(fd, "cluster", &config->cluster, err) < 0)
        return -1;
    return neighbours_apply(fd, config, err);
}
