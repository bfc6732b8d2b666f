/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models: what a correct data type may answer.  One model is one small file of
 * pure functions that exports one const struct model_ops; registry.c lists
 * them.  docs/MODELS.md shows how to add one.
 *
 * A sequential model is decode + init + step; every engine can then search it.
 * A model may bring exact engines of its own (engines/engine.h), which are
 * asked first; one without step (transactions, sets with lag) has only those.
 *
 * Threads: pure functions over immutable calls.
 */
#ifndef ORDEAL_ANALYZER_MODELS_MODEL_H
#define ORDEAL_ANALYZER_MODELS_MODEL_H

#include "analyzer/calls.h"

struct buf;
struct engine_ops;

/* A state is a string of words; equal states have equal words. */
#define MODEL_STATE_WORDS_MAX 65536
struct model_state {
    uint32_t count, cap;
    uint32_t *words;
};

void model_state_release(struct model_state *s);
void model_state_resize(struct model_state *s,
                        uint32_t count); /* new words are zero */
void model_state_copy(struct model_state *to, const struct model_state *from);

/* One call as decoded from its records, before it has a place in the columns.
 */
struct call {
    uint8_t function;
    uint32_t key, a, b, result;
    uint32_t list; /* made with calls_list, or 0 */
};

/* What a completion makes of a call. */
enum decoded {
    DECODED_CALL,  /* it happened, with this result */
    DECODED_OPEN,  /* it may have happened (result is ABSENT) */
    DECODED_DROP,  /* it tells nothing: left out */
    DECODED_ERROR, /* no such contents; 'err' says what */
};

/*
 * A subject (a lease, a hold) has a life of its own: an order stays one when
 * all calls about it are struck out, but for calls that need its places.
 */
struct model_stake {
    uint32_t subject;  /* VALUE_ABSENT: none, or nobody knows which */
    bool idle;         /* as it was recorded, it can only forbid */
    bool founds;       /* makes a place be there */
    bool needs_places; /* whoever is at the keys it touches matters to it */
    bool needs_all;    /* everything matters to it */
    bool shakes_all;   /* it may have done anything */
};

struct model_ops {
    const char *name, *description; /* one line */
    const char *const *aliases;     /* NULL-terminated, or NULL */
    const char *const *functions;   /* names by number, NULL-terminated */

    /*
     * From records to a call.  'end' is the completion (RECORD_OK, RECORD_FAIL
     * or RECORD_INFO), or NULL: none came.  Interns values in 'c'; fills *ret,
     * which comes with key, a, b, result ABSENT and list 0.
     */
    enum decoded (*decode)(struct calls *c, const struct record *invoke,
                           const struct record *end, struct call *ret,
                           struct error *err);

    /* Called once, by calls_finish, when all calls are in their columns: may
     * fill in what only all of them together tell (what a lease that a command
     * names consists of).  NULL: nothing. */
    void (*prepare)(struct calls *c);

    /* Text of --initial to a value number; NULL: the model takes none. */
    int (*initial)(struct calls *c, const char *text, uint32_t *ret,
                   struct error *err);

    /* The first state of the calls with this key.  'out' comes empty. */
    void (*init)(const struct calls *c, uint32_t key, struct model_state *out);

    /*
     * Whether the call may happen in 'in' with its result (any result if it is
     * open: VALUE_ABSENT), and the state after it.  'out' may hold anything
     * before.  Deterministic: one state follows.  Of the call it looks only at
     * function, key, a, b, result, list and whether it is open: calls that
     * agree in these are one to the engines (never process, ranks or lines).
     * NULL: no sequential model.
     */
    bool (*step)(const struct calls *c, uint32_t call,
                 const struct model_state *in, struct model_state *out);

    /*
     * step in place, for replaying an order of millions: the state begins as
     * init makes it and has whatever form suits afterwards; nobody else looks
     * at it.  NULL: step, which copies.
     */
    bool (*apply)(const struct calls *c, uint32_t call,
                  struct model_state *state);

    /* Never changes the state, whatever it is; NULL: none is known to. */
    bool (*pure)(const struct calls *c, uint32_t call);

    /*
     * Whether the open call x can do whatever the open call y can: wherever y
     * is legal x is legal too, and the same state follows.  Saves the searches
     * from trying which of them it was.  NULL: only equal calls can.
     */
    bool (*covers)(const struct calls *c, uint32_t x, uint32_t y);

    /*
     * The keys a call works on when that may be several; at most 'cap', the
     * number of all is returned.  Calls that share no key, directly or through
     * others, are judged apart.  NULL: the key column alone.  With several keys
     * init is given VALUE_ABSENT, and states must grow only with what the calls
     * touch.
     */
    uint32_t (*touches)(const struct calls *c, uint32_t call, uint32_t *ret,
                        uint32_t cap);

    /*
     * What the call has at stake in a part of the history (explain/relevant.h);
     * *ret comes empty.  NULL: nothing is known, every call may matter to every
     * other.
     */
    void (*stake)(const struct calls *c, uint32_t call,
                  struct model_stake *ret);

    /*
     * A state that allows whatever any state does in which things may be after
     * the call, however long ago; false: none, or that of another such call.
     * NULL: not known.  Only of models without 'touches'.
     */
    bool (*anything)(const struct calls *c, uint32_t call,
                     struct model_state *out);

    /* "cas 1 -> 2: ok"; "write 3 (unknown)".  Appends. */
    void (*describe)(const struct calls *c, uint32_t call, struct buf *out);
    /* "the register holds 3".  Appends.  NULL: words are printed. */
    void (*describe_state)(const struct calls *c, const struct model_state *s,
                           struct buf *out);

    /*
     * The system keeps the record of an operation id for a while only, so a
     * late attempt may execute again: two answers of one id contradict nothing,
     * but the folded call does not say what happened.
     */
    bool forgets;

    /* Asked in this order before the general engines; NULL-terminated. */
    const struct engine_ops *const *exact;
};

extern const struct model_ops *const model_registry[]; /* NULL-terminated */
const struct model_ops *model_find(const char *name);  /* NULL: none */

/* The model's own words, or the function and its numbers. */
void model_describe(const struct calls *c, uint32_t call, struct buf *out);

/* The number of a function in model->functions; -1: none. */
int model_function(const struct model_ops *m, const char *name);

#endif
