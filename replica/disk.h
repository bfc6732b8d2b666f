/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data directory of a running replica and the thread that writes to it.
 *
 *   DIR/lock      held while a process runs on DIR
 *   DIR/meta      meta.h      DIR/snapshot  snapshot.h      DIR/log/  log.h
 *
 *   disk_open -> disk_start -> (queue ..., disk_kick)* -> disk_free
 *
 * Queued work is done in order on a thread of libuv's pool, one batch at a
 * time: everything queued while a batch is under way makes the next one, so a
 * sync serves all entries that came in meanwhile.  Snapshots of the running
 * state are written beside that queue.
 *
 * A failed write or sync ends the process at once with REPLICA_EXIT_IO: after
 * it nothing is known about the file (Rebello et al., "Can Applications
 * Recover from fsync Failures?", ATC 2020).
 *
 * Threads: all functions and callbacks belong to the loop's.
 */
#ifndef ORDEAL_REPLICA_DISK_H
#define ORDEAL_REPLICA_DISK_H

#include <uv.h>

#include "replica/meta.h"
#include "replica/options.h"
#include "replica/snapshot.h"

/* An image in memory; the one holder frees it. */
struct image {
    struct vsr_position position;
    char *data;
    size_t len;
};
void image_release(struct image *i);

/* What was found in DIR. */
struct disk_found {
    bool meta_found;
    struct vsr_metadata meta;
    struct image snapshot;   /* position index 0: none */
    uint64_t snapshot_chain; /* digest chain at the snapshot */
    uint64_t last_index;     /* end of the log */
    char detail[160];        /* for people */
};

struct disk_events {
    void (*done)(void *ctx, uint64_t seq);
    void (*installed)(void *ctx, struct vsr_position position);
    /* 'written' false: an installation overtook it. */
    void (*taken)(void *ctx, struct vsr_position position, bool written);
};

struct disk;

/*
 * Opens DIR, checks that it is this node's, feeds snapshot and entries to
 * vsr_restore_*() and the snapshot's state to 'engine' (fresh).
 */
enum replica_exit disk_open(const struct replica_options *o,
                            struct crash_plan *crash, struct vsr *v,
                            struct engine *engine, struct disk **ret,
                            struct disk_found *ret_found, struct error *err);

/* Callbacks run from the loop from here on. */
void disk_start(struct disk *d, uv_loop_t *loop,
                const struct disk_events *events, void *ctx);
void disk_free(struct disk *d); /* must be idle */

/* ---- the queue; contents are copied unless said otherwise ---- */
void disk_append(struct disk *d, const struct vsr_entry *e);
void disk_truncate(struct disk *d, uint64_t index);
void disk_metadata(struct disk *d, const struct vsr_metadata *m, uint64_t seq);
void disk_sync(struct disk *d, uint64_t seq);
void disk_release(struct disk *d, uint64_t index);
/* Takes image->data, which stays valid until 'installed' gives it back. */
void disk_install(struct disk *d, const struct image *image, uint64_t seq);

/* Starts what was queued, unless a batch is under way. */
void disk_kick(struct disk *d);

/*
 * Writes a snapshot beside the queue; one at a time.  Borrows image->data
 * until 'taken'.
 */
void disk_take(struct disk *d, const struct image *image);
bool disk_taking(const struct disk *d);

bool disk_idle(const struct disk *d);
uint64_t disk_log_bytes(const struct disk *d); /* as of the last batch */

/* Free bytes for this process in DIR's file system; UINT64_MAX: unknown. */
uint64_t disk_free_bytes(const struct disk *d);

#endif
