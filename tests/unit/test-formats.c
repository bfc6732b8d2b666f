/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats: text to trees, files to records, records to files and back, and
 * which format a file is taken for.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "analyzer/formats/formats.h"
#include "analyzer/formats/print.h"
#include "harness/base/file.h"
#include "harness/base/history.h"
#include "harness/base/rng.h"
#include "tests/lib/tap.h"

#define SCRATCH "test-formats.tmp"

/* ---- trees ---- */

static enum parsed
parse(struct parse *ps, bool edn, const char *text, size_t len, bool complete,
      struct tree *ret)
{
    parse_begin(ps, text, len, complete);
    return edn ? edn_value(ps, ret) : json_value(ps, ret);
}

/* What the text is, printed as EDN again; or "error: why". */
static const char *
reads(bool edn, const char *text)
{
    static char result[4096];
    struct parse ps;
    struct tree t;
    struct buf b;

    buf_init(&b, sizeof(result));
    parse_init(&ps);
    switch (parse(&ps, edn, text, strlen(text), true, &t)) {
    case PARSED:
        edn_print(&b, &t);
        break;
    case PARSED_ERROR:
        buf_printf(&b, "error: %s", ps.what);
        break;
    default:
        buf_puts(&b, "nothing");
        break;
    }
    snprintf(result, sizeof(result), "%s", buf_text(&b));
    parse_release(&ps);
    buf_release(&b);
    return result;
}

static void
test_edn(void)
{
    CHECK_STR(reads(true, " nil"), "nil");
    CHECK_STR(reads(true, "[true false nil]"), "[true false nil]");
    CHECK_STR(reads(true, "-12"), "-12");
    CHECK_STR(reads(true, "+7"), "7");
    CHECK_STR(reads(true, "9223372036854775807"), "9223372036854775807");
    CHECK_STR(reads(true, "-9223372036854775808"), "-9223372036854775808");
    CHECK_STR(reads(true, "9223372036854775808"), ":9223372036854775808");
    CHECK_STR(reads(true, "123456789012345678901N"), ":123456789012345678901");
    CHECK_STR(reads(true, "5N"), "5");
    CHECK_STR(reads(true, "1/3"), ":1/3");
    CHECK_STR(reads(true, "1.5"), "1.5");
    CHECK_STR(reads(true, "-1e3"), "-1000.0");
    CHECK_STR(reads(true, "2.50M"), "2.5");
    CHECK_STR(reads(true, "[##NaN ##Inf ##-Inf]"), "[##NaN ##Inf ##-Inf]");
    CHECK_STR(reads(true, "1x"), "error: a malformed number");
    CHECK_STR(reads(true, "#object[a.B 0x7f \"c\"]"), "[:a.B 127 \"c\"]");
    CHECK_STR(reads(true, "0xg"), "error: a malformed number");
    CHECK_STR(reads(true, ":a/b"), ":a/b");
    CHECK_STR(reads(true, "sym-bol"), ":sym-bol");
    CHECK_STR(reads(true, "+"), ":+");
    CHECK_STR(reads(true, "\"a\\n\\t\\\"\\\\\\u00e9\\ud83d\\ude00\""),
              "\"a\\n\\t\\\"\\\\\xc3\xa9\xf0\x9f\x98\x80\"");
    CHECK_STR(reads(true, "\"\\q\""), "error: a string with an unknown escape");
    CHECK_STR(reads(true, "\"\\ud83d\""),
              "error: a string with an unknown escape");
    CHECK_STR(reads(true, "\"\xff\""), "error: a string that is not UTF-8");
    CHECK_STR(reads(true, "\"abc"), "error: ends in the middle of a string");
    CHECK_STR(reads(true, "[\\a \\newline \\u0041 \\( \\\xc3\xa9]"),
              "[\"a\" \"\\n\" \"A\" \"(\" \"\xc3\xa9\"]");
    CHECK_STR(reads(true, "{:a 1, \"b\" [2 3] nil #{4}}"),
              "{:a 1, \"b\" [2 3], nil [4]}");
    CHECK_STR(reads(true, "(1 2)"), "[1 2]");
    CHECK_STR(reads(true, "#jepsen.history.Op{:index 0, :f :read}"),
              "{:index 0, :f :read}");
    CHECK_STR(reads(true, "#inst \"2020\""), "\"2020\"");
    CHECK_STR(reads(true, "[1 #_ 2 #_ [3 #_ 4] 5 #_6]"), "[1 5]");
    CHECK_STR(reads(true, "; one\n,, ; two\n 3 ; three"), "3");
    CHECK_STR(reads(true, "^{:doc 1} [2]"), "[2]");
    CHECK_STR(reads(true, "'(a)"), "[:a]");
    CHECK_STR(reads(true, "#\"a\\d\""), "\"a\\\\d\"");
    CHECK_STR(reads(true, "; nothing"), "nothing");
    CHECK_STR(reads(true, "[1"), "error: ends in the middle of a vector");
    CHECK_STR(reads(true, "[1}"), "error: the wrong closing bracket");
    CHECK_STR(reads(true, "{1}"), "error: a map has a key without a value");
    CHECK_STR(reads(true, "{:a 1 :a 2}"),
              "error: a map has the same key twice");
    CHECK_STR(reads(true, "[#_]"),
              "error: expected a value before the bracket");
}

static void
test_json(void)
{
    CHECK_STR(reads(false, " [null, true, false] "), "[nil true false]");
    CHECK_STR(reads(false, "{\"a\": {\"b\": [1, -2, 2.5]}}"),
              "{\"a\" {\"b\" [1 -2 2.5]}}");
    CHECK_STR(reads(false, "{\"0\": 1, \"-3\": 2, \"03\": 3, \"-\": 4}"),
              "{0 1, -3 2, \"03\" 3, \"-\" 4}");
    CHECK_STR(reads(false, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""),
              "\"\\\"\\\\/\\u0008\\u000c\\n\\u000d\\t\xc3\xa9\"");
    CHECK_STR(reads(false, "18446744073709551616"), ":18446744073709551616");
    CHECK_STR(reads(false, "1e2"), "100.0");
    CHECK_STR(reads(false, "01"), "error: a number with a leading zero");
    CHECK_STR(reads(false, "1."), "error: ends in the middle of a number");
    CHECK_STR(reads(false, "-"), "error: ends in the middle of a number");
    CHECK_STR(reads(false, "+1"), "error: expected a value");
    CHECK_STR(reads(false, "NaN"), "error: expected a value");
    CHECK_STR(reads(false, "nul"), "error: ends in the middle of a value");
    CHECK_STR(reads(false, "[1,]"), "error: expected a value");
    CHECK_STR(reads(false, "[1 2]"), "error: expected ',' or ']' in an array");
    CHECK_STR(reads(false, "{\"a\" 1}"), "error: expected ':' behind a key");
    CHECK_STR(reads(false, "{a: 1}"),
              "error: expected a string as key of an object");
    CHECK_STR(reads(false, "\"a\nb\""),
              "error: a control character in a string");
    CHECK_STR(reads(false, "\"\\x\""),
              "error: a string with an escape that JSON does not know");
    CHECK_STR(reads(false, "\"\xc0\x80\""),
              "error: a string that is not UTF-8");
    CHECK_STR(reads(false, "{\"a\":1,\"a\":2}"),
              "error: a map has the same key twice");
}

static void
test_depth(void)
{
    char text[4 * TREE_DEPTH_MAX];

    for (int edn = 0; edn < 2; edn++) {
        memset(text, '[', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        CHECK_STR(reads(edn, text), "error: nested too deeply");
    }
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "#_", 2);
    CHECK_STR(reads(true, text), "error: nested too deeply");
}

/* Cut anywhere, a text is unfinished or whole; never wrong, never different. */
static void
test_every_prefix(void)
{
    static const char *const texts[] = {
        "{:index 0, :f :read, \"a\\u00e9\" #{1 -2.5e3 nil} #_ x :k #t [\\a "
        "3N]}",
        "{\"a\": [1, -2.5e3, null, true], \"b\\ud83d\\ude00\": {\"c\": -7}}",
    };

    for (int edn = 0; edn < 2; edn++) {
        const char *text = texts[edn ? 0 : 1];
        size_t len = strlen(text);
        struct parse ps;
        struct tree t;

        parse_init(&ps);
        for (size_t cut = 1; cut < len; cut++) {
            CLEANUP_FREE char *copy = xcalloc(1, cut + 1);

            memcpy(copy, text, cut);
            CHECK_INT(parse(&ps, edn, copy, cut, false, &t), PARSED_MORE);
            CHECK_INT(parse(&ps, edn, copy, cut, true, &t), PARSED_ERROR);
        }
        CHECK_INT(parse(&ps, edn, text, len, true, &t), PARSED);
        parse_release(&ps);
    }
}

/* ---- records as text ---- */

struct dump {
    struct buf text;
    uint64_t stop_at; /* records; 0: never */
    bool lines;
};

static int
dump_record(void *arg, const struct record *r, struct error *err)
{
    static const char *const types[] = {"invoke", "ok", "fail", "info"};
    struct dump *d = arg;
    struct buf *b = &d->text;

    if (d->stop_at > 0 && --d->stop_at == 0)
        return error_set(err, ERROR_CONFIG, "%llu: enough",
                         (unsigned long long)r->line);
    if (d->lines)
        buf_printf(b, "%llu: ", (unsigned long long)r->line);
    buf_printf(b, "%s %lld %s ", types[r->type], (long long)r->process,
               r->function);
    edn_print(b, r->value);
    if (r->key != NULL) {
        buf_puts(b, " key ");
        edn_print(b, r->key);
    }
    if (r->error != NULL) {
        buf_puts(b, " error ");
        edn_print(b, r->error);
    }
    if (r->operation_id != NULL)
        buf_printf(b, " id %s", r->operation_id);
    if (r->attempt != 0)
        buf_printf(b, " attempt %u", r->attempt);
    if (r->attempt_only)
        buf_puts(b, " only");
    if (r->position != RECORD_POSITION_NONE)
        buf_printf(b, " at %llu/%llu", (unsigned long long)r->term,
                   (unsigned long long)r->position);
    if (r->time_ns >= 0)
        buf_printf(b, " time %lld", (long long)r->time_ns);
    buf_puts(b, "\n");
    return 0;
}

static const struct format_ops *read_format;
static struct record_file read_file;

/* The records of a file as text (free it), or the error. */
static char *
dump_file(const char *path, const char *from, bool lines)
{
    struct dump d = {.lines = lines};
    struct error err = {0};
    char *text;

    buf_init(&d.text, 256 << 20);
    if (format_read(path, from, &read_format, &read_file, dump_record, &d,
                    &err) < 0)
        buf_printf(&d.text, "error: %s", err.text);
    text = xstrdup(buf_text(&d.text));
    buf_release(&d.text);
    return text;
}

static void
write_scratch(const void *bytes, size_t len)
{
    int fd = open(SCRATCH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && file_write_all(fd, bytes, len) == 0);
    close(fd);
}

/* Ends the test unless the text is read as 'format' and these records. */
static void
expect_from(const char *from, const char *text, const char *format,
            const char *expected)
{
    char *got;
    bool same;

    write_scratch(text, strlen(text));
    read_format = NULL;
    got = dump_file(SCRATCH, from, false);
    same = strcmp(got, expected) == 0;
    if (!same)
        printf("# got:\n%s# expected:\n%s", got, expected);
    free(got);
    CHECK(same);
    if (format != NULL)
        CHECK_STR(read_format == NULL ? NULL : read_format->name, format);
}

static void
expect(const char *text, const char *format, const char *expected)
{
    expect_from(NULL, text, format, expected);
}

static void
test_jepsen_edn(void)
{
    static const char ops[] =
        ":type :invoke, :process 3, :f :read, :value nil, :time 5, :x {:y 1}}\n"
        "#jepsen.history.Op{:index 1 :type :info :process :nemesis :f :kill}\n"
        "{:type :ok :process 3 :value [1 \"a\"] :f :read :error [:a 1]}\n"
        "{:type :fail :process 1 :value [[:append 1 2]]}\n";
    static const char records[] = "invoke 3 read nil time 5\n"
                                  "ok 3 read [1 \"a\"] error [:a 1]\n"
                                  "fail 1 txn [[:append 1 2]]\n";
    char text[1024];

    snprintf(text, sizeof(text), "; c\n{:index 0, %s", ops);
    expect(text, "jepsen-edn", records);
    snprintf(text, sizeof(text), "[{%s]", ops);
    expect(text, "jepsen-edn", records);
    snprintf(text, sizeof(text), "#h.History [{%s] ; end\n", ops);
    expect(text, "jepsen-edn", records);
    snprintf(text, sizeof(text), "({%s)", ops);
    expect(text, "jepsen-edn", records);
}

static void
test_jepsen_json(void)
{
    expect("[{\"type\":\"invoke\",\"process\":0,\"f\":\"add\",\"value\":1},\n"
           " {\"type\":\"ok\",\"process\":0,\"f\":\"add\",\"value\":{\"7\":2}}"
           "]\n",
           "jepsen-json", "invoke 0 add 1\nok 0 add {7 2}\n");
    expect("{\"type\":\"invoke\",\"process\":0,\"f\":\"add\",\"value\":1}\n"
           "{\"process\":\"nemesis\"}\n"
           "{\"type\":\"fail\",\"process\":0,\"error\":\"x\"}",
           "jepsen-json", "invoke 0 add 1\nfail 0 txn nil error \"x\"\n");
}

static void
test_broken_op_maps(void)
{
    static const char first[] = "{:type :invoke, :process 0, :f :read}\n";
    static const char *const cases[][2] = {
        {"{:process 0, :f :read}", "2: an operation without 'type'"},
        {"{:type :ok, :f :read}", "2: an operation without 'process'"},
        {"{:type :done, :process 0}",
         "2: 'type' must be one of invoke, ok, fail, info"},
        {"{:type :ok, :process 0, :f 3}",
         "2: 'f' must be a keyword or a string"},
        {"[1]", "2: an operation is a map"},
        {"{:type :ok\n\n:process}", "4: a map has a key without a value"},
        {"}", "2: a closing bracket that nothing opened"},
        {"\n\n{:type", "4: ends in the middle of a map"},
        {"{:type :ok, :process 0, :ordeal/position 5}",
         "2: a position is [term, index]"},
    };
    char text[256], expected[256];

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof(text), "%s%s", first, cases[i][0]);
        snprintf(expected, sizeof(expected),
                 "invoke 0 read nil\nerror: " SCRATCH ":%s", cases[i][1]);
        expect(text, NULL, expected);
    }
    expect("[{:type :ok, :process 0, :f :read}] {}", NULL,
           "ok 0 read nil\nerror: " SCRATCH
           ":1: something follows the vector of operations");
    expect("[{:type :ok, :process 0, :f :read}\n", NULL,
           "ok 0 read nil\nerror: " SCRATCH
           ":2: ends in the middle of the vector around all operations");
    expect("[{\"type\":\"ok\",\"process\":0}\n{\"type\":\"ok\"}]", NULL,
           "ok 0 txn nil\nerror: " SCRATCH
           ":2: expected ',' or ']' in the array");
    expect("[{\"type\":\"ok\",\"process\":0},\n]", NULL,
           "ok 0 txn nil\nerror: " SCRATCH ":2: expected a value behind ','");
}

static void
test_line_formats(void)
{
    expect("INFO  jepsen.util - 0\t:invoke\t:read\tnil\n"
           "INFO  jepsen.core - Everything is fine\n"
           "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n"
           "INFO  jepsen.util - 0\t:ok\t:read\t4\n"
           "INFO  jepsen.util - 1   :invoke :cas    [1 2]\r\n"
           "INFO  jepsen.util - 1\t:info\t:cas\t:timed-out\n",
           "porcupine-etcd",
           "invoke 0 read nil\nok 0 read 4\ninvoke 1 cas [1 2]\n"
           "info 1 cas nil error :timed-out\n");
    CHECK_STR(read_file.model, "cas-register");
    expect("0\t:invoke\t:write\t[1 2]\n:nemesis\t:info\t:x\tnil\n"
           "0\t:info\t:write\t[1 2]\t[:timed-out 5]\n",
           "porcupine-etcd",
           "invoke 0 write [1 2]\n"
           "info 0 write [1 2] error [:timed-out 5]\n");
    expect(
        "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x\"}\n",
        "porcupine-kv", "invoke 0 append \"x\" key \"0\"\n");
    CHECK_STR(read_file.model, "kv");
    expect("invoke\t0\tcas\t1 2\nok\t0\tcas\t1 2\n\ninvoke\t1\tread\tnil\n",
           "register-tsv",
           "invoke 0 cas [1 2]\nok 0 cas [1 2]\n"
           "invoke 1 read nil\n");
    expect("{\"time\": 7, \"process\": 2, \"type\": \"invoke\", \"f\": \"get\","
           " \"op_id\": null, \"attempt\": 1, \"value\": {\"a\": 1}}\n"
           "{\"time\": 8, \"process\": 2, \"type\": \"ok\", \"f\": \"get\","
           " \"op_id\": \"op9\", \"attempt\": 2, \"value\": {\"a\": 1}}\n",
           "allocator-jsonl",
           "invoke 2 get {\"a\" 1} attempt 1 time 7000\n"
           "ok 2 get {\"a\" 1} id op9 attempt 2 time 8000\n");
    CHECK_STR(read_file.model, "lease-kernel");
    expect("invoke\t0\tcas\t1 2\nok\tx\tcas\t1 2\n", NULL,
           "invoke 0 cas [1 2]\nerror: " SCRATCH
           ":2: the process is not a number");
    expect("INFO  jepsen.util - 0\t:invoke\t:read\tnil\n"
           "INFO  jepsen.util - 0\t:okay\t:read\tnil\n",
           NULL,
           "invoke 0 read nil\nerror: " SCRATCH
           ":2: expected 'PROCESS :TYPE :F VALUE'");
}

static void
test_limo(void)
{
    expect("# a comment\n# @object atomic-queue\n\n[1] call enq(1)\n"
           "  [2] call deq\n[1] return\n[2] return 1\n[2] call deq()\n"
           "[2] return empty\n",
           "limo",
           "invoke 1 enqueue 1\ninvoke 2 dequeue nil\nok 1 enqueue 1\n"
           "ok 2 dequeue 1\ninvoke 2 dequeue nil\nok 2 dequeue nil\n");
    CHECK_STR(read_file.model, "fifo-queue");
    expect("# @object atomic-stack\n[1] call push 1\n[1] return\n"
           "[0] call pop(?<0,1>)\n[0] return\n[3] call push(b)\n",
           "limo",
           "invoke 1 push 1\nok 1 push 1\ninvoke 0 pop nil\n"
           "ok 0 pop \"?<0,1>\"\ninvoke 3 push \"b\"\n");
    CHECK_STR(read_file.model, "stack");
    expect("[1] call add(1)\n[1] return\n[1] return\n", NULL,
           "invoke 1 add 1\nok 1 add 1\nerror: " SCRATCH
           ":3: a thread returns without a call");
    expect("[1] call add(1)\n[1] call add(2)\n", NULL,
           "invoke 1 add 1\nerror: " SCRATCH
           ":2: a thread calls while its last call is still open");
    expect("[1] call add(1)\nhello\n", NULL,
           "invoke 1 add 1\nerror: " SCRATCH
           ":2: expected '[THREAD] call ...' or '[THREAD] return ...'");
}

#define LIMO_THREADS 3000

/* A thread's return belongs to its own call. */
static int
limo_record(void *arg, const struct record *r, struct error *err)
{
    int64_t *calls = arg;

    if (r->type == RECORD_INVOKE)
        calls[r->process] = r->value->integer;
    else if (calls[r->process] != r->value->integer)
        return error_set(err, ERROR_CONFIG, "thread %lld: another's call",
                         (long long)r->process);
    return 0;
}

static void
test_limo_with_many_threads(void)
{
    static int64_t calls[LIMO_THREADS];
    static bool open[LIMO_THREADS];
    struct error err = {0};
    struct buf b;
    struct rng r;

    rng_init(&r, 7);
    buf_init(&b, 16 << 20);
    for (int i = 0; i < 40000; i++) {
        uint64_t t = rng_below(&r, LIMO_THREADS);

        if (open[t] && t % 10 == 0)
            continue; /* these never return */
        if (open[t])
            buf_printf(&b, "[%d] return\n", (int)t);
        else
            buf_printf(&b, "[%d] call enq(%d)\n", (int)t, i);
        open[t] = !open[t];
    }
    write_scratch(b.data, b.len);
    buf_release(&b);
    CHECK_OK(format_read(SCRATCH, NULL, &read_format, &read_file, limo_record,
                         calls, &err),
             &err);
    CHECK(read_file.event_count > 30000);
}

static void
test_allocdb(void)
{
#define TIME "process=primary-1 time_millis=2 "
#define RESERVE                                                                \
    TIME "operation=reserve operation_id=9 resource_id=7 "                     \
         "holder_id=3 request_slot=1 ttl_slots=4 "
    expect("version=1\n"
           "sequence=1 " RESERVE "outcome=ambiguous reason=indefinite_write\n"
           "sequence=2 " RESERVE
           "outcome=committed_write applied_lsn=4 write_result=reserved "
           "committed_reservation_id=4 committed_holder_id=3 "
           "committed_lease_epoch=1 expires_at_slot=5\n"
           "sequence=3 " TIME
           "operation=get_resource resource_id=7 outcome=read_ok "
           "read_target=resource observed_lsn=4 resource_state=available\n"
           "sequence=4 " TIME
           "operation=tick_expirations operation_id=11 request_slot=9 "
           "outcome=committed_write applied_lsn=6 write_result=tick_expired "
           "expired=7:3:4:5,8:3:4:5\n"
           "sequence=5 " TIME
           "operation=release operation_id=12 resource_id=7 reservation_id=4 "
           "holder_id=3 lease_epoch=1 outcome=definite_failure "
           "reason=stale_epoch\n"
           "sequence=6 " TIME
           "operation=tick_expirations outcome=ambiguous reason=timeout\n"
           "sequence=7 " TIME
           "operation=revoke reservation_id=4 outcome=definite_failure "
           "reason=retired\n",
           "allocdb",
           "invoke 0 reserve {\"resources\" [7], \"holder\" 3} id 9 time "
           "2000000\ninfo 0 reserve nil id 9 time 2000000\n"
           "invoke 0 reserve {\"resources\" [7], \"holder\" 3} id 9 time "
           "2000000\nok 0 reserve {\"code\" \"ok\", \"lease\" 4, "
           "\"epoch\" 1} id 9 at 0/4 time 2000000\n"
           "invoke 0 expire {\"lease\" 4} time 2000000\n"
           "ok 0 expire {\"code\" \"ok\"} at 0/5 time 2000000\n"
           "invoke 0 release {\"lease\" 4, \"holder\" 3, \"epoch\" 1} id 12 "
           "time 2000000\n"
           "ok 0 release {\"code\" \"stale_epoch\"} id 12 time 2000000\n"
           "invoke 0 expire {\"lease\" 4} time 2000000\n"
           "info 0 expire nil time 2000000\n"
           "invoke 0 revoke {\"lease\" 4} time 2000000\n"
           "fail 0 revoke nil only time 2000000\n");
    expect("version=1\nsequence=1 operation=fly outcome=ambiguous\n", NULL,
           "error: " SCRATCH ":2: unknown operation 'fly'");
    expect_from("allocdb", "version=2\n", NULL,
                "error: " SCRATCH ":1: the first line must be 'version=1'");
}

static void
test_ordeal_jsonl(void)
{
    expect("{\"ordeal-history\":1,\"meta\":{\"model\":\"allocator\"}}\n"
           "{\"index\":0,\"time\":15,\"process\":3,\"type\":\"invoke\","
           "\"f\":\"reserve\",\"op\":\"aa00000000000000000000000000008f\","
           "\"attempt\":1,\"node\":\"n2\",\"fields\":{\"resource\":7,"
           "\"id\":\"#00000000000000000000000000000009\","
           "\"big\":\"#00000000000000010000000000000009\",\"t\":\"\\\\#x\"}}\n"
           "{\"time\":16,\"type\":\"fault\",\"f\":\"kill\"}\n"
           "{\"time\":25,\"process\":3,\"type\":\"unknown\",\"f\":\"reserve\","
           "\"op\":\"aa00000000000000000000000000008f\",\"error\":\"timeout\"}"
           "\n{\"time\":26,\"process\":3,\"type\":\"fail\",\"f\":\"x\","
           "\"pos\":[2,\"18446744073709551614\"],\"fields\":{\"value\":[1]}}\n"
           "{\"ordeal-history-seal\":{\"events\":4}}\n",
           "ordeal-jsonl",
           "invoke 3 reserve {\"resource\" 7, \"id\" 9, \"big\" "
           ":#00000000000000010000000000000009, \"t\" \"#x\"} id "
           "aa00000000000000000000000000008f attempt 1 time 15\n"
           "info 3 reserve nil error \"timeout\" id "
           "aa00000000000000000000000000008f time 25\n"
           "fail 3 x [1] only at 2/18446744073709551614 time 26\n");
    CHECK_STR(read_file.model, "allocator");
    expect("{\"ordeal-history\":2,\"meta\":{}}\n", NULL,
           "error: " SCRATCH ":1: only version 1 is understood");
    expect("{\"ordeal-history\":1,\"meta\":{}}\n"
           "{\"ordeal-history-seal\":{\"events\":1}}\n",
           NULL,
           "error: " SCRATCH
           ":2: the seal does not match the events before it");
    expect("{\"ordeal-history\":1,\"meta\":{}}\n{\"time\":1,\"type\":\"ok\"}\n",
           NULL, "error: " SCRATCH ":2: 'f' (the function) must be a string");
    expect_from("ordeal-jsonl", "", NULL,
                "error: " SCRATCH ":1: the first line must be "
                "{\"ordeal-history\":1,\"meta\":{...}}");
}

static void
test_unknown_files(void)
{
    static const char names[] =
        "--from names the format: ordeal ordeal-jsonl jepsen-edn";
    char *got;

    write_scratch("hello, world\n", 13);
    got = dump_file(SCRATCH, NULL, false);
    CHECK(strstr(got, "looks like no format known here") != NULL);
    CHECK(strstr(got, names) != NULL);
    free(got);
    expect("", NULL,
           "error: " SCRATCH ": is empty: nothing says what it is; "
           "--from names the format: ordeal ordeal-jsonl jepsen-edn "
           "jepsen-json porcupine-etcd porcupine-kv limo "
           "allocator-jsonl register-tsv allocdb");
    expect_from("nonsense", "", NULL, "error: there is no format 'nonsense'");
    expect_from("jepsen-edn", "", NULL, "");
    got = dump_file("no-such-file.edn", NULL, false);
    CHECK_STR(got, "error: no-such-file.edn: No such file or directory");
    free(got);
}

static void
test_sink_errors_name_the_line(void)
{
    struct dump d = {.stop_at = 2};
    struct error err = {0};

    write_scratch("ok\t0\tread\t1\n\nok\t0\tread\t1\n", 25);
    buf_init(&d.text, 4096);
    CHECK(format_read(SCRATCH, "register-tsv", &read_format, &read_file,
                      dump_record, &d, &err) < 0);
    buf_release(&d.text);
    CHECK_STR(err.text, SCRATCH ":3: enough");
}

/* ---- packing ---- */

#define PACK_LINES 30000

static char *
pack_text(size_t *ret_len)
{
    struct buf b;

    buf_init(&b, 64 << 20);
    for (int i = 0; i < PACK_LINES; i++)
        buf_printf(&b,
                   "{:index %d, :type :ok, :process 1, :f :read, :value %d}\n",
                   i, i * 7919);
    *ret_len = b.len;
    return buf_take(&b);
}

static unsigned char *
pack_gzip(const char *text, size_t len, size_t *ret_len)
{
    size_t cap = compressBound(len) + 64;
    unsigned char *to = xcalloc(1, cap);
    z_stream z = {0};

    CHECK(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) ==
          Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)len;
    z.next_out = to;
    z.avail_out = (uInt)cap;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    *ret_len = z.total_out;
    deflateEnd(&z);
    return to;
}

static unsigned char *
pack_zstd(const char *text, size_t len, size_t *ret_len)
{
    size_t cap = ZSTD_compressBound(len);
    unsigned char *to = xcalloc(1, cap);

    *ret_len = ZSTD_compress(to, cap, text, len, 3);
    return to;
}

static void
test_packed_files(void)
{
    size_t len, half, n, m;
    CLEANUP_FREE char *text = pack_text(&len);
    CLEANUP_FREE char *plain = NULL;

    write_scratch(text, len);
    plain = dump_file(SCRATCH, NULL, true);
    CHECK_INT(read_file.event_count, PACK_LINES);
    half = len / 2;
    for (int zstd = 0; zstd < 2; zstd++) {
        unsigned char *(*pack)(const char *, size_t, size_t *) =
            zstd ? pack_zstd : pack_gzip;
        /* Two members, cut in the middle of a line. */
        CLEANUP_FREE unsigned char *one = pack(text, half, &n);
        CLEANUP_FREE unsigned char *two = pack(text + half, len - half, &m);
        CLEANUP_FREE char *got = NULL, *cut = NULL, *bad = NULL;

        one = xrealloc(one, n + m + 1);
        memcpy(one + n, two, m);
        write_scratch(one, n + m);
        got = dump_file(SCRATCH, NULL, true);
        CHECK(strcmp(got, plain) == 0);
        write_scratch(one, n + m - 5);
        cut = dump_file(SCRATCH, NULL, true);
        CHECK(strstr(cut, "the compressed data is cut short") != NULL);
        one[n + m / 2] ^= 0x55;
        write_scratch(one, n + m);
        bad = dump_file(SCRATCH, NULL, true);
        CHECK(strcmp(bad, plain) != 0);
        CHECK(strstr(bad, "error: ") != NULL);
    }
}

/* ---- there and back ---- */

static const char *const kinds[] = {"jsonl", "edn", "json"};

static int
write_record(void *arg, const struct record *r, struct error *err)
{
    return record_writer_add(arg, r, err);
}

/* Reads 'path', writes it as 'kind' to 'to'. */
static int
convert(const char *path, const char *kind, const char *to, struct error *err)
{
    FILE *out = fopen(to, "w");
    struct record_writer *w = record_writer_new(out, kind, err);
    const struct format_ops *format;
    struct record_file file;
    int status;

    CHECK(out != NULL && w != NULL);
    status = format_read(path, NULL, &format, &file, write_record, w, err);
    if (record_writer_close(w, err) < 0)
        status = -1;
    fclose(out);
    return status;
}

/* JSON has no keywords: the colon before a word says it is one. */
static void
strip_colons(char *text)
{
    char *to = text;
    bool inside = false;

    for (char *p = text; *p != '\0'; p++) {
        bool plain =
            *p == ':' && !inside && p > text && strchr(" [{\n", p[-1]) != NULL;

        inside ^= *p == '"' && (p == text || p[-1] != '\\');
        if (!plain && *p != '"')
            *to++ = *p;
    }
    *to = '\0';
}

static void
test_round_trip_of_our_own(void)
{
    static const char ops[] =
        "{:type :invoke, :process 0, :f :read, :value nil}\n"
        "{:type :fail, :process 0, :f :cas, :value [1 2]}\n"
        "{:type :fail, :process 0, :f :cas, :value [1 2], "
        ":ordeal/attempt-only true, :error \"refused\"}\n"
        "{:type :ok, :process 1, :f :txn, :value [[:append 1 2.5]], :time 7, "
        ":ordeal/op-id \"op1\", :ordeal/attempt 3, :ordeal/position [1 9]}\n"
        "{:type :ok, :process 1, :f :read, :value {\"a\" 1 \"b\" [true]}, "
        ":ordeal/op-id \"aa00000000000000000000000000008f\"}\n"
        "{:type :ok, :process 1, :f :read, :value {\"value\" 1}, :key 3}\n"
        "{:type :ok, :process 1, :f :read, :value {}, :key \"k\"}\n"
        "{:type :ok, :process 1, :f :read, :value {1 2}, :key :k}\n"
        "{:type :ok, :process 1, :f :read, :value \"#\\\\\\\"\\u0001\xc3\xa9\"}"
        "\n{:type :info, :process 4294967294, :f \"a b\", "
        ":value 123456789012345678901N, :error [:timeout {:a nil}]}\n"
        "{:type :ok, :process 1, :f :read, "
        ":value [[[[[1]]]] -9223372036854775808 1e300]}\n";
    char *before, *after;
    struct error err = {0};

    write_scratch(ops, strlen(ops));
    before = dump_file(SCRATCH, NULL, false);
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        char *plain = xstrdup(before);
        bool same;

        CHECK_OK(convert(SCRATCH, kinds[i], SCRATCH ".out", &err), &err);
        after = dump_file(SCRATCH ".out", NULL, false);
        if (i == 2) {
            strip_colons(plain);
            strip_colons(after);
        }
        same = strcmp(plain, after) == 0;
        if (!same)
            printf("# %s: got\n%s# expected\n%s", kinds[i], after, plain);
        free(after);
        free(plain);
        CHECK(same);
    }
    free(before);
    unlink(SCRATCH ".out");
}

/* Our binary history and its JSONL are the same records. */
static void
test_binary(void)
{
    struct error err = {0};
    struct arena a;
    json_t *meta = json_pack("{s:s}", "model", "kv");
    struct history_writer *w;
    CLEANUP_FREE char *binary = NULL, *text = NULL, *packed = NULL;
    CLEANUP_FREE char *bytes = NULL;
    CLEANUP_FREE unsigned char *gz = NULL;
    size_t len, n;
    FILE *out;

    unlink(SCRATCH);
    arena_init(&a);
    w = history_writer_open(SCRATCH, meta, clock_monotonic(), &err);
    CHECK(w != NULL);
    for (int i = 0; i < 200; i++) {
        struct event e = {
            .time_ns = 10 + i,
            .process = i % 9 == 8 ? HISTORY_PROCESS_NONE : (uint32_t)i % 9,
            .kind = i % 9 == 8 ? EVENT_FAULT : (enum event_kind)(i % 4),
            .function = i % 2 ? "put" : "get",
            .attempt = (uint32_t)i % 3,
            .operation = {.hi = (uint64_t)(i % 3), .lo = 5},
            .error = i % 5 == 0 ? "timeout" : NULL};

        e.position.known = i % 7 == 0;
        e.position.index = (uint64_t)i;
        fields_set_int(&a, &e.fields, "value", i);
        if (i % 3 == 0)
            fields_set_string(&a, &e.fields, "key", "k");
        if (i % 4 == 0)
            fields_set_id(&a, &e.fields, "lease",
                          (struct id128){.hi = (uint64_t)i % 8, .lo = 3});
        CHECK_OK(history_append(w, &e, HISTORY_BUFFERED, &err), &err);
    }
    CHECK_OK(history_seal(w, &err), &err);
    json_decref(meta);
    arena_release(&a);
    binary = dump_file(SCRATCH, NULL, false);
    CHECK_STR(read_format->name, "ordeal");
    CHECK_STR(read_file.model, "kv");
    CHECK(read_file.event_count < 200 && read_file.event_count > 170);
    out = fopen(SCRATCH ".out", "w");
    CHECK_OK(history_export_jsonl(SCRATCH, out, &err), &err);
    fclose(out);
    text = dump_file(SCRATCH ".out", NULL, false);
    CHECK_STR(read_format->name, "ordeal-jsonl");
    CHECK(strcmp(text, binary) == 0);
    unlink(SCRATCH ".out");
    bytes = file_read(SCRATCH, 1 << 20, &len, &err);
    CHECK(bytes != NULL);
    gz = pack_gzip(bytes, len, &n);
    write_scratch(gz, n);
    packed = dump_file(SCRATCH, NULL, false);
    CHECK_STR(read_format->name, "ordeal");
    CHECK(strcmp(packed, binary) == 0);
}

/* ---- the corpora ---- */

static const struct {
    const char *folder, *ends, *format;
} corpora[] = {
    {"porcupine-etcd-jepsen", ".log", "porcupine-etcd"},
    {"porcupine-kv", ".txt", "porcupine-kv"},
    {"knossos", ".edn", "jepsen-edn"},
    {"elle-cli", ".edn", "jepsen-edn"},
    {"elle-cli", ".json", "jepsen-json"},
    {"elle", ".edn", "jepsen-edn"},
    {"limo", ".hist", "limo"},
    {"synthetic-queue", ".hist", "limo"},
    {"synthetic-register", ".tsv", "register-tsv"},
    {"synthetic-allocator", ".jsonl", "allocator-jsonl"},
};

static bool
ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static const char *
corpora_format(const char *file)
{
    char name[512];

    snprintf(name, sizeof(name), "%s", file);
    if (ends_with(name, ".gz"))
        name[strlen(name) - 3] = '\0';
    for (unsigned i = 0; i < ARRAY_LEN(corpora); i++)
        if (strncmp(name, corpora[i].folder, strlen(corpora[i].folder)) == 0 &&
            name[strlen(corpora[i].folder)] == '/' &&
            ends_with(name, corpora[i].ends))
            return corpora[i].format;
    return NULL;
}

/* Reads it, then writes and reads it again in all three kinds. */
static void
corpora_file(const char *path, const char *format)
{
    CLEANUP_FREE char *text = dump_file(path, NULL, false);
    struct error err = {0};

    if (strstr(text, "error: ") != NULL && strstr(text, path) != NULL)
        printf("# %s\n", strstr(text, "error: "));
    CHECK(read_format != NULL);
    CHECK_STR(read_format->name, format);
    CHECK(read_file.event_count > 0);
    if (strlen(text) > 200000)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP_FREE char *plain = xstrdup(text), *back = NULL;

        CHECK_OK(convert(path, kinds[i], SCRATCH, &err), &err);
        back = dump_file(SCRATCH, NULL, false);
        if (i == 2) {
            strip_colons(plain);
            strip_colons(back);
        }
        if (strcmp(plain, back) != 0)
            printf("# %s as %s differs\n", path, kinds[i]);
        CHECK(strcmp(plain, back) == 0);
    }
}

static char corpora_path[3072];

static void
test_corpora(void)
{
    char list[4096], line[4096], path[4096];
    unsigned files = 0;
    FILE *f;

    snprintf(list, sizeof(list), "%s/VERDICTS.tsv", corpora_path);
    f = fopen(list, "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\t\n")] = '\0';
        if (corpora_format(line) == NULL)
            continue;
        snprintf(path, sizeof(path), "%s/%.1000s", corpora_path, line);
        if (access(path, R_OK) != 0)
            continue;
        read_format = NULL;
        corpora_file(path, corpora_format(line));
        files++;
    }
    fclose(f);
    printf("# %u files\n", files);
    CHECK(files > 0);
}

int
main(void)
{
    const char *shared = getenv("ORDEAL_SHARED");
    const char *source = getenv("ORDEAL_SRCDIR");

    RUN(test_edn);
    RUN(test_json);
    RUN(test_depth);
    RUN(test_every_prefix);
    RUN(test_jepsen_edn);
    RUN(test_jepsen_json);
    RUN(test_broken_op_maps);
    RUN(test_line_formats);
    RUN(test_limo);
    RUN(test_limo_with_many_threads);
    RUN(test_allocdb);
    RUN(test_ordeal_jsonl);
    RUN(test_unknown_files);
    RUN(test_sink_errors_name_the_line);
    RUN(test_packed_files);
    RUN(test_round_trip_of_our_own);
    RUN(test_binary);
    snprintf(corpora_path, sizeof(corpora_path), "%.2000s%s/corpora",
             shared != NULL   ? shared
             : source == NULL ? "."
                              : source,
             shared != NULL ? "" : "/../shared");
    if (access(corpora_path, R_OK) == 0)
        RUN(test_corpora);
    else
        SKIP(test_corpora, "no corpora beside the source tree");
    unlink(SCRATCH);
    return tap_done();
}
