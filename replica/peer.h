/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links between replicas.  Each replica connects to every other and sends on
 * that connection only; what it hears comes on connections that the others
 * made.  The first frame of a connection is the hello: cluster, sender and
 * addressee by name; whoever is not expected is refused.
 *
 *   frame: length u32, CRC-32C u32 of the body, CRC-32C u32 of these eight
 *   bytes, body
 *
 * The network's own checksums are weak, and some boxes on the way compute them
 * anew over what they damaged: a frame that is not what was sent ends its
 * connection and is counted, whether its head or its body is wrong.
 *
 * A link that is down, or whose peer does not take what was sent, loses
 * messages and never waits: the core repeats what matters.  Unacknowledged
 * bytes end a connection after a second (TCP_USER_TIMEOUT), so that a healed
 * network is used at once instead of after the kernel's next retransmission.
 *
 * Threads: the loop's.
 */
#ifndef ORDEAL_REPLICA_PEER_H
#define ORDEAL_REPLICA_PEER_H

#include <uv.h>

#include "replica/options.h"

/* Queued and unsent bytes of one link; more is dropped. */
#define PEER_QUEUE_BYTES_MAX (8u << 20)

struct peers;

/* 'from' is the peer's number; the body is borrowed for the call. */
typedef void peer_message_fn(void *ctx, unsigned from, const void *body,
                             size_t len);

struct peers *peers_new(uv_loop_t *loop, const struct replica_options *o,
                        peer_message_fn *message, void *ctx);

/* Listens and begins to connect.  CONFIG error when the address is taken. */
int peers_start(struct peers *p, struct error *err);

/* Queues a message; it leaves with the next peers_flush(). */
void peers_send(struct peers *p, unsigned to, const void *body, size_t len);
void peers_flush(struct peers *p);

/* Every few milliseconds: connects again, ends what takes too long. */
void peers_tick(struct peers *p, uint64_t now_ns);

struct peer_counters {
    bool connected;
    uint64_t sent, dropped, received, connections;
};
void peers_count(const struct peers *p, unsigned peer,
                 struct peer_counters *ret);

/* Frames with a bad checksum, from anybody. */
uint64_t peers_corrupt(const struct peers *p);

/* Closes all; the loop must run until the handles are gone, then free. */
void peers_close(struct peers *p);
void peers_free(struct peers *p);

#endif
