/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "artifacts/text.h"
#include "harness/base/arena.h"
#include "harness/base/buf.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/gate/state.h"
#include "harness/gate/table.h"

/* Two thousand rows with their reasons. */
#define TABLE_BYTES_MAX (8u << 20)

static const char *
table_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static json_int_t
table_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* ---- live ---- */

void
gate_live_begin(struct gate_live *live, bool quiet)
{
    *live =
        (struct gate_live){.quiet = quiet, .terminal = isatty(STDERR_FILENO)};
}

static void
gate_live_clear(struct gate_live *live)
{
    for (unsigned i = 0; i < live->drawn; i++)
        fputs("\033[A\033[2K", stderr);
    live->drawn = 0;
}

static size_t
table_count(const json_t *state, const char *in)
{
    size_t i, count = 0;
    json_t *row;

    json_array_foreach (gate_state_rows(state), i, row) {
        count += gate_row_is(row, in);
    }
    return count;
}

void
gate_live_draw(struct gate_live *live, const json_t *state,
               const struct lane *lanes, unsigned lane_count, int64_t now_ns)
{
    if (live->quiet || !live->terminal)
        return;
    gate_live_clear(live);
    for (unsigned i = 0; i < lane_count; i++) {
        const struct lane *lane = &lanes[i];

        if (lane->row == NULL)
            fprintf(stderr, "lane %u  idle\n", i + 1);
        else
            fprintf(stderr,
                    "lane %u  %3" PRId64 " %-44.44s %-10.10s %5" PRId64 " s\n",
                    i + 1, (int64_t)table_number(lane->row, "number"),
                    table_text(lane->row, "scenario"), lane->phase,
                    (now_ns - lane->started_ns) / NS_PER_S);
    }
    fprintf(stderr, "%zu done, %zu waiting, %zu blocked, of %zu\n",
            table_count(state, "done"), table_count(state, "waiting"),
            table_count(state, "blocked"),
            json_array_size(gate_state_rows(state)));
    live->drawn = lane_count + 1;
    fflush(stderr);
}

void
gate_live_end(struct gate_live *live)
{
    gate_live_clear(live);
    fflush(stderr);
}

void
gate_tell_begin(struct gate_live *live, const json_t *row, unsigned lane)
{
    const char *bug = table_text(row, "bug");

    if (live->quiet)
        return;
    gate_live_clear(live);
    fprintf(stderr, "row %" PRId64 "  lane %u  %s%s%s begins (%" PRId64 " s)\n",
            (int64_t)table_number(row, "number"), lane,
            table_text(row, "scenario"), bug[0] == '\0' ? "" : ", bug ", bug,
            (int64_t)table_number(row, "window_ns") / NS_PER_S);
}

void
gate_tell_end(struct gate_live *live, const json_t *row)
{
    const json_t *attempt = gate_row_attempt(row);

    if (live->quiet)
        return;
    gate_live_clear(live);
    fprintf(stderr, "row %" PRId64 "  %s: %s%s%s\n",
            (int64_t)table_number(row, "number"), table_text(row, "scenario"),
            table_text(attempt, "status"),
            table_text(attempt, "text")[0] == '\0' ? "" : ": ",
            table_text(attempt, "text"));
}

/* ---- at the end ---- */

/* The value of one item of the run's evidence; -1: it has none. */
static int64_t
table_evidence(const json_t *attempt, const char *name)
{
    size_t i;
    json_t *item;

    json_array_foreach (json_object_get(attempt, "evidence"), i, item) {
        if (strcmp(table_text(item, "name"), name) == 0)
            return json_integer_value(json_object_get(item, "value"));
    }
    return -1;
}

static const char *
table_row_status(const json_t *row)
{
    if (gate_row_is(row, "blocked"))
        return "BLOCKED";
    return gate_row_is(row, "done") ? table_text(row, "status") : "missing";
}

/* Why the row is not simply passed: of the attempt, of the run, of this
 * machine. */
static const char *
table_row_reason(const json_t *row)
{
    const json_t *attempt = gate_row_attempt(row);
    const json_t *reasons = json_object_get(attempt, "reasons");

    if (gate_row_is(row, "blocked"))
        return table_text(row, "blocked");
    if (table_text(attempt, "text")[0] != '\0')
        return table_text(attempt, "text");
    return table_text(json_array_get(reasons, 0), "text");
}

static const struct table_column {
    const char *title, *evidence;
} table_columns[] = {
    {"OPS", "operations"},
    {"UNKNOWN", "unknown_attempts"},
    {"RESOLVED", "ambiguities_resolved"},
    {"LEADERS", "leader_changes"},
    {"FAULTS", "faults_confirmed"},
};

static void
table_print_row(const json_t *row)
{
    const json_t *attempt = gate_row_attempt(row);
    const char *bug = table_text(row, "bug"), *reason = table_row_reason(row);

    printf("%3" PRId64 "  %-12s %-42s %5" PRId64,
           (int64_t)table_number(row, "number"), table_row_status(row),
           table_text(row, "scenario"),
           (int64_t)table_number(row, "window_ns") / NS_PER_S);
    for (size_t i = 0; i < ARRAY_LEN(table_columns); i++) {
        int64_t value = table_evidence(attempt, table_columns[i].evidence);

        if (value < 0)
            printf(" %8s", "-");
        else
            printf(" %8" PRId64, value);
    }
    printf("%s%s%s\n", bug[0] == '\0' ? "" : "  bug ", bug,
           json_array_size(json_object_get(row, "attempts")) > 1
               ? "  more than one attempt"
               : "");
    if (reason[0] != '\0')
        printf("     why          %s\n", reason);
    if (table_text(attempt, "bundle")[0] != '\0' &&
        strcmp(table_row_status(row), "passed") != 0)
        printf("     bundle       %s\n", table_text(attempt, "bundle"));
}

static void
table_print_claims(const json_t *state)
{
    size_t i;
    json_t *claim;

    printf("\n%-12s %s\n", "CLAIM", "");
    json_array_foreach (json_object_get(state, "claims"), i, claim) {
        printf("%-12s %s: %s\n", table_text(claim, "state"),
               table_text(claim, "id"), table_text(claim, "claim"));
        if (table_text(claim, "missing")[0] != '\0')
            printf("             not proven: %s\n",
                   table_text(claim, "missing"));
        if (strcmp(table_text(claim, "state"), "PROVEN") != 0)
            printf("             owner: %s; first proof that would close it: "
                   "%s\n",
                   table_text(claim, "owner"), table_text(claim, "closes"));
        printf("             residual risk: %s\n",
               table_text(claim, "residual"));
    }
}

/* The first row whose run shows a failure has the whole table printed. */
static void
table_print_failures(const json_t *state)
{
    bool begun = false;
    size_t i;
    json_t *row;

    json_array_foreach (gate_state_rows(state), i, row) {
        const json_t *failure =
            json_object_get(gate_row_attempt(row), "failure");
        const char *observed = table_text(failure, "observed");

        if (failure == NULL)
            continue;
        if (!begun)
            printf("\n%-32s %-21s %-21s\n", "FAILURE", "EXPECTED", "OBSERVED");
        begun = true;
        printf("%-32s %-21s %-21s %s\n", table_text(failure, "failure"),
               table_text(failure, "expected"),
               observed[0] == '\0' ? "fits no outcome" : observed,
               table_text(failure, "reason"));
    }
}

void
gate_print(const json_t *state, const char *dir)
{
    size_t i;
    json_t *row;

    printf("%3s  %-12s %-42s %5s", "#", "STATUS", "RUN", "S");
    for (size_t k = 0; k < ARRAY_LEN(table_columns); k++)
        printf(" %8s", table_columns[k].title);
    printf("\n");
    json_array_foreach (gate_state_rows(state), i, row) {
        table_print_row(row);
    }
    table_print_failures(state);
    table_print_claims(state);
    printf("\n%s  gate %s  (seed %s)\n", table_text(state, "status"),
           table_text(state, "suite"), table_text(state, "seed"));
    if (!json_is_true(json_object_get(state, "release")))
        printf("note     suite '%s' counts for no release\n",
               table_text(state, "suite"));
    if (strcmp(table_text(state, "state"), "finished") != 0)
        printf("note     rows are missing: ordeal gate --resume %s\n", dir);
    printf("report   %s/summary.md\n", dir);
    fflush(stdout);
}

void
gate_print_json(const json_t *state)
{
    json_dumpf(state, stdout, JSON_INDENT(2));
    putchar('\n');
    fflush(stdout);
}

/* ---- files ---- */

static void
table_cell(struct buf *out, const char *text)
{
    buf_puts(out, " ");
    text_markdown(out, text);
    buf_puts(out, " |");
}

static void
table_markdown_row(struct buf *out, const json_t *row)
{
    const json_t *attempt = gate_row_attempt(row);

    buf_printf(out, "| %" PRId64 " |", (int64_t)table_number(row, "number"));
    table_cell(out, table_row_status(row));
    table_cell(out, table_text(row, "scenario"));
    table_cell(out, table_text(row, "bug"));
    buf_printf(out, " %" PRId64 " s%s |",
               (int64_t)table_number(row, "window_ns") / NS_PER_S,
               json_is_true(json_object_get(row, "shortened")) ? ", shortened"
                                                               : "");
    for (size_t i = 0; i < ARRAY_LEN(table_columns); i++) {
        int64_t value = table_evidence(attempt, table_columns[i].evidence);

        if (value < 0)
            buf_puts(out, " - |");
        else
            buf_printf(out, " %" PRId64 " |", value);
    }
    table_cell(out, table_row_reason(row));
    table_cell(out, table_text(attempt, "bundle"));
    buf_puts(out, "\n");
}

static void
table_markdown_failures(struct buf *out, const json_t *state)
{
    size_t i;
    json_t *row;

    buf_puts(out, "\n## Failures\n\n| failure | expected | observed | why "
                  "|\n|---|---|---|---|\n");
    json_array_foreach (gate_state_rows(state), i, row) {
        const json_t *failure =
            json_object_get(gate_row_attempt(row), "failure");

        if (failure == NULL)
            continue;
        buf_puts(out, "|");
        table_cell(out, table_text(failure, "failure"));
        table_cell(out, table_text(failure, "expected"));
        table_cell(out, table_text(failure, "observed"));
        table_cell(out, table_text(failure, "reason"));
        buf_puts(out, "\n");
    }
}

static void
table_markdown(struct buf *out, const json_t *state)
{
    size_t i;
    json_t *item;

    buf_printf(out, "# %s: gate %s\n\n", table_text(state, "status"),
               table_text(state, "suite"));
    buf_printf(out, "Seed %s, from %s to %s.%s\n\n", table_text(state, "seed"),
               table_text(state, "started_at"), table_text(state, "ended_at"),
               json_is_true(json_object_get(state, "release"))
                   ? ""
                   : " Counts for no release.");
    buf_puts(out, "| # | status | run | bug | window |");
    for (size_t k = 0; k < ARRAY_LEN(table_columns); k++)
        buf_printf(out, " %s |", table_columns[k].evidence);
    buf_puts(out, " why | bundle |\n|---|---|---|---|---|---|---|---|---|---|"
                  "---|---|\n");
    json_array_foreach (gate_state_rows(state), i, item) {
        table_markdown_row(out, item);
    }
    table_markdown_failures(out, state);
    buf_puts(out, "\n## Claims\n\n| state | claim | what is not proven | "
                  "residual risk | owner | first proof that would close it "
                  "|\n|---|---|---|---|---|---|\n");
    json_array_foreach (json_object_get(state, "claims"), i, item) {
        buf_puts(out, "|");
        table_cell(out, table_text(item, "state"));
        table_cell(out, table_text(item, "claim"));
        table_cell(out, table_text(item, "missing"));
        table_cell(out, table_text(item, "residual"));
        table_cell(out, table_text(item, "owner"));
        table_cell(out, table_text(item, "closes"));
        buf_puts(out, "\n");
    }
}

/* A row is a case: violation is a failure, anything else but passed an error,
 * a blocked row is skipped. */
static void
table_junit_row(struct buf *out, const json_t *row, unsigned counts[3])
{
    const char *status = table_row_status(row);
    const char *element = NULL;

    if (strcmp(status, "violation") == 0) {
        element = "failure";
        counts[0]++;
    } else if (strcmp(status, "BLOCKED") == 0) {
        element = "skipped";
        counts[2]++;
    } else if (strcmp(status, "passed") != 0) {
        element = "error";
        counts[1]++;
    }
    buf_puts(out, "  <testcase classname=\"gate\" name=\"");
    text_xml(out, table_text(row, "scenario"));
    buf_printf(out, " #%" PRId64 "\" time=\"%" PRId64 "\"",
               (int64_t)table_number(row, "number"),
               (int64_t)table_number(gate_row_attempt(row), "seconds"));
    if (element == NULL) {
        buf_puts(out, "/>\n");
        return;
    }
    buf_printf(out, ">\n    <%s message=\"%s: ", element, status);
    text_xml(out, table_row_reason(row));
    buf_puts(out, "\"/>\n  </testcase>\n");
}

static void
table_junit(struct buf *out, const json_t *state)
{
    unsigned counts[3] = {0};
    struct buf cases;
    size_t i;
    json_t *row;

    buf_init(&cases, TABLE_BYTES_MAX);
    json_array_foreach (gate_state_rows(state), i, row) {
        table_junit_row(&cases, row, counts);
    }
    buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<testsuite name=\"gate ");
    text_xml(out, table_text(state, "suite"));
    buf_printf(out,
               "\" tests=\"%zu\" failures=\"%u\" errors=\"%u\" skipped=\"%u\""
               ">\n",
               json_array_size(gate_state_rows(state)), counts[0], counts[1],
               counts[2]);
    buf_append(out, buf_text(&cases), cases.len);
    buf_puts(out, "</testsuite>\n");
    buf_release(&cases);
}

static int
table_write(const char *dir, const char *name, const json_t *state,
            void (*render)(struct buf *out, const json_t *state),
            struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
    struct buf out;
    int result;

    buf_init(&out, TABLE_BYTES_MAX);
    render(&out, state);
    result = file_write_atomic(path, buf_text(&out), out.len, 0644, err);
    buf_release(&out);
    return result;
}

int
gate_write_reports(const char *dir, const json_t *state, struct error *err)
{
    if (table_write(dir, "summary.md", state, table_markdown, err) < 0)
        return -1;
    return table_write(dir, "junit.xml", state, table_junit, err);
}
