/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes per second and latency of three replicas on loopback, at 1, 8 and 32
 * clients, beside what a Raft library reached in the same place.  Each client
 * is a thread with a kept connection that sends reserve and release in turn;
 * one more moves logical time, so that leases and answers are retired.
 *
 *   bench-replica [SECONDS]
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/base/arena.h"
#include "harness/base/log.h"
#include "tests/lib/replica-cluster.h"

#define CLIENTS_MAX 32
#define SAMPLES_MAX (1u << 20)
#define TICK_MS 100

struct bench_client {
    pthread_t thread;
    unsigned number, port;
    int64_t until_ms;
    uint64_t done, failed;
    char why[48]; /* code of the first failure */
    uint32_t *samples_us;
};

static uint64_t
now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
count_failure(struct bench_client *b, int status, const json_t *json)
{
    const char *code = json_string_value(json_object_get(json, "code"));

    if (b->failed++ == 0)
        snprintf(b->why, sizeof(b->why), "%d %s", status,
                 code == NULL ? "without a code" : code);
}

static void
one_write(struct bench_client *b, struct http_client *h, uint64_t round,
          char lease[33])
{
    uint64_t began = now_us();
    char body[256];
    json_t *json = NULL;
    int status = 0;

    if (lease[0] == '\0')
        snprintf(body, sizeof(body),
                 "{\"operation\":\"%016x%016" PRIx64
                 "\",\"client\":%u,\"command\":\"reserve\",\"resource\":%u,"
                 "\"holder\":%u,\"ttl\":200}",
                 b->number + 1, round, b->number, b->number, b->number);
    else
        snprintf(body, sizeof(body),
                 "{\"operation\":\"%016x%016" PRIx64
                 "\",\"client\":%u,\"command\":\"release\",\"lease\":\"%s\","
                 "\"holder\":%u,\"epoch\":1}",
                 b->number + 1, round, b->number, lease, b->number);
    if (http_client_call(h, "POST", "/v1/command", body, 5000, &status, &json) <
            0 ||
        status != 200) {
        count_failure(b, status, json);
        lease[0] = '\0';
    } else {
        const char *text = json_string_value(json_object_get(json, "lease"));

        if (text == NULL)
            count_failure(b, status, json);
        snprintf(lease, 33, "%s", text == NULL || lease[0] != '\0' ? "" : text);
        if (b->done < SAMPLES_MAX)
            b->samples_us[b->done] = (uint32_t)(now_us() - began);
        b->done++;
    }
    json_decref(json);
}

static void *
client_run(void *arg)
{
    struct bench_client *b = arg;
    struct http_client h = {-1, b->port};
    char lease[33] = "";

    /* What is held at the end is given back, or the next measurement finds the
     * resource busy. */
    for (uint64_t round = now_us();
         cluster_now_ms() < b->until_ms || lease[0] != '\0'; round++)
        one_write(b, &h, round, lease);
    http_client_close(&h);
    return NULL;
}

struct ticker {
    pthread_t thread;
    unsigned port;
    int64_t until_ms;
};

static void *
ticker_run(void *arg)
{
    struct ticker *t = arg;
    struct http_client h = {-1, t->port};
    static uint64_t slot;

    while (cluster_now_ms() < t->until_ms) {
        char body[64];
        json_t *json = NULL;
        int status;

        slot += 70;
        snprintf(body, sizeof(body), "{\"client\":99,\"slot\":%" PRIu64 "}",
                 slot);
        if (http_client_call(&h, "POST", "/v1/tick", body, 5000, &status,
                             &json) == 0)
            json_decref(json);
        cluster_sleep_ms(TICK_MS);
    }
    http_client_close(&h);
    return NULL;
}

static int
compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void
measure(struct replica_cluster *c, unsigned count, int seconds,
        unsigned to_beat)
{
    struct bench_client *clients = xcalloc(count, sizeof(clients[0]));
    uint32_t *all = xcalloc(SAMPLES_MAX, sizeof(all[0]));
    int primary = cluster_primary(c, 5000);
    uint64_t done = 0, failed = 0, samples = 0;
    const char *why = "";
    struct ticker ticker = {.port = cluster_client_port(c, (unsigned)primary),
                            .until_ms = cluster_now_ms() + seconds * 1000};

    pthread_create(&ticker.thread, NULL, ticker_run, &ticker);
    for (unsigned i = 0; i < count; i++) {
        clients[i].number = i;
        clients[i].port = cluster_client_port(c, (unsigned)primary);
        clients[i].until_ms = cluster_now_ms() + seconds * 1000;
        clients[i].samples_us = xcalloc(SAMPLES_MAX, sizeof(uint32_t));
        pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
        done += clients[i].done;
        failed += clients[i].failed;
        if (clients[i].why[0] != '\0')
            why = clients[i].why;
        for (uint64_t n = 0; n < clients[i].done && samples < SAMPLES_MAX; n++)
            all[samples++] = clients[i].samples_us[n];
        free(clients[i].samples_us);
    }
    pthread_join(ticker.thread, NULL);
    qsort(all, samples, sizeof(all[0]), compare_u32);
    printf("%2u clients: %6.0f writes/s (to beat: %u), p50 %.2f ms, "
           "p99 %.2f ms, %" PRIu64 " failed%s%s\n",
           count, (double)done / seconds, to_beat,
           samples == 0 ? 0.0 : all[samples / 2] / 1000.0,
           samples == 0 ? 0.0 : all[samples * 99 / 100] / 1000.0, failed,
           failed > 0 ? ": " : "", why);
    fflush(stdout);
    free(all);
    free(clients);
}

int
main(int argc, char **argv)
{
    int seconds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    const char *const arguments[] = {"--max-reservations", "16384",
                                     "--max-members", "16384", NULL};
    struct replica_cluster c;

    cluster_init(&c, arguments);
    c.direct = true;
    cluster_start_all(&c);
    if (seconds <= 0 || cluster_primary(&c, 10000) < 0) {
        fprintf(stderr, "bench-replica: no primary, or bad SECONDS\n");
        cluster_release(&c);
        return 1;
    }
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        char fields[64];

        snprintf(fields, sizeof(fields),
                 "\"command\":\"create_resource\",\"resource\":%u", i);
        json_decref(cluster_command(&c, 1 + i, fields));
    }
    measure(&c, 1, seconds, 2800);
    measure(&c, 8, seconds, 6800);
    measure(&c, 32, seconds, 8500);
    cluster_release(&c);
    return 0;
}
