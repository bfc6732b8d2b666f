/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: parse a spec once, look at the system when the fault is due,
 * resolve.  Random choices walk a shuffled list of the nodes allowed.
 *
 * Failure modes: a node that does not answer is 'silent', never an error; two
 * nodes that both say they are primary are told apart by term.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "nemesis/target.h"

static const struct {
    const char *word;
    enum target_kind kind;
} target_words[] = {
    {"one", TARGET_ONE},           {"minority", TARGET_MINORITY},
    {"majority", TARGET_MAJORITY}, {"all", TARGET_ALL},
    {"primary", TARGET_PRIMARY},   {"one-backup", TARGET_ONE_BACKUP},
    {"backups", TARGET_BACKUPS},   {"random-subset", TARGET_RANDOM_SUBSET},
    {"event", TARGET_EVENT},
};

unsigned
node_set_count(node_set s)
{
    return (unsigned)__builtin_popcount(s);
}

node_set
node_set_all(unsigned node_count)
{
    static_assert(NODE_COUNT_MAX < 32, "a node_set holds every node");
    assert(node_count <= NODE_COUNT_MAX);
    return (UINT32_C(1) << node_count) - 1;
}

json_t *
node_set_to_json(const struct cluster *c, node_set s)
{
    json_t *names = json_array();

    for (unsigned i = 0; i < c->node_count; i++)
        if (s >> i & 1)
            json_array_append_new(names, json_string(c->nodes[i].name));
    return names;
}

int
node_set_from_json(const struct cluster *c, const json_t *names, node_set *ret,
                   struct error *err)
{
    node_set s = 0;
    size_t index;
    json_t *name;

    if (!json_is_array(names))
        return error_set(err, ERROR_ENVIRONMENT, "nodes: not a list of names");
    json_array_foreach (names, index, name) {
        const char *text = json_string_value(name);
        unsigned i = 0;

        while (i < c->node_count &&
               (text == NULL || strcmp(text, c->nodes[i].name) != 0))
            i++;
        if (i == c->node_count)
            return error_set(err, ERROR_ENVIRONMENT,
                             "nodes: '%s' is not in this cluster",
                             text == NULL ? "?" : text);
        s |= UINT32_C(1) << i;
    }
    *ret = s;
    return 0;
}

/* "n2" at *text; moves *text behind it. */
static bool
target_parse_node(const char **text, unsigned node_count, node_set *nodes)
{
    char *end;
    unsigned long number;

    if ((*text)[0] != 'n' || (*text)[1] < '1' || (*text)[1] > '9')
        return false;
    number = strtoul(*text + 1, &end, 10);
    if (number > node_count)
        return false;
    *nodes |= UINT32_C(1) << (number - 1);
    *text = end;
    return true;
}

static bool
target_parse_list(const char *text, unsigned node_count, node_set *nodes)
{
    for (;;) {
        text += strspn(text, " ");
        if (!target_parse_node(&text, node_count, nodes))
            return false;
        text += strspn(text, " ");
        if (*text == ']')
            return text[1] == '\0';
        if (*text++ != ',')
            return false;
    }
}

int
target_parse(const char *spec, unsigned node_count, struct target_spec *ret,
             struct error *err)
{
    const char *text = spec;
    node_set nodes = 0;

    for (size_t i = 0; i < ARRAY_LEN(target_words); i++) {
        if (strcmp(spec, target_words[i].word) == 0) {
            *ret = (struct target_spec){.kind = target_words[i].kind};
            return 0;
        }
    }
    if (strlen(spec) < TARGET_SPEC_MAX &&
        (spec[0] == '['
             ? target_parse_list(spec + 1, node_count, &nodes)
             : target_parse_node(&text, node_count, &nodes) && *text == '\0')) {
        *ret = (struct target_spec){.kind = TARGET_NODES, .nodes = nodes};
        return 0;
    }
    return error_set(
        err, ERROR_CONFIG,
        "target '%.64s': not one of one, minority, majority, all, primary, "
        "one-backup, backups, random-subset, event, n1..n%u or a list like "
        "[n1,n2]",
        spec, node_count);
}

unsigned
target_count_max(const struct target_spec *spec, unsigned node_count,
                 unsigned limit)
{
    switch (spec->kind) {
    case TARGET_ONE:
    case TARGET_PRIMARY:
    case TARGET_ONE_BACKUP:
    case TARGET_EVENT:
        return 1;
    case TARGET_MINORITY:
        return (node_count - 1) / 2;
    case TARGET_MAJORITY:
        return node_count / 2 + 1;
    case TARGET_ALL:
        return node_count;
    case TARGET_BACKUPS:
        return node_count - 1;
    case TARGET_RANDOM_SUBSET:
        return limit < node_count ? limit : node_count;
    case TARGET_NODES:
        return node_set_count(spec->nodes);
    }
    return node_count;
}

void
target_look(const struct fault_world *w, struct target_view *ret)
{
    struct target_view view = {.primary = -1};

    for (unsigned i = 0; i < w->cluster->node_count; i++) {
        struct system_status status = {.role = ROLE_UNKNOWN};
        struct error err = {0};

        if (w->system->status(w->cluster, i, TARGET_STATUS_TIMEOUT_NS, &status,
                              &err) < 0)
            status.role = ROLE_UNKNOWN;
        if (status.role == ROLE_UNKNOWN)
            view.silent |= UINT32_C(1) << i;
        else
            view.commit[i] = status.commit_index;
        if (status.role == ROLE_BACKUP)
            view.backups |= UINT32_C(1) << i;
        if (status.role == ROLE_PRIMARY &&
            (view.primary < 0 || status.term > view.term)) {
            view.primary = (int)i;
            view.term = status.term;
        }
    }
    *ret = view;
}

/* 'count' nodes of 'from', each subset as likely as any other. */
static bool
target_draw(node_set from, unsigned count, struct rng *rng, node_set *ret)
{
    node_set chosen = 0;

    if (count == 0 || node_set_count(from) < count)
        return false;
    while (count-- > 0) {
        uint64_t skip = rng_below(rng, node_set_count(from));
        node_set rest = from;

        while (skip-- > 0)
            rest &= rest - 1;
        rest &= ~(rest - 1); /* the lowest bit left */
        chosen |= rest;
        from &= ~rest;
    }
    *ret = chosen;
    return true;
}

/* All of 'nodes', or nothing. */
static bool
target_exactly(node_set nodes, node_set exclude, node_set *ret)
{
    if (nodes == 0 || (nodes & exclude) != 0)
        return false;
    *ret = nodes;
    return true;
}

bool
target_resolve(const struct target_spec *spec, unsigned node_count,
               const struct target_view *view, node_set exclude, unsigned limit,
               struct rng *rng, node_set *ret)
{
    node_set all = node_set_all(node_count), allowed = all & ~exclude;
    unsigned most = node_set_count(allowed);

    if (limit < most)
        most = limit;
    switch (spec->kind) {
    case TARGET_ONE:
    case TARGET_MINORITY:
    case TARGET_MAJORITY:
        return target_draw(allowed, target_count_max(spec, node_count, limit),
                           rng, ret);
    case TARGET_RANDOM_SUBSET:
        return most > 0 &&
               target_draw(allowed, 1 + (unsigned)rng_below(rng, most), rng,
                           ret);
    case TARGET_ONE_BACKUP:
        return target_draw(allowed & view->backups, 1, rng, ret);
    case TARGET_BACKUPS:
        return target_exactly(view->backups, exclude, ret);
    case TARGET_PRIMARY:
        return view->primary >= 0 &&
               target_exactly(UINT32_C(1) << view->primary, exclude, ret);
    case TARGET_ALL:
        return target_exactly(all, exclude, ret);
    case TARGET_NODES:
    case TARGET_EVENT:
        return target_exactly(spec->nodes, exclude, ret);
    }
    return false;
}
