/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership (STYLE: CLEANUP on every owning local, TAKE to hand
 * over) and a few macros everybody needs.
 */
#ifndef ORDEAL_BASE_CLEANUP_H
#define ORDEAL_BASE_CLEANUP_H

#ifdef NDEBUG
#error "assertions are part of the program: do not define NDEBUG"
#endif

#include <stdlib.h>
#include <unistd.h>

/* Calls fn(&variable) when the variable leaves its scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(cleanup_free_p)
#define CLEANUP_CLOSE CLEANUP(cleanup_close_p)

/* Hands the pointer over and leaves NULL behind. */
#define TAKE(p)                                                                \
    __extension__({                                                            \
        __typeof__(p) take_tmp_ = (p);                                         \
        (p) = NULL;                                                            \
        take_tmp_;                                                             \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define UNUSED __attribute__((unused))

static inline void
cleanup_free_p(void *p)
{
    free(*(void **)p);
}

static inline void
cleanup_close_p(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#endif
