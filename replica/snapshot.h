/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: the engine's state after a position.  An image is what replicas
 * send each other; the file DIR/snapshot is an image behind a short header
 * that names the generation of the log that goes with it.  There is one file,
 * replaced atomically.
 *
 * Errors: CONFIG when bytes are wrong (corrupt, or not ours), ENVIRONMENT when
 * the operating system failed.
 */
#ifndef ORDEAL_REPLICA_SNAPSHOT_H
#define ORDEAL_REPLICA_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/base/buf.h"
#include "harness/base/error.h"
#include "replica/vsr.h"

/* Full tables of the default limits take 12 MiB, of the greatest 190 MiB. */
#define SNAPSHOT_BYTES_MAX (256u << 20)

/* A snapshot's contents; pointers into the image. */
struct snapshot_info {
    struct vsr_position position;
    uint64_t chain; /* chain digest of the log up to the position */
    char cluster[64], engine[16];
    const void *state;
    size_t state_length;
};

/* 'cluster' and 'engine' fit the arrays above (asserted). */
void snapshot_image_build(const struct snapshot_info *info, struct buf *out);

int snapshot_image_parse(const void *image, size_t len,
                         struct snapshot_info *ret, struct error *err);

/* Durable when it returns. */
int snapshot_store(const char *dir, uint64_t generation, const void *image,
                   size_t len, struct error *err);

/*
 * 1 and the image (caller frees *ret_image), 0 when there is none, -1.  The
 * image is checked for its checksum, not parsed.
 */
int snapshot_read(const char *dir, uint64_t *ret_generation, char **ret_image,
                  size_t *ret_len, struct error *err);

#endif
