/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Suppositions: whether calls contradict each other whatever one thinks of the
 * rest of the history.
 *
 * Each call of a problem is given a role:
 *
 *   firm   it happened, as it was recorded (without an answer: at some time)
 *   maybe  it happened in its interval as it was recorded, or not at all
 *   out    it did not happen
 *
 * INVALID says: no set of calls that has all firm ones and any of the maybe
 * ones has an order.  With nothing out this is a property of the firm calls in
 * their history, and it is kept when more calls are made firm: whoever believes
 * the firm calls cannot explain them, no matter what else is left away.  A core
 * found by erasing calls has no such property (a read whose writer was erased
 * contradicts all by itself), so cores are made by suppositions.
 *
 * The search is the just-in-time one of Lowe ("Testing for linearizability",
 * 2017) with optional calls: when a maybe call ends, each configuration goes on
 * both with and without it.  Of configurations with one state and one set of
 * firm calls only those with a minimal set of used maybe calls are kept: not
 * having used a maybe call is never a disadvantage.
 *
 * Threads: one at a time.
 */
#ifndef ORDEAL_ANALYZER_EXPLAIN_SUPPOSE_H
#define ORDEAL_ANALYZER_EXPLAIN_SUPPOSE_H

#include "analyzer/engines/engine.h"

enum supposed { SUPPOSED_OUT, SUPPOSED_MAYBE, SUPPOSED_FIRM };

/* Overlapping calls; more of them are not searched (UNKNOWN). */
#define SUPPOSE_SLOTS_MAX 256

struct suppose;

/* Events after rank 'end' are not looked at: what is invoked after it is out,
 * what completes after it is maybe.  CALL_OPEN: all are.  The problem must have
 * a model with step and outlive the suppose. */
struct suppose *suppose_new(const struct problem *p, uint32_t end);
void suppose_set_end(struct suppose *s, uint32_t end);
/* Begins with any of these states instead of the model's first one; they stay
 * the caller's and must live as long as they are in use.  NULL: with that. */
void suppose_set_starts(struct suppose *s, const struct model_state *starts,
                        uint32_t count);
void suppose_free(struct suppose *s);
void suppose_free_p(struct suppose **s);

/* Most steps of one suppose_decide, and so many more for each event. */
#define SUPPOSE_STEPS_MAX 100000u
#define SUPPOSE_STEPS_EVENT 100u
/* Most configurations between two events. */
#define SUPPOSE_WIDTH_MAX 4096u

/*
 * 'role' has an enum supposed per call of the problem.  VALID: if 'ret_order'
 * is not NULL, *ret_order is the order found, as indexes into the problem
 * (malloc'd).  UNKNOWN: a limit was reached.
 */
enum verdict suppose_decide(struct suppose *s, const uint8_t *role,
                            struct budget *b, uint32_t **ret_order,
                            uint32_t *ret_count);

#endif
