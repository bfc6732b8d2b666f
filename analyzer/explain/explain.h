/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explanations: what a person reads, and what a sceptic verifies.
 *
 *   check_result --shrink--> 1-minimal core --words, edges--> text, SVG, HTML
 *                \--certificate--> a file that ordeal-verify judges alone
 *
 * Threads: independent of each other.
 */
#ifndef ORDEAL_ANALYZER_EXPLAIN_EXPLAIN_H
#define ORDEAL_ANALYZER_EXPLAIN_EXPLAIN_H

#include <stdio.h>

#include "analyzer/check.h"
#include "harness/base/buf.h"

/*
 * Makes the core of an INVALID decision 1-minimal: of the calls that contradict
 * (core_firm) none can be let go, the others are context.  What that means and
 * why it is honest: docs/EXPLANATIONS.md.  (After a prefix cut, QuickXplain,
 * Junker 2004, in place of the delta debugging of Zeller and Hildebrandt 2002.)
 * Returns false when the budget ended first: the core is perhaps not minimal.
 * Edges of calls that are no longer in the core are dropped.
 */
bool explain_shrink(const struct problem *p, struct decision *d,
                    struct budget *b);

/* Fills in what the engine left out: headline, edges, their sentences. */
void explain_words(const struct problem *p, struct decision *d);

/* For a terminal: the verdict, the core as a timeline, reasons, refuted
 * choices. */
void explain_text(const struct calls *c, const struct check_result *r,
                  struct buf *out);

/* One file, no network, at most EXPLAIN_HTML_MAX bytes. */
#define EXPLAIN_HTML_MAX (1u << 20)
void explain_html(const struct calls *c, const struct check_result *r,
                  const char *title, struct buf *out);

/* The core as a history that 'ordeal check' accepts (records of the file at
 * 'path' whose lines belong to it), as "jsonl", "edn" or "json". */
int explain_core_history(const struct calls *c, const struct check_result *r,
                         const char *path, const char *from, FILE *out,
                         const char *format, struct error *err);

/* docs/CERTIFICATE.md. */
int explain_certificate(const struct calls *c, const struct check_result *r,
                        const char *history, FILE *out, struct error *err);

#endif
