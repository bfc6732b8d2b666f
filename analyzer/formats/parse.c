/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/formats/parse.h"

/* Maps with more pairs are not searched for a key that comes twice. */
#define PARSE_DUPLICATES_MAX 24

void
parse_init(struct parse *ps)
{
    memset(ps, 0, sizeof(*ps));
    ps->block = xrealloc(NULL, PARSE_BLOCK_BYTES);
    ps->stack_cap = 64;
    ps->stack = xcalloc(ps->stack_cap, sizeof(*ps->stack));
    arena_init(&ps->arena);
}

void
parse_release(struct parse *ps)
{
    free(ps->block);
    free(ps->stack);
    arena_release(&ps->arena);
}

void
parse_begin(struct parse *ps, const char *text, size_t len, bool complete)
{
    ps->p = text;
    ps->end = text + len;
    ps->complete = complete;
    ps->block_used = 0;
    ps->stack_count = 0;
    if (ps->arena.used_bytes > 0)
        arena_reset(&ps->arena);
}

void *
parse_alloc(struct parse *ps, size_t size)
{
    size_t want = (size + 7) & ~(size_t)7;
    char *p = ps->block + ps->block_used;

    if (want > PARSE_BLOCK_BYTES - ps->block_used)
        return arena_alloc(&ps->arena, size);
    ps->block_used += want;
    return p;
}

const char *
parse_text(struct parse *ps, const char *text, size_t len)
{
    char *copy = parse_alloc(ps, len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

enum parsed
parse_fail(struct parse *ps, const char *what)
{
    snprintf(ps->what, sizeof(ps->what), "%s", what);
    return PARSED_ERROR;
}

enum parsed
parse_short(struct parse *ps, const char *what)
{
    if (!ps->complete)
        return PARSED_MORE;
    snprintf(ps->what, sizeof(ps->what), "ends in the middle of %s", what);
    return PARSED_ERROR;
}

void
parse_push(struct parse *ps, const struct tree *t)
{
    if (ps->stack_count == ps->stack_cap) {
        ps->stack_cap *= 2;
        ps->stack = xrealloc(ps->stack, ps->stack_cap * sizeof(*ps->stack));
    }
    ps->stack[ps->stack_count++] = *t;
}

static bool
keys_equal(const struct tree *a, const struct tree *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == TREE_INT)
        return a->integer == b->integer;
    return (a->kind == TREE_STRING || a->kind == TREE_KEYWORD) &&
           a->count == b->count && memcmp(a->text, b->text, a->count) == 0;
}

static bool
has_duplicates(const struct tree *items, uint32_t pairs)
{
    if (pairs > PARSE_DUPLICATES_MAX)
        return false;
    for (uint32_t i = 1; i < pairs; i++)
        for (uint32_t j = 0; j < i; j++)
            if (keys_equal(&items[2 * i], &items[2 * j]))
                return true;
    return false;
}

enum parsed
parse_close(struct parse *ps, enum tree_kind kind, uint32_t base,
            struct tree *ret)
{
    uint32_t items = ps->stack_count - base;
    struct tree *copy;

    if (kind == TREE_MAP && items % 2 != 0)
        return parse_fail(ps, "a map has a key without a value");
    if (kind == TREE_MAP && has_duplicates(ps->stack + base, items / 2))
        return parse_fail(ps, "a map has the same key twice");
    copy = parse_alloc(ps, (items + 1) * sizeof(*copy));
    if (items > 0)
        memcpy(copy, ps->stack + base, items * sizeof(*copy));
    *ret = (struct tree){.kind = kind,
                         .count = kind == TREE_MAP ? items / 2 : items};
    ret->items = copy;
    ps->stack_count = base;
    return PARSED;
}

bool
parse_integer(const char *text, size_t len, int64_t *ret)
{
    bool negative = len > 0 && text[0] == '-';
    size_t i = negative || (len > 0 && text[0] == '+');
    uint64_t n = 0;

    if (i == len)
        return false;
    for (; i < len; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';

        if (digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, digit, &n))
            return false;
    }
    if (n > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

bool
parse_real(struct parse *ps, const char *text, size_t len, double *ret)
{
    const char *copy = parse_text(ps, text, len);
    char *end;

    *ret = strtod(copy, &end);
    return end == copy + len && len > 0;
}

bool
utf8_valid(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + len;

    while (p < end) {
        unsigned c, n, low = 0x80, high = 0xbf;

        if (end - p >= 8) { /* plain ASCII, the common case */
            uint64_t word;

            memcpy(&word, p, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                p += 8;
                continue;
            }
        }
        c = *p++;
        if (c < 0x80)
            continue;
        n = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || (size_t)(end - p) < n)
            return false;
        if (c == 0xe0)
            low = 0xa0; /* overlong */
        else if (c == 0xed)
            high = 0x9f; /* surrogates */
        else if (c == 0xf0)
            low = 0x90; /* overlong */
        else if (c == 0xf4)
            high = 0x8f; /* above U+10FFFF */
        for (; n > 0; n--, p++) {
            if (*p < low || *p > high)
                return false;
            low = 0x80;
            high = 0xbf;
        }
    }
    return true;
}

static const char *
hex4(const char *p, const char *end, unsigned *ret)
{
    unsigned v = 0;

    if (end - p < 4)
        return NULL;
    for (int i = 0; i < 4; i++, p++) {
        unsigned c = (unsigned char)*p, digit;

        if (c - '0' < 10)
            digit = c - '0';
        else if ((c | 0x20) - 'a' < 6)
            digit = (c | 0x20) - 'a' + 10;
        else
            return NULL;
        v = v << 4 | digit;
    }
    *ret = v;
    return p;
}

const char *
parse_unicode(const char *p, const char *end, char *to, size_t *ret_len)
{
    unsigned c, low;

    p = hex4(p, end, &c);
    if (p == NULL)
        return NULL;
    if (c >= 0xd800 && c < 0xdc00) {
        if (end - p < 6 || p[0] != '\\' || p[1] != 'u' ||
            (p = hex4(p + 2, end, &low)) == NULL || low < 0xdc00 ||
            low > 0xdfff)
            return NULL;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        return NULL;
    }
    if (c < 0x80) {
        to[0] = (char)c;
        *ret_len = 1;
    } else if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        *ret_len = 2;
    } else if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        *ret_len = 3;
    } else {
        to[0] = (char)(0xf0 | c >> 18);
        to[1] = (char)(0x80 | (c >> 12 & 0x3f));
        to[2] = (char)(0x80 | (c >> 6 & 0x3f));
        to[3] = (char)(0x80 | (c & 0x3f));
        *ret_len = 4;
    }
    return p;
}

/* ---- a stream of values ---- */

void
parse_stream_init(struct parse_stream *s, struct input *in, bool edn)
{
    memset(s, 0, sizeof(*s));
    s->in = in;
    s->edn = edn;
    parse_init(&s->parse);
}

void
parse_stream_release(struct parse_stream *s)
{
    parse_release(&s->parse);
}

static void
stream_space(struct parse_stream *s)
{
    if (s->edn)
        edn_space(&s->parse);
    else
        json_space(&s->parse);
}

/* The bracket around everything, if the file begins with one: a vector of
 * operations, not an operation. */
static void
stream_open(struct parse_stream *s)
{
    struct parse *ps = &s->parse;
    const char *start = ps->p;

    if (s->started || ps->p == ps->end)
        return;
    if (s->edn && *ps->p == '#' && ps->p[1] != '{' && ps->p[1] != '_') {
        while (ps->p < ps->end && strchr(" ,\n[({", *ps->p) == NULL)
            ps->p++;
        edn_space(ps);
        if (ps->p == ps->end || *ps->p == '{') {
            s->started = ps->p < ps->end;
            ps->p = start; /* a record, or the window ends too early */
            return;
        }
    }
    s->started = true;
    if (*ps->p == '[' || (s->edn && *ps->p == '(')) {
        s->close = *ps->p == '[' ? ']' : ')';
        ps->p++;
        stream_space(s);
    }
}

/* JSON arrays have a comma between their items. */
static enum parsed
stream_comma(struct parse_stream *s, bool *between)
{
    struct parse *ps = &s->parse;

    if (s->edn || s->close == '\0' || !*between)
        return PARSED;
    if (ps->p == ps->end)
        return parse_short(ps, "an array");
    if (*ps->p == ']')
        return PARSED;
    if (*ps->p != ',')
        return parse_fail(ps, "expected ',' or ']' in the array");
    ps->p++;
    json_space(ps);
    if (ps->p < ps->end && *ps->p == ']')
        return parse_fail(ps, "expected a value behind ','");
    return PARSED;
}

static enum parsed
stream_value(struct parse_stream *s, bool between, const char **ret_start,
             struct tree *ret)
{
    struct parse *ps = &s->parse;
    enum parsed status;

    stream_space(s);
    stream_open(s);
    status = stream_comma(s, &between);
    if (status != PARSED)
        return status;
    *ret_start = ps->p;
    status = s->edn ? edn_value(ps, ret) : json_value(ps, ret);
    if (status == PARSED_END && s->close != '\0')
        return parse_short(ps, "the vector around all operations");
    if (status == PARSED_CLOSE) {
        if (*ps->p != s->close)
            return parse_fail(ps, "a closing bracket that nothing opened");
        ps->p++;
        stream_space(s);
        if (ps->p < ps->end)
            return parse_fail(ps, "something follows the vector of operations");
        if (!ps->complete)
            return PARSED_MORE;
        return PARSED_END;
    }
    return status;
}

static uint64_t
lines_between(const char *from, const char *to)
{
    uint64_t n = 0;

    while (from < to &&
           (from = memchr(from, '\n', (size_t)(to - from))) != NULL) {
        n++;
        from++;
    }
    return n;
}

int
parse_stream_next(struct parse_stream *s, struct tree *ret, struct error *err)
{
    bool complete = false;

    for (;;) {
        bool started = s->started;
        char close = s->close;
        struct parse *ps = &s->parse;
        const char *start;
        size_t len;
        char *text = input_window(s->in, &len);
        enum parsed status;
        int more;

        parse_begin(ps, text, len, complete);
        start = text;
        status = stream_value(s, s->line > 0, &start, ret);
        if (status == PARSED || (status == PARSED_END && complete)) {
            s->line = input_line_number(s->in) + lines_between(text, start);
            input_skip(s->in, (size_t)(ps->p - text));
            return status == PARSED;
        }
        if (status == PARSED_ERROR)
            return input_error(
                s->in, input_line_number(s->in) + lines_between(text, ps->p),
                err, "%s", ps->what);
        /* Again from here, with more: nothing was left behind. */
        s->started = started;
        s->close = close;
        more = input_more(s->in, err);
        if (more < 0)
            return -1;
        complete = more == 0;
    }
}
