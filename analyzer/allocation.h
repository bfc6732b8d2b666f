/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search behind the checker `linearizable`: where a replay in the order of
 * positions does not succeed, the operation table is made into calls of a model
 * and given to the general engines (analyzer/check.h).
 *
 *   table + facts --allocation_make--> calls --check_calls--> verdict
 *
 * A call is an execution: an operation, an attempt where the dedupe window may
 * have passed between attempts (the record is then part of the state), a row of
 * a tick, a read; and, open, what nobody was told of: unanswered executions,
 * ticks, and expirations by ticks without an answer.  An unanswered reserve is
 * there once for each lease without a known maker that it may have made.
 *
 * The state is all that the allocator's rules ask for (docs/CHECKERS.md, "The
 * allocator model"), so an order that replays is a proof.  For a part of the
 * history, the operations on resources that bundles or leases connect, with all
 * ticks, the tables that all share are not known; what depends on them is
 * accepted, so that an invalid part makes the whole invalid.
 *
 * Threads: calls on different objects are independent.
 */
#ifndef ORDEAL_ANALYZER_ALLOCATION_H
#define ORDEAL_ANALYZER_ALLOCATION_H

#include "analyzer/calls.h"
#include "analyzer/checker.h"

/* Beyond the table's functions. */
enum { ALLOCATION_ROW = FUNCTION_COUNT, ALLOCATION_EXPIRE };

#define ALLOCATION_NONE UINT32_MAX

/* A list that all calls share; calls->initial is its number. */
enum allocation_params {
    PARAM_FLAGS,
    PARAM_LEASES, /* with an id, numbered by it; from here on: nameless */
    PARAM_RESOURCES = 2, /* limits, two words each */
    PARAM_RESERVATIONS = 4,
    PARAM_BUNDLE = 6,
    PARAM_MEMBERS = 8,
    PARAM_BUCKET = 10,
    PARAM_TTL = 12,
    PARAM_WINDOW = 14,
    PARAM_HISTORY = 16,
    PARAM_WORDS = 18,
};
#define ALLOCATION_WHOLE 1u     /* all of the history: tables are judged */
#define ALLOCATION_POSITIONS 2u /* an answer stands where it was executed */
#define ALLOCATION_ONE_SHARD 4u /* ids of leases are of one row of numbers */

/* Of every list. */
enum { WORD_SLOT = 0, WORD_COMMON = 2 };

/* Of a mutation; then the numbers of its resources, as they were named.  A
 * tick has the first two alone. */
enum allocation_mutation_words {
    WORD_AMOUNT = WORD_COMMON,
    WORD_HOLDER = 4,
    WORD_LEASE,        /* it works on */
    WORD_TOLD,         /* lease in the answer */
    WORD_EPOCH,        /* in the answer; two words */
    WORD_DEADLINE = 9, /* in the answer; two words */
    WORD_MAKES = 11,   /* the lease that a reserve makes */
    WORD_MARK,         /* of open calls of which at most one happens */
    WORD_ONCE,         /* a lease that several may make: one does */
    WORD_GROUP,        /* of executions that share an operation id */
    WORD_CONTENTS,     /* differs where the operation does */
    WORD_MEMBERS,
};

/* Of a row or an unseen expiry: the lease; of a row then: */
enum allocation_row_words {
    WORD_ROW_LEASE = WORD_COMMON,
    WORD_ROW_DEADLINE,
    WORD_ROW_MEMBERS = 5,
};

enum allocation_read_words {
    WORD_READ_OBJECT = WORD_COMMON, /* resource, or lease */
    WORD_READ_FLAGS,
    WORD_READ_STATE,
    WORD_READ_LEASE,
    WORD_READ_HOLDER,
    WORD_READ_EPOCH = 7, /* two words each */
    WORD_READ_DEADLINE = 9,
    WORD_READ_VERSION = 11,
    WORD_READ_MEMBERS = 13,
};
#define READ_FOUND 1u
#define READ_RETIRED 2u

extern const struct model_ops model_allocation;

struct allocation {
    struct calls *calls;
    uint32_t *operation; /* by call */
};

/* The histories that can be made into calls, cut into parts. */
struct allocation_source;

/* NULL: it cannot be searched, with the reason. */
struct allocation_source *allocation_source_new(const struct facts *f,
                                                char reason[REASON_TEXT_MAX]);
void allocation_source_free(struct allocation_source *s);
void allocation_source_free_p(struct allocation_source **s);
uint32_t allocation_parts(const struct allocation_source *s);

/*
 * The calls of a part, or of the whole (ALLOCATION_NONE), in real time.  With
 * 'positions' the answered ones stand in the order of their positions, one
 * after the other; false, with the reason: they do not agree with real time.
 */
bool allocation_make(const struct allocation_source *s, uint32_t part,
                     bool positions, struct allocation *ret,
                     char reason[REASON_TEXT_MAX]);
void allocation_release(struct allocation *a);

/* Judges what the replay did not explain; 'hint' is where it stuck. */
void allocation_search(struct checker_run *run, const char *hint);

#endif
