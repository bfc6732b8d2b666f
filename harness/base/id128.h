/* SPDX-License-Identifier: Apache-2.0 */
/* A 128-bit identifier: operation ids, lease ids, resource and holder ids. */
#ifndef ORDEAL_BASE_ID128_H
#define ORDEAL_BASE_ID128_H

#include <stdbool.h>
#include <stdint.h>

struct id128 {
    uint64_t hi, lo;
};

#define ID128_TEXT_SIZE 33 /* 32 hex digits and NUL */

static inline bool
id128_equal(struct id128 a, struct id128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static inline bool
id128_is_zero(struct id128 a)
{
    return a.hi == 0 && a.lo == 0;
}

static inline int
id128_compare(struct id128 a, struct id128 b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo < b.lo ? -1 : a.lo > b.lo;
}

/* Exactly 32 lower-case hex digits, most significant first. */
void id128_format(struct id128 id, char ret[static ID128_TEXT_SIZE]);

/* Accepts exactly 32 hex digits. */
bool id128_parse(const char *text, struct id128 *ret);

#endif
