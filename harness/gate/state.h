/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gate knows, as the JSON that is its gate.json (docs/GATE.md): written
 * whole and atomically after each change, so that a gate that was killed goes
 * on with the rows that are missing.
 *
 *   gate_state_new(matrix) | gate_state_load(dir)
 *       -> attempt_begin -> attempt_end ... -> gate_state_status
 *
 * A row: waiting -> running -> done, or blocked.  It has one attempt for each
 * time it was started.  An attempt that was interrupted (a signal, a dead gate)
 * says nothing and the row waits again; one that came to 'infra' is tried once
 * more.
 *
 * Threads: one.
 */
#ifndef ORDEAL_HARNESS_GATE_STATE_H
#define ORDEAL_HARNESS_GATE_STATE_H

#include <jansson.h>
#include <stdint.h>

#include "artifacts/status.h"
#include "harness/gate/matrix.h"

#define GATE_FILE "gate.json"
#define GATE_SCHEMA_VERSION 1
/* Times that a row is started again after 'infra'. */
#define GATE_RETRIES 1
/* A row whose attempts are interrupted this often is given up. */
#define GATE_ATTEMPTS_MAX 16

/* New reference. */
json_t *gate_state_new(const struct matrix *m, uint64_t seed,
                       int64_t started_wall_ns);
json_t *gate_state_load(const char *dir, struct error *err);
int gate_state_save(const char *dir, const json_t *state, struct error *err);

/* Borrowed. */
json_t *gate_state_rows(const json_t *state);

bool gate_row_is(const json_t *row, const char *state); /* "waiting", ... */

/* Of the row's attempts the last, borrowed; NULL: none yet. */
json_t *gate_row_attempt(const json_t *row);

/* The next row that waits, borrowed; NULL: none. */
json_t *gate_state_next(const json_t *state);

/* The seed of the row's next attempt: the same gate seed, the same runs. */
uint64_t gate_row_seed(const json_t *state, const json_t *row);

/* A new attempt, borrowed; the row is running. */
json_t *gate_attempt_begin(json_t *row, uint64_t seed, int64_t wall_ns);

/*
 * The attempt is over.  'manifest' is that of its bundle, NULL: it left none,
 * and 'problem' says why, if anything does.
 */
void gate_attempt_end(json_t *row, const json_t *manifest, const char *problem,
                      int64_t wall_ns);

/* The attempt ended without meaning anything: the row waits again. */
void gate_attempt_interrupt(json_t *row, const char *why);

/*
 * What a run came to, seen from what its row expects: a planted bug that was
 * caught passes, one that was not is our mistake.  'ret_text' (static or from
 * the arena) says why it is not what the manifest says; NULL: it is.
 */
struct arena;
enum run_status gate_outcome(const json_t *row, const json_t *manifest,
                             struct arena *a, const char **ret_text);

/* The worst of all rows; what is missing is 'insufficient'. */
enum run_status gate_state_status(const json_t *state);

#endif
