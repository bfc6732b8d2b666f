/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence: how much a verdict is worth.  Was the history whole, how many
 * ambiguities arose and were resolved, how often did the leader change, and did
 * clients work while each fault was in force?
 *
 * A fault is in force, for sure, between two proofs of its effect that hold and
 * have no reboot between them: from 'proved' or 'proved_after_reboot' to
 * 'proved_before_reboot' or 'proved_before_heal'.  It counts as confirmed when
 * every 'proved' and 'proved_before_heal' says so.
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

/* A mutation that was answered; by invocation. */
struct acknowledged {
    int64_t invoke_ns, complete_ns;
};

struct acknowledgements {
    struct acknowledged *items;
    uint32_t count;
};

static int
acknowledged_compare(const void *x, const void *y)
{
    return time_compare(&((const struct acknowledged *)x)->invoke_ns,
                        &((const struct acknowledged *)y)->invoke_ns);
}

static void
acknowledgements_init(struct acknowledgements *a, const struct table *t)
{
    const struct operations *o = &t->operations;

    a->items = xcalloc(t->attempts.count + 1ul, sizeof(*a->items));
    for (uint32_t op = 0; op < o->count; op++) {
        if (!function_is_mutation((enum function)o->function[op]))
            continue;
        for (uint32_t at = o->attempt_first[op]; at != TABLE_NONE;
             at = t->attempts.next[at])
            if (t->attempts.outcome[at] == OUTCOME_OK)
                a->items[a->count++] = (struct acknowledged){
                    t->attempts.invoke_ns[at], t->attempts.complete_ns[at]};
    }
    order_nearly(a->items, a->count, sizeof(*a->items), acknowledged_compare);
}

/* Begun and answered within [from, to]: the system did take writes then. */
static json_int_t
acknowledged_within(const struct acknowledgements *a, int64_t from_ns,
                    int64_t to_ns)
{
    uint32_t low = 0, high = a->count;
    json_int_t count = 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (a->items[middle].invoke_ns < from_ns)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < a->count && a->items[low].invoke_ns <= to_ns; low++)
        count += a->items[low].complete_ns <= to_ns;
    return count;
}

/* Takes both; 'sum' NULL: nothing yet. */
static json_t *
overlap_add(json_t *sum, json_t *more)
{
    const char *key;
    json_t *value;

    if (sum == NULL)
        return more;
    json_object_foreach (more, key, value) {
        json_object_set_new(
            sum, key,
            json_integer(json_integer_value(json_object_get(sum, key)) +
                         json_integer_value(value)));
    }
    json_decref(more);
    return sum;
}

/* ---- faults ---- */

/* When a fault was in force, for sure. */
struct fault_span {
    uint32_t fact;
    int64_t from_ns, to_ns;
};

struct fault_spans {
    struct fault_span *items;
    size_t count;
};

/* proved_ns: when its effect was last proven, -1: it is not. */
struct fault_fact {
    int64_t id, injected_ns, proved_ns, healed_ns;
    unsigned proofs, confirmations;
    bool healed_proven, primary;
    const struct value *nodes; /* known when it is injected; NULL before */
    const struct remark *first;
};

static bool
is_word(const struct fields *f, const char *key, const char *word)
{
    const char *text;

    return fields_string(f, key, &text) && strcmp(text, word) == 0;
}

/* A span ends, and counts if the proof at this end holds too. */
static void
fault_span_end(struct fault_fact *fact, uint32_t index,
               struct fault_spans *spans, bool confirmed, int64_t time_ns)
{
    if (confirmed && fact->proved_ns >= 0) {
        spans->items =
            xrealloc(spans->items, (spans->count + 1) * sizeof(*spans->items));
        spans->items[spans->count++] =
            (struct fault_span){index, fact->proved_ns, time_ns};
    }
    fact->proved_ns = -1;
}

static void
fault_stage(struct fault_fact *fact, uint32_t index, struct fault_spans *spans,
            const struct remark *r)
{
    const struct fields *f = &r->fields;
    bool confirmed = is_word(f, "result", "confirmed"), primary;

    if (fields_bool(f, "primary", &primary))
        fact->primary |= primary;
    if (fact->nodes == NULL)
        fact->nodes = fields_get(f, "nodes");
    if (is_word(f, "stage", "injected") && fact->injected_ns < 0)
        fact->injected_ns = r->time_ns;
    if (is_word(f, "stage", "proved") ||
        is_word(f, "stage", "proved_before_heal")) {
        fact->proofs++;
        fact->confirmations += confirmed;
    }
    if (is_word(f, "stage", "proved") ||
        is_word(f, "stage", "proved_after_reboot"))
        fact->proved_ns = confirmed ? r->time_ns : -1;
    if (is_word(f, "stage", "proved_before_heal") ||
        is_word(f, "stage", "proved_before_reboot"))
        fault_span_end(fact, index, spans, confirmed, r->time_ns);
    /* A guest's own timer ended it, and nobody knows when. */
    if (is_word(f, "stage", "self_healed") && fact->healed_ns < 0) {
        fact->proofs++;
        fact->proved_ns = -1;
    }
    if (is_word(f, "stage", "healed") && fact->healed_ns < 0)
        fact->healed_ns = r->time_ns;
    if (is_word(f, "stage", "proved_healed"))
        fact->healed_proven = confirmed;
}

static json_t *
fault_json(const struct fault_fact *fact)
{
    json_t *ret = json_object();

    json_object_set_new(ret, "id", json_integer(fact->id));
    json_object_set_new(ret, "fault", json_string(fact->first->function));
    json_object_set_new(ret, "nodes",
                        fact->nodes == NULL ? json_array()
                                            : value_to_json(fact->nodes));
    json_object_set_new(ret, "primary", json_boolean(fact->primary));
    json_object_set_new(
        ret, "confirmed",
        json_boolean(fact->proofs > 0 && fact->confirmations == fact->proofs));
    json_object_set_new(ret, "healed", json_boolean(fact->healed_proven));
    return ret;
}

/* Adds what the span covers to the fault's object. */
static void
fault_span_add(json_t *fault, const struct fault_span *span,
               const struct times times[static 3],
               const struct acknowledgements *a)
{
    double seconds = json_real_value(json_object_get(fault, "seconds"));
    json_int_t before =
        json_integer_value(json_object_get(fault, "acknowledged"));
    json_t *attempts = json_object_get(fault, "attempts");

    json_object_set_new(
        fault, "seconds",
        json_real(seconds + seconds_between(span->from_ns, span->to_ns)));
    json_object_set_new(
        fault, "attempts",
        overlap_add(json_incref(attempts),
                    overlap(times, span->from_ns, span->to_ns)));
    json_object_set_new(
        fault, "acknowledged",
        json_integer(before +
                     acknowledged_within(a, span->from_ns, span->to_ns)));
}

static json_t *
evidence_faults(const struct table *t)
{
    json_t *ret = json_array();
    CLEANUP_FREE json_t **objects =
        xcalloc(t->remark_count + 1ul, sizeof(json_t *));
    struct fault_spans spans = {0};
    CLEANUP_FREE struct fault_fact *facts =
        xcalloc(t->remark_count + 1ul, sizeof(*facts));
    struct acknowledgements acknowledged = {0};
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
        fault_stage(&facts[*at], *at, &spans, r);
    }
    map_release(&by_id);
    if (count > 0) {
        times_init(times, t);
        acknowledgements_init(&acknowledged, t);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (facts[i].injected_ns < 0)
            continue;
        objects[i] = fault_json(&facts[i]);
        json_array_append_new(ret, objects[i]);
    }
    for (size_t i = 0; i < spans.count; i++)
        if (objects[spans.items[i].fact] != NULL)
            fault_span_add(objects[spans.items[i].fact], &spans.items[i], times,
                           &acknowledged);
    free(spans.items);
    free(acknowledged.items);
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
