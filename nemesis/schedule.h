/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schedule says what kinds of harm a run wants; a plan is the numbered list
 * of faults made from it, purely from the seed.
 *
 *   schedule (JSON, from the scenario) + seed + window + nodes -> plan
 *
 *   {"start_after":"3s", "interval":"6s", "jitter":0.3, "max_concurrent":1,
 *    "budget":{"nodes_down":"minority"},
 *    "faults":[{"fault":"kill", "target":"primary", "weight":4,
 *               "duration":"1.5s"},
 *              {"fault":"partition", "target":"one", "shape":"isolate",
 *               "duration":["3s","6s"]}]}
 *
 * Keys of an entry that are not named here are parameters of its fault.
 * interval is from one start to the next, each +- jitter; weight is the odds
 * of an entry; a duration of two is drawn evenly between them.  An overlap that
 * max_concurrent or the budget forbids moves the later fault back; faults of
 * one kind never overlap, for they share their undo.  The last heal is due
 * PLAN_HEAL_RESERVE_NS before the end of the window.
 *
 * nodes_down ("none", "one", "minority", "majority", "all" or a number) bounds
 * how many nodes may be down at once; an entry that cannot fit is an error.
 *
 * Targets stay specs in the plan: who is primary is known only then.
 */
#ifndef ORDEAL_NEMESIS_SCHEDULE_H
#define ORDEAL_NEMESIS_SCHEDULE_H

#include <jansson.h>
#include <stdint.h>

#include "harness/base/limits.h"
#include "nemesis/fault.h"
#include "nemesis/target.h"

/* Room for the last heal and its proof. */
#define PLAN_HEAL_RESERVE_NS (2 * NS_PER_S)
/* More overlap than this is one great fault. */
#define PLAN_CONCURRENT_MAX 8
/* A schedule is written by people. */
#define SCHEDULE_ENTRIES_MAX 64

struct plan_entry {
    uint64_t id; /* 1.. in order of 'at' */
    int64_t at_ns, duration_ns;
    const struct fault_ops *ops;
    char target[TARGET_SPEC_MAX];
    struct target_spec spec; /* target, parsed */
    json_t *params;          /* an object */
};

struct plan {
    uint64_t seed;
    int64_t window_ns;
    unsigned node_count;
    unsigned concurrent_max, nodes_down_max;
    struct plan_entry *entries;
    size_t entry_count;
};

/*
 * ERROR_CONFIG names the key and the value at fault; params are checked by the
 * faults themselves.  'schedule' NULL or without faults: an empty plan.
 */
int plan_build(const json_t *schedule, uint64_t seed, int64_t window_ns,
               unsigned node_count, struct plan *ret, struct error *err);
void plan_release(struct plan *p);

/* plan.json, both ways: a plan given back is replayed as it stands. */
json_t *plan_to_json(const struct plan *p);
int plan_from_json(const json_t *json, struct plan *ret, struct error *err);

/* "  7  at 41.2 s  kill primary for 1.5 s", for people. */
void plan_describe(const struct plan_entry *e, char *buf, size_t size);

#endif
