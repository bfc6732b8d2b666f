/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle: the directory of evidence of one run.
 *
 *   RUNS/current -> SCENARIO/20260131T235959Z-5f0c     from new to finish
 *   RUNS/latest  -> the same                           from finish on
 *   RUNS/SCENARIO/20260131T235959Z-5f0c/
 *       status.json events.jsonl faults.jsonl ...      while the run goes on
 *       manifest.json                                  last: now it is whole
 *
 * (Nothing is added to a finished bundle: that fails, and changes nothing.)
 *
 *   bundle_new -> add, append, status ... -> bundle_finish -> bundle_free
 *             '-> killed -> bundle_open (recover) -'
 *
 * The manifest names every regular file below the directory with size and
 * SHA-256; links and sockets are no evidence and are passed over.  A private
 * key never stays: adding one is refused, and a file that holds one when the
 * bundle is finished is removed and named under "withheld".
 *
 * Threads: bundle_append_json and bundle_set_status from any; the rest from
 * one thread at a time.
 */
#ifndef ORDEAL_ARTIFACTS_BUNDLE_H
#define ORDEAL_ARTIFACTS_BUNDLE_H

#include "artifacts/report.h"
#include "harness/base/error.h"
#include "harness/base/history.h"

#define BUNDLE_SCHEMA_VERSION 1
#define BUNDLE_MANIFEST "manifest.json"
#define BUNDLE_HISTORY HISTORY_FILE_NAME
#define BUNDLE_EVENTS "events.jsonl" /* the machine's log */
#define BUNDLE_FAULTS "faults.jsonl"
#define BUNDLE_STATUS "status.json"
/* More files than this in one bundle is a mistake, not evidence. */
#define BUNDLE_FILE_COUNT_MAX 100000

struct bundle;

/*
 * Makes the directory below 'runs' (made when absent) and points 'current' to
 * it.  'scenario' becomes a directory name: letters, digits, '.', '_', '-'.
 */
struct bundle *bundle_new(const char *runs, const char *scenario,
                          int64_t wall_ns, struct error *err);

/* An unfinished bundle of a driver that died. */
struct bundle *bundle_open(const char *dir, struct error *err);
void bundle_free(struct bundle *b); /* NULL is fine; leaves 'current' alone */

const char *bundle_dir(const struct bundle *b); /* absolute */
const char *bundle_id(const struct bundle *b);  /* "20260131T235959Z-5f0c" */

/* DIR/name, to free; makes the directories on the way to it. */
char *bundle_path(struct bundle *b, const char *name, struct error *err);

/* Whole files, atomically.  Names are relative, without "..". */
int bundle_add(struct bundle *b, const char *name, const void *data, size_t len,
               struct error *err);
int bundle_add_json(struct bundle *b, const char *name, const json_t *json,
                    struct error *err);

/* One more line of a JSONL file, in one write(2). */
int bundle_append_json(struct bundle *b, const char *name, const json_t *json,
                       struct error *err);

/* Replaces status.json: readers see the old one or the new one, whole. */
int bundle_set_status(struct bundle *b, const json_t *status,
                      struct error *err);

/*
 * Renders junit.xml, summary.md and repro.sh, writes the manifest last, and
 * moves 'latest' here.  On failure the bundle stays unfinished, what it holds
 * stays.
 */
int bundle_finish(struct bundle *b, const struct run_report *report,
                  struct error *err);

/*
 * Checks a finished bundle against its manifest: every file there, none
 * changed, none more.  The error names the first problem and counts the rest.
 * *ret_manifest (may be NULL) is a new reference, also when files differ.
 */
int bundle_verify(const char *dir, json_t **ret_manifest, struct error *err);

#endif
