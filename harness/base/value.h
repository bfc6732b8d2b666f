/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed values and ordered named fields: the arguments and results of
 * operations, as the workload makes them, the client sends them, the history
 * stores them and the analyzer reads them.
 *
 * Ownership: everything reachable from a value lives in the arena (or string
 * table) it was made with; a struct fields is a view and may be copied freely.
 */
#ifndef ORDEAL_BASE_VALUE_H
#define ORDEAL_BASE_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/arena.h"
#include "harness/base/error.h"
#include "harness/base/id128.h"

enum value_type {
    VALUE_NULL = 0,
    VALUE_BOOL = 1,
    VALUE_INT = 2,    /* int64 */
    VALUE_ID = 3,     /* struct id128 */
    VALUE_STRING = 4, /* UTF-8, no NUL inside, NUL-terminated in memory */
    VALUE_LIST = 5,
};

struct value {
    enum value_type type;
    union {
        bool boolean;
        int64_t integer;
        struct id128 id;
        struct {
            const char *text;
            size_t len;
        } string;
        struct {
            const struct value *items;
            size_t count;
        } list;
    };
};

struct field {
    const char *key;
    struct value value;
};

/* In order of insertion; keys are unique. */
struct fields {
    struct field *items;
    size_t count, cap;
};

#define FIELDS_MAX 32 /* the widest result has 14; room for systems */
#define VALUE_LIST_MAX                                                         \
    4096 /* a bundle or an expired list; 64 at most today                      \
          */
#define VALUE_DEPTH_MAX 4
#define VALUE_STRING_MAX 65536

/* Each appends, or replaces a field of that key.  'key' must outlive 'f'. */
void fields_set(struct arena *a, struct fields *f, const char *key,
                struct value value);
void fields_set_int(struct arena *a, struct fields *f, const char *key,
                    int64_t integer);
void fields_set_bool(struct arena *a, struct fields *f, const char *key,
                     bool boolean);
void fields_set_id(struct arena *a, struct fields *f, const char *key,
                   struct id128 id);
void fields_set_string(struct arena *a, struct fields *f, const char *key,
                       const char *text); /* copies text */
void fields_set_list(struct arena *a, struct fields *f, const char *key,
                     const struct value *items,
                     size_t count); /* shallow copy */

/* NULL when there is no such field. */
const struct value *fields_get(const struct fields *f, const char *key);

/* Typed access: false (and *ret untouched) when absent or of another type. */
bool fields_int(const struct fields *f, const char *key, int64_t *ret);
bool fields_bool(const struct fields *f, const char *key, bool *ret);
bool fields_string(const struct fields *f, const char *key, const char **ret);
/* An id, or a non-negative int widened to one. */
bool fields_id(const struct fields *f, const char *key, struct id128 *ret);
bool value_id(const struct value *v, struct id128 *ret);

bool value_equal(const struct value *a, const struct value *b);
bool fields_equal(const struct fields *a, const struct fields *b);

/* Deep copy into another arena, keys included. */
struct fields fields_copy(struct arena *a, const struct fields *f);

/*
 * JSON mapping, lossless both ways: nil null, bool, int number, id "#" followed
 * by 32 hex digits, list array, string string (one that begins with '#' or '\'
 * gets a '\' in front).
 */
json_t *value_to_json(const struct value *v); /* new reference */
json_t *fields_to_json(const struct fields *f);
int value_from_json(struct arena *a, const json_t *json, struct value *ret,
                    struct error *err);
int fields_from_json(struct arena *a, const json_t *object, struct fields *ret,
                     struct error *err);

#endif
