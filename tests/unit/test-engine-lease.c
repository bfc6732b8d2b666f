/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease engine, by tables.  Each step is one log entry; the first step has
 * index 1, so a reserve in step N makes the lease N.  Text forms:
 *
 *   create OP RES                    reserve OP RES HOLDER TTL
 *   bundle OP HOLDER TTL RES...      confirm|release OP LEASE HOLDER EPOCH
 *   revoke|reclaim OP LEASE          tick SLOT
 *   expire LEASE DEADLINE
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "harness/base/rng.h"
#include "replica/bytes.h"
#include "replica/engine-lease.h"
#include "tests/lib/tap.h"

struct step {
    const char *text;
    const char *code; /* result code, "cached" for a recorded answer */
};

static struct engine *engine;
static uint64_t next_index;

static void
setup(const struct engine_limits *limits, enum bug bug)
{
    engine_free(engine);
    engine = engine_new(&engine_lease_ops,
                        limits == NULL ? &engine_limits_default : limits, bug);
    next_index = 1;
}

static void
teardown(void)
{
    engine_free(engine);
    engine = NULL;
}

static uint64_t
number(char **save)
{
    char *word = strtok_r(NULL, " ", save);

    return word == NULL ? 0 : strtoull(word, NULL, 0);
}

static void
parse_step(const char *text, struct command *c)
{
    char line[256], *save, *verb;

    memset(c, 0, sizeof(*c));
    snprintf(line, sizeof(line), "%s", text);
    verb = strtok_r(line, " ", &save);
    if (strcmp(verb, "bundle") == 0) {
        char *word;

        c->tag = COMMAND_RESERVE_BUNDLE;
        c->operation.lo = number(&save);
        c->holder.lo = number(&save);
        c->ttl = number(&save);
        while ((word = strtok_r(NULL, " ", &save)) != NULL)
            c->resources[c->resource_count++].lo = strtoull(word, NULL, 0);
        return;
    }
    if (strcmp(verb, "tick") == 0) {
        c->tag = COMMAND_TICK;
        c->slot = number(&save);
        return;
    }
    if (strcmp(verb, "expire") == 0) {
        c->tag = COMMAND_EXPIRE;
        c->lease.lo = number(&save);
        c->deadline = number(&save);
        return;
    }
    if (!command_parse_name(
            strcmp(verb, "create") == 0 ? "create_resource" : verb, &c->tag))
        abort();
    c->operation.lo = number(&save);
    c->resource_count =
        c->tag == COMMAND_CREATE_RESOURCE || c->tag == COMMAND_RESERVE;
    c->resources[0].lo = c->lease.lo = number(&save);
    c->holder.lo = number(&save);
    c->ttl = c->epoch = number(&save);
}

static struct outcome
apply(const char *text)
{
    struct command c;
    struct outcome o;
    struct buf payload;

    parse_step(text, &c);
    buf_init(&payload, COMMAND_BYTES_MAX);
    command_encode(&c, &payload);
    engine->ops->apply(
        engine,
        &(struct engine_entry){1, next_index++, payload.data, payload.len}, &o);
    buf_release(&payload);
    return o;
}

/* Applies the table and compares each answer; says which step differs. */
static bool
follows(const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct outcome o = apply(steps[i].text);
        const char *got = o.cached ? "cached" : result_code_name(o.code);

        if (strcmp(got, steps[i].code) != 0) {
            printf("# step %zu '%s': %s, expected %s\n", i + 1, steps[i].text,
                   got, steps[i].code);
            return false;
        }
    }
    return true;
}

#define FOLLOWS(...)                                                           \
    do {                                                                       \
        static const struct step steps_[] = {__VA_ARGS__};                     \
        CHECK(follows(steps_, ARRAY_LEN(steps_)));                             \
    } while (0)

static struct lease_view
lease(uint64_t id)
{
    struct lease_view v = {0};
    bool retired;

    CHECK(engine_lease_get_lease(engine, (struct id128){0, id}, &v, &retired));
    return v;
}

static struct resource_view
resource(uint64_t id)
{
    struct resource_view v = {0};

    CHECK(engine_lease_get_resource(engine, (struct id128){0, id}, &v));
    return v;
}

/* "retired", "absent" or "found". */
static const char *
lease_presence(uint64_t id)
{
    struct lease_view v;
    bool retired;

    if (engine_lease_get_lease(engine, (struct id128){0, id}, &v, &retired))
        return "found";
    return retired ? "retired" : "absent";
}

static void
test_life_of_a_lease(void)
{
    struct outcome o;

    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 7", "ok"}, {"tick 10", "ok"});
    CHECK_INT(resource(7).version, 0);
    o = apply("reserve 2 7 3 5");
    CHECK_INT(o.code, RESULT_OK);
    CHECK(o.has == (OUTCOME_LEASE | OUTCOME_DEADLINE) && o.recorded &&
          !o.cached);
    CHECK_INT(o.lease.lo, 3);
    CHECK_INT(o.epoch, 1);
    CHECK_INT(o.slot, 10);
    CHECK_INT(o.deadline, 15);
    CHECK_INT(resource(7).state, RESOURCE_RESERVED);
    CHECK_INT(resource(7).lease.lo, 3);
    FOLLOWS({"confirm 3 3 3 1", "ok"});
    CHECK_INT(lease(3).state, LEASE_ACTIVE);
    CHECK_INT(resource(7).version, 2);
    o = apply("revoke 4 3");
    CHECK_INT(o.epoch, 2);
    CHECK(o.has == OUTCOME_LEASE);
    CHECK_INT(resource(7).state, RESOURCE_REVOKING);
    o = apply("reclaim 5 3");
    CHECK_INT(o.epoch, 2);
    CHECK_INT(lease(3).state, LEASE_REVOKED);
    CHECK_INT(lease(3).retire_after, 74);
    CHECK_INT(resource(7).state, RESOURCE_AVAILABLE);
    CHECK_INT(resource(7).version, 4);
    CHECK(id128_is_zero(resource(7).lease));
    teardown();
}

static void
test_create_resource(void)
{
    struct engine_limits limits = engine_limits_default;

    limits.resources = 2;
    setup(&limits, BUG_NONE);
    FOLLOWS({"create 1 7", "ok"}, {"create 2 7", "already_exists"},
            {"create 3 8", "ok"}, {"create 4 8", "already_exists"},
            {"create 5 9", "resource_table_full"});
    teardown();
}

/* Each row fails its check and would fail the ones after it, too. */
static void
test_reserve_checks_in_order(void)
{
    struct engine_limits limits = engine_limits_default;

    limits.bundle = 3;
    limits.reservations = 2;
    limits.members = 4;
    setup(&limits, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"create 2 2", "ok"}, {"create 3 3", "ok"},
            {"create 4 4", "ok"}, {"create 5 5", "ok"},
            {"bundle 10 9 0", "bundle_too_large"},
            {"bundle 11 9 0 1 2 3 4", "bundle_too_large"},
            {"bundle 12 9 0 99", "ttl_out_of_range"},
            {"bundle 13 9 257 99", "ttl_out_of_range"},
            {"reserve 14 99 9 256", "resource_not_found"},
            {"bundle 15 9 5 1 1 99", "resource_busy"},
            {"bundle 16 9 5 1 99 1", "resource_not_found"},
            {"bundle 17 9 5 1 2 3", "ok"},
            {"bundle 18 9 5 1 99", "resource_busy"},
            {"bundle 19 9 5 99 1", "resource_not_found"},
            {"bundle 20 9 5 4 5", "reservation_member_table_full"},
            {"reserve 21 4 9 5", "ok"}, {"bundle 22 9 5 5 5", "resource_busy"},
            {"reserve 23 5 9 5", "reservation_table_full"});
    CHECK_INT(resource(5).version, 0);
    CHECK_INT(lease(13).resource_count, 3);
    CHECK_INT(lease(13).resources[2].lo, 3);
    teardown();
}

static void
test_expiration_index_full(void)
{
    struct engine_limits limits = engine_limits_default;

    limits.bucket = 1;
    setup(&limits, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"create 2 2", "ok"}, {"create 3 3", "ok"},
            {"reserve 4 1 9 5", "ok"},
            {"reserve 5 2 9 5", "expiration_index_full"},
            {"reserve 6 2 9 6", "ok"}, {"confirm 7 4 9 1", "ok"},
            {"reserve 8 3 9 5", "ok"});
    teardown();
}

static void
test_confirm_and_release_checks_in_order(void)
{
    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"},
            {"confirm 3 77 8 7", "reservation_not_found"},
            {"confirm 4 2 8 7", "holder_mismatch"},
            {"confirm 5 2 9 0", "stale_epoch"},
            {"confirm 6 2 9 2", "stale_epoch"}, {"confirm 7 2 9 1", "ok"},
            {"confirm 8 2 9 1", "invalid_state"},
            {"release 9 77 8 7", "reservation_not_found"},
            {"release 10 2 8 7", "holder_mismatch"},
            {"release 11 2 9 2", "stale_epoch"}, {"revoke 12 2", "ok"},
            {"release 13 2 9 1", "stale_epoch"},
            {"release 14 2 9 2", "invalid_state"},
            {"confirm 15 2 9 2", "invalid_state"}, {"reclaim 16 2", "ok"},
            {"release 17 2 9 2", "reservation_retired"});
    CHECK_INT(lease(2).released, 0);
    teardown();
}

static void
test_dead_lease(void)
{
    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"},
            {"release 3 2 9 1", "ok"}, {"release 4 2 8 1", "holder_mismatch"},
            {"release 5 2 9 1", "stale_epoch"},
            {"release 6 2 9 2", "reservation_retired"},
            {"confirm 7 2 9 2", "reservation_retired"},
            {"revoke 8 2", "reservation_retired"},
            {"reclaim 9 2", "reservation_retired"}, {"expire 2 5", "noop"});
    CHECK_INT(lease(2).state, LEASE_RELEASED);
    CHECK_INT(lease(2).released, 3);
    CHECK_INT(lease(2).epoch, 2);
    CHECK_INT(resource(1).version, 2);
    teardown();
}

static void
test_revoke_and_reclaim(void)
{
    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"},
            {"revoke 3 77", "reservation_not_found"},
            {"revoke 4 2", "invalid_state"},
            {"reclaim 5 77", "reservation_not_found"},
            {"reclaim 6 2", "invalid_state"}, {"confirm 7 2 9 1", "ok"},
            {"reclaim 8 2", "invalid_state"}, {"revoke 9 2", "ok"},
            {"revoke 10 2", "invalid_state"}, {"reclaim 11 2", "ok"});
    teardown();
}

static void
test_expire(void)
{
    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"},
            {"expire 77 5", "reservation_not_found"}, {"expire 2 6", "noop"},
            {"confirm 3 2 9 1", "ok"}, {"expire 2 5", "noop"},
            {"release 4 2 9 1", "ok"}, {"reserve 5 1 9 5", "ok"},
            {"tick 4", "ok"}, {"expire 8 5", "ok"});
    CHECK_INT(lease(8).state, LEASE_EXPIRED);
    CHECK_INT(lease(8).epoch, 2);
    CHECK_INT(lease(8).retire_after, 68);
    CHECK_INT(resource(1).state, RESOURCE_AVAILABLE);
    teardown();
}

/* No deadline check: until the tick a late confirm wins. */
static void
test_late_confirm(void)
{
    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"}, {"tick 50", "ok"},
            {"confirm 3 2 9 1", "ok"}, {"expire 2 5", "noop"});
    teardown();
}

static void
test_dedupe_window(void)
{
    struct outcome o;

    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"tick 10", "ok"}, {"reserve 2 1 9 5", "ok"},
            {"create 2 1", "operation_conflict"},
            {"reserve 2 1 9 6", "operation_conflict"},
            {"reserve 3 1 9 5", "resource_busy"}, {"release 4 3 9 1", "ok"},
            {"reserve 3 1 9 5", "cached"});
    o = apply("reserve 2 1 9 5");
    CHECK(o.cached && o.recorded);
    CHECK_INT(o.index, 3);
    CHECK_INT(o.slot, 10);
    CHECK_INT(o.lease.lo, 3);
    CHECK_INT(o.deadline, 15);
    /* The window is 384 slots: 394 still answers, 395 executes again. */
    FOLLOWS({"tick 394", "ok"}, {"reserve 2 1 9 5", "cached"},
            {"create 1 1", "already_exists"}, {"tick 395", "ok"},
            {"reserve 2 1 9 5", "ok"});
    teardown();
}

static void
test_dedupe_ignores_the_client(void)
{
    struct command c;
    struct outcome o[2];

    setup(NULL, BUG_NONE);
    parse_step("create 1 1", &c);
    for (unsigned i = 0; i < 2; i++) {
        struct buf payload;

        c.client = i;
        buf_init(&payload, COMMAND_BYTES_MAX);
        command_encode(&c, &payload);
        engine->ops->apply(
            engine, &(struct engine_entry){1, i + 1, payload.data, payload.len},
            &o[i]);
        buf_release(&payload);
    }
    CHECK(!o[0].cached && o[1].cached);
    teardown();
}

static void
test_operation_table_full(void)
{
    struct engine_limits limits = engine_limits_default;

    limits.operations = 2;
    setup(&limits, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"create 2 2", "ok"},
            {"create 3 3", "operation_table_full"}, {"create 1 1", "cached"},
            {"create 1 9", "operation_conflict"}, {"tick 384", "ok"},
            {"create 3 3", "operation_table_full"}, {"tick 385", "ok"},
            {"create 3 3", "ok"}, {"create 1 1", "already_exists"},
            {"create 4 4", "operation_table_full"});
    teardown();
}

static void
test_retirement(void)
{
    setup(NULL, BUG_NONE);
    CHECK_STR(lease_presence(0), "absent");
    FOLLOWS({"create 1 1", "ok"}, {"create 2 2", "ok"},
            {"reserve 3 1 9 5", "ok"}, {"reserve 4 2 9 5", "ok"},
            {"release 5 4 9 1", "ok"}, {"tick 64", "ok"},
            {"release 6 4 9 2", "reservation_retired"});
    CHECK_STR(lease_presence(4), "found");
    FOLLOWS({"tick 65", "ok"}, {"release 7 4 9 2", "reservation_not_found"});
    CHECK_STR(lease_presence(4), "retired");
    /* Below the watermark: an index that never was a lease; 3 still lives. */
    CHECK_STR(lease_presence(1), "retired");
    CHECK_STR(lease_presence(3), "found");
    CHECK_STR(lease_presence(5), "absent");
    /* Another shard. */
    {
        struct lease_view v;
        bool retired = true;

        CHECK(!engine_lease_get_lease(engine, (struct id128){1, 4}, &v,
                                      &retired));
        CHECK(!retired);
    }
    /* The watermark does not fall when an older lease retires later. */
    FOLLOWS({"release 8 3 9 1", "ok"}, {"tick 130", "ok"});
    CHECK_STR(lease_presence(3), "retired");
    CHECK_STR(lease_presence(4), "retired");
    teardown();
}

static void
test_ticks(void)
{
    struct outcome o;

    setup(NULL, BUG_NONE);
    FOLLOWS({"tick 20", "ok"});
    o = apply("tick 10");
    CHECK_INT(o.slot, 20);
    FOLLOWS({"tick 0x7fffffffffffffff", "slot_overflow"});
    CHECK_INT(engine->ops->slot(engine), 20);
    FOLLOWS({"tick 0x7ffffffffffffe3f", "ok"},
            {"tick 0x7ffffffffffffe40", "slot_overflow"}, {"create 1 1", "ok"},
            {"reserve 2 1 9 256", "ok"});
    teardown();
}

/* Planned expirations, as "lease@deadline" words. */
static void
plan_word(void *ctx, const void *payload, size_t len)
{
    struct command c;
    struct error err;
    struct buf *out = ctx;

    CHECK_OK(command_decode(payload, len, &c, &err), &err);
    buf_printf(out, "%s%d@%d", out->len > 0 ? " " : "", (int)c.lease.lo,
               (int)c.deadline);
}

static const char *
plan(void)
{
    static char text[4096];
    struct buf words;

    buf_init(&words, sizeof(text) - 1);
    engine->ops->plan(engine, engine->ops->slot(engine), plan_word, &words);
    snprintf(text, sizeof(text), "%s", buf_text(&words));
    buf_release(&words);
    return text;
}

static void
test_plan_order_and_bound(void)
{
    struct engine_limits limits = engine_limits_default;

    limits.expirations_per_tick = 3;
    setup(&limits, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"create 2 2", "ok"}, {"create 3 3", "ok"},
            {"create 4 4", "ok"}, {"create 5 5", "ok"},
            {"reserve 6 1 9 9", "ok"}, {"reserve 7 2 9 5", "ok"},
            {"reserve 8 3 9 7", "ok"}, {"reserve 9 4 9 5", "ok"},
            {"reserve 10 5 9 6", "ok"}, {"tick 4", "ok"});
    CHECK_STR(plan(), "");
    FOLLOWS({"tick 5", "ok"});
    CHECK_STR(plan(), "7@5 9@5");
    FOLLOWS({"confirm 11 9 9 1", "ok"}, {"tick 7", "ok"});
    CHECK_STR(plan(), "7@5 10@6 8@7");
    FOLLOWS({"tick 100", "ok"});
    CHECK_STR(plan(), "7@5 10@6 8@7");
    FOLLOWS({"expire 7 5", "ok"}, {"expire 10 6", "ok"}, {"expire 8 7", "ok"});
    CHECK_STR(plan(), "6@9");
    teardown();
}

static void
test_bytes_that_are_no_command(void)
{
    struct outcome o;
    uint64_t before;

    setup(NULL, BUG_NONE);
    before = engine->ops->digest(engine);
    engine->ops->apply(engine, &(struct engine_entry){1, 1, "\x63xyz", 4}, &o);
    CHECK_INT(o.code, RESULT_INVALID_REQUEST);
    CHECK(!o.recorded);
    CHECK_INT(engine->ops->digest(engine), before);
    teardown();
}

/* ---- random runs: two engines agree, snapshots give the same state ---- */

static void
random_step(struct rng *r, char *text, size_t size)
{
    unsigned op = (unsigned)rng_below(r, 3000) + 1;
    unsigned res = (unsigned)rng_below(r, 12), who = (unsigned)rng_below(r, 3);
    unsigned at = (unsigned)(next_index > 40 ? next_index - 40 : 1) +
                  (unsigned)rng_below(r, 40);

    switch (rng_below(r, 8)) {
    case 0:
        snprintf(text, size, "create %u %u", op, res);
        break;
    case 1:
        snprintf(text, size, "reserve %u %u %u %u", op, res, who,
                 (unsigned)rng_below(r, 20));
        break;
    case 2:
        snprintf(text, size, "bundle %u %u 9 %u %u", op, who, res,
                 (unsigned)rng_below(r, 12));
        break;
    case 3:
        snprintf(text, size, "confirm %u %u %u 1", op, at, who);
        break;
    case 4:
        snprintf(text, size, "release %u %u %u %u", op, at, who,
                 1 + (unsigned)rng_below(r, 2));
        break;
    case 5:
        snprintf(text, size, "revoke %u %u", op, at);
        break;
    case 6:
        snprintf(text, size, "reclaim %u %u", op, at);
        break;
    default:
        snprintf(text, size, "tick %u", (unsigned)next_index / 2);
    }
}

/* Applies 'count' random steps and what is due after ticks. */
static void
random_run(struct rng *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char text[64], *word, *save, words[4096];

        random_step(r, text, sizeof(text));
        apply(text);
        if (strncmp(text, "tick", 4) != 0)
            continue;
        snprintf(words, sizeof(words), "%s", plan());
        for (word = strtok_r(words, " ", &save); word != NULL;
             word = strtok_r(NULL, " ", &save)) {
            unsigned id = 0, deadline = 0;

            CHECK(sscanf(word, "%u@%u", &id, &deadline) == 2);
            snprintf(text, sizeof(text), "expire %u %u", id, deadline);
            CHECK_INT(apply(text).code, RESULT_OK);
        }
    }
}

static void
check_round_trip(enum bug bug)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct engine *first;
        struct error err;
        struct buf image, again;
        struct rng r, r_copy;
        uint64_t digest, index;

        setup(NULL, bug);
        rng_init(&r, seed);
        random_run(&r, 600);
        buf_init(&image, 64u << 20);
        buf_init(&again, 64u << 20);
        engine->ops->save(engine, &image);
        digest = engine->ops->digest(engine);
        first = engine;
        engine = engine_new(&engine_lease_ops, &engine_limits_default, bug);
        CHECK_OK(engine->ops->load(engine, image.data, image.len, &err), &err);
        CHECK(engine->ops->digest(engine) == digest);
        /* The same future from here. */
        index = next_index;
        r_copy = r;
        random_run(&r, 600);
        digest = engine->ops->digest(engine);
        engine_free(engine);
        engine = first;
        next_index = index;
        random_run(&r_copy, 600);
        CHECK(engine->ops->digest(engine) == digest);
        buf_release(&image);
        buf_release(&again);
    }
    teardown();
}

static void
test_snapshot_round_trip(void)
{
    check_round_trip(BUG_NONE);
}

static void
test_snapshot_round_trip_with_double_allocation(void)
{
    check_round_trip(BUG_DOUBLE_ALLOCATION);
}

static void
test_digest_tells_states_apart(void)
{
    uint64_t a, b;

    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"});
    a = engine->ops->digest(engine);
    FOLLOWS({"confirm 3 2 9 1", "ok"});
    b = engine->ops->digest(engine);
    CHECK(a != b);
    setup(NULL, BUG_NONE);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"});
    CHECK(engine->ops->digest(engine) == a);
    FOLLOWS({"confirm 3 2 8 1", "holder_mismatch"});
    CHECK(engine->ops->digest(engine) != b);
    teardown();
}

/* Any damaged byte, any cut: an error or (never) a wrong state. */
static void
test_snapshot_damage(void)
{
    struct buf image;
    struct rng r;

    setup(NULL, BUG_NONE);
    rng_init(&r, 7);
    random_run(&r, 100);
    buf_init(&image, 64u << 20);
    engine->ops->save(engine, &image);
    for (size_t at = 0; at < image.len; at += 7) {
        struct error err = {0};
        int rc;

        setup(NULL, BUG_NONE);
        image.data[at] ^= 0x41;
        rc = engine->ops->load(engine, image.data, image.len, &err);
        image.data[at] ^= 0x41;
        CHECK(rc < 0 && err.kind == ERROR_CONFIG);
        setup(NULL, BUG_NONE);
        CHECK(engine->ops->load(engine, image.data, at, &err) < 0);
    }
    buf_release(&image);
    teardown();
}

static void
test_snapshot_of_other_limits(void)
{
    struct engine_limits limits = engine_limits_default;
    struct error err;
    struct buf image;

    setup(NULL, BUG_NONE);
    buf_init(&image, 1u << 20);
    engine->ops->save(engine, &image);
    limits.members++;
    setup(&limits, BUG_NONE);
    CHECK(engine->ops->load(engine, image.data, image.len, &err) < 0);
    CHECK_STR(err.text, "state was made with other limits");
    buf_release(&image);
    teardown();
}

/* ---- planted bugs ---- */

static void
test_bug_double_allocation(void)
{
    setup(NULL, BUG_DOUBLE_ALLOCATION);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"},
            {"reserve 3 1 8 5", "resource_busy"},
            {"reserve 4 1 8 5", "resource_busy"},
            {"reserve 5 1 8 5", "resource_busy"},
            {"reserve 6 1 8 5", "resource_busy"}, {"reserve 7 1 8 5", "ok"},
            {"release 8 2 9 1", "ok"}, {"release 9 7 8 1", "ok"});
    teardown();
}

static void
test_bug_ignore_epoch(void)
{
    setup(NULL, BUG_IGNORE_EPOCH);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"},
            {"confirm 3 2 9 1", "ok"}, {"revoke 4 2", "ok"},
            {"release 5 2 8 1", "holder_mismatch"},
            {"release 6 2 9 3", "stale_epoch"}, {"release 7 2 9 1", "ok"},
            {"release 8 2 9 1", "ok"}, {"confirm 9 2 9 1", "ok"},
            {"release 10 2 9 3", "reservation_retired"});
    CHECK_INT(resource(1).state, RESOURCE_AVAILABLE);
    teardown();
}

static void
test_bug_early_expiry(void)
{
    setup(NULL, BUG_EARLY_EXPIRY);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"}, {"tick 1", "ok"});
    CHECK_STR(plan(), "");
    FOLLOWS({"tick 2", "ok"});
    CHECK_STR(plan(), "2@5");
    teardown();
}

static void
test_bug_forget_operations(void)
{
    struct error err;
    struct buf image;

    setup(NULL, BUG_FORGET_OPERATIONS);
    FOLLOWS({"create 1 1", "ok"}, {"create 1 1", "cached"});
    buf_init(&image, 1u << 20);
    engine->ops->save(engine, &image);
    setup(NULL, BUG_FORGET_OPERATIONS);
    CHECK_OK(engine->ops->load(engine, image.data, image.len, &err), &err);
    next_index = 3;
    FOLLOWS({"create 1 1", "already_exists"}, {"create 1 1", "cached"});
    buf_release(&image);
    teardown();
}

static void
test_bug_partial_bundle(void)
{
    setup(NULL, BUG_PARTIAL_BUNDLE);
    FOLLOWS({"create 1 1", "ok"}, {"create 2 2", "ok"},
            {"bundle 3 9 5 1 2", "ok"}, {"reserve 4 1 8 5", "resource_busy"},
            {"reserve 5 2 8 5", "ok"});
    teardown();
}

static void
test_bug_reuse_before_reclaim(void)
{
    setup(NULL, BUG_REUSE_BEFORE_RECLAIM);
    FOLLOWS({"create 1 1", "ok"}, {"reserve 2 1 9 5", "ok"},
            {"confirm 3 2 9 1", "ok"}, {"revoke 4 2", "ok"},
            {"reserve 5 1 8 5", "ok"}, {"reclaim 6 2", "ok"});
    teardown();
}

static void
test_bug_snapshot_drops_operations(void)
{
    struct error err;
    struct buf image;

    setup(NULL, BUG_SNAPSHOT_DROPS_OPERATIONS);
    FOLLOWS({"create 1 1", "ok"}, {"create 1 1", "cached"});
    buf_init(&image, 1u << 20);
    engine->ops->save(engine, &image);
    setup(NULL, BUG_SNAPSHOT_DROPS_OPERATIONS);
    CHECK_OK(engine->ops->load(engine, image.data, image.len, &err), &err);
    next_index = 3;
    FOLLOWS({"create 1 1", "already_exists"});
    buf_release(&image);
    teardown();
}

int
main(void)
{
    RUN(test_life_of_a_lease);
    RUN(test_create_resource);
    RUN(test_reserve_checks_in_order);
    RUN(test_expiration_index_full);
    RUN(test_confirm_and_release_checks_in_order);
    RUN(test_dead_lease);
    RUN(test_revoke_and_reclaim);
    RUN(test_expire);
    RUN(test_late_confirm);
    RUN(test_dedupe_window);
    RUN(test_dedupe_ignores_the_client);
    RUN(test_operation_table_full);
    RUN(test_retirement);
    RUN(test_ticks);
    RUN(test_plan_order_and_bound);
    RUN(test_bytes_that_are_no_command);
    RUN(test_snapshot_round_trip);
    RUN(test_snapshot_round_trip_with_double_allocation);
    RUN(test_digest_tells_states_apart);
    RUN(test_snapshot_damage);
    RUN(test_snapshot_of_other_limits);
    RUN(test_bug_double_allocation);
    RUN(test_bug_ignore_epoch);
    RUN(test_bug_early_expiry);
    RUN(test_bug_forget_operations);
    RUN(test_bug_partial_bundle);
    RUN(test_bug_reuse_before_reclaim);
    RUN(test_bug_snapshot_drops_operations);
    return tap_done();
}
