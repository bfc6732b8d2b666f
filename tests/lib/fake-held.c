/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ordeal-harm does, on pretended guests: each node's wall clock is the
 * fake's time and what the harms that are held now make of it; its load and its
 * room follow from them as well.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "tests/lib/fake-remote.h"

/* Some day in 2026. */
#define FAKE_EPOCH_NS (INT64_C(1790000000) * NS_PER_S)

static struct fake_held *
fake_held_find(struct fake_node *n, const char *name)
{
    for (unsigned i = 0; i < FAKE_HELD_MAX; i++)
        if (strcmp(n->held[i].name, name) == 0)
            return &n->held[i];
    return NULL;
}

static struct fake_held *
fake_held_kind(struct fake_node *n, const char *kind)
{
    for (unsigned i = 0; i < FAKE_HELD_MAX; i++)
        if (n->held[i].acting && strcmp(n->held[i].kind, kind) == 0)
            return &n->held[i];
    return NULL;
}

/* ---- clocks ---- */

static int64_t
fake_realtime_ns(struct fake *f, struct fake_node *n)
{
    int64_t now_ns = f->clock.now_ns, wall_ns = FAKE_EPOCH_NS + now_ns;
    struct fake_held *h;

    wall_ns += n->clock_offset_ns;
    if ((h = fake_held_kind(n, "clock-bump")) != NULL)
        wall_ns += h->args[0];
    if ((h = fake_held_kind(n, "clock-strobe")) != NULL &&
        (now_ns - h->begun_ns) / h->args[1] % 2 == 0)
        wall_ns += h->args[0];
    if ((h = fake_held_kind(n, "clock-drift")) != NULL)
        wall_ns += (now_ns - h->begun_ns) / 1000000 * h->args[0];
    if ((h = fake_held_kind(n, "clock-freeze")) != NULL)
        wall_ns -= now_ns - h->begun_ns;
    return wall_ns;
}

static void
fake_clock_look(struct fake *f, struct fake_node *n, struct exec_result *ret)
{
    buf_printf(&ret->out,
               "{\"raw_ns\":%" PRId64 ",\"realtime_ns\":%" PRId64 "}\n",
               f->clock.now_ns, fake_realtime_ns(f, n));
}

static void
fake_clock_set(struct fake *f, struct fake_node *n, const char *raw,
               const char *realtime, struct exec_result *ret)
{
    int64_t raw_ns = strtoll(raw, NULL, 10);

    n->clock_offset_ns = 0;
    n->clock_offset_ns = strtoll(realtime, NULL, 10) +
                         (f->clock.now_ns - raw_ns) - fake_realtime_ns(f, n);
    fake_clock_look(f, n, ret);
}

/* ---- holding ---- */

static void
fake_held_print(struct fake *f, const struct fake_held *h, const char *name,
                struct exec_result *ret)
{
    buf_printf(&ret->out, "{\"name\":\"%s\",\"state\":\"%s\",\"running\":%s}\n",
               name,
               h == NULL   ? "none"
               : h->acting ? "acting"
               : h->fired  ? "fired"
                           : "healed",
               h != NULL && h->acting ? "true" : "false");
}

/* start NAME SECONDS KIND [PATH] INTEGER... */
static void
fake_held_start(struct fake *f, struct fake_node *n, const char *const argv[],
                struct exec_result *ret)
{
    struct fake_held *h = fake_held_find(n, argv[2]);
    unsigned count = 0;

    if (h == NULL)
        h = fake_held_find(n, "");
    assert(h != NULL);
    if (f->before_harm != NULL)
        f->before_harm(f->ctx);
    *h = (struct fake_held){.acting = true,
                            .begun_ns = f->clock.now_ns,
                            .end_ns = f->clock.now_ns +
                                      strtoll(argv[3], NULL, 10) * NS_PER_S};
    snprintf(h->name, sizeof(h->name), "%s", argv[2]);
    snprintf(h->kind, sizeof(h->kind), "%s", argv[4]);
    for (size_t i = 5; argv[i] != NULL; i++) {
        if (argv[i][0] == '/')
            continue;
        assert(count < ARRAY_LEN(h->args));
        h->args[count++] = strtoll(argv[i], NULL, 10);
    }
    fake_held_print(f, h, argv[2], ret);
}

void
fake_held_fire(struct fake_node *n, int64_t now_ns)
{
    for (unsigned i = 0; i < FAKE_HELD_MAX; i++) {
        struct fake_held *h = &n->held[i];

        if (!h->acting || now_ns < h->end_ns)
            continue;
        h->acting = false;
        h->fired = true;
    }
}

bool
fake_held_is_clean(const struct fake_node *n)
{
    for (unsigned i = 0; i < FAKE_HELD_MAX; i++)
        if (n->held[i].acting)
            return false;
    if (n->file_harmed || n->file_marked || n->netem)
        return false;
    return n->clock_offset_ns < NS_PER_S && n->clock_offset_ns > -NS_PER_S;
}

/* ---- load and room ---- */

static void
fake_load(struct fake *f, struct fake_node *n, struct exec_result *ret)
{
    struct fake_held *cpu = fake_held_kind(n, "cpu");
    struct fake_held *memory = fake_held_kind(n, "memory");
    int64_t burners = cpu == NULL ? 0 : cpu->args[0];
    int64_t left_kib = memory == NULL ? 150000 : memory->args[0];

    buf_printf(&ret->out,
               "{\"burners\":%" PRId64 ",\"cpu_ms\":%" PRId64
               ",\"rss_kib\":%" PRId64 ",\"available_kib\":%" PRId64
               ",\"uptime_ms\":%" PRId64 "}\n",
               burners + (memory != NULL),
               cpu == NULL ? 0 : (f->clock.now_ns - cpu->begun_ns) / NS_PER_MS,
               150000 - left_kib, left_kib, f->clock.now_ns / NS_PER_MS);
}

static void
fake_probe_space(struct fake_node *n, struct exec_result *ret)
{
    bool full = fake_held_kind(n, "fill") != NULL;

    buf_printf(&ret->out, "{\"written\":%s,\"error\":\"%s\"}\n",
               full ? "false" : "true", full ? "ENOSPC" : "");
}

/* ---- the emulator of networks ---- */

static void
fake_tc(struct fake *f, struct fake_node *n, const char *const argv[],
        struct exec_result *ret)
{
    if (strcmp(argv[2], "show") == 0) {
        buf_puts(&ret->out, n->netem ? "qdisc netem d0d: root refcnt 2\n"
                                     : "qdisc pfifo_fast 0: root\n");
        return;
    }
    if (strcmp(argv[2], "replace") == 0 && f->before_harm != NULL)
        f->before_harm(f->ctx);
    n->netem = strcmp(argv[2], "replace") == 0;
    n->netem_delay_ms = 0;
    n->netem_loss = 0.0;
    for (size_t i = 3; argv[i] != NULL; i++) {
        if (strcmp(argv[i], "delay") == 0)
            n->netem_delay_ms = (unsigned)strtoul(argv[i + 1], NULL, 10) / 1000;
        if (strcmp(argv[i], "loss") == 0)
            n->netem_loss = strtod(argv[i + 1], NULL) / 100.0;
    }
}

bool
fake_netem_exec(struct fake *f, struct fake_node *n, const char *const argv[],
                struct exec_result *ret)
{
    unsigned sent;

    if (strcmp(argv[0], "tc") == 0) {
        fake_tc(f, n, argv, ret);
        return true;
    }
    if (strcmp(argv[0], "/bin/busybox") != 0 ||
        strcmp(argv[4], "ordeal-netem-ping") != 0)
        return strcmp(argv[0], "modprobe") == 0;
    sent = (unsigned)strtoul(argv[5], NULL, 10);
    buf_printf(&ret->out,
               "%u packets transmitted, %u packets received, 0%% packet loss\n"
               "round-trip min/avg/max = 0.9/%u.5/9.0 ms\n",
               sent, sent - (unsigned)(sent * (n->netem ? n->netem_loss : 0.0)),
               n->netem ? n->netem_delay_ms : 0);
    return true;
}

/* ---- the durable file ---- */

bool
fake_file_exec(struct fake_node *n, const char *const argv[],
               struct exec_result *ret)
{
    const char *script = strcmp(argv[0], "/bin/busybox") == 0 ? argv[4] : "";

    if (strcmp(argv[0], "sha256sum") == 0) {
        for (int i = 0; i < 64; i++)
            buf_puts(&ret->out, n->file_harmed  ? "b"
                                : n->file_wiped ? "c"
                                                : "a");
        buf_puts(&ret->out, "  file\n");
    } else if (strcmp(argv[0], "test") == 0) {
        ret->status = n->file_marked ? 0 : 1;
    } else if (strcmp(argv[0], "rm") == 0) {
        n->file_marked = n->file_saved = false;
    } else if (strcmp(script, "ordeal-file-list") == 0 ||
               strcmp(script, "ordeal-file-changed") == 0) {
        buf_puts(&ret->out, "log/1.log\nmeta\n");
    } else if (strcmp(script, "ordeal-file-mark") == 0) {
        n->file_marked = true;
    } else if (strcmp(script, "ordeal-file-save") == 0) {
        n->file_saved = strcmp(argv[7], "restore") == 0;
    } else if (strcmp(script, "ordeal-file-heal") == 0) {
        n->file_harmed = false;
        n->file_wiped = !n->file_saved;
    } else {
        return false;
    }
    return true;
}

static void
fake_file_harm(struct fake *f, struct fake_node *n, struct exec_result *ret)
{
    if (f->before_harm != NULL)
        f->before_harm(f->ctx);
    n->file_harmed = true;
    buf_puts(&ret->out, "{}\n");
}

/* ---- the program ---- */

void
fake_held_exec(struct fake *f, struct fake_node *n, const char *const argv[],
               struct exec_result *ret)
{
    struct fake_held *h = argv[2] == NULL ? NULL : fake_held_find(n, argv[2]);

    if (!n->has_program) {
        ret->status = 127;
    } else if (strcmp(argv[1], "start") == 0) {
        fake_held_start(f, n, argv, ret);
    } else if (strcmp(argv[1], "renew") == 0) {
        f->renewal_count++;
        if (h != NULL && h->acting)
            h->end_ns = f->clock.now_ns + strtoll(argv[3], NULL, 10) * NS_PER_S;
        fake_held_print(f, h, argv[2], ret);
    } else if (strcmp(argv[1], "stop") == 0 || strcmp(argv[1], "status") == 0) {
        if (h != NULL && argv[1][2] == 'o')
            h->acting = false;
        fake_held_print(f, h, argv[2], ret);
    } else if (strcmp(argv[1], "load") == 0) {
        fake_load(f, n, ret);
    } else if (strcmp(argv[1], "spin") == 0) {
        buf_puts(&ret->out, "{\"cpu_us\":50000,\"wall_us\":200000}\n");
    } else if (strcmp(argv[1], "probe-space") == 0) {
        fake_probe_space(n, ret);
    } else if (strcmp(argv[1], "flip") == 0 || strcmp(argv[1], "cut") == 0 ||
               strcmp(argv[1], "roll") == 0) {
        fake_file_harm(f, n, ret);
    } else if (strcmp(argv[1], "clock") == 0) {
        fake_clock_look(f, n, ret);
    } else if (strcmp(argv[1], "clock-set") == 0) {
        fake_clock_set(f, n, argv[2], argv[3], ret);
    } else {
        f->unknown_count++;
    }
}
