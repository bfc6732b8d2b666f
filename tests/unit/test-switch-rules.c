/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule on a running switch: its effect and its end, seen in the counters
 * and by the stations.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/lib/stations.h"

#define FRAMES 200
#define PORT 7000

static struct stations s;

static struct link_set
one_link(unsigned from, unsigned to)
{
    struct link_set links = {{0}};

    link_set_add(&links, from, to);
    return links;
}

static unsigned
put(unsigned from, unsigned to, struct link_rule rule)
{
    struct link_set links = one_link(from, to);
    unsigned id = 0;

    CHECK_OK(switch_rule_add(s.sw, &links, &rule, &id, &s.err), &s.err);
    CHECK(id != 0);
    return id;
}

static struct link_rule_stats
rule_stats(unsigned id, unsigned from, unsigned to)
{
    struct link_rule_stats r = {0};

    CHECK(switch_rule_stats(s.sw, id, from, to, &r));
    CHECK_INT(r.matched, r.passed + r.dropped + r.lost + r.queue_full);
    return r;
}

/* How many of 'count' frames arrive; all that arrive are whole. */
static unsigned
send_many(unsigned from, unsigned to, unsigned count, int wait_ms)
{
    unsigned arrived = 0;
    struct station_frame got;

    for (unsigned i = 0; i < count; i++)
        station_send(&s, from, to, PORT);
    while ((got = station_receive(&s, to, wait_ms)).from != -1) {
        CHECK_INT(got.from, from);
        arrived++;
    }
    return arrived;
}

/* One frame at a time passes at once, and is the one that was sent. */
static void
check_clean(unsigned from, unsigned to)
{
    for (unsigned i = 0; i < 5; i++) {
        struct station_frame got;

        station_send(&s, from, to, PORT);
        got = station_receive(&s, to, 2000);
        CHECK_INT(got.from, from);
        CHECK_INT(got.number, s.number);
    }
    CHECK_INT(station_receive(&s, to, 10).from, -1);
}

static void
test_drop_cuts_one_direction_only(void)
{
    struct link_rule_stats r;
    unsigned id;

    stations_make(&s, 1);
    check_clean(0, 1);
    id = put(0, 1, (struct link_rule){.drop = true});
    CHECK_INT(send_many(0, 1, 10, 30), 0);
    CHECK_INT(send_many(1, 0, 10, 30), 10);
    CHECK_INT(send_many(0, 2, 10, 30), 10);
    /* Floods too: the others get theirs. */
    station_send(&s, 0, STATION_ALL, PORT);
    CHECK_INT(station_receive(&s, 2, 2000).from, 0);
    CHECK_INT(station_receive(&s, 3, 2000).from, 0);
    CHECK_INT(station_receive(&s, 1, 30).from, -1);
    r = rule_stats(id, 0, 1);
    CHECK_INT(r.dropped, 11);
    CHECK_INT(r.hit, 11);
    CHECK_INT(station_link(&s, 0, 1).taken, 11);
    CHECK_INT(station_link(&s, 0, 2).taken, 0);
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    CHECK(!switch_rule_remove(s.sw, id, SWITCH_CLEAR)); /* twice: harmless */
    CHECK(!switch_rule_stats(s.sw, id, 0, 1, &r));
    check_clean(0, 1);
    stations_end(&s);
}

static void
test_delay_lasts_and_ends(void)
{
    unsigned id;

    stations_make(&s, 1);
    id = put(1, 3, (struct link_rule){.delay_ns = 20 * NS_PER_MS});
    for (unsigned i = 0; i < 5; i++) {
        struct station_frame got;

        station_send(&s, 1, 3, PORT);
        got = station_receive(&s, 3, 2000);
        CHECK_INT(got.from, 1);
        CHECK(got.took_ns >= 20 * NS_PER_MS);
    }
    CHECK_INT(rule_stats(id, 1, 3).delayed, 5);
    CHECK_INT(station_link(&s, 1, 3).delayed, 5);
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    check_clean(1, 3);
    CHECK_INT(station_link(&s, 1, 3).delayed, 5);
    stations_end(&s);
}

static void
test_jitter_keeps_the_order(void)
{
    unsigned id;

    stations_make(&s, 5);
    id = put(0, 1,
             (struct link_rule){.delay_ns = 10 * NS_PER_MS,
                                .jitter_ns = 10 * NS_PER_MS,
                                .distribution = LINK_UNIFORM});
    for (unsigned i = 0; i < FRAMES; i++)
        station_send(&s, 0, 1, PORT);
    for (unsigned i = 1; i <= FRAMES; i++)
        CHECK_INT(station_receive(&s, 1, 2000).number, i);
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    check_clean(0, 1);
    stations_end(&s);
}

static void
test_loss_and_duplicates_add_up(void)
{
    struct link_rule_stats r;
    unsigned id, arrived;

    stations_make(&s, 2);
    id = put(0, 1, (struct link_rule){.loss = 0.3, .duplicate = 0.2});
    arrived = send_many(0, 1, FRAMES, 50);
    r = rule_stats(id, 0, 1);
    CHECK(r.lost > FRAMES / 5 && r.lost < FRAMES * 2 / 5);
    CHECK(r.duplicated > FRAMES / 20 && r.duplicated < FRAMES / 4);
    CHECK_INT(arrived, FRAMES - r.lost + r.duplicated);
    CHECK_INT(station_link(&s, 0, 1).duplicated, r.duplicated);
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    check_clean(0, 1);
    stations_end(&s);
}

static void
test_reorder_swaps_frames(void)
{
    unsigned id, swapped = 0, count = 0;
    uint32_t last = 0;
    struct station_frame got;

    stations_make(&s, 3);
    id = put(0, 1,
             (struct link_rule){.reorder = 0.3, .hold_ns = 20 * NS_PER_MS});
    for (unsigned i = 0; i < FRAMES; i++)
        station_send(&s, 0, 1, PORT);
    while ((got = station_receive(&s, 1, 100)).from == 0) {
        swapped += got.number < last;
        last = got.number > last ? got.number : last;
        count++;
    }
    CHECK_INT(count, FRAMES);
    CHECK(swapped > FRAMES / 5 && swapped < FRAMES * 2 / 5);
    CHECK(rule_stats(id, 0, 1).held >= swapped); /* the last has no next */
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    check_clean(0, 1);
    stations_end(&s);
}

/* Without the fix a checksum tells; with it only the content does. */
static void
test_corrupt_is_seen_by_checksum_or_content(void)
{
    unsigned id, bad = 0, other = 0;

    stations_make(&s, 4);
    id = put(0, 1, (struct link_rule){.corrupt = 1});
    for (unsigned i = 0; i < 20; i++) {
        station_send(&s, 0, 1, PORT);
        bad += station_receive(&s, 1, 2000).from == -2;
    }
    CHECK_INT(bad, 20);
    CHECK_INT(rule_stats(id, 0, 1).corrupted, 20);
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    check_clean(0, 1);
    id = put(0, 1, (struct link_rule){.corrupt = 1, .fix_checksums = true});
    for (unsigned i = 0; i < 40; i++) {
        struct station_frame got;

        station_send(&s, 0, 1, PORT);
        got = station_receive(&s, 1, 2000);
        CHECK_INT(got.from, 0);
        other += got.number != s.number;
    }
    CHECK(other > 1); /* the number is a quarter of the payload */
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    check_clean(0, 1);
    CHECK_INT(station_link(&s, 0, 1).corrupted, 60);
    stations_end(&s);
}

static void
test_rate_paces_and_its_queue_is_bounded(void)
{
    struct link_rule_stats r;
    struct station_frame got = {0};
    unsigned id, count = 0;
    int64_t start, end;

    stations_make(&s, 4);
    /* 70 bytes are 560 bits: one frame in 28 ms, and 10 may wait. */
    id = put(0, 1,
             (struct link_rule){.rate_bits = 20000,
                                .queue_ns = 28 * 10 * NS_PER_MS});
    start = clock_now_ns(clock_monotonic());
    for (unsigned i = 0; i < 30; i++)
        station_send(&s, 0, 1, PORT);
    while ((got = station_receive(&s, 1, 300)).from == 0) {
        count++;
        end = clock_now_ns(clock_monotonic());
        CHECK(end - start >= (int64_t)count * 28 * NS_PER_MS);
    }
    r = rule_stats(id, 0, 1);
    /* One on the wire and 10 that wait; more only if we were slow to send. */
    CHECK(count >= 11 && count < 30);
    CHECK_INT(r.queue_full, 30 - count);
    CHECK_INT(station_link(&s, 0, 1).taken, 30 - count);
    CHECK_INT(station_link(&s, 0, 1).queue_full, 0); /* that was an order */
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    check_clean(0, 1);
    stations_end(&s);
}

static void
test_one_port_is_cut_and_others_are_not(void)
{
    unsigned id;

    stations_make(&s, 4);
    id = put(0, 1,
             (struct link_rule){
                 .match = LINK_MATCH_TCP, .port = PORT, .drop = true});
    station_send(&s, 0, 1, PORT);
    station_send(&s, 0, 1, PORT + 1);
    CHECK_INT(station_receive(&s, 1, 2000).port, PORT + 1);
    CHECK_INT(station_receive(&s, 1, 20).from, -1);
    CHECK_INT(rule_stats(id, 0, 1).seen, 2);
    CHECK_INT(rule_stats(id, 0, 1).matched, 1);
    CHECK(switch_rule_remove(s.sw, id, SWITCH_CLEAR));
    check_clean(0, 1);
    stations_end(&s);
}

/* Until 'count' frames have gone through the queue of 0 to 1, or wait in it. */
static void
wait_delayed(uint64_t count)
{
    int64_t deadline = clock_now_ns(clock_monotonic()) + 5 * NS_PER_S;

    while (station_link(&s, 0, 1).delayed < count)
        CHECK(clock_now_ns(clock_monotonic()) < deadline);
}

/* The two meanings of a heal of a delay. */
static void
test_clear_delivers_what_waits_and_purge_does_not(void)
{
    unsigned id;

    stations_make(&s, 4);
    for (int purge = 0; purge < 2; purge++) {
        struct switch_link_stats before = station_link(&s, 0, 1), after;

        id = put(0, 1, (struct link_rule){.delay_ns = 600 * NS_PER_MS});
        for (unsigned i = 0; i < 5; i++)
            station_send(&s, 0, 1, PORT);
        wait_delayed(before.delayed + 5);
        CHECK(
            switch_rule_remove(s.sw, id, purge ? SWITCH_PURGE : SWITCH_CLEAR));
        station_send(&s, 0, 1, PORT); /* fresh: at once, before the old */
        CHECK_INT(station_receive(&s, 1, 2000).number, s.number);
        for (unsigned i = 0; i < 5; i++)
            CHECK_INT(station_receive(&s, 1, purge ? 40 : 2000).number,
                      purge ? 0 : s.number - 5 + i);
        after = station_link(&s, 0, 1);
        CHECK_INT(after.purged - before.purged, purge ? 5 : 0);
        CHECK_INT(after.waiting, 0);
    }
    stations_end(&s);
}

static void
test_a_purge_alone_leaves_the_rules(void)
{
    struct link_set links = one_link(0, 1);
    unsigned id;

    stations_make(&s, 4);
    id = put(0, 1, (struct link_rule){.delay_ns = 300 * NS_PER_MS});
    station_send(&s, 0, 1, PORT);
    wait_delayed(1);
    switch_purge(s.sw, &links);
    CHECK_INT(station_link(&s, 0, 1).purged, 1);
    station_send(&s, 0, 1, PORT);
    CHECK_INT(station_receive(&s, 1, 2000).number, s.number);
    CHECK_INT(rule_stats(id, 0, 1).delayed, 2);
    stations_end(&s);
}

static void
test_rules_stack_and_are_bounded(void)
{
    struct link_set all = link_set_all(STATIONS), beyond = {{0}};
    struct link_rule rule = {.delay_ns = NS_PER_MS};
    unsigned ids[LINK_RULE_COUNT_MAX], id = 0;
    struct station_frame got;

    stations_make(&s, 4);
    for (unsigned i = 0; i < LINK_RULE_COUNT_MAX; i++)
        CHECK_OK(switch_rule_add(s.sw, &all, &rule, &ids[i], &s.err), &s.err);
    CHECK(switch_rule_add(s.sw, &all, &rule, &id, &s.err) < 0);
    CHECK_INT(s.err.kind, ERROR_CONFIG);
    station_send(&s, 0, 1, PORT);
    got = station_receive(&s, 1, 2000);
    CHECK(got.took_ns >= LINK_RULE_COUNT_MAX * NS_PER_MS);
    link_set_add(&beyond, 0, STATIONS);
    CHECK(switch_rule_add(s.sw, &beyond, &rule, &id, &s.err) < 0);
    memset(&beyond, 0, sizeof(beyond));
    CHECK(switch_rule_add(s.sw, &beyond, &rule, &id, &s.err) < 0);
    rule.loss = 2;
    CHECK(switch_rule_remove(s.sw, ids[3], SWITCH_CLEAR));
    CHECK(switch_rule_add(s.sw, &all, &rule, &id, &s.err) < 0);
    CHECK_INT(id, 0);
    stations_end(&s);
}

/* Which of FRAMES frames from 0 to 1 arrive, as a bit each. */
static void
lose_some(uint64_t seed, uint8_t ret[static FRAMES])
{
    struct station_frame got;

    memset(ret, 0, FRAMES);
    stations_make(&s, seed);
    put(0, 1, (struct link_rule){.loss = 0.5});
    for (unsigned i = 0; i < FRAMES; i++)
        station_send(&s, 0, 1, PORT);
    while ((got = station_receive(&s, 1, 50)).from == 0)
        ret[got.number - 1] = 1;
    stations_end(&s);
}

static void
test_the_seed_decides_which_frames_are_lost(void)
{
    uint8_t first[FRAMES], again[FRAMES], other[FRAMES];

    lose_some(21, first);
    lose_some(21, again);
    lose_some(22, other);
    CHECK(memcmp(first, again, FRAMES) == 0);
    CHECK(memcmp(first, other, FRAMES) != 0);
}

static void *
change_rules(void *arg)
{
    atomic_bool *stop = arg;
    struct link_set cut = {{0}};
    struct link_rule rule = {.drop = true};
    struct error err;

    link_set_add_both(&cut, 0, 1);
    while (!*stop) {
        unsigned id;

        if (switch_rule_add(s.sw, &cut, &rule, &id, &err) < 0)
            return arg;
        if (!switch_rule_remove(s.sw, id, SWITCH_PURGE))
            return arg;
    }
    return NULL;
}

/* Two threads change rules while frames pass; nothing else is touched. */
static void
test_rules_change_under_traffic(void)
{
    atomic_bool stop = false;
    pthread_t threads[2];
    void *failed = NULL;

    stations_make(&s, 4);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, change_rules, &stop) == 0);
    for (unsigned i = 0; i < 1000; i++) {
        station_send(&s, 0, 1, PORT);
        station_send(&s, 0, 2, PORT);
        CHECK_INT(station_receive(&s, 2, 2000).number, s.number);
    }
    stop = true;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &failed);
        CHECK(failed == NULL);
    }
    CHECK_INT(station_link(&s, 0, 1).seen, 1000);
    CHECK_INT(station_link(&s, 0, 2).passed, 1000);
    while (station_receive(&s, 1, 0).from != -1)
        ;
    check_clean(0, 1);
    stations_end(&s);
}

int
main(void)
{
    RUN(test_drop_cuts_one_direction_only);
    RUN(test_delay_lasts_and_ends);
    RUN(test_jitter_keeps_the_order);
    RUN(test_loss_and_duplicates_add_up);
    RUN(test_reorder_swaps_frames);
    RUN(test_corrupt_is_seen_by_checksum_or_content);
    RUN(test_rate_paces_and_its_queue_is_bounded);
    RUN(test_one_port_is_cut_and_others_are_not);
    RUN(test_clear_delivers_what_waits_and_purge_does_not);
    RUN(test_a_purge_alone_leaves_the_rules);
    RUN(test_rules_stack_and_are_bounded);
    RUN(test_the_seed_decides_which_frames_are_lost);
    RUN(test_rules_change_under_traffic);
    return tap_done();
}
