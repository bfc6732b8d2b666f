/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults of machines and data disks where no machine is: parameters,
 * capability that is asked, undo from the record alone, and the proofs over a
 * provider that is only pretended.  On real ones:
 * tests/e2e/test-fault-machine.c.
 */
#include "config.h"

#include <string.h>

#include "harness/provider/machine.h"
#include "nemesis/registry.h"
#include "nemesis/throttle-work.h"
#include "tests/lib/fake-remote.h"
#include "tests/lib/tap.h"

/* ---- a pretended provider ---- */

struct pretended {
    enum machine_state state[NODE_COUNT_MAX];
    unsigned look_count;
    bool deaf; /* orders are taken and nothing comes of them */
};

static int
pretended_look(struct provider *p, unsigned node, struct machine_view *ret,
               struct error *err)
{
    struct pretended *m = p->state;

    (void)err;
    m->look_count++;
    *ret = (struct machine_view){.state = m->state[node],
                                 .pid = m->state[node] == MACHINE_OFF ? 0 : 77};
    return 0;
}

static int
pretended_pause(struct provider *p, unsigned node, struct error *err)
{
    struct pretended *m = p->state;

    if (m->state[node] == MACHINE_OFF)
        return error_set(err, ERROR_ENVIRONMENT, "the machine is off");
    if (!m->deaf)
        m->state[node] = MACHINE_PAUSED;
    return 0;
}

static int
pretended_resume(struct provider *p, unsigned node, struct error *err)
{
    struct pretended *m = p->state;

    if (m->state[node] == MACHINE_OFF)
        return error_set(err, ERROR_ENVIRONMENT, "the machine is off");
    if (!m->deaf)
        m->state[node] = MACHINE_RUNNING;
    return 0;
}

static const struct machine_ops pretended_machine_ops = {
    .look = pretended_look,
    .pause = pretended_pause,
    .resume = pretended_resume,
};
static const struct provider_ops pretended_ops = {
    .name = "pretended", .machine = &pretended_machine_ops};
static const struct provider_ops bare_ops = {.name = "bare"};

struct fixture {
    struct fake *fake;
    struct pretended machines;
    struct provider provider;
    struct fault fault;
    json_t *params;
    struct error err;
};

static void
setup(struct fixture *f, const char *name, node_set targets)
{
    *f = (struct fixture){.fake = fake_new(3), .params = json_object()};
    f->provider = (struct provider){.ops = &pretended_ops,
                                    .clock = &f->fake->clock.clock,
                                    .state = &f->machines};
    for (unsigned i = 0; i < 3; i++)
        f->machines.state[i] = MACHINE_RUNNING;
    f->fake->world.provider = &f->provider;
    fault_init(&f->fault, fault_find(name), &f->fake->world, f->params);
    f->fault.targets = targets;
    CHECK_OK(fault_setup(&f->fault, &f->err), &f->err);
    fault_journalled(&f->fault);
}

static void
teardown(struct fixture *f)
{
    fault_release(&f->fault);
    json_decref(f->params);
    fake_free(f->fake);
}

static void
check_proof(struct fixture *f, enum fault_phase phase, enum proof expected)
{
    CHECK_STR(proof_name(fault_prove(&f->fault, phase)), proof_name(expected));
}

/* ---- tests ---- */

static bool
is_of_machines(const char *name)
{
    return strncmp(name, "vm-", 3) == 0 ||
           (strncmp(name, "disk-", 5) == 0 && strcmp(name, "disk-fill") != 0) ||
           strcmp(name, "power-cut") == 0;
}

/* Without a provider, with one that has no machines, and with one that can do
 * no more than look and pause. */
static void
test_capability_is_asked(void)
{
    const struct fault_ops *const *all = fault_all();
    struct fake *fake = fake_new(3);
    struct pretended machines = {0};
    struct provider bare = {.ops = &bare_ops},
                    some = {.ops = &pretended_ops, .state = &machines};
    unsigned count = 0;

    for (size_t i = 0; all[i] != NULL; i++) {
        if (!is_of_machines(all[i]->name))
            continue;
        count++;
        fake->world.provider = NULL;
        CHECK(!fault_available(all[i], &fake->world));
        fake->world.provider = &bare;
        CHECK(!fault_available(all[i], &fake->world));
        fake->world.provider = &some;
        CHECK(fault_available(all[i], &fake->world) ==
              (strcmp(all[i]->name, "vm-pause") == 0));
    }
    CHECK(count >= 15);
    CHECK_INT(machines.look_count, 0);
    fake_free(fake);
}

static void
test_bad_params_are_refused(void)
{
    static const char *const bad[][2] = {
        {"power-cut", "{\"policy\": \"some\"}"},
        {"power-cut", "{\"policy\": \"replay\"}"},
        {"power-cut", "{\"percent\": 101}"},
        {"power-cut", "{\"unit\": 1000}"},
        {"power-cut", "{\"flush_latency\": \"3s\"}"},
        {"power-cut", "{\"color\": 1}"},
        {"vm-reset", "{\"hard\": true}"},
        {"vm-nmi", "{\"cpu\": 0}"},
        {"vm-pause", "{\"percent\": 5}"},
        {"vm-throttle", "{\"percent\": 0}"},
        {"vm-throttle", "{\"percent\": 61}"},
        {"vm-balloon", "{\"memory\": 16}"},
        {"vm-balloon", "{\"percent\": 50}"},
        {"vm-link-down", "{\"direction\": \"in\"}"},
        {"vm-rollback", "{\"age\": \"30s\"}"},
        {"vm-rollback", "{\"age\": 3}"},
        {"disk-error", "{\"kind\": \"trim\"}"},
        {"disk-error", "{\"rate\": 0}"},
        {"disk-error", "{\"nth\": 0}"},
        {"disk-error", "{\"offset\": -1}"},
        {"disk-full", "{\"kind\": \"read\"}"},
        {"disk-slow", "{\"delay\": \"1ms\"}"},
        {"disk-slow", "{\"jitter\": \"6s\"}"},
        {"disk-stall", "{\"delay\": \"1s\"}"},
        {"disk-lying-flush", "{\"kind\": \"flush\"}"},
        {"disk-corrupt", "{\"path\": \"/etc/passwd\"}"},
        {"disk-corrupt", "{\"block\": \"middle\"}"},
        {"disk-stale", "{\"path\": 7}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *params = json_loads(bad[i][1], 0, NULL);
        struct error err = {0};

        CHECK(fault_check_params(fault_find(bad[i][0]), params, &err) < 0);
        CHECK_INT(err.kind, ERROR_CONFIG);
        json_decref(params);
    }
}

static void
test_good_params_are_taken(void)
{
    static const char *const good[][2] = {
        {"power-cut", "{\"policy\": \"torn-tail\", \"unit\": 4096}"},
        {"power-cut",
         "{\"policy\": \"subset\", \"percent\": 30, \"flush_latency\": "
         "\"20ms\"}"},
        {"vm-throttle", "{\"percent\": 40}"},
        {"vm-balloon", "{\"memory\": 96}"},
        {"disk-error", "{\"kind\": \"read\", \"rate\": 0.25, \"nth\": 3, "
                       "\"count\": 2, \"offset\": 0, \"length\": 4096}"},
        {"disk-slow", "{\"kind\": \"flush\", \"delay\": \"50ms\"}"},
        {"disk-stale", "{\"path\": \"/data/*\", \"block\": \"last\"}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        json_t *params = json_loads(good[i][1], 0, NULL);
        struct error err = {0};

        CHECK_OK(fault_check_params(fault_find(good[i][0]), params, &err),
                 &err);
        json_decref(params);
    }
}

/* 'recover' has no provider: it ends the machines, and the undo may not need
 * them. */
static void
test_undo_needs_no_provider(void)
{
    const struct fault_ops *const *all = fault_all();

    for (size_t i = 0; all[i] != NULL; i++) {
        struct fixture f;
        json_t *record;

        if (!is_of_machines(all[i]->name))
            continue;
        f = (struct fixture){.fake = fake_new(3)};
        record =
            json_pack("{s:s, s:[s]}", "fault", all[i]->name, "nodes", "n2");
        CHECK_OK(fault_undo(&f.fake->world, record, &f.err), &f.err);
        CHECK_OK(fault_undo(&f.fake->world, record, &f.err), &f.err);
        json_object_set_new(record, "nodes", json_pack("[s]", "n99"));
        CHECK(fault_undo(&f.fake->world, record, &f.err) < 0);
        json_decref(record);
        fake_free(f.fake);
    }
}

/* What a busy host alone may have done proves nothing. */
static void
test_throttled_work_is_judged_by_what_the_host_had_left(void)
{
    static const struct {
        struct throttle_work before, now;
        enum proof effect;
        bool still_slow;
    } cases[] = {
        /* Without a control: by what the host had left. */
        {{100, 0, 1.5}, {500, 0, 1.2}, PROOF_CONFIRMED, true},
        {{100, 0, 1.5}, {300, 0, 0.2}, PROOF_CONFIRMED, true},
        {{100, 0, 1.5}, {500, 0, 0.0}, PROOF_INCONCLUSIVE, false},
        {{100, 0, 0.0}, {500, 0, 1.2}, PROOF_CONFIRMED, true},
        {{100, 0, 1.5}, {110, 0, 1.2}, PROOF_MISMATCH, false},
        {{100, 0, 1.5}, {160, 0, 1.2}, PROOF_INCONCLUSIVE, false},
        {{100, 0, 0.1}, {110, 0, 1.2}, PROOF_INCONCLUSIVE, false},
        /* With one: by how much slower than it, however busy the host. */
        {{100, 100, 0}, {500, 110, 0}, PROOF_CONFIRMED, true},
        {{100, 100, 0}, {500, 250, 0}, PROOF_CONFIRMED, false},
        {{100, 100, 0}, {500, 500, 0}, PROOF_INCONCLUSIVE, false},
        {{100, 100, 0}, {250, 250, 0}, PROOF_MISMATCH, false},
        {{200, 200, 0}, {200, 80, 0}, PROOF_CONFIRMED, false},
        {{100, 100, 0}, {500, 0, 0.0}, PROOF_INCONCLUSIVE, false},
        /* A driver that did not measure before. */
        {{0, 0, 0}, {500, 100, 1.2}, PROOF_INCONCLUSIVE, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct throttle_work *before = &cases[i].before;
        const struct throttle_work *now = &cases[i].now;

        CHECK_INT(throttle_judge_effect(before, now, 20), cases[i].effect);
        CHECK_INT(throttle_still_slow(before, now, 20), cases[i].still_slow);
    }
}

static void
test_free_time_of_the_host(void)
{
    double ticks = 0;

    static const char stat[] = "cpu  10 20 30 40 50 60 70 80 0 0\ncpu0 1\n";

    CHECK(throttle_free_ticks(stat, false, &ticks));
    CHECK(ticks == 110);
    CHECK(throttle_free_ticks(stat, true, &ticks));
    CHECK(ticks == 90);
    CHECK(!throttle_free_ticks("intr 1 2 3 4 5\n", false, &ticks));
    CHECK(!throttle_free_ticks("cpu  10 20\n", false, &ticks));
    CHECK(!throttle_free_ticks("", false, &ticks));
}

static void
test_what_the_faults_say_of_themselves(void)
{
    CHECK(fault_find("power-cut")->reboots);
    CHECK(fault_find("vm-reset")->reboots);
    CHECK(fault_find("vm-nmi")->reboots);
    CHECK(!fault_find("vm-pause")->reboots);
    CHECK(fault_find("power-cut")->takes_nodes_down);
    CHECK(!fault_find("power-cut")->breaks_durability);
    CHECK(fault_find("power-cut")->may_exit == NULL);
    CHECK(fault_find("vm-rollback")->breaks_durability);
    CHECK(fault_find("disk-lying-flush")->breaks_durability);
    CHECK(fault_find("disk-corrupt")->breaks_durability);
    CHECK(fault_find("disk-stale")->breaks_durability);
    CHECK(!fault_find("disk-error")->breaks_durability);
    CHECK_INT(fault_find("disk-error")->may_exit[0], 74);
    CHECK_INT(fault_find("disk-error")->may_exit[1], 0);
    CHECK(fault_find("disk-slow")->may_exit == NULL);
}

static void
test_a_pause_is_proven_by_the_machines_own_word(void)
{
    struct fixture f;

    setup(&f, "vm-pause", 5);
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    CHECK_INT(f.machines.state[0], MACHINE_PAUSED);
    CHECK_INT(f.machines.state[1], MACHINE_RUNNING);
    CHECK_INT(f.machines.state[2], MACHINE_PAUSED);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    f.machines.state[2] = MACHINE_RUNNING; /* behind our back */
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

static void
test_an_order_that_does_nothing_is_a_mismatch(void)
{
    struct fixture f;

    setup(&f, "vm-pause", 1);
    f.machines.deaf = true;
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

static void
test_a_machine_that_ended_is_a_mismatch(void)
{
    struct fixture f;

    setup(&f, "vm-pause", 1);
    CHECK_OK(fault_inject(&f.fault, &f.err), &f.err);
    f.machines.state[0] = MACHINE_OFF;
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK(fault_heal(&f.fault, &f.err) < 0);
    CHECK(strstr(f.err.text, "vm-pause: heal: node n1: resume") != NULL);
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    teardown(&f);
}

int
main(void)
{
    RUN(test_capability_is_asked);
    RUN(test_bad_params_are_refused);
    RUN(test_good_params_are_taken);
    RUN(test_undo_needs_no_provider);
    RUN(test_throttled_work_is_judged_by_what_the_host_had_left);
    RUN(test_free_time_of_the_host);
    RUN(test_what_the_faults_say_of_themselves);
    RUN(test_a_pause_is_proven_by_the_machines_own_word);
    RUN(test_an_order_that_does_nothing_is_a_mismatch);
    RUN(test_a_machine_that_ended_is_a_mismatch);
    return tap_done();
}
