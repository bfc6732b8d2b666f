/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Harm to the wall clock.  What it should say is known at each moment from
 * CLOCK_MONOTONIC_RAW, which neither steps nor slews touch: the note has one
 * pair of readings from before.
 *
 * Failure modes: a kernel that refuses to set the clock (no CAP_SYS_TIME) fails
 * the act; frequency and steps are undone together, so half a harm is undone
 * whole.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include "nemesis/harm/harm.h"

#define NS_PER_S INT64_C(1000000000)

/* note.refs of all kinds here. */
enum { REF_RAW, REF_REALTIME, REF_TICK, REF_FREQUENCY };

/* One tick of adjtimex more or less is 100 parts per million. */
#define CLOCK_TICK_PPM 100
/* Frequency is in 2^-16 parts per million. */
#define CLOCK_PPM_UNIT 65536

int64_t
harm_clock_ns(int clock_id)
{
    struct timespec t;

    clock_gettime(clock_id, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int
clock_write(int64_t realtime_ns, struct error *err)
{
    struct timespec t = {.tv_sec = realtime_ns / NS_PER_S,
                         .tv_nsec = realtime_ns % NS_PER_S};

    if (realtime_ns < 0 || clock_settime(CLOCK_REALTIME, &t) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "clock_settime");
    return 0;
}

int
harm_clock_look(struct error *err)
{
    struct timex t = {.modes = 0};
    int64_t raw_ns, realtime_ns;

    if (adjtimex(&t) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "adjtimex");
    raw_ns = harm_clock_ns(CLOCK_MONOTONIC_RAW);
    realtime_ns = harm_clock_ns(CLOCK_REALTIME);
    printf("{\"raw_ns\":%" PRId64 ",\"realtime_ns\":%" PRId64
           ",\"tick_us\":%ld,\"frequency\":%ld}\n",
           raw_ns, realtime_ns, t.tick, t.freq);
    return 0;
}

int
harm_clock_set(int64_t raw_ns, int64_t realtime_ns, struct error *err)
{
    int64_t now_ns = harm_clock_ns(CLOCK_MONOTONIC_RAW);

    if (clock_write(realtime_ns + (now_ns - raw_ns), err) < 0)
        return -1;
    return harm_clock_look(err);
}

/* What the wall clock should say now. */
static int64_t
clock_should_ns(const struct harm_note *note)
{
    return note->refs[REF_REALTIME] +
           (harm_clock_ns(CLOCK_MONOTONIC_RAW) - note->refs[REF_RAW]);
}

static int
clock_prepare(struct harm *h, struct error *err)
{
    struct timex t = {.modes = 0};

    if (adjtimex(&t) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "adjtimex");
    h->note.refs[REF_TICK] = t.tick;
    h->note.refs[REF_FREQUENCY] = t.freq;
    h->note.refs[REF_RAW] = harm_clock_ns(CLOCK_MONOTONIC_RAW);
    h->note.refs[REF_REALTIME] = harm_clock_ns(CLOCK_REALTIME);
    return 0;
}

static int
clock_undo(const struct harm_note *note, struct error *err)
{
    struct timex t = {.modes = ADJ_TICK | ADJ_FREQUENCY,
                      .tick = (long)note->refs[REF_TICK],
                      .freq = (long)note->refs[REF_FREQUENCY]};

    if (adjtimex(&t) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "adjtimex");
    return clock_write(clock_should_ns(note), err);
}

/* ---- bump: ARG the step in ns ---- */

static int
clock_bump_act(struct harm *h, struct error *err)
{
    return clock_write(clock_should_ns(&h->note) + h->args[0], err);
}

const struct harm_kind harm_clock_bump = {
    .name = "clock-bump",
    .arg_count = 1,
    .prepare = clock_prepare,
    .act = clock_bump_act,
    .undo = clock_undo,
};

/* ---- strobe: ARGs the step and half a period in ns ---- */

static int
clock_strobe_act(struct harm *h, struct error *err)
{
    h->note.steps++;
    return clock_write(clock_should_ns(&h->note) + h->args[0], err);
}

static int64_t
clock_strobe_step(struct harm *h)
{
    int64_t since_ns =
        harm_clock_ns(CLOCK_MONOTONIC_RAW) - h->note.refs[REF_RAW];
    int64_t half = since_ns / h->args[1];
    struct error ignored = {0};

    if (half >= h->note.steps) {
        h->note.steps = half + 1;
        /* A step that fails is seen in the proof. */
        clock_write(clock_should_ns(&h->note) +
                        (half % 2 == 0 ? h->args[0] : 0),
                    &ignored);
    }
    return (half + 1) * h->args[1] - since_ns;
}

const struct harm_kind harm_clock_strobe = {
    .name = "clock-strobe",
    .arg_count = 2,
    .prepare = clock_prepare,
    .act = clock_strobe_act,
    .step = clock_strobe_step,
    .undo = clock_undo,
};

/* ---- drift: ARG parts per million ---- */

static int
clock_drift_act(struct harm *h, struct error *err)
{
    int64_t ticks = h->args[0] / CLOCK_TICK_PPM;
    int64_t rest_ppm = h->args[0] % CLOCK_TICK_PPM;
    struct timex t = {
        .modes = ADJ_TICK | ADJ_FREQUENCY,
        .tick = (long)(h->note.refs[REF_TICK] + ticks),
        .freq = (long)(h->note.refs[REF_FREQUENCY] + rest_ppm * CLOCK_PPM_UNIT),
    };

    if (adjtimex(&t) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "adjtimex");
    return 0;
}

const struct harm_kind harm_clock_drift = {
    .name = "clock-drift",
    .arg_count = 1,
    .prepare = clock_prepare,
    .act = clock_drift_act,
    .undo = clock_undo,
};

/* ---- freeze: ARG how long the clock goes on before it is set back ---- */

static int
clock_freeze_act(struct harm *h, struct error *err)
{
    return clock_write(h->note.refs[REF_REALTIME], err);
}

static int64_t
clock_freeze_step(struct harm *h)
{
    struct error ignored = {0};

    clock_write(h->note.refs[REF_REALTIME], &ignored);
    h->note.steps++;
    return h->args[0];
}

const struct harm_kind harm_clock_freeze = {
    .name = "clock-freeze",
    .arg_count = 1,
    .prepare = clock_prepare,
    .act = clock_freeze_act,
    .step = clock_freeze_step,
    .undo = clock_undo,
};
