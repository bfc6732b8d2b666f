/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: a history as a model sees it, in columns, immutable once finished.
 * A call is one operation of a data type with its arguments, its result and
 * its interval.
 *
 *   calls_new -> calls_add (a record_sink) ... -> calls_finish -> engines
 *
 * Values are numbers ("value numbers"): a small natural stands for itself,
 * everything else is interned once.  Equal values have equal numbers.
 *
 * Intervals: events are ranked by their order in the file, from 0; a call lives
 * from rank 'invoke' to rank 'complete', both inclusive.  A call whose outcome
 * is unknown is open: it may take effect at any time after its invocation, or
 * never; its complete is CALL_OPEN.  Calls are stored in the order of invoke.
 *
 * Folding (docs/CHECKERS.md): attempts with one operation id and the same
 * contents are one call from the first invocation to the first recorded answer;
 * calls that certainly did not happen are left out.  What a failed attempt
 * still tells (a refused compare-and-set) is the model's to say.
 *
 * Threads: one builds; afterwards any number may read.
 */
#ifndef ORDEAL_ANALYZER_CALLS_H
#define ORDEAL_ANALYZER_CALLS_H

#include "analyzer/formats/format.h"
#include "harness/base/arena.h"

#define CALL_OPEN UINT32_MAX
#define CALLS_MAX (UINT32_MAX - 1u)

/* Value numbers. */
#define VALUE_NIL UINT32_MAX          /* nil, null, unset */
#define VALUE_ABSENT (UINT32_MAX - 1) /* nothing is said */
#define VALUE_SMALL_MAX 0x7fffffffu   /* up to here a number is itself */

#define CALL_COLUMNS(X)                                                        \
    X(uint8_t, function) /* of the model */                                    \
    X(uint32_t, process)                                                       \
    X(uint32_t, invoke)   /* rank */                                           \
    X(uint32_t, complete) /* rank, or CALL_OPEN */                             \
    X(uint32_t, key) /* what it works on; VALUE_ABSENT: all calls share */     \
    X(uint32_t, a)   /* arguments, by the model */                             \
    X(uint32_t, b)                                                             \
    X(uint32_t, result)                                                        \
    X(uint32_t, list)     /* in lists: further words; 0: none */               \
    X(uint32_t, line)     /* of the invocation in the file */                  \
    X(uint32_t, end_line) /* of the answer, or of what said that it is         \
                             unknown; 0: nothing came */

#define CALL_COLUMN(type, name) type *name;

struct model_ops;

struct calls {
    const struct model_ops *model;
    uint32_t count, cap;
    CALL_COLUMNS(CALL_COLUMN)
    uint64_t *position; /* NULL: no call has one; else per call, or
                           RECORD_POSITION_NONE */
    /* lists[call.list] is the length, the words follow. */
    uint32_t *lists;
    uint32_t list_count, list_cap;
    uint32_t rank_count; /* events */
    uint32_t initial;    /* value number the state begins with, or ABSENT */
    bool strict;         /* meaning of fail: CALLS_STRICT (below) */
    uint8_t keying;      /* kept by decode: whether values carry keys; 0: none
                            was seen */
    /* Set when folding itself found a contradiction: differing answers of one
     * operation id.  Two ranks' lines and words; NULL: none. */
    const char *contradiction;
    uint32_t contradiction_lines[2];
    struct values *values;     /* values.c */
    struct building *building; /* calls.c; NULL once finished */
};

/*
 * The two documented meanings of "fail" and of an answer without a value:
 *   strict   a failed compare-and-set was observed: the state was not 'from'; a
 *            read that answers nil saw the empty state
 *   knossos  what failed did not happen and tells nothing; a read that answers
 *            nil may have seen anything
 */
struct calls_options {
    const struct model_ops *model;
    bool knossos;
    const char *initial; /* text of --initial, or NULL: the model's default */
};

/* NULL and CONFIG when 'initial' makes no sense to the model. */
struct calls *calls_new(const struct calls_options *options, struct error *err);
void calls_free(struct calls *c);
void calls_free_p(struct calls **p);

/* A record_sink; 'arg' is the struct calls.  CONFIG with "LINE: what is wrong":
 * a process with two calls at once, a completion without invocation, contents
 * the model does not know. */
int calls_add(void *arg, const struct record *r, struct error *err);

/* After the last record: what never completed is open. */
int calls_finish(struct calls *c, struct error *err);

/* For generators and tests: a finished table straight from columns.
 * calls_append returns the index; ranks are given by the caller, invoke rising.
 */
struct calls *calls_new_raw(const struct model_ops *model);
uint32_t calls_append(struct calls *c, uint8_t function, uint32_t process,
                      uint32_t invoke, uint32_t complete);
uint32_t calls_list(struct calls *c, const uint32_t *words, uint32_t count);

/* ---- values ---- */

/*
 * The number of a value; lists and maps are interned by contents.  A keyword
 * and a string of one text are the same, and so are 2 and 2.0.
 */
uint32_t value_number(struct calls *c, const struct tree *t);
uint32_t value_of_int(struct calls *c, int64_t n);
uint32_t value_of_text(struct calls *c, const char *text, size_t len);

/* False: it is no integer. */
bool value_to_int(const struct calls *c, uint32_t number, int64_t *ret);
/* NULL: it is no text (string or keyword). */
const char *value_to_text(const struct calls *c, uint32_t number, size_t *len);

/* For people, at most 'size' bytes with the NUL: 5, nil, "x", [1 2]. */
const char *value_print(const struct calls *c, uint32_t number, char *buf,
                        size_t size);

/* The length and words of a call's list; no list: 0, NULL. */
static inline uint32_t
call_list_count(const struct calls *c, uint32_t call)
{
    return c->list[call] == 0 ? 0 : c->lists[c->list[call]];
}

static inline const uint32_t *
call_list(const struct calls *c, uint32_t call)
{
    return c->list[call] == 0 ? NULL : &c->lists[c->list[call] + 1];
}

#endif
