/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The because-chain: why one call of a core comes before another.  Real time
 * without what follows from two other edges, and who saw what whom did.  An
 * engine's own edges (a cycle of transactions) are kept and given sentences.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/relevant.h"
#include "analyzer/explain/words.h"
#include "analyzer/models/lease-kernel.h"

/* Larger cores are not told edge by edge. */
#define EDGES_CORE_MAX 64u

struct edging {
    const struct calls *c;
    struct decision *d;
};

static void
edge_add(struct edging *e, uint32_t from, uint32_t to, enum edge_kind kind,
         char *text)
{
    struct decision *d = e->d;

    for (uint32_t i = 0; i < d->edge_count; i++)
        if (d->edges[i].from == from && d->edges[i].to == to &&
            d->edges[i].kind == kind) {
            free(text);
            return;
        }
    if (d->edge_count == DECISION_EDGES_MAX) {
        free(text);
        return;
    }
    d->edges = xrealloc(d->edges, (d->edge_count + 1) * sizeof(*d->edges));
    d->edges[d->edge_count++] = (struct edge){from, to, kind, text};
}

static bool
precedes(const struct calls *c, uint32_t a, uint32_t b)
{
    return c->complete[a] != CALL_OPEN && c->complete[a] < c->invoke[b];
}

static char *
real_time_text(const struct edging *e, uint32_t from, uint32_t to)
{
    const struct calls *c = e->c;

    return xasprintf("#%u was answered (line %u) before #%u was invoked "
                     "(line %u)",
                     words_number(e->d, from), c->end_line[from],
                     words_number(e->d, to), c->line[to]);
}

static void
edges_real_time(struct edging *e)
{
    const struct decision *d = e->d;

    for (uint32_t i = 0; i < d->core_count; i++)
        for (uint32_t j = i + 1; j < d->core_count; j++) {
            uint32_t a = d->core[i], b = d->core[j];
            bool direct = precedes(e->c, a, b);

            for (uint32_t k = 0; k < d->core_count && direct; k++)
                direct = !(precedes(e->c, a, d->core[k]) &&
                           precedes(e->c, d->core[k], b));
            if (direct)
                edge_add(e, a, b, EDGE_REAL_TIME, real_time_text(e, a, b));
        }
}

/* The value a call saw; false: none. */
static bool
call_saw(const struct calls *c, uint32_t call, bool taken, uint32_t *ret)
{
    if (c->complete[call] == CALL_OPEN)
        return false;
    if (taken) {
        *ret = c->result[call];
        return c->function[call] == QUEUE_DEQUEUE && *ret != VALUE_NIL;
    }
    *ret = c->function[call] == REGISTER_READ ? c->result[call] : c->a[call];
    return c->function[call] == REGISTER_READ ||
           (c->function[call] == REGISTER_CAS && c->result[call] == 1);
}

static bool
call_put(const struct calls *c, uint32_t call, bool taken, uint32_t value)
{
    if (taken)
        return c->function[call] == QUEUE_ENQUEUE && c->a[call] == value;
    return (c->function[call] == REGISTER_WRITE && c->a[call] == value) ||
           (c->function[call] == REGISTER_CAS && c->b[call] == value &&
            c->result[call] != 0);
}

/* The one call of the core that put the value there; UINT32_MAX: none, or
 * several could have. */
static uint32_t
only_source(const struct edging *e, uint32_t reader, bool taken, uint32_t value)
{
    uint32_t found = UINT32_MAX;

    for (uint32_t i = 0; i < e->d->core_count; i++) {
        uint32_t call = e->d->core[i];

        if (call == reader || precedes(e->c, reader, call) ||
            !call_put(e->c, call, taken, value))
            continue;
        if (found != UINT32_MAX)
            return UINT32_MAX;
        found = call;
    }
    return found;
}

static void
edges_observed(struct edging *e, bool taken)
{
    char text[96];

    for (uint32_t i = 0; i < e->d->core_count; i++) {
        uint32_t call = e->d->core[i], value, source;

        if (!call_saw(e->c, call, taken, &value))
            continue;
        source = only_source(e, call, taken, value);
        if (source == UINT32_MAX)
            continue;
        edge_add(e, source, call, EDGE_OBSERVED,
                 xasprintf(
                     "#%u %s the %s that #%u %s", i + 1, taken ? "took" : "saw",
                     value_print(e->c, value, text, sizeof(text)),
                     words_number(e->d, source), taken ? "put in" : "wrote"));
    }
}

/* A refused compare-and-set saw another value than it asked for; in a core it
 * is there because of who put that very value. */
static void
edges_refused(struct edging *e)
{
    char text[96];

    for (uint32_t i = 0; i < e->d->core_count; i++) {
        uint32_t call = e->d->core[i];

        if (e->c->function[call] != REGISTER_CAS || e->c->result[call] != 0)
            continue;
        for (uint32_t k = 0; k < e->d->core_count; k++) {
            uint32_t other = e->d->core[k];

            if (precedes(e->c, other, call) &&
                call_put(e->c, other, false, e->c->a[call]))
                edge_add(e, other, call, EDGE_REFUSED,
                         xasprintf("#%u was refused though #%u had put %s "
                                   "there",
                                   i + 1, k + 1,
                                   value_print(e->c, e->c->a[call], text,
                                               sizeof(text))));
        }
    }
}

/* ---- leases ---- */

static bool
kernel_grants(const struct calls *c, uint32_t call)
{
    return c->function[call] == KERNEL_RESERVE && c->result[call] == KERNEL_OK;
}

/* Whether a call's epoch is older than the one that 'raised' made. */
static bool
kernel_older(const struct calls *c, uint32_t raised, uint32_t call)
{
    int64_t told, used;

    if (c->function[raised] == KERNEL_RESERVE ||
        c->function[raised] == KERNEL_GET ||
        (c->function[call] != KERNEL_ACTIVATE &&
         c->function[call] != KERNEL_RELEASE) ||
        c->b[raised] != c->b[call] || !precedes(c, raised, call))
        return false;
    return value_to_int(c, kernel_word(c, raised, KERNEL_COMMAND_TOLD),
                        &told) &&
           value_to_int(c, kernel_word(c, call, KERNEL_COMMAND_EPOCH), &used) &&
           used < told;
}

static void
edges_leases(struct edging *e)
{
    const struct calls *c = e->c;
    const struct decision *d = e->d;
    char lease[32], told[32], used[32];

    for (uint32_t i = 0; i < d->core_count; i++)
        for (uint32_t k = 0; k < d->core_count; k++) {
            uint32_t a = d->core[i], b = d->core[k];

            if (a == b || c->b[a] == VALUE_ABSENT || c->b[a] != c->b[b])
                continue;
            value_print(c, c->b[a], lease, sizeof(lease));
            if (kernel_grants(c, a) && c->function[b] != KERNEL_RESERVE)
                edge_add(e, a, b, EDGE_OBSERVED,
                         xasprintf("#%u is about lease %s, which #%u was "
                                   "granted",
                                   k + 1, lease, i + 1));
            else if (kernel_older(c, a, b))
                edge_add(
                    e, a, b, EDGE_EPOCH,
                    xasprintf(
                        "#%u raised the epoch of lease %s to %s; #%u "
                        "came with %s",
                        i + 1, lease,
                        value_print(c, kernel_word(c, a, KERNEL_COMMAND_TOLD),
                                    told, sizeof(told)),
                        k + 1,
                        value_print(c, kernel_word(c, b, KERNEL_COMMAND_EPOCH),
                                    used, sizeof(used))));
        }
}

/* Sentences for edges that an engine gave without. */
static void
edges_name(struct edging *e)
{
    static const char *const said[] = {
        [EDGE_REAL_TIME] = "was answered before %s was invoked",
        [EDGE_OBSERVED] = "did what %s saw",
        [EDGE_REFUSED] = "made that %s was refused",
        [EDGE_DEDUPE] = "is the same operation as %s",
        [EDGE_EPOCH] = "has the lower epoch than %s",
        [EDGE_POSITION] = "has the lower position than %s",
        [EDGE_OVERWRITE] = "did what %s overwrote",
        [EDGE_ANTI] = "did not see yet what %s did",
    };

    for (uint32_t i = 0; i < e->d->edge_count; i++) {
        struct edge *edge = &e->d->edges[i];
        struct buf b;

        if (edge->text != NULL)
            continue;
        char to[16];
        buf_init(&b, 256);
        buf_printf(&b, "#%u ", words_number(e->d, edge->from));
        snprintf(to, sizeof(to), "#%u", words_number(e->d, edge->to));
        const char *form = said[edge->kind], *mark = strstr(form, "%s");
        buf_append(&b, form, (size_t)(mark - form));
        buf_puts(&b, to);
        buf_puts(&b, mark + 2);
        edge->text = buf_take(&b);
    }
}

static bool
model_any(const struct calls *c, const char *const *names)
{
    for (uint32_t i = 0; names[i] != NULL; i++)
        if (strcmp(c->model->name, names[i]) == 0)
            return true;
    return false;
}

void
words_edges(const struct problem *p, struct decision *d)
{
    static const char *const registers[] = {"register", "cas-register", "kv",
                                            NULL};
    static const char *const containers[] = {"fifo-queue", "stack", NULL};
    static const char *const leases[] = {"lease-kernel", NULL};
    struct edging e = {.c = p->calls, .d = d};

    if (d->core_count <= EDGES_CORE_MAX && p->calls->model->step != NULL) {
        if (model_any(e.c, registers)) {
            edges_observed(&e, false);
            edges_refused(&e);
        } else if (model_any(e.c, containers)) {
            edges_observed(&e, true);
        } else if (model_any(e.c, leases)) {
            edges_leases(&e);
        }
        edges_real_time(&e);
    }
    edges_name(&e);
}
