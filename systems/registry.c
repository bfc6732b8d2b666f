/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "systems/system.h"

static const struct system_ops *const systems[] = {
    &system_replica_ops,
    &system_custom_ops,
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

bool
system_serves(const struct system_ops *s, const json_t *params,
              const char *capability)
{
    const json_t *list = json_object_get(params, "capabilities");
    size_t i;
    json_t *name;

    if (!json_is_array(list))
        return system_offers(s, capability);
    json_array_foreach ((json_t *)list, i, name) {
        if (json_is_string(name) &&
            strcmp(json_string_value(name), capability) == 0)
            return system_offers(s, capability);
    }
    return false;
}
