/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole cluster in one thread: replicas (the core of replica/vsr.h and a host
 * around it), network, disks, clients and faults, driven by one queue of events
 * in virtual time and one seed.  The same seed gives the same transcript.
 *
 *   sim_run(seed) --> faults for a while --> heal --> must make progress
 *                     every step is checked by the oracle (oracle.h)
 */
#ifndef ORDEAL_TESTS_SIMULATION_SIM_H
#define ORDEAL_TESTS_SIMULATION_SIM_H

#include "harness/base/cleanup.h"
#include "harness/base/rng.h"
#include "replica/vsr.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/history.h"

#define SIM_NODES_MAX VSR_REPLICAS_MAX
#define SIM_OPS_MAX 64 /* tokens outstanding per client before reuse */

/* Wrong hosts, beside the wrong cores of enum vsr_mutation. */
enum sim_mutation {
    SIM_MUTATION_DEDUPE_LOST = VSR_MUTATION_COUNT, /* rule 9 */
    SIM_MUTATION_EXPIRE_ON_BACKUP,                 /* rule 10 */
    SIM_MUTATION_EARLY_EXPIRY,                     /* rule 10 */
    SIM_MUTATION_KEEP_TORN,                        /* rule 11 */
    SIM_MUTATION_CUT_CORRUPT,                      /* rule 11 */
    SIM_MUTATION_IGNORE_MARKS,                     /* rule 11 */
    SIM_MUTATION_CONTINUE_FAILED_SYNC,             /* rule 12 */
    SIM_MUTATION_SNAPSHOT_UNCHECKED,               /* rule 13 */
    SIM_BUG_STALE_READ,                            /* planted in the core */
    SIM_BUG_ACK_BEFORE_COMMIT,
    SIM_BUG_DOUBLE_ALLOCATION, /* planted in an engine; for the analyzer */
    SIM_BUG_PARTIAL_BUNDLE,
    SIM_BUG_OVERSPEND,
    SIM_BUG_OVERCOMMIT,
    SIM_BUG_STALE_CAS,
    SIM_MUTATION_COUNT,
};

/* The rule that a history which the analyzer refuses breaks. */
#define SIM_RULE_HISTORY 14u

/* Where a replica can be made to end in the middle of a list of actions: the
 * named places of the daemon's --crash-at, as far as a core's host has them. */
enum sim_boundary {
    BOUNDARY_BEFORE_APPEND,
    BOUNDARY_AFTER_APPEND,
    BOUNDARY_BEFORE_SYNC,
    BOUNDARY_AFTER_SYNC,
    BOUNDARY_METADATA,
    BOUNDARY_BEFORE_SEND,
    BOUNDARY_BEFORE_APPLY,
    BOUNDARY_BEFORE_REPLY,
    BOUNDARY_AFTER_REPLY,
    BOUNDARY_CHECKPOINT_BEGIN,
    BOUNDARY_CHECKPOINT_END,
    BOUNDARY_RECOVERY,
    BOUNDARY_TRANSFER_SERVE,
    BOUNDARY_TRANSFER_CHUNK,
    BOUNDARY_INSTALL_BEGIN,
    BOUNDARY_INSTALL,
    BOUNDARY_INSTALL_END,
    BOUNDARY_VIEW_CHANGE,
    BOUNDARY_VIEW_START,
    BOUNDARY_COUNT,
};

const char *sim_boundary_name(enum sim_boundary boundary);

const char *sim_mutation_name(unsigned mutation);

/* How rough a schedule is; drawn from its seed. */
struct profile {
    enum machine_kind machine;
    enum machine_bug bug;
    enum sim_boundary boundary;
    double crash_boundary; /* chance to crash there */
    uint8_t nodes, clients;
    uint64_t fault_ns; /* how long faults go on */
    uint64_t delay_ns; /* most delay of a message */
    double drop, duplicate, late;
    uint64_t disk_ns; /* most time of a disk order */
    double sync_failure;
    uint64_t crash_ns, partition_ns, pause_ns; /* mean time between; 0 none */
    uint64_t mend_ns;                          /* mean length of a partition */
    double wipe, corrupt, chop;                /* chance at a crash */
    double bad_chunk;
    double large_payload;
    double late_ok;                   /* 'late' of PREPARE_OK */
    double crash_voter, crash_opener; /* chance to crash on a vote, a no-op */
    bool lame;       /* not healed: the last primary stays down */
    bool deaf, mute; /* not healed: links to, or from, the last primary */
    struct vsr_config config; /* replica and seed are filled in per start */
};

/* A tick is answered when all its expire entries are committed. */
struct tick_wait {
    uint64_t attempt;
    unsigned outstanding;
    bool lost;
    struct machine_answer answer;
};

struct node {
    bool up;
    uint64_t boot;
    uint64_t paused_until_ns, clock_offset_ns;
    struct vsr *vsr;
    struct disk disk;
    uint64_t disk_free_ns; /* when the last disk order will be done */
    bool sync_failing;
    struct machine machine;
    struct machine_result result; /* of the last entry applied */
    struct vsr_position staged;
    struct buf staging;
    /* The snapshot before the newest is kept while a peer fetches it. */
    struct blob served;
    struct vsr_position served_position;
    uint64_t served_until_ns;
    struct vsr_status status; /* after the last step */
    uint64_t spoken_view;
    uint64_t acked;    /* highest index acknowledged in spoken_view */
    bool damaged;      /* its disk broke its contract; it must not start */
    bool must_recover; /* its disk was lost and it has not recovered yet */
    uint64_t lost_life;
    /* Expire entries to propose, for the tick of 'proposal_token' (0: of
     * nobody who waits). */
    uint8_t proposals[MACHINE_DUE_MAX][MACHINE_DUE_BYTES];
    uint32_t proposal_lengths[MACHINE_DUE_MAX];
    unsigned proposal_count;
    uint64_t proposal_token;
    struct tick_wait ticks[TOY_CLIENTS_MAX];
};

struct client {
    uint64_t sequence; /* of its current operation */
    bool busy, reading;
    uint8_t kind, target;
    uint64_t value, attempt, deadline_ns;
    struct machine_op op;
    uint32_t number;              /* of 'op' in the history */
    uint64_t floor;               /* when its operation began */
    uint64_t floors[SIM_OPS_MAX]; /* when attempt % SIM_OPS_MAX arrived */
    uint32_t padding;
    uint64_t completed, completed_at_heal;
};

/* What is known to be committed, and the answers given. */
struct committed {
    bool known;
    uint64_t view, hash, digest;
    uint64_t known_view; /* of the replica that applied it first */
    uint8_t kind;
};

struct oracle {
    struct committed *entries;           /* SIM_INDEX_MAX */
    uint64_t last;                       /* highest committed index */
    uint64_t floor;                      /* highest version anyone was told */
    uint64_t *executed[TOY_CLIENTS_MAX]; /* sequence -> version */
    uint64_t view_last, commit_max;
    uint8_t *leaders; /* view -> who committed in it, + 1; 0 nobody */
};

struct sim_event;

struct sim_report {
    bool violated;
    unsigned rule; /* 1..14; 0: no progress, or a halt */
    char what[256];
    uint64_t transcript; /* hash of everything that happened */
    uint64_t steps, messages, committed, views, reads, answers;
    uint64_t crashes, wipes, refusals, recoveries, snapshots_installed;
    uint64_t discarded, end_ns, breaches, stale;
    uint64_t boundaries[BOUNDARY_COUNT]; /* crashes there */
    enum machine_kind machine;
    uint32_t history; /* operations that the analyzer judged */
};

struct sim {
    uint64_t seed, now_ns;
    unsigned mutation;
    bool verbose, healed;
    struct profile profile;
    struct rng rng_net, rng_disk, rng_fault, rng_client;
    struct node nodes[SIM_NODES_MAX];
    struct client clients[TOY_CLIENTS_MAX];
    bool blocked[SIM_NODES_MAX][SIM_NODES_MAX];
    struct sim_event *heap;
    unsigned heap_count, heap_cap;
    uint64_t event_seq, slot;
    struct vsr_actions actions;
    struct oracle oracle;
    struct sim_history history;
    uint64_t recent[16]; /* ids that answers told */
    unsigned recent_count;
    uint64_t last_at_heal;
    int cut_off; /* node that stays deaf or mute after the heal, or -1 */
    struct sim_report *report;
    uint8_t *wire; /* VSR_MESSAGE_BYTES_MAX */
    struct vsr_entry entries[VSR_MESSAGE_ENTRIES_MAX];
};

/* Kinds of faults that a schedule can be run without, to make it smaller. */
enum sim_fault {
    SIM_DROP,
    SIM_DUPLICATE,
    SIM_LATE,
    SIM_LARGE,
    SIM_SYNC,
    SIM_CRASH,
    SIM_PARTITION,
    SIM_PAUSE,
    SIM_WIPE,
    SIM_DAMAGE,
    SIM_BAD_CHUNK,
    SIM_SPEAKER,
    SIM_BOUNDARY,
    SIM_CUT_OFF,
    SIM_MANY_NODES,   /* more than three */
    SIM_MANY_CLIENTS, /* more than two */
    SIM_FAULT_COUNT,
};

const char *sim_fault_name(enum sim_fault fault);

struct sim_options {
    uint64_t seed;
    unsigned mutation;
    bool verbose;
    uint32_t without;  /* 1 << enum sim_fault */
    uint64_t fault_ms; /* at most so long; 0: as drawn */
};

/* Runs one schedule. */
void sim_run_with(const struct sim_options *o, struct sim_report *ret);
void sim_run(uint64_t seed, unsigned mutation, bool verbose,
             struct sim_report *ret);

/*
 * Leaves out kinds of faults and time for as long as the same rule is broken:
 * *o becomes the smallest that was found, *ret its report.  Nothing happens
 * when *o breaks no rule.  Returns the number of runs.
 */
unsigned sim_shrink(struct sim_options *o, struct sim_report *ret);

/* "simulate --seed 7 --without drop,pause": replays it. */
void sim_command(const struct sim_options *o, char *ret, size_t size);

void profile_draw(struct profile *p, uint64_t seed, unsigned mutation);
void profile_reduce(struct profile *p, const struct sim_options *o);

void sim_say(struct sim *s, int node, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Ends the schedule. */
void sim_violation(struct sim *s, unsigned rule, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
