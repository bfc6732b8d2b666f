/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/holds.h"

bool
hold_is_ending(enum function f)
{
    return f == FUNCTION_CONFIRM_HOLD || f == FUNCTION_RELEASE_HOLD ||
           f == FUNCTION_EXPIRE_HOLD;
}

static struct hold_fact *
hold_of(struct hold_facts *h, uint32_t id)
{
    if (h->of_id[id] == TABLE_NONE) {
        h->of_id[id] = h->count;
        h->items[h->count++] = (struct hold_fact){.id = id,
                                                  .placed = TABLE_NONE,
                                                  .placed_again = TABLE_NONE,
                                                  .ended = TABLE_NONE,
                                                  .ended_again = TABLE_NONE,
                                                  .over = INDEX_NONE};
    }
    return &h->items[h->of_id[id]];
}

static void
hold_note(uint32_t *first, uint32_t *again, uint32_t op)
{
    if (*first == TABLE_NONE)
        *first = op;
    else if (*again == TABLE_NONE)
        *again = op;
}

static void
hold_add_ending(struct hold_facts *h, const struct facts *f, uint32_t op)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;
    struct hold_fact *hold =
        hold_of(h, t->lists[o->resources[op].first + HOLD_ID]);
    const struct answer *a;

    if (o->outcome[op] == OUTCOME_UNKNOWN || facts_may_repeat(f, op))
        hold->doubtful = true;
    if (o->answer[op] == TABLE_NONE)
        return;
    a = &t->answers[o->answer[op]];
    if (a->code == CODE_OK)
        hold_note(&hold->ended, &hold->ended_again, op);
    /* Whatever made it so, it is over by then. */
    if ((a->code == CODE_OK || a->code == CODE_HOLD_EXPIRED) &&
        a->index < hold->over)
        hold->over = a->index;
}

void
hold_facts_init(struct hold_facts *h, const struct facts *f)
{
    const struct table *t = f->table;
    const struct operations *o = &t->operations;

    h->count = 0;
    h->items = xcalloc(t->id_count + 1ul, sizeof(*h->items));
    h->of_id = xcalloc(t->id_count + 1ul, sizeof(*h->of_id));
    for (uint32_t i = 0; i < t->id_count; i++)
        h->of_id[i] = TABLE_NONE;
    for (uint32_t op = 0; op < o->count; op++) {
        enum function fn = (enum function)o->function[op];
        struct hold_fact *hold;

        if (hold_is_ending(fn)) {
            hold_add_ending(h, f, op);
        } else if (fn == FUNCTION_PLACE_HOLD && o->answer[op] != TABLE_NONE &&
                   t->answers[o->answer[op]].code == CODE_OK) {
            hold = hold_of(h, t->lists[o->resources[op].first + PLACE_HOLD]);
            hold_note(&hold->placed, &hold->placed_again, op);
        }
    }
}

void
hold_facts_release(struct hold_facts *h)
{
    free(h->items);
    free(h->of_id);
}
