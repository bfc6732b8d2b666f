/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/formats.h"

int
text_line(struct input *in, char **ret, size_t *ret_len, uint64_t *ret_number,
          struct error *err)
{
    int status = input_line(in, ret, ret_len, ret_number, err);

    if (status > 0 &&
        (memchr(*ret, '\0', *ret_len) != NULL || !utf8_valid(*ret, *ret_len)))
        return input_error(in, *ret_number, err, "not UTF-8 text");
    return status;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

unsigned
split_words(char *text, char **words, unsigned cap)
{
    unsigned n = 0;

    for (;;) {
        while (is_blank(*text))
            text++;
        if (*text == '\0')
            return n;
        words[n++] = text;
        if (n == cap)
            break;
        while (*text != '\0' && !is_blank(*text))
            text++;
        if (*text != '\0')
            *text++ = '\0';
    }
    for (size_t len = strlen(text); len > 0 && is_blank(text[len - 1]); len--)
        text[len - 1] = '\0';
    return n;
}

bool
record_type_parse(const char *text, enum record_type *ret)
{
    static const char *const names[] = {"invoke", "ok", "fail", "info"};

    text += *text == ':';
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum record_type)i;
            return true;
        }
    return false;
}

struct tree
word_tree(const char *word)
{
    struct tree t = {.kind = TREE_INT};
    size_t len = strlen(word);

    if (parse_integer(word, len, &t.integer))
        return t;
    if (strcmp(word, "nil") == 0)
        return (struct tree){.kind = TREE_NIL};
    t.kind = TREE_STRING;
    t.count = (uint32_t)len;
    t.text = word;
    return t;
}
