/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the replica's decoders what nobody wrote.  The first byte chooses, for
 * 'C' and 'J' the second chooses the engine:
 *   'C'  a log payload: what decodes encodes to the same bytes, and any bytes
 *        can be applied by the engine
 *   'J'  a client's request: an error, or a payload that decodes
 *   'V'  a peer's message: an error, or it encodes to the same bytes
 *   'S'  a snapshot image, checksum made good: an error, or an engine whose
 *        state saves and loads to the same digest
 *
 * With libFuzzer:  clang -fsanitize=fuzzer,address,undefined -DFUZZ_LIBFUZZER
 * As a test:       mutates inputs it makes itself, from a fixed seed, for
 *                  ORDEAL_FUZZ_SECONDS (default 3).
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/crc32c.h"
#include "harness/base/rng.h"
#include "replica/bytes.h"
#include "replica/engine-lease.h"
#include "replica/engine-plain.h"
#include "replica/snapshot.h"
#include "replica/vsr.h"

#define FUZZ_INPUT_MAX (1u << 20)

/* Small tables: full ones are reached soon. */
static const struct engine_limits limits = {.resources = 8,
                                            .reservations = 6,
                                            .bundle = 4,
                                            .members = 12,
                                            .operations = 64,
                                            .bucket = 2,
                                            .expirations_per_tick = 4,
                                            .buckets = 3,
                                            .pools = 3,
                                            .holds = 6,
                                            .blocks = 4,
                                            .ttl_slots = 16,
                                            .retry_slots = 8,
                                            .history_slots = 4};

static struct {
    uint64_t inputs, accepted[4], refused[4];
} fuzz_seen;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ENGINES = 4 };

static const struct engine_ops *const engines[ENGINES] = {
    &engine_lease_ops, &engine_quota_ops, &engine_pool_ops, &engine_block_ops};
static const struct plain_shape *const shapes[ENGINES] = {
    NULL, quota_shapes, pool_shapes, block_shapes};

/* Decodes by the engine's own decoder, and encodes again. */
static int
fuzz_again(unsigned kind, const uint8_t *data, size_t len, struct buf *again)
{
    struct plain_command plain;
    struct command c;
    struct error err = {0};

    if (shapes[kind] != NULL &&
        plain_command_decode(shapes[kind], data, len, &plain, &err) == 0) {
        plain_command_encode(&plain, again);
        return 0;
    }
    if (command_decode(data, len, &c, &err) < 0 ||
        (shapes[kind] != NULL && c.tag != COMMAND_TICK)) {
        assert(err.kind == ERROR_CONFIG || len > 0);
        return -1;
    }
    command_encode(&c, again);
    return 0;
}

static bool
fuzz_command(const uint8_t *data, size_t len)
{
    static struct engine *running[ENGINES];
    static uint64_t index;
    unsigned kind = len == 0 ? 0 : data[0] % ENGINES;
    struct engine **e = &running[kind];
    struct outcome o;
    struct buf again;
    bool ok;

    if (len == 0)
        return false;
    data++;
    len--;
    index++;
    if (*e == NULL || index % 4096 < ENGINES) {
        engine_free(*e);
        *e = engine_new(engines[kind], &limits, BUG_NONE);
    }
    (*e)->ops->apply(*e, &(struct engine_entry){1, index, data, len}, &o);
    buf_init(&again, COMMAND_BYTES_MAX);
    ok = fuzz_again(kind, data, len, &again) == 0;
    assert(ok != (o.code == RESULT_INVALID_REQUEST));
    assert(!ok || (again.len == len && memcmp(again.data, data, len) == 0));
    buf_release(&again);
    return ok;
}

static bool
fuzz_request(const uint8_t *data, size_t len)
{
    unsigned kind = len == 0 ? 0 : data[0] % ENGINES;
    json_t *json;
    struct error err;
    struct buf payload, again;
    bool ok;

    if (len == 0)
        return false;
    json = json_loadb((const char *)data + 1, len - 1, JSON_REJECT_DUPLICATES,
                      NULL);
    buf_init(&payload, COMMAND_BYTES_MAX);
    buf_init(&again, COMMAND_BYTES_MAX);
    ok =
        json_is_object(json) && engines[kind]->parse(json, &payload, &err) == 0;
    if (ok &&
        fuzz_again(kind, (uint8_t *)payload.data, payload.len, &again) < 0)
        abort();
    buf_release(&payload);
    buf_release(&again);
    json_decref(json);
    return ok;
}

static bool
fuzz_message(const uint8_t *data, size_t len)
{
    static struct vsr_entry entries[VSR_MESSAGE_ENTRIES_MAX];
    CLEANUP_FREE uint8_t *again = xcalloc(1, VSR_MESSAGE_BYTES_MAX);
    struct vsr_message m;
    struct error err;

    if (vsr_message_decode(data, len, &m, entries, &err) < 0)
        return false;
    assert(vsr_message_encode(&m, again, VSR_MESSAGE_BYTES_MAX) == len);
    assert(memcmp(again, data, len) == 0);
    return true;
}

static bool
fuzz_state(const struct snapshot_info *info)
{
    const struct engine_ops *ops = engine_named(info->engine);
    struct engine *e, *copy;
    struct error err;
    struct buf again;
    bool ok;

    if (ops == NULL)
        return false;
    e = engine_new(ops, &limits, BUG_NONE);
    ok = e->ops->load(e, info->state, info->state_length, &err) == 0;
    if (ok) {
        copy = engine_new(ops, &limits, BUG_NONE);
        buf_init(&again, SNAPSHOT_BYTES_MAX);
        e->ops->save(e, &again);
        if (copy->ops->load(copy, again.data, again.len, &err) < 0 ||
            copy->ops->digest(copy) != e->ops->digest(e))
            abort();
        buf_release(&again);
        engine_free(copy);
    }
    engine_free(e);
    return ok;
}

static bool
fuzz_snapshot(const uint8_t *data, size_t len)
{
    CLEANUP_FREE uint8_t *image = xcalloc(1, len + 4);
    struct snapshot_info info;
    struct error err;

    memcpy(image, data, len);
    put_u32(image + len, crc32c(0, image, len));
    if (snapshot_image_parse(image, len + 4, &info, &err) < 0)
        return false;
    return fuzz_state(&info);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char kinds[] = "CJVS";
    static bool (*const targets[])(const uint8_t *data, size_t len) = {
        fuzz_command, fuzz_request, fuzz_message, fuzz_snapshot};
    const char *kind = len == 0 ? NULL : strchr(kinds, data[0]);

    if (kind == NULL || *kind == '\0')
        return 0;
    fuzz_seen.inputs++;
    if (targets[kind - kinds](data + 1, len - 1))
        fuzz_seen.accepted[kind - kinds]++;
    else
        fuzz_seen.refused[kind - kinds]++;
    return 0;
}

#ifndef FUZZ_LIBFUZZER

static void
random_command(struct rng *r, struct command *c)
{
    static const enum command_tag tags[] = {
        COMMAND_CREATE_RESOURCE, COMMAND_RESERVE, COMMAND_RESERVE_BUNDLE,
        COMMAND_CONFIRM,         COMMAND_RELEASE, COMMAND_REVOKE,
        COMMAND_RECLAIM,         COMMAND_TICK,    COMMAND_EXPIRE};

    memset(c, 0, sizeof(*c));
    c->tag = tags[rng_below(r, ARRAY_LEN(tags))];
    c->operation.lo = 1 + rng_below(r, 200);
    c->resource_count = 1;
    if (c->tag == COMMAND_RESERVE_BUNDLE)
        c->resource_count = (uint32_t)rng_below(r, 6);
    for (uint32_t i = 0; i < c->resource_count; i++)
        c->resources[i].lo = rng_below(r, 10);
    c->holder.lo = rng_below(r, 2);
    c->ttl = rng_below(r, 18);
    c->epoch = rng_below(r, 3);
    c->lease.lo = rng_below(r, rng_chance(r, 0.5) ? 40 : 4096);
    c->slot = rng_below(r, rng_chance(r, 0.5) ? 20 : 1000);
    c->deadline = rng_below(r, 1000);
}

/* A request of the engine, which it accepts. */
static void
random_request(struct rng *r, unsigned kind, struct buf *out)
{
    static const char *const forms[ENGINES][5] = {
        [1] = {"\"create_bucket\",\"bucket\":%u,\"limit\":9,\"initial\":%u,"
               "\"refill\":%u}",
               "\"debit\",\"bucket\":%u,\"amount\":1%u}"},
        [2] = {"\"create_pool\",\"pool\":%u,\"total\":%u}",
               "\"place_hold\",\"pool\":%u,\"hold\":%u,\"quantity\":%u,"
               "\"deadline\":7}",
               "\"confirm_hold\",\"hold\":%u}", "\"release_hold\",\"hold\":%u}",
               "\"expire_hold\",\"hold\":%u}"},
        [3] = {"\"write\",\"block\":%u,\"value\":%u}",
               "\"cas\",\"block\":%u,\"expected\":%u,\"value\":%u}"},
    };
    unsigned count = 0;
    const char *form;

    while (count < 5 && forms[kind][count] != NULL)
        count++;
    form = forms[kind][rng_below(r, count)];
    buf_printf(out, "{\"operation\":%u,\"client\":9,\"command\":",
               1 + (unsigned)rng_below(r, 200));
    for (; *form != '\0'; form++) {
        bool number = form[0] == '%';

        if (number)
            buf_printf(out, "%u", (unsigned)rng_below(r, 5));
        else
            buf_append(out, form, 1);
        form += number; /* and the 'u' */
    }
}

static void
random_payload(struct rng *r, unsigned kind, struct buf *out)
{
    struct command c;
    struct error err;
    struct buf text;
    json_t *json;

    if (kind == 0 || rng_chance(r, 0.2)) {
        random_command(r, &c);
        if (kind != 0)
            c.tag = COMMAND_TICK;
        command_encode(&c, out);
        return;
    }
    buf_init(&text, 1024);
    random_request(r, kind, &text);
    json = json_loads(buf_text(&text), 0, NULL);
    if (engines[kind]->parse(json, out, &err) < 0)
        abort();
    json_decref(json);
    buf_release(&text);
}

static void
seed_request(struct rng *r, unsigned kind, struct buf *out)
{
    static const char *const requests[] = {
        "{\"operation\":\"0123456789abcdef0123456789abcdef\",\"client\":9,"
        "\"command\":\"reserve\",\"resource\":7,\"holder\":3,\"ttl\":5}",
        "{\"operation\":1,\"client\":9,\"command\":\"reserve_bundle\","
        "\"resources\":[1,2,\"0123456789abcdef0123456789abcdef\"],"
        "\"holder\":3,\"ttl\":5}",
        "{\"operation\":1,\"client\":9,\"command\":\"confirm\",\"lease\":41,"
        "\"holder\":3,\"epoch\":1}",
        "{\"operation\":1,\"client\":9,\"command\":\"revoke\",\"lease\":41}",
    };

    if (kind != 0)
        random_request(r, kind, out);
    else
        buf_puts(out, requests[rng_below(r, ARRAY_LEN(requests))]);
}

static void
seed_message(struct rng *r, struct buf *out)
{
    CLEANUP_FREE uint8_t *bytes = xcalloc(1, VSR_MESSAGE_BYTES_MAX);
    struct vsr_entry entries[3];
    struct vsr_message m = {.type = VSR_PREPARE, .from = 1, .to = 2};

    m.view = rng_below(r, 9);
    m.prev.index = rng_below(r, 100);
    m.entry_count = (uint32_t)rng_below(r, ARRAY_LEN(entries) + 1);
    m.entries = entries;
    for (uint32_t i = 0; i < m.entry_count; i++)
        entries[i] = (struct vsr_entry){.view = m.view,
                                        .index = m.prev.index + 1 + i,
                                        .kind = 1,
                                        .length = 5,
                                        .payload = "12345"};
    if (rng_chance(r, 0.5)) {
        m.type = (uint8_t)(1 + rng_below(r, VSR_MESSAGE_TYPE_COUNT - 1));
        m.entry_count = 0;
    }
    buf_append(out, bytes,
               vsr_message_encode(&m, bytes, VSR_MESSAGE_BYTES_MAX));
}

static void
seed_snapshot(struct rng *r, unsigned kind, struct buf *out)
{
    struct engine *e = engine_new(engines[kind], &limits, BUG_NONE);
    struct snapshot_info info = {.position = {1, 40}, .cluster = "c"};
    struct buf state;

    for (uint64_t i = 1; i <= 40; i++) {
        struct outcome o;
        struct buf payload;

        buf_init(&payload, COMMAND_BYTES_MAX);
        random_payload(r, kind, &payload);
        e->ops->apply(
            e, &(struct engine_entry){1, i, payload.data, payload.len}, &o);
        buf_release(&payload);
    }
    snprintf(info.engine, sizeof(info.engine), "%s", e->ops->name);
    buf_init(&state, SNAPSHOT_BYTES_MAX);
    e->ops->save(e, &state);
    info.state = state.data;
    info.state_length = state.len;
    snapshot_image_build(&info, out);
    out->len -= 4; /* the target makes the checksum */
    buf_release(&state);
    engine_free(e);
}

/* The kind and an input that its target accepts. */
static void
fuzz_seed(struct rng *r, unsigned kind, struct buf *out)
{
    uint8_t engine = (uint8_t)rng_below(r, ENGINES);

    buf_append(out, &"CJVS"[kind], 1);
    if (kind < 2)
        buf_append(out, &engine, 1);
    if (kind == 0)
        random_payload(r, engine, out);
    else if (kind == 1)
        seed_request(r, engine, out);
    else if (kind == 2)
        seed_message(r, out);
    else
        seed_snapshot(r, engine, out);
}

static void
fuzz_mutate(struct rng *r, uint8_t *bytes, size_t *len)
{
    size_t at = rng_below(r, *len);

    switch (rng_below(r, 5)) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << rng_below(r, 8));
        break;
    case 1:
        bytes[at] = (uint8_t)rng_u64(r);
        break;
    case 2: /* lengths and counts */
        if (*len - at >= 4)
            put_u32(bytes + at, (uint32_t)rng_u64(r) >> rng_below(r, 32));
        break;
    case 3:
        memmove(bytes + at, bytes + at + 1, *len - at - 1);
        *len -= *len > 1;
        break;
    default:
        if (rng_chance(r, 0.1))
            *len = at + 1;
    }
}

int
main(void)
{
    const char *limit = getenv("ORDEAL_FUZZ_SECONDS");
    struct clock *clock = clock_monotonic();
    int64_t seconds = limit == NULL ? 3 : strtoll(limit, NULL, 10);
    int64_t deadline_ns = clock_now_ns(clock) + seconds * NS_PER_S;
    struct rng r;
    bool good = true;

    rng_init(&r, 20260131);
    for (unsigned i = 0; i < 400 || clock_now_ns(clock) < deadline_ns; i++) {
        struct buf seed;

        buf_init(&seed, FUZZ_INPUT_MAX);
        fuzz_seed(&r, i % 4, &seed);
        LLVMFuzzerTestOneInput((uint8_t *)seed.data, seed.len);
        for (unsigned k = 0; k < 20 && seed.len > 1; k++) {
            size_t len = seed.len - 1;

            fuzz_mutate(&r, (uint8_t *)seed.data + 1, &len);
            seed.len = len + 1;
            LLVMFuzzerTestOneInput((uint8_t *)seed.data, seed.len);
        }
        buf_release(&seed);
    }
    for (unsigned kind = 0; kind < 4; kind++) {
        printf("# %c: %llu accepted, %llu refused\n", "CJVS"[kind],
               (unsigned long long)fuzz_seen.accepted[kind],
               (unsigned long long)fuzz_seen.refused[kind]);
        good &= fuzz_seen.accepted[kind] > 0 && fuzz_seen.refused[kind] > 0;
    }
    printf("%sok 1 - %llu inputs\n1..1\n", good ? "" : "not ",
           (unsigned long long)fuzz_seen.inputs);
    return !good;
}

#endif
