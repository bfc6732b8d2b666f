/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges calls by a model: parts -> exact engines -> replay -> general engines,
 * each verdict proven a second way, with the smallest core that can be found.
 *
 * Threads: parts are judged by up to 'jobs' threads.
 */
#ifndef ORDEAL_ANALYZER_CHECK_H
#define ORDEAL_ANALYZER_CHECK_H

#include <jansson.h>

#include "analyzer/engines/engine.h"

struct check_options {
    int64_t deadline_ns;     /* how long; 0: the default */
    size_t memory_bytes;     /* cap for the engines; 0: the default */
    unsigned jobs;           /* threads; 0: one per processor */
    bool no_shrink;          /* leave cores as the engine found them */
    const atomic_bool *stop; /* set by SIGTERM: end with what there is */
};

#define CHECK_MEMORY_DEFAULT ((size_t)4 << 30)
#define CHECK_DEADLINE_DEFAULT_NS (60 * NS_PER_S) /* a person still waits */
#define CHECK_JOBS_MAX 64

/* What came of all parts; verdict INVALID: the part that is to be shown. */
struct check_result {
    enum verdict verdict;
    struct decision decision; /* of the worst part */
    struct problem problem;   /* that part */
    struct parts parts;       /* problems NULL: all keys were judged at once */
    uint32_t invalid_parts, unknown_parts;
    bool confirmed;  /* a second engine agrees with the core */
    bool unfinished; /* making the core small ended before it was minimal */
    const char *confirmed_by;
    uint32_t *order; /* VALID: of all parts together, merged in real
                        time; NULL: the model has no order */
    uint32_t order_count;
    int64_t elapsed_ns;
    size_t peak_bytes;
    struct arena arena;
};

void check_calls(const struct calls *c, const struct check_options *options,
                 struct check_result *ret);
void check_result_release(struct check_result *r);

#endif
