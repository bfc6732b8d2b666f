/* SPDX-License-Identifier: Apache-2.0 */
/* The list of providers, and recovery by the one that a directory names. */
#include "config.h"

#include <string.h>

#include "harness/provider/cluster.h"
#include "harness/provider/provider.h"

static const struct provider_ops *const providers[] = {
    &provider_libvirt_ops,
    &provider_local_ops,
};

const struct provider_ops *
provider_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        if (strcmp(providers[i]->name, name) == 0)
            return providers[i];
    return NULL;
}

int
provider_recover(const char *runtime_dir, struct error *err)
{
    const struct provider_ops *ops = &provider_libvirt_ops;
    struct cluster_file file;
    struct error ignored;

    if (cluster_load(runtime_dir, &file, &ignored) == 0) {
        ops = provider_find(file.provider);
        cluster_release(&file.cluster);
        if (ops == NULL)
            return error_set(err, ERROR_CONFIG, "'%s': unknown provider '%s'",
                             runtime_dir, file.provider);
    }
    return ops->recover(runtime_dir, err);
}
