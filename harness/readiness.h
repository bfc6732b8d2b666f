/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine needs for a run, hop by hop; each check has the exact fix
 * for its failure.  'doctor' prints them, 'plan' and 'run' ask for the quick
 * ones before they start anything.
 */
#ifndef ORDEAL_HARNESS_READINESS_H
#define ORDEAL_HARNESS_READINESS_H

#include <stdbool.h>

#include "harness/base/error.h"

struct readiness_result {
    bool ok;
    char found[256]; /* "QEMU 7.2.22", or what is wrong */
    char fix[256];   /* "" when ok */
};

struct readiness_check {
    const char *name, *what;
    bool quick; /* milliseconds, no virtual machine */
    void (*check)(struct readiness_result *ret);
};

extern const struct readiness_check readiness_checks[];
extern const unsigned readiness_check_count;

/* The first quick check that fails, as an error; 0 when all hold. */
int readiness_quick(struct error *err);

#endif
