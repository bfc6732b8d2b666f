/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "workloads/workload.h"

static const struct workload_ops *const workloads[] = {
    &workload_reservation_contention_ops,
};

const struct workload_ops *
workload_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(workloads); i++)
        if (strcmp(workloads[i]->name, name) == 0)
            return workloads[i];
    return NULL;
}
