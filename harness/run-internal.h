/* SPDX-License-Identifier: Apache-2.0 */
/* The state that the phases of one run share (harness/run*.c only). */
#ifndef ORDEAL_HARNESS_RUN_INTERNAL_H
#define ORDEAL_HARNESS_RUN_INTERNAL_H

#include <pthread.h>

#include "artifacts/bundle.h"
#include "artifacts/report.h"
#include "harness/load.h"
#include "harness/loss.h"
#include "harness/progress.h"
#include "harness/run.h"
#include "harness/site.h"
#include "nemesis/journal.h"
#include "nemesis/nemesis.h"
#include "nemesis/schedule.h"
#include "workloads/workload.h"

/* One question to a node that answers in milliseconds. */
#define RUN_ASK_TIMEOUT_NS (2 * NS_PER_S)

struct run {
    const struct run_options *options;
    struct run_result *result;
    struct clock *clock;
    struct scenario *scenario;
    struct scenario_evidence minimum;
    int64_t window_ns;
    uint64_t seed;
    char id[64]; /* [a-z0-9-]: names machines, directories, nft tables */
    char *replica_path, *image_dir;
    char *harm_path;     /* host path of ordeal-harm */
    json_t *expectation; /* of the planted bug, or NULL */
    json_t *failure;     /* row of the failure matrix, or NULL */
    const struct provider_ops *provider;
    const struct system_ops *system;
    struct system_options system_options;
    const struct workload_ops *workload_ops;
    struct plan plan;

    struct bundle *bundle;
    struct history_writer *history;
    struct site site;
    unsigned client_hosts; /* of the site, 0: clients use doors */
    struct loss *loss;     /* of the cluster network, NULL: no switch of ours */
    int64_t loss_look_ns;  /* when the next look is due */
    struct remote nemesis_remotes[NODE_COUNT_MAX]; /* the nemesis thread's */
    struct workload *workload;
    struct load *load;
    struct fault_world world;
    struct journal *journal;
    struct nemesis *nemesis;
    FILE *faults_file;
    struct nemesis_summary faults;
    struct load_sweep_result sweeps[2];
    struct load_resolve_result resolved;
    bool swept, finished; /* finished: the bundle has its manifest */

    bool statuses[STATUS_COUNT]; /* those that apply */
    json_t *notes;               /* what went wrong, in order: strings */
    json_t *remarks;             /* what touches no verdict: strings */
    json_t *phases;              /* {"name","started_ns","duration_ns"} */
    json_t *analysis;            /* the analyzer's result */
    json_t *own_checkers; /* results the analyzer cannot have: an array */
    bool serves;          /* again, after the heal */
    /* How each node came back, by its status at the end. */
    char recovery[NODE_COUNT_MAX][32];
    bool refused[NODE_COUNT_MAX]; /* a daemon there refused to start */
    int64_t started_wall_ns, started_ns;

    pthread_mutex_t lock; /* guards what the progress thread reads: */
    char phase[32];
    int64_t phase_deadline_ns;
};

/* A status applies, for a reason that goes into the report. */
void run_mark(struct run *r, enum run_status status, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* For people, whatever the status is: the report's notes. */
void run_remark(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* How often SIGINT or SIGTERM came in: 1 ends the load, 2 skips to the end. */
int run_signals(void);

/* status.json, for those who look while the run goes on. */
void run_write_status(struct run *r, const char *state);

/* One line of JSON on standard output; takes the reference. */
void run_tell(const struct run *r, json_t *line);

/* Adds failure_outcome to the analysis, when the scenario shows a failure. */
void run_judge_failure(struct run *r);

/* Adds unexpected_exit to own_checkers; says which nodes refused to start. */
void run_judge_exits(struct run *r);

/* Adds to the witness of availability what could not be judged for want of
 * final reads: after run_judge_exits() and the analysis. */
void run_explain_unread(struct run *r);

/* run-network.c: the cluster's wire, before, during and after the load. */
int run_network_ready(struct run *r, struct error *err);
void run_network_look(struct run *r);
void run_network_collect(struct run *r);

/* One object for each fault that was injected, from faults.jsonl: new
 * reference. */
json_t *run_fold_faults(struct run *r);

/* The phases; each returns 0, or -1 and err. */
int run_phase_plan(struct run *r, struct error *err);
int run_phase_provision(struct run *r, struct error *err);
int run_phase_deploy(struct run *r, struct error *err);
int run_phase_verify(struct run *r, struct error *err);
int run_phase_load(struct run *r, struct error *err);
int run_phase_heal(struct run *r, struct error *err);
int run_phase_sweep(struct run *r, struct error *err);
int run_phase_resolve(struct run *r, struct error *err);
int run_phase_sweep_again(struct run *r, struct error *err);
int run_phase_collect(struct run *r, struct error *err);
int run_phase_seal(struct run *r, struct error *err);
int run_phase_analyse(struct run *r, struct error *err);
int run_phase_report(struct run *r, struct error *err);
int run_phase_teardown(struct run *r, struct error *err);

#endif
