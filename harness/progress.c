/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/log.h"
#include "harness/progress.h"

#define PROGRESS_LIVE_NS (500 * NS_PER_MS)
#define PROGRESS_PLAIN_NS (10 * NS_PER_S)

struct progress {
    struct clock *clock;
    void (*look)(void *ctx, struct progress_view *ret);
    void *ctx;
    bool live; /* standard error is a terminal */
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below, and the terminal */
    pthread_cond_t wake;
    bool stopping;
    char line[512];
    char last_phase[32];
    struct progress_view before;
    int64_t before_ns;
};

static void
progress_per_second(char *out, size_t size, const struct progress *p,
                    const struct progress_view *v, int64_t now_ns)
{
    double seconds = (double)(now_ns - p->before_ns) / (double)NS_PER_S;

    if (p->before_ns == 0 || seconds <= 0 || v->ok < p->before.ok) {
        out[0] = '\0';
        return;
    }
    snprintf(out, size, "  ok %.0f/s fail %.0f/s unknown %.0f/s",
             (double)(v->ok - p->before.ok) / seconds,
             (double)(v->fail - p->before.fail) / seconds,
             (double)(v->unknown - p->before.unknown) / seconds);
}

static void
progress_draw(struct progress *p)
{
    struct progress_view v = {0};
    int64_t now = clock_now_ns(p->clock);
    char rates[128] = "", left[32] = "";

    p->look(p->ctx, &v);
    if (v.ok + v.fail + v.unknown > 0)
        progress_per_second(rates, sizeof(rates), p, &v, now);
    if (v.left_ns > 0)
        snprintf(left, sizeof(left), " %lld s left",
                 (long long)(v.left_ns / NS_PER_S));
    snprintf(p->line, sizeof(p->line), "%s%s%s%s%s%s%s", v.phase, left, rates,
             v.primary[0] == '\0' ? "" : "  primary ", v.primary,
             v.fault[0] == '\0' ? "" : "  fault: ", v.fault);
    if (p->live)
        fprintf(stderr, "\r\033[K%.150s", p->line);
    else if (p->before_ns == 0 || now - p->before_ns >= PROGRESS_PLAIN_NS ||
             strcmp(v.phase, p->last_phase) != 0)
        fprintf(stderr, "%s\n", p->line);
    else
        return; /* rates are over the whole time between two plain lines */
    fflush(stderr);
    memcpy(p->last_phase, v.phase, sizeof(p->last_phase));
    p->before = v;
    p->before_ns = now;
}

static void *
progress_main(void *arg)
{
    struct progress *p = arg;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        int64_t until = clock_wall_ns() + PROGRESS_LIVE_NS;
        struct timespec ts = {.tv_sec = until / NS_PER_S,
                              .tv_nsec = until % NS_PER_S};

        progress_draw(p);
        pthread_cond_timedwait(&p->wake, &p->lock, &ts);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Log lines go above the live line. */
static void
progress_log(void *ctx, enum log_level level, const char *line)
{
    struct progress *p = ctx;

    (void)level;
    pthread_mutex_lock(&p->lock);
    fprintf(stderr, "\r\033[K%s\n%.150s", line, p->line);
    fflush(stderr);
    pthread_mutex_unlock(&p->lock);
}

struct progress *
progress_start(struct clock *clock,
               void (*look)(void *ctx, struct progress_view *ret), void *ctx)
{
    struct progress *p = xcalloc(1, sizeof(*p));

    p->clock = clock;
    p->look = look;
    p->ctx = ctx;
    p->live = isatty(STDERR_FILENO) == 1;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    if (p->live)
        log_set_sink(progress_log, p);
    if (pthread_create(&p->thread, NULL, progress_main, p) != 0)
        assert(!"cannot start a thread");
    return p;
}

void
progress_stop(struct progress *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    if (p->live) {
        log_set_sink(NULL, NULL);
        fprintf(stderr, "\r\033[K");
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
