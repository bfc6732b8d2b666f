/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LiMo's histories (Abdulla et al., PLDI 2025):
 *
 *   # @object atomic-queue
 *   [2] call enq(1)
 *   [3] call deq
 *   [2] return
 *   [3] return 1
 *
 * [N] is a thread.  A removal that returns nothing, or "empty", found nothing,
 * unless its value stands in the call (pop(7) ... return).
 */
#include "config.h"

#include <string.h>

#include "analyzer/formats/formats.h"

#define LIMO_OBJECT "@object"

static unsigned
limo_sniff(const char *bytes, size_t len, const char *path)
{
    const char *p = memchr(bytes, '[', len);

    if (*bytes == '#' && bytes_contain(bytes, len, LIMO_OBJECT))
        return 95;
    if (p != NULL && p > bytes && p[-1] != '\n' && p[-1] != ' ')
        return 0;
    return p != NULL && bytes_contain(p, (size_t)(bytes + len - p), "] call ")
               ? 85
               : 0;
}

/* "# @object atomic-queue": the model.  NULL: says nothing of it. */
static const char *
limo_object(const char *line)
{
    static const char *const objects[][2] = {
        {"queue", "fifo-queue"},
        {"stack", "stack"},
        {"multiset", NULL},
        {"set", "set"},
    };
    const char *at = strstr(line, LIMO_OBJECT);

    if (at == NULL)
        return NULL;
    for (unsigned i = 0; i < ARRAY_LEN(objects); i++)
        if (strstr(at, objects[i][0]) != NULL)
            return objects[i][1];
    return NULL;
}

struct limo_call {
    const char *function; /* limo_name, or 'name' */
    char name[32], argument[96];
    bool has_argument, removal;
    uint32_t next_free;
};

#define LIMO_NONE UINT32_MAX

/*
 * What the threads have under way: calls, and a small open-addressed table that
 * finds them by thread.  Threads may be as many as calls, and those that never
 * return stay; the others use the same few calls again and again.
 */
struct limo {
    struct limo_call *calls;
    uint32_t count, cap, free;
    struct limo_cell {
        int64_t thread;
        uint32_t call; /* LIMO_NONE: a free cell */
    } * cells;
    uint64_t mask, open;
    struct tree value;
};

static uint64_t
limo_home(const struct limo *l, int64_t thread)
{
    return ((uint64_t)thread * UINT64_C(0x9e3779b97f4a7c15) >> 20) & l->mask;
}

/* The cell of a thread: its own, or the free one where it belongs. */
static struct limo_cell *
limo_cell(const struct limo *l, int64_t thread)
{
    uint64_t at = limo_home(l, thread);

    while (l->cells[at].call != LIMO_NONE && l->cells[at].thread != thread)
        at = (at + 1) & l->mask;
    return &l->cells[at];
}

static void
limo_grow(struct limo *l)
{
    uint64_t cap = l->cells == NULL ? 64 : (l->mask + 1) * 2;
    uint64_t old_cap = l->cells == NULL ? 0 : cap / 2;
    struct limo_cell *old = l->cells;

    l->cells = xcalloc(cap, sizeof(*l->cells));
    l->mask = cap - 1;
    for (uint64_t i = 0; i < cap; i++)
        l->cells[i].call = LIMO_NONE;
    for (uint64_t i = 0; i < old_cap; i++)
        if (old[i].call != LIMO_NONE)
            *limo_cell(l, old[i].thread) = old[i];
    free(old);
}

static struct limo_call *
limo_take(struct limo *l, struct limo_cell *cell, int64_t thread)
{
    uint32_t i = l->free;

    if (i != LIMO_NONE) {
        l->free = l->calls[i].next_free;
    } else {
        if (l->count == l->cap) {
            l->cap = l->cap == 0 ? 16 : l->cap * 2;
            l->calls = xrealloc(l->calls, l->cap * sizeof(*l->calls));
        }
        i = l->count++;
    }
    *cell = (struct limo_cell){.thread = thread, .call = i};
    l->open++;
    return &l->calls[i];
}

/* The call of a cell is done; the cells behind it that were pushed on move
 * up. */
static void
limo_give(struct limo *l, const struct limo_cell *cell)
{
    uint64_t hole = (uint64_t)(cell - l->cells), at = hole;

    l->calls[cell->call].next_free = l->free;
    l->free = cell->call;
    l->open--;
    for (;;) {
        at = (at + 1) & l->mask;
        if (l->cells[at].call == LIMO_NONE)
            break;
        if (((at - limo_home(l, l->cells[at].thread)) & l->mask) >=
            ((at - hole) & l->mask)) {
            l->cells[hole] = l->cells[at];
            hole = at;
        }
    }
    l->cells[hole].call = LIMO_NONE;
}

/* The name that models know it by; NULL: as it is. */
static const char *
limo_name(const char *name, bool *ret_removal)
{
    static const struct {
        const char *from, *to;
        bool removal;
    } names[] = {
        {"enq", "enqueue", false},     {"deq", "dequeue", true},
        {"enqueue", "enqueue", false}, {"dequeue", "dequeue", true},
        {"push", "push", false},       {"pop", "pop", true},
    };

    *ret_removal = false;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].from, name) == 0) {
            *ret_removal = names[i].removal;
            return names[i].to;
        }
    return NULL;
}

/* "enq(1)", "push 1", "pop", "pop()". */
static const char *
limo_call(struct limo *l, int64_t thread, char *text, struct record *r)
{
    size_t n = 0, len;
    char *argument;
    struct limo_cell *cell;
    struct limo_call *c;

    while (text[n] != '\0' && text[n] != '(' && text[n] != ' ' &&
           text[n] != '\t')
        n++;
    argument = text + n;
    if (*argument != '\0')
        *argument++ = '\0';
    while (*argument == '(' || *argument == ' ' || *argument == '\t')
        argument++;
    for (len = strlen(argument);
         len > 0 && (argument[len - 1] == ')' || argument[len - 1] == ' ');
         len--)
        argument[len - 1] = '\0';
    if (n == 0 || n >= sizeof(c->name) || len >= sizeof(c->argument))
        return "expected 'call FUNCTION(VALUE)'";
    if (l->cells == NULL || l->open >= (l->mask + 1) / 2)
        limo_grow(l);
    cell = limo_cell(l, thread);
    if (cell->call != LIMO_NONE)
        return "a thread calls while its last call is still open";
    c = limo_take(l, cell, thread);
    c->has_argument = len > 0;
    memcpy(c->argument, argument, len + 1);
    memcpy(c->name, text, n + 1);
    c->function = limo_name(text, &c->removal);
    r->type = RECORD_INVOKE;
    r->function = c->function != NULL ? c->function : c->name;
    l->value = c->has_argument && !c->removal ? word_tree(c->argument)
                                              : (struct tree){0};
    return NULL;
}

/* The call that is done stays as it is until the next line. */
static const char *
limo_return(struct limo *l, int64_t thread, char *text, struct record *r)
{
    struct limo_cell *cell = l->cells == NULL ? NULL : limo_cell(l, thread);
    const struct limo_call *c;

    if (cell == NULL || cell->call == LIMO_NONE)
        return "a thread returns without a call";
    c = &l->calls[cell->call];
    limo_give(l, cell);
    r->type = RECORD_OK;
    r->function = c->function != NULL ? c->function : c->name;
    l->value = (struct tree){0};
    if (strcmp(text, "empty") == 0)
        return NULL;
    if (*text != '\0')
        l->value = word_tree(text);
    else if (c->has_argument)
        l->value = word_tree(c->argument);
    return NULL;
}

static const char *
limo_line(struct limo *l, char *line, struct record *r)
{
    char *words[3], *end;
    unsigned n = split_words(line, words, 3);
    size_t len = n == 0 ? 0 : strlen(words[0]);

    end = len == 0 ? NULL : words[0] + len - 1;
    if (n < 2 || words[0][0] != '[' || *end != ']' ||
        !parse_integer(words[0] + 1, len - 2, &r->process) || r->process < 0)
        return "expected '[THREAD] call ...' or '[THREAD] return ...'";
    if (strcmp(words[1], "call") == 0 && n == 3)
        return limo_call(l, r->process, words[2], r);
    if (strcmp(words[1], "return") == 0)
        return limo_return(l, r->process, n == 3 ? words[2] : words[1] + 6, r);
    return "expected 'call' or 'return'";
}

static int
limo_read(struct input *in, struct record_file *ret, record_sink *sink,
          void *arg, struct error *err)
{
    struct limo l = {.free = LIMO_NONE};
    uint64_t number;
    size_t len;
    char *line;
    int status;

    while ((status = text_line(in, &line, &len, &number, err)) > 0) {
        struct record r = {.value = &l.value,
                           .position = RECORD_POSITION_NONE,
                           .time_ns = -1,
                           .line = number};
        const char *what;

        while (*line == ' ' || *line == '\t')
            line++;
        if (*line == '#' && ret->model == NULL)
            ret->model = limo_object(line);
        if (*line == '#' || *line == '\0')
            continue;
        what = limo_line(&l, line, &r);
        status = what != NULL ? input_error(in, number, err, "%s", what)
                              : sink(arg, &r, err);
        if (status < 0)
            break;
    }
    free(l.cells);
    free(l.calls);
    return status;
}

const struct format_ops format_limo = {
    .name = "limo",
    .description = "LiMo's .hist: calls and returns of queues, stacks, sets",
    .sniff = limo_sniff,
    .read = limo_read,
};
