/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quoting for what is rendered.  Input is data from outside: any bytes; what is
 * not UTF-8 or not allowed in the target becomes U+FFFD.
 */
#ifndef ORDEAL_ARTIFACTS_TEXT_H
#define ORDEAL_ARTIFACTS_TEXT_H

#include "harness/base/buf.h"

/* XML 1.0 character data or attribute value (in double quotes). */
void text_xml(struct buf *out, const char *text);

/* One cell of a Markdown table, or one line: no breaks, nothing special. */
void text_markdown(struct buf *out, const char *text);

/* One line of plain text: no control characters. */
void text_plain(struct buf *out, const char *text, size_t len);

/* One word of a POSIX shell, in single quotes. */
void text_shell(struct buf *out, const char *text);

#endif
