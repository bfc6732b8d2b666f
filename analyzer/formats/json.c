/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/parse.h"

static enum parsed json_any(struct parse *ps, struct tree *ret, int depth);

void
json_space(struct parse *ps)
{
    while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\n' ||
                               *ps->p == '\t' || *ps->p == '\r'))
        ps->p++;
}

/* Behind the backslash; appends to *to. */
static const char *
json_escape(const char *p, const char *end, char **to)
{
    static const char from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
    const char *at;
    size_t n;

    if (*p == 'u') {
        p = parse_unicode(p + 1, end, *to, &n);
        *to += n;
        return p;
    }
    at = *p == '\0' ? NULL : strchr(from, *p);
    if (at == NULL)
        return NULL;
    *(*to)++ = is[at - from];
    return p + 1;
}

/* With escapes: they are never longer than what they stand for. */
static enum parsed
json_unescape(struct parse *ps, const char *text, const char *end,
              struct tree *ret)
{
    char *copy = parse_alloc(ps, (size_t)(end - text) + 1), *to = copy;

    for (const char *p = text; p < end;) {
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        p = json_escape(p + 1, end, &to);
        if (p == NULL)
            return parse_fail(ps, "a string with an escape that JSON does not "
                                  "know");
    }
    *to = '\0';
    ret->text = copy;
    ret->count = (uint32_t)(to - copy);
    return PARSED;
}

static enum parsed
json_string(struct parse *ps, struct tree *ret)
{
    const char *text = ps->p + 1, *p = text, *end = ps->end;
    bool escapes = false;
    unsigned char all = 0;

    for (;; p++) {
        if (p == end)
            return parse_short(ps, "a string");
        all |= (unsigned char)*p;
        if (*p == '"')
            break;
        if (*p == '\\') {
            escapes = true;
            if (++p == end)
                return parse_short(ps, "a string");
        } else if ((unsigned char)*p < 0x20) {
            return parse_fail(ps, "a control character in a string");
        }
    }
    *ret = (struct tree){.kind = TREE_STRING};
    if (all >= 0x80 && !utf8_valid(text, (size_t)(p - text)))
        return parse_fail(ps, "a string that is not UTF-8");
    if (escapes) {
        if (json_unescape(ps, text, p, ret) == PARSED_ERROR)
            return PARSED_ERROR;
    } else {
        ret->text = parse_text(ps, text, (size_t)(p - text));
        ret->count = (uint32_t)(p - text);
    }
    ps->p = p + 1;
    return PARSED;
}

static const char *
digits(const char *p)
{
    while (*p >= '0' && *p <= '9') /* a NUL ends the window */
        p++;
    return p;
}

static enum parsed
json_number(struct parse *ps, struct tree *ret)
{
    const char *text = ps->p, *p = text + (*text == '-'), *q;
    bool real = false;

    q = digits(p);
    if (q > p + 1 && *p == '0')
        return parse_fail(ps, "a number with a leading zero");
    if (q == p)
        return q == ps->end ? parse_short(ps, "a number")
                            : parse_fail(ps, "expected a value");
    p = q;
    if (*p == '.') {
        real = true;
        q = digits(++p);
        if (q == p && q < ps->end)
            return parse_fail(ps, "a number without digits behind its point");
        p = q;
    }
    if (*p == 'e' || *p == 'E') {
        real = true;
        p++;
        p += *p == '+' || *p == '-';
        q = digits(p);
        if (q == p && q < ps->end)
            return parse_fail(ps, "a number without digits in its exponent");
        p = q;
    }
    if (p == ps->end && (!ps->complete || p[-1] < '0' || p[-1] > '9'))
        return parse_short(ps, "a number");
    *ret = (struct tree){.kind = TREE_INT};
    if (real) {
        ret->kind = TREE_REAL;
        if (!parse_real(ps, text, (size_t)(p - text), &ret->real))
            return parse_fail(ps, "a malformed number");
    } else if (!parse_integer(text, (size_t)(p - text), &ret->integer)) {
        ret->kind = TREE_KEYWORD;
        ret->text = parse_text(ps, text, (size_t)(p - text));
        ret->count = (uint32_t)(p - text);
    }
    ps->p = p;
    return PARSED;
}

static enum parsed
json_word(struct parse *ps, const char *word, struct tree *ret)
{
    size_t len = strlen(word), have = (size_t)(ps->end - ps->p);

    if (have < len && memcmp(ps->p, word, have) == 0)
        return parse_short(ps, "a value");
    if (have < len || memcmp(ps->p, word, len) != 0)
        return parse_fail(ps, "expected a value");
    *ret = (struct tree){.kind = *word == 'n' ? TREE_NIL : TREE_BOOL};
    if (*word != 'n')
        ret->truth = *word == 't';
    ps->p += len;
    return PARSED;
}

static enum parsed
json_array(struct parse *ps, struct tree *ret, int depth)
{
    uint32_t base = ps->stack_count;
    struct tree item;
    enum parsed status;

    ps->p++;
    json_space(ps);
    if (*ps->p == ']') {
        ps->p++;
        return parse_close(ps, TREE_LIST, base, ret);
    }
    for (;;) {
        json_space(ps);
        status = json_any(ps, &item, depth);
        if (status != PARSED)
            return status;
        parse_push(ps, &item);
        json_space(ps);
        if (*ps->p == ']')
            break;
        if (ps->p == ps->end)
            return parse_short(ps, "an array");
        if (*ps->p != ',')
            return parse_fail(ps, "expected ',' or ']' in an array");
        ps->p++;
    }
    ps->p++;
    return parse_close(ps, TREE_LIST, base, ret);
}

/* "17" as a key is the number: JSON has no other way to write it. */
static void
key_number(struct tree *key)
{
    int64_t n;
    bool negative = key->count > 0 && key->text[0] == '-';

    if (key->count == 0 || key->count > 20 || key->text[0] > '9' ||
        key->text[0] == '+' || !parse_integer(key->text, key->count, &n) ||
        (key->text[negative] == '0' && key->count > 1))
        return;
    *key = (struct tree){.kind = TREE_INT};
    key->integer = n;
}

static enum parsed
json_pair(struct parse *ps, int depth)
{
    struct tree item;
    enum parsed status;

    json_space(ps);
    if (ps->p == ps->end)
        return parse_short(ps, "an object");
    if (*ps->p != '"')
        return parse_fail(ps, "expected a string as key of an object");
    status = json_string(ps, &item);
    if (status != PARSED)
        return status;
    if (!ps->text_keys)
        key_number(&item);
    parse_push(ps, &item);
    json_space(ps);
    if (ps->p == ps->end)
        return parse_short(ps, "an object");
    if (*ps->p != ':')
        return parse_fail(ps, "expected ':' behind a key");
    ps->p++;
    json_space(ps);
    status = json_any(ps, &item, depth);
    if (status == PARSED)
        parse_push(ps, &item);
    return status;
}

static enum parsed
json_object(struct parse *ps, struct tree *ret, int depth)
{
    uint32_t base = ps->stack_count;
    enum parsed status;

    ps->p++;
    json_space(ps);
    if (*ps->p == '}') {
        ps->p++;
        return parse_close(ps, TREE_MAP, base, ret);
    }
    for (;;) {
        status = json_pair(ps, depth);
        if (status != PARSED)
            return status;
        json_space(ps);
        if (*ps->p == '}')
            break;
        if (ps->p == ps->end)
            return parse_short(ps, "an object");
        if (*ps->p != ',')
            return parse_fail(ps, "expected ',' or '}' in an object");
        ps->p++;
    }
    ps->p++;
    return parse_close(ps, TREE_MAP, base, ret);
}

static enum parsed
json_any(struct parse *ps, struct tree *ret, int depth)
{
    if (depth >= TREE_DEPTH_MAX)
        return parse_fail(ps, "nested too deeply");
    if (ps->p == ps->end)
        return parse_short(ps, "a value");
    switch (*ps->p) {
    case '{':
        return json_object(ps, ret, depth + 1);
    case '[':
        return json_array(ps, ret, depth + 1);
    case '"':
        return json_string(ps, ret);
    case 't':
        return json_word(ps, "true", ret);
    case 'f':
        return json_word(ps, "false", ret);
    case 'n':
        return json_word(ps, "null", ret);
    default:
        return json_number(ps, ret);
    }
}

enum parsed
json_value(struct parse *ps, struct tree *ret)
{
    json_space(ps);
    if (ps->p == ps->end)
        return PARSED_END;
    if (*ps->p == ']' || *ps->p == '}')
        return PARSED_CLOSE;
    return json_any(ps, ret, 0);
}
