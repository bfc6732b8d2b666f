/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "artifacts/status.h"

static const struct {
    const char *name;
    int exit_status;
} status_table[STATUS_COUNT] = {
    [STATUS_PASSED] = {"passed", EXIT_PASSED},
    [STATUS_INSUFFICIENT] = {"insufficient", EXIT_INSUFFICIENT},
    [STATUS_UNKNOWN] = {"unknown", EXIT_UNKNOWN},
    [STATUS_INFRA] = {"infra", EXIT_INFRA},
    [STATUS_DIRTY] = {"dirty", EXIT_DIRTY},
    [STATUS_INTERNAL] = {"internal", EXIT_INTERNAL},
    [STATUS_VIOLATION] = {"violation", EXIT_VIOLATION},
};

const char *
run_status_name(enum run_status status)
{
    assert(status < STATUS_COUNT);
    return status_table[status].name;
}

bool
run_status_parse(const char *name, enum run_status *ret)
{
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        if (strcmp(status_table[i].name, name) == 0) {
            *ret = (enum run_status)i;
            return true;
        }
    return false;
}

enum run_status
run_status_worst(enum run_status a, enum run_status b)
{
    return a > b ? a : b;
}

int
run_status_exit(enum run_status status)
{
    assert(status < STATUS_COUNT);
    return status_table[status].exit_status;
}
