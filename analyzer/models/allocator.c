/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease allocator: the kernel with resources that are created, leases that
 * have deadlines in slots, and ticks that let them expire.  Ticks are no calls
 * that something depends on: each expiry is an entry of its own, whenever the
 * system comes to it, so all that a tick says is that from its invocation on
 * leases may expire whose deadline is not after its slot.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/engines/engine.h"
#include "analyzer/models/lease-kernel.h"
#include "analyzer/models/registry.h"
#include "harness/base/arena.h"
#include "harness/base/cleanup.h"

/* The highest slot of all ticks that were invoked up to a rank. */
struct allocator_tick {
    uint32_t invoke;
    int64_t slot;
};

static struct allocator_tick *
allocator_ticks(const struct calls *c, uint32_t *ret_count)
{
    struct allocator_tick *ticks =
        xcalloc((size_t)c->count + 1, sizeof(*ticks));
    uint32_t count = 0;
    int64_t highest = -1;

    for (uint32_t i = 0; i < c->count; i++) {
        int64_t slot, told;
        if (c->function[i] != KERNEL_TICK || !value_to_int(c, c->a[i], &slot)) {
            continue;
        }
        told = kernel_number(c, i, KERNEL_SLOT);
        slot = told > slot ? told : slot;
        highest = slot > highest ? slot : highest;
        ticks[count++] = (struct allocator_tick){c->invoke[i], highest};
    }
    *ret_count = count;
    return ticks;
}

static int64_t
allocator_upper(const struct allocator_tick *ticks, uint32_t count,
                uint32_t complete)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ticks[middle].invoke <= complete) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? -1 : ticks[low - 1].slot;
}

static void
allocator_prepare(struct calls *c)
{
    uint32_t count;
    CLEANUP_FREE struct allocator_tick *ticks = allocator_ticks(c, &count);

    for (uint32_t i = 0; i < c->count; i++) {
        model_put64(&c->lists[c->list[i] + 1 + KERNEL_UPPER],
                    allocator_upper(ticks, count, c->complete[i]));
        if (c->function[i] == KERNEL_CREATE) {
            c->initial = 1; /* lease-kernel.c, kernel_creates */
        }
    }
    kernel_prepare(c);
}

static const char *const allocator_functions[] = {
    [KERNEL_RESERVE] = "reserve",
    [KERNEL_ACTIVATE] = "confirm",
    [KERNEL_RELEASE] = "release",
    [KERNEL_REVOKE] = "revoke",
    [KERNEL_RECLAIM] = "reclaim",
    [KERNEL_EXPIRE] = "expire",
    [KERNEL_GET] = "get_resource",
    [KERNEL_CREATE] = "create_resource",
    [KERNEL_GET_LEASE] = "get_lease",
    [KERNEL_TICK] = "tick",
    NULL,
};

static const struct engine_ops *const allocator_engines[] = {
    &engine_lease_kernel, NULL};

const struct model_ops model_allocator = {
    .name = "allocator",
    .description = "leases on bundles of resources, with deadlines in slots",
    .functions = allocator_functions,
    .forgets = true,
    .decode = kernel_decode,
    .prepare = allocator_prepare,
    .init = kernel_init,
    .step = kernel_step,
    .pure = kernel_pure,
    .touches = kernel_touches,
    .stake = kernel_stake,
    .describe = kernel_describe,
    .describe_state = kernel_describe_state,
    .exact = allocator_engines,
};
