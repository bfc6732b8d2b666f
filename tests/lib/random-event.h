/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded random events that visit the corners of the history format: every
 * kind and value type, extreme numbers, empty, long and non-ASCII strings,
 * nested lists, more distinct strings than the dictionary takes.
 */
#ifndef ORDEAL_TESTS_RANDOM_EVENT_H
#define ORDEAL_TESTS_RANDOM_EVENT_H

#include <string.h>

#include "harness/base/history.h"
#include "harness/base/rng.h"

static const char *
random_event_text(struct arena *a, struct rng *r)
{
    static const char *const texts[] = {
        "reserve",
        "confirm",
        "resource_busy",
        "",
        "#not an id",
        "\\x",
        "n1",
        "Gr\xc3\xbc\xc3\x9f\xe2\x82\xac",
        "a\tb\n\"c\"",
    };

    switch (rng_below(r, 8)) {
    case 0: {
        size_t len = rng_below(r, 300);
        char *text = arena_alloc(a, len + 1);

        memset(text, 'x', len);
        return text;
    }
    case 1:
        return arena_printf(a, "s%llu", (unsigned long long)rng_below(r, 9000));
    default:
        return texts[rng_below(r, ARRAY_LEN(texts))];
    }
}

static uint64_t
random_event_number(struct rng *r)
{
    uint64_t v = rng_u64(r) >> rng_below(r, 64);

    return rng_chance(r, 0.1) ? UINT64_MAX : v;
}

static struct value
random_event_value(struct arena *a, struct rng *r, int depth)
{
    struct value v = {.type = (enum value_type)rng_below(r, depth < 4 ? 6 : 5)};
    struct value *items;

    switch (v.type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        v.boolean = rng_chance(r, 0.5);
        break;
    case VALUE_INT:
        v.integer = (int64_t)(rng_u64(r)) >> rng_below(r, 64);
        break;
    case VALUE_ID:
        v.id.lo = random_event_number(r);
        v.id.hi = rng_chance(r, 0.5) ? 0 : rng_u64(r);
        break;
    case VALUE_STRING:
        v.string.text = random_event_text(a, r);
        v.string.len = strlen(v.string.text);
        break;
    case VALUE_LIST:
        v.list.count = rng_below(r, 4);
        items = arena_alloc(a, v.list.count * sizeof(*items) + 1);
        for (size_t i = 0; i < v.list.count; i++)
            items[i] = random_event_value(a, r, depth + 1);
        v.list.items = items;
        break;
    }
    return v;
}

/* In arena 'a'.  The time is set, so that a writer keeps it. */
static struct event
random_event(struct arena *a, struct rng *r, uint64_t index)
{
    struct event e = {.index = index, .process = HISTORY_PROCESS_NONE};
    size_t count = rng_below(r, 7);

    e.time_ns = rng_chance(r, 0.02) ? (int64_t)rng_u64(r) | 1
                                    : (int64_t)(index * 1000 + 1);
    e.kind = (enum event_kind)rng_below(r, EVENT_KIND_COUNT);
    e.function = random_event_text(a, r);
    if (rng_chance(r, 0.8))
        e.process = (uint32_t)rng_u64(r) >> rng_below(r, 32);
    if (rng_chance(r, 0.8))
        e.operation = (struct id128){rng_u64(r), rng_u64(r)};
    e.attempt = (uint32_t)rng_u64(r) >> rng_below(r, 32);
    if (rng_chance(r, 0.5))
        e.node = random_event_text(a, r);
    if (rng_chance(r, 0.3))
        e.error = random_event_text(a, r);
    if (rng_chance(r, 0.5))
        e.position = (struct position){true, random_event_number(r),
                                       random_event_number(r)};
    for (size_t i = 0; i < count; i++)
        fields_set(a, &e.fields, random_event_text(a, r),
                   random_event_value(a, r, 0));
    return e;
}

static bool
random_event_text_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Everything the same, the order of the fields included. */
static bool
random_event_equal(const struct event *a, const struct event *b)
{
    if (a->index != b->index || a->time_ns != b->time_ns ||
        a->process != b->process || a->kind != b->kind ||
        !id128_equal(a->operation, b->operation) || a->attempt != b->attempt ||
        !random_event_text_equal(a->function, b->function) ||
        !random_event_text_equal(a->node, b->node) ||
        !random_event_text_equal(a->error, b->error) ||
        a->position.known != b->position.known ||
        a->position.term != b->position.term ||
        a->position.index != b->position.index ||
        !fields_equal(&a->fields, &b->fields))
        return false;
    for (size_t i = 0; i < a->fields.count; i++)
        if (strcmp(a->fields.items[i].key, b->fields.items[i].key) != 0)
            return false;
    return true;
}

#endif
