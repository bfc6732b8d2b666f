/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the reader what nobody wrote.  Whatever the bytes are, it must end in
 * events, in the end of the file or in an error, with every event well formed
 * (it survives the way to JSON and back).
 *
 * A mutated file fails its checksums, so that only the outer shell would be
 * tried: inputs that begin with a byte of FUZZ_REPAIR get theirs repaired.
 *
 * With libFuzzer:  clang -fsanitize=fuzzer,address,undefined -DFUZZ_LIBFUZZER
 * As a test:       mutates files it writes itself, from a fixed seed, for
 *                  ORDEAL_FUZZ_SECONDS (default 5).
 */
#include "config.h"

#include <sys/mman.h>

#include "harness/base/crc32c.h"
#include "harness/base/file.h"
#include "harness/base/history-format.h"
#include "tests/lib/random-event.h"

#define FUZZ_REPAIR 'R' /* the rest is a file whose checksums are made good */
#define FUZZ_INPUT_MAX (1u << 20)

static struct {
    uint64_t inputs, events, damaged, refused;
} fuzz_seen;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Walks the blocks as far as they go and makes each one's checksums right. */
static void
fuzz_repair(unsigned char *bytes, size_t len)
{
    size_t at = HISTORY_FILE_HEADER_BYTES;
    uint32_t chain;

    if (len < HISTORY_FILE_HEADER_BYTES)
        return;
    chain = history_file_header_pack(bytes);
    while (len - at >= HISTORY_BLOCK_HEADER_BYTES) {
        unsigned char *p = bytes + at;
        struct history_block b = {
            .kind = p[4],
            .flags = p[5],
            .stored_bytes = history_get_u32(p + 8),
            .raw_bytes = history_get_u32(p + 12),
            .first_event = history_get_u64(p + 16),
            .event_count = history_get_u32(p + 24),
            .chain = chain,
        };

        at += HISTORY_BLOCK_HEADER_BYTES;
        if (b.stored_bytes > len - at)
            return;
        b.payload_crc = crc32c(0, bytes + at, b.stored_bytes);
        history_block_pack(&b, p);
        chain = b.header_crc;
        at += b.stored_bytes;
    }
}

static void
fuzz_event(const struct event *e, uint64_t index)
{
    struct error err;
    struct arena a;
    struct event back;
    json_t *json = event_to_json(e);

    arena_init(&a);
    if (e->index != index || event_from_json(&a, json, &back, &err) < 0 ||
        !random_event_equal(e, &back))
        abort();
    arena_release(&a);
    json_decref(json);
}

static void
fuzz_read(const char *path)
{
    struct error err = {0};
    struct history_reader *r = history_reader_open(path, &err);
    struct event e;
    uint64_t index = 0;
    int status;

    if (r == NULL) {
        if (err.kind == ERROR_NONE)
            abort();
        fuzz_seen.refused++;
        return;
    }
    while ((status = history_next(r, &e, &err)) > 0)
        fuzz_event(&e, index++);
    if (status < 0 && (err.kind == ERROR_NONE || history_reader_sealed(r)))
        abort();
    fuzz_seen.damaged += status < 0;
    fuzz_seen.events += index;
    history_reader_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_CLOSE int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CLEANUP_FREE unsigned char *copy = xcalloc(1, len + 1);
    char path[64];
    bool repair = len > 0 && data[0] == FUZZ_REPAIR;

    if (len > repair)
        memcpy(copy, data + repair, len - repair);
    if (repair)
        fuzz_repair(copy, len - 1);
    if (fd < 0 || file_write_all(fd, copy, len - repair) < 0)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    fuzz_read(path);
    fuzz_seen.inputs++;
    return 0;
}

#ifndef FUZZ_LIBFUZZER

/* A small history, binary or JSONL, as the thing to mutate. */
static unsigned char *
fuzz_seed(struct rng *r, bool text, size_t *ret_len)
{
    const char *path = "fuzz-history.seed", *jsonl = "fuzz-history.jsonl";
    size_t count = 1 + rng_below(r, 60), live = rng_below(r, count);
    json_t *meta = json_pack("{s:s}", "system", "fuzz");
    struct history_writer *w;
    struct error err;
    struct arena a;
    unsigned char *bytes;

    unlink(path);
    arena_init(&a);
    w = history_writer_open(path, meta, clock_monotonic(), &err);
    if (w == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct event e = random_event(&a, r, i);

        if (history_append(w, &e,
                           i < live ? HISTORY_BEFORE_SEND : HISTORY_BUFFERED,
                           &err) < 0)
            abort();
    }
    if (history_seal(w, &err) < 0)
        abort();
    if (text) {
        FILE *out = fopen(jsonl, "w");

        if (out == NULL || history_export_jsonl(path, out, &err) < 0 ||
            fclose(out) != 0)
            abort();
    }
    bytes = (unsigned char *)file_read(text ? jsonl : path, FUZZ_INPUT_MAX,
                                       ret_len, &err);
    unlink(path);
    unlink(jsonl);
    json_decref(meta);
    arena_release(&a);
    return bytes;
}

static void
fuzz_mutate(struct rng *r, unsigned char *bytes, size_t *len)
{
    static const unsigned char odd[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '{'};
    size_t at = rng_below(r, *len), n = 1 + rng_below(r, 16);

    if (n > *len - at)
        n = *len - at;
    switch (rng_below(r, 6)) {
    case 0:
        bytes[at] ^= (unsigned char)(1u << rng_below(r, 8));
        return;
    case 1:
        bytes[at] = odd[rng_below(r, ARRAY_LEN(odd))];
        return;
    case 2: /* lengths and counts */
        if (*len - at >= 4)
            history_put_u32(bytes + at,
                            (uint32_t)rng_u64(r) >> rng_below(r, 32));
        return;
    case 3: /* cut out */
        memmove(bytes + at, bytes + at + n, *len - at - n);
        *len -= *len > n ? n : 0;
        return;
    case 4: /* repeat */
        if (*len + n > FUZZ_INPUT_MAX)
            return;
        memmove(bytes + at + n, bytes + at, *len - at);
        *len += n;
        return;
    default: /* truncate */
        if (rng_chance(r, 0.1))
            *len = at + 1;
        return;
    }
}

int
main(void)
{
    const char *limit = getenv("ORDEAL_FUZZ_SECONDS");
    struct clock *clock = clock_monotonic();
    int64_t seconds = limit == NULL ? 5 : strtoll(limit, NULL, 10);
    int64_t deadline = clock_now_ns(clock) + seconds * NS_PER_S;
    CLEANUP_FREE unsigned char *input = xcalloc(1, FUZZ_INPUT_MAX + 64);
    struct rng r;
    bool good;

    rng_init(&r, 20260131);
    for (unsigned i = 0; i == 0 || clock_now_ns(clock) < deadline; i++) {
        size_t len;
        CLEANUP_FREE unsigned char *seed = fuzz_seed(&r, i % 4 == 3, &len);

        for (int k = 0; k < 50 && len + 1 < FUZZ_INPUT_MAX; k++) {
            size_t mutated = len;

            input[0] = FUZZ_REPAIR;
            memcpy(input + 1, seed, len);
            for (uint64_t n = rng_below(&r, 4) + 1; n > 0; n--)
                fuzz_mutate(&r, input + 1, &mutated);
            /* Two of three with good checksums, and never for text. */
            if (i % 4 == 3 || k % 3 == 0)
                LLVMFuzzerTestOneInput(input + 1, mutated);
            else
                LLVMFuzzerTestOneInput(input, mutated + 1);
        }
    }
    good =
        fuzz_seen.events > 0 && fuzz_seen.damaged > 0 && fuzz_seen.refused > 0;
    printf("%sok 1 - %llu inputs: %llu events, %llu damaged, %llu refused\n"
           "1..1\n",
           good ? "" : "not ", (unsigned long long)fuzz_seen.inputs,
           (unsigned long long)fuzz_seen.events,
           (unsigned long long)fuzz_seen.damaged,
           (unsigned long long)fuzz_seen.refused);
    return !good;
}

#endif
