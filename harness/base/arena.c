/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"

#define ARENA_ALIGN 16
#define ARENA_CHUNK_BYTES 16384

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used;
    _Alignas(ARENA_ALIGN) unsigned char bytes[];
};

static void
arena_out_of_memory(size_t size)
{
    fprintf(stderr, "ordeal: out of memory asking for %zu bytes\n", size);
    abort();
}

void
arena_init(struct arena *a)
{
    a->head = NULL;
    a->used_bytes = 0;
}

void
arena_release(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_chunk *next = a->head->next;

        free(a->head);
        a->head = next;
    }
    a->used_bytes = 0;
}

void
arena_reset(struct arena *a)
{
    if (a->head == NULL)
        return;
    while (a->head->next != NULL) {
        struct arena_chunk *next = a->head->next;

        free(a->head);
        a->head = next;
    }
    a->head->used = 0;
    a->used_bytes = 0;
}

void *
arena_alloc(struct arena *a, size_t size)
{
    size_t want = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct arena_chunk *chunk = a->head;
    void *p;

    assert(want >= size);
    if (chunk == NULL || chunk->size - chunk->used < want) {
        size_t bytes = want > ARENA_CHUNK_BYTES ? want : ARENA_CHUNK_BYTES;

        chunk = malloc(sizeof(*chunk) + bytes);
        if (chunk == NULL)
            arena_out_of_memory(bytes);
        chunk->size = bytes;
        chunk->used = 0;
        chunk->next = a->head;
        a->head = chunk;
    }
    p = chunk->bytes + chunk->used;
    chunk->used += want;
    a->used_bytes += want;
    memset(p, 0, want);
    return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *copy = arena_alloc(a, len + 1);

    memcpy(copy, s, len);
    return copy;
}

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *text;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(len >= 0);
    text = arena_alloc(a, (size_t)len + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}

void *
xcalloc(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (p == NULL && count != 0 && size != 0)
        arena_out_of_memory(count * size);
    return p;
}

void *
xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size);

    if (q == NULL && size != 0)
        arena_out_of_memory(size);
    return q;
}

char *
xstrdup(const char *s)
{
    char *copy = strdup(s);

    if (copy == NULL)
        arena_out_of_memory(strlen(s) + 1);
    return copy;
}

char *
xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        arena_out_of_memory(0);
    va_end(ap);
    return text;
}
