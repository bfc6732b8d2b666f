/* SPDX-License-Identifier: Apache-2.0 */
/* Insertion sort with an allowance of moves; glibc's merge sort beyond it. */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/order.h"

/* Moves per element: more clients than this at once are rare. */
#define ORDER_MOVES_PER_ELEMENT 32

void
order_nearly(void *base, size_t count, size_t size,
             int (*compare)(const void *, const void *))
{
    unsigned char element[ORDER_ELEMENT_MAX], *a = base;
    size_t allowance = count * ORDER_MOVES_PER_ELEMENT;

    assert(size > 0 && size <= ORDER_ELEMENT_MAX);
    for (size_t i = 1; i < count; i++) {
        size_t at = i;

        if (compare(a + (i - 1) * size, a + i * size) <= 0)
            continue;
        memcpy(element, a + i * size, size);
        while (at > 0 && allowance > 0 &&
               compare(a + (at - 1) * size, element) > 0) {
            at--;
            allowance--;
        }
        if (allowance == 0) {
            qsort(base, count, size, compare);
            return;
        }
        memmove(a + (at + 1) * size, a + at * size, (i - at) * size);
        memcpy(a + at * size, element, size);
    }
}
