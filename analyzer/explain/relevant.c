/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relevance: the values that the firm calls name, closed over the calls that
 * name one of them.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/relevant.h"
#include "analyzer/explain/suppose.h"
#include "analyzer/models/functions.h"

/* Values in use: open addressing, never more than half full. */
struct seen {
    uint32_t *cells; /* value + 1; 0: empty */
    uint32_t count, cap;
};

enum family { FAMILY_NONE, FAMILY_REGISTER, FAMILY_QUEUE, FAMILY_SET };

static enum family
relevant_family(const struct model_ops *m)
{
    static const struct {
        const char *name;
        enum family family;
    } families[] = {
        {"register", FAMILY_REGISTER}, {"cas-register", FAMILY_REGISTER},
        {"kv", FAMILY_REGISTER},       {"fifo-queue", FAMILY_QUEUE},
        {"stack", FAMILY_QUEUE},       {"set", FAMILY_SET},
    };

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (strcmp(families[i].name, m->name) == 0)
            return families[i].family;
    return FAMILY_NONE;
}

static uint32_t
seen_place(const struct seen *s, uint32_t value)
{
    uint32_t at = (value * 2654435761u) & (s->cap - 1);

    while (s->cells[at] != 0 && s->cells[at] != value + 1)
        at = (at + 1) & (s->cap - 1);
    return at;
}

static bool
seen_has(const struct seen *s, uint32_t value)
{
    return s->count > 0 && s->cells[seen_place(s, value)] != 0;
}

static void
seen_add(struct seen *s, uint32_t value)
{
    if (s->count * 2 >= s->cap) {
        struct seen old = *s;

        s->cap = old.cap == 0 ? 64 : old.cap * 2;
        s->cells = xcalloc(s->cap, sizeof(*s->cells));
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.cells[i] != 0)
                s->cells[seen_place(s, old.cells[i] - 1)] = old.cells[i];
        free(old.cells);
    }
    uint32_t at = seen_place(s, value);
    if (s->cells[at] == 0) {
        s->cells[at] = value + 1;
        s->count++;
    }
}

uint32_t
relevant_values(const struct calls *c, uint32_t call,
                uint32_t ret[RELEVANT_VALUES_MAX])
{
    uint32_t n = 0;
    bool truth = false; /* the result is a truth, not a value */

    switch (relevant_family(c->model)) {
    case FAMILY_NONE:
        return 0;
    case FAMILY_REGISTER:
        truth = c->function[call] == REGISTER_CAS;
        break;
    case FAMILY_SET:
        truth = true;
        break;
    case FAMILY_QUEUE:
        /* Empty is no value. */
        truth = c->result[call] == VALUE_NIL;
        break;
    }
    if (c->a[call] != VALUE_ABSENT)
        ret[n++] = c->a[call];
    if (c->b[call] != VALUE_ABSENT)
        ret[n++] = c->b[call];
    if (!truth && c->result[call] != VALUE_ABSENT)
        ret[n++] = c->result[call];
    return n;
}

/* ABSENT + 1 would be 0, the empty cell's mark: NIL + 1 is. */
static uint32_t
seen_value(uint32_t value)
{
    return value == VALUE_NIL ? VALUE_ABSENT : value;
}

static void
relevant_name(const struct calls *c, uint32_t call, struct seen *s)
{
    uint32_t values[RELEVANT_VALUES_MAX];
    uint32_t n = relevant_values(c, call, values);

    for (uint32_t i = 0; i < n; i++)
        seen_add(s, seen_value(values[i]));
    for (uint32_t i = 0; i < call_list_count(c, call); i++)
        seen_add(s, seen_value(call_list(c, call)[i]));
}

static bool
relevant_shares(const struct calls *c, uint32_t call, const struct seen *s)
{
    uint32_t values[RELEVANT_VALUES_MAX];
    uint32_t n = relevant_values(c, call, values);

    /* A removal without an answer may have taken anything. */
    if (n == 0 && c->complete[call] == CALL_OPEN)
        return true;
    for (uint32_t i = 0; i < n; i++)
        if (seen_has(s, seen_value(values[i])))
            return true;
    for (uint32_t i = 0; i < call_list_count(c, call); i++)
        if (seen_has(s, seen_value(call_list(c, call)[i])))
            return true;
    return false;
}

/* Whether any value may matter to this firm call, or any call to any. */
static bool
relevant_to_all(const struct calls *c, uint32_t call)
{
    return relevant_family(c->model) == FAMILY_REGISTER &&
           ((c->function[call] == REGISTER_CAS && c->result[call] == 0) ||
            c->function[call] == REGISTER_APPEND);
}

static void
relevant_all(const struct problem *p, uint8_t *role)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (role[i] != SUPPOSED_FIRM)
            role[i] = SUPPOSED_MAYBE;
}

/* ---- models that say what is at stake ---- */

struct stakes {
    const struct problem *p;
    struct seen subjects, places; /* that matter */
    struct seen founded;          /* places of calls that matter */
    uint32_t last;                /* what is invoked later comes after them */
    bool all;
};

static struct model_stake
stakes_of(const struct calls *c, uint32_t call)
{
    struct model_stake stake = {.subject = VALUE_ABSENT};

    c->model->stake(c, call, &stake);
    return stake;
}

#define STAKE_PLACES_MAX 64u

/* At most 'STAKE_PLACES_MAX'; more: false, and everything is relevant. */
static bool
stakes_places(const struct calls *c, uint32_t call, uint32_t *ret,
              uint32_t *ret_count)
{
    *ret_count = 0;
    if (c->model->touches != NULL)
        *ret_count = c->model->touches(c, call, ret, STAKE_PLACES_MAX);
    return *ret_count <= STAKE_PLACES_MAX;
}

static void
stakes_add_places(struct stakes *s, uint32_t call, struct seen *to)
{
    uint32_t places[STAKE_PLACES_MAX], count;

    if (!stakes_places(s->p->calls, call, places, &count)) {
        s->all = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        seen_add(to, seen_value(places[i]));
}

static bool
stakes_at(struct stakes *s, uint32_t call, const struct seen *places)
{
    uint32_t at[STAKE_PLACES_MAX], count;

    if (!stakes_places(s->p->calls, call, at, &count))
        s->all = true;
    for (uint32_t i = 0; i < count && i < STAKE_PLACES_MAX; i++)
        if (seen_has(places, seen_value(at[i])))
            return true;
    return false;
}

static void
stakes_firm(struct stakes *s, uint32_t call)
{
    struct model_stake stake = stakes_of(s->p->calls, call);

    if (s->p->calls->complete[call] > s->last)
        s->last = s->p->calls->complete[call];
    s->all |= stake.needs_all || stake.shakes_all;
    if (stake.subject != VALUE_ABSENT)
        seen_add(&s->subjects, seen_value(stake.subject));
    if (stake.needs_places)
        stakes_add_places(s, call, &s->places);
    stakes_add_places(s, call, &s->founded);
}

/* One of the others: what is about a subject at a place that matters matters
 * with all calls about it ('subjects' pass), then these are taken. */
static void
stakes_other(struct stakes *s, uint32_t i, bool subjects, uint8_t *role)
{
    uint32_t call = problem_call(s->p, i);
    struct model_stake stake = stakes_of(s->p->calls, call);
    bool known = stake.subject != VALUE_ABSENT, taken;

    if (s->p->calls->invoke[call] > s->last)
        return;
    s->all |= stake.shakes_all;
    if (stake.idle || stake.founds)
        return;
    taken = known && seen_has(&s->subjects, seen_value(stake.subject));
    if (!taken && (subjects || !known))
        taken = stakes_at(s, call, &s->places);
    if (!taken)
        return;
    if (subjects && known)
        seen_add(&s->subjects, seen_value(stake.subject));
    if (subjects)
        return;
    role[i] = SUPPOSED_MAYBE;
    stakes_add_places(s, call, &s->founded);
}

/* False: everything is relevant. */
static bool
relevant_stakes(const struct problem *p, uint8_t *role)
{
    const struct calls *c = p->calls;
    struct stakes s = {.p = p};

    for (uint32_t i = 0; i < p->count; i++) {
        if (role[i] == SUPPOSED_FIRM)
            stakes_firm(&s, problem_call(p, i));
        else
            role[i] = SUPPOSED_OUT;
    }
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < p->count && !s.all; i++)
            if (role[i] == SUPPOSED_OUT)
                stakes_other(&s, i, pass == 0, role);
    for (uint32_t i = 0; i < p->count && !s.all; i++)
        if (role[i] == SUPPOSED_OUT &&
            stakes_of(c, problem_call(p, i)).founds &&
            (c->model->touches == NULL ||
             stakes_at(&s, problem_call(p, i), &s.founded)))
            role[i] = SUPPOSED_MAYBE;
    free(s.subjects.cells);
    free(s.places.cells);
    free(s.founded.cells);
    return !s.all;
}

void
relevant_maybes(const struct problem *p, uint8_t *role)
{
    const struct calls *c = p->calls;
    struct seen s = {.count = 0};

    if (c->model->stake != NULL) {
        if (!relevant_stakes(p, role))
            relevant_all(p, role);
        return;
    }
    bool all = relevant_family(c->model) == FAMILY_NONE;

    for (uint32_t i = 0; i < p->count && !all; i++) {
        uint32_t call = problem_call(p, i);
        bool firm = role[i] == SUPPOSED_FIRM;

        if (firm)
            relevant_name(c, call, &s);
        else
            role[i] = SUPPOSED_OUT;
        all = relevant_to_all(c, call) &&
              (firm || c->function[call] == REGISTER_APPEND);
    }
    if (all)
        relevant_all(p, role);
    for (bool more = !all; more;) {
        more = false;
        for (uint32_t i = 0; i < p->count; i++) {
            uint32_t call = problem_call(p, i);

            if (role[i] != SUPPOSED_OUT || !relevant_shares(c, call, &s))
                continue;
            role[i] = SUPPOSED_MAYBE;
            relevant_name(c, call, &s);
            more = true;
        }
    }
    free(s.cells);
}

struct problem
relevant_part(const struct problem *p, const uint32_t *core,
              uint32_t core_count, uint32_t **ret_members)
{
    uint8_t *role = xcalloc((size_t)p->count + 1, 1);
    struct problem part = *p;
    uint32_t at = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        role[i] = SUPPOSED_MAYBE;
        if (at < core_count && core[at] == problem_call(p, i)) {
            role[i] = SUPPOSED_FIRM;
            at++;
        }
    }
    relevant_maybes(p, role);
    part.count = 0;
    for (uint32_t i = 0; i < p->count; i++)
        part.count += role[i] != SUPPOSED_OUT;
    *ret_members = xcalloc((size_t)part.count + 1, sizeof(**ret_members));
    part.members = *ret_members;
    part.count = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (role[i] != SUPPOSED_OUT)
            (*ret_members)[part.count++] = problem_call(p, i);
    free(role);
    return part;
}
