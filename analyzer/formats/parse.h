/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to trees, one value at a time, from a window of bytes that may end in
 * the middle of it.  Then the parser says PARSED_MORE, and the caller tries
 * again with a wider window; so parsers keep no state between bytes.
 *
 *   parse_begin -> edn_value or json_value -> use the tree -> parse_begin ...
 *
 * parse_stream (below) does that over an input, for files that are one big
 * vector or array, or one value after the other.
 *
 * Threads: one parser, one thread.
 */
#ifndef ORDEAL_ANALYZER_FORMATS_PARSE_H
#define ORDEAL_ANALYZER_FORMATS_PARSE_H

#include "analyzer/formats/input.h"
#include "analyzer/formats/tree.h"
#include "harness/base/arena.h"

enum parsed {
    PARSED,       /* *ret is a value, 'p' stands behind it */
    PARSED_CLOSE, /* a closing bracket stands at 'p' instead */
    PARSED_END,   /* nothing but space was left */
    PARSED_MORE,  /* the window ends in the middle */
    PARSED_ERROR, /* 'what' says why, 'p' where */
};

/* Small values live here, so that most records need no allocation. */
#define PARSE_BLOCK_BYTES ((size_t)32 << 10)

struct parse {
    const char *p, *end; /* *end is a NUL */
    bool complete;       /* nothing follows 'end' */
    bool text_keys;      /* JSON: keys that are integers stay text */
    char what[128];
    /* Trees of the value; gone with the next parse_begin. */
    char *block;
    size_t block_used;
    struct arena arena; /* what has no room in the block */
    /* Items of the lists that are open. */
    struct tree *stack;
    uint32_t stack_count, stack_cap;
};

void parse_init(struct parse *ps);
void parse_release(struct parse *ps);
/* Forgets the trees so far. */
void parse_begin(struct parse *ps, const char *text, size_t len, bool complete);

/* Memory that lives as long as the trees; aligned to 8, not zeroed. */
void *parse_alloc(struct parse *ps, size_t size);
const char *parse_text(struct parse *ps, const char *text, size_t len);

/*
 * The next value.  EDN: https://github.com/edn-format/edn, with what Clojure
 * prints beyond it (records, ratios, regexes, ##NaN).  Sets and lists become
 * lists; tags are dropped; characters are strings; symbols, ratios and integers
 * beyond 64 bits are keywords of their text.
 */
enum parsed edn_value(struct parse *ps, struct tree *ret);
/* JSON: RFC 8259, strictly.  Integers beyond 64 bits are keywords of their
 * text; keys that are integers (Jepsen writes maps so) are integers. */
enum parsed json_value(struct parse *ps, struct tree *ret);

/* Skips spaces (JSON) or spaces, commas and comments (EDN). */
void json_space(struct parse *ps);
void edn_space(struct parse *ps);

/* Both share these. */
enum parsed parse_fail(struct parse *ps, const char *what);
enum parsed parse_short(struct parse *ps, const char *what); /* MORE or ERROR */
void parse_push(struct parse *ps, const struct tree *t);
/* Makes a list or map of what is on the stack from 'base' on. */
enum parsed parse_close(struct parse *ps, enum tree_kind kind, uint32_t base,
                        struct tree *ret);
/* An integer of digits with an optional sign; false: beyond 64 bits. */
bool parse_integer(const char *text, size_t len, int64_t *ret);
bool parse_real(struct parse *ps, const char *text, size_t len, double *ret);
bool utf8_valid(const char *text, size_t len);
/* \uXXXX at 'p' (behind the u), perhaps a pair; appends up to 4 bytes.  NULL:
 * not four hex digits, or half of a pair. */
const char *parse_unicode(const char *p, const char *end, char *to,
                          size_t *ret_len);

/* ---- a stream of values ---- */

struct parse_stream {
    struct input *in;
    struct parse parse;
    bool edn;
    char close; /* of the vector around all values, or NUL */
    bool started;
    uint64_t line; /* of the value */
};

void parse_stream_init(struct parse_stream *s, struct input *in, bool edn);
void parse_stream_release(struct parse_stream *s);
/* 1 and *ret, valid until the next call; 0: the end; -1: "PATH:LINE: what". */
int parse_stream_next(struct parse_stream *s, struct tree *ret,
                      struct error *err);

#endif
