/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster of pretended guests: processes, svc, nft tables and the packets
 * between them, behind struct remote_ops and struct system_ops, on a virtual
 * clock.  It lives in shared memory, so that what a killed child did to the
 * guests outlives the child.
 *
 * Every call to a guest or to the system counts; one of them, or all from one
 * on, can be made to fail or to be the driver's last (trip).
 *
 * Threads: calls are serialised inside.
 */
#ifndef ORDEAL_TESTS_FAKE_REMOTE_H
#define ORDEAL_TESTS_FAKE_REMOTE_H

#include "nemesis/fault.h"

#define FAKE_RULES_MAX 32
#define FAKE_TIMERS_MAX 4
#define FAKE_HELD_MAX 12

struct fake_rule {
    bool input, drop;
    unsigned peer;
    uint64_t packets;
    char comment[32];
};

struct fake_timer {
    char name[64];
    bool running, fired;
    int64_t end_ns; /* of its lease */
};

/* A harm that ordeal-harm holds. */
struct fake_held {
    char name[32], kind[32];
    bool acting, fired;
    int64_t args[4];
    int64_t begun_ns, end_ns; /* end: of its lease */
};

struct fake_node {
    bool running, stopped, mute; /* mute: runs, but does not answer */
    bool hidden;  /* runs, but system->process does not know of it */
    bool deposed; /* says that it is primary, in the term before */
    int32_t pid;
    uint64_t start_ticks;
    int64_t gone_ns; /* killed, and gone then; 0: not killed */
    unsigned starts;
    uint64_t lag;   /* behind fake.commit */
    char table[96]; /* "": none */
    struct fake_rule rules[FAKE_RULES_MAX];
    unsigned rule_count;
    struct fake_timer timers[FAKE_TIMERS_MAX];
    bool has_program; /* ordeal-harm was put there */
    struct fake_held held[FAKE_HELD_MAX];
    int64_t clock_offset_ns; /* of the wall clock, beside what is held */
    unsigned netem_delay_ms; /* of tc's emulator */
    double netem_loss;
    bool netem;
    /* One durable file: harmed, and copies of it. */
    bool file_harmed, file_marked, file_saved, file_wiped;
};

enum fake_trip {
    FAKE_NO_TRIP,
    FAKE_FAIL_BEFORE, /* the call does nothing and fails */
    FAKE_FAIL_AFTER,  /* the call does its work, its answer is lost */
    FAKE_KILL_BEFORE, /* SIGKILL of this process, before and after */
    FAKE_KILL_AFTER,
};

struct fake {
    struct cluster cluster; /* first: status() finds the fake through it */
    struct fake_node nodes[NODE_COUNT_MAX];
    struct remote remotes[NODE_COUNT_MAX];
    struct clock_virtual clock;
    struct fault_world world;
    int primary;
    uint64_t term, commit;
    int32_t last_pid;
    unsigned call_count;
    enum fake_trip trip;
    unsigned trip_first, trip_last; /* these calls trip, counted from 1 */
    unsigned unknown_count;         /* commands the fake does not know */
    unsigned renewal_count;         /* of leases */
    bool no_svc;
    int64_t death_ns;       /* how long a killed process takes to be gone */
    int64_t slow_ns;        /* so much longer each call takes */
    unsigned slow_open;     /* so many connects on open paths are too late */
    unsigned leaks;         /* so many packets pass though a rule drops them */
    bool idle_starts;       /* a start is reported and starts nothing */
    int64_t catch_up_ns;    /* no node lags from then on; 0: as they are */
    bool hides_after_reset; /* for tests that reset nodes: see 'hidden' */
    int64_t timers_fire_ns; /* the guests' timers run out then; 0: never */
    void (*before_harm)(void *ctx); /* the moment before a node is harmed */
    void *ctx;
};

/* All daemons run, n1 is primary. */
struct fake *fake_new(unsigned node_count);
void fake_free(struct fake *f);

/* No stopped or missing daemon, no table, no timer that still runs. */
bool fake_is_clean(const struct fake *f);

/* All of the guests' own timers run out now, whatever their leases. */
void fake_fire_timers(struct fake *f);

/* One packet; false when a rule drops it. */
bool fake_packet(struct fake *f, unsigned from, unsigned to);

/* ---- ordeal-harm (fake-held.c), for fake-remote.c ---- */

void fake_held_exec(struct fake *f, struct fake_node *n,
                    const char *const argv[], struct exec_result *ret);
/* tc, and pings through what it set; false: it is none of these. */
bool fake_netem_exec(struct fake *f, struct fake_node *n,
                     const char *const argv[], struct exec_result *ret);
/* Scripts and commands on the durable file; false: it is none of these. */
bool fake_file_exec(struct fake_node *n, const char *const argv[],
                    struct exec_result *ret);
/* Ends what is held longer than its lease. */
void fake_held_fire(struct fake_node *n, int64_t now_ns);
bool fake_held_is_clean(const struct fake_node *n);

#endif
