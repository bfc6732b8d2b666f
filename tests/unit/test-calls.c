/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: numbers of values, rows from records, attempts folded. */
#include "config.h"

#include "analyzer/models/model.h"
#include "harness/base/rng.h"
#include "tests/lib/tap.h"

/* ---- a tiny model: put K V, get K ---- */

enum { TINY_PUT, TINY_GET };
static const char *const tiny_functions[] = {"put", "get", NULL};

static enum decoded
tiny_decode(struct calls *c, const struct record *invoke,
            const struct record *end, struct call *ret, struct error *err)
{
    const struct tree *v = invoke->value;

    if (strcmp(invoke->function, "put") == 0) {
        ret->function = TINY_PUT;
        if (v->kind == TREE_NIL) {
            error_set(err, ERROR_CONFIG, "put needs a value");
            return DECODED_ERROR;
        }
        ret->a = value_number(c, v);
        if (end == NULL || end->type == RECORD_INFO)
            return DECODED_OPEN;
        if (end->type == RECORD_FAIL && !c->strict)
            return DECODED_DROP;
        ret->result = value_number(c, end->value);
        return DECODED_CALL;
    }
    ret->function = TINY_GET;
    if (end == NULL || end->type != RECORD_OK)
        return DECODED_DROP;
    ret->result = value_number(c, end->value);
    return DECODED_CALL;
}

static int
tiny_initial(struct calls *c, const char *text, uint32_t *ret,
             struct error *err)
{
    if (text[0] < '0' || text[0] > '9')
        return error_set(err, ERROR_CONFIG, "a digit");
    *ret = value_of_int(c, text[0] - '0');
    return 0;
}

static const struct model_ops tiny = {
    .name = "tiny",
    .description = "puts and gets",
    .functions = tiny_functions,
    .decode = tiny_decode,
    .initial = tiny_initial,
};

/* ---- records ---- */

static struct tree
integer(int64_t n)
{
    return (struct tree){.kind = TREE_INT, .integer = n};
}

static struct tree
text(enum tree_kind kind, const char *s)
{
    return (struct tree){.kind = kind, .count = (uint32_t)strlen(s), .text = s};
}

static uint64_t line_next;

/* value < 0: nil. */
static int
add(struct calls *c, enum record_type type, int64_t process, const char *f,
    int64_t value, const char *id, struct error *err)
{
    struct tree nil = {0}, v = value < 0 ? nil : integer(value);
    struct record r = {
        .type = type,
        .process = process,
        .function = f,
        .value = &v,
        .operation_id = id,
        .position = RECORD_POSITION_NONE,
        .time_ns = -1,
        .line = ++line_next,
    };

    return calls_add(c, &r, err);
}

static struct calls *
begin(bool knossos)
{
    struct calls_options o = {.model = &tiny, .knossos = knossos};
    struct error err;

    line_next = 0;
    return calls_new(&o, &err);
}

static void
test_values(void)
{
    CLEANUP(calls_free_p) struct calls *c = calls_new_raw(&tiny);
    struct tree two = {.kind = TREE_REAL, .real = 2.0};
    struct tree items[] = {integer(1), text(TREE_KEYWORD, "x")};
    struct tree again[] = {integer(1), text(TREE_STRING, "x")};
    struct tree list = {.kind = TREE_LIST, .count = 2, .items = items};
    struct tree same = {.kind = TREE_LIST, .count = 2, .items = again};
    struct tree empty = {.kind = TREE_LIST}, none = {.kind = TREE_MAP};
    struct tree yes = {.kind = TREE_BOOL, .truth = true}, nil = {0};
    char buf[64];
    size_t len;
    int64_t n;

    CHECK_INT(value_of_int(c, 0), 0);
    CHECK_INT(value_of_int(c, VALUE_SMALL_MAX), VALUE_SMALL_MAX);
    CHECK(value_of_int(c, -1) > VALUE_SMALL_MAX);
    CHECK(value_of_int(c, INT64_MIN) != value_of_int(c, INT64_MAX));
    CHECK_INT(value_number(c, &two), 2);
    CHECK_INT(value_number(c, &nil), VALUE_NIL);
    CHECK_INT(value_number(c, &list), value_number(c, &same));
    CHECK(value_number(c, &empty) != value_number(c, &none));
    CHECK(value_number(c, &yes) != value_of_text(c, "true", 4));
    CHECK(value_to_int(c, value_of_int(c, INT64_MIN), &n) && n == INT64_MIN);
    CHECK(value_to_int(c, 7, &n) && n == 7);
    CHECK(!value_to_int(c, VALUE_NIL, &n));
    CHECK_STR(value_to_text(c, value_of_text(c, "abc", 3), &len), "abc");
    CHECK_INT(len, 3);
    CHECK(value_to_text(c, value_number(c, &list), &len) == NULL);
    CHECK_STR(value_print(c, value_number(c, &list), buf, sizeof(buf)),
              "[1 \"x\"]");
    CHECK_STR(value_print(c, value_of_int(c, -5), buf, sizeof(buf)), "-5");
    CHECK_STR(value_print(c, VALUE_NIL, buf, sizeof(buf)), "nil");
    CHECK_STR(value_print(c, value_of_text(c, "a\"\n", 3), buf, sizeof(buf)),
              "\"a\\\"\\x0a\"");
    CHECK_STR(value_print(c, value_of_text(c, "abcdefgh", 8), buf, 8),
              "\"abc...");
}

static void
test_maps_have_no_order(void)
{
    CLEANUP(calls_free_p) struct calls *c = calls_new_raw(&tiny);
    struct tree ab[] = {text(TREE_STRING, "a"), integer(1),
                        text(TREE_STRING, "b"), integer(2)};
    struct tree ba[] = {text(TREE_KEYWORD, "b"), integer(2),
                        text(TREE_KEYWORD, "a"), integer(1)};
    struct tree m = {.kind = TREE_MAP, .count = 2, .items = ab};
    struct tree n = {.kind = TREE_MAP, .count = 2, .items = ba};
    char buf[64];

    CHECK_INT(value_number(c, &m), value_number(c, &n));
    CHECK_STR(value_print(c, value_number(c, &n), buf, sizeof(buf)),
              "{\"a\" 1, \"b\" 2}");
    ba[1] = integer(3);
    CHECK(value_number(c, &m) != value_number(c, &n));
}

/* Against the values themselves, as the table grows through many sizes. */
static void
test_many_values(void)
{
    CLEANUP(calls_free_p) struct calls *c = calls_new_raw(&tiny);
    enum { COUNT = 20000 };
    static uint32_t number[COUNT];
    char buf[32];

    for (int i = 0; i < COUNT; i++) {
        int len = snprintf(buf, sizeof(buf), "value %d", i);

        number[i] = i % 2 == 0 ? value_of_int(c, -1 - i)
                               : value_of_text(c, buf, (size_t)len);
        CHECK_INT(number[i], VALUE_SMALL_MAX + 1u + (unsigned)i);
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        int len = snprintf(buf, sizeof(buf), "value %d", i);
        size_t n;

        if (i % 2 == 0)
            CHECK_INT(value_of_int(c, -1 - i), number[i]);
        else
            CHECK_INT(value_of_text(c, buf, (size_t)len), number[i]);
        if (i % 2 == 1)
            CHECK_STR(value_to_text(c, number[i], &n), buf);
    }
}

static void
test_rows_in_the_order_of_invoke(void)
{
    CLEANUP(calls_free_p) struct calls *c = begin(false);
    struct error err;

    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 5, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 2, "get", -1, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 3, "get", -1, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_INFO, 2, "get", -1, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_OK, 3, "get", 5, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_OK, 1, "put", 5, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 6, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 2, "put", 7, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_INFO, 1, "put", 6, NULL, &err), &err);
    CHECK_OK(calls_finish(c, &err), &err);
    CHECK_INT(c->count, 4); /* the get without an answer is gone */
    CHECK_INT(c->rank_count, 9);
    CHECK_INT(c->function[0], TINY_PUT);
    CHECK_INT(c->invoke[0], 0);
    CHECK_INT(c->complete[0], 5);
    CHECK_INT(c->end_line[0], 6);
    CHECK_INT(c->function[1], TINY_GET);
    CHECK_INT(c->process[1], 3);
    CHECK_INT(c->result[1], 5);
    CHECK_INT(c->line[1], 3);
    CHECK_INT(c->complete[2], CALL_OPEN); /* info */
    CHECK_INT(c->end_line[2], 9);
    CHECK_INT(c->result[2], VALUE_ABSENT);
    CHECK_INT(c->complete[3], CALL_OPEN); /* nothing came */
    CHECK_INT(c->end_line[3], 0);
    CHECK_INT(c->a[3], 7);
    CHECK(c->position == NULL && c->contradiction == NULL);
}

static void
test_meanings_of_fail(void)
{
    for (int knossos = 0; knossos < 2; knossos++) {
        CLEANUP(calls_free_p) struct calls *c = begin(knossos);
        struct error err;
        struct tree nil = {0};
        struct record r = {.type = RECORD_FAIL,
                           .process = 2,
                           .function = "",
                           .value = &nil,
                           .attempt_only = true,
                           .position = RECORD_POSITION_NONE};

        CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 5, NULL, &err), &err);
        CHECK_OK(add(c, RECORD_FAIL, 1, "put", 5, NULL, &err), &err);
        CHECK_OK(add(c, RECORD_INVOKE, 2, "put", 5, NULL, &err), &err);
        CHECK_OK(calls_add(c, &r, &err), &err);
        CHECK_OK(calls_finish(c, &err), &err);
        CHECK_INT(c->count, knossos ? 0 : 1);
    }
}

static void
expect_error(const char *what, const char *text)
{
    if (strcmp(what, text) != 0) {
        printf("# '%s', expected '%s'\n", what, text);
        CHECK(false);
    }
}

static void
test_what_cannot_be(void)
{
    CLEANUP(calls_free_p) struct calls *c = begin(false);
    struct calls_options o = {.model = &tiny, .initial = "x"};
    struct error err = {0};

    CHECK(add(c, RECORD_OK, 4, "put", 5, NULL, &err) < 0);
    expect_error(err.text,
                 "1: process 4 completes 'put', but has no open call");
    CHECK_INT(err.kind, ERROR_CONFIG);
    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 5, NULL, &err), &err);
    CHECK(add(c, RECORD_INVOKE, 1, "get", 5, NULL, &err) < 0);
    expect_error(err.text, "3: process 1 invokes 'get' while its 'put' of line "
                           "2 is still open");
    CHECK(add(c, RECORD_OK, 1, "get", 5, NULL, &err) < 0);
    expect_error(err.text, "4: process 1 completes 'get', but its open call is "
                           "the 'put' of line 2");
    CHECK(add(c, RECORD_INVOKE, -1, "get", 5, NULL, &err) < 0);
    CHECK(add(c, RECORD_INVOKE, UINT32_MAX, "get", 5, NULL, &err) < 0);
    CHECK_OK(add(c, RECORD_OK, 1, "", 5, NULL, &err), &err);
    CHECK(add(c, RECORD_OK, 1, "put", 5, NULL, &err) < 0); /* twice */
    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", -1, NULL, &err), &err);
    CHECK(calls_finish(c, &err) < 0);
    expect_error(err.text, "9: put needs a value");
    CHECK(calls_new(&o, &err) == NULL);
    CHECK_INT(err.kind, ERROR_CONFIG);
}

static void
test_retries_fold(void)
{
    CLEANUP(calls_free_p) struct calls *c = begin(false);
    struct error err;

    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 5, "op1", &err), &err);
    CHECK_OK(add(c, RECORD_INFO, 1, "put", 5, "op1", &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 9, "op2", &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 2, "put", 5, "op1", &err), &err);
    CHECK_OK(add(c, RECORD_OK, 2, "put", 1, "op1", &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 2, "put", 5, "op1", &err), &err);
    CHECK_OK(add(c, RECORD_OK, 2, "put", 1, "op1", &err), &err);
    /* The same id with other contents is another operation. */
    CHECK_OK(add(c, RECORD_INVOKE, 2, "put", 6, "op1", &err), &err);
    CHECK_OK(add(c, RECORD_OK, 2, "put", 3, "op1", &err), &err);
    /* The later of two attempts is answered first. */
    CHECK_OK(add(c, RECORD_INVOKE, 3, "put", 9, "op2", &err), &err);
    CHECK_OK(add(c, RECORD_OK, 3, "put", 0, "op2", &err), &err);
    CHECK_OK(calls_finish(c, &err), &err);
    CHECK_INT(c->count, 3);
    CHECK_INT(c->a[0], 5);
    CHECK_INT(c->invoke[0], 0);
    CHECK_INT(c->complete[0], 4); /* the first answer */
    CHECK_INT(c->process[0], 1);
    CHECK_INT(c->end_line[0], 5);
    CHECK_INT(c->a[1], 9);
    CHECK_INT(c->invoke[1], 2);
    CHECK_INT(c->complete[1], 10);
    CHECK_INT(c->process[1], 1);
    CHECK_INT(c->a[2], 6);
    CHECK(c->contradiction == NULL);
}

static void
test_failed_attempts_fold(void)
{
    CLEANUP(calls_free_p) struct calls *c = begin(true);
    struct error err;

    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 5, "a", &err), &err);
    CHECK_OK(add(c, RECORD_FAIL, 1, "put", 5, "a", &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 5, "a", &err), &err);
    CHECK_OK(add(c, RECORD_INFO, 1, "put", 5, "a", &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 5, "a", &err), &err);
    CHECK_OK(add(c, RECORD_FAIL, 1, "put", 5, "a", &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 2, "put", 6, "b", &err), &err);
    CHECK_OK(add(c, RECORD_FAIL, 2, "put", 6, "b", &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 2, "put", 6, "b", &err), &err);
    CHECK_OK(add(c, RECORD_FAIL, 2, "put", 6, "b", &err), &err);
    CHECK_OK(calls_finish(c, &err), &err);
    CHECK_INT(c->count, 1); /* b never happened */
    CHECK_INT(c->invoke[0], 0);
    CHECK_INT(c->complete[0], CALL_OPEN);
    CHECK_INT(c->end_line[0], 4);
}

static void
test_reads_never_fold(void)
{
    CLEANUP(calls_free_p) struct calls *c = begin(false);
    struct error err;

    for (int i = 0; i < 3; i++) {
        CHECK_OK(add(c, RECORD_INVOKE, 1, "get", -1, "r", &err), &err);
        CHECK_OK(add(c, RECORD_OK, 1, "get", i, "r", &err), &err);
    }
    CHECK_OK(add(c, RECORD_INVOKE, 1, "get", -1, "r", &err), &err);
    CHECK_OK(calls_finish(c, &err), &err);
    CHECK_INT(c->count, 3);
    CHECK_INT(c->result[2], 2);
    CHECK(c->contradiction == NULL);
}

static void
test_differing_answers(void)
{
    CLEANUP(calls_free_p) struct calls *c = begin(false);
    struct error err;

    CHECK_OK(add(c, RECORD_INVOKE, 1, "put", 5, "a", &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 2, "put", 5, "a", &err), &err);
    CHECK_OK(add(c, RECORD_OK, 2, "put", 1, "a", &err), &err);
    CHECK_OK(add(c, RECORD_OK, 1, "put", 2, "a", &err), &err);
    CHECK_OK(calls_finish(c, &err), &err);
    CHECK(c->contradiction != NULL);
    CHECK_INT(c->contradiction_lines[0], 3);
    CHECK_INT(c->contradiction_lines[1], 4);
    CHECK_INT(c->count, 1);
    CHECK_INT(c->result[0], 1);
    CHECK_INT(c->invoke[0], 0);
}

static void
test_positions(void)
{
    CLEANUP(calls_free_p) struct calls *c = begin(false);
    struct tree v = integer(1);
    struct record r = {.process = 1,
                       .function = "put",
                       .value = &v,
                       .line = 9,
                       .position = RECORD_POSITION_NONE};
    struct error err;

    CHECK_OK(add(c, RECORD_INVOKE, 0, "put", 5, NULL, &err), &err);
    CHECK_OK(add(c, RECORD_OK, 0, "put", 5, NULL, &err), &err);
    CHECK_OK(calls_add(c, &r, &err), &err);
    r.type = RECORD_OK;
    r.position = 77;
    CHECK_OK(calls_add(c, &r, &err), &err);
    CHECK_OK(add(c, RECORD_INVOKE, 0, "put", 5, NULL, &err), &err);
    CHECK_OK(calls_finish(c, &err), &err);
    CHECK(c->position != NULL);
    CHECK(c->position[0] == RECORD_POSITION_NONE);
    CHECK(c->position[1] == 77);
    CHECK(c->position[2] == RECORD_POSITION_NONE);
}

static void
test_raw(void)
{
    CLEANUP(calls_free_p) struct calls *c = calls_new_raw(&tiny);
    const uint32_t words[] = {3, 1, 2};

    for (uint32_t i = 0; i < 1000; i++)
        CHECK_INT(calls_append(c, TINY_PUT, i % 5, 2 * i,
                               i % 7 == 0 ? CALL_OPEN : 2 * i + 1),
                  i);
    c->list[3] = calls_list(c, words, 3);
    c->list[4] = calls_list(c, words, 0);
    CHECK_INT(c->rank_count, 2000);
    CHECK_INT(call_list_count(c, 2), 0);
    CHECK_INT(call_list_count(c, 3), 3);
    CHECK_INT(call_list(c, 3)[1], 1);
    CHECK_INT(call_list_count(c, 4), 0);
    CHECK(c->list[3] != 0 && c->list[4] != 0);
}

/*
 * Random attempts of random operations, each followed by what a slow and plain
 * reading of the rules says of the operation.
 */
#define PLAY_IDS 40
struct plain {
    bool seen, answered, open;
    uint32_t invoke, complete;
};

static void
play(struct rng *r, struct plain *plain)
{
    CLEANUP(calls_free_p) struct calls *c = begin(true);
    int busy[300];
    uint32_t rank = 0, expected = 0;
    struct error err;

    memset(plain, 0, PLAY_IDS * sizeof(*plain));
    for (int i = 0; i < 300; i++)
        busy[i] = -1;
    for (int i = 0; i < 400; i++) {
        uint64_t p = rng_below(r, 300);
        char id[16];

        if (busy[p] < 0) {
            int op = (int)rng_below(r, PLAY_IDS);

            busy[p] = op;
            snprintf(id, sizeof(id), "id-%d", op);
            CHECK_OK(add(c, RECORD_INVOKE, (int64_t)p, "put", op, id, &err),
                     &err);
            if (!plain[op].seen)
                plain[op].invoke = rank;
            plain[op].seen = true;
        } else {
            struct plain *o = &plain[busy[p]];
            uint64_t how = rng_below(r, 3);
            enum record_type types[] = {RECORD_OK, RECORD_FAIL, RECORD_INFO};

            CHECK_OK(add(c, types[how], (int64_t)p, "put", 0, NULL, &err),
                     &err);
            if (how == 0 && !o->answered)
                o->complete = rank;
            o->answered |= how == 0;
            o->open |= how == 2;
            busy[p] = -1;
        }
        rank++;
    }
    for (int p = 0; p < 300; p++)
        if (busy[p] >= 0)
            plain[busy[p]].open = true;
    CHECK_OK(calls_finish(c, &err), &err);
    for (int op = 0; op < PLAY_IDS; op++)
        expected += plain[op].answered || plain[op].open;
    CHECK_INT(c->count, expected);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct plain *o = &plain[c->a[i]];

        CHECK(i == 0 || c->invoke[i - 1] < c->invoke[i]);
        CHECK_INT(c->invoke[i], o->invoke);
        CHECK_INT(c->complete[i], o->answered ? o->complete : CALL_OPEN);
    }
}

static void
test_random_attempts(void)
{
    struct plain plain[PLAY_IDS];
    struct rng r;

    rng_init(&r, 20260212);
    for (int i = 0; i < 500; i++)
        play(&r, plain);
}

int
main(void)
{
    RUN(test_values);
    RUN(test_maps_have_no_order);
    RUN(test_many_values);
    RUN(test_rows_in_the_order_of_invoke);
    RUN(test_meanings_of_fail);
    RUN(test_what_cannot_be);
    RUN(test_retries_fold);
    RUN(test_failed_attempts_fold);
    RUN(test_reads_never_fold);
    RUN(test_differing_answers);
    RUN(test_positions);
    RUN(test_raw);
    RUN(test_random_attempts);
    return tap_done();
}
