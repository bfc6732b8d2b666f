/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The analyzer: from a history to verdicts, offline.  It links base and jansson
 * only, never the driver.
 *
 *   history --table--> operations --facts--> checkers (threads) --> JSON
 *
 * The result (schema in docs/CHECKERS.md):
 *   {"verdict": "valid|invalid|unknown",
 *    "checkers": [{"checker", "verdict", "count", "reason"?, "witness"?:
 *                  {"text", "events": [...]}}],
 *    "operations": {...}, "evidence": {...}}
 * The verdict is the worst of all checkers: invalid > unknown > valid.
 *
 * Threads: calls are independent of each other.
 */
#ifndef ORDEAL_ANALYZER_ANALYZER_H
#define ORDEAL_ANALYZER_ANALYZER_H

#include <jansson.h>
#include <stdatomic.h>

#include "harness/base/clock.h"
#include "harness/base/error.h"

struct table;

/* Enough for ten million operations; a check that needs more is stuck. */
#define ANALYZER_DEADLINE_DEFAULT_NS (120 * NS_PER_S)

/* Whether the history is a run's, which was driven by our rules. */
enum analyzer_origin {
    ORIGIN_FROM_META, /* a run when meta names its scenario */
    ORIGIN_RUN,
    ORIGIN_FOREIGN,
};

struct analyzer_options {
    int64_t deadline_ns; /* how long checkers may take; 0: the default */
    /* Names of checkers, NULL-terminated; NULL: all that apply. */
    const char *const *checkers;
    enum analyzer_origin origin;
    /* The rest is for judging by a model (analyzer/judge-model.h). */
    const char *from, *model, *initial; /* NULL: found out; the default */
    bool knossos;                       /* meaning of fail: analyzer/calls.h */
    size_t memory_bytes;                /* cap of the engines; 0: the default */
    unsigned jobs;                      /* threads; 0: one per processor */
    const char *certificate, *html, *core; /* files to write, or NULL */
    const atomic_bool *stop; /* ends the check with what there is, or NULL */
};

/*
 * Judges the history at 'path': a file, or a bundle (a directory with
 * history.ordeal).  0 and a new reference, or -1 when there is no history to
 * judge (CONFIG: no such file, not a history, no such checker).  A damaged or
 * malformed history is judged up to the damage and never valid.
 */
int analyzer_run(const char *path, const struct analyzer_options *options,
                 json_t **ret, struct error *err);

/* The same of a finished table (analyzer/table.h). */
int analyzer_judge(const struct table *t,
                   const struct analyzer_options *options, json_t **ret,
                   struct error *err);

/* Reads a history into a new table, finished (analyzer/table.h). */
int analyzer_load(const char *path, struct table **ret, struct error *err);

/*
 * Whether the domain checkers judge the file: a bundle, an allocator's history
 * in our own format, or a run's of another engine.  Also true when it cannot be
 * opened.
 */
bool analyzer_is_domain(const char *path);

/* 0 valid, 1 invalid, 2 unknown: the exit status of 'ordeal check'. */
int analyzer_exit_status(const json_t *result);

/* The command 'ordeal check'; argv[0] is "check".  Returns the exit status. */
int analyzer_cli(int argc, char **argv);

#endif
