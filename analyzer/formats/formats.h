/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats there are, and what their readers share.
 *
 * Threads: constants and pure functions.
 */
#ifndef ORDEAL_ANALYZER_FORMATS_FORMATS_H
#define ORDEAL_ANALYZER_FORMATS_FORMATS_H

#include "analyzer/formats/op-map.h"

extern const struct format_ops format_ordeal, format_ordeal_jsonl;
extern const struct format_ops format_jepsen_edn, format_jepsen_json;
extern const struct format_ops format_porcupine_etcd, format_porcupine_kv;
extern const struct format_ops format_limo, format_allocator_jsonl;
extern const struct format_ops format_register_tsv, format_allocdb;

/* input_line for formats of lines: CONFIG when it is no text (RFC 3629). */
int text_line(struct input *in, char **ret, size_t *ret_len,
              uint64_t *ret_number, struct error *err);

/* Text split at spaces and tabs: up to 'cap' words; the last is the rest of
 * the line.  Scribbles NULs into it.  Returns how many. */
unsigned split_words(char *text, char **words, unsigned cap);

/* "invoke", "ok", "fail", "info"; a colon before it is passed over. */
bool record_type_parse(const char *text, enum record_type *ret);

/* An integer, nil, else text: a word of a line-based format. */
struct tree word_tree(const char *word);

#endif
