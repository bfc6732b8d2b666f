/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that a process in the guest holds (nemesis/harm/harm.h): it acts,
 * keeps at it, and undoes what it did when asked, or when its lease runs out.
 *
 * Each fault is held under its own name.  The program is put into the guest by
 * the first call that finds none there, so that a guest that was rebooted, or
 * one of any provider, needs nothing prepared.
 *
 * Threads: as the remotes; the calls for one node may run beside those for
 * another.
 */
#ifndef ORDEAL_NEMESIS_HELD_H
#define ORDEAL_NEMESIS_HELD_H

#include "nemesis/fault.h"

#define HELD_PROGRAM "/run/ordeal-harm/ordeal-harm"
#define HELD_WORDS_MAX 12

/* Nodes that are machines of their own: what is done to one is not done to the
 * driver's. */
bool held_available(const struct fault_world *w);

/*
 * Runs the program with the words (NULL-terminated).  Returns its answer, a new
 * reference; NULL: it failed, and err has its reason.
 */
json_t *held_call(const struct fault_world *w, unsigned node,
                  const char *const words[], struct error *err);

/* Begins the harm 'kind' with 'args' under the fault's name and lease. */
int held_start(struct fault *f, unsigned node, const char *kind,
               const char *const args[], struct error *err);

/* For fault_ops.renew: all targets. */
int held_renew(struct fault *f, struct error *err);

/* Ends it on every node of the set; fills f->self_healed. */
int held_stop(struct fault *f, node_set nodes, struct error *err);

/* For fault_ops: nodes of the record, under the name of its fault. */
json_t *held_undo_record(const struct fault *f);
int held_undo(const struct fault_world *w, const json_t *record,
              struct error *err);

/* Whether a holder runs and acts now. */
int held_acts(struct fault *f, unsigned node, bool *ret, struct error *err);

#endif
