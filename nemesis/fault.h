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
 * Threads: the nemesis thread only.
 */
#ifndef ORDEAL_NEMESIS_FAULT_H
#define ORDEAL_NEMESIS_FAULT_H

#include "harness/base/rng.h"
#include "systems/system.h"

enum proof { PROOF_CONFIRMED, PROOF_MISMATCH, PROOF_INCONCLUSIVE };
const char *proof_name(enum proof proof);

enum fault_phase { FAULT_EFFECT, FAULT_HEALED };

/* Nodes as a bit set: bit i is node index i. */
typedef uint32_t node_set;

/* What a fault may use.  remotes[i] is the nemesis's own way to node i. */
struct fault_world {
    const struct cluster *cluster;
    const struct system_ops *system;
    struct remote *remotes;
    struct clock *clock;
};

struct fault {
    const struct fault_ops *ops;
    const struct fault_world *world;
    json_t *params;   /* one JSON object; unknown keys are an error */
    node_set targets; /* resolved when injected */
    json_t *evidence; /* object filled by prove; what it saw */
    void *state;
};

struct fault_ops {
    const char *name, *description;
    /* Nodes it takes down count against the availability budget. */
    bool takes_nodes_down;
    int (*setup)(struct fault *f, struct error *err); /* checks params */
    bool (*available)(const struct fault_world *w);
    /*
     * A JSON object {"fault":..., "nodes":[...], ...} from which undo() can
     * heal without this process's memory; written before inject.
     */
    json_t *(*undo_record)(const struct fault *f);
    int (*inject)(struct fault *f, struct error *err);
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

#endif
