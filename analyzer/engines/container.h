/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engines of queues and stacks share: elements that come and go once
 * each, removals that found nothing, and open removals, which may have taken
 * something.  Function 0 puts in, function 1 takes out, for both.
 *
 * Where an element is certainly inside, and where something certainly is, is
 * all that an empty removal can be judged by: Henzinger, Sezgin and Vafeiadis,
 * "Aspect-oriented linearizability proofs", CONCUR 2013.
 *
 * Threads: no state of its own.
 */
#ifndef ORDEAL_ANALYZER_ENGINES_CONTAINER_H
#define ORDEAL_ANALYZER_ENGINES_CONTAINER_H

#include "analyzer/engines/exact.h"

#define CONTAINER_NEVER UINT32_MAX /* a rank after all others */

/*
 * One element: when it can have come and gone.  An element that went had come
 * by then, and went only after it began to come: come_end and go_begin are that
 * much narrower than the calls.  It is certainly inside at the ranks strictly
 * between come_end and go_begin.
 */
struct container_element {
    uint32_t value;
    uint32_t come, go; /* calls; go is EXACT_NONE: nobody is known to have
                          taken it */
    uint32_t come_begin, come_end, go_begin, go_end; /* ranks */
};

struct container {
    const struct problem *p;
    const struct calls *c;
    struct budget *b;
    struct decision *d;
    struct container_element *elements;
    uint32_t count;
    struct exact_list empties; /* removals that found nothing, by invoke */
    struct exact_list open; /* removals whose result nobody knows, by invoke */
    struct exact_index by_value;
    size_t bytes;
};

bool container_applies(const struct problem *p);

/*
 * Fills the container.  False: *ret is decided (UNKNOWN: values put in twice;
 * INVALID: taken out what nobody put in, twice, or before it came).  Open puts
 * that nobody saw are left out: without them every other call is explained as
 * before.
 */
bool container_init(struct container *k, const struct problem *p,
                    struct budget *b, struct decision *ret);
void container_release(struct container *k);
bool container_take(struct container *k, size_t bytes);

/* Elements by rising rank; the low half of each number is the element. */
enum container_rank { CONTAINER_COME_END, CONTAINER_GO_END };
bool container_sort(struct container *k, enum container_rank by,
                    uint64_t *numbers);

/*
 * For each empty removal the first rank at which nothing is certainly inside;
 * 'by_end' are the elements by come_end.  False: one has none; it is
 * k->empties.items[*ret_failed].
 */
bool container_gaps(const struct container *k, const uint64_t *by_end,
                    uint32_t *ranks, uint32_t *ret_failed);

/* The fewest elements of which at each rank from 'from' to 'to' one is
 * certainly inside, in their order.  There must be such. */
void container_cover(const struct container *k, const uint64_t *by_end,
                     uint32_t from, uint32_t to, struct exact_list *chain);

/* INVALID: 'empty' found nothing although the chain was there.  'more' are
 * further calls of the core. */
void container_invalid_empty(struct container *k, uint32_t empty,
                             const struct exact_list *chain,
                             const struct exact_list *more);

/* The calls that bound an element's stay: its come_end and go_begin. */
uint32_t container_come_end_call(const struct container *k, uint32_t element);
uint32_t container_go_begin_call(const struct container *k, uint32_t element);

#endif
