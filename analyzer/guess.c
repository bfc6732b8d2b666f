/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which model a history is about, when neither the user nor the format says:
 * the one model whose functions are those of the history's beginning.  A guess
 * that could be wrong is no guess: a wrong model makes a false verdict.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/judge-model.h"

/* Enough to have seen each function of a mixed load. */
#define GUESS_RECORDS_MAX 20000
#define GUESS_FUNCTIONS_MAX 32
#define GUESS_NAME_MAX 48

struct guess {
    char names[GUESS_FUNCTIONS_MAX][GUESS_NAME_MAX];
    unsigned count, records;
    bool stopped, appends, writes, registers; /* micro-operations of txn */
};

/* All functions of the history are among 'functions', and 'needs' is one. */
static const struct {
    const char *functions, *needs, *model;
} guess_table[] = {
    {"read write cas", "cas", "cas-register"},
    {"read write", "write", "register"},
    {"get put append", "get", "kv"},
    {"get put append", "put", "kv"},
    {"push pop", "push", "stack"},
    {"generate", "generate", "unique-ids"},
    {"transfer read", "transfer", "bank"},
    {"add remove contains", "remove", "set"},
    {"add remove contains", "contains", "set"},
    {"enqueue dequeue drain", "drain", "total-queue"},
    {"reserve activate release revoke reclaim expire get", "activate",
     "lease-kernel"},
};

/* Several models have these: the user has to say which. */
static const struct {
    const char *functions, *needs, *models;
} guess_several[] = {
    {"enqueue dequeue", "enqueue", "fifo-queue or total-queue"},
    {"add read", "add", "counter, set or set-full"},
    {"acquire release", "acquire", "mutex or fenced-lock"},
};

static void
guess_micro_operations(struct guess *g, const struct tree *value)
{
    for (uint32_t i = 0; value->kind == TREE_LIST && i < value->count; i++) {
        const struct tree *op = &value->items[i];

        if (op->kind != TREE_LIST || op->count == 0)
            continue;
        g->appends |= tree_is(&op->items[0], "append");
        g->writes |= tree_is(&op->items[0], "w");
        g->registers |=
            tree_is(&op->items[0], "read") || tree_is(&op->items[0], "write");
    }
}

static int
guess_add(void *arg, const struct record *r, struct error *err)
{
    struct guess *g = arg;
    unsigned i = 0;

    if (g->records++ == GUESS_RECORDS_MAX) {
        g->stopped = true;
        return error_set(err, ERROR_CONFIG, "enough");
    }
    if (r->type != RECORD_INVOKE)
        return 0;
    while (i < g->count && strcmp(g->names[i], r->function) != 0)
        i++;
    if (i == g->count && i < GUESS_FUNCTIONS_MAX)
        snprintf(g->names[g->count++], GUESS_NAME_MAX, "%s", r->function);
    if (strcmp(r->function, "txn") == 0)
        guess_micro_operations(g, r->value);
    return 0;
}

/* Whether 'word' is one of the words. */
static bool
guess_is_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = words; len > 0 && (at = strstr(at, word)) != NULL;
         at += len)
        if ((at == words || at[-1] == ' ') &&
            (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static bool
guess_fits(const struct guess *g, const char *functions, const char *needs)
{
    bool needed = false;

    for (unsigned i = 0; i < g->count; i++) {
        if (!guess_is_word(functions, g->names[i]))
            return false;
        needed |= strcmp(g->names[i], needs) == 0;
    }
    return needed;
}

static const char *
guess_model(const struct guess *g)
{
    if (g->count == 1 && strcmp(g->names[0], "txn") == 0 &&
        g->appends + g->writes + g->registers == 1)
        return g->appends  ? "list-append"
               : g->writes ? "rw-register"
                           : "multi-register";
    for (size_t i = 0; i < ARRAY_LEN(guess_table); i++)
        if (guess_fits(g, guess_table[i].functions, guess_table[i].needs))
            return guess_table[i].model;
    return NULL;
}

static const char *
guess_models(const struct guess *g)
{
    for (size_t i = 0; i < ARRAY_LEN(guess_several); i++)
        if (guess_fits(g, guess_several[i].functions, guess_several[i].needs))
            return guess_several[i].models;
    return NULL;
}

const struct model_ops *
model_guess(const char *path, const char *from, struct error *err)
{
    CLEANUP_FREE struct guess *g = xcalloc(1, sizeof(*g));
    const struct format_ops *format = NULL;
    struct record_file file = {0};
    const char *name, *several;

    if (format_read(path, from, &format, &file, guess_add, g, err) < 0 &&
        !g->stopped)
        return NULL;
    name = file.model != NULL ? file.model : guess_model(g);
    if (name != NULL && model_find(name) != NULL)
        return model_find(name);
    several = guess_models(g);
    error_set(err, ERROR_CONFIG,
              several != NULL ? "%s: it may be about a %s; say which with "
                                "--model"
                              : "%s: no model fits its functions%s; say which "
                                "with --model ('ordeal check --list-models')",
              path, several != NULL ? several : "");
    return NULL;
}
