/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases around the machines: the plan before them, provision, deploy and,
 * at the very end, tear down.
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/base/rng.h"
#include "harness/deploy.h"
#include "harness/expectation.h"
#include "harness/failure.h"
#include "harness/paths.h"
#include "harness/readiness.h"
#include "harness/run-internal.h"
#include "vm-images/image.h"

#define RUN_READY_TIMEOUT_NS (60 * NS_PER_S)
#define RUN_KEEP_POLL_NS (200 * NS_PER_MS)

/* A plan given back brings its own window, nodes and seed. */
static int
run_load_plan(struct run *r, struct error *err)
{
    const struct run_options *o = r->options;
    json_error_t json_error;
    json_t *json;
    int result;

    if (o->plan == NULL)
        return 0;
    json = json_load_file(o->plan, JSON_REJECT_DUPLICATES, &json_error);
    if (json == NULL)
        return error_set(err, ERROR_CONFIG, "--plan: %s: line %d: %s", o->plan,
                         json_error.line, json_error.text);
    result = plan_from_json(json, &r->plan, err);
    json_decref(json);
    if (result < 0)
        return error_wrap(err, "--plan: %s", o->plan);
    if ((o->node_count != 0 && o->node_count != r->plan.node_count) ||
        (o->window_ns != 0 && o->window_ns != r->plan.window_ns))
        return error_set(
            err, ERROR_CONFIG, "--plan: %s is for %u nodes and %lld s", o->plan,
            r->plan.node_count, (long long)(r->plan.window_ns / NS_PER_S));
    return 0;
}

/* Options win over the scenario. */
static int
run_apply_options(struct run *r, struct error *err)
{
    const struct run_options *o = r->options;
    struct scenario *s = r->scenario;

    if (run_load_plan(r, err) < 0)
        return -1;
    if (o->node_count > NODE_COUNT_MAX)
        return error_set(err, ERROR_CONFIG, "--nodes: at most %d",
                         NODE_COUNT_MAX);
    if (o->client_count > CLIENT_COUNT_MAX)
        return error_set(err, ERROR_CONFIG, "--clients: at most %d",
                         CLIENT_COUNT_MAX);
    if (o->node_count != 0)
        s->node_count = o->node_count;
    if (o->client_count != 0)
        s->client_count = o->client_count;
    if (o->system != NULL && scenario_use_system(s, o->system, err) < 0)
        return error_wrap(err, "--system");
    if (o->rate >= 0)
        s->rate = o->rate;
    r->window_ns = o->window_ns != 0 ? o->window_ns : s->window_ns;
    r->seed = o->seed_given ? o->seed : rng_fresh_seed();
    if (o->plan != NULL) {
        s->node_count = r->plan.node_count;
        r->window_ns = r->plan.window_ns;
        if (!o->seed_given)
            r->seed = r->plan.seed;
    }
    r->minimum = scenario_evidence_for(s, r->window_ns);
    return 0;
}

static int
run_find_parts(struct run *r, struct error *err)
{
    const struct scenario *s = r->scenario;

    r->provider = provider_find(s->provider);
    r->system = system_find(s->system);
    r->workload_ops = workload_find(s->workload);
    if (r->provider == NULL)
        return error_set(err, ERROR_CONFIG, "%s: no provider '%s'", s->path,
                         s->provider);
    if (r->system == NULL)
        return error_set(err, ERROR_CONFIG, "%s: no system '%s'", s->path,
                         s->system);
    if (r->workload_ops == NULL)
        return error_set(err, ERROR_CONFIG, "%s: no workload '%s'", s->path,
                         s->workload);
    if (!system_serves(r->system, s->system_params,
                       r->workload_ops->capability))
        return error_set(err, ERROR_CONFIG,
                         "%s: system '%s' has no capability '%s', which "
                         "workload '%s' needs",
                         s->path, s->system, r->workload_ops->capability,
                         s->workload);
    if (r->system->check_params(s->system_params, err) < 0)
        return error_wrap(err, "%s", s->path);
    r->workload = r->workload_ops->new_(s->workload_params, r->seed,
                                        (unsigned)s->client_count, err);
    if (r->workload == NULL)
        return error_wrap(err, "%s: workload", s->path);
    return 0;
}

static int
run_plan_faults(struct run *r, struct error *err)
{
    if (r->options->plan != NULL)
        return 0;
    if (plan_build(r->scenario->schedule, r->seed, r->window_ns,
                   (unsigned)r->scenario->node_count, &r->plan, err) < 0)
        return error_wrap(err, "%s: nemesis", r->scenario->path);
    return 0;
}

/* A bug must do something here, before anything is started. */
static int
run_check_bug(struct run *r, struct error *err)
{
    if (r->options->bug == NULL)
        return 0;
    r->expectation = expectation_of_bug(r->options->bug, err);
    if (r->expectation == NULL)
        return -1;
    return expectation_check(r->expectation, r->options->bug, r->system->name,
                             r->workload_ops->capability, err);
}

static int
run_find_failure(struct run *r, struct error *err)
{
    if (r->scenario->failure == NULL)
        return 0;
    r->failure = failure_find(r->scenario->failure, err);
    return r->failure == NULL ? -1 : 0;
}

static json_t *
run_history_meta(const struct run *r)
{
    json_t *nodes = json_array(), *checkers = json_array();
    json_t *meta, *limits;
    char started[21];

    for (unsigned i = 0; i < r->scenario->node_count; i++)
        json_array_append_new(nodes, json_sprintf("n%u", i + 1));
    for (const char *const *c = r->workload_ops->checkers; *c != NULL; c++)
        json_array_append_new(checkers, json_string(*c));
    clock_format_utc(r->started_wall_ns, started);
    meta =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:o, s:b}",
                  "system", r->system->name, "workload", r->workload_ops->name,
                  "model", r->workload_ops->model, "positions",
                  r->system->positions_total ? "total" : "none", "scenario",
                  r->scenario->id, "seed", (json_int_t)r->seed, "clients",
                  (json_int_t)r->scenario->client_count, "started_at", started,
                  "nodes", nodes, "checkers", checkers, "run", true);
    limits = r->system->limits == NULL
                 ? NULL
                 : r->system->limits(r->scenario->system_params,
                                     r->workload_ops->capability);
    if (json_object_size(limits) > 0)
        json_object_set(meta, "limits", limits);
    json_decref(limits);
    return meta;
}

static int
run_open_bundle(struct run *r, struct error *err)
{
    CLEANUP_FREE char *history = NULL, *journal = NULL;
    json_t *meta, *plan;
    int result;

    r->bundle = bundle_new(r->options->output, r->scenario->id,
                           r->started_wall_ns, err);
    if (r->bundle == NULL)
        return -1;
    snprintf(r->id, sizeof(r->id), "%s", bundle_id(r->bundle));
    for (char *c = r->id; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    snprintf(r->result->bundle, sizeof(r->result->bundle), "%s",
             bundle_dir(r->bundle));
    plan = plan_to_json(&r->plan);
    result = bundle_add_json(r->bundle, "plan.json", plan, err);
    json_decref(plan);
    if (result < 0 ||
        bundle_add(r->bundle, "scenario.yaml", r->scenario->text,
                   strlen(r->scenario->text), err) < 0 ||
        bundle_add_json(r->bundle, "system.json", r->scenario->system_params,
                        err) < 0)
        return -1;
    history = bundle_path(r->bundle, BUNDLE_HISTORY, err);
    journal = bundle_path(r->bundle, "undo.journal", err);
    if (history == NULL || journal == NULL)
        return -1;
    meta = run_history_meta(r);
    r->history = history_writer_open(history, meta, r->clock, err);
    json_decref(meta);
    r->journal = journal_open(journal, err);
    return r->history == NULL || r->journal == NULL ? -1 : 0;
}

/* What the schedule goes beyond is said before and after. */
static void
run_remark_budget(struct run *r)
{
    const struct plan *p = &r->plan;

    if (p->beyond_budget)
        run_remark(r,
                   "beyond budget: the schedule may break the durable state "
                   "of %u of %u nodes at once; a majority system promises to "
                   "survive %u",
                   p->durability_max, p->node_count, (p->node_count - 1) / 2);
}

/* The numbered plan, as people read it. */
static void
run_print_plan(const struct run *r)
{
    fprintf(stderr,
            "%s: %" PRIu64 " nodes, %" PRIu64 " clients, %lld s, seed %" PRIu64
            "%s%s\n",
            r->scenario->id, r->scenario->node_count, r->scenario->client_count,
            (long long)(r->window_ns / NS_PER_S), r->seed,
            r->options->bug == NULL ? "" : ", planted bug ",
            r->options->bug == NULL ? "" : r->options->bug);
    plan_print(&r->plan, stderr);
}

int
run_phase_plan(struct run *r, struct error *err)
{
    r->scenario = scenario_load(r->options->scenario, err);
    if (r->scenario == NULL || run_apply_options(r, err) < 0 ||
        run_find_parts(r, err) < 0 || run_plan_faults(r, err) < 0 ||
        run_check_bug(r, err) < 0 || run_find_failure(r, err) < 0)
        return -1;
    r->replica_path = paths_program("ordeal-replica");
    r->harm_path = paths_program("ordeal-harm");
    r->system_options = (struct system_options){
        .bug = r->options->bug,
        .binary = r->replica_path,
        .seed = r->seed,
        .params = r->scenario->system_params,
        .capability = r->workload_ops->capability,
    };
    if (readiness_quick(err) < 0 || image_path(&r->image_dir, err) < 0 ||
        run_open_bundle(r, err) < 0)
        return -1;
    run_remark_budget(r);
    if (r->options->as_json)
        run_tell(r, json_pack("{s:s, s:s, s:s}", "event", "started", "scenario",
                              r->scenario->id, "bundle", r->result->bundle));
    else if (!r->options->quiet)
        run_print_plan(r);
    return 0;
}

/* A signal before the load ends the wait for machines and the system. */
static bool
run_given_up(void)
{
    return run_signals() > 0;
}

int
run_phase_provision(struct run *r, struct error *err)
{
    const struct scenario *s = r->scenario;
    const struct site_options options = {
        .provider = r->provider,
        .system = r->system,
        .uri = r->options->uri,
        .run_id = r->id,
        .image_dir = r->image_dir,
        .node_count = (unsigned)s->node_count,
        .memory_mib = (unsigned)s->memory_mib,
        .vcpus = (unsigned)s->vcpus,
        .data_disk_mib = (unsigned)s->data_disk_mib,
        .client_count = (unsigned)s->client_count,
        .given_up = run_given_up,
    };

    if (site_open(&r->site, &options, r->clock, err) < 0)
        return -1;
    for (unsigned i = 0; i < r->site.cluster.node_count; i++)
        remote_init(&r->nemesis_remotes[i], &remote_ssh_ops,
                    &r->site.cluster.nodes[i].ssh, r->clock);
    return run_network_ready(r, err);
}

int
run_phase_deploy(struct run *r, struct error *err)
{
    unsigned primary;

    if (deploy_start(&r->site.cluster, r->system, &r->system_options,
                     r->site.remotes, err) < 0 ||
        deploy_wait_ready(&r->site.cluster, r->system, r->clock,
                          RUN_READY_TIMEOUT_NS, run_given_up, &primary,
                          err) < 0)
        return -1;
    log_info("run", "%s serves; %s is primary", r->system->name,
             r->site.cluster.nodes[primary].name);
    return 0;
}

/* With --keep: until 'ordeal down' or Ctrl-C says that it is enough. */
static void
run_keep(struct run *r)
{
    int before = run_signals();

    if (!r->options->keep || !r->site.cluster_made || before > 0)
        return;
    fprintf(stderr, "the cluster is kept; Ctrl-C ends it\n");
    while (run_signals() == before)
        clock_sleep_ns(r->clock, RUN_KEEP_POLL_NS);
}

/* Problems here are notes: they never replace the verdict. */
int
run_phase_teardown(struct run *r, struct error *err)
{
    (void)err;
    run_keep(r);
    for (unsigned i = 0; r->site.cluster_made && i < r->site.cluster.node_count;
         i++)
        remote_close(&r->nemesis_remotes[i]);
    site_close(&r->site);
    return 0;
}
