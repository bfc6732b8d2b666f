/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both commands are one pass over the reader: cat prints as it goes and needs
 * no memory; stat keeps a small table per function and, to say which
 * ambiguities were resolved, 24 bytes per operation.
 *
 * Damage, a full pipe or a broken line ends the pass with an error after what
 * was good has been printed.  A history without a seal is said to be one.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/buf.h"
#include "harness/history-tool.h"

#define TOOL_LINE_BYTES_MAX (1u << 20)
/* More functions or errors than this are counted under "(others)". */
#define TOOL_NAMES_MAX 64
/* 1.5 GiB of table: a nightly run has a hundredth of it. */
#define TOOL_OPERATIONS_MAX (64u << 20)

/* ---- filters ---- */

int
history_filter_kinds(struct history_filter *filter, const char *text,
                     struct error *err)
{
    unsigned kinds = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        enum event_kind kind;
        char name[16];

        snprintf(name, sizeof(name), "%.*s", (int)(len < 15 ? len : 15), text);
        if (!event_kind_parse(name, &kind))
            return error_set(err, ERROR_CONFIG,
                             "'%s' is no kind of event: invoke, ok, fail, "
                             "unknown, fault, note",
                             name);
        kinds |= 1u << kind;
        text += len + (text[len] == ',');
    }
    filter->kinds = kinds;
    return 0;
}

static int
filter_check(const struct history_filter *filter, struct error *err)
{
    const char *digits = filter->operation;

    if (digits == NULL)
        return 0;
    if (strncmp(digits, "..", 2) == 0)
        digits += 2;
    if (*digits == '\0' || strlen(digits) >= ID128_TEXT_SIZE ||
        strspn(digits, "0123456789abcdefABCDEF") != strlen(digits))
        return error_set(err, ERROR_CONFIG,
                         "'%s' is no operation id: 1 to 32 hex digits, the "
                         "last ones",
                         filter->operation);
    return 0;
}

static bool
filter_operation(const char *digits, struct id128 id)
{
    char text[ID128_TEXT_SIZE];

    if (id128_is_zero(id))
        return false;
    if (strncmp(digits, "..", 2) == 0)
        digits += 2;
    id128_format(id, text);
    return strcasecmp(text + strlen(text) - strlen(digits), digits) == 0;
}

static bool
filter_passes(const struct history_filter *f, const struct event *e,
              int64_t since_ns)
{
    if (f->kinds != 0 && !(f->kinds & 1u << e->kind))
        return false;
    if (f->function != NULL && strcmp(f->function, e->function) != 0)
        return false;
    if (f->node != NULL && (e->node == NULL || strcmp(f->node, e->node) != 0))
        return false;
    if (f->process_set && f->process != e->process)
        return false;
    if ((f->from_set && since_ns < f->from_ns) ||
        (f->to_set && since_ns > f->to_ns))
        return false;
    return f->operation == NULL || filter_operation(f->operation, e->operation);
}

/* ---- cat ---- */

static bool
text_is_plain(const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || strchr(" \"=[],", *p))
            return false;
    return *text != '\0' && *text != '#';
}

static void
line_value(struct buf *line, const struct value *v)
{
    char id[ID128_TEXT_SIZE];

    switch (v->type) {
    case VALUE_INT:
        buf_printf(line, "%" PRId64, v->integer);
        return;
    case VALUE_ID:
        id128_format(v->id, id);
        buf_printf(line, "#%s", id + (v->id.hi == 0 ? 16 : 0));
        return;
    case VALUE_LIST:
        buf_puts(line, "[");
        for (size_t i = 0; i < v->list.count; i++) {
            if (i > 0)
                buf_puts(line, ",");
            line_value(line, &v->list.items[i]);
        }
        buf_puts(line, "]");
        return;
    default:
        break;
    }
    if (v->type == VALUE_STRING && text_is_plain(v->string.text)) {
        buf_puts(line, v->string.text);
    } else {
        json_t *json = value_to_json(v);
        CLEANUP_FREE char *text = json_dumps(json, JSON_ENCODE_ANY);

        buf_puts(line, text == NULL ? "?" : text);
        json_decref(json);
    }
}

static void
line_event(struct buf *line, const struct event *e, int64_t since_ns)
{
    bool negative = since_ns < 0;
    uint64_t us = (negative ? -(uint64_t)since_ns : (uint64_t)since_ns) /
                  (uint64_t)NS_PER_US;
    char time[32], process[16], id[ID128_TEXT_SIZE];

    snprintf(time, sizeof(time), "%s%" PRIu64 ".%06" PRIu64 "s",
             negative ? "-" : "", us / 1000000, us % 1000000);
    snprintf(process, sizeof(process), "p%" PRIu32, e->process);
    buf_printf(line, "%15s  %-5s %-4s %-7s  %-15s", time,
               e->process == HISTORY_PROCESS_NONE ? "-" : process,
               e->node == NULL ? "-" : e->node, event_kind_name(e->kind),
               e->function);
    if (!id128_is_zero(e->operation)) {
        id128_format(e->operation, id);
        buf_printf(line, " op=..%s", id + 24);
    }
    if (e->attempt != 0)
        buf_printf(line, " a%" PRIu32, e->attempt);
    if (e->error != NULL)
        buf_printf(line, " error=%s", e->error);
    if (e->position.known)
        buf_printf(line, " @%" PRIu64 "/%" PRIu64, e->position.term,
                   e->position.index);
    for (size_t i = 0; i < e->fields.count; i++) {
        buf_printf(line, " %s=", e->fields.items[i].key);
        line_value(line, &e->fields.items[i].value);
    }
    while (line->len > 0 && line->data[line->len - 1] == ' ')
        line->data[--line->len] = '\0';
    if (line->truncated)
        buf_puts(line, "...");
    line->data[line->len] = '\0';
}

static int
cat_put(FILE *out, const struct event *e, int64_t since_ns, bool json,
        struct buf *line, struct error *err)
{
    int status;

    if (json) {
        json_t *object = event_to_json(e);

        status = json_dumpf(object, out, JSON_COMPACT);
        json_decref(object);
    } else {
        buf_reset(line);
        line_event(line, e, since_ns);
        status = fputs(buf_text(line), out);
    }
    if (status < 0 || putc('\n', out) == EOF)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    return 0;
}

static int
cat_events(FILE *out, struct history_reader *r, bool json,
           const struct history_filter *filter, struct buf *line,
           struct error *err)
{
    struct event e;
    int64_t start_ns = 0;
    uint64_t printed = 0;
    int status;

    while ((status = history_next(r, &e, err)) > 0) {
        int64_t since_ns;

        if (e.index == 0)
            start_ns = e.time_ns;
        since_ns = (int64_t)((uint64_t)e.time_ns - (uint64_t)start_ns);
        if (!filter_passes(filter, &e, since_ns))
            continue;
        if (cat_put(out, &e, since_ns, json, line, err) < 0)
            return -1;
        if (++printed == filter->limit)
            return 1;
    }
    return status;
}

int
history_cat(FILE *out, const char *path, bool json,
            const struct history_filter *filter, struct error *err)
{
    struct history_reader *r;
    struct buf line;
    int status;

    if (filter_check(filter, err) < 0)
        return -1;
    r = history_reader_open(path, err);
    if (r == NULL)
        return -1;
    buf_init(&line, TOOL_LINE_BYTES_MAX);
    if (json) {
        json_t *first = json_pack("{s:i,s:O}", "ordeal-history", 1, "meta",
                                  history_reader_meta(r));

        json_dumpf(first, out, JSON_COMPACT);
        putc('\n', out);
        json_decref(first);
    }
    status = cat_events(out, r, json, filter, &line, err);
    if (status == 0 && !json && !history_reader_sealed(r))
        fprintf(out,
                "# not sealed: the run did not end in order; %" PRIu64
                " bytes of a torn block are dropped\n",
                history_reader_dropped_bytes(r));
    buf_release(&line);
    history_reader_free(r);
    if (status >= 0 && (fflush(out) != 0 || ferror(out)))
        return error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    return status < 0 ? -1 : 0;
}

/* ---- stat ---- */

struct stat_row {
    char name[64];
    uint64_t counts[EVENT_KIND_COUNT];
};

struct stat_rows {
    struct stat_row rows[TOOL_NAMES_MAX];
    unsigned count;
};

/* Of one operation id: was an attempt in doubt, did an answer come? */
struct stat_operation {
    struct id128 id;
    uint32_t open; /* attempts without completion */
    bool unknown, answered;
};

struct stat_operations {
    struct stat_operation *slots;
    size_t cap, count;
};

struct stat_state {
    struct stat_rows functions, errors, faults;
    struct stat_operations operations;
    uint64_t event_count;
    int64_t first_ns, last_ns;
};

/* What is counted of faults' lives. */
static const char *const stat_fault_stages[4] = {
    "injected",
    "proved",
    "healed",
    "proved_healed",
};

static struct stat_row *
stat_row(struct stat_rows *rows, const char *name)
{
    struct stat_row *row;

    for (unsigned i = 0; i < rows->count; i++)
        if (strncmp(rows->rows[i].name, name, 63) == 0)
            return &rows->rows[i];
    if (rows->count == TOOL_NAMES_MAX - 1)
        name = "(others)";
    else if (rows->count == TOOL_NAMES_MAX)
        return &rows->rows[TOOL_NAMES_MAX - 1];
    row = &rows->rows[rows->count++];
    snprintf(row->name, sizeof(row->name), "%s", name);
    return row;
}

static void
stat_grow(struct stat_operations *o)
{
    struct stat_operations old = *o;

    o->cap = old.cap == 0 ? 1024 : old.cap * 2;
    o->slots = xcalloc(o->cap, sizeof(*o->slots));
    for (size_t i = 0; i < old.cap; i++) {
        struct stat_operation *from = &old.slots[i];
        size_t slot;

        if (id128_is_zero(from->id))
            continue;
        slot = (from->id.lo * UINT64_C(0x9e3779b97f4a7c15) ^ from->id.hi) &
               (o->cap - 1);
        while (!id128_is_zero(o->slots[slot].id))
            slot = (slot + 1) & (o->cap - 1);
        o->slots[slot] = *from;
    }
    free(old.slots);
}

/* NULL when there are more operations than are followed. */
static struct stat_operation *
stat_operation(struct stat_operations *o, struct id128 id)
{
    size_t slot;

    if (o->count * 4 >= o->cap * 3) {
        if (o->cap >= TOOL_OPERATIONS_MAX)
            return NULL;
        stat_grow(o);
    }
    slot = (id.lo * UINT64_C(0x9e3779b97f4a7c15) ^ id.hi) & (o->cap - 1);
    while (!id128_is_zero(o->slots[slot].id) &&
           !id128_equal(o->slots[slot].id, id))
        slot = (slot + 1) & (o->cap - 1);
    if (id128_is_zero(o->slots[slot].id)) {
        o->slots[slot].id = id;
        o->count++;
    }
    return &o->slots[slot];
}

static void
stat_add_operation(struct stat_state *s, const struct event *e)
{
    struct stat_operation *o;

    if (id128_is_zero(e->operation))
        return;
    o = stat_operation(&s->operations, e->operation);
    if (o == NULL)
        return;
    if (e->kind == EVENT_INVOKE) {
        o->open++;
        return;
    }
    if (o->open > 0)
        o->open--;
    o->unknown |= e->kind == EVENT_UNKNOWN;
    o->answered |= e->kind == EVENT_OK;
}

static void
stat_add(struct stat_state *s, const struct event *e)
{
    const char *stage = NULL;

    if (s->event_count++ == 0)
        s->first_ns = e->time_ns;
    s->last_ns = e->time_ns;
    if (e->kind == EVENT_NOTE)
        return;
    if (e->kind == EVENT_FAULT) {
        struct stat_row *row = stat_row(&s->faults, e->function);

        if (!fields_string(&e->fields, "stage", &stage))
            return;
        for (unsigned i = 0; i < ARRAY_LEN(stat_fault_stages); i++)
            if (strcmp(stage, stat_fault_stages[i]) == 0)
                row->counts[i]++;
        return;
    }
    stat_row(&s->functions, e->function)->counts[e->kind]++;
    if (e->error != NULL)
        stat_row(&s->errors, e->error)->counts[e->kind]++;
    stat_add_operation(s, e);
}

/* Operations that were ever in doubt, and those of them answered later. */
static void
stat_ambiguities(const struct stat_operations *o, uint64_t *ret_ambiguous,
                 uint64_t *ret_resolved)
{
    *ret_ambiguous = *ret_resolved = 0;
    for (size_t i = 0; i < o->cap; i++) {
        const struct stat_operation *op = &o->slots[i];

        if (id128_is_zero(op->id) || !(op->unknown || op->open > 0))
            continue;
        ++*ret_ambiguous;
        *ret_resolved += op->answered;
    }
}

static uint64_t
row_open(const struct stat_row *row)
{
    uint64_t done = row->counts[EVENT_OK] + row->counts[EVENT_FAIL] +
                    row->counts[EVENT_UNKNOWN];
    uint64_t begun = row->counts[EVENT_INVOKE];

    return begun > done ? begun - done : 0;
}

static double
stat_span_s(const struct stat_state *s)
{
    return ((double)s->last_ns - (double)s->first_ns) / (double)NS_PER_S;
}

static double
stat_rate(const struct stat_state *s)
{
    uint64_t attempts = 0;

    for (unsigned i = 0; i < s->functions.count; i++)
        attempts += s->functions.rows[i].counts[EVENT_INVOKE];
    return stat_span_s(s) > 0 ? (double)attempts / stat_span_s(s) : 0;
}

static void
stat_print_text(FILE *out, const struct stat_state *s,
                const struct history_reader *r)
{
    uint64_t ambiguous, resolved;

    stat_ambiguities(&s->operations, &ambiguous, &resolved);
    fprintf(out, "events      %" PRIu64 " in %.3f s, %.1f attempts/s, %s\n",
            s->event_count, stat_span_s(s), stat_rate(s),
            history_reader_sealed(r) ? "sealed" : "not sealed");
    if (history_reader_dropped_bytes(r) > 0)
        fprintf(out, "dropped     %" PRIu64 " bytes of a torn block\n",
                history_reader_dropped_bytes(r));
    fprintf(out, "operations  %zu with an id\n", s->operations.count);
    fprintf(out, "ambiguous   %" PRIu64 ", %" PRIu64 " answered later\n\n",
            ambiguous, resolved);
    fprintf(out, "%-20s %9s %9s %9s %9s %9s\n", "function", "attempts", "ok",
            "fail", "unknown", "open");
    for (unsigned i = 0; i < s->functions.count; i++) {
        const struct stat_row *row = &s->functions.rows[i];

        fprintf(out,
                "%-20s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
                " %9" PRIu64 "\n",
                row->name, row->counts[EVENT_INVOKE], row->counts[EVENT_OK],
                row->counts[EVENT_FAIL], row->counts[EVENT_UNKNOWN],
                row_open(row));
    }
    if (s->errors.count > 0)
        fprintf(out, "\n%-20s %29s %9s\n", "error", "fail", "unknown");
    for (unsigned i = 0; i < s->errors.count; i++)
        fprintf(out, "%-20s %29" PRIu64 " %9" PRIu64 "\n",
                s->errors.rows[i].name, s->errors.rows[i].counts[EVENT_FAIL],
                s->errors.rows[i].counts[EVENT_UNKNOWN]);
    if (s->faults.count > 0)
        fprintf(out, "\n%-20s %9s %9s %9s %13s\n", "fault", "injected",
                "proved", "healed", "proved healed");
    for (unsigned i = 0; i < s->faults.count; i++) {
        const uint64_t *n = s->faults.rows[i].counts;

        fprintf(out,
                "%-20s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %13" PRIu64 "\n",
                s->faults.rows[i].name, n[0], n[1], n[2], n[3]);
    }
}

static json_t *
stat_functions_json(const struct stat_state *s)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < s->functions.count; i++) {
        const struct stat_row *row = &s->functions.rows[i];

        json_object_set_new(
            all, row->name,
            json_pack("{s:I,s:I,s:I,s:I,s:I}", "attempts",
                      (json_int_t)row->counts[EVENT_INVOKE], "ok",
                      (json_int_t)row->counts[EVENT_OK], "fail",
                      (json_int_t)row->counts[EVENT_FAIL], "unknown",
                      (json_int_t)row->counts[EVENT_UNKNOWN], "open",
                      (json_int_t)row_open(row)));
    }
    return all;
}

static json_t *
stat_errors_json(const struct stat_state *s)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < s->errors.count; i++) {
        const struct stat_row *row = &s->errors.rows[i];

        json_object_set_new(
            all, row->name,
            json_pack("{s:I,s:I}", "fail", (json_int_t)row->counts[EVENT_FAIL],
                      "unknown", (json_int_t)row->counts[EVENT_UNKNOWN]));
    }
    return all;
}

static json_t *
stat_faults_json(const struct stat_state *s)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < s->faults.count; i++) {
        json_t *stages = json_object();

        for (unsigned k = 0; k < ARRAY_LEN(stat_fault_stages); k++)
            json_object_set_new(
                stages, stat_fault_stages[k],
                json_integer((json_int_t)s->faults.rows[i].counts[k]));
        json_object_set_new(all, s->faults.rows[i].name, stages);
    }
    return all;
}

static json_t *
stat_json(const struct stat_state *s, const struct history_reader *r)
{
    uint64_t ambiguous, resolved;

    stat_ambiguities(&s->operations, &ambiguous, &resolved);
    return json_pack("{s:I,s:f,s:f,s:b,s:I,s:I,s:I,s:I,s:o,s:o,s:o}", "events",
                     (json_int_t)s->event_count, "seconds", stat_span_s(s),
                     "attempts_per_second", stat_rate(s), "sealed",
                     history_reader_sealed(r), "dropped_bytes",
                     (json_int_t)history_reader_dropped_bytes(r), "operations",
                     (json_int_t)s->operations.count, "ambiguous",
                     (json_int_t)ambiguous, "resolved", (json_int_t)resolved,
                     "functions", stat_functions_json(s), "errors",
                     stat_errors_json(s), "faults", stat_faults_json(s));
}

static struct stat_state *
stat_new(struct history_reader *r, int *ret_status, struct error *err)
{
    struct stat_state *s = xcalloc(1, sizeof(*s));
    struct event e;

    while ((*ret_status = history_next(r, &e, err)) > 0)
        stat_add(s, &e);
    return s;
}

static void
stat_free(struct stat_state *s)
{
    free(s->operations.slots);
    free(s);
}

json_t *
history_stat_json(const char *path, struct error *err)
{
    struct history_reader *r = history_reader_open(path, err);
    struct stat_state *s;
    json_t *json = NULL;
    int status;

    if (r == NULL)
        return NULL;
    s = stat_new(r, &status, err);
    if (status == 0)
        json = stat_json(s, r);
    stat_free(s);
    history_reader_free(r);
    return json;
}

int
history_stat(FILE *out, const char *path, bool json, struct error *err)
{
    struct history_reader *r = history_reader_open(path, err);
    struct stat_state *s;
    int status;

    if (r == NULL)
        return -1;
    s = stat_new(r, &status, err);
    if (json) {
        json_t *all = stat_json(s, r);

        json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        putc('\n', out);
        json_decref(all);
    } else {
        stat_print_text(out, s, r);
    }
    stat_free(s);
    history_reader_free(r);
    if (status == 0 && (fflush(out) != 0 || ferror(out)))
        return error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    return status;
}
