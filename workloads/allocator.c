/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and the generator: what each client of an allocator does next. */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "workloads/allocator-internal.h"

#define ALLOCATOR_NAME(name, word) #word,
static const char *const action_names[] = {ALLOCATOR_ACTIONS(ALLOCATOR_NAME)};

const char *const allocator_checkers[] = {
    "duplicate_execution",  "double_allocation",
    "stale_read",           "early_expiration",
    "stale_holder",         "lost_write",
    "phantom_result",       "position_conflict",
    "dual_primary",         "replica_divergence",
    "linearizable",         "unresolved_ambiguity",
    "missing_operation_id", NULL,
};

/* ---- parameters ---- */

static int
allocator_params(struct allocator *w, const json_t *params, struct error *err)
{
    const struct allocator_family *f = w->family;
    const struct generator_param known[] = {
        {"resources", 1, ALLOCATOR_RESOURCES_MAX, &w->resources},
        {"holders", 1, CLIENT_COUNT_MAX, &w->holders},
        {"ttl_min", 1, 256, &w->ttl_min},
        {"ttl_max", 1, 256, &w->ttl_max},
        {"tick_every", 1, 1000000, &w->tick_every},
        {"tick_spacing_ms", 0, 3600000, &w->tick_spacing_ms},
        {"duplicate_percent", 0, 100, &w->duplicate_percent},
        {"reader_percent", 0, 100, &w->reader_percent},
        {"stray_percent", 0, 100, &w->stray_percent},
        {"window_slots", 4, 1 << 20, &w->window_slots},
        {"attempt_timeout_ms", 1, 60000, &w->attempt_timeout_ms},
        {"give_up_ms", 1, 3600000, &w->give_up_ms},
    };

    if (generator_params(f->ops->name, params, known, ARRAY_LEN(known),
                         w->mixes, f->phase_count, err) < 0)
        return -1;
    if (w->ttl_min > w->ttl_max)
        return error_set(err, ERROR_CONFIG,
                         "%s: 'ttl_min' is greater than 'ttl_max'",
                         f->ops->name);
    return 0;
}

static void
allocator_defaults(struct allocator *w)
{
    const struct allocator_family *f = w->family;

    w->resources = f->resources;
    w->holders = f->holders == 0 ? (int64_t)w->client_count : f->holders;
    w->ttl_min = f->ttl_min;
    w->ttl_max = f->ttl_max;
    w->tick_every = f->tick_every;
    w->tick_spacing_ms = -1; /* each phase its own */
    w->duplicate_percent = f->duplicate_percent;
    w->reader_percent = f->reader_percent;
    w->stray_percent = f->stray_percent;
    w->window_slots = f->window_slots;
    w->attempt_timeout_ms = f->attempt_timeout_ms;
    w->give_up_ms = f->give_up_ms;
    for (unsigned i = 0; i < f->phase_count; i++)
        generator_mix_init(&w->mixes[i], action_names, f->phases[i].weights,
                           ALLOCATOR_ACTION_COUNT);
}

struct workload *
allocator_new(const struct allocator_family *family, const json_t *params,
              uint64_t seed, unsigned client_count, struct error *err)
{
    struct allocator *w;

    assert(client_count > 0 && client_count <= CLIENT_COUNT_MAX);
    assert(family->phase_count > 0 &&
           family->phase_count <= ALLOCATOR_PHASES_MAX);
    w = xcalloc(1, sizeof(*w) + client_count * sizeof(w->clients[0]));
    w->base.ops = family->ops;
    w->family = family;
    w->client_count = client_count;
    allocator_defaults(w);
    if (allocator_params(w, params, err) < 0) {
        free(w);
        return NULL;
    }
    w->base.attempt_timeout_ns = w->attempt_timeout_ms * NS_PER_MS;
    w->base.give_up_ns = w->give_up_ms * NS_PER_MS;
    w->setup_rng = generator_stream(seed, "setup", 0);
    for (unsigned i = 0; i < client_count; i++) {
        w->clients[i].rng = generator_stream(seed, "client", i);
        /* The last ones; client 0 has the time to keep. */
        w->clients[i].reader =
            i > 0 && (int64_t)(client_count - i) * 100 <=
                         (int64_t)client_count * w->reader_percent;
    }
    return &w->base;
}

void
allocator_free(struct workload *base)
{
    free(base);
}

/* ---- the generator ---- */

bool
allocator_setup(struct workload *base, struct arena *a,
                struct workload_step *ret)
{
    struct allocator *w = (struct allocator *)base;
    struct allocator_command c = {.kind = COMMAND_CREATE, .resource_count = 1};

    if (w->setup_count == w->resources)
        return false;
    memset(ret, 0, sizeof(*ret));
    c.id = generator_fresh_id(&w->setup_rng);
    c.resources[0] = ++w->setup_count;
    allocator_command_step(&c, a, ret);
    return true;
}

static int64_t
allocator_resource(const struct allocator *w, struct rng *rng)
{
    return 1 + (int64_t)rng_below(rng, (uint64_t)w->resources);
}

static void
allocator_reserve(struct allocator *w, unsigned client, bool bundle,
                  struct allocator_command *c)
{
    struct rng *rng = &w->clients[client].rng;
    unsigned count = bundle ? 2 + (unsigned)rng_below(rng, 2) : 1;

    c->kind = bundle ? COMMAND_BUNDLE : COMMAND_RESERVE;
    /* Distinct by construction; a bundle wraps around the resources. */
    c->resources[0] = allocator_resource(w, rng);
    for (c->resource_count = 1;
         c->resource_count < count && c->resource_count < w->resources;
         c->resource_count++)
        c->resources[c->resource_count] =
            1 + c->resources[c->resource_count - 1] % w->resources;
    c->holder = 1 + client % w->holders;
    c->ttl = w->ttl_min +
             (int64_t)rng_below(rng, (uint64_t)(w->ttl_max - w->ttl_min) + 1);
}

static void
allocator_on_lease(const struct allocator_lease *l,
                   enum allocator_command_kind kind,
                   struct allocator_command *c)
{
    c->kind = kind;
    c->lease = l->id;
    c->holder = l->holder;
    c->epoch = l->epoch;
}

/* An epoch that is not the lease's, or not its holder. */
static bool
allocator_stale(struct allocator *w, unsigned client,
                struct allocator_command *c)
{
    struct rng *rng = &w->clients[client].rng;
    const struct allocator_lease *l =
        allocator_pick(w, rng, LEASE_ANY & ~LEASE_ENDED, (int)client);

    if (l == NULL || rng_chance(rng, 0.2))
        l = allocator_pick(w, rng, LEASE_ANY, (int)client);
    if (l == NULL)
        return false;
    allocator_on_lease(
        l, rng_chance(rng, 0.5) ? COMMAND_CONFIRM : COMMAND_RELEASE, c);
    switch (rng_below(rng, 5)) {
    case 0:
        c->holder++;
        break;
    case 1:
    case 2:
        c->epoch++;
        break;
    default:
        c->epoch--;
    }
    return true;
}

/* One answered before; half the window is far from its end. */
static bool
allocator_recent(struct allocator *w, unsigned client,
                 struct allocator_command *ret)
{
    struct allocator_client *cc = &w->clients[client];

    if (cc->recent_count == 0)
        return false;
    *ret = cc->recent[rng_below(&cc->rng, cc->recent_count)];
    return !id128_is_zero(ret->id) &&
           w->slot - ret->slot <= w->window_slots / 2;
}

/*
 * One that the dedupe table has forgotten for certain: nobody's attempt of it
 * is under way any more.  Each only once: what is made of it is a new
 * operation.
 */
static bool
allocator_forgotten(struct allocator *w, unsigned client,
                    struct allocator_command *ret)
{
    struct allocator_client *cc = &w->clients[client];
    struct allocator_command *c;

    if (cc->recent_count == 0)
        return false;
    c = &cc->recent[rng_below(&cc->rng, cc->recent_count)];
    if (id128_is_zero(c->id) ||
        w->slot - c->slot <= w->window_slots + w->window_slots / 2)
        return false;
    *ret = *c;
    c->id = (struct id128){0};
    return true;
}

/* Other contents for the same id. */
static void
allocator_change(struct allocator_command *c)
{
    switch (c->kind) {
    case COMMAND_CONFIRM:
        c->kind = COMMAND_RELEASE;
        break;
    case COMMAND_RELEASE:
        c->kind = COMMAND_CONFIRM;
        break;
    case COMMAND_REVOKE:
        c->kind = COMMAND_RECLAIM;
        break;
    case COMMAND_RECLAIM:
        c->kind = COMMAND_REVOKE;
        break;
    default:
        c->ttl = c->ttl > 1 ? c->ttl - 1 : c->ttl + 1;
    }
}

/*
 * Fills *c for the mix's choice.  False when nothing is known to which the
 * choice could apply; the caller reserves instead.
 */
static bool
allocator_command(struct allocator *w, unsigned client,
                  enum allocator_action action, struct allocator_command *c)
{
    static const struct {
        unsigned guesses;
        bool own;
        enum allocator_command_kind kind;
    } on_lease[] = {
        [ALLOCATOR_CONFIRM] = {LEASE_RESERVED, true, COMMAND_CONFIRM},
        [ALLOCATOR_RELEASE] = {LEASE_RESERVED | LEASE_ACTIVE, true,
                               COMMAND_RELEASE},
        [ALLOCATOR_REVOKE] = {LEASE_ACTIVE, false, COMMAND_REVOKE},
        [ALLOCATOR_RECLAIM] = {LEASE_REVOKING, false, COMMAND_RECLAIM},
    };
    struct rng *rng = &w->clients[client].rng;
    const struct allocator_lease *l;

    switch (action) {
    case ALLOCATOR_CONFIRM:
    case ALLOCATOR_RELEASE:
    case ALLOCATOR_REVOKE:
    case ALLOCATOR_RECLAIM:
        l = allocator_pick(w, rng, on_lease[action].guesses,
                           on_lease[action].own ? (int)client : -1);
        if (l != NULL)
            allocator_on_lease(l, on_lease[action].kind, c);
        return l != NULL;
    case ALLOCATOR_REPEAT:
        return allocator_recent(w, client, c);
    case ALLOCATOR_REUSE:
        if (!allocator_recent(w, client, c))
            return false;
        allocator_change(c);
        return true;
    case ALLOCATOR_REUSE_LATE:
        if (!allocator_forgotten(w, client, c))
            return false;
        allocator_change(c);
        return true;
    case ALLOCATOR_STALE:
        return allocator_stale(w, client, c);
    default:
        allocator_reserve(w, client, action == ALLOCATOR_BUNDLE, c);
        return true;
    }
}

/* A read of a lease when there is one, else of a resource. */
static void
allocator_read(struct allocator *w, struct rng *rng, bool lease,
               const char *claim, enum route route, struct arena *a,
               struct workload_step *ret)
{
    const struct allocator_lease *l =
        lease ? allocator_pick(w, rng, LEASE_ANY, -1) : NULL;

    if (l != NULL)
        allocator_read_lease(l->id, claim, route, a, ret);
    else
        generator_read_step("get_resource", "resource",
                            allocator_resource(w, rng), claim, route, a, ret);
}

/* What the client wrote last, wherever: it must see its own writes. */
static void
allocator_read_own(struct allocator *w, unsigned client, struct arena *a,
                   struct workload_step *ret)
{
    struct allocator_client *cc = &w->clients[client];
    bool fenced = rng_chance(&cc->rng, 0.5);
    const char *claim = fenced ? "fenced" : "linearizable";

    if (!id128_is_zero(cc->leased) && rng_chance(&cc->rng, 0.5))
        allocator_read_lease(cc->leased, claim, ROUTE_ANY, a, ret);
    else
        generator_read_step("get_resource", "resource",
                            cc->resource > 0 ? cc->resource
                                             : allocator_resource(w, &cc->rng),
                            claim, ROUTE_ANY, a, ret);
    if (fenced)
        fields_set_int(a, &ret->op.args, "required", cc->fence);
}

/* False: the action is no read. */
static bool
allocator_read_step(struct allocator *w, unsigned client,
                    enum allocator_action action, struct arena *a,
                    struct workload_step *ret)
{
    struct allocator_client *cc = &w->clients[client];
    struct rng *rng = &cc->rng;

    switch (action) {
    case ALLOCATOR_READ_RESOURCE:
    case ALLOCATOR_READ_LEASE:
        allocator_read(w, rng, action == ALLOCATOR_READ_LEASE, "linearizable",
                       ROUTE_PRIMARY, a, ret);
        return true;
    case ALLOCATOR_READ_ELSEWHERE:
    case ALLOCATOR_READ_ANY:
        allocator_read(w, rng, rng_chance(rng, 0.3),
                       action == ALLOCATOR_READ_ANY ? "any" : "linearizable",
                       ROUTE_ANY, a, ret);
        return true;
    case ALLOCATOR_READ_FENCED:
    case ALLOCATOR_READ_HANDED:
        allocator_read(w, rng, rng_chance(rng, 0.3), "fenced", ROUTE_ANY, a,
                       ret);
        fields_set_int(a, &ret->op.args, "required",
                       action == ALLOCATOR_READ_HANDED ? w->fence : cc->fence);
        return true;
    case ALLOCATOR_READ_OWN:
        allocator_read_own(w, client, a, ret);
        return true;
    default:
        return false;
    }
}

/* The mix's choice; of those who only read, a read. */
static enum allocator_action
allocator_choose(struct allocator *w, unsigned client)
{
    static const enum allocator_action reads[] = {
        ALLOCATOR_READ_RESOURCE, ALLOCATOR_READ_ELSEWHERE, ALLOCATOR_READ_ANY,
        ALLOCATOR_READ_HANDED};
    struct allocator_client *cc = &w->clients[client];
    bool reads_only = cc->reader || (client == 0 && w->family->timekeeper);
    enum allocator_action action = (enum allocator_action)generator_mix_choose(
        &w->mixes[w->phase], &cc->rng);

    if (reads_only &&
        (action < ALLOCATOR_READ_RESOURCE || action > ALLOCATOR_READ_HANDED))
        action = reads[rng_below(&cc->rng, ARRAY_LEN(reads))];
    return action;
}

/* Time goes on by a slot; when the phase had its ticks the next one begins. */
static void
allocator_advance(struct allocator *w, struct arena *a,
                  struct workload_step *ret)
{
    const struct allocator_phase *phase = &w->family->phases[w->phase];

    generator_tick_step(w->slot, 1,
                        w->tick_spacing_ms >= 0 ? w->tick_spacing_ms
                                                : phase->tick_spacing_ms,
                        a, ret);
    /* Only a primary may take it; no other node's time moves. */
    if ((int64_t)rng_below(&w->clients[0].rng, 100) < w->stray_percent)
        ret->route = ROUTE_ANY;
    if (++w->phase_ticks < phase->ticks)
        return;
    w->phase_ticks = 0;
    w->phase = (w->phase + 1) % w->family->phase_count;
}

void
allocator_next(struct workload *base, unsigned client, struct arena *a,
               struct workload_step *ret)
{
    struct allocator *w = (struct allocator *)base;
    struct allocator_client *cc = &w->clients[client];
    enum allocator_action action = allocator_choose(w, client);
    struct allocator_command c = {0};

    assert(client < w->client_count);
    memset(ret, 0, sizeof(*ret));
    if (client == 0 && cc->step_count++ % (uint64_t)w->tick_every == 0) {
        allocator_advance(w, a, ret);
        return;
    }
    if (action == ALLOCATOR_TICK) {
        generator_tick_step(w->slot, 0, 0, a, ret);
        return;
    }
    if (allocator_read_step(w, client, action, a, ret))
        return;
    /* A repetition keeps its id; everything else gets a fresh one. */
    if (!allocator_command(w, client, action, &c)) {
        memset(&c, 0, sizeof(c));
        allocator_reserve(w, client, false, &c);
    }
    if (id128_is_zero(c.id))
        c.id = generator_fresh_id(&cc->rng);
    allocator_command_step(&c, a, ret);
    ret->duplicates =
        rng_below(&cc->rng, 100) < (uint64_t)w->duplicate_percent ? 1 : 0;
}

void
allocator_done(struct workload *base, unsigned client,
               const struct operation *op, const struct attempt_result *r)
{
    struct allocator *w = (struct allocator *)base;

    assert(client < w->client_count);
    if (r->kind == EVENT_OK)
        allocator_learn(w, client, op, r);
}

bool
allocator_sweep(struct workload *base, unsigned *cursor, struct arena *a,
                struct workload_step *ret)
{
    struct allocator *w = (struct allocator *)base;
    unsigned at = (*cursor)++, i;

    memset(ret, 0, sizeof(*ret));
    if (at < w->resources) {
        generator_read_step("get_resource", "resource", 1 + (int64_t)at,
                            "linearizable", ROUTE_PRIMARY, a, ret);
        return true;
    }
    /* Places are filled from the front: the first free one ends the list. */
    i = at - (unsigned)w->resources;
    if (i >= ALLOCATOR_LEASES_MAX || id128_is_zero(w->leases[i].id))
        return false;
    allocator_read_lease(w->leases[i].id, "linearizable", ROUTE_PRIMARY, a,
                         ret);
    return true;
}
