/* SPDX-License-Identifier: Apache-2.0 */
/* Rules, and the control protocol without its socket. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "harness/base/arena.h"
#include "nemesis/platter/server.h"
#include "tests/lib/tap.h"

#define DISK_BYTES (1u << 20)

static struct server s;
static int disk_fd;
static char reply[SERVER_REPLY_BYTES_MAX];

static void
setup(void)
{
    memset(&s, 0, sizeof(s));
    disk_fd = memfd_create("platter", MFD_CLOEXEC);
    CHECK(disk_fd >= 0 && ftruncate(disk_fd, DISK_BYTES) == 0);
    store_init(&s.store, disk_fd, DISK_BYTES, STORE_BOUND_BYTES);
    rules_init(&s.rules, 1);
    pthread_rwlock_init(&s.store_lock, NULL);
    pthread_mutex_init(&s.gate_lock, NULL);
}

static void
teardown(void)
{
    store_release(&s.store);
    close(disk_fd);
}

static const char *
say(const char *command)
{
    CLEANUP_FREE char *line = xstrdup(command);
    CLEANUP(buf_release) struct buf out;

    buf_init(&out, SERVER_REPLY_BYTES_MAX);
    control_run(&s, line, &out);
    snprintf(reply, sizeof(reply), "%s", buf_text(&out));
    return reply;
}

static bool
says(const char *command, const char *part)
{
    bool good = strstr(say(command), part) != NULL;

    if (!good)
        printf("# %s: %s\n", command, reply);
    return good;
}

static int
ask(enum request kind, uint64_t offset, uint64_t length)
{
    return rules_decide(&s.rules, kind, offset, length).error;
}

static void
test_refuses_what_it_does_not_know(void)
{
    static const char *const bad[] = {
        "",
        "no-such",
        "stats extra",
        "cut policy=none",
        "cut unit=1024",
        "cut percent=101",
        "cut policy=replay",
        "cut policy=replay replay=../x",
        "eio kind=none",
        "eio nth=-1",
        "eio nth=1x",
        "eio ppm=1000001",
        "eio kind=read kind=write",
        "eio offset=99999999999",
        "latency ns=99999999999999",
        "lie",
        "lie on off",
        "flip",
        "flip offset=1048576",
        "flip offset=1 bit=8",
        "stale",
        "stale offset=100 length=512",
        "stall kind=\"\\x",
        "clear rule=abc",
        "eio a b c d e f g h i j k l m n o p q r s t u v w x y z",
    };

    setup();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(says(bad[i], "{\"ok\":false,\"error\":\""));
    CHECK(says("stats", "\"generation\":1,"));
    CHECK(says("stats", "\"rules\":[]}"));
    CHECK(says("stats", "\"stalled\":[]"));
    CHECK(says("stats", "\"lying\":false"));
    teardown();
}

static void
test_errors_by_kind_range_and_number(void)
{
    setup();
    CHECK(says("eio kind=write offset=4096 length=4096", "\"rule\":1}"));
    CHECK_INT(ask(REQUEST_WRITE, 0, 4096), 0);
    CHECK_INT(ask(REQUEST_WRITE, 4096, 512), EIO);
    CHECK_INT(ask(REQUEST_TRIM, 0, 4608), EIO);
    CHECK_INT(ask(REQUEST_ZERO, 7680, 512), EIO);
    CHECK_INT(ask(REQUEST_WRITE, 8192, 512), 0);
    CHECK_INT(ask(REQUEST_READ, 4096, 512), 0);
    CHECK_INT(ask(REQUEST_FLUSH, 0, 0), 0);
    CHECK(says("stats", "\"seen\":3,\"hit\":3"));
    CHECK(says("clear rule=1", "true"));
    CHECK(says("clear rule=1", "true"));
    CHECK_INT(ask(REQUEST_WRITE, 4096, 512), 0);
    CHECK(says("enospc nth=3 count=2", "\"rule\":2}"));
    for (int i = 1; i <= 6; i++)
        CHECK_INT(ask(REQUEST_WRITE, 0, 512), i == 3 || i == 4 ? ENOSPC : 0);
    CHECK(says("stats", "\"seen\":6,\"hit\":2"));
    CHECK(says("clear", "true"));
    CHECK(says("eio kind=flush", "\"rule\":3}"));
    CHECK_INT(ask(REQUEST_FLUSH, 0, 0), EIO);
    teardown();
}

static void
test_errors_by_rate(void)
{
    unsigned hits = 0;

    setup();
    CHECK(says("eio kind=read ppm=100000", "true"));
    for (int i = 0; i < 10000; i++)
        hits += ask(REQUEST_READ, 0, 512) == EIO;
    CHECK(hits > 800 && hits < 1200);
    CHECK(says("eio ppm=0", "true"));
    CHECK_INT(ask(REQUEST_WRITE, 0, 512), 0);
    teardown();
}

static void
test_rules_are_bounded(void)
{
    setup();
    for (int i = 0; i < RULE_COUNT_MAX; i++)
        CHECK(says("eio", "true"));
    CHECK(says("eio", "too many"));
    CHECK(says("stats", "\"id\":16,"));
    CHECK(strlen(reply) < SERVER_REPLY_BYTES_MAX / 2);
    teardown();
}

static void
test_latency_and_stall(void)
{
    setup();
    CHECK(says("latency kind=flush ns=20000000 jitter_ns=1000", "true"));
    CHECK(rules_decide(&s.rules, REQUEST_FLUSH, 0, 0).delay_ns >= 20000000);
    CHECK(rules_decide(&s.rules, REQUEST_FLUSH, 0, 0).delay_ns < 20001000);
    CHECK_INT(rules_decide(&s.rules, REQUEST_READ, 0, 512).delay_ns, 0);
    CHECK(says("stats", "\"delayed\":2,\"latency_ns\":20000000"));
    CHECK(says("stall kind=write", "true"));
    CHECK(says("stats", "\"stalled\":[\"write\",\"zero\",\"trim\"]"));
    CHECK(says("unstall kind=trim", "true"));
    CHECK(says("stats", "\"stalled\":[\"write\",\"zero\"]"));
    CHECK(says("clear", "true"));
    CHECK(says("clear", "true"));
    CHECK(says("stats", "\"stalled\":[]"));
    CHECK_INT(rules_decide(&s.rules, REQUEST_FLUSH, 0, 0).delay_ns, 0);
    teardown();
}

static void
test_power_goes_off_once(void)
{
    setup();
    CHECK(says("release", "true"));
    CHECK(!s.release); /* means nothing while the power is on */
    s.connections = 1;
    CHECK(says("cut policy=tear seed=5", "\"generation\":2,"));
    CHECK(says("cut", "the power is off"));
    CHECK(says("stats", "\"powered\":false,\"generation\":2,"));
    CHECK(says("on", "\"connections\":1}"));
    CHECK(says("release", "true"));
    CHECK(s.release);
    s.connections = 0;
    CHECK(says("on", "true"));
    CHECK(says("on", "true"));
    CHECK(says("stats", "\"powered\":true,\"generation\":2,"));
    teardown();
}

static void
test_clear_does_not_touch_contents(void)
{
    setup();
    CHECK(says("lie on", "true"));
    CHECK(says("flip offset=100 bit=3", "true"));
    CHECK(says("stale offset=0 length=512", "true"));
    CHECK(says("stats", "\"lying\":true,\"lied\":0,\"stale_bytes\":512,"));
    CHECK(says("clear", "true"));
    CHECK(says("stats", "\"lying\":false,\"lied\":0,\"stale_bytes\":0,"));
    CHECK(says("stats", "\"flipped\":1,\"unflipped\":0,\"flips_open\":1,"));
    CHECK(says("unflip", "\"restored\":1,\"overwritten\":0}"));
    CHECK(says("unflip", "\"restored\":0,\"overwritten\":0}"));
    teardown();
}

int
main(void)
{
    RUN(test_refuses_what_it_does_not_know);
    RUN(test_errors_by_kind_range_and_number);
    RUN(test_errors_by_rate);
    RUN(test_rules_are_bounded);
    RUN(test_latency_and_stall);
    RUN(test_power_goes_off_once);
    RUN(test_clear_does_not_touch_contents);
    return tap_done();
}
