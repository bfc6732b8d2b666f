/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every engine has: limits, logical time, the dedupe table, the digest
 * and the frame of its snapshot.  For engine-*.c only; engines embed it first.
 *
 * An entry: engine_begin, then by what it is
 *   tick     engine_tick, and what is due at the new slot
 *   command  retire what is over, engine_admit, execute, engine_record
 *
 * The digest is a sum of one hash per record, so that a change costs the
 * records it touches: a record's hash is taken out before the change and put
 * back after it.
 */
#ifndef ORDEAL_REPLICA_ENGINE_STATE_H
#define ORDEAL_REPLICA_ENGINE_STATE_H

#include "replica/operations.h"

struct engine_state {
    struct engine base;
    struct engine_limits limits;
    enum bug bug;
    uint64_t window_slots;  /* an operation is remembered for so long */
    uint64_t horizon_slots; /* furthest slot that a command computes with */
    bool window_open; /* the slot of retirement is not answered any more */
    uint64_t applied, slot;
    uint64_t refusals; /* that planted bugs may turn into grants */
    uint64_t digest;   /* of the engine's own records */
    struct operation_table operations;
};

static inline uint64_t
digest_mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9fb21c651e98df25);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 29;
}

static inline uint64_t
digest_mix_id(uint64_t h, struct id128 id)
{
    return digest_mix(digest_mix(h, id.lo), id.hi);
}

void engine_state_init(struct engine_state *s,
                       const struct engine_limits *limits, enum bug bug);
void engine_state_release(struct engine_state *s);

/* Implementations of engine_ops. */
uint64_t engine_state_slot(const struct engine *engine);
void engine_state_forget(struct engine *engine);
void engine_state_tick(uint64_t client, uint64_t slot, struct buf *out);

/* The digest of what is here, 'records' included. */
uint64_t engine_state_digest(const struct engine_state *s);

/* Prepares the answer.  'entry' must follow the last one (asserted). */
void engine_begin(struct engine_state *s, const struct engine_entry *entry,
                  struct outcome *ret);

/* False: refused, the slot does not change. */
bool engine_tick(struct engine_state *s, uint64_t slot, struct outcome *ret);

/* No command may be executed in this slot: its arithmetic would overflow. */
bool engine_overflows(const struct engine_state *s, struct outcome *ret);

/* Drops the operations whose time is over. */
void engine_retire_operations(struct engine_state *s);

/* True: execute it.  'record' has its scope, id and fingerprint. */
bool engine_admit(const struct engine_state *s,
                  const struct operation_record *record, struct outcome *ret);
void engine_record(struct engine_state *s, struct operation_record *record,
                   struct outcome *ret);

/*
 * Counts a refusal.  True: 'bug' is planted and it is the turn of this one to
 * be granted (each BUG_BUSY_GRANT_EVERY-th).
 */
bool engine_grants_refusal(struct engine_state *s, enum bug bug);

/* ---- the snapshot: begin, the engine's own records, end ---- */
void engine_save_begin(const struct engine_state *s, struct buf *out);
void engine_save_end(const struct engine_state *s, struct buf *out);
int engine_load_begin(struct engine_state *s, struct bytes_reader *r,
                      struct error *err);
/* 'whole': the engine's own records were read and made sense. */
int engine_load_end(struct engine_state *s, struct bytes_reader *r, bool whole,
                    struct error *err);

/* ---- metrics ---- */
struct engine_table {
    const char *name;
    uint32_t used, max;
};
/* 'tables' and the table of operations. */
void engine_state_metrics(const struct engine_state *s,
                          const struct engine_table *tables, size_t count,
                          struct buf *out);

#endif
