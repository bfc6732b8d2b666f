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
    return n->clock_offset_ns < NS_PER_S && n->clock_offset_ns > -NS_PER_S;
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
    } else if (strcmp(argv[1], "clock") == 0) {
        fake_clock_look(f, n, ret);
    } else if (strcmp(argv[1], "clock-set") == 0) {
        fake_clock_set(f, n, argv[2], argv[3], ret);
    } else {
        f->unknown_count++;
    }
}
