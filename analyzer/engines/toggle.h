/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Things that are in one of two states, off at first: an element in a set or
 * not, a lock held or not.  Calls switch one thing on or off, or need it to be
 * on or off.
 *
 * A thing is switched as late as can be: when a call that must happen by now
 * needs it.  Then the call goes that is answered first among those that can
 * switch, open ones last; no other choice leaves more for later (an exchange
 * argument: two calls that switch alike can trade places unless one was
 * answered, and then it went first).  Calls that only look happen as soon as
 * the state is right.
 *
 * Threads: no state of its own.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_TOGGLE_H
#define ORDEAL_ANALYZER_ENGINES_TOGGLE_H

#include "analyzer/engines/exact.h"

enum toggle_kind {
    TOGGLE_OFF,     /* switches off: it was on */
    TOGGLE_ON,      /* switches on: it was off */
    TOGGLE_IS_OFF,  /* found it off */
    TOGGLE_IS_ON,   /* found it on */
    TOGGLE_MAKE_ON, /* it is on afterwards; only of things that no call switches
                       off */
    TOGGLE_NOTHING, /* may be left out */
};

struct toggle {
    const struct problem *p;
    struct budget *b;
    struct decision *d;
    uint8_t *kinds;   /* by member */
    uint32_t *things; /* by member, below thing_count */
    uint32_t thing_count;
    /* INVALID: the member that cannot happen; the core is the calls about its
     * thing invoked up to its answer. */
    uint32_t failed;
};

/* VALID with an order over all things, or UNKNOWN (budget).  False: there is
 * none, and t->failed says where; the decision is left to the caller. */
bool toggle_decide(struct toggle *t);

/* The calls about a member's thing up to its answer. */
void toggle_core(const struct toggle *t, uint32_t member,
                 struct exact_list *core);

#endif
