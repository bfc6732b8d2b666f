/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the switch's frame parser what no guest would send.  Whatever the
 * bytes are, nothing outside the frame is read or written, what is found lies
 * within it, and a flip with its checksum fixed touches the payload by one bit
 * and the checksum only.
 *
 * With libFuzzer:  clang -fsanitize=fuzzer,address,undefined -DFUZZ_LIBFUZZER
 * As a test:       mutates frames of its own, from a fixed seed, for
 *                  ORDEAL_FUZZ_SECONDS (default 2).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/arena.h"
#include "nemesis/fabric/link.h"
#include "tests/lib/frames.h"

#define FUZZ_FRAME_MAX 400

static struct {
    uint64_t frames, transports, flips;
} fuzz_seen;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
fuzz_need(bool holds)
{
    if (!holds)
        abort();
}

static void
fuzz_check_info(const struct frame_info *info, size_t len)
{
    fuzz_need(info->network_at <= len || info->network_bytes == 0);
    fuzz_need(info->network_bytes <=
              len - (info->network_bytes == 0 ? len : info->network_at));
    if (info->transport == FRAME_OTHER) {
        fuzz_need(info->payload_bytes == 0);
        return;
    }
    fuzz_seen.transports++;
    fuzz_need(info->checksum_at + 2 <= info->payload_at);
    fuzz_need(info->checksum_at > info->network_at);
    fuzz_need(info->payload_at <= len);
    fuzz_need(info->payload_bytes <= len - info->payload_at);
}

/* How many bits differ outside the checksum. */
static unsigned
fuzz_differing(const uint8_t *a, const uint8_t *b, size_t len,
               const struct frame_info *info, bool skip_checksum)
{
    unsigned bits = 0;

    for (size_t i = 0; i < len; i++)
        if (!skip_checksum ||
            (i != info->checksum_at && i != info->checksum_at + 1))
            bits += (unsigned)__builtin_popcount(a[i] ^ b[i]);
    return bits;
}

static void
fuzz_flip(const uint8_t *data, uint8_t *frame, size_t len,
          const struct frame_info *info, bool fix)
{
    struct link_rule rule = {.corrupt = 1, .fix_checksums = fix};
    struct link_verdict v;
    struct link l;

    link_init(&l, len, 0, 1);
    link_add(&l, 1, &rule);
    link_decide(&l, info, len, 0, &v);
    fuzz_need(v.copies == 1 && v.flip_count <= 1);
    for (unsigned i = 0; i < v.flip_count; i++) {
        fuzz_need(v.flips[i].at < len && v.flips[i].at >= FRAME_HEADER_BYTES);
        frame_flip(frame, info, v.flips[i].at, v.flips[i].bit, fix);
        fuzz_need(fuzz_differing(data, frame, len, info, fix) == 1);
        memcpy(frame, data, len);
        fuzz_seen.flips++;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    /* Of exactly this size, so that a byte too far is seen. */
    CLEANUP_FREE uint8_t *frame = xcalloc(1, len);
    struct frame_info info;

    if (len > 0)
        memcpy(frame, data, len);
    frame_parse(frame, len, &info);
    fuzz_check_info(&info, len);
    fuzz_flip(data, frame, len, &info, false);
    fuzz_flip(data, frame, len, &info, true);
    fuzz_seen.frames++;
    return 0;
}

#ifndef FUZZ_LIBFUZZER

/* TCP or UDP over IPv4, or UDP behind extension headers of IPv6; or noise. */
static size_t
fuzz_seed(struct rng *r, uint8_t bytes[static FUZZ_FRAME_MAX])
{
    uint8_t payload[200];
    size_t len, size = rng_below(r, sizeof(payload));

    for (size_t i = 0; i < FUZZ_FRAME_MAX; i++)
        bytes[i] = (uint8_t)rng_u64(r);
    memcpy(payload, bytes, sizeof(payload));
    if (rng_chance(r, 0.1))
        return rng_below(r, FUZZ_FRAME_MAX);
    if (rng_chance(r, 0.6))
        return frame_make(bytes, rng_chance(r, 0.5) ? FRAME_TCP : FRAME_UDP, 1,
                          2, payload, size);
    memset(bytes, 0, FUZZ_FRAME_MAX);
    memcpy(bytes + 12, (uint8_t[]){0x86, 0xdd, 0x60}, 3);
    len = 54;
    bytes[20] = 44;
    for (unsigned i = 0, count = (unsigned)rng_below(r, 10); i < count; i++) {
        bytes[len] = i + 1 < count ? 60 : 17;
        len += 8;
    }
    len += 8 + rng_below(r, 50);
    bytes[19] = (uint8_t)(len - 54);
    return len;
}

static void
fuzz_mutate(struct rng *r, uint8_t *bytes, size_t *len)
{
    for (uint64_t i = rng_below(r, 4); i > 0 && *len > 0; i--) {
        size_t at = rng_below(r, rng_chance(r, 0.5) && *len > 60 ? 60 : *len);

        if (rng_chance(r, 0.5))
            bytes[at] = (uint8_t)rng_u64(r);
        else if (rng_chance(r, 0.7))
            bytes[at] ^= (uint8_t)(1u << rng_below(r, 8));
        else
            *len = at; /* cut off */
    }
}

int
main(void)
{
    const char *limit = getenv("ORDEAL_FUZZ_SECONDS");
    double seconds = limit == NULL ? 2 : strtod(limit, NULL);
    int64_t until =
        clock_now_ns(clock_monotonic()) + (int64_t)(seconds * NS_PER_S);
    struct rng r;

    rng_init(&r, 20240607);
    while (clock_now_ns(clock_monotonic()) < until) {
        uint8_t bytes[FUZZ_FRAME_MAX];
        size_t len = fuzz_seed(&r, bytes);

        fuzz_mutate(&r, bytes, &len);
        LLVMFuzzerTestOneInput(bytes, len);
    }
    printf("# %llu frames, %llu with a transport, %llu flips\n",
           (unsigned long long)fuzz_seen.frames,
           (unsigned long long)fuzz_seen.transports,
           (unsigned long long)fuzz_seen.flips);
    /* Neither all noise nor all well formed. */
    fuzz_need(fuzz_seen.transports > fuzz_seen.frames / 4 &&
              fuzz_seen.transports < fuzz_seen.frames);
    printf("ok 1 - whatever a frame is, nothing outside it is touched\n1..1\n");
    return 0;
}

#endif
