/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers as columns: TYPE, PROCESS, FUNCTION, VALUE between tabs.
 *
 *   invoke	3	cas	1 2
 *
 * The value of cas is "FROM TO"; nil is the empty register or no value.
 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/formats.h"

static unsigned
register_tsv_sniff(const char *bytes, size_t len, const char *path)
{
    const char *p = bytes, *end = bytes + len;
    unsigned tabs = 0;

    if (memchr(bytes, '\t', len < 7 ? len : 7) == NULL)
        return 0;
    for (; p < end && *p != '\n'; p++)
        tabs += *p == '\t';
    return tabs == 3 && (strncmp(bytes, "invoke\t", 7) == 0 ||
                         strncmp(bytes, "ok\t", 3) == 0 ||
                         strncmp(bytes, "fail\t", 5) == 0 ||
                         strncmp(bytes, "info\t", 5) == 0)
               ? 90
               : 0;
}

static const char *
tsv_line(char *line, struct tree items[2], struct tree *value, struct record *r)
{
    char *words[4], *parts[3];
    unsigned n = split_words(line, words, 4);

    if (n < 3)
        return "expected TYPE, PROCESS, FUNCTION and VALUE between tabs";
    if (!record_type_parse(words[0], &r->type))
        return "the type must be one of invoke, ok, fail, info";
    if (!parse_integer(words[1], strlen(words[1]), &r->process))
        return "the process is not a number";
    r->function = words[2];
    *value = (struct tree){0};
    if (n < 4)
        return NULL;
    n = split_words(words[3], parts, 3);
    if (n > 2)
        return "more than two values";
    for (unsigned i = 0; i < n; i++)
        items[i] = word_tree(parts[i]);
    *value = items[0];
    if (n == 2) {
        *value = (struct tree){.kind = TREE_LIST, .count = 2};
        value->items = items;
    }
    return NULL;
}

static int
register_tsv_read(struct input *in, struct record_file *ret, record_sink *sink,
                  void *arg, struct error *err)
{
    struct tree items[2], value;
    uint64_t number;
    size_t len;
    char *line;
    int status;

    while ((status = text_line(in, &line, &len, &number, err)) > 0) {
        struct record r = {.value = &value,
                           .position = RECORD_POSITION_NONE,
                           .time_ns = -1,
                           .line = number};
        const char *what;

        if (len == 0)
            continue;
        what = tsv_line(line, items, &value, &r);
        if (what != NULL)
            return input_error(in, number, err, "%s", what);
        if (sink(arg, &r, err) < 0)
            return -1;
    }
    return status;
}

const struct format_ops format_register_tsv = {
    .name = "register-tsv",
    .description = "a register's operations in columns between tabs",
    .sniff = register_tsv_sniff,
    .read = register_tsv_read,
    .model = "cas-register",
};
