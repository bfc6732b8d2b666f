/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status of a run, how several merge, and the exit status of the command
 * (docs/ARCHITECTURE.md, "Status").
 */
#ifndef ORDEAL_ARTIFACTS_STATUS_H
#define ORDEAL_ARTIFACTS_STATUS_H

#include <stdbool.h>

/* From best to worst: the worst that applies is the run's status. */
enum run_status {
    STATUS_PASSED,
    STATUS_INSUFFICIENT, /* too little evidence */
    STATUS_UNKNOWN,      /* a checker could not decide */
    STATUS_INFRA,        /* provider, remote or driver failed, shown */
    STATUS_DIRTY,        /* a heal is not proven */
    STATUS_INTERNAL,     /* our bug */
    STATUS_VIOLATION,    /* nothing ever masks this */
};
#define STATUS_COUNT 7

#define EXIT_PASSED 0
#define EXIT_VIOLATION 1
#define EXIT_UNKNOWN 2
#define EXIT_INFRA 3
#define EXIT_INSUFFICIENT 4
#define EXIT_DIRTY 5
#define EXIT_USAGE 64
#define EXIT_INTERNAL 70

const char *run_status_name(enum run_status status); /* "passed", ... */
bool run_status_parse(const char *name, enum run_status *ret);
enum run_status run_status_worst(enum run_status a, enum run_status b);
int run_status_exit(enum run_status status);

#endif
