/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/base/clock.h"

static int64_t
monotonic_now_ns(struct clock *c)
{
    struct timespec ts;

    (void)c;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void
monotonic_sleep_until_ns(struct clock *c, int64_t until_ns)
{
    struct timespec ts = {.tv_sec = until_ns / NS_PER_S,
                          .tv_nsec = until_ns % NS_PER_S};

    (void)c;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
}

struct clock *
clock_monotonic(void)
{
    static struct clock clock = {.now_ns = monotonic_now_ns,
                                 .sleep_until_ns = monotonic_sleep_until_ns};

    return &clock;
}

static int64_t
virtual_now_ns(struct clock *c)
{
    return ((struct clock_virtual *)c)->now_ns;
}

static void
virtual_sleep_until_ns(struct clock *c, int64_t until_ns)
{
    struct clock_virtual *v = (struct clock_virtual *)c;

    if (until_ns > v->now_ns)
        v->now_ns = until_ns;
}

void
clock_virtual_init(struct clock_virtual *v, int64_t start_ns)
{
    v->clock.now_ns = virtual_now_ns;
    v->clock.sleep_until_ns = virtual_sleep_until_ns;
    v->now_ns = start_ns;
}

int64_t
clock_now_ns(struct clock *c)
{
    return c->now_ns(c);
}

void
clock_sleep_ns(struct clock *c, int64_t duration_ns)
{
    if (duration_ns > 0)
        c->sleep_until_ns(c, c->now_ns(c) + duration_ns);
}

bool
clock_poll(struct clock *c, int64_t deadline_ns, int64_t interval_ns,
           bool (*ready)(void *ctx), void *ctx)
{
    assert(interval_ns > 0);
    for (;;) {
        int64_t now;

        if (ready(ctx))
            return true;
        now = clock_now_ns(c);
        if (now >= deadline_ns)
            return false;
        if (deadline_ns - now < interval_ns)
            interval_ns = deadline_ns - now;
        clock_sleep_ns(c, interval_ns);
    }
}

int64_t
clock_wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void
clock_format_utc(int64_t wall_ns, char ret[static 21])
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(ret, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

bool
duration_parse(const char *text, int64_t *ret_ns)
{
    static const struct {
        const char *suffix;
        int64_t unit_ns;
    } units[] = {{"ms", NS_PER_MS},    {"s", NS_PER_S},
                 {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
                 {"us", NS_PER_US},    {"", NS_PER_S}};
    char *end;
    double amount;

    if (text[0] < '0' || text[0] > '9')
        return false;
    amount = strtod(text, &end);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].suffix) == 0) {
            double ns = amount * (double)units[i].unit_ns;

            if (ns > 9e15)
                return false;
            *ret_ns = (int64_t)ns;
            return true;
        }
    }
    return false;
}
