/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocator's history without positions: N operations (default 20,000) of
 * eight clients on so many resources (default 8, 40 and 200), 400 of them of
 * unknown outcome, written as the JSONL of the lease kernel and judged from the
 * file to the verdict as 'ordeal check' does, in one thread.
 *
 *   allocator-bench [OPERATIONS [AMBIGUOUS [RESOURCES...]]]
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/judge-model.h"
#include "harness/base/rng.h"

#define CLIENTS 8
#define TARGET_S 10

enum bench_function {
    BENCH_RESERVE,
    BENCH_ACTIVATE,
    BENCH_RELEASE,
    BENCH_REVOKE,
    BENCH_RECLAIM,
    BENCH_EXPIRE,
    BENCH_GET,
};

static const char *const function_names[] = {
    "reserve", "activate", "release", "revoke", "reclaim", "expire", "get"};

enum bench_state { BENCH_RESERVED, BENCH_ACTIVE, BENCH_REVOKING, BENCH_ENDED };

static const char *const state_names[] = {"reserved", "active", "revoking"};

struct bench_lease {
    unsigned first, count, holder;
    enum bench_state state;
    bool told; /* its holder knows of it */
    bool busy; /* a command on it is under way */
};

struct bench_command {
    enum bench_function function;
    unsigned client, first, count, lease;
    uint64_t operation;
    bool done, ok; /* it took effect; it was not refused */
    unsigned told; /* the lease that a get saw, 0: none */
    enum bench_state told_state;
};

struct bench {
    FILE *out;
    struct rng rng;
    uint64_t operations, count, index, ambiguous, lost;
    unsigned resources, *held; /* lease per resource, 0: none */
    struct bench_lease *leases;
    unsigned lease_count;
    struct bench_command clients[CLIENTS], *late;
    bool open[CLIENTS];
    unsigned late_count;
};

static unsigned
below(struct bench *b, unsigned bound)
{
    return (unsigned)rng_below(&b->rng, bound);
}

/* ---- what the allocator does ---- */

static void
bench_grant(struct bench *b, struct bench_command *k)
{
    for (unsigned i = 0; i < k->count; i++)
        if (b->held[k->first + i] != 0)
            return;
    k->ok = true;
    k->lease = ++b->lease_count;
    b->leases[k->lease] = (struct bench_lease){
        .first = k->first, .count = k->count, .holder = k->client};
    for (unsigned i = 0; i < k->count; i++)
        b->held[k->first + i] = k->lease;
}

static void
bench_end(struct bench *b, struct bench_lease *l)
{
    l->state = BENCH_ENDED;
    for (unsigned i = 0; i < l->count; i++)
        b->held[l->first + i] = 0;
}

static void
bench_effect(struct bench *b, struct bench_command *k)
{
    struct bench_lease *l = &b->leases[k->lease];

    k->done = true;
    k->ok = k->function != BENCH_RESERVE;
    switch (k->function) {
    case BENCH_RESERVE:
        bench_grant(b, k);
        break;
    case BENCH_ACTIVATE:
        l->state = BENCH_ACTIVE;
        break;
    case BENCH_REVOKE:
        l->state = BENCH_REVOKING;
        break;
    case BENCH_RELEASE:
    case BENCH_RECLAIM:
    case BENCH_EXPIRE:
        bench_end(b, l);
        break;
    case BENCH_GET:
        k->told = b->held[k->first];
        k->told_state = b->leases[k->told].state;
        break;
    }
}

/* Whether a command of unknown outcome may still execute. */
static bool
bench_legal(const struct bench *b, const struct bench_command *k)
{
    const struct bench_lease *l = &b->leases[k->lease];

    switch (k->function) {
    case BENCH_RESERVE:
        return true;
    case BENCH_ACTIVATE:
    case BENCH_EXPIRE:
        return !l->busy && l->state == BENCH_RESERVED;
    case BENCH_RELEASE:
        return !l->busy && l->state <= BENCH_ACTIVE;
    case BENCH_REVOKE:
        return !l->busy && l->state == BENCH_ACTIVE;
    case BENCH_RECLAIM:
        return !l->busy && l->state == BENCH_REVOKING;
    default:
        return false;
    }
}

/* ---- what is written down ---- */

static void
bench_line(struct bench *b, const struct bench_command *k, const char *type)
{
    fprintf(b->out,
            "{\"index\": %" PRIu64 ", \"time\": %" PRIu64
            ", \"process\": %u, \"type\": \"%s\", \"f\": \"%s\", \"op_id\": ",
            b->index, b->index * 10, k->client, type,
            function_names[k->function]);
    b->index++;
    if (k->function == BENCH_GET)
        fprintf(b->out, "null");
    else
        fprintf(b->out, "\"op%" PRIu64 "\"", k->operation);
    fprintf(b->out, ", \"attempt\": 1, \"value\": {");
}

static void
bench_invoked(struct bench *b, const struct bench_command *k)
{
    bench_line(b, k, "invoke");
    if (k->function == BENCH_GET) {
        fprintf(b->out, "\"resource\": \"r%u\"", k->first);
    } else if (k->function == BENCH_RESERVE) {
        fprintf(b->out, "\"resources\": [");
        for (unsigned i = 0; i < k->count; i++)
            fprintf(b->out, "%s\"r%u\"", i > 0 ? ", " : "", k->first + i);
        fprintf(b->out, "], \"holder\": \"h%u\"", k->client);
    } else {
        fprintf(b->out, "\"lease\": %u", k->lease);
        if (k->function <= BENCH_RELEASE)
            fprintf(b->out, ", \"holder\": \"h%u\", \"epoch\": 1", k->client);
    }
    fprintf(b->out, "}}\n");
}

static void
bench_answered(struct bench *b, const struct bench_command *k)
{
    bench_line(b, k, "ok");
    fprintf(b->out, "\"code\": \"%s\"", k->ok ? "ok" : "resource_busy");
    if (k->function == BENCH_GET)
        fprintf(b->out, ", \"state\": \"%s\", \"lease\": %u",
                k->told == 0 ? "available" : state_names[k->told_state],
                k->told);
    else if (k->function == BENCH_RESERVE && k->ok)
        fprintf(b->out, ", \"lease\": %u, \"epoch\": 1", k->lease);
    else if (k->ok && k->function != BENCH_RECLAIM)
        fprintf(b->out, ", \"epoch\": %d",
                k->function == BENCH_ACTIVATE ? 1 : 2);
    fprintf(b->out, "}}\n");
}

/* ---- what clients do ---- */

static void
bench_choose(struct bench *b, struct bench_command *k)
{
    unsigned resource = below(b, b->resources), lease = b->held[resource];
    struct bench_lease *l = &b->leases[lease];

    k->first = resource;
    k->count = 1;
    k->function = BENCH_GET;
    if (lease == 0 || below(b, 5) == 0) {
        k->function = below(b, 4) == 0 ? BENCH_GET : BENCH_RESERVE;
        k->count += resource + 1 < b->resources && resource % 4 != 3 &&
                    below(b, 3) == 0;
        return;
    }
    if (l->busy || below(b, 3) == 0)
        return;
    k->lease = lease;
    if (l->state == BENCH_REVOKING) {
        k->function = BENCH_RECLAIM;
    } else if (l->told) {
        k->client = l->holder;
        k->function = l->state == BENCH_RESERVED && below(b, 2) == 0
                          ? BENCH_ACTIVATE
                          : BENCH_RELEASE;
    } else {
        k->function = l->state == BENCH_RESERVED ? BENCH_EXPIRE : BENCH_REVOKE;
    }
}

static void
bench_invoke(struct bench *b, unsigned client)
{
    struct bench_command k = {.client = client};

    bench_choose(b, &k);
    if (b->open[k.client]) { /* the holder has other things to do */
        k = (struct bench_command){
            .client = client, .function = BENCH_GET, .first = k.first};
    }
    if (k.lease != 0)
        b->leases[k.lease].busy = true;
    k.operation = ++b->operations;
    b->clients[k.client] = k;
    b->open[k.client] = true;
    bench_invoked(b, &k);
}

static void
bench_lose(struct bench *b, struct bench_command *k)
{
    b->lost++;
    bench_line(b, k, "info");
    fprintf(b->out, "\"error\": \"timeout\"}}\n");
    if (!k->done && below(b, 2) == 0)
        b->late[b->late_count++] = *k;
}

static void
bench_complete(struct bench *b, unsigned client)
{
    struct bench_command *k = &b->clients[client];
    /* As many are lost as asked for, over the whole length. */
    bool lost = k->function != BENCH_GET &&
                b->lost * b->count < b->ambiguous * b->operations;

    if (!k->done && (!lost || below(b, 2) == 0))
        bench_effect(b, k);
    b->open[client] = false;
    if (k->function != BENCH_RESERVE)
        b->leases[k->lease].busy = false;
    if (lost) {
        bench_lose(b, k);
        return;
    }
    if (k->function == BENCH_RESERVE && k->ok)
        b->leases[k->lease].told = true;
    bench_answered(b, k);
}

static void
bench_play(struct bench *b)
{
    while (b->operations < b->count) {
        unsigned client = below(b, CLIENTS);

        if (!b->open[client])
            bench_invoke(b, client);
        else if (!b->clients[client].done && below(b, 2) == 0)
            bench_effect(b, &b->clients[client]);
        else
            bench_complete(b, client);
        if (b->late_count > 0 && below(b, 100) == 0) {
            struct bench_command *k = &b->late[below(b, b->late_count)];
            if (!k->done && bench_legal(b, k))
                bench_effect(b, k);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        if (b->open[i])
            bench_complete(b, i);
}

static bool
bench_write(const char *path, uint64_t count, uint64_t ambiguous,
            unsigned resources)
{
    struct bench b = {
        .count = count, .ambiguous = ambiguous, .resources = resources};
    bool ok;

    b.out = fopen(path, "we");
    if (b.out == NULL)
        return false;
    rng_init(&b.rng, 1);
    b.held = xcalloc(resources, sizeof(*b.held));
    b.leases = xcalloc(count + ambiguous + 2, sizeof(*b.leases));
    b.late = xcalloc(ambiguous + 1, sizeof(*b.late));
    bench_play(&b);
    free(b.held);
    free(b.leases);
    free(b.late);
    ok = ferror(b.out) == 0;
    return fclose(b.out) == 0 && ok;
}

static double
cpu_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
bench_judge(const char *path, uint64_t count, uint64_t ambiguous,
            unsigned resources, struct error *err)
{
    struct analyzer_options options = {.jobs = 1, .model = "lease-kernel"};
    double seconds;
    struct rusage usage;
    json_t *result = NULL;
    int status;

    if (!bench_write(path, count, ambiguous, resources))
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
    seconds = cpu_seconds();
    if (judge_model(path, &options, &result, err) < 0)
        return -1;
    seconds = cpu_seconds() - seconds;
    getrusage(RUSAGE_SELF, &usage);
    printf("10 | allocator without positions, %" PRIu64 " operations, %" PRIu64
           " ambiguous, %u resources, %s | %.3f s CPU, %.0f MB | %d s | nobody "
           "| %.0f operations/s\n",
           count, ambiguous, resources,
           json_string_value(json_object_get(result, "verdict")), seconds,
           (double)usage.ru_maxrss / 1024, TARGET_S, (double)count / seconds);
    fflush(stdout);
    status = analyzer_exit_status(result);
    if (status != 0)
        json_dumpf(result, stderr, JSON_INDENT(1));
    json_decref(result);
    return status;
}

int
main(int argc, char **argv)
{
    static const unsigned usual[] = {8, 40, 200};
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 20000;
    uint64_t ambiguous = argc > 2 ? strtoull(argv[2], NULL, 0) : 400;
    int cases = argc > 3 ? argc - 3 : (int)ARRAY_LEN(usual), status = 0;
    char path[] = "/tmp/ordeal-bench-XXXXXX";
    struct error err = {0};
    int fd = mkstemp(path);

    if (fd < 0)
        return 70;
    close(fd);
    for (int i = 0; i < cases && status == 0; i++) {
        unsigned resources =
            argc > 3 ? (unsigned)strtoul(argv[3 + i], NULL, 0) : usual[i];
        status = resources == 0
                     ? 64
                     : bench_judge(path, count, ambiguous, resources, &err);
    }
    unlink(path);
    if (status < 0)
        fprintf(stderr, "bench-allocator: %s\n", err.text);
    return status < 0 ? 70 : status;
}
