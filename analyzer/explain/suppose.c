/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Suppositions.  Happy path: the events of the problem in order; an invocation
 * gets a slot, a completion extends all configurations up to that call.
 *
 * States are interned and steps are remembered over all decisions of one
 * suppose: shrinking asks nearly the same question hundreds of times.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/suppose.h"

#define MASK_WORDS (SUPPOSE_SLOTS_MAX / 64)
#define NONE UINT32_MAX
#define REFUSED (UINT32_MAX - 1) /* the call cannot happen in the state */

/* Of remembered states and steps; more is forgotten and found again. */
#define POOL_WORDS_MAX (8u << 20)
#define MEMO_CELLS_MAX (1u << 20)

struct mask {
    uint64_t w[MASK_WORDS];
};

/* A set of configurations, in the order they were found. */
struct configuration {
    struct mask done; /* firm calls linearized, maybe calls used */
    uint32_t state, path, next;
    bool dead; /* another one is as good */
};

struct set {
    struct configuration *items;
    uint32_t *heads; /* by hash of state and firm calls */
    uint32_t count, cap, head_cap;
};

struct event {
    uint32_t rank, index; /* of the call in the problem */
    bool completion;
};

struct step_cell {
    uint64_t key; /* state << 32 | index, plus 1; 0: empty */
    uint32_t next;
};

struct path_node {
    uint32_t parent, index;
};

/* Where a search is that has had no firm call yet. */
struct snapshot {
    uint32_t event, calls; /* events and invocations behind it */
    struct configuration *items;
    uint32_t count;
    uint32_t *call_in;
    uint32_t slot_count;
    struct mask maybe;
};

/* In long histories; what a question costs is then what lies behind the
 * snapshot before its first firm call. */
#define SNAPSHOTS_MAX 64u
#define SNAPSHOT_EVENTS_MIN 8192u
/* A search that branches more is not worth remembering. */
#define SNAPSHOT_WIDTH_MAX 512u

struct suppose {
    const struct problem *p;
    uint32_t end; /* events after this rank are not looked at */
    const struct model_state *starts; /* or NULL */
    uint32_t start_count;
    struct snapshot snapshots[SNAPSHOTS_MAX];
    uint32_t snapshot_count;
    bool prepared;       /* they were taken */
    uint32_t paths_kept; /* of the snapshots */
    const struct model_ops *model;
    struct event *events;
    uint32_t event_count;
    bool *pure; /* per call */
    /* interned states */
    uint32_t *pool;
    size_t pool_len, pool_cap;
    uint32_t *state_at; /* offset in the pool: length, words */
    uint32_t *state_heads, *state_next;
    uint32_t state_count, state_cap, state_head_cap;
    struct step_cell *memo;
    uint32_t memo_cap, memo_count;
    struct model_state in, out;
    /* one decision */
    const uint8_t *role;
    struct budget *budget;
    uint32_t *call_in; /* per slot: index, or NONE */
    uint32_t *slot_of; /* per call */
    uint32_t slot_count;
    struct mask firm, maybe; /* slots in use */
    struct mask firm_pure;
    struct path_node *paths;
    uint32_t path_count, path_cap, steps;
    struct set now, next, closure;
};

static bool
mask_has(const struct mask *m, uint32_t slot)
{
    return m->w[slot / 64] >> (slot % 64) & 1;
}

static void
mask_set(struct mask *m, uint32_t slot)
{
    m->w[slot / 64] |= UINT64_C(1) << (slot % 64);
}

static void
mask_clear(struct mask *m, uint32_t slot)
{
    m->w[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

static int
event_compare(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    /* Intervals are closed: at one rank what begins is there already. */
    return x->completion - y->completion;
}

struct suppose *
suppose_new(const struct problem *p, uint32_t end)
{
    const struct calls *c = p->calls;
    struct suppose *s = xcalloc(1, sizeof(*s));

    assert(c->model->step != NULL);
    s->p = p;
    s->end = end;
    s->model = c->model;
    s->events = xcalloc((size_t)p->count * 2 + 1, sizeof(*s->events));
    s->pure = xcalloc(p->count + 1, sizeof(*s->pure));
    s->slot_of = xcalloc(p->count + 1, sizeof(*s->slot_of));
    s->call_in = xcalloc(SUPPOSE_SLOTS_MAX, sizeof(*s->call_in));
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);

        s->pure[i] = s->model->pure != NULL && s->model->pure(c, call);
        s->events[s->event_count++] = (struct event){c->invoke[call], i, false};
        if (c->complete[call] != CALL_OPEN)
            s->events[s->event_count++] =
                (struct event){c->complete[call], i, true};
    }
    qsort(s->events, s->event_count, sizeof(*s->events), event_compare);
    return s;
}

void
suppose_set_end(struct suppose *s, uint32_t end)
{
    s->end = end;
}

static void
snapshots_drop(struct suppose *s)
{
    s->prepared = false;
    for (uint32_t i = 0; i < s->snapshot_count; i++) {
        free(s->snapshots[i].items);
        free(s->snapshots[i].call_in);
    }
    s->snapshot_count = 0;
    s->paths_kept = 0;
}

void
suppose_set_starts(struct suppose *s, const struct model_state *starts,
                   uint32_t count)
{
    if (starts != s->starts)
        snapshots_drop(s);
    s->starts = starts;
    s->start_count = count;
}

static void
set_release(struct set *set)
{
    free(set->items);
    free(set->heads);
}

void
suppose_free(struct suppose *s)
{
    if (s == NULL)
        return;
    snapshots_drop(s);
    free(s->events);
    free(s->pure);
    free(s->slot_of);
    free(s->call_in);
    free(s->pool);
    free(s->state_at);
    free(s->state_heads);
    free(s->state_next);
    free(s->memo);
    free(s->paths);
    set_release(&s->now);
    set_release(&s->next);
    set_release(&s->closure);
    model_state_release(&s->in);
    model_state_release(&s->out);
    free(s);
}

void
suppose_free_p(struct suppose **s)
{
    suppose_free(*s);
}

static uint64_t
mix(uint64_t h)
{
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

static uint64_t
words_hash(const uint32_t *words, uint32_t count)
{
    uint64_t h = count;

    for (uint32_t i = 0; i < count; i++)
        h = mix(h ^ words[i]) + i;
    return h;
}

static void
states_grow(struct suppose *s)
{
    uint32_t cap = s->state_cap == 0 ? 1024 : s->state_cap * 2;

    s->state_at = xrealloc(s->state_at, cap * sizeof(*s->state_at));
    s->state_next = xrealloc(s->state_next, cap * sizeof(*s->state_next));
    s->state_cap = cap;
    free(s->state_heads);
    s->state_head_cap = cap;
    s->state_heads = xcalloc(cap, sizeof(*s->state_heads));
    for (uint32_t i = 0; i < cap; i++)
        s->state_heads[i] = NONE;
    for (uint32_t i = 0; i < s->state_count; i++) {
        const uint32_t *w = &s->pool[s->state_at[i]];
        uint32_t *head = &s->state_heads[words_hash(w + 1, w[0]) & (cap - 1)];

        s->state_next[i] = *head;
        *head = i;
    }
}

static uint32_t
state_intern(struct suppose *s, const struct model_state *m)
{
    if (s->state_count == s->state_cap)
        states_grow(s);
    uint32_t *head = &s->state_heads[words_hash(m->words, m->count) &
                                     (s->state_head_cap - 1)];
    for (uint32_t i = *head; i != NONE; i = s->state_next[i]) {
        const uint32_t *w = &s->pool[s->state_at[i]];

        if (w[0] == m->count &&
            (m->count == 0 || memcmp(w + 1, m->words, m->count * 4) == 0))
            return i;
    }
    if (s->pool_len + m->count + 1 > s->pool_cap) {
        s->pool_cap = (s->pool_cap + m->count + 512) * 2;
        s->pool = xrealloc(s->pool, s->pool_cap * sizeof(*s->pool));
    }
    uint32_t id = s->state_count++;
    s->state_at[id] = (uint32_t)s->pool_len;
    s->pool[s->pool_len++] = m->count;
    for (uint32_t i = 0; i < m->count; i++)
        s->pool[s->pool_len++] = m->words[i];
    s->state_next[id] = *head;
    *head = id;
    return id;
}

static void
memo_grow(struct suppose *s)
{
    struct step_cell *old = s->memo;
    uint32_t old_cap = s->memo_cap;

    s->memo_cap = old_cap == 0 ? 4096 : old_cap * 2;
    s->memo = xcalloc(s->memo_cap, sizeof(*s->memo));
    for (uint32_t i = 0; i < old_cap; i++) {
        if (old[i].key == 0)
            continue;
        uint32_t at = (uint32_t)mix(old[i].key) & (s->memo_cap - 1);
        while (s->memo[at].key != 0)
            at = (at + 1) & (s->memo_cap - 1);
        s->memo[at] = old[i];
    }
    free(old);
}

/* The state after the call, or REFUSED. */
static uint32_t
state_step(struct suppose *s, uint32_t state, uint32_t index)
{
    uint64_t key = ((uint64_t)state << 32 | index) + 1;

    s->steps++;
    if (s->memo_count * 2 >= s->memo_cap && s->memo_cap == MEMO_CELLS_MAX) {
        memset(s->memo, 0, s->memo_cap * sizeof(*s->memo));
        s->memo_count = 0;
    } else if (s->memo_count * 2 >= s->memo_cap) {
        memo_grow(s);
    }
    uint32_t at = (uint32_t)mix(key) & (s->memo_cap - 1);
    for (; s->memo[at].key != 0; at = (at + 1) & (s->memo_cap - 1))
        if (s->memo[at].key == key)
            return s->memo[at].next;
    const uint32_t *w = &s->pool[s->state_at[state]];
    model_state_resize(&s->in, w[0]);
    for (uint32_t i = 0; i < w[0]; i++)
        s->in.words[i] = w[i + 1];
    uint32_t next = REFUSED;
    if (s->model->step(s->p->calls, problem_call(s->p, index), &s->in, &s->out))
        next = state_intern(s, &s->out);
    s->memo[at] = (struct step_cell){key, next};
    s->memo_count++;
    return next;
}

static void
set_clear(struct set *set)
{
    set->count = 0;
    for (uint32_t i = 0; i < set->head_cap; i++)
        set->heads[i] = NONE;
}

static uint64_t
configuration_hash(const struct suppose *s, const struct configuration *c)
{
    uint64_t h = c->state;

    for (int i = 0; i < MASK_WORDS; i++)
        h = mix(h ^ (c->done.w[i] & s->firm.w[i]));
    return h;
}

static void
set_grow(const struct suppose *s, struct set *set)
{
    set->cap = set->cap == 0 ? 64 : set->cap * 2;
    set->items = xrealloc(set->items, set->cap * sizeof(*set->items));
    free(set->heads);
    set->head_cap = set->cap;
    set->heads = xcalloc(set->head_cap, sizeof(*set->heads));
    for (uint32_t i = 0; i < set->head_cap; i++)
        set->heads[i] = NONE;
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t *head = &set->heads[configuration_hash(s, &set->items[i]) &
                                     (set->head_cap - 1)];

        set->items[i].next = *head;
        *head = i;
    }
}

/* Whether a has used only maybe calls that b used, the rest being equal; and
 * the other way round in *ret_more. */
static bool
uses_less(const struct suppose *s, const struct configuration *a,
          const struct configuration *b, bool *ret_more, bool *ret_same)
{
    uint64_t a_only = 0, b_only = 0, differ = a->state ^ b->state;

    for (int i = 0; i < MASK_WORDS; i++) {
        uint64_t x = a->done.w[i], y = b->done.w[i];

        differ |= (x ^ y) & s->firm.w[i];
        a_only |= x & ~y & s->maybe.w[i];
        b_only |= y & ~x & s->maybe.w[i];
    }
    *ret_same = differ == 0;
    *ret_more = b_only == 0;
    return differ == 0 && a_only == 0;
}

static void
set_add(struct suppose *s, struct set *set, const struct configuration *c)
{
    if (set->count == set->cap)
        set_grow(s, set);
    uint32_t *head =
        &set->heads[configuration_hash(s, c) & (set->head_cap - 1)];
    for (uint32_t i = *head; i != NONE; i = set->items[i].next) {
        struct configuration *old = &set->items[i];
        bool more, same;

        if (old->dead)
            continue;
        if (uses_less(s, old, c, &more, &same))
            return;
        if (same && more)
            old->dead = true;
    }
    set->items[set->count] = *c;
    set->items[set->count].next = *head;
    set->items[set->count].dead = false;
    *head = set->count++;
}

/* The configuration after one more call; false: the call cannot happen. */
static bool
extend(struct suppose *s, struct configuration *c, uint32_t slot)
{
    uint32_t index = s->call_in[slot];
    uint32_t state = state_step(s, c->state, index);

    if (state == REFUSED)
        return false;
    /* A maybe call that changes nothing is as good as none. */
    if (state == c->state && s->role[index] == SUPPOSED_MAYBE)
        return false;
    if (s->path_count == s->path_cap) {
        s->path_cap = s->path_cap == 0 ? 1024 : s->path_cap * 2;
        s->paths = xrealloc(s->paths, s->path_cap * sizeof(*s->paths));
    }
    s->paths[s->path_count] = (struct path_node){c->path, index};
    c->path = s->path_count++;
    c->state = state;
    mask_set(&c->done, slot);
    return true;
}

/* Firm calls that change nothing are best done as soon as they can be. */
static void
settle(struct suppose *s, struct configuration *c)
{
    for (uint32_t w = 0; w < MASK_WORDS; w++) {
        uint64_t left = s->firm_pure.w[w] & ~c->done.w[w];

        while (left != 0) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(left);

            left &= left - 1;
            extend(s, c, slot);
        }
    }
}

static bool
exhausted(struct suppose *s)
{
    uint32_t most = SUPPOSE_STEPS_MAX + SUPPOSE_STEPS_EVENT * s->event_count;

    return s->closure.count > SUPPOSE_WIDTH_MAX || s->steps > most ||
           s->path_count > most || s->pool_len > POOL_WORDS_MAX ||
           s->memo_count > MEMO_CELLS_MAX || budget_expired(s->budget);
}

static void
take(struct suppose *s, const struct configuration *c, uint32_t slot)
{
    struct configuration copy = *c;

    mask_clear(&copy.done, slot);
    set_add(s, &s->next, &copy);
}

/* All that can follow from one configuration by one more call: into the next
 * set when that is the call in 'slot', else to be gone on with. */
static void
spread(struct suppose *s, const struct configuration *from, uint32_t slot)
{
    for (uint32_t t = 0; t < s->slot_count; t++) {
        if (s->call_in[t] == NONE || mask_has(&from->done, t))
            continue;
        struct configuration c = *from;
        if (!extend(s, &c, t))
            continue;
        settle(s, &c);
        if (mask_has(&c.done, slot))
            take(s, &c, slot);
        else
            set_add(s, &s->closure, &c);
    }
}

/* The call in 'slot' ends: it must have been done (firm), or may. */
static bool
end_call(struct suppose *s, uint32_t index)
{
    uint32_t slot = s->slot_of[index];
    bool firm = s->role[index] == SUPPOSED_FIRM;

    set_clear(&s->next);
    set_clear(&s->closure);
    for (uint32_t i = 0; i < s->now.count; i++) {
        const struct configuration *c = &s->now.items[i];

        if (c->dead)
            continue;
        if (!firm || mask_has(&c->done, slot))
            take(s, c, slot);
        if (!mask_has(&c->done, slot))
            set_add(s, &s->closure, c);
    }
    for (uint32_t i = 0; i < s->closure.count; i++) {
        struct configuration c = s->closure.items[i];

        if (exhausted(s))
            return false;
        if (!c.dead)
            spread(s, &c, slot);
    }
    s->call_in[slot] = NONE;
    mask_clear(&s->firm, slot);
    mask_clear(&s->firm_pure, slot);
    mask_clear(&s->maybe, slot);
    struct set swap = s->now;
    s->now = s->next;
    s->next = swap;
    return true;
}

static bool
begin_call(struct suppose *s, uint32_t index)
{
    uint32_t slot = 0;
    bool firm = s->role[index] == SUPPOSED_FIRM;

    while (slot < SUPPOSE_SLOTS_MAX && s->call_in[slot] != NONE)
        slot++;
    if (slot == SUPPOSE_SLOTS_MAX)
        return false;
    if (slot >= s->slot_count)
        s->slot_count = slot + 1;
    s->call_in[slot] = index;
    s->slot_of[index] = slot;
    mask_set(firm ? &s->firm : &s->maybe, slot);
    if (firm && s->pure[index]) {
        mask_set(&s->firm_pure, slot);
        set_clear(&s->next);
        for (uint32_t i = 0; i < s->now.count; i++) {
            struct configuration c = s->now.items[i];

            if (c.dead)
                continue;
            extend(s, &c, slot);
            set_add(s, &s->next, &c);
        }
        struct set swap = s->now;
        s->now = s->next;
        s->next = swap;
    }
    return true;
}

static void
begin_state(struct suppose *s, const struct model_state *state)
{
    struct configuration first = {.path = NONE,
                                  .state = state_intern(s, state)};

    set_add(s, &s->now, &first);
}

static void
begin_decision(struct suppose *s, const uint8_t *role, struct budget *b)
{

    s->role = role;
    s->budget = b;
    s->steps = s->slot_count = 0;
    if (s->pool_len > POOL_WORDS_MAX / 2) {
        snapshots_drop(s);
        s->prepared = true; /* not again: they are too large */
        s->pool_len = 0;
        s->state_count = s->state_cap = 0;
        free(s->memo);
        s->memo = NULL;
        s->memo_cap = s->memo_count = 0;
    }
    s->path_count = s->paths_kept;
    memset(&s->firm, 0, sizeof(s->firm));
    memset(&s->maybe, 0, sizeof(s->maybe));
    memset(&s->firm_pure, 0, sizeof(s->firm_pure));
    for (uint32_t i = 0; i < SUPPOSE_SLOTS_MAX; i++)
        s->call_in[i] = NONE;
    set_clear(&s->now);
    for (uint32_t i = 0; i < s->start_count; i++)
        begin_state(s, &s->starts[i]);
    if (s->starts != NULL)
        return;
    model_state_resize(&s->out, 0);
    s->model->init(s->p->calls, s->p->key, &s->out);
    begin_state(s, &s->out);
}

static void
order_of(const struct suppose *s, uint32_t path, uint32_t **ret_order,
         uint32_t *ret_count)
{
    uint32_t count = 0;

    for (uint32_t i = path; i != NONE; i = s->paths[i].parent)
        count++;
    *ret_count = count;
    *ret_order = xcalloc(count + 1, sizeof(**ret_order));
    for (uint32_t i = path; i != NONE; i = s->paths[i].parent)
        (*ret_order)[--count] = s->paths[i].index;
}

static void
snapshot_take(struct suppose *s, uint32_t event, uint32_t calls)
{
    struct snapshot *n = &s->snapshots[s->snapshot_count++];

    *n = (struct snapshot){.event = event,
                           .calls = calls,
                           .slot_count = s->slot_count,
                           .maybe = s->maybe};
    n->items = xcalloc((size_t)s->now.count + 1, sizeof(*n->items));
    for (uint32_t i = 0; i < s->now.count; i++)
        if (!s->now.items[i].dead)
            n->items[n->count++] = s->now.items[i];
    n->call_in = xcalloc(SUPPOSE_SLOTS_MAX, sizeof(*n->call_in));
    memcpy(n->call_in, s->call_in, SUPPOSE_SLOTS_MAX * sizeof(*n->call_in));
    s->paths_kept = s->path_count;
}

/* Where all calls are maybe: the beginning of nearly every question. */
static void
snapshots_prepare(struct suppose *s, struct budget *b)
{
    CLEANUP_FREE uint8_t *role = xcalloc((size_t)s->p->count + 1, 1);
    uint32_t every = s->event_count / SNAPSHOTS_MAX + 1, calls = 0;

    s->prepared = true;
    memset(role, SUPPOSED_MAYBE, s->p->count);
    begin_decision(s, role, b);
    for (uint32_t i = 0; i < s->event_count; i++) {
        const struct event *e = &s->events[i];

        if (i % every == 0 && i > 0)
            snapshot_take(s, i, calls);
        calls += !e->completion;
        if (s->pure[e->index])
            continue;
        if (e->completion ? !end_call(s, e->index) : !begin_call(s, e->index))
            return;
        if (s->now.count > SNAPSHOT_WIDTH_MAX)
            return;
    }
}

/* The last snapshot before anything is other than maybe: the event to go on
 * with. */
static uint32_t
snapshot_resume(struct suppose *s)
{
    const struct snapshot *best = NULL;
    uint32_t same = 0;

    if (s->snapshot_count == 0)
        return 0;
    while (same < s->p->count &&
           (s->role[same] == SUPPOSED_MAYBE ||
            (s->role[same] == SUPPOSED_OUT && s->pure[same])))
        same++;
    for (uint32_t i = 0; i < s->snapshot_count; i++)
        if (s->snapshots[i].calls <= same &&
            s->events[s->snapshots[i].event - 1].rank <= s->end)
            best = &s->snapshots[i];
    if (best == NULL)
        return 0;
    set_clear(&s->now);
    while (s->now.cap < best->count)
        set_grow(s, &s->now);
    memcpy(s->now.items, best->items, best->count * sizeof(*best->items));
    s->now.count = best->count;
    s->slot_count = best->slot_count;
    s->maybe = best->maybe;
    memcpy(s->call_in, best->call_in, SUPPOSE_SLOTS_MAX * sizeof(uint32_t));
    for (uint32_t slot = 0; slot < s->slot_count; slot++)
        if (s->call_in[slot] != NONE)
            s->slot_of[s->call_in[slot]] = slot;
    return best->event;
}

enum verdict
suppose_decide(struct suppose *s, const uint8_t *role, struct budget *b,
               uint32_t **ret_order, uint32_t *ret_count)
{
    if (!s->prepared && s->event_count >= SNAPSHOT_EVENTS_MIN)
        snapshots_prepare(s, b);
    begin_decision(s, role, b);
    for (uint32_t i = snapshot_resume(s);
         i < s->event_count && s->events[i].rank <= s->end; i++) {
        const struct event *e = &s->events[i];
        uint8_t r = role[e->index];

        if (r == SUPPOSED_OUT || (r == SUPPOSED_MAYBE && s->pure[e->index]))
            continue;
        if (e->completion ? !end_call(s, e->index) : !begin_call(s, e->index))
            return VERDICT_UNKNOWN;
        if (s->now.count == 0)
            return VERDICT_INVALID;
    }
    /* Firm calls without an answer may come as late as they like. */
    for (uint32_t slot = 0; slot < s->slot_count; slot++) {
        if (!mask_has(&s->firm, slot))
            continue;
        if (!end_call(s, s->call_in[slot]))
            return VERDICT_UNKNOWN;
        if (s->now.count == 0)
            return VERDICT_INVALID;
    }
    if (ret_order != NULL) {
        uint32_t i = 0;

        while (s->now.items[i].dead)
            i++;
        order_of(s, s->now.items[i].path, ret_order, ret_count);
    }
    return VERDICT_VALID;
}
