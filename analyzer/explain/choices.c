/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choices: of every open call that the core could have used it is tried that it
 * took effect, and that it did not.  The search that made the core has tried
 * all of their combinations; this says so call by call, and looks again.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/relevant.h"
#include "analyzer/explain/suppose.h"
#include "analyzer/explain/words.h"

/* For all choices of one explanation. */
#define CHOICES_NS (500 * NS_PER_MS)

struct choosing {
    const struct problem *p;
    const struct decision *d;
    uint8_t *role;
    uint32_t end; /* the last answer of the core */
};

/* Those of the core are firm. */
static void
choosing_roles(struct choosing *ch)
{
    const struct problem *p = ch->p;
    const struct calls *c = p->calls;
    uint32_t at = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);

        ch->role[i] = SUPPOSED_MAYBE;
        if (at == ch->d->core_count || ch->d->core[at] != call)
            continue;
        if (words_firm(ch->d, at) && c->complete[call] != CALL_OPEN) {
            ch->role[i] = SUPPOSED_FIRM;
            if (c->complete[call] > ch->end)
                ch->end = c->complete[call];
        }
        at++;
    }
    relevant_maybes(p, ch->role);
}

static bool
choosing_takes(const struct choosing *ch, uint32_t i)
{
    const struct calls *c = ch->p->calls;
    uint32_t call = problem_call(ch->p, i);

    return ch->role[i] == SUPPOSED_MAYBE && c->complete[call] == CALL_OPEN &&
           c->invoke[call] < ch->end;
}

static void
choosing_try(struct choosing *ch, struct suppose *s, uint32_t i,
             struct choice *ret)
{
    struct budget b = {.clock = clock_monotonic(),
                       .deadline_ns =
                           clock_now_ns(clock_monotonic()) + CHOICES_NS,
                       .memory_bytes = SIZE_MAX};

    ret->call = problem_call(ch->p, i);
    ch->role[i] = SUPPOSED_FIRM;
    ret->with = suppose_decide(s, ch->role, &b, NULL, NULL);
    ch->role[i] = SUPPOSED_OUT;
    ret->without = suppose_decide(s, ch->role, &b, NULL, NULL);
    ch->role[i] = SUPPOSED_MAYBE;
}

uint32_t
words_choices(const struct problem *p, const struct decision *d,
              struct choice ret[CHOICES_MAX], uint32_t *ret_total)
{
    struct choosing ch = {.p = p, .d = d};
    uint32_t count = 0;

    *ret_total = 0;
    if (p->calls->model->step == NULL || d->core_count == 0)
        return 0;
    CLEANUP_FREE uint32_t *members = NULL;
    struct problem part = relevant_part(p, d->core, d->core_count, &members);
    ch.p = &part;
    p = &part;
    ch.role = xcalloc(part.count + 1, 1);
    choosing_roles(&ch);
    struct suppose *s = suppose_new(p, ch.end);
    for (uint32_t i = 0; i < p->count; i++)
        *ret_total += choosing_takes(&ch, i);
    for (int of_core = 1; of_core >= 0; of_core--)
        for (uint32_t i = 0; i < p->count && count < CHOICES_MAX; i++)
            if (choosing_takes(&ch, i) &&
                (words_number(d, problem_call(p, i)) > 0) == of_core)
                choosing_try(&ch, s, i, &ret[count++]);
    suppose_free(s);
    free(ch.role);
    return count;
}
