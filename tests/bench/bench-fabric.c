/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many frames the switch carries and how long one takes, five stations in
 * a ring, beside the plainest forwarder of datagrams there can be (the same
 * batches, no rules, no tables) and beside sockets without anything between.
 *
 * Frames per second are given per second of the clock and per second of CPU
 * time of the thread that forwards: on a busy machine only the latter says
 * what one core carries.
 *
 *   bench-fabric [SECONDS per measurement]
 */
#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "nemesis/fabric/switch.h"

#define STATIONS 5
#define BATCH 64
#define WINDOW 256 /* frames under way per station: what sockets hold */
#define FRAME_MAX 1514
#define SAMPLES 1000
#define SAMPLE_INTERVAL_NS (500 * NS_PER_US)
#define TARGET_FRAMES 200000.0
#define TARGET_LATENCY_US 100.0

enum middle { MIDDLE_SWITCH, MIDDLE_FORWARDER, MIDDLE_NONE };

struct bench {
    int reserve[STATIONS], fd[STATIONS]; /* stations */
    uint16_t port[STATIONS];
    struct sockaddr_in towards[STATIONS]; /* where station i sends */
    struct fabric_switch *sw;
    int forward_fd[STATIONS];
    atomic_bool stop;
    pthread_t forwarder;
    uint8_t frame[STATIONS][FRAME_MAX];
};

static void
die(const char *what)
{
    perror(what);
    abort();
}

static struct sockaddr_in
loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
bound_socket(uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in a = loopback(port);
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
    int size = 4 << 20;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        die("bind");
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* ---- the plain forwarder ---- */

static void *
forward(void *arg)
{
    static uint8_t frames[BATCH][FRAME_MAX];
    static struct mmsghdr messages[BATCH];
    static struct iovec vectors[BATCH];
    struct pollfd fds[STATIONS];
    struct bench *b = arg;

    prctl(PR_SET_NAME, "bench-forward");
    for (unsigned i = 0; i < STATIONS; i++)
        fds[i] = (struct pollfd){.fd = b->forward_fd[i], .events = POLLIN};
    while (!b->stop) {
        poll(fds, STATIONS, 100);
        for (unsigned i = 0; i < STATIONS; i++) {
            int n;

            if (fds[i].revents == 0)
                continue;
            for (unsigned k = 0; k < BATCH; k++) {
                vectors[k] = (struct iovec){frames[k], FRAME_MAX};
                messages[k].msg_hdr =
                    (struct msghdr){.msg_iov = &vectors[k], .msg_iovlen = 1};
            }
            n = recvmmsg(b->forward_fd[i], messages, BATCH, MSG_DONTWAIT, NULL);
            for (int k = 0; k < n; k++)
                vectors[k].iov_len = messages[k].msg_len;
            if (n > 0)
                sendmmsg(b->forward_fd[(i + 1) % STATIONS], messages,
                         (unsigned)n, 0);
        }
    }
    return NULL;
}

/* ---- what is between the stations ---- */

static void
start_switch(struct bench *b, const struct link_rule *rule)
{
    struct switch_port_config config[STATIONS] = {0};
    struct link_set all = link_set_all(STATIONS);
    struct error err;
    unsigned id;

    for (unsigned i = 0; i < STATIONS; i++) {
        memcpy(config[i].mac, b->frame[i] + 6, 6);
        config[i].peer_port = b->port[i];
    }
    b->sw = switch_new(config, STATIONS, &err);
    if (b->sw == NULL || switch_start(b->sw, &err) < 0 ||
        (rule != NULL && switch_rule_add(b->sw, &all, rule, &id, &err) < 0)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    for (unsigned i = 0; i < STATIONS; i++)
        b->towards[i] = loopback(switch_local_port(b->sw, i));
}

static void
start_forwarder(struct bench *b)
{
    for (unsigned i = 0; i < STATIONS; i++) {
        struct sockaddr_in a = loopback(b->port[i]);
        uint16_t port;

        b->forward_fd[i] = bound_socket(0, &port);
        if (connect(b->forward_fd[i], (struct sockaddr *)&a, sizeof(a)) < 0)
            die("connect");
        b->towards[i] = loopback(port);
    }
    if (pthread_create(&b->forwarder, NULL, forward, b) != 0)
        die("thread");
}

static void
start(struct bench *b, enum middle middle, const struct link_rule *rule)
{
    memset(b, 0, sizeof(*b));
    for (unsigned i = 0; i < STATIONS; i++) {
        struct error err;
        uint16_t ignored;
        uint8_t next = (uint8_t)((i + 1) % STATIONS);

        b->reserve[i] = port_reserve(SOCK_DGRAM, &b->port[i], &err);
        b->fd[i] = bound_socket(b->port[i], &ignored);
        memcpy(b->frame[i],
               (uint8_t[]){2, 0, 0, 0, 0, next, 2, 0, 0, 0, 0, (uint8_t)i, 0x88,
                           0xb5},
               14);
    }
    if (middle == MIDDLE_SWITCH)
        start_switch(b, rule);
    else if (middle == MIDDLE_FORWARDER)
        start_forwarder(b);
    else
        for (unsigned i = 0; i < STATIONS; i++)
            b->towards[i] = loopback(b->port[(i + 1) % STATIONS]);
}

static void
end(struct bench *b)
{
    if (b->forwarder != 0) {
        b->stop = true;
        pthread_join(b->forwarder, NULL);
        for (unsigned i = 0; i < STATIONS; i++)
            close(b->forward_fd[i]);
    }
    switch_free(b->sw);
    for (unsigned i = 0; i < STATIONS; i++) {
        close(b->fd[i]);
        close(b->reserve[i]);
    }
}

/* CPU time of our thread of that name; 0: there is none. */
static int64_t
thread_cpu_ns(const char *name)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *e;
    int64_t ns = 0;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        CLEANUP_FREE char *comm =
            xasprintf("/proc/self/task/%s/comm", e->d_name);
        CLEANUP_FREE char *stat =
            xasprintf("/proc/self/task/%s/schedstat", e->d_name);
        struct error err;
        CLEANUP_FREE char *is = file_read(comm, 64, NULL, &err);
        CLEANUP_FREE char *text = file_read(stat, 256, NULL, &err);

        if (is != NULL && text != NULL && strncmp(is, name, strlen(name)) == 0)
            ns = strtoll(text, NULL, 10);
    }
    closedir(dir);
    return ns;
}

/* ---- measurements ---- */

static void
send_some(struct bench *b, unsigned from, unsigned count, size_t len)
{
    struct mmsghdr messages[BATCH];
    struct iovec v = {b->frame[from], len};

    for (unsigned k = 0; k < count; k++)
        messages[k] = (struct mmsghdr){
            .msg_hdr = {.msg_name = &b->towards[from],
                        .msg_namelen = sizeof(b->towards[from]),
                        .msg_iov = &v,
                        .msg_iovlen = 1}};
    if (sendmmsg(b->fd[from], messages, count, 0) != (int)count)
        die("sendmmsg");
}

static unsigned
receive_some(struct bench *b, unsigned at)
{
    static uint8_t bytes[FRAME_MAX];
    struct mmsghdr messages[BATCH];
    struct iovec v = {bytes, sizeof(bytes)};
    int n;

    for (unsigned k = 0; k < BATCH; k++)
        messages[k] =
            (struct mmsghdr){.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};
    n = recvmmsg(b->fd[at], messages, BATCH, MSG_DONTWAIT, NULL);
    return n > 0 ? (unsigned)n : 0;
}

struct rate {
    double per_second, per_cpu_second;
    uint64_t lost;
};

static struct rate
measure_rate(struct bench *b, const char *thread, size_t len, double seconds)
{
    struct clock *clock = clock_monotonic();
    int64_t begin = clock_now_ns(clock), now, cpu = thread_cpu_ns(thread);
    int64_t until = begin + (int64_t)(seconds * NS_PER_S), moved = begin;
    uint64_t sent[STATIONS] = {0}, got[STATIONS] = {0}, lost = 0, total = 0;

    while ((now = clock_now_ns(clock)) < until) {
        bool any = false;

        for (unsigned i = 0; i < STATIONS; i++) {
            unsigned next = (i + 1) % STATIONS, n;

            if (sent[i] - got[i] + BATCH <= WINDOW) {
                send_some(b, i, BATCH, len);
                sent[i] += BATCH;
            }
            n = receive_some(b, next);
            got[i] += n;
            total += n;
            any |= n > 0;
        }
        moved = any ? now : moved;
        if (now - moved > 100 * NS_PER_MS) { /* what is missing is lost */
            for (unsigned i = 0; i < STATIONS; i++) {
                lost += sent[i] - got[i];
                got[i] = sent[i];
            }
            moved = now;
        }
    }
    cpu = thread_cpu_ns(thread) - cpu;
    return (struct rate){(double)total / ((double)(now - begin) / NS_PER_S),
                         (double)total / ((double)cpu / NS_PER_S), lost};
}

static int
compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* One way, one frame at a time; in microseconds. */
static double
measure_latency(enum middle middle, double *ret_p99)
{
    static int64_t samples[SAMPLES];
    struct clock *clock = clock_monotonic();
    struct bench b;

    start(&b, middle, NULL);
    for (unsigned i = 0; i < SAMPLES; i++) {
        struct pollfd pfd = {.fd = b.fd[1], .events = POLLIN};
        int64_t begin;

        clock_sleep_ns(clock, SAMPLE_INTERVAL_NS);
        begin = clock_now_ns(clock);
        send_some(&b, 0, 1, 60);
        poll(&pfd, 1, 1000);
        samples[i] = clock_now_ns(clock) - begin;
        receive_some(&b, 1);
    }
    end(&b);
    qsort(samples, SAMPLES, sizeof(samples[0]), compare_ns);
    *ret_p99 = (double)samples[SAMPLES * 99 / 100] / NS_PER_US;
    return (double)samples[SAMPLES / 2] / NS_PER_US;
}

static struct rate
report_rate(const char *name, enum middle middle, const struct link_rule *rule,
            size_t len, double seconds)
{
    struct bench b;
    struct rate r;

    start(&b, middle, rule);
    r = measure_rate(
        &b, middle == MIDDLE_SWITCH ? "ordeal-switch" : "bench-forward", len,
        seconds);
    end(&b);
    printf("%-34s %5zu B %10.0f frames/s %10.0f per CPU second, lost %" PRIu64
           "\n",
           name, len, r.per_second, r.per_cpu_second, r.lost);
    fflush(stdout);
    return r;
}

static void
report_latency(void)
{
    double none_p99, none = measure_latency(MIDDLE_NONE, &none_p99);
    double plain_p99, plain = measure_latency(MIDDLE_FORWARDER, &plain_p99);
    double sw_p99, sw = measure_latency(MIDDLE_SWITCH, &sw_p99);

    printf("one way, idle, median (p99) in us: sockets alone %.1f (%.1f), "
           "plain forwarder %.1f (%.1f), switch %.1f (%.1f)\n",
           none, none_p99, plain, plain_p99, sw, sw_p99);
    printf("added by the switch: %.1f us at the median, target below %.0f: "
           "%s; the plain forwarder adds %.1f\n",
           sw - none, TARGET_LATENCY_US,
           sw - none < TARGET_LATENCY_US ? "met" : "MISSED", plain - none);
}

int
main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
    static const struct link_rule heap = {.delay_ns = NS_PER_MS / 2};
    static const struct link_rule pass = {.loss = 1e-9};
    struct rate plain, sw;

    plain = report_rate("plain forwarder", MIDDLE_FORWARDER, NULL, 60, seconds);
    sw = report_rate("switch", MIDDLE_SWITCH, NULL, 60, seconds);
    report_rate("switch, a rule on every link", MIDDLE_SWITCH, &pass, 60,
                seconds);
    report_rate("switch, all through the queue", MIDDLE_SWITCH, &heap, 60,
                seconds);
    report_rate("plain forwarder", MIDDLE_FORWARDER, NULL, FRAME_MAX, seconds);
    report_rate("switch", MIDDLE_SWITCH, NULL, FRAME_MAX, seconds);
    printf("one core carries %.0f frames/s of 60 bytes, %.2f of the target of "
           "%.0f (%s) and %.2f of the plain forwarder\n",
           sw.per_cpu_second, sw.per_cpu_second / TARGET_FRAMES, TARGET_FRAMES,
           sw.per_cpu_second >= TARGET_FRAMES ? "met" : "MISSED",
           sw.per_cpu_second / plain.per_cpu_second);
    report_latency();
    return 0;
}
