/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that keeps what is synced apart from what is only written.
 *
 *   orders --> pending FIFO --complete--> platter (survives a crash)
 *
 * A crash keeps a prefix of the pending orders, of the next append perhaps a
 * torn record, and forgets the rest.  Reading back follows the rules of the
 * daemon's log (rule 11): a torn tail is cut, anything else is refused.
 */
#ifndef ORDEAL_TESTS_SIMULATION_DISK_H
#define ORDEAL_TESTS_SIMULATION_DISK_H

#include "harness/base/error.h"
#include "harness/base/rng.h"
#include "replica/vsr.h"
#include "tests/simulation/machine.h"

/* A schedule makes a few thousand entries at most. */
#define SIM_INDEX_MAX 8192u
#define DISK_PENDING_MAX 4096u

enum record_state {
    RECORD_GOOD,
    RECORD_TORN,    /* its write was cut short */
    RECORD_CORRUPT, /* was good and synced once */
};

/* A machine's state as bytes; length 0: a machine that applied nothing. */
struct blob {
    void *data;
    size_t length;
    uint64_t digest; /* of the machine */
};

void blob_clear(struct blob *b);
void blob_copy(struct blob *to, const struct blob *from);
void blob_take(struct blob *b, const struct machine *m);
/* Aborts when it is not what blob_take wrote. */
void blob_restore(const struct blob *b, struct machine *m);

struct record {
    uint64_t view;
    uint8_t kind;
    enum record_state state;
    uint32_t length;
    void *payload;
};

struct disk_order {
    enum vsr_action_type type;
    uint64_t seq, index; /* index: TRUNCATE */
    struct record record;
    struct vsr_metadata metadata;
    struct vsr_position position;
    struct blob state; /* INSTALL */
};

struct disk {
    struct record *log; /* SIM_INDEX_MAX, (first - 1, last] in use */
    uint64_t first, last;
    uint64_t mark; /* synced up to here; durable before anyone is told */
    bool has_metadata;
    struct vsr_metadata metadata;
    struct vsr_position snapshot;
    struct blob state;
    uint64_t *held; /* views that were ever durable here, wiped or not */
    struct disk_order *pending;
    unsigned head, count;
};

/* How the daemon's reader can be wrong. */
struct disk_faults {
    bool keep_torn;    /* takes a torn record for an entry */
    bool cut_corrupt;  /* takes damage in the middle for a torn tail */
    bool ignore_marks; /* does not look at mark, acked and commit */
};

void disk_init(struct disk *d);
void disk_release(struct disk *d);
void disk_order(struct disk *d, const struct vsr_action *a);
/* The staged snapshot of the INSTALL just ordered. */
void disk_order_state(struct disk *d, const struct blob *state);
/* Everything up to 'seq' reaches the platter. */
void disk_complete(struct disk *d, uint64_t seq);
/* Forgets everything up to 'seq' as a failed sync does. */
void disk_lose(struct disk *d, uint64_t seq);
void disk_crash(struct disk *d, struct rng *r);
void disk_wipe(struct disk *d);
/* Damages a synced record in the middle; false when there is none. */
bool disk_corrupt(struct disk *d, struct rng *r);
/* Loses synced records at the end of the log; false when it cannot. */
bool disk_chop(struct disk *d, struct rng *r);
void disk_snapshot(struct disk *d, struct vsr_position position,
                   const struct blob *state);
void disk_drop_front(struct disk *d, uint64_t index);
/* Durable up to index and of that view there (log or snapshot). */
bool disk_holds(const struct disk *d, uint64_t index);
struct vsr_position disk_end(const struct disk *d);

/* Restores and starts 'v'; -1 when it must not start. */
int disk_start(struct disk *d, struct vsr *v, const struct disk_faults *faults,
               uint64_t now_ns, struct machine *engine,
               struct vsr_actions *actions, struct error *err);

#endif
