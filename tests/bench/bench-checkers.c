/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a history is judged: builds one of N operations (default one
 * million; the first argument) in memory, as eight clients at a sequential
 * allocator would leave it, and prints operations per second of CPU time of
 * the table (without the making of its events, which is measured apart), of
 * each checker alone (with the facts and the evidence) and of all together.
 *
 *   checkers-bench [OPERATIONS]
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "analyzer/analyzer.h"
#include "analyzer/checker.h"

#define CLIENTS 8
#define RESOURCES 64
#define TICK_EVERY 1000

struct bench {
    struct table *table;
    struct arena arena;
    uint64_t event, index, operation;
    int64_t slot;
    struct {
        uint64_t lease;
        int64_t version;
    } resources[RESOURCES];
};

static void
bench_event(struct bench *b, struct event *e)
{
    e->index = b->event++;
    e->time_ns = (int64_t)e->index * 1000;
    if (b->table != NULL)
        table_add(b->table, e);
    arena_reset(&b->arena);
}

static void
bench_done(struct bench *b, struct event *e, const struct fields *result,
           uint64_t index)
{
    e->kind = EVENT_OK;
    e->fields = *result;
    e->position = (struct position){index != 0, 1, index};
    bench_event(b, e);
}

static struct event
bench_begin(struct bench *b, const char *function, bool mutation)
{
    struct event e = {.process = (uint32_t)(b->event / 2 % CLIENTS),
                      .kind = EVENT_INVOKE,
                      .attempt = 1,
                      .function = function,
                      .node = "n1"};

    if (mutation)
        e.operation = (struct id128){1, ++b->operation};
    return e;
}

/* reserve, confirm or release of the resource, in turn. */
static void
bench_command(struct bench *b, unsigned resource, unsigned step)
{
    static const char *const functions[] = {"reserve", "confirm", "release"};
    struct event e = bench_begin(b, functions[step], true);
    struct fields result = {0};
    struct arena *a = &b->arena;

    fields_set_int(a, &e.fields, "holder", 3);
    if (step == 0) {
        fields_set_int(a, &e.fields, "resource", (int64_t)resource);
        fields_set_int(a, &e.fields, "ttl", 5);
        b->resources[resource].lease = b->index + 1;
    } else {
        fields_set_id(a, &e.fields, "lease",
                      (struct id128){0, b->resources[resource].lease});
        fields_set_int(a, &e.fields, "epoch", 1);
    }
    bench_event(b, &e);
    fields_set_string(a, &result, "code", "ok");
    fields_set_int(a, &result, "slot", b->slot);
    fields_set_id(a, &result, "lease",
                  (struct id128){0, b->resources[resource].lease});
    fields_set_int(a, &result, "epoch", step == 2 ? 2 : 1);
    if (step == 0)
        fields_set_int(a, &result, "deadline", b->slot + 5);
    b->resources[resource].version++;
    bench_done(b, &e, &result, ++b->index);
}

static void
bench_create(struct bench *b, unsigned resource)
{
    struct event e = bench_begin(b, "create_resource", true);
    struct fields result = {0};

    fields_set_int(&b->arena, &e.fields, "resource", (int64_t)resource);
    bench_event(b, &e);
    fields_set_string(&b->arena, &result, "code", "ok");
    fields_set_int(&b->arena, &result, "slot", b->slot);
    bench_done(b, &e, &result, ++b->index);
}

static void
bench_read(struct bench *b, unsigned resource, unsigned step)
{
    static const char *const states[] = {"reserved", "active", "available"};
    struct event e = bench_begin(b, "get_resource", false);
    struct fields result = {0};
    struct arena *a = &b->arena;

    fields_set_int(a, &e.fields, "resource", (int64_t)resource);
    fields_set_string(a, &e.fields, "claim", "linearizable");
    bench_event(b, &e);
    fields_set_bool(a, &result, "found", true);
    fields_set_int(a, &result, "applied", (int64_t)b->index);
    fields_set_int(a, &result, "slot", b->slot);
    fields_set_string(a, &result, "state", states[step]);
    fields_set_int(a, &result, "version", b->resources[resource].version);
    if (step != 2)
        fields_set_id(a, &result, "lease",
                      (struct id128){0, b->resources[resource].lease});
    bench_done(b, &e, &result, 0);
}

static void
bench_tick(struct bench *b)
{
    struct event e = bench_begin(b, "tick", false);
    struct fields result = {0};

    fields_set_int(&b->arena, &e.fields, "slot", ++b->slot);
    bench_event(b, &e);
    fields_set_string(&b->arena, &result, "code", "ok");
    fields_set_int(&b->arena, &result, "slot", b->slot);
    fields_set_list(&b->arena, &result, "expired", NULL, 0);
    bench_done(b, &e, &result, ++b->index);
}

/* The leases of one slot must fit into the tables: few are alive at a time. */
static void
bench_fill(struct bench *b, uint64_t count)
{
    arena_init(&b->arena);
    for (unsigned i = 0; i < RESOURCES; i++)
        bench_create(b, i);
    for (uint64_t i = 0; b->event < 2 * count; i++) {
        unsigned resource = (unsigned)(i / 3 % RESOURCES);
        unsigned step = (unsigned)(i % 3);

        bench_command(b, resource, step);
        bench_read(b, resource, step);
        if (i % TICK_EVERY == 0)
            bench_tick(b);
    }
    arena_release(&b->arena);
}

/* Of this process, all threads together: what else runs does not count. */
static int64_t
cpu_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static double
seconds_since(int64_t start_ns)
{
    return (double)(cpu_now_ns() - start_ns) / (double)NS_PER_S;
}

static void
bench_line(const char *what, uint64_t count, double seconds)
{
    printf("%-22s %8.3f s CPU %12.0f operations/s\n", what, seconds,
           (double)count / seconds);
    fflush(stdout);
}

/* CPU seconds of a table with all its events; they are made once more without
 * one, to know what that takes. */
static double
bench_table(struct bench *b, uint64_t count)
{
    json_t *meta =
        json_pack("{s:s, s:{s:i, s:i}}", "positions", "total", "limits",
                  "reservations", 1 << 30, "members", 1 << 30);
    struct bench making = {0};
    int64_t start_ns = cpu_now_ns();
    double made, seconds;

    bench_fill(&making, count);
    made = seconds_since(start_ns);
    bench_line("(making events)", count, made);
    start_ns = cpu_now_ns();
    b->table = table_new(meta);
    json_decref(meta);
    bench_fill(b, count);
    table_finish(b->table, true, 0, NULL);
    seconds = seconds_since(start_ns) - made;
    bench_line("(table)", count, seconds);
    return seconds;
}

/* NULL: all checkers. */
static int
bench_judge(const struct bench *b, const char *checker, uint64_t count)
{
    const char *names[] = {checker, NULL};
    struct analyzer_options options = {.checkers =
                                           checker == NULL ? NULL : names};
    int64_t start_ns = cpu_now_ns();
    struct error err;
    json_t *result;
    int status;

    if (analyzer_judge(b->table, &options, &result, &err) < 0) {
        fprintf(stderr, "bench-checkers: %s\n", err.text);
        return 70;
    }
    bench_line(checker == NULL ? "(all)" : checker, count,
               seconds_since(start_ns));
    status = analyzer_exit_status(result);
    if (status != 0)
        json_dumpf(result, stderr, JSON_INDENT(1));
    json_decref(result);
    return status;
}

int
main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
    int64_t start_ns;
    double seconds;
    struct bench b = {0};
    struct rusage usage;
    int status = 0;

    seconds = bench_table(&b, count);
    for (unsigned i = 0; checker_registry[i] != NULL && status == 0; i++)
        if (checker_judges(checker_registry[i], b.table->model))
            status = bench_judge(&b, checker_registry[i]->name, count);
    start_ns = cpu_now_ns();
    if (status == 0)
        status = bench_judge(&b, NULL, count);
    seconds += seconds_since(start_ns);
    table_free(b.table);
    if (status != 0)
        return status; /* a part of the work is no measurement of it */
    getrusage(RUSAGE_SELF, &usage);
    printf("10 | allocator with positions, %" PRIu64
           " operations, all checkers | %.2f s CPU, %.0f bytes an operation | "
           "5 s for 10 M | nobody | %.2f M operations/s\n",
           count, seconds, (double)usage.ru_maxrss * 1024 / (double)count,
           (double)count / seconds / 1e6);
    return 0;
}
