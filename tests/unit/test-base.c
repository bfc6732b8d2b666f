/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "harness/base/buf.h"
#include "harness/base/clock.h"
#include "harness/base/crc32c.h"
#include "harness/base/rng.h"
#include "harness/base/value.h"
#include "tests/lib/tap.h"

static void
test_crc32c_vectors(void)
{
    unsigned char zeros[32] = {0};

    /* RFC 3720 B.4 */
    CHECK(crc32c(0, zeros, 32) == 0x8a9136aau);
    CHECK(crc32c(0, "123456789", 9) == 0xe3069283u);
    CHECK(crc32c(crc32c(0, "1234", 4), "56789", 5) == 0xe3069283u);
}

static void
test_rng_forks_are_independent_and_repeatable(void)
{
    struct rng a, b, fork1, fork2;

    rng_init(&a, 7);
    rng_init(&b, 7);
    fork1 = rng_fork(&a, "nemesis", 1);
    fork2 = rng_fork(&a, "nemesis", 2);
    CHECK(rng_u64(&a) == rng_u64(&b));
    CHECK(rng_u64(&fork1) != rng_u64(&fork2));
    for (int i = 0; i < 1000; i++)
        CHECK(rng_below(&a, 7) < 7);
}

static void
test_durations(void)
{
    int64_t ns;

    CHECK(duration_parse("90", &ns) && ns == 90 * NS_PER_S);
    CHECK(duration_parse("1.5m", &ns) && ns == 90 * NS_PER_S);
    CHECK(duration_parse("250ms", &ns) && ns == 250 * NS_PER_MS);
    CHECK(!duration_parse("5 apples", &ns));
    CHECK(!duration_parse("-1s", &ns));
    CHECK(!duration_parse("", &ns));
}

static void
test_value_json_round_trip(void)
{
    struct arena a;
    struct fields f = {0}, back;
    struct error err = {0};
    struct value items[2] = {{.type = VALUE_INT, .integer = -3},
                             {.type = VALUE_NULL}};
    json_t *json;

    arena_init(&a);
    fields_set_int(&a, &f, "n", INT64_MIN);
    fields_set_id(&a, &f, "id", (struct id128){1, 2});
    fields_set_string(&a, &f, "hash", "#not an id");
    fields_set_string(&a, &f, "back", "\\x");
    fields_set_string(&a, &f, "empty", "");
    fields_set_list(&a, &f, "list", items, 2);
    fields_set_bool(&a, &f, "yes", true);
    json = fields_to_json(&f);
    CHECK_OK(fields_from_json(&a, json, &back, &err), &err);
    CHECK(fields_equal(&f, &back));
    json_decref(json);
    arena_release(&a);
}

static void
test_buf_keeps_its_limit(void)
{
    struct buf b;

    buf_init(&b, 5);
    buf_puts(&b, "1234");
    CHECK(!b.truncated);
    buf_printf(&b, "%d", 5678);
    CHECK(b.truncated);
    CHECK_STR(buf_text(&b), "12345");
    buf_release(&b);
}

int
main(void)
{
    RUN(test_crc32c_vectors);
    RUN(test_rng_forks_are_independent_and_repeatable);
    RUN(test_durations);
    RUN(test_value_json_round_trip);
    RUN(test_buf_keeps_its_limit);
    return tap_done();
}
