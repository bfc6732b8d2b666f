/* SPDX-License-Identifier: Apache-2.0 */
/* The runner of client threads, over a system whose attempts are scripted. */
#include "config.h"

#include <dirent.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/load.h"
#include "tests/lib/fake-system.h"
#include "tests/lib/tap.h"

struct fixture {
    char dir[64], path[96];
    struct cluster cluster;
    struct workload *workload;
    struct history_writer *history;
    struct load *load;
};

static void
setup(struct fixture *f, unsigned client_count, double rate,
      const struct load_options *extra)
{
    struct load_options o = extra != NULL ? *extra : (struct load_options){0};
    struct error err = {0};
    json_t *meta = json_object();
    json_t *params = json_pack("{s:i}", "tick_spacing_ms", 10);

    fake_reset();
    fake_cluster(&f->cluster, 3);
    snprintf(f->dir, sizeof(f->dir), "test-load-XXXXXX");
    CHECK(mkdtemp(f->dir) != NULL);
    snprintf(f->path, sizeof(f->path), "%s/history.ordeal", f->dir);
    f->history = history_writer_open(f->path, meta, clock_monotonic(), &err);
    CHECK(f->history != NULL);
    f->workload =
        workload_reservation_contention_ops.new_(params, 7, client_count, &err);
    CHECK(f->workload != NULL);
    o.system = &fake_system_ops;
    o.cluster = &f->cluster;
    o.workload = f->workload;
    o.history = f->history;
    o.clock = clock_monotonic();
    o.seed = 7;
    o.client_count = client_count;
    o.rate = rate;
    f->load = load_new(&o, &err);
    CHECK(f->load != NULL);
    json_decref(meta);
    json_decref(params);
}

static void
teardown(struct fixture *f)
{
    load_free(f->load);
    f->workload->ops->free(f->workload);
    history_writer_abandon(f->history);
    unlink(f->path);
    rmdir(f->dir);
}

static int64_t
in_ms(int64_t ms)
{
    return clock_now_ns(clock_monotonic()) + ms * NS_PER_MS;
}

static void
run_for_ms(struct fixture *f, int64_t ms)
{
    struct error err = {0};

    CHECK_OK(load_setup(f->load, in_ms(2000), &err), &err);
    CHECK_OK(load_start(f->load, in_ms(ms), &err), &err);
    CHECK_OK(load_join(f->load, &err), &err);
}

/* What a history says, counted; each attempt is checked to be well formed. */
struct tally {
    uint64_t invokes, completions, by_kind[EVENT_KIND_COUNT];
    uint64_t retries, processes_max, views;
};

#define OPEN_MAX_PROCESSES 4096

static void
seal_and_tally(struct fixture *f, struct tally *ret)
{
    static struct event open[OPEN_MAX_PROCESSES];
    static char functions[OPEN_MAX_PROCESSES][32];
    struct history_reader *r;
    struct error err = {0};
    struct event e;
    int more;

    memset(ret, 0, sizeof(*ret));
    memset(open, 0, sizeof(open));
    CHECK_OK(history_seal(f->history, &err), &err);
    f->history = NULL;
    r = history_reader_open(f->path, &err);
    CHECK(r != NULL);
    while ((more = history_next(r, &e, &err)) == 1) {
        ret->by_kind[e.kind]++;
        if (e.kind == EVENT_NOTE) {
            ret->views += strcmp(e.function, "view") == 0;
            continue;
        }
        CHECK(e.process < OPEN_MAX_PROCESSES);
        CHECK(e.attempt > 0 && e.node != NULL);
        if (e.process > ret->processes_max)
            ret->processes_max = e.process;
        if (e.kind == EVENT_INVOKE) {
            /* One operation at a time in a process. */
            CHECK(open[e.process].attempt == 0);
            CHECK(fields_get(&e.fields, "client") != NULL);
            open[e.process] = e;
            snprintf(functions[e.process], 32, "%s", e.function);
            ret->invokes++;
            ret->retries += e.attempt > 1;
            continue;
        }
        CHECK_INT(open[e.process].attempt, e.attempt);
        CHECK(id128_equal(open[e.process].operation, e.operation));
        CHECK_STR(e.function, functions[e.process]);
        open[e.process].attempt = 0;
        ret->completions++;
    }
    CHECK_INT(more, 0);
    history_reader_free(r);
}

static void
test_every_attempt_is_recorded(void)
{
    struct load_stats stats;
    struct tally tally;
    struct fixture f;

    setup(&f, 4, 400, NULL);
    run_for_ms(&f, 800);
    load_stats(f.load, &stats);
    seal_and_tally(&f, &tally);
    CHECK_INT(tally.invokes, fake.requests);
    CHECK_INT(tally.completions, fake.requests);
    CHECK_INT(tally.by_kind[EVENT_OK], stats.attempts[EVENT_OK]);
    CHECK_INT(tally.by_kind[EVENT_UNKNOWN], 0);
    CHECK_INT(stats.primary >= 0, 1);
    CHECK_INT(stats.leader_changes, 0);
    CHECK_INT(tally.views, 1);
    CHECK(stats.duplicates > 0);
    CHECK(stats.operations > 100);
    teardown(&f);
}

static enum fake_fate
fate_two_of_three_are_lost(const struct operation *op, unsigned node,
                           uint64_t request)
{
    static const enum fake_fate fates[] = {FAKE_EXECUTE_SILENTLY, FAKE_LOSE,
                                           FAKE_ANSWER};

    return fates[request % 3];
}

static void
test_unknown_attempts_are_retried_with_their_id(void)
{
    struct load_stats stats;
    struct tally tally;
    struct fixture f;

    setup(&f, 4, 0, NULL);
    fake.fate = fate_two_of_three_are_lost;
    run_for_ms(&f, 800);
    load_stats(f.load, &stats);
    seal_and_tally(&f, &tally);
    CHECK_INT(tally.invokes, fake.requests);
    CHECK(stats.attempts[EVENT_UNKNOWN] > 20);
    CHECK(stats.retries > 20);
    CHECK(tally.retries >= stats.retries);
    /* Only what the window's end cut off may be open. */
    CHECK(stats.given_up <= 4);
    teardown(&f);
}

static enum fake_fate
fate_only_the_primary_answers(const struct operation *op, unsigned node,
                              uint64_t request)
{
    if (request == 100) {
        fake.primary = 2;
        fake.term = 4;
    }
    return node == fake.primary ? FAKE_ANSWER : FAKE_NOT_PRIMARY;
}

static void
test_redirects_are_followed(void)
{
    struct load_stats stats;
    struct tally tally;
    struct fixture f;

    setup(&f, 4, 0, NULL);
    fake.primary = 1;
    fake.fate = fate_only_the_primary_answers;
    run_for_ms(&f, 500);
    load_stats(f.load, &stats);
    seal_and_tally(&f, &tally);
    CHECK_INT(stats.primary, 2);
    CHECK_INT(load_primary(f.load), 2);
    CHECK_INT(stats.leader_changes, 1);
    CHECK_INT(stats.term, 4);
    CHECK_INT(tally.views, 2);
    /* Only reads asked elsewhere on purpose end with a refusal. */
    CHECK(stats.operations > 4 * stats.refused);
    teardown(&f);
}

static bool fate_healed;

static enum fake_fate
fate_executes_but_never_answers(const struct operation *op, unsigned node,
                                uint64_t request)
{
    if (fate_healed || strcmp(op->function, "create_resource") == 0)
        return FAKE_ANSWER;
    return FAKE_EXECUTE_SILENTLY;
}

static void
test_given_up_operations_are_resolved(void)
{
    struct load_options extra = {.give_up_ns = 100 * NS_PER_MS};
    struct load_resolve_result resolved;
    struct load_sweep_result sweep;
    struct load_stats stats;
    struct error err = {0};
    struct tally tally;
    struct fixture f;
    uint64_t executions;

    setup(&f, 4, 0, &extra);
    fate_healed = false;
    fake.fate = fate_executes_but_never_answers;
    run_for_ms(&f, 700);
    load_stats(f.load, &stats);
    CHECK(stats.given_up >= 8);
    fate_healed = true;
    executions = fake.executions;
    CHECK_OK(load_sweep(f.load, in_ms(2000), &sweep, &err), &err);
    CHECK_INT(sweep.missed, 0);
    CHECK(sweep.read >= 8);
    CHECK_OK(load_resolve(f.load, in_ms(2000), &resolved, &err), &err);
    CHECK_INT(resolved.resolved, stats.given_up);
    CHECK_INT(resolved.unresolved, 0);
    CHECK_INT(fake.executions, executions);
    CHECK_OK(load_resolve(f.load, in_ms(2000), &resolved, &err), &err);
    CHECK_INT(resolved.resolved, 0);
    seal_and_tally(&f, &tally);
    /* Every operation given up retired its process. */
    CHECK(tally.processes_max >= 4 + stats.given_up);
    teardown(&f);
}

static enum fake_fate
fate_lost_and_then_in_conflict(const struct operation *op, unsigned node,
                               uint64_t request)
{
    if (!op->mutation || strcmp(op->function, "create_resource") == 0)
        return FAKE_ANSWER;
    return fate_healed ? FAKE_CONFLICT : FAKE_LOSE;
}

static void
test_a_conflict_settles_what_was_open(void)
{
    struct load_options extra = {.give_up_ns = 50 * NS_PER_MS};
    struct load_resolve_result resolved;
    struct load_stats stats;
    struct error err = {0};
    struct fixture f;

    setup(&f, 4, 0, &extra);
    fate_healed = false;
    fake.fate = fate_lost_and_then_in_conflict;
    run_for_ms(&f, 300);
    load_stats(f.load, &stats);
    CHECK(stats.given_up > 4);
    fate_healed = true;
    CHECK_OK(load_resolve(f.load, in_ms(2000), &resolved, &err), &err);
    CHECK_INT(resolved.resolved, stats.given_up);
    CHECK_INT(resolved.unresolved, 0);
    teardown(&f);
}

static enum fake_fate
fate_first_releases_are_lost(const struct operation *op, unsigned node,
                             uint64_t request)
{
    /* Until half a window has passed. */
    if (strcmp(op->function, "release") == 0 && fake.slot < 50)
        return FAKE_LOSE;
    return FAKE_ANSWER;
}

/* Long windows outlast the dedupe window: not all can wait for the resolver. */
static void
test_what_is_open_is_retried_before_its_window_ends(void)
{
    struct load_options extra = {.dedupe_window_slots = 200,
                                 .give_up_ns = 50 * NS_PER_MS};
    struct load_resolve_result resolved;
    struct load_stats stats;
    struct error err = {0};
    struct fixture f;

    setup(&f, 4, 0, &extra);
    fake.fate = fate_first_releases_are_lost;
    CHECK_OK(load_setup(f.load, in_ms(2000), &err), &err);
    CHECK_OK(load_start(f.load, in_ms(20000), &err), &err);
    for (int i = 0; i < 1000 && fake_slot() < 250; i++)
        clock_sleep_ns(clock_monotonic(), 10 * NS_PER_MS);
    load_cancel(f.load);
    CHECK_OK(load_join(f.load, &err), &err);
    load_stats(f.load, &stats);
    CHECK(stats.given_up > 0);
    CHECK_INT(stats.resolved, stats.given_up);
    CHECK_OK(load_resolve(f.load, in_ms(300), &resolved, &err), &err);
    CHECK_INT(resolved.resolved + resolved.unresolved, 0);
    teardown(&f);
}

static enum fake_fate
fate_releases_are_lost(const struct operation *op, unsigned node,
                       uint64_t request)
{
    return strcmp(op->function, "release") == 0 ? FAKE_LOSE : FAKE_ANSWER;
}

static void
test_no_retry_outside_the_dedupe_window(void)
{
    /* The window without its margin is over after 5 slots. */
    struct load_options extra = {.dedupe_window_slots = 6,
                                 .give_up_ns = 300 * NS_PER_MS};
    struct load_resolve_result resolved;
    struct load_stats stats;
    struct error err = {0};
    struct fixture f;
    uint64_t requests;

    setup(&f, 4, 0, &extra);
    fake.fate = fate_releases_are_lost;
    run_for_ms(&f, 2500);
    load_stats(f.load, &stats);
    CHECK(stats.given_up > 4);
    requests = fake.requests;
    CHECK_OK(load_resolve(f.load, in_ms(300), &resolved, &err), &err);
    CHECK(resolved.outside_window > 0);
    CHECK(resolved.unresolved >= resolved.outside_window);
    /* One of those inside the window used up the time; no other was sent. */
    CHECK(fake.requests - requests < 30);
    teardown(&f);
}

static void
test_rate_is_kept(void)
{
    struct load_stats stats;
    struct fixture f;
    uint64_t total;

    setup(&f, 4, 50, NULL);
    run_for_ms(&f, 2000);
    load_stats(f.load, &stats);
    total = stats.operations + stats.refused - 8;
    printf("# %llu operations in 2 s\n", (unsigned long long)total);
    CHECK(total >= 60 && total <= 110);
    teardown(&f);
}

static unsigned
count_entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned count = 0;

    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* A second window, five times as long, takes no more than the first. */
static void
test_nothing_grows_with_time(void)
{
    struct error err = {0};
    struct fixture f;
    size_t bytes;
    unsigned files, tasks;

    setup(&f, 4, 0, NULL);
    fake.fate = fate_two_of_three_are_lost;
    run_for_ms(&f, 300);
    CHECK_OK(history_sync(f.history, &err), &err);
    bytes = mallinfo2().uordblks;
    files = count_entries("/proc/self/fd");
    tasks = count_entries("/proc/self/task");
    CHECK_OK(load_start(f.load, in_ms(1500), &err), &err);
    CHECK_OK(load_join(f.load, &err), &err);
    CHECK_OK(history_sync(f.history, &err), &err);
    printf("# %zu bytes before, %zu after\n", bytes, mallinfo2().uordblks);
    /* Arenas and block buffers may have been caught at another fill. */
    CHECK(mallinfo2().uordblks < bytes + (512u << 10));
    CHECK_INT(count_entries("/proc/self/fd"), files);
    CHECK_INT(count_entries("/proc/self/task"), tasks);
    teardown(&f);
}

static enum fake_fate
fate_nobody_is_ready(const struct operation *op, unsigned node,
                     uint64_t request)
{
    return FAKE_NOT_READY;
}

/* Also of clients that would go on retrying for long. */
static void
test_cancel_ends_the_window(void)
{
    int64_t start = clock_now_ns(clock_monotonic());
    struct error err = {0};
    struct fixture f;

    setup(&f, 8, 100, NULL);
    fake.fate = fate_nobody_is_ready;
    CHECK_OK(load_start(f.load, in_ms(60000), &err), &err);
    clock_sleep_ns(clock_monotonic(), 300 * NS_PER_MS);
    load_cancel(f.load);
    CHECK_OK(load_join(f.load, &err), &err);
    CHECK(clock_now_ns(clock_monotonic()) - start < 2 * NS_PER_S);
    teardown(&f);
}

static void
test_setup_says_what_is_missing(void)
{
    struct error err = {0};
    struct fixture f;

    setup(&f, 2, 0, NULL);
    fake.fate = fate_nobody_is_ready;
    CHECK_INT(load_setup(f.load, in_ms(200), &err), -1);
    CHECK_INT(err.kind, ERROR_TRANSIENT);
    CHECK(strstr(err.text, "create_resource") != NULL);
    CHECK(strstr(err.text, "not_ready") != NULL);
    teardown(&f);
}

static void
test_a_history_that_cannot_be_written_stops_all(void)
{
    struct load_sweep_result sweep;
    struct rlimit old, tight;
    struct error err = {0};
    struct fixture f;
    uint64_t requests;
    int joined;

    signal(SIGXFSZ, SIG_IGN);
    setup(&f, 4, 0, NULL);
    CHECK_OK(load_setup(f.load, in_ms(2000), &err), &err);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = (struct rlimit){.rlim_cur = 8192, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    CHECK_OK(load_start(f.load, in_ms(20000), &err), &err);
    joined = load_join(f.load, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK_INT(joined, -1);
    CHECK(load_failed(f.load));
    CHECK_INT(err.kind, ERROR_ENVIRONMENT);
    requests = fake.requests;
    CHECK_INT(load_sweep(f.load, in_ms(1000), &sweep, &err), -1);
    CHECK_INT(fake.requests, requests);
    teardown(&f);
}

int
main(void)
{
    RUN(test_every_attempt_is_recorded);
    RUN(test_unknown_attempts_are_retried_with_their_id);
    RUN(test_redirects_are_followed);
    RUN(test_given_up_operations_are_resolved);
    RUN(test_a_conflict_settles_what_was_open);
    RUN(test_what_is_open_is_retried_before_its_window_ends);
    RUN(test_no_retry_outside_the_dedupe_window);
    RUN(test_rate_is_kept);
    RUN(test_nothing_grows_with_time);
    RUN(test_cancel_ends_the_window);
    RUN(test_setup_says_what_is_missing);
    RUN(test_a_history_that_cannot_be_written_stops_all);
    return tap_done();
}
