/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of the simulation: a counter of writes with a dedupe table
 * and leases that expire in logical time.  Small enough that every answer can
 * be judged exactly: each write gets the next version, each read tells the
 * version.
 */
#ifndef ORDEAL_TESTS_SIMULATION_TOY_H
#define ORDEAL_TESTS_SIMULATION_TOY_H

#include <stdbool.h>
#include <stdint.h>

#include "replica/vsr.h"

#define TOY_CLIENTS_MAX 8
#define TOY_LEASES_MAX 16
#define TOY_PAYLOAD_BYTES_MAX 40000u

enum toy_kind {
    TOY_WRITE = 1,
    TOY_LEASE,  /* value: ticks to live */
    TOY_TICK,   /* value: slot */
    TOY_EXPIRE, /* value: lease; proposed by the primary's host */
};

struct toy_command {
    uint64_t client, sequence, value;
};

struct toy_lease {
    uint64_t id, deadline; /* id 0: free */
};

/* All members are 64 bits wide: no padding, bytes can be hashed. */
struct toy_state {
    uint64_t index, version, slot, lease_count;
    uint64_t sequences[TOY_CLIENTS_MAX], answers[TOY_CLIENTS_MAX];
    struct toy_lease leases[TOY_LEASES_MAX];
};

struct toy_result {
    struct toy_command command;
    uint64_t version; /* the answer */
    bool cached;      /* it came from the dedupe table */
    bool early;       /* a lease expired before its deadline */
    bool malformed;   /* not what a client or host encoded */
};

void toy_init(struct toy_state *t);
struct toy_result toy_apply(struct toy_state *t, const struct vsr_entry *e);
uint64_t toy_digest(const struct toy_state *t);

/* Encodes with 'padding' bytes behind; returns the length. */
uint32_t toy_encode(const struct toy_command *c, uint32_t padding, void *buf);
uint64_t toy_hash(uint64_t seed, const void *data, size_t length);

/* The next lease due at 'slot' and after 'after'; 0 none. */
uint64_t toy_due(const struct toy_state *t, uint64_t slot, uint64_t after);
/* What the mutation expire-on-backup does at a tick. */
void toy_expire_all(struct toy_state *t);

#endif
