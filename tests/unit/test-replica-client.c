/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replica's client against a server that misbehaves: one attempt is at
 * most one request, and no doubt is taken for certainty.
 */
#include "config.h"

#include "systems/replica/replica.h"
#include "tests/lib/tap.h"
#include "tests/lib/toy-server.h"

#define QUICK_NS (400 * NS_PER_MS)
#define LEASE "00000000000000000000000000000029"

struct fixture {
    struct toy toy;
    struct cluster cluster;
    struct client *client;
    struct arena arena;
};

static void
setup(struct fixture *f)
{
    struct error err = {0};

    memset(&f->cluster, 0, sizeof(f->cluster));
    toy_start(&f->toy);
    arena_init(&f->arena);
    f->cluster.node_count = 3;
    for (unsigned i = 0; i < 3; i++) {
        snprintf(f->cluster.nodes[i].name, NODE_NAME_MAX, "n%u", i + 1);
        f->cluster.nodes[i].door_count = 1;
        f->cluster.nodes[i].doors[0] = (struct door){
            .guest_port = REPLICA_CLIENT_PORT, .host_port = f->toy.port};
    }
    f->client = replica_client_new(&f->cluster, 9, &err);
    CHECK(f->client != NULL);
}

static void
teardown(struct fixture *f)
{
    f->client->ops->free(f->client);
    arena_release(&f->arena);
    toy_stop(&f->toy);
}

static struct operation
make_reserve(struct fixture *f)
{
    struct operation op = {
        .id = {1, 2}, .function = "reserve", .mutation = true};

    fields_set_int(&f->arena, &op.args, "resource", 7);
    fields_set_int(&f->arena, &op.args, "holder", 3);
    fields_set_int(&f->arena, &op.args, "ttl", 5);
    return op;
}

static struct attempt_result
invoke(struct fixture *f, const struct operation *op, int64_t timeout_ns)
{
    struct attempt_result r;

    memset(&r, 0xa5, sizeof(r));
    f->client->ops->invoke(f->client, op, 0, timeout_ns, &f->arena, &r);
    return r;
}

static const char good_reserve[] =
    "{\"code\":\"ok\",\"recorded\":true,\"cached\":false,\"view\":3,"
    "\"index\":41,\"slot\":120,\"lease\":\"" LEASE "\",\"epoch\":1,"
    "\"deadline\":125,\"node\":\"n2\"}";

static void
test_every_attempt_is_one_request(void)
{
    static const struct {
        enum toy_behaviour behaviour;
        const char *error; /* all of them unknown; NULL: ok */
        unsigned rounds;
    } cases[] = {
        {TOY_ANSWER, NULL, 20},
        {TOY_RESET, "reset", 20},
        {TOY_CLOSE, "reset", 20},
        {TOY_TRUNCATED, "reset", 5},
        {TOY_DRIP, "timeout", 2},
        {TOY_SILENT, "timeout", 2},
        {TOY_GARBAGE, "malformed_reply", 5},
        {TOY_HUGE_HEADER, "malformed_reply", 3},
        {TOY_HUGE_BODY, "malformed_reply", 3},
        {TOY_CONTINUE, NULL, 5},
        {TOY_REDIRECT, "malformed_reply", 5},
        {TOY_AUTH, "malformed_reply", 5},
    };
    struct fixture f;
    struct operation op;

    setup(&f);
    op = make_reserve(&f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        toy_set(&f.toy, cases[i].behaviour, 200, good_reserve);
        for (unsigned n = 1; n <= cases[i].rounds; n++) {
            struct attempt_result r = invoke(&f, &op, QUICK_NS);

            CHECK_INT(r.kind,
                      cases[i].error == NULL ? EVENT_OK : EVENT_UNKNOWN);
            if (cases[i].error != NULL)
                CHECK_STR(r.error, cases[i].error);
            CHECK_INT(r.redirect, -1);
            CHECK_INT(atomic_load(&f.toy.requests), n);
        }
        /* The last connection is read to its end before the next case. */
        CHECK(toy_idle(&f.toy));
        CHECK_INT(atomic_load(&f.toy.requests), cases[i].rounds);
        CHECK_INT(atomic_load(&f.toy.connections), cases[i].rounds);
    }
    teardown(&f);
}

static void
test_reset_before_reading_is_no_answer(void)
{
    struct fixture f;
    struct operation op;

    setup(&f);
    op = make_reserve(&f);
    toy_set(&f.toy, TOY_RESET_FIRST, 200, good_reserve);
    for (unsigned n = 1; n <= 20; n++) {
        struct attempt_result r = invoke(&f, &op, QUICK_NS);

        /* The reset may overtake the connect: then nothing was sent. */
        if (r.kind == EVENT_FAIL)
            CHECK_STR(r.error, "refused");
        else
            CHECK_INT(r.kind, EVENT_UNKNOWN);
        CHECK(toy_idle(&f.toy));
        CHECK_INT(atomic_load(&f.toy.connections), n);
    }
    teardown(&f);
}

static void
test_refused_connect_is_fail(void)
{
    struct fixture f;
    struct operation op;
    struct attempt_result r;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setup(&f);
    op = make_reserve(&f);
    /* Bound and not listening: nobody else gets the port. */
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, len), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    f.cluster.nodes[0].doors[0].host_port = ntohs(address.sin_port);
    r = invoke(&f, &op, QUICK_NS);
    CHECK_INT(r.kind, EVENT_FAIL);
    CHECK_STR(r.error, "refused");
    close(fd);
    teardown(&f);
}

static void
test_proxies_of_the_environment_are_ignored(void)
{
    struct fixture f;
    struct operation op;

    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
    setup(&f);
    op = make_reserve(&f);
    toy_set(&f.toy, TOY_ANSWER, 200, good_reserve);
    CHECK_INT(invoke(&f, &op, QUICK_NS).kind, EVENT_OK);
    CHECK_INT(atomic_load(&f.toy.requests), 1);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    teardown(&f);
}

static void
test_reserve_on_the_wire(void)
{
    struct fixture f;
    struct operation op;
    struct attempt_result r;
    struct id128 lease;
    int64_t deadline;
    bool cached;

    setup(&f);
    op = make_reserve(&f);
    toy_set(&f.toy, TOY_ANSWER, 200, good_reserve);
    r = invoke(&f, &op, QUICK_NS);
    CHECK(strncmp(f.toy.request, "POST /v1/command HTTP/1.1\r\n", 27) == 0);
    CHECK(strstr(f.toy.request, "Expect") == NULL);
    CHECK(strstr(f.toy.request,
                 "{\"client\":9,"
                 "\"operation\":\"00000000000000010000000000000002\","
                 "\"command\":\"reserve\",\"resource\":7,\"holder\":3,"
                 "\"ttl\":5}") != NULL);
    CHECK_INT(r.kind, EVENT_OK);
    CHECK(r.error == NULL);
    CHECK(r.position.known && r.position.term == 3 && r.position.index == 41);
    CHECK(fields_id(&r.fields, "lease", &lease) && lease.lo == 0x29);
    CHECK(fields_int(&r.fields, "deadline", &deadline) && deadline == 125);
    CHECK(fields_bool(&r.fields, "cached", &cached) && !cached);
    teardown(&f);
}

static void
test_reads_and_ticks_on_the_wire(void)
{
    static const char tick[] =
        "{\"code\":\"ok\",\"view\":3,\"index\":50,\"slot\":130,\"expired\":"
        "[{\"lease\":\"" LEASE "\",\"resources\":[7,8],\"deadline\":125,"
        "\"index\":51}]}";
    static const char lease[] =
        "{\"found\":true,\"view\":3,\"applied\":57,\"slot\":130,"
        "\"state\":\"active\",\"holder\":3,\"epoch\":1,\"deadline\":125,"
        "\"created\":41,\"released\":null,\"retire_after\":null,"
        "\"resources\":[7]}";
    struct operation op = {.function = "tick"};
    const struct value *list;
    struct attempt_result r;
    struct fixture f;
    const char *state;
    bool found;

    setup(&f);
    fields_set_int(&f.arena, &op.args, "slot", 130);
    toy_set(&f.toy, TOY_ANSWER, 200, tick);
    r = invoke(&f, &op, QUICK_NS);
    CHECK(strstr(f.toy.request, "POST /v1/tick ") != NULL);
    CHECK(strstr(f.toy.request, "{\"client\":9,\"slot\":130}") != NULL);
    CHECK_INT(r.kind, EVENT_OK);
    list = fields_get(&r.fields, "expired");
    CHECK(list != NULL && list->list.count == 1);
    CHECK_INT(list->list.items[0].list.count, 4);
    CHECK_INT(list->list.items[0].list.items[2].integer, 51);
    CHECK_INT(list->list.items[0].list.items[3].list.count, 2);

    op = (struct operation){.function = "get_lease"};
    fields_set_id(&f.arena, &op.args, "lease", (struct id128){0, 0x29});
    fields_set_string(&f.arena, &op.args, "claim", "fenced");
    fields_set_int(&f.arena, &op.args, "required", 41);
    toy_set(&f.toy, TOY_ANSWER, 200, lease);
    r = invoke(&f, &op, QUICK_NS);
    CHECK(strstr(f.toy.request,
                 "GET /v1/lease/" LEASE "?claim=any&required=41 ") != NULL);
    CHECK_INT(r.kind, EVENT_OK);
    CHECK(!r.position.known);
    CHECK(fields_string(&r.fields, "state", &state));
    CHECK_STR(state, "active");

    op = (struct operation){.function = "get_resource"};
    fields_set_int(&f.arena, &op.args, "resource", 7);
    fields_set_string(&f.arena, &op.args, "claim", "linearizable");
    toy_set(&f.toy, TOY_ANSWER, 200,
            "{\"found\":false,\"retired\":false,\"view\":3,\"applied\":57,"
            "\"slot\":130}");
    r = invoke(&f, &op, QUICK_NS);
    CHECK(strstr(f.toy.request, "GET /v1/resource/7?claim=linearizable ") !=
          NULL);
    CHECK(fields_bool(&r.fields, "found", &found) && !found);
    teardown(&f);
}

#define COMMON "\"cached\":false,\"view\":3,\"index\":41,\"slot\":120"

static const struct {
    int status;
    const char *body;
    enum event_kind kind;
    const char *error;
    int redirect;
} answers[] = {
    {200, "{\"code\":\"resource_busy\",\"recorded\":true," COMMON "}", EVENT_OK,
     NULL, -1},
    {200, "{\"code\":\"operation_conflict\",\"recorded\":false," COMMON "}",
     EVENT_FAIL, "operation_conflict", -1},
    {200, "{\"code\":\"operation_table_full\",\"recorded\":false," COMMON "}",
     EVENT_FAIL, "operation_table_full", -1},
    {421,
     "{\"error\":\"not_primary\",\"certainty\":\"fail\",\"view\":3,"
     "\"primary\":\"n2\"}",
     EVENT_FAIL, "not_primary", 1},
    {421,
     "{\"error\":\"not_primary\",\"certainty\":\"fail\",\"view\":3,"
     "\"primary\":null}",
     EVENT_FAIL, "not_primary", -1},
    {507, "{\"error\":\"positions_exhausted\",\"certainty\":\"fail\"}",
     EVENT_FAIL, "positions_exhausted", -1},
    {429, "{\"error\":\"overloaded\",\"certainty\":\"fail\"}", EVENT_FAIL,
     "overloaded", -1},
    {503, "{\"error\":\"not_ready\",\"certainty\":\"fail\"}", EVENT_FAIL,
     "not_ready", -1},
    {504, "{\"error\":\"leadership_lost\",\"certainty\":\"unknown\"}",
     EVENT_UNKNOWN, "leadership_lost", -1},
    {504, "{\"error\":\"deadline\",\"certainty\":\"unknown\"}", EVENT_UNKNOWN,
     "deadline", -1},
    /* A word that is not in the table, or contradicts it, is doubt. */
    {504, "{\"error\":\"leadership_lost\",\"certainty\":\"fail\"}",
     EVENT_UNKNOWN, "malformed_reply", -1},
    {500, "{\"error\":\"not_ready\",\"certainty\":\"fail\"}", EVENT_UNKNOWN,
     "malformed_reply", -1},
    {503, "{\"error\":\"surprise\",\"certainty\":\"fail\"}", EVENT_UNKNOWN,
     "malformed_reply", -1},
    {503, "<html>Service Unavailable</html>", EVENT_UNKNOWN, "malformed_reply",
     -1},
    {200, "", EVENT_UNKNOWN, "malformed_reply", -1},
    {200, "[]", EVENT_UNKNOWN, "malformed_reply", -1},
    {200, "{\"code\":\"surprise\",\"recorded\":true," COMMON "}", EVENT_UNKNOWN,
     "malformed_reply", -1},
    {200, "{\"code\":\"resource_busy\",\"recorded\":false," COMMON "}",
     EVENT_UNKNOWN, "malformed_reply", -1},
    {200, "{\"code\":\"operation_conflict\",\"recorded\":true," COMMON "}",
     EVENT_UNKNOWN, "malformed_reply", -1},
    {200, "{\"code\":\"ok\",\"recorded\":true," COMMON "}", EVENT_UNKNOWN,
     "malformed_reply", -1},
    {200,
     "{\"code\":\"resource_busy\",\"recorded\":true,\"cached\":false,"
     "\"view\":-3,\"index\":41,\"slot\":120}",
     EVENT_UNKNOWN, "malformed_reply", -1},
    {200,
     "{\"code\":\"resource_busy\",\"code\":\"ok\",\"recorded\":true," COMMON
     "}",
     EVENT_UNKNOWN, "malformed_reply", -1},
};

static void
test_answers_are_classified(void)
{
    struct fixture f;
    struct operation op;

    setup(&f);
    op = make_reserve(&f);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct attempt_result r;

        printf("# %d %s\n", answers[i].status, answers[i].body);
        toy_set(&f.toy, TOY_ANSWER, answers[i].status, answers[i].body);
        r = invoke(&f, &op, QUICK_NS);
        CHECK_INT(r.kind, answers[i].kind);
        if (answers[i].error == NULL)
            CHECK(r.error == NULL);
        else
            CHECK_STR(r.error, answers[i].error);
        CHECK_INT(r.redirect, answers[i].redirect);
        CHECK(r.kind == EVENT_OK || !r.position.known);
    }
    teardown(&f);
}

static struct operation
make_op(struct fixture *f, const char *function, const char *key,
        int64_t object)
{
    struct operation op = {.id = {1, 2},
                           .function = function,
                           .mutation = strncmp(function, "get_", 4) != 0};

    fields_set_int(&f->arena, &op.args, key, object);
    if (!op.mutation)
        op.id = (struct id128){0};
    return op;
}

/* What buckets, pools, holds and blocks answer beyond the common fields. */
static void
test_other_engines_on_the_wire(void)
{
#define READ "\"found\":true,\"view\":3,\"applied\":57,\"slot\":130,"
    static const struct {
        const char *function, *key, *body, *field;
        int64_t value; /* -1: the answer lacks what it must have */
    } cases[] = {
        {"debit", "bucket",
         "{\"code\":\"ok\",\"recorded\":true,\"balance\":7," COMMON "}",
         "balance", 7},
        {"debit", "bucket",
         "{\"code\":\"insufficient_funds\",\"recorded\":true,\"balance\":"
         "2," COMMON "}",
         "balance", 2},
        {"debit", "bucket", "{\"code\":\"ok\",\"recorded\":true," COMMON "}",
         NULL, -1},
        {"place_hold", "pool",
         "{\"code\":\"ok\",\"recorded\":true,\"pool\":1,\"hold\":2," COMMON "}",
         "slot", 120},
        {"confirm_hold", "hold",
         "{\"code\":\"hold_expired\",\"recorded\":true," COMMON "}", "slot",
         120},
        {"cas", "block",
         "{\"code\":\"ok\",\"recorded\":true,\"version\":4," COMMON "}",
         "version", 4},
        {"cas", "block",
         "{\"code\":\"value_mismatch\",\"recorded\":true,\"value\":9," COMMON
         "}",
         "value", 9},
        {"write", "block", "{\"code\":\"ok\",\"recorded\":true," COMMON "}",
         NULL, -1},
        {"get_bucket", "bucket",
         "{" READ "\"limit\":9,\"refill\":2,\"balance\":4,\"since\":120}",
         "balance", 4},
        {"get_bucket", "bucket", "{" READ "\"limit\":9}", NULL, -1},
        {"get_pool", "pool", "{" READ "\"total\":9,\"held\":3,\"consumed\":2}",
         "held", 3},
        {"get_hold", "hold",
         "{" READ "\"pool\":1,\"quantity\":3,\"deadline\":9,"
         "\"state\":\"held\"}",
         "deadline", 9},
        {"get_hold", "hold",
         "{" READ "\"pool\":1,\"quantity\":3,\"deadline\":9,"
         "\"state\":\"lost\"}",
         NULL, -1},
        {"get_block", "block", "{" READ "\"value\":7,\"version\":3}", "version",
         3},
        {"get_block", "block",
         "{\"found\":false,\"retired\":false,\"view\":3,\"applied\":57,"
         "\"slot\":130}",
         "applied", 57},
    };
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct operation op = make_op(&f, cases[i].function, cases[i].key, 5);
        struct attempt_result r;
        int64_t value;

        printf("# %s %s\n", cases[i].function, cases[i].body);
        toy_set(&f.toy, TOY_ANSWER, 200, cases[i].body);
        r = invoke(&f, &op, QUICK_NS);
        CHECK_INT(r.kind, cases[i].value < 0 ? EVENT_UNKNOWN : EVENT_OK);
        if (cases[i].value < 0)
            continue;
        CHECK(fields_int(&r.fields, cases[i].field, &value));
        CHECK_INT(value, cases[i].value);
    }
    CHECK(strstr(f.toy.request, "GET /v1/block/5?claim=") != NULL);
    teardown(&f);
}

int
main(void)
{
    RUN(test_every_attempt_is_one_request);
    RUN(test_reset_before_reading_is_no_answer);
    RUN(test_refused_connect_is_fail);
    RUN(test_proxies_of_the_environment_are_ignored);
    RUN(test_reserve_on_the_wire);
    RUN(test_reads_and_ticks_on_the_wire);
    RUN(test_answers_are_classified);
    RUN(test_other_engines_on_the_wire);
    return tap_done();
}
