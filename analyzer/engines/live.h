/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that live at one moment of a walk through a window, forwards or
 * backwards.  Of calls with equal contents it knows which goes first: of
 * definite ones that which is answered first, of open ones that which was
 * invoked first.  (Exchange argument: if the other went first, swap the two.)
 *
 * Threads: one.  All memory is counted in the budget.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_LIVE_H
#define ORDEAL_ANALYZER_ENGINES_LIVE_H

#include "analyzer/engines/space.h"
#include "analyzer/engines/window.h"

#define LIVE_NONE UINT32_MAX

struct live {
    uint32_t call, class;
    uint32_t earlier; /* the equal call right before this one, or NONE */
};

struct live_list {
    uint32_t *items, count, cap; /* bits */
};

struct live_calls {
    const struct window *w;
    struct space *space;
    struct budget *b;
    struct live *of;                 /* per bit */
    struct live_list effects, pures; /* first answered first */
    struct live_list opens;          /* first invoked first */
    struct live_list last;           /* per class: latest open bit */
};

/* False, here and below: memory. */
bool live_init(struct live_calls *l, const struct window *w,
               struct space *space, struct budget *b);
void live_release(struct live_calls *l);

/* The call of this member comes to live, or goes. */
bool live_add(struct live_calls *l, uint32_t member);
void live_remove(struct live_calls *l, uint32_t member);

/* To be called now and then: lets the space forget classes of dead calls. */
bool live_tidy(struct live_calls *l);

bool live_list_push(struct live_calls *l, struct live_list *list,
                    uint32_t item);

/* Whether an equal call must be linearized first.  Bits of definite calls are
 * set when linearized, of open ones when used. */
static inline bool
live_out_of_turn(const struct live_calls *l, const uint64_t *bits, uint32_t bit)
{
    for (uint32_t e = l->of[bit].earlier; e != LIVE_NONE;
         e = l->of[e].earlier) {
        if (!bit_get(bits, e)) {
            return true;
        }
    }
    return false;
}

#endif
