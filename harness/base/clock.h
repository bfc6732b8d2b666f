/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time is passed in, never fetched from the air: a run uses the monotonic
 * clock, tests use a virtual one.  All times are nanoseconds on one host clock.
 */
#ifndef ORDEAL_BASE_CLOCK_H
#define ORDEAL_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

struct clock {
    int64_t (*now_ns)(struct clock *c);
    /* Returns at or after 'until_ns'; a virtual clock advances itself. */
    void (*sleep_until_ns)(struct clock *c, int64_t until_ns);
};

/* CLOCK_MONOTONIC.  Shared by all threads. */
struct clock *clock_monotonic(void);

/* A clock that moves only when slept on.  Not for several threads. */
struct clock_virtual {
    struct clock clock;
    int64_t now_ns;
};
void clock_virtual_init(struct clock_virtual *v, int64_t start_ns);

int64_t clock_now_ns(struct clock *c);
void clock_sleep_ns(struct clock *c, int64_t duration_ns);

/*
 * Calls 'ready' every 'interval_ns' until it returns true or 'deadline_ns' (an
 * absolute time) has passed.  Returns whether it became ready.
 */
bool clock_poll(struct clock *c, int64_t deadline_ns, int64_t interval_ns,
                bool (*ready)(void *ctx), void *ctx);

/* Wall clock, for names and reports only: never for intervals. */
int64_t clock_wall_ns(void);

/* "2026-01-31T23:59:59Z" (20 characters and NUL) of a wall time. */
void clock_format_utc(int64_t wall_ns, char ret[static 21]);

/* Parses "90", "90s", "15m", "2h", "250ms".  Returns false if it is none. */
bool duration_parse(const char *text, int64_t *ret_ns);

#endif
