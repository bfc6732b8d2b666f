/* SPDX-License-Identifier: Apache-2.0 */
/* What is believed about leases, and what answers teach. */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "workloads/allocator-internal.h"

static struct allocator_lease *
allocator_lease_find(struct allocator *w, struct id128 id)
{
    for (unsigned i = 0; i < ALLOCATOR_LEASES_MAX; i++)
        if (id128_equal(w->leases[i].id, id))
            return &w->leases[i];
    return NULL;
}

/* Takes the place of the oldest that has ended, else of the oldest. */
static struct allocator_lease *
allocator_lease_add(struct allocator *w, struct id128 id)
{
    unsigned place = w->lease_next;
    struct allocator_lease *lease;

    for (unsigned i = 0; i < ALLOCATOR_LEASES_MAX; i++) {
        unsigned at = (w->lease_next + i) % ALLOCATOR_LEASES_MAX;

        if (id128_is_zero(w->leases[at].id) ||
            w->leases[at].guess == LEASE_ENDED) {
            place = at;
            break;
        }
    }
    w->lease_next = (place + 1) % ALLOCATOR_LEASES_MAX;
    lease = &w->leases[place];
    *lease =
        (struct allocator_lease){.id = id, .epoch = 1, .guess = LEASE_RESERVED};
    return lease;
}

/* A lease guessed in one of 'guesses' (of 'owner', if not negative). */
const struct allocator_lease *
allocator_pick(struct allocator *w, struct rng *rng, unsigned guesses,
               int owner)
{
    const struct allocator_lease *picked = NULL;
    uint64_t seen = 0;

    for (unsigned i = 0; i < ALLOCATOR_LEASES_MAX; i++) {
        const struct allocator_lease *l = &w->leases[i];

        if (id128_is_zero(l->id) || (l->guess & guesses) == 0 ||
            (owner >= 0 && (l->owner != (unsigned)owner || l->holder == 0)))
            continue;
        if (rng_below(rng, ++seen) == 0)
            picked = l;
    }
    return picked;
}

/* ---- learning ---- */

static void
allocator_remember(struct allocator *w, unsigned client,
                   const struct allocator_command *c)
{
    struct allocator_client *cc = &w->clients[client];

    if (w->slot != cc->recent_slot) {
        cc->recent_slot = w->slot;
        cc->recent_in_slot = 0;
    }
    if (cc->recent_in_slot++ >= ALLOCATOR_RECENT_PER_SLOT)
        return;
    cc->recent[cc->recent_next] = *c;
    cc->recent[cc->recent_next].slot = w->slot;
    cc->recent_next = (cc->recent_next + 1) % ALLOCATOR_RECENT_MAX;
    if (cc->recent_count < ALLOCATOR_RECENT_MAX)
        cc->recent_count++;
}

static void
allocator_learn_reserve(struct allocator *w, unsigned client,
                        const struct allocator_command *c,
                        const struct attempt_result *r)
{
    struct id128 id;
    struct allocator_lease *l;

    if (!fields_id(&r->fields, "lease", &id) ||
        allocator_lease_find(w, id) != NULL)
        return;
    l = allocator_lease_add(w, id);
    l->owner = client;
    l->holder = c->holder;
}

/* What an answer to a command with the lease's own epoch and holder tells. */
static void
allocator_learn_lease(struct allocator *w, const struct allocator_command *c,
                      const char *code, const struct attempt_result *r)
{
    struct allocator_lease *l = allocator_lease_find(w, c->lease);
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
allocator_learn_expired(struct allocator *w, const struct fields *f)
{
    const struct value *list = fields_get(f, "expired");

    for (size_t i = 0; list != NULL && i < list->list.count; i++) {
        struct allocator_lease *l =
            allocator_lease_find(w, list->list.items[i].list.items[0].id);

        if (l != NULL && l->guess != LEASE_ENDED) {
            l->guess = LEASE_ENDED;
            l->epoch++;
        }
    }
}

static enum allocator_guess
allocator_guess_from(const char *state)
{
    if (strcmp(state, "reserved") == 0)
        return LEASE_RESERVED;
    if (strcmp(state, "active") == 0)
        return LEASE_ACTIVE;
    return strcmp(state, "revoking") == 0 ? LEASE_REVOKING : LEASE_ENDED;
}

/* A read may be older than what is known: it only moves guesses onward. */
static void
allocator_learn_read(struct allocator *w, const struct operation *op,
                     const struct fields *f)
{
    bool is_lease = strcmp(op->function, "get_lease") == 0;
    const struct fields *from = is_lease ? &op->args : f;
    int64_t epoch, holder;
    const char *state;
    struct id128 id;
    struct allocator_lease *l;

    if (!fields_id(from, "lease", &id))
        return;
    l = allocator_lease_find(w, id);
    if (l == NULL && !is_lease)
        l = allocator_lease_add(w, id);
    if (l == NULL || !is_lease || !fields_string(f, "state", &state) ||
        !fields_int(f, "epoch", &epoch))
        return;
    if (epoch > l->epoch ||
        (epoch == l->epoch && allocator_guess_from(state) > l->guess)) {
        l->epoch = epoch;
        l->guess = allocator_guess_from(state);
    }
    if (l->holder == 0 && fields_int(f, "holder", &holder) && holder > 0) {
        l->holder = holder;
        l->owner = (unsigned)((uint64_t)(holder - 1) % w->client_count);
    }
}

/* Where the client wrote last, for reads of its own writes. */
static void
allocator_learn_own(struct allocator *w, unsigned client,
                    const struct allocator_command *c,
                    const struct attempt_result *r)
{
    struct allocator_client *cc = &w->clients[client];
    int64_t index = (int64_t)r->position.index;

    if (!r->position.known)
        return;
    if (index > w->fence)
        w->fence = index;
    if (index <= cc->fence)
        return;
    cc->fence = index;
    if (c->resource_count > 0)
        cc->resource = c->resources[0];
    if (!fields_id(&r->fields, "lease", &cc->leased))
        cc->leased = c->lease;
}

void
allocator_learn(struct allocator *w, unsigned client,
                const struct operation *op, const struct attempt_result *r)
{
    const char *code = "";
    bool cached = false;
    struct allocator_command c;
    int64_t slot;

    if (fields_int(&r->fields, "slot", &slot) && slot > w->slot)
        w->slot = slot;
    fields_string(&r->fields, "code", &code);
    fields_bool(&r->fields, "cached", &cached);
    if (!allocator_command_from(op, &c)) {
        if (strcmp(op->function, "tick") == 0)
            allocator_learn_expired(w, &r->fields);
        else
            allocator_learn_read(w, op, &r->fields);
        return;
    }
    allocator_learn_own(w, client, &c, r);
    if (!cached && c.kind != COMMAND_CREATE)
        allocator_remember(w, client, &c);
    if (c.kind == COMMAND_RESERVE || c.kind == COMMAND_BUNDLE)
        allocator_learn_reserve(w, client, &c, r);
    else if (c.kind != COMMAND_CREATE)
        allocator_learn_lease(w, &c, code, r);
}
