/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that are a name and a few fields, from a table of shapes: their
 * JSON and their bytes in the log.  A payload is the tag, operation, client and
 * the fields in the shape's order (ids 16 bytes, low half first; numbers 8).
 * The encoding of a command is unique: decoding accepts exactly what encoding
 * makes, bounds included.
 */
#ifndef ORDEAL_REPLICA_COMMAND_PLAIN_H
#define ORDEAL_REPLICA_COMMAND_PLAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/buf.h"
#include "harness/base/error.h"
#include "harness/base/id128.h"

#define PLAIN_FIELDS_MAX 4u

/* Tag, operation, client, fields; smaller than any payload's bound. */
#define PLAIN_BYTES_MAX (1u + 24u + 16u * PLAIN_FIELDS_MAX)

struct plain_field {
    const char *name; /* NULL: the shape has no more */
    bool is_id;
    uint64_t min, max; /* of a number; max 0: 2^63-1 */
};

#define PLAIN_ID(field)                                                        \
    {                                                                          \
        .name = field, .is_id = true                                           \
    }
#define PLAIN_NUMBER(field)                                                    \
    {                                                                          \
        .name = field                                                          \
    }
#define PLAIN_BOUNDED(field, low, high)                                        \
    {                                                                          \
        .name = field, .min = (low), .max = (high)                             \
    }

struct plain_shape {
    uint8_t tag; /* its own among all engines' commands */
    const char *name;
    struct plain_field fields[PLAIN_FIELDS_MAX];
    /* Index of a number that must not pass the one before it; 0: none. */
    unsigned at_most_previous;
};

struct plain_command {
    const struct plain_shape *shape;
    struct id128 operation;
    uint64_t client;
    union plain_value {
        struct id128 id;
        uint64_t number;
    } fields[PLAIN_FIELDS_MAX];
};

/* 'shapes' end with a NULL name. */
int plain_command_parse(const struct plain_shape *shapes, const json_t *request,
                        struct buf *out, struct error *err);
void plain_command_encode(const struct plain_command *c, struct buf *out);
int plain_command_decode(const struct plain_shape *shapes, const void *data,
                         size_t len, struct plain_command *ret,
                         struct error *err);

#endif
