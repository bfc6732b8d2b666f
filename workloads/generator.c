/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "workloads/generator.h"

/* ---- mixes ---- */

static void
generator_mix_sum(struct generator_mix *m)
{
    m->sum = 0;
    for (unsigned i = 0; i < m->count; i++)
        m->sum += m->weights[i];
}

void
generator_mix_init(struct generator_mix *m, const char *const *names,
                   const int *weights, unsigned count)
{
    assert(count > 0 && count <= GENERATOR_MIX_MAX);
    m->names = names;
    m->count = count;
    for (unsigned i = 0; i < count; i++)
        m->weights[i] = weights[i];
    generator_mix_sum(m);
    assert(m->sum > 0);
}

unsigned
generator_mix_choose(const struct generator_mix *m, struct rng *rng)
{
    uint64_t at = rng_below(rng, (uint64_t)m->sum);
    unsigned i = 0;

    while (at >= (uint64_t)m->weights[i])
        at -= (uint64_t)m->weights[i++];
    return i;
}

/* ---- parameters ---- */

static int
generator_integer(const char *workload, const json_t *v, const char *key,
                  int64_t min, int64_t max, int64_t *ret, struct error *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < min ||
        json_integer_value(v) > max)
        return error_set(err, ERROR_CONFIG,
                         "%s: '%s' must be an integer from %" PRId64
                         " to %" PRId64,
                         workload, key, min, max);
    *ret = json_integer_value(v);
    return 0;
}

static int
generator_weight(const char *workload, const json_t *v, const char *key,
                 struct generator_mix *mixes, unsigned mix_count,
                 struct error *err)
{
    unsigned at = 0;
    int64_t weight;

    while (at < mixes->count && strcmp(mixes->names[at], key) != 0)
        at++;
    if (at == mixes->count)
        return error_set(err, ERROR_CONFIG, "%s: unknown weight '%s'", workload,
                         key);
    if (generator_integer(workload, v, key, 0, GENERATOR_WEIGHT_MAX, &weight,
                          err) < 0)
        return -1;
    for (unsigned i = 0; i < mix_count; i++)
        mixes[i].weights[at] = weight;
    return 0;
}

static int
generator_weights(const char *workload, const json_t *object,
                  struct generator_mix *mixes, unsigned mix_count,
                  struct error *err)
{
    const char *key;
    json_t *v;

    if (!json_is_object(object))
        return error_set(err, ERROR_CONFIG, "%s: 'weights' must be a map",
                         workload);
    json_object_foreach ((json_t *)object, key, v) {
        if (generator_weight(workload, v, key, mixes, mix_count, err) < 0)
            return -1;
    }
    for (unsigned i = 0; i < mix_count; i++) {
        generator_mix_sum(&mixes[i]);
        if (mixes[i].sum == 0)
            return error_set(err, ERROR_CONFIG, "%s: all weights are 0",
                             workload);
    }
    return 0;
}

int
generator_params(const char *workload, const json_t *params,
                 const struct generator_param *known, size_t known_count,
                 struct generator_mix *mixes, unsigned mix_count,
                 struct error *err)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *)params, key, v) {
        size_t i = 0;

        if (mix_count > 0 && strcmp(key, "weights") == 0) {
            if (generator_weights(workload, v, mixes, mix_count, err) < 0)
                return -1;
            continue;
        }
        while (i < known_count && strcmp(known[i].key, key) != 0)
            i++;
        if (i == known_count)
            return error_set(err, ERROR_CONFIG, "%s: unknown parameter '%s'",
                             workload, key);
        if (generator_integer(workload, v, key, known[i].min, known[i].max,
                              known[i].ret, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- chance ---- */

struct id128
generator_fresh_id(struct rng *rng)
{
    struct id128 id;

    do {
        id = (struct id128){.hi = rng_u64(rng), .lo = rng_u64(rng)};
    } while (id128_is_zero(id));
    return id;
}

struct rng
generator_stream(uint64_t seed, const char *part, unsigned index)
{
    struct rng root;

    rng_init(&root, seed);
    return rng_fork(&root, part, index);
}

/* ---- commands ---- */

void
generator_command_add(struct generator_command *c, const char *key,
                      int64_t value)
{
    assert(c->arg_count < GENERATOR_ARGS_MAX);
    c->args[c->arg_count].key = key;
    c->args[c->arg_count++].value = value;
}

int64_t
generator_command_arg(const struct generator_command *c, const char *key)
{
    unsigned i = 0;

    while (i < c->arg_count && strcmp(c->args[i].key, key) != 0)
        i++;
    assert(i < c->arg_count);
    return c->args[i].value;
}

void
generator_command_step(const struct generator_command *c, struct arena *a,
                       struct workload_step *ret)
{
    ret->op.id = c->id;
    ret->op.function = c->function;
    ret->op.mutation = true;
    ret->route = ROUTE_PRIMARY;
    for (unsigned i = 0; i < c->arg_count; i++)
        fields_set_int(a, &ret->op.args, c->args[i].key, c->args[i].value);
}

void
generator_recent_add(struct generator_recent *r,
                     const struct generator_command *c, int64_t slot)
{
    if (slot != r->slot) {
        r->slot = slot;
        r->in_slot = 0;
    }
    if (r->in_slot++ >= GENERATOR_RECENT_PER_SLOT)
        return;
    r->items[r->next].command = *c;
    r->items[r->next].slot = slot;
    r->next = (r->next + 1) % GENERATOR_RECENT_MAX;
    if (r->count < GENERATOR_RECENT_MAX)
        r->count++;
}

bool
generator_recent_pick(const struct generator_recent *r, struct rng *rng,
                      int64_t slot, int64_t slots_max,
                      struct generator_command *ret)
{
    unsigned at;

    if (r->count == 0)
        return false;
    at = (unsigned)rng_below(rng, r->count);
    *ret = r->items[at].command;
    return slot - r->items[at].slot <= slots_max;
}

/* ---- clients ---- */

static void
generator_time_init(struct generator_time *t)
{
    *t = (struct generator_time){.tick_every = 3,
                                 .tick_spacing_ms = 250,
                                 .window_slots = 128,
                                 .duplicate_percent = 8};
}

int
generator_begin(const struct workload *w, const struct generator_words *words,
                const json_t *params, const struct generator_param *known,
                size_t known_count, struct generator_time *time,
                struct generator_mix *mix, struct error *err)
{
    generator_time_init(time);
    generator_mix_init(mix, words->names, words->weights, words->count);
    return generator_params(w->ops->name, params, known, known_count, mix, 1,
                            err);
}

bool
generator_tick_due(const struct generator_time *t, unsigned client,
                   struct generator_client *c, struct arena *a,
                   struct workload_step *ret)
{
    if (client != 0 || c->step_count++ % (uint64_t)t->tick_every != 0)
        return false;
    generator_tick_step(t->slot, 1, t->tick_spacing_ms, a, ret);
    return true;
}

void
generator_send(const struct generator_time *t, struct generator_client *c,
               const struct generator_command *command, struct arena *a,
               struct workload_step *ret)
{
    c->sent = *command;
    if (id128_is_zero(c->sent.id))
        c->sent.id = generator_fresh_id(&c->rng);
    generator_command_step(&c->sent, a, ret);
    ret->duplicates =
        rng_below(&c->rng, 100) < (uint64_t)t->duplicate_percent ? 1 : 0;
}

bool
generator_repeat(const struct generator_time *t, struct generator_client *c,
                 struct generator_command *ret)
{
    return generator_recent_pick(&c->recent, &c->rng, t->slot,
                                 t->window_slots / 2, ret);
}

bool
generator_learn(struct generator_time *t, struct generator_client *c,
                const struct operation *op, const struct attempt_result *r)
{
    bool cached = false;
    int64_t slot;

    if (r->kind != EVENT_OK)
        return false;
    if (fields_int(&r->fields, "slot", &slot) && slot > t->slot)
        t->slot = slot;
    if (!op->mutation)
        return true;
    if (r->position.known && (int64_t)r->position.index > c->fence)
        c->fence = (int64_t)r->position.index;
    fields_bool(&r->fields, "cached", &cached);
    if (!cached && id128_equal(op->id, c->sent.id))
        generator_recent_add(&c->recent, &c->sent, t->slot);
    return true;
}

/* ---- steps ---- */

void
generator_tick_step(int64_t slot, int64_t advance, int64_t spacing_ms,
                    struct arena *a, struct workload_step *ret)
{
    ret->op.function = "tick";
    fields_set_int(a, &ret->op.args, "slot", slot + advance);
    ret->route = ROUTE_PRIMARY;
    ret->spacing_ns = advance > 0 ? spacing_ms * NS_PER_MS : 0;
}

void
generator_read_step(const char *function, const char *key, int64_t object,
                    const char *claim, enum route route, struct arena *a,
                    struct workload_step *ret)
{
    ret->op.function = function;
    fields_set_int(a, &ret->op.args, key, object);
    fields_set_string(a, &ret->op.args, "claim", claim);
    ret->route = route;
}

void
generator_read(enum generator_read how, const char *function, const char *key,
               int64_t object, const struct generator_client *c,
               struct arena *a, struct workload_step *ret)
{
    static const char *const claims[] = {
        [GENERATOR_READ] = "linearizable",
        [GENERATOR_READ_ELSEWHERE] = "linearizable",
        [GENERATOR_READ_ANY] = "any",
        [GENERATOR_READ_FENCED] = "fenced",
    };

    generator_read_step(function, key, object, claims[how],
                        how == GENERATOR_READ ? ROUTE_PRIMARY : ROUTE_ANY, a,
                        ret);
    if (how == GENERATOR_READ_FENCED)
        fields_set_int(a, &ret->op.args, "required", c->fence);
}
