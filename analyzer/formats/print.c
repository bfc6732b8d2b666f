/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/formats/parse.h"
#include "analyzer/formats/print.h"

/* The shortest of the usual lengths that reads back as the same number. */
static void
print_real(struct buf *b, double real)
{
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    buf_puts(b, text);
    if (strpbrk(text, ".e") == NULL)
        buf_puts(b, ".0");
}

/* Escapes that JSON and EDN have in common; the rest as \u00XX. */
void
json_print_text(struct buf *b, const char *text, size_t len)
{
    const char *start = text, *end = text + len;

    buf_append(b, "\"", 1);
    for (const char *p = text; p < end; p++) {
        unsigned char c = (unsigned char)*p;

        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        buf_append(b, start, (size_t)(p - start));
        start = p + 1;
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_puts(b, "\\n");
        else if (c == '\t')
            buf_puts(b, "\\t");
        else
            buf_printf(b, "\\u%04x", c);
    }
    buf_append(b, start, (size_t)(end - start));
    buf_append(b, "\"", 1);
}

/* Whether ":TEXT" reads back as one keyword. */
static bool
is_keyword(const struct tree *t)
{
    if (t->count == 0 || t->text[0] == ':')
        return false;
    for (uint32_t i = 0; i < t->count; i++) {
        unsigned char c = (unsigned char)t->text[i];

        if (c <= ' ' || c == 0x7f || strchr(",\";[]{}()", c) != NULL)
            return false;
    }
    return true;
}

void
edn_print(struct buf *b, const struct tree *t)
{
    uint32_t items = t->kind == TREE_MAP ? 2 * t->count : t->count;

    switch (t->kind) {
    case TREE_NIL:
        buf_puts(b, "nil");
        return;
    case TREE_BOOL:
        buf_puts(b, t->truth ? "true" : "false");
        return;
    case TREE_INT:
        buf_printf(b, "%lld", (long long)t->integer);
        return;
    case TREE_REAL:
        if (isnan(t->real))
            buf_puts(b, "##NaN");
        else if (isinf(t->real))
            buf_puts(b, t->real < 0 ? "##-Inf" : "##Inf");
        else
            print_real(b, t->real);
        return;
    case TREE_KEYWORD:
        if (is_keyword(t)) {
            buf_append(b, ":", 1);
            buf_append(b, t->text, t->count);
            return;
        }
        __attribute__((fallthrough));
    case TREE_STRING:
        json_print_text(b, t->text, t->count);
        return;
    case TREE_LIST:
    case TREE_MAP:
        buf_append(b, t->kind == TREE_MAP ? "{" : "[", 1);
        for (uint32_t i = 0; i < items; i++) {
            if (i > 0)
                buf_puts(b, t->kind == TREE_MAP && i % 2 == 0 ? ", " : " ");
            edn_print(b, &t->items[i]);
        }
        buf_append(b, t->kind == TREE_MAP ? "}" : "]", 1);
        return;
    }
}

static bool
json_print_key(struct buf *b, const struct tree *t)
{
    if (t->kind == TREE_INT) {
        buf_printf(b, "\"%lld\"", (long long)t->integer);
        return true;
    }
    if (t->kind != TREE_STRING && t->kind != TREE_KEYWORD)
        return false;
    json_print_text(b, t->text, t->count);
    return true;
}

/* An integer of more than 64 bits, as the parsers give it. */
static bool
is_big_integer(const struct tree *t)
{
    size_t sign = t->count > 0 && t->text[0] == '-';
    int64_t n;

    return t->count > sign && t->text[sign] >= '1' && t->text[sign] <= '9' &&
           strspn(t->text + sign, "0123456789") == t->count - sign &&
           !parse_integer(t->text, t->count, &n);
}

static bool
json_print_items(struct buf *b, const struct tree *t)
{
    uint32_t items = t->kind == TREE_MAP ? 2 * t->count : t->count;

    buf_append(b, t->kind == TREE_MAP ? "{" : "[", 1);
    for (uint32_t i = 0; i < items; i++) {
        bool key = t->kind == TREE_MAP && i % 2 == 0;

        if (i > 0)
            buf_append(b, t->kind == TREE_MAP && !key ? ":" : ",", 1);
        if (key ? !json_print_key(b, &t->items[i])
                : !json_print(b, &t->items[i]))
            return false;
    }
    buf_append(b, t->kind == TREE_MAP ? "}" : "]", 1);
    return true;
}

bool
json_print(struct buf *b, const struct tree *t)
{
    switch (t->kind) {
    case TREE_NIL:
        buf_puts(b, "null");
        return true;
    case TREE_BOOL:
        buf_puts(b, t->truth ? "true" : "false");
        return true;
    case TREE_INT:
        buf_printf(b, "%lld", (long long)t->integer);
        return true;
    case TREE_REAL:
        if (!isfinite(t->real))
            return false;
        print_real(b, t->real);
        return true;
    case TREE_KEYWORD:
        if (is_big_integer(t)) {
            buf_append(b, t->text, t->count);
            return true;
        }
        __attribute__((fallthrough));
    case TREE_STRING:
        json_print_text(b, t->text, t->count);
        return true;
    case TREE_LIST:
    case TREE_MAP:
        return json_print_items(b, t);
    }
    return false;
}
