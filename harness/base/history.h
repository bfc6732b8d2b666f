/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history: the append-only record of attempts and faults that every
 * verdict rests on (docs/HISTORY-FORMAT.md has the bytes).
 *
 *   writer_open -> append ... append -> seal      one writer per file
 *                    |
 *                    +-- killed here: a reader still gets every whole block
 *
 * Rules the writer keeps (docs/ARCHITECTURE.md, "History"):
 *  - events are stamped in the order in which they stand in the file;
 *  - history_append(..., HISTORY_BEFORE_SEND) returns only after write(2) has
 *    taken the block with the event, and everything stamped earlier: only then
 *    may the first byte of a request leave;
 *  - fdatasync runs at most HISTORY_FSYNC_INTERVAL_NS behind.
 *
 * Threads: history_append may be called from any number of threads; they
 * share one block (group commit) while a write is under way.  A reader belongs
 * to one thread.
 */
#ifndef ORDEAL_BASE_HISTORY_H
#define ORDEAL_BASE_HISTORY_H

#include <stdio.h>

#include "harness/base/clock.h"
#include "harness/base/value.h"

#define HISTORY_FSYNC_INTERVAL_NS (200 * NS_PER_MS)
#define HISTORY_BLOCK_BYTES_MAX (1u << 20)
#define HISTORY_PROCESS_NONE UINT32_MAX
#define HISTORY_FILE_NAME "history.ordeal" /* in a bundle */

enum event_kind {
    EVENT_INVOKE = 0,  /* an attempt begins; its request leaves after this */
    EVENT_OK = 1,      /* the system recorded an answer (any domain code) */
    EVENT_FAIL = 2,    /* this attempt certainly did not happen */
    EVENT_UNKNOWN = 3, /* timeout, reset, any doubt */
    EVENT_FAULT = 4,   /* a fault's life: fields 'fault', 'stage', ... */
    EVENT_NOTE = 5,    /* phases, leader changes, anything else */
};
#define EVENT_KIND_COUNT 6

/*
 * The system's own order.  'term' is a term or view, 'index' the place in its
 * log.  Comparable between events only where the history's meta says
 * "positions": "total".
 */
struct position {
    bool known;
    uint64_t term, index;
};

struct event {
    uint64_t index;   /* 0.. in file order; set by the writer and the reader */
    int64_t time_ns;  /* monotonic, one host clock; set by the writer when 0 */
    uint32_t process; /* HISTORY_PROCESS_NONE for faults and notes */
    enum event_kind kind;
    struct id128 operation; /* zero: none */
    uint32_t attempt;       /* 1.. ; 0 for faults and notes */
    const char *function;   /* "reserve", "kill", "phase"; never NULL */
    const char *node;       /* NULL: none */
    const char *error;      /* error class of FAIL and UNKNOWN; NULL: none */
    struct position position;
    struct fields fields; /* arguments on INVOKE, results on OK, ... */
};

const char *event_kind_name(enum event_kind kind); /* "invoke", "ok", ... */
bool event_kind_parse(const char *name, enum event_kind *ret);

/* ---- writer ---- */

enum history_append_mode {
    HISTORY_BUFFERED,    /* may return before write(2) */
    HISTORY_BEFORE_SEND, /* returns after write(2); for invocations */
};

struct history_writer;

/*
 * Creates 'path' (it must not exist) and writes the header with 'meta', a JSON
 * object that makes the file self-describing: "system", "workload", "model",
 * "positions" ("total" or "none"), "seed", "scenario", "nodes", "limits".
 * Borrows meta.  NULL and err on failure.
 */
struct history_writer *history_writer_open(const char *path, json_t *meta,
                                           struct clock *clock,
                                           struct error *err);

/*
 * Appends a copy of 'event' and stamps event->index, and event->time_ns if it
 * was 0.  After a failed write every later call fails: the run must stop
 * sending and report 'infra'.
 */
int history_append(struct history_writer *w, struct event *event,
                   enum history_append_mode mode, struct error *err);

/*
 * Calls 'tap' with each event that history_append() took, in the thread that
 * appended it and after that; it must be quick.  NULL: no more.  One call may
 * still be under way when this returns.
 */
void history_writer_tap(struct history_writer *w,
                        void (*tap)(void *ctx, const struct event *event),
                        void *ctx);

/* Everything appended so far is on disk (fdatasync) when this returns. */
int history_sync(struct history_writer *w, struct error *err);

/*
 * Writes the seal (event count, digest of the whole file), syncs, closes and
 * frees the writer, also on failure.  An unsealed file reads as incomplete.
 */
int history_seal(struct history_writer *w, struct error *err);

/* Closes without a seal and frees.  NULL is fine. */
void history_writer_abandon(struct history_writer *w);

struct history_stat {
    uint64_t event_count, block_count, byte_count;
};
void history_writer_stat(struct history_writer *w, struct history_stat *ret);

/* ---- reader ---- */

struct history_reader;

/*
 * Reads our binary form, or our JSONL, told apart by the first bytes.  A
 * directory is taken for a bundle, whose history is read.
 */
struct history_reader *history_reader_open(const char *path, struct error *err);
void history_reader_free(struct history_reader *r);

/* The header's JSON object; borrowed. */
const json_t *history_reader_meta(const struct history_reader *r);

/*
 * 1 and *ret (strings valid until the next call), 0 at the end of what is
 * whole, -1 and err on damage in the middle ("FILE: block 7 at byte 8192: bad
 * checksum; ...").  Everything before the damage has been returned.
 */
int history_next(struct history_reader *r, struct event *ret,
                 struct error *err);

/* After the end: sealed or not, and how many trailing bytes were dropped. */
bool history_reader_sealed(const struct history_reader *r);
uint64_t history_reader_dropped_bytes(const struct history_reader *r);

/* ---- text ---- */

/* One JSON object per line; first line {"ordeal-history":1,"meta":{...}}. */
int history_export_jsonl(const char *path, FILE *out, struct error *err);
int history_import_jsonl(const char *jsonl_path, const char *path,
                         struct error *err);
json_t *event_to_json(const struct event *e); /* new reference */
int event_from_json(struct arena *a, const json_t *json, struct event *ret,
                    struct error *err);

#endif
