/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that wait for their time: a binary heap by (due, sequence), so that
 * frames due at the same time leave in the order in which they came.  Bounded
 * in frames and in bytes, as a whole and per link.
 *
 * Threads: none; the switch's thread owns it.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_QUEUE_H
#define ORDEAL_NEMESIS_FABRIC_QUEUE_H

#include "nemesis/fabric/frame.h"
#include "nemesis/fabric/link-set.h"

/* 2 s of delay at 60,000 frames/s, which is what 5 busy guests send. */
#define QUEUE_FRAME_COUNT_MAX 131072
/* A second of a gigabit: memory of the driver, beside that of the guests. */
#define QUEUE_BYTES_MAX ((size_t)128 << 20)
/* An eighth of all: one slow link does not take the room of the others. */
#define QUEUE_LINK_COUNT_MAX 16384

struct queue_frame {
    int64_t due_ns;
    uint64_t sequence;
    uint8_t from, to;
    uint32_t len;
    uint8_t *bytes; /* owned */
};

struct queue {
    struct queue_frame *heap;
    uint32_t count, capacity;
    size_t bytes;
    uint64_t sequence;
    uint32_t link_count[SWITCH_PORT_COUNT_MAX][SWITCH_PORT_COUNT_MAX];
};

void queue_init(struct queue *q);
void queue_release(struct queue *q);

/* Takes 'bytes' (from malloc).  False: no room, and they are freed. */
bool queue_push(struct queue *q, int64_t due_ns, unsigned from, unsigned to,
                uint8_t *bytes, size_t len);

/* INT64_MAX when empty. */
int64_t queue_next_due_ns(const struct queue *q);

/* The first that is due; the caller then owns its bytes.  False: none is. */
bool queue_pop_due(struct queue *q, int64_t now_ns, struct queue_frame *ret);

/* Drops what waits on these links; adds the number dropped to 'counts'. */
void queue_purge(struct queue *q, const struct link_set *links,
                 uint64_t counts[SWITCH_PORT_COUNT_MAX][SWITCH_PORT_COUNT_MAX]);

#endif
