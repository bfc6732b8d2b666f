/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64.  Every random
 * choice of a run comes from its seed through named forks, so that adding a
 * draw in one place does not change the draws of another.
 */
#ifndef ORDEAL_BASE_RNG_H
#define ORDEAL_BASE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);

/* An independent stream for 'label' and 'index'; does not advance 'r'. */
struct rng rng_fork(const struct rng *r, const char *label, uint64_t index);

uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* bound > 0; no bias */
double rng_unit(struct rng *r);                    /* [0, 1) */
bool rng_chance(struct rng *r, double probability);

/* A seed for a user who gave none (from getrandom). */
uint64_t rng_fresh_seed(void);

#endif
