/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which calls of a problem could have anything to do with the firm ones
 * (explain/suppose.h).  For models whose calls meet only where they name the
 * same value the others are left out of the search: an order of any part of
 * the history remains one without them.
 *
 *   registers       a value is put there by a call that names it; except
 *                   that a refused compare-and-set may be due to any value
 *   queue, stack,   each value has a life of its own; taking all calls of a
 *   set             value away leaves the order of the others (linearizability-
 *                   preserving values, Lee and Mathur, OOPSLA 2025)
 *
 *   leases, holds,  an order stays one when a lease or a hold is struck out
 * with debits          all that was done to it; a refusal needs whoever is at
 * its places (model_stake)
 *
 * For all other models everything is relevant.
 *
 * Threads: pure.
 */
#ifndef ORDEAL_ANALYZER_EXPLAIN_RELEVANT_H
#define ORDEAL_ANALYZER_EXPLAIN_RELEVANT_H

#include "analyzer/engines/engine.h"

/* Makes every call that is not SUPPOSED_FIRM in 'role' a SUPPOSED_MAYBE or,
 * when it has nothing to do with the firm ones, SUPPOSED_OUT. */
void relevant_maybes(const struct problem *p, uint8_t *role);

/* The problem without the calls that have nothing to do with 'core' (rising);
 * *ret_members is what it needs, malloc'd. */
struct problem relevant_part(const struct problem *p, const uint32_t *core,
                             uint32_t core_count, uint32_t **ret_members);

#define RELEVANT_VALUES_MAX 4u
/* The values a call names, at most RELEVANT_VALUES_MAX and its list, which is
 * *ret_list; 0 and no list when its model is not one of those above. */
uint32_t relevant_values(const struct calls *c, uint32_t call,
                         uint32_t ret[RELEVANT_VALUES_MAX]);

#endif
