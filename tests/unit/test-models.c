/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models: each by small histories that must and must not be explained (judged
 * by brute force), what their decoders make of other tools' records, and random
 * histories that are right by construction.
 */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>

#include "analyzer/engines/engine.h"
#include "harness/base/buf.h"
#include "tests/lib/random-models.h"
#include "tests/lib/tap.h"

/* ---- values as EDN writes them ---- */

static const char *parse(struct arena *a, const char *p, struct tree *ret);

static const char *
parse_items(struct arena *a, const char *p, char close, struct tree *ret)
{
    struct tree *items = arena_alloc(a, 64 * sizeof(*items));
    uint32_t count = 0;

    for (p++; *p != close;) {
        p = parse(a, p, &items[count++]);
        while (*p == ' ' || *p == ',') {
            p++;
        }
    }
    ret->kind = close == '}' ? TREE_MAP : TREE_LIST;
    ret->count = close == '}' ? count / 2 : count;
    ret->items = items;
    return p + 1;
}

static const char *
parse_text(struct arena *a, const char *p, size_t len, enum tree_kind kind,
           struct tree *ret)
{
    ret->kind = kind;
    ret->count = (uint32_t)len;
    ret->text = arena_strndup(a, p, len);
    return p + len;
}

static const char *
parse(struct arena *a, const char *p, struct tree *ret)
{
    char *end;

    *ret = (struct tree){.kind = TREE_NIL};
    while (*p == ' ') {
        p++;
    }
    if (*p == '[') {
        return parse_items(a, p, ']', ret);
    }
    if (*p == '{') {
        return parse_items(a, p, '}', ret);
    }
    if (*p == '"') {
        return parse_text(a, p + 1, strcspn(p + 1, "\""), TREE_STRING, ret) + 1;
    }
    if (isdigit((unsigned char)*p) || *p == '-') {
        ret->kind = TREE_INT;
        ret->integer = strtoll(p, &end, 10);
        return end;
    }
    size_t len = strcspn(p, " ,]}\n");
    if (*p == ':') {
        return parse_text(a, p + 1, len - 1, TREE_KEYWORD, ret);
    }
    if (strncmp(p, "true", 4) == 0 || strncmp(p, "false", 5) == 0) {
        ret->kind = TREE_BOOL;
        ret->truth = *p == 't';
    }
    return p + len;
}

/*
 * One record a line: "PROCESS TYPE FUNCTION [VALUE]", TYPE being one letter of
 * "iofu" (invoke, ok, fail, unknown).  "PROCESS . FUNCTION VALUE > VALUE" is an
 * invocation that is answered at once.  "@KEY" before the value names a key.
 */
struct script {
    struct arena arena;
    struct calls *c;
    struct error err;
    uint64_t line;
};

static int
script_add(struct script *s, enum record_type type, int64_t process,
           const char *function, const struct tree *value,
           const struct tree *key)
{
    struct record r = {.type = type,
                       .process = process,
                       .function = function,
                       .value = value,
                       .key = key,
                       .position = RECORD_POSITION_NONE,
                       .time_ns = (int64_t)++s->line * 1000000000,
                       .line = s->line};
    return calls_add(s->c, &r, &s->err);
}

static int
script_line(struct script *s, const char *line)
{
    char type, function[32];
    int process, at = 0;
    struct tree key, *named = NULL;
    struct tree *values = arena_alloc(&s->arena, 2 * sizeof(*values));

    CHECK(sscanf(line, " %d %c %31s%n", &process, &type, function, &at) == 3);
    const char *p = line + at;
    while (*p == ' ') {
        p++;
    }
    if (*p == '@') {
        p = parse(&s->arena, p + 1, &key);
        named = &key;
    }
    p = parse(&s->arena, p, &values[0]);
    if (type != '.') {
        enum record_type types[] = {RECORD_INVOKE, RECORD_OK, RECORD_FAIL,
                                    RECORD_INFO};
        const char *letter = strchr("iofu", type);
        CHECK(letter != NULL);
        return script_add(s, types[letter - "iofu"], process, function,
                          &values[0], named);
    }
    while (*p == ' ' || *p == '>') {
        p++;
    }
    parse(&s->arena, p, &values[1]);
    if (script_add(s, RECORD_INVOKE, process, function, &values[0], named) <
        0) {
        return -1;
    }
    return script_add(s, RECORD_OK, process, function, &values[1], named);
}

/* NULL: s->err says why. */
static struct calls *
script_calls(struct script *s, const char *text,
             const struct calls_options *options)
{
    CHECK(options->model != NULL);
    s->c = calls_new(options, &s->err);
    if (s->c == NULL) {
        return NULL;
    }
    for (const char *p = text; *p != '\0';) {
        size_t len = strcspn(p, "\n");
        if (script_line(s, arena_strndup(&s->arena, p, len)) < 0) {
            return NULL;
        }
        p += len + (p[len] == '\n');
    }
    return calls_finish(s->c, &s->err) < 0 ? NULL : s->c;
}

/* ---- judging by brute force, key by key ---- */

static enum verdict
judge_key(const struct calls *c, uint32_t key)
{
    uint32_t members[64], count = 0;
    struct budget budget = {.clock = clock_monotonic(),
                            .deadline_ns = INT64_MAX,
                            .memory_bytes = SIZE_MAX};
    struct decision d = {0};

    for (uint32_t i = 0; i < c->count; i++) {
        if (c->key[i] == key && count < 64) {
            members[count++] = i;
        }
    }
    struct problem p = {c, members, count, key};
    engine_decide(&engine_brute, &p, &budget, &d);
    enum verdict verdict = d.verdict;
    decision_release(&d);
    return verdict;
}

static enum verdict
judge(const struct calls *c)
{
    enum verdict worst = VERDICT_VALID;

    for (uint32_t i = 0; i < c->count; i++) {
        enum verdict v = judge_key(c, c->key[i]);
        worst = v > worst ? v : worst;
    }
    return worst;
}

struct example {
    const char *model, *initial;
    char semantics;     /* 's' or 'k' */
    const char *expect; /* "valid", "invalid", or a part of the error */
    const char *text;
};

static bool
example_holds(const struct example *e)
{
    struct script s = {0};
    struct calls_options options = {.model = model_find(e->model),
                                    .knossos = e->semantics == 'k',
                                    .initial = e->initial};
    bool holds;

    arena_init(&s.arena);
    struct calls *c = script_calls(&s, e->text, &options);
    if (c == NULL) {
        holds = strstr(s.err.text, e->expect) != NULL;
        if (!holds) {
            printf("# error: %s\n", s.err.text);
        }
    } else {
        holds = strcmp(verdict_name(judge(c)), e->expect) == 0;
    }
    if (!holds) {
        printf("# %s: not %s:\n# %s\n", e->model, e->expect, e->text);
    }
    calls_free(s.c);
    arena_release(&s.arena);
    return holds;
}

#define CHECK_EXAMPLES(examples)                                               \
    do {                                                                       \
        for (size_t i_ = 0; i_ < sizeof(examples) / sizeof((examples)[0]);     \
             i_++) {                                                           \
            CHECK(example_holds(&(examples)[i_]));                             \
        }                                                                      \
    } while (0)

/* ---- the examples ---- */

static void
test_register(void)
{
    static const struct example examples[] = {
        {"register", NULL, 's', "valid",
         "0 . write 1 > 1\n0 . read nil > 1\n0 . read nil > 1"},
        {"register", NULL, 's', "invalid", "0 . write 1 > 1\n0 . read nil > 2"},
        {"register", NULL, 's', "valid", "0 . read nil > nil"},
        {"register", NULL, 's', "invalid", "0 . write 1\n0 . read nil > nil"},
        /* Knossos: a read of nil may have seen anything. */
        {"register", NULL, 'k', "valid", "0 . write 1\n0 . read nil > nil"},
        {"register", "7", 's', "valid", "0 . read nil > 7"},
        {"register", "\"a b\"", 's', "valid", "0 . read nil > \"a b\""},
        {"register", "7", 's', "invalid", "0 . read nil > 0"},
        {"register", "nil", 's', "valid", "0 . read nil > nil"},
        /* Open: perhaps. */
        {"register", NULL, 's', "valid",
         "0 i write 1\n0 u write 1\n1 . read nil > nil\n1 . read nil > 1"},
        {"register", NULL, 's', "invalid",
         "0 i write 1\n0 u write 1\n1 . read nil > 1\n1 . read nil > nil"},
        /* Failed: never. */
        {"register", NULL, 's', "invalid",
         "0 i write 1\n0 f write 1\n1 . read nil > 1"},
        {"register", NULL, 's', "no function 'cas'", "0 i cas [1 2]\n0 o cas"},
        {"register", NULL, 's', "no function 'compare-and-set'",
         "0 i compare-and-set [1 2]\n0 o compare-and-set"},
        /* Keys: as jepsen.independent writes them, and of the record. */
        {"register", NULL, 's', "valid",
         "0 . write [1 5] > [1 5]\n0 . read [2 nil] > [2 nil]\n"
         "0 . read [1 nil] > [1 5]"},
        {"register", NULL, 's', "invalid",
         "0 . write [1 5]\n0 . read [1 nil] > [1 nil]"},
        {"register", NULL, 's', "valid",
         "0 . write @\"x\" 5 > nil\n0 . read @\"y\" nil > nil\n"
         "0 . read @\"x\" nil > 5"},
        {"register", NULL, 's', "some values are [key value]",
         "0 . write [1 5]\n0 . read nil > [1 5]"},
    };
    CHECK_EXAMPLES(examples);
}

static void
test_cas_register(void)
{
    static const struct example examples[] = {
        {"cas-register", "0", 's', "valid", "0 . cas [0 1]\n0 . read nil > 1"},
        {"cas-register", "0", 's', "invalid", "0 . cas [1 2]"},
        /* A refused one looked, and saw another value. */
        {"cas-register", "0", 's', "valid", "0 i cas [1 2]\n0 f cas [1 2]"},
        {"cas-register", "1", 's', "invalid", "0 i cas [1 2]\n0 f cas [1 2]"},
        {"cas-register", "1", 's', "invalid", "0 i cas [1 2]\n0 f cas nil"},
        {"cas-register", "1", 'k', "valid", "0 i cas [1 2]\n0 f cas [1 2]"},
        {"cas-register", "1", 's', "valid",
         "0 i cas [1 2]\n0 f cas :timed-out"},
        {"cas-register", "1", 's', "valid",
         "0 i cas [1 2]\n0 u cas\n1 . read nil > 2"},
        {"cas-register", "1", 's', "valid",
         "0 i cas [1 2]\n0 u cas\n1 . read nil > 1"},
        {"cas-register", "1", 's', "invalid",
         "0 i cas [3 2]\n0 u cas\n1 . read nil > 2"},
        {"cas-register", NULL, 's', "valid",
         "0 . write [7 1]\n0 . cas [7 [1 2]]\n0 . read [7 nil] > [7 2]"},
        {"cas-register", NULL, 's', "no pair", "0 . cas 5"},
        {"cas", NULL, 's', "no function 'swap'", "0 . swap 5"},
    };
    CHECK_EXAMPLES(examples);
}

static void
test_kv(void)
{
    static const struct example examples[] = {
        {"kv", NULL, 's', "valid",
         "0 . get @\"k\" nil > \"\"\n0 . put @\"k\" \"ab\"\n"
         "0 . append @\"k\" \"c\"\n0 . get @\"k\" nil > \"abc\""},
        {"kv", NULL, 's', "invalid",
         "0 . put @\"k\" \"ab\"\n0 . append @\"k\" \"c\"\n"
         "0 . get @\"k\" nil > \"acb\""},
        {"kv", NULL, 's', "invalid",
         "0 . put @\"k\" \"ab\"\n0 . get @\"k\" nil > \"abc\""},
        {"kv", NULL, 's', "invalid",
         "0 . put @\"k\" \"ab\"\n0 . get @\"k\" nil > \"a\""},
        {"kv", NULL, 's', "valid",
         "0 . put @\"k\" \"ab\"\n0 . put @\"k\" \"\"\n"
         "0 . get @\"k\" nil > nil"},
        {"kv", NULL, 's', "valid",
         "0 . append @1 \"\"\n0 . append @1 \"x\"\n0 . get @1 nil > \"x\""},
        /* Lists in place of texts. */
        {"kv", NULL, 's', "valid",
         "0 . append @1 4\n0 . append @1 5\n0 . get @1 nil > [4 5]"},
        {"kv", NULL, 's', "invalid",
         "0 . append @1 4\n0 . append @1 5\n0 . get @1 nil > [5 4]"},
        {"kv", NULL, 's', "valid",
         "0 . put @1 [4 5]\n0 . append @1 6\n0 . get @1 nil > [4 5 6]"},
        {"kv", NULL, 's', "valid", "0 . get @1 nil > []"},
        {"kv", NULL, 's', "invalid", "0 . put @1 3\n0 . get @1 nil > []"},
        {"kv", "x", 's', "valid",
         "0 . cas @1 [\"x\" \"y\"]\n0 . get @1 nil > \"y\""},
        {"kv", "x", 's', "invalid", "0 i cas @1 [\"x\" \"y\"]\n0 f cas"},
        {"kv", NULL, 's', "no function 'delete'", "0 . delete @1 nil"},
    };
    CHECK_EXAMPLES(examples);
}

static void
test_multi_register(void)
{
    static const struct example examples[] = {
        {"multi-register", "0", 's', "valid",
         "0 . txn [[:read :x nil] [:write :y 2]] > "
         "[[:read :x 0] [:write :y 2]]\n"
         "0 . txn [[:read :y nil]] > [[:read :y 2]]"},
        {"multi-register", "0", 's', "invalid",
         "0 . txn [[:write :x 1] [:write :y 1]]\n"
         "0 . txn [[:read :x nil] [:read :y nil]] > [[:r :x 1] [:r :y 0]]"},
        {"multi-register", "0", 's', "valid",
         "0 . txn [[:write :x 1] [:read :x nil] [:write :x 0]] > "
         "[[:write :x 1] [:read :x 1] [:write :x 0]]\n"
         "0 . txn [[:read :x nil]] > [[:read :x 0]]"},
        {"multi-register", "0", 's', "valid",
         "0 i txn [[:read :y nil] [:write :x 1]]\n0 u txn\n"
         "1 . txn [[:read :x nil]] > [[:read :x 1]]"},
        {"multi-register", "0", 's', "invalid",
         "0 i txn [[:write :x 1]]\n0 f txn\n"
         "1 . txn [[:read :x nil]] > [[:read :x 1]]"},
        {"multi-register", "0", 's', "invalid",
         "1 . txn [[:read :x nil]] > [[:read :x nil]]"},
        {"multi-register", "0", 'k', "valid",
         "1 . txn [[:read :x nil]] > [[:read :x nil]]"},
        {"multi-register", "0", 's', "micro-operation",
         "1 . txn [[:append :x 1]]"},
    };
    CHECK_EXAMPLES(examples);
}

static void
test_queue_and_stack(void)
{
    static const struct example examples[] = {
        {"fifo-queue", NULL, 's', "valid",
         "0 . enqueue 1\n0 . enq 2\n0 . dequeue nil > 1\n0 . deq nil > 2\n"
         "0 . dequeue nil > nil"},
        {"fifo-queue", NULL, 's', "invalid",
         "0 . enqueue 1\n0 . enqueue 2\n0 . dequeue nil > 2"},
        {"queue", NULL, 's', "invalid",
         "0 . enqueue 1\n0 . remove nil > :empty"},
        {"fifo-queue", NULL, 's', "invalid",
         "0 . enqueue 1\n0 . deq nil > 1\n0 . deq nil > 1"},
        {"fifo-queue", NULL, 's', "valid",
         "0 . enqueue 1\n0 . enqueue 2\n1 i dequeue\n0 . dequeue nil > 2"},
        {"fifo-queue", NULL, 's', "valid",
         "0 i enqueue 1\n0 u enqueue 1\n1 . dequeue nil > 1"},
        {"fifo-queue", NULL, 's', "nil cannot be put in", "0 . enqueue nil"},
        {"fifo-queue", NULL, 's', "no function 'peek'", "0 . peek nil"},
        {"stack", NULL, 's', "valid",
         "0 . push 1\n0 . push 2\n0 . pop nil > 2\n0 . pop nil > 1\n"
         "0 . pop nil > nil"},
        {"stack", NULL, 's', "invalid",
         "0 . push 1\n0 . push 2\n0 . pop nil > 1"},
        {"stack", NULL, 's', "invalid", "0 . push 1\n0 . pop nil > nil"},
        {"stack", NULL, 's', "valid",
         "0 . push 1\n0 . push 2\n1 i pop\n0 . pop nil > 1"},
        {"stack", "5", 's', "takes no initial value", ""},
    };
    CHECK_EXAMPLES(examples);
}

static void
test_set(void)
{
    static const struct example examples[] = {
        {"set", NULL, 's', "valid",
         "0 . add 2\n0 . add 1 > true\n0 . add 1 > false\n"
         "0 . read nil > [1 2]\n0 . contains 2 > true\n"
         "0 . remove 2 > true\n0 . contains 2 > false\n0 . read nil > [1]"},
        {"set", NULL, 's', "invalid", "0 . add 1\n0 . add 1 > true"},
        {"set", NULL, 's', "invalid", "0 . add 1\n0 . read nil > []"},
        {"set", NULL, 's', "invalid", "0 . read nil > [1]"},
        {"set", NULL, 's', "invalid", "0 . remove 1 > true"},
        {"set", NULL, 's', "valid", "0 . remove 1\n0 . add 1 > 1"},
        {"set", NULL, 's', "valid",
         "0 i add 1\n0 u add\n1 . read nil > []\n1 . read nil > [1]"},
        {"set", NULL, 's', "invalid", "0 . add 1\n1 . read nil > nil"},
        {"set", NULL, 'k', "valid", "0 . add 1\n1 . read nil > nil"},
    };
    CHECK_EXAMPLES(examples);
}

static void
test_locks(void)
{
    static const struct example examples[] = {
        {"mutex", NULL, 's', "valid",
         "0 . acquire nil\n0 . release nil\n1 . lock nil\n1 . unlock nil"},
        {"mutex", NULL, 's', "invalid", "0 . acquire nil\n1 . acquire nil"},
        {"mutex", NULL, 's', "invalid", "0 . acquire nil\n1 . release nil"},
        {"mutex", NULL, 'k', "valid", "0 . acquire nil\n1 . release nil"},
        {"mutex", NULL, 'k', "invalid", "0 . release nil"},
        {"mutex", NULL, 's', "valid",
         "0 . acquire nil\n1 i acquire nil\n1 f acquire :held"},
        {"mutex", NULL, 's', "valid",
         "0 i acquire nil\n0 u acquire\n1 . acquire nil"},
        {"mutex", NULL, 's', "valid",
         "0 . acquire {:lock \"a\" :owner 7}\n"
         "1 . acquire {:lock \"b\" :owner 7}\n"
         "2 . release {:lock \"a\" :owner 7}"},
        {"fenced-lock", NULL, 's', "valid",
         "0 . acquire nil > 4\n0 . release 4\n1 . acquire nil > 5\n"
         "1 . release nil"},
        {"fenced-lock", NULL, 's', "invalid",
         "0 . acquire nil > 4\n0 . release 4\n1 . acquire nil > 4"},
        {"fenced-lock", NULL, 's', "invalid",
         "0 . acquire nil > 4\n0 . release 5"},
        /* Between 4 and 5 there is no token for one that nobody was told. */
        {"fenced-lock", NULL, 's', "invalid",
         "0 . acquire nil > 4\n0 . release 4\n0 i acquire\n0 o acquire\n"
         "0 . release\n1 . acquire nil > 5"},
        {"fenced-lock", NULL, 's', "valid",
         "0 . acquire nil > 4\n0 . release 4\n0 i acquire\n0 o acquire\n"
         "0 . release 8\n1 . acquire nil > 9"},
        {"fenced-lock", NULL, 's', "invalid",
         "0 . acquire nil > 4\n0 . release 4\n0 i acquire\n0 o acquire\n"
         "0 . release 8\n1 . acquire nil > 7"},
        {"fenced-lock", NULL, 's', "no integer",
         "0 . acquire nil > {:token \"x\"}"},
    };
    CHECK_EXAMPLES(examples);
}

/* Each record comes one second after the one before. */
static void
test_lease(void)
{
    static const struct example examples[] = {
        {"lease", NULL, 's', "valid",
         "0 . acquire {:ttl 9000}\n0 . renew {:ttl 9000}\n"
         "0 . release nil\n1 . acquire {:ttl 9000}"},
        {"lease", NULL, 's', "invalid",
         "0 . acquire {:ttl 9000}\n1 . acquire {:ttl 9000}"},
        /* Lent at 1, over at 3 less the skew; taken at 4 at the latest. */
        {"lease", NULL, 's', "valid",
         "0 . acquire {:ttl 2000}\n1 . acquire {:ttl 9000}"},
        {"lease", "0", 's', "valid",
         "0 . acquire {:ttl 3000}\n1 . acquire {:ttl 9000}"},
        {"lease", "0", 's', "invalid",
         "0 . acquire {:ttl 3001}\n1 . acquire {:ttl 9000}"},
        {"lease", "500", 's', "valid",
         "0 . acquire {:ttl_ms 3500}\n1 . acquire {:ttl 9000}"},
        /* Renewed at 3, until 6. */
        {"lease", "0", 's', "invalid",
         "0 . acquire {:ttl_s 3}\n0 . renew {:ttl_s 4}\n"
         "1 . acquire {:ttl 9000}"},
        {"lease", "0", 's', "valid",
         "0 . acquire {:ttl_s 3}\n0 . renew {:ttl_s 3}\n"
         "1 . acquire {:ttl 9000}"},
        {"lease", NULL, 's', "invalid",
         "0 . acquire {:ttl 1000}\n1 . acquire {:ttl 1}\n0 . renew nil"},
        {"lease", NULL, 's', "invalid",
         "0 . acquire {:ttl 1000}\n1 . acquire {:ttl 1}\n0 . release nil"},
        /* No ttl: an expire in the history ends it, and nothing else. */
        {"lease", NULL, 's', "invalid", "0 . acquire nil\n1 . acquire nil"},
        {"lease", NULL, 's', "valid",
         "0 . acquire nil\n9 . expire nil\n1 . acquire nil"},
        {"lease", NULL, 's', "valid",
         "0 . acquire nil\n9 i expire nil\n1 . acquire nil"},
        {"lease", NULL, 's', "invalid",
         "0 . acquire {:ttl 9000}\n9 . expire nil"},
        {"lease", NULL, 's', "valid",
         "0 . acquire {:owner 7}\n1 . read nil > 7\n"
         "2 . release {:owner 7}\n1 . read nil > nil"},
        {"lease", NULL, 's', "invalid",
         "0 . acquire {:owner 7}\n1 . read nil > nil"},
        {"lease", NULL, 's', "valid",
         "0 i acquire {:ttl 9000}\n1 . acquire {:ttl 9000}"},
        {"lease", NULL, 's', "no function 'steal'", "0 . steal nil"},
    };
    CHECK_EXAMPLES(examples);
}

static void
test_counter(void)
{
    static const struct example examples[] = {
        {"counter", NULL, 's', "valid",
         "0 . add 2\n0 . add -3\n0 . read nil > -1\n0 . inc nil\n"
         "0 . decrement 4\n0 . read nil > -4"},
        {"counter", NULL, 's', "invalid", "0 . add 2\n0 . read nil > 1"},
        {"counter", "10", 's', "valid", "0 . add 2\n0 . read nil > 12"},
        {"counter", "x", 's', "begins with a number", ""},
        {"counter", NULL, 's', "valid",
         "0 i add 2\n0 u add\n1 . read nil > 0\n1 . read nil > 2"},
        {"counter", NULL, 's', "no integer", "0 . add \"x\""},
    };
    CHECK_EXAMPLES(examples);
}

/* ---- what has exact engines only: its columns ---- */

static struct calls *
decoded(struct script *s, const char *model, const char *text)
{
    struct calls_options options = {.model = model_find(model)};

    arena_init(&s->arena);
    struct calls *c = script_calls(s, text, &options);
    if (c == NULL) {
        printf("# %s\n", s->err.text);
    }
    return c;
}

static void
decoded_end(struct script *s)
{
    calls_free(s->c);
    arena_release(&s->arena);
}

static void
test_txn_words(void)
{
    struct script s = {0};
    struct calls *c = decoded(
        &s, "list-append",
        "0 . txn [[:append :x 1] [:r :y nil]] > [[:append :x 1] [:r :y [5 6]]]"
        "\n1 i txn [[:append :x 2] [:r :x nil]]\n1 f txn nil\n"
        "2 i txn [[:r :x nil] [:append :z 3]]\n2 u txn nil\n"
        "3 . txn [[:r :x nil]] > [[:r :x nil]]");
    struct txn_op op;
    uint32_t at = 0;

    CHECK(c != NULL);
    CHECK_INT(c->count, 4);
    CHECK(txn_next(c, 0, &at, &op));
    CHECK(op.kind == TXN_APPEND && op.value == 1);
    CHECK(txn_next(c, 0, &at, &op));
    CHECK(op.kind == TXN_READ && op.known && op.count == 2);
    CHECK(op.elements[0] == 5 && op.elements[1] == 6);
    CHECK(!txn_next(c, 0, &at, &op));
    CHECK_INT(c->function[1], TXN_FAILED);
    at = 0;
    CHECK(txn_next(c, 1, &at, &op) && txn_next(c, 1, &at, &op) && !op.known);
    CHECK(c->complete[2] == CALL_OPEN && c->function[2] == TXN_DONE);
    at = 0;
    CHECK(txn_next(c, 2, &at, &op) && !op.known);
    CHECK(txn_next(c, 2, &at, &op) && op.kind == TXN_APPEND && op.value == 3);
    at = 0;
    CHECK(txn_next(c, 3, &at, &op) && op.known && op.count == 0);
    decoded_end(&s);
}

static void
test_columns(void)
{
    struct script s = {0};
    struct calls *c =
        decoded(&s, "bank",
                "0 . transfer {:from 1 :to 2 :amount 5}\n"
                "0 . read nil > {1 5, 2 -1}\n0 i transfer {:from 1 :to 2 "
                ":amount 5}\n0 f transfer nil");
    CHECK(c != NULL && c->count == 2);
    CHECK_INT(call_list_count(c, 0), 3);
    CHECK_INT(call_list(c, 0)[2], 5);
    CHECK_INT(call_list_count(c, 1), 4);
    CHECK_INT(call_list(c, 1)[3], value_of_int(c, -1));
    decoded_end(&s);

    s = (struct script){0};
    c = decoded(&s, "set-full",
                "0 . add 4\n0 . add [0 1]\n0 . read nil > [4 4 [0 1]]");
    CHECK(c != NULL && c->count == 3 && call_list_count(c, 2) == 3);
    CHECK(call_list(c, 2)[2] == c->a[1]);
    decoded_end(&s);

    s = (struct script){0};
    c = decoded(&s, "total-queue",
                "0 . enqueue 4\n0 . dequeue nil > 4\n0 . drain nil > [5 6]\n"
                "0 i drain nil\n0 u drain nil");
    CHECK(c != NULL && c->count == 4 && call_list_count(c, 2) == 2);
    CHECK_INT(c->function[3], TOTAL_QUEUE_DRAIN);
    decoded_end(&s);

    s = (struct script){0};
    c = decoded(&s, "unique-ids",
                "0 . generate nil > 4\n0 i generate\n0 f generate");
    CHECK(c != NULL && c->count == 1 && c->result[0] == 4);
    decoded_end(&s);

    s = (struct script){0};
    c = decoded(&s, "long-fork",
                "0 . write [[:w 3 1]]\n0 . read [[:r 3 nil] [:r 4 nil]] > "
                "[[:r 3 1] [:r 4 nil]]");
    CHECK(c != NULL && c->count == 2 && c->a[0] == 3 && c->b[0] == 1);
    CHECK_INT(call_list_count(c, 1), 4);
    CHECK(call_list(c, 1)[3] == VALUE_NIL);
    decoded_end(&s);
}

/* ---- words ---- */

static bool
says(const char *model, const char *text, const char *expected)
{
    struct script s = {0};
    struct calls *c = decoded(&s, model, text);
    struct buf b;

    buf_init(&b, 4096);
    if (c != NULL && c->count > 0) {
        model_describe(c, c->count - 1, &b);
    }
    bool same = strcmp(buf_text(&b), expected) == 0;
    if (!same) {
        printf("# '%s', expected '%s'\n", buf_text(&b), expected);
    }
    buf_release(&b);
    decoded_end(&s);
    return same;
}

static void
test_words(void)
{
    CHECK(says("cas-register", "0 . cas [1 2]", "cas 1 -> 2: ok"));
    CHECK(
        says("cas-register", "0 i cas [1 2]\n0 f cas", "cas 1 -> 2: refused"));
    CHECK(says("register", "0 i write 3", "write 3 (unknown)"));
    CHECK(says("register", "0 . read [7 nil] > [7 nil]", "read 7: nil"));
    CHECK(says("fifo-queue", "0 . dequeue nil > nil", "dequeue: empty"));
    CHECK(says("stack", "0 . push 4", "push 4: ok"));
    CHECK(says("set", "0 . add 4 > false", "add 4: changed nothing"));
    CHECK(says("set", "0 . read nil > [4]", "read: the set holds 4"));
    CHECK(says("fenced-lock", "3 . acquire nil > 9", "acquire by 3: token 9"));
    CHECK(says("counter", "0 i add 4", "add 4 (unknown)"));
    CHECK(says("unique-ids", "0 . generate nil > 4", "generate: 4"));
    CHECK(says("bank", "0 . transfer {:from 1 :to 2 :amount 5}",
               "transfer from 1 to 2: 5, ok"));
    CHECK(says("list-append",
               "0 . txn [[:append 1 2] [:r 3 nil]] > "
               "[[:append 1 2] [:r 3 [4 5]]]",
               "append 1 2, read 3 -> 4 5: ok"));
}

static void
test_registry(void)
{
    for (uint32_t i = 0; model_registry[i] != NULL; i++) {
        const struct model_ops *m = model_registry[i];
        CHECK(m->decode != NULL && m->description != NULL);
        CHECK(model_find(m->name) == m);
        CHECK(m->step == NULL || m->init != NULL);
        for (int f = 0; m->functions[f] != NULL; f++) {
            CHECK_INT(model_function(m, m->functions[f]), f);
        }
        CHECK_INT(model_function(m, "no such function"), -1);
    }
    CHECK(model_find("no such model") == NULL);
    CHECK(model_find("lock") == model_find("mutex"));
}

/* ---- the example of docs/MODELS.md ---- */

extern const struct model_ops model_max_register;

static enum verdict
max_register_verdict(const char *text)
{
    struct script s = {0};
    struct calls_options options = {.model = &model_max_register};
    enum verdict verdict = VERDICT_UNKNOWN;

    arena_init(&s.arena);
    if (script_calls(&s, text, &options) != NULL) {
        verdict = judge(s.c);
    }
    decoded_end(&s);
    return verdict;
}

static void
test_example(void)
{
    CHECK(max_register_verdict("0 . read nil > 0\n0 . write 4\n0 . write 2\n"
                               "0 . read nil > 4") == VERDICT_VALID);
    CHECK(max_register_verdict("0 . write 4\n0 . write 2\n"
                               "0 . read nil > 2") == VERDICT_INVALID);
    CHECK(max_register_verdict("0 i write 4\n1 . read nil > 0\n"
                               "1 . read nil > 4") == VERDICT_VALID);
    CHECK(max_register_verdict("0 . write -4") == VERDICT_UNKNOWN);
}

static bool
read_text(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "r");
    char bytes[4096];
    size_t len;

    while (f != NULL && (len = fread(bytes, 1, sizeof(bytes), f)) > 0) {
        buf_append(out, bytes, len);
    }
    return f != NULL && fclose(f) == 0;
}

/* What the document shows is what is compiled. */
static void
test_example_is_documented(void)
{
    const char *top = getenv("ORDEAL_SRCDIR");
    char path[512];
    struct buf text, code;

    buf_init(&text, 1 << 20);
    buf_init(&code, 1 << 20);
    snprintf(path, sizeof(path), "%s/docs/MODELS.md", top == NULL ? "." : top);
    bool read = read_text(path, &text);
    snprintf(path, sizeof(path), "%s/tests/lib/max-register.c",
             top == NULL ? "." : top);
    read = read && read_text(path, &code);
    bool shown = read && code.len > 0 &&
                 strstr(buf_text(&text), buf_text(&code)) != NULL;
    for (uint32_t i = 0; read && model_registry[i] != NULL; i++) {
        char name[64];
        snprintf(name, sizeof(name), "| `%s`", model_registry[i]->name);
        if (strstr(buf_text(&text), name) == NULL) {
            printf("# not in docs/MODELS.md: %s\n", model_registry[i]->name);
            shown = false;
        }
    }
    buf_release(&text);
    buf_release(&code);
    CHECK(shown);
}

/* ---- anything at all ---- */

static struct tree
garbage(struct arena *a, struct rng *rng, int depth)
{
    static const char *const texts[] = {
        "",       "r",     "w",        "append",    "read",  "write",
        "code",   "ok",    "resource", "resources", "lease", "holder",
        "epoch",  "slot",  "state",    "reserved",  "pool",  "hold",
        "bucket", "limit", "amount",   "initial",   "total", "quantity",
        "ttl",    "owner", "token",    "from",      "to",    "deadline",
        "empty",  "found", "expired",  "busy",      "claim", "any"};
    static const int64_t numbers[] = {0, 1, 2, 3, 7, INT64_MAX, INT64_MIN, -1};
    struct tree t = {.kind = (enum tree_kind)rng_below(rng, TREE_MAP + 1)};

    if (depth == 0 && (t.kind == TREE_LIST || t.kind == TREE_MAP)) {
        t.kind = TREE_INT;
    }
    switch (t.kind) {
    case TREE_BOOL:
        t.truth = rng_below(rng, 2) == 0;
        break;
    case TREE_INT:
        t.integer = numbers[rng_below(rng, 8)];
        break;
    case TREE_REAL:
        t.real = 0.5;
        break;
    case TREE_STRING:
    case TREE_KEYWORD:
        t.text = texts[rng_below(rng, sizeof(texts) / sizeof(texts[0]))];
        t.count = (uint32_t)strlen(t.text);
        break;
    case TREE_LIST:
    case TREE_MAP: {
        uint32_t width = t.kind == TREE_MAP ? 2 : 1;
        t.count = (uint32_t)rng_below(rng, 5);
        struct tree *items =
            arena_alloc(a, (t.count * width + 1) * sizeof(*items));
        for (uint32_t i = 0; i < t.count * width; i++) {
            items[i] = garbage(a, rng, depth - 1);
        }
        t.items = items;
        break;
    }
    default:
        break;
    }
    return t;
}

static void
garbage_record(struct script *s, struct rng *rng, const char *function,
               enum record_type type)
{
    struct error err = {0};
    struct tree value = garbage(&s->arena, rng, 3);
    struct tree key = garbage(&s->arena, rng, 1);
    struct tree error = garbage(&s->arena, rng, 1);
    struct record r = {.type = type,
                       .process = type == RECORD_INVOKE ? (int64_t)++s->line
                                                        : (int64_t)s->line,
                       .function = function,
                       .value = &value,
                       .key = rng_below(rng, 4) == 0 ? &key : NULL,
                       .error = rng_below(rng, 2) == 0 ? &error : NULL,
                       .position = RECORD_POSITION_NONE,
                       .time_ns = -1,
                       .line = s->line};
    /* What is refused is refused; the rest must be sound calls. */
    if (calls_add(s->c, &r, &err) < 0) {
        CHECK(err.text[0] != '\0');
    }
}

/* One that is refused when it ends stays open, and is refused again: then
 * there is nothing to step through. */
static bool
garbage_history(const struct model_ops *m, struct rng *rng)
{
    struct script s = {0};
    struct calls_options options = {.model = m,
                                    .knossos = rng_below(rng, 2) == 0};
    uint32_t count = 0, records = 1 + (uint32_t)rng_below(rng, 4);
    struct buf words;

    while (m->functions[count] != NULL) {
        count++;
    }
    arena_init(&s.arena);
    buf_init(&words, 1 << 16);
    s.c = calls_new(&options, &s.err);
    for (uint32_t i = 0; i < records; i++) {
        const char *f = m->functions[rng_below(rng, count)];
        garbage_record(&s, rng, f, RECORD_INVOKE);
        garbage_record(&s, rng, f,
                       rng_below(rng, 4) == 0 ? RECORD_INFO : RECORD_OK);
    }
    bool whole = calls_finish(s.c, &s.err) == 0;
    for (uint32_t i = 0; whole && i < s.c->count; i++) {
        model_describe(s.c, i, &words);
    }
    if (whole && m->step != NULL) {
        CHECK(judge(s.c) != VERDICT_UNKNOWN || s.c->count == 0);
    }
    buf_release(&words);
    decoded_end(&s);
    return whole;
}

static void
test_garbage(void)
{
    uint32_t whole = 0;

    for (uint32_t m = 0; model_registry[m] != NULL; m++) {
        struct rng rng;

        rng_init(&rng, m);
        for (int i = 0; i < 3000; i++) {
            whole += garbage_history(model_registry[m], &rng);
        }
    }
    printf("# %u histories were taken\n", whole);
    CHECK(whole > 5000);
}

/* ---- random histories ---- */

static void
test_random_valid(void)
{
    for (size_t m = 0; m < RANDOM_MODEL_COUNT; m++) {
        for (uint64_t seed = 0; seed < 300; seed++) {
            struct random_options o = {.seed = seed,
                                       .calls = 9,
                                       .clients = 3,
                                       .keys = 0,
                                       .values = seed % 3 == 0 ? 0 : 3,
                                       .crashes = seed % 4};
            struct calls *c = random_calls(&random_models[m], &o);
            enum verdict v = judge(c);
            if (v != VERDICT_VALID) {
                printf("# %s, seed %d\n", random_models[m].ops->name,
                       (int)seed);
            }
            calls_free(c);
            CHECK(v == VERDICT_VALID);
        }
    }
}

/* Most corrupted histories are invalid, or the models see nothing. */
static void
test_random_corrupt(void)
{
    for (size_t m = 0; m < RANDOM_MODEL_COUNT; m++) {
        uint32_t invalid = 0, changed = 0;

        for (uint64_t seed = 0; seed < 200; seed++) {
            struct random_options o = {
                .seed = seed, .calls = 9, .clients = 2, .values = 4};
            struct calls *c = random_calls(&random_models[m], &o);
            struct rng rng;

            rng_init(&rng, seed);
            if (random_calls_corrupt(&random_models[m], c, &rng) !=
                VALUE_ABSENT) {
                changed++;
                invalid += judge(c) == VERDICT_INVALID;
            }
            calls_free(c);
        }
        printf("# %s: %u of %u\n", random_models[m].ops->name, invalid,
               changed);
        CHECK(changed > 50 && invalid > changed / 4);
    }
}

static void
test_random_large(void)
{
    struct random_options o = {.seed = 1,
                               .calls = 20000,
                               .clients = 10,
                               .keys = 5,
                               .values = 0,
                               .crashes = 50,
                               .positions = true};
    struct calls *c = random_calls(random_model_find("register"), &o);
    uint32_t open = 0;

    CHECK(c->count > 19000);
    for (uint32_t i = 0; i < c->count; i++) {
        open += c->complete[i] == CALL_OPEN;
        CHECK(i == 0 || c->invoke[i] > c->invoke[i - 1]);
        CHECK(c->complete[i] > c->invoke[i]);
    }
    CHECK(open > 5 && open < 100);
    calls_free(c);
}

/* In any order, also an impossible one: apply says what step says. */
static void
apply_like_step(const struct calls *c, struct rng *rng)
{
    const struct model_ops *m = c->model;
    struct model_state state = {0}, next = {0}, inplace = {0};
    bool legal = true;

    m->init(c, VALUE_ABSENT, &state);
    m->init(c, VALUE_ABSENT, &inplace);
    for (uint32_t i = 0; legal && i < 4 * c->count; i++) {
        uint32_t call = rng_below(rng, 3) == 0
                            ? (uint32_t)rng_below(rng, c->count)
                            : i % c->count;

        legal = m->step(c, call, &state, &next);
        CHECK(m->apply(c, call, &inplace) == legal);
        model_state_copy(&state, &next);
    }
    model_state_release(&state);
    model_state_release(&next);
    model_state_release(&inplace);
}

static void
test_apply_is_step(void)
{
    unsigned with = 0;
    struct rng rng;

    rng_init(&rng, 11);
    for (uint32_t m = 0; m < ARRAY_LEN(random_models); m++) {
        if (random_models[m].ops->apply == NULL) {
            continue;
        }
        with++;
        for (uint64_t seed = 1; seed <= 400; seed++) {
            struct random_options o = {.seed = seed,
                                       .calls = seed % 10 == 0 ? 600 : 12,
                                       .clients = 4,
                                       .values = seed % 3 == 0 ? 200 : 4};
            struct calls *c = random_calls(&random_models[m], &o);

            apply_like_step(c, &rng);
            random_calls_corrupt(&random_models[m], c, &rng);
            apply_like_step(c, &rng);
            calls_free(c);
        }
    }
    CHECK(with >= 3);
}

int
main(void)
{
    RUN(test_register);
    RUN(test_cas_register);
    RUN(test_kv);
    RUN(test_multi_register);
    RUN(test_queue_and_stack);
    RUN(test_set);
    RUN(test_locks);
    RUN(test_lease);
    RUN(test_counter);
    RUN(test_txn_words);
    RUN(test_columns);
    RUN(test_words);
    RUN(test_registry);
    RUN(test_example);
    RUN(test_example_is_documented);
    RUN(test_garbage);
    RUN(test_apply_is_step);
    RUN(test_random_valid);
    RUN(test_random_corrupt);
    RUN(test_random_large);
    return tap_done();
}
