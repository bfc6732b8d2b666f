/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between reading a schedule (schedule.c) and placing its faults (planner.c):
 * the tree of blocks, flattened into tracks that run beside each other, each
 * within its own part of the window.
 */
#ifndef ORDEAL_NEMESIS_SCHEDULE_INTERNAL_H
#define ORDEAL_NEMESIS_SCHEDULE_INTERNAL_H

#include "harness/base/rng.h"
#include "nemesis/schedule.h"

struct schedule_entry {
    const struct fault_ops *ops;
    char target[TARGET_SPEC_MAX];
    struct target_spec spec;
    json_t *params; /* owned */
    double weight;
    int64_t duration_min_ns, duration_max_ns;
    int64_t at_ns;     /* TRACK_AT: from the start of the window */
    struct trigger on; /* TRACK_ON */
};

enum track_kind {
    TRACK_MIX,     /* by weight, each an interval after the one before */
    TRACK_IN_TURN, /* the same, one after the other */
    TRACK_ROUND,   /* all of them a step apart, in rounds an interval apart */
    TRACK_AT,      /* each at its own moment */
    TRACK_ON,      /* each at its own event */
};

struct track {
    enum track_kind kind;
    int64_t from_ns, until_ns; /* its part of the window */
    int64_t interval_ns, step_ns;
    double jitter;
    bool drawn_order;    /* TRACK_ROUND: each round in another order */
    size_t first, count; /* its entries in the planner's list */
    uint64_t taken;      /* faults drawn so far */
    int64_t next_ns;     /* when the next wants to begin; INT64_MAX: none */
    int64_t round_ns;    /* TRACK_ROUND: when the round began */
    unsigned order[SCHEDULE_LIST_MAX];
    double owed[SCHEDULE_LIST_MAX]; /* TRACK_MIX: of this round, to each */
    /* The fault that waits for its place; rng goes on where it was drawn. */
    const struct schedule_entry *entry;
    int64_t duration_ns;
    struct rng rng;
};

struct planner {
    struct plan plan;
    struct schedule_entry *entries; /* of all tracks */
    size_t entry_count;
    struct track *tracks;
    size_t track_count;
    struct rng root;
};

int schedule_read(struct planner *p, const json_t *schedule, struct error *err);

#endif
