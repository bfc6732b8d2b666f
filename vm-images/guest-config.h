/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host tells one guest: the tar archive on the disk with the serial
 * 'ordeal-config' (docs/GUEST.md), read into plain fields.  The bytes are data
 * from outside: anything unexpected is an error, never a guess.
 *
 * Threads: none of this is shared.  Nothing allocates except authorized_keys,
 * which points into the archive the caller keeps.
 */
#ifndef ORDEAL_VM_IMAGES_GUEST_CONFIG_H
#define ORDEAL_VM_IMAGES_GUEST_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/error.h"

/* Three small files; 1 MiB is far above any of them. */
#define GUEST_CONFIG_BYTES_MAX (1u << 20)

/* Nodes of a cluster and the ports of the harness on its wire. */
#define GUEST_NEIGHBOURS_MAX 64

/* "ssh-ed25519" and two 32 byte keys, each with its length in front. */
#define GUEST_HOST_KEY_BYTES 83

struct guest_address {
    bool present;
    struct in_addr address, netmask, gateway; /* gateway 0: none */
};

struct guest_neighbour {
    struct in_addr address;
    uint8_t mac[6];
};

struct guest_config {
    char hostname[65];
    struct guest_address mgmt, cluster;
    struct guest_neighbour neighbours[GUEST_NEIGHBOURS_MAX];
    unsigned neighbour_count;
    uint8_t host_key[GUEST_HOST_KEY_BYTES]; /* in dropbear's own format */
    const char *authorized_keys;            /* borrowed from the archive */
    size_t authorized_keys_len;
};

/*
 * Reads the whole archive (ustar, regular files; directories are ignored).
 * 'network', 'ssh_host_ed25519_key' and 'authorized_keys' must each be there
 * exactly once; other names are an error.
 */
int guest_config_parse(const char *tar, size_t len, struct guest_config *ret,
                       struct error *err);

/* The file 'network' alone. */
int guest_network_parse(const char *text, size_t len, struct guest_config *ret,
                        struct error *err);

/*
 * An unencrypted ed25519 key in OpenSSH's format (PROTOCOL.key) turned into
 * the format of dropbear, which cannot read the other.
 */
int guest_host_key_convert(const char *pem, size_t len,
                           uint8_t ret[static GUEST_HOST_KEY_BYTES],
                           struct error *err);

bool guest_mac_parse(const char *text, uint8_t ret[static 6]);

#endif
