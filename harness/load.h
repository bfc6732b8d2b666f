/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load: client threads that run a workload against a system and record every
 * attempt (docs/ARCHITECTURE.md, "Attempts, clients, processes").
 *
 *   load_new -> load_setup -> load_start -> (load_cancel) -> load_join
 *            -> load_sweep -> load_resolve -> load_sweep -> load_free
 *
 * One attempt is: the invocation is in the history (write(2) done), the client
 * sends at most one request, the completion is appended.  An operation:
 *
 *   step -> attempt --ok--> duplicates on purpose -> done
 *             |  ^
 *       fail, |  | backoff, next node, the same operation id
 *     unknown +--+
 *             |
 *             +--> gave up: open, left to the resolver; the thread goes on as
 *                  a new process
 *
 * Reads and ticks are one attempt each: a repeated read is another operation.
 *
 * A retry is sent only while it cannot arrive outside the system's dedupe
 * window: the highest slot ever sent in a tick bounds the logical time of its
 * arrival, the highest slot known before the first attempt bounds from below
 * when the operation can have been executed first.  An open operation that
 * nears the end of the window during the load is retried by its client then.
 *
 * Threads: load_stats(), load_primary(), load_failed(), load_cancel() and
 * load_abort() from any; the rest from one.
 * Memory, threads and descriptors do not grow with time.
 */
#ifndef ORDEAL_HARNESS_LOAD_H
#define ORDEAL_HARNESS_LOAD_H

#include "workloads/workload.h"

/* Operations given up and not resolved; more are counted, not kept. */
#define LOAD_OPEN_MAX 1024

#define LOAD_ATTEMPT_TIMEOUT_NS (2 * NS_PER_S)
#define LOAD_GIVE_UP_NS (15 * NS_PER_S)
#define LOAD_BACKOFF_MIN_NS (5 * NS_PER_MS)
#define LOAD_BACKOFF_MAX_NS (200 * NS_PER_MS)

/* A retry may linger on its way: 16 s at four slots a second.  At most a
 * quarter of the window. */
#define LOAD_WINDOW_MARGIN_SLOTS 64

/* Slots for which the reference replica remembers an answer, by default. */
#define LOAD_DEDUPE_WINDOW_SLOTS 384

/* The same of a system with these "limits" (docs/CHECKERS.md), NULL: none. */
int64_t load_dedupe_window_slots(const json_t *limits);

/* Everything borrowed for the life of the load.  0 means the default. */
struct load_options {
    const struct system_ops *system;
    const struct cluster *cluster;
    struct workload *workload;
    struct history_writer *history;
    struct clock *clock;
    uint64_t seed;
    unsigned client_count;
    double rate; /* operations per second over all clients; 0: unlimited */
    /* 0: the workload's wish, else the default. */
    int64_t attempt_timeout_ns, give_up_ns;
    int64_t dedupe_window_slots;
};

struct load_stats {
    uint64_t attempts[EVENT_KIND_COUNT]; /* by outcome: EVENT_OK, ... */
    uint64_t operations; /* ended with a recorded answer, reads included */
    uint64_t refused;    /* ended with nothing but failed attempts */
    uint64_t retries;    /* attempts after an operation's first */
    uint64_t duplicates; /* answered operations sent again on purpose */
    uint64_t given_up;
    uint64_t resolved;     /* of those given up: answered later, or refused
                              for their id: they cannot have happened */
    uint64_t open_dropped; /* beyond LOAD_OPEN_MAX: nobody will resolve them */
    uint64_t leader_changes; /* answers from a term not seen before, -1 */
    uint64_t term;
    int primary; /* node believed, -1: none yet */
};

struct load;

struct load *load_new(const struct load_options *options, struct error *err);
void load_free(struct load *l); /* NULL is fine; joins what still runs */

/* Runs the workload's setup to recorded answers, one after the other. */
int load_setup(struct load *l, int64_t deadline_ns, struct error *err);

/* Starts the client threads; they end at the deadline. */
int load_start(struct load *l, int64_t deadline_ns, struct error *err);

/* Ends the window early: no new attempt begins in a client thread. */
void load_cancel(struct load *l);

/* Ends everything early, sweeps and resolving too, for good. */
void load_abort(struct load *l);

/*
 * Waits for the threads, at most until the load's deadline, one attempt's
 * timeout and a margin have passed.  Fails with the history's error when the
 * history could not be written: that ended the load early.
 */
int load_join(struct load *l, struct error *err);

struct load_sweep_result {
    uint64_t read, missed; /* objects that answered, that did not in time */
};

/* Reads all objects of the workload, each until it answers or the deadline. */
int load_sweep(struct load *l, int64_t deadline_ns,
               struct load_sweep_result *ret, struct error *err);

struct load_resolve_result {
    uint64_t resolved;
    uint64_t unresolved;     /* still open: window over, or no answer in time */
    uint64_t outside_window; /* of those: never retried again */
};

/*
 * Retries what is open, with the same operation ids, in rounds.  While the
 * dedupe table is full it also ticks, a slot a round: records must retire
 * before anything else is taken.
 */
int load_resolve(struct load *l, int64_t deadline_ns,
                 struct load_resolve_result *ret, struct error *err);

void load_stats(struct load *l, struct load_stats *ret);
int load_primary(struct load *l);

/* Whether the history could not be written; load_join() says why. */
bool load_failed(struct load *l);

#endif
