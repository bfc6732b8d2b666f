/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <sys/random.h>

#include "harness/base/rng.h"

static uint64_t
rng_splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t
rng_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void
rng_init(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = rng_splitmix(&seed);
}

struct rng
rng_fork(const struct rng *r, const char *label, uint64_t index)
{
    uint64_t mix = r->s[0] ^ rng_rotl(r->s[1], 17) ^ rng_rotl(r->s[2], 31) ^
                   rng_rotl(r->s[3], 47);
    struct rng fork;

    for (; *label != '\0'; label++) {
        mix ^= (unsigned char)*label;
        mix = rng_splitmix(&mix);
    }
    mix ^= index * UINT64_C(0xd1342543de82ef95);
    rng_init(&fork, rng_splitmix(&mix));
    return fork;
}

uint64_t
rng_u64(struct rng *r)
{
    uint64_t result = rng_rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;

    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rng_rotl(r->s[3], 45);
    return result;
}

uint64_t
rng_below(struct rng *r, uint64_t bound)
{
    uint64_t threshold;

    assert(bound > 0);
    threshold = -bound % bound;
    for (;;) {
        uint64_t x = rng_u64(r);

        if (x >= threshold)
            return x % bound;
    }
}

double
rng_unit(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1.0p-53;
}

bool
rng_chance(struct rng *r, double probability)
{
    return rng_unit(r) < probability;
}

uint64_t
rng_fresh_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        assert(!"getrandom failed");
    /* Short enough to read aloud and to fit a JSON integer. */
    return seed & UINT64_C(0xffffffffffff);
}
