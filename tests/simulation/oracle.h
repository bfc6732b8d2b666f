/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thirteen rules as assertions over everything that a replica does.  Each
 * check ends the schedule with sim_violation() and the number of the rule.
 */
#ifndef ORDEAL_TESTS_SIMULATION_ORACLE_H
#define ORDEAL_TESTS_SIMULATION_ORACLE_H

#include "tests/simulation/sim.h"

void oracle_init(struct oracle *o);
void oracle_release(struct oracle *o);

/* Before a message leaves node i (rules 2, 4, 5, 11, 13). */
void oracle_sends(struct sim *s, unsigned i, const struct vsr_message *m,
                  size_t length);
/* Node i applied 'e' (rules 1, 2, 7, 9, 10, 11). */
void oracle_applied(struct sim *s, unsigned i, const struct vsr_entry *e,
                    const struct machine_result *r);
/* Node i answered a write whose operation began at floor (rules 2, 8). */
void oracle_answered(struct sim *s, unsigned i, uint64_t floor,
                     struct vsr_position position);
/* Node i serves a read that arrived when 'floor' was known (rule 8). */
void oracle_read(struct sim *s, unsigned i, uint64_t floor);
/* After every step of node i, with its status before (rules 3, 6, 8). */
void oracle_stepped(struct sim *s, unsigned i, const struct vsr_status *before);
/* Node i is about to give up its log for a snapshot (rule 13). */
void oracle_installs(struct sim *s, unsigned i, struct vsr_position position);
/* Node i took the staged snapshot for good (rule 13). */
void oracle_installed(struct sim *s, unsigned i, struct vsr_position position);
/* Node i started although its disk was damaged (rule 11). */
void oracle_started(struct sim *s, unsigned i);
/* All logs and states agree (rules 1, 4, 7); now and then and at the end. */
void oracle_compare(struct sim *s);

#endif
