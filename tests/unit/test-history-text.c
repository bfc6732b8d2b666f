/* SPDX-License-Identifier: Apache-2.0 */
/* The history as text: JSONL both ways, 'history cat' and 'history stat'. */
#include "config.h"

#include <fcntl.h>

#include "harness/base/file.h"
#include "harness/history-tool.h"
#include "tests/lib/random-event.h"
#include "tests/lib/tap.h"

#define FILE_MAX (64u << 20)

struct fixture {
    char dir[64], binary[96], text[96], other[96];
    struct arena arena;
    struct error err;
};

static void
setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "test-history-text.XXXXXX");
    CHECK(mkdtemp(f->dir) != NULL);
    snprintf(f->binary, sizeof(f->binary), "%s/history.ordeal", f->dir);
    snprintf(f->text, sizeof(f->text), "%s/history.jsonl", f->dir);
    snprintf(f->other, sizeof(f->other), "%s/other", f->dir);
    arena_init(&f->arena);
}

static void
teardown(struct fixture *f)
{
    struct error ignored;

    arena_release(&f->arena);
    dir_remove(f->dir, &ignored);
}

static void
put_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0);
    CHECK(file_write_all(fd, text, strlen(text)) == 0);
    close(fd);
}

static char *
export_of(struct fixture *f, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    CHECK_OK(history_export_jsonl(path, out, &f->err), &f->err);
    fclose(out);
    return text;
}

/* ---- JSONL ---- */

static void
write_random(struct fixture *f, uint64_t seed, size_t count, bool seal)
{
    json_t *meta =
        json_pack("{s:s,s:[i,f,n]}", "system", "replica", "odd", 1, 0.1);
    struct history_writer *w =
        history_writer_open(f->binary, meta, clock_monotonic(), &f->err);
    struct rng rng;

    CHECK(w != NULL);
    json_decref(meta);
    rng_init(&rng, seed);
    for (size_t i = 0; i < count; i++) {
        struct event e = random_event(&f->arena, &rng, i);

        CHECK_OK(history_append(w, &e, HISTORY_BUFFERED, &f->err), &f->err);
    }
    if (seal)
        CHECK_OK(history_seal(w, &f->err), &f->err);
    else
        history_writer_abandon(w);
}

static void
test_export_and_import_are_inverse(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct fixture f;
        char *first, *second;
        bool seal = seed % 2 == 0;

        setup(&f);
        write_random(&f, seed, 500 * seed, seal);
        first = export_of(&f, f.binary);
        put_text(f.text, first);
        CHECK_OK(history_import_jsonl(f.text, f.other, &f.err), &f.err);
        second = export_of(&f, f.other);
        CHECK_STR(second, first);
        CHECK((strstr(first, "{\"ordeal-history-seal\":{\"events\":") !=
               NULL) == seal);
        free(second);
        second = export_of(&f, f.text);
        CHECK_STR(second, first);
        free(first);
        free(second);
        teardown(&f);
    }
}

/* The reader gives the same events for both forms. */
static void
test_both_forms_read_the_same(void)
{
    struct fixture f;
    struct history_reader *a, *b;
    struct event x, y;
    char *text;
    int n = 0;

    setup(&f);
    write_random(&f, 9, 2000, true);
    text = export_of(&f, f.binary);
    put_text(f.text, text);
    a = history_reader_open(f.binary, &f.err);
    b = history_reader_open(f.text, &f.err);
    CHECK(a != NULL && b != NULL);
    CHECK(json_equal(history_reader_meta(a), history_reader_meta(b)));
    while (history_next(a, &x, &f.err) > 0) {
        CHECK_INT(history_next(b, &y, &f.err), 1);
        CHECK(random_event_equal(&x, &y));
        n++;
    }
    CHECK_INT(n, 2000);
    CHECK_INT(history_next(b, &y, &f.err), 0);
    CHECK(history_reader_sealed(a) && history_reader_sealed(b));
    history_reader_free(a);
    history_reader_free(b);
    free(text);
    teardown(&f);
}

#define FIRST "{\"ordeal-history\":1,\"meta\":{\"system\":\"x\"}}\n"

static const char hand_written[] = FIRST
    "{\"time\":5,\"type\":\"invoke\",\"process\":3,\"f\":\"reserve\","
    "\"op\":\"0000000000000000000000000000008f\",\"attempt\":1,\"node\":\"n2\","
    "\"colour\":\"ignored\",\"fields\":{\"resource\":7}}\n"
    "\n"
    "{\"time\":0,\"type\":\"note\",\"f\":\"phase\",\"pos\":[1,"
    "\"18446744073709551615\"]}\r\n";

static void
test_hand_written_lines(void)
{
    struct fixture f;
    struct history_reader *r;
    struct event e;
    char *text;

    setup(&f);
    put_text(f.text, hand_written);
    r = history_reader_open(f.text, &f.err);
    CHECK(r != NULL);
    CHECK_INT(history_next(r, &e, &f.err), 1);
    CHECK_INT(e.time_ns, 5);
    CHECK_INT(e.process, 3);
    CHECK_INT(e.operation.lo, 0x8f);
    CHECK_STR(e.node, "n2");
    CHECK_INT(e.fields.count, 1);
    CHECK_INT(history_next(r, &e, &f.err), 1);
    CHECK_INT(e.index, 1);
    CHECK(e.process == HISTORY_PROCESS_NONE);
    CHECK(e.position.known && e.position.index == UINT64_MAX);
    CHECK_INT(history_next(r, &e, &f.err), 0);
    CHECK(!history_reader_sealed(r));
    history_reader_free(r);
    /* A time of 0 is a time like any other: importing does not stamp it. */
    CHECK_OK(history_import_jsonl(f.text, f.binary, &f.err), &f.err);
    text = export_of(&f, f.binary);
    CHECK_STR(text, FIRST
              "{\"index\":0,\"time\":5,\"process\":3,\"type\":\"invoke\","
              "\"f\":\"reserve\",\"op\":\"0000000000000000000000000000008f\","
              "\"attempt\":1,\"node\":\"n2\",\"fields\":{\"resource\":7}}\n"
              "{\"index\":1,\"time\":0,\"process\":null,\"type\":\"note\","
              "\"f\":\"phase\",\"pos\":[1,\"18446744073709551615\"]}\n");
    free(text);
    teardown(&f);
}

#define GOOD "{\"time\":5,\"type\":\"note\",\"f\":\"phase\"}\n"

static const struct {
    const char *text, *error; /* after "FILE:" */
} broken[] = {
    {"{}\n", "1: the first line must be"},
    {"{\"ordeal-history\":2,\"meta\":{}}\n", "1: only version 1"},
    {"{\"ordeal-history\":1}\n", "1: 'meta' must be an object"},
    {FIRST "{\"time\":5,", "2: column "},
    {FIRST GOOD "[1]\n", "3: column 1: not a JSON object"},
    {FIRST "{\"type\":\"note\",\"f\":\"x\"}\n", "2: 'time' must be"},
    {FIRST "{\"time\":1.5,\"type\":\"note\",\"f\":\"x\"}\n", "2: 'time' must"},
    {FIRST "{\"time\":1,\"type\":\"info\",\"f\":\"x\"}\n", "2: 'type' must"},
    {FIRST "{\"time\":1,\"type\":\"note\"}\n", "2: 'f' (the function)"},
    {FIRST "{\"time\":1,\"type\":\"note\",\"f\":\"x\",\"op\":\"8f\"}\n",
     "2: 'op' must be 32 hex"},
    {FIRST "{\"time\":1,\"type\":\"note\",\"f\":\"x\",\"process\":-1}\n",
     "2: 'process' must be"},
    {FIRST "{\"time\":1,\"type\":\"note\",\"f\":\"x\",\"pos\":[1]}\n",
     "2: 'pos' must be"},
    {FIRST "{\"time\":1,\"type\":\"note\",\"f\":\"x\",\"fields\":{\"a\":0.5}}",
     "2: field 'a': values are"},
    {FIRST "{\"time\":1,\"time\":2,\"type\":\"note\",\"f\":\"x\"}\n",
     "2: column"},
    {FIRST GOOD "{\"ordeal-history-seal\":{\"events\":2}}\n",
     "3: the seal does not match the 1 events"},
    {FIRST GOOD "{\"ordeal-history-seal\":{\"events\":1}}\n" GOOD,
     "4: something follows the seal"},
};

static void
test_broken_lines_are_named(void)
{
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct fixture f;
        char expected[256];

        setup(&f);
        put_text(f.text, broken[i].text);
        CHECK(history_import_jsonl(f.text, f.binary, &f.err) < 0);
        snprintf(expected, sizeof(expected), "%s:%s", f.text, broken[i].error);
        if (strncmp(f.err.text, expected, strlen(expected)) != 0)
            printf("# case %zu: %s\n", i, f.err.text);
        CHECK(strncmp(f.err.text, expected, strlen(expected)) == 0);
        CHECK_INT(f.err.kind, ERROR_CONFIG);
        CHECK(!path_exists(f.binary));
        teardown(&f);
    }
}

/* ---- cat and stat ---- */

static const char tool_history[] = FIRST
    "{\"time\":1000000000,\"type\":\"note\",\"f\":\"phase\","
    "\"fields\":{\"name\":\"load\"}}\n"
    "{\"time\":1500000000,\"type\":\"invoke\",\"process\":3,\"f\":\"reserve\","
    "\"op\":\"aa00000000000000000000000000008f\",\"attempt\":1,\"node\":\"n2\","
    "\"fields\":{\"resource\":7,\"holder\":3,\"ttl\":5}}\n"
    "{\"time\":1600000000,\"type\":\"fault\",\"f\":\"kill\",\"node\":\"n2\","
    "\"fields\":{\"id\":1,\"stage\":\"injected\",\"nodes\":[\"n2\"]}}\n"
    "{\"time\":2500000000,\"type\":\"unknown\",\"process\":3,"
    "\"f\":\"reserve\",\"op\":\"aa00000000000000000000000000008f\","
    "\"attempt\":1,\"node\":\"n2\",\"error\":\"timeout\"}\n"
    "{\"time\":2600000000,\"type\":\"invoke\",\"process\":3,\"f\":\"reserve\","
    "\"op\":\"aa00000000000000000000000000008f\",\"attempt\":2,\"node\":\"n1\","
    "\"fields\":{\"resource\":7,\"holder\":3,\"ttl\":5}}\n"
    "{\"time\":2700000000,\"type\":\"ok\",\"process\":3,\"f\":\"reserve\","
    "\"op\":\"aa00000000000000000000000000008f\",\"attempt\":2,\"node\":\"n1\","
    "\"pos\":[2,41],\"fields\":{\"code\":\"ok now\",\"lease\":"
    "\"#0000000000000000000000000000002a\"}}\n"
    "{\"time\":2800000000,\"type\":\"invoke\",\"process\":12,"
    "\"f\":\"get_lease\",\"attempt\":1,\"node\":\"n1\"}\n"
    "{\"time\":3000000000,\"type\":\"invoke\",\"process\":4,\"f\":\"release\","
    "\"op\":\"bb000000000000000000000000000001\",\"attempt\":1}\n";

static char *
cat_of(struct fixture *f, bool json, const struct history_filter *filter)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    CHECK_OK(history_cat(out, f->text, json, filter, &f->err), &f->err);
    fclose(out);
    return text;
}

static void
check_cat(struct fixture *f, const struct history_filter *filter,
          const char *expected)
{
    char *text = cat_of(f, false, filter);

    CHECK_STR(text, expected);
    free(text);
}

#define LINE_PHASE "      0.000000s  -     -    note     phase           "
#define LINE_KILL "      0.600000s  -     n2   fault    kill            "

static void
test_cat_lines(void)
{
    struct fixture f;

    setup(&f);
    put_text(f.text, tool_history);
    check_cat(
        &f, &(struct history_filter){0},
        LINE_PHASE
        "name=load\n"
        "      0.500000s  p3    n2   invoke   reserve         op=..0000008f a1 "
        "resource=7 holder=3 ttl=5\n" LINE_KILL
        "id=1 stage=injected nodes=[n2]\n"
        "      1.500000s  p3    n2   unknown  reserve         op=..0000008f a1 "
        "error=timeout\n"
        "      1.600000s  p3    n1   invoke   reserve         op=..0000008f a2 "
        "resource=7 holder=3 ttl=5\n"
        "      1.700000s  p3    n1   ok       reserve         op=..0000008f a2 "
        "@2/41 code=\"ok now\" lease=#000000000000002a\n"
        "      1.800000s  p12   n1   invoke   get_lease       a1\n"
        "      2.000000s  p4    -    invoke   release         op=..00000001 "
        "a1\n"
        "# not sealed: the run did not end in order; 0 bytes of a torn block "
        "are dropped\n");
    teardown(&f);
}

/* How many lines the filter lets pass, of the JSON form. */
static int
count_of(struct fixture *f, const struct history_filter *filter)
{
    char *text = cat_of(f, true, filter);
    int lines = -1; /* the first is the meta */

    for (const char *p = text; *p != '\0'; p++)
        lines += *p == '\n';
    free(text);
    return lines;
}

static void
test_cat_filters(void)
{
    struct fixture f;
    struct history_filter kinds = {0};

    setup(&f);
    put_text(f.text, tool_history);
    CHECK_OK(history_filter_kinds(&kinds, "fault,note", &f.err), &f.err);
    CHECK_INT(count_of(&f, &kinds), 2);
    CHECK(history_filter_kinds(&kinds, "fault,bogus", &f.err) < 0);
    CHECK_STR(f.err.text, "'bogus' is no kind of event: invoke, ok, fail, "
                          "unknown, fault, note");
    CHECK_INT(count_of(&f, &(struct history_filter){0}), 8);
    CHECK_INT(count_of(&f, &(struct history_filter){.operation = "..8F"}), 4);
    CHECK_INT(count_of(&f, &(struct history_filter){.operation = "0"}), 0);
    CHECK_INT(count_of(&f, &(struct history_filter){.node = "n2"}), 3);
    CHECK_INT(count_of(&f, &(struct history_filter){.function = "kill"}), 1);
    CHECK_INT(count_of(&f, &(struct history_filter){.process_set = true,
                                                    .process = 12}),
              1);
    CHECK_INT(count_of(&f, &(struct history_filter){.from_set = true,
                                                    .from_ns = 600000000,
                                                    .to_set = true,
                                                    .to_ns = 1600000000}),
              3);
    CHECK_INT(count_of(&f, &(struct history_filter){.node = "n1", .limit = 2}),
              2);
    CHECK(history_cat(stdout, f.text, false,
                      &(struct history_filter){.operation = "xyz"},
                      &f.err) < 0);
    CHECK(strstr(f.err.text, "'xyz' is no operation id") != NULL);
    teardown(&f);
}

static void
test_stat(void)
{
    struct fixture f;
    char *text = NULL;
    size_t len = 0;
    FILE *out;
    json_t *json, *expected;

    setup(&f);
    put_text(f.text, tool_history);
    out = open_memstream(&text, &len);
    CHECK_OK(history_stat(out, f.text, false, &f.err), &f.err);
    fclose(out);
    CHECK_STR(
        text,
        "events      8 in 2.000 s, 2.0 attempts/s, not sealed\n"
        "operations  2 with an id\n"
        "ambiguous   2, 1 answered later\n\n"
        "function              attempts        ok      fail   unknown      open"
        "\n"
        "reserve                      2         1         0         1         0"
        "\n"
        "get_lease                    1         0         0         0         1"
        "\n"
        "release                      1         0         0         0         1"
        "\n\n"
        "error                                         fail   unknown\n"
        "timeout                                          0         1\n\n"
        "fault                 injected    proved    healed proved healed\n"
        "kill                         1         0         0             0\n");
    free(text);
    out = open_memstream(&text, &len);
    CHECK_OK(history_stat(out, f.text, true, &f.err), &f.err);
    fclose(out);
    json = json_loads(text, 0, NULL);
    expected = json_pack(
        "{s:i,s:f,s:f,s:b,s:i,s:i,s:i,s:i,s:{s:{s:i,s:i,s:i,s:i,s:i},"
        "s:{s:i,s:i,s:i,s:i,s:i},s:{s:i,s:i,s:i,s:i,s:i}},s:{s:{s:i,s:i}},"
        "s:{s:{s:i,s:i,s:i,s:i}}}",
        "events", 8, "seconds", 2.0, "attempts_per_second", 2.0, "sealed", 0,
        "dropped_bytes", 0, "operations", 2, "ambiguous", 2, "resolved", 1,
        "functions", "reserve", "attempts", 2, "ok", 1, "fail", 0, "unknown", 1,
        "open", 0, "get_lease", "attempts", 1, "ok", 0, "fail", 0, "unknown", 0,
        "open", 1, "release", "attempts", 1, "ok", 0, "fail", 0, "unknown", 0,
        "open", 1, "errors", "timeout", "fail", 0, "unknown", 1, "faults",
        "kill", "injected", 1, "proved", 0, "healed", 0, "proved_healed", 0);
    CHECK(json != NULL && json_equal(json, expected));
    json_decref(json);
    json = history_stat_json(f.text, &f.err);
    CHECK(json != NULL && json_equal(json, expected));
    json_decref(json);
    json_decref(expected);
    free(text);
    teardown(&f);
}

/* A bundle stands for its history; damage comes after what is good. */
static void
test_bundle_and_damage(void)
{
    struct fixture f;
    char *text = NULL;
    size_t len = 0;
    FILE *out;
    int fd;

    setup(&f);
    put_text(f.text, tool_history);
    CHECK_OK(history_import_jsonl(f.text, f.binary, &f.err), &f.err);
    fd = open(f.binary, O_WRONLY | O_APPEND);
    CHECK(write(fd, "torn", 4) == 4);
    close(fd);
    out = open_memstream(&text, &len);
    CHECK_OK(history_cat(out, f.dir, false,
                         &(struct history_filter){.function = "phase"}, &f.err),
             &f.err);
    fclose(out);
    CHECK_STR(text, LINE_PHASE "name=load\n"
                               "# not sealed: the run did not end in order; 4 "
                               "bytes of a torn block are dropped\n");
    free(text);
    put_text(f.text, FIRST GOOD "broken\n");
    out = open_memstream(&text, &len);
    CHECK(history_cat(out, f.text, false, &(struct history_filter){0}, &f.err) <
          0);
    fclose(out);
    CHECK_STR(text, "      0.000000s  -     -    note     phase\n");
    CHECK(strstr(f.err.text, "history.jsonl:3: ") != NULL);
    free(text);
    teardown(&f);
}

int
main(void)
{
    RUN(test_export_and_import_are_inverse);
    RUN(test_both_forms_read_the_same);
    RUN(test_hand_written_lines);
    RUN(test_broken_lines_are_named);
    RUN(test_cat_lines);
    RUN(test_cat_filters);
    RUN(test_stat);
    RUN(test_bundle_and_damage);
    return tap_done();
}
