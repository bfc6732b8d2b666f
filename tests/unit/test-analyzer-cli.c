/* SPDX-License-Identifier: Apache-2.0 */
/* 'ordeal check' on files: exit status, formats, bundles, damage. */
#include "config.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/analyzer.h"
#include "harness/base/buf.h"
#include "harness/base/file.h"
#include "harness/base/history.h"
#include "tests/lib/tap.h"

static char dir[] = "/tmp/ordeal-check-XXXXXX";

static const char *
in_dir(const char *name)
{
    static char path[8][256];
    static unsigned next;
    char *p = path[next++ % 8];

    snprintf(p, 256, "%s/%s", dir, name);
    return p;
}

static void
write_event(struct history_writer *w, enum event_kind kind, uint64_t operation,
            uint64_t index, struct error *err)
{
    struct arena a;
    struct event e = {.kind = kind,
                      .operation = {0, operation},
                      .attempt = 1,
                      .function = "create_resource",
                      .node = "n1",
                      .position = {kind == EVENT_OK, 1, index}};

    arena_init(&a);
    if (kind == EVENT_INVOKE) {
        fields_set_int(&a, &e.fields, "resource", (int64_t)operation);
    } else {
        fields_set_string(&a, &e.fields, "code", "ok");
        fields_set_int(&a, &e.fields, "slot", 0);
    }
    CHECK_OK(history_append(w, &e, HISTORY_BUFFERED, err), err);
    arena_release(&a);
}

/* Two resources created at these positions. */
static void
write_history(const char *path, uint64_t first, uint64_t second, bool sealed)
{
    struct error err;
    json_t *meta =
        json_pack("{s:s, s:s}", "model", "allocator", "positions", "total");
    struct history_writer *w =
        history_writer_open(path, meta, clock_monotonic(), &err);

    json_decref(meta);
    CHECK(w != NULL);
    write_event(w, EVENT_INVOKE, 7, 0, &err);
    write_event(w, EVENT_OK, 7, first, &err);
    write_event(w, EVENT_INVOKE, 8, 0, &err);
    write_event(w, EVENT_OK, 8, second, &err);
    if (sealed) {
        CHECK_OK(history_seal(w, &err), &err);
    } else {
        CHECK_OK(history_sync(w, &err), &err);
        history_writer_abandon(w);
    }
}

/* Runs the command with standard output and error in a file; the exit status
 * and what was printed. */
static int
check(struct buf *out, const char *const *words)
{
    char *argv[16] = {(char *)(uintptr_t) "check"};
    int argc = 1, status, saved[2] = {dup(1), dup(2)};
    struct error err;
    size_t len;
    char *text;
    int fd = open(in_dir("output"), O_RDWR | O_CREAT | O_TRUNC, 0600);

    while (words[argc - 1] != NULL) {
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
        argc++;
    }
    fflush(NULL);
    dup2(fd, 1);
    dup2(fd, 2);
    close(fd);
    status = analyzer_cli(argc, argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], i + 1);
        close(saved[i]);
    }
    buf_init(out, 1 << 20);
    text = file_read(in_dir("output"), 1 << 20, &len, &err);
    buf_puts(out, text == NULL ? "" : text);
    free(text);
    return status;
}

#define CHECK_RUN(out, ...) check(out, (const char *const[]){__VA_ARGS__, NULL})

static void
test_valid_and_invalid(void)
{
    struct buf out;

    write_history(in_dir("good"), 1, 2, true);
    write_history(in_dir("bad"), 1, 1, true);
    CHECK_INT(CHECK_RUN(&out, in_dir("good")), 0);
    CHECK(strncmp(buf_text(&out), "valid: ", 7) == 0);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("bad")), 1);
    CHECK(strncmp(buf_text(&out), "invalid: ", 9) == 0);
    CHECK(strstr(buf_text(&out), "one position belongs to one operation") !=
          NULL);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("good"), in_dir("bad")), 1);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("bad"), "--checker", "stale_read"), 0);
    buf_release(&out);
}

static void
test_json(void)
{
    struct buf out;
    json_t *json;

    CHECK_INT(CHECK_RUN(&out, "--format=json", in_dir("bad")), 1);
    json = json_loads(buf_text(&out), 0, NULL);
    CHECK(json != NULL);
    CHECK_STR(json_string_value(json_object_get(json, "verdict")), "invalid");
    CHECK(json_is_true(
        json_object_get(json_object_get(json, "evidence"), "sealed")));
    json_decref(json);
    buf_release(&out);
}

static void
test_bundle_and_unsealed(void)
{
    struct error err;
    struct buf out;

    CHECK_OK(dir_make(in_dir("bundle"), 0700, &err), &err);
    write_history(in_dir("bundle/history.ordeal"), 1, 2, false);
    CHECK_INT(CHECK_RUN(&out, in_dir("bundle")), 0);
    CHECK(strstr(buf_text(&out), "not sealed") != NULL);
    buf_release(&out);
}

/* What stands before the damage is judged; what follows is not known. */
static void
test_damage_is_unknown(void)
{
    struct error err;
    struct buf out;
    size_t len;
    CLEANUP_FREE char *bytes = NULL;

    bytes = file_read(in_dir("good"), 1 << 20, &len, &err);
    CHECK(bytes != NULL && len > 100);
    bytes[len - 80] ^= 0x40;
    CHECK_OK(file_write_atomic(in_dir("damaged"), bytes, len, 0600, &err),
             &err);
    CHECK_INT(CHECK_RUN(&out, in_dir("damaged")), 2);
    buf_release(&out);
}

static void
write_text(const char *path, const char *text)
{
    struct error err;

    CHECK_OK(file_write_atomic(path, text, strlen(text), 0600, &err), &err);
}

/* Another tool's history: found out what it is, judged, and explained. */
static void
test_foreign_history(void)
{
    struct buf out;
    json_t *json;

    write_text(in_dir("stale.tsv"), "invoke\t0\twrite\t1\n"
                                    "ok\t0\twrite\t1\n"
                                    "invoke\t0\twrite\t2\n"
                                    "ok\t0\twrite\t2\n"
                                    "invoke\t1\tread\tnil\n"
                                    "ok\t1\tread\t1\n");
    CHECK_INT(CHECK_RUN(&out, in_dir("stale.tsv")), 1);
    CHECK(strncmp(buf_text(&out), "invalid: ", 9) == 0);
    CHECK(strstr(buf_text(&out), "was read as 1") != NULL);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, "--format", "json", in_dir("stale.tsv")), 1);
    json = json_loads(buf_text(&out), 0, NULL);
    CHECK(json != NULL);
    CHECK_STR(json_string_value(json_object_get(json, "format")),
              "register-tsv");
    CHECK(json_integer_value(json_object_get(json, "core_size")) <= 3);
    CHECK(json_is_string(json_object_get(json, "confirmed_by")));
    json_decref(json);
    buf_release(&out);
}

/* The core alone is a history, and says the same. */
static void
test_core_is_a_history(void)
{
    const char *endings[] = {"core.jsonl", "core.edn", "core.json"};
    struct buf out;

    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        CHECK_INT(CHECK_RUN(&out, in_dir("stale.tsv"), "--core",
                            in_dir(endings[i]), "--html", in_dir("page.html"),
                            "--certificate", in_dir("certificate.json")),
                  1);
        buf_release(&out);
        CHECK_INT(CHECK_RUN(&out, in_dir(endings[i]), "--model", "register"),
                  1);
        buf_release(&out);
    }
    CHECK(path_exists(in_dir("page.html")));
    CHECK(path_exists(in_dir("certificate.json")));
}

static void
test_foreign_usage(void)
{
    struct buf out;

    CHECK_INT(CHECK_RUN(&out, in_dir("stale.tsv"), "--model", "regster"), 64);
    CHECK(strstr(buf_text(&out), "no model 'regster'") != NULL);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("stale.tsv"), "--from", "tvs"), 64);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("stale.tsv"), "--semantics", "loose"), 64);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("stale.tsv"), "--memory", "4T"), 64);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("stale.tsv"), "--jobs", "0"), 64);
    buf_release(&out);
    CHECK_INT(
        CHECK_RUN(&out, in_dir("stale.tsv"), "--core", in_dir("no/such/dir")),
        64);
    buf_release(&out);
    write_text(in_dir("queue.edn"),
               "{:type :invoke :process 0 :f :enqueue :value 1}\n"
               "{:type :ok :process 0 :f :enqueue :value 1}\n");
    CHECK_INT(CHECK_RUN(&out, in_dir("queue.edn")), 64);
    CHECK(strstr(buf_text(&out), "--model") != NULL);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("queue.edn"), "--model", "fifo-queue"), 0);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, "--list-models"), 0);
    CHECK(strstr(buf_text(&out), "lease-kernel") != NULL);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, "--list-formats"), 0);
    CHECK(strstr(buf_text(&out), "jepsen-edn") != NULL);
    buf_release(&out);
}

static void
test_usage(void)
{
    struct buf out;

    CHECK_INT(CHECK_RUN(&out, in_dir("no-such-file")), 64);
    CHECK(strstr(buf_text(&out), "no-such-file") != NULL);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, "--frobnicate"), 64);
    CHECK(strstr(buf_text(&out), "--frobnicate") != NULL);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, "--checker", "none", in_dir("good")), 64);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("good"), "--deadline"), 64);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("good"), "--deadline", "soon"), 64);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, in_dir("good"), "--format", "xml"), 64);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, "--help"), 0);
    CHECK(strstr(buf_text(&out), "exit status") != NULL);
    buf_release(&out);
    CHECK_INT(CHECK_RUN(&out, "--list"), 0);
    CHECK(strstr(buf_text(&out), "double_allocation") != NULL);
    buf_release(&out);
}

int
main(void)
{
    struct error err;

    if (mkdtemp(dir) == NULL)
        return 99;
    RUN(test_valid_and_invalid);
    RUN(test_json);
    RUN(test_bundle_and_unsealed);
    RUN(test_damage_is_unknown);
    RUN(test_foreign_history);
    RUN(test_core_is_a_history);
    RUN(test_foreign_usage);
    RUN(test_usage);
    dir_remove(dir, &err);
    return tap_done();
}
