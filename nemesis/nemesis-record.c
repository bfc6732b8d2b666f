/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the nemesis records (history, faults.jsonl) and shows of itself.
 *
 * Failure modes: a record that cannot be written ends the injecting; healing
 * goes on.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/log.h"
#include "nemesis/nemesis-internal.h"

/* ---- what others see ---- */

void
nemesis_count(struct nemesis *n, unsigned *counter)
{
    pthread_mutex_lock(&n->lock);
    (*counter)++;
    pthread_mutex_unlock(&n->lock);
}

void
nemesis_flag(struct nemesis *n, bool *flag, const struct error *err)
{
    bool first;

    pthread_mutex_lock(&n->lock);
    first = !*flag;
    *flag = true;
    pthread_mutex_unlock(&n->lock);
    atomic_store(&n->stopping, true);
    if (first)
        log_warning("nemesis", "%s, no more faults, continuing", err->text);
}

void
nemesis_show(struct nemesis *n)
{
    const struct cluster *c = n->options.world->cluster;
    CLEANUP(buf_release) struct buf text = {.max = NEMESIS_CURRENT_MAX - 1};

    for (unsigned i = 0; i < n->active_count; i++) {
        const struct nemesis_active *a = &n->active[i];

        buf_printf(&text, "%s%s%" PRIu64 " %s", i == 0 ? "" : ", ",
                   a->ending ? "healing " : "", a->entry->id,
                   a->entry->ops->name);
        for (unsigned node = 0; node < c->node_count; node++)
            if (a->fault.targets >> node & 1)
                buf_printf(&text, " %s", c->nodes[node].name);
        buf_puts(&text, a->primary ? " (primary)" : "");
    }
    pthread_mutex_lock(&n->lock);
    snprintf(n->current, sizeof(n->current), "%s", buf_text(&text));
    n->summary.under_way = n->active_count;
    pthread_mutex_unlock(&n->lock);
}

void
nemesis_current(struct nemesis *n, char ret[static NEMESIS_CURRENT_MAX])
{
    pthread_mutex_lock(&n->lock);
    memcpy(ret, n->current, NEMESIS_CURRENT_MAX);
    pthread_mutex_unlock(&n->lock);
}

void
nemesis_summary(struct nemesis *n, struct nemesis_summary *ret)
{
    pthread_mutex_lock(&n->lock);
    *ret = n->summary;
    pthread_mutex_unlock(&n->lock);
}

static void
nemesis_grant_exit(struct nemesis *n, node_set targets, int status)
{
    assert(status > 0 && status < NEMESIS_STATUS_COUNT);
    for (unsigned node = 0; node < NODE_COUNT_MAX; node++)
        if (targets >> node & 1)
            n->may_exit[node][status] = true;
}

void
nemesis_grant_exits(struct nemesis *n, const struct fault *f)
{
    const int *statuses = f->ops->may_exit;

    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; statuses != NULL && statuses[i] != 0; i++)
        nemesis_grant_exit(n, f->targets, statuses[i]);
    if (f->ops->ends_at_point)
        nemesis_grant_exit(n, f->targets, f->world->system->crash_exit);
    pthread_mutex_unlock(&n->lock);
}

bool
nemesis_may_exit(struct nemesis *n, unsigned node, int status)
{
    bool may;

    assert(node < NODE_COUNT_MAX);
    if (status < 0 || status >= NEMESIS_STATUS_COUNT)
        return false;
    pthread_mutex_lock(&n->lock);
    may = n->may_exit[node][status];
    pthread_mutex_unlock(&n->lock);
    return may;
}

json_t *
nemesis_summary_to_json(const struct nemesis_summary *s)
{
    return json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b}", "planned",
        (int)s->planned, "skipped", (int)s->skipped, "injected",
        (int)s->injected, "confirmed", (int)s->confirmed, "mismatch",
        (int)s->mismatch, "inconclusive", (int)s->inconclusive, "primary_hits",
        (int)s->primary_hits, "not_healed", (int)s->under_way, "self_healed",
        (int)s->self_healed, "journal_failed", (int)s->journal_failed,
        "record_failed", (int)s->record_failed);
}

/* ---- the record ---- */

static void
nemesis_record_nodes(struct nemesis *n, struct arena *a, struct fields *fields,
                     const struct nemesis_active *active)
{
    const struct cluster *c = n->options.world->cluster;
    struct value *names = arena_alloc(a, c->node_count * sizeof(*names));
    size_t count = 0;

    for (unsigned i = 0; i < c->node_count; i++) {
        if (!(active->fault.targets >> i & 1))
            continue;
        names[count].type = VALUE_STRING;
        names[count].string.text = c->nodes[i].name;
        names[count++].string.len = strlen(c->nodes[i].name);
    }
    fields_set_list(a, fields, "nodes", names, count);
    fields_set_bool(a, fields, "primary", active->primary);
}

/* *ret_time_ns: the moment on the history's clock. */
static int
nemesis_record_history(struct nemesis *n, const struct nemesis_step *s,
                       int64_t *ret_time_ns, struct error *err)
{
    CLEANUP(arena_release) struct arena a;
    struct event event = {.process = HISTORY_PROCESS_NONE,
                          .kind = EVENT_FAULT,
                          .function = s->entry->ops->name};

    arena_init(&a);
    if (n->options.history == NULL) {
        *ret_time_ns = nemesis_now_ns(n);
        return 0;
    }
    fields_set_int(&a, &event.fields, "id", (int64_t)s->entry->id);
    fields_set_string(&a, &event.fields, "stage", s->stage);
    if (s->active != NULL)
        nemesis_record_nodes(n, &a, &event.fields, s->active);
    if (s->result != NULL)
        fields_set_string(&a, &event.fields, "result", s->result);
    if (s->active != NULL && s->active->ending && s->result != NULL)
        fields_set_int(&a, &event.fields, "proven_ms",
                       s->active->proven_ns / NS_PER_MS);
    if (s->cause != NULL)
        fields_set_string(&a, &event.fields, "cause", s->cause);
    if (s->error != NULL)
        fields_set_string(&a, &event.fields, "error", s->error);
    if (history_append(n->options.history, &event, HISTORY_BUFFERED, err) < 0)
        return -1;
    *ret_time_ns = event.time_ns;
    return 0;
}

static int
nemesis_record_line(struct nemesis *n, const struct nemesis_step *s,
                    int64_t time_ns, struct error *err)
{
    CLEANUP_FREE char *text = NULL;
    const struct nemesis_active *a = s->active;
    json_t *line =
        json_pack("{s:I, s:I, s:s, s:s}", "time_ns", (json_int_t)time_ns, "id",
                  (json_int_t)s->entry->id, "fault", s->entry->ops->name,
                  "stage", s->stage);

    if (a == NULL) {
        json_object_set_new(line, "target", json_string(s->entry->target));
        json_object_set(line, "params", s->entry->params);
    } else {
        json_object_set_new(
            line, "nodes",
            node_set_to_json(n->options.world->cluster, a->fault.targets));
        json_object_set_new(line, "primary", json_boolean(a->primary));
    }
    if (s->result != NULL) {
        json_object_set_new(line, "result", json_string(s->result));
        json_object_set(line, "evidence", a->fault.evidence);
    }
    if (a != NULL && a->ending && s->result != NULL)
        json_object_set_new(line, "proven_ms",
                            json_integer(a->proven_ns / NS_PER_MS));
    if (s->cause != NULL)
        json_object_set_new(line, "cause", json_string(s->cause));
    if (s->error != NULL)
        json_object_set_new(line, "error", json_string(s->error));
    text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (text == NULL || fprintf(n->options.faults, "%s\n", text) < 0 ||
        fflush(n->options.faults) != 0)
        return error_set(err, ERROR_ENVIRONMENT, "faults.jsonl: write failed");
    return 0;
}

/* A step of one fault may set off another. */
static void
nemesis_record_event(struct nemesis *n, const struct nemesis_step *s)
{
    const struct cluster *c = n->options.world->cluster;
    struct nemesis_event e = {.kind = TRIGGER_FAULT,
                              .name = s->entry->ops->name,
                              .step = s->stage,
                              .process = HISTORY_PROCESS_NONE};

    if (n->trigger_count == 0)
        return;
    for (unsigned i = 0; s->active != NULL && i < c->node_count; i++)
        if (e.node == NULL && (s->active->fault.targets >> i & 1))
            e.node = c->nodes[i].name;
    nemesis_note_event(n, &e);
}

void
nemesis_record(struct nemesis *n, const struct nemesis_step *s)
{
    struct error err = {0};
    int64_t time_ns;

    if (nemesis_record_history(n, s, &time_ns, &err) < 0 ||
        (n->options.faults != NULL &&
         nemesis_record_line(n, s, time_ns, &err) < 0)) {
        nemesis_flag(n, &n->summary.record_failed, &err);
    }
    nemesis_record_event(n, s);
    if (n->options.stepped != NULL)
        n->options.stepped(n->options.ctx, s->stage);
    log_debug("nemesis", "fault %" PRIu64 " %s: %s%s%s%s%s", s->entry->id,
              s->entry->ops->name, s->stage, s->result == NULL ? "" : " ",
              s->result == NULL ? "" : s->result, s->error == NULL ? "" : ": ",
              s->error == NULL ? "" : s->error);
}

void
nemesis_step(struct nemesis *n, const struct nemesis_active *a,
             const char *stage, const char *result, const char *error)
{
    nemesis_record(n, &(struct nemesis_step){.entry = a->entry,
                                             .stage = stage,
                                             .active = a,
                                             .result = result,
                                             .error = error});
}

void
nemesis_mark(struct nemesis *n, const struct plan_entry *e,
             const struct nemesis_active *a, const char *what,
             const char *reason)
{
    const struct cluster *c = n->options.world->cluster;
    CLEANUP(buf_release) struct buf text = {.max = 512};

    if (n->options.marked == NULL)
        return;
    buf_printf(&text, "%" PRIu64 " %s", e->id, e->ops->name);
    for (unsigned i = 0; a != NULL && i < c->node_count; i++)
        if (a->fault.targets >> i & 1)
            buf_printf(&text, " %s", c->nodes[i].name);
    if (a == NULL)
        buf_printf(&text, " %s", e->target);
    buf_printf(&text, "%s: %s%s%s", a != NULL && a->primary ? " (primary)" : "",
               what, reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
    n->options.marked(n->options.ctx, buf_text(&text));
}

void
nemesis_skip(struct nemesis *n, const struct plan_entry *e, const char *reason)
{
    nemesis_count(n, &n->summary.skipped);
    nemesis_mark(n, e, NULL, "skipped", reason);
    nemesis_record(n, &(struct nemesis_step){
                          .entry = e, .stage = "skipped", .error = reason});
}
