/* SPDX-License-Identifier: Apache-2.0 */
/* The checks around every provider. */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/provider/provider.h"

int
provider_open(struct provider *p, const struct provider_ops *ops,
              struct clock *clock, const char *uri, struct error *err)
{
    assert(ops != NULL && clock != NULL);
    *p = (struct provider){.ops = ops, .clock = clock};
    if (ops->open(p, uri, err) < 0)
        return error_wrap(err, "provider '%s'", ops->name);
    return 0;
}

int
provider_create(struct provider *p, const struct cluster_spec *spec,
                struct cluster *ret, struct error *err)
{
    assert(spec->node_count >= 1 && spec->node_count <= NODE_COUNT_MAX);
    assert(spec->door_count <= NODE_DOORS_MAX);
    assert(spec->runtime_dir != NULL && spec->runtime_dir[0] == '/');
    assert(strlen(spec->runtime_dir) < sizeof(ret->runtime_dir));
    assert(spec->run_id != NULL && spec->run_id[0] != '\0');
    assert(strlen(spec->run_id) < sizeof(ret->run_id));
    if (p->ops->create(p, spec, ret, err) < 0)
        return error_wrap(err, "provider '%s': create", p->ops->name);
    assert(ret->node_count == spec->node_count);
    return 0;
}

int
provider_power_off(struct provider *p, unsigned node, struct error *err)
{
    assert(node < NODE_COUNT_MAX);
    if (p->ops->power_off(p, node, err) < 0)
        return error_wrap(err, "node n%u: power off", node + 1);
    return 0;
}

int
provider_power_on(struct provider *p, unsigned node, struct error *err)
{
    assert(node < NODE_COUNT_MAX);
    if (p->ops->power_on(p, node, err) < 0)
        return error_wrap(err, "node n%u: power on", node + 1);
    return 0;
}

struct fabric_switch *
provider_fabric(struct provider *p)
{
    return p->ops->fabric == NULL ? NULL : p->ops->fabric(p);
}

int
provider_destroy(struct provider *p, struct error *err)
{
    if (p->ops->destroy(p, err) < 0)
        return error_wrap(err, "provider '%s': destroy", p->ops->name);
    return 0;
}

void
provider_close(struct provider *p)
{
    if (p->ops != NULL && p->state != NULL)
        p->ops->close(p);
    p->state = NULL;
}
