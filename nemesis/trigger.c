/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: one of three shapes, told apart by the key that names what is
 * waited for; then the options that all have.
 *
 * Failure modes: everything that a person may write wrongly is ERROR_CONFIG.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/buf.h"
#include "nemesis/fault.h"
#include "nemesis/params.h"
#include "nemesis/trigger.h"

/* In the order of enum event_kind. */
static const char *const trigger_outcomes[] = {"invoke", "ok", "fail",
                                               "unknown", NULL};
static const char *const trigger_steps[] = {
    "journalled", "injected",      "proved",  "proved_before_heal",
    "healed",     "proved_healed", "skipped", NULL};

static int
trigger_word(const json_t *on, const char *key, char ret[static 64],
             struct error *err)
{
    const char *text = NULL;

    if (params_string(on, key, &text, err) < 0)
        return -1;
    if (text == NULL)
        return 0;
    if (text[0] == '\0' || strlen(text) >= TRIGGER_WORD_MAX)
        return error_set(err, ERROR_CONFIG, "%s: '%.80s' is not a name", key,
                         text);
    snprintf(ret, TRIGGER_WORD_MAX, "%s", text);
    return 0;
}

static int
trigger_count(const json_t *on, const char *key, json_int_t max, uint32_t *ret,
              struct error *err)
{
    const json_t *value = json_object_get(on, key);

    if (value == NULL)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > max)
        return error_set(err, ERROR_CONFIG,
                         "%s: not a whole number from 1 to "
                         "%" JSON_INTEGER_FORMAT,
                         key, max);
    *ret = (uint32_t)json_integer_value(value);
    return 0;
}

static int
trigger_parse_event(const json_t *on, struct trigger *t, struct error *err)
{
    static const char *const keys[] = {"event", "function", "process", "node",
                                       "after", "every",    "limit",   NULL};
    double process = -1;
    unsigned outcome = 0;

    if (params_check_keys(on, keys, err) < 0 ||
        params_choice(on, "event", trigger_outcomes, &outcome, err) < 0 ||
        params_number(on, "process", 0, UINT32_MAX - 1, &process, err) < 0 ||
        trigger_word(on, "function", t->name, err) < 0)
        return -1;
    t->kind = TRIGGER_EVENT;
    t->outcome = (enum event_kind)outcome;
    t->process = (int64_t)process;
    return 0;
}

static int
trigger_parse_fault(const json_t *on, struct trigger *t, struct error *err)
{
    static const char *const keys[] = {"fault", "step",  "node", "after",
                                       "every", "limit", NULL};
    unsigned step = 1;

    if (params_check_keys(on, keys, err) < 0 ||
        trigger_word(on, "fault", t->name, err) < 0 ||
        params_choice(on, "step", trigger_steps, &step, err) < 0)
        return -1;
    if (fault_find(t->name) == NULL)
        return error_set(err, ERROR_CONFIG, "fault: there is no fault '%s'",
                         t->name);
    t->kind = TRIGGER_FAULT;
    snprintf(t->step, sizeof(t->step), "%s", trigger_steps[step]);
    return 0;
}

/* Whether the system reports it, nemesis_check() asks. */
static int
trigger_parse_system(const json_t *on, struct trigger *t, struct error *err)
{
    static const char *const keys[] = {"system", "node",  "after",
                                       "every",  "limit", NULL};

    if (params_check_keys(on, keys, err) < 0 ||
        trigger_word(on, "system", t->name, err) < 0)
        return -1;
    t->kind = TRIGGER_SYSTEM;
    return 0;
}

static int
trigger_parse_rest(const json_t *on, unsigned node_count, struct trigger *t,
                   struct error *err)
{
    char name[16];
    unsigned i = 1;

    if (trigger_word(on, "node", t->node, err) < 0 ||
        params_duration(on, "after", &t->after_ns, err) < 0 ||
        trigger_count(on, "every", UINT32_MAX, &t->every, err) < 0 ||
        trigger_count(on, "limit", TRIGGER_LIMIT_MAX, &t->limit, err) < 0)
        return -1;
    for (; t->node[0] != '\0' && i <= node_count; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        if (strcmp(name, t->node) == 0)
            break;
    }
    if (t->node[0] != '\0' && i > node_count)
        return error_set(err, ERROR_CONFIG, "node: '%s' is not one of n1..n%u",
                         t->node, node_count);
    return 0;
}

int
trigger_parse(const json_t *on, unsigned node_count, struct trigger *ret,
              struct error *err)
{
    struct trigger t = {.process = -1, .every = 1, .limit = 1};
    int result;

    if (!json_is_object(on))
        return error_set(err, ERROR_CONFIG, "on: not an object");
    if (json_object_get(on, "event") != NULL)
        result = trigger_parse_event(on, &t, err);
    else if (json_object_get(on, "fault") != NULL)
        result = trigger_parse_fault(on, &t, err);
    else if (json_object_get(on, "system") != NULL)
        result = trigger_parse_system(on, &t, err);
    else
        result = error_set(err, ERROR_CONFIG,
                           "none of the keys event, fault and system says "
                           "what is waited for");
    if (result < 0 || trigger_parse_rest(on, node_count, &t, err) < 0)
        return error_wrap(err, "on");
    *ret = t;
    return 0;
}

json_t *
trigger_to_json(const struct trigger *t)
{
    json_t *on = json_object();

    switch (t->kind) {
    case TRIGGER_NONE:
        break;
    case TRIGGER_EVENT:
        json_object_set_new(on, "event",
                            json_string(trigger_outcomes[t->outcome]));
        if (t->name[0] != '\0')
            json_object_set_new(on, "function", json_string(t->name));
        if (t->process >= 0)
            json_object_set_new(on, "process", json_integer(t->process));
        break;
    case TRIGGER_FAULT:
        json_object_set_new(on, "fault", json_string(t->name));
        json_object_set_new(on, "step", json_string(t->step));
        break;
    case TRIGGER_SYSTEM:
        json_object_set_new(on, "system", json_string(t->name));
        break;
    }
    if (t->node[0] != '\0')
        json_object_set_new(on, "node", json_string(t->node));
    json_object_set_new(on, "after",
                        json_sprintf("%" PRId64 "ms", t->after_ns / NS_PER_MS));
    json_object_set_new(on, "every", json_integer(t->every));
    json_object_set_new(on, "limit", json_integer(t->limit));
    return on;
}

static bool
trigger_same(const char *want, const char *is)
{
    return want[0] == '\0' || (is != NULL && strcmp(want, is) == 0);
}

bool
trigger_matches(const struct trigger *t, const struct nemesis_event *e)
{
    if (t->kind == TRIGGER_NONE || t->kind != e->kind ||
        !trigger_same(t->name, e->name) || !trigger_same(t->step, e->step) ||
        !trigger_same(t->node, e->node))
        return false;
    return t->kind != TRIGGER_EVENT ||
           (t->outcome == e->outcome &&
            (t->process < 0 || (uint64_t)t->process == e->process));
}

void
trigger_describe(const struct trigger *t, char *buf, size_t size)
{
    CLEANUP(buf_release) struct buf text = {.max = 512};

    if (t->after_ns > 0)
        buf_printf(&text, "%" PRId64 " ms after", t->after_ns / NS_PER_MS);
    else
        buf_puts(&text, "on");
    if (t->every > 1)
        buf_printf(&text, " each %" PRIu32 ".", t->every);
    if (t->kind == TRIGGER_EVENT)
        buf_printf(&text, " %s of %s", trigger_outcomes[t->outcome],
                   t->name[0] == '\0' ? "anything" : t->name);
    else if (t->kind == TRIGGER_FAULT)
        buf_printf(&text, " fault %s %s", t->name, t->step);
    else
        buf_printf(&text, " %s of the system", t->name);
    if (t->node[0] != '\0')
        buf_printf(&text, " at %s", t->node);
    if (t->process >= 0)
        buf_printf(&text, " by process %" PRId64, t->process);
    snprintf(buf, size, "%s", buf_text(&text));
}

void
nemesis_event_describe(const struct nemesis_event *e, char *buf, size_t size)
{
    CLEANUP(buf_release) struct buf text = {.max = 512};

    if (e->kind == TRIGGER_EVENT)
        buf_printf(&text, "%s ", trigger_outcomes[e->outcome]);
    buf_puts(&text, e->name);
    if (e->step != NULL)
        buf_printf(&text, " %s", e->step);
    if (e->node != NULL)
        buf_printf(&text, " at %s", e->node);
    if (e->process != HISTORY_PROCESS_NONE)
        buf_printf(&text, " by process %" PRIu32, e->process);
    snprintf(buf, size, "%s", buf_text(&text));
}
