/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting what is nearly in order already: histories are, by time as well as
 * by position, up to the concurrency of their clients.
 *
 * Threads: no state.
 */
#ifndef ORDEAL_ANALYZER_ORDER_H
#define ORDEAL_ANALYZER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Elements are moved through a buffer of this size. */
#define ORDER_ELEMENT_MAX 256

/*
 * Stable, in place.  Linear when each element is a few places from where it
 * belongs; never worse than a few times qsort, which takes over when the
 * elements turn out to be in no order.
 */
void order_nearly(void *base, size_t count, size_t size,
                  int (*compare)(const void *, const void *));

/*
 * How many of 'count' items are below, where 'below' holds up to some item and
 * for none from there on.  In steps that double away from 'hint', which is
 * where the answer probably is: what is asked in the order of time has its
 * answers near each other, and a search of all would leave the cache at each
 * of its steps.
 */
typedef bool order_below(const void *arg, uint32_t i);

static inline uint32_t
order_search(uint32_t count, uint32_t hint, order_below *below, const void *arg)
{
    uint32_t low = 0, high = count, step = 1;

    hint = hint < count ? hint : count;
    if (hint < count && below(arg, hint)) {
        low = hint + 1;
        while (step < count - low && below(arg, low + step)) {
            low += step + 1;
            step = step < count / 2 ? 2 * step : step;
        }
        high = step < count - low ? low + step : count;
    } else {
        high = hint;
        while (step <= high && !below(arg, high - step)) {
            high -= step;
            step = step < count / 2 ? 2 * step : step;
        }
        low = step <= high ? high - step + 1 : 0;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (below(arg, middle))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
