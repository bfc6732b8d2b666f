/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dual_primary: in one term one node commits.  Only answers count that the
 * answering node must have committed itself: not cached, to an operation of
 * which no other attempt can have been under way.
 */
#include "config.h"

#include <stdlib.h>

#include "analyzer/checker.h"
#include "analyzer/order.h"

struct commit {
    uint64_t term;
    uint32_t answer;
};

static int
commit_compare(const void *x, const void *y)
{
    const struct commit *a = x, *b = y;

    if (a->term != b->term)
        return a->term < b->term ? -1 : 1;
    return a->answer < b->answer ? -1 : a->answer > b->answer;
}

/* Every attempt before this one certainly did not happen. */
static bool
alone(const struct table *t, uint32_t op, uint32_t attempt)
{
    for (uint32_t at = t->operations.attempt_first[op]; at != attempt;
         at = t->attempts.next[at])
        if (t->attempts.outcome[at] != OUTCOME_FAIL)
            return false;
    return true;
}

/* Whether it says that its node committed. */
static bool
commits(const struct table *t, const struct answer *a)
{
    return !function_is_read(
               (enum function)t->operations.function[a->operation]) &&
           a->index != INDEX_NONE && !a->cached && a->node != 0 &&
           alone(t, a->operation, a->attempt);
}

/* Terms never fall and each has one node: the whole check of a history that
 * nothing is wrong with, without sorting it. */
static bool
one_node_a_term(struct checker_run *run)
{
    const struct table *t = run->table;
    const struct answer *last = NULL;

    for (uint32_t i = 0; i < t->answer_count && !checker_expired(run); i++) {
        const struct answer *a = &t->answers[i];

        if (!commits(t, a))
            continue;
        if (last != NULL && (a->term < last->term ||
                             (a->term == last->term && a->node != last->node)))
            return false;
        last = a;
    }
    return true;
}

static void
dual_primary_check(struct checker_run *run)
{
    const struct table *t = run->table;
    CLEANUP_FREE struct commit *c = NULL;
    size_t count = 0;

    if (!t->positions_total || one_node_a_term(run))
        return;
    c = xcalloc(t->answer_count + 1ul, sizeof(*c));
    for (uint32_t i = 0; i < t->answer_count && !checker_expired(run); i++) {
        if (commits(t, &t->answers[i]))
            c[count++] = (struct commit){t->answers[i].term, i};
    }
    order_nearly(c, count, sizeof(*c), commit_compare);
    for (size_t i = 1; i < count && !checker_expired(run); i++) {
        const struct answer *a = &t->answers[c[i - 1].answer];
        const struct answer *b = &t->answers[c[i].answer];
        struct text first, second;

        if (a->term != b->term || a->node == b->node)
            continue;
        first = describe_answer(t, c[i - 1].answer);
        second = describe_answer(t, c[i].answer);
        if (checker_violation(run,
                              "in term %llu both %s and %s committed: %s and "
                              "%s",
                              (unsigned long long)a->term, t->names[a->node],
                              t->names[b->node], first.s, second.s)) {
            witness_operation(run, a->operation);
            witness_operation(run, b->operation);
        }
    }
}

const struct checker_ops checker_dual_primary_ops = {
    .name = "dual_primary",
    .description = "in one term one node commits",
    .model = CHECKER_EVERY_MODEL,
    .check = dual_primary_check,
};
