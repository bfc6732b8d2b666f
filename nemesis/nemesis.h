/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nemesis applies the faults of a plan, proves each, and undoes each.
 *
 *   nemesis_new -> start ......... (plan done | stop) -> heal_all -> free
 *                    |  due: resolve targets, journal the undo, inject, prove
 *                    |  over: prove again, heal, prove healed, journal done
 *
 * Each step is recorded in the history and in faults.jsonl.  A fault whose
 * effect was not confirmed at both ends does not count as coverage; one whose
 * heal is not proven is healed again every second, keeps its share of the
 * budget meanwhile, and makes the run dirty if heal_all cannot prove it.
 *
 * The leases of the guests' own timers are renewed while a fault is in force,
 * and while its heal is not proven.  One that ran out nevertheless is recorded
 * (stage "self_healed") and is no coverage.
 *
 * A fault that is due waits up to NEMESIS_TARGET_WAIT_NS for its targets (a
 * primary, room in the budgets), then it is skipped and the reason recorded.
 * A node under one fault is no target of another, unless the plan says that
 * the two may share it.
 *
 * Faults in force are proven before another reboots its nodes, and again when
 * they are up; one that is gone is injected anew.  What counts is the time
 * between two proofs that hold with no reboot between them ("proven_ms").
 *
 * Events reach the nemesis by nemesis_note_event(): it knows no workload, only
 * the names in the plan.  A trigger's fault is due "after" the event as soon as
 * the thread sees it (a millisecond); to that comes one look at the nodes, for
 * targets and budgets, before the act.
 *
 * Threads: the nemesis has one, which alone uses world->remotes between start
 * and stop.  new, start, stop, heal_all, free: the owner's thread.  current,
 * summary and note_event: any thread.
 */
#ifndef ORDEAL_NEMESIS_NEMESIS_H
#define ORDEAL_NEMESIS_NEMESIS_H

#include "harness/base/history.h"
#include "nemesis/journal.h"
#include "nemesis/schedule.h"

#define NEMESIS_TARGET_WAIT_NS (5 * NS_PER_S)
/*
 * A guest heals itself this long after it last heard of its driver: longer than
 * any one step takes, so that a slow proof of one fault ends no other.
 */
#define NEMESIS_LEASE_NS (60 * NS_PER_S)
#define NEMESIS_RENEW_NS (NEMESIS_LEASE_NS / 3)
#define NEMESIS_CURRENT_MAX 256

struct nemesis;

/* All borrowed for the life of the nemesis. */
struct nemesis_options {
    const struct fault_world *world;
    const struct plan *plan;
    struct journal *journal;
    struct history_writer *history; /* NULL: none */
    FILE *faults;                   /* faults.jsonl; NULL: none */
    /* What came of a fault of the plan, for people, as soon as that is known:
     * "7 kill n2 (primary): confirmed".  The nemesis thread.  NULL: nobody. */
    void (*marked)(void *ctx, const char *text);
    /* After each step of a fault is recorded ("journalled", ...).  NULL. */
    void (*stepped)(void *ctx, const char *stage);
    void *ctx;
};

struct nemesis_summary {
    unsigned planned, skipped, injected;
    /* Of those injected or tried, what both proofs of effect came to. */
    unsigned confirmed, mismatch, inconclusive;
    unsigned primary_hits; /* confirmed, and a target was primary */
    unsigned under_way;    /* injected, heal not proven yet */
    unsigned self_healed;  /* ended by a guest's own timer */
    bool journal_failed;   /* a write failed: no more faults were injected */
    bool record_failed;    /* the same of history or faults.jsonl */
};

/*
 * Whether every fault of the plan can work on these nodes: ERROR_ENVIRONMENT
 * names the first that cannot.
 */
int nemesis_check(const struct fault_world *w, const struct plan *plan,
                  struct error *err);

struct nemesis *nemesis_new(const struct nemesis_options *options);

/* Heals nothing: stop and heal_all come first.  NULL is fine. */
void nemesis_free(struct nemesis *n);

/* The window begins now. */
int nemesis_start(struct nemesis *n, struct error *err);

/* The same in the caller's thread, until the plan is done (tests). */
void nemesis_run(struct nemesis *n);

/* Something happened; sets off what waits for it.  Quick, never blocks long. */
void nemesis_note_event(struct nemesis *n, const struct nemesis_event *e);
/* The same of an event of the history (attempts only; others are ignored). */
void nemesis_note_history(struct nemesis *n, const struct event *e);

/*
 * No more faults; those under way go through their end once.  Returns when the
 * thread has ended; without a start it returns at once.
 */
void nemesis_stop(struct nemesis *n);

/*
 * Heals what is still under way and proves it, again and again until the
 * absolute deadline (an attempt that has begun is finished).  -1 names a fault
 * whose heal is not proven: the run is dirty.  After nemesis_stop().
 */
int nemesis_heal_all(struct nemesis *n, int64_t deadline_ns, struct error *err);

/* "7 kill n2 (primary)" with the number in the plan; "" when nothing is under
 * way. */
void nemesis_current(struct nemesis *n, char ret[static NEMESIS_CURRENT_MAX]);

void nemesis_summary(struct nemesis *n, struct nemesis_summary *ret);
json_t *nemesis_summary_to_json(const struct nemesis_summary *s);

/*
 * By hand, instead of start: each call takes its steps at once, in the owner's
 * thread, and answers {"id","fault","nodes","primary","result","evidence"}.
 * The plan is empty, has the cluster's nodes, and bounds how many may be in
 * force.  'params' is borrowed.  NULL and err: it did not come about.
 */
json_t *nemesis_hand_inject(struct nemesis *n, const char *fault,
                            const char *target, json_t *params,
                            struct error *err);
/* "result": whether the heal is proven; "effect", "proven_ms": of its time.
 * One that is healed already is healed once more. */
json_t *nemesis_hand_heal(struct nemesis *n, uint64_t id, struct error *err);
/* All in force, each looked at now. */
json_t *nemesis_hand_facts(struct nemesis *n);
/* Renews leases; to be called every few seconds. */
void nemesis_hand_tend(struct nemesis *n);

/*
 * Whether a daemon of the node may have ended with this status because of a
 * fault that was injected there, as fault_ops.may_exit says.
 */
bool nemesis_may_exit(struct nemesis *n, unsigned node, int status);

/* What recovery found of a journal. */
struct nemesis_recovery {
    unsigned pending;    /* records that were not done */
    unsigned undone;     /* of these */
    unsigned proven;     /* of the undone: the heal is proven, too */
    unsigned unprovable; /* their makers died with the driver, with the harm */
    /* {"id","fault","nodes","undone","result","evidence","error"} of each;
     * "ended" where what was harmed is gone. */
    json_t *faults;
};
void nemesis_recovery_release(struct nemesis_recovery *r);

/*
 * Undoes what the journal of a dead driver has pending, latest first, proves
 * the heal, and marks it done.  One that fails does not keep the others from
 * being undone; -1 names the first that is not undone or not proven, which
 * stays pending.  Refused while that driver lives.  No journal: nothing to do.
 * *ret is filled also on failure; release it.
 */
int nemesis_recover(const char *journal_path, const struct fault_world *w,
                    struct nemesis_recovery *ret, struct error *err);

#endif
