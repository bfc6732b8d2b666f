/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netem: what the targets send on the cluster interface is late, or does not
 * arrive: the kernel's network emulator, set by tc.  For providers whose
 * network is not a switch of ours; where it is one, net-delay and net-loss say
 * more.
 *
 * Happy path: arm the guests' timers, measure pings, set the emulator as the
 * interface's root, measure again; heal by deleting it.
 *
 * Failure modes: another emulator there already is replaced, and gone after
 * the heal; a guest without the kernel's module is found by asking.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fanout.h"
#include "nemesis/guest.h"
#include "nemesis/held.h"
#include "nemesis/params.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"

#define NETEM_TIMER "netem"
#define NETEM_HANDLE "d0d:"
#define NETEM_POLL_NS (200 * NS_PER_MS)
#define NETEM_EFFECT_TIMEOUT_NS (15 * NS_PER_S)
/* Below, pings of emulated guests are no proof; above, TCP gives up. */
#define NETEM_DELAY_MIN_NS (50 * NS_PER_MS)
#define NETEM_DELAY_MAX_NS (2 * NS_PER_S)
#define NETEM_PINGS 40

/* $2 the interface. */
static const char netem_timer[] = GUEST_TIMER_WAIT
    "case $(/sbin/tc qdisc show dev \"$2\") in *'netem " NETEM_HANDLE "'*)\n"
    "/sbin/tc qdisc del dev \"$2\" root || exit 1 ;; esac\nexit 3\n";

/* $1 how many, $2 the interval, $3 an address: ping's last two lines. */
static const struct guest_script netem_ping = {
    "ordeal-netem-ping", GUEST_BUSYBOX
    " timeout -s INT 8 " GUEST_BUSYBOX
    " ping -c \"$1\" -i \"$2\" -W 3 \"$3\" | " GUEST_BUSYBOX " tail -n 2\n"};

struct netem_pings {
    unsigned sent, received;
    double average_ms; /* 0: none came */
};

struct netem {
    int64_t delay_ns, jitter_ns;
    double loss;
    bool known[NODE_COUNT_MAX];
    struct netem_pings usual[NODE_COUNT_MAX];
};

/* ---- parameters ---- */

static int
netem_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"delay", "jitter", "loss", NULL};
    struct netem n = {.loss = 0.0};

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_duration(f->params, "delay", &n.delay_ns, err) < 0 ||
        params_duration(f->params, "jitter", &n.jitter_ns, err) < 0 ||
        params_number(f->params, "loss", 0.1, 0.9, &n.loss, err) < 0)
        return -1;
    if (n.delay_ns == 0 && n.loss == 0.0)
        n.delay_ns = 100 * NS_PER_MS;
    if (n.delay_ns != 0 &&
        (n.delay_ns < NETEM_DELAY_MIN_NS || n.delay_ns > NETEM_DELAY_MAX_NS))
        return error_set(err, ERROR_CONFIG, "delay: not 50ms to 2s");
    if (n.jitter_ns > n.delay_ns)
        return error_set(err, ERROR_CONFIG, "jitter: more than the delay");
    f->state = xcalloc(1, sizeof(n));
    memcpy(f->state, &n, sizeof(n));
    return 0;
}

static void
netem_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

static bool
netem_node_available(struct remote *r)
{
    static const char *const tc[] = {"tc", "qdisc", "show", NULL};
    static const char *const module[] = {"modprobe", "sch_netem", NULL};
    struct error err = {0};

    return strcmp(r->ops->name, "local") != 0 && remote_run(r, tc, &err) == 0 &&
           remote_run(r, module, &err) == 0;
}

static bool
netem_available(const struct fault_world *w)
{
    for (unsigned i = 0; i < w->cluster->node_count; i++)
        if (!netem_node_available(&w->remotes[i]))
            return false;
    return w->cluster->node_count > 1;
}

/* ---- looking ---- */

static const char *
netem_interface(const struct fault_world *w, unsigned node)
{
    return w->cluster->nodes[node].cluster_interface;
}

/* Whether the emulator is there now. */
static int
netem_is_set(const struct fault_world *w, unsigned node, bool *ret,
             struct error *err)
{
    const char *const argv[] = {
        "tc", "qdisc", "show", "dev", netem_interface(w, node), NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (guest_exec(&w->remotes[node], argv, NULL, &result, err) < 0)
        return -1;
    if (result.status != 0)
        return error_set(err, ERROR_ENVIRONMENT, "node '%s': tc: %.160s",
                         w->cluster->nodes[node].name, buf_text(&result.err));
    *ret = strstr(buf_text(&result.out), "netem " NETEM_HANDLE) != NULL;
    return 0;
}

/* To the next node: what a target sends passes its own emulator. */
static int
netem_measure(struct fault *f, unsigned node, struct netem_pings *ret,
              struct error *err)
{
    const struct netem *n = f->state;
    unsigned peer = (node + 1) % f->world->cluster->node_count;
    char count[16];
    const char *const args[] = {count, n->loss > 0.0 ? "0.05" : "0.2",
                                f->world->cluster->nodes[peer].cluster_address,
                                NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    struct netem_pings p = {0};
    const char *times;

    snprintf(count, sizeof(count), "%d", n->loss > 0.0 ? NETEM_PINGS : 5);
    exec_result_init(&result);
    if (guest_script(&f->world->remotes[node], &netem_ping, args, &result,
                     err) < 0)
        return -1;
    times = strstr(buf_text(&result.out), " = ");
    if (sscanf(buf_text(&result.out),
               "%u packets transmitted, %u packets received", &p.sent,
               &p.received) != 2 ||
        (p.received > 0 &&
         (times == NULL || sscanf(times, " = %*f/%lf/", &p.average_ms) != 1)))
        return error_set(
            err, ERROR_ENVIRONMENT, "node '%s': ping is not understood: %.120s",
            f->world->cluster->nodes[node].name, buf_text(&result.out));
    *ret = p;
    return 0;
}

/* ---- inject and heal ---- */

static int
netem_arm(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct netem *n = f->state;
    const char *const args[] = {netem_interface(f->world, node), NULL};
    bool armed;

    if (netem_measure(f, node, &n->usual[node], err) < 0)
        return -1;
    n->known[node] = true;
    return guest_timer_arm(&f->world->remotes[node], NETEM_TIMER, netem_timer,
                           args, f->lease_ns, &armed, err);
}

static int
netem_set(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    const struct netem *n = f->state;
    char delay[32], jitter[32], loss[32];
    const char *argv[16] = {
        "tc",   "qdisc",  "replace",    "dev",  netem_interface(f->world, node),
        "root", "handle", NETEM_HANDLE, "netem"};
    size_t at = 9;

    snprintf(delay, sizeof(delay), "%" PRId64 "us", n->delay_ns / NS_PER_US);
    snprintf(jitter, sizeof(jitter), "%" PRId64 "us", n->jitter_ns / NS_PER_US);
    snprintf(loss, sizeof(loss), "%.2f%%", n->loss * 100.0);
    if (n->delay_ns > 0) {
        argv[at++] = "delay";
        argv[at++] = delay;
        if (n->jitter_ns > 0)
            argv[at++] = jitter;
    }
    if (n->loss > 0.0) {
        argv[at++] = "loss";
        argv[at++] = loss;
    }
    return remote_run(&f->world->remotes[node], argv, err);
}

static int
netem_inject(struct fault *f, struct error *err)
{
    if (fanout(f->targets, netem_arm, f, err) < 0)
        return -1;
    return fanout(f->targets, netem_set, f, err);
}

static int
netem_renew(struct fault *f, struct error *err)
{
    return guest_timers_renew(f, f->targets, NETEM_TIMER, err);
}

struct netem_healing {
    const struct fault_world *world;
    bool *self_healed; /* by node; NULL: nobody asks */
};

static int
netem_heal_node(void *ctx, unsigned node, struct error *err)
{
    const struct netem_healing *h = ctx;
    const char *const argv[] = {
        "tc",   "qdisc", "del", "dev", netem_interface(h->world, node),
        "root", NULL};
    bool set, fired;

    if (netem_is_set(h->world, node, &set, err) < 0 ||
        (set && remote_run(&h->world->remotes[node], argv, err) < 0) ||
        guest_timer_disarm(&h->world->remotes[node], NETEM_TIMER, &fired, err) <
            0)
        return -1;
    if (h->self_healed != NULL)
        h->self_healed[node] |= fired;
    return 0;
}

static int
netem_heal(struct fault *f, struct error *err)
{
    struct netem_healing h = {.world = f->world, .self_healed = f->self_healed};

    return fanout(f->targets, netem_heal_node, &h, err);
}

static int
netem_undo(const struct fault_world *w, const json_t *record, struct error *err)
{
    struct netem_healing h = {.world = w};
    node_set nodes;

    if (node_set_from_json(w->cluster, json_object_get(record, "nodes"), &nodes,
                           err) < 0)
        return -1;
    return fanout(nodes, netem_heal_node, &h, err);
}

/* ---- proofs ---- */

static int
netem_look_node(struct fault *f, unsigned node, bool *ret_set,
                struct netem_pings *ret, struct error *err)
{
    if (netem_is_set(f->world, node, ret_set, err) < 0 ||
        netem_measure(f, node, ret, err) < 0)
        return -1;
    json_object_set_new(
        f->evidence, f->world->cluster->nodes[node].name,
        json_pack("{s:b, s:i, s:i, s:f, s:f}", "emulator", *ret_set, "sent",
                  (int)ret->sent, "received", (int)ret->received, "average_ms",
                  ret->average_ms, "usual_ms",
                  ((struct netem *)f->state)->usual[node].average_ms));
    return 0;
}

/* Later than usual by half of what was ordered, as far as it was. */
static bool
netem_is_late(const struct netem *n, unsigned node,
              const struct netem_pings *now)
{
    double ordered_ms = (double)n->delay_ns / (double)NS_PER_MS;

    return now->received > 0 &&
           now->average_ms >= n->usual[node].average_ms + ordered_ms / 2.0;
}

static int
netem_look_effect_node(struct fault *f, unsigned node, enum proof *ret,
                       struct error *err)
{
    const struct netem *n = f->state;
    struct netem_pings now = {0};
    bool set = false, late, lossy;

    if (!n->known[node])
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': how it was before is not known",
                         f->world->cluster->nodes[node].name);
    if (netem_look_node(f, node, &set, &now, err) < 0)
        return -1;
    late = n->delay_ns == 0 || netem_is_late(n, node, &now);
    lossy = n->loss == 0.0 || now.received < now.sent;
    *ret = set && late && lossy ? PROOF_CONFIRMED : PROOF_MISMATCH;
    return 0;
}

static int
netem_look_healed_node(struct fault *f, unsigned node, enum proof *ret,
                       struct error *err)
{
    const struct netem *n = f->state;
    struct netem_pings now = {0};
    bool set = true, late;

    if (netem_look_node(f, node, &set, &now, err) < 0)
        return -1;
    late = n->delay_ns > 0 && n->known[node] && netem_is_late(n, node, &now);
    if (f->world->network_gone)
        *ret = set ? PROOF_MISMATCH : PROOF_CONFIRMED;
    else
        *ret = !set && !late && now.received > 0 && now.received == now.sent
                   ? PROOF_CONFIRMED
                   : PROOF_MISMATCH;
    return 0;
}

static int
netem_look_effect(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, netem_look_effect_node, ret, err);
}

static int
netem_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, netem_look_healed_node, ret, err);
}

static int
netem_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
            struct error *err)
{
    if (phase == FAULT_EFFECT)
        return fault_prove_until(f, phase, NETEM_EFFECT_TIMEOUT_NS,
                                 NETEM_POLL_NS, netem_look_effect, ret, err);
    return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, NETEM_POLL_NS,
                             netem_look_healed, ret, err);
}

const struct fault_ops fault_netem_ops = {
    .name = "netem",
    .description = "what the targets send is late or lost (tc, sch_netem)",
    .setup = netem_setup,
    .available = netem_available,
    .undo_record = held_undo_record,
    .inject = netem_inject,
    .renew = netem_renew,
    .prove = netem_prove,
    .heal = netem_heal,
    .undo = netem_undo,
    .teardown = netem_teardown,
};
