/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depth first: one explanation at a time (Wing and Gong, "Testing and
 * verifying concurrent objects", 1993; with the memory of Lowe, 2017).
 *
 * The walk goes through the events of the window.  At an answer whose call is
 * not linearized yet it must choose a call to linearize; the choice is
 * remembered in a frame, and undone when nothing that follows works:
 *
 *   1. the call that is answered            deadline order: what must end
 *   2. live calls after which it is legal   first goes first
 *   3. open calls after which it is legal   an open call is used only when
 *   4. other live calls                     nothing definite helps
 *   5. other open calls
 *
 * What was visited is remembered by (event, state, linearized calls), with the
 * same dominance as in configurations.c: nothing is tried again that has used
 * more open calls or has more reads pending.  The memory is bounded; when it is
 * full it is emptied, which costs time and never truth.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/engines/live.h"
#include "analyzer/engines/search.h"

#define NONE UINT32_MAX
/* The memory of visited places may use a quarter of the budget, and no more
 * than this and so much a call: places far behind are not visited again. */
#define MEMORY_BYTES ((size_t)4 << 20)
#define MEMORY_CALL_BYTES 8

/* One call that was linearized; the pure part of the bits before follows. */
struct frame {
    uint32_t bit, state, event; /* before it: state and event */
    uint32_t rank;              /* of the choice */
};

/* A place that was visited; its bits follow. */
struct visited {
    uint32_t event, state, chain, unused;
};

/* What may be chosen: rank = phase << 24 | place in its list. */
enum phase {
    PHASE_TARGET,
    PHASE_EFFECT_HELPS,
    PHASE_OPEN_HELPS,
    PHASE_EFFECT,
    PHASE_OPEN,
    PHASE_END
};
#define PHASE_SHIFT 28
#define PHASE_PLACE_MAX ((1u << PHASE_SHIFT) - 1)

struct search {
    const struct window *w;
    struct budget *b;
    struct space space;
    struct live_calls live;
    uint32_t event, state, furthest;
    uint64_t *bits;
    bool failed, expired; /* memory, time ran out */
    bool backwards;
    uint32_t rank; /* where to go on choosing */
    uint64_t *frames;
    uint32_t frame_count, frame_cap, frame_words;
    uint64_t *places;
    uint32_t place_count, place_cap, place_max, place_words;
    uint32_t *heads, head_cap, head_mask;
    uint64_t visits;
};

static struct frame *
frame_at(const struct search *s, uint32_t i)
{
    return (struct frame *)&s->frames[(size_t)i * s->frame_words];
}

static struct visited *
place_at(const struct search *s, uint32_t i)
{
    return (struct visited *)&s->places[(size_t)i * s->place_words];
}

/* ---- what was visited ---- */

static uint32_t
place_hash(const struct search *s, uint32_t event, uint32_t state,
           const uint64_t *bits)
{
    uint64_t h = space_mix(event, state);

    for (uint32_t i = 0; i < s->w->effect_words; i++) {
        h = space_mix(h, bits[i]);
    }
    return (uint32_t)(h ^ (h >> 32)) & s->head_mask;
}

static void
places_forget(struct search *s)
{
    s->place_count = 0;
    memset(s->heads, 0xff, ((size_t)s->head_mask + 1) * sizeof(*s->heads));
}

static bool
places_rehash(struct search *s)
{
    uint32_t heads = (s->head_mask + 1) * 2;

    if (!budget_grow(s->b, (void **)&s->heads, &s->head_cap, heads,
                     sizeof(*s->heads))) {
        return false;
    }
    s->head_mask = heads - 1;
    memset(s->heads, 0xff, (size_t)heads * sizeof(*s->heads));
    for (uint32_t i = 0; i < s->place_count; i++) {
        struct visited *v = place_at(s, i);
        uint32_t h = place_hash(s, v->event, v->state, (uint64_t *)(v + 1));
        v->chain = s->heads[h];
        s->heads[h] = i;
    }
    return true;
}

static bool
place_covers(const struct search *s, const struct visited *v)
{
    const uint64_t *have = (const uint64_t *)(v + 1);
    uint32_t i = 0;

    if (v->event != s->event || v->state != s->state) {
        return false;
    }
    for (; i < s->w->effect_words; i++) {
        if (have[i] != s->bits[i]) {
            return false;
        }
    }
    for (; i < s->w->words; i++) {
        if ((have[i] & ~s->bits[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* Whether here, or a better place, was tried already; now it is. */
static bool
visit(struct search *s)
{
    uint32_t h = place_hash(s, s->event, s->state, s->bits);

    for (uint32_t i = s->heads[h]; i != NONE; i = place_at(s, i)->chain) {
        if (place_covers(s, place_at(s, i))) {
            return true;
        }
    }
    s->visits++;
    if (s->place_count >= s->place_max ||
        !budget_grow(s->b, (void **)&s->places, &s->place_cap,
                     s->place_count + 1, s->place_words * sizeof(uint64_t)) ||
        (s->place_count > s->head_mask && !places_rehash(s))) {
        places_forget(s);
        if (s->place_cap == 0) {
            return false; /* no room at all: go on without */
        }
    }
    h = place_hash(s, s->event, s->state, s->bits);
    uint32_t i = s->place_count++;
    struct visited *v = place_at(s, i);
    *v = (struct visited){s->event, s->state, s->heads[h], 0};
    memcpy(v + 1, s->bits, s->w->words * sizeof(uint64_t));
    s->heads[h] = i;
    return false;
}

/* ---- walking ---- */

static uint32_t
step(struct search *s, uint32_t state, uint32_t bit)
{
    const struct live *l = &s->live.of[bit];
    uint32_t next = space_step(&s->space, state, l->call, l->class);

    if (next == SPACE_FULL) {
        s->failed = true;
        return SPACE_ILLEGAL;
    }
    return next;
}

/* Linearizes what is pending, legal and changes nothing. */
static void
eager(struct search *s)
{
    for (uint32_t i = 0; i < s->live.pures.count; i++) {
        uint32_t bit = s->live.pures.items[i];
        if (bit_get(s->bits, bit) && step(s, s->state, bit) != SPACE_ILLEGAL) {
            bit_clear(s->bits, bit);
        }
    }
}

static void
come(struct search *s, uint32_t member)
{
    uint32_t bit = window_bit(s->w, member);

    if (!live_add(&s->live, member) || !live_tidy(&s->live)) {
        s->failed = true;
    } else if (window_kind(s->w, member) == WINDOW_PURE &&
               step(s, s->state, bit) == SPACE_ILLEGAL) {
        bit_set(s->bits, bit);
    }
}

/* On to the next answer whose call is not linearized, or to the end. */
static void
advance(struct search *s)
{
    for (; s->event < s->w->event_count && !s->failed; s->event++) {
        uint32_t member = s->w->events[s->event] >> 1;
        if ((s->w->events[s->event] & 1) == 0) {
            come(s, member);
            continue;
        }
        uint32_t bit = window_bit(s->w, member);
        bool pure = window_kind(s->w, member) == WINDOW_PURE;
        if (bit_get(s->bits, bit) == pure) {
            break;
        }
        bit_clear(s->bits, bit);
        live_remove(&s->live, member);
    }
    if (s->event > s->furthest) {
        s->furthest = s->event;
    }
}

/* The same backwards; the pure part of the bits is put right by the caller. */
static void
retreat(struct search *s, uint32_t event)
{
    while (s->event > event && !s->failed) {
        uint32_t member = s->w->events[--s->event] >> 1;
        uint32_t bit = window_bit(s->w, member);
        if ((s->w->events[s->event] & 1) == 0) {
            bit_clear(s->bits, bit);
            live_remove(&s->live, member);
            continue;
        }
        s->failed = !live_add(&s->live, member);
        if (window_kind(s->w, member) == WINDOW_EFFECT) {
            bit_set(s->bits, bit);
        }
    }
}

static bool
frame_push(struct search *s, uint32_t bit, uint32_t rank)
{
    if (!budget_grow(s->b, (void **)&s->frames, &s->frame_cap,
                     s->frame_count + 1, s->frame_words * sizeof(uint64_t))) {
        s->failed = true;
        return false;
    }
    struct frame *f = frame_at(s, s->frame_count++);
    *f = (struct frame){bit, s->state, s->event, rank};
    memcpy(f + 1, s->bits + s->w->effect_words,
           s->w->pure_words * sizeof(uint64_t));
    return true;
}

static void
frame_pop(struct search *s)
{
    const struct frame *f = frame_at(s, --s->frame_count);

    retreat(s, f->event);
    bit_clear(s->bits, f->bit);
    s->state = f->state;
    memcpy(s->bits + s->w->effect_words, f + 1,
           s->w->pure_words * sizeof(uint64_t));
    s->rank = f->rank + 1;
}

/* ---- choosing ---- */

/* Whether the call that is answered could come right after. */
static bool
helps(struct search *s, uint32_t next)
{
    uint32_t target = window_bit(s->w, s->w->events[s->event] >> 1);

    return step(s, next, target) != SPACE_ILLEGAL;
}

/* Whether 'bit' is a choice in this phase; its next state. */
static bool
eligible(struct search *s, enum phase phase, uint32_t bit, uint32_t *ret)
{
    bool open = phase == PHASE_OPEN || phase == PHASE_OPEN_HELPS;
    bool help = phase == PHASE_EFFECT_HELPS || phase == PHASE_OPEN_HELPS;
    bool target = bit == window_bit(s->w, s->w->events[s->event] >> 1);

    if (bit_get(s->bits, bit) || live_out_of_turn(&s->live, s->bits, bit) ||
        target != (phase == PHASE_TARGET)) {
        return false;
    }
    *ret = step(s, s->state, bit);
    if (*ret == SPACE_ILLEGAL || (open && *ret == s->state)) {
        return false;
    }
    return target || helps(s, *ret) == help;
}

/* The next choice from s->rank on; false: there is none. */
static bool
choose(struct search *s, uint32_t *ret_bit, uint32_t *ret_next)
{
    for (uint32_t phase = s->rank >> PHASE_SHIFT; phase < PHASE_END; phase++) {
        bool open = phase == PHASE_OPEN || phase == PHASE_OPEN_HELPS;
        const struct live_list *list = open ? &s->live.opens : &s->live.effects;
        uint32_t i =
            phase == s->rank >> PHASE_SHIFT ? s->rank & PHASE_PLACE_MAX : 0;
        /* What is answered first stands first. */
        uint32_t end =
            phase == PHASE_TARGET && list->count > 1 ? 1 : list->count;
        for (; i < end && !s->failed && !s->expired; i++) {
            s->expired = budget_expired(s->b); /* there may be thousands */
            if (eligible(s, (enum phase)phase, list->items[i], ret_next)) {
                *ret_bit = list->items[i];
                s->rank = phase << PHASE_SHIFT | i;
                return true;
            }
        }
    }
    return false;
}

static void
sweep(struct search *s)
{
    size_t words = s->space.state_count / 64 + 1;

    if (!budget_take(s->b, words * sizeof(uint64_t))) {
        return;
    }
    uint64_t *marks = xcalloc(words, sizeof(*marks));
    bit_set(marks, s->state);
    for (uint32_t i = 0; i < s->frame_count; i++) {
        bit_set(marks, frame_at(s, i)->state);
    }
    places_forget(s);
    space_sweep(&s->space, marks);
    free(marks);
    budget_give(s->b, words * sizeof(uint64_t));
}

/* One choice, or one step back. */
static enum search_status
move(struct search *s)
{
    uint32_t bit, next;

    if (s->backwards) {
        if (s->frame_count == 0) {
            return SEARCH_INVALID;
        }
        frame_pop(s);
        s->backwards = false;
    } else {
        if (s->event == s->w->event_count) {
            return SEARCH_VALID;
        }
        if (visit(s)) {
            s->backwards = true;
            return SEARCH_RUNNING;
        }
        s->rank = 0;
    }
    if (!choose(s, &bit, &next)) {
        s->backwards = true;
        return SEARCH_RUNNING;
    }
    if (!frame_push(s, bit, s->rank)) {
        return SEARCH_MEMORY;
    }
    bit_set(s->bits, bit);
    s->state = next;
    eager(s);
    advance(s);
    if (space_wants_sweep(&s->space)) {
        sweep(s);
    }
    return SEARCH_RUNNING;
}

static enum search_status
depth_run(void *search, uint64_t steps)
{
    struct search *s = search;

    for (; steps > 0; steps -= steps != UINT64_MAX) {
        if (budget_expired(s->b)) {
            return SEARCH_EXPIRED;
        }
        enum search_status status = move(s);
        if (s->failed || s->expired) {
            return s->failed ? SEARCH_MEMORY : SEARCH_EXPIRED;
        }
        if (status != SEARCH_RUNNING) {
            return status;
        }
    }
    return SEARCH_RUNNING;
}

/* ---- beginning and end ---- */

static void
depth_release(void *search)
{
    struct search *s = search;
    struct budget *b = s->b;

    budget_free(b, s->frames, s->frame_cap, s->frame_words * sizeof(uint64_t));
    budget_free(b, s->places, s->place_cap, s->place_words * sizeof(uint64_t));
    budget_free(b, s->heads, s->head_cap, sizeof(*s->heads));
    budget_free(b, s->bits, s->w->words + 1, sizeof(uint64_t));
    live_release(&s->live);
    space_release(&s->space);
    budget_give(b, sizeof(*s));
    free(s);
}

static uint32_t
places_max(const struct window *w, const struct budget *b)
{
    size_t bytes = MEMORY_BYTES + (size_t)w->p->count * MEMORY_CALL_BYTES;

    if (bytes > b->memory_bytes / 4) {
        bytes = b->memory_bytes / 4;
    }
    return (uint32_t)(bytes /
                      (w->words * sizeof(uint64_t) + sizeof(struct visited)));
}

static void *
depth_make(const struct window *w, struct budget *b)
{
    struct space space;

    if (!space_init(&space, w->p, b)) {
        return NULL;
    }
    uint32_t first = space_first(&space);
    size_t bytes = ((size_t)w->words + 1) * sizeof(uint64_t);
    if (first == SPACE_FULL || !budget_take(b, sizeof(struct search) + bytes)) {
        space_release(&space);
        return NULL;
    }
    struct search *s = xcalloc(1, sizeof(*s));
    s->w = w;
    s->b = b;
    s->space = space;
    s->state = first;
    s->bits = xcalloc(w->words + 1, sizeof(*s->bits));
    s->frame_words = 2 + w->pure_words;
    s->place_words = 2 + w->words;
    s->place_max = places_max(w, b);
    s->head_mask = 31;
    if (!live_init(&s->live, w, &s->space, b) ||
        !budget_grow(b, (void **)&s->heads, &s->head_cap, s->head_mask + 1,
                     sizeof(*s->heads))) {
        depth_release(s);
        return NULL;
    }
    places_forget(s);
    advance(s);
    return s;
}

static uint32_t
depth_progress(const void *search)
{
    return ((const struct search *)search)->furthest;
}

static bool
depth_finish(void *search, enum search_status status, struct decision *ret)
{
    struct search *s = search;
    size_t bytes = ((size_t)s->frame_count + 1) * sizeof(uint32_t);

    ret->steps = s->space.step_count;
    ret->configurations = s->visits;
    if (status == SEARCH_INVALID) {
        search_core(s->w, s->furthest, ret);
        return true;
    }
    search_prefix(s->w, s->furthest, ret);
    if (status != SEARCH_VALID) {
        return true;
    }
    if (!budget_take(s->b, bytes)) {
        return false;
    }
    /* A bit names its call only while it lives: walk back. */
    uint32_t *effects = xrealloc(NULL, bytes), count = s->frame_count;
    for (uint32_t i = count; i-- > 0;) {
        const struct frame *f = frame_at(s, i);
        retreat(s, f->event);
        effects[i] = s->live.of[f->bit].call;
        bit_clear(s->bits, f->bit);
    }
    ret->order =
        search_place_pure(s->w, s->b, effects, count, NULL, &ret->order_count);
    free(effects);
    budget_give(s->b, bytes);
    return ret->order != NULL;
}

const struct search_ops search_depth = {
    .name = "depth",
    .make = depth_make,
    .run = depth_run,
    .progress = depth_progress,
    .finish = depth_finish,
    .release = depth_release,
};

static bool
depth_applies(const struct problem *p)
{
    return p->calls->model->step != NULL;
}

static void
depth_decide(const struct problem *p, struct budget *b, struct decision *ret)
{
    search_decide(&search_depth, p, b, ret);
}

const struct engine_ops engine_depth = {
    .name = "depth",
    .description = "one explanation after the other",
    .applies = depth_applies,
    .decide = depth_decide,
};
