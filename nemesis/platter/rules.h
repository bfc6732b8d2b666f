/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk does to requests besides serving them: errors by rule, latency,
 * stalls.  Each rule counts what it looked at and what it hit: the proof that
 * a fault bit, and that it no longer does.
 *
 * Zeros and trims are writes to whoever breaks writes.  Rules by n-th request
 * are deterministic; rules by rate depend on the order of arrival.
 *
 * Threads: the caller's lock.
 */
#ifndef ORDEAL_NEMESIS_PLATTER_RULES_H
#define ORDEAL_NEMESIS_PLATTER_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/base/rng.h"

enum request {
    REQUEST_READ,
    REQUEST_WRITE,
    REQUEST_FLUSH,
    REQUEST_ZERO,
    REQUEST_TRIM,
    REQUEST_COUNT
};

#define RULE_COUNT_MAX 16             /* a person reads them all in 'stats' */
#define RULE_PPM_ALWAYS 1000000u      /* parts per million */
#define RULE_DELAY_NS_MAX 60000000000 /* longer is a stall: use that */

struct rule {
    unsigned id;         /* from 1; never used twice */
    unsigned kinds;      /* bits of enum request */
    int error;           /* errno */
    uint32_t ppm;        /* of the requests seen */
    uint64_t start, end; /* bytes; UINT64_MAX: all, and flushes too */
    uint64_t nth;        /* the first to hit of those seen, from 1 */
    uint64_t count;      /* hits in all; 0: no end */
    bool lose;           /* a flush: the log is lost as well */
    uint64_t seen, hit;
};

struct rules {
    struct rule rules[RULE_COUNT_MAX];
    unsigned count, last_id;
    uint64_t latency_ns[REQUEST_COUNT], jitter_ns[REQUEST_COUNT];
    unsigned stalled; /* bits of enum request */
    uint64_t ops[REQUEST_COUNT], errors[REQUEST_COUNT], delayed[REQUEST_COUNT];
    struct rng rng;
};

/* What to do with one request that is not stalled. */
struct rule_decision {
    int error; /* 0: serve it */
    bool lose;
    uint64_t delay_ns;
};

void rules_init(struct rules *r, uint64_t seed);

const char *request_name(enum request k);

/* "any", "read", "write" (zero and trim too), "flush", ...; 0 if none. */
unsigned request_kinds_parse(const char *name);

/* Takes a copy; id, seen and hit are set.  The id, or 0: there is no room. */
unsigned rules_add(struct rules *r, const struct rule *rule);

/* False if there is no such rule (any more). */
bool rules_remove(struct rules *r, unsigned id);

/* Ends errors, latency and stalls; counters of requests stay. */
void rules_clear(struct rules *r);

struct rule_decision rules_decide(struct rules *r, enum request kind,
                                  uint64_t offset, uint64_t length);

#endif
