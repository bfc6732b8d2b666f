/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients debit a few buckets that refill with the slots, faster than they
 * refill: most debits meet a bucket that is nearly empty, so that each token
 * too many shows.  On purpose they also ask for more than a bucket can ever
 * hold, for buckets that are not there, create what is there, repeat, and use
 * ids again.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "workloads/generator.h"

#define QUOTA_BUCKETS_MAX 256

enum quota_action {
    QUOTA_READ, /* as enum generator_read */
    QUOTA_READ_ELSEWHERE,
    QUOTA_READ_ANY,
    QUOTA_READ_FENCED,
    QUOTA_DEBIT,
    QUOTA_DEBIT_LARGE,
    QUOTA_MISSING,
    QUOTA_CREATE,
    QUOTA_REPEAT,
    QUOTA_REUSE,
    QUOTA_TICK,
};

static const char *const quota_actions[] = {
    "read",   "read_elsewhere", "read_any", "read_fenced",
    "debit",  "debit_large",    "missing",  "create",
    "repeat", "reuse",          "tick"};
static const int quota_weights[] = {10, 6, 3, 5, 50, 5, 1, 1, 10, 3, 1};
static const struct generator_words quota_words = {quota_actions, quota_weights,
                                                   ARRAY_LEN(quota_weights)};

struct quota {
    struct workload base;
    struct generator_time time;
    struct generator_mix mix;
    int64_t buckets, limit, refill, amount_max;
    unsigned client_count, setup_count;
    struct rng setup_rng;
    struct generator_client clients[];
};

static struct workload *
quota_new(const json_t *params, uint64_t seed, unsigned client_count,
          struct error *err)
{
    struct quota *w =
        xcalloc(1, sizeof(*w) + client_count * sizeof(w->clients[0]));
    const struct generator_param known[] = {
        {"buckets", 1, QUOTA_BUCKETS_MAX, &w->buckets},
        {"limit", 1, 1 << 20, &w->limit},
        {"refill", 0, 1 << 20, &w->refill},
        {"amount_max", 1, 1 << 20, &w->amount_max},
        GENERATOR_TIME_PARAMS(&w->time),
    };

    w->base.ops = &workload_quota_ops;
    w->client_count = client_count;
    w->buckets = 4;
    w->limit = 60;
    w->refill = 6;
    w->amount_max = 12;
    if (generator_begin(&w->base, &quota_words, params, known, ARRAY_LEN(known),
                        &w->time, &w->mix, err) < 0) {
        free(w);
        return NULL;
    }
    w->setup_rng = generator_stream(seed, "setup", 0);
    for (unsigned i = 0; i < client_count; i++)
        w->clients[i].rng = generator_stream(seed, "client", i);
    return &w->base;
}

static void
quota_create(const struct quota *w, struct rng *rng, int64_t bucket,
             struct generator_command *c)
{
    c->function = "create_bucket";
    generator_command_add(c, "bucket", bucket);
    generator_command_add(c, "limit", w->limit);
    generator_command_add(c, "initial",
                          (int64_t)rng_below(rng, (uint64_t)w->limit + 1));
    generator_command_add(c, "refill", w->refill);
}

static bool
quota_setup(struct workload *base, struct arena *a, struct workload_step *ret)
{
    struct quota *w = (struct quota *)base;
    struct generator_command c = {0};

    if (w->setup_count == w->buckets)
        return false;
    memset(ret, 0, sizeof(*ret));
    quota_create(w, &w->setup_rng, 1 + (int64_t)w->setup_count++, &c);
    c.id = generator_fresh_id(&w->setup_rng);
    generator_command_step(&c, a, ret);
    return true;
}

static void
quota_debit(int64_t bucket, int64_t amount, struct generator_command *c)
{
    memset(c, 0, sizeof(*c));
    c->function = "debit";
    generator_command_add(c, "bucket", bucket);
    generator_command_add(c, "amount", amount);
}

static void
quota_command(const struct quota *w, struct generator_client *client,
              enum quota_action action, struct generator_command *c)
{
    struct rng *rng = &client->rng;
    int64_t bucket = 1 + (int64_t)rng_below(rng, (uint64_t)w->buckets);
    int64_t amount = 1 + (int64_t)rng_below(rng, (uint64_t)w->amount_max);

    switch (action) {
    case QUOTA_DEBIT_LARGE:
        quota_debit(bucket, w->limit + amount, c);
        return;
    case QUOTA_MISSING:
        quota_debit(w->buckets + bucket, amount, c);
        return;
    case QUOTA_CREATE:
        quota_create(w, rng, bucket, c);
        return;
    case QUOTA_REPEAT:
    case QUOTA_REUSE:
        if (!generator_repeat(&w->time, client, c)) {
            quota_debit(bucket, amount, c);
        } else if (action == QUOTA_REUSE) {
            struct id128 id = c->id;

            quota_debit(bucket, 2 * w->limit + amount, c);
            c->id = id;
        }
        return;
    default:
        quota_debit(bucket, amount, c);
    }
}

static void
quota_next(struct workload *base, unsigned client, struct arena *a,
           struct workload_step *ret)
{
    struct quota *w = (struct quota *)base;
    struct generator_client *cc = &w->clients[client];
    struct generator_command c = {0};
    enum quota_action action =
        (enum quota_action)generator_mix_choose(&w->mix, &cc->rng);

    assert(client < w->client_count);
    memset(ret, 0, sizeof(*ret));
    if (generator_tick_due(&w->time, client, cc, a, ret))
        return;
    if (action == QUOTA_TICK) {
        generator_tick_step(w->time.slot, 0, 0, a, ret);
        return;
    }
    if (action <= QUOTA_READ_FENCED) {
        generator_read((enum generator_read)action, "get_bucket", "bucket",
                       1 + (int64_t)rng_below(&cc->rng, (uint64_t)w->buckets),
                       cc, a, ret);
        return;
    }
    quota_command(w, cc, action, &c);
    generator_send(&w->time, cc, &c, a, ret);
}

static void
quota_done(struct workload *base, unsigned client, const struct operation *op,
           const struct attempt_result *r)
{
    struct quota *w = (struct quota *)base;

    assert(client < w->client_count);
    generator_learn(&w->time, &w->clients[client], op, r);
}

static bool
quota_sweep(struct workload *base, unsigned *cursor, struct arena *a,
            struct workload_step *ret)
{
    struct quota *w = (struct quota *)base;
    unsigned at = (*cursor)++;

    memset(ret, 0, sizeof(*ret));
    if (at >= w->buckets)
        return false;
    generator_read_step("get_bucket", "bucket", 1 + (int64_t)at, "linearizable",
                        ROUTE_PRIMARY, a, ret);
    return true;
}

static void
quota_free(struct workload *base)
{
    free(base);
}

static const char *const quota_checkers[] = {"quota_overspend",
                                             GENERATOR_CHECKERS, NULL};

const struct workload_ops workload_quota_ops = {
    .name = "quota",
    .description = "debits of buckets that are nearly always empty",
    .capability = "quota",
    .model = "quota",
    .checkers = quota_checkers,
    .new_ = quota_new,
    .setup = quota_setup,
    .next = quota_next,
    .done = quota_done,
    .sweep = quota_sweep,
    .free = quota_free,
};
