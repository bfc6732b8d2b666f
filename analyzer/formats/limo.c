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

/* What the threads have under way: a call by thread, few at a time. */
struct limo_call {
    int64_t thread;
    char function[32], argument[96];
    bool has_argument, removal;
};

/* Threads of one history; beyond it is no such file. */
#define LIMO_THREADS_MAX 65536

struct limo {
    struct limo_call *calls;
    uint32_t count, cap;
    struct tree value;
};

static struct limo_call *
limo_thread(struct limo *l, int64_t thread)
{
    for (uint32_t i = l->count; i > 0; i--)
        if (l->calls[i - 1].thread == thread)
            return &l->calls[i - 1];
    return NULL;
}

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
        {"rmv", "remove", true},
    };

    *ret_removal = false;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].from, name) == 0) {
            *ret_removal = names[i].removal;
            return names[i].to;
        }
    return name;
}

/* "enq(1)", "push 1", "pop", "pop()". */
static const char *
limo_call(struct limo *l, int64_t thread, char *text, struct record *r)
{
    size_t n = strcspn(text, "( \t");
    char *argument = text + n;
    struct limo_call *c;

    if (*argument != '\0')
        *argument++ = '\0';
    argument += strspn(argument, "( \t");
    for (size_t len = strlen(argument);
         len > 0 && strchr(") \t", argument[len - 1]) != NULL; len--)
        argument[len - 1] = '\0';
    if (n == 0 || n >= sizeof(c->function) ||
        strlen(argument) >= sizeof(c->argument))
        return "expected 'call FUNCTION(VALUE)'";
    if (limo_thread(l, thread) != NULL)
        return "a thread calls while its last call is still open";
    if (l->count == LIMO_THREADS_MAX)
        return "too many open calls";
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 16 : l->cap * 2;
        l->calls = xrealloc(l->calls, l->cap * sizeof(*l->calls));
    }
    c = &l->calls[l->count++];
    *c =
        (struct limo_call){.thread = thread, .has_argument = *argument != '\0'};
    snprintf(c->function, sizeof(c->function), "%s",
             limo_name(text, &c->removal));
    snprintf(c->argument, sizeof(c->argument), "%s", argument);
    r->type = RECORD_INVOKE;
    r->function = c->function;
    l->value = c->has_argument && !c->removal ? word_tree(c->argument)
                                              : (struct tree){0};
    return NULL;
}

static const char *
limo_return(struct limo *l, int64_t thread, char *text, struct limo_call *c,
            struct record *r)
{
    struct limo_call *open = limo_thread(l, thread);

    if (open == NULL)
        return "a thread returns without a call";
    *c = *open;
    *open = l->calls[--l->count];
    r->type = RECORD_OK;
    r->function = c->function;
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
limo_line(struct limo *l, char *line, struct limo_call *done, struct record *r)
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
        return limo_return(l, r->process, n == 3 ? words[2] : words[1] + 6,
                           done, r);
    return "expected 'call' or 'return'";
}

static int
limo_read(struct input *in, struct record_file *ret, record_sink *sink,
          void *arg, struct error *err)
{
    struct limo l = {0};
    struct limo_call done;
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

        line += strspn(line, " \t");
        if (*line == '#' && ret->model == NULL)
            ret->model = limo_object(line);
        if (*line == '#' || *line == '\0')
            continue;
        what = limo_line(&l, line, &done, &r);
        status = what != NULL ? input_error(in, number, err, "%s", what)
                              : sink(arg, &r, err);
        if (status < 0)
            break;
    }
    free(l.calls);
    return status;
}

const struct format_ops format_limo = {
    .name = "limo",
    .description = "LiMo's .hist: calls and returns of queues, stacks, sets",
    .sniff = limo_sniff,
    .read = limo_read,
};
