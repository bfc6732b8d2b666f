/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JUnit XML as CI systems read it (the schema of Jenkins' xUnit plugin): one
 * suite per run; a case per checker, per evidence item, and one for the run
 * itself, where what no checker says (infra, dirty, internal) has its place.
 *
 * invalid -> failure, unknown -> error, not_applicable -> skipped, missing
 * evidence -> error.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "artifacts/report.h"
#include "artifacts/text.h"
#include "harness/base/clock.h"

struct junit {
    const struct run_report *report;
    struct buf *out; /* the cases */
    unsigned tests, failures, errors, skipped;
};

static void
junit_attribute(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, " %s=\"", name);
    text_xml(out, value);
    buf_puts(out, "\"");
}

static void
junit_case_begin(struct junit *j, const char *group, const char *name,
                 int64_t duration_ns)
{
    j->tests++;
    buf_puts(j->out, "    <testcase classname=\"");
    text_xml(j->out, j->report->scenario);
    buf_printf(j->out, ".%s\"", group);
    junit_attribute(j->out, "name", name);
    buf_printf(j->out, " time=\"%.3f\"",
               (double)duration_ns / (double)NS_PER_S);
}

/* 'element' is failure or error. */
static void
junit_case_bad(struct junit *j, const char *element, const char *type,
               const char *message, const char *text)
{
    buf_printf(j->out, ">\n      <%s", element);
    junit_attribute(j->out, "type", type);
    junit_attribute(j->out, "message", message);
    buf_puts(j->out, ">");
    text_xml(j->out, text);
    buf_printf(j->out, "</%s>\n    </testcase>\n", element);
    if (strcmp(element, "failure") == 0)
        j->failures++;
    else
        j->errors++;
}

static const char *
junit_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? otherwise : text;
}

static void
junit_checker(struct junit *j, const json_t *checker)
{
    const char *verdict = junit_text(checker, "verdict", "(no verdict)");
    const json_t *witness = json_object_get(checker, "witness");
    const char *reason =
        junit_text(checker, "reason", junit_text(witness, "text", verdict));

    junit_case_begin(j, "checkers", junit_text(checker, "checker", "(no name)"),
                     0);
    if (strcmp(verdict, "valid") == 0) {
        buf_puts(j->out, "/>\n");
    } else if (strcmp(verdict, "not_applicable") == 0) {
        j->skipped++;
        buf_puts(j->out, ">\n      <skipped");
        junit_attribute(j->out, "message", reason);
        buf_puts(j->out, "/>\n    </testcase>\n");
    } else if (strcmp(verdict, "invalid") == 0) {
        junit_case_bad(j, "failure", "violation", reason,
                       junit_text(witness, "text", reason));
    } else {
        junit_case_bad(j, "error", "unknown", reason, reason);
    }
}

static void
junit_evidence(struct junit *j, const struct report_evidence *e)
{
    char text[96];

    junit_case_begin(j, "evidence", e->name, 0);
    if (e->ok) {
        buf_puts(j->out, "/>\n");
        return;
    }
    snprintf(text, sizeof(text), "%" PRId64 ", at least %" PRId64 " needed",
             e->value, e->minimum);
    junit_case_bad(j, "error", "insufficient", text, text);
}

/* The case of the run: what neither checkers nor evidence can say. */
static void
junit_run(struct junit *j)
{
    const struct run_report *r = j->report;
    enum run_status worst = STATUS_PASSED;
    const char *message = NULL;
    struct buf text;

    buf_init(&text, REPORT_TEXT_BYTES_MAX);
    for (size_t i = 0; i < r->reason_count; i++) {
        enum run_status s = r->reasons[i].status;

        if (s != STATUS_INFRA && s != STATUS_DIRTY && s != STATUS_INTERNAL)
            continue;
        buf_printf(&text, "%s: %s\n", run_status_name(s), r->reasons[i].text);
        if (message == NULL || s > worst)
            message = r->reasons[i].text;
        worst = run_status_worst(worst, s);
    }
    junit_case_begin(j, "run", "run", r->ended_wall_ns - r->started_wall_ns);
    if (message == NULL)
        buf_puts(j->out, "/>\n");
    else
        junit_case_bad(j, "error", run_status_name(worst), message,
                       buf_text(&text));
    buf_release(&text);
}

static void
junit_property(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(out, "      <property name=\"%s\"", name);
    junit_attribute(out, "value", value);
    buf_puts(out, "/>\n");
}

static void
junit_properties(const struct run_report *r, struct buf *out)
{
    char seed[24];

    snprintf(seed, sizeof(seed), "%" PRIu64, r->seed);
    buf_puts(out, "    <properties>\n");
    junit_property(out, "status", run_status_name(report_status(r)));
    junit_property(out, "run", r->run_id);
    junit_property(out, "seed", seed);
    junit_property(out, "system", r->system);
    junit_property(out, "workload", r->workload);
    junit_property(out, "provider", r->provider);
    junit_property(out, "bug", r->bug);
    junit_property(out, "ordeal", PACKAGE_VERSION);
    buf_puts(out, "    </properties>\n");
}

void
junit_render(const struct run_report *r, struct buf *out)
{
    char started[21] = "", counts[128];
    struct buf cases;
    struct junit j = {.report = r, .out = &cases};
    json_t *checker;
    size_t i;

    buf_init(&cases, REPORT_TEXT_BYTES_MAX);
    junit_run(&j);
    json_array_foreach ((json_t *)r->checkers, i, checker) {
        junit_checker(&j, checker);
    }
    for (i = 0; i < r->evidence_count; i++)
        junit_evidence(&j, &r->evidence[i]);
    clock_format_utc(r->started_wall_ns, started);
    started[19] = '\0'; /* the schema knows no zone */
    snprintf(counts, sizeof(counts),
             " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" "
             "time=\"%.3f\"",
             j.tests, j.failures, j.errors, j.skipped,
             (double)(r->ended_wall_ns - r->started_wall_ns) /
                 (double)NS_PER_S);
    buf_printf(out,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
               "<testsuites name=\"ordeal\"%s>\n  <testsuite",
               counts);
    junit_attribute(out, "name", r->scenario);
    buf_printf(out, "%s timestamp=\"%s\">\n", counts, started);
    junit_properties(r, out);
    buf_append(out, buf_text(&cases), cases.len);
    buf_puts(out, "  </testsuite>\n</testsuites>\n");
    buf_release(&cases);
}
