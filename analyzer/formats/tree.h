/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value of somebody else's history, as a small tree: what EDN and JSON have
 * in common.  One record's values live in the reader's arena and are gone with
 * the next record.
 *
 * Threads: immutable once made.
 */
#ifndef ORDEAL_ANALYZER_FORMATS_TREE_H
#define ORDEAL_ANALYZER_FORMATS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tree_kind {
    TREE_NIL,
    TREE_BOOL,
    TREE_INT,
    TREE_REAL,
    TREE_STRING,  /* JSON and EDN strings */
    TREE_KEYWORD, /* EDN keywords without their colon, symbols */
    TREE_LIST,    /* JSON arrays; EDN vectors, lists and sets */
    TREE_MAP,     /* 2 * count items: key, value, key, value */
};

/* Nesting that no history needs; deeper input is an error. */
#define TREE_DEPTH_MAX 64

struct tree {
    enum tree_kind kind;
    uint32_t count; /* bytes of text, items of a list, pairs of a map */
    union {
        bool truth;
        int64_t integer;
        double real;
        const char *text; /* count bytes and a NUL */
        const struct tree *items;
    };
};

/* The value of 'key' (a string or a keyword) in a map; NULL: not there, or
 * no map. */
const struct tree *tree_get(const struct tree *map, const char *key);

/* Whether it is a string or a keyword with this text. */
bool tree_is(const struct tree *t, const char *text);

#endif
