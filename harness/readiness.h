/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine needs for a run, hop by hop; each check has the exact fix
 * for its failure.  'doctor' prints all of them, 'plan' and 'run' ask for the
 * quick ones before they start anything.
 */
#ifndef ORDEAL_HARNESS_READINESS_H
#define ORDEAL_HARNESS_READINESS_H

#include <stdbool.h>

#include "harness/base/error.h"

struct readiness_result {
    bool ok;
    char found[640]; /* "/usr/bin/qemu-system-x86_64", or what is wrong */
    char fix[256];   /* what to do; "" when ok */
};

struct readiness_check {
    const char *name;
    bool quick; /* milliseconds, starts no process */
    void (*check)(struct readiness_result *ret);
};

/* Ends with a check whose name is NULL. */
extern const struct readiness_check readiness_checks[];

/* The first quick check that fails, as ERROR_ENVIRONMENT; 0 when all hold. */
int readiness_quick(struct error *err);

#endif
