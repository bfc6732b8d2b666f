/* SPDX-License-Identifier: Apache-2.0 */
/* A growing table; ranks count invocations and completions together. */
#include "config.h"

#include <stdlib.h>

#include "harness/base/arena.h"
#include "tests/simulation/history.h"

uint32_t
history_invoke(struct sim_history *h, const struct machine_op *op)
{
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 256 : 2 * h->cap;
        h->ops = xrealloc(h->ops, h->cap * sizeof(h->ops[0]));
    }
    h->ops[h->count] = (struct history_op){
        .op = *op, .invoke = h->ranks++, .complete = HISTORY_OPEN};
    return h->count++;
}

void
history_complete(struct sim_history *h, uint32_t number,
                 const struct machine_answer *answer)
{
    h->ops[number].answer = *answer;
    h->ops[number].complete = h->ranks++;
}

void
history_release(struct sim_history *h)
{
    free(h->ops);
    *h = (struct sim_history){0};
}

bool
history_judge(const struct sim_history *h, enum machine_kind kind, char *ret,
              size_t size)
{
    if (kind == MACHINE_TOY || h->count == 0)
        return true;
    return kind == MACHINE_LEASE ? history_judge_lease(h, ret, size)
                                 : history_judge_model(h, kind, ret, size);
}
