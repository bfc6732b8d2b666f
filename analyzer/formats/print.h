/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees as text again.
 *
 * Threads: pure functions.
 */
#ifndef ORDEAL_ANALYZER_FORMATS_PRINT_H
#define ORDEAL_ANALYZER_FORMATS_PRINT_H

#include "analyzer/formats/tree.h"
#include "harness/base/buf.h"

/* Appends.  What edn_value reads back is the same tree, except that a keyword
 * whose text is none (a space in it) becomes a string. */
void edn_print(struct buf *b, const struct tree *t);

/*
 * Appends.  Keywords become strings, integer keys of maps text.  False: JSON
 * has no such value (a list as a key, NaN).
 */
bool json_print(struct buf *b, const struct tree *t);
void json_print_text(struct buf *b, const char *text, size_t len);

#endif
