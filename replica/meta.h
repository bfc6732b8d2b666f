/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DIR/meta: whose directory this is and the small part of the replication core
 * that must survive a crash (vsr.h), in one checksummed file that is replaced
 * atomically.
 */
#ifndef ORDEAL_REPLICA_META_H
#define ORDEAL_REPLICA_META_H

#include "harness/base/error.h"
#include "replica/vsr.h"

struct meta {
    char cluster[64], node[64], engine[16];
    struct vsr_metadata vsr;
};

/* Durable when it returns. */
int meta_store(const char *dir, const struct meta *m, struct error *err);

/* 1 found, 0 none, -1 (CONFIG: corrupt, ENVIRONMENT: not readable). */
int meta_read(const char *dir, struct meta *ret, struct error *err);

#endif
