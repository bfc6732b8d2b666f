/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What html.c and svg.c share: a page under construction.
 *
 * Everything that comes from outside (values, names, the title) goes through
 * page_text, which leaves nothing that HTML, an attribute or UTF-8 could
 * stumble over.
 *
 * Threads: one page, one thread.
 */
#ifndef ORDEAL_ANALYZER_EXPLAIN_HTML_H
#define ORDEAL_ANALYZER_EXPLAIN_HTML_H

#include "analyzer/check.h"
#include "analyzer/explain/layout.h"
#include "harness/base/buf.h"

/* Bars of the core in one drawing, and calls drawn around them: what keeps the
 * page below EXPLAIN_HTML_MAX. */
#define PAGE_CALLS_MAX 64u
#define PAGE_AROUND_MAX 300u
#define PAGE_WORDS_MAX 240u

struct page {
    const struct calls *c;
    const struct check_result *r;
    struct layout layout;
    struct arena arena;
    struct buf *out;
};

/* Escaped; bytes that are no UTF-8 become U+FFFD. */
void page_text(struct page *page, const char *text);
/* "write 3: ok", at most PAGE_WORDS_MAX bytes. */
void page_call_words(struct page *page, uint32_t call);
/* "lines 3 to 7", "line 3, never answered". */
void page_lines(struct page *page, uint32_t call);

/* svg.c: the core on the axis of its events, the same on the places in the
 * file, with the calls around it, and the whole history as a strip. */
void svg_logical(struct page *page);
void svg_places(struct page *page);
void svg_around(struct page *page);
void svg_overview(struct page *page);

#endif
