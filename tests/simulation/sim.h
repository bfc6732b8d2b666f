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
#include "tests/simulation/toy.h"

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
    SIM_MUTATION_COUNT,
};

const char *sim_mutation_name(unsigned mutation);

/* How rough a schedule is; drawn from its seed. */
struct profile {
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

struct node {
    bool up;
    uint64_t boot;
    uint64_t paused_until_ns, clock_offset_ns;
    struct vsr *vsr;
    struct disk disk;
    uint64_t disk_free_ns; /* when the last disk order will be done */
    bool sync_failing;
    struct toy_state engine;
    struct toy_result result; /* of the last entry applied */
    struct vsr_position staged;
    uint8_t staging[sizeof(struct toy_state) + 8];
    uint64_t staged_length;
    struct vsr_status status; /* after the last step */
    uint64_t spoken_view;
    uint64_t acked;    /* highest index acknowledged in spoken_view */
    bool damaged;      /* its disk broke its contract; it must not start */
    bool must_recover; /* its disk was lost and it has not recovered yet */
    uint64_t lost_life;
    uint64_t proposals[TOY_LEASES_MAX]; /* leases to propose for expiry */
    unsigned proposal_count;
};

struct client {
    uint64_t sequence; /* of its current operation */
    bool busy, reading;
    uint8_t kind, target;
    uint64_t value, attempt, deadline_ns;
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
};

struct sim_event;

struct sim_report {
    bool violated;
    unsigned rule; /* 1..13; 0: no progress, or a halt */
    char what[256];
    uint64_t transcript; /* hash of everything that happened */
    uint64_t steps, messages, committed, views, reads, answers;
    uint64_t crashes, wipes, refusals, recoveries, snapshots_installed;
    uint64_t discarded, end_ns;
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
    uint64_t last_at_heal;
    int cut_off; /* node that stays deaf or mute after the heal, or -1 */
    struct sim_report *report;
    uint8_t *wire; /* VSR_MESSAGE_BYTES_MAX */
    struct vsr_entry entries[VSR_MESSAGE_ENTRIES_MAX];
};

/* Runs one schedule. */
void sim_run(uint64_t seed, unsigned mutation, bool verbose,
             struct sim_report *ret);

void profile_draw(struct profile *p, uint64_t seed, unsigned mutation);

void sim_say(struct sim *s, int node, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Ends the schedule. */
void sim_violation(struct sim *s, unsigned rule, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
