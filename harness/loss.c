/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/loss.h"

struct loss_interval {
    unsigned station;
    int64_t from_ns, to_ns;
    struct loss_counts counts;
};

struct loss {
    unsigned station_count;
    bool looked;
    int64_t time_ns;
    struct loss_counts first[STATION_COUNT_MAX];
    struct loss_counts last[STATION_COUNT_MAX];
    size_t interval_count;
    struct loss_interval intervals[LOSS_INTERVAL_COUNT_MAX];
};

struct loss *
loss_new(unsigned station_count)
{
    struct loss *l = xcalloc(1, sizeof(*l));

    assert(station_count <= STATION_COUNT_MAX);
    l->station_count = station_count;
    return l;
}

void
loss_free(struct loss *l)
{
    free(l);
}

static uint64_t
loss_sum(const struct loss_counts *c)
{
    return c->queue_full + c->unsent + c->switch_drops + c->station_drops;
}

static struct loss_counts
loss_between(const struct loss_counts *a, const struct loss_counts *b)
{
    return (struct loss_counts){
        .frames = b->frames - a->frames,
        .queue_full = b->queue_full - a->queue_full,
        .unsent = b->unsent - a->unsent,
        .switch_drops = b->switch_drops - a->switch_drops,
        .station_drops = b->station_drops - a->station_drops};
}

/* One more interval; without room for it, the sum over the run has it. */
static void
loss_keep(struct loss *l, unsigned station, int64_t time_ns,
          const struct loss_counts *counts)
{
    if (l->interval_count == LOSS_INTERVAL_COUNT_MAX)
        return;
    l->intervals[l->interval_count++] =
        (struct loss_interval){.station = station,
                               .from_ns = l->time_ns,
                               .to_ns = time_ns,
                               .counts = *counts};
}

void
loss_look(struct loss *l, int64_t time_ns, const struct loss_counts *stations)
{
    for (unsigned i = 0; i < l->station_count; i++) {
        struct loss_counts c = loss_between(&l->last[i], &stations[i]);

        if (l->looked && loss_sum(&c) > 0)
            loss_keep(l, i, time_ns, &c);
        if (!l->looked)
            l->first[i] = stations[i];
        l->last[i] = stations[i];
    }
    l->looked = true;
    l->time_ns = time_ns;
}

/* The fault that explains it, NULL: none does. */
static const struct loss_fault *
loss_explain(const struct loss_interval *i, const struct loss_fault *faults,
             size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (faults[k].stations >> i->station & 1 &&
            faults[k].from_ns <= i->to_ns &&
            (faults[k].to_ns >= i->from_ns ||
             i->from_ns - faults[k].to_ns <= LOSS_SETTLE_NS))
            return &faults[k];
    return NULL;
}

static json_t *
loss_interval_json(const struct loss_interval *i, unsigned node_count,
                   const struct loss_fault *fault)
{
    const struct loss_counts *c = &i->counts;
    char name[STATION_NAME_MAX];

    station_name(i->station, node_count, name);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "station",
                     name, "from_ns", (json_int_t)i->from_ns, "to_ns",
                     (json_int_t)i->to_ns, "frames", (json_int_t)c->frames,
                     "queue_full", (json_int_t)c->queue_full, "unsent",
                     (json_int_t)c->unsent, "switch_drops",
                     (json_int_t)c->switch_drops, "station_drops",
                     (json_int_t)c->station_drops, "fault",
                     fault == NULL ? json_null() : json_integer(fault->id));
}

static bool
loss_is_much(uint64_t lost, uint64_t frames, uint64_t few, uint64_t share)
{
    return lost > few && lost * share > frames + lost;
}

static void
loss_describe(char *ret, size_t size, unsigned station, unsigned node_count,
              uint64_t lost, uint64_t frames, double seconds)
{
    char name[STATION_NAME_MAX];

    station_name(station, node_count, name);
    snprintf(ret, size,
             "the cluster network lost %" PRIu64 " frames of %s beside %" PRIu64
             " within %.1f s, and no fault explains it",
             lost, name, frames, seconds);
}

bool
loss_judge(const struct loss *l, const struct loss_fault *faults,
           size_t fault_count, unsigned node_count, uint64_t *ret_lost,
           json_t **ret_intervals, char *ret_worst, size_t worst_size)
{
    uint64_t explained[STATION_COUNT_MAX] = {0};
    bool good = true;

    *ret_lost = 0;
    *ret_intervals = json_array();
    for (size_t k = 0; k < l->interval_count; k++) {
        const struct loss_interval *i = &l->intervals[k];
        const struct loss_fault *fault = loss_explain(i, faults, fault_count);
        uint64_t lost = loss_sum(&i->counts);

        json_array_append_new(*ret_intervals,
                              loss_interval_json(i, node_count, fault));
        if (fault != NULL)
            explained[i->station] += lost;
        else if (good && loss_is_much(lost, i->counts.frames, LOSS_LOOK_FEW,
                                      LOSS_LOOK_SHARE)) {
            good = false;
            loss_describe(ret_worst, worst_size, i->station, node_count, lost,
                          i->counts.frames,
                          (double)(i->to_ns - i->from_ns) / NS_PER_S);
        }
    }
    for (unsigned i = 0; i < l->station_count; i++) {
        struct loss_counts all = loss_between(&l->first[i], &l->last[i]);
        uint64_t lost = loss_sum(&all) - explained[i];

        *ret_lost += lost;
        if (!good ||
            !loss_is_much(lost, all.frames, LOSS_RUN_FEW, LOSS_RUN_SHARE))
            continue;
        good = false;
        loss_describe(ret_worst, worst_size, i, node_count, lost, all.frames,
                      (double)(l->time_ns - l->intervals[0].from_ns) /
                          NS_PER_S);
    }
    return good;
}
