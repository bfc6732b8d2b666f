/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.md: what a person reads first.  The verdict is the first line, then
 * why, then witnesses; tables of attempts, evidence, checkers and faults; the
 * timeline; how to run it again.  A section about nothing is left out.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "artifacts/report.h"
#include "artifacts/text.h"
#include "harness/base/arena.h"
#include "harness/base/clock.h"

/* Longer lists of events are cut: the witness itself is in analysis.json. */
#define SUMMARY_EVENTS_MAX 32

static double
summary_seconds(int64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static const char *
summary_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? otherwise : text;
}

static void
summary_row(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(out, "| %s | ", name);
    text_markdown(out, value);
    buf_puts(out, " |\n");
}

static void
summary_head(const struct run_report *r, struct buf *out)
{
    char seed[24], started[21] = "";

    snprintf(seed, sizeof(seed), "%" PRIu64, r->seed);
    buf_printf(out, "# %s: ", run_status_name(report_status(r)));
    text_markdown(out, r->scenario);
    buf_puts(out, "\n\n");
    for (size_t i = 0; i < r->reason_count; i++) {
        buf_printf(out, "- **%s** ", run_status_name(r->reasons[i].status));
        text_markdown(out, r->reasons[i].text);
        buf_puts(out, "\n");
    }
    if (r->reason_count == 0)
        buf_puts(out, "Every checker is satisfied, every heal is proven, and "
                      "the evidence is enough.\n");
    buf_puts(out, "\n| | |\n|---|---|\n");
    summary_row(out, "run", r->run_id);
    summary_row(out, "seed", seed);
    summary_row(out, "system", r->system);
    summary_row(out, "planted bug", r->bug);
    summary_row(out, "workload", r->workload);
    summary_row(out, "provider", r->provider);
    if (r->started_wall_ns != 0) {
        clock_format_utc(r->started_wall_ns, started);
        buf_printf(out, "| started | %s, took %.1f s |\n", started,
                   summary_seconds(r->ended_wall_ns - r->started_wall_ns));
    }
}

static void
summary_host(const struct run_report *r, struct buf *out)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)r->host, key, value) {
        CLEANUP_FREE char *text =
            json_is_string(value)
                ? xstrdup(json_string_value(value))
                : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

        buf_puts(out, "| ");
        text_markdown(out, key);
        buf_puts(out, " | ");
        text_markdown(out, text == NULL ? "?" : text);
        buf_puts(out, " |\n");
    }
}

/* The text stands indented, so that nothing in it is Markdown. */
static void
summary_block(struct buf *out, const char *text)
{
    const char *p = text;

    while (*p != '\0') {
        size_t len = strcspn(p, "\n");

        buf_puts(out, "    ");
        text_plain(out, p, len);
        buf_puts(out, "\n");
        p += len + (p[len] == '\n');
    }
}

static void
summary_witness(const json_t *checker, struct buf *out)
{
    const json_t *witness = json_object_get(checker, "witness");
    const json_t *events = json_object_get(witness, "events");
    size_t count = json_array_size(events);

    buf_puts(out, "\n### ");
    text_markdown(out, summary_text(checker, "checker", "(no name)"));
    buf_puts(out, "\n\n");
    summary_block(out, summary_text(witness, "text",
                                    summary_text(checker, "reason", "?")));
    if (count == 0)
        return;
    buf_puts(out, "\nEvents of the history:");
    for (size_t i = 0; i < count && i < SUMMARY_EVENTS_MAX; i++)
        buf_printf(out, " %" JSON_INTEGER_FORMAT,
                   json_integer_value(json_array_get(events, i)));
    buf_puts(out, count > SUMMARY_EVENTS_MAX ? " ...\n" : "\n");
}

static void
summary_witnesses(const struct run_report *r, struct buf *out)
{
    bool any = false;
    json_t *checker;
    size_t i;

    json_array_foreach ((json_t *)r->checkers, i, checker) {
        if (strcmp(summary_text(checker, "verdict", ""), "invalid") != 0)
            continue;
        if (!any)
            buf_puts(out, "\n## Witnesses\n");
        any = true;
        summary_witness(checker, out);
    }
}

static void
summary_attempts(const struct run_report *r, struct buf *out)
{
    struct report_function sum = {.name = "all"};

    if (r->function_count == 0)
        return;
    buf_puts(out, "\n## Attempts by outcome\n\n"
                  "| function | ok | fail | unknown | open |\n"
                  "|---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i <= r->function_count; i++) {
        const struct report_function *f =
            i < r->function_count ? &r->functions[i] : &sum;

        buf_puts(out, "| ");
        text_markdown(out, f->name);
        buf_printf(
            out, " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " |\n",
            f->ok, f->fail, f->unknown, f->open);
        if (f == &sum)
            break;
        sum.ok += f->ok;
        sum.fail += f->fail;
        sum.unknown += f->unknown;
        sum.open += f->open;
    }
    buf_printf(out,
               "\n%" PRIu64 " operations had an attempt in doubt; %" PRIu64
               " of them got an answer later.\n",
               r->ambiguous_count, r->resolved_count);
}

static void
summary_evidence(const struct run_report *r, struct buf *out)
{
    if (r->evidence_count == 0)
        return;
    buf_puts(out, "\n## Evidence\n\n| evidence | is | needs | |\n"
                  "|---|---:|---:|---|\n");
    for (size_t i = 0; i < r->evidence_count; i++) {
        const struct report_evidence *e = &r->evidence[i];

        buf_puts(out, "| ");
        text_markdown(out, e->name);
        buf_printf(out, " | %" PRId64 " | %" PRId64 " | %s |\n", e->value,
                   e->minimum, e->ok ? "ok" : "**too little**");
    }
}

static void
summary_checkers(const struct run_report *r, struct buf *out)
{
    json_t *checker;
    size_t i;

    if (json_array_size(r->checkers) == 0)
        return;
    buf_puts(out, "\n## Checkers\n\n| checker | verdict | findings | reason |\n"
                  "|---|---|---:|---|\n");
    json_array_foreach ((json_t *)r->checkers, i, checker) {
        buf_puts(out, "| ");
        text_markdown(out, summary_text(checker, "checker", "(no name)"));
        buf_puts(out, " | ");
        text_markdown(out, summary_text(checker, "verdict", "(none)"));
        buf_printf(out, " | %" JSON_INTEGER_FORMAT " | ",
                   json_integer_value(json_object_get(checker, "count")));
        text_markdown(
            out, summary_text(checker, "reason",
                              summary_text(json_object_get(checker, "witness"),
                                           "text", "")));
        buf_puts(out, " |\n");
    }
}

static void
summary_fault_time(const json_t *fault, const char *key, struct buf *out)
{
    const json_t *v = json_object_get(fault, key);

    if (json_is_integer(v))
        buf_printf(out, " %.1f s |", summary_seconds(json_integer_value(v)));
    else
        buf_puts(out, " - |");
}

static void
summary_fault(const json_t *fault, struct buf *out)
{
    const json_t *nodes = json_object_get(fault, "nodes");
    const json_t *node;
    size_t i;

    buf_printf(out, "| %" JSON_INTEGER_FORMAT " | ",
               json_integer_value(json_object_get(fault, "id")));
    text_markdown(out, summary_text(fault, "fault", "?"));
    buf_puts(out, " |");
    json_array_foreach ((json_t *)nodes, i, node) {
        const char *name = json_string_value(node);

        buf_puts(out, " ");
        text_markdown(out, name == NULL ? "?" : name);
    }
    if (json_is_true(json_object_get(fault, "primary")))
        buf_puts(out, " (primary)");
    buf_puts(out, " |");
    summary_fault_time(fault, "injected_ns", out);
    summary_fault_time(fault, "healed_ns", out);
    buf_puts(out, " ");
    text_markdown(out, summary_text(fault, "effect", "not proven"));
    buf_puts(out, " | ");
    text_markdown(out, summary_text(fault, "heal", "not proven"));
    buf_puts(out, " |\n");
}

static void
summary_faults(const struct run_report *r, struct buf *out)
{
    json_t *fault;
    size_t i;

    if (json_array_size(r->faults) == 0)
        return;
    buf_puts(out, "\n## Faults\n\n"
                  "| | fault | nodes | injected | healed | proof of effect | "
                  "proof of heal |\n|---:|---|---|---:|---:|---|---|\n");
    json_array_foreach ((json_t *)r->faults, i, fault) {
        summary_fault(fault, out);
    }
}

/* Phases and moments, merged by time; both come in order. */
static void
summary_timeline(const struct run_report *r, struct buf *out)
{
    size_t p = 0, m = 0;

    if (r->phase_count + r->moment_count == 0)
        return;
    buf_puts(out, "\n## Timeline\n\n");
    while (p < r->phase_count || m < r->moment_count) {
        if (m == r->moment_count ||
            (p < r->phase_count &&
             r->phases[p].start_ns <= r->timeline[m].time_ns)) {
            const struct report_phase *phase = &r->phases[p++];

            buf_printf(out, "- %.1f s: **", summary_seconds(phase->start_ns));
            text_markdown(out, phase->name);
            buf_printf(out, "** (%.1f s)", summary_seconds(phase->duration_ns));
            if (phase->problem != NULL) {
                buf_puts(out, ": ");
                text_markdown(out, phase->problem);
            }
            buf_puts(out, "\n");
        } else {
            const struct report_moment *moment = &r->timeline[m++];

            buf_printf(out, "- %.1f s: ", summary_seconds(moment->time_ns));
            text_markdown(out, moment->text);
            buf_puts(out, "\n");
        }
    }
}

void
summary_render(const struct run_report *r, struct buf *out)
{
    summary_head(r, out);
    summary_host(r, out);
    summary_witnesses(r, out);
    summary_attempts(r, out);
    summary_evidence(r, out);
    summary_checkers(r, out);
    summary_faults(r, out);
    summary_timeline(r, out);
    if (r->note_count > 0)
        buf_puts(out, "\n## Notes\n\n");
    for (size_t i = 0; i < r->note_count; i++) {
        buf_puts(out, "- ");
        text_markdown(out, r->notes[i]);
        buf_puts(out, "\n");
    }
    buf_puts(out, "\n## To run it again\n\n    ./repro.sh\n");
}
