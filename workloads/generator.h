/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What generators share: parameters of a scenario, a weighted mix, ids that
 * nobody had before, and what a client sent before, to send it again.
 *
 * Threads: none of this locks; the runner calls a workload under one lock.
 */
#ifndef ORDEAL_WORKLOADS_GENERATOR_H
#define ORDEAL_WORKLOADS_GENERATOR_H

#include "workloads/workload.h"

/* ---- a mix: one of several things, by weight ---- */

#define GENERATOR_MIX_MAX 24
#define GENERATOR_WEIGHT_MAX 1000

struct generator_mix {
    const char *const *names; /* borrowed */
    unsigned count;
    int64_t weights[GENERATOR_MIX_MAX], sum;
};

/* 'weights' has 'count' entries, not all 0. */
void generator_mix_init(struct generator_mix *m, const char *const *names,
                        const int *weights, unsigned count);

/* The number of one of the mix. */
unsigned generator_mix_choose(const struct generator_mix *m, struct rng *rng);

/* ---- parameters ---- */

struct generator_param {
    const char *key;
    int64_t min, max, *ret;
};

/*
 * Takes each key of 'params' (an object) into its place; an absent one leaves
 * it alone.  "weights", a map, changes those of all 'mixes' (none: no such
 * key).  CONFIG: an unknown key, a value out of bounds, a mix without weight.
 */
int generator_params(const char *workload, const json_t *params,
                     const struct generator_param *known, size_t known_count,
                     struct generator_mix *mixes, unsigned mix_count,
                     struct error *err);

/* Never zero. */
struct id128 generator_fresh_id(struct rng *rng);

/* The stream of a part of the workload ("client", 3). */
struct rng generator_stream(uint64_t seed, const char *part, unsigned index);

/* ---- commands of integers, and those sent before ---- */

#define GENERATOR_ARGS_MAX 4

/* A mutation; its function and keys are string constants. */
struct generator_command {
    const char *function;
    struct id128 id; /* zero: none yet */
    unsigned arg_count;
    struct {
        const char *key;
        int64_t value;
    } args[GENERATOR_ARGS_MAX];
};

void generator_command_add(struct generator_command *c, const char *key,
                           int64_t value);

/* The value of an argument that the command has. */
int64_t generator_command_arg(const struct generator_command *c,
                              const char *key);

/* Fills a zeroed step: to the primary. */
void generator_command_step(const struct generator_command *c, struct arena *a,
                            struct workload_step *ret);

/*
 * Answered commands of one client: a few of each slot, so that what is
 * remembered spans much logical time whatever the rate.
 */
#define GENERATOR_RECENT_MAX 64
#define GENERATOR_RECENT_PER_SLOT 2
struct generator_recent {
    struct {
        struct generator_command command;
        int64_t slot;
    } items[GENERATOR_RECENT_MAX];
    unsigned count, next, in_slot;
    int64_t slot;
};

void generator_recent_add(struct generator_recent *r,
                          const struct generator_command *c, int64_t slot);

/* One that was answered at most 'slots_max' slots ago; false: none is. */
bool generator_recent_pick(const struct generator_recent *r, struct rng *rng,
                           int64_t slot, int64_t slots_max,
                           struct generator_command *ret);

/* ---- a client, and the time all of them share ---- */

struct generator_client {
    struct rng rng;
    uint64_t step_count;
    int64_t fence;                 /* position of the last own write, 0: none */
    struct generator_command sent; /* last; its answer makes it a recent one */
    struct generator_recent recent;
};

struct generator_time {
    int64_t slot; /* highest seen in an answer */
    /* Parameters; by default a tick of four a second at each third step of
     * client 0, and the replica's window of 128 slots. */
    int64_t tick_every, tick_spacing_ms, window_slots, duplicate_percent;
};

/* The actions of a workload with one mix, and how often each comes. */
struct generator_words {
    const char *const *names;
    const int *weights;
    unsigned count;
};

/*
 * The beginning of such a workload: time and mix by default, then as the
 * parameters say (generator_params).  The caller frees it on -1.
 */
int generator_begin(const struct workload *w,
                    const struct generator_words *words, const json_t *params,
                    const struct generator_param *known, size_t known_count,
                    struct generator_time *time, struct generator_mix *mix,
                    struct error *err);

/* The rows of the parameters above for generator_params(). */
#define GENERATOR_TIME_PARAMS(t)                                               \
    {"tick_every", 1, 1000000, &(t)->tick_every},                              \
        {"tick_spacing_ms", 0, 3600000, &(t)->tick_spacing_ms},                \
        {"window_slots", 4, 1 << 20, &(t)->window_slots},                      \
    {                                                                          \
        "duplicate_percent", 0, 100, &(t)->duplicate_percent                   \
    }

/* Whether this step of the client is a tick; fills a zeroed step then. */
bool generator_tick_due(const struct generator_time *t, unsigned client,
                        struct generator_client *c, struct arena *a,
                        struct workload_step *ret);

/* The client sends the command: with a fresh id unless it has one. */
void generator_send(const struct generator_time *t, struct generator_client *c,
                    const struct generator_command *command, struct arena *a,
                    struct workload_step *ret);

/* A command of the client's own that the system must still remember. */
bool generator_repeat(const struct generator_time *t,
                      struct generator_client *c,
                      struct generator_command *ret);

/* Takes in an answer; false: it is none (the operation has no recorded one). */
bool generator_learn(struct generator_time *t, struct generator_client *c,
                     const struct operation *op,
                     const struct attempt_result *r);

/* ---- steps that every capability has ---- */

/* How an object is read.  The words are those of 'weights'. */
enum generator_read {
    GENERATOR_READ,           /* linearizable, at the primary */
    GENERATOR_READ_ELSEWHERE, /* the same, at any node */
    GENERATOR_READ_ANY,       /* no claim, at any node */
    GENERATOR_READ_FENCED,    /* behind the client's last write, at any */
};

/* Logical time, 'advance' slots on; not sooner than 'spacing_ms' after the
 * client's last one.  0: time stays. */
void generator_tick_step(int64_t slot, int64_t advance, int64_t spacing_ms,
                         struct arena *a, struct workload_step *ret);

/* A read of the object named 'key' with a claim. */
void generator_read_step(const char *function, const char *key, int64_t object,
                         const char *claim, enum route route, struct arena *a,
                         struct workload_step *ret);

/* The same in one of four ways. */
void generator_read(enum generator_read how, const char *function,
                    const char *key, int64_t object,
                    const struct generator_client *c, struct arena *a,
                    struct workload_step *ret);

/* Checkers that judge every history of a system with positions. */
#define GENERATOR_CHECKERS                                                     \
    "duplicate_execution", "position_conflict", "dual_primary",                \
        "replica_divergence", "linearizable", "unresolved_ambiguity",          \
        "missing_operation_id"

#endif
