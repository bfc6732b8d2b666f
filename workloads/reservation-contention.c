/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients compete for a few resources: they reserve one or several, confirm,
 * release, revoke, reclaim, read, and let leases expire.  On purpose they also
 *
 *  - send an operation again, at once and many seconds later: the answer must
 *    be the recorded one, also from a primary that has restarted since;
 *  - use an operation's id for other contents: operation_conflict;
 *  - confirm and release with an epoch that is not the lease's, older or newer,
 *    or as another holder: stale_epoch, holder_mismatch;
 *  - read with claim "linearizable" wherever, so that a deposed primary is
 *    asked too; only a primary may answer that;
 *  - read behind a fence: with the position of their own last write.
 *
 * Logical time: client 0 ticks at every 'tick_every'th of its steps, one slot
 * beyond the highest it knows, never more often than 'tick_spacing_ms'.  At
 * the default 250 ms the replica's dedupe window of 384 slots lasts at least
 * 96 s, longer than any planned outage together with the retries after it.
 *
 * What the generator believes about leases is a guess that steers the mix; no
 * verdict rests on it, and wrong guesses only make other answers.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "workloads/workload.h"

/* Leases remembered; the sweep reads them all. */
#define CONTENTION_LEASES_MAX 512

/* Answered commands of a client to repeat: two a slot for 128 slots. */
#define CONTENTION_RECENT_MAX 256
#define CONTENTION_RECENT_PER_SLOT 2

/* Half the replica's dedupe window: a repetition never comes near its end. */
#define CONTENTION_REPEAT_SLOTS_MAX 192

#define CONTENTION_RESOURCES_MAX 4096
#define CONTENTION_BUNDLE_MAX 3

enum command_kind {
    COMMAND_CREATE,
    COMMAND_RESERVE,
    COMMAND_BUNDLE,
    COMMAND_CONFIRM,
    COMMAND_RELEASE,
    COMMAND_REVOKE,
    COMMAND_RECLAIM,
};

static const char *const command_names[] = {
    [COMMAND_CREATE] = "create_resource", [COMMAND_RESERVE] = "reserve",
    [COMMAND_BUNDLE] = "reserve_bundle",  [COMMAND_CONFIRM] = "confirm",
    [COMMAND_RELEASE] = "release",        [COMMAND_REVOKE] = "revoke",
    [COMMAND_RECLAIM] = "reclaim",
};

/* One command's contents; those its kind does not have are zero. */
struct command {
    enum command_kind kind;
    struct id128 id, lease;
    int64_t resources[CONTENTION_BUNDLE_MAX];
    unsigned resource_count;
    int64_t holder, ttl, epoch;
    int64_t slot; /* when it was answered */
};

enum lease_guess {
    LEASE_RESERVED = 1,
    LEASE_ACTIVE = 2,
    LEASE_REVOKING = 4,
    LEASE_ENDED = 8,
};
#define LEASE_ANY 15u

struct lease {
    struct id128 id; /* zero: free */
    unsigned owner;
    int64_t holder; /* 0: seen in a read only */
    int64_t epoch;
    enum lease_guess guess;
};

struct contention_client {
    struct rng rng;
    uint64_t step_count;
    int64_t fence; /* position of the last own write, 0: none */
    struct command recent[CONTENTION_RECENT_MAX];
    unsigned recent_count, recent_next;
    int64_t recent_slot;
    unsigned recent_in_slot;
};

enum mix {
    MIX_RESERVE,
    MIX_BUNDLE,
    MIX_CONFIRM,
    MIX_RELEASE,
    MIX_REVOKE,
    MIX_RECLAIM,
    MIX_READ_RESOURCE,
    MIX_READ_LEASE,
    MIX_READ_ELSEWHERE,
    MIX_READ_ANY,
    MIX_READ_FENCED,
    MIX_REPEAT,
    MIX_REUSE,
    MIX_STALE,
    MIX_TICK,
};
#define MIX_COUNT 15

/* Relative weights; together 120. */
static const struct {
    const char *name;
    int weight;
} contention_mix[MIX_COUNT] = {
    [MIX_RESERVE] = {"reserve", 24},
    [MIX_BUNDLE] = {"reserve_bundle", 5},
    [MIX_CONFIRM] = {"confirm", 14},
    [MIX_RELEASE] = {"release", 14},
    [MIX_REVOKE] = {"revoke", 4},
    [MIX_RECLAIM] = {"reclaim", 6},
    [MIX_READ_RESOURCE] = {"read_resource", 9},
    [MIX_READ_LEASE] = {"read_lease", 8},
    [MIX_READ_ELSEWHERE] = {"read_elsewhere", 9},
    [MIX_READ_ANY] = {"read_any", 4},
    [MIX_READ_FENCED] = {"read_fenced", 5},
    [MIX_REPEAT] = {"repeat", 10},
    [MIX_REUSE] = {"reuse", 2},
    [MIX_STALE] = {"stale", 5},
    [MIX_TICK] = {"tick", 1},
};

struct contention {
    struct workload base;
    unsigned client_count, setup_count;
    int64_t resources, holders, ttl_min, ttl_max;
    int64_t tick_every, tick_spacing_ms, duplicate_percent;
    int64_t weights[MIX_COUNT], weight_sum;
    int64_t slot; /* highest seen in an answer */
    struct rng setup_rng;
    struct lease leases[CONTENTION_LEASES_MAX];
    unsigned lease_next;
    struct contention_client clients[];
};

/* ---- parameters ---- */

static int
contention_param(const json_t *v, const char *key, int64_t min, int64_t max,
                 int64_t *ret, struct error *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < min ||
        json_integer_value(v) > max)
        return error_set(err, ERROR_CONFIG,
                         "reservation_contention: '%s' must be an integer "
                         "from %" PRId64 " to %" PRId64,
                         key, min, max);
    *ret = json_integer_value(v);
    return 0;
}

static int
contention_weights(struct contention *w, const json_t *object,
                   struct error *err)
{
    const char *key;
    json_t *v;

    if (!json_is_object(object))
        return error_set(err, ERROR_CONFIG,
                         "reservation_contention: 'weights' must be a map");
    json_object_foreach ((json_t *)object, key, v) {
        unsigned i = 0;

        while (i < MIX_COUNT && strcmp(contention_mix[i].name, key) != 0)
            i++;
        if (i == MIX_COUNT)
            return error_set(err, ERROR_CONFIG,
                             "reservation_contention: unknown weight '%s'",
                             key);
        if (contention_param(v, key, 0, 1000, &w->weights[i], err) < 0)
            return -1;
    }
    return 0;
}

static int
contention_params(struct contention *w, const json_t *params, struct error *err)
{
    const struct {
        const char *key;
        int64_t min, max, *ret;
    } known[] = {
        {"resources", 1, CONTENTION_RESOURCES_MAX, &w->resources},
        {"holders", 1, CLIENT_COUNT_MAX, &w->holders},
        {"ttl_min", 1, 256, &w->ttl_min},
        {"ttl_max", 1, 256, &w->ttl_max},
        {"tick_every", 1, 1000000, &w->tick_every},
        {"tick_spacing_ms", 0, 3600000, &w->tick_spacing_ms},
        {"duplicate_percent", 0, 100, &w->duplicate_percent},
    };
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *)params, key, v) {
        size_t i = 0;

        if (strcmp(key, "weights") == 0) {
            if (contention_weights(w, v, err) < 0)
                return -1;
            continue;
        }
        while (i < ARRAY_LEN(known) && strcmp(known[i].key, key) != 0)
            i++;
        if (i == ARRAY_LEN(known))
            return error_set(err, ERROR_CONFIG,
                             "reservation_contention: unknown parameter '%s'",
                             key);
        if (contention_param(v, key, known[i].min, known[i].max, known[i].ret,
                             err) < 0)
            return -1;
    }
    if (w->ttl_min > w->ttl_max)
        return error_set(err, ERROR_CONFIG,
                         "reservation_contention: 'ttl_min' is greater than "
                         "'ttl_max'");
    for (unsigned i = 0; i < MIX_COUNT; i++)
        w->weight_sum += w->weights[i];
    if (w->weight_sum == 0)
        return error_set(err, ERROR_CONFIG,
                         "reservation_contention: all weights are 0");
    return 0;
}

static struct workload *
contention_new(const json_t *params, uint64_t seed, unsigned client_count,
               struct error *err)
{
    struct contention *w;
    struct rng root;

    assert(client_count > 0 && client_count <= CLIENT_COUNT_MAX);
    w = xcalloc(1, sizeof(*w) + client_count * sizeof(w->clients[0]));
    w->base.ops = &workload_reservation_contention_ops;
    w->client_count = client_count;
    w->resources = 8;
    w->holders = client_count;
    w->ttl_min = 4;
    w->ttl_max = 40;
    w->tick_every = 3;
    w->tick_spacing_ms = 250;
    w->duplicate_percent = 6;
    for (unsigned i = 0; i < MIX_COUNT; i++)
        w->weights[i] = contention_mix[i].weight;
    if (contention_params(w, params, err) < 0) {
        free(w);
        return NULL;
    }
    rng_init(&root, seed);
    w->setup_rng = rng_fork(&root, "setup", 0);
    for (unsigned i = 0; i < client_count; i++)
        w->clients[i].rng = rng_fork(&root, "client", i);
    return &w->base;
}

static void
contention_free(struct workload *base)
{
    free(base);
}

/* ---- commands and reads as operations ---- */

static struct id128
contention_fresh_id(struct rng *rng)
{
    struct id128 id;

    do {
        id = (struct id128){.hi = rng_u64(rng), .lo = rng_u64(rng)};
    } while (id128_is_zero(id));
    return id;
}

static void
command_resources(const struct command *c, struct arena *a, struct fields *f)
{
    struct value items[CONTENTION_BUNDLE_MAX] = {{0}};

    if (c->kind != COMMAND_BUNDLE) {
        fields_set_int(a, f, "resource", c->resources[0]);
        return;
    }
    for (unsigned i = 0; i < c->resource_count; i++)
        items[i] =
            (struct value){.type = VALUE_INT, .integer = c->resources[i]};
    fields_set_list(a, f, "resources", items, c->resource_count);
}

static void
command_step(const struct command *c, struct arena *a,
             struct workload_step *ret)
{
    struct fields *f = &ret->op.args;

    ret->op.id = c->id;
    ret->op.function = command_names[c->kind];
    ret->op.mutation = true;
    ret->route = ROUTE_PRIMARY;
    switch (c->kind) {
    case COMMAND_CREATE:
        command_resources(c, a, f);
        break;
    case COMMAND_RESERVE:
    case COMMAND_BUNDLE:
        command_resources(c, a, f);
        fields_set_int(a, f, "holder", c->holder);
        fields_set_int(a, f, "ttl", c->ttl);
        break;
    case COMMAND_CONFIRM:
    case COMMAND_RELEASE:
        fields_set_id(a, f, "lease", c->lease);
        fields_set_int(a, f, "holder", c->holder);
        fields_set_int(a, f, "epoch", c->epoch);
        break;
    case COMMAND_REVOKE:
    case COMMAND_RECLAIM:
        fields_set_id(a, f, "lease", c->lease);
        break;
    }
}

/* The inverse of command_step(); false for reads and ticks. */
static bool
command_from_operation(const struct operation *op, struct command *ret)
{
    const struct value *list = fields_get(&op->args, "resources");
    unsigned kind = 0;

    memset(ret, 0, sizeof(*ret));
    while (kind < ARRAY_LEN(command_names) &&
           strcmp(command_names[kind], op->function) != 0)
        kind++;
    if (kind == ARRAY_LEN(command_names))
        return false;
    ret->kind = (enum command_kind)kind;
    ret->id = op->id;
    fields_id(&op->args, "lease", &ret->lease);
    fields_int(&op->args, "holder", &ret->holder);
    fields_int(&op->args, "ttl", &ret->ttl);
    fields_int(&op->args, "epoch", &ret->epoch);
    if (fields_int(&op->args, "resource", &ret->resources[0]))
        ret->resource_count = 1;
    for (size_t i = 0; list != NULL && i < list->list.count; i++) {
        assert(i < CONTENTION_BUNDLE_MAX);
        ret->resources[ret->resource_count++] = list->list.items[i].integer;
    }
    return true;
}

static void
read_resource_step(int64_t resource, const char *claim, enum route route,
                   struct arena *a, struct workload_step *ret)
{
    ret->op.function = "get_resource";
    fields_set_int(a, &ret->op.args, "resource", resource);
    fields_set_string(a, &ret->op.args, "claim", claim);
    ret->route = route;
}

static void
read_lease_step(struct id128 lease, const char *claim, enum route route,
                struct arena *a, struct workload_step *ret)
{
    ret->op.function = "get_lease";
    fields_set_id(a, &ret->op.args, "lease", lease);
    fields_set_string(a, &ret->op.args, "claim", claim);
    ret->route = route;
}

static void
tick_step(const struct contention *w, bool advance, struct arena *a,
          struct workload_step *ret)
{
    ret->op.function = "tick";
    fields_set_int(a, &ret->op.args, "slot", w->slot + advance);
    ret->route = ROUTE_PRIMARY;
    if (advance)
        ret->spacing_ns = w->tick_spacing_ms * NS_PER_MS;
}

/* ---- what is believed about leases ---- */

static struct lease *
contention_lease(struct contention *w, struct id128 id)
{
    for (unsigned i = 0; i < CONTENTION_LEASES_MAX; i++)
        if (id128_equal(w->leases[i].id, id))
            return &w->leases[i];
    return NULL;
}

/* Takes the place of the oldest that has ended, else of the oldest. */
static struct lease *
contention_lease_add(struct contention *w, struct id128 id)
{
    unsigned place = w->lease_next;
    struct lease *lease;

    for (unsigned i = 0; i < CONTENTION_LEASES_MAX; i++) {
        unsigned at = (w->lease_next + i) % CONTENTION_LEASES_MAX;

        if (id128_is_zero(w->leases[at].id) ||
            w->leases[at].guess == LEASE_ENDED) {
            place = at;
            break;
        }
    }
    w->lease_next = (place + 1) % CONTENTION_LEASES_MAX;
    lease = &w->leases[place];
    *lease = (struct lease){.id = id, .epoch = 1, .guess = LEASE_RESERVED};
    return lease;
}

/* A lease guessed in one of 'guesses' (of 'owner', if not negative). */
static struct lease *
contention_pick_lease(struct contention *w, struct rng *rng, unsigned guesses,
                      int owner)
{
    struct lease *picked = NULL;
    uint64_t seen = 0;

    for (unsigned i = 0; i < CONTENTION_LEASES_MAX; i++) {
        struct lease *l = &w->leases[i];

        if (id128_is_zero(l->id) || (l->guess & guesses) == 0 ||
            (owner >= 0 && (l->owner != (unsigned)owner || l->holder == 0)))
            continue;
        if (rng_below(rng, ++seen) == 0)
            picked = l;
    }
    return picked;
}

/* ---- the generator ---- */

static bool
contention_setup(struct workload *base, struct arena *a,
                 struct workload_step *ret)
{
    struct contention *w = (struct contention *)base;
    struct command c = {.kind = COMMAND_CREATE, .resource_count = 1};

    if (w->setup_count == w->resources)
        return false;
    memset(ret, 0, sizeof(*ret));
    c.id = contention_fresh_id(&w->setup_rng);
    c.resources[0] = ++w->setup_count;
    command_step(&c, a, ret);
    return true;
}

static int64_t
contention_resource(const struct contention *w, struct rng *rng)
{
    return 1 + (int64_t)rng_below(rng, (uint64_t)w->resources);
}

static void
contention_reserve(struct contention *w, unsigned client, bool bundle,
                   struct command *c)
{
    struct rng *rng = &w->clients[client].rng;
    unsigned count = bundle ? 2 + (unsigned)rng_below(rng, 2) : 1;

    c->kind = bundle ? COMMAND_BUNDLE : COMMAND_RESERVE;
    /* Distinct by construction; a bundle wraps around the resources. */
    c->resources[0] = contention_resource(w, rng);
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
contention_on_lease(const struct lease *l, enum command_kind kind,
                    struct command *c)
{
    c->kind = kind;
    c->lease = l->id;
    c->holder = l->holder;
    c->epoch = l->epoch;
}

/* An epoch that is not the lease's, or not its holder. */
static bool
contention_stale(struct contention *w, unsigned client, struct command *c)
{
    struct rng *rng = &w->clients[client].rng;
    const struct lease *l =
        contention_pick_lease(w, rng, LEASE_ANY & ~LEASE_ENDED, (int)client);

    if (l == NULL || rng_chance(rng, 0.2))
        l = contention_pick_lease(w, rng, LEASE_ANY, (int)client);
    if (l == NULL)
        return false;
    contention_on_lease(
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

/* A command answered before, not too long ago to be remembered. */
static bool
contention_recent(struct contention *w, unsigned client, struct command *ret)
{
    struct contention_client *cc = &w->clients[client];

    if (cc->recent_count == 0)
        return false;
    *ret = cc->recent[rng_below(&cc->rng, cc->recent_count)];
    return w->slot - ret->slot <= CONTENTION_REPEAT_SLOTS_MAX;
}

/* The same id with other contents. */
static bool
contention_reuse(struct contention *w, unsigned client, struct command *c)
{
    if (!contention_recent(w, client, c))
        return false;
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
    return true;
}

/*
 * Fills *c for the mix's choice.  False when nothing is known to which the
 * choice could apply; the caller reserves instead.
 */
static bool
contention_command(struct contention *w, unsigned client, enum mix mix,
                   struct command *c)
{
    static const struct {
        unsigned guesses;
        bool own;
        enum command_kind kind;
    } on_lease[] = {
        [MIX_CONFIRM] = {LEASE_RESERVED, true, COMMAND_CONFIRM},
        [MIX_RELEASE] = {LEASE_RESERVED | LEASE_ACTIVE, true, COMMAND_RELEASE},
        [MIX_REVOKE] = {LEASE_ACTIVE, false, COMMAND_REVOKE},
        [MIX_RECLAIM] = {LEASE_REVOKING, false, COMMAND_RECLAIM},
    };
    struct rng *rng = &w->clients[client].rng;
    const struct lease *l;

    switch (mix) {
    case MIX_CONFIRM:
    case MIX_RELEASE:
    case MIX_REVOKE:
    case MIX_RECLAIM:
        l = contention_pick_lease(w, rng, on_lease[mix].guesses,
                                  on_lease[mix].own ? (int)client : -1);
        if (l != NULL)
            contention_on_lease(l, on_lease[mix].kind, c);
        return l != NULL;
    case MIX_REPEAT:
        return contention_recent(w, client, c);
    case MIX_REUSE:
        return contention_reuse(w, client, c);
    case MIX_STALE:
        return contention_stale(w, client, c);
    default:
        contention_reserve(w, client, mix == MIX_BUNDLE, c);
        return true;
    }
}

/* A read of a lease when there is one, else of a resource. */
static void
contention_read(struct contention *w, struct rng *rng, bool lease,
                const char *claim, enum route route, struct arena *a,
                struct workload_step *ret)
{
    const struct lease *l =
        lease ? contention_pick_lease(w, rng, LEASE_ANY, -1) : NULL;

    if (l != NULL)
        read_lease_step(l->id, claim, route, a, ret);
    else
        read_resource_step(contention_resource(w, rng), claim, route, a, ret);
}

static enum mix
contention_choose(const struct contention *w, struct rng *rng)
{
    uint64_t at = rng_below(rng, (uint64_t)w->weight_sum);
    unsigned i = 0;

    while (at >= (uint64_t)w->weights[i])
        at -= (uint64_t)w->weights[i++];
    return (enum mix)i;
}

static void
contention_next(struct workload *base, unsigned client, struct arena *a,
                struct workload_step *ret)
{
    struct contention *w = (struct contention *)base;
    struct contention_client *cc = &w->clients[client];
    struct rng *rng = &cc->rng;
    enum mix mix = contention_choose(w, rng);
    struct command c = {0};

    assert(client < w->client_count);
    memset(ret, 0, sizeof(*ret));
    if (client == 0 && cc->step_count++ % (uint64_t)w->tick_every == 0) {
        tick_step(w, true, a, ret);
        return;
    }
    switch (mix) {
    case MIX_TICK:
        tick_step(w, false, a, ret);
        return;
    case MIX_READ_RESOURCE:
    case MIX_READ_LEASE:
        contention_read(w, rng, mix == MIX_READ_LEASE, "linearizable",
                        ROUTE_PRIMARY, a, ret);
        return;
    case MIX_READ_ELSEWHERE:
    case MIX_READ_ANY:
        contention_read(w, rng, rng_chance(rng, 0.3),
                        mix == MIX_READ_ANY ? "any" : "linearizable", ROUTE_ANY,
                        a, ret);
        return;
    case MIX_READ_FENCED:
        contention_read(w, rng, rng_chance(rng, 0.3), "fenced", ROUTE_ANY, a,
                        ret);
        fields_set_int(a, &ret->op.args, "required", cc->fence);
        return;
    default:
        break;
    }
    /* A repetition keeps its id; everything else gets a fresh one. */
    if (!contention_command(w, client, mix, &c)) {
        memset(&c, 0, sizeof(c));
        contention_reserve(w, client, false, &c);
    }
    if (id128_is_zero(c.id))
        c.id = contention_fresh_id(rng);
    command_step(&c, a, ret);
    ret->duplicates =
        rng_below(rng, 100) < (uint64_t)w->duplicate_percent ? 1 : 0;
}

/* ---- learning from answers ---- */

static void
contention_remember(struct contention *w, unsigned client,
                    const struct command *c)
{
    struct contention_client *cc = &w->clients[client];

    if (w->slot != cc->recent_slot) {
        cc->recent_slot = w->slot;
        cc->recent_in_slot = 0;
    }
    if (cc->recent_in_slot++ >= CONTENTION_RECENT_PER_SLOT)
        return;
    cc->recent[cc->recent_next] = *c;
    cc->recent[cc->recent_next].slot = w->slot;
    cc->recent_next = (cc->recent_next + 1) % CONTENTION_RECENT_MAX;
    if (cc->recent_count < CONTENTION_RECENT_MAX)
        cc->recent_count++;
}

static void
contention_learn_reserve(struct contention *w, unsigned client,
                         const struct command *c,
                         const struct attempt_result *r)
{
    struct id128 id;
    struct lease *l;

    if (!fields_id(&r->fields, "lease", &id) || contention_lease(w, id) != NULL)
        return;
    l = contention_lease_add(w, id);
    l->owner = client;
    l->holder = c->holder;
}

/* What an answer to a command with the lease's own epoch and holder tells. */
static void
contention_learn_lease(struct contention *w, const struct command *c,
                       const char *code, const struct attempt_result *r)
{
    struct lease *l = contention_lease(w, c->lease);
    bool own = c->kind == COMMAND_CONFIRM || c->kind == COMMAND_RELEASE;

    if (l == NULL || l->guess == LEASE_ENDED)
        return;
    if (own && (c->epoch != l->epoch || c->holder != l->holder))
        return;
    if (strcmp(code, "ok") == 0) {
        l->guess = c->kind == COMMAND_CONFIRM  ? LEASE_ACTIVE
                   : c->kind == COMMAND_REVOKE ? LEASE_REVOKING
                                               : LEASE_ENDED;
        fields_int(&r->fields, "epoch", &l->epoch);
    } else if (strcmp(code, "stale_epoch") == 0) {
        /* Revoked or ended; a reclaim will tell which. */
        l->guess = LEASE_REVOKING;
        l->epoch++;
    } else if (strcmp(code, "invalid_state") == 0) {
        l->guess = c->kind == COMMAND_CONFIRM   ? LEASE_ACTIVE
                   : c->kind == COMMAND_RECLAIM ? LEASE_RESERVED
                                                : LEASE_REVOKING;
    } else if (strcmp(code, "reservation_retired") == 0 ||
               strcmp(code, "reservation_not_found") == 0) {
        l->guess = LEASE_ENDED;
    }
}

static void
contention_learn_expired(struct contention *w, const struct fields *f)
{
    const struct value *list = fields_get(f, "expired");

    for (size_t i = 0; list != NULL && i < list->list.count; i++) {
        struct lease *l =
            contention_lease(w, list->list.items[i].list.items[0].id);

        if (l != NULL && l->guess != LEASE_ENDED) {
            l->guess = LEASE_ENDED;
            l->epoch++;
        }
    }
}

static enum lease_guess
lease_guess_from(const char *state)
{
    if (strcmp(state, "reserved") == 0)
        return LEASE_RESERVED;
    if (strcmp(state, "active") == 0)
        return LEASE_ACTIVE;
    return strcmp(state, "revoking") == 0 ? LEASE_REVOKING : LEASE_ENDED;
}

/* A read may be older than what is known: it only moves guesses onward. */
static void
contention_learn_read(struct contention *w, const struct operation *op,
                      const struct fields *f)
{
    bool is_lease = strcmp(op->function, "get_lease") == 0;
    const struct fields *from = is_lease ? &op->args : f;
    int64_t epoch, holder;
    const char *state;
    struct id128 id;
    struct lease *l;

    if (!fields_id(from, "lease", &id))
        return;
    l = contention_lease(w, id);
    if (l == NULL && !is_lease)
        l = contention_lease_add(w, id);
    if (l == NULL || !is_lease || !fields_string(f, "state", &state) ||
        !fields_int(f, "epoch", &epoch))
        return;
    if (epoch > l->epoch ||
        (epoch == l->epoch && lease_guess_from(state) > l->guess)) {
        l->epoch = epoch;
        l->guess = lease_guess_from(state);
    }
    if (l->holder == 0 && fields_int(f, "holder", &holder) && holder > 0) {
        l->holder = holder;
        l->owner = (unsigned)((uint64_t)(holder - 1) % w->client_count);
    }
}

static void
contention_done(struct workload *base, unsigned client,
                const struct operation *op, const struct attempt_result *r)
{
    struct contention *w = (struct contention *)base;
    struct contention_client *cc = &w->clients[client];
    const char *code = "";
    bool cached = false;
    struct command c;
    int64_t slot;

    assert(client < w->client_count);
    if (r->kind != EVENT_OK)
        return;
    if (fields_int(&r->fields, "slot", &slot) && slot > w->slot)
        w->slot = slot;
    fields_string(&r->fields, "code", &code);
    fields_bool(&r->fields, "cached", &cached);
    if (!command_from_operation(op, &c)) {
        if (strcmp(op->function, "tick") == 0)
            contention_learn_expired(w, &r->fields);
        else
            contention_learn_read(w, op, &r->fields);
        return;
    }
    if (r->position.known && (int64_t)r->position.index > cc->fence)
        cc->fence = (int64_t)r->position.index;
    if (!cached && c.kind != COMMAND_CREATE)
        contention_remember(w, client, &c);
    if (c.kind == COMMAND_RESERVE || c.kind == COMMAND_BUNDLE)
        contention_learn_reserve(w, client, &c, r);
    else if (c.kind != COMMAND_CREATE)
        contention_learn_lease(w, &c, code, r);
}

static bool
contention_sweep(struct workload *base, unsigned *cursor, struct arena *a,
                 struct workload_step *ret)
{
    struct contention *w = (struct contention *)base;
    unsigned at = (*cursor)++, i;

    memset(ret, 0, sizeof(*ret));
    if (at < w->resources) {
        read_resource_step(1 + (int64_t)at, "linearizable", ROUTE_PRIMARY, a,
                           ret);
        return true;
    }
    /* Places are filled from the front: the first free one ends the list. */
    i = at - (unsigned)w->resources;
    if (i >= CONTENTION_LEASES_MAX || id128_is_zero(w->leases[i].id))
        return false;
    read_lease_step(w->leases[i].id, "linearizable", ROUTE_PRIMARY, a, ret);
    return true;
}

static const char *const contention_checkers[] = {
    "duplicate_execution",
    "double_allocation",
    "stale_read",
    "early_expiration",
    "stale_holder",
    "lost_write",
    "phantom_result",
    "position_conflict",
    "dual_primary",
    "replica_divergence",
    "unresolved_ambiguity",
    "missing_operation_id",
    NULL,
};

const struct workload_ops workload_reservation_contention_ops = {
    .name = "reservation_contention",
    .description = "clients compete for a few leased resources, retry, repeat "
                   "and use stale epochs on purpose",
    .capability = "allocator",
    .model = "allocator",
    .checkers = contention_checkers,
    .new_ = contention_new,
    .setup = contention_setup,
    .next = contention_next,
    .done = contention_done,
    .sweep = contention_sweep,
    .free = contention_free,
};
