/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates as the verifier sees them: genuine ones are accepted, each kind
 * of forgery is rejected; and cores written out as histories are invalid again.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/explain/explain.h"
#include "harness/base/history.h"
#include "harness/base/process.h"
#include "tests/lib/tap.h"

struct place {
    char directory[64], history[96], certificate[96], core[96];
};

static struct place place;
static char verifier[512];

/* What is judged, and with what. */
struct trial {
    const char *model, *initial, *history;
};

static const struct trial valid_register = {
    "cas-register", "nil",
    "invoke\t0\twrite\t1\nok\t0\twrite\t1\ninvoke\t1\tread\tnil\n"
    "invoke\t0\tcas\t1 2\ninvoke\t2\twrite\t7\nok\t0\tcas\t1 2\n"
    "ok\t1\tread\t1\ninvoke\t1\tread\tnil\nok\t1\tread\t2\n"};

/* The write of 7 has no answer and changes nothing. */
static const struct trial stale_register = {
    "cas-register", "nil",
    "invoke\t0\twrite\t1\nok\t0\twrite\t1\ninvoke\t2\twrite\t7\n"
    "invoke\t0\twrite\t2\nok\t0\twrite\t2\ninvoke\t1\tread\tnil\n"
    "ok\t1\tread\t1\n"};

static const struct trial bad_kv = {
    "kv", NULL,
    "{:process 0, :type :invoke, :f :append, :key \"k\", :value \"x\"}\n"
    "{:process 0, :type :ok, :f :append, :key \"k\", :value \"x\"}\n"
    "{:process 0, :type :invoke, :f :put, :key \"j\", :value \"u\"}\n"
    "{:process 0, :type :ok, :f :put, :key \"j\", :value \"u\"}\n"
    "{:process 1, :type :invoke, :f :append, :key \"k\", :value \"y\"}\n"
    "{:process 1, :type :ok, :f :append, :key \"k\", :value \"y\"}\n"
    "{:process 0, :type :invoke, :f :get, :key \"k\", :value nil}\n"
    "{:process 0, :type :ok, :f :get, :key \"k\", :value \"x\"}\n"};

static const struct trial bad_queue = {
    "fifo-queue", NULL,
    "# @object atomic-queue\n[1] call enq(1)\n[1] return\n[1] call enq(2)\n"
    "[1] return\n[2] call deq\n[2] return 2\n[2] call deq\n[2] return 1\n"};

/* The retry of "b" is the same operation; the lease of "a" is never ended. */
static const struct trial bad_leases = {
    "lease-kernel", NULL,
    "{\"process\":0,\"type\":\"invoke\",\"f\":\"reserve\",\"op_id\":\"a\","
    "\"attempt\":1,\"value\":{\"resources\":[\"r\"],\"holder\":\"h\"}}\n"
    "{\"process\":0,\"type\":\"ok\",\"f\":\"reserve\",\"op_id\":\"a\","
    "\"attempt\":1,\"value\":{\"code\":\"ok\",\"lease\":1,\"epoch\":1}}\n"
    "{\"process\":1,\"type\":\"invoke\",\"f\":\"reserve\",\"op_id\":\"b\","
    "\"attempt\":1,\"value\":{\"resources\":[\"r\"],\"holder\":\"g\"}}\n"
    "{\"process\":1,\"type\":\"info\",\"f\":\"reserve\",\"op_id\":\"b\","
    "\"attempt\":1,\"value\":null}\n"
    "{\"process\":1,\"type\":\"invoke\",\"f\":\"reserve\",\"op_id\":\"b\","
    "\"attempt\":2,\"value\":{\"resources\":[\"r\"],\"holder\":\"g\"}}\n"
    "{\"process\":1,\"type\":\"ok\",\"f\":\"reserve\",\"op_id\":\"b\","
    "\"attempt\":2,\"value\":{\"code\":\"ok\",\"lease\":2,\"epoch\":1}}\n"};

static const struct trial bad_transactions = {
    "list-append", NULL,
    "{:process 0, :type :invoke, :f :txn, :value [[:append 1 1] [:r 2 nil]]}\n"
    "{:process 1, :type :invoke, :f :txn, :value [[:append 2 1] [:r 1 nil]]}\n"
    "{:process 0, :type :ok, :f :txn, :value [[:append 1 1] [:r 2 []]]}\n"
    "{:process 1, :type :ok, :f :txn, :value [[:append 2 1] [:r 1 []]]}\n"
    "{:process 0, :type :invoke, :f :txn, :value [[:r 1 nil] [:r 2 nil]]}\n"
    "{:process 0, :type :ok, :f :txn, :value [[:r 1 [1]] [:r 2 [1]]]}\n"};

static void
write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL);
    fputs(text, f);
    CHECK(fclose(f) == 0);
}

static off_t
file_bytes(const char *path)
{
    struct stat st;

    CHECK(stat(path, &st) == 0);
    return st.st_size;
}

/* The file's verdict; the result is to be released. */
static struct calls *
judge(const char *path, const char *model, bool knossos, const char *initial,
      struct check_result *ret)
{
    struct error err = {0};
    struct calls_options options = {
        .model = model_find(model), .knossos = knossos, .initial = initial};
    const struct format_ops *format;
    struct record_file file = {0};
    struct check_options check = {.jobs = 1};
    struct calls *c;

    CHECK(options.model != NULL);
    c = calls_new(&options, &err);
    CHECK(c != NULL);
    CHECK_OK(format_read(path, NULL, &format, &file, calls_add, c, &err), &err);
    CHECK_OK(calls_finish(c, &err), &err);
    check_calls(c, &check, ret);
    return c;
}

/* Judges the history and writes its certificate. */
static enum verdict
certify(const char *path, const struct trial *t, bool knossos)
{
    struct check_result r;
    struct error err = {0};
    struct calls *c = judge(path, t->model, knossos, t->initial, &r);
    enum verdict verdict = r.verdict;
    FILE *f = fopen(place.certificate, "w");

    CHECK(f != NULL);
    CHECK_OK(explain_certificate(c, &r, path, f, &err), &err);
    CHECK(fclose(f) == 0);
    check_result_release(&r);
    calls_free(c);
    return verdict;
}

/* Exit status of the verifier; what it says in 'says'. */
static int
verify(const char *history, char *says, size_t size)
{
    const char *const argv[] = {"python3", verifier, place.certificate, history,
                                NULL};
    struct process_options options = {.output_max = 4096};
    struct process_result result;
    struct error err = {0};

    process_result_init(&result);
    CHECK_OK(process_run(argv, &options,
                         clock_now_ns(clock_monotonic()) + 60 * NS_PER_S,
                         &result, &err),
             &err);
    int status = result.status;
    snprintf(says, size, "%s%s", buf_text(&result.out), buf_text(&result.err));
    process_result_release(&result);
    return status;
}

static void
check_verified(const char *history, int expected, const char *part)
{
    char says[4096];
    int status = verify(history, says, sizeof(says));

    if (status != expected || strstr(says, part) == NULL)
        printf("# %s: %d: %s", history, status, says);
    CHECK_INT(status, expected);
    CHECK(strstr(says, part) != NULL);
}

static void
check_trial(const struct trial *t, enum verdict expected)
{
    write_text(place.history, t->history);
    CHECK_INT(certify(place.history, t, false), expected);
    check_verified(place.history, 0, "accepted");
}

static void
test_genuine(void)
{
    check_trial(&valid_register, VERDICT_VALID);
    check_trial(&stale_register, VERDICT_INVALID);
    check_trial(&bad_kv, VERDICT_INVALID);
    check_trial(&bad_queue, VERDICT_INVALID);
    check_trial(&bad_leases, VERDICT_INVALID);
    check_trial(&bad_transactions, VERDICT_INVALID);
}

/* ---- forgeries ---- */

typedef void forge(json_t *certificate);

/* Changes the certificate that is there. */
static void
verify_forged(forge *how, int expected, const char *part)
{
    json_error_t ignored;
    json_t *certificate = json_load_file(place.certificate, 0, &ignored);

    CHECK(certificate != NULL);
    how(certificate);
    CHECK(json_dump_file(certificate, place.certificate, 0) == 0);
    json_decref(certificate);
    check_verified(place.history, expected, part);
}

static void
check_forged(const struct trial *t, forge *how, int expected, const char *part)
{
    write_text(place.history, t->history);
    certify(place.history, t, false);
    verify_forged(how, expected, part);
}

static void
forge_swap(json_t *c)
{
    json_t *order = json_object_get(c, "order");
    size_t last = json_array_size(order) - 1;
    json_t *a = json_incref(json_array_get(order, 0));

    json_array_set(order, 0, json_array_get(order, last));
    json_array_set_new(order, last, a);
}

/* Neighbours that overlap in time: only the model can tell. */
static void
forge_swap_overlapping(json_t *c)
{
    json_t *order = json_object_get(c, "order");
    json_t *a = json_incref(json_array_get(order, 1));

    json_array_set(order, 1, json_array_get(order, 2));
    json_array_set_new(order, 2, a);
}

static void
forge_drop(json_t *c)
{
    json_array_remove(json_object_get(c, "order"), 0);
}

static void
forge_twice(json_t *c)
{
    json_t *order = json_object_get(c, "order");

    json_array_append(order, json_array_get(order, 0));
}

static void
forge_flip(json_t *c)
{
    json_object_set_new(c, "verdict", json_string("invalid"));
    json_object_set(c, "contradict", json_object_get(c, "order"));
}

static void
forge_flip_invalid(json_t *c)
{
    json_object_set_new(c, "verdict", json_string("valid"));
    json_object_set_new(c, "order", json_pack("[i,i,i]", 1, 4, 6));
}

/* The read alone: its writer is in the history, though not in the core. */
static void
forge_less(json_t *c)
{
    json_array_remove(json_object_get(c, "contradict"), 0);
}

static void
forge_line(json_t *c)
{
    json_array_append_new(json_object_get(c, "contradict"), json_integer(99));
}

static void
forge_nothing(json_t *c)
{
    json_array_clear(json_object_get(c, "contradict"));
}

static void
forge_model(json_t *c)
{
    json_object_set_new(c, "model", json_string("crystal-ball"));
}

static void
forge_cycle(json_t *c)
{
    json_t *edge = json_array_get(json_object_get(c, "cycle"), 0);

    json_array_set_new(edge, 2, json_string("real time"));
}

static void
forge_shape(json_t *c)
{
    json_object_set_new(c, "contradict", json_string("all of them"));
}

static void
test_forged(void)
{
    check_forged(&valid_register, forge_swap, 1, "rejected");
    check_forged(&valid_register, forge_swap_overlapping, 1, "cannot happen");
    check_forged(&valid_register, forge_drop, 1, "is not in the order");
    check_forged(&valid_register, forge_twice, 1, "there twice");
    check_forged(&valid_register, forge_flip, 1, "an order was found");
    check_forged(&stale_register, forge_flip_invalid, 1, "cannot happen");
    check_forged(&stale_register, forge_less, 1, "an order was found");
    check_forged(&stale_register, forge_line, 1, "no call of the history");
    check_forged(&stale_register, forge_nothing, 1, "no calls");
    check_forged(&stale_register, forge_shape, 1, "rejected");
    check_forged(&stale_register, forge_model, 2, "cannot judge");
    check_forged(&bad_leases, forge_less, 1, "an order was found");
    check_forged(&bad_transactions, forge_cycle, 1, "does not come before");
}

/* ---- what is promised without an order of steps ---- */

#define OP(process, type, f, value)                                            \
    "{:process " process " :type :" type " :f :" f " :value " value "}\n"
#define DONE(process, f, argument, result)                                     \
    OP(process, "invoke", f, argument) OP(process, "ok", f, result)

#define CREATE(name)                                                           \
    DONE("9", "create_resource", "{:resource " name "}", "{:code ok}")
#define RESERVE(process, resources, lease)                                     \
    DONE(process, "reserve",                                                   \
         "{:resources [" resources "] :holder " process " :ttl 3}",            \
         "{:code ok :lease " lease " :epoch 1 :slot 0 :deadline 3}")
#define BUCKET                                                                 \
    DONE("0", "create_bucket",                                                 \
         "{:bucket 1 :limit 9 :initial 5 :refill_per_slot 1}",                 \
         "{:code ok :slot 0}")
#define POOL                                                                   \
    DONE("0", "create_pool", "{:pool 1 :total 5}", "{:code ok :slot 0}")       \
    DONE("0", "place_hold", "{:pool 1 :hold 1 :quantity 2 :deadline 4}",       \
         "{:code ok :slot 0}")

static const struct promise {
    struct trial trial;
    enum verdict verdict;
} promises[] = {
    {{.model = "bank",
      .initial = "10",
      .history = DONE("0", "transfer", "{:from 1 :to 2 :amount 3}",
                      "{:from 1 :to 2 :amount 3}")
          DONE("1", "read", "nil", "{1 3, 2 7}")},
     VERDICT_VALID},
    {{.model = "bank",
      .history = DONE("1", "read", "nil", "{1 3, 2 7}")
          DONE("1", "read", "nil", "{1 3, 2 8}")},
     VERDICT_INVALID},
    {{.model = "bank", .history = DONE("1", "read", "nil", "{1 -3, 2 7}")},
     VERDICT_INVALID},
    {{.model = "unique-ids",
      .history =
          DONE("0", "generate", "nil", "4") DONE("1", "generate", "nil", "5")},
     VERDICT_VALID},
    {{.model = "unique-ids",
      .history =
          DONE("0", "generate", "nil", "4") DONE("1", "generate", "nil", "4")},
     VERDICT_INVALID},
    {{.model = "set-full",
      .history = DONE("0", "add", "1", "1") DONE("1", "read", "nil", "[1]")},
     VERDICT_VALID},
    {{.model = "set-full",
      .history = DONE("0", "add", "1", "1") DONE("0", "add", "2", "2")
          DONE("1", "read", "nil", "[1]")},
     VERDICT_INVALID},
    {{.model = "set-full",
      .history = DONE("0", "add", "1", "1") DONE("1", "read", "nil", "[1 3]")},
     VERDICT_INVALID},
    {{.model = "total-queue",
      .history =
          DONE("0", "enqueue", "1", "1") OP("0", "invoke", "enqueue", "2")
              OP("0", "info", "enqueue", "2") DONE("1", "dequeue", "nil", "1")},
     VERDICT_VALID},
    {{.model = "total-queue",
      .history = DONE("0", "enqueue", "1", "1") DONE("0", "enqueue", "2", "2")
          DONE("1", "drain", "nil", "[1]")},
     VERDICT_INVALID},
    {{.model = "long-fork",
      .history = DONE("0", "txn", "[[:w x 1]]",
                      "[[:w x 1]]") DONE("1", "txn", "[[:w y 1]]", "[[:w y 1]]")
          DONE("2", "txn", "[[:r x nil] [:r y nil]]", "[[:r x 1] [:r y nil]]")
              DONE("3", "txn", "[[:r x nil] [:r y nil]]",
                   "[[:r x 1] [:r y 1]]")},
     VERDICT_VALID},
    {{.model = "long-fork",
      .history = DONE("0", "txn", "[[:w x 1]]",
                      "[[:w x 1]]") DONE("1", "txn", "[[:w y 1]]", "[[:w y 1]]")
          DONE("2", "txn", "[[:r x nil] [:r y nil]]", "[[:r x 1] [:r y nil]]")
              DONE("3", "txn", "[[:r x nil] [:r y nil]]",
                   "[[:r x nil] [:r y 1]]")},
     VERDICT_INVALID},
    {{.model = "rw-register",
      .history = DONE("0", "txn", "[[:w x 1]]", "[[:w x 1]]")
          DONE("1", "txn", "[[:r x nil] [:w x 2]]", "[[:r x 1] [:w x 2]]")},
     VERDICT_VALID},
    {{.model = "rw-register:serializable",
      .history =
          DONE("1", "txn", "[[:r x nil] [:w x 2]]", "[[:r x 1] [:w x 2]]")
              DONE("0", "txn", "[[:w x 1]]", "[[:w x 1]]")},
     VERDICT_VALID},
    {{.model = "rw-register",
      .history =
          DONE("1", "txn", "[[:r x nil] [:w x 2]]", "[[:r x 1] [:w x 2]]")
              DONE("0", "txn", "[[:w x 1]]", "[[:w x 1]]")},
     VERDICT_INVALID},
    {{.model = "list-append:serializable",
      .history = DONE("1", "txn", "[[:r x nil]]", "[[:r x [1]]]")
          DONE("0", "txn", "[[:append x 1]]", "[[:append x 1]]")},
     VERDICT_VALID},
    {{.model = "lease",
      .history = DONE("0", "acquire", "{:lock l}", "nil")
          DONE("0", "release", "{:lock l}", "nil")
              DONE("1", "acquire", "{:lock l}", "nil")},
     VERDICT_VALID},
    {{.model = "lease",
      .history = DONE("0", "acquire", "{:lock l}", "nil")
          DONE("0", "renew", "{:lock l}", "nil")
              DONE("1", "acquire", "{:lock l}", "nil")},
     VERDICT_INVALID},
    {{.model = "allocator",
      .history = CREATE("1") CREATE("2") RESERVE("0", "1 2", "5")
          DONE("1", "tick", "{:slot 9}", "{:code ok}") RESERVE("1", "1", "6")},
     VERDICT_VALID},
    {{.model = "allocator",
      .history = CREATE("1") CREATE("2") RESERVE("0", "1 2", "5") DONE(
          "0", "confirm", "{:lease 5 :holder 0 :epoch 1}", "{:code ok}")
          DONE("1", "tick", "{:slot 9}", "{:code ok}") RESERVE("1", "1", "6")},
     VERDICT_INVALID},
    {{.model = "quota",
      .history = BUCKET DONE("1", "debit", "{:bucket 1 :amount 7}",
                             "{:code ok :slot 2}")},
     VERDICT_VALID},
    {{.model = "quota",
      .history = BUCKET DONE("1", "debit", "{:bucket 1 :amount 8}",
                             "{:code ok :slot 2}")},
     VERDICT_INVALID},
    {{.model = "pool",
      .history = POOL DONE("1", "release_hold", "{:hold 1}",
                           "{:code ok :slot 3}")
          DONE("1", "place_hold", "{:pool 1 :hold 2 :quantity 4 :deadline 6}",
               "{:code ok :slot 3}")},
     VERDICT_VALID},
    {{.model = "pool",
      .history = POOL DONE("1", "place_hold",
                           "{:pool 1 :hold 2 :quantity 4 :deadline 6}",
                           "{:code ok :slot 3}")},
     VERDICT_INVALID},
    {{.model = "block",
      .history = DONE("0", "write", "{:block 1 :value 7}", "{:version 1}")
          DONE("1", "cas", "{:block 1 :expected 7 :value 8}", "{:version 2}")},
     VERDICT_VALID},
    {{.model = "block",
      .history = DONE("0", "write", "{:block 1 :value 7}", "{:version 1}")
          DONE("1", "cas", "{:block 1 :expected 7 :value 8}", "{:version 1}")},
     VERDICT_INVALID},
};

static void
forge_verdict(json_t *c)
{
    bool valid =
        strcmp(json_string_value(json_object_get(c, "verdict")), "valid") == 0;

    json_object_set_new(c, "verdict", json_string(valid ? "invalid" : "valid"));
    json_object_set_new(c, valid ? "contradict" : "order", json_pack("[i]", 1));
}

static void
test_promises(void)
{
    for (size_t i = 0; i < ARRAY_LEN(promises); i++) {
        check_trial(&promises[i].trial, promises[i].verdict);
        /* Anomalies of lists are proven by cycles alone. */
        if (strncmp(promises[i].trial.model, "list-append", 11) == 0)
            check_forged(&promises[i].trial, forge_verdict, 2, "cannot judge");
        else
            check_forged(&promises[i].trial, forge_verdict, 1, "rejected");
    }
}

static void
test_other_history(void)
{
    write_text(place.history, valid_register.history);
    certify(place.history, &valid_register, false);
    write_text(place.history, stale_register.history);
    check_verified(place.history, 1, "another history");
}

/* ---- Ordeal's own histories ---- */

#define OWN(process, type, rest)                                               \
    "{\"time\":1,\"process\":" process ",\"type\":\"" type "\"," rest "}\n"
#define OWN_FIRST "{\"ordeal-history\":1,\"meta\":{\"model\":\"register\"}}\n"
#define OWN_ID "\"op\":\"aa00000000000000000000000000008f\","
#define OWN_BIG "\"#00000000000000010000000000000009\""
#define OWN_READ "\"f\":\"read\""

/* The first attempt never arrived, the second did; notes are nobody's; the
 * compare-and-set was refused by the system, and that one is evidence. */
#define OWN_BEGIN                                                              \
    OWN_FIRST OWN("3", "invoke",                                               \
                  OWN_ID "\"attempt\":1,\"node\":\"n2\",\"f\":\"write\","      \
                         "\"fields\":{\"value\":\"\\\\#x\"}")                  \
        OWN("3", "fail",                                                       \
            OWN_ID "\"attempt\":1,\"f\":\"write\",\"error\":\"refused\"")      \
            OWN("null", "note",                                                \
                "\"f\":\"phase\",\"fields\":{\"name\":\"sweep\"}")             \
                OWN("4", "invoke",                                             \
                    OWN_ID                                                     \
                    "\"attempt\":2,\"pos\":[1,7],\"f\":\"write\",\"fields\":"  \
                    "{\"value\":\"\\\\#x\"}")                                  \
                    OWN("4", "ok", OWN_ID "\"attempt\":2,\"f\":\"write\"")     \
                        OWN("3", "invoke",                                     \
                            "\"f\":\"cas\",\"fields\":{\"value\":[" OWN_BIG    \
                            ",5]}") OWN("3", "fail",                           \
                                        "\"f\":\"cas\",\"fields\":{"           \
                                        "\"refused\":true}")                   \
                            OWN("5", "invoke",                                 \
                                "\"f\":\"write\",\"fields\":{\"edn\":\"{:"     \
                                "deep {:er 1.5}}\"}")                          \
                                OWN("5", "unknown",                            \
                                    "\"f\":\"write\",\"error\":\"timeout\"")   \
                                    OWN("6", "invoke", OWN_READ) OWN(          \
                                        "6", "ok",                             \
                                        OWN_READ                               \
                                        ",\"fields\":{\"value\":\"\\\\#x\"}")  \
                                        OWN("6", "invoke", OWN_READ)

static const struct trial own_valid = {
    "cas-register", NULL,
    OWN_BEGIN OWN(
        "6", "ok",
        OWN_READ
        ",\"fields\":{\"edn\":\"{:deep {:er 1.5}}\"}") "{\"ordeal-history-"
                                                       "seal\":{\"events\":13}}"
                                                       "\n"};

static const struct trial own_invalid = {
    "cas-register", NULL,
    OWN_BEGIN OWN("6", "ok", OWN_READ ",\"fields\":{\"value\":" OWN_BIG "}")};

/* The compare-and-set found what it expected, so it cannot be refused. */
static const struct trial own_refused = {
    "cas-register", NULL,
    OWN_FIRST OWN("1", "invoke", "\"f\":\"write\",\"fields\":{\"value\":null}")
        OWN("1", "ok", "\"f\":\"write\"") OWN(
            "2", "invoke", "\"f\":\"cas\",\"fields\":{\"value\":[null,4]}")
            OWN("2", "fail", "\"f\":\"cas\",\"fields\":{\"refused\":true}")};

static const struct trial own_not_arrived = {
    "cas-register", NULL,
    OWN_FIRST OWN("2", "invoke",
                  "\"f\":\"cas\",\"fields\":{\"value\":[null,4]}")
        OWN("2", "fail", "\"f\":\"cas\"") OWN("2", "invoke", OWN_READ)
            OWN("2", "ok", OWN_READ)};

/* The binary form of the text, in its place. */
static void
make_binary(const struct trial *t)
{
    struct error err = {0};

    write_text(place.core, t->history);
    unlink(place.history);
    CHECK_OK(history_import_jsonl(place.core, place.history, &err), &err);
}

static void
check_own(const struct trial *t, enum verdict expected, bool binary)
{
    if (binary)
        make_binary(t);
    else
        write_text(place.history, t->history);
    CHECK_INT(certify(place.history, t, false), expected);
    check_verified(place.history, 0, "accepted");
}

static void
check_own_forged(const struct trial *t, forge *how, const char *part)
{
    make_binary(t);
    certify(place.history, t, false);
    verify_forged(how, 1, part);
}

static void
test_own_histories(void)
{
    for (int binary = 0; binary < 2; binary++) {
        check_own(&own_valid, VERDICT_VALID, binary);
        check_own(&own_invalid, VERDICT_INVALID, binary);
        check_own(&own_refused, VERDICT_INVALID, binary);
        check_own(&own_not_arrived, VERDICT_VALID, binary);
    }
    check_own_forged(&own_valid, forge_swap, "rejected");
    check_own_forged(&own_valid, forge_drop, "is not in the order");
    check_own_forged(&own_refused, forge_nothing, "no calls");
}

/* A writer that was killed leaves a part of a block behind. */
static void
test_own_torn(void)
{
    make_binary(&own_valid);
    CHECK(truncate(place.history, file_bytes(place.history) - 30) == 0);
    CHECK_INT(certify(place.history, &own_valid, false), VERDICT_VALID);
    check_verified(place.history, 0, "accepted");
}

/* Blocks of 4 KiB and more are packed, which Python does not unpack. */
static void
test_own_packed(void)
{
    struct error err = {0};
    FILE *f = fopen(place.core, "w");

    CHECK(f != NULL);
    fputs(OWN_FIRST, f);
    for (int i = 0; i < 2000; i++) {
        fputs(OWN("1", "invoke", OWN_READ), f);
        fputs(OWN("1", "ok", OWN_READ), f);
    }
    CHECK(fclose(f) == 0);
    unlink(place.history);
    CHECK_OK(history_import_jsonl(place.core, place.history, &err), &err);
    CHECK_INT(certify(place.history, &own_valid, false), VERDICT_VALID);
    check_verified(place.history, 2, "ordeal history convert");
    CHECK_INT(certify(place.core, &own_valid, false), VERDICT_VALID);
    check_verified(place.core, 0, "order of 2000 calls");
}

/* ---- AllocDB's text ---- */

#define ALLOCDB "sequence=1 process=primary-1 time_millis=5 operation="
#define ALLOCDB_RESERVE(id, lease)                                             \
    ALLOCDB "reserve operation_id=" id " resource_id=7 holder_id=3 "           \
            "outcome=committed_write applied_lsn=4 "                           \
            "committed_reservation_id=" lease " committed_lease_epoch=1\n"

static const struct trial allocdb_valid = {
    "lease-kernel", NULL,
    "version=1\n" ALLOCDB_RESERVE("1", "4") ALLOCDB
    "tick_expirations operation_id=11 outcome=committed_write "
    "applied_lsn=6 expired=7:3:4:5,8:3:4:5\n" ALLOCDB_RESERVE("2", "7") ALLOCDB
    "tick_expirations operation_id=12 outcome=ambiguous\n" ALLOCDB_RESERVE(
        "3", "9")};

static const struct trial allocdb_invalid = {
    "lease-kernel", NULL,
    "version=1\n" ALLOCDB_RESERVE("1", "4") ALLOCDB
    "get_resource resource_id=7 outcome=read_ok\n" ALLOCDB
    "release operation_id=5 reservation_id=4 holder_id=3 "
    "lease_epoch=9 outcome=definite_failure "
    "reason=stale_epoch\n" ALLOCDB_RESERVE("2", "7")};

static void
test_allocdb(void)
{
    check_trial(&allocdb_valid, VERDICT_VALID);
    check_trial(&allocdb_invalid, VERDICT_INVALID);
    check_forged(&allocdb_valid, forge_drop, 1, "is not in the order");
    check_forged(&allocdb_invalid, forge_less, 1, "an order was found");
}

/* ---- cores as histories ---- */

static void
check_core_history(const char *path, const struct trial *t, bool knossos,
                   const char *format)
{
    struct check_result r;
    struct error err = {0};
    struct calls *c = judge(path, t->model, knossos, t->initial, &r);
    uint32_t count = r.decision.core_count;
    FILE *f = fopen(place.core, "w");

    CHECK(f != NULL);
    CHECK_INT(r.verdict, VERDICT_INVALID);
    CHECK_OK(explain_core_history(c, &r, path, NULL, f, format, &err), &err);
    CHECK(fclose(f) == 0);
    check_result_release(&r);
    calls_free(c);
    c = judge(place.core, t->model, knossos, t->initial, &r);
    if (r.verdict != VERDICT_INVALID)
        printf("# %s as %s: %s\n", path, format, verdict_name(r.verdict));
    CHECK_INT(r.verdict, VERDICT_INVALID);
    CHECK_INT(c->count, count);
    check_result_release(&r);
    calls_free(c);
}

static void
test_core_history(void)
{
    static const struct trial *const trials[] = {
        &stale_register, &bad_kv, &bad_queue, &bad_leases, &bad_transactions};
    static const char *const formats[] = {"jsonl", "edn", "json"};

    for (unsigned i = 0; i < ARRAY_LEN(trials); i++) {
        write_text(place.history, trials[i]->history);
        for (unsigned k = 0; k < ARRAY_LEN(formats); k++)
            check_core_history(place.history, trials[i], false, formats[k]);
    }
}

/* ---- the corpora ---- */

/* Of every so many files, to keep this a unit test. */
#define CORPUS_STEP 24

static void
corpus_line(char *line, const char *corpora, unsigned *judged)
{
    char *field[5], *at = line, path[1024];
    struct trial t = {0};

    for (unsigned i = 0; i < 5; i++)
        field[i] = strsep(&at, "\t\n");
    if (field[4] == NULL)
        return;
    t.model = strncmp(field[1], "kv ", 3) == 0         ? "kv"
              : strcmp(field[1], "lifo-stack") == 0    ? "stack"
              : strncmp(field[1], "elle list", 9) == 0 ? "list-append"
                                                       : field[1];
    if (strcmp(field[2], "0") == 0 || strcmp(field[2], "nil") == 0)
        t.initial = field[2];
    snprintf(path, sizeof(path), "%s/%s", corpora, field[0]);
    bool knossos = strncmp(field[3], "KNOSSOS", 7) == 0;
    enum verdict v = certify(path, &t, knossos);
    CHECK_STR(verdict_name(v), field[4]);
    check_verified(path, 0, "accepted");
    if (v == VERDICT_INVALID)
        check_core_history(path, &t, knossos, "edn");
    ++*judged;
}

static void
test_corpora(void)
{
    const char *shared = getenv("ORDEAL_SHARED");
    char corpora[512], path[600], line[1024];
    unsigned number = 0, judged = 0;
    FILE *f;

    snprintf(corpora, sizeof(corpora), "%s%s/corpora",
             shared != NULL ? shared : getenv("ORDEAL_SRCDIR"),
             shared != NULL ? "" : "/../shared");
    snprintf(path, sizeof(path), "%s/VERDICTS.tsv", corpora);
    f = fopen(path, "r");
    if (f == NULL) {
        printf("# no %s: the corpora are not judged\n", path);
        return;
    }
    while (fgets(line, sizeof(line), f) != NULL) {
        /* Models that the verifier does not do. */
        if (strstr(line, "rw-register") != NULL ||
            strstr(line, "elle-cli/jepsen") != NULL)
            continue;
        if (++number % CORPUS_STEP == 2)
            corpus_line(line, corpora, &judged);
    }
    fclose(f);
    printf("# %u files judged\n", judged);
    CHECK(judged > 10);
}

static bool
have_python(void)
{
    const char *const argv[] = {"python3", "--version", NULL};
    struct process_options options = {.output_max = 256};
    struct process_result result;
    struct error err = {0};

    process_result_init(&result);
    int status = process_run(argv, &options,
                             clock_now_ns(clock_monotonic()) + 20 * NS_PER_S,
                             &result, &err);
    bool have = status == 0 && result.status == 0;
    process_result_release(&result);
    return have;
}

static void
setup(void)
{
    const char *tmp = getenv("TMPDIR"), *source = getenv("ORDEAL_SRCDIR");

    snprintf(place.directory, sizeof(place.directory), "%.40s/ordeal-XXXXXX",
             tmp == NULL ? "/tmp" : tmp);
    CHECK(mkdtemp(place.directory) != NULL);
    snprintf(place.history, sizeof(place.history), "%s/history",
             place.directory);
    snprintf(place.certificate, sizeof(place.certificate), "%s/certificate",
             place.directory);
    snprintf(place.core, sizeof(place.core), "%s/core", place.directory);
    snprintf(verifier, sizeof(verifier), "%s/analyzer/explain/ordeal-verify",
             source == NULL ? "." : source);
}

static void
teardown(void)
{
    unlink(place.history);
    unlink(place.certificate);
    unlink(place.core);
    rmdir(place.directory);
}

int
main(void)
{
    RUN(setup);
    if (have_python()) {
        RUN(test_genuine);
        RUN(test_forged);
        RUN(test_promises);
        RUN(test_other_history);
        RUN(test_own_histories);
        RUN(test_own_torn);
        RUN(test_own_packed);
        RUN(test_allocdb);
        RUN(test_corpora);
    } else {
        SKIP(test_genuine, "no python3");
        SKIP(test_forged, "no python3");
        SKIP(test_promises, "no python3");
        SKIP(test_other_history, "no python3");
        SKIP(test_own_histories, "no python3");
        SKIP(test_own_torn, "no python3");
        SKIP(test_own_packed, "no python3");
        SKIP(test_allocdb, "no python3");
        SKIP(test_corpora, "no python3");
    }
    RUN(test_core_history);
    teardown();
    return tap_done();
}
