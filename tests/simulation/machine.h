/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of a schedule: the toy (toy.h), whose every answer can be
 * judged at once, or one of the replica's engines, whose answers make a history
 * for the analyzer (history.h).  Operations and answers are plain numbers, so
 * that neither the engines' nor the analyzer's types are needed to pass them
 * on.
 */
#ifndef ORDEAL_TESTS_SIMULATION_MACHINE_H
#define ORDEAL_TESTS_SIMULATION_MACHINE_H

#include "harness/base/buf.h"
#include "harness/base/rng.h"
#include "tests/simulation/toy.h"

enum machine_kind {
    MACHINE_TOY,
    MACHINE_LEASE,
    MACHINE_QUOTA,
    MACHINE_POOL,
    MACHINE_BLOCK,
    MACHINE_COUNT,
};

const char *machine_name(enum machine_kind kind);

/* Planted in the engine; each names the kind that has it. */
enum machine_bug {
    MACHINE_SOUND,
    MACHINE_DOUBLE_ALLOCATION,
    MACHINE_PARTIAL_BUNDLE,
    MACHINE_OVERSPEND,
    MACHINE_OVERCOMMIT,
    MACHINE_STALE_CAS,
};

#define MACHINE_LIST_MAX 3
#define MACHINE_DUE_MAX 16 /* expire entries one tick may cause */
#define MACHINE_DUE_BYTES 64
#define MACHINE_SLOTS_MAX 2000 /* an operation is remembered for so long */
#define MACHINE_BLOCKS 3

/* What a client wants; which fields count depends on the function. */
struct machine_op {
    const char *function; /* as in the API; "read", "tick" */
    const char *what;     /* read: "resource", "lease", "block" */
    uint64_t operation, client;
    uint64_t a, b, n, m;
    unsigned list_count;
    uint64_t list[MACHINE_LIST_MAX];
};

struct machine_expired {
    uint64_t lease, deadline, index;
    unsigned list_count;
    uint64_t list[MACHINE_LIST_MAX];
};

struct machine_answer {
    const char *code;
    bool recorded, cached, has_lease, has_deadline, found, retired;
    uint64_t view, index, slot; /* reads: index is what was applied */
    uint64_t lease, epoch, deadline;
    int64_t balance; /* -1: not told */
    uint64_t version, value;
    /* reads */
    const char *state;
    uint64_t holder, created;
    unsigned list_count;
    uint64_t list[MACHINE_LIST_MAX];
    /* ticks */
    unsigned expired_count;
    struct machine_expired expired[MACHINE_DUE_MAX];
};

struct machine {
    enum machine_kind kind;
    enum machine_bug bug;
    uint64_t index; /* of the last entry applied */
    struct toy_state toy;
    struct engine *engine; /* NULL: the toy */
};

struct machine_result {
    uint64_t client, sequence, value;
    uint64_t version; /* the answer, as a number that grows */
    bool cached;      /* it came from the dedupe table */
    bool early;       /* something expired before its deadline */
    bool malformed;   /* not what a client or host encoded */
    struct machine_answer answer;
};

void machine_init(struct machine *m, enum machine_kind kind,
                  enum machine_bug bug);
void machine_release(struct machine *m);

struct machine_result machine_apply(struct machine *m,
                                    const struct vsr_entry *e);
uint64_t machine_digest(const struct machine *m);
/* Grows with every write: what reads must not fall behind. */
uint64_t machine_version(const struct machine *m);
uint64_t machine_slot(const struct machine *m);

/* The state as bytes; load starts afresh, false: not what save wrote. */
void machine_save(const struct machine *m, struct buf *out);
bool machine_load(struct machine *m, const void *data, size_t length);

/* What comes next, of the functions of the kind; 'recent' are ids that answers
 * told lately. */
void machine_draw(enum machine_kind kind, struct rng *r, const uint64_t *recent,
                  unsigned recent_count, struct machine_op *ret);
/* The payload of a write or tick; returns its length. */
uint32_t machine_encode(enum machine_kind kind, const struct machine_op *op,
                        void *buf);
void machine_read(const struct machine *m, const struct machine_op *op,
                  struct machine_answer *ret);

/* The payloads that are due at 'slot'; returns how many. */
unsigned machine_plan(const struct machine *m, uint64_t slot,
                      uint8_t payloads[][MACHINE_DUE_BYTES],
                      uint32_t lengths[static MACHINE_DUE_MAX]);

#endif
