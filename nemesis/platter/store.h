/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk with a volatile write cache whose loss can be staged.
 *
 *   write, zero, trim --> log (ordered, in memory) --flush--> stable file
 *   read  = stable file, overlaid by the newest record of the log
 *   cut   = a chosen part of the log reaches the stable file, the rest is gone
 *
 * What may survive a cut is what a real disk may keep: for each sector of 512
 * bytes any version not older than the last flushed (or FUA) one, never a mix
 * of two.  A flush makes stable all that was written before it, by whichever
 * connection; a FUA write makes itself stable, and what it overlaps.
 *
 * A power cut needs no fsync here, since the host does not die with the guest.
 *
 * Threads: the caller's lock.  store_read() may run beside itself; everything
 * else excludes everything.
 *
 * Functions of the data path return 0 or a negative errno, which is what goes
 * over the wire.  Offsets and lengths are multiples of STORE_SECTOR_BYTES and
 * inside the disk: the caller has checked.
 */
#ifndef ORDEAL_NEMESIS_PLATTER_STORE_H
#define ORDEAL_NEMESIS_PLATTER_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/base/error.h"
#include "nemesis/platter/extents.h"

#define STORE_SECTOR_BYTES 512u
#define STORE_REQUEST_BYTES_MAX (32u << 20) /* with data; as nbdkit's own */
#define STORE_BOUND_BYTES (64u << 20)       /* a large cache of a real disk */
#define STORE_STALE_BYTES_MAX (1u << 20)    /* of remembered old content */
#define STORE_FLIP_COUNT_MAX 64

enum store_kind { STORE_WRITE, STORE_ZERO, STORE_TRIM };

struct store_record {
    struct store_record *next;
    uint64_t sequence; /* from 1, never used twice */
    uint64_t offset, length;
    enum store_kind kind;
    unsigned char data[]; /* of STORE_WRITE */
};

/* One flipped sector, as it was and as it is since. */
struct store_flip {
    uint64_t offset;
    unsigned char before[STORE_SECTOR_BYTES], after[STORE_SECTOR_BYTES];
};

struct store_stats {
    uint64_t records, bytes;     /* in the log now */
    uint64_t bytes_peak;         /* most ever */
    uint64_t written_back;       /* records, oldest first, at the bound */
    uint64_t flushes, flushed;   /* honest ones; the records they applied */
    uint64_t fua;                /* writes that asked for it */
    uint64_t lied;               /* flushes and FUA answered without doing it */
    uint64_t stale_seen;         /* reads of a stale range */
    uint64_t stale_hit;          /* and of these, that got other than the new */
    uint64_t flipped, unflipped; /* bits turned; sectors put back */
};

struct store {
    int fd; /* borrowed */
    uint64_t size, bound_bytes;
    struct store_record *head, **tail;
    uint64_t sequence;
    struct extent_map map;
    /* A connection is good for the generation in which it was opened. */
    uint64_t generation;
    bool powered;
    bool lying;
    uint64_t stale_offset, stale_length;
    unsigned char *stale; /* NULL: reads tell the truth */
    struct store_flip *flips;
    unsigned flip_count;
    struct store_stats stats;
};

/* Powered, honest, generation 1.  'size' is a multiple of a sector. */
void store_init(struct store *s, int fd, uint64_t size, uint64_t bound_bytes);

/* Forgets the log; store_sync() first to keep it. */
void store_release(struct store *s);

/* Safe to run in several threads: counters of stale reads are atomic. */
int store_read(struct store *s, void *buf, uint64_t length, uint64_t offset);

/* 'data' is NULL unless STORE_WRITE.  On failure nothing was written. */
int store_write(struct store *s, enum store_kind kind, const void *data,
                uint64_t length, uint64_t offset, bool fua);

/* What the guest asks for; a lying disk only says that it did. */
int store_flush(struct store *s);

/* Applies the log, lying or not.  On failure the rest stays in the log. */
int store_sync(struct store *s);

/* Forgets the log: a failed flush that really lost the cache. */
void store_lose(struct store *s);

/* ---- corruption ---- */

/* Turns bit 0..7 of the byte on the medium (written back first). */
int store_flip(struct store *s, uint64_t offset, unsigned bit);

/*
 * Puts flipped sectors back that have not been written since.  Returns how
 * many, or a negative errno.  The list is empty afterwards.
 */
int store_unflip(struct store *s);

/*
 * From now on reads of the range return what is there now, whatever is
 * written: writes the disk lost after it had confirmed them.  One range at a
 * time; length 0 ends it.
 */
int store_stale(struct store *s, uint64_t offset, uint64_t length);

#endif
