/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jepsen's log of an etcd register, as Porcupine's tests have it, and the
 * history.txt of a Jepsen store, which lacks what stands before the dash:
 *
 *   INFO  jepsen.util - 0	:invoke	:cas	[1 2]
 *   INFO  jepsen.util - 0	:info	:cas	:timed-out
 *
 * Lines of other loggers are passed over.  A value that is a keyword of a
 * completion (:timed-out) is an error, not a value.
 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/formats.h"

#define ETCD_LOGGER "jepsen.util - "

static unsigned
porcupine_etcd_sniff(const char *bytes, size_t len, const char *path)
{
    const char *end = memchr(bytes, '\n', len), *p;
    const char *const types[] = {":invoke", ":info", ":ok", ":fail"};

    if (bytes_contain(bytes, len, ETCD_LOGGER) &&
        bytes_contain(bytes, len, ":invoke"))
        return 90;
    p = memchr(bytes, '\t', end == NULL ? len : (size_t)(end - bytes));
    if (p == NULL)
        return 0;
    for (unsigned i = 0; i < ARRAY_LEN(types); i++)
        if ((size_t)(bytes + len - p) > strlen(types[i]) + 2 &&
            memcmp(p + 1, types[i], strlen(types[i])) == 0 &&
            strchr(" \t", p[1 + strlen(types[i])]) != NULL)
            return 85;
    return 0;
}

/* Behind the logger's name, which mostly stands where it stood before. */
static char *
etcd_logger(char *line, size_t len, size_t *at)
{
    const size_t n = strlen(ETCD_LOGGER);
    char *logger;

    if (len >= *at + n && memcmp(line + *at, ETCD_LOGGER, n) == 0)
        return line + *at + n;
    logger = strstr(line, ETCD_LOGGER);
    if (logger == NULL)
        return NULL;
    *at = (size_t)(logger - line);
    return logger + n;
}

/* Behind the value (history.txt), or in its place. */
static const struct tree *
etcd_error(struct parse *ps, struct tree *value, enum record_type type)
{
    struct tree *error = parse_alloc(ps, sizeof(*error));

    if (edn_value(ps, error) == PARSED)
        return error;
    if (value->kind != TREE_KEYWORD || type == RECORD_INVOKE)
        return NULL;
    *error = *value;
    *value = (struct tree){0};
    return error;
}

/* One line's words behind 'logger', or of all of it; false: no event of a
 * client, or 'what' is set. */
static bool
etcd_line(char *line, const char *logger, struct parse *ps, struct tree *value,
          struct record *r, const char **what)
{
    char *words[4];
    unsigned n = split_words(line, words, 4);
    size_t len;

    if (n < 3 || *words[1] != ':' || !record_type_parse(words[1], &r->type)) {
        if (logger != NULL && n > 0 && *words[0] >= '0' && *words[0] <= '9')
            *what = "expected 'PROCESS :TYPE :F VALUE'";
        return false;
    }
    if (!parse_integer(words[0], strlen(words[0]), &r->process)) {
        if (*words[0] != ':')
            *what = "the process is neither a number nor a keyword";
        return false; /* :nemesis */
    }
    r->function = words[2] + (*words[2] == ':');
    *value = (struct tree){0};
    if (n < 4)
        return true;
    len = strlen(words[3]);
    parse_begin(ps, words[3], len, true);
    if (edn_value(ps, value) != PARSED) {
        *what = ps->what;
        return false;
    }
    r->error = etcd_error(ps, value, r->type);
    return true;
}

static int
porcupine_etcd_read(struct input *in, struct record_file *ret,
                    record_sink *sink, void *arg, struct error *err)
{
    struct parse ps;
    struct tree value;
    uint64_t number;
    size_t len, at = 0;
    char *line, *logger;
    int status;

    parse_init(&ps);
    while ((status = text_line(in, &line, &len, &number, err)) > 0) {
        struct record r = {.value = &value,
                           .position = RECORD_POSITION_NONE,
                           .time_ns = -1,
                           .line = number};
        const char *what = NULL;

        logger = etcd_logger(line, len, &at);
        if (!etcd_line(logger != NULL ? logger : line, logger, &ps, &value, &r,
                       &what)) {
            if (what == NULL)
                continue;
            status = input_error(in, number, err, "%s", what);
            break;
        }
        status = sink(arg, &r, err);
        if (status < 0)
            break;
    }
    parse_release(&ps);
    return status;
}

const struct format_ops format_porcupine_etcd = {
    .name = "porcupine-etcd",
    .description = "Jepsen's text log of a register: Porcupine's etcd logs, "
                   "history.txt",
    .sniff = porcupine_etcd_sniff,
    .read = porcupine_etcd_read,
    .model = "cas-register",
};
