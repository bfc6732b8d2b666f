/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults by hand, one call after the other, with the same steps, journal,
 * records and leases as those of a plan.
 *
 * Failure modes: an inject that fails is healed at once, and said so; a heal
 * that is not proven stays in force and may be tried again.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/nemesis-internal.h"

/* Faults by hand in one cluster's life; their entries are kept for the record.
 */
#define HAND_FAULTS_MAX 10000

static struct nemesis_active *
hand_find(struct nemesis *n, uint64_t id)
{
    for (unsigned i = 0; i < n->active_count; i++)
        if (n->active[i].entry->id == id)
            return &n->active[i];
    return NULL;
}

void
nemesis_hand_release(struct nemesis *n)
{
    for (size_t i = 0; i < n->hand_count; i++) {
        json_decref(n->hand[i]->params);
        json_decref(n->hand_records[i]);
        free(n->hand[i]);
    }
    free(n->hand);
    free(n->hand_records);
}

static int
hand_entry(struct nemesis *n, const char *fault, const char *target,
           json_t *params, struct plan_entry *ret, struct error *err)
{
    struct plan_entry e = {.id = n->hand_count + 1,
                           .ops = fault_find(fault),
                           .duration_ns = INT64_MAX / 4};

    if (e.ops == NULL)
        return error_set(err, ERROR_CONFIG, "there is no fault '%.64s'", fault);
    if (n->hand_count == HAND_FAULTS_MAX ||
        n->active_count == n->options.plan->concurrent_max)
        return error_set(err, ERROR_CONFIG,
                         "%u faults are in force; heal some first",
                         n->active_count);
    if (!fault_available(e.ops, n->options.world))
        return error_set(err, ERROR_ENVIRONMENT,
                         "fault '%s' does not work on these nodes", fault);
    if (target_parse(target, n->options.plan->node_count, &e.spec, err) < 0 ||
        fault_check_params(e.ops, params, err) < 0)
        return -1;
    if (e.spec.kind == TARGET_EVENT)
        return error_set(err, ERROR_CONFIG,
                         "target 'event': there is no event");
    snprintf(e.target, sizeof(e.target), "%s", target);
    e.params = json_incref(params);
    *ret = e;
    return 0;
}

static struct plan_entry *
hand_keep(struct nemesis *n, const struct plan_entry *e)
{
    struct plan_entry *kept = xcalloc(1, sizeof(*kept));

    *kept = *e;
    n->hand = xrealloc(n->hand, (n->hand_count + 1) * sizeof(*n->hand));
    n->hand_records =
        xrealloc(n->hand_records, (n->hand_count + 1) * sizeof(json_t *));
    n->hand_records[n->hand_count] = NULL;
    n->hand[n->hand_count++] = kept;
    return kept;
}

static json_t *
hand_answer(struct nemesis *n, const struct nemesis_active *a, enum proof proof)
{
    return json_pack(
        "{s:I, s:s, s:o, s:b, s:s, s:O}", "id", (json_int_t)a->entry->id,
        "fault", a->entry->ops->name, "nodes",
        node_set_to_json(n->options.world->cluster, a->fault.targets),
        "primary", (int)a->primary, "result", proof_name(proof), "evidence",
        a->fault.evidence);
}

json_t *
nemesis_hand_inject(struct nemesis *n, const char *fault, const char *target,
                    json_t *params, struct error *err)
{
    struct nemesis_pending pending = {0};
    struct nemesis_active *a;
    struct plan_entry e;
    const char *reason;
    node_set targets = 0;
    bool primary = false;

    if (hand_entry(n, fault, target, params, &e, err) < 0)
        return NULL;
    pending.entry = &e;
    reason = nemesis_aim(n, &pending, &targets, &primary);
    if (reason != NULL) {
        json_decref(e.params);
        error_set(err, ERROR_ENVIRONMENT, "%s", reason);
        return NULL;
    }
    nemesis_begin(n, hand_keep(n, &e), targets, primary, INT64_MAX);
    a = hand_find(n, e.id);
    if (a == NULL) {
        error_set(err, ERROR_ENVIRONMENT,
                  "it could not be journalled; nothing was done");
        return NULL;
    }
    /* For a second heal, when nothing else is left of it. */
    n->hand_records[e.id - 1] = json_pack(
        "{s:s, s:o, s:O}", "fault", fault, "nodes",
        node_set_to_json(n->options.world->cluster, targets), "params", params);
    if (a->injected)
        return hand_answer(n, a, a->effect);
    nemesis_end(n, a);
    nemesis_sweep(n);
    error_set(err, ERROR_ENVIRONMENT, "fault %" PRIu64 ": %s%s", e.id,
              n->hand_error,
              hand_find(n, e.id) == NULL ? "; it is healed"
                                         : "; its heal is not proven");
    return NULL;
}

/* Once more, for what is healed already: harmless, and proven. */
static json_t *
hand_heal_again(struct nemesis *n, uint64_t id, struct error *err)
{
    const struct plan_entry *e = n->hand[id - 1];
    struct fault f;
    enum proof proof;
    json_t *ret = NULL;

    if (n->hand_records[id - 1] == NULL) {
        error_set(err, ERROR_CONFIG, "fault %" PRIu64 " never was in force",
                  id);
        return NULL;
    }
    if (fault_from_record(&f, n->options.world, n->hand_records[id - 1], err) ==
            0 &&
        fault_heal(&f, err) == 0) {
        struct nemesis_active a = {.entry = e, .fault = f};

        proof = fault_prove(&a.fault, FAULT_HEALED);
        ret = hand_answer(n, &a, proof);
        f = a.fault;
    }
    fault_release(&f);
    return ret;
}

json_t *
nemesis_hand_heal(struct nemesis *n, uint64_t id, struct error *err)
{
    struct nemesis_active *a = hand_find(n, id);
    json_t *ret;

    if (id == 0 || id > n->hand_count) {
        error_set(err, ERROR_CONFIG, "there is no fault %" PRIu64, id);
        return NULL;
    }
    if (a == NULL)
        return hand_heal_again(n, id, err);
    nemesis_end(n, a);
    ret = hand_answer(n, a, a->gone ? PROOF_CONFIRMED : PROOF_MISMATCH);
    json_object_set_new(ret, "effect", json_string(proof_name(a->effect)));
    json_object_set_new(ret, "proven_ms",
                        json_integer(a->proven_ns / NS_PER_MS));
    nemesis_sweep(n);
    return ret;
}

json_t *
nemesis_hand_facts(struct nemesis *n)
{
    json_t *ret = json_array();

    for (unsigned i = 0; i < n->active_count; i++) {
        struct nemesis_active *a = &n->active[i];

        json_array_append_new(
            ret, hand_answer(n, a,
                             a->injected ? fault_prove(&a->fault, FAULT_EFFECT)
                                         : PROOF_INCONCLUSIVE));
    }
    return ret;
}

void
nemesis_hand_tend(struct nemesis *n)
{
    nemesis_renew_due(n);
}
