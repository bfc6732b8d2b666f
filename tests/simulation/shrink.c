/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greedy: each kind of fault is left out once, in the order of the list, and
 * stays out when the same rule is still broken; then the time of faults is
 * halved as long as that goes well.  A schedule without one kind of fault is
 * another schedule, so what is found is a small one, not the smallest.
 */
#include "config.h"

#include <stdio.h>

#include "tests/simulation/sim.h"

#define FAULT_MS_MIN 100u

static const char *const fault_names[SIM_FAULT_COUNT] = {
    [SIM_DROP] = "drop",
    [SIM_DUPLICATE] = "duplicate",
    [SIM_LATE] = "late",
    [SIM_LARGE] = "large",
    [SIM_SYNC] = "sync",
    [SIM_CRASH] = "crash",
    [SIM_PARTITION] = "partition",
    [SIM_PAUSE] = "pause",
    [SIM_WIPE] = "wipe",
    [SIM_DAMAGE] = "damage",
    [SIM_BAD_CHUNK] = "bad-chunk",
    [SIM_SPEAKER] = "speaker",
    [SIM_BOUNDARY] = "boundary",
    [SIM_CUT_OFF] = "cut-off",
    [SIM_MANY_NODES] = "many-nodes",
    [SIM_MANY_CLIENTS] = "many-clients",
};

const char *
sim_fault_name(enum sim_fault fault)
{
    return fault_names[fault];
}

static bool
out(const struct sim_options *o, enum sim_fault fault)
{
    return (o->without >> fault & 1) != 0;
}

static void
reduce_network(struct profile *p, const struct sim_options *o)
{
    if (out(o, SIM_DROP))
        p->drop = 0;
    if (out(o, SIM_DUPLICATE))
        p->duplicate = 0;
    if (out(o, SIM_LATE))
        p->late = p->late_ok = 0;
    if (out(o, SIM_LARGE))
        p->large_payload = 0;
    if (out(o, SIM_PARTITION))
        p->partition_ns = 0;
    if (out(o, SIM_CUT_OFF))
        p->deaf = p->mute = p->lame = false;
}

void
profile_reduce(struct profile *p, const struct sim_options *o)
{
    reduce_network(p, o);
    if (out(o, SIM_SYNC))
        p->sync_failure = 0;
    if (out(o, SIM_CRASH))
        p->crash_ns = 0;
    if (out(o, SIM_PAUSE))
        p->pause_ns = 0;
    if (out(o, SIM_WIPE))
        p->wipe = 0;
    if (out(o, SIM_DAMAGE))
        p->corrupt = p->chop = 0;
    if (out(o, SIM_BAD_CHUNK))
        p->bad_chunk = 0;
    if (out(o, SIM_SPEAKER))
        p->crash_voter = p->crash_opener = 0;
    if (out(o, SIM_BOUNDARY))
        p->boundary = BOUNDARY_COUNT;
    if (out(o, SIM_MANY_NODES))
        p->nodes = p->config.replica_count = 3;
    if (out(o, SIM_MANY_CLIENTS) && p->clients > 2)
        p->clients = 2;
    if (o->fault_ms > 0 && p->fault_ns > o->fault_ms * 1000000)
        p->fault_ns = o->fault_ms * 1000000;
}

void
sim_command(const struct sim_options *o, char *ret, size_t size)
{
    struct buf b;

    buf_init(&b, 512);
    buf_printf(&b, "simulate --seed %llu", (unsigned long long)o->seed);
    if (o->mutation != VSR_MUTATION_NONE)
        buf_printf(&b, " --mutation %s", sim_mutation_name(o->mutation));
    for (unsigned i = 0, n = 0; i < SIM_FAULT_COUNT; i++)
        if (out(o, (enum sim_fault)i))
            buf_printf(&b, "%s%s", n++ == 0 ? " --without " : ",",
                       fault_names[i]);
    if (o->fault_ms > 0)
        buf_printf(&b, " --fault-ms %llu", (unsigned long long)o->fault_ms);
    snprintf(ret, size, "%s", buf_text(&b));
    buf_release(&b);
}

static bool
still(const struct sim_options *o, unsigned rule, struct sim_report *ret)
{
    struct sim_report r;

    sim_run_with(o, &r);
    if (!r.violated || r.rule != rule)
        return false;
    *ret = r;
    return true;
}

unsigned
sim_shrink(struct sim_options *o, struct sim_report *ret)
{
    struct sim_options try;
    unsigned runs = 1;
    uint64_t ms;

    sim_run_with(o, ret);
    if (!ret->violated)
        return runs;
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++, runs++) {
        try = *o;
        try.without |= 1u << i;
        if (still(&try, ret->rule, ret))
            *o = try;
    }
    for (ms = ret->end_ns / 1000000; ms > FAULT_MS_MIN; ms /= 2, runs++) {
        try = *o;
        try.fault_ms = ms;
        if (!still(&try, ret->rule, ret))
            break;
        *o = try;
    }
    return runs;
}
