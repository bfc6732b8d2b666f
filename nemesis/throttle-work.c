/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <stdio.h>

#include "nemesis/throttle-work.h"

/* With so much of a processor left, one more thread need not have waited. */
#define THROTTLE_FREE_CPUS 0.2
/* A control that became so much slower, or faster, says how noisy it is. */
#define THROTTLE_CONTROL_RATIO_MAX 3.0

static bool
throttle_has_control(const struct throttle_work *before,
                     const struct throttle_work *now)
{
    return before->control_ms > 0 && now->control_ms > 0;
}

/* Whether 'work' shows more than how busy the host was. */
static bool
throttle_can_tell(const struct throttle_work *before,
                  const struct throttle_work *now,
                  const struct throttle_work *work)
{
    double ratio;

    if (!throttle_has_control(before, now))
        return work->free_cpus >= THROTTLE_FREE_CPUS;
    ratio = now->control_ms / before->control_ms;
    return ratio <= THROTTLE_CONTROL_RATIO_MAX &&
           ratio >= 1 / THROTTLE_CONTROL_RATIO_MAX;
}

/* How much slower the target became than the control did; 1: no slower. */
static double
throttle_slowness(const struct throttle_work *before,
                  const struct throttle_work *now)
{
    double slowness = now->ms / before->ms;

    if (throttle_has_control(before, now))
        slowness /= now->control_ms / before->control_ms;
    return slowness;
}

/* The slowness that is this part of what was ordered. */
static double
throttle_part(unsigned percent, double part)
{
    assert(percent > 0 && percent < 100);
    return 1 + (100.0 / percent - 1) * part;
}

enum proof
throttle_judge_effect(const struct throttle_work *before,
                      const struct throttle_work *now, unsigned percent)
{
    double slowness;

    if (before->ms <= 0 || now->ms <= 0)
        return PROOF_INCONCLUSIVE;
    slowness = throttle_slowness(before, now);
    if (slowness >= throttle_part(percent, 0.25))
        return throttle_can_tell(before, now, now) ? PROOF_CONFIRMED
                                                   : PROOF_INCONCLUSIVE;
    if (slowness >= throttle_part(percent, 0.125))
        return PROOF_INCONCLUSIVE;
    /* What was measured on a busy host before may be too long. */
    return throttle_can_tell(before, now, before) ? PROOF_MISMATCH
                                                  : PROOF_INCONCLUSIVE;
}

bool
throttle_still_slow(const struct throttle_work *before,
                    const struct throttle_work *now, unsigned percent)
{
    return before->ms > 0 && throttle_can_tell(before, now, now) &&
           throttle_slowness(before, now) >= throttle_part(percent, 0.5);
}

bool
throttle_free_ticks(const char *stat, bool low_priority, double *ret)
{
    double user, nice, system, idle, iowait;

    if (sscanf(stat, "cpu %lf %lf %lf %lf %lf", &user, &nice, &system, &idle,
               &iowait) != 5)
        return false;
    *ret = idle + iowait + (low_priority ? 0 : nice);
    return true;
}
