/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the clients of a schedule asked and were told, in the order in which it
 * happened, for the analyzer:
 *
 *   history_invoke -> history_complete (or never) ... -> history_judge
 *
 * Leases are judged by all domain checkers, quota, pool and blocks by their
 * models.
 */
#ifndef ORDEAL_TESTS_SIMULATION_HISTORY_H
#define ORDEAL_TESTS_SIMULATION_HISTORY_H

#include "tests/simulation/machine.h"

struct history_op {
    struct machine_op op;
    struct machine_answer answer;
    uint32_t invoke, complete; /* ranks; complete HISTORY_OPEN: never */
};

#define HISTORY_OPEN UINT32_MAX

struct sim_history {
    struct history_op *ops;
    uint32_t count, cap, ranks;
};

/* Returns the number of the operation. */
uint32_t history_invoke(struct sim_history *h, const struct machine_op *op);
void history_complete(struct sim_history *h, uint32_t number,
                      const struct machine_answer *answer);
void history_release(struct sim_history *h);

/* False: a checker found it invalid, or could not decide; 'ret' says which and
 * why. */
bool history_judge(const struct sim_history *h, enum machine_kind kind,
                   char *ret, size_t size);

/* The two halves (history-lease.c, history-model.c). */
bool history_judge_lease(const struct sim_history *h, char *ret, size_t size);
bool history_judge_model(const struct sim_history *h, enum machine_kind kind,
                         char *ret, size_t size);

#endif
