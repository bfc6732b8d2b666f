/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients hold parts of a few pools until a deadline, confirm, release or
 * expire them, in time and too late, twice, and each other's.  More is asked
 * for than there is.  Confirmed capacity is gone for good, so that pools run
 * dry; a new one takes the place of each.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "workloads/generator.h"

#define POOL_HOLDS_KEPT 256
#define POOL_ACTIVE_MAX 16
/* The replica's table of pools; no further one is made beyond. */
#define POOL_COUNT_MAX 1000
/* Above the ids of all holds. */
#define POOL_HOLD_NONE (INT64_C(1) << 52)

enum pool_action {
    POOL_READ, /* as enum generator_read; of a pool or a hold */
    POOL_READ_ELSEWHERE,
    POOL_READ_ANY,
    POOL_READ_FENCED,
    POOL_PLACE,
    POOL_PLACE_LARGE,
    POOL_PLACE_AGAIN,
    POOL_CONFIRM,
    POOL_RELEASE,
    POOL_EXPIRE,
    POOL_MISSING,
    POOL_REPEAT,
    POOL_REUSE,
    POOL_TICK,
};

static const char *const pool_actions[] = {
    "read",        "read_elsewhere", "read_any", "read_fenced", "place",
    "place_large", "place_again",    "confirm",  "release",     "expire",
    "missing",     "repeat",         "reuse",    "tick"};
static const int pool_weights[] = {10, 6,  3, 5, 32, 3, 2,
                                   18, 14, 6, 1, 9,  3, 1};
static const struct generator_words pool_words = {pool_actions, pool_weights,
                                                  ARRAY_LEN(pool_weights)};

struct pool_hold {
    int64_t id, pool, quantity; /* id 0: free */
};

struct pool_client {
    struct generator_client common;
    int64_t hold_count;
};

struct pool_workload {
    struct workload base;
    struct generator_time time;
    struct generator_mix mix;
    int64_t pools, total, quantity_max, deadline_max;
    unsigned client_count;
    int64_t pool_count; /* made, or asked for: ids 1 to this */
    struct {
        int64_t id, consumed;
    } active[POOL_ACTIVE_MAX];
    struct pool_hold holds[POOL_HOLDS_KEPT]; /* the latest */
    unsigned hold_next;
    struct rng setup_rng;
    struct pool_client clients[];
};

static struct workload *
pool_new(const json_t *params, uint64_t seed, unsigned client_count,
         struct error *err)
{
    struct pool_workload *w =
        xcalloc(1, sizeof(*w) + client_count * sizeof(w->clients[0]));
    const struct generator_param known[] = {
        {"pools", 1, POOL_ACTIVE_MAX, &w->pools},
        {"total", 1, 1 << 20, &w->total},
        {"quantity_max", 1, 1 << 20, &w->quantity_max},
        {"deadline_max", 1, 1 << 20, &w->deadline_max},
        GENERATOR_TIME_PARAMS(&w->time),
    };

    w->base.ops = &workload_pool_holds_ops;
    w->client_count = client_count;
    w->pools = 3;
    w->total = 240;
    w->quantity_max = 24;
    w->deadline_max = 16;
    if (generator_begin(&w->base, &pool_words, params, known, ARRAY_LEN(known),
                        &w->time, &w->mix, err) < 0) {
        free(w);
        return NULL;
    }
    w->setup_rng = generator_stream(seed, "setup", 0);
    for (unsigned i = 0; i < client_count; i++)
        w->clients[i].common.rng = generator_stream(seed, "client", i);
    return &w->base;
}

/* ---- commands ---- */

static void
pool_create(struct pool_workload *w, unsigned place,
            struct generator_command *c)
{
    w->active[place].id = ++w->pool_count;
    w->active[place].consumed = 0;
    c->function = "create_pool";
    generator_command_add(c, "pool", w->pool_count);
    generator_command_add(c, "total", w->total);
}

static bool
pool_setup(struct workload *base, struct arena *a, struct workload_step *ret)
{
    struct pool_workload *w = (struct pool_workload *)base;
    struct generator_command c = {0};

    if (w->pool_count >= w->pools)
        return false;
    memset(ret, 0, sizeof(*ret));
    pool_create(w, (unsigned)w->pool_count, &c);
    c.id = generator_fresh_id(&w->setup_rng);
    generator_command_step(&c, a, ret);
    return true;
}

/* The place of a pool that is all but used up; -1: none is. */
static int
pool_dry(const struct pool_workload *w)
{
    if (w->pool_count >= POOL_COUNT_MAX)
        return -1;
    for (int i = 0; i < (int)w->pools; i++)
        if (w->active[i].consumed * 10 >= w->total * 9)
            return i;
    return -1;
}

static void
pool_place(struct pool_workload *w, unsigned client, int64_t quantity,
           struct generator_command *c)
{
    struct pool_client *pc = &w->clients[client];
    struct rng *rng = &pc->common.rng;

    memset(c, 0, sizeof(*c));
    c->function = "place_hold";
    generator_command_add(c, "pool",
                          w->active[rng_below(rng, (uint64_t)w->pools)].id);
    /* Client in the high bits, below 2^53. */
    generator_command_add(c, "hold",
                          ((int64_t)client + 1) << 32 | ++pc->hold_count);
    generator_command_add(c, "quantity", quantity);
    /* Zero slots from now on is too late already. */
    generator_command_add(
        c, "deadline",
        w->time.slot + (int64_t)rng_below(rng, (uint64_t)w->deadline_max + 1));
}

/* One of those remembered, whoever holds it; NULL: none yet. */
static const struct pool_hold *
pool_pick(const struct pool_workload *w, struct rng *rng)
{
    const struct pool_hold *h = &w->holds[rng_below(rng, POOL_HOLDS_KEPT)];

    /* Filled from the front. */
    if (h->id == 0)
        h = &w->holds[rng_below(rng, w->hold_next + 1)];
    return h->id == 0 ? NULL : h;
}

static bool
pool_on_hold(struct pool_workload *w, struct rng *rng, enum pool_action action,
             struct generator_command *c)
{
    const struct pool_hold *h = pool_pick(w, rng);

    if (h == NULL)
        return false;
    c->function = action == POOL_CONFIRM   ? "confirm_hold"
                  : action == POOL_RELEASE ? "release_hold"
                                           : "expire_hold";
    generator_command_add(c, "hold", h->id);
    return true;
}

/* A hold's id once more, for other capacity of its pool. */
static bool
pool_place_again(struct pool_workload *w, unsigned client, int64_t quantity,
                 struct generator_command *c)
{
    const struct pool_hold *h = pool_pick(w, &w->clients[client].common.rng);

    if (h == NULL)
        return false;
    pool_place(w, client, quantity, c);
    assert(strcmp(c->args[0].key, "pool") == 0 &&
           strcmp(c->args[1].key, "hold") == 0);
    c->args[0].value = h->pool;
    c->args[1].value = h->id;
    return true;
}

/* False: nothing is known to which the choice could apply. */
static bool
pool_command(struct pool_workload *w, unsigned client, enum pool_action action,
             struct generator_command *c)
{
    struct generator_client *cc = &w->clients[client].common;
    int64_t quantity =
        1 + (int64_t)rng_below(&cc->rng, (uint64_t)w->quantity_max);
    struct id128 id;

    switch (action) {
    case POOL_PLACE_LARGE:
        pool_place(w, client, w->total + quantity, c);
        return true;
    case POOL_PLACE_AGAIN:
        return pool_place_again(w, client, quantity, c);
    case POOL_CONFIRM:
    case POOL_RELEASE:
    case POOL_EXPIRE:
        return pool_on_hold(w, &cc->rng, action, c);
    case POOL_MISSING:
        c->function = "confirm_hold";
        generator_command_add(c, "hold", POOL_HOLD_NONE + quantity);
        return true;
    case POOL_REPEAT:
        return generator_repeat(&w->time, cc, c);
    case POOL_REUSE:
        if (!generator_repeat(&w->time, cc, c))
            return false;
        id = c->id;
        pool_place(w, client, quantity, c);
        c->id = id;
        return true;
    default:
        pool_place(w, client, quantity, c);
        return true;
    }
}

static void
pool_read(struct pool_workload *w, struct generator_client *cc,
          enum pool_action action, struct arena *a, struct workload_step *ret)
{
    const struct pool_hold *h = pool_pick(w, &cc->rng);
    enum generator_read how = (enum generator_read)action;

    if (h != NULL && rng_chance(&cc->rng, 0.5))
        generator_read(how, "get_hold", "hold", h->id, cc, a, ret);
    else
        generator_read(how, "get_pool", "pool",
                       w->active[rng_below(&cc->rng, (uint64_t)w->pools)].id,
                       cc, a, ret);
}

static void
pool_next(struct workload *base, unsigned client, struct arena *a,
          struct workload_step *ret)
{
    struct pool_workload *w = (struct pool_workload *)base;
    struct generator_client *cc = &w->clients[client].common;
    struct generator_command c = {0};
    enum pool_action action =
        (enum pool_action)generator_mix_choose(&w->mix, &cc->rng);
    int dry = pool_dry(w);

    assert(client < w->client_count);
    memset(ret, 0, sizeof(*ret));
    if (generator_tick_due(&w->time, client, cc, a, ret))
        return;
    if (action == POOL_TICK) {
        generator_tick_step(w->time.slot, 0, 0, a, ret);
        return;
    }
    if (action <= POOL_READ_FENCED) {
        pool_read(w, cc, action, a, ret);
        return;
    }
    if (dry >= 0)
        pool_create(w, (unsigned)dry, &c);
    else if (!pool_command(w, client, action, &c))
        pool_place(w, client, 1, &c);
    generator_send(&w->time, cc, &c, a, ret);
}

/* ---- answers ---- */

static void
pool_learn_placed(struct pool_workload *w, const struct operation *op)
{
    struct pool_hold h = {0};

    if (!fields_int(&op->args, "hold", &h.id) ||
        !fields_int(&op->args, "pool", &h.pool) ||
        !fields_int(&op->args, "quantity", &h.quantity))
        return;
    w->holds[w->hold_next] = h;
    w->hold_next = (w->hold_next + 1) % POOL_HOLDS_KEPT;
}

static void
pool_learn_confirmed(struct pool_workload *w, const struct operation *op)
{
    const struct pool_hold *h = NULL;
    int64_t id = 0;

    fields_int(&op->args, "hold", &id);
    for (unsigned i = 0; i < POOL_HOLDS_KEPT; i++)
        if (w->holds[i].id == id)
            h = &w->holds[i];
    for (int i = 0; h != NULL && i < (int)w->pools; i++)
        if (w->active[i].id == h->pool)
            w->active[i].consumed += h->quantity;
}

static void
pool_done(struct workload *base, unsigned client, const struct operation *op,
          const struct attempt_result *r)
{
    struct pool_workload *w = (struct pool_workload *)base;
    const char *code = "";
    bool cached = false;

    assert(client < w->client_count);
    if (!generator_learn(&w->time, &w->clients[client].common, op, r))
        return;
    fields_string(&r->fields, "code", &code);
    fields_bool(&r->fields, "cached", &cached);
    if (cached || strcmp(code, "ok") != 0)
        return;
    if (strcmp(op->function, "place_hold") == 0)
        pool_learn_placed(w, op);
    else if (strcmp(op->function, "confirm_hold") == 0)
        pool_learn_confirmed(w, op);
}

/* All pools, then the holds that are remembered. */
static bool
pool_sweep(struct workload *base, unsigned *cursor, struct arena *a,
           struct workload_step *ret)
{
    struct pool_workload *w = (struct pool_workload *)base;
    int64_t at = (int64_t)(*cursor)++;

    memset(ret, 0, sizeof(*ret));
    if (at < w->pool_count) {
        generator_read_step("get_pool", "pool", 1 + at, "linearizable",
                            ROUTE_PRIMARY, a, ret);
        return true;
    }
    at -= w->pool_count;
    if (at >= POOL_HOLDS_KEPT || w->holds[at].id == 0)
        return false;
    generator_read_step("get_hold", "hold", w->holds[at].id, "linearizable",
                        ROUTE_PRIMARY, a, ret);
    return true;
}

static void
pool_free(struct workload *base)
{
    free(base);
}

static const char *const pool_checkers[] = {"pool_overcommit", "hold_misuse",
                                            GENERATOR_CHECKERS, NULL};

const struct workload_ops workload_pool_holds_ops = {
    .name = "pool_holds",
    .description = "parts of pools are held, confirmed, released and left to "
                   "expire, in time and too late",
    .capability = "pool",
    .model = "pool",
    .checkers = pool_checkers,
    .new_ = pool_new,
    .setup = pool_setup,
    .next = pool_next,
    .done = pool_done,
    .sweep = pool_sweep,
    .free = pool_free,
};
