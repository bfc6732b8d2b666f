/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads, folds, checks, and writes down what came of it.  The result names the
 * engine that decided and the one that confirmed it, so that a reader knows
 * what the verdict rests on.
 *
 * Failure modes: a history that cannot be read, or that the model does not
 * understand, is an error with its line; what cannot be decided is a result.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "analyzer/explain/explain.h"
#include "analyzer/judge-model.h"
#include "harness/base/file.h"

#define JUDGE_TEXT_MAX (64u << 10)
#define JUDGE_CORE_SHOWN_MAX 64

/* Everything between the file and the result. */
struct judgement {
    const char *path;
    const struct analyzer_options *options;
    const struct format_ops *format;
    struct record_file file;
    struct calls *calls;
    struct check_result result;
    int64_t read_ns, check_ns;
};

static const struct model_ops *
judge_choose(const char *path, const struct analyzer_options *o,
             struct error *err)
{
    const struct model_ops *model;

    if (o->model == NULL)
        return model_guess(path, o->from, err);
    model = model_find(o->model);
    if (model == NULL)
        error_set(err, ERROR_CONFIG,
                  "there is no model '%s'; 'ordeal check --list-models' shows "
                  "all",
                  o->model);
    return model;
}

static int
judge_read(struct judgement *j, const struct model_ops *model,
           struct error *err)
{
    const struct calls_options options = {.model = model,
                                          .knossos = j->options->knossos,
                                          .initial = j->options->initial};
    int64_t started = clock_now_ns(clock_monotonic());

    j->calls = calls_new(&options, err);
    if (j->calls == NULL ||
        format_read(j->path, j->options->from, &j->format, &j->file, calls_add,
                    j->calls, err) < 0 ||
        calls_finish(j->calls, err) < 0)
        return -1;
    j->read_ns = clock_now_ns(clock_monotonic()) - started;
    return 0;
}

static void
judge_check(struct judgement *j)
{
    const struct check_options options = {
        .deadline_ns = j->options->deadline_ns,
        .memory_bytes = j->options->memory_bytes,
        .jobs = j->options->jobs,
        .stop = j->options->stop,
    };
    int64_t started = clock_now_ns(clock_monotonic());

    check_calls(j->calls, &options, &j->result);
    j->check_ns = clock_now_ns(clock_monotonic()) - started;
}

/* ---- the result as JSON ---- */

/* One operation id was given differing answers: seen while folding. */
static bool
judge_contradicted(const struct judgement *j)
{
    return j->calls->contradiction != NULL && !j->calls->model->forgets;
}

static json_t *
judge_operations(const struct calls *c)
{
    const char *const *names = c->model->functions;
    uint64_t by_function[UINT8_MAX + 1] = {0};
    json_t *functions = json_object();
    uint32_t open = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        by_function[c->function[i]]++;
        open += c->complete[i] == CALL_OPEN;
    }
    for (unsigned i = 0; i <= UINT8_MAX && names[i] != NULL; i++)
        if (by_function[i] > 0)
            json_object_set_new(functions, names[i],
                                json_integer((json_int_t)by_function[i]));
    return json_pack("{s:I, s:I, s:I, s:o}", "total", (json_int_t)c->count,
                     "ok", (json_int_t)(c->count - open), "unknown",
                     (json_int_t)open, "by_function", functions);
}

static json_t *
judge_core(const struct calls *c, const struct decision *d)
{
    json_t *core = json_array();

    for (uint32_t i = 0; i < d->core_count && i < JUDGE_CORE_SHOWN_MAX; i++) {
        uint32_t call = d->core[i];
        CLEANUP(buf_release) struct buf text;
        json_t *entry;

        buf_init(&text, JUDGE_TEXT_MAX);
        model_describe(c, call, &text);
        entry = json_pack(
            "{s:I, s:I, s:I}", "process", (json_int_t)c->process[call], "line",
            (json_int_t)c->line[call], "number", (json_int_t)i + 1);
        if (c->end_line[call] != 0)
            json_object_set_new(entry, "end_line",
                                json_integer(c->end_line[call]));
        json_object_set_new(entry, "text", json_string(buf_text(&text)));
        json_array_append_new(core, entry);
    }
    return core;
}

/* The place of a call in the core, from 1; 0: it is not in it. */
static json_int_t
judge_core_number(const struct decision *d, uint32_t call)
{
    for (uint32_t i = 0; i < d->core_count; i++)
        if (d->core[i] == call)
            return (json_int_t)i + 1;
    return 0;
}

static json_t *
judge_edges(const struct decision *d)
{
    json_t *edges = json_array();

    for (uint32_t i = 0; i < d->edge_count; i++) {
        const struct edge *e = &d->edges[i];

        json_array_append_new(
            edges, json_pack("{s:I, s:I, s:s, s:s*}", "from",
                             judge_core_number(d, e->from), "to",
                             judge_core_number(d, e->to), "kind",
                             edge_kind_name(e->kind), "text", e->text));
    }
    return edges;
}

static json_t *
judge_witness(const struct judgement *j)
{
    const struct decision *d = &j->result.decision;
    json_t *lines = json_array();

    for (uint32_t i = 0; i < d->core_count && i < JUDGE_CORE_SHOWN_MAX; i++)
        json_array_append_new(lines, json_integer(j->calls->line[d->core[i]]));
    return json_pack("{s:s, s:o}", "text", d->headline, "lines", lines);
}

static json_t *
judge_checker(const struct judgement *j)
{
    const struct model_ops *model = j->calls->model;
    const struct check_result *r = &j->result;
    json_t *checker = json_pack(
        "{s:s, s:s, s:I}", "checker",
        model->step != NULL ? "linearizable" : model->name, "verdict",
        verdict_name(r->verdict), "count",
        (json_int_t)(r->verdict == VERDICT_INVALID   ? r->invalid_parts
                     : r->verdict == VERDICT_UNKNOWN ? r->unknown_parts
                                                     : 0));

    if (r->verdict == VERDICT_UNKNOWN)
        json_object_set_new(checker, "reason", json_string(r->decision.reason));
    if (r->verdict == VERDICT_INVALID)
        json_object_set_new(checker, "witness", judge_witness(j));
    return checker;
}

static size_t
judge_peak_rss(void)
{
    struct rusage usage = {0};

    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024;
}

static void
judge_describe_decision(const struct judgement *j, json_t *ret)
{
    const struct check_result *r = &j->result;
    const struct decision *d = &r->decision;

    if (d->engine != NULL)
        json_object_set_new(ret, "engine", json_string(d->engine));
    if (r->confirmed)
        json_object_set_new(ret, "confirmed_by", json_string(r->confirmed_by));
    if (r->verdict == VERDICT_INVALID) {
        json_object_set_new(ret, "core_size", json_integer(d->core_count));
        if (r->unfinished)
            json_object_set_new(ret, "core_unfinished", json_true());
        json_object_set_new(ret, "core", judge_core(j->calls, d));
        json_object_set_new(ret, "because", judge_edges(d));
    }
    if (r->verdict == VERDICT_UNKNOWN) {
        json_object_set_new(ret, "decided_prefix",
                            json_integer(d->decided_prefix));
        json_object_set_new(ret, "open_undecided", json_integer(d->open_count));
    }
    json_object_set_new(ret, "parts",
                        json_pack("{s:I, s:I, s:I}", "total",
                                  (json_int_t)r->parts.count, "invalid",
                                  (json_int_t)r->invalid_parts, "unknown",
                                  (json_int_t)r->unknown_parts));
    json_object_set_new(ret, "engine_peak_bytes",
                        json_integer((json_int_t)r->peak_bytes));
}

/* Differing answers of one operation: no engine is needed to see it. */
static json_t *
judge_contradiction(const struct judgement *j)
{
    const struct calls *c = j->calls;

    return json_pack("{s:s, s:s, s:i, s:{s:s, s:[I, I]}}", "checker",
                     "duplicate_execution", "verdict", "invalid", "count", 1,
                     "witness", "text", c->contradiction, "lines",
                     (json_int_t)c->contradiction_lines[0],
                     (json_int_t)c->contradiction_lines[1]);
}

static json_t *
judge_result(const struct judgement *j)
{
    const struct calls *c = j->calls;
    json_t *checkers = json_array(), *ret;
    bool contradicted = judge_contradicted(j);
    CLEANUP(buf_release) struct buf text;

    buf_init(&text, JUDGE_TEXT_MAX);
    json_array_append_new(checkers, contradicted ? judge_contradiction(j)
                                                 : judge_checker(j));
    ret = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o}", "verdict",
        verdict_name(contradicted ? VERDICT_INVALID : j->result.verdict),
        "model", c->model->name, "format", j->format->name, "semantics",
        c->strict ? "strict" : "knossos", "checkers", checkers, "operations",
        judge_operations(c));
    judge_describe_decision(j, ret);
    json_object_set_new(ret, "timings",
                        json_pack("{s:f, s:f}", "read_seconds",
                                  (double)j->read_ns / (double)NS_PER_S,
                                  "check_seconds",
                                  (double)j->check_ns / (double)NS_PER_S));
    json_object_set_new(ret, "memory_bytes",
                        json_integer((json_int_t)judge_peak_rss()));
    if (j->result.verdict != VERDICT_VALID) {
        explain_text(c, &j->result, &text);
        json_object_set_new(ret, "explanation", json_string(buf_text(&text)));
    }
    return ret;
}

/* ---- evidence in files ---- */

static int
judge_close(FILE *out, const char *path, int result, struct error *err)
{
    bool bad = ferror(out) != 0;

    if (fclose(out) != 0 || bad) {
        if (result == 0)
            error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
        return -1;
    }
    return result;
}

static FILE *
judge_open(const char *path, struct error *err)
{
    FILE *out = fopen(path, "we");

    if (out == NULL)
        error_errno(err, ERROR_CONFIG, errno, "'%s'", path);
    return out;
}

/* By the ending of the file's name; ours without one. */
static const char *
judge_core_format(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (dot != NULL && strcmp(dot, ".edn") == 0)
        return "edn";
    return dot != NULL && strcmp(dot, ".json") == 0 ? "json" : "jsonl";
}

static int
judge_write_core(const struct judgement *j, struct error *err)
{
    const char *path = j->options->core;
    FILE *out = judge_open(path, err);

    if (out == NULL)
        return -1;
    return judge_close(out, path,
                       explain_core_history(j->calls, &j->result, j->path,
                                            j->format->name, out,
                                            judge_core_format(path), err),
                       err);
}

static int
judge_write_html(const struct judgement *j, struct error *err)
{
    CLEANUP(buf_release) struct buf html;

    buf_init(&html, EXPLAIN_HTML_MAX);
    explain_html(j->calls, &j->result, j->path, &html);
    return file_write_atomic(j->options->html, buf_text(&html),
                             strlen(buf_text(&html)), 0644, err);
}

static int
judge_write_certificate(const struct judgement *j, struct error *err)
{
    const char *path = j->options->certificate;
    FILE *out = judge_open(path, err);

    if (out == NULL)
        return -1;
    return judge_close(
        out, path, explain_certificate(j->calls, &j->result, j->path, out, err),
        err);
}

static int
judge_write(const struct judgement *j, struct error *err)
{
    const struct analyzer_options *o = j->options;

    if (o->core != NULL && j->result.verdict == VERDICT_INVALID &&
        judge_write_core(j, err) < 0)
        return -1;
    if (o->html != NULL && judge_write_html(j, err) < 0)
        return -1;
    if (o->certificate != NULL && j->result.verdict != VERDICT_UNKNOWN &&
        judge_write_certificate(j, err) < 0)
        return -1;
    return 0;
}

/* A model's judgement is one check; the domain checkers cannot be asked. */
static int
judge_names(const char *path, const struct analyzer_options *o,
            struct error *err)
{
    const char *const *names = o->checkers;

    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, "linearizable") != 0)
            return error_set(err, ERROR_CONFIG,
                             "%s: '%s' judges the allocator's histories in "
                             "our format; this one is judged by a model, as "
                             "'linearizable'",
                             path, *names);
    return 0;
}

int
judge_model(const char *path, const struct analyzer_options *options,
            json_t **ret, struct error *err)
{
    struct judgement j = {.path = path, .options = options};
    const struct model_ops *model;
    int result;

    if (judge_names(path, options, err) < 0)
        return -1;
    model = judge_choose(path, options, err);
    if (model == NULL)
        return -1;
    result = judge_read(&j, model, err);
    if (result == 0) {
        judge_check(&j);
        result = judge_write(&j, err);
        if (result == 0)
            *ret = judge_result(&j);
        check_result_release(&j.result);
    }
    calls_free(j.calls);
    return result;
}

/* ---- text ---- */

void
judge_model_print(const json_t *result, const char *path, FILE *out)
{
    const json_t *operations = json_object_get(result, "operations");
    const json_t *timings = json_object_get(result, "timings");
    const json_t *checker;
    const char *engine = json_string_value(json_object_get(result, "engine"));
    const char *second =
        json_string_value(json_object_get(result, "confirmed_by"));
    const char *why = json_string_value(json_object_get(result, "explanation"));
    size_t i;

    fprintf(out, "%s: %s\n",
            json_string_value(json_object_get(result, "verdict")), path);
    json_array_foreach (json_object_get(result, "checkers"), i, checker) {
        const char *text = json_string_value(
            json_object_get(json_object_get(checker, "witness"), "text"));

        fprintf(out, "  %-8s %s\n",
                json_string_value(json_object_get(checker, "verdict")),
                json_string_value(json_object_get(checker, "checker")));
        if (text != NULL && why == NULL)
            fprintf(out, "           %s\n", text);
    }
    fprintf(
        out,
        "  %s, meaning of fail: %s, read as %s\n"
        "  operations: %lld (%lld of unknown outcome); read %.3f s, checked "
        "%.3f s\n",
        json_string_value(json_object_get(result, "model")),
        json_string_value(json_object_get(result, "semantics")),
        json_string_value(json_object_get(result, "format")),
        (long long)json_integer_value(json_object_get(operations, "total")),
        (long long)json_integer_value(json_object_get(operations, "unknown")),
        json_real_value(json_object_get(timings, "read_seconds")),
        json_real_value(json_object_get(timings, "check_seconds")));
    if (json_is_true(json_object_get(result, "core_unfinished")))
        fprintf(out, "  the core may be larger than it need be: making it "
                     "smaller took too long\n");
    if (engine != NULL)
        fprintf(out, "  %s by %s%s%s\n",
                json_object_get(result, "decided_prefix") == NULL
                    ? "decided"
                    : "not decided, at last",
                engine, second != NULL ? ", confirmed by " : "",
                second != NULL ? second : "");
    if (why != NULL)
        fprintf(out, "\n%s", why);
}
