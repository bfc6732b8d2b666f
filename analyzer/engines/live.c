/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted lists: few calls live at once.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "analyzer/engines/live.h"

bool
live_init(struct live_calls *l, const struct window *w, struct space *space,
          struct budget *b)
{
    memset(l, 0, sizeof(*l));
    if (!budget_take(b, (size_t)w->words * 64 * sizeof(*l->of))) {
        return false;
    }
    l->w = w;
    l->space = space;
    l->b = b;
    l->of = xcalloc((size_t)w->words * 64 + 1, sizeof(*l->of));
    return true;
}

void
live_release(struct live_calls *l)
{
    struct live_list *lists[] = {&l->effects, &l->pures, &l->opens, &l->last};

    if (l->w == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ARRAY_LEN(lists); i++) {
        budget_free(l->b, lists[i]->items, lists[i]->cap, sizeof(uint32_t));
    }
    budget_free(l->b, l->of, l->w->words * 64, sizeof(*l->of));
    memset(l, 0, sizeof(*l));
}

bool
live_list_push(struct live_calls *l, struct live_list *list, uint32_t item)
{
    if (!budget_grow(l->b, (void **)&list->items, &list->cap, list->count + 1,
                     sizeof(*list->items))) {
        return false;
    }
    list->items[list->count++] = item;
    return true;
}

static struct live_list *
live_list(struct live_calls *l, enum window_kind kind)
{
    return kind == WINDOW_PURE   ? &l->pures
           : kind == WINDOW_OPEN ? &l->opens
                                 : &l->effects;
}

/* Puts an open call behind its equals. */
static bool
live_chain_open(struct live_calls *l, uint32_t bit)
{
    struct live *at = &l->of[bit];

    while (l->last.count <= at->class) {
        if (!live_list_push(l, &l->last, LIVE_NONE)) {
            return false;
        }
    }
    at->earlier = l->last.items[at->class];
    l->last.items[at->class] = bit;
    return true;
}

/* Places one that was pushed at the end where it belongs. */
static void
live_sort_in(struct live_calls *l, struct live_list *list)
{
    const uint32_t *complete = l->w->p->calls->complete;
    uint32_t i = list->count - 1, bit = list->items[i];
    uint32_t due = complete[l->of[bit].call];

    for (; i > 0 && complete[l->of[list->items[i - 1]].call] > due; i--) {
        list->items[i] = list->items[i - 1];
    }
    list->items[i] = bit;
    if (list != &l->effects) {
        return;
    }
    uint32_t class = l->of[bit].class;
    for (uint32_t j = i; j-- > 0;) {
        if (l->of[list->items[j]].class == class) {
            l->of[bit].earlier = list->items[j];
            break;
        }
    }
    for (uint32_t j = i + 1; j < list->count; j++) {
        if (l->of[list->items[j]].class == class) {
            l->of[list->items[j]].earlier = bit;
            break;
        }
    }
}

bool
live_add(struct live_calls *l, uint32_t member)
{
    enum window_kind kind = window_kind(l->w, member);
    uint32_t bit = window_bit(l->w, member);
    struct live_list *list = live_list(l, kind);
    struct live *at = &l->of[bit];

    at->call = problem_call(l->w->p, member);
    at->class = space_class(l->space, at->call);
    at->earlier = LIVE_NONE;
    if (at->class == SPACE_FULL || !live_list_push(l, list, bit)) {
        return false;
    }
    if (kind == WINDOW_OPEN) {
        return live_chain_open(l, bit);
    }
    live_sort_in(l, list);
    return true;
}

void
live_remove(struct live_calls *l, uint32_t member)
{
    enum window_kind kind = window_kind(l->w, member);
    uint32_t bit = window_bit(l->w, member), i = 0;
    struct live_list *list = live_list(l, kind);
    const struct live *at = &l->of[bit];

    if (kind == WINDOW_OPEN) { /* only backwards: it is the latest */
        list->count--;
        assert(list->items[list->count] == bit);
        l->last.items[at->class] = at->earlier;
        return;
    }
    while (list->items[i] != bit) {
        i++;
    }
    list->count--;
    for (; i < list->count; i++) {
        list->items[i] = list->items[i + 1];
        struct live *next = &l->of[list->items[i]];
        if (next->earlier == bit && list == &l->effects) {
            next->earlier = at->earlier;
        }
    }
}

bool
live_tidy(struct live_calls *l)
{
    struct live_list *lists[] = {&l->effects, &l->pures, &l->opens};

    if (!space_crowded(l->space,
                       l->effects.count + l->pures.count + l->opens.count)) {
        return true;
    }
    space_forget_classes(l->space);
    l->last.count = 0;
    for (uint32_t k = 0; k < ARRAY_LEN(lists); k++) {
        for (uint32_t i = 0; i < lists[k]->count; i++) {
            uint32_t bit = lists[k]->items[i];
            l->of[bit].class = space_class(l->space, l->of[bit].call);
            if (l->of[bit].class == SPACE_FULL ||
                (k == 2 && !live_chain_open(l, bit))) {
                return false;
            }
        }
    }
    return true;
}
