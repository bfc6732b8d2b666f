/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher of faults: checks the order of the lifecycle, names the fault
 * in errors, and makes "could not look" an inconclusive proof.
 *
 * Failure modes: a fault called out of order is our own mistake and asserts;
 * what a node answers is data and comes back as an error or a proof.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/fault.h"
#include "nemesis/params.h"
#include "nemesis/target.h"

const char *
proof_name(enum proof proof)
{
    switch (proof) {
    case PROOF_CONFIRMED:
        return "confirmed";
    case PROOF_MISMATCH:
        return "mismatch";
    case PROOF_INCONCLUSIVE:
        return "inconclusive";
    }
    return "?";
}

enum proof
proof_merge(enum proof a, enum proof b)
{
    if (a == PROOF_MISMATCH || b == PROOF_MISMATCH)
        return PROOF_MISMATCH;
    if (a == PROOF_INCONCLUSIVE || b == PROOF_INCONCLUSIVE)
        return PROOF_INCONCLUSIVE;
    return PROOF_CONFIRMED;
}

void
fault_init(struct fault *f, const struct fault_ops *ops,
           const struct fault_world *w, json_t *params)
{
    assert(ops != NULL);
    *f = (struct fault){
        .ops = ops,
        .world = w,
        .params = params == NULL ? json_object() : json_incref(params),
        .evidence = json_object(),
        .lease_ns = FAULT_LEASE_NS,
        .stage = FAULT_NEW,
    };
}

void
fault_release(struct fault *f)
{
    if (f->ops == NULL)
        return;
    if (f->stage != FAULT_NEW && f->ops->teardown != NULL)
        f->ops->teardown(f);
    json_decref(f->params);
    json_decref(f->evidence);
    *f = (struct fault){0};
}

bool
fault_available(const struct fault_ops *ops, const struct fault_world *w)
{
    return ops->available == NULL || ops->available(w);
}

int
fault_setup(struct fault *f, struct error *err)
{
    assert(f->stage == FAULT_NEW);
    if (!json_is_object(f->params))
        return error_set(err, ERROR_CONFIG,
                         "fault '%s': params is not an object", f->ops->name);
    if (f->ops->setup(f, err) < 0) {
        /* What it had made before it failed. */
        if (f->state != NULL && f->ops->teardown != NULL)
            f->ops->teardown(f);
        return error_wrap(err, "fault '%s'", f->ops->name);
    }
    f->stage = FAULT_READY;
    return 0;
}

int
fault_check_params(const struct fault_ops *ops, json_t *params,
                   struct error *err)
{
    struct fault f;
    int result;

    fault_init(&f, ops, NULL, params);
    result = fault_setup(&f, err);
    fault_release(&f);
    return result;
}

void
fault_parameters(const struct fault_ops *ops, char *buf, size_t size)
{
    json_t *params = json_pack("{s:b}", "?", 1);
    struct error err = {0};
    const char *keys;

    snprintf(buf, size, "%s", "");
    if (fault_check_params(ops, params, &err) < 0 &&
        (keys = strstr(err.text, PARAMS_KEYS)) != NULL) {
        snprintf(buf, size, "%s", keys + strlen(PARAMS_KEYS));
        if (strchr(buf, ')') != NULL)
            *strchr(buf, ')') = '\0';
    }
    json_decref(params);
}

json_t *
fault_undo_record(const struct fault *f)
{
    json_t *record;

    assert(f->stage == FAULT_READY);
    assert(f->targets != 0);
    record = f->ops->undo_record(f);
    assert(json_is_string(json_object_get(record, "fault")));
    assert(strcmp(json_string_value(json_object_get(record, "fault")),
                  f->ops->name) == 0);
    assert(json_is_array(json_object_get(record, "nodes")));
    json_object_set(record, "params", f->params);
    json_object_set_new(record, "seed", json_integer((json_int_t)f->seed));
    return record;
}

void
fault_journalled(struct fault *f)
{
    assert(f->stage == FAULT_READY);
    f->stage = FAULT_JOURNALLED;
}

int
fault_inject(struct fault *f, struct error *err)
{
    assert(f->stage == FAULT_JOURNALLED);
    assert(f->targets != 0 && f->world != NULL);
    f->stage = FAULT_INJECTED;
    if (f->ops->inject(f, err) < 0)
        return error_wrap(err, "%s: inject", f->ops->name);
    return 0;
}

bool
fault_has_lease(const struct fault *f)
{
    return f->ops->renew != NULL;
}

int
fault_renew(struct fault *f, struct error *err)
{
    assert(f->stage == FAULT_INJECTED && f->ops->renew != NULL);
    if (f->ops->renew(f, err) < 0)
        return error_wrap(err, "%s: renew", f->ops->name);
    return 0;
}

enum proof
fault_prove(struct fault *f, enum fault_phase phase)
{
    enum proof proof = PROOF_INCONCLUSIVE;
    struct error err = {0};

    assert(f->stage == FAULT_INJECTED);
    json_decref(f->evidence);
    f->evidence = json_object();
    if (f->ops->prove(f, phase, &proof, &err) < 0) {
        json_object_set_new(f->evidence, "error", json_string(err.text));
        return PROOF_INCONCLUSIVE;
    }
    return proof;
}

struct fault_wait {
    struct fault *fault;
    enum fault_phase phase;
    int (*once)(struct fault *f, enum proof *ret, struct error *err);
    int result;
    enum proof proof;
    struct error err;
};

static bool
fault_look(void *ctx)
{
    struct fault_wait *w = ctx;

    w->result = w->once(w->fault, &w->proof, &w->err);
    if (w->result < 0)
        return w->phase == FAULT_EFFECT;
    return w->proof == PROOF_CONFIRMED;
}

int
fault_prove_until(struct fault *f, enum fault_phase phase, int64_t timeout_ns,
                  int64_t interval_ns,
                  int (*once)(struct fault *f, enum proof *ret,
                              struct error *err),
                  enum proof *ret, struct error *err)
{
    struct fault_wait w = {.fault = f, .phase = phase, .once = once};
    struct clock *clock = f->world->clock;

    clock_poll(clock, clock_now_ns(clock) + timeout_ns, interval_ns, fault_look,
               &w);
    if (w.result < 0) {
        *err = w.err;
        return -1;
    }
    *ret = w.proof;
    return 0;
}

int
fault_look_each(struct fault *f,
                int (*look)(struct fault *f, unsigned node, enum proof *ret,
                            struct error *err),
                enum proof *ret, struct error *err)
{
    enum proof proof = PROOF_CONFIRMED;

    for (unsigned i = 0; i < f->world->cluster->node_count; i++) {
        enum proof node = PROOF_INCONCLUSIVE;

        if (!(f->targets >> i & 1))
            continue;
        if (look(f, i, &node, err) < 0)
            return -1;
        proof = proof_merge(proof, node);
    }
    *ret = proof;
    return 0;
}

int
fault_heal(struct fault *f, struct error *err)
{
    assert(f->stage == FAULT_JOURNALLED || f->stage == FAULT_INJECTED);
    if (f->ops->heal(f, err) < 0)
        return error_wrap(err, "%s: heal", f->ops->name);
    return 0;
}

static const struct fault_ops *
fault_of_record(const json_t *record, struct error *err)
{
    const char *name = json_string_value(json_object_get(record, "fault"));
    const struct fault_ops *ops;

    if (name == NULL) {
        error_set(err, ERROR_ENVIRONMENT,
                  "undo record without the name of its fault");
        return NULL;
    }
    ops = fault_find(name);
    if (ops == NULL)
        error_set(err, ERROR_ENVIRONMENT,
                  "undo record of an unknown fault '%s'", name);
    return ops;
}

int
fault_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    const struct fault_ops *ops = fault_of_record(record, err);

    if (ops == NULL)
        return -1;
    if (ops->undo(w, record, err) < 0)
        return error_wrap(err, "%s: undo", ops->name);
    return 0;
}

int
fault_from_record(struct fault *f, const struct fault_world *w,
                  const json_t *record, struct error *err)
{
    const struct fault_ops *ops = fault_of_record(record, err);

    *f = (struct fault){0};
    if (ops == NULL)
        return -1;
    fault_init(f, ops, w, json_object_get(record, "params"));
    f->seed = (uint64_t)json_integer_value(json_object_get(record, "seed"));
    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"),
                           &f->targets, err) < 0 ||
        fault_setup(f, err) < 0)
        return error_wrap(err, "%s", ops->name);
    f->stage = FAULT_INJECTED;
    return 0;
}
