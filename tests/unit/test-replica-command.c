/* SPDX-License-Identifier: Apache-2.0 */
/* The command codec, the JSON of requests, the id map, the command line. */
#include "config.h"

#include <stdlib.h>

#include "harness/base/arena.h"
#include "harness/base/rng.h"
#include "replica/engine-lease.h"
#include "replica/id-map.h"
#include "replica/json.h"
#include "replica/options.h"
#include "tests/lib/tap.h"

static void
encode(const struct command *c, struct buf *out)
{
    buf_init(out, COMMAND_BYTES_MAX);
    command_encode(c, out);
}

static void
test_codec_is_strict(void)
{
    static const enum command_tag tags[] = {
        COMMAND_CREATE_RESOURCE, COMMAND_RESERVE, COMMAND_RESERVE_BUNDLE,
        COMMAND_CONFIRM,         COMMAND_RELEASE, COMMAND_REVOKE,
        COMMAND_RECLAIM,         COMMAND_TICK,    COMMAND_EXPIRE};

    for (unsigned i = 0; i < ARRAY_LEN(tags); i++) {
        struct command c = {.tag = tags[i],
                            .operation = {1, 2},
                            .client = 3,
                            .holder = {4, 5},
                            .lease = {6, 7},
                            .ttl = 8,
                            .epoch = 9,
                            .slot = 10,
                            .deadline = 11,
                            .resource_count = 1,
                            .resources = {{12, 13}}};
        struct command back;
        struct error err;
        struct buf bytes;

        encode(&c, &bytes);
        CHECK_OK(command_decode(bytes.data, bytes.len, &back, &err), &err);
        CHECK_INT(back.tag, c.tag);
        for (size_t cut = 0; cut < bytes.len; cut++)
            CHECK(command_decode(bytes.data, cut, &back, &err) < 0);
        buf_append(&bytes, "", 1);
        CHECK(command_decode(bytes.data, bytes.len, &back, &err) < 0);
        buf_release(&bytes);
    }
}

static void
test_codec_refuses(void)
{
    struct command c = {.tag = COMMAND_RESERVE_BUNDLE,
                        .operation = {0, 1},
                        .resource_count = COMMAND_RESOURCES_MAX};
    struct command back;
    struct error err;
    struct buf bytes;

    encode(&c, &bytes);
    CHECK_INT(bytes.len, COMMAND_BYTES_MAX);
    CHECK_OK(command_decode(bytes.data, bytes.len, &back, &err), &err);
    CHECK_INT(back.resource_count, COMMAND_RESOURCES_MAX);
    bytes.data[1 + 24 + 1]++; /* count: 512 and no such bytes */
    CHECK(command_decode(bytes.data, bytes.len, &back, &err) < 0);
    bytes.data[1 + 24 + 1]--;
    memset(bytes.data + 1, 0, 16); /* operation zero */
    CHECK(command_decode(bytes.data, bytes.len, &back, &err) < 0);
    CHECK(strstr(err.text, "operation id is zero") != NULL);
    bytes.data[0] = 99;
    CHECK(command_decode(bytes.data, bytes.len, &back, &err) < 0);
    CHECK_STR(err.text, "unknown command tag 99");
    buf_release(&bytes);
}

static void
test_fingerprint(void)
{
    struct command c = {.tag = COMMAND_RESERVE,
                        .operation = {0, 1},
                        .resource_count = 1,
                        .ttl = 5};
    struct id128 prints[4];
    struct buf bytes;

    for (unsigned i = 0; i < ARRAY_LEN(prints); i++) {
        c.operation.lo = 1 + i;
        c.client = i;
        c.ttl = i < 2 ? 5 : 4 + i;
        encode(&c, &bytes);
        prints[i] = command_fingerprint(bytes.data, bytes.len);
        buf_release(&bytes);
    }
    CHECK(id128_equal(prints[0], prints[1]));
    CHECK(!id128_equal(prints[0], prints[2]));
    CHECK(!id128_equal(prints[2], prints[3]));
}

static void
test_json_numbers(void)
{
    struct id128 id;
    uint64_t number;
    json_t *json;

    CHECK(text_to_id("9223372036854775807", &id) && id.lo == INT64_MAX);
    CHECK(!text_to_id("9223372036854775808", &id));
    CHECK(!text_to_id("-1", &id) && !text_to_id("", &id));
    CHECK(!text_to_id("1x", &id) && !text_to_u64(" 1", &number));
    CHECK(text_to_id("ffffffffffffffff0000000000000001", &id));
    CHECK(id.hi == UINT64_MAX && id.lo == 1);
    json = json_from_id((struct id128){0, UINT64_C(1) << 53});
    CHECK(json_is_integer(json) && json_to_id(json, &id));
    json_decref(json);
    json = json_from_id((struct id128){0, (UINT64_C(1) << 53) + 1});
    CHECK(json_is_string(json) && json_to_id(json, &id));
    CHECK(id.lo == (UINT64_C(1) << 53) + 1);
    json_decref(json);
    json = json_from_lease((struct id128){0, 3});
    CHECK_STR(json_string_value(json), "00000000000000000000000000000003");
    json_decref(json);
}

/* Against a plain array, with ids that collide. */
static void
test_id_map(void)
{
    enum { IDS = 300 };
    uint32_t model[IDS];
    struct id_map m;
    struct rng r;

    rng_init(&r, 1);
    id_map_init(&m, IDS);
    memset(model, 0xff, sizeof(model));
    for (unsigned i = 0; i < 100000; i++) {
        unsigned n = (unsigned)rng_below(&r, IDS);
        struct id128 id = {n % 3, (uint64_t)(n / 3) << 40};

        CHECK_INT(id_map_get(&m, id), model[n]);
        if (model[n] == ID_MAP_NONE) {
            model[n] = i;
            id_map_put(&m, id, i);
        } else {
            model[n] = ID_MAP_NONE;
            id_map_remove(&m, id);
        }
    }
    id_map_release(&m);
}

static int
parse(const char *line, struct replica_options *ret, struct error *err)
{
    static char words[1024];
    char *argv[40] = {(char *)"ordeal-replica"}, *save;
    int argc = 1;

    snprintf(words, sizeof(words), "%s", line);
    for (char *w = strtok_r(words, " ", &save); w != NULL;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    return replica_options_parse(argc, argv, ret, err);
}

#define GOOD                                                                   \
    "--node n2 --data d --listen 0.0.0.0:7100 --peer n3=10.0.0.3:7101 "        \
    "--peer n1=10.0.0.1:7101 --peer n2=[::1]:7101 "

static void
test_options(void)
{
    struct replica_options o;
    struct error err;

    CHECK_OK(parse(GOOD "--new-cluster --bug stale-read --max-ttl 9 "
                        "--client-address n3=10.1.0.3:7100",
                   &o, &err),
             &err);
    CHECK_INT(o.peer_count, 3);
    CHECK_STR(o.peers[0].name, "n1");
    CHECK_STR(o.peers[2].client_address, "10.1.0.3:7100");
    CHECK_INT(o.self, 1);
    CHECK_INT(o.bug, BUG_STALE_READ);
    CHECK_INT(o.limits.ttl_slots, 9);
    CHECK_INT(o.limits.bundle, 64);
    CHECK(o.new_cluster);
    CHECK_STR(o.cluster, "ordeal");
    CHECK_OK(parse(GOOD "--bug overspend --engine quota", &o, &err), &err);
    CHECK_INT(parse(GOOD "--bug overspend", &o, &err), -1);
    CHECK_STR(err.text, "--bug: 'overspend' is one of engine quota and does "
                        "nothing on engine lease");
    CHECK_INT(parse(GOOD "--engine block --bug early-expiry", &o, &err), -1);
    CHECK_OK(parse(GOOD "--engine block --bug no-fsync", &o, &err), &err);
}

static void
test_bad_options(void)
{
    static const struct {
        const char *line, *error;
    } bad[] = {
        {"", "are needed"},
        {GOOD "--peer n4=10.0.0.4:7101", "4 peers"},
        {GOOD "--peer n1=10.0.0.4:7101 --peer n5=1.1.1.1:1",
         "'n1' is given twice"},
        {GOOD "--node n9", "'n9' is none of the peers"},
        {GOOD "--peer n4", "no NAME=ADDR:PORT"},
        {GOOD "--peer n4=host:7101", "must be numeric"},
        {GOOD "--peer n4=10.0.0.4:0", "no ADDR:PORT"},
        {GOOD "--listen 10.0.0.4", "no ADDR:PORT"},
        {GOOD "--bug none", "no bug is named 'none'"},
        {GOOD "--max-ttl 0", "no number from 1"},
        {GOOD "--max-ttl x", "no number"},
        {GOOD "--max-ttl", "value is missing"},
        {GOOD "--frobnicate", "no such option"},
        {GOOD "--heartbeat-ms 200", "at most half"},
        {GOOD "--log-level loud", "is none of"},
        {GOOD "--client-address n7=1.1.1.1:1", "is no peer"},
        {GOOD "stray", "no arguments"},
    };
    struct replica_options o;
    struct error err;

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(parse(bad[i].line, &o, &err) < 0);
        CHECK_INT(err.kind, ERROR_CONFIG);
        if (strstr(err.text, bad[i].error) == NULL)
            printf("# '%s': %s\n", bad[i].line, err.text);
        CHECK(strstr(err.text, bad[i].error) != NULL);
    }
}

static void
test_bugs_by_name(void)
{
    enum bug bug;

    for (int i = BUG_STALE_READ; i <= BUG_IGNORE_EPOCH; i++) {
        CHECK(bug_parse(bug_name((enum bug)i), &bug));
        CHECK_INT(bug, i);
    }
    CHECK(bug_name(BUG_NONE) == NULL);
}

int
main(void)
{
    RUN(test_codec_is_strict);
    RUN(test_codec_refuses);
    RUN(test_fingerprint);
    RUN(test_json_numbers);
    RUN(test_id_map);
    RUN(test_options);
    RUN(test_bad_options);
    RUN(test_bugs_by_name);
    return tap_done();
}
