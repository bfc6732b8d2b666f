/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence: how much a verdict is worth.  Was the history whole, how many
 * ambiguities arose and were resolved, how often did the leader change, and did
 * clients work while each fault was in force?
 *
 * A fault is in force from its 'proved' to its 'healed' event, and counts as
 * confirmed when every proof of its effect ('proved', 'proved_before_heal')
 * says so.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/order.h"
#include "analyzer/report.h"

/* Times of the attempts of one outcome, each list sorted. */
struct times {
    int64_t *invoke_ns, *complete_ns;
    uint32_t count;
};

/* Times are data of strangers: their difference may not fit an integer. */
static double
seconds_between(int64_t from_ns, int64_t to_ns)
{
    return ((double)to_ns - (double)from_ns) / (double)NS_PER_S;
}

static int
time_compare(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

    return a < b ? -1 : a > b;
}

static void
times_init(struct times times[static 3], const struct table *t)
{
    const struct attempts *a = &t->attempts;

    for (unsigned o = 0; o < 3; o++) {
        times[o].invoke_ns = xcalloc(a->count + 1ul, sizeof(int64_t));
        times[o].complete_ns = xcalloc(a->count + 1ul, sizeof(int64_t));
        times[o].count = 0;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        struct times *to = &times[a->outcome[i]];

        to->invoke_ns[to->count] = a->invoke_ns[i];
        to->complete_ns[to->count++] = a->complete_ns[i];
    }
    for (unsigned o = 0; o < 3; o++) {
        order_nearly(times[o].invoke_ns, times[o].count, sizeof(int64_t),
                     time_compare);
        order_nearly(times[o].complete_ns, times[o].count, sizeof(int64_t),
                     time_compare);
    }
}

static void
times_release(struct times times[static 3])
{
    for (unsigned o = 0; o < 3; o++) {
        free(times[o].invoke_ns);
        free(times[o].complete_ns);
    }
}

/* How many of 'sorted' are below 'limit'. */
static uint32_t
below(const int64_t *sorted, uint32_t count, int64_t limit)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (sorted[middle] < limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Attempts under way at some time of [from, to]. */
static json_t *
overlap(const struct times times[static 3], int64_t from_ns, int64_t to_ns)
{
    static const char *const names[] = {[OUTCOME_OK] = "ok",
                                        [OUTCOME_FAIL] = "fail",
                                        [OUTCOME_UNKNOWN] = "unknown"};
    json_t *ret = json_object();
    json_int_t total = 0;

    for (unsigned o = 0; o < 3; o++) {
        const struct times *x = &times[o];
        json_int_t n = (json_int_t)below(x->invoke_ns, x->count, to_ns) -
                       (json_int_t)below(x->complete_ns, x->count, from_ns);

        json_object_set_new(ret, names[o], json_integer(n > 0 ? n : 0));
        total += n > 0 ? n : 0;
    }
    json_object_set_new(ret, "total", json_integer(total));
    return ret;
}

/* ---- faults ---- */

struct fault_fact {
    int64_t id, injected_ns, proved_ns, healed_ns;
    unsigned proofs, confirmations;
    bool healed_proven, primary;
    const struct remark *first;
};

static bool
is_word(const struct fields *f, const char *key, const char *word)
{
    const char *text;

    return fields_string(f, key, &text) && strcmp(text, word) == 0;
}

static void
fault_stage(struct fault_fact *fact, const struct remark *r)
{
    const struct fields *f = &r->fields;
    bool confirmed = is_word(f, "result", "confirmed"), primary;

    if (fields_bool(f, "primary", &primary))
        fact->primary |= primary;
    if (is_word(f, "stage", "injected") && fact->injected_ns < 0)
        fact->injected_ns = r->time_ns;
    if (is_word(f, "stage", "proved") ||
        is_word(f, "stage", "proved_before_heal")) {
        if (fact->proved_ns < 0)
            fact->proved_ns = r->time_ns;
        fact->proofs++;
        fact->confirmations += confirmed;
    }
    /* A guest's own timer ended it, and nobody knows when. */
    if (is_word(f, "stage", "self_healed") && fact->healed_ns < 0)
        fact->proofs++;
    if (is_word(f, "stage", "healed") && fact->healed_ns < 0)
        fact->healed_ns = r->time_ns;
    if (is_word(f, "stage", "proved_healed"))
        fact->healed_proven = confirmed;
}

static json_t *
fault_json(const struct fault_fact *fact, const struct table *t,
           const struct times times[static 3])
{
    const struct value *nodes = fields_get(&fact->first->fields, "nodes");
    int64_t to_ns = fact->healed_ns >= 0 ? fact->healed_ns : t->last_ns;
    json_t *ret = json_object();

    json_object_set_new(ret, "id", json_integer(fact->id));
    json_object_set_new(ret, "fault", json_string(fact->first->function));
    json_object_set_new(ret, "nodes",
                        nodes == NULL ? json_array() : value_to_json(nodes));
    json_object_set_new(ret, "primary", json_boolean(fact->primary));
    json_object_set_new(
        ret, "confirmed",
        json_boolean(fact->proofs > 0 && fact->confirmations == fact->proofs));
    json_object_set_new(ret, "healed", json_boolean(fact->healed_proven));
    if (fact->proved_ns >= 0) {
        json_object_set_new(ret, "seconds",
                            json_real(seconds_between(fact->proved_ns, to_ns)));
        json_object_set_new(ret, "attempts",
                            overlap(times, fact->proved_ns, to_ns));
    }
    return ret;
}

static json_t *
evidence_faults(const struct table *t)
{
    json_t *ret = json_array();
    CLEANUP_FREE struct fault_fact *facts =
        xcalloc(t->remark_count + 1ul, sizeof(*facts));
    struct times times[3] = {0};
    struct map by_id = {0};
    uint32_t count = 0;

    for (uint32_t i = 0; i < t->remark_count; i++) {
        const struct remark *r = &t->remarks[i];
        uint32_t *at;
        int64_t id;

        if (!r->fault || !fields_int(&r->fields, "id", &id))
            continue;
        at = map_put(&by_id, (struct id128){0, (uint64_t)id});
        if (*at == MAP_NONE) {
            *at = count;
            facts[count++] = (struct fault_fact){.id = id,
                                                 .injected_ns = -1,
                                                 .proved_ns = -1,
                                                 .healed_ns = -1,
                                                 .first = r};
        }
        fault_stage(&facts[*at], r);
    }
    map_release(&by_id);
    if (count > 0)
        times_init(times, t);
    for (uint32_t i = 0; i < count; i++)
        if (facts[i].injected_ns >= 0)
            json_array_append_new(ret, fault_json(&facts[i], t, times));
    times_release(times);
    return ret;
}

/* ---- leaders ---- */

static void
evidence_terms(const struct table *t, json_t *ret)
{
    struct map seen = {0};
    json_int_t views = 0;
    uint64_t last = 0;

    for (uint32_t i = 0; i < t->answer_count; i++) {
        const struct answer *a = &t->answers[i];

        /* Terms last long: most answers are of the last one's. */
        if (a->index == INDEX_NONE || (seen.count > 0 && a->term == last))
            continue;
        last = a->term;
        *map_put(&seen, (struct id128){0, last}) = 0;
    }
    for (uint32_t i = 0; i < t->remark_count; i++) {
        int64_t term;

        if (t->remarks[i].fault ||
            strcmp(t->remarks[i].function, "view") != 0 ||
            !fields_int(&t->remarks[i].fields, "term", &term))
            continue;
        *map_put(&seen, (struct id128){0, (uint64_t)term}) = 0;
        views++;
    }
    json_object_set_new(ret, "view_notes", json_integer(views));
    json_object_set_new(ret, "terms_seen",
                        json_integer((json_int_t)seen.count));
    json_object_set_new(
        ret, "leader_changes",
        json_integer(seen.count > 0 ? (json_int_t)seen.count - 1 : 0));
    map_release(&seen);
}

/* ---- ambiguities ---- */

static json_t *
evidence_ambiguities(const struct table *t)
{
    const struct operations *o = &t->operations;
    json_int_t total = 0, resolved = 0;

    for (uint32_t op = 0; op < o->count; op++) {
        bool ambiguous = false;

        if (!function_is_mutation((enum function)o->function[op]))
            continue;
        for (uint32_t at = o->attempt_first[op]; at != TABLE_NONE;
             at = t->attempts.next[at])
            ambiguous |= t->attempts.outcome[at] == OUTCOME_UNKNOWN;
        total += ambiguous;
        resolved += ambiguous && (o->outcome[op] != OUTCOME_UNKNOWN ||
                                  operation_id_was_taken(t, op));
    }
    return json_pack("{s:I, s:I, s:I}", "total", total, "resolved", resolved,
                     "open", total - resolved);
}

#define OUTCOMES 3

static json_t *
outcomes_json(const json_int_t counts[OUTCOMES])
{
    return json_pack("{s:I, s:I, s:I}", "ok", counts[OUTCOME_OK], "fail",
                     counts[OUTCOME_FAIL], "unknown", counts[OUTCOME_UNKNOWN]);
}

static json_t *
evidence_attempts(const struct table *t)
{
    json_int_t all[OUTCOMES] = {0}, each[FUNCTION_COUNT][OUTCOMES] = {{0}};
    const struct operations *o = &t->operations;
    json_t *by_function = json_object(), *ret;

    for (uint32_t op = 0; op < o->count; op++)
        for (uint32_t at = o->attempt_first[op]; at != TABLE_NONE;
             at = t->attempts.next[at]) {
            all[t->attempts.outcome[at]]++;
            each[o->function[op]][t->attempts.outcome[at]]++;
        }
    for (unsigned f = 0; f < FUNCTION_COUNT; f++)
        if (each[f][OUTCOME_OK] + each[f][OUTCOME_FAIL] +
                each[f][OUTCOME_UNKNOWN] >
            0)
            json_object_set_new(by_function, function_name((enum function)f),
                                outcomes_json(each[f]));
    ret = outcomes_json(all);
    json_object_set_new(ret, "total", json_integer(t->attempts.count));
    json_object_set_new(ret, "by_function", by_function);
    return ret;
}

json_t *
evidence_new(const struct table *t)
{
    json_t *ret = json_object();

    json_object_set_new(ret, "complete",
                        json_boolean(t->cut == NULL && t->sealed));
    json_object_set_new(ret, "sealed", json_boolean(t->sealed));
    if (t->cut != NULL)
        json_object_set_new(ret, "cut", json_string(t->cut));
    json_object_set_new(ret, "dropped_bytes",
                        json_integer((json_int_t)t->dropped_bytes));
    json_object_set_new(ret, "events", json_integer(t->event_count));
    json_object_set_new(ret, "operations", json_integer(t->operations.count));
    json_object_set_new(ret, "seconds",
                        json_real(seconds_between(t->first_ns, t->last_ns)));
    json_object_set_new(ret, "attempts", evidence_attempts(t));
    json_object_set_new(ret, "ambiguities", evidence_ambiguities(t));
    evidence_terms(t, ret);
    json_object_set_new(ret, "faults", evidence_faults(t));
    return ret;
}
