/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator for things that die together (one operation, one check, one
 * phase).  Memory is zeroed.  Running out of memory ends the process: nothing
 * sensible can be recorded any more, and the history on disk is complete up to
 * its last block.
 *
 * Threads: one arena, one thread at a time.
 */
#ifndef ORDEAL_BASE_ARENA_H
#define ORDEAL_BASE_ARENA_H

#include <stddef.h>

#include "harness/base/cleanup.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *head;
    size_t used_bytes; /* handed out since init or reset */
};

void arena_init(struct arena *a);
void arena_release(struct arena *a);

/* Forgets everything handed out; keeps one chunk for reuse. */
void arena_reset(struct arena *a);

/* Zeroed, aligned to 16 bytes.  Never NULL. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* malloc family for the rest of the program: never NULL. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
