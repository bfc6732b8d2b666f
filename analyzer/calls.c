/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An invocation takes the next row, so that rows stand in the order of invoke,
 * and its record is kept until the process completes it: only then does the
 * model say what the call is.  Rows that turn out to tell nothing are marked
 * and closed up at the end.
 *
 * Retries: a completed attempt with an operation id is looked up by a 128-bit
 * hash of its id and contents.  If an attempt of the same operation is there,
 * the earlier row of the two takes the stronger outcome: answered, then open,
 * then certainly not happened.  A read (what the model leaves out when it has
 * no answer) is never folded: a folded read would hide staleness.
 *
 * Memory: 41 bytes a row, 8 more with positions, 16 and 11 to 21 more with
 * operation ids (until calls_finish); per open call its record, so that what
 * is kept beside the rows depends on concurrency and not on length.
 *
 * Failure modes: what cannot be (a process with two calls at once) is an error
 * that names the line; nothing is guessed at.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/models/model.h"
#include "analyzer/values.h"

/* A row that waits for its completion, or was left out. */
#define FUNCTION_NONE UINT8_MAX
#define INVOKE_DROPPED UINT32_MAX
/* Result of a row all of whose attempts so far certainly did not happen. */
#define RESULT_FAILED (VALUE_ABSENT - 1)

/* A kept record larger than this gives its memory back when it is done: one
 * huge call must not cost that much for every process. */
#define SLOT_BYTES_KEPT 4096

#define NONE UINT32_MAX

/* An open call: its invocation, copied into 'bytes'. */
struct slot {
    int64_t process;
    uint32_t row, next_free;
    struct record invoke;
    struct tree value, key;
    unsigned char *bytes;
    size_t cap;
};

struct operation_key {
    uint64_t hi, lo;
};

struct building {
    struct slot *slots;
    uint32_t slot_count, slot_cap, slot_free;
    uint32_t *processes; /* open-addressed: slot + 1 by process */
    uint32_t process_mask, process_count;
    /* Per row, once any record has an operation id. */
    struct operation_key *keys;
    uint64_t *cells; /* tag << 32 | row + 1; at tag & cell_mask */
    uint64_t cell_mask, cell_count;
};

/* ---- columns ---- */

static void
calls_grow(struct calls *c)
{
    uint64_t cap = c->cap == 0 ? 64 : (uint64_t)c->cap * 2;

    c->cap = cap > CALLS_MAX ? CALLS_MAX : (uint32_t)cap;
#define X(type, name) c->name = xrealloc(c->name, c->cap * sizeof(type));
    CALL_COLUMNS(X)
#undef X
    if (c->position != NULL)
        c->position = xrealloc(c->position, c->cap * sizeof(uint64_t));
    if (c->building != NULL && c->building->keys != NULL)
        c->building->keys =
            xrealloc(c->building->keys, c->cap * sizeof(struct operation_key));
}

uint32_t
calls_append(struct calls *c, uint8_t function, uint32_t process,
             uint32_t invoke, uint32_t complete)
{
    uint32_t i = c->count, last = complete == CALL_OPEN ? invoke : complete;

    assert(c->count < CALLS_MAX);
    if (c->count == c->cap)
        calls_grow(c);
    c->count++;
    c->function[i] = function;
    c->process[i] = process;
    c->invoke[i] = invoke;
    c->complete[i] = complete;
    c->key[i] = c->a[i] = c->b[i] = c->result[i] = VALUE_ABSENT;
    c->list[i] = c->line[i] = c->end_line[i] = 0;
    if (c->position != NULL)
        c->position[i] = RECORD_POSITION_NONE;
    if (last >= c->rank_count)
        c->rank_count = last + 1;
    return i;
}

uint32_t
calls_list(struct calls *c, const uint32_t *words, uint32_t count)
{
    uint64_t need = (uint64_t)c->list_count + count + 2;
    uint32_t at;

    assert(need < UINT32_MAX);
    if (need > c->list_cap) {
        uint64_t cap = need * 2;

        c->list_cap = cap > UINT32_MAX ? UINT32_MAX : (uint32_t)cap;
        c->lists = xrealloc(c->lists, c->list_cap * sizeof(*c->lists));
    }
    if (c->list_count == 0) /* 0 is "none" */
        c->lists[c->list_count++] = 0;
    at = c->list_count;
    c->lists[at] = count;
    if (count > 0)
        memcpy(&c->lists[at + 1], words, count * sizeof(*words));
    c->list_count += count + 1;
    return at;
}

static void
calls_set_position(struct calls *c, uint32_t row, uint64_t position)
{
    if (c->position == NULL && position == RECORD_POSITION_NONE)
        return;
    if (c->position == NULL) {
        c->position = xcalloc(c->cap, sizeof(*c->position));
        for (uint32_t i = 0; i < c->count; i++)
            c->position[i] = RECORD_POSITION_NONE;
    }
    c->position[row] = position;
}

/* ---- values ---- */

uint32_t
value_number(struct calls *c, const struct tree *t)
{
    return values_number(c->values, t);
}

uint32_t
value_of_int(struct calls *c, int64_t n)
{
    return values_int(c->values, n);
}

uint32_t
value_of_text(struct calls *c, const char *text, size_t len)
{
    return values_text(c->values, text, len);
}

bool
value_to_int(const struct calls *c, uint32_t number, int64_t *ret)
{
    return values_to_int(c->values, number, ret);
}

const char *
value_to_text(const struct calls *c, uint32_t number, size_t *len)
{
    return values_to_text(c->values, number, len);
}

const char *
value_print(const struct calls *c, uint32_t number, char *buf, size_t size)
{
    return values_print(c->values, number, buf, size);
}

/* ---- life ---- */

struct calls *
calls_new_raw(const struct model_ops *model)
{
    struct calls *c = xcalloc(1, sizeof(*c));

    c->model = model;
    c->strict = true;
    c->initial = VALUE_ABSENT;
    c->values = values_new();
    return c;
}

struct calls *
calls_new(const struct calls_options *options, struct error *err)
{
    const struct model_ops *model = options->model;
    struct calls *c = calls_new_raw(model);

    c->strict = !options->knossos;
    if (options->initial != NULL) {
        int status = -1;

        if (model->initial == NULL)
            error_set(err, ERROR_CONFIG,
                      "the model '%s' begins empty: it takes no initial value",
                      model->name);
        else
            status = model->initial(c, options->initial, &c->initial, err);
        if (status < 0) {
            calls_free(c);
            return NULL;
        }
    }
    c->building = xcalloc(1, sizeof(*c->building));
    c->building->slot_free = NONE;
    return c;
}

static void
building_free(struct building *b)
{
    if (b == NULL)
        return;
    for (uint32_t i = 0; i < b->slot_count; i++)
        free(b->slots[i].bytes);
    free(b->slots);
    free(b->processes);
    free(b->keys);
    free(b->cells);
    free(b);
}

void
calls_free(struct calls *c)
{
    if (c == NULL)
        return;
#define X(type, name) free(c->name);
    CALL_COLUMNS(X)
#undef X
    free(c->position);
    free(c->lists);
    values_free(c->values);
    building_free(c->building);
    free(c);
}

void
calls_free_p(struct calls **p)
{
    calls_free(*p);
}

/* ---- the processes with an open call ---- */

static uint32_t
process_home(const struct building *b, int64_t process)
{
    return (uint32_t)((uint64_t)process * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
           b->process_mask;
}

/* The cell of a process: its own, or the free one where it belongs. */
static uint32_t
process_cell(const struct building *b, int64_t process)
{
    uint32_t at = process_home(b, process);

    while (b->processes[at] != 0 &&
           b->slots[b->processes[at] - 1].process != process)
        at = (at + 1) & b->process_mask;
    return at;
}

static void
processes_grow(struct building *b)
{
    uint32_t cap = b->process_mask == 0 ? 64 : (b->process_mask + 1) * 2;
    uint32_t *old = b->processes, old_cap = old == NULL ? 0 : cap / 2;

    b->processes = xcalloc(cap, sizeof(*b->processes));
    b->process_mask = cap - 1;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i] != 0)
            b->processes[process_cell(b, b->slots[old[i] - 1].process)] =
                old[i];
    free(old);
}

/* Takes the cell out; those behind it that were pushed on move up. */
static void
process_remove(struct building *b, uint32_t at)
{
    uint32_t hole = at;

    b->process_count--;
    for (;;) {
        uint32_t home;

        at = (at + 1) & b->process_mask;
        if (b->processes[at] == 0)
            break;
        home = process_home(b, b->slots[b->processes[at] - 1].process);
        if (((at - home) & b->process_mask) >=
            ((at - hole) & b->process_mask)) {
            b->processes[hole] = b->processes[at];
            hole = at;
        }
    }
    b->processes[hole] = 0;
}

static struct slot *
slot_take(struct building *b)
{
    if (b->slot_free != NONE) {
        struct slot *s = &b->slots[b->slot_free];

        b->slot_free = s->next_free;
        return s;
    }
    if (b->slot_count == b->slot_cap) {
        b->slot_cap = b->slot_cap == 0 ? 16 : b->slot_cap * 2;
        b->slots = xrealloc(b->slots, b->slot_cap * sizeof(*b->slots));
    }
    b->slots[b->slot_count] = (struct slot){0};
    return &b->slots[b->slot_count++];
}

static void
slot_give(struct building *b, struct slot *s)
{
    if (s->cap > SLOT_BYTES_KEPT) {
        free(s->bytes);
        s->bytes = NULL;
        s->cap = 0;
    }
    s->next_free = b->slot_free;
    b->slot_free = (uint32_t)(s - b->slots);
}

/* ---- keeping a record ---- */

/* Of what hangs below a tree; items stand aligned. */
static size_t
tree_bytes(const struct tree *t)
{
    size_t n = 0, items;

    if (t->kind == TREE_STRING || t->kind == TREE_KEYWORD)
        return ((size_t)t->count + 8) & ~(size_t)7;
    if (t->kind < TREE_LIST)
        return 0;
    items = t->kind == TREE_LIST ? t->count : 2 * (size_t)t->count;
    for (size_t i = 0; i < items; i++)
        n += tree_bytes(&t->items[i]);
    return n + items * sizeof(struct tree);
}

static unsigned char *
tree_keep(const struct tree *t, struct tree *ret, unsigned char *p)
{
    size_t items;

    *ret = *t;
    if (t->kind == TREE_STRING || t->kind == TREE_KEYWORD) {
        memcpy(p, t->text, t->count);
        p[t->count] = '\0';
        ret->text = (const char *)p;
        return p + (((size_t)t->count + 8) & ~(size_t)7);
    }
    if (t->kind >= TREE_LIST) {
        struct tree *copy = (struct tree *)(void *)p;

        items = t->kind == TREE_LIST ? t->count : 2 * (size_t)t->count;
        ret->items = copy;
        p += items * sizeof(*copy);
        for (size_t i = 0; i < items; i++)
            p = tree_keep(&t->items[i], &copy[i], p);
    }
    return p;
}

/* Trees first: they need their alignment. */
static void
slot_keep(struct slot *s, const struct record *r)
{
    size_t function_len = strlen(r->function) + 1;
    size_t id_len = r->operation_id == NULL ? 0 : strlen(r->operation_id) + 1;
    size_t need = tree_bytes(r->value) + function_len + id_len;
    unsigned char *p;

    if (r->key != NULL)
        need += tree_bytes(r->key);
    if (need > s->cap || s->bytes == NULL) {
        free(s->bytes);
        s->cap = need < 128 ? 128 : need;
        s->bytes = xcalloc(1, s->cap);
    }
    s->process = r->process;
    s->invoke = *r;
    s->invoke.error = NULL;
    p = tree_keep(r->value, &s->value, s->bytes);
    if (r->key != NULL)
        p = tree_keep(r->key, &s->key, p);
    memcpy(p, r->function, function_len);
    s->invoke.function = (const char *)p;
    if (id_len == 0)
        return;
    memcpy(p + function_len, r->operation_id, id_len);
    s->invoke.operation_id = (const char *)p + function_len;
}

/* Slots move when they grow in number: pointers are set when needed. */
static const struct record *
slot_record(struct slot *s)
{
    s->invoke.value = &s->value;
    s->invoke.key = s->invoke.key == NULL ? NULL : &s->key;
    return &s->invoke;
}

/* ---- operations with several attempts ---- */

static struct operation_key
operation_key(const struct record *r)
{
    uint64_t id = bytes_hash(r->operation_id, strlen(r->operation_id), 1);
    uint64_t h = bytes_hash(r->function, strlen(r->function), 2);

    h = tree_hash(r->value, h);
    if (r->key != NULL)
        h = tree_hash(r->key, h + 1);
    return (struct operation_key){
        .hi = id ^ (h << 32 | h >> 32),
        .lo = bytes_hash(&h, sizeof(h), id),
    };
}

static void
cells_grow(struct calls *c)
{
    struct building *b = c->building;
    uint64_t cap = b->cells == NULL ? 64 : (b->cell_mask + 1) * 2;
    uint64_t old_cap = b->cells == NULL ? 0 : cap / 2;
    uint64_t *old = b->cells;

    b->cells = xcalloc(cap, sizeof(*b->cells));
    b->cell_mask = cap - 1;
    for (uint64_t i = 0; i < old_cap; i++) {
        uint64_t at;

        if (old[i] == 0)
            continue;
        at = old[i] >> 32 & b->cell_mask;
        while (b->cells[at] != 0)
            at = (at + 1) & b->cell_mask;
        b->cells[at] = old[i];
    }
    free(old);
}

/* The cell of an operation; a free one is 0. */
static uint64_t *
operation_cell(struct building *b, struct operation_key key)
{
    uint64_t tag = key.hi >> 32, at = tag & b->cell_mask;

    for (; b->cells[at] != 0; at = (at + 1) & b->cell_mask) {
        const struct operation_key *k = &b->keys[(uint32_t)b->cells[at] - 1];

        if (b->cells[at] >> 32 == tag && k->hi == key.hi && k->lo == key.lo)
            break;
    }
    return &b->cells[at];
}

/* The operation of a row is noted when it is invoked, so that its cell is on
 * its way to the processor when the answer comes. */
static void
operation_note(struct calls *c, uint32_t row, const struct record *r)
{
    struct building *b = c->building;

    if (b->keys == NULL)
        b->keys = xcalloc(c->cap, sizeof(*b->keys));
    if (b->cells == NULL || b->cell_count >= (b->cell_mask + 1) / 4 * 3)
        cells_grow(c);
    b->keys[row] = operation_key(r);
    __builtin_prefetch(&b->cells[b->keys[row].hi >> 32 & b->cell_mask]);
}

/* ---- outcomes ---- */

static void
row_drop(struct calls *c, uint32_t row)
{
    c->invoke[row] = INVOKE_DROPPED;
    /* The common case, reads without an answer: nothing is left behind. */
    while (c->building->cells == NULL && c->count > 0 &&
           c->invoke[c->count - 1] == INVOKE_DROPPED)
        c->count--;
}

/* What became of an attempt. */
struct outcome {
    enum decoded decoded; /* CALL: answered; OPEN; DROP: did not happen */
    struct call call;
    uint32_t complete, end_line;
    uint64_t position;
};

static void
row_fill(struct calls *c, uint32_t row, const struct outcome *o)
{
    bool answered = o->decoded == DECODED_CALL;

    c->end_line[row] = o->end_line;
    c->complete[row] = answered ? o->complete : CALL_OPEN;
    if (o->decoded == DECODED_DROP) {
        c->result[row] = RESULT_FAILED;
        return;
    }
    c->function[row] = o->call.function;
    c->key[row] = o->call.key;
    c->a[row] = o->call.a;
    c->b[row] = o->call.b;
    c->result[row] = o->call.result;
    c->list[row] = o->call.list;
    calls_set_position(c, row, answered ? o->position : RECORD_POSITION_NONE);
}

static void
row_read(const struct calls *c, uint32_t row, struct outcome *ret)
{
    *ret = (struct outcome){
        .decoded = c->complete[row] != CALL_OPEN     ? DECODED_CALL
                   : c->result[row] == RESULT_FAILED ? DECODED_DROP
                                                     : DECODED_OPEN,
        .call = {.function = c->function[row],
                 .key = c->key[row],
                 .a = c->a[row],
                 .b = c->b[row],
                 .result = c->result[row],
                 .list = c->list[row]},
        .complete = c->complete[row],
        .end_line = c->end_line[row],
        .position =
            c->position == NULL ? RECORD_POSITION_NONE : c->position[row],
    };
}

static bool
lists_equal(const struct calls *c, uint32_t a, uint32_t b)
{
    if (a == 0 || b == 0 || c->lists[a] != c->lists[b])
        return a == b;
    return memcmp(&c->lists[a], &c->lists[b],
                  (c->lists[a] + 1) * sizeof(*c->lists)) == 0;
}

static bool
answers_equal(const struct calls *c, const struct call *a, const struct call *b)
{
    return a->function == b->function && a->key == b->key && a->a == b->a &&
           a->b == b->b && a->result == b->result &&
           lists_equal(c, a->list, b->list);
}

/* CALL, OPEN, DROP, from strong to weak. */
static_assert(DECODED_CALL < DECODED_OPEN && DECODED_OPEN < DECODED_DROP,
              "outcomes are compared");

/* Another attempt of the operation that 'other' stands for has ended. */
static void
operation_merge(struct calls *c, uint64_t *cell, uint32_t row,
                const struct outcome *mine)
{
    uint32_t other = (uint32_t)*cell - 1;
    uint32_t first = row < other ? row : other, second = row ^ other ^ first;
    struct outcome before;

    row_read(c, other, &before);
    if (before.decoded == DECODED_CALL && mine->decoded == DECODED_CALL &&
        c->contradiction == NULL &&
        !answers_equal(c, &before.call, &mine->call)) {
        c->contradiction = "two attempts of one operation were answered "
                           "differently";
        c->contradiction_lines[0] = before.end_line;
        c->contradiction_lines[1] = mine->end_line;
    }
    row_fill(c, first, mine->decoded < before.decoded ? mine : &before);
    *cell = (*cell & ~(uint64_t)UINT32_MAX) | (first + 1);
    row_drop(c, second);
}

/* A read tells nothing without an answer, and is never folded. */
static int
is_read(struct calls *c, const struct record *invoke, bool *ret,
        struct error *err)
{
    uint32_t lists = c->list_count;
    struct call call = {.key = VALUE_ABSENT,
                        .a = VALUE_ABSENT,
                        .b = VALUE_ABSENT,
                        .result = VALUE_ABSENT};
    enum decoded d = c->model->decode(c, invoke, NULL, &call, err);

    c->list_count = lists;
    *ret = d == DECODED_DROP;
    return d == DECODED_ERROR ? -1 : 0;
}

static int
row_settle(struct calls *c, uint32_t row, const struct record *invoke,
           bool failed, const struct outcome *o, struct error *err)
{
    struct building *b = c->building;
    struct operation_key key;
    uint64_t *cell;
    bool read;

    if (invoke->operation_id == NULL) {
        if (o->decoded == DECODED_DROP)
            row_drop(c, row);
        else
            row_fill(c, row, o);
        return 0;
    }
    if (o->decoded == DECODED_DROP && !failed) {
        row_drop(c, row);
        return 0;
    }
    key = b->keys[row];
    cell = operation_cell(b, key);
    if (*cell == 0) {
        *cell = key.hi >> 32 << 32 | (row + 1);
        b->cell_count++;
        row_fill(c, row, o);
        return 0;
    }
    if (is_read(c, invoke, &read, err) < 0)
        return -1;
    if (!read)
        operation_merge(c, cell, row, o);
    else if (o->decoded == DECODED_DROP)
        row_drop(c, row);
    else
        row_fill(c, row, o);
    return 0;
}

/* ---- records ---- */

static uint32_t
line_of(const struct record *r)
{
    return r->line > UINT32_MAX ? UINT32_MAX : (uint32_t)r->line;
}

static int
line_wrap(uint64_t line, struct error *err)
{
    return error_wrap(err, "%llu", (unsigned long long)line);
}

static int
add_invoke(struct calls *c, const struct record *r, struct error *err)
{
    struct building *b = c->building;
    struct slot *s;
    uint32_t cell;

    if (b->process_count >= (b->process_mask + 1) / 2)
        processes_grow(b);
    cell = process_cell(b, r->process);
    if (b->processes[cell] != 0)
        return error_set(
            err, ERROR_CONFIG,
            "process %lld invokes '%s' while its '%s' of line %llu is still "
            "open",
            (long long)r->process, r->function,
            b->slots[b->processes[cell] - 1].invoke.function,
            (unsigned long long)b->slots[b->processes[cell] - 1].invoke.line);
    s = slot_take(b);
    slot_keep(s, r);
    b->processes[cell] = (uint32_t)(s - b->slots) + 1;
    b->process_count++;
    s->row = calls_append(c, FUNCTION_NONE, (uint32_t)r->process, c->rank_count,
                          CALL_OPEN);
    c->line[s->row] = line_of(r);
    if (r->operation_id != NULL)
        operation_note(c, s->row, r);
    return 0;
}

/* What the model makes of an attempt that ended with 'end', or never. */
static int
attempt_end(struct calls *c, struct slot *s, const struct record *end,
            uint32_t rank, struct error *err)
{
    const struct record *invoke = slot_record(s);
    struct outcome o = {
        .call = {.key = VALUE_ABSENT,
                 .a = VALUE_ABSENT,
                 .b = VALUE_ABSENT,
                 .result = VALUE_ABSENT},
        .complete = rank,
        .end_line = end == NULL ? 0 : line_of(end),
        .position = end == NULL ? RECORD_POSITION_NONE : end->position,
    };
    bool failed = end != NULL && end->type == RECORD_FAIL;

    if (failed && end->attempt_only)
        o.decoded = DECODED_DROP;
    else
        o.decoded = c->model->decode(c, invoke, end, &o.call, err);
    if (o.decoded == DECODED_ERROR)
        return -1;
    assert(end != NULL || o.decoded != DECODED_CALL); /* no answer came */
    assert(o.decoded == DECODED_DROP || o.call.function < FUNCTION_NONE);
    return row_settle(c, s->row, invoke, failed, &o, err);
}

static int
add_completion(struct calls *c, const struct record *r, struct error *err)
{
    struct building *b = c->building;
    uint32_t cell, rank;
    struct slot *s;

    cell = b->processes == NULL ? 0 : process_cell(b, r->process);
    if (b->processes == NULL || b->processes[cell] == 0)
        return error_set(err, ERROR_CONFIG,
                         "process %lld completes '%s', but has no open call",
                         (long long)r->process, r->function);
    s = &b->slots[b->processes[cell] - 1];
    if (r->function[0] != '\0' && strcmp(r->function, s->invoke.function) != 0)
        return error_set(
            err, ERROR_CONFIG,
            "process %lld completes '%s', but its open call is the '%s' of "
            "line %llu",
            (long long)r->process, r->function, s->invoke.function,
            (unsigned long long)s->invoke.line);
    rank = c->rank_count++;
    if (attempt_end(c, s, r, rank, err) < 0)
        return -1;
    process_remove(b, cell);
    slot_give(b, s);
    return 0;
}

int
calls_add(void *arg, const struct record *r, struct error *err)
{
    struct calls *c = arg;
    int status;

    assert(c->building != NULL);
    /* Both bounds leave the reserved numbers alone. */
    if (c->rank_count >= CALLS_MAX - 1)
        status =
            error_set(err, ERROR_CONFIG, "more than %u events", CALLS_MAX - 1);
    else if (r->process < 0 || r->process >= UINT32_MAX)
        status = error_set(err, ERROR_CONFIG,
                           "process %lld: not from 0 to 4294967294",
                           (long long)r->process);
    else if (r->type == RECORD_INVOKE)
        status = add_invoke(c, r, err);
    else
        status = add_completion(c, r, err);
    return status < 0 ? line_wrap(r->line, err) : 0;
}

/* ---- the end ---- */

/* Rows without a call are closed up, memory beyond them given back. */
static void
calls_compact(struct calls *c)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        if (c->invoke[i] == INVOKE_DROPPED || c->result[i] == RESULT_FAILED)
            continue;
        if (kept != i) {
#define X(type, name) c->name[kept] = c->name[i];
            CALL_COLUMNS(X)
#undef X
            if (c->position != NULL)
                c->position[kept] = c->position[i];
        }
        kept++;
    }
    c->count = kept;
    c->cap = kept == 0 ? 1 : kept;
#define X(type, name) c->name = xrealloc(c->name, c->cap * sizeof(type));
    CALL_COLUMNS(X)
#undef X
    if (c->position != NULL)
        c->position = xrealloc(c->position, c->cap * sizeof(uint64_t));
}

static int
slot_compare(const void *a, const void *b)
{
    const struct slot *p = a, *q = b;

    return p->row < q->row ? -1 : p->row > q->row;
}

int
calls_finish(struct calls *c, struct error *err)
{
    struct building *b = c->building;
    uint32_t open = 0;

    /* The slots in use, in the order of their rows. */
    for (uint32_t i = 0; b->processes != NULL && i <= b->process_mask; i++)
        if (b->processes[i] != 0)
            b->slots[b->processes[i] - 1].next_free = NONE - 1;
    for (uint32_t i = 0; i < b->slot_count; i++) {
        if (b->slots[i].next_free != NONE - 1) {
            free(b->slots[i].bytes);
            continue;
        }
        b->slots[open++] = b->slots[i];
    }
    b->slot_count = open;
    if (open > 0)
        qsort(b->slots, open, sizeof(*b->slots), slot_compare);
    for (uint32_t i = 0; i < open; i++)
        if (attempt_end(c, &b->slots[i], NULL, 0, err) < 0)
            return line_wrap(b->slots[i].invoke.line, err);
    calls_compact(c);
    building_free(b);
    c->building = NULL;
    if (c->model->prepare != NULL)
        c->model->prepare(c);
    return 0;
}
