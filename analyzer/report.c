/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "analyzer/report.h"

static void
count_operations(const struct table *t, json_t *ret)
{
    static const char *const names[] = {[OUTCOME_OK] = "ok",
                                        [OUTCOME_FAIL] = "fail",
                                        [OUTCOME_UNKNOWN] = "unknown"};
    uint64_t outcomes[3] = {0}, functions[FUNCTION_COUNT] = {0};
    json_t *by_function = json_object();

    for (uint32_t op = 0; op < t->operations.count; op++) {
        outcomes[t->operations.outcome[op]]++;
        functions[t->operations.function[op]]++;
    }
    json_object_set_new(ret, "total", json_integer(t->operations.count));
    for (unsigned i = 0; i < 3; i++)
        json_object_set_new(ret, names[i],
                            json_integer((json_int_t)outcomes[i]));
    for (unsigned i = 0; i < FUNCTION_COUNT; i++)
        if (functions[i] > 0)
            json_object_set_new(by_function, function_name((enum function)i),
                                json_integer((json_int_t)functions[i]));
    json_object_set_new(ret, "by_function", by_function);
}

json_t *
report_new(const struct table *t)
{
    json_t *result = json_object(), *operations = json_object();

    count_operations(t, operations);
    json_object_set_new(result, "verdict",
                        json_string(verdict_name(VERDICT_VALID)));
    json_object_set_new(result, "checkers", json_array());
    json_object_set_new(result, "operations", operations);
    json_object_set_new(result, "evidence", evidence_new(t));
    return result;
}

static enum verdict
verdict_of(const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "verdict"));

    for (int v = VERDICT_VALID; v <= VERDICT_INVALID; v++)
        if (name != NULL && strcmp(name, verdict_name((enum verdict)v)) == 0)
            return (enum verdict)v;
    return VERDICT_UNKNOWN;
}

void
report_add(json_t *result, const struct checker_ops *ops,
           const struct finding *f)
{
    json_t *entry = json_object(), *events = json_array();

    for (uint32_t i = 0; i < f->event_count; i++)
        json_array_append_new(events, json_integer(f->events[i]));
    json_object_set_new(entry, "checker", json_string(ops->name));
    json_object_set_new(entry, "verdict",
                        json_string(verdict_name(f->verdict)));
    json_object_set_new(entry, "count", json_integer((json_int_t)f->count));
    if (f->verdict == VERDICT_UNKNOWN)
        json_object_set_new(entry, "reason", json_string(f->reason));
    if (f->verdict == VERDICT_INVALID || f->event_count > 0)
        json_object_set_new(
            entry, "witness",
            json_pack("{s:s, s:o}", "text",
                      f->verdict == VERDICT_INVALID ? f->text : f->reason,
                      "events", events));
    else
        json_decref(events);
    json_array_append_new(json_object_get(result, "checkers"), entry);
    json_object_set_new(result, "verdict",
                        json_string(verdict_name(
                            verdict_worst(verdict_of(result), f->verdict))));
}

static void
report_worsen(json_t *result, enum verdict verdict)
{
    json_object_set_new(
        result, "verdict",
        json_string(verdict_name(verdict_worst(verdict_of(result), verdict))));
}

void
report_add_unknown(json_t *result, const char *name, const char *reason)
{
    json_array_append_new(json_object_get(result, "checkers"),
                          json_pack("{s:s, s:s, s:i, s:s}", "checker", name,
                                    "verdict", "unknown", "count", 1, "reason",
                                    reason));
    report_worsen(result, VERDICT_UNKNOWN);
}

void
report_add_judged(json_t *result, const json_t *checker, const json_t *judged)
{
    static const char *const keys[] = {"engine", "confirmed_by"};
    json_t *entry = json_deep_copy(checker);
    json_t *witness = json_object_get(entry, "witness");
    json_t *lines = json_object_get(witness, "lines");

    /* Of our own histories a line is the number of an event. */
    if (lines != NULL) {
        json_object_set(witness, "events", lines);
        json_object_del(witness, "lines");
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (json_object_get(judged, keys[i]) != NULL)
            json_object_set(entry, keys[i], json_object_get(judged, keys[i]));
    json_array_append_new(json_object_get(result, "checkers"), entry);
    report_worsen(result, verdict_of(checker));
}

/* ---- text ---- */

static long long
number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void
print_checker(const json_t *c, FILE *out)
{
    const json_t *witness = json_object_get(c, "witness"), *event;
    const json_t *events = json_object_get(witness, "events");
    const char *reason = json_string_value(json_object_get(c, "reason"));
    long long count = number(c, "count");
    size_t i;

    fprintf(out, "  %-8s %s", json_string_value(json_object_get(c, "verdict")),
            json_string_value(json_object_get(c, "checker")));
    if (count > 1)
        fprintf(out, " (%lld)", count);
    fputc('\n', out);
    if (reason != NULL)
        fprintf(out, "           %s\n", reason);
    if (witness == NULL)
        return;
    if (reason == NULL)
        fprintf(out, "           %s\n",
                json_string_value(json_object_get(witness, "text")));
    fprintf(out, "           events:");
    json_array_foreach ((json_t *)events, i, event) {
        fprintf(out, " %lld", (long long)json_integer_value(event));
    }
    fputc('\n', out);
}

static void
print_faults(const json_t *evidence, FILE *out)
{
    const json_t *faults = json_object_get(evidence, "faults"), *fault;
    long long confirmed = 0, covered = 0;
    size_t i;

    json_array_foreach ((json_t *)faults, i, fault) {
        bool sure = json_is_true(json_object_get(fault, "confirmed"));

        confirmed += sure;
        covered +=
            sure && number(json_object_get(fault, "attempts"), "total") > 0;
    }
    fprintf(out,
            "  faults: %zu, confirmed %lld, with attempts during it %lld\n",
            json_array_size(faults), confirmed, covered);
}

void
report_print(const json_t *result, const char *path, FILE *out)
{
    const json_t *evidence = json_object_get(result, "evidence"), *checker;
    const json_t *ambiguities = json_object_get(evidence, "ambiguities");
    const json_t *operations = json_object_get(result, "operations");
    const char *cut = json_string_value(json_object_get(evidence, "cut"));
    size_t i;

    fprintf(out, "%s: %s\n",
            json_string_value(json_object_get(result, "verdict")), path);
    json_array_foreach (json_object_get(result, "checkers"), i, checker) {
        print_checker(checker, out);
    }
    fprintf(out, "  operations: %lld (ok %lld, fail %lld, unknown %lld)\n",
            number(operations, "total"), number(operations, "ok"),
            number(operations, "fail"), number(operations, "unknown"));
    fprintf(out,
            "  ambiguities: %lld, resolved %lld; leader changes seen: %lld\n",
            number(ambiguities, "total"), number(ambiguities, "resolved"),
            number(evidence, "leader_changes"));
    print_faults(evidence, out);
    if (cut != NULL)
        fprintf(out, "  %s\n", cut);
    else if (!json_is_true(json_object_get(evidence, "sealed")))
        fprintf(out, "  the history is not sealed: its writer was killed\n");
}
