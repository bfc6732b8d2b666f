/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases that turn what happened into evidence: collect from the nodes,
 * seal the history, analyse it, write the bundle.  They work on whatever
 * exists; none of them can hide what another found.
 */
#include "config.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "analyzer/analyzer.h"
#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/base/process.h"
#include "harness/deploy.h"
#include "harness/expectation.h"
#include "harness/provider/accelerator.h"
#include "harness/provider/machine.h"
#include "harness/run-internal.h"
#include "nemesis/platter/platter.h"

#define RUN_ANALYSE_DEADLINE_NS (240 * NS_PER_S)
#define RUN_REASONS_MAX 64
#define RUN_OPTION_WORDS_MAX 16
#define RUN_REMARKS_MAX 32

static bool
run_is(const json_t *string, const char *text)
{
    return json_is_string(string) &&
           strcmp(json_string_value(string), text) == 0;
}

/* Where in the plan it is: the numbers are those of plan.json. */
static void
run_status_faults(struct run *r, json_t *status)
{
    struct nemesis_summary summary;
    char current[NEMESIS_CURRENT_MAX];
    json_t *faults;

    if (r->nemesis == NULL)
        return;
    nemesis_summary(r->nemesis, &summary);
    nemesis_current(r->nemesis, current);
    faults = nemesis_summary_to_json(&summary);
    json_object_set_new(faults, "current", json_string(current));
    json_object_set_new(status, "faults", faults);
}

void
run_write_status(struct run *r, const char *state)
{
    struct error err = {0};
    uint64_t ticks = 0;
    json_t *status;

    if (r->bundle == NULL)
        return;
    process_start_ticks(getpid(), &ticks);
    status = json_pack(
        "{s:s, s:s, s:i, s:I, s:s, s:s, s:s, s:I, s:I, s:i}", "state", state,
        "phase", r->phase, "pid", (int)getpid(), "start_ticks",
        (json_int_t)ticks, "system", r->system->name, "scenario",
        r->scenario->id, "runtime_dir", r->site.runtime_dir, "seed",
        (json_int_t)r->seed, "updated_at_ns", (json_int_t)clock_wall_ns(),
        "client_hosts", (int)r->client_hosts);
    run_status_faults(r, status);
    if (bundle_set_status(r->bundle, status, &err) < 0)
        log_warning("run", "%s, continuing", err.text);
    json_decref(status);
}

/* The console is a file of this host; it may be large and may be missing. */
static void
run_collect_console(struct run *r, const struct node *node)
{
    CLEANUP_FREE char *name = xasprintf("nodes/%s/console.log", node->name);
    struct error err = {0};
    size_t len;
    CLEANUP_FREE char *text =
        file_read(node->console_path, COLLECT_FILE_BYTES_MAX, &len, &err);

    if (text == NULL || bundle_add(r->bundle, name, text, len, &err) < 0)
        log_warning("collect", "%s, continuing", err.text);
}

/* What each power cut of the node's disk let survive: files of this host. */
static void
run_collect_cuts(struct run *r, const struct node *node)
{
    CLEANUP_FREE char *pattern = NULL;
    const struct platter *platter =
        machine_can(&r->site.provider, MACHINE_PLATTER)
            ? machine_platter(&r->site.provider, node->index)
            : NULL;
    glob_t found;

    if (platter == NULL)
        return;
    pattern = xasprintf("%s/cut-*.txt", platter->record_dir);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        CLEANUP_FREE char *name = xasprintf(
            "nodes/%s/%s", node->name, strrchr(found.gl_pathv[i], '/') + 1);
        struct error err = {0};
        size_t len;
        CLEANUP_FREE char *text =
            file_read(found.gl_pathv[i], COLLECT_FILE_BYTES_MAX, &len, &err);

        if (text == NULL || bundle_add(r->bundle, name, text, len, &err) < 0)
            log_warning("collect", "%s, continuing", err.text);
    }
    globfree(&found);
}

/* A note per node: its status and digest at the end, for the analyzer. */
static void
run_note_status(struct run *r, unsigned node)
{
    struct system_status status = {0};
    struct error err = {0};
    struct event note = {.kind = EVENT_NOTE,
                         .process = HISTORY_PROCESS_NONE,
                         .function = "status",
                         .node = r->site.cluster.nodes[node].name};
    struct arena arena;

    if (r->history == NULL ||
        r->system->status(&r->site.cluster, node, RUN_ASK_TIMEOUT_NS, &status,
                          &err) < 0)
        return;
    if (status.role != ROLE_UNKNOWN)
        snprintf(r->recovery[node], sizeof(r->recovery[node]), "%s",
                 status.recovery);
    arena_init(&arena);
    fields_set_int(&arena, &note.fields, "role", status.role);
    fields_set_int(&arena, &note.fields, "term", (int64_t)status.term);
    fields_set_int(&arena, &note.fields, "commit",
                   (int64_t)status.commit_index);
    fields_set_string(&arena, &note.fields, "recovery", status.recovery);
    if (history_append(r->history, &note, HISTORY_BUFFERED, &err) < 0)
        log_warning("collect", "%s, continuing", err.text);
    arena_release(&arena);
}

/* The state of every node at the highest position that all have applied. */
static void
run_note_digests(struct run *r)
{
    const struct cluster *c = &r->site.cluster;
    uint64_t common = UINT64_MAX;
    struct error err = {0};

    if (r->history == NULL || r->system->digest == NULL)
        return;
    for (unsigned i = 0; i < c->node_count; i++) {
        struct system_status status = {0};

        if (r->system->status(c, i, RUN_ASK_TIMEOUT_NS, &status, &err) < 0 ||
            status.role == ROLE_UNKNOWN)
            return;
        if (status.commit_index < common)
            common = status.commit_index;
    }
    for (unsigned i = 0; i < c->node_count; i++) {
        struct event note = {.kind = EVENT_NOTE,
                             .process = HISTORY_PROCESS_NONE,
                             .function = "digest",
                             .node = c->nodes[i].name};
        char digest[SYSTEM_DIGEST_SIZE];
        struct arena arena;

        arena_init(&arena);
        fields_set_int(&arena, &note.fields, "index", (int64_t)common);
        if (r->system->digest(c, i, common, RUN_ASK_TIMEOUT_NS, digest, &err) ==
            0)
            fields_set_string(&arena, &note.fields, "digest", digest);
        if (fields_get(&note.fields, "digest") == NULL ||
            history_append(r->history, &note, HISTORY_BUFFERED, &err) < 0)
            log_warning("collect", "%s, continuing", err.text);
        arena_release(&arena);
    }
}

int
run_phase_collect(struct run *r, struct error *err)
{
    CLEANUP_FREE char *nodes = NULL;

    if (!r->site.cluster_made)
        return 0;
    nodes = xasprintf("%s/nodes", bundle_dir(r->bundle));
    if (dir_make(nodes, 0755, err) < 0)
        return -1;
    deploy_collect(&r->site.cluster, r->system, r->site.remotes, nodes);
    run_note_digests(r);
    for (unsigned i = 0; i < r->site.cluster.node_count; i++) {
        run_note_status(r, i);
        run_collect_console(r, &r->site.cluster.nodes[i]);
        run_collect_cuts(r, &r->site.cluster.nodes[i]);
    }
    run_judge_exits(r);
    run_network_collect(r);
    return 0;
}

int
run_phase_seal(struct run *r, struct error *err)
{
    struct history_writer *history = r->history;

    r->history = NULL;
    return history == NULL ? 0 : history_seal(history, err);
}

int
run_phase_analyse(struct run *r, struct error *err)
{
    CLEANUP_FREE char *path = bundle_path(r->bundle, BUNDLE_HISTORY, err);
    struct analyzer_options options = {
        .deadline_ns = RUN_ANALYSE_DEADLINE_NS,
        .origin = ORIGIN_RUN,
    };
    json_t *checkers;

    if (path == NULL || analyzer_run(path, &options, &r->analysis, err) < 0)
        return -1;
    checkers = json_object_get(r->analysis, "checkers");
    run_explain_unread(r);
    json_array_extend(checkers, r->own_checkers);
    run_judge_failure(r);
    return bundle_add_json(r->bundle, "analysis.json", r->analysis, err);
}

struct run_evidence {
    struct report_evidence items[16];
    size_t count;
};

static void
run_evidence_add(struct run_evidence *e, const char *name, uint64_t value,
                 uint64_t minimum)
{
    e->items[e->count++] = (struct report_evidence){.name = name,
                                                    .value = (int64_t)value,
                                                    .minimum = (int64_t)minimum,
                                                    .ok = value >= minimum};
}

static json_int_t
run_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Everything is read from the history: what is not in there did not happen. */
static void
run_weigh_evidence(const struct run *r, struct run_evidence *e)
{
    const struct scenario_evidence *m = &r->minimum;
    const json_t *found = json_object_get(r->analysis, "evidence");
    const json_t *ambiguities = json_object_get(found, "ambiguities");
    const json_t *faults = json_object_get(found, "faults");
    uint64_t confirmed = 0, primary_hits = 0;
    size_t i;
    json_t *fault;

    json_array_foreach ((json_t *)faults, i, fault) {
        bool counts = json_is_true(json_object_get(fault, "confirmed")) &&
                      json_is_true(json_object_get(fault, "healed"));

        confirmed += counts;
        primary_hits +=
            counts && json_is_true(json_object_get(fault, "primary"));
    }
    run_evidence_add(
        e, "operations",
        (uint64_t)run_number(json_object_get(r->analysis, "operations"), "ok"),
        m->operations);
    run_evidence_add(
        e, "unknown_attempts",
        (uint64_t)run_number(json_object_get(found, "attempts"), "unknown"),
        m->unknown_attempts);
    run_evidence_add(e, "ambiguities_resolved",
                     (uint64_t)run_number(ambiguities, "resolved"),
                     (uint64_t)run_number(ambiguities, "total"));
    run_evidence_add(e, "leader_changes",
                     (uint64_t)run_number(found, "leader_changes"),
                     m->leader_changes);
    run_evidence_add(e, "faults_confirmed", confirmed, m->faults);
    run_evidence_add(e, "primary_hits", primary_hits, m->primary_hits);
    run_evidence_add(e, "history_sealed",
                     json_is_true(json_object_get(found, "sealed")), 1);
    run_evidence_add(e, "objects_swept", r->swept, 1);
}

static json_t *
run_fault_by_id(json_t *faults, const json_t *id)
{
    size_t i;
    json_t *fault;

    json_array_foreach (faults, i, fault) {
        if (json_equal(json_object_get(fault, "id"), id))
            return fault;
    }
    fault = json_object();
    json_object_set(fault, "id", (json_t *)id);
    json_array_append_new(faults, fault);
    return fault;
}

/*
 * Adds what one line of faults.jsonl tells.  The effect is confirmed only when
 * both proofs of it are.
 */
static void
run_fold_stage(const struct run *r, json_t *faults, const json_t *line)
{
    const char *stage = json_string_value(json_object_get(line, "stage"));
    json_t *result = json_object_get(line, "result"), *fault;
    json_int_t at = json_integer_value(json_object_get(line, "time_ns"));

    if (stage == NULL || strcmp(stage, "planned") == 0 ||
        strcmp(stage, "skipped") == 0 || strcmp(stage, "journalled") == 0)
        return;
    fault = run_fault_by_id(faults, json_object_get(line, "id"));
    json_object_set(fault, "fault", json_object_get(line, "fault"));
    json_object_set(fault, "nodes", json_object_get(line, "nodes"));
    json_object_set(fault, "primary", json_object_get(line, "primary"));
    if (strcmp(stage, "injected") == 0)
        json_object_set_new(fault, "injected_ns",
                            json_integer(at - r->started_ns));
    else if (strcmp(stage, "healed") == 0)
        json_object_set_new(fault, "healed_ns",
                            json_integer(at - r->started_ns));
    else if (strcmp(stage, "proved_healed") == 0)
        json_object_set(fault, "heal", result);
    else if (strcmp(stage, "proved") == 0 ||
             run_is(json_object_get(fault, "effect"), "confirmed"))
        json_object_set(fault, "effect", result);
}

json_t *
run_fold_faults(struct run *r)
{
    json_t *faults = json_array();
    struct error err = {0};
    CLEANUP_FREE char *path = bundle_path(r->bundle, BUNDLE_FAULTS, &err);
    char *line = NULL;
    size_t cap = 0;
    FILE *in = path == NULL ? NULL : fopen(path, "re");

    while (in != NULL && getline(&line, &cap, in) > 0) {
        json_t *stage = json_loads(line, 0, NULL);

        if (stage != NULL)
            run_fold_stage(r, faults, stage);
        json_decref(stage);
    }
    if (in != NULL)
        fclose(in);
    free(line);
    return faults;
}

/* Copies reasons and phases out of their JSON. */
static size_t
run_fill_reasons(const struct run *r, struct report_reason *reasons)
{
    size_t i, count = 0;
    json_t *note;

    json_array_foreach (r->notes, i, note) {
        enum run_status status;

        if (count < RUN_REASONS_MAX / 2 &&
            run_status_parse(json_string_value(json_object_get(note, "status")),
                             &status))
            reasons[count++] = (struct report_reason){
                status, json_string_value(json_object_get(note, "text"))};
    }
    return count;
}

static size_t
run_fill_remarks(const struct run *r, const char **notes, size_t max)
{
    size_t i;
    json_t *remark;

    json_array_foreach (r->remarks, i, remark) {
        if (i == max)
            break;
        notes[i] = json_string_value(remark);
    }
    return i;
}

static size_t
run_fill_phases(const struct run *r, struct report_phase *phases, size_t max)
{
    size_t i, count = 0;
    json_t *phase;

    json_array_foreach (r->phases, i, phase) {
        if (count < max)
            phases[count++] = (struct report_phase){
                .name = json_string_value(json_object_get(phase, "name")),
                .start_ns =
                    json_integer_value(json_object_get(phase, "started_ns")),
                .duration_ns =
                    json_integer_value(json_object_get(phase, "duration_ns")),
                .problem = json_is_true(json_object_get(phase, "ok"))
                               ? NULL
                               : "failed",
            };
    }
    return count;
}

static size_t
run_fill_functions(const struct run *r, struct report_function *functions,
                   size_t max)
{
    json_t *attempts =
        json_object_get(json_object_get(r->analysis, "evidence"), "attempts");
    json_t *by_function = json_object_get(attempts, "by_function"), *counts;
    const char *name;
    size_t count = 0;

    json_object_foreach (by_function, name, counts) {
        if (count < max && json_is_object(counts))
            functions[count++] = (struct report_function){
                .name = name,
                .ok =
                    (uint64_t)json_integer_value(json_object_get(counts, "ok")),
                .fail = (uint64_t)json_integer_value(
                    json_object_get(counts, "fail")),
                .unknown = (uint64_t)json_integer_value(
                    json_object_get(counts, "unknown")),
            };
    }
    return count;
}

static json_t *
run_host_facts(const struct run *r)
{
    char reason[256];
    bool kvm =
        provider_probe_accelerator(reason, sizeof(reason)) == ACCELERATOR_KVM;
    struct utsname uts;

    uname(&uts);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "kernel", uts.release,
                     "machine", uts.machine, "accelerator", kvm ? "kvm" : "tcg",
                     "image", strrchr(r->image_dir, '/') + 1, "clients",
                     r->client_hosts > 0 ? "cluster network" : "doors");
}

/* The words of the command line that a repetition needs. */
static size_t
run_repeat_options(const struct run *r, struct arena *a, const char **words)
{
    const struct run_options *o = r->options;
    size_t count = 0;

    words[count++] = "--window";
    words[count++] =
        arena_printf(a, "%lldms", (long long)(r->window_ns / NS_PER_MS));
    words[count++] = "--nodes";
    words[count++] = arena_printf(a, "%" PRIu64, r->scenario->node_count);
    words[count++] = "--clients";
    words[count++] = arena_printf(a, "%" PRIu64, r->scenario->client_count);
    words[count++] = "--rate";
    words[count++] = arena_printf(a, "%g", r->scenario->rate);
    if (o->bug != NULL) {
        words[count++] = "--bug";
        words[count++] = o->bug;
    }
    return count;
}

/* Says what a planted bug was expected to set off, and what it did. */
static void
run_compare_expectation(const struct run *r, struct buf *out)
{
    const json_t *must = json_object_get(r->expectation, "must");
    const json_t *checkers = json_object_get(r->analysis, "checkers");
    size_t i;
    json_t *item;

    json_array_foreach ((json_t *)must, i, item) {
        const char *name = json_string_value(item);

        buf_printf(out, "bug     %s must set off %s: %s\n", r->options->bug,
                   name,
                   expectation_fired(checkers, name) ? "it did" : "IT DID NOT");
    }
}

void
run_tell(const struct run *r, json_t *line)
{
    char seed[24];

    snprintf(seed, sizeof(seed), "%" PRIu64, r->seed);
    json_object_set_new(line, "seed", json_string(seed));
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

/* The verdict on standard output: what, why, where. */
static void
run_print(const struct run *r, const struct run_report *report)
{
    struct buf out;

    buf_init(&out, REPORT_TEXT_BYTES_MAX);
    buf_printf(&out, "%-7s %s  (seed %" PRIu64 ")\n",
               run_status_name(report_status(report)), r->scenario->id,
               r->seed);
    for (size_t i = 0; i < report->reason_count; i++)
        buf_printf(&out, "why     %s: %s\n",
                   run_status_name(report->reasons[i].status),
                   report->reasons[i].text);
    if (r->expectation != NULL)
        run_compare_expectation(r, &out);
    for (size_t i = 0; i < report->evidence_count; i++) {
        const struct report_evidence *e = &report->evidence[i];

        buf_printf(&out,
                   "        %-20s %8" PRId64 "  (at least %" PRId64 ")%s\n",
                   e->name, e->value, e->minimum, e->ok ? "" : "  TOO FEW");
    }
    if (r->window_ns < r->scenario->window_ns)
        buf_printf(&out, "note    a shortened window never counts as gate "
                         "evidence\n");
    buf_printf(&out, "bundle  %s\n", r->result->bundle);
    fputs(buf_text(&out), stdout);
    fflush(stdout);
    buf_release(&out);
}

int
run_phase_report(struct run *r, struct error *err)
{
    struct report_reason reasons[RUN_REASONS_MAX];
    struct report_phase phases[32];
    struct report_function functions[32];
    struct run_evidence evidence = {.count = 0};
    const json_t *ambiguities = json_object_get(
        json_object_get(r->analysis, "evidence"), "ambiguities");
    const char *options[RUN_OPTION_WORDS_MAX], *notes[RUN_REMARKS_MAX];
    struct run_report report;
    struct arena arena;
    json_t *host = run_host_facts(r), *faults = run_fold_faults(r);
    int result;

    arena_init(&arena);
    run_weigh_evidence(r, &evidence);
    report = (struct run_report){
        .run_id = bundle_id(r->bundle),
        .scenario = r->scenario->id,
        .scenario_is_file = strchr(r->options->scenario, '/') != NULL,
        .system = r->system->name,
        .workload = r->workload_ops->name,
        .provider = r->provider->name,
        .bug = r->options->bug,
        .seed = r->seed,
        .options = options,
        .option_count = run_repeat_options(r, &arena, options),
        .started_wall_ns = r->started_wall_ns,
        .ended_wall_ns = clock_wall_ns(),
        .reasons = reasons,
        .reason_count = run_fill_reasons(r, reasons),
        .phases = phases,
        .phase_count = run_fill_phases(r, phases, ARRAY_LEN(phases)),
        .functions = functions,
        .function_count =
            run_fill_functions(r, functions, ARRAY_LEN(functions)),
        .ambiguous_count = (uint64_t)run_number(ambiguities, "total"),
        .resolved_count = (uint64_t)run_number(ambiguities, "resolved"),
        .notes = notes,
        .note_count = run_fill_remarks(r, notes, ARRAY_LEN(notes)),
        .evidence = evidence.items,
        .evidence_count = evidence.count,
        .checkers = r->analysis == NULL
                        ? r->own_checkers
                        : json_object_get(r->analysis, "checkers"),
        .faults = faults,
        .host = host,
    };
    report.reason_count +=
        report_judge(&report, &arena, reasons + report.reason_count,
                     RUN_REASONS_MAX - report.reason_count);
    r->result->status = report_status(&report);
    run_write_status(r, "finished");
    r->finished = true;
    result = bundle_finish(r->bundle, &report, err);
    if (r->options->as_json)
        run_tell(r, json_pack("{s:s, s:s, s:s, s:i, s:s}", "event", "finished",
                              "scenario", r->scenario->id, "status",
                              run_status_name(r->result->status), "exit_status",
                              run_status_exit(r->result->status), "bundle",
                              r->result->bundle));
    else
        run_print(r, &report);
    arena_release(&arena);
    json_decref(host);
    json_decref(faults);
    return result;
}
