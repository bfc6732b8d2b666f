/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that the cluster network lost although no rule took them: the
 * switch's queue or a socket was full, or a guest was too slow.  What falls
 * into a fault on that station, or shortly after it, is the fault's doing; the
 * rest is evidence against this machine.
 *
 * Some loss is no harm: TCP repeats a lone frame within a fraction of a
 * second, as it does on every real network.  It is harm when it may pass for a
 * partition or a slow node:
 *
 *   in one look     more than LOSS_LOOK_FEW frames and one in LOSS_LOOK_SHARE
 *   over the run    more than LOSS_RUN_FEW frames and one in LOSS_RUN_SHARE
 *
 * Threads: pure but for the state inside.
 */
#ifndef ORDEAL_HARNESS_LOSS_H
#define ORDEAL_HARNESS_LOSS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness/provider/provider.h"

#define LOSS_LOOK_FEW 20
#define LOSS_LOOK_SHARE 20
#define LOSS_RUN_FEW 100
#define LOSS_RUN_SHARE 1000
/* Longer than a guest needs to read what came while it was stopped. */
#define LOSS_SETTLE_NS (3 * NS_PER_S)
/* Looks with loss that are kept one by one; later ones are only summed. */
#define LOSS_INTERVAL_COUNT_MAX 1000

/* Of one station, since the switch began. */
struct loss_counts {
    uint64_t frames;        /* to the station and from it */
    uint64_t queue_full;    /* to it: the switch had no room for it to wait */
    uint64_t unsent;        /* to it: its socket took no more */
    uint64_t switch_drops;  /* from it: our socket was full */
    uint64_t station_drops; /* to it: passed on, and never read */
};

struct loss;

/* The first look is the zero of all that follow. */
struct loss *loss_new(unsigned station_count);
void loss_free(struct loss *l); /* NULL is fine */

/* One reading of all stations; 'time_ns' never goes back. */
void loss_look(struct loss *l, int64_t time_ns,
               const struct loss_counts *stations);

/* From act to heal, and the stations it was on. */
struct loss_fault {
    json_int_t id;
    int64_t from_ns, to_ns;
    uint32_t stations; /* a bit set */
};

/*
 * Fills *ret_worst, one line for people, and returns false when loss that no
 * fault explains is more than may be.  *ret_lost: all frames that none
 * explains.  The array returned in *ret_intervals says what was lost when, and
 * the "fault" that explains it; new reference.
 */
bool loss_judge(const struct loss *l, const struct loss_fault *faults,
                size_t fault_count, unsigned node_count, uint64_t *ret_lost,
                json_t **ret_intervals, char *ret_worst, size_t worst_size);

#endif
