/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dedupe table: the answer of each operation, kept until the slot in which
 * it is retired, so that a repeated operation is answered and not executed
 * again.  A ring with an id map beside it: slots never go back, so the oldest
 * record is the first to retire.
 *
 * Part of the replicated state: of its digest and of its snapshot.
 */
#ifndef ORDEAL_REPLICA_OPERATIONS_H
#define ORDEAL_REPLICA_OPERATIONS_H

#include "replica/bytes.h"
#include "replica/engine.h"
#include "replica/id-map.h"

struct operation_record {
    uint64_t scope; /* whose id it is: 0, or the client's number */
    struct id128 id, fingerprint;
    uint64_t retire_slot;
    struct outcome outcome;
};

struct operation_table {
    struct operation_record *records; /* ring */
    uint32_t head, max;
    struct id_map map;
    uint64_t digest; /* sum of one hash per record */
};

void operations_init(struct operation_table *t, uint32_t max);
void operations_release(struct operation_table *t);
void operations_clear(struct operation_table *t);
uint32_t operations_count(const struct operation_table *t);

/* Drops the records whose retire_slot is below 'slot'; amortised O(1). */
void operations_retire(struct operation_table *t, uint64_t slot);

/*
 * True: to be executed, then appended.  False: *ret is the answer, recorded or
 * not (a conflict, a full table).
 */
bool operations_admit(const struct operation_table *t,
                      const struct operation_record *wanted,
                      struct outcome *ret);

/* The key must be absent and the table not full (asserted). */
void operations_append(struct operation_table *t,
                       const struct operation_record *o);

void operations_save(const struct operation_table *t, struct buf *out);
/* Into an empty table; false: not what save wrote. */
bool operations_load(struct operation_table *t, struct bytes_reader *r);

#endif
