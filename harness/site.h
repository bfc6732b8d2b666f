/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A site: the private runtime directory, the provider's cluster in it and a
 * remote to every node.  A run works on one, and so does 'ordeal up'.
 *
 *   site_open -> (use site->cluster, site->remotes) -> site_close
 *
 * Threads: the owner's.
 */
#ifndef ORDEAL_HARNESS_SITE_H
#define ORDEAL_HARNESS_SITE_H

#include "systems/system.h"

struct site_options {
    const struct provider_ops *provider;
    const struct system_ops *system; /* for the doors its clients need */
    const char *uri;                 /* NULL: the provider's default */
    const char *run_id;
    const char *image_dir;
    unsigned node_count, memory_mib, vcpus, data_disk_mib;
    unsigned client_count;  /* that are to have hosts, shared or not */
    bool (*given_up)(void); /* see struct cluster_spec */
};

struct site {
    struct clock *clock;
    struct provider provider;
    char runtime_dir[64]; /* "" until made */
    bool provider_opened, cluster_made;
    struct cluster cluster;
    struct remote remotes[NODE_COUNT_MAX]; /* open, once cluster_made */
};

/* After a failure site_close() still has to be called. */
int site_open(struct site *s, const struct site_options *options,
              struct clock *clock, struct error *err);

/* Ends machines, removes the directory; what fails is logged as a warning. */
void site_close(struct site *s);

#endif
