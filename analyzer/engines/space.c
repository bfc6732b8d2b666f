/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States lie one after the other in one array of words; a sweep moves the
 * living ones together and keeps their numbers.  The memory of steps is a
 * direct-mapped cache: it may forget, it never errs, because keys are compared
 * in full.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/engines/space.h"

#define SPACE_NONE UINT32_MAX
#define SPACE_TABLE_MIN 64         /* small histories must stay cheap */
#define SPACE_STEPS_MAX (1u << 16) /* 768 KiB: fits the second-level cache */
#define SPACE_SWEEP_STATES 4096
#define SPACE_SWEEP_WORDS (1u << 18)
#define SPACE_CLASSES_SPARE 4096

bool
budget_grow(struct budget *b, void **items, uint32_t *cap, uint32_t need,
            size_t item_size)
{
    uint64_t grown = *cap < 16 ? 16 : *cap;

    if (need <= *cap) {
        return true;
    }
    while (grown < need) {
        grown *= 2;
    }
    if (grown > UINT32_MAX - 1) {
        return false;
    }
    /* Both exist while one is copied into the other. */
    if (!budget_take(b, (size_t)grown * item_size)) {
        return false;
    }
    *items = xrealloc(*items, (size_t)grown * item_size);
    budget_give(b, (size_t)*cap * item_size);
    *cap = (uint32_t)grown;
    return true;
}

void
budget_free(struct budget *b, void *items, uint32_t cap, size_t item_size)
{
    free(items);
    budget_give(b, (size_t)cap * item_size);
}

/* A table of 'count' (a power of two) empty places. */
static uint32_t *
space_table(struct space *s, uint32_t count)
{
    size_t bytes = (size_t)count * sizeof(uint32_t);

    if (!budget_take(s->budget, bytes)) {
        return NULL;
    }
    uint32_t *table = xrealloc(NULL, bytes);
    memset(table, 0xff, bytes);
    return table;
}

static void
space_table_free(struct space *s, uint32_t *table, uint32_t mask)
{
    if (table != NULL) {
        budget_free(s->budget, table, mask + 1, sizeof(*table));
    }
}

static struct space_step *
space_steps(struct space *s, uint32_t count)
{
    size_t bytes = (size_t)count * sizeof(struct space_step);

    if (!budget_take(s->budget, bytes)) {
        return NULL;
    }
    struct space_step *steps = xrealloc(NULL, bytes);
    memset(steps, 0xff, bytes);
    return steps;
}

bool
space_init(struct space *s, const struct problem *p, struct budget *budget)
{
    memset(s, 0, sizeof(*s));
    s->p = p;
    s->budget = budget;
    s->state_free = SPACE_NONE;
    s->sweep_states = SPACE_SWEEP_STATES;
    s->sweep_words = SPACE_SWEEP_WORDS;
    s->state_table = space_table(s, SPACE_TABLE_MIN);
    s->state_mask = SPACE_TABLE_MIN - 1;
    s->class_table = space_table(s, SPACE_TABLE_MIN);
    s->class_mask = SPACE_TABLE_MIN - 1;
    s->steps = space_steps(s, SPACE_TABLE_MIN);
    s->step_mask = SPACE_TABLE_MIN - 1;
    if (s->state_table == NULL || s->class_table == NULL || s->steps == NULL) {
        space_release(s);
        return false;
    }
    return true;
}

void
space_release(struct space *s)
{
    struct budget *b = s->budget;

    budget_free(b, s->words, s->word_cap, sizeof(*s->words));
    budget_free(b, s->states, s->state_cap, sizeof(*s->states));
    budget_free(b, s->representatives, s->class_cap,
                sizeof(*s->representatives));
    space_table_free(s, s->state_table, s->state_mask);
    space_table_free(s, s->class_table, s->class_mask);
    if (s->steps != NULL) {
        budget_free(b, s->steps, s->step_mask + 1, sizeof(*s->steps));
    }
    model_state_release(&s->next);
    memset(s, 0, sizeof(*s));
}

/* ---- states ---- */

static uint32_t
space_hash_words(const uint32_t *words, uint32_t count)
{
    uint64_t h = count;

    for (uint32_t i = 0; i < count; i++) {
        h = space_mix(h, words[i]);
    }
    return (uint32_t)(h ^ (h >> 32));
}

static void
space_table_put(uint32_t *table, uint32_t mask, uint32_t hash, uint32_t value)
{
    uint32_t i = hash & mask;

    while (table[i] != SPACE_NONE) {
        i = (i + 1) & mask;
    }
    table[i] = value;
}

static bool
space_state_rehash(struct space *s, uint32_t count)
{
    uint32_t *table = space_table(s, count);

    if (table == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < s->state_count; i++) {
        if (s->states[i].count != SPACE_ILLEGAL) {
            space_table_put(table, count - 1, s->states[i].hash, i);
        }
    }
    space_table_free(s, s->state_table, s->state_mask);
    s->state_table = table;
    s->state_mask = count - 1;
    return true;
}

static uint32_t
space_state_new(struct space *s, uint32_t hash)
{
    const struct model_state *m = &s->next;
    uint32_t id = s->state_free;

    if (m->count > SPACE_FULL - s->word_count ||
        !budget_grow(s->budget, (void **)&s->words, &s->word_cap,
                     s->word_count + m->count, sizeof(*s->words))) {
        return SPACE_FULL;
    }
    if (id != SPACE_NONE) {
        s->state_free = s->states[id].hash;
    } else {
        if (!budget_grow(s->budget, (void **)&s->states, &s->state_cap,
                         s->state_count + 1, sizeof(*s->states))) {
            return SPACE_FULL;
        }
        id = s->state_count++;
    }
    s->states[id] = (struct space_state){s->word_count, m->count, hash};
    if (m->count > 0) {
        memcpy(s->words + s->word_count, m->words,
               (size_t)m->count * sizeof(*s->words));
    }
    s->word_count += m->count;
    s->state_live++;
    return id;
}

/* The number of the state in s->next. */
static uint32_t
space_intern(struct space *s)
{
    const struct model_state *m = &s->next;
    uint32_t hash = space_hash_words(m->words, m->count);

    for (uint32_t i = hash & s->state_mask; s->state_table[i] != SPACE_NONE;
         i = (i + 1) & s->state_mask) {
        const struct space_state *at = &s->states[s->state_table[i]];
        if (at->hash == hash && at->count == m->count &&
            (m->count == 0 ||
             memcmp(s->words + at->offset, m->words,
                    (size_t)m->count * sizeof(*m->words)) == 0)) {
            return s->state_table[i];
        }
    }
    if (s->state_live >= s->state_mask / 2 &&
        !space_state_rehash(s, (s->state_mask + 1) * 2)) {
        return SPACE_FULL;
    }
    uint32_t id = space_state_new(s, hash);
    if (id != SPACE_FULL) {
        space_table_put(s->state_table, s->state_mask, hash, id);
    }
    return id;
}

uint32_t
space_first(struct space *s)
{
    const struct calls *c = s->p->calls;

    model_state_resize(&s->next, 0);
    c->model->init(c, s->p->key, &s->next);
    return space_intern(s);
}

bool
space_wants_sweep(const struct space *s)
{
    return s->state_live > s->sweep_states || s->word_count > s->sweep_words;
}

/* Moves the living words together, in the order in which they lie. */
static void
space_compact(struct space *s)
{
    uint32_t *words = s->words, to = 0;

    /* New states take free numbers, so offsets do not rise with the number:
     * copy out in order of number. */
    size_t bytes = (size_t)s->word_cap * sizeof(*words);
    uint32_t *fresh = xrealloc(NULL, bytes == 0 ? 1 : bytes);
    for (uint32_t i = 0; i < s->state_count; i++) {
        struct space_state *at = &s->states[i];
        if (at->count == SPACE_ILLEGAL || at->count == 0) {
            continue;
        }
        memcpy(fresh + to, words + at->offset,
               (size_t)at->count * sizeof(*words));
        at->offset = to;
        to += at->count;
    }
    free(words);
    s->words = fresh;
    s->word_count = to;
}

void
space_sweep(struct space *s, const uint64_t *marks)
{
    size_t bytes = (size_t)s->word_cap * sizeof(*s->words);

    s->sweep_states = UINT32_MAX; /* when there is no room to do it in */
    s->sweep_words = UINT32_MAX;
    if (!budget_take(s->budget, bytes)) {
        return;
    }
    for (uint32_t i = 0; i < s->state_count; i++) {
        if ((marks[i / 64] >> (i % 64) & 1) == 0 &&
            s->states[i].count != SPACE_ILLEGAL) {
            s->states[i] =
                (struct space_state){0, SPACE_ILLEGAL, s->state_free};
            s->state_free = i;
            s->state_live--;
        }
    }
    space_compact(s);
    budget_give(s->budget, bytes);
    memset(s->state_table, 0xff,
           ((size_t)s->state_mask + 1) * sizeof(*s->state_table));
    for (uint32_t i = 0; i < s->state_count; i++) {
        if (s->states[i].count != SPACE_ILLEGAL) {
            space_table_put(s->state_table, s->state_mask, s->states[i].hash,
                            i);
        }
    }
    memset(s->steps, 0xff, ((size_t)s->step_mask + 1) * sizeof(*s->steps));
    s->sweep_states = s->state_live > UINT32_MAX / 4
                          ? UINT32_MAX
                          : s->state_live * 2 + SPACE_SWEEP_STATES;
    s->sweep_words = s->word_count > UINT32_MAX / 4
                         ? UINT32_MAX
                         : s->word_count * 2 + SPACE_SWEEP_WORDS;
}

/* ---- classes ---- */

static uint32_t
space_hash_call(const struct calls *c, uint32_t call)
{
    uint64_t h = (uint64_t)c->function[call] << 1 |
                 (c->complete[call] == CALL_OPEN ? 1 : 0);

    h = space_mix(h, (uint64_t)c->a[call] << 32 | c->b[call]);
    h = space_mix(h, (uint64_t)c->key[call] << 32 | c->result[call]);
    for (uint32_t i = 0, n = call_list_count(c, call); i < n; i++) {
        h = space_mix(h, call_list(c, call)[i]);
    }
    return (uint32_t)(h ^ (h >> 32));
}

static bool
space_same_class(const struct calls *c, uint32_t x, uint32_t y)
{
    uint32_t count = call_list_count(c, x);

    return c->function[x] == c->function[y] && c->key[x] == c->key[y] &&
           c->a[x] == c->a[y] && c->b[x] == c->b[y] &&
           c->result[x] == c->result[y] &&
           (c->complete[x] == CALL_OPEN) == (c->complete[y] == CALL_OPEN) &&
           count == call_list_count(c, y) &&
           (count == 0 || memcmp(call_list(c, x), call_list(c, y),
                                 (size_t)count * sizeof(uint32_t)) == 0);
}

static bool
space_class_rehash(struct space *s, uint32_t count)
{
    uint32_t *table = space_table(s, count);

    if (table == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < s->class_count; i++) {
        space_table_put(table, count - 1,
                        space_hash_call(s->p->calls, s->representatives[i]), i);
    }
    space_table_free(s, s->class_table, s->class_mask);
    s->class_table = table;
    s->class_mask = count - 1;
    return true;
}

uint32_t
space_class(struct space *s, uint32_t call)
{
    uint32_t hash = space_hash_call(s->p->calls, call);

    for (uint32_t i = hash & s->class_mask; s->class_table[i] != SPACE_NONE;
         i = (i + 1) & s->class_mask) {
        if (space_same_class(s->p->calls, call,
                             s->representatives[s->class_table[i]])) {
            return s->class_table[i];
        }
    }
    if (s->class_count >= s->class_mask / 2 &&
        !space_class_rehash(s, (s->class_mask + 1) * 2)) {
        return SPACE_FULL;
    }
    if (!budget_grow(s->budget, (void **)&s->representatives, &s->class_cap,
                     s->class_count + 1, sizeof(*s->representatives))) {
        return SPACE_FULL;
    }
    s->representatives[s->class_count] = call;
    space_table_put(s->class_table, s->class_mask, hash, s->class_count);
    return s->class_count++;
}

bool
space_crowded(const struct space *s, uint32_t live)
{
    return s->class_count > live * 2 + SPACE_CLASSES_SPARE;
}

void
space_forget_classes(struct space *s)
{
    s->class_count = 0;
    memset(s->class_table, 0xff,
           ((size_t)s->class_mask + 1) * sizeof(*s->class_table));
    memset(s->steps, 0xff, ((size_t)s->step_mask + 1) * sizeof(*s->steps));
}

/* ---- steps ---- */

static void
space_steps_grow(struct space *s)
{
    uint32_t count = (s->step_mask + 1) * 4;
    struct space_step *steps;

    s->step_misses = 0;
    if (count > SPACE_STEPS_MAX || (steps = space_steps(s, count)) == NULL) {
        return; /* a small memory is slower, not wrong */
    }
    budget_free(s->budget, s->steps, s->step_mask + 1, sizeof(*s->steps));
    s->steps = steps;
    s->step_mask = count - 1;
}

uint32_t
space_step(struct space *s, uint32_t state, uint32_t call, uint32_t class)
{
    const struct calls *c = s->p->calls;
    uint64_t h = space_mix(state, class);
    struct space_step *at = &s->steps[(h ^ (h >> 32)) & s->step_mask];

    if (at->state == state && at->class == class) {
        return at->next;
    }
    if (s->step_misses++ > s->step_mask) {
        space_steps_grow(s);
        at = &s->steps[(h ^ (h >> 32)) & s->step_mask];
    }
    const struct space_state *from = &s->states[state];
    struct model_state in = {from->count, from->count, NULL};
    if (from->count > 0) {
        in.words = s->words + from->offset;
    }
    s->step_count++;
    uint32_t next = SPACE_ILLEGAL;
    if (c->model->step(c, call, &in, &s->next)) {
        next = space_intern(s);
        if (next == SPACE_FULL) {
            return next;
        }
    }
    *at = (struct space_step){state, class, next};
    return next;
}
