/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu-pressure, memory-pressure: processes beside the daemon that take what it
 * needs, held in the guest by ordeal-harm.
 *
 * Happy path: look at the guest's load, begin, look again: the processes are
 * there and had their share of processor time between two looks, or hold the
 * memory; heal ends them, and none is there any more.
 *
 * Failure modes: an allocator that the kernel ended leaves nothing taken: a
 * mismatch.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fanout.h"
#include "nemesis/held.h"
#include "nemesis/params.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"

#define PRESSURE_POLL_NS (200 * NS_PER_MS)
#define PRESSURE_EFFECT_TIMEOUT_NS (15 * NS_PER_S)
/* Processor time is compared between two looks so far apart. */
#define PRESSURE_LOOK_NS (1 * NS_PER_S)
/* Of one processor's time, together: the daemon may want the rest. */
#define PRESSURE_SHARE_MIN 0.4
/* What others take and give back between two looks at memory. */
#define PRESSURE_MEMORY_SLACK_KIB (12 * 1024)

struct pressure {
    double amount; /* burners; MiB that are left */
    int64_t available_before_kib[NODE_COUNT_MAX];
    bool known[NODE_COUNT_MAX];
};

/* One look at a guest's load. */
struct pressure_look {
    int64_t burners, cpu_ms, rss_kib, available_kib, uptime_ms;
};

static bool
pressure_is_cpu(const struct fault *f)
{
    return f->ops == &fault_cpu_pressure_ops;
}

static int
pressure_alloc(struct fault *f, double amount)
{
    struct pressure *p = xcalloc(1, sizeof(*p));

    p->amount = amount;
    f->state = p;
    return 0;
}

static int
pressure_cpu_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"burners", NULL};
    double burners = 4.0;

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_number(f->params, "burners", 1.0, 64.0, &burners, err) < 0)
        return -1;
    return pressure_alloc(f, burners);
}

static int
pressure_memory_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"leave", NULL};
    double leave_mib = 24.0;

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_number(f->params, "leave", 4.0, 1048576.0, &leave_mib, err) < 0)
        return -1;
    return pressure_alloc(f, leave_mib);
}

static void
pressure_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

static int
pressure_look(struct fault *f, unsigned node, struct pressure_look *ret,
              struct error *err)
{
    static const char *const words[] = {"load", NULL};
    json_t *answer = held_call(f->world, node, words, err);
    json_int_t values[5];
    int unpacked;

    if (answer == NULL)
        return -1;
    unpacked =
        json_unpack(answer, "{s:I, s:I, s:I, s:I, s:I}", "burners", &values[0],
                    "cpu_ms", &values[1], "rss_kib", &values[2],
                    "available_kib", &values[3], "uptime_ms", &values[4]);
    json_decref(answer);
    if (unpacked < 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': its load is not understood",
                         f->world->cluster->nodes[node].name);
    *ret = (struct pressure_look){.burners = values[0],
                                  .cpu_ms = values[1],
                                  .rss_kib = values[2],
                                  .available_kib = values[3],
                                  .uptime_ms = values[4]};
    return 0;
}

static int
pressure_inject_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct pressure *p = f->state;
    struct pressure_look look;
    char amount[24];
    const char *const args[] = {amount, NULL};

    if (pressure_look(f, node, &look, err) < 0)
        return -1;
    p->available_before_kib[node] = look.available_kib;
    p->known[node] = true;
    snprintf(amount, sizeof(amount), "%.0f",
             pressure_is_cpu(f) ? p->amount : p->amount * 1024);
    return held_start(f, node, pressure_is_cpu(f) ? "cpu" : "memory", args,
                      err);
}

static int
pressure_inject(struct fault *f, struct error *err)
{
    return fanout(f->targets, pressure_inject_node, f, err);
}

static int
pressure_heal(struct fault *f, struct error *err)
{
    return held_stop(f, f->targets, err);
}

/* ---- proofs ---- */

static int
pressure_look_cpu_node(struct fault *f, unsigned node, enum proof *ret,
                       struct error *err)
{
    static const char *const words[] = {"spin", "50", NULL};
    const struct pressure *p = f->state;
    struct pressure_look a, b;
    json_t *spin;
    double share;

    if (pressure_look(f, node, &a, err) < 0)
        return -1;
    clock_sleep_ns(f->world->clock, PRESSURE_LOOK_NS);
    spin = held_call(f->world, node, words, err);
    if (spin == NULL)
        return -1;
    if (pressure_look(f, node, &b, err) < 0) {
        json_decref(spin);
        return -1;
    }
    share = b.uptime_ms == a.uptime_ms
                ? 0.0
                : (double)(b.cpu_ms - a.cpu_ms) /
                      (double)(b.uptime_ms - a.uptime_ms);
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        json_pack("{s:I, s:f, s:o}", "burners",
                                  (json_int_t)b.burners, "share", share,
                                  "others_50ms", spin));
    *ret = b.burners == (int64_t)p->amount && share >= PRESSURE_SHARE_MIN
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    return 0;
}

static int
pressure_look_memory_node(struct fault *f, unsigned node, enum proof *ret,
                          struct error *err)
{
    const struct pressure *p = f->state;
    struct pressure_look look;
    bool held;

    if (pressure_look(f, node, &look, err) < 0)
        return -1;
    held = look.burners == 1 && look.rss_kib > 0 &&
           look.available_kib <=
               (int64_t)p->amount * 1024 + PRESSURE_MEMORY_SLACK_KIB;
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        json_pack("{s:I, s:I, s:I}", "taken_kib",
                                  (json_int_t)look.rss_kib, "available_kib",
                                  (json_int_t)look.available_kib,
                                  "available_before_kib",
                                  (json_int_t)p->available_before_kib[node]));
    *ret = held ? PROOF_CONFIRMED : PROOF_MISMATCH;
    return 0;
}

/* Nobody of ours is there, and what they took is free again: at least half. */
static int
pressure_look_healed_node(struct fault *f, unsigned node, enum proof *ret,
                          struct error *err)
{
    const struct pressure *p = f->state;
    int64_t before_kib = p->available_before_kib[node];
    struct pressure_look look;
    bool acts = true, free_again;

    if (held_acts(f, node, &acts, err) < 0 ||
        pressure_look(f, node, &look, err) < 0)
        return -1;
    free_again = !p->known[node] || pressure_is_cpu(f) ||
                 look.available_kib >= before_kib / 2;
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name,
                        json_pack("{s:I, s:I}", "burners",
                                  (json_int_t)look.burners, "available_kib",
                                  (json_int_t)look.available_kib));
    *ret = !acts && look.burners == 0 && free_again ? PROOF_CONFIRMED
                                                    : PROOF_MISMATCH;
    return 0;
}

static int
pressure_look_effect(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f,
                           pressure_is_cpu(f) ? pressure_look_cpu_node
                                              : pressure_look_memory_node,
                           ret, err);
}

static int
pressure_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, pressure_look_healed_node, ret, err);
}

static int
pressure_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
               struct error *err)
{
    if (phase == FAULT_EFFECT)
        return fault_prove_until(f, phase, PRESSURE_EFFECT_TIMEOUT_NS,
                                 PRESSURE_POLL_NS, pressure_look_effect, ret,
                                 err);
    return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, PRESSURE_POLL_NS,
                             pressure_look_healed, ret, err);
}

#define PRESSURE_OPS                                                           \
    .available = held_available, .undo_record = held_undo_record,              \
    .inject = pressure_inject, .renew = held_renew, .prove = pressure_prove,   \
    .heal = pressure_heal, .undo = held_undo, .teardown = pressure_teardown

const struct fault_ops fault_cpu_pressure_ops = {
    .name = "cpu-pressure",
    .description = "processes that never sleep, beside the daemon",
    .setup = pressure_cpu_setup,
    PRESSURE_OPS,
};

const struct fault_ops fault_memory_pressure_ops = {
    .name = "memory-pressure",
    .description = "a process beside the daemon takes the memory",
    .setup = pressure_memory_setup,
    PRESSURE_OPS,
};
