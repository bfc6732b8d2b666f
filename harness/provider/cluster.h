/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RUNTIME_DIR/cluster.json: how other processes (ssh, exec, logs, status,
 * recover) reach the nodes of a cluster.  Written before the first node
 * exists, replaced whole, mode 0600.
 */
#ifndef ORDEAL_PROVIDER_CLUSTER_H
#define ORDEAL_PROVIDER_CLUSTER_H

#include <stdbool.h>

#include "harness/provider/provider.h"

/* What the file says beyond the cluster itself. */
struct cluster_file {
    struct cluster cluster;
    char provider[16];
    char root[64]; /* libvirt's own directory, "" for none */
};

int cluster_save(const struct cluster *c, const char *provider,
                 const char *root, struct error *err);

/* 'path' is the runtime directory or the file.  cluster_release() frees. */
int cluster_load(const char *path, struct cluster_file *ret, struct error *err);

/* Frees the strings of the endpoints.  Zeroed is fine. */
void cluster_release(struct cluster *c);

/* A node by name, NULL when there is none. */
const struct node *cluster_node(const struct cluster *c, const char *name);

#endif
