/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undo journal: what must be undone if this process dies now.
 *
 *   journal_open -> (begin -> act ... undo -> done)* -> journal_close
 *                                | killed here
 *   journal_pending -> what began and was not done, latest first
 *
 * One JSON object per line, append-only, each line on disk (fdatasync) before
 * the call returns:
 *   {"crc":"1a2b3c4d","entry":{"type":"begin","id":3,"undo":{...}}}
 *   {"crc":"5e6f7a8b","entry":{"type":"done","id":3}}
 * crc is the CRC-32C of the bytes of the entry.  A last line that is cut or
 * damaged never took effect (its call had not returned) and is ignored.  A
 * damaged line before the end is counted; its undo is lost, all others hold.
 *
 * The open journal is locked (fcntl): recovery of a run whose driver still
 * lives is refused.
 *
 * Threads: one thread at a time.
 */
#ifndef ORDEAL_NEMESIS_JOURNAL_H
#define ORDEAL_NEMESIS_JOURNAL_H

#include <jansson.h>
#include <stdint.h>

#include "harness/base/error.h"

/* An undo record is small; a longer line is damage. */
#define JOURNAL_LINE_BYTES_MAX 65536
/* Two lines for each fault of the longest plan, with room. */
#define JOURNAL_BYTES_MAX (64u << 20)

struct journal;

/* Creates 'path' or goes on with it.  NULL and err on failure. */
struct journal *journal_open(const char *path, struct error *err);
void journal_close(struct journal *j); /* NULL is fine */

/*
 * The undo of what the caller is about to do.  'id' names it among those not
 * done.  Borrows undo, an object.  On failure nothing may be acted on.
 */
int journal_begin(struct journal *j, uint64_t id, const json_t *undo,
                  struct error *err);
int journal_done(struct journal *j, uint64_t id, struct error *err);

struct journal_record {
    uint64_t id;
    json_t *undo;
};

struct journal_pending {
    struct journal_record *records; /* latest begun first */
    size_t record_count;
    size_t damaged_count; /* lines lost before the end */
    uint64_t id_max;      /* highest id ever begun, 0: none */
};

/*
 * Reads without a lock.  No such file: nothing is pending.  Not for a process
 * that has the journal open: closing another descriptor drops its lock.
 */
int journal_pending(const char *path, struct journal_pending *ret,
                    struct error *err);
/* The same of an open journal. */
int journal_pending_open(struct journal *j, struct journal_pending *ret,
                         struct error *err);
void journal_pending_release(struct journal_pending *p);

#endif
