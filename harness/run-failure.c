/* SPDX-License-Identifier: Apache-2.0 */
/* What the failure that a scenario shows came to (harness/failure.h). */
#include "config.h"

#include "harness/failure.h"
#include "harness/run-internal.h"

void
run_judge_failure(struct run *r)
{
    const struct cluster *c = &r->site.cluster;
    struct failure_node nodes[NODE_COUNT_MAX];
    const struct failure_seen seen = {
        .faults =
            json_object_get(json_object_get(r->analysis, "evidence"), "faults"),
        .serves = r->serves,
        .nodes = nodes,
        .node_count = c->node_count,
    };
    json_t *result;

    if (r->failure == NULL)
        return;
    for (unsigned i = 0; i < c->node_count; i++)
        nodes[i] = (struct failure_node){c->nodes[i].name, r->recovery[i],
                                         r->refused[i]};
    result = failure_judge(r->scenario->failure, r->failure, &seen);
    if (json_object_get(result, "observed") == NULL ||
        json_is_null(json_object_get(result, "observed")))
        run_mark(r, STATUS_INTERNAL,
                 "what was observed of the failure '%s' fits no outcome: %s",
                 r->scenario->failure,
                 json_string_value(json_object_get(result, "reason")));
    json_array_append_new(json_object_get(r->analysis, "checkers"), result);
}
