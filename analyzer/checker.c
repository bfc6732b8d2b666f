/* SPDX-License-Identifier: Apache-2.0 */
/* What all checkers share: findings and deadlines. */
#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/checker.h"

const char *
verdict_name(enum verdict v)
{
    static const char *const names[] = {[VERDICT_VALID] = "valid",
                                        [VERDICT_UNKNOWN] = "unknown",
                                        [VERDICT_INVALID] = "invalid"};

    assert((unsigned)v < ARRAY_LEN(names));
    return names[v];
}

enum verdict
verdict_worst(enum verdict a, enum verdict b)
{
    return a > b ? a : b;
}

const struct checker_ops *
checker_find(const char *name)
{
    for (unsigned i = 0; checker_registry[i] != NULL; i++)
        if (strcmp(checker_registry[i]->name, name) == 0)
            return checker_registry[i];
    return NULL;
}

bool
checker_judges(const struct checker_ops *ops, const char *model)
{
    const char *own = ops->model == NULL ? "allocator" : ops->model;

    return strcmp(own, CHECKER_EVERY_MODEL) == 0 || strcmp(own, model) == 0;
}

bool
checker_expired_now(struct checker_run *run)
{
    if (clock_now_ns(run->clock) < run->deadline_ns)
        return false;
    checker_unknown(run, "the deadline passed before all was judged");
    run->polls--; /* stays expired */
    return true;
}

bool
checker_violation(struct checker_run *run, const char *fmt, ...)
{
    struct finding *f = &run->finding;
    va_list ap;

    if (f->verdict == VERDICT_INVALID) {
        f->count++;
        return false;
    }
    f->verdict = VERDICT_INVALID;
    f->count = 1;
    f->reason[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
    return true;
}

void
checker_unknown(struct checker_run *run, const char *fmt, ...)
{
    struct finding *f = &run->finding;
    va_list ap;

    if (f->verdict == VERDICT_INVALID)
        return;
    f->count++;
    if (f->verdict == VERDICT_UNKNOWN)
        return;
    f->verdict = VERDICT_UNKNOWN;
    va_start(ap, fmt);
    vsnprintf(f->reason, sizeof(f->reason), fmt, ap);
    va_end(ap);
}

/* Kept in order and once each. */
void
witness_event(struct checker_run *run, uint32_t event)
{
    struct finding *f = &run->finding;
    uint32_t at = f->event_count;

    if (event == TABLE_NONE || at == WITNESS_EVENTS_MAX)
        return;
    for (uint32_t i = 0; i < at; i++)
        if (f->events[i] == event)
            return;
    while (at > 0 && f->events[at - 1] > event) {
        f->events[at] = f->events[at - 1];
        at--;
    }
    f->events[at] = event;
    f->event_count++;
}

void
witness_operation(struct checker_run *run, uint32_t op)
{
    const struct table *t = run->table;

    if (op == TABLE_NONE)
        return;
    witness_event(run, t->operations.invoke[op]);
    witness_event(run, t->operations.end[op]);
    for (uint32_t at = t->operations.attempt_first[op]; at != TABLE_NONE;
         at = t->attempts.next[at]) {
        if (run->finding.event_count == WITNESS_EVENTS_MAX)
            return;
        witness_event(run, t->attempts.invoke[at]);
        witness_event(run, t->attempts.complete[at]);
    }
}
