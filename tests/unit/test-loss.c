/* SPDX-License-Identifier: Apache-2.0 */
/* Frames lost without an order: what a fault explains, what is little, what
 * is too much. */
#include "config.h"

#include <string.h>

#include "harness/base/clock.h"
#include "harness/loss.h"
#include "tests/lib/tap.h"

#define NODES 3
#define STATIONS 5

struct fixture {
    struct loss *loss;
    struct loss_counts now[STATIONS];
    int64_t time_ns;
    uint64_t lost;
    json_t *intervals;
    char worst[256];
};

/* Everybody had traffic already, and had lost some, before the first look. */
static void
setup(struct fixture *f)
{
    *f = (struct fixture){.loss = loss_new(STATIONS)};
    for (unsigned i = 0; i < STATIONS; i++)
        f->now[i] = (struct loss_counts){.frames = 5000, .unsent = 900};
    loss_look(f->loss, 0, f->now);
}

/* A second goes by: 'frames' of the station pass, 'lost' do not. */
static void
second(struct fixture *f, unsigned station, uint64_t frames, uint64_t lost)
{
    f->time_ns += NS_PER_S;
    f->now[station].frames += frames;
    f->now[station].station_drops += lost;
    loss_look(f->loss, f->time_ns, f->now);
}

static bool
judge(struct fixture *f, const struct loss_fault *faults, size_t count)
{
    json_decref(f->intervals);
    f->worst[0] = '\0';
    return loss_judge(f->loss, faults, count, NODES, &f->lost, &f->intervals,
                      f->worst, sizeof(f->worst));
}

static void
teardown(struct fixture *f)
{
    json_decref(f->intervals);
    loss_free(f->loss);
}

static void
test_what_was_lost_before_does_not_count(void)
{
    struct fixture f;

    setup(&f);
    second(&f, 0, 1000, 0);
    CHECK(judge(&f, NULL, 0));
    CHECK_INT(f.lost, 0);
    CHECK_INT(json_array_size(f.intervals), 0);
    teardown(&f);
}

static void
test_a_little_is_told_and_no_harm(void)
{
    struct fixture f;

    setup(&f);
    for (unsigned i = 0; i < 10; i++)
        second(&f, 1, 10000, 9);
    CHECK(judge(&f, NULL, 0));
    CHECK_INT(f.lost, 90);
    CHECK_INT(json_array_size(f.intervals), 10);
    teardown(&f);
}

static void
test_a_burst_is_too_much(void)
{
    struct fixture f;

    setup(&f);
    for (unsigned i = 0; i < 100; i++)
        second(&f, 1, 10000, 0);
    second(&f, 1, 100, 21);
    CHECK(!judge(&f, NULL, 0));
    CHECK(strstr(f.worst, "21 frames of n2") != NULL);
    teardown(&f);
}

static void
test_a_trickle_is_too_much(void)
{
    struct fixture f;

    setup(&f);
    for (unsigned i = 0; i < 20; i++)
        second(&f, 4, 1000, 6);
    CHECK(!judge(&f, NULL, 0));
    CHECK(strstr(f.worst, "120 frames of c2") != NULL);
    teardown(&f);
}

/* More looks with loss than are kept: the sum still counts. */
static void
test_looks_beyond_the_bound_count_in_the_sum(void)
{
    struct fixture f;

    setup(&f);
    for (unsigned i = 0; i < LOSS_INTERVAL_COUNT_MAX; i++)
        second(&f, 0, 10000, 1);
    CHECK(judge(&f, NULL, 0));
    second(&f, 0, 10000, 20000);
    CHECK(!judge(&f, NULL, 0));
    CHECK_INT(json_array_size(f.intervals), LOSS_INTERVAL_COUNT_MAX);
    teardown(&f);
}

/* From 10 s to 20 s on n3: its own loss, also soon after, and no other's. */
static void
test_a_fault_explains_its_own(void)
{
    static const struct {
        unsigned station, at_s;
        bool explained;
    } cases[] = {{2, 5, false},  {2, 11, true},  {2, 15, true},
                 {2, 20, true},  {2, 22, true},  {2, 30, false},
                 {0, 15, false}, {3, 15, false}, {2, 9, false}};
    static const struct loss_fault fault = {.id = 7,
                                            .from_ns = 10 * NS_PER_S,
                                            .to_ns = 20 * NS_PER_S,
                                            .stations = 1u << 2};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        const json_t *id;

        setup(&f);
        f.time_ns = (cases[i].at_s - 1) * NS_PER_S;
        loss_look(f.loss, f.time_ns, f.now);
        second(&f, cases[i].station, 100, 500);
        if (judge(&f, &fault, 1) != cases[i].explained)
            printf("# case %zu: %s\n", i, f.worst);
        CHECK(judge(&f, &fault, 1) == cases[i].explained);
        CHECK_INT(f.lost, cases[i].explained ? 0 : 500);
        id = json_object_get(json_array_get(f.intervals, 0), "fault");
        CHECK_INT(json_integer_value(id), cases[i].explained ? 7 : 0);
        teardown(&f);
    }
}

int
main(void)
{
    RUN(test_what_was_lost_before_does_not_count);
    RUN(test_a_little_is_told_and_no_harm);
    RUN(test_a_burst_is_too_much);
    RUN(test_a_trickle_is_too_much);
    RUN(test_looks_beyond_the_bound_count_in_the_sum);
    RUN(test_a_fault_explains_its_own);
    return tap_done();
}
