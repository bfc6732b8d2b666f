/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault is one kind of harm with inject, heal and proof of both.
 *
 *   available -> setup -> journal(undo) -> inject -> prove(EFFECT)
 *        ... window ... -> prove(EFFECT) -> heal -> prove(HEALED) -> teardown
 *
 * The undo is in the journal, on disk, before inject runs.  heal is idempotent
 * and may be called without a successful inject.  Proof is independent of the
 * act: another observation than the command's exit status.
 *
 * Nobody calls fault->ops->f but fault.c: the wrappers below check the order
 * drawn above, put the fault's name in front of errors, and turn a proof that
 * could not be taken into PROOF_INCONCLUSIVE.
 *
 * Threads: the nemesis thread only.
 */
#ifndef ORDEAL_NEMESIS_FAULT_H
#define ORDEAL_NEMESIS_FAULT_H

#include "harness/base/rng.h"
#include "systems/system.h"

enum proof { PROOF_CONFIRMED, PROOF_MISMATCH, PROOF_INCONCLUSIVE };
const char *proof_name(enum proof proof);

/* Of several proofs the one that may be claimed: MISMATCH wins over
 * INCONCLUSIVE wins over CONFIRMED. */
enum proof proof_merge(enum proof a, enum proof b);

enum fault_phase { FAULT_EFFECT, FAULT_HEALED };

/* Nodes as a bit set: bit i is node index i. */
typedef uint32_t node_set;

struct fabric_switch; /* nemesis/fabric/switch.h */

/* What a fault may use.  remotes[i] is the nemesis's own way to node i. */
struct fault_world {
    const struct cluster *cluster;
    const struct system_ops *system;
    struct remote *remotes;
    struct clock *clock;
    /* Made the nodes, and can do to them what machines can be done to.
     * NULL: their maker is gone ('recover'), or is none of ours. */
    struct provider *provider;
    /* Host path of ordeal-harm, for guests of this architecture.  NULL: none.
     */
    const char *harm_program;
    /* Port i is node i.  NULL: the cluster network is not a switch of ours. */
    struct fabric_switch *fabric;
    /* It was a switch of a driver that is dead: no node reaches another, and no
     * proof of a heal can ask for more than that nothing is left in them. */
    bool network_gone;
    /* Their data disks were served by a driver that is dead: what was done to
     * files on them went with them. */
    bool disks_gone;
};

/* Where in the drawing above a fault is; moved on by the wrappers. */
enum fault_stage {
    FAULT_NEW,
    FAULT_READY,      /* set up */
    FAULT_JOURNALLED, /* its undo is on disk */
    FAULT_INJECTED,   /* inject was called, whatever came of it */
};

struct fault {
    const struct fault_ops *ops;
    const struct fault_world *world;
    json_t *params;   /* one JSON object; unknown keys are an error */
    node_set targets; /* resolved when injected */
    json_t *evidence; /* object filled by prove; what it saw */
    void *state;
    /* Time from arming, or the last renewal, to the guest's own heal. */
    int64_t lease_ns;
    /* The guest's own timer had run out and healed there: seen by renew, heal
     * or prove. */
    bool self_healed[NODE_COUNT_MAX];
    /* What the fault draws comes from here alone: the same plan, the same
     * harm. */
    uint64_t seed;
    enum fault_stage stage;
};

/* Of a fault that nobody renews: set by hand. */
#define FAULT_LEASE_NS (600 * NS_PER_S)
/* One command on a node; slow guests answer within a second or two. */
#define FAULT_EXEC_TIMEOUT_NS (10 * NS_PER_S)
/* From heal until the system must answer again, or the path be open. */
#define FAULT_HEAL_TIMEOUT_NS (20 * NS_PER_S)

struct fault_ops {
    const char *name, *description;
    /* Nodes it takes down count against the availability budget. */
    bool takes_nodes_down;
    /* What its targets had acknowledged may be lost or wrong, although the
     * system did all it must: they count against the safety budget. */
    bool breaks_durability;
    /*
     * Statuses with which a target's daemon may end because of it, 0 after the
     * last: a write that failed (74), a refusal of damaged state (76).  Ends
     * by SIGKILL, SIGTERM or with 0 need no leave.  NULL: none.
     */
    const int *may_exit;
    bool ends_at_point; /* the same, with the system's own crash_exit */
    /* What it does lies in files on the data disks, and nowhere else. */
    bool on_data_disk;
    /* Its targets start anew: what other faults did inside them is gone. */
    bool reboots;
    int (*setup)(struct fault *f, struct error *err); /* checks params */
    bool (*available)(const struct fault_world *w);
    /*
     * A JSON object {"fault":..., "nodes":[...], ...} from which undo() can
     * heal without this process's memory; written before inject.  The
     * dispatcher adds "params" and "seed".
     */
    json_t *(*undo_record)(const struct fault *f);
    int (*inject)(struct fault *f, struct error *err);
    /*
     * The guests' own timers start anew with f->lease_ns; fills self_healed.
     * NULL: the fault has none.
     */
    int (*renew)(struct fault *f, struct error *err);
    int (*prove)(struct fault *f, enum fault_phase phase, enum proof *ret,
                 struct error *err);
    int (*heal)(struct fault *f, struct error *err);
    /* heal for 'recover', from the record alone. */
    int (*undo)(const struct fault_world *w, const json_t *record,
                struct error *err);
    void (*teardown)(struct fault *f);
};

const struct fault_ops *fault_find(const char *name); /* NULL: none */
const struct fault_ops *const *fault_all(void);       /* NULL-terminated */

/*
 * Borrows ops and world (NULL: only to check params); keeps a reference to
 * params (NULL: none).
 */
void fault_init(struct fault *f, const struct fault_ops *ops,
                const struct fault_world *w, json_t *params);
/* Teardown and release, from any stage.  Heals nothing. */
void fault_release(struct fault *f);

bool fault_available(const struct fault_ops *ops, const struct fault_world *w);

/* Checks the params; needs no targets and touches no node. */
int fault_setup(struct fault *f, struct error *err);

/* fault_setup of params alone: for schedules and plans. */
int fault_check_params(const struct fault_ops *ops, json_t *params,
                       struct error *err);

/* The keys it takes, "shape, direction"; "" for none.  As setup tells them. */
void fault_parameters(const struct fault_ops *ops, char *buf, size_t size);

/* New reference.  The targets are set, and are not changed afterwards. */
json_t *fault_undo_record(const struct fault *f);

/* The caller says that the undo is on disk; only then may inject run. */
void fault_journalled(struct fault *f);
int fault_inject(struct fault *f, struct error *err);

/* Whether there is anything to renew, and doing so; after inject. */
bool fault_has_lease(const struct fault *f);
int fault_renew(struct fault *f, struct error *err);

/* Fills f->evidence anew; what went wrong while looking is in its "error". */
enum proof fault_prove(struct fault *f, enum fault_phase phase);
int fault_heal(struct fault *f, struct error *err);

/*
 * For prove(): looks with 'once' until it confirms or the time is over; the
 * last look counts.  A look that fails ends a proof of effect at once, and is
 * tried again in a proof of heal.
 */
int fault_prove_until(struct fault *f, enum fault_phase phase,
                      int64_t timeout_ns, int64_t interval_ns,
                      int (*once)(struct fault *f, enum proof *ret,
                                  struct error *err),
                      enum proof *ret, struct error *err);
/* For prove(): one look at each target, merged.  A look that fails ends it. */
int fault_look_each(struct fault *f,
                    int (*look)(struct fault *f, unsigned node, enum proof *ret,
                                struct error *err),
                    enum proof *ret, struct error *err);
int fault_undo(const struct fault_world *w, const json_t *record,
               struct error *err);

/*
 * The fault of an undo record, as if this process had injected it: for proofs
 * of heal after its driver died.  What inject() remembered is not there.
 * fault_release() ends it, also after a failure.
 */
int fault_from_record(struct fault *f, const struct fault_world *w,
                      const json_t *record, struct error *err);

#endif
