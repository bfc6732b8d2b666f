/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock-bump, clock-strobe, clock-drift, clock-freeze: harm to a node's wall
 * clock, held in the guest by ordeal-harm.
 *
 * Happy path: read the clock, begin the harm, read it again.  A reading is the
 * guest's answer between two looks at the host's monotonic clock, so that what
 * the guest's clock gained on the host's is known to lie in an interval as wide
 * as two round trips.  Heal: the guest sets its clock by what it noted before
 * (CLOCK_MONOTONIC_RAW); if the host's clock says that this is not right, it
 * is set by the host's.
 *
 * Failure modes: an interval that is too wide to tell is inconclusive, never
 * taken for either; each proof looks again until its time is over.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fanout.h"
#include "nemesis/held.h"
#include "nemesis/params.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"

/* A clock is right when it gained at most so much on the host's. */
#define CLOCK_BOUND_NS (500 * NS_PER_MS)
/*
 * Of so many readings the one with the shortest round trip counts; one that is
 * as short as this is good enough.
 */
#define CLOCK_READINGS 5
#define CLOCK_ROUND_TRIP_NS (150 * NS_PER_MS)
/*
 * What the host's clock alone cannot tell, by slow answers, is told by the
 * guest's own clock that is not harmed, as long as the host's says so roughly.
 */
#define CLOCK_WIDTH_MAX_NS (5 * NS_PER_S)
#define CLOCK_POLL_NS (170 * NS_PER_MS)
#define CLOCK_EFFECT_TIMEOUT_NS (15 * NS_PER_S)
/* Between two readings that tell whether a clock goes on. */
#define CLOCK_FREEZE_LOOK_NS (1500 * NS_PER_MS)

#define CLOCK_STEP_MAX_MS 86400000.0
#define CLOCK_PPM_MIN 10000.0
#define CLOCK_PPM_MAX 100000.0

struct clock_reading {
    int64_t sent_ns, got_ns;     /* on the host */
    int64_t realtime_ns, raw_ns; /* in the guest, between them */
};

/* What a clock gained between two readings. */
struct clock_gain {
    int64_t min_ns, max_ns; /* on the host's */
    int64_t raw_ns;         /* on the guest's CLOCK_MONOTONIC_RAW */
    bool rebooted;          /* raw_ns means nothing */
};

struct clock_fault {
    int64_t args[2]; /* of the harm */
    int64_t step_ns; /* bump, strobe */
    double ppm;      /* drift */
    bool known[NODE_COUNT_MAX];
    struct clock_reading before[NODE_COUNT_MAX];
    int64_t begun_ns[NODE_COUNT_MAX]; /* on the host, after it began */
    bool seen[NODE_COUNT_MAX][2];     /* strobe: low, high */
};

/* ---- parameters ---- */

static int
clock_alloc(struct fault *f, const struct clock_fault *c)
{
    f->state = xcalloc(1, sizeof(*c));
    memcpy(f->state, c, sizeof(*c));
    return 0;
}

static void
clock_teardown(struct fault *f)
{
    free(f->state);
    f->state = NULL;
}

/* 'step' in ms; without one, sign and 1 s * 2^(0 to doublings) by the seed. */
static int
clock_step(struct fault *f, unsigned doublings, int64_t *ret_ns,
           struct error *err)
{
    double ms = 0.0;
    struct rng rng;

    rng_init(&rng, f->seed);
    if (params_number(f->params, "step", -CLOCK_STEP_MAX_MS, CLOCK_STEP_MAX_MS,
                      &ms, err) < 0)
        return -1;
    if (json_object_get(f->params, "step") == NULL)
        ms = (rng_chance(&rng, 0.5) ? 1000.0 : -1000.0) *
             (double)(1u << rng_below(&rng, doublings + 1));
    /* Less could not be told from a slow answer. */
    if (fabs(ms) < 1000.0)
        return error_set(err, ERROR_CONFIG, "step: less than 1000 ms");
    *ret_ns = (int64_t)(ms * (double)NS_PER_MS);
    return 0;
}

static int
clock_bump_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"step", NULL};
    struct clock_fault c = {0};

    if (params_check_keys(f->params, keys, err) < 0 ||
        clock_step(f, 8, &c.step_ns, err) < 0)
        return -1;
    c.args[0] = c.step_ns;
    return clock_alloc(f, &c);
}

static int
clock_strobe_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"step", "half_period", NULL};
    struct clock_fault c = {.args = {0, 250 * NS_PER_MS}};

    if (params_check_keys(f->params, keys, err) < 0 ||
        clock_step(f, 4, &c.step_ns, err) < 0 ||
        params_duration(f->params, "half_period", &c.args[1], err) < 0)
        return -1;
    if (c.args[1] < 10 * NS_PER_MS || c.args[1] > 5 * NS_PER_S)
        return error_set(err, ERROR_CONFIG, "half_period: not 10ms to 5s");
    c.args[0] = c.step_ns;
    return clock_alloc(f, &c);
}

static int
clock_drift_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"ppm", NULL};
    struct clock_fault c = {0};
    struct rng rng;

    rng_init(&rng, f->seed);
    if (params_check_keys(f->params, keys, err) < 0 ||
        params_number(f->params, "ppm", -CLOCK_PPM_MAX, CLOCK_PPM_MAX, &c.ppm,
                      err) < 0)
        return -1;
    if (json_object_get(f->params, "ppm") == NULL)
        c.ppm = (rng_chance(&rng, 0.5) ? 1.0 : -1.0) *
                (50000.0 + (double)rng_below(&rng, 50001));
    if (fabs(c.ppm) < CLOCK_PPM_MIN)
        return error_set(err, ERROR_CONFIG, "ppm: less than 10000");
    c.args[0] = (int64_t)c.ppm;
    return clock_alloc(f, &c);
}

static int
clock_freeze_setup(struct fault *f, struct error *err)
{
    static const char *const keys[] = {"grain", NULL};
    struct clock_fault c = {.args = {10 * NS_PER_MS}};

    if (params_check_keys(f->params, keys, err) < 0 ||
        params_duration(f->params, "grain", &c.args[0], err) < 0)
        return -1;
    if (c.args[0] < NS_PER_MS || c.args[0] > 200 * NS_PER_MS)
        return error_set(err, ERROR_CONFIG, "grain: not 1ms to 200ms");
    return clock_alloc(f, &c);
}

/* ---- readings ---- */

static int
clock_read_once(const struct fault_world *w, unsigned node,
                struct clock_reading *ret, struct error *err)
{
    static const char *const words[] = {"clock", NULL};
    struct clock_reading r = {.sent_ns = clock_now_ns(w->clock)};
    json_t *answer = held_call(w, node, words, err);

    if (answer == NULL)
        return -1;
    r.got_ns = clock_now_ns(w->clock);
    r.raw_ns = json_integer_value(json_object_get(answer, "raw_ns"));
    r.realtime_ns = json_integer_value(json_object_get(answer, "realtime_ns"));
    json_decref(answer);
    if (r.raw_ns <= 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': the reading of its clock is not "
                         "understood",
                         w->cluster->nodes[node].name);
    *ret = r;
    return 0;
}

static int
clock_read(const struct fault_world *w, unsigned node,
           struct clock_reading *ret, struct error *err)
{
    struct clock_reading best = {0}, r;

    for (int i = 0; i < CLOCK_READINGS; i++) {
        if (clock_read_once(w, node, &r, err) < 0)
            return -1;
        if (i == 0 || r.got_ns - r.sent_ns < best.got_ns - best.sent_ns)
            best = r;
        if (best.got_ns - best.sent_ns <= CLOCK_ROUND_TRIP_NS)
            break;
    }
    *ret = best;
    return 0;
}

static struct clock_gain
clock_gain(const struct clock_reading *a, const struct clock_reading *b)
{
    int64_t guest_ns = b->realtime_ns - a->realtime_ns;

    return (struct clock_gain){.min_ns = guest_ns - (b->got_ns - a->sent_ns),
                               .max_ns = guest_ns - (b->sent_ns - a->got_ns),
                               .raw_ns = guest_ns - (b->raw_ns - a->raw_ns),
                               .rebooted = b->raw_ns < a->raw_ns};
}

static bool
clock_near(int64_t ns, int64_t want_ns, int64_t tolerance_ns)
{
    return ns >= want_ns - tolerance_ns && ns <= want_ns + tolerance_ns;
}

/*
 * Whether the gain is surely within 'tolerance' of 'want', or surely not.  The
 * host's clock decides; where its interval reaches over a border but is narrow
 * enough to say that the guest's own clock is sound, that one does.
 */
static enum proof
clock_judge(struct clock_gain g, int64_t want_ns, int64_t tolerance_ns)
{
    if (clock_near(g.min_ns, want_ns, tolerance_ns) &&
        clock_near(g.max_ns, want_ns, tolerance_ns))
        return PROOF_CONFIRMED;
    if (g.max_ns < want_ns - tolerance_ns || g.min_ns > want_ns + tolerance_ns)
        return PROOF_MISMATCH;
    if (g.rebooted || g.max_ns - g.min_ns > CLOCK_WIDTH_MAX_NS)
        return PROOF_INCONCLUSIVE;
    return clock_near(g.raw_ns, want_ns, tolerance_ns) ? PROOF_CONFIRMED
                                                       : PROOF_MISMATCH;
}

/* The same for a harm: the host's clock must see that there is one. */
static enum proof
clock_judge_harm(struct clock_gain g, int64_t want_ns, int64_t tolerance_ns)
{
    enum proof proof = clock_judge(g, want_ns, tolerance_ns);

    return proof == PROOF_CONFIRMED && g.min_ns <= 0 && g.max_ns >= 0
               ? PROOF_INCONCLUSIVE
               : proof;
}

/* The node's place in the evidence. */
static json_t *
clock_evidence(struct fault *f, unsigned node)
{
    const char *name = f->world->cluster->nodes[node].name;
    json_t *e = json_object_get(f->evidence, name);

    if (e == NULL) {
        e = json_object();
        json_object_set_new(f->evidence, name, e);
    }
    return e;
}

static void
clock_show_gain(json_t *evidence, const char *key, struct clock_gain g)
{
    json_object_set_new(evidence, key,
                        json_pack("[I, I]", (json_int_t)(g.min_ns / NS_PER_MS),
                                  (json_int_t)(g.max_ns / NS_PER_MS)));
    if (!g.rebooted)
        json_object_set_new(evidence, "guest_gained_ms",
                            json_integer((json_int_t)(g.raw_ns / NS_PER_MS)));
}

/* ---- inject ---- */

static int
clock_inject_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    struct clock_fault *c = f->state;
    char texts[2][24];
    const char *const args[] = {texts[0], c->args[1] == 0 ? NULL : texts[1],
                                NULL};

    for (int i = 0; i < 2; i++)
        snprintf(texts[i], sizeof(texts[i]), "%" PRId64, c->args[i]);
    if (clock_read(f->world, node, &c->before[node], err) < 0)
        return -1;
    c->known[node] = true;
    if (held_start(f, node, f->ops->name, args, err) < 0)
        return -1;
    c->begun_ns[node] = clock_now_ns(f->world->clock);
    return 0;
}

static int
clock_inject(struct fault *f, struct error *err)
{
    return fanout(f->targets, clock_inject_node, f, err);
}

/* ---- proofs of effect ---- */

static int64_t
clock_tolerance(const struct clock_fault *c)
{
    int64_t half = c->step_ns < 0 ? -c->step_ns / 2 : c->step_ns / 2;

    return half < CLOCK_BOUND_NS ? half : CLOCK_BOUND_NS;
}

static int
clock_look_bump_node(struct fault *f, unsigned node, enum proof *ret,
                     struct error *err)
{
    const struct clock_fault *c = f->state;
    struct clock_reading now;
    struct clock_gain gain;

    if (clock_read(f->world, node, &now, err) < 0)
        return -1;
    gain = clock_gain(&c->before[node], &now);
    clock_show_gain(clock_evidence(f, node), "gained_ms", gain);
    *ret = clock_judge_harm(gain, c->step_ns, clock_tolerance(c));
    return 0;
}

static int
clock_look_bump(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, clock_look_bump_node, ret, err);
}

/* One instant is on one side or the other; both must have been seen. */
static int
clock_look_strobe_node(struct fault *f, unsigned node, enum proof *ret,
                       struct error *err)
{
    struct clock_fault *c = f->state;
    json_t *evidence = clock_evidence(f, node);
    struct clock_reading now;

    for (int i = 0; i < CLOCK_READINGS; i++) {
        struct clock_gain gain;
        bool low, high;

        if (clock_read_once(f->world, node, &now, err) < 0)
            return -1;
        gain = clock_gain(&c->before[node], &now);
        low = clock_judge(gain, 0, clock_tolerance(c)) == PROOF_CONFIRMED;
        high = clock_judge_harm(gain, c->step_ns, clock_tolerance(c)) ==
               PROOF_CONFIRMED;
        c->seen[node][0] |= low;
        c->seen[node][1] |= high;
        if (low || high)
            clock_show_gain(evidence, high ? "high_ms" : "low_ms", gain);
        else
            clock_show_gain(evidence, "other_ms", gain);
    }
    *ret =
        c->seen[node][0] && c->seen[node][1] ? PROOF_CONFIRMED : PROOF_MISMATCH;
    return 0;
}

static int
clock_look_strobe(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, clock_look_strobe_node, ret, err);
}

/* It has gained what it should by now: at least half, at most half more. */
static int
clock_look_drift_node(struct fault *f, unsigned node, enum proof *ret,
                      struct error *err)
{
    const struct clock_fault *c = f->state;
    const struct clock_reading *before = &c->before[node];
    struct clock_reading now;
    struct clock_gain gain;
    int64_t want_ns;
    double guest;

    if (clock_read(f->world, node, &now, err) < 0)
        return -1;
    gain = clock_gain(before, &now);
    want_ns =
        (int64_t)((double)(now.sent_ns - c->begun_ns[node]) * c->ppm * 1e-6);
    guest = ((double)(now.realtime_ns - before->realtime_ns) /
                 (double)(now.raw_ns - before->raw_ns) -
             1.0) *
            1e6;
    clock_show_gain(clock_evidence(f, node), "gained_ms", gain);
    json_object_set_new(clock_evidence(f, node), "ordered_ms",
                        json_integer(want_ns / NS_PER_MS));
    json_object_set_new(clock_evidence(f, node), "guest_ppm",
                        json_integer((json_int_t)guest));
    *ret =
        clock_judge_harm(gain, want_ns, (want_ns < 0 ? -want_ns : want_ns) / 2);
    return 0;
}

static int
clock_look_drift(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, clock_look_drift_node, ret, err);
}

/* While the host's went on, the guest's went on by less than a quarter. */
static int
clock_look_freeze_node(struct fault *f, unsigned node, enum proof *ret,
                       struct error *err)
{
    struct clock_reading a, b;
    int64_t host_ns, guest_ns;

    if (clock_read_once(f->world, node, &a, err) < 0)
        return -1;
    clock_sleep_ns(f->world->clock, CLOCK_FREEZE_LOOK_NS);
    if (clock_read_once(f->world, node, &b, err) < 0)
        return -1;
    host_ns = b.sent_ns - a.got_ns;
    guest_ns = b.realtime_ns - a.realtime_ns;
    json_object_set_new(clock_evidence(f, node), "host_ms",
                        json_integer(host_ns / NS_PER_MS));
    json_object_set_new(clock_evidence(f, node), "guest_ms",
                        json_integer(guest_ns / NS_PER_MS));
    *ret = guest_ns < host_ns / 4 && guest_ns > -host_ns / 4 ? PROOF_CONFIRMED
                                                             : PROOF_MISMATCH;
    return 0;
}

static int
clock_look_freeze(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, clock_look_freeze_node, ret, err);
}

/* ---- heal ---- */

/* The wall clock right now, had nothing been done to it. */
static int64_t
clock_right_ns(const struct clock_reading *before,
               const struct clock_reading *now)
{
    int64_t host_before =
        before->sent_ns + (before->got_ns - before->sent_ns) / 2;
    int64_t host_now = now->sent_ns + (now->got_ns - now->sent_ns) / 2;

    return before->realtime_ns + (host_now - host_before);
}

/* What the guest did by its own notes is checked, and mended, by the host's. */
static int
clock_mend_node(void *ctx, unsigned node, struct error *err)
{
    struct fault *f = ctx;
    const struct clock_fault *c = f->state;
    char raw[24], realtime[24];
    const char *const words[] = {"clock-set", raw, realtime, NULL};
    struct clock_reading now;
    json_t *answer;

    if (!c->known[node])
        return 0;
    if (clock_read(f->world, node, &now, err) < 0)
        return -1;
    /* By a slow answer a clock that is right would only be made wrong. */
    if (clock_judge(clock_gain(&c->before[node], &now), 0, CLOCK_BOUND_NS) !=
        PROOF_MISMATCH)
        return 0;
    snprintf(raw, sizeof(raw), "%" PRId64, now.raw_ns);
    snprintf(realtime, sizeof(realtime), "%" PRId64,
             clock_right_ns(&c->before[node], &now));
    answer = held_call(f->world, node, words, err);
    if (answer == NULL)
        return -1;
    json_decref(answer);
    return 0;
}

static int
clock_heal(struct fault *f, struct error *err)
{
    if (held_stop(f, f->targets, err) < 0)
        return -1;
    return fanout(f->targets, clock_mend_node, f, err);
}

/* No holder acts; and where it is known what was, the clock says that still. */
static int
clock_look_healed_node(struct fault *f, unsigned node, enum proof *ret,
                       struct error *err)
{
    const struct clock_fault *c = f->state;
    json_t *evidence = clock_evidence(f, node);
    enum proof proof = PROOF_CONFIRMED;
    struct clock_reading now;
    bool acts;

    if (held_acts(f, node, &acts, err) < 0)
        return -1;
    json_object_set_new(evidence, "held", json_boolean(acts));
    if (c->known[node]) {
        struct clock_gain gain;

        if (clock_read(f->world, node, &now, err) < 0)
            return -1;
        gain = clock_gain(&c->before[node], &now);
        clock_show_gain(evidence, "gained_ms", gain);
        proof = clock_judge(gain, 0, CLOCK_BOUND_NS);
    }
    *ret = acts ? PROOF_MISMATCH : proof;
    return 0;
}

static int
clock_look_healed(struct fault *f, enum proof *ret, struct error *err)
{
    return fault_look_each(f, clock_look_healed_node, ret, err);
}

static int
clock_prove(struct fault *f, enum fault_phase phase, enum proof *ret,
            struct error *err)
{
    static const struct {
        const char *name;
        int (*look)(struct fault *f, enum proof *ret, struct error *err);
    } looks[] = {
        {"clock-bump", clock_look_bump},
        {"clock-strobe", clock_look_strobe},
        {"clock-drift", clock_look_drift},
        {"clock-freeze", clock_look_freeze},
    };
    struct clock_fault *c = f->state;
    size_t i = 0;

    if (phase == FAULT_HEALED)
        return fault_prove_until(f, phase, FAULT_HEAL_TIMEOUT_NS, CLOCK_POLL_NS,
                                 clock_look_healed, ret, err);
    for (unsigned node = 0; node < f->world->cluster->node_count; node++)
        if ((f->targets >> node & 1) && !c->known[node])
            return error_set(err, ERROR_ENVIRONMENT,
                             "node '%s': what its clock said before is not "
                             "known",
                             f->world->cluster->nodes[node].name);
    memset(c->seen, 0, sizeof(c->seen));
    while (strcmp(looks[i].name, f->ops->name) != 0) {
        i++;
        assert(i < ARRAY_LEN(looks));
    }
    return fault_prove_until(f, phase, CLOCK_EFFECT_TIMEOUT_NS, CLOCK_POLL_NS,
                             looks[i].look, ret, err);
}

#define CLOCK_OPS                                                              \
    .available = held_available, .undo_record = held_undo_record,              \
    .inject = clock_inject, .renew = held_renew, .prove = clock_prove,         \
    .heal = clock_heal, .undo = held_undo, .teardown = clock_teardown

const struct fault_ops fault_clock_bump_ops = {
    .name = "clock-bump",
    .description = "the wall clock jumps, and goes on from there",
    .setup = clock_bump_setup,
    CLOCK_OPS,
};

const struct fault_ops fault_clock_strobe_ops = {
    .name = "clock-strobe",
    .description = "the wall clock jumps there and back, again and again",
    .setup = clock_strobe_setup,
    CLOCK_OPS,
};

const struct fault_ops fault_clock_drift_ops = {
    .name = "clock-drift",
    .description = "the clocks go too fast or too slow (adjtimex)",
    .setup = clock_drift_setup,
    CLOCK_OPS,
};

const struct fault_ops fault_clock_freeze_ops = {
    .name = "clock-freeze",
    .description = "the wall clock is set back to the same moment all the time",
    .setup = clock_freeze_setup,
    CLOCK_OPS,
};
