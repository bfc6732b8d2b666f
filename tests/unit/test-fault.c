/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every fault on pretended guests: its effect is observable, its heal is, heal
 * twice is harmless, a dead driver's fault is undone from the record, and what
 * is not so is not claimed.
 */
#include "config.h"

#include "harness/base/arena.h"
#include "nemesis/fabric/shape.h"
#include "nemesis/guest.h"
#include "nemesis/registry.h"
#include "nemesis/target.h"
#include "tests/lib/fake-remote.h"
#include "tests/lib/fault-fixture.h"

#define NODES 5

static void
setup(struct fixture *f, const char *name, const char *params, node_set targets)
{
    *f = (struct fixture){.fake = fake_new(NODES)};
    fixture_ready(f, &f->fake->world, name, params, targets);
}

static void
inject(struct fixture *f)
{
    fixture_journal(f);
    CHECK_OK(fault_inject(&f->fault, &f->err), &f->err);
}

static void
teardown(struct fixture *f)
{
    CHECK_INT(f->fake->unknown_count, 0);
    fixture_end(f);
    fake_free(f->fake);
}

/* ---- the matrix: the same for every fault ---- */

static const struct {
    const char *fault, *params;
    node_set targets;
} matrix[] = {
    {"null", "{}", 1},
    {"kill", "{}", 1},
    {"kill", "{}", 0x1f},
    {"stop", "{\"timeout\":\"5s\"}", 2},
    {"crash-point", "{\"point\":\"soon\"}", 1},
    {"crash-point", "{\"point\":\"soon\",\"nth\":3}", 6},
    {"pause", "{}", 4},
    {"pause", "{}", 3},
    {"clock-bump", "{\"step\":5000}", 1},
    {"clock-bump", "{\"step\":-90000}", 6},
    {"clock-bump", "{}", 0x1f},
    {"clock-strobe", "{\"step\":2000,\"half_period\":\"300ms\"}", 2},
    {"clock-strobe", "{}", 3},
    {"clock-drift", "{\"ppm\":-50000}", 1},
    {"clock-drift", "{}", 5},
    {"clock-freeze", "{}", 1},
    {"clock-freeze", "{\"grain\":\"50ms\"}", 0x1e},
    {"netem", "{}", 1},
    {"netem", "{\"delay\":\"300ms\",\"jitter\":\"100ms\",\"loss\":0.3}", 6},
    {"netem", "{\"loss\":0.5}", 4},
    {"disk-fill", "{}", 1},
    {"disk-fill", "{\"reserve\":64}", 6},
    {"file-truncate", "{}", 1},
    {"file-truncate", "{\"heal\":\"restore\",\"bytes\":10}", 2},
    {"file-flip", "{\"file\":\"meta\",\"bits\":3}", 4},
    {"file-flip", "{\"daemon\":\"running\"}", 1},
    {"file-rollback", "{\"age\":\"3s\"}", 3},
    {"cpu-pressure", "{}", 1},
    {"cpu-pressure", "{\"burners\":2}", 3},
    {"memory-pressure", "{\"leave\":16}", 4},
    {"partition", "{}", 1},
    {"partition", "{\"shape\":\"isolate\"}", 0x1c},
    {"partition", "{\"shape\":\"halves\"}", 3},
    {"partition", "{\"shape\":\"halves\"}", 0x1c},
    {"partition", "{\"shape\":\"one_way\"}", 1},
    {"partition", "{\"shape\":\"one_way\",\"direction\":\"out\"}", 1},
    {"partition", "{\"shape\":\"one_way\",\"direction\":\"in\"}", 7},
    {"partition", "{\"shape\":\"one\"}", 0x1f},
    {"partition", "{\"shape\":\"minority\"}", 0x1f},
    {"partition", "{\"shape\":\"majority\"}", 0x1f},
    {"partition", "{\"shape\":\"majorities-ring\"}", 0x1f},
    {"partition", "{\"shape\":\"bridge\"}", 0x1f},
    {"partition", "{\"shape\":\"isolate-primary\"}", 0x1f},
    {"partition", "{\"shape\":\"one-way\",\"direction\":\"out\"}", 0x1f},
    {"partition", "{\"shape\":\"one-way\"}", 0x1f},
    {"partition", "{\"shape\":\"random\"}", 0x1f},
};

static void
matrix_heal(struct fixture *f)
{
    CHECK_OK(fault_heal(&f->fault, &f->err), &f->err);
    check_proof(f, FAULT_HEALED, PROOF_CONFIRMED);
    CHECK(fake_is_clean(f->fake));
}

static void
matrix_row(size_t i)
{
    bool harms = strcmp(matrix[i].fault, "null") != 0;
    struct fixture f;
    json_t *undo;
    char *evidence;

    setup(&f, matrix[i].fault, matrix[i].params, matrix[i].targets);
    undo = fault_undo_record(&f.fault);
    inject(&f);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    evidence = json_dumps(f.fault.evidence, JSON_COMPACT);
    printf("# %-9s %-40s %.900s\n", matrix[i].fault, matrix[i].params,
           evidence);
    free(evidence);
    CHECK(fake_is_clean(f.fake) == !harms);
    if (harms)
        check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    matrix_heal(&f);
    matrix_heal(&f);
    if (harms)
        check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    fault_release(&f.fault);

    /* Again, and now the driver dies: only the record is left. */
    fault_init(&f.fault, fault_find(matrix[i].fault), &f.fake->world, f.params);
    f.fault.targets = matrix[i].targets;
    CHECK_OK(fault_setup(&f.fault, &f.err), &f.err);
    inject(&f);
    CHECK_OK(fault_undo(&f.fake->world, undo, &f.err), &f.err);
    CHECK(fake_is_clean(f.fake));
    CHECK_OK(fault_undo(&f.fake->world, undo, &f.err), &f.err);
    CHECK(fake_is_clean(f.fake));
    json_decref(undo);
    teardown(&f);
}

static void
test_matrix_of_all_faults(void)
{
    const struct fault_ops *const *all = fault_all();

    for (size_t i = 0; i < ARRAY_LEN(matrix); i++)
        matrix_row(i);
    for (size_t i = 0; all[i] != NULL; i++) {
        size_t row = 0;

        while (row < ARRAY_LEN(matrix) &&
               strcmp(matrix[row].fault, all[i]->name) != 0)
            row++;
        /* Those of the fabric: tests/integration/test-fault-fabric.c; of
         * machines and disks: tests/e2e/test-fault-machine.c. */
        CHECK(row < ARRAY_LEN(matrix) ||
              strncmp(all[i]->name, "net-", 4) == 0 ||
              strncmp(all[i]->name, "vm-", 3) == 0 ||
              strncmp(all[i]->name, "disk-", 5) == 0 ||
              strcmp(all[i]->name, "power-cut") == 0);
    }
}

/* A look that fails proves nothing, in either direction. */
static void
test_lost_connection_is_inconclusive(void)
{
    for (size_t i = 1; i < ARRAY_LEN(matrix); i++) {
        struct fixture f;

        setup(&f, matrix[i].fault, matrix[i].params, matrix[i].targets);
        inject(&f);
        f.fake->trip = FAKE_FAIL_AFTER;
        f.fake->trip_first = 1;
        f.fake->trip_last = UINT32_MAX;
        check_proof(&f, FAULT_EFFECT, PROOF_INCONCLUSIVE);
        CHECK(json_object_get(f.fault.evidence, "error") != NULL);
        check_proof(&f, FAULT_HEALED, PROOF_INCONCLUSIVE);
        teardown(&f);
    }
}

/* A look that fails is not the end of a proof of heal. */
static void
test_proof_of_heal_goes_on_after_a_lost_look(void)
{
    for (size_t i = 1; i < ARRAY_LEN(matrix); i++) {
        struct fixture f;

        setup(&f, matrix[i].fault, matrix[i].params, matrix[i].targets);
        inject(&f);
        CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
        f.fake->trip = FAKE_FAIL_BEFORE;
        f.fake->trip_first = f.fake->trip_last = f.fake->call_count + 1;
        check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
        teardown(&f);
    }
}

/* ---- crash points ---- */

static void
test_a_point_that_is_not_reached_fails(void)
{
    struct fixture f;

    setup(&f, "crash-point", "{\"point\":\"never\",\"within\":\"3s\"}", 1);
    json_decref(fault_undo_record(&f.fault));
    fault_journalled(&f.fault);
    CHECK_INT(fault_inject(&f.fault, &f.err), -1);
    CHECK(strstr(f.err.text, "was not reached") != NULL);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

static void
test_points_are_those_of_the_system(void)
{
    static const char *const bad[] = {
        "{}", "{\"point\":\"somewhere\"}", "{\"point\":\"soon\",\"nth\":0}",
        "{\"point\":\"soon\",\"within\":\"10m\"}"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct fake *fake = fake_new(NODES);
        json_t *params = json_loads(bad[i], 0, NULL);
        struct error err = {0};
        struct fault fault;

        fault_init(&fault, fault_find("crash-point"), &fake->world, params);
        CHECK_INT(fault_setup(&fault, &err), -1);
        CHECK_INT(err.kind, ERROR_CONFIG);
        fault_release(&fault);
        json_decref(params);
        fake_free(fake);
    }
}

/* ---- processes ---- */

static void
test_process_is_told_by_boot_pid_and_start(void)
{
    const struct process_id id = {.pid = 7, .start_ticks = 5, .boot_id = "b"};
    const struct guest_process same = {
        .exists = true, .state = 'S', .start_ticks = 5, .boot_id = "b"};
    struct guest_process look;

    CHECK(guest_process_is(&same, &id));
    look = same;
    look.exists = false;
    CHECK(!guest_process_is(&look, &id));
    look = same;
    look.state = 'Z';
    CHECK(!guest_process_is(&look, &id));
    look = same;
    look.start_ticks = 6;
    CHECK(!guest_process_is(&look, &id));
    look = same;
    look.boot_id[0] = 'c';
    CHECK(!guest_process_is(&look, &id));
}

/* /proc decides, not the service manager that sent the signal. */
static void
test_kill_looks_for_itself(void)
{
    struct fixture f;

    setup(&f, "kill", "{}", 1);
    inject(&f);
    f.fake->nodes[0].running = f.fake->nodes[0].hidden = true;
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

/* What does not run cannot be killed: the fault must not claim it. */
static void
test_kill_of_a_dead_daemon_fails(void)
{
    struct fixture f;

    setup(&f, "kill", "{}", 2);
    f.fake->nodes[1].running = false;
    json_decref(fault_undo_record(&f.fault));
    fault_journalled(&f.fault);
    CHECK_INT(fault_inject(&f.fault, &f.err), -1);
    CHECK(strstr(f.err.text, "kill: inject: node 'n2': the daemon does not") !=
          NULL);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

static void
test_kill_sees_a_daemon_restarted_behind_its_back(void)
{
    struct fixture f;

    setup(&f, "kill", "{}", 1);
    inject(&f);
    f.fake->nodes[0].running = true;
    f.fake->nodes[0].pid = 999;
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

/* The pid is used again, by the daemon itself: still another process. */
static void
test_kill_tells_a_reused_pid_by_its_start(void)
{
    struct fixture f;
    int32_t pid;

    setup(&f, "kill", "{}", 1);
    pid = f.fake->nodes[0].pid;
    inject(&f);
    f.fake->nodes[0].running = true;
    f.fake->nodes[0].pid = pid;
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH); /* the very same process */
    f.fake->nodes[0].start_ticks += 500;
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

/* Gone a moment after the signal is an effect; never gone is none. */
static void
test_kill_waits_for_the_process_to_end(void)
{
    struct fixture f;

    setup(&f, "kill", "{}", 1);
    f.fake->death_ns = 700 * NS_PER_MS;
    inject(&f);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    CHECK(!f.fake->nodes[0].running);
    teardown(&f);

    setup(&f, "kill", "{}", 1);
    f.fake->death_ns = 60 * NS_PER_S;
    inject(&f);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

/* It waits for an answer, then leaves a silent daemon to be judged. */
static void
test_kill_is_healed_when_what_it_started_hangs(void)
{
    struct fixture f;
    int64_t before;

    setup(&f, "kill", "{}", 1);
    inject(&f);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    f.fake->nodes[0].mute = true;
    before = f.fake->clock.now_ns;
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    CHECK(f.fake->clock.now_ns - before >= FAULT_HEAL_TIMEOUT_NS);
    CHECK_STR(json_string_value(json_object_get(
                  json_object_get(f.fault.evidence, "n1"), "restored")),
              "runs, does not answer");
    teardown(&f);
}

static void
test_kill_is_healed_when_what_it_started_ends(void)
{
    struct fixture f;

    setup(&f, "kill", "{}", 1);
    inject(&f);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    f.fake->nodes[0].running = false;
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    CHECK_STR(json_string_value(json_object_get(
                  json_object_get(f.fault.evidence, "n1"), "restored")),
              "was started, ended by itself");
    teardown(&f);
}

static void
test_kill_is_not_healed_by_a_start_that_starts_nothing(void)
{
    struct fixture f;

    setup(&f, "kill", "{}", 1);
    inject(&f);
    f.fake->idle_starts = true;
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    teardown(&f);
}

static void
test_kill_restarts_once(void)
{
    struct fixture f;

    setup(&f, "kill", "{}", 1);
    inject(&f);
    for (int i = 0; i < 3; i++)
        CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    CHECK_INT(f.fake->nodes[0].starts, 1);
    teardown(&f);
}

static void
test_pause_is_seen_to_end_by_itself(void)
{
    struct fixture f;

    setup(&f, "pause", "{}", 1);
    inject(&f);
    fake_fire_timers(f.fake);
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

static void
test_pause_is_not_healed_by_another_process(void)
{
    struct fixture f;

    setup(&f, "pause", "{}", 1);
    inject(&f);
    f.fake->nodes[0].stopped = false;
    f.fake->nodes[0].pid = 999;
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    teardown(&f);
}

/* A dead driver: what the guests do by themselves. */
static void
test_timers_heal_without_a_driver(void)
{
    for (size_t i = 1; i < ARRAY_LEN(matrix); i++) {
        struct fixture f;

        if (fault_find(matrix[i].fault)->renew == NULL)
            continue;
        setup(&f, matrix[i].fault, matrix[i].params, matrix[i].targets);
        inject(&f);
        CHECK(!fake_is_clean(f.fake));
        fake_fire_timers(f.fake);
        CHECK(fake_is_clean(f.fake));
        teardown(&f);
    }
}

/* Nodes without svc (local processes) have no timer; the fault still works. */
static void
test_pause_works_without_svc(void)
{
    struct fixture f;

    setup(&f, "pause", "{}", 1);
    f.fake->no_svc = true;
    inject(&f);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

/* ---- what is held in the guest ---- */

/* The guest's own note does not make its clock right: the host's does. */
static void
test_clock_heal_is_mended_by_the_host(void)
{
    struct fixture f;

    setup(&f, "clock-bump", "{\"step\":60000}", 1);
    inject(&f);
    f.fake->nodes[0].clock_offset_ns = 9 * NS_PER_S;
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    CHECK(fake_is_clean(f.fake));
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    f.fake->nodes[0].clock_offset_ns = 2 * NS_PER_S;
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    teardown(&f);
}

/* Answers that take longer than what is to be told apart tell nothing. */
static void
test_slow_answers_tell_nothing_of_a_clock(void)
{
    struct fixture f;

    setup(&f, "clock-bump", "{\"step\":60000}", 1);
    inject(&f);
    f.fake->slow_ns = 6 * NS_PER_S;
    check_proof(&f, FAULT_EFFECT, PROOF_INCONCLUSIVE);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_INCONCLUSIVE);
    f.fake->slow_ns = 0;
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

/* The holder was killed, its harm is over: not what was ordered. */
static void
test_a_harm_that_ended_is_a_mismatch(void)
{
    static const char *const faults[] = {
        "clock-bump",   "clock-strobe",    "clock-drift", "clock-freeze",
        "cpu-pressure", "memory-pressure", "disk-fill"};

    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct fixture f;

        setup(&f, faults[i], "{}", 2);
        inject(&f);
        check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
        fake_fire_timers(f.fake);
        check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
        CHECK_OK(fault_renew(&f.fault, &f.err), &f.err);
        CHECK(f.fault.self_healed[1] && !f.fault.self_healed[0]);
        CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
        check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
        teardown(&f);
    }
}

/* A rebooted guest has lost the program; it is put there again. */
static void
test_the_program_is_put_there_again(void)
{
    struct fixture f;

    setup(&f, "cpu-pressure", "{}", 1);
    inject(&f);
    f.fake->nodes[0].has_program = false;
    memset(f.fake->nodes[0].held, 0, sizeof(f.fake->nodes[0].held));
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK(f.fake->nodes[0].has_program);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

/* What is done to one node must not be done to the driver's own machine. */
static void
test_nodes_of_this_machine_are_not_for_clocks(void)
{
    struct fake *fake = fake_new(3);
    struct remote_ops local = *fake->remotes[1].ops;

    CHECK(fault_available(fault_find("clock-bump"), &fake->world));
    fake->world.harm_program = NULL;
    CHECK(!fault_available(fault_find("clock-bump"), &fake->world));
    CHECK(!fault_available(fault_find("file-flip"), &fake->world));
    fake->world.harm_program = "ordeal-harm";
    local.name = "local";
    fake->remotes[1].ops = &local;
    CHECK(!fault_available(fault_find("clock-bump"), &fake->world));
    CHECK(!fault_available(fault_find("disk-fill"), &fake->world));
    CHECK(!fault_available(fault_find("memory-pressure"), &fake->world));
    CHECK(fault_available(fault_find("file-flip"), &fake->world));
    fake_free(fake);
}

/* An honest daemon refuses; after the heal it has all its peers know. */
static void
test_file_harm_keeps_the_daemon_down_until_healed(void)
{
    struct fixture f;

    setup(&f, "file-flip", "{}", 1);
    inject(&f);
    CHECK(!f.fake->nodes[0].running);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    CHECK(f.fake->nodes[0].running && f.fake->nodes[0].file_wiped);
    teardown(&f);

    setup(&f, "file-flip", "{\"heal\":\"restore\"}", 1);
    inject(&f);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    CHECK(f.fake->nodes[0].running && !f.fake->nodes[0].file_wiped);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

/* ---- partitions ---- */

static void
check_link(struct fixture *f, unsigned from, unsigned to, bool open)
{
    if (fake_packet(f->fake, from, to) != open)
        printf("# n%u>n%u should be %s\n", from + 1, to + 1,
               open ? "open" : "cut");
    CHECK(fake_packet(f->fake, from, to) == open);
}

static void
test_isolate_cuts_each_target_from_all(void)
{
    struct fixture f;

    setup(&f, "partition", "{}", 3);
    inject(&f);
    for (unsigned a = 0; a < NODES; a++)
        for (unsigned b = 0; b < NODES; b++)
            if (a != b)
                check_link(&f, a, b, a > 1 && b > 1);
    teardown(&f);
}

static void
test_halves_keep_each_side_whole(void)
{
    for (node_set targets = 1; targets < 0x1f; targets++) {
        struct fixture f;
        unsigned owners = 0;

        setup(&f, "partition", "{\"shape\":\"halves\"}", targets);
        inject(&f);
        for (unsigned a = 0; a < NODES; a++) {
            owners += f.fake->nodes[a].table[0] != '\0';
            for (unsigned b = 0; b < NODES; b++)
                if (a != b)
                    check_link(&f, a, b,
                               (targets >> a & 1) == (targets >> b & 1));
        }
        CHECK(owners <= NODES / 2); /* rules on the smaller side only */
        teardown(&f);
    }
}

static void
test_one_way_is_really_one_way(void)
{
    static const char *const params[] = {
        "{\"shape\":\"one_way\",\"direction\":\"in\"}",
        "{\"shape\":\"one_way\",\"direction\":\"out\"}"};

    for (unsigned out = 0; out < 2; out++) {
        struct fixture f;

        setup(&f, "partition", params[out], 2);
        inject(&f);
        for (unsigned peer = 0; peer < NODES; peer++) {
            if (peer == 1)
                continue;
            check_link(&f, peer, 1, out);
            check_link(&f, 1, peer, !out);
        }
        check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
        /* The open direction is cut too: no longer what was asked for. */
        f.fake->nodes[3].rules[0] = (struct fake_rule){
            .input = !out, .drop = true, .peer = 1, .comment = "alien"};
        f.fake->nodes[3].rule_count = 1;
        check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
        teardown(&f);
    }
}

/* What is dropped in the guests is what shape.h says, link by link. */
static void
test_drawn_shapes_are_those_of_the_fabric(void)
{
    for (unsigned shape = SHAPE_ONE; shape < SHAPE_COUNT; shape++) {
        for (uint64_t seed = 1; seed < 20; seed++) {
            struct shape_input in = {.seed = seed,
                                     .node_count = NODES,
                                     .primary = shape == SHAPE_ISOLATE_PRIMARY
                                                    ? 0
                                                    : SHAPE_NO_PRIMARY};
            char *params = xasprintf("{\"shape\":\"%s\"}", shape_name(shape));
            struct link_set links;
            struct fixture f;

            setup(&f, "partition", params, 0x1f);
            f.fault.seed = seed;
            inject(&f);
            CHECK_OK(shape_links(shape, &in, &links, &f.err), &f.err);
            for (unsigned a = 0; a < NODES; a++)
                for (unsigned b = 0; b < NODES; b++)
                    if (a != b)
                        check_link(&f, a, b, !link_set_has(&links, a, b));
            teardown(&f);
            free(params);
        }
    }
}

static void
test_drawn_shapes_are_of_all_nodes(void)
{
    struct fixture f;

    setup(&f, "partition", "{\"shape\":\"bridge\"}", 3);
    json_decref(fault_undo_record(&f.fault));
    fault_journalled(&f.fault);
    CHECK_INT(fault_inject(&f.fault, &f.err), -1);
    CHECK(strstr(f.err.text, "'target: all'") != NULL);
    teardown(&f);
}

static void
test_one_way_needs_packets_in_the_open_direction(void)
{
    struct fixture f;

    setup(&f, "partition", "{\"shape\":\"one_way\",\"direction\":\"out\"}", 2);
    inject(&f);
    /* Someone drops what the peer sends, before it leaves. */
    f.fake->nodes[3].rules[0] =
        (struct fake_rule){.drop = true, .peer = 1, .comment = "alien"};
    f.fake->nodes[3].rule_count = 1;
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

static void
test_partition_sees_its_rules_vanish(void)
{
    struct fixture f;

    setup(&f, "partition", "{}", 1);
    inject(&f);
    fake_fire_timers(f.fake); /* or the guest was rebooted */
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

/* Somebody else cuts another pair: not what was asked for. */
static void
test_partition_checks_the_pairs_it_left_alone(void)
{
    struct fixture f;

    setup(&f, "partition", "{}", 1);
    inject(&f);
    f.fake->nodes[3].rules[0] =
        (struct fake_rule){.drop = true, .peer = 4, .comment = "alien"};
    f.fake->nodes[3].rule_count = 1;
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    f.fake->nodes[3].rule_count = 0;
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

/* A killed peer refuses the connection: the path is open nevertheless. */
static void
test_refused_connection_is_an_open_path(void)
{
    struct fixture f;

    setup(&f, "partition", "{}", 1);
    f.fake->nodes[3].running = false;
    inject(&f);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    teardown(&f);
}

/* Slow guests: a late connect is no cut, a path that stays silent is. */
static void
test_late_connects_get_another_try(void)
{
    struct fixture f;

    setup(&f, "partition", "{}", 1);
    f.fake->slow_open = 5;
    inject(&f);
    check_proof(&f, FAULT_EFFECT, PROOF_CONFIRMED);
    CHECK_INT(f.fake->slow_open, 0);
    f.fake->slow_open = 1000;
    check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
    teardown(&f);
}

/* Rules that drop and count, and yet something gets through. */
static void
test_a_leak_is_a_mismatch(void)
{
    for (int once = 0; once < 2; once++) {
        struct fixture f;

        setup(&f, "partition", "{}", 1);
        inject(&f);
        f.fake->leaks = once ? 2 : 1000;
        f.fake->slow_open = once ? 3 : 0; /* forces another look */
        check_proof(&f, FAULT_EFFECT, PROOF_MISMATCH);
        teardown(&f);
    }
}

/* Every pair connects, but a table of ours is still there. */
static void
test_a_table_left_behind_is_not_healed(void)
{
    struct fixture f;

    setup(&f, "partition", "{\"shape\":\"one_way\"}", 1);
    inject(&f);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    snprintf(f.fake->nodes[2].table, sizeof(f.fake->nodes[2].table),
             "ordeal_20260131_ab12");
    check_proof(&f, FAULT_HEALED, PROOF_MISMATCH);
    CHECK_OK(fault_heal(&f.fault, &f.err), &f.err);
    check_proof(&f, FAULT_HEALED, PROOF_CONFIRMED);
    teardown(&f);
}

static void
test_table_is_named_after_the_run(void)
{
    struct fixture f;
    json_t *undo;

    setup(&f, "partition", "{}", 1);
    undo = fault_undo_record(&f.fault);
    CHECK_STR(json_string_value(json_object_get(undo, "table")),
              "ordeal_20260131_ab12");
    json_decref(undo);
    inject(&f);
    CHECK_STR(f.fake->nodes[0].table, "ordeal_20260131_ab12");
    teardown(&f);
}

static void
test_partition_of_all_in_halves_fails(void)
{
    struct fixture f;

    setup(&f, "partition", "{\"shape\":\"halves\"}", 0x1f);
    json_decref(fault_undo_record(&f.fault));
    fault_journalled(&f.fault);
    CHECK_INT(fault_inject(&f.fault, &f.err), -1);
    CHECK(strstr(f.err.text, "cuts nothing") != NULL);
    teardown(&f);
}

/* ---- bad data ---- */

static void
test_bad_params_are_refused(void)
{
    static const struct {
        const char *fault, *params, *says;
    } cases[] = {
        {"kill", "{\"down\":\"1s\"}", "fault 'kill': unknown key 'down'"},
        {"null", "{\"a\":1}", "unknown key 'a'"},
        {"pause", "[]", "not an object"},
        {"stop", "{\"timeout\":5}", "timeout: not a duration"},
        {"stop", "{\"timeout\":\"5s\",\"x\":1}", "unknown key 'x'"},
        {"partition", "{\"shape\":\"ring\"}",
         "shape: 'ring' is not one of isolate, halves, one_way, one, minority, "
         "majority, majorities-ring, bridge, isolate-primary, one-way, random"},
        {"partition", "{\"shape\":3}", "shape: not a string"},
        {"partition", "{\"direction\":\"in\"}", "only shapes one_way"},
        {"partition", "{\"shape\":\"one_way\",\"direction\":\"up\"}",
         "direction: 'up' is not one of in, out"},
        {"clock-bump", "{\"step\":999}", "step: less than 1000 ms"},
        {"clock-drift", "{\"ppm\":-9999}", "ppm: less than 10000"},
        {"clock-drift", "{\"ppm\":200000}", "ppm: not a number from"},
        {"clock-strobe", "{\"half_period\":\"1ms\"}", "half_period: not 10ms"},
        {"clock-freeze", "{\"grain\":\"1s\"}", "grain: not 1ms to 200ms"},
        {"file-flip", "{\"file\":\"../x\"}", "file: no path below the data"},
        {"file-flip", "{\"bytes\":1}", "unknown key 'bytes'"},
        {"file-truncate", "{\"daemon\":\"running\",\"heal\":\"restore\"}",
         "heal: what a running daemon has cannot be restored"},
        {"netem", "{\"delay\":\"10ms\"}", "delay: not 50ms to 2s"},
        {"netem", "{\"loss\":0.01}", "loss: not a number from"},
        {"netem", "{\"jitter\":\"5s\"}", "jitter: more than the delay"},
        {"disk-fill", "{\"reserve\":-1}", "reserve: not a number from"},
        {"cpu-pressure", "{\"burners\":0}", "burners: not a number from"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        json_t *params = json_loads(cases[i].params, 0, NULL);

        CHECK_INT(fault_check_params(fault_find(cases[i].fault), params, &err),
                  -1);
        CHECK_INT(err.kind, ERROR_CONFIG);
        printf("# %s\n", err.text);
        CHECK(strstr(err.text, cases[i].says) != NULL);
        json_decref(params);
    }
}

static void
test_bad_undo_records_are_refused(void)
{
    static const char *const records[] = {
        "{}",
        "{\"fault\":3}",
        "{\"fault\":\"smash\",\"nodes\":[]}",
        "{\"fault\":\"kill\"}",
        "{\"fault\":\"kill\",\"nodes\":[\"n9\"]}",
        "{\"fault\":\"kill\",\"nodes\":[7]}",
        "{\"fault\":\"pause\",\"nodes\":\"n1\"}",
        "{\"fault\":\"partition\",\"nodes\":[\"n1\"]}",
        "{\"fault\":\"partition\",\"nodes\":[\"n1\"],\"table\":\"filter\"}",
        "{\"fault\":\"partition\",\"nodes\":[],\"table\":\"ordeal_x\\nflush\"}",
        "{\"fault\":\"partition\",\"nodes\":[\"n7\"],\"table\":\"ordeal_x\"}",
    };
    struct fake *fake = fake_new(3);

    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        struct error err = {0};
        json_t *record = json_loads(records[i], 0, NULL);

        CHECK(record != NULL);
        CHECK_INT(fault_undo(&fake->world, record, &err), -1);
        printf("# %s\n", err.text);
        json_decref(record);
    }
    CHECK_INT(fake->call_count, 0);
    fake_free(fake);
}

/* ---- who is primary ---- */

static void
test_highest_term_is_the_primary(void)
{
    struct fake *fake = fake_new(3);
    struct target_view view;

    fake->term = 9;
    fake->primary = 1;
    for (unsigned deposed = 0; deposed < 3; deposed += 2) {
        fake->nodes[deposed].deposed = true;
        target_look(&fake->world, &view);
        CHECK_INT(view.primary, 1);
        CHECK_INT(view.term, 9);
        CHECK_INT(view.backups, deposed == 0 ? 4 : 1);
        fake->nodes[deposed].deposed = false;
    }
    fake_free(fake);
}

int
main(void)
{
    RUN(test_matrix_of_all_faults);
    RUN(test_lost_connection_is_inconclusive);
    RUN(test_proof_of_heal_goes_on_after_a_lost_look);
    RUN(test_a_point_that_is_not_reached_fails);
    RUN(test_points_are_those_of_the_system);
    RUN(test_process_is_told_by_boot_pid_and_start);
    RUN(test_kill_looks_for_itself);
    RUN(test_kill_of_a_dead_daemon_fails);
    RUN(test_kill_sees_a_daemon_restarted_behind_its_back);
    RUN(test_kill_tells_a_reused_pid_by_its_start);
    RUN(test_kill_waits_for_the_process_to_end);
    RUN(test_kill_is_healed_when_what_it_started_hangs);
    RUN(test_kill_is_healed_when_what_it_started_ends);
    RUN(test_kill_is_not_healed_by_a_start_that_starts_nothing);
    RUN(test_kill_restarts_once);
    RUN(test_pause_is_seen_to_end_by_itself);
    RUN(test_pause_is_not_healed_by_another_process);
    RUN(test_timers_heal_without_a_driver);
    RUN(test_pause_works_without_svc);
    RUN(test_clock_heal_is_mended_by_the_host);
    RUN(test_slow_answers_tell_nothing_of_a_clock);
    RUN(test_a_harm_that_ended_is_a_mismatch);
    RUN(test_the_program_is_put_there_again);
    RUN(test_nodes_of_this_machine_are_not_for_clocks);
    RUN(test_file_harm_keeps_the_daemon_down_until_healed);
    RUN(test_isolate_cuts_each_target_from_all);
    RUN(test_halves_keep_each_side_whole);
    RUN(test_one_way_is_really_one_way);
    RUN(test_drawn_shapes_are_those_of_the_fabric);
    RUN(test_drawn_shapes_are_of_all_nodes);
    RUN(test_one_way_needs_packets_in_the_open_direction);
    RUN(test_partition_sees_its_rules_vanish);
    RUN(test_partition_checks_the_pairs_it_left_alone);
    RUN(test_refused_connection_is_an_open_path);
    RUN(test_late_connects_get_another_try);
    RUN(test_a_leak_is_a_mismatch);
    RUN(test_a_table_left_behind_is_not_healed);
    RUN(test_highest_term_is_the_primary);
    RUN(test_table_is_named_after_the_run);
    RUN(test_partition_of_all_in_halves_fails);
    RUN(test_bad_params_are_refused);
    RUN(test_bad_undo_records_are_refused);
    return tap_done();
}
