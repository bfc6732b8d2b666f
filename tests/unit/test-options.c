/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "harness/base/cleanup.h"
#include "harness/base/clock.h"
#include "harness/options.h"
#include "tests/lib/tap.h"

static const struct command command = {
    .name = "try", .synopsis = "[options]", .summary = "nothing"};

static bool flag, as_json;
static const char *name;
static uint64_t number;
static int64_t window_ns;
static const struct option_spec specs[] = {
    {"flag", 'f', OPTION_FLAG, &flag, NULL, "a flag"},
    {"name", 'n', OPTION_STRING, &name, "NAME", "a name"},
    {"number", 0, OPTION_UINT, &number, "NUMBER", "a number"},
    {"window", 'w', OPTION_DURATION, &window_ns, "DURATION", "a duration"},
    {"format", 0, OPTION_FORMAT, &as_json, "text|json", "how"},
};

static char *argv[16]; /* operands stand first after parse() */

static enum options_outcome
parse(bool stop, const char *const words[], int *count)
{
    int argc = 0, exit_status;

    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    return options_parse(&command, specs, 5, stop, argc, argv, count,
                         &exit_status);
}

static void
test_options_and_operands_mix(void)
{
    const char *const words[] = {"try",  "one",        "--flag", "-n",
                                 "x",    "--number=7", "two",    "-w",
                                 "1.5s", "--format",   "json",   NULL};
    int count;

    CHECK_INT(parse(false, words, &count), OPTIONS_OK);
    CHECK_INT(count, 2);
    CHECK_STR(argv[0], "one");
    CHECK_STR(argv[1], "two");
    CHECK(flag && as_json);
    CHECK_STR(name, "x");
    CHECK_INT(number, 7);
    CHECK_INT(window_ns, 1500 * NS_PER_MS);
}

static void
test_options_can_stop_at_the_first_operand(void)
{
    const char *const words[] = {"try", "n1", "ls", "--flag", NULL};
    int count;

    flag = false;
    CHECK_INT(parse(true, words, &count), OPTIONS_OK);
    CHECK_INT(count, 3);
    CHECK_STR(argv[2], "--flag");
    CHECK(!flag);
}

static void
test_bad_options_are_refused(void)
{
    const char *const cases[][4] = {
        {"try", "--flga", NULL},          {"try", "--number", "x", NULL},
        {"try", "--number", NULL},        {"try", "--window", "soon", NULL},
        {"try", "--flag=yes", NULL},      {"try", "-x", NULL},
        {"try", "--format", "xml", NULL}, {"try", "--number", "-3", NULL},
    };
    int count;

    CHECK(freopen("/dev/null", "w", stderr) != NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        CHECK_INT(parse(false, cases[i], &count), OPTIONS_BAD);
}

int
main(void)
{
    RUN(test_options_and_operands_mix);
    RUN(test_options_can_stop_at_the_first_operand);
    RUN(test_bad_options_are_refused);
    return tap_done();
}
