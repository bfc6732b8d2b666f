/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about one run when it ends: plain data that the driver fills
 * in and that manifest, JUnit and summary are rendered from.  Nothing here
 * knows the driver.
 *
 * Everything is borrowed: strings, arrays and JSON must outlive the report.
 * Zero and NULL mean "not known" and are left out of what is rendered; only
 * 'scenario' and the names inside the arrays are never NULL.
 *
 * Shapes of the JSON:
 *   checkers  [{"checker":"double_allocation","verdict":"invalid",
 *               "reason":"...","count":1,
 *               "witness":{"text":"...","events":[12,19]}}, ...]
 *             verdict: valid, invalid, unknown, or not_applicable
 *   faults    [{"id":1,"fault":"kill","nodes":["n1"],"primary":true,
 *               "injected_ns":1200000000,"healed_ns":4100000000,
 *               "effect":"confirmed","heal":"confirmed"}, ...]
 *             times since the start of the run; effect and heal: confirmed,
 *             mismatch, inconclusive
 *   host      any object (kernel, accelerator, versions)
 */
#ifndef ORDEAL_ARTIFACTS_REPORT_H
#define ORDEAL_ARTIFACTS_REPORT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "artifacts/status.h"
#include "harness/base/buf.h"

/* A rendered text; a witness is small, so this is never reached. */
#define REPORT_TEXT_BYTES_MAX (16u << 20)

/* One status that applies, and why.  STATUS_PASSED is never listed. */
struct report_reason {
    enum run_status status;
    const char *text; /* "node n2: heal of fault 3 not proven: ..." */
};

struct report_phase {
    const char *name; /* "provision" */
    int64_t start_ns; /* since the start of the run */
    int64_t duration_ns;
    const char *problem; /* NULL: it went well */
};

/* Attempts of one function, by outcome; 'open' ones have no completion. */
struct report_function {
    const char *name;
    uint64_t ok, fail, unknown, open;
};

struct report_evidence {
    const char *name; /* "primary_hits" */
    int64_t value, minimum;
    bool ok;
};

/* A sentence of the timeline: "primary moved from n1 to n3". */
struct report_moment {
    int64_t time_ns; /* since the start of the run */
    const char *text;
};

struct run_report {
    const char *run_id;    /* of the bundle */
    const char *scenario;  /* id */
    bool scenario_is_file; /* it does not ship: repeat from the bundle's copy */
    const char *system, *workload, *provider, *bug;
    uint64_t seed;
    /* Further words of the command line, as they were: "--window", "60s". */
    const char *const *options;
    size_t option_count;
    int64_t started_wall_ns, ended_wall_ns;

    const struct report_reason *reasons;
    size_t reason_count;
    const struct report_phase *phases;
    size_t phase_count;
    const struct report_function *functions;
    size_t function_count;
    /* Operations with an unknown attempt, and those answered later. */
    uint64_t ambiguous_count, resolved_count;
    const struct report_evidence *evidence;
    size_t evidence_count;
    const struct report_moment *timeline;
    size_t moment_count;
    const char *const *notes; /* teardown problems and the like */
    size_t note_count;
    const json_t *checkers, *faults, *host; /* shapes above, or NULL */
};

/* The worst reason; with none, passed. */
enum run_status report_status(const struct run_report *r);

bool report_applies(const struct run_report *r, enum run_status status);

/*
 * Adds to *reasons what checkers and evidence mean: invalid is violation,
 * unknown is unknown, evidence that is not ok is insufficient; without any
 * checker the run is unknown.  The texts live in the arena.  Returns how many
 * were written; at most 'max'.
 */
struct arena;
size_t report_judge(const struct run_report *r, struct arena *a,
                    struct report_reason *reasons, size_t max);

/* ---- rendered into 'out', which was made with REPORT_TEXT_BYTES_MAX ---- */

/* JUnit: one testcase per checker, per evidence item, and for the run. */
void junit_render(const struct run_report *r, struct buf *out);

/* Markdown for people; the verdict is in the first line. */
void summary_render(const struct run_report *r, struct buf *out);

/* A POSIX shell script that runs the scenario again. */
void repro_render(const struct run_report *r, struct buf *out);

/* The manifest without its list of files; new reference. */
json_t *report_to_json(const struct run_report *r);

#endif
