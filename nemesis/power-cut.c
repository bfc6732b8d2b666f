/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power-cut: the targets lose their power at one moment, and their data disks
 * what was not flushed, by a policy and the seed.  They stay off until the
 * heal.
 *
 *   inject: [flushes take longer] -> cut all platters -> SIGKILL all machines
 *   heal:   platter on -> machine on -> guest answers -> daemon started
 *
 * Happy path: the machines' processes are gone and the disks without power;
 * the evidence has what each disk lost.  Healed: another boot, and the daemon
 * serves.
 *
 * Failure modes: a platter that was cut and whose machine still lives (inject
 * failed half way) is cut off from it first when healed.  A guest that does not
 * come back is a heal that is tried again, and then dirt of the run.
 */
#include "config.h"

#include <inttypes.h>

#include "harness/base/file.h"
#include "harness/provider/machine.h"
#include "nemesis/boot.h"
#include "nemesis/fanout.h"
#include "nemesis/params.h"
#include "nemesis/platter/platter.h"
#include "nemesis/registry.h"

#define CUT_TIMEOUT_NS (10 * NS_PER_S)
/* So long flushes are slowed down before the cut, to have some under way. */
#define CUT_SETTLE_NS (300 * NS_PER_MS)
#define CUT_LATENCY_NS_MAX (2 * NS_PER_S)

static const char *const cut_policies[] = {
    "drop", "keep", "prefix", "torn-tail", "subset", "tear", NULL};

struct power_cut {
    struct boot_fault boot;
    struct cut_spec spec;
    int64_t flush_latency_ns;
    struct cut_result results[NODE_COUNT_MAX];
};

static int
power_cut_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"policy", "percent", "unit",
                                       "flush_latency", NULL};
    struct power_cut *c;
    unsigned policy = 0;
    double percent = 50, unit = 512;

    if (boot_setup(f, sizeof(*c), keys, err) < 0)
        return -1;
    c = f->state;
    if (params_choice(f->params, "policy", cut_policies, &policy, err) < 0 ||
        params_number(f->params, "percent", 0, 100, &percent, err) < 0 ||
        params_number(f->params, "unit", 512, 4096, &unit, err) < 0 ||
        params_duration(f->params, "flush_latency", &c->flush_latency_ns, err) <
            0)
        goto failed;
    if (unit != 512 && unit != 4096) {
        error_set(err, ERROR_CONFIG, "unit: 512 or 4096");
        goto failed;
    }
    if (c->flush_latency_ns > CUT_LATENCY_NS_MAX) {
        error_set(err, ERROR_CONFIG, "flush_latency: at most 2s");
        goto failed;
    }
    cut_policy_parse(cut_policies[policy], &c->spec.policy);
    c->spec.percent = (unsigned)percent;
    c->spec.unit_bytes = (unsigned)unit;
    return 0;
failed:
    daemon_teardown(f);
    return -1;
}

static bool
power_cut_available(const struct fault_world *w)
{
    return machine_can(w->provider, MACHINE_PLATTER) &&
           machine_can(w->provider, MACHINE_KILL) &&
           machine_can(w->provider, MACHINE_LOOK) && daemon_available(w);
}

static int64_t
power_cut_deadline(const struct fault_world *w)
{
    return clock_now_ns(w->clock) + CUT_TIMEOUT_NS;
}

/* ---- inject ---- */

static int
power_cut_latency(const struct fault_world *w, unsigned node, int64_t ns,
                  struct error *err)
{
    json_t *reply = platter_command(machine_platter(w->provider, node),
                                    power_cut_deadline(w), err,
                                    "latency kind=flush ns=%" PRId64, ns);

    json_decref(reply);
    return reply == NULL ? -1 : 0;
}

static int
power_cut_slow_flushes(struct fault *f, struct error *err)
{
    const struct power_cut *c = f->state;

    if (c->flush_latency_ns == 0)
        return 0;
    for (unsigned i = 0; i < f->world->cluster->node_count; i++)
        if (f->targets >> i & 1 &&
            power_cut_latency(f->world, i, c->flush_latency_ns, err) < 0)
            return -1;
    clock_sleep_ns(f->world->clock, CUT_SETTLE_NS);
    return 0;
}

static int
power_cut_disk(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct power_cut *c = f->state;
    struct cut_spec spec = c->spec;

    spec.seed =
        platter_cut_seed(f->seed, f->world->cluster->nodes[node].name, 1);
    return platter_cut(machine_platter(f->world->provider, node), &spec,
                       power_cut_deadline(f->world), &c->results[node], err);
}

static int
power_cut_machine(void *ctx, unsigned node, struct error *err)
{
    const struct fault *f = ctx;

    if (machine_kill(f->world->provider, node, err) < 0)
        return -1;
    return provider_power_off(f->world->provider, node, err);
}

static int
power_cut_inject(struct fault *f, struct error *err)
{
    if (boot_remember(f, err) < 0 || power_cut_slow_flushes(f, err) < 0 ||
        fanout(f->targets, power_cut_disk, f, err) < 0)
        return -1;
    return fanout(f->targets, power_cut_machine, f, err);
}

/* ---- proofs ---- */

static json_t *
power_cut_lost(const struct cut_result *r)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "generation",
                     (json_int_t)r->generation, "records",
                     (json_int_t)r->records, "kept", (json_int_t)r->kept,
                     "torn", (json_int_t)r->torn, "lost", (json_int_t)r->lost,
                     "unflushed_sectors", (json_int_t)r->unflushed_sectors,
                     "lost_sectors", (json_int_t)r->lost_sectors);
}

/* Off, by the process table and the monitor; no power, by the disk itself. */
static int
power_cut_look(struct fault *f, unsigned node, enum proof *ret,
               struct error *err)
{
    const struct power_cut *c = f->state;
    struct machine_view view = {.state = MACHINE_OFF};
    json_t *stats, *of;
    bool powered;

    if (machine_look(f->world->provider, node, &view, err) < 0)
        return -1;
    stats = platter_command(machine_platter(f->world->provider, node),
                            power_cut_deadline(f->world), err, "stats");
    if (stats == NULL)
        return -1;
    powered = json_is_true(json_object_get(stats, "powered"));
    *ret = view.state == MACHINE_OFF && !powered &&
                   json_integer_value(json_object_get(stats, "generation")) ==
                       (json_int_t)c->results[node].generation
               ? PROOF_CONFIRMED
               : PROOF_MISMATCH;
    json_decref(stats);
    of = json_pack("{s:s, s:b, s:o}", "machine", machine_state_name(view.state),
                   "disk_powered", powered, "cut",
                   power_cut_lost(&c->results[node]));
    json_object_set_new(f->evidence, f->world->cluster->nodes[node].name, of);
    return 0;
}

static int
power_cut_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
                struct error *err)
{
    if (phase == FAULT_HEALED)
        return boot_prove_up(f, ret, err);
    return fault_look_each(f, power_cut_look, ret, err);
}

/* ---- heal ---- */

static int
power_cut_disk_on(const struct fault_world *w, unsigned node, struct error *err)
{
    const struct platter *p = machine_platter(w->provider, node);
    json_t *stats = platter_command(p, power_cut_deadline(w), err, "stats");
    bool powered = json_is_true(json_object_get(stats, "powered"));

    json_decref(stats);
    if (stats == NULL)
        return -1;
    if (!powered && (machine_kill(w->provider, node, err) < 0 ||
                     provider_power_off(w->provider, node, err) < 0))
        return -1;
    if (platter_power_on(p, power_cut_deadline(w), err) < 0)
        return -1;
    return power_cut_latency(w, node, 0, err);
}

static int
power_cut_heal_node(void *ctx, unsigned node, struct error *err)
{
    const struct fault_world *w = ctx;

    if (power_cut_disk_on(w, node, err) < 0 ||
        provider_power_on(w->provider, node, err) < 0 ||
        boot_wait(w, node, "", err) < 0)
        return -1;
    return daemon_restart(w, 1u << node, err);
}

static int
power_cut_heal(struct fault *f, struct error *err)
{
    return fanout(f->targets, power_cut_heal_node, (void *)f->world, err);
}

const struct fault_ops fault_power_cut_ops = {
    .name = "power-cut",
    .description = "the power goes, and with it what disks had not flushed",
    .takes_nodes_down = true,
    .reboots = true,
    .setup = power_cut_setup,
    .available = power_cut_available,
    .undo_record = daemon_undo_record,
    .inject = power_cut_inject,
    .prove = power_cut_prove,
    .heal = power_cut_heal,
    .undo = boot_undo,
    .teardown = daemon_teardown,
};
