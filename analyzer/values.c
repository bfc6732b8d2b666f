/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry per value that is no small natural, found through an open-addressed
 * index of entry numbers with 32 bits of their hash beside them.  Texts and
 * words of lists live in an arena, so that pointers to them stay good.
 */
#include "config.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/calls.h"
#include "analyzer/values.h"

enum value_kind {
    ENTRY_FALSE,
    ENTRY_TRUE,
    ENTRY_INT,
    ENTRY_REAL,
    ENTRY_TEXT,
    ENTRY_LIST,
    ENTRY_MAP, /* words: key, value, key, value; keys rising */
};

struct value_entry {
    uint32_t kind : 4, count : 28; /* bytes of text, words of a list */
    uint32_t hash;                 /* so that the index grows without reading */
    union {
        int64_t integer;
        double real;
        const char *text;
        const uint32_t *words;
    };
};

#define ENTRY_COUNT_MAX ((1u << 28) - 1)

struct values {
    struct value_entry *entries;
    uint32_t count, cap;
    uint64_t *cells; /* hash << 32 | entry + 1; 0: free */
    uint64_t mask;   /* cells - 1 */
    uint32_t *stack; /* words of the lists being numbered */
    uint32_t stack_count, stack_cap;
    struct arena arena;
};

#define CELLS_FIRST 64

struct values *
values_new(void)
{
    struct values *v = xcalloc(1, sizeof(*v));

    v->cells = xcalloc(CELLS_FIRST, sizeof(*v->cells));
    v->mask = CELLS_FIRST - 1;
    arena_init(&v->arena);
    return v;
}

void
values_free(struct values *v)
{
    if (v == NULL)
        return;
    free(v->entries);
    free(v->cells);
    free(v->stack);
    arena_release(&v->arena);
    free(v);
}

/* ---- hashing ---- */

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

#define MIX_A UINT64_C(0x9e3779b97f4a7c15)
#define MIX_B UINT64_C(0xd6e8feb86659fd93)

uint64_t
bytes_hash(const void *bytes, size_t len, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t h = seed ^ mix(len ^ MIX_A, MIX_B), w;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&w, p, 8);
        h = mix(h ^ w ^ MIX_A, MIX_B ^ (h >> 7));
    }
    w = 0;
    memcpy(&w, p, len);
    return mix(h ^ w ^ MIX_A, MIX_B ^ (h >> 7));
}

static uint64_t
word_hash(uint64_t kind, uint64_t w, uint64_t seed)
{
    return mix(seed ^ w ^ MIX_A, MIX_B + (kind << 40));
}

/* Whether a real stands for an integer. */
static bool
real_to_int(double real, int64_t *ret)
{
    if (!(fabs(real) <= 4.6e18) || rint(real) != real)
        return false;
    *ret = (int64_t)real;
    return true;
}

static uint64_t
real_bits(double real)
{
    uint64_t bits = 0;

    if (isnan(real)) /* they come in many; one is enough */
        return UINT64_C(0x7ff8000000000000);
    memcpy(&bits, &real, sizeof(bits));
    return bits;
}

uint64_t
tree_hash(const struct tree *t, uint64_t seed)
{
    uint64_t h = 0;
    int64_t n;

    switch (t->kind) {
    case TREE_NIL:
        return word_hash(1, 0, seed);
    case TREE_BOOL:
        return word_hash(2, t->truth, seed);
    case TREE_INT:
        return word_hash(3, (uint64_t)t->integer, seed);
    case TREE_REAL:
        if (real_to_int(t->real, &n))
            return word_hash(3, (uint64_t)n, seed);
        return word_hash(4, real_bits(t->real), seed);
    case TREE_STRING:
    case TREE_KEYWORD:
        return bytes_hash(t->text, t->count, seed);
    case TREE_LIST:
        h = word_hash(5, t->count, seed);
        for (uint32_t i = 0; i < t->count; i++)
            h = tree_hash(&t->items[i], h);
        return h;
    case TREE_MAP: /* the order of the pairs is of no matter */
        for (uint32_t i = 0; i < t->count; i++)
            h += tree_hash(&t->items[2 * i + 1],
                           tree_hash(&t->items[2 * i], seed));
        return word_hash(6, h, seed ^ t->count);
    }
    assert(!"a kind of tree");
    return 0;
}

/* ---- the index ---- */

static void
values_grow_cells(struct values *v)
{
    uint64_t cap = (v->mask + 1) * 2;

    free(v->cells);
    v->cells = xcalloc(cap, sizeof(*v->cells));
    v->mask = cap - 1;
    for (uint32_t i = 0; i < v->count; i++) {
        uint64_t at = v->entries[i].hash & v->mask;

        while (v->cells[at] != 0)
            at = (at + 1) & v->mask;
        v->cells[at] = (uint64_t)v->entries[i].hash << 32 | (i + 1);
    }
}

static bool
entry_equal(const struct value_entry *a, const struct value_entry *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch ((enum value_kind)a->kind) {
    case ENTRY_FALSE:
    case ENTRY_TRUE:
        return true;
    case ENTRY_INT:
        return a->integer == b->integer;
    case ENTRY_REAL:
        return real_bits(a->real) == real_bits(b->real);
    case ENTRY_TEXT:
        return memcmp(a->text, b->text, a->count) == 0;
    case ENTRY_LIST:
    case ENTRY_MAP:
        return memcmp(a->words, b->words, a->count * sizeof(uint32_t)) == 0;
    }
    return false;
}

/* The new entry keeps what it points to beyond the caller's. */
static void
entry_own(struct values *v, struct value_entry *e)
{
    if (e->kind == ENTRY_TEXT) {
        e->text = arena_strndup(&v->arena, e->text, e->count);
    } else if (e->kind >= ENTRY_LIST) {
        size_t bytes = e->count * sizeof(uint32_t);
        uint32_t *words = arena_alloc(&v->arena, bytes + 1);

        if (bytes > 0)
            memcpy(words, e->words, bytes);
        e->words = words;
    }
}

static uint32_t
values_intern(struct values *v, struct value_entry *e, uint64_t hash)
{
    uint64_t at;

    e->hash = (uint32_t)(hash ^ hash >> 32);
    at = e->hash & v->mask;
    for (; v->cells[at] != 0; at = (at + 1) & v->mask) {
        uint32_t i = (uint32_t)v->cells[at] - 1;

        if (v->cells[at] >> 32 == e->hash && entry_equal(e, &v->entries[i]))
            return VALUE_SMALL_MAX + 1 + i;
    }
    /* 2^31 entries are 64 GiB: memory ends before the numbers do. */
    assert(v->count < VALUES_MAX);
    if (v->count == v->cap) {
        v->cap = v->cap == 0 ? 32 : v->cap * 2;
        v->entries = xrealloc(v->entries, v->cap * sizeof(*v->entries));
    }
    entry_own(v, e);
    v->entries[v->count++] = *e;
    v->cells[at] = (uint64_t)e->hash << 32 | v->count;
    if (v->count > (v->mask + 1) / 4 * 3)
        values_grow_cells(v);
    return VALUE_SMALL_MAX + v->count;
}

/* ---- numbering ---- */

uint32_t
values_int(struct values *v, int64_t n)
{
    struct value_entry e = {.kind = ENTRY_INT, .integer = n};

    if (n >= 0 && n <= (int64_t)VALUE_SMALL_MAX)
        return (uint32_t)n;
    return values_intern(v, &e, word_hash(3, (uint64_t)n, 0));
}

uint32_t
values_text(struct values *v, const char *text, size_t len)
{
    struct value_entry e = {.kind = ENTRY_TEXT, .text = text};

    assert(len <= ENTRY_COUNT_MAX);
    e.count = (uint32_t)len & ENTRY_COUNT_MAX;
    return values_intern(v, &e, bytes_hash(text, len, 0));
}

static uint32_t
values_real(struct values *v, double real)
{
    struct value_entry e = {.kind = ENTRY_REAL, .real = real};
    int64_t n;

    if (real_to_int(real, &n))
        return values_int(v, n);
    return values_intern(v, &e, word_hash(4, real_bits(real), 0));
}

static int
pair_compare(const void *a, const void *b)
{
    const uint32_t *p = a, *q = b;

    if (p[0] != q[0])
        return p[0] < q[0] ? -1 : 1;
    return p[1] < q[1] ? -1 : p[1] > q[1];
}

/* Children are numbered first; they wait on the stack.  Depth is bounded by
 * TREE_DEPTH_MAX, which parsers keep. */
static uint32_t
values_items(struct values *v, const struct tree *t)
{
    static const uint32_t none;
    struct value_entry e = {
        .kind = t->kind == TREE_LIST ? ENTRY_LIST : ENTRY_MAP,
    };
    uint32_t items = t->kind == TREE_LIST ? t->count : 2 * t->count;
    uint32_t base = v->stack_count, number;

    assert(t->count <= ENTRY_COUNT_MAX / 2);
    for (uint32_t i = 0; i < items; i++) {
        number = values_number(v, &t->items[i]);
        if (v->stack_count == v->stack_cap) {
            v->stack_cap = v->stack_cap == 0 ? 64 : v->stack_cap * 2;
            v->stack = xrealloc(v->stack, v->stack_cap * sizeof(v->stack[0]));
        }
        v->stack[v->stack_count++] = number;
    }
    if (t->kind == TREE_MAP && t->count > 1)
        qsort(v->stack + base, t->count, 2 * sizeof(uint32_t), pair_compare);
    e.count = items & ENTRY_COUNT_MAX;
    e.words = items == 0 ? &none : v->stack + base;
    number = values_intern(
        v, &e, bytes_hash(e.words, items * sizeof(uint32_t), e.kind));
    v->stack_count = base;
    return number;
}

uint32_t
values_number(struct values *v, const struct tree *t)
{
    struct value_entry e = {0};

    switch (t->kind) {
    case TREE_NIL:
        return VALUE_NIL;
    case TREE_BOOL:
        e.kind = t->truth ? ENTRY_TRUE : ENTRY_FALSE;
        return values_intern(v, &e, word_hash(2, t->truth, 0));
    case TREE_INT:
        return values_int(v, t->integer);
    case TREE_REAL:
        return values_real(v, t->real);
    case TREE_STRING:
    case TREE_KEYWORD:
        return values_text(v, t->text, t->count);
    case TREE_LIST:
    case TREE_MAP:
        return values_items(v, t);
    }
    assert(!"a kind of tree");
    return VALUE_NIL;
}

/* ---- back again ---- */

static const struct value_entry *
values_entry(const struct values *v, uint32_t number)
{
    uint32_t i = number - VALUE_SMALL_MAX - 1;

    return number <= VALUE_SMALL_MAX || i >= v->count ? NULL : &v->entries[i];
}

bool
values_to_int(const struct values *v, uint32_t number, int64_t *ret)
{
    const struct value_entry *e = values_entry(v, number);

    if (number <= VALUE_SMALL_MAX)
        *ret = number;
    else if (e != NULL && e->kind == ENTRY_INT)
        *ret = e->integer;
    else
        return false;
    return true;
}

const char *
values_to_text(const struct values *v, uint32_t number, size_t *ret_len)
{
    const struct value_entry *e = values_entry(v, number);

    if (e == NULL || e->kind != ENTRY_TEXT)
        return NULL;
    *ret_len = e->count;
    return e->text;
}

/* A text that ends in "..." when it was too long for its place. */
struct printing {
    char *buf;
    size_t len, size;
    bool cut;
};

static void
print_bytes(struct printing *p, const char *s, size_t len)
{
    size_t room = p->size - 1 - p->len;

    if (p->cut)
        return;
    if (len > room) {
        p->cut = true;
        len = room;
    }
    memcpy(p->buf + p->len, s, len);
    p->len += len;
}

static void
print_text(struct printing *p, const char *text, size_t len)
{
    print_bytes(p, "\"", 1);
    for (size_t i = 0; i < len && !p->cut; i++) {
        unsigned char c = (unsigned char)text[i];
        char hex[8];

        if (c < 0x20 || c == 0x7f)
            print_bytes(p, hex,
                        (size_t)snprintf(hex, sizeof(hex), "\\x%02x", c));
        else if (c == '"' || c == '\\')
            print_bytes(p, (char[]){'\\', (char)c}, 2);
        else
            print_bytes(p, text + i, 1);
    }
    print_bytes(p, "\"", 1);
}

static void
print_value(struct printing *p, const struct values *v, uint32_t number)
{
    const struct value_entry *e = values_entry(v, number);
    char word[48];
    int n;

    if (e != NULL && e->kind == ENTRY_TEXT) {
        print_text(p, e->text, e->count);
        return;
    }
    if (e != NULL && e->kind >= ENTRY_LIST) {
        bool map = e->kind == ENTRY_MAP;

        print_bytes(p, map ? "{" : "[", 1);
        for (uint32_t i = 0; i < e->count && !p->cut; i++) {
            if (i > 0)
                print_bytes(p, map && i % 2 == 0 ? ", " : " ",
                            map && i % 2 == 0 ? 2 : 1);
            print_value(p, v, e->words[i]);
        }
        print_bytes(p, map ? "}" : "]", 1);
        return;
    }
    if (number <= VALUE_SMALL_MAX)
        n = snprintf(word, sizeof(word), "%u", number);
    else if (e != NULL && e->kind == ENTRY_INT)
        n = snprintf(word, sizeof(word), "%lld", (long long)e->integer);
    else if (e != NULL && e->kind == ENTRY_REAL)
        n = snprintf(word, sizeof(word), "%.17g", e->real);
    else if (e != NULL)
        n = snprintf(word, sizeof(word), "%s",
                     e->kind == ENTRY_TRUE ? "true" : "false");
    else
        n = snprintf(word, sizeof(word), "%s",
                     number == VALUE_NIL ? "nil" : "?");
    print_bytes(p, word, (size_t)n);
}

const char *
values_print(const struct values *v, uint32_t number, char *buf, size_t size)
{
    struct printing p = {.buf = buf, .size = size};

    assert(size > 0);
    print_value(&p, v, number);
    if (p.cut && size > 4) {
        size_t at = p.len < size - 4 ? p.len : size - 4;

        /* Not in the middle of a letter of several bytes. */
        while (at > 0 && ((unsigned char)buf[at] & 0xc0) == 0x80)
            at--;
        memcpy(buf + at, "...", 3);
        p.len = at + 3;
    }
    buf[p.len] = '\0';
    return buf;
}
