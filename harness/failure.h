/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The failure matrix (scenarios/failure-matrix.yaml, docs/GATE.md): each
 * failure has exactly one outcome that is expected of the system.  What a run
 * observed is one of the classes below, worked out without knowing which one
 * is expected; what fits none is an error of ours, not of the system.
 *
 *   about service  the system as clients saw it while the failure was in force
 *     continues               it acknowledged mutations
 *     fails_closed            none until the heal, and then it served again
 *   about node     how the nodes that were hit came back, by their own word
 *     recovers_by_log         from what they had, nothing was missing
 *     recovers_by_suffix      they fetched what they had missed
 *     recovers_by_snapshot    they were given a snapshot
 *     refuses_to_start        they would not serve on what they found
 *
 * Threads: pure but for failure_find(), which reads the file.
 */
#ifndef ORDEAL_HARNESS_FAILURE_H
#define ORDEAL_HARNESS_FAILURE_H

#include <jansson.h>
#include <stdbool.h>

#include "harness/base/error.h"

#define FAILURE_CHECKER "failure_outcome"

/* The row of a failure: new reference.  CONFIG: there is none, it is wrong. */
json_t *failure_find(const char *id, struct error *err);

/* All rows, checked: {"ID": {...}}.  New reference. */
json_t *failure_matrix(struct error *err);

/* What a node that was hit did. */
struct failure_node {
    const char *name, *recovery; /* "suffix", ...; "": it does not answer */
    bool refused;                /* ended with the system's refusal */
};

struct failure_seen {
    const json_t *faults; /* evidence of the analyzer (docs/CHECKERS.md) */
    bool serves;          /* in time after the heal */
    const struct failure_node *nodes; /* of the whole cluster */
    unsigned node_count;
};

/* The class of what was seen, and why; NULL: it fits none. */
const char *failure_observe(const json_t *row, const struct failure_seen *seen,
                            char *why, size_t size);

/*
 * The result of the checker failure_outcome: valid when the expected was
 * observed, invalid when something else was, unknown when nothing fits.  Has
 * "failure", "expected" and "observed" beside what every checker has.
 */
json_t *failure_judge(const char *id, const json_t *row,
                      const struct failure_seen *seen);

#endif
