/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Just-in-time linearization, breadth first (Lowe, "Testing for
 * linearizability", 2017): all explanations of the history so far are kept, as
 * configurations, and nothing else of the past.
 *
 *   configuration = state + set of live calls already linearized
 *                         + set of open calls that were used
 *
 *   invocation of a call   it becomes live
 *   answer of call c       every configuration that has not linearized c
 *                          linearizes live calls, in every order, until it
 *                          has; those that cannot are dropped.  c's bit is free
 *   none is left           INVALID;  the history ends: VALID
 *
 * What keeps the number of configurations small:
 *   - calls that change nothing are linearized as soon as they are legal
 *   - of live calls with equal contents the one that must end first goes first;
 *     of open ones, the one invoked first
 *   - dominance: with one state and one set of linearized calls, a
 *     configuration that used no other open calls, and has no other reads
 *     pending, can do whatever the other can.  An unused open call is no
 *     obligation, and a read that is done is none either.  Only the minimal
 *     ones are kept
 *   - an open call is used only right before a call that needs it
 *   - of open calls that were used instead of each other, it is better to have
 *     used the one that can do less (struct model_ops, covers)
 *   - a pass keeps a few configurations of one state and one set of linearized
 *     calls, no more: two that are most alike are joined into one that used
 *     only what both used.  It can do whatever either can, and perhaps more, so
 *     that INVALID stays proven, while an order found at the end counts when it
 *     uses no open call twice.  If there is none, the next pass keeps more
 *
 * What one pass forgets is which open calls explained the past.  Most
 * contradictions do not turn on that, and are found at the price of a history
 * without open calls; the last pass, which joins nothing, is the exact search.
 *
 * Memory: configurations times live calls, and twelve bytes for each call in an
 * explanation that still lives, which share their beginnings (struct node).
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/engines/live.h"
#include "analyzer/engines/search.h"

#define NONE UINT32_MAX
#define NODE_CHUNK 4096

/* One call of an explanation, after 'parent'. */
struct node {
    uint32_t parent, call;
    uint32_t count; /* configurations and nodes that stand on it */
};

/* In a set; its bits (window.h) follow. */
struct configuration {
    uint32_t state; /* NONE: it was dominated, or its place is free */
    uint32_t node;
    uint32_t queue; /* next to be expanded, or UNQUEUED; next free */
    /* The state before an open call was used that made no read legal (until
     * the next answer); or NONE. */
    uint32_t before;
};

/* What is looked at before a configuration itself, by its place: most of a
 * long chain is passed without touching more than this. */
struct digest {
    uint32_t chain; /* next in the table */
    uint32_t hash;  /* of state and linearized calls */
    uint64_t rest;  /* the other bits, folded: what is better has fewer */
};

/* Of open calls: which can do the same and more (struct model_ops, covers). */
struct cover {
    uint64_t *by;    /* per open bit, a set of open bits */
    uint32_t *group; /* per open bit; calls that cover each other share it */
};

/* More open calls than this, and nobody asks what covers what: the sets would
 * be larger than all else. */
#define COVER_MAX 2048
#define UNQUEUED (UINT32_MAX - 1)

/* Configurations of one state and one set of linearized calls that a pass keeps
 * from answer to answer.  A pass that keeps hundreds costs as much as the exact
 * one and decides less. */
static const uint32_t breadths[] = {1, 16, UINT32_MAX};

struct set {
    uint64_t *items;
    struct digest *digests;
    uint32_t item_count, item_cap, digest_cap;
    uint32_t live, free;
    uint32_t *heads, head_cap, head_mask;
};

/* What is possible in a state, valid for one pass. */
struct outlook {
    uint32_t pure_pass, move_pass;
    uint32_t move_first, move_count;
};

struct move {
    uint32_t bit, next;
};

struct search {
    const struct window *w;
    struct budget *b;
    struct space space;
    uint32_t event, pass;
    bool closing;         /* within an event */
    bool failed, expired; /* memory, time ran out */
    uint32_t stride;      /* of sets, in words */
    struct set now, next, work;
    struct live_calls live;
    struct cover cover;       /* NULLs: not known */
    struct outlook *outlooks; /* per state */
    uint32_t outlook_cap;
    uint64_t *legal; /* pure_words per state */
    uint32_t legal_cap;
    struct move *moves;
    uint32_t move_count, move_cap;
    uint64_t *fresh; /* pure calls invoked since the last pass */
    struct live_list buckets;
    uint32_t bucket;     /* none below it has anything */
    uint32_t target;     /* bit of the call that must be linearized */
    uint64_t *candidate; /* room for one configuration, */
    uint64_t *join;      /* and for what two have in common */
    uint32_t passes;     /* that came to the end; the last one joins nothing */
    bool joined;         /* in this pass */
    uint32_t sure;       /* the event when it was first */
    uint32_t proven;     /* the event that the passes before came to for sure */
    uint32_t *order;     /* what a pass that joined found */
    uint32_t order_count;
    struct node **chunks;
    uint32_t chunk_count, chunk_cap, node_count, node_free;
    uint64_t configurations;
};

/* ---- explanations ---- */

static struct node *
node_at(const struct search *s, uint32_t i)
{
    return &s->chunks[i / NODE_CHUNK][i % NODE_CHUNK];
}

static bool
node_room(struct search *s)
{
    if (s->node_free != NONE || s->node_count < s->chunk_count * NODE_CHUNK) {
        return true;
    }
    size_t bytes = NODE_CHUNK * sizeof(struct node);
    if (s->node_count >= UNQUEUED - NODE_CHUNK ||
        !budget_grow(s->b, (void **)&s->chunks, &s->chunk_cap,
                     s->chunk_count + 1, sizeof(struct node *)) ||
        !budget_take(s->b, bytes)) {
        s->failed = true;
        return false;
    }
    s->chunks[s->chunk_count++] = xrealloc(NULL, bytes);
    return true;
}

/* A reference to a new node; takes a reference to the parent. */
static uint32_t
node_new(struct search *s, uint32_t parent, uint32_t call)
{
    uint32_t i = s->node_free;

    if (i != NONE) {
        s->node_free = node_at(s, i)->parent;
    } else {
        i = s->node_count++;
    }
    if (parent != NONE) {
        node_at(s, parent)->count++;
    }
    *node_at(s, i) = (struct node){parent, call, 1};
    return i;
}

static void
node_drop(struct search *s, uint32_t i)
{
    while (i != NONE) {
        struct node *n = node_at(s, i);
        if (--n->count > 0) {
            return;
        }
        uint32_t parent = n->parent;
        n->parent = s->node_free;
        s->node_free = i;
        i = parent;
    }
}

/* ---- sets ---- */

static struct configuration *
set_at(const struct search *s, const struct set *set, uint32_t i)
{
    return (struct configuration *)&set->items[(size_t)i * s->stride];
}

static uint64_t *
bits_of(struct configuration *c)
{
    return (uint64_t *)(c + 1);
}

/* Empties it, with a table fit for about 'expected'. */
static bool
set_reset(struct search *s, struct set *set, uint32_t expected)
{
    uint32_t heads = 16;

    while (heads < expected * 2 && heads < (1u << 30)) {
        heads *= 2;
    }
    if (!budget_grow(s->b, (void **)&set->heads, &set->head_cap, heads,
                     sizeof(*set->heads))) {
        s->failed = true;
        return false;
    }
    set->item_count = 0;
    set->live = 0;
    set->free = NONE;
    set->head_mask = heads - 1;
    memset(set->heads, 0xff, (size_t)heads * sizeof(*set->heads));
    return true;
}

static struct digest
set_digest(const struct search *s, uint32_t state, const uint64_t *bits)
{
    uint32_t i = 0;
    uint64_t h = space_mix(0, state), rest = 0;

    for (; i < s->w->effect_words; i++) {
        h = space_mix(h, bits[i]);
    }
    uint32_t end = s->w->words - (s->cover.by != NULL ? s->w->open_words : 0);
    for (uint32_t turn = 0; i < end; i++, turn += 23) {
        rest |= bits[i] << turn % 64 | bits[i] >> (64 - turn % 64) % 64;
    }
    for (; i < s->w->words; i++) {
        for (uint64_t left = bits[i]; left != 0; left &= left - 1) {
            uint32_t bit = (i - end) * 64 + (uint32_t)__builtin_ctzll(left);
            rest |= UINT64_C(1) << (s->cover.group[bit] * 37 + 23) % 64;
        }
    }
    return (struct digest){NONE, (uint32_t)(h ^ (h >> 32)), rest};
}

static bool
set_grow(struct search *s, struct set *set)
{
    uint32_t heads = (set->head_mask + 1) * 2;

    if (!budget_grow(s->b, (void **)&set->heads, &set->head_cap, heads,
                     sizeof(*set->heads))) {
        s->failed = true;
        return false;
    }
    set->head_mask = heads - 1;
    memset(set->heads, 0xff, (size_t)heads * sizeof(*set->heads));
    for (uint32_t i = 0; i < set->item_count; i++) {
        if (set_at(s, set, i)->state != NONE) {
            uint32_t *head = &set->heads[set->digests[i].hash & set->head_mask];
            set->digests[i].chain = *head;
            *head = i;
        }
    }
    return true;
}

static bool
words_equal(const uint64_t *x, const uint64_t *y, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (x[i] != y[i]) {
            return false;
        }
    }
    return true;
}

static bool
words_within(const uint64_t *x, const uint64_t *y, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((x[i] & ~y[i]) != 0) {
            return false;
        }
    }
    return true;
}

/*
 * Whether used open calls x are no worse than y: what only x used, only y used
 * too, or only y used something that covers it.  (Greedy: it may miss some.)
 */
static bool
opens_within(const struct search *s, const uint64_t *x, const uint64_t *y)
{
    uint32_t words = s->w->open_words;
    uint64_t taken[COVER_MAX / 64];

    if (s->cover.by == NULL) {
        return words_within(x, y, words);
    }
    memset(taken, 0, words * sizeof(*taken));
    for (uint32_t i = 0; i < words; i++) {
        for (uint64_t left = x[i] & ~y[i]; left != 0; left &= left - 1) {
            uint32_t bit = i * 64 + (uint32_t)__builtin_ctzll(left), j = 0;
            const uint64_t *by = s->cover.by + (size_t)bit * words;
            while (j < words && (by[j] & y[j] & ~x[j] & ~taken[j]) == 0) {
                j++;
            }
            if (j == words) {
                return false;
            }
            uint64_t free = by[j] & y[j] & ~x[j] & ~taken[j];
            taken[j] |= free & -free;
        }
    }
    return true;
}

/* Whether bits x, beyond those of effects, are no worse than y. */
static bool
rest_within(const struct search *s, const uint64_t *x, const uint64_t *y)
{
    uint32_t pure = s->w->pure_words;

    return words_within(x, y, pure) && opens_within(s, x + pure, y + pure);
}

/* Takes what is at *link out of its chain and forgets it. */
static void
set_remove(struct search *s, struct set *set, uint32_t *link)
{
    uint32_t i = *link;
    struct configuration *c = set_at(s, set, i);

    *link = set->digests[i].chain;
    node_drop(s, c->node);
    c->state = NONE;
    c->node = NONE;
    set->live--;
    if (c->queue == UNQUEUED) { /* else the queue still knows the place */
        c->queue = set->free;
        set->free = i;
    }
}

/* Whether something in the set is at least as good; what is worse goes.  If
 * not, how many are left of the same hash. */
static bool
set_dominated(struct search *s, struct set *set, const struct digest *digest,
              uint32_t state, const uint64_t *bits, uint32_t *ret_alike)
{
    uint32_t effect = s->w->effect_words;
    uint32_t *head = &set->heads[digest->hash & set->head_mask], *link = head;

    *ret_alike = 0;

    while (*link != NONE) {
        uint32_t i = *link;
        struct digest *d = &set->digests[i];
        bool better = (d->rest & ~digest->rest) == 0;
        bool worse = (digest->rest & ~d->rest) == 0;
        if (d->hash == digest->hash && (better || worse)) {
            struct configuration *c = set_at(s, set, i);
            const uint64_t *have = bits_of(c) + effect;
            bool same =
                c->state == state && words_equal(bits_of(c), bits, effect);
            if (same && better && rest_within(s, have, bits + effect)) {
                /* To the front: it will be better than others as well. */
                *link = d->chain;
                d->chain = *head;
                *head = i;
                return true;
            }
            if (same && worse && rest_within(s, bits + effect, have)) {
                set_remove(s, set, link);
                continue;
            }
        }
        *ret_alike += d->hash == digest->hash;
        link = &d->chain;
    }
    return false;
}

/* A free place; NONE: memory. */
static uint32_t
set_place(struct search *s, struct set *set)
{
    uint32_t i = set->free;

    if (i != NONE) {
        set->free = set_at(s, set, i)->queue;
        return i;
    }
    if (set->item_count >= UNQUEUED ||
        !budget_grow(s->b, (void **)&set->items, &set->item_cap,
                     set->item_count + 1, s->stride * sizeof(uint64_t)) ||
        !budget_grow(s->b, (void **)&set->digests, &set->digest_cap,
                     set->item_count + 1, sizeof(*set->digests))) {
        s->failed = true;
        return NONE;
    }
    return set->item_count++;
}

/* How many bits beyond those of effects two have in common. */
static uint32_t
rest_common(const struct search *s, const uint64_t *x, const uint64_t *y)
{
    uint32_t count = 0;

    for (uint32_t i = s->w->effect_words; i < s->w->words; i++) {
        count += (uint32_t)__builtin_popcountll(x[i] & y[i]);
    }
    return count;
}

/* Takes the one out that has most in common with 'bits', and leaves that in
 * s->join.  False: there is none of this state and these linearized calls. */
static bool
set_join(struct search *s, struct set *set, const struct digest *digest,
         uint32_t state, const uint64_t *bits)
{
    uint32_t *link = &set->heads[digest->hash & set->head_mask], *best = NULL;
    uint32_t most = 0;

    for (; *link != NONE; link = &set->digests[*link].chain) {
        struct configuration *c = set_at(s, set, *link);
        if (set->digests[*link].hash != digest->hash || c->state != state ||
            !words_equal(bits_of(c), bits, s->w->effect_words)) {
            continue;
        }
        uint32_t common = rest_common(s, bits_of(c), bits);
        if (best == NULL || common > most) {
            best = link;
            most = common;
        }
    }
    if (best == NULL) {
        return false;
    }
    const uint64_t *have = bits_of(set_at(s, set, *best));
    for (uint32_t i = 0; i < s->w->words; i++) {
        s->join[i] = bits[i] & have[i];
    }
    set_remove(s, set, best);
    if (!s->joined) {
        s->joined = true;
        s->sure = s->event;
    }
    return true;
}

/*
 * Adds state and bits unless dominated (NULL), or what they have in common with
 * another, if there are too many.  The caller gives it its node.
 */
static struct configuration *
set_add(struct search *s, struct set *set, uint32_t state, const uint64_t *bits)
{
    struct digest digest = set_digest(s, state, bits);
    uint32_t alike;

    if ((set->live > set->head_mask && !set_grow(s, set)) ||
        set_dominated(s, set, &digest, state, bits, &alike)) {
        return NULL;
    }
    while (set == &s->next && alike >= breadths[s->passes] &&
           set_join(s, set, &digest, state, bits)) {
        bits = s->join;
        digest = set_digest(s, state, bits);
        if (set_dominated(s, set, &digest, state, bits, &alike)) {
            return NULL;
        }
    }
    uint32_t i = set_place(s, set);
    if (i == NONE) {
        return NULL;
    }
    uint32_t *head = &set->heads[digest.hash & set->head_mask];
    digest.chain = *head;
    *head = i;
    set->digests[i] = digest;
    struct configuration *c = set_at(s, set, i);
    *c = (struct configuration){state, NONE, UNQUEUED, NONE};
    memcpy(bits_of(c), bits, s->w->words * sizeof(uint64_t));
    set->live++;
    s->configurations++;
    return c;
}

static void
set_release(struct search *s, struct set *set)
{
    budget_free(s->b, set->items, set->item_cap, s->stride * sizeof(uint64_t));
    budget_free(s->b, set->digests, set->digest_cap, sizeof(*set->digests));
    budget_free(s->b, set->heads, set->head_cap, sizeof(*set->heads));
}

/* ---- what is possible in a state ---- */

static bool
outlook_room(struct search *s)
{
    uint32_t old = s->outlook_cap, need = s->space.state_count;

    if (need <= old) {
        return true;
    }
    if (!budget_grow(s->b, (void **)&s->outlooks, &s->outlook_cap, need,
                     sizeof(*s->outlooks))) {
        s->failed = true;
        return false;
    }
    memset(s->outlooks + old, 0, (s->outlook_cap - old) * sizeof(*s->outlooks));
    if (s->w->pure_words > 0 &&
        !budget_grow(s->b, (void **)&s->legal, &s->legal_cap, s->outlook_cap,
                     s->w->pure_words * sizeof(uint64_t))) {
        s->failed = true;
        return false;
    }
    return true;
}

/* Which live calls without effect are legal; NULL: memory. */
static const uint64_t *
outlook_pure(struct search *s, uint32_t state)
{
    uint32_t words = s->w->pure_words, base = s->w->effect_words * 64;

    if (!outlook_room(s)) {
        return NULL;
    }
    uint64_t *legal = &s->legal[(size_t)state * words];
    if (s->outlooks[state].pure_pass == s->pass) {
        return legal;
    }
    memset(legal, 0, words * sizeof(*legal));
    for (uint32_t i = 0; i < s->live.pures.count; i++) {
        const struct live *l = &s->live.of[s->live.pures.items[i]];
        uint32_t next = space_step(&s->space, state, l->call, l->class);
        if (next == SPACE_FULL) {
            s->failed = true;
            return NULL;
        }
        if (next != SPACE_ILLEGAL) {
            bit_set(legal, s->live.pures.items[i] - base);
        }
    }
    s->outlooks[state].pure_pass = s->pass;
    return legal;
}

static bool
outlook_move(struct search *s, uint32_t state, uint32_t bit, bool open)
{
    const struct live *l = &s->live.of[bit];
    uint32_t next = space_step(&s->space, state, l->call, l->class);

    if (next == SPACE_ILLEGAL || (open && next == state)) {
        return true;
    }
    if (next == SPACE_FULL ||
        !budget_grow(s->b, (void **)&s->moves, &s->move_cap, s->move_count + 1,
                     sizeof(*s->moves))) {
        s->failed = true;
        return false;
    }
    s->moves[s->move_count++] = (struct move){bit, next};
    return true;
}

/* The steps that lead out of a state; false: memory. */
static bool
outlook_moves(struct search *s, uint32_t state)
{
    if (!outlook_room(s)) {
        return false;
    }
    if (s->outlooks[state].move_pass == s->pass) {
        return true;
    }
    uint32_t first = s->move_count;
    for (uint32_t i = 0; i < s->live.effects.count; i++) {
        if (!outlook_move(s, state, s->live.effects.items[i], false)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < s->live.opens.count; i++) {
        /* There may be thousands. */
        if (budget_expired(s->b)) {
            s->expired = true;
            return false;
        }
        if (!outlook_move(s, state, s->live.opens.items[i], true)) {
            return false;
        }
    }
    s->outlooks[state].move_pass = s->pass;
    s->outlooks[state].move_first = first;
    s->outlooks[state].move_count = s->move_count - first;
    return true;
}

/* Linearizes what is legal and changes nothing. */
static bool
eager(struct search *s, uint32_t state, uint64_t *bits)
{
    uint64_t *pure = bits + s->w->effect_words;
    uint64_t pending = 0;

    for (uint32_t i = 0; i < s->w->pure_words; i++) {
        pending |= pure[i];
    }
    if (pending == 0) {
        return true;
    }
    const uint64_t *legal = outlook_pure(s, state);
    for (uint32_t i = 0; legal != NULL && i < s->w->pure_words; i++) {
        pure[i] &= ~legal[i];
    }
    return legal != NULL;
}

/* ---- an answer ---- */

static bool
target_done(const struct search *s, const uint64_t *bits)
{
    bool pure = s->target / 64 >= s->w->effect_words;

    return bit_get(bits, s->target) != pure;
}

static uint32_t
opens_used(const struct search *s, const uint64_t *bits)
{
    uint32_t count = 0;

    for (uint32_t i = s->w->words - s->w->open_words; i < s->w->words; i++) {
        count += (uint32_t)__builtin_popcountll(bits[i]);
    }
    return count;
}

/*
 * To the next set if the target is done, else to those to be expanded.  What
 * is new gets 'node', or (with a call) a new node after it.  Returns whether
 * the reference to 'node' was taken; false also when memory ran out.
 */
static bool
admit(struct search *s, uint32_t state, uint64_t *bits, uint32_t node,
      uint32_t call, uint32_t before)
{
    bool done = target_done(s, bits);

    if (done) {
        bit_clear(bits, s->target);
    }
    if (call != NONE && !node_room(s)) {
        return false;
    }
    struct set *set = done ? &s->next : &s->work;
    struct configuration *c = set_add(s, set, state, bits);
    if (c == NULL) {
        return false;
    }
    c->node = call == NONE ? node : node_new(s, node, call);
    c->before = before;
    if (done) {
        return call == NONE;
    }
    uint32_t used = opens_used(s, bits);
    while (s->buckets.count <= used) {
        if (!live_list_push(&s->live, &s->buckets, NONE)) {
            s->failed = true;
            return call == NONE;
        }
    }
    c->queue = s->buckets.items[used];
    s->buckets.items[used] =
        (uint32_t)(((uint64_t *)c - set->items) / s->stride);
    if (used < s->bucket) {
        s->bucket = used;
    }
    return call == NONE;
}

/*
 * An open call that was used and made no read legal must be good for the call
 * that comes next: if that one leads to the same state without it, the
 * configuration without it is better.
 */
static bool
pointless(struct search *s, uint32_t before, struct move m)
{
    const struct live *l = &s->live.of[m.bit];

    return before != NONE &&
           space_step(&s->space, before, l->call, l->class) == m.next;
}

/* 'before' for what follows 'from' by using an open call. */
static uint32_t
unread(const struct search *s, uint32_t state, uint32_t bit,
       const uint64_t *from, const uint64_t *to)
{
    uint32_t effect = s->w->effect_words, pure = s->w->pure_words;

    return bit / 64 >= effect + pure &&
                   words_equal(from + effect, to + effect, pure)
               ? state
               : NONE;
}

static void
expand(struct search *s, uint32_t item)
{
    const struct configuration *c = set_at(s, &s->work, item);
    uint32_t state = c->state, node = c->node, before = c->before;

    if (!outlook_moves(s, state)) {
        return;
    }
    uint32_t first = s->outlooks[state].move_first;
    for (uint32_t i = 0; i < s->outlooks[state].move_count && !s->failed; i++) {
        struct move m = s->moves[first + i];
        const uint64_t *bits = bits_of(set_at(s, &s->work, item));
        if (bit_get(bits, m.bit) || live_out_of_turn(&s->live, bits, m.bit) ||
            pointless(s, before, m)) {
            continue;
        }
        memcpy(s->candidate, bits, s->w->words * sizeof(uint64_t));
        bit_set(s->candidate, m.bit);
        if (!eager(s, m.next, s->candidate)) {
            return;
        }
        (void)admit(s, m.next, s->candidate, node, s->live.of[m.bit].call,
                    unread(s, state, m.bit, bits, s->candidate));
    }
}

/* The next to be expanded, or NONE. */
static uint32_t
next_work(struct search *s)
{
    while (s->bucket < s->buckets.count) {
        uint32_t i = s->buckets.items[s->bucket];
        if (i == NONE) {
            s->bucket++;
            continue;
        }
        struct configuration *c = set_at(s, &s->work, i);
        s->buckets.items[s->bucket] = c->queue;
        c->queue = UNQUEUED;
        if (c->state != NONE) {
            return i;
        }
        c->queue = s->work.free;
        s->work.free = i;
    }
    return NONE;
}

/* Reads that came since the last pass are pending; those that are legal are
 * linearized.  Returns whether the target is done in all. */
static bool
refresh(struct search *s)
{
    bool all = true;

    for (uint32_t i = 0; i < s->now.item_count; i++) {
        struct configuration *c = set_at(s, &s->now, i);
        if (c->state == NONE) {
            continue;
        }
        uint64_t *bits = bits_of(c);
        for (uint32_t j = 0; j < s->w->pure_words; j++) {
            bits[s->w->effect_words + j] |= s->fresh[j];
        }
        if (!eager(s, c->state, bits)) {
            return false;
        }
        all = all && target_done(s, bits);
    }
    memset(s->fresh, 0, s->w->pure_words * sizeof(*s->fresh));
    return all;
}

/* Hands all configurations on: to the next set, or to be expanded. */
static void
close_begin(struct search *s)
{
    if (!set_reset(s, &s->next, s->now.live) ||
        !set_reset(s, &s->work, s->now.live)) {
        return;
    }
    s->bucket = 0;
    s->closing = true;
    for (uint32_t i = 0; i < s->now.item_count && !s->failed; i++) {
        struct configuration *c = set_at(s, &s->now, i);
        if (c->state != NONE) {
            if (!admit(s, c->state, bits_of(c), c->node, NONE, NONE)) {
                node_drop(s, c->node);
            }
            c->state = NONE;
        }
    }
}

static void
close_end(struct search *s)
{
    struct set swap = s->now;

    for (uint32_t i = 0; i < s->work.item_count; i++) {
        struct configuration *c = set_at(s, &s->work, i);
        if (c->state != NONE) {
            node_drop(s, c->node);
        }
    }
    s->now = s->next;
    s->next = swap;
    s->closing = false;
}

static void
sweep(struct search *s)
{
    size_t words = s->space.state_count / 64 + 1;

    if (!budget_take(s->b, words * sizeof(uint64_t))) {
        return;
    }
    uint64_t *marks = xcalloc(words, sizeof(*marks));
    for (uint32_t i = 0; i < s->now.item_count; i++) {
        uint32_t state = set_at(s, &s->now, i)->state;
        if (state != NONE) {
            bit_set(marks, state);
        }
    }
    space_sweep(&s->space, marks);
    free(marks);
    budget_give(s->b, words * sizeof(uint64_t));
}

/* A bit that all have: it is cleared where it stands. */
static void
clear_target(struct search *s)
{
    for (uint32_t i = 0; i < s->now.item_count; i++) {
        struct configuration *c = set_at(s, &s->now, i);
        if (c->state != NONE) {
            bit_clear(bits_of(c), s->target);
        }
    }
}

static void
answer(struct search *s, uint32_t member)
{
    s->target = window_bit(s->w, member);
    s->pass++;
    s->move_count = 0;
    if (refresh(s)) {
        if (window_kind(s->w, member) == WINDOW_EFFECT) {
            clear_target(s);
        }
    } else if (!s->failed) {
        close_begin(s);
    }
}

static void
answered(struct search *s, uint32_t member)
{
    live_remove(&s->live, member);
    s->event++;
    if (space_wants_sweep(&s->space)) {
        sweep(s);
    }
}

/* What a new open call covers, and what covers it. */
static void
cover_add(struct search *s, uint32_t bit)
{
    const struct calls *c = s->w->p->calls;
    uint32_t base = (s->w->words - s->w->open_words) * 64;
    uint32_t words = s->w->open_words, x = s->live.of[bit].call;
    uint32_t *group = s->cover.group;

    group[bit - base] = bit - base;
    for (uint32_t i = 0; i + 1 < s->live.opens.count; i++) {
        uint32_t other = s->live.opens.items[i], y = s->live.of[other].call;
        bool over = c->model->covers(c, x, y),
             under = c->model->covers(c, y, x);
        if (over) {
            bit_set(&s->cover.by[(size_t)(other - base) * words], bit - base);
        }
        if (under) {
            bit_set(&s->cover.by[(size_t)(bit - base) * words], other - base);
        }
        if ((!over && !under) || group[other - base] == group[bit - base]) {
            continue;
        }
        uint32_t from = group[bit - base], to = group[other - base];
        for (uint32_t j = 0; j < s->live.opens.count; j++) {
            uint32_t *g = &group[s->live.opens.items[j] - base];
            *g = *g == from ? to : *g;
        }
    }
}

static void
invoked(struct search *s, uint32_t member)
{
    s->event++;
    if (!live_add(&s->live, member) || !live_tidy(&s->live)) {
        s->failed = true;
    } else if (window_kind(s->w, member) == WINDOW_PURE) {
        bit_set(s->fresh, window_bit(s->w, member) - s->w->effect_words * 64);
    } else if (s->cover.by != NULL &&
               window_kind(s->w, member) == WINDOW_OPEN) {
        cover_add(s, window_bit(s->w, member));
    }
}

/* ---- the end of a pass ---- */

/* The calls on the way to a configuration; NULL: memory. */
static uint32_t *
explanation(struct search *s, uint32_t item, uint32_t *ret_count)
{
    uint32_t node = set_at(s, &s->now, item)->node, count = 0;

    for (uint32_t n = node; n != NONE; n = node_at(s, n)->parent) {
        count++;
    }
    if (!budget_take(s->b, (size_t)count * sizeof(uint32_t))) {
        return NULL;
    }
    uint32_t *calls = xcalloc((size_t)count + 1, sizeof(*calls));
    *ret_count = count;
    for (uint32_t n = node; n != NONE; n = node_at(s, n)->parent) {
        calls[--count] = node_at(s, n)->call;
    }
    return calls;
}

/* Whether no call comes twice; also false without the memory to say so. */
static bool
all_differ(struct search *s, const uint32_t *calls, uint32_t count)
{
    const struct problem *p = s->w->p;
    uint32_t first = problem_call(p, 0);
    size_t words = (problem_call(p, p->count - 1) - first) / 64 + 1;
    uint32_t i = 0;

    if (!budget_take(s->b, words * sizeof(uint64_t))) {
        return false;
    }
    uint64_t *seen = xcalloc(words, sizeof(*seen));
    while (i < count && !bit_get(seen, calls[i] - first)) {
        bit_set(seen, calls[i] - first);
        i++;
    }
    free(seen);
    budget_give(s->b, words * sizeof(uint64_t));
    return i == count;
}

/* Whether s->order is one: what was joined may have left a read pending, which
 * then was placed after its time. */
static bool
order_holds(struct search *s)
{
    size_t bytes = (size_t)s->w->p->count / 8 + 8; /* what a replay marks */
    char reason[REASON_TEXT_MAX];

    if (!budget_take(s->b, bytes)) {
        return false;
    }
    bool holds =
        problem_replay_within(s->w->p, s->order, s->order_count, s->b, reason);
    budget_give(s->b, bytes);
    return holds;
}

/* Whether one of those that are left stands for an order of all calls, which
 * then is in s->order. */
static bool
pass_proves(struct search *s)
{
    for (uint32_t i = 0; i < s->now.item_count && s->order == NULL; i++) {
        uint32_t count = 0;
        if (set_at(s, &s->now, i)->state == NONE) {
            continue;
        }
        if (budget_expired(s->b)) {
            s->expired = true;
            return false;
        }
        uint32_t *effects = explanation(s, i, &count);
        if (effects == NULL) {
            return false;
        }
        if (!s->joined || all_differ(s, effects, count)) {
            s->order = search_place_pure(s->w, s->b, effects, count, NULL,
                                         &s->order_count);
        }
        if (s->joined && s->order != NULL && !order_holds(s)) {
            free(s->order);
            s->order = NULL;
        }
        budget_free(s->b, effects, count, sizeof(*effects));
    }
    return s->order != NULL;
}

/* How far into the events it is explained for sure. */
static uint32_t
decided_event(const struct search *s)
{
    uint32_t event = s->joined ? s->sure : s->event;

    return event > s->proven ? event : s->proven;
}

/* From the beginning, with room for more. */
static void
pass_begin(struct search *s)
{
    s->proven = decided_event(s);
    s->passes++;
    s->joined = false;
    s->event = 0;
    for (uint32_t i = 0; i < s->now.item_count; i++) {
        struct configuration *c = set_at(s, &s->now, i);
        if (c->state != NONE) {
            node_drop(s, c->node);
        }
    }
    live_release(&s->live);
    uint32_t first = space_first(&s->space);
    memset(s->candidate, 0, s->w->words * sizeof(*s->candidate));
    if (first == SPACE_FULL || !live_init(&s->live, s->w, &s->space, s->b) ||
        !set_reset(s, &s->now, 1) ||
        set_add(s, &s->now, first, s->candidate) == NULL) {
        s->failed = true;
    }
}

/* The history is at its end. */
static enum search_status
pass_end(struct search *s)
{
    if (!s->joined || pass_proves(s)) {
        return SEARCH_VALID;
    }
    if (!s->expired) {
        pass_begin(s);
    }
    return SEARCH_RUNNING;
}

static enum search_status
configurations_run(void *search, uint64_t steps)
{
    struct search *s = search;
    const struct window *w = s->w;
    uint64_t until = steps > UINT64_MAX - s->configurations
                         ? UINT64_MAX
                         : s->configurations + steps;

    /* An event counts as much as a configuration: it costs as much. */
    for (; s->configurations < until; until -= until != UINT64_MAX) {
        if (s->failed) {
            return SEARCH_MEMORY;
        }
        if (s->expired || budget_expired(s->b)) {
            return SEARCH_EXPIRED;
        }
        if (s->closing) {
            uint32_t item = next_work(s);
            if (item != NONE) {
                expand(s, item);
                continue;
            }
            close_end(s);
            if (s->now.live == 0) {
                return SEARCH_INVALID;
            }
            answered(s, w->events[s->event] >> 1);
            continue;
        }
        if (s->event == w->event_count) {
            if (pass_end(s) == SEARCH_VALID) {
                return SEARCH_VALID;
            }
            continue;
        }
        uint32_t member = w->events[s->event] >> 1;
        if ((w->events[s->event] & 1) == 0) {
            invoked(s, member);
            continue;
        }
        answer(s, member);
        if (!s->closing && !s->failed) {
            answered(s, member);
        }
    }
    return SEARCH_RUNNING;
}

/* ---- beginning and end ---- */

static size_t
cover_bytes(const struct window *w)
{
    size_t bits = (size_t)w->open_words * 64;

    return bits * (w->open_words * sizeof(uint64_t) + sizeof(uint32_t));
}

/* Without it, or without memory for it, the search is slower. */
static void
cover_init(struct search *s)
{
    size_t bits = (size_t)s->w->open_words * 64;

    if (s->w->p->calls->model->covers == NULL || bits == 0 ||
        bits > COVER_MAX || !budget_take(s->b, cover_bytes(s->w))) {
        return;
    }
    s->cover.by = xcalloc(bits * s->w->open_words, sizeof(*s->cover.by));
    s->cover.group = xcalloc(bits, sizeof(*s->cover.group));
}

/* Of the sets that a search needs beside its configurations. */
static uint32_t
search_words(const struct window *w)
{
    return w->words * 3 + 1;
}

static void
configurations_release(void *search)
{
    struct search *s = search;
    struct budget *b = s->b;

    set_release(s, &s->now);
    set_release(s, &s->next);
    set_release(s, &s->work);
    budget_free(b, s->buckets.items, s->buckets.cap, sizeof(uint32_t));
    live_release(&s->live);
    if (s->cover.by != NULL) {
        free(s->cover.by);
        free(s->cover.group);
        budget_give(b, cover_bytes(s->w));
    }
    budget_free(b, s->outlooks, s->outlook_cap, sizeof(*s->outlooks));
    budget_free(b, s->legal, s->legal_cap, s->w->pure_words * sizeof(uint64_t));
    budget_free(b, s->moves, s->move_cap, sizeof(*s->moves));
    for (uint32_t i = 0; i < s->chunk_count; i++) {
        budget_free(b, s->chunks[i], NODE_CHUNK, sizeof(struct node));
    }
    budget_free(b, s->chunks, s->chunk_cap, sizeof(*s->chunks));
    budget_free(b, s->candidate, search_words(s->w), sizeof(uint64_t));
    free(s->order);
    space_release(&s->space);
    budget_give(b, sizeof(*s));
    free(s);
}

static void *
configurations_make(const struct window *w, struct budget *b)
{
    size_t bits = (size_t)search_words(w) * sizeof(uint64_t);
    struct space space;

    if (!space_init(&space, w->p, b)) {
        return NULL;
    }
    uint32_t first = space_first(&space);
    if (first == SPACE_FULL || !budget_take(b, sizeof(struct search) + bits)) {
        space_release(&space);
        return NULL;
    }
    struct search *s = xcalloc(1, sizeof(*s));
    s->w = w;
    s->b = b;
    s->space = space;
    s->stride = sizeof(struct configuration) / sizeof(uint64_t) + w->words;
    s->node_free = NONE;
    s->candidate = xcalloc(search_words(w), sizeof(uint64_t));
    s->fresh = s->candidate + w->words;
    s->join = s->fresh + w->words;
    if (!live_init(&s->live, w, &s->space, b) || !set_reset(s, &s->now, 1) ||
        set_add(s, &s->now, first, s->candidate) == NULL) {
        configurations_release(s);
        return NULL;
    }
    cover_init(s);
    return s;
}

static uint32_t
configurations_progress(const void *search)
{
    const struct search *s = search;

    /* Another pass is a step on; only whether it changes counts. */
    return s->passes * (s->w->event_count + 1) + s->event;
}

static bool
configurations_finish(void *search, enum search_status status,
                      struct decision *ret)
{
    struct search *s = search;

    ret->steps = s->space.step_count;
    ret->configurations = s->configurations;
    if (status == SEARCH_INVALID) {
        search_core(s->w, s->event, ret);
        return true;
    }
    search_prefix(s->w, decided_event(s), ret);
    if (status != SEARCH_VALID) {
        return true;
    }
    if (s->order == NULL && !pass_proves(s)) {
        return false;
    }
    ret->order = s->order;
    ret->order_count = s->order_count;
    s->order = NULL;
    return true;
}

const struct search_ops search_configurations = {
    .name = "configurations",
    .make = configurations_make,
    .run = configurations_run,
    .progress = configurations_progress,
    .finish = configurations_finish,
    .release = configurations_release,
};

static bool
configurations_applies(const struct problem *p)
{
    return p->calls->model->step != NULL;
}

static void
configurations_decide(const struct problem *p, struct budget *b,
                      struct decision *ret)
{
    search_decide(&search_configurations, p, b, ret);
}

const struct engine_ops engine_configurations = {
    .name = "configurations",
    .description = "all explanations at once, just in time",
    .applies = configurations_applies,
    .decide = configurations_decide,
};
