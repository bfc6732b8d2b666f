/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state that the parts of the nemesis share (nemesis/nemesis*.c only):
 *   nemesis.c         the steps of each fault, the thread
 *   nemesis-aim.c     which fault is next: moments, triggers, budgets, targets
 *   nemesis-record.c  the record, and what others see
 *   nemesis-hand.c    faults by hand
 *   nemesis-reboot.c  faults in force on nodes that another fault reboots
 */
#ifndef ORDEAL_NEMESIS_NEMESIS_INTERNAL_H
#define ORDEAL_NEMESIS_NEMESIS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "nemesis/nemesis.h"
#include "nemesis/watch.h"

/* A fault that is due and could not begin yet is tried so often. */
#define NEMESIS_TRY_NS (200 * NS_PER_MS)
#define NEMESIS_HEAL_RETRY_NS (1 * NS_PER_S)
#define NEMESIS_STATUS_COUNT 256 /* of a process */
/* Faults due at once; more wait in the plan. */
#define NEMESIS_PENDING_MAX 64
#define NEMESIS_CAUSE_MAX 160

/* One fault between its journal entry and the proof that it is healed. */
struct nemesis_active {
    const struct plan_entry *entry;
    struct fault fault;
    bool primary;  /* the primary was hit */
    bool injected; /* inject said so */
    bool ending;   /* the proof before the heal is taken */
    bool gone;     /* healed and proven */
    /* A reboot by another fault may have erased it; to be proven again. */
    bool interrupted;
    enum proof effect;
    int64_t due_ns;   /* heal, or try again to */
    int64_t renew_ns; /* the lease; INT64_MAX: never */
    bool self_healed; /* recorded */
    /* Since when its effect is proven, 0: it is not; and for how long before
     * that, between two proofs each time. */
    int64_t proven_since_ns, proven_ns;
};

/* A fault that is due. */
struct nemesis_pending {
    const struct plan_entry *entry;
    int64_t due_ns, try_ns;
    node_set event_node; /* of its event */
};

/* The entries of one trigger, in the order in which they are set off. */
struct nemesis_trigger {
    const struct trigger *on;
    int64_t from_ns, until_ns; /* on the clock of the plan */
    uint64_t seen;
    size_t *entries; /* indices in the plan */
    size_t entry_count, fired;
};

/* What a trigger set off and the nemesis thread did not yet take. */
struct nemesis_shot {
    const struct plan_entry *entry;
    int64_t due_ns;
    node_set event_node;
    char cause[NEMESIS_CAUSE_MAX];
};

struct nemesis {
    struct nemesis_options options;
    struct rng rng;
    int64_t start_ns;
    size_t next; /* in the plan, of those with a moment */
    struct nemesis_pending pending[NEMESIS_PENDING_MAX];
    unsigned pending_count;
    struct nemesis_active active[PLAN_CONCURRENT_MAX];
    unsigned active_count;
    node_set suspect;               /* durable state broken, not proven whole */
    uint64_t floor[NODE_COUNT_MAX]; /* of a suspect: proven at this commit */
    node_set healed;                /* suspects whose fault is healed */
    struct watch *watch;            /* of the system's events; NULL: none */
    bool threaded;
    pthread_t thread;
    atomic_bool stopping;
    atomic_bool armed;    /* triggers count: the window has begun */
    atomic_bool shot_new; /* a trigger set something off */
    pthread_mutex_t lock; /* guards what follows */
    struct nemesis_summary summary;
    bool may_exit[NODE_COUNT_MAX][NEMESIS_STATUS_COUNT];
    char current[NEMESIS_CURRENT_MAX];
    struct nemesis_trigger *triggers;
    unsigned trigger_count;
    struct nemesis_shot shots[NEMESIS_PENDING_MAX];
    unsigned shot_count;
    /* By hand: entries and undo records of all, by id - 1. */
    struct plan_entry **hand;
    json_t **hand_records;
    size_t hand_count;
    char hand_error[ERROR_TEXT_MAX]; /* of the last inject that failed */
    uint64_t shots_lost; /* events that came when shots[] was full */
};

int64_t nemesis_now_ns(struct nemesis *n);
bool nemesis_stop_asked(void *ctx);

/* ---- nemesis-record.c ---- */

void nemesis_count(struct nemesis *n, unsigned *counter);
/* Something of ours is broken: no more faults.  Logged the first time. */
void nemesis_flag(struct nemesis *n, bool *flag, const struct error *err);
void nemesis_show(struct nemesis *n);
/* From now on: an inject that fails may have done half of its harm. */
void nemesis_grant_exits(struct nemesis *n, const struct fault *f);

/* What one line says; members that do not apply are NULL. */
struct nemesis_step {
    const struct plan_entry *entry;
    const char *stage;
    const struct nemesis_active *active;
    const char *result;
    const char *error;
    const char *cause; /* the event that set it off */
};
void nemesis_record(struct nemesis *n, const struct nemesis_step *s);
void nemesis_step(struct nemesis *n, const struct nemesis_active *a,
                  const char *stage, const char *result, const char *error);
void nemesis_skip(struct nemesis *n, const struct plan_entry *e,
                  const char *reason);
/* Tells people.  'a' NULL: it never began; 'reason' may be NULL. */
void nemesis_mark(struct nemesis *n, const struct plan_entry *e,
                  const struct nemesis_active *a, const char *what,
                  const char *reason);

/* ---- nemesis-aim.c ---- */

void nemesis_aim_init(struct nemesis *n);
void nemesis_aim_release(struct nemesis *n);
/* Resolves targets; NULL when it may begin, else why not yet. */
const char *nemesis_aim(struct nemesis *n, const struct nemesis_pending *p,
                        node_set *ret, bool *ret_primary);
/* Moves what is due into pending. */
void nemesis_aim_collect(struct nemesis *n);
/* The moment of the next fault with one, or of one set off; INT64_MAX: none. */
int64_t nemesis_aim_next_ns(struct nemesis *n);
/* Whether an event may still set something off. */
bool nemesis_aim_waits(struct nemesis *n);
/* The pending fault to try first; NULL: none. */
struct nemesis_pending *nemesis_aim_first(struct nemesis *n);
void nemesis_aim_remove(struct nemesis *n, struct nemesis_pending *p);
/* Whatever did not begin is skipped. */
void nemesis_aim_skip_rest(struct nemesis *n);
/* The durable state of the targets is broken from now; healed, from now. */
void nemesis_aim_broken(struct nemesis *n, const struct nemesis_active *a);
void nemesis_aim_mended(struct nemesis *n, const struct nemesis_active *a);

/* ---- nemesis-reboot.c ---- */

/* Before 'by' reboots its targets: the others are proven a last time. */
void nemesis_reboot_before(struct nemesis *n, const struct nemesis_active *by);
/* They are up again: the others are proven anew, or injected anew. */
void nemesis_reboot_after(struct nemesis *n, const struct nemesis_active *by);

/* ---- nemesis-hand.c ---- */

void nemesis_hand_release(struct nemesis *n);

/* ---- nemesis.c ---- */

/* Journal, inject, prove; where the journal fails, nothing. */
void nemesis_begin(struct nemesis *n, const struct plan_entry *e,
                   node_set targets, bool primary, int64_t heal_at_ns);
/* One attempt to heal and prove; 'gone' when both succeeded. */
void nemesis_end(struct nemesis *n, struct nemesis_active *a);
/* Forgets those that are gone. */
void nemesis_sweep(struct nemesis *n);
void nemesis_renew_due(struct nemesis *n);

/* Takes a proof of effect: its result counts, and its interval begins or goes
 * on. */
enum proof nemesis_prove(struct nemesis *n, struct nemesis_active *a,
                         const char *stage);

#endif
