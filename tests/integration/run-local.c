/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run-local: a run in small, with replicas as local processes instead of
 * virtual machines.  Load with one kind of harm, then heal, sweep, resolve,
 * sweep, seal, analyse; prints what was found.
 *
 *   run-local [--workload NAME] [--bug NAME] [--harm HARM] [--seed N]
 *             [--window SECONDS] [--rate R] [--clients N] [--interval SECONDS]
 *             [--keep] [--quiet]
 *
 * Parameters of workload and replica are those of scenarios/families/NAME.yaml
 * (default reservation_contention).
 * HARM is none, kill, kill-all, isolate, deafen, mute, pause, mixed, or point:
 * the primary ends at the crash point of the scenario's schedule.
 * With --bug the expectation is that of scenarios/bugs.yaml, and workload and
 * harm, unless given, are those of its scenario.  Without, nothing may be
 * found.
 * Exit status: 0 as expected, 1 not, 70 the run itself failed.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sys/resource.h>

#include "analyzer/analyzer.h"
#include "harness/expectation.h"
#include "harness/load.h"
#include "harness/scenario.h"
#include "tests/lib/local-cluster.h"

enum harm {
    HARM_NONE,
    HARM_KILL,     /* SIGKILL, and start again */
    HARM_KILL_ALL, /* all at once */
    HARM_ISOLATE,  /* all its links, both directions */
    HARM_DEAFEN,   /* what the others send to it is lost */
    HARM_MUTE,     /* what it sends to the others is lost */
    HARM_PAUSE,    /* SIGSTOP, SIGCONT */
    HARM_MIXED,    /* the node is killed while the next is isolated */
    HARM_POINT,    /* it ends at a point of its own, and starts again */
};

static const char *const harm_names[] = {
    [HARM_NONE] = "none",         [HARM_KILL] = "kill",
    [HARM_KILL_ALL] = "kill-all", [HARM_ISOLATE] = "isolate",
    [HARM_DEAFEN] = "deafen",     [HARM_MUTE] = "mute",
    [HARM_PAUSE] = "pause",       [HARM_MIXED] = "mixed",
    [HARM_POINT] = "point"};

/* A point that nobody comes to is none for that long. */
#define HARM_POINT_NS (3 * NS_PER_S)

struct options {
    const char *bug, *workload;
    int harm; /* enum harm, -1: by the bug */
    uint64_t seed;
    unsigned clients;
    double window_s, rate, interval_s;
    bool keep, quiet;
};

struct run {
    struct options o;
    char dir[64], history_path[96];
    struct clock *clock;
    struct local_cluster cluster;
    struct scenario *scenario;
    const char *arguments[LOCAL_ARGUMENTS_MAX + 1]; /* of the daemons */
    const struct workload_ops *workload_ops;
    struct workload *workload;
    struct history_writer *history;
    struct load *load;
    json_t *expectation; /* of the bug, or NULL */
    unsigned harmed, primary_hits;
    unsigned ended_unasked;
};

/* ---- harm ---- */

static double
harm_duration_s(enum harm harm)
{
    switch (harm) {
    case HARM_KILL:
    case HARM_KILL_ALL:
    case HARM_MIXED:
    case HARM_POINT:
        return 1.5;
    case HARM_PAUSE:
        return 3;
    default:
        return 4;
    }
}

static void
harm_cut(struct run *r, enum harm harm, unsigned node, bool cut)
{
    struct link_proxy *links = &r->cluster.links;

    for (unsigned i = 0; i < r->cluster.cluster.node_count; i++) {
        if (harm != HARM_DEAFEN)
            atomic_store(&links->cut[node][i], cut);
        if (harm != HARM_MUTE)
            atomic_store(&links->cut[i][node], cut);
    }
}

static unsigned
harm_other(const struct run *r, unsigned node)
{
    return (node + 1) % r->cluster.cluster.node_count;
}

/* The crash point of the scenario's first fault; NULL: it has none. */
static const char *
harm_point(const struct scenario *s)
{
    const json_t *faults = json_object_get(s->schedule, "faults");

    return json_string_value(
        json_object_get(json_array_get(faults, 0), "point"));
}

struct harm_wait {
    struct local_cluster *cluster;
    unsigned node;
};

static bool
harm_point_reached(void *ctx)
{
    struct harm_wait *w = ctx;
    int status;

    return local_ended(w->cluster, w->node, &status);
}

/* A node that does not come there is none the worse for it. */
static void
harm_end_at_point(struct run *r, unsigned node)
{
    struct harm_wait w = {&r->cluster, node};
    const struct cluster *c = &r->cluster.cluster;
    struct error err = {0};

    if (system_replica_ops.crash_at(c, node, harm_point(r->scenario), 1,
                                    NS_PER_S, &err) < 0)
        printf("# no crash point: %s\n", err.text);
    else if (!clock_poll(r->clock, clock_now_ns(r->clock) + HARM_POINT_NS,
                         10 * NS_PER_MS, harm_point_reached, &w) &&
             system_replica_ops.crash_at(c, node, NULL, 0, NS_PER_S, &err) < 0)
        local_kill_node(&r->cluster, node);
}

static void
harm_begin(struct run *r, enum harm harm, unsigned node)
{
    switch (harm) {
    case HARM_NONE:
        break;
    case HARM_KILL_ALL:
        for (unsigned i = 0; i < r->cluster.cluster.node_count; i++)
            local_kill_node(&r->cluster, i);
        break;
    case HARM_KILL:
        local_kill_node(&r->cluster, node);
        break;
    case HARM_PAUSE:
        kill(r->cluster.pids[node], SIGSTOP);
        break;
    case HARM_MIXED:
        harm_cut(r, HARM_ISOLATE, harm_other(r, node), true);
        local_kill_node(&r->cluster, node);
        break;
    case HARM_POINT:
        harm_end_at_point(r, node);
        break;
    default:
        harm_cut(r, harm, node, true);
    }
}

static int
harm_end(struct run *r, enum harm harm, unsigned node, struct error *err)
{
    switch (harm) {
    case HARM_NONE:
        break;
    case HARM_KILL_ALL:
        for (unsigned i = 0; i < r->cluster.cluster.node_count; i++)
            if (local_start_node(&r->cluster, i, err) < 0)
                return -1;
        break;
    case HARM_KILL:
        return local_start_node(&r->cluster, node, err);
    case HARM_POINT:
        return r->cluster.pids[node] > 0
                   ? 0
                   : local_start_node(&r->cluster, node, err);
    case HARM_PAUSE:
        kill(r->cluster.pids[node], SIGCONT);
        break;
    case HARM_MIXED:
        if (local_start_node(&r->cluster, node, err) < 0)
            return -1;
        /* It comes back to a peer that nobody hears. */
        clock_sleep_ns(r->clock, NS_PER_S);
        harm_cut(r, HARM_ISOLATE, harm_other(r, node), false);
        break;
    default:
        harm_cut(r, harm, node, false);
    }
    return 0;
}

static void
run_watch(struct run *r)
{
    for (unsigned i = 0; i < r->cluster.cluster.node_count; i++) {
        int status;

        if (!local_ended(&r->cluster, i, &status))
            continue;
        r->ended_unasked++;
        printf("# n%u ended unasked: status 0x%x\n", i + 1, status);
    }
}

/* Harm to the primary (one time in five to any) until the deadline. */
static int
run_harm(struct run *r, int64_t deadline_ns, struct error *err)
{
    enum harm harm = (enum harm)r->o.harm;
    int64_t next = clock_now_ns(r->clock) + 2 * NS_PER_S;
    struct rng rng;

    rng_init(&rng, r->o.seed ^ 0x6e656d65736973);
    while (clock_now_ns(r->clock) < deadline_ns && !load_failed(r->load)) {
        int primary;
        unsigned node;

        run_watch(r);
        clock_sleep_ns(r->clock, 100 * NS_PER_MS);
        if (harm == HARM_NONE || clock_now_ns(r->clock) < next)
            continue;
        primary = local_primary(&r->cluster);
        node = (unsigned)rng_below(&rng, r->cluster.cluster.node_count);
        if (primary >= 0 && !rng_chance(&rng, 0.2))
            node = (unsigned)primary;
        r->harmed++;
        r->primary_hits += (int)node == primary;
        harm_begin(r, harm, node);
        clock_sleep_ns(r->clock,
                       (int64_t)(harm_duration_s(harm) * (double)NS_PER_S));
        if (harm_end(r, harm, node, err) < 0)
            return -1;
        next += (int64_t)((r->o.interval_s + rng_unit(&rng) - 0.5) *
                          (double)NS_PER_S);
    }
    return 0;
}

/* ---- the run ---- */

static void
run_note_phase(struct run *r, const char *name)
{
    struct event e = {.process = HISTORY_PROCESS_NONE,
                      .kind = EVENT_NOTE,
                      .function = "phase"};
    struct error err = {0};
    struct arena a;

    arena_init(&a);
    fields_set_string(&a, &e.fields, "name", name);
    if (history_append(r->history, &e, HISTORY_BUFFERED, &err) < 0)
        fprintf(stderr, "run-local: %s\n", err.text);
    arena_release(&a);
}

/* The daemons' engine and the scenario's own arguments. */
static void
run_arguments(struct run *r)
{
    const char *engine = replica_engine(r->workload_ops->capability);
    const json_t *words =
        json_object_get(r->scenario->system_params, "arguments");
    unsigned count = 0;

    if (strcmp(engine, "lease") != 0) {
        r->arguments[count++] = "--engine";
        r->arguments[count++] = engine;
    }
    for (size_t i = 0;
         i < json_array_size(words) && count < LOCAL_ARGUMENTS_MAX; i++)
        r->arguments[count++] = json_string_value(json_array_get(words, i));
}

static json_t *
run_meta(const struct run *r)
{
    json_t *limits = system_replica_ops.limits(r->scenario->system_params,
                                               r->workload_ops->capability);

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:o}", "system",
                     "replica", "workload", r->workload_ops->name, "model",
                     r->workload_ops->model, "positions", "total", "scenario",
                     "run-local", "seed", (json_int_t)r->o.seed, "run", 1,
                     "limits", limits);
}

static int
run_open(struct run *r, const char *binary, struct error *err)
{
    json_t *meta = run_meta(r);
    struct load_options o = {.system = &system_replica_ops,
                             .cluster = &r->cluster.cluster,
                             .clock = r->clock,
                             .seed = r->o.seed,
                             .client_count = r->o.clients,
                             .rate = r->o.rate,
                             .dedupe_window_slots = load_dedupe_window_slots(
                                 json_object_get(meta, "limits"))};

    run_arguments(r);
    snprintf(r->history_path, sizeof(r->history_path), "%s/history.ordeal",
             r->dir);
    r->history = history_writer_open(r->history_path, meta, r->clock, err);
    r->workload = r->workload_ops->new_(r->scenario->workload_params, r->o.seed,
                                        r->o.clients, err);
    json_decref(meta);
    if (r->history == NULL || r->workload == NULL ||
        local_cluster_start(&r->cluster, binary, r->o.bug, r->arguments, r->dir,
                            3, err) < 0)
        return -1;
    o.workload = r->workload;
    o.history = r->history;
    r->load = load_new(&o, err);
    return r->load == NULL ? -1 : 0;
}

static int64_t
run_in(struct run *r, double seconds)
{
    return clock_now_ns(r->clock) + (int64_t)(seconds * (double)NS_PER_S);
}

/* The most memory this process ever had. */
static long
run_peak_kib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static bool
run_common_index(const struct run *r, uint64_t *ret)
{
    struct error err = {0};

    *ret = UINT64_MAX;
    for (unsigned i = 0; i < r->cluster.cluster.node_count; i++) {
        struct system_status s;

        if (system_replica_ops.status(&r->cluster.cluster, i, 500 * NS_PER_MS,
                                      &s, &err) < 0 ||
            s.role == ROLE_UNKNOWN)
            return false;
        *ret = s.commit_index < *ret ? s.commit_index : *ret;
    }
    return true;
}

/* The state of every replica at one position. */
static void
run_note_digests(struct run *r)
{
    struct error err = {0};
    uint64_t index;

    if (!run_common_index(r, &index))
        return;
    for (unsigned i = 0; i < r->cluster.cluster.node_count; i++) {
        struct event e = {.process = HISTORY_PROCESS_NONE,
                          .kind = EVENT_NOTE,
                          .function = "digest",
                          .node = r->cluster.cluster.nodes[i].name};
        char digest[SYSTEM_DIGEST_SIZE];
        struct arena a;

        if (system_replica_ops.digest(&r->cluster.cluster, i, index,
                                      500 * NS_PER_MS, digest, &err) < 0)
            continue;
        arena_init(&a);
        fields_set_int(&a, &e.fields, "index", (int64_t)index);
        fields_set_string(&a, &e.fields, "digest", digest);
        if (history_append(r->history, &e, HISTORY_BUFFERED, &err) < 0)
            fprintf(stderr, "run-local: %s, continuing\n", err.text);
        arena_release(&a);
    }
}

static int
run_load(struct run *r, struct error *err)
{
    struct load_sweep_result sweeps[2];
    struct load_resolve_result resolved;
    struct load_stats s;
    int64_t deadline;

    run_note_phase(r, "setup");
    if (load_setup(r->load, run_in(r, 20), err) < 0)
        return -1;
    run_note_phase(r, "load");
    deadline = run_in(r, r->o.window_s);
    if (load_start(r->load, deadline, err) < 0 ||
        run_harm(r, deadline, err) < 0 || load_join(r->load, err) < 0)
        return -1;
    load_stats(r->load, &s);
    run_note_phase(r, "heal");
    if (local_wait_ready(&r->cluster, err) < 0)
        return -1;
    run_note_phase(r, "sweep");
    if (load_sweep(r->load, run_in(r, 30), &sweeps[0], err) < 0)
        return -1;
    run_note_phase(r, "resolve");
    if (load_resolve(r->load, run_in(r, 30), &resolved, err) < 0)
        return -1;
    run_note_phase(r, "sweep2");
    if (load_sweep(r->load, run_in(r, 30), &sweeps[1], err) < 0)
        return -1;
    run_note_digests(r);
    run_watch(r);
    if (!r->o.quiet)
        printf("# %u harmed (%u primary); attempts %" PRIu64 " ok %" PRIu64
               " fail %" PRIu64 " unknown; %" PRIu64 " retries, %" PRIu64
               " given up, %" PRIu64 " resolved, %" PRIu64
               " unresolved; %" PRIu64 " leader changes; swept %" PRIu64
               " and %" PRIu64 ", missed %" PRIu64 "; peak %ld KiB\n",
               r->harmed, r->primary_hits, s.attempts[EVENT_OK],
               s.attempts[EVENT_FAIL], s.attempts[EVENT_UNKNOWN], s.retries,
               s.given_up, resolved.resolved, resolved.unresolved,
               s.leader_changes, sweeps[0].read, sweeps[1].read,
               sweeps[0].missed + sweeps[1].missed, run_peak_kib());
    return 0;
}

/* ---- judging ---- */

/* Whether the checker's verdict is what the bug (or none) makes expected. */
static bool
run_judge_checker(struct run *r, const json_t *checker)
{
    const char *name = json_string_value(json_object_get(checker, "checker"));
    const char *verdict =
        json_string_value(json_object_get(checker, "verdict"));
    const char *text = json_string_value(
        json_object_get(json_object_get(checker, "witness"), "text"));
    const char *reason = json_string_value(json_object_get(checker, "reason"));
    bool must = expectation_names(r->expectation, "must", name);
    bool may = expectation_names(r->expectation, "may", name);
    bool fired = strcmp(verdict, "invalid") == 0;
    bool good = fired ? must || may : !must;

    /* With a bug planted nobody is surprised by doubt. */
    if (r->expectation == NULL && strcmp(verdict, "valid") != 0)
        good = false;
    if (!good || (!r->o.quiet && strcmp(verdict, "valid") != 0))
        printf("%s %s: %s x%lld: %s\n", good ? "#" : "# UNEXPECTED", name,
               verdict,
               (long long)json_integer_value(json_object_get(checker, "count")),
               text != NULL     ? text
               : reason != NULL ? reason
                                : "");
    return good;
}

static int
run_judge(struct run *r, bool *ret_good, struct error *err)
{
    struct analyzer_options options = {.origin = ORIGIN_RUN};
    json_t *result, *checker;
    size_t i;

    if (history_seal(TAKE(r->history), err) < 0 ||
        analyzer_run(r->history_path, &options, &result, err) < 0)
        return -1;
    *ret_good = r->ended_unasked == 0;
    json_array_foreach (json_object_get(result, "checkers"), i, checker)
        if (!run_judge_checker(r, checker))
            *ret_good = false;
    json_decref(result);
    return 0;
}

/* What is run: the scenario of the bug, or the workload's own. */
static int
run_expect(struct run *r, struct error *err)
{
    CLEANUP_FREE char *id = xasprintf(
        "%s-%s",
        r->o.workload != NULL ? r->o.workload : "reservation_contention",
        r->o.harm == HARM_POINT ? "acknowledged-failover" : "control");
    const char *scenario = NULL;

    if (r->o.bug != NULL) {
        r->expectation = expectation_of_bug(r->o.bug, err);
        if (r->expectation == NULL)
            return -1;
        scenario =
            json_string_value(json_object_get(r->expectation, "scenario"));
    }
    r->scenario = scenario_load(
        scenario != NULL && r->o.workload == NULL ? scenario : id, err);
    if (r->scenario == NULL)
        return -1;
    r->workload_ops = workload_find(r->scenario->workload);
    if (r->workload_ops == NULL)
        return error_set(err, ERROR_CONFIG, "no workload '%s'",
                         r->scenario->workload);
    if (r->o.bug != NULL &&
        expectation_check(r->expectation, r->o.bug, r->scenario->system,
                          r->workload_ops->capability, err) < 0)
        return -1;
    if (r->o.rate < 0)
        r->o.rate = r->scenario->rate;
    if (r->o.harm >= 0)
        return 0;
    r->o.harm = HARM_NONE;
    if (scenario != NULL && strstr(scenario, "crash") != NULL)
        r->o.harm = HARM_KILL;
    if (scenario != NULL && strstr(scenario, "partition") != NULL)
        r->o.harm = HARM_ISOLATE;
    if (scenario != NULL && strstr(scenario, "mixed") != NULL)
        r->o.harm = HARM_MIXED;
    if (scenario != NULL && harm_point(r->scenario) != NULL)
        r->o.harm = HARM_POINT;
    return 0;
}

static void
run_release(struct run *r)
{
    struct error err = {0};

    if (r->load != NULL)
        load_free(r->load);
    local_cluster_stop(&r->cluster);
    if (r->workload != NULL)
        r->workload->ops->free(r->workload);
    history_writer_abandon(r->history);
    json_decref(r->expectation);
    scenario_free(r->scenario);
    if (r->o.keep)
        printf("# kept %s\n", r->dir);
    else if (dir_remove(r->dir, &err) < 0)
        fprintf(stderr, "run-local: %s, continuing\n", err.text);
}

/* ---- options ---- */

static bool
parse_harm(const char *text, int *ret)
{
    for (unsigned i = 0; i < ARRAY_LEN(harm_names); i++) {
        if (strcmp(harm_names[i], text) == 0) {
            *ret = (int)i;
            return true;
        }
    }
    return false;
}

static bool
parse_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"bug", 1, NULL, 'b'},      {"harm", 1, NULL, 'h'},
        {"seed", 1, NULL, 's'},     {"window", 1, NULL, 'w'},
        {"rate", 1, NULL, 'r'},     {"clients", 1, NULL, 'c'},
        {"interval", 1, NULL, 'i'}, {"keep", 0, NULL, 'k'},
        {"quiet", 0, NULL, 'q'},    {"workload", 1, NULL, 'l'},
        {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'b':
            o->bug = optarg;
            break;
        case 'h':
            if (!parse_harm(optarg, &o->harm))
                return false;
            break;
        case 'l':
            o->workload = optarg;
            break;
        case 's':
            o->seed = strtoull(optarg, NULL, 0);
            break;
        case 'w':
            o->window_s = strtod(optarg, NULL);
            break;
        case 'r':
            o->rate = strtod(optarg, NULL);
            break;
        case 'c':
            o->clients = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'i':
            o->interval_s = strtod(optarg, NULL);
            break;
        case 'k':
            o->keep = true;
            break;
        case 'q':
            o->quiet = true;
            break;
        default:
            return false;
        }
    }
    return optind == argc && o->clients > 0 && o->clients <= CLIENT_COUNT_MAX;
}

int
main(int argc, char **argv)
{
    static struct run run;
    struct run *r = &run;
    const char *build = getenv("ORDEAL_BUILDDIR");
    CLEANUP_FREE char *binary =
        xasprintf("%s/ordeal-replica", build != NULL ? build : ".");
    struct error err = {0};
    const char *workload;
    bool good = false;
    int result;

    r->o = (struct options){.harm = -1,
                            .seed = rng_fresh_seed(),
                            .clients = 8,
                            .window_s = 20,
                            .rate = -1, /* the scenario's */
                            .interval_s = 6};
    if (!parse_options(argc, argv, &r->o)) {
        fprintf(stderr, "run-local: see the head of run-local.c\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    r->clock = clock_monotonic();
    snprintf(r->dir, sizeof(r->dir), "run-local-XXXXXX");
    if (mkdtemp(r->dir) == NULL || run_expect(r, &err) < 0) {
        fprintf(stderr, "run-local: %s\n", err.text);
        rmdir(r->dir);
        return 70;
    }
    result = run_open(r, binary, &err);
    if (result == 0)
        result = run_load(r, &err);
    if (result == 0)
        result = run_judge(r, &good, &err);
    if (result < 0)
        fprintf(stderr, "run-local: %s\n", err.text);
    r->o.keep = r->o.keep || result < 0;
    workload = r->workload_ops->name;
    run_release(r);
    printf("%s %s bug %s harm %s seed %" PRIu64 "\n",
           result < 0 ? "failed"
           : good     ? "as expected"
                      : "NOT as expected",
           workload, r->o.bug != NULL ? r->o.bug : "none",
           harm_names[r->o.harm], r->o.seed);
    return result < 0 ? 70 : !good;
}
