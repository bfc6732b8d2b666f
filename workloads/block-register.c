/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small array of registers: read, write, compare and set.  Every value is
 * written once, so that a read tells whose it is.  Half of the comparisons are
 * with the value that was seen last, and mostly hold; the others are with an
 * older one, and must not.  Linearizable reads are made at any node.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "workloads/generator.h"

/* What every replica has by default. */
#define BLOCK_COUNT_MAX 1024

enum block_action {
    BLOCK_READ, /* as enum generator_read */
    BLOCK_READ_ELSEWHERE,
    BLOCK_READ_ANY,
    BLOCK_READ_FENCED,
    BLOCK_READ_OWN,
    BLOCK_WRITE,
    BLOCK_CAS,
    BLOCK_CAS_OLD,
    BLOCK_MISSING,
    BLOCK_REPEAT,
    BLOCK_REUSE,
    BLOCK_TICK,
};

static const char *const block_actions[] = {
    "read", "read_elsewhere", "read_any", "read_fenced", "read_own", "write",
    "cas",  "cas_old",        "missing",  "repeat",      "reuse",    "tick"};
static const int block_weights[] = {12, 12, 3, 5, 8, 26, 22, 6, 1, 10, 3, 1};
static const struct generator_words block_words = {block_actions, block_weights,
                                                   ARRAY_LEN(block_weights)};

struct block_client {
    struct generator_client common;
    int64_t value_count;
    int64_t own; /* the block it wrote last */
};

struct block_workload {
    struct workload base;
    struct generator_time time;
    struct generator_mix mix;
    int64_t blocks;
    unsigned client_count;
    bool was_set_up;
    /* Last seen, and the one before. */
    int64_t seen[BLOCK_COUNT_MAX], before[BLOCK_COUNT_MAX];
    struct block_client clients[];
};

static struct workload *
block_new(const json_t *params, uint64_t seed, unsigned client_count,
          struct error *err)
{
    struct block_workload *w =
        xcalloc(1, sizeof(*w) + client_count * sizeof(w->clients[0]));
    const struct generator_param known[] = {
        {"blocks", 1, BLOCK_COUNT_MAX, &w->blocks},
        GENERATOR_TIME_PARAMS(&w->time),
    };

    w->base.ops = &workload_block_register_ops;
    w->client_count = client_count;
    w->blocks = 8;
    if (generator_begin(&w->base, &block_words, params, known, ARRAY_LEN(known),
                        &w->time, &w->mix, err) < 0) {
        free(w);
        return NULL;
    }
    for (unsigned i = 0; i < client_count; i++)
        w->clients[i].common.rng = generator_stream(seed, "client", i);
    return &w->base;
}

/* No two of them are equal: client in the high bits, below 2^53. */
static int64_t
block_value(unsigned client, int64_t number)
{
    return ((int64_t)client + 1) << 32 | number;
}

/* Registers are there from the start; one write shows that they are served. */
static bool
block_setup(struct workload *base, struct arena *a, struct workload_step *ret)
{
    struct block_workload *w = (struct block_workload *)base;
    struct generator_command c = {.function = "write"};

    if (w->was_set_up)
        return false;
    w->was_set_up = true;
    memset(ret, 0, sizeof(*ret));
    generator_command_add(&c, "block", 0);
    generator_command_add(&c, "value", block_value(w->client_count, 1));
    c.id = generator_fresh_id(&w->clients[0].common.rng);
    generator_command_step(&c, a, ret);
    return true;
}

static void
block_write(struct block_workload *w, unsigned client, int64_t block,
            struct generator_command *c)
{
    memset(c, 0, sizeof(*c));
    c->function = "write";
    generator_command_add(c, "block", block);
    generator_command_add(
        c, "value", block_value(client, ++w->clients[client].value_count));
}

static void
block_cas(struct block_workload *w, unsigned client, int64_t block,
          int64_t expected, struct generator_command *c)
{
    c->function = "cas";
    generator_command_add(c, "block", block);
    generator_command_add(c, "expected", expected);
    generator_command_add(
        c, "value", block_value(client, ++w->clients[client].value_count));
}

static void
block_command(struct block_workload *w, unsigned client,
              enum block_action action, struct generator_command *c)
{
    struct generator_client *cc = &w->clients[client].common;
    int64_t block = (int64_t)rng_below(&cc->rng, (uint64_t)w->blocks);

    switch (action) {
    case BLOCK_CAS:
        block_cas(w, client, block, w->seen[block], c);
        return;
    case BLOCK_CAS_OLD:
        block_cas(w, client, block, w->before[block], c);
        return;
    case BLOCK_MISSING:
        block_write(w, client, INT32_MAX, c);
        return;
    case BLOCK_REPEAT:
    case BLOCK_REUSE:
        if (!generator_repeat(&w->time, cc, c)) {
            block_write(w, client, block, c);
        } else if (action == BLOCK_REUSE) {
            struct id128 id = c->id;

            block_write(w, client, block, c);
            c->id = id;
        }
        return;
    default:
        block_write(w, client, block, c);
    }
}

static void
block_read(struct block_workload *w, unsigned client, enum block_action action,
           struct arena *a, struct workload_step *ret)
{
    struct generator_client *cc = &w->clients[client].common;
    int64_t block = (int64_t)rng_below(&cc->rng, (uint64_t)w->blocks);
    enum generator_read how = GENERATOR_READ_ELSEWHERE;

    if (action == BLOCK_READ_OWN)
        block = w->clients[client].own;
    else
        how = (enum generator_read)action;
    generator_read(how, "get_block", "block", block, cc, a, ret);
}

static void
block_next(struct workload *base, unsigned client, struct arena *a,
           struct workload_step *ret)
{
    struct block_workload *w = (struct block_workload *)base;
    struct generator_client *cc = &w->clients[client].common;
    struct generator_command c = {0};
    enum block_action action =
        (enum block_action)generator_mix_choose(&w->mix, &cc->rng);

    assert(client < w->client_count);
    memset(ret, 0, sizeof(*ret));
    if (generator_tick_due(&w->time, client, cc, a, ret))
        return;
    if (action == BLOCK_TICK) {
        generator_tick_step(w->time.slot, 0, 0, a, ret);
        return;
    }
    if (action <= BLOCK_READ_OWN) {
        block_read(w, client, action, a, ret);
        return;
    }
    block_command(w, client, action, &c);
    generator_send(&w->time, cc, &c, a, ret);
}

/* A value that a block was seen to have. */
static void
block_see(struct block_workload *w, int64_t block, int64_t value)
{
    if (block < 0 || block >= w->blocks || w->seen[block] == value)
        return;
    w->before[block] = w->seen[block];
    w->seen[block] = value;
}

static void
block_done(struct workload *base, unsigned client, const struct operation *op,
           const struct attempt_result *r)
{
    struct block_workload *w = (struct block_workload *)base;
    const char *code = "ok";
    int64_t block, value;

    assert(client < w->client_count);
    if (!generator_learn(&w->time, &w->clients[client].common, op, r) ||
        !fields_int(&op->args, "block", &block))
        return;
    fields_string(&r->fields, "code", &code);
    if (op->mutation && block < w->blocks)
        w->clients[client].own = block;
    if (fields_int(&r->fields, "value", &value) ||
        (strcmp(code, "ok") == 0 && fields_int(&op->args, "value", &value)))
        block_see(w, block, value);
}

static bool
block_sweep(struct workload *base, unsigned *cursor, struct arena *a,
            struct workload_step *ret)
{
    struct block_workload *w = (struct block_workload *)base;
    unsigned at = (*cursor)++;

    memset(ret, 0, sizeof(*ret));
    if (at >= w->blocks)
        return false;
    generator_read_step("get_block", "block", (int64_t)at, "linearizable",
                        ROUTE_PRIMARY, a, ret);
    return true;
}

static void
block_free(struct workload *base)
{
    free(base);
}

static const char *const block_checkers[] = {"stale_read", "lost_write",
                                             GENERATOR_CHECKERS, NULL};

const struct workload_ops workload_block_register_ops = {
    .name = "block_register",
    .description = "a small array of registers, read, written, compared and "
                   "set; every value is unique",
    .capability = "block",
    .model = "block",
    .checkers = block_checkers,
    .new_ = block_new,
    .setup = block_setup,
    .next = block_next,
    .done = block_done,
    .sweep = block_sweep,
    .free = block_free,
};
