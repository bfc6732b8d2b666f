/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One directed link and the rules on it: for each frame, whether it passes,
 * how many copies, when, and with which bit flipped.
 *
 *   link_init -> (link_add | link_decide | link_remove)*
 *
 * Pure but for the state inside: time and frames are passed in, nothing is
 * sent.  All chance comes from (seed, from, to), the rule's own seed, or its id
 * where it has none, and the number of frames that the rule has matched: each
 * matched frame takes the same number of draws, so that what happens to its
 * k-th frame can be told from the seed alone, whatever the frames are and
 * whatever other rules do.
 *
 * Rules are applied in the order in which they were added.  A copy made by
 * 'duplicate' shares the fate of its original.
 *
 * Threads: none; the switch's thread owns all links.
 */
#ifndef ORDEAL_NEMESIS_FABRIC_LINK_H
#define ORDEAL_NEMESIS_FABRIC_LINK_H

#include "harness/base/clock.h"
#include "harness/base/error.h"
#include "harness/base/rng.h"
#include "nemesis/fabric/frame.h"

/* Faults that overlap on one link; more would hide each other. */
#define LINK_RULE_COUNT_MAX 8
/* Of one frame: two rules that duplicate, and the original. */
#define LINK_COPY_COUNT_MAX 3
/* Longer than any timeout of a client: from there on it is a loss. */
#define LINK_DELAY_NS_MAX (60 * NS_PER_S)
/* Of a Pareto delay, in jitters: one frame in 10^4 or so is cut to it. */
#define LINK_PARETO_MAX 20.0

enum link_match { LINK_MATCH_ALL, LINK_MATCH_TCP, LINK_MATCH_UDP };

/* How 'jitter_ns' spreads the delay. */
enum link_distribution {
    LINK_CONSTANT, /* not at all */
    LINK_UNIFORM,  /* delay - jitter to delay + jitter */
    LINK_NORMAL,   /* standard deviation jitter; the sum of 12 draws */
    LINK_PARETO,   /* delay + jitter * (Pareto of shape 3, less 1) */
};

/* All zero does nothing.  Chances are 0 to 1, per frame matched. */
struct link_rule {
    enum link_match match;
    uint16_t port; /* TCP or UDP, either side; 0: every port */

    bool drop;
    double loss;       /* share of frames lost */
    double loss_burst; /* mean length of a burst; below 1 counts as 1 */

    double corrupt;     /* one bit; never of ARP, which has no checksum */
    bool fix_checksums; /* then only payload of TCP and UDP is touched */

    int64_t delay_ns, jitter_ns;
    enum link_distribution distribution;
    uint64_t rate_bits; /* per second; 0: no limit */
    int64_t queue_ns;   /* longest wait for the rate; beyond: dropped */

    double reorder; /* share of frames held 'hold_ns' while others pass */
    int64_t hold_ns;
    double duplicate;

    /* Of its chance, so that it does not follow from what other rules there
     * were before; 0: from its id. */
    uint64_t seed;
};

/* Frames, of one rule on one link. */
struct link_rule_stats {
    uint64_t seen;    /* reached the rule: no rule before it took them */
    uint64_t matched; /* of those: its match chose them */
    uint64_t hit;     /* of those: anything was done to them */
    uint64_t passed;  /* of those matched: not taken by this rule */
    uint64_t dropped, lost, queue_full; /* taken, by cause */
    uint64_t corrupted, delayed, held, duplicated;
};

/* One rule in place, with its state. */
struct link_rule_slot {
    unsigned id; /* 0: free */
    struct link_rule rule;
    struct link_rule_stats stats;
    struct rng rng;
    bool in_burst;
    int64_t last_due_ns; /* of frames not held: order is kept */
    int64_t wire_free_ns;
};

struct link {
    struct rng rng; /* forked for each rule, never drawn from */
    unsigned rule_count;
    struct link_rule_slot rules[LINK_RULE_COUNT_MAX];
};

struct link_flip {
    uint32_t at;
    uint8_t bit;
    bool fix_checksum;
};

/* What becomes of one frame. */
struct link_verdict {
    unsigned copies; /* 0: taken */
    int64_t due_ns;  /* at or after now */
    unsigned flip_count;
    struct link_flip flips[LINK_RULE_COUNT_MAX];
};

/* ERROR_CONFIG names the value that makes no sense. */
int link_rule_check(const struct link_rule *r, struct error *err);

void link_init(struct link *l, uint64_t seed, unsigned from, unsigned to);
bool link_has_room(const struct link *l);

/* There is room, the id is not 0 and not in use, the rule was checked. */
void link_add(struct link *l, unsigned id, const struct link_rule *rule);

/* False: there is no such rule. */
bool link_remove(struct link *l, unsigned id);
const struct link_rule_slot *link_find(const struct link *l, unsigned id);

/* 'info' is of 'len' bytes of frame; 'now' never goes back. */
void link_decide(struct link *l, const struct frame_info *info, size_t len,
                 int64_t now_ns, struct link_verdict *ret);

#endif
