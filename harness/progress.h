/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person sees while a run goes on: one live line on a terminal (redrawn
 * below the log), a plain line every ten seconds otherwise.
 *
 * Threads: its own thread calls 'look', which must not block.
 */
#ifndef ORDEAL_HARNESS_PROGRESS_H
#define ORDEAL_HARNESS_PROGRESS_H

#include <stdint.h>

#include "harness/base/clock.h"

struct progress_view {
    char phase[32];
    int64_t left_ns;            /* of the phase; 0: not known */
    uint64_t ok, fail, unknown; /* attempts so far */
    char fault[256];            /* "kill n2", "" none */
    char primary[64];           /* "n1", "" unknown */
};

struct progress;

/* Starts the thread.  'look' fills a view that was zeroed. */
struct progress *
progress_start(struct clock *clock,
               void (*look)(void *ctx, struct progress_view *ret), void *ctx);

/* Ends the thread, clears the live line, frees.  NULL is fine. */
void progress_stop(struct progress *p);

#endif
