/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches what the system reports of itself (system->watch), for faults that
 * are aimed at it.
 *
 * Resolution: each node is asked WATCH_INTERVAL_NS after its last answer, so an
 * event is seen that long, and one answer, after it happened.  What begins and
 * ends between two looks is seen only if the system counts it.
 *
 * Threads: one per node, which call on_event.
 */
#ifndef ORDEAL_NEMESIS_WATCH_H
#define ORDEAL_NEMESIS_WATCH_H

#include "nemesis/fault.h"

/* A look costs the node a request: fifty in a second are not felt. */
#define WATCH_INTERVAL_NS (20 * NS_PER_MS)
#define WATCH_TIMEOUT_NS (500 * NS_PER_MS)

struct watch;

/* The place of 'name' among the system's events, -1: it reports no such. */
int watch_event(const struct system_ops *system, const char *name);

/* The system has events. */
struct watch *watch_start(const struct fault_world *w,
                          void (*on_event)(void *ctx, unsigned node,
                                           const char *event),
                          void *ctx);
/* Ends the threads, frees.  NULL is fine. */
void watch_stop(struct watch *w);

#endif
