/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the provider puts on disk for a guest (docs/GUEST.md): its config
 * archive and its empty data disk; and the addresses all guests agree on.
 */
#ifndef ORDEAL_PROVIDER_GUEST_FILES_H
#define ORDEAL_PROVIDER_GUEST_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/base/error.h"

#define GUEST_MAC_TEXT_SIZE 18
#define GUEST_ADDRESS_SIZE 16
#define GUEST_MGMT_ADDRESS "10.0.2.15" /* of each, behind its own network */

/* "52:54:00:63:6c:01" (cluster) or "52:54:00:6d:67:01" (mgmt). */
void guest_mac(bool cluster, unsigned index, uint8_t ret[static 6]);
void guest_mac_text(bool cluster, unsigned index,
                    char ret[static GUEST_MAC_TEXT_SIZE]);

/* "10.77.0.11" for node 0. */
void guest_address(unsigned index, char ret[static GUEST_ADDRESS_SIZE]);

/* Hosts of clients in the cluster network: "10.77.0.101" for the first. */
void guest_client_mac(unsigned index, uint8_t ret[static 6]);
void guest_client_address(unsigned index, char ret[static GUEST_ADDRESS_SIZE]);

struct tar_entry {
    const char *name;
    const char *text;
    unsigned mode;
};

/* A ustar archive of small text files; mode 0600, replaced whole. */
int tar_write(const char *path, const struct tar_entry *entries, unsigned count,
              struct error *err);

/* The config archive of node 'index' of 'node_count'; other nodes and hosts of
 * clients are its permanent neighbours. */
int guest_write_config(const char *path, unsigned index, unsigned node_count,
                       unsigned client_host_count, const char *host_key,
                       const char *authorized_key, struct error *err);

/* A sparse raw disk; it must not exist yet. */
int guest_make_disk(const char *path, unsigned mib, struct error *err);

#endif
