/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting what is nearly in order already: histories are, by time as well as
 * by position, up to the concurrency of their clients.
 *
 * Threads: no state.
 */
#ifndef ORDEAL_ANALYZER_ORDER_H
#define ORDEAL_ANALYZER_ORDER_H

#include <stddef.h>

/* Elements are moved through a buffer of this size. */
#define ORDER_ELEMENT_MAX 256

/*
 * Stable, in place.  Linear when each element is a few places from where it
 * belongs; never worse than a few times qsort, which takes over when the
 * elements turn out to be in no order.
 */
void order_nearly(void *base, size_t count, size_t size,
                  int (*compare)(const void *, const void *));

#endif
