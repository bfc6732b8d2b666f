/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/buf.h"

void
buf_init(struct buf *b, size_t max)
{
    memset(b, 0, sizeof(*b));
    b->max = max;
}

void
buf_release(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void
buf_reset(struct buf *b)
{
    b->len = 0;
    b->truncated = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

static void
buf_reserve(struct buf *b, size_t len)
{
    size_t cap = b->cap == 0 ? 256 : b->cap;

    while (cap < len + 1)
        cap *= 2;
    if (cap != b->cap) {
        b->data = xrealloc(b->data, cap);
        b->cap = cap;
    }
}

void
buf_append(struct buf *b, const void *data, size_t len)
{
    if (len > b->max - b->len) {
        len = b->max - b->len;
        b->truncated = true;
    }
    buf_reserve(b, b->len + len);
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[512];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    assert(len >= 0);
    if ((size_t)len < sizeof(small)) {
        buf_append(b, small, (size_t)len);
    } else {
        CLEANUP_FREE char *large = xcalloc(1, (size_t)len + 1);

        va_start(ap, fmt);
        vsnprintf(large, (size_t)len + 1, fmt, ap);
        va_end(ap);
        buf_append(b, large, (size_t)len);
    }
}

const char *
buf_text(const struct buf *b)
{
    return b->data == NULL ? "" : b->data;
}

char *
buf_take(struct buf *b)
{
    char *data = b->data == NULL ? xstrdup("") : b->data;

    b->data = NULL;
    b->len = b->cap = 0;
    return data;
}
