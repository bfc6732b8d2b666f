/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the calls of a core stand in a timeline: the events of the core in
 * order are columns (the logical axis), processes are lanes.  An operation of
 * several attempts may overlap the next call of its first process; that gets a
 * second lane of the same process.
 *
 * Threads: pure.
 */
#ifndef ORDEAL_ANALYZER_EXPLAIN_LAYOUT_H
#define ORDEAL_ANALYZER_EXPLAIN_LAYOUT_H

#include "analyzer/engines/engine.h"
#include "harness/base/arena.h"

struct bar {
    uint32_t call;
    uint32_t from, to; /* columns; to is column_count when it is open */
    uint32_t lane;
    bool open, firm;
};

struct layout {
    struct bar *bars; /* as the core's calls, or the first of them */
    uint32_t bar_count;
    uint32_t *column_rank; /* per column the rank of its event */
    uint32_t column_count;
    uint32_t *lane_process;
    uint32_t lane_count;
};

/* Of the first 'max' calls of the core. */
void layout_make(const struct calls *c, const struct decision *d, uint32_t max,
                 struct arena *arena, struct layout *ret);

#endif
