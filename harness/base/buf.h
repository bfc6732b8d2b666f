/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte string with a hard limit.  After an append that would pass the
 * limit the buffer keeps what it has and 'truncated' is set: outputs of
 * commands and logs are cut, never unbounded.  data is always NUL-terminated.
 */
#ifndef ORDEAL_BASE_BUF_H
#define ORDEAL_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/base/cleanup.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t len, cap;
    size_t max; /* most bytes kept */
    bool truncated;
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_reset(struct buf *b);
void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The text so far, "" when nothing was appended. */
const char *buf_text(const struct buf *b);

/* Hands the bytes over (free() them); the buffer is empty afterwards. */
char *buf_take(struct buf *b);

#endif
