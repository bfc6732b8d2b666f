/* SPDX-License-Identifier: Apache-2.0 */
/* Words for witnesses.  Texts are cut to fit, never unbounded. */
#include "config.h"

#include <stdio.h>

#include "analyzer/checker.h"

static struct text
describe_number(struct id128 id)
{
    struct text ret = {""};

    if (id.hi == 0 && id.lo <= (uint64_t)INT64_MAX)
        snprintf(ret.s, sizeof(ret.s), "%llu", (unsigned long long)id.lo);
    else
        id128_format(id, ret.s);
    return ret;
}

struct text
describe_id(const struct table *t, uint32_t id)
{
    static const struct text none = {"(none)"};

    if (id == TABLE_NONE)
        return none;
    return describe_number(t->ids[id]);
}

struct text
describe_position(const struct table *t, uint64_t index)
{
    struct text ret = {""};

    if (index != INDEX_NONE)
        snprintf(ret.s, sizeof(ret.s), " at position %llu",
                 (unsigned long long)index);
    return ret;
}

/* With the last node that was asked, or the one that answered. */
static struct text
describe_with(const struct table *t, uint32_t op, uint32_t answer)
{
    const struct operations *o = &t->operations;
    bool answered = answer != TABLE_NONE;
    uint16_t node = answered ? t->answers[answer].node
                             : t->attempts.node[o->attempt_last[op]];
    struct text id = describe_number(o->id[op]), client = {""}, end, ret;
    bool has_id = !id128_is_zero(o->id[op]);

    if (o->client[op] >= 0)
        snprintf(client.s, sizeof(client.s), "client %lld, ",
                 (long long)o->client[op]);
    if (answered)
        snprintf(end.s, sizeof(end.s), "events %u to %u", o->invoke[op],
                 t->answers[answer].event);
    else
        snprintf(end.s, sizeof(end.s), "event %u, no answer", o->invoke[op]);
    snprintf(ret.s, sizeof(ret.s), "%s%s%.40s (%.32s%.64s%s%.40s)",
             function_name((enum function)o->function[op]), has_id ? " " : "",
             has_id ? id.s : "", client.s, t->names[node],
             node != 0 ? ", " : "", end.s);
    return ret;
}

struct text
describe_operation(const struct table *t, uint32_t op)
{
    return describe_with(t, op, t->operations.answer[op]);
}

struct text
describe_answer(const struct table *t, uint32_t answer)
{
    return describe_with(t, t->answers[answer].operation, answer);
}
