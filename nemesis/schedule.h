/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schedule says what kinds of harm a run wants; a plan is the numbered list
 * of faults made from it, purely from the seed.
 *
 *   schedule (JSON, from the scenario) + seed + window + nodes -> plan
 *
 *   {"max_concurrent":2, "budget":{"nodes_down":"minority"},
 *    "start_after":"3s", "interval":"6s", "jitter":0.3,
 *    "faults":[{"fault":"kill", "target":"primary", "weight":4,
 *               "duration":"1.5s"},
 *              {"fault":"partition", "duration":["3s","6s"], "at":"12s"},
 *              {"fault":"pause", "on":{"event":"invoke"}}]}
 *
 * A schedule is a block, and blocks nest: "phases" are blocks one after the
 * other, "tracks" blocks at once, each with its own "interval" or "rate".  In a
 * block "faults" is a mix dealt by weight, but an entry with "at" comes exactly
 * then and one with "on" when its trigger says (nemesis/trigger.h);
 * "flip_flop" takes its faults in turn; "stagger" one fault node after node.
 * docs/FAULTS.md has an example of each.  Keys of an entry that are not named
 * there are parameters of its fault.
 *
 * Overlap that max_concurrent or a budget forbids moves the later fault of a
 * mix back, and is an error between faults with "at"; faults of one kind never
 * overlap, for they share their undo.  The last heal is due
 * PLAN_HEAL_RESERVE_NS before the end of the window.
 *
 * Two budgets.  nodes_down: how many nodes may be down at once.  durability:
 * how many nodes may have lost or damaged what they had acknowledged, and not
 * be proven to have it back; above (n-1)/2 it needs "beyond_budget".
 *
 * Targets stay specs in the plan: who is primary is known only then.
 */
#ifndef ORDEAL_NEMESIS_SCHEDULE_H
#define ORDEAL_NEMESIS_SCHEDULE_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/base/limits.h"
#include "nemesis/fault.h"
#include "nemesis/target.h"
#include "nemesis/trigger.h"

/* Room for the last heal and its proof. */
#define PLAN_HEAL_RESERVE_NS (2 * NS_PER_S)
/* More overlap than this is one great fault. */
#define PLAN_CONCURRENT_MAX 8
/* A schedule is written by people: faults in one list, and in all of them. */
#define SCHEDULE_LIST_MAX 64
#define SCHEDULE_ENTRIES_MAX 512
#define SCHEDULE_TRACKS_MAX 64
/* Blocks in blocks: phases of tracks of phases is more than anybody needs. */
#define SCHEDULE_DEPTH_MAX 4

struct plan_entry {
    uint64_t id; /* 1.. in order of 'at' */
    /* From the start of the window; with a trigger: it waits from 'at' on,
     * until 'until'. */
    int64_t at_ns, until_ns, duration_ns;
    const struct fault_ops *ops;
    char target[TARGET_SPEC_MAX];
    struct target_spec spec; /* target, parsed */
    json_t *params;          /* an object */
    struct trigger on;       /* TRIGGER_NONE: comes at 'at' */
    /* Entries of one trigger have one number, from 1, and count its events
     * together: each event that counts sets off the next of them. */
    unsigned trigger;
};

struct plan {
    uint64_t seed;
    int64_t window_ns;
    unsigned node_count;
    unsigned concurrent_max, nodes_down_max, durability_max;
    bool beyond_budget;
    json_t *share_nodes; /* lists of faults that may share a node; or NULL */
    struct plan_entry *entries;
    size_t entry_count;
    unsigned trigger_count;
};

/*
 * ERROR_CONFIG names the key and the value at fault; params are checked by the
 * faults themselves.  'schedule' NULL or without faults: an empty plan.
 */
int plan_build(const json_t *schedule, uint64_t seed, int64_t window_ns,
               unsigned node_count, struct plan *ret, struct error *err);
void plan_release(struct plan *p);

/* What PLAN says about its entries, by both ways to make one. */
int plan_check_fit(const struct plan *p, const struct plan_entry *e,
                   struct error *err);
/* Whether a node under a fault of kind 'a' may be a target of 'b'. */
bool plan_may_share(const struct plan *p, const struct fault_ops *a,
                    const struct fault_ops *b);
/* ERROR_CONFIG unless it is a list of lists of faults. */
int plan_check_share(const json_t *share_nodes, struct error *err);
/* The most nodes that the budgets leave a fault of this kind. */
unsigned plan_limit(const struct plan *p, const struct fault_ops *ops);

/* plan.json, both ways: a plan given back is replayed as it stands. */
json_t *plan_to_json(const struct plan *p);
int plan_from_json(const json_t *json, struct plan *ret, struct error *err);

/*
 * For people, a line each: "   7  at 41.2 s  kill primary for 1.5 s".  Those
 * in a row that read the same share a line: "   1 to 30  from 0.0 s  ...".
 */
void plan_print(const struct plan *p, FILE *file);

#endif
