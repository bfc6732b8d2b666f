/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report as a whole: which statuses apply, what checkers and evidence mean
 * for them, and its JSON form, which is the manifest without the files.
 *
 * JSON of another shape than the header says is never trusted: a verdict that
 * is not known counts as unknown, never as valid.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "artifacts/bundle.h"
#include "artifacts/report.h"
#include "harness/base/arena.h"
#include "harness/base/clock.h"

enum run_status
report_status(const struct run_report *r)
{
    enum run_status worst = STATUS_PASSED;

    for (size_t i = 0; i < r->reason_count; i++)
        worst = run_status_worst(worst, r->reasons[i].status);
    return worst;
}

bool
report_applies(const struct run_report *r, enum run_status status)
{
    for (size_t i = 0; i < r->reason_count; i++)
        if (r->reasons[i].status == status)
            return true;
    return status == STATUS_PASSED && r->reason_count == 0;
}

static const char *
report_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? otherwise : text;
}

/* False when the verdict asks for no status. */
static bool
report_judge_checker(const json_t *checker, struct arena *a,
                     struct report_reason *ret)
{
    const char *name = report_text(checker, "checker", "(no name)");
    const char *verdict = report_text(checker, "verdict", "(no verdict)");
    const char *reason = report_text(checker, "reason", NULL);

    if (strcmp(verdict, "valid") == 0 || strcmp(verdict, "not_applicable") == 0)
        return false;
    if (strcmp(verdict, "invalid") == 0) {
        const json_t *witness = json_object_get(checker, "witness");

        ret->status = STATUS_VIOLATION;
        reason = report_text(witness, "text", reason);
    } else {
        ret->status = STATUS_UNKNOWN;
        if (strcmp(verdict, "unknown") != 0)
            reason = arena_printf(a, "verdict '%.40s' is not known", verdict);
    }
    ret->text = reason == NULL ? arena_strdup(a, name)
                               : arena_printf(a, "%s: %s", name, reason);
    return true;
}

size_t
report_judge(const struct run_report *r, struct arena *a,
             struct report_reason *reasons, size_t max)
{
    size_t count = 0, i;
    json_t *checker;

    /* Nobody looked: that is not a pass. */
    if (json_array_size(r->checkers) == 0 && max > 0) {
        reasons[count].status = STATUS_UNKNOWN;
        reasons[count++].text = "no checker judged this run";
    }
    json_array_foreach ((json_t *)r->checkers, i, checker) {
        if (count < max && report_judge_checker(checker, a, &reasons[count]))
            count++;
    }
    for (i = 0; i < r->evidence_count && count < max; i++) {
        const struct report_evidence *e = &r->evidence[i];

        if (e->ok)
            continue;
        reasons[count].status = STATUS_INSUFFICIENT;
        reasons[count++].text =
            arena_printf(a, "%s: %" PRId64 ", at least %" PRId64 " needed",
                         e->name, e->value, e->minimum);
    }
    return count;
}

/* ---- JSON ---- */

/* NULL becomes null; bytes that are not UTF-8 are data too. */
static json_t *
report_string(const char *text)
{
    json_t *json;

    if (text == NULL)
        return json_null();
    json = json_string(text);
    return json != NULL ? json : json_string("(not UTF-8)");
}

static json_t *
report_wall(int64_t wall_ns)
{
    char text[21];

    if (wall_ns == 0)
        return json_null();
    clock_format_utc(wall_ns, text);
    return json_string(text);
}

static json_t *
report_statuses_json(const struct run_report *r)
{
    json_t *all = json_array();

    for (int s = STATUS_COUNT - 1; s >= 0; s--)
        if (report_applies(r, (enum run_status)s))
            json_array_append_new(
                all, json_string(run_status_name((enum run_status)s)));
    return all;
}

static json_t *
report_reasons_json(const struct run_report *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->reason_count; i++)
        json_array_append_new(
            all, json_pack("{s:s,s:o}", "status",
                           run_status_name(r->reasons[i].status), "text",
                           report_string(r->reasons[i].text)));
    return all;
}

static json_t *
report_phases_json(const struct run_report *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->phase_count; i++)
        json_array_append_new(
            all, json_pack("{s:s,s:I,s:I,s:o}", "phase", r->phases[i].name,
                           "start_ns", (json_int_t)r->phases[i].start_ns,
                           "duration_ns", (json_int_t)r->phases[i].duration_ns,
                           "problem", report_string(r->phases[i].problem)));
    return all;
}

static json_t *
report_functions_json(const struct run_report *r)
{
    json_t *all = json_object();

    for (size_t i = 0; i < r->function_count; i++) {
        const struct report_function *f = &r->functions[i];

        json_object_set_new(
            all, f->name,
            json_pack("{s:I,s:I,s:I,s:I}", "ok", (json_int_t)f->ok, "fail",
                      (json_int_t)f->fail, "unknown", (json_int_t)f->unknown,
                      "open", (json_int_t)f->open));
    }
    return all;
}

static json_t *
report_evidence_json(const struct run_report *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->evidence_count; i++)
        json_array_append_new(
            all, json_pack("{s:s,s:I,s:I,s:b}", "name", r->evidence[i].name,
                           "value", (json_int_t)r->evidence[i].value, "minimum",
                           (json_int_t)r->evidence[i].minimum, "ok",
                           r->evidence[i].ok));
    return all;
}

static json_t *
report_strings_json(const char *const *texts, size_t count)
{
    json_t *all = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(all, report_string(texts[i]));
    return all;
}

static json_t *
report_borrowed(const json_t *json)
{
    return json == NULL ? json_null() : json_incref((json_t *)json);
}

json_t *
report_to_json(const struct run_report *r)
{
    enum run_status status = report_status(r);
    json_t *m = json_object();
    char seed[24];

    /* Text: most JSON readers spoil integers above 2^53. */
    snprintf(seed, sizeof(seed), "%" PRIu64, r->seed);
    json_object_set_new(m, "schema", json_integer(BUNDLE_SCHEMA_VERSION));
    json_object_set_new(m, "ordeal", json_string(PACKAGE_VERSION));
    json_object_set_new(m, "run", report_string(r->run_id));
    json_object_set_new(m, "scenario", report_string(r->scenario));
    json_object_set_new(m, "seed", json_string(seed));
    json_object_set_new(m, "status", json_string(run_status_name(status)));
    json_object_set_new(m, "statuses", report_statuses_json(r));
    json_object_set_new(m, "exit_status",
                        json_integer(run_status_exit(status)));
    json_object_set_new(m, "reasons", report_reasons_json(r));
    json_object_set_new(m, "system", report_string(r->system));
    json_object_set_new(m, "workload", report_string(r->workload));
    json_object_set_new(m, "provider", report_string(r->provider));
    json_object_set_new(m, "bug", report_string(r->bug));
    json_object_set_new(m, "options",
                        report_strings_json(r->options, r->option_count));
    json_object_set_new(m, "started_at", report_wall(r->started_wall_ns));
    json_object_set_new(m, "ended_at", report_wall(r->ended_wall_ns));
    json_object_set_new(m, "phases", report_phases_json(r));
    json_object_set_new(m, "attempts", report_functions_json(r));
    json_object_set_new(m, "ambiguous",
                        json_integer((json_int_t)r->ambiguous_count));
    json_object_set_new(m, "resolved",
                        json_integer((json_int_t)r->resolved_count));
    json_object_set_new(m, "evidence", report_evidence_json(r));
    json_object_set_new(m, "checkers", report_borrowed(r->checkers));
    json_object_set_new(m, "faults", report_borrowed(r->faults));
    json_object_set_new(m, "host", report_borrowed(r->host));
    json_object_set_new(m, "notes",
                        report_strings_json(r->notes, r->note_count));
    return m;
}
