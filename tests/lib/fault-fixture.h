/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fault and its parameters on a world that the test has made.
 *
 *   fixture_ready -> (fixture_journal) -> inject, prove, heal -> fixture_end
 */
#ifndef ORDEAL_TESTS_FAULT_FIXTURE_H
#define ORDEAL_TESTS_FAULT_FIXTURE_H

#include "nemesis/fault.h"
#include "tests/lib/tap.h"

struct fake; /* tests/lib/fake-remote.h */

struct fixture {
    struct fake *fake; /* of tests whose nodes are pretended, else NULL */
    struct fault fault;
    json_t *params;
    struct error err;
};

/* Sets the fault up; it only has to be journalled. */
UNUSED static void
fixture_ready(struct fixture *f, const struct fault_world *world,
              const char *name, const char *params, node_set targets)
{
    f->params = json_loads(params, 0, NULL);
    CHECK(f->params != NULL);
    CHECK(fault_find(name) != NULL);
    fault_init(&f->fault, fault_find(name), world, f->params);
    f->fault.targets = targets;
    CHECK_OK(fault_setup(&f->fault, &f->err), &f->err);
}

UNUSED static void
fixture_journal(struct fixture *f)
{
    json_decref(fault_undo_record(&f->fault));
    fault_journalled(&f->fault);
}

UNUSED static void
fixture_end(struct fixture *f)
{
    fault_release(&f->fault);
    json_decref(f->params);
}

UNUSED static void
check_proof(struct fixture *f, enum fault_phase phase, enum proof expected)
{
    enum proof proof = fault_prove(&f->fault, phase);
    char *evidence = json_dumps(f->fault.evidence, JSON_COMPACT);

    if (f->fake == NULL || proof != expected)
        printf("# %s %s: %s %.1400s\n", f->fault.ops->name,
               phase == FAULT_EFFECT ? "effect" : "healed", proof_name(proof),
               evidence);
    free(evidence);
    CHECK_STR(proof_name(proof), proof_name(expected));
}

/* Heals, and again: the second time changes nothing. */
UNUSED static void
heal_twice(struct fixture *f)
{
    for (int i = 0; i < 2; i++) {
        CHECK_OK(fault_heal(&f->fault, &f->err), &f->err);
        check_proof(f, FAULT_HEALED, PROOF_CONFIRMED);
    }
}

#endif
