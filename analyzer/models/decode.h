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

/* DECODED_ERROR with a sentence that names line, model and function. */
enum decoded model_unknown_function(const struct calls *c,
                                    const struct record *r, struct error *err);
enum decoded model_bad_value(const struct calls *c, const struct record *r,
                             const char *what, struct error *err);

/* NULL counts as nil. */
bool tree_is_nil(const struct tree *t);
/* NULL: no list, or no such item. */
const struct tree *tree_item(const struct tree *t, uint32_t i);
bool tree_is_pair(const struct tree *t);

/*
 * Notes whether the call's values carry a key (ret->key is set).  A history
 * where some do and some do not is an error: a pair that is a value would be
 * taken for a key and its value.
 */
enum decoded model_keying(struct calls *c, const struct record *r,
                          const struct call *ret, struct error *err);

/* nil, an integer, else text with or without quotes: model_ops.initial. */
int model_initial_value(struct calls *c, const char *text, uint32_t *ret,
                        struct error *err);

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
void register_describe(const struct calls *c, uint32_t call, struct buf *out);
void register_describe_state(const struct calls *c, const struct model_state *s,
                             struct buf *out);

#endif
