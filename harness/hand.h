/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults by hand on a cluster of 'ordeal up'.  The process that holds the
 * cluster has its switch and its machines, so it does the work; 'ordeal fault'
 * asks it over a unix socket in the cluster's directory.
 *
 *   holder:   hand_new -> hand_serve ... -> hand_free
 *   client:   hand_ask: one JSON object there, one back
 *
 *   {"do":"list"} {"do":"facts"} {"do":"heal","id":3}
 *   {"do":"inject","fault":"kill","target":"n1","params":{},"die_after":""}
 *   -> {"answer":...} or {"error":"...","kind":1}
 *
 * What is done is recorded like a run's faults, in the same directory: the
 * history, faults.jsonl and the undo journal, by which 'ordeal recover' heals
 * after the holder died.
 *
 * Threads: the holder's one thread.
 */
#ifndef ORDEAL_HARNESS_HAND_H
#define ORDEAL_HARNESS_HAND_H

#include <jansson.h>

#include "harness/site.h"

#define HAND_SOCKET "fault.sock"
#define HAND_JOURNAL "undo.journal"
#define HAND_FAULTS "faults.jsonl"
/* Longer than any one fault takes to inject, heal and prove. */
#define HAND_ASK_TIMEOUT_NS (180 * NS_PER_S)

struct fault_world;
struct hand;

/* Borrows the site, which is open, and outlives it.  Seeds what is drawn. */
struct hand *hand_new(struct site *site, const struct system_ops *system,
                      uint64_t seed, struct error *err);
void hand_free(struct hand *h); /* NULL is fine */

/* Answers whoever asks within the time; renews leases. */
void hand_serve(struct hand *h, int64_t timeout_ns);

/*
 * Each fault there is, a new reference: name, description, parameters; with a
 * world (NULL: none) whether it is available there.
 */
json_t *hand_list(const struct fault_world *w);

/* The answer, a new reference; NULL: refused, or nobody holds the cluster. */
json_t *hand_ask(const char *runtime_dir, json_t *request, struct error *err);

#endif
