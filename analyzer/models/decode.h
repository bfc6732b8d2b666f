/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the models' decode and describe functions share.  A model that needs
 * none of it includes model.h alone.
 *
 * Threads: as model.h.
 */
#ifndef ORDEAL_ANALYZER_MODELS_DECODE_H
#define ORDEAL_ANALYZER_MODELS_DECODE_H

#include "analyzer/models/functions.h"
#include "analyzer/models/model.h"
#include "harness/base/buf.h"

/* ---- records ---- */

enum ended { ENDED_OPEN, ENDED_OK, ENDED_FAIL };

/* What came of a call; 'end' NULL: nothing ever. */
enum ended model_ended(const struct record *end);

/* DECODED_ERROR with a sentence that names model and function. */
enum decoded model_unknown_function(const struct calls *c,
                                    const struct record *r, struct error *err);
enum decoded model_bad_value(const struct calls *c, const struct record *r,
                             const char *what, struct error *err);

/* Other people's names for the functions of a model. */
struct function_alias {
    const char *name;
    uint8_t function;
};
/* By the model's own names, then by 'aliases' (ends with a NULL name; may be
 * NULL).  False: there is none. */
bool model_named_function(const struct calls *c, const struct record *r,
                          const struct function_alias *aliases, uint8_t *ret);

/* For calls that happened, may have happened, or did not and tell nothing. */
enum decoded model_plain_end(const struct record *end);

/* NULL counts as nil. */
bool tree_is_nil(const struct tree *t);
/* NULL: no list, or no such item. */
const struct tree *tree_item(const struct tree *t, uint32_t i);
bool tree_is_pair(const struct tree *t);
/* A text; "resource-busy" is "resource_busy". */
bool tree_is_word(const struct tree *t, const char *name);

/* Of maps: the number of a field (ABSENT: not there); a field that is an
 * integer and not negative (false: there is none). */
uint32_t model_field(struct calls *c, const struct tree *map, const char *name);
bool model_field_natural(const struct tree *map, const char *name,
                         int64_t *ret);
/* The place of an answer's "code" in 'codes' (NULL-terminated): 0, which is ok,
 * when there is none, and the number of codes for one that is not known. */
uint32_t model_code(const struct tree *answer, const char *const *codes);

/* Whether a read of our own histories is to be judged: its "claim" is
 * linearizable, or it makes none. */
bool model_claims_linearizable(const struct record *invoke);

/* The key of the record when its format has keys, or that of a pair
 * [key value] as jepsen.independent writes them ('pairs'); returns the bare
 * value. */
const struct tree *model_bare_value(struct calls *c, const struct record *r,
                                    bool pairs, struct call *ret);

/*
 * Notes whether the call's values carry a key (ret->key is set).  A history
 * where some do and some do not is an error: a pair that is a value would be
 * taken for a key and its value.
 */
enum decoded model_keying(struct calls *c, const struct record *r,
                          const struct call *ret, struct error *err);

/* The value's number, nil's when there is none. */
uint32_t model_value_or_nil(struct calls *c, const struct tree *t);

/* A list in the calls from words collected one by one. */
struct model_words {
    uint32_t *words;
    uint32_t count, cap;
};
void model_words_add(struct model_words *w, uint32_t word);
void model_words_add64(struct model_words *w, int64_t n);
/* Makes the list (0 when there are no words) and frees them. */
uint32_t model_words_list(struct calls *c, struct model_words *w);
/* Sorts; equal ones become one. */
void model_words_unique(struct model_words *w);

/* nil, an integer, else text with or without quotes: model_ops.initial. */
int model_initial_value(struct calls *c, const char *text, uint32_t *ret,
                        struct error *err);

/* An integer, else CONFIG. */
int model_initial_int(struct calls *c, const char *text, uint32_t *ret,
                      struct error *err);

/* ---- numbers of 64 bits in states and lists ---- */

static inline int64_t
model_get64(const uint32_t *words)
{
    return (int64_t)((uint64_t)words[0] | (uint64_t)words[1] << 32);
}

static inline void
model_put64(uint32_t *words, int64_t n)
{
    words[0] = (uint32_t)(uint64_t)n;
    words[1] = (uint32_t)((uint64_t)n >> 32);
}

/* Where 'word' is in the rising words, or where it belongs. */
uint32_t model_search(const uint32_t *words, uint32_t count, uint32_t word);

/* ---- words: all append ---- */

void model_words_value(const struct calls *c, uint32_t number, struct buf *out);
/* " KEY", or nothing when all calls share one. */
void model_words_key(const struct calls *c, uint32_t call, struct buf *out);
/* ": ok", ": RESULT", " (unknown)". */
void model_words_result(const struct calls *c, uint32_t call, struct buf *out);

/* ---- register.c, for its kin ---- */

enum decoded register_decode(struct calls *c, const struct record *invoke,
                             const struct record *end, struct call *ret,
                             struct error *err);
void register_init(const struct calls *c, uint32_t key,
                   struct model_state *out);
bool register_step(const struct calls *c, uint32_t call,
                   const struct model_state *in, struct model_state *out);
bool register_pure(const struct calls *c, uint32_t call);
bool register_covers(const struct calls *c, uint32_t x, uint32_t y);
void register_describe(const struct calls *c, uint32_t call, struct buf *out);
void register_describe_state(const struct calls *c, const struct model_state *s,
                             struct buf *out);

/* ---- mutex.c, for the fenced lock and the lease ---- */

/* Fills in key, owner (a), and the token of an acquisition (result) or of a
 * later command (b). */
void lock_decode_words(struct calls *c, const struct record *invoke,
                       const struct record *end, bool acquires,
                       struct call *ret);
enum decoded lock_decode(struct calls *c, const struct record *invoke,
                         const struct record *end, struct call *ret,
                         struct error *err);
void lock_describe(const struct calls *c, uint32_t call, struct buf *out);

/* ---- fifo-queue.c, for the stack ---- */

/* Function 0 puts a value in, function 1 takes one out. */
enum decoded queue_decode(struct calls *c, const struct record *invoke,
                          const struct record *end,
                          const struct function_alias *aliases,
                          struct call *ret, struct error *err);
void model_init_empty(const struct calls *c, uint32_t key,
                      struct model_state *out);
void queue_describe(const struct calls *c, uint32_t call, struct buf *out);

/* " holds A, B, C" or " is empty", at most so many of them. */
void model_words_contents(const struct calls *c, const uint32_t *words,
                          uint32_t count, struct buf *out);

#endif
