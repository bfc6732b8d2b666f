/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a throttle is seen by from within the guest: a fixed piece of work takes
 * longer by the host's clock than it did before.
 *
 * A host that is busy makes it take longer too.  So the same work is done on a
 * node that is not throttled, turn by turn with it, and what slows both counts
 * for nothing.  Where every node is a target, the host must have had a part of
 * a processor left.  What a busy host alone may have done proves nothing,
 * either way.
 *
 * Threads: pure.
 */
#ifndef ORDEAL_NEMESIS_THROTTLE_WORK_H
#define ORDEAL_NEMESIS_THROTTLE_WORK_H

#include <stdbool.h>

#include "nemesis/fault.h"

struct throttle_work {
    double ms;         /* by the host's clock; 0: not measured */
    double control_ms; /* of the node that is not throttled; 0: there is none */
    double free_cpus;  /* processors that had nothing better to do */
};

/*
 * Confirmed: slower by a quarter of what was ordered (at 20 %, which is five
 * times as slow: twice) or more.  Mismatch: by less than an eighth.  Between
 * them, or on a host of which nothing can be said: inconclusive.
 */
enum proof throttle_judge_effect(const struct throttle_work *before,
                                 const struct throttle_work *now,
                                 unsigned percent);

/*
 * Whether the work shows that the throttle is still on.  A busy host shows
 * nothing, nor does a driver that never measured before.
 */
bool throttle_still_slow(const struct throttle_work *before,
                         const struct throttle_work *now, unsigned percent);

/*
 * Of the text of /proc/stat: ticks that went to nobody, or to work of low
 * priority, which gives way unless the machines have a low one, too.  false:
 * not understood.
 */
bool throttle_free_ticks(const char *stat, bool low_priority, double *ret);

#endif
