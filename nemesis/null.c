/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null: harms nothing and says so.  The control of a schedule, and the form to
 * copy for a new fault: what it does to its targets is nothing, so both proofs
 * hold at once.
 */
#include "config.h"

#include <stddef.h>

#include "nemesis/params.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"

static int
null_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {NULL};

    return params_check_keys(f->params, keys, err);
}

static json_t *
null_undo_record(const struct fault *f)
{
    return json_pack("{s:s, s:o}", "fault", "null", "nodes",
                     node_set_to_json(f->world->cluster, f->targets));
}

static int
null_inject(struct fault *f, struct error *err)
{
    return 0;
}

static int
null_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
           struct error *err)
{
    *ret = PROOF_CONFIRMED;
    return 0;
}

static int
null_heal(struct fault *f, struct error *err)
{
    return 0;
}

static int
null_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    return 0;
}

const struct fault_ops fault_null_ops = {
    .name = "null",
    .description = "nothing, for control runs",
    .setup = null_setup,
    .undo_record = null_undo_record,
    .inject = null_inject,
    .prove = null_prove,
    .heal = null_heal,
    .undo = null_undo,
};
