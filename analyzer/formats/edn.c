/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "analyzer/formats/parse.h"

static enum parsed edn_any(struct parse *ps, struct tree *ret, int depth);

static bool
is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',' ||
           c == '\f' || c == '\v';
}

void
edn_space(struct parse *ps)
{
    for (;;) {
        while (ps->p < ps->end && is_space(*ps->p))
            ps->p++;
        if (ps->p == ps->end || *ps->p != ';')
            return;
        ps->p = memchr(ps->p, '\n', (size_t)(ps->end - ps->p));
        if (ps->p == NULL) {
            ps->p = ps->end;
            return;
        }
    }
}

/* What ends a token; the NUL behind the window does. */
static bool
ends_token(char c)
{
    return is_space(c) || c == '\0' || c == '"' || c == ';' || c == '[' ||
           c == ']' || c == '{' || c == '}' || c == '(' || c == ')';
}

/* The token at 'p'; MORE when it may go on behind the window. */
static enum parsed
edn_token(struct parse *ps, const char *p, const char **ret_end)
{
    while (!ends_token(*p))
        p++;
    if (p == ps->end && !ps->complete)
        return PARSED_MORE;
    if (p < ps->end && *p == '\0')
        return parse_fail(ps, "a NUL");
    *ret_end = p;
    return PARSED;
}

static enum parsed
edn_text(struct parse *ps, enum tree_kind kind, const char *text,
         const char *end, struct tree *ret)
{
    size_t len = (size_t)(end - text);

    if (!utf8_valid(text, len))
        return parse_fail(ps, "text that is not UTF-8");
    *ret = (struct tree){.kind = kind, .count = (uint32_t)len};
    ret->text = parse_text(ps, text, len);
    ps->p = end;
    return PARSED;
}

/* ---- strings and characters ---- */

static const char *
edn_escape(const char *p, const char *end, char **to)
{
    static const char from[] = "\"\\bfnrt/'", is[] = "\"\\\b\f\n\r\t/'";
    const char *at;
    size_t n;

    if (*p == 'u') {
        p = parse_unicode(p + 1, end, *to, &n);
        *to += n;
        return p;
    }
    if (*p >= '0' && *p <= '7') {
        unsigned v = 0;

        for (int i = 0; i < 3 && p < end && *p >= '0' && *p <= '7'; i++)
            v = v * 8 + (unsigned)(*p++ - '0');
        if (v > 0x7f)
            return NULL;
        *(*to)++ = (char)v;
        return p;
    }
    at = *p == '\0' ? NULL : strchr(from, *p);
    if (at == NULL)
        return NULL;
    *(*to)++ = is[at - from];
    return p + 1;
}

/* A regex keeps its backslashes. */
static enum parsed
edn_string(struct parse *ps, bool regex, struct tree *ret)
{
    const char *text = ps->p + 1, *p = text, *end = ps->end;
    bool escapes = false;
    char *copy, *to;

    for (; p == end || *p != '"'; p++) {
        if (p == end)
            return parse_short(ps, "a string");
        if (*p == '\\') {
            escapes = true;
            if (++p == end)
                return parse_short(ps, "a string");
        }
    }
    if (!utf8_valid(text, (size_t)(p - text)))
        return parse_fail(ps, "a string that is not UTF-8");
    *ret = (struct tree){.kind = TREE_STRING};
    ps->p = p + 1;
    if (!escapes || regex) {
        ret->text = parse_text(ps, text, (size_t)(p - text));
        ret->count = (uint32_t)(p - text);
        return PARSED;
    }
    copy = to = parse_alloc(ps, (size_t)(p - text) + 1);
    for (end = p, p = text; p < end;) {
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        p = edn_escape(p + 1, end, &to);
        if (p == NULL)
            return parse_fail(ps, "a string with an unknown escape");
    }
    *to = '\0';
    ret->text = copy;
    ret->count = (uint32_t)(to - copy);
    return PARSED;
}

/* \c, \newline, \u0041: a string of one letter. */
static enum parsed
edn_character(struct parse *ps, struct tree *ret)
{
    static const struct {
        const char *name;
        char is;
    } names[] = {{"newline", '\n'}, {"space", ' '},     {"tab", '\t'},
                 {"return", '\r'},  {"formfeed", '\f'}, {"backspace", '\b'}};
    const char *text = ps->p + 1, *end;
    enum parsed status;
    char letter[4];
    size_t len;

    if (text == ps->end)
        return parse_short(ps, "a character");
    status = edn_token(ps, text + 1, &end); /* \( is a character, too */
    if (status != PARSED)
        return status;
    len = (size_t)(end - text);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (len == strlen(names[i].name) &&
            memcmp(text, names[i].name, len) == 0) {
            letter[0] = names[i].is;
            status = edn_text(ps, TREE_STRING, letter, letter + 1, ret);
            ps->p = end;
            return status;
        }
    if (len == 5 && *text == 'u') {
        if (parse_unicode(text + 1, end, letter, &len) == NULL)
            return parse_fail(ps, "an unknown character");
        status = edn_text(ps, TREE_STRING, letter, letter + len, ret);
        ps->p = end;
        return status;
    }
    if (len > 1 && (unsigned char)*text < 0x80)
        return parse_fail(ps, "an unknown character");
    return edn_text(ps, TREE_STRING, text, end, ret);
}

/* ---- numbers ---- */

/* 0x7f: no EDN, but Clojure prints it inside of #object[...]. */
static bool
edn_hexadecimal(const char *text, size_t len, int64_t *ret)
{
    if (len < 3 || len > 17 || text[0] != '0' || (text[1] | 0x20) != 'x' ||
        strspn(text + 2, "0123456789abcdefABCDEF") < len - 2)
        return false;
    *ret = (int64_t)strtoull(text, NULL, 16);
    return true;
}

static enum parsed
edn_number(struct parse *ps, struct tree *ret)
{
    const char *text = ps->p, *end, *p;
    enum parsed status = edn_token(ps, text, &end);
    size_t len;

    if (status != PARSED)
        return status;
    len = (size_t)(end - text);
    *ret = (struct tree){.kind = TREE_INT};
    ps->p = end;
    if (parse_integer(text, len, &ret->integer))
        return PARSED;
    if (edn_hexadecimal(text, len, &ret->integer))
        return PARSED;
    if (end[-1] == 'N' && parse_integer(text, len - 1, &ret->integer))
        return PARSED;
    if (end[-1] == 'N' || end[-1] == 'M')
        len--;
    /* Only digits, signs, points, exponents: no hexadecimal, no "inf". */
    for (p = text; p < text + len; p++)
        if (strchr("+-.eE0123456789", *p) == NULL)
            break;
    if (p < text + len && *p == '/') {
        for (p++; p < text + len && *p >= '0' && *p <= '9'; p++)
            ;
        if (p == text + len && p[-1] != '/') /* a ratio, as its text */
            return edn_text(ps, TREE_KEYWORD, text, end, ret);
    }
    ps->p = text;
    if (p < text + len)
        return parse_fail(ps, "a malformed number");
    if (memchr(text, '.', len) == NULL && memchr(text, 'e', len) == NULL &&
        memchr(text, 'E', len) == NULL) {
        size_t sign = *text == '-' || *text == '+';

        if (strspn(text + sign, "0123456789") != len - sign)
            return parse_fail(ps, "a malformed number");
        status = edn_text(ps, TREE_KEYWORD, text, text + len, ret);
        ps->p = end;
        return status;
    }
    ret->kind = TREE_REAL;
    if (!parse_real(ps, text, len, &ret->real))
        return parse_fail(ps, "a malformed number");
    ps->p = end;
    return PARSED;
}

/* ---- collections ---- */

static enum parsed
edn_collection(struct parse *ps, enum tree_kind kind, char close,
               struct tree *ret, int depth)
{
    uint32_t base = ps->stack_count;

    ps->p++;
    for (;;) {
        struct tree item;
        enum parsed status = edn_any(ps, &item, depth);

        if (status == PARSED) {
            parse_push(ps, &item);
            continue;
        }
        if (status == PARSED_END)
            return parse_short(ps, kind == TREE_MAP ? "a map" : "a vector");
        if (status != PARSED_CLOSE)
            return status;
        if (*ps->p != close)
            return parse_fail(ps, "the wrong closing bracket");
        ps->p++;
        return parse_close(ps, kind, base, ret);
    }
}

/* The value that must follow: of a tag, a discard, a quote. */
static enum parsed
edn_needed(struct parse *ps, struct tree *ret, int depth)
{
    enum parsed status = edn_any(ps, ret, depth);

    if (status == PARSED_END)
        return parse_short(ps, "a value");
    if (status == PARSED_CLOSE)
        return parse_fail(ps, "expected a value before the bracket");
    return status;
}

/* ##NaN, ##Inf, ##-Inf. */
static enum parsed
edn_special(struct parse *ps, struct tree *ret)
{
    const char *text = ps->p + 2, *end;
    enum parsed status = edn_token(ps, text, &end);
    size_t len;

    if (status != PARSED)
        return status;
    len = (size_t)(end - text);
    *ret = (struct tree){.kind = TREE_REAL};
    if (len == 3 && memcmp(text, "NaN", 3) == 0)
        ret->real = (double)NAN;
    else if (len == 3 && memcmp(text, "Inf", 3) == 0)
        ret->real = (double)INFINITY;
    else if (len == 4 && memcmp(text, "-Inf", 4) == 0)
        ret->real = -(double)INFINITY;
    else
        return parse_fail(ps, "an unknown number behind ##");
    ps->p = end;
    return PARSED;
}

/* '#' and what follows; discards are not seen here. */
static enum parsed
edn_dispatch(struct parse *ps, struct tree *ret, int depth)
{
    const char *end;
    enum parsed status;

    if (ps->p + 1 == ps->end)
        return parse_short(ps, "a tag");
    switch (ps->p[1]) {
    case '{':
        ps->p++;
        return edn_collection(ps, TREE_LIST, '}', ret, depth);
    case '"':
        ps->p++;
        return edn_string(ps, true, ret);
    case '#':
        return edn_special(ps, ret);
    case '\'':
        ps->p += 2;
        return edn_needed(ps, ret, depth);
    default: /* a tag: its value tells enough */
        status = edn_token(ps, ps->p + 1, &end);
        if (status != PARSED)
            return status;
        if (end == ps->p + 1)
            return parse_fail(ps, "a tag without a name");
        ps->p = end;
        return edn_needed(ps, ret, depth);
    }
}

/* nil, true, false, symbols. */
static enum parsed
edn_symbol(struct parse *ps, struct tree *ret)
{
    const char *text = ps->p, *end;
    enum parsed status = edn_token(ps, text, &end);
    size_t len;

    if (status != PARSED)
        return status;
    len = (size_t)(end - text);
    *ret = (struct tree){.kind = TREE_NIL};
    if (len == 3 && memcmp(text, "nil", 3) == 0) {
        ps->p = end;
        return PARSED;
    }
    ret->kind = TREE_BOOL;
    ret->truth = len == 4;
    if ((len == 4 && memcmp(text, "true", 4) == 0) ||
        (len == 5 && memcmp(text, "false", 5) == 0)) {
        ps->p = end;
        return PARSED;
    }
    return edn_text(ps, TREE_KEYWORD, text, end, ret);
}

static enum parsed
edn_keyword(struct parse *ps, struct tree *ret)
{
    const char *text = ps->p + 1, *end;
    enum parsed status = edn_token(ps, text, &end);

    if (status != PARSED)
        return status;
    if (text < end && *text == ':')
        text++; /* ::auto */
    if (text == end)
        return parse_fail(ps, "a keyword without a name");
    return edn_text(ps, TREE_KEYWORD, text, end, ret);
}

/* Space, comments and #_ VALUE. */
static enum parsed
edn_skip(struct parse *ps, int depth)
{
    struct tree discarded;
    enum parsed status;

    for (;;) {
        edn_space(ps);
        if (ps->p == ps->end || *ps->p != '#')
            return PARSED;
        if (ps->p + 1 == ps->end)
            return parse_short(ps, "a tag");
        if (ps->p[1] != '_')
            return PARSED;
        ps->p += 2;
        status = edn_needed(ps, &discarded, depth);
        if (status != PARSED)
            return status;
    }
}

static enum parsed
edn_any(struct parse *ps, struct tree *ret, int depth)
{
    enum parsed status;

    /* Every way down passes here: brackets, tags, discards. */
    if (depth >= TREE_DEPTH_MAX)
        return parse_fail(ps, "nested too deeply");
    status = edn_skip(ps, depth + 1);
    if (status != PARSED)
        return status;
    if (ps->p == ps->end)
        return PARSED_END;
    switch (*ps->p) {
    case '{':
        return edn_collection(ps, TREE_MAP, '}', ret, depth + 1);
    case '[':
        return edn_collection(ps, TREE_LIST, ']', ret, depth + 1);
    case '(':
        return edn_collection(ps, TREE_LIST, ')', ret, depth + 1);
    case ']':
    case '}':
    case ')':
        return PARSED_CLOSE;
    case '"':
        return edn_string(ps, false, ret);
    case ':':
        return edn_keyword(ps, ret);
    case '\\':
        return edn_character(ps, ret);
    case '#':
        return edn_dispatch(ps, ret, depth + 1);
    case '\'':
        ps->p++;
        return edn_needed(ps, ret, depth + 1);
    case '^': /* metadata, and what it is about */
        ps->p++;
        status = edn_needed(ps, ret, depth + 1);
        return status == PARSED ? edn_needed(ps, ret, depth + 1) : status;
    case '0' ... '9':
        return edn_number(ps, ret);
    case '+':
    case '-':
        if (ps->p + 1 == ps->end && !ps->complete)
            return PARSED_MORE;
        if (ps->p[1] >= '0' && ps->p[1] <= '9')
            return edn_number(ps, ret);
        return edn_symbol(ps, ret);
    case '\0':
        return parse_fail(ps, "a NUL");
    default:
        return edn_symbol(ps, ret);
    }
}

enum parsed
edn_value(struct parse *ps, struct tree *ret)
{
    return edn_any(ps, ret, 0);
}
