/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk-error, disk-full, disk-slow, disk-stall, disk-lying-flush: what a
 * target's data disk does to requests.
 *
 * Happy path: one order to the platter; a probe from inside the guest fails,
 * takes long or does not end, and the platter's own counters say that it was
 * this fault; heal as disk.h has it.
 *
 * Failure modes: a rule that hit nothing (a range that nobody writes, an n-th
 * request that did not come) is a mismatch: nothing was harmed.  Daemons may
 * end themselves at an error of their disk, which is right.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "harness/base/arena.h"
#include "nemesis/params.h"
#include "nemesis/platter/disk.h"
#include "nemesis/registry.h"

#define DISK_RATE_MIN 0.01
#define DISK_BYTES_MAX 1e15
/* Shorter is what a busy host does anyway; longer is a stall. */
#define DISK_DELAY_NS_MIN (10 * NS_PER_MS)
#define DISK_DELAY_NS_MAX (5 * NS_PER_S)
#define DISK_STALL_LOOK_NS (2 * NS_PER_S)
#define DISK_PROBE_NS (8 * NS_PER_S)
/* Writes for a rule that does not hit each: 1 % of about five each. */
#define DISK_PROBES_MAX 20

enum disk_harm { DISK_ERROR, DISK_FULL, DISK_SLOW, DISK_STALL, DISK_LIE };

static const char *const disk_kinds[] = {"write", "flush", "read", "any", NULL};
enum { DISK_KIND_WRITE, DISK_KIND_FLUSH, DISK_KIND_READ, DISK_KIND_ANY };

struct disk_request_fault {
    struct disk_fault disk;
    enum disk_harm harm;
    unsigned kind;
    bool every; /* each request of the kind is hit */
    double offset;
    int64_t delay_ns;
    char order[160];
};

/* ---- parameters: an order is made of them ---- */

static int
request_read_rule(const struct fault *f, struct disk_request_fault *d,
                  struct error *err)
{
    static const char *const error_keys[] = {"kind",   "rate",   "nth", "count",
                                             "offset", "length", NULL};
    static const char *const full_keys[] = {"rate", "nth", "count", NULL};
    CLEANUP(buf_release) struct buf order = {.max = sizeof(d->order) - 1};
    bool ranged = json_object_get(f->params, "offset") != NULL ||
                  json_object_get(f->params, "length") != NULL;
    double rate = 1, nth = 0, count = 0, length = 0;

    if (params_check_keys(f->params,
                          d->harm == DISK_FULL ? full_keys : error_keys,
                          err) < 0 ||
        params_choice(f->params, "kind", disk_kinds, &d->kind, err) < 0 ||
        params_number(f->params, "rate", DISK_RATE_MIN, 1, &rate, err) < 0 ||
        params_number(f->params, "nth", 1, 1e9, &nth, err) < 0 ||
        params_number(f->params, "count", 1, 1e9, &count, err) < 0 ||
        params_number(f->params, "offset", 0, DISK_BYTES_MAX, &d->offset, err) <
            0 ||
        params_number(f->params, "length", 1, DISK_BYTES_MAX, &length, err) < 0)
        return -1;
    buf_printf(&order, "%s kind=%s ppm=%u",
               d->harm == DISK_FULL ? "enospc" : "eio", disk_kinds[d->kind],
               (unsigned)(rate * 1e6));
    if (nth > 0)
        buf_printf(&order, " nth=%.0f", nth);
    if (count > 0)
        buf_printf(&order, " count=%.0f", count);
    if (ranged)
        buf_printf(&order, " offset=%.0f", d->offset);
    if (length > 0)
        buf_printf(&order, " length=%.0f", length);
    snprintf(d->order, sizeof(d->order), "%s", buf_text(&order));
    d->every = rate >= 1 && nth <= 1 && count == 0 && !ranged;
    return 0;
}

static int
request_read_delay(const struct fault *f, struct disk_request_fault *d,
                   struct error *err)
{
    static const char *const keys[] = {"kind", "delay", "jitter", NULL};
    int64_t jitter_ns = 0;

    d->kind = DISK_KIND_ANY;
    d->delay_ns = 100 * NS_PER_MS;
    if (params_check_keys(f->params, keys, err) < 0 ||
        params_choice(f->params, "kind", disk_kinds, &d->kind, err) < 0 ||
        params_duration(f->params, "delay", &d->delay_ns, err) < 0 ||
        params_duration(f->params, "jitter", &jitter_ns, err) < 0)
        return -1;
    if (d->delay_ns < DISK_DELAY_NS_MIN || d->delay_ns > DISK_DELAY_NS_MAX ||
        jitter_ns > DISK_DELAY_NS_MAX)
        return error_set(err, ERROR_CONFIG,
                         "delay: 10ms to 5s, and jitter at most 5s");
    snprintf(d->order, sizeof(d->order),
             "latency kind=%s ns=%" PRId64 " jitter_ns=%" PRId64,
             disk_kinds[d->kind], d->delay_ns, jitter_ns);
    return 0;
}

static int
request_read(const struct fault *f, struct disk_request_fault *d,
             struct error *err)
{
    static const char *const stall_keys[] = {"kind", NULL};
    static const char *const none[] = {NULL};

    switch (d->harm) {
    case DISK_ERROR:
    case DISK_FULL:
        return request_read_rule(f, d, err);
    case DISK_SLOW:
        return request_read_delay(f, d, err);
    case DISK_STALL:
        d->kind = DISK_KIND_ANY;
        if (params_check_keys(f->params, stall_keys, err) < 0 ||
            params_choice(f->params, "kind", disk_kinds, &d->kind, err) < 0)
            return -1;
        snprintf(d->order, sizeof(d->order), "stall kind=%s",
                 disk_kinds[d->kind]);
        return 0;
    case DISK_LIE:
        snprintf(d->order, sizeof(d->order), "lie on");
        return params_check_keys(f->params, none, err);
    }
    return error_set(err, ERROR_BUG, "no such fault");
}

static int
request_setup(struct fault *f, enum disk_harm harm, struct error *err)
{
    struct disk_request_fault *d = xcalloc(1, sizeof(*d));

    d->harm = harm;
    if (request_read(f, d, err) < 0) {
        free(d);
        return -1;
    }
    f->state = d;
    return 0;
}

static int
error_setup(struct fault *f, struct error *err)
{
    return request_setup(f, DISK_ERROR, err);
}

static int
full_setup(struct fault *f, struct error *err)
{
    return request_setup(f, DISK_FULL, err);
}

static int
slow_setup(struct fault *f, struct error *err)
{
    return request_setup(f, DISK_SLOW, err);
}

static int
stall_setup(struct fault *f, struct error *err)
{
    return request_setup(f, DISK_STALL, err);
}

static int
lie_setup(struct fault *f, struct error *err)
{
    return request_setup(f, DISK_LIE, err);
}

static int
request_inject(struct fault *f, struct error *err)
{
    const struct disk_request_fault *d = f->state;

    if (disk_remember(f, err) < 0)
        return -1;
    return disk_order_all(f, d->order, err);
}

/* ---- proofs ---- */

static json_int_t
stat_of(const json_t *stats, const char *key)
{
    return json_integer_value(json_object_get(stats, key));
}

static int
request_probe(struct fault *f, unsigned node, int64_t limit_ns,
              struct disk_probe *ret, struct error *err)
{
    const struct disk_request_fault *d = f->state;

    return disk_probe(f->world, node,
                      d->kind == DISK_KIND_READ ? DISK_PROBE_READ
                                                : DISK_PROBE_WRITE,
                      (uint64_t)d->offset, limit_ns, ret, err);
}

/* The rule has hit; where it hits each request, the guest has seen that. */
static int
rule_look(struct fault *f, unsigned node, enum proof *ret, struct error *err)
{
    const struct disk_request_fault *d = f->state;
    struct disk_probe probe = {.finished = false};
    json_int_t hit = 0;
    const json_t *rule;
    json_t *stats = NULL;

    for (int try = 0; try < DISK_PROBES_MAX && hit == 0; try++) {
        json_decref(stats);
        if (request_probe(f, node, DISK_PROBE_NS, &probe, err) < 0)
            return -1;
        stats = disk_order(f->world, node, err, "stats");
        if (stats == NULL)
            return -1;
        rule = json_array_get(json_object_get(stats, "rules"), 0);
        hit = stat_of(rule, "hit");
        if (rule == NULL)
            break;
    }
    rule = json_array_get(json_object_get(stats, "rules"), 0);
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        json_pack("{s:o, s:O?}", "probe",
                                  disk_probe_to_json(&probe), "rule", rule));
    *ret = hit > 0 && (!d->every || (probe.finished && probe.status != 0))
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    json_decref(stats);
    return 0;
}

static int
slow_look(struct fault *f, unsigned node, enum proof *ret, struct error *err)
{
    const struct disk_request_fault *d = f->state;
    struct disk_probe probe = {.finished = false};
    json_t *stats;
    json_int_t delayed = 0;
    static const char *const kinds[] = {"read", "write", "flush"};

    if (request_probe(f, node, DISK_PROBE_NS, &probe, err) < 0)
        return -1;
    stats = disk_order(f->world, node, err, "stats");
    if (stats == NULL)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        delayed += stat_of(json_object_get(stats, kinds[i]), "delayed");
    json_decref(stats);
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        json_pack("{s:o, s:I}", "probe",
                                  disk_probe_to_json(&probe), "delayed",
                                  delayed));
    /* The guest's clock counts in hundredths. */
    *ret = delayed > 0 && probe.took_ns + 10 * NS_PER_MS >= d->delay_ns
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    return 0;
}

static int
stall_look(struct fault *f, unsigned node, enum proof *ret, struct error *err)
{
    struct disk_probe probe = {.finished = false};
    json_t *stats;
    json_int_t waiting;

    if (request_probe(f, node, DISK_STALL_LOOK_NS, &probe, err) < 0)
        return -1;
    stats = disk_order(f->world, node, err, "stats");
    if (stats == NULL)
        return -1;
    waiting = stat_of(stats, "waiting");
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        json_pack("{s:o, s:I, s:O?}", "probe",
                                  disk_probe_to_json(&probe), "waiting",
                                  waiting, "stalled",
                                  json_object_get(stats, "stalled")));
    json_decref(stats);
    *ret = !probe.finished && waiting > 0 ? PROOF_CONFIRMED : PROOF_MISMATCH;
    return 0;
}

/* The guest's fsync says yes, and nothing became stable. */
static int
lie_look(struct fault *f, unsigned node, enum proof *ret, struct error *err)
{
    struct disk_probe probe = {.finished = false};
    json_t *before = disk_order(f->world, node, err, "stats"), *after;
    json_int_t lied, flushed;

    if (before == NULL)
        return -1;
    lied = -stat_of(before, "lied");
    flushed = -stat_of(before, "flushes");
    json_decref(before);
    if (request_probe(f, node, DISK_PROBE_NS, &probe, err) < 0)
        return -1;
    after = disk_order(f->world, node, err, "stats");
    if (after == NULL)
        return -1;
    lied += stat_of(after, "lied");
    flushed += stat_of(after, "flushes");
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        json_pack("{s:o, s:I, s:I, s:I}", "probe",
                                  disk_probe_to_json(&probe), "lied", lied,
                                  "flushed", flushed, "at_risk_records",
                                  stat_of(after, "log_records")));
    json_decref(after);
    *ret = probe.finished && probe.status == 0 && lied > 0 && flushed == 0
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    return 0;
}

static int
request_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
              struct error *err)
{
    const struct disk_request_fault *d = f->state;

    if (phase == FAULT_HEALED)
        return disk_prove_healed(f, ret, err);
    switch (d->harm) {
    case DISK_ERROR:
    case DISK_FULL:
        return fault_look_each(f, rule_look, ret, err);
    case DISK_SLOW:
        return fault_look_each(f, slow_look, ret, err);
    case DISK_STALL:
        return fault_look_each(f, stall_look, ret, err);
    case DISK_LIE:
        return fault_look_each(f, lie_look, ret, err);
    }
    return error_set(err, ERROR_BUG, "no such fault");
}

/* A daemon whose writes fail ends itself; one whose flushes were lies may later
 * refuse what it finds. */
static const int disk_may_exit[] = {74, 0};
static const int disk_may_refuse[] = {76, 0};

#define REQUEST_OPS                                                            \
    .available = disk_available, .undo_record = daemon_undo_record,            \
    .inject = request_inject, .prove = request_prove, .heal = disk_heal,       \
    .undo = disk_undo, .teardown = daemon_teardown

const struct fault_ops fault_disk_error_ops = {
    .name = "disk-error",
    .description = "requests to the data disk fail",
    .takes_nodes_down = true,
    .may_exit = disk_may_exit,
    .setup = error_setup,
    REQUEST_OPS,
};

const struct fault_ops fault_disk_full_ops = {
    .name = "disk-full",
    .description = "the data disk has no space left for writes",
    .takes_nodes_down = true,
    .may_exit = disk_may_exit,
    .setup = full_setup,
    REQUEST_OPS,
};

const struct fault_ops fault_disk_slow_ops = {
    .name = "disk-slow",
    .description = "each request to the data disk takes longer",
    .setup = slow_setup,
    REQUEST_OPS,
};

const struct fault_ops fault_disk_stall_ops = {
    .name = "disk-stall",
    .description = "requests to the data disk wait until the heal",
    .takes_nodes_down = true,
    .setup = stall_setup,
    REQUEST_OPS,
};

const struct fault_ops fault_disk_lying_flush_ops = {
    .name = "disk-lying-flush",
    .description = "the data disk says that it has flushed, and has not",
    .breaks_durability = true,
    .may_exit = disk_may_refuse,
    .setup = lie_setup,
    REQUEST_OPS,
};
