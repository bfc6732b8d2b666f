/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "systems/system.h"

static const struct system_ops *const systems[] = {
    &system_replica_ops,
};

const struct system_ops *
system_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(systems); i++)
        if (strcmp(systems[i]->name, name) == 0)
            return systems[i];
    return NULL;
}

bool
system_offers(const struct system_ops *s, const char *capability)
{
    for (const char *const *c = s->capabilities; *c != NULL; c++)
        if (strcmp(*c, capability) == 0)
            return true;
    return false;
}
