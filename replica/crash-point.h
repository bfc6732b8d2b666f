/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failpoints: places where the process can be told to end abruptly, without a
 * flush, an answer or a goodbye, the N-th time it gets there (--crash-at
 * NAME:N).  Off by default.  The list is in crash-point.c.
 *
 * Threads: any; one that passes a point ends the whole process.
 */
#ifndef ORDEAL_REPLICA_CRASH_POINT_H
#define ORDEAL_REPLICA_CRASH_POINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/base/error.h"

enum crash_point {
    CRASH_NOWHERE = 0,
    CRASH_BEFORE_APPEND,
    CRASH_APPEND,
    CRASH_BEFORE_SYNC,
    CRASH_AFTER_SYNC,
    CRASH_BEFORE_QUORUM,
    CRASH_AFTER_COMMIT,
    CRASH_BEFORE_REPLY,
    CRASH_AFTER_REPLY,
    CRASH_CHECKPOINT_BEGIN,
    CRASH_CHECKPOINT_END,
    CRASH_RECOVERY,
    CRASH_TRANSFER_SERVE,
    CRASH_TRANSFER_CHUNK,
    CRASH_INSTALL_BEGIN,
    CRASH_INSTALL,
    CRASH_INSTALL_END,
    CRASH_VIEW_CHANGE,
    CRASH_VIEW_START,
    CRASH_POINT_COUNT,
};

/* Where and when; the default is nowhere. */
struct crash_place {
    enum crash_point at;
    uint64_t nth;
};

/* The place in force, and how often it was passed; one per process. */
struct crash_plan {
    _Atomic unsigned at; /* enum crash_point */
    _Atomic uint64_t nth, passed;
};

/* "NAME:N" or "NAME" (the first time); CONFIG when it is neither. */
int crash_place_parse(const char *text, struct crash_place *ret,
                      struct error *err);

/* From here on it is this place, counted from now. */
void crash_plan_arm(struct crash_plan *p, const struct crash_place *place);

const char *crash_point_name(enum crash_point at);

/* One line each: name, tab, when. */
void crash_point_list(FILE *out);

/* True: now is the time, the caller has something left to spoil first. */
bool crash_point_hit(struct crash_plan *p, enum crash_point at);

/* Ends the process here; does not return. */
void crash_now(const struct crash_plan *p);

/* Ends the process when it is the N-th time. */
void crash_point_pass(struct crash_plan *p, enum crash_point at);

#endif
