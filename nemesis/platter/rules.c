/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/cleanup.h"
#include "nemesis/platter/rules.h"

static const char *const request_names[REQUEST_COUNT] = {
    "read", "write", "flush", "zero", "trim"};

void
rules_init(struct rules *r, uint64_t seed)
{
    memset(r, 0, sizeof(*r));
    rng_init(&r->rng, seed);
}

const char *
request_name(enum request k)
{
    assert(k < REQUEST_COUNT);
    return request_names[k];
}

unsigned
request_kinds_parse(const char *name)
{
    if (strcmp(name, "any") == 0)
        return (1u << REQUEST_COUNT) - 1;
    if (strcmp(name, "write") == 0)
        return 1u << REQUEST_WRITE | 1u << REQUEST_ZERO | 1u << REQUEST_TRIM;
    for (unsigned k = 0; k < REQUEST_COUNT; k++)
        if (strcmp(name, request_names[k]) == 0)
            return 1u << k;
    return 0;
}

unsigned
rules_add(struct rules *r, const struct rule *rule)
{
    struct rule *mine;

    assert(rule->kinds != 0 && rule->error > 0);
    if (r->count == RULE_COUNT_MAX)
        return 0;
    mine = &r->rules[r->count++];
    *mine = *rule;
    mine->id = ++r->last_id;
    mine->seen = mine->hit = 0;
    return mine->id;
}

bool
rules_remove(struct rules *r, unsigned id)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->rules[i].id != id)
            continue;
        r->count--;
        memmove(&r->rules[i], &r->rules[i + 1],
                (r->count - i) * sizeof(r->rules[0]));
        return true;
    }
    return false;
}

void
rules_clear(struct rules *r)
{
    r->count = 0;
    r->stalled = 0;
    memset(r->latency_ns, 0, sizeof(r->latency_ns));
    memset(r->jitter_ns, 0, sizeof(r->jitter_ns));
}

static bool
rule_matches(const struct rule *r, enum request kind, uint64_t offset,
             uint64_t length)
{
    if ((r->kinds >> kind & 1) == 0)
        return false;
    if (kind == REQUEST_FLUSH) /* is of the whole disk, not of a range */
        return r->end == UINT64_MAX;
    return offset < r->end && offset + length > r->start;
}

static bool
rule_hits(struct rule *r, struct rng *rng)
{
    r->seen++;
    if (r->seen < r->nth)
        return false;
    if (r->count > 0 && r->hit >= r->count)
        return false;
    if (r->ppm < RULE_PPM_ALWAYS && rng_below(rng, RULE_PPM_ALWAYS) >= r->ppm)
        return false;
    r->hit++;
    return true;
}

/* The first rule that hits decides; those after it do not see the request. */
struct rule_decision
rules_decide(struct rules *r, enum request kind, uint64_t offset,
             uint64_t length)
{
    struct rule_decision d = {.delay_ns = r->latency_ns[kind]};

    assert(kind < REQUEST_COUNT);
    if (r->jitter_ns[kind] > 0)
        d.delay_ns += rng_below(&r->rng, r->jitter_ns[kind]);
    r->delayed[kind] += d.delay_ns > 0;
    for (unsigned i = 0; i < r->count; i++) {
        struct rule *rule = &r->rules[i];

        if (!rule_matches(rule, kind, offset, length) ||
            !rule_hits(rule, &r->rng))
            continue;
        d.error = rule->error;
        d.lose = rule->lose;
        r->errors[kind]++;
        break;
    }
    return d;
}
