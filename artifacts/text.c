/* SPDX-License-Identifier: Apache-2.0 */
/* Each function walks the text character by character and fails at nothing. */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "artifacts/text.h"
#include "harness/base/arena.h"

#define TEXT_REPLACEMENT UINT32_C(0xfffd)
#define TEXT_REPLACEMENT_BYTES "\xef\xbf\xbd"

/*
 * The character at *p and its bytes (RFC 3629); a byte that begins none is one
 * replacement character.
 */
static uint32_t
text_next(const char *p, size_t *ret_len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = (unsigned char)*p;
    size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t c = len == 1 ? lead : lead & (0x7fu >> len);

    *ret_len = 1;
    if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4))
        return TEXT_REPLACEMENT;
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return TEXT_REPLACEMENT; /* also at the terminating NUL */
        c = c << 6 | ((unsigned char)p[i] & 0x3fu);
    }
    if (c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
        return TEXT_REPLACEMENT;
    *ret_len = len;
    return c;
}

static void
text_put(struct buf *out, const char *p, size_t len, uint32_t c)
{
    if (c == TEXT_REPLACEMENT)
        buf_puts(out, TEXT_REPLACEMENT_BYTES);
    else
        buf_append(out, p, len);
}

void
text_xml(struct buf *out, const char *text)
{
    size_t len;

    for (const char *p = text; *p != '\0'; p += len) {
        uint32_t c = text_next(p, &len);

        if (c == '&')
            buf_puts(out, "&amp;");
        else if (c == '<')
            buf_puts(out, "&lt;");
        else if (c == '>')
            buf_puts(out, "&gt;");
        else if (c == '"')
            buf_puts(out, "&quot;");
        else if (c == '\t' || c == '\n' || c == '\r')
            buf_printf(out, "&#%u;", (unsigned)c);
        else if (c < 0x20 || c == 0x7f || c == 0xfffe || c == 0xffff ||
                 (c >= 0x80 && c < 0xa0))
            buf_puts(out, TEXT_REPLACEMENT_BYTES);
        else
            text_put(out, p, len, c);
    }
}

void
text_markdown(struct buf *out, const char *text)
{
    size_t len;

    for (const char *p = text; *p != '\0'; p += len) {
        uint32_t c = text_next(p, &len);

        if (c == '\n' || c == '\r' || c == '\t')
            buf_puts(out, " ");
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0))
            buf_puts(out, TEXT_REPLACEMENT_BYTES);
        else if (c == '<')
            buf_puts(out, "&lt;");
        else if (c < 0x80 && strchr("\\`*|[]", (int)c) != NULL)
            buf_printf(out, "\\%c", (int)c);
        else
            text_put(out, p, len, c);
    }
}

void
text_plain(struct buf *out, const char *text, size_t len)
{
    CLEANUP_FREE char *copy = xasprintf("%.*s", (int)len, text);
    size_t step;

    for (const char *p = copy; *p != '\0'; p += step) {
        uint32_t c = text_next(p, &step);

        if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0))
            buf_puts(out, c == '\t' ? " " : TEXT_REPLACEMENT_BYTES);
        else
            text_put(out, p, step, c);
    }
}

void
text_shell(struct buf *out, const char *text)
{
    buf_puts(out, "'");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'')
            buf_puts(out, "'\\''");
        else
            buf_append(out, p, 1);
    }
    buf_puts(out, "'");
}
