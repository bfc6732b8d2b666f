/* SPDX-License-Identifier: Apache-2.0 */
/* What a link decides, without sockets and with a clock of the test's own. */
#include "config.h"

#include "nemesis/fabric/link.h"
#include "nemesis/fabric/queue.h"
#include "tests/lib/frames.h"
#include "tests/lib/tap.h"

#define FRAMES 20000
#define STEP_NS (100 * NS_PER_US)

struct fixture {
    struct link link;
    struct error err;
    uint8_t frame[256];
    size_t len;
    struct frame_info info;
    int64_t now_ns;
    /* of the last run */
    unsigned passed, copies, flipped, late, bursts;
    int64_t due_ns[FRAMES]; /* -1: taken */
    double mean_ms, max_ms, min_ms;
};

static struct fixture f;

static void
setup(uint64_t seed)
{
    memset(&f, 0, sizeof(f));
    link_init(&f.link, seed, 1, 2);
    f.len = frame_make(f.frame, FRAME_TCP, 1000, 7000, "payload", 7);
    frame_parse(f.frame, f.len, &f.info);
    f.now_ns = NS_PER_S;
}

static void
add(unsigned id, struct link_rule rule)
{
    CHECK_OK(link_rule_check(&rule, &f.err), &f.err);
    link_add(&f.link, id, &rule);
}

/* Sends 'count' frames, one every STEP_NS. */
static void
run(unsigned count)
{
    bool before = true;

    f.passed = f.copies = f.flipped = f.late = f.bursts = 0;
    f.mean_ms = f.max_ms = 0;
    f.min_ms = 1e9;
    for (unsigned i = 0; i < count; i++) {
        struct link_verdict v;
        double ms;

        link_decide(&f.link, &f.info, f.len, f.now_ns, &v);
        ms = (double)(v.due_ns - f.now_ns) / NS_PER_MS;
        f.now_ns += STEP_NS;
        f.due_ns[i] = v.copies == 0 ? -1 : v.due_ns;
        f.bursts += v.copies == 0 && before;
        before = v.copies > 0;
        if (v.copies == 0)
            continue;
        f.passed++;
        f.copies += v.copies;
        f.flipped += v.flip_count;
        f.late += ms > 0;
        f.mean_ms += ms;
        f.max_ms = ms > f.max_ms ? ms : f.max_ms;
        f.min_ms = ms < f.min_ms ? ms : f.min_ms;
    }
    f.mean_ms /= f.passed > 0 ? f.passed : 1;
}

static const struct link_rule_stats *
stats(unsigned id)
{
    const struct link_rule_slot *slot = link_find(&f.link, id);

    CHECK(slot != NULL);
    return &slot->stats;
}

static bool
near(double value, double expected, double tolerance)
{
    if (value > expected - tolerance && value < expected + tolerance)
        return true;
    printf("# %f is not %f +- %f\n", value, expected, tolerance);
    return false;
}

static void
test_no_rule_passes_all_at_once(void)
{
    setup(1);
    run(100);
    CHECK_INT(f.passed, 100);
    CHECK_INT(f.copies, 100);
    CHECK_INT(f.late, 0);
}

static void
test_drop_takes_all_until_removed(void)
{
    setup(1);
    add(3, (struct link_rule){.drop = true});
    run(50);
    CHECK_INT(f.passed, 0);
    CHECK_INT(stats(3)->dropped, 50);
    CHECK_INT(stats(3)->hit, 50);
    CHECK_INT(stats(3)->passed, 0);
    CHECK(link_remove(&f.link, 3));
    CHECK(!link_remove(&f.link, 3));
    run(50);
    CHECK_INT(f.passed, 50);
}

static void
test_loss_has_its_share_alone_and_in_bursts(void)
{
    setup(7);
    add(1, (struct link_rule){.loss = 0.1});
    run(FRAMES);
    CHECK(near((double)f.passed / FRAMES, 0.9, 0.01));
    CHECK(near((FRAMES - f.passed) / (double)f.bursts, 1.11, 0.05));
    CHECK_INT(stats(1)->lost, FRAMES - f.passed);
    setup(7);
    add(1, (struct link_rule){.loss = 0.1, .loss_burst = 8});
    run(FRAMES);
    CHECK(near((double)f.passed / FRAMES, 0.9, 0.03));
    CHECK(near((FRAMES - f.passed) / (double)f.bursts, 8, 1.2));
}

static void
test_delays_have_their_distributions(void)
{
    setup(3);
    add(1, (struct link_rule){.delay_ns = 5 * NS_PER_MS});
    run(1000);
    CHECK(near(f.min_ms, 5, 1e-9) && near(f.max_ms, 5, 1e-9));
    CHECK_INT(stats(1)->delayed, 1000);
    /* A jitter below half the distance of frames is not bent by order. */
    link_remove(&f.link, 1);
    add(2, (struct link_rule){.delay_ns = 5 * NS_PER_MS,
                              .jitter_ns = 50 * NS_PER_US,
                              .distribution = LINK_UNIFORM});
    run(FRAMES);
    CHECK(near(f.mean_ms, 5, 0.002));
    CHECK(near(f.min_ms, 4.95, 0.001) && near(f.max_ms, 5.05, 0.001));
    link_remove(&f.link, 2);
    add(3, (struct link_rule){.delay_ns = 5 * NS_PER_MS,
                              .jitter_ns = 10 * NS_PER_US,
                              .distribution = LINK_NORMAL});
    run(FRAMES);
    CHECK(near(f.mean_ms, 5, 0.001));
    CHECK(f.max_ms > 5.03 && f.max_ms < 5.06); /* 3 to 6 deviations */
    link_remove(&f.link, 3);
    add(4, (struct link_rule){.delay_ns = 5 * NS_PER_MS,
                              .jitter_ns = 4 * NS_PER_US,
                              .distribution = LINK_PARETO});
    run(FRAMES);
    CHECK(near(f.mean_ms, 5.002, 0.0003)); /* half a jitter */
    CHECK(f.min_ms >= 5);
    CHECK(f.max_ms > 5.04 && f.max_ms <= 5.08001); /* the long tail, cut */
}

static void
test_jitter_keeps_the_order_and_reorder_does_not(void)
{
    unsigned overtaken = 0;

    setup(4);
    add(1, (struct link_rule){.delay_ns = 20 * NS_PER_MS,
                              .jitter_ns = 20 * NS_PER_MS,
                              .distribution = LINK_UNIFORM});
    run(FRAMES);
    for (unsigned i = 1; i < FRAMES; i++)
        CHECK(f.due_ns[i] >= f.due_ns[i - 1]);
    link_remove(&f.link, 1);
    add(2, (struct link_rule){.reorder = 0.2, .hold_ns = 3 * NS_PER_MS});
    run(FRAMES);
    for (unsigned i = 1; i < FRAMES; i++)
        overtaken += f.due_ns[i] < f.due_ns[i - 1];
    CHECK(near((double)stats(2)->held / FRAMES, 0.2, 0.02));
    CHECK(near((double)overtaken / FRAMES, 0.16, 0.02)); /* 0.2 * 0.8 */
    CHECK_INT(f.late, stats(2)->held);
    CHECK_INT(stats(2)->hit, stats(2)->held);
}

static void
test_rate_paces_and_bounds_its_queue(void)
{
    setup(5);
    /* 61 bytes every 100 us are 4.88 Mbit/s; half of it passes. */
    add(1,
        (struct link_rule){.rate_bits = 2440000, .queue_ns = 10 * NS_PER_MS});
    run(FRAMES);
    CHECK_INT(f.len, 61);
    CHECK(near((double)f.passed / FRAMES, 0.5, 0.01));
    CHECK_INT(stats(1)->queue_full, FRAMES - f.passed);
    CHECK(near(f.max_ms, 10.2, 0.2));
}

static void
test_duplicates_and_flips_are_counted(void)
{
    setup(6);
    add(1, (struct link_rule){.duplicate = 0.25});
    add(2, (struct link_rule){.corrupt = 0.5, .fix_checksums = true});
    run(FRAMES);
    CHECK(near((double)(f.copies - f.passed) / FRAMES, 0.25, 0.02));
    CHECK_INT(stats(1)->duplicated, f.copies - f.passed);
    CHECK(near((double)f.flipped / FRAMES, 0.5, 0.02));
    CHECK_INT(stats(2)->corrupted, f.flipped);
    f.info.arp = true; /* which nothing would detect */
    run(100);
    CHECK_INT(f.flipped, 0);
}

static void
test_a_port_rule_sees_only_its_port(void)
{
    setup(7);
    add(1, (struct link_rule){
               .match = LINK_MATCH_TCP, .port = 7000, .drop = true});
    run(10);
    CHECK_INT(f.passed, 0);
    frame_make(f.frame, FRAME_TCP, 7000, 1000, "payload", 7); /* answers */
    frame_parse(f.frame, f.len, &f.info);
    run(10);
    CHECK_INT(f.passed, 0);
    frame_make(f.frame, FRAME_TCP, 1000, 7001, "payload", 7);
    frame_parse(f.frame, f.len, &f.info);
    run(10);
    CHECK_INT(f.passed, 10);
    frame_make(f.frame, FRAME_UDP, 1000, 7000, "payload", 7);
    frame_parse(f.frame, f.len, &f.info);
    run(10);
    CHECK_INT(f.passed, 10);
    CHECK_INT(stats(1)->seen, 40);
    CHECK_INT(stats(1)->matched, 20);
    CHECK_INT(stats(1)->passed, 0);
}

/* The same seed decides the same about the k-th frame, whatever else there
 * is. */
static void
test_decisions_replay_by_frame_number(void)
{
    static int64_t first[FRAMES];
    struct link_rule rule = {.loss = 0.3,
                             .delay_ns = NS_PER_MS,
                             .jitter_ns = NS_PER_MS,
                             .distribution = LINK_NORMAL,
                             .duplicate = 0.1,
                             .corrupt = 0.1};
    unsigned same = 0;

    setup(11);
    add(2, rule);
    run(FRAMES);
    memcpy(first, f.due_ns, sizeof(first));
    setup(11);
    add(1, (struct link_rule){.duplicate = 0.5}); /* draws of its own */
    add(2, rule);
    run(FRAMES);
    CHECK(memcmp(first, f.due_ns, sizeof(first)) == 0);
    setup(12);
    add(2, rule);
    run(FRAMES);
    for (unsigned i = 0; i < FRAMES; i++)
        same += (first[i] < 0) == (f.due_ns[i] < 0);
    CHECK(near((double)same / FRAMES, 0.58, 0.02)); /* by chance alone */
}

static void
test_rules_that_make_no_sense_are_refused(void)
{
    static const struct link_rule bad[] = {
        {.loss = 1.5},
        {.corrupt = -0.1},
        {.duplicate = __builtin_nan("")},
        {.loss = 0.1, .loss_burst = -1},
        {.delay_ns = -1},
        {.delay_ns = LINK_DELAY_NS_MAX + 1},
        {.jitter_ns = 5},
        {.reorder = 0.1},
        {.rate_bits = 1000000},
        {.rate_bits = 10, .queue_ns = 5},
        {.port = 7000, .drop = true},
    };

    setup(1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        memset(&f.err, 0, sizeof(f.err));
        CHECK(link_rule_check(&bad[i], &f.err) < 0);
        CHECK_INT(f.err.kind, ERROR_CONFIG);
    }
}

static uint8_t *
bytes_of(uint8_t value)
{
    uint8_t *p = malloc(1);

    *p = value;
    return p;
}

static void
test_the_queue_is_in_order_bounded_and_purged(void)
{
    struct queue q;
    struct queue_frame got;
    struct link_set links = {{0}};
    uint64_t counts[SWITCH_PORT_COUNT_MAX][SWITCH_PORT_COUNT_MAX] = {{0}};
    unsigned pushed = 0;
    int64_t last = 0;

    queue_init(&q);
    for (unsigned i = 0; i < 1000; i++)
        CHECK(queue_push(&q, (i * 7919) % 100, i % 4, 5, bytes_of(0), 1));
    link_set_add(&links, 3, 5);
    queue_purge(&q, &links, counts);
    CHECK_INT(counts[3][5], 250);
    CHECK_INT(q.count, 750);
    CHECK(!queue_pop_due(&q, -1, &got));
    for (uint64_t sequence = 0; queue_pop_due(&q, 100, &got);) {
        CHECK(got.due_ns > last ||
              (got.due_ns == last && got.sequence >= sequence));
        CHECK(got.from != 3);
        last = got.due_ns;
        sequence = got.sequence;
        free(got.bytes);
    }
    CHECK_INT(q.bytes, 0);
    while (queue_push(&q, 1, 0, 1, bytes_of(0), 1))
        pushed++;
    CHECK_INT(pushed, QUEUE_LINK_COUNT_MAX);
    CHECK(queue_push(&q, 1, 0, 2, bytes_of(0), 1)); /* room for the others */
    queue_release(&q);
}

int
main(void)
{
    RUN(test_no_rule_passes_all_at_once);
    RUN(test_drop_takes_all_until_removed);
    RUN(test_loss_has_its_share_alone_and_in_bursts);
    RUN(test_delays_have_their_distributions);
    RUN(test_jitter_keeps_the_order_and_reorder_does_not);
    RUN(test_rate_paces_and_bounds_its_queue);
    RUN(test_duplicates_and_flips_are_counted);
    RUN(test_a_port_rule_sees_only_its_port);
    RUN(test_decisions_replay_by_frame_number);
    RUN(test_rules_that_make_no_sense_are_refused);
    RUN(test_the_queue_is_in_order_bounded_and_purged);
    return tap_done();
}
