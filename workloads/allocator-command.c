/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator's commands as operations, and back. */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "workloads/allocator-internal.h"

static const char *const command_names[] = {
    [COMMAND_CREATE] = "create_resource", [COMMAND_RESERVE] = "reserve",
    [COMMAND_BUNDLE] = "reserve_bundle",  [COMMAND_CONFIRM] = "confirm",
    [COMMAND_RELEASE] = "release",        [COMMAND_REVOKE] = "revoke",
    [COMMAND_RECLAIM] = "reclaim",
};

static void
allocator_command_resources(const struct allocator_command *c, struct arena *a,
                            struct fields *f)
{
    struct value items[ALLOCATOR_BUNDLE_MAX] = {{0}};

    if (c->kind != COMMAND_BUNDLE) {
        fields_set_int(a, f, "resource", c->resources[0]);
        return;
    }
    for (unsigned i = 0; i < c->resource_count; i++)
        items[i] =
            (struct value){.type = VALUE_INT, .integer = c->resources[i]};
    fields_set_list(a, f, "resources", items, c->resource_count);
}

void
allocator_command_step(const struct allocator_command *c, struct arena *a,
                       struct workload_step *ret)
{
    struct fields *f = &ret->op.args;

    ret->op.id = c->id;
    ret->op.function = command_names[c->kind];
    ret->op.mutation = true;
    ret->route = ROUTE_PRIMARY;
    switch (c->kind) {
    case COMMAND_CREATE:
        allocator_command_resources(c, a, f);
        break;
    case COMMAND_RESERVE:
    case COMMAND_BUNDLE:
        allocator_command_resources(c, a, f);
        fields_set_int(a, f, "holder", c->holder);
        fields_set_int(a, f, "ttl", c->ttl);
        break;
    case COMMAND_CONFIRM:
    case COMMAND_RELEASE:
        fields_set_id(a, f, "lease", c->lease);
        fields_set_int(a, f, "holder", c->holder);
        fields_set_int(a, f, "epoch", c->epoch);
        break;
    case COMMAND_REVOKE:
    case COMMAND_RECLAIM:
        fields_set_id(a, f, "lease", c->lease);
        break;
    }
}

/* The inverse of allocator_command_step(); false for reads and ticks. */
bool
allocator_command_from(const struct operation *op,
                       struct allocator_command *ret)
{
    const struct value *list = fields_get(&op->args, "resources");
    unsigned kind = 0;

    memset(ret, 0, sizeof(*ret));
    while (kind < ARRAY_LEN(command_names) &&
           strcmp(command_names[kind], op->function) != 0)
        kind++;
    if (kind == ARRAY_LEN(command_names))
        return false;
    ret->kind = (enum allocator_command_kind)kind;
    ret->id = op->id;
    fields_id(&op->args, "lease", &ret->lease);
    fields_int(&op->args, "holder", &ret->holder);
    fields_int(&op->args, "ttl", &ret->ttl);
    fields_int(&op->args, "epoch", &ret->epoch);
    if (fields_int(&op->args, "resource", &ret->resources[0]))
        ret->resource_count = 1;
    for (size_t i = 0; list != NULL && i < list->list.count; i++) {
        assert(i < ALLOCATOR_BUNDLE_MAX);
        ret->resources[ret->resource_count++] = list->list.items[i].integer;
    }
    return true;
}

void
allocator_read_lease(struct id128 lease, const char *claim, enum route route,
                     struct arena *a, struct workload_step *ret)
{
    ret->op.function = "get_lease";
    fields_set_id(a, &ret->op.args, "lease", lease);
    fields_set_string(a, &ret->op.args, "claim", claim);
    ret->route = route;
}
