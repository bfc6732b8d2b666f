/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all models share: states, names, words.  A state grows by doubling and
 * never shrinks: engines reuse a few of them millions of times.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"
#include "harness/base/arena.h"
#include "harness/base/buf.h"

void
model_state_release(struct model_state *s)
{
    free(s->words);
    s->words = NULL;
    s->count = 0;
    s->cap = 0;
}

void
model_state_resize(struct model_state *s, uint32_t count)
{
    if (count > s->cap) {
        uint32_t cap = s->cap < 4 ? 4 : s->cap;
        while (cap < count) {
            cap *= 2;
        }
        s->words = xrealloc(s->words, (size_t)cap * sizeof(*s->words));
        s->cap = cap;
    }
    if (count > s->count) {
        memset(s->words + s->count, 0,
               (size_t)(count - s->count) * sizeof(*s->words));
    }
    s->count = count;
}

void
model_state_copy(struct model_state *to, const struct model_state *from)
{
    assert(to != from);
    model_state_resize(to, from->count);
    if (from->count > 0) {
        memcpy(to->words, from->words,
               (size_t)from->count * sizeof(*to->words));
    }
}

static bool
model_named(const struct model_ops *m, const char *name)
{
    if (strcmp(m->name, name) == 0) {
        return true;
    }
    for (uint32_t i = 0; m->aliases != NULL && m->aliases[i] != NULL; i++) {
        if (strcmp(m->aliases[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* "list-append:si": a model of transactions and a level. */
static const struct model_ops *
model_find_level(const char *name)
{
    static const struct model_ops *const leveled[] = {model_list_append_levels,
                                                      model_rw_register_levels};
    const char *colon = strchr(name, ':');
    enum txn_level level;

    if (colon == NULL || !txn_level_parse(colon + 1, &level)) {
        return NULL;
    }
    for (uint32_t i = 0; i < ARRAY_LEN(leveled); i++) {
        const struct model_ops *m = &leveled[i][level];

        if (strncmp(m->name, name, (size_t)(colon - name) + 1) == 0) {
            return m;
        }
    }
    return NULL;
}

const struct model_ops *
model_find(const char *name)
{
    for (uint32_t i = 0; model_registry[i] != NULL; i++) {
        if (model_named(model_registry[i], name)) {
            return model_registry[i];
        }
    }
    return model_find_level(name);
}

int
model_function(const struct model_ops *m, const char *name)
{
    for (int i = 0; m->functions[i] != NULL; i++) {
        if (m->functions[i][0] == name[0] &&
            strcmp(m->functions[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

void
model_describe(const struct calls *c, uint32_t call, struct buf *out)
{
    const struct model_ops *m = c->model;
    char text[64];

    if (m->describe != NULL) {
        m->describe(c, call, out);
        return;
    }
    buf_puts(out, m->functions[c->function[call]]);
    const uint32_t numbers[] = {c->key[call], c->a[call], c->b[call]};
    for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i] != VALUE_ABSENT) {
            buf_printf(out, " %s",
                       value_print(c, numbers[i], text, sizeof(text)));
        }
    }
    model_words_result(c, call, out);
}

/* ---- decoding ---- */

enum decoded
model_unknown_function(const struct calls *c, const struct record *r,
                       struct error *err)
{
    error_set(err, ERROR_CONFIG, "model '%s' has no function '%.64s'",
              c->model->name, r->function);
    return DECODED_ERROR;
}

enum decoded
model_bad_value(const struct calls *c, const struct record *r, const char *what,
                struct error *err)
{
    error_set(err, ERROR_CONFIG, "model '%s', function '%.64s': %s",
              c->model->name, r->function, what);
    return DECODED_ERROR;
}

bool
model_named_function(const struct calls *c, const struct record *r,
                     const struct function_alias *aliases, uint8_t *ret)
{
    int own = model_function(c->model, r->function);

    if (own >= 0) {
        *ret = (uint8_t)own;
        return true;
    }
    uint32_t count = 0;
    while (c->model->functions[count] != NULL) {
        count++;
    }
    for (uint32_t i = 0; aliases != NULL && aliases[i].name != NULL; i++) {
        /* Kin share aliases: one may lack what the other has. */
        if (strcmp(aliases[i].name, r->function) == 0 &&
            aliases[i].function < count) {
            *ret = aliases[i].function;
            return true;
        }
    }
    return false;
}

bool
model_claims_linearizable(const struct record *invoke)
{
    const struct tree *claim = tree_get(invoke->value, "claim");

    return tree_is_nil(claim) || tree_is_word(claim, "linearizable");
}

enum ended
model_ended(const struct record *end)
{
    if (end == NULL || end->type == RECORD_INFO) {
        return ENDED_OPEN;
    }
    return end->type == RECORD_OK ? ENDED_OK : ENDED_FAIL;
}

enum decoded
model_keying(struct calls *c, const struct record *r, const struct call *ret,
             struct error *err)
{
    uint8_t keying = ret->key == VALUE_ABSENT ? 1 : 2;

    if (c->keying != 0 && c->keying != keying) {
        return model_bad_value(
            c, r, "some values are [key value] and some are not", err);
    }
    c->keying = keying;
    return DECODED_CALL;
}

enum decoded
model_plain_end(const struct record *end)
{
    switch (model_ended(end)) {
    case ENDED_OK:
        return DECODED_CALL;
    case ENDED_OPEN:
        return DECODED_OPEN;
    default:
        return DECODED_DROP;
    }
}

const struct tree *
model_bare_value(struct calls *c, const struct record *r, bool pairs,
                 struct call *ret)
{
    if (r->key != NULL) {
        ret->key = value_number(c, r->key);
        return r->value;
    }
    if (pairs && tree_is_pair(r->value)) {
        ret->key = value_number(c, tree_item(r->value, 0));
        return tree_item(r->value, 1);
    }
    return r->value;
}

uint32_t
model_value_or_nil(struct calls *c, const struct tree *t)
{
    return tree_is_nil(t) ? VALUE_NIL : value_number(c, t);
}

void
model_words_add(struct model_words *w, uint32_t word)
{
    if (w->count == w->cap) {
        w->cap = w->cap == 0 ? 16 : w->cap * 2;
        w->words = xrealloc(w->words, (size_t)w->cap * sizeof(*w->words));
    }
    w->words[w->count++] = word;
}

void
model_words_add64(struct model_words *w, int64_t n)
{
    uint32_t words[2];

    model_put64(words, n);
    model_words_add(w, words[0]);
    model_words_add(w, words[1]);
}

uint32_t
model_words_list(struct calls *c, struct model_words *w)
{
    uint32_t list = w->count == 0 ? 0 : calls_list(c, w->words, w->count);

    free(w->words);
    *w = (struct model_words){0};
    return list;
}

static int
model_compare_words(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void
model_words_unique(struct model_words *w)
{
    uint32_t to = 0;

    if (w->count == 0) {
        return;
    }
    qsort(w->words, w->count, sizeof(*w->words), model_compare_words);
    for (uint32_t i = 1; i < w->count; i++) {
        if (w->words[i] != w->words[to]) {
            w->words[++to] = w->words[i];
        }
    }
    w->count = to + 1;
}

uint32_t
model_search(const uint32_t *words, uint32_t count, uint32_t word)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (words[middle] < word) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool
tree_is_nil(const struct tree *t)
{
    return t == NULL || t->kind == TREE_NIL;
}

const struct tree *
tree_item(const struct tree *t, uint32_t i)
{
    return t != NULL && t->kind == TREE_LIST && i < t->count ? &t->items[i]
                                                             : NULL;
}

bool
tree_is_word(const struct tree *t, const char *name)
{
    if (t == NULL || (t->kind != TREE_STRING && t->kind != TREE_KEYWORD) ||
        t->count != strlen(name)) {
        return false;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->text[i] != name[i] && (t->text[i] != '-' || name[i] != '_')) {
            return false;
        }
    }
    return true;
}

uint32_t
model_code(const struct tree *answer, const char *const *codes)
{
    const struct tree *code = tree_get(answer, "code");
    uint32_t i = 0;

    for (; !tree_is_nil(code) && codes[i] != NULL; i++) {
        if (tree_is_word(code, codes[i])) {
            break;
        }
    }
    return i;
}

uint32_t
model_field(struct calls *c, const struct tree *map, const char *name)
{
    const struct tree *t = tree_get(map, name);

    return tree_is_nil(t) ? VALUE_ABSENT : value_number(c, t);
}

bool
model_field_natural(const struct tree *map, const char *name, int64_t *ret)
{
    const struct tree *t = tree_get(map, name);

    if (t == NULL || t->kind != TREE_INT || t->integer < 0) {
        return false;
    }
    *ret = t->integer;
    return true;
}

bool
tree_is_pair(const struct tree *t)
{
    return t != NULL && t->kind == TREE_LIST && t->count == 2;
}

int
model_initial_value(struct calls *c, const char *text, uint32_t *ret,
                    struct error *err)
{
    size_t len = strlen(text);
    char *end;

    (void)err;
    if (strcmp(text, "nil") == 0 || strcmp(text, "null") == 0) {
        *ret = VALUE_NIL;
        return 0;
    }
    long long n = strtoll(text, &end, 10);
    if (len > 0 && *end == '\0') {
        *ret = value_of_int(c, n);
        return 0;
    }
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        text++;
        len -= 2;
    }
    *ret = value_of_text(c, text, len);
    return 0;
}

int
model_initial_int(struct calls *c, const char *text, uint32_t *ret,
                  struct error *err)
{
    char *end;
    long long n = strtoll(text, &end, 10);

    if (text[0] == '\0' || *end != '\0') {
        return error_set(err, ERROR_CONFIG,
                         "model '%s' begins with a number, not with '%.64s'",
                         c->model->name, text);
    }
    *ret = value_of_int(c, n);
    return 0;
}

/* ---- words ---- */

void
model_words_value(const struct calls *c, uint32_t number, struct buf *out)
{
    char text[256];

    buf_puts(out, value_print(c, number, text, sizeof(text)));
}

void
model_words_key(const struct calls *c, uint32_t call, struct buf *out)
{
    if (c->key[call] != VALUE_ABSENT) {
        buf_puts(out, " ");
        model_words_value(c, c->key[call], out);
    }
}

void
model_words_result(const struct calls *c, uint32_t call, struct buf *out)
{
    if (c->complete[call] == CALL_OPEN) {
        buf_puts(out, " (unknown)");
    } else if (c->result[call] == VALUE_ABSENT) {
        buf_puts(out, ": ok");
    } else {
        buf_puts(out, ": ");
        model_words_value(c, c->result[call], out);
    }
}

/* More nobody reads in one line. */
#define MODEL_CONTENTS_MAX 32

void
model_words_contents(const struct calls *c, const uint32_t *words,
                     uint32_t count, struct buf *out)
{
    if (count == 0) {
        buf_puts(out, " is empty");
        return;
    }
    buf_puts(out, " holds ");
    for (uint32_t i = 0; i < count && i < MODEL_CONTENTS_MAX; i++) {
        buf_puts(out, i == 0 ? "" : ", ");
        model_words_value(c, words[i], out);
    }
    if (count > MODEL_CONTENTS_MAX) {
        buf_printf(out, " and %" PRIu32 " more", count - MODEL_CONTENTS_MAX);
    }
}
