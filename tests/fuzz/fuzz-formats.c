/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds every format, both tree parsers and the folding of calls what nobody
 * wrote.  Whatever the bytes are, they must end in records or in an error, and
 *  - a tree that was read is printed and read again as the same tree;
 *  - records written as EDN are read again as the same records;
 *  - calls are whole: rising, with intervals that are none too short.
 *
 * The first byte of an input chooses the format, the rest is the file.
 *
 * With libFuzzer:  clang -fsanitize=fuzzer,address,undefined -DFUZZ_LIBFUZZER
 * As a test:       mutates seeds of its own, from a fixed seed, for
 *                  ORDEAL_FUZZ_SECONDS (default 5).
 */
#include "config.h"

#include <string.h>
#include <sys/mman.h>

#include "analyzer/formats/formats.h"
#include "analyzer/formats/print.h"
#include "analyzer/models/model.h"
#include "analyzer/values.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/rng.h"

#define FUZZ_INPUT_MAX ((size_t)64 << 10)

static struct {
    uint64_t inputs, records, refused, trees, calls;
} fuzz_seen;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* ---- a model that takes anything ---- */

static enum decoded
anything_decode(struct calls *c, const struct record *invoke,
                const struct record *end, struct call *ret, struct error *err)
{
    bool read = invoke->function[0] == 'r' || invoke->function[0] == 'g';
    const struct tree *v = invoke->value;

    ret->function = read;
    ret->a = value_number(c, v);
    if (invoke->key != NULL)
        ret->key = value_number(c, invoke->key);
    if (end == NULL || end->type == RECORD_INFO)
        return read ? DECODED_DROP : DECODED_OPEN;
    if (end->type == RECORD_FAIL)
        return DECODED_DROP;
    ret->result = value_number(c, end->value);
    if (end->value->kind == TREE_LIST)
        ret->list = calls_list(c, &ret->a, 1);
    return DECODED_CALL;
}

static const char *const anything_functions[] = {"write", "read", NULL};
static const struct model_ops anything = {
    .name = "anything",
    .description = "takes all records",
    .functions = anything_functions,
    .decode = anything_decode,
};

static void
fuzz_calls_check(const struct calls *c)
{
    char text[24];

    for (uint32_t i = 0; i < c->count; i++) {
        if (c->function[i] > 1 || c->invoke[i] >= c->rank_count ||
            (i > 0 && c->invoke[i] <= c->invoke[i - 1]) ||
            (c->complete[i] != CALL_OPEN && (c->complete[i] <= c->invoke[i] ||
                                             c->complete[i] >= c->rank_count)))
            abort();
        if (call_list_count(c, i) > 0 && call_list(c, i)[0] != c->a[i])
            abort();
        if (strlen(value_print(c, c->a[i], text, sizeof(text))) >= sizeof(text))
            abort();
    }
    fuzz_seen.calls += c->count;
}

/* ---- records ---- */

struct fuzz_read {
    struct calls *calls; /* NULL: refused a record */
    struct record_writer *writer;
    struct buf text;
    bool again;
};

static void
fuzz_dump(struct buf *b, const struct record *r)
{
    buf_printf(b, "%d %lld %s %u %d %llu ", (int)r->type, (long long)r->process,
               r->function, r->attempt, r->attempt_only,
               (unsigned long long)r->position);
    if (r->operation_id != NULL)
        buf_printf(b, "%s ", r->operation_id);
    edn_print(b, r->value);
    if (r->key != NULL)
        edn_print(b, r->key);
    if (r->error != NULL)
        edn_print(b, r->error);
    buf_puts(b, "\n");
}

static int
fuzz_sink(void *arg, const struct record *r, struct error *err)
{
    struct fuzz_read *f = arg;
    struct error own = {0};

    if (!f->again)
        fuzz_seen.records++;
    fuzz_dump(&f->text, r);
    if (f->writer != NULL && record_writer_add(f->writer, r, err) < 0)
        abort(); /* EDN takes everything */
    if (f->calls != NULL && calls_add(f->calls, r, &own) < 0) {
        if (own.kind != ERROR_CONFIG)
            abort();
        calls_free(f->calls);
        f->calls = NULL;
    }
    return 0;
}

static void
fuzz_fd_path(char *ret, size_t size, int fd)
{
    snprintf(ret, size, "/proc/self/fd/%d", fd);
}

static int
fuzz_memory(const void *bytes, size_t len)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || file_write_all(fd, bytes, len) < 0)
        abort();
    return fd;
}

static int
fuzz_file(int fd, const char *from, struct fuzz_read *f)
{
    const struct format_ops *format;
    struct record_file file;
    struct error err = {0};
    char path[64];
    int status;

    fuzz_fd_path(path, sizeof(path), fd);
    status = format_read(path, from, &format, &file, fuzz_sink, f, &err);
    if ((status < 0) != (err.kind != ERROR_NONE) || err.kind == ERROR_BUG)
        abort();
    fuzz_seen.refused += status < 0;
    return status;
}

/* What was written must be what was read. */
static void
fuzz_again(FILE *out, const struct fuzz_read *first)
{
    struct fuzz_read f = {.again = true};

    buf_init(&f.text, 64 << 20);
    if (fuzz_file(fileno(out), "jepsen-edn", &f) < 0 ||
        strcmp(buf_text(&f.text), buf_text(&first->text)) != 0) {
        fprintf(stderr, "read: %sread again: %s", buf_text(&first->text),
                buf_text(&f.text));
        abort();
    }
    buf_release(&f.text);
}

static void
fuzz_format(const char *from, const uint8_t *data, size_t len)
{
    CLEANUP_CLOSE int fd = fuzz_memory(data, len);
    CLEANUP_CLOSE int back = fuzz_memory("", 0);
    struct calls_options options = {.model = &anything};
    struct fuzz_read f = {0};
    struct error err = {0};
    char path[64];
    FILE *out;

    fuzz_fd_path(path, sizeof(path), back);
    out = fopen(path, "w+");
    if (out == NULL)
        abort();
    f.calls = calls_new(&options, &err);
    f.writer = record_writer_new(out, "edn", &err);
    buf_init(&f.text, 64 << 20);
    if (f.calls == NULL || f.writer == NULL)
        abort();
    fuzz_file(fd, from, &f);
    if (record_writer_close(f.writer, &err) < 0)
        abort();
    fuzz_again(out, &f);
    if (f.calls != NULL) {
        if (calls_finish(f.calls, &err) < 0)
            abort();
        fuzz_calls_check(f.calls);
        calls_free(f.calls);
    }
    buf_release(&f.text);
    fclose(out);
}

/* ---- trees ---- */

static void
fuzz_tree(bool edn, const uint8_t *data, size_t len)
{
    CLEANUP_FREE char *text = xcalloc(1, len + 1);
    struct parse ps, other;
    struct buf b, c;
    struct tree t, u;

    if (len > 0)
        memcpy(text, data, len);
    parse_init(&ps);
    parse_init(&other);
    buf_init(&b, 8 << 20);
    buf_init(&c, 8 << 20);
    parse_begin(&ps, text, len, true);
    if ((edn ? edn_value(&ps, &t) : json_value(&ps, &t)) == PARSED) {
        fuzz_seen.trees++;
        edn_print(&b, &t);
        parse_begin(&other, b.data, b.len, true);
        if (edn_value(&other, &u) != PARSED)
            abort();
        edn_print(&c, &u);
        if (tree_hash(&t, 1) != tree_hash(&u, 1) ||
            strcmp(buf_text(&b), buf_text(&c)) != 0)
            abort();
    }
    buf_release(&b);
    buf_release(&c);
    parse_release(&ps);
    parse_release(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned formats = 0, choice;

    if (len == 0)
        return 0;
    fuzz_seen.inputs++;
    while (format_registry[formats] != NULL)
        formats++;
    choice = data[0] % (formats + 3);
    if (choice < formats)
        fuzz_format(format_registry[choice]->name, data + 1, len - 1);
    else if (choice == formats)
        fuzz_format(NULL, data + 1, len - 1); /* guessed */
    else
        fuzz_tree(choice == formats + 1, data + 1, len - 1);
    return 0;
}

#ifndef FUZZ_LIBFUZZER

static const char *const fuzz_seeds[] = {
    "{\"ordeal-history\":1,\"meta\":{\"model\":\"kv\"}}\n"
    "{\"index\":0,\"time\":5,\"process\":3,\"type\":\"invoke\",\"f\":\"put\","
    "\"op\":\"aa00000000000000000000000000008f\",\"attempt\":1,"
    "\"fields\":{\"key\":\"#0000000000000000000000000000000f\","
    "\"value\":[1,null]}}\n{\"time\":6,\"process\":3,\"type\":\"fail\","
    "\"f\":\"put\",\"fields\":{\"edn\":\"{:a 1}\",\"refused\":true}}\n"
    "{\"ordeal-history-seal\":{\"events\":2}}\n",
    "[{:type :invoke, :process 0, :f :read, :value nil :index 0}\n"
    "#a.B{:type :ok :process 0 :f :read :value {1 #{\"a\\u00e9\" \\c}} "
    ":ordeal/op-id \"x\" :ordeal/position [1 2]} #_ {:type :info}]\n",
    "[{\"type\":\"invoke\",\"process\":0,\"f\":\"add\",\"value\":-1.5e3},\n"
    " {\"type\":\"fail\",\"process\":0,\"f\":\"add\",\"error\":[\"x\"]}]\n",
    "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n"
    "INFO  jepsen.util - 0\t:info\t:cas\t:timed-out\n"
    "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n",
    "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x\"}\n"
    "{:process 0, :type :ok, :f :append, :key \"0\", :value \"x\"}\n",
    "# @object atomic-queue\n[1] call enq(1)\n[2] call deq\n[1] return\n"
    "[2] return 1\n[2] call pop(?<1,2>)\n[2] return\n",
    "{\"time\": 7, \"process\": 2, \"type\": \"invoke\", \"f\": \"reserve\", "
    "\"op_id\": \"op9\", \"attempt\": 2, \"value\": {\"a\": [1]}}\n"
    "{\"time\": 8, \"process\": 2, \"type\": \"ok\", \"f\": \"reserve\", "
    "\"op_id\": \"op9\", \"attempt\": 2, \"value\": {\"code\": \"ok\"}}\n",
    "invoke\t0\tcas\t1 2\nok\t0\tcas\t1 2\ninvoke\t1\tread\tnil\n",
    "version=1\nsequence=1 process=primary-1 time_millis=2 operation=reserve "
    "operation_id=9 resource_id=7 holder_id=3 outcome=committed_write "
    "applied_lsn=4 committed_reservation_id=4 committed_lease_epoch=1\n"
    "sequence=2 operation=tick_expirations outcome=committed_write "
    "expired=7:3:4:5,8:3:99999999999999999999:none\n"
    "sequence=3 operation=tick_expirations outcome=ambiguous\n",
};

static const char *const fuzz_words[] = {
    "nil",     ":ok",
    "[",       "]",
    "{",       "}",
    "\"",      "\\",
    "#_",      "#{",
    "\n",      ",",
    "\t",      "9223372036854775808",
    "-",       "1e999",
    "\\ud83d", ":",
    "(",       "\xff",
    ";",       "invoke",
    "return",  "call ",
    "process", "\"op\"",
    "=",       "1N",
    "1/2",     "##NaN",
};

/* A seed with a few changes; returns its length. */
static size_t
fuzz_mutate(struct rng *r, uint8_t *bytes, size_t len)
{
    for (uint64_t n = rng_below(r, 5); n > 0 && len > 1; n--) {
        size_t at = rng_below(r, len), k = 1 + rng_below(r, 20);
        const char *word = fuzz_words[rng_below(r, ARRAY_LEN(fuzz_words))];

        if (k > len - at)
            k = len - at;
        switch (rng_below(r, 5)) {
        case 0:
            bytes[at] = (uint8_t)rng_u64(r);
            break;
        case 1:
            memmove(bytes + at, bytes + at + k, len - at - k);
            len -= k < len ? k : 0;
            break;
        case 2: /* repeat */
            memmove(bytes + at + k, bytes + at, len - at);
            len += k;
            break;
        case 3:
            k = strlen(word);
            memmove(bytes + at + k, bytes + at, len - at);
            memcpy(bytes + at, word, k);
            len += k;
            break;
        default:
            if (rng_chance(r, 0.2))
                len = at + 1;
            break;
        }
    }
    return len;
}

int
main(void)
{
    const char *limit = getenv("ORDEAL_FUZZ_SECONDS");
    struct clock *clock = clock_monotonic();
    int64_t seconds = limit == NULL ? 5 : strtoll(limit, NULL, 10);
    int64_t deadline = clock_now_ns(clock) + seconds * NS_PER_S;
    CLEANUP_FREE uint8_t *input = xcalloc(1, FUZZ_INPUT_MAX);
    struct rng r;
    bool good;

    rng_init(&r, 20260301);
    do {
        const char *seed = fuzz_seeds[rng_below(&r, ARRAY_LEN(fuzz_seeds))];
        size_t len = strlen(seed);

        input[0] = (uint8_t)rng_u64(&r);
        memcpy(input + 1, seed, len);
        LLVMFuzzerTestOneInput(input, 1 + fuzz_mutate(&r, input + 1, len));
    } while (clock_now_ns(clock) < deadline);
    good = fuzz_seen.records > 0 && fuzz_seen.refused > 0 &&
           fuzz_seen.trees > 0 && fuzz_seen.calls > 0;
    printf("%sok 1 - %llu inputs: %llu records, %llu calls, %llu trees, %llu "
           "refused\n1..1\n",
           good ? "" : "not ", (unsigned long long)fuzz_seen.inputs,
           (unsigned long long)fuzz_seen.records,
           (unsigned long long)fuzz_seen.calls,
           (unsigned long long)fuzz_seen.trees,
           (unsigned long long)fuzz_seen.refused);
    return !good;
}

#endif
