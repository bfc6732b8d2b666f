/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable log: segment files of checksummed frames, and a mark.
 *
 *   DIR/00000000000000000001.log   header, then frames one after another
 *   DIR/00000000000000009120.log   the last one grows
 *   DIR/mark                       "everything up to here is durable"
 *
 * A frame holds one entry: CRC-32C, length, view, index, kind, payload.  The
 * mark is made durable after the frames and before anything is acknowledged,
 * so a log that ends below its mark has lost something that was promised.
 *
 * Generation: installing a snapshot drops the whole log.  The snapshot names
 * the generation of the log that goes with it; segments of a lower one are the
 * rest of an interrupted installation and are removed at open.
 *
 * What a reader may forgive (torn tail): bytes at the end of the last segment
 * that are no whole frame and lie above the mark: they were never
 * acknowledged.  They are cut.  Everything else is refused, by file and offset.
 *
 * Errors: kind CONFIG means that the bytes are wrong (corrupt), ENVIRONMENT
 * that the operating system failed.  After a failed write or sync nothing is
 * known about the file: the caller ends the process.
 *
 * Threads: one at a time.  All functions may block on the disk.
 */
#ifndef ORDEAL_REPLICA_LOG_H
#define ORDEAL_REPLICA_LOG_H

#include <stdint.h>

#include "harness/base/buf.h"
#include "harness/base/error.h"
#include "replica/vsr.h"

/* A segment is closed when it is this long; prefixes go by whole segments. */
#define LOG_SEGMENT_BYTES (1u << 20)

/* 64 MiB of entries at most in memory, and the slack of whole segments. */
#define LOG_SEGMENTS_MAX 1024u

struct durable_log;

struct durable_log_report {
    uint64_t entry_count;
    uint64_t first_index, last_index; /* last = first - 1 when empty */
    uint64_t torn_bytes;              /* cut from the end */
    unsigned stale_segments;          /* of an older generation, removed */
};

/*
 * Opens or creates the log in 'dir'.  'next_index' is where a log without any
 * entry begins (the snapshot's index + 1).  Calls 'entry' for each entry in
 * order; its -1 ends the opening with its error.
 */
int durable_log_open(const char *dir, uint64_t generation, uint64_t next_index,
                     int (*entry)(void *ctx, const struct vsr_entry *e,
                                  struct error *err),
                     void *ctx, struct durable_log **ret,
                     struct durable_log_report *ret_report, struct error *err);
void durable_log_free(struct durable_log *log);

/* Appends the frame of 'e' to 'out' (for durable_log_append). */
void durable_log_frame(const struct vsr_entry *e, struct buf *out);

/* Writes frames whose last entry has 'last_index'.  Not yet durable. */
int durable_log_append(struct durable_log *log, const void *frames, size_t len,
                       uint64_t last_index, struct error *err);

/* Makes everything appended durable, then the mark. */
int durable_log_sync(struct durable_log *log, struct error *err);

/* Drops the entries at 'index' and above, durably; lowers the mark before. */
int durable_log_truncate(struct durable_log *log, uint64_t index,
                         struct error *err);

/* Removes segments that hold nothing above 'index'; never the last one. */
int durable_log_release(struct durable_log *log, uint64_t index,
                        struct error *err);

/* Drops everything and goes on at 'next_index' in a new generation. */
int durable_log_restart(struct durable_log *log, uint64_t generation,
                        uint64_t next_index, struct error *err);

uint64_t durable_log_bytes(const struct durable_log *log);

#endif
