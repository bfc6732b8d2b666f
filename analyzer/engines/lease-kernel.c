/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases grow with every grant, whatever resources it is of, so their order
 * binds calls that share nothing else and are judged in parts.  This looks at
 * all of them together: no lease is given twice, and none is below one whose
 * grant was answered before it was asked for.
 *
 * INVALID is certain, and its two calls suffice for the model as well.
 * Otherwise UNKNOWN: the search of the part goes on.  Asked once, with the part
 * of the first grant.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyzer/engines/exact.h"
#include "analyzer/models/lease-kernel.h"

struct grant {
    int64_t lease;
    uint32_t call;
};

static bool
grant_of(const struct calls *c, uint32_t call, struct grant *ret)
{
    ret->call = call;
    return c->function[call] == KERNEL_RESERVE &&
           c->complete[call] != CALL_OPEN && c->result[call] == KERNEL_OK &&
           c->b[call] != VALUE_ABSENT &&
           value_to_int(c, c->b[call], &ret->lease);
}

static bool
lease_kernel_applies(const struct problem *p)
{
    struct grant g, first;

    for (uint32_t i = 0; i < p->count; i++) {
        if (!grant_of(p->calls, problem_call(p, i), &g)) {
            continue;
        }
        for (uint32_t k = 0; k <= g.call; k++) {
            if (grant_of(p->calls, k, &first)) {
                return first.call == g.call;
            }
        }
    }
    return false;
}

static int
grant_compare_lease(const void *a, const void *b)
{
    const struct grant *x = a, *y = b;

    if (x->lease != y->lease) {
        return x->lease < y->lease ? -1 : 1;
    }
    return x->call < y->call ? -1 : x->call > y->call;
}

static void
lease_kernel_twice(const struct calls *c, const struct grant *a,
                   const struct grant *b, struct decision *ret)
{
    const uint32_t core[] = {a->call, b->call};

    exact_invalid(ret, core, 2, "lease %" PRId64 " is given twice: %s; %s",
                  a->lease, exact_call(c, a->call).text,
                  exact_call(c, b->call).text);
    exact_edge(ret, a->call, b->call, EDGE_OBSERVED);
}

static void
lease_kernel_falls(const struct calls *c, const struct grant *before,
                   const struct grant *after, struct decision *ret)
{
    const uint32_t core[] = {before->call, after->call};

    exact_invalid(ret, core, 2,
                  "leases fall: lease %" PRId64 " was given before %" PRId64
                  " was asked for: %s; %s",
                  before->lease, after->lease, exact_call(c, before->call).text,
                  exact_call(c, after->call).text);
    exact_edge(ret, before->call, after->call, EDGE_REAL_TIME);
}

/* The grants by lease: going down, the earliest answer among those above. */
static void
lease_kernel_screen(const struct calls *c, const struct grant *grants,
                    uint32_t count, struct decision *ret)
{
    const struct grant *earliest = NULL;

    for (uint32_t i = count; i > 0; i--) {
        const struct grant *g = &grants[i - 1];

        if (i < count && g->lease == g[1].lease) {
            lease_kernel_twice(c, g, g + 1, ret);
            return;
        }
        if (earliest != NULL &&
            c->complete[earliest->call] < c->invoke[g->call]) {
            lease_kernel_falls(c, earliest, g, ret);
            return;
        }
        if (earliest == NULL ||
            c->complete[g->call] < c->complete[earliest->call]) {
            earliest = g;
        }
    }
    exact_unknown(ret, "leases grow; that says nothing else");
}

static void
lease_kernel_decide(const struct problem *p, struct budget *b,
                    struct decision *ret)
{
    const struct calls *c = p->calls;
    size_t bytes = (size_t)c->count * sizeof(struct grant);
    uint32_t count = 0;

    if (!exact_take(b, bytes, ret)) {
        return;
    }
    struct grant *grants = xcalloc((size_t)c->count + 1, sizeof(*grants));
    for (uint32_t i = 0; i < c->count; i++) {
        count += grant_of(c, i, &grants[count]);
    }
    qsort(grants, count, sizeof(*grants), grant_compare_lease);
    lease_kernel_screen(c, grants, count, ret);
    free(grants);
    budget_give(b, bytes);
}

const struct engine_ops engine_lease_kernel = {
    .name = "lease-order",
    .description = "leases: each given once, and in rising order",
    .applies = lease_kernel_applies,
    .decide = lease_kernel_decide,
};
