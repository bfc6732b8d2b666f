/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operation table: what a history says, once, in columns, and immutable
 * after table_finish().  Every checker reads it and nothing else.
 *
 *   table_new -> table_add ... table_add -> table_finish -> (checkers) -> free
 *
 * Interpretation (docs/CHECKERS.md, "From attempts to operations"):
 *  - attempts of mutations with the same operation id and the same contents are
 *    one operation; the same id with other contents is another operation;
 *    reads, ticks and mutations without an id never fold;
 *  - an operation begins with its first invocation and ends at the first answer
 *    that the system recorded (EVENT_OK); without one it is open;
 *  - it is OUTCOME_FAIL only if every attempt is; an attempt whose completion
 *    never came is unknown.
 *
 * A history that breaks its own rules (a completion without invocation, a
 * process with two attempts at once, an unknown function, a missing field) is
 * cut there: table->cut says why, the part before it is judged, and nothing is
 * called valid.
 *
 * Event numbers order everything: the file's order is the order of time.
 *
 * Threads: one thread builds; afterwards any number may read.
 */
#ifndef ORDEAL_ANALYZER_TABLE_H
#define ORDEAL_ANALYZER_TABLE_H

#include <jansson.h>

#include "analyzer/map.h"
#include "harness/base/history.h"

#define TABLE_NONE UINT32_MAX
#define TABLE_EVENTS_MAX (UINT32_MAX - 1u)

enum function {
    FUNCTION_CREATE_RESOURCE,
    FUNCTION_RESERVE,
    FUNCTION_RESERVE_BUNDLE,
    FUNCTION_CONFIRM,
    FUNCTION_RELEASE,
    FUNCTION_REVOKE,
    FUNCTION_RECLAIM,
    /* Of quotas, pools and blocks: decode-engines.c. */
    FUNCTION_CREATE_BUCKET,
    FUNCTION_DEBIT,
    FUNCTION_CREATE_POOL,
    FUNCTION_PLACE_HOLD,
    FUNCTION_CONFIRM_HOLD,
    FUNCTION_RELEASE_HOLD,
    FUNCTION_EXPIRE_HOLD,
    FUNCTION_WRITE,
    FUNCTION_CAS,
    /* Before: mutations; after: reads. */
    FUNCTION_TICK,
    FUNCTION_GET_RESOURCE,
    FUNCTION_GET_LEASE,
    FUNCTION_GET_BUCKET,
    FUNCTION_GET_POOL,
    FUNCTION_GET_HOLD,
    FUNCTION_GET_BLOCK,
};
#define FUNCTION_COUNT 23

enum code {
    CODE_OK,
    CODE_NOOP,
    CODE_ALREADY_EXISTS,
    CODE_RESOURCE_TABLE_FULL,
    CODE_RESOURCE_NOT_FOUND,
    CODE_RESOURCE_BUSY,
    CODE_BUNDLE_TOO_LARGE,
    CODE_TTL_OUT_OF_RANGE,
    CODE_RESERVATION_TABLE_FULL,
    CODE_RESERVATION_MEMBER_TABLE_FULL,
    CODE_RESERVATION_NOT_FOUND,
    CODE_RESERVATION_RETIRED,
    CODE_EXPIRATION_INDEX_FULL,
    CODE_INVALID_STATE,
    CODE_HOLDER_MISMATCH,
    CODE_STALE_EPOCH,
    CODE_BUCKET_TABLE_FULL,
    CODE_BUCKET_NOT_FOUND,
    CODE_INSUFFICIENT_FUNDS,
    CODE_POOL_TABLE_FULL,
    CODE_POOL_NOT_FOUND,
    CODE_HOLD_TABLE_FULL,
    CODE_HOLD_NOT_FOUND,
    CODE_HOLD_EXPIRED,
    CODE_INSUFFICIENT_CAPACITY,
    CODE_BLOCK_NOT_FOUND,
    CODE_VALUE_MISMATCH,
    CODE_OTHER, /* a word this analyzer does not know */
};
#define CODE_COUNT 28

enum state {
    STATE_RESERVED,
    STATE_ACTIVE,
    STATE_REVOKING,
    STATE_RELEASED,
    STATE_EXPIRED,
    STATE_REVOKED,
    STATE_AVAILABLE, /* of a resource */
    STATE_OTHER,
};
#define STATE_COUNT 8

enum attempt_outcome { OUTCOME_OK, OUTCOME_FAIL, OUTCOME_UNKNOWN };
enum claim { CLAIM_LINEARIZABLE, CLAIM_FENCED, CLAIM_ANY };

/* A run of numbers in table->lists. */
struct span {
    uint32_t first, count;
};

/* What one attempt was answered (EVENT_OK); fields not given hold 'none'. */
#define SLOT_NONE INT64_MIN
#define INDEX_NONE UINT64_MAX
struct answer {
    uint32_t operation, attempt, event;
    uint16_t node; /* in table->names; 0: none */
    uint8_t code;  /* enum code */
    uint8_t state; /* enum state, of reads */
    bool cached, found, retired;
    uint32_t lease, holder; /* in table->ids, or TABLE_NONE */
    uint64_t term, index;   /* position; index may be INDEX_NONE */
    uint64_t applied;       /* INDEX_NONE: not given */
    int64_t slot, epoch, deadline, version, created;
    struct span resources;
    uint32_t expired_first, expired_count; /* rows, of ticks */
};

/* One lease in the answer of a tick. */
struct expired {
    uint32_t operation, lease;
    int64_t deadline;
    uint64_t index;
    struct span resources;
};

#define OPERATION_COLUMNS(X)                                                   \
    X(uint8_t, function)                                                       \
    X(uint8_t, outcome)                                                        \
    X(uint8_t, claim)                                                          \
    X(struct id128, id)       /* zero: none */                                 \
    X(int64_t, client)        /* -1: none */                                   \
    X(uint32_t, holder)       /* in ids */                                     \
    X(uint32_t, lease)        /* in ids */                                     \
    X(struct span, resources) /* of ids */                                     \
    X(int64_t, amount)        /* ttl, epoch, or a tick's slot */               \
    X(uint64_t, required)     /* the fence of a read */                        \
    X(uint32_t, invoke)       /* event */                                      \
    X(uint32_t, end)          /* event of the first answer, or NONE */         \
    X(uint32_t, answer)       /* that answer, or NONE */                       \
    X(uint32_t, attempt_first)                                                 \
    X(uint32_t, attempt_last)                                                  \
    X(uint32_t, attempt_count)                                                 \
    X(uint32_t, same_id_next) /* another operation with this id */

#define ATTEMPT_COLUMNS(X)                                                     \
    X(uint32_t, operation)                                                     \
    X(uint32_t, process)                                                       \
    X(uint32_t, number)                                                        \
    X(uint32_t, invoke)   /* event */                                          \
    X(uint32_t, complete) /* event, or NONE */                                 \
    X(int64_t, invoke_ns)                                                      \
    X(int64_t, complete_ns)                                                    \
    X(uint8_t, outcome)                                                        \
    X(uint32_t, answer) /* or NONE */                                          \
    X(uint16_t, node)   /* in names, 0: none */                                \
    X(uint16_t, error)  /* in names, 0: none */                                \
    X(uint32_t, next)   /* of the same operation */

#define TABLE_COLUMN(type, name) type *name;
struct operations {
    uint32_t count, cap;
    OPERATION_COLUMNS(TABLE_COLUMN)
};
struct attempts {
    uint32_t count, cap;
    ATTEMPT_COLUMNS(TABLE_COLUMN)
};

/* Bounds and windows of the system, from meta "limits". */
struct limits {
    int64_t resources, reservations, bundle, members, bucket;
    int64_t ttl_slots, retry_slots, history_slots;
};

/* A fault or a note, kept whole: they are few. */
struct remark {
    uint32_t event;
    int64_t time_ns;
    bool fault;
    uint16_t node;
    const char *function;
    struct fields fields;
};

/* An id and its number in table->ids; TABLE_NONE: nothing is kept here. */
struct recent_id {
    struct id128 id;
    uint32_t number;
};

/* Holders, resources and leases come again soon: of most ids the number is
 * among these, without a look into a large map.  A power of two. */
#define TABLE_RECENT_IDS 256

/* Processes are counted up from 0, as a rule: these have an array. */
#define TABLE_PROCESSES_DIRECT 65536u

struct table {
    struct arena arena;
    json_t *meta;      /* own reference */
    const char *model; /* "allocator", "quota", ...; of meta */
    bool positions_total, is_run;
    struct limits limits;

    struct operations operations;
    struct attempts attempts;
    struct answer *answers;
    uint32_t answer_count, answer_cap;
    struct expired *expired;
    uint32_t expired_count, expired_cap;
    uint32_t *lists;
    uint32_t list_count, list_cap;
    struct id128 *ids;
    uint32_t id_count, id_cap;
    const char **names;
    uint32_t name_count, name_cap;
    struct remark *remarks;
    uint32_t remark_count, remark_cap;

    uint32_t event_count;
    int64_t first_ns, last_ns;
    bool sealed;
    uint64_t dropped_bytes;
    const char *cut; /* why judging ends before the file does; NULL: no cut */

    /* While building. */
    struct map id_map, operation_map;
    struct map process_map; /* of large numbers; the others: */
    uint32_t *process_attempts;
    uint32_t process_cap;
    struct recent_id recent[TABLE_RECENT_IDS]; /* by the low bits of an id */
};

/* Borrows meta (a JSON object, or NULL). */
struct table *table_new(const json_t *meta);
void table_free(struct table *t);
void table_free_p(struct table **p);

/* Events in file order.  Never fails: a bad event cuts the table. */
void table_add(struct table *t, const struct event *e);

/* 'sealed' and 'dropped_bytes' as the reader says; 'damage' NULL, or why the
 * reader stopped. */
void table_finish(struct table *t, bool sealed, uint64_t dropped_bytes,
                  const char *damage);

/* Cuts the table with a reason (used while building). */
void table_cut(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * The system answered operation_conflict: its dedupe table holds other
 * contents for the id, which it would not had an earlier attempt executed.
 */
bool operation_id_was_taken(const struct table *t, uint32_t op);

static inline bool
function_is_mutation(enum function f)
{
    return f < FUNCTION_TICK;
}

static inline bool
function_is_reserve(enum function f)
{
    return f == FUNCTION_RESERVE || f == FUNCTION_RESERVE_BUNDLE;
}

static inline bool
function_is_read(enum function f)
{
    return f > FUNCTION_TICK;
}

const char *function_name(enum function f);
/* Of short words, most of which differ in their first letters: a call of
 * strcmp() takes longer. */
static inline bool
table_same_word(const char *a, const char *b)
{
    while (*a == *b) {
        if (*a == '\0')
            return true;
        a++;
        b++;
    }
    return false;
}

/* False, and *ret as it was: no function has that name. */
bool function_find(const char *name, enum function *ret);
const char *code_name(enum code code);
const char *state_name(enum state state);

/* ---- decode.c: fields of an event to columns; -1 and a cut on bad ones ----
 */

struct invocation {
    enum function function;
    enum claim claim;
    int64_t client, amount;
    uint64_t required;
    uint32_t holder, lease;
    struct span resources;
};
int decode_invocation(struct table *t, const struct event *e,
                      struct invocation *ret);
int decode_answer(struct table *t, const struct event *e, enum function f,
                  struct answer *ret);

/*
 * ---- decode-engines.c: quotas, pools and blocks ----
 *
 * Their objects and numbers stand in the span 'resources' of an operation, and
 * of a read's answer, in the order of these enums; 'amount' of an operation is
 * what a debit takes, a pool's total, a hold's quantity or the value written.
 */
enum { BUCKET_ID, BUCKET_LIMIT, BUCKET_INITIAL, BUCKET_REFILL };
enum { POOL_ID }; /* of create_pool and place_hold */
enum { PLACE_POOL, PLACE_HOLD, PLACE_DEADLINE };
enum { HOLD_ID };
enum { BLOCK_ID, BLOCK_EXPECTED };
enum { READ_BUCKET_LIMIT, READ_BUCKET_BALANCE };
enum { READ_POOL_TOTAL, READ_POOL_HELD, READ_POOL_CONSUMED };
/* A block's version is in the answer's own column. */
enum { READ_BLOCK_VALUE };

int decode_engine_invocation(struct table *t, const struct event *e,
                             struct invocation *ret);
int decode_engine_read(struct table *t, const struct event *e, enum function f,
                       struct answer *ret);

/* A number of a span; one that is not there is -1. */
int64_t table_number(const struct table *t, struct span span, unsigned i);

/* For decoders: appends to 'lists', which the span ends with. */
void table_list_push(struct table *t, uint32_t id);

uint32_t table_intern(struct table *t, struct id128 id);
uint16_t table_name(struct table *t, const char *name);

#endif
