/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault that reboots a node erases what others did inside it, and where
 * rules lie only those others know: so all that are in force are proven a last
 * time before the reboot, and again after it.  Between the two nothing is
 * claimed.
 *
 * Happy path: proven before; proven after, or injected anew and proven.
 *
 * Failure modes: one that cannot be had again is a mismatch and is healed at
 * once.
 */
#include "config.h"

#include <assert.h>

#include "nemesis/nemesis-internal.h"

void
nemesis_reboot_before(struct nemesis *n, const struct nemesis_active *by)
{
    for (unsigned i = 0; i < n->active_count; i++) {
        struct nemesis_active *a = &n->active[i];

        if (a == by || !a->injected || a->ending || a->interrupted)
            continue;
        a->interrupted = true;
        nemesis_prove(n, a, "proved_before_reboot");
    }
}

/* What is left of it elsewhere is undone first; the undo on disk is the same.
 */
static int
reboot_inject(struct nemesis *n, struct nemesis_active *a, struct error *err)
{
    struct fault old;
    struct error ignored = {0};
    bool ready;

    if (fault_heal(&a->fault, err) < 0)
        return -1;
    old = a->fault;
    fault_init(&a->fault, old.ops, old.world, old.params);
    a->fault.targets = old.targets;
    a->fault.lease_ns = old.lease_ns;
    a->fault.seed = old.seed;
    fault_release(&old);
    ready = fault_setup(&a->fault, &ignored) == 0;
    assert(ready); /* the same parameters, set up before */
    fault_journalled(&a->fault);
    return fault_inject(&a->fault, err);
}

static void
reboot_again(struct nemesis *n, struct nemesis_active *a)
{
    struct error err = {0};

    if (reboot_inject(n, a, &err) < 0) {
        nemesis_step(n, a, "reinjected", NULL, err.text);
        a->effect = proof_merge(a->effect, PROOF_MISMATCH);
        a->injected = false; /* there is nothing to prove before the heal */
        a->due_ns = nemesis_now_ns(n);
        return;
    }
    if (fault_has_lease(&a->fault))
        a->renew_ns = nemesis_now_ns(n) + NEMESIS_RENEW_NS;
    nemesis_step(n, a, "reinjected", NULL, NULL);
    a->effect = proof_merge(a->effect, nemesis_prove(n, a, "proved"));
}

void
nemesis_reboot_after(struct nemesis *n, const struct nemesis_active *by)
{
    for (unsigned i = 0; i < n->active_count; i++) {
        struct nemesis_active *a = &n->active[i];

        if (a == by || !a->interrupted || a->ending)
            continue;
        a->interrupted = false;
        if (nemesis_prove(n, a, "proved_after_reboot") != PROOF_CONFIRMED &&
            !nemesis_stop_asked(n))
            reboot_again(n, a);
    }
}
