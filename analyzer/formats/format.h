/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats: how other tools, and we, write histories down.  A format turns bytes
 * into a stream of records in the file's order, which is the order of time; the
 * sink (analyzer/calls.h) folds them into calls.
 *
 *   bytes --input (plain, gzip, zstd)--> format --record--> sink
 *
 * One format is one file that exports one const struct format_ops; registry.c
 * lists them.  A reader holds one record at a time: ten million operations are
 * streamed.  Lenient about keys it does not know, strict about what is broken:
 * ERROR_CONFIG with "FILE:LINE: what".
 *
 * Threads: readers are independent of each other.
 */
#ifndef ORDEAL_ANALYZER_FORMATS_FORMAT_H
#define ORDEAL_ANALYZER_FORMATS_FORMAT_H

#include <stdio.h>

#include "analyzer/formats/tree.h"
#include "harness/base/error.h"

enum record_type { RECORD_INVOKE, RECORD_OK, RECORD_FAIL, RECORD_INFO };

#define RECORD_POSITION_NONE UINT64_MAX

/* One event of a client.  What nemeses say is not delivered. */
struct record {
    enum record_type type;
    int64_t process;
    const char *function;     /* "read"; "" when the format has none */
    const struct tree *value; /* never NULL; TREE_NIL when absent */
    const struct tree *key;   /* of key-value formats, or NULL */
    const struct tree *error; /* or NULL */
    const char *operation_id; /* stable over retries, or NULL */
    uint32_t attempt;         /* from 1; 0: the format has none */
    bool attempt_only;        /* FAIL: this attempt did not reach the system's
                                 state and tells nothing of it (our own
                                 histories: a refused connection) */
    uint64_t term, position;  /* position RECORD_POSITION_NONE: none */
    int64_t time_ns;          /* -1: none */
    uint64_t line;            /* of the file, from 1; of binary ones the
                                 number of the event */
};

/* What a format knows of the whole file, for the sink. */
struct record_file {
    const char *model; /* the file says what it is about, or NULL */
    uint64_t event_count;
};

/* Takes one record, borrowed until it returns.  0, or -1 to stop. */
typedef int record_sink(void *arg, const struct record *r, struct error *err);

struct input; /* formats/input.h: a file, decompressed as it is read */

struct format_ops {
    const char *name, *description; /* one line */
    /*
     * How sure the format is that this is its own, 0 (it is not) to 100, from
     * the first bytes (decompressed, at most FORMAT_SNIFF_SIZE).
     */
    unsigned (*sniff)(const char *bytes, size_t len, const char *path);
    /* Delivers all records; 0 or -1. */
    int (*read)(struct input *in, struct record_file *ret, record_sink *sink,
                void *arg, struct error *err);
    /* The model that such files are about, or NULL: unknown. */
    const char *model;
};

#define FORMAT_SNIFF_SIZE 65536

extern const struct format_ops *const format_registry[]; /* NULL-terminated */
const struct format_ops *format_find(const char *name);  /* NULL: none */

/*
 * Reads 'path' with the format named 'from', or, if NULL, the surest one.
 * *ret_format is what read it.  It and *ret are also set when reading ended
 * with -1, once the format was known.
 */
int format_read(const char *path, const char *from,
                const struct format_ops **ret_format, struct record_file *ret,
                record_sink *sink, void *arg, struct error *err);

/*
 * Writers: the same records out again.  "jsonl" (ours, docs/HISTORY-FORMAT.md),
 * "edn" and "json" (Jepsen op maps).  What was read comes back the same.
 */
struct record_writer;
struct record_writer *record_writer_new(FILE *out, const char *format,
                                        struct error *err); /* borrows out */
int record_writer_add(struct record_writer *w, const struct record *r,
                      struct error *err); /* a record_sink */
int record_writer_close(struct record_writer *w, struct error *err); /* frees */

#endif
